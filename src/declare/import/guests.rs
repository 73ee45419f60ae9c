//! Guests, from the addresses that Proxmox has given out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value as Json, json};

use super::emit::{Item, Map};
use super::files::PveFiles;
use super::object::Import;
use crate::declare::pve::Damage;
use crate::declare::pve::addresses::{self, Taken};
use crate::value::{GuestName, MacAddress, VnetId};

/// Who has an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    Vmid(u64),
    Hostname(String),
    Mac(MacAddress),
}

#[derive(Debug, Default)]
struct Guest {
    hostname: Option<String>,
    nics: BTreeMap<(VnetId, MacAddress), Vec<IpAddr>>,
}

/// What is known of addresses while guests are put together.
#[derive(Debug, Default)]
struct Book {
    guests: BTreeMap<Holder, Guest>,
    taken: BTreeSet<(VnetId, IpAddr)>,
    owners: BTreeMap<(VnetId, MacAddress), Holder>,
    /// The vnets by their networks.
    networks: BTreeMap<IpNet, BTreeSet<VnetId>>,
    /// The vnets by zone and prefix as written.
    subnets: BTreeMap<(String, String), VnetId>,
}

impl Import {
    /// The guests of the vnets that are declared, and as comments what is no guest's.
    pub(super) fn guests(&mut self, files: &PveFiles) -> Result<Map, Damage> {
        let mut map = Map::default();
        let mut book = self.book();
        if let Some((path, text)) = files.first(&["sdn/pve-ipam-state.json", "priv/ipam.db"]) {
            if !self.of_pve.is_empty() {
                let zones = self.of_pve.join(", ");
                let message = "`ipam: pve` stays as it is: Proxmox goes on giving out addresses there by itself";
                self.remark("zones", &zones, message.to_owned());
            }
            for taken in addresses::state(path, text)? {
                if taken.gateway {
                    continue;
                }
                if let Err(why) = book.take(&taken) {
                    let entry =
                        json!({"mac": taken.mac, "hostname": taken.hostname, "vmid": taken.vmid});
                    let what =
                        format!("{} of {} in zone {}", taken.address, taken.prefix, taken.zone);
                    map.remark(&format!("{what}, {why}: {entry}"));
                }
            }
        }
        if let Some((path, text)) = files.first(&["sdn/mac-cache.json", "priv/macs.db"]) {
            for (mac, addresses) in addresses::cache(path, text)? {
                for address in addresses {
                    if let Err(why) = book.recall(&mac, &address) {
                        let entry = Json::from(mac.as_str());
                        map.remark(&format!("{address} of {entry} in {path}, {why}"));
                    }
                }
            }
        }
        self.write(book, &mut map);
        Ok(map)
    }

    fn book(&self) -> Book {
        let mut book = Book::default();
        for (id, vnet) in &self.vnets {
            for (prefix, gateway) in &vnet.subnets {
                book.networks.entry(prefix.net().trunc()).or_default().insert(id.clone());
                book.subnets.insert((vnet.zone.clone(), prefix.to_string()), id.clone());
                book.taken.extend(gateway.map(|gateway| (id.clone(), gateway)));
            }
        }
        book
    }

    fn write(&mut self, book: Book, map: &mut Map) {
        let mut hosts: BTreeMap<String, usize> = BTreeMap::new();
        for hostname in book.guests.values().filter_map(|guest| guest.hostname.as_ref()) {
            *hosts.entry(hostname.to_ascii_lowercase()).or_default() += 1;
        }
        let mut used = BTreeSet::new();
        let mut chosen = BTreeMap::new();
        for (holder, guest) in book.guests {
            let own = guest.hostname.as_ref().filter(|own| {
                hosts.get(&own.to_ascii_lowercase()) == Some(&1) && own.parse::<GuestName>().is_ok()
            });
            let first = own.cloned().unwrap_or_else(|| substitute(&holder));
            let again = (2_u32..).map(|number| format!("{}-{number}", substitute(&holder)));
            let mut names = [first, substitute(&holder)].into_iter().chain(again);
            // One of endlessly many is free.
            let Some(name) = names.find(|name| used.insert(name.to_ascii_lowercase())) else {
                continue;
            };
            chosen.insert(name, guest);
        }
        for (name, guest) in chosen {
            let mut entry = Map::default();
            if let Some(hostname) = guest.hostname.filter(|hostname| *hostname != name) {
                entry.note(&format!("in Proxmox: {}", Json::from(hostname)));
            }
            let nics = guest.nics.into_iter().map(|((vnet, mac), addresses)| {
                let mut nic = Map::default();
                nic.insert("vnet".to_owned(), Item::Text(vnet.to_string()));
                nic.insert("mac".to_owned(), Item::Text(mac.to_string()));
                let addresses = addresses.iter().map(|address| Item::Text(address.to_string()));
                nic.insert("addresses".to_owned(), Item::List(addresses.collect()));
                Item::Map(nic)
            });
            entry.insert("nics".to_owned(), Item::List(nics.collect()));
            map.insert(name, Item::Map(entry));
        }
        if map.has_comments() {
            let message = "addresses that could not be declared stay as comments there";
            self.remark_at("sdn/guests.yaml", message);
        }
    }
}

impl Book {
    /// Books one address of the IPAM.
    fn take(&mut self, taken: &Taken) -> Result<(), &'static str> {
        let address: IpAddr = taken.address.parse().map_err(|_| "which is no address")?;
        let subnet = (taken.zone.clone(), taken.prefix.clone());
        let vnet = self.subnets.get(&subnet).cloned().ok_or("whose subnet is not declared")?;
        let mac = taken.mac.as_ref().ok_or("without a hardware address")?;
        let mac: MacAddress = mac.parse().map_err(|_| "without a legal hardware address")?;
        let holder = match (&taken.vmid, &taken.hostname) {
            (Some(vmid), _) => Holder::Vmid(vmid.parse().map_err(|_| "without a legal vmid")?),
            (None, Some(hostname)) => Holder::Hostname(hostname.clone()),
            (None, None) => Holder::Mac(mac.clone()),
        };
        self.enter(&holder, &vnet, mac, address)?;
        let guest = self.guests.entry(holder).or_default();
        if guest.hostname.is_none() {
            guest.hostname.clone_from(&taken.hostname);
        }
        Ok(())
    }

    fn enter(
        &mut self,
        holder: &Holder,
        vnet: &VnetId,
        mac: MacAddress,
        address: IpAddr,
    ) -> Result<(), &'static str> {
        if !self.vnets_with(address).contains(vnet) {
            return Err("which lies in no subnet of its vnet");
        }
        let key = (vnet.clone(), mac);
        if self.owners.get(&key).is_some_and(|owner| owner != holder) {
            return Err("whose hardware address another guest of the vnet has");
        }
        if !self.taken.insert((vnet.clone(), address)) {
            return Err("which is taken already");
        }
        self.owners.insert(key.clone(), holder.clone());
        let guest = self.guests.entry(holder.clone()).or_default();
        guest.nics.entry(key).or_default().push(address);
        Ok(())
    }

    /// Books one address of the cache, which names no vnet.
    fn recall(&mut self, mac: &str, address: &str) -> Result<(), &'static str> {
        let mac: MacAddress = mac.parse().map_err(|_| "which is no hardware address")?;
        let address: IpAddr = address.parse().map_err(|_| "which is no address")?;
        let vnets = self.vnets_with(address);
        let known = |vnet: &VnetId| {
            let holder = self.owners.get(&(vnet.clone(), mac.clone()))?;
            let nics = &self.guests.get(holder)?.nics;
            nics.get(&(vnet.clone(), mac.clone())).filter(|all| all.contains(&address))
        };
        if vnets.iter().any(|vnet| known(vnet).is_some()) {
            return Ok(());
        }
        let mut vnets = vnets.into_iter();
        let (Some(vnet), None) = (vnets.next(), vnets.next()) else {
            return Err("which lies in no vnet, or in several");
        };
        let owner = self.owners.get(&(vnet.clone(), mac.clone()));
        let holder = owner.cloned().unwrap_or_else(|| Holder::Mac(mac.clone()));
        self.enter(&holder, &vnet, mac, address)
    }

    /// The vnets that have an address, looked up by each length of a prefix.
    fn vnets_with(&self, address: IpAddr) -> BTreeSet<VnetId> {
        (0..=IpNet::from(address).prefix_len())
            .filter_map(|length| IpNet::new(address, length).ok())
            .filter_map(|net| self.networks.get(&net.trunc()))
            .flatten()
            .cloned()
            .collect()
    }
}

/// What a guest is called that has no name of its own.
fn substitute(holder: &Holder) -> String {
    match holder {
        Holder::Vmid(vmid) => format!("vm{vmid}"),
        Holder::Hostname(_) => "guest".to_owned(),
        Holder::Mac(mac) => {
            let digits = mac.to_string().replace(':', "").to_ascii_lowercase();
            format!("mac-{digits}")
        }
    }
}
