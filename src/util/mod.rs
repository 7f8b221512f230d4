//! Small tools that know nothing of this crate.

#[cfg(any(feature = "oauth", feature = "api-key-store"))]
mod occasionally;
#[cfg(any(feature = "oauth", feature = "api-key-store"))]
pub(crate) mod single_flight;
mod text;

#[cfg(any(feature = "oauth", feature = "api-key-store"))]
pub(crate) use self::occasionally::NowAndThen;
pub(crate) use self::text::{TRACED_CHARS, is_deceptive, quoted, repeated};
