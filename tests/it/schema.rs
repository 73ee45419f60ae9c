//! The schema files that editors use say what the reader accepts.

use std::path::Path;

use serde_json::Value;
use weft::declare::schema;

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
