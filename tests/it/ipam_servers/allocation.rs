//! Addresses of guests, from a server.

use std::collections::BTreeSet;
use std::thread;

use serde_json::json;

use super::*;
use crate::names::proxy::Fault;

const POOL: &str = "zones: {za: {type: simple, ipam: nb}}\n\
    vnets: {va: {zone: za, subnets: {10.0.0.0/24: {gateway: 10.0.0.1, dhcp-range: [{start-address: 10.0.0.100, end-address: 10.0.0.103}]}}}}\n";

fn claim(number: usize) -> Claim {
    Claim {
        vnet: "va".parse().unwrap(),
        mac: format!("02:00:00:00:{:02x}:{:02x}", number / 256, number % 256).parse().unwrap(),
        guest: format!("g{number}").parse().unwrap(),
        hostname: None,
        fixed: Vec::new(),
        origin: Origin::Declared,
    }
}

#[test]
fn a_guest_keeps_its_address() {
    each(POOL, |site, proxy, mut cluster| {
        // Before the zone is there, nobody gets anything.
        cluster.more = vec![claim(1)];
        let settled = cluster.settle();
        let refused: Vec<String> = settled.refused.iter().map(ToString::to_string).collect();
        assert_eq!(
            refused,
            ["zone `za`: the server has no VRF for it yet; `weft ipam apply` makes it"]
        );
        assert_eq!(held(&settled), [""; 0]);
        cluster.more.clear();
        cluster.apply();

        cluster.more = vec![claim(1), claim(2)];
        assert_eq!(held(&cluster.settle()), ["10.0.0.100 g1", "10.0.0.101 g2"], "{}", site.name);
        // In another order, with others, under another name.
        cluster.more = vec![claim(3), claim(2), claim(1)];
        cluster.more[1].guest = "renamed".parse().unwrap();
        let settled = cluster.settle();
        assert_eq!(held(&settled), ["10.0.0.100 g1", "10.0.0.101 renamed", "10.0.0.102 g3"]);
        let writes = proxy.count("POST") + proxy.count("PATCH");
        assert_eq!(cluster.settle().changes, []);
        assert_eq!(proxy.count("POST") + proxy.count("PATCH"), writes);

        // One goes, its address is kept for the grace, and comes back with it.
        cluster.more.remove(1);
        let settled = cluster.settle();
        assert_eq!(
            held(&settled),
            ["10.0.0.100 g1", "10.0.0.101 renamed given up", "10.0.0.102 g3"]
        );
        let vrf = site.vrf(&cluster.name, "za");
        let found = site.all(&format!("/ipam/ip-addresses/?vrf_id={vrf}&address=10.0.0.101"));
        assert_eq!(found[0]["status"]["value"], "deprecated", "{}", site.name);
        cluster.more.push(claim(2));
        assert!(held(&cluster.settle()).contains(&"10.0.0.101 g2".to_owned()));
        cluster.more.pop();
        cluster.settle();
        // After the grace it is another's.
        cluster.now = "2026-11-27T09:00:00Z".parse().unwrap();
        cluster.more.extend([claim(5), claim(6)]);
        let settled = cluster.settle();
        assert_eq!(
            held(&settled),
            ["10.0.0.100 g1", "10.0.0.101 g5", "10.0.0.102 g3", "10.0.0.103 g6"]
        );
        // The range is exhausted: nobody loses what they have.
        cluster.more.push(claim(7));
        assert_eq!(cluster.settle().changes, [], "{}", site.name);

        // A person gives a guest another address, there where the truth lives.
        let found = site.all(&format!("/ipam/ip-addresses/?vrf_id={vrf}&address=10.0.0.100"));
        let target = format!("/ipam/ip-addresses/{}/", found[0]["id"]);
        site.ask("PATCH", &target, Some(&json!({ "address": "10.0.0.200/24" })));
        let settled = cluster.settle();
        assert!(held(&settled).contains(&"10.0.0.200 g1".to_owned()), "{:?}", held(&settled));
        assert!(held(&settled).contains(&"10.0.0.100 g7".to_owned()), "{:?}", held(&settled));
        // What the field of leases said is lost: the mark says whose it is.
        let lost = json!({ "custom_fields": { "weft_lease": { "guest": 7 } } });
        site.ask("PATCH", &target, Some(&lost));
        let settled = cluster.settle();
        assert!(held(&settled).contains(&"10.0.0.200 g1".to_owned()), "{:?}", held(&settled));
    });
}

/// An answer that was lost gives nobody a second address.
#[test]
fn an_allocation_survives_a_lost_answer() {
    each(POOL, |site, proxy, mut cluster| {
        cluster.apply();
        cluster.more = vec![claim(1)];
        proxy.fail("POST", "/ip-addresses/", &[Fault::LostAnswer]);
        let settled = cluster.settle();
        assert_eq!((held(&settled), settled.refused), (vec!["10.0.0.100 g1".to_owned()], vec![]));
        assert_eq!(proxy.left(), 0);
        // Nor when whoever asked was killed and begins anew.
        cluster.terms.bounds.attempts = 1;
        cluster.more = vec![claim(1), claim(2)];
        proxy.fail("POST", "/ip-addresses/", &[Fault::LostAnswer]);
        proxy.fail("GET", "address=10.0.0.101", &[Fault::LostRequest]);
        cluster.settle();
        proxy.clear();
        let settled = cluster.settle();
        assert_eq!(held(&settled), ["10.0.0.100 g1", "10.0.0.101 g2"], "{}", site.name);
        // Somebody else takes the next one between the look and the write.
        let vrf = site.vrf(&cluster.name, "za");
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
                    site.make(
                        "/ipam/ip-addresses/",
                        &json!({ "address": "10.0.0.102/24", "vrf": vrf }),
                    );
                }
                changes
            },
        );
        assert_eq!(
            held(&settled),
            ["10.0.0.100 g1", "10.0.0.101 g2", "10.0.0.103 g3"],
            "{}",
            site.name
        );
        assert_eq!(settled.refused, [], "{}", site.name);
    });
}

/// Eight at once, fifty addresses each, on one range: all of them different.
#[test]
fn eight_allocators_at_once() {
    let pool = POOL.replace("10.0.0.0/24", "10.0.0.0/22").replace("10.0.0.103", "10.0.3.200");
    each(&pool, |site, proxy, cluster| {
        cluster.apply();
        let all: BTreeSet<_> = thread::scope(|scope| {
            let allocators = (0..8).map(|allocator| {
                let (pool, name) = (&pool, cluster.name.clone());
                scope.spawn(move || {
                    let mut own = Cluster::new(site, proxy, pool);
                    own.name = name.clone();
                    own.terms.cluster = name.parse().unwrap();
                    let mut mine = BTreeSet::new();
                    for part in 0..5 {
                        // Of the others it knows nothing, so it gives up nothing of theirs.
                        let first = allocator * 50 + part * 10;
                        own.more = (first..first + 10)
                            .map(|number| Claim { origin: Origin::Set, ..claim(number) })
                            .collect();
                        let settled = own.settle();
                        assert_eq!(settled.refused, []);
                        mine.extend(settled.changes.into_iter().filter_map(|change| {
                            change.after.map(|lease| (change.address, lease.guest))
                        }));
                    }
                    assert_eq!(mine.len(), 50);
                    mine
                })
            });
            let allocators: Vec<_> = allocators.collect();
            allocators.into_iter().flat_map(|one| one.join().unwrap()).collect()
        });
        let addresses: BTreeSet<_> = all.iter().map(|(address, _)| *address).collect();
        assert_eq!((all.len(), addresses.len()), (400, 400), "{}", site.name);
        // And so it is on the server.
        let vrf = site.vrf(&cluster.name, "za");
        let found = site.all(&format!("/ipam/ip-addresses/?vrf_id={vrf}"));
        let on_server: BTreeSet<_> = found.iter().map(|one| one["address"].to_string()).collect();
        assert_eq!((found.len(), on_server.len()), (401, 401), "{}", site.name);
    });
}
