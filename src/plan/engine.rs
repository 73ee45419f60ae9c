//! What brings the running network to what the files say.

use serde::{Deserialize, Serialize};

/// What brings the running network to what the files say. Either writes the same files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// ifupdown2, as Proxmox VE has it.
    #[default]
    Ifupdown2,
    /// weft itself, which asks the kernel for what differs and for nothing else.
    Native,
}

impl Engine {
    /// Every engine.
    pub const ALL: &'static [Self] = &[Self::Ifupdown2, Self::Native];

    /// The word of each, in the same order.
    pub const WORDS: &'static [&'static str] = &["ifupdown2", "native"];
}
