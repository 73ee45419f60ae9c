//! IPAM and DNS servers, whose files hold secrets.

use std::collections::BTreeMap;

use super::Export;
use super::network::Values;
use crate::declare::Declared;
use crate::declare::pve::Kind;
use crate::declare::pve::write::{Object, Value, sections};
use crate::declare::service::{Dns, Ipam, IpamType};
use crate::value::{At, CredentialId, Secret};

type Secrets<'a> = &'a BTreeMap<CredentialId, Secret>;

impl Export {
    /// Both files, each only where all of its secrets are known: half a file would take
    /// servers away.
    pub(super) fn services(
        &mut self,
        declared: &Declared,
        secrets: Secrets<'_>,
    ) -> BTreeMap<&'static str, Secret> {
        let mut files = BTreeMap::new();
        let ipams = declared.ipams.iter().map(|(id, ipam)| {
            let token = ipam.value.token.as_ref();
            (id.as_str(), token, ipam_object(id.as_str(), &ipam.value, secrets))
        });
        let dns = declared.dns.iter().map(|(id, server)| {
            (id.as_str(), Some(&server.value.key), dns_object(id.as_str(), &server.value, secrets))
        });
        let mut ipams: Vec<Found<'_>> = ipams.collect();
        let of_pve = |zone: &At<crate::value::IpamId>| zone.value.as_str() == "pve";
        let uses_pve =
            declared.zones.values().any(|zone| zone.value.ipam.as_ref().is_some_and(of_pve));
        // Proxmox's own database, which is there without being declared.
        if (uses_pve || !ipams.is_empty()) && !declared.ipams.contains_key("pve") {
            ipams.push(("pve", None, Some(Values::default().object("pve", "pve"))));
            ipams.sort_by_key(|(id, _, _)| *id);
        }
        for (kind, found) in [(Kind::Ipams, ipams), (Kind::Dns, dns.collect())] {
            if let Some(text) = self.file(kind, found) {
                files.insert(kind.file(), text);
            }
        }
        files
    }

    fn file(&mut self, kind: Kind, found: Vec<Found<'_>>) -> Option<Secret> {
        let missing = found.iter().filter(|(_, _, object)| object.is_none());
        let missing: Vec<String> = missing
            .map(|(id, credential, _)| {
                let credential = credential.map_or("?", |at| at.value.as_str());
                format!("the secret `{credential}` of `{id}`")
            })
            .collect();
        if !missing.is_empty() {
            let message = format!("not written, for want of {}", missing.join(", "));
            self.leave_out(kind.file(), message);
            return None;
        }
        let objects: Vec<Object> = found.into_iter().filter_map(|(_, _, object)| object).collect();
        (!objects.is_empty()).then(|| Secret::new(sections(kind, &objects)))
    }
}

/// A server, the credential it needs, and its section where that is known.
type Found<'a> = (&'a str, Option<&'a At<CredentialId>>, Option<Object>);

fn secret(credential: Option<&At<CredentialId>>, secrets: Secrets<'_>) -> Option<Value> {
    Some(Value::Text(secrets.get(&credential?.value)?.expose().to_owned()))
}

fn ipam_object(id: &str, ipam: &Ipam, secrets: Secrets<'_>) -> Option<Object> {
    let mut values = Values::default();
    if ipam.kind.value != IpamType::Pve {
        values.0.push(("token", secret(ipam.token.as_ref(), secrets)?));
    }
    values.text("url", ipam.url.as_ref());
    values.number("section", ipam.section.as_ref());
    values.text("fingerprint", ipam.fingerprint.as_ref());
    Some(values.object(ipam.kind.value.as_str(), id))
}

fn dns_object(id: &str, dns: &Dns, secrets: Secrets<'_>) -> Option<Object> {
    let mut values = Values::default();
    values.0.push(("key", secret(Some(&dns.key), secrets)?));
    values.text("url", Some(&dns.url));
    values.number("ttl", dns.ttl.as_ref());
    values.number("reversemaskv6", dns.reversemaskv6.as_ref());
    values.text("fingerprint", dns.fingerprint.as_ref());
    Some(values.object("powerdns", id))
}
