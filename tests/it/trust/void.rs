//! Commits that must never have been on the line, and the way back from them.

use camino::Utf8Path;
use weft::declare::{Findings, void};
use weft::sync::{Anchors, Standing};
use weft::value::ObjectId;

use super::anchor::Files;
use super::forge::{Forge, lines};
use super::repository::{accepted, refused};

const POLICY: &str = "
roles: {root: {principals: [root]}, operator: {principals: [ann, bob]}}
";
const VOID: &str = ".weft/void";

struct Scene {
    forge: Forge,
    begin: ObjectId,
    /// What all have.
    fork: ObjectId,
    /// What a server promoted: the first and the last of it.
    first: ObjectId,
    last: ObjectId,
    /// The branch as it should have been.
    main: ObjectId,
}

fn scene() -> Scene {
    let forge = Forge::new();
    let begin = forge.begin(&lines(&["root", "ann", "bob"]), POLICY, &[]);
    let fork = forge.commit(&[begin], "ann", &[("sdn/a.yaml", "zones: {}\n")]);
    let first = forge.commit(&[fork], "bob", &[("sdn/wip.yaml", "zones: {}\n")]);
    let middle = forge.commit(&[first], "bob", &[("sdn/wip.yaml", "vnets: {}\n")]);
    let last = forge.commit(&[middle], "bob", &[("sdn/wip.yaml", "guests: {}\n")]);
    let main = forge.commit(&[fork], "ann", &[("sdn/b.yaml", "zones: {}\n")]);
    Scene { forge, begin, fork, first, last, main }
}

#[test]
fn the_way_back() {
    let Scene { forge, begin, first, last, main, .. } = scene();
    let anchor = forge.anchor(begin, None, last);
    let judge = |tip| forge.judge_from(begin, Some(&anchor), tip);
    assert_eq!(refused(&judge(main)), [(main, "rewritten")]);
    let text = format!("# promoted by the server\n\n{first}  # bob's work\n");
    let void = forge.commit(&[main], "root", &[(VOID, &text)]);
    let judgement = judge(void);
    assert_eq!((judgement.standing, accepted(&judgement)), (Standing::Advanced, Some(void)));
    let record = judgement.accepted.as_ref().expect("good").record();
    // It is what a new node says of it, with a sequence below that of what is left.
    let fresh = forge.judge(begin, void).accepted.expect("good");
    assert_eq!(record, fresh.record());
    assert_eq!((record.sequence, anchor.record.sequence), (4, 5));
    // Also later, and past a commit that is refused.
    let later = forge.commit(&[void], "ann", &[("sdn/c.yaml", "zones: {}\n")]);
    assert_eq!(accepted(&judge(later)), Some(later));
    let bad = forge.commit(&[later], "-", &[]);
    let judgement = judge(bad);
    assert_eq!((accepted(&judgement), refused(&judgement)), (Some(later), vec![(bad, "unsigned")]));
    // The anchor moves there on the disk, and from there on up.
    let host = Files::default();
    let trust = super::forge::trust(begin, "root");
    let mut anchors = Anchors::open(&host, &trust, false).expect("a first run");
    let old = forge.judge(begin, last).accepted.expect("good");
    anchors.advance(&host, &old).expect("written");
    anchors.advance(&host, &judge(void).accepted.expect("good")).expect("crossed");
    let mut again = Anchors::open(&host, &trust, true).expect("an anchor");
    let crossed = again.anchor().expect("an anchor").clone();
    assert_eq!((crossed.record.commit, again.damaged()), (void, None::<&Utf8Path>));
    let next = forge.judge_from(begin, Some(&crossed), later).accepted.expect("good");
    again.advance(&host, &next).expect("written");
    let third = Anchors::open(&host, &trust, true).expect("an anchor");
    let third = third.anchor().expect("an anchor");
    assert_eq!(third.record.commit, later);
    // What still runs has a higher number, and must not become the anchor again.
    assert_eq!(third.left, crossed.left);
    assert_eq!(third.raised_to(&anchor.record), None);
    assert!(crossed.record.sequence < anchor.record.sequence);
    assert_eq!(crossed.raised_to(&anchor.record), None);
}

#[test]
fn nobody_but_root_says_so() {
    let Scene { forge, begin, first, last, main, .. } = scene();
    let anchor = forge.anchor(begin, None, last);
    for (signer, code) in [("ann", "path-not-allowed"), ("mallory", "signer-unknown")] {
        let void = forge.commit(&[main], signer, &[(VOID, &first.to_string())]);
        let judgement = forge.judge_from(begin, Some(&anchor), void);
        // As long as the commit that says so is refused, the line says nothing.
        assert_eq!((accepted(&judgement), refused(&judgement)), (None, vec![(void, "rewritten")]));
        assert_eq!(refused(&forge.judge(begin, void)), [(void, code)]);
    }
    // Nor does a side branch say it, or a commit whose signature nobody made.
    let side = forge.commit(&[main], "root", &[(VOID, &first.to_string())]);
    let merge = forge.with(&[main, side], "ann", forge.files(main));
    let judgement = forge.judge_from(begin, Some(&anchor), merge);
    assert_eq!(refused(&judgement), [(merge, "rewritten")]);
}

#[test]
fn it_names_the_first_commit_and_no_other() {
    let Scene { forge, begin, fork, first, last, main } = scene();
    let anchor = forge.anchor(begin, None, last);
    // The anchor itself, when it is not the first: what lies between was never declared void.
    for named in [last, main, fork] {
        let tip = forge.commit(&[main], "root", &[(VOID, &named.to_string())]);
        let judgement = forge.judge_from(begin, Some(&anchor), tip);
        assert_eq!(accepted(&judgement), None, "{named}");
    }
    // A line that leaves lower down gives up more than the void commit and what is on it.
    let lower = forge.commit(&[begin], "root", &[(VOID, &first.to_string())]);
    let judgement = forge.judge_from(begin, Some(&anchor), lower);
    assert_eq!((accepted(&judgement), refused(&judgement)), (None, vec![(lower, "rewritten")]));
    // The anchor that is the first.
    let anchor = forge.anchor(begin, None, first);
    let tip = forge.commit(&[main], "root", &[(VOID, &first.to_string())]);
    assert_eq!(accepted(&forge.judge_from(begin, Some(&anchor), tip)), Some(tip));
}

#[test]
fn never_in_circles() {
    let Scene { forge, begin, first, last, main, .. } = scene();
    let here = forge.commit(&[main], "root", &[(VOID, &first.to_string())]);
    let there = forge.commit(&[last], "root", &[(VOID, &main.to_string())]);
    let crossed = forge.anchor(begin, Some(&forge.anchor(begin, None, last)), here);
    assert_eq!(crossed.left.as_ref().map(|left| left.commit), Some(last));
    // Back to a line that was left, which says the same of this one.
    let judgement = forge.judge_from(begin, Some(&crossed), there);
    assert_eq!((accepted(&judgement), refused(&judgement)), (None, vec![(first, "voided")]));
    // Each stays where it is.
    let other = forge.anchor(begin, None, there);
    let judgement = forge.judge_from(begin, Some(&other), here);
    assert_eq!((accepted(&judgement), refused(&judgement)), (None, vec![(main, "voided")]));
}

#[test]
fn a_line_does_not_void_itself() {
    let Scene { forge, begin, fork, first, main, .. } = scene();
    for own in [begin, fork, main] {
        let tip = forge.commit(&[main], "root", &[(VOID, &own.to_string())]);
        for anchor in [None, Some(forge.anchor(begin, None, main))] {
            let judgement = forge.judge_from(begin, anchor.as_ref(), tip);
            assert_eq!(accepted(&judgement), Some(main));
            assert_eq!(refused(&judgement), [(tip, "voids-own-line")]);
        }
    }
    // What is void on the line may still be merged: then it is a side of the history.
    let void = forge.commit(&[main], "root", &[(VOID, &first.to_string())]);
    let merge = forge.merge("ann", fork, &[void, first]);
    assert_eq!(accepted(&forge.judge(begin, merge)), Some(merge));
}

#[test]
fn a_file_that_cannot_be_read_is_refused() {
    let Scene { forge, begin, main, first, .. } = scene();
    let short = &first.to_string()[..12];
    for text in [short, "HEAD", &format!("{first} {first}"), &format!("x{first}"), "\u{a0}"] {
        let tip = forge.commit(&[main], "root", &[(VOID, text)]);
        let judgement = forge.judge(begin, tip);
        assert_eq!(refused(&judgement), [(tip, "trust-files-broken")], "{text}");
    }
    let mut findings = Findings::default();
    let file = void::FILE.parse().expect("a path");
    let read = void::read(&file, &format!("# why\r\n\t{first}\r\n{first}#\n{main}"), &mut findings);
    assert!(findings.is_empty() && read == [first, main].into());
    void::read(&file, "a\n\nb", &mut findings);
    let codes: Vec<_> =
        findings.iter().map(|f| (f.code.id(), f.marks[0].place.span.line)).collect();
    assert_eq!(codes, [("bad-void", 1), ("bad-void", 3)]);
    let mut findings = Findings::default();
    assert!(void::read(&file, &"\n".repeat(5_000), &mut findings).is_empty());
    assert!(findings.has_errors());
}

/// Where nothing of the anchor is left, nobody can say what would be given up.
#[test]
fn without_the_objects_of_the_anchor() {
    let Scene { forge, begin, first, last, main, .. } = scene();
    let anchor = forge.anchor(begin, None, last);
    let void = forge.commit(&[main], "root", &[(VOID, &first.to_string())]);
    forge.memory.borrow_mut().objects.remove(&last);
    let judgement = forge.judge_from(begin, Some(&anchor), void);
    assert_eq!((accepted(&judgement), refused(&judgement)), (None, vec![(void, "rewritten")]));
}
