//! What a server has of zones, from the first object to the last.

use serde_json::json;

use super::*;

const TWO: &str = "zones: {za: {type: simple, ipam: nb, dns: pdns, dnszone: sdn.example}}\n\
    vnets:\n  va: {zone: za, subnets: {10.0.0.0/24: {gateway: 10.0.0.1, dhcp-range: [{start-address: 10.0.0.100, end-address: 10.0.0.110}]}, \"2001:db8::/64\": {}}}\n\
    guests: {Web: {nics: [{vnet: va, mac: \"02:00:00:00:00:01\"}]}}\n";

#[test]
fn a_zone_is_made_kept_changed_and_removed() {
    each(TWO, |site, proxy, mut cluster| {
        let plan = cluster.plan().to_string();
        assert!(
            plan.starts_with("nb: 7 to create, 0 to update, 0 to remove, 0 unchanged"),
            "{plan}"
        );
        let (_, outcome) = cluster.apply();
        assert_eq!((outcome.refused, outcome.settled), (vec![], 7), "{}", site.name);
        let vrf = site.vrf(&cluster.name, "za");
        let web = |address: &str| format!("{address} guest Web on vnet va web.sdn.example");
        let mut lines = vec![
            "10.0.0.0/24 vnet va".to_owned(),
            "10.0.0.1/24 gateway of vnet va va-gw.sdn.example".to_owned(),
            web("10.0.0.100/24"),
            "10.0.0.100/24-10.0.0.110/24 guests on vnet va".to_owned(),
            "2001:db8::/64 vnet va".to_owned(),
            web("2001:db8::1/64"),
        ];
        assert_eq!(site.lines(vrf), lines, "{}", site.name);

        // What is as wanted is not written, and all of it carries the tag and its mark.
        let writes = proxy.count("POST") + proxy.count("PATCH") + proxy.count("DELETE");
        cluster.apply();
        assert_eq!(writes, proxy.count("POST") + proxy.count("PATCH") + proxy.count("DELETE"));
        for object in site.all(&format!("/ipam/ip-addresses/?vrf_id={vrf}")) {
            assert_eq!(object["tags"][0]["slug"], "weft");
            let mark = object["custom_fields"]["weft"].as_str().unwrap();
            assert!(mark.starts_with(&format!("weft:{}/za/", cluster.name)), "{mark}");
        }

        // A person changes what is weft's, and beside it what is theirs.
        let found = site.all(&format!("/ipam/ip-addresses/?vrf_id={vrf}&address=10.0.0.100"));
        let target = format!("/ipam/ip-addresses/{}/", found[0]["id"]);
        let change = json!({ "dns_name": "other", "description": "x", "comments": "a note" });
        site.ask("PATCH", &target, Some(&change));
        let (shown, _) = cluster.apply();
        assert!(
            shown.contains("za ~ address 10.0.0.100 (guest Web on vnet va): DNS name, description"),
            "{shown}"
        );
        assert_eq!(site.lines(vrf), lines, "{}", site.name);

        // Another subnet: the guest moves, and its address stays for a grace.
        cluster.declare(&TWO.replace("10.0.0.", "10.0.7."));
        let (shown, outcome) = cluster.apply();
        assert!(shown.contains("za - prefix 10.0.0.0/24"), "{shown}");
        assert_eq!(outcome.refused, [], "{}", site.name);
        lines = vec![
            "10.0.0.100/24 guest Web on vnet va, given up web.sdn.example".to_owned(),
            "10.0.7.0/24 vnet va".to_owned(),
            "10.0.7.1/24 gateway of vnet va va-gw.sdn.example".to_owned(),
            web("10.0.7.100/24"),
            "10.0.7.100/24-10.0.7.110/24 guests on vnet va".to_owned(),
            "2001:db8::/64 vnet va".to_owned(),
            web("2001:db8::1/64"),
        ];
        assert_eq!(site.lines(vrf), lines, "{}", site.name);
        cluster.now = "2026-11-27T09:00:00Z".parse().unwrap();
        let (shown, _) = cluster.apply();
        assert!(shown.contains("nb: 0 to create, 0 to update, 1 to remove"), "{shown}");

        // The guest goes with its zone, and what it had after the grace.
        cluster.declare("zones: {}\nvnets: {}\n");
        let (shown, outcome) = cluster.apply();
        assert!(shown.contains("2 to update, 4 to remove"), "{shown}");
        assert_eq!(outcome.refused, [], "{}", site.name);
        assert_eq!(site.lines(vrf).len(), 2, "{}", site.name);
        cluster.now = "2026-11-27T12:00:00Z".parse().unwrap();
        let (_, outcome) = cluster.apply();
        assert_eq!(outcome.refused, [], "{}", site.name);
        assert_eq!(site.all(&format!("/ipam/vrfs/?name={}%2Fza", cluster.name)).len(), 0);
    });
}

const ONE: &str = "zones: {za: {type: simple, ipam: nb}}\n\
    vnets: {va: {zone: za, subnets: {10.0.0.0/24: {gateway: 10.0.0.1}}}}\n";

fn guest(guest: &str, mac: u8) -> Claim {
    Claim {
        vnet: "va".parse().unwrap(),
        mac: format!("02:00:00:00:00:{mac:02x}").parse().unwrap(),
        guest: guest.parse().unwrap(),
        hostname: None,
        fixed: Vec::new(),
        origin: Origin::Set,
    }
}

/// A subnet with addresses that are used is not removed, unless that is forced; and no more
/// is removed at once than the limits allow.
#[test]
fn what_is_used_stays_and_not_all_goes_at_once() {
    each(ONE, |site, _, mut cluster| {
        cluster.more.push(guest("web", 1));
        cluster.apply();
        cluster.more.clear();
        let vrf = site.vrf(&cluster.name, "za");
        cluster.declare("zones: {za: {type: simple, ipam: nb}}\nvnets: {}\n");
        let (shown, outcome) = cluster.apply();
        assert!(
            shown.contains(
                "refused: prefix 10.0.0.0/24 of zone `za`: guests hold 1 of its addresses"
            ),
            "{shown}"
        );
        assert_eq!(outcome.refused, []);
        let kept = ["10.0.0.0/24 vnet va", "10.0.0.2/24 guest web on vnet va web"];
        assert_eq!(site.lines(vrf), kept, "{}", site.name);

        cluster.terms.force = true;
        let shown = cluster.plan().to_string();
        assert!(shown.contains("za - address 10.0.0.2"), "{shown}");
        cluster.terms.force = false;
        cluster.declare(&ONE.replace("zone: za, subnets", "zone: za, alias: x, subnets"));
        cluster.apply();
        cluster.declare("zones: {za: {type: simple, ipam: nb}}\nvnets: {vb: {zone: za, subnets: {10.2.0.0/24: {}}}}\n");
        cluster.terms.limits.max = Some(0);
        let plan = cluster.plan();
        let shown = plan.to_string();
        assert!(
            shown.contains("refused: IPAM server `nb`: 1 of our 4 entries would be taken away, and at most 0 may be"),
            "{shown}"
        );
        assert!(shown.starts_with("nb: 1 to create, 0 to update, 0 to remove"), "{shown}");
        carry_out(plan);
        assert!(site.lines(vrf).contains(&"10.0.0.1/24 gateway of vnet va va-gw".to_owned()));
        cluster.terms.force = true;
        cluster.apply();
        assert_eq!(site.lines(vrf), ["10.2.0.0/24 vnet vb"], "{}", site.name);
    });
}

/// A token that may change only what has the tag does for everything, and cannot be used for
/// more.
#[test]
fn a_constrained_token_is_enough() {
    each(ONE, |site, _, mut cluster| {
        cluster.access.secret = Secret::new(site.constrained());
        cluster.more.push(guest("web", 1));
        let (_, outcome) = cluster.apply();
        assert_eq!((outcome.refused, outcome.settled), (vec![], 4), "{}", site.name);
        cluster.declare(&ONE.replace("10.0.0.", "10.5.0."));
        cluster.more.clear();
        cluster.apply();
        let vrf = site.vrf(&cluster.name, "za");
        // What is nobody's is out of its reach, even to adopt.
        let body = json!({ "prefix": "10.6.0.0/24", "vrf": vrf });
        site.make("/ipam/prefixes/", &body);
        cluster.declare(&ONE.replace("10.0.0.", "10.6.0."));
        cluster.terms.adopt = true;
        let plan = cluster.plan();
        assert!(plan.to_string().contains("za ~ prefix 10.6.0.0/24 (vnet va): adopted"));
        let outcome = carry_out(plan);
        let refused: Vec<String> = outcome.refused.iter().map(ToString::to_string).collect();
        assert!(
            refused[0].starts_with("prefix 10.6.0.0/24 of zone `za`: answers 404"),
            "{refused:?}"
        );
        cluster.access.secret = Secret::new(site.token.clone());
        cluster.apply();
    });
}

/// What weft needs on a server it does not make by itself, and says.
#[test]
fn what_the_server_lacks_is_said() {
    for version in [(4, 2), (4, 7)] {
        let site = site::fake("fake", version);
        let proxy = Proxy::start(site.port, None);
        let cluster = Cluster::new(&site, &proxy, ONE);
        let is = |says: &[&str]| {
            let access = cluster.access();
            let wrong = weft::reconcile::ipam::check(&cluster.network, &access, &cluster.terms);
            let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
            assert_eq!(wrong.len(), says.len(), "{wrong:?}");
            for (wrong, says) in wrong.iter().zip(says) {
                assert!(wrong.contains(says), "{wrong}");
            }
            // Without what it needs, weft plans nothing there.
            assert!(says.is_empty() || cluster.plan().is_empty());
        };
        is(&[]);
        let fields = site.all("/extras/custom-fields/");
        let field = format!("/extras/custom-fields/{}/", fields[0]["id"]);
        site.ask("PATCH", &field, Some(&json!({ "unique": false })));
        is(&["the server lacks a custom field `weft` of type text, unique, for ipam.vrf"]);
        site.ask("PATCH", &field, Some(&json!({ "name": "other" })));
        let second = format!("/extras/custom-fields/{}/", fields[1]["id"]);
        site.ask("DELETE", &second, None);
        site.ask("DELETE", &format!("/extras/tags/{}/", site.all("/extras/tags/")[0]["id"]), None);
        is(&["a custom field `weft`", "`weft_lease` of type JSON", "a tag with the slug `weft`"]);
        assert!(cluster.plan().is_empty());
        assert_eq!(proxy.count("POST"), 0);
    }
    let site = site::fake("fake", (4, 1));
    let proxy = Proxy::start(site.port, None);
    let cluster = Cluster::new(&site, &proxy, ONE);
    let plan = cluster.plan().to_string();
    assert_eq!(plan, "refused: IPAM server `nb`: it is NetBox 4.1, and weft needs 4.2 or later\n");
}
