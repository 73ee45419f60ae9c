//! A socket to the kernel, and what comes back.

use std::io;
use std::time::Duration;

use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket as Raw, SocketAddr};
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;

use super::name::NLMSGERR_ATTR_MSG;
use super::request::{HEADER, Request};
use super::{Attributes, Malformed, bytes, number};
use crate::host::HostError;

/// How long the kernel may take for an answer.
const TIME: Duration = Duration::from_secs(10);

/// The most that one receive takes: the kernel gives no more than 32 KiB of a list at once.
const BUFFER: usize = 1 << 16;

/// How much may wait in the socket, in bytes.
const WAITING: usize = 4 << 20;

/// The most requests that are sent at once, and their bytes: their answers must fit into a
/// socket that could not be given more room.
const BATCH: usize = 128;
const BATCH_BYTES: usize = 32 << 10;

/// How often a list is asked for again that changed while it was given.
const TRIES: usize = 16;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// A socket that knows the route family of messages.
pub(crate) struct Socket {
    raw: Raw,
    sequence: u32,
    buffer: Vec<u8>,
}

/// One message of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// What it is, such as `RTM_NEWLINK`.
    pub(crate) kind: u16,
    flags: u16,
    sequence: u32,
    /// What follows its header.
    pub(crate) body: &'a [u8],
}

/// What the kernel answered to a request that it did not carry out.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The error.
    pub(crate) error: io::Error,
    /// Why, in the kernel's words, where it has some.
    pub(crate) said: Option<String>,
}

impl Message<'_> {
    /// What an answer without data says: nothing where all is well.
    fn refusal(&self) -> Result<Option<Refusal>, Malformed> {
        let code = bytes(self.body, 0).map(i32::from_ne_bytes)?;
        if code == 0 {
            return Ok(None);
        }
        let error = io::Error::from_raw_os_error(code.checked_neg().ok_or(Malformed)?);
        Ok(Some(Refusal { error, said: self.said() }))
    }

    /// The kernel's words behind the number of an error and the request that it is of.
    fn said(&self) -> Option<String> {
        let flag = |flag: i32| i32::from(self.flags) & flag != 0;
        if !flag(libc::NLM_F_ACK_TLVS) {
            return None;
        }
        let whole = || usize::try_from(number(self.body, 4).ok()?).ok();
        let request = if flag(libc::NLM_F_CAPPED) { HEADER } else { whole()? };
        let place = request.checked_add(4)?.checked_next_multiple_of(4)?;
        let mut attributes = Attributes::at(self.body, place).ok()?.map_while(Result::ok);
        let said = attributes.find(|attribute| attribute.kind == NLMSGERR_ATTR_MSG)?;
        Some(said.text().escape_debug().to_string())
    }
}

/// The messages of what was received at once.
struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() {
            return None;
        }
        let mut read = || {
            let length = usize::try_from(number(rest, 0)?);
            let length = length.map_err(|_| Malformed)?;
            let body = rest.get(HEADER..length).ok_or(Malformed)?;
            self.rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            Ok(Message {
                kind: bytes(rest, 4).map(u16::from_ne_bytes)?,
                flags: bytes(rest, 6).map(u16::from_ne_bytes)?,
                sequence: number(rest, 8)?,
                body,
            })
        };
        Some(read())
    }
}

fn malformed(_: Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Malformed)
}

impl Socket {
    /// A socket in the network namespace of this thread.
    pub(crate) fn open() -> Result<Self, HostError> {
        Self::connected(0).map_err(|source| HostError::Kernel { asked: "a socket", source })
    }

    /// A socket that also gets the events of these groups, a bit for each.
    pub(super) fn connected(groups: u32) -> io::Result<Self> {
        let mut raw = Raw::new(NETLINK_ROUTE)?;
        raw.bind(&SocketAddr::new(0, groups))?;
        setsockopt(&raw, sockopt::ReceiveTimeout, &TimeVal::new(TIME.as_secs().cast_signed(), 0))?;
        // More than the system's limit is for root alone.
        if setsockopt(&raw, sockopt::RcvBufForce, &WAITING).is_err() {
            setsockopt(&raw, sockopt::RcvBuf, &WAITING)?;
        }
        // What an old kernel does not know only makes answers longer and errors shorter.
        let _ = raw.set_netlink_get_strict_chk(true);
        let _ = raw.set_ext_ack(true);
        let _ = raw.set_cap_ack(true);
        Ok(Self { raw, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// The socket, to wait for what comes by itself.
    pub(super) fn raw(&self) -> &Raw {
        &self.raw
    }

    /// What comes next from the kernel itself.
    pub(super) fn receive(
        &mut self,
        flags: i32,
    ) -> io::Result<impl Iterator<Item = io::Result<Message<'_>>>> {
        loop {
            let (length, from) = match self.raw.recv_from(&mut &mut self.buffer[..], flags) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            // Another process of root could send here too.
            if from.port_number() == 0 {
                let rest = self.buffer.get(..length).unwrap_or_default();
                return Ok(Messages { rest }.map(|message| message.map_err(malformed)));
            }
        }
    }

    fn send(&mut self, requests: &[Request], acknowledge: bool) -> io::Result<u32> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        for request in requests {
            self.sequence = self.sequence.wrapping_add(1);
            request.put_into(&mut bytes, self.sequence, acknowledge);
        }
        loop {
            match self.raw.send_to(&bytes, &SocketAddr::new(0, 0), 0) {
                Ok(sent) if sent == bytes.len() => return Ok(first),
                Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// A list, one element for every message of which `read` makes one. It is asked for again
    /// where the kernel says that it changed meanwhile.
    pub(crate) fn list<T>(
        &mut self,
        asked: &'static str,
        request: &Request,
        mut read: impl FnMut(Message<'_>) -> Result<Option<T>, Malformed>,
    ) -> Result<Vec<T>, HostError> {
        let fail = |source| HostError::Kernel { asked, source };
        for _ in 0..TRIES {
            if let Some(found) = self.list_once(request, &mut read).map_err(fail)? {
                return Ok(found);
            }
        }
        Err(fail(io::Error::other(format!("it changed every one of {TRIES} times it was read"))))
    }

    /// A list as it was asked for once; `None` where it changed meanwhile.
    fn list_once<T>(
        &mut self,
        request: &Request,
        read: &mut impl FnMut(Message<'_>) -> Result<Option<T>, Malformed>,
    ) -> io::Result<Option<Vec<T>>> {
        let number = self.send(std::slice::from_ref(request), false)?;
        let mut found = Vec::new();
        let mut is_whole = true;
        loop {
            for message in self.receive(0)? {
                let message = message?;
                if message.sequence != number {
                    continue;
                }
                is_whole &= i32::from(message.flags) & libc::NLM_F_DUMP_INTR == 0;
                match message.kind {
                    NLMSG_DONE | NLMSG_ERROR => {
                        // Nothing was said of how it ended by kernels before 2018.
                        let is_said = !message.body.is_empty();
                        let refusal = if is_said { message.refusal() } else { Ok(None) };
                        return match refusal.map_err(malformed)? {
                            Some(refusal) => Err(refusal.error),
                            None => Ok(is_whole.then_some(found)),
                        };
                    }
                    _ => found.extend(read(message).map_err(malformed)?),
                }
            }
        }
    }

    /// One thing, by a request that names it.
    pub(crate) fn one<T>(
        &mut self,
        asked: &'static str,
        request: &Request,
        read: impl Fn(Message<'_>) -> Result<T, Malformed>,
    ) -> Result<Result<T, Refusal>, HostError> {
        let fail = |source| HostError::Kernel { asked, source };
        let number = self.send(std::slice::from_ref(request), false).map_err(fail)?;
        loop {
            for message in self.receive(0).map_err(fail)? {
                let message = message.map_err(fail)?;
                if message.sequence != number {
                    continue;
                }
                let unreadable = |error| fail(malformed(error));
                if message.kind != NLMSG_ERROR {
                    return read(message).map(Ok).map_err(unreadable);
                }
                if let Some(refusal) = message.refusal().map_err(unreadable)? {
                    return Ok(Err(refusal));
                }
            }
        }
    }

    /// Sends changes in order, and says of each whether the kernel refused it. What comes after
    /// a refused one is carried out all the same.
    pub(crate) fn carry_out(
        &mut self,
        requests: &[Request],
    ) -> Result<Vec<Option<Refusal>>, HostError> {
        let fail = |source| HostError::Kernel { asked: "changes", source };
        let mut refusals = Vec::with_capacity(requests.len());
        let mut rest = requests;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(batch(rest));
            refusals.extend(self.carry_out_batch(batch).map_err(fail)?);
            rest = later;
        }
        Ok(refusals)
    }

    fn carry_out_batch(&mut self, batch: &[Request]) -> io::Result<Vec<Option<Refusal>>> {
        let first = self.send(batch, true)?;
        let mut refusals: Vec<Option<Refusal>> = Vec::new();
        refusals.resize_with(batch.len(), || None);
        let mut missing = batch.len();
        while missing > 0 {
            for message in self.receive(0)? {
                let message = message?;
                let place = usize::try_from(message.sequence.wrapping_sub(first));
                let Some(place) = place.ok().and_then(|place| refusals.get_mut(place)) else {
                    continue;
                };
                if message.kind == NLMSG_ERROR {
                    *place = message.refusal().map_err(malformed)?;
                    missing = missing.saturating_sub(1);
                }
            }
        }
        Ok(refusals)
    }
}

/// How many of these requests are sent at once; at least one.
fn batch(requests: &[Request]) -> usize {
    let mut bytes = 0;
    let fit = requests.iter().take(BATCH).take_while(|request| {
        bytes += request.length();
        bytes <= BATCH_BYTES
    });
    fit.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::{BATCH, Message, Messages, Request, batch};

    #[test]
    fn batches_are_bounded_by_count_and_size() {
        let small = Request::new(16, 0, &[0; 16]);
        assert_eq!(batch(&vec![small.clone(); 1000]), BATCH);
        assert_eq!(batch(std::slice::from_ref(&small)), 1);
        let large = Request::new(16, 0, &[0; 16]).with(20, &vec![0; 20_000]);
        assert_eq!(batch(&[large.clone(), large.clone(), small]), 1);
    }

    #[test]
    fn messages_that_are_cut_off_are_malformed() {
        let mut bytes = Vec::new();
        Request::new(16, 0, &[7; 4]).put_into(&mut bytes, 3, false);
        Request::new(17, 0, &[8; 4]).put_into(&mut bytes, 4, false);
        let all: Result<Vec<Message>, _> = Messages { rest: &bytes }.collect();
        let all = all.expect("messages");
        assert_eq!((all[0].kind, all[1].kind, all[1].sequence), (16, 17, 4));
        assert_eq!(all[1].body, [8; 4]);
        for length in [1, 15, 19, 21, 39] {
            let cut = Messages { rest: &bytes[..length] }.last().expect("one");
            assert!(cut.is_err(), "{length}");
        }
    }

    #[test]
    fn a_refusal_is_an_error_with_the_kernels_words() {
        let refused = |flags: u16, body: &[u8]| {
            let message = Message { kind: 2, flags, sequence: 1, body };
            message.refusal().map(|refusal| refusal.map(|r| (r.error.raw_os_error(), r.said)))
        };
        let head = [&(-17_i32).to_ne_bytes()[..], &[0; 16]].concat();
        let words = [&12_u16.to_ne_bytes()[..], &1_u16.to_ne_bytes(), b"taken\x0a\0\0"].concat();
        let text = [head.clone(), words].concat();
        let said = Some("taken\\n".to_owned());
        assert_eq!(refused(0x300, &text), Ok(Some((Some(17), said))));
        assert_eq!(refused(0x100, &text), Ok(Some((Some(17), None))));
        assert_eq!(refused(0, &[0; 4]), Ok(None));
        assert!(refused(0, &[0; 3]).is_err() && refused(0, &i32::MIN.to_ne_bytes()).is_err());
    }
}
