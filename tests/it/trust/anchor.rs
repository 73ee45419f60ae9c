//! The two files of the anchor.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Mutex;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use weft::facts::Facts;
use weft::host::{FoundFile, Host, HostError};
use weft::plan::Uptime;
use weft::sync::anchor::PATHS;
use weft::sync::{Anchor, AnchorError, Anchors, Judgement, Trust};
use weft::value::NodeName;

use super::repository::{Repository, judge_in};

/// Files in memory; a write can be made to fail.
#[derive(Default)]
pub(crate) struct Files {
    files: Mutex<BTreeMap<Utf8PathBuf, Vec<u8>>>,
    full: Mutex<bool>,
}

impl Host for Files {
    type Lock = ();

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn uptime(&self) -> Result<Uptime, HostError> {
        unreachable!("the anchor has no deadline")
    }

    fn end_holder(&self, _: &Utf8Path) -> Result<(), HostError> {
        unreachable!("the anchor ends nobody")
    }

    fn read(&self, path: &Utf8Path, limit: u64) -> Result<Option<FoundFile>, HostError> {
        let files = self.files.lock().expect("one thread");
        let Some(bytes) = files.get(path).cloned() else { return Ok(None) };
        if bytes.len() as u64 > limit {
            return Err(HostError::TooLarge { path: path.to_owned(), limit });
        }
        Ok(Some(FoundFile { bytes, mode: 0o600 }))
    }

    fn replace(&self, path: &Utf8Path, bytes: &[u8], mode: u32) -> Result<(), HostError> {
        assert_eq!(mode, 0o600);
        if *self.full.lock().expect("one thread") {
            let source = std::io::ErrorKind::StorageFull.into();
            return Err(HostError::Path { action: "write", path: path.to_owned(), source });
        }
        self.files.lock().expect("one thread").insert(path.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn list(&self, _: &Utf8Path) -> Result<Vec<String>, HostError> {
        unreachable!("the anchor lists no directory")
    }

    fn rename(&self, _: &Utf8Path, _: &Utf8Path) -> Result<(), HostError> {
        unreachable!("the anchor renames through replace")
    }

    fn remove(&self, _: &Utf8Path) -> Result<(), HostError> {
        unreachable!("the anchor removes nothing")
    }

    fn flush(&self, _: &Utf8Path) -> Result<(), HostError> {
        unreachable!("what is replaced is flushed")
    }

    fn free(&self, _: &Utf8Path) -> Result<u64, HostError> {
        unreachable!("the anchor is small")
    }

    fn remove_directory(&self, _: &Utf8Path) -> Result<(), HostError> {
        unreachable!("the anchor removes nothing")
    }

    fn acquire(&self, _: &Utf8Path) -> Result<bool, HostError> {
        unreachable!("the anchor is no file of a cluster")
    }

    fn release(&self, _: &Utf8Path) -> Result<(), HostError> {
        unreachable!("the anchor is no file of a cluster")
    }

    fn lock(&self, _: &Utf8Path) -> Result<Option<()>, HostError> {
        unreachable!("the caller holds the lock")
    }

    fn facts(&self, _: &NodeName) -> Result<Facts, HostError> {
        unreachable!("the anchor needs no facts")
    }
}

impl Files {
    pub(crate) fn bytes(&self, file: usize) -> Option<Vec<u8>> {
        self.files.lock().expect("one thread").get(Utf8Path::new(PATHS[file])).cloned()
    }

    pub(crate) fn put(&self, file: usize, bytes: Option<Vec<u8>>) {
        let mut files = self.files.lock().expect("one thread");
        match bytes {
            Some(bytes) => files.insert(PATHS[file].into(), bytes),
            None => files.remove(Utf8Path::new(PATHS[file])),
        };
    }
}

/// Four accepted commits of one line.
fn line() -> (Repository, Trust, Vec<Judgement>) {
    let repository = Repository::new();
    let mut tips = vec![repository.introduction];
    tips.extend((0..3).map(|_| repository.change("bob")));
    let trust = repository.trust();
    let objects = repository.objects();
    let judge = |tip: &_| judge_in(&objects, *tip, &trust, None, repository.now());
    let judgements = tips.iter().map(judge).collect();
    (repository, trust, judgements)
}

#[test]
fn two_files_take_turns() {
    let (repository, trust, line) = line();
    let host = Files::default();
    let mut anchors = Anchors::open(&host, &trust, false).expect("a first run");
    assert!(anchors.anchor().is_none());
    for (index, judgement) in line.iter().enumerate() {
        let untouched = host.bytes((index + 1) % 2);
        let accepted = judgement.accepted.as_ref().expect("good");
        anchors.advance(&host, accepted).expect("written");
        assert_eq!(host.bytes((index + 1) % 2), untouched, "the other file stays");
        // What was written is what another process reads.
        let again = Anchors::open(&host, &trust, true).expect("an anchor");
        assert_eq!(again.anchor().map(|anchor| &anchor.record), Some(accepted.record()));
        assert_eq!(again.anchor(), anchors.anchor());
        assert_eq!(again.damaged(), None);
        // And the same commit again writes nothing.
        let before = (host.bytes(0), host.bytes(1));
        anchors.advance(&host, accepted).expect("nothing to do");
        assert_eq!((host.bytes(0), host.bytes(1)), before);
    }
    let anchor: &Anchor = anchors.anchor().expect("an anchor");
    assert_eq!(anchor.record.sequence, 4);
    let text = String::from_utf8(host.bytes(1).expect("written")).expect("text");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["body"]["counter"], 4);
    assert_eq!(json["body"]["anchor"]["cluster"], "lab");
    assert_eq!(json["body"]["anchor"]["latest"], json["body"]["anchor"]["record"]["committed"]);
    let signer = repository.fingerprint("alice").to_string();
    assert_eq!(json["body"]["anchor"]["introduction"]["signer"], signer);
}

#[test]
fn never_back() {
    let (_, trust, line) = line();
    let host = Files::default();
    let mut anchors = Anchors::open(&host, &trust, false).expect("a first run");
    let accepted = |index: usize| line[index].accepted.as_ref().expect("good");
    anchors.advance(&host, accepted(2)).expect("written");
    let before = host.bytes(0);
    for index in [0, 1] {
        let error = anchors.advance(&host, accepted(index)).expect_err("back");
        assert!(matches!(error, AnchorError::Back { from_sequence: 3, .. }), "{error}");
    }
    assert_eq!((host.bytes(0), host.bytes(1)), (before, None));
    anchors.advance(&host, accepted(3)).expect("up");
}

#[test]
fn a_full_disk_leaves_the_anchor_as_it_was() {
    let (_, trust, line) = line();
    let host = Files::default();
    let mut anchors = Anchors::open(&host, &trust, false).expect("a first run");
    let accepted = |index: usize| line[index].accepted.as_ref().expect("good");
    anchors.advance(&host, accepted(0)).expect("written");
    *host.full.lock().expect("one thread") = true;
    assert!(matches!(anchors.advance(&host, accepted(1)), Err(AnchorError::Host(_))));
    assert_eq!(anchors.anchor().map(|anchor| anchor.record.sequence), Some(1));
    *host.full.lock().expect("one thread") = false;
    anchors.advance(&host, accepted(1)).expect("written");
    let again = Anchors::open(&host, &trust, true).expect("an anchor");
    assert_eq!(again.anchor().map(|anchor| anchor.record.sequence), Some(2));
}

#[test]
fn damage() {
    let (_, trust, line) = line();
    let host = Files::default();
    let mut anchors = Anchors::open(&host, &trust, false).expect("a first run");
    for judgement in &line[..3] {
        anchors.advance(&host, judgement.accepted.as_ref().expect("good")).expect("written");
    }
    // The newer one is the first file now.
    let (newer, older) = (host.bytes(0).expect("there"), host.bytes(1).expect("there"));
    let open = || Anchors::open(&host, &trust, true);
    let sequence = |anchors: &Anchors| anchors.anchor().map(|anchor| anchor.record.sequence);
    let text = String::from_utf8(newer.clone()).expect("text");
    let broken = [
        Vec::new(),
        newer[..newer.len() / 2].to_vec(),
        text.replace("\"sequence\": 3", "\"sequence\": 9").into_bytes(),
        text.replace("\"counter\": 3", "\"counter\": 9").into_bytes(),
        text.replace("\"format\": 3", "\"format\": 4").into_bytes(),
        vec![b' '; 100_000],
        b"{}".to_vec(),
    ];
    for broken in broken {
        host.put(0, Some(broken.clone()));
        let opened = open().expect("the other file");
        assert_eq!((sequence(&opened), opened.damaged()), (Some(2), Some(Utf8Path::new(PATHS[0]))));
        // The damaged file is the one that is written next.
        let mut opened = opened;
        opened.advance(&host, line[3].accepted.as_ref().expect("good")).expect("written");
        assert_eq!(opened.damaged(), None);
        let opened = open().expect("both files");
        assert_eq!((sequence(&opened), opened.damaged()), (Some(4), None));
        host.put(0, Some(broken.clone()));
        host.put(1, Some(broken.clone()));
        assert!(matches!(open(), Err(AnchorError::Damaged { .. })));
        host.put(1, None);
        assert!(matches!(open(), Err(AnchorError::Damaged { .. })));
        host.put(1, Some(older.clone()));
    }
    host.put(0, None);
    let opened = open().expect("the other file");
    assert_eq!((sequence(&opened), opened.damaged()), (Some(2), Some(Utf8Path::new(PATHS[0]))));
    // Two files with one counter, as after a restored backup.
    host.put(0, Some(older.clone()));
    assert!(matches!(open(), Err(AnchorError::Damaged { .. })));
    host.put(0, None);
    host.put(1, None);
    let error = open().expect_err("lost");
    assert!(matches!(error, AnchorError::AnchorLost) && error.help().contains("backup"));
    assert!(Anchors::open(&host, &trust, false).expect("a first run").anchor().is_none());
}

#[test]
fn of_another_cluster_or_introduction() {
    let (repository, trust, line) = line();
    let host = Files::default();
    let mut anchors = Anchors::open(&host, &trust, false).expect("a first run");
    anchors.advance(&host, line[0].accepted.as_ref().expect("good")).expect("written");
    let keys = ["`cluster`", "`introduction.commit`", "`introduction.signer`"];
    let changes: [fn(&mut Trust, &Repository); 3] = [
        |trust, _| trust.cluster = "other".parse().expect("a name"),
        |trust, repository| trust.introduction.commit = repository.head(),
        |trust, repository| trust.introduction.signer = repository.fingerprint("bob"),
    ];
    for (key, change) in keys.into_iter().zip(changes) {
        let other = RefCell::new(trust.clone());
        change(&mut other.borrow_mut(), &repository);
        let error = Anchors::open(&host, &other.borrow(), true).expect_err("another");
        assert!(matches!(error, AnchorError::Other { .. }), "{error}");
        // What differs is named, and nothing else.
        let named = keys.map(|key| error.to_string().contains(key));
        assert_eq!(named, keys.map(|other| other == key), "{error}");
    }
    Anchors::open(&host, &trust, true).expect("its own");
}
