//! `weft doctor`: judgement on recorded machines, readers on what real programs wrote,
//! and the program itself on a dry node.

mod readers;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;
use weft::agent::doctor::examined::Presence;
use weft::agent::doctor::needs::of_network;
use weft::agent::doctor::{Code, Diagnosis, Examined, Looked, Severity, diagnose, examine};
use weft::agent::settings::{self, Settings};
use weft::declare::Tree;
use weft::facts::Route;
use weft::host::Linux;
use weft::network::Network;
use weft::validate::check;

fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doctor").join(name)
}

fn declared() -> Network {
    let files = ["weft.yaml", "sdn/all.yaml"].map(|name| {
        let text = fs::read_to_string(place("declared").join(name)).unwrap();
        (name.parse().unwrap(), text.into())
    });
    let (network, findings) = check(&Tree::new(None, files), None, &[]);
    network.unwrap_or_else(|| panic!("{findings:#?}"))
}

/// The settings of the examples, introduced to a commit of their own.
fn settings_text(profile: &str) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/agent.yaml");
    let text = fs::read_to_string(examples).unwrap();
    let text = text.replace(&"1".repeat(40), "4f0c1d2e3b4a59687766554433221100ffeeddcc");
    let text = format!("{}\nprofile: {profile}\n", text.replace("\nprofile:", "\n# profile:"));
    if profile == "pve" { format!("{text}pve: refuse\n") } else { text }
}

fn recorded(name: &str) -> Json {
    serde_json::from_str(&fs::read_to_string(place(name)).unwrap()).unwrap()
}

/// RFC 7386.
fn merge(into: &mut Json, change: &Json) {
    let Json::Object(change) = change else {
        *into = change.clone();
        return;
    };
    if !into.is_object() {
        *into = Json::Object(serde_json::Map::new());
    }
    let object = into.as_object_mut().unwrap();
    for (key, value) in change {
        if value.is_null() {
            object.remove(key);
        } else {
            merge(object.entry(key).or_insert(Json::Null), value);
        }
    }
}

/// One machine with which something is wrong.
struct Broken {
    examined: Examined,
    settings: Option<Settings>,
    network: Option<Network>,
    expected: Vec<Json>,
}

fn broken(path: &Path) -> Broken {
    let case: Json = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut machine = recorded(&format!("{}.json", case["base"].as_str().unwrap()));
    merge(&mut machine, &case["change"]);
    // What is replaced holds a null that a merge would take for a removal.
    for key in case["replace"].as_array().into_iter().flatten().map(|key| key.as_str().unwrap()) {
        machine[key] = case["change"][key].clone();
    }
    let text = settings_text(if case["base"] == "proxmox" { "pve" } else { "debian" });
    let settings = match case.get("settings") {
        None => Some(text),
        Some(Json::Null) => None,
        Some(words) => {
            let (from, to) = (words[0].as_str().unwrap(), words[1].as_str().unwrap());
            assert!(text.contains(from), "{}: no `{from}`", path.display());
            Some(text.replace(from, to))
        }
    };
    Broken {
        examined: serde_json::from_value(machine)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        settings: settings.map(|text| settings::read(&text).unwrap()),
        network: (case["declared"] != false).then(declared),
        expected: case["expect"].as_array().unwrap().clone(),
    }
}

fn cases() -> BTreeMap<String, Broken> {
    let entries = fs::read_dir(place("broken")).unwrap();
    let cases = entries.map(|entry| {
        let path = entry.unwrap().path();
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), broken(&path))
    });
    cases.collect()
}

fn wrong(diagnoses: &[Diagnosis]) -> Vec<&Diagnosis> {
    diagnoses.iter().filter(|diagnosis| diagnosis.severity >= Severity::Warning).collect()
}

#[test]
fn machines_in_order_have_no_trouble() {
    let network = declared();
    for (name, profile) in [("debian.json", "debian"), ("proxmox.json", "pve")] {
        let settings = settings::read(&settings_text(profile)).unwrap();
        let text = fs::read_to_string(place(name)).unwrap();
        let examined: Examined = serde_json::from_str(&text).unwrap();
        let again = serde_json::to_value(&examined).unwrap();
        assert_eq!(again, recorded(name), "{name} is not as weft writes it");

        let diagnoses = diagnose(&examined, Some(&settings), Some(&network));
        let codes: BTreeSet<Code> = diagnoses.iter().map(|diagnosis| diagnosis.code).collect();
        assert_eq!(codes, Code::ALL.iter().copied().collect(), "{name}: each code once at least");
        let shown: Vec<Code> = diagnoses.iter().map(|diagnosis| diagnosis.code).collect();
        assert!(shown.is_sorted(), "{name}: in the order of the list");
        // Proxmox's firewall of the record knows the port of its own file, not the declared one.
        let wrong = wrong(&diagnoses);
        let expected = if name == "proxmox.json" { vec![Code::Firewall] } else { vec![] };
        let codes: BTreeSet<Code> = wrong.iter().map(|diagnosis| diagnosis.code).collect();
        assert_eq!(codes, expected.into_iter().collect(), "{name}: {wrong:#?}");
        let skipped: Vec<Code> = diagnoses
            .iter()
            .filter(|diagnosis| diagnosis.severity == Severity::Skipped)
            .map(|diagnosis| diagnosis.code)
            .collect();
        assert_eq!(skipped, [Code::Remote], "{name}");
    }
}

#[test]
fn the_profile_that_fits_is_named() {
    for (name, fits) in [("debian.json", "`debian`"), ("proxmox.json", "`pve`")] {
        let examined: Examined = serde_json::from_value(recorded(name)).unwrap();
        let diagnoses = diagnose(&examined, None, None);
        let profile = diagnoses.iter().find(|diagnosis| diagnosis.code == Code::Profile).unwrap();
        assert!(profile.message.contains(fits), "{profile:?}");
    }
}

#[test]
fn each_broken_machine_is_told_what_mends_it() {
    for (name, case) in cases() {
        let diagnoses = diagnose(&case.examined, case.settings.as_ref(), case.network.as_ref());
        for expected in &case.expected {
            let word = |key: &str| expected[key].as_str();
            let found = diagnoses.iter().find(|diagnosis| {
                Some(diagnosis.code.as_str()) == word("code")
                    && Some(diagnosis.severity.as_str()) == word("severity")
                    && diagnosis.message.contains(word("says").unwrap())
                    && diagnosis.mend.as_deref() == word("mend")
            });
            assert!(found.is_some(), "{name}: no {expected:#}\nin {diagnoses:#?}");
        }
        // Nothing else than what the case is about.
        for diagnosis in wrong(&diagnoses) {
            let known = case.expected.iter().any(|e| e["code"] == diagnosis.code.as_str())
                || case.network.is_none()
                || case.settings.is_none()
                || (case.examined.packages.seen().is_some_and(|p| p.contains_key("pve-manager"))
                    && diagnosis.code == Code::Firewall);
            assert!(known, "{name}: {diagnosis:#?}");
        }
    }
}

#[test]
fn every_code_is_wrong_in_some_case_and_then_says_what_mends_it() {
    let mut raised = BTreeSet::new();
    for (name, case) in cases() {
        for diagnosis in diagnose(&case.examined, case.settings.as_ref(), case.network.as_ref()) {
            let is_wrong = diagnosis.severity >= Severity::Warning;
            assert_eq!(is_wrong, diagnosis.mend.is_some(), "{name}: {diagnosis:?}");
            if is_wrong {
                raised.insert(diagnosis.code);
            }
        }
    }
    let quiet: Vec<&Code> = Code::ALL.iter().filter(|code| !raised.contains(code)).collect();
    assert!(quiet.is_empty(), "no case raises {quiet:?}");
}

#[test]
fn codes_are_named_once() {
    let names: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(names.len(), Code::ALL.len());
}

/// A dry node with what a Debian machine has.
fn dry() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("usr/lib/os-release", "ID=debian\nVERSION_ID=\"13\"\n");
    let package = |name: &str, version: &str| {
        format!("Package: {name}\nStatus: install ok installed\nVersion: {version}\n\n")
    };
    let status = [
        package("ifupdown2", "3.0.0-1.3"),
        package("iptables", "1.8.11-2"),
        package("dnsmasq", "2.91-1"),
    ];
    put("var/lib/dpkg/status", &status.concat());
    put(
        "etc/network/interfaces",
        "source /etc/network/interfaces.d/*\nauto eth0\niface eth0 inet static\n\taddress 192.0.2.1/24\n\tgateway 192.0.2.254\n",
    );
    put("etc/network/ifupdown2/ifupdown2.conf", "multiple_vlan_aware_bridge_support=1\n");
    put("etc/iproute2/rt_tables.d/README", "");
    put("etc/weft/agent.yaml", &settings_text("debian"));
    put("etc/weft/ca.pem", "authorities\n");
    put("etc/weft/known_hosts", "keys\n");
    for secret in ["etc/weft/forge.token", "etc/weft/deploy.key"] {
        put(secret, "secret\n");
        chmod(&root.path().join(secret), 0o600);
    }
    root
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn weft(root: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_weft"))
        .arg("--root")
        .arg(root)
        .args(arguments)
        .env_remove("WEFT_LOG")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code().unwrap(), text.concat())
}

#[test]
fn a_dry_node_is_examined_by_its_files() {
    let root = dry();
    let declared = place("declared");
    let declared = declared.to_str().unwrap();
    let (code, text) = weft(root.path(), &["doctor", declared]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("  ok       profile: debian 13: profile `debian` fits"), "{text}");
    assert!(text.contains("  skipped  clock-synchronised: a dry node has files"), "{text}");
    assert!(text.contains("0 errors, 0 warnings"), "{text}");

    fs::write(root.path().join("etc/network/interfaces"), "auto lo\n").unwrap();
    fs::set_permissions(root.path().join("etc/weft/agent.yaml"), fs::Permissions::from_mode(0o666))
        .unwrap();
    let (code, text) = weft(root.path(), &["--json", "doctor", declared]);
    assert_eq!(code, 1, "{text}");
    let document: Json = serde_json::from_str(&text).unwrap();
    assert_eq!(document["ok"], false);
    let errors: BTreeSet<&str> = document["diagnoses"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|diagnosis| diagnosis["severity"] == "error")
        .map(|diagnosis| diagnosis["code"].as_str().unwrap())
        .collect();
    assert_eq!(errors, ["file-writable", "source-line"].into());
    // The document holds the machine, so that the report is a test.
    let examined: Examined = serde_json::from_value(document["examined"].clone()).unwrap();
    assert!(examined.dry);
}

#[test]
fn files_that_the_settings_name_are_looked_for_and_their_secrets_too() {
    let root = dry();
    let path = root.path().join("etc/weft/agent.yaml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("/etc/weft/forge.token", "/srv/forge")).unwrap();
    fs::remove_file(root.path().join("etc/weft/ca.pem")).unwrap();
    let (code, text) = weft(root.path(), &["doctor"]);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("error    named-files: the settings name `/etc/weft/ca.pem`, `/srv/forge`"),
        "{text}"
    );
    fs::create_dir_all(root.path().join("srv")).unwrap();
    for file in ["srv/forge", "etc/weft/ca.pem"] {
        fs::write(root.path().join(file), "abc\n").unwrap();
        chmod(&root.path().join(file), 0o644);
    }
    let (code, text) = weft(root.path(), &["doctor"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("ok       named-files:"), "{text}");
    assert!(text.contains("error    secret-readable: `/srv/forge`: everybody"), "{text}");
    assert!(!text.contains("ca.pem`: everybody"), "{text}");
}

#[test]
fn a_dry_node_is_told_of_wrong_declarations_and_settings() {
    let root = dry();
    let empty = tempfile::tempdir().unwrap();
    fs::write(empty.path().join("weft.yaml"), "weft: 1\ncluster: 7 7\n").unwrap();
    let (code, text) = weft(root.path(), &["doctor", empty.path().to_str().unwrap()]);
    assert_eq!(code, 4, "{text}");

    fs::write(root.path().join("etc/weft/agent.yaml"), "cluster: small\nnode: 7 7\n").unwrap();
    let (code, text) = weft(root.path(), &["doctor"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("  error    settings: `/etc/weft/agent.yaml`: line "), "{text}");

    fs::remove_file(root.path().join("etc/weft/agent.yaml")).unwrap();
    let (code, text) = weft(root.path(), &["doctor", "--online"]);
    assert_eq!(code, 0, "not introduced is no error: {text}");
    assert!(text.contains("warning  settings: `/etc/weft/agent.yaml` is missing"), "{text}");
    assert!(text.contains("skipped  remote: there are no settings"), "{text}");
}

#[test]
fn a_dry_node_runs_no_program_and_shows_nothing_of_this_machine() {
    let root = tempfile::tempdir().unwrap();
    let root = camino::Utf8PathBuf::from_path_buf(root.path().canonicalize().unwrap()).unwrap();
    let host = Linux::new(Some(root));
    assert!(host.ask("true", &[]).unwrap_err().to_string().contains("dry node"));
    let program = camino::Utf8Path::new("/nonexistent/weft");
    let examined = examine(&host, program, true).examined;
    for looked in [examined.networkd, examined.network_manager] {
        assert!(matches!(looked, Looked::Unseen(_)));
    }
    assert!(matches!(examined.modules, Looked::Unseen(_)));
    assert!(matches!(examined.filters, Looked::Unseen(_)));
    assert!(matches!(examined.links, Looked::Unseen(_)));
    assert!(matches!(examined.packages, Looked::Unseen(_)));
}

#[test]
fn this_machine_can_be_examined() {
    let program = camino::Utf8Path::new(env!("CARGO_BIN_EXE_weft"));
    let examined = examine(&Linux::new(None), program, false).examined;
    assert!(examined.landlock.seen().is_some(), "{:?}", examined.landlock);
    assert!(!examined.dry);
    let links = examined.links.seen().unwrap();
    assert!(links[&"lo".parse::<weft::value::IfName>().unwrap()].mtu > 1500);
    assert!(examined.rp_filter_all.seen().is_some());
    let modules = examined.modules.seen().unwrap();
    assert!(modules.values().any(|presence| *presence != Presence::Missing), "{modules:?}");
    // Whatever is wrong here: there is an answer for each code.
    let codes: BTreeSet<Code> =
        diagnose(&examined, None, None).iter().map(|diagnosis| diagnosis.code).collect();
    assert_eq!(codes.len(), Code::ALL.len());
}

#[test]
fn boot_restore_finds_nothing_on_a_fresh_node_and_tells_damage() {
    let root = dry();
    let (code, text) = weft(root.path(), &["boot-restore"]);
    assert_eq!((code, text.as_str()), (0, "no apply was interrupted\n"));
    fs::create_dir_all(root.path().join("var/lib/weft/journal")).unwrap();
    fs::write(root.path().join("var/lib/weft/journal/00000001.intent"), "{").unwrap();
    let (code, text) = weft(root.path(), &["boot-restore"]);
    assert_eq!(code, 5, "{text}");
    assert!(text.contains("damaged"), "{text}");
}

/// What routed zones, controllers and fabrics ask of a node, and of one without them.
#[test]
fn routing_is_asked_for_where_it_is_declared() {
    let text = "nodes:\n  node1: {address: 192.0.2.1}\n  node2: {address: 192.0.2.2}\n\
        controllers:\n  ctl: {type: evpn, asn: 65000, peers: [192.0.2.1, 192.0.2.2]}\n  \
        up: {type: bgp, node: node1, asn: 65001, peers: [192.0.2.254], ebgp: true, ebgp-multihop: 3}\n\
        fabrics:\n  fab:\n    type: openfabric\n    ip6_prefix: \"fd00:20::/64\"\n    nodes:\n      \
        node1: {ip6: \"fd00:20::1\", interfaces: [{name: eth1}]}\n\
        zones:\n  routed: {type: evpn, controller: ctl, vrf-vxlan: 10000, exitnodes: [node1]}\n  \
        wide: {type: qinq, bridge: vmbr0, tag: 100}\n\
        vnets:\n  va:\n    zone: routed\n    tag: 11000\n    subnets:\n      10.0.0.0/24: {gateway: 10.0.0.1}\n  \
        vb: {zone: wide, tag: 5}\n";
    let files = [("weft.yaml", "weft: 1\ncluster: lab\n"), ("sdn/all.yaml", text)];
    let files = files.map(|(name, text)| (name.parse().unwrap(), text.into()));
    let (network, findings) = check(&Tree::new(None, files), None, &[]);
    let network = network.unwrap_or_else(|| panic!("{findings:#?}"));
    let route = Route {
        destination: "0.0.0.0/0".parse().unwrap(),
        interface: "eno1".parse().unwrap(),
        gateway: None,
        source: "192.0.2.1".parse().unwrap(),
        metric: 0,
    };
    let needs =
        |node: &str| of_network(&network, &node.parse().unwrap(), std::slice::from_ref(&route));
    let first = needs("node1");
    let openings: BTreeSet<(&str, Option<u16>)> =
        first.openings.iter().map(|opening| (opening.service.as_str(), opening.port)).collect();
    let bfd = [3784, 3785, 4784].map(|port| ("BFD", Some(port)));
    let others = [("BGP", Some(179)), ("VXLAN", Some(4789))];
    assert_eq!(openings, bfd.into_iter().chain(others).collect());
    assert!(first.routing && first.vrfs && first.vlans && first.transit_v6 && !first.source_nat);
    assert_eq!(first.exits, ["eno1".parse().unwrap()].into());
    assert!(first.interfaces.contains("eth1") && first.vlan_aware_bridges == 1);
    let second = needs("node2");
    assert!(second.routing && !second.transit_v6 && second.exits.is_empty());
    assert!(second.openings.iter().all(|opening| opening.port != Some(4784)));
}
