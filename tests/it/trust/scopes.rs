//! What a tenant's files may declare.

use weft::value::ObjectId;

use super::forge::{Forge, lines};
use super::repository::{accepted, decide, refused};

const POLICY: &str = "
roles:
  root: {principals: [root]}
  operator: {principals: [bob]}
  tenant-a:
    principals: [ann]
    paths: ['sdn/tenants/a/**', 'lab/sdn/tenants/a/**']
    scope:
      kinds: [zones, vnets, guests]
      zones: ['tena*', shared]
      vnets: ['a*']
      tags: ['100-199']
      vnis: ['10000-19999']
      nodes: [node1, node2]
      exitnodes: [node2]
      controllers: [evpnctl]
      bridges: [vmbr1]
      route-targets: ['65000:10000-19999']
      addresses: [10.1.0.0/16, '2001:db8:a::/48']
      ipams: [ipama]
      dns: [dnsa]
      dnszones: [a.example.org]
      guests: ['a-*']
  tenant-b:
    principals: [ann, eve]
    paths: ['sdn/tenants/b/**']
    scope: {kinds: [zones, vnets, ipams, controllers, fabrics, nodes, dns], zones: [tenb], vnets: ['b*'], ipams: [ipamb], credentials: ['b-*'], nodes: [nodeb], controllers: ['b-*'], fabrics: [fabb], dns: [dnsb], bridges: [vmbrb], addresses: [10.2.0.0/16]}
";

/// What the operators declare.
const CORE: &str = "
nodes:
  node1: {address: 192.168.0.1}
  node2: {address: 192.168.0.2}
  node3: {address: 192.168.0.3}
controllers:
  evpnctl: {type: evpn, asn: 65000}
zones:
  tenb: {type: evpn, controller: evpnctl, vrf-vxlan: 20000}
  shared: {type: vlan, bridge: vmbr0}
  tenaq: {type: qinq, bridge: vmbr1, tag: 150}
vnets:
  b1: {zone: tenb, tag: 20001}
";

/// What the tenant has, all of it within the scope.
const OWN: &str = "
zones:
  tena: {type: evpn, controller: evpnctl, vrf-vxlan: 10000, nodes: [node1], exitnodes: [node2], rt-import: ['65000:10001'], ipam: ipama, dns: dnsa, dnszone: x.a.example.org}
  tenav: {type: vlan, bridge: vmbr1, nodes: [node1, node2]}
  tenas: {type: simple, nodes: [node2]}
vnets:
  a1:
    zone: tena
    tag: 10001
    subnets:
      10.1.0.0/24: {gateway: 10.1.0.1, dhcp-range: [{start-address: 10.1.0.10, end-address: 10.1.0.20}]}
      '2001:db8:a:1::/64': {gateway: '2001:db8:a:1::1'}
  a2: {zone: shared, tag: 100}
  a3: {zone: tenas}
  a4: {zone: tenaq, tag: 199}
guests:
  a-web: {nics: [{vnet: a1, mac: 'BC:24:11:00:00:01', addresses: [10.1.0.5]}]}
";
const FILE: &str = "sdn/tenants/a/net.yaml";

fn begin() -> (Forge, ObjectId) {
    let forge = Forge::new();
    let signers = lines(&["root", "ann", "bob", "eve"]);
    let begin = forge.begin(&signers, POLICY, &[("sdn/core.yaml", CORE), (FILE, OWN)]);
    (forge, begin)
}

/// That a commit of ann's is refused as out of scope, and why.
fn out(forge: &Forge, begin: ObjectId, changes: &[(&str, &str)]) -> String {
    let tip = forge.commit(&[begin], "ann", changes);
    let judgement = forge.judge(forge.introduction(), tip);
    assert_eq!(refused(&judgement), [(tip, "out-of-scope")], "{changes:?}");
    assert_eq!(accepted(&judgement), Some(begin));
    judgement.refused[0].message.clone()
}

fn within(forge: &Forge, begin: ObjectId, signer: &str, changes: &[(&str, &str)]) -> ObjectId {
    let tip = forge.commit(&[begin], signer, changes);
    let judgement = forge.judge(forge.introduction(), tip);
    assert_eq!(refused(&judgement), [], "{changes:?}: {:?}", judgement.refused);
    assert_eq!(accepted(&judgement), Some(tip));
    tip
}

#[test]
fn what_a_tenant_may_do() {
    let (forge, begin) = begin();
    // All of it anew, less of it, nothing, in another file, and without a declaration.
    let moved = within(&forge, begin, "ann", &[(FILE, "-"), ("sdn/tenants/a/b/c.yaml", OWN)]);
    within(&forge, moved, "ann", &[("sdn/tenants/a/b/c.yaml", "-")]);
    within(&forge, begin, "ann", &[(FILE, "")]);
    within(&forge, begin, "ann", &[(FILE, &OWN.replace("tag: 100}", "tag: 101, alias: hi}"))]);
    within(&forge, begin, "ann", &[("sdn/tenants/a/README.md", "# ours")]);
    // Below another directory of declarations, as seen from there.
    let lab = "lab/sdn/tenants/a/net.yaml";
    let own = OWN
        .replace("  a2: {zone: shared, tag: 100}\n", "")
        .replace("  a4: {zone: tenaq, tag: 199}\n", "");
    within(&forge, begin, "ann", &[(lab, &own)]);
    // There `shared` does not exist.
    assert!(out(&forge, begin, &[(lab, OWN)]).contains("`shared` is not declared"));
    // The operators have no scope.
    within(&forge, begin, "bob", &[(FILE, CORE)]);
    // And what they put into a tenant's file does not keep the tenant from the rest of it.
    let mixed = OWN.replace("vnets:\n", "vnets:\n  c9: {zone: tenb, tag: 29999}\n");
    let mixed_in = within(&forge, begin, "bob", &[(FILE, &mixed)]);
    within(&forge, mixed_in, "ann", &[(FILE, &mixed.replace("tag: 100}", "tag: 102}"))]);
    // Only from that.
    for change in
        [mixed.replace("29999", "29998"), mixed.replace("  c9: {zone: tenb, tag: 29999}\n", "")]
    {
        assert!(out(&forge, mixed_in, &[(FILE, &change)]).contains("c9"));
    }
}

#[test]
fn what_reaches_beyond_the_tenant() {
    let (forge, begin) = begin();
    let zone = |more: &str| format!("zones: {{tenax: {{type: simple, nodes: [node1]{more}}}}}\n");
    let vnet = |more: &str| format!("vnets: {{ax: {{zone: tena, tag: 10009{more}}}}}\n");
    let subnet = |prefix: &str, more: &str| vnet(&format!(", subnets: {{'{prefix}': {{{more}}}}}"));
    let guest = |id: &str, nic: &str| {
        format!("guests: {{{id}: {{nics: [{{mac: 'BC:24:11:00:00:02', {nic}}}]}}}}\n")
    };
    let table: Vec<(String, &str)> = vec![
        // Another's zone: declared, taken over, or entered by a vnet.
        ("zones: {tenb: {type: simple, nodes: [node1]}}\n".to_owned(), "`zones`"),
        ("zones: {core: {type: simple, nodes: [node1]}}\n".to_owned(), "`zones`"),
        ("vnets: {ax: {zone: tenb, tag: 10009}}\n".to_owned(), "tenb is not among the `zones`"),
        // Another's vnet.
        ("vnets: {b2: {zone: tena, tag: 10009}}\n".to_owned(), "b2 is not among the `vnets`"),
        // A tag that is another's: as a VLAN, as a network identifier, and each as the other.
        ("vnets: {ax: {zone: shared, tag: 200}}\n".to_owned(), "200 is not among the `tags`"),
        ("vnets: {ax: {zone: tena, tag: 20001}}\n".to_owned(), "20001 is not among the `vnis`"),
        ("vnets: {ax: {zone: shared, tag: 10000}}\n".to_owned(), "`tags`"),
        ("vnets: {ax: {zone: tena, tag: 100}}\n".to_owned(), "`vnis`"),
        ("vnets: {ax: {zone: tenaq, tag: 300}}\n".to_owned(), "`tags`"),
        // Without a tag it has all of them.
        ("vnets: {ax: {zone: shared}}\n".to_owned(), "no `tag`"),
        ("vnets: {ax: {zone: tenaq}}\n".to_owned(), "no `tag`"),
        ("vnets: {ax: {zone: tena9, tag: 100}}\n".to_owned(), "not declared"),
        // The route targets and the VRF of another.
        (zone(", rt-import: ['65000:20000']"), "65000:20000 is not among the `route-targets`"),
        (zone(", rt-import: ['65001:10000']"), "`route-targets`"),
        (zone(", vrf-vxlan: 20000"), "`vnis`"),
        (zone(", controller: other"), "`controllers`"),
        (zone(", fabric: fabb"), "`fabrics`"),
        // The nodes' bridges, VLANs and ports.
        (zone(", bridge: vmbr0"), "`bridges`"),
        (zone(", tag: 20"), "`tags`"),
        (zone(", vxlan-port: 53"), "vxlan-port"),
        (zone(", peers: [192.168.0.1]"), "`addresses`"),
        (zone(", external-peers: [192.168.0.1]"), "`addresses`"),
        // Nodes that are not the tenant's, all of them when none is named, and exits.
        ("zones: {tenax: {type: simple}}\n".to_owned(), "has no `nodes`"),
        (
            "zones: {tenax: {type: simple, nodes: [node1, node3]}}\n".to_owned(),
            "node3 is not among the `nodes`",
        ),
        (zone(", exitnodes: [node1]"), "`exitnodes`"),
        (zone(", exitnodes-primary: node1"), "`exitnodes`"),
        // Servers that hold somebody's credential, and the names of others.
        (zone(", ipam: ipamb"), "`ipams`"),
        (zone(", dns: dnsb"), "`dns`"),
        (zone(", reversedns: dnsb"), "`dns`"),
        (zone(", dnszone: b.example.org"), "`dnszones`"),
        (zone(", dnszone: example.org"), "`dnszones`"),
        (zone(", dnszone: xa.example.org"), "`dnszones`"),
        // Addresses of others: routes, gateways and pools.
        (subnet("10.2.0.0/24", ""), "10.2.0.0/24 is not among the `addresses`"),
        (subnet("10.0.0.0/8", ""), "`addresses`"),
        (subnet("2001:db8:b::/64", ""), "`addresses`"),
        (subnet("10.1.9.0/24", "gateway: 192.168.0.254"), "`addresses`"),
        (
            subnet("10.1.9.0/24", "dhcp-range: [{start-address: 10.1.9.5, end-address: 10.2.0.0}]"),
            "`addresses`",
        ),
        // Guests of others, or in the vnets of others.
        (guest("b-web", "vnet: a1"), "`guests`"),
        (guest("a-db", "vnet: b1"), "`vnets`"),
        (guest("a-db", "vnet: a1, addresses: [10.2.0.9]"), "`addresses`"),
        // Kinds that are not the tenant's at all.
        ("nodes: {node1: {address: 10.1.0.9}}\n".to_owned(), "`kinds`"),
        ("controllers: {evpnctl: {type: evpn, asn: 65000}}\n".to_owned(), "`kinds`"),
        ("fabrics: {fab: {type: ospf}}\n".to_owned(), "`kinds`"),
        (
            "ipams: {ipama: {type: netbox, url: 'https://x', token: b-netbox}}\n".to_owned(),
            "`kinds`",
        ),
        ("dns: {dnsa: {type: powerdns, url: 'https://x', key: b-dns}}\n".to_owned(), "`kinds`"),
    ];
    for (text, why) in table {
        let message = out(&forge, begin, &[("sdn/tenants/a/x.yaml", &text)]);
        assert!(message.contains(why), "{text}: {message}");
        // The same by somebody without a scope is nobody's business.
        within(&forge, begin, "bob", &[("sdn/tenants/a/x.yaml", &text)]);
    }
}

#[test]
fn what_was_is_judged_too() {
    let (forge, begin) = begin();
    // An operator moves a tenant's vnet into another's zone; the tenant may not take it out.
    let theirs = OWN.replace("a2: {zone: shared, tag: 100}", "a2: {zone: tenb, tag: 20009}");
    let given = within(&forge, begin, "bob", &[(FILE, &theirs)]);
    assert!(out(&forge, given, &[(FILE, OWN)]).contains("tenb"));
    assert!(out(&forge, given, &[(FILE, "-")]).contains("tenb"));
    // A zone that is gone does not keep the tenant from tidying up.
    let core = CORE.replace("  shared: {type: vlan, bridge: vmbr0}\n", "");
    let gone = within(&forge, begin, "bob", &[("sdn/core.yaml", &core)]);
    within(&forge, gone, "ann", &[(FILE, &OWN.replace("  a2: {zone: shared, tag: 100}\n", ""))]);
}

/// A tag means something else in a zone of another type, wherever the vnet is declared.
#[test]
fn a_zone_that_becomes_another_type() {
    let (forge, begin) = begin();
    let low = POLICY.replace("vnis: ['10000-19999']", "vnis: ['200-299', '10000-19999']");
    let begin = within(&forge, begin, "root", &[(".weft/policy.yaml", &low)]);
    let (zones, vnets) = ("sdn/tenants/a/zones.yaml", "sdn/tenants/a/vnets.yaml");
    let evpn =
        "zones: {tenax: {type: evpn, controller: evpnctl, vrf-vxlan: 200, nodes: [node1]}}\n";
    let vlan = "zones: {tenax: {type: vlan, bridge: vmbr1, nodes: [node1]}}\n";
    let tagged = [(zones, evpn), (vnets, "vnets: {ax: {zone: tenax, tag: 201}}\n")];
    let tip = within(&forge, begin, "ann", &tagged);
    let message = out(&forge, tip, &[(zones, vlan)]);
    assert!(message.contains("of another type") && message.contains("ax"), "{message}");
    // Also when it goes in between, and when both change at once.
    let bare = within(&forge, tip, "ann", &[(zones, "-")]);
    out(&forge, bare, &[(zones, vlan)]);
    within(&forge, tip, "ann", &[(zones, vlan), (vnets, "vnets: {ax: {zone: tenax, tag: 101}}\n")]);
}

#[test]
fn what_cannot_be_read_or_is_no_file() {
    let (forge, begin) = begin();
    let path = "sdn/tenants/a/x.yaml";
    let deep = format!("vnets: {}", "[".repeat(100));
    let large = format!("# {}\n", "x".repeat(1 << 20));
    for text in [
        "vnets: {a9: {zone: tena, tag: 10009}, a9: {zone: tenb, tag: 10009}}\n",
        "vnets: {a9: {zone: tena, tga: 10009}}\n",
        "vnets: &x {a9: {zone: tena}}\n",
        "vnets: {}\n---\nzones: {tenb: {type: simple}}\n",
        "more: {}\n",
        "vnets: [",
        &deep,
        &large,
    ] {
        out(&forge, begin, &[(path, text)]);
    }
    for name in ["x.yml", "x.YAML", "sdn.cfg"] {
        let message = out(&forge, begin, &[(&format!("sdn/tenants/a/{name}"), "zones: {}\n")]);
        assert!(message.contains("is not read"), "{message}");
    }
    // Elsewhere in the tenant's paths, files are files.
    let docs = POLICY.replace("'lab/sdn", "'docs/a/**', 'lab/sdn");
    let begin = within(&forge, begin, "root", &[(".weft/policy.yaml", &docs)]);
    within(&forge, begin, "ann", &[("docs/a/x.yml", "anything: [")]);
    // A link is none.
    let files = forge.files(begin);
    let tip = forge.with(&[begin], "ann", files);
    let text = String::from_utf8(forge.memory.borrow().bytes(tip).to_vec()).expect("text");
    let start = text.find("gpgsig ").expect("a signature");
    let message = &text[text.find("\n\n").expect("an end") + 1..];
    let link = forge.tree_with_link(begin, path);
    let head = text[..start].replacen(&text[5..45], &link.to_string(), 1);
    let signed = super::forge::signed(&head, message, "ann");
    let kind = weft::sync::objects::Kind::Commit;
    let tip = forge.memory.borrow_mut().add(kind, signed.as_bytes());
    let judgement = forge.judge(forge.introduction(), tip);
    assert_eq!(refused(&judgement), [(tip, "out-of-scope")]);
    assert!(judgement.refused[0].message.contains("symbolic link"));
}

#[test]
fn several_roles() {
    let (forge, begin) = begin();
    // Each path by one role as a whole: ann is of both tenants.
    let b = "sdn/tenants/b/x.yaml";
    let node = "nodes: {nodeb: {address: 10.2.0.1}}\n";
    within(&forge, begin, "ann", &[(FILE, ""), (b, node)]);
    let tip = forge.commit(&[begin], "eve", &[(FILE, "")]);
    assert_eq!(refused(&forge.judge(begin, tip)), [(tip, "path-not-allowed")]);
    // What other kinds may say, by the tenant who has them.
    let table = [
        ("ipams: {ipamb: {type: netbox, url: 'https://x', token: b-netbox}}", ""),
        ("ipams: {ipamb: {type: netbox, url: 'https://x', token: a-netbox}}", "`credentials`"),
        ("ipams: {ipama: {type: netbox, url: 'https://x', token: b-netbox}}", "`ipams`"),
        ("dns: {dnsb: {type: powerdns, url: 'https://x', key: b-dns}}", ""),
        ("dns: {dnsb: {type: powerdns, url: 'https://x', key: root-dns}}", "`credentials`"),
        ("controllers: {b-c: {type: bgp, node: nodeb, asn: 1, peers: [10.2.0.1]}}", ""),
        ("controllers: {b-c: {type: bgp, node: node1, asn: 1, peers: [10.2.0.1]}}", "`nodes`"),
        ("controllers: {b-c: {type: bgp, node: nodeb, asn: 1, peers: [10.1.0.1]}}", "`addresses`"),
        ("controllers: {b-c: {type: evpn, asn: 1, external-peers: [10.1.0.1]}}", "`addresses`"),
        ("controllers: {b-c: {type: bgp, node: nodeb, asn: 1, loopback: lo}}", "`bridges`"),
        ("controllers: {b-c: {type: isis, node: nodeb, isis-ifaces: [eth0]}}", "`bridges`"),
        ("controllers: {b-c: {type: evpn, asn: 1, fabric: faba}}", "`fabrics`"),
        ("controllers: {evpnctl: {type: evpn, asn: 1}}", "`controllers`"),
        (
            "fabrics: {fabb: {type: ospf, ip_prefix: 10.2.0.0/24, nodes: {nodeb: {ip: 10.2.0.1, interfaces: [{name: vmbrb}]}}}}",
            "",
        ),
        ("fabrics: {fabb: {type: ospf, ip_prefix: 10.1.0.0/24}}", "`addresses`"),
        ("fabrics: {fabb: {type: ospf, nodes: {node1: {}}}}", "`nodes`"),
        ("fabrics: {fabb: {type: ospf, nodes: {nodeb: {ip: 10.1.0.1}}}}", "`addresses`"),
        (
            "fabrics: {fabb: {type: ospf, nodes: {nodeb: {interfaces: [{name: eth0}]}}}}",
            "`bridges`",
        ),
        (
            "fabrics: {fabb: {type: ospf, nodes: {nodeb: {interfaces: [{name: vmbrb, ip: 10.1.0.1/31}]}}}}",
            "`addresses`",
        ),
        ("fabrics: {faba: {type: ospf}}", "`fabrics`"),
        ("nodes: {nodeb: {address: 10.2.0.1, management: 10.2.0.1}}", ""),
        ("nodes: {node1: {address: 10.2.0.1}}", "`nodes`"),
        ("nodes: {nodeb: {address: 192.168.0.1}}", "`addresses`"),
        ("nodes: {nodeb: {management: 192.168.0.1}}", "`addresses`"),
        ("guests: {b: {nics: [{vnet: b1, mac: 'BC:24:11:00:00:02'}]}}", "`kinds`"),
    ];
    for (text, why) in table {
        let tip = forge.commit(&[begin], "eve", &[(b, text)]);
        let judgement = forge.judge(begin, tip);
        let message = judgement.refused.first().map(|refusal| refusal.message.as_str());
        assert_eq!(message.is_none(), why.is_empty(), "{text}: {message:?}");
        assert!(message.unwrap_or_default().contains(why), "{text}: {message:?}");
    }
}

/// A scope and a threshold hold together, for a merge as for a commit.
#[test]
fn merges_are_charged_with_what_they_declare() {
    let (forge, begin) = begin();
    let bad = "vnets: {ax: {zone: tenb, tag: 10009}}\n";
    // Whoever made it, and with whatever right: the merge is ann's.
    let side = forge.commit(&[begin], "bob", &[("sdn/tenants/a/x.yaml", bad)]);
    let merge = forge.merge("ann", begin, &[begin, side]);
    assert_eq!(refused(&forge.judge(forge.introduction(), merge)), [(merge, "out-of-scope")]);
    let merge = forge.merge("bob", begin, &[begin, side]);
    assert_eq!(accepted(&forge.judge(forge.introduction(), merge)), Some(merge));
    let both = POLICY.replace("principals: [ann]\n", "principals: [ann, eve]\n    threshold: 2\n");
    let begin = within(&forge, begin, "root", &[(".weft/policy.yaml", &both)]);
    let good = forge.commit(&[begin], "eve", &[(FILE, "")]);
    assert_eq!(refused(&forge.judge(forge.introduction(), good)), [(good, "threshold-unmet")]);
    let merge = forge.merge("ann", begin, &[begin, good]);
    assert_eq!(accepted(&forge.judge(forge.introduction(), merge)), Some(merge));
    let side = forge.commit(&[begin], "eve", &[("sdn/tenants/a/x.yaml", bad)]);
    let merge = forge.merge("ann", begin, &[begin, side]);
    assert_eq!(refused(&forge.judge(forge.introduction(), merge)), [(merge, "out-of-scope")]);
}

/// The judge reads no file of those who are not limited, and each file once.
#[test]
fn declarations_are_read_for_limited_files_only() {
    let (forge, begin) = begin();
    let by_operator = forge.commit(&[begin], "bob", &[(FILE, "zones: {}\n")]);
    let by_tenant = forge.commit(&[by_operator], "ann", &[(FILE, "vnets: {}\n")]);
    let core = super::objects::id(weft::sync::objects::Kind::Blob, CORE.as_bytes());
    for (tip, reads) in [(by_operator, None), (by_tenant, Some(&1))] {
        let memory = forge.memory.borrow();
        memory.reads.borrow_mut().clear();
        let trust = super::forge::trust(begin, "root");
        let judgement = decide(&memory, tip, &trust, None, forge.now()).expect("judged");
        assert_eq!(accepted(&judgement), Some(tip));
        assert_eq!(memory.reads.borrow().get(&core), reads);
    }
    // A size that is only claimed refuses nothing.
    forge.memory.borrow_mut().huge.insert(core, 1 << 40);
    let trust = super::forge::trust(begin, "root");
    let result = decide(&forge.memory.borrow(), by_tenant, &trust, None, forge.now());
    assert!(result.is_err());
}
