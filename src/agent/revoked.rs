//! `/etc/weft/revoked`: keys that count no more on this node, whatever the repository says.
//!
//! A file of its own, so that it can be put on every node at once without another word of
//! their settings; it is read in every turn.

use std::collections::BTreeSet;

use camino::Utf8Path;
use thiserror::Error;

use super::settings::Settings;
use crate::host::{Host, HostError};
use crate::sync::signature::BadKeyFingerprint;
use crate::sync::{KeyFingerprint, Trust};

/// Where the file lies on a node. There need not be one.
pub const PATH: &str = "/etc/weft/revoked";
/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Why it is not known which keys are revoked. Then nothing new is trusted.
#[derive(Debug, Error)]
pub enum RevokedError {
    /// The machine refused.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The file is no text.
    #[error("`{PATH}` is not UTF-8 text")]
    NotText,
    /// A line is no fingerprint.
    #[error("`{PATH}`, line {line}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        source: BadKeyFingerprint,
    },
}

/// The keys that are revoked on a node: one fingerprint in a line, as `ssh-keygen -lf`
/// prints it; what follows it behind a blank, empty lines and lines that begin with `#` say
/// nothing.
pub fn read(host: &impl Host) -> Result<BTreeSet<KeyFingerprint>, RevokedError> {
    let Some(file) = host.read(Utf8Path::new(PATH), MAX_BYTES)? else {
        return Ok(BTreeSet::new());
    };
    let text = String::from_utf8(file.bytes).map_err(|_| RevokedError::NotText)?;
    let words = (1..).zip(text.lines()).filter_map(|(line, text)| {
        let word = text.split_whitespace().next()?;
        (!word.starts_with('#')).then_some((line, word))
    });
    words
        .map(|(line, word)| word.parse().map_err(|source| RevokedError::Line { line, source }))
        .collect()
}

/// What a node trusts before anything was read of the repository.
pub fn trust(host: &impl Host, settings: &Settings) -> Result<Trust, RevokedError> {
    Ok(settings.trust(read(host)?))
}

#[cfg(test)]
mod tests {
    use super::{PATH, RevokedError, read};
    use crate::host::fake::Fake;

    #[test]
    fn a_line_is_a_fingerprint_or_nothing() {
        let host = Fake::default();
        assert!(read(&host).expect("there is none").is_empty());
        let key = format!("SHA256:{}", "A".repeat(43));
        host.put(PATH, format!("# stolen\n\n  {key} alice's, 2026-11-20\r\n").as_bytes(), 0o644);
        let read_back = read(&host).expect("it is legal");
        assert!(read_back.iter().map(ToString::to_string).eq([key.clone()]));
        for wrong in ["alice", "SHA256:short", "revoked: []", &key[..49]] {
            host.put(PATH, format!("{key}\n{wrong}\n").as_bytes(), 0o644);
            let error = read(&host).expect_err("it is no fingerprint");
            assert!(matches!(error, RevokedError::Line { line: 2, .. }), "{wrong}: {error:?}");
        }
        host.put(PATH, b"\xff\n", 0o644);
        assert!(matches!(read(&host), Err(RevokedError::NotText)));
    }
}
