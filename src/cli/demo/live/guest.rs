//! Guests, and what passes between them: a network namespace each in the place of a virtual
//! machine.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use super::network::Network;
use crate::cli::demo::origin::failed;
use crate::cli::failure::{Exit, Failure};
use crate::plan::NetworkStep;
use crate::value::IfName;

/// How long one ping waits for the next.
const PACE: Duration = Duration::from_millis(10);
/// A ping that was not answered within this time is lost.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long guests may need to find each other.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// Who may ping without rights of root: everybody of this network namespace (`icmp(7)`).
const PING_GROUPS: &str = "/proc/sys/net/ipv4/ping_group_range";
/// The kinds of messages of ICMP (RFC 792).
const ECHO: u8 = 8;
const ECHO_REPLY: u8 = 0;
/// The length of such a message's own header.
const HEADER: usize = 8;
/// Where guests answer TCP.
pub(super) const PORT: u16 = 7;

/// A guest.
pub(super) struct Guest {
    network: Network,
    /// Its address.
    pub(super) address: Ipv4Addr,
}

impl Guest {
    /// Starts a guest whose port on a node is put into a bridge there.
    pub(super) fn start(
        node: &Network,
        port: &IfName,
        bridge: &IfName,
        address: Ipv4Addr,
        mtu: u32,
    ) -> Result<Self, Failure> {
        let network = Network::new().map_err(|error| failed(&error))?;
        let inner: IfName = "eth0".parse().map_err(|error| failed(&error))?;
        node.lay((port, node.file()), (&inner, network.file()))?;
        let net = format!("{address}/24").parse().map_err(|_| no_address())?;
        network.change(&[
            NetworkStep::SetMtu { interface: inner.clone(), mtu },
            NetworkStep::AddAddress { interface: inner.clone(), address: net },
            NetworkStep::SetUp { interface: inner },
        ])?;
        node.change(&[
            NetworkStep::SetMtu { interface: port.clone(), mtu },
            NetworkStep::SetMaster { interface: port.clone(), master: Some(bridge.clone()) },
            NetworkStep::SetUp { interface: port.clone() },
        ])?;
        let listener = network
            .within(|| TcpListener::bind(SocketAddr::from((address, PORT))))
            .map_err(|error| failed(&error))?;
        // Until the program ends.
        thread::spawn(move || listener.incoming().for_each(drop));
        Ok(Self { network, address })
    }

    /// Begins to ping another guest, once it answers.
    pub(super) fn ping(&self, other: &Self) -> Result<Stream, Failure> {
        let open = || {
            fs::write(PING_GROUPS, "0 2147483647")?;
            let flags = SockFlag::SOCK_CLOEXEC;
            let protocol = SockProtocol::Icmp;
            let socket = socket(AddressFamily::Inet, SockType::Datagram, flags, protocol)?;
            Ok(UdpSocket::from(socket))
        };
        let socket = self.network.within(open).map_err(|error| failed(&error))?;
        Stream::begin(socket, other.address).map_err(|error| failed(&error))
    }
}

/// An ICMP echo request every [`PACE`], until it is dropped.
pub(super) struct Stream {
    pings: Arc<Mutex<Vec<Ping>>>,
    over: Arc<AtomicBool>,
    /// The first ping that was not counted yet.
    counted: usize,
}

/// One echo request.
#[derive(Clone, Copy)]
struct Ping {
    sent: Instant,
    answered: bool,
}

/// What became of pings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub(in crate::cli::demo) struct Pings {
    /// How many were sent.
    pub(super) sent: usize,
    /// How many were not answered within [`PATIENCE`].
    pub(super) lost: usize,
    /// How long none was answered, at the longest.
    #[serde(rename = "longest-silence-ms", serialize_with = "milliseconds")]
    pub(super) longest_silence: Duration,
}

impl Stream {
    fn begin(socket: UdpSocket, to: Ipv4Addr) -> io::Result<Self> {
        socket.set_read_timeout(Some(PATIENCE))?;
        let stream = Self { pings: Arc::default(), over: Arc::default(), counted: 0 };
        let receiver = socket.try_clone()?;
        let (pings, over) = (Arc::clone(&stream.pings), Arc::clone(&stream.over));
        thread::Builder::new().name("pings".to_owned()).spawn(move || {
            let mut next = Instant::now();
            while !over.load(Ordering::SeqCst) {
                let number = locked(&pings, |pings| {
                    pings.push(Ping { sent: Instant::now(), answered: false });
                    pings.len() - 1
                });
                // The kernel fills in the checksum. What cannot be sent is not answered.
                let mut message = vec![ECHO, 0, 0, 0, 0, 0, 0, 0];
                message.extend((number as u64).to_be_bytes());
                let _ = socket.send_to(&message, SocketAddr::from((to, 0)));
                // What a busy machine was late with is not sent all at once.
                next = (next + PACE).max(Instant::now());
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        })?;
        let (pings, over) = (Arc::clone(&stream.pings), Arc::clone(&stream.over));
        thread::Builder::new().name("answers".to_owned()).spawn(move || {
            let mut message = [0; 64];
            while !over.load(Ordering::SeqCst) {
                // Nothing came within the time.
                let Ok(length) = receiver.recv(&mut message) else { continue };
                let Some(number) = answered(&message[..length]) else { continue };
                locked(&pings, |pings| {
                    if let Some(ping) = pings.get_mut(number) {
                        ping.answered |= ping.sent.elapsed() <= PATIENCE;
                    }
                });
            }
        })?;
        Ok(stream)
    }

    /// Waits until pings are answered, and counts from then on.
    pub(super) fn wait(&mut self) -> Result<(), Failure> {
        let until = Instant::now() + FIRST_ANSWER;
        let from = locked(&self.pings, |pings| pings.len());
        while Instant::now() < until {
            thread::sleep(PACE);
            let found = locked(&self.pings, |pings| {
                let new = pings.iter().enumerate().skip(from);
                new.filter(|(_, ping)| ping.answered).map(|(number, _)| number).next()
            });
            if let Some(first) = found {
                self.counted = first;
                return Ok(());
            }
        }
        Err(Failure::new(Exit::Failed, "the guests do not reach each other"))
    }

    /// What became of all pings since the last count, up to now.
    pub(super) fn count(&mut self) -> Pings {
        let end = locked(&self.pings, |pings| pings.len());
        let until = Instant::now() + PATIENCE;
        let counted = loop {
            let since: Vec<Ping> = locked(&self.pings, |pings| pings[self.counted..end].to_vec());
            let waits = since.iter().any(|ping| !ping.answered && ping.sent.elapsed() <= PATIENCE);
            if !waits || Instant::now() >= until {
                break since;
            }
            thread::sleep(PACE);
        };
        self.counted = end;
        Pings::of(&counted)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

impl Pings {
    fn of(pings: &[Ping]) -> Self {
        let silences = pings.chunk_by(|one, other| one.answered == other.answered);
        let lasted = silences.filter(|run| !run[0].answered).map(|run| {
            let span = run.last().map(|last| last.sent.duration_since(run[0].sent) + PACE);
            span.unwrap_or_default()
        });
        Self {
            sent: pings.len(),
            lost: pings.iter().filter(|ping| !ping.answered).count(),
            longest_silence: lasted.max().unwrap_or_default(),
        }
    }
}

fn milliseconds<S: serde::Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// The number of the ping that a message answers.
fn answered(message: &[u8]) -> Option<usize> {
    let (header, data) = message.split_at_checked(HEADER)?;
    let number = u64::from_be_bytes(data.try_into().ok()?);
    usize::try_from(number).ok().filter(|_| header[0] == ECHO_REPLY)
}

fn locked<T>(pings: &Mutex<Vec<Ping>>, look: impl FnOnce(&mut Vec<Ping>) -> T) -> T {
    look(&mut pings.lock().unwrap_or_else(PoisonError::into_inner))
}

fn no_address() -> Failure {
    Failure::new(Exit::Failed, "a guest has no address")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Ping, Pings, answered};

    #[test]
    fn what_was_not_answered_is_counted() {
        let begun = Instant::now();
        let pings: Vec<Ping> = [true, false, true, false, false, false, true]
            .into_iter()
            .zip(0_u64..)
            .map(|(answered, n)| Ping { sent: begun + Duration::from_millis(10 * n), answered })
            .collect();
        let longest_silence = Duration::from_millis(30);
        assert_eq!(Pings::of(&pings), Pings { sent: 7, lost: 4, longest_silence });
        let longest_silence = Duration::ZERO;
        assert_eq!(Pings::of(&pings[..1]), Pings { sent: 1, lost: 0, longest_silence });
    }

    #[test]
    fn only_an_answer_counts() {
        let message = |kind: u8| [&[kind, 0, 1, 2, 3, 4, 5, 6][..], &7_u64.to_be_bytes()].concat();
        assert_eq!(answered(&message(0)), Some(7));
        assert_eq!(answered(&message(8)), None);
        assert_eq!(answered(&message(3)[..12]), None);
    }
}
