//! weft's own files on a machine: the settings, what is known of trust, and who may
//! read and write what lies in `/etc/weft`.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::super::examined::{KnownTrust, Looked, OwnFile, SettingsFile};
use super::Look;
use crate::agent::error::chain;
use crate::agent::revoked;
use crate::agent::settings::{self, Settings};
use crate::apply;
use crate::host::{EntryKind, Host as _, HostError};
use crate::sync::{Anchors, KeyFingerprint};

/// The directory of the settings and of what they name.
const DIRECTORY: &str = "/etc/weft";

/// The deepest directory below [`DIRECTORY`] that is looked at.
const MAX_DEPTH: usize = 4;

/// The most files that are looked at.
const MAX_FILES: usize = 1000;

/// The most bytes of a file that may be a private key.
const MAX_KEY_BYTES: u64 = 64 * 1024;

/// The largest settings that are read, in bytes.
const MAX_SETTINGS_BYTES: u64 = 4 << 20;

pub(super) fn settings(look: &Look<'_>) -> (Looked<SettingsFile>, Option<Settings>) {
    let file = match look.host.read(Utf8Path::new(settings::PATH), MAX_SETTINGS_BYTES) {
        Ok(Some(file)) => file,
        Ok(None) => return (Looked::Seen(SettingsFile::Missing), None),
        Err(error) => return (Looked::Unseen(chain(&error)), None),
    };
    let Ok(text) = String::from_utf8(file.bytes) else {
        let wrong = SettingsFile::Wrong(vec!["it is not UTF-8 text".to_owned()]);
        return (Looked::Seen(wrong), None);
    };
    match settings::read(&text) {
        Ok(settings) => (Looked::Seen(SettingsFile::Legal), Some(settings)),
        Err(findings) => {
            let lines = findings.iter().map(|finding| match finding.marks.first() {
                Some(mark) => {
                    let (line, column) = (mark.place.span.line, mark.place.span.column);
                    format!("line {line}, column {column}: {}", finding.message)
                }
                None => finding.message.clone(),
            });
            (Looked::Seen(SettingsFile::Wrong(lines.collect())), None)
        }
    }
}

/// The keys that are revoked on the machine.
pub(super) fn revoked(look: &Look<'_>) -> Looked<BTreeSet<KeyFingerprint>> {
    match revoked::read(look.host) {
        Ok(keys) => Looked::Seen(keys),
        Err(error) => Looked::Unseen(chain(&error)),
    }
}

pub(super) fn trust(look: &Look<'_>, settings: Option<&Settings>) -> Looked<KnownTrust> {
    let Some(settings) = settings else {
        return Looked::Unseen("there are no settings that say where trust begins".to_owned());
    };
    let damaged =
        |message, help: &str| Looked::Seen(KnownTrust::Damaged { message, help: help.to_owned() });
    let ran = match apply::history(look.host) {
        Ok(entries) => !entries.is_empty(),
        Err(apply::StateError::Host(error)) => return Looked::Unseen(chain(&error)),
        // The message says what to do.
        Err(error @ (apply::StateError::Damaged { .. } | apply::StateError::Kernel(_))) => {
            return damaged(chain(&error), "");
        }
    };
    match Anchors::open(look.host, &settings.trust(BTreeSet::new()), ran) {
        Ok(anchors) => Looked::Seen(match anchors.anchor() {
            None => KnownTrust::Nothing,
            Some(anchor) => KnownTrust::Commit {
                commit: anchor.record.commit,
                committed: anchor.record.committed,
                broken: anchors.damaged().map(Utf8Path::to_owned),
            },
        }),
        Err(crate::sync::AnchorError::Host(error)) => Looked::Unseen(chain(&error)),
        Err(error @ crate::sync::AnchorError::Other { .. }) => Looked::Seen(KnownTrust::Other {
            message: chain(&error),
            help: error.help().to_owned(),
        }),
        Err(error) => damaged(chain(&error), error.help()),
    }
}

/// The files that the settings name, and whether each is a secret.
fn named(settings: Option<&Settings>) -> BTreeMap<Utf8PathBuf, bool> {
    let mut named = BTreeMap::new();
    let mut name =
        |path: &Utf8Path, secret: bool| *named.entry(path.to_owned()).or_default() |= secret;
    let Some(settings) = settings else { return named };
    for remote in &settings.remotes.value {
        for file in [&remote.ca, &remote.known_hosts].into_iter().flatten() {
            name(file.value.as_ref(), false);
        }
    }
    for credential in settings.credentials.iter().flat_map(|all| all.value.values()) {
        name(credential.value.file.value.as_ref(), true);
        if let Some(file) = &credential.value.passphrase_file {
            name(file.value.as_ref(), true);
        }
    }
    for hook in settings.hooks.iter().flat_map(|all| all.value.values()) {
        // The secret before the last change may be gone: it has done its work.
        name(Utf8Path::new(hook.value.secret_file.value.as_str()), true);
    }
    named
}

/// The files that the settings name and that are not there.
pub(super) fn missing(look: &Look<'_>, settings: Option<&Settings>) -> BTreeSet<Utf8PathBuf> {
    let named = named(settings).into_keys();
    named.filter(|path| matches!(look.host.entry(path), Ok(None))).collect()
}

pub(super) fn files(look: &Look<'_>, settings: Option<&Settings>) -> Looked<Vec<OwnFile>> {
    let mut found = Vec::new();
    let walked = walk(look, Utf8Path::new(DIRECTORY), 0, &mut found).and_then(|()| {
        for (path, secret) in named(settings) {
            if let Some(file) = found.iter_mut().find(|file| file.path == path) {
                file.secret |= secret;
            } else if let Some(entry) = look.host.entry(&path)? {
                found.push(OwnFile { path, entry, secret });
            }
        }
        Ok(())
    });
    Looked::from(walked).map(|()| found)
}

fn walk(
    look: &Look<'_>,
    path: &Utf8Path,
    depth: usize,
    found: &mut Vec<OwnFile>,
) -> Result<(), HostError> {
    let Some(entry) = look.host.entry(path)? else { return Ok(()) };
    if found.len() >= MAX_FILES || depth > MAX_DEPTH {
        return Ok(());
    }
    let secret = entry.kind == EntryKind::File && is_private_key(look, path);
    found.push(OwnFile { path: path.to_owned(), entry, secret });
    if entry.kind == EntryKind::Directory {
        for name in look.host.list(path)? {
            walk(look, &path.join(name), depth + 1, found)?;
        }
    }
    Ok(())
}

/// A file that is too large to be a key, or that cannot be read, is none.
fn is_private_key(look: &Look<'_>, path: &Utf8Path) -> bool {
    let file = look.host.read(path, MAX_KEY_BYTES).ok().flatten();
    file.is_some_and(|file| String::from_utf8_lossy(&file.bytes).contains("PRIVATE KEY-----"))
}
