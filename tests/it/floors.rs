//! The floors: a module names only modules of lower floors, the floors of pure
//! code name nothing of the world, and what is dangerous has one place.
//!
//! A name that the compiler alone can follow, such as a method of a type from
//! elsewhere, is `clippy.toml`'s.

mod names;

use std::fs;
use std::path::{Path, PathBuf};

/// The modules at the top, from the ground up. Modules of one floor do not see
/// each other.
const FLOORS: &[&[&str]] = &[
    &["value"],
    &["facts", "network"],
    &["declare"],
    &["validate"],
    &["render"],
    &["plan"],
    &["host"],
    &["sync"],
    &["apply", "reconcile"],
    &["agent"],
    &["serve"],
    &["cli"],
];

/// The floors below this one are pure: no file, process, socket, clock, `tokio`.
const FIRST_WITH_A_WORLD: usize = 6;

/// What is decided from a network that makes sense never looks back at the text.
const CLOSED: &[(&str, &[&str])] =
    &[("render", &["declare", "validate"]), ("plan", &["declare", "validate"])];

/// What pure floors do not name.
const WORLD: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io::stderr",
    "std::io::stdin",
    "std::io::stdout",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "axum",
    "git2",
    "hyper",
    "netlink_sys",
    "nix",
    "reqwest",
    "tempfile",
    "tokio",
    "tokio_openssl",
    "tracing_subscriber",
];

/// Methods of paths and addresses that look at the machine.
const WORLDLY_METHODS: &[&str] = &[
    "canonicalize",
    "canonicalize_utf8",
    "exists",
    "is_dir",
    "is_file",
    "is_symlink",
    "metadata",
    "read_dir",
    "read_dir_utf8",
    "read_link",
    "read_link_utf8",
    "symlink_metadata",
    "to_socket_addrs",
    "try_exists",
];

/// What pure floors do not name, whichever way the type came.
const CLOCKS: &[[&str; 2]] =
    &[["Instant", "now"], ["SystemTime", "now"], ["Timestamp", "now"], ["Zoned", "now"]];

/// Names with one place each: the modules that may use them. Files and
/// programs of a node are reached through `host::Host`, so that a test can let any
/// call fail; git's own library reads what strangers wrote, so only the process
/// that may be killed links to it (and the demo, which plays the committer). Servers are
/// asked by one client, which has bounds.
const PLACES: &[(&[&str], &[&str])] = &[
    (&["hyper::client", "tokio_openssl"], &["reconcile::http"]),
    (&["git2", "libgit2_sys"], &["sync::transport", "cli::demo"]),
    (&["netlink_sys"], &["host::netlink"]),
    (
        &["std::fs", "std::process::Command", "tokio::fs", "tokio::process"],
        &["host", "sync::cache", "sync::transport", "sync::worker", "cli"],
    ),
];

/// The most lines of a file before its unit tests.
const LONGEST: usize = 450;

#[test]
fn every_import_goes_down() {
    let mut wrong = Vec::new();
    let mut sources = Vec::new();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    collect(&directory, &directory, &mut sources);
    sources.sort();
    for file in &sources {
        wrong.extend(check(file, &fs::read_to_string(directory.join(file)).unwrap()));
    }
    // The first floor must be among what was read, or nothing was.
    assert!(sources.iter().any(|file| floor_of(file) == Some(0)), "no source was found");
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// All that is wrong with a file, whose path is the one below `src/`.
fn check(file: &str, text: &str) -> Vec<String> {
    let parts: Vec<&str> = file.strip_suffix(".rs").unwrap_or(file).split('/').collect();
    let module = match parts.as_slice() {
        ["lib" | "main"] => &[],
        [directories @ .., "mod"] => directories,
        all => all,
    };
    let names = match names::read(module, text) {
        Ok(names) => names,
        Err(error) => return vec![format!("src/{file}: cannot be read: {error}")],
    };
    let mut wrong = Vec::new();
    let mut at = |line: usize, what: String| wrong.push(format!("src/{file}:{line}: {what}"));

    let length = text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count();
    if length > LONGEST {
        at(LONGEST + 1, format!("{length} lines before the tests, more than {LONGEST}"));
    }
    for line in names.blinding {
        at(line, "`extern crate` and `#[path]` hide what a file names".to_owned());
    }
    match (file, module) {
        ("lib.rs", _) => {
            for module in names.modules.iter().filter(|module| floor(module).is_none()) {
                at(1, format!("`{module}` is on no floor: add it to `FLOORS`"));
            }
            for line in names.imports {
                at(
                    line,
                    "the library's root holds modules only: an import would go around the floors"
                        .to_owned(),
                );
            }
        }
        ("main.rs", _) => {}
        (_, [own, ..]) if floor(own).is_some() => {
            for named in &names.named {
                if let Some(what) = forbidden(module, &named.path) {
                    at(named.line, what);
                }
            }
            for (line, method) in names.methods.iter().filter(|_| is_pure(own)) {
                if WORLDLY_METHODS.contains(&method.as_str()) {
                    at(*line, format!("`{own}` is pure and must not call `.{method}()`"));
                }
            }
        }
        _ => at(1, "this file is on no floor: add its module to `FLOORS`".to_owned()),
    }
    wrong.sort();
    wrong.dedup();
    wrong
}

/// Why a module may not name a path.
fn forbidden(module: &[&str], path: &[String]) -> Option<String> {
    let own = *module.first()?;
    let text = path.join("::");
    if let [first, rest @ ..] = path
        && first == "crate"
    {
        return forbidden_module(own, rest.first().map_or("*", String::as_str));
    }
    for (names, places) in PLACES {
        let is_placed = places.iter().any(|place| {
            let place: Vec<&str> = place.split("::").collect();
            module.starts_with(&place)
        });
        if !is_placed && names.iter().any(|name| covers(name, path)) {
            return Some(format!("`{text}` belongs into {} alone", places.join(", ")));
        }
    }
    let is_clock = path.last_chunk().is_some_and(|[of, method]| {
        CLOCKS.iter().any(|clock| clock[0] == of.as_str() && clock[1] == method.as_str())
    });
    if is_pure(own) && (is_clock || WORLD.iter().any(|name| covers(name, path))) {
        return Some(format!("`{own}` is pure and must not name `{text}`"));
    }
    None
}

fn forbidden_module(own: &str, other: &str) -> Option<String> {
    if own == other {
        return None;
    }
    if CLOSED.iter().any(|(module, closed)| *module == own && closed.contains(&other)) {
        return Some(format!("`{own}` must not name `{other}`: it is closed to it"));
    }
    match (floor(own), floor(other)) {
        (Some(here), Some(there)) if there < here => None,
        (Some(here), Some(there)) if there == here => {
            Some(format!("`{own}` must not name `{other}`: they share a floor"))
        }
        (Some(_), Some(_)) => {
            Some(format!("`{own}` must not name `{other}`: imports go down only"))
        }
        _ => Some(format!("`{own}` must not name `crate::{other}`: it is on no floor")),
    }
}

/// Whether a path is `name` or lies below it, or brings it in by a glob.
fn covers(name: &str, path: &[String]) -> bool {
    let mut parts = name.split("::");
    for part in path {
        match parts.next() {
            Some(_) if part == "*" => return true,
            Some(wanted) if wanted != part => return false,
            Some(_) => {}
            None => return true,
        }
    }
    parts.next().is_none()
}

fn is_pure(module: &str) -> bool {
    floor(module).is_some_and(|floor| floor < FIRST_WITH_A_WORLD)
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn floor_of(file: &str) -> Option<usize> {
    floor(file.split(['/', '.']).next()?)
}

/// The paths of all source files below `directory`, relative to `root`.
fn collect(root: &Path, directory: &Path, found: &mut Vec<String>) {
    let entries = fs::read_dir(directory).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
}

/// Snippets that break one rule each, and what is said about them.
const BROKEN: &[(&str, &str, &str)] = &[
    // Imports go down only, however they are written.
    ("plan/mod.rs", "use crate::host::Host;", "src/plan/mod.rs:1: `plan` must not name `host`"),
    (
        "plan/mod.rs",
        "\n\nuse crate::{value::At, host::{Host, HostError}};",
        ":3: `plan` must not name `host`",
    ),
    (
        "plan/mod.rs",
        "use crate::{\n    value::{At, Place},\n    agent,\n};",
        "must not name `agent`",
    ),
    ("plan/mod.rs", "use {crate::value::At, crate::host::Host};", "must not name `host`"),
    ("plan/mod.rs", "use super::host::Host;", "must not name `host`"),
    ("plan/step.rs", "use super::super::host::Host;", "must not name `host`"),
    ("plan/step.rs", "use super::{step, super::host};", "must not name `host`"),
    ("plan/step.rs", "mod deep { use super::super::super::host::Host; }", "must not name `host`"),
    ("plan/mod.rs", "use self::super::host::Host;", "must not name `host`"),
    ("plan/mod.rs", "use crate as weft; fn f() { weft::host::run(); }", "must not name `crate::*`"),
    ("plan/mod.rs", "use crate::*;", "must not name `crate::*`"),
    ("plan/mod.rs", "use super::*;", "must not name `crate::*`"),
    ("plan/mod.rs", "pub(crate) use crate::host::Host;", "must not name `host`"),
    ("plan/mod.rs", "fn f() { use crate::host::Host; }", "must not name `host`"),
    // Paths in expressions, types, macros and attributes.
    ("plan/mod.rs", "fn f() { crate::host::run(); }", "must not name `host`"),
    ("plan/mod.rs", "fn f(x: &dyn crate::host::Host) {}", "must not name `host`"),
    ("plan/mod.rs", "fn f(x: Vec<crate::host::Ran>) {}", "must not name `host`"),
    ("plan/mod.rs", "const X: u8 = crate::value::X as crate::host::Small;", "must not name `host`"),
    ("plan/mod.rs", "fn f() { g!(a => [crate::host::run()]); }", "must not name `host`"),
    ("plan/mod.rs", "macro_rules! m { () => { $crate::host::run() } }", "must not name `host`"),
    (
        "plan/mod.rs",
        "struct A { #[serde(with = \"crate::host::text\")] b: u8 }",
        "must not name `host`",
    ),
    ("plan/mod.rs", "#[derive(crate::host::Derive)] struct A;", "must not name `host`"),
    // One floor, floors that are closed, and what is on none.
    ("facts/mod.rs", "use crate::network::Network;", "they share a floor"),
    ("apply/mod.rs", "use crate::reconcile::Ipam;", "they share a floor"),
    ("render/mod.rs", "use crate::declare::Finding;", "it is closed to it"),
    ("plan/mod.rs", "use crate::validate::validate;", "it is closed to it"),
    ("cli/mod.rs", "use crate::helpers::text;", "`crate::helpers`: it is on no floor"),
    ("helpers.rs", "", "src/helpers.rs:1: this file is on no floor"),
    ("bin/other.rs", "", "this file is on no floor"),
    ("lib.rs", "pub mod value;\npub mod helpers;", "`helpers` is on no floor"),
    ("lib.rs", "mod hidden { }", "`hidden` is on no floor"),
    (
        "lib.rs",
        "pub mod host;\npub use host::Host;",
        "src/lib.rs:2: the library's root holds modules only",
    ),
    // Pure floors do not know the world.
    ("value/mod.rs", "use std::fs::File;", "belongs into host, sync::cache"),
    (
        "value/mod.rs",
        "fn f() { std::process::exit(1); }",
        "`value` is pure and must not name `std::process::exit`",
    ),
    ("network/mod.rs", "fn f() { std::env::var(\"HOME\"); }", "is pure"),
    ("network/mod.rs", "use std::net::{IpAddr, TcpStream};", "must not name `std::net::TcpStream`"),
    ("network/mod.rs", "use std::net::UdpSocket as Other;", "is pure"),
    ("network/mod.rs", "use std::net::*;", "is pure"),
    ("declare/mod.rs", "use tokio::sync::mpsc;", "is pure"),
    ("declare/mod.rs", "use tokio;", "is pure"),
    ("declare/mod.rs", "use ::tokio::sync::mpsc;", "is pure"),
    ("validate/mod.rs", "fn f() { reqwest::get(\"\"); }", "is pure"),
    ("render/mod.rs", "use std::time::SystemTime;", "is pure"),
    (
        "render/mod.rs",
        "use jiff::Timestamp; fn f() { Timestamp::now(); }",
        "must not name `Timestamp::now`",
    ),
    ("render/mod.rs", "fn f() { g.unwrap_or_else(jiff::Timestamp::now) }", "is pure"),
    (
        "plan/mod.rs",
        "use std::time; fn f() { time::Instant::now(); }",
        "must not name `time::Instant::now`",
    ),
    ("plan/mod.rs", "use std as s; fn f() { s::env::vars(); }", "must not name `std::env::vars`"),
    (
        "plan/mod.rs",
        "use std::{self as s}; fn f() { s::env::vars(); }",
        "must not name `std::env::vars`",
    ),
    ("plan/mod.rs", "fn f(x: &Utf8Path) { x.join(\"y\").exists(); }", "must not call `.exists()`"),
    // What has one place.
    (
        "sync/trust.rs",
        "use git2::Repository;",
        "`git2::Repository` belongs into sync::transport, cli::demo alone",
    ),
    ("sync/transport_more.rs", "use git2::Repository;", "belongs into"),
    ("agent/mod.rs", "fn f() { std::fs::read(\"x\"); }", "belongs into"),
    ("agent/mod.rs", "use std::process::{Command, Stdio};", "belongs into"),
    ("agent/mod.rs", "use std::{fs as disk}; fn f() { disk::read(\"x\"); }", "belongs into"),
    // What would blind the test.
    ("host/mod.rs", "extern crate self as weft;", "hide what a file names"),
    ("host/mod.rs", "#[path = \"../cli/x.rs\"] mod x;", "hide what a file names"),
    ("host/mod.rs", "#[cfg_attr(unix, path = \"x.rs\")] mod x;", "hide what a file names"),
    // Test code is left out, and nothing else with it.
    (
        "plan/mod.rs",
        "#[cfg(test)] use crate::value::{At};\nuse crate::host::Host;",
        ":2: `plan` must not",
    ),
    ("plan/mod.rs", "#[cfg(test)] mod tests { }\nuse crate::host::Host;", ":2: `plan` must not"),
    ("plan/mod.rs", "struct A { #[cfg(test)] b: u8, c: crate::host::Ran }", "must not name `host`"),
    ("plan/mod.rs", "#[cfg(not(test))] use crate::host::Host;", "must not name `host`"),
    ("plan/mod.rs", "fn f( {", "cannot be read"),
];

/// Snippets with which nothing is wrong.
const WHOLE: &[(&str, &str)] = &[
    ("plan/mod.rs", "use crate::{value::{At, Place}, render::Rendering, facts};"),
    (
        "plan/mod.rs",
        "// use crate::host::Host;\n/// [`crate::host::Host`]\nfn f() { g(\"crate::host\"); }",
    ),
    ("plan/mod.rs", "#[cfg(test)]\nmod tests { use crate::host::Host; use std::fs; }"),
    ("plan/mod.rs", "#[cfg(test)] #[allow(unused)] use crate::host::{Host};"),
    ("plan/tests.rs", "#![cfg(test)]\nuse crate::host::Host;"),
    (
        "plan/step.rs",
        "use super::{Plan, self}; use self::inner::Step; mod inner { use super::super::Plan; }",
    ),
    ("plan/mod.rs", "use jiff::Timestamp; fn f(now: Timestamp) { let tokio = now.now(); }"),
    ("plan/mod.rs", "impl A { pub(in crate::plan) fn f() -> impl use<> B { X::<u8>::new() } }"),
    ("validate/mod.rs", "use crate::declare::node; use std::net::IpAddr;"),
    ("sync/transport.rs", "use git2::Repository; use std::fs;"),
    ("sync/transport/fetch.rs", "use git2::Repository;"),
    ("cli/demo.rs", "use git2::Repository;"),
    ("cli/demo/repository.rs", "use git2::Repository; use std::process::Command;"),
    ("host/linux.rs", "fn f(x: &Path) { x.exists(); std::env::var(\"X\"); }"),
    ("sync/verified.rs", "fn f() { let fs = 1; fs }"),
    ("lib.rs", "//! weft\npub mod value;\n#[macro_use]\npub mod declare;"),
    ("main.rs", "fn main() -> std::process::ExitCode { weft::cli::main() }"),
];

#[test]
fn the_check_sees_each_way_to_break_a_rule() {
    for (file, text, expected) in BROKEN {
        let wrong = check(file, text);
        assert!(wrong.iter().any(|line| line.contains(expected)), "{file}: {text}\n{wrong:#?}");
    }
    for (file, text) in WHOLE {
        assert_eq!(check(file, text), Vec::<String>::new(), "{file}: {text}");
    }
}

#[test]
fn long_files_are_seen() {
    let lines = "fn f() {}\n".repeat(LONGEST);
    assert_eq!(check("plan/mod.rs", &lines), Vec::<String>::new());
    assert_eq!(
        check("plan/mod.rs", &format!("{lines}#[cfg(test)]\nmod tests {{}}\n")),
        Vec::<String>::new()
    );
    let wrong = check("plan/mod.rs", &format!("{lines}fn f() {{}}\n"));
    assert_eq!(wrong, ["src/plan/mod.rs:451: 451 lines before the tests, more than 450"]);
}
