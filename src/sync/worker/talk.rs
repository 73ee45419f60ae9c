//! One question, one answer, and no trust.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use zeroize::Zeroizing;

use super::keeper::Keeper;
use super::{Cancel, TransportError};
use crate::sync::protocol::{Answer, LINE_LIMIT, REQUEST_LIMIT, Request};

/// How much of what the process says on standard error is kept, in bytes.
const COMPLAINT_LIMIT: usize = 4096;

/// How often it is looked whether the answer is still wanted.
const LOOK: Duration = Duration::from_millis(100);

/// How a conversation ended.
#[derive(Clone, Debug)]
pub(super) enum Over {
    Deadline,
    Cancelled,
    Broken(String),
}

/// The pipes of the process, as this end has them.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) input: ChildStdin,
    pub(super) output: ChildStdout,
    pub(super) errors: Option<ChildStderr>,
}

/// How long a conversation may last.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) begin: Instant,
    /// How long the process may live from then on.
    pub(super) deadline: Duration,
    /// What ends it sooner.
    pub(super) cancel: Cancel,
}

/// The pipes of the process and what came through them.
#[derive(Debug)]
pub(super) struct Talk {
    pipes: Pipes,
    keeper: Keeper,
    bound: Bound,
    /// What was read from `output` and is not used yet.
    heard: Vec<u8>,
    complaint: Vec<u8>,
    over: Option<Over>,
}

impl Talk {
    /// Takes the pipes of a process over.
    pub(super) fn new(pipes: Pipes, keeper: Keeper, bound: Bound) -> io::Result<Self> {
        do_not_block(pipes.input.as_fd())?;
        do_not_block(pipes.output.as_fd())?;
        if let Some(errors) = &pipes.errors {
            do_not_block(errors.as_fd())?;
        }
        let (heard, complaint) = (Vec::new(), Vec::new());
        Ok(Self { pipes, keeper, bound, heard, complaint, over: None })
    }

    /// Lets the process live that long from now on.
    pub(super) fn give(&mut self, deadline: Duration) {
        (self.bound.begin, self.bound.deadline) = (Instant::now(), deadline);
        self.keeper.give(deadline);
    }

    /// How long the process may still live.
    pub(super) fn left(&self) -> Duration {
        self.bound.deadline.saturating_sub(self.bound.begin.elapsed())
    }

    /// The answer to a request, and the bytes that belong to it.
    pub(super) fn ask(&mut self, request: &Request) -> Result<(Answer, Vec<u8>), TransportError> {
        self.ask_with(request, &[])
    }

    /// The same for a request that bytes follow.
    pub(super) fn ask_with(
        &mut self,
        request: &Request,
        body: &[u8],
    ) -> Result<(Answer, Vec<u8>), TransportError> {
        if let Some(over) = self.over.clone() {
            return Err(self.error(over));
        }
        let answered = self.try_ask(request, body);
        self.pass_on_complaint();
        answered.map_err(|over| self.give_up(over))
    }

    fn try_ask(&mut self, request: &Request, body: &[u8]) -> Result<(Answer, Vec<u8>), Over> {
        let broken = |message: &str| Over::Broken(message.to_owned());
        let unwritable = |error: serde_json::Error| Over::Broken(error.to_string());
        let mut length = Length(1);
        serde_json::to_writer(&mut length, request).map_err(unwritable)?;
        if length.0 > REQUEST_LIMIT {
            return Err(broken("cannot be asked in so many words"));
        }
        // May hold a secret. With all the room that it takes it is never moved, which would
        // leave a copy behind.
        let mut line = Zeroizing::new(Vec::with_capacity(length.0));
        serde_json::to_writer(&mut *line, request).map_err(unwritable)?;
        line.push(b'\n');
        let mut unsent = line.as_slice();
        let mut body = body;
        let end = loop {
            match self.heard.iter().position(|&byte| byte == b'\n') {
                Some(end) if end < LINE_LIMIT => break end,
                None if self.heard.len() < LINE_LIMIT => {
                    if unsent.is_empty() {
                        unsent = std::mem::take(&mut body);
                    }
                    self.pump(&mut unsent)?;
                }
                _ => return Err(broken("sent a line that is too long")),
            }
        };
        let answer = self.heard.get(..end).unwrap_or_default();
        let answer: Answer = serde_json::from_slice(answer)
            .map_err(|_| broken("sent something that is not an answer"))?;
        self.heard.drain(..=end);
        let size = match (&answer, request) {
            (Answer::Object { size, .. }, Request::Read { limit, .. }) if size <= limit => *size,
            (Answer::Object { .. }, _) => {
                return Err(broken("sent more bytes than were asked for"));
            }
            _ => 0,
        };
        let size = usize::try_from(size).map_err(|_| broken("sent too many bytes"))?;
        // Grows with what has really come.
        while self.heard.len() < size {
            self.pump(&mut unsent)?;
        }
        if self.heard.len() > size || !unsent.is_empty() {
            return Err(broken("sent more than an answer"));
        }
        Ok((answer, std::mem::take(&mut self.heard)))
    }

    /// Waits until some bytes can go or come, and moves them.
    fn pump(&mut self, unsent: &mut &[u8]) -> Result<(), Over> {
        if self.bound.cancel.is_cancelled() {
            return Err(Over::Cancelled);
        }
        let left = self.left();
        if left.is_zero() {
            return Err(Over::Deadline);
        }
        let failed = |e: io::Error| Over::Broken(format!("cannot be heard: {e}"));
        let ready = {
            let wait = |fd, flags| PollFd::new(fd, flags);
            let mut pipes = vec![wait(self.pipes.output.as_fd(), PollFlags::POLLIN)];
            if let Some(errors) = &self.pipes.errors {
                pipes.push(wait(errors.as_fd(), PollFlags::POLLIN));
            }
            if !unsent.is_empty() {
                pipes.push(wait(self.pipes.input.as_fd(), PollFlags::POLLOUT));
            }
            let timeout = PollTimeout::try_from(LOOK.min(left + Duration::from_millis(1)));
            match poll(&mut pipes, timeout.unwrap_or(PollTimeout::MAX)) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(failed(error.into())),
            }
            pipes.first().is_some_and(|pipe| pipe.any().unwrap_or(true))
        };
        self.hear_complaint();
        if !unsent.is_empty() {
            match self.pipes.input.write(unsent) {
                Ok(sent) => *unsent = unsent.get(sent..).unwrap_or_default(),
                Err(error) if waits(&error) => {}
                // It reads no more; what it says last is still of interest.
                Err(_) => *unsent = &[],
            }
        }
        if ready {
            let mut chunk = [0; 16 * 1024];
            match self.pipes.output.read(&mut chunk) {
                Ok(0) => return Err(self.epitaph()),
                Ok(count) => self.heard.extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(error) if waits(&error) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    fn hear_complaint(&mut self) {
        let Some(errors) = &mut self.pipes.errors else { return };
        let mut chunk = [0; COMPLAINT_LIMIT];
        match errors.read(&mut chunk) {
            Ok(0) => self.pipes.errors = None,
            Ok(count) => {
                let room = COMPLAINT_LIMIT.saturating_sub(self.complaint.len()).min(count);
                self.complaint.extend_from_slice(chunk.get(..room).unwrap_or_default());
            }
            Err(error) if waits(&error) => {}
            Err(_) => self.pipes.errors = None,
        }
    }

    /// What the process said on standard error while it answered goes to the log.
    fn pass_on_complaint(&mut self) {
        if !self.complaint.is_empty() {
            let text = printable(&String::from_utf8_lossy(&self.complaint));
            self.complaint.clear();
            tracing::warn!("the fetch process says: {text}");
        }
    }

    /// How a process ended that closed its end of the pipe.
    fn epitaph(&mut self) -> Over {
        if self.left().is_zero() {
            return Over::Deadline;
        }
        let end = match self.keeper.end() {
            Some(status) => format!("ended before it answered ({status})"),
            None => "fell silent and does not end".to_owned(),
        };
        self.hear_complaint();
        let said = printable(&String::from_utf8_lossy(&self.complaint));
        Over::Broken(if said.is_empty() { end } else { format!("{end}: {said}") })
    }

    /// Ends the process; all further requests get the same error.
    pub(super) fn give_up(&mut self, over: Over) -> TransportError {
        self.keeper.end();
        self.over = Some(over.clone());
        self.error(over)
    }

    fn error(&self, over: Over) -> TransportError {
        match over {
            Over::Deadline => TransportError::Deadline { after: self.bound.deadline },
            Over::Cancelled => TransportError::Cancelled,
            Over::Broken(message) => TransportError::Broken { message },
        }
    }
}

/// How long something is that is written nowhere.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn do_not_block(pipe: BorrowedFd<'_>) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(pipe, FcntlArg::F_GETFL)?);
    fcntl(pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

fn waits(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// A text of the process on one line, without what could disturb a terminal or a log.
pub(super) fn printable(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_control() || c.is_whitespace()).collect();
    let words = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    words.chars().take(1500).collect()
}
