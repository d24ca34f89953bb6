//! Which addresses the daemon may connect to.
//!
//! The check is made on the address that is about to be dialled, never on the name: a name may resolve to anything, and
//! to something else a moment later. Link-local addresses (where clouds keep their metadata services) are never
//! dialled; loopback and private ones only for a provider that says `allow_private = true`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

/// An address that the guard refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Nobody may ask for this address.
    #[error("{0} is a link-local, metadata or otherwise reserved address: Bursar never connects there")]
    Never(IpAddr),
    /// Only a provider that says so may live there.
    #[error("{0} is a private address: set allow_private = true for this provider if it is meant to be there")]
    Private(IpAddr),
}

/// What an address is to the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Public,
    Private,
    Never,
}

/// Checks one address.
///
/// # Errors
/// When it may not be dialled.
pub(super) fn check(address: IpAddr, allow_private: bool) -> Result<(), AddressError> {
    let class = match address {
        IpAddr::V4(v4) => class_v4(v4),
        IpAddr::V6(v6) => class_v6(v6),
    };
    match class {
        Class::Public => Ok(()),
        Class::Private if allow_private => Ok(()),
        Class::Private => Err(AddressError::Private(address)),
        Class::Never => Err(AddressError::Never(address)),
    }
}

fn class_v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        // This network, link-local, IETF protocol assignments, 6to4 relays, multicast, reserved and broadcast.
        [0, ..] | [169, 254, ..] | [192, 0, 0, _] | [192, 88, 99, _] | [224..=255, ..] => Class::Never,
        // The metadata services of two clouds, in the shared range and among public addresses.
        [100, 100, 100, 200] | [168, 63, 129, 16] => Class::Never,
        // Documentation and benchmarking.
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Class::Never,
        [10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [198, 18..=19, ..] => {
            Class::Private
        }
        _ => Class::Public,
    }
}

fn class_v6(address: Ipv6Addr) -> Class {
    if let Some(v4) = embedded_v4(address) {
        return class_v4(v4);
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Private,
        // The unspecified address, and metadata services in their IPv6 form.
        [0, 0, 0, 0, 0, 0, 0, 0] | [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254] => Class::Never,
        [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] => Class::Never,
        // A network's own NAT64 (RFC 8215), behind which anything may be.
        [0x0064, 0xff9b, 1, ..] => Class::Private,
        // Link-local, the old site-local range, multicast, documentation, discard.
        [0xfe80..=0xfebf, ..] | [0xff00..=0xffff, ..] | [0x2001, 0x0db8, ..] | [0x0100, 0, 0, 0, ..] => Class::Never,
        [0xfec0..=0xfeff, ..] => Class::Never,
        [0xfc00..=0xfdff, ..] => Class::Private,
        _ => Class::Public,
    }
}

/// The IPv4 address inside an IPv6 one: mapped, compatible, NAT64, 6to4, Teredo's server.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(v4(high, low)),
        [0x2002, high, low, ..] | [0x2001, 0, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(address: &str, allow_private: bool) -> &'static str {
        match check(address.parse().unwrap(), allow_private) {
            Ok(()) => "ok",
            Err(AddressError::Private(_)) => "private",
            Err(AddressError::Never(_)) => "never",
        }
    }

    #[test]
    fn public_addresses_pass() {
        for address in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101", "2002:101:101::"]
        {
            assert_eq!(verdict(address, false), "ok", "{address}");
        }
    }

    #[test]
    fn private_addresses_pass_only_where_the_provider_says_so() {
        for address in [
            "127.0.0.1",
            "127.255.0.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "::1",
            "fc00::1",
            "fd12:3456::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::",
            "::7f00:1",
            "2001:0:a00:1::",
            "64:ff9b:1::a00:1",
        ] {
            assert_eq!(verdict(address, false), "private", "{address}");
            assert_eq!(verdict(address, true), "ok", "{address}");
        }
    }

    #[test]
    fn metadata_and_reserved_addresses_never_pass() {
        for address in [
            "169.254.169.254",
            "169.254.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "192.0.0.8",
            "192.88.99.1",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.9",
            "100.100.100.200",
            "::",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "feff::1",
            "ff02::1",
            "2001:db8::1",
            "100::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "168.63.129.16",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::",
            "2001:0:a9fe:a9fe::",
            "::ffff:0.0.0.0",
        ] {
            assert_eq!(verdict(address, true), "never", "{address}");
        }
    }
}
