//! What is recorded of a machine for rendering.

use camino::Utf8Path;

use super::{Host, HostError, Linux, interfaces, program, routes};
use crate::facts::Facts;
use crate::value::NodeName;

/// The only file that the reference takes addresses from.
pub(super) const INTERFACES: &str = "/etc/network/interfaces";

/// The most bytes that are read of it.
pub(super) const INTERFACES_LIMIT: u64 = 4 << 20;

/// The facts of this machine, or of the dry node below a root.
///
/// On a machine the routes are the kernel's. A dry node has no kernel: its routes are
/// those that [`INTERFACES`] would make.
pub(super) fn collect(root: Option<&Utf8Path>, node: &NodeName) -> Result<Facts, HostError> {
    let host = Linux::new(root.map(Utf8Path::to_owned));
    let text = match host.read(Utf8Path::new(INTERFACES), INTERFACES_LIMIT)? {
        // A comment may be in any encoding; an address cannot.
        Some(file) => String::from_utf8_lossy(&file.bytes).into_owned(),
        None => String::new(),
    };
    let routes = match root {
        Some(_) => interfaces::routes(&text),
        None => kernel_routes()?,
    };
    let addresses = interfaces::interface_addresses(&text);
    Ok(Facts { addresses, routes, ..Facts::unknown(node.clone()) })
}

fn kernel_routes() -> Result<Vec<crate::facts::Route>, HostError> {
    let ask = |arguments: &[&str]| program::run("ip", arguments);
    let four = ask(&["-j", "route", "show", "table", "main"])?;
    let six = ask(&["-j", "-6", "route", "show", "table", "main"])?;
    let devices = ask(&["-j", "addr"])?;
    routes::from_kernel(&four, &six, &devices).map_err(|error| HostError::Program {
        program: "ip -j".to_owned(),
        message: format!("gave an answer that cannot be read: {error}"),
    })
}
