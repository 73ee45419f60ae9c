//! Tests of apply against the fake machine, whose every step can fail.

mod crash;
mod damage;
mod flow;
mod live;
mod nat;
mod native;
mod ports;
mod race;
mod services;
mod vnis;
mod window;

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::{ApplyError, Authority, Entry, Outcome, generation, running};
use crate::host::fake::Fake;
use crate::host::{FoundFile, Host, HostError, TEMPORARY};
use crate::plan::{Class, Engine, Plan, Step, Target, Terms};
use crate::render::{Managed, Profile, Rendering, without_version};
use crate::sync::{CommitRecord, Verified};
use crate::value::{NodeName, ObjectId};

const SDN: &str = "/etc/network/interfaces.d/sdn";

fn node() -> NodeName {
    "node1".parse().expect("a name")
}

/// The commit of a sequence number.
fn commit(sequence: u8) -> CommitRecord {
    CommitRecord {
        commit: ObjectId::from_bytes([sequence; 20]),
        signer: "alice@example.org".parse().expect("a principal"),
        key: "SHA256:abc".to_owned(),
        sequence: sequence.into(),
        committed: "2026-11-23T12:00:00Z".parse().expect("a time"),
        subject: format!("change {sequence}"),
    }
}

fn rendering(text: Option<&str>) -> Rendering {
    let files = text.map(|text| (Managed::Interfaces, text.to_owned())).into_iter().collect();
    let name = "vnet1".parse().expect("an interface");
    let interfaces = text.map(|_| (name, vec!["vnet1".parse().expect("a vnet")]));
    let interfaces = interfaces.into_iter().collect();
    Rendering { profile: Profile::default(), files, interfaces, notes: Vec::new(), obstacle: None }
}

/// What `plan` would say: the step from what is on the node to the text.
fn plan(host: &impl Host, sequence: u8, text: Option<&str>) -> Result<Plan, HostError> {
    let (rendering, managed) = (rendering(text), Managed::Interfaces);
    let found = host.read(&managed.path(), 1 << 20)?;
    let found = found.map(|file| String::from_utf8(file.bytes).expect("UTF-8"));
    let target = Target::between(&[found.as_deref().unwrap_or_default()], text.unwrap_or_default());
    let steps = match (rendering.bytes(&managed, sequence.into()), found) {
        (Some(_), Some(found)) if Some(without_version(&found)) == text => Vec::new(),
        (Some(bytes), _) => vec![Step::Write { managed, bytes }],
        (None, Some(_)) => vec![Step::Remove { managed }],
        (None, None) => Vec::new(),
    };
    Ok(Plan {
        node: node(),
        rendering,
        facts: host.facts(&node())?,
        engine: Engine::default(),
        steps,
        changes: Vec::new(),
        lines: BTreeMap::new(),
        guards: Vec::new(),
        foreign: Vec::new(),
        edited: Vec::new(),
        class: Class::Ordinary,
        reasons: Vec::new(),
        touches_management: false,
        target: target.into(),
        kernel: None,
    })
}

fn with_authority(plan: Plan, sequence: u8) -> Authority {
    Authority::Commit(Box::new(Verified::for_test(plan, commit(sequence))))
}

/// Applies by the usual terms.
fn apply(host: &impl Host, authority: Authority) -> Result<Outcome, ApplyError> {
    super::apply(host, authority, &Terms::default())
}

/// Plans and applies a text at a commit.
pub(crate) fn go(
    host: &impl Host,
    sequence: u8,
    text: Option<&str>,
) -> Result<Outcome, ApplyError> {
    apply(host, with_authority(plan(host, sequence, text)?, sequence))
}

fn confirmed(result: Result<Outcome, ApplyError>) -> Entry {
    match result.expect("it works") {
        Outcome::Confirmed { running } => running,
        other => panic!("not confirmed: {other:?}"),
    }
}

fn sdn(host: &Fake) -> Option<FoundFile> {
    host.files().remove(Utf8Path::new(SDN))
}

/// What a person sees of a node: the file, the running generation and its commit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    file: Option<FoundFile>,
    running: Option<(u64, Option<CommitRecord>)>,
}

fn seen(host: &Fake) -> Seen {
    let running = running(host).expect("the journal can be read");
    let running = running.map(|entry| (entry.record.generation.number, entry.record.commit));
    Seen { file: sdn(host), running }
}

/// Holds of every node at rest: nothing is unsettled or left over, and the files are
/// those of the running generation.
fn assert_at_rest(host: &Fake) {
    let journal = super::Journal::read(host).expect("the journal can be read");
    assert!(journal.unsettled().is_none(), "{:?}", journal.unsettled());
    let files: BTreeMap<_, _> = host.files();
    assert!(files.keys().all(|path| !path.as_str().contains(TEMPORARY)), "{:?}", files.keys());
    let on_disk = generation::numbers(host).expect("listed");
    let Some(running) = journal.running() else {
        assert!(on_disk.is_empty(), "generations without a confirmed entry: {on_disk:?}");
        return;
    };
    for &number in &on_disk {
        let link = journal.link(number).expect("a confirmed entry names it");
        let generation = generation::Generation::load(host, link).expect("it is whole");
        generation.verify(host).expect("it is whole");
    }
    let running = generation::Generation::load(host, running.record.generation).expect("there");
    assert!(running.files().is_on_node(host), "{:?}", sdn(host));
}
