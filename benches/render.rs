//! How long it takes to read, validate and render EVPN networks of growing size, one
//! subnet in each vnet: `cargo bench --bench render`.
//!
//! What counts is the ratio of 8,000 vnets to 4,000 in one run, and the shares of the
//! stages; `benches/process.sh` measures the whole program.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use weft::declare::{self, Tree};
use weft::facts::{Facts, Frr, InterfaceAddress, Route};
use weft::network::Network;
use weft::render::{Profile, render};
use weft::validate;

const SIZES: [u64; 3] = [1_000, 4_000, 8_000];

/// A repository with one EVPN zone of this many vnets, in files of 1,000.
fn repository(vnets: u64) -> Tree {
    let head = "nodes: {node1: {address: 192.168.0.1}, node2: {address: 192.168.0.2}}\n\
        controllers: {ctl: {type: evpn, asn: 65000}}\n\
        zones: {big: {type: evpn, controller: ctl, vrf-vxlan: 1, mac: \"BC:24:11:00:00:01\"}}\n";
    let mut files = vec![
        ("weft.yaml".to_owned(), "weft: 1\ncluster: bench\n".to_owned()),
        ("sdn/head.yaml".to_owned(), head.to_owned()),
    ];
    for first in (0..vnets).step_by(1_000) {
        let mut text = "vnets:\n".to_owned();
        for n in first..(first + 1_000).min(vnets) {
            let (high, low) = (n / 256, n % 256);
            writeln!(
                text,
                "  v{n:05}:\n    zone: big\n    tag: {}\n    subnets:\n      10.{high}.{low}.0/24: {{gateway: 10.{high}.{low}.1}}",
                n + 10
            )
            .expect("writing to a string does not fail");
        }
        files.push((format!("sdn/vnets-{first}.yaml"), text));
    }
    let file = |(path, text): (String, String)| {
        (path.parse().expect("a path"), Arc::<str>::from(text.as_str()))
    };
    Tree::new(None, files.into_iter().map(file))
}

fn facts() -> Facts {
    let node = "node1".parse().expect("a node");
    let interface: weft::value::IfName = "vmbr0".parse().expect("an interface");
    let source = "192.168.0.1".parse().expect("an address");
    let destination = "0.0.0.0/0".parse().expect("a prefix");
    Facts {
        addresses: vec![InterfaceAddress { interface: interface.clone(), address: source }],
        routes: vec![Route { destination, interface, gateway: None, source, metric: 0 }],
        frr: Some(Frr::default()),
        ..Facts::unknown(node)
    }
}

fn network(tree: &Tree) -> Network {
    let (network, findings) = validate::check(tree, None, &[]);
    network.unwrap_or_else(|| panic!("{findings:#?}"))
}

fn stages(criterion: &mut Criterion) {
    let facts = facts();
    for (stage, work) in [("read", 0), ("validate", 1), ("render", 2)] {
        let mut group = criterion.benchmark_group(stage);
        group.sample_size(10);
        for vnets in SIZES {
            let tree = repository(vnets);
            let (declared, _) = declare::read(&tree, None);
            let network = network(&tree);
            group.throughput(Throughput::Elements(vnets));
            group.bench_function(BenchmarkId::from_parameter(vnets), |bencher| match work {
                0 => bencher.iter(|| black_box(declare::read(&tree, None))),
                1 => bencher.iter(|| black_box(validate::validate(&declared, &[]))),
                _ => {
                    bencher.iter(|| black_box(render(&network, &facts.node, &facts, Profile::Pve)));
                }
            });
        }
        group.finish();
    }
}

criterion_group!(benches, stages);
criterion_main!(benches);
