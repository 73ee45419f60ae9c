//! What people copy from `examples/` must be in order as it stands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use weft::agent::{Mode, settings};
use weft::declare::policy::{Difference, File, Mainline};
use weft::declare::{Findings, Severity, Tree, policy, signers};
use weft::facts::Facts;
use weft::network::Network;
use weft::render::{Managed, Profile, render};
use weft::validate::check;
use weft::validate::scope::Scopes;
use weft::value::ObjectId;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The directories of `examples/` that are repositories.
fn repositories() -> Vec<PathBuf> {
    let entries = fs::read_dir(examples()).unwrap();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.join("weft.yaml").is_file());
    found.sort();
    found
}

fn network(top: &Path, facts: &[Facts]) -> Network {
    let tree = files(top).into_iter().filter_map(|path| {
        let name = path.strip_prefix(top).unwrap().to_str().unwrap().parse().unwrap();
        Tree::wants(None, &name).then(|| (name, fs::read_to_string(&path).unwrap().into()))
    });
    let cluster = top.file_name().unwrap().to_str().unwrap();
    let (network, findings) = check(&Tree::new(None, tree), Some(&cluster.parse().unwrap()), facts);
    // Advice is none.
    let doubtful = findings.count(Severity::Error) + findings.count(Severity::Warning);
    assert_eq!(doubtful, 0, "{cluster}: {findings:#?}");
    network.unwrap()
}

fn facts(top: &Path) -> Vec<Facts> {
    let read = |path: &PathBuf| serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let paths = files(&top.join("facts"));
    paths.iter().map(read).collect()
}

/// All of it is there: every vnet's bridge on each node, and routing where it is declared.
#[test]
fn every_repository_renders_on_each_node_without_a_finding() {
    let all = repositories();
    assert!(all.len() >= 9, "{all:?}");
    for top in all {
        let facts = facts(&top);
        let network = network(&top, &facts);
        let known: Vec<_> = facts.iter().map(|facts| &facts.node).collect();
        assert_eq!(known.len(), network.nodes.len(), "{}", top.display());
        for facts in &facts {
            assert!(network.declares(&facts.node), "{}: {}", top.display(), facts.node);
            for &profile in Profile::ALL {
                let rendering = render(&network, &facts.node, facts, profile);
                let text = &rendering.files[&Managed::Interfaces];
                for vnet in network.vnets_on(&facts.node).keys() {
                    let stanza = format!("\niface {vnet}\n");
                    assert!(text.contains(&stanza), "{}: no {vnet} in\n{text}", top.display());
                }
                if profile == Profile::Pve {
                    assert_eq!(rendering.notes, [], "{}", top.display());
                }
            }
        }
    }
}

#[test]
fn the_trust_files_of_the_small_repository_have_no_finding() {
    let top = examples().join("small");
    let mut findings = Findings::default();
    let text = fs::read_to_string(top.join(signers::FILE)).unwrap();
    let keys = signers::read(&signers::FILE.parse().unwrap(), &text, &mut findings);
    let text = fs::read_to_string(top.join(policy::FILE)).unwrap();
    let policy = policy::read(&policy::FILE.parse().unwrap(), &text, &keys, &mut findings);
    assert!(findings.is_empty(), "{findings:#?}");

    let policy = policy.unwrap();
    let (alice, bob) = ("alice@example.org".parse().unwrap(), "bob@example.org".parse().unwrap());
    assert!(policy.may(&alice, policy::FILE));
    assert!(policy.may(&bob, "sdn/vxlan.yaml"));
    assert!(!policy.may(&bob, policy::FILE));
}

/// What the README says of tenants, on the files that it shows.
#[test]
fn tenants_keep_to_their_files() {
    let top = examples().join("two-tenants");
    let mut findings = Findings::default();
    let read = |path: &str| fs::read_to_string(top.join(path)).unwrap();
    let keys = signers::read(&signers::FILE.parse().unwrap(), &read(signers::FILE), &mut findings);
    let file = policy::FILE.parse().unwrap();
    let policy = policy::read(&file, &read(policy::FILE), &keys, &mut findings).unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
    assert_eq!(policy.mainline(), Mainline::Merges);

    let declared = |without: &str| -> Vec<File> {
        let names = ["sdn/core.yaml", "sdn/nodes.yaml", "sdn/tenants/a.yaml", "sdn/tenants/b.yaml"];
        let file = |(number, name): (u8, &str)| File {
            path: name.parse().unwrap(),
            id: ObjectId::from_bytes([number; 20]),
            text: read(name).into(),
        };
        (0..).zip(names).filter(|(_, name)| *name != without).map(file).collect()
    };
    let after = declared("");
    for (role, own, other) in [("tenant-a", "a", "b"), ("tenant-b", "b", "a")] {
        let role = policy.roles().iter().find(|one| one.name.as_str() == role).unwrap();
        let member = role.principals.first().unwrap();
        let path = |tenant: &str| format!("sdn/tenants/{tenant}.yaml");
        assert!(policy.may(member, &path(own)) && !policy.may(member, &path(other)));
        let judged = |tenant: &str| {
            let (name, before) = (path(tenant), declared(&path(tenant)));
            let path = name.parse().unwrap();
            let scope = role.scope.as_ref().unwrap();
            let difference = Difference { scope, path: &path, before: &before, after: &after };
            Scopes::default().judge(&difference)
        };
        assert_eq!(judged(own), Ok(()));
        assert!(judged(other).is_err());
    }
}

#[test]
fn the_settings_of_a_node_can_be_read_with_and_without_what_is_optional() {
    let text = fs::read_to_string(examples().join("agent.yaml")).unwrap();
    let read = settings::read(&text).unwrap();
    assert_eq!(read.mode(), Mode::Observe);
    assert_eq!(read.remotes.value.len(), 2);

    // Optional keys stand in the file as comments of one line; each must be right.
    let optional = ["path: ", "profile: ", "allow-file: "];
    let mut all = text.replace("SHA256:…", &format!("SHA256:{}", "A".repeat(43)));
    for key in optional {
        assert!(all.contains(&format!("\n# {key}")), "{key}");
        all = all.replace(&format!("\n# {key}"), &format!("\n{key}"));
    }
    let read = settings::read(&all).unwrap();
    assert!(read.path.is_some() && read.allow_file.is_some());
    assert_eq!(read.profile(), Profile::Debian);
}

#[test]
fn ssh_reads_the_signers_of_the_small_repository() {
    let signers = examples().join("small/.weft/allowed_signers");
    for name in ["alice@example.org", "bob@example.org"] {
        let mut command = Command::new("ssh-keygen");
        command.args(["-Y", "match-principals", "-I", name, "-f"]).arg(&signers);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), name);
    }
}

#[test]
fn no_example_holds_a_private_key() {
    let all = files(&examples());
    assert!(all.len() >= 7, "{all:?}");
    for path in all {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("PRIVATE KEY"), "{}", path.display());
    }
}
