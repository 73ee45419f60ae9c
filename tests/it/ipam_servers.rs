//! IPAM servers: what zones have is kept there, guests get addresses from there, and nothing
//! of others is ever touched. One contract for servers in memory and for a real NetBox.

mod agents;
mod allocation;
mod failures;
mod fake;
mod faults;
mod killed;
mod life;
mod measure;
mod phpipam;
mod program;
mod site;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use weft::declare::Tree;
use weft::network::{Network, Origin};
use weft::plan::addresses::{self, Claim, Taken, allocate_beside, claims};
use weft::plan::ipam::Limits;
use weft::reconcile::http::Bounds;
use weft::reconcile::ipam::{Access, Outcome, Plan, Settled, Terms, carry_out, plan, settle};
use weft::value::{IpamId, Secret};

use crate::names::proxy::Proxy;
use site::{Site, sites};

/// A cluster whose zone `za` is administered by a server, asked through a proxy.
struct Cluster {
    name: String,
    /// What is declared of the server.
    server: String,
    network: Network,
    access: Access,
    terms: Terms,
    now: Timestamp,
    grace: Duration,
    /// Claims beside those that are declared.
    more: Vec<Claim>,
}

/// A name that no other test of this run has.
fn name() -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    format!("c{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

impl Cluster {
    fn new(site: &Site, proxy: &Proxy, rest: &str) -> Self {
        let url = format!("http://127.0.0.1:{}/api", proxy.port);
        let server = format!("{{type: netbox, url: \"{url}\", token: ipam-token}}");
        Self::of(server, site.token.clone(), rest)
    }

    fn of(server: String, token: String, rest: &str) -> Self {
        let token = Secret::new(token);
        let mut cluster = Self {
            name: name(),
            server,
            network: Network::default(),
            access: Access { secret: token, authorities: None },
            terms: Terms {
                cluster: "lab".parse().unwrap(),
                limits: Limits::default(),
                force: false,
                adopt: false,
                bounds: Bounds {
                    connect: Duration::from_secs(5),
                    request: Duration::from_secs(60),
                    pause: Duration::from_millis(30),
                    patience: Duration::from_secs(3),
                    ..Bounds::default()
                },
                message: "configuration 1234567".to_owned(),
            },
            now: "2026-11-27T06:00:00Z".parse().unwrap(),
            grace: Duration::from_secs(3600),
            more: Vec::new(),
        };
        cluster.terms.cluster = cluster.name.parse().unwrap();
        cluster.declare(rest);
        cluster
    }

    /// `rest` follows the zone `za`: vnets and guests.
    fn declare(&mut self, rest: &str) {
        let text = format!(
            "nodes: {{n1: {{}}}}\n\
             ipams: {{nb: {}}}\n\
             dns: {{pdns: {{type: powerdns, url: \"http://127.0.0.1:1\", key: pdns-key}}}}\n\
             {rest}",
            self.server
        );
        let files = [
            ("weft.yaml", format!("weft: 1\ncluster: {}\n", self.name)),
            ("sdn/network.yaml", text),
        ];
        let files = files.map(|(path, text)| (path.parse().unwrap(), text.as_str().into()));
        let (network, findings) = weft::validate::check(&Tree::new(None, files), None, &[]);
        self.network = network.unwrap_or_else(|| panic!("{findings:#?}"));
    }

    fn id() -> IpamId {
        "nb".parse().unwrap()
    }

    fn access(&self) -> BTreeMap<IpamId, Access> {
        BTreeMap::from([(Self::id(), self.access.clone())])
    }

    fn claims(&self) -> Vec<Claim> {
        claims(&self.network).into_iter().chain(self.more.iter().cloned()).collect()
    }

    fn decide(
        &self,
    ) -> impl FnMut(&IpamId, &weft::network::Leases, &Taken) -> Vec<addresses::LeaseChange> {
        let (network, claims) = (self.network.clone(), self.claims());
        let terms = addresses::Terms {
            now: self.now,
            grace: self.grace,
            complete: BTreeSet::from([Origin::Declared]),
        };
        move |_, leases, taken| allocate_beside(&network, leases, &claims, &terms, taken).changes
    }

    fn plan(&self) -> Plan {
        plan(&self.network, &self.access(), &self.terms, &mut self.decide())
    }

    /// Plans and carries out, and sees that there is nothing left to do.
    fn apply(&self) -> (String, Outcome) {
        let plan = self.plan();
        let shown = plan.to_string();
        let outcome = carry_out(plan);
        let after = self.plan();
        assert!(after.is_empty(), "{shown}\n{outcome}\nand still:\n{after}");
        (shown, outcome)
    }

    fn settle(&self) -> Settled {
        settle(&self.network, &Self::id(), &self.access(), &self.terms, &mut self.decide())
    }
}

/// Every server, a proxy before it, and a cluster with `rest` in its declarations.
fn each(rest: &str, test: impl Fn(&Site, &Proxy, Cluster)) {
    for site in sites() {
        println!("on {}", site.name);
        let proxy = Proxy::start(site.port, None);
        let cluster = Cluster::new(&site, &proxy, rest);
        test(&site, &proxy, cluster);
        // A search for parts of words finds what is somebody else's.
        assert_eq!(proxy.asked("q="), 0, "{}", site.name);
    }
}

/// The addresses that are held, with whose they are.
fn held(settled: &Settled) -> Vec<String> {
    let line = |((_, address), lease): (&(_, _), &weft::network::Lease)| {
        let address: &std::net::IpAddr = address;
        let state = if lease.released.is_some() { " given up" } else { "" };
        format!("{address} {}{state}", lease.guest)
    };
    settled.leases.iter().map(line).collect()
}
