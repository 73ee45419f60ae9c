//! Which address each guest's interface gets, and which ones are given up.
//!
//! Who holds an address keeps it, whatever else is declared, reordered, rebuilt or
//! reverted: only a fixed address, or a subnet that is no longer there, takes a guest to
//! another one. An address that was given up stays its guest's for a grace.

mod claim;
mod pool;
mod refusal;
mod settle;
#[cfg(test)]
mod tests;

pub use claim::{Claim, claims};
pub use pool::{Pools, Taken};
pub use refusal::{Refusal, Refused, Stranded};
pub use settle::{Allocation, LeaseChange, Terms, allocate, allocate_beside};
