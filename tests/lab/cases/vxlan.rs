//! VXLAN zones between two nodes.

use crate::cases::reference;
use crate::guest::Guest;
use crate::lab::Lab;
use crate::need::Need;
use crate::node::SDN_FILE;
use crate::runner::Case;

pub(super) const CASES: &[Case] =
    &[Case::new("vxlan_two_nodes", &[Need::Bridge, Need::Vxlan, Need::Reference], vxlan_two_nodes)];

/// Guests on two nodes reach each other through the reference's VXLAN zone, with
/// packets as large as its MTU of 1450 lets through and no larger.
fn vxlan_two_nodes(lab: &Lab) {
    // The reference's rendering is that of 192.168.0.1.
    let of_first = reference("vxlan/basic/expected_sdn_interfaces");
    let of_second = of_first.replace("192.168.0.2", "192.168.0.1");
    let nodes = [(1, of_first), (2, of_second)].map(|(number, sdn)| {
        let node = lab.node(number);
        node.put(SDN_FILE, sdn);
        node.boot_network();
        node
    });
    let [first, second] = [0_usize, 1].map(|index| {
        Guest::plan(101 + u32::try_from(index).unwrap_or_default())
            .address(&format!("10.9.0.{}/24", index + 1))
            .mtu(1450)
            .start(lab, &nodes[index], "myvnet")
    });
    first.reaches("10.9.0.2");
    second.reaches("10.9.0.1");

    // 20 bytes of IPv4 and 8 of ICMP come on top, and nothing may cut the packet up.
    assert!(first.ping("10.9.0.2", &["-M", "do", "-s", "1422"]).success());
    assert!(!first.ping("10.9.0.2", &["-M", "do", "-s", "1423"]).success());
}
