//! Which deliveries were taken already.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::value::{Digest, HookName};

/// How many deliveries are remembered; the oldest is forgotten first.
pub const REMEMBERED: usize = 4096;

/// The deliveries that were taken since the agent started. Losing them is harmless:
/// a repeated delivery is one early poll more.
#[derive(Debug, Default)]
pub struct Deliveries(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    ids: HashSet<Digest>,
    order: VecDeque<Digest>,
}

impl Deliveries {
    /// Remembers a delivery to a webhook. False when it was taken before. To be asked
    /// only of deliveries that are proven, so that no stranger can fill it.
    pub fn take(&self, hook: &HookName, id: &[u8]) -> bool {
        // A digest has one size, whatever the sender calls a delivery. No hook's name
        // has a zero byte.
        let digest = Digest::of(&[hook.as_str().as_bytes(), b"\0", id].concat());
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !taken.ids.insert(digest) {
            return false;
        }
        taken.order.push_back(digest);
        if taken.order.len() > REMEMBERED
            && let Some(oldest) = taken.order.pop_front()
        {
            taken.ids.remove(&oldest);
        }
        true
    }
}
