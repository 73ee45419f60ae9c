//! What NetBox needs before weft writes there. Nothing of it is made by weft: who may define
//! fields may also change what they mean.

use serde::Deserialize;

use super::{LEASE, MARK};
use crate::plan::ipam::TAG;
use crate::reconcile::http::{Client, HttpError};

/// The kinds of objects that carry marks.
const MARKED: [&str; 4] = ["ipam.vrf", "ipam.prefix", "ipam.iprange", "ipam.ipaddress"];

#[derive(Deserialize)]
struct Listed<T> {
    results: Vec<T>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    #[serde(rename = "type")]
    kind: Choice,
    object_types: Vec<String>,
    #[serde(default)]
    unique: bool,
    filter_logic: Option<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    value: String,
}

/// What was made for weft.
pub(super) struct Setup {
    /// What is missing, each in words that say what to make.
    pub(super) lacks: Vec<String>,
    /// Whether marks can be asked for by their beginning.
    pub(super) is_loose: bool,
}

#[derive(Deserialize)]
struct Tag {
    slug: String,
    #[serde(default)]
    object_types: Vec<String>,
}

/// Looks at what was made.
pub(super) fn read(client: &Client) -> Result<Setup, HttpError> {
    let mut lacks = Vec::new();
    let target = format!("/extras/custom-fields/?name={MARK}&name={LEASE}");
    let fields: Listed<Field> = client.read(&target)?;
    let field = |name: &str, kind: &str, types: &[&str]| {
        fields.results.iter().find(|field| {
            let has = |one: &&str| field.object_types.iter().any(|of| of == *one);
            field.name == name && field.kind.value == kind && types.iter().all(has)
        })
    };
    let mark = field(MARK, "text", &MARKED).filter(|field| field.unique);
    if mark.is_none() {
        let types = MARKED.join(", ");
        lacks.push(format!("a custom field `{MARK}` of type text, unique, for {types}"));
    }
    if field(LEASE, "json", &MARKED[3..]).is_none() {
        lacks.push(format!("a custom field `{LEASE}` of type JSON for {}", MARKED[3]));
    }
    let tags: Listed<Tag> = client.read(&format!("/extras/tags/?slug={TAG}"))?;
    let is_for_all = |tag: &Tag| {
        let has = |one: &&str| tag.object_types.iter().any(|of| of == *one);
        tag.object_types.is_empty() || MARKED.iter().all(has)
    };
    if !tags.results.iter().any(|tag| tag.slug == TAG && is_for_all(tag)) {
        lacks.push(format!("a tag with the slug `{TAG}` for {}", MARKED.join(", ")));
    }
    let logic = mark.and_then(|field| field.filter_logic.as_ref());
    Ok(Setup { lacks, is_loose: logic.is_some_and(|logic| logic.value == "loose") })
}
