//! The Debian package and its units: what they hold, and what they must never do.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const UNITS: [&str; 3] = ["weft.service", "weft-boot.service", "weft-up.service"];
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Everything that the package puts on a machine, with its mode.
const FILES: &[(&str, &str)] = &[
    ("usr/bin/weft", "-rwxr-xr-x"),
    ("usr/lib/systemd/system/weft-boot.service", "-rw-r--r--"),
    ("usr/lib/systemd/system/weft-up.service", "-rw-r--r--"),
    ("usr/lib/systemd/system/weft.service", "-rw-r--r--"),
    ("usr/lib/sysusers.d/weft.conf", "-rw-r--r--"),
    ("usr/lib/tmpfiles.d/weft.conf", "-rw-r--r--"),
    ("usr/share/doc/weft/CHANGELOG.md", "-rw-r--r--"),
    ("usr/share/doc/weft/README.md", "-rw-r--r--"),
    ("usr/share/doc/weft/copyright", "-rw-r--r--"),
    ("usr/share/doc/weft/examples/agent.yaml", "-rw-r--r--"),
    ("usr/share/doc/weft/examples/small/.weft/allowed_signers", "-rw-r--r--"),
    ("usr/share/doc/weft/examples/small/.weft/policy.yaml", "-rw-r--r--"),
    ("usr/share/doc/weft/examples/small/README.md", "-rw-r--r--"),
    ("usr/share/doc/weft/examples/small/facts/node1.json", "-rw-r--r--"),
    ("usr/share/doc/weft/examples/small/facts/node2.json", "-rw-r--r--"),
    ("usr/share/doc/weft/examples/small/facts/node3.json", "-rw-r--r--"),
    ("usr/share/doc/weft/examples/small/sdn/nodes.yaml", "-rw-r--r--"),
    ("usr/share/doc/weft/examples/small/sdn/simple.yaml", "-rw-r--r--"),
    ("usr/share/doc/weft/examples/small/sdn/vxlan.yaml", "-rw-r--r--"),
    ("usr/share/doc/weft/examples/small/weft.yaml", "-rw-r--r--"),
];

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn unit(name: &str) -> String {
    fs::read_to_string(project().join("packaging/systemd").join(name)).unwrap()
}

fn script(name: &str) -> PathBuf {
    project().join("packaging/debian").join(name)
}

/// What a program said; `None` and a printed reason where it is not installed.
fn run(subject: &str, command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let program = command.get_program().to_string_lossy().into_owned();
            println!("skipped: {subject}: {program} is not installed");
            None
        }
        Err(error) => panic!("{command:?}: {error}"),
    }
}

/// The text of a run that went well.
fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn units_run_verbs_that_there_are() {
    for name in UNITS {
        let text = unit(name);
        let line = text.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/weft "));
        let verb = line.unwrap_or_else(|| panic!("{name} does not run weft"));
        let words = verb.split(' ').chain(["--help"]);
        let output = Command::new(env!("CARGO_BIN_EXE_weft")).args(words).output().unwrap();
        assert!(output.status.success(), "{name}: there is no verb `{verb}`");
    }
}

#[test]
fn an_apply_is_settled_before_anything_brings_the_network_up() {
    let text = unit("weft-boot.service");
    let before = text.lines().find_map(|line| line.strip_prefix("Before=")).unwrap();
    for later in
        ["network-pre.target", "networking.service", "frr.service", "pve-sdn-commit.service"]
    {
        assert!(before.split(' ').any(|unit| unit == later), "not before {later}: {before}");
    }
    assert!(text.contains("\nDefaultDependencies=no\n"), "it would wait for sockets and paths");
    assert!(text.contains("\nPrivateNetwork=yes\n"));
}

/// What is asked of the cluster file system is asked once it is there; a machine without it
/// has an agent all the same.
#[test]
fn the_agent_comes_after_the_cluster_file_system_and_does_not_need_it() {
    let text = unit("weft.service");
    let of = |key: &str| -> Vec<&str> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(key));
        lines.flat_map(|line| line.split(' ')).collect()
    };
    assert!(of("After=").contains(&"pve-cluster.service"), "{text}");
    for key in ["Requires=", "Requisite=", "BindsTo=", "PartOf=", "Wants=", "Upholds="] {
        assert!(!of(key).contains(&"pve-cluster.service"), "{key}");
    }
}

#[test]
fn systemd_finds_no_fault_in_the_units() {
    let directory = tempfile::tempdir().unwrap();
    let built = env!("CARGO_BIN_EXE_weft");
    let paths = UNITS.map(|name| {
        let path = directory.path().join(name);
        fs::write(&path, unit(name).replace("/usr/bin/weft", built)).unwrap();
        path
    });
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no"]).args(paths);
    let Some(output) = run("the units are verified", &mut command) else { return };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.trim().is_empty(), "{errors}");
}

#[test]
fn scripts_of_the_package_touch_no_network() {
    for name in SCRIPTS {
        let text = fs::read_to_string(script(name)).unwrap();
        assert!(text.starts_with("#!/bin/sh\n") && text.contains("\nset -e\n"), "{name}");
        said(&Command::new("sh").arg("-n").arg(script(name)).output().unwrap());
        let commands = text.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
        for line in commands.filter(|line| !line.starts_with("echo ")) {
            for word in ["ifup", "ifdown", "ifreload", "networking", "frr", "dnsmasq", "restart"] {
                assert!(!line.contains(word), "{name}: {line}");
            }
        }
    }
    // Only a purge deletes, and only what is weft's own.
    let text = fs::read_to_string(script("postrm")).unwrap();
    assert_eq!(text.matches("rm -rf").count(), 1);
    assert!(text.contains("for directory in /var/lib/weft /var/cache/weft; do"));
}

#[test]
fn the_package_holds_what_it_should_and_no_settings() {
    let subject = "the package is built";
    let directory = tempfile::tempdir().unwrap();
    let release = directory.path().join("release");
    fs::create_dir(&release).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_weft"), release.join("weft")).unwrap();
    let package = directory.path().join("weft.deb");

    let mut command = Command::new("cargo-deb");
    command.args(["deb", "--no-build", "--no-strip", "--fast", "--offline", "-o"]);
    command.arg(&package).current_dir(project()).env("CARGO_TARGET_DIR", directory.path());
    let Some(output) = run(subject, &mut command) else { return };
    said(&output);

    let mut command = Command::new("dpkg-deb");
    let Some(output) = run(subject, command.arg("--contents").arg(&package)) else { return };
    let found: BTreeMap<String, String> = said(&output)
        .lines()
        .filter(|line| line.starts_with('-'))
        .map(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let path = words.last().unwrap().trim_start_matches("./");
            (path.to_owned(), words[0].to_owned())
        })
        .collect();
    let wanted: BTreeMap<String, String> =
        FILES.iter().map(|(path, mode)| ((*path).to_owned(), (*mode).to_owned())).collect();
    assert_eq!(found, wanted);

    let control = directory.path().join("control");
    said(&Command::new("dpkg-deb").arg("--control").arg(&package).arg(&control).output().unwrap());
    for name in SCRIPTS {
        let installed = fs::read_to_string(control.join(name)).unwrap();
        assert_eq!(installed, fs::read_to_string(script(name)).unwrap(), "{name}");
    }
    let text = fs::read_to_string(control.join("control")).unwrap();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
    };
    assert!(field("Depends").contains("libc6"), "{text}");
    assert!(field("Recommends").contains("ifupdown2"), "{text}");
    assert!(field("Suggests").contains("frr"), "{text}");
    assert!(field("Version").starts_with(env!("CARGO_PKG_VERSION")), "{text}");
}
