//! From raw objects to what may be trusted.

mod anchor;
mod commits;
mod differential_commits;
mod differential_signers;
mod directories;
pub(super) mod everywhere;
pub(super) mod forge;
mod history;
mod keys;
mod mainline;
pub(super) mod objects;
mod policy;
pub(super) mod repository;
mod scopes;
mod signers;
mod speed;
mod sshsig;
mod thresholds;
mod timing;
mod twins;
mod void;
