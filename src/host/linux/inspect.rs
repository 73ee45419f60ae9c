//! What is asked of a machine beside its files: who owns them, what its programs
//! answer, how much room there is. Changes nothing.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use camino::Utf8Path;
use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access};
use serde::{Deserialize, Serialize};

use super::{Linux, parent};
use crate::host::{HostError, program};

/// What stands under a name, symbolic links not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Its permission bits.
    pub mode: u32,
    /// Its owner.
    pub owner: u32,
}

/// What a name of a directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, a socket or a pipe.
    Other,
}

/// What may still be written to the file system of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Room {
    /// Bytes for users that are not root.
    pub bytes: u64,
    /// New files; `None` where the file system does not count them.
    pub files: Option<u64>,
    /// Whether this process may write there at all.
    pub writable: bool,
    /// Whether nobody may, because the file system is read-only.
    #[serde(default)]
    pub read_only: bool,
}

impl Linux {
    /// What a program writes that ends well. It is looked for in the directories of
    /// the system only, has a clean environment, ten seconds and 4 MiB of output. A
    /// dry node runs no program.
    pub fn ask(&self, name: &str, arguments: &[&str]) -> Result<Vec<u8>, HostError> {
        if self.is_dry() {
            return Err(HostError::Program {
                program: name.to_owned(),
                message: "is not run: this is a dry node".to_owned(),
            });
        }
        program::run(name, arguments)
    }

    /// What stands under a name; `None` where nothing does.
    pub fn entry(&self, path: &Utf8Path) -> Result<Option<Entry>, HostError> {
        let Some(place) = self.existing(path)? else { return Ok(None) };
        let found = match fs::symlink_metadata(&place) {
            Ok(found) => found,
            Err(error) if missing(&error) => return Ok(None),
            Err(error) => return Err(HostError::of("look at", path, error)),
        };
        let kind = found.file_type();
        let kind = if kind.is_file() {
            EntryKind::File
        } else if kind.is_dir() {
            EntryKind::Directory
        } else if kind.is_symlink() {
            EntryKind::Link
        } else {
            EntryKind::Other
        };
        Ok(Some(Entry { kind, mode: found.mode() & 0o7777, owner: found.uid() }))
    }

    /// The room below a directory. Where it is not there, that of the one in which it
    /// would be made.
    pub fn room(&self, directory: &Utf8Path) -> Result<Room, HostError> {
        let fail = |error: Errno| HostError::of("ask for room in", directory, error.into());
        let mut place = self.place(directory);
        loop {
            match statvfs(place.as_std_path()) {
                Ok(found) => {
                    let read_only = found.flags().contains(FsFlags::ST_RDONLY);
                    return Ok(Room {
                        bytes: found.blocks_available().saturating_mul(found.fragment_size()),
                        // Btrfs has no table of files and says 0 of 0.
                        files: (found.files() > 0).then(|| found.files_available()),
                        writable: !read_only
                            && access(place.as_std_path(), AccessFlags::W_OK).is_ok(),
                        read_only,
                    });
                }
                Err(Errno::ENOENT) if parent(&place) != place => place = parent(&place).to_owned(),
                Err(error) => return Err(fail(error)),
            }
        }
    }
}

/// Whether nothing is there, or something on the way to it is no directory.
fn missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
