//! Clocks, and keys that begin, end and are revoked.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use weft::sync::Standing;
use weft::value::ObjectId;

use super::repository::{BEGIN, Repository, accepted, judge_in, public_key, refused};

const MINUTE: i64 = 60;

fn stamp(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).expect("a time").to_zoned(TimeZone::UTC);
    time.strftime("%Y%m%d%H%M%SZ").to_string()
}

/// A repository whose second commit gives bob's line these options.
fn with_options(options: &str) -> (Repository, ObjectId) {
    let repository = Repository::new();
    let bob = public_key(repository.home(), "bob");
    let lines = repository.signers(&["alice"]) + &format!("bob@example.org {options} {bob}\n");
    let id = repository.commit("alice", &[(".weft/allowed_signers", lines.as_bytes())]);
    (repository, id)
}

#[test]
fn committer_time_may_go_back_ten_minutes() {
    let repository = Repository::new();
    repository.change("bob");
    repository.wait(-11 * MINUTE);
    let good = repository.change("bob");
    repository.wait(11 * MINUTE);
    assert_eq!(accepted(&repository.judge(good)), Some(good));
    repository.wait(-22 * MINUTE - 1);
    let bad = repository.change("bob");
    repository.wait(60 * MINUTE);
    let judgement = repository.judge(bad);
    assert_eq!(accepted(&judgement), Some(good));
    assert_eq!(refused(&judgement), [(bad, "clock")]);
    // An anchor does not change that.
    let anchor = repository.anchor(good);
    assert_eq!(refused(&repository.judge_from(bad, Some(&anchor))), [(bad, "clock")]);
}

#[test]
fn committer_time_may_be_ten_minutes_ahead_of_now() {
    let repository = Repository::new();
    let tip = repository.change("bob");
    let objects = repository.objects();
    let made = Timestamp::from_second(BEGIN + 2 * MINUTE).expect("a time");
    for (ahead, expected) in [(600, Some(tip)), (601, Some(repository.introduction))] {
        let now = made - SignedDuration::from_secs(ahead);
        let judgement = judge_in(&objects, tip, &repository.trust(), None, now);
        assert_eq!(accepted(&judgement), expected, "{ahead}");
        assert_eq!(judgement.refused.len(), usize::from(ahead == 601));
    }
    // The introduction is no exception.
    let now = made - SignedDuration::from_hours(1);
    let judgement = judge_in(&objects, tip, &repository.trust(), None, now);
    assert_eq!(accepted(&judgement), None);
    assert_eq!(refused(&judgement)[0], (repository.introduction, "clock"));
}

#[test]
fn a_key_that_has_ended() {
    let until = BEGIN + 60 * MINUTE;
    let (repository, begin) = with_options(&format!("valid-before=\"{}\"", stamp(until)));
    let tip = repository.change("bob");
    let objects = repository.objects();
    let trust = repository.trust();
    let at = |seconds| Timestamp::from_second(seconds).expect("a time");
    // Valid now, valid at the last second, and no more.
    for (now, expected) in [(until - 60, tip), (until, tip), (until + 1, begin)] {
        let judgement = judge_in(&objects, tip, &trust, None, at(now));
        assert_eq!(accepted(&judgement), Some(expected), "{now}");
        assert_eq!(judgement.refused.len(), usize::from(now > until));
    }
    // A tip whose key is valid vouches for what is below it, whenever that is judged.
    repository.wait(120 * MINUTE);
    let above = repository.change("alice");
    let judgement = repository.judge(above);
    assert_eq!((accepted(&judgement), refused(&judgement)), (Some(above), vec![]));
    // A commit made after the end is refused, whatever is above it.
    let late = repository.change("bob");
    let top = repository.change("alice");
    let judgement = repository.judge(top);
    assert_eq!(accepted(&judgement), Some(above));
    assert_eq!(refused(&judgement), [(late, "key-expired"), (top, "on-refused")]);
}

#[test]
fn back_dating_does_not_revive_a_key() {
    let until = BEGIN + 60 * MINUTE;
    let (repository, _) = with_options(&format!("valid-before=\"{}\"", stamp(until)));
    repository.wait(120 * MINUTE);
    let good = repository.change("alice");
    repository.wait(-120 * MINUTE);
    let bad = repository.change("bob");
    repository.wait(120 * MINUTE);
    let judgement = repository.judge(bad);
    assert_eq!(accepted(&judgement), Some(good));
    assert_eq!(refused(&judgement), [(bad, "clock")]);
}

#[test]
fn back_dating_does_not_add_up() {
    let until = BEGIN + 20 * MINUTE;
    let (repository, _) = with_options(&format!("valid-before=\"{}\"", stamp(until)));
    repository.wait(23 * MINUTE);
    let top = repository.change("alice");
    // Each within the bound of its parent, together behind the end of bob's key.
    repository.wait(-9 * MINUTE);
    let back = repository.change("alice");
    repository.wait(-4 * MINUTE);
    let bad = repository.change("bob");
    repository.wait(60 * MINUTE);
    let fresh = repository.judge(bad);
    assert_eq!((accepted(&fresh), refused(&fresh)), (Some(back), vec![(bad, "clock")]));
    // The same on a node that has seen no more than the commit that went back.
    let anchor = repository.anchor(back);
    assert_eq!(anchor.latest, repository.anchor(top).record.committed);
    assert!(anchor.record.committed < anchor.latest);
    let judgement = repository.judge_from(bad, Some(&anchor));
    assert_eq!((accepted(&judgement), refused(&judgement)), (Some(back), vec![(bad, "clock")]));
    assert_eq!(judgement.accepted.expect("the anchor").get().latest, anchor.latest);
}

#[test]
fn a_key_that_has_not_begun() {
    let from = BEGIN + 60 * MINUTE;
    let (repository, begin) = with_options(&format!("valid-after=\"{}\"", stamp(from)));
    let early = repository.change("bob");
    let judgement = repository.judge(early);
    assert_eq!(accepted(&judgement), Some(begin));
    assert_eq!(refused(&judgement), [(early, "key-too-early")]);
    // Waiting does not help a commit that was made too early.
    repository.wait(60 * MINUTE);
    assert_eq!(refused(&repository.judge(early)), [(early, "key-too-early")]);
    repository.branch("main", begin);
    let good = repository.change("bob");
    assert_eq!(accepted(&repository.judge(good)), Some(good));
}

#[test]
fn another_line_with_the_key_does_not_extend_a_name() {
    let until = BEGIN + 60 * MINUTE;
    let repository = Repository::new();
    let bob = public_key(repository.home(), "bob");
    let lines = format!(
        "{}bob@example.org valid-before=\"{}\" {bob}\nguest@example.org {bob}\n",
        repository.signers(&["alice"]),
        stamp(until)
    );
    let begin = repository.commit("alice", &[(".weft/allowed_signers", lines.as_bytes())]);
    let tip = repository.change("bob");
    assert_eq!(accepted(&repository.judge(tip)), Some(tip));
    repository.wait(120 * MINUTE);
    let judgement = repository.judge(tip);
    assert_eq!(accepted(&judgement), Some(begin));
    assert_eq!(refused(&judgement), [(tip, "key-expired")]);
}

#[test]
fn a_revoked_key_never_counts() {
    let repository = Repository::new();
    let good = repository.change("alice");
    let bad = repository.change("bob");
    let tip = repository.change("alice");
    let objects = repository.objects();
    let mut trust = repository.trust();
    trust.revoked.insert(repository.fingerprint("bob"));
    let now = repository.now();
    let judgement = judge_in(&objects, tip, &trust, None, now);
    assert_eq!(accepted(&judgement), Some(good));
    assert_eq!(refused(&judgement), [(bad, "key-revoked"), (tip, "on-refused")]);
    // An anchor that rests on it is not used again; a good commit above it is.
    let anchor = repository.anchor(bad);
    let judgement = judge_in(&objects, bad, &trust, Some(&anchor), now);
    assert_eq!((judgement.standing, accepted(&judgement)), (Standing::Refused, None));
    assert_eq!(refused(&judgement), [(bad, "key-revoked")]);
    let judgement = judge_in(&objects, tip, &trust, Some(&anchor), now);
    assert_eq!((judgement.standing, accepted(&judgement)), (Standing::Advanced, Some(tip)));
    // The introduction's own key.
    trust.revoked.insert(repository.fingerprint("alice"));
    let judgement = judge_in(&objects, tip, &trust, None, now);
    assert_eq!(accepted(&judgement), None);
    assert!(refused(&judgement).iter().all(|(_, code)| *code == "key-revoked"));
}
