//! The names of interfaces, which are made of an id and what stands around it.

use std::fmt;

use crate::value::{FabricId, IfName, VnetId, ZoneId};

/// The longest name of an interface, in bytes (`IFNAMSIZ` without its final zero).
const LONGEST: usize = 15;

/// The name of an interface in a stanza, every part of it a parsed value.
///
/// Unlike an [`IfName`] it may be too long for the kernel: the reference joins the name of
/// a bridge and a tag whatever comes of it (`pve-rendering.md` §1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name<'a> {
    before: &'static str,
    word: &'a str,
    tag: Option<(Joint, u32)>,
}

/// What stands between a name and a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joint {
    /// An interface that carries one VLAN of another.
    Dot,
    /// A bridge that joins one VLAN of another's ports.
    Bridge,
}

impl<'a> Name<'a> {
    /// An interface of the node's own.
    pub(super) fn own(name: &'a IfName) -> Self {
        Self { before: "", word: name.as_str(), tag: None }
    }

    /// The bridge of a vnet.
    pub(super) fn vnet(id: &'a VnetId) -> Self {
        Self::of_vnet("", id)
    }

    /// What a vnet has besides its bridge.
    pub(super) fn of_vnet(before: &'static str, id: &'a VnetId) -> Self {
        Self { before, word: id.as_str(), tag: None }
    }

    /// What a zone has.
    pub(super) fn of_zone(before: &'static str, id: &'a ZoneId) -> Self {
        Self { before, word: id.as_str(), tag: None }
    }

    /// The dummy interface of a fabric.
    pub(super) fn of_fabric(id: &'a FabricId) -> Self {
        Self { before: "dummy_", word: id.as_str(), tag: None }
    }

    /// One VLAN of this interface.
    pub(super) fn vlan(self, tag: u32) -> Self {
        Self { tag: Some((Joint::Dot, tag)), ..self }
    }

    /// The bridge of one VLAN of this bridge's ports.
    pub(super) fn vlan_bridge(self, tag: u32) -> Self {
        Self { tag: Some((Joint::Bridge, tag)), ..self }
    }

    /// What is wrong with the name, where no interface can have it.
    pub(super) fn complaint(self) -> Option<String> {
        let name = self.text();
        (name.len() > LONGEST).then(|| {
            format!("no interface can be called `{name}`: the kernel takes {LONGEST} characters")
        })
    }

    /// The name as text.
    pub(super) fn text(self) -> String {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(self.before.len() + self.word.len());
        write!(text, "{self}").expect("writing to a string does not fail");
        text
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.before)?;
        f.write_str(self.word)?;
        match self.tag {
            None => Ok(()),
            Some((Joint::Dot, tag)) => write!(f, ".{tag}"),
            Some((Joint::Bridge, tag)) => write!(f, "v{tag}"),
        }
    }
}
