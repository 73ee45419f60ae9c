//! Why a plan is refused, beside the findings of its declarations and the refusals
//! of its commit; and why a fetch ended without a word of its remote.

mod leases;
mod life;
mod publication;

pub use leases::OF_LEASES;
pub use publication::OF_A_PUBLICATION;

use crate::sync;

pub use life::{OF_A_NODE, OF_A_TURN, OF_AN_APPLY, OF_REMOTES};

/// A reason, and what is to be said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Its stable name.
    pub code: &'static str,
    /// What it says, in one line.
    pub title: &'static str,
    /// Why there is such a rule.
    pub why: &'static str,
    /// What to do about it.
    pub fix: &'static str,
}

/// What to do about a commit that trust refused. Where it may be nobody's of this repository,
/// the first thing is to find out, and not to let it in.
pub fn help(reason: sync::Reason) -> String {
    match reason {
        sync::Reason::Unsigned | sync::Reason::SignerUnknown => format!(
            "if nobody here made it, suspect the server and the account that pushed it, and take it off the branch; else {}",
            reason.help()
        ),
        _ => reason.help().to_owned(),
    }
}

/// Every reason.
pub const ALL: &[Reason] = &[
    Reason {
        code: "not-ours",
        title: "a file in the place of weft's own was not written by weft",
        why: "What weft did not make it does not change: the file may be somebody's network.",
        fix: "Declare what the file holds until the plan is empty or only adds, then `weft adopt`; or move the file away.",
    },
    Reason {
        code: "not-additive",
        title: "taking the node over would change or remove something that is there",
        why: "A node is taken over without disturbing it: every interface stays as it is, and new ones may come. A change is made afterwards, by a commit that people can review.",
        fix: "Declare what the node has, line for line of the plan, until the plan is empty or only adds; or bring the node's file to what the declarations say.",
    },
    Reason {
        code: "interface-not-ours",
        title: "an interface of the name of one of weft's was not made by weft",
        why: "What weft did not make it does not change: the interface may be somebody's network.",
        fix: "Remove the interface, or give the vnet another id.",
    },
    Reason {
        code: "guests-on-vnet",
        title: "a vnet would be taken away from guests of this node",
        why: "Guests come first: a running guest would lose its network, and one that is only \
              configured could not start any more.",
        fix: "Move the guests to another vnet or node first, then remove the vnet; or let a root \
              principal list it under `allow-removal-with-guests` in `.weft/policy.yaml`.",
    },
    Reason {
        code: "removes-everything",
        title: "all vnets that weft made on this node would be taken away",
        why: "An emptied file or a wrong name is likelier than the wish to take a whole node down. \
              A commit that brings back what the node ran is exempt.",
        fix: "If it is meant, let a root principal set `removal: {everything: true}` in \
              `.weft/policy.yaml`; if not, take the commit back with `git revert` (not by taking it off the branch: nodes have accepted it).",
    },
    Reason {
        code: "removes-too-much",
        title: "more vnets would be taken away from this node than the policy lets one commit take",
        why: "A limit on what goes at once keeps a mistake, or one stolen key, from taking a node \
              down. A commit that brings back what the node ran is exempt.",
        fix: "Take the vnets away in several commits, or let a root principal raise `removal` in \
              `.weft/policy.yaml`.",
    },
    Reason {
        code: "pve-disagrees",
        title: "what Proxmox VE applied means something else than the commit",
        why: "With `pve: refuse` both are kept equal by people: an apply in the panel, or a boot, would write other files than weft. What weft has no word for, and a cluster file system that is not mounted, may say anything. A commit that brings back what the node ran is exempt.",
        fix: "Bring the one to the other: apply the same change in Proxmox, or import it (`weft import pve`) into the repository; or set `pve: publish`, and weft writes it there.",
    },
    Reason {
        code: "rendering-incomplete",
        title: "not everything that the node should have can be made",
        why: "A part of a network is not put in place: what depends on the rest would break. All of \
              the node stays as it is.",
        fix: "Change what the sentence names, in the declarations or on the node.",
    },
];

/// Why a fetch ended that is not the remote's answer: see
/// [`TransportError::code`](crate::sync::TransportError::code); and why what was fetched
/// serves nothing.
pub const OF_A_FETCH: &[Reason] = &[
    Reason {
        code: "deadline",
        title: "the fetch was not done in time, and its process was killed",
        why: "A server that sends a byte now and then would hold the node for ever.",
        fix: "Look at the server and at the way to it; the next turn tries again.",
    },
    Reason {
        code: "fetch-cancelled",
        title: "the fetch was given up for something more urgent, and its process was killed",
        why: "`weft rollback` and the end of the agent wait for no server.",
        fix: "Nothing: the next turn fetches again.",
    },
    Reason {
        code: "worker-start",
        title: "the process that fetches could not be started",
        why: "What talks to strangers runs in a process of its own, which may be killed.",
        fix: "Look at the node's memory and limits of processes.",
    },
    Reason {
        code: "worker-broken",
        title: "the process that fetches died or broke its word",
        why: "What it says is believed no more than it must be: a remote may have brought it down.",
        fix: "Read the log; the next turn tries again with a new process.",
    },
    Reason {
        code: "object-missing",
        title: "the remote lacks an object that its branch stands on",
        why: "What cannot be read cannot be judged, and is not used. A remote may be damaged, or hold something back.",
        fix: "Run `git fsck` in the repository of the remote; the next turn tries again.",
    },
    Reason {
        code: "object-forged",
        title: "an object has other contents than its id stands for",
        why: "An id is the hash of the contents; everything is hashed again before it is used, so this is damage or a lie.",
        fix: "Run `git fsck` in the repository of the remote; the cache is fetched anew by itself.",
    },
    Reason {
        code: "object-wrong-kind",
        title: "an object is of another kind than the one that names it says",
        why: "What cannot be read cannot be judged, and is not used.",
        fix: "Run `git fsck` in the repository of the remote.",
    },
    Reason {
        code: "object-too-large",
        title: "an object is larger than one that is read",
        why: "What a remote can send is bounded, so that it can cost a node time and nothing else.",
        fix: "Keep large files out of the directories that declare the network.",
    },
    Reason {
        code: "tree-unreadable",
        title: "the declarations of a trusted commit cannot be read",
        why: "Nothing is applied that is not understood as a whole.",
        fix: "Read the message, and mend it in a commit on top.",
    },
    Reason {
        code: "history-unreadable",
        title: "the history of the branch cannot be judged",
        why: "It is beyond a bound, or does not fit what the node knows. Nothing was decided.",
        fix: "Read the message of `weft status`; the next turn tries again.",
    },
];
