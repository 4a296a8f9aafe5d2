//! Which addresses a request may go to.
//!
//! The URL of a sink is the operator's, so addresses of the own network are fine. What only this machine can reach is not: its
//! own services, and the metadata of a cloud, which hands out credentials to whoever asks. What a plugin asks for by a name is
//! a stranger's, so there the own network is not fine either. A name may be made to lead anywhere, so what is looked at is the
//! address that is connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which addresses requests may go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Those of the internet.
    Internet,
    /// Those of the own network, too.
    Network,
    /// And this machine itself.
    Machine,
}

/// Why a request may not go to an address; `None` when it may.
pub(super) fn refusal(address: IpAddr, reach: Reach) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => refusal_v4(address, reach),
        IpAddr::V6(address) => refusal_v6(address, reach),
    }
}

const OWN_NETWORK: &str = "an address of the own network";

fn refusal_v4(address: Ipv4Addr, reach: Reach) -> Option<&'static str> {
    match address.octets() {
        [0, ..] => Some("an address without a host"),
        [127, ..] if reach != Reach::Machine => Some("this machine itself"),
        // 169.254.169.254 is the metadata service of most clouds.
        [169, 254, ..] => Some("a link-local address, where clouds keep credentials"),
        // Alibaba, Oracle and Azure keep theirs there.
        [100, 100, 100, 200] | [192, 0, 0, _] | [168, 63, 129, 16] => {
            Some("a cloud's own service, which may hand out credentials")
        }
        // Private (RFC 1918), shared with the provider (RFC 6598), and for measurements within a network (RFC 2544).
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [198, 18..=19, ..]
            if reach == Reach::Internet =>
        {
            Some(OWN_NETWORK)
        }
        [224..=239, ..] => Some("a multicast address"),
        [240..=255, ..] => Some("a reserved address"),
        _ => None,
    }
}

fn refusal_v6(address: Ipv6Addr, reach: Reach) -> Option<&'static str> {
    if let Some(hidden) = hidden(address) {
        return hidden.into_iter().find_map(|inner| refusal_v4(inner, reach));
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("an address without a host"),
        [0, 0, 0, 0, 0, 0, 0, 1] => (reach != Reach::Machine).then_some("this machine itself"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        // Amazon's metadata service.
        [0xfd00, 0x0ec2, ..] => Some("a cloud's own service, which may hand out credentials"),
        // Unique local (RFC 4193), and site-local, its predecessor.
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] if reach == Reach::Internet => Some(OWN_NETWORK),
        _ => None,
    }
}

/// The IPv4 addresses to which an IPv6 address leads on its way.
fn hidden(address: Ipv6Addr) -> Option<Vec<Ipv4Addr>> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        // Mapped, ::ffff:0:0/96 (RFC 4291), and translated, ::ffff:0:0:0/96 (RFC 7915).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => Some(vec![v4(high, low)]),
        // Compatible, ::/96, but for `::` and `::1`.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(vec![v4(high, low)]),
        // NAT64 (RFC 6052, RFC 8215).
        [0x64, 0xff9b, _, _, _, _, high, low] => Some(vec![v4(high, low)]),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => Some(vec![v4(high, low)]),
        // Teredo (RFC 4380): the server, and the client with each bit turned.
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            Some(vec![v4(server_high, server_low), v4(!high, !low)])
        }
        // ISATAP (RFC 5214), behind any prefix.
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(vec![v4(high, low)]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, reach: Reach) -> bool {
        refusal(text.parse().unwrap(), reach).is_some()
    }

    #[test]
    fn who_reaches_only_the_internet_reaches_no_network_of_its_own() {
        for text in ["93.184.216.34", "172.15.0.1", "172.32.0.1", "100.63.0.1", "2606:4700::1", "64:ff9b::8.8.8.8"] {
            assert!(!refused(text, Reach::Internet), "{text}");
        }
        for text in [
            "10.0.0.5",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "127.0.0.1",
            "fd00::1",
            "fc00::1",
            "fec0::1",
            "::1",
            "::ffff:10.0.0.5",
            "64:ff9b::192.168.1.1",
            "2002:c0a8:101::",
        ] {
            assert!(refused(text, Reach::Internet), "{text}");
        }
    }

    #[test]
    fn the_own_network_and_the_internet_are_fine() {
        for text in ["10.0.0.5", "172.16.0.1", "192.168.1.1", "100.64.0.1", "93.184.216.34", "fd00::1", "2606:4700::1"]
        {
            assert!(!refused(text, Reach::Network), "{text}");
        }
        for text in ["::ffff:10.0.0.5", "64:ff9b::8.8.8.8", "2002:0808:0808::1"] {
            assert!(!refused(text, Reach::Network), "{text}");
        }
    }

    #[test]
    fn what_only_this_machine_can_reach_is_refused_in_each_disguise() {
        for text in [
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:0:127.0.0.1",
            "::127.0.0.1",
            "2002:7f00:1::",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::7f00:1",
            "2001:0:7f00:1::1",
            "2001:0:808:808::80ff:fffe",
            "fe80::5efe:127.0.0.1",
            "2606:4700::5efe:127.0.0.1",
        ] {
            assert!(refused(text, Reach::Network), "{text}");
        }
        for text in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(!refused(text, Reach::Machine), "{text}");
        }
    }

    #[test]
    fn metadata_multicast_and_no_address_are_refused_always() {
        for text in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "2002:a9fe:a9fe::",
            "64:ff9b::169.254.169.254",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "fd00:ec2::254",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(refused(text, Reach::Machine), "{text}");
        }
    }
}
