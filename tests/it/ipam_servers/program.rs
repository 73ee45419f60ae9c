//! Servers through the program: what is declared is there after `apply`, and guests have
//! addresses and keep them without the server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::node::Node;
use crate::remotes::server::Authority;
use crate::trust::repository::Repository;

/// A node that may ask the server at a port with a token.
pub(super) fn new_node<'a>(
    repository: &'a Repository,
    name: &str,
    (port, token): (u16, &str),
) -> Node<'a> {
    let settings = format!(
        "mode: apply\ncredentials:\n  nb-token: {{type: token, file: /etc/weft/nb.token, origin: \"https://127.0.0.1:{port}\"}}\n",
    );
    let node = Node::with(repository, name, "lab", &settings);
    node.put("etc/weft/nb.token", format!("{token}\n").as_bytes());
    let file = node.root.join("etc/weft/nb.token");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    node
}

#[test]
fn a_node_needs_no_branch_where_a_server_administers() {
    let site = site::fake("fake 4.7", (4, 7));
    let identity = Authority::new("an authority").identity();
    let fingerprint = crate::names::faults::shown(&identity);
    let proxy = Proxy::start(site.port, Some(identity));
    let repository = Repository::with_policy("roles:\n  root: {principals: [alice@example.org]}\n");
    let declare = |guests: &str| {
        let text = format!(
            "nodes: {{n1: {{}}, n2: {{}}}}\n\
             ipams: {{nb: {{type: netbox, url: \"https://127.0.0.1:{}/api\", token: nb-token, fingerprint: \"{fingerprint}\"}}}}\n\
             zones: {{za: {{type: simple, ipam: nb}}}}\n\
             vnets: {{va: {{zone: za, subnets: {{10.0.0.0/24: {{gateway: 10.0.0.1}}}}}}}}\n\
             guests: {{{guests}}}\n",
            proxy.port
        );
        repository
            .commit("alice", &[("sdn/zones.yaml", b"{}\n"), ("sdn/network.yaml", text.as_bytes())]);
    };
    declare("web: {nics: [{vnet: va, mac: \"02:00:00:00:00:01\"}]}");
    let node = new_node(&repository, "n1", (proxy.port, &site.token));
    let is = |words: &[&str], code: i32, says: &[&str]| {
        let said = node.run(words);
        let all = said.all();
        let missing = says.iter().find(|says| !all.contains(**says));
        assert!(said.code == code && missing.is_none(), "{words:?} {missing:?}: {all}");
        assert!(!all.contains(&site.token), "{all}");
    };
    is(&["sync"], 0, &["runs commit"]);
    is(&["ipam", "check"], 0, &[]);
    is(&["ipam", "allocate"], 4, &["zone `za`: the server has no VRF for it yet"]);
    is(&["ipam", "plan"], 2, &["nb: 4 to create", "za + address 10.0.0.2 (guest web on vnet va)"]);
    is(&["--json", "ipam", "plan"], 2, &["\"pending\": true", "\"servers\": {"]);
    assert_eq!(proxy.count("POST"), 0);
    is(&["ipam", "apply"], 0, &["4 objects as wanted, by 3 writes"]);
    is(&["ipam", "plan"], 0, &["0 to create, 0 to update, 0 to remove, 4 unchanged"]);
    is(&["ipam", "list"], 0, &["10.0.0.2", "web", "declared"]);

    // One guest by hand, released again; the declared one is what the configuration says.
    let by_hand = ["--vnet", "va", "--mac", "02:00:00:00:00:09"];
    is(
        &[&["ipam", "set", "10.0.0.9", "box"], &by_hand[..]].concat(),
        0,
        &["+ 10.0.0.9 (za) for `box`"],
    );
    is(
        &["ipam", "release", "10.0.0.2"],
        4,
        &["is declared, and its address is what the configuration says"],
    );
    is(&["ipam", "release", "10.0.0.9", "--now"], 0, &["- 10.0.0.9 (za) of `box` is free"]);
    declare(
        "web: {nics: [{vnet: va, mac: \"02:00:00:00:00:01\"}]}, db: {nics: [{vnet: va, mac: \"02:00:00:00:00:02\"}]}",
    );
    is(&["sync"], 0, &["runs commit"]);
    is(&["ipam", "allocate"], 0, &["+ 10.0.0.3 (za) for `db`"]);

    // A person removes one there: who claims it has it again, and not another.
    let vrf = site.vrf("lab", "za");
    let found = site.all(&format!("/ipam/ip-addresses/?vrf_id={vrf}&address=10.0.0.2"));
    site.ask("DELETE", &format!("/ipam/ip-addresses/{}/", found[0]["id"]), None);
    is(&["ipam", "allocate"], 0, &["+ 10.0.0.2 (za) for `web`"]);

    // What nobody declares is not taken over.
    let body = serde_json::json!({ "prefix": "10.7.0.0/24", "vrf": vrf, "description": "theirs" });
    site.make("/ipam/prefixes/", &body);
    is(&["ipam", "adopt"], 0, &["0 to create, 0 to update"]);
    assert!(site.lines(vrf).contains(&"10.7.0.0/24 theirs".to_owned()), "{:?}", site.lines(vrf));

    // A node that is held at an older commit takes nothing away that a newer one declares.
    is(&["hold", "--reason", "a disk is changed"], 0, &["held by"]);
    repository.commit("alice", &[("sdn/more.yaml", b"vnets: {vb: {zone: za}}\n")]);
    let late = "late: {nics: [{vnet: va, mac: \"02:00:00:00:00:03\"}]}";
    declare(&format!(
        "web: {{nics: [{{vnet: va, mac: \"02:00:00:00:00:01\"}}]}}, db: {{nics: [{{vnet: va, mac: \"02:00:00:00:00:02\"}}]}}, {late}"
    ));
    let other = new_node(&repository, "n2", (proxy.port, &site.token));
    assert_eq!(other.run(&["sync"]).code, 0);
    let said = other.run(&["ipam", "allocate"]);
    assert!(said.all().contains("+ 10.0.0.4 (za) for `late`"), "{}", said.all());
    let held = site.lines(vrf);
    is(&["sync"], 3, &["a disk is changed"]);
    let writes = ["POST", "PATCH", "DELETE"].map(|verb| proxy.count(verb));
    is(&["ipam", "allocate"], 0, &[]);
    is(&["ipam", "apply"], 4, &["an older commit than the newest that it accepted"]);
    assert_eq!(["POST", "PATCH", "DELETE"].map(|verb| proxy.count(verb)), writes);
    assert_eq!(site.lines(vrf), held);
    is(&["resume"], 0, &["lifted"]);
    is(&["sync"], 0, &["runs commit"]);
    is(&["ipam", "plan"], 0, &["0 to create, 0 to update, 0 to remove"]);

    // A guest of the hypervisor has its address from the server before it starts.
    repository.commit(
        "alice",
        &[("sdn/soon.yaml", b"guests: {soon: {nics: [{vnet: va, mac: \"02:00:00:00:00:05\"}]}}\n")],
    );
    is(&["sync"], 0, &["runs commit"]);
    node.put("etc/pve/qemu-server/100.conf", b"net0: virtio=02:00:00:00:00:05,bridge=va\n");
    is(&["pve", "hook", "100", "pre-start"], 0, &["every interface got its addresses"]);
    assert!(site.lines(vrf).iter().any(|line| line.contains("guest soon")));
    is(&["pve", "hook", "100", "pre-start"], 0, &["every interface has its addresses"]);

    // Without the server, what was read last is known.
    site.fake.as_ref().unwrap().state.lock().unwrap().tokens.clear();
    is(&["ipam", "list"], 0, &["answers 403", "this is what was read last", "10.0.0.3"]);
    is(&["ipam", "list", "--local"], 0, &["10.0.0.2", "10.0.0.3"]);
    is(&["ipam", "check"], 4, &["IPAM server `nb`: answers 403"]);
    is(&["ipam", "allocate"], 4, &["answers 403"]);
    is(&["ipam", "list", "--local"], 0, &["10.0.0.2", "10.0.0.3"]);
}
