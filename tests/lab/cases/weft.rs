//! The program itself on a node.

use crate::lab::Lab;
use crate::namespaces::WEFT;
use crate::need::Need;
use crate::runner::Case;

pub(super) const CASES: &[Case] =
    &[Case::new("weft_runs_on_a_node", &[Need::Bridge], weft_runs_on_a_node)];

/// The program that was built here finds its libraries on a node and starts there.
fn weft_runs_on_a_node(lab: &Lab) {
    let node = lab.node(1);
    node.install(WEFT, "/usr/bin/weft", 0o755);
    let libraries = node.exec(&["ldd", "/usr/bin/weft"]).ok();
    assert!(!libraries.contains("not found"), "{libraries}");
    let version = node.exec(&["weft", "--version"]).ok();
    assert!(version.starts_with("weft "), "it says {version:?}");
}
