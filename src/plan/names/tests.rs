//! Names are as wanted, and what is not ours stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use super::*;
use crate::network::{
    Dns, Lease, Leases, Naming, Network, Nodes, Origin, Subnet, Traffic, Vnet, Zone, ZoneKind,
};
use crate::value::{ClusterName, DnsId};

const ZONE: &str = "sdn.example.";
const TTL: u32 = 300;

fn name(text: &str) -> Fqdn {
    Fqdn::read(text).unwrap()
}

fn cluster(text: &str) -> ClusterName {
    text.parse().unwrap()
}

fn record(content: &str) -> Record {
    Record { content: content.to_owned(), disabled: false }
}

fn comment(account: &str, content: &str) -> Comment {
    Comment { content: content.to_owned(), account: account.to_owned(), modified_at: Some(7) }
}

fn set(ttl: u32, contents: &[&str], comments: &[Comment]) -> Rrset {
    let records = contents.iter().map(|content| record(content)).collect();
    Rrset { ttl, records, comments: comments.to_vec() }
}

fn found(sets: &[(&str, RecordKind, Rrset)]) -> Found {
    let mut found = Found::default();
    for (at, kind, set) in sets {
        found.names.entry(name(at)).or_default().insert(*kind, set.clone());
    }
    found
}

fn guest() -> BTreeSet<Holder> {
    [Holder::Guest("web".parse().unwrap(), "va".parse().unwrap())].into()
}

fn wanted(contents: &[(&str, RecordKind, &str)]) -> WantedZone {
    let mut zone = WantedZone::new();
    for (at, kind, content) in contents {
        let kinds = zone.entry(name(at)).or_default();
        kinds.entry(*kind).or_default().insert((*content).to_owned(), guest());
    }
    zone
}

/// What a server holds after it was written to, as PowerDNS does it: a set is replaced, and
/// its comments where some are sent.
fn written(mut found: Found, changes: &[NameChange]) -> Found {
    for write in changes.iter().flat_map(|change| &change.writes) {
        let sets = found.names.entry(write.name.clone()).or_default();
        let before = sets.remove(&write.kind);
        if !write.records.is_empty() {
            let kept = before.map(|set| set.comments).unwrap_or_default();
            let comments = write.comments.clone().unwrap_or(kept);
            let set = Rrset { ttl: write.ttl, records: write.records.clone(), comments };
            sets.insert(write.kind, set);
        }
        found.names.retain(|_, sets| !sets.is_empty());
    }
    found
}

/// Judges, writes, and sees that there is nothing left to do.
fn settle(wanted: &WantedZone, found: Found, way: Way) -> (Difference, Found) {
    let (lab, nobody) = (cluster("lab"), BTreeSet::new());
    let rule = Rule { cluster: &lab, ttl: TTL, adopt: false, way, stranded: &nobody, only: None };
    let first = difference(&name(ZONE), wanted, &found, &rule);
    let after = written(found, &first.changes);
    let second = difference(&name(ZONE), wanted, &after, &rule);
    assert_eq!(second.changes, [], "a second run has nothing to do");
    assert_eq!(second.refused, first.refused);
    (first, after)
}

fn contents(found: &Found, at: &str, kind: RecordKind) -> Vec<String> {
    let set = found.rrset(&name(at), kind);
    let mut all: Vec<String> =
        set.into_iter().flat_map(|set| &set.records).map(|one| one.content.clone()).collect();
    all.sort();
    all
}

#[test]
fn several_addresses_of_a_name_are_one_set() {
    let host = "web.sdn.example.";
    let two = wanted(&[(host, RecordKind::A, "10.0.0.5"), (host, RecordKind::A, "10.0.0.6")]);
    for way in [Way::Comments, Way::Text] {
        let (first, after) = settle(&two, Found::default(), way);
        assert_eq!(first.counts.added, 2);
        assert_eq!(contents(&after, host, RecordKind::A), ["10.0.0.5", "10.0.0.6"]);
        // One of them goes.
        let one = wanted(&[(host, RecordKind::A, "10.0.0.6")]);
        let (second, after) = settle(&one, after, way);
        assert_eq!((second.counts.removed, second.counts.unchanged), (1, 1));
        assert_eq!(contents(&after, host, RecordKind::A), ["10.0.0.6"]);
        // And the other, with all that said that it is ours.
        let (_, after) = settle(&WantedZone::new(), after, way);
        assert_eq!(after, Found::default());
    }
}

#[test]
fn records_of_others_in_a_set_stay_with_their_time_and_remarks() {
    let host = "web.sdn.example.";
    let remark = comment("alice", "the old web server");
    let of_alice = found(&[(host, RecordKind::A, set(60, &["192.0.2.1"], &[remark.clone()]))]);
    let ours = wanted(&[(host, RecordKind::A, "10.0.0.5")]);
    let (_, after) = settle(&ours, of_alice.clone(), Way::Comments);
    assert_eq!(contents(&after, host, RecordKind::A), ["10.0.0.5", "192.0.2.1"]);
    let both = after.rrset(&name(host), RecordKind::A).unwrap();
    assert_eq!((both.ttl, &both.comments[0]), (60, &remark));
    assert_eq!(both.comments[1].content, "cluster lab: 10.0.0.5");
    assert_eq!(settle(&WantedZone::new(), after, Way::Comments).1, of_alice);
    // Without comments it is the same, but for the remark that nobody can make.
    let of_alice = found(&[(host, RecordKind::A, set(60, &["192.0.2.1"], &[]))]);
    let (_, after) = settle(&ours, of_alice.clone(), Way::Text);
    assert_eq!(contents(&after, host, RecordKind::A), ["10.0.0.5", "192.0.2.1"]);
    let mark = contents(&after, "lab._weft.web.sdn.example.", RecordKind::Txt);
    assert_eq!(mark, ["\"weft1\" \"lab\" \"A\" \"10.0.0.5\""]);
    assert_eq!(settle(&WantedZone::new(), after, Way::Text).1, of_alice);
}

#[test]
fn what_is_already_there_is_its_makers() {
    let host = "web.sdn.example.";
    let there = found(&[(host, RecordKind::A, set(60, &["10.0.0.5"], &[]))]);
    let ours = wanted(&[(host, RecordKind::A, "10.0.0.5")]);
    let (first, after) = settle(&ours, there.clone(), Way::Comments);
    assert_eq!((first.counts.of_others, first.changes.len()), (1, 0));
    assert_eq!(settle(&WantedZone::new(), after, Way::Comments).1, there);
    // Unless it is to be adopted; another cluster's never is.
    let lab = cluster("lab");
    let nobody = BTreeSet::new();
    let rule = Rule {
        cluster: &lab,
        ttl: TTL,
        adopt: true,
        way: Way::Comments,
        stranded: &nobody,
        only: None,
    };
    let adopted = difference(&name(ZONE), &ours, &there, &rule);
    let after = written(there, &adopted.changes);
    let set_after = after.rrset(&name(host), RecordKind::A).unwrap();
    assert_eq!((set_after.ttl, &*set_after.comments[0].content), (TTL, "cluster lab: 10.0.0.5"));
    let other = comment(ACCOUNT, "cluster other: 10.0.0.5");
    let of_other = found(&[(host, RecordKind::A, set(60, &["10.0.0.5"], &[other]))]);
    assert_eq!(difference(&name(ZONE), &ours, &of_other, &rule).changes, []);
    let text = set(60, &["\"weft1\" \"other\" \"A\" \"10.0.0.5\""], &[]);
    let of_other = found(&[
        (host, RecordKind::A, set(60, &["10.0.0.5"], &[])),
        ("other._weft.web.sdn.example.", RecordKind::Txt, text),
    ]);
    assert_eq!(difference(&name(ZONE), &ours, &of_other, &rule).changes, []);
}

#[test]
fn a_pointer_of_somebody_else_is_neither_overwritten_nor_removed() {
    let at = "5.0.0.10.sdn.example.";
    let by_hand = found(&[(at, RecordKind::Ptr, set(60, &["Mail.example."], &[]))]);
    let ours = wanted(&[(at, RecordKind::Ptr, "web.sdn.example.")]);
    let (first, after) = settle(&ours, by_hand.clone(), Way::Comments);
    assert_eq!(after, by_hand);
    let said = first.refused[0].to_string();
    assert!(
        said.starts_with(
            "guest `web` on vnet `va`: `5.0.0.10.sdn.example.` is called `mail.example.`"
        ),
        "{said}"
    );
    assert_eq!(settle(&WantedZone::new(), after, Way::Comments).1, by_hand);
    // Two names of ours on one address are no conflict.
    let two =
        wanted(&[(at, RecordKind::Ptr, "a.sdn.example."), (at, RecordKind::Ptr, "b.sdn.example.")]);
    let (_, after) = settle(&two, Found::default(), Way::Text);
    assert_eq!(contents(&after, at, RecordKind::Ptr), ["a.sdn.example.", "b.sdn.example."]);
}

#[test]
fn drift_is_mended_once() {
    let host = "web.sdn.example.";
    let ours = wanted(&[(host, RecordKind::A, "10.0.0.5")]);
    for way in [Way::Comments, Way::Text] {
        let (_, whole) = settle(&ours, Found::default(), way);
        // Another time to live, a record switched off, a record that somebody removed.
        let mut hurt = whole.clone();
        hurt.names.get_mut(&name(host)).unwrap().get_mut(&RecordKind::A).unwrap().ttl = 9;
        let (mended, after) = settle(&ours, hurt, way);
        assert_eq!((mended.counts.repaired, &after), (1, &whole));
        let mut hurt = whole.clone();
        let sets = hurt.names.get_mut(&name(host)).unwrap();
        sets.get_mut(&RecordKind::A).unwrap().records[0].disabled = true;
        assert_eq!(settle(&ours, hurt, way).1, whole);
        let mut hurt = whole.clone();
        hurt.names.remove(&name(host));
        assert_eq!(settle(&ours, hurt, way).1, whole);
    }
    // A mark that names what is no longer there would claim what somebody makes later.
    let stale = comment(ACCOUNT, "cluster lab: 10.0.0.5 10.0.0.9");
    let stale = found(&[(host, RecordKind::A, set(TTL, &["10.0.0.5"], &[stale]))]);
    let (mended, after) = settle(&ours, stale, Way::Comments);
    assert_eq!(mended.counts.repaired, 1);
    let set_after = after.rrset(&name(host), RecordKind::A).unwrap();
    assert_eq!(set_after.comments[0].content, "cluster lab: 10.0.0.5");
}

#[test]
fn what_cannot_be_there_is_refused_by_name() {
    let says = |sets: &[(&str, RecordKind, Rrset)], words: &str| {
        let ours = wanted(&[("a.web.sdn.example.", RecordKind::A, "10.0.0.5")]);
        let (first, _) = settle(&ours, found(sets), Way::Comments);
        assert_eq!(first.changes, []);
        let said: Vec<String> = first.refused.iter().map(ToString::to_string).collect();
        assert!(said.len() == 1 && said[0].contains(words), "{said:?}");
    };
    let of = |content: &str| set(60, &[content], &[]);
    says(&[("a.web.sdn.example.", RecordKind::Cname, of("b."))], "a CNAME at `a.web.sdn.example.`");
    says(&[("web.sdn.example.", RecordKind::Ns, of("b."))], "NS at `web.sdn.example.`");
    says(&[("a.web.sdn.example.", RecordKind::Ns, of("b."))], "NS at `a.web.sdn.example.`");
    says(&[("sdn.example.", RecordKind::Dname, of("b."))], "DNAME at `sdn.example.`");
    let mut off = of("10.0.0.5");
    off.records[0].disabled = true;
    says(&[("a.web.sdn.example.", RecordKind::A, off)], "switched off");
    // The servers of the zone itself lead nowhere else.
    let ours = wanted(&[("a.sdn.example.", RecordKind::A, "10.0.0.5")]);
    let apex = found(&[("sdn.example.", RecordKind::Ns, of("b."))]);
    assert_eq!(settle(&ours, apex, Way::Comments).0.counts.added, 1);
    // A name so long that its mark has no room.
    let long = format!("{0}.{0}.{0}.{1}.{ZONE}", "x".repeat(63), "y".repeat(45));
    let ours = wanted(&[(&long, RecordKind::A, "10.0.0.5")]);
    assert_eq!(settle(&ours, Found::default(), Way::Comments).0.counts.added, 1);
    let (first, _) = settle(&ours, Found::default(), Way::Text);
    assert!(first.changes.is_empty() && first.refused[0].to_string().contains("no room"));
}

fn network(dnszone: &str, prefix: &str, subnets: &[(&str, Subnet)]) -> Network {
    let dns: DnsId = "pdns".parse().unwrap();
    let subnets = subnets.iter().map(|(prefix, of)| (prefix.parse().unwrap(), of.clone()));
    let vnet = Vnet { traffic: Traffic::Untagged(subnets.collect()), ..Vnet::default() };
    let zone = Zone {
        nodes: Nodes::All,
        mtu: None,
        ipam: None,
        naming: Naming {
            forward: Some((dns.clone(), dnszone.parse().ok())),
            reverse: Some(dns.clone()),
        },
        dhcp: None,
        bridge_disable_mac_learning: false,
        kind: ZoneKind::Simple,
        vnets: [(prefix.parse().unwrap(), vnet)].into(),
    };
    let server = Dns {
        url: "https://dns.example.org/api/v1/servers/localhost".parse().unwrap(),
        key: "key".parse().unwrap(),
        ttl: Some(0),
        reverse_mask_v6: None,
        fingerprint: None,
    };
    let zones = [("za".parse().unwrap(), zone)].into();
    Network { zones, dns: [(dns, server)].into(), ..Network::default() }
}

fn lease(guest: &str, hostname: Option<&str>, released: bool) -> Lease {
    Lease {
        vnet: "va".parse().unwrap(),
        mac: "02:00:00:00:00:01".parse().unwrap(),
        guest: guest.parse().unwrap(),
        hostname: hostname.map(|name| name.parse().unwrap()),
        origin: Origin::Declared,
        released: released.then_some(Timestamp::UNIX_EPOCH),
    }
}

fn leases(of: &[(&str, Lease)]) -> Leases {
    let key = |address: &str| ("za".parse().unwrap(), address.parse().unwrap());
    of.iter().map(|(address, lease)| (key(address), lease.clone())).collect()
}

#[test]
fn leases_and_gateways_as_the_reference_registers_them() {
    let prefixed = Subnet {
        gateway: "10.0.0.1".parse().ok(),
        dns_prefix: "Lab".parse().ok(),
        ..Subnet::default()
    };
    let v6 = Subnet { gateway: "2001:db8::1".parse().ok(), ..Subnet::default() };
    let single = Subnet { gateway: "192.0.2.9".parse().ok(), ..Subnet::default() };
    let subnets = [("10.0.0.0/24", prefixed), ("2001:db8::/64", v6), ("192.0.2.7/32", single)];
    let network = network("SDN.example", "va", &subnets);
    let long = format!("{0}.{0}.{0}.{1}", "x".repeat(63), "y".repeat(50));
    let held = leases(&[
        ("10.0.0.5", lease("Web", None, false)),
        ("2001:db8::5", lease("Web", None, false)),
        ("10.0.0.6", lease("db", Some("Data.Base"), false)),
        ("10.0.0.7", lease("gone", None, true)),
        ("10.9.0.7", lease("lost", None, false)),
        ("10.0.0.8", lease(&long, None, false)),
    ]);
    let wanted = super::wanted(&network, &held);
    let of = &wanted.servers.values().next().unwrap();
    assert_eq!(of.ttl, 14_400);
    let forward = of.names.iter().filter(|one| matches!(one.direction, Registered::Forward(_)));
    let forward: Vec<String> = forward.map(|one| format!("{} {}", one.name, one.address)).collect();
    assert_eq!(
        forward,
        [
            "va-gw.lab.sdn.example. 10.0.0.1",
            "va-gw.sdn.example. 2001:db8::1",
            "web.lab.sdn.example. 10.0.0.5",
            "data.base.lab.sdn.example. 10.0.0.6",
            "web.sdn.example. 2001:db8::5",
        ]
    );
    assert_eq!(of.names.len(), 10);
    assert_eq!(wanted.stranded, ["10.9.0.7".parse::<IpAddr>().unwrap()].into());
    let said = wanted.refused[0].to_string();
    assert!(said.contains("longer than DNS can hold") && said.contains("on vnet `va`"), "{said}");

    // Where they lie is the server's to say.
    let zones = |zones: &[&str]| -> BTreeMap<Fqdn, Hosted> {
        zones
            .iter()
            .map(|zone| (name(zone), Hosted { primary: !zone.starts_with("0.0") }))
            .collect()
    };
    let (assigned, refused) =
        assign(of, &zones(&["sdn.example.", "lab.sdn.example.", "0.0.10.in-addr.arpa."]));
    let zones_used: Vec<String> = assigned.keys().map(ToString::to_string).collect();
    assert_eq!(zones_used, ["lab.sdn.example.", "sdn.example."]);
    let said: Vec<String> = refused.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said.iter().any(|said| said.contains("has `0.0.10.in-addr.arpa.` from another server"))
    );
    assert!(
        said.iter().any(|said| said.contains("create `0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.`"))
    );
    // The zone that is declared must be there, whatever is above it.
    let (assigned, refused) = assign(of, &zones(&["example.", "10.in-addr.arpa.", "ip6.arpa."]));
    let zones_used: Vec<String> = assigned.keys().map(ToString::to_string).collect();
    assert_eq!(zones_used, ["10.in-addr.arpa.", "ip6.arpa."]);
    assert_eq!(refused.len(), 1);
    assert!(refused[0].to_string().contains("the server has no zone `SDN.example.`"));
}

#[test]
fn a_stranded_address_keeps_what_is_registered_for_it() {
    let (lab, nobody) = (cluster("lab"), BTreeSet::new());
    let held: BTreeSet<IpAddr> = ["10.0.0.5".parse().unwrap()].into();
    let (host, pointer) = ("web.sdn.example.", "5.0.0.10.in-addr.arpa.");
    let forward = wanted(&[(host, RecordKind::A, "10.0.0.5"), (host, RecordKind::A, "10.0.0.6")]);
    let reverse = wanted(&[(pointer, RecordKind::Ptr, host)]);
    for (zone, kind, wanted, kept) in [
        (ZONE, RecordKind::A, forward, "10.0.0.5"),
        ("10.in-addr.arpa.", RecordKind::Ptr, reverse, host),
    ] {
        let at = wanted.keys().next().unwrap().clone();
        let mut rule = Rule {
            cluster: &lab,
            ttl: TTL,
            adopt: false,
            way: Way::Text,
            stranded: &nobody,
            only: None,
        };
        let whole = written(
            Found::default(),
            &difference(&name(zone), &wanted, &Found::default(), &rule).changes,
        );
        rule.stranded = &held;
        let after = difference(&name(zone), &WantedZone::new(), &whole, &rule);
        let after = written(whole, &after.changes);
        assert_eq!(contents(&after, at.as_str(), kind), [kept]);
    }
}

#[test]
fn too_much_is_not_removed() {
    let counts = Counts { removed: 5, ours: 20, ..Counts::default() };
    let judge = |max_records, max_percent| Limits { max_records, max_percent }.judge(counts);
    assert_eq!(judge(None, None), None);
    assert_eq!(judge(Some(5), Some(25)), None);
    assert_eq!(judge(Some(4), None), Some(Refusal::TooMuch { removed: 5, of: 20, most: 4 }));
    assert_eq!(judge(Some(5), Some(24)), Some(Refusal::TooMuch { removed: 5, of: 20, most: 4 }));
    assert_eq!(Limits { max_records: Some(0), max_percent: None }.judge(Counts::default()), None);
}

/// Names, types and contents of a small world, so that all of it meets.
fn place() -> impl Strategy<Value = (usize, RecordKind, usize)> {
    (0..4_usize, prop::sample::select(RecordKind::REGISTERED.to_vec()), 0..4_usize)
}

fn content(kind: RecordKind, number: usize) -> String {
    match kind {
        RecordKind::A => format!("10.0.0.{number}"),
        RecordKind::Aaaa => format!("2001:db8::{}", number + 1),
        _ => format!("h{number}.sdn.example."),
    }
}

fn at(number: usize) -> Fqdn {
    name(&format!("n{number}.{ZONE}"))
}

/// Whose mark a record has, and whether it is switched off.
fn kept() -> impl Strategy<Value = (usize, bool)> {
    (0..3_usize, prop::bool::weighted(0.1))
}

type Places = BTreeMap<(usize, RecordKind, usize), (usize, bool)>;

/// What a server holds: records without a mark, of `lab` and of `other`, marks of `lab` for
/// what is no longer there, and aliases.
fn held(
    places: &Places,
    gone: &[(usize, RecordKind, usize)],
    alias: Option<usize>,
    way: Way,
) -> Found {
    let mut found = Found::default();
    let mut marks: BTreeMap<(&str, usize, RecordKind), BTreeSet<String>> = BTreeMap::new();
    for ((number, kind, value), (whose, disabled)) in places {
        if alias == Some(*number) {
            continue;
        }
        let sets = found.names.entry(at(*number)).or_default();
        let set = sets.entry(*kind).or_insert(set(60, &[], &[]));
        set.records.push(Record { content: content(*kind, *value), disabled: *disabled });
        if let Some(of) = [None, Some("lab"), Some("other")][*whose] {
            marks.entry((of, *number, *kind)).or_default().insert(content(*kind, *value));
        }
    }
    for (number, kind, value) in gone {
        if found.rrset(&at(*number), *kind).is_some()
            && !places.contains_key(&(*number, *kind, *value))
        {
            marks.entry(("lab", *number, *kind)).or_default().insert(content(*kind, *value));
        }
    }
    for ((of, number, kind), contents) in marks {
        let of = cluster(of);
        if way == Way::Comments {
            let set = found.names.get_mut(&at(number)).unwrap().get_mut(&kind).unwrap();
            set.comments.extend([comment("bob", "hello"), mark::comment(&contents, &of)]);
        } else {
            let at = mark::name_of_marks(&at(number), &of).unwrap();
            let sets = found.names.entry(at).or_default();
            let records = mark::texts(&[(kind, contents)].into(), &of);
            sets.entry(RecordKind::Txt)
                .or_insert(set(60, &["\"hello\""], &[]))
                .records
                .extend(records);
        }
    }
    if let Some(number) = alias {
        let alias = set(60, &["elsewhere."], &[]);
        found.names.entry(at(number)).or_default().insert(RecordKind::Cname, alias);
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn foreign_stays_and_ours_is_as_wanted(
        places in btree_map(place(), kept(), 0..24),
        gone in vec(place(), 0..3),
        alias in prop::option::weighted(0.2, 0..4_usize),
        asked in btree_set(place(), 0..16),
        text in any::<bool>(),
    ) {
        let way = if text { Way::Text } else { Way::Comments };
        let before = held(&places, &gone, alias, way);
        let mut zone = WantedZone::new();
        for (number, kind, value) in &asked {
            let kinds = zone.entry(at(*number)).or_default();
            kinds.entry(*kind).or_default().insert(content(*kind, *value), guest());
        }
        let (first, after) = settle(&zone, before.clone(), way);
        let refused = first.refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");

        let lab = cluster("lab");
        let mut foreign_at = BTreeSet::new();
        for ((number, kind, value), (whose, disabled)) in &places {
            if alias == Some(*number) { continue }
            let content = content(*kind, *value);
            let is = after.rrset(&at(*number), *kind).map(|set| set.records.as_slice()).unwrap_or_default();
            if *whose == 1 {
                // Ours is there exactly if it is wanted, and then it is switched on.
                let wanted = asked.contains(&(*number, *kind, *value));
                let same = is.iter().find(|one| one.content == content);
                prop_assert_eq!(same.map(|one| one.disabled), wanted.then_some(false));
            } else {
                foreign_at.insert((*number, *kind));
                let same = Record { content, disabled: *disabled };
                prop_assert!(is.contains(&same), "{:?}", (number, kind, value));
            }
        }
        for (number, kind, value) in &asked {
            let is = after.rrset(&at(*number), *kind).map(|set| set.records.as_slice()).unwrap_or_default();
            let content = content(*kind, *value);
            let there = is.contains(&Record { content: content.clone(), disabled: false });
            let said = refused.contains(at(*number).as_str());
            prop_assert!(there || said, "neither registered nor refused: {content}");
            // Ours alone has our time to live.
            if let Some(set) = after.rrset(&at(*number), *kind).filter(|_| !foreign_at.contains(&(*number, *kind))) {
                prop_assert_eq!(set.ttl, TTL);
            }
        }
        // Nobody else's marks and remarks change, and no set of another type.
        for (of, sets) in &before.names {
            for (kind, set) in sets {
                let is = after.rrset(of, *kind);
                if !RecordKind::REGISTERED.contains(kind) {
                    let others = |set: &Rrset| mark::others_texts(set, &lab);
                    prop_assert_eq!(is.map(others).unwrap_or_default(), others(set));
                } else if let Some(is) = is {
                    let others = |set: &Rrset| -> Vec<Comment> {
                        let others = set.comments.iter();
                        others.filter(|one| mark::in_comment(one, &lab).is_none()).cloned().collect()
                    };
                    prop_assert_eq!(others(is), others(set));
                }
            }
        }
        // Whoever stops using it leaves nothing behind.
        let (_, empty) = settle(&WantedZone::new(), after, way);
        let marks = |found: &Found| found.names.keys().any(|name| !mark::marked(found, name, &lab).is_empty());
        prop_assert!(!marks(&empty));
    }

    #[test]
    fn no_name_of_a_server_does_harm(text in "\\PC{0,40}", cluster in "[a-z]{1,8}") {
        let cluster: ClusterName = cluster.parse().unwrap();
        let _ = mark::in_text(&text, &cluster);
        let _ = mark::in_comment(&comment(ACCOUNT, &text), &cluster);
        if let Some(name) = Fqdn::read(&text).or_else(|| Fqdn::read(&format!("{text}.in-addr.arpa."))) {
            let _ = (address_of(&name), mark::marked_name(&name, &cluster), name.above().count());
            prop_assert!(name.is_within(&name));
            let _ = reverse::place("10.0.0.1".parse().unwrap(), [&name].into_iter());
        }
    }
}
