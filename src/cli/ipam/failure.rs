//! Why leases are not read or written, with a name that `weft explain` knows.

use crate::agent::addresses::AddressesError;
use crate::agent::leases::LeasesError;
use crate::cli::failure::Failure;
use crate::cli::node;
use crate::sync::ledger::LedgerError;

/// A failure of leases.
pub(super) fn failed(error: impl Into<AddressesError>) -> Failure {
    let error = error.into();
    let code = match &error {
        AddressesError::Leases(error) => LeasesError::code(error),
        AddressesError::Ledger(error) => Some(LedgerError::code(error)),
        _ => None,
    };
    let failure = node::failed(&error);
    match code {
        Some(code) => failure.code(code),
        None => failure,
    }
}
