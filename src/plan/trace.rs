//! What stands in the files of a node, statement by statement, and which of it is there
//! because of something: what is gone from the same files without that.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::Texts;
use super::routing;
use crate::render::Managed;

/// One statement of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Statement {
    /// The file.
    pub file: Managed,
    /// Its line there, from 1.
    pub line: usize,
    /// What it stands in: an interface, or the statements of FRR above it. None where it
    /// stands alone.
    pub of: Option<String>,
    /// The statement, one space between words.
    pub text: String,
}

/// A statement without its line: what it says, and of what.
pub type Said<'a> = (&'a Managed, Option<&'a str>, &'a str);

impl Statement {
    /// What it says, wherever in the file.
    pub fn said(&self) -> Said<'_> {
        (&self.file, self.of.as_deref(), &self.text)
    }

    /// Whether it is of something of this name, or names it: as a whole word, so that `va`
    /// is not meant by `vxlan_va`.
    pub fn mentions(&self, name: &str) -> bool {
        let words = self.of.iter().chain([&self.text]);
        let mut words = words.flat_map(|text| text.split([' ', '=', ',', '\'', '"']));
        words.any(|word| word == name)
    }

    /// The statement as FRR's configuration is told: behind those that it stands below.
    pub fn path(&self) -> String {
        let above = self.of.iter().map(String::as_str);
        above.chain([self.text.as_str()]).collect::<Vec<_>>().join(routing::BELOW)
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.path())
    }
}

/// Every statement of some files, in their order. Comments and empty lines are none, nor
/// is what every configuration of FRR has.
pub fn statements(texts: &Texts) -> Vec<Statement> {
    let mut found = Vec::new();
    for (managed, bytes) in texts {
        let text = String::from_utf8_lossy(bytes);
        let new = |line, of, text| Statement { file: managed.clone(), line, of, text };
        match managed {
            Managed::Interfaces => {
                let mut of: Option<String> = None;
                for (line, words) in lines(&text) {
                    if let Some(("auto" | "iface", rest)) = words.split_once(' ') {
                        of = rest.split(' ').next().map(str::to_owned);
                    }
                    found.push(new(line, of.clone(), words));
                }
            }
            Managed::Frr => {
                for (line, mut path) in routing::numbered(&text) {
                    let Some(last) = path.pop() else { continue };
                    let of = (!path.is_empty()).then(|| path.join(routing::BELOW));
                    found.push(new(line, of, last));
                }
            }
            _ => found.extend(lines(&text).map(|(line, words)| new(line, None, words))),
        }
    }
    found
}

fn lines(text: &str) -> impl Iterator<Item = (usize, String)> {
    let lines = text.lines().enumerate();
    let lines = lines
        .map(|(index, line)| (index + 1, line.split_whitespace().collect::<Vec<_>>().join(" ")));
    lines.filter(|(_, words)| !words.is_empty() && !words.starts_with('#'))
}

/// The statements among `found` that `full` says and `without` does not: what is there
/// because of that without which the files are `without`. Of what is said several times,
/// the last ones.
pub fn lost(found: &[Statement], full: &[Statement], without: &[Statement]) -> Vec<Statement> {
    let mut surplus: BTreeMap<Said<'_>, usize> = BTreeMap::new();
    for statement in full {
        *surplus.entry(statement.said()).or_default() += 1;
    }
    for statement in without {
        if let Some(count) = surplus.get_mut(&statement.said()) {
            *count = count.saturating_sub(1);
        }
    }
    let mut lost = Vec::new();
    for statement in found.iter().rev() {
        if let Some(count) = surplus.get_mut(&statement.said()).filter(|count| **count > 0) {
            *count -= 1;
            lost.push(statement.clone());
        }
    }
    lost.reverse();
    lost
}

#[cfg(test)]
mod tests {
    use super::{lost, statements};
    use crate::plan::Texts;
    use crate::render::Managed;

    const INTERFACES: &str = "#version:3\n\nauto va\niface va\n\taddress 10.0.0.1/24\n\
        \tbridge_ports vxlan_va\n\nauto vxlan_va\niface vxlan_va\n\tvxlan-id  7\n";
    const FRR: &str = "frr version 10\n!\nvrf vrf_z\n vni 10\nexit-vrf\n!\nrouter bgp 1\n \
        neighbor VTEP bfd\n !\n address-family ipv4 unicast\n  import vrf vrf_z\n \
        exit-address-family\nexit\n";

    fn texts(interfaces: &str, frr: &str) -> Texts {
        let bytes = |text: &str| text.as_bytes().to_vec();
        [(Managed::Interfaces, bytes(interfaces)), (Managed::Frr, bytes(frr))].into()
    }

    fn told(found: &[super::Statement]) -> Vec<String> {
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_statement_has_its_line_and_what_it_stands_in() {
        let found = statements(&texts(INTERFACES, FRR));
        assert_eq!(
            told(&found),
            [
                "/etc/network/interfaces.d/sdn:3: va > auto va",
                "/etc/network/interfaces.d/sdn:4: va > iface va",
                "/etc/network/interfaces.d/sdn:5: va > address 10.0.0.1/24",
                "/etc/network/interfaces.d/sdn:6: va > bridge_ports vxlan_va",
                "/etc/network/interfaces.d/sdn:8: vxlan_va > auto vxlan_va",
                "/etc/network/interfaces.d/sdn:9: vxlan_va > iface vxlan_va",
                "/etc/network/interfaces.d/sdn:10: vxlan_va > vxlan-id 7",
                "/etc/frr/frr.conf:3: vrf vrf_z",
                "/etc/frr/frr.conf:4: vrf vrf_z > vni 10",
                "/etc/frr/frr.conf:7: router bgp 1",
                "/etc/frr/frr.conf:8: router bgp 1 > neighbor VTEP bfd",
                "/etc/frr/frr.conf:10: router bgp 1 > address-family ipv4 unicast",
                "/etc/frr/frr.conf:11: router bgp 1 > address-family ipv4 unicast > import vrf vrf_z",
            ]
        );
        let mentions = |name: &str| found.iter().filter(|found| found.mentions(name)).count();
        assert_eq!((mentions("va"), mentions("vxlan_va"), mentions("vrf_z")), (4, 4, 3));
    }

    #[test]
    fn what_is_gone_without_something_is_there_because_of_it() {
        let without = texts(
            &INTERFACES.replace("\taddress 10.0.0.1/24\n", ""),
            "router bgp 1\n neighbor VTEP bfd\n",
        );
        // The files that stand there have another first line than the rendering.
        let full = texts(INTERFACES.trim_start_matches("#version:3\n"), FRR);
        let [found, full, without] =
            [texts(INTERFACES, FRR), full, without].map(|texts| statements(&texts));
        let lines: Vec<usize> = lost(&found, &full, &without).iter().map(|s| s.line).collect();
        assert_eq!(lines, [5, 3, 4, 10, 11]);
        // What is said twice and once without it, is there once because of it.
        let twice = texts("", &format!("{FRR}vrf vrf_z\n vni 10\n"));
        let [twice, once] = [twice, texts("", FRR)].map(|texts| statements(&texts));
        let lines: Vec<usize> = lost(&twice, &twice, &once).iter().map(|s| s.line).collect();
        assert_eq!(lines, [14, 15]);
        assert_eq!(lost(&found, &full, &full), []);
    }
}
