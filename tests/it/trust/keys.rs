//! Whose signatures are verified, and in which form: against ssh-keygen's own verdict.

use std::path::Path;

use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use ssh_key::PublicKey;
use weft::sync::commit::parse;
use weft::sync::signature::{SignatureError, SignedBy, verify};

use super::repository::{Repository, make_key, output, program};
use super::sshsig::{
    Envelope, RsaKey, Said, Token, armour, line, number, split, string, twin, with_signature,
    without_signature,
};

const UNSIGNED: &str = "\
tree 227571d5effa3879ce204d04bec9e258618bfb08
author Alice <alice@example.org> 1795447191 +0000
committer Alice <alice@example.org> 1795447191 +0000

sdn: a change
";

fn check(signature: &str) -> Result<SignedBy, SignatureError> {
    let raw = with_signature(UNSIGNED, signature);
    verify(&parse(raw.as_bytes()).expect("the form of git"))
}

/// Whether ssh-keygen takes a signature over the unsigned commit as made by a key.
fn ssh_accepts(home: &Path, key: &str, signature: &str) -> bool {
    std::fs::write(home.join("signers"), format!("alice@x {key}\n")).expect("written");
    std::fs::write(home.join("sig"), format!("{signature}\n")).expect("written");
    std::fs::write(home.join("message"), UNSIGNED).expect("written");
    program("ssh-keygen", home)
        .args(["-Y", "verify", "-f", "signers", "-I", "alice@x", "-n", "git", "-s", "sig"])
        .stdin(std::fs::File::open(home.join("message")).expect("a file"))
        .output()
        .expect("ssh-keygen")
        .status
        .success()
}

/// What is said about a kind of signature that is not accepted.
fn unsupported(result: Result<SignedBy, SignatureError>) -> String {
    match result {
        Err(SignatureError::Unsupported(what)) => what,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn malformed(result: &Result<SignedBy, SignatureError>, why: &str) {
    let Err(SignatureError::Malformed(message)) = result else { panic!("{why}: {result:?}") };
    assert!(message.contains(why), "{why}: {message}");
}

#[test]
fn every_key_type_that_is_verified() {
    let repository = Repository::empty();
    for (name, kind, refused) in [
        ("p256", &["ecdsa", "-b", "256"][..], None),
        ("p384", &["ecdsa", "-b", "384"], None),
        ("p521", &["ecdsa", "-b", "521"], None),
        ("rsa3072", &["rsa", "-b", "3072"], None),
        ("rsa2048", &["rsa", "-b", "2048"], Some("an RSA key of 2048 bits instead of 3072")),
    ] {
        make_key(repository.home(), name, kind);
        let id = repository.commit(name, &[("a", name.as_bytes())]);
        let objects = repository.objects();
        let commit = parse(objects.bytes(id)).expect("the form of git");
        let signed = verify(&commit);
        match refused {
            None => assert_eq!(signed.expect(name).fingerprint, repository.fingerprint(name)),
            Some(message) => {
                let what = unsupported(signed);
                assert!(what.contains(message), "{name}: {what}");
            }
        }
        // It is over this commit and no other.
        let text = String::from_utf8(objects.bytes(id).to_vec()).expect("text");
        let changed = text.replace("sdn: a change", "sdn: another");
        if refused.is_none() {
            let result = verify(&parse(changed.as_bytes()).expect("the form of git"));
            assert_eq!(result, Err(SignatureError::Wrong(repository.fingerprint(name))));
        }
    }
}

/// Without this check, whoever controls a computer in which a hardware key is plugged
/// signs without its owner.
#[test]
fn a_hardware_key_counts_where_it_was_touched() {
    let directory = tempfile::tempdir().expect("a directory");
    let home = directory.path();
    for token in [Token::ed25519(), Token::ecdsa()] {
        let good = token.sign(UNSIGNED.as_bytes(), Said::TOUCHED);
        // That ssh-keygen takes it shows that these are signatures as a device makes them.
        assert!(ssh_accepts(home, &token.line(), &good.text()), "{}", token.kind());
        let signed = check(&good.text()).expect("good");
        let key = PublicKey::from_openssh(&token.line()).expect("a key");
        assert_eq!(&signed.key, key.key_data());

        // The owner was not only there but was recognised; and any other flag and counter.
        for said in [Said { flags: 5, counter: 0 }, Said { flags: 1, counter: u32::MAX }] {
            let envelope = token.sign(UNSIGNED.as_bytes(), said);
            assert!(check(&envelope.text()).is_ok());
            assert!(ssh_accepts(home, &token.line(), &envelope.text()));
        }
        for flags in [0, 4, 0xfe] {
            let said = Said { flags, counter: 9 };
            let untouched = token.sign(UNSIGNED.as_bytes(), said);
            assert_eq!(
                unsupported(check(&untouched.text())),
                "a hardware key that nobody touched",
                "{flags}"
            );
        }
        // What the device said is part of what it signed.
        let length = good.signature.len();
        for (at, value) in [(length - 5, 5), (length - 1, 10), (length - 4, 1)] {
            let mut altered = good.clone();
            altered.signature[at] = value;
            assert!(matches!(check(&altered.text()), Err(SignatureError::Wrong(_))), "{at}");
            assert!(!ssh_accepts(home, &token.line(), &altered.text()), "{at}");
        }
        let mut claimed = token.sign(UNSIGNED.as_bytes(), Said { flags: 0, counter: 9 });
        let flags = claimed.signature.len() - 5;
        claimed.signature[flags] = 1;
        assert!(matches!(check(&claimed.text()), Err(SignatureError::Wrong(_))));
        // Another commit.
        let other = token.sign(b"something else", Said::TOUCHED);
        assert!(matches!(check(&other.text()), Err(SignatureError::Wrong(_))));
        // Without what the device said, with more of it, and with something behind it.
        let mut cut = good.clone();
        cut.signature.truncate(length - 1);
        malformed(&check(&cut.text()), "cut off");
        let mut long = good.clone();
        long.signature.push(0);
        malformed(&check(&long.text()), "something follows");
    }
}

#[test]
fn a_hardware_key_is_of_its_application() {
    for mut token in [Token::ed25519(), Token::ecdsa()] {
        let good = token.sign(UNSIGNED.as_bytes(), Said::TOUCHED);
        token.application = "ssh:other".to_owned();
        assert!(check(&token.sign(UNSIGNED.as_bytes(), Said::TOUCHED).text()).is_ok());
        // Signed for another application than the key is for.
        let mixed = Envelope { key: token.public(), ..good };
        assert!(matches!(check(&mixed.text()), Err(SignatureError::Wrong(_))));
        // A key for the web: a site can have it sign.
        for application in ["https://example.org", "", "SSH:", "ssh:\0", "ssh: "] {
            token.application = application.to_owned();
            let envelope = token.sign(UNSIGNED.as_bytes(), Said::TOUCHED);
            let what = unsupported(check(&envelope.text()));
            assert!(what.contains("a hardware key for"), "{what}");
        }
    }
}

#[test]
fn rsa_signs_with_sha_2() {
    let directory = tempfile::tempdir().expect("a directory");
    let home = directory.path();
    let key = RsaKey::new(3072);
    let public = line(&key.public());
    for (kind, digest) in
        [("rsa-sha2-256", MessageDigest::sha256()), ("rsa-sha2-512", MessageDigest::sha512())]
    {
        let number = key.sign(UNSIGNED.as_bytes(), digest);
        let good = key.envelope(kind, &number).text();
        assert!(check(&good).is_ok() && ssh_accepts(home, &public, &good), "{kind}");
        // The one under the name of the other, and under one that says nothing of a hash.
        let other = if kind == "rsa-sha2-256" { "rsa-sha2-512" } else { "rsa-sha2-256" };
        let swapped = key.envelope(other, &number).text();
        assert!(matches!(check(&swapped), Err(SignatureError::Wrong(_))));
        let plain = key.envelope("ssh-rsa", &number).text();
        assert_eq!(unsupported(check(&plain)), "RSA and SHA-1");
        let mut altered = number;
        altered[200] ^= 1;
        let altered = key.envelope(kind, &altered).text();
        assert!(matches!(check(&altered), Err(SignatureError::Wrong(_))));
    }
    let number = key.sign(UNSIGNED.as_bytes(), MessageDigest::sha1());
    let sha1 = key.envelope("ssh-rsa", &number).text();
    assert_eq!(unsupported(check(&sha1)), "RSA and SHA-1");
    assert!(!ssh_accepts(home, &public, &sha1));
}

/// OpenSSH takes an RSA signature without its leading zeros: a second form of one
/// signature, and a second id of one commit.
#[test]
fn an_rsa_signature_has_one_form() {
    let directory = tempfile::tempdir().expect("a directory");
    let home = directory.path();
    let key = RsaKey::new(3072);
    let commit = |count: u32| UNSIGNED.replace("a change", &format!("change {count}"));
    let (text, number) = (0..20_000)
        .map(commit)
        .map(|text| (text.clone(), key.sign(text.as_bytes(), MessageDigest::sha512())))
        .find(|(_, number)| number[0] == 0)
        .expect("one in 256 begins with zero");
    let check = |number: &[u8]| {
        let signature = key.envelope("rsa-sha2-512", number).text();
        verify(&parse(with_signature(&text, &signature).as_bytes()).expect("the form of git"))
    };
    assert!(check(&number).is_ok());
    malformed(&check(&number[1..]), "not as long as its key");
    malformed(&check(&[&[0], &number[..]].concat()), "not as long as its key");
    // The same number modulo that of the key.
    let public = key.public();
    let modulus = BigNum::from_slice(split(split(split(&public).1).1).0).expect("a number");
    let sum = &modulus + &BigNum::from_slice(&number).expect("a number");
    assert!(matches!(check(&sum.to_vec()), Err(SignatureError::Wrong(_))));
    // That it would be taken otherwise.
    std::fs::write(home.join("message"), &text).expect("written");
    let short = key.envelope("rsa-sha2-512", &number[1..]).text();
    std::fs::write(home.join("sig"), format!("{short}\n")).expect("written");
    let arguments = ["-Y", "check-novalidate", "-n", "git", "-s", "sig"];
    output(
        program("ssh-keygen", home)
            .args(arguments)
            .stdin(std::fs::File::open(home.join("message")).expect("a file")),
    );
}

/// Under an exponent of one everybody can sign; one as long as the modulus takes long.
#[test]
fn an_rsa_key_has_a_usual_exponent() {
    let key = RsaKey::new(3072).public();
    let modulus = split(split(split(&key).1).1).0;
    for (exponent, good) in [
        (&[1, 0, 1][..], true),
        (&[3], true),
        (&[1], false),
        (&[], false),
        (&[2], false),
        (&[1, 0, 0], false),
        (&[1, 0, 0, 0, 1], false),
        (modulus, false),
    ] {
        let public = [string("ssh-rsa"), string(exponent), string(modulus)].concat();
        let result = check(&Envelope::new(public, string("rsa-sha2-512")).text());
        if good {
            malformed(&result, "cut off");
        } else {
            assert_eq!(unsupported(result), "an RSA key of an unusual exponent", "{exponent:?}");
        }
    }
}

#[test]
fn an_rsa_key_has_bounds() {
    let key = |first: u8, length: usize| {
        let mut modulus = vec![0; length];
        (modulus[0], modulus[length - 1]) = (first, 1);
        let modulus = BigNum::from_slice(&modulus).expect("a number");
        [string("ssh-rsa"), string([1, 0, 1]), number(&modulus)].concat()
    };
    for (first, length, refused) in [
        (0x7f, 384, Some(3071)),
        (0x80, 384, None),
        (0xff, 2048, None),
        (1, 2049, Some(16385)),
        (1, 1, Some(1)),
    ] {
        let result = check(&Envelope::new(key(first, length), string("rsa-sha2-512")).text());
        match refused {
            None => malformed(&result, "cut off"),
            Some(bits) => {
                let what = format!("an RSA key of {bits} bits instead of 3072 to 16384");
                assert_eq!(unsupported(result), what);
            }
        }
    }
}

#[test]
fn certificates_are_refused_by_name() {
    let repository = Repository::empty();
    let home = repository.home();
    make_key(home, "authority", &["ed25519"]);
    for (name, kind) in
        [("ed", &["ed25519"][..]), ("ec", &["ecdsa", "-b", "384"]), ("rs", &["rsa", "-b", "3072"])]
    {
        make_key(home, name, kind);
        let arguments = ["-q", "-s", "authority", "-I", "x", "-n", "someone@example.org"];
        output(program("ssh-keygen", home).args(arguments).arg(format!("{name}.pub")));
        // git signs with the certificate where there is one and it is asked to.
        let id = repository.commit(&format!("{name}-cert.pub"), &[("a", name.as_bytes())]);
        let objects = repository.objects();
        let commit = parse(objects.bytes(id)).expect("the form of git");
        let what = unsupported(verify(&commit));
        assert!(what.contains("a certificate (`") && what.contains("-cert-v01@"), "{what}");
    }
}

#[test]
fn an_ed25519_signature_has_one_form() {
    let repository = Repository::empty();
    let id = repository.commit("alice", &[("a", b"1")]);
    let objects = repository.objects();
    let text = String::from_utf8(objects.bytes(id).to_vec()).expect("text");
    let (unsigned, armoured) = without_signature(&text);
    let good = Envelope::read(&armoured);
    let check = |signature: &str| {
        let raw = with_signature(&unsigned, signature);
        verify(&parse(raw.as_bytes()).expect("the form of git"))
    };
    assert!(check(&good.text()).is_ok() && good.text() == armoured);

    let mut other = good.clone();
    other.version = 2;
    malformed(&check(&other.text()), "version 2");
    other.version = 0;
    malformed(&check(&other.text()), "version 0");
    for hash in ["sha1", "sha384", "SHA512", "sha512\0", ""] {
        let other = Envelope { hash: hash.to_owned(), ..good.clone() };
        malformed(&check(&other.text()), "another hash");
    }
    let other = Envelope { hash: "sha256".to_owned(), ..good.clone() };
    assert!(matches!(check(&other.text()), Err(SignatureError::Wrong(_))));
    let other = Envelope { reserved: vec![0], ..good.clone() };
    malformed(&check(&other.text()), "another version");
    let other = Envelope { rest: vec![0], ..good.clone() };
    malformed(&check(&other.text()), "something follows");
    for namespace in ["", "Git", "git\0", "gi", "git "] {
        let other = Envelope { namespace: namespace.to_owned(), ..good.clone() };
        assert_eq!(check(&other.text()), Err(SignatureError::Namespace(namespace.to_owned())));
    }
    let mut other = good.clone();
    other.key.push(0);
    malformed(&check(&other.text()), "it names a key that cannot be read");
    let mut other = good.clone();
    other.signature.push(0);
    malformed(&check(&other.text()), "something follows");
    // The length of the key's number.
    for at in 15..19 {
        let mut other = good.clone();
        other.key[at] ^= 6;
        malformed(&check(&other.text()), "it names a key that cannot be read");
    }
    // 65 bytes, and 63, in the place of 64.
    let (kind, rest) = split(&good.signature);
    let number = split(rest).0;
    for number in [[number, &[0]].concat(), number[1..].to_vec()] {
        let signature = [string(kind), string(number)].concat();
        assert!(matches!(
            check(&Envelope { signature, ..good.clone() }.text()),
            Err(SignatureError::Malformed(_))
        ));
    }
    // A key of one type and a signature of another.
    let signature = [string("ecdsa-sha2-nistp256"), rest.to_vec()].concat();
    malformed(&check(&Envelope { signature, ..good.clone() }.text()), "two types");
    // The scalar plus the order of the group (RFC 8032, section 5.1.7).
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    let mut number = number.to_vec();
    for at in 0..32 {
        let sum = u16::from(number[32 + at]) + u16::from(order[at]) + carry;
        carry = sum >> 8;
        number[32 + at] = sum.to_le_bytes()[0];
    }
    let signature = [string(kind), string(number)].concat();
    let result = check(&Envelope { signature, ..good.clone() }.text());
    assert!(matches!(result, Err(SignatureError::Wrong(_) | SignatureError::Malformed(_))));
}

#[test]
fn armour_has_one_form() {
    let repository = Repository::empty();
    let id = repository.commit("alice", &[("a", b"1")]);
    let objects = repository.objects();
    let text = String::from_utf8(objects.bytes(id).to_vec()).expect("text");
    let (unsigned, armoured) = without_signature(&text);
    let good = Envelope::read(&armoured);
    let check = |signature: &str| {
        let raw = with_signature(&unsigned, signature);
        verify(&parse(raw.as_bytes()).expect("the form of git"))
    };
    assert!(check(&armoured).is_ok());
    let bytes = good.bytes();
    let head = "-----BEGIN SSH SIGNATURE-----\n";
    let body = armoured.strip_prefix(head).expect("armour").to_owned();
    for text in [
        armoured.replace('\n', "\r\n"),
        armoured.replacen(head, "-----BEGIN SSH SIGNATURE----- \n", 1),
        armoured.replacen(head, &format!("{head}\n"), 1),
        format!("x\n{armoured}"),
        format!("{armoured}\n"),
        format!("{armoured}\n{armoured}"),
        body.replacen('\n', "", 1),
        format!("{head}{}", body.replacen('\n', "", 1)),
        format!("{head} {body}"),
        format!("{head}-----END SSH SIGNATURE-----"),
        armour(&bytes[1..]),
        armour(&bytes[..bytes.len() - 1]),
        armour(b""),
        armoured.replace("SSH", "ssh"),
    ] {
        assert!(matches!(check(&text), Err(SignatureError::Malformed(_))), "{text}");
    }
    let mut other = bytes.clone();
    other[0] = b's';
    malformed(&check(&armour(&other)), "does not begin with `SSHSIG`");
    // Bits behind the last byte that base64 has room for.
    let long = Envelope { namespace: "gits".to_owned(), ..good.clone() };
    for envelope in [&good, &long] {
        let text = envelope.text();
        let Some(at) = text.find("=\n-----END").or_else(|| text.find("==\n-----END")) else {
            continue;
        };
        let mut bent = text.clone();
        let last = text[..at].trim_end_matches('=').len() - 1;
        bent.replace_range(last..=last, &char::from(text.as_bytes()[last] + 1).to_string());
        malformed(&check(&bent), "not written in ssh's form");
    }
}

/// A number of an ECDSA signature is written in one way. That there are two signatures at
/// all is what `twins` is about.
#[test]
fn an_ecdsa_signature_has_one_form() {
    let repository = Repository::empty();
    make_key(repository.home(), "dora", &["ecdsa", "-b", "521"]);
    let id = repository.commit("dora", &[("a", b"1")]);
    let objects = repository.objects();
    let text = String::from_utf8(objects.bytes(id).to_vec()).expect("text");
    let (unsigned, signature) = without_signature(&text);
    let good = Envelope::read(&signature);
    let (kind, rest) = split(&good.signature);
    let (r, s) = split(split(rest).0);
    let s = split(s).0;
    let check = |r: &[u8], s: &[u8], tail: &[u8]| {
        let numbers = [string(r), string(s), tail.to_vec()].concat();
        let signature = [string(kind), string(numbers)].concat();
        let raw = with_signature(&unsigned, &Envelope { signature, ..good.clone() }.text());
        verify(&parse(raw.as_bytes()).expect("the form of git"))
    };
    assert!(check(r, s, b"").is_ok());
    assert!(verify(&parse(twin(&text).as_bytes()).expect("the form of git")).is_ok());
    let zero = |number: &[u8]| [&[0][..], number].concat();
    for (r, s, tail) in [
        (zero(r), s.to_vec(), &b""[..]),
        (r.to_vec(), zero(s), b""),
        (r.to_vec(), s.to_vec(), b"\0"),
        (r.to_vec(), Vec::new(), b""),
        (Vec::new(), s.to_vec(), b""),
        (vec![0], s.to_vec(), b""),
        (vec![0xff], s.to_vec(), b""),
    ] {
        assert!(matches!(check(&r, &s, tail), Err(SignatureError::Malformed(_))), "{r:?} {s:?}");
    }
    for (r, s) in [(vec![1], s.to_vec()), (r.to_vec(), vec![1])] {
        assert!(matches!(check(&r, &s, b""), Err(SignatureError::Wrong(_))));
    }
    // The same point in its short form would be the same key under another name.
    let mut short = good.clone();
    let (point, _) = split(split(split(&good.key).1).1);
    let tag = 2 + point[132] % 2;
    let point = [&[tag], &point[1..67]].concat();
    short.key = [string(kind), string("nistp521"), string(point)].concat();
    let raw = with_signature(&unsigned, &short.text());
    malformed(&verify(&parse(raw.as_bytes()).expect("the form of git")), "no point of its curve");
}
