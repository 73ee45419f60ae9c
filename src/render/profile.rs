//! Which ifupdown2 a rendering is for, and everything that this changes.
//!
//! With profile `pve` the files are the reference's, byte for byte. Profile `debian`
//! is for the ifupdown2 of Debian itself. [`Difference::ALL`] is the whole of what
//! differs: rendering, `weft explain` and the table of README.md are made from it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Managed;

/// The build of ifupdown2 that loads the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Proxmox VE's own: the files are those that Proxmox VE writes.
    #[default]
    Pve,
    /// Debian's.
    Debian,
}

/// A word that is no profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is no profile: `pve` or `debian`")]
pub struct NoProfile;

impl Profile {
    /// Every profile.
    pub const ALL: &'static [Self] = &[Self::Pve, Self::Debian];

    /// The word of each, in the same order.
    pub const WORDS: &'static [&'static str] = &[Self::Pve.as_str(), Self::Debian.as_str()];

    /// The word in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pve => "pve",
            Self::Debian => "debian",
        }
    }

    /// What differs from the reference.
    pub const fn differences(self) -> &'static [Difference] {
        match self {
            Self::Pve => &[],
            Self::Debian => Difference::ALL,
        }
    }

    /// The lines that every bridge has more than the reference's.
    pub(super) fn bridge_lines(self) -> impl Iterator<Item = &'static str> {
        self.differences().iter().filter_map(|difference| match &difference.effect {
            Effect::BridgeLine(line) => Some(*line),
            _ => None,
        })
    }

    /// The files that the reference does not write. `dhcp` says whether a zone of the node
    /// has a dnsmasq.
    pub(super) fn files(self, dhcp: bool) -> impl Iterator<Item = (Managed, String)> {
        self.differences().iter().filter_map(move |difference| match &difference.effect {
            Effect::File(managed, text) => Some((managed.clone(), (*text).to_owned())),
            Effect::DhcpFile(managed, text) if dhcp => Some((managed.clone(), (*text).to_owned())),
            _ => None,
        })
    }

    /// What is said of every VLAN-aware bridge.
    pub(super) fn vlan_aware_notes(self) -> impl Iterator<Item = &'static str> {
        self.differences().iter().filter_map(|difference| match &difference.effect {
            Effect::VlanAwareNote(note) => Some(*note),
            _ => None,
        })
    }

    /// What is said of every VLAN-aware bridge with a VLAN interface as its port.
    pub(super) fn vlan_port_notes(self) -> impl Iterator<Item = &'static str> {
        self.differences().iter().filter_map(|difference| match difference.effect {
            Effect::VlanPortNote(note) => Some(note),
            _ => None,
        })
    }

    /// Whether the VLAN interfaces below a bridge say what their MTU is.
    pub(super) fn vlan_stanzas(self) -> bool {
        self.differences().iter().any(|difference| difference.effect == Effect::VlanMtu)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Profile {
    type Err = NoProfile;

    fn from_str(text: &str) -> Result<Self, NoProfile> {
        Self::ALL.iter().copied().find(|profile| profile.as_str() == text).ok_or(NoProfile)
    }
}

/// One way in which profile `debian` differs from the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its stable name, for `weft explain`.
    pub code: &'static str,
    /// What is other, in one line.
    pub what: &'static str,
    /// Why Debian's ifupdown2 needs it.
    pub why: &'static str,
    /// What a person should do about it.
    pub fix: &'static str,
    /// What it does to a rendering.
    pub effect: Effect,
}

/// What a difference does to a rendering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Every bridge has this line.
    BridgeLine(&'static str),
    /// There is this file, with this text.
    File(Managed, &'static str),
    /// There is this file, with this text, where a zone has a dnsmasq.
    DhcpFile(Managed, &'static str),
    /// No file differs; every VLAN-aware bridge has this note.
    VlanAwareNote(&'static str),
    /// No file differs; every VLAN-aware bridge with a VLAN interface as its port has this
    /// note.
    VlanPortNote(&'static str),
    /// A VLAN interface that a bridge names as its port has a line with its MTU, in a stanza
    /// of its own where it has none.
    VlanMtu,
}

impl Difference {
    /// Every difference.
    pub const ALL: &'static [Self] = &[
        Self {
            code: "profile-guest-ports",
            what: "every bridge has a line `bridge-ports-condone-regex`, which matches every port but those that weft makes and VLAN interfaces",
            why: "Debian's ifupdown2 takes every port that a stanza does not name out of its bridge, and sets it down, whenever the bridge is looked at: a reload that changes nothing would cut off every guest. The line keeps all ports but those that weft makes and VLAN interfaces, whatever the program that runs the guests calls them.",
            fix: "Nothing. A port that should leave a bridge is taken out by hand: `ip link set PORT nomaster`.",
            effect: Effect::BridgeLine(
                r"bridge-ports-condone-regex ^(?!(vxlan|vrfvx|ln|pr|sv)_[A-Za-z0-9]{2,8}$|.*\.[0-9]+$)",
            ),
        },
        Self {
            code: "profile-route-tables",
            what: "there is `/etc/iproute2/rt_tables.d/weft.conf`, which holds a comment",
            why: "Debian's ifupdown2 keeps its table of VRFs in that directory, which Debian 13 does not ship: every reload but the first fails without it, with guest ports out of their bridges by then.",
            fix: "Nothing. The file names no routing table; the directory stays when the file goes.",
            effect: Effect::File(
                Managed::RouteTables,
                "# Keeps this directory, which ifupdown2 needs. Written by weft.\n",
            ),
        },
        Self {
            code: "profile-dnsmasq-unit",
            what: "where a zone has `dhcp`, there is a drop-in of `dnsmasq@.service`, by which it starts after the network",
            why: "The unit of Debian's dnsmasq starts before the network, where the bridge that it serves is not there yet; Proxmox VE's own package brings such a drop-in.",
            fix: "Nothing. `systemctl cat dnsmasq@ZONE` shows it.",
            effect: Effect::DhcpFile(
                Managed::DnsmasqUnit,
                "# Bridges are there once the network is. Written by weft.\n[Unit]\nRequires=\nAfter=networking.service\n",
            ),
        },
        Self {
            code: "profile-vlan-aware-bridges",
            what: "no file differs; a VLAN-aware bridge has a note that a second one needs `multiple_vlan_aware_bridge_support=1`",
            why: "Debian's ifupdown2 refuses all VLAN-aware bridges of a node but one unless `/etc/network/ifupdown2/ifupdown2.conf` says so. It reads that one file and nothing beside it, so weft could only own the whole of the administrator's file, and does not.",
            fix: "Set `multiple_vlan_aware_bridge_support=1` in `/etc/network/ifupdown2/ifupdown2.conf` on each node that has more than one VLAN-aware bridge, `vmbr0` included.",
            effect: Effect::VlanAwareNote(
                "where this is not the node's only VLAN-aware bridge, ifupdown2 needs `multiple_vlan_aware_bridge_support=1` in /etc/network/ifupdown2/ifupdown2.conf",
            ),
        },
        Self {
            code: "profile-vlan-ports",
            what: "no file differs; a VLAN-aware bridge whose port is a VLAN interface, as that of every QinQ zone without Open vSwitch is, has a note that ifupdown2 refuses it",
            why: "Debian's ifupdown2 refuses a VLAN interface as the port of a VLAN-aware bridge, and has no setting for it.",
            fix: "Use a bridge of Open vSwitch, or an ifupdown2 that takes such a port.",
            effect: Effect::VlanPortNote(
                "Debian's ifupdown2 refuses a VLAN interface as the port of a VLAN-aware bridge",
            ),
        },
        Self {
            code: "profile-vlan-mtu",
            what: "a VLAN interface that a bridge names as its port has its `mtu`, in a stanza of its own where the reference has none: that of the zone, else of the interface that carries it",
            why: "Debian's ifupdown2 makes a VLAN interface that has no stanza with an MTU of 1500, whatever the bridge on top of it says, and larger packets vanish.",
            fix: "Nothing. One that `/etc/network/interfaces` has itself is left as it is there.",
            effect: Effect::VlanMtu,
        },
    ];
}
