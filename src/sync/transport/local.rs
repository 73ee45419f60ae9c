//! A repository of this machine, read where it lies: for a person who looks at it.
//!
//! Only its objects and references are read. Its settings are not, nor are those of the
//! user: nothing in them can change what is found, whoever wrote them, and it does not
//! matter whose the repository is. Nothing is written.

use std::fs;
use std::io::{self, Read as _};

use camino::{Utf8Path, Utf8PathBuf};
use git2::{ErrorCode, ObjectType, Odb, Oid};

use super::open::has_sha256_ids;
use super::{Found, failure, kind, object_id};
use crate::sync::commit;
use crate::sync::protocol::{Failure, FailureCode};
use crate::value::ObjectId;

/// The largest file of one reference, in bytes.
const MAX_REFERENCE: u64 = 4096;
/// The largest file of packed references and of alternates, in bytes.
const MAX_LIST: u64 = 32 << 20;
/// The most directories of objects: a repository may borrow from others.
const MAX_DIRECTORIES: usize = 16;
/// How far references and tags are followed.
const MAX_STEPS: usize = 8;
/// The largest commit or tag that is read to find a revision.
const MAX_BYTES: usize = commit::MAX_BYTES;
/// The furthest that `~N` goes.
const MAX_BACK: usize = 100_000;

/// The places of a repository, found without git.
#[derive(Debug)]
pub(super) struct Places {
    /// Where `HEAD` lies.
    own: Utf8PathBuf,
    /// Where the other references lie: another place for a linked work tree.
    common: Utf8PathBuf,
    /// Where objects lie.
    objects: Vec<Utf8PathBuf>,
}

impl Places {
    /// The places of the repository of a work tree, or of a bare one.
    pub(super) fn find(path: &Utf8Path) -> Result<Self, Failure> {
        let no_repository = || {
            let message = format!("`{path}` is a directory, but no git repository");
            Failure::new(FailureCode::NotARepository, message)
        };
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => {
                let message = format!("`{path}` is a file and no git repository");
                return Err(Failure::new(FailureCode::NotARepository, message));
            }
            Err(error) => return Err(cannot(path, &error)),
        }
        let git = path.join(".git");
        let own = if git.is_dir() {
            git
        } else if git.is_file() {
            let text = text(&git, MAX_REFERENCE)?.unwrap_or_default();
            let to = text.strip_prefix("gitdir: ").ok_or_else(no_repository)?;
            path.join(to.trim_end_matches('\n'))
        } else {
            path.to_owned()
        };
        let common = match text(&own.join("commondir"), MAX_REFERENCE)? {
            Some(to) => own.join(to.trim_end_matches('\n')),
            None => own.clone(),
        };
        let first = common.join("objects");
        if !own.join("HEAD").is_file() || !first.is_dir() {
            return Err(no_repository());
        }
        if has_sha256_ids(&common) {
            let message = format!(
                "the repository `{path}` has SHA-256 object ids; weft reads SHA-1 repositories only"
            );
            return Err(Failure::new(FailureCode::Sha256, message));
        }
        if common.join("reftable").is_dir() {
            let message = format!(
                "the repository `{path}` keeps its references in a form that weft does not read; \
                 `git refs migrate --ref-format=files` writes the other one"
            );
            return Err(Failure::new(FailureCode::NotARepository, message));
        }
        let real = |path: Utf8PathBuf| path.canonicalize_utf8().map_err(|e| cannot(&path, &e));
        Ok(Self { own: real(own)?, common: real(common)?, objects: with_borrowed(first)? })
    }

    /// What has to be read.
    pub(super) fn all(&self) -> Vec<Utf8PathBuf> {
        let places = [&self.own, &self.common];
        places.into_iter().chain(&self.objects).cloned().collect()
    }

    /// Whether commits of it are left out.
    pub(super) fn is_shallow(&self) -> bool {
        self.common.join("shallow").exists()
    }
}

/// A directory of objects, and those that it borrows from.
fn with_borrowed(first: Utf8PathBuf) -> Result<Vec<Utf8PathBuf>, Failure> {
    let mut all: Vec<Utf8PathBuf> = Vec::new();
    let mut waiting = vec![first];
    while let Some(directory) = waiting.pop() {
        // One that is gone lends nothing.
        let Ok(directory) = directory.canonicalize_utf8() else { continue };
        if all.contains(&directory) || all.len() >= MAX_DIRECTORIES {
            continue;
        }
        let borrowed = text(&directory.join("info/alternates"), MAX_LIST)?.unwrap_or_default();
        let lines = borrowed.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        waiting.extend(lines.map(|line| directory.join(line)));
        all.push(directory);
    }
    Ok(all)
}

/// A repository that was opened.
pub(super) struct Local {
    places: Places,
    objects: Odb<'static>,
}

impl Local {
    pub(super) fn open(places: Places) -> Result<Self, Failure> {
        let unusable = |e: git2::Error| {
            failure(FailureCode::DamagedRemote, "cannot open the objects of the repository", &e)
        };
        let objects = Odb::new().map_err(unusable)?;
        for directory in &places.objects {
            objects.add_disk_alternate(directory.as_str()).map_err(unusable)?;
        }
        Ok(Self { places, objects })
    }

    pub(super) fn read(&self, id: ObjectId, limit: u64) -> Result<Found, Failure> {
        let unreadable = |e: &git2::Error| {
            let what = format!("object {id} cannot be read");
            failure(FailureCode::DamagedRemote, &what, e)
        };
        let oid = Oid::from_bytes(id.as_bytes()).map_err(|e| unreadable(&e))?;
        match self.objects.read_header(oid) {
            Ok((size, _)) if size as u64 > limit => {
                Ok(Found::TooLarge { size: size as u64, limit })
            }
            Ok(_) => {
                let object = self.objects.read(oid).map_err(|e| unreadable(&e))?;
                match kind(object.kind()) {
                    Some(kind) => Ok(Found::Object(kind, object.data().to_vec())),
                    None => Ok(Found::Missing),
                }
            }
            Err(error) if error.code() == ErrorCode::NotFound => Ok(Found::Missing),
            Err(error) => Err(unreadable(&error)),
        }
    }

    /// The commit that a revision names: an id or the beginning of one, `HEAD`, a branch,
    /// a tag or another reference, with any number of `~N` and `^N` behind it.
    pub(super) fn resolve(&self, revision: &str) -> Result<ObjectId, Failure> {
        let end = revision.find(['~', '^']).unwrap_or(revision.len());
        let (base, mut rest) = revision.split_at(end);
        let mut commit = self.commit(self.base(base, revision)?, revision)?;
        while let Some(step) = rest.chars().next() {
            let digits =
                rest[1..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |n| n + 1);
            let number = &rest[1..digits];
            let number = if number.is_empty() { Ok(1) } else { number.parse::<usize>() };
            rest = &rest[digits..];
            commit = match (step, number) {
                ('~', Ok(back @ 0..=MAX_BACK)) => {
                    (0..back).try_fold(commit, |commit, _| self.parent(commit, 1, revision))?
                }
                ('^', Ok(0)) => commit,
                ('^', Ok(parent)) => self.parent(commit, parent, revision)?,
                _ => return Err(unknown(revision, "only `~N` and `^N` may stand behind a name")),
            };
        }
        object_id(commit)
    }

    fn base(&self, base: &str, revision: &str) -> Result<Oid, Failure> {
        let hex = base.len() >= 4 && base.bytes().all(|b| b.is_ascii_hexdigit());
        let id = || Oid::from_str(base).map_err(|_| unknown(revision, "it is no id"));
        if hex && base.len() == 40 {
            return id();
        }
        let name = if base == "@" { "HEAD" } else { base };
        for before in ["", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"] {
            let full = format!("{before}{name}");
            let own = full == "HEAD" || full.starts_with("refs/");
            if own
                && git2::Reference::is_valid_name(&full)
                && let Some(found) = self.reference(&full, MAX_STEPS)?
            {
                return Ok(found);
            }
        }
        if !hex {
            let how = if base == "HEAD" || base.is_empty() {
                "there is no commit yet"
            } else {
                "there is no such branch, tag or commit"
            };
            return Err(unknown(revision, how));
        }
        self.objects.exists_prefix(id()?, base.len()).map_err(|error| match error.code() {
            ErrorCode::Ambiguous => unknown(revision, "several objects begin so"),
            _ => unknown(revision, "there is no such commit"),
        })
    }

    /// Where a reference is.
    fn reference(&self, name: &str, steps: usize) -> Result<Option<Oid>, Failure> {
        let directory = if name == "HEAD" { &self.places.own } else { &self.places.common };
        let text = match text(&directory.join(name), MAX_REFERENCE)? {
            Some(text) => text,
            None => match self.packed(name)? {
                Some(text) => text,
                None => return Ok(None),
            },
        };
        let text = text.trim_end();
        match text.strip_prefix("ref: ") {
            Some(to)
                if steps > 0 && to.starts_with("refs/") && git2::Reference::is_valid_name(to) =>
            {
                self.reference(to, steps - 1)
            }
            Some(_) => Ok(None),
            None => Ok(Oid::from_str(text).ok().filter(|_| text.len() == 40)),
        }
    }

    fn packed(&self, name: &str) -> Result<Option<String>, Failure> {
        let list = text(&self.places.common.join("packed-refs"), MAX_LIST)?.unwrap_or_default();
        let line = |line: &str| {
            let (id, found) = line.split_once(' ')?;
            (found == name).then(|| id.to_owned())
        };
        Ok(list.lines().find_map(line))
    }

    /// The commit that an object is or that a tag names.
    fn commit(&self, mut id: Oid, revision: &str) -> Result<Oid, Failure> {
        for _ in 0..MAX_STEPS {
            let (kind, bytes) = self.small(id, revision)?;
            match kind {
                ObjectType::Commit => return Ok(id),
                ObjectType::Tag => {
                    let named = bytes.strip_prefix(b"object ").and_then(|rest| rest.get(..40));
                    let named = named.and_then(|hex| std::str::from_utf8(hex).ok());
                    let named = named.and_then(|hex| Oid::from_str(hex).ok());
                    id = named.ok_or_else(|| unknown(revision, "its tag cannot be read"))?;
                }
                _ => return Err(unknown(revision, "it is no commit")),
            }
        }
        Err(unknown(revision, "it is a tag of tags"))
    }

    fn parent(&self, commit: Oid, number: usize, revision: &str) -> Result<Oid, Failure> {
        let (_, bytes) = self.small(commit, revision)?;
        let parents = commit::lineage(&bytes).map_or_else(Vec::new, |(_, parents)| parents);
        let parent = parents.get(number - 1).and_then(|id| Oid::from_bytes(id.as_bytes()).ok());
        parent.ok_or_else(|| unknown(revision, &format!("commit {commit} has no such parent")))
    }

    fn small(&self, id: Oid, revision: &str) -> Result<(ObjectType, Vec<u8>), Failure> {
        let missing = |_| unknown(revision, &format!("object {id} is not in the repository"));
        let (size, kind) = self.objects.read_header(id).map_err(missing)?;
        if size > MAX_BYTES || !matches!(kind, ObjectType::Commit | ObjectType::Tag) {
            return Err(unknown(revision, "it is no commit"));
        }
        Ok((kind, self.objects.read(id).map_err(missing)?.data().to_vec()))
    }
}

/// A text of the repository; `None` where there is no such file.
fn text(path: &Utf8Path, limit: u64) -> Result<Option<String>, Failure> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| {
        let regular = file.metadata()?.is_file();
        if regular { file.take(limit + 1).read_to_end(&mut bytes).map(Some) } else { Ok(None) }
    });
    match read {
        Ok(None) => return Ok(None),
        Ok(Some(_)) => {}
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(cannot(path, &error)),
    }
    if bytes.len() as u64 > limit {
        let message = format!("`{path}` is larger than {limit} bytes");
        return Err(Failure::new(FailureCode::DamagedRemote, message));
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn cannot(path: &Utf8Path, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::PermissionDenied => FailureCode::Permission,
        _ => FailureCode::Absent,
    };
    Failure::new(code, format!("cannot open `{path}`: {error}"))
}

fn unknown(revision: &str, how: &str) -> Failure {
    let shown: String = revision.chars().take(200).collect();
    let message = format!("`{}` names no commit: {how}", shown.escape_debug());
    Failure::new(FailureCode::NoBranch, message)
}
