//! A real PowerDNS of the test's own, asked by a client that shares nothing with weft's.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

const SERVER: &str = "/usr/sbin/pdns_server";
const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";
pub(super) const KEY: &str = "the-key-of-the-api";

/// Where a server keeps its zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backend {
    /// With comments.
    Sqlite,
    /// Without.
    Lmdb,
}

pub(super) struct PowerDns {
    child: Child,
    _directory: TempDir,
    pub(super) port: u16,
    dns: u16,
}

impl Drop for PowerDns {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl PowerDns {
    /// A server without zones; `None` where there is none on this machine.
    pub(super) fn start(backend: Backend) -> Option<Self> {
        let module = match backend {
            Backend::Sqlite => "libgsqlite3backend.so",
            Backend::Lmdb => "liblmdbbackend.so",
        };
        let modules = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
            .map(|machine| format!("/usr/lib/{machine}/pdns/{module}"));
        if !Path::new(SERVER).exists() || !modules.iter().any(|module| Path::new(module).exists()) {
            println!(
                "skipped: PowerDNS with {module} is not installed (`apt-get install pdns-server pdns-backend-sqlite3 pdns-backend-lmdb sqlite3`)"
            );
            return None;
        }
        // Another process may take a port that was free.
        (0..5).find_map(|_| Self::try_start(backend)).or_else(|| panic!("PowerDNS does not start"))
    }

    fn try_start(backend: Backend) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().to_str().unwrap();
        let launch = match backend {
            Backend::Sqlite => {
                let database = format!("{at}/pdns.sqlite3");
                let schema = fs::File::open(SCHEMA).unwrap();
                let made = Command::new("sqlite3").arg(&database).stdin(schema).status().unwrap();
                assert!(made.success());
                format!(
                    "launch=gsqlite3\ngsqlite3-database={database}\ngsqlite3-pragma-synchronous=0"
                )
            }
            Backend::Lmdb => {
                format!("launch=lmdb\nlmdb-filename={at}/pdns.lmdb\nlmdb-sync-mode=nosync")
            }
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let dns = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let configuration = format!(
            "{launch}\nlocal-address=127.0.0.1\nlocal-port={dns}\napi=yes\napi-key={KEY}\nwebserver=yes\n\
             webserver-address=127.0.0.1\nwebserver-port={port}\nwebserver-allow-from=127.0.0.1/32\n\
             socket-dir={at}\nsecurity-poll-suffix=\ncache-ttl=0\nquery-cache-ttl=0\n\
             negquery-cache-ttl=0\nzone-cache-refresh-interval=0\nloglevel=3\n"
        );
        fs::write(directory.path().join("pdns.conf"), configuration).unwrap();
        let child = Command::new(SERVER)
            .args([&format!("--config-dir={at}"), "--daemon=no", "--guardian=no"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { child, _directory: directory, port, dns };
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until && server.child.try_wait().unwrap().is_none() {
            let answer = server.try_ask("GET", "", None);
            if answer.is_some_and(|(status, _)| status == 200) {
                return Some(server);
            }
            thread::sleep(Duration::from_millis(30));
        }
        None
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1/servers/localhost", self.port)
    }

    fn try_ask(&self, method: &str, target: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let request = format!(
            "{method} /api/v1/servers/localhost{target} HTTP/1.0\r\nX-API-Key: {KEY}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
    }

    /// Asks for something that must be done.
    pub(super) fn ask(&self, method: &str, target: &str, body: Option<&Value>) -> Value {
        let (status, said) = self.try_ask(method, target, body).unwrap();
        assert!((200..300).contains(&status), "{method} {target}: {status} {said}");
        said
    }

    pub(super) fn create(&self, zones: &[&str]) {
        for zone in zones {
            self.create_as(zone, "Native");
        }
    }

    pub(super) fn create_as(&self, zone: &str, kind: &str) {
        let nameservers = if kind == "Slave" { json!([]) } else { json!(["ns1.sdn.example."]) };
        let body = json!({"name": zone, "kind": kind, "nameservers": nameservers, "masters": []});
        self.ask("POST", "/zones", Some(&body));
    }

    /// Sets a set as a person does it, or removes it.
    pub(super) fn set(&self, zone: &str, name: &str, kind: &str, ttl: u32, contents: &[&str]) {
        let records: Vec<Value> =
            contents.iter().map(|content| json!({"content": content, "disabled": false})).collect();
        let change = if contents.is_empty() { "DELETE" } else { "REPLACE" };
        let body = json!({"rrsets": [{"name": name, "type": kind, "ttl": ttl, "changetype": change, "records": records}]});
        self.ask("PATCH", &format!("/zones/{}", id(zone)), Some(&body));
    }

    pub(super) fn zone(&self, zone: &str) -> Value {
        self.ask("GET", &format!("/zones/{}", id(zone)), None)
    }

    /// The sets of a zone as lines, without those of the zone itself and without marks:
    /// `name ttl type contents`.
    pub(super) fn records(&self, zone: &str) -> Vec<String> {
        let whole = self.zone(zone);
        let mut lines: Vec<String> = Vec::new();
        for set in whole["rrsets"].as_array().unwrap() {
            let name = set["name"].as_str().unwrap();
            if name == zone || name.contains("._weft.") {
                continue;
            }
            let records = set["records"].as_array().unwrap().iter();
            let mut contents: Vec<&str> =
                records.map(|record| record["content"].as_str().unwrap()).collect();
            contents.sort_unstable();
            let kind = set["type"].as_str().unwrap();
            lines.push(format!("{name} {} {kind} {}", set["ttl"], contents.join(" ")));
        }
        lines.sort();
        lines
    }

    /// All that a zone holds, without its serial.
    pub(super) fn everything(&self, zone: &str) -> Value {
        let mut sets = self.zone(zone)["rrsets"].as_array().unwrap().clone();
        sets.retain(|set| set["type"] != "SOA");
        sets.sort_by_key(Value::to_string);
        Value::Array(sets)
    }

    pub(super) fn serial(&self, zone: &str) -> u64 {
        self.zone(zone)["serial"].as_u64().unwrap()
    }

    /// Whether an answer by DNS to a question for a name holds these bytes (RFC 1035 §4.1).
    pub(super) fn answers(&self, name: &str, kind: u8, bytes: &[u8]) -> bool {
        let mut question = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.trim_end_matches('.').split('.') {
            question.push(u8::try_from(label.len()).unwrap());
            question.extend(label.as_bytes());
        }
        question.extend([0, 0, kind, 0, 1]);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.send_to(&question, (Ipv4Addr::LOCALHOST, self.dns)).unwrap();
        let mut answer = [0; 1500];
        let length = socket.recv(&mut answer).unwrap();
        answer[question.len()..length].windows(bytes.len()).any(|part| part == bytes)
    }
}

fn id(zone: &str) -> String {
    zone.replace('/', "=2F")
}
