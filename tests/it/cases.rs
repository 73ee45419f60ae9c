//! Golden cases: `tests/cases/⟨case⟩/` is a repository with recorded facts, and
//! what weft makes of it. `UPDATE=1` rewrites what is expected.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weft::declare::Tree;
use weft::declare::finding::{Code, Finding, Findings};
use weft::facts::Facts;
use weft::network::Network;
use weft::render::{Difference, Effect, Managed, Profile, Rendering, Subject, render};
use weft::validate;
use weft::value::{ClusterName, RepoPath};

/// The cluster that every case belongs to.
const CLUSTER: &str = "lab";
/// What the files of a case are rendered with.
const SEQUENCE: u64 = 7;

/// Codes that no repository of small text files can raise, and who tests them.
const ELSEWHERE: &[(Code, &str)] = &[
    (Code::TooLarge, "properties::a_file_of_too_many_values_is_refused"),
    (Code::ThisNodeUndeclared, "node::a_bad_tree_changes_nothing_and_says_where"),
    (Code::FileNotRead, "node::a_file_of_another_name_is_not_left_out_silently"),
    (Code::OtherFile, "output::what_no_node_reads_is_said"),
    (Code::DeclarationsOutside, "output::what_no_node_reads_is_said"),
    (Code::BadSigner, "trust::signers"),
    (Code::SignerUnsupported, "trust::signers"),
    (Code::SignerTimeZone, "trust::signers"),
    (Code::SignerWithoutName, "trust::signers"),
    (Code::RootMissing, "trust::signers"),
    (Code::PrincipalWithoutKey, "trust::signers"),
    (Code::RootLimited, "trust::signers"),
    (Code::RootKeysEnd, "trust_commands"),
    (Code::RootKeysEnded, "trust_commands"),
    (Code::ThresholdUnreachable, "trust::signers"),
    (Code::BadVoid, "trust::void"),
];

#[test]
fn every_case_is_as_expected() {
    let mut wrong = Vec::new();
    for directory in cases() {
        let (network, findings) = check(&directory);
        let mut made = BTreeMap::from([("findings.txt".into(), text_of(&findings))]);
        assert_eq!(network.is_none(), findings.has_errors(), "{}", directory.display());
        for facts in recorded(&directory, "facts") {
            let network = network.as_ref().expect("a case with facts can be rendered");
            for profile in Profile::ALL {
                made.extend(rendered(network, &facts, *profile));
            }
            differs_as_listed(network, &facts);
        }
        let expected = expected(&directory);
        if std::env::var_os("UPDATE").is_some() {
            write(&directory, &made, &expected);
        } else if made != expected {
            wrong.push(difference(&directory, &made, &expected));
        }
    }
    assert!(wrong.is_empty(), "{}\n(UPDATE=1 rewrites them)", wrong.join("\n"));
}

#[test]
fn every_code_is_raised_by_a_case() {
    let mut raised = BTreeSet::new();
    for directory in cases() {
        let (_, findings) = check(&directory);
        raised.extend(findings.iter().map(|finding| finding.code));
    }
    let elsewhere: BTreeSet<Code> = ELSEWHERE.iter().map(|(code, _)| *code).collect();
    let missing: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| !raised.contains(code) && !elsewhere.contains(code))
        .map(|code| code.id())
        .collect();
    assert!(
        missing.is_empty(),
        "no case raises {missing:?}: add one, or say in ELSEWHERE who does"
    );
    let both: Vec<_> = raised.intersection(&elsewhere).map(|code| code.id()).collect();
    assert!(both.is_empty(), "a case raises {both:?}: remove them from ELSEWHERE");
}

#[test]
fn every_place_of_a_finding_is_in_its_file() {
    for directory in cases() {
        let tree = tree(&directory);
        let (_, findings) = check(&directory);
        for mark in findings.iter().flat_map(|finding| &finding.marks) {
            let Some(text) = tree.get(&mark.place.file) else {
                // The one file that a finding may miss.
                assert_eq!(mark.place.file.as_str(), "weft.yaml");
                continue;
            };
            let range = mark.place.span.bytes;
            assert!(range.start <= range.end && range.end as usize <= text.len());
            let lines = u32::try_from(text.lines().count()).unwrap();
            // A text that ends too early is wrong behind its last line.
            assert!((1..=lines + 1).contains(&mark.place.span.line), "{}", mark.place);
        }
    }
}

/// What a case declares, and what is wrong with it.
fn check(directory: &Path) -> (Option<Network>, Findings) {
    validate::check(&tree(directory), Some(&cluster()), &recorded(directory, "known"))
}

fn cluster() -> ClusterName {
    CLUSTER.parse().unwrap()
}

/// The files that one node gets, and what is said about them.
fn rendered(network: &Network, facts: &Facts, profile: Profile) -> BTreeMap<String, String> {
    assert!(network.declares(&facts.node));
    let rendering = render(network, &facts.node, facts, profile);
    let below = format!("{}/{}", directory_of(profile), facts.node);
    let mut made = BTreeMap::new();
    for managed in rendering.files.keys() {
        let bytes = rendering.bytes(managed, SEQUENCE).unwrap();
        made.insert(format!("{below}{managed}"), String::from_utf8(bytes).unwrap());
    }
    if !rendering.notes.is_empty() {
        let notes = rendering.notes.iter().fold(String::new(), |mut text, note| {
            writeln!(text, "{note}").unwrap();
            text
        });
        made.insert(format!("{below}/notes.txt"), notes);
    }
    serves_its_vnets(network, facts, &rendering);
    made
}

/// Where a case has what it expects of a profile.
fn directory_of(profile: Profile) -> &'static str {
    match profile {
        Profile::Pve => "expect",
        Profile::Debian => "expect-debian",
    }
}

/// Without what the list of differences adds, the files of profile `debian` are those
/// of profile `pve`.
fn differs_as_listed(network: &Network, facts: &Facts) {
    let of = |profile| render(network, &facts.node, facts, profile);
    let (wanted, mut left) = (of(Profile::Pve), of(Profile::Debian));
    assert_ne!(wanted.digest(), left.digest());
    for difference in Difference::ALL {
        match &difference.effect {
            Effect::BridgeLine(line) => {
                let line = format!("\t{line}\n");
                let text = left.files.get_mut(&Managed::Interfaces).unwrap();
                let ports = |line: &&str| {
                    line.starts_with("\tbridge_ports ") || line.starts_with("\tbridge-ports ")
                };
                let bridges = text.lines().filter(ports).count();
                assert_eq!(text.matches(&line).count(), bridges, "{}", difference.code);
                *text = text.replace(&line, "");
            }
            Effect::File(managed, text) => assert_eq!(left.files.remove(managed).unwrap(), *text),
            Effect::DhcpFile(managed, text) => {
                let dhcp = wanted.files.keys().any(|managed| managed.dnsmasq().is_some());
                let expected = dhcp.then(|| (*text).to_owned());
                assert_eq!(left.files.remove(managed), expected, "{}", difference.code);
            }
            Effect::VlanAwareNote(message) => {
                let text = &left.files[&Managed::Interfaces];
                let vlan_aware = text.matches("bridge-vlan-aware yes").count();
                assert_eq!(take_notes(&mut left, message), vlan_aware, "{}", difference.code);
            }
            Effect::VlanPortNote(message) => {
                let text = &left.files[&Managed::Interfaces];
                let refused =
                    text.split("\n\n").filter(|stanza| has_vlan_port(stanza, text)).count();
                assert_eq!(take_notes(&mut left, message), refused, "{}", difference.code);
            }
            Effect::VlanMtu => {
                let text = left.files.get_mut(&Managed::Interfaces).unwrap();
                *text = without_vlan_mtu(text);
            }
        }
    }
    assert_eq!((left.files, left.notes), (wanted.files, wanted.notes));
}

/// Removes the notes that say this, and says how many there were.
fn take_notes(rendering: &mut Rendering, message: &str) -> usize {
    let before = rendering.notes.len();
    rendering.notes.retain(|note| note.message != message);
    before - rendering.notes.len()
}

/// Whether a stanza is of a VLAN-aware bridge with a VLAN interface as its port: one with a
/// dot, or one whose own stanza names what carries it.
fn has_vlan_port(stanza: &str, text: &str) -> bool {
    let ports = stanza.lines().find_map(|line| {
        line.strip_prefix("\tbridge_ports ").or_else(|| line.strip_prefix("\tbridge-ports "))
    });
    let is_vlan = |port: &str| {
        port.contains('.') || text.contains(&format!("\niface {port}\n\tvlan-raw-device "))
    };
    stanza.contains("\tbridge-vlan-aware yes")
        && ports.is_some_and(|ports| ports.split(' ').any(is_vlan))
}

/// Without the MTU of VLAN interfaces, and without their stanzas where that is all.
fn without_vlan_mtu(text: &str) -> String {
    let mut kept = String::new();
    for stanza in text.split("\nauto ").skip(1) {
        let name = stanza.lines().next().unwrap();
        let (mtu, lines): (Vec<&str>, Vec<&str>) = stanza
            .split_inclusive('\n')
            .partition(|line| name.contains('.') && line.starts_with("\tmtu "));
        assert_eq!(mtu.len(), usize::from(name.contains('.')), "{stanza}");
        if lines.iter().any(|line| line.starts_with('\t')) {
            kept.push_str("\nauto ");
            kept.extend(lines);
        }
    }
    kept
}

/// Every interface of the file is known with the vnets of this node that it is for, and
/// every vnet has one or a note.
fn serves_its_vnets(network: &Network, facts: &Facts, rendering: &Rendering) {
    let text = &rendering.files[&Managed::Interfaces];
    let made = text.lines().filter_map(|line| line.strip_prefix("auto "));
    // The kernel takes no longer name, so there is no such interface.
    let made: BTreeSet<&str> = made.filter(|name| name.len() <= 15).collect();
    let known: BTreeSet<&str> =
        rendering.interfaces.keys().map(weft::value::IfName::as_str).collect();
    assert_eq!(made, known);
    let wanted: BTreeSet<_> = network.vnets_on(&facts.node).into_keys().collect();
    let served: BTreeSet<_> = rendering.interfaces.values().flatten().collect();
    let noted = rendering.notes.iter().filter_map(|note| match &note.subject {
        Subject::Vnet(id) if note.message.starts_with("left out") => Some(id),
        _ => None,
    });
    let left_out: BTreeSet<_> = noted.collect();
    assert!(served.is_disjoint(&left_out));
    assert_eq!(served.union(&left_out).copied().collect::<BTreeSet<_>>(), wanted);
}

fn text_of(findings: &Findings) -> String {
    findings.iter().map(line_of).collect()
}

fn line_of(finding: &Finding) -> String {
    let severity = finding.severity.as_str();
    let mut text = format!("{severity}[{}]: {}\n", finding.code.id(), finding.message);
    for mark in &finding.marks {
        let label = if mark.label.is_empty() { "" } else { ": " };
        writeln!(text, "  at {}{label}{}", mark.place, mark.label).unwrap();
    }
    if let Some(help) = &finding.help {
        writeln!(text, "  help: {help}").unwrap();
    }
    text
}

fn cases() -> Vec<PathBuf> {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

/// The files below a directory by their paths.
fn files(directory: &Path, below: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(directory.join(below)) else {
        return found;
    };
    for entry in entries {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(directory, &path));
        } else {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            found.insert(path, text);
        }
    }
    found
}

fn tree(directory: &Path) -> Tree {
    let files = files(directory, "").into_iter().filter_map(|(path, text)| {
        let path: RepoPath = path.parse().unwrap();
        Tree::wants(None, &path).then(|| (path, Arc::from(text)))
    });
    Tree::new(None, files)
}

/// The facts of a case: `facts` are those that it is rendered with, `known` those that
/// rules look at.
fn recorded(directory: &Path, below: &str) -> Vec<Facts> {
    files(directory, below).values().map(|text| serde_json::from_str(text).unwrap()).collect()
}

fn expected(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for profile in Profile::ALL {
        found.extend(files(directory, directory_of(*profile)));
    }
    if let Ok(text) = std::fs::read_to_string(directory.join("findings.txt")) {
        found.insert("findings.txt".to_owned(), text);
    }
    found
}

fn write(directory: &Path, made: &BTreeMap<String, String>, expected: &BTreeMap<String, String>) {
    for path in expected.keys().filter(|path| !made.contains_key(*path)) {
        std::fs::remove_file(directory.join(path)).unwrap();
    }
    for (path, text) in made {
        let path = directory.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn difference(
    directory: &Path,
    made: &BTreeMap<String, String>,
    expected: &BTreeMap<String, String>,
) -> String {
    let mut text = String::new();
    for path in made.keys().chain(expected.keys()).collect::<BTreeSet<_>>() {
        let (old, new) = (expected.get(path), made.get(path));
        if old != new {
            let (old, new) = (old.map_or("", String::as_str), new.map_or("", String::as_str));
            let lines = similar::TextDiff::from_lines(old, new);
            writeln!(text, "{}/{path}\n{}", directory.display(), lines.unified_diff()).unwrap();
        }
    }
    text
}
