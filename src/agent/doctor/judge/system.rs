//! The operating system: its packages, the files of its network, its kernel, its clock.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::super::Code;
use super::super::examined::{KnownTrust, Presence};
use super::super::needs::Service;
use super::super::read::major;
use super::{Patient, Said, quoted};
use crate::agent::settings::{PATH, Settings};
use crate::render::Profile;

/// The oldest ifupdown2 with the attributes that are rendered.
const IFUPDOWN2: u32 = 3;

/// The oldest FRR that passes packets of exit nodes with the rendered route maps:
/// 8.4 loops them (`lab.md` §4.5).
const FRR: u32 = 10;

/// How far behind the newest commit a clock may be (`design.md`, the rule of
/// authorisation).
const SKEW: SignedDuration = SignedDuration::from_mins(10);

pub(super) fn judge(patient: &Patient<'_>, said: &mut Said) {
    profile(patient, said);
    packages(patient, said);
    others(patient, said);
    files(patient, said);
    kernel(patient, said);
    clock(patient, said);
}

fn profile(patient: &Patient<'_>, said: &mut Said) {
    let code = Code::Profile;
    let Some(system) = said.look(&patient.examined.system, &[code]) else { return };
    let packages = patient.examined.packages.seen();
    let name =
        format!("{} {}", system.id, system.version.as_deref().unwrap_or("without a version"));
    let (name, fits) = match packages.and_then(|packages| packages.get("pve-manager")) {
        Some(version) => (format!("Proxmox VE {version} on {name}"), Profile::Pve),
        None if system.id == "debian" => (name, Profile::Debian),
        None => {
            let message =
                format!("`{name}` is neither Proxmox VE nor Debian, for which weft is made");
            said.warning(code, message, "cat /usr/lib/os-release");
            return;
        }
    };
    let set = patient.settings.map(Settings::profile);
    let mend = format!("sed -i '/^profile:/d' {PATH} && echo 'profile: {fits}' >>{PATH}");
    match (set, fits) {
        (Some(Profile::Pve), Profile::Debian) => {
            let message = format!(
                "{name}: profile `{fits}` fits, and the settings have `pve`, with which Debian's ifupdown2 takes guests off their bridges"
            );
            said.error(code, message, mend);
        }
        (Some(Profile::Debian), Profile::Pve) => {
            let message = format!(
                "{name}: profile `{fits}` fits, and the settings have `debian`, whose files are not those of Proxmox VE"
            );
            said.warning(code, message, mend);
        }
        _ => said.ok(code, format!("{name}: profile `{fits}` fits")),
    }
}

fn packages(patient: &Patient<'_>, said: &mut Said) {
    frr_answers(patient, said);
    let codes = [Code::Ifupdown2, Code::Frr, Code::Dnsmasq, Code::Iptables];
    let Some(packages) = said.look(&patient.examined.packages, &codes) else { return };
    let version = |name: &str| packages.get(name).map(String::as_str);
    ifupdown2(version("ifupdown2"), version("ifupdown"), said);
    frr(patient, packages, said);
    dnsmasq(patient, version("dnsmasq"), said);

    let code = Code::Iptables;
    if let Some(version) = version("iptables") {
        said.ok(code, format!("iptables {version}"));
    } else {
        let needed = patient.needs(|needs| needs.source_nat);
        said.missing(code, needed, "iptables is not installed", "apt-get install iptables");
    }
}

fn ifupdown2(version: Option<&str>, classic: Option<&str>, said: &mut Said) {
    let code = Code::Ifupdown2;
    match (version, classic) {
        (Some(version), _) if major(version).is_none_or(|major| major < IFUPDOWN2) => {
            let message = format!("ifupdown2 {version} is older than {IFUPDOWN2}");
            said.error(code, message, "apt-get update && apt-get install ifupdown2");
        }
        (Some(version), _) => said.ok(code, format!("ifupdown2 {version}")),
        (None, Some(classic)) => {
            let message = format!(
                "the classic ifupdown {classic} is installed, which does not know what weft writes; ifupdown2 takes its place and its files (have a console at hand)"
            );
            said.error(code, message, "apt-get install ifupdown2");
        }
        (None, None) => {
            said.error(
                code,
                "ifupdown2 is not installed, which makes the interfaces",
                "apt-get install ifupdown2",
            );
        }
    }
}

fn frr(patient: &Patient<'_>, packages: &BTreeMap<String, String>, said: &mut Said) {
    let code = Code::Frr;
    let routing = [Service::Bgp, Service::Bfd, Service::Ospf];
    let needed =
        patient.needs(|needs| needs.routing || routing.iter().any(|service| needs.asks(*service)));
    let Some(version) = packages.get("frr") else {
        said.missing(code, needed, "FRR is not installed", "apt-get install frr frr-pythontools");
        return;
    };
    if major(version).is_none_or(|major| major < FRR) {
        let message = format!(
            "FRR {version} is older than {FRR}: with the route maps of exit nodes, older ones send packets in a loop"
        );
        let mend = "apt-get update && apt-get install frr frr-pythontools";
        if needed == Some(true) {
            said.error(code, message, mend);
        } else {
            said.warning(code, message, mend);
        }
    } else if !packages.contains_key("frr-pythontools") {
        let message =
            "frr-pythontools is not installed, without which FRR cannot load a changed file";
        said.missing(code, needed, message, "apt-get install frr-pythontools");
    } else {
        said.ok(code, format!("FRR {version}"));
    }
}

fn frr_answers(patient: &Patient<'_>, said: &mut Said) {
    let code = Code::FrrAnswers;
    match said.look(&patient.examined.frr_answers, &[code]) {
        Some(None) => said.ok(code, "FRR does not run"),
        Some(Some(true)) => said.ok(code, "FRR runs, and `vtysh` answers"),
        Some(Some(false)) => {
            let message = "FRR runs, and `vtysh` does not answer: its sessions cannot be looked at, and it takes no change";
            said.error(code, message, "journalctl -u frr.service -n 50; vtysh -c 'show daemons'");
        }
        None => {}
    }
}

fn dnsmasq(patient: &Patient<'_>, version: Option<&str>, said: &mut Said) {
    let code = Code::Dnsmasq;
    let needed = patient.needs(|needs| needs.asks(Service::Dhcp));
    let disable = "systemctl disable --now dnsmasq.service";
    match (version, patient.examined.dnsmasq_runs.seen()) {
        (None, _) => {
            // dnsmasq-base has the program, and not the unit that is started for each zone.
            let mend = format!("apt-get install dnsmasq && {disable}");
            said.missing(code, needed, "dnsmasq is not installed", mend);
        }
        (Some(_), Some(true)) => {
            let message = "`dnsmasq.service` serves the whole machine, and takes the ports that the dnsmasq of a zone needs";
            said.warning(code, message, disable);
        }
        (Some(version), _) => said.ok(code, format!("dnsmasq {version}")),
    }
}

/// Other programs that make interfaces.
fn others(patient: &Patient<'_>, said: &mut Said) {
    let ours = patient.needs.as_ref().map(|needs| &needs.interfaces);
    let examined = patient.examined;
    for (code, name, looked) in [
        (Code::Networkd, "systemd-networkd", &examined.networkd),
        (Code::NetworkManager, "NetworkManager", &examined.network_manager),
    ] {
        let Some(managed) = said.look(looked, &[code]) else { continue };
        if managed.is_empty() {
            said.ok(code, format!("{name} manages no interface"));
            continue;
        }
        let list = quoted(managed);
        let Some(ours) = ours else {
            let message = format!(
                "{name} manages {list}; an interface must have one master, and weft's is ifupdown2"
            );
            said.warning(code, message, keep_off(code, "vxlan_*"));
            continue;
        };
        let both: BTreeSet<&str> =
            ours.iter().map(AsRef::as_ref).filter(|name| managed.contains(*name)).collect();
        if both.is_empty() {
            said.ok(code, format!("{name} manages {list}, and none of weft's interfaces"));
        } else {
            let message = format!("{name} manages {}, which weft makes", quoted(&both));
            let names: Vec<&str> = both.into_iter().collect();
            said.error(code, message, keep_off(code, &names.join(" ")));
        }
    }
}

/// The command after which a program leaves interfaces alone.
fn keep_off(code: Code, names: &str) -> String {
    if code == Code::Networkd {
        return format!(
            "printf '[Match]\\nName={names}\\n\\n[Link]\\nUnmanaged=yes\\n' >/etc/systemd/network/00-weft.network && networkctl reload"
        );
    }
    let devices: Vec<String> =
        names.split(' ').map(|name| format!("interface-name:{name}")).collect();
    format!(
        "printf '[keyfile]\\nunmanaged-devices={}\\n' >/etc/NetworkManager/conf.d/00-weft.conf && nmcli general reload",
        devices.join(";")
    )
}

fn files(patient: &Patient<'_>, said: &mut Said) {
    let examined = patient.examined;
    let code = Code::SourceLine;
    let mend = "echo 'source /etc/network/interfaces.d/*' >>/etc/network/interfaces";
    match said.look(&examined.sources, &[code]) {
        None => {}
        Some(None) => said.error(code, "`/etc/network/interfaces` is missing", mend),
        Some(Some(sources)) if sources.read_own_file() => {
            said.ok(code, "`/etc/network/interfaces` reads `/etc/network/interfaces.d/sdn`");
        }
        Some(Some(sources)) => {
            let message = if sources.directories.is_empty() {
                "`/etc/network/interfaces` does not read `/etc/network/interfaces.d/sdn`, so nothing of it comes up"
            } else {
                "`/etc/network/interfaces` has a `source-directory` line, which ifupdown2 ignores, and no `source` line that reads `/etc/network/interfaces.d/sdn`"
            };
            said.error(code, message, mend);
        }
    }

    let code = Code::RouteTables;
    match said.look(&examined.route_tables_directory, &[code]) {
        None => {}
        Some(true) => said.ok(code, "`/etc/iproute2/rt_tables.d` is there"),
        Some(false) => {
            // ifupdown2 3.0.0 ends with ENOENT there, and no VRF appears (`lab.md` §4.6).
            let message =
                "`/etc/iproute2/rt_tables.d` is missing, without which ifupdown2 makes no VRF";
            let needed = patient.needs(|needs| needs.vrfs);
            said.missing(code, needed, message, "mkdir -p /etc/iproute2/rt_tables.d");
        }
    }

    let code = Code::VlanAwareBridges;
    match said.look(&examined.many_vlan_aware_bridges, &[code]) {
        None => {}
        Some(true) => said.ok(code, "ifupdown2 makes any number of VLAN-aware bridges"),
        Some(false) => {
            let message = "ifupdown2 is set to make one VLAN-aware bridge at most";
            let needed = patient.needs(|needs| needs.vlan_aware_bridges > 1);
            let conf = "/etc/network/ifupdown2/ifupdown2.conf";
            let mend = format!(
                "sed -i '/^multiple_vlan_aware_bridge_support=/d' {conf} && echo 'multiple_vlan_aware_bridge_support=1' >>{conf}"
            );
            said.missing(code, needed, message, mend);
        }
    }
}

fn kernel(patient: &Patient<'_>, said: &mut Said) {
    let examined = patient.examined;
    let is_proxmox =
        examined.packages.seen().is_some_and(|packages| packages.contains_key("pve-manager"));
    let mend = if is_proxmox {
        "apt-get install proxmox-default-kernel && systemctl reboot"
    } else {
        "apt-get install \"linux-image-$(dpkg --print-architecture)\" && systemctl reboot"
    };
    let features: [(Code, &str, &[&str], Option<bool>); 5] = [
        (Code::KernelBridge, "bridges", &["bridge"], Some(true)),
        (Code::KernelVxlan, "VXLAN", &["vxlan"], patient.needs(|needs| needs.asks(Service::Vxlan))),
        (Code::KernelVlan, "VLAN interfaces", &["8021q"], patient.needs(|needs| needs.vlans)),
        (Code::KernelVrf, "VRFs", &["vrf"], patient.needs(|needs| needs.vrfs)),
        (
            Code::KernelNat,
            "tables for source NAT",
            &["nf_tables", "ip_tables"],
            patient.needs(|needs| needs.source_nat),
        ),
    ];
    let codes = features.map(|(code, ..)| code);
    if let Some(modules) = said.look(&examined.modules, &codes) {
        for (code, what, names, needed) in features {
            let presence = |name: &str| modules.get(name).copied().unwrap_or(Presence::Unknown);
            let has =
                |name: &&&str| !matches!(presence(name), Presence::Missing | Presence::Unknown);
            if let Some(module) = names.iter().find(has) {
                said.ok(code, format!("the kernel has {what} (`{module}`)"));
            } else if names.iter().any(|name| presence(name) == Presence::Unknown) {
                let list = quoted(names);
                said.skipped(
                    code,
                    format!("{list} is not loaded, and the kernel's modules cannot be seen"),
                );
            } else {
                let message = format!("the kernel has no {what} ({})", quoted(names));
                said.missing(code, needed, &message, mend);
            }
        }
    }

    let code = Code::KernelVlanFiltering;
    match said.look(&examined.vlan_filtering, &[code]) {
        None => {}
        Some(true) => said.ok(code, "bridges of the kernel tell VLANs apart"),
        Some(false) => {
            let needed = patient.needs(|needs| needs.vlan_aware_bridges > 0);
            said.missing(code, needed, "bridges of the kernel cannot tell VLANs apart", mend);
        }
    }
}

fn clock(patient: &Patient<'_>, said: &mut Said) {
    let examined = patient.examined;
    let code = Code::ClockSynchronised;
    match said.look(&examined.clock, &[code]) {
        None => {}
        Some(clock) if clock.synchronised => said.ok(code, "the clock is synchronised"),
        Some(clock) => {
            let message = "the clock is not synchronised; commits from its future are refused";
            let mend = if clock.has_service {
                "timedatectl set-ntp true"
            } else {
                "apt-get install chrony"
            };
            said.warning(code, message, mend);
        }
    }

    let code = Code::ClockBehind;
    match said.look(&examined.anchor, &[code]) {
        None => {}
        Some(KnownTrust::Commit { commit, committed, .. }) => {
            let behind = committed.duration_since(examined.now);
            if behind > SKEW {
                let message = format!(
                    "the clock says {}, and the newest trusted commit {} was made at {committed}",
                    examined.now,
                    commit.short()
                );
                said.error(code, message, format!("timedatectl set-ntp false && timedatectl set-time '{}' && timedatectl set-ntp true", committed.strftime("%Y-%m-%d %H:%M:%S UTC")));
            } else {
                said.ok(code, "the clock is not before the newest trusted commit");
            }
        }
        Some(KnownTrust::Nothing | KnownTrust::Damaged { .. } | KnownTrust::Other { .. }) => {
            said.skipped(code, "no trusted commit is known to compare it with");
        }
    }
}
