//! Addresses of interfaces, and the routes that come and go with them.

use ipnet::IpNet;

use crate::plan::interface::{Interface, is_of_link};
use crate::plan::kernel::{Kernel, Link};
use crate::plan::network::Target;
use crate::plan::step::NetworkStep;
use crate::value::IfName;

/// Addresses and routes of an interface as they are to be set.
#[derive(Default)]
pub(super) struct Addressed {
    /// What is added and taken away, in order.
    pub(super) addresses: Vec<NetworkStep>,
    /// What is added once all interfaces have their addresses.
    pub(super) routes: Vec<NetworkStep>,
}

impl Target {
    /// What is set of the addresses and routes of an interface that is there as `link` says,
    /// which has none of the kernel's routes where it `is_new`. One that `is_moved` was taken
    /// down and set up again by the kernel: it has no addresses of IPv6 and no routes.
    pub(super) fn address(
        &self,
        (name, wanted): (&IfName, &Interface),
        (link, is_new, is_moved): (&Link, bool, bool),
        kernel: &Kernel,
    ) -> Addressed {
        let interface = || name.clone();
        let add =
            |address: &IpNet| NetworkStep::AddAddress { interface: interface(), address: *address };
        let has = |net: &IpNet| link.has_address(net) && !(is_moved && is_v6(net));
        let surplus: Vec<IpNet> = self.surplus(name, wanted, link).filter(has).collect();
        // The kernel deletes an address together with the others of its network that came
        // later, unless it is told to keep them (`promote_secondaries`): those come after.
        let networks: Vec<IpNet> =
            surplus.iter().filter(|net| !is_v6(net)).map(IpNet::trunc).collect();
        let (last, first): (Vec<&IpNet>, Vec<&IpNet>) =
            wanted.addresses.iter().partition(|net| networks.contains(&net.trunc()));
        let mut said = Addressed::default();
        said.addresses.extend(first.iter().filter(|net| !has(net)).map(|net| add(net)));
        let old = self.before.get(name).filter(|_| !is_new && wanted.is_own());
        if let Some(release) = old.and_then(|old| self.released(name, old, kernel)) {
            said.addresses.push(release);
        } else {
            said.addresses.extend(surplus.iter().map(|address| NetworkStep::RemoveAddress {
                interface: interface(),
                address: *address,
            }));
        }
        said.addresses.extend(last.into_iter().map(add));
        // Routes of IPv4 go with the last of its addresses.
        let stays = |net: &&IpNet| !is_v6(net) && !networks.contains(&net.trunc());
        let is_bare = !networks.is_empty() && !first.iter().any(stays);
        let goes = |route: &IpNet| is_new || is_moved || (is_bare && !is_v6(route));
        for &destination in &wanted.routes {
            if goes(&destination) || !kernel.routes.contains(&(destination, name.to_string())) {
                said.routes.push(NetworkStep::AddRoute { interface: interface(), destination });
            }
        }
        said
    }

    /// The addresses that an interface has and is not to have. Of an interface of the node's own
    /// only those are known that it got before, and of those of a link alone too.
    fn surplus<'a>(
        &'a self,
        name: &IfName,
        wanted: &'a Interface,
        link: &'a Link,
    ) -> impl Iterator<Item = IpNet> + 'a {
        let old = self.before.get(name).into_iter().flat_map(|old| &old.addresses);
        let old = old.filter(|net| wanted.is_own() || is_of_link(net));
        let found = link.addresses.iter().filter(|_| !wanted.is_own());
        found.chain(old).filter(|net| !wanted.addresses.contains(*net)).copied()
    }
}

fn is_v6(net: &IpNet) -> bool {
    matches!(net, IpNet::V6(_))
}
