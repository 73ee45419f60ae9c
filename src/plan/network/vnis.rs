//! Which VNIs lose an interface.

use std::collections::{BTreeMap, BTreeSet};

use super::Target;
use crate::plan::interface::{Interface, Kind};
use crate::plan::kernel::Kernel;
use crate::plan::verify::unfit;

impl Target {
    /// Those of these VNIs of which an interface goes, is made anew, or is missing already: the
    /// VXLAN interface, the bridge that it is in, or the VRF that the bridge is in.
    pub(in crate::plan) fn breaks(&self, vnis: &BTreeSet<u32>, kernel: &Kernel) -> BTreeSet<u32> {
        let mut broken = BTreeSet::new();
        if vnis.is_empty() {
            return broken;
        }
        for interfaces in [&self.before, &self.wanted] {
            let id = |interface: &Interface| match interface.kind {
                Kind::Vxlan { id, .. } if vnis.contains(&id) => Some(id),
                _ => None,
            };
            let tunnels: BTreeMap<&str, u32> = interfaces
                .iter()
                .filter_map(|(name, interface)| Some((name.as_str(), id(interface)?)))
                .collect();
            let lost = tunnels.iter().filter(|(name, _)| self.loses(name, kernel));
            broken.extend(lost.map(|(_, vni)| *vni));
            for (name, bridge) in interfaces.iter().filter(|(_, one)| one.is_bridge()) {
                let is_lost = || {
                    let above = [Some(name.as_str()), bridge.vrf.as_deref()];
                    above.into_iter().flatten().any(|name| self.loses(name, kernel))
                };
                let vni = bridge.ports().find_map(|port| tunnels.get(port));
                broken.extend(vni.filter(|_| is_lost()));
            }
        }
        broken
    }

    /// Whether one of ours does not stay, or did not.
    fn loses(&self, name: &str, kernel: &Kernel) -> bool {
        let Some(link) = kernel.links.get(name) else { return self.before.contains_key(name) };
        let wanted = self.wanted.get(name);
        self.is_ours(name) && wanted.is_none_or(|wanted| unfit(wanted, link, self.engine).is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::plan::{Engine, Kernel, Link, Target, Tunnel};

    const TEXT: &str = "auto vrf_z\niface vrf_z\n\tvrf-table auto\n\
        auto vrfbr_z\niface vrfbr_z\n\tbridge-ports vrfvx_z\n\tvrf vrf_z\n\
        auto vrfvx_z\niface vrfvx_z\n\tvxlan-id 10\n\tbridge-learning off\n\
        auto v\niface v\n\tbridge_ports vxlan_v\n\tvrf vrf_z\n\
        auto vxlan_v\niface vxlan_v\n\tvxlan-id 7\n\tbridge-learning off\n\tmtu 1400\n";

    fn kernel() -> Kernel {
        let link = |kind: &str| Link { kind: Some(kind.to_owned()), up: true, ..Link::default() };
        let vxlan = |id| {
            let tunnel = Tunnel { id, port: 4789, learning: false, ..Tunnel::default() };
            Link { tunnel: Some(tunnel), ..link("vxlan") }
        };
        let links = [
            ("vrf_z", link("vrf")),
            ("vrfbr_z", link("bridge")),
            ("vrfvx_z", vxlan(10)),
            ("v", link("bridge")),
            ("vxlan_v", vxlan(7)),
        ];
        let links = links.map(|(name, link)| (name.to_owned(), link)).into();
        Kernel { links, ..Kernel::default() }
    }

    #[test]
    fn a_vni_breaks_where_an_interface_of_it_does_not_stay() {
        let breaks = |new: &str, change: fn(&mut Kernel)| {
            let mut kernel = kernel();
            change(&mut kernel);
            let found = Engine::ALL.iter().map(|engine| {
                let target = Target::between(&[TEXT], new).with_engine(*engine);
                target.breaks(&[10, 11].into(), &kernel)
            });
            let found: BTreeSet<BTreeSet<u32>> = found.collect();
            assert_eq!(found.len(), 1, "both engines do the same");
            found.into_iter().flatten().collect::<Vec<u32>>()
        };
        let without = |name: &str| {
            let stanzas = TEXT.split("auto ").filter(|stanza| !stanza.starts_with(name));
            stanzas.collect::<Vec<_>>().join("auto ")
        };
        assert_eq!(breaks(TEXT, |_| ()), [0; 0]);
        // Of other VNIs, and what changes in place, nothing is said.
        assert_eq!(breaks(&TEXT.replace("id 7", "id 8"), |_| ()), [0; 0]);
        let mtu = TEXT.replace("vxlan-id 10\n", "vxlan-id 10\n\tmtu 1300\n");
        assert_eq!(breaks(&mtu, |_| ()), [0; 0]);
        assert_eq!(breaks("", |_| ()), [10]);
        for name in ["vrf_z", "vrfbr_z", "vrfvx_z"] {
            assert_eq!(breaks(&without(name), |_| ()), [10], "{name}");
        }
        assert_eq!(breaks(&TEXT.replace("vxlan-id 10", "vxlan-id 12"), |_| ()), [10]);
        let losses: [fn(&mut Kernel); 3] = [
            |kernel| drop(kernel.links.remove("vrfbr_z")),
            |kernel| drop(kernel.links.remove("vrf_z")),
            |kernel| kernel.links.get_mut("vrfbr_z").unwrap().kind = Some("dummy".to_owned()),
        ];
        for loss in losses {
            assert_eq!(breaks(TEXT, loss), [10]);
        }
        // What was never there is not missing.
        let target = Target::between(&[], TEXT);
        assert_eq!(target.breaks(&[10].into(), &Kernel::default()), BTreeSet::new());
    }
}
