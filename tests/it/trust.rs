//! From raw objects to what may be trusted.

mod anchor;
mod commits;
mod directories;
pub(super) mod everywhere;
pub(super) mod forge;
mod history;
mod mainline;
pub(super) mod objects;
mod policy;
pub(super) mod repository;
mod scopes;
mod signers;
mod speed;
mod thresholds;
mod timing;
mod twins;
mod void;
