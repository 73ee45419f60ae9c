//! `/etc/weft/agent.yaml`: what a node is told from outside the repository.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use camino::Utf8Path;
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};
use thiserror::Error;

use super::credentials::{self, AbsolutePath, Credential};
use super::hook::Hook;
use super::schedule::{CronLine, Phase, Schedule};
use crate::declare::finding::{Code, Finding, Findings};
use crate::declare::scalar::scalar;
use crate::declare::shape::{Shape, choice};
use crate::declare::{self, Entries, Severity, yaml};
use crate::host::{Host, HostError};
use crate::plan::Engine;
use crate::render::Profile;
use crate::sync::remote::{RemoteUrl, Scheme};
use crate::sync::{self, KeyFingerprint, Trust};
use crate::value::{
    BranchName, ClusterName, CredentialId, HookName, NodeName, ObjectId, Place, RepoPath, Word,
};

pub use confirm::{Confirm, Confirmation};
pub use drift::{DriftRules, Ignored, Judged, Reaction};
pub use leases::{LeaseBranch, NamesBy, PveGuests, WithoutAddress};
pub use probe::{CommandWord, Probe, Status};
pub use words::{BadWord, GraceLength, Interval, NodeFile, ShortTime, WindowLength};

mod confirm;
mod drift;
mod leases;
mod probe;
mod words;

/// Where the settings lie on a node.
pub const PATH: &str = "/etc/weft/agent.yaml";
/// How long fetching and reading may take together where the settings do not say.
pub const DEFAULT_FETCH_DEADLINE: Duration = Duration::from_secs(300);
/// The largest settings that are read, in bytes.
const MAX_BYTES: u64 = 4 << 20;

choices! {
    /// What the agent may do.
    pub enum Mode as "a mode" {
        /// Fetch, verify, plan and report; change nothing.
        "observe" Observe,
        /// Change the node.
        "apply" Apply,
    }
}

choices! {
    /// What is done about Proxmox VE's own configuration of the network, in `/etc/pve/sdn`.
    pub enum Pve as "a way with Proxmox VE" {
        /// What all nodes of the cluster run is written there.
        "publish" Publish,
        /// Nothing is applied that is not what Proxmox VE has applied there.
        "refuse" Refuse,
        /// It is not looked at.
        "off" Off,
    }
}

impl Shape for Profile {
    fn read(node: &yaml::Node, findings: &mut Findings) -> Option<Self> {
        choice(node, "a profile", Self::WORDS, findings).map(|index| Self::ALL[index])
    }

    fn schema() -> Json {
        json!({ "enum": Self::WORDS })
    }
}

impl Shape for Engine {
    fn read(node: &yaml::Node, findings: &mut Findings) -> Option<Self> {
        choice(node, "an engine", Self::WORDS, findings).map(|index| Self::ALL[index])
    }

    fn schema() -> Json {
        json!({ "enum": Self::WORDS })
    }
}

impl Shape for RemoteUrl {
    fn read(node: &yaml::Node, findings: &mut Findings) -> Option<Self> {
        scalar(node, "the URL of a repository", findings)
    }

    fn schema() -> Json {
        json!({ "type": "string", "format": "uri" })
    }
}

impl Shape for KeyFingerprint {
    fn read(node: &yaml::Node, findings: &mut Findings) -> Option<Self> {
        scalar(node, "the fingerprint of a key", findings)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^SHA256:[A-Za-z0-9+/]{43}$" })
    }
}

declaration! {
    /// One remote that carries the repository.
    pub struct Remote as "a remote" {
        /// What it is called in messages.
        required "name" name: Word,
        /// Where it answers.
        required "url" url: RemoteUrl,
        /// The file with the certificate authorities that may vouch for an https server.
        /// Those of the system when absent.
        optional "ca" ca: AbsolutePath,
        /// The file with the keys of ssh servers. No other key is ever trusted.
        optional "known-hosts" known_hosts: AbsolutePath,
        /// The credential to log in with.
        optional "credential" credential: CredentialId,
    }
}

declaration! {
    /// The commit at which trust begins. It comes to the node by another way than
    /// the repository: with its provisioning.
    pub struct Introduction as "an introduction" {
        /// The first commit that is trusted.
        required "commit" commit: ObjectId,
        /// The key that signed it.
        required "signer" signer: KeyFingerprint,
    }
}

declaration! {
    /// When the agent polls: one of the two.
    pub struct Timing as "a schedule" {
        /// Once in each interval.
        optional "every" every: Interval,
        /// At the times of a crontab line, in the machine's time zone.
        optional "cron" cron: CronLine,
    }
}

declaration! {
    /// The settings of one node.
    pub struct Settings as "agent.yaml" {
        /// The cluster that this node belongs to.
        required "cluster" cluster: ClusterName,
        /// The name under which the repository declares this node.
        required "node" node: NodeName,
        /// Where in the repository the cluster lies. Its root when absent.
        optional "path" path: RepoPath,
        /// The branch that is followed. `main` when absent.
        optional "branch" branch: BranchName,
        /// The remotes. All are asked in every turn; of equals the first one serves.
        required "remotes" remotes: Vec<Remote>,
        /// How to log in to remotes, by id.
        optional "credentials" credentials: Entries<CredentialId, Credential>,
        /// The commit at which trust begins.
        required "introduction" introduction: Introduction,
        /// What the agent may do. `observe` when absent.
        optional "mode" mode: Mode,
        /// What brings the running network to what the files say. `native` when absent: weft
        /// itself.
        optional "engine" engine: Engine,
        /// The build of ifupdown2 that loads the files. `pve` when absent, whatever the
        /// machine looks like.
        optional "profile" profile: Profile,
        /// Whether remotes may be directories of this machine (`file://`).
        optional "allow-file" allow_file: bool,
        /// When the agent polls. `every: 60s` when absent.
        optional "schedule" schedule: Timing,
        /// How long fetching and reading may take together. `5m` when absent.
        optional "fetch-deadline" fetch_deadline: Interval,
        /// Where the agent answers HTTP. Nowhere when absent.
        optional "listen" listen: SocketAddr,
        /// Whether `listen` may be an address that other machines reach.
        optional "listen-anywhere" listen_anywhere: bool,
        /// The webhooks that cause an early poll, by the last part of their path.
        optional "hooks" hooks: Entries<HookName, Hook>,
        /// How an apply is watched until it is confirmed.
        optional "confirm" confirm: Confirm,
        /// What is tried, beyond what the node knows by itself, to see whether its network
        /// works, by id.
        optional "probes" probes: Entries<Word, Probe>,
        /// What is done about changes of the node that no commit made.
        optional "drift" drift: DriftRules,
        /// Where leases of addresses are kept. Nowhere when absent.
        optional "leases" leases: LeaseBranch,
        /// What is done about Proxmox VE's own configuration of the network. `off` when
        /// absent.
        optional "pve" pve: Pve,
    }
}

impl Settings {
    /// What the agent may do.
    pub fn mode(&self) -> Mode {
        self.mode.as_ref().map_or(Mode::Observe, |mode| mode.value)
    }

    /// What brings the running network to what the files say.
    pub fn engine(&self) -> Engine {
        self.engine.as_ref().map_or(Engine::Native, |engine| engine.value)
    }

    /// The build of ifupdown2 that loads the files.
    pub fn profile(&self) -> Profile {
        self.profile.as_ref().map_or_else(Profile::default, |profile| profile.value)
    }

    /// What is done about Proxmox VE's own configuration of the network.
    pub fn pve(&self) -> Pve {
        self.pve.as_ref().map_or(Pve::Off, |pve| pve.value)
    }

    /// The branch that is followed.
    pub fn branch(&self) -> &str {
        self.branch.as_ref().map_or("main", |branch| branch.value.as_str())
    }

    /// When the agent polls; crontab lines are read in `zone`.
    pub fn schedule(&self, zone: &TimeZone) -> Schedule {
        let Some(timing) = &self.schedule else { return Schedule::default() };
        match (&timing.value.every, &timing.value.cron) {
            (_, Some(line)) => Schedule::Cron(line.value.clone(), zone.clone()),
            (Some(every), None) => Schedule::Every(every.value.duration()),
            (None, None) => Schedule::default(),
        }
    }

    /// The node's place within each period.
    pub fn phase(&self) -> Phase {
        Phase::of(&self.cluster.value, &self.node.value)
    }

    /// How long fetching and reading may take together.
    pub fn fetch_deadline(&self) -> Duration {
        let deadline = self.fetch_deadline.as_ref();
        deadline.map_or(DEFAULT_FETCH_DEADLINE, |deadline| deadline.value.duration())
    }

    /// Where the agent answers HTTP.
    pub fn listen(&self) -> Option<SocketAddr> {
        self.listen.as_ref().map(|listen| listen.value)
    }

    /// The ways that a repository may be reached.
    pub fn schemes(&self) -> Vec<Scheme> {
        let files = self.allow_file.as_ref().is_some_and(|allow| allow.value);
        let mut schemes = vec![Scheme::Https, Scheme::Ssh];
        schemes.extend(files.then_some(Scheme::File));
        schemes
    }

    /// What is trusted before anything was read, but for these keys.
    pub fn trust(&self, revoked: BTreeSet<KeyFingerprint>) -> Trust {
        let introduction = &self.introduction.value;
        Trust {
            cluster: self.cluster.value.clone(),
            introduction: sync::Introduction {
                commit: introduction.commit.value,
                signer: introduction.signer.value,
            },
            revoked,
        }
    }

    /// Where in the repository the cluster lies; its root when `None`.
    pub fn base(&self) -> Option<&RepoPath> {
        self.path.as_ref().map(|path| &path.value)
    }
}

/// Why there are no settings.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The machine refused.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The file is no text.
    #[error("`{PATH}` is not UTF-8 text")]
    NotText,
    /// The file says something that is wrong.
    #[error("the node's settings are wrong: {}", first(.findings))]
    Wrong {
        /// Everything that is wrong.
        findings: Findings,
        /// The file.
        text: String,
    },
}

fn first(findings: &Findings) -> String {
    let Some(finding) = findings.iter().find(|finding| finding.severity == Severity::Error) else {
        return String::new();
    };
    let place = finding.marks.first().map(|mark| format!("/{}: ", mark.place)).unwrap_or_default();
    match findings.count(Severity::Error) {
        0 | 1 => format!("{place}{}", finding.message),
        count => format!("{place}{} (and {} more)", finding.message, count - 1),
    }
}

/// The settings of a node, or `None` where it has none.
pub fn load(host: &impl Host) -> Result<Option<Settings>, SettingsError> {
    let Some(file) = host.read(Utf8Path::new(PATH), MAX_BYTES)? else { return Ok(None) };
    let text = String::from_utf8(file.bytes).map_err(|_| SettingsError::NotText)?;
    match read(&text) {
        Ok(settings) => Ok(Some(settings)),
        Err(findings) => Err(SettingsError::Wrong { findings, text }),
    }
}

/// Why the settings may be somebody else's, where their mode lets others write them. They are
/// used all the same: a wrong mode most often comes with an image, to every node at once, and
/// a node that follows nobody could not be mended by a commit.
pub fn exposed(host: &impl Host) -> Option<String> {
    let file = host.read(Utf8Path::new(PATH), MAX_BYTES).ok().flatten()?;
    (file.mode & 0o022 != 0).then(|| {
        format!(
            "`{PATH}` has mode {:04o}: others than its owner may write there, and so choose whom this node trusts (`chmod go-w {PATH}`)",
            file.mode
        )
    })
}

/// Reads the settings, or says everything that is wrong with them.
pub fn read(text: &str) -> Result<Settings, Findings> {
    let file = declare::constant_path(PATH.trim_start_matches('/'));
    let mut findings = Findings::default();
    let root = yaml::parse(&file, text, &mut findings);
    if root.is_none() && findings.is_empty() {
        let place = Place::start_of(&file);
        let finding = Finding::new(Code::MissingKey, "the file is empty", &place)
            .help("copy `examples/agent.yaml` there and fill it in");
        findings.push(finding);
    }
    let settings = root.and_then(|root| Settings::read(&root, &mut findings));
    if let Some(settings) = &settings {
        check(settings, &mut findings);
    }
    match settings {
        Some(settings) if !findings.has_errors() => Ok(settings),
        _ => Err(findings),
    }
}

fn check(settings: &Settings, findings: &mut Findings) {
    let remotes = &settings.remotes;
    if remotes.value.is_empty() {
        let finding = Finding::new(Code::BadValue, "there is no remote", &remotes.place)
            .help("add `- {name: origin, url: \"https://…\"}`");
        findings.push(finding);
    }
    let schemes = settings.schemes();
    for (index, remote) in remotes.value.iter().enumerate() {
        let name = &remote.name;
        let mut before = remotes.value[..index].iter();
        if let Some(first) = before.find(|other| other.name.value == name.value) {
            let message = format!("two remotes have the name `{}`", name.value);
            let finding = Finding::new(Code::DuplicateId, message, &name.place)
                .also(&first.name.place, "the first one")
                .help("give each a name of its own: status, metrics and the log tell them apart by it");
            findings.push(finding);
        }
        let url = &remote.url;
        if !schemes.contains(&url.value.scheme()) {
            let message = format!("remote `{}` is a directory of this machine", remote.name.value);
            let finding = Finding::new(Code::BadValue, message, &url.place)
                .help("where that is meant, set `allow-file: true`");
            findings.push(finding);
        }
        credentials::check(settings, remote, findings);
    }
    if let (Pve::Publish, Profile::Debian, Some(pve)) =
        (settings.pve(), settings.profile(), &settings.pve)
    {
        let message = "with profile `debian` the files are not those that Proxmox VE would write";
        let finding = Finding::new(Code::BadValue, message, &pve.place)
            .help("publish with profile `pve` only");
        findings.push(finding);
    }
    check_schedule(settings, findings);
    check_listen(settings, findings);
    confirm::check(settings, findings);
    probe::check(settings, findings);
    leases::check(settings, findings);
}

fn check_schedule(settings: &Settings, findings: &mut Findings) {
    let Some(timing) = &settings.schedule else { return };
    let message = match (&timing.value.every, &timing.value.cron) {
        (Some(_), Some(_)) => "a schedule is either `every` or `cron`, not both",
        // One that could not be read has a finding of its own.
        (None, None) if !findings.has_errors() => "a schedule has `every` or `cron`",
        _ => return,
    };
    let finding = Finding::new(Code::BadValue, message, &timing.place)
        .help("write `{every: 60s}` or `{cron: \"*/5 * * * *\"}`");
    findings.push(finding);
}

fn check_listen(settings: &Settings, findings: &mut Findings) {
    let anywhere = settings.listen_anywhere.as_ref().is_some_and(|anywhere| anywhere.value);
    match &settings.listen {
        Some(listen) if listen.value.port() == 0 => {
            let message = "port 0 means another port at each start, which nobody finds";
            findings.push(Finding::new(Code::BadValue, message, &listen.place));
        }
        Some(listen) if !listen.value.ip().is_loopback() && !anywhere => {
            let message = format!("`{}` is reached from other machines", listen.value);
            let finding = Finding::new(Code::BadValue, message, &listen.place).help(
                "listen on 127.0.0.1 behind a proxy with TLS, or set `listen-anywhere: true`",
            );
            findings.push(finding);
        }
        Some(_) => {}
        None => {
            if let Some(hooks) = settings.hooks.as_ref().filter(|hooks| !hooks.value.is_empty()) {
                let finding =
                    Finding::new(Code::MissingKey, "webhooks need a place to arrive", &hooks.place)
                        .help("add `listen: 127.0.0.1:9470`");
                findings.push(finding);
            }
        }
    }
}

/// Settings of a node that say what they must, for tests.
#[cfg(test)]
pub(super) const SAMPLE: &str = "\
cluster: lab
node: n1
mode: apply
remotes: [{name: origin, url: \"https://git.example/net.git\"}]
introduction:
  commit: 0123456789abcdef0123456789abcdef01234567
  signer: \"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"
";
