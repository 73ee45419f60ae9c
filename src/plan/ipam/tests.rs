use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::network::{Ipam, Naming, Zone, ZoneKind};
use crate::network::{IpamServer, Lease, Leases, Network, Nodes, Origin, Subnet, Traffic, Vnet};
use crate::value::{AddressRange, ClusterName, IpamId, ZoneId};

const REACHES: [Reach; 2] = [
    Reach { spaces: true, ranges: true, cascades: false },
    Reach { spaces: false, ranges: false, cascades: true },
];

#[test]
fn marks_come_back_as_they_were_written_and_nothing_else_does() {
    for text in [
        "weft:lab/za/vrf",
        "weft:lab/za/prefix/10.0.0.0/24",
        "weft:lab/za/prefix/2001:db8::/64",
        "weft:lab/za/range/10.0.0.10-10.0.0.20",
        "weft:lab/za/gateway/va/10.0.0.1",
        "weft:lab/za/guest/va/bc:24:11:00:00:01/ipv4",
        "weft:lab/za/guest/va/bc:24:11:00:00:01/ipv6",
        "weft:lab/za/guest/va/bc:24:11:00:00:01/10.0.0.7",
    ] {
        let mark: Mark = text.parse().unwrap();
        assert_eq!(mark.to_string(), text);
    }
    for text in [
        "",
        "weft",
        "weft:lab",
        "weft:lab/za",
        "weft:lab/za/vrf/",
        "weft:lab/za/vrf/x",
        "Weft:lab/za/vrf",
        " weft:lab/za/vrf",
        "weft:lab/za/vrf\n",
        "weft:lab//vrf",
        "weft:lab/za/prefix/10.0.0.0",
        "weft:lab/za/prefix/010.0.0.0/24",
        "weft:lab/za/range/10.0.0.20-10.0.0.10",
        "weft:lab/za/range/10.0.0.1-2001:db8::1",
        "weft:lab/za/gateway/va/10.0.0.01",
        "weft:lab/za/guest/va/BC:24:11:00:00:01/ipv4",
        "weft:lab/za/guest/va/01:24:11:00:00:01/ipv4",
        "weft:lab/za/guest/va/bc:24:11:00:00:01",
        "weft:lab/za/guest/va/bc:24:11:00:00:01/ipv5",
    ] {
        assert_eq!(text.parse::<Mark>(), Err(mark::NoMark), "{text:?}");
    }
}

fn zone_id() -> ZoneId {
    "za".parse().unwrap()
}

fn cluster() -> ClusterName {
    "lab".parse().unwrap()
}

fn ipam() -> IpamId {
    "nb".parse().unwrap()
}

/// One vnet with some of three subnets, each perhaps with a gateway and a range.
fn network(subnets: u8, gateways: u8, ranges: u8) -> Network {
    let mut of = BTreeMap::new();
    for number in (0..3_u8).filter(|number| subnets >> number & 1 == 1) {
        let range = AddressRange::new([10, 0, number, 100].into(), [10, 0, number, 110].into());
        let subnet = Subnet {
            gateway: (gateways >> number & 1 == 1).then_some([10, 0, number, 1].into()),
            dhcp_ranges: (ranges >> number & 1 == 1)
                .then_some(range.unwrap())
                .into_iter()
                .collect(),
            ..Subnet::default()
        };
        of.insert(format!("10.0.{number}.0/24").parse().unwrap(), subnet);
    }
    let vnet = Vnet { traffic: Traffic::Untagged(of), ..Vnet::default() };
    let zone = Zone {
        nodes: Nodes::All,
        mtu: None,
        ipam: Some(ipam()),
        naming: Naming::default(),
        dhcp: None,
        bridge_disable_mac_learning: false,
        kind: ZoneKind::Simple,
        vnets: BTreeMap::from([("va".parse().unwrap(), vnet)]),
    };
    let server = IpamServer {
        url: "https://ipam.example.org/api".parse().unwrap(),
        token: "token".parse().unwrap(),
        fingerprint: None,
    };
    Network {
        zones: BTreeMap::from([(zone_id(), zone)]),
        ipams: BTreeMap::from([(ipam(), Ipam::Netbox(server))]),
        ..Network::default()
    }
}

fn held(number: u8, host: u8, guest: u8) -> ((ZoneId, std::net::IpAddr), Lease) {
    let lease = Lease {
        vnet: "va".parse().unwrap(),
        mac: format!("02:00:00:00:00:{guest:02x}").parse().unwrap(),
        guest: format!("g{guest}").parse().unwrap(),
        hostname: None,
        origin: Origin::Declared,
        released: None,
    };
    ((zone_id(), [10, 0, number, host].into()), lease)
}

/// Something of somebody else.
fn foreign(id: u64, key: Key, mark: bool) -> FoundObject {
    let owner = if mark { Owner::Marked("weft:other/za/vrf".to_owned()) } else { Owner::Nobody };
    FoundObject {
        id,
        zone: Some(zone_id()),
        key,
        owner,
        version: String::new(),
        content: None,
        label: "theirs".to_owned(),
        tags: Vec::new(),
    }
}

/// What is done about the zone.
fn judge(network: &Network, leases: &Leases, found: &Found, reach: Reach) -> Difference {
    let (cluster, id) = (cluster(), zone_id());
    let zone = Scene::declared(network, &ipam(), &id);
    let scene = Scene { cluster: &cluster, id: &id, zone, leases, found, reach };
    let rule = Rule { cluster: &cluster, adopt: false, reach };
    difference(&id, &scene.wanted(false), found, rule)
}

/// What a server has after the steps.
fn after(mut found: Found, steps: &[Step]) -> Found {
    for step in steps {
        match step {
            Step::Create { zone, key, content } => found.objects.push(FoundObject {
                id: found.objects.iter().map(|one| one.id).max().unwrap_or(0) + 1,
                zone: Some(zone.clone()),
                key: *key,
                owner: Owner::Ours,
                version: String::new(),
                content: Some(content.clone()),
                label: String::new(),
                tags: Vec::new(),
            }),
            Step::Update { found: before, content } => {
                let object = found.objects.iter_mut().find(|one| one.id == before.id).unwrap();
                (object.content, object.owner) = (Some(content.clone()), Owner::Ours);
            }
            Step::Delete { found: before } => found.objects.retain(|one| one.id != before.id),
        }
        let marks: Vec<_> = found.objects.iter().filter_map(|one| one.content.as_ref()).collect();
        let number = marks.len();
        let marks: std::collections::BTreeSet<_> = marks.iter().map(|one| &one.mark).collect();
        assert_eq!(marks.len(), number, "a mark is there twice after {step}");
    }
    found
}

proptest! {
    /// From whatever state to whatever other: what is somebody else's stays as it was, no mark
    /// is ever there twice, and there is nothing left to do.
    #[test]
    fn what_is_ours_becomes_as_wanted_and_all_else_stays(
        declared in prop::collection::vec((0..8_u8, 0..8_u8, 0..8_u8), 1..4),
        leases in prop::collection::vec(
            prop::collection::vec((0..3_u8, 2..5_u8, 0..3_u8), 0..5), 4),
        others in prop::collection::vec((0..3_u8, 0..6_u8, any::<bool>()), 0..4),
        reach in 0..2_usize,
    ) {
        let reach = REACHES[reach];
        let mut found = Found::default();
        for (id, (number, what, mark)) in others.into_iter().enumerate() {
            let address = |host: u8| std::net::IpAddr::from([10, 0, number, host]);
            let key = match what {
                0 => Key::Prefix(format!("10.0.{number}.0/24").parse().unwrap()),
                1 => Key::Prefix("10.0.0.0/16".parse().unwrap()),
                2 => Key::Prefix(format!("10.0.{number}.64/26").parse().unwrap()),
                3 => Key::Range(address(100), address(110)),
                host => Key::Address(address(host)),
            };
            found.objects.push(foreign(1_000 + id as u64, key, mark));
        }
        let theirs = found.objects.clone();
        for ((subnets, gateways, ranges), leases) in declared.into_iter().zip(leases) {
            let network = network(subnets, gateways, ranges);
            let leases: Leases =
                leases.into_iter().map(|(number, host, guest)| held(number, host, guest)).collect();
            let Difference { steps, counts, .. } = judge(&network, &leases, &found, reach);
            prop_assert_eq!(counts, counts.with(&steps));
            found = after(found, &steps);
            let kept: Vec<_> =
                found.objects.iter().filter(|one| !one.is_ours()).cloned().collect();
            prop_assert_eq!(&kept, &theirs);
            let again = judge(&network, &leases, &found, reach);
            prop_assert_eq!(again.steps, vec![]);
        }
    }
}
