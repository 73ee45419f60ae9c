//! `weft export pve`: the files of Proxmox VE made of declarations.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;

use super::failure::{Exit, Failure};
use super::output::Output;
use super::repository::{Target, secrets_fit};
use super::{directory, findings, verb};
use crate::declare::{self, Declared, export};
use crate::validate;
use crate::value::{CredentialId, Secret};

/// The longest secret that is read, in bytes.
const MAX_SECRET_BYTES: u64 = 8 * 1024;

/// `weft export pve DIR`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The directory that gets the files, as /etc/pve/sdn has them: a new one, or an
    /// empty one.
    directory: Utf8PathBuf,
    /// The directory that holds `weft.yaml` and `sdn/`.
    #[arg(long, default_value = ".", value_name = "DIR")]
    from: Utf8PathBuf,
    /// Write into a directory that holds something already. Files of the same names
    /// are replaced, others stay.
    #[arg(long)]
    force: bool,
    /// The version of the running configuration. A node of Proxmox whose interfaces
    /// file has another one is shown as pending.
    #[arg(long = "version", value_parser = verb::number::<u64>, id = "running_version", default_value_t = 1, value_name = "N")]
    version: u64,
    /// A directory with the secrets of IPAM and DNS servers, in files named as the
    /// declarations name them. Without it, ipams.cfg and dns.cfg are not written.
    #[arg(long, value_name = "DIR")]
    credentials: Option<Utf8PathBuf>,
}

/// Reads declarations and writes Proxmox's files.
pub(super) fn pve(output: Output, arguments: &Arguments) -> Result<Exit, Failure> {
    let tree = directory::read(&arguments.from)?;
    let (declared, mut found) = declare::read(&tree, None);
    let (network, more) = validate::validate(&declared, &[]);
    found.extend(more);
    found.sort();
    let Some(network) = network.filter(|_| !found.has_errors()) else {
        let source = |path: &_| tree.get(path).map(AsRef::as_ref);
        output.say(findings::text(&found, source, output.is_coloured()));
        output.document(&json!({ "ok": false, "findings": found }));
        return Ok(Exit::Refused);
    };
    let secrets = match &arguments.credentials {
        Some(directory) => secrets(directory, &declared)?,
        None => BTreeMap::new(),
    };
    let exported = export::pve(&declared, &network, arguments.version, &secrets);
    if arguments.directory.join(declare::CLUSTER_FILE).exists() {
        let message = format!("`{}` is a repository of declarations", arguments.directory);
        return Err(Failure::new(Exit::Usage, message)
            .hint("name another directory for Proxmox's files; `--from DIR` says which declarations are exported"));
    }
    if !exported.secret_files.is_empty() {
        secrets_fit(&arguments.directory, &arguments.from, std::iter::empty())?;
    }
    let target = Target::open(&arguments.directory, arguments.force)?;
    for (name, text) in &exported.files {
        target.write(name, text)?;
    }
    for (name, text) in &exported.secret_files {
        target.write_private(name, text)?;
    }

    let mut text = String::new();
    for left_out in &exported.left_out {
        let _ = writeln!(text, "left out: {left_out}");
    }
    if !exported.left_out.is_empty() {
        text.push('\n');
    }
    let names: Vec<&str> =
        exported.files.keys().chain(exported.secret_files.keys()).copied().collect();
    let _ = writeln!(text, "Wrote {} to `{}`.", names.join(", "), arguments.directory);
    output.say(text);
    output.document(&json!({
        "ok": true,
        "directory": arguments.directory,
        "version": arguments.version,
        "files": names,
        "left_out": exported.left_out,
        "findings": found,
    }));
    Ok(Exit::Ok)
}

/// The secrets that declarations name, of those that a directory has.
fn secrets(
    directory: &Utf8Path,
    declared: &Declared,
) -> Result<BTreeMap<CredentialId, Secret>, Failure> {
    if !directory.is_dir() {
        return Err(Failure::new(Exit::Failed, format!("`{directory}` is not a directory")));
    }
    let tokens = declared.ipams.values().filter_map(|ipam| ipam.value.token.as_ref());
    let keys = declared.dns.values().map(|server| &server.value.key);
    let mut secrets = BTreeMap::new();
    for id in tokens.chain(keys).map(|at| &at.value) {
        if let Some(secret) = secret(&directory.join(id.as_str()))? {
            secrets.insert(id.clone(), secret);
        }
    }
    Ok(secrets)
}

/// A secret of one line, in a file that others may not read.
fn secret(path: &Utf8Path) -> Result<Option<Secret>, Failure> {
    let fail = |what: String| Failure::new(Exit::Failed, format!("`{path}` {what}"));
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(format!("cannot be read: {error}"))),
    };
    let mode = file.metadata().map_err(|error| fail(error.to_string()))?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(fail(format!("is open to everybody (mode {:04o})", mode & 0o7777))
            .hint(format!("`chmod o= {path}`, and renew the secret")));
    }
    let mut text = String::new();
    file.take(MAX_SECRET_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| fail(format!("cannot be read: {error}")))?;
    let word = text.trim_end_matches(['\r', '\n']);
    if word.is_empty()
        || word.len() as u64 > MAX_SECRET_BYTES
        || word.trim() != word
        || word.chars().any(char::is_control)
    {
        return Err(fail("does not hold one line with a secret".to_owned()));
    }
    Ok(Some(Secret::new(word.to_owned())))
}
