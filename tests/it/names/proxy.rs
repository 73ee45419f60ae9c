//! A proxy before a real server that does what goes wrong in the world.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::remotes::server::Identity;

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// An answer instead of the server's: status line, headers, body.
    Instead(&'static str, &'static str, &'static str),
    /// The server does what it is asked, and its answer is lost.
    LostAnswer,
    /// The request itself is lost.
    LostRequest,
    /// The connection ends within the answer's body.
    CutBody,
    /// Half of the body, said to be the whole.
    HalfBody,
    /// The request is long on its way.
    LateRequest(Duration),
    /// The answer comes late.
    Late(Duration),
    /// The answer never ends.
    Endless,
    /// A byte now and then.
    Drip,
}

#[derive(Default)]
struct State {
    /// Faults for the next requests with this method whose head or body holds this text.
    faults: Vec<(&'static str, &'static str, Fault)>,
    /// What was asked: heads and bodies.
    seen: Vec<String>,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl Proxy {
    /// A proxy before a port of this machine, over TLS where it has an identity.
    pub(crate) fn start(to: u16, identity: Option<Identity>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, identity) = (shared.clone(), identity.clone());
                thread::spawn(move || match identity {
                    None => serve(stream, to, &shared),
                    Some(identity) => serve(identity.acceptor()?.accept(stream).ok()?, to, &shared),
                });
            }
        });
        Self { port, state }
    }

    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}/api/v1/servers/localhost", self.port)
    }

    /// Lets the next requests with this method and this text go wrong, one after the other.
    pub(crate) fn fail(&self, method: &'static str, holding: &'static str, faults: &[Fault]) {
        let faults = faults.iter().map(|fault| (method, holding, fault.clone()));
        self.state.lock().unwrap().faults.extend(faults);
    }

    /// How many requests with a method were sent.
    pub(crate) fn count(&self, method: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.seen.iter().filter(|request| request.starts_with(method)).count()
    }

    /// How many requests hold a text.
    pub(crate) fn asked(&self, text: &str) -> usize {
        self.state.lock().unwrap().seen.iter().filter(|request| request.contains(text)).count()
    }

    /// Lets nothing go wrong any more.
    pub(crate) fn clear(&self) {
        self.state.lock().unwrap().faults.clear();
    }

    /// Faults that did not come to pass.
    pub(crate) fn left(&self) -> usize {
        self.state.lock().unwrap().faults.len()
    }
}

fn serve(stream: impl Stream, to: u16, state: &Mutex<State>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let request = read_request(&mut stream)?;
    let text = String::from_utf8_lossy(&request).into_owned();
    let fault = {
        let mut state = state.lock().unwrap();
        let at = state
            .faults
            .iter()
            .position(|(method, holding, _)| text.starts_with(method) && text.contains(holding));
        let fault = at.map(|at| state.faults.remove(at).2);
        state.seen.push(text);
        fault
    };
    let out = stream.get_mut();
    match fault {
        None => out.write_all(&forward(to, &request)?).ok(),
        Some(Fault::Instead(status, headers, body)) => {
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
            out.write_all(answer.as_bytes()).ok()
        }
        Some(Fault::LostAnswer) => forward(to, &request).map(drop),
        Some(Fault::LostRequest) => None,
        Some(Fault::CutBody) => {
            let answer = forward(to, &request)?;
            out.write_all(&answer[..answer.len() - 5]).ok()
        }
        Some(Fault::HalfBody) => {
            let answer = forward(to, &request)?;
            let body = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
            let half = &answer[body..body + (answer.len() - body) / 2];
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                half.len()
            );
            out.write_all(head.as_bytes()).ok()?;
            out.write_all(half).ok()
        }
        Some(Fault::LateRequest(time)) => {
            thread::sleep(time);
            out.write_all(&forward(to, &request)?).ok()
        }
        Some(Fault::Late(time)) => {
            let answer = forward(to, &request)?;
            thread::sleep(time);
            out.write_all(&answer).ok()
        }
        Some(Fault::Endless) => {
            out.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[").ok()?;
            loop {
                out.write_all(&[b' '; 8192]).ok()?;
            }
        }
        Some(Fault::Drip) => {
            out.write_all(b"HTTP/1.1 200 OK\r\nX-Patience: ").ok()?;
            loop {
                out.write_all(b"x").ok()?;
                out.flush().ok()?;
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

fn read_request(stream: &mut BufReader<impl Stream>) -> Option<Vec<u8>> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let begin = head.len();
        stream.read_line(&mut head).ok().filter(|read| *read > 0)?;
        let line = head[begin..].trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(text) = line.strip_prefix("content-length: ") {
            length = text.parse().ok()?;
        }
    }
    let mut request = head.into_bytes();
    let begin = request.len();
    request.resize(begin + length, 0);
    stream.read_exact(&mut request[begin..]).ok()?;
    Some(request)
}

/// What the real server answers; it ends each connection.
fn forward(to: u16, request: &[u8]) -> Option<Vec<u8>> {
    let mut server = TcpStream::connect(("127.0.0.1", to)).ok()?;
    server.write_all(request).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    Some(answer)
}
