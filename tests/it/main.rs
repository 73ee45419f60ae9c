//! All integration tests in one binary, so that it is linked once.

mod cases;
mod conformance;
mod import;
mod properties;
mod schema;
