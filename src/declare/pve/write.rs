//! Section config as Proxmox writes it, byte for byte (`pve-ondisk.md` §1 and §2).

use std::fmt::Write as _;

use serde_json::{Map as JsonMap, Value as Json};

use super::kind::{Dialect, Kind};

/// One object that is to be written. No text of it holds a line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The id of the section.
    pub id: String,
    /// The type of the section.
    pub of_type: &'static str,
    /// What is set, each key once.
    pub values: Vec<(&'static str, Value)>,
}

/// A value in each of the forms that Proxmox has for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text, or several that Proxmox keeps as one.
    Text(String),
    /// A number.
    Number(u64),
    /// Yes or no.
    Flag(bool),
    /// Several in no order.
    Set(Vec<String>),
    /// Several, each in a line of its own.
    Lines(Vec<String>),
}

/// The text of a file. The objects stay in their order.
pub fn sections(kind: Kind, objects: &[Object]) -> String {
    let mut text = String::new();
    for (number, object) in objects.iter().enumerate() {
        if number > 0 && kind.dialect() == Dialect::Rust {
            text.push('\n');
        }
        line(&mut text, format_args!("{}: {}", object.of_type, object.id));
        let required = kind.required(object.of_type);
        let mut values: Vec<&(&str, Value)> = object.values.iter().collect();
        values.sort_by_key(|(key, _)| (!required.contains(key), *key));
        for (key, value) in values {
            match value {
                Value::Text(value) => line(&mut text, format_args!("\t{key} {value}")),
                Value::Number(value) => line(&mut text, format_args!("\t{key} {value}")),
                Value::Flag(value) => {
                    line(&mut text, format_args!("\t{key} {}", u8::from(*value)));
                }
                Value::Set(values) => {
                    line(&mut text, format_args!("\t{key} {}", values.join(",")));
                }
                Value::Lines(values) => {
                    for value in values {
                        line(&mut text, format_args!("\t{key} {value}"));
                    }
                }
            }
        }
        if kind.dialect() == Dialect::Perl {
            text.push('\n');
        }
    }
    text
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a string does not fail");
}

/// The same objects as the running configuration has them, under their ids.
pub fn running(kind: Kind, objects: &[Object]) -> JsonMap<String, Json> {
    let one = |object: &Object| {
        let mut section: JsonMap<String, Json> = object
            .values
            .iter()
            .map(|(key, value)| {
                let value = match value {
                    Value::Text(text) => Json::from(text.as_str()),
                    Value::Number(number) => Json::from(*number),
                    Value::Flag(flag) => Json::from(u8::from(*flag)),
                    Value::Set(names) => {
                        names.iter().map(|name| (name.clone(), Json::from(1))).collect()
                    }
                    Value::Lines(lines) => Json::from(lines.as_slice()),
                };
                ((*key).to_owned(), value)
            })
            .collect();
        section.insert("type".to_owned(), object.of_type.into());
        if kind.dialect() == Dialect::Rust {
            section.insert("id".to_owned(), object.id.as_str().into());
        }
        (object.id.clone(), Json::Object(section))
    };
    objects.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(of_type: &'static str, id: &str, values: Vec<(&'static str, Value)>) -> Object {
        Object { id: id.to_owned(), of_type, values }
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn required_keys_stand_first_and_an_empty_line_behind_each_section() {
        let zone = object(
            "evpn",
            "z1",
            vec![
                ("mac", text("BC:24:11:00:00:01")),
                ("exitnodes", Value::Set(vec!["n1".to_owned(), "n2".to_owned()])),
                ("vrf-vxlan", Value::Number(10000)),
                ("controller", text("ctl")),
                ("advertise-subnets", Value::Flag(false)),
            ],
        );
        assert_eq!(
            sections(Kind::Zones, &[zone.clone(), object("simple", "z2", vec![])]),
            "evpn: z1\n\tcontroller ctl\n\tvrf-vxlan 10000\n\tadvertise-subnets 0\n\texitnodes n1,n2\n\tmac BC:24:11:00:00:01\n\nsimple: z2\n\n"
        );
        assert_eq!(
            Json::Object(running(Kind::Zones, &[zone])),
            serde_json::json!({"z1": {"type": "evpn", "controller": "ctl", "vrf-vxlan": 10000,
                "advertise-subnets": 0, "exitnodes": {"n1": 1, "n2": 1}, "mac": "BC:24:11:00:00:01"}})
        );
    }

    #[test]
    fn fabrics_have_an_empty_line_between_them() {
        let lines = Value::Lines(vec!["name=ens19".to_owned(), "name=ens20".to_owned()]);
        let objects = [
            object("ospf_fabric", "f", vec![("area", text("0"))]),
            object("ospf_node", "f_n1", vec![("ip", text("10.0.0.1")), ("interfaces", lines)]),
        ];
        assert_eq!(
            sections(Kind::Fabrics, &objects),
            "ospf_fabric: f\n\tarea 0\n\nospf_node: f_n1\n\tinterfaces name=ens19\n\tinterfaces name=ens20\n\tip 10.0.0.1\n"
        );
        assert_eq!(running(Kind::Fabrics, &objects)["f_n1"]["id"], "f_n1");
    }
}
