//! What the generations on the disk hold, for who wants to read it.

use super::StateError;
use super::files::verified;
use super::generation::{self, Generation};
use super::{Link, Manifest};
use crate::facts::Facts;
use crate::host::Host;
use crate::plan::Texts;

/// A generation with what it holds.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What it consists of.
    pub manifest: Manifest,
    /// The contents of its files.
    pub texts: Texts,
    /// What it was rendered from; none of generation 0.
    pub facts: Option<Facts>,
}

/// A generation that the journal names, each of its files what its manifest says. `None`
/// where it was removed since.
pub fn kept(host: &impl Host, link: Link) -> Result<Option<Kept>, StateError> {
    if !generation::numbers(host)?.contains(&link.number) {
        return Ok(None);
    }
    let generation = Generation::load(host, link)?;
    let path = generation::directory(link.number).join("facts.json");
    let facts = match generation.manifest.facts {
        Some(digest) => Some(super::from_json(&path, &verified(host, &path, digest)?)?),
        None => None,
    };
    let texts = generation.files().texts(host)?;
    Ok(Some(Kept { manifest: generation.manifest, texts, facts }))
}
