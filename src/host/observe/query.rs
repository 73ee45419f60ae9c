//! Whether a DNS server knows an address of a name (RFC 1035).

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::Bound;
use crate::value::DnsName;

const PORT: u16 = 53;
/// The types of records of addresses.
const A: u16 = 1;
const AAAA: u16 = 28;
/// The class of the internet.
const INTERNET: u16 = 1;
/// The longest answer over UDP without extensions.
const LONGEST: usize = 512;
/// How often a question is asked: a packet may be lost.
const TIMES: u32 = 3;

/// Whether a server has an address of either version for a name.
pub(super) fn exists(name: &DnsName, server: IpAddr, bound: Bound) -> bool {
    [A, AAAA].into_iter().any(|kind| ask(name, kind, server, bound).unwrap_or(false))
}

/// Whether there is a record of a type; `None` where there is no answer.
fn ask(name: &DnsName, kind: u16, server: IpAddr, bound: Bound) -> Option<bool> {
    let any: IpAddr = match server {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    // From then on only the server's own packets come in.
    socket.connect(SocketAddr::new(server, PORT)).ok()?;
    // Keyed anew for each: nobody can guess it.
    let id = RandomState::new().build_hasher().finish().to_be_bytes();
    let question = question([id[0], id[1]], name.as_str(), kind);
    for left in (1..=TIMES).rev() {
        socket.send(&question).ok()?;
        let turn = Bound::of(bound.left()? / left);
        while let Some(time) = turn.left() {
            socket.set_read_timeout(Some(time)).ok()?;
            let mut answer = [0; LONGEST];
            let Ok(read) = socket.recv(&mut answer) else { break };
            if let Some(known) = has_record(answer.get(..read)?, &question, kind) {
                return Some(known);
            }
        }
    }
    None
}

fn question(id: [u8; 2], name: &str, kind: u16) -> Vec<u8> {
    // Recursion is desired; one question.
    let mut bytes = vec![id[0], id[1], 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        // A `DnsName` has labels of 1 to 63 bytes.
        bytes.extend(u8::try_from(label.len()));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend(INTERNET.to_be_bytes());
    bytes
}

/// Whether an answer holds a record of a type; `None` if it is no answer to this question,
/// or cannot be read.
fn has_record(answer: &[u8], question: &[u8], kind: u16) -> Option<bool> {
    let (head, body) = answer.split_at_checked(12)?;
    let asked = question.get(12..)?;
    let is_response = head.get(2)? & 0x80 != 0;
    let same = body.get(..asked.len())?.eq_ignore_ascii_case(asked);
    if head.get(..2)? != question.get(..2)? || !is_response || !same {
        return None;
    }
    if head.get(3)? & 0x0f != 0 {
        return Some(false);
    }
    // Cut off: there is more than fits in here.
    if head.get(2)? & 0x02 != 0 {
        return Some(true);
    }
    let records = u16::from_be_bytes([*head.get(6)?, *head.get(7)?]);
    let mut rest = body.get(asked.len()..)?;
    for _ in 0..records {
        rest = after_name(rest)?;
        let (fixed, data) = rest.split_at_checked(10)?;
        if u16::from_be_bytes([*fixed.first()?, *fixed.get(1)?]) == kind {
            return Some(true);
        }
        let length = u16::from_be_bytes([*fixed.get(8)?, *fixed.get(9)?]);
        rest = data.get(usize::from(length)..)?;
    }
    Some(false)
}

/// What follows a name, which ends with an empty label or a pointer (RFC 1035 §4.1.4).
fn after_name(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        let (&length, rest) = bytes.split_first()?;
        match length {
            0 => return Some(rest),
            1..=63 => bytes = rest.get(usize::from(length)..)?,
            192..=255 => return rest.get(1..),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{A, AAAA, has_record, question};

    fn answer(flags: [u8; 2], records: &[&[u8]]) -> Vec<u8> {
        let mut bytes = question([7, 8], "WWW.example", A);
        bytes[2..4].copy_from_slice(&flags);
        bytes[7] = u8::try_from(records.len()).expect("few");
        bytes.extend(records.concat());
        bytes
    }

    #[test]
    fn only_an_answer_to_the_question_counts() {
        let asked = question([7, 8], "www.example", A);
        let alias: &[u8] = &[192, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 4, 1, b'a', 192, 16];
        let address: &[u8] = &[1, b'a', 192, 16, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1];
        let has = |bytes: &[u8]| has_record(bytes, &asked, A);
        let good = answer([0x81, 0x80], &[alias, address]);
        assert_eq!(has(&good), Some(true));
        assert_eq!(has_record(&good, &question([7, 8], "www.example", AAAA), AAAA), None);
        assert_eq!(has(&answer([0x81, 0x80], &[alias])), Some(false));
        assert_eq!(has(&answer([0x81, 0x83], &[])), Some(false));
        assert_eq!(has(&answer([0x83, 0x80], &[])), Some(true));
        assert_eq!(has(&answer([0x01, 0x00], &[address])), None);
        let mut other = good.clone();
        other[1] = 9;
        assert_eq!(has(&other), None);
        // Cut off anywhere it is no answer, or one without the address.
        for end in 0..good.len() - 14 {
            assert_eq!(has(&good[..end]), None, "{end}");
        }
        let endless: &[u8] = &[63; 40];
        assert_eq!(has(&answer([0x81, 0x80], &[endless])), None);
    }
}
