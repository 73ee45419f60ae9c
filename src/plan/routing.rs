//! What stands in a configuration of FRR, as far as two of them can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

/// Words that begin a line which configures nothing: every `frr.conf` has them.
const HEAD: &[&str] = &[
    "frr version",
    "frr defaults",
    "hostname",
    "log syslog",
    "service integrated-vtysh-config",
    "line vty",
    "exit",
    "end",
];

/// The statements of a configuration, each behind those that it stands below, such as
/// `router bgp 65000 > neighbor VTEP bfd`. One space between words; no comments, and
/// nothing that configures nothing.
pub(super) fn statements(text: &str) -> Vec<String> {
    numbered(text).into_iter().map(|(_, path)| path.join(BELOW)).collect()
}

/// What stands between a statement and the one that it stands below.
pub(super) const BELOW: &str = " > ";

/// The same with the line of each, from 1, and each behind those that it stands below.
pub(super) fn numbered(text: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut block = String::new();
    let mut family: Option<String> = None;
    for (index, line) in text.lines().enumerate() {
        let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_inside = line.starts_with([' ', '\t']);
        if words.is_empty() || words.starts_with(['!', '#']) {
            continue;
        }
        if words == "exit-address-family" {
            family = None;
            continue;
        }
        if is_head(&words) || words.starts_with("exit-") {
            continue;
        }
        if !is_inside {
            (block, family) = (words.clone(), None);
            found.push((index + 1, vec![words]));
            continue;
        }
        if words.starts_with("address-family ") {
            family = Some(words.clone());
        }
        let below = family.iter().filter(|family| **family != words);
        let path = [block.clone()].into_iter().chain(below.cloned()).chain([words.clone()]);
        found.push((index + 1, path.collect()));
    }
    found
}

fn is_head(words: &str) -> bool {
    HEAD.iter().any(|head| {
        words.strip_prefix(head).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    })
}

/// The VRFs that have a VNI, with that.
pub(super) fn tenants(text: &str) -> BTreeMap<String, u32> {
    let vrf = |(_, path): (usize, Vec<String>)| {
        let [vrf, line] = path.as_slice() else { return None };
        let vni = line.strip_prefix("vni ")?.split(' ').next()?;
        Some((vrf.strip_prefix("vrf ")?.to_owned(), vni.parse().ok()?))
    };
    numbered(text).into_iter().filter_map(vrf).collect()
}

/// What of a configuration FRR is asked for after it took it: what begins a routing process
/// or a VRF, and below those the sessions and what is told in them; static routes, and the
/// lists and route maps that decide what is told. As it is written, and as FRR shows it: of
/// what it has other words for, or hides because it is the default, nothing can be said.
pub(super) fn essentials(text: &str) -> Vec<(String, Essential)> {
    let numbered = numbered(text);
    let grouped = grouped(&numbered);
    let found = numbered.iter().filter_map(|(_, path)| {
        let statement = path.join(BELOW);
        // What a group says of its members FRR does not repeat.
        let is_repeated =
            member(path).is_some_and(|(key, verb)| verb == "remote-as" && grouped.contains(&key));
        let essential = Essential::of(path).filter(|_| !is_repeated)?;
        Some((statement, essential))
    });
    found.collect()
}

/// The process and the neighbour that a line is about, and what it says of it.
fn member(path: &[String]) -> Option<((&str, &str), &str)> {
    let [process, line] = path else { return None };
    let mut words = line.split(' ');
    let (Some("neighbor"), Some(peer), Some(verb)) = (words.next(), words.next(), words.next())
    else {
        return None;
    };
    // `neighbor GROUP peer-group` makes one, and names no member.
    (verb != "peer-group" || words.next().is_some()).then_some(((process, peer), verb))
}

/// The neighbours that are members of a group.
fn grouped(numbered: &[(usize, Vec<String>)]) -> BTreeSet<(&str, &str)> {
    let members = numbered.iter().filter_map(|(_, path)| member(path));
    members.filter(|(_, verb)| *verb == "peer-group").map(|(key, _)| key).collect()
}

/// A statement, as far as it is compared, behind those that it stands below.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Essential(Vec<String>);

impl Essential {
    fn of(path: &[String]) -> Option<Self> {
        let (last, above) = path.split_last()?;
        let words: Vec<&str> = last.split(' ').collect();
        let Some(process) = above.first() else {
            let begins =
                matches!(words.as_slice(), ["router" | "vrf", ..] | ["route-map", _, _, _]);
            let whole = if begins { canonical(&words) } else { of_list(&words)? };
            return Some(Self(vec![whole]));
        };
        let is_map = process.starts_with("route-map ");
        if !(is_map || process.starts_with("router ") || process.starts_with("vrf ")) {
            return None;
        }
        let is_address = |word: &str| word.parse::<IpAddr>().is_ok();
        let compared = match words.as_slice() {
            ["neighbor", _, "peer-group"] | ["neighbor", _, "bfd", ..] => 3,
            ["neighbor", peer, "remote-as" | "peer-group", _] if is_address(peer) => 4,
            // FRR moves one that stands in no family into one.
            ["neighbor", _, "route-map", _, "in" | "out"] => {
                return Self::below(&above[..1], canonical(&words));
            }
            // Of others it may be the default.
            ["neighbor", _, "activate"]
                if above.iter().any(|a| a == "address-family l2vpn evpn") =>
            {
                3
            }
            ["vni" | "net", _, ..] => 2,
            ["match", "ip" | "ipv6", "address", "prefix-list", _] if is_map => 5,
            ["match", "ip" | "ipv6", "address", _] if is_map => 4,
            ["match", "community", _] | ["set", "src" | "local-preference", _] if is_map => 3,
            ["ip" | "ipv6", "route", ..] => return Self::below(above, of_list(&words)?),
            _ => return None,
        };
        Self::below(above, canonical(&words[..compared]))
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is what `of` returns")]
    fn below(above: &[String], last: String) -> Option<Self> {
        let above = above.iter().map(|above| canonical(&above.split(' ').collect::<Vec<_>>()));
        Some(Self(above.chain([last]).collect()))
    }
}

/// A line of a list, or a static route, without the number that FRR gives it itself.
fn of_list(words: &[&str]) -> Option<String> {
    let number = words.iter().position(|word| *word == "seq").unwrap_or(words.len());
    let after = words.get(number + 2..).unwrap_or_default();
    let words = [&words[..number], after].concat();
    let is_prefix = |word: &str| word == "any" || word.parse::<IpNet>().is_ok();
    let compared = match words.as_slice() {
        ["ip" | "ipv6", "prefix-list", _, "permit" | "deny", prefix, bounds @ ..]
            if is_prefix(prefix) =>
        {
            let mut bounds: Vec<&[&str]> = bounds.chunks(2).collect();
            bounds.sort_unstable();
            let words = [&words[..5], &bounds.concat()].concat();
            return Some(canonical(&words));
        }
        ["access-list", _, "permit" | "deny", prefix] if is_prefix(prefix) => 4,
        ["ipv6", "access-list", _, "permit" | "deny", prefix] if is_prefix(prefix) => 5,
        ["ip" | "ipv6", "protocol", _, "route-map", _] => 5,
        // FRR moves one that names a VRF below that.
        ["ip" | "ipv6", "route", ..] if words.contains(&"vrf") => return None,
        ["ip" | "ipv6", "route", prefix, via, ..] if is_prefix(prefix) => {
            // How FRR shows a route that leads nowhere differs from version to version.
            if via.parse::<IpAddr>().is_ok() { 4 } else { 3 }
        }
        _ => return None,
    };
    Some(canonical(&words[..compared]))
}

impl Essential {
    /// What begins the process that it stands in.
    pub(super) fn process(&self) -> Self {
        Self(self.0.iter().take(1).cloned().collect())
    }
}

/// Words as FRR shows them: addresses in their shortest form, prefixes without host bits.
fn canonical(words: &[&str]) -> String {
    let word = |word: &&str| match (word.parse::<IpAddr>(), word.parse::<IpNet>()) {
        (Ok(address), _) => address.to_string(),
        (_, Ok(prefix)) => prefix.trunc().to_string(),
        _ => (*word).to_owned(),
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Essential, essentials, statements};

    const TEXT: &str = "frr version 10.4.1\nfrr defaults datacenter\nhostname n1\nlog syslog informational\n\
        service integrated-vtysh-config\n!\nvrf vrf_z\n vni 10000\nexit-vrf\n!\nrouter bgp 65000\n \
        neighbor VTEP  bfd\n !\n address-family l2vpn evpn\n  neighbor VTEP activate\n exit-address-family\n\
        exit\n!\nip prefix-list a seq 1 permit 0.0.0.0/0\n!\nline vty\n!\n";

    #[test]
    fn statements_stand_below_what_they_belong_to() {
        assert_eq!(
            statements(TEXT),
            [
                "vrf vrf_z",
                "vrf vrf_z > vni 10000",
                "router bgp 65000",
                "router bgp 65000 > neighbor VTEP bfd",
                "router bgp 65000 > address-family l2vpn evpn",
                "router bgp 65000 > address-family l2vpn evpn > neighbor VTEP activate",
                "ip prefix-list a seq 1 permit 0.0.0.0/0",
            ]
        );
    }

    fn of(text: &str) -> Vec<Essential> {
        essentials(text).into_iter().map(|(_, essential)| essential).collect()
    }

    #[test]
    fn what_frr_must_show_is_what_it_has_no_other_words_for() {
        let said: Vec<String> =
            essentials(TEXT).into_iter().map(|(statement, _)| statement).collect();
        assert_eq!(
            said,
            [
                "vrf vrf_z",
                "vrf vrf_z > vni 10000",
                "router bgp 65000",
                "router bgp 65000 > neighbor VTEP bfd",
                "router bgp 65000 > address-family l2vpn evpn > neighbor VTEP activate",
                "ip prefix-list a seq 1 permit 0.0.0.0/0",
            ]
        );
        let written = "router bgp 65000\n neighbor FD00::0:1 remote-as external\n neighbor fd00::1 bfd\n \
            neighbor fd00::1 ebgp-multihop\n address-family ipv4 unicast\n  neighbor fd00::1 activate\n";
        let shown = "router bgp 65000\n neighbor fd00::1 remote-as external\n neighbor fd00::1 bfd 3 300 300\n \
            neighbor fd00::1 ebgp-multihop 255\n";
        assert_eq!(of(written), of(shown));
        let other = shown.replace("external", "65001");
        assert_ne!(of(written), of(&other));
        // Interfaces have other words in FRR, and defaults it hides.
        assert!(of("interface eth1\n openfabric hello-interval 3\n").is_empty());
    }

    #[test]
    fn routes_and_lists_are_asked_for_without_their_numbers() {
        let written = "ip prefix-list a permit 10.0.0.1/8 le 32\naccess-list b permit any\n\
            ip route 192.0.2.1/24 10.0.0.1\nip protocol bgp route-map m\nvrf z\n ip route 10.1.0.0/16 10.0.0.9 x\nexit-vrf\n\
            route-map m permit 1\n match ip address b\n set src 10.0.0.1\nexit\n";
        let shown = "vrf z\n ip route 10.1.0.0/16 10.0.0.9 x\nexit-vrf\naccess-list b seq 5 permit any\n\
            ip prefix-list a seq 5 permit 10.0.0.0/8 le 32\nip route 192.0.2.0/24 10.0.0.1\n\
            route-map m permit 1\n match ip address b\n set src 10.0.0.1\nexit\nip protocol bgp route-map m\n";
        let (mut wanted, mut has) = (of(written), of(shown));
        wanted.sort();
        has.sort();
        assert_eq!((wanted.len(), &wanted), (9, &has));
        for (is, other) in [
            ("10.0.0.1/8 le 32", "10.0.0.1/8 le 24"),
            ("permit any", "deny any"),
            ("192.0.2.1/24 10.0.0.1", "192.0.2.1/24 10.0.0.2"),
            ("set src 10.0.0.1", "set src 10.0.0.2"),
            ("address b", "address c"),
        ] {
            let mut otherwise = of(&written.replace(is, other));
            otherwise.sort();
            assert_ne!(otherwise, has, "{other}");
        }
        let bounds = |bounds| of(&format!("ip prefix-list a permit 10.0.0.0/8 {bounds}\n"));
        assert_eq!(bounds("ge 16 le 24"), bounds("le 24 ge 16"));
        // What FRR moves to another place, or does not repeat, is not missed.
        let written = "router bgp 1\n neighbor G peer-group\n neighbor G remote-as 2\n \
            neighbor 10.0.0.2 remote-as 2\n neighbor 10.0.0.2 peer-group G\n \
            neighbor G route-map m in\n";
        let shown = "router bgp 1\n neighbor G peer-group\n neighbor G remote-as 2\n \
            neighbor 10.0.0.2 peer-group G\n address-family ipv4 unicast\n  \
            neighbor G route-map m in\n";
        assert_eq!(of(written), of(shown));
        assert!(of("ip route 10.0.0.0/8 10.0.0.1 vrf z\n").is_empty());
        // What FRR may say in other words is not compared.
        assert!(of("access-list x permit ip host 10.0.0.1 any\n").is_empty());
    }

    #[test]
    fn what_frr_comes_with_says_nothing() {
        let shipped = "# default to using syslog. /etc/rsyslog.d/45-frr.conf places the log in\n\
            # /var/log/frr/frr.log\n#\nlog syslog informational\n";
        assert!(statements(shipped).is_empty() && statements("").is_empty());
        assert!(!statements("log file /var/log/frr.log\n").is_empty());
    }
}
