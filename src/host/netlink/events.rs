//! What happens to interfaces, from the kernel as it happens.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::attribute::Attributes;
use super::request::{Request, link_header};
use super::socket::{Message, Socket};
use super::{Malformed, bytes, number};
use crate::host::HostError;

const ASKED: &str = "events of interfaces";

/// The group of messages of interfaces and of ports of bridges (`RTNLGRP_LINK`), as its bit.
const GROUP: u32 = 1;

/// Interfaces that came or that became ports of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortChanges {
    /// These, by their names; none where the time ran out.
    Of(BTreeSet<String>),
    /// There were more than could wait here: anything may have changed.
    Everything,
}

/// A subscription to interfaces that come, and that become ports or stop being ones.
pub struct LinkEvents {
    events: Socket,
    /// By the kernel's number: the name and the number of what it is a port of, or 0.
    known: BTreeMap<u32, (String, u32)>,
}

impl std::fmt::Debug for LinkEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkEvents").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

/// What a message says of one interface.
struct Said {
    index: u32,
    is_gone: bool,
    /// Of a port of a bridge that it stopped being one.
    is_of_port: bool,
    name: Option<String>,
    master: u32,
}

impl LinkEvents {
    /// Begins with what is there now.
    pub fn open() -> Result<Self, HostError> {
        let fail = |source| HostError::Kernel { asked: ASKED, source };
        let events = Socket::connected(GROUP).map_err(fail)?;
        // Read after the subscription, so that nothing is lost between.
        Ok(Self { events, known: known()? })
    }

    /// Waits until an interface comes or changes its master, and no longer than `time`.
    pub fn wait(&mut self, time: Duration) -> Result<PortChanges, HostError> {
        let fail = |source| HostError::Kernel { asked: ASKED, source };
        let end = Instant::now().checked_add(time);
        let mut names = BTreeSet::new();
        loop {
            match self.take(&mut names) {
                Ok(()) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    self.known = known()?;
                    return Ok(PortChanges::Everything);
                }
                Err(error) => return Err(fail(error)),
            }
            let left = end.map_or(Duration::MAX, |end| end.duration_since(Instant::now()));
            if !names.is_empty() || left.is_zero() {
                return Ok(PortChanges::Of(names));
            }
            // At least a millisecond: what is left of one would be a loop without waiting.
            let left = left.max(Duration::from_millis(1));
            let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut sockets = [PollFd::new(self.events.raw().as_fd(), PollFlags::POLLIN)];
            match poll(&mut sockets, left) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(fail(error.into())),
            }
        }
    }

    /// Takes what waits.
    fn take(&mut self, names: &mut BTreeSet<String>) -> io::Result<()> {
        loop {
            let messages = match self.events.receive(libc::MSG_DONTWAIT) {
                Ok(messages) => messages,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            for message in messages {
                let malformed = |error| io::Error::new(io::ErrorKind::InvalidData, error);
                if let Some(said) = said(message?).map_err(malformed)? {
                    names.extend(note(&mut self.known, said));
                }
            }
        }
    }
}

/// What is remembered of an interface; its name where that is news.
fn note(known: &mut BTreeMap<u32, (String, u32)>, said: Said) -> Option<String> {
    if said.is_gone && !said.is_of_port {
        known.remove(&said.index);
        return None;
    }
    let master = if said.is_gone { 0 } else { said.master };
    let before = known.get(&said.index);
    let name = said.name.or_else(|| before.map(|(name, _)| name.clone()))?;
    let now = (name.clone(), master);
    let is_news = before != Some(&now);
    known.insert(said.index, now);
    is_news.then_some(name)
}

fn known() -> Result<BTreeMap<u32, (String, u32)>, HostError> {
    let header = link_header(libc::AF_UNSPEC, 0, false);
    let request = Request::new(libc::RTM_GETLINK, libc::NLM_F_DUMP, &header)
        .with(libc::IFLA_EXT_MASK, &libc::RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
    let found = Socket::open()?.list(ASKED, &request, said)?;
    Ok(found.into_iter().filter_map(|link| Some((link.index, (link.name?, link.master)))).collect())
}

fn said(message: Message<'_>) -> Result<Option<Said>, Malformed> {
    if ![libc::RTM_NEWLINK, libc::RTM_DELLINK].contains(&message.kind) {
        return Ok(None);
    }
    let [family] = bytes(message.body, 0)?;
    let mut said = Said {
        index: number(message.body, 4)?,
        is_gone: message.kind == libc::RTM_DELLINK,
        is_of_port: i32::from(family) == libc::AF_BRIDGE,
        name: None,
        master: 0,
    };
    for attribute in Attributes::at(message.body, 16)? {
        let attribute = attribute?;
        match attribute.kind {
            libc::IFLA_IFNAME => said.name = Some(attribute.text().into_owned()),
            libc::IFLA_MASTER => said.master = attribute.u32()?,
            _ => {}
        }
    }
    Ok(Some(said))
}
