//! Which commits advance the branch, and merges of every shape.

use weft::sync::Standing;
use weft::value::ObjectId;

use super::forge::{Forge, lines};
use super::repository::{accepted, refused};

const ANY: &str = "roles: {root: {principals: [root]}, operator: {principals: [ann, bob]}}\n";

fn begin(mainline: &str) -> (Forge, ObjectId) {
    let forge = Forge::new();
    let policy = format!("{ANY}mainline: {mainline}\n");
    let begin = forge.begin(&lines(&["root", "ann", "bob"]), &policy, &[]);
    (forge, begin)
}

const A: (&str, &str) = ("sdn/a.yaml", "zones: {}\n");
const B: (&str, &str) = ("sdn/b.yaml", "zones: {}\n");

/// Somebody's signed work in progress, which the server makes the branch.
#[test]
fn work_in_progress_does_not_advance_a_line_of_merges() {
    for (mainline, promoted) in [("any", true), ("merges", false)] {
        let (forge, begin) = begin(mainline);
        let work = forge.commit(&[begin], "ann", &[A]);
        let more = forge.commit(&[work], "ann", &[B]);
        let judgement = forge.judge(begin, more);
        assert_eq!(accepted(&judgement), Some(if promoted { more } else { begin }));
        if !promoted {
            assert_eq!(refused(&judgement), [(work, "not-a-merge"), (more, "on-refused")]);
        }
        // Merged it is everybody's.
        let merge = forge.merge("ann", begin, &[begin, more]);
        assert_eq!(accepted(&forge.judge(begin, merge)), Some(merge));
    }
}

#[test]
fn a_line_of_merges_can_be_reverted_without_one() {
    let (forge, begin) = begin("merges");
    let work = forge.commit(&[begin], "ann", &[A]);
    let one = forge.merge("ann", begin, &[begin, work]);
    let work = forge.commit(&[one], "bob", &[B]);
    let two = forge.merge("bob", one, &[one, work]);
    for back in [begin, one] {
        let revert = forge.with(&[two], "bob", forge.files(back));
        let judgement = forge.judge(begin, revert);
        assert_eq!((accepted(&judgement), refused(&judgement)), (Some(revert), vec![]));
        // The same on a node that has only seen what came after what is brought back.
        let anchor = forge.anchor(begin, None, two);
        assert_eq!(accepted(&forge.judge_from(begin, Some(&anchor), revert)), Some(revert));
        // And one that brings a commit back that was made above the anchor.
        let anchor = forge.anchor(begin, None, begin);
        assert_eq!(accepted(&forge.judge_from(begin, Some(&anchor), revert)), Some(revert));
    }
    // Files that only a side branch had are none of the line's.
    let side = forge.commit(&[begin], "ann", &[("sdn/c.yaml", "zones: {}\n")]);
    let third = forge.merge("ann", begin, &[two, side]);
    assert_eq!(accepted(&forge.judge(begin, third)), Some(third));
    let copy = forge.with(&[third], "ann", forge.files(side));
    assert_eq!(refused(&forge.judge(begin, copy)), [(copy, "not-a-merge")]);
}

/// Ordinary work: a branch that began before somebody else's was merged.
#[test]
fn a_pull_request_opened_before_the_last_merge_passes() {
    for mainline in ["any", "merges"] {
        let (forge, begin) = begin(mainline);
        let ours = forge.commit(&[begin], "ann", &[A]);
        let theirs = forge.commit(&[begin], "bob", &[B]);
        let one = forge.merge("bob", begin, &[begin, theirs]);
        let anchor = forge.anchor(begin, None, one);
        let two = forge.merge("bob", begin, &[one, ours]);
        assert_eq!(accepted(&forge.judge_from(begin, Some(&anchor), two)), Some(two));
        // Brought up to date first: a merge of main into the work is no foxtrot, as long
        // as it stays the second parent.
        let update = forge.merge("ann", begin, &[ours, one]);
        let two = forge.merge("bob", one, &[one, update]);
        let judgement = forge.judge_from(begin, Some(&anchor), two);
        assert_eq!((accepted(&judgement), refused(&judgement)), (Some(two), vec![]));
    }
}

#[test]
fn criss_cross_octopus_and_foxtrot() {
    let (forge, begin) = begin("merges");
    let a = forge.commit(&[begin], "ann", &[A]);
    let b = forge.commit(&[begin], "bob", &[B]);
    // Each merges the other's, and then the two are merged.
    let ab = forge.merge("ann", begin, &[a, b]);
    let ba = forge.merge("bob", begin, &[b, a]);
    let cross = forge.merge("ann", begin, &[begin, ab, ba]);
    let judgement = forge.judge(begin, cross);
    assert_eq!((accepted(&judgement), refused(&judgement)), (Some(cross), vec![]));
    assert_eq!(judgement.accepted.expect("good").record().sequence, 2);
    // Either of them as the branch itself: its first parent is somebody's work.
    assert_eq!(refused(&forge.judge(begin, ab)), [(a, "not-a-merge"), (ab, "on-refused")]);
    // Main merged into work and pushed as main.
    let anchor = forge.anchor(begin, None, cross);
    let work = forge.commit(&[begin], "bob", &[("sdn/w.yaml", "zones: {}\n")]);
    let foxtrot = forge.merge("bob", begin, &[work, cross]);
    let judgement = forge.judge_from(begin, Some(&anchor), foxtrot);
    assert_eq!((judgement.standing, accepted(&judgement)), (Standing::Refused, None));
    assert_eq!(refused(&judgement), [(foxtrot, "foxtrot")]);
    // An octopus is charged with everything that it brings.
    let root = forge.commit(&[cross], "root", &[("weft.yaml", "weft: 1\ncluster: lab\n# x\n")]);
    let good = forge.commit(&[cross], "-", &[("sdn/g.yaml", "zones: {}\n")]);
    let octopus = forge.merge("bob", cross, &[cross, good, root]);
    assert_eq!(refused(&forge.judge(begin, octopus)), [(octopus, "path-not-allowed")]);
    let octopus = forge.merge("root", cross, &[cross, good, root]);
    assert_eq!(accepted(&forge.judge(begin, octopus)), Some(octopus));
}

/// A merge cannot bring old trust files back from a side branch, unless root merges.
#[test]
fn old_trust_files_from_a_side_branch() {
    let (forge, begin) = begin("any");
    let fewer = [(".weft/allowed_signers", lines(&["root", "ann"]))];
    let fewer = fewer.each_ref().map(|(path, text)| (*path, text.as_str()));
    let removed = forge.commit(&[begin], "root", &fewer);
    let by_removed = forge.commit(&[removed], "bob", &[A]);
    assert_eq!(refused(&forge.judge(begin, by_removed)), [(by_removed, "signer-unknown")]);
    let old = forge.commit(&[begin], "bob", &[A]);
    let mut files = forge.files(removed);
    files.insert(".weft/allowed_signers".to_owned(), lines(&["root", "ann", "bob"]).into());
    for (by, code) in [("ann", "path-not-allowed"), ("bob", "signer-unknown")] {
        let merge = forge.with(&[removed, old], by, files.clone());
        let judgement = forge.judge(begin, merge);
        assert_eq!(accepted(&judgement), Some(removed));
        assert_eq!(refused(&judgement), [(merge, code)]);
    }
    let merge = forge.with(&[removed, old], "root", files);
    assert_eq!(accepted(&forge.judge(begin, merge)), Some(merge));
    // The honest merge of the old branch keeps the new file.
    let merge = forge.merge("ann", begin, &[removed, old]);
    assert_eq!(accepted(&forge.judge(begin, merge)), Some(merge));
}

#[test]
fn an_old_tip_a_sibling_and_a_line_from_elsewhere() {
    let (forge, begin) = begin("any");
    let one = forge.commit(&[begin], "ann", &[A]);
    let two = forge.commit(&[one], "ann", &[B]);
    let anchor = forge.anchor(begin, None, two);
    // A roll-back to an older signed commit is no change.
    let judgement = forge.judge_from(begin, Some(&anchor), one);
    assert_eq!((judgement.standing, accepted(&judgement)), (Standing::Behind, Some(two)));
    // A force-push.
    let other = forge.commit(&[one], "ann", &[("sdn/c.yaml", "zones: {}\n")]);
    let judgement = forge.judge_from(begin, Some(&anchor), other);
    assert_eq!((accepted(&judgement), refused(&judgement)), (None, vec![(other, "rewritten")]));
    // Signed by the right people, and not from the introduction.
    let elsewhere = forge.commit(&[], "root", &[("weft.yaml", "weft: 1\ncluster: lab\n")]);
    let tip = forge.with(&[elsewhere], "root", forge.files(two));
    for anchor in [None, Some(&anchor)] {
        let judgement = forge.judge_from(begin, anchor, tip);
        assert_eq!(accepted(&judgement), None);
        let code = if anchor.is_some() { "rewritten" } else { "introduction-missing" };
        assert_eq!(refused(&judgement), [(tip, code)]);
    }
}

#[test]
fn a_node_introduced_after_old_keys_expired() {
    let forge = Forge::new();
    let signers =
        lines(&["root", "ann"]) + &super::forge::line("bob", "valid-before=\"20261102Z\"", "bob");
    let begin = forge.begin(&signers, ANY, &[]);
    let old = forge.commit(&[begin], "bob", &[A]);
    forge.wait(90 * 24 * 3600);
    // The key is gone from the file by now, and so is its holder.
    let late = forge.commit(&[old], "root", &[(".weft/allowed_signers", &lines(&["root", "ann"]))]);
    let tip = forge.commit(&[late], "ann", &[B]);
    // Introduced where it all began, and at a commit that is new.
    for introduction in [begin, late] {
        let judgement = forge.judge(introduction, tip);
        assert_eq!((accepted(&judgement), refused(&judgement)), (Some(tip), vec![]));
        assert_eq!(judgement.accepted.expect("good").record().sequence, 4);
    }
    // What `weft trust introduction` prints is such a place, and some commits are not.
    let memory = forge.memory.borrow();
    let store = weft::sync::Store::new(&*memory);
    let introduce =
        |commit| weft::sync::introduction(store, commit, forge.now()).expect("readable");
    let printed = introduce(late).expect("a commit to begin at");
    assert_eq!((printed.commit, printed.signer), (late, super::forge::signed_by("root")));
    let refusal = introduce(old).expect_err("its key has ended");
    assert_eq!((refusal.commit, refusal.code.as_str()), (old, "key-expired"));
    drop(memory);
    let unsigned = forge.commit(&[tip], "-", &[]);
    let memory = forge.memory.borrow();
    let store = weft::sync::Store::new(&*memory);
    let refusal = weft::sync::introduction(store, unsigned, forge.now());
    assert_eq!(refusal.expect("readable").expect_err("unsigned").code.as_str(), "unsigned");
}
