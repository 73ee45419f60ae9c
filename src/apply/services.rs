//! Bringing services to what their files say, and proving it.

use std::time::Duration;

use tracing::{info, warn};

use super::files::{Files, Way};
use super::journal::Record;
use super::network::{NetworkError, Unmet, WayBack};
use super::{ApplyError, StateError};
use crate::host::{Host, HostError};
use crate::plan::{Mismatch, ServiceStep, ServiceTarget, Services};
use crate::render::Managed;

/// How long services are looked at before what differs counts as a failure: FRR's daemons
/// take seconds to read their configuration, and half a minute on a busy machine. By the clock,
/// since one that hangs takes its time to be asked.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// After this time what FRR runs without is given to it again. Its mgmtd refuses all that is read
/// to it while another daemon makes itself known, as when it begins on a busy machine, and says
/// so only to its log (`mgmt_txn_notify_be_adapter_conn` of FRR 10.3).
const AGAIN: Duration = Duration::from_secs(6);
/// How often: each takes as long as FRR's reload does.
const TIMES: u32 = 2;

/// Carries out one step. Of values of the kernel that it does not take, others are no
/// less right, so they are only a complaint.
pub(super) fn change(
    host: &impl Host,
    step: &ServiceStep,
    complaints: &mut Vec<String>,
) -> Result<(), HostError> {
    info!("{step}");
    match (host.serve(step), step) {
        (Err(error), ServiceStep::LoadSysctl) => {
            complaints.push(error.to_string());
            Ok(())
        }
        (result, _) => result,
    }
}

/// What runs, where any service is concerned.
pub(super) fn read(
    host: &impl Host,
    target: &ServiceTarget,
) -> Result<Option<Services>, HostError> {
    if target.is_empty() {
        return Ok(None);
    }
    host.services(target.asks_frr(), &target.zones())
}

/// What a record keeps of services before the first change: what did not run of the
/// previous files, and whether the dnsmasq that is of no zone did.
///
/// # Errors
///
/// Where FRR hangs that would have to take something: neither the change nor its way back
/// could be proven. A way back (`is_way_back`) is not kept by that.
pub(super) fn note(
    record: &mut Record,
    target: &ServiceTarget,
    services: &Services,
    is_way_back: bool,
) -> Result<(), ApplyError> {
    if !is_way_back && target.waits_for_frr(services) {
        return Err(ApplyError::SilentFrr);
    }
    let steps = target.steps(services);
    record.default_dnsmasq = steps.contains(&ServiceStep::StopDefaultDnsmasq);
    record.unmet.extend(target.unmet(services));
    Ok(())
}

/// Whether the programs that will read the new files take them, the file of interfaces among
/// them where it is one.
pub(super) fn check(
    host: &impl Host,
    (target, has_interfaces): (&ServiceTarget, bool),
    files: &Files,
) -> Result<(), ApplyError> {
    let interfaces = has_interfaces.then_some(&Managed::Interfaces);
    for managed in interfaces.into_iter().chain(target.new_files()) {
        if let Some(copy) = files.copy(managed) {
            let refused = |source| ApplyError::Refused { path: managed.path(), source };
            host.check(managed, copy).map_err(refused)?;
        }
    }
    Ok(())
}

/// Looks at services until they run what the target says. What is in `known` was so before
/// and is no failure.
pub(super) fn settle(
    host: &impl Host,
    target: &ServiceTarget,
    known: &[Mismatch],
    mut complaints: Vec<String>,
) -> Result<(), NetworkError> {
    let time = || host.uptime().map(|now| Duration::from_millis(now.milliseconds));
    let begun = time()?;
    let (mut end, mut again, mut left) = (begun + PATIENCE, begun + AGAIN, TIMES);
    loop {
        let Some(services) = read(host, target)? else { return Ok(()) };
        let mut mismatches = target.verify(&services);
        mismatches.retain(|mismatch| !known.contains(mismatch) && !target.excuses(mismatch));
        if mismatches.is_empty() {
            return Ok(());
        }
        let now = time()?;
        if now >= end {
            return Err(Unmet { mismatches, complaints }.into());
        }
        let is_time = left > 0 && now >= again;
        let Some(step) = target.again(&services, &mismatches).filter(|_| is_time) else {
            host.wait(PAUSE);
            continue;
        };
        warn!("FRR runs, and did not take all of its file; it gets it again");
        if let Err(error) = change(host, &step, &mut complaints) {
            complaints.push(error.to_string());
        }
        let done = time()?;
        (end, again, left) = (end + done.saturating_sub(now), done + AGAIN, left - 1);
    }
}

/// Before a network goes back. What does not work of it is only told: the network goes back
/// all the same.
pub(super) fn begin_back(host: &impl Host, way: &Way, network: Option<&WayBack>) {
    let begin = || -> Result<(), StateError> {
        let mut target = target_back(host, way)?;
        if let Some(network) = network {
            target = target.beside(&network.target, &network.kernel);
        }
        if !target.lets_vrfs_go() {
            return Ok(());
        }
        let step = read(host, &target)?.and_then(|services| target.first(&services));
        step.map_or(Ok(()), |step| Ok(change(host, &step, &mut Vec::new())?))
    };
    if let Err(error) = begin() {
        warn!(%error, "FRR may keep VNIs that go on the way back");
    }
}

fn target_back(host: &impl Host, way: &Way) -> Result<ServiceTarget, StateError> {
    let texts = |files: Files| files.texts(host);
    Ok(ServiceTarget::between(texts(way.forward())?, texts(way.back())?))
}

/// With the files of the generation before in place again. What a step complains about is
/// only told if something does not run afterwards.
pub(super) fn go_back(host: &impl Host, way: &Way, record: &Record) -> Result<(), StateError> {
    let target = target_back(host, way)?;
    let Some(services) = read(host, &target)? else { return Ok(()) };
    let mut steps = target.steps(&services);
    let wants_default = record.default_dnsmasq && !target.has_zones();
    steps.extend(wants_default.then_some(ServiceStep::StartDefaultDnsmasq));
    let mut complaints = Vec::new();
    for step in steps {
        if let Err(error) = change(host, &step, &mut complaints) {
            complaints.push(error.to_string());
        }
    }
    settle(host, &target, &record.unmet, complaints).map_err(|error| match error {
        NetworkError::Host(error) => error.into(),
        NetworkError::Unmet(unmet) => StateError::Kernel(unmet),
    })
}
