//! Writers that die, and writers at the same time.

use std::time::Duration;

use camino::Utf8Path;

use super::{
    CLUSTER_LOCK, Cluster, FIRST, Fault, Host as _, Publication, Restart, SECOND, Standing, commit,
    place,
};

/// The writer dies at every single step of the shared file system and of its own; then
/// any node goes on, and one that a newer commit came to meanwhile.
#[test]
fn a_writer_that_dies_anywhere_leaves_what_the_next_one_finishes() {
    let (first, second, third) = (commit(1, FIRST), commit(2, SECOND), commit(3, FIRST));
    for shared_dies in [true, false] {
        let mut deaths = 0;
        for step in 0.. {
            let cluster = Cluster::new(2);
            cluster.turns(&first);
            cluster.turn(0, &second);
            let dying = if shared_dies { &*cluster.shared } else { &*cluster.nodes[1].1.own };
            dying.set_faults(&[(step, Fault::Die)]);
            cluster.turn(1, &second);
            let died = dying.fired();
            dying.restart(Restart::Process);
            if !died {
                cluster.assert_published(&second);
                break;
            }
            deaths += 1;
            // What is there now is all of one commit or of the other, file by file.
            for (name, texts) in [
                ("zones.cfg", ["simple: za\n\n", "simple: za\n\tmtu 1400\n\n"]),
                (
                    "vnets.cfg",
                    ["vnet: va\n\tzone za\n\n", "vnet: va\n\tzone za\n\nvnet: vb\n\tzone za\n\n"],
                ),
            ] {
                let text = cluster.sdn(name);
                assert!(texts.contains(&text.as_str()), "{name} at {step}: {text}");
            }
            cluster.shared.wait(CLUSTER_LOCK + Duration::from_secs(1));
            // Either the same commit is finished, or a newer one takes its place.
            let next = if step % 2 == 0 { &second } else { &third };
            cluster.turns(next);
            let publications = cluster.turns(next);
            let stands = |p: &Publication| (p.standing, p.message.clone());
            assert!(
                publications.iter().all(|p| p.standing == Standing::Published),
                "step {step}: {:?}",
                publications.iter().map(stands).collect::<Vec<_>>()
            );
            // A lock that nobody needed since ends when somebody asks for it.
            let lock = Utf8Path::new(place::LOCK);
            if cluster.shared.acquire(lock).expect("it answers") {
                cluster.shared.release(lock).expect("it answers");
            }
            cluster.assert_published(next);
        }
        assert!(deaths > if shared_dies { 40 } else { 3 }, "{deaths}");
    }
}

#[test]
fn of_two_writers_at_once_one_writes() {
    let (first, second) = (commit(1, FIRST), commit(2, SECOND));
    for _ in 0..20 {
        let cluster = Cluster::new(3);
        cluster.turns(&first);
        (0..2).for_each(|node| drop(cluster.turn(node, &second)));
        // The third has confirmed too, and has not looked at the others yet.
        cluster.members(&[true, true, true], false);
        cluster.turn(2, &second);
        cluster.members(&[true, true, true], true);
        std::thread::scope(|scope| {
            for node in 0..3 {
                let (cluster, second) = (&cluster, &second);
                scope.spawn(move || cluster.turn(node, second));
            }
        });
        cluster.turns(&second);
        assert_eq!(cluster.version(), 2);
        cluster.assert_published(&second);
    }
}
