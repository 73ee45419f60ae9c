//! Why commits are refused.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::value::ObjectId;

macro_rules! reasons {
    ($($variant:ident $id:literal $doc:literal $help:literal;)*) => {
        /// The stable name of a kind of refusal. Never reused for another kind.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $doc] $variant,)*
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name as it is printed, such as `path-not-allowed`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// What it says, in one sentence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }

            /// What to do about it.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }
        }
    };
}

reasons! {
    CommitMalformed "commit-malformed"
        "The commit is not written as git writes commits."
        "make the change again with git on top of the last accepted commit";
    TreeMalformed "tree-malformed"
        "A directory of the commit is not written as git writes directories, or is beyond a bound."
        "make the change again with git on top of the last accepted commit";
    Unsigned "unsigned"
        "The commit is not signed."
        "sign it: `git config gpg.format ssh`, `git config user.signingkey ~/.ssh/id_ed25519.pub`, `git commit --amend -S`";
    SignatureUnsupported "signature-unsupported"
        "The commit is signed in a way that is not accepted."
        "sign it with a key of ssh, ed25519, ECDSA, RSA of 3072 bits or more, or a hardware key that is touched; not with a certificate: `git config gpg.format ssh`, `git commit --amend -S`";
    SignatureBad "signature-bad"
        "The signature cannot be read, was made for something else, or is over another commit."
        "somebody changed the commit after it was signed; sign it again on top of the last accepted commit, and find out where it was changed";
    SignerUnknown "signer-unknown"
        "The trust files of the first parent do not name the key."
        "let a root principal add the key to `.weft/allowed_signers` in a commit below this one, or have the commit signed by a key that is listed there";
    RoleMissing "role-missing"
        "The signer is in no role of the first parent's policy."
        "let a root principal add the signer to a role of `.weft/policy.yaml` in a commit below this one";
    PathNotAllowed "path-not-allowed"
        "The first parent's policy does not let the signer change a path."
        "take the commit off the branch (`git reset`, `git push --force-with-lease`: nodes have not accepted it) and have the change made by a principal of the role `root`";
    OutOfScope "out-of-scope"
        "The first parent's policy does not let the signer declare what the commit declares, or the declarations cannot be read."
        "take the commit off the branch (nodes have not accepted it) and keep to the `scope` of the signer's role in `.weft/policy.yaml`; or let a root principal widen the scope in a commit below this one";
    ThresholdUnmet "threshold-unmet"
        "Fewer people have signed a change than the first parent's policy asks for."
        "take the commit off the branch (nodes have not accepted it), put the change on a branch of its own, let each further person sign a commit there that holds it (`git commit --allow-empty -S`), and merge that branch with `git merge --no-ff -S`";
    NotAMerge "not-a-merge"
        "The first parent's policy has `mainline: merges`, and the commit neither is a merge nor brings back the files of an earlier one."
        "take the commit off the branch (nodes have not accepted it), and merge it: `git merge --no-ff -S WORK`. If nobody pushed it there, the server promoted somebody's work: find out why";
    VoidsOwnLine "voids-own-line"
        "The commit's `.weft/void` names a commit that it stands on."
        "take the commit off the branch; make the branch again without the void commit, and the void on top of that";
    Voided "voided"
        "The line goes through a commit that the accepted one has declared void."
        "the server shows a branch that was given up: restore the one that nodes have accepted";
    KeyExpired "key-expired"
        "The key was valid earlier."
        "take the commit off the branch (nodes have not accepted it) and sign it with a key that is valid; or let a root principal first extend `valid-before` in `.weft/allowed_signers`";
    KeyTooEarly "key-too-early"
        "The key is valid later."
        "wait until the key is valid, or correct `valid-after` in `.weft/allowed_signers`; check the clock of the machine that made the commit";
    KeyRevoked "key-revoked"
        "The key is revoked on this node."
        "have the change made again and signed by a key that is not revoked; if the accepted history rests on the key, introduce the node at a later commit";
    Clock "clock"
        "The committer time is before the first parent's or ahead of now."
        "set the clock of the machine that made the commit, and this node's; then make the commit again";
    TrustFilesBroken "trust-files-broken"
        "The commit's own trust files are missing or have errors, so that nothing could be built on it."
        "mend `.weft/allowed_signers` and `.weft/policy.yaml` (`weft validate` names what is wrong with them) in this commit itself, for nothing on top of it is accepted: take it off the branch or amend it (`git commit --amend -S`; nodes have not accepted it), then push again (`git push --force-with-lease`)";
    Rewritten "rewritten"
        "The accepted commit is not in the history of the tip."
        "restore the branch on the server to contain the accepted commit, and use `git revert` to take changes back: what nodes have accepted cannot be amended or taken off the branch. If it should never have been there, a root principal names the first commit that must go in `.weft/void`";
    Foxtrot "foxtrot"
        "The accepted commit is reachable only through the second parent of a merge."
        "someone merged the branch into their own work and pushed the result: make the merge the other way round (check the branch out, `git merge WORK`) and put it on the server instead";
    IntroductionMissing "introduction-missing"
        "The introduction is not on the tip's first-parent line."
        "check `introduction` in the node's settings, the remote and its branch; if they are right, the branch was replaced on the server";
    IntroductionSigner "introduction-signer"
        "The introduction is signed by another key than the one that introduces it."
        "correct `introduction` in the node's settings; nothing is wrong with the branch. The fingerprint is that of the key which signed this commit (`git log --show-signature -1 COMMIT`)";
    OnRefused "on-refused"
        "The commit stands on one that is refused."
        "nothing on top of a refused commit is accepted: take that one off the branch or amend it, put what stands on it on top of the last accepted commit (`git rebase`), and push again (`git push --force-with-lease`); nodes have accepted neither";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A commit that is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Which rule.
    pub code: Reason,
    /// The commit.
    pub commit: ObjectId,
    /// The sentence.
    pub message: String,
    /// What to do.
    pub help: &'static str,
}

impl Refusal {
    /// The refusal of a commit.
    pub(super) fn new(code: Reason, commit: ObjectId, message: impl Into<String>) -> Self {
        Self { code, commit, message: message.into(), help: code.help() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "commit {} is refused ({}): {}", self.commit.short(), self.code, self.message)
    }
}
