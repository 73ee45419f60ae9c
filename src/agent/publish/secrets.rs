//! The secrets of IPAM and DNS servers that this node has, for Proxmox's own files.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::credentials;
use crate::agent::settings::Settings;
use crate::declare::Declared;
use crate::host::Host;
use crate::value::{CredentialId, Secret, ServiceUrl};

/// Every secret that declarations name, of those that the settings bind to the server that
/// is declared: what a commit may not send a secret to, it may not write it down for. One
/// that is declared for another server too is written down for none.
pub(super) fn secrets(
    host: &impl Host,
    settings: &Settings,
    declared: &Declared,
) -> BTreeMap<CredentialId, Secret> {
    let ipams = declared.ipams.values().filter_map(|ipam| {
        Some((&ipam.value.token.as_ref()?.value, &ipam.value.url.as_ref()?.value))
    });
    let dns = declared.dns.values().map(|dns| (&dns.value.key.value, &dns.value.url.value));
    let mut servers: BTreeMap<&CredentialId, BTreeSet<&ServiceUrl>> = BTreeMap::new();
    for (id, server) in ipams.chain(dns) {
        servers.entry(id).or_default().insert(server);
    }
    let secret = |(id, servers): (&CredentialId, BTreeSet<&ServiceUrl>)| {
        let of = |server| credentials::for_server(host, settings, id, server);
        let found = servers.into_iter().map(of).collect::<Option<Vec<_>>>()?;
        Some((id.clone(), found.into_iter().next()?))
    };
    servers.into_iter().filter_map(secret).collect()
}
