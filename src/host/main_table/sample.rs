//! What iproute2 prints with `-j`, for tests: the same routes in words.

use std::net::IpAddr;

use serde::Deserialize;

use super::{Hop, TableRoute};

#[derive(Deserialize)]
struct Sample {
    #[serde(rename = "type")]
    kind: Option<String>,
    dst: String,
    #[serde(default)]
    protocol: String,
    prefsrc: Option<IpAddr>,
    #[serde(default)]
    metric: u32,
    #[serde(flatten)]
    only: SampleHop,
    #[serde(default)]
    nexthops: Vec<SampleHop>,
}

#[derive(Deserialize)]
struct SampleHop {
    dev: Option<String>,
    gateway: Option<IpAddr>,
    via: Option<Via>,
    #[serde(default)]
    flags: Vec<String>,
}

#[derive(Deserialize)]
struct Via {
    host: IpAddr,
}

/// The routes of an answer of `ip -j route`; `default` is what it calls so.
pub(in super::super) fn routes(text: &str, default: &str) -> Vec<TableRoute> {
    let samples: Vec<Sample> = serde_json::from_str(text).expect("what iproute2 prints");
    let route = |sample: Sample| {
        let to = if sample.dst == "default" { default } else { &sample.dst };
        let host = || to.parse::<IpAddr>().map(Into::into);
        let only = Some(sample.only).filter(|_| sample.nexthops.is_empty()).into_iter();
        TableRoute {
            destination: to.parse().or_else(|_| host()).expect("a prefix"),
            kind: if sample.kind.is_none_or(|kind| kind == "unicast") { 1 } else { 7 },
            protocol: match sample.protocol.as_str() {
                "bgp" => 186,
                "kernel" => 2,
                number => number.parse().unwrap_or(3),
            },
            metric: sample.metric,
            source: sample.prefsrc,
            hops: only.chain(sample.nexthops).map(Hop::from).collect(),
        }
    };
    samples.into_iter().map(route).collect()
}

impl From<SampleHop> for Hop {
    fn from(sample: SampleHop) -> Self {
        Self {
            is_dead: sample.flags.iter().any(|flag| flag == "dead"),
            device: sample.dev,
            gateway: sample.gateway,
            via: sample.via.map(|via| via.host),
        }
    }
}
