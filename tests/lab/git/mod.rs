//! A git server on the host outside: the same bare repositories over https and over
//! ssh, both with switches for what goes wrong in the world, and people who commit.

mod https;
mod people;
mod ssh;

pub(crate) use https::{Https, Token};
pub(crate) use people::{Signer, WorkingCopy};
pub(crate) use ssh::{Ssh, SshKey};

use std::net::TcpStream;
use std::time::Duration;

use crate::command::Process;
use crate::lab::{Lab, OUTSIDE};
use crate::machine::Machine;
use crate::wait::wait_until;

/// The account that owns the repositories and that ssh logs in to.
const ACCOUNT: &str = "git";
/// Home of the account; the repositories are in it.
const REPOSITORIES: &str = "/srv/git";
/// Time for a server to open its port.
const START_LIMIT: Duration = Duration::from_secs(10);

/// The git server. It runs until it is dropped.
#[derive(Debug)]
pub(crate) struct GitServer<'lab> {
    machine: &'lab Machine,
    /// Its https side.
    pub(crate) https: Https<'lab>,
    /// Its ssh side.
    pub(crate) ssh: Ssh<'lab>,
}

impl<'lab> GitServer<'lab> {
    /// Starts both sides on the host outside.
    #[track_caller]
    pub(crate) fn start(lab: &'lab Lab) -> Self {
        let machine = lab.outside();
        let shell = "/usr/bin/git-shell";
        machine
            .exec(&[
                "useradd",
                "--system",
                "--create-home",
                "--home-dir",
                REPOSITORIES,
                "--shell",
                shell,
                ACCOUNT,
            ])
            .ok();
        // No password, and yet not locked: sshd refuses locked accounts.
        machine.exec(&["usermod", "--password", "*", ACCOUNT]).ok();
        machine.exec(&["chmod", "755", REPOSITORIES]).ok();
        Self { machine, https: Https::start(machine), ssh: Ssh::start(machine) }
    }

    /// Makes an empty repository whose branch is `main`.
    #[track_caller]
    pub(crate) fn create(&self, name: &str) {
        let path = repository(name);
        as_account(self.machine, &["git", "init", "--quiet", "--bare", "-b", "main", &path]);
        for (key, value) in
            [("uploadpack.allowFilter", "true"), ("receive.denyNonFastForwards", "false")]
        {
            as_account(self.machine, &["git", "-C", &path, "config", key, value]);
        }
    }

    /// Takes a repository away: it is absent until [`GitServer::restore`].
    #[track_caller]
    pub(crate) fn withdraw(&self, name: &str) {
        let path = repository(name);
        self.machine.exec(&["mv", &path, &format!("{path}.withdrawn")]).ok();
    }

    /// Puts a withdrawn repository back.
    #[track_caller]
    pub(crate) fn restore(&self, name: &str) {
        let path = repository(name);
        self.machine.exec(&["mv", &format!("{path}.withdrawn"), &path]).ok();
    }

    /// Somebody with a new ed25519 key.
    #[track_caller]
    pub(crate) fn signer(&self, name: &str) -> Signer {
        Signer::new(self.machine, name)
    }

    /// A clone of the repository, at work beside the server: pushes go through the file
    /// system, so they work whatever is wrong with https and ssh.
    #[track_caller]
    pub(crate) fn working_copy(&self, name: &str) -> WorkingCopy<'lab> {
        WorkingCopy::clone_of(self.machine, name)
    }
}

/// Directory of a repository on the server.
fn repository(name: &str) -> String {
    format!("{REPOSITORIES}/{name}.git")
}

/// Runs a program as the account that owns the repositories, with no configuration but
/// that of the repository; returns its standard output.
#[track_caller]
fn as_account(machine: &Machine, arguments: &[&str]) -> String {
    machine
        .command(&for_account(arguments))
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", "/nonexistent")
        .run()
        .ok()
}

/// The words that run a program as the account.
fn for_account<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["setpriv", "--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups", "--"];
    words.extend(arguments);
    words
}

/// Waits until the server of this process accepts connections on the port.
#[track_caller]
fn wait_for_port(machine: &Machine, server: &mut Process, port: u16) {
    wait_until(START_LIMIT, &format!("port {port} of the git server is open"), || {
        assert!(server.is_running(), "the server ended: {}", server.stderr());
        machine.inside(|| TcpStream::connect((OUTSIDE, port)).is_ok())
    });
}

/// Waits until nobody listens on the port any more.
#[track_caller]
fn wait_for_closed_port(machine: &Machine, port: u16) {
    wait_until(START_LIMIT, &format!("port {port} of the git server is closed"), || {
        machine.inside(|| TcpStream::connect((OUTSIDE, port)).is_err())
    });
}
