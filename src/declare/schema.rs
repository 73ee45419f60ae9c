//! The JSON Schema that editors use; `schema/` holds a copy that a test keeps equal.

use serde_json::{Map, Value as Json, json};

use super::cluster::Cluster;
use super::declaration::{Choice as _, Typed};
use super::shape::{Entries, KeyShape, Shape};
use super::{controller, fabric, guest, node, policy, service, vnet, zone};
use crate::value::{ControllerId, DnsId, FabricId, GuestName, IpamId, NodeName, VnetId, ZoneId};

/// The schema of a file below `sdn/`.
pub fn declarations() -> Json {
    let mut properties = Map::new();
    let mut kind = |key: &str, schema: Json| properties.insert(key.to_owned(), schema);
    kind("nodes", Entries::<NodeName, node::Node>::schema());
    kind("zones", typed::<ZoneId, zone::Zone>());
    kind("vnets", Entries::<VnetId, vnet::Vnet>::schema());
    kind("controllers", typed::<ControllerId, controller::Controller>());
    kind("fabrics", typed::<FabricId, fabric::Fabric>());
    kind("ipams", typed::<IpamId, service::Ipam>());
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

/// The schema of a map of objects whose type decides which options they have: it refuses
/// what [`crate::validate`] would call an option of another type, or one that is missing.
fn typed<K: KeyShape, T: Typed>() -> Json {
    let mut schema = Entries::<K, T>::schema();
    let object = &mut schema["additionalProperties"];
    for option in T::OPTIONS {
        let description = &mut object["properties"][option.name]["description"];
        let text = description.as_str().unwrap_or_default();
        *description = format!("{text} ({})", of_types(option.types, option.required)).into();
    }
    object["allOf"] = T::Type::ALL.iter().map(|kind| rules::<T>(*kind)).collect();
    // Both say where tunnels or sessions end, and only one of them can.
    if T::OPTIONS.iter().any(|option| option.name == "external-peers") {
        object["dependentSchemas"] = json!({
            "peers": { "properties": { "fabric": false, "external-peers": false } },
            "fabric": { "properties": { "external-peers": false } },
        });
    }
    schema
}

/// The types that have an option, and those of them that require it.
fn of_types<T: std::fmt::Display>(types: &[T], required: &[T]) -> String {
    let words = |types: &[T]| types.iter().map(T::to_string).collect::<Vec<_>>().join(", ");
    let by = if required.is_empty() {
        String::new()
    } else if required.len() == types.len() {
        "; required".to_owned()
    } else {
        format!("; required by {}", words(required))
    };
    format!("{}{by}", words(types))
}

/// What holds for objects of one type.
fn rules<T: Typed>(kind: T::Type) -> Json {
    let options = T::OPTIONS.iter();
    let required = options.clone().filter(|option| option.required.contains(&kind));
    let foreign = options.filter(|option| !option.types.contains(&kind));
    let foreign: Map<String, Json> =
        foreign.map(|option| (option.name.to_owned(), Json::Bool(false))).collect();
    json!({
        "if": { "properties": { "type": { "const": kind.word() } }, "required": ["type"] },
        "then": {
            "required": required.map(|option| option.name).collect::<Vec<_>>(),
            "properties": foreign,
        },
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
