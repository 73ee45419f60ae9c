//! What a role's files may declare.

use std::sync::Arc;

use super::pattern::{IdPattern, Numbers, Targets};
use crate::value::{At, Cidr, ObjectId, RepoPath};

choices! {
    /// A kind of object.
    pub enum Kind as "a kind of object" {
        /// Nodes of the cluster.
        "nodes" Nodes,
        /// Zones.
        "zones" Zones,
        /// Vnets with their subnets.
        "vnets" Vnets,
        /// Controllers.
        "controllers" Controllers,
        /// Fabrics.
        "fabrics" Fabrics,
        /// IPAM servers.
        "ipams" Ipams,
        /// DNS servers.
        "dns" Dns,
        /// Guests.
        "guests" Guests,
    }
}

declaration! {
    /// What files may declare. What is not listed is not allowed.
    pub struct Scope as "a scope" {
        /// Which kinds of objects may be declared.
        required "kinds" kinds: Vec<At<Kind>>,
        /// Nodes that may be declared, or be named by zones, controllers and fabrics. `*` also lets a zone be on all nodes.
        optional "nodes" nodes: Vec<At<IdPattern>>,
        /// Nodes that may be exit nodes.
        optional "exitnodes" exitnodes: Vec<At<IdPattern>>,
        /// Zones that may be declared, or be named by vnets.
        optional "zones" zones: Vec<At<IdPattern>>,
        /// Vnets that may be declared, or be named by guests.
        optional "vnets" vnets: Vec<At<IdPattern>>,
        /// Controllers that may be declared, or be named by zones.
        optional "controllers" controllers: Vec<At<IdPattern>>,
        /// Fabrics that may be declared, or be named by zones and controllers.
        optional "fabrics" fabrics: Vec<At<IdPattern>>,
        /// IPAM servers that may be declared, or be named by zones.
        optional "ipams" ipams: Vec<At<IdPattern>>,
        /// DNS servers that may be declared, or be named by zones.
        optional "dns" dns: Vec<At<IdPattern>>,
        /// DNS zones in which records may be written; of each also what lies below it.
        optional "dnszones" dnszones: Vec<At<IdPattern>>,
        /// Guests that may be declared.
        optional "guests" guests: Vec<At<IdPattern>>,
        /// VLAN tags of vnets in VLAN and QinQ zones, and service VLANs.
        optional "tags" tags: Vec<At<Numbers>>,
        /// VXLAN network identifiers of vnets and of zones' VRFs.
        optional "vnis" vnis: Vec<At<Numbers>>,
        /// Bridges and other interfaces of the nodes.
        optional "bridges" bridges: Vec<At<IdPattern>>,
        /// Route targets that zones may import.
        optional "route-targets" route_targets: Vec<At<Targets>>,
        /// Prefixes in which subnets, gateways, pools, peers and all other addresses lie.
        optional "addresses" addresses: Vec<At<Cidr>>,
        /// Credentials that IPAM and DNS servers may name.
        optional "credentials" credentials: Vec<At<IdPattern>>,
    }
}

impl Scope {
    /// What is allowed, by the key under which it is written and in the words that were
    /// written there.
    pub fn lists(&self) -> Vec<(&'static str, Vec<String>)> {
        fn words<T: std::fmt::Display>(list: Option<&At<Vec<At<T>>>>) -> Option<Vec<String>> {
            list.map(|list| list.value.iter().map(|one| one.value.to_string()).collect())
        }
        let lists = [
            ("kinds", words(Some(&self.kinds))),
            ("nodes", words(self.nodes.as_ref())),
            ("exitnodes", words(self.exitnodes.as_ref())),
            ("zones", words(self.zones.as_ref())),
            ("vnets", words(self.vnets.as_ref())),
            ("controllers", words(self.controllers.as_ref())),
            ("fabrics", words(self.fabrics.as_ref())),
            ("ipams", words(self.ipams.as_ref())),
            ("dns", words(self.dns.as_ref())),
            ("dnszones", words(self.dnszones.as_ref())),
            ("guests", words(self.guests.as_ref())),
            ("tags", words(self.tags.as_ref())),
            ("vnis", words(self.vnis.as_ref())),
            ("bridges", words(self.bridges.as_ref())),
            ("route-targets", words(self.route_targets.as_ref())),
            ("addresses", words(self.addresses.as_ref())),
            ("credentials", words(self.credentials.as_ref())),
        ];
        lists.into_iter().filter_map(|(key, list)| Some((key, list?))).collect()
    }
}

/// One file of declarations.
#[derive(Clone, Debug)]
pub struct File {
    /// Its path.
    pub path: RepoPath,
    /// The object that holds its text, by which equal texts are known.
    pub id: ObjectId,
    /// Its text.
    pub text: Arc<str>,
}

/// A file that is not the same before and after a commit, and what it is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Difference<'a> {
    /// What may differ.
    pub scope: &'a Scope,
    /// The file, which may be missing on one side.
    pub path: &'a RepoPath,
    /// The declarations of the first parent, in the order of their paths.
    pub before: &'a [File],
    /// The declarations of the commit, in the order of their paths.
    pub after: &'a [File],
}
