//! New commits of our own: made here, signed with a key of this node, and pushed by the
//! process that talks to remotes, never over somebody else's.

mod draft;
mod signing;

pub use draft::{Draft, DraftError, MAX_OBJECTS, draft};
pub use signing::{SigningKey, SigningKeyError};
