//! What a reload of FRR cannot do.
//!
//! `frr-reload.py` takes away the whole context of an interface that a file names no
//! more, and FRR refuses that for an interface that is there (`only inactive interfaces
//! can be deleted`): what runs on it stays, and the reload fails. So the lines of such a
//! context are taken away one by one before.

use std::collections::BTreeSet;

/// The statements that take away all that runs on interfaces of `running` of which `file`
/// says nothing; nothing where there are none. Both are configurations as FRR writes them.
pub(super) fn release_interfaces(running: &str, file: &str) -> String {
    let kept: BTreeSet<&str> = contexts(file).map(|(name, _)| name).collect();
    let mut statements = String::new();
    for (interface, mut lines) in contexts(running).filter(|(name, _)| !kept.contains(name)) {
        statements.push_str(interface);
        statements.push('\n');
        // What others need is said first.
        lines.reverse();
        for line in lines {
            statements.push_str(
                &line
                    .strip_prefix("no ")
                    .map_or_else(|| format!(" no {line}\n"), |line| format!(" {line}\n")),
            );
        }
        statements.push_str("exit\n");
    }
    statements
}

/// The contexts of interfaces, by their first line, with the lines within.
fn contexts(text: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        let first = lines.find(|line| line.starts_with("interface "))?;
        let mut within = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with(' ')) {
            within.push(line.trim());
        }
        Some((first.trim_end(), within))
    })
}

#[cfg(test)]
mod tests {
    use super::release_interfaces;

    const RUNNING: &str = "hostname node1\n!\ninterface dummy_mesh\n ip router openfabric mesh\n \
        openfabric passive\nexit\n!\ninterface ens19\n ip router openfabric mesh\n \
        openfabric hello-interval 1\n no link-params\nexit\n!\nrouter openfabric mesh\n \
        net 49.0001.1720.2000.0001.00\nexit\n!\nend\n";

    #[test]
    fn what_runs_on_an_interface_goes_line_by_line() {
        let file = "interface dummy_mesh\n ip router openfabric mesh\nexit\n!\n";
        assert_eq!(
            release_interfaces(RUNNING, file),
            "interface ens19\n link-params\n no openfabric hello-interval 1\n \
             no ip router openfabric mesh\nexit\n"
        );
        assert_eq!(release_interfaces(RUNNING, RUNNING), "");
        let all = release_interfaces(RUNNING, "!\n");
        assert_eq!(all.matches("no ip router openfabric mesh").count(), 2, "{all}");
        assert!(!all.contains("net 49"), "{all}");
    }
}
