//! A way back that knows no settings, beside which there is no turn.

use std::sync::Arc;

use tokio::task::JoinError;

use super::{Answer, Asked, DaemonError, Event, Owner};
use crate::agent::{back, status};
use crate::host::Host;

impl<H: Host + 'static> Owner<H>
where
    H::Lock: 'static,
{
    /// Goes back by the state on the disk alone: where settings cannot be read, somebody may need
    /// that most.
    pub(super) fn go_back(&mut self, asked: Asked, generation: Option<u64>) {
        let Some(lock) = self.lock.take() else {
            // Whoever asked may have gone.
            let _ = asked.reply.send(Answer::failure("another way back is under way"));
            return;
        };
        self.served.push(asked);
        let (host, voice) = (Arc::clone(&self.host), self.back_voice);
        self.back = Some(tokio::task::spawn_blocking(move || {
            let result = back::alone_under(&*host, &lock, generation);
            let last = status::last(&*host);
            let name = last.as_ref().map_or("this node", |last| last.node.as_str());
            (lock, voice(name, result.as_ref()))
        }));
    }

    /// Answers who asked, and reads the settings that may be there now.
    pub(super) fn end_back(
        &mut self,
        ended: Result<(H::Lock, Answer), JoinError>,
    ) -> Result<Event, DaemonError> {
        self.back = None;
        let (lock, answer) = ended.map_err(DaemonError::Turn)?;
        self.lock = Some(lock);
        for asked in self.served.drain(..) {
            // Whoever asked may have gone.
            let _ = asked.reply.send(answer.clone());
        }
        Ok(self.reload())
    }
}
