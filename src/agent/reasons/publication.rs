//! Why what a cluster runs is not published to Proxmox VE. Nothing of it keeps a node from
//! applying.

use super::Reason;

/// Every such reason.
pub const OF_A_PUBLICATION: &[Reason] = &[
    Reason {
        code: "pve-waits-for-nodes",
        title: "not every node of the cluster has confirmed the commit",
        why: "An apply in Proxmox writes the files of every node: what one of them does not run is not published.",
        fix: "Wait, or look at the nodes that `weft status` names; one that is gone for good leaves the cluster with `pvecm delnode`.",
    },
    Reason {
        code: "pve-no-quorum",
        title: "the cluster file system takes no writes",
        why: "Without a majority of its nodes a cluster of Proxmox changes nothing. Applying does not wait for it.",
        fix: "Bring nodes back (`pvecm status`); the next turn publishes.",
    },
    Reason {
        code: "pve-locked",
        title: "somebody else changes the network's configuration in Proxmox",
        why: "One at a time changes it; Proxmox's own lock says who. A lock that nobody gives back ends after two minutes, a token that somebody set does not.",
        fix: "Wait. Where `/etc/pve/sdn/.lock` stays, whoever set the token has to take it away (`pvesh delete /cluster/sdn/lock --force 1`).",
    },
    Reason {
        code: "pve-edited",
        title: "somebody changed the network in Proxmox, and the change is not weft's",
        why: "What a person made there, applied or pending, is not overwritten in silence. The first time, everything counts that is there and does not mean what the commit declares.",
        fix: "Bring the change into the repository (`weft import pve`), or undo it in the panel; or let weft replace what is there: `weft adopt --pve`.",
    },
    Reason {
        code: "pve-beyond",
        title: "Proxmox has objects that weft has no word for",
        why: "To publish would take them away, or show them as pending for ever; and the files that Proxmox writes with them are not weft's.",
        fix: "Take away what the sentence names (route maps, prefix lists), or set `pve: off`.",
    },
    Reason {
        code: "pve-member-undeclared",
        title: "a node of the Proxmox cluster is not declared",
        why: "Proxmox makes a zone without `nodes` on every node of its cluster, weft on every declared one.",
        fix: "Declare the node under `nodes:`, and run weft there.",
    },
    Reason {
        code: "pve-absent",
        title: "there is no place to publish to",
        why: "The cluster file system is not mounted, Proxmox has no SDN, or it knows the node by another name.",
        fix: "Look at `ls /etc/pve/nodes /etc/pve/sdn` and `systemctl status pve-cluster`; the node's name in weft is that of Proxmox. Without Proxmox, set `pve: off`.",
    },
    Reason {
        code: "pve-unreadable",
        title: "a file in `/etc/pve/sdn` cannot be read",
        why: "What is not understood is not replaced: it may be somebody's work, or of a newer version.",
        fix: "Mend what the sentence names. `/etc/pve/sdn/weft.json` may be removed: then the first publication begins anew.",
    },
    Reason {
        code: "pve-unwritable",
        title: "a file could not be read or written",
        why: "Each file is the old one or the new one, and the next turn goes on.",
        fix: "Read the message, which names it; below `/etc/pve`, look at `systemctl status pve-cluster`.",
    },
];
