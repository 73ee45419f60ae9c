//! What an IPAM server should hold of the zones whose addresses it administers, and what is
//! done about a difference.
//!
//! An object is ours exactly if it carries the mark that says what it is in which zone of
//! which cluster, and is found by what it is alone: a prefix in the zone's own space of
//! addresses, an address there. What carries no mark of ours is never changed and never
//! removed, a prefix that holds something of others is not removed either, and what cannot
//! be done is refused with its reason while all else goes on.

mod difference;
mod leases;
mod mark;
mod object;
mod refusal;
#[cfg(test)]
mod tests;
mod wanted;

pub use super::refused::{Limits, TooMuch};
pub use difference::{Counts, Difference, Rule, Step, difference};
pub use leases::{leases, taken};
pub use mark::{Mark, Of, Slot, TAG};
pub use object::{Content, Found, FoundObject, Key, Owner};
pub use refusal::{Refusal, Refused, Subject};
pub use wanted::{Reach, Scene, Wanted, administrator, zones_of};
