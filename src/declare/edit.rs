//! Changes to the trust files that leave every other byte as it was: the comments, the
//! order and the form in which people wrote them.

use ssh_key::public::KeyData;
use thiserror::Error;

use super::finding::Findings;
use super::policy;
use super::signers::Signers;
use super::yaml::{self, Key, Node, Value};
use crate::value::{Place, Principal, Word};

/// Why a file is not changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EditError {
    /// There is no role of that name.
    #[error("there is no role `{0}`")]
    NoRole(Word),
    /// The list, by what it is called, is written in a form in which it cannot be changed
    /// without changing more.
    #[error("{0} are written in a form that is not changed here")]
    OtherForm(String),
}

/// A signers file with one more line at its end.
pub fn with_signer(text: &str, line: &str) -> String {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{end}{line}\n")
}

/// A signers file in which a principal no longer has a key, or any of its keys for
/// `None`: its name goes, and the line with it where it names nobody else. `signers` is
/// what the text says.
pub fn without_signer(
    text: &str,
    signers: &Signers,
    principal: &Principal,
    key: Option<&KeyData>,
) -> String {
    let mut text = text.to_owned();
    // From below, so that places above stay true.
    for line in signers.lines().iter().rev() {
        if !line.names.contains(principal) || key.is_some_and(|key| line.key != *key) {
            continue;
        }
        let names = bytes(&line.place);
        if line.names.iter().any(|name| name != principal) {
            let kept: Vec<&str> =
                text[names.clone()].split(',').filter(|name| *name != principal.as_str()).collect();
            text.replace_range(names, &kept.join(","));
        } else {
            text.replace_range(line_around(&text, names.start), "");
        }
    }
    text
}

/// A policy in which a principal is a member of a role.
pub fn with_member(text: &str, role: &Word, principal: &Principal) -> Result<String, EditError> {
    let path = ["roles", role.as_str(), "principals"];
    let other = || EditError::OtherForm(called(&path));
    let tree = tree(text).ok_or_else(other)?;
    let missing = || EditError::NoRole(role.clone());
    let roles = entry(&tree, "roles").ok_or_else(missing)?.1;
    let (_, written) = entry(roles, role.as_str()).ok_or_else(missing)?;
    let (_, list) = entry(written, "principals").ok_or_else(other)?;
    let Value::List(items) = &list.value else { return Err(other()) };
    if items.iter().any(|item| is(item, principal)) {
        return Ok(text.to_owned());
    }
    let name = scalar(principal);
    let mut new = text.to_owned();
    match items.last() {
        None => new.insert_str(bytes(&list.place).start + 1, &name),
        Some(newest) if is_flow(text, list) => {
            new.insert_str(bytes(&newest.place).end, &format!(", {name}"));
        }
        Some(newest) => {
            let at = bytes(&newest.place).start;
            let line = line_around(text, at);
            let before = &text[line.start..at];
            if !before.trim_start().starts_with('-') || before.trim().len() != 1 {
                return Err(other());
            }
            let end = if text[line.clone()].ends_with('\n') { "" } else { "\n" };
            new.insert_str(line.end, &format!("{end}{before}{name}\n"));
        }
    }
    let wanted = |items: &mut Vec<Node>, place: &Place| {
        let value = Value::Scalar { text: principal.to_string(), quoted: name.starts_with('"') };
        items.push(Node { place: place.clone(), value });
    };
    checked(new, tree, &path, wanted).ok_or_else(other)
}

/// A policy in which a principal is a member of no role, and writes no leases.
pub fn without_member(text: &str, principal: &Principal) -> Result<String, EditError> {
    let mut text = text.to_owned();
    while let Some((list, new)) = without_one(&text, principal) {
        text = new.ok_or(EditError::OtherForm(list))?;
    }
    Ok(text)
}

/// What the first list is called that a principal stands in, and the policy in which it stands
/// there no more.
fn without_one(text: &str, principal: &Principal) -> Option<(String, Option<String>)> {
    let tree = tree(text)?;
    let (path, (key, list)) = lists(&tree).into_iter().find(|(_, (_, list))| {
        matches!(&list.value, Value::List(items) if items.iter().any(|item| is(item, principal)))
    })?;
    let Value::List(items) = &list.value else { return None };
    let at = items.iter().position(|item| is(item, principal))?;
    let (own, mut new) = (bytes(&items[at].place), text.to_owned());
    if is_flow(text, list) {
        let next = items.get(at + 1).map(|next| bytes(&next.place).start);
        let before = at.checked_sub(1).map(|before| bytes(&items[before].place).end);
        match (next, before) {
            (Some(_), _) => {
                let comma = text[own.end..].find(',').map_or(own.end, |n| own.end + n + 1);
                let blanks = text[comma..].len() - text[comma..].trim_start_matches(' ').len();
                new.replace_range(own.start..comma + blanks, "");
            }
            (None, Some(before)) => new.replace_range(before..own.end, ""),
            (None, None) => new.replace_range(own, ""),
        }
    } else {
        new.replace_range(line_around(text, own.start), "");
        if items.len() == 1 {
            let colon = text[bytes(&key.place).end..].find(':')?;
            new.insert_str(bytes(&key.place).end + colon + 1, " []");
        }
    }
    let path: Vec<String> = path.into_iter().map(str::to_owned).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let new = checked(new, tree, &path, |items, _| {
        items.remove(at);
    });
    Some((called(&path), new))
}

/// A list with its key, and the keys that lead to it.
type Found<'t> = (Vec<&'t str>, (&'t Key, &'t Node));

/// The lists of names: the principals of each role, and who writes leases.
fn lists(tree: &Node) -> Vec<Found<'_>> {
    let roles = match entry(tree, "roles").map(|(_, roles)| &roles.value) {
        Some(Value::Map(roles)) => roles.as_slice(),
        _ => &[],
    };
    let principals = roles.iter().filter_map(|(role, written)| {
        Some((vec!["roles", role.text.as_str(), "principals"], entry(written, "principals")?))
    });
    let allocators = entry(tree, "allocators").map(|found| (vec!["allocators"], found));
    principals.chain(allocators).collect()
}

/// What a list is called, by the keys that lead to it.
fn called(path: &[&str]) -> String {
    match path {
        ["roles", role, ..] => format!("the principals of role `{role}`"),
        path => format!("the `{}`", path.join("`, `")),
    }
}

/// A text that differs from the tree of the one before in one list alone.
fn checked(
    new: String,
    mut tree: Node,
    path: &[&str],
    change: impl FnOnce(&mut Vec<Node>, &Place),
) -> Option<String> {
    let place = tree.place.clone();
    let list = path.iter().try_fold(&mut tree, |node, key| entry_mut(node, key))?;
    let Value::List(items) = &mut list.value else { return None };
    change(items, &place);
    self::tree(&new).is_some_and(|made| made.means(&tree)).then_some(new)
}

fn tree(text: &str) -> Option<Node> {
    yaml::parse(&super::constant_path(policy::FILE), text, &mut Findings::default())
}

fn entry<'n>(node: &'n Node, name: &str) -> Option<(&'n Key, &'n Node)> {
    let Value::Map(entries) = &node.value else { return None };
    entries.iter().find(|(key, _)| key.text == name).map(|(key, value)| (key, value))
}

fn entry_mut<'n>(node: &'n mut Node, name: &str) -> Option<&'n mut Node> {
    let Value::Map(entries) = &mut node.value else { return None };
    entries.iter_mut().find(|(key, _)| key.text == name).map(|(_, value)| value)
}

fn is(node: &Node, principal: &Principal) -> bool {
    matches!(&node.value, Value::Scalar { text, .. } if text == principal.as_str())
}

fn is_flow(text: &str, list: &Node) -> bool {
    text[bytes(&list.place).start..].starts_with('[')
}

/// A name in quotes, unless it is one that YAML takes for nothing else.
fn scalar(principal: &Principal) -> String {
    let name = principal.as_str();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._+-@".contains(&b);
    let letter = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if letter && name.contains('@') && name.bytes().all(plain) {
        name.to_owned()
    } else {
        serde_json::Value::from(name).to_string()
    }
}

fn bytes(place: &Place) -> std::ops::Range<usize> {
    place.span.bytes.start as usize..place.span.bytes.end as usize
}

/// The line around a byte, its line feed included.
fn line_around(text: &str, at: usize) -> std::ops::Range<usize> {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let end = text[at..].find('\n').map_or(text.len(), |end| at + end + 1);
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declare::signers;

    const BLOCK: &str = "\
# Who may change what.
roles:
  root:
    principals: # few
      - ann@x  # since 2025
      - \"bob@x\"
  none:
    principals:
    - cleo@x
  flow: {principals: [ann@x, 'bob@x',   cleo@x], paths: [a/**]} # tenants
  empty: {principals: [ ]}
mainline: any   # later: merges
";

    fn name(text: &str) -> Principal {
        text.parse().unwrap()
    }

    #[test]
    fn members_come_and_everything_else_stays() {
        let word = |text: &str| text.parse().unwrap();
        let with = |role, who| with_member(BLOCK, &word(role), &name(who));
        let line = "      - \"bob@x\"\n";
        let one = with("root", "dan@x").unwrap();
        assert_eq!(one, BLOCK.replace(line, &format!("{line}      - dan@x\n")));
        let one = with("none", "no").unwrap();
        assert_eq!(one, BLOCK.replace("    - cleo@x\n", "    - cleo@x\n    - \"no\"\n"));
        let one = with("flow", "dan@x").unwrap();
        assert_eq!(one, BLOCK.replace("cleo@x]", "cleo@x, dan@x]"));
        let one = with("empty", "dan@x").unwrap();
        assert_eq!(one, BLOCK.replace("[ ]", "[dan@x ]"));
        assert_eq!(with("flow", "bob@x").unwrap(), BLOCK);
        assert_eq!(with("nobody", "bob@x"), Err(EditError::NoRole(word("nobody"))));
    }

    #[test]
    fn members_go_and_everything_else_stays() {
        let without = |who| without_member(BLOCK, &name(who)).unwrap();
        let ann = BLOCK.replace("      - ann@x  # since 2025\n", "").replace("[ann@x, ", "[");
        assert_eq!(without("ann@x"), ann);
        let bob = BLOCK.replace("      - \"bob@x\"\n", "").replace("'bob@x',   ", "");
        assert_eq!(without("bob@x"), bob);
        let cleo = BLOCK.replace("    principals:\n    - cleo@x\n", "    principals: []\n");
        assert_eq!(without("cleo@x"), cleo.replace("'bob@x',   cleo@x]", "'bob@x']"));
        assert_eq!(without("dan@x"), BLOCK);
    }

    #[test]
    fn who_writes_leases_goes_too() {
        for (list, less) in [
            ("allocators: [cleo@x, dan@x]  # nodes\n", "allocators: [dan@x]  # nodes\n"),
            ("allocators:\n  - cleo@x\n", "allocators: []\n"),
        ] {
            let without = without_member(&format!("{BLOCK}{list}"), &name("cleo@x")).unwrap();
            assert_eq!(
                without,
                format!("{}{less}", without_member(BLOCK, &name("cleo@x")).unwrap())
            );
        }
        let odd = "roles: {root: {principals: [ann@x]}}\nallocators: [\"dan@x\", *x]\n";
        assert_eq!(without_member(odd, &name("dan@x")).unwrap(), odd);
    }

    #[test]
    fn a_form_that_would_lose_something_is_left_alone() {
        let odd = "roles: {root: {principals: [ann@x]}, other: {principals: \n - - ann@x\n}}\n";
        assert!(with_member(odd, &"other".parse().unwrap(), &name("dan@x")).is_err());
    }

    #[test]
    fn signers_go_and_everything_else_stays() {
        let key = |n: u8| {
            let key = ssh_key::public::Ed25519PublicKey([n; 32]);
            ssh_key::PublicKey::from(KeyData::Ed25519(key)).to_openssh().unwrap()
        };
        let (one, two, three) = (key(1), key(2), key(3));
        let text =
            format!("# people\nann,bob namespaces=\"git\" {one} c\n\nann {two}\nbob,!x {three}\n");
        let file = crate::declare::constant_path(signers::FILE);
        let read = signers::read(&file, &text, &mut Findings::default());
        let without = |who, key| without_signer(&text, &read, &name(who), key);
        let rest = format!("# people\nbob namespaces=\"git\" {one} c\n\nbob,!x {three}\n");
        assert_eq!(without("ann", None), rest);
        let rest = format!("# people\nann namespaces=\"git\" {one} c\n\nann {two}\n");
        assert_eq!(without("bob", None), rest);
        let rest = text.replace(&format!("ann {two}\n"), "");
        assert_eq!(without("ann", Some(&read.lines()[1].key)), rest);
        assert_eq!(with_signer("a", "b"), "a\nb\n");
    }
}
