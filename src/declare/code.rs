//! The kinds of findings: their stable names, and what there is to say of each.

use serde::Serialize;

/// What decides the severity of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Always an error.
    Error,
    /// What Proxmox accepts and renders: a warning, so that an imported
    /// repository is never stopped; an error with `strict: true` in `weft.yaml`.
    Tolerated,
    /// Always a warning.
    Warning,
}

macro_rules! codes {
    ($($variant:ident $id:literal $class:ident $title:literal $why:literal $fix:literal;)*) => {
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
        }
    };
}

codes! {
    // --- reading text
    TooLarge "too-large" Error
        "a file, or all of them together, is over a bound of size or count"
        "A node reads declarations with a bounded amount of memory and time, so that no commit can exhaust it."
        "Split the file; a whole cluster's declarations are far below the bounds.";
    YamlSyntax "yaml-syntax" Error
        "a file is not YAML"
        "The rest of the file cannot be read behind the place where it stops being YAML."
        "Correct the text at the place shown; the usual cause is indentation or a missing quote.";
    YamlFeature "yaml-feature" Error
        "a file uses anchors, aliases, tags, merge keys or several documents"
        "A reviewer must see in the lines of a change everything that the change does, and readers of YAML disagree on these."
        "Write the value out where it is needed.";
    NestedTooDeep "nested-too-deep" Error
        "values are nested too deep"
        "No declaration needs so many levels, and unbounded nesting exhausts a reader."
        "Remove the levels.";
    WrongType "wrong-type" Error
        "a value is of another type than its key takes"
        "A guess at what was meant could be a wrong network."
        "Write a value of the type that the message names.";
    NullValue "null-value" Error
        "a key has no value"
        "An empty value could mean `default`, `none` or `forgotten`."
        "Give the key a value, or remove the key to have its default.";
    BadValue "bad-value" Error
        "a value is of the right type and not legal"
        "Names and numbers end up in file names, interface names and configuration text; only what is legal there is let in."
        "Use a value within the rule that the message names.";
    UnknownKey "unknown-key" Error
        "a key is not known here"
        "A misspelt option that is silently ignored is an option that is silently off."
        "Correct the spelling, or move the key to the object it belongs to.";
    MissingKey "missing-key" Error
        "a required key is missing"
        "The object cannot be rendered without it."
        "Add the key.";
    DuplicateKey "duplicate-key" Error
        "a key stands twice in one map"
        "Readers of YAML disagree on which of the two counts."
        "Keep one of them.";
    DuplicateId "duplicate-id" Error
        "an object is declared twice"
        "Two files that declare one object would silently override each other."
        "Remove one declaration, or give it another id.";
    // --- weft.yaml and the trust files
    MissingFile "missing-file" Error
        "a file that every repository has is missing"
        "Without `weft.yaml` a node cannot know that the repository is meant for its cluster."
        "Add the file; the message names it and what belongs in it.";
    OtherFormat "other-format" Error
        "the repository has a format that this version does not read"
        "A later format may give the same keys another meaning."
        "Upgrade weft on this node.";
    OtherCluster "other-cluster" Error
        "the repository belongs to another cluster"
        "It keeps the signed commits of one cluster out of another."
        "Point the node at its own cluster's repository, or correct `cluster` in its settings.";
    BadSigner "bad-signer" Error
        "a line of `.weft/allowed_signers` cannot be read"
        "A line that is skipped could take trust away or leave it where it was meant to end, so a commit with such a file is refused."
        "Write `PRINCIPAL namespaces=\"git\",valid-before=\"YYYYMMDDZ\" TYPE KEY`: options are joined by a comma without a space, and may be left out (ALLOWED SIGNERS in ssh-keygen(1)).";
    SignerUnsupported "signer-unsupported" Error
        "a line of `.weft/allowed_signers` asks for what this version does not verify"
        "A key that nodes cannot verify would look trusted to people and be refused by nodes."
        "Use an ed25519 or an ECDSA P-256 or P-384 key: `ssh-keygen -t ed25519`.";
    SignerTimeZone "signer-time-zone" Error
        "a time in `.weft/allowed_signers` has no `Z`"
        "Without `Z` ssh reads a time in the zone of the machine, so that nodes would disagree on when a key ends."
        "Write the time in UTC with `Z` at the end.";
    SignerWithoutName "signer-without-name" Warning
        "a line of `.weft/allowed_signers` has no principal that a policy can name"
        "Roles name principals literally; a pattern such as `*@example.org` stands for nobody in particular."
        "Write the principal of this key without `*` and `?`.";
    RootMissing "root-missing" Error
        "no principal of the role `root` has a key"
        "Without one nobody could ever change the policy again."
        "Add a principal of `.weft/allowed_signers` to `roles.root.principals`.";
    PrincipalWithoutKey "principal-without-key" Warning
        "a role names a principal without a key"
        "The role has no effect for this principal, most often because of a spelling mistake."
        "Add a line for the principal to `.weft/allowed_signers`, or correct its spelling.";
    RootLimited "root-limited" Error
        "the role `root` has `paths` or a `scope`"
        "Root is who mends what nobody else may touch, the policy included; one that cannot would leave nobody to do it."
        "Remove the key, and give the limited right to another role.";
    ThresholdUnreachable "threshold-unreachable" Error
        "a role needs more people who sign than it has"
        "Nothing could ever be changed by the role. Principals that share a key are one person."
        "Lower `threshold`, or add principals with keys of their own.";
    BadVoid "bad-void" Error
        "a line of `.weft/void` cannot be read"
        "A line that is skipped could leave a commit standing that was meant to be void, so a commit with such a file is refused."
        "Write one commit id of 40 digits `0-9a-f` on a line; `#` begins a comment.";
    FileNotRead "file-not-read" Error
        "a file below `sdn/` looks like declarations and is not read"
        "Only names that end in `.yaml` are read; a file that is silently left out is a network that is silently taken away."
        "Rename the file so that it ends in `.yaml`, in lower case, or move it out of `sdn/`.";
    // --- rules between objects
    NodeUndeclared "node-undeclared" Tolerated
        "a list of nodes names a node that is not declared"
        "Proxmox accepts the name of a node that does not exist, and then renders the zone on fewer nodes than was meant."
        "Declare the node under `nodes`, or correct the name.";
    ZoneUnknown "zone-unknown" Tolerated
        "a vnet names a zone that is not declared"
        "Proxmox skips such a vnet with a line in a task log; guests on it have no network."
        "Declare the zone, or correct the name.";
    OptionNotForType "option-not-for-type" Error
        "an option belongs to objects of another type"
        "The option would have no effect here."
        "Remove the option, or change the object's type.";
    OptionRequired "option-required" Error
        "an object lacks an option that its type requires"
        "The object cannot be rendered without it."
        "Add the option.";
    PeersOrFabric "peers-or-fabric" Error
        "a VXLAN zone has both peers and a fabric"
        "Both say where the tunnels end, and only one of them can be right."
        "Keep one of the two; without either the nodes' addresses are used.";
    ExternalPeersUnused "external-peers-unused" Error
        "a VXLAN zone has both peers and external peers"
        "`external-peers` adds to the nodes' addresses; where `peers` lists every tunnel end, nothing is added."
        "Put the addresses into `peers`, or remove `peers` to use the nodes' addresses.";
    PeerRepeated "peer-repeated" Tolerated
        "a zone has one tunnel end twice"
        "The kernel would be told twice to send a copy there, and refuses the second."
        "Remove one of them.";
    PeersMissing "peers-missing" Error
        "a VXLAN zone has no tunnel ends"
        "Without peers the zone takes the `address` of each of its nodes, and a node has none."
        "Give each node an `address`, or the zone `peers`.";
    TagForbidden "tag-forbidden" Tolerated
        "a vnet of a simple zone has a tag"
        "A simple zone has no VLANs or tunnels; the tag would have no effect."
        "Remove the tag, or move the vnet to a zone that uses tags.";
    TagReused "tag-reused" Error
        "two vnets use one VXLAN network identifier"
        "Both vnets would be one layer 2 network."
        "Give one of them another tag.";
    SubnetReused "subnet-reused" Error
        "a zone has one subnet twice"
        "Proxmox identifies a subnet by zone and prefix, so one of the two would be lost."
        "Remove one of them, or correct its prefix.";
    SubnetOverlap "subnet-overlap" Tolerated
        "two subnets of a zone overlap"
        "Guests in both could get the same address, and routes between them are ambiguous."
        "Choose prefixes that do not overlap.";
    VlanAwareSubnets "vlanaware-subnets" Error
        "a VLAN-aware vnet has subnets"
        "A VLAN-aware bridge carries many networks; an address on the bridge itself belongs to none of them."
        "Remove `vlanaware`, or the subnets.";
    GatewayOutside "gateway-outside" Tolerated
        "a gateway lies outside its subnet"
        "Guests could not reach it. Proxmox's editor refuses it, but what is in its files is rendered."
        "Use an address of the subnet. A subnet of a single IPv4 address (/32) may have any gateway.";
    SnatWithoutGateway "snat-without-gateway" Tolerated
        "source NAT is on for a subnet without a gateway"
        "Guests have no router on this node, so there is nothing to translate; for an IPv6 subnet Proxmox then calls the wrong program (iptables)."
        "Give the subnet a gateway, or remove `snat`.";
    SubnetNotRendered "subnet-not-rendered" Warning
        "a subnet in a layer 2 zone puts no address on the bridge"
        "VXLAN zones carry frames only; gateway and SNAT of a subnet have no effect on the node."
        "Keep it as documentation and for IPAM, or use an EVPN or simple zone.";
    DhcpRangeOutside "dhcp-range-outside" Error
        "a DHCP range lies outside its subnet"
        "Guests would get an address that they cannot use."
        "Choose the range within the subnet.";
    DhcpRangeReversed "dhcp-range-reversed" Error
        "a DHCP range ends before it begins, or its ends are of two families"
        "There is no address in it."
        "Write the lower address as `start-address`.";
    DhcpRangeOverlap "dhcp-range-overlap" Tolerated
        "two DHCP ranges of a subnet overlap"
        "One address would belong to two pools. Older versions of Proxmox accept it."
        "Choose ranges that share no address.";
    MtuOutOfBounds "mtu-out-of-bounds" Tolerated
        "an MTU is outside 1280 to 65520"
        "Below 1280 bytes there is no IPv6, above 65520 the kernel refuses the bridge; Proxmox checks neither."
        "Use an MTU that the underlay can carry.";
    PortOutOfBounds "port-out-of-bounds" Tolerated
        "a UDP port is 65536"
        "Proxmox accepts it, and the kernel cannot."
        "Use a port from 1 to 65535.";
    ReferenceUnknown "reference-unknown" Error
        "an object names a controller, fabric or vnet that is not declared"
        "The object cannot do what it says."
        "Declare the object that is named, or correct the name.";
    ServiceUnknown "service-unknown" Tolerated
        "a zone names an IPAM or DNS server that is not declared"
        "Proxmox lets a server be removed while zones use it; addresses and names are then registered nowhere."
        "Declare the server under `ipams` or `dns`, or correct the name. The IPAMs `pve` and `git` are built in.";
    BuiltInId "built-in-id" Error
        "an IPAM has the id of a built-in one"
        "`pve` and `git` mean the same in every repository."
        "Give the IPAM another id.";
    NameReserved "name-reserved" Error
        "a vnet has a name that the kernel uses itself"
        "A vnet's id is the name of its bridge; a bridge of this name would take over the node's loopback or every interface's settings."
        "Give the vnet another id.";
    NameTaken "name-taken" Tolerated
        "a vnet is named like an interface that nodes have"
        "A vnet's id is the name of its bridge; where the node has an interface of this name, the vnet would change it."
        "Give the vnet an id that no bridge, network card or guest port has.";
    NodeAddressReused "node-address-reused" Error
        "two nodes have one address"
        "Tunnels to one of the two would end at the other."
        "Correct one of the addresses.";
    DnsZoneWithoutDns "dnszone-without-dns" Error
        "a zone has `dnszone` without `dns`"
        "There is no server to register names at."
        "Add `dns`, or remove `dnszone`.";
    GuestAddressOutside "guest-address-outside" Error
        "a guest's fixed address lies in none of its vnet's subnets"
        "The guest could not use it."
        "Choose an address of one of the vnet's subnets.";
    GuestAddressReused "guest-address-reused" Error
        "an address of a vnet is given twice"
        "Both holders would answer for it, and reach of either is by chance."
        "Give one of them another address.";
    GuestMacReused "guest-mac-reused" Error
        "two interfaces on one vnet have one hardware address"
        "The bridge would send frames for both to the one that spoke last."
        "Correct one of the hardware addresses.";
    ThisNodeUndeclared "this-node-undeclared" Error
        "the repository does not declare the node that reads it"
        "A node that was renamed, or has the wrong repository, must not guess what it should be."
        "Declare the node under `nodes`, or correct `node` in its settings.";
    NothingDeclared "nothing-declared" Warning
        "the repository declares nothing"
        "Most often the files are in another directory than the node's `path` says."
        "Put declarations under `sdn/`.";
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}
