//! `weft import pve`: a repository made of what Proxmox VE has.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;

use super::failure::{Exit, Failure};
use super::findings;
use super::output::{Output, counted};
use super::repository::{self, Target};
use crate::declare::import::{self, Credential, ImportError, Imported, PveFiles, Remark, Source};
use crate::declare::pve::{MAX_BYTES, State, Unequal};
use crate::declare::{Severity, Tree};
use crate::validate;
use crate::value::ClusterName;

/// The most names of a directory that are looked at.
const MAX_NAMES: usize = 100_000;
/// How many remarks and differences are shown to people; programs get all.
const SHOWN: usize = 50;

/// `weft import pve DIR`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// `/etc/pve`, `/etc/pve/sdn`, or a copy of either.
    directory: Utf8PathBuf,
    /// The directory that becomes the repository: a new one, or an empty one.
    #[arg(long, value_name = "DIR")]
    out: Utf8PathBuf,
    /// Write into a directory that holds something already. Files of the same names
    /// are replaced, others stay.
    #[arg(long)]
    force: bool,
    /// The name of the cluster, instead of the one in corosync.conf.
    #[arg(long, value_name = "NAME")]
    cluster: Option<ClusterName>,
    /// Take what the section files want, instead of what runs.
    #[arg(long)]
    pending: bool,
    /// Write the secrets of IPAM and DNS servers into this directory, which must lie
    /// outside of every repository.
    #[arg(long, value_name = "DIR")]
    credentials: Option<Utf8PathBuf>,
}

/// Reads Proxmox's files and writes the repository.
pub(super) fn pve(output: Output, arguments: &Arguments) -> Result<Exit, Failure> {
    let (files, unread) = read(&arguments.directory)?;
    let source = if arguments.pending { Source::Wanted } else { Source::Running };
    let mut imported = import::pve(&files, arguments.cluster.as_ref(), source)
        .map_err(|error| damaged(&error, &arguments.directory))?;
    imported.remarks.extend(unread);
    let target = Target::open(&arguments.out, arguments.force)?;
    let secrets = arguments.credentials.as_deref().filter(|_| !imported.credentials.is_empty());
    if let Some(directory) = secrets {
        let ids = imported.credentials.iter().map(|credential| credential.id.as_str());
        repository::secrets_fit(directory, &arguments.out, ids)?;
    }
    for (path, text) in &imported.files {
        target.write(path.as_str(), text)?;
    }
    repository::write_schemas(&target)?;
    if let Some(directory) = secrets {
        for credential in &imported.credentials {
            repository::write_secret(directory, credential.id.as_str(), &credential.secret)?;
        }
    }
    show(output, &imported, arguments);
    Ok(Exit::Ok)
}

/// The files of a directory that is `/etc/pve` or its `sdn`, and those that only root
/// may read.
fn read(directory: &Utf8Path) -> Result<(PveFiles, Vec<Remark>), Failure> {
    let metadata = directory.metadata().map_err(|error| unreadable(directory, &error))?;
    if !metadata.is_dir() {
        return Err(Failure::new(Exit::Failed, format!("`{directory}` is not a directory")));
    }
    let whole = directory.join("sdn").is_dir();
    let place = |path: &str| match path.strip_prefix("sdn/") {
        Some(name) if !whole => directory.join(name),
        None if !whole => directory.join("..").join(path),
        _ => directory.join(path),
    };
    let mut files = PveFiles::default();
    let mut unread = Vec::new();
    for path in PveFiles::PATHS {
        match read_file(&place(path)) {
            Ok(Some(text)) => {
                files.texts.insert((*path).to_owned(), text);
            }
            Ok(None) => {}
            // Only older versions keep something there, and only root may look.
            Err(_) if path.starts_with("priv/") && place("priv").read_dir_utf8().is_err() => {
                unread.push(Remark {
                    object: (*path).to_owned(),
                    message: "not looked for: only root may read `priv`, where older versions of Proxmox VE keep addresses of guests".to_owned(),
                });
            }
            Err(failure) => return Err(failure),
        }
    }
    let newer = |path: &str| files.texts.contains_key(path);
    if newer("sdn/pve-ipam-state.json") || newer("sdn/mac-cache.json") {
        unread.clear();
    }
    let firewalls = names(&place("sdn/firewall"))?.into_iter();
    files.firewalls =
        firewalls.filter_map(|name| name.strip_suffix(".fw").map(str::to_owned)).collect();
    files.nodes = names(&place("nodes"))?.into_iter().collect();
    let known = |path: &str| path.starts_with("sdn/") || whole;
    if !files.texts.keys().any(|path| known(path)) {
        let is_pve = ["corosync.conf", "nodes", "storage.cfg", "datacenter.cfg", ".members"]
            .iter()
            .any(|name| directory.join(name).exists());
        if !is_pve {
            let message = format!("`{directory}` holds no file of Proxmox's SDN");
            return Err(Failure::new(Exit::Failed, message)
                .hint("looked for `sdn/.running-config`, `sdn/zones.cfg` and the others of `/etc/pve`; name /etc/pve, /etc/pve/sdn, or a copy of one of them, hidden files included: `cp -a /etc/pve/sdn DIR`"));
        }
        if whole {
            return Ok((files, unread));
        }
        files.texts.clear();
        if let Some(text) = read_file(&directory.join("corosync.conf"))? {
            files.texts.insert("corosync.conf".to_owned(), text);
        }
        files.nodes = names(&directory.join("nodes"))?.into_iter().collect();
    }
    Ok((files, unread))
}

/// The text of a file, if there is one.
fn read_file(path: &Utf8Path) -> Result<Option<String>, Failure> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, &error)),
    };
    let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
    if !metadata.is_file() {
        return Err(Failure::new(Exit::Failed, format!("`{path}` is no regular file")));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(path, &error))?;
    if bytes.len() > MAX_BYTES {
        let message = format!("`{path}` is larger than {MAX_BYTES} bytes");
        return Err(Failure::new(Exit::Failed, message)
            .hint("Proxmox VE keeps each of its files below one mebibyte; this is another file"));
    }
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.split(|byte| *byte == b'\n').count();
        Failure::new(Exit::Failed, format!("`{path}` is not UTF-8 text: line {line}"))
    })
}

/// The names in a directory; none where it is not there.
fn names(directory: &Utf8Path) -> Result<Vec<String>, Failure> {
    let entries = match directory.read_dir_utf8() {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(directory, &error)),
    };
    let mut names = Vec::new();
    for entry in entries.take(MAX_NAMES) {
        let entry = entry.map_err(|error| unreadable(directory, &error))?;
        names.push(entry.file_name().to_owned());
    }
    names.sort();
    Ok(names)
}

fn unreadable(path: &Utf8Path, error: &std::io::Error) -> Failure {
    let failure = Failure::new(Exit::Failed, format!("cannot read `{path}`: {error}"));
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            failure.hint("root and the group www-data may read /etc/pve")
        }
        _ => failure,
    }
}

fn damaged(error: &ImportError, directory: &Utf8Path) -> Failure {
    let failure = Failure::from_error(Exit::Failed, error);
    match error {
        ImportError::Damage(damage) => {
            let hint = if damage.file.ends_with(".running-config") {
                "Proxmox takes such a file for an empty one; `weft import pve` does not guess"
            } else {
                "correct the file, or import a copy without it"
            };
            let sdn = if directory.join("sdn").is_dir() { "sdn" } else { "." };
            failure.hint(format!("{hint}; `sdn/` is `{}`", directory.join(sdn)))
        }
        ImportError::NoCluster | ImportError::BadCluster { .. } => {
            failure.hint("name it: `--cluster NAME`")
        }
    }
}

fn show(output: Output, imported: &Imported, arguments: &Arguments) {
    let out = &arguments.out;
    let tree = Tree::new(
        None,
        imported.files.iter().map(|(path, text)| (path.clone(), Arc::from(text.as_str()))),
    );
    let (_, found) = validate::check(&tree, None, &[]);
    let settings = settings(&imported.credentials, arguments.credentials.as_deref());
    let next = next_steps(out);

    let mut text = String::new();
    for remark in imported.remarks.iter().take(SHOWN) {
        let _ = writeln!(text, "remark: {remark}");
    }
    more(&mut text, imported.remarks.len(), "remarks");
    pending(&mut text, imported);
    if found.has_errors() {
        text.push_str(&findings::text(&found, |path| tree.get(path).map(AsRef::as_ref), false));
        text.push('\n');
    }
    let (errors, warnings) = (found.count(Severity::Error), found.count(Severity::Warning));
    if errors + warnings > 0 {
        let _ = writeln!(
            text,
            "`weft validate` has {} and {} for what was written.\n",
            counted(errors, "error"),
            counted(warnings, "warning"),
        );
    }
    if let Some(settings) = &settings {
        let _ = writeln!(text, "{settings}");
    }
    let what = match imported.source {
        Source::Running => format!("what runs (version {})", imported.version),
        Source::Wanted => "what is wanted".to_owned(),
    };
    let _ = writeln!(
        text,
        "Imported cluster {} into `{out}`: {what}, {}.\n\nNext:",
        imported.cluster,
        counted(imported.files.len(), "file"),
    );
    for (number, step) in (1..).zip(&next) {
        let _ = writeln!(text, "  {number}. {step}");
    }
    output.say(text);
    let credentials: Vec<_> = imported
        .credentials
        .iter()
        .map(|credential| json!({"id": credential.id, "origin": credential.origin}))
        .collect();
    output.document(&json!({
        "ok": true,
        "directory": out,
        "cluster": imported.cluster,
        "source": imported.source,
        "version": imported.version,
        "files": imported.files.keys().collect::<Vec<_>>(),
        "remarks": imported.remarks,
        "pending": imported.pending,
        "credentials": credentials,
        "credentials_directory": arguments.credentials,
        "settings": settings,
        "findings": found,
        "next": next,
    }));
}

fn more(text: &mut String, count: usize, what: &str) {
    if count > SHOWN {
        let _ = writeln!(text, "… and {} more {what}; `--json` has all", count - SHOWN);
    }
    if count > 0 {
        text.push('\n');
    }
}

/// What is wanted and does not run, object by object.
fn pending(text: &mut String, imported: &Imported) {
    if imported.pending.is_empty() {
        return;
    }
    let taken = match imported.source {
        Source::Running => "not imported; `--pending` imports it",
        Source::Wanted => "imported, so the first plan shows it",
    };
    let _ = writeln!(text, "Pending in Proxmox ({taken}):");
    for Unequal { kind, id, state, keys } in imported.pending.iter().take(SHOWN) {
        let sign = match state {
            State::New => '+',
            State::Changed => '~',
            State::Deleted => '-',
        };
        let _ = writeln!(text, "  {sign} {kind} {}", id.escape_debug());
        for key in keys.iter().filter(|_| *state == State::Changed) {
            let value = |value: &Option<String>| {
                value
                    .as_ref()
                    .map_or("(not set)".to_owned(), |value| value.escape_debug().to_string())
            };
            let (runs, wanted) = (value(&key.runs), value(&key.wanted));
            let _ = writeln!(text, "      {}: {runs} -> {wanted}", key.key.escape_debug());
        }
    }
    more(text, imported.pending.len(), "pending objects");
}

/// The part of a node's settings that says where the secrets are.
fn settings(credentials: &[Credential], directory: Option<&Utf8Path>) -> Option<String> {
    if credentials.is_empty() {
        return None;
    }
    let mut text = match directory {
        Some(directory) => format!(
            "The secrets are in `{directory}`, outside of the repository. Move them to each node\nthat asks these servers, and add to its /etc/weft/agent.yaml:\n"
        ),
        None => "The secrets of these servers are not in the repository. `--credentials DIR` writes\nthem to files; or put each into a file of a node yourself, with mode 0600, and add\nto its /etc/weft/agent.yaml:\n".to_owned(),
    };
    // Settings bind a credential to a server that is proven to be the right one.
    let (safe, open): (Vec<_>, Vec<_>) =
        credentials.iter().partition(|credential| credential.origin.starts_with("https://"));
    text.push_str(if safe.is_empty() { "\n# credentials:\n" } else { "\ncredentials:\n" });
    let line = |one: &Credential| {
        let Credential { id, origin, .. } = one;
        format!("  {id}: {{type: token, file: /etc/weft/{id}, origin: \"{origin}\"}}\n")
    };
    text.extend(safe.into_iter().map(line));
    for credential in open {
        let _ = write!(
            text,
            "  # Not over http, which sends it in the clear: give the server https.\n  # {}",
            line(credential).trim_start()
        );
    }
    Some(text)
}

fn next_steps(out: &Utf8Path) -> Vec<String> {
    vec![
        format!("weft validate {out}"),
        format!(
            "on each node: mkdir -p {out}/facts && weft facts --node NAME > {out}/facts/NAME.json"
        ),
        format!("weft plan {out} --node NAME --facts {out}/facts/NAME.json, until it is empty"),
        format!(
            "weft init {out} --key FILE.pub --principal NAME: who may change it; then commit and sign"
        ),
        "on each node: /etc/weft/agent.yaml, then weft adopt".to_owned(),
    ]
}
