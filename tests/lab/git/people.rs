//! People who work on a repository with real git and real ssh-keygen.

use crate::git::{ACCOUNT, as_account, repository, ssh};
use crate::machine::Machine;

/// Keys and clones of people, on the host of the server.
const DIRECTORY: &str = "/srv/people";

/// Somebody who signs commits with an ed25519 key.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    /// The principal, an address of mail.
    pub(crate) principal: String,
    /// The public key: type and base64.
    pub(crate) public_key: String,
    key: String,
}

impl Signer {
    #[track_caller]
    pub(super) fn new(machine: &Machine, name: &str) -> Self {
        machine.exec(&["install", "-d", "-o", ACCOUNT, DIRECTORY]).ok();
        let key = format!("{DIRECTORY}/key_{name}");
        ssh::new_key(machine, &key);
        machine.exec(&["chown", ACCOUNT, &key]).ok();
        let public_key = ssh::public_key(machine, &key);
        Self { principal: format!("{name}@lab.test"), public_key, key }
    }

    /// The signer's line in a file of allowed signers, good for git's signatures.
    pub(crate) fn allowed_line(&self) -> String {
        format!("{} namespaces=\"git\" {}\n", self.principal, self.public_key)
    }
}

/// A clone in which people work.
#[derive(Debug)]
pub(crate) struct WorkingCopy<'lab> {
    machine: &'lab Machine,
    path: String,
}

impl<'lab> WorkingCopy<'lab> {
    #[track_caller]
    pub(super) fn clone_of(machine: &'lab Machine, name: &str) -> Self {
        machine.exec(&["install", "-d", "-o", ACCOUNT, DIRECTORY]).ok();
        let pattern = format!("{DIRECTORY}/{name}.XXXXXX");
        let path = as_account(machine, &["mktemp", "-d", &pattern]).trim().to_owned();
        let copy = Self { machine, path };
        copy.git(&["clone", "--quiet", &repository(name), "."]);
        copy
    }

    /// Its directory on the host outside.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Writes a file.
    #[track_caller]
    pub(crate) fn write(&self, path: &str, text: &str) {
        self.machine.put(&format!("{}/{path}", self.path), text);
    }

    /// Removes a file.
    #[track_caller]
    pub(crate) fn remove(&self, path: &str) {
        self.machine.remove(&format!("{}/{path}", self.path));
    }

    /// Commits all that differs, signed; returns the commit's id.
    #[track_caller]
    pub(crate) fn commit(&self, signer: &Signer, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.signed(signer, &["commit", "--quiet", "--allow-empty", "-m", message])
    }

    /// Commits all that differs, without a signature; returns the commit's id.
    #[track_caller]
    pub(crate) fn commit_unsigned(&self, principal: &str, message: &str) -> String {
        self.git(&["add", "--all"]);
        let email = format!("user.email={principal}");
        self.git(&[
            "-c",
            "user.name=nobody",
            "-c",
            &email,
            "commit",
            "--quiet",
            "--allow-empty",
            "--no-gpg-sign",
            "-m",
            message,
        ]);
        self.head()
    }

    /// Commits the reverse of a commit, signed; returns the new commit's id.
    #[track_caller]
    pub(crate) fn revert(&self, signer: &Signer, commit: &str) -> String {
        self.signed(signer, &["revert", "--no-edit", commit])
    }

    /// Any command of git that commits, signed; returns the id of the new tip.
    #[track_caller]
    pub(crate) fn signed(&self, signer: &Signer, arguments: &[&str]) -> String {
        let email = format!("user.email={}", signer.principal);
        let key = format!("user.signingkey={}", signer.key);
        let mut words = vec!["-c", "user.name=person", "-c", &email, "-c", "gpg.format=ssh"];
        words.extend(["-c", "commit.gpgsign=true", "-c", &key]);
        words.extend(arguments);
        self.git(&words);
        self.head()
    }

    /// Sets branch and files back to a commit.
    #[track_caller]
    pub(crate) fn reset(&self, commit: &str) {
        self.git(&["reset", "--quiet", "--hard", commit]);
    }

    /// Id of the newest commit here.
    #[track_caller]
    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// Pushes `main`; only an advance is taken.
    #[track_caller]
    pub(crate) fn push(&self) {
        self.git(&["push", "--quiet", "origin", "HEAD:main"]);
    }

    /// Puts `main` of the server where it is here, whatever is lost there.
    #[track_caller]
    pub(crate) fn force_push(&self) {
        self.git(&["push", "--quiet", "--force", "origin", "HEAD:main"]);
    }

    /// Any command of git in this copy; returns what it said.
    #[track_caller]
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        // Files written here belong to root; git works as the account.
        self.machine.exec(&["chown", "-R", ACCOUNT, &self.path]).ok();
        let mut words = vec!["git", "-C", &self.path];
        words.extend(arguments);
        as_account(self.machine, &words)
    }
}
