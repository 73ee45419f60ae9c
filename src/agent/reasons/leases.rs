//! Why the branch of leases is not taken.

use super::Reason;

/// Why leases are neither read nor written. Those of the last time stay in force.
pub const OF_LEASES: &[Reason] = &[
    Reason {
        code: "ledger-policy",
        title: "the configuration's policy says in no readable way who may write leases",
        why: "Leases are taken from those whom `.weft/policy.yaml` names, and from nobody where that cannot be read.",
        fix: "Correct `.weft/policy.yaml` and `.weft/allowed_signers` in a commit; `weft trust show` reads them.",
    },
    Reason {
        code: "ledger-unreadable",
        title: "the branch of leases is not in git's form",
        why: "What is not read the same by everybody cannot be trusted.",
        fix: "Look at the newest commit of the branch with git; take the branch back to the last good one, and let a node write again.",
    },
    Reason {
        code: "ledger-signature",
        title: "the newest commit of the leases bears no good signature",
        why: "Whoever serves the branch could otherwise give anybody's address to anybody.",
        fix: "Let only nodes push the branch: packaging/git/update is a hook for that. Take the branch back to the last good commit.",
    },
    Reason {
        code: "ledger-signer",
        title: "the newest commit of the leases is signed by somebody who may not write leases",
        why: "Only principals whom the policy names among its `allocators` write leases, with keys that are valid now and not revoked on this node.",
        fix: "Name the principal there if it should write, or take the branch back to the last good commit.",
    },
    Reason {
        code: "ledger-rewound",
        title: "the branch of leases does not stand on what this node took before",
        why: "Somebody took the branch back, or serves an old one: addresses would be given out a second time.",
        fix: "Push the branch that stands on the commit which the message names. Where its owner began it anew, `leases-line` of the policy is the number in its `weft.json`, this node runs that policy, and nothing was written to the old history meanwhile (README.md, \"A history that has grown long\").",
    },
    Reason {
        code: "ledger-foreign",
        title: "the branch is not known to keep leases of this cluster",
        why: "A file `weft.json` at its top names the cluster and the format, so that one cluster's signed leases are never taken for another's.",
        fix: "Name the branch of this cluster in the node's settings, or one that does not exist yet: the first node that writes makes it.",
    },
    Reason {
        code: "ledger-broken",
        title: "something on the branch of leases is no lease",
        why: "What cannot be read may stand for an address, so none is given out. The commit is not taken, and those of the last time stay in force.",
        fix: "Take the branch back to the commit before, or correct the file that the message names in a commit signed by one of the `allocators`.",
    },
    Reason {
        code: "ledger-gone",
        title: "the branch of leases is gone",
        why: "This node took a commit of it before: a new branch would give out addresses a second time.",
        fix: "Push the branch again: each node has the commit that the message names in `/var/cache/weft/leases`. If it is meant to begin anew, remove `/var/lib/weft/leases.taken` on every node.",
    },
    Reason {
        code: "ledger-too-large",
        title: "there are more leases than are read",
        why: "What is read is bounded, whoever writes it.",
        fix: "Release leases of guests that are gone; give clusters branches of their own.",
    },
];
