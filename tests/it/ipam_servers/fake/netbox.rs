//! NetBox in memory, as far as weft and these tests ask it, with what 4.2 and 4.7 do
//! otherwise (`services.md` §2.2, §7).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use ipnet::IpNet;
use serde_json::{Map, Value, json};

use super::http::{Answer, Request, serve};

const KINDS: [&str; 6] = ["vrfs", "prefixes", "ip-ranges", "ip-addresses", "tags", "custom-fields"];
const TYPES: [(&str, &str); 4] = [
    ("vrfs", "ipam.vrf"),
    ("prefixes", "ipam.prefix"),
    ("ip-ranges", "ipam.iprange"),
    ("ip-addresses", "ipam.ipaddress"),
];

type Object = Map<String, Value>;
type Refusal = (u16, Value);

/// What a token lets its holder do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    All,
    Read,
    /// Only what has the tag `weft`.
    Tagged,
}

#[derive(Default)]
pub(crate) struct State {
    version: (u16, u16),
    objects: BTreeMap<&'static str, BTreeMap<u64, Object>>,
    last: u64,
    time: u64,
    pub(crate) tokens: BTreeMap<String, Token>,
    /// How many prefixes that are there already are made all the same, as if they were made
    /// at the same moment.
    pub(crate) late_checks: usize,
    /// What was asked.
    pub(crate) seen: Vec<Request>,
}

pub(crate) struct Fake {
    pub(crate) port: u16,
    pub(crate) state: Arc<Mutex<State>>,
}

impl Fake {
    pub(crate) fn start(version: (u16, u16)) -> Self {
        let state = Arc::new(Mutex::new(State { version, ..State::default() }));
        let shared = state.clone();
        let port = serve(move |request| {
            let mut state = shared.lock().unwrap();
            state.seen.push(request.clone());
            let api = format!("{}.{}", state.version.0, state.version.1);
            state.answer(&request).with("API-Version", api)
        });
        Self { port, state }
    }
}

fn detail(status: u16, text: &str) -> Refusal {
    (status, json!({ "detail": text }))
}

fn field(name: &str, text: &str) -> Refusal {
    (400, json!({ name: [text] }))
}

impl State {
    fn answer(&mut self, request: &Request) -> Answer {
        let Some(path) = request.path.strip_prefix("/api") else {
            return Answer::html(404, "Page Not Found");
        };
        if !path.ends_with('/') {
            return Answer::html(301, "").with("Location", format!("{}/", request.path));
        }
        let token = match self.token(request) {
            Ok(token) => token,
            Err((status, body)) => return Answer::json(status, &body),
        };
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let result = match parts.as_slice() {
            ["status"] => {
                let (major, minor) = self.version;
                Ok(Answer::json(200, &json!({ "netbox-version": format!("{major}.{minor}.3") })))
            }
            ["ipam" | "extras", kind, rest @ ..] => {
                let Some(kind) = KINDS.into_iter().find(|known| known == kind) else {
                    return Answer::html(404, "Page Not Found");
                };
                match rest {
                    [] => self.of_list(kind, request, token),
                    [id] => self.of_one(kind, id.parse().unwrap_or(0), request, token),
                    _ => return Answer::html(404, "Page Not Found"),
                }
            }
            _ => return Answer::html(404, "Page Not Found"),
        };
        result.unwrap_or_else(|(status, body)| Answer::json(status, &body))
    }

    fn token(&self, request: &Request) -> Result<Token, Refusal> {
        let header = request.header("authorization");
        let (scheme, token) = header.split_once(' ').unwrap_or_default();
        if !(scheme == "Token" || scheme == "Bearer" && self.version >= (4, 5)) {
            return Err(detail(403, "Authentication credentials were not provided."));
        }
        let kind = if token.starts_with("nbt_") { "Invalid v2 token" } else { "Invalid v1 token" };
        let token = *self.tokens.get(token).ok_or_else(|| detail(403, kind))?;
        if request.method != "GET" && token == Token::Read {
            return Err(detail(403, "You do not have permission to perform this action."));
        }
        Ok(token)
    }

    fn of_list(
        &mut self,
        kind: &'static str,
        request: &Request,
        token: Token,
    ) -> Result<Answer, Refusal> {
        match request.method.as_str() {
            "GET" => self.list(kind, request),
            "POST" => {
                let body: Value = serde_json::from_slice(&request.body)
                    .map_err(|e| detail(400, &format!("JSON parse error - {e}")))?;
                match body {
                    Value::Object(body) => {
                        let id = self.create(kind, body, token)?;
                        Ok(self.shown(201, kind, id))
                    }
                    Value::Array(bodies) => self.create_all(kind, bodies, token),
                    _ => Err(detail(400, "Invalid data.")),
                }
            }
            _ => Err(detail(405, "Method not allowed.")),
        }
    }

    fn create_all(
        &mut self,
        kind: &'static str,
        bodies: Vec<Value>,
        token: Token,
    ) -> Result<Answer, Refusal> {
        let before = (self.objects.clone(), self.last);
        let (mut made, mut errors) = (Vec::new(), Vec::new());
        let number = bodies.len();
        for (index, body) in bodies.into_iter().enumerate() {
            match self.create(kind, body.as_object().cloned().unwrap_or_default(), token) {
                Ok(id) => made.push(self.show(kind, id)),
                Err((403, body)) => return Err((403, body)),
                Err((_, errors_of)) => errors.push(json!({ "index": index, "errors": errors_of })),
            }
        }
        if errors.is_empty() {
            return Ok(Answer::json(201, &Value::Array(made)));
        }
        (self.objects, self.last) = before;
        if self.version < (4, 7) {
            return Err((500, json!({ "error": "'data'", "exception": "KeyError" })));
        }
        let said = format!("{} of {number} objects could not be created.", errors.len());
        Err((400, json!({ "detail": said, "errors": errors })))
    }

    fn of_one(
        &mut self,
        kind: &'static str,
        id: u64,
        request: &Request,
        token: Token,
    ) -> Result<Answer, Refusal> {
        let absent = || detail(404, &format!("No {kind} matches the given query."));
        let object =
            self.objects.get(kind).and_then(|all| all.get(&id)).ok_or_else(absent)?.clone();
        if request.method == "GET" {
            return Ok(self.shown(200, kind, id));
        }
        if token == Token::Tagged && !self.has_tag(&object, "weft") {
            return Err(absent());
        }
        let wanted = request.header("if-match");
        if self.version >= (4, 6) && !wanted.is_empty() && wanted != etag(&object) {
            return Err(detail(412, "Precondition failed."));
        }
        match request.method.as_str() {
            "PATCH" => {
                let body: Object = serde_json::from_slice(&request.body)
                    .map_err(|e| detail(400, &format!("JSON parse error - {e}")))?;
                self.write(kind, Some(id), object, body, token)?;
                Ok(self.shown(200, kind, id))
            }
            "DELETE" => {
                let within = ["prefixes", "ip-ranges", "ip-addresses"].into_iter();
                let within = within.flat_map(|kind| self.objects.get(kind).into_iter().flatten());
                let number = within.filter(|(_, other)| other["vrf"] == json!(id)).count();
                if kind == "vrfs" && number > 0 {
                    let said =
                        format!("Unable to delete object. {number} dependent objects were found");
                    return Err(detail(409, &said));
                }
                self.objects.get_mut(kind).unwrap().remove(&id);
                Ok(Answer { status: 204, kind: "", headers: Vec::new(), body: String::new() })
            }
            _ => Err(detail(405, "Method not allowed.")),
        }
    }

    fn create(&mut self, kind: &'static str, body: Object, token: Token) -> Result<u64, Refusal> {
        let mut object = Object::new();
        for (name, value) in [
            ("description", json!("")),
            ("tags", json!([])),
            ("custom_fields", json!({})),
            ("vrf", Value::Null),
            ("dns_name", json!("")),
            ("status", json!("active")),
            ("mark_populated", json!(false)),
            ("enforce_unique", json!(true)),
            ("object_types", json!([])),
            ("unique", json!(false)),
            ("type", json!("text")),
            ("filter_logic", json!("loose")),
        ] {
            object.insert(name.to_owned(), value);
        }
        self.write(kind, None, object, body, token)
    }

    /// Writes an object that fits, with what was said of it over what there is.
    fn write(
        &mut self,
        kind: &'static str,
        id: Option<u64>,
        mut object: Object,
        body: Object,
        token: Token,
    ) -> Result<u64, Refusal> {
        let had_tag = self.has_tag(&object, "weft");
        for (name, value) in body {
            match name.as_str() {
                "tags" => object["tags"] = self.tags(&value)?,
                "custom_fields" => self.fields(kind, id, &mut object, &value)?,
                "dns_name" => object["dns_name"] = json!(value.as_str().unwrap().to_lowercase()),
                "prefix" => {
                    let net =
                        network(&value).ok_or_else(|| field("prefix", "Invalid IP prefix."))?;
                    if net.addr() != net.network() {
                        let said =
                            format!("{net} is not a valid prefix. Did you mean {}?", net.trunc());
                        return Err(field("prefix", &said));
                    }
                    object.insert(name, json!(net));
                }
                "address" | "start_address" | "end_address" => {
                    let net = network(&value)
                        .ok_or_else(|| field(&name, "Invalid IP address format: bad"))?;
                    object.insert(name, json!(net));
                }
                // A field that is not known is passed over.
                "vrf" | "name" | "slug" | "description" | "status" | "object_types" | "unique"
                | "type" | "enforce_unique" | "filter_logic" => {
                    object.insert(name, value);
                }
                "mark_populated" if self.version >= (4, 3) => {
                    object.insert(name, value);
                }
                _ => {}
            }
        }
        if token == Token::Tagged && (!self.has_tag(&object, "weft") || id.is_some() && !had_tag) {
            return Err(detail(403, "You do not have permission to perform this action."));
        }
        self.judge(kind, id, &object)?;
        self.time += 1;
        let id = id.unwrap_or_else(|| {
            self.last += 1;
            self.last
        });
        object.insert("id".to_owned(), json!(id));
        let time = format!("2026-11-27T06:00:{:02}.{:06}Z", self.time / 1_000_000, self.time);
        object.insert("last_updated".to_owned(), json!(time));
        self.objects.entry(kind).or_default().insert(id, object);
        Ok(id)
    }

    /// Puts in objects that are as the newest of a kind but for what `change` makes of its text.
    pub(crate) fn repeat(
        &mut self,
        kind: &'static str,
        numbers: std::ops::Range<usize>,
        change: impl Fn(usize, &str) -> String,
    ) {
        let of_kind = self.objects.get_mut(kind).unwrap();
        let text = Value::Object(of_kind.last_entry().unwrap().get().clone()).to_string();
        for number in numbers {
            self.last += 1;
            let mut object: Object = serde_json::from_str(&change(number, &text)).unwrap();
            object.insert("id".to_owned(), json!(self.last));
            of_kind.insert(self.last, object);
        }
    }

    fn judge(&mut self, kind: &str, id: Option<u64>, object: &Object) -> Result<(), Refusal> {
        let of_space = |kind: &str| -> Vec<Object> {
            let others = self.objects.get(kind).into_iter().flatten();
            let others =
                others.filter(|(of, other)| Some(**of) != id && other["vrf"] == object["vrf"]);
            others.map(|(_, other)| other.clone()).collect()
        };
        let vrf = object["vrf"].as_u64().and_then(|vrf| self.objects.get("vrfs")?.get(&vrf));
        if object["vrf"].is_u64() && vrf.is_none() {
            return Err(field("vrf", "Related object not found using the provided numeric ID"));
        }
        let is_unique = vrf.is_none_or(|vrf| vrf["enforce_unique"] == json!(true));
        let place = vrf.map_or("global table".to_owned(), |vrf| format!("VRF {}", vrf["name"]));
        match kind {
            "prefixes" if is_unique => {
                let same = of_space(kind).into_iter().any(|one| one["prefix"] == object["prefix"]);
                if same && self.late_checks > 0 {
                    self.late_checks -= 1;
                } else if same {
                    let prefix = object["prefix"].as_str().unwrap();
                    return Err(field(
                        "prefix",
                        &format!("Duplicate prefix found in {place}: {prefix}"),
                    ));
                }
            }
            "ip-addresses" => {
                let address = host(&object["address"]);
                let same = of_space(kind).into_iter().find(|one| host(&one["address"]) == address);
                if let Some(same) = same.filter(|_| is_unique) {
                    let said =
                        format!("Duplicate IP address found in {place}: {}", same["address"]);
                    return Err(field("address", &said));
                }
                let closed = of_space("ip-ranges").into_iter().find(|range| {
                    range["mark_populated"] == json!(true)
                        && host(&range["start_address"]) <= address
                        && address <= host(&range["end_address"])
                });
                if closed.is_some() && id.is_none() {
                    return Err(field(
                        "__all__",
                        "Cannot create IP address inside a populated range.",
                    ));
                }
            }
            "ip-ranges" => {
                let ends = |one: &Object| (host(&one["start_address"]), host(&one["end_address"]));
                let (start, end) = ends(object);
                let overlaps = of_space(kind).into_iter().any(|one| {
                    let (of_start, of_end) = ends(&one);
                    of_start <= end && start <= of_end
                });
                if overlaps {
                    let said = format!("Defined addresses overlap with range in {place}");
                    return Err(field("__all__", &said));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn tags(&self, value: &Value) -> Result<Value, Refusal> {
        let all = self.objects.get("tags").cloned().unwrap_or_default();
        let ids = value.as_array().unwrap().iter().map(|tag| {
            let is_it = |(id, one): &(&u64, &Object)| {
                tag["slug"] == one["slug"] || tag["id"] == json!(id) || *tag == json!(id)
            };
            all.iter().find(is_it).map(|(id, _)| json!(id)).ok_or_else(|| {
                let said = format!("Related object not found using the provided attributes: {tag}");
                field("tags", &said)
            })
        });
        Ok(Value::Array(ids.collect::<Result<_, _>>()?))
    }

    fn fields(
        &self,
        kind: &str,
        id: Option<u64>,
        object: &mut Object,
        value: &Value,
    ) -> Result<(), Refusal> {
        for (name, value) in value.as_object().unwrap() {
            let defined = self.defined(kind).into_iter().find(|one| one["name"] == json!(name));
            let Some(defined) = defined else {
                return Err(if self.version < (4, 7) {
                    field("__all__", &format!("Unknown field name '{name}' in custom field data."))
                } else {
                    let said =
                        format!("Custom field '{name}' does not exist for this object type.");
                    (400, json!({ "custom_fields": { name: said } }))
                });
            };
            let others = self.objects.get(kind).into_iter().flatten();
            let is_same = |(of, other): (&u64, &Object)| {
                Some(*of) != id && other["custom_fields"].get(name) == Some(value)
            };
            if defined["unique"] == json!(true)
                && !value.is_null()
                && others.into_iter().any(is_same)
            {
                return Err(field(
                    "__all__",
                    &format!("Custom field '{name}' must have a unique value."),
                ));
            }
            object["custom_fields"][name] = value.clone();
        }
        Ok(())
    }

    fn defined(&self, kind: &str) -> Vec<Object> {
        let of = TYPES.iter().find(|(known, _)| *known == kind).map(|(_, of)| *of);
        let all = self.objects.get("custom-fields").into_iter().flatten().map(|(_, one)| one);
        let is_for = |one: &&Object| {
            of.is_some_and(|of| one["object_types"].as_array().unwrap().contains(&json!(of)))
        };
        all.filter(is_for).cloned().collect()
    }

    fn has_tag(&self, object: &Object, slug: &str) -> bool {
        let tags = self.objects.get("tags").into_iter().flatten();
        let id = tags.filter(|(_, tag)| tag["slug"] == json!(slug)).map(|(id, _)| json!(id)).next();
        id.is_some_and(|id| object["tags"].as_array().unwrap().contains(&id))
    }

    fn list(&self, kind: &'static str, request: &Request) -> Result<Answer, Refusal> {
        let mut found = Vec::new();
        for (id, object) in self.objects.get(kind).into_iter().flatten() {
            if self.lets_through(object, request) {
                found.push(*id);
            }
        }
        if let Some(tag) = request.asks("tag")
            && !self
                .objects
                .get("tags")
                .into_iter()
                .flatten()
                .any(|(_, one)| one["slug"] == json!(tag))
        {
            return Err(field("tag", "Select a valid choice."));
        }
        let number = |name: &str| request.asks(name).and_then(|text| text.parse::<usize>().ok());
        let limit = match number("limit") {
            Some(0) => 1000,
            Some(limit) => limit.min(1000),
            None => 50,
        };
        let start = number("start").filter(|_| self.version >= (4, 6));
        let all = found.len();
        let rest: Vec<u64> = match start {
            Some(start) => found.into_iter().filter(|id| *id >= start as u64).collect(),
            None => found.into_iter().skip(number("offset").unwrap_or(0)).collect(),
        };
        // Made from what the client called it, which a proxy may have changed.
        let next = (rest.len() > limit).then_some("http://192.0.2.1/api/elsewhere/");
        let results: Vec<Value> =
            rest.into_iter().take(limit).map(|id| self.show(kind, id)).collect();
        let count = if start.is_some() { Value::Null } else { json!(all) };
        Ok(Answer::json(
            200,
            &json!({ "count": count, "next": next, "previous": null, "results": results }),
        ))
    }

    fn lets_through(&self, object: &Object, request: &Request) -> bool {
        let mut is_through = true;
        let mut groups: BTreeMap<&str, bool> = BTreeMap::new();
        for (name, value) in &request.query {
            let net = |name: &str| object.get(name).and_then(network);
            let wanted =
                value.parse::<IpNet>().ok().or_else(|| Some(value.parse::<IpAddr>().ok()?.into()));
            let is = match name.as_str() {
                "tag" => self.has_tag(object, value),
                "tag__n" => !self.has_tag(object, value),
                "vrf_id" if value == "null" => object["vrf"].is_null(),
                "vrf_id__n" => object["vrf"] != json!(value.parse::<u64>().unwrap_or(0)),
                "cf_weft" => {
                    let fields = self.objects.get("custom-fields").into_iter().flatten();
                    let mut fields = fields.map(|(_, field)| field);
                    let field = fields.find(|field| field["name"] == json!("weft"));
                    let mark = object["custom_fields"].get("weft").and_then(Value::as_str);
                    let mark = mark.unwrap_or_default();
                    match field.map(|field| field["filter_logic"].as_str().unwrap()) {
                        Some("loose") => mark.contains(value.as_str()),
                        Some(_) => mark == value,
                        None => continue,
                    }
                }
                "vrf_id" => object["vrf"] == json!(value.parse::<u64>().unwrap_or(0)),
                "name" | "slug" => object.get(name).and_then(Value::as_str) == Some(value),
                "prefix" => wanted.is_some() && net("prefix") == wanted,
                "within" => wanted.is_some_and(|wanted| {
                    net("prefix").is_some_and(|net| net != wanted && wanted.contains(&net))
                }),
                "parent" => wanted.is_some_and(|wanted| {
                    ["address", "start_address"]
                        .iter()
                        .any(|name| net(name).is_some_and(|net| wanted.contains(&net.addr())))
                }),
                "address" | "start_address" | "end_address" => wanted.is_some_and(|wanted| {
                    net(name).is_some_and(|net| {
                        net.addr() == wanted.addr() && (!value.contains('/') || net == wanted)
                    })
                }),
                // A filter that is not known is passed over.
                _ => continue,
            };
            // Of several values of one filter any does, and all of one that denies.
            if name.ends_with("__n") {
                is_through &= is;
            } else {
                *groups.entry(name).or_default() |= is;
            }
        }
        is_through && groups.values().all(|is| *is)
    }

    fn shown(&self, status: u16, kind: &'static str, id: u64) -> Answer {
        let object = self.show(kind, id);
        let answer = Answer::json(status, &object);
        if self.version < (4, 6) {
            return answer;
        }
        let etag = etag(object.as_object().unwrap());
        answer.with("ETag", etag)
    }

    /// As it is read: choices and references with what belongs to them.
    fn show(&self, kind: &'static str, id: u64) -> Value {
        let mut object = self.objects[kind][&id].clone();
        for name in ["status", "type", "filter_logic"] {
            object[name] = json!({ "value": object[name], "label": "" });
        }
        if let Some(vrf) = object["vrf"].as_u64() {
            object["vrf"] = json!({ "id": vrf, "name": self.objects["vrfs"][&vrf]["name"] });
        }
        let tags = object["tags"].as_array().unwrap().iter().map(|id| {
            let id = id.as_u64().unwrap();
            json!({ "id": id, "slug": self.objects["tags"][&id]["slug"] })
        });
        object["tags"] = Value::Array(tags.collect());
        for defined in self.defined(kind) {
            let name = defined["name"].as_str().unwrap().to_owned();
            let fields = object["custom_fields"].as_object_mut().unwrap();
            fields.entry(name).or_insert(Value::Null);
        }
        Value::Object(object)
    }
}

/// The state of an object.
fn etag(object: &Object) -> String {
    let time = object["last_updated"].as_str().unwrap();
    format!("W/\"{}\"", time.replace('Z', "+00:00"))
}

/// A network; without a length that of one address.
fn network(value: &Value) -> Option<IpNet> {
    let text = value.as_str()?;
    text.parse().ok().or_else(|| Some(IpNet::from(text.parse::<IpAddr>().ok()?)))
}

fn host(value: &Value) -> IpAddr {
    network(value).unwrap().addr()
}
