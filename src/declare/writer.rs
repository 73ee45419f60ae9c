//! Which node writes to servers beside the network, as the branch of leases says it.
//!
//! ```text
//! writer                                {"node":"n1","run":17,"held":true,"seconds":600}
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::lease::{NotALease, line};
use crate::value::{Digest, DnsId, NodeName};

/// The file at the top of the branch.
pub const WRITER: &str = "writer";
/// The largest file, in bytes.
pub const MAX_BYTES: u64 = 64 << 10;
/// The longest time that one node may write, in seconds, whatever the file says.
pub const MOST_SECONDS: u32 = 3600;

/// Who writes, or wrote last. No time of day is in it: who sees it counts `seconds` from
/// then on by a clock of its own, and who wrote it counted from before, so that no two
/// clocks are ever compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Writer {
    /// The node.
    pub node: NodeName,
    /// A number that no other run has whose record may still be seen.
    pub run: u64,
    /// Whether it is at it.
    pub held: bool,
    /// How long it may be at it, in seconds.
    pub seconds: u32,
    /// The digest of what was registered last without a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<Digest>,
    /// The zones of servers that hold something of ours, so that whoever writes next finds
    /// what is no longer wanted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub zones: BTreeMap<DnsId, BTreeSet<String>>,
}

/// The file [`WRITER`]. Zones that have no room in it are left out.
pub fn write(writer: &Writer) -> Vec<u8> {
    let text = line(writer);
    if text.len() as u64 <= MAX_BYTES {
        return text;
    }
    line(&Writer { zones: BTreeMap::new(), ..writer.clone() })
}

/// Reads the file [`WRITER`].
pub fn read(bytes: &[u8]) -> Result<Writer, NotALease> {
    let bad = |why: String| NotALease { path: WRITER.to_owned(), why };
    let writer: Writer = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
    Ok(Writer { seconds: writer.seconds.min(MOST_SECONDS), ..writer })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was_written_and_is_bounded() {
        let writer = Writer {
            node: "n1".parse().unwrap(),
            run: 17,
            held: true,
            seconds: 600,
            done: None,
            zones: BTreeMap::new(),
        };
        let text = b"{\"node\":\"n1\",\"run\":17,\"held\":true,\"seconds\":600}\n";
        assert_eq!(write(&writer), text);
        let done = Writer {
            done: Some(Digest::of(b"x")),
            zones: [("pdns".parse().unwrap(), ["sdn.example.".to_owned()].into())].into(),
            ..writer.clone()
        };
        assert_eq!(read(&write(&done)).unwrap(), done);
        let long = Writer { seconds: u32::MAX, ..writer.clone() };
        assert_eq!(read(&write(&long)).unwrap().seconds, MOST_SECONDS);
        let zones = (0..5000).map(|number| format!("z{number:0>40}.example.")).collect();
        let many = Writer { zones: [("pdns".parse().unwrap(), zones)].into(), ..writer.clone() };
        assert_eq!(read(&write(&many)).unwrap(), writer);
        assert!(read(b"{}").is_err());
    }
}
