//! What a fetch brings, and what it leaves out.

use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

use weft::sync::objects::{ObjectError, Objects as _};
use weft::sync::protocol::{FailureCode, FetchLimits};
use weft::value::ObjectId;

use super::*;

#[test]
fn brings_every_object_as_git_has_it() {
    let place = Place::new();
    let noise: Vec<u8> = (0..300_000_u32).flat_map(|i| i.wrapping_mul(i).to_be_bytes()).collect();
    place.commit("sdn/zones.yaml", b"zones: {}\n");
    place.commit("deep/er/and/deeper/file", &noise);
    place.commit("empty", b"");
    // A submodule, whose commit is elsewhere, and a symbolic link.
    place.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{:040x},sub", 0xbeef)]);
    let link = place.git_with(&["hash-object", "-w", "--stdin"], b"/etc/shadow");
    place.git(&["update-index", "--add", "--cacheinfo", &format!("120000,{link},link")]);
    let tip = place.commit("sdn/zones.yaml", b"zones: {a: {type: simple}}\n");
    let (worker, fetched) = place.fetch().unwrap();
    assert_eq!(fetched, tip);
    let objects = place.objects();
    assert!(objects.len() > 12);
    for id in objects {
        let raw = worker.read(id, 2_000_000).unwrap();
        let word = place.git(&["cat-file", "-t", &id.to_string()]);
        assert_eq!(raw.kind.as_str(), word);
        let git = git_command(place.directory.path())
            .current_dir(place.path("net.git"))
            .args(["cat-file", &word, &id.to_string()])
            .output()
            .unwrap();
        assert_eq!(raw.bytes, git.stdout, "{id}");
    }
    let cache = place.cache().join("repository.git");
    place.git(&["--git-dir", cache.as_str(), "fsck", "--strict", "--full"]);
    let process = worker.process();
    drop(worker);
    assert!(is_gone(process));
}

#[test]
fn brings_only_what_is_new_and_only_the_branch() {
    let place = Place::new();
    let first = place.commit("a", b"a");
    place.fetch().unwrap();
    let second = place.commit("b", b"b");
    place.git(&["update-ref", "refs/heads/side", &second.to_string()]);
    let other = place.commit("side-only", b"side");
    place.git(&["update-ref", "refs/heads/side", &other.to_string()]);
    place.git(&["update-ref", "refs/tags/v1", &other.to_string()]);
    place.git(&["update-ref", "refs/heads/main", &second.to_string()]);
    let (worker, tip) = place.fetch().unwrap();
    assert_eq!(tip, second);
    assert!(worker.read(first, 1000).unwrap().bytes.starts_with(b"tree "));
    assert_eq!(place.packs().len(), 2);
    let cache = place.cache().join("repository.git");
    let refs = place.git(&["--git-dir", cache.as_str(), "for-each-ref", "--format=%(refname)"]);
    assert_eq!(refs, "refs/weft/main");
    let missing = git_command(place.directory.path())
        .args(["--git-dir", cache.as_str(), "cat-file", "-e", &other.to_string()])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(!missing.success());
    let counted = place.git(&["--git-dir", cache.as_str(), "count-objects", "-v"]);
    assert!(counted.contains("in-pack: 6") && counted.contains("count: 0"), "{counted}");
    // Nothing new: no pack.
    place.fetch().unwrap();
    assert_eq!(place.packs().len(), 2);
    // A rewritten branch is followed; trust decides later.
    place.git(&["update-ref", "refs/heads/main", &first.to_string()]);
    assert_eq!(place.fetch().unwrap().1, first);
}

#[test]
fn a_huge_file_is_refused_before_it_is_inflated() {
    let place = Place::new();
    let small = place.commit("sdn/zones.yaml", b"zones: {}\n");
    let zeros = place.path("zeros");
    fs::File::create(&zeros).unwrap().set_len(1 << 30).unwrap();
    let blob = place.git(&["-c", "core.compression=1", "hash-object", "-w", zeros.as_str()]);
    let tip = place.commit_blob("sdn/huge.yaml", &blob);
    let (worker, fetched) = place.fetch().unwrap();
    assert_eq!(fetched, tip);
    // Left out of the cache, and known by its size all the same.
    let huge: ObjectId = blob.parse().unwrap();
    let refused = worker.read(huge, 1 << 20).unwrap_err();
    let words = format!("object {huge} has 1073741824 bytes, more than the 1048576 that are read");
    assert_eq!(refused.to_string(), words);
    let refused = worker.read(huge, u64::MAX).unwrap_err();
    assert!(matches!(refused, ObjectError::TooLarge { limit: 4_194_304, .. }), "{refused}");
    assert!(worker.read(small, 1000).is_ok());
    let left_out = most_memory(worker.process());
    drop(worker);
    // In the cache, as another limit would have brought it.
    let cache = place.cache().join("repository.git");
    for extension in ["pack", "idx"] {
        let found = files(&place.path("net.git/objects/pack"), extension);
        assert_eq!(found.len(), 1, "git keeps large files in packs");
        let name = found[0].file_name().unwrap();
        fs::copy(&found[0], cache.join("objects/pack").join(name)).unwrap();
    }
    let (worker, _) = place.fetch().unwrap();
    let refused = worker.read(huge, 1 << 20).unwrap_err();
    assert!(matches!(refused, ObjectError::TooLarge { size: 1_073_741_824, .. }), "{refused}");
    let inside = most_memory(worker.process());
    say(&format!("memory beside a file of 1 GiB: {left_out} MiB left out, {inside} MiB inside"));
    assert!(left_out < 64 && inside < 64);
    drop(worker);
    // Somebody who allows it meets the limit of memory, and not of the machine.
    let worker = start();
    let limits = FetchLimits { object_bytes: 2 << 30, ..limits() };
    let refused =
        worker.fetch(&place.remote(), &Access::default(), "main", &place.path("other"), &limits);
    let memory = most_memory(worker.process());
    let (code, text) = failure(refused.unwrap_err());
    assert_eq!(code, FailureCode::TooLarge, "{text}");
    assert!(memory < 600, "{memory} MiB");
}

#[test]
fn an_object_of_the_limit_is_read_and_one_more_byte_is_not() {
    let place = Place::new();
    place.commit("a", &[b'x'; 1000]);
    let (worker, tip) = place.fetch().unwrap();
    let blob: ObjectId = place.git(&["rev-parse", "main:a"]).parse().unwrap();
    assert_eq!(worker.read(blob, 1000).unwrap().bytes, [b'x'; 1000]);
    let refused = worker.read(blob, 999).unwrap_err();
    assert!(matches!(refused, ObjectError::TooLarge { size: 1000, limit: 999, .. }), "{refused}");
    let nowhere: ObjectId = "00000000000000000000000000000000deadbeef".parse().unwrap();
    let missing = worker.read(nowhere, 1000).unwrap_err();
    assert!(matches!(missing, ObjectError::Missing { id } if id == nowhere), "{missing}");
    assert!(worker.read(tip, 1000).is_ok());
    drop(worker);
    let refused = start().read(tip, 1000).unwrap_err();
    assert!(refused.to_string().contains("nothing was fetched yet"), "{refused}");
}

#[test]
fn many_large_files_are_never_in_memory_together() {
    let place = Place::new();
    let mut noise = vec![0_u8; 4_000_000];
    for number in 0..10_u8 {
        let mut state = u64::from(number) + 1;
        for bytes in noise.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.copy_from_slice(&state.to_le_bytes());
        }
        place.commit(&format!("picture{number}"), &noise);
    }
    let begin = Instant::now();
    let (worker, _) = place.fetch().unwrap();
    let (took, memory) = (begin.elapsed(), most_memory(worker.process()));
    say(&format!("10 files of 4 MB: fetched in {took:?} with {memory} MiB"));
    assert!(memory < 40);
}

#[test]
fn limits_hold() {
    let place = Place::new();
    let noise: Vec<u8> =
        (0..40_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    place.commit("a", &noise);
    let fetch = |limits: &FetchLimits| {
        start()
            .fetch(&place.remote(), &Access::default(), "main", &place.cache(), limits)
            .map_err(failure)
    };
    let (code, text) = fetch(&FetchLimits { received_bytes: 50_000, ..limits() }).unwrap_err();
    assert_eq!(code, FailureCode::TooLarge);
    assert!(text.contains("more than 50000 bytes"), "{text}");
    let (code, text) = fetch(&FetchLimits { objects: 2, ..limits() }).unwrap_err();
    assert_eq!(code, FailureCode::TooLarge);
    assert!(text.contains("more than 2 new objects"), "{text}");
    let (code, text) = fetch(&FetchLimits { object_bytes: 10, ..limits() }).unwrap_err();
    assert_eq!(code, FailureCode::TooLarge, "{text}");
    assert!(place.packs().is_empty());
    fetch(&limits()).unwrap();
    assert_eq!(place.packs().len(), 1);
}

#[test]
fn a_long_history_is_fetched_and_read_in_time() {
    const COMMITS: usize = 2000;
    let place = Place::new();
    let mut stream = String::new();
    for number in 0..COMMITS {
        let text = format!("vnets:\n  v{number}: {{tag: {number}}}\n");
        write!(
            stream,
            "commit refs/heads/main\ncommitter Ada <ada@example.org> {} +0000\ndata 2\nx\n\
             M 100644 inline sdn/dir{}/file{}.yaml\ndata {}\n{text}\n",
            1_790_000_000 + number,
            number % 20,
            number % 300,
            text.len(),
        )
        .unwrap();
    }
    place.git_with(&["fast-import", "--quiet"], stream.as_bytes());
    let begin = Instant::now();
    let (worker, _) = place.fetch().unwrap();
    let full = begin.elapsed();
    let objects = place.objects();
    assert_eq!(objects.len(), COMMITS * 5);
    let begin = Instant::now();
    for &id in &objects {
        worker.read(id, 1 << 20).unwrap();
    }
    let reading = begin.elapsed();
    let memory = most_memory(worker.process());
    drop(worker);
    let begin = Instant::now();
    for _ in 0..20 {
        drop(place.fetch().unwrap());
    }
    let nothing_new = begin.elapsed() / 20;
    say(&format!(
        "{} objects: fetched in {full:?}, read in {reading:?} ({}/s), {memory} MiB; \
         start, fetch of nothing new and end: {nothing_new:?}",
        objects.len(),
        objects.len() as u128 * 1_000_000 / reading.as_micros(),
    ));
    assert!(full < MINUTE && reading < MINUTE && memory < 128);
}
