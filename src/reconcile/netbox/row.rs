//! Objects as NetBox writes them.

use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::{LEASE, MARK, in_query};
use crate::plan::ipam::{Content, FoundObject, Key, TAG};
use crate::reconcile::http::HttpError;
use crate::reconcile::ipam::{lease_of, owner};
use crate::value::{ClusterName, ZoneId};

/// The kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Vrf,
    Prefix,
    Range,
    Address,
}

impl Kind {
    pub(super) fn of(key: Key) -> Self {
        match key {
            Key::Space => Self::Vrf,
            Key::Prefix(_) => Self::Prefix,
            Key::Range(..) => Self::Range,
            Key::Address(_) => Self::Address,
        }
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Vrf => "/ipam/vrfs/",
            Self::Prefix => "/ipam/prefixes/",
            Self::Range => "/ipam/ip-ranges/",
            Self::Address => "/ipam/ip-addresses/",
        }
    }

    /// What is asked for of each object.
    pub(super) fn fields(self) -> &'static str {
        match self {
            Self::Vrf => "id,name,description,tags,custom_fields,last_updated",
            Self::Prefix => "id,prefix,vrf,description,tags,custom_fields,last_updated",
            Self::Range => {
                "id,start_address,end_address,vrf,mark_populated,description,tags,custom_fields,last_updated"
            }
            Self::Address => "id,address,vrf,dns_name,description,tags,custom_fields,last_updated",
        }
    }
}

/// The part of a question that asks for a key; addresses are found whatever their length.
pub(super) fn question(key: Key) -> String {
    match key {
        Key::Space => String::new(),
        Key::Prefix(prefix) => format!("&prefix={}", in_query(&prefix.to_string())),
        Key::Range(start, end) => format!(
            "&start_address={}&end_address={}",
            in_query(&start.to_string()),
            in_query(&end.to_string())
        ),
        Key::Address(address) => format!("&address={}", in_query(&address.to_string())),
    }
}

/// One object, with what its kind has.
#[derive(Deserialize)]
pub(super) struct Row {
    pub(super) id: u64,
    name: Option<String>,
    prefix: Option<IpNet>,
    start_address: Option<IpNet>,
    end_address: Option<IpNet>,
    address: Option<IpNet>,
    vrf: Option<Reference>,
    dns_name: Option<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    mark_populated: bool,
    tags: Vec<Tag>,
    custom_fields: Map<String, Json>,
    last_updated: Option<String>,
}

#[derive(Deserialize)]
struct Reference {
    id: u64,
}

#[derive(Deserialize)]
struct Tag {
    id: u64,
    slug: String,
}

impl Row {
    /// The number of the VRF that it lies in.
    pub(super) fn vrf(&self) -> Option<u64> {
        self.vrf.as_ref().map(|vrf| vrf.id)
    }

    /// The object, which lies in the space of a zone.
    ///
    /// # Errors
    /// It is not of its kind, or the server has no custom field for marks, without which
    /// everything would be somebody else's.
    pub(super) fn read(
        self,
        kind: Kind,
        zone: Option<&ZoneId>,
        cluster: &ClusterName,
    ) -> Result<FoundObject, HttpError> {
        let bad = |what: &str| HttpError::Nonsense(format!("{}{}/ {what}", kind.path(), self.id));
        let key = match (kind, self.prefix, self.address, self.start_address, self.end_address) {
            (Kind::Vrf, ..) => Some(Key::Space),
            (Kind::Prefix, Some(prefix), ..) => Some(Key::Prefix(prefix)),
            (Kind::Address, _, Some(address), ..) => Some(Key::Address(address.addr())),
            (Kind::Range, _, _, Some(start), Some(end)) => {
                Some(Key::Range(start.addr(), end.addr()))
            }
            _ => None,
        };
        let key = key.ok_or_else(|| bad("is not what it should be"))?;
        let mark = self.custom_fields.get(MARK);
        let mark = mark.ok_or_else(|| bad("has no custom field `weft`"))?.as_str();
        let has_tag = self.tags.iter().any(|tag| tag.slug == TAG);
        let (owner, mark) = owner(has_tag, mark, cluster);
        let lengths = [self.address, self.start_address];
        let length = lengths.into_iter().flatten().map(|net| net.prefix_len()).next();
        let dns_name = self.dns_name.unwrap_or_default();
        let lease = self.custom_fields.get(LEASE).map(Json::to_string).unwrap_or_default();
        let content = mark.map(|mark| Content {
            lease: self.address.and_then(|at| lease_of(&mark, at.addr(), lease.as_bytes())),
            mark,
            length: length.unwrap_or_default(),
            description: self.description.clone(),
            dns_name: dns_name.clone(),
            is_closed: self.mark_populated,
        });
        let label = [self.name.unwrap_or_default(), self.description, dns_name];
        let label = label.into_iter().find(|label| !label.is_empty()).unwrap_or_default();
        Ok(FoundObject {
            id: self.id,
            zone: zone.cloned(),
            key,
            owner,
            version: self.last_updated.unwrap_or_default(),
            content,
            label: label.chars().filter(|c| !c.is_control()).take(80).collect(),
            tags: self.tags.iter().map(|tag| tag.id).collect(),
        })
    }
}
