//! Whether the cluster file system of Proxmox VE answers: it is a program (`pmxcfs`), and
//! whoever reads from one that hangs hangs with it, where no signal reaches.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use camino::Utf8Path;

use super::HostError;

/// Where it is mounted.
const MOUNTED: &str = "/etc/pve";
/// A file that it makes itself.
const ASKED: &str = "/etc/pve/.version";
/// How long it may take to answer.
const TIME: Duration = Duration::from_secs(3);

/// The one question that was not answered yet. No second one is asked meanwhile.
#[derive(Debug, Default)]
struct Question(Mutex<Option<Receiver<()>>>);

impl Question {
    /// Whether an answer came within a time; at once not, while an earlier question waits.
    fn is_answered(&self, time: Duration, ask: impl FnOnce() + Send + 'static) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_open = |earlier: &Receiver<()>| earlier.try_recv() == Err(TryRecvError::Empty);
        if waiting.as_ref().is_some_and(is_open) {
            return false;
        }
        let (answer, answered) = channel();
        thread::spawn(move || {
            ask();
            // Nobody may be waiting any more.
            let _ = answer.send(());
        });
        let came = answered.recv_timeout(time) != Err(RecvTimeoutError::Timeout);
        *waiting = (!came).then_some(answered);
        came
    }
}

/// That a path can be asked for: it is none of the cluster file system, or that answers.
pub(super) fn answers(path: &Utf8Path) -> Result<(), HostError> {
    static QUESTION: Question = Question(Mutex::new(None));
    let ask = || drop(std::fs::metadata(ASKED));
    if !path.starts_with(MOUNTED) || QUESTION.is_answered(TIME, ask) {
        return Ok(());
    }
    Err(HostError::Program {
        program: MOUNTED.to_owned(),
        message: format!(
            "does not answer within {} s: look at `pve-cluster.service`; what runs is left as it is",
            TIME.as_secs()
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::{Duration, Instant};

    use super::{Question, answers};

    #[test]
    fn one_that_hangs_is_asked_once() {
        let question = Question::default();
        let short = Duration::from_millis(50);
        assert!(question.is_answered(Duration::from_secs(60), || {}));
        let (go_on, waits) = channel::<()>();
        assert!(!question.is_answered(short, move || {
            let _ = waits.recv();
        }));
        let begun = Instant::now();
        let never = || panic!("it is not asked");
        assert!(!question.is_answered(Duration::from_secs(60), never));
        assert!(begun.elapsed() < Duration::from_secs(30), "somebody waited for it");
        drop(go_on);
        let end = Instant::now() + Duration::from_secs(60);
        while !question.is_answered(Duration::from_secs(60), || {}) {
            assert!(Instant::now() < end, "it answers, and nobody asks");
        }
    }

    #[test]
    fn other_paths_are_asked_for_without_a_question() {
        assert!(answers(camino::Utf8Path::new("/etc/passwd")).is_ok());
        // Where it is not mounted, that it is not there is an answer.
        assert!(answers(camino::Utf8Path::new("/etc/pve/local")).is_ok());
    }
}
