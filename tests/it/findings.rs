//! What is said of every code: its example raises it, and README.md lists it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use weft::declare::finding::{Class, Code, Finding};
use weft::declare::import::{KnownNode, running_config};
use weft::declare::{Findings, Severity, Tree, policy, signers, void};
use weft::facts::{Bridge, BridgeKind, Facts, Frr, Interface, InterfaceAddress, Route};
use weft::validate;
use weft::value::{Place, RepoPath};

use super::conformance;

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

/// What Proxmox accepts and renders stops no import: of each case of the reference, but
/// where something is enforced that its file shows.
#[test]
fn no_case_of_the_reference_is_stopped() {
    let Some(shared) = conformance::shared() else {
        eprintln!(
            "skipped: no directory `shared/conformance` beside the crate, nor in WEFT_SHARED"
        );
        return;
    };
    let mut wrong = Vec::new();
    let mut count = 0;
    for group in ["simple", "vlan", "qinq", "vxlan", "evpn", "extra"] {
        for directory in conformance::directories(&shared.join("conformance").join(group)) {
            let config = std::fs::read_to_string(directory.join("sdn/.running-config")).unwrap();
            let nodes = BTreeMap::from([("localhost".parse().unwrap(), KnownNode::default())]);
            let imported = running_config(&config, &"lab".parse().unwrap(), &nodes).unwrap();
            let files = imported.files.into_iter().map(|(path, text)| (path, Arc::from(text)));
            let (network, findings) = validate::check(&Tree::new(None, files), None, &[]);
            for finding in findings.iter().filter(|finding| finding.severity == Severity::Error) {
                let name = directory.display();
                wrong.push(format!("{name}: {} {}", finding.code.id(), finding.message));
            }
            assert!(network.is_some() || findings.has_errors());
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(count > 70, "{count}");
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
            let keys = trust(&path, &example.text(), &mut findings);
            if matches!(code, Code::RootKeysEnd | Code::RootKeysEnded) {
                let (file, root) =
                    (policy::FILE.parse().unwrap(), "{principals: [alice@example.org]}");
                let text = format!("roles: {{root: {root}}}\n");
                let policy = policy::read(&file, &text, &keys, &mut findings).unwrap();
                let now = "2026-01-01T00:00:00Z".parse().unwrap();
                policy::standing::judge_root(&policy, &keys, now, &mut findings);
            }
        }
        policy::FILE => {
            let keys = format!("alice@example.org {KEY}\n");
            let keys = trust(&signers::FILE.parse().unwrap(), &keys, &mut findings);
            policy::read(&path, &example.text(), &keys, &mut findings);
        }
        void::FILE => {
            void::read(&path, &example.text(), &mut findings);
        }
        _ if [Code::OtherFile, Code::DeclarationsOutside].contains(&code) => {
            findings = of_a_directory(&path, &example.text());
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

/// What the program finds in a directory with this file: what no node reads is no part of a
/// tree.
fn of_a_directory(path: &RepoPath, text: &str) -> Findings {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("sdn")).unwrap();
    let nodes = "nodes: {node1: {}}\n";
    for (path, text) in
        [("weft.yaml", "weft: 1\ncluster: lab\n"), ("sdn/nodes.yaml", nodes), (path.as_str(), text)]
    {
        std::fs::write(home.path().join(path), text).unwrap();
    }
    let mut weft = std::process::Command::new(env!("CARGO_BIN_EXE_weft"));
    let output = weft.args(["validate", "--json"]).current_dir(home.path()).output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut findings = Findings::default();
    for found in document["findings"].as_array().unwrap() {
        let code = Code::ALL.iter().find(|code| found["code"] == code.id()).unwrap();
        let message = found["message"].as_str().unwrap();
        findings.push(Finding::new(*code, message, &Place::start_of(path)));
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
    let of_nodes = [Code::NodeNextHopTaken, Code::NodeAddressTaken];
    if code.class() != Class::Warning && !of_nodes.contains(&code) {
        return Vec::new();
    }
    let mut facts = node1();
    if code == Code::NodeFrrOld {
        facts.frr = Some(Frr { version: Some("8.4.4-1.1".to_owned()), ..Frr::default() });
    } else if code == Code::FrrLocalDropped {
        let local = Some("ip route 203.0.113.0/24 192.0.2.9\n".to_owned());
        facts.frr = Some(Frr { local, ..Frr::default() });
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
        routes: vec![
            Route {
                destination: "192.0.2.0/24".parse().unwrap(),
                interface: vmbr0.clone(),
                gateway: None,
                source: own,
                metric: 0,
            },
            Route {
                destination: "0.0.0.0/0".parse().unwrap(),
                interface: vmbr0,
                gateway: Some("192.0.2.254".parse().unwrap()),
                source: own,
                metric: 0,
            },
        ],
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

/// What `weft validate` says of a directory with one file of declarations.
fn validate_as(format: &str, text: &str, facts: &[Facts]) -> (Option<i32>, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("net/weft.yaml", "weft: 1\ncluster: lab\n");
    write("net/sdn/a b.yaml", text);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_weft"));
    command.current_dir(&directory).args(["validate", "net", "--format", format]);
    for (number, facts) in facts.iter().enumerate() {
        let name = format!("{number}.json");
        write(&name, &serde_json::to_string(facts).unwrap());
        command.args(["--facts", &name]);
    }
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

const WRONG: &str = "nodes: {node1: {}, node2: {}}
zones: {lan: {type: simple, nodes: [node1]}, \"50%:\": {type: simple}}
vnets:
  web: {zone: lan, tag: 5}
  mail: {zone: lan, subnets: {10.0.0.0/24: {}}}
  news: {zone: lan, subnets: {10.0.0.0/24: {}}}
";

#[test]
fn scanners_of_code_read_findings_as_sarif() {
    let (status, out, _) = validate_as("sarif", WRONG, &[]);
    assert_eq!(status, Some(4));
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["version"], "2.1.0");
    let run = &document["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    let mut levels = BTreeSet::new();
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        levels.insert(result["level"].as_str().unwrap());
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "net/sdn/a%20b.yaml");
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
    }
    assert_eq!(levels, ["error", "note", "warning"].into());
    let twice = results.iter().find(|result| result["ruleId"] == "subnet-reused").unwrap();
    assert_eq!(twice["locations"][0]["physicalLocation"]["region"]["startLine"], 6);
    assert_eq!(twice["relatedLocations"][0]["physicalLocation"]["region"]["startLine"], 5);
    for rule in rules {
        let help = rule["help"]["text"].as_str().unwrap();
        assert!(help.contains("Example, in ") && help.contains("What to do: "), "{help}");
    }
    assert_eq!(
        rules.len(),
        results.iter().map(|of| of["ruleId"].as_str()).collect::<BTreeSet<_>>().len()
    );
}

#[test]
fn workflows_read_findings_as_annotations() {
    let (status, out, _) = validate_as("github", WRONG, &[]);
    assert_eq!(status, Some(4));
    let lines: Vec<&str> = out.lines().collect();
    let head =
        "::error file=net/sdn/a b.yaml,line=2,col=46,title=bad-value::`50%25:` is not a zone id";
    assert!(lines.iter().any(|line| line.starts_with(head)), "{out}");
    assert!(
        out.contains("::warning file=net/sdn/a b.yaml,line=4,col=25,title=tag-forbidden::"),
        "{out}"
    );
    assert!(out.contains("::notice file=net/sdn/a b.yaml,line=2,"), "{out}");
    assert!(out.contains("%0Afirst here: sdn/a b.yaml:5:"), "{out}");
    let (last, commands) = lines.split_last().unwrap();
    assert_eq!(*last, "2 errors, 1 warning, 1 note");
    assert!(commands.iter().all(|line| line.starts_with("::")), "{out}");
}

#[test]
fn people_read_findings_with_their_count_last() {
    let (status, out, _) = validate_as("human", WRONG, &[]);
    assert_eq!(status, Some(4));
    assert!(out.ends_with("\n2 errors, 1 warning, 1 note\n"), "{out}");
    // A note is no reason to say that something is not in order.
    let noted = "nodes: {a: {}, b: {}}\nzones: {lan: {type: simple, nodes: [a]}}\nvnets: {web: {zone: lan}}\n";
    let (status, out, _) = validate_as("human", noted, &[]);
    assert_eq!(status, Some(0));
    assert!(
        out.contains("1 note\n") && out.contains("In order: 2 nodes, 1 zone, 1 vnet."),
        "{out}"
    );
    let (status, out, _) = validate_as("github", "nodes: {a: {}}\n", &[]);
    assert_eq!((status, out.as_str()), (Some(0), ""));
}

#[test]
fn facts_of_several_nodes_are_looked_at() {
    let text = "nodes: {node1: {}, node2: {}}\nzones: {lan: {type: vlan, bridge: vmbr2}}\n";
    let node2 = Facts { node: "node2".parse().unwrap(), bridges: Vec::new(), ..node1() };
    let (status, out, _) = validate_as("github", text, &[node1(), node2]);
    assert_eq!(status, Some(0), "findings of facts stop nothing");
    assert_eq!(out.matches("title=node-bridge-missing").count(), 2, "{out}");
    assert!(out.contains("did you mean `vmbr0`?"), "{out}");
    let (status, out, _) = validate_as("github", text, &[]);
    assert_eq!((status, out.as_str()), (Some(0), ""));
}

#[test]
fn formats_of_findings_are_of_validate_alone() {
    for format in ["sarif", "github"] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_weft"));
        let output = command.args(["explain", "--format", format]).output().unwrap();
        assert_eq!(output.status.code(), Some(64));
        assert!(String::from_utf8_lossy(&output.stderr).contains("weft validate"));
    }
}

#[test]
fn a_code_is_explained_with_its_example() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_weft"));
    let output = command.args(["explain", "dhcp-without-ipam"]).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let code = Code::DhcpWithoutIpam;
    assert!(
        out.contains(
            "Example, in sdn/network.yaml:\n    zones: {lan: {type: simple, dhcp: dnsmasq}}"
        ),
        "{out}"
    );
    assert!(out.contains(code.why()) && out.contains(code.fix()), "{out}");
}
