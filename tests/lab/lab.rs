//! The lab of one case: an underlay with a host outside, and the nodes on it.

use std::net::Ipv4Addr;

use crate::equivalence::Ifupdown2;
use crate::machine::Machine;
use crate::node::Node;

/// Network of the underlay; node N has its address N.
pub(crate) const UNDERLAY: [u8; 3] = [192, 168, 0];
/// The host outside: gateway of the nodes, and where the git server is.
pub(crate) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 254);
/// An address behind the host outside that no node has a route of its own to.
pub(crate) const BEYOND: Ipv4Addr = Ipv4Addr::new(8, 8, 8, 8);
/// The name by which machines of the lab know the host outside.
pub(crate) const OUTSIDE_NAME: &str = "git.lab.test";

/// The bridge between the nodes, in the lab's own network namespace.
const BRIDGE: &str = "ul";

/// A running lab. It has no end of its own: it goes with the process of the case.
#[derive(Debug)]
pub(crate) struct Lab {
    here: Machine,
    outside: Machine,
}

impl Lab {
    /// Makes the underlay and the host outside.
    #[track_caller]
    pub(crate) fn start() -> Self {
        let here = Machine::here("lab");
        let lines = format!(
            "link set lo up\n\
             link add {BRIDGE} type bridge stp_state 0 forward_delay 0\n\
             link set {BRIDGE} up\n"
        );
        here.command(&["ip", "-batch", "-"]).input(lines).run().ok();
        let lab = Self { here, outside: Machine::start("outside") };
        lab.plug("outside", &lab.outside);
        let lines = format!(
            "addr add {OUTSIDE}/24 dev eth0\naddr add {BEYOND}/32 dev lo\nlink set eth0 up\n"
        );
        lab.outside.command(&["ip", "-batch", "-"]).input(lines).run().ok();
        lab.outside.put("/etc/hosts", hosts());
        lab
    }

    /// Starts node `number`, with ifupdown2 as Proxmox ships it. It is called
    /// `nodeN`, has 192.168.0.N once its network is up, and no network before.
    #[track_caller]
    pub(crate) fn node(&self, number: u8) -> Node {
        self.node_with(number, Ifupdown2::PveEquivalent)
    }

    /// Starts node `number` with the given build of ifupdown2.
    #[track_caller]
    pub(crate) fn node_with(&self, number: u8, ifupdown2: Ifupdown2) -> Node {
        let node = Node::start(number, ifupdown2);
        node.put("/etc/hosts", hosts());
        self.plug(node.name(), &node);
        node
    }

    /// Puts a node's cable in again, which went with its network namespace.
    #[track_caller]
    pub(crate) fn plug_again(&self, node: &Node) {
        // The kernel takes the other end away some time later.
        let _ = self.here.exec(&["ip", "link", "del", &format!("u_{}", node.name())]);
        self.plug(node.name(), node);
    }

    /// Puts a cable between two machines, with these names for its ends.
    #[track_caller]
    pub(crate) fn cable(&self, ends: [(&Machine, &str); 2], mtu: u16) {
        let [(one, name), (other, peer)] = ends;
        let line = format!(
            "link add {name} mtu {mtu} netns {} type veth peer name {peer} netns {} mtu {mtu}\n",
            one.network_path(),
            other.network_path()
        );
        self.here.command(&["ip", "-batch", "-"]).input(line).run().ok();
    }

    /// The lab itself: the namespaces around the underlay.
    pub(crate) fn here(&self) -> &Machine {
        &self.here
    }

    /// The host outside: 192.168.0.254 and, behind it, 8.8.8.8.
    pub(crate) fn outside(&self) -> &Machine {
        &self.outside
    }

    /// Puts a cable between the underlay and eth0 of the machine.
    #[track_caller]
    fn plug(&self, name: &str, machine: &Machine) {
        let lines = format!(
            "link add u_{name} type veth peer name eth0 netns {}\n\
             link set u_{name} master {BRIDGE} up\n",
            machine.network_path()
        );
        self.here.command(&["ip", "-batch", "-"]).input(lines).run().ok();
    }
}

/// Address of node `number` on the underlay.
pub(crate) fn node_address(number: u8) -> Ipv4Addr {
    let [a, b, c] = UNDERLAY;
    Ipv4Addr::new(a, b, c, number)
}

/// What every machine knows of the others.
pub(crate) fn hosts() -> String {
    let nodes: Vec<String> =
        (1..=9).map(|number| format!("{} node{number}\n", node_address(number))).collect();
    format!("127.0.0.1 localhost\n{OUTSIDE} {OUTSIDE_NAME}\n{}", nodes.concat())
}
