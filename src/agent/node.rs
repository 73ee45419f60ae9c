//! What stands on a node: its files, and what weft put there.

use super::status::Running;
use crate::apply::{self, StateError};
use crate::host::{Host, HostError};
use crate::plan::{Found, Owned};
use crate::render::Rendering;

/// The largest file that is compared, in bytes.
const MAX_FOUND_BYTES: u64 = 32 << 20;

/// The files that are wanted and those that weft has, as they are on a machine.
pub fn found(
    host: &impl Host,
    wanted: &Rendering,
    owned: Option<&Owned>,
) -> Result<Found, HostError> {
    let mut found = Found::default();
    let owned = owned.iter().flat_map(|owned| owned.files.keys());
    for managed in wanted.files.keys().chain(owned) {
        if let Some(file) = host.read(&managed.path(), MAX_FOUND_BYTES)? {
            found.files.insert(managed.clone(), file.bytes);
        }
    }
    Ok(found)
}

/// What weft put on a machine last.
pub fn owned(host: &impl Host) -> Result<Option<Owned>, StateError> {
    Ok(apply::owned(host)?.map(|manifest| Owned {
        files: manifest
            .files
            .iter()
            .map(|(managed, file)| (managed.clone(), file.sha256))
            .collect(),
        interfaces: manifest.interfaces,
    }))
}

/// What a machine runs, by its journal.
pub fn running(host: &impl Host) -> Result<Option<Running>, StateError> {
    Ok(apply::running(host)?.map(|entry| Running {
        commit: entry.record.commit,
        generation: entry.record.generation.number,
        rendering: entry.record.rendering,
        since: entry.record.begun,
        passed_hold: entry.record.passed_hold,
    }))
}
