//! Servers that are slow, ill, or not who they should be.

use serde_json::json;

use super::*;
use crate::names::proxy::Fault;
use crate::remotes::server::Authority;

const ONE: &str = "zones: {za: {type: simple, ipam: nb}}\n\
    vnets: {va: {zone: za, subnets: {10.0.0.0/24: {gateway: 10.0.0.1}}}}\n";

const HTML: Fault = Fault::Instead(
    "502 Bad Gateway",
    "Content-Type: text/html\r\n",
    "<html><head><title>502 Bad Gateway</title></head></html>",
);
const ILL: Fault = Fault::Instead(
    "500 Internal Server Error",
    "Content-Type: text/html\r\n",
    "<html><head><title>Server Error</title></head></html>",
);
const BUSY: Fault = Fault::Instead("429 Too Many Requests", "Retry-After: 1\r\n", "");

/// What passes is outlasted, a lost answer is looked up, and nothing is there twice.
#[test]
fn what_passes_is_outlasted() {
    each(ONE, |site, proxy, mut cluster| {
        cluster.terms.bounds.request = Duration::from_secs(10);
        let all = [Fault::LostAnswer, ILL, BUSY, HTML, Fault::LostRequest, Fault::HalfBody];
        // One does for the real server, which has only so much time.
        for fault in all.into_iter().take(if site.fake.is_some() { 6 } else { 1 }) {
            proxy.fail("GET", "", &[fault.clone(), Fault::CutBody]);
            proxy.fail("POST", "/prefixes/", std::slice::from_ref(&fault));
            proxy.fail("POST", "/ip-addresses/", std::slice::from_ref(&fault));
            let (_, outcome) = cluster.apply();
            assert_eq!(outcome.refused, [], "{} {fault:?}", site.name);
            assert_eq!(proxy.left(), 0, "{fault:?}");
            let vrf = site.vrf(&cluster.name, "za");
            let lines = ["10.0.0.0/24 vnet va", "10.0.0.1/24 gateway of vnet va va-gw"];
            assert_eq!(site.lines(vrf), lines, "{} {fault:?}", site.name);

            // A person's change is mended, and all of it goes.
            let found = site.all(&format!("/ipam/prefixes/?vrf_id={vrf}"));
            let target = format!("/ipam/prefixes/{}/", found[0]["id"]);
            site.ask("PATCH", &target, Some(&json!({ "description": "x" })));
            proxy.fail("PATCH", "", std::slice::from_ref(&fault));
            let (_, outcome) = cluster.apply();
            assert_eq!(outcome.refused, [], "{} {fault:?}", site.name);
            assert_eq!(site.lines(vrf), lines, "{} {fault:?}", site.name);
            cluster.declare("zones: {za: {type: simple, ipam: nb}}\nvnets: {}\n");
            proxy.fail("DELETE", "", &[fault.clone(), fault.clone()]);
            let (_, outcome) = cluster.apply();
            assert_eq!(outcome.refused, [], "{} {fault:?}", site.name);
            assert_eq!(site.lines(vrf), [""; 0], "{} {fault:?}", site.name);
            assert_eq!(proxy.left(), 0, "{fault:?}");
            cluster.declare(ONE);
        }
    });
}

/// What does not pass is said, and nothing is taken for empty.
#[test]
fn what_does_not_pass_is_said() {
    each(ONE, |site, proxy, mut cluster| {
        cluster.apply();
        cluster.terms.bounds.attempts = 1;
        cluster.declare("zones: {za: {type: simple, ipam: nb}}\nvnets: {}\n");
        let json = "Content-Type: application/json\r\n";
        for (kind, fault, says) in [
            ("/status/", HTML, "answers 502: a web page, `502 Bad Gateway`"),
            ("/prefixes/", ILL, "answers 500: a web page, `Server Error`"),
            ("/ip-ranges/", Fault::HalfBody, "answers what cannot be read: EOF"),
            ("/vrfs/", Fault::CutBody, "the connection ended before the answer did"),
            ("/custom-fields/", BUSY, "answers 429"),
            (
                "/prefixes/",
                Fault::Instead("200 OK", json, "{\"results\": []}"),
                "missing field `next`",
            ),
            ("/prefixes/", Fault::Instead("200 OK", json, "[]"), "answers what cannot be read"),
            (
                "/prefixes/",
                Fault::Instead("302 Found", "Location: http://192.0.2.1/\r\n", ""),
                "answers 302: it leads to `http://192.0.2.1/`, where nobody follows",
            ),
            (
                "/status/",
                Fault::Instead("200 OK", "Content-Type: text/html\r\n", "<title>Log in</title>"),
                "a web page, `Log in`",
            ),
            (
                "/status/",
                Fault::Instead("200 OK", json, "{\"netbox-version\": \"new\"}"),
                "its version is `new`",
            ),
        ] {
            proxy.fail("GET", kind, std::slice::from_ref(&fault));
            let plan = cluster.plan();
            assert!(plan.is_empty(), "{} {fault:?}: {plan}", site.name);
            let shown = plan.to_string();
            assert!(
                shown.starts_with("refused: IPAM server `nb`: ") && shown.contains(says),
                "{shown}"
            );
            assert_eq!(proxy.left(), 0, "{fault:?}");
        }
        // An object that has no field of marks would be nobody's.
        let vrf = site.vrf(&cluster.name, "za");
        assert_eq!(site.lines(vrf).len(), 2, "{}", site.name);
        let (_, outcome) = cluster.apply();
        assert_eq!(outcome.refused, []);
    });
}

/// Tokens of both kinds, one that is revoked, and one that may only read.
#[test]
fn tokens_that_do_not_let_in_are_said() {
    each(ONE, |site, _, mut cluster| {
        for token in ["0123456789012345678901234567890123456789", "nbt_abcdefabcdef.0123456789"] {
            cluster.access.secret = Secret::new(token.to_owned());
            let shown = cluster.plan().to_string();
            assert!(shown.contains("IPAM server `nb`: answers 403: "), "{shown}");
            assert!(shown.contains("look whether its token is valid, may write"), "{shown}");
            assert!(!shown.contains("0123456789"), "{shown}");
        }
        cluster.access.secret = Secret::new(site.read_only());
        let plan = cluster.plan();
        assert_eq!(plan.refused(), [], "{}", site.name);
        let outcome = carry_out(plan);
        let refused: Vec<String> = outcome.refused.iter().map(ToString::to_string).collect();
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(
            refused[0].starts_with("VRF of zone `za`: answers 403: You do not have permission"),
            "{refused:?}"
        );
        cluster.access.secret = Secret::new("a\nb".to_owned());
        assert!(cluster.plan().to_string().contains("is no line of text that can be sent"));
        let access = BTreeMap::new();
        let plan = super::plan(&cluster.network, &access, &cluster.terms, &mut cluster.decide());
        assert_eq!(plan.to_string(), "refused: IPAM server `nb`: no token is known for it\n");
    });
}

/// A certificate that nobody vouches for gets no token.
#[test]
fn a_server_that_does_not_prove_itself_is_told_nothing() {
    for site in sites() {
        let identity = Authority::new("an authority").identity();
        let proxy = Proxy::start(site.port, Some(identity));
        let mut cluster = Cluster::new(&site, &proxy, ONE);
        let url = format!("https://127.0.0.1:{}/api", proxy.port);
        let ipam = cluster.network.ipams.get_mut(&Cluster::id()).unwrap();
        let weft::network::Ipam::Netbox(server) = ipam else { panic!("{ipam:?}") };
        server.url = url.parse().unwrap();
        let shown = cluster.plan().to_string();
        assert!(shown.contains("IPAM server `nb`: its certificate is refused"), "{shown}");
        assert!(shown.contains("declare its `fingerprint`"), "{shown}");
        assert_eq!(proxy.asked(""), 0);
    }
}

/// Lists are read in full, by pages of weft's own; what a server says of the next page is
/// somebody's else address.
#[test]
fn lists_are_read_in_full_or_not_at_all() {
    for version in [(4, 2), (4, 7)] {
        let site = site::fake("fake", version);
        let proxy = Proxy::start(site.port, None);
        let mut cluster = Cluster::new(&site, &proxy, ONE);
        cluster.apply();
        let vrf = site.vrf(&cluster.name, "za");
        for number in 0..1200 {
            let address = format!("10.1.{}.{}/24", number / 200, number % 200 + 1);
            site.make("/ipam/ip-addresses/", &json!({ "address": address, "vrf": vrf }));
        }
        let asked = proxy.asked("GET /api/ipam/ip-addresses/");
        let (_, outcome) = cluster.apply();
        assert_eq!(outcome.writes, 0);
        // Twice planned: one page of ours, three of others.
        assert_eq!(proxy.asked("GET /api/ipam/ip-addresses/") - asked, 8, "{version:?}");
        // The last page is lost: that is not the end of the list.
        cluster.terms.bounds.attempts = 1;
        let last = if version < (4, 6) { "offset=1000" } else { "start=1" };
        proxy.fail("GET", last, &[HTML]);
        let plan = cluster.plan();
        assert!(plan.is_empty() && !plan.refused().is_empty(), "{plan}");
    }
}
