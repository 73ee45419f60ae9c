//! Steps that become messages to the kernel, many of which are sent at once.

use std::collections::{BTreeSet, HashMap};
use std::error::Error;

use nix::libc;

use super::super::HostError;
use super::super::kernel::entries;
use super::super::netlink::{Attributes, Refusal, Request, Socket, link_header, number};
use super::requests::{self, Asked, Unfit, requests};
use super::{Call, deletion};
use crate::plan::{Family, LocalRule, NetworkStep};
use crate::value::IfName;

/// The most messages that wait to be sent.
const MOST: usize = 4096;

/// What waits to be sent, and what was complained about so far.
pub(super) struct Batch<'a> {
    socket: Socket,
    pending: Vec<(Asked, &'a NetworkStep)>,
    /// The numbers of interfaces that are to be deleted after what waits.
    going: Vec<(u32, &'a NetworkStep)>,
    names: Names,
    complaints: Vec<String>,
}

/// The kernel's numbers of interfaces, as far as they were asked for.
#[derive(Default)]
struct Names {
    known: HashMap<String, Found>,
    /// Those that a message makes or deletes that waits to be sent.
    unsure: BTreeSet<String>,
}

/// An interface as messages name it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// The kernel's number.
    pub(super) index: u32,
    /// Whether it is a bridge.
    pub(super) is_bridge: bool,
}

impl<'a> Batch<'a> {
    pub(super) fn open() -> Result<Self, HostError> {
        let socket = Socket::open()?;
        let (pending, going, complaints) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { socket, pending, going, names: Names::default(), complaints })
    }

    /// Adds what the kernel is to do for a step, which may be one of several things that make
    /// the whole `of` which a complaint speaks.
    pub(super) fn add(&mut self, of: &'a NetworkStep, step: &NetworkStep) -> Result<(), HostError> {
        if let NetworkStep::Delete { interface } = step {
            let found = self.find(interface.as_str())?;
            self.going.extend(found.map(|found| (found.index, of)));
            self.names.forget(step);
            return Ok(());
        }
        // What cannot be made must be known before anything is done to one of its name.
        let makes = |step: &NetworkStep| step.made().next().is_some();
        let is_made = self.pending.last().is_some_and(|(_, last)| makes(last));
        if !self.going.is_empty() || (is_made && !makes(step)) {
            self.send()?;
        }
        match requests(step, &mut |name| self.find(name)) {
            Ok(all) => self.pending.extend(all.into_iter().map(|asked| (asked, of))),
            Err(Unfit::Host(error)) => return Err(error),
            Err(Unfit::Gone) => {}
            Err(Unfit::Wrong(why)) => self.complain(of, &why)?,
        }
        self.names.forget(step);
        if self.pending.len() >= MOST { self.send() } else { Ok(()) }
    }

    /// Runs a program after what waits. It may make and delete interfaces.
    pub(super) fn program(&mut self, call: &Call) -> Result<(), HostError> {
        self.send()?;
        self.complaints.extend(call.carry_out()?);
        self.names = Names::default();
        Ok(())
    }

    /// Does something else after what waits; that it fails is a complaint.
    pub(super) fn other(
        &mut self,
        step: &NetworkStep,
        change: impl FnOnce() -> Result<(), HostError>,
    ) -> Result<(), HostError> {
        self.send()?;
        if let Err(error) = change() {
            let source = error.source().map(|source| format!(": {source}"));
            self.complain(step, &format!("{error}{}", source.unwrap_or_default()))?;
        }
        Ok(())
    }

    /// Whether own addresses are looked up by another rule than this one, after what waits.
    pub(super) fn has_other_local_rule(
        &mut self,
        family: Family,
        rule: LocalRule,
    ) -> Result<bool, HostError> {
        self.send()?;
        let own = requests::priority(rule);
        let all = entries::local_priorities(&mut self.socket, family)?;
        Ok(all.into_iter().any(|priority| priority != own))
    }

    /// Complains of a step after what waits.
    pub(super) fn complain(&mut self, step: &NetworkStep, why: &str) -> Result<(), HostError> {
        self.send()?;
        self.complaints.push(complaint(step, why));
        Ok(())
    }

    /// Sends what waits; all that was complained about.
    pub(super) fn end(mut self) -> Result<Vec<String>, HostError> {
        self.send()?;
        Ok(self.complaints)
    }

    fn send(&mut self) -> Result<(), HostError> {
        self.names.unsure.clear();
        let (asked, steps): (Vec<Asked>, Vec<&NetworkStep>) = self.pending.drain(..).unzip();
        let (requests, forgiven): (Vec<Request>, Vec<&[i32]>) =
            asked.into_iter().map(|asked| (asked.request, asked.forgiven)).unzip();
        let refusals = self.socket.carry_out(&requests)?;
        let mut taken = BTreeSet::new();
        for (refusal, (step, forgiven)) in refusals.into_iter().zip(steps.iter().zip(forgiven)) {
            let Some(refusal) = refusal else { continue };
            if refusal.error.raw_os_error() == Some(libc::EEXIST) {
                taken.extend(step.made());
            }
            self.complaints.extend(refused(step, &refusal, forgiven));
        }
        let (going, steps): (Vec<u32>, Vec<&NetworkStep>) = self.going.drain(..).unzip();
        let refusals = deletion::delete(&mut self.socket, &going)?;
        for (refusal, step) in refusals.into_iter().zip(steps) {
            let gone = &[libc::ENODEV];
            self.complaints.extend(refusal.and_then(|refusal| refused(step, &refusal, gone)));
        }
        self.leave(taken)
    }

    /// What was to be made and could not be, because something like it is there, ends the changes
    /// where an interface with its name is: whatever comes next would change somebody else's.
    fn leave(&mut self, refused: BTreeSet<&IfName>) -> Result<(), HostError> {
        let mut names = Vec::new();
        for name in refused {
            if self.find(name.as_str())?.is_some() {
                names.push(name.to_string());
            }
        }
        if names.is_empty() { Ok(()) } else { Err(HostError::Taken { names }) }
    }

    /// An interface by its name; `None` where there is none. What waits to be sent is sent
    /// before, if it makes or deletes one of this name.
    fn find(&mut self, name: &str) -> Result<Option<Found>, HostError> {
        if let Some(found) = self.names.known.get(name) {
            return Ok(Some(*found));
        }
        if self.names.unsure.contains(name) {
            self.send()?;
        }
        let request = Request::new(libc::RTM_GETLINK, 0, &link_header(libc::AF_UNSPEC, 0, false))
            .with_text(libc::IFLA_IFNAME, name)
            .with(libc::IFLA_EXT_MASK, &libc::RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
        let found = self.socket.one("an interface", &request, |message| {
            let mut is_bridge = false;
            for attribute in Attributes::at(message.body, 16)? {
                let attribute = attribute?;
                if attribute.kind == libc::IFLA_LINKINFO {
                    let mut info = attribute.within().map_while(Result::ok);
                    let kind = info.find(|info| info.kind == libc::IFLA_INFO_KIND);
                    is_bridge = kind.is_some_and(|kind| kind.text() == "bridge");
                }
            }
            Ok(Found { index: number(message.body, 4)?, is_bridge })
        })?;
        match found {
            Ok(found) => {
                self.names.known.insert(name.to_owned(), found);
                Ok(Some(found))
            }
            Err(refusal) if refusal.error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(refusal) => Err(HostError::Kernel { asked: "an interface", source: refusal.error }),
        }
    }
}

impl Names {
    /// Forgets the numbers of what a step makes or deletes.
    fn forget(&mut self, step: &NetworkStep) {
        let deleted = match step {
            NetworkStep::Delete { interface } => Some(interface),
            _ => None,
        };
        for name in step.made().chain(deleted) {
            self.known.remove(name.as_str());
            self.unsure.insert(name.to_string());
        }
    }
}

/// The complaint of what the kernel refused, but for errors that are forgiven.
fn refused(step: &NetworkStep, refusal: &Refusal, forgiven: &[i32]) -> Option<String> {
    let number = refusal.error.raw_os_error();
    let is_forgiven = number.is_some_and(|number| forgiven.contains(&number));
    let said = refusal.said.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
    (!is_forgiven).then(|| complaint(step, &format!("{}{said}", refusal.error)))
}

fn complaint(step: &NetworkStep, why: &str) -> String {
    format!("could not {step}: {why}")
}
