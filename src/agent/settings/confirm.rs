//! How an apply is watched until it is confirmed.

use std::time::Duration;

use super::Settings;
use super::words::{ShortTime, WindowLength};
use crate::declare::finding::{Code, Finding, Findings};
use crate::plan::{Check, Probe, Sign, Terms, Watchlist};
use crate::sync::origin::Origin;
use crate::value::{At, Endpoint};

choices! {
    /// Who confirms an apply.
    pub enum Confirmation as "a way to confirm" {
        /// The node, when everything that worked before works.
        "automatic" Automatic,
        /// A person, with `weft confirm`.
        "manual" Manual,
    }
}

declaration! {
    /// How an apply is watched until it is confirmed.
    pub struct Confirm as "`confirm`" {
        /// Who confirms. `automatic` when absent.
        optional "mode" mode: Confirmation,
        /// For how long everything must work without a break. `10s` when absent, or half of
        /// a window that is shorter than twice that.
        optional "settle" settle: ShortTime,
        /// How long a window is open at most. `2m` when absent.
        optional "window" window: WindowLength,
        /// How long one is that touches the way by which the node is reached. `5m` when
        /// absent, or as long as `window` where that is longer.
        optional "long-window" long_window: WindowLength,
        /// How long one is that drops sessions until other nodes follow. `10m` when
        /// absent, or as long as `window` where that is longer.
        optional "coordinated-window" coordinated_window: WindowLength,
        /// How long whoever applies may take to undo it, before the watchdog does. `30s`
        /// when absent.
        optional "reserve" reserve: ShortTime,
    }
}

impl Settings {
    /// How applies are watched.
    pub fn terms(&self) -> Terms {
        let confirm = self.confirm.as_ref().map(|confirm| &confirm.value);
        let short = |time: &Option<At<ShortTime>>| time.as_ref().map(|time| time.value.duration());
        let length = |time: &Option<At<WindowLength>>| time.as_ref().map(|t| t.value.duration());
        let usual = Terms::default();
        let ordinary = confirm.and_then(|c| length(&c.window)).unwrap_or(usual.ordinary);
        // Where only `window` is written, no window that should be longer is shorter.
        let longer = |written: Option<Duration>, usual: Duration| {
            written.unwrap_or_else(|| usual.max(ordinary))
        };
        let settle = confirm.and_then(|confirm| short(&confirm.settle));
        let mode = confirm.and_then(|confirm| confirm.mode.as_ref());
        Terms {
            settle: settle.unwrap_or_else(|| usual.settle.min(ordinary / 2)),
            ordinary,
            management: longer(confirm.and_then(|c| length(&c.long_window)), usual.management),
            coordinated: longer(
                confirm.and_then(|c| length(&c.coordinated_window)),
                usual.coordinated,
            ),
            reserve: confirm.and_then(|confirm| short(&confirm.reserve)).unwrap_or(usual.reserve),
            manual: mode.is_some_and(|mode| mode.value == Confirmation::Manual),
            blind: false,
            reverts: false,
            passed_hold: None,
            watchlist: self.watchlist(),
        }
    }

    /// The remotes that are machines, and the probes.
    fn watchlist(&self) -> Watchlist {
        let remotes = self.remotes.value.iter().filter_map(|remote| {
            let origin = Origin::of(&remote.url.value)?;
            let endpoint = Endpoint { host: origin.host().parse().ok()?, port: origin.port() };
            Some(Probe {
                sign: Sign::Remote(remote.name.value.clone()),
                check: Check::Tcp { host: endpoint.host, port: endpoint.port },
            })
        });
        let probes = self.probes.iter().flat_map(|probes| &probes.value);
        let probes = probes.filter_map(|(name, entry)| {
            Some(Probe { sign: Sign::Probe(name.clone()), check: entry.value.check()? })
        });
        Watchlist { probes: remotes.chain(probes).collect() }
    }
}

pub(super) fn check(settings: &Settings, findings: &mut Findings) {
    let Some(confirm) = &settings.confirm else { return };
    let terms = settings.terms();
    let confirm = &confirm.value;
    if let Some(settle) = &confirm.settle
        && terms.settle > terms.ordinary / 2
    {
        let message = format!(
            "everything cannot work for {:?} and be seen to within {:?}",
            terms.settle, terms.ordinary
        );
        let finding = Finding::new(Code::BadValue, message, &settle.place)
            .help("make `settle` half of `window` at most");
        findings.push(finding);
    }
    for (key, written, length) in [
        ("long-window", &confirm.long_window, terms.management),
        ("coordinated-window", &confirm.coordinated_window, terms.coordinated),
    ] {
        if let Some(written) = written
            && length < terms.ordinary
        {
            let message = format!("`{key}` is shorter than `window`, {:?}", terms.ordinary);
            let finding = Finding::new(Code::BadValue, message, &written.place)
                .help("make it as long as `window` at least, or remove it");
            findings.push(finding);
        }
    }
}
