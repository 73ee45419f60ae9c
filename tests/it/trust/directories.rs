//! Raw directories, and the declarations of an accepted commit.

use std::os::unix::ffi::OsStrExt;

use weft::declare::Tree;
use weft::sync::objects::Kind;
use weft::sync::tree::{Directories, parse};
use weft::sync::{HistoryError, Store, TreeError, Verified, tree};
use weft::value::{ObjectId, RepoPath};

use super::objects::{Memory, directory, id};
use super::repository::{Repository, ZONES, accepted, decide, judge_in, refused};

fn read(repository: &Repository, base: Option<&str>) -> Result<Verified<Tree>, TreeError> {
    read_from(repository, &repository.objects(), base)
}

fn read_from(
    repository: &Repository,
    objects: &Memory,
    base: Option<&str>,
) -> Result<Verified<Tree>, TreeError> {
    let tip = repository.head();
    let judgement = judge_in(objects, tip, &repository.trust(), None, repository.now());
    assert_eq!(accepted(&judgement), Some(tip), "{:?}", refused(&judgement));
    let base: Option<RepoPath> = base.map(|base| base.parse().expect("a path"));
    tree(Store::new(objects), &judgement.accepted.expect("good"), base.as_ref())
}

fn error(repository: &Repository) -> String {
    let error = read(repository, None).expect_err("it cannot be read");
    assert!(!error.help().is_empty());
    error.to_string()
}

#[test]
fn only_declarations_are_read() {
    let repository = Repository::new();
    repository.commit(
        "alice",
        &[
            ("sdn/deep/er/vnets.yaml", b"vnets: {}\n"),
            ("sdn/readme.md", b"\xff not read"),
            ("sdnx/no.yaml", b"\xff"),
            ("lab/weft.yaml", b"weft: 1\n"),
            ("lab/sdn/a.yaml", b"zones: {}\n"),
            ("other.yaml", b"\xff"),
        ],
    );
    // Elsewhere anything may lie.
    std::os::unix::fs::symlink("/etc/passwd", repository.home().join("work/link")).expect("made");
    repository.git(&["add", "-A"]);
    repository.commit_index("alice");
    let objects = repository.objects();
    let verified = read_from(&repository, &objects, None).expect("readable");
    assert_eq!(verified.record().commit, repository.head());
    let tree = verified.get();
    let paths: Vec<&str> = tree.declarations().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["sdn/deep/er/vnets.yaml", "sdn/zones.yaml"]);
    let text = |path: &str| tree.get(&path.parse().expect("a path")).map(ToString::to_string);
    assert_eq!(text("sdn/zones.yaml").as_deref(), Some(ZONES));
    assert!(text("weft.yaml").is_some_and(|text| text.contains("cluster: lab")));
    for unread in ["sdn/readme.md", "other.yaml", "link", "sdnx/no.yaml"] {
        let id: ObjectId =
            repository.git(&["rev-parse", &format!("HEAD:{unread}")]).parse().expect("an id");
        assert!(!objects.reads.borrow().contains_key(&id), "{unread} was read");
    }
    let lab = read(&repository, Some("lab")).expect("readable");
    let paths: Vec<&str> = lab.get().declarations().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["lab/sdn/a.yaml"]);
    // What is missing is for the reader of declarations to say.
    let none = read(&repository, Some("no/where")).expect("readable");
    assert_eq!(none.get().declarations().count(), 0);
    let file = read(&repository, Some("sdn/zones.yaml")).expect_err("a file").to_string();
    assert_eq!(file, "`sdn/zones.yaml` is a regular file, where a directory belongs");
}

#[test]
fn links_and_submodules() {
    let cases = [
        (
            "120000",
            "sdn/link.yaml",
            "`sdn/link.yaml` is a symbolic link, where a regular file belongs",
        ),
        (
            "120000",
            "sdn/deep/link",
            "`sdn/deep/link` is a symbolic link, where a regular file belongs",
        ),
        ("160000", "sdn/module", "`sdn/module` is a submodule, where a regular file belongs"),
        ("120000", "weft.yaml", "`weft.yaml` is a symbolic link, where a regular file belongs"),
    ];
    let repository = Repository::new();
    for (mode, path, message) in cases {
        repository.branch("try", repository.introduction);
        let blob = repository.git(&["rev-parse", "HEAD:weft.yaml"]);
        let entry = format!("{mode},{blob},{path}");
        repository.git(&["update-index", "--add", "--cacheinfo", &entry]);
        repository.commit_index("alice");
        assert_eq!(error(&repository), message);
        repository.git(&["reset", "-q", "--hard"]);
    }
    repository.branch("try", repository.introduction);
    repository.commit("alice", &[("sdn", b"-"), ("sdn", b"a file")]);
    assert_eq!(error(&repository), "`sdn` is a regular file, where a directory belongs");
}

#[test]
fn names_and_contents() {
    let repository = Repository::new();
    let check = |path: &[u8], contents: &[u8], message: &str| {
        repository.branch("try", repository.introduction);
        repository.git(&["clean", "-fdq"]);
        let file = repository.home().join("work").join(std::ffi::OsStr::from_bytes(path));
        std::fs::write(file, contents).expect("written");
        repository.git(&["add", "-A"]);
        repository.commit_index("alice");
        let error = error(&repository);
        assert!(error.contains(message), "{error}");
    };
    check(b"sdn/bad.yaml", b"a: \xff", "`sdn/bad.yaml` is not UTF-8 text");
    check(b"weft.yaml", b"\xff", "`weft.yaml` is not UTF-8 text");
    check(b"sdn/\xff.yaml", b"", "`sdn/\\xff.yaml` is not a name");
    check(b"sdn/a\x1b[1m.yaml", b"", "`sdn/a\\u{1b}[1m.yaml` is not a name");
    check(b"sdn/a\\b.yaml", b"", "is not a name");
    check(b"sdn/Zones.yaml", b"", "differ in case only");
    check(b"Weft.yaml", b"", "differ in case only");
    check(b"sdn/big.yaml", &vec![b'#'; (1 << 20) + 1], "`sdn/big.yaml` has 1048577 bytes");
}

/// Ignores the bound.
struct Flood;
impl weft::sync::objects::Objects for Flood {
    fn read(
        &self,
        _: ObjectId,
        limit: u64,
    ) -> Result<weft::sync::objects::Raw, weft::sync::objects::ObjectError> {
        let bytes = vec![0; usize::try_from(limit).expect("small") + 1];
        Ok(weft::sync::objects::Raw { kind: Kind::Blob, bytes })
    }
}

#[test]
fn a_file_that_claims_a_gigabyte() {
    let repository = Repository::new();
    repository.change("bob");
    let mut objects = repository.objects();
    let zones = repository.git(&["rev-parse", "HEAD:sdn/zones.yaml"]).parse().expect("an id");
    objects.huge.insert(zones, 1 << 30);
    let error = read_from(&repository, &objects, None).expect_err("too large").to_string();
    assert_eq!(error, "`sdn/zones.yaml` has 1073741824 bytes, more than the 1048576 of a file");
    // A source that ignores the bound gains nothing.
    let error = Store::new(&Flood).read(zones, Kind::Blob, 100).expect_err("too large");
    assert!(error.to_string().contains("more than the 100"), "{error}");
}

#[test]
fn more_files_than_a_node_reads() {
    let repository = Repository::new();
    let work = repository.home().join("work/sdn/many");
    std::fs::create_dir_all(&work).expect("made");
    for number in 0..10_000 {
        std::fs::write(work.join(format!("{number}.yaml")), "").expect("written");
    }
    repository.git(&["add", "-A"]);
    repository.commit_index("alice");
    assert!(error(&repository).contains("more than 10000"));
}

#[test]
fn forms_of_a_directory() {
    let blob = id(Kind::Blob, b"x");
    let good = directory(&[
        ("100644", b"a", blob),
        ("100755", b"a.b", blob),
        ("40000", b"a0", blob),
        ("120000", b"b\xff", blob),
        ("160000", b"c", blob),
    ]);
    assert_eq!(parse(&good).expect("good").len(), 5);
    assert_eq!(parse(b"").expect("good").len(), 0);
    let empty: ObjectId = "4b825dc642cb6eb9a060e54bf8d69288fbee4904".parse().expect("an id");
    for bad in [
        directory(&[("100644", b"b", blob), ("100644", b"a", blob)]),
        directory(&[("100644", b"a", blob), ("100644", b"a", blob)]),
        directory(&[("40000", b"a", blob), ("100644", b"a.b", blob)]),
        directory(&[("100644", b"a", blob), ("100644", b"a.b", blob), ("40000", b"a", blob)]),
        directory(&[("100664", b"a", blob)]),
        directory(&[("040000", b"a", blob)]),
        directory(&[("100644", b"", blob)]),
        directory(&[("100644", b"a/b", blob)]),
        directory(&[("100644", b".", blob)]),
        directory(&[("40000", b"..", blob)]),
        directory(&[("40000", b".git", blob)]),
        directory(&[("40000", b".GiT", blob)]),
        directory(&[("40000", b"a", empty)]),
        good[..good.len() - 1].to_vec(),
        [good.as_slice(), b"100644 x"].concat(),
        b"100644".to_vec(),
    ] {
        assert!(parse(&bad).is_err(), "{}", bad.escape_ascii());
    }
}

#[test]
fn a_difference_is_what_git_says_it_is() {
    let repository = Repository::new();
    let before =
        repository.commit("alice", &[("a/b/c", b"1"), ("a/b.c", b"1"), ("d", b"1"), ("e", b"1")]);
    repository.git(&["update-index", "--chmod=+x", "e"]);
    let after = repository.commit(
        "alice",
        &[
            ("a/b/c", b"2"),
            ("a/b.c", b"-"),
            ("d", b"-"),
            ("d/x/y", b"1"),
            ("sdn", b"-"),
            ("new/z", b"1"),
        ],
    );
    let wanted = repository.git(&[
        "diff-tree",
        "-r",
        "--name-only",
        "--no-renames",
        &before.to_string(),
        &after.to_string(),
    ]);
    let objects = repository.objects();
    let tree = |commit: ObjectId| -> ObjectId {
        repository.git(&["rev-parse", &format!("{commit}^{{tree}}")]).parse().expect("an id")
    };
    for (one, other) in [(before, after), (after, before)] {
        let mut found = Vec::new();
        Directories::new(Store::new(&objects))
            .difference(tree(one), tree(other), &mut |change| {
                found.push(change.path.to_owned());
                std::ops::ControlFlow::Continue(())
            })
            .expect("readable");
        found.sort();
        let mut wanted: Vec<&str> = wanted.lines().collect();
        wanted.sort_unstable();
        assert_eq!(found, wanted);
    }
    let read = objects.reads.borrow();
    let weft: ObjectId = repository.git(&["rev-parse", "HEAD:.weft"]).parse().expect("an id");
    assert!(!read.contains_key(&weft), "equal directories are not entered");
}

/// A hundred small objects that stand for 10^40 files.
#[test]
fn a_bomb_of_directories() {
    let mut objects = Memory::default();
    let mut below = objects.add(Kind::Blob, b"x");
    let mut mode = "100644";
    for _ in 0..40 {
        let names: Vec<Vec<u8>> = (0..10).map(|n| format!("{n}").into_bytes()).collect();
        let entries: Vec<(&str, &[u8], ObjectId)> =
            names.iter().map(|name| (mode, name.as_slice(), below)).collect();
        below = objects.add(Kind::Tree, &directory(&entries));
        mode = "40000";
    }
    let empty = "4b825dc642cb6eb9a060e54bf8d69288fbee4904".parse().expect("an id");
    let error = Directories::new(Store::new(&objects))
        .difference(empty, below, &mut |_| std::ops::ControlFlow::Continue(()))
        .expect_err("too much");
    assert!(error.to_string().contains("entries differ"), "{error}");
    // A directory that holds directories beyond any depth.
    let mut below = objects.add(Kind::Blob, b"x");
    let mut mode = "100644";
    for _ in 0..100 {
        below = objects.add(Kind::Tree, &directory(&[(mode, b"d", below)]));
        mode = "40000";
    }
    let error = Directories::new(Store::new(&objects))
        .difference(empty, below, &mut |_| std::ops::ControlFlow::Continue(()))
        .expect_err("too deep");
    assert!(error.to_string().contains("deeper"), "{error}");
}

/// A few small objects that differ in little and take long to compare.
#[test]
fn a_line_that_takes_too_long_to_compare() {
    let mut repository = Repository::new();
    let blob = repository.git(&["rev-parse", "HEAD:weft.yaml"]).parse().expect("an id");
    let write = |raw: &[u8]| -> ObjectId {
        let file = repository.home().join("raw");
        std::fs::write(&file, raw).expect("written");
        let file = file.to_string_lossy();
        repository.git(&["hash-object", "-t", "tree", "-w", &file]).parse().expect("an id")
    };
    let names: Vec<Vec<u8>> = (0..3000).map(|n| format!("{n:04}").into_bytes()).collect();
    let objects = repository.objects();
    let top: ObjectId = repository.git(&["rev-parse", "HEAD^{tree}"]).parse().expect("an id");
    // Directories of a thousand files, named by a directory `count` times.
    let tree = |files: usize, count: usize| {
        let files: Vec<(&str, &[u8], ObjectId)> =
            names[..files].iter().map(|name| ("100644", name.as_slice(), blob)).collect();
        let below = write(&directory(&files));
        let many: Vec<(&str, &[u8], ObjectId)> =
            names[..count].iter().map(|name| ("40000", name.as_slice(), below)).collect();
        let many = directory(&[("40000", b"!many", write(&directory(&many)))]);
        // git sorts `!` and `.` before letters.
        write(&[many.as_slice(), objects.bytes(top)].concat()).to_string()
    };
    let commit = |tree: &str, parent: &[&str]| -> ObjectId {
        repository.wait(60);
        let arguments = [&["commit-tree", tree, "-m", "many"], parent].concat();
        repository.signed("alice", &arguments).parse().expect("an id")
    };
    let begin = |count| commit(&tree(1000, count), &[]);
    let next = |files, count, on: ObjectId| commit(&tree(files, count), &["-p", &on.to_string()]);
    let (start, huge) = (begin(900), begin(3000));
    let one = next(999, 900, start);
    let two = next(1000, 900, one);
    let last = next(999, 900, two);
    let alone = next(999, 3000, huge);
    repository.introduction = start;
    // As far as it goes, and then on from there.
    let judgement = repository.judge(last);
    assert_eq!((accepted(&judgement), judgement.remaining), (Some(two), 1));
    assert_eq!(refused(&judgement), []);
    let judgement = repository.judge_from(last, Some(&repository.anchor(two)));
    assert_eq!((accepted(&judgement), judgement.remaining), (Some(last), 0));
    // One commit that is too much for anybody.
    repository.introduction = huge;
    let anchor = repository.anchor(huge);
    let (objects, trust) = (repository.objects(), repository.trust());
    let error =
        decide(&objects, alone, &trust, Some(&anchor), repository.now()).expect_err("too much");
    assert!(matches!(error, HistoryError::TooMuch), "{error}");
}

#[test]
fn a_malformed_directory_refuses_its_commit() {
    let repository = Repository::new();
    let blob = repository.git(&["rev-parse", "HEAD:weft.yaml"]);
    // git itself writes this one when told to, and warns only when it checks.
    let top = repository.git(&["rev-parse", "HEAD^{tree}"]);
    let objects = repository.objects();
    let top = objects.bytes(top.parse().expect("an id")).to_vec();
    let entry = directory(&[("100664", b"zzz", blob.parse().expect("an id"))]);
    std::fs::write(repository.home().join("raw"), [top, entry].concat()).expect("written");
    let raw = repository.home().join("raw");
    let tree =
        repository.git(&["hash-object", "-t", "tree", "-w", "--literally", &raw.to_string_lossy()]);
    repository.wait(60);
    let tip = repository.signed("alice", &["commit-tree", &tree, "-p", "HEAD", "-m", "odd"]);
    let tip: ObjectId = tip.parse().expect("an id");
    let judgement = repository.judge(tip);
    assert_eq!(accepted(&judgement), Some(repository.introduction));
    assert_eq!(refused(&judgement), [(tip, "tree-malformed")]);
}
