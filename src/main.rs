//! The program `weft`; everything is in the library.

fn main() {}
