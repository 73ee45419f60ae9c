//! A cluster in a directory, to see weft at work without a node.

pub mod repository;
