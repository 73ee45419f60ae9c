//! The schema files that editors use say what the reader accepts.

use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::{Map, Value, json};
use weft::declare::declaration::{Choice as _, Typed};
use weft::declare::finding::{Class, Code};
use weft::declare::{controller, fabric, schema, service, zone};

#[test]
fn schema_files_are_up_to_date() {
    equal_to_file("declarations.json", &schema::declarations());
    equal_to_file("weft.json", &schema::cluster());
    equal_to_file("policy.json", &schema::policy());
}

fn equal_to_file(name: &str, schema: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(name);
    let text = format!("{schema:#}\n");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    } else {
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, text, "schema/{name} is out of date: UPDATE=1 rewrites it");
    }
}

#[test]
fn schemas_refuse_what_they_do_not_name() {
    // Every object either names its keys or gives the form of any key.
    fn objects(schema: &Value, path: &str) -> usize {
        match schema {
            Value::Object(map) => {
                let mut count = 0;
                if map.get("type").is_some_and(|kind| kind.to_string().contains("\"object\"")) {
                    let closed = map.get("additionalProperties") == Some(&Value::Bool(false));
                    assert!(closed || map.contains_key("propertyNames"), "{path}");
                    count += 1;
                }
                count
                    + map
                        .iter()
                        .map(|(key, inner)| objects(inner, &format!("{path}/{key}")))
                        .sum::<usize>()
            }
            Value::Array(items) => items.iter().map(|item| objects(item, path)).sum(),
            _ => 0,
        }
    }
    assert!(objects(&schema::declarations(), "") > 20);
    assert_eq!(objects(&schema::cluster(), ""), 1);
    assert_eq!(objects(&schema::policy(), ""), 5);
}

/// What an editor would show in red, line by line.
fn refusals(schema: &Validator, text: &str) -> Vec<String> {
    let value: Value = serde_yaml::from_str(text).unwrap();
    schema.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn of_file(path: &str) -> Validator {
    let schema =
        if path.ends_with("weft.yaml") { schema::cluster() } else { schema::declarations() };
    jsonschema::validator_for(&schema).unwrap()
}

/// Repositories without an error: those of `examples/` and of the golden cases.
fn repositories() -> Vec<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let below = |directory: &str| {
        let entries = std::fs::read_dir(top.join(directory)).unwrap();
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let mut found = below("tests/cases");
    found.retain(|case| {
        let findings = std::fs::read_to_string(case.join("findings.txt")).unwrap();
        !findings.lines().any(|line| line.starts_with("error["))
    });
    found.extend(below("examples"));
    found.sort();
    found
}

/// The files of declarations below a directory, and `weft.yaml`.
fn declarations(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(declarations(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
    found
}

#[test]
fn what_is_in_order_is_not_red_in_an_editor() {
    let (files, weft) = (of_file("sdn/x.yaml"), of_file("weft.yaml"));
    let mut wrong = Vec::new();
    let mut count = 0;
    for repository in repositories() {
        let directory = repository.join("sdn");
        let mut paths = if directory.is_dir() { declarations(&directory) } else { Vec::new() };
        paths.push(repository.join("weft.yaml"));
        for path in paths {
            let schema = if path.ends_with("weft.yaml") { &weft } else { &files };
            let refusals = refusals(schema, &std::fs::read_to_string(&path).unwrap());
            wrong.extend(refusals.into_iter().map(|line| format!("{}: {line}", path.display())));
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(count > 20, "{count}");
}

/// The schema refuses what the rules refuse of a single object, and nothing that is
/// tolerated.
#[test]
fn examples_of_rules_about_types_are_red_in_an_editor() {
    let of_types = [
        Code::OptionNotForType,
        Code::OptionRequired,
        Code::PeersOrFabric,
        Code::ExternalPeersUnused,
        Code::UnknownKey,
        Code::MissingKey,
        Code::WrongType,
        Code::NullValue,
        Code::BadValue,
    ];
    let (files, weft) = (of_file("sdn/x.yaml"), of_file("weft.yaml"));
    for code in Code::ALL {
        let example = code.example();
        if example.file != "weft.yaml" && !example.file.starts_with("sdn/") {
            continue;
        }
        let red = of_types.contains(code);
        if red || code.class() != Class::Error {
            let schema = if example.file == "weft.yaml" { &weft } else { &files };
            let refusals = refusals(schema, &example.text());
            assert_eq!(!refusals.is_empty(), red, "{}: {refusals:?}", code.id());
        }
    }
}

/// Each option of a type, given to an object of another, and taken from one that
/// requires it.
#[test]
fn the_schema_knows_the_options_of_every_type() {
    fn check<T: Typed>(kind: &str, values: &dyn Fn(&str) -> Value) {
        let schema = of_file("sdn/x.yaml");
        let valid =
            |object: &Map<String, Value>| schema.is_valid(&json!({ kind: { "ab": object } }));
        for of in T::Type::ALL {
            let mut least = Map::from_iter([("type".to_owned(), json!(of.word()))]);
            for option in T::OPTIONS.iter().filter(|option| option.required.contains(of)) {
                assert!(!valid(&least), "{kind} {of} without {}", option.name);
                least.insert(option.name.to_owned(), values(option.name));
            }
            assert!(valid(&least), "{kind} {least:?}");
            for option in T::OPTIONS {
                let mut object = least.clone();
                object.insert(option.name.to_owned(), values(option.name));
                let fits = option.types.contains(of);
                assert_eq!(valid(&object), fits, "{kind} {of} with {}", option.name);
            }
        }
    }
    let values = |option: &str| match option {
        "peers" | "external-peers" => json!(["192.0.2.1"]),
        "exitnodes" => json!(["node1"]),
        "rt-import" => json!(["65000:1"]),
        "isis-ifaces" => json!(["eth0"]),
        "isis-net" => json!("49.0001.1921.6800.1002.00"),
        "mac" => json!("BC:24:11:00:00:01"),
        "vlan-protocol" => json!("802.1q"),
        "dhcp" => json!("dnsmasq"),
        "url" => json!("https://ipam.example.org/api"),
        "fingerprint" => json!(["AB"; 32].join(":")),
        "ip_prefix" => json!("198.51.100.0/24"),
        "ip6_prefix" => json!("2001:db8::/64"),
        "bridge" | "controller" | "fabric" | "token" | "node" | "exitnodes-primary"
        | "loopback" | "isis-domain" => json!("lan"),
        "bridge-disable-mac-learning"
        | "exitnodes-local-routing"
        | "advertise-subnets"
        | "disable-arp-nd-suppression"
        | "ebgp"
        | "bgp-multipath-as-path-relax" => json!(true),
        _ => json!(7),
    };
    check::<zone::Zone>("zones", &values);
    check::<controller::Controller>("controllers", &values);
    check::<fabric::Fabric>("fabrics", &values);
    check::<service::Ipam>("ipams", &values);
}
