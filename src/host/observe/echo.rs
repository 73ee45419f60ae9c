//! ICMP echoes: whether somebody has an address (RFC 792; RFC 4443 §4).

use std::collections::hash_map::RandomState;
use std::ffi::OsString;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6, UdpSocket};
use std::thread;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt::BindToDevice,
};

use super::Bound;

/// How long an address may take, and after which time it is asked again: one echo may be lost, or
/// be let fall while the MAC address is asked for.
const TIME: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(200);

/// How many bytes an echo brings back, as many as everybody's.
const PAYLOAD: usize = 56;
/// The longest packet that is read: a header of IPv4 with options (RFC 791 §3.1), and an echo.
const LONGEST: usize = 60 + 8 + PAYLOAD;

/// Whether an address answers one of some echoes within a second. `by` is an interface or a VRF; an
/// address that is local to a link needs its interface.
pub(super) fn answers(address: IpAddr, by: Option<&str>, bound: Bound) -> bool {
    let Some(left) = bound.left() else { return false };
    converse(address, by, Bound::of(left.min(TIME))).unwrap_or(false)
}

fn converse(address: IpAddr, by: Option<&str>, bound: Bound) -> io::Result<bool> {
    let socket = open(address, by)?;
    // Keyed anew for each: nobody can guess it.
    let key = RandomState::new().build_hasher().finish().to_be_bytes();
    let mut packet = [0; LONGEST];
    for sequence in 0_u16.. {
        if bound.is_over() {
            break;
        }
        let turn = Bound::of(PAUSE);
        // Nobody has the address now: somebody may in a moment.
        if socket.send(&request(address, key, sequence)).is_err() {
            thread::sleep(PAUSE);
            continue;
        }
        while let Some(left) = turn.left() {
            socket.set_read_timeout(Some(left))?;
            match socket.recv(&mut packet) {
                Ok(length) if is_reply(packet.get(..length).unwrap_or_default(), address, key) => {
                    return Ok(true);
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The time is over, or the kernel says that nobody has the address.
                Err(_) => thread::sleep(turn.left().unwrap_or_default()),
            }
        }
    }
    Ok(false)
}

/// A raw socket (raw(7)) that hears of nobody else. The type of the standard library does with it
/// what it does with any that is connected.
fn open(address: IpAddr, by: Option<&str>) -> io::Result<UdpSocket> {
    let (family, protocol) = match address {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    let raw = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    if let Some(by) = by {
        setsockopt(&raw, BindToDevice, &OsString::from(by))?;
    }
    let to = match (address, by) {
        (IpAddr::V6(v6), Some(by)) if v6.is_unicast_link_local() => {
            SocketAddrV6::new(v6, 0, 0, if_nametoindex(by)?).into()
        }
        _ => SocketAddr::new(address, 0),
    };
    let socket = UdpSocket::from(raw);
    socket.connect(to)?;
    Ok(socket)
}

/// An echo request. The key is its identifier, and what it brings back.
fn request(address: IpAddr, key: [u8; 8], sequence: u16) -> Vec<u8> {
    let kind = if address.is_ipv4() { 8 } else { 128 };
    let mut message = vec![kind, 0, 0, 0, key[0], key[1]];
    message.extend(sequence.to_be_bytes());
    message.extend(key.iter().cycle().take(PAYLOAD));
    // That of IPv6 is over addresses too, and the kernel's (RFC 3542 §3.1).
    if address.is_ipv4() {
        let sum = checksum(&message).to_be_bytes();
        message[2..4].copy_from_slice(&sum);
    }
    message
}

/// Whether a packet answers an echo with this key. Packets of IPv4 come with their header.
fn is_reply(packet: &[u8], address: IpAddr, key: [u8; 8]) -> bool {
    let (header, kind) = match (address, packet.first()) {
        (IpAddr::V4(_), Some(first)) => (usize::from(first & 15) * 4, 0),
        _ => (0, 129),
    };
    let Some(message) = packet.get(header..) else { return false };
    message.starts_with(&[kind, 0])
        && message.get(4..6) == Some(&key[..2])
        && message.get(8..16) == Some(&key)
}

/// The checksum of the internet (RFC 1071), where the field for it is zero.
fn checksum(message: &[u8]) -> u16 {
    let add = |sum: u16, pair: &[u8]| {
        let second = pair.get(1).copied().unwrap_or_default();
        let (sum, carry) = sum.overflowing_add(u16::from_be_bytes([pair[0], second]));
        sum + u16::from(carry)
    };
    !message.chunks(2).fold(0, add)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use nix::sched::{CloneFlags, unshare};

    use super::{IpAddr, answers, checksum, is_reply, request};
    use crate::host::observe::Bound;

    const KEY: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_sum_is_that_of_the_rfc() {
        // RFC 1071 §3.
        assert_eq!(!checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
        let request = request(address("192.0.2.1"), KEY, 7);
        assert_eq!((checksum(&request), request.len()), (0, 64));
    }

    #[test]
    fn only_its_own_answer_is_one() {
        for (to, header, kind) in [("192.0.2.1", 24, 0), ("2001:db8::1", 0, 129)] {
            let to = address(to);
            let mut packet = vec![0x46; header];
            packet.extend(request(to, KEY, 7));
            assert!(!is_reply(&packet, to, KEY), "a request is no answer");
            packet[header] = kind;
            assert!(is_reply(&packet, to, KEY));
            assert!(!is_reply(&packet, to, [9; 8]), "somebody else's");
            for length in 0..header + 16 {
                assert!(!is_reply(&packet[..length], to, KEY), "cut at {length}");
            }
        }
    }

    /// In a thread of its own, which has a network of its own.
    #[test]
    fn who_is_there_answers() {
        let asked = std::thread::spawn(|| {
            if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
                println!("skipped: no network namespace can be made: {error}");
                return;
            }
            let asks = |to: &str, by| answers(address(to), by, Bound::of(Duration::from_secs(3)));
            assert!(!asks("127.0.0.1", None), "the loopback is down");
            let up = crate::plan::NetworkStep::SetUp { interface: "lo".parse().expect("a name") };
            crate::host::network::change(&[up]).expect("it works");
            for by in [None, Some("lo")] {
                assert!(asks("127.0.0.1", by) && asks("::1", by), "{by:?}");
            }
            assert!(!asks("127.0.0.1", Some("eth9")), "there is no such interface");
            let begun = Instant::now();
            assert!(!asks("192.0.2.1", None), "nobody has it");
            assert!(begun.elapsed() < Duration::from_secs(2));
        });
        asked.join().expect("it ends");
    }
}
