//! Where this machine's own apt gets Debian from, and with which settings.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// What apt was told about transport and holds for every mirror.
const TRANSPORT_SETTINGS: [&str; 5] = [
    "Acquire::http::",
    "Acquire::https::",
    "Acquire::Retries ",
    "Acquire::Check-Valid-Until ",
    "Acquire::Check-Date ",
];

/// The address of the mirror that this machine's Debian comes from.
pub(crate) fn of_this_machine() -> Result<String, String> {
    let targets = said_by(
        "apt-get",
        &[
            "indextargets",
            "--format",
            "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)",
            "Created-By: Packages",
        ],
    )?;
    let release = codename()?;
    let candidates: BTreeSet<(bool, &str)> = targets
        .lines()
        .filter_map(|line| {
            let columns: Vec<&str> = line.split('|').collect();
            let [address, of, "main", origin] = columns.as_slice() else { return None };
            // Lists that were never fetched name no origin.
            let ours = *of == release && ["Debian", ""].contains(origin);
            ours.then_some((origin.is_empty(), *address))
        })
        .collect();
    candidates.first().map(|(_, address)| (*address).to_owned()).ok_or_else(|| {
        format!("apt's sources name no Debian mirror for {release}; set LAB_MIRROR to one")
    })
}

/// Apt's settings for transport here, each as a line of apt.conf.
pub(crate) fn settings() -> Result<Vec<String>, String> {
    let dump = said_by("apt-config", &["dump"])?;
    let wanted = |line: &&str| {
        TRANSPORT_SETTINGS.iter().any(|start| line.starts_with(start)) && !line.ends_with("\"\";")
    };
    Ok(dump.lines().filter(wanted).map(str::to_owned).collect())
}

fn codename() -> Result<String, String> {
    let text = fs::read_to_string("/etc/os-release")
        .map_err(|source| format!("reading /etc/os-release: {source}"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .map(|name| name.trim_matches('"').to_owned())
        .ok_or_else(|| "this system has no code name; set LAB_MIRROR".to_owned())
}

fn said_by(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|source| format!("{program} cannot be run ({source}); set LAB_MIRROR"))?;
    if !output.status.success() {
        return Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
