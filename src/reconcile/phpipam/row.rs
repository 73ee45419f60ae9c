//! Objects as phpIPAM writes them: numbers as numbers or as texts, custom fields beside the
//! others or in a field of their own.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};

use crate::plan::ipam::{Content, FoundObject, Key, Mark, Owner};
use crate::reconcile::http::HttpError;
use crate::reconcile::ipam::lease_of;
use crate::value::{ClusterName, ZoneId};

/// The custom field of marks, as the API names it.
pub(super) const MARK: &str = "custom_weft";
/// The custom field of leases.
pub(super) const LEASE: &str = "custom_weft_lease";

/// A number, or the text of one.
pub(super) fn number(value: &Json) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn read_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = Json::deserialize(deserializer)?;
    number(&value).ok_or_else(|| serde::de::Error::custom("a number is missing"))
}

/// Whether a field is among those that the server lists, by name or as entries that name it.
pub(super) fn defines(defined: &Json, field: &str) -> bool {
    match defined {
        Json::Object(fields) => fields.contains_key(field),
        Json::Array(fields) => {
            fields.iter().any(|one| one.get("name").and_then(Json::as_str) == Some(field))
        }
        _ => false,
    }
}

/// A subnet.
#[derive(Deserialize)]
pub(super) struct SubnetRow {
    #[serde(deserialize_with = "read_number")]
    id: u64,
    #[serde(default)]
    subnet: Option<String>,
    #[serde(default)]
    mask: Json,
    #[serde(rename = "sectionId", deserialize_with = "read_number")]
    pub(super) section: u64,
    #[serde(flatten)]
    more: Map<String, Json>,
}

/// An address.
#[derive(Deserialize)]
pub(super) struct AddressRow {
    #[serde(deserialize_with = "read_number")]
    id: u64,
    #[serde(rename = "ip")]
    pub(super) address: IpAddr,
    #[serde(rename = "subnetId", deserialize_with = "read_number")]
    pub(super) subnet: u64,
    #[serde(flatten)]
    more: Map<String, Json>,
}

impl SubnetRow {
    /// Whether it only holds others, and no addresses of its own.
    pub(super) fn is_folder(&self) -> bool {
        self.more.get("isFolder").and_then(number) == Some(1)
    }

    pub(super) fn read(
        &self,
        zone: Option<&ZoneId>,
        cluster: &ClusterName,
    ) -> Result<FoundObject, HttpError> {
        let bad = || HttpError::Nonsense(format!("subnet {} is no prefix", self.id));
        let address: IpAddr =
            self.subnet.as_deref().unwrap_or_default().parse().map_err(|_| bad())?;
        let length = number(&self.mask).and_then(|length| u8::try_from(length).ok());
        let prefix = IpNet::new(address, length.ok_or_else(bad)?).map_err(|_| bad())?;
        let (owner, mark) = owner(&self.more, cluster);
        let description = text(&self.more, "description");
        let content = mark.map(|mark| Content {
            mark,
            length: 0,
            description: description.clone(),
            dns_name: String::new(),
            lease: None,
            is_closed: false,
        });
        let version = text(&self.more, "editDate");
        let (zone, key) = (zone.cloned(), Key::Prefix(prefix));
        Ok(found(self.id, zone, key, owner, version, content, &description))
    }
}

impl AddressRow {
    pub(super) fn read(&self, zone: &ZoneId, cluster: &ClusterName) -> FoundObject {
        let (owner, mark) = owner(&self.more, cluster);
        let (description, dns_name) =
            (text(&self.more, "description"), text(&self.more, "hostname"));
        let lease = custom(&self.more, LEASE);
        let content = mark.map(|mark| Content {
            lease: lease_of(&mark, self.address, lease.as_bytes()),
            mark,
            length: 0,
            description: description.clone(),
            dns_name: dns_name.clone(),
            is_closed: false,
        });
        let version = text(&self.more, "editDate");
        let label = if description.is_empty() { &dns_name } else { &description };
        let (zone, key) = (Some(zone.clone()), Key::Address(self.address));
        found(self.id, zone, key, owner, version, content, label)
    }
}

fn found(
    id: u64,
    zone: Option<ZoneId>,
    key: Key,
    owner: Owner,
    version: String,
    content: Option<Content>,
    label: &str,
) -> FoundObject {
    let label = label.chars().filter(|c| !c.is_control()).take(80).collect();
    FoundObject { id, zone, key, owner, version, content, label, tags: Vec::new() }
}

fn owner(more: &Map<String, Json>, cluster: &ClusterName) -> (Owner, Option<Mark>) {
    crate::reconcile::ipam::owner(true, Some(custom(more, MARK)), cluster)
}

fn custom<'a>(more: &'a Map<String, Json>, name: &str) -> &'a str {
    let nested = || more.get("custom_fields")?.get(name);
    more.get(name).or_else(nested).and_then(Json::as_str).unwrap_or_default()
}

fn text(more: &Map<String, Json>, name: &str) -> String {
    more.get(name).and_then(Json::as_str).unwrap_or_default().to_owned()
}
