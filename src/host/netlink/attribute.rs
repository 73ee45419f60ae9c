//! Attributes of messages, as they lie in memory.

use std::borrow::Cow;
use std::net::IpAddr;

use thiserror::Error;

/// A message that is not as the kernel's headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a message is malformed")]
pub(crate) struct Malformed;

/// The attributes in a piece of a message.
#[derive(Clone, Debug)]
pub(crate) struct Attributes<'a> {
    rest: &'a [u8],
}

/// One attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attribute<'a> {
    /// Its number, without the flags beside it.
    pub(crate) kind: u16,
    /// Its value.
    pub(crate) value: &'a [u8],
}

const HEADER: usize = 4;

/// What lies beside an attribute's number (`NLA_F_NESTED`, `NLA_F_NET_BYTEORDER`).
const FLAGS: u16 = 0xc000;

/// Some bytes at a place.
pub(crate) fn bytes<const N: usize>(text: &[u8], at: usize) -> Result<[u8; N], Malformed> {
    let end = at.checked_add(N).ok_or(Malformed)?;
    text.get(at..end).and_then(|found| found.try_into().ok()).ok_or(Malformed)
}

/// A number at a place, in the order of this machine.
pub(crate) fn number(text: &[u8], at: usize) -> Result<u32, Malformed> {
    bytes(text, at).map(u32::from_ne_bytes)
}

impl<'a> Attributes<'a> {
    /// The attributes that begin at a place of a message.
    pub(crate) fn at(message: &'a [u8], place: usize) -> Result<Self, Malformed> {
        Ok(Self { rest: message.get(place..).ok_or(Malformed)? })
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() {
            return None;
        }
        let (Ok(length), Ok(kind)) = (bytes(rest, 0), bytes(rest, 2)) else {
            return Some(Err(Malformed));
        };
        let length = usize::from(u16::from_ne_bytes(length));
        let Some(value) = rest.get(HEADER..length) else { return Some(Err(Malformed)) };
        self.rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Ok(Attribute { kind: u16::from_ne_bytes(kind) & !FLAGS, value }))
    }
}

impl<'a> Attribute<'a> {
    pub(crate) fn u8(&self) -> Result<u8, Malformed> {
        bytes::<1>(self.value, 0).map(|[byte]| byte)
    }

    pub(crate) fn u16(&self) -> Result<u16, Malformed> {
        bytes(self.value, 0).map(u16::from_ne_bytes)
    }

    /// A number in the order of the network.
    pub(crate) fn be16(&self) -> Result<u16, Malformed> {
        bytes(self.value, 0).map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&self) -> Result<u32, Malformed> {
        bytes(self.value, 0).map(u32::from_ne_bytes)
    }

    /// Whether a number of a list of 32-bit numbers is there and not 0.
    pub(crate) fn is_on(&self, place: usize) -> bool {
        bytes::<4>(self.value, place * 4).is_ok_and(|number| number != [0; 4])
    }

    /// Text up to the 0 at its end.
    pub(crate) fn text(&self) -> Cow<'a, str> {
        let end = self.value.iter().position(|byte| *byte == 0).unwrap_or(self.value.len());
        String::from_utf8_lossy(&self.value[..end])
    }

    /// The attributes within.
    pub(crate) fn within(&self) -> Attributes<'a> {
        Attributes { rest: self.value }
    }

    /// An address, by its length.
    pub(crate) fn address(&self) -> Result<IpAddr, Malformed> {
        match self.value.len() {
            4 => bytes::<4>(self.value, 0).map(IpAddr::from),
            16 => bytes::<16>(self.value, 0).map(IpAddr::from),
            _ => Err(Malformed),
        }
    }

    /// The address of Ethernet; `None` of what has another kind of address.
    pub(crate) fn mac(&self) -> Option<String> {
        let parts = <[u8; 6]>::try_from(self.value).ok()?;
        Some(parts.map(|part| format!("{part:02x}")).join(":"))
    }

    /// Whether it is the address of Ethernet that is nobody's.
    pub(crate) fn is_zero_mac(&self) -> bool {
        self.value == [0; 6]
    }
}

/// One attribute, as this machine writes it.
#[cfg(test)]
pub(crate) fn written(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len() + 4).expect("short");
    let mut bytes = [&length.to_ne_bytes(), &kind.to_ne_bytes(), value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::{Attribute, Attributes, Malformed};

    fn all(text: &[u8]) -> Result<Vec<Attribute<'_>>, Malformed> {
        Attributes::at(text, 0)?.collect()
    }

    /// Lengths are of the machine that runs this, as the kernel's are.
    fn attribute(length: u16, kind: u16, value: &[u8]) -> Vec<u8> {
        [&length.to_ne_bytes(), &kind.to_ne_bytes(), value].concat()
    }

    #[test]
    fn attributes_are_read_to_their_end() {
        let text = [attribute(5, 3, b"a\0\0\0"), attribute(8, 0x8004, &[1, 0, 0, 0])].concat();
        let found = all(&text).expect("attributes");
        assert_eq!((found[0].kind, &*found[0].text()), (3, "a"));
        assert_eq!((found[1].kind, found[1].value), (4, &[1, 0, 0, 0][..]));
        // The kernel pads the last one or does not.
        assert_eq!(all(&text[..5]).expect("one").len(), 1);
        assert_eq!(all(b"").expect("none").len(), 0);
    }

    #[test]
    fn what_is_too_short_is_malformed() {
        let long = attribute(12, 3, b"abcd");
        for text in [&long[..], &long[..3], &attribute(3, 3, b""), &attribute(0, 3, b"abcd")] {
            assert_eq!(all(text), Err(Malformed), "{text:?}");
        }
        let short = Attribute { kind: 1, value: &[1, 2, 3] };
        assert!(short.u32().is_err() && short.address().is_err() && short.mac().is_none());
        assert!(short.u16().is_ok() && !short.is_on(0) && !short.is_on(usize::MAX / 8));
        assert!(Attributes::at(&[0; 4], 5).is_err());
    }
}
