//! `allowed_signers`, against ssh-keygen's own reading of it; and the policy.

use std::path::Path;

use base64ct::{Base64, Encoding};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ssh_key::PublicKey;
use weft::declare::policy::{self, Policy};
use weft::declare::signers::{NotASigner, Signers, read};
use weft::declare::{Findings, Severity};

use super::repository::{make_key, output, program};
use super::sshsig::{Token, line, string};

fn parse(text: &str) -> (Signers, Findings) {
    let mut findings = Findings::default();
    let file = ".weft/allowed_signers".parse().expect("a path");
    let signers = read(&file, text, &mut findings);
    (signers, findings)
}

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJABjf2rHYKMZNMiB8dKR1970o3a21I4nWh9kT/OK/mk";

/// Whether ssh-keygen takes `good.sig` as made by a principal at a time.
fn ssh_accepts(home: &Path, principal: &str, namespace: &str, at: Timestamp) -> bool {
    let at = at.to_zoned(TimeZone::UTC).strftime("%Y%m%d%H%M%SZ").to_string();
    let message = std::fs::File::open(home.join("message")).expect("a file");
    program("ssh-keygen", home)
        .args(["-Y", "verify", "-f", "signers", "-I", principal, "-n", namespace])
        .args(["-s", &format!("{namespace}.sig"), &format!("-Overify-time={at}")])
        .stdin(message)
        .output()
        .expect("ssh-keygen")
        .status
        .success()
}

#[test]
fn agrees_with_ssh_keygen() {
    let directory = tempfile::tempdir().expect("a directory");
    let home = directory.path();
    let key = make_key(home, "alice", &["ed25519"]);
    let other = make_key(home, "bob", &["ecdsa", "-b", "256"]);
    let data = PublicKey::from_openssh(&key).expect("a key").key_data().clone();
    std::fs::write(home.join("message"), "text").expect("written");
    for namespace in ["git", "file"] {
        output(
            program("ssh-keygen", home)
                .args(["-q", "-Y", "sign", "-f", "alice", "-n", namespace, "message"]),
        );
        std::fs::rename(home.join("message.sig"), home.join(format!("{namespace}.sig")))
            .expect("renamed");
    }
    let long = format!("alice@x,!{}", "x".repeat(1100));
    let principals = [
        "alice@x",
        &long,
        "bob@x,alice@x",
        "alice@x,!alice@x",
        "!bob@x,alice@x",
        "!*@x,alice@x",
        "alice@x,!al?ce@x",
        "alice@x,!al?ce",
        "*@x",
        "ali?e@x",
        "*,!bob@*",
        "Alice@x",
    ];
    let options = [
        "",
        "namespaces=\"git\" ",
        "namespaces=\"file\" ",
        "namespaces=\"file,git\" ",
        "namespaces=\"g*\" ",
        "namespaces=\"*,!git\" ",
        "valid-after=\"20260301Z\" ",
        "valid-before=\"20260301Z\" ",
        "valid-before=\"202603010000Z\",valid-after=\"20260228235959Z\" ",
        "namespaces=\"git\",valid-after=\"20260301000001Z\" ",
        "namespaces=\"gi t\" ",
        "valid-before=\"2026031Z\" ",
        "valid-before=20260301Z ",
        "valid-before=\"20260301Z\",valid-after=\"20260301Z\" ",
        "namespaces=\"git\",namespaces=\"git\" ",
        "namespaces=\"git\",,valid-after=\"20260301Z\" ",
        "no-such-option ",
    ];
    let times =
        [time("2026-02-28T23:59:59Z"), time("2026-03-01T00:00:00Z"), time("2026-03-01T00:00:01Z")];
    let (mut compared, mut stricter) = (0, 0);
    for principal in principals {
        for option in options {
            let text = format!("# comment\n\nbob@x {other}\n\t {principal}  {option} {key} note\n");
            std::fs::write(home.join("signers"), &text).expect("written");
            let (signers, findings) = parse(&text);
            // One principal in full, the others in part: what they differ in is the names.
            let full = principal == "alice@x";
            let times = if full { &times[..] } else { &times[1..2] };
            let namespaces: &[&str] = if full { &["git", "file"] } else { &["git"] };
            for &at in times {
                for namespace in namespaces {
                    let ours = !findings.has_errors()
                        && signers
                            .principals(&data, namespace, at)
                            .is_ok_and(|names| names.iter().any(|name| name.as_str() == "alice@x"));
                    let theirs = ssh_accepts(home, "alice@x", namespace, at);
                    compared += 1;
                    if ours == theirs {
                        continue;
                    }
                    // Only ever stricter, and only where patterns or errors explain it.
                    assert!(!ours, "{text} {namespace} {at}");
                    let wild = principal.contains(['*', '?']) && !principal.contains("alice@x");
                    assert!(findings.has_errors() || wild, "{text} {namespace} {at}");
                    stricter += 1;
                }
            }
        }
    }
    assert!(compared > 250 && stricter < compared / 4, "{compared} compared, {stricter} stricter");
}

#[test]
fn what_find_principals_prints_is_what_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let home = directory.path();
    let key = make_key(home, "alice", &["ecdsa", "-b", "384"]);
    std::fs::write(home.join("message"), "text").expect("written");
    output(
        program("ssh-keygen", home)
            .args(["-q", "-Y", "sign", "-f", "alice", "-n", "git", "message"]),
    );
    let text =
        format!("bob@x {KEY}\n b@y,alice@x\tnamespaces=\"git\"\t{key} a \"comment\" # here\n");
    std::fs::write(home.join("signers"), &text).expect("written");
    let found = output(program("ssh-keygen", home).args([
        "-Y",
        "find-principals",
        "-f",
        "signers",
        "-s",
        "message.sig",
    ]));
    let (signers, findings) = parse(&text);
    assert!(findings.is_empty(), "{findings:?}");
    let data = PublicKey::from_openssh(&key).expect("a key").key_data().clone();
    let names = signers.principals(&data, "git", time("2026-01-01T00:00:00Z")).expect("a signer");
    let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    assert_eq!(names.join("\n"), String::from_utf8(found).expect("text").trim());
}

#[test]
fn every_bad_line_is_a_finding_with_its_place() {
    let rsa = line(&[string("ssh-rsa"), string([1, 0, 1]), string([0, 0x81])].concat());
    let cases: &[(&str, &str, u32)] = &[
        ("alice@x", "bad-signer", 8),
        ("alice@x ssh-ed25519", "bad-signer", 20),
        ("alice@x ssh-ed25519 AAAA", "bad-signer", 21),
        ("alice@x ssh-ed25519 @@@@", "bad-signer", 21),
        (
            "alice@x ecdsa-sha2-nistp256 AAAAC3NzaC1lZDI1NTE5AAAAIJABjf2rHYKMZNMiB8dKR1970o3a21I4nWh9kT/OK/mk",
            "bad-signer",
            29,
        ),
        ("alice@x foo AAAA", "bad-signer", 9),
        ("\"alice@x\" KEY", "bad-signer", 1),
        ("alice@x,, KEY", "bad-signer", 1),
        ("alice@x,!! KEY", "bad-signer", 1),
        ("al#ce@x KEY", "bad-signer", 1),
        ("älice@x KEY", "bad-signer", 1),
        ("alice@x namespace=\"git\" KEY", "bad-signer", 9),
        ("alice@x namespaces=git KEY", "bad-signer", 9),
        ("alice@x namespaces=\"git KEY", "bad-signer", 9),
        ("alice@x namespaces=\"\" KEY", "bad-signer", 9),
        ("alice@x namespaces KEY", "bad-signer", 9),
        ("alice@x NAMESPACES=\"git\" KEY", "bad-signer", 9),
        ("alice@x namespaces=\"git\",cert-authority KEY", "signer-unsupported", 26),
        ("alice@x cert-authority KEY", "signer-unsupported", 9),
        ("alice@x valid-before=\"20260101\" KEY", "signer-time-zone", 9),
        ("alice@x valid-after=\"202601011200\" KEY", "signer-time-zone", 9),
        ("alice@x valid-after=\"20260230Z\" KEY", "bad-signer", 9),
        ("alice@x valid-after=\"19700101Z\" KEY", "bad-signer", 9),
        ("alice@x valid-after=\"2026-01-01Z\" KEY", "bad-signer", 9),
        ("alice@x valid-after=\"20270101Z\",valid-before=\"20260101Z\" KEY", "bad-signer", 9),
        ("alice@x sk-ssh-ed25519@openssh.com AAAA", "bad-signer", 36),
        ("alice@x ssh-dss AAAA", "signer-unsupported", 9),
        ("alice@x ssh-ed25519-cert-v01@openssh.com AAAA", "signer-unsupported", 9),
        ("alice@x ecdsa-sha2-nistp521 AAAA", "bad-signer", 29),
        ("alice@x RSA", "signer-unsupported", 9),
        ("alice@x KEY\r", "bad-signer", 89),
        ("alice@x KEY \u{7}", "bad-signer", 90),
    ];
    let lines: Vec<String> =
        cases.iter().map(|(line, _, _)| line.replace("KEY", KEY).replace("RSA", &rsa)).collect();
    let text = format!("# ä\ncarol@x {KEY}\n{}\ncarol@x {KEY}", lines.join("\n"));
    let (signers, findings) = parse(&text);
    assert_eq!(signers.lines().len(), 2, "the good lines before and after are read");
    assert_eq!(findings.iter().count(), cases.len(), "{findings:#?}");
    for (index, (finding, (line, code, column))) in findings.iter().zip(cases).enumerate() {
        assert_eq!(finding.code.id(), *code, "{line}: {}", finding.message);
        assert_eq!(finding.severity, Severity::Error);
        let span = &finding.marks[0].place.span;
        assert_eq!(
            (span.line as usize, span.column),
            (index + 3, *column),
            "{line}: {}",
            finding.message
        );
        let bytes = std::ops::Range::from(span.bytes);
        let start = text.split('\n').take(index + 2).map(|line| line.len() + 1).sum::<usize>();
        assert!(text.get(bytes.clone()).is_some(), "{line}");
        assert!(start <= bytes.start && bytes.end <= start + lines[index].len(), "{line}");
        assert!(finding.help.is_some(), "{line}: {}", finding.message);
    }
    let about = |what: &str| {
        let mut all = findings.iter().filter(|finding| finding.message.contains(what));
        all.next().unwrap_or_else(|| panic!("no finding says `{what}`: {findings:#?}"))
    };
    let rsa = about("an RSA key of 8 bits instead of 3072 to 16384 is not accepted");
    assert!(rsa.help.as_deref().is_some_and(|help| help.contains("RSA keys of 3072 bits or more")));
    let certificate = about("a certificate (`ssh-ed25519-cert-v01@openssh.com`) is not accepted");
    let help = certificate.help.as_deref().unwrap_or_default();
    assert!(help.contains("list the key of each person"), "{help}");
}

/// One wrong letter in the key of a curve, mostly: nobody could ever sign with it.
#[test]
fn a_key_is_a_point_of_its_curve() {
    let directory = tempfile::tempdir().expect("a directory");
    let home = directory.path();
    for bits in ["256", "384", "521"] {
        let key = make_key(home, bits, &["ecdsa", "-b", bits]);
        let (kind, data) = key.split_once(' ').expect("a type and a key");
        let mut bytes = Base64::decode_vec(data).expect("base64");
        *bytes.last_mut().expect("a byte") ^= 1;
        let other = format!("{kind} {}", Base64::encode_string(&bytes));
        for (key, good) in [(key.as_str(), true), (&other, false)] {
            let (signers, findings) = parse(&format!("alice@x {key}\n"));
            assert_eq!((signers.lines().len(), findings.is_empty()), (usize::from(good), good));
            std::fs::write(home.join("key.pub"), format!("{key}\n")).expect("written");
            let shown = program("ssh-keygen", home).args(["-lf", "key.pub"]).output();
            assert_eq!(shown.expect("ssh-keygen").status.success(), good, "{bits}");
        }
    }
}

#[test]
fn hardware_keys_are_signers() {
    for mut token in [Token::ed25519(), Token::ecdsa()] {
        let (signers, findings) = parse(&format!("alice@x {}\n", token.line()));
        assert!(findings.is_empty() && signers.lines().len() == 1, "{findings:?}");
        token.application = "https://example.org".to_owned();
        let (_, findings) = parse(&format!("alice@x {}\n", token.line()));
        let finding = findings.iter().next().expect("a finding");
        assert_eq!(finding.code.id(), "signer-unsupported");
        assert!(finding.message.contains("a hardware key for `https://example.org`"));
    }
}

#[test]
fn bounds_of_the_file() {
    let line = format!("alice@x {KEY}\n");
    let (signers, findings) = parse(&line.repeat(2000));
    assert!(findings.is_empty() && signers.lines().len() == 2000);
    for text in ["#\n".repeat(5000), line.repeat(4000), format!("{}\n", "x".repeat(9000))] {
        let (_, findings) = parse(&text);
        assert!(findings.iter().any(|finding| finding.code.id() == "too-large"));
    }
}

#[test]
fn a_pattern_is_nobodys_name() {
    let (signers, findings) = parse(&format!("*@x {KEY}\n"));
    assert!(!findings.has_errors());
    assert_eq!(
        findings.iter().next().map(|finding| finding.code.id()),
        Some("signer-without-name")
    );
    let data = PublicKey::from_openssh(KEY).expect("a key").key_data().clone();
    let at = time("2026-01-01T00:00:00Z");
    assert_eq!(signers.principals(&data, "git", at), Err(NotASigner::Nameless));
    let (signers, _) = parse("");
    assert_eq!(signers.principals(&data, "git", at), Err(NotASigner::Unknown));
}

fn policy(text: &str) -> (Option<Policy>, Findings) {
    let lines = format!("alice@x {KEY}\nbob@x {KEY}\nfile@x namespaces=\"file\" {KEY}\n");
    let (signers, mut findings) = parse(&lines);
    let file = policy::FILE.parse().expect("a path");
    (policy::read(&file, text, &signers, &mut findings), findings)
}

#[test]
fn roles() {
    let text = "roles: {root: {principals: [alice@x]}, operator: {principals: [bob@x]}}";
    let (policy, findings) = policy(text);
    assert!(findings.is_empty(), "{findings:?}");
    let policy = policy.expect("a policy");
    let may = |who: &str, path| policy.may(&who.parse().expect("a name"), path);
    for path in [
        ".weft/policy.yaml",
        ".weft",
        "weft.yaml",
        "lab/weft.yaml",
        "weft.yaml/x",
        "lab/.weft/x",
        ".WEFT/policy.yaml",
        "Weft.yaml",
    ] {
        assert!(may("alice@x", path) && !may("bob@x", path) && !may("carol@x", path), "{path}");
    }
    for path in
        ["sdn/zones.yaml", "readme.md", "sdn/weft.yaml.old", "weft.yamls", ".weft2/x", "x\u{fffd}"]
    {
        assert!(may("alice@x", path) && may("bob@x", path) && !may("carol@x", path), "{path}");
    }
}

#[test]
fn bad_policies() {
    for (text, code) in [
        ("", "missing-key"),
        ("roles:", "null-value"),
        ("roles: {}", "missing-key"),
        ("roles: {root: {principals: []}}", "root-missing"),
        ("roles: {root: {principals: [dave@x]}}", "root-missing"),
        ("roles: {root: {principals: [file@x]}}", "root-missing"),
        ("roles: {root: {principals: alice@x}}", "wrong-type"),
        ("roles: {root: {principals: ['*@x']}}", "bad-value"),
        ("roles: {rot: {principals: [alice@x]}}", "missing-key"),
        ("roles: {root: {principals: [alice@x]}, 'a b': {principals: [bob@x]}}", "bad-value"),
        ("roles: {root: {principals: [alice@x]}, root: {principals: [bob@x]}}", "duplicate-id"),
        ("roles: {root: {principals: [alice@x], paths: [a]}}", "root-limited"),
        ("roles: {root: {principals: [alice@x], scope: {kinds: [zones]}}}", "root-limited"),
        ("roles: {root: {principals: [alice@x], threshold: 0}}", "bad-value"),
        // The two of them have one key, and so are one person.
        ("roles: {root: {principals: [alice@x, bob@x], threshold: 2}}", "threshold-unreachable"),
        ("roles: {root: {principals: [alice@x]}}\nmainline: squash", "bad-value"),
        ("roles: {root: {principals: [alice@x]}}\nremoval: {max-percent: 101}", "bad-value"),
        ("roles: {root: {principals: [alice@x]}}\nmore: 1", "unknown-key"),
        ("roles: [", "yaml-syntax"),
    ] {
        let (_, findings) = policy(text);
        let errors: Vec<&str> = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .map(|finding| finding.code.id())
            .collect();
        assert!(errors.contains(&code), "{text}: {findings:?}");
    }
    let (policy, findings) =
        policy("roles: {root: {principals: [alice@x]}, operator: {principals: [bpb@x]}}");
    assert!(policy.is_some() && !findings.has_errors());
    assert_eq!(
        findings.iter().next().map(|finding| finding.code.id()),
        Some("principal-without-key")
    );
}
