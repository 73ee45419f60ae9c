//! A socket of this machine that only some may speak to.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};

use camino::{Utf8Path, Utf8PathBuf};

use super::{HostError, TEMPORARY};

/// A socket that others connect to. Its name goes when it is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: Utf8PathBuf,
}

impl Socket {
    /// A socket at a whole path of this machine, in place of whatever a process left
    /// there that ended without tidying up. Its directory must be there.
    pub fn listen(path: &Utf8Path, mode: u32) -> Result<Self, HostError> {
        let fail = |error| HostError::of("listen on", path, error);
        let name = path.file_name().ok_or_else(|| fail(io::ErrorKind::InvalidInput.into()))?;
        // Made under another name, so that nobody finds it before it has its mode.
        let new = path.with_file_name(format!("{TEMPORARY}{name}"));
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&new).map_err(fail)?;
        listener.set_nonblocking(true).map_err(fail)?;
        fs::set_permissions(&new, Permissions::from_mode(mode)).map_err(fail)?;
        fs::rename(&new, path).map_err(fail)?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// The socket for whoever waits for connections; does not block.
    pub fn listener(&self) -> Result<UnixListener, HostError> {
        self.listener.try_clone().map_err(|error| HostError::of("listen on", &self.path, error))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A name that stays leads nowhere, and the next start replaces it.
        let _ = fs::remove_file(&self.path);
    }
}

/// A connection to a socket, or `None` when nobody listens there.
pub fn connect(path: &Utf8Path) -> Result<Option<UnixStream>, HostError> {
    match UnixStream::connect(path) {
        Ok(stream) => Ok(Some(stream)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(HostError::of("connect to", path, error)),
    }
}
