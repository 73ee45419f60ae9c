//! What a removal from the trust files must leave.

use jiff::Timestamp;

use super::files::TrustFiles;
use crate::cli::failure::{Exit, Failure};
use crate::declare::finding::Findings;
use crate::declare::policy::{ROOT, standing};
use crate::declare::{constant_path, policy, signers};
use crate::value::Principal;

/// That a role which could be used can be used afterwards.
pub(super) fn keeps_working(
    before: &TrustFiles,
    signers_text: &str,
    policy_text: &str,
    name: &Principal,
    now: Timestamp,
) -> Result<(), Failure> {
    let mut found = Findings::default();
    let signers = signers::read(&constant_path(signers::FILE), signers_text, &mut found);
    let policy = policy::read(&constant_path(policy::FILE), policy_text, &signers, &mut found);
    let Some(policy) = policy else { return Ok(()) };
    for role in policy.roles() {
        let old = before.policy.roles().iter().find(|old| old.name == role.name);
        let worked = old.is_some_and(|old| standing::is_workable(&before.signers, old, now));
        if !worked || standing::is_workable(&signers, role, now) {
            continue;
        }
        let able = standing::able(&signers, role, now);
        let (message, hint) = if role.name.as_str() == ROOT && able == 0 {
            (
                format!(
                    "`{name}` is the last of the role `{ROOT}` who can sign: nobody could change the trust files any more"
                ),
                "let somebody else into the role first: `weft trust add NAME KEY --role root`"
                    .to_owned(),
            )
        } else {
            (
                format!(
                    "the role `{}` needs {} people who sign, and without `{name}` {able} of it can",
                    role.name, role.threshold
                ),
                format!(
                    "let somebody else into the role first: `weft trust add NAME KEY --role {}`; or lower its `threshold`",
                    role.name
                ),
            )
        };
        return Err(Failure::new(Exit::Refused, message).hint(hint));
    }
    // A role that has no end must not get one by the way.
    if standing::root_end(&before.policy, &before.signers).is_none()
        && let Some(ends) = standing::root_ends(&policy, &signers, now)
    {
        let message = format!(
            "without it {ends}, for every key that is left ends: nobody could change the trust files then"
        );
        return Err(Failure::new(Exit::Refused, message).hint(
            "give somebody of the role a key without an end first: `weft trust add NAME KEY --role root`",
        ));
    }
    Ok(())
}
