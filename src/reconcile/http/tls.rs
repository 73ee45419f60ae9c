//! How a server proves that it is the right one.

use std::pin::Pin;

use openssl::hash::MessageDigest;
use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::store::{HashDir, X509Lookup, X509Store, X509StoreBuilder};
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509VerifyResult};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::HttpError;
use crate::value::Fingerprint;

/// Where Debian keeps the authorities of the system, under names that OpenSSL finds them by.
const SYSTEM: &str = "/etc/ssl/certs";

/// Which certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those of the system's authorities, for the host of the URL.
    System,
    /// Those of these authorities alone (PEM), for the host of the URL.
    Authorities(String),
    /// The one with this SHA-256, whoever made it and for whatever host and time.
    Pinned(Fingerprint),
}

/// TLS to a server that must prove itself.
pub(super) struct Tls {
    connector: SslConnector,
    pin: Option<Fingerprint>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("pin", &self.pin).finish_non_exhaustive()
    }
}

impl Tls {
    pub(super) fn new(trust: &Trust) -> Result<Self, HttpError> {
        let unusable = |e: &dyn std::fmt::Display| HttpError::Unusable(format!("TLS: {e}"));
        let builder = SslConnector::builder(SslMethod::tls_client());
        let mut builder = builder.map_err(|e| unusable(&e))?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_2)).map_err(|e| unusable(&e))?;
        // Also where one is pinned, so that OpenSSL's defaults, which the environment may
        // change, never count.
        builder.set_cert_store(store(trust)?);
        let pin = match trust {
            Trust::Pinned(fingerprint) => {
                // Compared in `connect`, before anything is sent.
                builder.set_verify(SslVerifyMode::NONE);
                Some(fingerprint.clone())
            }
            Trust::System | Trust::Authorities(_) => None,
        };
        Ok(Self { connector: builder.build(), pin })
    }

    /// TLS with a server that has proven itself.
    pub(super) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<SslStream<TcpStream>, HttpError> {
        let unreachable = |e: &dyn std::fmt::Display| HttpError::Unreachable(format!("TLS: {e}"));
        let mut configuration = self.connector.configure().map_err(|e| unreachable(&e))?;
        configuration.set_verify_hostname(self.pin.is_none());
        let ssl = configuration.into_ssl(host).map_err(|e| unreachable(&e))?;
        let mut stream = SslStream::new(ssl, stream).map_err(|e| unreachable(&e))?;
        let shaken = Pin::new(&mut stream).connect().await;
        if let Err(error) = shaken {
            let verified = stream.ssl().verify_result();
            if self.pin.is_none() && verified != X509VerifyResult::OK {
                return Err(HttpError::Certificate(verified.error_string().to_owned()));
            }
            return Err(unreachable(&error));
        }
        if let Some(pin) = &self.pin {
            let certificate = stream.ssl().peer_certificate();
            let shown = certificate.and_then(|shown| shown.digest(MessageDigest::sha256()).ok());
            let shown = shown.map(|digest| written(&digest)).unwrap_or_default();
            if !shown.eq_ignore_ascii_case(pin.as_str()) {
                let why = format!("its fingerprint is {shown}, and pinned is {pin}");
                return Err(HttpError::Certificate(why));
            }
        }
        Ok(stream)
    }
}

fn store(trust: &Trust) -> Result<X509Store, HttpError> {
    let unusable = |e: &dyn std::fmt::Display| HttpError::Unusable(format!("TLS: {e}"));
    let mut store = X509StoreBuilder::new().map_err(|e| unusable(&e))?;
    match trust {
        Trust::System => {
            let lookup = store.add_lookup::<HashDir>(X509Lookup::hash_dir());
            let lookup = lookup.map_err(|e| unusable(&e))?;
            lookup.add_dir(SYSTEM, SslFiletype::PEM).map_err(|e| unusable(&e))?;
        }
        Trust::Authorities(pem) => {
            let found = X509::stack_from_pem(pem.as_bytes()).unwrap_or_default();
            if found.is_empty() {
                let why = "the file of authorities holds no certificate in PEM form";
                return Err(HttpError::Unusable(why.to_owned()));
            }
            for certificate in found {
                store.add_cert(certificate).map_err(|e| unusable(&e))?;
            }
            // Who is named as an authority is one, whoever is above.
            store.set_flags(X509VerifyFlags::PARTIAL_CHAIN).map_err(|e| unusable(&e))?;
        }
        Trust::Pinned(_) => {}
    }
    Ok(store.build())
}

fn written(digest: &[u8]) -> String {
    let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}
