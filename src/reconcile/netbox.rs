//! The HTTP API of NetBox (`…/api`), as versions 4.2 and later answer it (`services.md` §2).
//!
//! A zone's space is a VRF of its own. An object is ours exactly if it has the tag `weft` and
//! a mark of the cluster in the custom field `weft`, which is unique; the lease of a guest's
//! address is in the custom field `weft_lease`. Filters that a server does not know it passes
//! over without a word, so whatever comes back is looked at again.

mod row;
mod setup;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use hyper::Method;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use self::row::{Kind, Row};
use super::access::{self, Access};
use super::http::{Bounds, Client, Credential, HttpError};
use super::ipam::Server;
use crate::declare::lease;
use crate::network::IpamServer;
use crate::plan::ipam::{Content, Found, FoundObject, Key, Of, Reach, TAG};
use crate::value::{ClusterName, Secret, ZoneId};

/// The custom field of marks.
const MARK: &str = "weft";
/// The custom field of leases.
const LEASE: &str = "weft_lease";
/// The oldest version whose answers are known.
const OLDEST: Version = Version(4, 2);
/// Since when lists take only the entries that follow a number, and objects say their state.
const CURSOR: Version = Version(4, 6);
/// Since when several objects are made in one request, all of them or none.
const BULK: Version = Version(4, 7);
/// Since when a range can be closed to others.
const CLOSED: Version = Version(4, 3);
/// The most objects that are made in one request.
const BATCH: usize = 50;

/// A version of NetBox, without its last number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u16, u16);

/// One server.
#[derive(Debug)]
pub(super) struct NetBox {
    client: Client,
    version: Version,
    cluster: ClusterName,
    /// What is written into the server's log of changes.
    message: String,
    /// The VRF of each zone that has one.
    spaces: BTreeMap<ZoneId, u64>,
    /// Whether marks can be asked for by their beginning.
    is_loose: bool,
}

#[derive(Deserialize)]
struct Status {
    #[serde(rename = "netbox-version")]
    version: String,
}

impl NetBox {
    /// The server that is declared, asked for its version. `message` is
    /// written into its log of changes.
    ///
    /// # Errors
    /// The URL, the token or the authorities cannot be used, the server does not answer, or
    /// it is too old.
    pub(super) fn reach(
        server: &IpamServer,
        access: &Access,
        bounds: Bounds,
        (cluster, message): (&ClusterName, &str),
    ) -> Result<Self, HttpError> {
        // Tokens of the second kind say so; older servers know only the first word.
        let token = &access.secret;
        let scheme = if token.expose().starts_with("nbt_") { "Bearer" } else { "Token" };
        let value = Secret::new(format!("{scheme} {}", token.expose()));
        let credential = Credential { header: "authorization", value };
        let of = (&server.url, server.fingerprint.as_ref());
        let client = access::client(of, access.authorities.clone(), credential, bounds)?;
        let Status { version } = client.read("/status/")?;
        let mut numbers = version.split('.').map(str::parse);
        let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
            let said = format!("its version is `{}`", version.escape_debug());
            return Err(HttpError::Nonsense(said));
        };
        let version = Version(major, minor);
        if version < OLDEST {
            let said = format!(
                "it is NetBox {major}.{minor}, and weft needs {}.{} or later",
                OLDEST.0, OLDEST.1
            );
            return Err(HttpError::Unusable(said));
        }
        let (cluster, message) = (cluster.clone(), message.to_owned());
        Ok(Self { client, version, cluster, message, spaces: BTreeMap::new(), is_loose: false })
    }

    /// The name of the VRF that is made for a zone.
    fn name_of_space(&self, zone: &ZoneId) -> String {
        format!("{}/{zone}", self.cluster)
    }

    /// Asks for what has the tag and a mark of the cluster, and perhaps for more.
    fn ours(&self) -> String {
        let beginning = in_query(&format!("{TAG}:{}/", self.cluster));
        let mark = if self.is_loose { format!("&cf_{MARK}={beginning}") } else { String::new() };
        format!("tag={TAG}{mark}")
    }

    /// Asks for what is in one of the spaces, or with `__n` in none.
    fn in_spaces(&self, negation: &str) -> String {
        self.spaces.values().fold(String::new(), |all, vrf| format!("{all}&vrf_id{negation}={vrf}"))
    }

    fn kept(&self, kind: Kind, row: Row) -> Result<FoundObject, HttpError> {
        let vrf = row.vrf();
        let zone = self.spaces.iter().find(|(_, id)| Some(**id) == vrf).map(|(zone, _)| zone);
        row.read(kind, zone, &self.cluster)
    }

    fn list(&self, kind: Kind, filter: &str) -> Result<Vec<FoundObject>, HttpError> {
        let mut found = Vec::new();
        self.each(kind, filter, |object| found.push(object))?;
        Ok(found)
    }

    /// Reads a list page by page, so that nobody holds all of it who does not want to.
    fn each(
        &self,
        kind: Kind,
        filter: &str,
        mut keep: impl FnMut(FoundObject),
    ) -> Result<(), HttpError> {
        walk::all(&self.client, kind, filter, self.version >= CURSOR, |row| {
            keep(self.kept(kind, row)?);
            Ok(())
        })
    }

    /// The VRFs of our zones, and those that are named as ours would be.
    fn read_spaces(&mut self, zones: &BTreeSet<ZoneId>) -> Result<Vec<FoundObject>, HttpError> {
        let mut spaces: Vec<FoundObject> =
            self.list(Kind::Vrf, &self.ours())?.into_iter().filter(FoundObject::is_ours).collect();
        self.spaces.clear();
        for space in &mut spaces {
            let mark = space.content.as_ref().map(|content| &content.mark);
            let zone = mark.filter(|mark| mark.of == Of::Space).map(|mark| mark.zone.clone());
            if let Some(zone) = &zone {
                self.spaces.entry(zone.clone()).or_insert(space.id);
            }
            space.zone = zone;
        }
        for zone in zones {
            if self.spaces.contains_key(zone) {
                continue;
            }
            let name = self.name_of_space(zone);
            let named = self.list(Kind::Vrf, &format!("name={}", in_query(&name)))?;
            let named = named.into_iter().filter(|space| space.label == name && !space.is_ours());
            let named: Vec<_> =
                named.map(|space| FoundObject { zone: Some(zone.clone()), ..space }).collect();
            if let [space] = named.as_slice() {
                self.spaces.insert(zone.clone(), space.id);
            }
            spaces.extend(named);
        }
        Ok(spaces)
    }

    /// An object as it is to be written. A VRF keeps the name that it has.
    fn body(
        &self,
        zone: &ZoneId,
        key: Key,
        content: &Content,
    ) -> Result<Map<String, Json>, HttpError> {
        let mut fields = json!({ MARK: content.mark.to_string() });
        let mut body = json!({ "description": content.description });
        match key {
            Key::Space => {}
            Key::Prefix(prefix) => body["prefix"] = json!(prefix),
            Key::Range(start, end) => {
                body["start_address"] = json!(format!("{start}/{}", content.length));
                body["end_address"] = json!(format!("{end}/{}", content.length));
                if self.version >= CLOSED {
                    body["mark_populated"] = json!(content.is_closed);
                }
            }
            Key::Address(address) => {
                body["address"] = json!(format!("{address}/{}", content.length));
                body["dns_name"] = json!(content.dns_name);
                let lease = content.lease.as_ref();
                body["status"] = json!(if content.is_given_up() { "deprecated" } else { "active" });
                let lease = lease.map(|lease| serde_json::from_slice::<Json>(&lease::write(lease)));
                let lease = lease.transpose().map_err(|e| HttpError::Unusable(e.to_string()))?;
                fields[LEASE] = json!(lease);
            }
        }
        if key != Key::Space {
            let vrf = self.spaces.get(zone);
            let vrf = vrf.ok_or_else(|| HttpError::Unusable("the zone has no VRF".to_owned()))?;
            body["vrf"] = json!(vrf);
        }
        body["custom_fields"] = fields;
        body["changelog_message"] = json!(self.message);
        match body {
            Json::Object(body) => Ok(body),
            _ => Err(HttpError::Unusable("it is no object".to_owned())),
        }
    }

    fn send(
        &self,
        method: &Method,
        target: &str,
        body: Option<&Json>,
        found: Option<&FoundObject>,
    ) -> Result<(), HttpError> {
        let body = body.map(serde_json::to_vec).transpose();
        let body = body.map_err(|e| HttpError::Unusable(format!("cannot be written: {e}")))?;
        // The state of an object is its time, in the other way to write UTC.
        let version = found.filter(|_| self.version >= CURSOR);
        let version =
            version.map(|found| format!("W/\"{}\"", found.version.replace('Z', "+00:00")));
        self.client.send_if(method, target, body, version.as_deref())?;
        Ok(())
    }

    fn target(found: &FoundObject) -> String {
        format!("{}{}/", Kind::of(found.key).path(), found.id)
    }
}

impl Server for NetBox {
    fn bounds(&self) -> Bounds {
        self.client.bounds()
    }

    fn capacity(&self) -> Reach {
        Reach { spaces: true, ranges: true, cascades: false }
    }

    fn batch(&self) -> usize {
        if self.version >= BULK { BATCH } else { 1 }
    }

    fn lacks(&mut self) -> Result<Vec<String>, HttpError> {
        let setup = setup::read(&self.client)?;
        self.is_loose = setup.is_loose;
        Ok(setup.lacks)
    }

    fn found(&mut self, zones: &BTreeSet<ZoneId>) -> Result<Found, HttpError> {
        let mut objects = self.read_spaces(zones)?;
        for kind in [Kind::Prefix, Kind::Range, Kind::Address] {
            // What was moved out of its space, and what the spaces hold.
            let ours = format!("{}{}", self.ours(), self.in_spaces("__n"));
            let spaces = Some(self.in_spaces("")).filter(|spaces| !spaces.is_empty());
            let mut seen = BTreeSet::new();
            for filter in [Some(ours), spaces].into_iter().flatten() {
                self.each(kind, &filter, |object| {
                    let is_concerned = object.is_ours() || object.zone.is_some();
                    if is_concerned && seen.insert(object.id) {
                        objects.push(object);
                    }
                })?;
            }
        }
        Ok(Found { objects })
    }

    fn at(&mut self, zone: &ZoneId, keys: &[Key]) -> Result<Vec<FoundObject>, HttpError> {
        if keys.contains(&Key::Space) {
            let zones = BTreeSet::from([zone.clone()]);
            let mut spaces = self.read_spaces(&zones)?;
            spaces.retain(|space| space.zone.as_ref() == Some(zone));
            return Ok(spaces);
        }
        let Some(vrf) = self.spaces.get(zone) else { return Ok(Vec::new()) };
        let mut objects = Vec::new();
        for kind in [Kind::Prefix, Kind::Range, Kind::Address] {
            let of_kind = keys.iter().filter(|key| Kind::of(**key) == kind);
            let questions: Vec<String> = match kind {
                // Ends of ranges belong together.
                Kind::Range => of_kind.map(|key| row::question(*key)).collect(),
                _ => vec![of_kind.map(|key| row::question(*key)).collect()],
            };
            for question in questions.iter().filter(|question| !question.is_empty()) {
                let found = self.list(kind, &format!("vrf_id={vrf}{question}"))?;
                let is_asked =
                    |one: &FoundObject| one.zone.as_ref() == Some(zone) && keys.contains(&one.key);
                objects.extend(found.into_iter().filter(is_asked));
            }
        }
        Ok(objects)
    }

    fn again(&mut self, found: &FoundObject) -> Result<Option<FoundObject>, HttpError> {
        let kind = Kind::of(found.key);
        let row: Row = match self.client.read(&Self::target(found)) {
            Ok(row) => row,
            Err(HttpError::Refused { status: 404, .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let object = self.kept(kind, row)?;
        let zone = if kind == Kind::Vrf { found.zone.clone() } else { object.zone };
        Ok(Some(FoundObject { zone, ..object }))
    }

    fn others_within(&mut self, found: &FoundObject) -> Result<Vec<FoundObject>, HttpError> {
        let vrf = found.zone.as_ref().and_then(|zone| self.spaces.get(zone));
        let Some(vrf) = vrf else { return Ok(Vec::new()) };
        let mut others = Vec::new();
        for kind in [Kind::Prefix, Kind::Range, Kind::Address] {
            let within = match (kind, found.key) {
                (Kind::Prefix, Key::Prefix(prefix)) => {
                    format!("&within={}", in_query(&prefix.to_string()))
                }
                (_, Key::Prefix(prefix)) => format!("&parent={}", in_query(&prefix.to_string())),
                (_, Key::Space) => String::new(),
                (_, Key::Range(..) | Key::Address(_)) => continue,
            };
            let listed = self.list(kind, &format!("vrf_id={vrf}{within}&tag__n={TAG}"))?;
            others.extend(listed.into_iter().filter(|one| {
                let is_within = match found.key {
                    Key::Prefix(prefix) => one.key.is_below(&prefix),
                    _ => true,
                };
                is_within && one.zone == found.zone && !one.is_ours()
            }));
        }
        Ok(others)
    }

    fn create(&mut self, zone: &ZoneId, objects: &[(Key, &Content)]) -> Result<(), HttpError> {
        let Some((first, _)) = objects.first() else { return Ok(()) };
        let mut bodies = Vec::new();
        for (key, content) in objects {
            let mut body = self.body(zone, *key, content)?;
            body.insert("tags".to_owned(), json!([{ "slug": TAG }]));
            if *key == Key::Space {
                body.insert("name".to_owned(), json!(self.name_of_space(zone)));
                body.insert("enforce_unique".to_owned(), json!(true));
            }
            bodies.push(Json::Object(body));
        }
        let body =
            if let [body] = bodies.as_mut_slice() { body.take() } else { Json::Array(bodies) };
        self.send(&Method::POST, Kind::of(*first).path(), Some(&body), None)
    }

    fn update(&mut self, found: &FoundObject, content: &Content) -> Result<(), HttpError> {
        let zone = found.zone.as_ref().unwrap_or(&content.mark.zone);
        let mut body = self.body(zone, found.key, content)?;
        if !found.is_ours() {
            let tags = found.tags.iter().map(|id| json!({ "id": id }));
            let tags: Vec<Json> = tags.chain([json!({ "slug": TAG })]).collect();
            body.insert("tags".to_owned(), json!(tags));
        }
        let body = Json::Object(body);
        self.send(&Method::PATCH, &Self::target(found), Some(&body), Some(found))
    }

    fn delete(&mut self, found: &FoundObject) -> Result<(), HttpError> {
        self.send(&Method::DELETE, &Self::target(found), None, Some(found))
    }
}

/// A text as the value of a query (RFC 3986 §2).
fn in_query(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let byte = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(byte).collect()
}
