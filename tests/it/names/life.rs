//! From the first name to the last, with and without comments.

use std::fs;
use std::time::Instant;

use serde_json::json;
use weft::value::DnsId;

use super::proxy::Proxy;
use super::*;

const BACKENDS: [Backend; 2] = [Backend::Sqlite, Backend::Lmdb];

#[test]
fn names_come_change_and_go() {
    for backend in BACKENDS {
        let Some(server) = server(backend) else { continue };
        server.set("sdn.example.", "www.sdn.example.", "A", 60, &["192.0.2.80"]);
        server.set("sdn.example.", "alias.sdn.example.", "CNAME", 60, &["www.sdn.example."]);
        server.set(
            "0.0.10.in-addr.arpa.",
            "9.0.0.10.in-addr.arpa.",
            "PTR",
            60,
            &["printer.example."],
        );
        let zones = ["sdn.example.", "0.0.10.in-addr.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa."];
        let before = zones.map(|zone| server.everything(zone));

        let mut cluster = Cluster::new("lab", &server.url(), "", VNETS);
        cluster.hold("Web", "10.0.0.5");
        cluster.hold("Web", "2001:db8::5");
        cluster.hold("db", "10.0.0.6");
        let (shown, outcome) = cluster.settle();
        assert!(
            shown.contains("pdns sdn.example.: 4 to add, 0 to remove, 0 to mend, 0 unchanged\n"),
            "{shown}"
        );
        assert!(
            shown.contains("  + web.sdn.example. A 10.0.0.5 (guest `Web` on vnet `va`)\n"),
            "{shown}"
        );
        assert_eq!((outcome.settled, outcome.refused.len()), (7, 0), "{outcome}");
        assert_eq!(
            server.records("sdn.example."),
            [
                "alias.sdn.example. 60 CNAME www.sdn.example.",
                "db.sdn.example. 300 A 10.0.0.6",
                "va-gw.sdn.example. 300 A 10.0.0.1",
                "web.sdn.example. 300 A 10.0.0.5",
                "web.sdn.example. 300 AAAA 2001:db8::5",
                "www.sdn.example. 60 A 192.0.2.80",
            ]
        );
        assert!(server.answers("web.sdn.example.", 1, &[10, 0, 0, 5]));
        assert!(server.answers("5.0.0.10.in-addr.arpa.", 12, b"\x03web"));
        assert!(!server.answers("8.0.0.10.in-addr.arpa.", 12, b"\x03web"));

        // The same again writes nothing.
        let serials = zones.map(|zone| server.serial(zone));
        let (shown, outcome) = cluster.settle();
        assert!(shown.contains("0 to add, 0 to remove, 0 to mend, 4 unchanged"), "{shown}");
        assert_eq!((outcome.writes, zones.map(|zone| server.serial(zone))), (0, serials));

        // Another address, another name, another time to live.
        cluster.give_up("10.0.0.6");
        cluster.hold("db", "10.0.0.7");
        let (shown, _) = cluster.settle();
        assert!(shown.contains("  - db.sdn.example. A 10.0.0.6\n"), "{shown}");
        server.set("sdn.example.", "db.sdn.example.", "A", 5, &["10.0.0.7"]);
        let (shown, _) = cluster.settle();
        assert!(shown.contains("  ~ db.sdn.example. A: TTL 5 becomes 300\n"), "{shown}");
        let lines = server.records("0.0.10.in-addr.arpa.");
        assert!(
            lines.contains(&"7.0.0.10.in-addr.arpa. 300 PTR db.sdn.example.".to_owned()),
            "{lines:?}"
        );
        assert!(!lines.iter().any(|line| line.starts_with("6.")), "{lines:?}");

        // When the cluster has no names any more, all is as it was, and forgotten.
        cluster.leases.clear();
        cluster.network.zones.clear();
        cluster.settle();
        assert_eq!(zones.map(|zone| server.everything(zone)), before, "{backend:?}");
        assert!(cluster.plan().zones().is_empty());
    }
}

#[test]
fn marks_are_comments_where_the_server_keeps_them_and_texts_where_not() {
    for backend in BACKENDS {
        let Some(server) = server(backend) else { continue };
        let mut cluster = Cluster::new("lab", &server.url(), "", VNETS);
        cluster.hold("web", "10.0.0.5");
        cluster.settle();
        let sets = server.everything("sdn.example.");
        let of =
            |name: &str| sets.as_array().unwrap().iter().find(|set| set["name"] == name).cloned();
        let marked = of("web.sdn.example.").unwrap();
        let text = of("lab._weft.web.sdn.example.");
        if backend == Backend::Sqlite {
            assert_eq!(marked["comments"][0]["account"], "weft");
            assert_eq!(marked["comments"][0]["content"], "cluster lab: 10.0.0.5");
            assert_eq!(text, None);
        } else {
            let content = r#""weft1" "lab" "A" "10.0.0.5""#;
            assert_eq!(text.unwrap()["records"], json!([{"content": content, "disabled": false}]));
        }
        // Whose mark is gone is nobody's: it stays, and is adopted only on demand.
        if backend == Backend::Sqlite {
            let body = json!({"rrsets": [{"name": "web.sdn.example.", "type": "A", "changetype": "REPLACE", "ttl": 77,
                "records": [{"content": "10.0.0.5", "disabled": false}], "comments": []}]});
            server.ask("PATCH", "/zones/sdn.example.", Some(&body));
        } else {
            server.set("sdn.example.", "lab._weft.web.sdn.example.", "TXT", 5, &[]);
            server.set("sdn.example.", "web.sdn.example.", "A", 77, &["10.0.0.5"]);
        }
        let (shown, outcome) = cluster.settle();
        assert!(shown.contains("1 there by somebody else") && outcome.writes == 0, "{shown}");
        cluster.terms.adopt = true;
        cluster.settle();
        cluster.terms.adopt = false;
        cluster.give_up("10.0.0.5");
        cluster.settle();
        assert_eq!(server.records("sdn.example."), ["va-gw.sdn.example. 300 A 10.0.0.1"]);
    }
}

#[test]
fn two_clusters_share_a_zone_and_a_name() {
    for backend in BACKENDS {
        let Some(server) = server(backend) else { continue };
        let mut clusters =
            ["lab", "other"].map(|name| Cluster::new(name, &server.url(), "", VNETS));
        clusters[0].hold("web", "10.0.0.5");
        clusters[1].hold("web", "10.0.0.6");
        for cluster in &mut clusters {
            cluster.terms.adopt = true;
            cluster.settle();
        }
        let both = "web.sdn.example. 300 A 10.0.0.5 10.0.0.6";
        assert!(server.records("sdn.example.").iter().any(|line| line == both), "{backend:?}");
        clusters[0].give_up("10.0.0.5");
        clusters[0].settle();
        clusters[1].settle();
        let one = "web.sdn.example. 300 A 10.0.0.6";
        assert!(server.records("sdn.example.").iter().any(|line| line == one), "{backend:?}");
    }
}

/// In a zone that holds much, a name is read by itself, with the marks of all clusters.
#[test]
fn one_name_of_a_large_zone_is_read_by_itself() {
    for backend in BACKENDS {
        let Some(server) = server(backend) else { continue };
        let foreign: Vec<_> = (0..150)
            .map(|number| {
                json!({"name": format!("f{number}.sdn.example."), "type": "A", "changetype": "REPLACE", "ttl": 60,
                    "records": [{"content": "192.0.2.9", "disabled": false}]})
            })
            .collect();
        server.ask("PATCH", "/zones/sdn.example.", Some(&json!({ "rrsets": foreign })));
        let proxy = Proxy::start(server.port, None);
        let mut clusters = ["lab", "other"].map(|name| {
            Cluster::new(
                name,
                &proxy.url("http"),
                "",
                "  va: {zone: za}\n  vb:\n    zone: za\n    subnets: {10.0.0.0/24: {}}\n",
            )
        });
        clusters[0].hold_on("vb", "web", "10.0.0.5");
        clusters[1].hold_on("vb", "web", "10.0.0.6");
        clusters[1].settle();
        clusters[0].settle();
        let alone = "GET /api/v1/servers/localhost/zones/sdn.example.?rrset_name=";
        let before = proxy.count(alone);
        assert!(before > 0, "{backend:?}");
        // A second of ours joins, beside another cluster's.
        clusters[0].hold_on("vb", "web", "10.0.0.7");
        let (_, outcome) = clusters[0].settle();
        assert_eq!(outcome.refused, [], "{backend:?}");
        assert!(proxy.count(alone) > before);
        let all = "web.sdn.example. 300 A 10.0.0.5 10.0.0.6 10.0.0.7";
        let records = server.records("sdn.example.");
        assert!(records.iter().any(|line| line == all), "{backend:?} {records:?}");
        assert_eq!(records.len(), 151);
    }
}

/// What becomes ours is what was shown, and nobody's when it does.
#[test]
fn nothing_else_is_adopted_than_what_was_planned() {
    let Some(server) = server(Backend::Sqlite) else { return };
    let mut cluster = Cluster::new("lab", &server.url(), "", VNETS);
    cluster.terms.adopt = true;
    for (guest, address) in [("web", "10.0.0.5"), ("db", "10.0.0.6"), ("new", "10.0.0.7")] {
        cluster.hold(guest, address);
    }
    for (name, address) in [("web", "10.0.0.5"), ("db", "10.0.0.6")] {
        server.set("sdn.example.", &format!("{name}.sdn.example."), "A", 60, &[address]);
    }
    let plan = cluster.plan();
    let shown = plan.to_string();
    assert!(shown.contains("~ web.sdn.example. A 10.0.0.5: taken over"), "{shown}");
    // Meanwhile another cluster takes one of them over, and a third record is made.
    let text = "\"weft1\" \"other\" \"A\" \"10.0.0.6\"";
    server.set("sdn.example.", "other._weft.db.sdn.example.", "TXT", 60, &[text]);
    server.set("sdn.example.", "new.sdn.example.", "A", 60, &["10.0.0.7"]);
    carry_out(plan);
    let records = server.records("sdn.example.");
    let has = |line: &str| records.iter().any(|one| one == line);
    assert!(has("web.sdn.example. 300 A 10.0.0.5"), "{records:?}");
    assert!(has("db.sdn.example. 60 A 10.0.0.6"), "{records:?}");
    assert!(has("new.sdn.example. 60 A 10.0.0.7"), "{records:?}");
}

#[test]
fn more_than_the_limit_is_removed_only_by_force() {
    let Some(server) = server(Backend::Sqlite) else { return };
    let mut cluster = Cluster::new("lab", &server.url(), "", VNETS);
    for number in 5..15 {
        cluster.hold(&format!("g{number}"), &format!("10.0.0.{number}"));
    }
    cluster.settle();
    cluster.leases.clear();
    cluster.hold("new", "10.0.0.99");
    cluster.terms.limits = Limits { max: None, max_percent: Some(50) };
    let (shown, _) = cluster.settle();
    assert!(
        shown.contains("refused: DNS server `pdns`: 20 of our 22 entries would be taken away, and at most 11 may be"),
        "{shown}"
    );
    // What only adds goes on.
    assert!(
        shown.contains("  + new.sdn.example. A 10.0.0.99") && !shown.contains("  - "),
        "{shown}"
    );
    assert_eq!(server.records("sdn.example.").len(), 12);
    cluster.terms.force = true;
    cluster.settle();
    assert_eq!(server.records("sdn.example.").len(), 2);
}

#[test]
fn what_changes_between_plan_and_write_is_not_run_over() {
    let Some(server) = server(Backend::Sqlite) else { return };
    let mut cluster = Cluster::new("lab", &server.url(), "", VNETS);
    cluster.hold("web", "10.0.0.5");
    cluster.hold("db", "10.0.0.6");
    cluster.hold("old", "10.0.0.7");
    cluster.settle();
    cluster.hold("web", "10.0.0.8");
    cluster.hold("db", "10.0.0.9");
    cluster.give_up("10.0.0.7");
    let plan = cluster.plan();
    // Meanwhile somebody adds a record, makes a name an alias, and makes a PTR.
    let add = json!({"rrsets": [{"name": "web.sdn.example.", "type": "A", "changetype": "REPLACE", "ttl": 300,
        "records": [{"content": "10.0.0.5", "disabled": false}, {"content": "192.0.2.1", "disabled": false}]}]});
    server.ask("PATCH", "/zones/sdn.example.", Some(&add));
    server.set("sdn.example.", "db.sdn.example.", "A", 0, &[]);
    server.set("sdn.example.", "db.sdn.example.", "CNAME", 9, &["elsewhere.example."]);
    server.set("0.0.10.in-addr.arpa.", "8.0.0.10.in-addr.arpa.", "PTR", 9, &["mine.example."]);
    let outcome = carry_out(plan);
    assert_eq!(
        server.records("sdn.example."),
        [
            "db.sdn.example. 9 CNAME elsewhere.example.",
            "va-gw.sdn.example. 300 A 10.0.0.1",
            "web.sdn.example. 300 A 10.0.0.5 10.0.0.8 192.0.2.1",
        ]
    );
    let said = outcome.to_string();
    assert!(said.contains("a CNAME at `db.sdn.example.`"), "{said}");
    assert!(said.contains("`8.0.0.10.in-addr.arpa.` is called `mine.example.`"), "{said}");
    let lines = server.records("0.0.10.in-addr.arpa.");
    assert!(lines.contains(&"8.0.0.10.in-addr.arpa. 9 PTR mine.example.".to_owned()), "{lines:?}");
    // A name at which more would go than was shown is left alone.
    cluster.give_up("10.0.0.5");
    let plan = cluster.plan();
    let mut second = Cluster::new("lab", &server.url(), "", VNETS);
    second.leases = cluster.leases.clone();
    second.hold("web", "10.0.0.77");
    second.settle();
    let said = carry_out(plan).to_string();
    assert!(said.contains("`web.sdn.example.` was changed since this was planned"), "{said}");
    let web = "web.sdn.example. 300 A 10.0.0.77 10.0.0.8 192.0.2.1";
    assert!(server.records("sdn.example.").iter().any(|line| line == web));
}

#[test]
fn a_server_that_is_missing_stops_nobody_else() {
    let Some(server) = server(Backend::Sqlite) else { return };
    let mut cluster = Cluster::new("lab", &server.url(), "", VNETS);
    cluster.hold("web", "10.0.0.5");
    let second: DnsId = "second".parse().unwrap();
    let mut dns = cluster.network.dns.values().next().unwrap().clone();
    dns.url = "http://127.0.0.1:9/api".parse().unwrap();
    cluster.network.dns.insert(second.clone(), dns);
    cluster.network.zones.values_mut().next().unwrap().naming.reverse = Some(second.clone());
    cluster.terms.bounds.attempts = 1;
    // No key for it, then no server.
    let (shown, _) = cluster.settle();
    assert!(shown.contains("refused: DNS server `second`: no key is known for it"), "{shown}");
    assert_eq!(server.records("sdn.example.").len(), 2);
    let access = ["pdns", "second"].map(|id| (id.parse().unwrap(), cluster.access.clone()));
    let plan = plan(&cluster.network, &cluster.leases, &access.into(), cluster.terms.clone());
    let said = plan.to_string();
    assert!(
        said.contains("refused: DNS server `second`: its zones: cannot be reached: 127.0.0.1:9"),
        "{said}"
    );
    assert!(plan.is_empty());
    // Who is asked no more is not forgotten while it holds something of ours.
    cluster.network.zones.clear();
    cluster.network.dns.clear();
    let plan = cluster.plan();
    assert!(
        plan.to_string().contains("refused: DNS server `pdns`: it is not declared any more, and names of ours are left in `sdn.example.`"),
        "{plan}"
    );
    assert_eq!(plan.zones(), cluster.terms.before);
}

/// How long a look at 10,000 names that are as wanted takes, and in how much memory.
#[test]
#[ignore = "a measurement: `cargo test --test it ten_thousand_names -- --ignored --nocapture`"]
fn ten_thousand_names_that_are_as_wanted() {
    let Some(server) = PowerDns::start(Backend::Sqlite) else { return };
    server.create(&["sdn.example.", "10.in-addr.arpa."]);
    let proxy = super::proxy::Proxy::start(server.port, None);
    let vnets = "  va: {zone: za, subnets: {10.0.0.0/16: {}}}\n";
    let mut cluster = Cluster::new("lab", &proxy.url("http"), "", vnets);
    // Not by weft, so that what it once used is not taken for what it uses now.
    for part in 0..50 {
        let mut sets = [Vec::new(), Vec::new()];
        for number in part * 100..part * 100 + 100 {
            let (third, fourth) = (number / 250, 1 + number % 250);
            let (name, address) = (format!("guest-{number}"), format!("10.0.{third}.{fourth}"));
            cluster.hold(&name, &address);
            let full = format!("{name}.sdn.example.");
            let pointer = format!("{fourth}.{third}.0.10.in-addr.arpa.");
            for (at, name, kind, content) in
                [(0, &full, "A", &address), (1, &pointer, "PTR", &full)]
            {
                sets[at].push(json!({"name": name, "type": kind, "changetype": "REPLACE", "ttl": 300,
                    "records": [{"content": content, "disabled": false}],
                    "comments": [{"account": "weft", "content": format!("cluster lab: {content}")}]}));
            }
        }
        for (zone, sets) in ["sdn.example.", "10.in-addr.arpa."].into_iter().zip(sets) {
            server.ask("PATCH", &format!("/zones/{zone}"), Some(&json!({"rrsets": sets})));
        }
    }
    let memory = |key: &str| -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let (before, began) = (memory("VmRSS"), Instant::now());
    let plan = cluster.plan();
    println!(
        "{} unchanged in {:?}: {} reads, {} writes; {} KiB at most, {before} KiB before",
        plan.counts().unchanged,
        began.elapsed(),
        proxy.count("GET"),
        proxy.count("PATCH"),
        memory("VmHWM")
    );
    assert!(plan.is_empty() && plan.counts().unchanged == 10_000, "{plan}");
    assert_eq!(proxy.count("PATCH"), 0);
}
