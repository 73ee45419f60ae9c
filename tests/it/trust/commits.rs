//! The grammar of commits and their signatures.

use std::path::PathBuf;

use proptest::prelude::*;
use weft::declare::{Findings, signers};
use weft::sync::commit::{CommitError, MAX_BYTES, lineage, parse};
use weft::sync::signature::{SignatureError, verify};

use super::repository::Repository;

/// The directory of material that several projects share, where it is there.
fn shared() -> Option<PathBuf> {
    let given = std::env::var_os("WEFT_SHARED").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    given.into_iter().chain([beside]).find(|path| path.is_dir())
}

#[test]
fn vectors() {
    let Some(directory) = shared().map(|shared| shared.join("vectors/commits")) else {
        println!("skipped: there is no ../shared and WEFT_SHARED is not set");
        return;
    };
    let read = |name: &str| std::fs::read(directory.join(name)).expect(name);
    let text = String::from_utf8(read("allowed_signers")).expect("text");
    let mut findings = Findings::default();
    let file = signers::FILE.parse().expect("a path");
    let signers = signers::read(&file, &text, &mut findings);
    assert!(findings.is_empty(), "{findings:?}");

    let raw = read("accept-honest.commit");
    let commit = parse(&raw).expect("the form of git");
    let signed = verify(&commit).expect("a good signature");
    let names = signers.principals(&signed.key, "git", commit.committer.time).expect("a signer");
    assert_eq!(names.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["alice@example.org"]);
    assert_eq!(commit.subject(), "sdn: change vnet");
    assert_eq!(commit.to_bytes(), raw);

    let unsigned = ["block-at-end-of-message", "block-at-start-of-message", "trailer-hidden"];
    for name in unsigned {
        let raw = read(&format!("refuse-{name}.commit"));
        let commit = parse(&raw).expect("the form of git");
        assert_eq!(verify(&commit), Err(SignatureError::Unsigned), "{name}");
    }
    let mut files: Vec<_> = std::fs::read_dir(&directory)
        .expect("the vectors")
        .map(|entry| entry.expect("a file").file_name().into_string().expect("text"))
        .collect();
    let malformed =
        ["bogus-first-gpgsig", "second-gpgsig", "gpgsig-sha256-before-gpgsig", "nul-and-garbage"];
    for name in malformed {
        let raw = read(&format!("refuse-{name}.commit"));
        match parse(&raw).expect_err(name) {
            CommitError::Nul => assert_eq!(name, "nul-and-garbage"),
            CommitError::Header { line, found, .. } => {
                let (at, starts) = match name {
                    "bogus-first-gpgsig" => (6, "gpgsig -----BEGIN"),
                    "second-gpgsig" => (11, "gpgsig bogus"),
                    _ => (5, "gpgsig-sha256 xyz"),
                };
                assert!(line == at && found.starts_with(starts), "{name}: {line} {found}");
            }
            other => panic!("{name}: {other}"),
        }
        // The way down the line is found all the same.
        assert_eq!(lineage(&raw).expect("a lineage").1.len(), 1);
    }
    // Nothing of what is there was left out.
    files.retain(|name| !["allowed_signers", "accept-honest.commit"].contains(&name.as_str()));
    files.sort();
    let mut used: Vec<_> =
        unsigned.iter().chain(&malformed).map(|name| format!("refuse-{name}.commit")).collect();
    used.sort();
    assert_eq!(files, used);
}

#[test]
fn a_signature_counts_for_its_commit_only() {
    let repository = Repository::empty();
    let id = repository.commit("alice", &[("a", b"1")]);
    let objects = repository.objects();
    let text = String::from_utf8(objects.bytes(id).to_vec()).expect("text");
    let check = |text: &str| verify(&parse(text.as_bytes()).expect("the form of git"));
    assert!(check(&text).is_ok());
    let changed = text.replace("sdn: a change", "sdn: another");
    assert!(matches!(check(&changed), Err(SignatureError::Wrong(_))));
    let changed = text.replace("author Someone", "author Someone else");
    assert!(matches!(check(&changed), Err(SignatureError::Wrong(_))));
    // The same signature with other line breaks, which would give the commit another id.
    let mut lines: Vec<&str> = text.split('\n').collect();
    let joined = format!("{}{}", lines[4], lines[5].trim_start());
    lines.splice(4..6, [joined.as_str()]);
    assert!(matches!(check(&lines.join("\n")), Err(SignatureError::Malformed(_))));
}

#[test]
fn a_signature_for_something_else_is_refused() {
    let repository = Repository::empty();
    let id = repository.commit("-", &[("a", b"1")]);
    let objects = repository.objects();
    let raw = String::from_utf8(objects.bytes(id).to_vec()).expect("text");
    let home = repository.home();
    for (namespace, good) in [("git", true), ("file", false), ("git2", false)] {
        std::fs::write(home.join("payload"), &raw).expect("written");
        let _ = std::fs::remove_file(home.join("payload.sig"));
        super::repository::output(
            super::repository::program("ssh-keygen", home)
                .args(["-q", "-Y", "sign", "-f", "alice", "-n", namespace, "payload"]),
        );
        let signature = std::fs::read_to_string(home.join("payload.sig")).expect("a signature");
        let block = signature.trim_end().replace('\n', "\n ");
        let signed = raw.replacen("\n\n", &format!("\ngpgsig {block}\n\n"), 1);
        let result = verify(&parse(signed.as_bytes()).expect("the form of git"));
        if good {
            assert!(result.is_ok(), "{result:?}");
        } else {
            assert_eq!(result, Err(SignatureError::Namespace(namespace.to_owned())));
        }
    }
}

const PLAIN: &str = "\
tree 227571d5effa3879ce204d04bec9e258618bfb08
parent 9539b137b2289b9aeed181f0221819c4e4a0734b
author Alice <alice@example.org> 1795447191 +0000
committer Alice <alice@example.org> 1795447191 -0730
encoding utf-8
mergetag object 9539b137b2289b9aeed181f0221819c4e4a0734b
 type commit
 
 text
change-id zzzz
gpgsig one
 two

subject\u{1b}[31m\u{202e}

body
";

#[test]
fn the_form_of_git() {
    let commit = parse(PLAIN.as_bytes()).expect("the form of git");
    assert_eq!(commit.to_bytes(), PLAIN.as_bytes());
    assert_eq!(commit.signature().as_deref(), Some("one\ntwo"));
    let payload = PLAIN.replace("gpgsig one\n two\n", "");
    assert_eq!(commit.payload(), payload.as_bytes());
    assert_eq!(commit.subject(), "subject[31m");
    let empty = PLAIN.split_once("\n\n").expect("a message").0.to_owned() + "\n\n";
    assert_eq!(parse(empty.as_bytes()).expect("no message").message, "");

    let wrong = |from: &str, to: &str| {
        let text = PLAIN.replacen(from, to, 1);
        assert_ne!(text, PLAIN);
        assert!(parse(text.as_bytes()).is_err(), "{from:?} -> {to:?}");
    };
    let parent = "parent 9539b137b2289b9aeed181f0221819c4e4a0734b\n";
    wrong("parent", "Parent");
    wrong(parent, &format!("{parent}{parent}"));
    wrong("tree 2", "tree  2");
    wrong("tree 227", "tree 22A");
    wrong("1795447191 +0000", "01795447191 +0000");
    wrong("1795447191 +0000", "-1795447191 +0000");
    wrong("1795447191 +0000", "99999999999999999999 +0000");
    wrong("1795447191 +0000", "1795447191 0000");
    wrong("1795447191 +0000", "1795447191 +00000");
    wrong("1795447191 +0000", "1795447191 +0000 ");
    wrong("Alice <alice@", "Alice <<alice@");
    wrong("Alice <alice@", "Alice<alice@");
    wrong("Alice <alice@", "Ali\tce <alice@");
    wrong("\nencoding", "\nauthor A <a> 1 +0000\nencoding");
    wrong("encoding utf-8", "encoding ");
    wrong("encoding utf-8", "encoding a b");
    wrong("change-id zzzz\n", "change-id zzzz\nchange-id zzzz\n");
    wrong("change-id zzzz\n", "HG:extra x\n");
    wrong("gpgsig one\n two\n", "gpgsig one\n two\nchange-id y\n");
    wrong("gpgsig one", "gpgsig");
    wrong("body\n", "body\0\n");
    assert_eq!(parse(&[PLAIN.as_bytes(), b"\xff"].concat()), Err(CommitError::NotUtf8));
    // git would read other text from it.
    let latin = PLAIN.replace("utf-8", "ISO-8859-1");
    assert_eq!(parse(latin.as_bytes()), Err(CommitError::Encoding));
    assert!(parse(latin.replace('\u{202e}', "").as_bytes()).is_ok());
    assert_eq!(parse(b"tree x\nauthor"), Err(CommitError::NoMessage));
    let large = [PLAIN.as_bytes(), &vec![b'x'; MAX_BYTES]].concat();
    assert_eq!(parse(&large), Err(CommitError::TooLarge));
    let largest = [PLAIN.as_bytes(), &vec![b'x'; MAX_BYTES - PLAIN.len()]].concat();
    assert!(parse(&largest).is_ok());
}

proptest! {
    #[test]
    fn only_what_is_written_back_the_same_is_accepted(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4_usize, "[ \\na-z0-9<>+:-]{0,6}|\\PC{1,2}"), 0..5),
    ) {
        let mut text = PLAIN.to_owned();
        for (index, length, insert) in edits {
            let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let at = index.index(starts.len());
            let end = starts.get(at + length).copied().unwrap_or(text.len());
            text.replace_range(starts[at]..end, &insert);
        }
        if let Ok(commit) = parse(text.as_bytes()) {
            prop_assert_eq!(commit.to_bytes(), text.as_bytes());
            let (tree, parents) = lineage(text.as_bytes()).expect("git reads it too");
            prop_assert_eq!((tree, parents), (commit.tree, commit.parents.clone()));
            let _ = verify(&commit);
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(parse(&bytes).is_err());
        let _ = lineage(&bytes);
        let _ = weft::sync::tree::parse(&bytes);
    }

    #[test]
    fn headers_in_any_order_are_survived(lines in prop::collection::vec(
        prop::sample::select(PLAIN.split_inclusive('\n').collect::<Vec<_>>()), 0..20)) {
        let text = lines.concat();
        if let Ok(commit) = parse(text.as_bytes()) {
            prop_assert_eq!(commit.to_bytes(), text.as_bytes());
        }
    }
}
