//! All integration tests in one binary, so that it is linked once.

#![allow(
    clippy::disallowed_methods,
    reason = "tests stand outside the floors: they prepare files, run real git and look at the clock"
)]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test that is skipped says why")]

mod adopt;
mod cases;
mod codes;
mod conformance;
mod daemon;
mod doctor;
mod engine;
mod examples;
mod export;
mod findings;
mod floors;
mod guide;
mod hold;
mod host;
mod import;
mod init;
mod ipam;
mod ipam_servers;
mod kernel;
mod lapses;
mod leases;
mod live;
mod lying;
mod machine;
mod names;
mod node;
mod output;
mod package;
mod profiles;
mod properties;
mod pve_guests;
mod quarantine;
mod remotes;
mod removal;
mod schema;
mod seeds;
mod settings;
mod standing;
mod transport;
mod trust;
mod trust_commands;
mod verify_command;
mod webhook;
mod why;
mod windows;
