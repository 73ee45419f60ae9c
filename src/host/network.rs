//! Changes of the running network: by the kernel's own language, and by programs where others
//! decide.

mod batch;
mod deletion;
mod ovs;
mod requests;
mod sysctl;

use std::time::{Duration, Instant};

use camino::Utf8Path;
use ipnet::IpNet;

use self::batch::Batch;
use super::facts::{INTERFACES, INTERFACES_LIMIT};
use super::interfaces::interface_addresses;
use super::{Host as _, HostError, Linux, iptables, nft, program, tables};
use crate::plan::{BridgeSettings, Family, NetworkStep, interfaces};
use crate::value::IfName;

/// Time that ifupdown2 has for every call, and for each interface beyond that.
const IFUPDOWN_TIME: Duration = Duration::from_secs(60);
const INTERFACE_TIME: Duration = Duration::from_millis(500);

/// What ifupdown2 3.0.0 says where another one runs.
const BUSY: &str = "Another instance of this program is already running";

/// What goes before ifupdown2. It ignores SIGTERM and leaves what it started behind, so
/// it is process 1 of a pid namespace of its own, which dies with its parent, and that
/// one with this process.
const CAGE: &str = "setpriv";
const CAGE_WORDS: &[&str] =
    &["--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child=KILL", "--"];

/// Carries out steps in order; what the kernel and programs complained about.
pub(super) fn change(steps: &[NetworkStep]) -> Result<Vec<String>, HostError> {
    let mut batch = Batch::open()?;
    let mut tables_are_named = false;
    let mut rest = steps;
    while let Some(step) = rest.first() {
        let (together, later) = rest.split_at(iptables::together(rest).max(1));
        rest = later;
        match step {
            NetworkStep::Down { interfaces } => {
                batch.program(&ifupdown("ifdown", interfaces))?;
                // ifupdown2 takes down only what it remembers to have brought up, and one that
                // was killed remembers nothing.
                for interface in interfaces {
                    batch.add(step, &NetworkStep::Delete { interface: interface.clone() })?;
                }
            }
            NetworkStep::Up { interfaces } => batch.program(&ifupdown("ifup", interfaces))?,
            NetworkStep::Remake { interface, .. } => {
                batch.add(step, &NetworkStep::Delete { interface: interface.clone() })?;
            }
            NetworkStep::DeleteOvsPort { interface } => batch.program(&ovs::delete(interface))?,
            NetworkStep::SetOvsPort { interface, bridge, options } => {
                match ovs::set(interface, bridge, options) {
                    Ok(call) => batch.program(&call)?,
                    Err(wrong) => batch.complain(step, &wrong)?,
                }
            }
            NetworkStep::SetOvsMtu { interface, mtu } => {
                batch.program(&ovs::set_mtu(interface, *mtu))?;
            }
            NetworkStep::AddRule(_) | NetworkStep::RemoveRule(_) => {
                match iptables::restoring(together) {
                    Ok(call) => batch.program(&call)?,
                    Err(wrong) => batch.complain(wrong.unwrap_or(step), "not a rule of weft's")?,
                }
            }
            NetworkStep::SetNat { family, rules } => {
                batch.program(&call("nft", nft::setting(*family, rules)))?;
            }
            NetworkStep::Release { interface, addresses } => {
                for address in release(interface, addresses, &own_text()?) {
                    let interface = interface.clone();
                    batch.add(step, &NetworkStep::RemoveAddress { interface, address })?;
                }
            }
            NetworkStep::ResetVlanProtocol { interface } => {
                let settings = own_tags(interface, &own_text()?);
                let interface = interface.clone();
                batch.add(step, &NetworkStep::SetBridge { interface, settings })?;
            }
            // Without any the node would have no address of its own.
            NetworkStep::DropLocalRule { family, rule } => {
                if batch.has_other_local_rule(*family, *rule)? {
                    batch.add(step, step)?;
                } else {
                    batch.complain(step, "it would be the last one")?;
                }
            }
            NetworkStep::SetSysctl { name, value } => {
                batch.other(step, || sysctl::set(name, value))?;
            }
            NetworkStep::StopForwarding { interface, family } => {
                let protocol = if *family == Family::V4 { "ipv4" } else { "ipv6" };
                let name = format!("net/{protocol}/conf/{interface}/forwarding");
                batch.other(step, || sysctl::set(&name, "0"))?;
            }
            // All of them with the first: the file is written once.
            NetworkStep::NameTable { .. } => {
                if !std::mem::replace(&mut tables_are_named, true) {
                    batch.other(step, || tables::name_all(&named_tables(steps)))?;
                }
            }
            _ => batch.add(step, step)?,
        }
    }
    batch.end()
}

/// The tables that steps name.
fn named_tables(steps: &[NetworkStep]) -> Vec<(&IfName, u32)> {
    let mut named = Vec::new();
    for step in steps {
        if let NetworkStep::NameTable { interface, table } = step {
            named.push((interface, *table));
        }
    }
    named
}

/// Whether ifupdown2 can read a file. It also warns of what the reference writes, such as
/// `bridge_ports none`, and then ends with 1 all the same: only lines that it could not process
/// count.
pub(super) fn check(copy: &Utf8Path) -> Result<(), HostError> {
    let words = ["--syntax-check", "--all", "--interfaces", copy.as_str()];
    match program::try_within("ifup", &words, IFUPDOWN_TIME)? {
        Some(message) if is_refused(&message, copy) => {
            Err(HostError::Program { program: "ifup --syntax-check".to_owned(), message })
        }
        _ => Ok(()),
    }
}

fn is_refused(message: &str, copy: &Utf8Path) -> bool {
    message.contains(&format!("error: {copy}: line"))
}

/// The text of the administrator's own file.
fn own_text() -> Result<String, HostError> {
    let path = Utf8Path::new(INTERFACES);
    let file = Linux::new(None).read(path, INTERFACES_LIMIT)?;
    Ok(file.map(|file| file.text()).unwrap_or_default())
}

/// Those of the addresses that go: one that the administrator gives to the interface too stays.
fn release(interface: &IfName, addresses: &[IpNet], own: &str) -> Vec<IpNet> {
    let own = interface_addresses(own);
    let is_own = |net: &IpNet| {
        own.iter().any(|own| own.interface == *interface && own.address == net.addr())
    };
    addresses.iter().filter(|net| !is_own(net)).copied().collect()
}

/// The tags that a bridge filters by when only the administrator says something of it.
fn own_tags(interface: &IfName, own: &str) -> BridgeSettings {
    let own = interfaces(own).remove(interface).and_then(|own| own.vlan_protocol);
    let protocol = if own.as_deref() == Some("802.1ad") { "802.1ad" } else { "802.1q" };
    BridgeSettings { vlan_protocol: Some(protocol.to_owned()), ..BridgeSettings::default() }
}

/// One program.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) program: &'static str,
    pub(super) arguments: Vec<String>,
    /// What it reads; nothing where that is empty.
    pub(super) input: String,
    pub(super) time: Duration,
}

fn call(program: &'static str, arguments: Vec<String>) -> Call {
    Call { program, arguments, input: String::new(), time: program::TIME }
}

impl Call {
    /// Runs it; what it complained about. ifupdown2 refuses to run beside itself: one that was
    /// killed takes a moment to be gone, and an administrator's ends.
    fn carry_out(&self) -> Result<Option<String>, HostError> {
        let words: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let end = Instant::now() + IFUPDOWN_TIME;
        loop {
            let said = program::try_with(self.program, &words, &self.input, self.time)?;
            let said = said.map(|said| iptables::with_line(said, &self.input));
            let is_busy = self.program == CAGE && said.as_ref().is_some_and(|s| s.contains(BUSY));
            if !is_busy || Instant::now() >= end {
                return Ok(said);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

fn ifupdown(program: &str, interfaces: &[IfName]) -> Call {
    let names = interfaces.iter().map(IfName::as_str);
    let words = CAGE_WORDS.iter().copied().chain([program]).chain(names);
    let more = u32::try_from(interfaces.len()).unwrap_or(u32::MAX);
    let time = IFUPDOWN_TIME.saturating_add(INTERFACE_TIME.saturating_mul(more));
    Call { time, ..call(CAGE, words.map(str::to_owned).collect()) }
}

#[cfg(test)]
mod tests {
    use super::{ifupdown, is_refused};

    /// As ifupdown2 3.0.0 words it.
    #[test]
    fn only_lines_that_cannot_be_processed_are_refused() {
        let copy = camino::Utf8Path::new("/var/lib/weft/gen/00000002/files/sdn");
        let warns =
            "`ifup …` ended with exit status: 1: warning: va: bridge-ports: invalid value \"none\"";
        assert!(!is_refused(warns, copy));
        assert!(!is_refused("error: Another instance of this program is already running.", copy));
        let error = format!("error: {copy}: line1: error processing line 'garbage here'");
        assert!(is_refused(&format!("{warns}\\n{error}"), copy));
    }

    #[test]
    fn an_address_that_the_administrator_gives_too_stays() {
        let own = "iface eth1 inet static\n\taddress 10.0.0.1/31\niface eth2 inet static\n\taddress 10.0.0.3/31\n";
        let addresses = ["10.0.0.1/31", "10.0.0.3/31"].map(|net| net.parse().expect("a prefix"));
        let gone = super::release(&"eth1".parse().expect("a name"), &addresses, own);
        assert_eq!(gone, addresses[1..]);
    }

    #[test]
    fn a_bridge_filters_by_the_tags_that_the_administrator_says() {
        let bridge = "vmbr0".parse().expect("a name");
        let own = "iface vmbr0 inet manual\n\tbridge-ports eth0\n\tbridge-vlan-protocol 802.1ad\n";
        for (own, protocol) in [(own, "802.1ad"), ("iface vmbr0 inet manual\n", "802.1q")] {
            assert_eq!(super::own_tags(&bridge, own).vlan_protocol.as_deref(), Some(protocol));
        }
    }

    #[test]
    fn ifupdown2_runs_in_its_cage() {
        let interfaces = ["vxlan_va", "va"].map(|name| name.parse().expect("a name"));
        let call = ifupdown("ifup", &interfaces);
        assert_eq!(
            format!("{} {}", call.program, call.arguments.join(" ")),
            "setpriv --pdeathsig KILL unshare --pid --fork --kill-child=KILL -- ifup vxlan_va va"
        );
    }
}
