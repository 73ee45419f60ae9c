//! Messages to the kernel.

use nix::libc;

/// The length of a message's own header (`struct nlmsghdr`).
pub(super) const HEADER: usize = 16;

/// An attribute's number says that there are more within.
const NESTED: u16 = 0x8000;

/// One message. Its length is set when something is added, its number when it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// A message of a kind with the kind's own header.
    pub(crate) fn new(kind: u16, flags: i32, header: &[u8]) -> Self {
        let flags = u16::try_from(flags | libc::NLM_F_REQUEST)
            .expect("flags of messages are the lower 16 bits");
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(header);
        Self { bytes }.measured()
    }

    /// With an attribute.
    pub(crate) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len() + 4).expect("values here are shorter than 64 KiB");
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.measured()
    }

    /// With text that ends with a 0.
    pub(crate) fn with_text(self, kind: u16, text: &str) -> Self {
        self.with(kind, &[text.as_bytes(), &[0]].concat())
    }

    /// With an attribute that has others within.
    pub(crate) fn with_nest(self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        let mut filled = fill(self.with(kind | NESTED, &[]));
        let length = u16::try_from(filled.bytes.len() - start)
            .expect("what is nested here is shorter than 64 KiB");
        filled.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        filled
    }

    /// With bytes that are no attribute, where the kernel has a structure within one.
    pub(crate) fn with_bytes(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self.measured()
    }

    fn measured(mut self) -> Self {
        let length = u32::try_from(self.bytes.len()).expect("messages are shorter than 4 GiB");
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        self
    }

    /// Its bytes with its number, and more flags than it was made with.
    pub(super) fn put_into(&self, bytes: &mut Vec<u8>, sequence: u32, acknowledge: bool) {
        let start = bytes.len();
        bytes.extend_from_slice(&self.bytes);
        bytes[start + 8..start + 12].copy_from_slice(&sequence.to_ne_bytes());
        if acknowledge {
            // `NLM_F_ACK` is 4.
            let flags = u16::from_ne_bytes([bytes[start + 6], bytes[start + 7]]) | 4;
            bytes[start + 6..start + 8].copy_from_slice(&flags.to_ne_bytes());
        }
    }

    pub(super) fn length(&self) -> usize {
        self.bytes.len()
    }
}

fn byte(number: i32) -> u8 {
    u8::try_from(number).expect("families of addresses are small")
}

/// The header of an interface (`struct ifinfomsg`): `up` sets it up, index 0 leaves it to a name.
pub(crate) fn link_header(family: i32, index: u32, up: bool) -> [u8; 16] {
    let mut header = [0; 16];
    header[0] = byte(family);
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    if up {
        // `IFF_UP` is 1: the flag, and that it is what changes.
        header[8..12].copy_from_slice(&1_u32.to_ne_bytes());
        header[12..16].copy_from_slice(&1_u32.to_ne_bytes());
    }
    header
}

/// The header of an address of global scope (`struct ifaddrmsg`).
pub(crate) fn address_header(family: i32, length: u8, index: u32) -> [u8; 8] {
    let mut header = [0; 8];
    header[..2].copy_from_slice(&[byte(family), length]);
    header[4..].copy_from_slice(&index.to_ne_bytes());
    header
}

/// The header of an entry of an interface's own forwarding table (`struct ndmsg`).
pub(crate) fn neighbour_header(family: i32, index: u32, state: u16, flags: u8) -> [u8; 12] {
    let mut header = [0; 12];
    header[0] = byte(family);
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..10].copy_from_slice(&state.to_ne_bytes());
    header[10] = flags;
    header
}

/// The header of a route (`struct rtmsg`).
pub(crate) fn route_header(
    family: i32,
    length: u8,
    table: u8,
    protocol: u8,
    scope: u8,
    kind: u8,
) -> [u8; 12] {
    [byte(family), length, 0, 0, table, protocol, scope, kind, 0, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::super::Attributes;
    use super::{HEADER, Request};

    #[test]
    fn what_is_written_is_what_is_read() {
        let request = Request::new(16, 0, &[0; 16]).with_text(3, "va").with_nest(18, |info| {
            info.with_text(1, "vxlan").with_nest(2, |data| data.with(1, &[7]))
        });
        let mut bytes = Vec::new();
        request.put_into(&mut bytes, 9, true);
        let length = u32::from_ne_bytes(bytes[..4].try_into().expect("four"));
        assert_eq!(usize::try_from(length).expect("small"), bytes.len());
        assert_eq!((bytes[6], bytes[8]), (5, 9));
        let top: Result<Vec<_>, _> = Attributes::at(&bytes, HEADER + 16).expect("it").collect();
        let top = top.expect("attributes");
        assert_eq!((top[0].kind, &*top[0].text(), top[1].kind), (3, "va", 18));
        let info: Result<Vec<_>, _> = top[1].within().collect();
        let info = info.expect("attributes");
        assert_eq!((&*info[0].text(), info[1].kind), ("vxlan", 2));
        let data = info[1].within().next().expect("one").expect("an attribute");
        assert_eq!((data.kind, data.value), (1, &[7][..]));
    }
}
