//! weft

pub mod value;

pub mod facts;

pub mod network;

pub mod declare;

pub mod validate;

pub mod render;

pub mod plan;

pub mod host;

pub mod sync;
