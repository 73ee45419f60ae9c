//! What holds for whatever a server has.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use super::*;

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
            let _ = reverse::Zones::of(std::iter::once(&name)).place("10.0.0.1".parse().unwrap());
        }
    }
}
