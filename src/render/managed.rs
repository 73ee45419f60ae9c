//! The files that weft may write, and their contents.

use std::collections::BTreeMap;
use std::fmt;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::{Note, Profile};
use crate::value::{Digest, IfName, VnetId};

/// The closed set of files that weft may write on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Managed {
    /// `/etc/iproute2/rt_tables.d/weft.conf`. Profile `debian` only.
    RouteTables,
    /// `/etc/network/interfaces.d/sdn`.
    Interfaces,
}

impl Managed {
    /// Every file, in the order of writing.
    pub const ALL: &'static [Self] = &[Self::RouteTables, Self::Interfaces];

    /// Where the file lies on the node.
    pub fn path(self) -> &'static Utf8Path {
        match self {
            Self::RouteTables => Utf8Path::new("/etc/iproute2/rt_tables.d/weft.conf"),
            Self::Interfaces => Utf8Path::new("/etc/network/interfaces.d/sdn"),
        }
    }

    /// The permission bits of the file.
    pub fn mode(self) -> u32 {
        match self {
            Self::RouteTables | Self::Interfaces => 0o644,
        }
    }
}

impl fmt::Display for Managed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path().as_str())
    }
}

/// What one node should have at one commit: a pure function of network, node,
/// facts and profile. Holds no commit, so that two commits that mean the same are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendering {
    /// The ifupdown2 that it is for.
    pub profile: Profile,
    /// The texts of files, without the line that carries the sequence number. A
    /// file of [`Managed::ALL`] that is not here should not be there.
    pub files: BTreeMap<Managed, String>,
    /// The interfaces that the files make, and the vnets that each one serves.
    pub interfaces: BTreeMap<IfName, Vec<VnetId>>,
    /// What a person should know about this node.
    pub notes: Vec<Note>,
}

impl Rendering {
    /// The digest by which two renderings are the same: of the profile, and of every
    /// path, mode and text. Notes do not count.
    pub fn digest(&self) -> Digest {
        let mut bytes = format!("{}\0", self.profile).into_bytes();
        for (managed, text) in &self.files {
            let head = format!("{}\0{:o}\0{}\0", managed.path(), managed.mode(), text.len());
            bytes.extend_from_slice(head.as_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        Digest::of(&bytes)
    }

    /// The bytes of a file at a sequence number, or `None` where there should be
    /// no such file.
    pub fn bytes(&self, managed: Managed, sequence: u64) -> Option<Vec<u8>> {
        let text = self.files.get(&managed)?;
        Some(match managed {
            Managed::RouteTables => text.clone().into_bytes(),
            Managed::Interfaces => format!("{VERSION_LINE}{sequence}\n{text}").into_bytes(),
        })
    }
}

/// How the first line of the interfaces file begins. Proxmox compares the number
/// behind it with the cluster's; it is no difference by itself.
pub const VERSION_LINE: &str = "#version:";

/// The text of a file without its first line, where that is the version line.
pub fn without_version(text: &str) -> &str {
    match text.strip_prefix(VERSION_LINE) {
        Some(rest) => rest.split_once('\n').map_or("", |(_, text)| text),
        None => text,
    }
}
