//! Allocators on one range of a server that are killed at any moment and begun again, by
//! processes of the program itself. How many addresses each takes, `WEFT_ALLOCATIONS` says:
//! `WEFT_ALLOCATIONS=50 cargo test --test it killed_on_a_server`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use super::program::new_node;
use super::site::sites;
use crate::leases::killed::allocate;
use crate::names::proxy::Proxy;
use crate::node::Node;
use crate::remotes::server::Authority;
use crate::trust::repository::Repository;

const ALLOCATORS: usize = 8;

fn mac(guest: usize) -> String {
    format!("02:00:00:00:{:02x}:{:02x}", guest / 256, guest % 256)
}

#[test]
fn allocators_that_are_killed_on_a_server_lose_nothing_and_give_nothing_twice() {
    let each = std::env::var("WEFT_ALLOCATIONS").map_or(3, |each| each.parse().unwrap());
    // The newest that there is.
    let site = sites().pop().unwrap();
    let identity = Authority::new("an authority").identity();
    let fingerprint = crate::names::faults::shown(&identity);
    let proxy = Proxy::start(site.port, Some(identity));
    let repository = Repository::with_policy("roles:\n  root: {principals: [alice@example.org]}\n");
    let zone = format!("z{}", std::process::id() % 1_000_000);
    let text = format!(
        "nodes: {{n1: {{}}}}\n\
         ipams: {{nb: {{type: netbox, url: \"https://127.0.0.1:{}/api\", token: nb-token, fingerprint: \"{fingerprint}\"}}}}\n\
         zones: {{{zone}: {{type: simple, ipam: nb}}}}\n\
         vnets: {{va: {{zone: {zone}, subnets: {{10.0.0.0/22: {{gateway: 10.0.0.1, dhcp-range: [{{start-address: 10.0.1.0, end-address: 10.0.3.200}}]}}}}}}}}\n",
        proxy.port
    );
    repository
        .commit("alice", &[("sdn/zones.yaml", b"{}\n"), ("sdn/network.yaml", text.as_bytes())]);
    let name = |number: usize| format!("n{number}");
    let access = (proxy.port, site.token.as_str());
    let nodes: Vec<Node<'_>> =
        (1..=ALLOCATORS).map(|number| new_node(&repository, &name(number), access)).collect();
    for node in &nodes {
        node.run(&["sync"]);
    }
    let made = nodes[0].run(&["ipam", "apply"]);
    assert_eq!(made.code, 0, "{}", made.all());

    let (begun, deaths) = (Instant::now(), AtomicUsize::new(0));
    let said: BTreeMap<usize, String> = thread::scope(|scope| {
        let deaths = &deaths;
        let roots = nodes.iter().map(|node| node.root.clone()).enumerate();
        let threads: Vec<_> = roots
            .map(|(number, root)| {
                scope.spawn(move || {
                    let guests = number * each..(number + 1) * each;
                    let given = guests.map(|guest| {
                        let (address, killed) = allocate(&root, &format!("g{guest}"), &mac(guest));
                        deaths.fetch_add(killed, Ordering::Relaxed);
                        address.map(|address| (guest, address))
                    });
                    given.collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).flatten().collect()
    });
    let (all, deaths) = (ALLOCATORS * each, deaths.into_inner());
    println!("{}: {all} addresses, {deaths} killed: {:?}", site.name, begun.elapsed());

    // What is on the server, by its own word.
    let vrf = site.vrf("lab", &zone);
    let found = site.all(&format!("/ipam/ip-addresses/?vrf_id={vrf}"));
    let of = |object: &serde_json::Value| {
        let mac = object["custom_fields"]["weft_lease"]["mac"].as_str()?.to_ascii_lowercase();
        let (address, _) = object["address"].as_str()?.split_once('/')?;
        Some((mac, address.to_owned()))
    };
    let held: Vec<(String, String)> = found.iter().filter_map(of).collect();
    let addresses: BTreeSet<&str> = held.iter().map(|(_, address)| address.as_str()).collect();
    let by_mac: BTreeMap<&str, &str> =
        held.iter().map(|(mac, address)| (mac.as_str(), address.as_str())).collect();
    assert_eq!((held.len(), addresses.len(), by_mac.len()), (all, all, all), "{}", site.name);
    // And what was said holds.
    for (guest, address) in &said {
        assert_eq!(by_mac[mac(*guest).as_str()], address, "g{guest}");
    }
    assert!(deaths > 0 && !said.is_empty(), "{deaths} killed, {} said", said.len());
}
