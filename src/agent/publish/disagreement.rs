//! Whether what Proxmox applied means what a commit declares.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::place;
use super::standing::some;
use crate::agent::error::chain;
use crate::declare::import::{self, KnownNode};
use crate::declare::pve::{Config, Kind, State, Unequal};
use crate::declare::{self, Declared, Tree, export};
use crate::host::Host;
use crate::network::Network;
use crate::plan::Guard;
use crate::validate;
use crate::value::{ClusterName, NodeName};

/// Why a commit must not be applied beside what Proxmox has; none where both mean the
/// same. Where the cluster file system is not mounted nothing is known of it.
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
    match place::is_mounted(host) {
        Ok(true) => {}
        Ok(false) => return Some(unread(format!("`{}` is not mounted", place::ROOT))),
        Err(error) => return Some(unread(chain(&error))),
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
    Some(guard(format!("what Proxmox applied is not what the commit declares: {}", some(&unequal))))
}

/// How two running configurations differ in what they mean, in words: each as it comes back
/// from an import, and as it stands where one has no meaning that weft could import. What an
/// import leaves out differs, for weft has no word for it.
fn compared(
    theirs: &str,
    ours: &str,
    cluster: &ClusterName,
    declared: &Declared,
) -> Result<Vec<String>, String> {
    let nodes: BTreeMap<NodeName, KnownNode> = declared
        .nodes
        .iter()
        .map(|(name, node)| {
            let address = node.value.address.as_ref().map(|address| address.value);
            (name.clone(), KnownNode { address, management: None })
        })
        .collect();
    let read = |text: &str| {
        Config::running("sdn/.running-config", text).map_err(|damage| damage.to_string())
    };
    let there = read(theirs)?;
    let [own, other] = [theirs, ours].map(|text| meaning(text, cluster, &nodes));
    let (theirs, ours) = match (own?, other?) {
        (Some(theirs), Some(ours)) => (theirs, ours),
        _ => (theirs.to_owned(), ours.to_owned()),
    };
    let (theirs, ours) = (read(&theirs)?, read(&ours)?);
    let mut unequal = theirs.difference(&ours);
    // What is not said is a no.
    let is_no = |value: &Option<String>| value.as_ref().is_none_or(|value| value == "0");
    for object in unequal.iter_mut().filter(|object| object.state == State::Changed) {
        object.keys.retain(|key| !(is_no(&key.runs) && is_no(&key.wanted)));
    }
    unequal.retain(|object| object.state != State::Changed || !object.keys.is_empty());
    let mut said: Vec<String> = unequal.iter().map(words).collect();
    for kind in Kind::APPLIED {
        let known = theirs.spelled(*kind);
        let left_out = there.spelled(*kind).into_keys().filter(|id| !known.contains_key(id));
        said.extend(left_out.map(|id| {
            format!("{} {} is there, and weft has no word for it", kind.one(), id.escape_debug())
        }));
    }
    if there.has_more() {
        said.push("objects are there of kinds that are newer than weft".to_owned());
    }
    Ok(said)
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
    use crate::host::fake::Fake;

    fn unequal(theirs: &str, ours: &str) -> Vec<String> {
        let cluster = "lab".parse().expect("a name");
        let declared = Declared::default();
        compared(theirs, ours, &cluster, &declared).expect("it can be read")
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
    fn what_weft_has_no_word_for_is_a_disagreement() {
        let ours = r#"{"version":1,"zones":{"ids":{"zz":{"type":"simple"}}},"vnets":{"ids":{"vv":{"type":"vnet","zone":"zz"}}}}"#;
        assert_eq!(unequal(ours, ours), [""; 0]);
        for (more, said) in [
            (
                r#""route-maps":{"ids":{"m_10":{"type":"route-map-entry","action":"permit"}}}"#,
                "route map entry m_10 is there, and weft has no word for it",
            ),
            (
                r#""prefix-lists":{"ids":{"p":{"type":"prefix-list"}}}"#,
                "prefix list p is there, and weft has no word for it",
            ),
            (
                r#""controllers":{"ids":{"cc":{"type":"newer"}}}"#,
                "controller cc is there, and weft has no word for it",
            ),
            (
                r#""wonders":{"ids":{"w":{"type":"w"}}}"#,
                "objects are there of kinds that are newer than weft",
            ),
        ] {
            let theirs = ours.replace("\"version\":1", &format!("\"version\":1,{more}"));
            assert_eq!(unequal(&theirs, ours), [said]);
        }
        let empty = ours.replace("\"version\":1", r#""version":1,"wonders":{"ids":{}}"#);
        assert_eq!(unequal(&empty, ours), [""; 0]);
    }

    /// Whatever lies where the cluster file system is to be mounted: nobody knows what Proxmox
    /// applied.
    #[test]
    fn nothing_is_applied_beside_a_proxmox_that_is_not_there() {
        let cluster = "lab".parse().expect("a name");
        let guard = |host: &Fake| {
            let guard = disagreement(host, &cluster, &Tree::default(), &Network::default());
            guard.map(|guard| guard.message).unwrap_or_default()
        };
        let host = Fake::default();
        assert!(guard(&host).contains("`/etc/pve` is not mounted"), "{}", guard(&host));
        host.put("/etc/pve/sdn/.running-config", b"{}", 0o640);
        assert!(guard(&host).contains("`/etc/pve` is not mounted"), "{}", guard(&host));
        host.put("/etc/pve/.members", b"{}", 0o440);
        assert_eq!(guard(&host), "");
        host.take("/etc/pve/sdn/.running-config");
        assert_eq!(guard(&host), "");
    }

    #[test]
    fn what_is_damaged_is_said() {
        let (cluster, declared) = ("lab".parse().expect("a name"), Declared::default());
        assert!(compared("{", "{}", &cluster, &declared).is_err());
    }
}
