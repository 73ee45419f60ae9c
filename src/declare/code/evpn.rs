//! Findings of EVPN zones.

macro_rules! evpn {
    ([$next:ident $($others:ident)*] $($before:tt)*) => {
        $next! { [$($others)*] $($before)*
            ControllerNotEvpn "controller-not-evpn" Error
                "the controller of a zone is not one of type evpn"
                "A zone is spanned by BGP EVPN; `bgp` and `isis` controllers connect nodes to routers outside."
                "Name the controller of type evpn."
                "
                nodes: {node1: {address: 192.0.2.1}}
                controllers: {up: {type: bgp, node: node1, asn: 65000, peers: [192.0.2.9]}}
                zones: {red: {type: evpn, controller: up, vrf-vxlan: 10000}}
                ";
            VrfVxlanReused "vrf-vxlan-reused" Error
                "two zones have one `vrf-vxlan`"
                "It is the network identifier of the VRF, and zones with the same would be one VRF."
                "Give one of the zones another number."
                "
                nodes: {node1: {address: 192.0.2.1}, node2: {address: 192.0.2.2}}
                controllers: {ctl: {type: evpn, asn: 65000}}
                zones:
                  red: {type: evpn, controller: ctl, vrf-vxlan: 10000}
                  blue: {type: evpn, controller: ctl, vrf-vxlan: 10000}
                ";
            VrfVxlanIsTag "vrf-vxlan-is-tag" Tolerated
                "the `vrf-vxlan` of a zone is the tag of a vnet"
                "Both are network identifiers of VXLAN, and a node cannot have one twice. Proxmox does not compare them."
                "Give the zone or the vnet another number."
                "
                nodes: {node1: {address: 192.0.2.1}, node2: {address: 192.0.2.2}}
                controllers: {ctl: {type: evpn, asn: 65000}}
                zones: {red: {type: evpn, controller: ctl, vrf-vxlan: 10000}}
                vnets: {web: {zone: red, tag: 10000}}
                ";
            AnycastMacMissing "anycast-mac-missing" Tolerated
                "an EVPN zone with gateways has no `mac`"
                "The gateway of a vnet is on every node and must have the same hardware address there, or a guest that moves loses it. Proxmox makes one up when a zone is created and stores it; a repository says it."
                "Add `mac: 'BC:24:11:…'`, any unicast address that nothing else has."
                "
                nodes: {node1: {address: 192.0.2.1}, node2: {address: 192.0.2.2}}
                controllers: {ctl: {type: evpn, asn: 65000}}
                zones: {red: {type: evpn, controller: ctl, vrf-vxlan: 10000}}
                vnets: {web: {zone: red, tag: 11000, subnets: {10.0.0.0/24: {gateway: 10.0.0.1}}}}
                ";
            PrimaryNotExitNode "primary-not-exit-node" Tolerated
                "`exitnodes-primary` is no exit node"
                "Every exit node then gives way to a node that does not route to the outside. Proxmox does not compare the two."
                "Name one of the `exitnodes`, or add the node to them."
                "
                nodes: {node1: {address: 192.0.2.1}, node2: {address: 192.0.2.2}}
                controllers: {ctl: {type: evpn, asn: 65000}}
                zones:
                  red: {type: evpn, controller: ctl, vrf-vxlan: 10000, exitnodes: [node1], exitnodes-primary: node2}
                ";
            ExitNodeOutsideZone "exit-node-outside-zone" Tolerated
                "an exit node is not among the nodes of the zone"
                "FRR announces the way out there, and the interfaces of the zone are missing: what is sent to this node is lost."
                "Add the node to `nodes`, or remove it from `exitnodes`."
                "
                nodes: {node1: {address: 192.0.2.1}, node2: {address: 192.0.2.2}}
                controllers: {ctl: {type: evpn, asn: 65000}}
                zones:
                  red: {type: evpn, controller: ctl, vrf-vxlan: 10000, nodes: [node1], exitnodes: [node2]}
                ";
            SnatWithoutExitNode "snat-without-exit-node" Tolerated
                "source NAT is on in an EVPN zone without exit nodes"
                "Addresses are translated on exit nodes only, so guests do not get out."
                "Add `exitnodes`, or remove `snat`."
                "
                nodes: {node1: {address: 192.0.2.1}, node2: {address: 192.0.2.2}}
                controllers: {ctl: {type: evpn, asn: 65000}}
                zones: {red: {type: evpn, controller: ctl, vrf-vxlan: 10000, mac: 'BC:24:11:00:00:01'}}
                vnets: {web: {zone: red, tag: 11000, subnets: {10.0.0.0/24: {gateway: 10.0.0.1, snat: true}}}}
                ";
            ExitNodesAsymmetric "exit-nodes-asymmetric" Tolerated
                "source NAT is on with several exit nodes and no primary one"
                "Packets of one connection can leave by one exit node and be answered to another, which knows nothing of the translation."
                "Add `exitnodes-primary: NODE`."
                "
                nodes: {node1: {address: 192.0.2.1}, node2: {address: 192.0.2.2}}
                controllers: {ctl: {type: evpn, asn: 65000}}
                zones: {red: {type: evpn, controller: ctl, vrf-vxlan: 10000, mac: 'BC:24:11:00:00:01', exitnodes: [node1, node2]}}
                vnets: {web: {zone: red, tag: 11000, subnets: {10.0.0.0/24: {gateway: 10.0.0.1, snat: true}}}}
                ";
            ReturnRouteMissing "return-route-missing" Advice
                "routers outside may not know the way back to a subnet"
                "Guests send through an exit node with their own address, and answers come back only if routers outside have a route to the subnet by the exit nodes."
                "Nothing, if such routes are set by hand; otherwise a `bgp` controller on the exit node announces them, or `snat: true` on the subnet makes them needless."
                "
                nodes: {node1: {address: 192.0.2.1}, node2: {address: 192.0.2.2}}
                controllers: {ctl: {type: evpn, asn: 65000}}
                zones: {red: {type: evpn, controller: ctl, vrf-vxlan: 10000, mac: 'BC:24:11:00:00:01', exitnodes: [node1]}}
                vnets: {web: {zone: red, tag: 11000, subnets: {10.0.0.0/24: {gateway: 10.0.0.1}}}}
                ";
        }
    };
}
