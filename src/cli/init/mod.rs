//! `weft init`: a repository to begin with, in order as it stands.

use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;

use super::failure::{Exit, Failure};
use super::key::First;
use super::output::Output;
use super::repository::{self, Target};
use super::{directory, findings};
use crate::declare::import::schema_line;
use crate::declare::{self, CLUSTER_FILE, DIRECTORY, policy, schema, signers};
use crate::validate;
use crate::value::{ClusterName, Principal};

/// The file with the two nodes of the example.
const NODES: &str = "sdn/nodes.yaml";

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
            return Err(Failure::new(Exit::Refused, message)
                .hint(format!("`weft trust add NAME KEY --role ROLE -C {directory}` adds a key")));
        }
        [true, true] => None,
        [false, false] => {
            let (key, principal) = (arguments.key.as_deref(), arguments.principal.as_ref());
            Some(First::of(directory, key, principal)?)
        }
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
    let has_example = written.iter().any(|path| path == NODES);
    let next = next_steps(directory, trust.as_ref(), has_example);
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
    fn files(&mut self, cluster: &ClusterName, trust: Option<&First>) -> Result<(), Failure> {
        let has_declarations = self.target.has(DIRECTORY);
        let head = schema_line(0, "weft.json");
        // A bare name such as `no` or `1e3` is a text in quotes alone.
        let text = format!(
            "{head}weft: 1\ncluster: \"{cluster}\"\n# Errors are made of what Proxmox VE accepts and is most likely wrong.\nstrict: true\n"
        );
        self.put(CLUSTER_FILE, &text)?;
        if !has_declarations {
            let text = |depth, text| format!("{}{text}", schema_line(depth, "declarations.json"));
            self.put(NODES, &text(1, include_str!("nodes.yaml")))?;
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
        let name = absolute.file_name().unwrap_or(absolute.as_str());
        let message = format!(
            "the cluster cannot be called `{}` as its directory is: {}",
            name.escape_debug(),
            ClusterName::RULE
        );
        Failure::new(Exit::Usage, message).hint("name the cluster: `--cluster NAME`")
    })
}

fn next_steps(directory: &Utf8Path, trust: Option<&First>, has_example: bool) -> Vec<String> {
    let who = trust.map_or_else(String::new, |trust| format!(", signed by {}", trust.principal));
    let is_here = directory.components().all(|part| part.as_str() == ".");
    let enter = (!is_here).then(|| format!("cd {directory}"));
    let declare = if has_example {
        format!("write your nodes into {NODES}; weft validate")
    } else {
        "weft validate".to_owned()
    };
    let mut steps: Vec<String> = enter.into_iter().collect();
    steps.extend([
        declare,
        "git init -b main, where there is no repository yet".to_owned(),
        "git config gpg.format ssh; git config user.signingkey FILE.pub".to_owned(),
        format!("git add -A; git commit -S: the first commit{who}"),
        "weft trust introduction: print what each node is told, and carry it there by a way that you trust".to_owned(),
    ]);
    steps
}
