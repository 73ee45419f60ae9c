//! The single changes of an apply.

use std::fmt;

use super::files::on_node;
use super::{ApplyError, network, services};
use crate::host::{FoundFile, Host, HostError};
use crate::plan::{NetworkStep, Plan, ServiceStep, Services, Step};
use crate::render::{Managed, without_version};

/// A change of one file, or of the running network.
#[derive(Debug)]
pub(super) enum Action {
    Write(Managed, FoundFile),
    Remove(Managed),
    /// What is done at once.
    Network(Vec<NetworkStep>),
    Service(ServiceStep),
}

impl Action {
    /// Does it; what programs complained about on the way is added.
    pub(super) fn run(
        &self,
        host: &impl Host,
        complaints: &mut Vec<String>,
    ) -> Result<(), HostError> {
        match self {
            Self::Write(managed, file) => host.replace(&managed.path(), &file.bytes, file.mode),
            Self::Remove(managed) => host.remove(&managed.path()),
            Self::Network(steps) => network::change(host, steps, complaints),
            Self::Service(step) => services::change(host, step, complaints),
        }
    }

    /// What a journal and a log say of it, a line for each change.
    pub(super) fn lines(&self) -> Vec<String> {
        match self {
            Self::Network(steps) => steps.iter().map(ToString::to_string).collect(),
            other => vec![other.to_string()],
        }
    }

    /// What is done instead on a way back ([`ServiceStep::of_way_back`]).
    pub(super) fn of_way_back(self, services: &Services) -> Self {
        match self {
            Self::Service(step) => Self::Service(step.of_way_back(services)),
            action => action,
        }
    }

    /// The file that it is about, if it is about one.
    pub(super) fn managed(&self) -> Option<&Managed> {
        match self {
            Self::Write(managed, _) | Self::Remove(managed) => Some(managed),
            Self::Network(_) | Self::Service(_) => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(managed, file) => write!(f, "write {managed} ({} bytes)", file.bytes.len()),
            Self::Remove(managed) => write!(f, "remove {managed}"),
            Self::Network(steps) => {
                let mut steps = steps.iter();
                steps.next().map_or(Ok(()), |first| first.fmt(f))?;
                match steps.len() {
                    0 => Ok(()),
                    more => write!(f, " and {more} more changes of the network"),
                }
            }
            Self::Service(step) => step.fmt(f),
        }
    }
}

/// The changes of a plan, each of which leads to its rendering.
pub(super) fn actions(host: &impl Host, plan: &Plan) -> Result<Vec<Action>, ApplyError> {
    let mut seen = Vec::new();
    let mut actions = Vec::new();
    for step in &plan.steps {
        let (managed, action) = match step {
            Step::Write { managed, bytes } => {
                let mode = match managed {
                    Managed::FrrDaemons => mode_on_node(host, managed)?,
                    _ => managed.mode(),
                };
                let file = FoundFile { bytes: bytes.clone(), mode };
                (managed, Action::Write(managed.clone(), file))
            }
            Step::Remove { managed } => (managed, Action::Remove(managed.clone())),
            Step::Network(step) => {
                match actions.last_mut() {
                    Some(Action::Network(steps)) => steps.push(step.clone()),
                    _ => actions.push(Action::Network(vec![step.clone()])),
                }
                continue;
            }
            Step::Service(step) => {
                actions.push(Action::Service(step.clone()));
                continue;
            }
        };
        let bad = |message| Err(ApplyError::BadPlan { path: managed.path(), message });
        if seen.contains(&managed) {
            return bad("two steps are about it");
        }
        match (&action, plan.rendering.files.get(managed)) {
            (Action::Write(_, file), Some(text)) if !is_rendered(file, text) => {
                return bad("what is written is not what was rendered");
            }
            (Action::Write(..), None) => return bad("it is written, but was not rendered"),
            (Action::Remove(_), Some(_)) => return bad("it is removed, but was rendered"),
            _ => {}
        }
        seen.push(managed);
        actions.push(action);
    }
    Ok(actions)
}

/// The administrator's file is as open as it was.
fn mode_on_node(host: &impl Host, managed: &Managed) -> Result<u32, HostError> {
    let found = on_node(host, [managed.clone()])?;
    Ok(found.get(managed).map_or_else(|| managed.mode(), |file| file.mode))
}

/// Whether a file means what was rendered.
pub(super) fn is_rendered(file: &FoundFile, text: &str) -> bool {
    std::str::from_utf8(&file.bytes).is_ok_and(|found| without_version(found) == text)
}
