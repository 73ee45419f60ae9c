//! Rules about IPAM and DNS servers, and about the zones that name them.

use super::report::Report;
use crate::declare::finding::{Code, Finding};
use crate::declare::service::{Ipam, IpamType};
use crate::declare::{Declared, Entry};
use crate::value::{At, DnsId, IpamId, Place};

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

/// An IPAM has the options of its type and no others.
pub(super) fn ipam_options(declared: &Declared, report: &mut Report) {
    fn place<T>(option: Option<&At<T>>) -> Option<&Place> {
        option.map(|at| &at.place)
    }
    for (id, entry) in &declared.ipams {
        let ipam = &entry.value;
        let server = ipam.kind.value != IpamType::Pve;
        let phpipam = ipam.kind.value == IpamType::Phpipam;
        option(id, entry, "url", server, server, place(ipam.url.as_ref()), report);
        option(id, entry, "token", server, server, place(ipam.token.as_ref()), report);
        option(id, entry, "section", phpipam, phpipam, place(ipam.section.as_ref()), report);
        option(id, entry, "fingerprint", server, false, place(ipam.fingerprint.as_ref()), report);
    }
}

fn option(
    id: &IpamId,
    ipam: &Entry<Ipam>,
    option: &str,
    legal: bool,
    required: bool,
    place: Option<&Place>,
    report: &mut Report,
) {
    let kind = &ipam.value.kind;
    match place {
        Some(place) if !legal => {
            let message = format!("`{option}` is no option of {} IPAM `{id}`", kind.value);
            let finding = Finding::new(Code::OptionNotForType, message, place)
                .also(&kind.place, "the type is set here");
            report.push(finding);
        }
        None if required && ipam.whole => {
            let message = format!("{} IPAM `{id}` has no `{option}`", kind.value);
            let finding = Finding::new(Code::OptionRequired, message, &ipam.place)
                .also(&kind.place, "this type requires it")
                .help(format!("add `{option}: …`"));
            report.push(finding);
        }
        _ => {}
    }
}
