//! SSH signatures taken apart and put together by hand, and keys of which the tests hold
//! what a device would hide.

use std::fmt::Write as _;

use base64ct::{Base64, Encoding};
use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::ec::{EcGroup, EcKey, PointConversionForm};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Rsa;
use openssl::sha::{sha256, sha512};
use openssl::sign::Signer;

/// A string of SSH's wire format.
pub(super) fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let length = u32::try_from(bytes.len()).expect("short");
    [&length.to_be_bytes()[..], bytes].concat()
}

/// A positive number of SSH's wire format.
pub(super) fn number(number: &BigNumRef) -> Vec<u8> {
    let mut bytes = number.to_vec();
    if bytes.first().is_some_and(|byte| *byte >= 0x80) {
        bytes.insert(0, 0);
    }
    string(bytes)
}

/// The string at the front of bytes, and what follows.
pub(super) fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let length = u32::from_be_bytes(bytes[..4].try_into().expect("four bytes"));
    bytes[4..].split_at(usize::try_from(length).expect("short"))
}

/// What stands in the armour of a signature.
#[derive(Clone)]
pub(super) struct Envelope {
    pub(super) version: u32,
    pub(super) key: Vec<u8>,
    pub(super) namespace: String,
    pub(super) reserved: Vec<u8>,
    pub(super) hash: String,
    pub(super) signature: Vec<u8>,
    pub(super) rest: Vec<u8>,
}

impl Envelope {
    pub(super) fn new(key: Vec<u8>, signature: Vec<u8>) -> Self {
        let (namespace, hash) = ("git".to_owned(), "sha512".to_owned());
        let (reserved, rest) = (Vec::new(), Vec::new());
        Self { version: 1, key, namespace, reserved, hash, signature, rest }
    }

    pub(super) fn read(text: &str) -> Self {
        let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        let bytes = Base64::decode_vec(&body).expect("base64");
        let rest = bytes.strip_prefix(b"SSHSIG\0\0\0\x01").expect("a signature");
        let (key, rest) = split(rest);
        let (namespace, rest) = split(rest);
        let (_, rest) = split(rest);
        let (hash, rest) = split(rest);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        let (namespace, hash) = (text(namespace), text(hash));
        Self { namespace, hash, ..Self::new(key.to_vec(), split(rest).0.to_vec()) }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"SSHSIG".to_vec();
        bytes.extend(self.version.to_be_bytes());
        bytes.extend(string(&self.key));
        bytes.extend(string(&self.namespace));
        bytes.extend(string(&self.reserved));
        bytes.extend(string(&self.hash));
        bytes.extend(string(&self.signature));
        bytes.extend(&self.rest);
        bytes
    }

    pub(super) fn text(&self) -> String {
        armour(&self.bytes())
    }
}

/// As ssh-keygen writes it, without the last line end.
pub(super) fn armour(bytes: &[u8]) -> String {
    let mut text = "-----BEGIN SSH SIGNATURE-----\n".to_owned();
    for line in Base64::encode_string(bytes).as_bytes().chunks(70) {
        writeln!(text, "{}", std::str::from_utf8(line).expect("text")).expect("written");
    }
    text + "-----END SSH SIGNATURE-----"
}

/// What a key signs for a message in the namespace `git`, with SHA-512.
pub(super) fn signed_data(message: &[u8]) -> Vec<u8> {
    let mut data = b"SSHSIG".to_vec();
    for part in [&b"git"[..], b"", b"sha512", &sha512(message)] {
        data.extend(string(part));
    }
    data
}

/// A raw commit without a signature, with this one.
pub(super) fn with_signature(unsigned: &str, signature: &str) -> String {
    let block = signature.replace('\n', "\n ");
    unsigned.replacen("\n\n", &format!("\ngpgsig {block}\n\n"), 1)
}

/// A raw commit in two: without its signature, and the signature.
pub(super) fn without_signature(commit: &str) -> (String, String) {
    let start = commit.find("gpgsig ").expect("a signature");
    let end = start + commit[start..].find("\n\n").expect("an end of the header");
    let signature = commit[start..end].trim_start_matches("gpgsig ").replace("\n ", "\n");
    (format!("{}{}", &commit[..start], &commit[end + 1..]), signature)
}

/// The second signature that anybody can make of an ECDSA signature: `n - s`.
pub(super) fn twin(commit: &str) -> String {
    let (unsigned, signature) = without_signature(commit);
    let mut envelope = Envelope::read(&signature);
    let (kind, rest) = split(&envelope.signature);
    let (numbers, tail) = split(rest);
    let curve = match std::str::from_utf8(kind).expect("text") {
        "ecdsa-sha2-nistp384" => Nid::SECP384R1,
        "ecdsa-sha2-nistp521" => Nid::SECP521R1,
        _ => Nid::X9_62_PRIME256V1,
    };
    let (r, rest) = split(numbers);
    let (s, _) = split(rest);
    let mut order = BigNum::new().expect("a number");
    let mut context = BigNumContext::new().expect("a context");
    let group = EcGroup::from_curve_name(curve).expect("a curve");
    group.order(&mut order, &mut context).expect("an order");
    let s = &order - &BigNum::from_slice(s).expect("a number");
    let numbers = [string(r), number(&s)].concat();
    envelope.signature = [string(kind), string(numbers), tail.to_vec()].concat();
    with_signature(&unsigned, &envelope.text())
}

/// A hardware key whose device is software: PROTOCOL.u2f of OpenSSH.
pub(super) struct Token {
    key: PKey<Private>,
    pub(super) application: String,
}

/// What a device says when it signs.
#[derive(Clone, Copy)]
pub(super) struct Said {
    pub(super) flags: u8,
    pub(super) counter: u32,
}

impl Said {
    /// Somebody was there.
    pub(super) const TOUCHED: Self = Self { flags: 1, counter: 9 };
}

impl Token {
    pub(super) fn ed25519() -> Self {
        Self { key: PKey::generate_ed25519().expect("a key"), application: "ssh:".to_owned() }
    }

    pub(super) fn ecdsa() -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
        let key = PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key");
        Self { key, application: "ssh:".to_owned() }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self.key.id() {
            Id::ED25519 => "sk-ssh-ed25519@openssh.com",
            _ => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    pub(super) fn public(&self) -> Vec<u8> {
        let mut bytes = string(self.kind());
        if self.key.id() == Id::ED25519 {
            bytes.extend(string(self.key.raw_public_key().expect("a key")));
        } else {
            let key = self.key.ec_key().expect("a key");
            let mut context = BigNumContext::new().expect("a context");
            let form = PointConversionForm::UNCOMPRESSED;
            let point = key.public_key().to_bytes(key.group(), form, &mut context);
            bytes.extend(string("nistp256"));
            bytes.extend(string(point.expect("a point")));
        }
        bytes.extend(string(&self.application));
        bytes
    }

    /// `TYPE KEY`, as in a `.pub` file.
    pub(super) fn line(&self) -> String {
        line(&self.public())
    }

    pub(super) fn sign(&self, message: &[u8], said: Said) -> Envelope {
        let Said { flags, counter } = said;
        let mut data = sha256(self.application.as_bytes()).to_vec();
        data.push(flags);
        data.extend(counter.to_be_bytes());
        data.extend(sha256(&signed_data(message)));
        let signature = if self.key.id() == Id::ED25519 {
            let mut signer = Signer::new_without_digest(&self.key).expect("a signer");
            signer.sign_oneshot_to_vec(&data).expect("signed")
        } else {
            let key = self.key.ec_key().expect("a key");
            let signature = EcdsaSig::sign(&sha256(&data), &key).expect("signed");
            [number(signature.r()), number(signature.s())].concat()
        };
        let mut all = [string(self.kind()), string(signature)].concat();
        all.push(flags);
        all.extend(counter.to_be_bytes());
        Envelope::new(self.public(), all)
    }
}

/// An RSA key, and how it signs.
pub(super) struct RsaKey(PKey<Private>);

impl RsaKey {
    pub(super) fn new(bits: u32) -> Self {
        Self(PKey::from_rsa(Rsa::generate(bits).expect("a key")).expect("a key"))
    }

    pub(super) fn public(&self) -> Vec<u8> {
        let key = self.0.rsa().expect("a key");
        [string("ssh-rsa"), number(key.e()), number(key.n())].concat()
    }

    /// The number that is the signature, as long as the key.
    pub(super) fn sign(&self, message: &[u8], digest: MessageDigest) -> Vec<u8> {
        let mut signer = Signer::new(digest, &self.0).expect("a signer");
        signer.sign_oneshot_to_vec(&signed_data(message)).expect("signed")
    }

    pub(super) fn envelope(&self, kind: &str, number: &[u8]) -> Envelope {
        Envelope::new(self.public(), [string(kind), string(number)].concat())
    }
}

/// `TYPE KEY` of a key, as in a `.pub` file.
pub(super) fn line(public: &[u8]) -> String {
    let kind = std::str::from_utf8(split(public).0).expect("text");
    format!("{kind} {}", Base64::encode_string(public))
}
