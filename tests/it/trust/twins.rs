//! One commit under two ids.

use weft::sync::objects::Kind;
use weft::sync::{Anchor, Standing};
use weft::value::ObjectId;

use super::repository::{Repository, accepted, decide, make_key, refused};
use super::sshsig::{Said, Token, twin, with_signature, without_signature};

struct Scene {
    repository: Repository,
    objects: super::objects::Memory,
    /// A commit that dora signed with an ECDSA key, and its twin.
    one: ObjectId,
    other: ObjectId,
}

/// The kinds of keys whose signatures have twins: curves of ECDSA, and a hardware key.
const KINDS: [&str; 4] = ["256", "384", "521", "sk"];

fn scene(kind: &str) -> Scene {
    let repository = Repository::new();
    let token = Token::ecdsa();
    let key = if kind == "sk" {
        token.line()
    } else {
        make_key(repository.home(), "dora", &["ecdsa", "-b", kind])
    };
    let lines =
        repository.signers(&["alice", "bob", "carol"]) + &format!("dora@example.org {key}\n");
    let policy = "roles: {root: {principals: [alice@example.org, dora@example.org]}}\n";
    repository.commit(
        "alice",
        &[(".weft/allowed_signers", lines.as_bytes()), (".weft/policy.yaml", policy.as_bytes())],
    );
    let one = if kind == "sk" {
        let unsigned = repository.change("-");
        let text = String::from_utf8(repository.objects().bytes(unsigned).to_vec()).expect("text");
        let signature = token.sign(text.as_bytes(), Said::TOUCHED).text();
        repository.write_commit(&with_signature(&text, &signature))
    } else {
        repository.change("dora")
    };
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
        let (payload, _) = without_signature(&text);
        self.sign(&payload.replace(&self.one.to_string(), &parent.to_string()))
    }

    /// A commit that alice signs.
    fn sign(&mut self, payload: &str) -> ObjectId {
        let pem = std::fs::read_to_string(self.repository.home().join("alice")).expect("a key");
        let key = ssh_key::PrivateKey::from_openssh(pem).expect("a key");
        let signature = key.sign("git", ssh_key::HashAlg::Sha512, payload.as_bytes());
        let pem = signature.expect("signed").to_pem(ssh_key::LineEnding::LF).expect("text");
        self.objects.add(Kind::Commit, with_signature(payload, pem.trim_end()).as_bytes())
    }

    fn judge(&self, tip: ObjectId, anchor: Option<&Anchor>) -> weft::sync::Judgement {
        let (trust, now) = (self.repository.trust(), self.repository.now());
        decide(&self.objects, tip, &trust, anchor, now).expect("it can be judged")
    }
}

/// Without this, whoever gives a node the twin of a commit cuts it off from the branch.
#[test]
fn a_line_through_the_twin_of_the_anchor_goes_on() {
    for kind in KINDS {
        let mut scene = scene(kind);
        let (one, other) = (scene.one, scene.other);
        let anchor = scene.repository.anchor(one);
        let current = scene.judge(other, Some(&anchor));
        assert_eq!(
            (current.standing, accepted(&current)),
            (Standing::Current, Some(one)),
            "{kind}"
        );
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
}

/// The twin of anything below the anchor is another line: the anchor is not on it.
#[test]
fn the_twin_of_an_earlier_commit_is_no_way_back() {
    for kind in KINDS {
        let mut scene = scene(kind);
        let (one, other) = (scene.one, scene.other);
        let top = scene.on(one);
        let fresh = scene.judge(top, None).accepted.expect("good");
        let weft::sync::Accepted { latest, payload, left } = fresh.get().clone();
        let before = scene.repository.anchor(one);
        let anchor = Anchor { record: fresh.record().clone(), latest, payload, left, ..before };
        let above = scene.on(other);
        for tip in [other, above] {
            let judgement = scene.judge(tip, Some(&anchor));
            let refusals = vec![(tip, "rewritten")];
            assert_eq!((accepted(&judgement), refused(&judgement)), (None, refusals), "{kind}");
        }
    }
}

/// The same words by another key are another commit; so are other words by the same key.
#[test]
fn what_is_no_twin() {
    let mut scene = scene("256");
    let anchor = scene.repository.anchor(scene.one);
    let text = String::from_utf8(scene.objects.bytes(scene.one).to_vec()).expect("text");
    let by_alice = scene.sign(&without_signature(&text).0);
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
    let scene = scene("256");
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
