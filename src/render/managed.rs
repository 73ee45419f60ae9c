//! The files that weft may write, and their contents.

use std::collections::BTreeMap;
use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Note, Profile};
use crate::value::{Digest, IfName, VnetId, ZoneId};

/// The closed set of files that weft may write on a node. weft writes no path that is
/// not one. In the order of writing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Managed {
    /// `/etc/iproute2/rt_tables.d/weft.conf`. Profile `debian` only.
    RouteTables,
    /// `/etc/sysctl.d/weft.conf`. Files of all directories are read in the order of their
    /// names (`sysctl.d(5)`), so that it wins over `pve-firewall.conf`.
    Sysctl,
    /// `/var/lib/weft/ports`: what ports of guests get, which weft itself reads.
    Ports,
    /// `/etc/network/interfaces.d/sdn`.
    Interfaces,
    /// `/etc/frr/daemons`: the administrator's file, in which weft only sets which daemons
    /// run. It is never taken away, and what else stands in it is kept.
    FrrDaemons,
    /// `/etc/frr/frr.conf`.
    Frr,
    /// A drop-in of `dnsmasq@.service`, which says that it starts after the network. With
    /// profile `pve` Proxmox VE's own package has it.
    DnsmasqUnit,
    /// `/etc/dbus-1/system.d/dnsmasq.⟨zone⟩.conf`: who may speak with a zone's dnsmasq.
    DnsmasqBus(ZoneId),
    /// `/etc/default/dnsmasq.⟨zone⟩`: how a zone's dnsmasq is started.
    DnsmasqOptions(ZoneId),
    /// `/etc/dnsmasq.d/⟨zone⟩/00-default.conf`.
    DnsmasqZone(ZoneId),
    /// `/etc/dnsmasq.d/⟨zone⟩/10-⟨vnet⟩.conf`.
    DnsmasqVnet(ZoneId, VnetId),
}

impl Managed {
    /// Every file whose path depends on nothing that is declared.
    pub const FIXED: &'static [Self] = &[
        Self::RouteTables,
        Self::Sysctl,
        Self::Ports,
        Self::Interfaces,
        Self::FrrDaemons,
        Self::Frr,
        Self::DnsmasqUnit,
    ];

    /// Where the file lies on the node.
    pub fn path(&self) -> Utf8PathBuf {
        match self {
            Self::RouteTables => "/etc/iproute2/rt_tables.d/weft.conf".into(),
            Self::Sysctl => "/etc/sysctl.d/weft.conf".into(),
            Self::Ports => "/var/lib/weft/ports".into(),
            Self::Interfaces => "/etc/network/interfaces.d/sdn".into(),
            Self::FrrDaemons => "/etc/frr/daemons".into(),
            Self::Frr => "/etc/frr/frr.conf".into(),
            Self::DnsmasqUnit => "/etc/systemd/system/dnsmasq@.service.d/weft.conf".into(),
            Self::DnsmasqBus(zone) => format!("/etc/dbus-1/system.d/dnsmasq.{zone}.conf").into(),
            Self::DnsmasqOptions(zone) => format!("/etc/default/dnsmasq.{zone}").into(),
            Self::DnsmasqZone(zone) => format!("/etc/dnsmasq.d/{zone}/00-default.conf").into(),
            Self::DnsmasqVnet(zone, vnet) => format!("/etc/dnsmasq.d/{zone}/10-{vnet}.conf").into(),
        }
    }

    /// The file that lies at a path; `None` where weft writes no file. The inverse of
    /// [`Managed::path`].
    pub fn of_path(path: &Utf8Path) -> Option<Self> {
        let text = path.as_str();
        let between = |start: &str, end: &str| text.strip_prefix(start)?.strip_suffix(end);
        let found = if let Some(below) = between("/etc/dnsmasq.d/", ".conf") {
            let (zone, name) = below.split_once('/')?;
            let zone = zone.parse().ok()?;
            match name.strip_prefix("10-") {
                Some(vnet) => Self::DnsmasqVnet(zone, vnet.parse().ok()?),
                None => Self::DnsmasqZone(zone),
            }
        } else if let Some(zone) = between("/etc/dbus-1/system.d/dnsmasq.", ".conf") {
            Self::DnsmasqBus(zone.parse().ok()?)
        } else if let Some(zone) = between("/etc/default/dnsmasq.", "") {
            Self::DnsmasqOptions(zone.parse().ok()?)
        } else {
            Self::FIXED.iter().find(|managed| managed.path() == path)?.clone()
        };
        (found.path() == path).then_some(found)
    }

    /// The permission bits of the file. A password of a router may stand in `frr.conf`.
    pub fn mode(&self) -> u32 {
        match self {
            Self::Frr | Self::FrrDaemons => 0o640,
            Self::RouteTables
            | Self::Sysctl
            | Self::Ports
            | Self::Interfaces
            | Self::DnsmasqUnit
            | Self::DnsmasqBus(_)
            | Self::DnsmasqOptions(_)
            | Self::DnsmasqZone(_)
            | Self::DnsmasqVnet(..) => 0o644,
        }
    }

    /// The zone that the file is of, where it is one of a zone's dnsmasq.
    pub fn dnsmasq(&self) -> Option<&ZoneId> {
        match self {
            Self::DnsmasqBus(zone)
            | Self::DnsmasqOptions(zone)
            | Self::DnsmasqZone(zone)
            | Self::DnsmasqVnet(zone, _) => Some(zone),
            _ => None,
        }
    }
}

impl fmt::Display for Managed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path().as_str())
    }
}

impl Serialize for Managed {
    /// The path.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Managed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = Utf8PathBuf::deserialize(deserializer)?;
        Self::of_path(&path)
            .ok_or_else(|| D::Error::custom(format!("weft writes no file `{path}`")))
    }
}

/// What one node should have at one commit: a pure function of network, node,
/// facts and profile. Holds no commit, so that two commits that mean the same are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendering {
    /// The ifupdown2 that it is for.
    pub profile: Profile,
    /// The texts of files, without the line that carries the sequence number. A
    /// file of weft's own that is not here should not be there.
    pub files: BTreeMap<Managed, String>,
    /// The interfaces that the files make, and the vnets that each one serves.
    pub interfaces: BTreeMap<IfName, Vec<VnetId>>,
    /// What a person should know about this node.
    pub notes: Vec<Note>,
    /// Why the files are not all of what the node should have, where that is so. Then none
    /// of them may be put in place.
    pub obstacle: Option<Note>,
}

impl Rendering {
    /// The digest by which two renderings are the same: of the profile, and of every
    /// path, mode and text. Notes do not count, nor does [`Managed::FrrDaemons`]: which
    /// daemons run follows from `frr.conf`, and all else in it is the administrator's.
    pub fn digest(&self) -> Digest {
        let mut bytes = format!("{}\0", self.profile).into_bytes();
        let counts = |file: &(&Managed, &String)| *file.0 != Managed::FrrDaemons;
        for (managed, text) in self.files.iter().filter(counts) {
            let head = format!("{}\0{:o}\0{}\0", managed.path(), managed.mode(), text.len());
            bytes.extend_from_slice(head.as_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        Digest::of(&bytes)
    }

    /// The bytes of a file at a sequence number, or `None` where there should be
    /// no such file.
    pub fn bytes(&self, managed: &Managed, sequence: u64) -> Option<Vec<u8>> {
        let text = self.files.get(managed)?;
        Some(match managed {
            Managed::Interfaces => format!("{VERSION_LINE}{sequence}\n{text}").into_bytes(),
            _ => text.clone().into_bytes(),
        })
    }
}

/// How the first line of the interfaces file begins. Proxmox compares the number
/// behind it with the cluster's; it is no difference by itself.
pub const VERSION_LINE: &str = "#version:";

/// The text of a file without its first line, where that is the version line.
pub fn without_version(text: &str) -> &str {
    match text.strip_prefix(VERSION_LINE) {
        Some(rest) => rest.split_once('\n').map_or("", |(_, text)| text),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::Managed;

    #[test]
    fn every_file_is_found_by_its_path_and_no_other_is() {
        let (zone, vnet) = ("z1".parse().expect("a zone"), "v1".parse().expect("a vnet"));
        let of_zones = [Managed::DnsmasqBus, Managed::DnsmasqOptions, Managed::DnsmasqZone]
            .map(|file| file(std::clone::Clone::clone(&zone)));
        let of_vnets = [Managed::DnsmasqVnet(zone.clone(), vnet)];
        for managed in Managed::FIXED.iter().chain(&of_zones).chain(&of_vnets) {
            assert_eq!(Managed::of_path(&managed.path()).as_ref(), Some(managed));
            let text = serde_json::to_string(managed).expect("JSON");
            assert_eq!(text, format!("\"{managed}\""));
            assert_eq!(serde_json::from_str::<Managed>(&text).expect("it is one"), *managed);
        }
        for path in [
            "",
            "/etc/passwd",
            "/etc/frr/frr.conf.local",
            "/etc/frr/../frr/frr.conf",
            "/etc/dnsmasq.d/z1/90-custom.conf",
            "/etc/dnsmasq.d/z1/10-a/b.conf",
            "/etc/dnsmasq.d/../10-v1.conf",
            "/etc/dnsmasq.d/z1/ethers",
            "/etc/default/dnsmasq.",
            "/etc/default/dnsmasq.z1.conf",
            "/etc/dbus-1/system.d/dnsmasq.conf",
        ] {
            assert_eq!(Managed::of_path(Utf8Path::new(path)), None, "{path}");
        }
    }
}
