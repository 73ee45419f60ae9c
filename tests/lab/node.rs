//! A node: Debian 13 with a root, a network and processes of its own.

use std::fs;
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::time::Duration;

use crate::command::Output;
use crate::equivalence::{self, Ifupdown2};
use crate::lab::{OUTSIDE, node_address};
use crate::machine::Machine;

/// Where Proxmox writes the stanzas of its SDN.
pub(crate) const SDN_FILE: &str = "/etc/network/interfaces.d/sdn";

/// Time for one run of ifupdown2.
const IFRELOAD_LIMIT: Duration = Duration::from_secs(30);

/// A node of the lab. All that can be done on a [`Machine`] can be done on it.
#[derive(Debug)]
pub(crate) struct Node {
    machine: Machine,
    number: u8,
}

impl Deref for Node {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl Node {
    /// Starts the node without its cable; [`crate::lab::Lab::node`] is what cases use.
    #[track_caller]
    pub(crate) fn start(number: u8, ifupdown2: Ifupdown2) -> Self {
        let name = format!("node{number}");
        let node = Self::on(Machine::start(&name), number);
        node.prepare(ifupdown2);
        node
    }

    /// The node that a machine is already.
    pub(crate) fn on(machine: Machine, number: u8) -> Self {
        Self { machine, number }
    }

    /// Its machine.
    pub(crate) fn machine(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// Puts on its disk what a new node has.
    #[track_caller]
    pub(crate) fn prepare(&self, ifupdown2: Ifupdown2) {
        let machine = &self.machine;
        machine.put("/etc/hostname", format!("{}\n", machine.name()));
        // What systemd-tmpfiles makes at boot.
        machine.put("/run/network/ifstate", "");
        machine.put("/etc/network/interfaces", interfaces(self.number));
        machine.put(SDN_FILE, "");
        equivalence::prepare(machine, ifupdown2);
    }

    /// Its address on the underlay.
    pub(crate) fn address(&self) -> Ipv4Addr {
        node_address(self.number)
    }

    /// Brings its network up as at boot.
    #[track_caller]
    pub(crate) fn boot_network(&self) {
        self.ifreload().ok();
    }

    /// `ifreload -a`, whatever its status.
    #[track_caller]
    pub(crate) fn ifreload(&self) -> Output {
        self.command(&["ifreload", "-a"]).within(IFRELOAD_LIMIT).run()
    }

    /// The bridge or other device that `port` belongs to, as the kernel has it.
    pub(crate) fn master(&self, port: &str) -> Option<String> {
        let link = self.inside(|| fs::read_link(format!("/sys/class/net/{port}/master"))).ok()?;
        Some(link.file_name()?.to_string_lossy().into_owned())
    }
}

/// The administrator's own file, as Proxmox' installer writes it.
fn interfaces(number: u8) -> String {
    format!(
        "auto lo\niface lo inet loopback\n\n\
         iface eth0 inet manual\n\n\
         auto vmbr0\niface vmbr0 inet static\n\
         \taddress {}/24\n\
         \tgateway {OUTSIDE}\n\
         \tbridge-ports eth0\n\
         \tbridge-stp off\n\
         \tbridge-fd 0\n\n\
         source /etc/network/interfaces.d/*\n",
        node_address(number)
    )
}
