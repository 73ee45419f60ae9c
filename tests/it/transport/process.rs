//! The life and death of the fetch process, and its lies.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::Utf8Path;
use weft::sync::objects::{ObjectError, Objects as _};
use weft::sync::worker::{Cancel, TransportError, Worker};
use weft::value::ObjectId;

use super::*;

/// A worker that is a shell script.
fn script(place: &Place, text: &str, deadline: Duration) -> Worker {
    cancellable(place, text, deadline, &Cancel::default())
}

fn cancellable(place: &Place, text: &str, deadline: Duration, cancel: &Cancel) -> Worker {
    let path = place.path("script");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    loop {
        match Worker::start(&path, None, deadline, cancel) {
            Ok(worker) => return worker,
            // Another test forked while the script was written.
            Err(TransportError::Start { source, .. })
                if source.kind() == std::io::ErrorKind::ExecutableFileBusy =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn a_worker_that_hangs_is_killed_at_the_deadline() {
    let place = Place::new();
    for text in [
        "exec /bin/sleep 1000",
        "read line; printf '{\"tip\":'; exec /bin/sleep 1000",
        "exec </dev/null; exec /bin/sleep 1000",
        "while :; do printf x >&2; done",
    ] {
        let deadline = Duration::from_millis(400);
        let begin = Instant::now();
        let worker = script(&place, text, deadline);
        let process = worker.process();
        let error = worker
            .fetch(&place.remote(), &Access::default(), "main", &place.cache(), &limits())
            .unwrap_err();
        let took = begin.elapsed();
        assert!(matches!(error, TransportError::Deadline { after } if after == deadline));
        assert!(error.retry_helps() && error.code() == "deadline");
        assert_eq!(error.to_string(), "the fetch process was stopped: it was not done after 0.4 s");
        assert!(took >= deadline && took < Duration::from_secs(5), "{text}: {took:?}");
        assert!(is_gone(process), "{text}");
        // And so it stays.
        let error = worker.read(ObjectId::from_bytes([0; 20]), 10).unwrap_err();
        assert!(error.to_string().contains("was stopped"), "{error}");
    }
}

#[test]
fn a_worker_is_killed_with_all_that_it_began_when_something_cannot_wait() {
    let place = Place::new();
    let child = place.path("child");
    let text = format!("/bin/sleep 1000 & echo $! > {child}; wait");
    let cancel = Cancel::default();
    let worker = cancellable(&place, &text, MINUTE, &cancel);
    let urgent = std::thread::spawn(move || {
        let number = loop {
            let text = fs::read_to_string(&child).unwrap_or_default();
            if let Some(number) = text.strip_suffix('\n') {
                break number.parse().unwrap();
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        cancel.cancel();
        (number, Instant::now())
    });
    let error = worker
        .fetch(&place.remote(), &Access::default(), "main", &place.cache(), &limits())
        .unwrap_err();
    let (child, cancelled) = urgent.join().unwrap();
    assert!(cancelled.elapsed() < Duration::from_secs(1), "{:?}", cancelled.elapsed());
    assert!(matches!(error, TransportError::Cancelled), "{error:?}");
    assert!(error.retry_helps() && error.code() == "fetch-cancelled");
    assert!(is_gone(worker.process()));
    // Whoever adopts it reaps it.
    while !is_gone(child) {
        assert!(cancelled.elapsed() < Duration::from_secs(10), "a child goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
    // And so it stays.
    let error = worker.read(ObjectId::from_bytes([0; 20]), 10).unwrap_err();
    assert!(error.to_string().contains("something more urgent"), "{error}");
    assert_eq!(worker.fault(), Some("fetch-cancelled"));
}

#[test]
fn the_deadline_holds_while_nobody_asks() {
    let place = Place::new();
    place.commit("a", b"a");
    let worker =
        Worker::start(Utf8Path::new(WEFT), None, Duration::from_millis(700), &Cancel::default())
            .unwrap();
    let tip = worker
        .fetch(&place.remote(), &Access::default(), "main", &place.cache(), &limits())
        .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert!(is_gone(worker.process()));
    let error = worker.read(tip, 1000).unwrap_err();
    assert!(error.to_string().contains("was stopped"), "{error}");
}

/// It has the time that it is given then.
#[test]
fn a_process_that_looked_goes_on_and_fetches() {
    let place = Place::new();
    place.commit("a", b"a");
    let (remote, access, cancel) = (place.remote(), Access::default(), Cancel::default());
    let worker =
        Worker::start(Utf8Path::new(WEFT), None, Duration::from_millis(900), &cancel).unwrap();
    let seen = worker.look(&remote, &access, "main", (&place.cache(), &limits()), true).unwrap();
    assert!(!place.cache().join("repository.git").exists(), "looking brings nothing");
    worker.give(MINUTE);
    std::thread::sleep(Duration::from_millis(1200));
    let tip = worker.fetch(&remote, &access, "main", &place.cache(), &limits()).unwrap();
    assert_eq!(tip, seen);
    worker.read(tip, 1000).unwrap();
    worker.give(Duration::from_millis(100));
    std::thread::sleep(Duration::from_millis(700));
    assert!(is_gone(worker.process()));
}

#[test]
fn a_fetch_process_without_its_agent_ends_itself() {
    let place = Place::new();
    place.commit("a", b"a");
    let mut child = Command::new(WEFT)
        .arg("fetch-worker")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let request = serde_json::json!({"fetch": {
        "url": String::from(place.remote().url), "branch": "main", "cache": place.cache(),
        "limits": limits(), "seconds": 1,
    }});
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{request}").unwrap();
    let begin = Instant::now();
    let status = child.wait().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(14));
    drop(input);
}

#[test]
fn a_lie_is_an_error_and_the_end() {
    let place = Place::new();
    let fetched = r#"read l; echo '{"tip":"00000000000000000000000000000000deadbeef"}'; read l; "#;
    let wait = "; exec /bin/sleep 1000";
    for (text, expected) in [
        ("printf 'garbage\\n'", "sent something that is not an answer"),
        ("printf '{\"missing\"\\0:1}\\n'", "sent something that is not an answer"),
        ("head -c 70000 /dev/zero", "sent a line that is too long"),
        ("head -c 70000 /dev/zero | tr '\\0' x; echo", "sent a line that is too long"),
        ("echo '{\"object\":{\"kind\":\"blob\",\"size\":11}}'", "sent more bytes than were asked"),
        ("echo '{\"object\":{\"kind\":\"blob\",\"size\":-1}}'", "not an answer"),
        (
            "echo '{\"object\":{\"kind\":\"blob\",\"size\":18446744073709551615}}'",
            "sent more bytes than were asked",
        ),
        (
            "printf '{\"object\":{\"kind\":\"blob\",\"size\":3}}\\n12345'",
            "sent more than an answer",
        ),
        ("printf '{\"object\":{\"kind\":\"fish\",\"size\":3}}\\n123'", "object of an unknown kind"),
        ("echo '{\"too-large\":{\"size\":5,\"limit\":10}}'", "refused an object that is not too"),
        ("echo '{\"too-large\":{\"size\":50,\"limit\":20}}'", "refused an object that is not too"),
        (
            "echo '{\"tip\":\"00000000000000000000000000000000deadbeef\"}'",
            "answered another question",
        ),
        ("echo '{\"tip\":\"HEAD\"}'", "not an answer"),
        ("printf '\"missing\"\\n\"missing\"\\n'", "sent more than an answer"),
    ] {
        let worker = script(&place, &format!("{fetched}{text}{wait}"), MINUTE);
        let tip = worker
            .fetch(&place.remote(), &Access::default(), "main", &place.cache(), &limits())
            .unwrap();
        let begin = Instant::now();
        let error = worker.read(tip, 10).unwrap_err();
        assert!(error.to_string().contains(expected), "{text}: {error}");
        assert!(matches!(error, ObjectError::Source { .. }), "{text}");
        assert!(begin.elapsed() < Duration::from_secs(20), "{text}");
        assert!(is_gone(worker.process()), "{text}");
        assert!(worker.read(tip, 10).is_err(), "{text}");
    }
    // Less than was promised, and then nothing.
    let short = format!("{fetched}printf '{{\"object\":{{\"kind\":\"blob\",\"size\":9}}}}\\n123'");
    let worker = script(&place, &format!("{short}; echo oh no >&2; exit 3"), MINUTE);
    let tip = worker
        .fetch(&place.remote(), &Access::default(), "main", &place.cache(), &limits())
        .unwrap();
    let text = worker.read(tip, 10).unwrap_err().to_string();
    assert!(text.contains("ended before it answered"), "{text}");
    // The text of a failure cannot write to a terminal.
    let worker = script(
        &place,
        r#"read l; printf '%s\n' '{"failed":{"code":"absent","message":"a\u001b[2J\nb\u009b"}}'; read l"#,
        MINUTE,
    );
    let error = worker
        .fetch(&place.remote(), &Access::default(), "main", &place.cache(), &limits())
        .unwrap_err();
    assert!(error.to_string().ends_with("a [2J b"), "{error:?}");
}

#[test]
fn a_worker_that_was_killed_is_an_error() {
    let place = Place::new();
    place.commit("a", b"a");
    let (worker, tip) = place.fetch().unwrap();
    let process = i32::try_from(worker.process()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    let text = worker.read(tip, 1000).unwrap_err().to_string();
    assert!(text.contains("ended before it answered (signal: 9 (SIGKILL))"), "{text}");
    assert!(is_gone(worker.process()));
    let error = Worker::start(Utf8Path::new("/nowhere/weft"), None, MINUTE, &Cancel::default())
        .unwrap_err();
    assert_eq!(error.to_string(), "cannot start the fetch process `/nowhere/weft`");
    assert_eq!(error.code(), "worker-start");
}

#[test]
fn the_process_starts_with_an_empty_environment() {
    let place = Place::new();
    place.commit("a", b"a");
    let (worker, _) = place.fetch().unwrap();
    assert!(fs::read(format!("/proc/{}/environ", worker.process())).unwrap().is_empty());
    let limits = fs::read_to_string(format!("/proc/{}/limits", worker.process())).unwrap();
    for (name, wanted) in [
        ("Max data size", "37748736"),
        ("Max address space", "1073741824"),
        ("Max file size", "536870912"),
        ("Max open files", "256"),
        ("Max processes", "0"),
        ("Max cpu time", "300"),
        ("Max core file size", "0"),
    ] {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        assert_eq!(line.split_whitespace().nth(1), Some(wanted), "{name}: {line}");
    }
    let status = fs::read_to_string(format!("/proc/{}/status", worker.process())).unwrap();
    let value = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    assert_eq!(value("NoNewPrivs:").trim(), "1");
    assert_eq!(value("Umask:").trim(), "0077");
    assert_eq!(value("Threads:").trim(), "1");
}

#[test]
fn nothing_is_inherited_and_the_cage_says_how_far_it_goes() {
    let place = Place::new();
    place.commit("a", b"a");
    // Passed on to every program that is started from here.
    let leak = fs::File::open("/dev/null").unwrap();
    nix::fcntl::fcntl(&leak, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let (worker, _) = place.fetch().unwrap();
    let open = fs::read_dir(format!("/proc/{}/fd", worker.process())).unwrap();
    let open = open.map(|entry| fs::read_link(entry.unwrap().path()).unwrap());
    for target in open {
        let target = target.to_string_lossy().into_owned();
        let ours = target.starts_with("pipe:") || target.contains("/cache/");
        assert!(ours || target.contains("/net.git"), "{target}");
    }
    let cage = worker.cage().unwrap();
    assert_eq!(cage.user, nix::unistd::geteuid().as_raw());
    if landlock() {
        assert_ne!(cage.landlock, 0, "the kernel has Landlock, and the process does not use it");
    } else {
        say("skipped: this kernel has no Landlock");
    }
    // One that fetches nothing says the same.
    assert_eq!(start().cage().unwrap(), cage);
}

/// Whether this kernel lets a thread restrict itself (`landlock_restrict_self(2)`).
fn landlock() -> bool {
    use landlock::{ABI, Access as _, AccessFs, Ruleset, RulesetAttr as _, RulesetStatus};
    let restrict = || {
        let ruleset = Ruleset::default().handle_access(AccessFs::from_all(ABI::V1)).ok()?;
        ruleset.create().ok()?.restrict_self().ok().map(|restricted| restricted.ruleset)
    };
    let found = std::thread::spawn(restrict).join().unwrap();
    found.is_some_and(|status| status != RulesetStatus::NotEnforced)
}
