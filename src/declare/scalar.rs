//! Single values: words, numbers, addresses, truths.

use std::net::IpAddr;
use std::str::FromStr;

use serde_json::{Value as Json, json};

use super::finding::{Code, Finding, Findings};
use super::shape::{KeyShape, Shape, bad_value, wrong_type};
use super::yaml::{Node, Value};
use crate::value::article;
use crate::value::{
    AddressRange, Alias, Area, Asn, BadNumber, BranchName, Cidr, ClusterName, ControllerId,
    CredentialId, DhcpValue, DnsId, DnsName, FabricId, Fingerprint, GuestName, HookName, IfName,
    IpamId, IsisNet, MacAddress, Mtu, NodeName, Number, ObjectId, Port, Principal, RepoPath,
    RouteTarget, ServiceTag, ServiceUrl, Tag, VnetId, Word, ZoneId,
};

/// A single value read by its `FromStr`. `wanted` says what belongs there, such as
/// `a number`.
pub fn scalar<T: FromStr<Err: std::fmt::Display>>(
    node: &Node,
    wanted: &str,
    findings: &mut Findings,
) -> Option<T> {
    let Value::Scalar { text, .. } = &node.value else {
        wrong_type(node, wanted, findings);
        return None;
    };
    text.parse().map_err(|error: T::Err| bad_value(error.to_string(), &node.place, findings)).ok()
}

macro_rules! text_shapes {
    ($($type:ty: $wanted:expr, $schema:expr;)*) => {$(
        impl Shape for $type {
            fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
                scalar(node, $wanted, findings)
            }

            fn schema() -> Json {
                $schema
            }
        }
    )*};
}

macro_rules! name_shapes {
    ($($type:ty),*) => {$(
        text_shapes! {
            $type: &format!("{} {}", article(<$type>::KIND), <$type>::KIND),
                json!({ "type": "string", "pattern": <$type>::PATTERN, "description": <$type>::RULE });
        }

        impl KeyShape for $type {
            fn key_schema() -> Json {
                json!({ "pattern": <$type>::PATTERN })
            }
        }
    )*};
}

name_shapes!(
    ZoneId,
    VnetId,
    ControllerId,
    FabricId,
    IpamId,
    DnsId,
    NodeName,
    GuestName,
    DnsName,
    ClusterName,
    CredentialId,
    Principal,
    IfName,
    Alias,
    Word,
    ServiceUrl,
    Fingerprint,
    BranchName,
    DhcpValue,
    HookName
);

text_shapes! {
    Cidr: "a prefix", json!({ "type": "string", "pattern": "^[0-9A-Fa-f.:]+/[0-9]{1,3}$" });
    MacAddress: "a MAC address", json!({ "type": "string", "pattern": "^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$" });
    AddressRange: "a range of addresses", json!({ "type": "string", "pattern": "^[0-9A-Fa-f.:]+ ?- ?[0-9A-Fa-f.:]+$" });
    RouteTarget: "a route target", json!({ "type": "string", "pattern": "^[0-9]+:[0-9]+$" });
    IsisNet: "an IS-IS NET", json!({ "type": "string", "pattern": "^[0-9A-Fa-f]{2}(\\.[0-9A-Fa-f]{4}){3,9}\\.[0-9A-Fa-f]{2}$" });
    Area: "an OSPF area", json!({ "type": ["string", "integer"] });
    ObjectId: "a git object id", json!({ "type": "string", "pattern": "^[0-9a-f]{40}$" });
    RepoPath: "a path", json!({ "type": "string", "minLength": 1 });
}

impl KeyShape for Cidr {
    fn key_schema() -> Json {
        json!({ "pattern": "^[0-9A-Fa-f.:]+/[0-9]{1,3}$" })
    }
}

impl Shape for IpAddr {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let Value::Scalar { text, .. } = &node.value else {
            wrong_type(node, "an IP address", findings);
            return None;
        };
        let read = text.parse().ok();
        if read.is_none() {
            let message = format!("`{}` is not an IP address", text.escape_debug());
            let mut finding = Finding::new(Code::BadValue, message, &node.place)
                .help("write an address such as `10.0.0.1` or `2001:db8::1`");
            if let Some((address, _)) = text.split_once('/')
                && address.parse::<Self>().is_ok()
            {
                finding.help = Some(format!("write it without the prefix length: `{address}`"));
            }
            findings.push(finding);
        }
        read
    }

    fn schema() -> Json {
        json!({ "type": "string", "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }] })
    }
}

macro_rules! number_shapes {
    ($($type:ty),*) => {$(
        impl Shape for $type {
            fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
                unquoted(node, "a number", |text| text.parse::<Self>().is_ok(), findings)?;
                scalar(node, "a number", findings)
            }

            fn schema() -> Json {
                json!({ "type": "integer", "minimum": <$type>::MIN, "maximum": <$type>::MAX })
            }
        }
    )*};
}

number_shapes!(Tag, ServiceTag, Mtu, Port, Asn);

/// A whole number from 0 to 4294967295 without a meaning of its own.
impl Shape for u32 {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        unquoted(node, "a number", |text| text.parse::<Asn>().is_ok(), findings)?;
        let Value::Scalar { text, .. } = &node.value else {
            wrong_type(node, "a number", findings);
            return None;
        };
        let read = text.parse::<Asn>().map_err(|error| match error {
            BadNumber::OutOfBounds { value, min, max, .. } => {
                format!("{value} is outside {min} to {max}")
            }
            error @ BadNumber::NotANumber(_) => error.to_string(),
        });
        read.map_err(|message| bad_value(message, &node.place, findings)).ok().map(Asn::get)
    }

    fn schema() -> Json {
        json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
    }
}

/// Refuses a text in quotes. `is_legal` says whether it would be right without them.
fn unquoted(
    node: &Node,
    wanted: &str,
    is_legal: impl Fn(&str) -> bool,
    findings: &mut Findings,
) -> Option<()> {
    if let Value::Scalar { quoted: true, text } = &node.value {
        let message = format!("{wanted} is wanted here, not a text");
        let mut finding = Finding::new(Code::WrongType, message, &node.place);
        if is_legal(text) {
            finding = finding.help(format!("remove the quotes: `{}`", text.escape_debug()));
        }
        findings.push(finding);
        return None;
    }
    Some(())
}

impl Shape for bool {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let is_legal = |text: &str| matches!(text, "true" | "false" | "0" | "1");
        unquoted(node, "`true` or `false`", is_legal, findings)?;
        let Value::Scalar { text, .. } = &node.value else {
            wrong_type(node, "`true` or `false`", findings);
            return None;
        };
        match text.as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            other => {
                let message = format!("`{}` is neither `true` nor `false`", other.escape_debug());
                let help = match other.to_ascii_lowercase().as_str() {
                    "yes" | "on" | "y" | "true" => "write `true`",
                    "no" | "off" | "n" | "false" => "write `false`",
                    _ => "write `true` or `false`",
                };
                findings.push(Finding::new(Code::WrongType, message, &node.place).help(help));
                None
            }
        }
    }

    fn schema() -> Json {
        json!({ "enum": [true, false, 0, 1] })
    }
}
