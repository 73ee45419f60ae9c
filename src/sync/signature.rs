//! SSH signatures over commits, in the form of OpenSSH's PROTOCOL.sshsig.

mod envelope;

use std::fmt;
use std::str::FromStr;

use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::sign::Verifier;
use serde::{Deserialize, Serialize};
use ssh_key::public::{KeyData, RsaPublicKey};
use ssh_key::{Algorithm, HashAlg, Mpint, PublicKey, Signature, SshSig};
use thiserror::Error;

use self::envelope::{Envelope, Wire, malformed};
use super::commit::Commit;
use crate::declare::policy::NAMESPACE;
use crate::declare::signers::key::{self, KeyError};

/// The flag of a FIDO signature that says that somebody touched the device (`WebAuthn`,
/// section 6.1). Without it, whoever is in the computer signs while its owner is away.
const USER_PRESENT: u8 = 0x01;

/// The key whose signature over a commit is good. Says nothing of whose key it is.
///
/// Nor does it say that the commit's id is the only one. Signatures of ed25519 and RSA have
/// no twin, but of an ECDSA signature `(r, s)`, by a hardware key too, anybody can make
/// `(r, n - s)`, which is good as well: the same commit in all but its signature, under a
/// second id. It says nothing that its signer did not sign; `history` says what becomes of
/// it.
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
    /// It is of a kind that is not accepted.
    #[error("it is signed with {0}, which is not accepted")]
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
    match text.lines().next().unwrap_or_default() {
        "-----BEGIN PGP SIGNATURE-----" => return Err(unsupported("OpenPGP")),
        "-----BEGIN SIGNED MESSAGE-----" => return Err(unsupported("X.509")),
        _ => {}
    }
    let envelope = Envelope::read(&text)?;
    if envelope.namespace != NAMESPACE {
        return Err(SignatureError::Namespace(envelope.namespace.chars().take(80).collect()));
    }
    let key = key::read(&envelope.kind, &envelope.key).map_err(|error| match error {
        KeyError::Malformed(_) => malformed(format!("it names {error}")),
        _ => SignatureError::Unsupported(error.to_string()),
    })?;
    let signature = signature(&key, &envelope)?;
    let fingerprint = KeyFingerprint::of(&key);
    let payload = commit.payload();
    let good = match &key {
        KeyData::Rsa(key) => SshSig::signed_data(NAMESPACE, envelope.hash, &payload)
            .is_ok_and(|signed| rsa(key, &signed, &signature).unwrap_or(false)),
        _ => SshSig::new(key.clone(), NAMESPACE, envelope.hash, signature).is_ok_and(|signed| {
            PublicKey::from(key.clone()).verify(NAMESPACE, &payload, &signed).is_ok()
        }),
    };
    if good { Ok(SignedBy { key, fingerprint }) } else { Err(SignatureError::Wrong(fingerprint)) }
}

/// The signature inside the envelope, of the type of its key and in the one form of it.
fn signature(key: &KeyData, envelope: &Envelope) -> Result<Signature, SignatureError> {
    let mut wire = Wire(&envelope.signature);
    let mut string = || wire.string().ok_or_else(|| malformed("it is cut off"));
    let (name, data) = (string()?, string()?);
    let mut data = data.to_vec();
    let algorithm = match (key, name) {
        (KeyData::Rsa(_), b"rsa-sha2-256") => Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
        (KeyData::Rsa(_), b"rsa-sha2-512") => Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
        (KeyData::Rsa(_), b"ssh-rsa") => return Err(unsupported("RSA and SHA-1")),
        (_, name) if name == envelope.kind.as_bytes() => key.algorithm(),
        _ => return Err(malformed("key and signature are of two types")),
    };
    match key {
        // PROTOCOL.u2f: flags and a counter behind the signature, which is over them too.
        KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_) => {
            let tail = wire.take(5).ok_or_else(|| malformed("it is cut off"))?;
            if tail[0] & USER_PRESENT == 0 {
                return Err(unsupported("a hardware key that nobody touched"));
            }
            data.extend(tail);
        }
        // RFC 8017, section 8.2.2, step 1. OpenSSH fills a shorter one up with zeros, which
        // would be a second form.
        KeyData::Rsa(key) if key.n.as_positive_bytes().map(<[u8]>::len) != Some(data.len()) => {
            return Err(malformed("it is not as long as its key"));
        }
        _ => {}
    }
    wire.end()?;
    Signature::new(algorithm, data).map_err(|error| malformed(error.to_string()))
}

/// RSASSA-PKCS1-v1_5 (RFC 8332).
fn rsa(
    key: &RsaPublicKey,
    signed: &[u8],
    signature: &Signature,
) -> Result<bool, openssl::error::ErrorStack> {
    let number = |number: &Mpint| BigNum::from_slice(number.as_bytes());
    let key = PKey::from_rsa(Rsa::from_public_components(number(&key.n)?, number(&key.e)?)?)?;
    let digest = match signature.algorithm() {
        Algorithm::Rsa { hash: Some(HashAlg::Sha256) } => MessageDigest::sha256(),
        _ => MessageDigest::sha512(),
    };
    Verifier::new(digest, &key)?.verify_oneshot(signature.as_bytes(), signed)
}

fn unsupported(what: &str) -> SignatureError {
    SignatureError::Unsupported(what.to_owned())
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
