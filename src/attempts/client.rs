use std::net::IpAddr;

/// What failures are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Client {
    V4(u32),
    /// The first bits, the others zero.
    V6(u128),
}

impl Client {
    /// `prefix`: how many bits of an IPv6 address count, 1 to 128.
    pub(super) fn of(address: IpAddr, prefix: u8) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => {
                let rest = 128_u32.saturating_sub(prefix.into());
                Self::V6(address.to_bits() & u128::MAX.checked_shl(rest).unwrap_or(0))
            }
        }
    }
}
