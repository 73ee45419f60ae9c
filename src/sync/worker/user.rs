//! Who the fetch process is, where the agent is root.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};

use camino::Utf8Path;
use nix::fcntl::OFlag;
use nix::unistd::{User, geteuid};

/// The name of the user, which the package makes.
pub const NAME: &str = "weft-fetch";

/// The user of the fetch process. It owns the cache and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchUser {
    pub(super) user: u32,
    pub(super) group: u32,
}

impl FetchUser {
    /// The user [`NAME`], where this process may become it: where it is root, and there is
    /// such a user that is not root itself.
    pub fn find() -> Option<Self> {
        if !geteuid().is_root() {
            return None;
        }
        let user = User::from_name(NAME).ok().flatten().filter(|user| !user.uid.is_root())?;
        Some(Self { user: user.uid.as_raw(), group: user.gid.as_raw() })
    }

    /// Whether there is such a user.
    pub fn exists() -> bool {
        User::from_name(NAME).is_ok_and(|user| user.is_some())
    }

    /// Lets the user keep a cache: gives it the directory above, and removes a cache of
    /// somebody else, such as the one of a release that fetched as root.
    ///
    /// Nothing in the directory is opened or followed, for it belongs to whoever may have
    /// taken an earlier fetch process over.
    pub(super) fn hand_over(self, cache: &Utf8Path) -> io::Result<()> {
        let Some(above) = cache.parent() else { return Ok(()) };
        fs::DirBuilder::new().recursive(true).mode(0o750).create(above)?;
        let directory = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits())
            .open(above)?;
        if directory.metadata()?.uid() != self.user {
            fchown(&directory, Some(self.user), Some(self.group))?;
        }
        match fs::symlink_metadata(cache) {
            Ok(found) if found.uid() == self.user => Ok(()),
            Ok(found) if found.is_dir() => fs::remove_dir_all(cache),
            Ok(_) => fs::remove_file(cache),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}
