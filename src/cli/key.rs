//! Public keys as people have them: in a file, as a line, or in git's settings.

use std::process::{Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};

use super::failure::{Exit, Failure};
use crate::declare::finding::Findings;
use crate::declare::{constant_path, policy, signers};
use crate::value::Principal;

/// The largest public key that is read, in bytes.
const MAX_KEY_BYTES: u64 = 16 * 1024;

/// How the types of keys begin.
const KINDS: [&str; 4] = ["ssh-", "ecdsa-", "sk-", "webauthn-"];

/// The one line of a file with a public key.
pub(super) fn read_key(path: &Utf8Path) -> Result<String, Failure> {
    let fail = |what: String| Failure::new(Exit::Failed, format!("cannot use `{path}`: {what}"));
    let metadata = path.metadata().map_err(|error| fail(error.to_string()))?;
    if !metadata.is_file() || metadata.len() > MAX_KEY_BYTES {
        return Err(fail("it is no file of a public key".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    if text.contains("PRIVATE KEY") {
        return Err(fail("it is the private key".to_owned()).hint(format!(
            "name the public one, `{path}.pub`; nobody else needs the private one"
        )));
    }
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    match (lines.next(), lines.next()) {
        (Some(line), None) => Ok(line.to_owned()),
        _ => Err(fail("it does not hold one line with a public key".to_owned())),
    }
}

/// A key that is given as words: a file, or the line that stands in one.
pub(super) fn given(words: &[String]) -> Result<String, Failure> {
    let text = words.join(" ");
    let path = Utf8Path::new(&text);
    if KINDS.iter().any(|kind| text.starts_with(kind)) && !path.exists() {
        return Ok(text);
    }
    read_key(path).map_err(|failure| {
        if path.exists() {
            failure
        } else {
            failure.hint("a key is a `.pub` file, or the line in it: `ssh-ed25519 AAAA…`")
        }
    })
}

/// The type and the data of a key, without what stands around them.
pub(super) fn plain(key: &str) -> String {
    let mut words = key.split_whitespace();
    let (kind, data) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    format!("{kind} {data}").trim_end().to_owned()
}

/// The key that git signs with in a directory, where that is an ssh key.
pub(super) fn of_git(directory: &Utf8Path) -> Option<String> {
    let key = git(directory, &["config", "--get", "user.signingkey"])?;
    let literal = key.strip_prefix("key::").unwrap_or(&key);
    if KINDS.iter().any(|kind| literal.starts_with(kind)) {
        return Some(literal.to_owned());
    }
    let path = git(directory, &["config", "--type=path", "--get", "user.signingkey"])?;
    let path = directory.join(path);
    let public = if path.extension() == Some("pub") {
        path
    } else {
        Utf8PathBuf::from(format!("{path}.pub"))
    };
    read_key(&public).ok()
}

/// Whom git commits as in a directory.
pub(super) fn principal_of_git(directory: &Utf8Path) -> Option<Principal> {
    git(directory, &["config", "--get", "user.email"]).and_then(|email| email.parse().ok())
}

/// What git knows of the person at the keyboard; nothing where there is no git.
#[expect(
    clippy::disallowed_methods,
    reason = "git alone knows where its settings lie; it reads them, and runs nothing"
)]
fn git(directory: &Utf8Path, arguments: &[&str]) -> Option<String> {
    let directory = Some(directory).filter(|directory| directory.is_dir());
    let output = Command::new("git")
        .args(["-C", directory.map_or(".", Utf8Path::as_str)])
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim_end_matches('\n');
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}

/// The trust files to begin with, and whom they begin with.
pub(super) struct First {
    pub(super) principal: Principal,
    pub(super) signers: String,
    pub(super) policy: String,
}

impl First {
    /// One person who may change everything: by the key and the name that are given, or
    /// those of git in a directory.
    pub(super) fn of(
        directory: &Utf8Path,
        key: Option<&Utf8Path>,
        principal: Option<&Principal>,
    ) -> Result<Self, Failure> {
        let key = match key {
            Some(path) => read_key(path)?,
            None => of_git(directory).ok_or_else(|| {
                Failure::new(Exit::Usage, "nobody could change this repository: there is no key")
                    .hint("name one: `--key ~/.ssh/id_ed25519.pub --principal you@example.org`; `ssh-keygen -t ed25519` makes one")
            })?,
        };
        let principal =
            principal.cloned().or_else(|| principal_of_git(directory)).ok_or_else(|| {
                Failure::new(Exit::Usage, "it is not known whose key this is")
                    .hint("say it: `--principal you@example.org`")
            })?;
        let line = format!("{principal} namespaces=\"git\" {}\n", plain(&key));
        let signers = format!(
            "# Which key is whose: NAME namespaces=\"git\" TYPE KEY (ALLOWED SIGNERS in ssh-keygen(1)).\n{line}"
        );
        let name = serde_json::Value::from(principal.as_str());
        let policy = format!(
            "# Who may change what. `root`: everything. `operator`: everything but `.weft` and\n# `weft.yaml`; add it as `operator: {{principals: [NAME]}}`.\nroles:\n  root: {{principals: [{name}]}}\n"
        );
        // What nodes read, and in the way that they do.
        let mut found = Findings::default();
        let file = constant_path(signers::FILE);
        let read = signers::read(&file, &signers, &mut found);
        policy::read(&constant_path(policy::FILE), &policy, &read, &mut found);
        if let Some(finding) = found.iter().next() {
            let message = format!("nodes could not use this key: {}", finding.message);
            return Err(Failure::new(Exit::Failed, message).hint(finding.what_to_do()));
        }
        Ok(Self { principal, signers, policy })
    }
}
