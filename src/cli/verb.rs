//! What a command line is about, beside what it asks for.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::str::FromStr;

use camino::Utf8PathBuf;
use clap::error::{ContextKind, ContextValue};

use super::Verb;

impl Verb {
    /// Whether it asks a node, or does something to one: `--root` says which.
    pub(super) fn asks_a_node(&self) -> bool {
        !matches!(
            self,
            Self::Demo { .. }
                | Self::Init(_)
                | Self::Import { .. }
                | Self::Export { .. }
                | Self::Validate { .. }
                | Self::Render { .. }
                | Self::Explain { .. }
                | Self::Schema { .. }
                | Self::Completions { .. }
        )
    }

    /// Paths of this machine that somebody named, beside those of a dry node.
    pub(super) fn paths_of_this_machine(&self) -> Vec<Utf8PathBuf> {
        match self {
            Self::Plan { directory, facts, .. } => directory.iter().chain(facts).cloned().collect(),
            Self::Doctor { directory, .. } => directory.iter().cloned().collect(),
            _ => Vec::new(),
        }
    }
}

/// Whether a program reads the answer, told from words that could not be understood
/// as a whole.
pub(super) fn asks_for_json() -> bool {
    let words: Vec<_> = std::env::args_os().collect();
    words.iter().any(|word| word == "--json" || word == "--format=json")
        || words.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "json")
}

/// Says what is meant by options that people look for and that have other names here.
pub(super) fn suggest(error: &mut clap::Error) {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else { return };
    let verb = std::env::args().find(|word| matches!(word.as_str(), "hold" | "sync" | "apply"));
    let meant = match (option.as_str(), verb.as_deref()) {
        ("--until", Some("hold")) => "a hold lasts for a time: `--for 2h`",
        ("--dry-run" | "--check", Some("sync" | "apply")) => {
            "`weft plan` shows what would be done, and does nothing"
        }
        _ => return,
    };
    let tips = ContextValue::StyledStrs(vec![meant.to_owned().into()]);
    error.insert(ContextKind::Suggested, tips);
    error.remove(ContextKind::SuggestedArg);
}

/// The number of a generation as people write it.
pub(super) fn generation(text: &str) -> Result<u64, String> {
    let wrong = "write the number of a generation, as `weft history` lists it";
    text.parse().map_err(|_| wrong.to_owned())
}

/// How many of something, as people write it.
pub(super) fn count(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "write a whole number, 1 or more".to_owned())
}

/// A whole number as people write it, of whatever size fits.
pub(super) fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "write a whole number".to_owned())
}

/// The address of a guest as people write it.
pub(super) fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "write an address such as `10.0.0.1` or `2001:db8::1`".to_owned())
}
