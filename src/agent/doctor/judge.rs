//! Judging what was found. Pure: whoever has an [`Examined`] gets the same diagnoses.

mod network;
mod own;
mod system;

use super::examined::{Examined, Looked};
use super::needs::{self, Needs};
use super::{Code, Diagnosis, Severity};
use crate::agent::settings::Settings;
use crate::network::Network;

/// Everything that can be said of a machine, in the order of [`Code::ALL`]; at least
/// one diagnosis for each code. What is declared is judged where it is given, else what
/// the machine's own files of the network ask for.
pub fn diagnose(
    examined: &Examined,
    settings: Option<&Settings>,
    network: Option<&Network>,
) -> Vec<Diagnosis> {
    let patient =
        Patient { examined, settings, network, needs: needs(examined, settings, network) };
    let mut said = Said(Vec::new());
    system::judge(&patient, &mut said);
    own::judge(&patient, &mut said);
    network::judge(&patient, &mut said);
    said.0.sort_by_key(|diagnosis| diagnosis.code);
    said.0
}

fn needs(
    examined: &Examined,
    settings: Option<&Settings>,
    network: Option<&Network>,
) -> Option<Needs> {
    let by_files = examined.needs.seen().cloned().flatten();
    let routes = examined.routes.seen().map_or(&[][..], Vec::as_slice);
    let node = settings.map(|settings| &settings.node.value);
    let by_network =
        network.zip(node).map(|(network, node)| needs::of_network(network, node, routes));
    match (by_network, by_files) {
        (Some(network), Some(files)) => Some(network.with(&files)),
        (network, files) => network.or(files),
    }
}

/// All that is known of the machine that is judged.
struct Patient<'a> {
    examined: &'a Examined,
    settings: Option<&'a Settings>,
    network: Option<&'a Network>,
    /// `None` where nobody knows what the machine is for.
    needs: Option<Needs>,
}

impl Patient<'_> {
    /// Whether something is needed; `None` where nobody knows.
    fn needs(&self, what: impl FnOnce(&Needs) -> bool) -> Option<bool> {
        self.needs.as_ref().map(what)
    }
}

/// The diagnoses that were made.
struct Said(Vec<Diagnosis>);

impl Said {
    fn say(&mut self, code: Code, severity: Severity, message: String, mend: Option<String>) {
        self.0.push(Diagnosis { code, severity, message, mend });
    }

    fn ok(&mut self, code: Code, message: impl Into<String>) {
        self.say(code, Severity::Ok, message.into(), None);
    }

    fn warning(&mut self, code: Code, message: impl Into<String>, mend: impl Into<String>) {
        self.say(code, Severity::Warning, message.into(), Some(mend.into()));
    }

    fn error(&mut self, code: Code, message: impl Into<String>, mend: impl Into<String>) {
        self.say(code, Severity::Error, message.into(), Some(mend.into()));
    }

    fn skipped(&mut self, code: Code, why: impl Into<String>) {
        self.say(code, Severity::Skipped, why.into(), None);
    }

    /// What is missing: an error where it is needed, a warning where nobody knows, in
    /// order where it is not.
    fn missing(
        &mut self,
        code: Code,
        needed: Option<bool>,
        message: &str,
        mend: impl Into<String>,
    ) {
        match needed {
            Some(true) => self.error(code, message, mend),
            None => {
                self.warning(
                    code,
                    format!("{message}; it is not known whether it is needed"),
                    mend,
                );
            }
            Some(false) => self.ok(code, format!("{message}, and nothing here needs it")),
        }
    }

    /// What was seen; where nothing was, that is said of each code.
    fn look<'a, T>(&mut self, looked: &'a Looked<T>, codes: &[Code]) -> Option<&'a T> {
        match looked {
            Looked::Seen(found) => Some(found),
            Looked::Unseen(why) => {
                for code in codes {
                    self.skipped(*code, why.as_str());
                }
                None
            }
        }
    }
}

/// Words as a list for people: `` `a`, `b` ``.
fn quoted<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> String {
    words.into_iter().map(|word| format!("`{}`", word.as_ref())).collect::<Vec<_>>().join(", ")
}
