//! The kinds of findings: their stable names, and what there is to say of each.
//!
//! The entries stand by subject in files of their own. Each is a macro that hands its
//! entries, behind those before it, to the next one; the last makes [`Code`] of all.

#[macro_use]
mod evpn;
#[macro_use]
mod nodes;
#[macro_use]
mod objects;
#[macro_use]
mod reading;
#[macro_use]
mod repository;
#[macro_use]
mod routing;
#[macro_use]
mod subnets;
#[macro_use]
mod zones;

use serde::Serialize;

/// What decides the severity of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Always an error: Proxmox refuses it as well, it cannot be rendered, or no node could work with it.
    Error,
    /// What Proxmox accepts and renders: a warning, so that an imported
    /// repository is never stopped; an error with `strict: true` in `weft.yaml`.
    Tolerated,
    /// Always a warning.
    Warning,
    /// Always a note: nothing is wrong, and somebody may want to know.
    Advice,
}

/// The smallest file that raises a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// Its path in the repository.
    pub file: &'static str,
    /// Its text, each line indented as it stands in this crate.
    text: &'static str,
}

impl Example {
    /// Where an example is that names no file.
    const FILE: &'static str = "sdn/network.yaml";

    const fn new(file: Option<&'static str>, text: &'static str) -> Self {
        let file = match file {
            Some(file) => file,
            None => Self::FILE,
        };
        Self { file, text }
    }

    /// Its text.
    pub fn text(self) -> String {
        let lines = || self.text.lines().filter(|line| !line.trim().is_empty());
        let indent = |line: &str| line.len() - line.trim_start().len();
        let common = lines().map(indent).min().unwrap_or_default();
        lines().flat_map(|line| [&line[common..], "\n"]).collect()
    }
}

macro_rules! codes {
    ([] $($variant:ident $id:literal $class:ident $title:literal $why:literal $fix:literal $(in $file:literal)? $example:literal;)*) => {
        /// The stable name of a kind of finding. Never reused for another kind.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name as it is printed, such as `duplicate-id`.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// What decides its severity.
            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)* }
            }

            /// What it says, in one line.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// Why there is such a rule.
            pub const fn why(self) -> &'static str {
                match self { $(Self::$variant => $why,)* }
            }

            /// What to do about it.
            pub const fn fix(self) -> &'static str {
                match self { $(Self::$variant => $fix,)* }
            }

            /// What raises it.
            pub const fn example(self) -> Example {
                match self { $(Self::$variant => codes!(@example $($file)? ; $example),)* }
            }
        }
    };
    (@example ; $example:literal) => { Example::new(None, $example) };
    (@example $file:literal ; $example:literal) => { Example::new(Some($file), $example) };
}

impl Code {
    /// Whether it says that something is not there: what was written and could not be read
    /// looks the same.
    pub const fn is_of_absence(self) -> bool {
        matches!(
            self,
            Self::NodeUndeclared
                | Self::ReferenceUnknown
                | Self::FabricUnknown
                | Self::ServiceUnknown
                | Self::ZoneUnknown
                | Self::OptionRequired
                | Self::DnsZoneWithoutDns
                | Self::DnsWithoutDnsZone
                | Self::DnsPrefixWithoutDnsZone
                | Self::GuestAddressOutside
                | Self::AnycastMacMissing
                | Self::PrimaryNotExitNode
                | Self::ExitNodeOutsideZone
                | Self::ExitNodesAsymmetric
                | Self::SnatWithoutExitNode
                | Self::ReturnRouteMissing
                | Self::NodeNotInFabric
                | Self::FabricPrefixMissing
                | Self::FabricAddressMissing
                | Self::FabricAddressWithoutPrefix
                | Self::FabricWithoutIpv4
                | Self::SnatWithoutGateway
                | Self::DhcpRangeUnused
                | Self::DhcpWithoutIpam
                | Self::DhcpWithoutGateway
                | Self::PeersMissing
                | Self::TagMissing
                | Self::NothingDeclared
        )
    }
}

reading! { [repository objects zones evpn subnets routing nodes codes] }

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}
