//! A small https server before real `git http-backend`, with switches for what goes
//! wrong in the world.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name};

/// A certificate authority.
pub(crate) struct Authority {
    key: PKey<Private>,
    certificate: X509,
}

/// What a server proves itself with.
#[derive(Clone)]
pub(crate) struct Identity {
    key: PKey<Private>,
    certificate: X509,
}

fn builder(subject: &str, serial: u32) -> (PKey<Private>, X509Builder) {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_text("CN", subject).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder
        .set_serial_number(&BigNum::from_u32(serial).unwrap().to_asn1_integer().unwrap())
        .unwrap();
    builder.set_subject_name(&name.build()).unwrap();
    builder.set_pubkey(&key).unwrap();
    (key, builder)
}

impl Identity {
    pub(crate) fn certificate(&self) -> &X509 {
        &self.certificate
    }

    pub(crate) fn acceptor(&self) -> Option<SslAcceptor> {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).ok()?;
        acceptor.set_private_key(&self.key).ok()?;
        acceptor.set_certificate(&self.certificate).ok()?;
        Some(acceptor.build())
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let (key, mut builder) = builder(name, 1);
        let mut issuer = X509Name::builder().unwrap();
        issuer.append_entry_by_text("CN", name).unwrap();
        builder.set_issuer_name(&issuer.build()).unwrap();
        builder.set_not_before(&Asn1Time::from_unix(1_000_000_000).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(30).unwrap()).unwrap();
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        Self { key, certificate: builder.build() }
    }

    pub(crate) fn pem(&self) -> String {
        String::from_utf8(self.certificate.to_pem().unwrap()).unwrap()
    }

    /// An identity for 127.0.0.1 and localhost, good for some days from some days ago.
    pub(crate) fn identity(&self) -> Identity {
        self.identity_for("127.0.0.1", "localhost", 1_700_000_000, 4_000_000_000)
    }

    pub(crate) fn identity_for(&self, address: &str, name: &str, from: i64, to: i64) -> Identity {
        let (key, mut builder) = builder("a server", 2);
        builder.set_issuer_name(self.certificate.subject_name()).unwrap();
        builder.set_not_before(&Asn1Time::from_unix(from).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::from_unix(to).unwrap()).unwrap();
        let names = SubjectAlternativeName::new()
            .ip(address)
            .dns(name)
            .build(&builder.x509v3_context(Some(&self.certificate), None))
            .unwrap();
        builder.append_extension(names).unwrap();
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        Identity { key, certificate: builder.build() }
    }
}

/// What goes wrong.
#[derive(Clone, Default)]
pub(super) enum Fault {
    #[default]
    Nothing,
    /// Every answer has this status.
    Status(u16),
    /// Every answer sends the client to this place.
    Redirect(String),
    /// A web page.
    Page,
    /// The connection ends after so many bytes of the body of a pack.
    Cut(usize),
    /// Not even TLS is spoken.
    Silence,
    /// A byte now and then, for ever.
    Drip,
    /// Plain words on the port of TLS.
    Plain,
}

pub(super) struct State {
    pub(super) identity: Identity,
    pub(super) fault: Fault,
    /// The value of `Authorization` that is let in, or anybody.
    pub(super) login: Option<String>,
    /// Values of `Authorization` that were sent.
    pub(super) shown: Vec<String>,
}

pub(crate) struct Server {
    pub(super) port: u16,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// Serves the repositories below a directory, until the tests end.
    pub(crate) fn start(repositories: &Path, identity: Identity) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").unwrap(), repositories, identity)
    }

    /// The same, where the listener is.
    pub(super) fn listen(listener: TcpListener, repositories: &Path, identity: Identity) -> Self {
        let port = listener.local_addr().unwrap().port();
        let state = State { identity, fault: Fault::Nothing, login: None, shown: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let (shared, repositories) = (state.clone(), repositories.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, repositories) = (shared.clone(), repositories.clone());
                // A client that goes away is no failure of a test.
                thread::spawn(move || serve(stream, &shared, &repositories));
            }
        });
        Self { port, state }
    }

    pub(crate) fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/net.git", self.port)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn fail(&self, fault: Fault) {
        self.state().fault = fault;
    }
}

/// A request as far as it matters here.
pub(crate) struct Request {
    method: String,
    pub(crate) target: String,
    kind: String,
    authorization: Option<String>,
    body: Vec<u8>,
}

fn serve(mut stream: TcpStream, state: &Mutex<State>, repositories: &Path) -> Option<()> {
    let (identity, fault) = {
        let state = state.lock().unwrap();
        (state.identity.clone(), state.fault.clone())
    };
    match fault {
        Fault::Silence => {
            thread::sleep(Duration::from_secs(60));
            return None;
        }
        Fault::Plain => {
            let words = b"220 mail.example.org ESMTP, and a lot of words that are no TLS\r\n";
            return stream.write_all(words).ok();
        }
        _ => {}
    }
    let mut stream = BufReader::new(identity.acceptor()?.accept(stream).ok()?);
    let request = read_request(&mut stream)?;
    let out = stream.get_mut();
    let login = {
        let mut state = state.lock().unwrap();
        state.shown.extend(request.authorization.clone());
        state.login.clone()
    };
    let target = &request.target;
    match &fault {
        Fault::Status(status) => {
            return answer(out, &format!("{status} No"), "Retry-After: 2\r\n", b"", None);
        }
        Fault::Redirect(to) => {
            let location = format!("Location: {to}{target}\r\n");
            return answer(out, "302 Found", &location, b"", None);
        }
        Fault::Page => {
            return answer(out, "200 OK", "Content-Type: text/html\r\n", b"<p>Hello", None);
        }
        Fault::Drip => {
            out.write_all(b"HTTP/1.1 200 OK\r\nX-Patience: ").ok()?;
            loop {
                out.write_all(b"x").ok()?;
                out.flush().ok()?;
                thread::sleep(Duration::from_millis(50));
            }
        }
        _ => {}
    }
    if login.is_some() && login != request.authorization {
        return answer(out, "401 No", "WWW-Authenticate: Basic realm=\"git\"\r\n", b"", None);
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if !repositories.join(path.trim_start_matches('/').split('/').next()?).exists() {
        return answer(out, "404 Not Found", "", b"", None);
    }
    let said = run_backend(repositories, path, query, &request)?;
    let (headers, body) = split(&said)?;
    let status = headers.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    let others = headers.lines().filter(|line| !line.starts_with("Status:"));
    let others: Vec<String> = others.map(|line| format!("{line}\r\n")).collect();
    let cut = match fault {
        Fault::Cut(count) if path.ends_with("git-upload-pack") => Some(count),
        _ => None,
    };
    answer(out, status, &others.concat(), body, cut)
}

pub(crate) fn read_request(stream: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut kind, mut authorization) = (0, String::new(), None);
    let mut chunked = false;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "content-type" => value.clone_into(&mut kind),
            "authorization" => authorization = Some(value.to_owned()),
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    while chunked {
        let mut size = String::new();
        stream.read_line(&mut size).ok()?;
        let size = usize::from_str_radix(size.trim_end(), 16).ok()?;
        let begin = body.len();
        body.resize(begin + size + 2, 0);
        stream.read_exact(&mut body[begin..]).ok()?;
        body.truncate(begin + size);
        chunked = size > 0;
    }
    Some(Request { method, target, kind, authorization, body })
}

/// Sends an answer, or no more of its body than `cut`.
pub(crate) fn answer(
    out: &mut impl Write,
    status: &str,
    headers: &str,
    body: &[u8],
    cut: Option<usize>,
) -> Option<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}");
    out.write_all(format!("{head}\r\n{headers}\r\n").as_bytes()).ok()?;
    out.write_all(&body[..cut.unwrap_or(length).min(length)]).ok()
}

/// The headers and the body of what a program of the common gateway interface says.
pub(crate) fn split(said: &[u8]) -> Option<(String, &[u8])> {
    let end = said.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    Some((String::from_utf8_lossy(&said[..end]).into_owned(), &said[end + 4..]))
}

/// What real git answers, as a program of the common gateway interface.
pub(crate) fn run_backend(
    repositories: &Path,
    path: &str,
    query: &str,
    request: &Request,
) -> Option<Vec<u8>> {
    let mut backend = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", repositories)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", &request.method)
        .env("CONTENT_TYPE", &request.kind)
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    backend.stdin.take()?.write_all(&request.body).ok()?;
    Some(backend.wait_with_output().ok()?.stdout)
}
