//! `weft pve`: what Proxmox VE calls.

use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;

use super::failure::{Exit, Failure};
use super::node::{self, Node, failed};
use super::output::Output;
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
    /// not start; Proxmox does not start it then.
    Hook {
        /// The number of the guest.
        #[arg(value_name = "VMID")]
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
    let settings = node.settings()?;
    let (wait, without) = settings.starting();
    let why = match provided(node, settings, *number, wait)? {
        Some(Ok(Provided::Lacking(why))) => why,
        Some(Ok(provided)) => {
            let words = match provided {
                Provided::Nothing => "nothing is weft's to provide",
                Provided::Known => "every interface has its addresses",
                Provided::Settled | Provided::Lacking(_) => "every interface got its addresses",
            };
            output.say(format!("guest {number}: {words}"));
            output.document(&json!({ "ok": true, "message": words }));
            return Ok(Exit::Ok);
        }
        Some(Err(error)) => error,
        None => format!("no server of leases answered within {} s", wait.as_secs()),
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

/// What came of it; `None` where it took too long. What is still at work then ends with this
/// process, and has published everything or nothing.
fn provided(
    node: &Node,
    settings: Settings,
    number: u32,
    wait: Duration,
) -> Result<Option<Result<Provided, String>>, Failure> {
    let (program, host, root) = (node::program()?, node.host.clone(), node.root.clone());
    let (tell, told) = mpsc::channel();
    std::thread::Builder::new()
        .name("provide".to_owned())
        .spawn(move || {
            let cancel = Cancel::default();
            let starter = Starter { program: &program, root: root.as_deref(), cancel: &cancel };
            let provided = provide(&host, &settings, starter, number);
            // Whoever waited may be gone.
            let _ = tell.send(provided.map_err(|error| chain(&error)));
        })
        .map_err(|error| failed(&error))?;
    Ok(told.recv_timeout(wait).ok())
}
