//! What stands in a configuration of FRR, as far as two of them can be compared.

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

/// The statements that begin a routing process or a VRF: what FRR must have when it took
/// a configuration.
pub(super) fn processes(text: &str) -> impl Iterator<Item = String> {
    let begins = |line: &String| line.starts_with("router ") || line.starts_with("vrf ");
    statements(text).into_iter().filter(move |line| begins(line) && !line.contains(BELOW))
}

#[cfg(test)]
mod tests {
    use super::{processes, statements};

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
        assert!(processes(TEXT).eq(["vrf vrf_z", "router bgp 65000"]));
    }

    #[test]
    fn what_frr_comes_with_says_nothing() {
        let shipped = "# default to using syslog. /etc/rsyslog.d/45-frr.conf places the log in\n\
            # /var/log/frr/frr.log\n#\nlog syslog informational\n";
        assert!(statements(shipped).is_empty() && statements("").is_empty());
        assert!(!statements("log file /var/log/frr.log\n").is_empty());
    }
}
