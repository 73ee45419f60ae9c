//! Whether a node and a repository belong together.

use crate::declare::finding::{Code, Finding, suggestion};
use crate::declare::{self, Findings, Severity, Tree};
use crate::network::Network;
use crate::value::{NodeName, Place};

/// The finding that a node is not declared.
pub(super) fn undeclared(node: &NodeName, network: &Network, tree: &Tree) -> Finding {
    let place = Place::start_of(&tree.path(declare::CLUSTER_FILE));
    let message = format!("node `{node}` is not declared, so its agent refuses to act");
    let mut finding = Finding::new(Code::ThisNodeUndeclared, message, &place);
    let names = network.nodes.keys().map(AsRef::as_ref);
    finding.help = suggestion(node.as_str(), "declared nodes", names);
    finding
}

/// Whether all that is wrong is that node and repository do not belong together.
pub(super) fn of_settings(findings: &Findings) -> bool {
    let settings = [Code::ThisNodeUndeclared, Code::OtherCluster];
    let mut errors =
        findings.iter().filter(|finding| finding.severity == Severity::Error).peekable();
    errors.peek().is_some() && errors.all(|finding| settings.contains(&finding.code))
}
