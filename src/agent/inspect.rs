//! What stands on a machine, and what of it is weft's.

use super::status::Running;
use crate::apply::{self, StateError};
use crate::host::{Host, HostError};
use crate::plan::{Found, Owned};
use crate::render::Managed;

/// The largest file of [`Managed::ALL`] that is compared, in bytes.
const MAX_FOUND_BYTES: u64 = 64 << 20;

/// The files of [`Managed::ALL`] as they are on a machine.
pub fn found(host: &impl Host) -> Result<Found, HostError> {
    let mut found = Found::default();
    for &managed in Managed::ALL {
        if let Some(file) = host.read(managed.path(), MAX_FOUND_BYTES)? {
            found.files.insert(managed, file.bytes);
        }
    }
    Ok(found)
}

/// What weft put on a machine last.
pub fn owned(host: &impl Host) -> Result<Option<Owned>, StateError> {
    Ok(apply::owned(host)?.map(|manifest| Owned {
        files: manifest.files.iter().map(|(managed, file)| (*managed, file.sha256)).collect(),
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
    }))
}
