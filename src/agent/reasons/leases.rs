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
        fix: "Push the branch that stands on the commit which the message names. If it was taken back on purpose, remove `/var/lib/weft/leases.taken` on every node.",
    },
    Reason {
        code: "ledger-too-large",
        title: "there are more leases than are read",
        why: "What is read is bounded, whoever writes it.",
        fix: "Release leases of guests that are gone; give clusters branches of their own.",
    },
];
