//! A working directory as a tree, read by the rules that hold for a commit.

use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use super::failure::{Exit, Failure};
use crate::declare::finding::{Code, Finding};
use crate::declare::tree::{MAX_BYTES, MAX_FILE_BYTES, MAX_FILES};
use crate::declare::{CLUSTER_FILE, DIRECTORY, Tree, policy, signers, void};
use crate::value::{BadPath, Place, RepoPath};

/// What stands below `sdn/`.
const REGULAR: &str =
    "a node reads regular files below `sdn/`, and refuses a commit with anything else there";

/// The deepest directory that is read.
const MAX_DEPTH: usize = 16;

/// The trust files of a directory, where it has any.
pub(super) fn trust_files(directory: &Utf8Path) -> Result<Vec<(RepoPath, Arc<str>)>, Failure> {
    let mut walk = Walk::of(directory);
    for path in [signers::FILE, policy::FILE, void::FILE] {
        let path = directory.join(path);
        if path.symlink_metadata().is_ok() {
            walk.file(&path)?;
        }
    }
    match walk.unusable.first() {
        Some(finding) => {
            Err(Failure::new(Exit::Refused, finding.message.as_str()).hint(finding.what_to_do()))
        }
        None => Ok(walk.files),
    }
}

/// Reads `weft.yaml` and the declarations of a directory.
pub(super) fn read(directory: &Utf8Path) -> Result<Tree, Failure> {
    if !directory.is_dir() {
        let failure = Failure::new(Exit::Failed, format!("`{directory}` is not a directory"));
        return Err(failure.hint("name the directory that holds `weft.yaml` and `sdn/`"));
    }
    let mut walk = Walk::of(directory);
    let cluster = directory.join(CLUSTER_FILE);
    if cluster.symlink_metadata().is_ok() {
        walk.file(&cluster)?;
    }
    let declarations = directory.join(DIRECTORY);
    if declarations.symlink_metadata().is_ok() {
        walk.directory(&declarations, 0)?;
    }
    Ok(Tree::new(None, walk.files).with_unread(walk.unread).with_unusable(walk.unusable))
}

struct Walk<'a> {
    top: &'a Utf8Path,
    files: Vec<(RepoPath, Arc<str>)>,
    unread: Vec<RepoPath>,
    /// What is wrong with files that cannot be read.
    unusable: Vec<Finding>,
    bytes: u64,
    /// Whether a bound of all files together is reached: nothing more is read.
    is_full: bool,
}

impl<'a> Walk<'a> {
    fn of(top: &'a Utf8Path) -> Self {
        let (files, unread, unusable) = (Vec::new(), Vec::new(), Vec::new());
        Self { top, files, unread, unusable, bytes: 0, is_full: false }
    }

    fn directory(&mut self, directory: &Utf8Path, depth: usize) -> Result<(), Failure> {
        if depth > MAX_DEPTH {
            return Err(refused(directory, "is nested too deep"));
        }
        let entries = directory.read_dir_utf8().map_err(|error| unreadable(directory, &error))?;
        let mut paths: Vec<Utf8PathBuf> = Vec::new();
        for entry in entries {
            paths.push(entry.map_err(|error| unreadable(directory, &error))?.into_path());
        }
        paths.sort();
        for path in paths {
            let metadata = path.symlink_metadata().map_err(|error| unreadable(&path, &error))?;
            if metadata.is_dir() {
                self.directory(&path, depth + 1)?;
            } else if !metadata.is_file() {
                let name = self.name(&path)?;
                self.wrong(Code::FileNotRead, 1, &name, "is no regular file", REGULAR);
            } else if path.extension() == Some("yaml") {
                self.file(&path)?;
            } else if let Ok(name) = self.name(&path)
                && Tree::looks_like_declarations(&name)
            {
                self.unread.push(name);
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Utf8Path) -> Result<(), Failure> {
        if self.is_full {
            return Ok(());
        }
        let metadata = path.symlink_metadata().map_err(|error| unreadable(path, &error))?;
        let name = self.name(path)?;
        if !metadata.is_file() {
            self.wrong(Code::FileNotRead, 1, &name, "is no regular file", REGULAR);
            return Ok(());
        }
        let size = metadata.len();
        if size > MAX_FILE_BYTES {
            let what = format!("has {size} bytes, and a node reads {MAX_FILE_BYTES} of a file");
            self.wrong(Code::TooLarge, 1, &name, &what, "split it");
            return Ok(());
        }
        self.bytes += size;
        if self.bytes > MAX_BYTES || self.files.len() >= MAX_FILES {
            self.is_full = true;
            let bound = if self.bytes > MAX_BYTES {
                format!("{MAX_BYTES} bytes of all files together")
            } else {
                format!("{MAX_FILES} files")
            };
            let what = format!("is not read, nor is what comes after it: a node reads {bound}");
            self.wrong(
                Code::TooLarge,
                1,
                &name,
                &what,
                "a whole cluster's declarations are far below the bounds",
            );
            return Ok(());
        }
        let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
        match String::from_utf8(bytes) {
            Ok(text) => self.files.push((name, text.into())),
            Err(error) => {
                let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = good.split(|byte| *byte == b'\n').count();
                let what = format!("is not UTF-8 text: line {line}");
                self.wrong(Code::YamlSyntax, line, &name, &what, "save it as UTF-8");
            }
        }
        Ok(())
    }

    /// Keeps what is wrong with a file, so that it is named beside all else.
    fn wrong(&mut self, code: Code, line: usize, name: &RepoPath, what: &str, help: &str) {
        let mut place = Place::start_of(name);
        place.span.line = u32::try_from(line).unwrap_or(u32::MAX);
        let message = format!("`{name}` {what}");
        self.unusable.push(Finding::new(code, message, &place).help(help));
    }

    /// The path as the repository has it.
    fn name(&self, path: &Utf8Path) -> Result<RepoPath, Failure> {
        let below = path.strip_prefix(self.top).unwrap_or(path);
        below.as_str().parse().map_err(|error: BadPath| Failure::from_error(Exit::Refused, &error))
    }
}

fn unreadable(path: &Utf8Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot read `{path}`: {error}"))
}

fn refused(path: &Utf8Path, what: &str) -> Failure {
    Failure::new(Exit::Refused, format!("`{path}` {what}"))
        .hint("a node reads regular UTF-8 files of at most 1 MiB below `sdn/`, and refuses a commit with anything else there")
}
