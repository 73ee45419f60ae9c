//! Floor 11: words in, words out; the only floor that prints.

pub mod demo;
