//! The envelope of an SSH signature: OpenSSH's PROTOCOL.sshsig, in the one form in which
//! ssh-keygen writes it.

use base64ct::{Base64, Encoding};
use ssh_key::HashAlg;

use super::SignatureError;

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
/// How many characters of base64 stand in a line.
const WIDTH: usize = 70;
const PREAMBLE: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;

/// What a signature says of itself.
pub(super) struct Envelope {
    /// The type of the key.
    pub(super) kind: String,
    /// The key, in the form of a public key.
    pub(super) key: Vec<u8>,
    /// What the signature was made for.
    pub(super) namespace: String,
    /// The hash of what was signed.
    pub(super) hash: HashAlg,
    /// The signature itself, of the form of its type.
    pub(super) signature: Vec<u8>,
}

impl Envelope {
    /// Reads the armour and what is in it. No byte can be added, left out or written in
    /// another way.
    pub(super) fn read(text: &str) -> Result<Self, SignatureError> {
        let bytes = dearmour(text)?;
        let mut wire = Wire(&bytes);
        if wire.take(PREAMBLE.len()) != Some(PREAMBLE) {
            return Err(malformed("it does not begin with `SSHSIG`"));
        }
        match wire.number() {
            Some(VERSION) => {}
            Some(other) => return Err(malformed(format!("it is of version {other}"))),
            None => return Err(malformed("it is cut off")),
        }
        let mut string = || wire.string().ok_or_else(|| malformed("it is cut off"));
        let (key, namespace, reserved) = (string()?, string()?, string()?);
        let (hash, signature) = (string()?, string()?);
        wire.end()?;
        if !reserved.is_empty() {
            return Err(malformed("it holds something of another version"));
        }
        let hash = match hash {
            b"sha256" => HashAlg::Sha256,
            b"sha512" => HashAlg::Sha512,
            _ => return Err(malformed("it uses another hash than SHA-2")),
        };
        let kind = Wire(key).string().ok_or_else(|| malformed("its key is cut off"))?;
        Ok(Self {
            kind: String::from_utf8_lossy(kind).into_owned(),
            key: key.to_vec(),
            namespace: String::from_utf8_lossy(namespace).into_owned(),
            hash,
            signature: signature.to_vec(),
        })
    }
}

fn dearmour(text: &str) -> Result<Vec<u8>, SignatureError> {
    let form = || malformed("it is not written in ssh's form");
    let body = text.strip_prefix(BEGIN).and_then(|body| body.strip_prefix('\n'));
    let body = body.and_then(|body| body.strip_suffix(END)?.strip_suffix('\n')).ok_or_else(form)?;
    let lines: Vec<&str> = body.split('\n').collect();
    let (last, full) = lines.split_last().ok_or_else(form)?;
    if full.iter().any(|line| line.len() != WIDTH) || !(1..=WIDTH).contains(&last.len()) {
        return Err(form());
    }
    Base64::decode_vec(&lines.concat()).map_err(|_| form())
}

/// What takes strings of SSH's wire format (RFC 4251, section 5) off the front of bytes.
pub(super) struct Wire<'a>(pub(super) &'a [u8]);

impl<'a> Wire<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }

    pub(super) fn end(self) -> Result<(), SignatureError> {
        if self.0.is_empty() { Ok(()) } else { Err(malformed("something follows it")) }
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
}

pub(super) fn malformed(why: impl Into<String>) -> SignatureError {
    SignatureError::Malformed(why.into())
}
