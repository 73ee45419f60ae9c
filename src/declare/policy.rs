//! `.weft/policy.yaml`: who may change what.
//!
//! Two roles. `root` may change everything; `operator` everything but the trust
//! files and `weft.yaml`. Who is in no role may change nothing.

use std::collections::BTreeSet;

use super::finding::{Code, Finding, Findings};
use super::shape::Shape;
use super::signers::Signers;
use super::yaml;
use crate::value::{At, Place, Principal, RepoPath, VnetId};

/// Where the file lies, from the root of the repository.
pub const FILE: &str = ".weft/policy.yaml";
/// The directory of the trust files.
pub const DIRECTORY: &str = ".weft";
/// The largest file, in bytes.
pub const MAX_BYTES: u64 = 256 * 1024;
/// The namespace of the signatures that git makes.
pub const NAMESPACE: &str = "git";

declaration! {
    /// The file as written.
    pub struct Written as "a policy" {
        /// The roles by name.
        required "roles" roles: Roles,
        /// Vnets that may be taken away from guests.
        optional "allow-removal-with-guests" removable: Vec<At<VnetId>>,
    }
}

declaration! {
    /// The roles as written.
    pub struct Roles as "the roles" {
        /// Who may change everything, the policy included.
        required "root" root: Role,
        /// Who may change everything but `.weft` and `weft.yaml`.
        optional "operator" operator: Role,
    }
}

declaration! {
    /// A role as written.
    pub struct Role as "a role" {
        /// Its members, named as in `.weft/allowed_signers`.
        required "principals" principals: Vec<At<Principal>>,
    }
}

/// Who may change what.
#[derive(Clone, Debug)]
pub struct Policy {
    root: BTreeSet<Principal>,
    operator: BTreeSet<Principal>,
    removable: BTreeSet<VnetId>,
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
    let removable = written.removable.into_iter().flat_map(|list| list.value);
    let removable = removable.map(|vnet| vnet.value).collect();
    let roles = written.roles.value;
    let root = members(&roles.root.value, signers, errors, findings);
    // Whose line could not be read is not said to have no key.
    if errors == 0 && !root.iter().any(|principal| signers.has_key(principal, NAMESPACE)) {
        let message = "no principal of `root` has a key";
        findings.push(Finding::new(Code::RootMissing, message, &roles.root.place));
    }
    let operator = roles.operator.map(|role| members(&role.value, signers, errors, findings));
    Some(Policy { root, operator: operator.unwrap_or_default(), removable })
}

fn members(
    role: &Role,
    signers: &Signers,
    errors: usize,
    findings: &mut Findings,
) -> BTreeSet<Principal> {
    for principal in &role.principals.value {
        if errors == 0 && !signers.has_key(&principal.value, NAMESPACE) {
            let message = format!(
                "`{}` has no key in `allowed_signers` for the namespace `git`",
                principal.value
            );
            findings.push(Finding::new(Code::PrincipalWithoutKey, message, &principal.place));
        }
    }
    role.principals.value.iter().map(|principal| principal.value.clone()).collect()
}

impl Policy {
    /// Whether a principal may change the file at a path, which is `/`-separated and
    /// starts at the root of the repository.
    pub fn may(&self, principal: &Principal, path: &str) -> bool {
        self.root.contains(principal) || (self.operator.contains(principal) && !is_reserved(path))
    }

    /// The vnets that may be taken away from guests of a node.
    pub fn removable(&self) -> &BTreeSet<VnetId> {
        &self.removable
    }

    /// Whether a principal has any role.
    pub fn has_role(&self, principal: &Principal) -> bool {
        self.root.contains(principal) || self.operator.contains(principal)
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
