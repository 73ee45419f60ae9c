//! `weft pve`: what Proxmox VE calls.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use serde_json::json;

use super::failure::{Exit, Failure};
use super::node::{self, Node};
use super::output::Output;
use super::verb;
use crate::agent::error::chain;
use crate::agent::leases::Starter;
use crate::agent::settings::{Settings, WithoutAddress};
use crate::agent::starting::{Provided, provide};
use crate::sync::worker::Cancel;

/// `weft pve`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// What a hookscript of a guest runs: before the guest starts, each of its interfaces on
    /// a vnet gets its addresses. Exit 4 when it has none and the settings say that it must
    /// not start; Proxmox does not start it then. Settings that cannot be read stop nobody.
    Hook {
        /// The number of the guest.
        #[arg(value_name = "VMID", value_parser = verb::number::<u32>)]
        number: u32,
        /// What Proxmox is about to do, such as `pre-start`.
        phase: String,
    },
}

/// Runs a verb of `weft pve`.
pub(super) fn run(node: &Node, output: Output, arguments: &Arguments) -> Result<Exit, Failure> {
    let Verb::Hook { number, phase } = &arguments.verb;
    if phase != "pre-start" {
        return Ok(Exit::Ok);
    }
    let (why, without) = match node.settings() {
        // Whether guests start without is for the settings to say, and these say nothing.
        Err(failure) => (failure.message().to_owned(), WithoutAddress::Start),
        Ok(settings) => {
            let (wait, without) = settings.starting();
            match provided(node, settings, *number, wait) {
                Ok(Provided::Lacking(why)) | Err(why) => (why, without),
                Ok(provided) => {
                    let words = match provided {
                        Provided::Nothing => "nothing is weft's to provide",
                        Provided::Known => "every interface has its addresses",
                        Provided::Settled | Provided::Lacking(_) => {
                            "every interface got its addresses"
                        }
                    };
                    output.say(format!("guest {number}: {words}"));
                    output.document(&json!({ "ok": true, "message": words }));
                    return Ok(Exit::Ok);
                }
            }
        }
    };
    let message = format!("guest {number}: {why}");
    match without {
        WithoutAddress::Refuse => Err(Failure::new(Exit::Refused, message)
            .hint("`pve-guests: {without-address: start}` below `leases` lets such guests start")),
        WithoutAddress::Start => {
            Output::notice(format!("warning: {message}; it starts all the same"));
            output.document(&json!({ "ok": true, "warning": message }));
            Ok(Exit::Ok)
        }
    }
}

/// What came of it, or why nothing did, as after `wait`. What is still at work then ends with
/// this process, and has published everything or nothing.
fn provided(
    node: &Node,
    settings: Settings,
    number: u32,
    wait: Duration,
) -> Result<Provided, String> {
    let program = node::program().map_err(|failure| failure.to_string())?;
    let (host, root) = (node.host.clone(), node.root.clone());
    let (tell, told) = mpsc::channel();
    let waits = Arc::new(Mutex::new(None));
    let last = Arc::clone(&waits);
    std::thread::Builder::new()
        .name("provide".to_owned())
        .spawn(move || {
            let cancel = Cancel::default();
            let starter = Starter { program: &program, root: root.as_deref(), cancel: &cancel };
            let waits = |why| *waits.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
            let provided = provide(&host, &settings, starter, number, waits);
            // Whoever waited may be gone.
            let _ = tell.send(provided.map_err(|error| chain(&error)));
        })
        .map_err(|error| chain(&error))?;
    told.recv_timeout(wait).unwrap_or_else(|_| {
        let last = last.lock().unwrap_or_else(PoisonError::into_inner).take();
        let why = last.map(|why| format!(": {why}")).unwrap_or_default();
        Err(format!("no server of leases answered within {} s{why}", wait.as_secs()))
    })
}
