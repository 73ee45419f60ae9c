//! The configuration of one guest of Proxmox VE, as far as it says where its network
//! interfaces are plugged in: `qemu-server/⟨vmid⟩.conf` (qm.conf(5)) and `lxc/⟨vmid⟩.conf`
//! (pct.conf(5)).

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Damage;
use crate::value::{IfName, MacAddress};

/// The largest file that is read, in bytes. Proxmox keeps each below one mebibyte.
pub const MAX_BYTES: u64 = 1 << 20;
/// The most interfaces that are read; Proxmox has 32.
const MAX_NICS: usize = 64;

/// What runs the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hypervisor {
    /// A virtual machine.
    Qemu,
    /// A container.
    Lxc,
}

impl Hypervisor {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Qemu, Self::Lxc];

    /// The directory of a node in which the files of its guests are.
    pub const fn directory(self) -> &'static str {
        match self {
            Self::Qemu => "qemu-server",
            Self::Lxc => "lxc",
        }
    }
}

/// What a guest's configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guest {
    /// Its name, as it is written.
    pub name: Option<String>,
    /// Whether others are made from it, and it never starts itself.
    pub template: bool,
    /// Its interfaces on bridges, by their numbers.
    pub nics: BTreeMap<u32, Nic>,
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// The bridge that it is plugged into.
    pub bridge: IfName,
    /// Its hardware address.
    pub mac: MacAddress,
    /// The addresses that the guest is given by its own configuration.
    pub addresses: Vec<IpAddr>,
}

/// Reads the configuration as it is now: what snapshots have, and what is pending until the
/// next start, comes behind. `file` is its name, for what is said of it.
pub fn read(file: &str, text: &str, hypervisor: Hypervisor) -> Result<Guest, Damage> {
    let mut guest = Guest::default();
    let mut addresses: BTreeMap<u32, Vec<IpAddr>> = BTreeMap::new();
    for (line, number) in text.lines().zip(1_u32..) {
        let damage = |what: String| Damage::new(file, Some(number), what);
        let line = line.trim_end();
        if line.starts_with('[') {
            break;
        }
        // What begins with `lxc.` is for the container's own program, in a form of its own.
        if line.is_empty() || line.starts_with('#') || line.starts_with("lxc.") {
            continue;
        }
        let (key, value) =
            line.split_once(':').ok_or_else(|| damage("is no `KEY: VALUE`".into()))?;
        let (key, value) = (key.trim(), value.trim());
        match (hypervisor, key) {
            (Hypervisor::Qemu, "name") | (Hypervisor::Lxc, "hostname") => {
                guest.name = Some(value.to_owned());
            }
            (_, "template") => guest.template = value == "1",
            _ => {}
        }
        if let Some(index) = index(key, "net") {
            if guest.nics.len() >= MAX_NICS {
                return Err(damage(format!("has more than {MAX_NICS} interfaces")));
            }
            let nic = nic(value, hypervisor).map_err(damage)?;
            if let Some(nic) = nic
                && guest.nics.insert(index, nic).is_some()
            {
                return Err(damage(format!("has `{key}` a second time")));
            }
        } else if let Some(index) = index(key, "ipconfig") {
            let pairs = pairs(value).map_err(damage)?;
            addresses.insert(index, fixed(&pairs));
        }
    }
    for (index, addresses) in addresses {
        if let Some(nic) = guest.nics.get_mut(&index) {
            nic.addresses.extend(addresses);
        }
    }
    Ok(guest)
}

/// The number behind a key such as `net0`.
fn index(key: &str, kind: &str) -> Option<u32> {
    let digits = key.strip_prefix(kind)?;
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// `virtio=BC:24:11:00:00:01,bridge=va,firewall=1`, of containers
/// `name=eth0,bridge=va,hwaddr=BC:24:11:00:00:02,ip=dhcp,type=veth`; `None` of one that is on
/// no bridge.
fn nic(value: &str, hypervisor: Hypervisor) -> Result<Option<Nic>, String> {
    let pairs = pairs(value)?;
    let Some(bridge) = pairs.get("bridge") else { return Ok(None) };
    let bridge = bridge.parse().map_err(|error| format!("{error}"))?;
    let mac = match hypervisor {
        Hypervisor::Lxc => pairs.get("hwaddr").copied(),
        // The short form has the model for a key.
        Hypervisor::Qemu => pairs.get("macaddr").copied().or_else(|| {
            let (model, mac) = value.split(',').next()?.split_once('=')?;
            (model.trim() != "model").then_some(mac.trim())
        }),
    };
    let mac = mac.ok_or("names no hardware address")?;
    let mac = mac.parse().map_err(|error| format!("{error}"))?;
    Ok(Some(Nic { bridge, mac, addresses: fixed(&pairs) }))
}

fn pairs(value: &str) -> Result<BTreeMap<&str, &str>, String> {
    let mut pairs = BTreeMap::new();
    for pair in value.split(',') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if pairs.insert(key.trim(), value.trim()).is_some() {
            return Err(format!("has `{}` twice", key.trim().escape_debug()));
        }
    }
    Ok(pairs)
}

/// Addresses that are written out: not `dhcp`, `auto` or `manual`.
fn fixed(pairs: &BTreeMap<&str, &str>) -> Vec<IpAddr> {
    let written = ["ip", "ip6"].into_iter().filter_map(|key| pairs.get(key));
    written.filter_map(|text| text.split('/').next()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, hypervisor: Hypervisor) -> String {
        let guest = read("100.conf", text, hypervisor).unwrap();
        let nics: Vec<String> = guest
            .nics
            .iter()
            .map(|(n, nic)| format!("{n} {} {} {:?}", nic.bridge, nic.mac, nic.addresses))
            .collect();
        format!("{} {}", guest.name.unwrap_or_default(), nics.join("; "))
    }

    #[test]
    fn interfaces_of_machines_and_containers() {
        let machine = "# a note: with a colon\n#net7: virtio=BC:24:11:00:00:07,bridge=va\n\
            boot: order=scsi0;net0\nname: web\nipconfig1: ip=10.0.0.9/24,gw=10.0.0.1,ip6=auto\n\
            meta: creation-qemu=9.0.2,ctime=1700000000\n\
            net0: virtio=BC:24:11:00:00:01,bridge=va,firewall=1,tag=7\n\
            net1: model=e1000,macaddr=BC:24:11:00:00:02,bridge=vb\nnet2: user=BC:24:11:00:00:03\n\
            netx: anything\n\n[PENDING]\nnet0: virtio=BC:24:11:00:00:09,bridge=vc\n\
            [snap]\nnet3: broken\n";
        assert_eq!(
            shown(machine, Hypervisor::Qemu),
            "web 0 va BC:24:11:00:00:01 []; 1 vb BC:24:11:00:00:02 [10.0.0.9]"
        );
        let container = "arch: amd64\nhostname: db\n\
            lxc.cgroup2.devices.allow = c 1:3 rwm: x\nlxc.idmap: u 0 100000 65536\n\
            lxc.mount.auto = proc sys\n\
            net0: name=eth0,bridge=va,hwaddr=BC:24:11:00:00:05,ip=10.0.0.7/24,ip6=fd00::7/64,type=veth\n\
            net1: name=eth1,bridge=vb,hwaddr=BC:24:11:00:00:06,ip=dhcp,type=veth\n";
        assert_eq!(
            shown(container, Hypervisor::Lxc),
            "db 0 va BC:24:11:00:00:05 [10.0.0.7, fd00::7]; 1 vb BC:24:11:00:00:06 []"
        );
    }

    #[test]
    fn damage_names_the_file_and_the_line() {
        for (text, says) in [
            ("name: x\nnonsense\n", "100.conf:2: is no `KEY: VALUE`"),
            ("net0: virtio=xx,bridge=va", "100.conf:1: "),
            ("net0: virtio=BC:24:11:00:00:01,bridge=../va", "100.conf:1: "),
            ("net0: model=virtio,bridge=va", "names no hardware address"),
            ("net0: virtio=BC:24:11:00:00:01,bridge=va,bridge=vb", "has `bridge` twice"),
            (
                "net0: virtio=BC:24:11:00:00:01,bridge=va\nnet0: virtio=BC:24:11:00:00:01,bridge=va",
                "`net0` a second time",
            ),
        ] {
            let said = read("100.conf", text, Hypervisor::Qemu).unwrap_err().to_string();
            assert!(said.contains(says), "{said}");
        }
        let lines =
            (0..=MAX_NICS).map(|n| format!("net{n}: virtio=BC:24:11:00:00:{n:02x},bridge=va"));
        let many = lines.collect::<Vec<_>>().join("\n");
        assert!(read("100.conf", &many, Hypervisor::Qemu).is_err());
    }
}
