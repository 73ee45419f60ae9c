//! What brings the running network to what the files say.

use serde::{Deserialize, Serialize};

use super::interface::Interface;
use super::kernel::Link;

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

    /// Why a VXLAN interface has to be made again that learns where it should not, or the other
    /// way: the native engine does not leave that to ifupdown2, which sets it as it goes.
    pub(super) fn learns_otherwise(self, wanted: &Interface, link: &Link) -> Option<String> {
        let learns = link.tunnel.as_ref().filter(|_| self == Self::Native)?.learning;
        (learns != wanted.kind.device_learns()).then(|| {
            let is = if learns { "learns" } else { "does not learn" };
            format!("{is} where other ends are")
        })
    }
}
