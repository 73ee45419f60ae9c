//! Files of `allowed_signers` of many shapes: what is read from them, ssh-keygen reads.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use ssh_key::PublicKey;
use ssh_key::public::KeyData;
use weft::declare::signers::{Signers, read};
use weft::declare::{Findings, Severity};

use super::repository::{make_key, output, program};

/// How many files; ssh-keygen is asked about each three times.
const FILES: usize = 150;

/// The signers whose signatures there are, and others.
const SIGNING: [(&str, &[&str]); 3] =
    [("one", &["ed25519"]), ("two", &["ecdsa", "-b", "256"]), ("three", &["rsa", "-b", "3072"])];
const WEAK: &[&str] = &["rsa", "-b", "2048"];

/// What is refused here and taken by ssh-keygen, as the findings call it. Everything else
/// that one of the two refuses, both refuse.
const STRICTER: &[&str] = &[
    // Nodes would not agree on it, or could not verify it.
    "is in the zone of whichever machine reads it",
    "certificates are not accepted as signers",
    "an RSA key of 2048 bits instead of 3072 to 16384 is not accepted",
    "a key of type `ssh-dss` is not accepted",
    // Nobody could ever sign; ssh-keygen finds this only when it comes to that line.
    "the key is never valid",
    // Forms of the same that ssh reads as well.
    "` stands in the line",
    "is no list of principals",
    "is no list of namespaces",
    "has no value in quotes",
    "is no option of a signer",
    "is no time",
    // ssh-keygen stops at the line that it looks for and does not see what is wrong below.
    "stands twice in the line",
    "the line has no key",
    "is neither an option nor a type of key",
    "a key that cannot be read",
];

fn mostly(good: &[&str], odd: &[&str]) -> BoxedStrategy<String> {
    let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    prop_oneof![40 => select(own(good)), 1 => select(own(odd))].boxed()
}

fn principals() -> BoxedStrategy<String> {
    let long = format!("!{}", "x".repeat(1100));
    let pattern = mostly(
        &[
            "alice@x", "alice@x", "alice@x", "alice@x", "bob@x", "bob@x", "bob@x", "carol@y",
            "*@x", "al?ce@x", "!bob@x", "!alice@x", "!*@y", "Alice@x", "a*e@?",
        ],
        &["\"alice@x\"", "", "!", "al!ce@x", "alice@x\\", "é@x", &long],
    );
    vec(pattern, 1..4).prop_map(|all| all.join(",")).boxed()
}

fn options() -> BoxedStrategy<String> {
    let long = format!("namespaces=\"{},git\"", "x".repeat(1100));
    let namespaces = mostly(
        &[
            "namespaces=\"git\"",
            "namespaces=\"git\"",
            "namespaces=\"file\"",
            "namespaces=\"file,git\"",
            "namespaces=\"g*,!gi\"",
            "namespaces=\"*,!git\"",
        ],
        &[
            "NAMESPACES=\"git\"",
            "namespaces=\"\"",
            "namespaces=\"gi\\\"t,git\"",
            "namespaces=\"git, file\"",
            "namespaces=git",
            "namespaces",
            &long,
        ],
    );
    let after = mostly(
        &["valid-after=\"20260301Z\"", "valid-after=\"202602280000Z\""],
        &["valid-after=\"20260301\"", "valid-after=\"19700101Z\"", "Valid-After=\"20200101Z\""],
    );
    let before = mostly(
        &[
            "valid-before=\"20260301Z\"",
            "valid-before=\"20260301000001Z\"",
            "valid-before=\"20270101Z\"",
        ],
        &[
            "valid-before=\"202603011200\"",
            "valid-before=\"2026-03-01Z\"",
            "valid-before=\"20260230Z\"",
            "valid-before=20260301Z",
        ],
    );
    let odd = select(vec!["cert-authority", "verify-required", "no-touch-required", "", "x=\"y\""]);
    let odd = prop_oneof![30 => Just(None), 1 => odd.prop_map(|odd| Some(odd.to_owned()))];
    let some = |option: BoxedStrategy<String>, weight| prop_oneof![3 => Just(None), weight => option.prop_map(Some)];
    let joint = prop_oneof![30 => Just(","), 1 => Just(", "), 1 => Just(",,")];
    let all = (some(before, 1), some(namespaces.clone(), 2), odd, some(after, 1));
    let twice = prop_oneof![30 => Just(None), 1 => namespaces.prop_map(Some)];
    (all, twice, joint)
        .prop_map(|((before, namespaces, odd, after), twice, joint)| {
            let all = [before, namespaces, odd, after, twice];
            all.into_iter().flatten().collect::<Vec<_>>().join(joint)
        })
        .boxed()
}

/// A file, from the lines of some keys.
fn file(keys: &[String]) -> BoxedStrategy<String> {
    // Mostly the keys that sign.
    let (signing, others) = keys.split_at(SIGNING.len());
    let texts = |keys: &[String]| keys.to_vec();
    let key = prop_oneof![20 => select(texts(signing)), 1 => select(texts(others))];
    let begin = mostly(&["", "", "", " ", "\t", " \t "], &["#", " # ", "\r"]);
    let blank = mostly(&[" ", " ", "\t", "  ", " \t"], &["\u{a0}", "\u{b}"]);
    let note = mostly(&["", "", " note", " # note", " a \"note", " ä"], &["\r", " \r", " \u{7}"]);
    let line = (begin, principals(), blank.clone(), options(), blank.clone(), key, note).prop_map(
        |(begin, principals, one, options, two, key, note)| {
            let gap = if options.is_empty() { String::new() } else { format!("{one}{options}") };
            format!("{begin}{principals}{gap}{two}{key}{note}")
        },
    );
    let odd = select(vec!["", "# comment", " \t", "alice@x", "alice@x ssh-ed25519"]);
    let line = prop_oneof![12 => line, 1 => odd.prop_map(str::to_owned)];
    let end = prop_oneof![Just("\n"), Just("")];
    (vec(line, 1..4), end).prop_map(|(lines, end)| lines.join("\n") + end).boxed()
}

struct Scene<'a> {
    home: &'a Path,
    text: String,
    signers: Signers,
    findings: Findings,
}

#[derive(Debug)]
struct Question {
    key: usize,
    /// With which line's key it was signed, where that is one that signs.
    line: prop::sample::Index,
    principal: &'static str,
    namespace: &'static str,
    at: Timestamp,
}

impl Scene<'_> {
    fn ours(&self, question: &Question, keys: &[KeyData]) -> bool {
        let Question { key, namespace, at, .. } = *question;
        !self.findings.has_errors()
            && self
                .signers
                .principals(&keys[key], namespace, at)
                .is_ok_and(|names| names.iter().any(|name| name.as_str() == question.principal))
    }

    fn ssh(&self, arguments: &[&str], question: &Question) -> bool {
        let Question { key, namespace, at, .. } = question;
        let at = at.to_zoned(TimeZone::UTC).strftime("%Y%m%d%H%M%SZ").to_string();
        program("ssh-keygen", self.home)
            .args(arguments)
            .args(["-f", "signers", "-s", &format!("{}.{namespace}", SIGNING[*key].0)])
            .arg(format!("-Overify-time={at}"))
            .stdin(std::fs::File::open(self.home.join("message")).expect("a file"))
            .output()
            .expect("ssh-keygen")
            .status
            .success()
    }

    /// Why this file may be refused here and not by ssh-keygen.
    fn stricter(&self, question: &Question) -> &'static str {
        let errors: Vec<&str> = self
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .map(|finding| finding.message.as_str())
            .collect();
        if errors.is_empty() {
            let literal = |line: &str| {
                let list = line.trim_start().split([' ', '\t']).next().unwrap_or_default();
                list.split(',').any(|name| name == question.principal)
            };
            // A pattern stands for nobody here, and no line names the principal that it
            // could stand for with this key.
            let key =
                std::fs::read_to_string(self.home.join(format!("{}.pub", SIGNING[question.key].0)));
            let key = key.expect("a key");
            let data = key.split(' ').nth(1).expect("a key");
            let spelled = self.text.lines().filter(|line| line.contains(data)).any(literal);
            let wild = self.text.contains(['*', '?']);
            assert!(wild, "{question:?}: {:?}", self.text);
            return if spelled { "pattern beside a name" } else { "pattern" };
        }
        for error in &errors {
            let known = STRICTER.iter().find(|reason| error.contains(*reason));
            assert!(known.is_some(), "{error}: {:?}", self.text);
        }
        STRICTER.iter().find(|reason| errors[0].contains(*reason)).expect("it was there")
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

#[test]
fn never_more_than_ssh_keygen() {
    let start = Instant::now();
    let directory = tempfile::tempdir().expect("a directory");
    let home = directory.path();
    std::fs::write(home.join("message"), "text").expect("written");
    let mut lines = Vec::new();
    let mut keys = Vec::new();
    for (name, kind) in SIGNING {
        lines.push(make_key(home, name, kind));
        keys.push(PublicKey::from_openssh(&lines[keys.len()]).expect("a key").key_data().clone());
        for namespace in ["git", "file"] {
            output(
                program("ssh-keygen", home)
                    .args(["-q", "-Y", "sign", "-f", name, "-n", namespace, "message"]),
            );
            let signature = home.join(format!("{name}.{namespace}"));
            std::fs::rename(home.join("message.sig"), signature).expect("renamed");
        }
    }
    lines.push(make_key(home, "weak", WEAK));
    let cut = lines[1][..lines[1].len() - 8].to_owned();
    let swapped = lines[0].replace("ssh-ed25519", "ecdsa-sha2-nistp256");
    let dss = "ssh-dss AAAAB3NzaC1kc3MAAACB".to_owned();
    lines.extend([cut, swapped, dss, "ssh-ed25519".to_owned(), "foo AAAA".to_owned()]);

    let times = ["2026-02-28T23:59:59Z", "2026-03-01T00:00:00Z", "2026-03-01T00:00:01Z"].map(time);
    let question = (
        any::<prop::sample::Index>(),
        select(&["alice@x", "alice@x", "bob@x"][..]),
        select(&["git", "git", "git", "file"][..]),
        select(times.to_vec()),
    );
    let question = question.prop_map(|(line, principal, namespace, at)| Question {
        key: 0,
        line,
        principal,
        namespace,
        at,
    });
    let strategy = (file(&lines), vec(question, 2));
    let mut runner = TestRunner::default();
    let (mut both, mut neither, mut stricter) = (0, 0, BTreeMap::<&str, usize>::new());
    for _ in 0..FILES {
        let (text, mut questions) = strategy.new_tree(&mut runner).expect("a file").current();
        let there: Vec<usize> =
            (0..keys.len()).filter(|key| text.contains(lines[*key].as_str())).collect();
        for question in questions.iter_mut().filter(|_| !there.is_empty()) {
            question.key = *question.line.get(&there);
        }
        std::fs::write(home.join("signers"), &text).expect("written");
        let mut findings = Findings::default();
        let file = ".weft/allowed_signers".parse().expect("a path");
        let signers = read(&file, &text, &mut findings);
        let scene = Scene { home, text, signers, findings };
        for question in &questions {
            let ours = scene.ours(question, &keys);
            let theirs = scene.ssh(
                &["-Y", "verify", "-I", question.principal, "-n", question.namespace],
                question,
            );
            match (ours, theirs) {
                (true, true) => both += 1,
                (false, false) => neither += 1,
                (true, false) => panic!("only here: {question:?}: {:?}", scene.text),
                (false, true) => *stricter.entry(scene.stricter(question)).or_default() += 1,
            }
        }
        // Whom we know by the first key at the first time, ssh-keygen finds as well.
        let first = &questions[0];
        let known = !scene.findings.has_errors()
            && scene.signers.principals(&keys[first.key], first.namespace, first.at).is_ok();
        let found = known && scene.ssh(&["-Y", "find-principals"], first);
        assert_eq!(known, found, "{first:?}: {:?}", scene.text);
    }
    let more: usize = stricter.values().sum();
    println!(
        "{both} accepted by both, {neither} by neither, {more} by ssh-keygen alone ({stricter:?}) in {:?}",
        start.elapsed()
    );
    assert!(both >= 20 && neither >= 50, "too few of one kind");
    assert!(more < both + neither, "what is refused here alone is the exception");
}
