//! `weft doctor`: judgement on recorded machines, readers on what real programs wrote,
//! and the program itself on a dry node.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;
use weft::agent::doctor::examined::{PACKAGES, Presence, Sources};
use weft::agent::doctor::filter::{Accept, Filter, of_iptables, of_nftables, of_proxmox};
use weft::agent::doctor::needs::{Opening, Service, of_files};
use weft::agent::doctor::{Code, Diagnosis, Examined, Looked, Severity, diagnose, examine, read};
use weft::agent::settings::{self, Settings};
use weft::declare::Tree;
use weft::host::Linux;
use weft::network::Network;
use weft::validate::check;

fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doctor").join(name)
}

fn sample(name: &str) -> String {
    fs::read_to_string(place("samples").join(name)).unwrap()
}

fn declared() -> Network {
    let files = ["weft.yaml", "sdn/all.yaml"].map(|name| {
        let text = fs::read_to_string(place("declared").join(name)).unwrap();
        (name.parse().unwrap(), text.into())
    });
    let (network, findings) = check(&Tree::new(None, files), None);
    network.unwrap_or_else(|| panic!("{findings:#?}"))
}

/// The settings of the examples, introduced to a commit of their own.
fn settings_text() -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/agent.yaml");
    let text = fs::read_to_string(examples).unwrap();
    text.replace(&"1".repeat(40), "4f0c1d2e3b4a59687766554433221100ffeeddcc")
}

fn recorded(name: &str) -> Json {
    serde_json::from_str(&fs::read_to_string(place(name)).unwrap()).unwrap()
}

/// RFC 7386.
fn merge(into: &mut Json, change: &Json) {
    let Json::Object(change) = change else {
        *into = change.clone();
        return;
    };
    if !into.is_object() {
        *into = Json::Object(serde_json::Map::new());
    }
    let object = into.as_object_mut().unwrap();
    for (key, value) in change {
        if value.is_null() {
            object.remove(key);
        } else {
            merge(object.entry(key).or_insert(Json::Null), value);
        }
    }
}

/// One machine with which something is wrong.
struct Broken {
    examined: Examined,
    settings: Option<Settings>,
    network: Option<Network>,
    expected: Vec<Json>,
}

fn broken(path: &Path) -> Broken {
    let case: Json = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut machine = recorded(&format!("{}.json", case["base"].as_str().unwrap()));
    merge(&mut machine, &case["change"]);
    // What is replaced holds a null that a merge would take for a removal.
    for key in case["replace"].as_array().into_iter().flatten().map(|key| key.as_str().unwrap()) {
        machine[key] = case["change"][key].clone();
    }
    let settings = match case.get("settings") {
        None => Some(settings_text()),
        Some(Json::Null) => None,
        Some(words) => {
            let (from, to) = (words[0].as_str().unwrap(), words[1].as_str().unwrap());
            assert!(settings_text().contains(from), "{}: no `{from}`", path.display());
            Some(settings_text().replace(from, to))
        }
    };
    Broken {
        examined: serde_json::from_value(machine)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        settings: settings.map(|text| settings::read(&text).unwrap()),
        network: (case["declared"] != false).then(declared),
        expected: case["expect"].as_array().unwrap().clone(),
    }
}

fn cases() -> BTreeMap<String, Broken> {
    let entries = fs::read_dir(place("broken")).unwrap();
    let cases = entries.map(|entry| {
        let path = entry.unwrap().path();
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), broken(&path))
    });
    cases.collect()
}

fn wrong(diagnoses: &[Diagnosis]) -> Vec<&Diagnosis> {
    diagnoses.iter().filter(|diagnosis| diagnosis.severity >= Severity::Warning).collect()
}

#[test]
fn machines_in_order_have_no_trouble() {
    let settings = settings::read(&settings_text()).unwrap();
    let network = declared();
    for name in ["debian.json", "proxmox.json"] {
        let text = fs::read_to_string(place(name)).unwrap();
        let examined: Examined = serde_json::from_str(&text).unwrap();
        let again = serde_json::to_value(&examined).unwrap();
        assert_eq!(again, recorded(name), "{name} is not as weft writes it");

        let diagnoses = diagnose(&examined, Some(&settings), Some(&network));
        let codes: BTreeSet<Code> = diagnoses.iter().map(|diagnosis| diagnosis.code).collect();
        assert_eq!(codes, Code::ALL.iter().copied().collect(), "{name}: each code once at least");
        let shown: Vec<Code> = diagnoses.iter().map(|diagnosis| diagnosis.code).collect();
        assert!(shown.is_sorted(), "{name}: in the order of the list");
        // Proxmox's firewall of the record knows the port of its own file, not the declared one.
        let wrong = wrong(&diagnoses);
        let expected = if name == "proxmox.json" { vec![Code::Firewall] } else { vec![] };
        let codes: BTreeSet<Code> = wrong.iter().map(|diagnosis| diagnosis.code).collect();
        assert_eq!(codes, expected.into_iter().collect(), "{name}: {wrong:#?}");
        let skipped: Vec<Code> = diagnoses
            .iter()
            .filter(|diagnosis| diagnosis.severity == Severity::Skipped)
            .map(|diagnosis| diagnosis.code)
            .collect();
        assert_eq!(skipped, [Code::Remote], "{name}");
    }
}

#[test]
fn the_profile_that_fits_is_named() {
    for (name, fits) in [("debian.json", "`debian`"), ("proxmox.json", "`pve`")] {
        let examined: Examined = serde_json::from_value(recorded(name)).unwrap();
        let diagnoses = diagnose(&examined, None, None);
        let profile = diagnoses.iter().find(|diagnosis| diagnosis.code == Code::Profile).unwrap();
        assert!(profile.message.contains(fits), "{profile:?}");
    }
}

#[test]
fn each_broken_machine_is_told_what_mends_it() {
    for (name, case) in cases() {
        let diagnoses = diagnose(&case.examined, case.settings.as_ref(), case.network.as_ref());
        for expected in &case.expected {
            let word = |key: &str| expected[key].as_str();
            let found = diagnoses.iter().find(|diagnosis| {
                Some(diagnosis.code.as_str()) == word("code")
                    && Some(diagnosis.severity.as_str()) == word("severity")
                    && diagnosis.message.contains(word("says").unwrap())
                    && diagnosis.mend.as_deref() == word("mend")
            });
            assert!(found.is_some(), "{name}: no {expected:#}\nin {diagnoses:#?}");
        }
        // Nothing else than what the case is about.
        for diagnosis in wrong(&diagnoses) {
            let known = case.expected.iter().any(|e| e["code"] == diagnosis.code.as_str())
                || case.network.is_none()
                || case.settings.is_none()
                || (case.examined.packages.seen().is_some_and(|p| p.contains_key("pve-manager"))
                    && diagnosis.code == Code::Firewall);
            assert!(known, "{name}: {diagnosis:#?}");
        }
    }
}

#[test]
fn every_code_is_wrong_in_some_case_and_then_says_what_mends_it() {
    let mut raised = BTreeSet::new();
    for (name, case) in cases() {
        for diagnosis in diagnose(&case.examined, case.settings.as_ref(), case.network.as_ref()) {
            let is_wrong = diagnosis.severity >= Severity::Warning;
            assert_eq!(is_wrong, diagnosis.mend.is_some(), "{name}: {diagnosis:?}");
            if is_wrong {
                raised.insert(diagnosis.code);
            }
        }
    }
    let quiet: Vec<&Code> = Code::ALL.iter().filter(|code| !raised.contains(code)).collect();
    assert!(quiet.is_empty(), "no case raises {quiet:?}");
}

#[test]
fn codes_are_named_once() {
    let names: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(names.len(), Code::ALL.len());
}

fn opening(service: Service, port: Option<u16>) -> Opening {
    Opening { service, port, v6: false, by: "zone `z`".to_owned() }
}

#[test]
fn a_ruleset_of_nftables_is_read() {
    let filters = of_nftables(sample("nft-inet.json").as_bytes()).unwrap();
    let [filter] = filters.as_slice() else { panic!("{filters:#?}") };
    assert_eq!(
        filter.by,
        Filter::Nftables {
            family: "inet".to_owned(),
            table: "filter".to_owned(),
            chain: "input".to_owned()
        }
    );
    assert!(!filter.opaque, "{filter:#?}");
    // Neither the loopback nor what belongs to older packets opens a door.
    assert!(filter.accepts.iter().all(|accept| *accept != Accept::default()), "{filter:#?}");
    assert!(!filter.closes(&opening(Service::Vxlan, Some(4789))));
    assert!(filter.closes(&opening(Service::Vxlan, Some(4790))));
    assert!(filter.closes(&opening(Service::Bgp, Some(179))));
    // By a rule of a chain that the first one jumps to.
    assert!(!filter.closes(&opening(Service::Ospf, None)));
    // 8000-8010 is TCP's.
    assert!(filter.closes(&opening(Service::Vxlan, Some(8005))));
}

#[test]
fn what_is_not_understood_in_nftables_counts_as_open() {
    for name in ["nft-verdict-map.json", "nft-of-iptables.json"] {
        let filters = of_nftables(sample(name).as_bytes()).unwrap();
        let [filter] = filters.as_slice() else { panic!("{filters:#?}") };
        assert!(filter.opaque, "{name}: {filter:#?}");
        assert!(!filter.closes(&opening(Service::Bgp, Some(179))), "{name}");
    }
    assert!(of_nftables(b"").is_err());
    assert!(of_nftables(b"{}").is_err());
    assert_eq!(of_nftables(br#"{"nftables": []}"#), Ok(vec![]));
}

#[test]
fn rules_of_iptables_are_read() {
    let filter = of_iptables("iptables", &sample("iptables.txt")).unwrap();
    assert!(!filter.opaque, "{filter:#?}");
    assert_eq!(filter.accepts.len(), 2, "{filter:#?}");
    assert!(!filter.closes(&opening(Service::Bgp, Some(179))));
    assert!(!filter.closes(&opening(Service::Bfd, Some(3784))));
    assert!(filter.closes(&opening(Service::Vxlan, Some(4789))));
    assert!(!filter.closes(&Opening { v6: true, ..opening(Service::Vxlan, Some(4789)) }));
    assert_eq!(of_iptables("iptables", "-P INPUT ACCEPT\n-A INPUT -j DROP\n"), None);
    let negated = "-P INPUT DROP\n-A INPUT ! -s 192.0.2.0/24 -j ACCEPT\n";
    assert!(of_iptables("iptables", negated).unwrap().opaque);
}

#[test]
fn the_firewall_of_proxmox_is_read() {
    let cluster = "[OPTIONS]\n\nenable: 1\npolicy_in: DROP\n\n[RULES]\n\nIN ACCEPT -p udp -dport 4789 -log nolog # tunnels\n|IN ACCEPT -p tcp -dport 179\nOUT ACCEPT\n";
    let filter = of_proxmox(cluster, None).unwrap();
    assert!(!filter.closes(&opening(Service::Vxlan, Some(4789))));
    assert!(filter.closes(&opening(Service::Bgp, Some(179))), "a rule that is off");
    let host = "[OPTIONS]\nnftables: 1\n\n[RULES]\nIN BGP(ACCEPT) -i vmbr0\n";
    assert!(of_proxmox(cluster, Some(host)).unwrap().opaque);
    assert_eq!(of_proxmox(cluster, Some("[OPTIONS]\nenable: 0\n")), None);
    assert_eq!(of_proxmox(&cluster.replace("enable: 1", "enable: 0"), None), None);
    assert_eq!(of_proxmox(&cluster.replace("DROP", "ACCEPT"), None), None);
}

#[test]
fn the_files_of_a_network_say_what_they_need() {
    let sdn = "auto front\niface front\n\tbridge_ports vxlan_front\n\tbridge-vlan-aware yes\n\nauto vxlan_front\niface vxlan_front\n\tvxlan-id 20001\n\tvxlan_remoteip 2001:db8::2\n\tvxlan-port 4790\n\nauto eth0.7\niface eth0.7\n\niface leaving\n\tpost-up iptables -t nat -A POSTROUTING -s '10.0.0.0/24' -o vmbr0 -j SNAT --to-source 192.0.2.1\n\nauto vrf_z\niface vrf_z\n\tvrf-table auto\n";
    let frr = "!\nrouter bgp 65000\n neighbor 192.0.2.2 bfd\n!\nrouter ospf\n!\n";
    let needs = of_files(Some(sdn), Some(frr), true).unwrap();
    let openings: Vec<(Service, Option<u16>, bool)> =
        needs.openings.iter().map(|o| (o.service, o.port, o.v6)).collect();
    assert_eq!(
        openings,
        [
            (Service::Vxlan, Some(4790), true),
            (Service::Bgp, Some(179), false),
            (Service::Bfd, Some(3784), false),
            (Service::Ospf, None, false),
            (Service::Dhcp, Some(67), false),
        ]
    );
    assert!(needs.source_nat && needs.vrfs && needs.vlans);
    assert_eq!(needs.vlan_aware_bridges, 1);
    assert_eq!(needs.exits.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["vmbr0"]);
    assert_eq!(needs.interfaces.len(), 5, "{:?}", needs.interfaces);
    // A file without anything in it is weft's own, and needs nothing; no file is silence.
    assert_eq!(of_files(Some(""), None, false), Some(weft::agent::doctor::needs::Needs::default()));
    assert_eq!(of_files(None, Some("log syslog\n"), false), None);
}

#[test]
fn files_and_programs_of_a_machine_are_read() {
    let status = "Package: frr\nStatus: install ok installed\nArchitecture: amd64\nVersion: 10.3-3+deb13u1\nDescription: routing\n Version: 1\n\nPackage: ifupdown\nStatus: deinstall ok config-files\nVersion: 0.8.44\n\nPackage: bash\nStatus: install ok installed\nVersion: 5.2\n";
    let packages = read::packages(status, PACKAGES);
    assert_eq!(packages, BTreeMap::from([("frr".to_owned(), "10.3-3+deb13u1".to_owned())]));

    for (version, major) in
        [("3.0.0-1.3", Some(3)), ("1:10.3", Some(10)), ("3", Some(3)), ("x", None)]
    {
        assert_eq!(read::major(version), major, "{version}");
    }

    let system = read::system("PRETTY_NAME=\"Debian\"\nVERSION_ID=\"13\"\nID=debian\n").unwrap();
    assert_eq!((system.id.as_str(), system.version.as_deref()), ("debian", Some("13")));
    assert!(read::system("ID=debian\n").unwrap().version.is_none());
    assert_eq!(read::system(""), None);

    let modules = read::modules(
        "kernel/net/8021q/8021q.ko\nkernel/net/netfilter/nf_tables.ko.xz: kernel/x/y-z.ko.xz\n",
    );
    assert_eq!(modules, ["8021q", "nf_tables"].map(str::to_owned).into());

    let units = read::units(
        "Id=systemd-networkd.service\nActiveState=inactive\n\nId=dnsmasq.service\nActiveState=active\n",
    );
    assert_eq!(units["dnsmasq.service"]["ActiveState"], "active");
    assert_eq!(units.len(), 2);

    let list = br#"{"Interfaces":[{"Index":1,"Name":"lo","AdministrativeState":"unmanaged"},{"Index":2,"Name":"eth0","AdministrativeState":"configured"},{"Index":3,"Name":"eth1","AdministrativeState":"configuring"}]}"#;
    assert_eq!(read::networkd(list).unwrap(), ["eth0", "eth1"].map(str::to_owned).into());
    assert!(read::networkd(b"[]").is_err());

    let devices = "eth0:connected\nvmbr0:connected (externally)\nlo:connected (externally)\ntap1:unmanaged\neth1:disconnected\na\\:b:connecting (prepare)\n";
    assert_eq!(read::network_manager(devices), ["eth0", "eth1", "a:b"].map(str::to_owned).into());

    let clock = read::clock("CanNTP=yes\nNTPSynchronized=no\n").unwrap();
    assert!(clock.has_service && !clock.synchronised);
    assert_eq!(read::clock("NTPSynchronized=no\n"), None);

    assert!(read::many_vlan_aware_bridges(
        "# multiple_vlan_aware_bridge_support=1\nmultiple_vlan_aware_bridge_support=0\nmultiple_vlan_aware_bridge_support = 1\n"
    ));
    assert!(!read::many_vlan_aware_bridges("#multiple_vlan_aware_bridge_support=1\n"));
    assert!(read::has_filter_table("nat\nfilter\n") && !read::has_filter_table("nat\n"));
}

#[test]
fn a_source_line_counts_as_ifupdown2_reads_it() {
    for (line, reads) in [
        ("source /etc/network/interfaces.d/*", true),
        ("  source\t/etc/network/interfaces.d/sdn", true),
        ("source /etc/network/interfaces.d/s?n", true),
        ("source /etc/network/interfaces.d/*.conf", false),
        ("source /etc/network/interfaces.d/sdn.d/*", false),
        ("source /etc/network/*", false),
        ("source interfaces.d/*", false),
        ("#source /etc/network/interfaces.d/*", false),
        ("source-directory /etc/network/interfaces.d", false),
    ] {
        let sources = read::sources(&format!("auto lo\niface lo inet loopback\n{line}\n"));
        assert_eq!(sources.read_own_file(), reads, "{line}: {sources:?}");
    }
    assert_eq!(read::sources("auto lo\n"), Sources::default());
}

/// A dry node with what a Debian machine has.
fn dry() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("usr/lib/os-release", "ID=debian\nVERSION_ID=\"13\"\n");
    let package = |name: &str, version: &str| {
        format!("Package: {name}\nStatus: install ok installed\nVersion: {version}\n\n")
    };
    let status = [
        package("ifupdown2", "3.0.0-1.3"),
        package("iptables", "1.8.11-2"),
        package("dnsmasq", "2.91-1"),
    ];
    put("var/lib/dpkg/status", &status.concat());
    put(
        "etc/network/interfaces",
        "source /etc/network/interfaces.d/*\nauto eth0\niface eth0 inet static\n\taddress 192.0.2.1/24\n\tgateway 192.0.2.254\n",
    );
    put("etc/network/ifupdown2/ifupdown2.conf", "multiple_vlan_aware_bridge_support=1\n");
    put("etc/iproute2/rt_tables.d/README", "");
    put("etc/weft/agent.yaml", &settings_text());
    root
}

fn weft(root: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_weft"))
        .arg("--root")
        .arg(root)
        .args(arguments)
        .env_remove("WEFT_LOG")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code().unwrap(), text.concat())
}

#[test]
fn a_dry_node_is_examined_by_its_files() {
    let root = dry();
    let declared = place("declared");
    let declared = declared.to_str().unwrap();
    let (code, text) = weft(root.path(), &["doctor", declared]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("  ok       profile: debian 13: profile `debian` fits"), "{text}");
    assert!(text.contains("  skipped  clock-synchronised: a dry node has files"), "{text}");
    assert!(text.contains("0 errors, 0 warnings"), "{text}");

    fs::write(root.path().join("etc/network/interfaces"), "auto lo\n").unwrap();
    fs::set_permissions(root.path().join("etc/weft/agent.yaml"), fs::Permissions::from_mode(0o666))
        .unwrap();
    let (code, text) = weft(root.path(), &["--json", "doctor", declared]);
    assert_eq!(code, 1, "{text}");
    let document: Json = serde_json::from_str(&text).unwrap();
    assert_eq!(document["ok"], false);
    let errors: BTreeSet<&str> = document["diagnoses"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|diagnosis| diagnosis["severity"] == "error")
        .map(|diagnosis| diagnosis["code"].as_str().unwrap())
        .collect();
    assert_eq!(errors, ["file-writable", "source-line"].into());
    // The document holds the machine, so that the report is a test.
    let examined: Examined = serde_json::from_value(document["examined"].clone()).unwrap();
    assert!(examined.dry);
}

#[test]
fn a_dry_node_is_told_of_wrong_declarations_and_settings() {
    let root = dry();
    let empty = tempfile::tempdir().unwrap();
    fs::write(empty.path().join("weft.yaml"), "weft: 1\ncluster: 7 7\n").unwrap();
    let (code, text) = weft(root.path(), &["doctor", empty.path().to_str().unwrap()]);
    assert_eq!(code, 4, "{text}");

    fs::write(root.path().join("etc/weft/agent.yaml"), "cluster: small\nnode: 7 7\n").unwrap();
    let (code, text) = weft(root.path(), &["doctor"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("error    settings: `/etc/weft/agent.yaml`: line "), "{text}");

    fs::remove_file(root.path().join("etc/weft/agent.yaml")).unwrap();
    let (code, text) = weft(root.path(), &["doctor", "--online"]);
    assert_eq!(code, 0, "not introduced is no error: {text}");
    assert!(text.contains("warning  settings: `/etc/weft/agent.yaml` is missing"), "{text}");
    assert!(text.contains("skipped  remote: there are no settings"), "{text}");
}

#[test]
fn a_dry_node_runs_no_program_and_shows_nothing_of_this_machine() {
    let root = tempfile::tempdir().unwrap();
    let root = camino::Utf8PathBuf::from_path_buf(root.path().canonicalize().unwrap()).unwrap();
    let host = Linux::new(Some(root));
    assert!(host.ask("true", &[]).unwrap_err().to_string().contains("dry node"));
    let program = camino::Utf8Path::new("/nonexistent/weft");
    let examined = examine(&host, Some(program)).examined;
    for looked in [examined.networkd, examined.network_manager] {
        assert!(matches!(looked, Looked::Unseen(_)));
    }
    assert!(matches!(examined.modules, Looked::Unseen(_)));
    assert!(matches!(examined.filters, Looked::Unseen(_)));
    assert!(matches!(examined.links, Looked::Unseen(_)));
    assert!(matches!(examined.packages, Looked::Unseen(_)));
}

#[test]
fn this_machine_can_be_examined() {
    let examined = examine(&Linux::new(None), None).examined;
    assert!(!examined.dry);
    let links = examined.links.seen().unwrap();
    assert!(links[&"lo".parse::<weft::value::IfName>().unwrap()].mtu > 1500);
    assert!(examined.rp_filter_all.seen().is_some());
    let modules = examined.modules.seen().unwrap();
    assert!(modules.values().any(|presence| *presence != Presence::Missing), "{modules:?}");
    // Whatever is wrong here: there is an answer for each code.
    let codes: BTreeSet<Code> =
        diagnose(&examined, None, None).iter().map(|diagnosis| diagnosis.code).collect();
    assert_eq!(codes.len(), Code::ALL.len());
}

#[test]
fn boot_restore_finds_nothing_on_a_fresh_node_and_tells_damage() {
    let root = dry();
    let (code, text) = weft(root.path(), &["boot-restore"]);
    assert_eq!((code, text.as_str()), (0, "no apply was interrupted\n"));
    fs::create_dir_all(root.path().join("var/lib/weft/journal")).unwrap();
    fs::write(root.path().join("var/lib/weft/journal/00000001.intent"), "{").unwrap();
    let (code, text) = weft(root.path(), &["boot-restore"]);
    assert_eq!(code, 5, "{text}");
    assert!(text.contains("damaged"), "{text}");
}
