//! The verdict on a history is the same on every node, whatever it has seen before.

use proptest::prelude::*;
use weft::sync::{Anchor, Standing};
use weft::value::ObjectId;

use super::forge::{Forge, line, lines};
use super::repository::accepted;

const SIGNERS: [&str; 6] = ["root", "ann", "bob", "eve", "mallory", "-"];

/// What one commit of a history does.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    signer: usize,
    what: What,
    /// How the clock moves before it, in minutes.
    minutes: i64,
}

#[derive(Clone, Debug)]
enum What {
    /// A file of the operators'.
    File(u8),
    /// A tenant's file, within the scope or not.
    Tenant(u8, bool),
    /// A file that two people change.
    Core(u8),
    /// A merge of a commit by somebody, which changes the file that two people change.
    Merge(usize, u8),
    /// Another policy or other signers.
    Trust(u8),
    /// The files of an earlier commit.
    Back(u8),
    Void(u8),
    Broken,
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let what = prop_oneof![
        6 => any::<u8>().prop_map(What::File),
        4 => (any::<u8>(), any::<bool>()).prop_map(|(n, good)| What::Tenant(n, good)),
        2 => any::<u8>().prop_map(What::Core),
        4 => (0..SIGNERS.len(), any::<u8>()).prop_map(|(by, n)| What::Merge(by, n)),
        2 => any::<u8>().prop_map(What::Trust),
        2 => any::<u8>().prop_map(What::Back),
        1 => any::<u8>().prop_map(What::Void),
        1 => Just(What::Broken),
    ];
    // Mostly people who may, so that lines grow.
    let signer = prop_oneof![6 => 0..3_usize, 1 => 0..SIGNERS.len()];
    let minutes = prop_oneof![8 => 0..60_i64, 1 => -15..0_i64, 1 => 0..20_000_i64];
    let step =
        (signer, what, minutes).prop_map(|(signer, what, minutes)| Step { signer, what, minutes });
    proptest::collection::vec(step, 1..14)
}

fn signers(number: u8) -> String {
    let bob = line("bob", "namespaces=\"git\",valid-before=\"20261105Z\"", "bob");
    match number % 3 {
        0 => lines(&["root", "ann", "bob", "eve"]),
        1 => lines(&["root", "ann", "eve"]) + &bob,
        _ => lines(&["root", "ann", "bob"]),
    }
}

fn policy(number: u8) -> String {
    let mainline = if number.is_multiple_of(4) { "merges" } else { "any" };
    format!(
        "
mainline: {mainline}
roles:
  root: {{principals: [root]}}
  operator: {{principals: [ann, bob], paths: ['sdn/free/**']}}
  core: {{principals: [root, ann, bob, eve], paths: ['sdn/core/**'], threshold: 2}}
  tenant:
    principals: [ann, eve]
    paths: ['sdn/tenants/a/**']
    scope: {{kinds: [vnets], zones: [tena], vnets: ['a*'], tags: ['1-99']}}
"
    )
}

/// Makes the history; every commit of its line, the first one included.
pub(crate) fn history(forge: &Forge, steps: &[Step]) -> Vec<ObjectId> {
    let zones = "zones: {tena: {type: vlan, bridge: vmbr0}}\n";
    let mut line = vec![forge.begin(&signers(0), &policy(1), &[("sdn/free/z.yaml", zones)])];
    let (mut clock, mut latest) = (0, 0);
    for step in steps {
        forge.wait(step.minutes * 60);
        clock += step.minutes * 60 + 60;
        latest = clock.max(latest);
        let tip = line[line.len() - 1];
        let by = SIGNERS[step.signer];
        let text = |n: u8| format!("# {n}\n");
        let at = |n: u8| line[usize::from(n) % line.len()];
        let next = match &step.what {
            What::File(n) => forge.commit(&[tip], by, &[("sdn/free/f.yaml", &text(*n))]),
            What::Tenant(n, good) => {
                let zone = if *good { "tena" } else { "tenb" };
                let text = format!("vnets: {{a1: {{zone: {zone}, tag: {}}}}}\n", n % 99 + 1);
                forge.commit(&[tip], by, &[("sdn/tenants/a/x.yaml", &text)])
            }
            What::Core(n) => forge.commit(&[tip], by, &[("sdn/core/c.yaml", &text(*n))]),
            What::Merge(who, n) => {
                let side = SIGNERS[*who];
                let base = at(*n);
                let side = forge.commit(&[base], side, &[("sdn/core/c.yaml", &text(*n))]);
                let mut files = forge.files(tip);
                files.insert("sdn/core/c.yaml".to_owned(), text(*n).into_bytes());
                forge.with(&[tip, side], by, files)
            }
            What::Trust(n) => {
                let files =
                    [(".weft/allowed_signers", signers(*n)), (".weft/policy.yaml", policy(n / 3))];
                let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
                forge.commit(&[tip], by, &files)
            }
            What::Back(n) => forge.with(&[tip], by, forge.files(at(*n))),
            What::Void(n) => {
                let void = if n % 2 == 0 { at(*n).to_string() } else { format!("{n:040x}") };
                forge.commit(&[tip], by, &[(".weft/void", &void)])
            }
            What::Broken => forge.commit(&[tip], by, &[(".weft/policy.yaml", "roles: {}\n")]),
        };
        line.push(next);
    }
    // Nodes whose own clocks are right: commits may be before each other, not before now.
    forge.wait(latest - clock);
    line
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn from_every_anchor_the_verdict_is_the_same(steps in steps()) {
        let forge = Forge::new();
        let line = history(&forge, &steps);
        // All at one time, as nodes that look together.
        let verdict = |anchor: Option<&Anchor>, tip| forge.judge_from(line[0], anchor, tip);
        let tip = line[line.len() - 1];
        let fresh = verdict(None, tip);
        let good = accepted(&fresh).expect("the introduction is good");
        let good_at = line.iter().position(|id| *id == good).expect("it is on the line");
        let mut anchors = std::collections::HashSet::new();
        for (index, at) in line.iter().enumerate() {
            // What a node says now that saw the line up to here only.
            let seen = verdict(None, *at);
            let anchored = accepted(&seen).expect("the introduction is good");
            if !anchors.insert(anchored) {
                continue;
            }
            let anchor = forge.anchor(line[0], None, anchored);
            let anchor_at = line.iter().position(|id| *id == anchored).expect("on the line");
            prop_assert!(anchor_at <= index);
            // The rule names one thing that a node may know more of: what it accepted while
            // a key was valid stays, until something above is good.
            let judged = verdict(Some(&anchor), tip);
            let record = |judgement: &weft::sync::Judgement| {
                judgement.accepted.as_ref().map(|accepted| accepted.record().clone())
            };
            prop_assert_eq!(record(&judged), record(&fresh), "from commit {} of {}", index, line.len());
            if let (Some(one), Some(other)) = (&judged.accepted, &fresh.accepted) {
                prop_assert_eq!(one.get().latest, other.get().latest);
            }
            if anchor_at < good_at {
                prop_assert_eq!(judged.standing, Standing::Advanced);
                // The same commits are refused for the same reasons.
                let above = |judgement: &weft::sync::Judgement| {
                    judgement.refused.iter().map(|r| (r.commit, r.code)).collect::<Vec<_>>()
                };
                prop_assert_eq!(above(&judged), above(&fresh));
            }
        }
        // And no commit above the accepted one is anybody's: the first of them is refused.
        let refused = fresh.refused.first().map(|refusal| refusal.commit);
        prop_assert_eq!(refused, line.get(good_at + 1).copied());
    }
}
