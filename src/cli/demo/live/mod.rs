//! `weft demo --live`: what guests notice of commits. Two nodes are network namespaces with
//! real bridges and VXLAN, made by the native engine, and two guests ping each other all the
//! time. It is the very program that runs on a node.

mod guest;
mod network;
pub(super) mod node;
mod scene;
mod story;

use std::time::Instant;

use nix::unistd::Uid;

use self::network::Network;
use self::scene::Scene;
use super::{end, is_whole, play};
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::plan::{Make, NetworkStep};

pub(super) use self::guest::Pings;

/// Runs the demo. In order only if every step did what it should.
pub(super) fn run(output: Output) -> Result<Exit, Failure> {
    can_be_here()?;
    let begun = Instant::now();
    let mut scene = Scene::set()?;
    output.say(format!(
        "weft demo --live: two nodes and two guests in namespaces, the git server in {}\n",
        scene.origin.path()?
    ));
    let interrupted = scene.interrupted.clone();
    let steps = play(&mut scene, story::STEPS, output, &interrupted);
    let interrupted = interrupted.is_so();
    drop(scene);
    let ok = is_whole(&steps, story::STEPS);
    let seconds = begun.elapsed().as_secs_f32();
    output.say(match (ok, interrupted) {
        (_, true) => "Interrupted. Nodes, guests and the directory are gone.".to_owned(),
        (true, false) => format!(
            "Every step did what it should, in {seconds:.0} s. Nodes, guests and the directory are gone; nothing else was touched."
        ),
        (false, false) => "The demo failed at the step above. Nodes, guests and the directory are gone.".to_owned(),
    });
    Ok(end(output, ok && !interrupted, &steps))
}

/// Whether there can be such nodes on this machine, which is tried where nobody sees it.
fn can_be_here() -> Result<(), Failure> {
    let no = |why: String| {
        Failure::new(Exit::Failed, format!("there can be no live nodes here: {why}"))
            .hint("`weft demo` shows the life of a change without root, on dry nodes")
    };
    if !Uid::effective().is_root() {
        return Err(no("only root has network namespaces".to_owned()));
    }
    let directories = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    if !directories.iter().any(|directory| std::path::Path::new(directory).join("ip").exists()) {
        return Err(no("`ip` of iproute2 is not installed, by which weft knows a node".to_owned()));
    }
    let network = Network::new()
        .map_err(|error| no(format!("the kernel refuses a network namespace: {error}")))?;
    let name = |text: &str| text.parse().map_err(|_| no("no names".to_owned()));
    for make in [
        Make::Bridge,
        Make::Veth { peer: name("other")? },
        Make::Vxlan { id: 1, port: 4789, local: None, learning: true },
    ] {
        let what = make.to_string();
        let create = NetworkStep::Create { interface: name("one")?, make };
        let remove = NetworkStep::Delete { interface: name("one")? };
        network
            .change(&[create, remove])
            .map_err(|failure| no(format!("the kernel makes no {what}: {}", failure.message())))?;
    }
    Ok(())
}
