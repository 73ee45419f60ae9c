//! `nodes:` as written.

use std::net::IpAddr;

use super::shape::Entries;
use crate::value::{At, Word};

declaration! {
    /// One node of the cluster. An agent whose node is not declared refuses to act.
    pub struct Node as "a node" {
        /// The tunnel endpoint: what zones and controllers without peers use.
        optional "address" address: IpAddr,
        /// The address that must never be lost.
        optional "management" management: IpAddr,
        /// Free words for people and selections.
        optional "labels" labels: Entries<Word, At<Word>>,
    }
}
