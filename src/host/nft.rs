//! weft's own tables of nft: whether the kernel takes them, what is in them, and how one is
//! replaced.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::{HostError, program};
use crate::plan::{Family, NAT_TABLE, Nat, NatRule, nat_commands, nat_table};

/// The versions of IP of which the kernel was seen to take such tables. That does not end
/// before the machine does.
static WORKS: Mutex<BTreeSet<Family>> = Mutex::new(BTreeSet::new());

/// What nft says of a table that is not there.
const MISSING: &str = "No such file or directory";

/// What there is of these versions of IP. A machine without nft has nothing.
pub(super) fn read(families: BTreeSet<Family>) -> Result<Nat, HostError> {
    let mut nat = Nat::default();
    for family in families {
        if !works(family) {
            continue;
        }
        nat.works.insert(family);
        let words = ["-j", "list", "table", family.nft(), NAT_TABLE];
        match program::run("nft", &words) {
            Ok(text) => {
                // What cannot be read is not what is wanted.
                nat.tables.insert(family, nat_table(&text).unwrap_or_default());
            }
            Err(HostError::Program { message, .. }) if message.contains(MISSING) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(nat)
}

/// Whether the kernel takes a table with each kind of rule that weft has. It is asked by a
/// transaction that it checks and does not make (nft(8), `--check`): one that has nft for
/// bridges alone, or no translation of addresses, refuses it.
fn works(family: Family) -> bool {
    let known = || WORKS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if known().contains(&family) {
        return true;
    }
    let mut words = vec!["--check".to_owned()];
    words.extend(setting(family, &samples(family)));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let is_taken = program::run("nft", &words).is_ok();
    if is_taken {
        known().insert(family);
    }
    is_taken
}

/// A rule of each kind, of addresses for documentation (RFC 5737, RFC 3849).
fn samples(family: Family) -> Vec<NatRule> {
    let (source, address) = match family {
        Family::V4 => ([192, 0, 2, 0].into(), [192, 0, 2, 1].into()),
        Family::V6 => {
            let documentation = [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0];
            (documentation.into(), documentation.into())
        }
    };
    let source = ipnet::IpNet::new_assert(source, 24);
    let (out, input) = ("lo".to_owned(), "fwbr*".to_owned());
    vec![NatRule::Source { source, out, address }, NatRule::Zone { input, zone: 1 }]
}

/// The arguments of nft that replace a table. nft reads all of them as one text, which is one
/// transaction; each is a line of its own because the system bounds the length of one.
pub(super) fn setting(family: Family, rules: &[NatRule]) -> Vec<String> {
    let mut words = vec!["--".to_owned()];
    words.extend(nat_commands(family, rules));
    words
}
