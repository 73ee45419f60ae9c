//! Bringing up what runs when a machine has started.

use super::StateError;
use super::generation::Generation;
use super::journal::Journal;
use super::network::{self, NetworkError};
use crate::host::{Host, HostError};
use crate::plan::{NetworkStep, Steps, Target};
use crate::render::{Managed, without_version};

/// What became of [`bring_up`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BroughtUp {
    /// Nothing of weft's runs.
    Nothing,
    /// The node is dry, and has no network.
    Dry,
    /// An apply is unsettled: whoever settles it brings the network up.
    Unsettled,
    /// The interfaces file is not what the running generation has: nothing is done.
    Edited,
    /// The network is what the running generation says.
    Running {
        /// The number of the generation.
        generation: u64,
        /// How many changes that took.
        changes: usize,
    },
}

/// Brings the network to the running generation: what the start of a machine left out of it,
/// or made otherwise. Needs no settings, no git and no network, opens no window, and leaves
/// services to their own start. What was so when the generation was confirmed is no failure.
pub fn bring_up(host: &impl Host) -> Result<BroughtUp, StateError> {
    let journal = Journal::recent(host)?;
    if journal.unsettled().is_some() {
        return Ok(BroughtUp::Unsettled);
    }
    let Some(running) = journal.running().filter(|running| running.record.generation.number > 0)
    else {
        return Ok(BroughtUp::Nothing);
    };
    let record = &running.record;
    let generation = Generation::load(host, record.generation)?;
    generation.verify(host)?;
    let files = generation.files();
    let text = files.text(host, &Managed::Interfaces)?;
    let sysctls = files.text(host, &Managed::Sysctl)?;
    // Whoever wrote something else there since wants something else.
    let found = network::text_on_node(host, &Managed::Interfaces)?;
    if without_version(&found) != without_version(&text) {
        return Ok(BroughtUp::Edited);
    }
    let target = Target::between(&[&text], &text)
        .with_sysctls(&sysctls)
        .with_ports(&[], &files.text(host, &Managed::Ports)?)
        .with_engine(record.engine);
    let Some(kernel) = host.kernel_for(&target)? else {
        return Ok(BroughtUp::Dry);
    };
    let guests = target.guests(&kernel);
    let Steps { before, after } = target.steps(&kernel);
    let mut complaints = Vec::new();
    // ifupdown2 may bring up the same file meanwhile: what it made is ours as well.
    let change = |steps: &[NetworkStep], complaints: &mut Vec<String>| match network::change(
        host, steps, complaints,
    ) {
        Err(HostError::Taken { .. }) => Ok(()),
        result => result,
    };
    change(&before, &mut complaints)?;
    change(&after, &mut complaints)?;
    let settled = network::settle(host, &target, &guests, &record.unmet, complaints);
    settled.map_err(|error| match error {
        NetworkError::Host(error) => error.into(),
        NetworkError::Unmet(unmet) => StateError::Kernel(unmet),
    })?;
    let changes = before.len() + after.len();
    Ok(BroughtUp::Running { generation: record.generation.number, changes })
}
