//! Which certificate authorities count.
//!
//! libgit2 can be told to believe more authorities, but not to believe fewer: it always
//! takes those of OpenSSL's defaults. So the defaults themselves are set, before
//! libgit2 begins.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::sync::OnceLock;

use nix::sys::memfd::{MFdFlags, memfd_create};
use openssl::x509::X509;

use crate::sync::protocol::{Failure, FailureCode};

/// Where Debian keeps the authorities of the system.
const SYSTEM_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";
const SYSTEM_DIRECTORY: &str = "/etc/ssl/certs";
/// A directory that holds no certificate.
const NOWHERE: &str = "/dev/null";

/// What was set. It holds for the whole process, so the file in memory stays open.
static SET: OnceLock<(Option<String>, Option<File>)> = OnceLock::new();

/// Lets only these authorities count, or those of the system. A second call can only
/// say the same again.
pub(super) fn set(pem: Option<&str>) -> Result<(), Failure> {
    if let Some((set, _)) = SET.get() {
        if set.as_deref() == pem {
            return Ok(());
        }
        let message = "one process fetches with one set of authorities";
        return Err(Failure::new(FailureCode::BadRequest, message));
    }
    let file = pem.map(in_memory).transpose()?;
    match &file {
        Some(file) => point_at(&format!("/proc/self/fd/{}", file.as_raw_fd()), NOWHERE),
        // The file holds the same, and to read all of it takes longer than all the rest.
        None if is_hashed(SYSTEM_DIRECTORY) => point_at(NOWHERE, SYSTEM_DIRECTORY),
        None => point_at(SYSTEM_FILE, SYSTEM_DIRECTORY),
    }
    // Nobody else calls this: the process has one thread.
    drop(SET.set((pem.map(str::to_owned), file)));
    Ok(())
}

/// Whether a directory has names by which OpenSSL finds the one certificate that it
/// needs, such as `5ed36f99.0`: `update-ca-certificates` makes them.
fn is_hashed(directory: &str) -> bool {
    let hashed = |name: &std::ffi::OsStr| {
        let name = name.to_string_lossy();
        let hash = name.strip_suffix(".0").unwrap_or_default();
        hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    std::fs::read_dir(directory)
        .is_ok_and(|entries| entries.flatten().any(|entry| hashed(&entry.file_name())))
}

/// A file that holds certificates and has no name.
fn in_memory(pem: &str) -> Result<File, Failure> {
    let unusable = |message: String| Failure::new(FailureCode::AuthoritiesUnusable, message);
    match X509::stack_from_pem(pem.as_bytes()) {
        Ok(found) if !found.is_empty() => {}
        _ => return Err(unusable("the file of `ca:` holds no certificate in PEM form".to_owned())),
    }
    let file = memfd_create("authorities", MFdFlags::MFD_CLOEXEC);
    let mut file =
        File::from(file.map_err(|e| unusable(format!("no file in memory can be made: {e}")))?);
    file.write_all(pem.as_bytes())
        .map_err(|e| unusable(format!("cannot keep the authorities: {e}")))?;
    Ok(file)
}

/// Sets the two variables that OpenSSL looks at for its defaults.
#[expect(unsafe_code, reason = "OpenSSL takes its defaults from the environment alone")]
fn point_at(file: &str, directory: &str) {
    // SAFETY: this process has one thread, so nobody reads the environment meanwhile.
    unsafe {
        std::env::set_var("SSL_CERT_FILE", file);
        std::env::set_var("SSL_CERT_DIR", directory);
    }
}
