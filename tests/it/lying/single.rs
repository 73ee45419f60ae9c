//! One server, each of its lies, and its return to honesty.

use weft::value::ObjectId;

use super::Scene;
use super::pack::{blob, blob_id, deflated, delta, head, line, number, pack, refs, sent};
use super::server::{Lie, Step};

/// Lets the server lie about a new commit, and then tell the truth.
struct Trial {
    scene: Scene,
    gateway: u8,
    runs: ObjectId,
}

impl Trial {
    fn new() -> Self {
        let scene = Scene::new(&["origin"]);
        let runs = scene.runs();
        Self { scene, gateway: 1, runs }
    }

    /// The newest commit, which the node has not seen.
    fn news(&mut self) -> ObjectId {
        self.gateway += 1;
        self.scene.commit(self.gateway)
    }

    /// A turn under a lie ends with one of these codes and changes nothing; a turn without
    /// one brings the newest commit.
    #[track_caller]
    fn lie(&mut self, what: &str, lie: Lie, codes: &[&str]) {
        let newest = self.scene.repository.head();
        assert_ne!(newest, self.runs, "there is nothing to lie about");
        self.scene.liars[0].tell(lie);
        let begun = std::time::Instant::now();
        self.scene.turn();
        let code = self.scene.code("origin").unwrap_or_default();
        println!("{what}: {code} after {:?}: {}", begun.elapsed(), self.scene.status()["message"]);
        assert!(codes.contains(&code.as_str()), "{what}: `{code}`\n{}", self.scene.log());
        let standing = self.scene.standing("origin");
        assert!(["unreached", "unread"].contains(&standing.as_str()), "{what}: {standing}");
        assert_eq!(self.scene.runs(), self.runs, "{what}");
        self.honest(what, newest);
    }

    #[track_caller]
    fn honest(&mut self, what: &str, newest: ObjectId) {
        self.scene.liars[0].tell(Lie::default());
        self.scene.turn();
        assert_eq!(self.scene.code("origin"), None, "{what}: {}", self.scene.log());
        assert_eq!(self.scene.runs(), newest, "{what}: {}", self.scene.log());
        assert_eq!(self.scene.standing("origin"), "current", "{what}");
        self.runs = newest;
    }

    fn forget_cache(&self) {
        std::fs::remove_dir_all(self.scene.root.join("var/cache/weft")).unwrap();
    }
}

fn of_refs(refs: Step) -> Lie {
    Lie { refs, ..Lie::default() }
}

fn of_pack(pack: Step) -> Lie {
    Lie { pack, ..Lie::default() }
}

#[test]
fn a_stall_at_any_stage_costs_the_deadline_and_nothing_else() {
    let mut trial = Trial::new();
    for (what, lie) in [
        ("no TLS", Lie { mute: true, ..Lie::default() }),
        ("no answer", of_refs(Step::Stall(0))),
        ("half of the references", of_refs(Step::Stall(40))),
        ("references by the byte", of_refs(Step::Drip(40))),
        ("no pack", of_pack(Step::Stall(0))),
        ("half of a pack", of_pack(Step::Stall(60))),
        ("a pack by the byte", of_pack(Step::Drip(60))),
    ] {
        trial.news();
        trial.lie(what, lie, &["deadline"]);
    }
    trial.scene.is_small();
}

#[test]
fn lies_about_references_have_their_names() {
    let mut trial = Trial::new();
    let elsewhere = trial.scene.liars[0].url("").replace("127.0.0.1", "localhost");
    let endless = line(format!("{} refs/heads/x\n", "1".repeat(40)).as_bytes());
    let endless = Step::Endless(refs([])[..30].to_vec(), endless.repeat(1000));
    let zeros = "0".repeat(40);
    for (what, lie, codes) in [
        ("nonsense", Step::Bytes(b"what?\n".repeat(50)), &["not-a-git-server"][..]),
        ("nothing", Step::Bytes(Vec::new()), &["not-a-git-server", "truncated"]),
        ("a cut list", Step::Cut(60), &["truncated", "not-a-git-server"]),
        (
            "no branch",
            Step::Bytes(refs([("refs/heads/x", "1".repeat(40).as_str())])),
            &["no-branch"],
        ),
        (
            "an id of zeros",
            Step::Bytes(refs([("refs/heads/main", zeros.as_str())])),
            &["truncated", "damaged-remote", "fetch-failed", "no-branch", "not-a-git-server"],
        ),
        ("a redirect", Step::Redirect(elsewhere), &["redirect-refused"]),
        ("references without end", endless, &["deadline", "fetch-too-large"]),
    ] {
        trial.news();
        trial.lie(what, of_refs(lie), codes);
    }
    // Ten thousand branches are no lie.
    let newest = trial.news().to_string();
    let names: Vec<String> = (0..10_000).map(|n| format!("refs/heads/topic/{n:05}")).collect();
    let many = names.iter().map(|name| (name.as_str(), newest.as_str()));
    let many = refs(many.chain([("refs/heads/main", newest.as_str())]));
    trial.scene.liars[0].tell(of_refs(Step::Bytes(many)));
    trial.scene.turn();
    assert_eq!(trial.scene.runs().to_string(), newest, "{}", trial.scene.log());
    // Nor is another path of the same server.
    let newest = trial.news();
    let here = trial.scene.liars[0].url("").trim_end_matches('/').to_owned();
    std::os::unix::fs::symlink("work", trial.scene.repository.home().join("moved")).unwrap();
    trial.scene.liars[0].tell(of_refs(Step::Redirect(format!("{here}/moved/..//"))));
    trial.scene.turn();
    trial.honest("after a redirect in place", newest);
    trial.scene.is_small();
}

#[test]
fn lies_about_packs_have_their_names() {
    let mut trial = Trial::new();
    let base = vec![b'x'; 65_536];
    // Copies the base so often that the result has 1 GiB.
    let copies = [number(65_536), number(1 << 30), [0x80].repeat(16_384)].concat();
    let bomb = pack(&[blob(&base), delta(&blob_id(&base), &copies)]);
    // Each result has 3 MiB, and each is the base of the next.
    let mut chain = vec![blob(&base)];
    let mut below = (blob_id(&base), 65_536_u64, base.clone());
    for index in 0..400_u32 {
        let copy = [0x80].repeat(48);
        let first = if below.1 == 65_536 { copy } else { vec![0xf0, 0xff, 0xff, 0x2f] };
        let size = if below.1 == 65_536 { 48 * 65_536 } else { 0x2f_ffff };
        let stamp = [[4].as_slice(), &index.to_be_bytes()].concat();
        let instructions = [number(below.1), number(size + 4), first, stamp].concat();
        chain.push(delta(&below.0, &instructions));
        let grown = if below.1 == 65_536 { base.repeat(48) } else { below.2[..0x2f_ffff].to_vec() };
        let grown = [grown, index.to_be_bytes().to_vec()].concat();
        below = (blob_id(&grown), size + 4, grown);
    }
    let chain = pack(&chain);
    let huge = pack(&[[head(3, 1 << 30), deflated(&base)].concat()]);
    let lying = pack(&[[head(3, 10), deflated(&base)].concat()]);
    let many = [b"PACK\0\0\0\x02\xff\xff\xff\xff".as_slice(), &blob(b"x")].concat();
    let foreign = pack(&[blob(b"of no interest")]);
    let mut wrong_sum = foreign.clone();
    *wrong_sum.last_mut().unwrap() ^= 1;
    // One blob, in blocks that zlib takes as they are.
    let begin = [b"PACK\0\0\0\x02\0\0\0\x01".as_slice(), &head(3, 1 << 40), &[0x78, 1]].concat();
    let size = 60_000_u16;
    let filling = vec![7; usize::from(size)];
    let block = [&[0], size.to_le_bytes().as_slice(), &(!size).to_le_bytes(), &filling].concat();
    let endless = Step::Endless(
        [line(b"NAK\n"), line(&[b"\x01", begin.as_slice()].concat())].concat(),
        line(&[b"\x01".as_slice(), &block].concat()),
    );
    let crowd: Vec<Vec<u8>> = (0..190_000_u32).map(|n| blob(&n.to_be_bytes())).collect();
    let crowd = pack(&crowd);
    let chatter = Step::Endless(line(b"NAK\n"), line(b"\x02still counting\n").repeat(100));
    let bytes = |pack: &[u8]| Step::Bytes(sent(pack));
    for (what, lie, codes) in [
        ("a cut pack", Step::Cut(100), &["truncated"][..]),
        ("a delta of 1 GiB", bytes(&bomb), &["fetch-too-large", "truncated", "damaged-remote"]),
        ("400 deltas of 3 MiB", bytes(&chain), &["damaged-remote", "deadline"]),
        ("a blob of 1 GiB", bytes(&huge), &["fetch-too-large", "damaged-remote"]),
        ("more than it says", bytes(&lying), &["truncated", "damaged-remote", "damaged-cache"]),
        ("four billion objects", bytes(&many), &["fetch-too-large"]),
        ("another pack", bytes(&foreign), &["damaged-remote"]),
        ("a wrong sum", bytes(&wrong_sum), &["truncated"]),
        (
            "no pack",
            Step::Bytes(line(b"ERR go away\n")),
            &["fetch-failed", "unavailable", "truncated", "not-a-git-server"],
        ),
        ("nonsense", Step::Bytes(b"what?\n".repeat(50)), &["not-a-git-server", "truncated"]),
        ("a crowd", bytes(&crowd), &["fetch-too-large", "deadline", "damaged-remote"]),
        ("a pack without end", endless, &["fetch-too-large", "deadline"]),
        ("chatter without end", chatter, &["deadline", "fetch-too-large"]),
    ] {
        trial.news();
        trial.forget_cache();
        trial.lie(what, of_pack(lie), codes);
    }
    trial.scene.is_small();
}

#[test]
fn what_is_missing_or_has_other_contents_is_not_used() {
    let mut trial = Trial::new();
    let work = trial.scene.repository.home().join("work");
    let git = |words: &[&str], input: &std::path::Path| {
        let mut git = crate::trust::repository::program("git", &work);
        let input = std::fs::File::open(input).unwrap();
        crate::trust::repository::output(git.args(words).stdin(input))
    };
    // A pack of all objects but some: the commit's tree, or a file of it.
    for what in ["HEAD^{tree}", "HEAD:sdn/vnets.yaml", "HEAD:.weft/policy.yaml"] {
        trial.news();
        let missing = trial.scene.repository.git(&["rev-parse", what]);
        let all =
            trial.scene.repository.git(&["rev-list", "--objects", "--no-object-names", "HEAD"]);
        let list = trial.scene.repository.home().join("list");
        let kept: Vec<&str> = all.lines().filter(|id| *id != missing).collect();
        std::fs::write(&list, kept.join("\n") + "\n").unwrap();
        let bytes = git(&["pack-objects", "--stdout", "-q"], &list);
        trial.forget_cache();
        trial.lie(what, of_pack(Step::Bytes(sent(&bytes))), &["object-missing"]);
    }
    // Another commit than the one that was named: its id is that of its contents.
    let newest = trial.news();
    let named = "1".repeat(40);
    let lie = of_refs(Step::Bytes(refs([("refs/heads/main", named.as_str())])));
    let all = trial.scene.repository.git(&["rev-list", "--objects", "--no-object-names", "HEAD"]);
    let list = trial.scene.repository.home().join("list");
    std::fs::write(&list, all + "\n").unwrap();
    let bytes = git(&["pack-objects", "--stdout", "-q"], &list);
    let lie = Lie { pack: Step::Bytes(sent(&bytes)), ..lie };
    trial.forget_cache();
    trial.lie("other contents", lie, &["damaged-remote"]);
    assert_eq!(trial.runs, newest);
    trial.scene.is_small();
}

#[test]
fn old_and_other_tips_take_a_node_nowhere() {
    let mut trial = Trial::new();
    let old = trial.runs.to_string();
    let newest = trial.news();
    trial.honest("a new commit", newest);
    let sibling = trial.scene.sibling(99).to_string();
    let tip = |id: &str| refs([("refs/heads/main", id)]);
    // An older commit is a remote that is behind.
    trial.scene.liars[0].tell(of_refs(Step::Bytes(tip(&old))));
    trial.scene.turn();
    assert_eq!(
        (trial.scene.state().as_str(), trial.scene.standing("origin").as_str()),
        ("in-order", "behind"),
    );
    // One beside it is a branch that was rewritten, however often it is shown, and
    // whoever else is shown something else.
    let both = Step::Turns(vec![tip(&sibling), tip(&newest.to_string())]);
    for (lie, turns) in [(Step::Bytes(tip(&sibling)), 2), (both, 6)] {
        trial.scene.liars[0].tell(of_refs(lie));
        for _ in 0..turns {
            trial.scene.turn();
            let status = trial.scene.status();
            let shown = status["observed"].as_str().unwrap() == sibling;
            let state = if shown { "refused" } else { "in-order" };
            assert_eq!(trial.scene.state(), state, "{}", trial.scene.log());
            if shown {
                assert_eq!(status["refused"][0]["code"], "rewritten");
            }
            assert_eq!(trial.scene.runs(), newest);
        }
    }
    trial.honest("the truth", newest);
    trial.scene.is_small();
}
