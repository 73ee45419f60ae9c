//! Bringing the running network to what the files say, and proving it.
//!
//! What programs say of themselves is not believed. The kernel is read back; what can
//! be amended in place is, and what remains is a failure that names the object.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tracing::{debug, info, warn};

use super::StateError;
use super::files::{Files, Way, on_node};
use super::journal::Record;
use crate::host::{Host, HostError};
use crate::plan::{Engine, GuestPort, Kernel, Mismatch, NetworkStep, Steps, Target};
use crate::render::Managed;

/// How often the kernel is read back before what differs counts as a failure.
const ROUNDS: u32 = 14;

/// How often something may be amended in that time.
const AMENDMENTS: u32 = 5;

/// The time between two looks at a kernel that differs and cannot be amended.
const PAUSE: Duration = Duration::from_millis(200);

/// How many changes at once the log lists; of more it says how many, and lists them where it is
/// asked for all.
const LOGGED: usize = 100;

/// How much is told of what differs, and of what programs said.
const TOLD: usize = 4;

/// A kernel that is not as it was asked to be.
#[derive(Debug, Error)]
pub struct Unmet {
    /// What differs.
    pub mismatches: Vec<Mismatch>,
    /// What programs complained about on the way.
    pub complaints: Vec<String>,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.mismatches.iter().take(TOLD).map(ToString::to_string);
        write!(f, "{}", told.collect::<Vec<_>>().join(", "))?;
        if let Some(more) = self.mismatches.len().checked_sub(TOLD).filter(|more| *more > 0) {
            write!(f, " and {more} more")?;
        }
        for complaint in self.complaints.iter().take(TOLD) {
            write!(f, "; {complaint}")?;
        }
        Ok(())
    }
}

/// Why the network could not be brought to what was wanted.
#[derive(Debug, Error)]
pub(super) enum NetworkError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Unmet(#[from] Unmet),
}

/// Carries out steps. What programs and the kernel complained about is only told if the
/// kernel turns out to be wrong.
pub(super) fn change(
    host: &impl Host,
    steps: &[NetworkStep],
    complaints: &mut Vec<String>,
) -> Result<(), HostError> {
    if steps.is_empty() {
        return Ok(());
    }
    let lists_all = steps.len() <= LOGGED;
    if !lists_all {
        info!("{} changes of the network", steps.len());
    }
    for step in steps {
        if lists_all {
            info!("{step}");
        } else {
            debug!("{step}");
        }
    }
    complaints.extend(host.change(steps)?);
    Ok(())
}

/// Reads the kernel back until it is what the target says; amends what can be amended.
/// What is in `known` was so before and is no failure.
pub(super) fn settle(
    host: &impl Host,
    target: &Target,
    guests: &[GuestPort],
    known: &[Mismatch],
    mut complaints: Vec<String>,
) -> Result<(), NetworkError> {
    let mut amended = 0;
    let mut mismatches = Vec::new();
    for _ in 0..ROUNDS {
        let Some(kernel) = host.kernel_for(target)? else { return Ok(()) };
        let steps = target.amend(&kernel, guests);
        if !steps.is_empty() && amended < AMENDMENTS {
            amended += 1;
            for step in &steps {
                if let NetworkStep::ReturnPort { port, bridge, .. } = step {
                    warn!("the port {port} of a guest was thrown out of {bridge}; it is put back");
                }
            }
            change(host, &steps, &mut complaints)?;
            continue;
        }
        mismatches = target.verify(&kernel, guests);
        mismatches.retain(|mismatch| !known.contains(mismatch));
        if mismatches.is_empty() {
            return Ok(());
        }
        host.wait(PAUSE);
    }
    Err(Unmet { mismatches, complaints }.into())
}

/// The text of a file that is on the node now, empty where there is none.
pub(super) fn text_on_node(host: &impl Host, managed: &Managed) -> Result<String, HostError> {
    let mut found = on_node(host, [managed.clone()])?;
    Ok(found.remove(managed).map(|file| file.text()).unwrap_or_default())
}

/// The new texts that say what the running network is to be.
pub(super) struct NewTexts<'a> {
    pub(super) interfaces: &'a str,
    pub(super) sysctls: &'a str,
    pub(super) ports: &'a str,
}

/// What the running network is to be brought to by an engine, from what the previous generation
/// and the file on the node say. `planned` is the target of a plan that was made of the file
/// alone.
pub(super) fn target(
    host: &impl Host,
    engine: Engine,
    previous: &str,
    new: &NewTexts<'_>,
    planned: Option<&Arc<Target>>,
) -> Result<Arc<Target>, HostError> {
    let is = text_on_node(host, &Managed::Interfaces)?;
    if let Some(planned) = planned.filter(|_| is == previous) {
        return Ok(Arc::clone(planned));
    }
    let target = Target::between(&[previous, &is], new.interfaces)
        .with_sysctls(new.sysctls)
        .with_ports(&[&text_on_node(host, &Managed::Ports)?], new.ports)
        .with_engine(engine);
    Ok(Arc::new(target))
}

/// The kernel of a target, as it was `read` a moment ago or as it is read now; `None` on a dry
/// node. The record keeps what a way back needs of it: the guests' ports, and what the network
/// did not have that the previous generation asks for.
pub(super) fn found(
    host: &impl Host,
    record: &mut Record,
    target: &Target,
    read: Option<&Arc<Kernel>>,
) -> Result<Option<Arc<Kernel>>, HostError> {
    let is_whole = |kernel: &&Arc<Kernel>| {
        target.tables().iter().all(|table| kernel.rules.contains_key(table))
    };
    let kernel = match read.filter(is_whole) {
        Some(kernel) => Some(Arc::clone(kernel)),
        None => host.kernel_for(target)?.map(Arc::new),
    };
    if let Some(kernel) = &kernel {
        let back = target.back();
        record.guests = back.guests(kernel);
        record.unmet = back.verify(kernel, &[]);
    }
    Ok(kernel)
}

/// The way of a running network back to the generation before.
pub(super) struct WayBack {
    pub(super) target: Target,
    /// As it is before anything goes back.
    pub(super) kernel: Kernel,
    steps: Steps,
    complaints: Vec<String>,
}

impl WayBack {
    /// Reads the kernel. `None` on a dry node, and where nothing of the network is there.
    pub(super) fn load(
        host: &impl Host,
        way: &Way,
        record: &Record,
    ) -> Result<Option<Self>, StateError> {
        let text = |files: Files, managed| files.text(host, &managed);
        let (interfaces, ports) = (|| Managed::Interfaces, || Managed::Ports);
        let target = Target::between(
            &[&text(way.forward(), interfaces())?],
            &text(way.back(), interfaces())?,
        )
        .with_sysctls(&text(way.back(), Managed::Sysctl)?)
        .with_ports(&[&text(way.forward(), ports())?], &text(way.back(), ports())?)
        .with_engine(record.engine)
        .sparing(&record.spared);
        let Some(kernel) = host.kernel_for(&target)? else {
            return Ok(None);
        };
        // Before the network of a machine came up there is nothing to change: it comes up
        // from the files.
        if !target.is_running(&kernel) {
            return Ok(None);
        }
        let steps = target.steps(&kernel);
        Ok(Some(Self { target, kernel, steps, complaints: Vec::new() }))
    }

    /// Takes down what cannot change in place while the files that made it are there.
    pub(super) fn begin(mut self, host: &impl Host) -> Result<Self, StateError> {
        change(host, &self.steps.before, &mut self.complaints)?;
        Ok(self)
    }

    /// With the files of the generation before in place again.
    pub(super) fn finish(mut self, host: &impl Host, record: &Record) -> Result<(), StateError> {
        change(host, &self.steps.after, &mut self.complaints)?;
        let settled = settle(host, &self.target, &record.guests, &record.unmet, self.complaints);
        settled.map_err(|error| match error {
            NetworkError::Host(error) => error.into(),
            NetworkError::Unmet(unmet) => StateError::Kernel(unmet),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex, PoisonError};

    use super::{LOGGED, change};
    use crate::host::fake::Fake;
    use crate::plan::NetworkStep;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The lines of a log that shows what is shown usually.
    fn logged(count: usize) -> Vec<String> {
        let host = Fake::default();
        host.set_live();
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::INFO)
            .with_writer(move || writer.clone())
            .finish();
        let step = |number: usize| NetworkStep::SetUp {
            interface: format!("v{number}").parse().expect("a name"),
        };
        let steps: Vec<NetworkStep> = (0..count).map(step).collect();
        let done = tracing::subscriber::with_default(subscriber, || {
            change(&host, &steps, &mut Vec::new())
        });
        done.expect("it works");
        let bytes = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).expect("text").lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_log_lists_a_hundred_changes_and_counts_more() {
        let lines = logged(LOGGED);
        assert_eq!((lines.len(), LOGGED), (100, 100));
        assert!(lines[99].ends_with("set v99 up"), "{}", lines[99]);
        let lines = logged(LOGGED + 1);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].ends_with("101 changes of the network"), "{}", lines[0]);
        assert!(logged(0).is_empty());
    }
}
