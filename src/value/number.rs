//! Numbers with their bounds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::name::article;

/// Why a number is not one of this kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadNumber {
    /// Not digits.
    #[error("`{}` is not a whole number", .0.escape_debug())]
    NotANumber(String),
    /// Out of bounds.
    #[error("{value} is outside {min} to {max}, the bounds of {} {kind}", article(kind))]
    OutOfBounds {
        /// What was given.
        value: String,
        /// The least that is legal.
        min: u64,
        /// The most that is legal.
        max: u64,
        /// What the number is.
        kind: &'static str,
    },
}

/// A whole number with bounds.
pub trait Number: Sized {
    /// What a person calls it.
    const KIND: &'static str;
    /// The least legal value.
    const MIN: u64;
    /// The most that is legal.
    const MAX: u64;

    /// The number, if it lies within its bounds.
    fn checked(value: u64) -> Result<Self, BadNumber>;
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $min:literal ..= $max:literal $(, usable $least:literal ..= $most:literal)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "u64", into = "u64")]
        pub struct $name(u32);

        impl $name {
            /// The plain number.
            pub const fn get(self) -> u32 {
                self.0
            }

            fn out_of_bounds(value: &str) -> BadNumber {
                let bounds: [(u64, u64); _] = [($min, $max), $(($least, $most))?];
                let (min, max) = bounds[bounds.len() - 1];
                BadNumber::OutOfBounds { value: value.to_owned(), min, max, kind: $kind }
            }
        }

        impl Number for $name {
            const KIND: &'static str = $kind;
            const MIN: u64 = $min;
            const MAX: u64 = $max;

            fn checked(value: u64) -> Result<Self, BadNumber> {
                match u32::try_from(value) {
                    Ok(small) if ($min..=$max).contains(&value) => Ok(Self(small)),
                    _ => Err(Self::out_of_bounds(&value.to_string())),
                }
            }
        }

        impl TryFrom<u64> for $name {
            type Error = BadNumber;

            fn try_from(value: u64) -> Result<Self, BadNumber> {
                Self::checked(value)
            }
        }

        impl From<$name> for u64 {
            fn from(number: $name) -> Self {
                number.0.into()
            }
        }

        impl FromStr for $name {
            type Err = BadNumber;

            fn from_str(text: &str) -> Result<Self, BadNumber> {
                match whole(text) {
                    // A whole number below or above all that is counted here.
                    Err(_) if is_whole(text) => Err(Self::out_of_bounds(text)),
                    value => Self::checked(value?),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

/// Decimal digits and nothing else: `010` and `1_000` mean different numbers to
/// different YAML readers, so neither is taken.
fn whole(text: &str) -> Result<u64, BadNumber> {
    let bad = || BadNumber::NotANumber(text.to_owned());
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    if text.len() > 1 && text.starts_with('0') {
        return Err(bad());
    }
    text.parse().map_err(|_| bad())
}

/// Whether a text is a whole number, perhaps a negative or a very large one.
fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = !digits.starts_with('0') || text == "0";
    is_plain && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

number!(
    /// A VLAN tag or a VXLAN network identifier, as Proxmox bounds it. What a
    /// zone type allows of it is a rule of `validate`.
    Tag, "tag", 1..=16_777_215
);
number!(
    /// The service VLAN of a QinQ zone. Proxmox sets no upper bound and takes 0;
    /// `validate` speaks of what is no VLAN.
    ServiceTag, "service VLAN", 0..=4_294_967_295
);
number!(
    /// An MTU in bytes. Proxmox sets no bounds and takes 0 as "not set".
    Mtu, "MTU", 0..=4_294_967_295, usable 1280..=65_520
);
number!(
    /// A UDP port. Proxmox accepts 65536 as well; `validate` speaks of it.
    Port, "UDP port", 1..=65_536
);
number!(
    /// An autonomous system number.
    Asn, "AS number", 0..=4_294_967_295
);

/// An OSPF area: a number or a dotted quad. Equal areas may be written in two
/// ways, and the text is kept because it is printed as written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Area {
    text: Box<str>,
    value: u32,
}

impl Area {
    /// The area as a number, by which two areas are equal.
    pub fn value(&self) -> u32 {
        self.value
    }
}

impl PartialEq for Area {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Area {}

impl FromStr for Area {
    type Err = BadNumber;

    fn from_str(text: &str) -> Result<Self, BadNumber> {
        let value = match text.parse::<std::net::Ipv4Addr>() {
            Ok(quad) => quad.into(),
            Err(_) => {
                u32::try_from(whole(text)?).map_err(|_| BadNumber::NotANumber(text.to_owned()))?
            }
        };
        Ok(Self { text: text.into(), value })
    }
}

impl TryFrom<String> for Area {
    type Error = BadNumber;

    fn try_from(text: String) -> Result<Self, BadNumber> {
        text.parse()
    }
}

impl From<Area> for String {
    fn from(area: Area) -> Self {
        area.text.into()
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Mtu, Number as _};

    #[test]
    fn an_mtu_is_told_what_can_be_used() {
        // Proxmox takes these, and `validate` speaks of them.
        assert!("0".parse::<Mtu>().is_ok() && "100000".parse::<Mtu>().is_ok());
        let bounds = "is outside 1280 to 65520, the bounds of an MTU";
        for text in ["-1", "4294967296"] {
            assert_eq!(text.parse::<Mtu>().unwrap_err().to_string(), format!("{text} {bounds}"));
        }
        assert_eq!(Mtu::MAX, 4_294_967_295);
    }
}
