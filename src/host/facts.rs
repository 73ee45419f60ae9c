//! What is recorded of a machine for rendering.

use std::collections::BTreeSet;

use camino::Utf8Path;

use super::links::{self, Made, OvsBridges};
use super::{Host, HostError, Linux, devices, interfaces, main_table, program, routes};
use crate::facts::{Facts, Frr};
use crate::render::Managed;
use crate::value::NodeName;

/// The only file that the reference takes addresses from.
pub(super) const INTERFACES: &str = "/etc/network/interfaces";

/// The most bytes that are read of it.
pub(super) const INTERFACES_LIMIT: u64 = 4 << 20;

/// The most bytes of a file of weft's own, and of a file of FRR.
const FILE_LIMIT: u64 = 32 << 20;

/// Where FRR has its configuration, if it is installed.
const FRR: &str = "/etc/frr";
const FRR_LOCAL: &str = "/etc/frr/frr.conf.local";

/// What dpkg knows of packages, and the most bytes that are read of it.
const PACKAGES: &str = "/var/lib/dpkg/status";
const PACKAGES_LIMIT: u64 = 128 << 20;

/// Where the database of Open vSwitch is asked.
const OVS_SOCKET: &str = "/run/openvswitch/db.sock";

/// The facts of this machine, or of the dry node below a root.
///
/// On a machine routes, bridges and interfaces are the kernel's, without what weft made
/// and what routing daemons do. A dry node has no kernel: it has what [`INTERFACES`] would
/// make.
pub(super) fn collect(root: Option<&Utf8Path>, node: &NodeName) -> Result<Facts, HostError> {
    let host = Linux::new(root.map(Utf8Path::to_owned));
    let text = |path: &Utf8Path, limit| -> Result<Option<String>, HostError> {
        // A comment may be in any encoding; what counts cannot.
        Ok(host.read(path, limit)?.map(|file| file.text()))
    };
    let own = text(Utf8Path::new(INTERFACES), INTERFACES_LIMIT)?.unwrap_or_default();
    let addresses = interfaces::inet_addresses(&own);
    let definitions = interfaces::definitions(&own);
    let (routes, (bridges, interfaces)) = if host.is_dry() {
        (interfaces::routes(&own), links::from_definitions(&definitions))
    } else {
        let named: BTreeSet<String> = definitions.keys().map(ToString::to_string).collect();
        let sdn = text(&Managed::Interfaces.path(), FILE_LIMIT)?.unwrap_or_default();
        let made = Made::of(&sdn, &named, &addresses);
        let found = devices::devices(true)?;
        let links = links::from_kernel(&found, &made, &named, &ovs_bridges(&host)?);
        (routes::from_kernel(&main_table::routes(&found)?, found, &made), links)
    };
    let frr = frr(&host, text)?;
    Ok(Facts { addresses, routes, bridges, interfaces, frr, ..Facts::unknown(node.clone()) })
}

/// What weft made on this machine, by its file.
pub(super) fn made(host: &Linux) -> Result<Made, HostError> {
    let text = host.read(&Managed::Interfaces.path(), FILE_LIMIT)?.map(|file| file.text());
    Ok(Made::of(&text.unwrap_or_default(), &BTreeSet::new(), &[]))
}

/// The bridges of Open vSwitch. Where it does not run there are none.
fn ovs_bridges(host: &Linux) -> Result<OvsBridges, HostError> {
    if host.entry(Utf8Path::new(OVS_SOCKET))?.is_none() {
        return Ok(OvsBridges::new());
    }
    let ask = |words: &[&str]| -> Result<Vec<String>, HostError> {
        let answer = program::run("ovs-vsctl", &[&["--timeout=8"], words].concat())?;
        Ok(String::from_utf8_lossy(&answer).lines().map(str::to_owned).collect())
    };
    let bridges = ask(&["list-br"])?.into_iter();
    bridges.map(|bridge| Ok((bridge.clone(), ask(&["list-ports", &bridge])?))).collect()
}

fn frr(
    host: &Linux,
    text: impl Fn(&Utf8Path, u64) -> Result<Option<String>, HostError>,
) -> Result<Option<Frr>, HostError> {
    if host.entry(Utf8Path::new(FRR))?.is_none() {
        return Ok(None);
    }
    let packages = text(Utf8Path::new(PACKAGES), PACKAGES_LIMIT)?;
    Ok(Some(Frr {
        version: packages.and_then(|packages| installed(&packages, "frr")),
        local: text(Utf8Path::new(FRR_LOCAL), FILE_LIMIT)?,
        daemons: text(&Managed::FrrDaemons.path(), FILE_LIMIT)?,
    }))
}

/// The version of a package that is installed.
fn installed(status: &str, package: &str) -> Option<String> {
    let field = |paragraph: &str, name: &str| -> Option<String> {
        let value = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned());
        paragraph.lines().find_map(value)
    };
    status.split("\n\n").find_map(|paragraph| {
        let is_it = field(paragraph, "Package")? == package;
        let is_installed = field(paragraph, "Status")?.ends_with(" installed");
        (is_it && is_installed).then(|| field(paragraph, "Version"))?
    })
}

#[cfg(test)]
mod tests {
    use super::installed;

    #[test]
    fn a_package_counts_that_is_installed() {
        let status = "Package: frr-pythontools\nStatus: install ok installed\nVersion: 1\n\n\
            Package: frr\nStatus: install ok installed\nDepends: x\nVersion: 10.3-3\n\n\
            Package: old\nStatus: deinstall ok config-files\nVersion: 2\n";
        assert_eq!(installed(status, "frr").as_deref(), Some("10.3-3"));
        assert_eq!((installed(status, "old"), installed(status, "none")), (None, None));
    }
}
