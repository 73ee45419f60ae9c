//! Leases as files, one for each address: small, so that people read them with `cat` and
//! two writers seldom touch the same one.
//!
//! ```text
//! weft.json                             {"weft":1,"cluster":"lab"}
//! leases/ZONE/10.0.1/10.0.1.23          leases/ZONE/2001:db8:0:1::/2001:db8:0:1::17
//! {"vnet":"myvnet1","mac":"BC:24:11:00:00:01","guest":"web1","origin":"declared"}
//! ```

use std::net::{IpAddr, Ipv6Addr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::network::{Lease, Origin};
use crate::value::{
    ClusterName, DnsName, GuestName, MacAddress, ObjectId, RepoPath, VnetId, ZoneId,
};

/// The directory of all leases.
pub const DIRECTORY: &str = "leases";
/// The largest file, in bytes.
pub const MAX_BYTES: u64 = 4096;

/// The file that names the newest commit of the configuration whose guests were settled, so
/// that a node which is behind gives nothing up that a newer commit declares.
pub const CONFIGURATION: &str = "configuration";

/// A commit of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// The commit.
    pub commit: ObjectId,
    /// Its count on the line.
    pub sequence: u64,
}

/// The file [`CONFIGURATION`].
pub fn write_configuration(configuration: &Configuration) -> Vec<u8> {
    line(configuration)
}

/// The file that says whose leases a branch keeps, so that those of one cluster are never
/// taken for another's.
pub const MARK: &str = "weft.json";
/// The format of a branch of leases.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    weft: u32,
    cluster: ClusterName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<ObjectId>,
}

/// Which history of the branch its commits are of. Where an owner begins it anew, the policy
/// of the configuration names the next number, and the first commit of the new history holds
/// all that the last one of the old history held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Its number; 0 where it was never begun anew.
    pub number: u32,
    /// The last commit of the history before.
    pub after: Option<ObjectId>,
}

/// The file [`MARK`].
pub fn write_mark(cluster: &ClusterName) -> Vec<u8> {
    line(&Mark { weft: FORMAT, cluster: cluster.clone(), line: None, after: None })
}

/// Which line a branch is of, if its file [`MARK`] names the cluster and the format that is
/// read here; else why not.
pub fn read_mark(bytes: &[u8], cluster: &ClusterName) -> Result<Line, String> {
    /// The format alone, whatever else a later one says.
    #[derive(Deserialize)]
    struct Format {
        weft: u32,
    }
    let unreadable = |error: serde_json::Error| format!("its `{MARK}` cannot be read: {error}");
    let Format { weft } = serde_json::from_slice(bytes).map_err(unreadable)?;
    if weft != FORMAT {
        return Err(format!("it has format {weft}, and this weft reads format {FORMAT}"));
    }
    let mark: Mark = serde_json::from_slice(bytes).map_err(unreadable)?;
    if mark.cluster == *cluster {
        Ok(Line { number: mark.line.unwrap_or_default(), after: mark.after })
    } else {
        Err(format!("it keeps leases of cluster `{}`", mark.cluster))
    }
}

/// One line of JSON.
pub(super) fn line(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec(value).expect("strings and numbers are JSON");
    text.push(b'\n');
    text
}

/// Reads the file [`CONFIGURATION`].
pub fn read_configuration(bytes: &[u8]) -> Result<Configuration, NotALease> {
    serde_json::from_slice(bytes)
        .map_err(|error| NotALease { path: CONFIGURATION.to_owned(), why: error.to_string() })
}

/// Why a file is no lease.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{path}` is no lease: {why}")]
pub struct NotALease {
    /// The file.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
}

/// The file as written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    vnet: VnetId,
    mac: MacAddress,
    guest: GuestName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hostname: Option<DnsName>,
    origin: WrittenOrigin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    released: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WrittenOrigin {
    Declared,
    Found,
    Set,
}

/// Where the lease of an address lies. Directories stay small: one for each 256 addresses
/// of IPv4, one for each /64 of IPv6.
pub fn path(zone: &ZoneId, address: IpAddr) -> RepoPath {
    let group = match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}")
        }
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX)).to_string(),
    };
    super::constant_path(&format!("{DIRECTORY}/{zone}/{group}/{address}"))
}

/// The file of a lease.
pub fn write(lease: &Lease) -> Vec<u8> {
    let Lease { vnet, mac, guest, hostname, origin, released } = lease.clone();
    let origin = match origin {
        Origin::Declared => WrittenOrigin::Declared,
        Origin::Found => WrittenOrigin::Found,
        Origin::Set => WrittenOrigin::Set,
    };
    let written = Written { vnet, mac, guest, hostname, origin, released };
    line(&written)
}

/// Reads a file below [`DIRECTORY`]. The path says whose lease it is, and must be the one
/// that [`path`] gives.
pub fn read(at: &RepoPath, bytes: &[u8]) -> Result<((ZoneId, IpAddr), Lease), NotALease> {
    let bad = |why: String| NotALease { path: at.to_string(), why };
    let parts: Vec<&str> = at.as_str().split('/').collect();
    let [DIRECTORY, zone, _, address] = parts.as_slice() else {
        return Err(bad("it lies elsewhere than `leases/ZONE/GROUP/ADDRESS`".to_owned()));
    };
    let zone: ZoneId = zone.parse().map_err(|error| bad(format!("{error}")))?;
    let address: IpAddr = address.parse().map_err(|_| bad("its name is no address".to_owned()))?;
    if path(&zone, address) != *at {
        return Err(bad(format!("it belongs at `{}`", path(&zone, address))));
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(bad(format!("it has more than {MAX_BYTES} bytes")));
    }
    let written: Written =
        serde_json::from_slice(bytes).map_err(|error| bad(format!("its text: {error}")))?;
    let Written { vnet, mac, guest, hostname, origin, released } = written;
    let origin = match origin {
        WrittenOrigin::Declared => Origin::Declared,
        WrittenOrigin::Found => Origin::Found,
        WrittenOrigin::Set => Origin::Set,
    };
    Ok(((zone, address), Lease { vnet, mac, guest, hostname, origin, released }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease() -> Lease {
        Lease {
            vnet: "v1".parse().unwrap(),
            mac: "BC:24:11:00:00:01".parse().unwrap(),
            guest: "web1".parse().unwrap(),
            hostname: Some("www".parse().unwrap()),
            origin: Origin::Found,
            released: Some("2026-11-27T01:00:00Z".parse().unwrap()),
        }
    }

    #[test]
    fn comes_back_as_it_was_written() {
        for (address, at) in [
            ("10.0.1.23", "leases/za/10.0.1/10.0.1.23"),
            ("2001:db8:0:1::17", "leases/za/2001:db8:0:1::/2001:db8:0:1::17"),
        ] {
            let (zone, address): (ZoneId, IpAddr) =
                ("za".parse().unwrap(), address.parse().unwrap());
            assert_eq!(path(&zone, address).as_str(), at);
            let read = read(&path(&zone, address), &write(&lease())).unwrap();
            assert_eq!(read, ((zone, address), lease()));
        }
        let plain = Lease { hostname: None, released: None, ..lease() };
        assert_eq!(
            String::from_utf8(write(&plain)).unwrap(),
            "{\"vnet\":\"v1\",\"mac\":\"BC:24:11:00:00:01\",\"guest\":\"web1\",\"origin\":\"found\"}\n"
        );
    }

    #[test]
    fn a_branch_is_of_one_cluster_and_one_format() {
        let (lab, other): (ClusterName, ClusterName) =
            ("lab".parse().unwrap(), "other".parse().unwrap());
        assert_eq!(write_mark(&lab), b"{\"weft\":1,\"cluster\":\"lab\"}\n");
        assert_eq!(read_mark(&write_mark(&lab), &lab), Ok(Line::default()));
        let after = "0123456789abcdef0123456789abcdef01234567";
        let anew = format!("{{\"weft\":1,\"cluster\":\"lab\",\"line\":2,\"after\":\"{after}\"}}");
        let line = Line { number: 2, after: Some(after.parse().unwrap()) };
        assert_eq!(read_mark(anew.as_bytes(), &lab), Ok(line));
        for (text, says) in [
            (write_mark(&other), "cluster `other`"),
            (b"{\"weft\":2,\"more\":[]}".to_vec(), "format 2"),
            (b"{\"weft\":1,\"cluster\":\"lab\",\"x\":1}".to_vec(), "unknown field"),
            (b"".to_vec(), "cannot be read"),
        ] {
            let said = read_mark(&text, &lab).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn nothing_else_is_a_lease() {
        let good = write(&lease());
        for at in [
            "leases/za/10.0.1.23",
            "leases/za/10.0.0/10.0.1.23",
            "leases/za/10.0.1/10.0.1.023",
            "leases/za/2001:db8:0:1::/2001:DB8:0:1::17",
            "leases/za/10.0.1/10.0.1.23/x",
            "leases/much-too-long/10.0.1/10.0.1.23",
            "other/za/10.0.1/10.0.1.23",
        ] {
            assert!(read(&at.parse().unwrap(), &good).is_err(), "{at}");
        }
        let at = "leases/za/10.0.1/10.0.1.23".parse().unwrap();
        for bad in ["", "{}", "{\"vnet\":\"v1\",\"vnet\":\"v2\"}", "null"] {
            assert!(read(&at, bad.as_bytes()).is_err(), "{bad}");
        }
        let more = String::from_utf8(good).unwrap().replace('{', "{\"more\":1,");
        assert!(read(&at, more.as_bytes()).is_err());
        assert!(read(&at, &[b' '; 5000]).is_err());
    }
}
