//! Findings of names, of references between objects, and of options and types.

macro_rules! objects {
    ([$next:ident $($others:ident)*] $($before:tt)*) => {
        $next! { [$($others)*] $($before)*
            NodeUndeclared "node-undeclared" Tolerated
                "a list of nodes names a node that is not declared"
                "Proxmox accepts the name of a node that does not exist, and then renders the zone on fewer nodes than was meant."
                "Declare the node under `nodes`, or correct the name."
                "
                nodes: {node1: {}}
                zones: {lan: {type: simple, nodes: [node1, nod2]}}
                ";
            NodeAddressReused "node-address-reused" Error
                "two nodes have one address"
                "Tunnels to one of the two would end at the other. A node that a vnet gives the address of another does not reach that one any more."
                "Correct one of the addresses."
                "
                nodes:
                  node1: {address: 192.0.2.1}
                  node2: {address: 192.0.2.1}
                ";
            ReferenceUnknown "reference-unknown" Error
                "an object names a controller or vnet that is not declared"
                "The object cannot do what it says."
                "Declare the object that is named, or correct the name."
                "zones: {red: {type: evpn, controller: ctl, vrf-vxlan: 10000}}";
            FabricUnknown "fabric-unknown" Tolerated
                "a zone or controller names a fabric that is not declared"
                "Proxmox does not look whether there is such a fabric; what depends on it is then left out on every node."
                "Declare the fabric, or correct the name."
                "
                nodes: {node1: {}}
                zones: {tun: {type: vxlan, fabric: fab1}}
                ";
            ServiceUnknown "service-unknown" Tolerated
                "a zone names an IPAM or DNS server that is not declared"
                "Proxmox lets a server be removed while zones use it; addresses and names are then registered nowhere."
                "Declare the server under `ipams` or `dns`, or correct the name. The IPAMs `pve` and `git` are built in."
                "zones: {lan: {type: simple, ipam: netbox}}";
            BuiltInId "built-in-id" Error
                "an IPAM has the id of a built-in one"
                "`pve` and `git` mean the same in every repository."
                "Give the IPAM another id."
                "ipams: {git: {type: pve}}";
            OptionNotForType "option-not-for-type" Error
                "an option belongs to objects of another type"
                "The option would have no effect here."
                "Remove the option, or change the object's type."
                "zones: {lan: {type: vlan, bridge: vmbr0, peers: [192.0.2.1]}}";
            OptionRequired "option-required" Error
                "an object lacks an option that its type requires"
                "The object cannot be rendered without it."
                "Add the option."
                "zones: {lan: {type: vlan}}";
            NameReserved "name-reserved" Error
                "a vnet has a name that the kernel uses itself"
                "A vnet's id is the name of its bridge; a bridge of this name would take over the node's loopback or every interface's settings."
                "Give the vnet another id."
                "
                zones: {lan: {type: simple}}
                vnets: {lo: {zone: lan}}
                ";
            NameTaken "name-taken" Tolerated
                "a vnet is named like an interface that nodes have"
                "A vnet's id is the name of its bridge; where the node has an interface of this name, or another zone makes one, the vnet would change it."
                "Give the vnet an id that no bridge, network card or guest port has."
                "
                zones: {lan: {type: simple}}
                vnets: {vmbr1: {zone: lan}}
                ";
            IdsDifferInCase "ids-differ-in-case" Tolerated
                "two ids differ only in upper and lower case"
                "People, DNS and the names of files take one for the other; Proxmox and the kernel do not."
                "Choose ids that are also different when they are read aloud."
                "zones: {lan: {type: simple}, LAN: {type: simple}}";
            DnsZoneWithoutDns "dnszone-without-dns" Error
                "a zone has `dnszone` without `dns`"
                "There is no server to register names at."
                "Add `dns`, or remove `dnszone`."
                "zones: {lan: {type: simple, dnszone: example.org}}";
            DnsWithoutDnsZone "dns-without-dnszone" Tolerated
                "a zone names a DNS server and has no `dnszone`"
                "Names are registered within `dnszone`; without it nothing is registered at all, names for addresses neither."
                "Add `dnszone: NAME`, or remove `dns` and `reversedns`."
                "
                dns: {power: {type: powerdns, url: https://dns.example.org/api/v1/servers/localhost, key: dns-key}}
                zones: {lan: {type: simple, dns: power}}
                ";
            DnsPrefixWithoutDnsZone "dns-prefix-without-dnszone" Tolerated
                "a subnet has `dnszoneprefix`, and its zone no `dnszone`"
                "The prefix stands between the name of a guest and the DNS zone; without a DNS zone nothing is registered."
                "Give the zone `dns` and `dnszone`, or remove `dnszoneprefix`."
                "
                zones: {lan: {type: simple}}
                vnets:
                  web: {zone: lan, subnets: {10.0.0.0/24: {dnszoneprefix: web}}}
                ";
            GuestAddressOutside "guest-address-outside" Error
                "a guest's fixed address lies in none of its vnet's subnets"
                "The guest could not use it."
                "Choose an address of one of the vnet's subnets."
                "
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan, subnets: {10.0.0.0/24: {gateway: 10.0.0.1}}}}
                guests:
                  shop: {nics: [{vnet: web, mac: 'BC:24:11:00:00:01', addresses: [10.0.1.5]}]}
                ";
            GuestAddressReused "guest-address-reused" Error
                "an address of a vnet is given twice"
                "Both holders would answer for it, and reach of either is by chance."
                "Give one of them another address."
                "
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan, subnets: {10.0.0.0/24: {gateway: 10.0.0.1}}}}
                guests:
                  shop: {nics: [{vnet: web, mac: 'BC:24:11:00:00:01', addresses: [10.0.0.1]}]}
                ";
            GuestMacReused "guest-mac-reused" Error
                "two interfaces on one vnet have one hardware address"
                "The bridge would send frames for both to the one that spoke last."
                "Correct one of the hardware addresses."
                "
                zones: {lan: {type: simple}}
                vnets: {web: {zone: lan}}
                guests:
                  shop: {nics: [{vnet: web, mac: 'BC:24:11:00:00:01'}]}
                  mail: {nics: [{vnet: web, mac: 'BC:24:11:00:00:01'}]}
                ";
        }
    };
}
