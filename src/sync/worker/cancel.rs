//! A word that ends fetching.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A word to end fetching. Every process that was started with it, or with a copy of it, is
/// killed soon after it is said, and all that is asked of it from then on fails.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Says it, once and for all.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was said.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
