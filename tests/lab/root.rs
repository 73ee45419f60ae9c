//! The Debian 13 root that every lab is a throw-away copy of: made once, kept for all
//! later runs, never written to again. It holds the network programs that must not be
//! installed on the machine that runs the tests.

use std::env;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};

use crate::command::{self, ended_within};
use crate::mirror;
use crate::mounts::LAB_DIRECTORY;

/// The release below Proxmox VE 9.
const SUITE: &str = "trixie";
/// What the nodes, the guests, the git server and the tests themselves need.
const PACKAGES: [&str; 32] = [
    // the network of a node
    "bridge-utils",
    "conntrack",
    "dbus",
    "dnsmasq",
    "ethtool",
    "frr",
    "frr-pythontools",
    "ifupdown2",
    "iproute2",
    "iptables",
    "kmod",
    "nftables",
    "openvswitch-switch",
    "procps",
    "python3",
    "util-linux",
    // looking at it
    "iputils-arping",
    "iputils-ping",
    "tcpdump",
    "udhcpc",
    // git over https and ssh
    "ca-certificates",
    "curl",
    "fcgiwrap",
    "git",
    "nginx-light",
    "openssh-client",
    "openssh-server",
    "openssl",
    // what weft is linked to
    "libssl3t64",
    "zlib1g",
    // what scripts of packages call
    "debconf",
    // a kernel with VLAN, VRF and their friends, for machines whose own has none
    "user-mode-linux",
];
/// Where the root is made when `LAB_ROOT` does not say it.
const CACHE: &str = "/var/tmp/weft-lab";
/// Debian's keys, from the package of the same name.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// In a finished root: what it was made from. It is written last.
const RECIPE: &str = "lab-recipe";
/// Time for all downloads and installations.
const BUILD_LIMIT: Duration = Duration::from_secs(20 * 60);
/// Variables that downloads depend on.
const PROXIES: [&str; 6] =
    ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

/// What makes two roots differ, except for the day they were made on.
fn recipe() -> Vec<String> {
    let mut arguments: Vec<String> = [
        "--quiet",
        "--mode=root",
        "--variant=apt",
        "--aptopt=APT::Install-Recommends \"false\"",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        // No service is started, not even while its package is installed.
        "--setup-hook=mkdir -p \"$1/usr/sbin\" && cd \"$1/usr/sbin\" && \
         printf '#!/bin/sh\\nexit 101\\n' >policy-rc.d && chmod 755 policy-rc.d",
    ]
    .map(str::to_owned)
    .into();
    arguments.push(format!("--include={}", PACKAGES.join(",")));
    arguments
}

/// The directory of the finished root, made when it is not there yet. The error is the
/// reason why no lab can run here.
pub(crate) fn locate_or_build() -> Result<PathBuf, String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("it takes root to make namespaces and mounts".to_owned());
    }
    let recipe = recipe();
    let text = format!("{SUITE}\n{}\n", recipe.join("\n"));
    let root = env::var_os("LAB_ROOT").map_or_else(
        || Path::new(CACHE).join(&format!("{:x}", Sha256::digest(&text))[..16]),
        PathBuf::from,
    );
    let root =
        std::path::absolute(&root).map_err(|source| format!("{}: {source}", root.display()))?;
    let parent = root.parent().ok_or("LAB_ROOT is no directory that can be made")?;
    fs::create_dir_all(parent)
        .and_then(|()| fs::metadata(parent))
        .map_err(|source| format!("{}: {source}", parent.display()))
        .and_then(|found| trusted(parent, &found))?;

    // Two runs at once: the second waits here, and finds the root of the first.
    let lock_path = root.with_extension("lock");
    let lock =
        File::create(&lock_path).map_err(|source| format!("{}: {source}", lock_path.display()))?;
    let _held = Flock::lock(lock, FlockArg::LockExclusiveNonblock)
        .or_else(|(lock, _)| {
            eprintln!("waiting for another run that makes the Debian root");
            Flock::lock(lock, FlockArg::LockExclusive)
        })
        .map_err(|(_, errno)| format!("{}: {errno}", lock_path.display()))?;
    if let Ok(found) = fs::metadata(&root) {
        trusted(&root, &found)?;
    }
    match fs::read_to_string(root.join(RECIPE)) {
        Ok(found) if found == text => return Ok(root),
        Ok(_) => {
            return Err(format!(
                "{} was made from another list of packages; remove it to have it made again",
                root.display()
            ));
        }
        Err(_) => {}
    }
    if fs::read_dir(&root).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(format!("{} exists and is no root of the lab", root.display()));
    }
    build(&root, &recipe, &text)?;
    Ok(root)
}

/// What is in the root is run as root: nobody else may have put it there.
fn trusted(directory: &Path, found: &Metadata) -> Result<(), String> {
    let others_write = found.mode() & 0o022 != 0;
    let each_their_own = found.mode() & 0o1000 != 0;
    if found.uid() == 0 && (!others_write || each_their_own) {
        Ok(())
    } else {
        Err(format!("others than root can write to {}", directory.display()))
    }
}

/// Makes the root under another name and renames it when it is whole.
fn build(root: &Path, recipe: &[String], text: &str) -> Result<(), String> {
    let missing: Vec<&str> =
        [("mmdebstrap", "/usr/bin/mmdebstrap"), ("debian-archive-keyring", KEYRING)]
            .into_iter()
            .filter_map(|(package, file)| (!Path::new(file).exists()).then_some(package))
            .collect();
    if !missing.is_empty() {
        return Err(format!(
            "the Debian root cannot be made without: apt-get install {}",
            missing.join(" ")
        ));
    }
    let mirror = env::var("LAB_MIRROR").or_else(|_| mirror::of_this_machine())?;
    let unfinished = root.with_extension("unfinished");
    // Nobody else makes it: the lock is ours. What is there was left by a run that died.
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)
            .map_err(|source| format!("{}: {source}", unfinished.display()))?;
    }
    eprintln!("making a Debian root in {}, once; this takes a minute or two", root.display());
    let began = Instant::now();
    run_mmdebstrap(&unfinished, recipe, &mirror)?;

    let finish = || -> std::io::Result<()> {
        fs::create_dir(unfinished.join(LAB_DIRECTORY))?;
        fs::write(unfinished.join(RECIPE), text)?;
        if root.exists() {
            fs::remove_dir(root)?;
        }
        fs::rename(&unfinished, root)
    };
    finish().map_err(|source| format!("{}: {source}", root.display()))?;
    eprintln!("made in {:.0} s", began.elapsed().as_secs_f32());
    Ok(())
}

fn run_mmdebstrap(target: &Path, recipe: &[String], mirror: &str) -> Result<(), String> {
    let log_path = target.with_extension("log");
    let log =
        File::create(&log_path).map_err(|source| format!("{}: {source}", log_path.display()))?;
    let errors = log.try_clone().map_err(|source| format!("{}: {source}", log_path.display()))?;
    let mut command = Command::new("mmdebstrap");
    command.args(recipe).arg(format!("--keyring={KEYRING}"));
    command.args(mirror::settings()?.iter().map(|line| format!("--aptopt={line}")));
    command.arg(SUITE).arg(target).arg(mirror);
    command.env_clear().envs(command::environment()).current_dir("/").process_group(0);
    for name in PROXIES {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    let mut child = command.spawn().map_err(|source| format!("mmdebstrap: {source}"))?;
    let said = || {
        let text = fs::read_to_string(&log_path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("; ")
    };
    match ended_within(&mut child, BUILD_LIMIT) {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("mmdebstrap ended with {status}: {}", said())),
        None => Err(format!("mmdebstrap was killed after {BUILD_LIMIT:?}: {}", said())),
    }
}
