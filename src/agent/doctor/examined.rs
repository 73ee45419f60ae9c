//! What was found on a machine, as plain data, so that a report of trouble is a test.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::filter::InputFilter;
use super::needs::Needs;
use crate::facts::Route;
use crate::host::{Entry, Room};
use crate::sync::KeyFingerprint;
use crate::value::{IfName, ObjectId};

/// What was found, or why nothing could be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Looked<T> {
    /// It was looked at.
    Seen(T),
    /// Why it could not be looked at.
    Unseen(String),
}

impl<T> Looked<T> {
    /// In a report of a version that did not look at it.
    fn not_asked() -> Self {
        Self::Unseen("nobody looked at it".to_owned())
    }

    /// What was seen, if anything was.
    pub fn seen(&self) -> Option<&T> {
        match self {
            Self::Seen(found) => Some(found),
            Self::Unseen(_) => None,
        }
    }
}

/// A machine as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Examined {
    /// The machine's clock when it was looked at.
    pub now: Timestamp,
    /// Whether this is a directory that stands for a machine: the owners of its files
    /// say nothing.
    pub dry: bool,
    /// The operating system.
    pub system: Looked<System>,
    /// The installed packages among [`PACKAGES`], with their versions.
    pub packages: Looked<BTreeMap<String, String>>,
    /// The interfaces that systemd-networkd configures; none where it does not run.
    pub networkd: Looked<BTreeSet<String>>,
    /// The interfaces that `NetworkManager` configures; none where it does not run.
    pub network_manager: Looked<BTreeSet<String>>,
    /// Whether there is a configuration of networks of Proxmox VE, in `/etc/pve/sdn`.
    #[serde(default = "Looked::not_asked")]
    pub proxmox_configuration: Looked<bool>,
    /// Whether FRR answers `vtysh`; `None` where it does not run.
    #[serde(default = "Looked::not_asked")]
    pub frr_answers: Looked<Option<bool>>,
    /// Whether the dnsmasq that serves the whole machine runs.
    pub dnsmasq_runs: Looked<bool>,
    /// What `/etc/network/interfaces` reads besides itself; `None` where it is missing.
    pub sources: Looked<Option<Sources>>,
    /// The MTUs that `/etc/network/interfaces` itself names.
    #[serde(default = "Looked::not_asked")]
    pub own_mtus: Looked<BTreeMap<IfName, u32>>,
    /// `multiple_vlan_aware_bridge_support` of ifupdown2, and its file is there.
    pub many_vlan_aware_bridges: Looked<bool>,
    /// Whether `/etc/iproute2/rt_tables.d` is there.
    pub route_tables_directory: Looked<bool>,
    /// The kernel's modules among [`MODULES`].
    pub modules: Looked<BTreeMap<String, Presence>>,
    /// Whether bridges of this kernel can tell VLANs apart.
    pub vlan_filtering: Looked<bool>,
    /// Who sets the clock.
    pub clock: Looked<Clock>,
    /// `/etc/weft/agent.yaml`.
    pub settings: Looked<SettingsFile>,
    /// The keys that count no more here.
    pub revoked: Looked<BTreeSet<KeyFingerprint>>,
    /// What is known of trust.
    pub anchor: Looked<KnownTrust>,
    /// `/etc/weft`, what is in it, and what the settings name elsewhere.
    pub own_files: Looked<Vec<OwnFile>>,
    /// The files that the settings name and that are not there.
    pub missing_files: BTreeSet<Utf8PathBuf>,
    /// Whether the user of the fetch process is there.
    pub fetch_user: Looked<bool>,
    /// The version of Landlock's rules that hold for the fetch process; 0 where the kernel
    /// has none.
    pub landlock: Looked<u32>,
    /// When the last key of the role `root` ends, by the newest trusted commit; `None` where
    /// one never does.
    #[serde(default = "Looked::not_asked")]
    pub root_end: Looked<Option<Timestamp>>,
    /// What the remotes answered.
    pub remotes: Looked<Vec<RemoteAnswer>>,
    /// The directories that weft writes to.
    pub rooms: BTreeMap<Utf8PathBuf, Looked<Room>>,
    /// The filters that every packet to this machine passes; all of them must accept.
    pub filters: Looked<Vec<InputFilter>>,
    /// The network interfaces.
    pub links: Looked<BTreeMap<IfName, Link>>,
    /// `net.ipv4.conf.all.rp_filter`.
    pub rp_filter_all: Looked<u8>,
    /// `net.ipv6.conf.all.forwarding`.
    #[serde(default = "Looked::not_asked")]
    pub forwarding_v6: Looked<bool>,
    /// The routes that a packet of this machine can take.
    pub routes: Looked<Vec<Route>>,
    /// What the network files of the machine ask for, whoever wrote them; `None` where
    /// there are none.
    pub needs: Looked<Option<Needs>>,
}

/// The packages that are asked for.
pub const PACKAGES: &[&str] = &[
    "dnsmasq",
    "dnsmasq-base",
    "frr",
    "frr-pythontools",
    "ifupdown",
    "ifupdown2",
    "iptables",
    "pve-manager",
];

/// The modules of the kernel that are asked for, as `/sys/module` writes them.
pub const MODULES: &[&str] = &["8021q", "bridge", "ip_tables", "nf_tables", "vrf", "vxlan"];

/// An operating system, by `/usr/lib/os-release`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Its `ID`, such as `debian`.
    pub id: String,
    /// Its `VERSION_ID`, such as `13`; Debian's testing has none.
    pub version: Option<String>,
}

/// What `/etc/network/interfaces` reads besides itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    /// The patterns of its `source` lines.
    pub patterns: Vec<String>,
    /// The directories of its `source-directory` lines, which ifupdown2 ignores.
    pub directories: Vec<String>,
}

/// Where a module of the kernel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// Part of the running kernel.
    BuiltIn,
    /// Loaded.
    Loaded,
    /// A file that is loaded when it is wanted.
    Loadable,
    /// Nowhere.
    Missing,
    /// Not loaded, and where it would lie cannot be seen: a container sees the kernel
    /// of its host and not the modules.
    Unknown,
}

/// What sets the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// Whether a time service is installed that systemd knows.
    pub has_service: bool,
    /// Whether the clock is synchronised.
    pub synchronised: bool,
}

/// The state of `/etc/weft/agent.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SettingsFile {
    /// There is none: the node is not introduced.
    Missing,
    /// It is legal.
    Legal,
    /// It is not; each text is one finding with its place.
    Wrong(Vec<String>),
}

/// What a node knows of trust.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KnownTrust {
    /// No commit was accepted so far.
    Nothing,
    /// The newest commit that was accepted.
    Commit {
        /// The commit.
        commit: ObjectId,
        /// Its committer time.
        committed: Timestamp,
        /// The one of the two files that is broken while the other serves.
        broken: Option<Utf8PathBuf>,
    },
    /// It cannot be relied on.
    Damaged {
        /// Why.
        message: String,
        /// What to do; empty where the message says it.
        help: String,
    },
    /// It was made under other settings.
    Other {
        /// What differs.
        message: String,
        /// What to do.
        help: String,
    },
}

/// A file of `/etc/weft`, or one that the settings name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnFile {
    /// Its path.
    pub path: Utf8PathBuf,
    /// What it is, and whose.
    pub entry: Entry,
    /// Whether it holds a private key, or the settings name it as a secret.
    pub secret: bool,
}

/// What one remote answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteAnswer {
    /// Its name in the settings.
    pub name: String,
    /// The tip of the branch, or why there is none.
    pub answer: Result<ObjectId, RemoteTrouble>,
}

/// Why a remote gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteTrouble {
    /// The stable name of the class of the failure.
    pub code: String,
    /// The reason.
    pub message: String,
    /// Whether it may work later, although nobody changes a setting.
    pub retry_helps: bool,
}

/// A network interface as the kernel has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its own `rp_filter`. The kernel takes the larger of it and that of `all`.
    pub rp_filter: Option<u8>,
    /// Whether IPv4 packets that come in here are forwarded.
    pub forwarding: Option<bool>,
}
