//! `weft agent`: the daemon and its HTTP side, joined.

use std::sync::Arc;

use camino::Utf8Path;
use jiff::tz::TimeZone;
use tokio::runtime::Builder;

use super::failure::{Exit, Failure};
use super::node::{Node, failed};
use super::{answer, busy, window};
use crate::agent::condition::Condition;
use crate::agent::control::{self, Answer, Ask, SOCKET};
use crate::agent::daemon::Daemon;
use crate::agent::handle;
use crate::agent::notify::Notify;
use crate::agent::turn::Purpose;
use crate::apply::LOCK;
use crate::host::{Host as _, Socket};
use crate::serve;

/// Runs until SIGTERM or SIGINT.
pub(super) fn run(node: &Node) -> Result<Exit, Failure> {
    let host = Arc::new(node.host.clone());
    let Some(lock) = host.lock(Utf8Path::new(LOCK)).map_err(|error| failed(&error))? else {
        return Err(busy::failure(node)
            .hint("one agent runs on a node; `weft sync` asks the one that runs"));
    };
    // A dry node has no zone of its own, and nothing is read of this machine's.
    let zone = if node.root.is_some() { TimeZone::UTC } else { TimeZone::system() };
    let socket = Socket::listen(&node.shown(Utf8Path::new(SOCKET)), control::MODE)
        .map_err(|error| failed(&error))?;
    let now = {
        let host = Arc::clone(&host);
        Arc::new(move || host.now())
    };
    let (handle, ends) = handle::pair(Condition::starting(host.now()), now);
    let daemon = Daemon {
        host,
        lock,
        socket,
        program: super::node::program()?,
        root: node.root.clone(),
        zone,
        voice: answer::plain,
        back_voice: window::without_settings,
        notify: Notify::from_environment(),
    };
    let runtime =
        Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?;
    runtime.block_on(async {
        tokio::spawn(serve::keep(handle));
        daemon.run(ends).await.map_err(|error| failed(&error))
    })?;
    Ok(Exit::Ok)
}

/// Asks the agent that owns a node for a turn, and waits for its end. `None` when no
/// agent listens.
pub(super) fn ask(node: &Node, purpose: Purpose, manual: bool) -> Result<Option<Answer>, Failure> {
    control::ask(&node.shown(Utf8Path::new(SOCKET)), &Ask::Turn { purpose, manual })
        .map_err(|error| failed(&error))
}
