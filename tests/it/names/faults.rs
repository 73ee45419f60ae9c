//! Servers that are slow, ill, or not who they should be.

use std::time::Instant;

use openssl::hash::MessageDigest;

use super::proxy::{Fault, Proxy};
use super::*;
use crate::remotes::server::{Authority, Identity};

const HTML: Fault = Fault::Instead(
    "502 Bad Gateway",
    "Content-Type: text/html\r\n",
    "<html><head><title>502 Bad Gateway</title></head></html>",
);
const ILL: Fault = Fault::Instead(
    "500 Internal Server Error",
    "Content-Type: text/plain\r\n",
    "Internal Server Error",
);
const BUSY: Fault = Fault::Instead("429 Too Many Requests", "Retry-After: 1\r\n", "");

fn scene() -> Option<(PowerDns, Proxy, Cluster)> {
    let server = server(Backend::Sqlite)?;
    let proxy = Proxy::start(server.port, None);
    let mut cluster = Cluster::new("lab", &proxy.url("http"), "", VNETS);
    cluster.hold("web", "10.0.0.5");
    Some((server, proxy, cluster))
}

const WHOLE: [&str; 2] = ["va-gw.sdn.example. 300 A 10.0.0.1", "web.sdn.example. 300 A 10.0.0.5"];

/// §6.11 and every bad day: what passes is waited for, a lost answer is looked up again, and
/// nothing is written twice.
#[test]
fn what_passes_is_outlasted() {
    let Some((server, proxy, mut cluster)) = scene() else { return };
    cluster.terms.bounds.request = Duration::from_secs(2);
    let late = Fault::Late(Duration::from_secs(3));
    // Each with the writes that it takes: what was done and not answered is not done again.
    for (fault, writes) in [
        (ILL, 2),
        (BUSY, 2),
        (HTML, 2),
        (Fault::LostRequest, 2),
        (Fault::LostAnswer, 1),
        (late.clone(), 1),
    ] {
        proxy.fail("GET", "", &[fault.clone(), Fault::CutBody, Fault::HalfBody]);
        proxy.fail("PATCH", "/zones/sdn.example.", std::slice::from_ref(&fault));
        let before = proxy.count("PATCH");
        let (_, outcome) = cluster.settle();
        assert_eq!(outcome.refused, [], "{fault:?}");
        assert_eq!(proxy.left(), 0, "{fault:?}");
        assert_eq!(server.records("sdn.example."), WHOLE, "{fault:?}");
        // One write for the names of addresses, beside those for the names.
        assert_eq!(proxy.count("PATCH") - before, writes + 1, "{fault:?}");
        let leases = std::mem::take(&mut cluster.leases);
        cluster.settle();
        cluster.leases = leases;
        assert_eq!(server.records("sdn.example."), WHOLE[..1], "{fault:?}");
        // The gateway goes too, so that each fault meets the same work.
        for (zone, name, kind) in [
            ("sdn.example.", "va-gw.sdn.example.", "A"),
            ("0.0.10.in-addr.arpa.", "1.0.0.10.in-addr.arpa.", "PTR"),
        ] {
            server.set(zone, name, kind, 0, &[]);
        }
    }
}

#[test]
fn what_does_not_pass_is_said_and_nothing_is_taken_for_empty() {
    let Some((server, proxy, mut cluster)) = scene() else { return };
    cluster.settle();
    // Nothing is wanted any more, and the zone cannot be read: nothing is removed.
    cluster.give_up("10.0.0.5");
    cluster.terms.bounds.attempts = 2;
    for (faults, says) in [
        ([HTML, HTML], "answers 502: a web page, `502 Bad Gateway`"),
        ([ILL, ILL], "answers 500: Internal Server Error"),
        ([Fault::HalfBody, Fault::HalfBody], "answers what cannot be read: EOF"),
        ([Fault::CutBody, Fault::CutBody], "the connection ended before the answer did"),
        ([BUSY, BUSY], "answers 429"),
    ] {
        proxy.fail("GET", "/zones/sdn.example. ", &faults);
        let plan = cluster.plan();
        let shown = plan.to_string();
        assert!(
            shown.contains(&format!("refused: DNS server `pdns`: zone `sdn.example.`: {says}")),
            "{shown}"
        );
        assert!(!shown.contains("web.sdn.example. A"), "{shown}");
        assert!(shown.contains("  - 5.0.0.10.in-addr.arpa. PTR"), "all else goes on: {shown}");
        // The zone is remembered all the same.
        assert!(plan.zones().values().flatten().any(|zone| zone.as_str() == "sdn.example."));
    }
    for fault in [
        Fault::Instead("200 OK", "Content-Type: application/json\r\n", "{\"rrsets\": 7}"),
        Fault::Instead("200 OK", "Content-Type: text/html\r\n", "<title>Log in</title>"),
        Fault::Instead("302 Found", "Location: http://127.0.0.1:1/\r\n", ""),
    ] {
        proxy.fail("GET", "/zones ", &[fault.clone(), fault]);
        let plan = cluster.plan();
        assert!(plan.is_empty() && !plan.refused().is_empty(), "{plan}");
        proxy.clear();
    }
    assert_eq!(server.records("sdn.example."), WHOLE);
}

#[test]
fn no_server_takes_more_time_or_room_than_it_may() {
    let Some((_server, proxy, mut cluster)) = scene() else { return };
    let bounds = &mut cluster.terms.bounds;
    (bounds.attempts, bounds.body, bounds.request) = (1, 1 << 20, Duration::from_millis(700));
    for (fault, says) in [
        (Fault::Endless, "an answer of more than 1048576 bytes"),
        (Fault::Drip, "no whole answer in 0.7 s"),
        (Fault::Late(Duration::from_secs(5)), "no whole answer in 0.7 s"),
    ] {
        proxy.fail("GET", "", &[fault]);
        let began = Instant::now();
        let shown = cluster.plan().to_string();
        assert!(shown.contains(says), "{shown}");
        assert!(began.elapsed() < Duration::from_secs(4));
    }
    // Nor does it say how long it is waited for.
    let years = Fault::Instead("503 Service Unavailable", "Retry-After: 99999999\r\n", "");
    cluster.terms.bounds.attempts = 3;
    proxy.fail("GET", "", &[years]);
    let shown = cluster.plan().to_string();
    assert!(shown.contains("answers 503: Service Unavailable"), "{shown}");
}

/// §6.11: the server's own words reach the reader, for the name that they are about.
#[test]
fn one_name_that_is_refused_costs_no_other() {
    let Some((server, proxy, mut cluster)) = scene() else { return };
    for number in 10..30 {
        cluster.hold(&format!("g{number}"), &format!("10.0.0.{number}"));
    }
    let no = Fault::Instead(
        "422 Unprocessable Entity",
        "Content-Type: application/json\r\n",
        r#"{"error":"Record g17.sdn.example./A: contains unsupported characters"}"#,
    );
    proxy.fail("PATCH", "\"g17.sdn.example.\",\"type\":\"A\"", &vec![no; 20]);
    let plan = cluster.plan();
    let outcome = carry_out(plan);
    assert_eq!(
        outcome.refused.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "guest `g17` on vnet `va`: answers 422: Record g17.sdn.example./A: contains unsupported characters"
        ]
    );
    assert_eq!(server.records("sdn.example.").len(), 21);
    proxy.clear();
    cluster.settle();
    assert_eq!(server.records("sdn.example.").len(), 22);
}

#[test]
fn a_key_that_was_revoked_is_said_and_not_tried_again() {
    let Some((server, proxy, mut cluster)) = scene() else { return };
    cluster.settle();
    cluster.hold("db", "10.0.0.6");
    let plan = cluster.plan();
    let no = Fault::Instead("401 Unauthorized", "Content-Type: text/plain\r\n", "Unauthorized");
    proxy.fail("PATCH", "", &[no.clone(), no.clone()]);
    let (outcome, writes) = (carry_out(plan), proxy.count("PATCH"));
    assert!(
        outcome.refused.iter().all(|one| one.to_string().contains("answers 401: Unauthorized"))
    );
    assert_eq!((outcome.refused.len(), outcome.settled), (2, 0));
    cluster.access.secret = Secret::new("another-key".to_owned());
    let before = proxy.count("GET");
    let shown = cluster.plan().to_string();
    assert!(
        shown.contains("refused: DNS server `pdns`: its zones: answers 401: Unauthorized"),
        "{shown}"
    );
    assert_eq!((proxy.count("GET") - before, proxy.count("PATCH")), (1, writes));
    assert_eq!(server.records("sdn.example."), WHOLE);
    // A key that is no line of text is not sent at all.
    cluster.access.secret = Secret::new("a\nb".to_owned());
    assert!(cluster.plan().to_string().contains("the credential is no line of text"));
}

/// A certificate's fingerprint as declarations have it.
pub(crate) fn shown(identity: &Identity) -> String {
    let digest = identity.certificate().digest(MessageDigest::sha256()).unwrap();
    let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(":")
}

#[test]
fn the_key_is_for_the_right_server_alone() {
    let Some(server) = server(Backend::Sqlite) else { return };
    let authority = Authority::new("ours");
    let other = Authority::new("another");
    let good = authority.identity();
    let elsewhere = authority.identity_for("127.0.0.2", "elsewhere", 1_700_000_000, 4_000_000_000);
    let expired = authority.identity_for("127.0.0.1", "localhost", 1_600_000_000, 1_700_000_000);
    let pin = format!(", fingerprint: \"{}\"", shown(&good));
    let ours = Some(authority.pem());
    for (identity, more, authorities, refusal) in [
        (&good, "", ours.clone(), None),
        (&good, &*pin, None, None),
        // Who is pinned need not have a good certificate otherwise.
        (&expired, &*format!(", fingerprint: \"{}\"", shown(&expired)), None, None),
        (&good, "", None, Some("unable to get local issuer certificate")),
        (&good, "", Some(other.pem()), Some("its certificate is refused")),
        (&elsewhere, "", ours.clone(), Some("IP address mismatch")),
        (&expired, "", ours.clone(), Some("certificate has expired")),
        // An authority does not help whom the fingerprint does not name.
        (&elsewhere, &*pin, ours.clone(), Some("and pinned is")),
    ] {
        let proxy = Proxy::start(server.port, Some(identity.clone()));
        let mut cluster = Cluster::new("lab", &proxy.url("https"), more, VNETS);
        cluster.access.authorities = authorities;
        cluster.hold("web", "10.0.0.5");
        match refusal {
            None => {
                cluster.settle();
                assert_eq!(server.records("sdn.example."), WHOLE);
            }
            Some(says) => {
                let plan = cluster.plan();
                assert!(plan.to_string().contains(says), "{plan}");
                assert_eq!(proxy.count(""), 0, "nothing was sent");
            }
        }
    }
    // What is no TLS, and TLS where there is none to be pinned.
    let plain = Proxy::start(server.port, None);
    let mut cluster = Cluster::new("lab", &plain.url("https"), &pin, VNETS);
    cluster.terms.bounds.attempts = 1;
    assert!(cluster.plan().to_string().contains("cannot be reached: TLS"));
    let cluster = Cluster::new("lab", &plain.url("http"), &pin, VNETS);
    assert!(cluster.plan().to_string().contains("the URL begins with `http:`"));
    assert_eq!(plain.count("GET"), 0);
}
