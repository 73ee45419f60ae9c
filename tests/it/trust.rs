//! From raw objects to what may be trusted.

mod anchor;
mod commits;
mod directories;
mod history;
mod objects;
mod repository;
mod signers;
mod timing;
