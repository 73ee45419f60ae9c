//! Declarations as the files of Proxmox, and there and back again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use weft::declare::import::{self, PveFiles, Source};
use weft::declare::pve::Config;
use weft::declare::{Declared, Severity, Tree, export};
use weft::network::Network;
use weft::validate;
use weft::value::{CredentialId, Secret};

use crate::import::files_of;

/// Files that every rule holds for, as they are declared and as they are built.
pub(crate) fn built(files: &BTreeMap<String, String>) -> (Declared, Network) {
    let texts = files.iter();
    let texts = texts.map(|(path, text)| (path.parse().unwrap(), Arc::from(text.as_str())));
    let tree = Tree::new(None, texts);
    let (declared, findings) = weft::declare::read(&tree, None);
    assert_eq!(findings.count(Severity::Error), 0, "{findings:#?}");
    let (network, findings) = validate::validate(&declared, &[]);
    assert_eq!(findings.count(Severity::Error), 0, "{findings:#?}");
    (declared, network.unwrap())
}

/// The repository that is imported from Proxmox's files.
pub(crate) fn imported(files: &PveFiles) -> BTreeMap<String, String> {
    let imported = import::pve(files, Some(&"lab".parse().unwrap()), Source::Running).unwrap();
    imported.files.into_iter().map(|(path, text)| (path.to_string(), text)).collect()
}

/// What an export writes, as an import reads it.
pub(crate) fn as_files(exported: &export::Exported) -> PveFiles {
    let texts = exported.files.iter();
    let texts = texts.map(|(name, text)| (format!("sdn/{name}"), text.clone()));
    PveFiles { texts: texts.collect(), ..PveFiles::default() }
}

/// Proxmox takes several signs between the items of a list.
fn one_spelling(list: &str) -> String {
    let items = list.split([',', ';', ' ']).filter(|item| !item.is_empty());
    items.collect::<Vec<_>>().join(",")
}

/// A running configuration, numbers as texts and what is empty left out.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| match value.as_str() {
                Some(list) if key == "peers" => (key.clone(), one_spelling(list).into()),
                _ => (key.clone(), plain(value)),
            })
            .filter(|(_, value)| *value != Value::Object(serde_json::Map::new()))
            .collect(),
        Value::Array(list) => list.iter().map(plain).collect(),
        Value::Number(number) => number.to_string().into(),
        other => other.clone(),
    }
}

/// A section file whose sets are in order, which Proxmox's are not, and whose peers are
/// spelled in one way.
fn ordered(text: &str) -> String {
    let line = |line: &str| match line.trim_start().split_once(' ') {
        Some((key @ ("nodes" | "exitnodes"), names)) => {
            let names: BTreeSet<&str> = names.split(',').collect();
            format!("\t{key} {}\n", names.into_iter().collect::<Vec<_>>().join(","))
        }
        Some(("peers", peers)) => format!("\tpeers {}\n", one_spelling(peers)),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// Import, then export, gives the reference's own files: the section files byte for
/// byte but for the order in sets, and the running configuration.
#[test]
fn the_reference_gets_its_own_files_back() {
    let Some(shared) = crate::conformance::shared() else {
        eprintln!(
            "skipped: no directory `shared/conformance` beside the crate, nor in WEFT_SHARED"
        );
        return;
    };
    let (mut compared, mut beyond) = (0, Vec::new());
    for group in ["simple", "vlan", "qinq", "vxlan", "evpn", "extra"] {
        for directory in crate::conformance::directories(&shared.join("conformance").join(group)) {
            let name = format!("{group}/{}", directory.file_name().unwrap().to_str().unwrap());
            let mut files = files_of(&directory.join("sdn"));
            files.nodes.insert("localhost".to_owned());
            let repository = imported(&files);
            let texts = repository
                .iter()
                .map(|(path, text)| (path.parse().unwrap(), Arc::from(text.as_str())));
            let (network, findings) = validate::check(&Tree::new(None, texts), None, &[]);
            if network.is_none() {
                beyond.push(name);
                eprintln!("{findings:#?}");
                continue;
            }
            let (declared, network) = built(&repository);
            let exported = export::pve(&declared, &network, 1, &BTreeMap::new());
            assert_eq!(exported.left_out, [], "{name}");
            for (path, text) in &files.texts {
                let file = path.strip_prefix("sdn/").unwrap();
                if file == ".running-config" {
                    let (own, back) = (text, &exported.files[".running-config"]);
                    let [own, back] =
                        [own, back].map(|text| plain(&serde_json::from_str(text).unwrap()));
                    assert_eq!(own, back, "{name}");
                    // And key by key, as the import compares them.
                    let read = |text| Config::running("x", text).unwrap();
                    let back = read(&exported.files[".running-config"]);
                    assert_eq!(read(text).difference(&back), [], "{name}");
                } else {
                    assert_eq!(
                        ordered(text),
                        ordered(exported.files.get(file).map_or("", String::as_str)),
                        "{name}: {file}"
                    );
                    let last = |text: &str| text.bytes().rev().take(2).collect::<Vec<_>>();
                    assert_eq!(last(text), last(&exported.files[file]), "{name}: {file}");
                }
            }
            let names: BTreeSet<String> =
                exported.files.keys().map(|name| format!("sdn/{name}")).collect();
            let own: BTreeSet<String> = files.texts.keys().cloned().collect();
            assert!(names.is_subset(&own) || own.len() == 1, "{name}: {names:?}");

            // And export, then import, the same network.
            let again = imported(&PveFiles { nodes: files.nodes, ..as_files(&exported) });
            assert_eq!(built(&again).1, network, "{name}");
            compared += 1;
        }
    }
    assert!(beyond.len() <= 2, "not in order: {beyond:?}");
    assert!(compared >= 80, "{compared}");
}

const EVERYTHING: &str = r#"
nodes:
  n1: {address: 10.0.0.1, management: 192.0.2.1}
  n2: {address: 10.0.0.2, labels: {rack: r1}}
zones:
  ze: {type: evpn, controller: ctl, vrf-vxlan: 100, dhcp: dnsmasq, ipam: git, exitnodes: [n2, n1]}
  zn: {type: simple, nodes: []}
  zp: {type: simple, ipam: pve, dns: pd}
  zx: {type: vxlan, external-peers: [192.0.2.7], nodes: [n2]}
  zy: {type: vxlan, dhcp: dnsmasq, ipam: pve}
vnets:
  va: {zone: zx, tag: 1, vlanaware: false}
  vn: {zone: zn, subnets: {10.9.0.0/24: {}}}
  vs: {zone: zy, tag: 2, subnets: {10.8.0.0/24: {gateway: 10.8.0.1, dhcp-servers: {n1: 10.8.0.2}}}}
controllers:
  ctl: {type: evpn, asn: 65000}
ipams:
  nb: {type: netbox, url: "https://nb.example/api", token: nb-token}
dns:
  pd: {type: powerdns, url: "https://ns.example/api", key: pd-key, ttl: 60}
guests:
  vm1: {nics: [{vnet: va, mac: "BC:24:11:00:00:01"}]}
"#;

fn everything() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("weft.yaml".to_owned(), "weft: 1\ncluster: lab\n".to_owned()),
        ("sdn/a.yaml".to_owned(), EVERYTHING.to_owned()),
    ])
}

#[test]
fn what_proxmox_cannot_say_is_listed() {
    let (declared, network) = built(&everything());
    let exported = export::pve(&declared, &network, 7, &BTreeMap::new());
    assert_eq!(
        exported.files["zones.cfg"],
        "evpn: ze\n\tcontroller ctl\n\tvrf-vxlan 100\n\texitnodes n1,n2\n\nsimple: zp\n\tdns pd\n\tipam pve\n\nvxlan: zx\n\tnodes n2\n\tpeers 10.0.0.2,192.0.2.7\n\nvxlan: zy\n\tipam pve\n\tpeers 10.0.0.1,10.0.0.2\n\n"
    );
    assert_eq!(
        exported.files["vnets.cfg"],
        "vnet: va\n\tzone zx\n\ttag 1\n\tvlanaware 0\n\nvnet: vs\n\tzone zy\n\ttag 2\n\n"
    );
    assert_eq!(
        exported.files["controllers.cfg"],
        "evpn: ctl\n\tasn 65000\n\tpeers 10.0.0.1,10.0.0.2\n\n"
    );
    assert_eq!(
        exported.files["subnets.cfg"],
        "subnet: zy-10.8.0.0-24\n\tvnet vs\n\tgateway 10.8.0.1\n\n"
    );
    let running: Value = serde_json::from_str(&exported.files[".running-config"]).unwrap();
    assert_eq!(running["version"], 7);
    assert_eq!(running["zones"]["ids"]["zx"]["nodes"], serde_json::json!({"n2": 1}));
    let said: Vec<String> = exported.left_out.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "zone ze: `ipam: git`: Proxmox has no such IPAM, and gets none",
            "zone ze: `dhcp`: in Proxmox only simple zones have it",
            "zone zn: left out with its vnets: it is on no node, and Proxmox would put it on every one",
            "zone zx: `peers` are the addresses of the nodes and `external-peers` as they are now; Proxmox derives none",
            "zone zy: `dhcp`: in Proxmox only simple zones have it",
            "zone zy: `peers` are the addresses of the nodes as they are now; Proxmox derives none",
            "subnet 10.8.0.0/24 of vnet vs: `dhcp-servers`: Proxmox has no such option",
            "controller ctl: `peers` are the addresses of the nodes as they are now; Proxmox derives none",
            "node n1: `address`, `management`: Proxmox has its nodes from corosync.conf",
            "node n2: `address`, `labels`: Proxmox has its nodes from corosync.conf",
            "guest vm1: Proxmox keeps the addresses of guests in its IPAM, not in these files",
            "ipams.cfg: not written, for want of the secret `nb-token` of `nb`",
            "dns.cfg: not written, for want of the secret `pd-key` of `pd`",
        ]
    );
    assert!(exported.secret_files.is_empty());
}

#[test]
fn secrets_go_where_they_came_from() {
    let (declared, network) = built(&everything());
    let secrets: BTreeMap<CredentialId, Secret> = [("nb-token", "SECRET1"), ("pd-key", "SECRET2")]
        .map(|(id, secret)| (id.parse().unwrap(), Secret::new(secret.to_owned())))
        .into();
    let exported = export::pve(&declared, &network, 1, &secrets);
    let texts: Vec<&str> = exported.secret_files.values().map(Secret::expose).collect();
    assert_eq!(
        texts,
        [
            "powerdns: pd\n\tkey SECRET2\n\turl https://ns.example/api\n\tttl 60\n\n",
            "netbox: nb\n\ttoken SECRET1\n\turl https://nb.example/api\n\npve: pve\n\n",
        ]
    );
    assert!(!format!("{exported:?}").contains("SECRET"));

    let Some(shared) = crate::conformance::shared() else { return };
    for (case, file) in [
        ("_ipams/netbox", "ipams.cfg"),
        ("_ipams/phpipam", "ipams.cfg"),
        ("_dns/powerdns", "dns.cfg"),
    ] {
        let files = files_of(&shared.join("conformance").join(case).join("sdn"));
        let imported = import::pve(&files, Some(&"lab".parse().unwrap()), Source::Running).unwrap();
        let secrets = imported.credentials.iter();
        let secrets = secrets.map(|one| (one.id.clone(), one.secret.clone())).collect();
        let repository =
            imported.files.iter().map(|(path, text)| (path.to_string(), text.clone())).collect();
        let (declared, network) = built(&repository);
        let exported = export::pve(&declared, &network, 1, &secrets);
        assert_eq!(exported.secret_files[file].expose(), files.texts[&format!("sdn/{file}")]);
    }
}

/// From outside: the real program, both ways.
#[test]
fn the_program_writes_both_ways_and_guards_secrets() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let weft = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_weft"))
            .args(arguments)
            .current_dir(home)
            .env_clear()
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains("SECRET") && !text.contains("panicked"), "{text}");
        (output.status.code().unwrap(), text)
    };
    let put = |path: &str, text: &str| {
        let path = home.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put(
        "pve/corosync.conf",
        "totem {\n  cluster_name: lab\n}\nnodelist {\n  node {\n    name: n1\n    ring0_addr: 10.0.0.1\n  }\n}\n",
    );
    put("pve/sdn/zones.cfg", "simple: za\n\tipam nb\n\n");
    put("pve/sdn/vnets.cfg", "vnet: va\n\tzone za\n\n");
    put("pve/sdn/ipams.cfg", "netbox: nb\n\ttoken SECRET\n\turl https://nb.example/api\n\n");
    put("pve/sdn/firewall/va.fw", "[OPTIONS]\n");

    // A directory of secrets inside of the repository is refused, and nothing written.
    let (code, text) = weft(&["import", "pve", "pve", "--out", "net", "--credentials", "net/keys"]);
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("lies in a repository"), "{text}");
    assert!(!home.join("net/weft.yaml").exists());
    std::fs::create_dir_all(home.join("other/.git")).unwrap();
    let arguments = ["import", "pve", "pve", "--out", "net", "--credentials", "other/keys"];
    assert_eq!(weft(&arguments).0, 4);

    let (code, text) = weft(&["import", "pve", "pve", "--out", "net", "--credentials", "keys"]);
    assert_eq!(code, 0, "{text}");
    for words in [
        "nb-token: {type: token, file: /etc/weft/nb-token, origin: \"https://nb.example\"}",
        "vnet va: its firewall",
        "Imported cluster lab",
        "weft init net",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // What is to be done next can be done as it is printed.
    let facts = text.lines().find_map(|line| line.split_once("on each node: mkdir "));
    let step = format!("weft() {{ echo facts; }}\nmkdir {}", facts.expect("a step").1);
    let done = std::process::Command::new("sh").args(["-ec", &step]).current_dir(home).status();
    assert!(done.unwrap().success() && home.join("net/facts/NAME.json").exists(), "{step}");
    let key = home.join("keys/nb-token");
    assert_eq!(std::fs::read_to_string(&key).unwrap(), "SECRET\n");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&key), mode(&home.join("keys"))), (0o600, 0o700));
    assert!(home.join("net/schema/declarations.json").exists());
    assert_eq!(weft(&["validate", "net"]).0, 0);

    // What is there stays, unless that is asked for; a secret always does.
    let (code, text) = weft(&["import", "pve", "pve", "--out", "net"]);
    assert!(code == 1 && text.contains("is not empty"), "{text}");
    let arguments = ["import", "pve", "pve", "--out", "net", "--force", "--credentials", "keys"];
    let (code, text) = weft(&arguments);
    assert!(code == 1 && text.contains("a secret is never replaced"), "{text}");
    let (code, text) = weft(&["import", "pve", "pve/sdn", "--out", "net", "--force", "--json"]);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (code, &document["cluster"], &document["source"]),
        (0, &"lab".into(), &"wanted".into())
    );
    assert_eq!(document["credentials"][0]["id"], "nb-token");

    let (code, text) = weft(&["export", "pve", "back", "--from", "net", "--version", "5"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("for want of the secret `nb-token`"), "{text}");
    assert!(!home.join("back/ipams.cfg").exists());
    let arguments = ["export", "pve", "back", "--from", "net", "--credentials", "keys", "--force"];
    assert_eq!(weft(&arguments).0, 0);
    for file in ["zones.cfg", "vnets.cfg"] {
        let read = |path: &str| std::fs::read_to_string(home.join(path)).unwrap();
        assert_eq!(read(&format!("back/{file}")), read(&format!("pve/sdn/{file}")));
    }
    let servers = home.join("back/ipams.cfg");
    assert_eq!(mode(&servers), 0o600);
    let text = std::fs::read_to_string(servers).unwrap();
    assert_eq!(text, "netbox: nb\n\ttoken SECRET\n\turl https://nb.example/api\n\npve: pve\n\n");

    // What is no directory of Proxmox's, and what is in it and cannot be read.
    std::fs::create_dir(home.join("empty")).unwrap();
    for (directory, words) in [
        ("empty", "holds no file of Proxmox's SDN"),
        ("nowhere", "cannot read `nowhere`"),
        ("keys/nb-token", "is not a directory"),
    ] {
        let (code, text) = weft(&["import", "pve", directory, "--out", "new", "--cluster", "lab"]);
        assert!(code == 1 && text.contains(words), "{text}");
    }
    std::fs::write(home.join("pve/sdn/vnets.cfg"), b"vnet: va\n\tzone za\n\talias \xff\n").unwrap();
    let (code, text) = weft(&["import", "pve", "pve", "--out", "new"]);
    assert!(code == 1 && text.contains("vnets.cfg` is not UTF-8 text: line 3"), "{text}");
    put("pve/sdn/vnets.cfg", "vnet: va\n\talias \u{7}\n");
    let (code, text) = weft(&["import", "pve", "pve", "--out", "new"]);
    assert!(code == 1 && text.contains("sdn/vnets.cfg:2: a control character"), "{text}");
    assert!(!home.join("new").exists());
}
