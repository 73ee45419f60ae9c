//! NetBox servers for tests, asked by a client that shares nothing with weft's.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::fake::netbox::{Fake, Token};

/// The kinds of objects that weft makes.
const OBJECTS: [&str; 4] = ["ipam.vrf", "ipam.prefix", "ipam.iprange", "ipam.ipaddress"];

/// A NetBox with what weft needs there.
pub(crate) struct Site {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    /// A token that may do all.
    pub(crate) token: String,
    pub(crate) fake: Option<Fake>,
}

/// What the real server of this run says of itself; `None` where there is none.
fn real() -> Option<&'static (u16, String)> {
    static REAL: OnceLock<Option<(u16, String)>> = OnceLock::new();
    let real = REAL.get_or_init(|| {
        let file = std::env::var_os("WEFT_NETBOX")?;
        let text = fs::read_to_string(file).unwrap();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_else(|| panic!("no {name}")).to_owned()
        };
        let site = Site {
            name: "NetBox",
            port: value("PORT").parse().unwrap(),
            token: value("TOKEN"),
            fake: None,
        };
        site.prepare();
        Some((site.port, site.token))
    });
    real.as_ref()
}

/// The real server where there is one, else a fake of each version.
pub(crate) fn sites() -> Vec<Site> {
    if let Some((port, token)) = real() {
        return vec![Site { name: "NetBox", port: *port, token: token.clone(), fake: None }];
    }
    let fakes = [("fake 4.2", (4, 2)), ("fake 4.7", (4, 7))];
    fakes.into_iter().map(|(name, version)| fake(name, version)).collect()
}

pub(crate) fn fake(name: &'static str, version: (u16, u16)) -> Site {
    let fake = Fake::start(version);
    let token =
        if version < (4, 5) { "a".repeat(40) } else { "nbt_abcdefabcdef.secret".to_owned() };
    fake.state.lock().unwrap().tokens.insert(token.clone(), Token::All);
    let site = Site { name, port: fake.port, token, fake: Some(fake) };
    site.prepare();
    site
}

impl Site {
    /// Makes what a person makes before weft comes, unless it is there.
    fn prepare(&self) {
        if !self.all("/extras/tags/?slug=weft").is_empty() {
            return;
        }
        self.make("/extras/tags/", &json!({ "name": "weft", "slug": "weft" }));
        self.make(
            "/extras/custom-fields/",
            &json!({ "name": "weft", "type": "text", "unique": true, "object_types": OBJECTS }),
        );
        self.make(
            "/extras/custom-fields/",
            &json!({ "name": "weft_lease", "type": "json", "object_types": ["ipam.ipaddress"] }),
        );
    }

    pub(crate) fn try_ask(&self, method: &str, target: &str, body: Option<&Value>) -> (u16, Value) {
        let body = body.map(Value::to_string).unwrap_or_default();
        let scheme = if self.token.starts_with("nbt_") { "Bearer" } else { "Token" };
        let request = format!(
            "{method} /api{target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Authorization: {scheme} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// Asks for something that must be done.
    pub(crate) fn ask(&self, method: &str, target: &str, body: Option<&Value>) -> Value {
        let (status, said) = self.try_ask(method, target, body);
        assert!((200..300).contains(&status), "{}: {method} {target}: {status} {said}", self.name);
        said
    }

    /// Makes an object as a person does it, and returns its number.
    pub(crate) fn make(&self, target: &str, body: &Value) -> u64 {
        self.ask("POST", target, Some(body))["id"].as_u64().unwrap()
    }

    pub(crate) fn all(&self, target: &str) -> Vec<Value> {
        let separator = if target.contains('?') { '&' } else { '?' };
        let listed = self.ask("GET", &format!("{target}{separator}limit=0"), None);
        listed["results"].as_array().unwrap().clone()
    }

    /// The VRF of a zone, which there is.
    pub(crate) fn vrf(&self, cluster: &str, zone: &str) -> u64 {
        let found = self.all(&format!("/ipam/vrfs/?name={cluster}%2F{zone}"));
        found[0]["id"].as_u64().unwrap()
    }

    /// What lies in a VRF, as lines: kind, what it is, description, name.
    pub(crate) fn lines(&self, vrf: u64) -> Vec<String> {
        let mut lines = Vec::new();
        for kind in ["prefixes", "ip-ranges", "ip-addresses"] {
            for object in self.all(&format!("/ipam/{kind}/?vrf_id={vrf}")) {
                let is = match kind {
                    "prefixes" => object["prefix"].as_str().unwrap().to_owned(),
                    "ip-ranges" => format!(
                        "{}-{}",
                        object["start_address"].as_str().unwrap(),
                        object["end_address"].as_str().unwrap()
                    ),
                    _ => object["address"].as_str().unwrap().to_owned(),
                };
                let name = object["dns_name"].as_str().unwrap_or_default();
                let line = format!("{is} {} {name}", object["description"].as_str().unwrap());
                lines.push(line.trim_end().to_owned());
            }
        }
        lines.sort();
        lines
    }

    /// A token that may change only what has the tag `weft`, as README has it made.
    pub(crate) fn constrained(&self) -> String {
        let word = format!("w{}", super::name());
        if let Some(fake) = &self.fake {
            fake.state.lock().unwrap().tokens.insert(word.clone(), Token::Tagged);
            return word;
        }
        let user = self.user(&word);
        let tagged = json!([{ "tags__slug": "weft" }]);
        self.permit(user, "read", &["extras.tag", "extras.customfield"], &["view"], &Value::Null);
        self.permit(user, "look", &OBJECTS, &["view"], &Value::Null);
        self.permit(user, "write", &OBJECTS, &["add", "change", "delete"], &tagged);
        self.token_of(user, true)
    }

    /// A token that may read everything and write nothing.
    pub(crate) fn read_only(&self) -> String {
        if let Some(fake) = &self.fake {
            let word = "r".repeat(40);
            fake.state.lock().unwrap().tokens.insert(word.clone(), Token::Read);
            return word;
        }
        let user = self.user(&format!("r{}", super::name()));
        self.permit(user, "read", &["extras.tag", "extras.customfield"], &["view"], &Value::Null);
        self.permit(user, "all", &OBJECTS, &["view", "add", "change", "delete"], &Value::Null);
        self.token_of(user, false)
    }

    fn permit(&self, user: u64, name: &str, types: &[&str], actions: &[&str], constraints: &Value) {
        let body = json!({
            "name": format!("{name} {user}"), "object_types": types, "actions": actions,
            "constraints": constraints, "users": [user],
        });
        self.make("/users/permissions/", &body);
    }

    fn user(&self, name: &str) -> u64 {
        self.make(
            "/users/users/",
            &json!({ "username": name, "password": "A-password-of-tests-1" }),
        )
    }

    /// A token of the first kind.
    fn token_of(&self, user: u64, may_write: bool) -> String {
        let body = json!({ "user": { "id": user }, "version": 1, "write_enabled": may_write });
        self.ask("POST", "/users/tokens/", Some(&body))["token"].as_str().unwrap().to_owned()
    }

    /// All that has no tag, with when it was changed.
    pub(crate) fn foreign(&self, vrf: u64) -> Vec<Value> {
        let kinds = ["prefixes", "ip-ranges", "ip-addresses"].into_iter();
        let objects = kinds.flat_map(|kind| self.all(&format!("/ipam/{kind}/?vrf_id={vrf}")));
        let has_tag = |object: &Value| !object["tags"].as_array().unwrap().is_empty();
        let foreign = objects.filter(|object| !has_tag(object));
        foreign
            .map(|object| {
                json!([object["id"], object["last_updated"], object["prefix"], object["address"]])
            })
            .collect()
    }
}
