//! A running agent and git servers that lie to it: it answers all the time, says what is
//! wrong by its name, stays small, and goes on by itself when the server is honest again.

mod cost;
mod pack;
mod server;
mod several;
mod single;
mod urgent;
mod user;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use weft::value::ObjectId;

use crate::remotes::server::Authority;
use crate::trust::repository::{Repository, output, program};
use server::Liar;

const NODES: &[u8] = b"nodes:\n  n1: {address: 192.0.2.1}\n";
/// The most memory that the agent and each of its processes may ever have, in MiB.
const MEMORY: u64 = 64;
/// The longest that the agent may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// A dry node with a running agent that follows some servers, one for each copy of the
/// repository.
struct Scene {
    repository: Repository,
    root: PathBuf,
    liars: Vec<Liar>,
    agent: Option<Child>,
    /// The most memory that was seen of any process that fetches, in MiB.
    most: Mutex<u64>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }
}

impl Scene {
    /// With servers of these names; the first one serves the repository itself.
    fn new(names: &[&str]) -> Self {
        let repository = Repository::new();
        let root = repository.home().join("root");
        let authority = Authority::new("an authority");
        let mut scene =
            Self { repository, root, liars: Vec::new(), agent: None, most: Mutex::new(0) };
        scene.commit(1);
        scene.put("etc/weft/ca.pem", &authority.pem());
        scene.put("etc/network/interfaces", "auto lo\niface lo inet loopback\n");
        let mut remotes = String::new();
        for name in names {
            if *name != "origin" {
                output(
                    program("git", scene.repository.home())
                        .args(["clone", "-q", "--bare", "work", name]),
                );
            }
            let path = if *name == "origin" { "work/.git" } else { name };
            let liar = Liar::start(scene.repository.home(), authority.identity());
            let url = liar.url(path);
            writeln!(remotes, "  - {{name: {name}, url: \"{url}\", ca: /etc/weft/ca.pem}}")
                .unwrap();
            scene.liars.push(liar);
        }
        let settings = format!(
            "cluster: lab\nnode: n1\nmode: apply\nfetch-deadline: 5s\nschedule: {{every: 24h}}\nremotes:\n{remotes}introduction:\n  commit: {}\n  signer: \"{}\"\n",
            scene.repository.introduction,
            scene.repository.fingerprint("alice"),
        );
        scene.put("etc/weft/agent.yaml", &settings);
        let log = std::fs::File::create(scene.root.join("log")).unwrap();
        let mut agent = scene.weft(&["agent"]);
        let agent = agent.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        scene.agent = Some(agent);
        scene.until("the agent has made its first turn", |scene| scene.turns() == Some(1));
        assert_eq!(scene.state(), "in-order", "{}", scene.log());
        scene
    }

    fn put(&self, path: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// A signed commit with another gateway.
    fn commit(&self, gateway: u8) -> ObjectId {
        let vnets = format!(
            "vnets:\n  va:\n    zone: one\n    subnets:\n      10.0.0.0/24: {{gateway: 10.0.0.{gateway}}}\n"
        );
        let files: [(&str, &[u8]); 2] =
            [("sdn/nodes.yaml", NODES), ("sdn/vnets.yaml", vnets.as_bytes())];
        self.repository.commit("alice", &files)
    }

    /// A signed commit beside the newest one, on its parent; the branch stays where it is.
    fn sibling(&self, gateway: u8) -> ObjectId {
        self.repository.git(&["checkout", "-q", "-b", "side", "HEAD^"]);
        let sibling = self.commit(gateway);
        self.repository.git(&["checkout", "-q", "main"]);
        self.repository.git(&["branch", "-q", "-m", "side", &format!("side{gateway}")]);
        sibling
    }

    fn weft(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
        command.arg("--root").arg(&self.root).args(arguments).env_clear();
        command
    }

    /// Has the agent make a turn. Meanwhile it must answer, and nothing may grow.
    fn turn(&self) {
        let mut sync = self.weft(&["sync"]);
        let sync = sync.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut sync = sync.spawn().unwrap();
        let begun = Instant::now();
        loop {
            let asked = Instant::now();
            assert!(self.ask().is_some(), "the agent does not answer\n{}", self.log());
            assert!(asked.elapsed() < PATIENCE, "an answer took {:?}", asked.elapsed());
            for _ in 0..20 {
                self.weigh();
                thread::sleep(Duration::from_millis(2));
            }
            if sync.try_wait().unwrap().is_some() {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(50), "the turn has no end");
        }
    }

    fn agent(&self) -> u32 {
        self.agent.as_ref().unwrap().id()
    }

    /// Notes the memory of the processes that fetch now.
    fn weigh(&self) {
        let tasks = format!("/proc/{}/task", self.agent());
        for task in std::fs::read_dir(tasks).unwrap().flatten() {
            let children = std::fs::read_to_string(task.path().join("children"));
            for child in children.unwrap_or_default().split_whitespace() {
                // Until it is another program, it has the memory of the agent.
                let words = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
                if !String::from_utf8_lossy(&words).contains("fetch-worker") {
                    continue;
                }
                let memory = memory(child.parse().unwrap()).unwrap_or(0);
                let mut most = self.most.lock().unwrap();
                *most = memory.max(*most);
            }
        }
    }

    #[track_caller]
    fn is_small(&self) {
        let (agent, worker) = (memory(self.agent()).unwrap(), *self.most.lock().unwrap());
        println!("most memory: agent {agent} MiB, fetch process {worker} MiB");
        assert!(worker > 0 && worker < MEMORY, "a fetch process had {worker} MiB");
        assert!(agent < MEMORY, "the agent had {agent} MiB");
    }

    fn ask(&self) -> Option<Value> {
        use std::io::{Read as _, Write as _};
        let socket = self.root.join("run/weft/socket");
        let mut stream = std::os::unix::net::UnixStream::connect(socket).ok()?;
        stream.write_all(b"status\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        serde_json::from_str(&answer).ok()
    }

    fn turns(&self) -> Option<u64> {
        self.ask()?["document"]["turns"].as_u64()
    }

    fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !condition(self) {
            assert!(begun.elapsed() < Duration::from_secs(60), "in vain: {what}\n{}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn status(&self) -> Value {
        let text = std::fs::read_to_string(self.root.join("run/weft/status.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn state(&self) -> String {
        self.status()["state"].as_str().unwrap().to_owned()
    }

    /// The code under which a remote is unreached.
    fn code(&self, remote: &str) -> Option<String> {
        let status = self.status();
        let unreached = status["unreached"].as_array().unwrap();
        let found = unreached.iter().find(|unreached| unreached["remote"] == *remote)?;
        found["code"].as_str().map(str::to_owned)
    }

    fn standing(&self, remote: &str) -> String {
        let status = self.status();
        let remotes = status["remotes"].as_array().unwrap();
        let found = remotes.iter().find(|state| state["name"] == *remote).unwrap();
        found["standing"].as_str().unwrap().to_owned()
    }

    /// The commit that runs.
    fn runs(&self) -> ObjectId {
        let status = self.status();
        status["running"]["commit"]["commit"].as_str().unwrap().parse().unwrap()
    }

    fn log(&self) -> String {
        let status =
            std::fs::read_to_string(self.root.join("run/weft/status.json")).unwrap_or_default();
        std::fs::read_to_string(self.root.join("log")).unwrap_or_default() + &status
    }
}

/// The most memory that a process had, in MiB. Where nobody optimised the program, without
/// its own pages, which say nothing of the one that is shipped.
fn memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(
        (field("VmHWM:")? - if cfg!(debug_assertions) { field("RssFile:")? } else { 0 })
            .div_ceil(1024),
    )
}
