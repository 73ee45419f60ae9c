//! Names in real PowerDNS servers: registered, kept and given up, and never at the cost of
//! what somebody else has there.

pub(crate) mod agents;
pub(crate) mod faults;
mod life;
mod powerdns;
mod program;
pub(crate) mod proxy;
mod reference;

use std::collections::BTreeMap;
use std::time::Duration;

use weft::declare::Tree;
use weft::network::{Lease, Leases, Network, Origin};
use weft::plan::names::Limits;
use weft::reconcile::http::Bounds;
use weft::reconcile::names::{Access, Outcome, Plan, Terms, carry_out, plan};
use weft::value::Secret;

use powerdns::{Backend, KEY, PowerDns};

/// A cluster whose zone `za` has its names on one server.
struct Cluster {
    network: Network,
    leases: Leases,
    access: Access,
    terms: Terms,
}

impl Cluster {
    /// `more` are options of the server, `vnets` the vnets of zone `za`.
    fn new(name: &str, url: &str, more: &str, vnets: &str) -> Self {
        let text = format!(
            "nodes: {{n1: {{}}}}\n\
             dns: {{pdns: {{type: powerdns, url: \"{url}\", key: pdns-key, ttl: 300{more}}}}}\n\
             zones: {{za: {{type: simple, dns: pdns, reversedns: pdns, dnszone: sdn.example}}}}\n\
             vnets:\n{vnets}"
        );
        let files =
            [("weft.yaml", format!("weft: 1\ncluster: {name}\n")), ("sdn/network.yaml", text)];
        let files = files.map(|(path, text)| (path.parse().unwrap(), text.as_str().into()));
        let (network, findings) = weft::validate::check(&Tree::new(None, files), None, &[]);
        let network = network.unwrap_or_else(|| panic!("{findings:#?}"));
        let access = Access { secret: Secret::new(KEY.to_owned()), authorities: None };
        let terms = Terms {
            cluster: name.parse().unwrap(),
            limits: Limits::default(),
            force: false,
            adopt: false,
            before: BTreeMap::new(),
            bounds: Bounds {
                connect: Duration::from_secs(5),
                request: Duration::from_secs(10),
                pause: Duration::from_millis(30),
                patience: Duration::from_secs(3),
                ..Bounds::default()
            },
            settle: Duration::from_millis(150),
        };
        Self { network, leases: Leases::new(), access, terms }
    }

    /// Lets a guest of vnet `va` hold an address.
    fn hold(&mut self, guest: &str, address: &str) {
        self.hold_on("va", guest, address);
    }

    fn hold_on(&mut self, vnet: &str, guest: &str, address: &str) {
        let lease = Lease {
            vnet: vnet.parse().unwrap(),
            mac: "02:00:00:00:00:01".parse().unwrap(),
            guest: guest.parse().unwrap(),
            hostname: None,
            origin: Origin::Declared,
            released: None,
        };
        self.leases.insert(("za".parse().unwrap(), address.parse().unwrap()), lease);
    }

    fn give_up(&mut self, address: &str) {
        let key = ("za".parse().unwrap(), address.parse().unwrap());
        assert!(self.leases.remove(&key).is_some());
    }

    fn plan(&self) -> Plan {
        let access = BTreeMap::from([("pdns".parse().unwrap(), self.access.clone())]);
        plan(&self.network, &self.leases, &access, self.terms.clone())
    }

    /// Plans and carries out, remembers the zones as an agent does, and sees that there is
    /// nothing left to do.
    fn settle(&mut self) -> (String, Outcome) {
        let plan = self.plan();
        let shown = plan.to_string();
        self.terms.before = plan.zones();
        let outcome = carry_out(plan);
        let after = self.plan();
        assert!(after.is_empty(), "{shown}\n{outcome}\nand still:\n{after}");
        (shown, outcome)
    }
}

/// A server with the zones of a cluster in `10.0.0.0/24` and `2001:db8::/64`.
fn server(backend: Backend) -> Option<PowerDns> {
    let server = PowerDns::start(backend)?;
    server.create(&["sdn.example.", "0.0.10.in-addr.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa."]);
    Some(server)
}

const VNETS: &str = "  va:\n    zone: za\n    subnets:\n      10.0.0.0/24: {gateway: 10.0.0.1}\n      2001:db8::/64: {}\n";
