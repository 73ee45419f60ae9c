//! The newest commit that trust has accepted, kept where no remote can reach it.
//!
//! Two files take turns, so that one good file is there whatever happens while the
//! other is written. Each holds a counter and the digest of its contents; the good
//! file with the higher counter counts. The anchor never goes back, except to another line
//! that declares its own void ([`super::history`]).

use camino::Utf8Path;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::history::Accepted;
use super::trust::{Introduction, Trust};
use super::verified::{CommitRecord, Verified};
use crate::host::{Host, HostError};
use crate::value::{ClusterName, Digest, ObjectId};

/// Where the two files lie.
pub const PATHS: [&str; 2] = ["/var/lib/weft/anchor.a", "/var/lib/weft/anchor.b"];
/// The largest file, in bytes.
const MAX_BYTES: u64 = 64 * 1024;
const FORMAT: u32 = 3;
/// The oldest format that is read: the same without what an anchor may lack.
const OLDEST_FORMAT: u32 = 2;

/// A commit that was accepted, and on what grounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// The cluster it was accepted for.
    pub cluster: ClusterName,
    /// Where trust began.
    pub introduction: Introduction,
    /// The commit.
    pub record: CommitRecord,
    /// The greatest committer time from the introduction to the commit: what is above is
    /// judged by it on every node, also on one that begins at the introduction.
    pub latest: Timestamp,
    /// The digest of what was signed, by which a twin of the commit is known. Anchors of
    /// earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Digest>,
    /// The last commit that was left for another line because it stood on one that was
    /// void. Kept for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Left>,
}

/// An anchor that was left for another line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Left {
    /// The commit.
    pub commit: ObjectId,
    /// Its sequence, which may be higher than that of the commits that came after.
    pub sequence: u64,
}

impl Anchor {
    /// The anchor at what a node runs, where that was accepted after it and the newer
    /// anchor was lost. `None` where it was not.
    pub fn raised_to(&self, runs: &CommitRecord) -> Option<Self> {
        let left = self.left.as_ref().is_some_and(|left| runs.sequence <= left.sequence);
        let raised = || Self { record: runs.clone(), payload: None, ..self.clone() };
        (self.record.sequence < runs.sequence && !left).then(raised)
    }
}

/// The anchor of a node, or its place.
#[derive(Debug)]
pub struct Anchors {
    cluster: ClusterName,
    introduction: Introduction,
    current: Option<Current>,
    damaged: Option<&'static str>,
}

#[derive(Debug)]
struct Current {
    anchor: Anchor,
    counter: u64,
    /// Which of [`PATHS`].
    file: usize,
}

/// Why there is no anchor, or no new one.
#[derive(Debug, Error)]
pub enum AnchorError {
    /// Both files are gone, although this node has run commits.
    #[error("both anchors are missing, although this node has generations")]
    AnchorLost,
    /// No file can be read, or the two contradict each other.
    #[error("the anchor is damaged: {message}")]
    Damaged {
        /// What is wrong.
        message: String,
    },
    /// It was made for another cluster or from another introduction.
    #[error(
        "the settings say another {differs} than the anchor, which is this node's record of the \
         newest commit that it trusts and of where trust began"
    )]
    Other {
        /// What is not the same, as both have it.
        differs: String,
    },
    /// The new anchor would not be above the old one.
    #[error(
        "commit {to} (sequence {to_sequence}) is not above the anchor {from} (sequence {from_sequence})"
    )]
    Back {
        /// The anchor.
        from: ObjectId,
        /// Its sequence.
        from_sequence: u64,
        /// The commit.
        to: ObjectId,
        /// Its sequence.
        to_sequence: u64,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl AnchorError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::AnchorLost | Self::Damaged { .. } => {
                "the network stays as it is; restore /var/lib/weft/anchor.a and anchor.b from a \
                 backup, or introduce the node again at the commit that it runs: set \
                 `introduction` to the commit and key that `weft status` names, and remove what \
                 is left of the two files"
            }
            Self::Other { .. } => {
                "correct `cluster` and `introduction` in the node's settings; if they were changed \
                 on purpose, remove /var/lib/weft/anchor.a and anchor.b at the console"
            }
            Self::Back { .. } => "fetch again; a remote that stays behind serves an old branch",
            Self::Host(_) => "check the disk and the permissions of /var/lib/weft",
        }
    }
}

/// The contents of a file: what is digested, and its digest.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    body: Body,
    sha256: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    format: u32,
    counter: u64,
    anchor: Anchor,
}

enum Found {
    Missing,
    Good(Box<Current>),
    Broken(String),
}

impl Anchors {
    /// Reads both files. `ran` says whether this node has generations: then missing
    /// files are damage and not a first run.
    pub fn open(host: &impl Host, trust: &Trust, ran: bool) -> Result<Self, AnchorError> {
        let found = (read(host, 0)?, read(host, 1)?);
        let (current, damaged) = match found {
            (Found::Missing, Found::Missing) if ran => return Err(AnchorError::AnchorLost),
            (Found::Missing, Found::Missing) => (None, None),
            (Found::Good(a), Found::Good(b)) => (Some(newer(*a, *b)?), None),
            (Found::Good(good), Found::Broken(_)) => (Some(*good), Some(PATHS[1])),
            (Found::Broken(_) | Found::Missing, Found::Good(good)) => (Some(*good), Some(PATHS[0])),
            // The first anchor of a node stands alone, later ones never do.
            (Found::Good(good), Found::Missing) => {
                let damaged = (good.counter > 1).then_some(PATHS[1]);
                (Some(*good), damaged)
            }
            (Found::Broken(message), _) | (_, Found::Broken(message)) => {
                return Err(AnchorError::Damaged { message });
            }
        };
        let Trust { cluster, introduction, .. } = trust;
        if let Some(Current { anchor, .. }) = &current
            && (anchor.cluster != *cluster || anchor.introduction != *introduction)
        {
            return Err(AnchorError::Other { differs: differences(anchor, trust) });
        }
        let (cluster, introduction) = (cluster.clone(), introduction.clone());
        Ok(Self { cluster, introduction, current, damaged })
    }

    /// The anchor. `None` on a node's first run.
    pub fn anchor(&self) -> Option<&Anchor> {
        self.current.as_ref().map(|current| &current.anchor)
    }

    /// The file that is broken or gone while the other one serves: to be told to people.
    /// The next anchor mends it.
    pub fn damaged(&self) -> Option<&'static Utf8Path> {
        self.damaged.map(Utf8Path::new)
    }

    /// Moves the anchor up to an accepted commit; on the disk when this returns. The
    /// anchor's own commit changes nothing.
    pub fn advance(
        &mut self,
        host: &impl Host,
        to: &Verified<Accepted>,
    ) -> Result<(), AnchorError> {
        let record = to.record();
        if let Some(Current { anchor, .. }) = &self.current {
            if anchor.record == *record {
                return Ok(());
            }
            let leaves =
                to.get().left.as_ref().is_some_and(|left| left.commit == anchor.record.commit);
            if record.sequence <= anchor.record.sequence && !leaves {
                return Err(AnchorError::Back {
                    from: anchor.record.commit,
                    from_sequence: anchor.record.sequence,
                    to: record.commit,
                    to_sequence: record.sequence,
                });
            }
        }
        let anchor = Anchor {
            cluster: self.cluster.clone(),
            introduction: self.introduction.clone(),
            record: record.clone(),
            latest: to.get().latest,
            payload: to.get().payload,
            left: to.get().left.clone(),
        };
        let (file, counter) = match &self.current {
            Some(current) => (1 - current.file, current.counter + 1),
            None => (0, 1),
        };
        let body = Body { format: FORMAT, counter, anchor: anchor.clone() };
        let text = text(body);
        host.replace(Utf8Path::new(PATHS[file]), &text, 0o600)?;
        self.current = Some(Current { anchor, counter, file });
        self.damaged = None;
        Ok(())
    }
}

/// What of the grounds of an anchor is otherwise in the settings.
fn differences(anchor: &Anchor, trust: &Trust) -> String {
    let (was, is) = (&anchor.introduction, &trust.introduction);
    let all = [
        ("`cluster`", anchor.cluster.to_string(), trust.cluster.to_string()),
        ("`introduction.commit`", was.commit.to_string(), is.commit.to_string()),
        ("`introduction.signer`", was.signer.to_string(), is.signer.to_string()),
    ];
    let differing = all.into_iter().filter(|(_, anchor, settings)| anchor != settings);
    let words = differing
        .map(|(key, anchor, settings)| format!("{key} (`{settings}`, and the anchor `{anchor}`)"));
    words.collect::<Vec<_>>().join(" and ")
}

fn digest(body: &Body) -> Digest {
    Digest::of(&serde_json::to_vec(body).expect("strings and numbers are JSON"))
}

fn text(body: Body) -> Vec<u8> {
    let sha256 = digest(&body);
    let mut text =
        serde_json::to_vec_pretty(&File { body, sha256 }).expect("strings and numbers are JSON");
    text.push(b'\n');
    text
}

fn read(host: &impl Host, file: usize) -> Result<Found, AnchorError> {
    let path = Utf8Path::new(PATHS[file]);
    let found = match host.read(path, MAX_BYTES) {
        Ok(None) => return Ok(Found::Missing),
        Ok(Some(found)) => found,
        Err(error @ (HostError::TooLarge { .. } | HostError::NotAFile { .. })) => {
            return Ok(Found::Broken(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    Ok(match read_good(&found.bytes) {
        Ok(Body { counter, anchor, .. }) => {
            Found::Good(Box::new(Current { anchor, counter, file }))
        }
        Err(why) => Found::Broken(format!("`{path}` {why}")),
    })
}

fn read_good(bytes: &[u8]) -> Result<Body, String> {
    let File { body, sha256 } =
        serde_json::from_slice(bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if digest(&body) != sha256 {
        return Err("does not have the digest that it names".to_owned());
    }
    if !(OLDEST_FORMAT..=FORMAT).contains(&body.format) {
        return Err(format!(
            "is of format {}, and this version reads {OLDEST_FORMAT} to {FORMAT}",
            body.format
        ));
    }
    Ok(body)
}

fn newer(a: Current, b: Current) -> Result<Current, AnchorError> {
    let (old, new) = if a.counter < b.counter { (a, b) } else { (b, a) };
    let left = new.anchor.left.as_ref().map(|left| left.commit) == Some(old.anchor.record.commit);
    let above = old.anchor.record.sequence < new.anchor.record.sequence || left;
    if old.counter == new.counter || !above {
        let message = format!(
            "`{}` (counter {}) and `{}` (counter {}) contradict each other",
            PATHS[old.file], old.counter, PATHS[new.file], new.counter
        );
        return Err(AnchorError::Damaged { message });
    }
    Ok(new)
}
