//! Interfaces that are deleted many at a time.
//!
//! Each time that one goes the kernel waits until nobody looks at it any more. Those of one
//! group go together, as with `ip link delete group`, and it waits for all of them once.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};

use nix::libc;

use super::super::HostError;
use super::super::netlink::{Refusal, Request, Socket, link_header};

/// The most that go together: meanwhile nobody else can change an interface, and the kernel
/// answers when they are gone.
const AT_ONCE: usize = 64;

/// In every group of weft's: people give small numbers.
const GROUP: u32 = 1 << 31;

/// Deletes interfaces by their numbers; what the kernel says of each that it refuses.
pub(super) fn delete(
    socket: &mut Socket,
    indices: &[u32],
) -> Result<Vec<Option<Refusal>>, HostError> {
    let mut refusals = Vec::with_capacity(indices.len());
    for part in indices.chunks(AT_ONCE) {
        if part.len() > 1 {
            let group = group().to_ne_bytes();
            let of_group = |kind, index| {
                let header = link_header(libc::AF_UNSPEC, index, false);
                Request::new(kind, 0, &header).with(libc::IFLA_GROUP, &group)
            };
            let join: Vec<Request> =
                part.iter().map(|index| of_group(libc::RTM_SETLINK, *index)).collect();
            // What does not get into the group or does not go with it goes by itself below, or
            // the kernel says why not.
            socket.carry_out(&join)?;
            socket.carry_out(&[of_group(libc::RTM_DELLINK, 0)])?;
        }
        let alone = |index: &u32| {
            Request::new(libc::RTM_DELLINK, 0, &link_header(libc::AF_UNSPEC, *index, false))
        };
        refusals.extend(socket.carry_out(&part.iter().map(alone).collect::<Vec<_>>())?);
    }
    Ok(refusals)
}

/// A group that nobody else is in, for it is one of 2³¹ by chance. A number of which a list of all
/// interfaces shows that it is free is no surer: another process may choose the same one
/// meanwhile.
fn group() -> u32 {
    let chance = RandomState::new().build_hasher().finish();
    GROUP | (chance >> 33) as u32
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use nix::sched::{CloneFlags, unshare};

    use super::{GROUP, delete, group};
    use crate::host::Host as _;
    use crate::host::Linux;
    use crate::host::netlink::Socket;
    use crate::plan::{Make, NetworkStep, Question};
    use crate::value::IfName;

    fn name(text: &str) -> IfName {
        text.parse().expect("a name")
    }

    fn create(interface: &str, make: Make) -> NetworkStep {
        NetworkStep::Create { interface: name(interface), make }
    }

    /// In a thread of its own, which has a network of its own; nothing where there can be none.
    fn in_a_network(run: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            scope.spawn(|| match unshare(CloneFlags::CLONE_NEWNET) {
                Ok(()) => run(),
                Err(error) => println!("skipped: no network namespace can be made: {error}"),
            });
        });
    }

    #[test]
    fn many_go_together_and_nobody_else() {
        in_a_network(|| {
            let linux = Linux::new(None);
            let many: Vec<String> = (0..300).map(|number| format!("b{number}")).collect();
            let mut steps: Vec<NetworkStep> =
                many.iter().map(|name| create(name, Make::Bridge)).collect();
            steps.push(create("stays", Make::Bridge));
            steps.push(create("ln_a", Make::Veth { peer: name("pr_a") }));
            assert_eq!(linux.change(&steps).expect("steps"), Vec::<String>::new());
            let read = || {
                let kernel = linux.kernel(&Question::default()).expect("answers");
                kernel.expect("a kernel").links
            };
            let links = read();
            let mut socket = Socket::open().expect("a socket");
            // Both ends of a cable, one that is not there, and many.
            let named = many.iter().map(String::as_str).chain(["ln_a", "pr_a"]);
            let mut indices: Vec<u32> = named.map(|name| links[name].index).collect();
            indices.push(999_999);
            delete(&mut socket, &indices).expect("answers");
            let left: Vec<String> = read().into_keys().filter(|name| name != "lo").collect();
            assert_eq!(left, ["stays"]);
        });
    }

    #[test]
    fn no_two_groups_are_the_same() {
        let groups: BTreeSet<u32> = (0..100).map(|_| group()).collect();
        assert_eq!(groups.len(), 100);
        assert!(groups.iter().all(|group| *group > GROUP), "{groups:?}");
    }

    #[test]
    fn one_that_cannot_go_keeps_no_other() {
        in_a_network(|| {
            let linux = Linux::new(None);
            let steps: Vec<NetworkStep> =
                (0..8).map(|number| create(&format!("b{number}"), Make::Bridge)).collect();
            linux.change(&steps).expect("steps");
            let links = || {
                let kernel = linux.kernel(&Question::default()).expect("answers");
                kernel.expect("a kernel").links
            };
            // The kernel keeps its own.
            let indices: Vec<u32> = links().values().map(|link| link.index).collect();
            let refusals = delete(&mut Socket::open().expect("a socket"), &indices);
            let refused: Vec<_> = refusals.expect("answers").into_iter().flatten().collect();
            let others =
                |refusal: &&super::Refusal| refusal.error.raw_os_error() != Some(nix::libc::ENODEV);
            assert_eq!(refused.iter().filter(others).count(), 1, "{refused:?}");
            assert_eq!(links().len(), 1);
        });
    }
}
