//! Findings of controllers and fabrics.

macro_rules! routing {
    ([$next:ident $($others:ident)*] $($before:tt)*) => {
        $next! { [$($others)*] $($before)*
            EvpnControllerRepeated "evpn-controller-repeated" Error
                "there is more than one controller of type evpn"
                "It is the BGP EVPN of all nodes. Proxmox refuses a second one as well."
                "Remove one of them; zones may share a controller."
                "
                nodes: {node1: {address: 192.0.2.1}}
                controllers: {ctl: {type: evpn, asn: 65000}, ctl2: {type: evpn, asn: 65001}}
                ";
            ControllersOnOneNode "controllers-on-one-node" Tolerated
                "two controllers of one type run on one node"
                "A node has one BGP router and one IS-IS process; what two controllers say of it is mixed. Proxmox means to refuse it, and does not."
                "Put what both say into one controller."
                "
                nodes: {node1: {}}
                controllers:
                  up1: {type: bgp, node: node1, asn: 65000, peers: [192.0.2.8]}
                  up2: {type: bgp, node: node1, asn: 65000, peers: [192.0.2.9]}
                ";
            AsnZero "asn-zero" Tolerated
                "a controller has AS number 0"
                "The number is reserved; Proxmox accepts it and then writes nothing for the controller."
                "Use a number of your own: 64512 to 65534 and 4200000000 to 4294967294 are for private use."
                "
                nodes: {node1: {address: 192.0.2.1}}
                controllers: {ctl: {type: evpn, asn: 0}}
                ";
            EbgpMultihopOutOfBounds "ebgp-multihop-out-of-bounds" Tolerated
                "`ebgp-multihop` is over 255"
                "It is the time to live of a packet. Proxmox checks no bound, and FRR refuses the line."
                "Use a number from 1 to 255; 1 is a neighbour without a router between."
                "
                nodes: {node1: {}}
                controllers: {up: {type: bgp, node: node1, asn: 65000, peers: [192.0.2.9], ebgp: true, ebgp-multihop: 1000}}
                ";
            EbgpMultihopUnused "ebgp-multihop-unused" Tolerated
                "`ebgp-multihop` stands without `ebgp`"
                "It is rendered for peers with AS numbers of their own only."
                "Add `ebgp: true`, or remove `ebgp-multihop`."
                "
                nodes: {node1: {}}
                controllers: {up: {type: bgp, node: node1, asn: 65000, peers: [192.0.2.9], ebgp-multihop: 2}}
                ";
            IsisInterfaceName "isis-interface-name" Error
                "an interface of an IS-IS controller has a name that Proxmox does not take"
                "There it is a letter and letters, digits and `_`, and `.` or `:` with a number behind them; `-` is none of these."
                "Use another name of the interface: `ip link` shows them as `altname`."
                "
                nodes: {node1: {}}
                controllers: {rt: {type: isis, node: node1, isis-domain: core, isis-ifaces: [eth-0], isis-net: 49.0001.1921.6800.1002.00}}
                ";
            OwnAddressFirst "own-address-first" Tolerated
                "the first peer of an EVPN controller is the IPv6 address of a node"
                "A node finds its own IPv6 address by the way to the first peer, and on the node that has it this way is the loopback. Proxmox then writes no configuration of FRR at all on that node."
                "Put an address first that no node has, such as that of a route reflector, use IPv4, or a fabric."
                "
                nodes: {node1: {address: '2001:db8::1'}, node2: {address: '2001:db8::2'}}
                controllers: {ctl: {type: evpn, asn: 65000, peers: ['2001:db8::1', '2001:db8::2']}}
                ";
            NodeNotInFabric "node-not-in-fabric" Tolerated
                "a node that needs a fabric is not in it"
                "Its address in the fabric is where its tunnels and sessions end; without one the node gets no vnets of the zone, or no EVPN."
                "Add the node to the fabric with an `ip`."
                "
                nodes: {node1: {}, node2: {}}
                fabrics: {fab1: {type: openfabric, ip_prefix: 198.51.100.0/24, nodes: {node1: {ip: 198.51.100.1}}}}
                zones: {tun: {type: vxlan, fabric: fab1}}
                ";
            FabricWithoutIpv4 "fabric-without-ipv4" Tolerated
                "a zone or controller uses a fabric that has no IPv4 addresses"
                "VXLAN zones and EVPN controllers take the `ip` of the nodes of a fabric, never the `ip6`; Proxmox then leaves them out on every node."
                "Give the fabric an `ip_prefix`, and its nodes an `ip`."
                "
                nodes: {node1: {}}
                fabrics: {fab1: {type: openfabric, ip6_prefix: '2001:db8::/64', nodes: {node1: {ip6: '2001:db8::1'}}}}
                zones: {tun: {type: vxlan, fabric: fab1}}
                ";
            FabricIdShort "fabric-id-short" Tolerated
                "the id of a fabric has one character"
                "The editor of Proxmox takes two to eight; such a fabric can be rendered, and not be edited there."
                "Use an id of two to eight characters."
                "fabrics: {f: {type: ospf, ip_prefix: 198.51.100.0/24, area: 0}}";
            FabricPrefixMissing "fabric-prefix-missing" Error
                "a fabric has neither `ip_prefix` nor `ip6_prefix`"
                "Its nodes could have no address. Proxmox refuses it as well."
                "Add `ip_prefix: PREFIX`."
                "fabrics: {fab1: {type: openfabric}}";
            FabricAddressMissing "fabric-address-missing" Error
                "a node of a fabric lacks an address of a family that the fabric has a prefix of"
                "Other nodes would have routes that this one has not. Proxmox refuses it as well."
                "Give the node an address of the prefix."
                "
                nodes: {node1: {}}
                fabrics: {fab1: {type: openfabric, ip_prefix: 198.51.100.0/24, nodes: {node1: {}}}}
                ";
            FabricAddressWithoutPrefix "fabric-address-without-prefix" Error
                "a node of a fabric has an address of a family that the fabric has no prefix of"
                "Nobody would take the route to it. Proxmox refuses it as well."
                "Give the fabric the prefix, or remove the address."
                "
                nodes: {node1: {}}
                fabrics:
                  fab1:
                    type: openfabric
                    ip_prefix: 198.51.100.0/24
                    nodes: {node1: {ip: 198.51.100.1, ip6: '2001:db8::1'}}
                ";
            FabricAddressOutside "fabric-address-outside" Error
                "the address of a node lies outside the prefix of its fabric"
                "Nodes take routes within the prefix only. Proxmox refuses it as well."
                "Choose an address of the prefix."
                "
                nodes: {node1: {}}
                fabrics: {fab1: {type: openfabric, ip_prefix: 198.51.100.0/24, nodes: {node1: {ip: 192.0.2.1}}}}
                ";
            FabricAddressReused "fabric-address-reused" Error
                "two nodes of a fabric have one address"
                "What is sent to one of them reaches the other. Proxmox refuses it as well."
                "Give one of them another address."
                "
                nodes: {node1: {}, node2: {}}
                fabrics:
                  fab1:
                    type: openfabric
                    ip_prefix: 198.51.100.0/24
                    nodes: {node1: {ip: 198.51.100.1}, node2: {ip: 198.51.100.1}}
                ";
            FabricOverlap "fabric-overlap" Error
                "the prefixes of two fabrics overlap"
                "A node that is in both would not know by which of them an address is reached. Proxmox refuses it as well."
                "Choose prefixes that do not overlap."
                "
                fabrics:
                  fab1: {type: openfabric, ip_prefix: 198.51.100.0/24}
                  fab2: {type: openfabric, ip_prefix: 198.51.100.128/25}
                ";
            FabricInterfaceShared "fabric-interface-shared" Error
                "an interface of a node is in two fabrics"
                "Both would set the same interface up. Proxmox refuses it as well."
                "Remove it from one of the fabrics."
                "
                nodes: {node1: {}}
                fabrics:
                  fab1: {type: openfabric, ip_prefix: 198.51.100.0/25, nodes: {node1: {ip: 198.51.100.1, interfaces: [{name: eth1}]}}}
                  fab2: {type: openfabric, ip_prefix: 198.51.100.128/25, nodes: {node1: {ip: 198.51.100.129, interfaces: [{name: eth1}]}}}
                ";
            FabricInterfaceRepeated "fabric-interface-repeated" Tolerated
                "an interface stands twice in a node of a fabric"
                "It is set up twice, and what is said last counts."
                "Remove one of the two."
                "
                nodes: {node1: {}}
                fabrics: {fab1: {type: openfabric, ip_prefix: 198.51.100.0/24, nodes: {node1: {ip: 198.51.100.1, interfaces: [{name: eth1}, {name: eth1}]}}}}
                ";
            AreaReused "area-reused" Error
                "two OSPF fabrics have one area"
                "`0` and `0.0.0.0` are the same one. Proxmox refuses it as well."
                "Give one of them another area."
                "
                fabrics:
                  fab1: {type: ospf, ip_prefix: 198.51.100.0/25, area: 0}
                  fab2: {type: ospf, ip_prefix: 198.51.100.128/25, area: 0.0.0.0}
                ";
            TimerOutOfBounds "timer-out-of-bounds" Error
                "an interval or multiplier of a fabric is out of bounds"
                "FRR takes intervals of 1 to 600 seconds and multipliers of 2 to 100. Proxmox refuses others as well."
                "Use a number within the bounds."
                "
                fabrics: {fab1: {type: openfabric, ip_prefix: 198.51.100.0/24, hello_interval: 601}}
                ";
            FamilyWrong "family-wrong" Error
                "an address of a fabric is of the other family"
                "`ip` and `ip_prefix` are IPv4, `ip6` and `ip6_prefix` are IPv6."
                "Move it to the key of its family."
                "fabrics: {fab1: {type: openfabric, ip_prefix: '2001:db8::/64'}}";
        }
    };
}
