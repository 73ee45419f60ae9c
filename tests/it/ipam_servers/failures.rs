//! What others were seen to do to what is somebody else's (`services.md` §6), and what weft
//! does in the same place.

use serde_json::{Value, json};

use super::*;

const ONE: &str = "zones: {za: {type: simple, ipam: nb}}\n\
    vnets: {va: {zone: za, subnets: {10.0.0.0/24: {gateway: 10.0.0.1}}}}\n";
const EMPTY: &str = "zones: {za: {type: simple, ipam: nb}}\nvnets: {}\n";

fn claim(guest: &str, mac: u8, fixed: &[&str]) -> Claim {
    Claim {
        vnet: "va".parse().unwrap(),
        mac: format!("02:00:00:00:00:{mac:02x}").parse().unwrap(),
        guest: guest.parse().unwrap(),
        hostname: None,
        fixed: fixed.iter().map(|address| address.parse().unwrap()).collect(),
        origin: Origin::Declared,
    }
}

/// The number of our object that a question finds in a VRF.
fn ours(site: &Site, kind: &str, vrf: u64, question: &str) -> u64 {
    let found = site.all(&format!("/ipam/{kind}/?vrf_id={vrf}&tag=weft&{question}"));
    assert_eq!(found.len(), 1, "{question}");
    found[0]["id"].as_u64().unwrap()
}

fn refusals(outcome: &Outcome) -> Vec<String> {
    outcome.refused.iter().map(ToString::to_string).collect()
}

/// §6.1, §6.5: a prefix is made and removed below the company's own, which stays.
#[test]
fn a_parent_prefix_survives_its_subnet() {
    each(EMPTY, |site, _, mut cluster| {
        cluster.apply();
        let vrf = site.vrf(&cluster.name, "za");
        for (prefix, vrf) in [("10.0.0.0/16", json!(vrf)), ("10.0.0.0/8", json!(vrf))] {
            site.make(
                "/ipam/prefixes/",
                &json!({ "prefix": prefix, "vrf": vrf, "description": "10.0.0.0/24" }),
            );
        }
        let before = site.foreign(vrf);
        cluster.declare(ONE);
        cluster.apply();
        assert!(site.lines(vrf).contains(&"10.0.0.0/24 vnet va".to_owned()));
        cluster.declare(EMPTY);
        let (_, outcome) = cluster.apply();
        assert_eq!(outcome.refused, []);
        assert_eq!(site.lines(vrf), ["10.0.0.0/16 10.0.0.0/24", "10.0.0.0/8 10.0.0.0/24"]);
        assert_eq!(site.foreign(vrf), before, "{}", site.name);
        // Nor does the zone's own VRF go while they are in it.
        cluster.declare("zones: {}\nvnets: {}\n");
        let (shown, _) = cluster.apply();
        assert!(
            shown.contains("VRF of zone `za`: prefix 10.0.0.0/8 and 1 more lie within and stay"),
            "{shown}"
        );
    });
}

/// §6.2, §6.3: an address that is gone is neither looked for under another's, nor made of it.
#[test]
fn an_address_that_is_absent_is_nobody_elses() {
    each(ONE, |site, _, mut cluster| {
        cluster.more = vec![claim("web", 1, &["10.0.0.5"]), claim("db", 2, &["10.0.0.6"])];
        cluster.apply();
        let vrf = site.vrf(&cluster.name, "za");
        for address in ["10.0.0.50/24", "10.0.0.60/24"] {
            let body = json!({ "address": address, "vrf": vrf, "dns_name": "not-ours", "description": "10.0.0.5 10.0.0.6" });
            site.make("/ipam/ip-addresses/", &body);
        }
        let foreign = site.foreign(vrf);
        // Both are to change, and are gone when it comes to it.
        cluster.now = "2026-11-28T06:00:00Z".parse().unwrap();
        cluster.more = vec![claim("database", 2, &["10.0.0.6"])];
        cluster.apply();
        cluster.now = "2026-11-28T12:00:00Z".parse().unwrap();
        cluster.more = vec![claim("db", 2, &["10.0.0.6"])];
        let plan = cluster.plan();
        let shown = plan.to_string();
        assert!(
            shown.contains("- address 10.0.0.5") && shown.contains("~ address 10.0.0.6"),
            "{shown}"
        );
        for address in ["10.0.0.5", "10.0.0.6"] {
            let id = ours(site, "ip-addresses", vrf, &format!("address={address}"));
            site.ask("DELETE", &format!("/ipam/ip-addresses/{id}/"), None);
        }
        let outcome = carry_out(plan);
        let moved =
            "address 10.0.0.6 of zone `za`: it was changed since this was planned; plan again";
        assert_eq!(refusals(&outcome), [moved], "{}", site.name);
        assert_eq!(site.foreign(vrf), foreign, "{}", site.name);
        cluster.apply();
        assert_eq!(site.foreign(vrf), foreign, "{}", site.name);
        assert!(site.lines(vrf).contains(&"10.0.0.6/24 guest db on vnet va db".to_owned()));
    });
}

/// §6.4: the next free address is the subnet's, not its parent's; and nothing that others
/// have, in whatever form.
#[test]
fn the_next_address_is_the_subnets() {
    each(ONE, |site, _, mut cluster| {
        cluster.apply();
        let vrf = site.vrf(&cluster.name, "za");
        for (kind, body) in [
            ("prefixes", json!({ "prefix": "10.0.0.0/16", "vrf": vrf })),
            ("ip-addresses", json!({ "address": "10.0.0.2/16", "vrf": vrf })),
            ("ip-addresses", json!({ "address": "10.0.0.3/32", "vrf": vrf })),
            (
                "ip-ranges",
                json!({ "start_address": "10.0.0.4/24", "end_address": "10.0.0.9/24", "vrf": vrf }),
            ),
            ("prefixes", json!({ "prefix": "10.0.0.8/29", "vrf": vrf })),
            ("ip-addresses", json!({ "address": "10.0.0.17/24", "vrf": vrf })),
        ] {
            site.make(&format!("/ipam/{kind}/"), &body);
        }
        let foreign = site.foreign(vrf);
        cluster.more = (1..=3).map(|mac| claim(&format!("g{mac}"), mac, &[])).collect();
        let settled = cluster.settle();
        assert_eq!(settled.refused, [], "{}", site.name);
        assert_eq!(
            held(&settled),
            ["10.0.0.16 g1", "10.0.0.18 g2", "10.0.0.19 g3"],
            "{}",
            site.name
        );
        assert!(site.lines(vrf).contains(&"10.0.0.16/24 guest g1 on vnet va g1".to_owned()));
        // A fixed address that somebody else has is refused, and left.
        cluster.more.push(claim("g4", 4, &["10.0.0.2"]));
        let settled = cluster.settle();
        let refused: Vec<String> = settled.refused.iter().map(ToString::to_string).collect();
        assert!(
            refused[0].starts_with("address 10.0.0.2 of zone `za`: somebody else made it"),
            "{refused:?}"
        );
        assert_eq!(held(&settled).len(), 3, "{}", site.name);
        assert_eq!(site.foreign(vrf), foreign, "{}", site.name);
    });
}

/// §6.6, §6.7: what is half done is completed, what is done is not done again.
#[test]
fn half_done_states_heal() {
    each(ONE, |site, proxy, mut cluster| {
        cluster.apply();
        let vrf = site.vrf(&cluster.name, "za");
        let gateway = ours(site, "ip-addresses", vrf, "address=10.0.0.1");
        site.ask("DELETE", &format!("/ipam/ip-addresses/{gateway}/"), None);
        let posts = proxy.count("POST");
        let (shown, _) = cluster.apply();
        assert!(
            shown.starts_with("nb: 1 to create, 0 to update, 0 to remove, 2 unchanged"),
            "{shown}"
        );
        assert_eq!(proxy.count("POST"), posts + 1);
        let gateway = ours(site, "ip-addresses", vrf, "address=10.0.0.1");
        site.ask("DELETE", &format!("/ipam/ip-addresses/{gateway}/"), None);
        cluster.declare(EMPTY);
        let (_, outcome) = cluster.apply();
        assert_eq!(outcome.refused, [], "{}", site.name);
        assert_eq!(site.lines(vrf), [""; 0], "{}", site.name);
    });
}

/// What is there already is somebody's: it is adopted when a person says so, and otherwise
/// refused by its name.
#[test]
fn what_is_there_is_adopted_or_left() {
    each(ONE, |site, _, mut cluster| {
        let body = json!({ "name": format!("{}/za", cluster.name), "comments": "ours since 1999" });
        let vrf = site.make("/ipam/vrfs/", &body);
        let tag = format!("t{}", cluster.name);
        site.make("/extras/tags/", &json!({ "name": tag, "slug": tag }));
        let body = json!({ "prefix": "10.0.0.0/24", "vrf": vrf, "description": "office", "tags": [{ "slug": tag }] });
        let prefix = site.make("/ipam/prefixes/", &body);
        let plan = cluster.plan();
        assert!(plan.is_empty(), "{plan}");
        let shown = plan.to_string();
        assert!(shown.contains("refused: VRF of zone `za`: somebody else made it"), "{shown}");
        cluster.terms.adopt = true;
        let (shown, outcome) = cluster.apply();
        assert!(shown.contains("za ~ prefix 10.0.0.0/24 (vnet va): adopted"), "{shown}");
        assert_eq!(outcome.refused, [], "{}", site.name);
        assert_eq!(site.vrf(&cluster.name, "za"), vrf);
        let object = site.ask("GET", &format!("/ipam/prefixes/{prefix}/"), None);
        let slugs: Vec<&str> = object["tags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tag| tag["slug"].as_str().unwrap())
            .collect();
        assert_eq!(slugs.len(), 2, "{slugs:?}");
        cluster.terms.adopt = false;
        cluster.apply();

        // What carries another cluster's mark is not adopted.
        let mut other = Cluster::new(site, &Proxy::start(site.port, None), ONE);
        site.make(
            "/ipam/vrfs/",
            &json!({
                "name": format!("{}/za", other.name), "tags": [{ "slug": "weft" }],
                "custom_fields": { "weft": format!("weft:{}x/za/vrf", other.name) },
            }),
        );
        other.terms.adopt = true;
        let shown = other.plan().to_string();
        assert!(shown.contains("which is not this cluster's, or not in order"), "{shown}");
        assert!(other.plan().is_empty());
    });
}

/// A prefix that others have something in is not removed, nor what they put there after the
/// plan.
#[test]
fn a_prefix_with_something_of_others_stays() {
    each(ONE, |site, _, mut cluster| {
        cluster.apply();
        let vrf = site.vrf(&cluster.name, "za");
        cluster.declare(EMPTY);
        let plan = cluster.plan();
        assert!(plan.to_string().contains("za - prefix 10.0.0.0/24"));
        let body = json!({ "address": "10.0.0.77/24", "vrf": vrf });
        let late = site.make("/ipam/ip-addresses/", &body);
        let stays = "prefix 10.0.0.0/24 of zone `za`: address 10.0.0.77 lies within and stays, so it is not removed";
        assert_eq!(refusals(&carry_out(plan)), [stays], "{}", site.name);
        let (shown, _) = cluster.apply();
        assert!(shown.contains(stays), "{shown}");
        site.ask("DELETE", &format!("/ipam/ip-addresses/{late}/"), None);
        site.make("/ipam/prefixes/", &json!({ "prefix": "10.0.0.64/26", "vrf": vrf }));
        let (shown, _) = cluster.apply();
        assert!(shown.contains("prefix 10.0.0.64/26 lies within and stays"), "{shown}");
    });
}

/// What people changed meanwhile is left, whatever the plan said: an object moved, made
/// somebody else's, or another one.
#[test]
fn what_was_changed_meanwhile_is_left() {
    each(ONE, |site, _, mut cluster| {
        cluster.more.push(claim("web", 1, &["10.0.0.5"]));
        cluster.apply();
        let vrf = site.vrf(&cluster.name, "za");
        let target = |kind: &str, question: &str| {
            format!("/ipam/{kind}/{}/", ours(site, kind, vrf, question))
        };
        let (gateway, prefix) =
            (target("ip-addresses", "address=10.0.0.1"), target("prefixes", "prefix=10.0.0.0/24"));
        cluster.declare(EMPTY);
        cluster.more.clear();
        let plan = cluster.plan();
        site.ask("PATCH", &gateway, Some(&json!({ "tags": [] })));
        site.ask("PATCH", &prefix, Some(&json!({ "comments": "wait" })));
        let refused = refusals(&carry_out(plan));
        assert_eq!(refused.len(), 2, "{refused:?}");
        assert!(
            refused[0].contains("10.0.0.1 of zone `za`: it was changed since this was planned"),
            "{refused:?}"
        );
        // Without its tag it is not ours any more.
        assert!(refused[1].contains("address 10.0.0.1 lies within and stays"), "{refused:?}");
        site.ask("PATCH", &gateway, Some(&json!({ "tags": [{ "slug": "weft" }] })));
        let plan = cluster.plan();
        site.ask("PATCH", &prefix, Some(&json!({ "comments": "wait again" })));
        let refused = refusals(&carry_out(plan));
        assert_eq!(
            refused,
            ["prefix 10.0.0.0/24 of zone `za`: it was changed since this was planned; plan again"]
        );
        cluster.declare(ONE);
        cluster.apply();
        let gateway = target("ip-addresses", "address=10.0.0.1");
        cluster.declare(EMPTY);
        site.ask("PATCH", &gateway, Some(&json!({ "tags": [] })));
        let shown = cluster.plan().to_string();
        assert!(shown.contains("address 10.0.0.1 lies within and stays"), "{shown}");
        site.ask("PATCH", &gateway, Some(&json!({ "tags": [{ "slug": "weft" }] })));

        // A prefix that was made another one: whose it is cannot be known.
        site.ask("PATCH", &prefix, Some(&json!({ "prefix": "10.0.0.0/16" })));
        cluster.declare(ONE);
        let (shown, _) = cluster.apply();
        assert!(
            shown.contains("prefix 10.0.0.0/24 of zone `za`: what has the mark")
                && shown.contains("lies elsewhere by now"),
            "{shown}"
        );
        let object = site.ask("GET", &prefix, None);
        assert_eq!(object["prefix"], "10.0.0.0/16", "{}", site.name);
        site.ask("PATCH", &prefix, Some(&json!({ "prefix": "10.0.0.0/24", "vrf": Value::Null })));
        let (shown, _) = cluster.apply();
        assert!(shown.contains("lies elsewhere by now"), "{shown}");
        site.ask("DELETE", &prefix, None);
        let (_, outcome) = cluster.apply();
        assert_eq!(outcome.refused, [], "{}", site.name);
    });
}

/// Of two that make one prefix at the same moment both succeed on a server that looks first
/// and then writes: that is seen, and said until a person removes one.
#[test]
fn a_prefix_that_is_there_twice_is_said() {
    for version in [(4, 2), (4, 7)] {
        let site = site::fake("fake", version);
        let mut cluster = Cluster::new(&site, &Proxy::start(site.port, None), EMPTY);
        cluster.apply();
        cluster.declare(ONE);
        let plan = cluster.plan();
        let vrf = site.vrf(&cluster.name, "za");
        let other = site.make("/ipam/prefixes/", &json!({ "prefix": "10.0.0.0/24", "vrf": vrf }));
        site.fake.as_ref().unwrap().state.lock().unwrap().late_checks = 1;
        let refused = refusals(&carry_out(plan));
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(refused[0].starts_with("prefix 10.0.0.0/24 of zone `za`: somebody else made it"));
        let (shown, _) = cluster.apply();
        assert!(shown.contains("prefix 10.0.0.0/24 of zone `za`: there are 2 of it"), "{shown}");
        site.ask("DELETE", &format!("/ipam/prefixes/{other}/"), None);
        assert_eq!(cluster.plan().refused(), []);
    }
}
