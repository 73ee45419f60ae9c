//! `weft agent` on a dry node: the real program, real git, real signals and sockets.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac as _};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use sha2::Sha256;

use super::trust::repository::Repository;

const NODES: &[u8] = b"nodes:\n  n1: {address: 192.0.2.1}\n";
const FILE: &str = "etc/network/interfaces.d/sdn";
const SECRET: &str = "a secret of the test, long enough";
/// Far longer than anything here takes; a failure ends sooner, by its own condition.
const DEADLINE: Duration = Duration::from_secs(60);
/// A schedule under which no poll comes by itself after the first.
const NEVER: &str = "schedule: {every: 24h}\n";

fn vnets(gateway: u8) -> Vec<u8> {
    format!("vnets:\n  va:\n    zone: one\n    subnets:\n      10.0.0.0/24: {{gateway: 10.0.0.{gateway}}}\n")
        .into_bytes()
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < DEADLINE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A dry node that is introduced to a repository.
struct Node {
    repository: Repository,
    root: PathBuf,
}

struct Said {
    code: i32,
    text: String,
}

impl Node {
    fn new(more: &str) -> Self {
        let repository = Repository::new();
        repository.commit("alice", &[("sdn/nodes.yaml", NODES), ("sdn/vnets.yaml", &vnets(1))]);
        let root = repository.home().join("root");
        let node = Self { repository, root };
        node.put(
            "etc/network/interfaces",
            b"auto vmbr0\niface vmbr0 inet static\n\taddress 192.0.2.1/24\nsource /etc/network/interfaces.d/*\n",
        );
        node.settle(more);
        node
    }

    /// Writes the node's settings.
    fn settle(&self, more: &str) {
        let url = format!("file://{}", self.repository.home().join("work/.git").display());
        self.settle_with(&url, more);
    }

    fn settle_with(&self, url: &str, more: &str) {
        let settings = format!(
            "cluster: lab\nnode: n1\nmode: apply\nallow-file: true\n{more}remotes:\n  - {{name: origin, url: \"{url}\"}}\nintroduction:\n  commit: {}\n  signer: \"{}\"\n",
            self.repository.introduction,
            self.repository.fingerprint("alice"),
        );
        self.put("etc/weft/agent.yaml", settings.as_bytes());
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn commit(&self, gateway: u8) {
        self.repository.commit("alice", &[("sdn/vnets.yaml", &vnets(gateway))]);
    }

    fn has(&self, gateway: u8) -> bool {
        let file = std::fs::read_to_string(self.root.join(FILE)).unwrap_or_default();
        file.contains(&format!("10.0.0.{gateway}/24"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
        command.arg("--root").arg(&self.root).args(arguments).env_clear();
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let output = self.command(arguments).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        Said { code: output.status.code().unwrap_or(-1), text: String::from_utf8(text).unwrap() }
    }

    fn start(&self) -> Agent<'_> {
        self.start_with(&[])
    }

    fn start_with(&self, environment: &[(&str, &str)]) -> Agent<'_> {
        let log = std::fs::File::create(self.root.join("log")).unwrap();
        let mut command = self.command(&["agent"]);
        command.envs(environment.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null());
        let process = command.stderr(log).spawn().unwrap();
        let agent = Agent { node: self, process };
        until("the agent answers on its socket", || agent.try_ask("status").is_some());
        agent
    }
}

/// A running agent, killed when the test ends.
struct Agent<'a> {
    node: &'a Node,
    process: Child,
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Agent<'_> {
    fn socket(&self) -> PathBuf {
        self.node.root.join("run/weft/socket")
    }

    fn try_ask(&self, word: &str) -> Option<Value> {
        let mut stream = UnixStream::connect(self.socket()).ok()?;
        stream.write_all(format!("{word}\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        serde_json::from_str(&answer).ok()
    }

    fn ask(&self, word: &str) -> Value {
        self.try_ask(word).unwrap_or_else(|| panic!("no answer; {}", self.log()))
    }

    fn condition(&self) -> Value {
        self.ask("status")["document"].clone()
    }

    fn turns(&self) -> u64 {
        self.condition()["turns"].as_u64().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.process.id()).unwrap()), signal).unwrap();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.node.root.join("log")).unwrap_or_default()
    }

    /// Waits for the end of the process.
    fn end(&mut self) -> ExitStatus {
        let mut status = None;
        until("the agent ends", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    fn first_turn(&self) {
        until("the first turn", || self.turns() == 1);
        assert!(self.node.has(1), "{}", self.log());
    }
}

/// A port that nobody uses at the moment.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn http(address: SocketAddr, request: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let body = answer.split_once("\r\n\r\n")?.1.to_owned();
    Some((answer.get(9..12)?.parse().ok()?, body))
}

fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    http(address, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
}

fn webhook(address: SocketAddr, secret: &str, delivery: &str) -> u16 {
    let body = r#"{"ref":"refs/heads/main"}"#;
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
    let signature = mac.finalize().into_bytes().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    });
    let request = format!(
        "POST /hook/forge HTTP/1.1\r\nHost: localhost\r\nX-GitHub-Delivery: {delivery}\r\nX-Hub-Signature-256: sha256={signature}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    http(address, &request).map_or(0, |(status, _)| status)
}

#[test]
fn the_log_is_as_loud_as_what_became_of_a_turn() {
    let node = Node::new(NEVER);
    let agent = node.start();
    agent.first_turn();
    let has = |level: &str, words: &str| {
        agent.log().lines().any(|line| line.contains(level) && line.contains(words))
    };
    assert!(has(" INFO ", "runs commit"), "{}", agent.log());
    node.repository.commit("-", &[("sdn/vnets.yaml", &vnets(2))]);
    agent.signal(Signal::SIGHUP);
    until("the refusal is logged", || has(" WARN ", "is refused (unsigned)"));
    let home = node.repository.home();
    std::fs::rename(home.join("work"), home.join("away")).unwrap();
    agent.signal(Signal::SIGHUP);
    until("the failure is logged", || has(" ERROR ", "state=\"failed\""));
}

#[test]
fn a_poll_brings_in_a_commit() {
    let node = Node::new("schedule: {every: 5s}\n");
    let agent = node.start();
    agent.first_turn();
    node.commit(2);
    until("the commit is applied", || node.has(2));
    // A commit that is refused changes nothing, and the agent says so.
    node.repository.change("mallory");
    until("the commit is refused", || agent.condition()["last"]["state"] == "refused");
    assert!(node.has(2));
    let condition = agent.condition();
    assert_eq!(condition["failures"], 0);
    assert!(condition["next_poll"].is_string(), "{condition}");
}

/// Without another word to the running agent; and a line that is no fingerprint stops it
/// rather than letting a stolen key through.
#[test]
fn a_key_that_is_revoked_on_the_node_counts_no_more_at_once() {
    let node = Node::new("schedule: {every: 12h}\n");
    node.commit(1);
    let _agent = node.start();
    assert_eq!(node.run(&["sync"]).code, 0);
    let stolen = node.repository.fingerprint("alice");
    for (text, code, says) in [
        (format!("{stolen}, since yesterday\n"), 1, "`/etc/weft/revoked`, line 1"),
        (format!("# since yesterday\n{stolen}\n"), 4, "key-revoked"),
    ] {
        node.put("etc/weft/revoked", text.as_bytes());
        node.commit(2);
        let said = node.run(&["sync"]);
        assert!(said.code == code && said.text.contains(says), "{}", said.text);
        assert!(node.has(1) && !node.has(2));
    }
    std::fs::remove_file(node.root.join("etc/weft/revoked")).unwrap();
    assert_eq!(node.run(&["sync"]).code, 0);
    assert!(node.has(2));
}

/// A node that listens to a forge, and where.
fn with_webhook() -> (Node, SocketAddr) {
    let address = free_port();
    let listen = format!(
        "{NEVER}listen: {address}\nhooks:\n  forge: {{provider: github, secret-file: /etc/weft/hook}}\n"
    );
    let node = Node::new(&listen);
    node.put("etc/weft/hook", SECRET.as_bytes());
    (node, address)
}

fn until_ready(address: SocketAddr) {
    until("the agent is ready", || {
        get(address, "/readyz").is_some_and(|(status, _)| status == 200)
    });
}

#[test]
fn a_webhook_brings_the_poll_forward_and_a_flood_of_them_does_little() {
    let (node, address) = with_webhook();
    let agent = node.start();
    agent.first_turn();
    until_ready(address);
    assert_eq!(get(address, "/healthz"), Some((200, "ok\n".to_owned())));

    node.commit(2);
    assert_eq!(webhook(address, "another secret of the same kind", "one"), 401);
    assert_eq!(webhook(address, SECRET, "one"), 202);
    until("the webhook's poll", || agent.turns() == 2);
    assert!(node.has(2));

    node.commit(3);
    let begun = Instant::now();
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            thread::spawn(move || {
                for number in 0..50 {
                    assert_eq!(webhook(address, SECRET, &format!("{thread}-{number}")), 202);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    until("the flood's poll", || agent.condition()["activity"] == "idle" && node.has(3));
    let most = 2 + 1 + begun.elapsed().as_secs() / 5 + 1;
    assert!(agent.turns() <= most, "{} turns, at most {most}", agent.turns());
    let (_, metrics) = get(address, "/metrics").unwrap();
    for line in [
        "weft_webhook_total{provider=\"github\",result=\"accepted\"} 201",
        "weft_webhook_total{provider=\"github\",result=\"refused\"} 1",
        "weft_state{state=\"in-order\"} 1",
        "weft_apply_total{result=\"confirmed\"} 3",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    let (status, text) = get(address, "/status").unwrap();
    assert_eq!(status, 200);
    let status: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status["last"]["state"], "in-order");
    assert_eq!(
        status["last"]["status"]["running"]["commit"]["commit"],
        node.repository.head().to_string()
    );

    // A secret that changes on the disk counts after SIGHUP.
    node.put("etc/weft/hook", b"the secret after the change");
    agent.signal(Signal::SIGHUP);
    until("the new secret counts", || {
        webhook(address, "the secret after the change", "new") == 202
    });
    assert_eq!(webhook(address, SECRET, "old"), 401);
}

#[test]
fn a_poll_with_nothing_new_looks_at_nothing() {
    let (node, address) = with_webhook();
    let agent = node.start_with(&[("WEFT_LOG", "debug")]);
    agent.first_turn();
    until_ready(address);
    let plans = || {
        let log = agent.log();
        log.lines().filter(|line| line.contains("turn:plan: ") && line.contains(" close ")).count()
    };
    let poll = |id: &str| {
        let before = agent.turns();
        assert_eq!(webhook(address, SECRET, id), 202);
        until("the webhook's poll", || agent.turns() > before);
        plans()
    };
    // What was just applied is looked at once more, and then it is known.
    assert_eq!(plans(), 1);
    assert_eq!(poll("one"), 2);
    assert_eq!(poll("two"), 2);
    assert_eq!(agent.condition()["last"]["state"], "in-order");
    // Whoever asks is told how the node is now.
    assert_eq!(node.run(&["sync"]).code, 0);
    assert_eq!(plans(), 3);
    assert_eq!(poll("three"), 3);
    node.commit(2);
    assert_eq!(poll("four"), 4);
    assert!(node.has(2));
}

#[test]
fn a_hangup_polls_and_reads_the_settings_again() {
    let node = Node::new(NEVER);
    let mut agent = node.start();
    agent.first_turn();
    node.commit(2);
    agent.signal(Signal::SIGHUP);
    until("the commit is applied", || node.has(2));

    let address = free_port();
    assert_eq!(get(address, "/healthz"), None);
    node.settle(&format!("{NEVER}listen: {address}\n"));
    agent.signal(Signal::SIGHUP);
    until("it listens", || get(address, "/healthz").is_some());

    // Settings that are wrong change nothing, and are said.
    node.settle("schedule: {every: 1s}\n");
    node.commit(3);
    agent.signal(Signal::SIGHUP);
    until("the commit is applied", || node.has(3));
    let warning = agent.condition()["warnings"][0].as_str().unwrap().to_owned();
    assert!(warning.contains("5 seconds to 24 hours"), "{warning}");
    assert!(get(address, "/healthz").is_some());

    // One that is not listened to is no reason to stop.
    node.settle(&format!(
        "{NEVER}listen: {address}\nhooks: {{forge: {{provider: github, secret-file: /etc/weft/none}}}}\n"
    ));
    agent.signal(Signal::SIGHUP);
    until("the warning", || {
        let warning = agent.condition()["warnings"][0].clone();
        warning.as_str().is_some_and(|text| text.starts_with("webhook `forge`"))
    });
    assert_eq!(webhook(address, SECRET, "one"), 401);
    agent.signal(Signal::SIGTERM);
    assert_eq!(agent.end().code(), Some(0), "{}", agent.log());
}

/// Whether a command has connected to the agent, and waits for its answer.
fn asked(command: &Child) -> bool {
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", command.id())).unwrap();
    descriptors.flatten().any(|entry| {
        let target = std::fs::read_link(entry.path()).unwrap_or_default();
        target.to_string_lossy().starts_with("socket:")
    })
}

#[test]
fn the_end_waits_for_the_turn_and_not_for_a_remote() {
    let node = Node::new(NEVER);
    // Whoever reads the branch waits for a writer who never comes.
    node.settle(&format!("{NEVER}fetch-deadline: 50s\n"));
    let branch = node.repository.home().join("work/.git/refs/heads/main");
    let tip = std::fs::read(&branch).unwrap();
    std::fs::remove_file(&branch).unwrap();
    nix::unistd::mkfifo(&branch, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut agent = node.start();
    until("the turn begins", || agent.condition()["activity"] == "working");
    // Somebody who waits for the next turn is told that there is none.
    let mut waiting = node.command(&["sync"]);
    let waiting = waiting.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("somebody asked", || asked(&waiting));
    let begun = Instant::now();
    agent.signal(Signal::SIGTERM);
    assert_eq!(agent.end().code(), Some(0), "{}", agent.log());
    assert!(begun.elapsed() < Duration::from_secs(25), "it waited: {}", agent.log());
    let said = waiting.wait_with_output().unwrap();
    let text = String::from_utf8([said.stdout, said.stderr].concat()).unwrap();
    assert_eq!(said.status.code(), Some(1), "{text}");
    assert!(text.contains("the agent ends and begins no turn"), "{text}");
    // It gave way, which is no failure of the node.
    assert!(agent.log().contains("fetch-cancelled"), "{}", agent.log());
    assert!(!node.root.join("run/weft/status.json").exists());
    assert!(!agent.socket().exists(), "the socket goes with the agent");

    // The node is free again.
    std::fs::remove_file(&branch).unwrap();
    std::fs::write(&branch, tip).unwrap();
    assert_eq!(node.run(&["sync"]).code, 0);
}

/// A forge that holds the fetch up and tells of news meanwhile: the agent does what it is told.
#[test]
fn a_webhook_during_a_fetch_holds_nothing_up() {
    let (node, address) = with_webhook();
    let branch = node.repository.home().join("work/.git/refs/heads/main");
    std::fs::remove_file(&branch).unwrap();
    nix::unistd::mkfifo(&branch, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut agent = node.start();
    until("the turn begins", || agent.condition()["activity"] == "working");
    let begun = Instant::now();
    assert_eq!(webhook(address, SECRET, "one"), 202);
    assert_eq!(agent.condition()["activity"], "working");
    agent.signal(Signal::SIGTERM);
    assert_eq!(agent.end().code(), Some(0), "{}", agent.log());
    assert!(begun.elapsed() < Duration::from_secs(25), "it waited: {}", agent.log());
}

#[test]
fn a_remote_that_is_away_is_tried_again() {
    let node = Node::new(NEVER);
    let work = node.repository.home().join("work");
    let away = node.repository.home().join("away");
    std::fs::rename(&work, &away).unwrap();
    let agent = node.start();
    until("the first failure", || agent.condition()["failures"] == 1);
    assert_eq!(agent.condition()["activity"], "backoff");
    assert_eq!(agent.condition()["last"]["state"], "failed");
    std::fs::rename(&away, &work).unwrap();
    // By itself, within the first bound of the backoff.
    until("it recovered", || node.has(1));
    until("it says so", || agent.condition()["failures"] == 0);
}

#[test]
fn one_agent_owns_a_node_and_does_what_others_ask() {
    let node = Node::new(NEVER);
    let mut agent = node.start();
    agent.first_turn();
    let second = node.run(&["agent"]);
    assert_eq!(second.code, 1);
    let process = format!("process {}, `weft ", agent.process.id());
    for said in ["another weft is at work on this node", &process] {
        assert!(second.text.contains(said), "{}", second.text);
    }

    node.commit(2);
    let plan = node.run(&["plan"]);
    assert_eq!(plan.code, 2, "{}", plan.text);
    assert!(plan.text.contains("~ va changes (vnet va)"), "{}", plan.text);
    assert!(node.has(1), "a plan changed the node");
    let said = node.run(&["sync"]);
    assert_eq!(said.code, 0, "{}", said.text);
    assert!(said.text.contains("n1: runs commit"), "{}", said.text);
    assert!(node.has(2), "it waited for the end");
    assert_eq!(agent.turns(), 2);

    let said = node.run(&["sync", "--json"]);
    let document: Value = serde_json::from_str(&said.text).unwrap();
    assert_eq!(document["status"]["state"], "in-order");
    assert_eq!(node.run(&["status"]).code, 0);

    node.put(FILE, b"auto nothing\n");
    assert_eq!(node.run(&["sync"]).code, 2, "an edit by hand is told");
    assert_eq!(node.run(&["apply", "--refresh"]).code, 0);
    assert!(node.has(2), "and put back on demand");

    node.repository.change("mallory");
    let said = node.run(&["sync"]);
    assert_eq!(said.code, 4, "{}", said.text);
    assert!(said.text.contains("refused[signer-unknown]"), "{}", said.text);

    // Several who ask during one turn share the next.
    let before = agent.turns();
    let asking: Vec<Child> = (0..8).map(|_| node.command(&["sync"]).spawn().unwrap()).collect();
    for mut child in asking {
        assert_eq!(child.wait().unwrap().code(), Some(4));
    }
    assert!(agent.turns() > before);

    let unknown = agent.ask("dance")["text"].clone();
    assert_eq!(unknown, "error: the running agent does not know this request");
    // The longest request is read to its end: a plan that nobody saw is not adopted.
    let adopted = agent.ask(&format!("adopt {}", "0".repeat(64)));
    assert!(adopted["text"] != unknown && adopted["exit"] != 0, "{adopted}");
    // Cut off, perhaps without an answer.
    let answer = agent.try_ask(&"a".repeat(10_000));
    assert!(answer.is_none_or(|answer| answer["failed"] == true));
    let mode = std::fs::metadata(agent.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o660);

    // What a killed agent leaves behind is in nobody's way.
    agent.process.kill().unwrap();
    agent.end();
    assert!(agent.socket().exists());
    assert_eq!(node.run(&["sync"]).code, 4);
    let again = node.start();
    until("the first turn", || again.turns() == 1);
}

#[test]
fn waits_to_be_introduced() {
    let node = Node::new(NEVER);
    std::fs::remove_file(node.root.join("etc/weft/agent.yaml")).unwrap();
    let mut agent = node.start();
    let condition = agent.condition();
    assert_eq!(condition["activity"], "waiting");
    let message = condition["message"].as_str().unwrap();
    assert_eq!(message, "waiting to be introduced: there is no `/etc/weft/agent.yaml`");
    let asked = agent.ask("poll");
    assert_eq!((&asked["failed"], &asked["exit"]), (&Value::Bool(true), &Value::from(1)));

    node.settle("colour: red\n");
    agent.signal(Signal::SIGHUP);
    until("the settings are wrong", || {
        agent.condition()["message"].as_str().unwrap().contains("`colour` is no option")
    });
    assert_eq!(agent.condition()["activity"], "waiting");
    node.settle(NEVER);
    agent.signal(Signal::SIGHUP);
    // The signal asks for one too.
    until("the first turn", || agent.turns() >= 1);
    assert!(node.has(1), "{}", agent.log());
    agent.signal(Signal::SIGINT);
    assert_eq!(agent.end().code(), Some(0), "{}", agent.log());
}

#[test]
fn goes_back_without_settings() {
    let node = Node::new(NEVER);
    for gateway in 1..=2 {
        if gateway == 2 {
            node.commit(2);
        }
        let said = node.run(&["sync"]);
        assert_eq!(said.code, 0, "{}", said.text);
    }
    assert!(node.has(2));
    node.settle("colour: red\n");
    let mut agent = node.start();
    assert_eq!(agent.condition()["activity"], "waiting");
    let said = node.run(&["rollback"]);
    assert_eq!(said.code, 0, "{}", said.text);
    assert!(
        said.text.contains("n1: generation 1 runs again; no commit is applied"),
        "{}",
        said.text
    );
    assert!(node.has(1));
    // What cannot be done is said, and the agent goes on.
    let said = node.run(&["rollback", "77"]);
    assert_ne!(said.code, 0, "{}", said.text);
    let audit = node.run(&["audit"]).text;
    assert!(audit.contains("rollback 77"), "{audit}");
    node.settle(NEVER);
    agent.signal(Signal::SIGHUP);
    agent.first_turn();
    assert_eq!(node.run(&["rollback", "2"]).code, 0);
    assert!(node.has(2));
    agent.signal(Signal::SIGTERM);
    assert_eq!(agent.end().code(), Some(0), "{}", agent.log());
}

#[test]
fn systemd_is_told() {
    let node = Node::new(NEVER);
    let path = node.repository.home().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut agent =
        node.start_with(&[("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "400000")]);
    let mut heard = Vec::new();
    let mut hear = |word: &str| {
        let mut buffer = [0; 4096];
        while !heard.iter().any(|line: &String| line.contains(word)) {
            let length = socket.recv(&mut buffer).unwrap();
            heard.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        }
        heard.clear();
    };
    hear("READY=1");
    hear("STATUS=runs commit");
    hear("WATCHDOG=1");
    hear("WATCHDOG=1");
    agent.signal(Signal::SIGTERM);
    hear("STOPPING=1");
    hear("EXTEND_TIMEOUT_USEC=");
    assert_eq!(agent.end().code(), Some(0));
}

#[test]
fn strangers_are_not_answered() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root can act as another user");
        return;
    }
    let node = Node::new(NEVER);
    let agent = node.start();
    agent.first_turn();
    // Even where the permissions of the socket and of all directories let them in.
    let mut path = agent.socket();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let home = node.repository.home().to_owned();
    while path.pop() && path.starts_with(&home) {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let probe = home.join("probe");
    std::fs::copy(std::env::current_exe().unwrap(), &probe).unwrap();
    let output = Command::new(&probe)
        .args(["--exact", "daemon::a_stranger_asks", "--ignored", "--nocapture"])
        .env("WEFT_TEST_SOCKET", agent.socket())
        .current_dir("/")
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("only root may ask the agent"), "{text}");
    assert_eq!(agent.turns(), 1);
}

#[test]
#[ignore = "run as another user by `strangers_are_not_answered`"]
fn a_stranger_asks() {
    let Some(socket) = std::env::var_os("WEFT_TEST_SOCKET") else { return };
    let mut stream = UnixStream::connect(Path::new(&socket)).unwrap();
    stream.write_all(b"poll\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    println!("{answer}");
}

/// A file system that is full of nothing but can be made read-only.
struct Mount(PathBuf);

impl Mount {
    fn new(place: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&place).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m,mode=755", "weft-test"])
            .arg(&place)
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(place))
    }

    fn remount(&self, options: &str) {
        let status = Command::new("mount").args(["-o", options]).arg(&self.0).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn what_was_rolled_back_is_left_alone() {
    let node = Node::new("schedule: {every: 5s}\n");
    let Some(mount) = Mount::new(node.root.join("etc/network/interfaces.d")) else {
        println!("skipped: a file system can be mounted by root only");
        return;
    };
    mount.remount("remount,ro");
    let said = node.run(&["sync"]);
    assert_eq!(said.code, 6, "{}", said.text);
    assert!(said.text.contains("was rolled back"), "{}", said.text);
    // Now it would work, and is not tried at the next poll, nor by the daemon.
    mount.remount("remount,rw");
    let said = node.run(&["sync"]);
    assert_eq!(said.code, 6, "{}", said.text);
    assert!(said.text.contains("is left alone: this rendering was undone once"), "{}", said.text);
    let agent = node.start();
    until("two polls", || agent.turns() >= 2);
    assert_eq!(agent.condition()["last"]["state"], "rolled-back");
    assert!(!node.has(1));
    // Another rendering is another matter.
    node.commit(2);
    until("the next commit is applied", || node.has(2));
    // And whoever asks for the first one gets it.
    node.commit(1);
    until("it is held", || agent.condition()["last"]["state"] == "rolled-back");
    assert!(node.has(2));
    assert_eq!(node.run(&["apply", "--refresh"]).code, 0);
    assert!(node.has(1));
    let text = std::fs::read_to_string(node.root.join("var/lib/weft/quarantine")).unwrap();
    assert!(!text.contains("rendering"), "what runs is forgotten: {text}");
}

#[test]
fn a_node_is_taken_over_beside_its_agent() {
    let node = Node::new(NEVER);
    node.put(FILE, b"# by hand\n");
    let agent = node.start();
    until("the first turn refuses", || agent.log().contains("was not written by weft"));
    assert!(!node.has(1), "a file of somebody else was replaced");
    let said = node.run(&["adopt"]);
    assert_eq!(said.code, 2, "{}", said.text);
    assert!(said.text.contains("weft adopt --yes"), "{}", said.text);
    assert!(!node.has(1));
    let said = node.run(&["adopt", "--yes"]);
    assert_eq!(said.code, 0, "{}", said.text);
    assert!(node.has(1), "{}", said.text);
    let said = node.run(&["adopt"]);
    assert_eq!(said.code, 0, "{}", said.text);
    assert!(said.text.contains("nothing to take over"), "{}", said.text);
    // What would be lost is not taken over.
    let other = Node::new(NEVER);
    other.put(FILE, b"auto vz\niface vz\n\tbridge_ports none\n");
    let agent = other.start();
    until("the first turn refuses", || agent.log().contains("was not written by weft"));
    let said = other.run(&["adopt", "--yes"]);
    assert_eq!(said.code, 4, "{}", said.text);
    assert!(!other.has(1));
}
