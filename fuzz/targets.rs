//! What each fuzz target does with some bytes. The tests replay `fuzz/seeds` through the
//! same functions, so this file knows nothing of the fuzzer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use base64ct::{Base64, Encoding};
use jiff::Timestamp;
use ssh_key::PublicKey;
use weft::declare::finding::Code;
use weft::declare::import::{self, PveFiles, Source};
use weft::declare::pve::guest::{self, Hypervisor};
use weft::declare::pve::kind::Dialect;
use weft::declare::pve::section;
use weft::declare::signers::{self, Signer};
use weft::declare::{Findings, Tree};
use weft::facts::{Facts, Frr, Interface, InterfaceAddress, Route};
use weft::network::{Lease, Leases, Network, Origin};
use weft::plan::hosts;
use weft::render::{Managed, Profile, render};
use weft::sync::commit;
use weft::sync::signature::{self, SignatureError};
use weft::validate;
use weft::value::{Principal, RepoPath, ZoneId};

/// A file of declarations: whatever it says, reading it and every rule end, and there is a
/// network exactly if no finding is an error.
pub(crate) fn yaml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (network, findings) = validate::check(&tree([("sdn/a.yaml", text)]), None, &[]);
    assert_eq!(network.is_none(), findings.has_errors());
    let Some(network) = network else { return };
    for node in network.nodes.keys() {
        render(&network, node, &facts(node.as_str(), None), Profile::Pve);
    }
}

/// Section files of Proxmox, zones first, each behind a line `%%`: they are read or refused,
/// and an import that is made of them is one that can be read.
pub(crate) fn section_config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for dialect in [Dialect::Perl, Dialect::Rust] {
        drop(section::read("fuzz.cfg", text, dialect));
    }
    let names = ["zones", "vnets", "subnets", "controllers", "fabrics", "ipams", "dns"];
    let texts = names.iter().zip(text.split("\n%%\n"));
    let texts = texts.map(|(name, text)| (format!("sdn/{name}.cfg"), text.to_owned()));
    let files = PveFiles { texts: texts.collect(), ..PveFiles::default() };
    let cluster = "fuzz".parse().expect("a name");
    let Ok(imported) = import::pve(&files, Some(&cluster), Source::Wanted) else { return };
    let files = imported.files.iter().map(|(path, text)| (path.clone(), Arc::from(text.as_str())));
    let (_, findings) = validate::check(&Tree::new(None, files), None, &[]);
    let unreadable = [Code::YamlSyntax, Code::YamlFeature, Code::DuplicateKey, Code::BadValue];
    let wrong = findings.iter().find(|finding| unreadable.contains(&finding.code));
    assert!(wrong.is_none(), "an import cannot be read: {wrong:?}");
}

/// The configuration of a guest: it is read or refused, snapshots change nothing of what it
/// says, and what it says can be written in a line.
pub(crate) fn guest_config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for hypervisor in Hypervisor::ALL {
        let Ok(read) = guest::read("100.conf", text, hypervisor) else { continue };
        let more = format!("{text}\n[snapshot]\nnet0: nothing of it counts\n");
        assert_eq!(guest::read("100.conf", &more, hypervisor).ok().as_ref(), Some(&read));
        for nic in read.nics.values() {
            let line = format!("{}{}", nic.bridge, nic.mac);
            assert!(!line.contains(|c: char| c.is_control() || c.is_whitespace()), "{line}");
        }
    }
}

/// The file of a zone's hosts, a part of which is leases: these come through whole, no line of
/// others is lost unless it is named, and the second time nothing changes.
pub(crate) fn hosts(bytes: &[u8]) {
    let Ok(found) = std::str::from_utf8(bytes) else { return };
    let zone: ZoneId = "za".parse().expect("a zone");
    let lease = Lease {
        vnet: "va".parse().expect("a vnet"),
        mac: "02:00:00:00:00:01".parse().expect("a MAC address"),
        guest: "web".parse().expect("a guest"),
        hostname: None,
        origin: Origin::Declared,
        released: None,
    };
    let leases: Leases = [((zone.clone(), [10, 0, 0, 1].into()), lease)].into();
    let own = "02:00:00:00:00:01,10.0.0.1";
    let first = hosts::hosts(&zone, &leases, found, &BTreeSet::new());
    assert_eq!(first.text.lines().filter(|line| *line == own).count(), 1);
    for line in found.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        let is_kept = first.text.lines().any(|kept| kept == line);
        let says_the_same = line.to_ascii_lowercase().contains("02:00:00:00:00:01");
        assert!(
            is_kept || says_the_same || first.dropped.iter().any(|gone| gone == line),
            "{line}"
        );
    }
    let second = hosts::hosts(&zone, &leases, &first.text, &first.own);
    assert_eq!((&second.text, second.dropped.len()), (&first.text, 0));
    hosts::forgotten(&first.own, &second.own, found);
}

/// A node's own `frr.conf.local`: whatever it says, the merge ends, and no control character
/// comes through.
pub(crate) fn frr_local(bytes: &[u8]) {
    static NETWORK: OnceLock<Network> = OnceLock::new();
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let network = NETWORK.get_or_init(|| {
        let (network, findings) = validate::check(&tree([("sdn/a.yaml", ROUTED)]), None, &[]);
        network.unwrap_or_else(|| panic!("{findings:?}"))
    });
    let facts = facts("node1", Some(text));
    let rendering = render(network, &facts.node, &facts, Profile::Pve);
    if let Some(conf) = rendering.files.get(&Managed::Frr) {
        assert!(!conf.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
    }
}

/// A raw commit, or what is in the armour of its signature: a commit has one form, its
/// payload and its signature are all of it, and no signature that is good is good for
/// another commit.
pub(crate) fn commit(bytes: &[u8]) {
    if bytes.starts_with(b"SSHSIG") {
        return self::commit(signed(bytes).as_bytes());
    }
    let Ok(commit) = commit::parse(bytes) else {
        commit::lineage(bytes);
        return;
    };
    assert_eq!(commit.to_bytes(), bytes);
    assert_eq!(commit::lineage(bytes), Some((commit.tree, commit.parents.clone())));
    let payload = commit.payload();
    let unsigned = commit::parse(&payload).expect("a commit without its signature is one");
    assert_eq!((unsigned.signature(), unsigned.payload()), (None, payload.clone()));
    assert_eq!((unsigned.tree, unsigned.message), (commit.tree, commit.message));
    if let Some(signature) = commit.signature() {
        let payload = std::str::from_utf8(&payload).expect("text");
        let (header, message) = payload.split_once("\n\n").expect("an end of the header");
        let block = signature.replace('\n', "\n ");
        assert_eq!(format!("{header}\ngpgsig {block}\n\n{message}").as_bytes(), bytes);
    }
    let subject = commit.subject();
    assert!(subject.chars().count() <= 200 && !subject.contains(char::is_control));
    let Ok(signed) = signature::verify(&commit) else { return };
    let other = [bytes, b"x"].concat();
    let other = commit::parse(&other).expect("a longer message");
    assert_eq!(signature::verify(&other), Err(SignatureError::Wrong(signed.fingerprint)));
}

/// A commit with this in the armour of its signature.
fn signed(envelope: &[u8]) -> String {
    let body = Base64::encode_string(envelope);
    let lines: Vec<&str> =
        body.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!(
        "tree 227571d5effa3879ce204d04bec9e258618bfb08\n\
         author A <a@x> 1795447191 +0000\ncommitter A <a@x> 1795447191 +0000\n\
         gpgsig -----BEGIN SSH SIGNATURE-----\n {}\n -----END SSH SIGNATURE-----\n\nx\n",
        lines.join("\n ")
    )
}

/// `allowed_signers`: a line says the same wherever it stands, and so does a line that is
/// written from what was read.
pub(crate) fn allowed_signers(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let file = signers::FILE.parse().expect("a path");
    let read = |text: &str| {
        let mut findings = Findings::default();
        (signers::read(&file, text, &mut findings), findings)
    };
    let (signers, findings) = read(text);
    for mark in findings.iter().flat_map(|finding| &finding.marks) {
        let range = std::ops::Range::from(mark.place.span.bytes);
        assert!(text.get(range).is_some(), "{mark:?}");
    }
    if findings.iter().any(|finding| finding.code == Code::TooLarge) {
        return;
    }
    let said = |signer: &Signer| {
        let Signer { names, key, valid_after, valid_before, .. } = signer.clone();
        (names, key, valid_after, valid_before)
    };
    let (mut alone, mut count) = (Vec::new(), 0);
    for line in text.split('\n') {
        let (signers, findings) = read(line);
        let comment = line.trim_start_matches([' ', '\t']);
        let comment = comment.is_empty() || comment.starts_with('#');
        assert_eq!(signers.lines().len(), usize::from(!comment && !findings.has_errors()));
        for signer in signers.lines() {
            // A key has one form, so that it is the same key wherever it stands.
            let key = PublicKey::from(signer.key.clone()).to_openssh().expect("a key");
            let word = key.split(' ').nth(1).expect("a key");
            assert!(line.split([' ', '\t']).any(|other| other == word), "{line}");
        }
        alone.extend(signers.lines().iter().map(said));
        count += findings.iter().count();
    }
    let all: Vec<_> = signers.lines().iter().map(said).collect();
    assert_eq!((all, findings.iter().count()), (alone, count));
    for signer in signers.lines().iter().filter(|signer| !signer.names.is_empty()) {
        let written = written(signer);
        let (again, findings) = read(&written);
        assert!(findings.is_empty(), "{written}: {findings:?}");
        let [line] = again.lines() else { panic!("{written}") };
        assert_eq!(said(line), said(signer), "{written}");
        for at in [signer.valid_after, signer.valid_before].into_iter().flatten() {
            let names = again.principals(&signer.key, "git", at).expect("both ends are included");
            assert!(signer.names.iter().all(|name| names.contains(&name)), "{names:?}");
        }
    }
}

/// A signer as a line. What a line allows it to sign is left out.
fn written(signer: &Signer) -> String {
    let names: Vec<&str> = signer.names.iter().map(Principal::as_str).collect();
    let time = |name: &str, at: Option<Timestamp>| {
        at.map(|at| format!("{name}=\"{}\"", at.strftime("%Y%m%d%H%M%SZ")))
    };
    let times =
        [time("valid-after", signer.valid_after), time("valid-before", signer.valid_before)];
    let options = times.into_iter().flatten().collect::<Vec<_>>().join(",");
    let key = PublicKey::from(signer.key.clone()).to_openssh().expect("a key");
    format!("{} {options} {key}", names.join(","))
}

/// A network with everything that FRR does.
const ROUTED: &str = r#"
nodes: {node1: {address: 192.168.0.1}, node2: {address: 192.168.0.2}}
controllers:
  ctl: {type: evpn, asn: 65000}
  bgpnode1: {type: bgp, node: node1, asn: 65001, peers: [192.168.0.254], ebgp: true}
  isisnode1: {type: isis, node: node1, isis-domain: one, isis-ifaces: [eth1], isis-net: 49.0001.1921.6800.1001.00}
fabrics:
  fab: {type: openfabric, ip_prefix: 172.20.0.0/24, nodes: {node1: {ip: 172.20.0.1, interfaces: [{name: ens19}]}}}
zones:
  ez: {type: evpn, controller: ctl, vrf-vxlan: 1, mac: "BC:24:11:00:00:01", exitnodes: [node1], exitnodes-local-routing: true}
vnets:
  va: {zone: ez, tag: 10, subnets: {10.0.1.0/24: {gateway: 10.0.1.1}}}
"#;

fn tree<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Tree {
    let cluster = ("weft.yaml", "weft: 1\ncluster: fuzz\n");
    let files = files.into_iter().chain([cluster]);
    let path = |path: &str| path.parse::<RepoPath>().expect("a path");
    let files: BTreeMap<RepoPath, Arc<str>> =
        files.map(|(name, text)| (path(name), Arc::from(text))).collect();
    Tree::new(None, files)
}

fn facts(node: &str, frr_local: Option<&str>) -> Facts {
    let own = "192.168.0.1".parse().expect("an address");
    let name = |name: &str| name.parse().expect("an interface");
    Facts {
        addresses: vec![InterfaceAddress { interface: name("vmbr0"), address: own }],
        routes: vec![Route {
            destination: "0.0.0.0/0".parse().expect("a prefix"),
            interface: name("vmbr0"),
            gateway: None,
            source: own,
            metric: 0,
        }],
        interfaces: vec![Interface {
            name: name("vmbr0"),
            altnames: Vec::new(),
            mac: Some("bc:24:11:00:00:01".parse().expect("a MAC address")),
            master: None,
            mtu: 1500,
        }],
        frr: Some(Frr {
            local: frr_local.map(str::to_owned),
            daemons: Some("bgpd=no\n".to_owned()),
            version: None,
        }),
        ..Facts::unknown(node.parse().expect("a node"))
    }
}
