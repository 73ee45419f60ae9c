//! What ends a demo before its time: whoever interrupts it; and what then ends live nodes.

use std::io;
use std::process::ChildStdin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

/// What keeps nodes alive, each as long as it is held.
#[derive(Clone, Default)]
pub(super) struct Lifelines {
    held: Arc<Mutex<Vec<ChildStdin>>>,
    cut: Arc<AtomicBool>,
}

impl Lifelines {
    /// Keeps a node alive, unless all have ended.
    pub(super) fn hold(&self, line: Option<ChildStdin>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.extend(line.filter(|_| !self.is_cut()));
    }

    /// Ends every node, and with it whatever runs there.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }
}

/// Whether somebody wants the demo to end.
#[derive(Clone, Default)]
pub(super) struct Interrupted(Arc<AtomicBool>);

impl Interrupted {
    /// Ends every node when somebody does, so that the step that runs fails.
    pub(super) fn watch(lifelines: &Lifelines) -> io::Result<Self> {
        let interrupted = Self::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (lines, told) = (lifelines.clone(), interrupted.clone());
        let (mut hangup, mut interrupt, mut terminate) = {
            let _context = runtime.enter();
            (
                signal(SignalKind::hangup())?,
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            )
        };
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = hangup.recv() => {}
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            });
            told.0.store(true, Ordering::SeqCst);
            lines.cut();
        })?;
        Ok(interrupted)
    }

    pub(super) fn is_so(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
