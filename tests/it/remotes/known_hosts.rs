//! Our reader of `known_hosts` against ssh-keygen's own.

use std::fmt::Write as _;
use std::fs;

use weft::sync::known_hosts::KnownHosts;

use crate::trust::repository::{make_key, output, program};

#[test]
fn finds_the_lines_that_ssh_keygen_finds() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    let keys: Vec<String> = [
        ("a", vec!["ed25519"]),
        ("b", vec!["ecdsa", "-b", "256"]),
        ("c", vec!["rsa", "-b", "2048"]),
        ("d", vec!["ecdsa", "-b", "521"]),
    ]
    .into_iter()
    .map(|(name, kind)| make_key(home, name, &kind))
    .collect();
    let plain = [
        "git.example.org",
        "git.example.org,192.0.2.1",
        "GIT.Example.ORG",
        "*.example.org",
        "*.example.org,!git.example.org",
        "!git.example.org,*",
        "g?t.example.org",
        "[git.example.org]:2222",
        "[*.example.org]:2222",
        "[git.example.org]:*",
        "2001:db8::1",
        "[2001:db8::1]:2222",
        "192.0.2.*",
        "*",
        "example.org",
        "@revoked git.example.org",
    ];
    let mut text = "# a comment\n\n".to_owned();
    for (index, hosts) in plain.iter().enumerate() {
        let space = if index % 3 == 0 { "\t" } else { "  " };
        writeln!(text, "{hosts} {}{space}# {index}", keys[index % keys.len()]).unwrap();
    }
    // The same names, hashed by ssh-keygen.
    let hashed = plain[..3].iter().chain(&plain[7..8]).chain(&plain[10..12]);
    let hashed: Vec<String> = hashed.map(|hosts| format!("{hosts} {}\n", keys[0])).collect();
    fs::write(home.join("hashed"), hashed.concat()).unwrap();
    output(program("ssh-keygen", home).args(["-H", "-f", "hashed"]));
    text += &fs::read_to_string(home.join("hashed")).unwrap();
    fs::write(home.join("known_hosts"), &text).unwrap();
    let ours = KnownHosts::read(&text).unwrap();
    let mut found = 0;
    for host in [
        "git.example.org",
        "GIT.EXAMPLE.ORG",
        "www.example.org",
        "example.org",
        "192.0.2.1",
        "2001:db8::1",
        "other",
    ] {
        for port in [22, 2222, 2223] {
            // ssh asks in lower case, and ssh-keygen as it was told.
            let name = host.to_ascii_lowercase();
            let name = if port == 22 { name } else { format!("[{name}]:{port}") };
            let said = program("ssh-keygen", home)
                .args(["-F", &name, "-f", "known_hosts"])
                .output()
                .unwrap();
            let said = String::from_utf8(said.stdout).unwrap();
            let theirs: Vec<usize> = said
                .lines()
                .filter_map(|line| {
                    line.split_once(" found: line ")?.1.split(' ').next()?.parse().ok()
                })
                .collect();
            assert_eq!(ours.line_numbers(host, port), theirs, "{name}\n{text}");
            found += theirs.len();
        }
    }
    assert!(found > 60, "{found}");
}
