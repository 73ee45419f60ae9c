//! Findings of zones, of their tunnels and VLANs, and of vnets.

macro_rules! zones {
    ([$next:ident $($others:ident)*] $($before:tt)*) => {
        $next! { [$($others)*] $($before)*
            ZoneUnknown "zone-unknown" Tolerated
                "a vnet names a zone that is not declared"
                "Proxmox skips such a vnet with a line in a task log; guests on it have no network."
                "Declare the zone, or correct the name."
                "
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lam}}
                ";
            ZoneOnSomeNodes "zone-on-some-nodes" Advice
                "a zone with vnets is not on every node"
                "A guest on one of its vnets can start on, and move to, the nodes of the zone only; elsewhere its bridge does not exist."
                "Nothing, if guests of the zone stay on its nodes; otherwise add the nodes, or remove `nodes`."
                "
                nodes: {node1: {}, node2: {}}
                zones: {lan: {type: simple, nodes: [node1]}}
                vnets: {web: {zone: lan}}
                ";
            MtuOutOfBounds "mtu-out-of-bounds" Tolerated
                "an MTU is outside 1280 to 65520"
                "Below 1280 bytes there is no IPv6, above 65520 the kernel refuses the bridge; Proxmox checks neither."
                "Use an MTU that the underlay can carry."
                "zones: {lan: {type: simple, mtu: 100000}}";
            PortOutOfBounds "port-out-of-bounds" Tolerated
                "a UDP port is 65536"
                "Proxmox accepts it, and the kernel cannot."
                "Use a port from 1 to 65535."
                "zones: {tun: {type: vxlan, peers: [192.0.2.1, 192.0.2.2], vxlan-port: 65536}}";
            PeersOrFabric "peers-or-fabric" Error
                "a zone or controller has both peers and a fabric"
                "Both say where tunnels or sessions end, and only one of them can be right. Proxmox refuses it."
                "Keep one of the two; without either the nodes' addresses are used."
                "
                nodes: {node1: {}}
                fabrics: {fab1: {type: openfabric, ip_prefix: 198.51.100.0/24, nodes: {node1: {ip: 198.51.100.1}}}}
                zones: {tun: {type: vxlan, peers: [192.0.2.1], fabric: fab1}}
                ";
            ExternalPeersUnused "external-peers-unused" Error
                "external peers stand beside peers or a fabric"
                "`external-peers` adds to the nodes' addresses; where `peers` or a fabric says what all ends are, nothing is added."
                "Put the addresses into `peers`, or remove `peers` and `fabric` to use the nodes' addresses."
                "
                zones:
                  tun: {type: vxlan, peers: [192.0.2.1, 192.0.2.2], external-peers: [192.0.2.9]}
                ";
            PeerRepeated "peer-repeated" Tolerated
                "one address is twice among the peers"
                "The kernel would be told twice to send a copy there, and refuses the second; FRR would be given one neighbour twice."
                "Remove one of them."
                "zones: {tun: {type: vxlan, peers: [192.0.2.1, 192.0.2.2, 192.0.2.1]}}";
            PeersMissing "peers-missing" Error
                "a VXLAN zone or EVPN controller has no peers"
                "Without `peers` or `fabric` the `address` of each node is used, and a node has none."
                "Give each node an `address`, or write `peers`."
                "
                nodes: {node1: {address: 192.0.2.1}, node2: {}}
                zones: {tun: {type: vxlan}}
                ";
            PeerFamiliesMixed "peer-families-mixed" Tolerated
                "peers are IPv4 and IPv6 addresses"
                "A tunnel or session has one source address on each node, and that is of one family: the peers of the other are never reached."
                "Use addresses of one family."
                "zones: {tun: {type: vxlan, peers: [192.0.2.1, '2001:db8::2']}}";
            TagForbidden "tag-forbidden" Tolerated
                "a vnet of a simple zone has a tag"
                "A simple zone has no VLANs or tunnels; the tag would have no effect."
                "Remove the tag, or move the vnet to a zone that uses tags."
                "
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan, tag: 5}}
                ";
            TagMissing "tag-missing" Tolerated
                "a vnet has no tag, and its zone's type needs one"
                "Nodes cannot tell its traffic from that of other vnets. Proxmox refuses to create such a vnet, and leaves it out where one is in its files."
                "Add `tag: NUMBER`, a number that no other vnet has."
                "
                zones: {lan: {type: vlan, bridge: vmbr0}}
                vnets: {web: {zone: lan}}
                ";
            TagReused "tag-reused" Error
                "two vnets have one tag"
                "Both vnets would be one layer 2 network. VLANs are told apart within a zone; VXLAN and EVPN zones share the network identifiers of a node."
                "Give one of them another tag."
                "
                zones: {lan: {type: vlan, bridge: vmbr0}}
                vnets: {web: {zone: lan, tag: 5}, mail: {zone: lan, tag: 5}}
                ";
            TaglessVnetRepeated "tagless-vnet-repeated" Error
                "two vnets of a QinQ zone have no tag"
                "The vnet without a tag gets the frames of the service VLAN that have no inner tag, and there is one such vnet only."
                "Give all but one of them a `tag`."
                "
                zones: {qq: {type: qinq, bridge: vmbr0, tag: 7}}
                vnets: {web: {zone: qq}, mail: {zone: qq}}
                ";
            VlanTagTooLarge "vlan-tag-too-large" Error
                "the tag of a vnet in a VLAN or QinQ zone is over 4096"
                "A VLAN has 12 bits. Proxmox refuses it as well."
                "Use a tag from 1 to 4094."
                "
                zones: {lan: {type: vlan, bridge: vmbr0}}
                vnets: {web: {zone: lan, tag: 5000}}
                ";
            VlanReserved "vlan-reserved" Tolerated
                "the tag of a vnet in a VLAN or QinQ zone is 4095 or 4096"
                "4095 is reserved and 4096 does not exist; Proxmox accepts both, and the kernel refuses the interface."
                "Use a tag from 1 to 4094."
                "
                zones: {lan: {type: vlan, bridge: vmbr0}}
                vnets: {web: {zone: lan, tag: 4096}}
                ";
            VlanReused "vlan-reused" Tolerated
                "two zones use one VLAN of one bridge"
                "Both are one layer 2 network, and on a bridge that is not VLAN-aware both make one interface. Proxmox compares tags within a zone only."
                "Give one of them another tag, or put the zones on different bridges."
                "
                zones: {lan: {type: vlan, bridge: vmbr0}, dmz: {type: vlan, bridge: vmbr0}}
                vnets: {web: {zone: lan, tag: 5}, mail: {zone: dmz, tag: 5}}
                ";
            ServiceVlanOutOfBounds "service-vlan-out-of-bounds" Tolerated
                "the service VLAN of a QinQ zone is outside 1 to 4094"
                "Proxmox checks no bound; the kernel refuses the interface."
                "Use a tag from 1 to 4094."
                "zones: {qq: {type: qinq, bridge: vmbr0, tag: 5000}}";
            ServiceVlanReused "service-vlan-reused" Tolerated
                "two QinQ zones have one service VLAN on one bridge"
                "Vnets of both with equal tags, and those without, are one layer 2 network."
                "Give one of the zones another `tag`."
                "
                zones:
                  red: {type: qinq, bridge: vmbr0, tag: 7}
                  blue: {type: qinq, bridge: vmbr0, tag: 7}
                ";
            BridgeNameTooLong "bridge-name-too-long" Tolerated
                "a name that is made of a bridge and a tag has more than 15 characters"
                "Nodes make an interface of the name of the bridge, one character and the tag, and the kernel takes 15 characters."
                "Use a bridge whose name has at most 10 characters, or smaller tags."
                "
                zones: {lan: {type: vlan, bridge: officebridge}}
                vnets: {web: {zone: lan, tag: 100}}
                ";
            VlanAwareSubnets "vlanaware-subnets" Error
                "a VLAN-aware vnet has subnets"
                "A VLAN-aware bridge carries many networks; an address on the bridge itself belongs to none of them."
                "Remove `vlanaware`, or the subnets."
                "
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan, vlanaware: true, subnets: {10.0.0.0/24: {}}}}
                ";
            VlanAwareEvpn "vlanaware-evpn" Error
                "a VLAN-aware vnet is in an EVPN zone"
                "Such a vnet is routed, and carries one network. Proxmox refuses it as well."
                "Remove `vlanaware`, and make a vnet for each network."
                "
                nodes: {node1: {address: 192.0.2.1}}
                controllers: {ctl: {type: evpn, asn: 65000}}
                zones: {red: {type: evpn, controller: ctl, vrf-vxlan: 10000, mac: 'BC:24:11:00:00:01'}}
                vnets: {web: {zone: red, tag: 11000, vlanaware: true}}
                ";
        }
    };
}
