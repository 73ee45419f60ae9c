//! Findings of subnets and of DHCP.

macro_rules! subnets {
    ([$next:ident $($others:ident)*] $($before:tt)*) => {
        $next! { [$($others)*] $($before)*
            SubnetReused "subnet-reused" Error
                "a zone has one subnet twice"
                "Proxmox identifies a subnet by zone and prefix, so one of the two would be lost."
                "Remove one of them, or correct its prefix."
                "
                zones: {lan: {type: simple}}
                vnets:
                  web: {zone: lan, subnets: {10.0.0.0/24: {}}}
                  mail: {zone: lan, subnets: {10.0.0.0/24: {}}}
                ";
            SubnetOverlap "subnet-overlap" Tolerated
                "two subnets of a zone overlap"
                "Guests in both could get the same address, and routes between them are ambiguous."
                "Choose prefixes that do not overlap."
                "
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan, subnets: {10.0.0.0/16: {}, 10.0.5.0/24: {}}}}
                ";
            SubnetOverlapZones "subnet-overlap-zones" Tolerated
                "subnets of two zones overlap, and a node routes both"
                "Simple zones of a node, and EVPN zones that leave by it, share its routes; EVPN zones that import routes of each other share theirs. One prefix leads to one place there. Proxmox compares no prefixes."
                "Choose prefixes that do not overlap, or put the zones on different nodes."
                "
                zones: {lan: {type: simple}, dmz: {type: simple}}
                nodes: {node1: {}}
                vnets:
                  web: {zone: lan, subnets: {10.0.0.0/16: {gateway: 10.0.0.1}}}
                  mail: {zone: dmz, subnets: {10.0.5.0/24: {gateway: 10.0.5.1}}}
                ";
            SubnetImpossible "subnet-impossible" Error
                "a subnet or its gateway is of addresses that no network of guests can have"
                "Loopback, unspecified, multicast and reserved addresses mean something else on every machine, and each link has fe80::/10 already (RFC 6890, RFC 4291). A node that gets one on a bridge loses what it means."
                "Use private addresses (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fd00::/8) or those that were assigned to you."
                "
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan, subnets: {127.0.0.0/8: {gateway: 127.0.0.1}}}}
                ";
            SubnetLinkLocal "subnet-link-local" Warning
                "a subnet is of link-local addresses"
                "Machines choose addresses of 169.254.0.0/16 by themselves, and nobody routes them (RFC 3927)."
                "Use private addresses. Nothing, if it is meant, as for a service of metadata."
                "
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan, subnets: {169.254.0.0/24: {gateway: 169.254.0.1}}}}
                ";
            SubnetHostBits "subnet-host-bits" Tolerated
                "a subnet is not written as its network"
                "The bits behind the prefix length are kept in its id and in the files, where they mean nothing, and the pool of Proxmox begins behind them."
                "Write the network, as the help says; an import of a running cluster keeps the other spelling, because ids depend on it."
                "
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan, subnets: {10.0.0.5/24: {gateway: 10.0.0.1}}}}
                ";
            SubnetTooSmall "subnet-too-small" Tolerated
                "a subnet has no address left for a guest"
                "The gateway takes the only address that there is."
                "Use a longer range of addresses: /30 or shorter, /126 or shorter for IPv6."
                "
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan, subnets: {10.0.0.1/32: {gateway: 10.0.0.1}}}}
                ";
            GatewayOutside "gateway-outside" Tolerated
                "a gateway lies outside its subnet"
                "Guests could not reach it. Proxmox's editor refuses it, but what is in its files is rendered."
                "Use an address of the subnet. A subnet of a single IPv4 address (/32) may have any gateway."
                "
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan, subnets: {10.0.0.0/24: {gateway: 10.0.1.1}}}}
                ";
            GatewayNotAHost "gateway-not-a-host" Tolerated
                "a gateway is the network or broadcast address of its subnet"
                "Guests do not take such an address for a host; of IPv6 it is the anycast address of all routers. Proxmox accepts both."
                "Use another address of the subnet, most often the first behind the network address."
                "
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan, subnets: {10.0.0.0/24: {gateway: 10.0.0.255}}}}
                ";
            SnatWithoutGateway "snat-without-gateway" Tolerated
                "source NAT is on for a subnet without a gateway"
                "Guests have no router on this node, so there is nothing to translate; for an IPv6 subnet Proxmox then calls the wrong program (iptables)."
                "Give the subnet a gateway, or remove `snat`."
                "
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan, subnets: {10.0.0.0/24: {snat: true}}}}
                ";
            SnatNotRendered "snat-not-rendered" Tolerated
                "source NAT is on for a subnet of a layer 2 zone"
                "VLAN, QinQ and VXLAN zones carry frames only: no node translates addresses there, and Proxmox says nothing."
                "Remove `snat`, or use a simple or EVPN zone."
                "
                zones: {lan: {type: vlan, bridge: vmbr0}}
                vnets: {web: {zone: lan, tag: 5, subnets: {10.0.0.0/24: {snat: true}}}}
                ";
            SubnetNotRendered "subnet-not-rendered" Advice
                "the gateway of a subnet in a layer 2 zone is on no node"
                "VLAN, QinQ and VXLAN zones carry frames only; the gateway is a router of your own, and is registered in the IPAM."
                "Nothing, if that router is there; otherwise use a simple or EVPN zone."
                "
                zones: {lan: {type: vlan, bridge: vmbr0}}
                vnets: {web: {zone: lan, tag: 5, subnets: {10.0.0.0/24: {gateway: 10.0.0.1}}}}
                ";
            DhcpRangeOutside "dhcp-range-outside" Error
                "a DHCP range lies outside its subnet"
                "Guests would get an address that they cannot use."
                "Choose the range within the subnet."
                "
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan, subnets: {10.0.0.0/24: {dhcp-range: [{start-address: 10.0.1.10, end-address: 10.0.1.20}]}}}}
                ";
            DhcpRangeReversed "dhcp-range-reversed" Error
                "a DHCP range ends before it begins, or its ends are of two families"
                "There is no address in it."
                "Write the lower address as `start-address`."
                "
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan, subnets: {10.0.0.0/24: {dhcp-range: [{start-address: 10.0.0.20, end-address: 10.0.0.10}]}}}}
                ";
            DhcpRangeOverlap "dhcp-range-overlap" Tolerated
                "two DHCP ranges of a subnet overlap"
                "One address would belong to two pools. Older versions of Proxmox accept it."
                "Choose ranges that share no address."
                "
                zones: {lan: {type: simple}}
                vnets:
                  web:
                    zone: lan
                    subnets:
                      10.0.0.0/24:
                        dhcp-range:
                          - {start-address: 10.0.0.10, end-address: 10.0.0.20}
                          - {start-address: 10.0.0.20, end-address: 10.0.0.30}
                ";
            DhcpPoolUnserved "dhcp-pool-unserved" Error
                "a pool for unknown guests is where nobody serves it"
                "Whoever has no address of its own gets one from a pool by the dnsmasq of its node. In a simple zone that node is alone with its guests; in other zones several nodes would give out the same addresses."
                "Add `dhcp: dnsmasq` to a simple zone, or remove `dhcp-pool` and declare the guests."
                "
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan, subnets: {10.0.0.0/24: {gateway: 10.0.0.1, dhcp-pool: [{start-address: 10.0.0.100, end-address: 10.0.0.199}]}}}}
                ";
            DhcpPoolOverlap "dhcp-pool-overlap" Error
                "a pool for unknown guests holds addresses that are somebody else's"
                "An address of a pool goes to whoever asks first: it must be in no `dhcp-range`, from which guests that are known get theirs, in no other pool, and not a guest's fixed address, the router's or the network's own."
                "Choose ranges that share no address."
                "
                zones: {lan: {type: simple, dhcp: dnsmasq, ipam: pve}}
                vnets:
                  web:
                    zone: lan
                    subnets:
                      10.0.0.0/24:
                        gateway: 10.0.0.1
                        dhcp-range: [{start-address: 10.0.0.10, end-address: 10.0.0.20}]
                        dhcp-pool: [{start-address: 10.0.0.20, end-address: 10.0.0.30}]
                ";
            DhcpServerUnserved "dhcp-server-unserved" Error
                "a node should answer guests where it does not have to, or cannot"
                "`dhcp-servers` gives a node an address on a vnet, so that its dnsmasq can answer there. In simple and EVPN zones it answers by the address of the gateway; without `dhcp: dnsmasq` there is none; and of IPv6 only a router can tell guests to ask."
                "Remove `dhcp-servers`, or add `dhcp: dnsmasq` to the VLAN, QinQ or VXLAN zone."
                "
                nodes: {node1: {}}
                zones: {lan: {type: simple, dhcp: dnsmasq, ipam: pve}}
                vnets: {web: {zone: lan, subnets: {10.0.0.0/24: {gateway: 10.0.0.1, dhcp-servers: {node1: 10.0.0.2}}}}}
                ";
            DhcpServerTaken "dhcp-server-taken" Error
                "the address by which a node answers guests is no free one of the subnet"
                "The node has this address on the vnet: two with one address reach nobody."
                "Choose an address within the subnet that is no router's, no guest's, in no `dhcp-range` and no other node's."
                "
                nodes: {node1: {}}
                zones: {lan: {type: vlan, bridge: vmbr0, dhcp: dnsmasq, ipam: git}}
                vnets: {web: {zone: lan, tag: 10, subnets: {10.0.0.0/24: {gateway: 10.0.0.1, dhcp-servers: {node1: 10.0.0.1}}}}}
                ";
            DhcpWithoutServer "dhcp-without-server" Warning
                "a VLAN, QinQ or VXLAN zone has `dhcp`, and no node answers the guests of a subnet"
                "The router of such a subnet is outside, so that no node has an address there by which its dnsmasq could answer."
                "Give nodes of the zone one: `dhcp-servers: {node1: 10.0.0.3, node2: 10.0.0.4}`. One node is enough; with two, one may be off."
                "
                zones: {lan: {type: vlan, bridge: vmbr0, dhcp: dnsmasq, ipam: git}}
                vnets: {web: {zone: lan, tag: 10, subnets: {10.0.0.0/24: {gateway: 10.0.0.1}}}}
                ";
            DhcpOptionFamily "dhcp-option-family" Error
                "an option of DHCP is of another address family than its subnet"
                "DHCPv6 has other options than DHCP; of those that weft knows it has `domain-search`."
                "Move it to an IPv4 subnet of the vnet."
                "
                zones: {lan: {type: simple, dhcp: dnsmasq, ipam: pve}}
                vnets: {web: {zone: lan, subnets: {'2001:db8::/64': {gateway: '2001:db8::1', dhcp-options: [{name: ntp-server, values: [10.0.0.5]}]}}}}
                ";
            DhcpOptionValue "dhcp-option-value" Error
                "an option of DHCP has a value of another kind"
                "dnsmasq refuses its whole configuration for a value that an option cannot have, or tells guests nonsense: time and log servers are IPv4 addresses, domains are names, and routes are a prefix and its router by turns."
                "Write what the option needs."
                "
                zones: {lan: {type: simple, dhcp: dnsmasq, ipam: pve}}
                vnets: {web: {zone: lan, subnets: {10.0.0.0/24: {gateway: 10.0.0.1, dhcp-options: [{name: ntp-server, values: ['2001:db8::5']}]}}}}
                ";
            DhcpOptionUnserved "dhcp-option-unserved" Advice
                "an interface has options of DHCP, and nobody tells it"
                "Options are told with an address, by the dnsmasq of the zone."
                "Add `dhcp: dnsmasq` and `ipam` to the zone and a subnet to the vnet, or remove `dhcp-options`."
                "
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan, subnets: {10.0.0.0/24: {gateway: 10.0.0.1}}}}
                guests: {box: {nics: [{vnet: web, mac: 'BC:24:11:00:00:01', dhcp-options: [{name: ntp-server, values: [10.0.0.5]}]}]}}
                ";
            DhcpRangeUnused "dhcp-range-unused" Advice
                "a subnet has DHCP ranges, and its zone no DHCP"
                "Addresses are given to guests where the zone has both `dhcp` and `ipam`; elsewhere a range is a reservation on paper."
                "Nothing, if it is meant as one; otherwise add `dhcp: dnsmasq` and `ipam` to the zone."
                "
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan, subnets: {10.0.0.0/24: {dhcp-range: [{start-address: 10.0.0.10, end-address: 10.0.0.20}]}}}}
                ";
            DhcpWithoutIpam "dhcp-without-ipam" Tolerated
                "a zone has `dhcp` and no `ipam`"
                "Guests are only given addresses that an IPAM has chosen for them: Proxmox accepts the zone, and then gives no guest of it an address. Leases that weft keeps serve it all the same."
                "Add `ipam: pve`, or the IPAM that is to choose."
                "zones: {lan: {type: simple, dhcp: dnsmasq}}";
            DhcpWithoutGateway "dhcp-without-gateway" Tolerated
                "a subnet of a zone with DHCP has no gateway"
                "Guests get no router. Of an IPv4 subnet Proxmox then writes a line that dnsmasq does not understand if there is a DNS server; an IPv6 subnet gets no DHCP at all."
                "Add `gateway: ADDRESS`."
                "
                zones: {lan: {type: simple, dhcp: dnsmasq, ipam: pve}}
                vnets: {web: {zone: lan, subnets: {10.0.0.0/24: {}}}}
                ";
            DhcpDnsServerFamily "dhcp-dns-server-family" Tolerated
                "the DNS server of a subnet is of another address family"
                "DHCP of one family cannot tell addresses of the other; Proxmox writes it all the same."
                "Use a DNS server of the subnet's family."
                "
                zones: {lan: {type: simple, dhcp: dnsmasq, ipam: pve}}
                vnets: {web: {zone: lan, subnets: {10.0.0.0/24: {gateway: 10.0.0.1, dhcp-dns-server: '2001:db8::53'}}}}
                ";
        }
    };
}
