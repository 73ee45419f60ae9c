//! The root of a lab or a node: a throw-away copy of the Debian root with all that a
//! running system has mounted.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};

/// In the Debian root: an empty directory for what a lab puts beside the system.
pub(crate) const LAB_DIRECTORY: &str = "lab";

/// Makes a writable layer over `lower`, on memory or on a `disk` that outlives it, mounts
/// what a system expects, and makes it the root of this mount namespace. `staging` is a
/// directory that may be covered; the old root is gone afterwards. What is brought can only
/// be read, and what is shared is written by all. `pivot_root` and not `chroot`, since
/// whoever enters the namespace later lands in its root.
pub(crate) fn enter_root(
    lower: &Path,
    staging: &Path,
    disk: Option<&Path>,
    bring: &[(PathBuf, &str)],
    share: &[(&Path, &str)],
) -> io::Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    mount_new("tmpfs", staging, "mode=755,size=50%")?;
    let disk = disk.unwrap_or(staging);
    let (upper, work, root) = (disk.join("upper"), disk.join("work"), staging.join("root"));
    for directory in [&upper, &work, &root] {
        fs::create_dir_all(directory)?;
    }
    let layers = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.display(),
        work.display()
    );
    mount_new("overlay", &root, &layers)?;

    mount_new("proc", &root.join("proc"), "")?;
    // Fresh, since sysfs shows the devices of the network namespace it was mounted in.
    mount_new("sysfs", &root.join("sys"), "")?;
    for (directory, options) in [
        ("dev", "mode=755"),
        ("run", "mode=755"),
        ("tmp", "mode=1777"),
        (LAB_DIRECTORY, "mode=755"),
    ] {
        mount_new("tmpfs", &root.join(directory), options)?;
    }
    devices(&root.join("dev"))?;
    fs::create_dir(root.join("run/lock"))?;
    for (from, to) in bring {
        let to = root.join(to.trim_start_matches('/'));
        if from.is_dir() {
            fs::create_dir(&to)?;
        } else {
            File::create(&to)?;
        }
        bind(from, &to, true)?;
    }

    for (from, to) in share {
        let to = root.join(to.trim_start_matches('/'));
        fs::create_dir_all(&to)?;
        bind(from, &to, false)?;
    }

    chdir(&root)?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")?;
    Ok(())
}

/// The few devices that programs need, from the ones that are there.
fn devices(dev: &Path) -> io::Result<()> {
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        File::create(dev.join(name))?;
        bind(&Path::new("/dev").join(name), &dev.join(name), false)?;
    }
    for directory in ["pts", "shm"] {
        fs::create_dir(dev.join(directory))?;
    }
    mount_new("devpts", &dev.join("pts"), "newinstance,ptmxmode=0666,mode=620")?;
    mount_new("tmpfs", &dev.join("shm"), "mode=1777")?;
    for (link, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(target, dev.join(link))?;
    }
    Ok(())
}

pub(crate) fn mount_new(kind: &str, at: &Path, options: &str) -> io::Result<()> {
    mount(Some(kind), at, Some(kind), MsFlags::empty(), Some(options))
        .map_err(|errno| io::Error::other(format!("mount {kind} on {}: {errno}", at.display())))
}

fn bind(from: &Path, to: &Path, read_only: bool) -> io::Result<()> {
    let told =
        |errno| io::Error::other(format!("bind {} to {}: {errno}", from.display(), to.display()));
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>).map_err(told)?;
    if read_only {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, to, None::<&str>, flags, None::<&str>).map_err(told)?;
    }
    Ok(())
}
