//! One commit under two ids.

use p256_twin::twin;
use weft::sync::objects::Kind;
use weft::sync::{Anchor, Standing};
use weft::value::ObjectId;

use super::repository::{Repository, accepted, decide, make_key, public_key, refused};

mod p256_twin {
    //! The second signature that anybody can make of an ECDSA signature over P-256.

    use ssh_key::{LineEnding, Signature, SshSig};

    /// The order of the group.
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];

    /// The commit with `n - s` in the place of `s`.
    pub(super) fn twin(commit: &str) -> String {
        let start = commit.find("gpgsig ").expect("a signature") + "gpgsig ".len();
        let end = start + commit[start..].find("\n\n").expect("an end of the header");
        let pem = commit[start..end].replace("\n ", "\n");
        let signed = SshSig::from_pem(&pem).expect("a signature");
        let (r, s) = numbers(signed.signature_bytes());
        let mut blob = string(&r);
        blob.extend(string(&negative(&s)));
        let signature = Signature::new(signed.signature().algorithm(), blob).expect("a signature");
        let other = SshSig::new(
            signed.public_key().clone(),
            signed.namespace(),
            signed.hash_alg(),
            signature,
        );
        let pem = other.expect("a signature").to_pem(LineEnding::LF).expect("text");
        let pem = pem.trim_end().replace('\n', "\n ");
        format!("{}{pem}{}", &commit[..start], &commit[end..])
    }

    fn string(number: &[u8]) -> Vec<u8> {
        let first = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
        let mut bytes = number[first..].to_vec();
        if bytes.first().is_some_and(|byte| *byte >= 0x80) {
            bytes.insert(0, 0);
        }
        let mut all = u32::try_from(bytes.len()).expect("short").to_be_bytes().to_vec();
        all.extend(bytes);
        all
    }

    fn numbers(blob: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let length = |at: usize| u32::from_be_bytes(blob[at..at + 4].try_into().expect("four"));
        let r = 4 + length(0) as usize;
        (blob[4..r].to_vec(), blob[r + 4..r + 4 + length(r) as usize].to_vec())
    }

    /// `n - s`.
    fn negative(s: &[u8]) -> Vec<u8> {
        let mut padded = [0; 32];
        let digits = &s[s.len().saturating_sub(32)..];
        padded[32 - digits.len()..].copy_from_slice(digits);
        let mut borrow = 0;
        let mut result = [0; 32];
        for at in (0..32).rev() {
            let difference = i32::from(ORDER[at]) - i32::from(padded[at]) - borrow;
            borrow = i32::from(difference < 0);
            result[at] = difference.rem_euclid(256).try_into().expect("a byte");
        }
        result.to_vec()
    }
}

struct Scene {
    repository: Repository,
    objects: super::objects::Memory,
    /// A commit that dora signed with an ECDSA key, and its twin.
    one: ObjectId,
    other: ObjectId,
}

fn scene() -> Scene {
    let repository = Repository::new();
    make_key(repository.home(), "dora", &["ecdsa", "-b", "256"]);
    let lines = repository.signers(&["alice", "bob", "carol"])
        + &format!("dora@example.org {}\n", public_key(repository.home(), "dora"));
    let policy = "roles: {root: {principals: [alice@example.org, dora@example.org]}}\n";
    repository.commit(
        "alice",
        &[(".weft/allowed_signers", lines.as_bytes()), (".weft/policy.yaml", policy.as_bytes())],
    );
    let one = repository.change("dora");
    let mut objects = repository.objects();
    let text = String::from_utf8(objects.bytes(one).to_vec()).expect("text");
    let other = objects.add(Kind::Commit, twin(&text).as_bytes());
    assert_ne!(one, other);
    Scene { repository, objects, one, other }
}

impl Scene {
    /// A commit of alice's on top of one, whatever that is called.
    fn on(&mut self, parent: ObjectId) -> ObjectId {
        self.repository.branch("on", self.one);
        let child = self.repository.change("alice");
        let all = self.repository.objects();
        for (id, raw) in all.objects {
            self.objects.objects.entry(id).or_insert(raw);
        }
        let text = String::from_utf8(self.objects.bytes(child).to_vec()).expect("text");
        let start = text.find("gpgsig ").expect("a signature");
        let end = start + text[start..].find("\n\n").expect("an end") + 1;
        let head = text[..start].replace(&self.one.to_string(), &parent.to_string());
        self.sign(&head, &text[end..])
    }

    fn sign(&mut self, head: &str, message: &str) -> ObjectId {
        let payload = format!("{head}{message}");
        let pem = std::fs::read_to_string(self.repository.home().join("alice")).expect("a key");
        let key = ssh_key::PrivateKey::from_openssh(pem).expect("a key");
        let signature = key.sign("git", ssh_key::HashAlg::Sha512, payload.as_bytes());
        let pem = signature.expect("signed").to_pem(ssh_key::LineEnding::LF).expect("text");
        let text = format!("{head}gpgsig {}\n{message}", pem.trim_end().replace('\n', "\n "));
        self.objects.add(Kind::Commit, text.as_bytes())
    }

    fn judge(&self, tip: ObjectId, anchor: Option<&Anchor>) -> weft::sync::Judgement {
        let (trust, now) = (self.repository.trust(), self.repository.now());
        decide(&self.objects, tip, &trust, anchor, now).expect("it can be judged")
    }
}

/// Without this, whoever gives a node the twin of a commit cuts it off from the branch.
#[test]
fn a_line_through_the_twin_of_the_anchor_goes_on() {
    let mut scene = scene();
    let (one, other) = (scene.one, scene.other);
    let anchor = scene.repository.anchor(one);
    let current = scene.judge(other, Some(&anchor));
    assert_eq!((current.standing, accepted(&current)), (Standing::Current, Some(one)));
    let above = scene.on(other);
    let judgement = scene.judge(above, Some(&anchor));
    assert_eq!((judgement.standing, accepted(&judgement)), (Standing::Advanced, Some(above)));
    assert_eq!(refused(&judgement), []);
    // The same as on a node that never saw the first.
    let fresh = scene.judge(above, None).accepted.expect("good").record().clone();
    assert_eq!(judgement.accepted.expect("good").record(), &fresh);
    // An anchor of an earlier version does not know what was signed.
    let old = Anchor { payload: None, ..anchor };
    assert_eq!(refused(&scene.judge(above, Some(&old))), [(above, "rewritten")]);
}

/// The twin of anything below the anchor is another line: the anchor is not on it.
#[test]
fn the_twin_of_an_earlier_commit_is_no_way_back() {
    let mut scene = scene();
    let (one, other) = (scene.one, scene.other);
    let top = scene.on(one);
    let fresh = scene.judge(top, None).accepted.expect("good");
    let weft::sync::Accepted { latest, payload, left } = fresh.get().clone();
    let before = scene.repository.anchor(one);
    let anchor = Anchor { record: fresh.record().clone(), latest, payload, left, ..before };
    let above = scene.on(other);
    for tip in [other, above] {
        let judgement = scene.judge(tip, Some(&anchor));
        assert_eq!((accepted(&judgement), refused(&judgement)), (None, vec![(tip, "rewritten")]));
    }
}

/// The same words by another key are another commit; so are other words by the same key.
#[test]
fn what_is_no_twin() {
    let mut scene = scene();
    let anchor = scene.repository.anchor(scene.one);
    let text = String::from_utf8(scene.objects.bytes(scene.one).to_vec()).expect("text");
    let start = text.find("gpgsig ").expect("a signature");
    let end = start + text[start..].find("\n\n").expect("an end") + 1;
    let (head, message) = (text[..start].to_owned(), text[end..].to_owned());
    let by_alice = scene.sign(&head, &message);
    assert_eq!(refused(&scene.judge(by_alice, Some(&anchor))), [(by_alice, "rewritten")]);
    // A broken signature that names the key.
    let key = Anchor {
        record: weft::sync::CommitRecord {
            key: scene.repository.fingerprint("bob").to_string(),
            ..anchor.record.clone()
        },
        ..anchor.clone()
    };
    assert_eq!(refused(&scene.judge(scene.other, Some(&key))), [(scene.other, "rewritten")]);
    let torn = twin(&text).replace("sdn: a change", "sdn: another");
    let torn = scene.objects.add(Kind::Commit, torn.as_bytes());
    assert_eq!(refused(&scene.judge(torn, Some(&anchor))), [(torn, "rewritten")]);
    // An anchor that was raised to what runs knows no twin, least of all that of the commit
    // it stood at before.
    let runs = weft::sync::CommitRecord { sequence: 9, ..anchor.record.clone() };
    assert_eq!(anchor.raised_to(&runs).expect("raised").payload, None);
}

#[test]
fn an_anchor_of_the_earlier_format_is_read() {
    use weft::sync::{Anchors, anchor::PATHS};
    let scene = scene();
    let accepted = scene.judge(scene.one, None).accepted.expect("good");
    let host = super::anchor::Files::default();
    let trust = scene.repository.trust();
    let mut anchors = Anchors::open(&host, &trust, false).expect("a first run");
    anchors.advance(&host, &accepted).expect("written");
    // What the version before this one would have written.
    let text = String::from_utf8(host.bytes(0).expect("there")).expect("text");
    let mut json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let body = json["body"].as_object_mut().expect("a body");
    let payload = body["anchor"].as_object_mut().expect("an anchor").remove("payload");
    assert!(payload.is_some_and(|payload| payload.is_string()));
    let number = text.replace("\"format\": 3", "\"format\": 2");
    let number = number.lines().filter(|line| !line.contains("\"payload\"")).collect::<Vec<_>>();
    let old = number.join("\n").replace("\",\n    }", "\"\n    }").replace(",\n    }", "\n    }");
    // Its digest is over the body as it is written without spaces, in this order.
    let body = old.split_once("\"body\": ").expect("a body").1.split_once(",\n  \"sha256\"");
    let body: String = body.expect("a digest").0.lines().map(str::trim).collect();
    let body = body.replace("\": ", "\":");
    let digest = weft::value::Digest::of(body.as_bytes()).to_string();
    let before = json["sha256"].as_str().expect("a digest");
    host.put(0, Some(old.replace(before, &digest).into_bytes()));
    let opened = Anchors::open(&host, &trust, true).expect("it is read");
    let anchor = opened.anchor().expect("an anchor");
    assert_eq!((&anchor.record, anchor.payload), (accepted.record(), None));
    assert!(PATHS[0].ends_with("anchor.a"));
}
