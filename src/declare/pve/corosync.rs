//! `corosync.conf`: the name of the cluster, and its nodes with the addresses of
//! their rings (corosync.conf(5)).

use super::{Damage, bounded};

/// The most nodes that are read; corosync itself carries far fewer.
const MAX_NODES: usize = 1024;
/// The deepest block.
const MAX_DEPTH: usize = 8;

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corosync {
    /// `totem.cluster_name`.
    pub cluster: Option<String>,
    /// `nodelist.node`, in the order of the file.
    pub nodes: Vec<Member>,
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its name; that of its first ring where it has none.
    pub name: String,
    /// The addresses or names of its rings, by the number of the ring.
    pub rings: Vec<String>,
}

/// Reads the file. `file` is its name, for what is said of it.
pub fn read(file: &str, text: &str) -> Result<Corosync, Damage> {
    bounded(file, text)?;
    let mut read = Corosync::default();
    let mut path: Vec<String> = Vec::new();
    let mut member: Vec<(String, String)> = Vec::new();
    for (number, line) in (1_u32..).zip(text.lines()) {
        let line = line.trim();
        let damage = |what: &str| Damage::new(file, Some(number), what);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_suffix('{') {
            if path.len() >= MAX_DEPTH {
                return Err(damage("blocks are nested too deep"));
            }
            path.push(name.trim().to_owned());
        } else if line == "}" {
            let closed = path.pop().ok_or_else(|| damage("`}` without `{`"))?;
            if closed == "node" && path == ["nodelist"] {
                if read.nodes.len() >= MAX_NODES {
                    return Err(damage("more nodes than a cluster can have"));
                }
                read.nodes.push(node(std::mem::take(&mut member)));
            }
        } else {
            let (key, value) =
                line.split_once(':').ok_or_else(|| damage("neither `KEY: VALUE` nor a block"))?;
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            if path == ["totem"] && key == "cluster_name" {
                read.cluster = Some(value);
            } else if path == ["nodelist", "node"] {
                member.push((key, value));
            }
        }
    }
    if path.is_empty() { Ok(read) } else { Err(Damage::new(file, None, "ends within a block")) }
}

fn node(mut keys: Vec<(String, String)>) -> Member {
    keys.sort();
    let find = |wanted: &str| keys.iter().find(|(key, _)| key == wanted);
    let name = find("name").map(|(_, value)| value.clone());
    let is_ring = |key: &str| {
        let number = key.strip_prefix("ring").and_then(|rest| rest.strip_suffix("_addr"));
        number.is_some_and(|number| number.len() == 1 && number.as_bytes()[0].is_ascii_digit())
    };
    let rings = keys.iter().filter(|(key, value)| is_ring(key) && !value.is_empty());
    let rings: Vec<String> = rings.map(|(_, value)| value.clone()).collect();
    Member { name: name.or_else(|| rings.first().cloned()).unwrap_or_default(), rings }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_and_the_name_of_the_cluster_are_read() {
        let text = "logging {\n  debug: off\n}\n\nnodelist {\n  node {\n    name: n1\n    nodeid: 1\n    ring1_addr: 10.1.0.1\n    ring0_addr: 10.0.0.1\n  }\n  node {\n    ring0_addr: n2\n  }\n}\n\ntotem {\n  cluster_name: lab\n  interface {\n    linknumber: 0\n  }\n}\n";
        let read = read("corosync.conf", text).unwrap();
        assert_eq!(read.cluster.as_deref(), Some("lab"));
        let nodes: Vec<(&str, Vec<&str>)> = read
            .nodes
            .iter()
            .map(|node| (node.name.as_str(), node.rings.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(nodes, [("n1", vec!["10.0.0.1", "10.1.0.1"]), ("n2", vec!["n2"])]);
    }

    #[test]
    fn damage_has_a_place() {
        for (text, line) in [
            ("totem {\n  x\n}\n", Some(2)),
            ("}\n", Some(1)),
            ("totem {\n", None),
            (&"a {\n".repeat(9), Some(9)),
        ] {
            assert_eq!(read("corosync.conf", text).unwrap_err().line, line, "{text}");
        }
    }
}
