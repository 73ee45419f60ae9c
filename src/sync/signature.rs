//! SSH signatures over commits, in the form of OpenSSH's PROTOCOL.sshsig.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, LineEnding, PublicKey, SshSig};
use thiserror::Error;

use super::commit::Commit;
use crate::declare::policy::NAMESPACE;

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";

/// The key whose signature over a commit is good. Says nothing of whose key it is.
///
/// Nor does it say that the commit's id is the only one. An ed25519 signature has no
/// twin, but of an ECDSA signature `(r, s)` anybody can make `(r, n - s)`, which is good
/// as well: the same commit in all but its signature, under a second id. It says nothing
/// that its signer did not sign. On a node that accepted the one, the other is a branch
/// that was rewritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBy {
    /// The key.
    pub key: KeyData,
    /// Its fingerprint.
    pub fingerprint: KeyFingerprint,
}

/// Why a commit bears no good signature.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// There is none.
    #[error("it is not signed")]
    Unsigned,
    /// It is a signature that this version does not verify.
    #[error("it is signed with {0}, which this version does not verify")]
    Unsupported(String),
    /// It cannot be read.
    #[error("its signature cannot be read: {0}")]
    Malformed(String),
    /// It was made for something else than git.
    #[error("its signature was made for `{}`, not for `{NAMESPACE}`", .0.escape_debug())]
    Namespace(String),
    /// It is not over this commit.
    #[error("its signature by {0} is not over this commit")]
    Wrong(KeyFingerprint),
}

/// Verifies the signature of a commit.
pub fn verify(commit: &Commit<'_>) -> Result<SignedBy, SignatureError> {
    let text = commit.signature().ok_or(SignatureError::Unsigned)?;
    if !text.starts_with(BEGIN) {
        return Err(match text.lines().next().unwrap_or_default() {
            "-----BEGIN PGP SIGNATURE-----" => SignatureError::Unsupported("OpenPGP".to_owned()),
            "-----BEGIN SIGNED MESSAGE-----" => SignatureError::Unsupported("X.509".to_owned()),
            _ => SignatureError::Malformed("it is no SSH signature".to_owned()),
        });
    }
    let malformed = |error: ssh_key::Error| SignatureError::Malformed(error.to_string());
    let signature = SshSig::from_pem(&text).map_err(malformed)?;
    // One signature is written in one way, so that its armour cannot be varied to give a
    // signed commit another id. For ECDSA that leaves two ids, see [`SignedBy`].
    let again = signature.to_pem(LineEnding::LF).map_err(malformed)?;
    if again.strip_suffix('\n').unwrap_or(&again) != text {
        return Err(SignatureError::Malformed("it is not written in ssh's form".to_owned()));
    }
    let key = signature.public_key();
    if !is_verified(&key.algorithm()) {
        let kind = format!("a key of type `{}`", key.algorithm().as_str().escape_debug());
        return Err(SignatureError::Unsupported(kind));
    }
    if signature.version() != SshSig::VERSION || !signature.reserved().is_empty() {
        return Err(SignatureError::Malformed("it is of another version".to_owned()));
    }
    if signature.algorithm() != key.algorithm() {
        return Err(SignatureError::Malformed("key and signature are of two types".to_owned()));
    }
    if !matches!(signature.hash_alg(), HashAlg::Sha256 | HashAlg::Sha512) {
        return Err(SignatureError::Malformed("it uses another hash than SHA-2".to_owned()));
    }
    if signature.namespace() != NAMESPACE {
        return Err(SignatureError::Namespace(signature.namespace().chars().take(80).collect()));
    }
    let fingerprint = KeyFingerprint::of(key);
    PublicKey::from(key.clone())
        .verify(NAMESPACE, &commit.payload(), &signature)
        .map_err(|_| SignatureError::Wrong(fingerprint))?;
    Ok(SignedBy { key: key.clone(), fingerprint })
}

fn is_verified(algorithm: &Algorithm) -> bool {
    matches!(
        algorithm,
        Algorithm::Ed25519
            | Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 | EcdsaCurve::NistP384 }
    )
}

/// The SHA-256 fingerprint of an SSH key, written `SHA256:…` as `ssh-keygen -l` does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyFingerprint([u8; 32]);

/// A text that is no fingerprint of a key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{}` is not the fingerprint of a key (`SHA256:` and 43 characters, as `ssh-keygen -l` prints it)", .0.escape_debug())]
pub struct BadKeyFingerprint(String);

impl KeyFingerprint {
    /// The fingerprint of a key.
    pub fn of(key: &KeyData) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(key.fingerprint(HashAlg::Sha256).as_bytes());
        Self(bytes)
    }
}

impl FromStr for KeyFingerprint {
    type Err = BadKeyFingerprint;

    fn from_str(text: &str) -> Result<Self, BadKeyFingerprint> {
        let read = text.parse::<ssh_key::Fingerprint>().ok().and_then(ssh_key::Fingerprint::sha256);
        read.map(Self)
            .filter(|fingerprint| fingerprint.to_string() == text)
            .ok_or_else(|| BadKeyFingerprint(text.chars().take(80).collect()))
    }
}

impl TryFrom<String> for KeyFingerprint {
    type Error = BadKeyFingerprint;

    fn try_from(text: String) -> Result<Self, BadKeyFingerprint> {
        text.parse()
    }
}

impl From<KeyFingerprint> for String {
    fn from(fingerprint: KeyFingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&ssh_key::Fingerprint::Sha256(self.0), f)
    }
}

impl fmt::Debug for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
