//! What may happen to a cache.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};

use camino::Utf8Path;
use weft::sync::objects::Objects as _;
use weft::sync::protocol::FailureCode;

use super::*;

#[test]
fn a_stale_lock_costs_a_cache_and_nothing_else() {
    let place = Place::new();
    place.commit("a", b"a");
    place.fetch().unwrap();
    let cache = place.cache();
    fs::write(cache.join("repository.git/refs/weft/main.lock"), "").unwrap();
    let tip = place.commit("b", b"b");
    let (worker, fetched) = place.fetch().unwrap();
    assert_eq!(fetched, tip);
    for id in place.objects() {
        worker.read(id, 1000).unwrap();
    }
    assert!(!cache.join("repository.git/refs/weft/main.lock").exists());
    assert!(cache.join(MARKER).exists());
    assert_eq!(place.packs().len(), 1);
}

type Damage<'a> = &'a dyn Fn(&Place);

#[test]
fn a_damaged_cache_is_fetched_anew() {
    let cut_pack = |place: &Place| {
        let pack = &place.packs()[0];
        fs::set_permissions(pack, fs::Permissions::from_mode(0o644)).unwrap();
        let file = fs::OpenOptions::new().write(true).open(pack).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    };
    let overwrite_object = |place: &Place| {
        let pack = &place.packs()[0];
        let size = usize::try_from(pack.metadata().unwrap().len()).unwrap();
        damage(pack, 14, size - 40);
    };
    let lose_pack = |place: &Place| fs::remove_file(&place.packs()[0]).unwrap();
    let lose_index = |place: &Place| {
        fs::remove_file(place.packs()[0].with_extension("idx")).unwrap();
    };
    let break_config = |place: &Place| {
        fs::write(place.cache().join("repository.git/config"), "[core\n").unwrap();
    };
    let break_head = |place: &Place| {
        fs::remove_file(place.cache().join("repository.git/HEAD")).unwrap();
    };
    let break_reference = |place: &Place| {
        fs::write(place.cache().join("repository.git/refs/weft/main"), "nonsense").unwrap();
    };
    let damages: [(&str, Damage<'_>); 7] = [
        ("cut pack", &cut_pack),
        ("overwritten objects", &overwrite_object),
        ("lost pack", &lose_pack),
        ("lost index", &lose_index),
        ("broken config", &break_config),
        ("no HEAD", &break_head),
        ("broken reference", &break_reference),
    ];
    for (what, damage) in damages {
        for grown in [false, true] {
            let place = Place::new();
            place.commit("a", &[b'a'; 5000]);
            let mut tip = place.commit("b", b"b");
            place.fetch().unwrap();
            damage(&place);
            if grown {
                tip = place.commit("c", b"c");
            }
            let (worker, fetched) = place.fetch().unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(fetched, tip, "{what}");
            for id in place.objects() {
                let raw = worker.read(id, 10_000).unwrap_or_else(|e| panic!("{what}: {e}"));
                let hash = ["hash-object", "--stdin", "--literally", "-t", raw.kind.as_str()];
                assert_eq!(place.git_with(&hash, &raw.bytes), id.to_string(), "{what}");
            }
        }
    }
}

#[test]
fn what_a_killed_fetch_left_behind_goes_away() {
    let place = Place::new();
    place.commit("a", b"a");
    place.fetch().unwrap();
    let packs = place.cache().join("repository.git/objects/pack");
    fs::write(packs.join("pack_git2_0123456789abcdef"), "half").unwrap();
    place.fetch().unwrap();
    assert!(!packs.join("pack_git2_0123456789abcdef").exists());
    // Many packs become one.
    for number in 0..128 {
        fs::write(packs.join(format!("pack-{number:040x}.pack")), "").unwrap();
    }
    let (worker, tip) = place.fetch().unwrap();
    assert_eq!(place.packs().len(), 1);
    worker.read(tip, 1000).unwrap();
}

#[test]
fn a_directory_of_somebody_else_is_left_alone() {
    let place = Place::new();
    place.commit("a", b"a");
    let cache = place.cache();
    fs::create_dir_all(cache.join("repository.git/objects/pack")).unwrap();
    fs::write(cache.join("thesis.tex"), "years of work").unwrap();
    fs::write(cache.join("repository.git/objects/pack/pack_x"), "").unwrap();
    let (code, text) = place.failure();
    assert_eq!(code, FailureCode::ForeignCache);
    assert!(text.contains("is no cache of weft; it was left as it is"), "{text}");
    assert_eq!(fs::read_to_string(cache.join("thesis.tex")).unwrap(), "years of work");
    assert!(cache.join("repository.git/objects/pack/pack_x").exists());
    // Nor is what a link leads to.
    let real = place.path("real");
    fs::create_dir(&real).unwrap();
    fs::remove_dir_all(&cache).unwrap();
    symlink(&real, &cache).unwrap();
    assert_eq!(place.failure().0, FailureCode::ForeignCache);
    fs::remove_file(&cache).unwrap();
    // An empty directory is nobody's.
    fs::create_dir(&cache).unwrap();
    place.fetch().unwrap();
    let refused = start().fetch(
        &place.remote(),
        &Access::default(),
        "main",
        Utf8Path::new("here"),
        &limits(),
    );
    assert_eq!(failure(refused.unwrap_err()).0, FailureCode::BadRequest);
}

#[test]
fn a_full_disk_is_named() {
    let place = Place::new();
    let noise: Vec<u8> =
        (0..600_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    place.commit("a", &noise);
    let disk = place.path("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "none", disk.as_str()])
        .stderr(Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        say("skipped: no small disk can be mounted here");
        return;
    }
    let cache = disk.join("cache");
    let refused = start().fetch(&place.remote(), &Access::default(), "main", &cache, &limits());
    let left = files(&cache.join("repository.git/objects/pack"), "pack");
    assert!(Command::new("umount").arg(disk.as_str()).status().unwrap().success());
    let (code, text) = failure(refused.unwrap_err());
    assert_eq!(code, FailureCode::DiskFull, "{text}");
    assert!(code.retry_helps() && left.is_empty());
}
