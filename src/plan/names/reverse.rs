//! Where the name of an address belongs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::Fqdn;

/// A zone that holds the name of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// The zone.
    pub(super) zone: &'a Fqdn,
    /// The name in it.
    pub(super) name: Fqdn,
}

/// The zones of a server, in which the one of an address is found without a look at all.
pub(super) struct Zones<'a> {
    all: BTreeSet<&'a Fqdn>,
    /// Zones that may hold a part of 256 addresses (RFC 2317), by what is above them.
    parts: BTreeMap<&'a str, Vec<&'a Fqdn>>,
}

impl<'a> Zones<'a> {
    pub(super) fn of(zones: impl Iterator<Item = &'a Fqdn>) -> Self {
        let all: BTreeSet<_> = zones.collect();
        let mut parts: BTreeMap<&str, Vec<&Fqdn>> = BTreeMap::new();
        for zone in &all {
            let part = zone.as_str().split_once('.').filter(|(first, above)| {
                first.contains(['/', '-']) && above.ends_with(".in-addr.arpa.")
            });
            if let Some((_, above)) = part {
                parts.entry(above).or_default().push(zone);
            }
        }
        Self { all, parts }
    }

    /// The zone that covers the fewest addresses, this one among them: any number of labels of
    /// IPv4 and nibbles of IPv6, or a part of 256 addresses, whose names the zone above leads
    /// to by CNAMEs.
    pub(super) fn place(&self, address: IpAddr) -> Option<Place<'a>> {
        let name = Fqdn::of_address(address);
        let whole = std::iter::once(name.clone()).chain(name.above());
        let whole = whole.into_iter().find_map(|above| self.all.get(&above).copied());
        let whole = whole.map(|zone| {
            let bits_of_label = if address.is_ipv4() { 8 } else { 4 };
            // Two labels of a zone of addresses are no part of an address.
            let bits = zone.labels().count().saturating_sub(2) * bits_of_label;
            (bits, Place { zone, name: name.clone() })
        });
        let part = |address: Ipv4Addr| {
            let (_, above) = name.as_str().split_once('.')?;
            let zones = self.parts.get(above)?.iter();
            let places = zones.filter_map(|zone| {
                let part = Part::of(zone, address)?;
                let name = Fqdn::below(&part.last.to_string(), zone)?;
                Some((part.bits, Place { zone, name }))
            });
            places.max_by_key(|(bits, _)| *bits)
        };
        let part = match address {
            IpAddr::V4(address) => part(address),
            IpAddr::V6(_) => None,
        };
        whole.into_iter().chain(part).max_by_key(|(bits, _)| *bits).map(|(_, place)| place)
    }
}

/// A part of 256 addresses.
struct Part {
    /// The prefix length.
    bits: usize,
    /// The last octet of the address.
    last: u8,
}

impl Part {
    /// The part that a zone such as `0/25.2.0.192.in-addr.arpa.` holds, if it holds the
    /// address. Its first label is `⟨first⟩/⟨prefix length⟩`, or the same with `-`, or
    /// `⟨first⟩-⟨last⟩`, which counts where it could be both: nobody delegates two addresses.
    fn of(zone: &Fqdn, address: Ipv4Addr) -> Option<Self> {
        let [a, b, c, last] = address.octets();
        let label = zone.as_str().strip_suffix(&format!(".{c}.{b}.{a}.in-addr.arpa."))?;
        let (first, second) = label.split_once(['/', '-'])?;
        let (first, second) = (number(first)?, number(second)?);
        let as_range = second.checked_sub(first).map(|more| u16::from(more) + 1).filter(|size| {
            label.contains('-') && size.is_power_of_two() && u16::from(first) % size == 0
        });
        let of_length = |length: u8| (25..=31).contains(&length).then(|| 1 << (32 - length));
        let size: u16 = as_range.or_else(|| of_length(second))?;
        let holds =
            u16::from(first) % size == 0 && u16::from(last) / size == u16::from(first) / size;
        let bits = 32 - size.trailing_zeros() as usize;
        holds.then_some(Self { bits, last })
    }
}

/// A number without signs and zeros before it.
fn number(text: &str) -> Option<u8> {
    text.parse().ok().filter(|number: &u8| number.to_string() == text)
}

/// The address that a name of a reverse zone was made from.
pub fn address_of(name: &Fqdn) -> Option<IpAddr> {
    let labels: Vec<&str> = name.labels().collect();
    if let [labels @ .., "ip6", "arpa"] = labels.as_slice() {
        let nibbles: Vec<u8> =
            labels.iter().rev().map(|label| nibble(label)).collect::<Option<_>>()?;
        let bytes: Vec<u8> =
            nibbles.chunks(2).map(|pair| pair.iter().fold(0, |byte, n| byte << 4 | n)).collect();
        let bytes: [u8; 16] = bytes.try_into().ok().filter(|_| nibbles.len() == 32)?;
        return Some(Ipv6Addr::from(bytes).into());
    }
    let (d, [c, b, a]) = match labels.as_slice() {
        [d, c, b, a, "in-addr", "arpa"] => (d, [c, b, a]),
        [d, part, c, b, a, "in-addr", "arpa"] if part.contains(['/', '-']) => (d, [c, b, a]),
        _ => return None,
    };
    Some(Ipv4Addr::new(number(a)?, number(b)?, number(c)?, number(d)?).into())
}

fn nibble(label: &str) -> Option<u8> {
    u8::from_str_radix(label, 16).ok().filter(|_| label.len() == 1)
}

/// A zone to create for a subnet, where there is none: of an IPv4 subnet its whole octets up
/// to three, of an IPv6 subnet its whole nibbles, or those of `mask`.
pub(super) fn proposal(subnet: IpNet, mask: Option<u32>) -> Fqdn {
    let address = subnet.network();
    let length = usize::from(subnet.prefix_len());
    let (all, kept) = match subnet {
        IpNet::V4(_) => (4, (length / 8).clamp(1, 3)),
        IpNet::V6(_) => {
            let length = mask.and_then(|mask| usize::try_from(mask).ok()).unwrap_or(length);
            (32, (length / 4).clamp(1, 31))
        }
    };
    let name = Fqdn::of_address(address);
    let zone = name.above().nth(all - kept - 1);
    zone.unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Fqdn {
        Fqdn::read(text).expect("a name")
    }

    fn found(address: &str, zones: &[&str]) -> Option<(String, String)> {
        let zones: Vec<Fqdn> = zones.iter().map(|zone| name(zone)).collect();
        let place = Zones::of(zones.iter()).place(address.parse().expect("an address"))?;
        Some((place.zone.to_string(), place.name.to_string()))
    }

    #[test]
    fn the_smallest_zone_that_holds_the_address() {
        let is = |address: &str, zones: &[&str], zone: &str, name: &str| {
            let expected = Some((zone.to_owned(), name.to_owned()));
            assert_eq!(found(address, zones), expected, "{address} in {zones:?}");
        };
        let all = ["10.in-addr.arpa.", "0.10.in-addr.arpa.", "1.0.10.in-addr.arpa.", "arpa."];
        is("10.0.1.5", &all, "1.0.10.in-addr.arpa.", "5.1.0.10.in-addr.arpa.");
        is("10.0.2.5", &all, "0.10.in-addr.arpa.", "5.2.0.10.in-addr.arpa.");
        is("10.9.2.5", &all, "10.in-addr.arpa.", "5.2.9.10.in-addr.arpa.");
        is("11.9.2.5", &all, "arpa.", "5.2.9.11.in-addr.arpa.");
        // 172.16/12 is sixteen zones, or one above them.
        is(
            "172.20.3.4",
            &["20.172.in-addr.arpa.", "16.172.in-addr.arpa."],
            "20.172.in-addr.arpa.",
            "4.3.20.172.in-addr.arpa.",
        );
        is("172.31.3.4", &["172.in-addr.arpa."], "172.in-addr.arpa.", "4.3.31.172.in-addr.arpa.");
        assert_eq!(found("172.16.3.4", &["16-31.172.in-addr.arpa."]), None);
        // A zone whose name only ends alike is another one.
        assert_eq!(found("10.0.1.5", &["11.0.10.in-addr.arpa.", "0.in-addr.arpa."]), None);
        let nibbles =
            ["8.b.d.0.1.0.0.2.ip6.arpa.", "0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", "f.ip6.arpa."];
        let whole = "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.";
        is("2001:db8::5", &nibbles, nibbles[1], whole);
        is(
            "fd00::5",
            &nibbles,
            nibbles[2],
            &Fqdn::of_address("fd00::5".parse().unwrap()).to_string(),
        );
        assert_eq!(found("2001:db9::5", &nibbles), None);
    }

    #[test]
    fn parts_of_256_addresses() {
        let above = "2.0.192.in-addr.arpa.";
        for (label, inside, outside) in [
            ("0/25", ["0", "127"], ["128", "255"]),
            ("128/25", ["128", "255"], ["0", "127"]),
            ("64/26", ["64", "127"], ["63", "128"]),
            ("8/31", ["8", "9"], ["7", "10"]),
            ("8-29", ["8", "15"], ["7", "16"]),
            ("0-63", ["0", "63"], ["64", "255"]),
            ("0-31", ["0", "31"], ["32", "33"]),
            ("24-31", ["24", "31"], ["23", "32"]),
        ] {
            let zone = format!("{label}.{above}");
            let zones = [above, &zone];
            for last in inside {
                let name = format!("{last}.{zone}");
                assert_eq!(found(&format!("192.0.2.{last}"), &zones), Some((zone.clone(), name)));
            }
            for last in outside {
                let name = format!("{last}.{above}");
                let expected = Some((above.to_owned(), name));
                assert_eq!(found(&format!("192.0.2.{last}"), &zones), expected, "{label}");
            }
        }
        for bad in ["0/24", "0/32", "1/25", "x/25", "00/25", "0/+5", "3-5", "9-8", "0-", "/25"] {
            let zone = format!("{bad}.{above}");
            assert_eq!(found("192.0.2.4", &[&zone]), None, "{bad}");
        }
    }

    #[test]
    fn what_is_proposed_holds_the_subnet() {
        for (subnet, mask, zone) in [
            ("10.0.1.0/24", None, "1.0.10.in-addr.arpa."),
            ("192.0.2.128/25", None, "2.0.192.in-addr.arpa."),
            ("172.16.0.0/12", None, "172.in-addr.arpa."),
            ("10.4.0.0/15", None, "10.in-addr.arpa."),
            ("192.0.2.7/32", None, "2.0.192.in-addr.arpa."),
            ("2001:db8:0:1::/64", None, "1.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."),
            ("2001:db8::/62", Some(48), "0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."),
            ("2001:db8::/62", None, "0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."),
        ] {
            let subnet: IpNet = subnet.parse().unwrap();
            let proposed = proposal(subnet, mask);
            assert_eq!(proposed.as_str(), zone);
            let zones = Zones::of(std::iter::once(&proposed));
            let place = zones.place(subnet.network()).expect("it holds it");
            assert_eq!(address_of(&place.name), Some(subnet.network()));
        }
        assert_eq!(address_of(&name("5.0/25.2.0.192.in-addr.arpa.")), "192.0.2.5".parse().ok());
        for other in ["5.0.2.0.192.in-addr.arpa.", "0.192.in-addr.arpa.", "1.ip6.arpa.", "a.b."] {
            assert_eq!(address_of(&name(other)), None);
        }
    }
}
