//! What is amended in place once the engine has done its work.

use std::collections::BTreeSet;

use super::Target;
use crate::plan::engine::Engine;
use crate::plan::guests::GuestPort;
use crate::plan::interface::Kind;
use crate::plan::kernel::Kernel;
use crate::plan::step::NetworkStep;
use crate::plan::sysctl;
use crate::plan::verify::differences;
use crate::value::IfName;

impl Target {
    /// What is still to be done after the steps: rules that are there too often or not
    /// at all, guests' ports that are not where they were, and what ifupdown2 left.
    pub fn amend(&self, kernel: &Kernel, guests: &[GuestPort]) -> Vec<NetworkStep> {
        let is_native = self.engine == Engine::Native;
        let mut steps = if is_native { self.native(kernel) } else { Vec::new() };
        if is_native {
            steps.extend(self.resets(kernel));
        }
        // One that stood in the way went before.
        let went: BTreeSet<IfName> = steps
            .iter()
            .filter_map(|step| match step {
                NetworkStep::Delete { interface } => Some(interface.clone()),
                _ => None,
            })
            .collect();
        for (name, old) in self.gone().filter(|(name, _)| !went.contains(*name)) {
            let kind = kernel.links.get(name.as_str()).and_then(|link| link.kind.as_deref());
            if kind.is_some() && kind == old.kind.word() {
                let interface = name.clone();
                steps.push(match old.kind {
                    Kind::OvsPort { .. } => NetworkStep::DeleteOvsPort { interface },
                    _ => NetworkStep::Delete { interface },
                });
            }
        }
        steps.extend(self.unused(kernel).map(|interface| NetworkStep::Delete { interface }));
        steps.extend(self.no_longer_here(kernel));
        for (name, wanted) in &*self.wanted {
            let Some(link) = kernel.links.get(name.as_str()) else { continue };
            let interface = || name.clone();
            // ifupdown2 has cables and dummies made by another program, and goes on before
            // the kernel's news of them reaches it: to what is not there it gives nothing.
            let made = matches!(wanted.kind, Kind::Dummy | Kind::Veth { .. });
            if made && !is_native && !differences(name.as_str(), wanted, kernel).is_empty() {
                steps.push(NetworkStep::Up { interfaces: vec![interface()] });
            }
            if wanted.alias.is_none() && link.alias.is_some() && !wanted.is_own() {
                steps.push(NetworkStep::SetAlias { interface: interface(), alias: None });
            }
            match &wanted.kind {
                Kind::Bridge { vlan_aware: false, .. } if link.vlan_filtering && !is_native => {
                    steps.push(NetworkStep::StopVlanFiltering { interface: interface() });
                }
                Kind::Vxlan { remotes, learning, .. } if *learning != Some(false) => {
                    let has = link.tunnel.iter().flat_map(|tunnel| &tunnel.remotes);
                    let surplus = has.filter(|remote| !remotes.contains(*remote));
                    steps.extend(surplus.map(|remote| NetworkStep::DropRemote {
                        interface: interface(),
                        remote: *remote,
                    }));
                }
                _ => {}
            }
        }
        steps.extend(self.rule_steps(kernel));
        let ports = self.wanted_ports(kernel, guests);
        steps.extend(self.kept(&ports).filter_map(|guest| guest.mending(kernel)));
        steps.extend(self.station_steps(kernel));
        steps.extend(sysctl::steps(&self.sysctls, kernel));
        steps
    }
}
