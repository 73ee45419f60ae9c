//! Rules about zones.

use super::report::Report;
use crate::declare::Declared;
use crate::declare::finding::{Code, Finding};
use crate::value::ControllerId;

/// An MTU is one that a bridge can have. 0 is "not set".
pub(super) fn mtu_possible(declared: &Declared, report: &mut Report) {
    for (id, zone) in &declared.zones {
        let Some(mtu) = &zone.value.mtu else { continue };
        let bytes = mtu.value.get();
        if bytes != 0 && !(1280..=65_520).contains(&bytes) {
            let message = format!("zone `{id}` has an MTU of {bytes} bytes");
            let finding = Finding::new(Code::MtuOutOfBounds, message, &mtu.place)
                .help("an MTU lies between 1280 and 65520");
            report.push(finding);
        }
    }
}

/// A UDP port is one that there is.
pub(super) fn port_possible(declared: &Declared, report: &mut Report) {
    for (id, zone) in &declared.zones {
        let Some(port) = &zone.value.vxlan_port else { continue };
        if port.value.get() > 65_535 {
            let message = format!("zone `{id}` has UDP port {}, which does not exist", port.value);
            report.push(Finding::new(Code::PortOutOfBounds, message, &port.place));
        }
    }
}

/// The controller that a zone names is declared.
pub(super) fn controllers_declared(declared: &Declared, report: &mut Report) {
    for (id, zone) in &declared.zones {
        let Some(controller) = &zone.value.controller else { continue };
        if !declared.controllers.contains_key(&controller.value) {
            report.unknown(
                Code::ReferenceUnknown,
                format!(
                    "zone `{id}` names controller `{}`, which is not declared",
                    controller.value
                ),
                &controller.place,
                controller.value.as_str(),
                "declared controllers",
                declared.controllers.keys().map(ControllerId::as_str),
            );
        }
    }
}
