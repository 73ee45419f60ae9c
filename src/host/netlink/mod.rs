//! The kernel's own language for its network (netlink(7), rtnetlink(7)): requests and answers as
//! bytes, one socket for both, and events.
//!
//! Attributes are read one by one, and only those that weft knows: every kernel says more than the
//! one before.

mod attribute;
mod events;
pub(super) mod name;
mod request;
mod socket;

#[cfg(test)]
pub(super) use attribute::written;
pub(super) use attribute::{Attributes, Malformed, bytes, number};
pub use events::{LinkEvents, PortChanges};
pub(super) use request::{Request, address_header, link_header, neighbour_header, route_header};
pub(super) use socket::{Message, Refusal, Socket};
