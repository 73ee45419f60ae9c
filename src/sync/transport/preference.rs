//! Which of its keys an ssh server is asked to show.
//!
//! Client and server agree on one type of key, and the server shows that one. libgit2
//! asks for the types that it finds in the `known_hosts` of a home directory; so it is
//! given a home directory with the pinned keys. It decides nothing else by it: the key
//! that is shown is judged here.

use std::fs;
use std::io;

use camino::Utf8Path;

use crate::sync::known_hosts::KnownHosts;
use crate::sync::origin::Origin;
use crate::sync::protocol::{Failure, FailureCode};

/// Lets the server be asked for keys of the pinned types only, or of any type.
#[expect(unsafe_code, reason = "libgit2's settings are variables without a lock")]
pub(super) fn prefer(
    home: &Utf8Path,
    pinned: Option<(&KnownHosts, &Origin)>,
) -> Result<(), Failure> {
    let failed = |what: &str| {
        Failure::new(FailureCode::DamagedCache, format!("cannot use `{home}`: {what}"))
    };
    let text = pinned.map(|(known, origin)| lines(known, origin)).unwrap_or_default();
    put(home, &text).map_err(|e| failed(&e.to_string()))?;
    let path = std::ffi::CString::new(home.as_str()).map_err(|e| failed(&e.to_string()))?;
    // SAFETY: this process has one thread and no transport is open; the option takes
    // one string, which libgit2 copies.
    let set = unsafe {
        libgit2_sys::git_libgit2_opts(libgit2_sys::GIT_OPT_SET_HOMEDIR.cast_signed(), path.as_ptr())
    };
    if set < 0 { Err(failed(git2::Error::last_error(set).message())) } else { Ok(()) }
}

/// One line for each pinned key, without patterns and hashes.
fn lines(known: &KnownHosts, origin: &Origin) -> String {
    let (host, port) = (origin.host(), origin.port());
    let keys = known.pinned(host, port).filter_map(|key| key.to_openssh().ok());
    let lines: Vec<String> = keys.map(|key| format!("[{host}]:{port} {key}\n")).collect();
    lines.concat()
}

fn put(home: &Utf8Path, text: &str) -> io::Result<()> {
    let directory = home.join(".ssh");
    fs::create_dir_all(&directory)?;
    fs::write(directory.join("known_hosts"), text)
}
