//! phpIPAM: the same promises on a server that guards nothing by itself.

use serde_json::json;

use super::fake::phpipam::Fake;
use super::*;
use crate::names::proxy::Fault;

const ONE: &str = "zones: {za: {type: simple, ipam: nb, dns: pdns, dnszone: sdn.example}}\n\
    vnets: {va: {zone: za, subnets: {10.0.0.0/24: {gateway: 10.0.0.1}}}}\n\
    guests: {web: {nics: [{vnet: va, mac: \"02:00:00:00:00:01\"}]}}\n";
const EMPTY: &str = "zones: {za: {type: simple, ipam: nb}}\nvnets: {}\n";

fn scene(rest: &str) -> (Fake, Proxy, Cluster) {
    let fake = Fake::start();
    let proxy = Proxy::start(fake.port, None);
    let server = format!(
        "{{type: phpipam, url: \"http://127.0.0.1:{}/api/weft\", token: ipam-token, section: 1}}",
        proxy.port
    );
    let token = fake.state.lock().unwrap().token.clone();
    let cluster = Cluster::of(server, token, rest);
    (fake, proxy, cluster)
}

#[test]
fn a_zone_is_made_kept_and_removed() {
    for texts in [false, true] {
        let (fake, proxy, mut cluster) = scene(ONE);
        fake.state.lock().unwrap().texts = texts;
        let (_, outcome) = cluster.apply();
        assert_eq!((outcome.refused, outcome.settled), (vec![], 3));
        let lines = [
            "1 10.0.0.0/24 vnet va",
            "10.0.0.1 gateway of vnet va va-gw.sdn.example tag 2",
            "10.0.0.2 guest web on vnet va web.sdn.example tag 2",
        ];
        assert_eq!(fake.lines(), lines);
        let writes = proxy.count("POST") + proxy.count("PATCH");
        cluster.apply();
        assert_eq!(proxy.count("POST") + proxy.count("PATCH"), writes);
        // A person's change is mended, and what is reset by leaving it out is not.
        for address in fake.state.lock().unwrap().addresses.values_mut() {
            address["hostname"] = json!("other");
        }
        cluster.apply();
        assert_eq!(fake.lines(), lines);
        // The guest goes; its address is kept, and its subnet with it, which would take it
        // along.
        cluster.declare(EMPTY);
        let (shown, outcome) = cluster.apply();
        assert!(
            shown.contains(
                "refused: prefix 10.0.0.0/24 of zone `za`: address 10.0.0.2 lies within and stays"
            ),
            "{shown}"
        );
        assert_eq!(outcome.refused, []);
        assert_eq!(
            fake.lines(),
            ["1 10.0.0.0/24 vnet va", "10.0.0.2 guest web on vnet va, given up web tag 1"]
        );
        cluster.now = "2026-11-27T09:00:00Z".parse().unwrap();
        cluster.apply();
        assert_eq!(fake.lines(), [""; 0]);
    }
}

/// §6.8: other sections, addresses of others, and what somebody puts into a subnet that is
/// about to go.
#[test]
fn what_is_somebody_elses_stays() {
    let (fake, _, mut cluster) = scene(EMPTY);
    let elsewhere =
        fake.make("subnets", &json!({ "subnet": "10.0.0.0", "mask": "24", "sectionId": 2 }));
    fake.make("addresses", &json!({ "ip": "10.0.0.2", "subnetId": elsewhere, "description": "a" }));
    fake.make("subnets", &json!({ "subnet": "10.0.0.0", "mask": "16", "sectionId": 1 }));
    cluster.declare(ONE);
    cluster.apply();
    let ours = |fake: &Fake| {
        let state = fake.state.lock().unwrap();
        let of = |(id, one): (&u64, &serde_json::Map<String, serde_json::Value>)| {
            one["custom_weft"].is_string().then_some(*id)
        };
        state.subnets.iter().find_map(of).unwrap()
    };
    assert!(
        fake.lines().contains(&"10.0.0.2 guest web on vnet va web.sdn.example tag 2".to_owned())
    );
    fake.make(
        "addresses",
        &json!({ "ip": "10.0.0.3", "subnetId": ours(&fake), "hostname": "printer" }),
    );
    cluster.declare(
        &ONE.replace(
            "guests: {",
            "guests: {db: {nics: [{vnet: va, mac: \"02:00:00:00:00:02\"}]}, ",
        ),
    );
    cluster.apply();
    let lines = fake.lines();
    assert!(
        lines.contains(&"10.0.0.4 guest db on vnet va db.sdn.example tag 2".to_owned()),
        "{lines:?}"
    );
    // A subnet that is there is refused, and adopted when that is said.
    cluster.declare(&ONE.replace("10.0.0.0/24: {gateway: 10.0.0.1}", "10.0.0.0/16: {}"));
    let shown = cluster.plan().to_string();
    assert!(shown.contains("prefix 10.0.0.0/16 of zone `za`: somebody else made it"), "{shown}");
    cluster.terms.adopt = true;
    assert!(cluster.plan().to_string().contains("za ~ prefix 10.0.0.0/16 (vnet va): adopted"));
    cluster.terms.adopt = false;
    // All of ours goes, when its time has come; the printer keeps the subnet.
    cluster.declare(EMPTY);
    cluster.now = "2026-11-28T09:00:00Z".parse().unwrap();
    cluster.apply();
    cluster.now = "2026-11-29T09:00:00Z".parse().unwrap();
    let (shown, _) = cluster.apply();
    assert!(shown.contains("address 10.0.0.3 lies within and stays"), "{shown}");
    let lines = [
        "1 10.0.0.0/16 ",
        "1 10.0.0.0/24 vnet va",
        "10.0.0.2 a  tag 2",
        "10.0.0.3  printer tag 2",
        "2 10.0.0.0/24 ",
    ];
    assert_eq!(fake.lines(), lines);
}

#[test]
fn what_passes_is_outlasted_and_the_rest_is_said() {
    let html = Fault::Instead(
        "502 Bad Gateway",
        "Content-Type: text/html\r\n",
        "<title>502 Bad Gateway</title>",
    );
    let (fake, proxy, mut cluster) = scene(ONE);
    for fault in [html.clone(), Fault::LostAnswer, Fault::LostRequest, Fault::HalfBody] {
        proxy.fail("GET", "", &[fault.clone(), Fault::CutBody]);
        proxy.fail("POST", "/subnets/", std::slice::from_ref(&fault));
        proxy.fail("POST", "/addresses/", std::slice::from_ref(&fault));
        let (_, outcome) = cluster.apply();
        assert_eq!(outcome.refused, [], "{fault:?}");
        assert_eq!((fake.lines().len(), proxy.left()), (3, 0), "{fault:?}");
        cluster.declare(EMPTY);
        cluster.terms.force = true;
        proxy.fail("DELETE", "", std::slice::from_ref(&fault));
        cluster.apply();
        assert_eq!(fake.lines(), [""; 0], "{fault:?}");
        (cluster.terms.force, cluster.now) = (false, cluster.now);
        cluster.declare(ONE);
    }
    cluster.apply();
    cluster.declare(EMPTY);
    cluster.terms.bounds.attempts = 1;
    let json = "Content-Type: application/json\r\n";
    for (fault, says) in [
        (html, "answers 502"),
        // Not found is not empty, unless the server says so.
        (
            Fault::Instead(
                "404 Not Found",
                json,
                "{\"code\":404,\"success\":false,\"message\":\"Section does not exist\"}",
            ),
            "answers 404: Section does not exist",
        ),
        (
            Fault::Instead("200 OK", json, "{\"code\":200,\"success\":false,\"message\":\"no\"}"),
            "no success: no",
        ),
        (
            Fault::Instead("200 OK", json, "{\"code\":200,\"success\":true}"),
            "answers what cannot be read",
        ),
    ] {
        proxy.fail("GET", "/sections/1/subnets/", &[fault]);
        let plan = cluster.plan();
        assert!(plan.is_empty() && plan.to_string().contains(says), "{plan}");
    }
    let set =
        |change: &dyn Fn(&mut super::fake::phpipam::State)| change(&mut fake.state.lock().unwrap());
    set(&|state| state.may_write = false);
    let outcome = carry_out(cluster.plan());
    assert!(
        outcome.refused[0].to_string().contains("answers 401: invalid permissions"),
        "{outcome}"
    );
    set(&|state| state.fields.get_mut("subnets").unwrap().clear());
    let lacks = "refused: IPAM server `nb`: the server lacks a custom field `weft` of type varchar or text for subnets\n";
    assert_eq!(cluster.plan().to_string(), lacks);
    set(&|state| state.token = "another".to_owned());
    assert!(
        cluster
            .plan()
            .to_string()
            .contains("answers 401: Unauthorized; look whether its token is valid")
    );
}

#[test]
fn allocations_are_stable_and_survive_a_lost_answer() {
    let (fake, proxy, mut cluster) = scene(ONE);
    cluster.apply();
    let claim = |number: u8| Claim {
        vnet: "va".parse().unwrap(),
        mac: format!("02:00:00:00:01:{number:02x}").parse().unwrap(),
        guest: format!("g{number}").parse().unwrap(),
        hostname: None,
        fixed: Vec::new(),
        origin: Origin::Declared,
    };
    cluster.more = vec![claim(1), claim(2)];
    proxy.fail("POST", "/addresses/", &[Fault::LostAnswer]);
    let settled = cluster.settle();
    assert_eq!(held(&settled), ["10.0.0.2 web", "10.0.0.3 g1", "10.0.0.4 g2"]);
    assert_eq!(settled.refused, []);
    cluster.more.reverse();
    assert_eq!(cluster.settle().changes, []);
    // The gateway, and what others took meanwhile, are nobody's.
    let subnet = *fake.state.lock().unwrap().subnets.keys().next().unwrap();
    cluster.more.push(claim(3));
    let (mut decide, mut is_first) = (cluster.decide(), true);
    let settled = settle(
        &cluster.network,
        &Cluster::id(),
        &cluster.access(),
        &cluster.terms,
        &mut |id, leases, taken| {
            let changes = decide(id, leases, taken);
            if std::mem::take(&mut is_first) {
                fake.make("addresses", &json!({ "ip": "10.0.0.5", "subnetId": subnet }));
            }
            changes
        },
    );
    assert!(held(&settled).contains(&"10.0.0.6 g3".to_owned()), "{:?}", held(&settled));
}
