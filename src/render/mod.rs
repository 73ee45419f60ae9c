//! Floor 4: the files that one node should have.

mod managed;

pub use managed::{Managed, Note, Rendering, VERSION_LINE, without_version};
