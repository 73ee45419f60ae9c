//! Floor 0: the words of the domain.
//!
//! A value of one of these types can be made only from text or a number that is
//! legal for it, and `Deserialize` goes through the same door as `FromStr`, so
//! that nothing above has to check again. Knows nothing of the other floors.

mod endpoint;
mod name;
mod net;
mod number;
mod object;
mod secret;
mod span;

pub use endpoint::{BadEndpoint, Endpoint, HostName, HttpUrl};
pub(crate) use name::article;
pub use name::{
    Alias, BadName, BranchName, ClusterName, ControllerId, CredentialId, DhcpValue, DnsId, DnsName,
    FabricId, Fingerprint, GuestName, HookName, IfName, IpamId, NodeName, Principal, ServiceUrl,
    VnetId, Word, ZoneId,
};
pub use net::{AddressRange, BadNet, Cidr, IsisNet, MacAddress, RouteTarget};
pub use number::{Area, Asn, BadNumber, Mtu, Number, Port, ServiceTag, Tag};
pub use object::{BadDigest, BadObjectId, Digest, ObjectId};
pub use secret::Secret;
pub use span::{At, BadPath, Place, Range32, RepoPath, Span};
