//! Floor 5: the steps from what is to what should be.

use camino::Utf8PathBuf;

use crate::facts::Facts;
use crate::render::{Managed, Rendering};
use crate::value::NodeName;

/// What is to be done on one node, every choice made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The node.
    pub node: NodeName,
    /// What the node should have afterwards.
    pub rendering: Rendering,
    /// What the rendering was made from.
    pub facts: Facts,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// One change of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A file is written as a whole.
    Write {
        /// Which file.
        managed: Managed,
        /// Its contents.
        bytes: Vec<u8>,
    },
    /// A file is removed.
    Remove {
        /// Which file.
        managed: Managed,
    },
}

#[expect(unused)]
type Unused = Utf8PathBuf;
