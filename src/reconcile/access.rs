//! What lets in to a server, and whom it must be.

use super::http::{Bounds, Client, Credential, HttpError, Trust};
use crate::value::{Fingerprint, HttpUrl, Secret, ServiceUrl};

/// What lets in to one server.
#[derive(Clone, Debug)]
pub struct Access {
    /// The key or token of its API.
    pub secret: Secret,
    /// Its authorities (PEM), where the system's do not count. A fingerprint that is
    /// declared counts more.
    pub authorities: Option<String>,
}

/// A client of a server that is declared.
///
/// # Errors
/// The URL, the credential or the authorities cannot be used.
pub(super) fn client(
    (url, fingerprint): (&ServiceUrl, Option<&Fingerprint>),
    authorities: Option<String>,
    credential: Credential,
    bounds: Bounds,
) -> Result<Client, HttpError> {
    let url: HttpUrl = url
        .as_str()
        .parse()
        .map_err(|e| HttpError::Unusable(format!("its URL cannot be used: {e}")))?;
    let trust = match (fingerprint, authorities) {
        (Some(fingerprint), _) => Trust::Pinned(fingerprint.clone()),
        (None, Some(authorities)) => Trust::Authorities(authorities),
        (None, None) => Trust::System,
    };
    Client::new(url, &trust, credential, bounds)
}
