//! Rules about IPAM and DNS servers, and about the zones that name them.

use super::report::Report;
use crate::declare::finding::{Code, Finding};
use crate::declare::Declared;
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
