//! `weft trust add` and `weft trust remove`.

use std::collections::BTreeSet;

use camino::Utf8Path;
use serde_json::json;

use super::date::{Instant, span};
use super::files::{self, TrustFiles};
use super::guard;
use crate::agent::revoked;
use crate::cli::failure::{Exit, Failure};
use crate::cli::key;
use crate::cli::output::Output;
use crate::declare::edit::{self, EditError};
use crate::declare::finding::{Findings, suggestion};
use crate::declare::policy::{NAMESPACE, ROOT, standing};
use crate::declare::signers::Signer;
use crate::declare::{constant_path, policy, signers};
use crate::host::{Host as _, Linux};
use crate::sync::KeyFingerprint;
use crate::value::{Principal, Word};

/// `weft trust add`
#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// Who it is, as a role of the policy names it: an address for mail, most often.
    principal: Principal,
    /// The public key: its `.pub` file, or the line in it.
    #[arg(required = true, num_args = 1.., value_name = "KEY")]
    key: Vec<String>,
    /// The role that the person gets.
    #[arg(long, value_name = "ROLE")]
    role: Option<Word>,
    /// The first instant at which the key is valid: `2027-01-31Z` means the beginning of
    /// that day in UTC, `2027-01-31T18:00:00Z` says it to the second.
    #[arg(long, value_name = "DATE")]
    from: Option<Instant>,
    /// The last instant at which the key is valid, written in the same way.
    #[arg(long, value_name = "DATE")]
    until: Option<Instant>,
    /// What the key may sign: commits are `git`.
    #[arg(long, value_name = "LIST", default_value = NAMESPACE)]
    namespaces: String,
}

impl Add {
    /// Whether somebody says when the key is valid, or for what.
    fn sets_bounds(&self) -> bool {
        self.from.is_some() || self.until.is_some() || self.namespaces != NAMESPACE
    }
}

/// `weft trust remove`
#[derive(Debug, clap::Args)]
pub(super) struct Remove {
    /// Who it is.
    principal: Principal,
    /// Only this one of the person's keys, by its fingerprint.
    #[arg(long, value_name = "SHA256:…")]
    key: Option<KeyFingerprint>,
}

/// What a change comes to.
struct Change {
    signers: String,
    policy: String,
    said: Vec<String>,
    next: Vec<String>,
}

pub(super) fn add(
    output: Output,
    directory: Option<&Utf8Path>,
    arguments: &Add,
) -> Result<Exit, Failure> {
    let top = files::top(directory)?;
    let before = TrustFiles::read(&top)?;
    let now = Linux::new(None).now();
    let name = &arguments.principal;
    let line = line(arguments, &key::plain(&key::given(&arguments.key)?));
    let added = parsed(&line, arguments)?;
    let fingerprint = KeyFingerprint::of(&added.key);
    if let Some(until) = arguments.until.filter(|until| until.0 < now) {
        let message = format!("the key would be valid until {}, which is past", until.0);
        let hint = "name a later end, or none: a key without one is valid until it is removed";
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    }
    let mut said = Vec::new();
    let known = before.signers.lines().iter().find(|known| known.key == added.key);
    let is_member =
        |role: &Word| standing::roles_of(&before.policy, name).any(|known| known.name == *role);
    let signers = match known {
        Some(known) if !known.names.contains(name) => {
            let others: Vec<String> = known.names.iter().map(|name| format!("`{name}`")).collect();
            let message = format!(
                "key {fingerprint} is {}'s already (line {})",
                others.join(", "),
                known.place.span.line
            );
            return Err(Failure::new(Exit::Refused, message).hint(
                "each person has keys of their own: names that share a key count as one person",
            ));
        }
        Some(known) if arguments.role.as_ref().is_none_or(is_member) => {
            let message = format!(
                "`{name}` has key {fingerprint} already (line {} of `{}`)",
                known.place.span.line,
                signers::FILE
            );
            return Err(Failure::new(Exit::Refused, message).hint(
                "nothing has to be done; for other dates, edit that line or remove the key first",
            ));
        }
        Some(known) if arguments.sets_bounds() && !known.bounds_as(&added) => {
            let line = known.place.span.line;
            let message = format!(
                "`{name}` has key {fingerprint} already (line {line} of `{}`), with other dates or namespaces",
                signers::FILE
            );
            return Err(Failure::new(Exit::Refused, message).hint(
                "nothing was written; edit that line for other ones, and run this without `--from`, `--until` and `--namespaces`: it then adds the role alone",
            ));
        }
        Some(_) => {
            said.push(format!("key {fingerprint} of {name} was there already, and stays as it is"));
            before.signers_text.to_string()
        }
        None => {
            let kind = added.key.algorithm();
            said.push(format!(
                "{name} signs with {fingerprint} ({}){}",
                kind.as_str(),
                span(&added)
            ));
            edit::with_signer(&before.signers_text, &line)
        }
    };
    let policy = match &arguments.role {
        Some(role) => with_member(&before, role, name)?,
        None => before.policy_text.to_string(),
    };
    let roles: Vec<String> = standing::roles_of(&before.policy, name)
        .map(|role| role.name.to_string())
        .chain(arguments.role.iter().map(Word::to_string))
        .collect();
    if before.policy.allocates(name) {
        said.push(format!("{name} writes leases of addresses"));
    } else if roles.is_empty() {
        said.push(format!(
            "{name} is in no role and may change nothing yet: `weft trust add {name} KEY --role ROLE` with one of {}",
            names_of_roles(&before)
        ));
    }
    if !roles.is_empty() {
        said.push(format!("{name} is in {}", listed(&roles)));
    }
    let next = vec![next_commit(&before)];
    let change = Change { signers, policy, said, next };
    write(
        output,
        &top,
        &before,
        &change,
        &json!({ "principal": name, "key": fingerprint, "roles": roles }),
    )
}

/// The line of a new signer.
fn line(arguments: &Add, key: &str) -> String {
    let mut options = vec![format!("namespaces=\"{}\"", arguments.namespaces)];
    let bounds = [("valid-after", arguments.from), ("valid-before", arguments.until)];
    for (option, instant) in bounds.into_iter().filter_map(|(o, instant)| Some((o, instant?))) {
        options.push(format!("{option}=\"{}\"", instant.written()));
    }
    format!("{} {} {key}", arguments.principal, options.join(","))
}

/// What a node makes of the line: one key of one person that may sign commits.
fn parsed(line: &str, arguments: &Add) -> Result<Signer, Failure> {
    let mut found = Findings::default();
    let read = signers::read(&constant_path(signers::FILE), line, &mut found);
    if let Some(finding) = found.iter().next() {
        let message = format!("nodes could not use this: {}", finding.message);
        return Err(Failure::new(Exit::Refused, message).hint(finding.what_to_do()));
    }
    let name = &arguments.principal;
    let [signer] = read.lines() else {
        let message = format!("`{name}` cannot be the name of a signer");
        return Err(
            Failure::new(Exit::Refused, message).hint("write a name such as `alice@example.org`")
        );
    };
    if signer.names != [name.clone()] {
        let message = format!("`{name}` is a pattern or a list, and a role names one person");
        return Err(
            Failure::new(Exit::Refused, message).hint("write a name such as `alice@example.org`")
        );
    }
    if !read.has_key(name, NAMESPACE) {
        let message =
            format!("with namespaces `{}` the key could not sign commits", arguments.namespaces);
        return Err(Failure::new(Exit::Refused, message)
            .hint("leave `--namespaces` away, or have `git` among them"));
    }
    Ok(signer.clone())
}

fn with_member(before: &TrustFiles, role: &Word, name: &Principal) -> Result<String, Failure> {
    edit::with_member(&before.policy_text, role, name).map_err(|error| {
        let failure = Failure::from_error(Exit::Refused, &error);
        match error {
            EditError::NoRole(_) => {
                let roles = before.policy.roles().iter().map(|role| role.name.as_str());
                let near = suggestion(role.as_str(), "roles", roles).unwrap_or_default();
                failure.hint(format!(
                    "{near}; a new role is written into `{}` first: `{role}: {{principals: [], paths: [sdn/…]}}`",
                    policy::FILE
                ))
            }
            EditError::OtherForm(_) => failure.hint(format!(
                "write `{name}` among them yourself, and add the key without `--role`"
            )),
        }
    })
}

pub(super) fn remove(
    output: Output,
    directory: Option<&Utf8Path>,
    arguments: &Remove,
) -> Result<Exit, Failure> {
    let top = files::top(directory)?;
    let before = TrustFiles::read(&top)?;
    let now = Linux::new(None).now();
    let name = &arguments.principal;
    let of = |line: &&Signer| line.names.contains(name);
    let own: Vec<&Signer> = before.signers.lines().iter().filter(of).collect();
    let roles: Vec<String> =
        standing::roles_of(&before.policy, name).map(|role| role.name.to_string()).collect();
    let allocates = before.policy.allocates(name);
    if own.is_empty() && roles.is_empty() && !allocates {
        return Err(nobody(&before, name));
    }
    let wanted =
        |line: &&Signer| arguments.key.is_none_or(|wanted| KeyFingerprint::of(&line.key) == wanted);
    let gone: Vec<&Signer> = own.iter().copied().filter(wanted).collect();
    if let (Some(key), []) = (arguments.key, gone.as_slice()) {
        let message = format!("`{name}` has no key {key}");
        let keys: Vec<String> =
            own.iter().map(|line| KeyFingerprint::of(&line.key).to_string()).collect();
        let hint = if keys.is_empty() {
            format!("`{name}` has no key at all")
        } else {
            format!("the keys are {}", keys.join(", "))
        };
        return Err(Failure::new(Exit::Failed, message).hint(hint));
    }
    let whole = arguments.key.is_none();
    if !whole && own.len() == gone.len() && (allocates || !roles.is_empty()) {
        let does = [
            (!roles.is_empty()).then(|| format!("is in {}", listed(&roles))),
            allocates.then(|| "writes leases of addresses".to_owned()),
        ];
        let does = does.into_iter().flatten().collect::<Vec<_>>().join(" and ");
        let message = format!("it is the only key of `{name}`, who {does}");
        return Err(Failure::new(Exit::Refused, message).hint(format!(
            "add the new key first (`weft trust add {name} KEY`), or take the person out: `weft trust remove {name}`"
        )));
    }
    let key = arguments.key.and(gone.first()).map(|line| &line.key);
    let signers = edit::without_signer(&before.signers_text, &before.signers, name, key);
    let policy = if whole {
        edit::without_member(&before.policy_text, name).map_err(|error| {
            let hint =
                format!("take `{name}` out of `{}` yourself, and run this again", policy::FILE);
            Failure::from_error(Exit::Refused, &error).hint(hint)
        })?
    } else {
        before.policy_text.to_string()
    };
    guard::keeps_working(&before, &signers, &policy, name, now)?;

    let keys: Vec<String> =
        gone.iter().map(|line| KeyFingerprint::of(&line.key).to_string()).collect();
    let mut said = Vec::new();
    if whole && !roles.is_empty() {
        said.push(format!("{name} is no longer in {}", listed(&roles)));
    }
    if whole && allocates {
        let others = before.policy.allocators().len() > 1;
        let nobody = if others { "" } else { ", and nobody else does" };
        said.push(format!("{name} no longer writes leases of addresses{nobody}"));
    }
    for key in &keys {
        said.push(format!("{name} no longer signs with {key}"));
    }
    said.push(
        "what was signed before stays good, below a commit that somebody else signs".to_owned(),
    );
    let mut next = vec![next_commit(&before)];
    if !keys.is_empty() {
        let list: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
        next.push(format!(
            "if a key was stolen: write {} into {} of each node, a line each, which beats the repository at once",
            list.join(" and "),
            revoked::PATH
        ));
    }
    let change = Change { signers, policy, said, next };
    write(
        output,
        &top,
        &before,
        &change,
        &json!({
            "principal": name,
            "keys": keys,
            "roles": if whole { roles } else { Vec::new() },
            "allocator": whole && allocates,
        }),
    )
}

/// Writes what changed, after it was read as a node reads it.
fn write(
    output: Output,
    top: &Utf8Path,
    before: &TrustFiles,
    change: &Change,
    document: &serde_json::Value,
) -> Result<Exit, Failure> {
    let Change { signers, policy, said, next } = change;
    let after = TrustFiles::of(signers.as_str().into(), policy.as_str().into())?;
    let mut written = Vec::new();
    let texts = [
        (signers::FILE, &before.signers_text, &after.signers_text),
        (policy::FILE, &before.policy_text, &after.policy_text),
    ];
    for (path, old, new) in texts {
        if old != new {
            files::replace(top, path, new)?;
            written.push(path);
        }
    }
    for line in said {
        output.say(line);
    }
    let now = Linux::new(None).now();
    let warning = standing::root_ends(&after.policy, &after.signers, now)
        .map(|ends| format!("{ends}, and nobody could change the trust files then"));
    if let Some(warning) = &warning {
        output.say(format!("warning: {warning}"));
    }
    for path in &written {
        output.say(format!("wrote {path}"));
    }
    output.say("\nNext:");
    for (number, step) in (1..).zip(next) {
        output.say(format!("  {number}. {step}"));
    }
    let mut document = document.clone();
    document["ok"] = true.into();
    document["directory"] = top.as_str().into();
    document["written"] = json!(written);
    document["warnings"] = json!(warning.as_slice());
    document["next"] = json!(next);
    output.document(&document);
    Ok(Exit::Ok)
}

/// Who commits the change, which counts from the commit after it on.
fn next_commit(before: &TrustFiles) -> String {
    let root = before.policy.roles().iter().find(|role| role.name.as_str() == ROOT);
    match root.map_or(1, |root| root.threshold) {
        0 | 1 => "git add .weft; git commit -S: a principal of the role `root` signs it, and it counts from the commit after that on".to_owned(),
        people => format!(
            "put it on a branch, where {} further of the role `root` sign a commit that holds it (`git commit --allow-empty -S`), and merge that with `git merge --no-ff -S`; it counts from the commit after that on",
            people - 1
        ),
    }
}

fn nobody(before: &TrustFiles, name: &Principal) -> Failure {
    let names: BTreeSet<&str> = before
        .signers
        .lines()
        .iter()
        .flat_map(|line| &line.names)
        .chain(before.policy.roles().iter().flat_map(|role| &role.principals))
        .chain(before.policy.allocators())
        .map(Principal::as_str)
        .collect();
    let failure = Failure::new(Exit::Failed, format!("`{name}` is not in the trust files"));
    match suggestion(name.as_str(), "people there", names.iter().copied()) {
        Some(near) => failure.hint(near),
        None => failure.hint("`weft trust show` lists who is"),
    }
}

fn names_of_roles(files: &TrustFiles) -> String {
    let names: Vec<String> =
        files.policy.roles().iter().map(|role| format!("`{}`", role.name)).collect();
    names.join(", ")
}

fn listed(roles: &[String]) -> String {
    let names: Vec<String> = roles.iter().map(|role| format!("`{role}`")).collect();
    format!("role{} {}", if roles.len() == 1 { "" } else { "s" }, names.join(", "))
}
