//! Thousands of interfaces at once.

use std::time::Instant;

use super::{alone, change, create, master, name, quietly, read, vxlan, without_numbers};
use weft::plan::{Make, NetworkStep};

/// Bridges, each with a VXLAN interface as its port.
fn pairs(count: u32) -> Vec<NetworkStep> {
    let pair = |n: u32| {
        let (bridge, port) = (format!("v{n}"), format!("vxlan_v{n}"));
        [
            create(&bridge, Make::Bridge),
            create(&port, vxlan(n + 1)),
            NetworkStep::SetMtu { interface: name(&port), mtu: 1450 },
            master(&port, Some(&bridge)),
            NetworkStep::AddRemote {
                interface: name(&port),
                remote: "192.0.2.1".parse().expect("an address"),
            },
            NetworkStep::SetUp { interface: name(&port) },
            NetworkStep::SetUp { interface: name(&bridge) },
        ]
    };
    (0..count).flat_map(pair).collect()
}

#[test]
fn thousands_of_steps_are_one_call() {
    alone(|| {
        let count = std::env::var("WEFT_PAIRS").ok().and_then(|count| count.parse().ok());
        let count: u32 = count.unwrap_or(300);
        let steps = pairs(count);
        let begin = Instant::now();
        quietly(&steps);
        let made = begin.elapsed();
        let begin = Instant::now();
        let kernel = read();
        let seen = begin.elapsed();
        println!(
            "{} steps in {made:?}, {} links read in {seen:?}",
            steps.len(),
            kernel.links.len()
        );
        let of = |n: u32| (&kernel.links[&format!("v{n}")], &kernel.links[&format!("vxlan_v{n}")]);
        for n in 0..count {
            let (bridge, port) = of(n);
            let tunnel = port.tunnel.as_ref().expect("a tunnel");
            assert_eq!((tunnel.id, tunnel.remotes.len()), (n + 1, 1));
            assert_eq!(port.master, Some(format!("v{n}")));
            assert!(bridge.up && port.up && bridge.mtu == 1450);
        }
        // Every one of them fails, or is so already.
        let is_made = |step: &NetworkStep| matches!(step, NetworkStep::Create { .. });
        let again: Vec<NetworkStep> = steps.into_iter().filter(|step| !is_made(step)).collect();
        let complaints = change(&again);
        assert_eq!(complaints.len() % usize::try_from(count).expect("small"), 0);
        assert_eq!(without_numbers(&read().links), without_numbers(&kernel.links));
    });
}
