//! Webhooks over real sockets: who is believed, what it causes, and what a sender
//! cannot exhaust.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use secrecy::SecretSlice;
use sha2::{Sha256, Sha512};
use weft::agent::condition::{Condition, Last};
use weft::agent::handle::{self, Ends};
use weft::agent::hook::{HookKeys, Listening, Provider};
use weft::agent::machine::{Activity, Nudge};
use weft::agent::status::State;
use weft::serve;

const SECRET: &[u8] = b"a secret of the test, long enough";
const PREVIOUS: &[u8] = b"the secret before the last change";
/// The key of the published example of Standard Webhooks.
const SIGNING_KEY: &str = "whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q=";
/// The time that signed deliveries of these tests were made at.
const NOW: i64 = 1_700_000_000;
const PUSH: &[u8] =
    br#"{"ref":"refs/heads/main","after":"0123456789abcdef0123456789abcdef01234567"}"#;

/// The HTTP side of an agent, on a port of its own, and the agent's ends of it.
struct Server {
    address: SocketAddr,
    ends: Ends,
}

fn keys(provider: Provider, secrets: &[&[u8]]) -> HookKeys {
    let secrets = secrets.iter().map(|secret| SecretSlice::from(secret.to_vec())).collect();
    HookKeys { provider, secrets }
}

impl Server {
    fn start() -> Self {
        let now = Timestamp::from_second(NOW).unwrap();
        let (handle, ends) = handle::pair(Condition::starting(now), Arc::new(move || now));
        let hooks = [
            ("github", keys(Provider::Github, &[SECRET, PREVIOUS])),
            ("gitea", keys(Provider::Gitea, &[SECRET])),
            ("forgejo", keys(Provider::Forgejo, &[SECRET])),
            ("gitlab", keys(Provider::Gitlab, &[SECRET])),
            ("gitlab-signed", keys(Provider::Gitlab, &[SIGNING_KEY.as_bytes()])),
            ("generic", keys(Provider::Generic, &[SECRET])),
            ("published", keys(Provider::Github, &[b"It's a Secret to Everybody"])),
            ("short", keys(Provider::Gitea, &[b"s3cret"])),
            ("empty", keys(Provider::Gitea, &[b""])),
        ];
        let hooks = hooks.into_iter().map(|(name, keys)| (name.parse().unwrap(), keys)).collect();
        let branch = Some("main".to_owned());
        ends.listening.send(Arc::new(Listening { address: None, branch, hooks })).unwrap();
        let (bound, address) = mpsc::channel();
        // Ends with the process.
        thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                bound.send(listener.local_addr().unwrap()).unwrap();
                serve::on(listener, serve::router(handle)).await
            });
        });
        Self { address: address.recv().unwrap(), ends }
    }

    /// The status and the body of the answer to some bytes; 0 when there is none.
    fn send(&self, request: &[u8]) -> (u16, String) {
        exchange(self.address, request)
    }

    fn post(&self, hook: &str, headers: &[(&str, &str)], body: &[u8]) -> u16 {
        let (status, text) = self.send(&request(hook, headers, body));
        assert_eq!(text, "", "a sender learns nothing");
        status
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
    }

    /// How many nudges came since the last look.
    fn nudges(&mut self) -> usize {
        let mut count = 0;
        while let Ok(nudge) = self.ends.nudges.try_recv() {
            assert_eq!(nudge, Nudge::Webhook);
            count += 1;
        }
        count
    }
}

fn request(hook: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!(
        "POST /hook/{hook} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    text.push_str("\r\n");
    [text.as_bytes(), body].concat()
}

fn exchange(address: SocketAddr, request: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The server may answer and close before it read all of it.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    (status, body.unwrap_or_default())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn sha256(key: &[u8], body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(body);
    hex(&mac.finalize().into_bytes())
}

fn sha512(key: &[u8], body: &[u8]) -> String {
    let mac = Hmac::<Sha512>::new_from_slice(key).unwrap().chain_update(body);
    hex(&mac.finalize().into_bytes())
}

fn standard(key: &[u8], id: &str, time: i64, body: &[u8]) -> String {
    let message = [format!("{id}.{time}.").as_bytes(), body].concat();
    let mac = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(message);
    format!("v1,{}", Base64::encode_string(&mac.finalize().into_bytes()))
}

#[test]
fn published_examples() {
    let mut server = Server::start();
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let headers = [("X-Hub-Signature-256", signature)];
    assert_eq!(server.post("published", &headers, b"Hello, World!"), 202);
    let signature = "be63fdb3560b1343e157f107f0d924ae708f71e798057477dde2e2305ce1f881";
    assert_eq!(server.post("short", &[("X-Gitea-Signature", signature)], PUSH), 202);
    let headers = [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", "1700000000"),
        ("webhook-signature", "v1,S+sMUWyYd3/3rjzayrte5e/t1pMVREbVthfhh0T+Ak8="),
        ("X-Gitlab-Event", "Push Hook"),
    ];
    assert_eq!(server.post("gitlab-signed", &headers, PUSH), 202);
    assert_eq!(server.nudges(), 3);
}

/// Each provider's own headers, with the signature last.
fn signed(hook: &str) -> Vec<(&'static str, String)> {
    let plain = sha256(SECRET, PUSH);
    match hook {
        "github" => vec![
            ("X-GitHub-Event", "push".to_owned()),
            ("X-Hub-Signature", "sha1=0000000000000000000000000000000000000000".to_owned()),
            ("X-Hub-Signature-256", format!("sha256={plain}")),
        ],
        // Gitea and Forgejo also sign for GitHub's readers.
        "gitea" => vec![
            ("X-Gitea-Event", "push".to_owned()),
            ("X-GitHub-Event", "push".to_owned()),
            ("X-Hub-Signature-256", format!("sha256={plain}")),
            ("X-Gitea-Signature", plain),
        ],
        "forgejo" => vec![
            ("X-Forgejo-Event", "push".to_owned()),
            ("X-Hub-Signature-256", format!("sha256={plain}")),
            ("X-Forgejo-Signature", plain),
        ],
        "gitlab" => vec![
            ("X-Gitlab-Event", "Push Hook".to_owned()),
            ("X-Gitlab-Token", String::from_utf8(SECRET.to_vec()).unwrap()),
        ],
        "gitlab-signed" => vec![
            ("webhook-id", "msg_2".to_owned()),
            ("webhook-timestamp", NOW.to_string()),
            (
                "webhook-signature",
                standard(b"testtesttesttesttesttesttesttest", "msg_2", NOW, PUSH),
            ),
        ],
        "generic" => vec![("X-Signature", format!("sha512={}", sha512(SECRET, PUSH)))],
        other => panic!("{other}"),
    }
}

#[test]
fn every_provider_is_believed_with_its_proof_alone() {
    let mut server = Server::start();
    for hook in ["github", "gitea", "forgejo", "gitlab", "generic", "gitlab-signed"] {
        let good = signed(hook);
        let post = |headers: &[(&str, String)], body: &[u8]| {
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            server.post(hook, &headers, body)
        };
        let (name, proof) = good.last().unwrap().clone();
        let with = |value: String| {
            let mut headers = good.clone();
            headers.last_mut().unwrap().1 = value;
            headers
        };
        let mut other_end = proof.clone().into_bytes();
        let at = proof.len() - 2;
        other_end[at] = if other_end[at] == b'a' { b'b' } else { b'a' };
        let mut twice = good.clone();
        twice.push((name, proof.clone()));
        let refused = [
            ("wrong", with(String::from_utf8(other_end).unwrap())),
            ("too short", with(proof[..proof.len() - 2].to_owned())),
            ("too long", with(format!("{proof}00"))),
            ("empty", with(String::new())),
            ("only a prefix", with("sha256=".to_owned())),
            ("SHA-1", with("sha1=0000000000000000000000000000000000000000".to_owned())),
            ("of the empty key", with(format!("sha256={}", sha256(b"", PUSH)))),
            ("no hexadecimal", with(format!("sha256={}", "zz".repeat(32)))),
            ("huge", with("a".repeat(10_000))),
            ("missing", good[..good.len() - 1].to_vec()),
            ("twice", twice),
            ("none at all", Vec::new()),
        ];
        for (what, headers) in refused {
            assert_eq!(post(&headers, PUSH), 401, "{hook}: {what}");
        }
        if hook != "gitlab" {
            assert_eq!(post(&good, &[PUSH, b" "].concat()), 401, "{hook}: another body");
        }
        assert_eq!(post(&good, PUSH), 202, "{hook}");
        assert_eq!(server.nudges(), 1, "{hook}");
    }
    let (_, metrics) = server.get("/metrics");
    assert!(
        metrics.contains(r#"weft_webhook_total{provider="github",result="accepted"} 1"#),
        "{metrics}"
    );
    assert!(
        metrics.contains(r#"weft_webhook_total{provider="github",result="refused"} 13"#),
        "{metrics}"
    );
}

#[test]
fn what_is_no_webhook_is_answered_like_a_wrong_one() {
    let mut server = Server::start();
    let proof = format!("sha256={}", sha256(SECRET, PUSH));
    let proof = [("X-Hub-Signature-256", proof.as_str())];
    let wrong = server.send(&request("github", &[("X-Hub-Signature-256", "sha256=00")], PUSH));
    for hook in ["nothing", "GITHUB", "..", "a%2fb", "%ff%fe", &"a".repeat(500)] {
        let answer = server.send(&request(hook, &proof, PUSH));
        let refused = answer == wrong || answer.0 == 400 || answer.0 == 404;
        assert!(refused, "{hook}: {answer:?}");
    }
    assert_eq!(server.send(&request("nothing", &proof, PUSH)), wrong);
    // Without a secret Gitea signs with the empty key.
    let empty = sha256(b"", PUSH);
    assert_eq!(server.post("empty", &[("X-Gitea-Signature", &empty)], PUSH), 401);
    assert_eq!(server.get("/hook/github").0, 405);
    assert_eq!(server.get("/").0, 404);
    assert_eq!(server.nudges(), 0);
}

#[test]
fn the_secret_before_the_last_change_counts_and_no_other_header_does() {
    let mut server = Server::start();
    let previous = format!("sha256={}", sha256(PREVIOUS, PUSH));
    assert_eq!(server.post("github", &[("X-Hub-Signature-256", &previous)], PUSH), 202);
    let plain = sha256(SECRET, PUSH);
    // Where Forgejo signs under its own name, Gitea's header counts no more.
    let headers = [("X-Gitea-Signature", plain.as_str()), ("X-Forgejo-Signature", "00")];
    assert_eq!(server.post("forgejo", &headers, PUSH), 401);
    assert_eq!(server.post("forgejo", &[("X-Gitea-Signature", &plain)], PUSH), 202);
    assert_eq!(server.post("gitea", &[("X-Forgejo-Signature", &plain)], PUSH), 401);
    // A signing key is never believed as a token.
    assert_eq!(server.post("gitlab-signed", &[("X-Gitlab-Token", SIGNING_KEY)], PUSH), 401);
    assert_eq!(server.nudges(), 2);
}

#[test]
fn a_signed_time_is_near() {
    let mut server = Server::start();
    let post = |hook: &str, key: &[u8], id: &str, time: i64, extra: &str| {
        let signature = format!("{extra}{}", standard(key, id, time, PUSH));
        let time = time.to_string();
        let headers = [
            ("webhook-id", id),
            ("webhook-timestamp", time.as_str()),
            ("webhook-signature", signature.as_str()),
        ];
        server.post(hook, &headers, PUSH)
    };
    let key = b"testtesttesttesttesttesttesttest";
    for (hook, key) in [("gitlab-signed", key.as_slice()), ("generic", SECRET)] {
        assert_eq!(post(hook, key, "a", NOW - 300, ""), 202);
        assert_eq!(post(hook, key, "b", NOW + 300, ""), 202);
        assert_eq!(post(hook, key, "c", NOW - 301, ""), 401);
        assert_eq!(post(hook, key, "d", NOW + 301, ""), 401);
        assert_eq!(post(hook, key, "e", 0, ""), 401);
        // Several keys sign while one replaces another.
        assert_eq!(post(hook, key, "f", NOW, "v1,AAAA v2,BBBB "), 202);
        assert_eq!(post(hook, key, "g", NOW, &"v1,AAAA ".repeat(8)), 401);
        assert_eq!(post(hook, key, &"h".repeat(257), NOW, ""), 401);
    }
    let signature = standard(SECRET, "i", NOW, PUSH);
    for time in ["", "-1", "1700000000.0", "+1700000000", "99999999999999999999"] {
        let headers = [
            ("webhook-id", "i"),
            ("webhook-timestamp", time),
            ("webhook-signature", signature.as_str()),
        ];
        assert_eq!(server.post("generic", &headers, PUSH), 401, "{time}");
    }
    assert_eq!(server.nudges(), 6);
}

#[test]
fn a_repeated_delivery_causes_nothing() {
    let mut server = Server::start();
    let signature = format!("sha256={}", sha256(SECRET, PUSH));
    let post = |id: &str, signature: &str| {
        let headers = [("X-Hub-Signature-256", signature), ("X-GitHub-Delivery", id)];
        server.post("github", &headers, PUSH)
    };
    // A stranger cannot use up the name of a delivery.
    assert_eq!(post("one", "sha256=00"), 401);
    assert_eq!(post("one", &signature), 202);
    assert_eq!(post("one", &signature), 202);
    assert_eq!(post("two", &signature), 202);
    assert_eq!(server.nudges(), 2);

    let deliveries = serve::Deliveries::default();
    let (hook, other) = ("github".parse().unwrap(), "gitea".parse().unwrap());
    for number in 0..serve::REMEMBERED {
        assert!(deliveries.take(&hook, &number.to_le_bytes()));
    }
    assert!(!deliveries.take(&hook, &0_usize.to_le_bytes()));
    assert!(deliveries.take(&other, &0_usize.to_le_bytes()), "each hook has its own names");
    assert!(deliveries.take(&hook, &0_usize.to_le_bytes()), "the oldest is forgotten");
    assert!(!deliveries.take(&hook, &9_usize.to_le_bytes()));
}

#[test]
fn what_is_about_something_else_causes_nothing() {
    let mut server = Server::start();
    let post = |event: &str, body: &str| {
        let signature = format!("sha256={}", sha256(SECRET, body.as_bytes()));
        let headers = [("X-Hub-Signature-256", signature.as_str()), ("X-GitHub-Event", event)];
        server.post("github", &headers, body.as_bytes())
    };
    assert_eq!(post("ping", r#"{"zen":"quiet"}"#), 202);
    assert_eq!(post("issues", "{}"), 202);
    assert_eq!(post("push", r#"{"ref":"refs/heads/other"}"#), 202);
    assert_eq!(post("push", r#"{"ref":"refs/tags/main"}"#), 202);
    assert_eq!(server.nudges(), 0);
    // What does not say what it is about may be about the branch.
    for body in ["", "poll", "{}", r#"{"ref":7}"#, r#"{"ref":"main"}"#, &"[".repeat(100_000)] {
        let signature = format!("sha256={}", sha256(SECRET, body.as_bytes()));
        assert_eq!(server.post("generic", &[("X-Signature", &signature)], body.as_bytes()), 202);
        assert_eq!(server.nudges(), 1, "{body:.20}");
    }
}

#[test]
fn size_is_bounded() {
    let mut server = Server::start();
    let largest = vec![b' '; serve::MAX_BODY];
    let signature = format!("sha256={}", sha256(SECRET, &largest));
    let headers = [("X-Hub-Signature-256", signature.as_str())];
    assert_eq!(server.post("github", &headers, &largest), 202);
    assert_eq!(server.nudges(), 1);

    let too_large = vec![b' '; serve::MAX_BODY + 1];
    let signature = format!("sha256={}", sha256(SECRET, &too_large));
    let headers = [("X-Hub-Signature-256", signature.as_str())];
    assert_eq!(server.send(&request("github", &headers, &too_large)).0, 413);
    // Without a length said before.
    let mut chunked = format!(
        "POST /hook/github HTTP/1.1\r\nHost: localhost\r\nX-Hub-Signature-256: {signature}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for _ in 0..=16 {
        chunked.extend_from_slice(b"4000\r\n");
        chunked.extend_from_slice(&[b' '; 0x4000]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(server.send(&chunked).0, 413);

    let long = "a".repeat(serve::MAX_HEADER);
    assert_eq!(server.send(&request("github", &[("X-Long", &long)], b"")).0, 431);
    let many: Vec<(&str, &str)> = vec![("X-Many", "1"); 100];
    assert_eq!(server.send(&request("github", &many, b"")).0, 431);
    // Only HTTP/1.
    let (status, _) = server.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert!(matches!(status, 0 | 400 | 505), "{status}");
    assert_eq!(server.nudges(), 0);
    assert_eq!(server.get("/healthz"), (200, "ok\n".to_owned()));
}

#[test]
fn whoever_is_slow_is_cut_off_and_keeps_nobody_out() {
    let mut server = Server::start();
    let address = server.address;
    let (ended, ends) = mpsc::channel();
    // As many as may be open: half drip a header, half a body, one byte at a time.
    for number in 0..serve::CONNECTIONS {
        let ended = ended.clone();
        thread::spawn(move || {
            let begun = Instant::now();
            let mut stream = TcpStream::connect(address).unwrap();
            let start: &[u8] = if number % 2 == 0 {
                b"POST /hook/github HTTP/1.1\r\nX-Slow: "
            } else {
                b"POST /hook/github HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
            };
            stream.write_all(start).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            let mut byte = [0];
            loop {
                if stream.write_all(b"a").is_err() {
                    break;
                }
                // Nothing to read as yet is the only sign that all goes on.
                let going = stream.read(&mut byte).is_err_and(|error| {
                    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
                });
                if !going {
                    break;
                }
            }
            ended.send(begun.elapsed()).unwrap();
        });
    }
    thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    let signature = format!("sha256={}", sha256(SECRET, PUSH));
    assert_eq!(server.post("github", &[("X-Hub-Signature-256", &signature)], PUSH), 202);
    assert!(begun.elapsed() < serve::DEADLINE * 2, "{:?}", begun.elapsed());
    assert_eq!(server.nudges(), 1);
    for _ in 0..serve::CONNECTIONS {
        let lived = ends.recv_timeout(serve::DEADLINE * 3).unwrap();
        assert!(lived < serve::DEADLINE * 2, "{lived:?}");
    }
}

#[test]
fn a_flood_fills_nothing() {
    let mut server = Server::start();
    let address = server.address;
    let signature = format!("sha256={}", sha256(SECRET, PUSH));
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let signature = signature.clone();
            thread::spawn(move || {
                for number in 0..50 {
                    let id = format!("{thread}-{number}");
                    let headers =
                        [("X-Hub-Signature-256", signature.as_str()), ("X-GitHub-Delivery", &id)];
                    assert_eq!(exchange(address, &request("github", &headers, PUSH)).0, 202);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    // Nobody took them in meanwhile; what waits is few, and not nothing.
    assert!((1..=8).contains(&server.nudges()));
}

#[test]
fn what_the_agent_says_of_itself() {
    let server = Server::start();
    assert_eq!(server.get("/readyz"), (503, "starting\n".to_owned()));
    let now = Timestamp::from_second(NOW).unwrap();
    let last = |state| Last { ended: now, state, message: "said so".to_owned(), status: None };
    let mut condition = Condition::starting(now);
    condition.activity = Activity::Idle;
    condition.message = "runs commit 1".to_owned();
    for (state, ready) in [
        (State::InOrder, 200),
        (State::Pending, 200),
        (State::Refused, 200),
        (State::RolledBack, 200),
        (State::Degraded, 503),
        (State::Failed, 503),
    ] {
        condition.last = Some(last(state));
        server.ends.condition.send(Arc::new(condition.clone())).unwrap();
        assert_eq!(server.get("/readyz").0, ready, "{state:?}");
    }
    let (status, text) = server.get("/status");
    assert_eq!(status, 200);
    let read: Condition = serde_json::from_str(&text).unwrap();
    assert_eq!(read, condition);
    server.ends.metrics.failure(State::Failed, now, Duration::from_secs(2));
    server.ends.metrics.fetched(false);
    server.ends.metrics.progress(now);
    let (status, text) = server.get("/metrics");
    assert_eq!(status, 200);
    for line in [
        "weft_turn_total{result=\"failed\"} 1",
        "weft_state{state=\"failed\"} 1",
        "weft_state{state=\"in-order\"} 0",
        "weft_fetch_total{result=\"failed\"} 1",
        "weft_turn_duration_seconds_bucket{le=\"3.0\"} 1",
        "weft_loop_progress_timestamp_seconds 1700000000.0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn secrets_show_nothing() {
    let shown = format!("{:?}", keys(Provider::Github, &[SECRET]));
    assert!(!shown.contains("secret of the test"), "{shown}");
    assert!(!shown.contains("97, 32"), "{shown}");
}
