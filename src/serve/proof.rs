//! Whether a webhook comes from who knows its secret. Decided from the raw bytes,
//! before anything reads them, and in a time that tells nothing of the secret.

use axum::http::HeaderMap;
use base64ct::{Base64, Encoding as _};
use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq as _;

use crate::agent::hook::{HookKeys, Provider};

/// How far a signed time may be from ours, in seconds, to either side.
pub const SKEW: i64 = 300;
/// How many signatures of one delivery are looked at: one for each key in use.
const MAX_SIGNATURES: usize = 8;
/// The longest name of a delivery that is signed along, in bytes.
const MAX_ID: usize = 256;
/// How Standard Webhooks mark a key that is written in base 64.
const KEY_MARK: &[u8] = b"whsec_";

/// Whether any of a webhook's secrets proves a delivery.
pub fn proves(keys: &HookKeys, headers: &HeaderMap, body: &[u8], now: Timestamp) -> bool {
    // All secrets are tried, so that the time does not say which one it was.
    keys.secrets
        .iter()
        .fold(false, |proven, secret| proven | proven_by(keys.provider, secret, headers, body, now))
}

fn proven_by(
    provider: Provider,
    secret: &SecretSlice<u8>,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> bool {
    let secret = secret.expose_secret();
    // Gitea and its like sign with the empty key where there is no secret.
    if secret.is_empty() {
        return false;
    }
    let hex = |name: &str| {
        only(headers, name).is_some_and(|hex| hex_signed::<Hmac<Sha256>>(secret, hex, body))
    };
    let here = |name: &str| headers.contains_key(name);
    match provider {
        // Where Forgejo signs under its own name, that alone counts.
        Provider::Forgejo if here("x-forgejo-signature") => hex("x-forgejo-signature"),
        Provider::Gitea | Provider::Forgejo => hex("x-gitea-signature"),
        // A signing key is never sent in clear, so it is no token.
        Provider::Gitlab if secret.starts_with(KEY_MARK) => standard(secret, headers, body, now),
        Provider::Gitlab => {
            only(headers, "x-gitlab-token").is_some_and(|token| same(token, secret))
        }
        Provider::Generic if here("webhook-signature") => standard(secret, headers, body, now),
        Provider::Generic if here("x-signature") => prefixed(headers, "x-signature", secret, body),
        Provider::Github | Provider::Generic => {
            prefixed(headers, "x-hub-signature-256", secret, body)
        }
    }
}

/// The value of a header that stands once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then(|| first.as_bytes())
}

/// `sha256=` or `sha512=` and the signature in base 16. SHA-1 is no signature.
fn prefixed(headers: &HeaderMap, name: &str, secret: &[u8], body: &[u8]) -> bool {
    let Some(value) = only(headers, name) else { return false };
    if let Some(hex) = value.strip_prefix(b"sha256=") {
        hex_signed::<Hmac<Sha256>>(secret, hex, body)
    } else if let Some(hex) = value.strip_prefix(b"sha512=") {
        hex_signed::<Hmac<Sha512>>(secret, hex, body)
    } else {
        false
    }
}

fn hex_signed<M: Mac + KeyInit>(key: &[u8], hex: &[u8], body: &[u8]) -> bool {
    let Some(signature) = unhex(hex) else { return false };
    let Ok(mac) = <M as Mac>::new_from_slice(key) else { return false };
    // Compares in constant time, and refuses another length.
    mac.chain_update(body).verify_slice(&signature).is_ok()
}

fn unhex(hex: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if hex.is_empty() || !hex.len().is_multiple_of(2) || hex.len() > 128 {
        return None;
    }
    hex.chunks_exact(2)
        .map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?))
        .collect()
}

/// Whether two texts are the same, in a time that depends on neither: their lengths
/// are hidden by the digests.
fn same(token: &[u8], secret: &[u8]) -> bool {
    Sha256::digest(token).ct_eq(&Sha256::digest(secret)).into()
}

/// Standard Webhooks: a signature over `id.timestamp.body`, made at most [`SKEW`]
/// seconds ago.
fn standard(secret: &[u8], headers: &HeaderMap, body: &[u8], now: Timestamp) -> bool {
    let (Some(id), Some(time), Some(signatures)) = (
        only(headers, "webhook-id").filter(|id| !id.is_empty() && id.len() <= MAX_ID),
        only(headers, "webhook-timestamp"),
        only(headers, "webhook-signature"),
    ) else {
        return false;
    };
    let Some(seconds) = seconds(time) else { return false };
    if now.as_second().abs_diff(seconds) > SKEW.unsigned_abs() {
        return false;
    }
    let decoded;
    let key = match secret.strip_prefix(KEY_MARK) {
        None => secret,
        Some(text) => {
            let Ok(text) = std::str::from_utf8(text) else { return false };
            let Ok(bytes) = Base64::decode_vec(text) else { return false };
            decoded = SecretSlice::from(bytes);
            decoded.expose_secret()
        }
    };
    let Ok(mac) = <Hmac<Sha256> as Mac>::new_from_slice(key) else { return false };
    let mac = mac
        .chain_update(id)
        .chain_update(b".")
        .chain_update(time)
        .chain_update(b".")
        .chain_update(body);
    signatures
        .split(|byte| *byte == b' ')
        .take(MAX_SIGNATURES)
        .fold(false, |proven, signature| proven | signature_matches(mac.clone(), signature))
}

fn signature_matches(mac: Hmac<Sha256>, signature: &[u8]) -> bool {
    let mut bytes = [0; 32];
    let decoded = signature
        .strip_prefix(b"v1,")
        .and_then(|text| Base64::decode(text, &mut bytes).ok())
        .filter(|decoded| decoded.len() == 32);
    decoded.is_some_and(|decoded| mac.verify_slice(decoded).is_ok())
}

/// Seconds since 1970 in plain digits.
fn seconds(text: &[u8]) -> Option<i64> {
    if text.len() > 12 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}
