//! `weft.yaml`: what the repository is and for whom.

use crate::value::ClusterName;

/// The format of repositories that this version reads.
pub const FORMAT: u32 = 1;

declaration! {
    /// The file that makes a directory a configuration repository.
    pub struct Cluster as "weft.yaml" {
        /// The format of the repository.
        required "weft" format: u32,
        /// Whose repository it is. Must equal the node's setting.
        required "cluster" cluster: ClusterName,
        /// Make errors of what Proxmox tolerates and is most likely wrong.
        optional "strict" strict: bool,
    }
}
