//! Commits of many shapes: whatever is accepted here, git calls good, and it reads the
//! same from it.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::process::Stdio;
use std::time::Instant;

use openssl::hash::MessageDigest;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use ssh_key::{HashAlg, LineEnding, PrivateKey};
use weft::sync::commit::{Commit, CommitError, parse};
use weft::sync::signature::{SignatureError, verify};

use super::repository::{make_key, output, program};
use super::sshsig::{RsaKey, Said, Token, line};

/// Where the signature is to stand.
const MARK: &str = "gpgsig MARK";
/// How many commits git is asked about: it runs ssh-keygen twice for each.
const ACCEPTED: usize = 200;
const MOST: usize = 20_000;

const TREES: [&str; 2] =
    ["227571d5effa3879ce204d04bec9e258618bfb08", "4b825dc642cb6eb9a060e54bf8d69288fbee4904"];
const PARENTS: [&str; 4] = [
    "9539b137b2289b9aeed181f0221819c4e4a0734b",
    "0000000000000000000000000000000000000001",
    "8539b137b2289b9aeed181f0221819c4e4a0734b",
    "ffffffffffffffffffffffffffffffffffffffff",
];

/// Mostly one of the first, sometimes one of the second.
fn mostly(good: &'static [&'static str], odd: &'static [&'static str]) -> BoxedStrategy<String> {
    prop_oneof![12 => select(good), 1 => select(odd)].prop_map(str::to_owned).boxed()
}

fn identity(key: &'static str) -> BoxedStrategy<String> {
    let name = mostly(
        &["Alice", "A", "", " A", "A ", "Ä b", "a, b", "\"q\"", "A.", "\u{202e}A", "author", "-"],
        &["A\tB", "A\r", "A<", "A>", "A\u{85}", "A\0"],
    );
    let email = mostly(
        &["alice@example.org", "", " ", "a b", "ä@x", "a@x ", "\"", "mailto:a@x"],
        &["a\r", "a>", "<a", "a\tb"],
    );
    let time = mostly(
        &["1793491200", "1", "0", "86399", "4102444800", "253402207199"],
        &["01793491200", "-1", "1793491200 ", "", "99999999999999999999", "1e9", "1793491200.5"],
    );
    let zone = mostly(
        &["+0000", "-0330", "+1445", "-0000", "+9999", "-9959"],
        &["0000", "+000", "+00:00", "+00000", "+0000 ", "UTC", ""],
    );
    (name, email, time, zone)
        .prop_map(move |(name, email, time, zone)| format!("{key} {name} <{email}> {time} {zone}"))
        .boxed()
}

/// Headers that git knows, where git writes them: between the committer and the signature.
fn usual() -> BoxedStrategy<Vec<String>> {
    let encoding = prop_oneof![
        6 => Just(None),
        2 => select(&["ISO-8859-1", "UTF-8", "none", "cp1252"][..]).prop_map(Some)
    ];
    let tag = "mergetag object 9539b137b2289b9aeed181f0221819c4e4a0734b\n type commit\n tag t";
    let tags = [
        "\n tagger A <a@x> 1 +0000\n \n a tag",
        "\n \n x\n gpgsig y\n  z",
        "\n \n -----BEGIN SSH SIGNATURE-----\n YQ==\n -----END SSH SIGNATURE-----",
        "",
        "\n ",
        "\r\n \t",
    ];
    let tags = proptest::collection::vec(select(tags.to_vec()), 0..3);
    let change = prop_oneof![4 => Just(false), 1 => Just(true)];
    (encoding, tags, change)
        .prop_map(move |(encoding, tags, change)| {
            let mut lines: Vec<String> =
                encoding.map(|word| format!("encoding {word}")).into_iter().collect();
            lines.extend(tags.iter().map(|end| format!("{tag}{end}")));
            lines.extend(change.then(|| "change-id zzyxwv".to_owned()));
            lines
        })
        .boxed()
}

/// Lines that are put somewhere into the header.
const ODD: &[&str] = &[
    "gpgsig x",
    "gpgsig MARK",
    "gpgsig",
    "gpgsig-sha256 x\n y",
    "gpgsigcommitter x",
    " gpgsig x",
    " ",
    "",
    "Gpgsig x",
    "HG:extra x",
    "encoding UTF-8",
    "encoding ",
    "encoding a b",
    "author A <a@x> 1 +0000",
    "parent 9539b137b2289b9aeed181f0221819c4e4a0734b",
    "tree 227571d5effa3879ce204d04bec9e258618bfb08",
    "mergetag ",
    "mergetag x\n gpgsig y",
    "change-id a\n b",
    "\r",
    "x",
];

fn message() -> BoxedStrategy<String> {
    let part = prop_oneof![
        8 => select(&[
            "sdn: a change\n", "\n", "body\n", "no line end", "Ä\u{2028}\u{202e}", "\ttab\n", "  \n",
            "cr\r\n", "\r", "gpgsig x\n", "gpgsig MARK\n", "\ngpgsig MARK\n y\n", "parent x\n",
            "gpgsig -----BEGIN SSH SIGNATURE-----\n YQ==\n -----END SSH SIGNATURE-----\n",
            "-----BEGIN SSH SIGNATURE-----\nYQ==\n-----END SSH SIGNATURE-----\n",
            "Signed-off-by: A <a@x>\n", "# comment\n", "\u{7f}\u{1b}[1m", "tree x\n",
        ][..]),
        1 => select(&["\0", "\0gpgsig x\n"][..]),
    ];
    let parts = proptest::collection::vec(part, 0..5);
    parts.prop_map(|parts| parts.concat()).boxed()
}

/// A commit with [`MARK`] where its signature is to stand.
fn template() -> BoxedStrategy<String> {
    let parents = prop_oneof![
        9 => (0..4_usize).prop_map(|count| PARENTS[..count].to_vec()),
        1 => proptest::collection::vec(select(&PARENTS[..]), 2..4),
        1 => Just(vec!["9539B137b2289b9aeed181f0221819c4e4a0734b"]),
    ];
    let tree = mostly(&TREES, &["", "227571d5", "227571d5effa3879ce204d04bec9e258618bfb08 "]);
    let odd = prop_oneof![
        5 => Just(None),
        2 => (any::<prop::sample::Index>(), select(ODD)).prop_map(Some)
    ];
    // Where the signature stands: behind all other headers, anywhere, nowhere.
    let place = prop_oneof![
        20 => Just(None),
        3 => any::<prop::sample::Index>().prop_map(|at| Some(Some(at))),
        1 => Just(Some(None)),
    ];
    let end =
        prop_oneof![30 => Just("\n\n"), 1 => Just("\n"), 1 => Just("\r\n\r\n"), 1 => Just("")];
    let parts = (tree, parents, identity("author"), identity("committer"), usual());
    (parts, odd, place, end, message())
        .prop_map(|((tree, parents, author, committer, usual), odd, place, end, message)| {
            let mut lines = vec![format!("tree {tree}")];
            lines.extend(parents.iter().map(|id| format!("parent {id}")));
            lines.extend([author, committer]);
            lines.extend(usual);
            match place {
                None => lines.push(MARK.to_owned()),
                Some(Some(at)) => lines.insert(at.index(lines.len() + 1), MARK.to_owned()),
                Some(None) => {}
            }
            if let Some((at, odd)) = odd {
                lines.insert(at.index(lines.len() + 1), odd.to_owned());
            }
            format!("{}{end}{message}", lines.join("\n"))
        })
        .boxed()
}

/// What makes a signature of a payload.
type Sign = dyn Fn(&[u8]) -> String;

/// A commit with its signature over what is read here as its payload; or why it is not
/// accepted, as one word.
fn signed(template: &str, sign: &Sign) -> Result<String, &'static str> {
    let commit = parse(template.as_bytes()).map_err(|error| match error {
        CommitError::Header { .. } => "header",
        CommitError::Nul => "nul",
        CommitError::NoMessage => "no message",
        CommitError::NotCanonical => "not canonical",
        CommitError::Encoding => "encoding",
        _ => "other",
    })?;
    let block = format!("gpgsig {}", sign(&commit.payload()).replace('\n', "\n "));
    let raw = template.replace(MARK, &block);
    let commit = parse(raw.as_bytes()).map_err(|_| "signed")?;
    match verify(&commit) {
        Ok(_) => Ok(raw),
        Err(SignatureError::Unsigned) => Err("unsigned"),
        Err(SignatureError::Wrong(_)) => Err("wrong"),
        Err(_) => Err("malformed"),
    }
}

/// What git says, in the order of [`expected`].
const FORMAT: &str = "%H%x01%G?%x01%GS%x01%T%x01%P%x01%an%x01%ae%x01%at%x01%cn%x01%ce%x01%ct%x01%B";

fn expected(id: &str, commit: &Commit<'_>) -> String {
    let parents: Vec<String> = commit.parents.iter().map(ToString::to_string).collect();
    let mut all = vec![id.to_owned(), "G".to_owned(), "alice@x".to_owned()];
    all.extend([commit.tree.to_string(), parents.join(" ")]);
    for identity in [&commit.author, &commit.committer] {
        // git leaves out blanks behind a name.
        all.extend([identity.name.trim_end_matches(' ').to_owned(), identity.email.to_owned()]);
        all.push(identity.time.as_second().to_string());
    }
    all.push(commit.message.to_owned());
    all.join("\u{1}")
}

#[test]
fn what_is_accepted_is_good_for_git() {
    let start = Instant::now();
    let directory = tempfile::tempdir().expect("a directory");
    let home = directory.path();
    let mut signers = vec![make_key(home, "alice", &["ed25519"])];
    let text = std::fs::read_to_string(home.join("alice")).expect("a key");
    let alice = PrivateKey::from_openssh(text).expect("a key");
    let mut keys: Vec<Box<Sign>> = vec![Box::new(move |payload| {
        let signature = alice.sign("git", HashAlg::Sha512, payload).expect("signed");
        signature.to_pem(LineEnding::LF).expect("text").trim_end().to_owned()
    })];
    for token in [Token::ed25519(), Token::ecdsa()] {
        signers.push(token.line());
        keys.push(Box::new(move |payload| token.sign(payload, Said::TOUCHED).text()));
    }
    let rsa = RsaKey::new(3072);
    signers.push(line(&rsa.public()));
    keys.push(Box::new(move |payload| {
        let number = rsa.sign(payload, MessageDigest::sha256());
        rsa.envelope("rsa-sha2-256", &number).text()
    }));
    let signers = signers.join("\nalice@x namespaces=\"git\" ");
    std::fs::write(home.join("signers"), format!("alice@x {signers}\n")).expect("written");
    output(program("git", home).args(["init", "-q", "--bare", "repository"]));
    let objects = git2::Repository::open_bare(home.join("repository")).expect("a repository");
    let objects = objects.odb().expect("a store");

    let mut runner = TestRunner::default();
    let strategy = template();
    let (mut accepted, mut refused) = (HashMap::new(), BTreeMap::<&str, usize>::new());
    for count in 0..MOST {
        let template = strategy.new_tree(&mut runner).expect("a commit").current();
        match signed(&template, &keys[count % keys.len()]) {
            Ok(raw) => {
                let id = objects.write(git2::ObjectType::Commit, raw.as_bytes()).expect("written");
                accepted.insert(id.to_string(), raw);
            }
            Err(why) => *refused.entry(why).or_default() += 1,
        }
        if accepted.len() >= ACCEPTED {
            break;
        }
    }

    let mut git = program("git", home)
        .args(["-C", "repository", "-c", "gpg.ssh.allowedSignersFile=../signers", "log"])
        .args(["--no-walk=unsorted", "--stdin", "-z"])
        .arg(format!("--format=tformat:{FORMAT}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git");
    let ids: Vec<&str> = accepted.keys().map(String::as_str).collect();
    git.stdin.take().expect("a pipe").write_all(ids.join("\n").as_bytes()).expect("written");
    let said = git.wait_with_output().expect("an end");
    assert!(said.status.success(), "git reads every commit that is accepted");
    let said = String::from_utf8(said.stdout).expect("text");
    let mut compared = 0;
    for said in said.split_terminator('\0') {
        let raw = &accepted[&said[..40]];
        let commit = parse(raw.as_bytes()).expect("it was read before");
        assert_eq!(said, expected(&said[..40], &commit), "{raw:?}");
        compared += 1;
    }
    let all: usize = refused.values().sum();
    println!("{compared} accepted, {all} refused ({refused:?}) in {:?}", start.elapsed());
    assert_eq!(compared, accepted.len());
    assert!(compared >= ACCEPTED && all >= ACCEPTED, "too few of one kind");
    for kind in ["header", "nul", "no message", "encoding", "unsigned", "wrong"] {
        assert!(refused.contains_key(kind), "nothing was refused for `{kind}`: {refused:?}");
    }
}
