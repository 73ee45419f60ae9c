//! Single values that stand in a node's settings and nowhere else.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value as Json, json};
use thiserror::Error;

use crate::agent::schedule::CronLine;
use crate::declare::finding::Findings;
use crate::declare::scalar::scalar;
use crate::declare::shape::Shape;
use crate::declare::yaml::Node;

/// A text that is not a value of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{}` is not {rule}", text.escape_debug())]
pub struct BadWord {
    text: String,
    rule: &'static str,
}

impl BadWord {
    fn new(text: &str, rule: &'static str) -> Self {
        Self { text: text.chars().take(100).collect(), rule }
    }
}

macro_rules! time {
    ($(#[$doc:meta])* $name:ident, $least:expr, $most:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(Duration);

        impl $name {
            const RULE: &'static str = $rule;

            /// The time.
            pub fn duration(self) -> Duration {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = BadWord;

            fn from_str(text: &str) -> Result<Self, BadWord> {
                let bad = || BadWord::new(text, Self::RULE);
                let read: SignedDuration = text.parse().map_err(|_| bad())?;
                let read = Duration::try_from(read).map_err(|_| bad())?;
                let legal = Duration::from_secs($least)..=Duration::from_secs($most);
                if legal.contains(&read) { Ok(Self(read)) } else { Err(bad()) }
            }
        }

        impl Shape for $name {
            fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
                scalar(node, Self::RULE, findings)
            }

            fn schema() -> Json {
                json!({ "type": "string", "description": Self::RULE })
            }
        }
    };
}

time!(
    /// A time between two things that happen: from 5 seconds to a day.
    Interval, 5, 24 * 60 * 60,
    "a time from 5 seconds to 24 hours with its unit, such as `60s`, `5m` or `1h 30m`"
);
time!(
    /// A time in which somebody waits: from a second to ten minutes.
    ShortTime, 1, 10 * 60,
    "a time from 1 second to 10 minutes with its unit, such as `10s` or `2m`"
);
time!(
    /// How long a window of an apply is: from 5 seconds to an hour.
    WindowLength, 5, 60 * 60,
    "a time from 5 seconds to 1 hour with its unit, such as `90s` or `2m`"
);

time!(
    /// How long an address stays its guest's after the guest is gone: from a minute to 90 days.
    GraceLength, 60, 90 * 24 * 60 * 60,
    "a time from 1 minute to 90 days with its unit, such as `24h`"
);

/// The whole path of a file of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFile(Box<str>);

impl NodeFile {
    const RULE: &'static str = "the whole path of a file, such as `/etc/weft/hook.secret`";

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for NodeFile {
    type Err = BadWord;

    fn from_str(text: &str) -> Result<Self, BadWord> {
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        let legal = text.len() <= 4096
            && !text.chars().any(char::is_control)
            && text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(plain));
        if legal {
            return Ok(Self(text.into()));
        }
        // What is no path may be the secret itself.
        let is_path = text.starts_with('/');
        Err(BadWord::new(if is_path { text } else { "…" }, Self::RULE))
    }
}

/// `SocketAddr` with a message that says what is wanted.
struct ListenAddress(SocketAddr);

impl ListenAddress {
    const RULE: &'static str = "an address with its port, such as `127.0.0.1:9470`";
}

impl FromStr for ListenAddress {
    type Err = BadWord;

    fn from_str(text: &str) -> Result<Self, BadWord> {
        text.parse().map(Self).map_err(|_| BadWord::new(text, Self::RULE))
    }
}

impl Shape for NodeFile {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        scalar(node, Self::RULE, findings)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^(/[^/]+)+$", "description": Self::RULE })
    }
}

impl Shape for CronLine {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        scalar(node, "a crontab line", findings)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^\\S+( +\\S+){4}$" })
    }
}

impl Shape for SocketAddr {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        scalar::<ListenAddress>(node, ListenAddress::RULE, findings).map(|address| address.0)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^\\S+:[0-9]{1,5}$" })
    }
}
