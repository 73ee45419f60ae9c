//! Windows that ended before their time because a newer commit was there.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::CLOCK;

/// How many windows in a row may end for a newer commit: whoever goes on so would keep a
/// node in a loop of applying and undoing.
pub const MOST: u32 = 3;
/// How long a node waits behind such a row before it tries the newest commit.
pub const PAUSE: SignedDuration = SignedDuration::from_mins(10);

/// How often in a row the window of an apply ended for a newer commit. Only a window that is
/// confirmed ends the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Haste {
    windows: u32,
    /// When an apply was undone last for which no window should end early any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    undone: Option<Timestamp>,
}

impl Haste {
    /// The row with one more window that ended for a newer commit.
    pub(super) fn hastened(before: Option<Self>, now: Timestamp) -> Self {
        let windows = before.map_or(0, |before| before.windows).saturating_add(1);
        // What ended the last window is tried itself.
        let undone = before.filter(Self::is_spent).map(|_| now);
        Self { windows, undone }
    }

    /// The row behind an apply that was undone for a reason of its own.
    pub(super) fn undone(self, now: Timestamp) -> Self {
        Self { undone: Some(now), ..self }
    }

    /// Whether the next window has its whole time, whatever is newer.
    pub fn is_spent(&self) -> bool {
        self.windows >= MOST
    }

    /// Whether nothing but a way back is applied at this time.
    pub fn pauses(&self, now: Timestamp) -> bool {
        self.until().is_some_and(|until| now < until)
    }

    fn until(&self) -> Option<Timestamp> {
        self.undone.map(|undone| undone.checked_add(PAUSE).unwrap_or(Timestamp::MAX))
    }

    /// What the newest commit waits for behind a window that is open.
    pub fn behind_a_window(&self) -> String {
        format!("waits for the end of this window, for {}", self.row())
    }

    /// What the newest commit waits for when no window is open.
    pub fn sentence(&self) -> String {
        let until = self
            .until()
            .map(|until| format!("after {}, or ", until.strftime(CLOCK)))
            .unwrap_or_default();
        format!("{}; it is tried {until}by `weft apply --refresh`", self.row())
    }

    fn row(&self) -> String {
        format!(
            "{} windows in a row ended for a newer commit, and none was confirmed",
            self.windows
        )
    }
}
