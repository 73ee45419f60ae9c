//! The JSON Schema that editors use; `schema/` holds a copy that a test keeps equal.

use serde_json::{Map, Value as Json, json};

use super::cluster::Cluster;
use super::shape::{Entries, Shape};
use super::{controller, fabric, guest, node, policy, service, vnet, zone};
use crate::value::{ControllerId, DnsId, FabricId, GuestName, IpamId, NodeName, VnetId, ZoneId};

/// The schema of a file below `sdn/`.
pub fn declarations() -> Json {
    let mut properties = Map::new();
    let mut kind = |key: &str, schema: Json| properties.insert(key.to_owned(), schema);
    kind("nodes", Entries::<NodeName, node::Node>::schema());
    kind("zones", Entries::<ZoneId, zone::Zone>::schema());
    kind("vnets", Entries::<VnetId, vnet::Vnet>::schema());
    kind("controllers", Entries::<ControllerId, controller::Controller>::schema());
    kind("fabrics", Entries::<FabricId, fabric::Fabric>::schema());
    kind("ipams", Entries::<IpamId, service::Ipam>::schema());
    kind("dns", Entries::<DnsId, service::Dns>::schema());
    kind("guests", Entries::<GuestName, guest::Guest>::schema());
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "weft declarations (sdn/**/*.yaml)",
        "type": ["object", "null"],
        "properties": properties,
        "additionalProperties": false,
    })
}

/// The schema of `weft.yaml`.
pub fn cluster() -> Json {
    titled(Cluster::schema(), "weft.yaml")
}

/// The schema of `.weft/policy.yaml`.
pub fn policy() -> Json {
    titled(policy::Written::schema(), policy::FILE)
}

fn titled(mut schema: Json, title: &str) -> Json {
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        object.insert("title".to_owned(), title.into());
    }
    schema
}
