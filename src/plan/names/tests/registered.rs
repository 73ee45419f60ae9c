//! Which names a network registers, and in which zones of a server.

use jiff::Timestamp;

use super::*;
use crate::network::{
    Dns, Lease, Leases, Naming, Network, Nodes, Origin, Subnet, Traffic, Vnet, Zone, ZoneKind,
};
use crate::value::DnsId;

fn network(dnszone: &str, prefix: &str, subnets: &[(&str, Subnet)]) -> Network {
    let dns: DnsId = "pdns".parse().unwrap();
    let subnets = subnets.iter().map(|(prefix, of)| (prefix.parse().unwrap(), of.clone()));
    let vnet = Vnet { traffic: Traffic::Untagged(subnets.collect()), ..Vnet::default() };
    let zone = Zone {
        nodes: Nodes::All,
        mtu: None,
        ipam: None,
        naming: Naming {
            forward: Some((dns.clone(), dnszone.parse().ok())),
            reverse: Some(dns.clone()),
        },
        dhcp: None,
        bridge_disable_mac_learning: false,
        kind: ZoneKind::Simple,
        vnets: [(prefix.parse().unwrap(), vnet)].into(),
    };
    let server = Dns {
        url: "https://dns.example.org/api/v1/servers/localhost".parse().unwrap(),
        key: "key".parse().unwrap(),
        ttl: Some(0),
        reverse_mask_v6: None,
        fingerprint: None,
    };
    let zones = [("za".parse().unwrap(), zone)].into();
    Network { zones, dns: [(dns, server)].into(), ..Network::default() }
}

fn lease(guest: &str, hostname: Option<&str>, released: bool) -> Lease {
    Lease {
        vnet: "va".parse().unwrap(),
        mac: "02:00:00:00:00:01".parse().unwrap(),
        guest: guest.parse().unwrap(),
        hostname: hostname.map(|name| name.parse().unwrap()),
        origin: Origin::Declared,
        released: released.then_some(Timestamp::UNIX_EPOCH),
    }
}

fn leases(of: &[(&str, Lease)]) -> Leases {
    let key = |address: &str| ("za".parse().unwrap(), address.parse().unwrap());
    of.iter().map(|(address, lease)| (key(address), lease.clone())).collect()
}

#[test]
fn leases_and_gateways_as_the_reference_registers_them() {
    let prefixed = Subnet {
        gateway: "10.0.0.1".parse().ok(),
        dns_prefix: "Lab".parse().ok(),
        ..Subnet::default()
    };
    let v6 = Subnet { gateway: "2001:db8::1".parse().ok(), ..Subnet::default() };
    let single = Subnet { gateway: "192.0.2.9".parse().ok(), ..Subnet::default() };
    let subnets = [("10.0.0.0/24", prefixed), ("2001:db8::/64", v6), ("192.0.2.7/32", single)];
    let network = network("SDN.example", "va", &subnets);
    let long = format!("{0}.{0}.{0}.{1}", "x".repeat(63), "y".repeat(50));
    let held = leases(&[
        ("10.0.0.5", lease("Web", None, false)),
        ("2001:db8::5", lease("Web", None, false)),
        ("10.0.0.6", lease("db", Some("Data.Base"), false)),
        ("10.0.0.7", lease("gone", None, true)),
        ("10.9.0.7", lease("lost", None, false)),
        ("10.0.0.8", lease(&long, None, false)),
    ]);
    let wanted = crate::plan::names::wanted(&network, &held);
    let of = &wanted.servers.values().next().unwrap();
    assert_eq!(of.ttl, 14_400);
    let forward = of.names.iter().filter(|one| matches!(one.direction, Registered::Forward(_)));
    let forward: Vec<String> = forward.map(|one| format!("{} {}", one.name, one.address)).collect();
    assert_eq!(
        forward,
        [
            "va-gw.lab.sdn.example. 10.0.0.1",
            "va-gw.sdn.example. 2001:db8::1",
            "web.lab.sdn.example. 10.0.0.5",
            "data.base.lab.sdn.example. 10.0.0.6",
            "web.sdn.example. 2001:db8::5",
        ]
    );
    assert_eq!(of.names.len(), 10);
    assert_eq!(wanted.stranded, ["10.9.0.7".parse::<IpAddr>().unwrap()].into());
    let said = wanted.refused[0].to_string();
    assert!(said.contains("longer than DNS can hold") && said.contains("on vnet `va`"), "{said}");

    // Where they lie is the server's to say.
    let zones = |zones: &[&str]| -> BTreeMap<Fqdn, Hosted> {
        zones
            .iter()
            .map(|zone| (name(zone), Hosted { primary: !zone.starts_with("0.0") }))
            .collect()
    };
    let (assigned, refused) =
        assign(of, &zones(&["sdn.example.", "lab.sdn.example.", "0.0.10.in-addr.arpa."]));
    let zones_used: Vec<String> = assigned.keys().map(ToString::to_string).collect();
    assert_eq!(zones_used, ["lab.sdn.example.", "sdn.example."]);
    let said: Vec<String> = refused.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said.iter().any(|said| said.contains("has `0.0.10.in-addr.arpa.` from another server"))
    );
    assert!(
        said.iter().any(|said| said.contains("create `0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.`"))
    );
    // The zone that is declared must be there, whatever is above it.
    let (assigned, refused) = assign(of, &zones(&["example.", "10.in-addr.arpa.", "ip6.arpa."]));
    let zones_used: Vec<String> = assigned.keys().map(ToString::to_string).collect();
    assert_eq!(zones_used, ["10.in-addr.arpa.", "ip6.arpa."]);
    assert_eq!(refused.len(), 1);
    assert!(refused[0].to_string().contains("the server has no zone `SDN.example.`"));
}
