//! Floor 7: from a remote to a tree that may be trusted.

mod cache;
pub mod objects;
pub mod protocol;
pub mod remote;
pub mod transport;
mod verified;
pub mod worker;

pub use verified::{CommitRecord, Verified};
