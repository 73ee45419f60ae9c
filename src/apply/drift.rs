//! What differs on a node from the generation that runs, whoever changed it.

use super::StateError;
use super::generation::Generation;
use super::journal::Journal;
use crate::host::Host;
use crate::plan::{Mismatch, ServiceTarget, Steps, Target};
use crate::render::Managed;

/// What differs from the generation that runs, by layer. Ports of guests are nobody's
/// drift.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// The number of the generation.
    pub generation: u64,
    /// Files that are not what they were made.
    pub files: Vec<Managed>,
    /// What the kernel has otherwise.
    pub kernel: Vec<Mismatch>,
    /// What FRR and dnsmasq have otherwise.
    pub daemons: Vec<Mismatch>,
}

/// Looks at everything that weft put on the node. `None` where nothing of weft's runs, and
/// while an apply is unsettled.
pub fn drift(host: &impl Host) -> Result<Option<Drift>, StateError> {
    let journal = Journal::recent(host)?;
    let (None, Some(running)) = (journal.unsettled(), journal.running()) else { return Ok(None) };
    let record = &running.record;
    if record.generation.number == 0 {
        return Ok(None);
    }
    let generation = Generation::load(host, record.generation)?;
    let files = generation.files();
    // The administrator's own file is not weft's alone.
    let away = files.away(host).filter(|managed| **managed != Managed::FrrDaemons);
    let mut drift = Drift {
        generation: record.generation.number,
        files: away.cloned().collect(),
        ..Drift::default()
    };
    let is_new = |mismatch: &Mismatch| !record.unmet.contains(mismatch);
    let text = files.text(host, &Managed::Interfaces)?;
    let sysctls = files.text(host, &Managed::Sysctl)?;
    let target = Target::between(&[&text], &text).with_sysctls(&sysctls).with_engine(record.engine);
    if let Some(kernel) = host.kernel_for(&target)? {
        drift.kernel = target.verify(&kernel, &[]);
        drift.kernel.extend(target.unset(&kernel));
        drift.kernel.retain(is_new);
        let Steps { before, after } = target.steps(&kernel);
        // What is there too often, such as a rule, is not missing.
        if drift.kernel.is_empty() {
            let steps = before.iter().chain(&after);
            drift.kernel.extend(steps.map(|step| Mismatch::of_node(&step.to_string())));
        }
    }
    let texts = files.texts(host)?;
    let services = ServiceTarget::between(texts.clone(), texts);
    if !services.is_empty()
        && let Some(runs) = host.services(services.asks_frr(), &services.zones())?
    {
        drift.daemons = services.verify(&runs);
        drift.daemons.retain(is_new);
    }
    Ok(Some(drift))
}
