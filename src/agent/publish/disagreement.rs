//! Whether what Proxmox applied means what a commit declares.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::place;
use super::standing::some;
use crate::declare::import::{self, KnownNode};
use crate::declare::pve::{Config, State, Unequal};
use crate::declare::{self, Declared, Tree, export};
use crate::host::Host;
use crate::network::Network;
use crate::plan::Guard;
use crate::validate;
use crate::value::{ClusterName, NodeName};

/// Why a commit must not be applied beside what Proxmox has; none where both mean the
/// same, and where there is no Proxmox.
pub(in crate::agent) fn disagreement(
    host: &impl Host,
    cluster: &ClusterName,
    tree: &Tree,
    network: &Network,
) -> Option<Guard> {
    let guard = |message: String| {
        Guard {
        code: "pve-disagrees",
        message,
        help: "change the one or the other until they mean the same (`weft import pve` shows what Proxmox has), or set `pve: publish`".to_owned(),
    }
    };
    let unread = |why: String| guard(format!("what Proxmox applied cannot be read: {why}"));
    match place::is_there(host) {
        Ok(true) => {}
        Ok(false) => return None,
        Err(error) => return Some(unread(error.to_string())),
    }
    let theirs = match place::running(host) {
        Ok(text) => text.unwrap_or_else(|| "{}".to_owned()),
        Err(stopped) => return Some(unread(stopped.message)),
    };
    let (declared, _) = declare::read(tree, Some(cluster));
    let ours = export::pve(&declared, network, 1, &BTreeMap::new());
    let ours = ours.files.get(declare::publish::RUNNING).cloned().unwrap_or_default();
    let unequal = match compared(&theirs, &ours, cluster, &declared) {
        Ok(unequal) => unequal,
        Err(why) => return Some(unread(why)),
    };
    if unequal.is_empty() {
        return None;
    }
    let said: Vec<String> = unequal.iter().map(words).collect();
    Some(guard(format!("what Proxmox applied is not what the commit declares: {}", some(&said))))
}

/// How two running configurations differ in what they mean: each as it comes back from
/// an import, and as it stands where one has no meaning that weft could import.
fn compared(
    theirs: &str,
    ours: &str,
    cluster: &ClusterName,
    declared: &Declared,
) -> Result<Vec<Unequal>, String> {
    let nodes: BTreeMap<NodeName, KnownNode> = declared
        .nodes
        .iter()
        .map(|(name, node)| {
            let address = node.value.address.as_ref().map(|address| address.value);
            (name.clone(), KnownNode { address, management: None })
        })
        .collect();
    let [own, other] = [theirs, ours].map(|text| meaning(text, cluster, &nodes));
    let (theirs, ours) = match (own?, other?) {
        (Some(theirs), Some(ours)) => (theirs, ours),
        _ => (theirs.to_owned(), ours.to_owned()),
    };
    let read = |text: &str| Config::running("sdn/.running-config", text);
    let (theirs, ours) = match (read(&theirs), read(&ours)) {
        (Ok(theirs), Ok(ours)) => (theirs, ours),
        (Err(damage), _) | (_, Err(damage)) => return Err(damage.to_string()),
    };
    let mut unequal = theirs.difference(&ours);
    // What is not said is a no.
    let is_no = |value: &Option<String>| value.as_ref().is_none_or(|value| value == "0");
    for object in unequal.iter_mut().filter(|object| object.state == State::Changed) {
        object.keys.retain(|key| !(is_no(&key.runs) && is_no(&key.wanted)));
    }
    unequal.retain(|object| object.state != State::Changed || !object.keys.is_empty());
    Ok(unequal)
}

/// A running configuration as an import and an export spell it; `None` where rules do not
/// hold for it.
fn meaning(
    text: &str,
    cluster: &ClusterName,
    nodes: &BTreeMap<NodeName, KnownNode>,
) -> Result<Option<String>, String> {
    let imported =
        import::running_config(text, cluster, nodes).map_err(|error| error.to_string())?;
    let files = imported.files.into_iter().map(|(path, text)| (path, Arc::from(text.as_str())));
    let tree = Tree::new(None, files);
    let (declared, findings) = declare::read(&tree, None);
    let (network, more) = validate::validate(&declared, &[]);
    let Some(network) = network.filter(|_| !findings.has_errors() && !more.has_errors()) else {
        return Ok(None);
    };
    let exported = export::pve(&declared, &network, 1, &BTreeMap::new());
    Ok(exported.files.get(declare::publish::RUNNING).cloned())
}

/// One object that differs.
fn words(unequal: &Unequal) -> String {
    let object = format!("{} {}", unequal.kind, unequal.id.escape_debug());
    match unequal.state {
        State::New => format!("{object} is missing there"),
        State::Deleted => format!("{object} is only there"),
        State::Changed => {
            let keys = unequal.keys.iter().map(|key| format!("`{}`", key.key.escape_debug()));
            format!("{object} differs in {}", keys.collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unequal(theirs: &str, ours: &str) -> Vec<String> {
        let cluster = "lab".parse().expect("a name");
        let declared = Declared::default();
        let unequal = compared(theirs, ours, &cluster, &declared).expect("it can be read");
        unequal.iter().map(words).collect()
    }

    #[test]
    fn spellings_agree_and_meanings_do_not() {
        let ours = r#"{"version":1,"zones":{"ids":{"zz":{"type":"evpn","controller":"cc","vrf-vxlan":10,"exitnodes":{"n1":1,"n2":1}}}},"controllers":{"ids":{"cc":{"type":"evpn","asn":65000,"peers":"10.0.0.1,10.0.0.2"}}},"vnets":{"ids":{"vv":{"type":"vnet","zone":"zz","tag":5}}},"subnets":{"ids":{}},"fabrics":{"ids":{}}}"#;
        let spelled = r#"{"subnets":{"ids":{}},"version":"77","vnets":{"ids":{"vv":{"tag":"5","zone":"zz","type":"vnet","isolate-ports":0}}},"controllers":{"ids":{"cc":{"type":"evpn","asn":"65000","peers":"10.0.0.1 10.0.0.2"}}},"zones":{"ids":{"zz":{"type":"evpn","controller":"cc","vrf-vxlan":"10","advertise-subnets":"0","exitnodes":{"n2":1,"n1":1}}}}}"#;
        assert_eq!(unequal(spelled, ours), [""; 0]);
        let other = spelled.replace("\"tag\":\"5\"", "\"tag\":\"6\"");
        assert_eq!(unequal(&other, ours), ["vnet vv differs in `tag`"]);
        let other = spelled.replace("\"vnets\":{\"ids\":{\"vv\"", "\"vnets\":{\"ids\":{\"ww\"");
        assert_eq!(unequal(&other, ours), ["vnet vv is missing there", "vnet ww is only there"]);
        let yes = spelled.replace("\"isolate-ports\":0", "\"isolate-ports\":1");
        assert_eq!(unequal(&yes, ours), ["vnet vv differs in `isolate-ports`"]);
        // What no rule holds for is compared as it stands.
        let broken = spelled.replace("\"zone\":\"zz\"", "\"zone\":\"none\"");
        assert!(unequal(&broken, ours).iter().any(|said| said.contains("vnet vv")));
    }

    #[test]
    fn what_is_damaged_is_said() {
        let (cluster, declared) = ("lab".parse().expect("a name"), Declared::default());
        assert!(compared("{", "{}", &cluster, &declared).is_err());
    }
}
