//! The kinds of objects that Proxmox keeps, each in a file of its own
//! (`pve-ondisk.md`, the first table and §1).

/// One kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Zones.
    Zones,
    /// Vnets.
    Vnets,
    /// Subnets.
    Subnets,
    /// Controllers.
    Controllers,
    /// Fabrics and their nodes.
    Fabrics,
    /// Route maps of Proxmox VE 9.2 and later.
    RouteMaps,
    /// Prefix lists of Proxmox VE 9.2 and later.
    PrefixLists,
    /// IPAM servers. In no running configuration.
    Ipams,
    /// DNS servers. In no running configuration.
    Dns,
}

/// Who writes a file, and how it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// What cannot be understood is skipped with a warning.
    Perl,
    /// What cannot be understood makes the file unusable.
    Rust,
}

impl Kind {
    /// The kinds that take effect when somebody applies them.
    pub const APPLIED: &'static [Self] = &[
        Self::Zones,
        Self::Vnets,
        Self::Subnets,
        Self::Controllers,
        Self::Fabrics,
        Self::RouteMaps,
        Self::PrefixLists,
    ];

    /// The key of the running configuration, and the name of the file without `.cfg`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Zones => "zones",
            Self::Vnets => "vnets",
            Self::Subnets => "subnets",
            Self::Controllers => "controllers",
            Self::Fabrics => "fabrics",
            Self::RouteMaps => "route-maps",
            Self::PrefixLists => "prefix-lists",
            Self::Ipams => "ipams",
            Self::Dns => "dns",
        }
    }

    /// One object of this kind, for a person.
    pub fn one(self) -> &'static str {
        match self {
            Self::Zones => "zone",
            Self::Vnets => "vnet",
            Self::Subnets => "subnet",
            Self::Controllers => "controller",
            Self::Fabrics => "fabric",
            Self::RouteMaps => "route map entry",
            Self::PrefixLists => "prefix list",
            Self::Ipams => "IPAM",
            Self::Dns => "DNS server",
        }
    }

    /// The file below `/etc/pve/sdn`.
    pub fn file(self) -> &'static str {
        match self {
            Self::Zones => "zones.cfg",
            Self::Vnets => "vnets.cfg",
            Self::Subnets => "subnets.cfg",
            Self::Controllers => "controllers.cfg",
            Self::Fabrics => "fabrics.cfg",
            Self::RouteMaps => "route-maps.cfg",
            Self::PrefixLists => "prefix-lists.cfg",
            Self::Ipams => "ipams.cfg",
            Self::Dns => "dns.cfg",
        }
    }

    /// Who writes the file.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::Fabrics | Self::RouteMaps | Self::PrefixLists => Dialect::Rust,
            _ => Dialect::Perl,
        }
    }

    /// Whether the type of a section is read without regard to case.
    pub(crate) fn folds_type(self) -> bool {
        matches!(self, Self::Zones | Self::Controllers | Self::Ipams | Self::Dns)
    }

    /// The keys without which Proxmox makes nothing of a section of a type.
    pub fn required(self, of_type: &str) -> &'static [&'static str] {
        match (self, of_type) {
            (Self::Zones, "vlan") => &["bridge"],
            (Self::Zones, "qinq") => &["bridge", "tag"],
            (Self::Zones, "evpn") => &["controller", "vrf-vxlan"],
            (Self::Vnets, _) => &["zone"],
            (Self::Subnets, _) => &["vnet"],
            (Self::Controllers, "evpn") => &["asn"],
            (Self::Controllers, "bgp") => &["asn", "node", "peers"],
            (Self::Controllers, "isis") => &["isis-domain", "isis-ifaces", "isis-net", "node"],
            (Self::Ipams, "netbox") => &["token", "url"],
            (Self::Ipams, "phpipam") => &["section", "token", "url"],
            (Self::Dns, "powerdns") => &["key", "url"],
            _ => &[],
        }
    }

    /// Whether a key may stand in several lines of a section.
    pub(crate) fn repeats(self, key: &str) -> bool {
        match self {
            Self::Zones => key == "secondary-controllers",
            Self::Subnets => key == "dhcp-range",
            Self::Fabrics => {
                matches!(key, "interfaces" | "redistribute" | "allowed_ips" | "peers")
            }
            Self::RouteMaps => matches!(key, "match" | "set"),
            Self::PrefixLists => key == "entries",
            _ => false,
        }
    }

    /// Whether a key holds nodes in no order.
    pub(crate) fn is_set(self, key: &str) -> bool {
        self == Self::Zones && matches!(key, "nodes" | "exitnodes")
    }

    /// Whether a key holds several values whose order counts.
    pub(crate) fn is_list(self, key: &str) -> bool {
        matches!(key, "peers" | "rt-import" | "isis-ifaces") && self != Self::Fabrics
    }

    /// Whether a key without a value means yes.
    pub(crate) fn is_flag(self, key: &str) -> bool {
        match self {
            Self::Zones => matches!(
                key,
                "bridge-disable-mac-learning"
                    | "exitnodes-local-routing"
                    | "advertise-subnets"
                    | "disable-arp-nd-suppression"
            ),
            Self::Vnets => matches!(key, "vlanaware" | "isolate-ports"),
            Self::Subnets => key == "snat",
            Self::Controllers => matches!(key, "ebgp" | "bgp-multipath-as-path-relax"),
            _ => false,
        }
    }

    /// Whether Proxmox computes a key in memory, so that it says nothing.
    pub(crate) fn is_computed(self, key: &str) -> bool {
        match self {
            Self::Subnets => matches!(key, "id" | "cidr" | "zone" | "network" | "mask"),
            Self::Fabrics => matches!(key, "id" | "node_id" | "fabric_id"),
            _ => false,
        }
    }
}
