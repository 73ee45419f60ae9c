//! Which names stand for which addresses, and what is done about a difference.
//!
//! Three things are compared, value by value: what is wanted, what a server holds, and what
//! the marks beside it say is ours. A value without our mark is never changed or removed, a
//! value that is as wanted is never written again, and what cannot be registered is refused
//! with its reason while all else goes on.

mod difference;
mod fqdn;
mod hosted;
mod mark;
mod record;
mod refusal;
mod reverse;
mod show;
#[cfg(test)]
mod tests;
mod wanted;

pub use super::refused::{Limits, TooMuch};
pub use difference::{Adopt, Counts, Difference, Edit, NameChange, Rule, Write, difference};
pub use fqdn::Fqdn;
pub use hosted::{Hosted, WantedZone, assign};
pub use mark::{ACCOUNT, Way};
pub use record::{Comment, Found, Record, RecordKind, Rrset};
pub use refusal::{Refusal, Refused, Subject};
pub use reverse::address_of;
pub use wanted::{Holder, Registered, Wanted, WantedName, WantedOnServer, wanted};
