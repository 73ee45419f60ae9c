//! Rules about options that only some types of an object have.

use std::fmt::Display;

use super::report::Report;
use crate::declare::declaration::{Choice as _, Typed};
use crate::declare::finding::{Code, Finding};
use crate::declare::{Declared, Entries};

/// Every option of an object is one of its type.
pub(super) fn fit(declared: &Declared, report: &mut Report) {
    foreign("zone", &declared.zones, report);
    foreign("controller", &declared.controllers, report);
    foreign("fabric", &declared.fabrics, report);
    foreign("IPAM", &declared.ipams, report);
}

fn foreign<K: Display, T: Typed>(what: &str, entries: &Entries<K, T>, report: &mut Report) {
    for (id, entry) in entries {
        let kind = entry.value.kind();
        for option in T::OPTIONS.iter().filter(|option| !option.types.contains(&kind.value)) {
            let Some(place) = entry.value.place(option.name) else { continue };
            let types: Vec<&str> = option.types.iter().map(|of| of.word()).collect();
            let name = option.name;
            let message = format!("`{name}` is no option of {} {what} `{id}`", kind.value);
            let finding = Finding::new(Code::OptionNotForType, message, place)
                .also(&kind.place, "the type is set here")
                .help(format!("`{name}` belongs to type {}", types.join(", ")));
            report.push(finding);
        }
    }
}

/// Every object has the options that its type requires.
pub(super) fn present(declared: &Declared, report: &mut Report) {
    missing("zone", &declared.zones, report);
    missing("controller", &declared.controllers, report);
    missing("fabric", &declared.fabrics, report);
    missing("IPAM", &declared.ipams, report);
}

fn missing<K: Display, T: Typed>(what: &str, entries: &Entries<K, T>, report: &mut Report) {
    for (id, entry) in entries.iter().filter(|(_, entry)| entry.whole) {
        let kind = entry.value.kind();
        for option in T::OPTIONS.iter().filter(|option| option.required.contains(&kind.value)) {
            if entry.value.place(option.name).is_some() {
                continue;
            }
            let message = format!("{} {what} `{id}` has no `{}`", kind.value, option.name);
            let finding = Finding::new(Code::OptionRequired, message, &entry.place)
                .also(&kind.place, "this type requires it")
                .help(format!("add `{}: …`", option.name));
            report.push(finding);
        }
    }
}
