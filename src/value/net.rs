//! Addresses and prefixes.

use std::cmp::Ordering;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a text is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{}` is not {what}", text.escape_debug())]
pub struct BadNet {
    text: String,
    what: &'static str,
}

impl BadNet {
    fn new(text: &str, what: &'static str) -> Self {
        Self { text: text.to_owned(), what }
    }
}

macro_rules! text_form {
    ($name:ident, $error:ty) => {
        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}

/// A prefix whose text is kept as written, host bits and all, because Proxmox
/// derives ids from the text. Prefix lengths from 8.
///
/// The order is the byte order of the subnet id (the text with `/` as `-`).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    text: Box<str>,
    net: IpNet,
}

impl Cidr {
    /// The prefix, its host bits kept.
    pub fn net(&self) -> IpNet {
        self.net
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part of the subnet's id behind the zone: the text with `-` for `/`.
    pub fn id(&self) -> String {
        self.text.replace('/', "-")
    }

    /// Whether the address lies in the prefix.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.net.contains(&address)
    }
}

impl FromStr for Cidr {
    type Err = BadNet;

    fn from_str(text: &str) -> Result<Self, BadNet> {
        match text.parse::<IpNet>() {
            Ok(net) if net.prefix_len() >= 8 => Ok(Self { text: text.into(), net }),
            Ok(_) => Err(BadNet::new(text, "a prefix of length 8 or more")),
            Err(_) => Err(BadNet::new(text, "a prefix such as `10.0.0.0/24` or `2001:db8::/64`")),
        }
    }
}

text_form!(Cidr, BadNet);

impl PartialEq for Cidr {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Cidr {}

impl PartialOrd for Cidr {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Cidr {
    fn cmp(&self, other: &Self) -> Ordering {
        let id = |byte| if byte == b'/' { b'-' } else { byte };
        self.text.bytes().map(id).cmp(other.text.bytes().map(id))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A unicast Ethernet address, its text kept as written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress {
    text: Box<str>,
    bytes: [u8; 6],
}

impl MacAddress {
    /// The six octets.
    pub fn octets(&self) -> [u8; 6] {
        self.bytes
    }
}

impl FromStr for MacAddress {
    type Err = BadNet;

    fn from_str(text: &str) -> Result<Self, BadNet> {
        let bad = || BadNet::new(text, "a unicast MAC address such as `BC:24:11:00:00:01`");
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(bad)?;
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(bad());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| bad())?;
        }
        if parts.next().is_some() || bytes[0] & 1 == 1 {
            return Err(bad());
        }
        Ok(Self { text: text.into(), bytes })
    }
}

text_form!(MacAddress, BadNet);

impl PartialEq for MacAddress {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for MacAddress {}

impl PartialOrd for MacAddress {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MacAddress {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Addresses from the first to the last, both included, of one family. Written
/// `10.0.0.10-10.0.0.20`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange {
    start: IpAddr,
    end: IpAddr,
}

impl AddressRange {
    /// A range, unless the ends are of two families or in the wrong order.
    pub fn new(start: IpAddr, end: IpAddr) -> Result<Self, BadNet> {
        if start.is_ipv4() == end.is_ipv4() && start <= end {
            Ok(Self { start, end })
        } else {
            Err(BadNet::new(
                &format!("{start}-{end}"),
                "a range of one family, the lower end first",
            ))
        }
    }

    /// The first address.
    pub fn start(&self) -> IpAddr {
        self.start
    }

    /// The last address.
    pub fn end(&self) -> IpAddr {
        self.end
    }

    /// Whether two ranges share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start.is_ipv4() == other.start.is_ipv4()
            && self.start <= other.end
            && other.start <= self.end
    }
}

impl FromStr for AddressRange {
    type Err = BadNet;

    fn from_str(text: &str) -> Result<Self, BadNet> {
        let bad = || BadNet::new(text, "a range such as `10.0.0.10-10.0.0.20`");
        let (start, end) = text.split_once('-').ok_or_else(bad)?;
        let start = start.trim().parse().map_err(|_| bad())?;
        let end = end.trim().parse().map_err(|_| bad())?;
        Self::new(start, end)
    }
}

text_form!(AddressRange, BadNet);

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

/// A BGP route target of the form `N:N`, both numbers of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RouteTarget {
    administrator: u32,
    number: u32,
}

impl RouteTarget {
    /// The first number: most often an AS.
    pub fn administrator(&self) -> u32 {
        self.administrator
    }

    /// The second number: of an EVPN zone's own target the VNI of its VRF.
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl FromStr for RouteTarget {
    type Err = BadNet;

    fn from_str(text: &str) -> Result<Self, BadNet> {
        let bad = || BadNet::new(text, "a route target such as `65000:10000`");
        let part = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten().ok_or_else(bad)
        };
        let (administrator, number) = text.split_once(':').ok_or_else(bad)?;
        Ok(Self { administrator: part(administrator)?, number: part(number)? })
    }
}

text_form!(RouteTarget, BadNet);

impl fmt::Display for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.administrator, self.number)
    }
}

/// An IS-IS network entity title such as `49.0001.1921.6800.1002.00`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IsisNet(Box<str>);

impl FromStr for IsisNet {
    type Err = BadNet;

    fn from_str(text: &str) -> Result<Self, BadNet> {
        let parts: Vec<&str> = text.split('.').collect();
        let hex = |part: &str, len: usize| {
            part.len() == len && part.bytes().all(|b| b.is_ascii_hexdigit())
        };
        match parts.as_slice() {
            [first, middle @ .., last]
                if hex(first, 2)
                    && hex(last, 2)
                    && (3..=9).contains(&middle.len())
                    && middle.iter().all(|part| hex(part, 4)) =>
            {
                Ok(Self(text.into()))
            }
            _ => Err(BadNet::new(text, "an IS-IS NET such as `49.0001.1921.6800.1002.00`")),
        }
    }
}

text_form!(IsisNet, BadNet);

impl fmt::Display for IsisNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Cidr;

    #[test]
    fn prefixes_stand_in_the_byte_order_of_their_ids() {
        // Where the other reading of `/` or the other side of a digit would differ.
        let texts = [
            "10.0.0.0/8",
            "10.0.0.0/24",
            "10.0.0.0/9",
            "10.0.0.10/24",
            "10.0.0.1/24",
            "9.0.0.0/8",
            "100.0.0.0/8",
            "2001:db8::/64",
            "2001:db8::1/64",
            "2001:DB8::/64",
            "fd00::/8",
        ];
        let mut found: Vec<Cidr> = texts.iter().map(|text| text.parse().unwrap()).collect();
        found.sort();
        let mut ids: Vec<String> = texts.iter().map(|text| text.replace('/', "-")).collect();
        ids.sort();
        assert_eq!(found.iter().map(Cidr::id).collect::<Vec<_>>(), ids);
    }
}
