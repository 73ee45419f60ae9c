//! Floor 9: the line from a remote to a node, carried out.
//!
//! Joins the floors below and decides nothing that a pure floor can decide. Knows
//! nothing of HTTP and prints nothing.

pub mod credentials;
mod decide;
pub mod error;
pub mod reasons;
pub mod settings;
pub mod status;
pub mod turn;

pub use error::TurnError;
pub use settings::{Mode, Settings};
pub use status::{State, Status};
pub use turn::{Purpose, Report, Turn};
