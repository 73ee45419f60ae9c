//! `weft adopt --pve`: a person lets weft replace what others made in `/etc/pve/sdn`.
//!
//! What is agreed to is what was shown and nothing else: its digests. An edit that comes
//! after it is as foreign as before. Secrets are never shown: that another one is there is,
//! and whichever it is may be replaced.

use std::collections::BTreeMap;

use super::look::salt;
use super::place;
use super::standing::{Publication, Standing};
use super::{Stopped, under_lock};
use crate::declare::publish::{FORMAT, Record, Seal};
use crate::host::Host;
use crate::value::ClusterName;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// It is written down, and the next turns publish.
    Agreed,
    /// There is nothing that weft would not replace by itself.
    Nothing,
    /// It could not be done, for this reason.
    Stopped(String),
}

/// Lets weft replace what was found when the publication was refused.
pub fn take_over(host: &impl Host, cluster: &ClusterName, shown: &Publication) -> Takeover {
    if shown.standing != Standing::Refused || shown.found.is_empty() {
        return Takeover::Nothing;
    }
    let agreed = under_lock(host, |deadline| {
        let there = place::found(host)?;
        let found = there.digests();
        let found: BTreeMap<_, _> = found.into_iter().map(|(n, d)| (n.to_owned(), d)).collect();
        if found != shown.found {
            let message = "something was changed since: look at it again after the next turn";
            return Err(Stopped::refused("pve-edited", message.to_owned()));
        }
        let record = place::record(host)?;
        let record = record.filter(|record| record.cluster == *cluster);
        let mut record = record.unwrap_or_else(|| Record {
            format: FORMAT,
            cluster: cluster.clone(),
            published: None,
            contents: BTreeMap::new(),
            seal: None,
        });
        for (name, digest) in found {
            record.contents.entry(name).or_default().insert(digest);
        }
        let mut seal = record.seal.take().unwrap_or_else(|| Seal::new(salt()));
        for (name, secrets) in there.secrets(&seal) {
            seal.secrets.entry(name.to_owned()).or_default().extend(secrets);
        }
        record.seal = seal.secrets.values().any(|secrets| !secrets.is_empty()).then_some(seal);
        deadline.check(host)?;
        Ok(place::put_record(host, &record)?)
    });
    match agreed {
        Ok(()) => Takeover::Agreed,
        Err(stopped) => Takeover::Stopped(stopped.message),
    }
}
