//! The merge of the node's own `frr.conf.local` (`pve-rendering.md` §2.5).
//!
//! Every oddity of the reference is kept, for people have such files: a block that is left open
//! swallows what follows, and an `exit` closes whatever was last opened.

use std::collections::BTreeMap;

use super::Impossible;
use super::config::Config;
use crate::facts::frr_local::{Action, FrrLocal, Kind, Statement};
use crate::render::Subject;

/// Where lines go.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// Nowhere.
    Nowhere,
    /// Among the lines that belong to nothing that is rendered.
    Custom,
    /// Into an IS-IS process.
    IsisRouter(&'a str),
    /// Onto an interface of IS-IS.
    IsisInterface(&'a str),
    /// Into a VRF.
    Vrf(&'a str),
    /// Into BGP of a VRF.
    Router(&'a str),
    /// Into an address family of BGP of a VRF.
    Family(&'a str, &'a str),
    /// Into a route map.
    RouteMap(&'a str),
}

/// A line of a route map that the node itself brings.
enum MapLine<'a> {
    Entry(Action),
    Body(&'a str),
}

struct Merge<'a, 'c> {
    config: &'c mut Config,
    route_maps: BTreeMap<&'a str, Vec<MapLine<'a>>>,
    place: Place<'a>,
    /// The last `router bgp`: its AS number and VRF.
    bgp: Option<(&'a str, &'a str)>,
    /// The block that is open was not rendered, so it needs its own `exit`.
    own_block: bool,
    /// The address family that is open was not rendered.
    own_family: bool,
}

/// Numbers the entries of route maps, and adds what the node itself brings. The route maps of
/// fabrics come later and keep their numbers.
pub(super) fn merge(local: &FrrLocal<'_>, config: &mut Config) -> Result<(), Impossible> {
    for entries in config.route_maps.values_mut() {
        for (seq, entry) in (1..).zip(entries) {
            entry.seq = seq;
        }
    }
    let mut merge = Merge {
        config,
        route_maps: BTreeMap::new(),
        place: Place::Nowhere,
        bgp: None,
        own_block: false,
        own_family: false,
    };
    for statement in local.statements() {
        merge.take(statement)?;
    }
    merge.finish();
    Ok(())
}

impl<'a> Merge<'a, '_> {
    fn take(&mut self, statement: &Statement<'a>) -> Result<(), Impossible> {
        let Statement { line, text, kind } = *statement;
        match kind {
            Kind::RouterIsis(domain) => {
                let is_rendered = self.config.isis.routers.contains_key(domain);
                self.open(is_rendered, Place::IsisRouter(domain), text);
            }
            Kind::RouterBgp { asn, vrf } => {
                let vrf = vrf.unwrap_or("default");
                self.bgp = Some((asn, vrf));
                let is_rendered = self.is_rendered_bgp();
                self.open(is_rendered, Place::Router(vrf), text);
            }
            Kind::Router => self.open(false, Place::Custom, text),
            Kind::Vrf(name) => {
                let is_rendered = self.config.vrfs.contains_key(name);
                self.open(is_rendered, Place::Vrf(name), text);
            }
            Kind::Interface(name) => {
                let is_rendered = self.config.isis.interfaces.contains_key(name);
                self.open(is_rendered, Place::IsisInterface(name), text);
            }
            Kind::List => self.config.custom.push(text.to_owned()),
            Kind::AddressFamily(name) => self.open_family(name),
            Kind::RouteMap { name, action } => {
                self.own_block = true;
                self.place = Place::RouteMap(name);
                self.route_maps.entry(name).or_default().push(MapLine::Entry(action));
            }
            Kind::ExitAddressFamily => self.close_family(line, text)?,
            Kind::Exit => {
                if self.own_block {
                    self.push(text);
                    self.push("!");
                }
                self.place = Place::Nowhere;
                self.bgp = None;
                self.own_block = false;
            }
            Kind::Comment => {}
            Kind::Other => self.push(text),
        }
        Ok(())
    }

    /// Opens a block: the rendered one where there is one, else one of its own. That an own one is
    /// open already stays so.
    fn open(&mut self, is_rendered: bool, place: Place<'a>, header: &str) {
        if is_rendered {
            self.place = place;
        } else {
            self.own_block = true;
            self.config.custom.push(header.to_owned());
            self.place = Place::Custom;
        }
    }

    fn open_family(&mut self, name: &'a str) {
        let rendered = self.bgp.filter(|_| self.is_rendered_bgp()).map(|(_, vrf)| vrf);
        let router = rendered.and_then(|vrf| Some((vrf, self.config.router_mut(vrf)?)));
        if let Some((vrf, router)) = router {
            if router.family_custom(name).is_some() {
                self.place = Place::Family(vrf, name);
                return;
            }
            self.place = Place::Router(vrf);
        } else {
            self.place = Place::Custom;
        }
        self.own_family = true;
        if let Some(lines) = self.lines() {
            lines.push(format!(" address-family {name}"));
        }
    }

    fn close_family(&mut self, line: usize, text: &'a str) -> Result<(), Impossible> {
        if self.own_family {
            self.push(text);
            self.place = Place::Custom;
        } else {
            let vrf =
                self.bgp.map(|(_, vrf)| vrf).filter(|vrf| self.config.router_mut(vrf).is_some());
            let Some(vrf) = vrf else {
                let why = format!("line {line} closes an address family where none is open");
                return Err(Impossible::new(Subject::FrrLocal, why));
            };
            self.place = Place::Router(vrf);
        }
        self.own_family = false;
        Ok(())
    }

    /// Whether the last `router bgp` is one that is rendered, with the same AS number.
    fn is_rendered_bgp(&mut self) -> bool {
        let Some((asn, vrf)) = self.bgp else { return false };
        self.config.router_mut(vrf).is_some_and(|router| router.asn.to_string() == asn)
    }

    fn push(&mut self, text: &'a str) {
        if let Place::RouteMap(name) = self.place {
            self.route_maps.entry(name).or_default().push(MapLine::Body(text));
        } else if let Some(lines) = self.lines() {
            lines.push(text.to_owned());
        }
    }

    /// The lines of what is open.
    fn lines(&mut self) -> Option<&mut Vec<String>> {
        let config = &mut *self.config;
        match self.place {
            Place::Nowhere | Place::RouteMap(_) => None,
            Place::Custom => Some(&mut config.custom),
            Place::IsisRouter(domain) => {
                config.isis.routers.get_mut(domain).map(|router| &mut router.custom)
            }
            Place::IsisInterface(name) => {
                config.isis.interfaces.get_mut(name).map(|interface| &mut interface.custom)
            }
            Place::Vrf(name) => config.vrfs.get_mut(name).map(|vrf| &mut vrf.custom),
            Place::Router(vrf) => config.router_mut(vrf).map(|router| &mut router.custom),
            Place::Family(vrf, name) => config.router_mut(vrf)?.family_custom(name),
        }
    }

    /// The node's own entries of each route map follow the rendered ones.
    fn finish(self) {
        for (name, lines) in self.route_maps {
            let mut seq = self.config.route_maps.get(name).map_or(0, Vec::len);
            for line in lines {
                self.config.custom.push(match line {
                    MapLine::Entry(action) => {
                        seq += 1;
                        format!("route-map {name} {action} {seq}")
                    }
                    MapLine::Body(text) => text.to_owned(),
                });
            }
        }
    }
}
