//! Files that become a repository, and secrets that must not be in one.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::failure::{Exit, Failure};
use crate::declare::schema;
use crate::value::Secret;

/// A directory that files are written to.
#[derive(Debug)]
pub(super) struct Target {
    directory: Utf8PathBuf,
    force: bool,
}

impl Target {
    /// A directory that is new or empty; any with `force`.
    pub(super) fn open(directory: &Utf8Path, force: bool) -> Result<Self, Failure> {
        let target = Self { directory: directory.to_owned(), force };
        match directory.read_dir_utf8() {
            Ok(mut entries) => match entries.next() {
                Some(_) if !force => {
                    let message = format!("`{directory}` is not empty");
                    let hint =
                        "name a new directory, or replace files of the same names with `--force`";
                    Err(Failure::new(Exit::Failed, message).hint(hint))
                }
                _ => Ok(target),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                fs::create_dir_all(directory).map_err(|error| unwritable(directory, &error))?;
                Ok(target)
            }
            Err(error) => Err(unwritable(directory, &error)),
        }
    }

    /// Any directory, whose files stay as they are.
    pub(super) fn keeping(directory: &Utf8Path) -> Result<Self, Failure> {
        fs::create_dir_all(directory).map_err(|error| unwritable(directory, &error))?;
        Ok(Self { directory: directory.to_owned(), force: false })
    }

    /// Writes these files below any directory, and gives the paths of those that were not
    /// there as they should be. Without `force` nothing is written where a file says something
    /// else.
    pub(super) fn put_all(
        directory: &Utf8Path,
        files: &[(Utf8PathBuf, Vec<u8>)],
        force: bool,
    ) -> Result<Vec<Utf8PathBuf>, Failure> {
        let target = Self { force, ..Self::keeping(directory)? };
        let is_same = |(path, bytes): &&(Utf8PathBuf, Vec<u8>)| {
            let path = directory.join(path);
            let is_file = path.symlink_metadata().is_ok_and(|found| found.is_file());
            is_file && fs::read(path).is_ok_and(|found| found == *bytes)
        };
        let pending: Vec<_> = files.iter().filter(|file| !is_same(file)).collect();
        let mut taken = pending.iter().filter(|(path, _)| target.has(path.as_str()));
        if let Some((path, _)) = taken.next().filter(|_| !force) {
            let more = match taken.count() {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            let message = format!("`{}` says something else{more}", directory.join(path));
            let hint = "name another directory, or replace files of the same names with `--force`";
            return Err(Failure::new(Exit::Failed, message).hint(hint));
        }
        for (path, bytes) in &pending {
            target.put(path.as_str(), bytes, 0o666)?;
        }
        Ok(pending.into_iter().map(|(path, _)| directory.join(path)).collect())
    }

    /// Whether there is something at a path below the directory.
    pub(super) fn has(&self, path: &str) -> bool {
        self.directory.join(path).symlink_metadata().is_ok()
    }

    /// Writes a file. One that is there is replaced only with `force`, and a symbolic
    /// link is never followed.
    pub(super) fn write(&self, path: &str, text: &str) -> Result<(), Failure> {
        self.put(path, text.as_bytes(), 0o666)
    }

    /// Writes a file that only its owner may read.
    pub(super) fn write_private(&self, path: &str, secret: &Secret) -> Result<(), Failure> {
        self.put(path, secret.expose().as_bytes(), 0o600)
    }

    fn put(&self, path: &str, bytes: &[u8], mode: u32) -> Result<(), Failure> {
        let path = self.directory.join(path);
        if self.force && path.symlink_metadata().is_ok() {
            fs::remove_file(&path).map_err(|error| unwritable(&path, &error))?;
        }
        create(&path, bytes, mode)
    }
}

/// Writes a file that is not there yet, and the directories above it.
fn create(path: &Utf8Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let write = || {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)
    };
    write().map_err(|error| unwritable(path, &error))
}

/// The schemas that the first line of each declaration names for editors.
pub(super) fn write_schemas(target: &Target) -> Result<(), Failure> {
    for (name, schema) in [("declarations", schema::declarations()), ("weft", schema::cluster())] {
        target.write(&format!("schema/{name}.json"), &format!("{schema:#}\n"))?;
    }
    Ok(())
}

/// Whether secrets of these names can be written to a directory: it lies in no
/// repository, and has none of them yet.
pub(super) fn secrets_fit<'a>(
    directory: &Utf8Path,
    repository: &Utf8Path,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), Failure> {
    let absolute = real(directory)?;
    let inside = absolute.starts_with(real(repository)?);
    let mut above = absolute.ancestors();
    if inside || above.any(|directory| directory.join(".git").exists()) {
        let message = format!("`{directory}` lies in a repository, and secrets must not");
        return Err(Failure::new(Exit::Refused, message)
            .hint("name a directory outside, such as /root/weft-credentials"));
    }
    for name in names {
        let path = directory.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(Failure::new(Exit::Failed, format!("`{path}` is there already"))
                .hint("a secret is never replaced: remove it, or name another directory"));
        }
    }
    Ok(())
}

/// Writes a secret to a file that only its owner may read.
pub(super) fn write_secret(
    directory: &Utf8Path,
    name: &str,
    secret: &Secret,
) -> Result<(), Failure> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| unwritable(directory, &error))?;
    create(&directory.join(name), format!("{}\n", secret.expose()).as_bytes(), 0o600)
}

/// A path without symbolic links, as far as it is there.
fn real(path: &Utf8Path) -> Result<Utf8PathBuf, Failure> {
    // Where it would lead through what is not there yet cannot be said.
    if !path.exists() && path.components().any(|part| part == Utf8Component::ParentDir) {
        return Err(Failure::new(Exit::Usage, format!("there is no `{path}`"))
            .hint("make the directory, or name it without `..`"));
    }
    let mut rest = Vec::new();
    let start = camino::absolute_utf8(path).map_err(|error| unwritable(path, &error))?;
    for above in start.ancestors() {
        if above.is_symlink() && !above.exists() {
            let message = format!("`{above}` is a link to nowhere");
            return Err(Failure::new(Exit::Refused, message).hint("name the directory itself"));
        }
        if let Ok(found) = above.canonicalize_utf8() {
            return Ok(rest.iter().rev().fold(found, |path, name| path.join(name)));
        }
        rest.extend(above.file_name());
    }
    Ok(start)
}

/// Why a file or directory was not written.
pub(super) fn unwritable(path: &Utf8Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot write `{path}`: {error}"))
}
