//! Floor 7: from a remote to a tree that may be trusted.

pub mod anchor;
mod climb;
pub mod commit;
pub mod files;
pub mod history;
mod line;
pub mod objects;
pub mod refusal;
pub mod signature;
pub mod store;
pub mod tree;
pub mod trust;
mod verified;

pub use anchor::{Anchor, AnchorError, Anchors};
pub use files::{TreeError, tree};
pub use history::{HistoryError, Judgement, Standing, judge};
pub use refusal::{Reason, Refusal};
pub use signature::KeyFingerprint;
pub use store::Store;
pub use trust::{Introduction, Trust};
pub use verified::{CommitRecord, Verified};
