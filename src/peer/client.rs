//! The address that requests of one client are counted by.

use std::net::IpAddr;

/// What translators put before an IPv4 address (RFC 6052 section 2.1): 96 bits.
const TRANSLATED: u128 = 0x0064_ff9b << 64;

/// What requests of one client are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CountedAddr {
    V4(u32),
    /// The first bits, the others zero.
    V6(u128),
}

impl CountedAddr {
    /// `prefix`: how many bits of an IPv6 address count, 1 to 128.
    pub(crate) fn of(address: IpAddr, prefix: u8) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            // Translated IPv4 (RFC 6052) is one network in IPv6: all its clients would share a limit.
            // `peer` keeps such addresses as they are, because no proxy is listed by one.
            IpAddr::V6(address) if address.to_bits() >> 32 == TRANSLATED => {
                let [.., a, b, c, d] = address.octets();
                Self::V4(u32::from_be_bytes([a, b, c, d]))
            }
            IpAddr::V6(address) => {
                let rest = 128_u32.saturating_sub(prefix.into());
                Self::V6(address.to_bits() & u128::MAX.checked_shl(rest).unwrap_or(0))
            }
        }
    }

    /// Its bytes, which no other address has.
    pub(crate) fn bytes(self) -> [u8; 17] {
        let (kind, bits) = match self {
            Self::V4(bits) => (4, u128::from(bits)),
            Self::V6(bits) => (6, bits),
        };
        let mut bytes = [kind; 17];
        bytes[1..].copy_from_slice(&bits.to_be_bytes());
        bytes
    }
}
