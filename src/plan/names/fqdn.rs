//! Absolute names.

use std::fmt;
use std::net::IpAddr;

use crate::value::DnsName;

/// The longest name without its final dot, in bytes of its text (RFC 1035 §2.3.4: 255 on the
/// wire).
const LONGEST: usize = 253;
/// The longest name that a server may say: each byte may be written `\DDD`.
const LONGEST_WRITTEN: usize = 1024;

/// An absolute DNS name in lower case, with its final dot. Two names are equal exactly if
/// DNS takes them for the same (RFC 4343).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fqdn(Box<str>);

impl Fqdn {
    /// A declared name, made absolute.
    pub fn of(name: &DnsName) -> Self {
        Self(format!("{}.", name.as_str().to_ascii_lowercase()).into())
    }

    /// A name as a server says it, which may have any labels, escaped where they must be.
    pub fn read(text: &str) -> Option<Self> {
        let is_name = text.len() <= LONGEST_WRITTEN
            && text.ends_with('.')
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_name.then(|| Self(text.to_ascii_lowercase().into()))
    }

    /// Labels below a name; `None` where DNS cannot hold the whole.
    pub fn below(labels: &str, parent: &Self) -> Option<Self> {
        let text = format!("{}.{parent}", labels.to_ascii_lowercase());
        let fits = text.len() <= LONGEST + 1
            && labels.split('.').all(|label| (1..=63).contains(&label.len()));
        fits.then(|| Self(text.into()))
    }

    /// The name under which PTR records of an address are looked up (RFC 1035 §3.5, RFC 3596
    /// §2.5).
    pub fn of_address(address: IpAddr) -> Self {
        let text = match address {
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
            }
            IpAddr::V6(address) => {
                let nibbles = address.octets().into_iter().rev();
                let nibbles = nibbles.map(|byte| format!("{:x}.{:x}.", byte & 15, byte >> 4));
                format!("{}ip6.arpa.", nibbles.collect::<String>())
            }
        };
        Self(text.into())
    }

    /// The name with its final dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `zone` or lies below it.
    pub fn is_within(&self, zone: &Self) -> bool {
        let above = self.0.strip_suffix(zone.as_str());
        above.is_some_and(|above| above.is_empty() || above.ends_with('.') || &*zone.0 == ".")
    }

    /// The names above it, the nearest first; not the root.
    pub fn above(&self) -> impl Iterator<Item = Self> {
        let mut rest: &str = &self.0;
        std::iter::from_fn(move || {
            rest =
                rest.split_once('.').map(|(_, above)| above).filter(|above| !above.is_empty())?;
            Some(Self(rest.into()))
        })
    }

    /// Its labels, the first one first.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.strip_suffix('.').unwrap_or(&self.0).split('.').filter(|label| !label.is_empty())
    }
}

impl fmt::Display for Fqdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
