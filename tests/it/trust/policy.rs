//! The patterns of policies, and that an earlier form means what it meant.

use weft::declare::policy::{self, IdPattern, Mainline, Numbers, PathPattern, Policy, Targets};
use weft::declare::{Findings, signers};

use super::forge::{line, lines};

fn read(text: &str) -> Policy {
    let mut findings = Findings::default();
    let lines = lines(&["root", "ann", "bob", "eve"]);
    let signers = signers::read(&signers::FILE.parse().expect("a path"), &lines, &mut findings);
    let policy =
        policy::read(&policy::FILE.parse().expect("a path"), text, &signers, &mut findings);
    assert!(findings.is_empty(), "{findings:?}");
    policy.expect("a policy")
}

#[test]
fn patterns_of_paths() {
    for (pattern, yes, no) in [
        ("sdn/a.yaml", &["sdn/a.yaml"][..], &["sdn/A.yaml", "sdn/a.yaml/x", "x/sdn/a.yaml"][..]),
        ("sdn/*.yaml", &["sdn/a.yaml", "sdn/.yaml"], &["sdn/x/a.yaml", "sdn/a.yml"]),
        // What is inside, and never the directory itself: a file in its place is another's.
        ("sdn/a/**", &["sdn/a/b", "sdn/a/b/c.yaml"], &["sdn/a", "sdn/ab/c", "sdn/b/a/c"]),
        ("sdn/**/a.yaml", &["sdn/a.yaml", "sdn/x/a.yaml", "sdn/x/y/a.yaml"], &["a.yaml", "sdn/a"]),
        ("**", &["a", "sdn/b/c"], &[]),
        ("**/x/**", &["x/a", "b/x/a", "b/x/x/x"], &["x", "b/x"]),
        ("a*c/*", &["ac/x", "abbc/x"], &["a/c/x", "ac"]),
    ] {
        let pattern: PathPattern = pattern.parse().expect("a pattern");
        for path in yes {
            assert!(pattern.matches(path), "{pattern} {path}");
        }
        for path in no {
            assert!(!pattern.matches(path), "{pattern} {path}");
        }
    }
    for bad in ["", "/a", "a/", "a//b", "../a", "a/./b", "a**", "**a", "a?", "[a]", "{a,b}", "!a"] {
        assert!(bad.parse::<PathPattern>().is_err(), "{bad}");
    }
    // A pattern that a careless matcher would need years for.
    let hard: PathPattern = "**/a/".repeat(40).trim_end_matches('/').parse().expect("a pattern");
    assert!(!hard.matches(&"a/".repeat(2_000).replace("a/", "b/")));
}

#[test]
fn patterns_of_ids_and_numbers() {
    let id = |pattern: &str, id: &str| pattern.parse::<IdPattern>().expect("a pattern").matches(id);
    assert!(id("a*", "a1") && id("a*", "a") && id("*", "x") && !id("a*", "ba") && !id("a", "aa"));
    assert!("a b".parse::<IdPattern>().is_err() && "".parse::<IdPattern>().is_err());
    let numbers = |text: &str| text.parse::<Numbers>();
    let hundreds = numbers("100-199").expect("a range");
    assert!(hundreds.contains(100) && hundreds.contains(199));
    assert!(!hundreds.contains(99) && !hundreds.contains(200));
    assert!(numbers("7").expect("a number").contains(7));
    for bad in ["", "-", "5-", "-5", "9-5", "a", "1-2-3", "99999999999"] {
        assert!(numbers(bad).is_err(), "{bad}");
    }
    let targets: Targets = "65000:100-199".parse().expect("targets");
    let contains = |text: &str| targets.contains(text.parse().expect("a target"));
    // Two ways to write a number are one number.
    assert!(contains("65000:150") && contains("065000:0150"));
    assert!(!contains("65001:150") && !contains("65000:99") && !contains("150:65000"));
    for bad in ["65000", "65000:", ":1", "1-2:3", "a:b"] {
        assert!(bad.parse::<Targets>().is_err(), "{bad}");
    }
}

#[test]
fn roles_reach_what_they_name_and_nothing_reserved() {
    let policy = read(
        "roles:
  root: {principals: [root]}
  operator: {principals: [bob]}
  tenant-a: {principals: [ann], paths: ['sdn/tenants/a/**', '**', '.weft/**', weft.yaml]}
  auditor: {principals: [eve], paths: ['docs/*']}
",
    );
    let may = |who: &str, path: &str| policy.may(&who.parse().expect("a name"), path);
    // Whatever patterns say, `.weft` and `weft.yaml` are root's, in any case and anywhere.
    for path in [".weft/void", ".WEFT/x", "weft.yaml", "lab/Weft.yaml", "sdn/tenants/a/.weft/x"] {
        assert!(may("root", path) && !may("ann", path) && !may("bob", path), "{path}");
    }
    assert!(may("ann", "sdn/tenants/a/x.yaml") && may("bob", "sdn/tenants/a/x.yaml"));
    assert!(may("eve", "docs/x") && !may("eve", "docs/x/y") && !may("eve", "sdn/a.yaml"));
    assert!(!may("nobody", "docs/x"));
    assert_eq!(policy.mainline(), Mainline::Any);
    assert!(!policy.removal().everything);
}

#[test]
fn the_form_without_limits_means_what_it_meant() {
    let policy = read("roles: {root: {principals: [root]}, operator: {principals: [bob]}}");
    let root = "root".parse().expect("a name");
    let bob = "bob".parse().expect("a name");
    assert!(policy.roles_at(&bob, "sdn/x.yaml").all(policy::Role::is_plain));
    assert!(policy.roles_at(&root, ".weft/void").any(policy::Role::is_plain));
    assert!(policy.may(&bob, "anything") && !policy.may(&bob, ".weft/void"));
}

#[test]
fn people_are_counted_by_their_keys() {
    let mut findings = Findings::default();
    let file = signers::FILE.parse().expect("a path");
    let count = |text: &str, names: &[&str]| {
        let signers = signers::read(&file, text, &mut Findings::default());
        let names: Vec<_> = names.iter().map(|name| name.parse().expect("a name")).collect();
        signers.people().count(&names)
    };
    let two = lines(&["ann", "bob"]);
    assert_eq!(count(&two, &["ann", "bob"]), 2);
    assert_eq!(count(&two, &["ann", "ann"]), 1);
    assert_eq!(count(&two, &["ann", "nobody"]), 1);
    // Two keys of one name, two names of one key, and both in a chain.
    let keys = line("ann", "", "ann") + &line("ann", "", "ann/2");
    assert_eq!(count(&keys, &["ann"]), 1);
    assert_eq!(count(&line("ann,admin", "", "ann"), &["ann", "admin"]), 1);
    let apart = line("ann", "", "ann") + &line("admin", "namespaces=\"file\"", "ann");
    assert_eq!(count(&apart, &["ann", "admin"]), 1);
    let chain = lines(&["ann", "eve"]) + &line("ann", "", "x") + &line("eve", "", "x");
    assert_eq!(count(&chain, &["ann", "eve"]), 1);
    assert_eq!(count(&(chain + &lines(&["bob"])), &["ann", "eve", "bob"]), 2);
    signers::read(&file, &keys, &mut findings);
    assert!(findings.is_empty(), "{findings:?}");
}
