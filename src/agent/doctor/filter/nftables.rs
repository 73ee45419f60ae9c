//! What `nft -j list ruleset` prints (`libnftables-json(5)`).

use serde_json::Value as Json;

use super::{Accept, Filter, InputFilter, Read};

/// The filters that drop by policy. An error says why the answer cannot be read.
pub fn of_nftables(json: &[u8]) -> Result<Vec<InputFilter>, String> {
    let answer: Json =
        serde_json::from_slice(json).map_err(|error| format!("the answer of nft: {error}"))?;
    let objects = answer["nftables"].as_array().ok_or("the answer of nft has no list")?;
    let chains = objects.iter().filter_map(|object| object.get("chain"));
    let dropping = chains.filter(|chain| chain["hook"] == "input" && chain["policy"] == "drop");
    Ok(dropping.filter_map(|chain| filter(chain, objects)).collect())
}

fn filter(chain: &Json, objects: &[Json]) -> Option<InputFilter> {
    let word = |name: &str| chain[name].as_str().map(str::to_owned);
    let (family, table, chain) = (word("family")?, word("table")?, word("name")?);
    let (v4, v6) = match family.as_str() {
        "ip" => (true, false),
        "ip6" => (false, true),
        "inet" => (true, true),
        // Bridges and devices see other packets than those to this machine.
        _ => return None,
    };
    let (mut accepts, mut opaque) = (Vec::new(), false);
    let rules = objects.iter().filter_map(|object| object.get("rule"));
    // Those of other chains too: whether the chain jumps there is not followed.
    for rule in rules.filter(|rule| rule["family"] == *family && rule["table"] == *table) {
        match read(rule["expr"].as_array().map_or(&[], Vec::as_slice)) {
            Read::Accepts(accept) => accepts.push(accept),
            Read::Nothing => {}
            Read::Unknown => opaque = true,
        }
    }
    Some(InputFilter { by: Filter::Nftables { family, table, chain }, v4, v6, accepts, opaque })
}

fn read(expressions: &[Json]) -> Read {
    let has = |kind: &str| expressions.iter().any(|expression| expression.get(kind).is_some());
    // A map of verdicts, or what only iptables can explain, may accept too.
    if !has("accept") && !has("vmap") && !has("xt") {
        return Read::Nothing;
    }
    let mut accept = Accept::default();
    for expression in expressions {
        if let Some(body) = expression.get("match") {
            match narrow(&mut accept, body) {
                Narrowed::Yes => {}
                Narrowed::ToNothing => return Read::Nothing,
                Narrowed::Unknown => return Read::Unknown,
            }
        }
    }
    if has("vmap") || has("xt") { Read::Unknown } else { Read::Accepts(accept) }
}

enum Narrowed {
    /// The rule takes what `accept` says, or less by a match that is not about
    /// protocol and port: who sends is not judged.
    Yes,
    /// No new packet of another machine matches.
    ToNothing,
    Unknown,
}

fn narrow(accept: &mut Accept, body: &Json) -> Narrowed {
    let (left, right) = (&body["left"], &body["right"]);
    let is_equal = matches!(body["op"].as_str(), Some("==" | "in"));
    if left["ct"]["key"] == "state" {
        let new = words(right).is_none_or(|states| states.iter().any(|state| state == "new"));
        return if new || !is_equal { Narrowed::Yes } else { Narrowed::ToNothing };
    }
    let key = left["meta"]["key"].as_str();
    if matches!(key, Some("iif" | "iifname")) && is_equal && *right == "lo" {
        return Narrowed::ToNothing;
    }
    let (protocol, field) =
        (left["payload"]["protocol"].as_str(), left["payload"]["field"].as_str());
    let is_protocol = key == Some("l4proto")
        || matches!(
            (protocol, field),
            (Some("ip"), Some("protocol")) | (Some("ip6"), Some("nexthdr"))
        );
    let is_port = field == Some("dport");
    if !is_equal && (is_protocol || is_port) {
        return Narrowed::Unknown;
    }
    if is_protocol {
        let Some(protocols) = words(right) else { return Narrowed::Unknown };
        accept.protocols = Some(protocols);
        return Narrowed::Yes;
    }
    // `th dport` is the port of whichever protocol.
    let transports =
        ["tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmpv6", "igmp", "esp", "ah"];
    if let Some(protocol) = protocol.filter(|protocol| transports.contains(protocol)) {
        accept.protocols = Some(vec![protocol.to_owned()]);
    }
    if is_port {
        let Some(ports) = ranges(right) else { return Narrowed::Unknown };
        accept.ports = Some(ports);
    }
    Narrowed::Yes
}

/// The elements of a set, or the one value.
fn elements(value: &Json) -> Vec<&Json> {
    match value.get("set").unwrap_or(value) {
        Json::Array(all) => all.iter().collect(),
        one => vec![one],
    }
}

fn words(value: &Json) -> Option<Vec<String>> {
    elements(value)
        .into_iter()
        .map(|element| match element {
            // A named set, whose elements stand elsewhere.
            Json::String(word) if word.starts_with('@') => None,
            Json::String(word) => Some(word.clone()),
            Json::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .collect()
}

fn ranges(value: &Json) -> Option<Vec<(u16, u16)>> {
    let port = |value: &Json| value.as_u64().and_then(|port| u16::try_from(port).ok());
    elements(value)
        .into_iter()
        .map(|element| match element.get("range").and_then(Json::as_array).map(Vec::as_slice) {
            Some([low, high]) => Some((port(low)?, port(high)?)),
            Some(_) => None,
            None => port(element).map(|port| (port, port)),
        })
        .collect()
}
