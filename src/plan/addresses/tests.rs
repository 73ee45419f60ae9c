//! Addresses are settled once and stay.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::network::{
    Lease, Leases, Naming, Network, Nodes, Origin, Subnet, Traffic, Vnet, Zone, ZoneKind,
};
use crate::plan::Family;

const HOUR: Duration = Duration::from_secs(3600);

fn subnet(gateway: &str, ranges: &[&str]) -> Subnet {
    Subnet {
        gateway: gateway.parse().ok(),
        dhcp_ranges: ranges.iter().map(|range| range.parse().unwrap()).collect(),
        ..Subnet::default()
    }
}

fn network(vnets: &[(&str, &[(&str, Subnet)])]) -> Network {
    zones(&[("za", vnets)])
}

type Vnets<'a> = [(&'a str, &'a [(&'a str, Subnet)])];

fn zones(zones: &[(&str, &Vnets<'_>)]) -> Network {
    let zones = zones.iter().map(|(id, vnets)| (id.parse().unwrap(), zone(vnets)));
    Network { zones: zones.collect(), ..Network::default() }
}

fn zone(vnets: &Vnets<'_>) -> Zone {
    let vnets = vnets.iter().map(|(id, subnets)| {
        let subnets = subnets.iter().map(|(prefix, of)| (prefix.parse().unwrap(), of.clone()));
        let traffic = Traffic::Untagged(subnets.collect());
        (id.parse().unwrap(), Vnet { traffic, ..Vnet::default() })
    });
    Zone {
        nodes: Nodes::All,
        mtu: None,
        ipam: None,
        naming: Naming::default(),
        dhcp: None,
        bridge_disable_mac_learning: false,
        kind: ZoneKind::Simple,
        vnets: vnets.collect(),
    }
}

fn claim(guest: u8, fixed: &[&str]) -> Claim {
    Claim {
        vnet: "va".parse().unwrap(),
        mac: format!("02:00:00:00:00:{guest:02x}").parse().unwrap(),
        guest: format!("g{guest}").parse().unwrap(),
        hostname: None,
        fixed: fixed.iter().map(|address| address.parse().unwrap()).collect(),
        origin: Origin::Declared,
    }
}

fn terms(seconds: i64) -> Terms {
    Terms {
        now: Timestamp::from_second(seconds).unwrap(),
        grace: HOUR,
        complete: [Origin::Declared].into(),
    }
}

/// Writes what was settled, as whoever keeps the leases does.
fn written(leases: &Leases, allocation: &Allocation) -> Leases {
    let mut leases = leases.clone();
    for change in &allocation.changes {
        let key = (change.zone.clone(), change.address);
        assert_eq!(leases.get(&key), change.before.as_ref());
        match &change.after {
            Some(lease) => leases.insert(key, lease.clone()),
            None => leases.remove(&key),
        };
    }
    leases
}

fn addresses(leases: &Leases, guest: u8) -> Vec<String> {
    let mac = claim(guest, &[]).mac;
    let of = leases.iter().filter(|(_, lease)| lease.mac == mac && lease.released.is_none());
    of.map(|((_, address), _)| address.to_string()).collect()
}

/// One guest starts alone, and another one is declared.
#[test]
fn what_is_declared_for_a_guest_is_given_to_no_other() {
    let mut network = network(&[("va", &[("10.0.0.0/29", subnet("10.0.0.1", &[]))])]);
    let nic = crate::network::Nic {
        vnet: "va".parse().unwrap(),
        mac: claim(1, &[]).mac,
        addresses: vec!["10.0.0.2".parse().unwrap()],
        dhcp_options: Vec::new(),
    };
    let guest = crate::network::Guest { nics: vec![nic], hostname: None };
    network.guests.insert("g1".parse().unwrap(), guest);
    let allocate = |claim| allocate(&network, &Leases::new(), &[claim], &terms(0));
    let leases = written(&Leases::new(), &allocate(claim(2, &[])));
    assert_eq!(addresses(&leases, 2), ["10.0.0.3"]);
    let refused = allocate(claim(2, &["10.0.0.2"])).refused;
    let why = Refusal::Declared("10.0.0.2".parse().unwrap(), "g1".parse().unwrap());
    assert_eq!(refused.into_iter().map(|refused| refused.why).collect::<Vec<_>>(), [why]);
    let leases = written(&Leases::new(), &allocate(claim(1, &["10.0.0.2"])));
    assert_eq!(addresses(&leases, 1), ["10.0.0.2"]);
}

#[test]
fn ranges_are_used_in_order_and_routers_are_left_out() {
    let network = network(&[(
        "va",
        &[
            ("10.0.0.0/24", subnet("10.0.0.11", &["10.0.0.10-10.0.0.12", "10.0.0.255-10.0.0.255"])),
            ("10.0.1.0/30", subnet("10.0.1.1", &[])),
        ],
    )]);
    let claims: Vec<_> = (1..=4).map(|guest| claim(guest, &[])).collect();
    let allocation = allocate(&network, &Leases::new(), &claims, &terms(0));
    let leases = written(&Leases::new(), &allocation);
    let got: Vec<_> = (1..=4).map(|guest| addresses(&leases, guest)).collect();
    // The subnet after it has one address left for guests, and the broadcast address none.
    assert_eq!(got, [vec!["10.0.0.10"], vec!["10.0.0.12"], vec!["10.0.1.2"], vec![]]);
    let why = allocation.refused.iter().map(|refused| (refused.guest.as_str(), &refused.why));
    assert_eq!(why.collect::<Vec<_>>(), [("g4", &Refusal::Exhausted(Family::V4))]);
}

#[test]
fn known_guests_get_none_of_a_pool_for_the_unknown() {
    let mut of = subnet("10.0.0.1", &[]);
    of.dhcp_pools = ["10.0.0.8-10.0.0.14", "10.0.0.2-10.0.0.4"].map(|p| p.parse().unwrap()).into();
    let network = network(&[("va", &[("10.0.0.0/28", of)])]);
    let claims: Vec<_> = (1..=4).map(|guest| claim(guest, &[])).collect();
    let allocation = allocate(&network, &Leases::new(), &claims, &terms(0));
    let leases = written(&Leases::new(), &allocation);
    let got: Vec<_> = (1..=4).map(|guest| addresses(&leases, guest).join(" ")).collect();
    assert_eq!(got, ["10.0.0.5", "10.0.0.6", "10.0.0.7", ""]);
}

#[test]
fn two_families_or_neither() {
    let network = network(&[(
        "va",
        &[
            ("10.0.0.0/24", subnet("10.0.0.1", &["10.0.0.10-10.0.0.10"])),
            ("fd00::/64", subnet("fd00::1", &[])),
        ],
    )]);
    let claims = [claim(1, &[]), claim(2, &[]), claim(3, &["10.0.0.99"])];
    let allocation = allocate(&network, &Leases::new(), &claims, &terms(0));
    let leases = written(&Leases::new(), &allocation);
    assert_eq!(addresses(&leases, 1), ["10.0.0.10", "fd00::2"]);
    assert_eq!(addresses(&leases, 2), [""; 0]);
    assert_eq!(addresses(&leases, 3), ["10.0.0.99", "fd00::3"]);
    assert_eq!(allocation.refused.len(), 1);
}

#[test]
fn who_goes_keeps_the_address_for_the_grace() {
    let network = network(&[("va", &[("10.0.0.0/24", subnet("10.0.0.1", &[]))])]);
    let both = [claim(1, &[]), claim(2, &[])];
    let mut leases = Leases::new();
    let mut settle = |claims: &[Claim], seconds| {
        leases = written(&leases, &allocate(&network, &leases, claims, &terms(seconds)));
        leases.clone()
    };
    settle(&both, 0);
    // Gone, and another comes: it gets an address of its own.
    let now = settle(&[claim(2, &[]), claim(3, &[])], 10);
    assert_eq!(addresses(&now, 3), ["10.0.0.4"]);
    assert_eq!(now.len(), 3);
    // Back within the grace: a revert, or a guest that was rebuilt.
    let now = settle(&[claim(1, &[]), claim(2, &[])], 20);
    assert_eq!(addresses(&now, 1), ["10.0.0.2"]);
    // Given up at 20, gone an hour later, and free for others.
    let now = settle(&both, 3619);
    assert_eq!(now.len(), 3);
    let now = settle(&[claim(1, &[]), claim(2, &[]), claim(5, &[])], 3620);
    assert_eq!(addresses(&now, 5), ["10.0.0.4"]);
    assert_eq!(now.len(), 3);
}

#[test]
fn only_who_made_a_lease_gives_it_up() {
    let network = network(&[("va", &[("10.0.0.0/24", subnet("10.0.0.1", &[]))])]);
    let found = Claim { origin: Origin::Found, ..claim(1, &[]) };
    let first = allocate(&network, &Leases::new(), &[found], &terms(0));
    let leases = written(&Leases::new(), &first);
    assert_eq!(allocate(&network, &leases, &[], &terms(9)), Allocation::default());
    let complete = [Origin::Declared, Origin::Found].into();
    let all_known = Terms { complete, ..terms(9) };
    assert_eq!(allocate(&network, &leases, &[], &all_known).changes.len(), 1);
}

#[test]
fn a_fixed_address_is_nobody_elses_and_takes_nothing_away() {
    let network = network(&[("va", &[("10.0.0.0/24", subnet("10.0.0.1", &[]))])]);
    let first = allocate(&network, &Leases::new(), &[claim(1, &[])], &terms(0));
    let leases = written(&Leases::new(), &first);
    assert_eq!(addresses(&leases, 1), ["10.0.0.2"]);
    let claims = [
        claim(1, &[]),
        claim(2, &["10.0.0.2"]),
        claim(3, &["10.0.0.3"]),
        claim(4, &[]),
        claim(5, &["10.0.0.1"]),
        claim(6, &["10.0.9.1"]),
    ];
    let second = allocate(&network, &leases, &claims, &terms(1));
    let leases = written(&leases, &second);
    let got: Vec<_> = (1..=6).map(|guest| addresses(&leases, guest).join(" ")).collect();
    assert_eq!(got, ["10.0.0.2", "", "10.0.0.3", "10.0.0.4", "", ""]);
    let why: Vec<_> = second.refused.iter().map(|refused| refused.why.clone()).collect();
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    assert_eq!(
        why,
        [
            Refusal::Held(address("10.0.0.2"), "g1".parse().unwrap()),
            Refusal::Kept(address("10.0.0.1")),
            Refusal::Outside(address("10.0.9.1")),
        ]
    );
    // The first moves away by its own declaration; then the second may have it.
    let moved = [claim(1, &["10.0.0.50"]), claim(2, &["10.0.0.2"])];
    let third = written(&leases, &allocate(&network, &leases, &moved, &terms(2)));
    assert_eq!(addresses(&third, 1), ["10.0.0.50"]);
    assert_eq!(addresses(&third, 2), ["10.0.0.2"]);
}

#[test]
fn a_renumbered_subnet_moves_guests_and_a_removed_one_strands_them() {
    let old = network(&[("va", &[("10.0.0.0/24", subnet("10.0.0.1", &[]))])]);
    let leases = allocate(&old, &Leases::new(), &[claim(1, &[])], &terms(0));
    let leases = written(&Leases::new(), &leases);
    let new = network(&[("va", &[("10.9.0.0/24", subnet("10.9.0.1", &[]))])]);
    let moved = allocate(&new, &leases, &[claim(1, &[])], &terms(1));
    assert_eq!(addresses(&written(&leases, &moved), 1), ["10.9.0.2"]);
    assert_eq!(moved.stranded, []);
    let none = network(&[("va", &[])]);
    let stranded = allocate(&none, &leases, &[claim(1, &[])], &terms(1));
    assert_eq!(stranded.changes, []);
    assert_eq!(stranded.stranded.len(), 1);
    assert_eq!(stranded.refused[0].why, Refusal::NoSubnet);
}

#[test]
fn a_vnet_that_moves_to_another_zone_takes_nobodys_address() {
    let subnets = || [("10.0.0.0/24", subnet("10.0.0.1", &[]))];
    let before = zones(&[("za", &[("va", &subnets())]), ("zb", &[("vb", &subnets())])]);
    let other = Claim { vnet: "vb".parse().unwrap(), ..claim(2, &[]) };
    let claims = [claim(1, &[]), other];
    let leases = written(&Leases::new(), &allocate(&before, &Leases::new(), &claims, &terms(0)));
    assert_eq!(
        (addresses(&leases, 1), addresses(&leases, 2)),
        (vec!["10.0.0.2".to_owned()], vec!["10.0.0.2".to_owned()])
    );
    // Its own address is the other guest's in the zone that it comes to.
    let after = zones(&[("zb", &[("va", &subnets()), ("vb", &subnets())])]);
    let leases = written(&leases, &allocate(&after, &leases, &claims, &terms(1)));
    assert_eq!(addresses(&leases, 2), ["10.0.0.2"]);
    assert_eq!(addresses(&leases, 1), ["10.0.0.3"]);
}

#[test]
fn fixed_addresses_are_exchanged_and_passed_on_at_once() {
    let network = network(&[("va", &[("10.0.0.0/16", subnet("10.0.0.1", &[]))])]);
    let first = [claim(1, &["10.0.0.5"]), claim(2, &["10.0.0.6"]), claim(3, &["10.0.0.7"])];
    let leases = allocate(&network, &Leases::new(), &first, &terms(0));
    let leases = written(&Leases::new(), &leases);
    // Two exchange theirs, and a third gets none of them.
    let second = [claim(1, &["10.0.0.6"]), claim(2, &["10.0.0.5"]), claim(3, &["10.0.0.7"])];
    let leases = written(&leases, &allocate(&network, &leases, &second, &terms(1)));
    let got: Vec<_> = (1..=3).map(|guest| addresses(&leases, guest).join(" ")).collect();
    assert_eq!(got, ["10.0.0.6", "10.0.0.5", "10.0.0.7"]);
    // Three in a ring of which one cannot move: nobody does.
    let third =
        [claim(1, &["10.0.0.5"]), claim(2, &["10.0.0.7"]), claim(3, &["10.0.0.6", "10.0.0.1"])];
    let stuck = allocate(&network, &leases, &third, &terms(2));
    assert_eq!((stuck.changes.len(), stuck.refused.len()), (0, 4), "{stuck:?}");
    // A long row in which each waits for the next.
    let of = |guest: u16, at: u16| {
        let [high, low] = guest.to_be_bytes();
        let [third, fourth] = (at + 256).to_be_bytes();
        Claim {
            mac: format!("02:00:00:00:{high:02x}:{low:02x}").parse().unwrap(),
            guest: format!("g{guest:05}").parse().unwrap(),
            ..claim(0, &[&format!("10.0.{third}.{fourth}")])
        }
    };
    let row: Vec<_> = (0..2000).map(|guest| of(guest, guest)).collect();
    let leases = written(&Leases::new(), &allocate(&network, &Leases::new(), &row, &terms(0)));
    let moved: Vec<_> = (0..2000).map(|guest| of(guest, guest + 1)).collect();
    let allocation = allocate(&network, &leases, &moved, &terms(1));
    assert_eq!((allocation.refused.len(), allocation.changes.len()), (0, 2001));
}

#[test]
fn a_clock_that_is_ahead_keeps_no_address_for_ever() {
    let network = network(&[("va", &[("10.0.0.0/24", subnet("10.0.0.1", &[]))])]);
    let leases = allocate(&network, &Leases::new(), &[claim(1, &[])], &terms(0));
    let leases = written(&Leases::new(), &leases);
    let given_up = |at: i64| {
        let mut leases = leases.clone();
        for lease in leases.values_mut() {
            lease.released = Timestamp::from_second(at).ok();
        }
        leases
    };
    let settle =
        |leases: &Leases, at| written(leases, &allocate(&network, leases, &[], &terms(at)));
    // A little ahead is nothing to write about.
    assert_eq!(settle(&given_up(300), 0), given_up(300));
    // Far ahead has its grace from now, and no more.
    let far = settle(&given_up(1_000_000_000), 100);
    assert_eq!(far, given_up(100));
    assert_eq!(settle(&far, 3600), far);
    assert_eq!(settle(&far, 3701), Leases::new());
}

fn a_claim() -> impl Strategy<Value = Claim> {
    let fixed = prop_oneof![3 => Just(None), 1 => (0_u8..16).prop_map(Some)];
    (0_u8..12, fixed, prop::bool::ANY, prop::bool::ANY).prop_map(|(guest, fixed, second, other)| {
        let fixed = fixed.map(|last| format!("10.0.{}.{last}", u8::from(second && other)));
        let vnet = if second { "vb" } else { "va" };
        let fixed: Vec<&str> = fixed.iter().map(String::as_str).collect();
        Claim { vnet: vnet.parse().unwrap(), ..claim(guest, &fixed) }
    })
}

/// Two vnets of one zone, or each of its own, whose prefixes are the same.
fn some_network() -> impl Strategy<Value = Network> {
    let subnet = |last: u8| {
        let range = prop::option::of((0_u8..16, 0_u8..16));
        (prop::option::of(0_u8..16), range).prop_map(move |(gateway, range)| {
            let gateway = gateway.map(|host| format!("10.0.{last}.{host}"));
            let range = range.map(|(one, two)| {
                format!("10.0.{last}.{}-10.0.{last}.{}", one.min(two), one.max(two))
            });
            let ranges: Vec<&str> = range.iter().map(String::as_str).collect();
            super::tests::subnet(gateway.as_deref().unwrap_or_default(), &ranges)
        })
    };
    let six = prop::option::of(Just(super::tests::subnet("fd00::1", &["fd00::-fd00::6"])));
    (subnet(0), subnet(1), subnet(0), six, prop::bool::ANY).prop_map(
        |(first, second, other, six, apart)| {
            let mut va = vec![("10.0.0.0/28", first)];
            va.extend(six.map(|six| ("fd00::/64", six)));
            if apart {
                zones(&[("za", &[("va", &va)]), ("zb", &[("vb", &[("10.0.0.0/28", other)])])])
            } else {
                network(&[("va", &va), ("vb", &[("10.0.1.0/28", second)])])
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Through any history: nobody shares an address, nobody has what no guest may have,
    /// nobody moves without cause, and settling again changes nothing.
    #[test]
    fn addresses_are_settled_once(
        steps in prop::collection::vec(
            (some_network(), prop::collection::vec(a_claim(), 0..14), 0_i64..5000), 1..6),
    ) {
        let mut leases = Leases::new();
        let mut now = 0;
        for (network, claims, passed) in steps {
            now += passed;
            // One claim for each interface, as declarations have it.
            let claims: BTreeMap<_, _> = claims
                .into_iter()
                .map(|claim| ((claim.vnet.clone(), claim.mac.clone()), claim))
                .collect();
            let claims: Vec<Claim> = claims.into_values().collect();
            let allocation = allocate(&network, &leases, &claims, &terms(now));
            let after = written(&leases, &allocation);
            let pools = Pools::of(&network);
            let mut reversed = claims.clone();
            reversed.reverse();
            for claim in &claims {
                let zone = pools.zone(&claim.vnet).unwrap().clone();
                let is_refused = allocation.refused.iter()
                    .any(|refused| refused.mac == claim.mac && refused.vnet == claim.vnet);
                let live = |leases: &Leases, is_here: bool| leases.iter()
                    .filter(|((of, _), lease)| {
                        lease.mac == claim.mac && lease.vnet == claim.vnet
                            && lease.released.is_none() && (*of == zone) == is_here
                    })
                    .count();
                prop_assert!(is_refused || live(&after, false) == 0, "an address in another zone");
                let of = |leases: &Leases| -> BTreeSet<IpAddr> {
                    let live = leases.iter().filter(|((of, _), lease): &(&(crate::value::ZoneId, IpAddr), &Lease)| {
                        lease.mac == claim.mac && lease.vnet == claim.vnet
                            && lease.released.is_none() && *of == zone
                    });
                    live.map(|((_, address), _)| *address).collect()
                };
                let (had, has) = (of(&leases), of(&after));
                for address in &has {
                    prop_assert!(is_refused || !pools.keep(&zone, *address), "{address}");
                    prop_assert!(is_refused || pools.contain(&claim.vnet, *address), "{address}");
                }
                for address in &had {
                    let may_stay = pools.contain(&claim.vnet, *address)
                        && !pools.keep(&zone, *address)
                        && claim.fixed.iter().all(|fixed| {
                            fixed == address || Family::of(*fixed) != Family::of(*address)
                        });
                    prop_assert!(!may_stay || has.contains(address), "{address} was taken away");
                }
                if !is_refused {
                    for family in pools.families(&claim.vnet) {
                        let of = has.iter().filter(|address| Family::of(**address) == family);
                        prop_assert!(of.count() >= 1, "{claim:?} lacks {family:?}");
                    }
                    for fixed in &claim.fixed {
                        prop_assert!(has.contains(fixed), "{fixed}");
                    }
                }
            }
            // Again, and in another order.
            let again = allocate(&network, &after, &reversed, &terms(now));
            prop_assert_eq!(again.changes, vec![]);
            leases = after;
        }
    }
}
