//! A git server over https that lies: it answers like real git, but for the steps that
//! it was told to spoil.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::remotes::server::{Identity, answer, read_request, run_backend, split};

/// How one step of the conversation goes.
#[derive(Clone, Debug, Default)]
pub(super) enum Step {
    /// As real git does it.
    #[default]
    Honest,
    /// With these bytes instead.
    Bytes(Vec<u8>),
    /// With one of these, another for each client.
    Turns(Vec<Vec<u8>>),
    /// With so many bytes, and then the connection ends.
    Cut(usize),
    /// With so many bytes, and then nothing for ever. Without any: not even an answer of
    /// HTTP.
    Stall(usize),
    /// With so many bytes at once, and then one byte a second.
    Drip(usize),
    /// With these bytes, and then with these, for ever.
    Endless(Vec<u8>, Vec<u8>),
    /// By sending the client elsewhere.
    Redirect(String),
}

/// What the server does.
#[derive(Clone, Debug, Default)]
pub(super) struct Lie {
    /// Whether it says nothing at all, not even TLS.
    pub(super) mute: bool,
    /// The list of references.
    pub(super) refs: Step,
    /// The pack.
    pub(super) pack: Step,
}

pub(super) struct Liar {
    pub(super) port: u16,
    lie: Arc<Mutex<Lie>>,
    /// How many lists of references and packs were asked for.
    pub(super) asked: Arc<[AtomicUsize; 2]>,
}

impl Liar {
    /// Serves the repositories below a directory, until the tests end.
    pub(super) fn start(repositories: &Path, identity: Identity) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let lie = Arc::new(Mutex::new(Lie::default()));
        let asked = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let shared = Shared { lie: lie.clone(), asked: asked.clone(), identity };
        let repositories = repositories.to_owned();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, repositories) = (shared.clone(), repositories.clone());
                // A client that goes away is no failure of a test.
                thread::spawn(move || shared.serve(stream, &repositories));
            }
        });
        Self { port, lie, asked }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}/{path}", self.port)
    }

    pub(super) fn tell(&self, lie: Lie) {
        *self.lie.lock().unwrap() = lie;
    }

    /// How many lists of references and packs were asked for so far.
    pub(super) fn counts(&self) -> (usize, usize) {
        let count = |index: usize| self.asked[index].load(Ordering::SeqCst);
        (count(0), count(1))
    }
}

#[derive(Clone)]
struct Shared {
    lie: Arc<Mutex<Lie>>,
    asked: Arc<[AtomicUsize; 2]>,
    identity: Identity,
}

impl Shared {
    fn serve(&self, stream: TcpStream, repositories: &Path) -> Option<()> {
        let lie = self.lie.lock().unwrap().clone();
        if lie.mute {
            thread::sleep(Duration::from_secs(60));
            return None;
        }
        let mut stream = BufReader::new(self.identity.acceptor()?.accept(stream).ok()?);
        let request = read_request(&mut stream)?;
        let out = stream.get_mut();
        let target = request.target.clone();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let wants_pack = path.ends_with("git-upload-pack");
        let number = self.asked[usize::from(wants_pack)].fetch_add(1, Ordering::SeqCst);
        let step = if wants_pack { lie.pack } else { lie.refs };
        let kind = if wants_pack { "result" } else { "advertisement" };
        let headers = format!("Content-Type: application/x-git-upload-pack-{kind}\r\n");
        let honest = || {
            let said = run_backend(repositories, path, query, &request)?;
            Some(split(&said)?.1.to_vec())
        };
        match step {
            Step::Honest => answer(out, "200 OK", &headers, &honest()?, None),
            Step::Bytes(bytes) => answer(out, "200 OK", &headers, &bytes, None),
            Step::Turns(all) => answer(out, "200 OK", &headers, &all[number % all.len()], None),
            Step::Cut(count) => answer(out, "200 OK", &headers, &honest()?, Some(count)),
            Step::Stall(count) => {
                if count > 0 {
                    answer(out, "200 OK", &headers, &honest()?, Some(count))?;
                    out.flush().ok()?;
                }
                thread::sleep(Duration::from_secs(60));
                None
            }
            Step::Drip(count) => {
                let body = honest()?;
                answer(out, "200 OK", &headers, &body, Some(count))?;
                for byte in body.get(count..)? {
                    thread::sleep(Duration::from_secs(1));
                    out.write_all(&[*byte]).ok()?;
                    out.flush().ok()?;
                }
                None
            }
            Step::Endless(first, again) => {
                let head = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: 9000000000000\r\n");
                out.write_all(format!("{head}\r\n").as_bytes()).ok()?;
                out.write_all(&first).ok()?;
                loop {
                    out.write_all(&again).ok()?;
                }
            }
            Step::Redirect(to) => {
                let location = format!("Location: {to}{target}\r\n");
                answer(out, "302 Found", &location, b"", None)
            }
        }
    }
}
