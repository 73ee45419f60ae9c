//! The secrets of IPAM and DNS servers that this node has, for Proxmox's own files.

use std::collections::BTreeMap;

use crate::agent::credentials;
use crate::agent::names::of_url;
use crate::agent::settings::Settings;
use crate::declare::Declared;
use crate::host::Host;
use crate::value::{CredentialId, Secret, ServiceUrl};

/// Every secret that declarations name, of those that the settings bind to the server that
/// is declared: what a commit may not send a secret to, it may not write it down for.
pub(super) fn secrets(
    host: &impl Host,
    settings: &Settings,
    declared: &Declared,
) -> BTreeMap<CredentialId, Secret> {
    let mut secrets = BTreeMap::new();
    let ipams = declared.ipams.values().filter_map(|ipam| {
        Some((&ipam.value.token.as_ref()?.value, &ipam.value.url.as_ref()?.value))
    });
    let dns = declared.dns.values().map(|dns| (&dns.value.key.value, &dns.value.url.value));
    let uses: Vec<(&CredentialId, &ServiceUrl)> = ipams.chain(dns).collect();
    for (id, _) in &uses {
        let bound = settings.credentials.as_ref().and_then(|all| all.value.get(*id));
        let Some(credential) = bound.map(|bound| &bound.value) else { continue };
        let origin = &credential.origin.value;
        let mut of_id = uses.iter().filter(|(other, _)| other == id);
        if !of_id.all(|(_, url)| of_url(url).as_ref() == Some(origin)) {
            tracing::warn!(credential = %id, "a declared server is not the one that the credential is bound to");
            continue;
        }
        match credentials::word(host, credential.file.value.as_ref()) {
            Ok(secret) => drop(secrets.insert((*id).clone(), secret)),
            Err(failure) => tracing::warn!(credential = %id, "{}", failure.message),
        }
    }
    secrets
}
