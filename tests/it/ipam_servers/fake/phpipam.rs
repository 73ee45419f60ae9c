//! phpIPAM in memory, as far as weft and these tests ask it (`services.md` §3, §7): there is no
//! real one that tests could run.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use ipnet::IpNet;
use serde_json::{Map, Value, json};

use super::http::{Answer, Request, serve};

type Object = Map<String, Value>;
type Refusal = (u16, String);

/// The name of the application below which everything lies.
const APP: &str = "/api/weft";
const SUBNET: [&str; 5] = ["subnet", "mask", "sectionId", "description", "vrfId"];
const ADDRESS: [&str; 6] = ["ip", "subnetId", "hostname", "mac", "description", "tag"];

#[derive(Default)]
pub(crate) struct State {
    pub(crate) subnets: BTreeMap<u64, Object>,
    pub(crate) addresses: BTreeMap<u64, Object>,
    last: u64,
    /// The custom fields of each controller.
    pub(crate) fields: BTreeMap<&'static str, BTreeSet<&'static str>>,
    pub(crate) token: String,
    pub(crate) may_write: bool,
    /// Whether numbers are read as texts.
    pub(crate) texts: bool,
}

pub(crate) struct Fake {
    pub(crate) port: u16,
    pub(crate) state: Arc<Mutex<State>>,
}

impl Fake {
    pub(crate) fn start() -> Self {
        let mut state = State { token: "t".repeat(32), may_write: true, ..State::default() };
        state.fields.insert("subnets", BTreeSet::from(["custom_weft"]));
        state.fields.insert("addresses", BTreeSet::from(["custom_weft", "custom_weft_lease"]));
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        let port = serve(move |request| shared.lock().unwrap().answer(&request));
        Self { port, state }
    }

    /// Makes a subnet or an address as a person does it.
    pub(crate) fn make(&self, controller: &str, body: &Value) -> u64 {
        let mut state = self.state.lock().unwrap();
        let body = body.as_object().unwrap().clone();
        let made = if controller == "subnets" {
            state.make_subnet(body)
        } else {
            state.make_address(body)
        };
        made.unwrap_or_else(|refused| panic!("{refused:?}"))
    }

    /// What there is, as lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let word =
            |object: &Object, name: &str| object[name].as_str().unwrap_or_default().to_owned();
        let subnets = state.subnets.values().map(|one| {
            format!(
                "{} {}/{} {}",
                one["sectionId"],
                word(one, "subnet"),
                word(one, "mask"),
                word(one, "description")
            )
        });
        let addresses = state.addresses.values().map(|one| {
            let names = [word(one, "ip"), word(one, "description"), word(one, "hostname")];
            format!("{} tag {}", names.join(" "), one["tag"])
        });
        let mut lines: Vec<String> = subnets.chain(addresses).collect();
        lines.sort();
        lines
    }
}

fn refused<T>(status: u16, text: &str) -> Result<T, Refusal> {
    Err((status, text.to_owned()))
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

impl State {
    fn answer(&mut self, request: &Request) -> Answer {
        let (status, mut body) = match self.judge(request) {
            Ok((status, body)) => (status, body),
            Err((status, message)) => (status, json!({ "message": message })),
        };
        body["code"] = json!(status);
        body["success"] = json!(status < 300);
        body["time"] = json!(0.002);
        // Each call begins a session, which nobody is to keep.
        Answer::json(status, &body).with("Set-Cookie", "phpipam=1".to_owned())
    }

    fn judge(&mut self, request: &Request) -> Result<(u16, Value), Refusal> {
        let Some(path) = request.path.strip_prefix(APP) else {
            return refused(400, "Invalid application id");
        };
        if request.header("token") != self.token {
            return refused(401, "Unauthorized");
        }
        if request.method != "GET" && !self.may_write {
            return refused(401, "invalid permissions");
        }
        assert_eq!(request.header("cookie"), "");
        let body = || -> Result<Object, Refusal> {
            serde_json::from_slice(&request.body).map_err(|_| (400, "Invalid JSON".to_owned()))
        };
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let id = |text: &str| text.parse::<u64>().unwrap_or(0);
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["sections", section]) if *section == "1" || *section == "2" => Ok((
                200,
                json!({ "data": { "id": self.written(id(section)), "name": "Customers" } }),
            )),
            ("GET", ["sections", _]) => refused(404, "Section does not exist"),
            ("GET", ["sections", section, "subnets"]) => {
                let section = id(section);
                let found =
                    self.subnets.values().filter(|one| number(&one["sectionId"]) == Some(section));
                self.listed(found.cloned().collect(), "No subnets found")
            }
            ("GET", [controller @ ("subnets" | "addresses"), "custom_fields"]) => {
                let fields = &self.fields[controller];
                let fields =
                    fields.iter().map(|name| ((*name).to_owned(), json!({ "name": name })));
                Ok((200, json!({ "data": Value::Object(fields.collect()) })))
            }
            ("GET", ["subnets", "cidr", address, length]) => {
                // Over all sections.
                let net: Option<IpNet> = format!("{address}/{length}").parse().ok();
                let found = self.subnets.values().filter(|one| Some(prefix(one)) == net);
                self.listed(found.cloned().collect(), "No subnets found")
            }
            ("GET", ["subnets", subnet, "addresses"]) => {
                let found = self
                    .addresses
                    .values()
                    .filter(|one| number(&one["subnetId"]) == Some(id(subnet)));
                self.listed(found.cloned().collect(), "No addresses found")
            }
            ("GET", ["addresses", "search", address]) => {
                let found = self.addresses.values().filter(|one| one["ip"] == json!(address));
                self.listed(found.cloned().collect(), "Address not found")
            }
            // This one is broken in the real one.
            ("GET", ["addresses", _, _]) => refused(404, "Address not found"),
            (_, [controller @ ("subnets" | "addresses"), number]) => {
                self.of_one(controller, id(number), request)
            }
            ("POST", ["subnets"]) => {
                let id = self.make_subnet(body()?)?;
                Ok((201, json!({ "message": "Subnet created", "id": id.to_string() })))
            }
            ("POST", ["addresses"]) => {
                let id = self.make_address(body()?)?;
                Ok((201, json!({ "message": "Address created", "id": id.to_string() })))
            }
            _ => refused(400, "Invalid controller"),
        }
    }

    fn of_one(
        &mut self,
        controller: &str,
        id: u64,
        request: &Request,
    ) -> Result<(u16, Value), Refusal> {
        let (all, absent) = if controller == "subnets" {
            (&mut self.subnets, "Subnet does not exist")
        } else {
            (&mut self.addresses, "Address does not exist")
        };
        let Some(object) = all.get_mut(&id) else { return refused(404, absent) };
        match request.method.as_str() {
            "GET" => Ok((200, json!({ "data": self.shown(self.of(controller, id)) }))),
            "PATCH" => {
                let body: Object = serde_json::from_slice(&request.body).unwrap();
                if ["ip", "subnetId", "subnet", "mask"].iter().any(|key| body.contains_key(*key)) {
                    return refused(400, "IP address and subnet cannot be changed");
                }
                if controller == "addresses" {
                    object.insert("tag".to_owned(), json!(2));
                }
                object.extend(body);
                Ok((200, json!({ "message": "Address updated" })))
            }
            "DELETE" => {
                all.remove(&id);
                if controller == "subnets" {
                    self.addresses.retain(|_, one| number(&one["subnetId"]) != Some(id));
                }
                Ok((200, json!({ "message": "deleted" })))
            }
            _ => refused(405, "Method not allowed"),
        }
    }

    fn of(&self, controller: &str, id: u64) -> Object {
        let all = if controller == "subnets" { &self.subnets } else { &self.addresses };
        all[&id].clone()
    }

    fn written(&self, number: u64) -> Value {
        if self.texts { json!(number.to_string()) } else { json!(number) }
    }

    fn shown(&self, mut object: Object) -> Value {
        for name in ["id", "sectionId", "subnetId"] {
            if let Some(number) = object.get(name).and_then(number) {
                object.insert(name.to_owned(), self.written(number));
            }
        }
        Value::Object(object)
    }

    fn listed(&self, found: Vec<Object>, absent: &str) -> Result<(u16, Value), Refusal> {
        if found.is_empty() {
            return refused(404, absent);
        }
        let found: Vec<Value> = found.into_iter().map(|one| self.shown(one)).collect();
        Ok((200, json!({ "data": found })))
    }

    fn check(&self, controller: &str, known: &[&str], body: &Object) -> Result<(), Refusal> {
        for name in body.keys() {
            if !known.contains(&name.as_str()) && !self.fields[controller].contains(name.as_str()) {
                return refused(400, &format!("Invalid request key {name}"));
            }
        }
        Ok(())
    }

    fn insert(&mut self, controller: &'static str, mut object: Object) -> u64 {
        self.last += 1;
        let id = self.last;
        object.insert("id".to_owned(), json!(id));
        for name in ["description", "hostname"] {
            object.entry(name).or_insert(json!(""));
        }
        for name in self.fields[controller].clone() {
            object.entry(name).or_insert(Value::Null);
        }
        let all = if controller == "subnets" { &mut self.subnets } else { &mut self.addresses };
        all.insert(id, object);
        id
    }

    fn make_subnet(&mut self, body: Object) -> Result<u64, Refusal> {
        self.check("subnets", &SUBNET, &body)?;
        let net = prefix(&body);
        if net.addr() != net.network() {
            return refused(
                400,
                &format!("IP address cannot be subnet! (Consider using {})", net.network()),
            );
        }
        let section = number(&body["sectionId"]);
        if !matches!(section, Some(1 | 2)) {
            return refused(400, "Invalid section");
        }
        let same = self.subnets.values().filter(|one| number(&one["sectionId"]) == section);
        if let Some(other) = same.map(prefix).find(|other| *other == net) {
            return refused(
                409,
                &format!("Subnet {net} overlaps with {other} in section Customers"),
            );
        }
        Ok(self.insert("subnets", body))
    }

    fn make_address(&mut self, mut body: Object) -> Result<u64, Refusal> {
        self.check("addresses", &ADDRESS, &body)?;
        let subnet = number(&body["subnetId"]).and_then(|id| self.subnets.get(&id));
        let Some(net) = subnet.map(prefix) else { return refused(404, "Invalid subnet Id") };
        let address = body["ip"].as_str().and_then(|text| text.parse::<IpAddr>().ok());
        let is_good = |address: &IpAddr| {
            net.contains(address) && (*address != net.network() && *address != net.broadcast())
        };
        if !address.as_ref().is_some_and(is_good) {
            return refused(
                500,
                &format!("{} is not a valid address for subnet {net}", body["ip"]),
            );
        }
        let is_same = |one: &&Object| {
            one["ip"] == body["ip"] && number(&one["subnetId"]) == number(&body["subnetId"])
        };
        if self.addresses.values().any(|one| is_same(&one)) {
            return refused(409, "IP address already exists");
        }
        body.entry("tag").or_insert(json!(2));
        Ok(self.insert("addresses", body))
    }
}

fn prefix(object: &Object) -> IpNet {
    let text =
        format!("{}/{}", object["subnet"].as_str().unwrap(), number(&object["mask"]).unwrap());
    text.parse().unwrap()
}
