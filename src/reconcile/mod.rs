//! Floor 8: servers beside the network, which are told what the plan says.
//!
//! What is wanted is compared with what a server holds each time anew, so nothing depends
//! on an answer that was lost: whoever does not know whether something was done looks again.
//! What was not made here is not changed, and whatever a server says is bounded.
//!
//! Every call blocks, for at most the time of its [`http::Bounds`] and their repetitions: it
//! is for a thread of its own, beside the one that keeps the network, which waits for no
//! server. Inside, hyper runs on a runtime of one thread that belongs to the client, so that
//! one bound of time covers the search for the name, TLS and the answer.

mod access;
pub mod http;
pub mod ipam;
pub mod names;
mod netbox;
mod phpipam;
mod powerdns;

pub use access::Access;
pub use powerdns::PowerDns;
