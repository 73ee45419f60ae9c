//! Floor 7: from a remote to a tree that may be trusted.
//!
//! A process of its own talks to the remote and answers "object id → bytes"; this
//! side hashes what it is told, reads it strictly, and judges the history by the
//! policy of each commit's first parent. Knows nothing of zones.

pub mod access;
pub mod account;
pub mod anchor;
mod authority;
mod cache;
mod climb;
pub mod commit;
mod crossing;
mod divergence;
pub mod failure;
pub mod files;
pub mod history;
mod holder;
pub mod known_hosts;
pub mod ledger;
mod line;
pub mod look;
pub mod objects;
pub mod origin;
pub mod protocol;
pub mod publish;
pub mod refusal;
pub mod remote;
mod scopes;
mod seconds;
pub mod signature;
pub mod simulate;
pub mod store;
pub mod transport;
pub mod tree;
pub mod trust;
mod verified;
pub mod worker;

pub use access::{Access, Login};
pub use account::{Account, Begin, account};
pub use anchor::{Anchor, AnchorError, Anchors, Left};
pub use divergence::diverged;
pub use failure::FailureCode;
pub use files::{Earlier, TreeError, removal, reverts, tree, tree_of};
pub use history::{Accepted, HistoryError, Judgement, MAX_REFUSALS, Standing, introduction, judge};
pub use origin::Origin;
pub use protocol::FetchLimits;
pub use refusal::{Reason, Refusal};
pub use remote::{Remote, RemoteUrl};
pub use scopes::Scopes;
pub use signature::KeyFingerprint;
pub use simulate::{Law, Simulation, simulate};
pub use store::Store;
pub use trust::{Introduction, Trust};
pub use verified::{CommitRecord, Verified};
pub use worker::{Cancel, TransportError, Worker};
