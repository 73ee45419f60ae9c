//! What `iptables -S` prints (`iptables(8)`).

use super::{Accept, Filter, InputFilter};

/// The filter of `iptables` or `ip6tables`, where its policy drops.
pub fn of_iptables(program: &str, rules: &str) -> Option<InputFilter> {
    if !rules.lines().any(|line| line.trim() == "-P INPUT DROP") {
        return None;
    }
    let (mut accepts, mut opaque) = (Vec::new(), false);
    for line in rules.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        // Rules of other chains too: whether `INPUT` jumps there is not followed.
        let ["-A", chain, rest @ ..] = words.as_slice() else { continue };
        if matches!(*chain, "OUTPUT" | "FORWARD") || !rest.ends_with(&["-j", "ACCEPT"]) {
            continue;
        }
        match read(rest) {
            Some(Some(accept)) => accepts.push(accept),
            Some(None) => {}
            None => opaque = true,
        }
    }
    let v6 = program.starts_with("ip6");
    let by = Filter::Iptables(program.to_owned());
    Some(InputFilter { by, v4: !v6, v6, accepts, opaque })
}

/// What a rule accepts; `Some(None)` where that is no new packet of another machine,
/// `None` where it is not understood.
fn read(rule: &[&str]) -> Option<Option<Accept>> {
    let mut accept = Accept::default();
    for (at, word) in rule.iter().enumerate() {
        let value = rule.get(at + 1).copied().unwrap_or_default();
        match *word {
            "!" => return None,
            "-i" if value == "lo" => return Some(None),
            "-p" => accept.protocols = Some(vec![value.to_owned()]),
            "--dport" | "--dports" => accept.ports = Some(ranges(value)?),
            "--ctstate" | "--state" if !value.split(',').any(|state| state == "NEW") => {
                return Some(None);
            }
            // Ports or addresses that stand elsewhere.
            "--match-set" | "--ports" => return None,
            _ => {}
        }
    }
    Some(Some(accept))
}

pub(super) fn ranges(text: &str) -> Option<Vec<(u16, u16)>> {
    let range = |part: &str| match part.split_once(':') {
        Some((low, high)) => Some((low.parse().ok()?, high.parse().ok()?)),
        None => part.parse().ok().map(|port| (port, port)),
    };
    text.split(',').map(range).collect()
}
