//! IPAM and DNS servers, and the secrets that they are asked with.

use std::str::FromStr;

use serde_json::Value as Json;

use super::Credential;
use super::convert::{DNS, Field, IPAM};
use super::emit::{Item, Map};
use super::files::PveFiles;
use super::object::{Import, typed};
use crate::declare::pve::config::{Objects, is_set, scalar as text};
use crate::declare::pve::{Config, Damage, Kind};
use crate::value::{CredentialId, DnsId, IpamId, Secret, ServiceUrl};

/// The servers of both kinds.
#[derive(Debug, Default)]
pub(super) struct Services {
    pub(super) ipams: Map,
    pub(super) dns: Map,
}

impl Import {
    /// Both files take effect at once, so what they say is what runs.
    pub(super) fn services(&mut self, files: &PveFiles) -> Result<Services, Damage> {
        let mut services = Services::default();
        for kind in [Kind::Ipams, Kind::Dns] {
            let path = format!("sdn/{}", kind.file());
            let Some(content) = files.text(&path) else { continue };
            let mut config = Config::default();
            for skipped in config.read(kind, &path, content)? {
                self.remark_at(&skipped.place, &skipped.why);
            }
            let map = if kind == Kind::Ipams { &mut services.ipams } else { &mut services.dns };
            for (id, section) in config.take(kind) {
                self.service(kind, map, &id, &section);
            }
        }
        Ok(services)
    }

    fn service(&mut self, kind: Kind, map: &mut Map, id: &str, section: &Json) {
        let of_type = section.get("type").and_then(text).unwrap_or_default();
        // Proxmox's own database is there without being declared.
        if kind == Kind::Ipams && id == "pve" && of_type == "pve" {
            return;
        }
        let what = kind.one();
        let (secret, table): (Option<&str>, &[Field]) = match (kind, of_type.as_str()) {
            (Kind::Ipams, "pve") => (None, &[]),
            (Kind::Ipams, "netbox" | "phpipam") => (Some("token"), IPAM),
            (Kind::Dns, "powerdns") => (Some("key"), DNS),
            _ => {
                self.hidden(map, what, id, section, "weft knows no such server");
                return;
            }
        };
        let legal = match kind {
            Kind::Ipams => is::<IpamId>(id) && !["pve", "git"].contains(&id),
            _ => is::<DnsId>(id),
        };
        if !legal {
            self.hidden(map, what, id, section, "no server of a repository can have this id");
            return;
        }
        let known: Objects = section
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| table.iter().any(|field| field.name == key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let mut server = self.object(what, id, typed(&of_type), &Json::Object(known), table, &[]);
        if let Some(key) = secret {
            let url = section.get("url").and_then(text).and_then(|url| url.parse().ok());
            let value = section.get(key).filter(|value| is_set(value)).and_then(text);
            let name = format!("{id}-{key}").parse::<CredentialId>();
            let (Some(url), Some(value), Ok(name)) = (url, value, name) else {
                let why = format!("weft needs a legal `url` and a `{key}`");
                self.hidden(map, what, id, section, &why);
                return;
            };
            server.insert(key.to_owned(), Item::Text(name.to_string()));
            let (origin, secret) = (origin(&url), Secret::new(value));
            self.credentials.push(Credential { id: name, origin, secret });
        }
        if of_type == "phpipam" && !server.contains("section") {
            self.hidden(map, what, id, section, "weft needs a legal `section`");
            return;
        }
        for (name, value) in section.as_object().into_iter().flatten() {
            let known = table.iter().any(|field| field.name == name.as_str());
            if !known && name != "type" && Some(name.as_str()) != secret && is_set(value) {
                let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
                let name = if name.chars().all(is_plain) { name.as_str() } else { "(a key)" };
                server.remark(&format!("{name}: (left out)"));
                let message = format!(
                    "weft has no option `{name}`; its value may be a secret, and is left out"
                );
                self.remark(what, id, message);
            }
        }
        self.services.insert(format!("{} {id}", kind.key()));
        map.insert(id.to_owned(), Item::Map(server));
    }

    /// Keeps the names of a server's keys: any of the values may be a secret.
    fn hidden(&mut self, map: &mut Map, what: &str, id: &str, section: &Json, why: &str) {
        let keys = section.as_object().into_iter().flat_map(Objects::keys);
        let keys: Json = keys.map(String::as_str).collect();
        self.leave_out(map, what, id, &keys, why);
    }
}

fn is<T: FromStr>(text: &str) -> bool {
    text.parse::<T>().is_ok()
}

/// Scheme, host and port of a URL.
fn origin(url: &ServiceUrl) -> String {
    let (scheme, rest) = url.as_str().split_once("://").unwrap_or_default();
    format!("{scheme}://{}", rest.split('/').next().unwrap_or_default())
}
