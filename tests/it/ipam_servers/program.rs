//! Servers through the program: what is declared is there after `apply`, and guests have
//! addresses and keep them without the server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::node::Node;
use crate::remotes::server::Authority;
use crate::trust::repository::Repository;

#[test]
fn a_node_needs_no_branch_where_a_server_administers() {
    let site = site::fake("fake 4.7", (4, 7));
    let identity = Authority::new("an authority").identity();
    let fingerprint = crate::names::faults::shown(&identity);
    let proxy = Proxy::start(site.port, Some(identity));
    let repository = Repository::with_policy("roles:\n  root: {principals: [alice@example.org]}\n");
    let declare = |guests: &str| {
        let text = format!(
            "nodes: {{n1: {{}}}}\n\
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
    let node = Node::with(
        &repository,
        "n1",
        "lab",
        &format!(
            "mode: apply\ncredentials:\n  nb-token: {{type: token, file: /etc/weft/nb.token, origin: \"https://127.0.0.1:{}\"}}\n",
            proxy.port
        ),
    );
    node.put("etc/weft/nb.token", format!("{}\n", site.token).as_bytes());
    let token = node.root.join("etc/weft/nb.token");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
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

    // Somebody's own is taken over when that is said.
    let body = serde_json::json!({ "prefix": "10.7.0.0/24", "vrf": vrf, "description": "theirs" });
    site.make("/ipam/prefixes/", &body);
    is(&["ipam", "adopt"], 0, &["0 to create, 0 to update"]);

    // Without the server, what was read last is known.
    site.fake.as_ref().unwrap().state.lock().unwrap().tokens.clear();
    is(&["ipam", "list"], 0, &["answers 403", "this is what was read last", "10.0.0.3"]);
    is(&["ipam", "list", "--local"], 0, &["10.0.0.2", "10.0.0.3"]);
    is(&["ipam", "check"], 4, &["IPAM server `nb`: answers 403"]);
    is(&["ipam", "allocate"], 4, &["answers 403"]);
    is(&["ipam", "list", "--local"], 0, &["10.0.0.2", "10.0.0.3"]);
}
