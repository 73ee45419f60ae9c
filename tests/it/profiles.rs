//! Profiles in settings, on the command line and in the documentation.

use std::fmt::Write as _;
use std::path::Path;

use weft::agent::settings;
use weft::render::{Difference, Profile};

use super::node::{FILE, Node, declared};

const ROUTE_TABLES: &str = "etc/iproute2/rt_tables.d/weft.conf";

/// The table of README.md is the list that renders.
#[test]
fn the_readme_has_every_difference() {
    let table = Difference::ALL.iter().fold(
        "| code | what profile `debian` does otherwise | why |\n| --- | --- | --- |\n".to_owned(),
        |mut table, difference| {
            let Difference { code, what, why, .. } = difference;
            writeln!(table, "| `{code}` | {what} | {why} |").unwrap();
            table
        },
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once("<!-- differences -->\n").expect("the table's place");
    let (found, after) = rest.split_once("<!-- /differences -->").expect("the table's end");
    if std::env::var_os("UPDATE").is_some() {
        let text = format!("{before}<!-- differences -->\n{table}<!-- /differences -->{after}");
        std::fs::write(path, text).unwrap();
        return;
    }
    assert_eq!(found, table, "UPDATE=1 rewrites it");
}

#[test]
fn every_difference_can_be_explained() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    for difference in Difference::ALL {
        let said = node.beside(&["explain", difference.code]);
        assert_eq!(said.code, 0, "{}", said.all());
        assert!(said.out.contains(difference.what) && said.out.contains(difference.why));
    }
}

#[test]
fn settings_name_a_profile_and_mean_pve_without_one() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    let text = std::fs::read_to_string(node.root.join("etc/weft/agent.yaml")).unwrap();
    assert_eq!(settings::read(&text).unwrap().profile(), Profile::Pve);
    for profile in Profile::ALL {
        let settings = settings::read(&format!("{text}profile: {profile}\n")).unwrap();
        assert_eq!(settings.profile(), *profile);
    }
    node.put("etc/weft/agent.yaml", format!("{text}profile: debain\n").as_bytes());
    let said = node.run(&["sync"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("did you mean `debian`"), "{}", said.err);
}

/// Another profile is a difference like changed facts: told at once, applied with the
/// next commit or on demand, recorded, and taken back as a whole.
#[test]
fn another_profile_is_pending_until_it_is_asked_for() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    assert_eq!(node.run(&["sync"]).code, 0);
    let (pve, settings) = (node.file().unwrap(), "etc/weft/agent.yaml");
    let text = std::fs::read_to_string(node.root.join(settings)).unwrap();
    node.put(settings, format!("{text}profile: debian\n").as_bytes());

    let said = node.run(&["sync"]);
    assert_eq!(said.code, 2, "{}", said.all());
    assert!(said.out.contains("its profile"), "{}", said.out);
    assert_eq!(node.file().unwrap(), pve);
    assert!(!node.root.join(ROUTE_TABLES).exists());

    assert_eq!(node.run(&["apply", "--refresh"]).code, 0);
    let debian = node.file().unwrap();
    let is_more = |line: &&str| line.starts_with("\tbridge-ports-condone-regex ");
    let same: String = debian.split_inclusive('\n').filter(|line| !is_more(line)).collect();
    assert_eq!(same, pve);
    assert_ne!(debian, pve);
    assert!(std::fs::read_to_string(node.root.join(ROUTE_TABLES)).unwrap().starts_with('#'));
    let manifest = node.root.join("var/lib/weft/gen/00000002/manifest.json");
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap();
    assert_eq!(manifest["profile"], "debian");
    assert_eq!(node.run(&["sync"]).code, 0);

    node.put(settings, text.as_bytes());
    assert_eq!(node.run(&["apply", "--refresh"]).code, 0);
    assert_eq!(node.file().unwrap(), pve);
    assert!(!node.root.join(ROUTE_TABLES).exists(), "the file of the profile stayed");
}

#[test]
fn a_directory_is_rendered_and_planned_for_a_profile() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    let line = "bridge-ports-condone-regex";
    for (more, has) in
        [(&["--profile", "debian"][..], true), (&["--profile", "pve"], false), (&[], false)]
    {
        let said = node.beside(&[&["render", "work", "--node", "n1"][..], more].concat());
        assert_eq!(said.code, 0, "{}", said.all());
        assert_eq!(said.out.contains(line), has, "{}", said.out);
        let said = node.run(&[&["plan", "work"][..], more].concat());
        assert_eq!(said.code, 2, "{}", said.all());
        assert_eq!(said.out.contains(line), has, "{}", said.out);
    }
    assert_eq!(node.beside(&["render", "work", "--node", "n1", "--profile", "suse"]).code, 64);
    assert!(!node.root.join(FILE).exists());
    // The settings' own, where none is named.
    let text = std::fs::read_to_string(node.root.join("etc/weft/agent.yaml")).unwrap();
    node.put("etc/weft/agent.yaml", format!("{text}profile: debian\n").as_bytes());
    assert!(node.run(&["plan", "work"]).out.contains(line));
    assert!(!node.run(&["plan", "work", "--profile", "pve"]).out.contains(line));
}
