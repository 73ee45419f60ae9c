//! The lab itself: nodes see each other and the outside, and nothing else.

use crate::lab::{BEYOND, Lab, OUTSIDE};
use crate::need::Need;
use crate::runner::Case;
use crate::wait::wait_until;
use std::time::Duration;

pub(super) const CASES: &[Case] =
    &[Case::new("nodes_ping_underlay", &[Need::Bridge], nodes_ping_underlay)];

/// Two nodes with ifupdown2's network reach each other and the host outside, and what
/// one writes the other does not see.
fn nodes_ping_underlay(lab: &Lab) {
    let (first, second) = (lab.node(1), lab.node(2));
    for node in [&first, &second] {
        node.boot_network();
        assert_eq!(node.exec(&["hostname"]).ok().trim(), node.name());
        assert_eq!(node.master("eth0").as_deref(), Some("vmbr0"));
    }
    for (node, address) in [
        (&first, second.address()),
        (&second, first.address()),
        (&first, OUTSIDE),
        (&second, BEYOND),
    ] {
        wait_until(Duration::from_secs(10), &format!("{} reaches {address}", node.name()), || {
            node.exec(&["ping", "-n", "-c", "1", "-W", "1", &address.to_string()]).success()
        });
    }
    for path in ["/etc/only-here", "/run/only-here", "/var/lib/weft/only-here"] {
        first.put(path, "1");
        assert!(first.exists(path) && !second.exists(path) && !lab.here().exists(path), "{path}");
    }
}
