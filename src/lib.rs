//! weft

pub mod value;

pub mod facts;

pub mod declare;

pub mod render;

pub mod plan;

pub mod host;

pub mod sync;

pub mod apply;
