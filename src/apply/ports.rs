//! Ports of guests that appear while nothing is applied: they get what the generation says that
//! is on the node. No window opens for that, and no entry of the journal is made: what is set is
//! the port's own, and goes with it.

use super::StateError;
use super::generation::Generation;
use super::journal::{self, State};
use super::network::change;
use crate::host::Host;
use crate::plan::{Kernel, Mismatch, NetworkStep, Question, Target};
use crate::render::Managed;

/// How often ports are looked at again: an entry of the bridge comes first, then what relies
/// on it.
const ROUNDS: u32 = 3;

/// What the node has of ports, by the entry of the journal that says so.
struct Standing {
    entry: Option<(u64, State)>,
    interfaces: String,
    ports: String,
}

/// Brings ports of guests to what is declared of them, and nothing else.
///
/// Needs no lock, so that a guest that starts while a remote is waited for gets what is
/// declared: an apply looks at ports itself. Where one is at it, or came between, this is `false`
/// and is to be called again. `before` is what may have been set too late, by what was declared
/// before such an apply; it is kept for that call, after an error too, and empty otherwise.
pub fn set_ports(host: &impl Host, before: &mut String) -> Result<bool, StateError> {
    let Some(standing) = standing(host, before)? else { return Ok(false) };
    if !(before.is_empty() && standing.ports.is_empty()) {
        let target = target(&standing, before);
        before.push_str(&standing.ports);
        set(host, &target)?;
    }
    let newest = journal::newest(host, |_, _| true)?;
    let is_same = newest.map(|newest| (newest.record.number, newest.state)) == standing.entry;
    *before = if is_same { String::new() } else { standing.ports };
    Ok(is_same)
}

/// Ports of guests that lack what is declared of them. None while an apply is unsettled.
pub fn lacking_ports(host: &impl Host) -> Result<Vec<Mismatch>, StateError> {
    let Some(standing) = standing(host, "")?.filter(|standing| !standing.ports.is_empty()) else {
        return Ok(Vec::new());
    };
    let target = target(&standing, "");
    let kernel = kernel(host, &target)?;
    Ok(kernel.map(|kernel| target.lacking_ports(&kernel)).unwrap_or_default())
}

fn target(standing: &Standing, old: &str) -> Target {
    let Standing { interfaces, ports, .. } = standing;
    Target::between(&[interfaces], interfaces).with_ports(&[ports, old], ports)
}

/// The kernel without rules and values, which cost more than all the rest.
fn kernel(host: &impl Host, target: &Target) -> Result<Option<Kernel>, StateError> {
    let mut kernel = host.kernel(&Question::default())?;
    if let Some(kernel) = &mut kernel {
        host.add_stations(kernel, target)?;
    }
    Ok(kernel)
}

fn set(host: &impl Host, target: &Target) -> Result<(), StateError> {
    let mut complaints = Vec::new();
    for _ in 0..ROUNDS {
        let Some(kernel) = kernel(host, target)? else { return Ok(()) };
        let steps = target.port_steps(&kernel);
        if steps.is_empty() {
            forget(host, &target.surplus_steps(&kernel))?;
            return Ok(());
        }
        change(host, &steps, &mut complaints)?;
    }
    // A guest that went meanwhile is no fault; what is lacking is told by the status.
    for complaint in complaints {
        tracing::warn!("{complaint}");
    }
    Ok(())
}

/// Takes entries away that nobody needs. Each time anew where the kernel keeps them, which is no
/// news.
fn forget(host: &impl Host, surplus: &[NetworkStep]) -> Result<(), StateError> {
    for step in surplus {
        tracing::debug!("{step}");
    }
    if !surplus.is_empty() {
        for complaint in host.change(surplus)? {
            tracing::debug!("{complaint}");
        }
    }
    Ok(())
}

/// What is on the node; `None` while an apply is at it. Of one whose window is open the files
/// are in place.
fn standing(host: &impl Host, before: &str) -> Result<Option<Standing>, StateError> {
    let newest = journal::newest(host, |_, _| true)?;
    let entry = newest.as_ref().map(|newest| (newest.record.number, newest.state));
    let link = match newest {
        None => None,
        Some(entry) if entry.state == State::Confirmed || entry.is_open() => {
            Some(entry.record.generation)
        }
        Some(entry) if entry.state == State::RolledBack => {
            super::running(host)?.map(|running| running.record.generation)
        }
        Some(_) => return Ok(None),
    };
    let mut standing = Standing { entry, interfaces: String::new(), ports: String::new() };
    if let Some(link) = link.filter(|link| link.number > 0) {
        let files = Generation::load(host, link)?.files();
        standing.ports = files.text(host, &Managed::Ports)?;
        // Of thousands of vnets it takes a while, and where nothing is asked for nobody needs it.
        if !(before.is_empty() && standing.ports.is_empty()) {
            standing.interfaces = files.text(host, &Managed::Interfaces)?;
        }
    }
    Ok(Some(standing))
}
