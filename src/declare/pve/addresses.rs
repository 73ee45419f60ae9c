//! The addresses of guests that Proxmox has given out: its IPAM database and its
//! cache of hardware addresses (`pve-ondisk.md` §4 and §5).

use serde_json::Value as Json;

use super::config::{is_set, scalar, truth};
use super::{Damage, json_map};

/// The most addresses that are read.
const MAX_ADDRESSES: usize = 200_000;

/// An address that is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taken {
    /// The zone, and the prefix as its subnet is written.
    pub zone: String,
    /// The prefix.
    pub prefix: String,
    /// The address.
    pub address: String,
    /// It is the subnet's gateway.
    pub gateway: bool,
    /// The hardware address of who has it.
    pub mac: Option<String>,
    /// The name of who has it.
    pub hostname: Option<String>,
    /// The number of the guest that has it.
    pub vmid: Option<String>,
}

/// Reads `pve-ipam-state.json`. `file` is its name, for what is said of it.
pub fn state(file: &str, text: &str) -> Result<Vec<Taken>, Damage> {
    let mut taken = Vec::new();
    let map = Json::Object(json_map(file, text)?);
    for (zone, of_zone) in entries(file, &map, "zones")? {
        for (prefix, of_prefix) in entries(file, of_zone, "subnets")? {
            for (address, entry) in entries(file, of_prefix, "ips")? {
                if taken.len() >= MAX_ADDRESSES {
                    let what = format!("more than {MAX_ADDRESSES} addresses");
                    return Err(Damage::new(file, None, what));
                }
                let text =
                    |key: &str| entry.get(key).filter(|value| is_set(value)).and_then(scalar);
                taken.push(Taken {
                    zone: zone.clone(),
                    prefix: prefix.clone(),
                    address: address.clone(),
                    gateway: entry.get("gateway").and_then(truth).unwrap_or_default(),
                    mac: text("mac"),
                    hostname: text("hostname"),
                    vmid: text("vmid"),
                });
            }
        }
    }
    taken.sort();
    Ok(taken)
}

/// Reads `mac-cache.json`: hardware addresses, each with its addresses.
pub fn cache(file: &str, text: &str) -> Result<Vec<(String, Vec<String>)>, Damage> {
    let map = Json::Object(json_map(file, text)?);
    let macs = entries(file, &map, "macs")?;
    if macs.len() > MAX_ADDRESSES {
        return Err(Damage::new(file, None, format!("more than {MAX_ADDRESSES} addresses")));
    }
    let mut found: Vec<(String, Vec<String>)> = macs
        .into_iter()
        .map(|(mac, entry)| {
            let of = |key: &str| entry.get(key).filter(|value| is_set(value)).and_then(scalar);
            (mac.clone(), ["ip4", "ip6"].into_iter().filter_map(of).collect())
        })
        .collect();
    found.sort();
    Ok(found)
}

/// The entries of a map below a key; none where it is not there.
fn entries<'a>(
    file: &str,
    map: &'a Json,
    key: &str,
) -> Result<Vec<(&'a String, &'a Json)>, Damage> {
    match map.get(key) {
        None | Some(Json::Null) => Ok(Vec::new()),
        Some(Json::Object(entries)) => Ok(entries.iter().collect()),
        // Perl writes an empty hash as an empty list at times.
        Some(Json::Array(list)) if list.is_empty() => Ok(Vec::new()),
        Some(_) => Err(Damage::new(file, None, format!("`{key}` is not a map"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_entry_is_read() {
        let text = r#"{"zones":{"z":{"subnets":{"10.0.0.0/24":{"ips":{
            "10.0.0.1":{"gateway":1},
            "10.0.0.10":{"mac":"BC:24:11:AA:BB:CC","hostname":"vm1","vmid":100},
            "10.0.0.11":{"mac":null,"hostname":"","vmid":"101"}}}}},"old":{"subnets":{}}}}"#;
        let taken = state("x", text).unwrap();
        assert_eq!(taken.len(), 3);
        assert!(taken[0].gateway && taken[0].mac.is_none());
        assert_eq!(taken[1].vmid.as_deref(), Some("100"));
        assert_eq!(taken[1].hostname.as_deref(), Some("vm1"));
        assert_eq!((&taken[2].mac, &taken[2].hostname), (&None, &None));
        let text = r#"{"macs":{"BC:24:11:AA:BB:CC":{"ip4":"10.0.0.10","ip6":null}}}"#;
        let cached = cache("x", text).unwrap();
        assert_eq!(cached, [("BC:24:11:AA:BB:CC".to_owned(), vec!["10.0.0.10".to_owned()])]);
    }

    #[test]
    fn damage_names_the_file_and_the_line() {
        assert!(state("a.json", "{\n\n x").unwrap_err().to_string().starts_with("a.json:3: "));
        assert!(state("a.json", "[]").is_err());
        assert!(state("a.json", r#"{"zones":{"z":{"subnets":7}}}"#).is_err());
        assert!(cache("a.json", r#"{"macs":[1]}"#).is_err());
        assert_eq!(state("a.json", "{}").unwrap(), []);
    }
}
