//! What lies beside declarations and may be meant as some: no node reads it, and none
//! refuses a commit for it.

use camino::Utf8Path;

use super::super::failure::Failure;
use super::Walk;
use crate::declare::finding::{Code, Finding, Findings};
use crate::declare::tree::MAX_FILE_BYTES;
use crate::declare::{CLUSTER_FILE, DIRECTORY, yaml};
use crate::value::{Place, RepoPath};

/// The most files that are named for it.
const MAX_NAMED: usize = 100;

/// The maps of declarations.
const KINDS: [&str; 8] =
    ["nodes", "zones", "vnets", "controllers", "fabrics", "ipams", "dns", "guests"];

impl Walk<'_> {
    /// A file below `sdn/` with another ending.
    pub(super) fn other(&mut self, name: &RepoPath) {
        let file = name.file_name();
        let is_common = file.starts_with('.')
            || ["README", "LICENSE", "LICENCE", "COPYING"].iter().any(|own| file.starts_with(own))
            || [".md", ".txt"].iter().any(|ending| file.ends_with(ending));
        if !is_common {
            self.beside(
                Code::OtherFile,
                name,
                "is not read: declarations are in files that end in `.yaml`",
            );
        }
    }

    /// A directory without anything in it.
    pub(super) fn nothing_in(&mut self, directory: &Utf8Path) -> Result<(), Failure> {
        if directory == self.top.join(DIRECTORY) {
            return Ok(());
        }
        let name = self.name(directory)?;
        self.beside(
            Code::OtherFile,
            &name,
            "is empty; git keeps no empty directory, so that in a fresh clone this is a submodule, for which nodes refuse the commit",
        );
        Ok(())
    }

    /// A file at the top of the repository, where it reads as declarations.
    pub(super) fn at_the_top(&mut self, name: &str) {
        let is_yaml = [".yaml", ".yml"].iter().any(|ending| name.ends_with(ending));
        let path = self.top.join(name);
        let fits = |size| (1..=MAX_FILE_BYTES).contains(&size);
        let is_file =
            || path.symlink_metadata().is_ok_and(|found| found.is_file() && fits(found.len()));
        if name.starts_with('.') || name == CLUSTER_FILE || !is_yaml || !is_file() {
            return;
        }
        let (Ok(name), Ok(text)) = (name.parse::<RepoPath>(), std::fs::read_to_string(&path))
        else {
            return;
        };
        if declares(&name, &text) {
            self.beside(
                Code::DeclarationsOutside,
                &name,
                "reads as declarations, and no node reads it: they are below `sdn/`",
            );
        }
    }

    /// Whether git has a repository of its own in a directory: to the one around it this is
    /// a submodule, whether it was added as one or not.
    pub(super) fn is_submodule(&self, directory: &Utf8Path) -> bool {
        directory.join(".git").symlink_metadata().is_ok() || self.is_listed(directory)
    }

    /// Whether `.gitmodules` names it, as in a clone without its submodules.
    fn is_listed(&self, directory: &Utf8Path) -> bool {
        let list = self.top.join(".gitmodules");
        let fits = list.symlink_metadata().is_ok_and(|found| found.len() <= MAX_FILE_BYTES);
        let Some(text) = fits.then(|| std::fs::read_to_string(list).ok()).flatten() else {
            return false;
        };
        let paths = text.lines().filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == "path").then(|| value.trim().trim_matches('"').trim_end_matches('/'))
        });
        let below = directory.strip_prefix(self.top).unwrap_or(directory);
        paths.into_iter().any(|path| path == below)
    }

    fn beside(&mut self, code: Code, name: &RepoPath, what: &str) {
        let is_beside = |finding: &&Finding| {
            matches!(finding.code, Code::OtherFile | Code::DeclarationsOutside)
        };
        if self.unusable.iter().filter(is_beside).count() < MAX_NAMED {
            let message = format!("`{name}` {what}");
            self.unusable.push(Finding::new(code, message, &Place::start_of(name)));
        }
    }
}

/// Whether a text has a map of declarations.
fn declares(name: &RepoPath, text: &str) -> bool {
    let root = yaml::parse(name, text, &mut Findings::default());
    let Some(yaml::Value::Map(entries)) = root.map(|root| root.value) else { return false };
    entries.iter().any(|(key, node)| {
        KINDS.contains(&key.text.as_str()) && matches!(node.value, yaml::Value::Map(_))
    })
}
