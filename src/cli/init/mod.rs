//! `weft init`: a repository to begin with, in order as it stands.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;

use super::failure::{Exit, Failure};
use super::output::Output;
use super::repository::{self, Target};
use super::{directory, findings};
use crate::declare::finding::Findings;
use crate::declare::import::schema_line;
use crate::declare::{self, CLUSTER_FILE, DIRECTORY, constant_path, policy, schema, signers};
use crate::validate;
use crate::value::{ClusterName, Principal};

/// The largest public key that is read, in bytes.
const MAX_KEY_BYTES: u64 = 16 * 1024;

/// `weft init`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The directory that becomes a repository. What is there already stays.
    #[arg(default_value = ".")]
    directory: Utf8PathBuf,
    /// The name of the cluster. The name of the directory, without this.
    #[arg(long, value_name = "NAME")]
    cluster: Option<ClusterName>,
    /// The public key that may change everything. Git's `user.signingkey`, without this.
    #[arg(long, value_name = "FILE.pub")]
    key: Option<Utf8PathBuf>,
    /// Whose key it is. Git's `user.email`, without this.
    #[arg(long, value_name = "NAME")]
    principal: Option<Principal>,
}

/// Writes every file that is not there yet.
pub(super) fn run(output: Output, arguments: &Arguments) -> Result<Exit, Failure> {
    let directory = &arguments.directory;
    let cluster = cluster(arguments)?;
    let trusted = [signers::FILE, policy::FILE].map(|path| directory.join(path).exists());
    let trust = match trusted {
        [true, true] if arguments.key.is_some() || arguments.principal.is_some() => {
            let message =
                format!("`{directory}` has trust files already, which are never replaced");
            return Err(Failure::new(Exit::Refused, message).hint(format!(
                "add the key as a line of `{}`, and the name to a role of `{}`",
                signers::FILE,
                policy::FILE
            )));
        }
        [true, true] => None,
        [false, false] => Some(trust(arguments)?),
        [have_signers, _] => {
            let (there, missing) = if have_signers {
                (signers::FILE, policy::FILE)
            } else {
                (policy::FILE, signers::FILE)
            };
            let message = format!("`{directory}` has `{there}` and no `{missing}`");
            return Err(Failure::new(Exit::Failed, message)
                .hint("neither means anything without the other: write the one that is missing, or remove both"));
        }
    };
    let target = Target::keeping(directory)?;
    let mut scaffold = Scaffold { target, written: Vec::new(), kept: Vec::new() };
    scaffold.files(&cluster, trust.as_ref())?;
    let Scaffold { written, kept, .. } = scaffold;

    let tree = directory::read(directory)?;
    let (_, found) = validate::check(&tree, None, &[]);
    let next = next_steps(directory, trust.as_ref());
    let mut text = String::new();
    if !found.is_empty() {
        text.push_str(&findings::text(&found, |path| tree.get(path).map(AsRef::as_ref), false));
        text.push('\n');
    }
    for path in &written {
        let _ = writeln!(text, "wrote {path}");
    }
    for path in &kept {
        let _ = writeln!(text, "kept {path}, as it was");
    }
    text.push_str("\nNext:\n");
    for (number, step) in (1..).zip(&next) {
        let _ = writeln!(text, "  {number}. {step}");
    }
    output.say(text);
    output.document(&json!({
        "ok": true,
        "directory": directory,
        "cluster": cluster,
        "written": written,
        "kept": kept,
        "findings": found,
        "next": next,
    }));
    Ok(Exit::Ok)
}

struct Scaffold {
    target: Target,
    written: Vec<String>,
    kept: Vec<String>,
}

impl Scaffold {
    fn files(&mut self, cluster: &ClusterName, trust: Option<&Trust>) -> Result<(), Failure> {
        let has_declarations = self.target.has(DIRECTORY);
        let head = schema_line(0, "weft.json");
        // A bare name such as `no` or `1e3` is a text in quotes alone.
        let text = format!(
            "{head}weft: 1\ncluster: \"{cluster}\"\n# Errors are made of what Proxmox VE accepts and is most likely wrong.\nstrict: true\n"
        );
        self.put(CLUSTER_FILE, &text)?;
        if !has_declarations {
            let text = |depth, text| format!("{}{text}", schema_line(depth, "declarations.json"));
            self.put("sdn/nodes.yaml", &text(1, include_str!("nodes.yaml")))?;
            self.put("sdn/zones/lan.yaml", &text(2, include_str!("zone.yaml")))?;
        }
        if let Some(trust) = trust {
            self.put(signers::FILE, &trust.signers)?;
            self.put(policy::FILE, &trust.policy)?;
        }
        let readme = include_str!("README.md").replace("CLUSTER", cluster.as_str());
        self.put("README.md", &readme)?;
        self.put("facts/README.md", include_str!("facts.md"))?;
        self.put(".github/workflows/weft.yaml", include_str!("workflow.yaml"))?;
        self.put("schema/declarations.json", &format!("{:#}\n", schema::declarations()))?;
        self.put("schema/weft.json", &format!("{:#}\n", schema::cluster()))
    }

    fn put(&mut self, path: &str, text: &str) -> Result<(), Failure> {
        if self.target.has(path) {
            self.kept.push(path.to_owned());
        } else {
            self.target.write(path, text)?;
            self.written.push(path.to_owned());
        }
        Ok(())
    }
}

/// The name given, the one that `weft.yaml` has, or that of the directory.
fn cluster(arguments: &Arguments) -> Result<ClusterName, Failure> {
    let directory = &arguments.directory;
    if directory.join(CLUSTER_FILE).is_file() {
        let tree = directory::read(directory)?;
        if let Some(cluster) = declare::read(&tree, None).0.cluster {
            let own = cluster.cluster.value;
            let other = arguments.cluster.as_ref().filter(|given| **given != own);
            return match other {
                Some(_) => {
                    let message = format!("`{directory}` is cluster `{own}`'s already");
                    Err(Failure::new(Exit::Failed, message))
                }
                None => Ok(own),
            };
        }
    }
    if let Some(cluster) = &arguments.cluster {
        return Ok(cluster.clone());
    }
    let absolute = camino::absolute_utf8(directory)
        .map_err(|error| repository::unwritable(directory, &error))?;
    absolute.file_name().and_then(|name| name.parse().ok()).ok_or_else(|| {
        let message = format!("`{absolute}` is not called as a cluster can be");
        Failure::new(Exit::Usage, message).hint("name the cluster: `--cluster NAME`")
    })
}

/// The trust files, and whom they begin with.
struct Trust {
    principal: Principal,
    signers: String,
    policy: String,
}

fn trust(arguments: &Arguments) -> Result<Trust, Failure> {
    let key = match &arguments.key {
        Some(path) => read_key(path)?,
        None => key_of_git().ok_or_else(|| {
            Failure::new(Exit::Usage, "nobody could change this repository: there is no key")
                .hint("name one: `--key ~/.ssh/id_ed25519.pub --principal you@example.org`; `ssh-keygen -t ed25519` makes one")
        })?,
    };
    let principal = match &arguments.principal {
        Some(principal) => principal.clone(),
        None => git(&["config", "--get", "user.email"])
            .and_then(|email| email.parse().ok())
            .ok_or_else(|| {
                Failure::new(Exit::Usage, "it is not known whose key this is")
                    .hint("say it: `--principal you@example.org`")
            })?,
    };
    let mut words = key.split_whitespace();
    let (kind, data) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let line = format!("{principal} namespaces=\"git\" {kind} {data}\n");
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
    Ok(Trust { principal, signers, policy })
}

fn read_key(path: &Utf8Path) -> Result<String, Failure> {
    let fail = |what: String| Failure::new(Exit::Failed, format!("cannot use `{path}`: {what}"));
    let metadata = path.metadata().map_err(|error| fail(error.to_string()))?;
    if !metadata.is_file() || metadata.len() > MAX_KEY_BYTES {
        return Err(fail("it is no file of a public key".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    if text.contains("PRIVATE KEY") {
        return Err(fail("it is the private key".to_owned())
            .hint(format!("name the public one: `--key {path}.pub`")));
    }
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    match (lines.next(), lines.next()) {
        (Some(line), None) => Ok(line.to_owned()),
        _ => Err(fail("it does not hold one line with a public key".to_owned())),
    }
}

/// The key that git signs with, where that is an ssh key.
fn key_of_git() -> Option<String> {
    let key = git(&["config", "--get", "user.signingkey"])?;
    let literal = key.strip_prefix("key::").unwrap_or(&key);
    if ["ssh-", "ecdsa-", "sk-"].iter().any(|kind| literal.starts_with(kind)) {
        return Some(literal.to_owned());
    }
    let path = git(&["config", "--type=path", "--get", "user.signingkey"])?;
    let public = if path.strip_suffix(".pub").is_some() { path } else { format!("{path}.pub") };
    read_key(Utf8Path::new(&public)).ok()
}

/// What git knows of the person at the keyboard; nothing where there is no git.
#[expect(
    clippy::disallowed_methods,
    reason = "git alone knows where its settings lie; it reads them, and runs nothing"
)]
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim_end_matches('\n');
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}

fn next_steps(directory: &Utf8Path, trust: Option<&Trust>) -> Vec<String> {
    let who = trust.map_or_else(String::new, |trust| format!(", signed by {}", trust.principal));
    let mut steps = vec![
        format!("write your nodes into {directory}/sdn/nodes.yaml; weft validate {directory}"),
        "git init -b main, where there is no repository yet".to_owned(),
        "git config gpg.format ssh; git config user.signingkey FILE.pub".to_owned(),
        format!("git add -A; git commit -S: the first commit{who}"),
    ];
    steps.push(
        "hand its id and the key's fingerprint (ssh-keygen -lf FILE.pub) to each node, as `introduction:` of its settings".to_owned(),
    );
    steps
}
