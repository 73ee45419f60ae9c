//! The interfaces of the kernel, as `ip -d -j link` prints them, for facts and for what is looked
//! at.

use std::time::Duration;

use serde::Deserialize;

use super::{HostError, program};

/// A device of `ip -d -j link`.
#[derive(Debug, Deserialize)]
pub(super) struct Device {
    pub(super) ifname: String,
    #[serde(default)]
    pub(super) link_type: String,
    #[serde(default)]
    pub(super) altnames: Vec<String>,
    #[serde(default)]
    pub(super) flags: Vec<String>,
    pub(super) mtu: u32,
    pub(super) master: Option<String>,
    pub(super) address: Option<String>,
    #[serde(default)]
    pub(super) linkinfo: LinkInfo,
}

/// What is said of a device beyond what all have.
#[derive(Debug, Default, Deserialize)]
pub(super) struct LinkInfo {
    #[serde(rename = "info_kind")]
    pub(super) kind: Option<String>,
    #[serde(default, rename = "info_data")]
    pub(super) data: serde_json::Value,
}

impl Device {
    /// Whether the kernel has set a flag of it, such as `UP`.
    pub(super) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|found| found == flag)
    }

    /// Whether it is of one of these kinds.
    pub(super) fn is(&self, kinds: &[&str]) -> bool {
        self.linkinfo.kind.as_ref().is_some_and(|kind| kinds.contains(&kind.as_str()))
    }
}

/// Every interface of the kernel, asked for no longer than `time`.
pub(super) fn devices(time: Duration) -> Result<Vec<Device>, HostError> {
    let text = program::run_within("ip", &["-d", "-j", "link", "show"], time)?;
    list(&text).map_err(|error| HostError::Program {
        program: "ip -d -j link show".to_owned(),
        message: format!("gave an answer that cannot be read: {error}"),
    })
}

/// Some versions print nothing in place of an empty list.
pub(super) fn list<T: for<'de> Deserialize<'de>>(text: &[u8]) -> Result<Vec<T>, serde_json::Error> {
    if text.trim_ascii().is_empty() { Ok(Vec::new()) } else { serde_json::from_slice(text) }
}
