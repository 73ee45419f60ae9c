//! Ports of guests that get what is declared of them when they appear.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::error::chain;
use super::settings::{Mode, Settings};
use crate::apply;
use crate::host::{Host, HostError, LinkEvents, PortChanges};

/// How long is waited for more to come, so that many ports are looked at together.
const TOGETHER: Duration = Duration::from_millis(100);
/// How long is listened before it is asked whether anybody still wants to know.
const LISTEN: Duration = Duration::from_secs(60);
/// The time before the kernel is asked again that did not answer.
const AGAIN: Duration = Duration::from_secs(5);

/// Brings ports to what is declared, on a node whose network is weft's to change. Whether that is
/// done: else it is to be called again, with the same `before` ([`apply::set_ports`]).
pub(super) fn set(host: &impl Host, settings: &Settings, before: &mut String) -> bool {
    if settings.mode() != Mode::Apply {
        return true;
    }
    apply::set_ports(host, before).unwrap_or_else(|error| {
        tracing::warn!("ports of guests cannot be set: {}", chain(&error));
        false
    })
}

/// Looks after ports beside whatever turn there is.
pub(super) struct Watch {
    /// Says that ports may have appeared.
    news: mpsc::Receiver<()>,
    /// Those that are being looked at.
    seen: Option<JoinHandle<()>>,
    /// The settings as they are now.
    settings: watch::Sender<Option<Arc<Settings>>>,
}

impl Watch {
    pub(super) fn new(host: &Arc<impl Host + 'static>) -> Self {
        Self { news: news(host), seen: None, settings: watch::Sender::default() }
    }

    /// Takes settings that were read again, for ports that are being looked at too.
    pub(super) fn use_settings(&self, settings: &Arc<Settings>) {
        self.settings.send_replace(Some(Arc::clone(settings)));
    }

    /// Waits until there is something to look at.
    pub(super) async fn wait(&mut self) {
        if let Some(seen) = &mut self.seen {
            // One that broke down said so.
            let _ = seen.await;
            self.seen = None;
        }
        if self.news.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Looks at ports, if anybody may change them.
    pub(super) fn see_to(&mut self, host: &Arc<impl Host + 'static>) {
        self.seen = Some(tokio::spawn(see_to(Arc::clone(host), self.settings.subscribe())));
    }
}

/// Brings ports to what is declared, and again after an apply that is at it, or a failure. What
/// the settings say meanwhile counts.
async fn see_to(host: Arc<impl Host + 'static>, settings: watch::Receiver<Option<Arc<Settings>>>) {
    let mut before = String::new();
    let mut pause = TOGETHER;
    loop {
        let Some(settings) = settings.borrow().clone() else { return };
        let host = Arc::clone(&host);
        let seen = tokio::task::spawn_blocking(move || {
            let is_done = set(&*host, &settings, &mut before);
            (is_done, before)
        });
        match seen.await {
            Ok((false, again)) => before = again,
            // One that broke down said so.
            Ok((true, _)) | Err(_) => return,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(AGAIN);
    }
}

/// Says when interfaces came or became ports of another one: once at the beginning, and then at
/// most once in a while ([`TOGETHER`]), however many there are. Silent on a node without a
/// kernel.
fn news(host: &Arc<impl Host + 'static>) -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel(1);
    let host = Arc::clone(host);
    thread::spawn(move || {
        while !sender.is_closed() {
            match listen(&*host, &sender) {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!("interfaces cannot be listened to: {}", chain(&error));
                    thread::sleep(AGAIN);
                }
            }
        }
    });
    receiver
}

/// Listens for as long as anybody wants to know.
fn listen(host: &impl Host, sender: &mpsc::Sender<()>) -> Result<(), HostError> {
    let Some(mut events) = host.link_events()? else { return Ok(()) };
    let mut has_news = true;
    while !sender.is_closed() {
        if has_news {
            thread::sleep(TOGETHER);
            // What came meanwhile is looked at with the rest.
            events.wait(Duration::ZERO)?;
            // One that waits to be heard says all.
            let _ = sender.try_send(());
        }
        has_news = is_news(&mut events)?;
    }
    Ok(())
}

fn is_news(events: &mut LinkEvents) -> Result<bool, HostError> {
    Ok(match events.wait(LISTEN)? {
        PortChanges::Of(names) => !names.is_empty(),
        PortChanges::Everything => true,
    })
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::agent::settings::{SAMPLE, read};
    use crate::host::fake::{Fake, Fault};

    /// What fails is tried again by what the settings say then: SIGHUP ends it.
    #[tokio::test]
    async fn settings_that_are_read_again_count_for_ports_that_are_looked_at() {
        let host = Arc::new(Fake::default());
        let faults = (0..200).map(|step| (step, Fault::Fail(ErrorKind::TimedOut)));
        host.set_faults(&faults.collect::<Vec<_>>());
        let mut watch = Watch::new(&host);
        // Nobody said yet whose the network is.
        watch.see_to(&host);
        watch.seen.take().expect("begun").await.expect("it ends");
        watch.use_settings(&Arc::new(read(SAMPLE).expect("settings")));
        watch.see_to(&host);
        let seen = watch.seen.as_mut().expect("begun");
        assert!(tokio::time::timeout(Duration::from_millis(500), seen).await.is_err());
        let observing = SAMPLE.replace("mode: apply", "mode: observe");
        watch.use_settings(&Arc::new(read(&observing).expect("settings")));
        let seen = watch.seen.as_mut().expect("begun");
        tokio::time::timeout(Duration::from_secs(60), seen).await.expect("soon").expect("it ends");
    }
}
