//! Servers in memory that do what the real ones were seen to do.

pub(crate) mod http;
pub(crate) mod netbox;
pub(crate) mod phpipam;
