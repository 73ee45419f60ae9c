//! What the reference's own plugin did wrong against a real server (`services.md` §6), and
//! is right here.

use std::thread;

use super::proxy::{Fault, Proxy};
use super::*;

/// §6.9: names with capitals, times to live, PTRs of others.
#[test]
fn capitals_times_and_foreign_pointers() {
    let Some(server) = server(Backend::Sqlite) else { return };
    let mut cluster = Cluster::new("lab", &server.url(), "", VNETS);
    cluster.hold("Web", "10.0.0.5");
    cluster.settle();
    // The second address of a name with capitals does not cost the first, and each can be
    // given up.
    cluster.hold("Web", "10.0.0.6");
    cluster.settle();
    let web = |server: &PowerDns| {
        let lines = server.records("sdn.example.");
        lines.into_iter().find(|line| line.starts_with("web.")).unwrap()
    };
    assert_eq!(web(&server), "web.sdn.example. 300 A 10.0.0.5 10.0.0.6");
    cluster.give_up("10.0.0.5");
    cluster.settle();
    assert_eq!(web(&server), "web.sdn.example. 300 A 10.0.0.6");
    // Another time to live is applied to what is there.
    cluster.network.dns.values_mut().next().unwrap().ttl = Some(900);
    let (shown, _) = cluster.settle();
    assert!(shown.contains("TTL 300 becomes 900"), "{shown}");
    assert_eq!(web(&server), "web.sdn.example. 900 A 10.0.0.6");
    // A PTR made by hand is neither overwritten nor removed.
    server.set("0.0.10.in-addr.arpa.", "7.0.0.10.in-addr.arpa.", "PTR", 60, &["mail.example."]);
    cluster.hold("mail", "10.0.0.7");
    let (shown, _) = cluster.settle();
    assert!(
        shown.contains("refused: guest `mail` on vnet `va`: `7.0.0.10.in-addr.arpa.` is called `mail.example.` by somebody else"),
        "{shown}"
    );
    cluster.give_up("10.0.0.7");
    cluster.settle();
    let lines = server.records("0.0.10.in-addr.arpa.");
    assert!(lines.contains(&"7.0.0.10.in-addr.arpa. 60 PTR mail.example.".to_owned()), "{lines:?}");
}

/// §6.9: reverse zones of whatever length; one that is missing costs only its own names.
#[test]
fn reverse_zones_of_any_length() {
    let vnets = "  va:\n    zone: za\n    subnets:\n      172.20.0.0/16: {}\n      192.0.2.0/25: {}\n      192.0.2.128/26: {}\n      10.4.0.0/15: {}\n      100.64.0.0/10: {}\n      2001:db8:0:4::/62: {}\n      fd00::/9: {}\n";
    for backend in [Backend::Sqlite, Backend::Lmdb] {
        let Some(server) = PowerDns::start(backend) else { continue };
        server.create(&[
            "sdn.example.",
            "172.in-addr.arpa.",
            "20.172.in-addr.arpa.",
            "2.0.192.in-addr.arpa.",
            "0/25.2.0.192.in-addr.arpa.",
            "10.in-addr.arpa.",
            "0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
        ]);
        server.create_as("64.100.in-addr.arpa.", "Slave");
        let mut cluster = Cluster::new("lab", &server.url(), ", reversemaskv6: 12", vnets);
        for (guest, address) in [
            ("a", "172.20.3.4"),
            ("b", "192.0.2.5"),
            ("c", "192.0.2.130"),
            ("d", "10.5.0.9"),
            ("e", "2001:db8:0:5::1"),
            ("f", "100.64.0.7"),
            ("g", "fd12::1"),
        ] {
            cluster.hold(guest, address);
        }
        let (shown, _) = cluster.settle();
        for (zone, line) in [
            ("20.172.in-addr.arpa.", "4.3.20.172.in-addr.arpa. 300 PTR a.sdn.example."),
            ("0/25.2.0.192.in-addr.arpa.", "5.0/25.2.0.192.in-addr.arpa. 300 PTR b.sdn.example."),
            ("2.0.192.in-addr.arpa.", "130.2.0.192.in-addr.arpa. 300 PTR c.sdn.example."),
            ("10.in-addr.arpa.", "9.0.5.10.in-addr.arpa. 300 PTR d.sdn.example."),
        ] {
            assert_eq!(server.records(zone), [line], "{backend:?}");
        }
        assert_eq!(server.records("0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.").len(), 1);
        assert_eq!(server.records("sdn.example.").len(), 7);
        for refusal in [
            "refused: guest `f` on vnet `va`: the server has `64.100.in-addr.arpa.` from another server",
            "create `0.d.f.ip6.arpa.` there",
        ] {
            assert!(shown.contains(refusal), "{shown}");
        }
        assert!(server.answers("5.0/25.2.0.192.in-addr.arpa.", 12, b"\x01b\x03sdn"));
        cluster.leases.clear();
        cluster.settle();
        assert!(server.records("0/25.2.0.192.in-addr.arpa.").is_empty());
    }
}

/// §6.10: two writers on one name lose nothing.
#[test]
fn two_writers_on_one_name_lose_nothing() {
    for backend in [Backend::Sqlite, Backend::Lmdb] {
        let Some(server) = server(backend) else { continue };
        let url = server.url();
        thread::scope(|scope| {
            for (number, name) in ["lab", "other"].into_iter().enumerate() {
                let url = &url;
                scope.spawn(move || {
                    let vnets = "  va: {zone: za, subnets: {10.0.0.0/24: {}}}\n";
                    let mut cluster = Cluster::new(name, url, "", vnets);
                    cluster.terms.settle = Duration::from_secs(1);
                    for round in 0..3 {
                        for one in 0..10 {
                            let last = 1 + number * 100 + round * 10 + one;
                            cluster.hold("web", &format!("10.0.0.{last}"));
                        }
                        let said = carry_out(cluster.plan());
                        assert_eq!(said.refused, [], "{said}");
                    }
                });
            }
        });
        let lines = server.records("sdn.example.");
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].split(' ').count(), 3 + 60, "{backend:?}: {lines:?}");
    }
}

/// §6.10: nor when the other's write was long on its way, and runs over what was written
/// meanwhile.
#[test]
fn a_write_that_was_on_its_way_is_outlasted() {
    for backend in [Backend::Sqlite, Backend::Lmdb] {
        let Some(server) = server(backend) else { continue };
        let proxy = Proxy::start(server.port, None);
        let vnets = "  va: {zone: za, subnets: {10.0.0.0/24: {}}}\n";
        let mut first = Cluster::new("lab", &server.url(), "", vnets);
        let mut slow = Cluster::new("other", &proxy.url("http"), "", vnets);
        for (cluster, address) in [(&mut first, "10.0.0.5"), (&mut slow, "10.0.0.6")] {
            cluster.terms.settle = Duration::from_millis(1500);
            cluster.network.zones.values_mut().next().unwrap().naming.reverse = None;
            // So that both know by now how the server is marked.
            cluster.hold("earlier", address);
            carry_out(cluster.plan());
            let last = if address == "10.0.0.5" { "10.0.0.7" } else { "10.0.0.8" };
            cluster.hold("web", last);
        }
        let late = Duration::from_millis(700);
        proxy.fail("PATCH", "web.sdn.example.", &[Fault::LateRequest(late)]);
        let before = proxy.count("PATCH");
        thread::scope(|scope| {
            scope.spawn(|| carry_out(slow.plan()));
            while proxy.count("PATCH") == before {
                thread::sleep(Duration::from_millis(10));
            }
            carry_out(first.plan());
        });
        let lines = server.records("sdn.example.");
        assert_eq!(lines[1], "web.sdn.example. 300 A 10.0.0.7 10.0.0.8", "{backend:?}: {lines:?}");
    }
}
