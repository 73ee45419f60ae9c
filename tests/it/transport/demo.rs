//! The repository that the demo writes, as git sees it.

use std::collections::BTreeMap;
use std::fs;

use weft::cli::demo::repository::{Author, Repository, RepositoryError, key_from_random};
use weft::sync::objects::Objects as _;
use weft::value::ObjectId;

use super::*;

fn author(key: Option<&ssh_key::PrivateKey>) -> Author<'_> {
    let time = "2026-11-23T18:00:00Z".parse().unwrap();
    Author { name: "Ada Lovelace", email: "ada@example.org", time, key }
}

fn change(changes: &[(&str, Option<&str>)]) -> BTreeMap<String, Option<Vec<u8>>> {
    changes.iter().map(|(path, text)| ((*path).to_owned(), text.map(Into::into))).collect()
}

#[test]
fn git_accepts_what_the_demo_writes() {
    let place = Place::bare();
    let repository = Repository::create(&place.path("net.git")).unwrap();
    let key = key_from_random().unwrap();
    let signed = author(Some(&key));
    let files = change(&[("weft.yaml", Some("weft: 1\n")), ("sdn/a/b.yaml", Some("zones: {}\n"))]);
    let first = repository.commit(&[], &files, "Begin", signed).unwrap();
    let files = change(&[("sdn/a/b.yaml", None), ("sdn/c.yaml", Some("vnets: {}\n"))]);
    let second = repository.commit(&[first], &files, "Move\n\nWith a body.\n", signed).unwrap();
    let third = repository.revert(second, signed).unwrap();
    let unsigned = repository.commit(&[third], &change(&[]), "Sneak", author(None)).unwrap();
    let merge = repository.commit(&[third, unsigned], &change(&[]), "Merge", signed).unwrap();
    repository.set_branch("main", merge).unwrap();

    place.git(&["fsck", "--strict", "--full", "--no-dangling"]);
    assert_eq!(place.git(&["symbolic-ref", "HEAD"]), "refs/heads/main");
    assert_eq!(place.git(&["rev-parse", "main"]), merge.to_string());
    let tree = |id: ObjectId| place.git(&["ls-tree", "-r", "--name-only", &id.to_string()]);
    assert_eq!(tree(first), "sdn/a/b.yaml\nweft.yaml");
    assert_eq!(tree(second), "sdn/c.yaml\nweft.yaml");
    assert_eq!(place.git(&["ls-tree", "--name-only", &format!("{second}:sdn")]), "c.yaml");
    let whole = |id: ObjectId| place.git(&["rev-parse", &format!("{id}^{{tree}}")]);
    assert_eq!(whole(third), whole(first));
    let message = place.git(&["log", "-1", "--format=%B", &third.to_string()]);
    assert_eq!(message, format!("Revert \"Move\"\n\nThis reverts commit {second}."));
    let parents = place.git(&["log", "-1", "--format=%P", &merge.to_string()]);
    assert_eq!(parents, format!("{third} {unsigned}"));
    let who = place.git(&["log", "-1", "--format=%an <%ae> %aI %cn <%ce> %cI", "main"]);
    let ada = "Ada Lovelace <ada@example.org> 2026-11-23T18:00:00Z";
    assert_eq!(who, format!("{ada} {ada}"));

    let signers = place.path("allowed_signers");
    let public = key.public_key().to_openssh().unwrap();
    fs::write(&signers, format!("ada@example.org namespaces=\"git\" {public}\n")).unwrap();
    let setting = format!("gpg.ssh.allowedSignersFile={signers}");
    let verify = |id: ObjectId| {
        git_command(place.directory.path())
            .current_dir(place.path("net.git"))
            .args(["-c", &setting, "verify-commit", "--raw", &id.to_string()])
            .output()
            .unwrap()
    };
    for id in [first, second, third, merge] {
        let done = verify(id);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && said.contains("Good \"git\" signature for ada"), "{said}");
    }
    assert!(!verify(unsigned).status.success());
    // Another key does not pass for Ada's.
    let other = key_from_random().unwrap();
    assert_ne!(other.public_key().key_data(), key.public_key().key_data());
    let forged = repository.commit(&[merge], &change(&[]), "x", author(Some(&other))).unwrap();
    assert!(!verify(forged).status.success());

    // What the demo writes is what the agent fetches; a branch may be rewritten.
    let (worker, tip) = place.fetch().unwrap();
    assert_eq!(tip, merge);
    assert!(worker.read(first, 10_000).unwrap().bytes.starts_with(b"tree "));
    drop(worker);
    let rewritten = repository.commit(&[first], &change(&[]), "Rewrite", signed).unwrap();
    repository.set_branch("main", rewritten).unwrap();
    assert_eq!(place.fetch().unwrap().1, rewritten);
    assert!(matches!(
        repository.commit(&[first], &change(&[("nowhere", None)]), "x", signed),
        Err(RepositoryError::Git { .. })
    ));
    let nameless = Author { name: "a>b", ..signed };
    assert!(matches!(
        repository.commit(&[], &change(&[]), "x", nameless),
        Err(RepositoryError::Author)
    ));
    assert!(matches!(
        repository.commit(&[], &change(&[]), " ", signed),
        Err(RepositoryError::Message)
    ));
    assert!(Repository::create(&place.path("net.git")).is_err());
}
