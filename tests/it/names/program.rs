//! Names through the program: leases on a branch, records in a real PowerDNS behind TLS.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::faults::shown;
use super::powerdns::{Backend, KEY};
use super::proxy::Proxy;
use super::server;
use crate::node::Node;
use crate::remotes::server::Authority;
use crate::trust::repository::{Repository, output, program};

const POLICY: &str =
    "roles:\n  root: {principals: [alice@example.org]}\nallocators: [carol@example.org]\n";

#[test]
fn declared_guests_get_names() {
    let Some(dns) = server(Backend::Sqlite) else { return };
    let identity = Authority::new("an authority").identity();
    let proxy = Proxy::start(dns.port, Some(identity.clone()));
    let repository = Repository::with_policy(POLICY);
    let declare = |guests: &str| {
        let text = format!(
            "nodes: {{n1: {{}}}}\n\
             dns: {{pdns: {{type: powerdns, url: \"{}\", key: pdns-key, fingerprint: \"{}\"}}}}\n\
             zones: {{za: {{type: simple, dns: pdns, reversedns: pdns, dnszone: sdn.example}}}}\n\
             vnets: {{va: {{zone: za, subnets: {{10.0.0.0/24: {{gateway: 10.0.0.1}}}}}}}}\n\
             guests: {{{guests}}}\n",
            proxy.url("https"),
            shown(&identity),
        );
        repository
            .commit("alice", &[("sdn/zones.yaml", b"{}\n"), ("sdn/network.yaml", text.as_bytes())]);
    };
    declare("Web1: {nics: [{vnet: va, mac: \"02:00:00:00:00:01\"}]}");
    let home = repository.home();
    output(program("git", home).args(["init", "-q", "--bare", "-b", "leases", "leases.git"]));
    let node = Node::with(
        &repository,
        "n1",
        "lab",
        &format!(
            "mode: apply\ncredentials:\n  pdns-key: {{type: token, file: /etc/weft/pdns.key, origin: \"https://127.0.0.1:{}\"}}\n\
             leases:\n  remote: {{name: leases, url: \"file://{}/leases.git\"}}\n  key: /etc/weft/key\n",
            proxy.port,
            home.display()
        ),
    );
    node.put("etc/weft/key", &fs::read(home.join("carol")).unwrap());
    node.put("etc/weft/pdns.key", format!("{KEY}\n").as_bytes());
    for file in ["key", "pdns.key"] {
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(node.root.join("etc/weft").join(file), mode).unwrap();
    }
    let is = |words: &[&str], code: i32, says: &[&str]| {
        let said = node.run(words);
        let all = said.all();
        let missing = says.iter().find(|says| !all.contains(**says));
        assert!(said.code == code && missing.is_none(), "{words:?} {missing:?}: {all}");
    };
    is(&["sync"], 0, &["runs commit"]);
    is(&["ipam", "allocate"], 0, &["+ 10.0.0.2 (za) for `Web1`"]);
    is(&["ipam", "plan"], 2, &["web1.sdn.example.", "10.0.0.2", "2.0.0.10.in-addr.arpa."]);
    assert_eq!(proxy.count("PATCH"), 0);
    is(&["ipam", "apply"], 0, &["as wanted, by"]);
    assert!(dns.answers("web1.sdn.example.", 1, &[10, 0, 0, 2]));
    is(&["ipam", "plan"], 0, &[]);
    let writes = proxy.count("PATCH");
    is(&["ipam", "apply"], 0, &[]);
    assert_eq!(proxy.count("PATCH"), writes);

    // A guest that goes: its name goes with the address that it gives up.
    declare("");
    is(&["sync"], 0, &["runs commit"]);
    is(&["ipam", "allocate"], 0, &["given up"]);
    is(&["--json", "ipam", "plan"], 2, &["\"pending\": true"]);
    is(&["ipam", "apply"], 0, &["as wanted, by"]);
    assert!(!dns.answers("web1.sdn.example.", 1, &[10, 0, 0, 2]));

    // A server that is not the one that the key is bound to gets nothing.
    let settings = node.root.join("etc/weft/agent.yaml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, text.replace("https://127.0.0.1:", "https://127.0.0.2:")).unwrap();
    let asked = proxy.count("GET");
    is(&["ipam", "plan"], 4, &["no key is known for it"]);
    assert_eq!(proxy.count("GET"), asked);
}
