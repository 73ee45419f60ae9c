//! Rules that somebody else takes away.

use super::{apply, assert_at_rest, commit, node, rendering};
use crate::apply::{Authority, Outcome, correct, drift};
use crate::host::Host;
use crate::host::fake::Fake;
use crate::plan::{self, Engine, Family, Found, Plan, Rule, Table, TableName, target};
use crate::sync::Verified;

const TEXT: &str = "\nauto va\niface va\n\taddress 10.0.0.1/24\n\
    \tpost-up iptables -t nat -A POSTROUTING -s '10.0.0.0/24' -o vmbr0 -j SNAT --to-source 192.0.2.1\n\
    \tbridge_ports none\n";

fn planned(host: &Fake) -> Plan {
    let wanted = rendering(Some(TEXT));
    let engine = host.with_network(|network| network.engine);
    let mut found = Found { engine, ..Found::default() };
    found.kernel = host.kernel_for(&target(&wanted, &found)).expect("read").map(Into::into);
    plan::plan(wanted, host.facts(&node()).expect("read"), &found, None, 1)
}

fn scene(engine: Engine, nft: bool) -> Fake {
    let host = Fake::default();
    host.set_live();
    host.with_network(|network| {
        network.engine = engine;
        network.kernel().nat.works.extend(nft.then_some(Family::V4));
    });
    let plan = Verified::for_test(planned(&host), commit(1));
    let outcome = apply(&host, Authority::Commit(Box::new(plan))).expect("it works");
    assert!(matches!(outcome, Outcome::Confirmed { .. }), "{outcome:?}");
    host
}

fn differences(host: &Fake) -> Vec<String> {
    let found = drift(host).expect("read").expect("something runs");
    assert!(found.files.is_empty() && found.daemons.is_empty(), "{found:?}");
    found.kernel.iter().map(ToString::to_string).collect()
}

fn heal(host: &Fake) {
    let outcome = correct(host, 1).expect("it works");
    assert!(matches!(outcome, Outcome::Confirmed { .. }), "{outcome:?}");
    assert_eq!(differences(host), Vec::<String>::new());
    assert_at_rest(host);
}

#[test]
fn a_ruleset_that_somebody_flushed_is_drift_and_comes_back() {
    let host = scene(Engine::Native, true);
    assert_eq!(differences(&host), Vec::<String>::new());
    let tables = |host: &Fake| host.with_network(|network| network.kernel().nat.tables.clone());
    let before = tables(&host);
    assert_eq!(before.len(), 1);
    // `nft flush ruleset`
    host.with_network(|network| network.kernel().nat.tables.clear());
    assert_eq!(differences(&host), ["`table ip weft` lacks rules than the 1 that are wanted"]);
    heal(&host);
    assert_eq!(tables(&host), before);
}

#[test]
fn rules_of_iptables_that_somebody_flushed_or_added_are_drift() {
    for engine in [Engine::Native, Engine::Ifupdown2] {
        let host = scene(engine, false);
        let table = Table { family: Family::V4, name: TableName::Nat };
        let rules =
            |host: &Fake| host.with_network(|network| network.kernel().rules[&table].clone());
        let before: Vec<Rule> = rules(&host);
        assert_eq!((before.len(), differences(&host).len()), (1, 0));
        // `iptables -t nat -F`
        host.with_network(|network| network.kernel().rules.clear());
        assert_eq!(differences(&host).len(), 1);
        heal(&host);
        assert_eq!(rules(&host), before);
        // As `ifreload -a` adds it again.
        host.with_network(|network| {
            network.kernel().rules.insert(table, [before.clone(), before.clone()].concat());
        });
        assert_eq!(differences(&host).len(), 1);
        heal(&host);
        assert_eq!(rules(&host), before);
    }
}
