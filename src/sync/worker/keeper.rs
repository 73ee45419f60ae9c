//! The end of the process, in every case.

use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How long to wait for the end of a process that was killed. One that waits for a
/// dead disk ends later, and is reaped then.
const REAP: Duration = Duration::from_secs(5);

/// Owns the process, and ends it when told so, when dropped, or at the deadline.
#[derive(Debug)]
pub(super) struct Keeper {
    /// Takes how long it may live from then on.
    stop: Option<mpsc::Sender<Duration>>,
    ended: mpsc::Receiver<ExitStatus>,
}

impl Keeper {
    /// Takes a process over. It is killed and reaped when no thread can be had.
    pub(super) fn watch(child: Child, deadline: Duration) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<Duration>();
        let (tell, ended) = mpsc::channel();
        let child = Arc::new(Mutex::new(child));
        let watched = child.clone();
        let watch = move || {
            let mut left = deadline;
            // This ends at the deadline or with the sender.
            while let Ok(more) = stopped.recv_timeout(left) {
                left = more;
            }
            if let Some(status) = kill(&watched) {
                let _: Result<(), _> = tell.send(status);
            }
        };
        match thread::Builder::new().name("fetch-keeper".to_owned()).spawn(watch) {
            Ok(_) => Ok(Self { stop: Some(stop), ended }),
            Err(error) => {
                kill(&child);
                Err(error)
            }
        }
    }

    /// Lets it live that long from now on.
    pub(super) fn give(&self, deadline: Duration) {
        if let Some(stop) = &self.stop {
            // One that ended already gets no more time.
            let _: Result<(), _> = stop.send(deadline);
        }
    }

    /// Kills and reaps the process; gives how it ended, the first time.
    pub(super) fn end(&mut self) -> Option<ExitStatus> {
        self.stop.take()?;
        self.ended.recv_timeout(REAP).ok()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.end();
    }
}

/// Kills a process and all of its group, which has its id and no other, and reaps it.
fn kill(child: &Mutex<Child>) -> Option<ExitStatus> {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    // Nobody reaped it, so the id is still its own. Fails only where all have ended.
    let group = i32::try_from(child.id()).map(Pid::from_raw);
    let _ = group.map(|group| killpg(group, Signal::SIGKILL));
    drop(child.kill());
    child.wait().ok()
}
