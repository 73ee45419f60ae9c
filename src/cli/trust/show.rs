//! `weft trust show`.

use std::fmt::Write as _;

use camino::Utf8Path;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use super::date::span;
use super::files::TrustFiles;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{Output, counted};
use crate::cli::source::{self, Source};
use crate::declare::policy::{Mainline, ROOT, Role, standing};
use crate::declare::signers::{NotASigner, Signer};
use crate::host::{Host as _, Linux};
use crate::sync::KeyFingerprint;
use crate::value::Principal;

/// Whose end is warned of.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// `weft trust show`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The trust files of this commit. Without it those of the work tree, committed or not;
    /// on a node, those of the newest commit that it accepted.
    #[arg(value_name = "REV")]
    revision: Option<String>,
}

pub(super) fn run(
    output: Output,
    root: Option<&Utf8Path>,
    directory: Option<&Utf8Path>,
    arguments: &Arguments,
) -> Result<Exit, Failure> {
    let (files, of, now) = read(root, directory, arguments.revision.as_deref())?;
    let people = people(&files);
    let warnings = warnings(&files, &people, now);
    output.say(format!("{of}\n\nPeople"));
    for person in &people {
        output.say(person_text(&files, person, now));
    }
    output.say("\nRoles");
    for role in files.policy.roles() {
        output.say(role_text(&files, role, now));
    }
    output.say("\nRules");
    for rule in rules(&files) {
        output.say(format!("  {rule}"));
    }
    if !warnings.is_empty() {
        output.say("\nWarnings");
    }
    for warning in &warnings {
        output.say(format!("  {warning}"));
    }
    output.document(&json!({
        "ok": true,
        "of": of,
        "people": people.iter().map(|person| person_json(&files, person, now)).collect::<Vec<_>>(),
        "roles": files.policy.roles().iter().map(|role| role_json(&files, role, now)).collect::<Vec<_>>(),
        "allocators": files.policy.allocators(),
        "mainline": files.policy.mainline().as_str(),
        "removal": {
            "max-vnets": files.policy.removal().max_vnets,
            "max-percent": files.policy.removal().max_percent,
            "everything": files.policy.removal().everything,
        },
        "warnings": warnings,
    }));
    Ok(Exit::Ok)
}

/// The trust files that are meant, what they are of, and the time.
fn read(
    root: Option<&Utf8Path>,
    directory: Option<&Utf8Path>,
    revision: Option<&str>,
) -> Result<(TrustFiles, String, Timestamp), Failure> {
    let here = root.is_none().then(|| directory.unwrap_or(Utf8Path::new(".")));
    let top = here.and_then(source::find).filter(|top| top.join(".git").exists());
    if let (Some(top), None) = (top, revision) {
        let of = format!("Trust files of the work tree {top}");
        return Ok((TrustFiles::read(&top)?, of, Linux::new(None).now()));
    }
    let source = Source::open(root, directory)?;
    let commit = source.accepted(revision)?;
    let files = TrustFiles::at(&source, commit)?;
    Ok((files, format!("Trust files of commit {commit}"), source.now))
}

/// Somebody with a key or a role.
struct Person<'f> {
    name: &'f Principal,
    keys: Vec<&'f Signer>,
}

fn people(files: &TrustFiles) -> Vec<Person<'_>> {
    let lines = files.signers.lines();
    let mut people: Vec<Person<'_>> = Vec::new();
    let named = lines.iter().flat_map(|line| &line.names);
    let members = files.policy.roles().iter().flat_map(|role| &role.principals);
    for name in named.chain(members).chain(files.policy.allocators()) {
        if !people.iter().any(|person| person.name == name) {
            let keys = lines.iter().filter(|line| line.names.contains(name)).collect();
            people.push(Person { name, keys });
        }
    }
    people
}

fn roles_of(files: &TrustFiles, name: &Principal) -> Vec<String> {
    standing::roles_of(&files.policy, name).map(|role| role.name.to_string()).collect()
}

fn person_text(files: &TrustFiles, person: &Person<'_>, now: Timestamp) -> String {
    let roles = roles_of(files, person.name);
    let roles = if roles.is_empty() { "no role".to_owned() } else { roles.join(", ") };
    let leases = if files.policy.allocates(person.name) { ", writes leases" } else { "" };
    let mut text = format!("  {}: {roles}{leases}", person.name);
    for line in &person.keys {
        let valid = match standing::validity(&files.signers, line, person.name, now) {
            Ok(()) => "valid",
            Err(NotASigner::TooEarly(_)) => "not valid yet",
            Err(NotASigner::Expired(_)) => "expired",
            Err(_) => "not for commits",
        };
        let (key, kind) = (KeyFingerprint::of(&line.key), line.key.algorithm());
        let _ = write!(text, "\n    {key} ({}), {valid}{}", kind.as_str(), span(line));
    }
    if person.keys.is_empty() {
        text += "\n    no key";
    }
    text
}

fn person_json(files: &TrustFiles, person: &Person<'_>, now: Timestamp) -> Json {
    let key = |line: &&Signer| {
        json!({
            "key": KeyFingerprint::of(&line.key),
            "type": line.key.algorithm().as_str(),
            "valid": standing::validity(&files.signers, line, person.name, now).is_ok(),
            "from": line.valid_after,
            "until": line.valid_before,
        })
    };
    json!({
        "principal": person.name,
        "roles": roles_of(files, person.name),
        "allocator": files.policy.allocates(person.name),
        "keys": person.keys.iter().map(key).collect::<Vec<_>>(),
    })
}

fn paths(role: &Role) -> Option<Vec<String>> {
    role.paths().map(|paths| paths.iter().map(ToString::to_string).collect())
}

fn role_text(files: &TrustFiles, role: &Role, now: Timestamp) -> String {
    let names: Vec<&str> = role.principals.iter().map(Principal::as_str).collect();
    let names = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
    let what = match paths(role) {
        _ if role.name.as_str() == ROOT => {
            "everything, the trust files and `weft.yaml` too".to_owned()
        }
        None => "every file but `.weft` and `weft.yaml`".to_owned(),
        Some(paths) if paths.is_empty() => "no file".to_owned(),
        Some(paths) => paths.join(", "),
    };
    let mut text = format!("  {}: {names}\n    may change {what}", role.name);
    if let Some(scope) = &role.scope {
        text += "\n    and declare nothing there but";
        for (key, list) in scope.lists() {
            let _ = write!(text, "\n      {key} {}", list.join(", "));
        }
    }
    if role.threshold > 1 {
        let able = counted(standing::able(&files.signers, role, now), "person")
            .replace("persons", "people");
        let _ =
            write!(text, "\n    {} people sign each change; {able} of it can now", role.threshold);
    }
    text
}

fn role_json(files: &TrustFiles, role: &Role, now: Timestamp) -> Json {
    let scope = role.scope.as_ref().map(|scope| {
        scope
            .lists()
            .into_iter()
            .map(|(key, list)| (key.to_owned(), json!(list)))
            .collect::<serde_json::Map<_, _>>()
    });
    json!({
        "role": role.name,
        "principals": role.principals,
        "threshold": role.threshold,
        "able": standing::able(&files.signers, role, now),
        "paths": paths(role),
        "scope": scope,
    })
}

fn rules(files: &TrustFiles) -> Vec<String> {
    let mut rules = vec![match files.policy.mainline() {
        Mainline::Any => "every commit may advance the branch (`mainline: any`)".to_owned(),
        Mainline::Merges => "merges advance the branch, and commits with the files of an earlier one (`mainline: merges`)".to_owned(),
    }];
    let allocators: Vec<&str> = files.policy.allocators().iter().map(Principal::as_str).collect();
    rules.push(if allocators.is_empty() {
        "nobody writes leases of addresses".to_owned()
    } else {
        format!("leases of addresses are written by {}", allocators.join(", "))
    });
    if files.policy.leases_line() > 0 {
        let line = files.policy.leases_line();
        rules.push(format!("the branch of leases was begun anew (`leases-line: {line}`)"));
    }
    let removal = files.policy.removal();
    if let Some(most) = removal.max_vnets {
        rules.push(format!(
            "one commit takes at most {} away from a node",
            counted(most as usize, "vnet")
        ));
    }
    if let Some(percent) = removal.max_percent {
        rules.push(format!("one commit takes at most {percent}% of a node's vnets away"));
    }
    rules.push(if removal.everything {
        "one commit may take away all vnets of a node".to_owned()
    } else {
        "no commit takes away all vnets of a node".to_owned()
    });
    rules
}

fn warnings(files: &TrustFiles, people: &[Person<'_>], now: Timestamp) -> Vec<String> {
    let mut warnings: Vec<String> =
        files.findings.iter().map(|finding| finding.message.clone()).collect();
    for role in files.policy.roles() {
        let able = standing::able(&files.signers, role, now);
        if role.name.as_str() == ROOT && able == 1 && role.threshold == 1 {
            warnings.push(format!("one person of the role `{ROOT}` can sign: with that key lost, nobody could change the trust files; add a second one"));
        } else if !standing::is_workable(&files.signers, role, now) {
            warnings.push(format!(
                "the role `{}` needs {} who sign, and {able} can now",
                role.name,
                counted(role.threshold, "person").replace("persons", "people")
            ));
        } else if able == 0 {
            warnings.push(format!("nobody of the role `{}` can sign now", role.name));
        }
    }
    if let Some(ends) = standing::root_ends(&files.policy, &files.signers, now) {
        warnings.push(format!("{ends}, and nobody can change the trust files then"));
    }
    for person in people {
        let name = person.name;
        let has_a_part = files.policy.has_role(name) || files.policy.allocates(name);
        if !has_a_part {
            warnings.push(format!("`{name}` has a key and no role: may change nothing"));
        }
        for line in &person.keys {
            let key = KeyFingerprint::of(&line.key);
            if let Some(until) = line.valid_before.filter(|until| *until >= now) {
                if until.duration_since(now) < SOON {
                    warnings.push(format!("key {key} of `{name}` ends soon: at {until}"));
                }
            } else if let Some(until) = line.valid_before {
                warnings.push(format!("key {key} of `{name}` has ended, at {until}; `weft trust remove {name} --key {key}`"));
            }
        }
        if !person.keys.is_empty() && has_a_part && !standing::can_sign(&files.signers, name, now) {
            warnings.push(format!("`{name}` has no key that may sign commits now"));
        }
    }
    for (at, person) in people.iter().enumerate() {
        let shares = |other: &&Person<'_>| {
            files.signers.people().count([person.name, other.name]) == 1
                && !person.keys.is_empty()
                && !other.keys.is_empty()
        };
        for other in people[at + 1..].iter().filter(shares) {
            warnings.push(format!(
                "`{}` and `{}` share a key: they count as one person",
                person.name, other.name
            ));
        }
    }
    warnings
}
