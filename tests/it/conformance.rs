//! What Proxmox's own renderer wrote, byte for byte, from its running configuration.
//!
//! `WEFT_CONFORMANCE=DIR cargo test conformance` compares the cases of another folder,
//! `DIR/CASE` or `DIR/GROUP/CASE`, each with `interfaces`, `sdn/` and `expected_*`.

mod facts;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weft::declare::finding::Findings;
use weft::declare::import::{self, PveFiles, Source};
use weft::declare::{Severity, Tree};
use weft::network::Network;
use weft::render::{Managed, Profile, Rendering, Subject, render};
use weft::validate;
use weft::value::NodeName;

use crate::export::as_files;
use crate::import::files_of;

/// How many cases each group has at least.
const GROUPS: &[(&str, usize)] =
    &[("simple", 7), ("vlan", 5), ("qinq", 12), ("vxlan", 3), ("evpn", 32), ("extra", 29)];

/// What the reference left in a case, and where ours is found.
struct Comparison {
    /// The file of the case.
    expected: &'static str,
    /// The paths on the node and the texts that it stands for.
    files: fn(&str) -> BTreeMap<String, String>,
    /// Which files there may be no others of.
    exhausts: fn(&Managed) -> bool,
    /// What the reference has where there is nothing to write.
    nothing: Option<&'static str>,
    /// Makes two texts equal that differ only where the reference has no order.
    unordered: fn(&Case, &str) -> String,
}

const COMPARISONS: &[Comparison] = &[
    Comparison {
        expected: "expected_sdn_interfaces",
        files: |text| [("/etc/network/interfaces.d/sdn".to_owned(), text.to_owned())].into(),
        exhausts: |managed| *managed == Managed::Interfaces,
        nothing: None,
        unordered: interfaces_in_order,
    },
    Comparison {
        expected: "expected_controller_config",
        files: |text| [("/etc/frr/frr.conf".to_owned(), text.to_owned())].into(),
        exhausts: |managed| *managed == Managed::Frr,
        nothing: Some(NO_ROUTING),
        unordered: |_, text| text.to_owned(),
    },
    Comparison {
        expected: "expected_dhcp.json",
        files: |text| {
            let expected: serde_json::Value = serde_json::from_str(text).unwrap();
            serde_json::from_value(expected["dhcp"]["files"].clone()).unwrap()
        },
        exhausts: |managed| managed.dnsmasq().is_some(),
        nothing: None,
        unordered: |_, text| text.to_owned(),
    },
];

/// The text that the reference makes, and does not write, of a configuration without
/// controllers and fabrics.
const NO_ROUTING: &str = "frr version 10.4.1\nfrr defaults datacenter\nhostname localhost\nlog syslog informational\nservice integrated-vtysh-config\n!\nline vty\n!\n";

/// By which way a case comes to its rendering.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// From the reference's own files.
    Imported,
    /// From what is published of these, by what it says.
    Published(Source),
}

/// One case of the reference.
struct Case {
    directory: PathBuf,
    /// The running configuration.
    config: String,
    /// `/etc/network/interfaces`.
    interfaces: String,
}

#[test]
fn every_zone_is_rendered_as_the_reference_renders_it() {
    all_are_the_same(&[Way::Imported]);
}

/// Of what is published of an import, Proxmox writes the same: an apply changes nothing.
/// Both from what it applied and from what an apply would make of the section files.
#[test]
fn what_is_published_is_rendered_as_the_reference_rendered_it() {
    all_are_the_same(&[Way::Published(Source::Running), Way::Published(Source::Wanted)]);
}

fn all_are_the_same(ways: &[Way]) {
    let named = std::env::var_os("WEFT_CONFORMANCE").map(PathBuf::from);
    let cases = if let Some(directory) = named { cases(&directory) } else { known_cases() };
    if cases.is_empty() {
        eprintln!(
            "skipped: no directory `shared/conformance` beside the crate, nor in WEFT_SHARED"
        );
        return;
    }
    let mut wrong = 0;
    // Past the harness, which keeps what a test that passes prints.
    let mut out = std::io::stderr();
    for (name, directory) in cases {
        for way in ways {
            let said = match compared(&directory, *way) {
                Ok(files) => format!("same {name}: {}", files.join(", ")),
                Err(difference) => {
                    wrong += 1;
                    format!("DIFFERS {name}, {way:?}: {difference}")
                }
            };
            writeln!(out, "{said}").unwrap();
        }
    }
    assert_eq!(wrong, 0, "cases differ");
}

/// The harness itself: a case that is the same, one that is not, and one without anything
/// to compare.
#[test]
fn a_conformance_case_that_differs_is_told_with_its_first_line() {
    let directory = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let config = r#"{"version":4,"zones":{"ids":{"zs":{"type":"simple"}}},"vnets":{"ids":{"va":{"type":"vnet","zone":"zs"}}}}"#;
    let stanza = "#version:4\n\nauto va\niface va\n\tbridge_ports none\n\tbridge_stp off\n";
    for case in ["one", "group/two", "group/three"] {
        put(&format!("{case}/sdn/.running-config"), config);
        put(&format!("{case}/interfaces"), "iface vmbr0 inet static\n\taddress 10.0.0.1/24\n");
    }
    put("one/expected_sdn_interfaces", &format!("{stanza}\tbridge_fd 0\n"));
    put("group/two/expected_sdn_interfaces", &format!("{stanza}\tbridge_fd 15\n"));
    let said: Vec<_> = cases(directory.path())
        .iter()
        .map(|(name, directory)| (name.clone(), compared(directory, Way::Imported)))
        .collect();
    let wanted = [
        ("group/three", Err("there is nothing to compare".to_owned())),
        (
            "group/two",
            Err("expected_sdn_interfaces: /etc/network/interfaces.d/sdn:7: expected `\tbridge_fd 15`, found `\tbridge_fd 0`".to_owned()),
        ),
        ("one", Ok(vec!["expected_sdn_interfaces"])),
    ];
    assert_eq!(said, wanted.map(|(name, said)| (name.to_owned(), said)));
}

/// What of a case was compared and the same, or its first difference.
fn compared(directory: &Path, way: Way) -> Result<Vec<&'static str>, String> {
    let read = |file: &str| {
        std::fs::read_to_string(directory.join(file)).map_err(|error| format!("{file}: {error}"))
    };
    let case = Case {
        directory: directory.to_owned(),
        config: read("sdn/.running-config")?,
        interfaces: read("interfaces")?,
    };
    let (rendering, version, findings) = case.rendered(way)?;
    let mut same = Vec::new();
    for comparison in COMPARISONS {
        if directory.join(comparison.expected).is_file() {
            let expected = (comparison.files)(&read(comparison.expected)?);
            case.compare(comparison, &expected, &rendering, version)?;
            same.push(comparison.expected);
        }
    }
    if !directory.join("expected_controller_config").is_file()
        && let Some(text) = rendering.files.get(&Managed::Frr)
        && read("reference_said").is_ok()
        && rendering.obstacle.is_none()
    {
        return Err(format!("the reference has no frr.conf, and here is one: {text}"));
    }
    if let Ok(said) = read("reference_said") {
        given_up(&said, &rendering, &findings)?;
        same.push("reference_said");
    }
    if same.is_empty() { Err("there is nothing to compare".to_owned()) } else { Ok(same) }
}

fn imported(files: &PveFiles, source: Source) -> Result<(Tree, u64), String> {
    let imported = import::pve(files, Some(&"lab".parse().unwrap()), source)
        .map_err(|error| error.to_string())?;
    let texts = imported.files.into_iter().map(|(path, text)| (path, Arc::from(text.as_str())));
    Ok((Tree::new(None, texts), imported.version))
}

fn checked(tree: &Tree) -> Result<(Network, Findings), String> {
    let (network, findings) = validate::check(tree, None, &[]);
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let wrong = format!("an import has errors: {:?}", errors.collect::<Vec<_>>());
    Ok((network.ok_or(wrong)?, findings))
}

impl Case {
    fn rendered(&self, way: Way) -> Result<(Rendering, u64, Findings), String> {
        let node: NodeName = "localhost".parse().unwrap();
        let mut files = files_of(&self.directory.join("sdn"));
        files.nodes.insert(node.to_string());
        let (mut tree, mut version) = imported(&files, Source::Running)?;
        if let Way::Published(source) = way {
            let (declared, _) = weft::declare::read(&tree, None);
            let network = checked(&tree)?.0;
            let published =
                weft::declare::export::pve(&declared, &network, version, &BTreeMap::new());
            let mut files = as_files(&published);
            files.nodes.insert(node.to_string());
            // The servers are there beside what is applied.
            for (path, text) in files_of(&self.directory.join("sdn")).texts {
                if path == "sdn/ipams.cfg" || path == "sdn/dns.cfg" {
                    files.texts.insert(path, text);
                }
            }
            (tree, version) = imported(&files, source)?;
        }
        let (network, findings) = checked(&tree)?;
        let local = std::fs::read_to_string(self.directory.join("frr.conf.local")).ok();
        let facts = facts::of(&node, &self.interfaces, local);
        Ok((render(&network, &node, &facts, Profile::Pve), version, findings))
    }

    fn compare(
        &self,
        comparison: &Comparison,
        expected: &BTreeMap<String, String>,
        rendering: &Rendering,
        version: u64,
    ) -> Result<(), String> {
        let others = rendering.files.keys().filter(|managed| (comparison.exhausts)(managed));
        if let Some(other) = others.map(Managed::path).find(|p| !expected.contains_key(p.as_str()))
        {
            return Err(format!("{}: there is no {other}", comparison.expected));
        }
        for (path, expected) in expected {
            let managed = Managed::of_path(path.as_str().into());
            let ours = managed.and_then(|managed| rendering.bytes(&managed, version));
            if ours.is_none() && comparison.nothing == Some(expected) {
                continue;
            }
            let ours = ours.ok_or_else(|| {
                let why = rendering.obstacle.iter().map(|note| format!(": {note}"));
                format!("{}: no {path}{}", comparison.expected, why.collect::<String>())
            })?;
            let ours = String::from_utf8(ours).unwrap();
            if ours == *expected {
                continue;
            }
            let in_order = |text: &str| (comparison.unordered)(self, text);
            let (expected, ours) = (in_order(expected), in_order(&ours));
            if let Some(difference) = first_difference(&expected, &ours) {
                return Err(format!("{}: {path}:{difference}", comparison.expected));
            }
        }
        Ok(())
    }
}

/// The first line that differs, by its number.
fn first_difference(expected: &str, found: &str) -> Option<String> {
    let (mut expected, mut found) = (expected.split('\n'), found.split('\n'));
    (1..).find_map(|number| match (expected.next(), found.next()) {
        (None, None) => Some(None),
        (expected, found) if expected == found => None,
        (expected, found) => {
            let shown = |line: Option<&str>| {
                line.map_or_else(|| "the end".to_owned(), |line| format!("`{line}`"))
            };
            Some(Some(format!("{number}: expected {}, found {}", shown(expected), shown(found))))
        }
    })?
}

/// The reference takes the nodes of a fabric and the ports of a bridge in the order of a
/// hash, which differs from run to run: those of one list stand here in the order of their
/// names, and of several ports the first stands for whichever was taken.
fn interfaces_in_order(case: &Case, text: &str) -> String {
    let config: serde_json::Value = serde_json::from_str(&case.config).unwrap();
    let zones = config["zones"]["ids"].as_object().cloned().unwrap_or_default();
    let of_fabric =
        zones.values().any(|zone| zone["type"] == "vxlan" && zone.get("fabric").is_some());
    let bridges = facts::bridges(&case.interfaces);
    let (mut lines, mut remotes) = (Vec::new(), Vec::new());
    for line in text.split('\n') {
        if of_fabric && line.starts_with("\tvxlan_remoteip ") {
            remotes.push(line.to_owned());
            continue;
        }
        remotes.sort();
        lines.append(&mut remotes);
        lines.push(if let Some(ports) = line.strip_prefix("\tbridge_ports  ") {
            let mut ports: Vec<&str> = ports.split(' ').collect();
            ports.sort_unstable();
            format!("\tbridge_ports  {}", ports.join(" "))
        } else if let Some(device) = line.strip_prefix("\tvlan-raw-device ") {
            let ports = bridges.iter().map(|bridge| &bridge.ports);
            let ports = ports.filter(|ports| ports.iter().any(|port| port.as_str() == device));
            let first = ports.flatten().next().map_or(device, |port| port.as_str());
            format!("\tvlan-raw-device {first}")
        } else {
            line.to_owned()
        });
    }
    lines.join("\n")
}

/// Where the reference says that it left a vnet out, something is said of it here too.
fn given_up(said: &str, rendering: &Rendering, findings: &Findings) -> Result<(), String> {
    for line in said.lines() {
        let after = |mark: &str| line.split_once(mark).map(|(_, rest)| rest);
        let vnet = after("can't generate vnet '")
            .and_then(|rest| rest.split('\'').next())
            .or_else(|| after(" : vnet ").and_then(|rest| rest.split(" : ").next()));
        let Some(vnet) = vnet else { continue };
        let noted = rendering.notes.iter().any(|note| match &note.subject {
            Subject::Vnet(id) => id.as_str() == vnet,
            _ => false,
        });
        let quoted = format!("`{vnet}`");
        if !noted && !findings.iter().any(|finding| finding.message.contains(&quoted)) {
            return Err(format!("nothing is said of vnet `{vnet}`; the reference says: {line}"));
        }
    }
    Ok(())
}

/// The reference's cases, none of them missing; none at all where it is not here.
fn known_cases() -> Vec<(String, PathBuf)> {
    let Some(shared) = shared() else { return Vec::new() };
    let mut cases = cases(&shared.join("conformance"));
    let group = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    cases.retain(|(name, _)| GROUPS.iter().any(|(known, _)| *known == group(name)));
    for (known, least) in GROUPS {
        let found = cases.iter().filter(|(name, _)| group(name) == *known).count();
        assert!(found >= *least, "{known} has {found} cases");
    }
    cases
}

/// The cases below a directory, and those of its groups; there is one at least.
fn cases(parent: &Path) -> Vec<(String, PathBuf)> {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let is_case = |path: &Path| path.join("sdn").is_dir();
    let mut found = Vec::new();
    for directory in subdirectories(parent) {
        let inside = subdirectories(&directory);
        if is_case(&directory) {
            found.push((name(&directory), directory));
        } else {
            let inside = inside.into_iter().filter(|directory| is_case(directory));
            found
                .extend(inside.map(|case| (format!("{}/{}", name(&directory), name(&case)), case)));
        }
    }
    assert!(!found.is_empty(), "{} has no case", parent.display());
    found
}

fn subdirectories(parent: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(parent).unwrap_or_else(|error| panic!("{}: {error}", parent.display()));
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.is_dir());
    found.sort();
    found
}

pub(crate) fn shared() -> Option<PathBuf> {
    let named = std::env::var_os("WEFT_SHARED").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    named.into_iter().chain([beside]).find(|shared| shared.join("conformance").is_dir())
}

pub(crate) fn directories(parent: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.join("expected_sdn_interfaces").is_file());
    found.sort();
    found
}
