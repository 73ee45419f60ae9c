//! A guest: a network namespace in the place of a virtual machine. Its port on the node
//! has the name that Proxmox gives to ports of guests, and is put into the bridge by
//! hand, as Proxmox does when a guest starts.

use std::ops::Deref;
use std::time::Duration;

use crate::command::Output;
use crate::lab::Lab;
use crate::machine::Machine;
use crate::node::Node;
use crate::wait::wait_until;

/// Time for a first answer: bridges learn, and neighbours are asked for.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A running guest. All that can be done on a [`Machine`] can be done on it; it shares
/// the lab's files.
#[derive(Debug)]
pub(crate) struct Guest {
    machine: Machine,
    number: u32,
}

impl Deref for Guest {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.machine
    }
}

/// What a guest is to be.
#[derive(Debug, Clone)]
#[must_use = "nothing is there before `start`"]
pub(crate) struct GuestPlan {
    number: u32,
    address: Option<String>,
    gateway: Option<String>,
    mtu: u16,
    isolated: bool,
}

impl Guest {
    /// A guest with this number, no address, and an MTU of 1500.
    pub(crate) fn plan(number: u32) -> GuestPlan {
        GuestPlan { number, address: None, gateway: None, mtu: 1500, isolated: false }
    }

    /// Name of its port on the node.
    pub(crate) fn port(&self) -> String {
        port(self.number)
    }

    /// Waits until `address` answers a ping; the case fails when it does not.
    #[track_caller]
    pub(crate) fn reaches(&self, address: &str) {
        wait_until(ANSWER_LIMIT, &format!("{} gets an answer from {address}", self.name()), || {
            self.ping(address, &[]).success()
        });
    }

    /// Waits until `address` answers a packet of `mtu` bytes that nobody may cut up; the
    /// case fails when it does not.
    #[track_caller]
    pub(crate) fn reaches_whole(&self, address: &str, mtu: u16) {
        self.reaches(address);
        // The headers of IP and ICMP.
        let headers = if address.contains(':') { 48 } else { 28 };
        let size = (mtu - headers).to_string();
        let answer = self.ping(address, &["-M", "do", "-s", &size]);
        assert!(answer.success(), "{} gets no answer of {mtu} bytes from {address}", self.name());
    }

    /// The case fails when `address` answers a ping. Whether there is somebody who could
    /// has to be seen otherwise.
    #[track_caller]
    pub(crate) fn does_not_reach(&self, address: &str) {
        let answer = self.ping(address, &[]);
        assert!(!answer.success(), "{} gets an answer from {address}", self.name());
    }

    /// One ping, one second, with more options.
    #[track_caller]
    pub(crate) fn ping(&self, address: &str, options: &[&str]) -> Output {
        let mut words = vec!["ping", "-n", "-c", "1", "-W", "1"];
        words.extend(options);
        words.push(address);
        self.exec(&words)
    }
}

impl GuestPlan {
    /// Gives it an address with its length, `10.0.0.9/24`.
    pub(crate) fn address(mut self, address: &str) -> Self {
        self.address = Some(address.to_owned());
        self
    }

    /// Gives it a default route.
    pub(crate) fn gateway(mut self, gateway: &str) -> Self {
        self.gateway = Some(gateway.to_owned());
        self
    }

    /// Sets the MTU at both ends of its cable.
    pub(crate) fn mtu(mut self, mtu: u16) -> Self {
        self.mtu = mtu;
        self
    }

    /// Isolates its port, as Proxmox does on a vnet with `isolate-ports`.
    pub(crate) fn isolated(mut self) -> Self {
        self.isolated = true;
        self
    }

    /// Starts it on `node`, with its port in `bridge`.
    #[track_caller]
    pub(crate) fn start(&self, lab: &Lab, node: &Node, bridge: &str) -> Guest {
        let Self { number, mtu, .. } = *self;
        let machine = Machine::start_network(&format!("guest{number}"));
        let port = port(number);
        // As Proxmox makes the MACs of guests: its own prefix, then what is free.
        let [_, a, b, c] = number.to_be_bytes();
        let plug = format!(
            "link add {port} mtu {mtu} netns {} type veth \
             peer name eth0 netns {} mtu {mtu} address bc:24:11:{a:02x}:{b:02x}:{c:02x}\n",
            node.network_path(),
            machine.network_path()
        );
        lab.here().command(&["ip", "-batch", "-"]).input(plug).run().ok();
        node.exec(&["ip", "link", "set", &port, "master", bridge, "up"]).ok();
        if self.isolated {
            node.exec(&["bridge", "link", "set", "dev", &port, "isolated", "on"]).ok();
        }
        let address = self.address.iter().map(|address| format!("addr add {address} dev eth0\n"));
        let route = self.gateway.iter().map(|gateway| format!("route add default via {gateway}\n"));
        let lines: String = address.chain(["link set eth0 up\n".to_owned()]).chain(route).collect();
        machine.command(&["ip", "-batch", "-"]).input(lines).run().ok();
        Guest { machine, number }
    }
}

fn port(number: u32) -> String {
    format!("tap{number}i0")
}
