//! Whose an object is, and who holds it, by what is written on it.

use std::net::IpAddr;

use crate::declare::lease;
use crate::network::{Lease, Origin};
use crate::plan::ipam::{Mark, Of, Owner};
use crate::value::{ClusterName, GuestName};

/// The most that is told on of a mark that is not ours, in characters.
const LONGEST: usize = 120;

/// Whose an object is, by its tag and its mark.
pub(in crate::reconcile) fn owner(
    has_tag: bool,
    mark: Option<&str>,
    cluster: &ClusterName,
) -> (Owner, Option<Mark>) {
    match mark.filter(|mark| !mark.is_empty()) {
        None => (Owner::Nobody, None),
        Some(text) => match text.parse::<Mark>() {
            Ok(mark) if has_tag && mark.cluster == *cluster => (Owner::Ours, Some(mark)),
            _ => {
                let said = text.chars().filter(char::is_ascii_graphic).take(LONGEST).collect();
                (Owner::Marked(said), None)
            }
        },
    }
}

/// The lease of a guest's address. Where its text is none that fits the mark, it is held by
/// the interface of the mark until a person gives it up.
pub(in crate::reconcile) fn lease_of(mark: &Mark, address: IpAddr, text: &[u8]) -> Option<Lease> {
    let Of::Interface(vnet, mac, _) = &mark.of else { return None };
    let read = lease::read(&lease::path(&mark.zone, address), text).ok().map(|(_, lease)| lease);
    read.filter(|lease| (&lease.vnet, &lease.mac) == (vnet, mac)).or_else(|| {
        Some(Lease {
            vnet: vnet.clone(),
            mac: mac.clone(),
            guest: GuestName::try_from("unknown".to_owned()).ok()?,
            hostname: None,
            origin: Origin::Set,
            released: None,
        })
    })
}
