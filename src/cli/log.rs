//! What goes wrong beside the answer: a log for who collects one, plain lines for people.

use std::fmt;
use std::io::IsTerminal as _;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FmtSpan, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::Verb;
use super::output::harmless;

/// Sends to standard error what is logged: of processes that live on, and where `WEFT_LOG`
/// says from which level on, as a log with time and module. Where it says `debug`, each stage
/// of a turn tells how long it took. Other commands answer a person, whom warnings and errors
/// reach in the form of all else that is said.
pub(super) fn start(verb: &Verb) {
    let lives_on = matches!(verb, Verb::Agent | Verb::Watchdog { .. });
    let asked = EnvFilter::try_from_env("WEFT_LOG").ok();
    let is_log = lives_on || asked.is_some();
    let level = if matches!(verb, Verb::Agent) { "info" } else { "warn" };
    let log = tracing_subscriber::fmt()
        .with_env_filter(asked.unwrap_or_else(|| EnvFilter::new(level)))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let _ = if is_log {
        log.with_span_events(FmtSpan::CLOSE).try_init()
    } else {
        log.event_format(ForPeople).try_init()
    };
}

/// `warning: …`, without time and module.
struct ForPeople;

impl<S, N> FormatEvent<S, N> for ForPeople
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let word = if *event.metadata().level() == Level::ERROR { "error" } else { "warning" };
        // Fields without colour: a message of its own has none either.
        let mut fields = String::new();
        context.format_fields(Writer::new(&mut fields), event)?;
        writeln!(line, "{word}: {}", harmless(&fields))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::ForPeople;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("nobody panicked").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn people_get_a_line_without_time_and_module() {
        let kept = Kept::default();
        let writer = kept.clone();
        let log = tracing_subscriber::fmt()
            .event_format(ForPeople)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(log, || {
            tracing::warn!(remote = "a", "a \u{202e}title");
            tracing::error!("it broke");
        });
        let text = String::from_utf8(kept.0.lock().expect("nobody panicked").clone());
        let wanted = "warning: a \\u{202e}title remote=\"a\"\nerror: it broke\n";
        assert_eq!(text.expect("it is text"), wanted);
    }
}
