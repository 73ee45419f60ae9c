//! weft's own things on a machine: settings, trust, remotes, room.

use jiff::SignedDuration;

use super::super::Code;
use super::super::examined::{KnownTrust, Looked, SettingsFile};
use super::{Patient, Said, quoted};
use crate::agent::revoked;
use crate::agent::settings::{PATH, Pve};
use crate::apply;
use crate::host::EntryKind;
use crate::sync::anchor::PATHS;
use crate::sync::worker::FETCH_USER;

/// Below this, an apply may be refused for want of a way back: a rendering of a large
/// node and its predecessor, three times.
const LITTLE_BYTES: u64 = 64 << 20;

/// Below this, a directory cannot take the files of one generation.
const FEW_FILES: u64 = 64;

/// Before the end of the last key of `root` there must be time to commit another one.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The commit of the settings that are copied to be filled in.
const EXAMPLE_COMMIT: &str = "1111111111111111111111111111111111111111";

/// What of `/etc/weft` is no secret, by the ends of its names.
const PUBLIC: [&str; 7] =
    ["agent.yaml", "revoked", "known_hosts", "allowed_signers", ".pub", ".crt", "ca.pem"];

pub(super) fn judge(patient: &Patient<'_>, said: &mut Said) {
    settings(patient, said);
    proxmox(patient, said);
    revoked(patient, said);
    anchor(patient, said);
    root_keys(patient, said);
    named_files(patient, said);
    files(patient, said);
    fetch_process(patient, said);
    remotes(patient, said);
    disk(patient, said);
}

fn settings(patient: &Patient<'_>, said: &mut Said) {
    match said.look(&patient.examined.settings, &[Code::Settings, Code::Introduction]) {
        None => {}
        Some(SettingsFile::Missing) => {
            let message = format!("`{PATH}` is missing: the agent waits to be introduced");
            let mend = format!(
                "install -D -m 0644 /usr/share/doc/weft/examples/agent.yaml {PATH} && editor {PATH}"
            );
            said.warning(Code::Settings, message, mend);
            said.skipped(Code::Introduction, "there are no settings");
        }
        Some(SettingsFile::Wrong(lines)) => {
            let more = match lines.len() {
                0 | 1 => String::new(),
                count => format!(" (and {} more)", count - 1),
            };
            let first = lines.first().map_or("it cannot be read", String::as_str);
            said.error(
                Code::Settings,
                format!("`{PATH}`: {first}{more}"),
                format!("editor {PATH}"),
            );
            said.skipped(Code::Introduction, "the settings are wrong");
        }
        Some(SettingsFile::Legal) => {
            said.ok(Code::Settings, format!("`{PATH}` is legal"));
            introduction(patient, said);
        }
    }
}

/// Two that write the same files and know nothing of each other undo each other's work.
fn proxmox(patient: &Patient<'_>, said: &mut Said) {
    let code = Code::ProxmoxConfiguration;
    let Some(is_there) = said.look(&patient.examined.proxmox_configuration, &[code]) else {
        return;
    };
    let set = patient.settings.map(|settings| settings.pve.as_ref().map(|pve| pve.value));
    match (is_there, set) {
        (_, None) => said.skipped(code, "there are no settings"),
        (false, Some(None | Some(Pve::Off))) => {
            said.ok(code, "there is no `/etc/pve/sdn` beside weft");
        }
        (false, Some(Some(pve))) => said.warning(
            code,
            format!("the settings say `pve: {pve}`, and there is no `/etc/pve/sdn`"),
            format!("sed -i '/^pve:/d' {PATH}"),
        ),
        (true, Some(None)) => said.warning(
            code,
            "`/etc/pve/sdn` is there and the settings do not say `pve:`; an apply in Proxmox's panel, or a boot, writes weft's files from it: `publish` keeps it as the repository has it, `refuse` applies only what is there too",
            format!("echo 'pve: publish' >>{PATH}"),
        ),
        (true, Some(Some(pve))) => {
            said.ok(code, format!("the settings say `pve: {pve}` about `/etc/pve/sdn`"));
        }
    }
}

fn introduction(patient: &Patient<'_>, said: &mut Said) {
    let code = Code::Introduction;
    let Some(settings) = patient.settings else {
        said.skipped(code, "the settings were not given");
        return;
    };
    let introduction = &settings.introduction.value;
    let signer = introduction.signer.value;
    if introduction.commit.value.to_string() == EXAMPLE_COMMIT {
        let message =
            "the introduction is the example's; name your repository's first trusted commit";
        said.error(code, message, "git log --format='%H %GF' --reverse");
    } else if matches!(&patient.examined.revoked, Looked::Seen(keys) if keys.contains(&signer)) {
        let message = format!(
            "the key {signer} that signed the introduction is itself revoked in `{}`",
            revoked::PATH
        );
        said.warning(code, message, format!("editor {}", revoked::PATH));
    } else {
        said.ok(code, format!("trust begins at commit {}", introduction.commit.value.short()));
    }
}

fn revoked(patient: &Patient<'_>, said: &mut Said) {
    let code = Code::Revoked;
    match &patient.examined.revoked {
        Looked::Seen(keys) if keys.is_empty() => said.ok(code, "no key is revoked on this node"),
        Looked::Seen(keys) => {
            let s = if keys.len() == 1 { " is" } else { "s are" };
            said.ok(code, format!("{} key{s} revoked on this node", keys.len()));
        }
        Looked::Unseen(why) => {
            let message = format!("{why}; until it is mended nothing new is trusted");
            said.error(code, message, format!("editor {}", revoked::PATH));
        }
    }
}

fn anchor(patient: &Patient<'_>, said: &mut Said) {
    let code = Code::Anchor;
    match said.look(&patient.examined.anchor, &[code]) {
        None => {}
        Some(KnownTrust::Nothing) => said.ok(code, "no commit was trusted so far"),
        Some(KnownTrust::Commit { commit, broken: None, .. }) => {
            said.ok(code, format!("the newest trusted commit is {}", commit.short()));
        }
        Some(KnownTrust::Commit { broken: Some(path), .. }) => {
            let message = format!(
                "`{path}` is broken; the other of the two serves until the next commit mends it"
            );
            said.warning(code, message, "weft sync");
        }
        Some(KnownTrust::Damaged { message, help }) => {
            let mend = if help.is_empty() {
                let away = |path: &str| format!("mv {path} {path}.old");
                apply::DIRECTORIES.map(away).join(" && ")
            } else {
                let [one, other] = PATHS;
                format!("editor {PATH} && rm -f {one} {other}")
            };
            let help = if help.is_empty() { String::new() } else { format!("; {help}") };
            said.error(code, format!("{message}{help}"), mend);
        }
        Some(KnownTrust::Other { message, help }) => {
            said.error(code, format!("{message}; {help}"), format!("editor {PATH}"));
        }
    }
}

/// After the last key of `root` nobody can add another one.
fn root_keys(patient: &Patient<'_>, said: &mut Said) {
    let code = Code::RootKeys;
    let Some(end) = said.look(&patient.examined.root_end, &[code]) else { return };
    let mend = "weft trust add NAME KEY.pub --role root && git commit -S .weft";
    match *end {
        None => said.ok(code, "somebody of the role `root` has a key that does not end"),
        Some(end) if end < patient.examined.now => {
            let message = format!(
                "every key of the role `root` has ended, the last at {end}: nobody can change the trust files; begin trust anew with a valid key, and introduce each node at that commit"
            );
            said.warning(code, message, "weft trust introduction");
        }
        Some(end) if end.duration_since(patient.examined.now) < SOON => {
            let message = format!(
                "every key of the role `root` ends, the last at {end}: after that nobody can change the trust files"
            );
            said.warning(code, message, mend);
        }
        Some(end) => said.ok(code, format!("the last key of the role `root` ends at {end}")),
    }
}

fn named_files(patient: &Patient<'_>, said: &mut Said) {
    let code = Code::NamedFiles;
    let missing = &patient.examined.missing_files;
    if patient.settings.is_none() {
        said.skipped(code, "there are no settings that name files");
    } else if missing.is_empty() {
        said.ok(code, "the files that the settings name are there");
    } else {
        let words: Vec<&str> = missing.iter().map(|path| path.as_str()).collect();
        let message = format!("the settings name {}, and nothing is there", quoted(&words));
        // Each takes what is typed or pasted, until Ctrl-D.
        let mends = words.iter().map(|path| format!("install -m 0600 /dev/stdin {path}"));
        said.error(code, message, mends.collect::<Vec<_>>().join(" && "));
    }
}

fn files(patient: &Patient<'_>, said: &mut Said) {
    let codes = [Code::FileOwner, Code::FileWritable, Code::SecretReadable];
    let Some(files) = said.look(&patient.examined.own_files, &codes) else { return };
    let named = |wrong: &[&str]| (quoted(wrong), wrong.join(" "));
    // A link has no mode of its own, and what it leads to is judged where it lies.
    let real = || files.iter().filter(|file| file.entry.kind != EntryKind::Link);

    let owned: Vec<&str> =
        files.iter().filter(|file| file.entry.owner != 0).map(|file| file.path.as_str()).collect();
    if patient.examined.dry {
        said.skipped(Code::FileOwner, "files of a dry node belong to whoever made it");
    } else if owned.is_empty() {
        said.ok(Code::FileOwner, "the files of weft are root's");
    } else {
        let (list, words) = named(&owned);
        said.error(
            Code::FileOwner,
            format!("{list}: not root's"),
            format!("chown -h root:root {words}"),
        );
    }

    let writable: Vec<&str> =
        real().filter(|file| file.entry.mode & 0o022 != 0).map(|file| file.path.as_str()).collect();
    if writable.is_empty() {
        said.ok(Code::FileWritable, "nobody else writes to the files of weft");
    } else {
        let (list, words) = named(&writable);
        let message = format!(
            "{list}: others than the owner may write there, and so choose whom the node trusts"
        );
        said.error(Code::FileWritable, message, format!("chmod go-w {words}"));
    }

    // The directories above a file are of no help: a link may lead past them.
    let readable =
        || real().filter(|file| file.entry.kind == EntryKind::File && file.entry.mode & 0o004 != 0);
    let keys: Vec<&str> =
        readable().filter(|file| file.secret).map(|file| file.path.as_str()).collect();
    let perhaps: Vec<&str> = readable()
        .filter(|file| !file.secret && !PUBLIC.iter().any(|end| file.path.as_str().ends_with(end)))
        .map(|file| file.path.as_str())
        .collect();
    if !keys.is_empty() {
        let (list, words) = named(&keys);
        let message = format!("{list}: everybody on this machine can read the secret");
        said.error(Code::SecretReadable, message, format!("chmod o= {words}"));
    }
    if !perhaps.is_empty() {
        let (list, words) = named(&perhaps);
        let message = format!("{list}: everybody on this machine can read it; is it a secret?");
        said.warning(Code::SecretReadable, message, format!("chmod o= {words}"));
    }
    if keys.is_empty() && perhaps.is_empty() {
        said.ok(Code::SecretReadable, "nobody else reads secrets of weft");
    }
}

fn remotes(patient: &Patient<'_>, said: &mut Said) {
    let code = Code::Remote;
    let Some(remotes) = said.look(&patient.examined.remotes, &[code]) else { return };
    let any = remotes.iter().any(|remote| remote.answer.is_ok());
    for remote in remotes {
        match &remote.answer {
            Ok(tip) => {
                said.ok(code, format!("remote `{}` shows commit {}", remote.name, tip.short()));
            }
            Err(trouble) => {
                let retry = if trouble.retry_helps { "; it may work later" } else { "" };
                let message = format!("{} [{}]{retry}", trouble.message, trouble.code);
                let mend = if trouble.retry_helps {
                    "weft doctor --online".to_owned()
                } else {
                    format!("editor {PATH}")
                };
                if any {
                    said.warning(code, message, mend);
                } else {
                    said.error(code, message, mend);
                }
            }
        }
    }
}

fn fetch_process(patient: &Patient<'_>, said: &mut Said) {
    match said.look(&patient.examined.fetch_user, &[Code::FetchUser]) {
        None => {}
        Some(true) => {
            said.ok(Code::FetchUser, format!("what talks to remotes is user `{FETCH_USER}`"));
        }
        Some(false) => said.warning(
            Code::FetchUser,
            format!("there is no user `{FETCH_USER}`, so what talks to remotes runs as root"),
            "systemd-sysusers weft.conf",
        ),
    }
    match said.look(&patient.examined.landlock, &[Code::FetchLandlock]) {
        None => {}
        Some(0) => said.warning(
            Code::FetchLandlock,
            "the kernel has no Landlock, so what talks to remotes may reach every file of its user",
            "grep -o 'lsm=[^ ]*' /proc/cmdline",
        ),
        Some(level @ 1..4) => said.ok(
            Code::FetchLandlock,
            format!("Landlock {level} confines what talks to remotes to its files"),
        ),
        Some(level) => said.ok(
            Code::FetchLandlock,
            format!("Landlock {level} confines what talks to remotes to its files and ports"),
        ),
    }
}

fn disk(patient: &Patient<'_>, said: &mut Said) {
    for (path, looked) in &patient.examined.rooms {
        let Some(room) = said.look(looked, &[Code::DiskWritable, Code::DiskSpace]) else {
            continue;
        };
        if room.writable {
            said.ok(Code::DiskWritable, format!("`{path}` can be written to"));
        } else {
            let (why, mend) = if room.read_only {
                let mend = format!("mount -o remount,rw \"$(findmnt -n -o TARGET -T {path})\"");
                ("its file system is read-only", mend)
            } else {
                ("the user who asks may not, and weft acts on a node as root", "su -".to_owned())
            };
            let message = format!("`{path}` cannot be written to: {why}");
            said.error(Code::DiskWritable, message, mend);
        }
        let mebibytes = room.bytes >> 20;
        if room.bytes < LITTLE_BYTES {
            let message =
                format!("`{path}` has {mebibytes} MiB left, less than {} MiB", LITTLE_BYTES >> 20);
            said.error(Code::DiskSpace, message, format!("df -h {path}"));
        } else if room.files.is_some_and(|files| files < FEW_FILES) {
            said.error(
                Code::DiskSpace,
                format!("`{path}` can take hardly a new file"),
                format!("df -i {path}"),
            );
        } else {
            said.ok(Code::DiskSpace, format!("`{path}` has {mebibytes} MiB left"));
        }
    }
}
