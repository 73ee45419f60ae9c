//! Names are as wanted, and what is not ours stays as it is.

mod random;
mod registered;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::*;
use crate::value::ClusterName;

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
    let adopt = Adopt::Nothing;
    let rule = Rule { cluster: &lab, ttl: TTL, adopt, way, stranded: &nobody, only: None };
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
    let of_alice =
        found(&[(host, RecordKind::A, set(60, &["192.0.2.1"], std::slice::from_ref(&remark)))]);
    let ours = wanted(&[(host, RecordKind::A, "10.0.0.5")]);
    for way in [Way::Comments, Way::Text] {
        // What is ours was there first, and somebody adds to it.
        let (_, mut both) = settle(&ours, Found::default(), way);
        let set = both.names.get_mut(&name(host)).unwrap().get_mut(&RecordKind::A).unwrap();
        set.records.push(record("192.0.2.1"));
        set.ttl = 60;
        if way == Way::Comments {
            set.comments.insert(0, remark.clone());
        }
        let (_, after) = settle(&ours, both, way);
        assert_eq!(contents(&after, host, RecordKind::A), ["10.0.0.5", "192.0.2.1"]);
        let set = after.rrset(&name(host), RecordKind::A).unwrap();
        assert_eq!(set.ttl, 60);
        // Another of ours joins it.
        let more = wanted(&[(host, RecordKind::A, "10.0.0.6"), (host, RecordKind::A, "10.0.0.5")]);
        let (_, after) = settle(&more, after, way);
        assert_eq!(contents(&after, host, RecordKind::A).len(), 3);
        let (_, alone) = settle(&WantedZone::new(), after, way);
        assert_eq!(contents(&alone, host, RecordKind::A), ["192.0.2.1"]);
        assert_eq!(alone.names.len(), 1);
        if way == Way::Comments {
            assert_eq!(alone, of_alice);
        }
    }
}

#[test]
fn a_guest_with_the_name_of_others_changes_nothing_of_it() {
    let host = "www.sdn.example.";
    let of_alice = found(&[(host, RecordKind::A, set(60, &["192.0.2.1"], &[]))]);
    let ours = wanted(&[
        (host, RecordKind::A, "10.0.0.5"),
        (host, RecordKind::Aaaa, "2001:db8::5"),
        ("db.sdn.example.", RecordKind::A, "10.0.0.6"),
    ]);
    for way in [Way::Comments, Way::Text] {
        let (first, after) = settle(&ours, of_alice.clone(), way);
        assert_eq!(contents(&after, host, RecordKind::A), ["192.0.2.1"]);
        assert_eq!(contents(&after, "db.sdn.example.", RecordKind::A), ["10.0.0.6"]);
        let said: Vec<String> = first.refused.iter().map(ToString::to_string).collect();
        assert!(
            said.len() == 1
                && said[0].contains("is somebody else's name of 192.0.2.1, so 10.0.0.5"),
            "{said:?}"
        );
    }
    // What is as wanted is adopted, and then others of ours join it.
    let two = wanted(&[(host, RecordKind::A, "10.0.0.5"), (host, RecordKind::A, "192.0.2.1")]);
    let (lab, nobody, shown) = (cluster("lab"), BTreeSet::new(), BTreeMap::new());
    let adopting = |adopt| {
        let (way, only) = (Way::Comments, None);
        let rule = Rule { cluster: &lab, ttl: TTL, adopt, way, stranded: &nobody, only };
        difference(&name(ZONE), &two, &of_alice, &rule)
    };
    let adopted = adopting(Adopt::AsWanted);
    assert!(adopted.changes[0].to_string().contains("A 192.0.2.1: taken over"));
    let after = written(of_alice.clone(), &adopted.changes);
    assert_eq!(contents(&after, host, RecordKind::A), ["10.0.0.5", "192.0.2.1"]);
    assert_eq!(settle(&two, after, Way::Comments).0.counts.unchanged, 2);
    // Of what was not shown nothing is adopted.
    assert_eq!(adopting(Adopt::Shown(&shown)).changes, []);
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
        adopt: Adopt::AsWanted,
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
            adopt: Adopt::Nothing,
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
