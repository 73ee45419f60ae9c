//! What becomes of a node: the states of its turns, what a change waits for, how applies
//! and turns fail.

use super::Reason;

/// The states of a node, and what else a change of it waits for.
pub const OF_A_NODE: &[Reason] = &[
    Reason {
        code: "in-order",
        title: "the node runs the newest commit of its remotes",
        why: "There is nothing to do.",
        fix: "Nothing.",
    },
    Reason {
        code: "pending",
        title: "something is to be done and was not, so far",
        why: "Only an advancing commit changes a node, and only where the node may apply.",
        fix: "`weft plan` shows what it is, and `weft why OBJECT` what it waits for.",
    },
    Reason {
        code: "observing",
        title: "the node observes, and changes nothing",
        why: "Without `mode: apply` in its settings a node says what it would do, and no more.",
        fix: "Look at `weft plan`; when it is what you want, set `mode: apply` in `/etc/weft/agent.yaml`.",
    },
    Reason {
        code: "refresh-needed",
        title: "the commit that runs would give other files now",
        why: "Facts of the node, its profile or weft itself changed, or somebody edited a file. No commit asked for that, so that nothing is changed by itself.",
        fix: "`weft plan` shows the difference; `weft apply --refresh` brings it about, and so does the next commit that changes the node.",
    },
    Reason {
        code: "window-open",
        title: "a change is applied and watched, and undone unless it is confirmed",
        why: "What worked before must work afterwards. Until that was seen for a while, nothing else is begun.",
        fix: "Wait: it confirms itself. `weft status` says what is down; `weft confirm` keeps it by hand, `weft rollback` undoes it.",
    },
    Reason {
        code: "held",
        title: "an operator holds the node, and no commit changes it",
        why: "Somebody works at the node, or has to. Ways back are never held.",
        fix: "`weft status` says who, why and until when; `weft resume` lifts it.",
    },
    Reason {
        code: "quarantined",
        title: "what the commit gives this node was undone before, and is left alone for a while",
        why: "What failed once most often fails again, and each try disturbs guests: it is tried again after 10 minutes, an hour and a day, and then only by hand.",
        fix: "Mend the cause in a commit that renders something else; or, where the cause was another one, `weft apply --refresh`.",
    },
    Reason {
        code: "paused",
        title: "window after window ended for a newer commit, so that the newest waits a while",
        why: "Each of them disturbs guests: whoever pushes on and on would keep the node in a loop of applying and undoing. After three in a row without a confirmation a window has its whole time, and the newest commit waits ten minutes. A commit that brings back what runs never waits.",
        fix: "Look at what `weft history` shows undone; revert, or wait, or `weft apply --refresh`.",
    },
    Reason {
        code: "refused",
        title: "the newest commit is not applied, and the node runs an older one",
        why: "Trust refused it for its signature or for who made it; or it is trusted, and a finding or a guard keeps it from being applied. The network stays as it is.",
        fix: "`weft status` names the reason; `weft explain` knows its code. A commit that trust refused may be taken off the branch or amended; a trusted one may not: mend it in a commit on top.",
    },
    Reason {
        code: "rolled-back",
        title: "an apply was undone, and what ran before runs again",
        why: "A step failed, or what worked before did not work afterwards; or a person wanted it.",
        fix: "`weft status` says why; revert or mend the commit.",
    },
    Reason {
        code: "degraded",
        title: "neither the new state nor the old one is whole",
        why: "The change failed, and so did the way back. The next start tries again.",
        fix: "Look at the node: `weft status` names what stands in the way. When it is gone, `weft sync`.",
    },
    Reason {
        code: "failed",
        title: "the turn could not be finished",
        why: "No remote, no disk, no permission, or another weft at work. What runs goes on.",
        fix: "`weft status` says what failed; trying again may help.",
    },
    Reason {
        code: "drift",
        title: "something on the node is not what weft made it, and no commit changed it",
        why: "Somebody edited a file, the network or a daemon by hand, or a program did. Ports of guests are never drift.",
        fix: "`weft apply --refresh` puts it back; `drift:` in the settings says what is told, undone or ignored.",
    },
];

/// How remotes stand to what a node trusts.
pub const OF_REMOTES: &[Reason] = &[
    Reason {
        code: "current",
        title: "the remote shows the newest trusted commit, or one above it that is still judged",
        why: "It is as it should be.",
        fix: "Nothing.",
    },
    Reason {
        code: "behind",
        title: "the remote shows an older commit than another one, or than the node accepted",
        why: "A mirror may lag, and a branch that was put back to an older commit takes nothing back: that is no fault, and nothing goes back for it.",
        fix: "Where it stays so, look at what feeds the mirror. Where all are behind, push the accepted commit again (`weft status` names it), and take changes back with `git revert`.",
    },
    Reason {
        code: "diverged",
        title: "two remotes show commits of which neither comes from the other",
        why: "One of them lies, or the branch was rewritten on one. The node stays on its line.",
        fix: "Compare both with a clone that you trust; restore the branch on the one that is wrong.",
    },
    Reason {
        code: "unread",
        title: "the remote answered, and what it shows cannot be read",
        why: "What is not understood as a whole is not used; the other remotes serve.",
        fix: "`weft status` names the reason with a code of its own, most often one that a commit on top mends.",
    },
    Reason {
        code: "unreached",
        title: "the remote gave nothing",
        why: "A remote costs its own time and nothing else; the others serve.",
        fix: "`weft status` names the reason with a code of its own; `weft doctor --online` asks again.",
    },
];

/// Why an apply was undone or not begun.
pub const OF_AN_APPLY: &[Reason] = &[
    Reason {
        code: "step-failed",
        title: "a step of the apply failed",
        why: "A half network is worse than an old one: what ran before is put back.",
        fix: "Read the message, which names the step and what the program said.",
    },
    Reason {
        code: "file-differs",
        title: "a file is not what was written, although every step was done",
        why: "Another program writes the same file at the same time, or the disk loses writes.",
        fix: "Find who writes it; no other program may own the files of weft.",
    },
    Reason {
        code: "network-differs",
        title: "the network did not become what was asked for",
        why: "The kernel and the daemons are read back, because no program's own word is believed.",
        fix: "Read the message: it names each interface and daemon, and what is otherwise.",
    },
    Reason {
        code: "network-unread",
        title: "the network could not be read back",
        why: "What cannot be seen is not confirmed.",
        fix: "Read the message; it is most often a program that is missing or does not answer (`weft doctor`).",
    },
    Reason {
        code: "network-not-restored",
        title: "the network did not go back to what it was",
        why: "The files are those of before and the kernel or a daemon is not. The next start tries again.",
        fix: "Read the message: it names what is otherwise; mend that by hand, then `weft sync`.",
    },
    Reason {
        code: "journal-unwritable",
        title: "the journal of applies cannot be written",
        why: "Without it nobody would know the way back, so nothing goes on.",
        fix: "Look at the disk and the permissions of `/var/lib/weft`.",
    },
    Reason {
        code: "window-down",
        title: "something worked before the change and did not within its window",
        why: "A change that cuts something off is undone, whoever signed it.",
        fix: "The message names what was down. If the change was meant to end it, declare that; if something else was to blame, `weft apply --refresh` tries again.",
    },
    Reason {
        code: "window-unsettled",
        title: "what worked before worked again only shortly before the window ended",
        why: "What comes and goes is not confirmed: it has to work for the settle time without a break.",
        fix: "Give it more time with `confirm:` in the settings, or find what goes up and down.",
    },
    Reason {
        code: "window-unconfirmed",
        title: "nobody confirmed the change in time",
        why: "With `--confirm manual`, or where the settings say so, only a person confirms.",
        fix: "Apply it again and run `weft confirm` before the window ends.",
    },
    Reason {
        code: "deadline-passed",
        title: "the window ended, and whoever applied did nothing about it",
        why: "The watchdog undoes what nobody looks after: the agent hung or was killed.",
        fix: "Read the log of the agent around that time.",
    },
    Reason {
        code: "machine-restarted",
        title: "the machine started anew before the change was confirmed",
        why: "Perhaps because of the change; so what ran before is put back before the network comes up.",
        fix: "Find out why the machine started anew; then `weft apply --refresh`.",
    },
    Reason {
        code: "superseded",
        title: "the window was failing, and a newer commit takes its place",
        why: "The newer one is planned from what worked, not from what did not.",
        fix: "Nothing: the newer commit is applied.",
    },
    Reason {
        code: "undone-by-hand",
        title: "a person went back",
        why: "`weft rollback` holds the node, and leaves alone what it went back from.",
        fix: "`weft resume` lets commits through again.",
    },
    Reason {
        code: "apply-interrupted",
        title: "the process that applied was killed, or the power failed",
        why: "Whatever was done, the node is brought to one whole state again. The change is not to blame.",
        fix: "Nothing: the next turn applies it.",
    },
    Reason {
        code: "apply-overtaken",
        title: "another process ended this apply",
        why: "One rename decides between two that want to end it; the other does nothing.",
        fix: "Look at `weft history`, which says how it ended.",
    },
    Reason {
        code: "apply-unsettled",
        title: "an earlier apply is not settled yet",
        why: "One change at a time: it is confirmed or undone before another begins.",
        fix: "`weft sync` settles it; `weft status` says what it waits for.",
    },
    Reason {
        code: "watchdog-missing",
        title: "the watchdog that would undo the change does not start",
        why: "A change that nobody would undo is not begun.",
        fix: "Read the message; it is memory, a limit of processes or systemd.",
    },
    Reason {
        code: "blind",
        title: "it is not known what works, and so nothing would be asked for after the change",
        why: "What worked before must work afterwards. A daemon that runs and does not answer may have sessions that nobody would miss.",
        fix: "Look at what the message names (`vtysh -d DAEMON`); the change is put off three times, then made, and the window says what is not watched. A commit that brings back what runs is not put off.",
    },
    Reason {
        code: "frr-silent",
        title: "FRR runs and does not answer",
        why: "What FRR took is read back from it. Of one that hangs nothing can be read, so that neither a change nor its way back could be proven; and starting it anew would drop sessions that may still forward.",
        fix: "`vtysh -c 'show watchfrr'` names the daemon that hangs; restart FRR (`systemctl restart frr`) when its sessions may drop. The next turn goes on. `weft rollback` and a commit that brings back what ran start it anew themselves.",
    },
    Reason {
        code: "plan-stale",
        title: "a file changed since the plan was made",
        why: "A plan is carried out on what it was made from, or not at all.",
        fix: "Nothing: the next turn plans again. Where it stays so, find who writes the file.",
    },
    Reason {
        code: "plan-contradicts",
        title: "the steps of a plan do not lead to what it says",
        why: "This is a fault of weft; nothing was changed.",
        fix: "Report it with the message and the output of `weft plan`.",
    },
    Reason {
        code: "file-refused",
        title: "the program that reads a file would refuse it",
        why: "FRR and dnsmasq are asked before anything is changed.",
        fix: "Read what the program says; most often lines of `frr.conf.local`, or a version that lacks an option.",
    },
    Reason {
        code: "no-space",
        title: "there is too little room for a way back",
        why: "What cannot be kept cannot be put back, so that nothing is begun.",
        fix: "Make room in the directory that the message names.",
    },
    Reason {
        code: "no-generation",
        title: "there is no such generation",
        why: "Generations are kept for a while; a way back needs a whole one.",
        fix: "The message names those that there are; `weft history` says what each was.",
    },
];

/// Why a turn could not be finished.
pub const OF_A_TURN: &[Reason] = &[
    Reason {
        code: "busy",
        title: "another weft is at work on this node",
        why: "One process changes a node at a time.",
        fix: "Wait for it to end; the lock goes with its process. Where the message says that it watches a window, `weft confirm` works meanwhile.",
    },
    Reason {
        code: "gave-way",
        title: "the turn gave way to something more urgent, and changed nothing",
        why: "`weft rollback` and the end of the agent wait for no server that is slow.",
        fix: "Ask again; `weft status` says how the node is.",
    },
    Reason {
        code: "machine-refused",
        title: "the machine refused something",
        why: "A file, a directory or a program did not do what it should.",
        fix: "Read the message, which names it and says why.",
    },
    Reason {
        code: "remotes-unreached",
        title: "no remote gave anything",
        why: "Without a remote the node keeps what it runs.",
        fix: "Each remote has a reason of its own in `weft status`; the next turn tries again.",
    },
    Reason {
        code: "anchor-unusable",
        title: "what is known of the newest trusted commit cannot be used",
        why: "Without it a remote could take the node back, so that nothing is decided.",
        fix: "Follow the message: restore the two files of the anchor, or introduce the node again at what it runs.",
    },
    Reason {
        code: "state-damaged",
        title: "something in weft's own state is not what weft wrote",
        why: "What runs is read from that state; on a damaged one nothing is built. The network is kept.",
        fix: "Bring the file that the message names back from a backup, or move the state away to begin anew with what the node has.",
    },
    Reason {
        code: "quarantine-unreadable",
        title: "it is not known which renderings were undone",
        why: "One of them could be tried again at once.",
        fix: "Look at `/var/lib/weft/quarantine`; remove it to go on.",
    },
    Reason {
        code: "revoked-unreadable",
        title: "it is not known which keys are revoked on this node",
        why: "A stolen key must not count for a wrong line. Nothing new is trusted, and the network stays.",
        fix: "Mend `/etc/weft/revoked`: one fingerprint in a line, as `ssh-keygen -lf KEY.pub` prints it.",
    },
    Reason {
        code: "hold-unreadable",
        title: "it is not known whether an operator holds the node",
        why: "What cannot be read counts as a hold.",
        fix: "Look at `/var/lib/weft/hold`, then `weft resume`.",
    },
    Reason {
        code: "hold-unwritable",
        title: "the hold cannot be written down",
        why: "A way back holds the node first, so that nothing goes forward again meanwhile. Nothing was begun.",
        fix: "Make room, or mend the permissions, where the message says; then ask again.",
    },
    Reason {
        code: "unrecovered",
        title: "an apply was interrupted and cannot be undone",
        why: "The network is kept as it is, until the way back is free.",
        fix: "Read the message for what stands in the way; the next start tries again.",
    },
];
