//! Rules about zones.

use super::report::Report;
use crate::declare::Declared;
use crate::declare::controller::{Controller, ControllerType};
use crate::declare::finding::{Code, Finding};
use crate::value::{At, ControllerId};

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

/// The controller that a zone names is declared, and spans zones.
pub(super) fn controllers_declared(declared: &Declared, report: &mut Report) {
    for (id, zone) in &declared.zones {
        let Some(At { value: name, place }) = &zone.value.controller else { continue };
        let Some(controller) = declared.controllers.get(name) else {
            let message = format!("zone `{id}` names controller `{name}`, which is not declared");
            let names = declared.controllers.keys().map(ControllerId::as_str);
            let code = Code::ReferenceUnknown;
            report.unknown(code, message, place, name.as_str(), "declared controllers", names);
            continue;
        };
        let kind = &controller.value.kind;
        if kind.value != ControllerType::Evpn {
            let message = format!(
                "zone `{id}` names controller `{name}`, which is one of type {}",
                kind.value
            );
            let mut finding =
                Finding::new(Code::ControllerNotEvpn, message, place).also(&kind.place, "its type");
            let is_evpn = |of: &Controller| of.kind.value == ControllerType::Evpn;
            if let Some((evpn, _)) = declared.controllers.iter().find(|(_, of)| is_evpn(&of.value))
            {
                finding = finding.help(format!("write `controller: {evpn}`"));
            }
            report.push(finding);
        }
    }
}
