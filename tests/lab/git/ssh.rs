//! Git over ssh: sshd with keys of its own, and git-shell as the only thing to reach.

use nix::sys::signal::Signal;

use crate::command::Process;
use crate::git::{ACCOUNT, repository, wait_for_closed_port, wait_for_port};
use crate::lab::OUTSIDE;
use crate::machine::Machine;

const DIRECTORY: &str = "/srv/ssh";
const AUTHORIZED: &str = "/srv/ssh/authorized_keys";
const HOST_KEY: &str = "/srv/ssh/host_key";
const PORT: u16 = 22;

/// The ssh side of the git server.
#[derive(Debug)]
pub(crate) struct Ssh<'lab> {
    machine: &'lab Machine,
    sshd: Process,
}

/// A key pair of a client.
#[derive(Debug, Clone)]
pub(crate) struct SshKey {
    /// The private key in OpenSSH's format; it goes to a file with mode 0600.
    pub(crate) private: String,
    /// The public key: type and base64.
    pub(crate) public: String,
}

impl<'lab> Ssh<'lab> {
    #[track_caller]
    pub(super) fn start(machine: &'lab Machine) -> Self {
        machine.put(AUTHORIZED, "");
        machine.put(&format!("{DIRECTORY}/sshd_config"), configuration());
        new_key(machine, HOST_KEY);
        let sshd = listen(machine);
        Self { machine, sshd }
    }

    /// Address of a repository.
    pub(crate) fn url(name: &str) -> String {
        format!("ssh://{ACCOUNT}@{OUTSIDE}{}", repository(name))
    }

    /// The line of `known_hosts` for the server's present key.
    #[track_caller]
    pub(crate) fn known_hosts(&self) -> String {
        format!("{OUTSIDE} {}\n", public_key(self.machine, HOST_KEY))
    }

    /// Lets the server show an ECDSA key as well from now on; gives the line of
    /// `known_hosts` for it.
    #[track_caller]
    pub(crate) fn add_ecdsa_key(&mut self) -> String {
        let path = format!("{DIRECTORY}/host_key_ecdsa");
        self.machine
            .exec(&["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-C", "", "-f", &path])
            .ok();
        let path_of_settings = format!("{DIRECTORY}/sshd_config");
        let settings = self.machine.read(&path_of_settings);
        self.machine.put(&path_of_settings, format!("{settings}HostKey {path}\n"));
        self.restart();
        format!("{OUTSIDE} {}\n", public_key(self.machine, &path))
    }

    /// Takes the ECDSA key away again.
    #[track_caller]
    pub(crate) fn remove_ecdsa_key(&mut self) {
        self.machine.put(&format!("{DIRECTORY}/sshd_config"), configuration());
        self.restart();
    }

    #[track_caller]
    fn restart(&mut self) {
        self.sshd.signal(Signal::SIGTERM);
        wait_for_closed_port(self.machine, PORT);
        self.sshd = listen(self.machine);
    }

    /// The same private key, under a passphrase.
    #[track_caller]
    pub(crate) fn encrypted(&self, key: &SshKey, passphrase: &str) -> SshKey {
        let path = format!("{DIRECTORY}/encrypted");
        self.machine.put_with_mode(&path, &key.private, 0o600);
        self.machine
            .exec(&["ssh-keygen", "-q", "-p", "-P", "", "-N", passphrase, "-f", &path])
            .ok();
        SshKey { private: self.machine.read(&path), public: key.public.clone() }
    }

    /// Gives the server another key, as after a new installation.
    #[track_caller]
    pub(crate) fn change_host_key(&mut self) {
        self.sshd.signal(Signal::SIGTERM);
        wait_for_closed_port(self.machine, PORT);
        new_key(self.machine, HOST_KEY);
        self.sshd = listen(self.machine);
    }

    /// A new key that may read and push.
    #[track_caller]
    pub(crate) fn issue_key(&self, name: &str) -> SshKey {
        let key = self.unknown_key(name);
        let authorized = self.machine.read(AUTHORIZED);
        self.machine.put(AUTHORIZED, format!("{authorized}{} {name}\n", key.public));
        key
    }

    /// A new key that the server does not know, and so denies.
    #[track_caller]
    pub(crate) fn unknown_key(&self, name: &str) -> SshKey {
        let path = format!("{DIRECTORY}/client_{name}");
        new_key(self.machine, &path);
        SshKey { private: self.machine.read(&path), public: public_key(self.machine, &path) }
    }

    /// Denies a key from now on.
    #[track_caller]
    pub(crate) fn deny_key(&self, key: &SshKey) {
        let others: Vec<String> = self
            .machine
            .read(AUTHORIZED)
            .lines()
            .filter(|line| !line.starts_with(&key.public))
            .map(|line| format!("{line}\n"))
            .collect();
        self.machine.put(AUTHORIZED, others.concat());
    }

    /// A black hole: connections are accepted and nothing is ever said.
    pub(crate) fn freeze(&self) {
        self.sshd.signal(Signal::SIGSTOP);
    }

    /// Ends the black hole.
    pub(crate) fn thaw(&self) {
        self.sshd.signal(Signal::SIGCONT);
    }
}

#[track_caller]
fn listen(machine: &Machine) -> Process {
    machine.exec(&["install", "-d", "/run/sshd"]).ok();
    let mut sshd =
        machine.spawn(&["/usr/sbin/sshd", "-D", "-e", "-f", &format!("{DIRECTORY}/sshd_config")]);
    wait_for_port(machine, &mut sshd, PORT);
    sshd
}

/// Makes a key pair at this path, in the place of what was there.
#[track_caller]
pub(super) fn new_key(machine: &Machine, path: &str) {
    machine.remove(path);
    machine.exec(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path]).ok();
}

/// Type and base64 of the public key beside this path.
#[track_caller]
pub(super) fn public_key(machine: &Machine, path: &str) -> String {
    machine.read(&format!("{path}.pub")).trim().to_owned()
}

/// `StrictModes` would look at the modes of the directories above, which say nothing here.
fn configuration() -> String {
    format!(
        "ListenAddress {OUTSIDE}
Port {PORT}
HostKey {HOST_KEY}
PidFile {DIRECTORY}/sshd.pid
AuthorizedKeysFile {AUTHORIZED}
AllowUsers {ACCOUNT}
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding no
X11Forwarding no
PermitTTY no
AcceptEnv GIT_PROTOCOL
"
    )
}
