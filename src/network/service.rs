//! IPAM and DNS servers. A credential is an id here; the node's settings bind it
//! to a file.

use crate::value::{CredentialId, Fingerprint, ServiceUrl};

/// One IPAM, with what only its kind has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ipam {
    /// Proxmox's own database.
    Pve,
    /// A NetBox server.
    Netbox(IpamServer),
    /// A phpIPAM server, and the number of the section.
    Phpipam(IpamServer, u32),
}

/// A server that administers addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpamServer {
    /// Where it answers.
    pub url: ServiceUrl,
    /// The credential that is sent.
    pub token: CredentialId,
    /// SHA-256 of the server's certificate, instead of a CA.
    pub fingerprint: Option<Fingerprint>,
}

/// One PowerDNS server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// Where its API answers.
    pub url: ServiceUrl,
    /// The credential that is sent.
    pub key: CredentialId,
    /// Time to live of records, in seconds. 14400 where there is none.
    pub ttl: Option<u32>,
    /// Prefix length of IPv6 reverse zones.
    pub reverse_mask_v6: Option<u32>,
    /// SHA-256 of the server's certificate, instead of a CA.
    pub fingerprint: Option<Fingerprint>,
}
