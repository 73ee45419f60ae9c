//! The machine's files, on a real file system.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use weft::host::{Host, HostError, Linux, STATE, TEMPORARY};
use weft::value::NodeName;

const SDN: &str = "/etc/network/interfaces.d/sdn";

/// A dry node in a directory that goes with it.
struct Node {
    directory: tempfile::TempDir,
    host: Linux,
}

impl Node {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let host = Linux::new(Some(root(&directory)));
        Self { directory, host }
    }

    fn place(&self, path: &str) -> Utf8PathBuf {
        root(&self.directory).join(&path[1..])
    }

    fn read(&self, path: &str) -> Option<(Vec<u8>, u32)> {
        let found = self.host.read(Utf8Path::new(path), 1000).expect("it can be read");
        found.map(|file| (file.bytes, file.mode))
    }
}

fn root(directory: &tempfile::TempDir) -> Utf8PathBuf {
    Utf8PathBuf::from_path_buf(directory.path().to_owned()).expect("UTF-8")
}

fn replace(host: &Linux, path: &str, text: &str) -> Result<(), HostError> {
    host.replace(Utf8Path::new(path), text.as_bytes(), 0o644)
}

#[test]
fn replace_puts_a_whole_file_with_its_mode_there() {
    let node = Node::new();
    assert!(node.host.is_dry() && !Linux::new(None).is_dry());
    assert_eq!(node.read(SDN), None);
    replace(&node.host, SDN, "one").expect("made with its directories");
    assert_eq!(node.read(SDN), Some((b"one".to_vec(), 0o644)));
    let first = fs::metadata(node.place(SDN)).expect("it is there").ino();
    // Who reads the old file meanwhile goes on reading the old file.
    let open = fs::File::open(node.place(SDN)).expect("it can be opened");
    node.host.replace(Utf8Path::new(SDN), b"two", 0o640).expect("replaced");
    assert_eq!(io::read_to_string(open).expect("still whole"), "one");
    assert_eq!(node.read(SDN), Some((b"two".to_vec(), 0o640)));
    assert_ne!(fs::metadata(node.place(SDN)).expect("it is there").ino(), first);
    let names = node.host.list(Utf8Path::new("/etc/network/interfaces.d")).expect("listed");
    assert_eq!(names, ["sdn"], "no temporary file is left");
}

#[test]
fn directories_of_state_are_for_root_only() {
    let node = Node::new();
    let entry = format!("{STATE}/journal/00000001.intent");
    node.host.replace(Utf8Path::new(&entry), b"{}", 0o600).expect("written");
    replace(&node.host, SDN, "one").expect("written");
    let mode = |path: &str| {
        let metadata = fs::metadata(node.place(path)).expect("it is there");
        metadata.permissions().mode() & 0o7777
    };
    assert_eq!(mode("/var/lib/weft/journal"), 0o700);
    assert_eq!(mode("/var/lib/weft"), 0o700);
    assert_eq!(mode("/var/lib"), 0o755);
    assert_eq!(mode("/etc/network/interfaces.d"), 0o755);
    assert_eq!(mode(&entry), 0o600);
}

#[test]
fn a_link_is_no_file_and_is_not_followed() {
    let node = Node::new();
    replace(&node.host, "/etc/secret", "secret").expect("written");
    replace(&node.host, SDN, "one").expect("written");
    fs::remove_file(node.place(SDN)).expect("removed");
    symlink(node.place("/etc/secret"), node.place(SDN)).expect("linked");
    let error = node.host.read(Utf8Path::new(SDN), 1000).expect_err("a link");
    assert!(matches!(error, HostError::NotAFile { .. }), "{error}");
    replace(&node.host, SDN, "two").expect("the link itself is replaced");
    assert_eq!(node.read("/etc/secret"), Some((b"secret".to_vec(), 0o644)));
    assert_eq!(node.read(SDN), Some((b"two".to_vec(), 0o644)));
    for path in ["/etc", "/dev/fifo", "/dev/socket"] {
        fs::create_dir_all(node.place("/dev")).expect("made");
        let _ = nix_fifo(&node.place("/dev/fifo"));
        let _ = std::os::unix::net::UnixListener::bind(node.place("/dev/socket"));
        let error = node.host.read(Utf8Path::new(path), 1000).expect_err("no regular file");
        assert!(matches!(error, HostError::NotAFile { .. }), "{path}: {error}");
    }
}

fn nix_fifo(place: &Utf8Path) -> nix::Result<()> {
    nix::unistd::mkfifo(place.as_std_path(), nix::sys::stat::Mode::S_IRUSR)
}

#[test]
fn a_link_does_not_lead_out_of_a_dry_node() {
    let node = Node::new();
    let outside = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir_all(node.place("/etc")).expect("made");
    symlink(outside.path(), node.place("/etc/network")).expect("linked");
    fs::create_dir(outside.path().join("interfaces.d")).expect("made");
    fs::write(outside.path().join("interfaces.d/sdn"), "not ours").expect("written");
    let path = Utf8Path::new(SDN);
    let results = [
        node.host.read(path, 1000).map(drop),
        replace(&node.host, SDN, "one"),
        node.host.remove(path),
        node.host.list(Utf8Path::new("/etc/network/interfaces.d")).map(drop),
        node.host.remove_directory(Utf8Path::new("/etc/network/interfaces.d")),
        node.host.lock(Utf8Path::new("/etc/network/lock")).map(drop),
    ];
    for (index, result) in results.into_iter().enumerate() {
        let error = result.expect_err("it leads out");
        assert!(matches!(error, HostError::OutsideRoot { .. }), "{index}: {error}");
    }
    let kept = fs::read_to_string(outside.path().join("interfaces.d/sdn"));
    assert_eq!(kept.expect("still there"), "not ours");
}

#[test]
fn reading_is_bounded() {
    let node = Node::new();
    replace(&node.host, SDN, "12345").expect("written");
    let path = Utf8Path::new(SDN);
    assert!(node.host.read(path, 5).is_ok());
    let error = node.host.read(path, 4).expect_err("one byte too many");
    assert!(matches!(error, HostError::TooLarge { limit: 4, .. }), "{error}");
    // A file that says it is empty and is not.
    let live = Linux::new(None);
    let error = live.read(Utf8Path::new("/proc/self/status"), 10).expect_err("larger");
    assert!(matches!(error, HostError::TooLarge { .. }), "{error}");
}

#[test]
fn names_are_listed_renamed_and_removed() {
    let node = Node::new();
    let path = |name: &str| Utf8PathBuf::from(format!("{STATE}/journal/{name}"));
    assert_eq!(node.host.list(&path("")).expect("none"), Vec::<String>::new());
    for name in ["b", "a", "c"] {
        node.host.replace(&path(name), name.as_bytes(), 0o600).expect("written");
    }
    node.host.rename(&path("b"), &path("d")).expect("renamed");
    let error = node.host.rename(&path("b"), &path("e")).expect_err("it is gone");
    assert!(error.is_missing());
    node.host.remove(&path("a")).expect("removed");
    node.host.remove(&path("a")).expect("removed already");
    node.host.flush(&path("c")).expect("flushed");
    node.host.flush(&path("a")).expect("its absence is flushed");
    assert_eq!(node.host.list(&path("")).expect("two"), ["c", "d"]);
    assert_eq!(node.host.list(&path("c")).expect("a file has none"), Vec::<String>::new());
    node.host.remove_directory(&path("")).expect("removed");
    node.host.remove_directory(&path("")).expect("removed already");
    node.host.remove(&path("c")).expect("no directory is no error");
    assert_eq!(node.host.list(&path("")).expect("none"), Vec::<String>::new());
    assert!(node.host.free(&path("")).expect("of the nearest directory") > 0);
}

#[test]
fn one_of_two_holds_the_lock() {
    let node = Node::new();
    let path = Utf8Path::new("/run/weft/lock");
    let first = node.host.lock(path).expect("no error").expect("free");
    let mode = fs::metadata(node.place("/run/weft/lock")).expect("made").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert!(node.host.lock(path).expect("no error").is_none());
    let other = Linux::new(Some(root(&node.directory)));
    assert!(other.lock(path).expect("no error").is_none());
    // A child does not keep it.
    let mut child = Command::new("sleep").arg("5").stdin(Stdio::null()).spawn().expect("started");
    drop(first);
    assert!(other.lock(path).expect("no error").is_some());
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

#[test]
fn a_directory_that_takes_no_writes_is_reported() {
    if nix::unistd::geteuid().is_root() {
        println!("skipped: permissions do not bind root");
        return;
    }
    let node = Node::new();
    replace(&node.host, SDN, "one").expect("written");
    let directory = node.place("/etc/network/interfaces.d");
    fs::set_permissions(&directory, Permissions::from_mode(0o555)).expect("set");
    let error = replace(&node.host, SDN, "two").expect_err("denied");
    assert!(matches!(error, HostError::Denied { .. }), "{error}");
    assert_eq!(node.read(SDN), Some((b"one".to_vec(), 0o644)));
    fs::set_permissions(&directory, Permissions::from_mode(0o755)).expect("set");
}

/// A file system of its own over a directory of the node, while it lives.
struct Mount(Utf8PathBuf);

impl Mount {
    fn new(place: Utf8PathBuf, options: &str) -> Option<Self> {
        fs::create_dir_all(&place).expect("made");
        let arguments = ["-t", "tmpfs", "-o", options, "tmpfs", place.as_str()];
        let output = Command::new("mount").args(arguments).output();
        if output.is_ok_and(|output| output.status.success()) { Some(Self(place)) } else { None }
    }

    fn remount(&self, options: &str) {
        let status = Command::new("mount").args(["-o", options, self.0.as_str()]).status();
        assert!(status.expect("mount runs").success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // What is left of it is in a temporary directory.
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_and_a_read_only_one_keep_the_old_file() {
    let node = Node::new();
    let directory = "/etc/network/interfaces.d";
    let Some(mount) = Mount::new(node.place(directory), "size=64k,mode=755") else {
        println!("skipped: a file system can be mounted by root only");
        return;
    };
    replace(&node.host, SDN, "one").expect("there is room");
    let free = node.host.free(Utf8Path::new(directory)).expect("asked");
    assert!(free > 0 && free <= 64 << 10, "{free}");
    let error = replace(&node.host, SDN, &"x".repeat(100_000)).expect_err("no room");
    assert!(matches!(error, HostError::Full { .. }), "{error:?}");
    assert_eq!(node.read(SDN), Some((b"one".to_vec(), 0o644)));
    let names = node.host.list(Utf8Path::new(directory)).expect("listed");
    assert!(names.iter().all(|name| !name.starts_with(TEMPORARY)), "{names:?}");
    mount.remount("remount,ro");
    for result in [replace(&node.host, SDN, "two"), node.host.remove(Utf8Path::new(SDN))] {
        let error = result.expect_err("read-only");
        assert!(matches!(error, HostError::ReadOnly { .. }), "{error:?}");
        assert!(std::error::Error::source(&error).is_some());
    }
    node.host.flush(Utf8Path::new(SDN)).expect("nothing is written");
    assert_eq!(node.read(SDN), Some((b"one".to_vec(), 0o644)));
}

#[test]
fn facts_of_a_dry_node_come_from_its_files() {
    let node = Node::new();
    let name: NodeName = "node1".parse().expect("a name");
    let facts = node.host.facts(&name).expect("a node without files");
    assert!(facts.addresses.is_empty() && facts.routes.is_empty());
    let text = "iface vmbr0 inet static\n\taddress 192.168.0.2/24\n\tgateway 192.168.0.1\n";
    replace(&node.host, "/etc/network/interfaces", text).expect("written");
    let facts = node.host.facts(&name).expect("read");
    let address: std::net::IpAddr = "192.168.0.2".parse().expect("an address");
    assert_eq!(facts.addresses.len(), 1);
    assert_eq!(facts.addresses[0].address, address);
    let route = |to: &str| facts.route_to(to.parse().expect("an address")).expect("a route");
    assert_eq!(route("192.168.0.3").interface.as_str(), "vmbr0");
    assert_eq!(route("8.8.8.8").source, address);
    assert_eq!(route("192.168.0.2").interface.as_str(), "lo");
}

#[test]
fn facts_of_this_machine_can_be_read() {
    if Command::new("ip").arg("-V").output().is_err() {
        println!("skipped: there is no `ip` here");
        return;
    }
    let name: NodeName = "node1".parse().expect("a name");
    let facts = Linux::new(None).facts(&name).expect("`ip` answers");
    let loopback: std::net::IpAddr = "127.0.0.1".parse().expect("an address");
    assert!(facts.routes.iter().any(|r| r.interface.as_str() == "lo" && r.source == loopback));
}
