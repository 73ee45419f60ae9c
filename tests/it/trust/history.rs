//! The rule of authorisation, on histories made with git.

use weft::sync::objects::{Kind, ObjectError};
use weft::sync::{HistoryError, Standing};

use super::repository::{POLICY, Repository, accepted, decide, judge_in, refused};

#[test]
fn a_good_line() {
    let repository = Repository::new();
    let first = repository.judge(repository.introduction);
    assert_eq!(
        (first.standing, accepted(&first)),
        (Standing::Advanced, Some(repository.introduction))
    );
    repository.change("bob");
    repository.commit("alice", &[("weft.yaml", b"weft: 1\ncluster: lab\nstrict: true\n")]);
    let tip = repository.change("bob");
    let judgement = repository.judge(tip);
    assert_eq!(refused(&judgement), []);
    let record = judgement.accepted.expect("good").record().clone();
    assert_eq!((record.commit, record.sequence), (tip, 4));
    assert_eq!(record.signer.as_str(), "bob@example.org");
    assert_eq!(record.key, repository.fingerprint("bob").to_string());
    assert_eq!(record.subject, "sdn: a change");
}

#[test]
fn the_sequence_counts_from_the_root() {
    let mut repository = Repository::empty();
    for _ in 0..3 {
        repository.commit("-", &[("notes", b"unsigned, below the introduction")]);
    }
    let lines = repository.signers(&["alice"]);
    let policy = b"roles: {root: {principals: [alice@example.org]}}";
    repository.introduction = repository.commit(
        "alice",
        &[(".weft/allowed_signers", lines.as_bytes()), (".weft/policy.yaml", policy)],
    );
    let tip = repository.change("alice");
    let fresh = repository.judge(tip).accepted.expect("good").record().clone();
    assert_eq!(fresh.sequence, 5);
    let anchor = repository.anchor(repository.introduction);
    let anchored =
        repository.judge_from(tip, Some(&anchor)).accepted.expect("good").record().clone();
    assert_eq!(anchored, fresh);
}

#[test]
fn unsigned() {
    let repository = Repository::new();
    let good = repository.change("bob");
    let bad = repository.change("-");
    let above = repository.change("alice");
    let judgement = repository.judge(above);
    assert_eq!(accepted(&judgement), Some(good));
    assert_eq!(refused(&judgement), [(bad, "unsigned"), (above, "on-refused")]);
    // The same for a node that has an anchor, which then stays where it is.
    let anchor = repository.anchor(good);
    let judgement = repository.judge_from(above, Some(&anchor));
    assert_eq!((judgement.standing, accepted(&judgement)), (Standing::Refused, Some(good)));
    assert_eq!(refused(&judgement), [(bad, "unsigned"), (above, "on-refused")]);
}

#[test]
fn unknown_key_and_no_role() {
    let repository = Repository::new();
    for (signer, code) in [("mallory", "signer-unknown"), ("carol", "role-missing")] {
        repository.branch("try", repository.introduction);
        let tip = repository.change(signer);
        let judgement = repository.judge(tip);
        assert_eq!(accepted(&judgement), Some(repository.introduction));
        assert_eq!(refused(&judgement), [(tip, code)]);
        // A commit that changes nothing needs a role as well.
        repository.branch("try", repository.introduction);
        let tip = repository.commit_index(signer);
        assert_eq!(refused(&repository.judge(tip)), [(tip, code)]);
    }
}

#[test]
fn a_signature_moved_to_another_commit() {
    let repository = Repository::new();
    let tip = repository.change("bob");
    let mut objects = repository.objects();
    let forged = String::from_utf8(objects.bytes(tip).to_vec()).expect("text");
    let forged = objects.add(Kind::Commit, forged.replace("sdn: a", "sdn: b").as_bytes());
    let judgement = judge_in(&objects, forged, &repository.trust(), None, repository.now());
    assert_eq!(accepted(&judgement), Some(repository.introduction));
    assert_eq!(refused(&judgement), [(forged, "signature-bad")]);
}

#[test]
fn wrong_first_signer() {
    let repository = Repository::new();
    let mut trust = repository.trust();
    trust.introduction.signer = repository.fingerprint("bob");
    let tip = repository.change("bob");
    let judgement = judge_in(&repository.objects(), tip, &trust, None, repository.now());
    assert_eq!((judgement.standing, accepted(&judgement)), (Standing::Refused, None));
    assert_eq!(
        refused(&judgement),
        [(repository.introduction, "introduction-signer"), (tip, "on-refused")]
    );
}

#[test]
fn not_a_descendant_of_the_introduction() {
    let mut repository = Repository::new();
    let sibling = repository.change("alice");
    repository.branch("other", repository.introduction);
    let start = repository.introduction;
    repository.introduction = repository.commit("alice", &[("docs/other", b"1")]);
    for tip in [sibling, start] {
        let judgement = repository.judge(tip);
        assert_eq!((judgement.standing, accepted(&judgement)), (Standing::Refused, None));
        assert_eq!(refused(&judgement), [(tip, "introduction-missing")]);
    }
    // Through a second parent is not on the line.
    repository.checkout(&sibling.to_string());
    let tip = repository.merge("alice", "other");
    assert_eq!(refused(&repository.judge(tip)), [(tip, "introduction-missing")]);
}

#[test]
fn no_trust_files_at_the_introduction() {
    let mut repository = Repository::empty();
    repository.introduction = repository.commit("alice", &[("sdn/a.yaml", b"zones: {}")]);
    let judgement = repository.judge(repository.introduction);
    assert_eq!(accepted(&judgement), None);
    assert_eq!(refused(&judgement), [(repository.introduction, "trust-files-broken")]);
}

#[test]
fn trust_files_that_are_removed_emptied_or_broken() {
    let repository = Repository::new();
    let signers = repository.signers(&["alice", "bob", "carol"]);
    let only_bob = repository.signers(&["bob"]);
    let bad_line = format!("{signers}dave@example.org ssh-rsa AAAA\n");
    let cases: [(&str, &[u8]); 9] = [
        (".weft/policy.yaml", b"-"),
        (".weft/allowed_signers", b"-"),
        (".weft", b"-"),
        (".weft/policy.yaml", b""),
        (".weft/policy.yaml", b"roles: {root: {principals: []}}"),
        (".weft/policy.yaml", b"roles: {root: {principals: [alice@example.org]}, other: {}}"),
        (".weft/allowed_signers", only_bob.as_bytes()),
        (".weft/allowed_signers", bad_line.as_bytes()),
        (".weft/allowed_signers", b"\xff"),
    ];
    for (path, contents) in cases {
        repository.branch("try", repository.introduction);
        let tip = repository.commit("alice", &[(path, contents)]);
        // Nothing can be built on it, not even its repair.
        let repair = repository.commit(
            "alice",
            &[
                (".weft/policy.yaml", POLICY.as_bytes()),
                (".weft/allowed_signers", signers.as_bytes()),
            ],
        );
        let judgement = repository.judge(repair);
        assert_eq!(accepted(&judgement), Some(repository.introduction), "{path}");
        let found = refused(&judgement);
        assert_eq!(found, [(tip, "trust-files-broken"), (repair, "on-refused")], "{path}");
        assert!(judgement.refused[0].message.contains(".weft"), "{}", judgement.refused[0].message);
    }
}

#[test]
fn operators_and_the_trust_files() {
    let repository = Repository::new();
    let signers = repository.signers(&["alice", "bob", "mallory"]);
    let files: [(&str, &[u8]); 6] = [
        (".weft/allowed_signers", signers.as_bytes()),
        (".weft/policy.yaml", b"-"),
        (".weft/void", b"x"),
        ("weft.yaml", b"weft: 1\ncluster: other\n"),
        ("weft.yaml", b"-"),
        ("lab/weft.yaml", b"weft: 1\ncluster: lab\n"),
    ];
    for (path, contents) in files {
        repository.branch("try", repository.introduction);
        let tip = repository.commit("bob", &[("sdn/more.yaml", b"zones: {}"), (path, contents)]);
        let judgement = repository.judge(tip);
        assert_eq!(accepted(&judgement), Some(repository.introduction));
        assert_eq!(refused(&judgement), [(tip, "path-not-allowed")], "{path}");
        assert!(judgement.refused[0].message.contains(path), "{}", judgement.refused[0].message);
    }
    // The mode of a file is a change as well.
    repository.branch("try", repository.introduction);
    repository.git(&["update-index", "--chmod=+x", "weft.yaml"]);
    let tip = repository.commit_index("bob");
    assert_eq!(refused(&repository.judge(tip)), [(tip, "path-not-allowed")]);
    // And so is a directory in the place of a file.
    repository.branch("try", repository.introduction);
    let tip = repository.commit("bob", &[("weft.yaml", b"-"), ("weft.yaml/x", b"1")]);
    assert_eq!(refused(&repository.judge(tip)), [(tip, "path-not-allowed")]);
}

#[test]
fn a_policy_counts_from_the_next_commit() {
    let repository = Repository::new();
    let more = repository.signers(&["alice", "bob", "mallory"]);
    let policy = "roles: {root: {principals: [alice@example.org, mallory@example.org]}}";
    let files: [(&str, &[u8]); 2] =
        [(".weft/allowed_signers", more.as_bytes()), (".weft/policy.yaml", policy.as_bytes())];
    // In one commit by oneself: judged by what was before.
    let tip = repository.commit("mallory", &files);
    assert_eq!(refused(&repository.judge(tip)), [(tip, "signer-unknown")]);
    repository.branch("main", repository.introduction);
    let own = "roles: {root: {principals: [alice@example.org, bob@example.org]}}";
    let tip = repository.commit("bob", &[(".weft/policy.yaml", own.as_bytes())]);
    assert_eq!(refused(&repository.judge(tip)), [(tip, "path-not-allowed")]);
    // By root, and then used.
    repository.branch("main", repository.introduction);
    repository.commit("alice", &files);
    let used = repository.commit("mallory", &[("weft.yaml", b"weft: 1\ncluster: lab\n# m\n")]);
    assert_eq!(accepted(&repository.judge(used)), Some(used));
    // bob lost his role with it.
    let tip = repository.change("bob");
    assert_eq!(refused(&repository.judge(tip)), [(tip, "role-missing")]);
}

#[test]
fn merges_are_charged_to_their_signer() {
    let repository = Repository::new();
    // Unsigned work of somebody without any right.
    repository.branch("work", repository.introduction);
    repository.commit("-", &[("sdn/work.yaml", b"vnets: {}")]);
    repository.commit("mallory", &[("sdn/more.yaml", b"vnets: {}")]);
    repository.checkout("main");
    repository.change("bob");
    let merge = repository.merge("bob", "work");
    let judgement = repository.judge(merge);
    assert_eq!((accepted(&judgement), refused(&judgement)), (Some(merge), vec![]));
    assert_eq!(judgement.accepted.expect("good").record().sequence, 3);
    // Work that only root may do, signed by root on its side and merged by an operator.
    repository.branch("work", repository.introduction);
    repository.commit("alice", &[("weft.yaml", b"weft: 1\ncluster: lab\nstrict: true\n")]);
    repository.checkout("main");
    let bad = repository.merge("bob", "work");
    let judgement = repository.judge(bad);
    assert_eq!(
        (accepted(&judgement), refused(&judgement)),
        (Some(merge), vec![(bad, "path-not-allowed")])
    );
    repository.branch("main", merge);
    let good = repository.merge("alice", "work");
    assert_eq!(accepted(&repository.judge(good)), Some(good));
    // An octopus of unsigned branches.
    for name in ["one", "two"] {
        repository.branch(name, merge);
        repository.commit("-", &[(&format!("sdn/{name}.yaml"), b"vnets: {}")]);
    }
    repository.branch("main", merge);
    repository.wait(60);
    repository.signed("bob", &["merge", "-q", "--no-ff", "-m", "octopus", "one", "two"]);
    let octopus = repository.head();
    assert_eq!(accepted(&repository.judge(octopus)), Some(octopus));
    assert_eq!(repository.git(&["rev-list", "--parents", "-1", "HEAD"]).split(' ').count(), 4);
}

#[test]
fn rewritten_foxtrot_behind_and_current() {
    let repository = Repository::new();
    let one = repository.change("bob");
    let two = repository.change("bob");
    let anchor = repository.anchor(two);
    let current = repository.judge_from(two, Some(&anchor));
    assert_eq!((current.standing, accepted(&current)), (Standing::Current, Some(two)));
    for tip in [one, repository.introduction] {
        let behind = repository.judge_from(tip, Some(&anchor));
        assert_eq!((behind.standing, accepted(&behind)), (Standing::Behind, Some(two)));
        assert_eq!(refused(&behind), []);
    }
    // Somebody merges main into their work and pushes that as main.
    repository.branch("work", one);
    repository.commit("alice", &[("docs/work", b"1")]);
    let foxtrot = repository.merge("alice", "main");
    let judgement = repository.judge_from(foxtrot, Some(&anchor));
    assert_eq!((judgement.standing, accepted(&judgement)), (Standing::Refused, None));
    assert_eq!(refused(&judgement), [(foxtrot, "foxtrot")]);
    assert!(judgement.refused[0].help.contains("the other way round"));
    // The branch is replaced by another good line.
    repository.branch("main", one);
    let other = repository.commit("alice", &[("docs/other", b"1")]);
    let judgement = repository.judge_from(other, Some(&anchor));
    assert_eq!((judgement.standing, accepted(&judgement)), (Standing::Refused, None));
    assert_eq!(refused(&judgement), [(other, "rewritten")]);
    // The same where the remote has nothing of the anchor left, nor has the cache.
    let mut objects = repository.objects();
    objects.objects.remove(&two);
    let judgement = judge_in(&objects, other, &repository.trust(), Some(&anchor), repository.now());
    assert_eq!(refused(&judgement), [(other, "rewritten")]);
}

#[test]
fn an_anchor_of_something_else_is_an_error() {
    let repository = Repository::new();
    let tip = repository.change("bob");
    let objects = repository.objects();
    let mut anchor = repository.anchor(repository.introduction);
    anchor.cluster = "other".parse().expect("a name");
    let result = decide(&objects, tip, &repository.trust(), Some(&anchor), repository.now());
    assert!(matches!(result, Err(HistoryError::OtherAnchor)));
}

#[test]
fn with_an_anchor_only_what_is_above_is_read() {
    let repository = Repository::new();
    for _ in 0..5 {
        repository.change("bob");
    }
    let below = repository.head();
    let tip = repository.change("alice");
    let anchor = repository.anchor(below);
    let objects = repository.objects();
    let judgement = judge_in(&objects, tip, &repository.trust(), Some(&anchor), repository.now());
    assert_eq!(accepted(&judgement), Some(tip));
    let kinds: Vec<Kind> =
        objects.reads.borrow().keys().map(|id| objects.objects[id].kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == Kind::Commit).count(), 2);
    // Two roots, two `sdn`, the one `.weft`; its two files.
    assert_eq!(kinds.iter().filter(|kind| **kind == Kind::Tree).count(), 5);
    assert_eq!(kinds.iter().filter(|kind| **kind == Kind::Blob).count(), 2);
}

#[test]
fn malformed_commits() {
    let repository = Repository::new();
    let good = repository.change("bob");
    let tip = repository.change("bob");
    let mut objects = repository.objects();
    let text = String::from_utf8(objects.bytes(tip).to_vec()).expect("text");
    let (trust, now) = (repository.trust(), repository.now());
    let check = |objects: &super::objects::Memory, tip| {
        let judgement = judge_in(objects, tip, &trust, None, now);
        (accepted(&judgement), refused(&judgement))
    };
    // What git accepts and other readers do not; the line below is still found.
    let second =
        objects.add(Kind::Commit, text.replacen("\n\n", "\ngpgsig bogus\n\n", 1).as_bytes());
    assert_eq!(check(&objects, second), (Some(good), vec![(second, "commit-malformed")]));
    let long = objects.add(Kind::Commit, format!("{text}{}", "x".repeat(70_000)).as_bytes());
    // Beyond a bound nothing below is looked for.
    let parents = format!("parent {good}\n").repeat(65);
    let many = text.replacen(&format!("parent {good}\n"), &parents, 1);
    let many = objects.add(Kind::Commit, many.as_bytes());
    for ended in [long, many] {
        let refusals = vec![(ended, "commit-malformed"), (ended, "introduction-missing")];
        assert_eq!(check(&objects, ended), (None, refusals));
    }
    // A head that nobody can read hides what is below.
    let headless = objects.add(Kind::Commit, text.replacen("tree", "Tree", 1).as_bytes());
    let refusals = vec![(headless, "commit-malformed"), (headless, "introduction-missing")];
    assert_eq!(check(&objects, headless), (None, refusals));
    // A parent that is no commit.
    let blob = objects.add(Kind::Blob, b"x");
    let wrong = text.replacen(&good.to_string(), &blob.to_string(), 1);
    let wrong = objects.add(Kind::Commit, wrong.as_bytes());
    assert_eq!(
        check(&objects, wrong),
        (None, vec![(blob, "commit-malformed"), (wrong, "introduction-missing")])
    );
}

#[test]
fn forged_missing_and_mislabelled_objects() {
    let repository = Repository::new();
    let tip = repository.change("bob");
    let (trust, now) = (repository.trust(), repository.now());
    let zones = repository.git(&["rev-parse", "HEAD:sdn/zones.yaml"]);
    let weft = repository.git(&["rev-parse", "HEAD:.weft"]).parse().expect("an id");
    let policy = repository.git(&["rev-parse", "HEAD:.weft/policy.yaml"]).parse().expect("an id");
    for id in [tip, weft, policy] {
        let mut objects = repository.objects();
        // A size that is claimed decides nothing.
        objects.huge.insert(id, 1 << 30);
        let result = decide(&objects, tip, &trust, None, now);
        let error = result.expect_err("no bytes");
        assert!(matches!(error, HistoryError::Object(ObjectError::TooLarge { .. })), "{error}");
        objects.huge.clear();
        objects.objects.get_mut(&id).expect("there").bytes.push(b' ');
        let result = decide(&objects, tip, &trust, None, now);
        let error = result.expect_err("forged").to_string();
        assert!(error.contains("does not have the contents"), "{error}");
        objects.objects.remove(&id);
        let result = decide(&objects, tip, &trust, None, now);
        let error = result.expect_err("missing").to_string();
        assert!(error.contains("is missing"), "{error}");
    }
    // The kind is part of what is hashed.
    let mut objects = repository.objects();
    objects.objects.get_mut(&tip).expect("there").kind = Kind::Blob;
    let error = decide(&objects, tip, &trust, None, now).expect_err("forged");
    assert!(error.to_string().contains("does not have the contents"));
    // Declarations are not needed to judge a history, so their loss is not felt here.
    let mut objects = repository.objects();
    objects.objects.remove(&zones.parse().expect("an id"));
    assert!(decide(&objects, tip, &trust, None, now).is_ok());
}

#[test]
fn many_refusals_are_counted() {
    let repository = Repository::new();
    let bad = repository.change("-");
    let mut objects = repository.objects();
    let mut tip = bad;
    let text = String::from_utf8(objects.bytes(bad).to_vec()).expect("text");
    for _ in 0..500 {
        let (head, rest) = text.split_once("parent ").expect("a parent");
        tip = objects.add(Kind::Commit, format!("{head}parent {tip}{}", &rest[40..]).as_bytes());
    }
    let judgement = judge_in(&objects, tip, &repository.trust(), None, repository.now());
    assert_eq!(accepted(&judgement), Some(repository.introduction));
    assert_eq!((judgement.refused.len(), judgement.omitted), (100, 401));
    assert_eq!(judgement.refused[0].commit, bad);
}
