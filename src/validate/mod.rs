//! Floor 3: every rule between declarations, and the one door to a [`Network`].
//!
//! A rule is a function that looks at all that is declared and reports each
//! object that breaks it, with every place involved. Rules do not depend on each
//! other, so that one run names everything that is wrong.

mod bounds;
mod bridges;
mod build;
mod controllers;
mod dhcp;
mod dhcp_servers;
mod evpn;
mod fabrics;
mod guests;
mod known;
mod names;
mod nodes;
mod options;
mod overlap;
mod peers;
mod placement;
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
/// disagree on whether a commit is in order. Only what would cut a node off is an error there.
type FactRule = fn(&Declared, &[Facts], &mut Report);

/// Every rule that needs facts.
const FACT_RULES: &[FactRule] = &[
    known::bridges,
    known::present,
    known::free_names,
    known::free_addresses,
    known::free_networks,
    known::among_peers,
    known::room,
    known::frr,
    known::frr_local,
];

/// Every rule there is.
const RULES: &[Rule] = &[
    options::fit,
    options::present,
    names::free,
    names::differ_from_made_ones,
    names::differ_in_more_than_case,
    names::fabric_ids_long_enough,
    nodes::declared,
    nodes::addresses_differ,
    nodes::addresses_are_not_given,
    placement::zones_everywhere,
    zones::mtu_possible,
    zones::port_possible,
    zones::controllers_declared,
    services::named_are_declared,
    services::dnszone_has_dns,
    services::dns_has_dnszone,
    services::dns_prefix_has_dnszone,
    services::ids_are_free,
    peers::one_source,
    peers::fabric_serves,
    peers::there_are_some,
    peers::differ,
    peers::one_family,
    vnets::zone_declared,
    vnets::tag_fits,
    vnets::tags_differ,
    vnets::vlan_aware,
    bridges::service_vlan_possible,
    bridges::vlans_differ,
    bridges::names_fit,
    evpn::vrfs_differ,
    evpn::vrfs_are_no_tags,
    evpn::primary_is_exit_node,
    evpn::exit_nodes_inside,
    evpn::gateways_have_a_mac,
    evpn::snat_has_one_way_out,
    evpn::there_is_a_way_back,
    controllers::one_evpn,
    controllers::one_on_a_node,
    controllers::asn_not_zero,
    controllers::multihop,
    controllers::isis_interfaces,
    controllers::own_address_not_first,
    fabrics::families,
    fabrics::have_a_prefix,
    fabrics::addresses_fit,
    fabrics::options_of_nodes_fit,
    fabrics::addresses_differ,
    fabrics::areas_differ,
    fabrics::prefixes_apart,
    fabrics::interfaces_differ,
    fabrics::timers,
    subnets::differ,
    overlap::within_zones,
    overlap::between_zones,
    subnets::are_possible,
    subnets::are_networks,
    subnets::have_room,
    subnets::gateway_inside,
    subnets::gateway_is_a_host,
    subnets::snat_has_gateway,
    subnets::are_rendered,
    dhcp::has_ipam,
    dhcp::has_gateway,
    dhcp::dns_server_family,
    dhcp::ranges,
    dhcp::ranges_are_used,
    dhcp::pools_are_served,
    dhcp::pools_are_apart,
    dhcp::options_fit,
    dhcp_servers::serve,
    dhcp_servers::are_free,
    dhcp_servers::are_there,
    dhcp::options_have_values,
    dhcp::options_are_served,
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
/// finds an error. What is said to be missing is held back as long as something could not
/// be read. `expected` is the cluster that the node's settings name.
pub fn check(
    tree: &Tree,
    expected: Option<&ClusterName>,
    facts: &[Facts],
) -> (Option<Network>, Findings) {
    let (declared, mut findings) = declare::read(tree, expected);
    let (network, mut more) = validate(&declared, facts);
    if findings.has_errors() {
        // What is missing may be what could not be read.
        more.retain(|finding| !finding.code.is_of_absence());
    }
    findings.extend(more);
    findings.sort();
    let network = if findings.has_errors() { None } else { network };
    (network, findings)
}
