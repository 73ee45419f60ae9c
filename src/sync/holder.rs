//! Whose key it is, by the signers of a commit.

use jiff::Timestamp;

use super::climb::Stop;
use super::refusal::{Reason, Refusal};
use super::signature::{KeyFingerprint, SignedBy};
use super::trust::TrustFiles;
use crate::declare::policy::NAMESPACE;
use crate::declare::signers::NotASigner;
use crate::value::{ObjectId, Principal};

/// That a key has no name.
pub(super) fn nobody(id: ObjectId, key: &KeyFingerprint) -> Stop {
    Stop::Refused(not_a_signer(id, key, NotASigner::Nameless))
}

/// The principals whose key it is.
pub(super) fn names(
    id: ObjectId,
    files: &TrustFiles,
    signed: &SignedBy,
    at: Timestamp,
) -> Result<Vec<Principal>, Stop> {
    files
        .signers
        .principals(&signed.key, NAMESPACE, at)
        .map(|names| names.into_iter().cloned().collect())
        .map_err(|why| Stop::Refused(not_a_signer(id, &signed.fingerprint, why)))
}

fn not_a_signer(id: ObjectId, key: &KeyFingerprint, why: NotASigner) -> Refusal {
    let code = match why {
        NotASigner::Unknown | NotASigner::Nameless | NotASigner::OtherNamespace => {
            Reason::SignerUnknown
        }
        NotASigner::TooEarly(_) => Reason::KeyTooEarly,
        NotASigner::Expired(_) => Reason::KeyExpired,
    };
    Refusal::new(code, id, format!("it is signed by {key}: {why}"))
}
