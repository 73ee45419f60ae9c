//! Rules of iptables on the real kernel, by the programs of the lab's root where this machine has
//! none.

use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::chroot;
use weft::host::{Host as _, Linux};
use weft::plan::{Family, NetworkStep, Question, Rule, Table, TableName};

use super::{alone, change, quietly};

const NAT: Table = Table { family: Family::V4, name: TableName::Nat };
const RAW: Table = Table { family: Family::V4, name: TableName::Raw };
/// Where the lab keeps its roots.
const ROOTS: &str = "/var/tmp/weft-lab";

/// A root with iptables: this machine's own, or one of the lab's.
fn root() -> Option<PathBuf> {
    let lab = std::fs::read_dir(ROOTS).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut roots = [PathBuf::from("/")].into_iter().chain(lab);
    roots.find(|root| root.join("usr/sbin/iptables-restore").symlink_metadata().is_ok())
}

fn rules(table: Table) -> Vec<Rule> {
    let read = Linux::new(None).kernel(&Question { tables: [table].into(), ..Question::default() });
    read.expect("it can be read").expect("a kernel").rules.remove(&table).expect("asked for")
}

fn rule(text: &str) -> Rule {
    text.parse().expect("a rule")
}

fn snat(number: usize) -> Rule {
    let source = format!("10.{}.{}.0/24", number / 256, number % 256);
    rule(&format!(
        "iptables -t nat -A POSTROUTING -s '{source}' -o vmbr0 -j SNAT --to-source 192.0.2.1"
    ))
}

#[test]
fn many_rules_change_at_once_or_not_at_all() {
    let Some(root) = root() else {
        println!("skipped: no iptables here, and no root of the lab in `{ROOTS}`");
        return;
    };
    alone(|| {
        if root != Path::new("/") {
            // Of this thread alone, and of the programs that it starts.
            unshare(CloneFlags::CLONE_FS).expect("allowed");
            chroot(&root).expect("allowed");
        }
        let add = |rule: Rule| NetworkStep::AddRule(rule);
        let remove = |rule: Rule| NetworkStep::RemoveRule(rule);
        let complaints = change(&[add(snat(0)), remove(snat(0))]);
        if !complaints.is_empty() {
            println!("skipped: this kernel translates no addresses: {complaints:?}");
            return;
        }
        // More than one text has, and what is tracked otherwise between them.
        let zone = rule("iptables -t raw -I PREROUTING -i fwbr+ -j CT --zone 1");
        let wanted: Vec<Rule> = (0..2500).map(snat).collect();
        let mut steps: Vec<NetworkStep> = wanted.iter().cloned().map(add).collect();
        steps.insert(1200, add(zone.clone()));
        quietly(&steps);
        assert_eq!((rules(NAT), rules(RAW)), (wanted.clone(), vec![zone.clone()]));

        // One that is not there: nothing of its table is done, and the rest is.
        let steps = [remove(snat(1)), remove(snat(9999)), add(snat(5000)), remove(zone)];
        let complaints = change(&steps);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        let line = "`-D POSTROUTING -s 10.39.15.0/24 -o vmbr0 -j SNAT --to-source 192.0.2.1`";
        assert!(complaints[0].contains(line), "{complaints:?}");
        assert_eq!((rules(NAT), rules(RAW)), (wanted.clone(), Vec::new()));

        // One of two copies goes, and all others stay in their places.
        quietly(&[add(snat(7)), remove(snat(3))]);
        quietly(&[remove(snat(7))]);
        let mut left = rules(NAT);
        left.sort();
        let mut expected: Vec<Rule> = wanted.into_iter().filter(|rule| *rule != snat(3)).collect();
        expected.sort();
        assert_eq!(left, expected);
    });
}
