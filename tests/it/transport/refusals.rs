//! Remotes that cannot be fetched, and what is said about them.

use std::fs;

use weft::sync::protocol::{FailureCode, FetchLimits};

use super::*;

#[test]
fn a_remote_that_cannot_be_fetched_says_why() {
    let place = Place::bare();
    let (code, text) = place.failure();
    assert_eq!(code, FailureCode::Absent);
    assert!(text.contains("No such file or directory") && code.retry_helps(), "{text}");
    fs::create_dir(place.path("net.git")).unwrap();
    assert_eq!(place.failure().0, FailureCode::NotARepository);
    fs::write(place.path("net.git/config"), "[core]\n").unwrap();
    assert_eq!(place.failure().0, FailureCode::NotARepository);
    fs::remove_dir_all(place.path("net.git")).unwrap();
    fs::write(place.path("net.git"), "").unwrap();
    let (code, text) = place.failure();
    assert_eq!(code, FailureCode::NotARepository);
    assert!(text.contains("is a file and no git repository"), "{text}");
    fs::remove_file(place.path("net.git")).unwrap();

    place.git(&["init", "--quiet", "--bare", "--object-format=sha256", "."]);
    let (code, text) = place.failure();
    assert_eq!(code, FailureCode::Sha256);
    assert!(text.contains("SHA-256 object ids"), "{text}");
    fs::remove_dir_all(place.path("net.git")).unwrap();

    place.git(&["init", "--quiet", "--bare", "--initial-branch=trunk", "."]);
    let (code, text) = place.failure();
    assert_eq!(code, FailureCode::NoBranch);
    assert!(text.ends_with("the repository has no branch `main`: it is empty"), "{text}");
    let commit = place.commit("a", b"a");
    place.git(&["update-ref", "refs/heads/trunk", &commit.to_string()]);
    place.git(&["update-ref", "-d", "refs/heads/main"]);
    let (code, text) = place.failure();
    assert_eq!(code, FailureCode::NoBranch);
    assert!(text.ends_with("no branch `main`; it has `trunk`"), "{text}");
    // Not one of them made a cache.
    assert!(!place.cache().exists());
    for branch in ["", "a b", "*", "a:b", "../x", "a..b", "x.lock", "a\n"] {
        let refused =
            start().fetch(&place.remote(), &Access::default(), branch, &place.cache(), &limits());
        assert_eq!(failure(refused.unwrap_err()).0, FailureCode::BadRequest, "{branch:?}");
    }
}

#[test]
fn a_repository_of_another_user_is_refused() {
    if !nix::unistd::geteuid().is_root() {
        say("skipped: only root can give a repository to another user");
        return;
    }
    let place = Place::new();
    place.commit("a", b"a");
    std::os::unix::fs::chown(place.path("net.git"), Some(65534), None).unwrap();
    let (code, text) = place.failure();
    assert_eq!(code, FailureCode::Permission);
    assert!(text.contains("belongs to another user"), "{text}");
}

#[test]
fn only_allowed_ways_lead_to_a_remote() {
    let place = Place::new();
    place.commit("a", b"a");
    let fetch = |url: &str, limits: &FetchLimits| {
        let refused =
            start().fetch(&remote_at(url), &Access::default(), "main", &place.cache(), limits);
        let (code, text) = failure(refused.unwrap_err());
        assert_eq!(code, FailureCode::SchemeRefused);
        assert!(!code.retry_helps());
        text
    };
    let file = String::from(place.remote().url);
    let text = fetch(&file, &FetchLimits::default());
    assert!(text.contains("`file://` remotes are not allowed by the node's settings"), "{text}");
    let text = fetch("ssh://robot@host/net.git", &limits());
    assert!(text.contains("`ssh://` remotes are not allowed") && !text.contains("robot"), "{text}");
    fetch("https://host/net.git", &limits());
}

#[test]
fn a_remote_that_lacks_objects_is_named_as_the_reason() {
    let place = Place::new();
    let tip = place.commit("a", b"a");
    let tree = place.git(&["rev-parse", "main^{tree}"]);
    fs::remove_file(place.path("net.git").join(format!("objects/{}/{}", &tree[..2], &tree[2..])))
        .unwrap();
    let (code, text) = place.failure();
    assert_eq!(code, FailureCode::DamagedRemote);
    assert!(text.contains(&tree), "{text}");
    let blob = place.git_with(&["hash-object", "-w", "--stdin"], b"a");
    place.git(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},a")]);
    place.git(&["write-tree"]);
    assert_eq!(place.fetch().unwrap().1, tip);
}
