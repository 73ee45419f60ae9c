//! The key that signs what this node publishes.

use std::fmt;

use ssh_key::{HashAlg, LineEnding, PrivateKey};
use thiserror::Error;

use crate::declare::policy::NAMESPACE;
use crate::sync::signature::KeyFingerprint;
use crate::value::Secret;

/// A private key of this node. Shows its fingerprint and nothing else.
pub struct SigningKey(PrivateKey);

/// Why a key does not sign.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SigningKeyError {
    /// It cannot be read.
    #[error("it is no private key in the format of OpenSSH: {0}")]
    Malformed(String),
    /// A passphrase protects it, and nobody is there who could type it.
    #[error("it is protected by a passphrase; a node signs with a key without one")]
    Encrypted,
    /// It did not sign.
    #[error("it signs nothing: {0}")]
    Refused(String),
}

impl SigningKey {
    /// Reads a private key as `ssh-keygen` writes it.
    pub fn read(text: &Secret) -> Result<Self, SigningKeyError> {
        let key = PrivateKey::from_openssh(text.expose().as_bytes())
            .map_err(|error| SigningKeyError::Malformed(error.to_string()))?;
        if key.is_encrypted() { Err(SigningKeyError::Encrypted) } else { Ok(Self(key)) }
    }

    /// The fingerprint of its public half.
    pub fn fingerprint(&self) -> KeyFingerprint {
        KeyFingerprint::of(self.0.public_key().key_data())
    }

    /// The signature over a commit without one, as git keeps it: lines joined by LF.
    pub(super) fn sign(&self, payload: &[u8]) -> Result<String, SigningKeyError> {
        let refused = |error: ssh_key::Error| SigningKeyError::Refused(error.to_string());
        let signature = self.0.sign(NAMESPACE, HashAlg::Sha512, payload).map_err(refused)?;
        let text = signature.to_pem(LineEnding::LF).map_err(refused)?;
        Ok(text.trim_end().to_owned())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.fingerprint()).finish()
    }
}
