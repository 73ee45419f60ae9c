//! What runs, in words.

use std::collections::BTreeSet;

use super::live::{of_link, of_services};
use crate::plan::{Frr, Link, Services, Statement, Texts, Tunnel, statements};
use crate::render::Managed;

#[test]
fn an_interface_is_said_as_it_is() {
    let tunnel = Tunnel {
        learning: true,
        id: 7,
        port: 4789,
        local: "192.0.2.1".parse().ok(),
        remotes: (2..20).filter_map(|n| format!("192.0.2.{n}").parse().ok()).collect(),
    };
    let link = Link {
        kind: Some("vxlan".to_owned()),
        up: true,
        mtu: 1450,
        master: Some("va".to_owned()),
        tunnel: Some(tunnel),
        ..Link::default()
    };
    let said = of_link("vxlan_va", Some(&link), &[]);
    assert!(said.there);
    assert_eq!(
        said.to_string(),
        "vxlan_va  vxlan, up, mtu 1450, in va, vxlan 7 port 4789 from 192.0.2.1 to 192.0.2.2 \
         192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6 192.0.2.7 192.0.2.8 192.0.2.9 192.0.2.10 \
         192.0.2.11 and 8 more"
    );
    let bridge = Link { kind: Some("bridge".to_owned()), mtu: 1500, ..Link::default() };
    let said = of_link("va", Some(&bridge), &["tap100i0", "vxlan_va"]);
    assert_eq!(said.state, "bridge, down, mtu 1500, ports tap100i0 vxlan_va");
    let said = of_link("vb", None, &[]);
    assert!(!said.there && said.state == "not there");
}

#[test]
fn statements_of_frr_are_looked_for_in_what_it_runs() {
    let conf = "router bgp 1\n neighbor VTEP bfd\n neighbor VTEP activate\n";
    let texts = Texts::from([(Managed::Frr, conf.as_bytes().to_vec())]);
    let all = statements(&texts);
    let wanted: Vec<&Statement> = all.iter().collect();
    let frr = Frr::Runs("router bgp 1\n neighbor VTEP  bfd\n".to_owned());
    let zones = BTreeSet::from(["za".parse().expect("a zone"), "zb".parse().expect("a zone")]);
    let dnsmasq = BTreeSet::from(["za".parse().expect("a zone")]);
    let services = Services { frr, dnsmasq, default_dnsmasq: false };
    let said: Vec<String> =
        of_services(&services, &wanted, &zones).iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "frr  runs, with 2 of these 3 statements; its running configuration does not say \
             `router bgp 1 > neighbor VTEP activate` (it leaves out what is its default)",
            "dnsmasq@za  runs",
            "dnsmasq@zb  does not run",
        ]
    );
    for (frr, there, state) in
        [(Frr::Off, false, "does not run"), (Frr::Silent, true, "runs, and does not answer")]
    {
        let said = of_services(&Services { frr, ..services.clone() }, &wanted, &BTreeSet::new());
        assert_eq!((said.len(), said[0].there, said[0].state.as_str()), (1, there, state));
    }
}
