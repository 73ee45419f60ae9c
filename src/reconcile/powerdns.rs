//! The HTTP API of PowerDNS Authoritative Server (`/api/v1/servers/⟨server⟩`), as versions
//! 4.7 and later answer it (`services.md` §1).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use hyper::Method;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::access::{self, Access};
use super::http::{Bounds, Client, Credential, HttpError};
use crate::network::Dns;
use crate::plan::names::{Comment, Found, Fqdn, Hosted, Record, RecordKind, Rrset, Write};

/// What one question for a name costs, in sets that could be read of a whole zone instead.
const SETS_PER_QUESTION: usize = 20;

/// One server.
#[derive(Debug)]
pub struct PowerDns {
    client: Client,
}

/// A zone that the server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListedZone {
    /// Where it is in the server's URLs.
    id: String,
    /// Whether it can be written.
    pub(super) hosted: Hosted,
}

#[derive(Deserialize)]
struct ZoneEntry {
    id: String,
    name: String,
    kind: String,
}

#[derive(Deserialize)]
struct ZoneBody {
    #[serde(rename = "rrsets", deserialize_with = "sets")]
    found: Found,
}

#[derive(Deserialize)]
struct SetBody {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    ttl: u32,
    records: Vec<RecordBody>,
    #[serde(default)]
    comments: Vec<CommentBody>,
}

#[derive(Deserialize, Serialize)]
struct RecordBody {
    content: String,
    disabled: bool,
}

#[derive(Deserialize, Serialize)]
struct CommentBody {
    content: String,
    account: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified_at: Option<i64>,
}

#[derive(Serialize)]
struct Patch<'a> {
    rrsets: Vec<PatchedSet<'a>>,
}

#[derive(Serialize)]
struct PatchedSet<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    changetype: &'static str,
    ttl: u32,
    records: Vec<RecordBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comments: Option<Vec<CommentBody>>,
}

impl PowerDns {
    /// The server that is declared, with its key.
    ///
    /// # Errors
    /// The URL, the key or the authorities cannot be used.
    pub fn new(dns: &Dns, access: &Access, bounds: Bounds) -> Result<Self, HttpError> {
        let credential = Credential { header: "x-api-key", value: access.secret.clone() };
        let of = (&dns.url, dns.fingerprint.as_ref());
        let client = access::client(of, access.authorities.clone(), credential, bounds)?;
        Ok(Self { client })
    }

    /// How much the server may take.
    pub(super) fn bounds(&self) -> Bounds {
        self.client.bounds()
    }

    /// All zones of the server.
    pub(super) fn zones(&self) -> Result<BTreeMap<Fqdn, ListedZone>, HttpError> {
        let entries: Vec<ZoneEntry> = self.client.read("/zones")?;
        let mut zones = BTreeMap::new();
        for ZoneEntry { id, name, kind } in entries {
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._=-".contains(&b);
            let Some(name) =
                Fqdn::read(&name).filter(|_| !id.is_empty() && id.bytes().all(is_plain))
            else {
                continue;
            };
            let kind = kind.to_ascii_lowercase();
            let primary = ["native", "master", "primary", "producer"].contains(&kind.as_str());
            zones.insert(name, ListedZone { id, hosted: Hosted { primary } });
        }
        Ok(zones)
    }

    /// All that a zone holds.
    pub(super) fn whole(&self, zone: &ListedZone) -> Result<Found, HttpError> {
        let body: ZoneBody = self.client.read(&format!("/zones/{}", zone.id))?;
        Ok(body.found)
    }

    /// What a zone holds at least at these names, `sets` being in it: whichever is less.
    pub(super) fn at(
        &self,
        zone: &ListedZone,
        names: &BTreeSet<Fqdn>,
        sets: usize,
    ) -> Result<Found, HttpError> {
        if names.len() * SETS_PER_QUESTION > sets {
            return self.whole(zone);
        }
        let mut found = Found::default();
        for name in names {
            let target = format!("/zones/{}?rrset_name={}", zone.id, in_query(name.as_str()));
            let body: ZoneBody = self.client.read(&target)?;
            found.names.extend(body.found.names);
        }
        Ok(found)
    }

    /// Writes sets of a zone, all of them or none, once.
    pub(super) fn write<'a>(
        &self,
        zone: &ListedZone,
        writes: impl Iterator<Item = &'a Write>,
    ) -> Result<(), HttpError> {
        let patch = Patch { rrsets: writes.map(patched).collect() };
        let body = serde_json::to_vec(&patch);
        let body = body.map_err(|e| HttpError::Unusable(format!("cannot be written: {e}")))?;
        self.client.send(&Method::PATCH, &format!("/zones/{}", zone.id), Some(body))?;
        Ok(())
    }
}

/// Whether a server refused comments, which the backend of a zone may not keep.
pub(super) fn keeps_no_comments(error: &HttpError) -> bool {
    matches!(error, HttpError::Refused { status: 422, said, .. } if said.contains("comments"))
}

fn patched(write: &Write) -> PatchedSet<'_> {
    let comments = write.comments.as_ref().map(|comments| {
        let body = |Comment { content, account, modified_at }: &Comment| CommentBody {
            content: content.clone(),
            account: account.clone(),
            modified_at: *modified_at,
        };
        comments.iter().map(body).collect()
    });
    PatchedSet {
        name: write.name.as_str(),
        kind: write.kind.as_str(),
        changetype: if write.records.is_empty() { "DELETE" } else { "REPLACE" },
        ttl: write.ttl,
        records: write
            .records
            .iter()
            .map(|Record { content, disabled }| RecordBody {
                content: content.clone(),
                disabled: *disabled,
            })
            .collect(),
        comments,
    }
}

/// Keeps of a zone's sets what may matter, one after the other.
fn sets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Found, D::Error> {
    struct Sets;

    impl<'de> Visitor<'de> for Sets {
        type Value = Found;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of sets of records")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sets: A) -> Result<Found, A::Error> {
            let mut found = Found::default();
            while let Some(set) = sets.next_element::<SetBody>()? {
                // What weft cannot read it cannot have written.
                let Some(name) = Fqdn::read(&set.name) else { continue };
                let Some(kind) = RecordKind::of(&set.kind) else { continue };
                if kind == RecordKind::Txt && !Found::may_mark(&name) {
                    continue;
                }
                found.names.entry(name).or_default().insert(kind, kept(set));
            }
            Ok(found)
        }
    }

    deserializer.deserialize_seq(Sets)
}

fn kept(set: SetBody) -> Rrset {
    let records = set.records.into_iter();
    let comments = set.comments.into_iter();
    Rrset {
        ttl: set.ttl,
        records: records
            .map(|RecordBody { content, disabled }| Record { content, disabled })
            .collect(),
        comments: comments
            .map(|CommentBody { content, account, modified_at }| Comment {
                content,
                account,
                modified_at,
            })
            .collect(),
    }
}

/// A text as the value of a query (RFC 3986 §2).
fn in_query(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let byte = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(byte).collect()
}
