//! What `iptables -S` prints (`iptables(8)`).

use super::{Accept, Filter, InputFilter, Read};

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
            Read::Accepts(accept) => accepts.push(accept),
            Read::Nothing => {}
            Read::Unknown => opaque = true,
        }
    }
    let v6 = program.starts_with("ip6");
    let by = Filter::Iptables(program.to_owned());
    Some(InputFilter { by, v4: !v6, v6, accepts, opaque })
}

fn read(rule: &[&str]) -> Read {
    let mut accept = Accept::default();
    for (at, word) in rule.iter().enumerate() {
        let value = rule.get(at + 1).copied().unwrap_or_default();
        match *word {
            // What is negated, and ports or addresses that stand elsewhere.
            "!" | "--match-set" | "--ports" => return Read::Unknown,
            "-i" if value == "lo" => return Read::Nothing,
            "-p" => accept.protocols = Some(vec![value.to_owned()]),
            "--dport" | "--dports" => match ranges(value) {
                Some(ports) => accept.ports = Some(ports),
                None => return Read::Unknown,
            },
            "--ctstate" | "--state" if !value.split(',').any(|state| state == "NEW") => {
                return Read::Nothing;
            }
            _ => {}
        }
    }
    Read::Accepts(accept)
}

pub(super) fn ranges(text: &str) -> Option<Vec<(u16, u16)>> {
    let range = |part: &str| match part.split_once(':') {
        Some((low, high)) => Some((low.parse().ok()?, high.parse().ok()?)),
        None => part.parse().ok().map(|port| (port, port)),
    };
    text.split(',').map(range).collect()
}
