//! Which addresses belong to the public internet.
//!
//! From the IANA special-purpose registries
//! (iana.org/assignments/iana-ipv4-special-registry, iana.org/assignments/iana-ipv6-special-registry).
//! What is not plainly public is refused: of IPv6 only the range that is handed out to networks
//! counts, without its parts that carry IPv4 addresses inside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Network and prefix length. Each line says whose it is.
const REFUSED_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::UNSPECIFIED, 8),            // this host; Linux connects it to loopback
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // carriers' NAT; Alibaba's metadata 100.100.100.200
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback
    (Ipv4Addr::new(168, 63, 129, 16), 32), // Azure's host services, a public address by form only
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local; most clouds' metadata
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // protocol assignments; Oracle's metadata 192.0.0.192
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation
    (Ipv4Addr::new(192, 31, 196, 0), 24),  // AS112
    (Ipv4Addr::new(192, 52, 193, 0), 24),  // multicast tunnels
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private
    (Ipv4Addr::new(192, 175, 48, 0), 24),  // AS112
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved, and broadcast
];

/// What is handed out to networks.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// The parts of [`GLOBAL_V6`] that are not public servers.
const REFUSED_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments; Teredo, ORCHID
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4: an IPv4 address inside
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48), // AS112
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Whether an address may be fetched from without the operator's leave.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !REFUSED_V4.iter().any(|&(net, bits)| in_v4(ip, net, bits)),
        // IPv4-mapped and -compatible, NAT64, unique local, site-local, link-local and multicast
        // addresses are all outside the global range.
        IpAddr::V6(ip) => {
            in_v6(ip, GLOBAL_V6.0, GLOBAL_V6.1) && !REFUSED_V6.iter().any(|&(net, bits)| in_v6(ip, net, bits))
        }
    }
}

fn in_v4(ip: Ipv4Addr, net: Ipv4Addr, bits: u32) -> bool {
    (ip.to_bits() ^ net.to_bits()) >> (32 - bits) == 0
}

fn in_v6(ip: Ipv6Addr, net: Ipv6Addr, bits: u32) -> bool {
    (ip.to_bits() ^ net.to_bits()) >> (128 - bits) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Edges of every refused range, from inside.
    const REFUSED: &str = "
        0.0.0.0 0.0.0.1 0.255.255.255 10.0.0.0 10.0.0.1 10.1.2.3 10.255.255.255
        100.64.0.0 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.0 127.0.0.1 127.1.1.1 127.255.255.255
        168.63.129.16 169.254.0.0 169.254.0.1 169.254.169.254 169.254.170.2 169.254.255.255
        172.16.0.0 172.16.0.1 172.17.0.1 172.20.10.1 172.31.255.255
        192.0.0.0 192.0.0.1 192.0.0.8 192.0.0.170 192.0.0.192 192.0.0.255 192.0.2.0 192.0.2.1 192.0.2.255
        192.31.196.0 192.31.196.255 192.52.193.0 192.52.193.255 192.88.99.0 192.88.99.1 192.88.99.255
        192.168.0.0 192.168.0.1 192.168.1.1 192.168.178.1 192.168.255.255 192.175.48.0 192.175.48.255
        198.18.0.0 198.18.0.1 198.19.255.255 198.51.100.0 198.51.100.7 198.51.100.255
        203.0.113.0 203.0.113.9 203.0.113.255 224.0.0.0 224.0.0.1 224.0.0.251 232.1.1.1 233.252.0.1
        239.255.255.250 239.255.255.255 240.0.0.0 240.0.0.1 250.1.2.3 255.255.255.254 255.255.255.255
        :: ::1 ::2 ::7f00:1 ::10.0.0.1 ::8.8.8.8 ::ffff:0.0.0.0 ::ffff:10.0.0.1 ::ffff:127.0.0.1
        ::ffff:169.254.169.254 ::ffff:192.168.1.1 ::ffff:8.8.8.8 ::ffff:255.255.255.255 ::ffff:0:7f00:1
        ::ffff:0:8.8.8.8 64:ff9b:: 64:ff9b::127.0.0.1 64:ff9b::169.254.169.254 64:ff9b::8.8.8.8
        64:ff9b::ffff:ffff 64:ff9b:1:: 64:ff9b:1::127.0.0.1 64:ff9b:1:ffff:ffff:ffff:ffff:ffff
        100:: 100::1 100::ffff:ffff:ffff:ffff 100:0:0:1::1 1fff:ffff::1
        2001:: 2001::1 2001:0:53aa:64c::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:0:ffff:ffff:ffff:ffff:ffff:ffff
        2001:1::1 2001:1::2 2001:2:: 2001:2::1 2001:3::1 2001:4:112::1 2001:5::1 2001:10::1 2001:1f:ffff::1
        2001:20::1 2001:2f:ffff::1 2001:30::1 2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff
        2001:db8:: 2001:db8::1 2001:db8:85a3::8a2e:370:7334 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff
        2002:: 2002::1 2002:7f00:1::1 2002:a00:1::1 2002:a9fe:a9fe::1 2002:c0a8:101::1 2002:808:808::1
        2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2620:4f:8000:: 2620:4f:8000::1 2620:4f:8000:ffff::
        3fff:: 3fff::1 3fff:0fff:ffff::1 4000::1 5f00::1 6000::1 8000::1 a000::1 c000::1 e000::1
        f000::1 fbff:ffff::1 fc00:: fc00::1 fcff:ffff::1 fd00:: fd00::1 fd00:ec2::254 fd20:ce::254
        fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff fe00::1 fe80:: fe80::1 fe80::a9fe:a9fe febf:ffff::1
        fec0:: fec0::1 feff:ffff::1 ff00:: ff01::1 ff02::1 ff02::fb ff02::1:ff00:1 ff05::2 ff0e::1
        ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";

    /// Their neighbours outside, and servers everybody knows.
    const PUBLIC: &str = "
        1.0.0.0 1.1.1.1 8.8.8.8 9.9.9.9 9.255.255.255 11.0.0.0 93.184.216.34 100.63.255.255 100.128.0.0
        126.255.255.255 128.0.0.0 168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255
        172.32.0.0 191.255.255.255 192.0.1.0 192.0.1.255 192.0.3.0 192.31.195.255 192.31.197.0
        192.52.192.255 192.52.194.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 192.175.47.255
        192.175.49.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0
        223.255.255.255 2000::1 2001:200::1 2001:4860:4860::8888 2001:db7:ffff::1 2001:db9::1
        2003::1 2400:cb00::1 2606:4700:4700::1111 2620:4f:7fff::1 2620:4f:8001::1 2620:fe::fe
        2a00:1450:4001:81b::200e 2a03:2880:f12f:83:face:b00c:0:25de 3ffe:ffff::1 3fff:1000::1 3fff:ffff::1";

    #[test]
    fn two_hundred_addresses_are_on_the_right_side() {
        let parse =
            |text: &str| -> Vec<IpAddr> { text.split_whitespace().map(|it| it.parse().unwrap()).collect() };
        let (refused, public) = (parse(REFUSED), parse(PUBLIC));
        assert!(refused.len() + public.len() >= 200, "{}", refused.len() + public.len());
        for ip in refused {
            assert!(!is_public(ip), "{ip} should be refused");
        }
        for ip in public {
            assert!(is_public(ip), "{ip} should be public");
        }
    }

    #[test]
    fn no_form_of_ipv6_carries_a_refused_ipv4_address_in() {
        for ip in REFUSED.split_whitespace().filter_map(|it| it.parse::<Ipv4Addr>().ok()) {
            let bits = u128::from(ip.to_bits());
            let wrapped = [
                bits,                                       // compatible
                0xffff << 32 | bits,                        // mapped
                0xffff << 48 | bits,                        // translated
                0x0064_ff9b_u128 << 96 | bits,              // NAT64
                0x2002_u128 << 112 | bits << 80,            // 6to4
                0x2001_u128 << 112 | (!bits & 0xffff_ffff), // Teredo
            ];
            for form in wrapped {
                assert!(!is_public(IpAddr::V6(form.into())), "{} for {ip}", Ipv6Addr::from(form));
            }
        }
    }
}
