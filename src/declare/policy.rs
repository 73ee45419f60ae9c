//! `.weft/policy.yaml`: who may change what.
//!
//! Roles have names, members and a share: which paths, how many signers, and, with a
//! scope, what files may declare there. `root` may change everything and is the one role
//! that reaches the trust files and `weft.yaml`. Who is in no role may change nothing.

mod pattern;
mod scope;
pub mod standing;

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

pub use self::pattern::{BadPattern, IdPattern, Numbers, PathPattern, Targets};
pub use self::scope::{Difference, File, Kind, Scope};
use super::finding::{Code, Finding, Findings};
use super::shape::{Entries, Entry, KeyShape, Shape, merge};
use super::signers::Signers;
use super::yaml::{self, Node};
use crate::value::{At, Place, Principal, RepoPath, VnetId, Word};

/// Where the file lies, from the root of the repository.
pub const FILE: &str = ".weft/policy.yaml";
/// The directory of the trust files.
pub const DIRECTORY: &str = ".weft";
/// The largest file, in bytes.
pub const MAX_BYTES: u64 = 256 * 1024;
/// The namespace of the signatures that git makes.
pub const NAMESPACE: &str = "git";
/// The role that may change everything.
pub const ROOT: &str = "root";

declaration! {
    /// The file as written.
    pub struct Written as "a policy" {
        /// The roles by name. `root` must be among them.
        required "roles" roles: Roles,
        /// Which commits may advance the branch. `any` when absent.
        optional "mainline" mainline: Mainline,
        /// Who may write leases of addresses, on the branch that keeps them. Nobody when absent.
        optional "allocators" allocators: Vec<At<Principal>>,
        /// The number of the history of that branch; one more where it is begun anew. 0 when
        /// absent.
        optional "leases-line" leases_line: u32,
        /// How much one commit may take away from a node.
        optional "removal" removal: WrittenRemoval,
        /// Vnets that may be taken away from guests.
        optional "allow-removal-with-guests" removable: Vec<At<VnetId>>,
    }
}

choices! {
    /// Which commits may advance the branch.
    pub enum Mainline as "a rule for the main line" {
        /// Every commit of somebody who may make its change.
        "any" Any,
        /// Merges, and commits that bring back the files of an earlier one.
        "merges" Merges,
    }
}

declaration! {
    /// A role as written.
    pub struct WrittenRole as "a role" {
        /// Its members, named as in `.weft/allowed_signers`.
        required "principals" principals: Vec<At<Principal>>,
        /// What its members may change: `*` within a name, `**` for any directories. All but `.weft` and `weft.yaml` when absent.
        optional "paths" paths: Vec<At<PathPattern>>,
        /// How many people sign a change. 1 when absent.
        optional "threshold" threshold: u32,
        /// What the files may declare. Everything when absent.
        optional "scope" scope: Scope,
    }
}

declaration! {
    /// The limits of removal as written.
    pub struct WrittenRemoval as "the limits of removal" {
        /// The most vnets that one commit may take away from a node.
        optional "max-vnets" max_vnets: u32,
        /// The largest part of a node's vnets that one commit may take away, in percent.
        optional "max-percent" max_percent: u32,
        /// Whether one commit may take away all that weft made on a node.
        optional "everything" everything: bool,
    }
}

/// The roles as written: by name, `root` among them.
#[derive(Clone, Debug)]
pub struct Roles(Entries<Word, WrittenRole>);

impl Shape for Roles {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let mut roles = Entries::<Word, WrittenRole>::new();
        let errors = findings.count(super::Severity::Error);
        merge(&mut roles, node, "role", findings)?;
        let root = roles.keys().any(|name| name.as_str() == ROOT);
        if !root && findings.count(super::Severity::Error) == errors {
            let finding =
                Finding::new(Code::MissingKey, format!("the roles have no `{ROOT}`"), &node.place)
                    .help(format!("add `{ROOT}: {{principals: [NAME]}}`"));
            findings.push(finding);
        }
        root.then_some(Self(roles))
    }

    fn schema() -> Json {
        json!({
            "type": "object",
            "propertyNames": Word::key_schema(),
            "additionalProperties": WrittenRole::schema(),
            "required": [ROOT],
        })
    }
}

/// Who may change what.
#[derive(Clone, Debug)]
pub struct Policy {
    roles: Vec<Role>,
    mainline: Mainline,
    allocators: BTreeSet<Principal>,
    leases_line: u32,
    removal: Removal,
}

/// What some people may change.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name.
    pub name: Word,
    /// Its members.
    pub principals: BTreeSet<Principal>,
    /// How many people must sign a change, at least one.
    pub threshold: usize,
    /// What files may declare; `None` for everything.
    pub scope: Option<Scope>,
    /// `None` for everything that is not reserved, and for `root` for everything.
    paths: Option<Vec<PathPattern>>,
}

/// How much a commit may take away from a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// Vnets that may be taken away from guests.
    pub with_guests: BTreeSet<VnetId>,
    /// The most vnets.
    pub max_vnets: Option<u32>,
    /// The largest part of the node's vnets, in percent.
    pub max_percent: Option<u32>,
    /// Whether it may be all of them.
    pub everything: bool,
}

/// Reads a file. `signers` are those of the same tree. A file with a finding of
/// severity error must not be trusted at all.
pub fn read(
    file: &RepoPath,
    text: &str,
    signers: &Signers,
    findings: &mut Findings,
) -> Option<Policy> {
    let errors = findings.count(super::Severity::Error);
    let Some(node) = yaml::parse(file, text, findings) else {
        if findings.count(super::Severity::Error) == errors {
            let message = format!("`{file}` is empty");
            let finding = Finding::new(Code::MissingKey, message, &Place::start_of(file))
                .help("it holds `roles: {root: {principals: [NAME]}}`");
            findings.push(finding);
        }
        return None;
    };
    let written = Written::read(&node, findings)?;
    // Whose line could not be read is not said to have no key.
    let signers = (errors == 0).then_some(signers);
    let roles =
        written.roles.value.0.iter().map(|(name, role)| role_of(name, role, signers, findings));
    let roles = roles.collect();
    let allocators = written.allocators.map(|list| list.value).unwrap_or_default();
    if let Some(signers) = signers {
        for principal in &allocators {
            with_key(principal, signers, findings);
        }
    }
    let allocators = allocators.into_iter().map(|principal| principal.value).collect();
    let leases_line = written.leases_line.map_or(0, |line| line.value);
    let removal = written.removal.map(|removal| limits(removal.value, findings));
    let with_guests = written.removable.into_iter().flat_map(|list| list.value);
    let removal = Removal {
        with_guests: with_guests.map(|vnet| vnet.value).collect(),
        ..removal.unwrap_or_default()
    };
    let mainline = written.mainline.map_or(Mainline::Any, |mainline| mainline.value);
    Some(Policy { roles, mainline, allocators, leases_line, removal })
}

fn limits(written: WrittenRemoval, findings: &mut Findings) -> Removal {
    if let Some(percent) = written.max_percent.as_ref().filter(|percent| percent.value > 100) {
        let message = format!("{} is more than 100 percent", percent.value);
        findings.push(Finding::new(Code::BadValue, message, &percent.place));
    }
    Removal {
        max_vnets: written.max_vnets.map(|most| most.value),
        max_percent: written.max_percent.map(|most| most.value),
        everything: written.everything.is_some_and(|everything| everything.value),
        ..Removal::default()
    }
}

fn role_of(
    name: &Word,
    written: &Entry<WrittenRole>,
    signers: Option<&Signers>,
    findings: &mut Findings,
) -> Role {
    let role = &written.value;
    let principals = role.principals.value.iter().map(|principal| principal.value.clone());
    let principals: BTreeSet<Principal> = principals.collect();
    if name.as_str() == ROOT {
        let limited = [
            role.paths.as_ref().map(|paths| ("paths", &paths.place)),
            role.scope.as_ref().map(|scope| ("scope", &scope.place)),
        ];
        for (key, place) in limited.into_iter().flatten() {
            let message = format!("`{ROOT}` has `{key}`, and may change everything");
            findings.push(Finding::new(Code::RootLimited, message, place));
        }
    }
    let threshold = role.threshold.as_ref().map_or(1, |threshold| threshold.value);
    if let Some(threshold) = role.threshold.as_ref().filter(|threshold| threshold.value == 0) {
        let message = "nobody would have to sign; a threshold is 1 or more";
        findings.push(Finding::new(Code::BadValue, message, &threshold.place));
    }
    let threshold = usize::try_from(threshold).unwrap_or(usize::MAX);
    if let Some(signers) = signers {
        keys(name, written, threshold, signers, &principals, findings);
    }
    let paths = role
        .paths
        .as_ref()
        .map(|paths| paths.value.iter().map(|pattern| pattern.value.clone()).collect());
    let scope = role.scope.as_ref().map(|scope| scope.value.clone());
    Role { name: name.clone(), principals, threshold, scope, paths }
}

/// Whether the members of a role have the keys to do what it lets them do.
fn keys(
    name: &Word,
    written: &Entry<WrittenRole>,
    threshold: usize,
    signers: &Signers,
    principals: &BTreeSet<Principal>,
    findings: &mut Findings,
) {
    let role = &written.value;
    for principal in &role.principals.value {
        with_key(principal, signers, findings);
    }
    let able = principals.iter().filter(|principal| signers.has_key(principal, NAMESPACE));
    let people = signers.people().count(able);
    if name.as_str() == ROOT && people == 0 {
        let message = "no principal of `root` has a key";
        findings.push(Finding::new(Code::RootMissing, message, &written.place));
    } else if let Some(place) = role.threshold.as_ref().map(|threshold| &threshold.place)
        && people < threshold
    {
        let have = if people == 1 { "person in it has a key" } else { "people in it have keys" };
        let message = format!("`{name}` needs {threshold} people who sign, and {people} {have}");
        // With this error standing, no command changes the files.
        let lower = match people {
            0 | 1 => "take `threshold` away".to_owned(),
            _ => format!("lower `threshold` to {people}"),
        };
        let help = format!(
            "{lower}, let more people in (`weft trust add NAME KEY --role {name}`), and raise it then"
        );
        findings.push(Finding::new(Code::ThresholdUnreachable, message, place).help(help));
    }
}

fn with_key(principal: &At<Principal>, signers: &Signers, findings: &mut Findings) {
    if !signers.has_key(&principal.value, NAMESPACE) {
        let message = format!(
            "`{}` has no key in `allowed_signers` for the namespace `git`",
            principal.value
        );
        findings.push(Finding::new(Code::PrincipalWithoutKey, message, &principal.place));
    }
}

impl Policy {
    /// Whether a principal may, perhaps with others and within a scope, change the file at
    /// a path, which is `/`-separated and starts at the root of the repository.
    pub fn may(&self, principal: &Principal, path: &str) -> bool {
        self.roles_at(principal, path).next().is_some()
    }

    /// The roles by which a principal may change the file at a path.
    pub fn roles_at<'a, 'b>(
        &'a self,
        principal: &'b Principal,
        path: &'b str,
    ) -> impl Iterator<Item = &'a Role> + use<'a, 'b> {
        self.roles.iter().filter(|role| role.principals.contains(principal) && role.reaches(path))
    }

    /// Whether a principal has any role.
    pub fn has_role(&self, principal: &Principal) -> bool {
        self.roles.iter().any(|role| role.principals.contains(principal))
    }

    /// The roles, in the order of their names.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// Which commits may advance the branch.
    pub fn mainline(&self) -> Mainline {
        self.mainline
    }

    /// Whether a principal may write leases of addresses.
    pub fn allocates(&self, principal: &Principal) -> bool {
        self.allocators.contains(principal)
    }

    /// Who may write leases of addresses, in the order of their names.
    pub fn allocators(&self) -> &BTreeSet<Principal> {
        &self.allocators
    }

    /// The number of the history of the branch of leases.
    pub fn leases_line(&self) -> u32 {
        self.leases_line
    }

    /// How much a commit may take away from a node.
    pub fn removal(&self) -> &Removal {
        &self.removal
    }
}

impl Role {
    /// Whether one signature of a member is enough, whatever the files declare.
    pub fn is_plain(&self) -> bool {
        self.threshold == 1 && self.scope.is_none()
    }

    /// The paths of its files. `None` for everything that is not reserved, and for `root`
    /// for everything.
    pub fn paths(&self) -> Option<&[PathPattern]> {
        self.paths.as_deref()
    }

    fn reaches(&self, path: &str) -> bool {
        if self.name.as_str() == ROOT {
            return true;
        }
        let covers = |patterns: &Vec<PathPattern>| patterns.iter().any(|one| one.matches(path));
        !is_reserved(path) && self.paths.as_ref().is_none_or(covers)
    }
}

/// Whether only root may change a path: a part of it is `.weft` or `weft.yaml`, in
/// whatever case and at whatever depth, so that neither a cluster below a directory
/// nor a file system that folds case opens a way around.
fn is_reserved(path: &str) -> bool {
    path.split('/').any(|part| {
        part.eq_ignore_ascii_case(DIRECTORY) || part.eq_ignore_ascii_case(super::CLUSTER_FILE)
    })
}
