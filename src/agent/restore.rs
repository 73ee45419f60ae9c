//! What a machine does when it starts, before its network does: an apply that was
//! interrupted is settled, by files alone.

use camino::Utf8Path;

use super::error::TurnError;
use super::hold::Hold;
use super::settings::{self, Mode};
use super::window::{recover, recover_at_boot};
use crate::apply::{self, BroughtUp, LOCK};
use crate::host::Host;

/// Settles what was interrupted, so that the network comes up from the files of one
/// generation and never of two. Says what became of it; `None` where nothing had been
/// interrupted. Needs no settings, no remote and no program.
pub fn restore(host: &impl Host) -> Result<Option<String>, TurnError> {
    match host.lock(Utf8Path::new(LOCK))? {
        Some(_lock) => Ok(recover_at_boot(host)?.words),
        None => Err(TurnError::Busy),
    }
}

/// Brings the network to what runs, when the machine has started: what its start left out, and
/// an apply that was interrupted first. A node that is held, or observes, or whose interfaces
/// file somebody wrote otherwise, is left alone. Says what was done. Needs no settings and no
/// remote.
pub fn bring_up(host: &impl Host) -> Result<String, TurnError> {
    let Some(_lock) = host.lock(Utf8Path::new(LOCK))? else { return Err(TurnError::Busy) };
    let settled = recover(host)?;
    if settled.open.is_some() {
        return Ok("an apply is being watched: its window is open".to_owned());
    }
    if let Some(hold) = Hold::current(host, host.now())? {
        return Ok(format!("this node is held, and nothing is changed: {}", hold.reason));
    }
    // Without settings, or with broken ones, what runs is brought up all the same.
    let observes = settings::load(host).ok().flatten();
    if observes.is_some_and(|settings| settings.mode() == Mode::Observe) {
        return Ok("this node observes, and nothing is changed".to_owned());
    }
    let done = match apply::bring_up(host)? {
        BroughtUp::Edited => {
            "the interfaces file is not what weft wrote, and nothing is changed".to_owned()
        }
        BroughtUp::Nothing => "nothing of weft's runs on this node".to_owned(),
        BroughtUp::Dry => "a dry node has no network to bring up".to_owned(),
        BroughtUp::Unsettled => "an apply is not settled yet".to_owned(),
        BroughtUp::Running { generation, changes: 0 } => {
            format!("the network is what generation {generation} says")
        }
        BroughtUp::Running { generation, changes } => format!(
            "the network is what generation {generation} says, by {changes} {}",
            if changes == 1 { "change" } else { "changes" }
        ),
    };
    Ok(settled.words.into_iter().chain([done]).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::bring_up;
    use crate::agent::hold::Hold;
    use crate::agent::settings::{PATH, SAMPLE};
    use crate::apply::Outcome;
    use crate::apply::tests::go;
    use crate::host::Host as _;
    use crate::host::fake::Fake;

    const TEXT: &str = "\nauto va\niface va\n\taddress 10.0.0.1/24\n\tbridge_ports none\n";

    /// A machine that runs a generation, and started without its network.
    fn scene() -> Fake {
        let host = Fake::default();
        let outcome = go(&host, 1, Some(TEXT)).expect("it works");
        assert!(matches!(outcome, Outcome::Confirmed { .. }), "{outcome:?}");
        host.set_live();
        host
    }

    fn is_up(host: &Fake) -> bool {
        host.with_network(|network| network.kernel().links.contains_key("va"))
    }

    fn settle(host: &Fake, text: &str) {
        host.put(PATH, text.as_bytes(), 0o600);
    }

    #[test]
    fn what_runs_is_brought_up_whatever_the_settings_are() {
        for settings in [None, Some(SAMPLE), Some("colour: red\n")] {
            let host = scene();
            if let Some(settings) = settings {
                settle(&host, settings);
            }
            let said = bring_up(&host).expect("it works");
            assert!(said.starts_with("the network is what generation 1 says, by "), "{said}");
            assert!(is_up(&host), "{settings:?}");
            let said = bring_up(&host).expect("it works");
            assert_eq!(said, "the network is what generation 1 says");
        }
    }

    #[test]
    fn a_node_that_observes_is_left_alone() {
        let host = scene();
        settle(&host, &SAMPLE.replace("mode: apply", "mode: observe"));
        let said = bring_up(&host).expect("it works");
        assert_eq!(said, "this node observes, and nothing is changed");
        assert!(!is_up(&host));
    }

    #[test]
    fn a_node_that_is_held_is_left_alone_until_it_is_not() {
        let host = scene();
        settle(&host, SAMPLE);
        let hold = Hold::new("ann", "a disk is changed", host.now(), None);
        hold.store(&host).expect("written");
        let said = bring_up(&host).expect("it works");
        assert_eq!(said, "this node is held, and nothing is changed: a disk is changed");
        assert!(!is_up(&host));
        assert!(Hold::lift(&host).expect("lifted"));
        bring_up(&host).expect("it works");
        assert!(is_up(&host));
    }

    #[test]
    fn where_nothing_runs_nothing_is_done() {
        let host = Fake::default();
        host.set_live();
        assert_eq!(bring_up(&host).expect("it works"), "nothing of weft's runs on this node");
    }
}
