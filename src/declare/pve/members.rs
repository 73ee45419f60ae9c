//! `/etc/pve/.members`: who is in the cluster now, by its own cluster file system
//! (pmxcfs(8)).

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::config::truth;
use super::{Damage, json_map};

/// The most nodes that are read; corosync itself carries far fewer.
const MAX_NODES: usize = 1024;

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Whether those that are there may write. A node without a cluster always may.
    pub quorate: bool,
    /// Every node of the cluster, and whether it is there.
    pub nodes: BTreeMap<String, bool>,
}

/// Reads the file. `file` is its name, for what is said of it.
pub fn read(file: &str, text: &str) -> Result<Members, Damage> {
    let map = json_map(file, text)?;
    let damage = |what: &str| Damage::new(file, None, what);
    let Some(nodes) = map.get("nodelist") else {
        let own = map.get("nodename").and_then(Json::as_str);
        let own = own.ok_or_else(|| damage("names no node"))?;
        return Ok(Members { quorate: true, nodes: [(own.to_owned(), true)].into() });
    };
    let nodes = nodes.as_object().ok_or_else(|| damage("`nodelist` is not a map"))?;
    if nodes.len() > MAX_NODES {
        return Err(damage("more nodes than a cluster can have"));
    }
    let is = |value: Option<&Json>| value.and_then(truth).unwrap_or_default();
    let there = |(name, node): (&String, &Json)| (name.clone(), is(node.get("online")));
    Ok(Members {
        quorate: is(map.get("cluster").and_then(|cluster| cluster.get("quorate"))),
        nodes: nodes.iter().map(there).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_says_who_is_there_and_a_node_alone_is_itself() {
        let text = r#"{
"nodename": "n1",
"version": 5,
"cluster": { "name": "lab", "version": 3, "nodes": 2, "quorate": 1 },
"nodelist": {
  "n1": { "id": 1, "online": 1, "ip": "10.0.0.1"},
  "n2": { "id": 2, "online": 0}
  }
}"#;
        let members = read(".members", text).unwrap();
        assert!(members.quorate);
        assert_eq!(members.nodes, [("n1".to_owned(), true), ("n2".to_owned(), false)].into());
        let without = text.replace("\"quorate\": 1", "\"quorate\": 0");
        assert!(!read(".members", &without).unwrap().quorate);
        let alone = read(".members", "{\n\"nodename\": \"n1\",\n\"version\": 0\n}\n").unwrap();
        assert_eq!(alone, Members { quorate: true, nodes: [("n1".to_owned(), true)].into() });
        for bad in ["", "[]", "{}", r#"{"nodelist": 1}"#] {
            assert!(read(".members", bad).is_err(), "{bad}");
        }
    }
}
