//! Floor 7: from a remote to a tree that may be trusted.

pub mod objects;
mod verified;

pub use verified::{CommitRecord, Verified};
