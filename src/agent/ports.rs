//! Ports of guests that get what is declared of them when they appear.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
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

/// Brings ports to what is declared, on a node whose network is weft's to change. Where an apply
/// is at it, what was declared before, to come back with.
pub(super) fn set(host: &impl Host, settings: &Settings, before: &str) -> Option<String> {
    if settings.mode() != Mode::Apply {
        return None;
    }
    apply::set_ports(host, before).unwrap_or_else(|error| {
        tracing::warn!("ports of guests cannot be set: {}", chain(&error));
        None
    })
}

/// Looks after ports beside whatever turn there is.
pub(super) struct Watch {
    /// Says that ports may have appeared.
    news: mpsc::Receiver<()>,
    /// Those that are being looked at.
    seen: Option<JoinHandle<()>>,
}

impl Watch {
    pub(super) fn new(host: &Arc<impl Host + 'static>) -> Self {
        Self { news: watch(host), seen: None }
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
    pub(super) fn see_to(
        &mut self,
        host: &Arc<impl Host + 'static>,
        settings: Option<&Arc<Settings>>,
    ) {
        let Some(settings) = settings else { return };
        self.seen = Some(tokio::spawn(see_to(Arc::clone(host), Arc::clone(settings))));
    }
}

/// Brings ports to what is declared, and again after an apply that is at it.
async fn see_to(host: Arc<impl Host + 'static>, settings: Arc<Settings>) {
    let mut before = String::new();
    let mut pause = TOGETHER;
    loop {
        let (host, settings) = (Arc::clone(&host), Arc::clone(&settings));
        let seen = tokio::task::spawn_blocking(move || set(&*host, &settings, &before));
        match seen.await {
            Ok(Some(again)) => before = again,
            // One that broke down said so.
            Ok(None) | Err(_) => return,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(AGAIN);
    }
}

/// Says when interfaces came or became ports of another one: once at the beginning, and then at
/// most once in a while ([`TOGETHER`]), however many there are. Silent on a node without a
/// kernel.
fn watch(host: &Arc<impl Host + 'static>) -> mpsc::Receiver<()> {
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
