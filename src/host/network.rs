//! Changes of the running network as programs and their arguments.

use std::path::Path;
use std::time::Duration;

use camino::Utf8Path;
use ipnet::IpNet;

use super::facts::{INTERFACES, INTERFACES_LIMIT};
use super::interfaces::interface_addresses;
use super::kernel::PORT_FLAGS;
use super::{Host as _, HostError, Linux, nft, program};
use crate::plan::{Family, NetworkStep, PortVlan, interfaces};
use crate::value::IfName;

/// Time that ifupdown2 has for every call, and for each interface beyond that.
const IFUPDOWN_TIME: Duration = Duration::from_secs(60);
const INTERFACE_TIME: Duration = Duration::from_millis(500);

/// What goes before ifupdown2. It ignores SIGTERM and leaves what it started behind, so
/// it is process 1 of a pid namespace of its own, which dies with its parent, and that
/// one with this process.
const CAGE: &str = "setpriv";
const CAGE_WORDS: &[&str] =
    &["--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child=KILL", "--"];

/// Carries out steps in order; what programs complained about.
pub(super) fn change(steps: &[NetworkStep]) -> Result<Vec<String>, HostError> {
    let mut complaints = Vec::new();
    for step in steps {
        complaints.extend(change_one(step)?);
    }
    Ok(complaints)
}

fn change_one(step: &NetworkStep) -> Result<Vec<String>, HostError> {
    let mut complaints = match step {
        NetworkStep::Release { interface, addresses } => {
            carry_out(release(interface, addresses, &own_text()?))?
        }
        NetworkStep::ResetVlanProtocol { interface } => {
            carry_out([vlan_protocol(interface, &own_text()?)])?
        }
        _ => carry_out(calls(step))?,
    };
    if let NetworkStep::Down { interfaces } = step {
        // ifupdown2 takes down only what it remembers to have brought up, and one that
        // was killed remembers nothing.
        let left = interfaces.iter().filter(|name| is_there(name)).cloned();
        let delete = |interface| calls(&NetworkStep::Delete { interface });
        complaints.extend(carry_out(left.flat_map(delete))?);
    }
    Ok(complaints)
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

/// An address that the administrator gives to the interface too stays.
fn release(interface: &IfName, addresses: &[IpNet], own: &str) -> Vec<Call> {
    let own = interface_addresses(own);
    let is_own = |net: &IpNet| {
        own.iter().any(|own| own.interface == *interface && own.address == net.addr())
    };
    let gone = addresses.iter().filter(|net| !is_own(net));
    gone.map(|net| call("ip", &["addr", "del", &net.to_string(), "dev", interface.as_str()]))
        .collect()
}

/// The tags that a bridge filters by when only the administrator says something of it.
fn vlan_protocol(interface: &IfName, own: &str) -> Call {
    let own = interfaces(own).remove(interface).and_then(|own| own.vlan_protocol);
    let protocol = if own.as_deref() == Some("802.1ad") { "802.1ad" } else { "802.1Q" };
    let words = ["link", "set", "dev", interface.as_str(), "type", "bridge"];
    call("ip", &[&words[..], &["vlan_protocol", protocol]].concat())
}

fn carry_out(calls: impl IntoIterator<Item = Call>) -> Result<Vec<String>, HostError> {
    let mut complaints = Vec::new();
    for Call { program, arguments, time } in calls {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        complaints.extend(program::try_within(program, &words, time)?);
    }
    Ok(complaints)
}

fn is_there(interface: &IfName) -> bool {
    Path::new("/sys/class/net").join(interface.as_str()).exists()
}

/// One program.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    program: &'static str,
    arguments: Vec<String>,
    time: Duration,
}

fn call(program: &'static str, arguments: &[&str]) -> Call {
    let arguments = arguments.iter().map(|&word| word.to_owned()).collect();
    Call { program, arguments, time: program::TIME }
}

fn ifupdown(program: &str, interfaces: &[IfName]) -> Call {
    let names = interfaces.iter().map(IfName::as_str);
    let words: Vec<&str> = CAGE_WORDS.iter().copied().chain([program]).chain(names).collect();
    let more = u32::try_from(interfaces.len()).unwrap_or(u32::MAX);
    let time = IFUPDOWN_TIME.saturating_add(INTERFACE_TIME.saturating_mul(more));
    Call { time, ..call(CAGE, &words) }
}

fn calls(step: &NetworkStep) -> Vec<Call> {
    let on = |value: &bool| if *value { "on" } else { "off" };
    match step {
        NetworkStep::Down { interfaces } => vec![ifupdown("ifdown", interfaces)],
        NetworkStep::Up { interfaces } => vec![ifupdown("ifup", interfaces)],
        NetworkStep::Delete { interface } => {
            vec![call("ip", &["link", "delete", "dev", interface.as_str()])]
        }
        NetworkStep::DeleteOvsPort { interface } => {
            vec![call("ovs-vsctl", &["--timeout=8", "--if-exists", "del-port", interface.as_str()])]
        }
        NetworkStep::Release { interface, addresses } => release(interface, addresses, ""),
        NetworkStep::ResetVlanProtocol { interface } => vec![vlan_protocol(interface, "")],
        NetworkStep::SetMtu { interface, mtu } => {
            vec![call("ip", &["link", "set", "dev", interface.as_str(), "mtu", &mtu.to_string()])]
        }
        NetworkStep::SetAlias { interface, alias } => {
            let alias = alias.as_deref().unwrap_or_default();
            vec![call("ip", &["link", "set", "dev", interface.as_str(), "alias", alias])]
        }
        NetworkStep::StopVlanFiltering { interface } => vec![call(
            "ip",
            &["link", "set", "dev", interface.as_str(), "type", "bridge", "vlan_filtering", "0"],
        )],
        NetworkStep::StopForwarding { interface, family } => {
            let protocol = if *family == Family::V4 { "ipv4" } else { "ipv6" };
            // With `/` as separator a `.` in the name is one.
            let variable = format!("net/{protocol}/conf/{interface}/forwarding=0");
            vec![call("sysctl", &["-q", "-w", &variable])]
        }
        NetworkStep::SetSysctl { name, value } => {
            vec![call("sysctl", &["-q", "-w", &format!("{name}={value}")])]
        }
        NetworkStep::DropRemote { interface, remote } => vec![call(
            "bridge",
            &[
                "fdb",
                "del",
                "00:00:00:00:00:00",
                "dev",
                interface.as_str(),
                "dst",
                &remote.to_string(),
            ],
        )],
        NetworkStep::DropRoute { interface, destination } => {
            vec![call("ip", &["route", "del", &destination.to_string(), "dev", interface.as_str()])]
        }
        NetworkStep::AddRule(rule) => {
            let arguments = rule.adding();
            vec![Call { arguments, ..call(rule.table().family.program(), &[]) }]
        }
        NetworkStep::RemoveRule(rule) => {
            let arguments = rule.removing();
            vec![Call { arguments, ..call(rule.table().family.program(), &[]) }]
        }
        NetworkStep::ReturnPort { port, bridge, up } => {
            let mut words = vec!["link", "set", "dev", port, "master", bridge];
            words.extend(up.then_some("up"));
            vec![call("ip", &words)]
        }
        NetworkStep::SetPortFlags { port, flags } => {
            let mut words = vec!["link", "set", "dev", port];
            for (name, value) in
                flags.iter().filter(|(name, _)| PORT_FLAGS.contains(&name.as_str()))
            {
                words.extend([name.as_str(), on(value)]);
            }
            vec![call("bridge", &words)]
        }
        NetworkStep::SetNat { family, rules } => {
            vec![Call { arguments: nft::setting(*family, rules), ..call("nft", &[]) }]
        }
        NetworkStep::AddStation { port, mac } => {
            vec![call("bridge", &["fdb", "append", mac, "dev", port, "master", "static"])]
        }
        NetworkStep::RemoveStation { port, mac } => {
            vec![call("bridge", &["fdb", "del", mac, "dev", port, "master"])]
        }
        NetworkStep::SetPortVlans { port, remove, add } => {
            let remove = remove.iter().map(|&vlan| port_vlan("del", port, vlan));
            remove.chain(add.iter().map(|&vlan| port_vlan("add", port, vlan))).collect()
        }
        _ => Vec::new(),
    }
}

fn port_vlan(action: &str, port: &str, vlan: PortVlan) -> Call {
    let vid = if vlan.first == vlan.last {
        vlan.first.to_string()
    } else {
        format!("{}-{}", vlan.first, vlan.last)
    };
    let mut words = vec!["vlan", action, "dev", port, "vid", &vid];
    words.extend((action == "add" && vlan.pvid).then_some("pvid"));
    words.extend((action == "add" && vlan.untagged).then_some("untagged"));
    call("bridge", &words)
}

#[cfg(test)]
mod tests {
    use super::{calls, is_refused};
    use crate::plan::{NetworkStep, PortVlan};

    fn words(step: &NetworkStep) -> Vec<String> {
        let calls = calls(step);
        calls.iter().map(|c| format!("{} {}", c.program, c.arguments.join(" "))).collect()
    }

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
        let calls = super::release(&"eth1".parse().expect("a name"), &addresses, own);
        let said: Vec<String> = calls.iter().map(|call| call.arguments.join(" ")).collect();
        assert_eq!(said, ["addr del 10.0.0.3/31 dev eth1"]);
    }

    #[test]
    fn a_bridge_filters_by_the_tags_that_the_administrator_says() {
        let bridge = "vmbr0".parse().expect("a name");
        let own = "iface vmbr0 inet manual\n\tbridge-ports eth0\n\tbridge-vlan-protocol 802.1ad\n";
        for (own, protocol) in [(own, "802.1ad"), ("iface vmbr0 inet manual\n", "802.1Q")] {
            let said = super::vlan_protocol(&bridge, own).arguments.join(" ");
            assert_eq!(said, format!("link set dev vmbr0 type bridge vlan_protocol {protocol}"));
        }
    }

    #[test]
    fn steps_are_programs_with_their_words() {
        let interfaces = vec!["vxlan_va".parse().expect("a name"), "va".parse().expect("a name")];
        assert_eq!(
            words(&NetworkStep::Up { interfaces }),
            ["setpriv --pdeathsig KILL unshare --pid --fork --kill-child=KILL -- ifup vxlan_va va"]
        );
        let (port, bridge) = ("tap1i0".to_owned(), "va".to_owned());
        let step = NetworkStep::ReturnPort { port: port.clone(), bridge, up: true };
        assert_eq!(words(&step), ["ip link set dev tap1i0 master va up"]);
        let flags = [("flood", false), ("isolated", true), ("--help", true)];
        let flags = flags.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        let step = NetworkStep::SetPortFlags { port: port.clone(), flags };
        assert_eq!(words(&step), ["bridge link set dev tap1i0 flood off isolated on"]);
        let one = PortVlan { first: 1, last: 1, pvid: true, untagged: true };
        let more = PortVlan { first: 2, last: 9, pvid: false, untagged: false };
        let step = NetworkStep::SetPortVlans { port, remove: vec![one], add: vec![one, more] };
        assert_eq!(
            words(&step),
            [
                "bridge vlan del dev tap1i0 vid 1",
                "bridge vlan add dev tap1i0 vid 1 pvid untagged",
                "bridge vlan add dev tap1i0 vid 2-9",
            ]
        );
        let rule = "iptables -t raw -I PREROUTING -i fwbr+ -j CT --zone 1".parse().expect("a rule");
        assert_eq!(
            words(&NetworkStep::RemoveRule(rule)),
            ["iptables -w 5 -t raw -D PREROUTING -i fwbr+ -j CT --zone 1"]
        );
    }
}
