//! All integration tests in one binary, so that it is linked once.

#![allow(
    clippy::disallowed_methods,
    reason = "tests stand outside the floors: they prepare files, run real git and look at the clock"
)]

mod floors;
