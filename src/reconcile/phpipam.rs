//! The HTTP API of phpIPAM (`…/api/APP`), as version 1.8 answers it (`services.md` §3).
//!
//! A section is the space of all zones that name the server: there are no spaces of zones,
//! and no ranges. An object is ours exactly if it has a mark of the cluster in the custom
//! field `weft`; the lease of a guest's address is in the custom field `weft_lease`. Neither
//! is guarded by the server, and nothing there says that an object changed but the object:
//! so one at a time writes, and each object is read again before it is changed.

mod row;

use std::collections::BTreeSet;

use hyper::Method;
use ipnet::IpNet;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use self::row::{AddressRow, LEASE, MARK, SubnetRow, number};
use super::access::{self, Access};
use super::http::{Bounds, Client, Credential, HttpError};
use super::ipam::Server;
use crate::declare::lease;
use crate::network::IpamServer;
use crate::plan::ipam::{Content, Found, FoundObject, Key, Of, Reach};
use crate::value::{ClusterName, ZoneId};

/// The tag (the state, in the words of people) of an address in use.
const USED: u8 = 2;
/// That of an address that was given up.
const OFFLINE: u8 = 1;

/// One server, and the section in which weft writes.
#[derive(Debug)]
pub(super) struct PhpIpam {
    client: Client,
    section: u32,
    cluster: ClusterName,
    /// Our subnets, by the zones of their marks.
    subnets: Vec<(ZoneId, IpNet, u64)>,
}

/// What every answer is wrapped in.
#[derive(Deserialize)]
struct Envelope {
    success: bool,
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: Json,
}

impl PhpIpam {
    /// The server that is declared.
    ///
    /// # Errors
    /// The URL, the token or the authorities cannot be used, or the server does not have the
    /// section.
    pub(super) fn reach(
        (server, section): (&IpamServer, u32),
        access: &Access,
        bounds: Bounds,
        cluster: &ClusterName,
    ) -> Result<Self, HttpError> {
        let credential = Credential { header: "token", value: access.secret.clone() };
        let of = (&server.url, server.fingerprint.as_ref());
        let client = access::client(of, access.authorities.clone(), credential, bounds)?;
        let server = Self { client, section, cluster: cluster.clone(), subnets: Vec::new() };
        // Of a section that is not there every list would be empty.
        let it: Json = server.read(&format!("/sections/{section}/"))?;
        match it.get("id").and_then(number) {
            Some(id) if id == u64::from(section) => Ok(server),
            _ => Err(HttpError::Nonsense(format!("it has no section {section}"))),
        }
    }

    fn read<T: DeserializeOwned>(&self, target: &str) -> Result<T, HttpError> {
        let Envelope { success, message, data } = self.client.read(target)?;
        if !success {
            return Err(HttpError::Nonsense(format!("no success: {}", message.escape_debug())));
        }
        serde_json::from_value(data).map_err(|e| HttpError::Nonsense(e.to_string()))
    }

    /// A list, which the server says is not found where it is empty.
    fn list<T: DeserializeOwned>(&self, target: &str) -> Result<Vec<T>, HttpError> {
        match self.read(target) {
            Err(HttpError::Refused { status: 404, said, .. }) if is_empty(&said) => Ok(Vec::new()),
            other => other,
        }
    }

    fn subnets(&self) -> Result<Vec<SubnetRow>, HttpError> {
        let mut rows: Vec<SubnetRow> =
            self.list(&format!("/sections/{}/subnets/", self.section))?;
        rows.retain(|row| row.section == u64::from(self.section) && !row.is_folder());
        Ok(rows)
    }

    /// The subnet of ours that an address of a zone is to lie in.
    fn subnet_of(&self, zone: &ZoneId, key: Key) -> Option<u64> {
        let Key::Address(address) = key else { return None };
        let of_zone = self.subnets.iter().filter(|(of, _, _)| of == zone);
        let holding = of_zone.filter(|(_, prefix, _)| prefix.contains(&address));
        holding.max_by_key(|(_, prefix, _)| prefix.prefix_len()).map(|(_, _, id)| *id)
    }

    fn addresses(&self, subnet: u64, zone: &ZoneId) -> Result<Vec<FoundObject>, HttpError> {
        let rows: Vec<AddressRow> = self.list(&format!("/subnets/{subnet}/addresses/"))?;
        let rows = rows.into_iter().filter(|row| row.subnet == subnet);
        Ok(rows.map(|row| row.read(zone, &self.cluster)).collect())
    }

    fn remember(&mut self, subnets: &[FoundObject]) {
        for found in subnets.iter().filter(|found| found.is_ours()) {
            let (Some(zone), Key::Prefix(prefix)) = (&found.zone, found.key) else { continue };
            // Another zone of this cluster may have the same prefix.
            if found.content.as_ref().is_none_or(|content| content.mark.zone != *zone) {
                continue;
            }
            let entry = (zone.clone(), prefix, found.id);
            if !self.subnets.contains(&entry) {
                self.subnets.push(entry);
            }
        }
    }

    fn send(&self, method: &Method, target: &str, body: Option<&Json>) -> Result<(), HttpError> {
        let body = body.map(serde_json::to_vec).transpose();
        let body = body.map_err(|e| HttpError::Unusable(format!("cannot be written: {e}")))?;
        self.client.send(method, target, body)?;
        Ok(())
    }

    fn body(key: Key, content: &Content) -> Json {
        let mut body = json!({
            "description": content.description,
            (MARK): content.mark.to_string(),
        });
        if let Key::Address(_) = key {
            body["hostname"] = json!(content.dns_name);
            let lease = content.lease.as_ref();
            // What is left out of a change is reset by the server.
            body["tag"] = json!(if content.is_given_up() { OFFLINE } else { USED });
            let text =
                lease.map(|lease| String::from_utf8_lossy(&lease::write(lease)).trim().to_owned());
            body[LEASE] = json!(text.unwrap_or_default());
            if let Of::Interface(_, mac, _) = &content.mark.of {
                body["mac"] = json!(mac.to_string().to_ascii_lowercase());
            }
        }
        body
    }

    fn target(found: &FoundObject) -> String {
        match found.key {
            Key::Address(_) => format!("/addresses/{}/", found.id),
            _ => format!("/subnets/{}/", found.id),
        }
    }
}

impl Server for PhpIpam {
    fn bounds(&self) -> Bounds {
        self.client.bounds()
    }

    fn capacity(&self) -> Reach {
        Reach { spaces: false, ranges: false, cascades: true }
    }

    fn batch(&self) -> usize {
        1
    }

    fn lacks(&mut self) -> Result<Vec<String>, HttpError> {
        let mut lacks = Vec::new();
        for (controller, fields) in [("subnets", &[MARK][..]), ("addresses", &[MARK, LEASE][..])] {
            let defined: Json = match self.read(&format!("/{controller}/custom_fields/")) {
                Err(HttpError::Refused { status: 404, .. }) => Json::Null,
                other => other?,
            };
            for field in fields {
                if !row::defines(&defined, field) {
                    let name = field.trim_start_matches("custom_");
                    lacks.push(format!(
                        "a custom field `{name}` of type varchar or text for {controller}"
                    ));
                }
            }
        }
        Ok(lacks)
    }

    fn found(&mut self, zones: &BTreeSet<ZoneId>) -> Result<Found, HttpError> {
        let mut objects = Vec::new();
        for row in self.subnets()? {
            let found = row.read(None, &self.cluster)?;
            match &found.content {
                Some(content) => {
                    let zone = Some(content.mark.zone.clone());
                    objects.push(FoundObject { zone, ..found });
                }
                // A subnet of others is in the way of every zone.
                None => objects.extend(
                    zones
                        .iter()
                        .map(|zone| FoundObject { zone: Some(zone.clone()), ..found.clone() }),
                ),
            }
        }
        self.subnets.clear();
        self.remember(&objects);
        for (zone, _, id) in &self.subnets {
            objects.extend(self.addresses(*id, zone)?);
        }
        Ok(Found { objects })
    }

    fn at(&mut self, zone: &ZoneId, keys: &[Key]) -> Result<Vec<FoundObject>, HttpError> {
        let mut objects = Vec::new();
        for key in keys {
            match key {
                Key::Prefix(prefix) => {
                    let rows: Vec<SubnetRow> = self.list(&format!("/subnets/cidr/{prefix}/"))?;
                    for row in rows.into_iter().filter(|row| row.section == u64::from(self.section))
                    {
                        let found = row.read(Some(zone), &self.cluster)?;
                        if found.key == *key {
                            objects.push(found);
                        }
                    }
                }
                Key::Address(address) => {
                    let Some(subnet) = self.subnet_of(zone, *key) else { continue };
                    let rows: Vec<AddressRow> =
                        self.list(&format!("/addresses/search/{address}/"))?;
                    for row in rows.into_iter().filter(|row| row.subnet == subnet) {
                        let found = row.read(zone, &self.cluster);
                        if found.key == *key {
                            objects.push(found);
                        }
                    }
                }
                Key::Space | Key::Range(..) => {}
            }
        }
        self.remember(&objects);
        Ok(objects)
    }

    fn again(&mut self, found: &FoundObject) -> Result<Option<FoundObject>, HttpError> {
        let target = Self::target(found);
        let object = match found.key {
            Key::Address(_) => self.read::<AddressRow>(&target).and_then(|row| {
                let zone =
                    found.zone.as_ref().ok_or_else(|| HttpError::Nonsense("no zone".to_owned()))?;
                Ok(row.read(zone, &self.cluster))
            }),
            _ => self
                .read::<SubnetRow>(&target)
                .and_then(|row| row.read(found.zone.as_ref(), &self.cluster)),
        };
        match object {
            Ok(object) => Ok(Some(object)),
            Err(HttpError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All addresses, since they would go with their subnet, and the subnets of others.
    fn others_within(&mut self, found: &FoundObject) -> Result<Vec<FoundObject>, HttpError> {
        let (Key::Prefix(prefix), Some(zone)) = (found.key, &found.zone) else {
            return Ok(Vec::new());
        };
        let mut others = self.addresses(found.id, zone)?;
        for row in self.subnets()? {
            let subnet = row.read(Some(zone), &self.cluster)?;
            if subnet.key.is_below(&prefix) {
                others.push(subnet);
            }
        }
        Ok(others)
    }

    fn create(&mut self, zone: &ZoneId, objects: &[(Key, &Content)]) -> Result<(), HttpError> {
        for (key, content) in objects {
            let mut body = Self::body(*key, content);
            match key {
                Key::Prefix(prefix) => {
                    body["subnet"] = json!(prefix.addr());
                    body["mask"] = json!(prefix.prefix_len().to_string());
                    body["sectionId"] = json!(self.section);
                    self.send(&Method::POST, "/subnets/", Some(&body))?;
                }
                Key::Address(address) => {
                    let subnet = self.subnet_of(zone, *key);
                    let subnet = subnet.ok_or_else(|| {
                        HttpError::Unusable("it lies in no subnet of ours".to_owned())
                    })?;
                    body["ip"] = json!(address);
                    body["subnetId"] = json!(subnet);
                    self.send(&Method::POST, "/addresses/", Some(&body))?;
                }
                Key::Space | Key::Range(..) => {}
            }
        }
        Ok(())
    }

    fn update(&mut self, found: &FoundObject, content: &Content) -> Result<(), HttpError> {
        self.send(&Method::PATCH, &Self::target(found), Some(&Self::body(found.key, content)))
    }

    fn delete(&mut self, found: &FoundObject) -> Result<(), HttpError> {
        let deleted = self.send(&Method::DELETE, &Self::target(found), None);
        self.subnets.retain(|(_, _, id)| {
            deleted.is_err() || !matches!(found.key, Key::Prefix(_)) || *id != found.id
        });
        deleted
    }
}

/// Whether a server says that there is nothing, and not that it does not know what was asked.
fn is_empty(said: &str) -> bool {
    ["No subnets found", "No addresses found", "Address not found", "No results"]
        .iter()
        .any(|words| said.contains(words))
}
