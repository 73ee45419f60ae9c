//! Locks of the fake.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use camino::Utf8PathBuf;

use super::hold;

/// A lock of the fake, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct FakeLock {
    pub(super) path: Utf8PathBuf,
    pub(super) locks: Arc<Mutex<BTreeSet<Utf8PathBuf>>>,
}

impl Drop for FakeLock {
    fn drop(&mut self) {
        hold(&self.locks).remove(&self.path);
    }
}
