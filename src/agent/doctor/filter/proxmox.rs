//! `/etc/pve/firewall/cluster.fw` and `host.fw`, the firewall of Proxmox VE: when it
//! is on, the hosts drop what no rule accepts, although the policy of the kernel's
//! chain is to accept.

use super::iptables::ranges;
use super::{Accept, Filter, InputFilter};

/// The filter of a host, by the cluster's file and its own.
pub fn of_proxmox(cluster: &str, host: Option<&str>) -> Option<InputFilter> {
    let on = option(cluster, "enable").is_some_and(|value| value != "0");
    // A host can leave the firewall, and the cluster can let everything in.
    let left = host.and_then(|host| option(host, "enable")) == Some("0");
    let drops = !matches!(option(cluster, "policy_in"), Some("ACCEPT"));
    if !on || left || !drops {
        return None;
    }
    let mut filter =
        InputFilter { by: Filter::Proxmox, v4: true, v6: true, accepts: Vec::new(), opaque: false };
    for line in [Some(cluster), host].into_iter().flatten().flat_map(rules) {
        read(&mut filter, line);
    }
    Some(filter)
}

fn read(filter: &mut InputFilter, line: &str) {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    match words.as_slice() {
        ["IN", "ACCEPT", rest @ ..] => match accept(rest) {
            Some(accept) => filter.accepts.push(accept),
            None => filter.opaque = true,
        },
        // Macros and groups accept what is written elsewhere.
        ["IN", action, ..] if action.ends_with("(ACCEPT)") => filter.opaque = true,
        ["GROUP", ..] => filter.opaque = true,
        _ => {}
    }
}

fn accept(options: &[&str]) -> Option<Accept> {
    let mut accept = Accept::default();
    for pair in options.windows(2) {
        match pair {
            ["-p" | "-proto" | "--proto", value] => {
                accept.protocols = Some(vec![(*value).to_owned()]);
            }
            ["-dport" | "--dport", value] => accept.ports = Some(ranges(value)?),
            _ => {}
        }
    }
    Some(accept)
}

/// The value of an option; the first one counts.
fn option<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    section(text, |title| title == "OPTIONS")
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

/// The rules that are on: those that are off begin with `|`.
fn rules(text: &str) -> impl Iterator<Item = &str> {
    section(text, |title| title == "RULES")
}

fn section(text: &str, wanted: fn(&str) -> bool) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter_map(move |line| {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(title) = line.strip_prefix('[') {
            inside = wanted(title.split(']').next().unwrap_or_default());
            return None;
        }
        (inside && !line.is_empty()).then_some(line)
    })
}
