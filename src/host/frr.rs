//! What a reload of FRR cannot do, or not at its time.
//!
//! `frr-reload.py` takes away the whole context of an interface that a file names no
//! more, and FRR refuses that for an interface that is there (`only inactive interfaces
//! can be deleted`): what runs on it stays, and the reload fails. So the lines of such a
//! context are taken away one by one before.
//!
//! When the kernel loses the bridge and the VXLAN of a VRF's VNI together while FRR has the VNI,
//! zebra keeps pointing at what it freed of the bridge (`show vrf vni` then shows its name, or
//! whatever lies there by now), and the next change of that VNI may crash it, with all VNIs:
//! FRR's commit 6df9ef74f0 of July 2026 is about it. bgpd, which hears of the VNI and of the VRF
//! one by one, may keep the VNI for good and refuse to end the VRF's process (`Please unconfigure
//! l3vni`, <https://github.com/FRRouting/frr/pull/16059>,
//! <https://github.com/FRRouting/frr/issues/17903>). So the VNI is taken away while the
//! interfaces are there. Where they are made anew too: zebra finds the new ones, and yet looks at
//! the freed bridge first, when the VXLAN joins the new one (`zebra_vxlan_if_update_vni`).

use std::collections::{BTreeMap, BTreeSet};

/// The statements that take away all that runs on interfaces of `running` of which `file`
/// says nothing; nothing where there are none. Both are configurations as FRR writes them.
pub(super) fn release_interfaces(running: &str, file: &str) -> String {
    let contexts = |text| contexts(text, "interface ");
    let kept: BTreeSet<&str> = contexts(file).map(|(name, _)| name).collect();
    let mut statements = String::new();
    for (interface, mut lines) in contexts(running).filter(|(name, _)| !kept.contains(name)) {
        statements.push_str(interface);
        statements.push('\n');
        // What others need is said first.
        lines.reverse();
        for line in lines {
            statements.push_str(
                &line
                    .strip_prefix("no ")
                    .map_or_else(|| format!(" no {line}\n"), |line| format!(" {line}\n")),
            );
        }
        statements.push_str("exit\n");
    }
    statements
}

/// The statements that take away the VNIs of VRFs, and those VNIs.
pub(super) fn release_vnis(running: &str, vrfs: &BTreeSet<String>) -> (String, BTreeSet<u32>) {
    let (mut statements, mut vnis) = (String::new(), BTreeSet::new());
    for (vrf, lines) in contexts(running, "vrf ") {
        if !vrf.strip_prefix("vrf ").is_some_and(|name| vrfs.contains(name)) {
            continue;
        }
        for line in lines {
            let number = line.strip_prefix("vni ").and_then(|rest| rest.split(' ').next());
            if let Some(vni) = number.and_then(|number| number.parse().ok()) {
                statements.extend([vrf, "\n no ", line, "\nexit-vrf\n"]);
                vnis.insert(vni);
            }
        }
    }
    (statements, vnis)
}

/// Whether bgpd has one of these VNIs as that of a VRF, by its answer to `show bgp l2vpn evpn vni
/// json`: once no VRF has it, it is one of layer 2 as long as its VXLAN is there. A bgpd without
/// EVPN says nothing, or a sentence.
pub(super) fn has_vni(answer: &[u8], vnis: &BTreeSet<u32>) -> bool {
    let found: Result<BTreeMap<String, serde_json::Value>, _> = serde_json::from_slice(answer);
    let is_one = |name: &String| name.parse().is_ok_and(|vni| vnis.contains(&vni));
    let has = |(name, vni): (&String, &serde_json::Value)| is_one(name) && vni["type"] == "L3";
    found.is_ok_and(|found| found.iter().any(has))
}

/// The contexts of a kind, by their first line, with the lines within.
fn contexts<'a>(text: &'a str, kind: &str) -> impl Iterator<Item = (&'a str, Vec<&'a str>)> {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        let first = lines.find(|line| line.starts_with(kind))?;
        let mut within = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with(' ')) {
            within.push(line.trim());
        }
        Some((first.trim_end(), within))
    })
}

#[cfg(test)]
mod tests {
    use super::{has_vni, release_interfaces, release_vnis};

    #[test]
    fn the_vnis_of_vrfs_are_taken_away_and_asked_for() {
        let running = "vrf vrf_one\n ip route 10.0.0.0/8 10.0.0.1\n vni 10000\nexit-vrf\n!\n\
            vrf vrf_two\n vni 20000\nexit-vrf\n!\nvrf vrf_old\nexit-vrf\nrouter bgp 1 vrf vrf_one\n \
            address-family l2vpn evpn\n  vni 12000\nexit\n";
        let release = |vrfs: &[&str]| {
            release_vnis(running, &vrfs.iter().map(|vrf| (*vrf).to_owned()).collect())
        };
        let (statements, vnis) = release(&["vrf_one", "vrf_old", "vrf_none"]);
        assert_eq!(statements, "vrf vrf_one\n no vni 10000\nexit-vrf\n");
        assert_eq!(vnis, [10000].into());
        assert_eq!(release(&[]), Default::default());
        let answer = |text: &str| has_vni(text.as_bytes(), &vnis);
        assert!(answer("{\"numL3Vnis\":1,\"10000\":{\"vni\":10000,\"type\":\"L3\"}}"));
        assert!(!answer("{\"10000\":{\"vni\":10000,\"type\":\"L2\"}}"));
        assert!(!answer("{\"numL3Vnis\":10000,\"20000\":{\"vni\":20000,\"type\":\"L3\"}}"));
        assert!(!answer("") && !answer("% BGP instance not found\n"));
    }

    const RUNNING: &str = "hostname node1\n!\ninterface dummy_mesh\n ip router openfabric mesh\n \
        openfabric passive\nexit\n!\ninterface ens19\n ip router openfabric mesh\n \
        openfabric hello-interval 1\n no link-params\nexit\n!\nrouter openfabric mesh\n \
        net 49.0001.1720.2000.0001.00\nexit\n!\nend\n";

    #[test]
    fn what_runs_on_an_interface_goes_line_by_line() {
        let file = "interface dummy_mesh\n ip router openfabric mesh\nexit\n!\n";
        assert_eq!(
            release_interfaces(RUNNING, file),
            "interface ens19\n link-params\n no openfabric hello-interval 1\n \
             no ip router openfabric mesh\nexit\n"
        );
        assert_eq!(release_interfaces(RUNNING, RUNNING), "");
        let all = release_interfaces(RUNNING, "!\n");
        assert_eq!(all.matches("no ip router openfabric mesh").count(), 2, "{all}");
        assert!(!all.contains("net 49"), "{all}");
    }
}
