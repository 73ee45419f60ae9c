//! More than one signature.

use super::forge::{Forge, line, lines};
use super::repository::{accepted, refused};
use weft::value::ObjectId;

const POLICY: &str = "
roles:
  root: {principals: [root, ann, bob], threshold: 2}
  core: {principals: [ann, bob, eve], paths: ['sdn/core/**'], threshold: 2}
  operator: {principals: [ann, bob], paths: ['sdn/free/**']}
";
const CORE: &str = "sdn/core/a.yaml";

fn begin() -> (Forge, ObjectId) {
    let forge = Forge::new();
    let signers = lines(&["root", "ann", "bob", "eve", "zoe"]) + &line("ann", "", "ann/2");
    let begin = forge.begin(&signers, POLICY, &[(CORE, "zones: {}\n")]);
    (forge, begin)
}

/// The verdict on a merge of some commits of a side branch.
fn merged(forge: &Forge, begin: ObjectId, by: &str, side: ObjectId) -> Vec<&'static str> {
    let merge = forge.merge(by, begin, &[begin, side]);
    let judgement = forge.judge(begin, merge);
    assert_eq!(
        accepted(&judgement),
        if judgement.refused.is_empty() { Some(merge) } else { Some(begin) }
    );
    refused(&judgement).into_iter().map(|(_, code)| code).collect()
}

#[test]
fn two_people() {
    let (forge, begin) = begin();
    // Alone: refused, also with a key that is good for everything else.
    let alone = forge.commit(&[begin], "ann", &[(CORE, "vnets: {}\n")]);
    assert_eq!(refused(&forge.judge(begin, alone)), [(alone, "threshold-unmet")]);
    let free = forge.commit(&[begin], "ann", &[("sdn/free/a.yaml", "vnets: {}\n")]);
    assert_eq!(accepted(&forge.judge(begin, free)), Some(free));
    // One makes the change and another merges it.
    let side = forge.commit(&[begin], "ann", &[(CORE, "vnets: {}\n")]);
    assert_eq!(merged(&forge, begin, "bob", side), [""; 0]);
    // Or somebody approves of it with a commit on top that changes nothing.
    let work = forge.commit(&[begin], "-", &[(CORE, "vnets: {}\n")]);
    let approved = forge.commit(&[work], "eve", &[]);
    assert_eq!(merged(&forge, begin, "bob", approved), [""; 0]);
    // What was changed after the approval was not approved.
    let after = forge.commit(&[approved], "-", &[(CORE, "vnets: {more: {}}\n")]);
    assert_eq!(merged(&forge, begin, "bob", after), ["threshold-unmet"]);
}

#[test]
fn one_person_twice() {
    let (forge, begin) = begin();
    // Two commits of one person, two keys of one person.
    for side_key in ["ann", "ann/2"] {
        let side = forge.commit(&[begin], side_key, &[(CORE, "vnets: {}\n")]);
        assert_eq!(merged(&forge, begin, "ann", side), ["threshold-unmet"], "{side_key}");
    }
    // Two names of one key.
    let signers = lines(&["root", "bob", "eve"]) + &line("ann,second", "", "ann");
    let policy = "
roles:
  root: {principals: [root]}
  core: {principals: [ann, second, bob], paths: ['sdn/core/**'], threshold: 2}
";
    let begin = forge.begin(&signers, policy, &[]);
    let side = forge.commit(&[begin], "ann", &[(CORE, "vnets: {}\n")]);
    assert_eq!(merged(&forge, begin, "ann", side), ["threshold-unmet"]);
    let side = forge.commit(&[begin], "bob", &[(CORE, "vnets: {}\n")]);
    assert_eq!(merged(&forge, begin, "ann", side), [""; 0]);
}

#[test]
fn whose_second_signature_does_not_count() {
    let (forge, begin) = begin();
    // Nobody, a stranger, somebody of another role.
    for signer in ["-", "mallory", "zoe"] {
        let side = forge.commit(&[begin], signer, &[(CORE, "vnets: {}\n")]);
        assert_eq!(merged(&forge, begin, "ann", side), ["threshold-unmet"], "{signer}");
    }
    // A commit that holds something else there.
    let side = forge.commit(&[begin], "bob", &[(CORE, "vnets: {}\n")]);
    let files = forge.files(forge.commit(&[side], "-", &[(CORE, "vnets: {x: {}}\n")]));
    let merge = forge.with(&[begin, side], "ann", files);
    assert_eq!(refused(&forge.judge(begin, merge)), [(merge, "threshold-unmet")]);
    // Signed by whom the merge itself makes a member.
    let more =
        POLICY.replace("bob, eve]", "bob, eve, zoe]").replace("ann, bob], t", "ann, zoe], t");
    let side =
        forge.commit(&[begin], "zoe", &[(CORE, "vnets: {}\n"), (".weft/policy.yaml", &more)]);
    let merge = forge.merge("ann", begin, &[begin, side]);
    assert_eq!(refused(&forge.judge(begin, merge)), [(merge, "threshold-unmet")]);
}

/// Who worked on top of an old version did not say that it should come back.
#[test]
fn an_old_version_is_not_vouched_for_by_who_worked_on_top_of_it() {
    let (forge, begin) = begin();
    // bob begins to work on something else, and never touches the core.
    let work = forge.commit(&[begin], "bob", &[("sdn/free/b.yaml", "vnets: {}\n")]);
    // The core is changed by two, and then ann alone wants the old one back.
    let side = forge.commit(&[begin], "eve", &[(CORE, "zones: {new: {type: simple}}\n")]);
    let new = forge.merge("bob", begin, &[begin, side]);
    assert_eq!(accepted(&forge.judge(begin, new)), Some(new));
    let back = |forge: &Forge, work| {
        let mut files = forge.files(new);
        files.insert(CORE.to_owned(), b"zones: {}\n".to_vec());
        forge.with(&[new, work], "ann", files)
    };
    let merge = back(&forge, work);
    assert_eq!(refused(&forge.judge(begin, merge)), [(merge, "threshold-unmet")]);
    // Nor where bob's branch took an old state of the line in.
    let update = forge.merge("bob", begin, &[work, begin]);
    let merge = back(&forge, update);
    assert_eq!(refused(&forge.judge(begin, merge)), [(merge, "threshold-unmet")]);
    // And a file that came later is not taken away by who never saw it.
    let gone = {
        let mut files = forge.files(new);
        files.remove(CORE);
        files
    };
    let orphan = forge.commit(&[], "bob", &[("sdn/free/b.yaml", "vnets: {}\n")]);
    for side in [work, orphan] {
        let merge = forge.with(&[new, side], "ann", gone.clone());
        assert_eq!(refused(&forge.judge(begin, merge)), [(merge, "threshold-unmet")]);
    }
    // bob says so himself.
    let revert = forge.commit(&[new], "bob", &[(CORE, "zones: {}\n")]);
    let merge = forge.merge("ann", new, &[new, revert]);
    assert_eq!(accepted(&forge.judge(begin, merge)), Some(merge));
    let remove = forge.commit(&[new], "bob", &[(CORE, "-")]);
    let merge = forge.merge("ann", new, &[new, remove]);
    assert_eq!(accepted(&forge.judge(begin, merge)), Some(merge));
}

#[test]
fn an_old_key_does_not_vouch() {
    let (forge, begin) = begin();
    let until = "20261102Z";
    let signers = lines(&["root", "ann", "eve"])
        + &line("bob", &format!("namespaces=\"git\",valid-before=\"{until}\""), "bob");
    let side = forge.commit(&[begin], "root", &[(".weft/allowed_signers", &signers)]);
    let with_end = forge.merge("ann", begin, &[begin, side]);
    assert_eq!(accepted(&forge.judge(begin, with_end)), Some(with_end));
    let day = 24 * 3600;
    // Signed while the key was good, merged while it was good, judged later: a good tip
    // above vouches for it, and as the tip it is not good enough any more.
    let side = forge.commit(&[with_end], "bob", &[(CORE, "vnets: {}\n")]);
    let merge = forge.merge("ann", with_end, &[with_end, side]);
    assert_eq!(accepted(&forge.judge(begin, merge)), Some(merge));
    forge.wait(10 * day);
    let judgement = forge.judge(begin, merge);
    assert_eq!(accepted(&judgement), Some(with_end));
    assert_eq!(refused(&judgement), [(merge, "key-expired")]);
    let above = forge.commit(&[merge], "ann", &[("sdn/free/a.yaml", "vnets: {}\n")]);
    assert_eq!(accepted(&forge.judge(begin, above)), Some(above));
    // An old signature that is merged now.
    let merge = forge.merge("ann", with_end, &[with_end, side]);
    assert_eq!(refused(&forge.judge(begin, merge)), [(merge, "threshold-unmet")]);
    // A new one with an old date.
    forge.wait(-20 * day);
    let dated = forge.commit(&[with_end], "bob", &[(CORE, "vnets: {}\n")]);
    forge.wait(20 * day);
    let merge = forge.merge("ann", with_end, &[with_end, dated]);
    assert_eq!(refused(&forge.judge(begin, merge)), [(merge, "threshold-unmet")]);
    // One that had not begun when it was used.
    let (forge, begin) = self::begin();
    let from = "namespaces=\"git\",valid-after=\"20261102Z\"";
    let signers = lines(&["root", "ann", "eve"]) + &line("bob", from, "bob");
    let side = forge.commit(&[begin], "root", &[(".weft/allowed_signers", &signers)]);
    let with_begin = forge.merge("ann", begin, &[begin, side]);
    let early = forge.commit(&[with_begin], "bob", &[(CORE, "vnets: {}\n")]);
    forge.wait(10 * day);
    let merge = forge.merge("ann", with_begin, &[with_begin, early]);
    assert_eq!(refused(&forge.judge(begin, merge)), [(merge, "threshold-unmet")]);
    let late = forge.commit(&[with_begin], "bob", &[(CORE, "vnets: {}\n")]);
    let merge = forge.merge("ann", with_begin, &[with_begin, late]);
    assert_eq!(accepted(&forge.judge(begin, merge)), Some(merge));
    // A key that is revoked on the node.
    let (forge, begin) = self::begin();
    let side = forge.commit(&[begin], "bob", &[(CORE, "vnets: {}\n")]);
    let merge = forge.merge("ann", begin, &[begin, side]);
    let mut trust = super::forge::trust(begin, "root");
    trust.revoked.insert(super::forge::signed_by("bob"));
    let memory = forge.memory.borrow();
    let judgement = super::repository::judge_in(&memory, merge, &trust, None, forge.now());
    assert_eq!(refused(&judgement), [(merge, "threshold-unmet")]);
}

/// The trust files themselves, and the way out of a lost key.
#[test]
fn the_policy_needs_two() {
    let (forge, begin) = begin();
    let easy = POLICY.replace("threshold: 2", "threshold: 1");
    let change = [(".weft/policy.yaml", easy.as_str())];
    let alone = forge.commit(&[begin], "root", &change);
    assert_eq!(refused(&forge.judge(begin, alone)), [(alone, "threshold-unmet")]);
    let side = forge.commit(&[begin], "root", &change);
    assert_eq!(merged(&forge, begin, "eve", side), ["path-not-allowed"]);
    assert_eq!(merged(&forge, begin, "bob", side), [""; 0]);
}

/// An octopus may bring both; a second that is far beyond the bound is not looked for.
#[test]
fn octopus_and_bounds() {
    let (forge, begin) = begin();
    let one = forge.commit(&[begin], "eve", &[(CORE, "vnets: {}\n")]);
    let two = forge.commit(&[begin], "-", &[("sdn/free/x.yaml", "vnets: {}\n")]);
    let octopus = forge.merge("bob", begin, &[begin, two, one]);
    assert_eq!(accepted(&forge.judge(begin, octopus)), Some(octopus));
    let mut far = one;
    for _ in 0..300 {
        far = forge.commit(&[far], "-", &[]);
    }
    assert_eq!(merged(&forge, begin, "bob", far), ["threshold-unmet"]);
    let near = forge.commit(&[far], "eve", &[]);
    // Where its branch began is beyond the bound as well, so nobody knows what it brought.
    assert_eq!(merged(&forge, begin, "bob", near), ["threshold-unmet"]);
}
