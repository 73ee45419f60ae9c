//! What the dnsmasq of a zone is told of leases: the file of its hosts, and which of the
//! leases that it has given out itself it should forget.
//!
//! The form is the reference's (`pve-rendering.md` §3): `MAC,IP4,[IP6]`, one line for each
//! interface. dnsmasq reads the file again when it is told to, and leases of others are not
//! concerned; but it gives an address that it once gave to one interface to no other one until
//! that lease is forgotten, and those leases have no end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::network::{Lease, Leases};
use crate::value::{MacAddress, VnetId, ZoneId};

/// The hosts of one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// The contents of the file.
    pub text: String,
    /// The lines in it that come from leases.
    pub own: BTreeSet<String>,
    /// Lines that somebody else wrote and that stay: no lease speaks of what they name.
    pub kept: Vec<String>,
    /// Lines that somebody else wrote and that go: a lease says otherwise.
    pub dropped: Vec<String>,
}

/// What the file of a zone's hosts should hold: a line for each interface with a lease that
/// is not given up, and behind them what somebody else wrote and no lease contradicts.
/// `found` is what it holds, `before` the lines in it that are weft's.
pub fn hosts(zone: &ZoneId, leases: &Leases, found: &str, before: &BTreeSet<String>) -> Hosts {
    let own = lines(zone, leases);
    let mut hosts = Hosts { own: own.iter().cloned().collect(), ..Hosts::default() };
    let held: Vec<Host> = own.iter().map(|line| Host::read(line)).collect();
    for line in found.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if before.contains(line) || hosts.own.contains(line) {
            continue;
        }
        let host = Host::read(line);
        if held.iter().any(|held| host.is_part_of(held)) {
            continue;
        }
        let is_contradicted = held.iter().any(|held| held.contradicts(&host));
        let lines = if is_contradicted { &mut hosts.dropped } else { &mut hosts.kept };
        lines.push(line.to_owned());
    }
    hosts.text = own.iter().chain(&hosts.kept).flat_map(|line| [line.as_str(), "\n"]).collect();
    hosts
}

/// The lines of a zone's leases, in the order of their first addresses. An interface with
/// several addresses of one family has as many lines, of which dnsmasq takes the first that
/// fits the network.
fn lines(zone: &ZoneId, leases: &Leases) -> Vec<String> {
    let mut interfaces: Vec<(&Lease, Vec<IpAddr>, Vec<IpAddr>)> = Vec::new();
    let mut places: BTreeMap<(&VnetId, &MacAddress), usize> = BTreeMap::new();
    for ((of, address), lease) in leases {
        if of != zone || lease.released.is_some() {
            continue;
        }
        let place = *places.entry((&lease.vnet, &lease.mac)).or_insert_with(|| {
            interfaces.push((lease, Vec::new(), Vec::new()));
            interfaces.len() - 1
        });
        let (_, four, six) = &mut interfaces[place];
        if address.is_ipv4() { four.push(*address) } else { six.push(*address) }
    }
    let of_interface = |(lease, four, six): &(&Lease, Vec<IpAddr>, Vec<IpAddr>)| {
        let count = four.len().max(six.len());
        let line = |index: usize| {
            let four = four.get(index).map(|address| format!(",{address}"));
            let six = six.get(index).map(|address| format!(",[{address}]"));
            format!("{}{}{}", lease.mac, four.unwrap_or_default(), six.unwrap_or_default())
        };
        (0..count).map(line).collect::<Vec<_>>()
    };
    interfaces.iter().flat_map(of_interface).collect()
}

/// What a line names.
struct Host {
    mac: Option<MacAddress>,
    addresses: BTreeSet<IpAddr>,
    /// Whether there are words of which nothing is known.
    more: bool,
}

impl Host {
    fn read(line: &str) -> Self {
        let (mut mac, mut addresses, mut more) = (None, BTreeSet::new(), false);
        for word in line.split(',').map(str::trim) {
            let bare = word.strip_prefix('[').and_then(|word| word.strip_suffix(']'));
            match bare.unwrap_or(word).parse() {
                Ok(address) => drop(addresses.insert(address)),
                Err(_) => match word.parse() {
                    Ok(first) if mac.is_none() => mac = Some(first),
                    _ => more = true,
                },
            }
        }
        Self { mac, addresses, more }
    }

    /// Whether the other one says all of this.
    fn is_part_of(&self, other: &Self) -> bool {
        let same_mac = self.mac.is_some() && self.mac == other.mac;
        same_mac && !self.more && self.addresses.is_subset(&other.addresses)
    }

    fn contradicts(&self, other: &Self) -> bool {
        let same_mac = self.mac.is_some() && self.mac == other.mac;
        same_mac || !self.addresses.is_disjoint(&other.addresses)
    }
}

/// The addresses that a zone's dnsmasq has given out and should forget, by its own file of
/// leases (`given`): those that weft's own lines (`own`) give to somebody else, and those that
/// its lines of `before` gave to whom no line of weft's gives them now. Leases of IPv6 name no
/// hardware address: there it counts that the line of `before` named another interface. All
/// others are left alone: what lines of other people say is theirs.
pub fn forgotten(
    own: &BTreeSet<String>,
    before: &BTreeSet<String>,
    given: &str,
) -> BTreeSet<IpAddr> {
    let now = holders(own);
    let earlier = holders(before);
    let is_stale = |address: &IpAddr, mac: Option<&MacAddress>| match (
        now.get(address),
        earlier.get(address),
        mac,
    ) {
        (Some(holders), _, Some(mac)) => !holders.contains(mac),
        (Some(holders), Some(earlier), None) => earlier.is_disjoint(holders),
        (None, Some(earlier), Some(mac)) => earlier.contains(mac),
        (None, Some(_), None) => true,
        (Some(_) | None, None, _) => false,
    };
    // `EXPIRY MAC ADDRESS NAME CLIENT`, of IPv6 with another number in the place of the MAC.
    let leases = given.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (who, address) = (words.next()?, words.next()?.parse().ok()?);
        Some((address, who.parse::<MacAddress>().ok()))
    });
    leases.filter(|(address, mac)| is_stale(address, mac.as_ref())).map(|(a, _)| a).collect()
}

/// Who has which address by lines of hosts.
fn holders(lines: &BTreeSet<String>) -> BTreeMap<IpAddr, BTreeSet<MacAddress>> {
    let mut holders: BTreeMap<IpAddr, BTreeSet<MacAddress>> = BTreeMap::new();
    for host in lines.iter().map(|line| Host::read(line)) {
        for address in host.addresses {
            holders.entry(address).or_default().extend(host.mac.clone());
        }
    }
    holders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Origin;

    fn zone() -> ZoneId {
        "za".parse().unwrap()
    }

    fn leases(of: &[(&str, &str, &str)]) -> Leases {
        let lease = |mac: &str, vnet: &str| Lease {
            vnet: vnet.parse().unwrap(),
            mac: format!("BC:24:11:00:00:{mac}").parse().unwrap(),
            guest: "web".parse().unwrap(),
            hostname: None,
            origin: Origin::Declared,
            released: None,
        };
        of.iter()
            .map(|(address, mac, vnet)| ((zone(), address.parse().unwrap()), lease(mac, vnet)))
            .collect()
    }

    fn set(lines: &[&str]) -> BTreeSet<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn a_line_for_each_interface_that_holds_an_address() {
        let mut leases = leases(&[
            ("10.0.0.9", "09", "va"),
            ("10.0.0.10", "10", "va"),
            ("10.1.0.10", "10", "vb"),
            ("10.0.0.11", "11", "va"),
            ("10.0.0.12", "11", "va"),
            ("fd00::10", "10", "va"),
            ("fd00::2", "02", "va"),
            ("10.0.0.99", "99", "va"),
        ]);
        let given_up = leases.get_mut(&(zone(), "10.0.0.99".parse().unwrap())).unwrap();
        given_up.released = Some(jiff::Timestamp::UNIX_EPOCH);
        let other = leases[&(zone(), "10.0.0.9".parse().unwrap())].clone();
        leases.insert(("zb".parse().unwrap(), "10.0.0.77".parse().unwrap()), other);
        let hosts = hosts(&zone(), &leases, "", &BTreeSet::new());
        assert_eq!(
            hosts.text,
            "BC:24:11:00:00:09,10.0.0.9\n\
             BC:24:11:00:00:10,10.0.0.10,[fd00::10]\n\
             BC:24:11:00:00:11,10.0.0.11\n\
             BC:24:11:00:00:11,10.0.0.12\n\
             BC:24:11:00:00:10,10.1.0.10\n\
             BC:24:11:00:00:02,[fd00::2]\n"
        );
        assert_eq!(hosts.own.len(), 6);
    }

    #[test]
    fn lines_of_others_stay_unless_a_lease_says_otherwise() {
        let leases = leases(&[("10.0.0.9", "09", "va"), ("10.0.0.10", "10", "va")]);
        let found = "BC:24:11:00:00:08,10.0.0.8\n\
                     \n\
                     bc:24:11:00:00:09,10.0.0.9\n\
                     BC:24:11:00:00:55,10.0.0.10\n\
                     BC:24:11:00:00:10,10.0.0.50\n\
                     bc:24:11:00:00:66,set:x,10.0.0.66,[fd00::66]\n\
                     # a word\n";
        let before = set(&["BC:24:11:00:00:08,10.0.0.8"]);
        let first = hosts(&zone(), &leases, found, &before);
        // What was weft's and is held no more goes; the same in small letters is the same.
        assert_eq!(
            first.text,
            "BC:24:11:00:00:09,10.0.0.9\n\
             BC:24:11:00:00:10,10.0.0.10\n\
             bc:24:11:00:00:66,set:x,10.0.0.66,[fd00::66]\n\
             # a word\n"
        );
        assert_eq!(first.dropped, ["BC:24:11:00:00:55,10.0.0.10", "BC:24:11:00:00:10,10.0.0.50"]);
        let again = hosts(&zone(), &leases, &first.text, &first.own);
        assert_eq!((again.text, again.dropped), (first.text, Vec::new()));
        // All leases go, and what somebody else wrote is there.
        let none = hosts(&zone(), &Leases::new(), found, &first.own);
        assert_eq!(none.text.lines().count(), 6);
    }

    #[test]
    fn dnsmasq_forgets_what_it_gave_to_somebody_else() {
        let own = set(&[
            "BC:24:11:00:00:09,10.0.0.9,[fd00::9]",
            "BC:24:11:00:00:0a,10.0.0.10,[fd00::10]",
        ]);
        let before = set(&[
            "BC:24:11:00:00:09,10.0.0.9,[fd00::9]",
            "BC:24:11:00:00:0b,10.0.0.11,[fd00::10]",
            "BC:24:11:00:00:0c,[fd00::11]",
        ]);
        let given = "0 bc:24:11:00:00:09 10.0.0.9 web ff:11\n\
                     0 bc:24:11:00:00:0b 10.0.0.10 * *\n\
                     0 bc:24:11:00:00:0b 10.0.0.11 * *\n\
                     1764214000 bc:24:11:00:00:77 10.0.0.100 * 01:bc:24\n\
                     duid 00:01:00:01\n\
                     0 12345 fd00::9 * 00:01\n\
                     0 T777 fd00::10 * 00:02\n\
                     0 999 fd00::11 * 00:03\n\
                     0 999 fd00::12 * 00:03\n\
                     nonsense\n";
        let forgotten = forgotten(&own, &before, given);
        let shown: Vec<String> = forgotten.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.10", "10.0.0.11", "fd00::10", "fd00::11"]);
    }
    /// A line that names no hardware address, and one that names two: whoever got the address
    /// by either keeps it, and so does who has one that was weft's to give before.
    #[test]
    fn dnsmasq_keeps_what_lines_of_others_gave() {
        let found = "web,10.0.0.66\nBC:24:11:00:00:01,BC:24:11:00:00:02,10.0.0.67\n\
                     BC:24:11:00:00:03,10.0.0.68\n";
        let before = set(&["BC:24:11:00:00:68,10.0.0.68"]);
        let leases = leases(&[("10.0.0.9", "09", "va")]);
        let hosts = hosts(&zone(), &leases, found, &before);
        assert_eq!(hosts.kept.len(), 3);
        let given = "0 bc:24:11:00:00:66 10.0.0.66 web *\n\
                     0 bc:24:11:00:00:02 10.0.0.67 * *\n\
                     0 bc:24:11:00:00:03 10.0.0.68 * *\n\
                     0 bc:24:11:00:00:08 10.0.0.9 * *\n";
        let forgotten = forgotten(&hosts.own, &before, given);
        assert_eq!(
            forgotten.into_iter().collect::<Vec<_>>(),
            ["10.0.0.9".parse::<IpAddr>().unwrap()]
        );
    }
}
