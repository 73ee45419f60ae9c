//! Findings of what is known of nodes. They are warnings: nodes must not disagree on whether a commit is in order.
//! Only what would cut a node off is an error there.

macro_rules! nodes {
    ([$next:ident $($others:ident)*] $($before:tt)*) => {
        $next! { [$($others)*] $($before)*
            NodeBridgeMissing "node-bridge-missing" Warning
                "a node does not have the bridge of a zone"
                "The vnets of the zone are left out on this node."
                "Make the bridge in the node's own configuration, correct `bridge`, or take the node out of the zone's `nodes`."
                "
                # The bridges of node1 are `vmbr0` and `vmbr1`.
                nodes: {node1: {}}
                zones: {lan: {type: vlan, bridge: vmbr9}}
                ";
            NodeInterfaceMissing "node-interface-missing" Warning
                "a node does not have an interface that is named for it"
                "What is to run on the interface does not run."
                "Correct the name, or make the interface in the node's own configuration."
                "
                # node1 has `eth0`, `eth1`, `lo`, `vmbr0` and `vmbr1`.
                nodes: {node1: {}}
                controllers: {rt: {type: isis, node: node1, isis-domain: core, isis-ifaces: [eth7], isis-net: 49.0001.1921.6800.1002.00}}
                ";
            NodeInterfaceTaken "node-interface-taken" Warning
                "a node has an interface of its own by a name that is to be made"
                "The interface of the node would be changed, or the load of the files fails."
                "Give the vnet or zone another id, or rename the interface."
                "
                # node1 has an interface `eth1` of its own.
                nodes: {node1: {}}
                zones: {lan: {type: simple}}
                vnets: {eth1: {zone: lan}}
                ";
            NodeNextHopTaken "node-next-hop-taken" Error
                "a vnet gives a node the address of a router that the node needs"
                "What is the node's own it sends to nobody: it would speak to itself, and lose what is behind the router. The node refuses the commit; others do as it says."
                "Use another address of the subnet as `gateway`, or take the node out of the zone's `nodes`."
                "
                # The default gateway of node1 is 192.0.2.254.
                nodes: {node1: {}}
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan, subnets: {192.0.2.128/25: {gateway: 192.0.2.254}}}}
                ";
            NodeAddressTaken "node-address-taken" Error
                "a vnet gives a node an address that it has already"
                "On two interfaces it belongs to two networks, and answers go to one of them. The node refuses the commit; others do as it says."
                "Use another address of the subnet as `gateway`, or remove the address from the node's own configuration."
                "
                # node1 has 192.0.2.1.
                nodes: {node1: {}}
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan, subnets: {192.0.2.0/28: {gateway: 192.0.2.1}}}}
                ";
            NodeNetworkOverlap "node-network-overlap" Warning
                "a vnet connects a node to a network that it is connected to"
                "Packets of the node to addresses in both go one way only: to the longer prefix, and of equal ones to the first. Neighbours on the other side are not reached."
                "Choose a prefix of its own for the subnet. Nothing, if a part of the node's network is routed to guests and this is meant."
                "
                # `vmbr0` of node1 has 192.0.2.1/24.
                nodes: {node1: {}}
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan, subnets: {192.0.2.128/25: {gateway: 192.0.2.129}}}}
                ";
            NodeNotAPeer "node-not-a-peer" Warning
                "no address of a node is among the peers of a zone or controller that it takes part in"
                "The other nodes send nothing to it."
                "Add the address of the node to `peers`, or take the node out of the zone."
                "
                # node1 has 192.0.2.1.
                nodes: {node1: {}}
                zones: {tun: {type: vxlan, peers: [192.0.2.2, 192.0.2.3]}}
                ";
            MtuAboveUnderlay "mtu-above-underlay" Warning
                "the packets of a zone do not fit into the MTU below it"
                "VXLAN adds 50 bytes over IPv4 and 70 over IPv6, and a second VLAN tag 4. Packets of full size are lost, while small ones get through."
                "Lower `mtu`, or raise the MTU of the interface."
                "
                # `vmbr0` of node1 has 192.0.2.1 and an MTU of 1500 bytes.
                nodes: {node1: {}}
                zones: {tun: {type: vxlan, peers: [192.0.2.1, 192.0.2.2], mtu: 1500}}
                ";
            NodeFrrMissing "node-frr-missing" Warning
                "a node needs FRRouting and has none"
                "Controllers and fabrics are carried out by FRRouting; without it the node has interfaces and no routes."
                "Install `frr` and `frr-pythontools` on the node."
                "
                # There is no FRRouting on node1.
                nodes: {node1: {address: 192.0.2.1}}
                controllers: {ctl: {type: evpn, asn: 65000}}
                ";
            NodeFrrOld "node-frr-old" Warning
                "FRRouting of a node is older than 10"
                "The files are written for FRRouting 10; older versions refuse some lines, and forget others when they are reloaded."
                "Install FRRouting 10 or newer; the builds of Debian 13 and of Proxmox VE 9 are."
                "
                # node1 has FRRouting 8.4.4.
                nodes: {node1: {address: 192.0.2.1}}
                controllers: {ctl: {type: evpn, asn: 65000}}
                ";
            FrrLocalDropped "frr-local-dropped" Warning
                "lines of a node's frr.conf.local are dropped"
                "The file is merged into what is made: blocks of `router`, `vrf` and IS-IS interfaces, route maps, and lists with `seq`. Other lines outside of a block are left out, as Proxmox leaves them out without a word."
                "Put what the lines say into a block that is merged, such as `vrf NAME`, give lists a `seq`, or remove the lines."
                "
                # In frr.conf.local of node1 stands `ip route 203.0.113.0/24 192.0.2.9`.
                nodes: {node1: {}}
                ";
        }
    };
}
