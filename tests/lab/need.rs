//! What a case needs of the machine it runs on, and whether it is there.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::machine::Machine;
use crate::namespaces::{self, Place, REFERENCE};
use crate::uml;

/// Something that is not on every machine. Whatever a case needs, it needs `Native`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Root, the Debian root, and namespaces and overlays on this very kernel.
    Native,
    /// Bridges and veth pairs.
    Bridge,
    /// VXLAN devices.
    Vxlan,
    /// iptables on `nf_tables`, with SNAT, in a network namespace.
    IptablesNft,
    /// Control groups of version 2, which systemd needs to be the first process of a node.
    Systemd,
    /// The reference renderings beside the source.
    Reference,
    /// user-mode-linux, a kernel that runs as a program.
    Uml,
}

/// For each need whether it is met, else the reason.
pub(crate) type Found = BTreeMap<Need, Result<(), String>>;

/// The variable that names the directory which holds the reference renderings.
pub(crate) const SHARED: &str = "WEFT_SHARED";
/// How long all probes may take.
const PROBE_LIMIT: Duration = Duration::from_secs(90);

impl Need {
    /// Every need.
    pub(crate) const ALL: [Self; 7] = [
        Self::Native,
        Self::Bridge,
        Self::Vxlan,
        Self::IptablesNft,
        Self::Systemd,
        Self::Reference,
        Self::Uml,
    ];

    /// The name in `LAB_REQUIRE` and in reasons.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Bridge => "bridge",
            Self::Vxlan => "vxlan",
            Self::IptablesNft => "iptables-nft",
            Self::Systemd => "systemd",
            Self::Reference => "reference",
            Self::Uml => "uml",
        }
    }

    /// Tries it in the lab's own network namespace.
    fn probe(self, lab: &Machine) -> Result<(), String> {
        let lines: &[&str] = match self {
            Self::Native => &[],
            Self::Bridge => &[
                "ip link add probe type veth peer name probed",
                "ip link add probebr type bridge",
                "ip link set probe master probebr",
            ],
            Self::Vxlan => &["ip link add probevx type vxlan id 1 dstport 4789"],
            Self::IptablesNft => &[
                "nft list tables",
                "iptables-nft -t nat -A POSTROUTING -s 192.0.2.0/24 -o lo -j SNAT --to-source 192.0.2.1",
            ],
            Self::Systemd => &["unshare --cgroup --mount mount -t cgroup2 none /sys/fs/cgroup"],
            Self::Reference => {
                return if Path::new(REFERENCE).is_dir() {
                    Ok(())
                } else {
                    Err("there is no ../shared/conformance beside the source".to_owned())
                };
            }
            Self::Uml => {
                let words = [namespaces::THIS_PROGRAM, uml::BOOT, uml::ALONE];
                let said = lab.command(&words).within(uml::BOOT_LIMIT).run();
                return if said.stdout.lines().any(|line| line == uml::READY) {
                    Ok(())
                } else {
                    let last = said.stdout.lines().last().unwrap_or("it said nothing").to_owned();
                    Err(format!("user-mode-linux does not boot here: {last}"))
                };
            }
        };
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let output = lab.exec(&words);
            if !output.success() {
                return Err(format!("{line}: {}", output.stderr.trim().replace('\n', "; ")));
            }
        }
        Ok(())
    }
}

/// Finds out which of these needs are met here, given the root or the reason why there is
/// none.
pub(crate) fn find(root: &Result<PathBuf, String>, needs: &BTreeSet<Need>) -> Found {
    let nothing = |reason: &str| needs.iter().map(|need| (*need, Err(reason.to_owned()))).collect();
    let root = match root {
        Ok(root) => root,
        Err(reason) => return nothing(reason),
    };
    let words: Vec<&str> =
        [namespaces::PROBE].into_iter().chain(needs.iter().map(|need| need.name())).collect();
    let place = Place::of_machine(root);
    let (ended, log) = match namespaces::run_in_lab(&place, &words, PROBE_LIMIT, false) {
        Ok(run) => run,
        Err(reason) => return nothing(&reason),
    };
    let said: Found = log.lines().filter_map(read_line).collect();
    if ended != namespaces::Ended::Code(0) || said.is_empty() {
        let last = log.lines().last().unwrap_or("it said nothing");
        return nothing(&format!("no lab can be entered here ({ended}): {last}"));
    }
    said
}

/// The reference renderings on the machine that runs the tests, where they exist.
pub(crate) fn reference_directory() -> Option<PathBuf> {
    let shared = env::var_os(SHARED)
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    Some(shared.join("conformance")).filter(|directory| directory.is_dir())
}

/// The entry that runs inside a lab: one line for each of these needs.
pub(crate) fn probe_all(names: &[&str]) -> ExitCode {
    let lab = Machine::here("lab");
    for need in Need::ALL.into_iter().filter(|need| names.contains(&need.name())) {
        match need.probe(&lab) {
            Ok(()) => println!("need\t{}\tmet", need.name()),
            Err(reason) => println!("need\t{}\t{reason}", need.name()),
        }
    }
    ExitCode::SUCCESS
}

fn read_line(line: &str) -> Option<(Need, Result<(), String>)> {
    let mut columns = line.strip_prefix("need\t")?.splitn(2, '\t');
    let (name, said) = (columns.next()?, columns.next()?);
    let need = Need::ALL.into_iter().find(|need| need.name() == name)?;
    Some((need, if said == "met" { Ok(()) } else { Err(said.to_owned()) }))
}
