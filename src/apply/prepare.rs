//! From an authority to everything that an apply needs. Reads, and writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;
use tracing::debug_span;

use super::action::{Action, actions, is_rendered};
use super::files::{Files, on_node};
use super::generation::{self, Contents, Draft, Generation};
use super::journal::{FORMAT, Journal, Kind, Record};
use super::{ApplyError, Authority, Entry, look, network, services, tidy};
use crate::host::{FoundFile, Host, STATE};
use crate::plan::{Kernel, Opening, Services};
use crate::plan::{Lapses, Plan, ServiceTarget, Steps, Target, Terms, Texts, Window};
use crate::render::Managed;
use crate::sync::Verified;

/// What is asked for beyond three times the size of what is written: the journal, and
/// the blocks that small files take.
const RESERVE: u64 = 256 << 10;

/// How long ifupdown2 may take for an interface, and at most.
const EACH_INTERFACE: Duration = Duration::from_millis(500);
const MOST_CARRYING_OUT: Duration = Duration::from_secs(20 * 60);

/// How many changes an entry of the journal tells: more nobody reads, and entries are read often.
const MOST_TOLD: usize = 1000;

/// A generation that was confirmed before, each of its files what its manifest says,
/// and its manifest what the journal says.
#[derive(Debug)]
pub struct Restored {
    generation: Generation,
}

impl Restored {
    /// The generation of this number, read and verified.
    pub fn load(host: &impl Host, number: u64) -> Result<Self, ApplyError> {
        let journal = Journal::read(host)?;
        let on_disk = generation::numbers(host)?;
        let known = |number: &u64| journal.link(*number);
        let Some(link) = on_disk.contains(&number).then(|| known(&number)).flatten() else {
            let known = on_disk.into_iter().filter(|number| known(number).is_some()).collect();
            return Err(ApplyError::NoGeneration { number, known });
        };
        let generation = Generation::load(host, link)?;
        generation.verify(host)?;
        Ok(Self { generation })
    }
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Prepared {
    /// Nothing: this runs, with the same commit.
    Nothing(Box<Entry>),
    Work(Box<Work>),
}

/// An apply with every choice made.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) record: Record,
    /// Generations to write first: generation 0 before the first apply, and the new one.
    pub(super) drafts: Vec<Draft>,
    pub(super) actions: Vec<Action>,
    /// What the running network is to be brought to; none on a dry node.
    pub(super) network: Option<Arc<Target>>,
    /// What services are to be brought to.
    pub(super) services: ServiceTarget,
}

pub(super) fn prepare(
    host: &impl Host,
    authority: Authority,
    terms: &Terms,
) -> Result<Prepared, ApplyError> {
    let journal = Journal::to_apply(host)?;
    if let Some(entry) = journal.unsettled() {
        return Err(ApplyError::Unsettled { number: entry.record.number });
    }
    tidy::check_complete(host, &journal)?;
    let running = match journal.running() {
        // Without it there would be no way back.
        Some(running) => {
            let generation = Generation::load(host, running.record.generation)?;
            generation.verify(host)?;
            Some((running, generation))
        }
        None => None,
    };
    let prepared = match authority {
        Authority::Commit(plan) => of_plan(host, &journal, running, &plan, terms)?,
        Authority::Restored(restored) => of_generation(host, &journal, running, *restored, terms)?,
    };
    if let Prepared::Work(work) = &prepared {
        check_space(host, work)?;
    }
    Ok(prepared)
}

fn of_plan(
    host: &impl Host,
    journal: &Journal,
    running: Option<(&Entry, Generation)>,
    verified: &Verified<Plan>,
    terms: &Terms,
) -> Result<Prepared, ApplyError> {
    let (plan, commit) = (verified.get(), verified.record());
    let digest = plan.rendering.digest();
    let mut record = Record {
        format: FORMAT,
        number: journal.next_number(),
        kind: Kind::Apply,
        generation: generation::Link { number: 0, manifest: digest },
        previous: generation::Link { number: 0, manifest: digest },
        commit: Some(commit.clone()),
        rendering: Some(digest),
        engine: plan.engine,
        begun: host.now(),
        steps: Vec::new(),
        guests: Vec::new(),
        default_dnsmasq: false,
        unmet: Vec::new(),
        spared: Vec::new(),
        passed_hold: terms.passed_hold.clone(),
        window: None,
    };
    let mut drafts = Vec::new();
    let mut previous = None;
    if let Some((running, generation)) = running {
        record.previous = running.record.generation;
        previous = Some(generation);
        if plan.steps.is_empty() && running.record.rendering == Some(digest) {
            if running.record.commit == record.commit && running.record.engine == record.engine {
                return Ok(Prepared::Nothing(Box::new(running.clone())));
            }
            (record.kind, record.generation) = (Kind::Advance, record.previous);
            let services = ServiceTarget::default();
            let work = Work { record, drafts, actions: Vec::new(), network: None, services };
            return Ok(Prepared::Work(Box::new(work)));
        }
    } else {
        let found = Draft::found(plan.node.clone())?;
        record.previous = found.link();
        drafts.push(found);
    }
    let mut actions = actions(host, plan)?;
    let look = || {
        // Where nothing is done, such as on a node whose files are all there, nothing can break.
        if actions.is_empty() {
            return Ok(None);
        }
        debug_span!("observe").in_scope(|| look::before_change(host, terms))
    };
    let generations = (journal, previous.as_ref());
    // Looking waits for others most of its time.
    let (made, before) =
        host.both(|| make(host, generations, verified, &actions, &mut record), look);
    let Made { draft, target, lapses, services, kernel, runs } = made?;
    drafts.push(draft);
    let network = kernel.map(|_| target);
    if let Some(runs) = runs {
        services::note(&mut record, &services, &runs, terms.reverts)?;
        if terms.reverts {
            actions = actions.into_iter().map(|action| action.of_way_back(&runs)).collect();
        }
    }
    record.steps = told(&actions);
    if let Some(before) = before? {
        let interfaces = u32::try_from(plan.changes.len()).unwrap_or(u32::MAX);
        let opening = Opening {
            class: plan.class,
            touches_management: plan.touches_management,
            carrying_out: EACH_INTERFACE
                .saturating_mul(interfaces)
                .saturating_add(services.time())
                .min(MOST_CARRYING_OUT),
        };
        record.window = Some(Window::open(terms, &opening, &host.uptime()?, &before, &lapses));
    }
    Ok(Prepared::Work(Box::new(Work { record, drafts, actions, network, services })))
}

/// What a plan comes to, by what is on the node.
struct Made {
    draft: Draft,
    target: Arc<Target>,
    lapses: Lapses,
    services: ServiceTarget,
    kernel: Option<Arc<Kernel>>,
    /// What runs of the services that are concerned.
    runs: Option<Services>,
}

/// Makes the generation of a plan, after that of which the journal is and the one that runs; the
/// record gets its link, and what a way back needs.
fn make(
    host: &impl Host,
    (journal, previous): (&Journal, Option<&Generation>),
    verified: &Verified<Plan>,
    actions: &[Action],
    record: &mut Record,
) -> Result<Made, ApplyError> {
    let (plan, commit) = (verified.get(), verified.record());
    let (contents, before) = contents(host, plan, actions, previous)?;
    let spoken = |previous: &&Generation| previous.manifest.speaks_of(&Managed::Interfaces);
    let back = match previous.filter(spoken) {
        Some(previous) => previous.files().text(host, &Managed::Interfaces)?,
        None => network::text_on_node(host, &Managed::Interfaces)?,
    };
    let on_disk = generation::numbers(host)?.into_iter().max().unwrap_or(0);
    let draft = Draft::new(
        journal.highest_generation().max(on_disk) + 1,
        plan.node.clone(),
        Some(commit.clone()),
        &plan.rendering,
        Some(&plan.facts),
        contents,
    )?;
    record.generation = draft.link();
    let text = |managed| plan.rendering.files.get(&managed).map_or("", String::as_str);
    let new = network::NewTexts {
        interfaces: text(Managed::Interfaces),
        sysctls: text(Managed::Sysctl),
        ports: text(Managed::Ports),
    };
    let target = network::target(host, plan.engine, &back, &new, Some(&plan.target))?;
    let lapses = Lapses::between(&before, &draft.texts(), &target);
    let services = ServiceTarget::between(before, draft.texts());
    let kernel = network::found(host, record, &target, plan.kernel.as_ref())?;
    let runs = services::read(host, &services)?;
    Ok(Made { draft, target, lapses, services, kernel, runs })
}

/// What a journal keeps of what is done: of very many changes the first ones.
fn told(actions: &[Action]) -> Vec<String> {
    let mut lines: Vec<String> = actions.iter().flat_map(Action::lines).collect();
    if let Some(more) = lines.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
        lines.truncate(MOST_TOLD);
        lines.push(format!("and {more} more changes"));
    }
    lines
}

fn texts(files: BTreeMap<Managed, FoundFile>) -> Texts {
    files.into_iter().map(|(managed, file)| (managed, file.bytes)).collect()
}

/// The files of the node after the actions, what was there before weft, and what is there now.
/// A file without an action is kept as it is, version line included, and must be what was
/// rendered.
fn contents(
    host: &impl Host,
    plan: &Plan,
    actions: &[Action],
    previous: Option<&Generation>,
) -> Result<(Contents, Texts), ApplyError> {
    let mut contents = Contents::default();
    let acted: BTreeMap<&Managed, &Action> =
        actions.iter().filter_map(|action| Some((action.managed()?, action))).collect();
    let owned = previous.iter().flat_map(|previous| previous.manifest.files.keys());
    let known: BTreeSet<&Managed> =
        plan.rendering.files.keys().chain(owned).chain(acted.keys().copied()).collect();
    let mut found = on_node(host, known.iter().copied().cloned())?;
    let mut now = texts(found.clone());
    let mut before = match previous {
        Some(previous) => previous.all_before(host)?,
        None => BTreeMap::new(),
    };
    // What is there now is somebody else's, or nothing, as before weft.
    let gone = previous.iter().flat_map(|previous| &previous.manifest.absent);
    for managed in gone.filter(|managed| !known.contains(managed)) {
        let there = !on_node(host, [managed.clone()])?.is_empty();
        if there || before.get(managed).is_none_or(Option::is_none) {
            before.remove(managed);
        } else {
            contents.absent.insert(managed.clone());
        }
    }
    for managed in known {
        let found = found.remove(managed);
        let is_ours = previous.is_some_and(|p| p.manifest.files.contains_key(managed));
        let is_new = !is_ours && (found.is_some() || !before.contains_key(managed));
        // The administrator's is as it was right before.
        if is_new || *managed == Managed::FrrDaemons {
            before.insert(managed.clone(), found.clone());
        }
        let file = match acted.get(managed) {
            Some(Action::Write(_, file)) => Some(file.clone()),
            Some(Action::Remove(_)) => None,
            Some(Action::Network(_) | Action::Service(_)) | None => {
                let as_planned = match (&found, plan.rendering.files.get(managed)) {
                    (Some(file), Some(text)) => is_rendered(file, text),
                    // The administrator's, which nothing asks for any more.
                    (_, None) if *managed == Managed::FrrDaemons => {
                        before.remove(managed);
                        continue;
                    }
                    (found, text) => found.is_none() && text.is_none(),
                };
                if !as_planned {
                    return Err(ApplyError::Stale { path: managed.path() });
                }
                found
            }
        };
        match file {
            Some(file) => drop(contents.files.insert(managed.clone(), file)),
            None => drop(contents.absent.insert(managed.clone())),
        }
    }
    contents.before = before;
    now.retain(|managed, _| {
        contents.files.contains_key(managed) || contents.absent.contains(managed)
    });
    Ok((contents, now))
}

fn of_generation(
    host: &impl Host,
    journal: &Journal,
    running: Option<(&Entry, Generation)>,
    restored: Restored,
    terms: &Terms,
) -> Result<Prepared, ApplyError> {
    let Restored { generation } = restored;
    let number = generation.link.number;
    let Some((running, previous)) = running else {
        return Err(ApplyError::NoGeneration { number, known: Vec::new() });
    };
    check_unowned(host, &generation, &previous)?;
    let files = generation.files_beside(&previous);
    let text = files.text(host, &Managed::Interfaces)?;
    let back = previous.files_beside(&generation).text(host, &Managed::Interfaces)?;
    let mut actions = Vec::new();
    for managed in files.away(host) {
        actions.push(match files.read(host, managed)? {
            Some(file) => Action::Write(managed.clone(), file),
            None => Action::Remove(managed.clone()),
        });
    }
    // The running generation may have advanced to a later commit than its own.
    let same = running.record.generation == generation.link;
    let commit = if same { &running.record.commit } else { &generation.manifest.commit };
    let mut record = Record {
        format: FORMAT,
        number: journal.next_number(),
        kind: Kind::Restore,
        generation: generation.link,
        previous: running.record.generation,
        commit: commit.clone(),
        rendering: generation.manifest.rendering,
        engine: running.record.engine,
        begun: host.now(),
        steps: Vec::new(),
        guests: Vec::new(),
        default_dnsmasq: false,
        unmet: Vec::new(),
        spared: Vec::new(),
        passed_hold: running.record.passed_hold.clone().filter(|_| same),
        window: None,
    };
    let sysctls = files.text(host, &Managed::Sysctl)?;
    let ports = files.text(host, &Managed::Ports)?;
    let new = network::NewTexts { interfaces: &text, sysctls: &sysctls, ports: &ports };
    let target = network::target(host, record.engine, &back, &new, None)?;
    let kernel = network::found(host, &mut record, &target, None)?;
    if let Some(kernel) = &kernel {
        let Steps { before, after } = target.steps(kernel);
        let files = std::mem::take(&mut actions);
        actions.extend((!before.is_empty()).then_some(Action::Network(before)));
        actions.extend(files);
        actions.extend((!after.is_empty()).then_some(Action::Network(after)));
    }
    let before = texts(on_node(host, files.names())?);
    let mut services = ServiceTarget::between(before, files.texts(host)?);
    if let Some(kernel) = &kernel {
        services = services.beside(&target, kernel);
    }
    if let Some(runs) = services::read(host, &services)? {
        services::note(&mut record, &services, &runs, terms.reverts)?;
        actions.splice(0..0, services.first(&runs).map(Action::Service));
        actions.extend(
            services
                .steps(&runs)
                .into_iter()
                .map(|step| step.of_way_back(&runs))
                .map(Action::Service),
        );
    }
    if same && actions.is_empty() {
        return Ok(Prepared::Nothing(Box::new(running.clone())));
    }
    record.steps = told(&actions);
    let network = kernel.map(|_| target);
    Ok(Prepared::Work(Box::new(Work { record, drafts: Vec::new(), actions, network, services })))
}

/// Refuses to replace what is not weft's now and is kept nowhere: of a file that only the
/// generation speaks of, the way back is what was there before it.
fn check_unowned(
    host: &impl Host,
    generation: &Generation,
    running: &Generation,
) -> Result<(), ApplyError> {
    let before = running.files_beside(generation);
    let unowned = before.into_each().filter(|(m, _)| !running.manifest.speaks_of(m));
    let files = Files::new(unowned);
    match files.away(host).next() {
        None => Ok(()),
        Some(managed) => {
            let number = generation.link.number;
            Err(ApplyError::NotOurs { path: managed.path(), number })
        }
    }
}

/// Refuses to begin what could fill a disk: the new files, the old ones again, and as
/// much once more.
fn check_space(host: &impl Host, work: &Work) -> Result<(), ApplyError> {
    let written = |action: &Action| match action {
        Action::Write(_, file) => file.bytes.len() as u64,
        Action::Remove(_) | Action::Network(_) | Action::Service(_) => 0,
    };
    let files: u64 = work.actions.iter().map(written).sum();
    let generations: u64 = work.drafts.iter().map(Draft::size).sum();
    let managed = work.actions.iter().filter_map(|action| match action {
        Action::Write(managed, _) => {
            managed.path().parent().map(|directory| (directory.to_owned(), files))
        }
        Action::Remove(_) | Action::Network(_) | Action::Service(_) => None,
    });
    let state = [(Utf8PathBuf::from(STATE), generations.max(files))];
    for (directory, size) in state.into_iter().chain(managed) {
        let needed = size.saturating_mul(3).saturating_add(RESERVE);
        let free = host.free(&directory)?;
        if free < needed {
            return Err(ApplyError::NoSpace { directory, free, needed });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Action, MOST_TOLD, told};
    use crate::plan::NetworkStep;
    use crate::render::Managed;

    /// Of the most changes that a node can need a journal keeps as many as can be read again.
    #[test]
    fn a_journal_tells_the_first_thousand_changes() {
        let step = NetworkStep::SetUp { interface: "va".parse().expect("a name") };
        let steps = |count| vec![Action::Network(vec![step.clone(); count])];
        let lines = told(&steps(MOST_TOLD));
        assert_eq!((lines.len(), lines.last().map(String::as_str)), (1000, Some("set va up")));
        let mut more = steps(MOST_TOLD);
        more.extend([Action::Remove(Managed::Ports), Action::Remove(Managed::Sysctl)]);
        let lines = told(&more);
        assert_eq!(lines.len(), 1001);
        assert_eq!(
            (lines[999].as_str(), lines[1000].as_str()),
            ("set va up", "and 2 more changes")
        );
    }
}
