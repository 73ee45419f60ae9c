//! Which keys can be signers.

use std::ops::RangeInclusive;

use ssh_key::PublicKey;
use ssh_key::public::{EcdsaPublicKey, KeyData};
use thiserror::Error;

/// The types of keys whose signatures are verified.
pub const TYPES: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];
/// The sizes of an RSA key that are verified, in bits: from 128 bits of strength (NIST SP
/// 800-57 part 1, table 2) to the largest that OpenSSH reads.
pub const RSA_BITS: RangeInclusive<usize> = 3072..=16384;

/// Why a key cannot be a signer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// A certificate, or a key that only counts with one.
    #[error("a certificate (`{0}`)")]
    Certificate(String),
    /// A type of key that is not verified.
    #[error("a key of type `{}`", .0.escape_debug())]
    Type(String),
    /// An RSA key outside [`RSA_BITS`].
    #[error("an RSA key of {bits} bits instead of {} to {}", RSA_BITS.start(), RSA_BITS.end())]
    RsaSize {
        /// The size of its modulus.
        bits: usize,
    },
    /// An RSA key whose exponent is none that ssh-keygen makes, such as 1, under which
    /// everybody can sign.
    #[error("an RSA key of an unusual exponent")]
    RsaExponent,
    /// A hardware key that was made for something else, such as a site of the web.
    #[error("a hardware key for `{}` instead of `ssh:`", .0.escape_debug())]
    Application(String),
    /// Bytes that are no key, or not as ssh writes them.
    #[error("a key that cannot be read ({0})")]
    Malformed(String),
}

/// Reads a key of a type, in the form of RFC 4253, section 6.6, that a `.pub` file has in
/// base64. Each key has one form that is read.
pub fn read(kind: &str, bytes: &[u8]) -> Result<KeyData, KeyError> {
    let short = || kind.chars().take(80).collect();
    if kind.ends_with("-cert-v01@openssh.com") {
        return Err(KeyError::Certificate(short()));
    }
    if !TYPES.contains(&kind) {
        return Err(KeyError::Type(short()));
    }
    let malformed = |error: ssh_key::Error| KeyError::Malformed(error.to_string());
    let key = PublicKey::from_bytes(bytes).map_err(malformed)?;
    if key.algorithm().as_str() != kind {
        let kind = key.algorithm();
        let message = format!("its type is `{}`", kind.as_str().escape_debug());
        return Err(KeyError::Malformed(message));
    }
    // The reader overlooks some wrong lengths. A key in two forms would be a signature in two
    // forms, and a commit under two ids.
    if key.to_bytes().map_err(malformed)? != bytes {
        return Err(KeyError::Malformed("it is not written in ssh's form".to_owned()));
    }
    let key = KeyData::from(key);
    let off_curve = || KeyError::Malformed("it is no point of its curve".to_owned());
    match &key {
        KeyData::Ecdsa(key) => is_point(key).then_some(()).ok_or_else(off_curve)?,
        KeyData::Rsa(key) => {
            let bits = bits(key.n.as_positive_bytes());
            if !RSA_BITS.contains(&bits) {
                return Err(KeyError::RsaSize { bits });
            }
            let exponent = key.e.as_positive_bytes().unwrap_or_default();
            let odd = exponent.last().is_some_and(|byte| byte % 2 == 1);
            if !odd || !(2..=32).contains(&self::bits(Some(exponent))) {
                return Err(KeyError::RsaExponent);
            }
        }
        KeyData::SkEd25519(key) => application(key.application())?,
        KeyData::SkEcdsaSha2NistP256(key) => {
            let point = EcdsaPublicKey::NistP256(*key.ec_point());
            is_point(&point).then_some(()).ok_or_else(off_curve)?;
            application(key.application())?;
        }
        _ => {}
    }
    Ok(key)
}

/// Uncompressed and on its curve, as OpenSSH demands.
fn is_point(key: &EcdsaPublicKey) -> bool {
    let bytes = key.as_sec1_bytes();
    let on_curve = match key {
        EcdsaPublicKey::NistP256(_) => p256::PublicKey::from_sec1_bytes(bytes).is_ok(),
        EcdsaPublicKey::NistP384(_) => p384::PublicKey::from_sec1_bytes(bytes).is_ok(),
        EcdsaPublicKey::NistP521(_) => p521::PublicKey::from_sec1_bytes(bytes).is_ok(),
    };
    on_curve && bytes.first() == Some(&4)
}

fn bits(number: Option<&[u8]>) -> usize {
    let number = number.unwrap_or_default();
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

/// ssh's own namespace of applications, ssh-keygen(1) on `-O application`. A key for a
/// site of the web signs what that site asks for.
fn application(name: &str) -> Result<(), KeyError> {
    let plain = name.starts_with("ssh:") && name.bytes().all(|byte| byte.is_ascii_graphic());
    if plain { Ok(()) } else { Err(KeyError::Application(name.chars().take(80).collect())) }
}
