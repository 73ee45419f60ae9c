//! `weft doctor`: whether a machine can be a node, and what mends it where it cannot.
//!
//! [`examine`] looks at a machine and judges nothing; [`diagnose`] judges what was
//! found and looks at nothing. What lies between them is plain data.

mod examine;
pub mod examined;
pub mod filter;
mod judge;
pub mod needs;
pub mod read;

use serde::Serialize;

pub use examine::{Examination, examine};
pub use examined::{Examined, Looked};
pub use judge::diagnose;

/// How it is with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Could not be looked at.
    Skipped,
    /// Works, and will surprise somebody.
    Warning,
    /// Does not work.
    Error,
}

impl Severity {
    /// The word that is printed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// What was judged.
    pub code: Code,
    /// How it is.
    pub severity: Severity,
    /// One sentence that says so.
    pub message: String,
    /// The command that mends it, for a shell of root. There where something is wrong.
    pub mend: Option<String>,
}

macro_rules! codes {
    ($($area:ident $title:literal { $($variant:ident $id:literal $what:literal;)* })*) => {
        /// What is judged. The names are stable, and never reused for something else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $what] $variant,)*)*
        }

        /// What belongs together for a reader.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Area {
            $(#[doc = $title] $area,)*
        }

        impl Code {
            /// Every code, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$($(Self::$variant,)*)*];

            /// The name as it is printed, such as `source-line`.
            pub const fn as_str(self) -> &'static str {
                match self { $($(Self::$variant => $id,)*)* }
            }

            /// What is judged, in one line.
            pub const fn title(self) -> &'static str {
                match self { $($(Self::$variant => $what,)*)* }
            }

            /// Where it is shown.
            pub const fn area(self) -> Area {
                match self { $($(Self::$variant => Area::$area,)*)* }
            }
        }

        impl Area {
            /// Its heading.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$area => $title,)* }
            }
        }
    };
}

codes! {
    System "system" {
        Profile "profile" "the operating system, and the profile that fits it";
        Ifupdown2 "ifupdown2" "the program that makes interfaces";
        Networkd "networkd" "systemd-networkd keeps off weft's interfaces";
        NetworkManager "network-manager" "`NetworkManager` keeps off weft's interfaces";
        Frr "frr" "the routing daemon, where one is needed";
        FrrAnswers "frr-answers" "the routing daemon says what it does, where it runs";
        Dnsmasq "dnsmasq" "the DHCP server, where one is needed";
        Iptables "iptables" "the program of source NAT, where there is any";
    }
    Files "files of the network" {
        SourceLine "source-line" "`/etc/network/interfaces` reads weft's file";
        RouteTables "route-tables" "the directory in which ifupdown2 numbers VRFs";
        VlanAwareBridges "vlan-aware-bridges" "ifupdown2 makes more than one VLAN-aware bridge";
    }
    Kernel "kernel" {
        KernelBridge "kernel-bridge" "the kernel has bridges";
        KernelVxlan "kernel-vxlan" "the kernel has VXLAN";
        KernelVlan "kernel-vlan" "the kernel has VLAN interfaces";
        KernelVrf "kernel-vrf" "the kernel has VRFs";
        KernelNat "kernel-nat" "the kernel has tables for source NAT";
        KernelVlanFiltering "kernel-vlan-filtering" "bridges of the kernel tell VLANs apart";
    }
    Clock "clock" {
        ClockSynchronised "clock-synchronised" "the clock is set by a time service";
        ClockBehind "clock-behind" "the clock is not before the newest trusted commit";
    }
    Trust "settings and trust" {
        Settings "settings" "`/etc/weft/agent.yaml` is there and legal";
        ProxmoxConfiguration "proxmox-configuration" "what is done about Proxmox's own configuration of the network";
        Introduction "introduction" "the introduction is one of this cluster, not the example's";
        Revoked "revoked" "`/etc/weft/revoked` says which keys count no more";
        Anchor "anchor" "the newest trusted commit is known";
        RootKeys "root-keys" "somebody can change the trust files, next month too";
        NamedFiles "named-files" "files that the settings name are there";
        FileOwner "file-owner" "the files of weft are root's";
        FileWritable "file-writable" "nobody else writes to the files of weft";
        SecretReadable "secret-readable" "nobody else reads secrets of weft";
        FetchUser "fetch-user" "what talks to remotes has a user of its own";
        FetchLandlock "fetch-landlock" "the kernel confines what talks to remotes";
        Remote "remote" "the remotes can be reached";
    }
    Disk "disk" {
        DiskWritable "disk-writable" "weft can write its state and the files of the network";
        DiskSpace "disk-space" "there is room for state and a way back";
    }
    Network "network" {
        NodeDeclared "node-declared" "the declarations know this node";
        Firewall "firewall" "packets of tunnels and protocols get in";
        RpFilter "rp-filter" "the kernel takes packets whose way back is another one";
        Forwarding "forwarding" "answers to guests are forwarded";
        Mtu "mtu" "the underlay has room for what tunnels add";
    }
}

impl Area {
    /// Why it is looked at.
    pub const fn why(self) -> &'static str {
        match self {
            Self::System => {
                "weft makes files; programs of the system make a network of them. One that is \
                 missing, too old or in the way is found before a commit needs it."
            }
            Self::Files => "What is rendered has an effect only where ifupdown2 reads it.",
            Self::Kernel => "What the kernel of a node lacks, no declaration can bring.",
            Self::Clock => {
                "Signatures and keys are judged by time: a clock that is wrong refuses good commits."
            }
            Self::Trust => {
                "Whoever can write these files decides what the node runs; whoever can read its \
                 secrets can pass for it."
            }
            Self::Disk => "A change is begun only where its way back can be kept.",
            Self::Network => {
                "A tunnel that is up and carries nothing is the failure that is found last."
            }
        }
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
