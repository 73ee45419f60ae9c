//! A working directory as a tree, read by the rules that hold for a commit.

mod beside;

use std::collections::HashMap;
use std::fs::Metadata;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use super::failure::{Exit, Failure};
use crate::declare::finding::{Code, Finding};
use crate::declare::tree::{MAX_BYTES, MAX_FILE_BYTES, MAX_FILES};
use crate::declare::{CLUSTER_FILE, DIRECTORY, Tree, policy, signers, void};
use crate::sync::TreeError;
use crate::sync::files::fold;
use crate::value::{BadPath, Place, RepoPath};

/// The deepest directory that is read.
const MAX_DEPTH: usize = 16;

/// The trust files of a directory, where it has any.
pub(super) fn trust_files(directory: &Utf8Path) -> Result<Vec<(RepoPath, Arc<str>)>, Failure> {
    let mut walk = Walk::of(directory);
    let above = directory.join(policy::DIRECTORY);
    if above.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir()) {
        let message = format!("`{}` is not a directory", policy::DIRECTORY);
        return Err(Failure::new(Exit::Refused, message)
            .hint("put the directory itself there; links are not followed"));
    }
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
    walk.top()?;
    let cluster = directory.join(CLUSTER_FILE);
    if cluster.symlink_metadata().is_ok() {
        walk.file(&cluster)?;
    }
    let declarations = directory.join(DIRECTORY);
    match declarations.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() && !walk.is_submodule(&declarations) => {
            walk.directory(&declarations, 0)?;
        }
        Ok(metadata) => walk.wrong_mode(&declarations, &metadata, "a directory")?,
        Err(_) => {}
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
        if paths.is_empty() {
            self.nothing_in(directory)?;
        }
        let mut folded: HashMap<String, Utf8PathBuf> = HashMap::new();
        for path in paths {
            if let Some(other) = folded.insert(fold(path.as_str()), path.clone()) {
                self.same_but_case(&path, &other)?;
            }
            let metadata = path.symlink_metadata().map_err(|error| unreadable(&path, &error))?;
            if metadata.is_dir() && !self.is_submodule(&path) {
                self.directory(&path, depth + 1)?;
            } else if !metadata.is_file() {
                self.wrong_mode(&path, &metadata, "a regular file")?;
            } else if path.extension() == Some("yaml") {
                self.file(&path)?;
            } else {
                let name = self.name(&path)?;
                if Tree::looks_like_declarations(&name) {
                    self.unread.push(name);
                } else {
                    self.other(&name);
                }
            }
        }
        Ok(())
    }

    /// Names at the top that a node takes for one.
    fn top(&mut self) -> Result<(), Failure> {
        let entries = self.top.read_dir().map_err(|error| unreadable(self.top, &error))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(self.top, &error))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        for name in names {
            let taken = [CLUSTER_FILE, DIRECTORY].into_iter().find(|own| fold(&name) == fold(own));
            match taken {
                Some(own) if name != own => {
                    self.same_but_case(&self.top.join(own), &self.top.join(&name))?;
                }
                Some(_) => {}
                None => self.at_the_top(&name),
            }
        }
        Ok(())
    }

    /// Something else where a file or a directory belongs, in the words of a node.
    fn wrong_mode(
        &mut self,
        path: &Utf8Path,
        metadata: &Metadata,
        wanted: &'static str,
    ) -> Result<(), Failure> {
        let found = match metadata {
            _ if metadata.is_symlink() => "a symbolic link",
            _ if metadata.is_dir() => "a submodule",
            _ if metadata.is_file() => "a regular file",
            _ => "no file that git keeps",
        };
        let name = self.name(path)?;
        let error = TreeError::WrongMode { path: name.to_string(), found, wanted };
        self.as_a_node(&name, &error);
        Ok(())
    }

    fn same_but_case(&mut self, path: &Utf8Path, other: &Utf8Path) -> Result<(), Failure> {
        let (name, other) = (self.name(path)?, self.name(other)?);
        let error = TreeError::SameButCase { path: name.to_string(), other: other.to_string() };
        self.as_a_node(&name, &error);
        Ok(())
    }

    /// What a node says of a commit that it refuses for its files.
    fn as_a_node(&mut self, name: &RepoPath, error: &TreeError) {
        let place = Place::start_of(name);
        let finding = Finding::new(Code::FileNotRead, error.to_string(), &place);
        self.unusable.push(finding.help(error.help()));
    }

    fn file(&mut self, path: &Utf8Path) -> Result<(), Failure> {
        if self.is_full {
            return Ok(());
        }
        let metadata = path.symlink_metadata().map_err(|error| unreadable(path, &error))?;
        let name = self.name(path)?;
        if !metadata.is_file() {
            return self.wrong_mode(path, &metadata, "a regular file");
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
