//! `ipams:` and `dns:` as written. Neither holds a secret: `token` and `key` are
//! ids that the node's settings bind to a file.

use crate::value::{CredentialId, Fingerprint, ServiceUrl};

choices! {
    /// Where the truth about addresses lives.
    pub enum IpamType as "an IPAM type" {
        /// Proxmox's own database.
        "pve" Pve,
        /// A NetBox server.
        "netbox" Netbox,
        /// A phpIPAM server.
        "phpipam" Phpipam,
    }
}

declaration! {
    /// One IPAM.
    pub struct Ipam as "an IPAM" typed IpamType {
        /// Which kind of server.
        required "type" kind: IpamType,
        /// Where it answers.
        optional "url" url: ServiceUrl => [Netbox Phpipam] required [Netbox Phpipam],
        /// The id of the credential that is sent.
        optional "token" token: CredentialId => [Netbox Phpipam] required [Netbox Phpipam],
        /// The number of the section.
        optional "section" section: u32 => [Phpipam] required [Phpipam],
        /// SHA-256 of the server's certificate, instead of a CA.
        optional "fingerprint" fingerprint: Fingerprint => [Netbox Phpipam],
    }
}

choices! {
    /// Which kind of DNS server.
    pub enum DnsType as "a DNS type" {
        /// PowerDNS with its HTTP API.
        "powerdns" Powerdns,
    }
}

declaration! {
    /// One DNS server.
    pub struct Dns as "a DNS server" {
        /// Which kind of server.
        required "type" kind: DnsType,
        /// Where its API answers.
        required "url" url: ServiceUrl,
        /// The id of the credential that is sent.
        required "key" key: CredentialId,
        /// Time to live of records, in seconds. 14400 when absent.
        optional "ttl" ttl: u32,
        /// Prefix length of IPv6 reverse zones.
        optional "reversemaskv6" reversemaskv6: u32,
        /// SHA-256 of the server's certificate, instead of a CA.
        optional "fingerprint" fingerprint: Fingerprint,
    }
}
