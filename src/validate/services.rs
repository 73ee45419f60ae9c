//! Rules about IPAM and DNS servers, and about the zones that name them.

use super::report::Report;
use super::subnets::{Found, all};
use super::vnets::zone_of;
use crate::declare::Declared;
use crate::declare::finding::{Code, Finding};
use crate::declare::service::IpamType;
use crate::value::{DnsId, IpamId};

/// The IPAMs that are there without being declared: Proxmox's own database, and
/// weft's in git.
const BUILT_IN: &[&str] = &["pve", "git"];

/// The IPAM and DNS servers of a zone are there.
pub(super) fn named_are_declared(declared: &Declared, report: &mut Report) {
    for (id, zone) in &declared.zones {
        let zone = &zone.value;
        if let Some(ipam) = &zone.ipam {
            let name = ipam.value.as_str();
            if !BUILT_IN.contains(&name) && !declared.ipams.contains_key(name) {
                report.unknown(
                    Code::ServiceUnknown,
                    format!("zone `{id}` names IPAM `{name}`, which is not declared"),
                    &ipam.place,
                    name,
                    "declared IPAMs",
                    declared.ipams.keys().map(IpamId::as_str),
                );
            }
        }
        for server in [&zone.dns, &zone.reversedns].into_iter().flatten() {
            if !declared.dns.contains_key(&server.value) {
                report.unknown(
                    Code::ServiceUnknown,
                    format!(
                        "zone `{id}` names DNS server `{}`, which is not declared",
                        server.value
                    ),
                    &server.place,
                    server.value.as_str(),
                    "declared DNS servers",
                    declared.dns.keys().map(DnsId::as_str),
                );
            }
        }
    }
}

/// A DNS zone has a server.
pub(super) fn dnszone_has_dns(declared: &Declared, report: &mut Report) {
    for (id, zone) in &declared.zones {
        if let (Some(dnszone), None) = (&zone.value.dnszone, &zone.value.dns) {
            let message = format!("zone `{id}` has `dnszone` and no `dns`");
            report.push(Finding::new(Code::DnsZoneWithoutDns, message, &dnszone.place));
        }
    }
}

/// Names are registered within a DNS zone.
pub(super) fn dns_has_dnszone(declared: &Declared, report: &mut Report) {
    for (id, entry) in &declared.zones {
        let zone = &entry.value;
        if zone.dnszone.is_some() {
            continue;
        }
        for (option, server) in [("dns", &zone.dns), ("reversedns", &zone.reversedns)] {
            let Some(server) = server else { continue };
            let message = format!("zone `{id}` has `{option}` and no `dnszone`");
            report.push(Finding::new(Code::DnsWithoutDnsZone, message, &server.place));
        }
    }
}

/// What stands before a DNS zone has one behind it.
pub(super) fn dns_prefix_has_dnszone(declared: &Declared, report: &mut Report) {
    for Found { vnet, prefix, subnet, .. } in all(declared) {
        let Some(zone) = zone_of(vnet, declared).filter(|zone| zone.value.dnszone.is_none()) else {
            continue;
        };
        if let Some(dns_prefix) = &subnet.value.dnszoneprefix {
            let message = format!(
                "subnet {prefix} has `dnszoneprefix`, and zone `{}` no `dnszone`",
                vnet.zone.value
            );
            let finding = Finding::new(Code::DnsPrefixWithoutDnsZone, message, &dns_prefix.place)
                .also(&zone.place, "the zone");
            report.push(finding);
        }
    }
}

/// No IPAM takes the id of a built-in one. `pve` may be declared as what it is.
pub(super) fn ids_are_free(declared: &Declared, report: &mut Report) {
    for (id, ipam) in &declared.ipams {
        let same = id.as_str() == "pve" && ipam.value.kind.value == IpamType::Pve;
        if BUILT_IN.contains(&id.as_str()) && !same {
            let message = format!("the IPAM `{id}` is built in");
            report.push(Finding::new(Code::BuiltInId, message, &ipam.place));
        }
    }
}
