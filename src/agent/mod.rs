//! Floor 9: the line from a remote to a node, carried out.
//!
//! Joins the floors below and decides nothing that a pure floor can decide. Knows
//! nothing of HTTP and prints nothing.

pub mod addresses;
pub mod adopt;
pub mod audit;
pub mod back;
pub mod condition;
pub mod control;
pub mod credentials;
pub mod daemon;
mod decide;
pub mod doctor;
mod drift;
pub mod error;
mod fits;
pub mod found;
pub mod hand;
pub mod handle;
pub mod hold;
pub mod hook;
pub mod ipam;
pub mod leases;
pub mod machine;
pub mod memory;
pub mod metrics;
pub mod names;
pub mod newest;
pub mod node;
pub mod notify;
mod planned;
mod ports;
pub mod publish;
pub mod quarantine;
pub mod reasons;
mod remotes;
pub mod restore;
pub mod revoked;
pub mod schedule;
pub mod settings;
pub mod sourced;
pub mod standing;
pub mod starting;
pub mod status;
pub mod turn;
pub mod watchdog;
pub mod why;
mod window;
pub mod writer;

pub use error::TurnError;
pub use handle::Handle;
pub use memory::Memory;
pub use settings::{Mode, Settings};
pub use status::{State, Status};
pub use turn::{Purpose, Report, Turn};
