//! Floor 3: every rule between declarations, and the one door to a [`Network`].
//!
//! A rule is a function that looks at all that is declared and reports each
//! object that breaks it, with every place involved. Rules do not depend on each
//! other, so that one run names everything that is wrong.

mod bounds;
mod build;
mod guests;
mod nodes;
mod peers;
mod report;
mod routing;
pub mod scope;
mod services;
mod subnets;
mod vnets;
mod zones;

pub use self::bounds::MAX_TUNNELS;

use self::report::Report;
use crate::declare::{self, Declared, Findings, Tree};
use crate::facts::Facts;
use crate::network::Network;
use crate::value::ClusterName;

/// One rule.
type Rule = fn(&Declared, &mut Report);

/// One rule about what is known of nodes. Its findings are warnings: two nodes must not
/// disagree on whether a commit is in order.
type FactRule = fn(&Declared, &[Facts], &mut Report);

/// Every rule that needs facts.
const FACT_RULES: &[FactRule] = &[];

/// Every rule there is.
const RULES: &[Rule] = &[
    nodes::declared,
    nodes::addresses_differ,
    zones::options_fit,
    zones::options_present,
    zones::mtu_possible,
    zones::port_possible,
    zones::controllers_declared,
    services::named_are_declared,
    services::dnszone_has_dns,
    services::ids_are_free,
    services::ipam_options,
    peers::one_source,
    peers::fabric_declared,
    peers::there_are_some,
    peers::differ,
    vnets::zone_declared,
    vnets::name_free,
    vnets::tag_fits,
    vnets::tags_differ,
    vnets::vlan_aware_without_subnets,
    subnets::differ,
    subnets::apart,
    subnets::gateway_inside,
    subnets::snat_has_gateway,
    subnets::are_rendered,
    subnets::ranges,
    guests::vnets_declared,
    guests::addresses_inside,
    guests::addresses_differ,
    guests::hardware_addresses_differ,
];

/// Applies every rule. There is a network exactly if no finding is an error; what
/// is only tolerated is left as Proxmox renders it. What reading has found is not
/// repeated: use [`check`] unless that has been looked at. `facts` are those of none, one
/// or many nodes.
pub fn validate(declared: &Declared, facts: &[Facts]) -> (Option<Network>, Findings) {
    let mut report = Report::default();
    if bounds::hold(declared, &mut report) {
        for rule in RULES {
            rule(declared, &mut report);
        }
        for rule in FACT_RULES {
            rule(declared, facts, &mut report);
        }
    }
    let mut findings = report.findings;
    if declared.is_strict() {
        findings.enforce();
    }
    findings.sort();
    let network = if findings.has_errors() { None } else { build::network(declared) };
    (network, findings)
}

/// Reads and validates the files of a tree. There is a network only if neither
/// finds an error. `expected` is the cluster that the node's settings name.
pub fn check(
    tree: &Tree,
    expected: Option<&ClusterName>,
    facts: &[Facts],
) -> (Option<Network>, Findings) {
    let (declared, mut findings) = declare::read(tree, expected);
    let (network, more) = validate(&declared, facts);
    findings.extend(more);
    findings.sort();
    let network = if findings.has_errors() { None } else { network };
    (network, findings)
}
