//! The settings of a running agent, as they are read at its start and again.

use std::sync::Arc;

use super::{Event, Owner, chain, hook, settings};
use crate::host::Host;

impl<H: Host + 'static> Owner<H>
where
    H::Lock: 'static,
{
    /// Reads the settings. Those that were good stay where the new ones are not. Nothing is read
    /// during a way back that knows none: a turn would begin.
    pub(super) fn reload(&mut self) -> Event {
        if self.back.is_some() {
            return Event::Unintroduced;
        }
        self.condition.warnings.clear();
        let problem = match settings::load(&*self.host) {
            Ok(Some(settings)) => {
                let event = Event::Introduced(settings.schedule(&self.zone), settings.phase());
                let settings = Arc::new(settings);
                self.ports.use_settings(&settings);
                self.settings = Some(settings);
                self.memory = Arc::default();
                self.listen();
                let exposed = settings::exposed(&*self.host);
                self.condition.warnings.extend(exposed.inspect(|why| tracing::warn!("{why}")));
                return event;
            }
            Ok(None) => format!("waiting to be introduced: there is no `{}`", settings::PATH),
            Err(error) => chain(&error),
        };
        if self.settings.is_some() {
            tracing::warn!("{problem}; the settings from before stay in force");
            self.listen();
            self.condition.warnings.insert(0, problem);
            return Event::Tick;
        }
        if self.condition.message != problem {
            tracing::warn!("{problem}");
        }
        self.condition.message = problem;
        Event::Unintroduced
    }

    /// Says where to listen and whom to believe, with the secrets as they are now.
    pub(super) fn listen(&mut self) {
        let Some(settings) = &self.settings else { return };
        let (listening, errors) = hook::listening(&*self.host, settings);
        let errors: Vec<String> = errors
            .iter()
            .map(|(name, error)| format!("webhook `{name}` is not listened to: {}", chain(error)))
            .collect();
        for error in errors.iter().filter(|error| !self.condition.warnings.contains(error)) {
            tracing::warn!("{error}");
        }
        self.condition.warnings.retain(|warning| !warning.starts_with("webhook "));
        self.condition.warnings.extend(errors);
        self.ends.listening.send_replace(Arc::new(listening));
    }
}
