//! Guests by their configuration on the node: those that do not run now have no port
//! on any bridge, and still need theirs when they start.

use camino::Utf8Path;

use super::{Host, HostError};
use crate::plan::ConfiguredGuest;

/// The most bytes of a guest's configuration.
const LIMIT: u64 = 1 << 20;

/// A kind of configuration.
struct Place {
    directory: &'static str,
    /// How the names of its files end.
    end: &'static str,
    /// The bridges that a file names.
    bridges: fn(&str) -> Vec<&str>,
}

const PLACES: &[Place] = &[
    Place { directory: "/etc/pve/qemu-server", end: ".conf", bridges: of_proxmox },
    Place { directory: "/etc/pve/lxc", end: ".conf", bridges: of_proxmox },
    Place { directory: "/etc/libvirt/qemu", end: ".xml", bridges: of_libvirt },
];

/// What Proxmox VE keeps of its cluster file system on the disk, and what is there while that
/// is mounted.
const DATABASE: &str = "/var/lib/pve-cluster";
const DATABASE_NAME: &str = "config.db";
const MOUNTED: &str = "/etc/pve";
const MEMBERS: &str = ".members";

/// Whether the configuration of guests is away that a node has: Proxmox VE is installed, and
/// its cluster file system is not mounted.
fn is_away(host: &impl Host) -> Result<bool, HostError> {
    let has = |directory: &str, name: &str| -> Result<bool, HostError> {
        Ok(host.list(Utf8Path::new(directory))?.iter().any(|found| found == name))
    };
    Ok(has(DATABASE, DATABASE_NAME)? && !has(MOUNTED, MEMBERS)?)
}

/// The guests that are configured on a node, with each bridge that they name.
///
/// # Errors
///
/// Where they cannot be known: a guest that is not seen would lose its bridge.
pub fn configured_guests(host: &impl Host) -> Result<Vec<ConfiguredGuest>, HostError> {
    if is_away(host)? {
        let message = "is not mounted, so that nobody knows which guests need which bridge; \
                       start `pve-cluster.service`";
        return Err(HostError::Program {
            program: MOUNTED.to_owned(),
            message: message.to_owned(),
        });
    }
    let mut guests = Vec::new();
    for Place { directory, end, bridges } in PLACES {
        let directory = Utf8Path::new(directory);
        for name in host.list(directory)?.into_iter().filter(|name| name.ends_with(*end)) {
            let path = directory.join(name);
            // Removed meanwhile, or no file: no guest.
            let file = match host.read(&path, LIMIT) {
                Ok(Some(file)) => file,
                Ok(None) | Err(HostError::NotAFile { .. }) => continue,
                Err(error) => return Err(error),
            };
            let text = String::from_utf8_lossy(&file.bytes);
            let named = bridges(&text).into_iter().map(|bridge| ConfiguredGuest {
                file: path.to_string(),
                bridge: bridge.to_owned(),
            });
            guests.extend(named);
        }
    }
    guests.sort();
    guests.dedup();
    Ok(guests)
}

/// `net0: virtio=BC:24:11:00:00:01,bridge=va,firewall=1`, of the guest as it is and as
/// it was in its snapshots, to which it may go back.
fn of_proxmox(text: &str) -> Vec<&str> {
    let is_net = |key: &str| {
        key.strip_prefix("net")
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let nets = lines.filter(|(key, _)| is_net(key.trim()));
    nets.flat_map(|(_, value)| value.split(','))
        .filter_map(|part| part.trim().strip_prefix("bridge="))
        .collect()
}

/// `<source bridge='va'/>`
fn of_libvirt(text: &str) -> Vec<&str> {
    let sources = text.split("<source").skip(1).filter_map(|rest| rest.split_once('>'));
    let values = sources.filter_map(|(tag, _)| tag.split_once("bridge="));
    let quoted = values.filter_map(|(_, value)| {
        let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        value.get(1..)?.split_once(quote)
    });
    quoted.map(|(bridge, _)| bridge).collect()
}

#[cfg(test)]
mod tests {
    use super::{of_libvirt, of_proxmox};

    #[test]
    fn configurations_name_bridges() {
        let text = "name: web\n#net9: bridge=no\nnet0: virtio=BC:24:11:00:00:01,bridge=va,firewall=1\n\
            netx: bridge=no\n[snapshot]\nnet1: name=eth0,bridge=vb\n";
        assert_eq!(of_proxmox(text), ["va", "vb"]);
        let text = "<interface type='bridge'><source bridge='va'/></interface>\
            <disk><source file=\"x\"/></disk><source network='n' bridge=\"vb\"/>";
        assert_eq!(of_libvirt(text), ["va", "vb"]);
    }
}
