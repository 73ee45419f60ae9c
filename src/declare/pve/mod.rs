//! The files of Proxmox VE: how its section files, its running configuration, its
//! address database and its cluster's list of nodes are read and written.
//!
//! Formats only: what they mean for a repository is [`super::import`]'s and
//! [`super::export`]'s. The source is `pve-ondisk.md`.

pub mod addresses;
pub mod config;
pub mod corosync;
pub mod guest;
pub mod kind;
pub mod members;
pub mod section;
pub mod write;

use thiserror::Error;

pub use config::{Config, State, Unequal};
pub use kind::Kind;

/// The largest file that is read, in bytes. Proxmox keeps each below one mebibyte.
pub const MAX_BYTES: usize = 16 << 20;

/// Why a file cannot be used.
#[derive(Debug, Error)]
#[error("{file}{}: {what}", line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct Damage {
    /// The file, below `/etc/pve`.
    pub file: String,
    /// The line, from 1, where one is to blame.
    pub line: Option<u32>,
    /// What is wrong with it.
    pub what: String,
}

impl Damage {
    pub(crate) fn new(file: &str, line: Option<u32>, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, what: what.into() }
    }
}

/// Refuses a file that is larger than Proxmox could have written it.
pub(crate) fn bounded(file: &str, text: &str) -> Result<(), Damage> {
    if text.len() > MAX_BYTES {
        let what = format!("larger than {MAX_BYTES} bytes, so not a file of Proxmox VE");
        return Err(Damage::new(file, None, what));
    }
    Ok(())
}

/// A JSON file that holds a map.
pub(crate) fn json_map(
    file: &str,
    text: &str,
) -> Result<serde_json::Map<String, serde_json::Value>, Damage> {
    bounded(file, text)?;
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Object(map)) => Ok(map),
        Ok(_) => Err(Damage::new(file, None, "is JSON, and no map")),
        Err(error) => {
            let line = u32::try_from(error.line()).ok();
            Err(Damage::new(file, line, format!("is not JSON: {error}")))
        }
    }
}
