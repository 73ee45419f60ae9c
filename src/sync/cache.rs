//! The directory of the git cache: weft's own, and deletable at any time.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};

use super::protocol::{Failure, FailureCode};

/// The empty file that says whose directory it is.
const MARKER: &str = "this-is-a-cache-of-weft";

/// Above this many packs, fetching everything once more is cheaper than to go on:
/// each fetch that brings something adds a pack, and nothing here merges them.
const PACK_LIMIT: usize = 128;

/// The settings of the repository. Its packs are made without looking for differences
/// between objects, which takes long and saves little: what these settings mean to git,
/// they mean to releases of libgit2 after 1.9; up to those it takes the first for the
/// third.
const SETTINGS: &str = "\
[core]
\tbare = true
\trepositoryformatversion = 0
\tfilemode = true
\tbigFileThreshold = 0
[pack]
\tdeltaCacheSize = 0
\twindow = 0
[http]
\tfollowRedirects = false
";

/// What there is in the repository. Other names, such as `commondir`, would lead
/// libgit2 to other settings.
const NAMES: [&str; 9] =
    ["HEAD", "config", "description", "hooks", "info", "logs", "objects", "packed-refs", "refs"];

/// A directory that carries weft's marker, so that weft may empty it.
#[derive(Debug)]
pub(super) struct CacheDirectory {
    path: Utf8PathBuf,
}

impl CacheDirectory {
    /// The directory, made where it is missing. One that holds something else is
    /// refused and left alone, so that a wrong setting costs nobody's files.
    pub(super) fn claim(path: &Utf8Path) -> Result<Self, Failure> {
        let cannot = |error: &io::Error| failure(path, "use the cache", error);
        if !path.is_absolute() {
            let message = format!("the cache `{path}` is no absolute path");
            return Err(Failure::new(FailureCode::BadRequest, message));
        }
        match fs::symlink_metadata(path) {
            Ok(found) if !found.is_dir() => return Err(foreign(path)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
                made.map_err(|e| cannot(&e))?;
            }
            Err(error) => return Err(cannot(&error)),
        }
        let claimed = Self { path: path.to_owned() };
        if !claimed.has_marker().map_err(|e| cannot(&e))? {
            if fs::read_dir(path).map_err(|e| cannot(&e))?.next().is_some() {
                return Err(foreign(path));
            }
            claimed.put_marker().map_err(|e| cannot(&e))?;
        }
        Ok(claimed)
    }

    /// Where the bare repository is.
    pub(super) fn repository(&self) -> Utf8PathBuf {
        self.path.join("repository.git")
    }

    /// A directory for files that libgit2 looks for in a home directory. Each process has
    /// its own: several may look at remotes at the same time.
    pub(super) fn home(&self) -> Utf8PathBuf {
        self.path.join("home").join(std::process::id().to_string())
    }

    /// Gives a new repository its settings.
    pub(super) fn put_settings(&self) -> Result<(), Failure> {
        fs::write(self.repository().join("config"), SETTINGS)
            .map_err(|error| failure(&self.path, "set up the cache", &error))
    }

    /// Whether the repository has the settings that it was given, and no place for others.
    pub(super) fn check_settings(&self) -> Result<(), String> {
        let unreadable = |error: io::Error| format!("its settings cannot be read: {error}");
        let repository = self.repository();
        for entry in fs::read_dir(&repository).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            let known = NAMES.iter().any(|known| name == *known);
            if !known || entry.file_type().map_err(unreadable)?.is_symlink() {
                return Err(format!("`{}` is not of weft", name.to_string_lossy().escape_debug()));
            }
        }
        let config = repository.join("config");
        let size = fs::symlink_metadata(&config).map_err(unreadable)?;
        let same = size.is_file()
            && size.len() == SETTINGS.len() as u64
            && fs::read(&config).map_err(unreadable)? == SETTINGS.as_bytes();
        if same { Ok(()) } else { Err("its settings were changed".to_owned()) }
    }

    /// Removes all but the marker, which stays to the last so that a directory
    /// that was emptied by half is still known.
    pub(super) fn empty(&self) -> Result<(), Failure> {
        self.remove_contents().map_err(|error| failure(&self.path, "empty the cache", &error))
    }

    fn remove_contents(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_name() == MARKER {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Removes what fetches left behind that were killed, and everything when
    /// there are too many packs.
    pub(super) fn tidy(&self) -> Result<(), Failure> {
        let cannot = |error: &io::Error| failure(&self.path, "tidy the cache", error);
        match fs::remove_dir_all(self.path.join("home")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(&error)),
            _ => {}
        }
        let packs = self.repository().join("objects/pack");
        let Ok(entries) = fs::read_dir(&packs) else { return Ok(()) };
        let mut kept = 0;
        for entry in entries {
            let entry = entry.map_err(|e| cannot(&e))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("pack_") {
                fs::remove_file(entry.path()).map_err(|e| cannot(&e))?;
            } else if name.ends_with(".pack") {
                kept += 1;
            }
        }
        if kept > PACK_LIMIT { self.empty() } else { Ok(()) }
    }

    fn marker(&self) -> Utf8PathBuf {
        self.path.join(MARKER)
    }

    fn has_marker(&self) -> io::Result<bool> {
        match fs::symlink_metadata(self.marker()) {
            Ok(found) => Ok(found.is_file()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The name alone is the mark: it is there as a whole or not at all, where half a
    /// text could make the directory a foreign one.
    fn put_marker(&self) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        match options.write(true).create_new(true).mode(0o600).open(self.marker()) {
            // Another process, which looks at another remote, was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            put => put.map(drop),
        }
    }
}

fn foreign(path: &Utf8Path) -> Failure {
    let message = format!(
        "`{path}` is not empty and is no cache of weft; it was left as it is. \
         Name another directory for the cache, or empty this one"
    );
    Failure::new(FailureCode::ForeignCache, message)
}

fn failure(path: &Utf8Path, action: &str, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FailureCode::DiskFull,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            FailureCode::Permission
        }
        _ => FailureCode::DamagedCache,
    };
    Failure::new(code, format!("cannot {action} `{path}`: {error}"))
}
