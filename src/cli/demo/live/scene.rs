//! The stage of the live demo: two nodes with a cable between them, and two guests.

use std::collections::BTreeMap;
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::guest::{Guest, PORT, Pings, Stream};
use super::network::Network;
use super::node::{Node, REPOSITORY};
use crate::agent::settings;
use crate::cli::demo::expect;
use crate::cli::demo::interrupt::{Interrupted, Lifelines};
use crate::cli::demo::origin::{Origin, failed};
use crate::cli::failure::{Exit, Failure};
use crate::plan::{Link, Make, NetworkStep};
use crate::value::{IfName, ObjectId};

/// The names of the nodes.
const NAMES: [&str; 2] = ["node1", "node2"];
/// What 1500 bytes of the underlay leave to a guest behind VXLAN.
const MTU: u32 = 1450;
/// The vnet of the guests.
pub(super) const FRONT: &str = "front";

pub(super) struct Scene {
    // Fields go in this order: the guests before the nodes, and these before the directory.
    stream: Option<Stream>,
    guests: Vec<Guest>,
    nodes: Vec<Node>,
    /// Where the cables of the second network end. Nothing joins them.
    switch: Network,
    pub(super) interrupted: Interrupted,
    pub(super) origin: Origin,
    lifelines: Lifelines,
    /// The commit that makes the first vnets.
    pub(super) first: Option<ObjectId>,
    /// What each node's kernel had when the guests came.
    pub(super) first_links: Vec<BTreeMap<String, Link>>,
}

/// What `weft sync` came to on a node.
pub(super) struct Synced {
    pub(super) node: &'static str,
    /// The exit status.
    pub(super) exit: Option<i32>,
    pub(super) status: Json,
    pub(super) took: Duration,
}

impl Synced {
    /// What the node says of itself.
    pub(super) fn message(&self) -> &str {
        self.status["message"].as_str().unwrap_or("weft said nothing that can be read")
    }

    /// The commit that the node runs.
    pub(super) fn runs(&self) -> &str {
        self.status["running"]["commit"]["commit"].as_str().unwrap_or_default()
    }

    /// The codes of what is refused.
    pub(super) fn codes(&self) -> impl Iterator<Item = &str> {
        let refused = self.status["refused"].as_array().into_iter().flatten();
        refused.filter_map(|refused| refused["code"].as_str())
    }
}

impl Scene {
    /// An empty stage.
    pub(super) fn set() -> Result<Self, Failure> {
        let lifelines = Lifelines::default();
        let interrupted = Interrupted::watch(&lifelines).map_err(|error| failed(&error))?;
        Ok(Self {
            stream: None,
            guests: Vec::new(),
            nodes: Vec::new(),
            switch: Network::new().map_err(|error| failed(&error))?,
            interrupted,
            origin: Origin::set()?,
            lifelines,
            first: None,
            first_links: Vec::new(),
        })
    }

    /// Starts the nodes: each has a cable to the other, one to a switch that connects nobody,
    /// and settings.
    pub(super) fn start_nodes(&mut self) -> Result<(), Failure> {
        let introduction = self.origin.introduction()?;
        for (index, node) in NAMES.into_iter().enumerate() {
            let (root, repository) =
                (self.origin.path()?.join(node), self.origin.repository_path()?);
            self.nodes.push(Node::start(node, &root, &repository, &self.lifelines)?);
            let (own, other) = (index + 1, 2 - index);
            let settings = format!(
                "cluster: small\nnode: {node}\nmode: apply\nengine: native\nallow-file: true\n\
                 remotes:\n  - {{name: origin, url: \"file://{REPOSITORY}\"}}\n\
                 confirm: {{settle: 1s, window: 8s, long-window: 8s, coordinated-window: 8s, reserve: 20s}}\n\
                 probes:\n  guest: {{tcp: \"10.0.0.1{other}:{PORT}\"}}\n{introduction}"
            );
            let interfaces = format!(
                "auto lo\niface lo inet loopback\n\n\
                 auto eth0\niface eth0 inet static\n\taddress 192.0.2.{own}/24\n\n\
                 auto eth1\niface eth1 inet static\n\taddress 198.51.100.{own}/24\n\n\
                 source /etc/network/interfaces.d/*\n"
            );
            let files = [(settings::PATH, &*settings), ("/etc/network/interfaces", &*interfaces)];
            self.nodes[index].write(&files)?;
        }
        let [one, other] = self.nodes.as_slice() else { return Ok(()) };
        let (eth0, eth1, switch) = (name("eth0")?, name("eth1")?, &self.switch);
        let ends = ((&eth0, one.network.file()), (&eth0, other.network.file()));
        one.network.lay(ends.0, ends.1)?;
        for (node, own) in self.nodes.iter().zip(1..) {
            let port = name(node.name)?;
            let ends = ((&eth1, node.network.file()), (&port, switch.file()));
            node.network.lay(ends.0, ends.1)?;
            switch.change(&[up(node.name)?])?;
            node.network.change(&[
                up("lo")?,
                address("eth0", &format!("192.0.2.{own}/24"))?,
                up("eth0")?,
                address("eth1", &format!("198.51.100.{own}/24"))?,
                up("eth1")?,
            ])?;
        }
        Ok(())
    }

    /// Starts a guest on each node, and a port of the node's own beside it, by which the node
    /// looks whether the other one's guest answers. The guests ping from now on.
    pub(super) fn start_guests(&mut self) -> Result<(), Failure> {
        let (front, port) = (name(FRONT)?, name("tap101i0")?);
        for (node, own) in self.nodes.iter().zip(1..) {
            let guest_address = std::net::Ipv4Addr::new(10, 0, 0, 10 + own);
            self.guests.push(Guest::start(&node.network, &port, &front, guest_address, MTU)?);
            let (look, peer) = (name("look0")?, name("look1")?);
            node.network.change(&[
                NetworkStep::Create {
                    interface: look.clone(),
                    make: Make::Veth { peer: peer.clone() },
                },
                NetworkStep::SetMtu { interface: look, mtu: MTU },
                NetworkStep::SetMtu { interface: peer.clone(), mtu: MTU },
                NetworkStep::SetMaster { interface: peer, master: Some(front.clone()) },
                address("look0", &format!("10.0.0.{own}/24"))?,
                up("look0")?,
                up("look1")?,
            ])?;
        }
        let [one, other] = self.guests.as_slice() else { return Ok(()) };
        self.stream.insert(one.ping(other)?).wait()?;
        self.first_links = self.links()?;
        Ok(())
    }

    /// `weft sync` on both nodes at the same time.
    pub(super) fn sync(&self) -> Result<Vec<Synced>, Failure> {
        let sync = |node: &Node| {
            let begun = Instant::now();
            let output = node.weft(&["--json", "sync"])?;
            read(node.name, &output, begun.elapsed())
        };
        thread::scope(|scope| {
            let turns: Vec<_> =
                self.nodes.iter().map(|node| scope.spawn(move || sync(node))).collect();
            let ended = turns.into_iter().map(|turn| match turn.join() {
                Ok(synced) => synced,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            ended.collect()
        })
    }

    /// What became of the pings since the last count.
    pub(super) fn pings(&mut self) -> Result<Pings, Failure> {
        let none = || Failure::new(Exit::Failed, "no guest pings");
        self.stream.as_mut().map(Stream::count).ok_or_else(none)
    }

    /// Waits until the guests reach each other.
    pub(super) fn wait(&mut self) -> Result<(), Failure> {
        self.stream.as_mut().map_or(Ok(()), Stream::wait)
    }

    /// The interfaces of each node, without what the kernel draws anew for what is made anew.
    pub(super) fn links(&self) -> Result<Vec<BTreeMap<String, Link>>, Failure> {
        let kernels = self.nodes.iter().map(|node| node.network.kernel());
        kernels
            .map(|kernel| {
                let mut links = kernel?.links;
                for link in links.values_mut() {
                    (link.index, link.mac) = (0, None);
                }
                Ok(links)
            })
            .collect()
    }
}

fn read(node: &'static str, output: &Output, took: Duration) -> Result<Synced, Failure> {
    let document: Result<Json, _> = serde_json::from_slice(&output.stdout);
    let status = document.ok().map(|mut document| document["status"].take());
    let said = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let status = status.filter(Json::is_object);
    let text = || String::from_utf8_lossy(&output.stdout).trim().to_owned();
    expect(
        status.is_some(),
        format!("{node}: weft ended with {}: {}{}", output.status, text(), said()),
    )?;
    Ok(Synced { node, exit: output.status.code(), status: status.unwrap_or_default(), took })
}

fn name(text: &str) -> Result<IfName, Failure> {
    text.parse().map_err(|error| failed(&error))
}

fn up(interface: &str) -> Result<NetworkStep, Failure> {
    Ok(NetworkStep::SetUp { interface: name(interface)? })
}

fn address(interface: &str, address: &str) -> Result<NetworkStep, Failure> {
    let address = address.parse().map_err(|error| failed(&error))?;
    Ok(NetworkStep::AddAddress { interface: name(interface)?, address })
}
