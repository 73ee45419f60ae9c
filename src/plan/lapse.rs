//! What a change of files takes away or interrupts by what it is, so that an apply is not
//! undone for it.

use super::service::Texts;
use super::sign::Sign;

/// What a change takes away and interrupts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lapses {
    /// Whether the underlay is changed: the fabrics and interfaces below tunnels.
    pub underlay: bool,
    /// Why sessions drop until the other side follows, in words; empty where none does.
    pub renegotiations: Vec<String>,
}

impl Lapses {
    /// From what some files said to what others do.
    pub fn between(_before: &Texts, _after: &Texts) -> Self {
        Self::default()
    }

    /// Whether the change takes away what a sign is about.
    pub fn removes(&self, _sign: &Sign) -> bool {
        false
    }

    /// Whether what the sign is about drops until the other side follows.
    pub fn renegotiates(&self, _sign: &Sign) -> bool {
        false
    }
}
