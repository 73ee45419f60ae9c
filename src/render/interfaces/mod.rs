//! `/etc/network/interfaces.d/sdn`, as Proxmox writes it (`pve-rendering.md` §1).

mod evpn;
mod fabric;
mod name;
mod qinq;
mod routed;
mod simple;
mod stanza;
mod vlan;
mod vxlan;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::ops::Range;

use self::name::Name;
use self::routed::Outside;
use self::stanza::{Line, Stanza};
use super::{Note, Profile, Subject};
use crate::facts::{Bridge, Facts};
use crate::network::{Network, Vnet, Zone, ZoneKind};
use crate::value::{IfName, NodeName, VnetId, ZoneId};

/// What a VXLAN or EVPN zone without `mtu` gets. The reference means "the underlay's less
/// 50", and never finds the underlay's.
const TUNNEL_MTU: u64 = 1450;

/// What ifupdown2 gives a bridge without `mtu`.
const PLAIN_MTU: u64 = 1500;

/// The file without its version line, and what is known of it.
pub(super) struct Interfaces {
    /// The stanzas, each after an empty line.
    pub text: String,
    /// The vnets that each interface serves; none by what a fabric has.
    pub serves: BTreeMap<IfName, Vec<VnetId>>,
    /// What a person should know, in the order of the vnets.
    pub notes: Vec<Note>,
}

/// The node that is rendered, and for what.
struct Here<'a> {
    network: &'a Network,
    node: &'a NodeName,
    facts: &'a Facts,
    profile: Profile,
    outside: Outside<'a>,
}

/// A zone as one node has it.
trait ZoneType<'a> {
    /// What the zone needs once, as the first vnet of it that is rendered makes it.
    fn zone(&self, _first: &'a Vnet) -> Part<'a> {
        Part::default()
    }

    /// What one vnet needs.
    fn vnet(&self, id: &'a VnetId, vnet: &'a Vnet) -> Result<Part<'a>, LeftOut>;
}

/// Why a vnet has nothing on this node.
#[derive(Clone, Debug)]
struct LeftOut(String);

/// What one vnet or zone needs.
#[derive(Default)]
struct Part<'a> {
    pieces: Vec<Piece<'a>>,
    notes: Vec<String>,
}

/// One thing that the file should hold.
enum Piece<'a> {
    /// A stanza, unless the interface has one.
    Stanza(Stanza<'a>),
    /// A line of ports at the end of the stanza of an Open vSwitch bridge.
    OvsLine(&'a IfName, Name<'a>),
    /// A port in the first line of it.
    OvsPort(&'a IfName, Name<'a>),
}

pub(super) fn render(
    network: &Network,
    node: &NodeName,
    facts: &Facts,
    profile: Profile,
) -> Interfaces {
    let here = Here { network, node, facts, profile, outside: Outside::of(facts) };
    let here = &here;
    let zones = network.zones.iter().filter(|(_, zone)| zone.nodes.contains(node));
    let mut zones: Vec<_> = zones
        .map(|(id, zone)| (Subject::Zone(id.clone()), zone, zone_type(id, zone, here), None))
        .collect();
    let mut vnets: Vec<(&VnetId, &Vnet, usize)> = Vec::new();
    for (number, (_, zone, ..)) in zones.iter().enumerate() {
        vnets.extend(zone.vnets.iter().map(|(id, vnet)| (id, vnet, number)));
    }
    vnets.sort_unstable_by_key(|(id, ..)| *id);

    let mut file = File::default();
    for (id, vnet, number) in vnets {
        let (zone_subject, _, kind, of_zone) = &mut zones[number];
        let subject = || Subject::Vnet(id.clone());
        let part = kind.as_ref().map_err(Clone::clone).and_then(|kind| {
            let part = kind.vnet(id, vnet)?;
            let of_zone = of_zone.get_or_insert_with(|| {
                let part = kind.zone(vnet);
                file.note(|| zone_subject.clone(), part.notes);
                file.take(part.pieces)
            });
            file.serve(of_zone, id);
            Ok(part)
        });
        match part {
            Ok(part) => {
                file.note(subject, part.notes);
                let made = file.take(part.pieces);
                file.serve(&made, id);
            }
            Err(LeftOut(why)) => {
                let message = format!("left out on this node, because {why}");
                file.notes.push(Note::new(subject(), message));
            }
        }
    }
    file.finish(network, node)
}

fn zone_type<'a>(
    id: &'a ZoneId,
    zone: &'a Zone,
    here: &'a Here<'a>,
) -> Result<Box<dyn ZoneType<'a> + 'a>, LeftOut> {
    Ok(match &zone.kind {
        ZoneKind::Simple => Box::new(simple::Simple::new(zone, here)),
        ZoneKind::Vlan(vlan) => Box::new(vlan::Vlan::new(zone, vlan, here)?),
        ZoneKind::Qinq(qinq) => Box::new(qinq::Qinq::new(id, zone, qinq, here)?),
        ZoneKind::Vxlan(vxlan) => Box::new(vxlan::Vxlan::new(zone, vxlan, here)?),
        ZoneKind::Evpn(evpn) => Box::new(evpn::Evpn::new(id, zone, evpn, here)?),
    })
}

/// The file as it grows.
#[derive(Default)]
struct File<'a> {
    stanzas: Vec<Entry<'a>>,
    /// Where each is, in the byte order of the names.
    names: BTreeMap<String, usize>,
    /// The lines of all stanzas, in the order in which they were made.
    lines: String,
    notes: Vec<Note>,
}

/// One stanza.
#[derive(Default)]
struct Entry<'a> {
    lines: Range<usize>,
    /// Lines of ports behind these, where it is of an Open vSwitch bridge.
    ovs_ports: Vec<Vec<Name<'a>>>,
    serves: Vec<VnetId>,
}

impl<'a> File<'a> {
    /// Takes pieces over and says which stanzas they are or belong to.
    fn take(&mut self, pieces: Vec<Piece<'a>>) -> Vec<usize> {
        let take = |piece| match piece {
            Piece::Stanza(Stanza { name, lines }) => self.stanza(name, &lines),
            Piece::OvsLine(bridge, port) => {
                let index = self.stanza(Name::own(bridge), &[]);
                self.stanzas[index].ovs_ports.push(vec![port]);
                index
            }
            Piece::OvsPort(bridge, port) => {
                let index = self.stanza(Name::own(bridge), &[]);
                match self.stanzas[index].ovs_ports.first_mut() {
                    Some(ports) if ports.contains(&port) => {}
                    Some(ports) => ports.push(port),
                    None => self.stanzas[index].ovs_ports.push(vec![port]),
                }
                index
            }
        };
        pieces.into_iter().map(take).collect()
    }

    /// The place of a stanza. An interface that several need is as the first has it.
    fn stanza(&mut self, name: Name<'a>, lines: &[Line<'a>]) -> usize {
        let (stanzas, text) = (&mut self.stanzas, &mut self.lines);
        *self.names.entry(name.text()).or_insert_with(|| {
            let start = text.len();
            for line in lines {
                write_line(text, line);
            }
            stanzas.push(Entry { lines: start..text.len(), ..Entry::default() });
            stanzas.len() - 1
        })
    }

    /// Notes that these stanzas serve a vnet.
    fn serve(&mut self, stanzas: &[usize], vnet: &VnetId) {
        for &index in stanzas {
            let served = &mut self.stanzas[index].serves;
            if served.last() != Some(vnet) {
                served.push(vnet.clone());
            }
        }
    }

    fn note(&mut self, subject: impl Fn() -> Subject, messages: Vec<String>) {
        self.notes.extend(messages.into_iter().map(|message| Note::new(subject(), message)));
    }

    /// The text, with the fabrics behind the zones.
    fn finish(mut self, network: &Network, node: &NodeName) -> Interfaces {
        let mut text = String::with_capacity(self.lines.len() + self.stanzas.len() * 64);
        let mut serves = Vec::with_capacity(self.stanzas.len());
        for (name, index) in self.names {
            let entry = std::mem::take(&mut self.stanzas[index]);
            let lines = &self.lines[entry.lines];
            for part in ["\nauto ", &name, "\niface ", &name, "\n", lines] {
                text.push_str(part);
            }
            for ports in entry.ovs_ports {
                write_line(&mut text, &Line::OvsPorts(ports));
            }
            // What is too long is no interface, and has a note.
            if let Ok(name) = name.parse::<IfName>() {
                serves.push((name, entry.serves));
            }
        }
        let mut serves: BTreeMap<IfName, Vec<VnetId>> = serves.into_iter().collect();
        for stanza in fabric::stanzas(network, node) {
            write!(text, "\n{stanza}").expect("writing to a string does not fail");
            if let Ok(name) = stanza.name.text().parse() {
                serves.entry(name).or_default();
            }
        }
        Interfaces { text, serves, notes: self.notes }
    }
}

fn write_line(text: &mut String, line: &Line<'_>) {
    writeln!(text, "\t{line}").expect("writing to a string does not fail");
}

impl<'a> Part<'a> {
    fn add(&mut self, stanza: Stanza<'a>) {
        self.pieces.push(Piece::Stanza(stanza));
    }

    fn add_ovs_line(&mut self, bridge: &'a IfName, port: Name<'a>) {
        self.pieces.push(Piece::OvsLine(bridge, port));
    }

    fn add_ovs_port(&mut self, bridge: &'a IfName, port: Name<'a>) {
        self.pieces.push(Piece::OvsPort(bridge, port));
    }

    /// What the profile adds for a VLAN that the reference leaves to ifupdown2: a stanza that
    /// says how large packets can be, where that is known.
    fn stanzas_of_profile(&mut self, here: &Here<'_>, name: Name<'a>, mtu: Option<u64>) {
        if let Some(mtu) = here.vlan_mtu(name, mtu) {
            self.add(Stanza { name, lines: vec![mtu] });
        }
    }
}

impl<'a> Here<'a> {
    /// A bridge of the node's own.
    fn bridge(&self, name: &IfName) -> Result<&'a Bridge, LeftOut> {
        let bridge = self.facts.bridge(name);
        bridge.ok_or_else(|| LeftOut(format!("this node has no bridge `{name}`")))
    }

    /// How large packets of an interface of the node's own can be.
    fn mtu_of(&self, name: &IfName) -> Option<u64> {
        self.facts.interface(name.as_str()).map(|interface| interface.mtu.into())
    }

    /// The addresses by which this node answers guests that ask by DHCP. Of one address only,
    /// so that nothing is routed into the vnet by way of the node.
    fn dhcp_server_lines<'b>(&self, vnet: &Vnet) -> impl Iterator<Item = Line<'b>> {
        let address = |address| Line::Address { address: IpAddr::V4(address), prefix_len: 32 };
        vnet.dhcp_servers_on(self.node).map(address)
    }

    /// The line of the profile for a VLAN of an interface. One that is the node's own is not
    /// ours to change.
    fn vlan_mtu<'b>(&self, name: Name<'_>, mtu: Option<u64>) -> Option<Line<'b>> {
        let wanted = mtu.filter(|_| self.profile.vlan_stanzas())?;
        self.facts.interface(&name.text()).is_none().then_some(Line::Mtu(wanted))
    }
}

impl LeftOut {
    fn without_tag() -> Self {
        Self("it has no tag".to_owned())
    }
}

/// What a person should know of a VLAN-aware vnet.
fn vlan_aware_notes(vlan_aware: bool, profile: Profile) -> impl Iterator<Item = String> {
    profile.vlan_aware_notes().filter(move |_| vlan_aware).map(str::to_owned)
}
