//! Addresses outside of the public internet. Without a check, a subscription could make this
//! service send requests into networks that only it can reach.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kind of a network outside of the public internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialNetwork {
    /// The unspecified address, like `0.0.0.0`.
    Unspecified,
    /// Loopback: this machine.
    Loopback,
    /// A private network, including those of carriers (`100.64.0.0/10`).
    Private,
    /// Link-local; cloud providers serve the secrets of a machine there.
    LinkLocal,
    /// Multicast or broadcast.
    Multicast,
    /// Reserved for examples, measurements or the future.
    Reserved,
}

impl fmt::Display for SpecialNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "an unspecified",
            Self::Loopback => "a loopback",
            Self::Private => "a private",
            Self::LinkLocal => "a link-local",
            Self::Multicast => "a multicast",
            Self::Reserved => "a reserved",
        })
    }
}

/// Returns the special network that contains `address`; `None` if it is public. An IPv6 address
/// that embeds an IPv4 address is classified by that.
#[must_use]
pub fn special_network(address: IpAddr) -> Option<SpecialNetwork> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<SpecialNetwork> {
    match address.octets() {
        [0, ..] => Some(SpecialNetwork::Unspecified),
        [127, ..] => Some(SpecialNetwork::Loopback),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => {
            Some(SpecialNetwork::Private)
        }
        [169, 254, ..] => Some(SpecialNetwork::LinkLocal),
        [224..=239, ..] => Some(SpecialNetwork::Multicast),
        // Protocol assignments, examples, 6to4 relays, benchmarks, reserved for the future.
        [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [240..=255, ..] => Some(SpecialNetwork::Reserved),
        _ => None,
    }
}

fn special_v6(address: Ipv6Addr) -> Option<SpecialNetwork> {
    let carried = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        special_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(SpecialNetwork::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(SpecialNetwork::Loopback),
        // Embedded IPv4: mapped, NAT64 and 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => carried(high, low),
        // NAT64 inside one network, site-local and unique local addresses.
        [0x64, 0xff9b, 1, ..] | [0xfec0..=0xfeff | 0xfc00..=0xfdff, ..] => {
            Some(SpecialNetwork::Private)
        }
        [0xfe80..=0xfebf, ..] => Some(SpecialNetwork::LinkLocal),
        [0xff00..=0xffff, ..] => Some(SpecialNetwork::Multicast),
        // Protocol assignments (Teredo among them) and examples.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some(SpecialNetwork::Reserved),
        [0x2000..=0x3fff, ..] => None,
        // All other addresses are not assigned as public ones.
        _ => Some(SpecialNetwork::Reserved),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("0.0.0.0", SpecialNetwork::Unspecified)]
    #[case("0.1.2.3", SpecialNetwork::Unspecified)]
    #[case("127.0.0.1", SpecialNetwork::Loopback)]
    #[case("127.255.255.254", SpecialNetwork::Loopback)]
    #[case("10.0.0.1", SpecialNetwork::Private)]
    #[case("172.16.0.1", SpecialNetwork::Private)]
    #[case("172.31.255.255", SpecialNetwork::Private)]
    #[case("192.168.0.1", SpecialNetwork::Private)]
    #[case("100.64.0.1", SpecialNetwork::Private)]
    #[case("100.127.255.255", SpecialNetwork::Private)]
    #[case("169.254.169.254", SpecialNetwork::LinkLocal)]
    #[case("224.0.0.1", SpecialNetwork::Multicast)]
    #[case("239.255.255.255", SpecialNetwork::Multicast)]
    #[case("192.0.0.8", SpecialNetwork::Reserved)]
    #[case("192.0.2.1", SpecialNetwork::Reserved)]
    #[case("192.88.99.1", SpecialNetwork::Reserved)]
    #[case("198.18.0.1", SpecialNetwork::Reserved)]
    #[case("198.19.255.255", SpecialNetwork::Reserved)]
    #[case("198.51.100.1", SpecialNetwork::Reserved)]
    #[case("203.0.113.1", SpecialNetwork::Reserved)]
    #[case("240.0.0.1", SpecialNetwork::Reserved)]
    #[case("255.255.255.255", SpecialNetwork::Reserved)]
    #[case("::", SpecialNetwork::Unspecified)]
    #[case("::1", SpecialNetwork::Loopback)]
    #[case("::127.0.0.1", SpecialNetwork::Reserved)]
    #[case("::8.8.8.8", SpecialNetwork::Reserved)]
    #[case("::ffff:127.0.0.1", SpecialNetwork::Loopback)]
    #[case("::ffff:10.0.0.1", SpecialNetwork::Private)]
    #[case("::ffff:0:10.0.0.1", SpecialNetwork::Reserved)]
    #[case("64:ff9b::10.0.0.1", SpecialNetwork::Private)]
    #[case("64:ff9b::169.254.169.254", SpecialNetwork::LinkLocal)]
    #[case("64:ff9b:1::8.8.8.8", SpecialNetwork::Private)]
    #[case("2002:7f00:1::", SpecialNetwork::Loopback)]
    #[case("2002:c0a8:1::1", SpecialNetwork::Private)]
    #[case("fc00::1", SpecialNetwork::Private)]
    #[case("fdff:ffff::1", SpecialNetwork::Private)]
    #[case("fec0::1", SpecialNetwork::Private)]
    #[case("fe80::1", SpecialNetwork::LinkLocal)]
    #[case("febf::1", SpecialNetwork::LinkLocal)]
    #[case("ff02::1", SpecialNetwork::Multicast)]
    #[case("100::1", SpecialNetwork::Reserved)]
    #[case("2001::1", SpecialNetwork::Reserved)]
    #[case("2001:db8::1", SpecialNetwork::Reserved)]
    #[case("3fff:fff::1", SpecialNetwork::Reserved)]
    #[case("4000::1", SpecialNetwork::Reserved)]
    #[case("5f00::1", SpecialNetwork::Reserved)]
    fn special_addresses_are_known(#[case] address: IpAddr, #[case] network: SpecialNetwork) {
        assert_eq!(special_network(address), Some(network));
    }

    #[rstest]
    #[case("1.1.1.1")]
    #[case("9.255.255.255")]
    #[case("11.0.0.0")]
    #[case("100.63.255.255")]
    #[case("100.128.0.0")]
    #[case("126.255.255.255")]
    #[case("128.0.0.0")]
    #[case("172.15.255.255")]
    #[case("172.32.0.0")]
    #[case("192.0.1.1")]
    #[case("198.17.255.255")]
    #[case("223.255.255.255")]
    #[case("2001:4860:4860::8888")]
    #[case("2001:200::1")]
    #[case("2606:4700::1111")]
    #[case("2a00::1")]
    #[case("3fff:1000::1")]
    #[case("::ffff:8.8.8.8")]
    #[case("64:ff9b::8.8.8.8")]
    #[case("2002:808:808::1")]
    fn public_addresses_are_not_special(#[case] address: IpAddr) {
        assert_eq!(special_network(address), None);
    }
}
