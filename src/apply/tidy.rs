//! What is kept of the past, and the removal of the rest.
//!
//! Generations: 0, the running one, the one before it, and the newest ten that ever
//! ran. The journal: the newest two hundred entries, and for each kept generation the
//! newest confirmed entry that names it, because that entry has the digest of its
//! manifest.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::StateError;
use super::generation;
use super::journal::{self, Entry, Journal, State};
use crate::host::{Host, HostError, TEMPORARY};
use crate::render::Managed;
use crate::value::ZoneId;

/// How many generations are kept beside those that are needed.
const GENERATIONS: usize = 10;

/// Where each zone with a dnsmasq of its own has a directory, and others have files.
const ZONES: &str = "/etc/dnsmasq.d";

/// How many entries of the journal are kept beside those that are needed, and how many more
/// there may be before they are removed: to know which are needed takes reading them all.
const ENTRIES: usize = 200;
const MORE: usize = 40;

/// Removes temporary files, generations that were given up or are old, and old entries
/// of the journal. Does nothing while an apply is unsettled.
pub(super) fn tidy(host: &impl Host) -> Result<(), StateError> {
    let on_disk = generation::numbers(host)?;
    let is_full = journal::names(host)?.len() > ENTRIES + MORE;
    let journal = Journal::back(host, |entries| !is_full && speak_of(entries, &on_disk))?;
    if journal.unsettled().is_some() {
        return Ok(());
    }
    remove_temporary(host)?;
    let kept = kept(&journal);
    for number in on_disk {
        if !kept.contains(&number) {
            host.remove_directory(&generation::directory(number))?;
        }
    }
    // After the generations: a generation without an entry would be damage.
    for entry in old_entries(&journal, &kept).filter(|_| is_full) {
        host.remove(&entry.path())?;
    }
    Ok(())
}

/// Whether it is known of each generation on the disk that it ran, but for 0, which did if any
/// did: then what older entries say keeps and removes none.
fn speak_of(entries: &[Entry], on_disk: &[u64]) -> bool {
    let confirmed = entries.iter().filter(|entry| entry.state == State::Confirmed);
    let named: BTreeSet<u64> = confirmed.flat_map(Entry::links).map(|link| link.number).collect();
    !named.is_empty() && on_disk.iter().all(|number| *number == 0 || named.contains(number))
}

/// Refuses a journal that lost what it must have had: while nothing was ever
/// confirmed, each generation on the disk is one that an entry speaks of.
pub(super) fn check_complete(host: &impl Host, journal: &Journal) -> Result<(), StateError> {
    if journal.running().is_some() {
        return Ok(());
    }
    let named: BTreeSet<u64> =
        journal.entries().iter().flat_map(Entry::links).map(|link| link.number).collect();
    match generation::numbers(host)?.into_iter().find(|number| !named.contains(number)) {
        None => Ok(()),
        Some(number) => Err(StateError::damaged(
            journal::DIRECTORY,
            format!("lacks the entries of generation {number}"),
        )),
    }
}

fn remove_temporary(host: &impl Host) -> Result<(), HostError> {
    let mut directories: BTreeSet<Utf8PathBuf> = [journal::DIRECTORY.into()].into();
    let zones = host.list(Utf8Path::new(ZONES))?.into_iter().filter_map(|name| name.parse().ok());
    let zones: Vec<ZoneId> = zones.collect();
    let of_zone = |zone: &ZoneId| {
        [Managed::DnsmasqBus, Managed::DnsmasqOptions, Managed::DnsmasqZone]
            .map(|managed| managed(zone.clone()))
    };
    let managed = Managed::FIXED.iter().cloned().chain(zones.iter().flat_map(of_zone));
    let parents = managed.filter_map(|managed| managed.path().parent().map(Utf8Path::to_owned));
    directories.extend(parents);
    for directory in directories {
        for name in host.list(&directory)? {
            if name.starts_with(TEMPORARY) {
                host.remove(&directory.join(name))?;
            }
        }
    }
    Ok(())
}

fn confirmed(journal: &Journal) -> impl Iterator<Item = &Entry> {
    journal.entries().iter().rev().filter(|entry| entry.state == State::Confirmed)
}

/// The generations to keep; none while nothing was ever confirmed.
fn kept(journal: &Journal) -> BTreeSet<u64> {
    // The running one first, then the one before it.
    let mut named: Vec<u64> = Vec::new();
    for link in confirmed(journal).flat_map(Entry::links) {
        if !named.contains(&link.number) {
            named.push(link.number);
        }
    }
    let mut kept: BTreeSet<u64> = named.iter().copied().take(2).collect();
    kept.extend((!named.is_empty()).then_some(0));
    named.sort_unstable();
    kept.extend(named.iter().rev().take(GENERATIONS));
    kept
}

fn old_entries<'a>(journal: &'a Journal, kept: &BTreeSet<u64>) -> impl Iterator<Item = &'a Entry> {
    let mut wanted = kept.clone();
    let mut needed = BTreeSet::new();
    for entry in confirmed(journal) {
        let names = entry.links().map(|link| wanted.remove(&link.number));
        if names.contains(&true) {
            needed.insert(entry.record.number);
        }
    }
    let old = journal.entries().iter().rev().skip(ENTRIES);
    old.filter(move |entry| !needed.contains(&entry.record.number))
}
