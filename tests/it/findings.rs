//! What is said of every code: its example raises it, and README.md lists it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use weft::declare::finding::{Class, Code};
use weft::declare::{Findings, Tree, policy, signers};
use weft::facts::{Bridge, BridgeKind, Facts, Frr, Interface, InterfaceAddress, Route};
use weft::validate;
use weft::value::RepoPath;

/// Codes whose example cannot raise them, and why.
const UNSHOWN: &[(Code, &str)] = &[
    (Code::TooLarge, "what raises it is too large to be shown"),
    (Code::MissingFile, "it is raised by a file that is not there"),
    (Code::ThisNodeUndeclared, "it is raised by the settings of a node"),
];

/// A key that is nobody's.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKHEChCfNbTSh2hLVhKQPFXS4vjXV4rMDVtF5zdJ5vnE";

#[test]
fn every_example_raises_its_code() {
    let mut wrong = Vec::new();
    for code in Code::ALL {
        let findings = raised_by_example(*code);
        let raised = findings.iter().any(|finding| finding.code == *code);
        let shown = !UNSHOWN.iter().any(|(unshown, _)| unshown == code);
        if raised != shown {
            let lines: Vec<String> = findings
                .iter()
                .map(|finding| format!("  {}: {}", finding.code.id(), finding.message))
                .collect();
            wrong.push(format!("{} (raised: {raised})\n{}", code.id(), lines.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// An example is about one thing: what else it raises is of lesser weight.
#[test]
fn no_example_is_wrong_in_another_way() {
    let mut wrong = Vec::new();
    for code in Code::ALL.iter().filter(|code| code.class() != Class::Error) {
        let findings = raised_by_example(*code);
        for finding in findings.iter().filter(|finding| finding.code.class() == Class::Error) {
            wrong.push(format!("{}: {} {}", code.id(), finding.code.id(), finding.message));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What is found in the example of a code.
pub(crate) fn raised_by_example(code: Code) -> Findings {
    let example = code.example();
    let path: RepoPath = example.file.parse().unwrap();
    let mut findings = Findings::default();
    let trust =
        |path: &RepoPath, text: &str, findings: &mut Findings| signers::read(path, text, findings);
    match example.file {
        signers::FILE => {
            trust(&path, &example.text(), &mut findings);
        }
        policy::FILE => {
            let keys = format!("alice@example.org {KEY}\n");
            let keys = trust(&signers::FILE.parse().unwrap(), &keys, &mut findings);
            policy::read(&path, &example.text(), &keys, &mut findings);
        }
        _ => {
            let facts = known_of(code);
            findings = validate::check(
                &tree(&path, &example.text()),
                Some(&"lab".parse().unwrap()),
                &facts,
            )
            .1;
        }
    }
    findings
}

fn tree(path: &RepoPath, text: &str) -> Tree {
    let weft: RepoPath = "weft.yaml".parse().unwrap();
    let mut files = vec![(weft, Arc::from("weft: 1\ncluster: lab\n"))];
    let mut unread = Vec::new();
    if Tree::wants(None, path) {
        files.retain(|(other, _)| other != path);
        files.push((path.clone(), Arc::from(text)));
    } else {
        assert!(Tree::looks_like_declarations(path), "{path}");
        unread.push(path.clone());
    }
    Tree::new(None, files).with_unread(unread)
}

/// The node of examples that need one: those of other codes have no facts.
fn known_of(code: Code) -> Vec<Facts> {
    if code.class() != Class::Warning {
        return Vec::new();
    }
    let mut facts = node1();
    if code == Code::NodeFrrOld {
        facts.frr = Some(Frr { version: Some("8.4.4-1.1".to_owned()), ..Frr::default() });
    }
    vec![facts]
}

fn node1() -> Facts {
    let interface = |name: &str| Interface {
        name: name.parse().unwrap(),
        altnames: Vec::new(),
        mac: None,
        master: None,
        mtu: 1500,
    };
    let bridge = |name: &str| Bridge {
        name: name.parse().unwrap(),
        kind: BridgeKind::Plain,
        ports: Vec::new(),
    };
    let vmbr0: weft::value::IfName = "vmbr0".parse().unwrap();
    let own = "192.0.2.1".parse().unwrap();
    Facts {
        addresses: vec![InterfaceAddress { interface: vmbr0.clone(), address: own }],
        routes: vec![Route {
            destination: "0.0.0.0/0".parse().unwrap(),
            interface: vmbr0,
            source: own,
            metric: 0,
        }],
        bridges: vec![bridge("vmbr0"), bridge("vmbr1")],
        interfaces: ["eth0", "eth1", "lo", "vmbr0", "vmbr1"].map(interface).to_vec(),
        ..Facts::unknown("node1".parse().unwrap())
    }
}

/// Nobody reads a rule that says nothing.
#[test]
fn every_code_says_what_why_and_what_to_do() {
    let mut ids = BTreeSet::new();
    for code in Code::ALL {
        assert!(ids.insert(code.id()), "{} is there twice", code.id());
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        assert!(code.id().bytes().all(plain), "{}", code.id());
        assert!(!code.title().ends_with('.'), "{}", code.id());
        for sentence in [code.why(), code.fix()] {
            assert!(sentence.ends_with(['.', ')']), "{}: {sentence}", code.id());
        }
        assert!(code.example().text().ends_with('\n'), "{}", code.id());
    }
}

/// The table of README.md is the list of all codes.
#[test]
fn the_readme_has_every_code() {
    const BEGIN: &str = "<!-- findings -->\n";
    const END: &str = "<!-- /findings -->";
    let head = "| code | | what it says |\n| --- | --- | --- |\n".to_owned();
    let table = Code::ALL.iter().fold(head, |mut table, code| {
        let class = match code.class() {
            Class::Error => "error",
            Class::Tolerated => "warning, strict: error",
            Class::Warning => "warning",
            Class::Advice => "note",
        };
        writeln!(table, "| `{}` | {class} | {} |", code.id(), code.title()).unwrap();
        table
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the table's place");
    let (found, after) = rest.split_once(END).expect("the table's end");
    let wanted = format!("\n{table}\n");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(found, wanted, "UPDATE=1 rewrites it");
}
