//! Rules of interfaces files as one table of nft, which is weft's own and replaced as a whole.
//!
//! Only where weft itself is the engine, and the kernel has tables of nft for that version of
//! IP: there the rules of iptables that a boot or a reload adds from the files go, and the table
//! is what counts. Elsewhere, and of rules of another form, iptables has them. What is in the
//! table is compared as `nft -j list table` prints it (libnftables-json(5)), but for handles.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::engine::Engine;
use super::kernel::Kernel;
use super::network::Target;
use super::rule::{Family, Rule, TableName};
use super::step::NetworkStep;
use super::verify::Mismatch;

/// The name of the table.
pub const NAT_TABLE: &str = "weft";

/// Where addresses of sources are translated, and where it is said how connections are told
/// apart: right after nft's `srcnat`, so that rules of the administrator's own translate first as
/// they did before rules that were added to iptables, and at `raw` (nft(8), "Standard priority
/// names").
const POSTROUTING: (&str, &str, i32) = ("postrouting", "nat", 101);
const PREROUTING: (&str, &str, i32) = ("prerouting", "filter", -300);

/// A rule of the table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NatRule {
    /// Packets of these sources leave by an interface with an address of the node.
    Source {
        /// The sources.
        source: IpNet,
        /// The interface; with `*` at its end all whose names begin so.
        out: String,
        /// The address.
        address: IpAddr,
    },
    /// What comes in by an interface is tracked in a zone of its own.
    Zone {
        /// The interface, likewise.
        input: String,
        /// The zone.
        zone: u16,
    },
}

/// What nft has of weft's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nat {
    /// The versions of IP that the kernel takes such tables for.
    pub works: BTreeSet<Family>,
    /// What the table of each has, where there is one, as [`nat_table`] reads it.
    pub tables: BTreeMap<Family, Vec<Value>>,
}

impl Rule {
    /// The same for nft; `None` of a form that the interfaces file of weft does not have.
    fn nat(&self) -> Option<NatRule> {
        let words: Vec<&str> = self.words().iter().map(String::as_str).collect();
        match (self.table().name, words.as_slice()) {
            (
                TableName::Nat,
                ["POSTROUTING", "-s", source, "-o", out, "-j", "SNAT", "--to-source", address],
            ) => {
                let (source, address): (IpNet, IpAddr) =
                    (source.parse().ok()?, address.parse().ok()?);
                let is_of_family = |of: IpAddr| Family::of(of) == self.table().family;
                (is_of_family(source.addr()) && is_of_family(address)).then(|| NatRule::Source {
                    source,
                    out: pattern(out),
                    address,
                })
            }
            (TableName::Raw, ["PREROUTING", "-i", input, "-j", "CT", "--zone", zone]) => {
                Some(NatRule::Zone { input: pattern(input), zone: zone.parse().ok()? })
            }
            _ => None,
        }
    }
}

/// The name of an interface as nft has it: iptables has `+` for what comes behind.
fn pattern(name: &str) -> String {
    match name.strip_suffix('+') {
        Some(start) => format!("{start}*"),
        None => name.to_owned(),
    }
}

impl Family {
    /// What nft calls tables of it.
    pub const fn nft(self) -> &'static str {
        match self {
            Self::V4 => "ip",
            Self::V6 => "ip6",
        }
    }
}

impl NatRule {
    const fn chain(&self) -> &'static str {
        match self {
            Self::Source { .. } => POSTROUTING.0,
            Self::Zone { .. } => PREROUTING.0,
        }
    }

    /// The rule in the language of nft.
    fn words(&self, family: Family) -> String {
        match self {
            Self::Source { source, out, address } => {
                let family = family.nft();
                format!("{family} saddr {source} oifname \"{out}\" snat to {address}")
            }
            Self::Zone { input, zone } => format!("iifname \"{input}\" ct zone set {zone}"),
        }
    }

    /// The rule as nft prints it.
    fn expression(&self, family: Family) -> Value {
        let same = |left: Value, right: Value| json!({"match": {"op": "==", "left": left, "right": right}});
        let meta = |key: &str| json!({"meta": {"key": key}});
        match self {
            Self::Source { source, out, address } => {
                let (at, length) = (source.addr().to_string(), source.prefix_len());
                let payload = json!({"payload": {"protocol": family.nft(), "field": "saddr"}});
                let prefix = if length == source.max_prefix_len() {
                    json!(at)
                } else {
                    json!({"prefix": {"addr": at, "len": length}})
                };
                json!([
                    same(payload, prefix),
                    same(meta("oifname"), json!(out)),
                    {"snat": {"addr": address.to_string()}},
                ])
            }
            Self::Zone { input, zone } => json!([
                same(meta("iifname"), json!(input)),
                {"mangle": {"key": {"ct": {"key": "zone"}}, "value": zone}},
            ]),
        }
    }
}

/// The commands that make the table have these rules, and no table where there are none: all
/// of them are one transaction of nft. Each is one line.
pub fn nat_commands(family: Family, rules: &[NatRule]) -> Vec<String> {
    let family_word = family.nft();
    let table = format!("{family_word} {NAT_TABLE}");
    // What is not there cannot be deleted.
    let mut commands = vec![format!("add table {table}\n"), format!("delete table {table}\n")];
    if rules.is_empty() {
        return commands;
    }
    commands.push(format!("add table {table}\n"));
    for (chain, kind, priority) in [POSTROUTING, PREROUTING] {
        commands.push(format!(
            "add chain {table} {chain} {{ type {kind} hook {chain} priority {priority} ; policy accept ; }}\n"
        ));
    }
    for rule in rules {
        commands.push(format!("add rule {table} {} {}\n", rule.chain(), rule.words(family)));
    }
    commands
}

/// What [`nat_table`] reads of a table that has these rules and nothing else.
pub fn nat_listing(family: Family, rules: &[NatRule]) -> Vec<Value> {
    let (family_word, name) = (family.nft(), NAT_TABLE);
    let mut listing = vec![json!({"table": {"family": family_word, "name": name}})];
    for (chain, kind, priority) in [POSTROUTING, PREROUTING] {
        listing.push(json!({"chain": {
            "family": family_word, "table": name, "name": chain,
            "type": kind, "hook": chain, "prio": priority, "policy": "accept",
        }}));
    }
    for rule in rules {
        let (chain, expression) = (rule.chain(), rule.expression(family));
        listing.push(json!({"rule": {
            "family": family_word, "table": name, "chain": chain, "expr": expression,
        }}));
    }
    in_order(&mut listing);
    listing
}

/// What `nft -j list table` prints, without what differs between two tables that do the same:
/// numbers of objects, and the order of what has none. `None` where it is no such list.
pub fn nat_table(text: &[u8]) -> Option<Vec<Value>> {
    let mut text: Value = serde_json::from_slice(text).ok()?;
    let Value::Array(mut listing) = text.get_mut("nftables")?.take() else { return None };
    listing.retain(|object| object.get("metainfo").is_none());
    for object in &mut listing {
        let (_, object) = object.as_object_mut()?.iter_mut().next()?;
        object.as_object_mut()?.remove("handle");
    }
    in_order(&mut listing);
    Some(listing)
}

/// The table, its chains, and the rules of each in their order.
fn in_order(listing: &mut [Value]) {
    let word = |object: &Value, key: &str| {
        let word = object.get(key).and_then(Value::as_str);
        word.unwrap_or_default().to_owned()
    };
    listing.sort_by_key(|object| {
        let inner = |kind: &str| object.get(kind);
        match (inner("table"), inner("chain"), inner("rule")) {
            (Some(_), ..) => (0, String::new()),
            (_, Some(chain), _) => (1, word(chain, "name")),
            (.., Some(rule)) => (2, word(rule, "chain")),
            _ => (3, String::new()),
        }
    });
}

impl Target {
    /// The rule for nft, where it is nft's.
    fn nat_of(&self, rule: &Rule, kernel: &Kernel) -> Option<NatRule> {
        let is_nft = self.engine == Engine::Native;
        let works = || kernel.nat.works.contains(&rule.table().family);
        (is_nft && works()).then(|| rule.nat()).flatten()
    }

    /// The table of each version of IP that is to be another one, with its rules.
    fn nat_changes(&self, kernel: &Kernel) -> Vec<(Family, Vec<NatRule>)> {
        let mut wanted: BTreeMap<Family, BTreeSet<NatRule>> = BTreeMap::new();
        for (rule, _) in self.known_rules().into_iter().filter(|(_, is_wanted)| *is_wanted) {
            if let Some(nat) = self.nat_of(rule, kernel) {
                wanted.entry(rule.table().family).or_default().insert(nat);
            }
        }
        let change = |family| {
            let rules: Vec<NatRule> = wanted.remove(&family).into_iter().flatten().collect();
            let wanted = (!rules.is_empty()).then(|| nat_listing(family, &rules));
            (kernel.nat.tables.get(&family) != wanted.as_ref()).then_some((family, rules))
        };
        [Family::V4, Family::V6].into_iter().filter_map(change).collect()
    }

    /// How often each rule is wanted of iptables.
    fn iptables_rules<'a>(&'a self, kernel: &Kernel) -> Vec<(&'a Rule, usize)> {
        let known = self.known_rules().into_iter();
        let count = |(rule, is_wanted)| {
            (rule, usize::from(is_wanted && self.nat_of(rule, kernel).is_none()))
        };
        known.map(count).collect()
    }

    /// What is done so that each rule is there once. No packet is without it on the way: what
    /// takes a rule's place comes first.
    pub(super) fn rule_steps(&self, kernel: &Kernel) -> Vec<NetworkStep> {
        let set = |(family, rules)| NetworkStep::SetNat { family, rules };
        let (gone, made): (Vec<_>, Vec<_>) =
            self.nat_changes(kernel).into_iter().partition(|(_, rules)| rules.is_empty());
        let mut steps: Vec<NetworkStep> = made.into_iter().map(set).collect();
        let counts = kernel.counts();
        for (rule, wanted) in self.iptables_rules(kernel) {
            let count = counts.get(rule).copied().unwrap_or_default();
            let surplus = count.saturating_sub(wanted);
            steps.extend((0..surplus).map(|_| NetworkStep::RemoveRule(rule.clone())));
            if count < wanted {
                steps.push(NetworkStep::AddRule(rule.clone()));
            }
        }
        steps.extend(gone.into_iter().map(set));
        steps
    }

    pub(super) fn rule_mismatches(&self, kernel: &Kernel) -> Vec<Mismatch> {
        let of_table = self.nat_changes(kernel).into_iter().map(|(family, rules)| {
            let is = if kernel.nat.tables.contains_key(&family) { "has other" } else { "lacks" };
            let table = format!("table {} {NAT_TABLE}", family.nft());
            let what = if rules.is_empty() {
                "is there, where none is wanted".to_owned()
            } else {
                format!("{is} rules than the {} that are wanted", rules.len())
            };
            Mismatch::new(table, what)
        });
        let mut found: Vec<Mismatch> = of_table.collect();
        let counts = kernel.counts();
        for (rule, wanted) in self.iptables_rules(kernel) {
            let count = counts.get(rule).copied().unwrap_or_default();
            if count != wanted {
                let message = format!("is there {count} times, where {wanted} is wanted");
                found.push(Mismatch::new(rule.to_string(), message));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAT: &str = "auto va\niface va\n\tbridge_ports none\n\
        \tpost-up iptables -t nat -A POSTROUTING -s '10.0.0.0/24' -o vmbr0 -j SNAT --to-source 192.0.2.1\n\
        \tpost-up iptables -t raw -I PREROUTING -i fwbr+ -j CT --zone 1\n\
        \tpost-up ip6tables -t nat -A POSTROUTING -s 'fd00::7/128' -o vmbr0 -j SNAT --to-source fd01::1\n";

    /// As nft 1.1.3 prints what [`nat_commands`] made.
    const LISTED: &str = r#"{"nftables": [
        {"metainfo": {"version": "1.1.3", "release_name": "x", "json_schema_version": 1}},
        {"table": {"family": "ip", "name": "weft", "handle": 6}},
        {"chain": {"family": "ip", "table": "weft", "name": "postrouting", "handle": 1,
            "type": "nat", "hook": "postrouting", "prio": 101, "policy": "accept"}},
        {"chain": {"family": "ip", "table": "weft", "name": "prerouting", "handle": 2,
            "type": "filter", "hook": "prerouting", "prio": -300, "policy": "accept"}},
        {"rule": {"family": "ip", "table": "weft", "chain": "postrouting", "handle": 3, "expr": [
            {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}},
                "right": {"prefix": {"addr": "10.0.0.0", "len": 24}}}},
            {"match": {"op": "==", "left": {"meta": {"key": "oifname"}}, "right": "vmbr0"}},
            {"snat": {"addr": "192.0.2.1"}}]}},
        {"rule": {"family": "ip", "table": "weft", "chain": "prerouting", "handle": 5, "expr": [
            {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "fwbr*"}},
            {"mangle": {"key": {"ct": {"key": "zone"}}, "value": 1}}]}}]}"#;

    fn target(engine: Engine) -> Target {
        Target::between(&[], SNAT).with_engine(engine)
    }

    fn names(steps: &[NetworkStep]) -> Vec<String> {
        steps.iter().map(ToString::to_string).collect()
    }

    fn kernel(works: &[Family]) -> Kernel {
        let nat = Nat { works: works.iter().copied().collect(), ..Nat::default() };
        Kernel { nat, ..Kernel::default() }
    }

    fn carry_out(kernel: &mut Kernel, steps: &[NetworkStep]) {
        for step in steps {
            match step {
                NetworkStep::SetNat { family, rules } if rules.is_empty() => {
                    kernel.nat.tables.remove(family);
                }
                NetworkStep::SetNat { family, rules } => {
                    kernel.nat.tables.insert(*family, nat_listing(*family, rules));
                }
                NetworkStep::AddRule(rule) => {
                    kernel.rules.entry(rule.table()).or_default().push(rule.clone());
                }
                NetworkStep::RemoveRule(rule) => {
                    let rules = kernel.rules.get_mut(&rule.table()).unwrap();
                    rules.remove(rules.iter().position(|found| found == rule).unwrap());
                }
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn a_rule_is_said_to_nft_and_found_again() {
        let steps = target(Engine::Native).rule_steps(&kernel(&[Family::V4, Family::V6]));
        let [
            NetworkStep::SetNat { family: Family::V4, rules },
            NetworkStep::SetNat { rules: v6, .. },
        ] = steps.as_slice()
        else {
            panic!("{steps:?}")
        };
        assert_eq!(
            nat_commands(Family::V4, rules),
            [
                "add table ip weft\n",
                "delete table ip weft\n",
                "add table ip weft\n",
                "add chain ip weft postrouting { type nat hook postrouting priority 101 ; policy accept ; }\n",
                "add chain ip weft prerouting { type filter hook prerouting priority -300 ; policy accept ; }\n",
                "add rule ip weft postrouting ip saddr 10.0.0.0/24 oifname \"vmbr0\" snat to 192.0.2.1\n",
                "add rule ip weft prerouting iifname \"fwbr*\" ct zone set 1\n",
            ]
        );
        assert_eq!(nat_table(LISTED.as_bytes()), Some(nat_listing(Family::V4, rules)));
        let alone = &nat_listing(Family::V6, v6)[3]["rule"]["expr"][0]["match"]["right"];
        assert_eq!(*alone, json!("fd00::7"));
    }

    #[test]
    fn whatever_else_is_in_the_table_is_seen() {
        let target = target(Engine::Native);
        let mut kernel = kernel(&[Family::V4, Family::V6]);
        let steps = target.rule_steps(&kernel);
        carry_out(&mut kernel, &steps);
        assert_eq!((target.rule_steps(&kernel), target.rule_mismatches(&kernel)), (vec![], vec![]));
        for (from, to) in [
            ("\"prio\": 101", "\"prio\": 100"),
            ("\"len\": 24", "\"len\": 25"),
            ("\"oifname\"", "\"iifname\""),
            ("{\"snat\"", "{\"counter\": {\"packets\": 1, \"bytes\": 2}}, {\"snat\""),
            (
                "\"policy\": \"accept\"}},\n        {\"rule\"",
                "\"policy\": \"drop\"}},\n        {\"rule\"",
            ),
            ("{\"rule\"", "{\"set\": {\"family\": \"ip\", \"name\": \"x\"}}, {\"rule\""),
        ] {
            let text = LISTED.replacen(from, to, 1);
            assert_ne!(text, LISTED, "{from}");
            kernel.nat.tables.insert(Family::V4, nat_table(text.as_bytes()).unwrap());
            assert_eq!(
                target.rule_mismatches(&kernel)[0].to_string(),
                "`table ip weft` has other rules than the 2 that are wanted"
            );
            assert_eq!(
                names(&target.rule_steps(&kernel)),
                ["replace the table ip weft of nft: 2 rules"]
            );
        }
        for text in ["", "[]", "{\"nftables\": 1}", "{\"nftables\": [1]}"] {
            assert_eq!(nat_table(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn rules_of_iptables_go_when_the_table_has_them_and_come_back_before_it_goes() {
        let (native, ifupdown2) = (target(Engine::Native), target(Engine::Ifupdown2));
        // Only of one version of IP.
        let mut kernel = kernel(&[Family::V4]);
        let steps = ifupdown2.rule_steps(&kernel);
        assert_eq!(steps.len(), 3);
        carry_out(&mut kernel, &steps);
        let steps = native.rule_steps(&kernel);
        assert_eq!(names(&steps)[0], "replace the table ip weft of nft: 2 rules");
        assert!(matches!(steps[1..], [NetworkStep::RemoveRule(_), NetworkStep::RemoveRule(_)]));
        carry_out(&mut kernel, &steps);
        assert_eq!((native.rule_steps(&kernel), native.rule_mismatches(&kernel)), (vec![], vec![]));
        let steps = ifupdown2.rule_steps(&kernel);
        assert!(matches!(steps[..2], [NetworkStep::AddRule(_), NetworkStep::AddRule(_)]));
        assert_eq!(names(&steps)[2..], ["remove the table ip weft of nft"]);
        let gone = Target::between(&[SNAT], "").with_engine(Engine::Native);
        let steps = gone.rule_steps(&kernel);
        assert!(matches!(steps[0], NetworkStep::RemoveRule(_)) && steps.len() == 2);
        carry_out(&mut kernel, &steps);
        assert_eq!(gone.rule_mismatches(&kernel), []);
    }

    #[test]
    fn rules_of_another_form_stay_with_iptables() {
        let text = SNAT.replace("-j SNAT --to-source 192.0.2.1", "-j MASQUERADE");
        let target = Target::between(&[], &text).with_engine(Engine::Native);
        let steps = names(&target.rule_steps(&kernel(&[Family::V4])));
        assert_eq!(steps[0], "replace the table ip weft of nft: 1 rules");
        assert!(steps.iter().any(|step| step.contains("MASQUERADE")), "{steps:?}");
    }
}
