//! From raw objects to what may be trusted.

mod anchor;
mod commits;
mod directories;
mod history;
pub(super) mod objects;
pub(super) mod repository;
mod signers;
mod timing;
