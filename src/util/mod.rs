//! Small tools that know nothing of this crate.

#[cfg(feature = "jwt")]
pub(crate) mod base64url;
#[cfg(any(feature = "oauth", feature = "api-key-store"))]
pub(crate) mod cache;
#[cfg(feature = "oauth")]
pub(crate) mod challenges;
pub(crate) mod event_stream;
mod inner_service;
mod locked;
mod occasionally;
#[cfg(any(feature = "oauth", feature = "api-key-store"))]
pub(crate) mod places;
#[cfg(any(feature = "oauth", feature = "api-key-store"))]
pub(crate) mod single_flight;
#[cfg(any(feature = "oauth", feature = "api-key-store"))]
mod sync;
#[cfg(feature = "oauth")]
pub(crate) mod tenure;
mod text;
mod time;
#[cfg(feature = "oauth")]
mod token_bucket;

pub(crate) use self::inner_service::inner_service;
pub(crate) use self::locked::locked;
pub(crate) use self::occasionally::Occasionally;
#[cfg(feature = "oauth")]
pub(crate) use self::text::is_guid;
pub(crate) use self::text::{
    TRACED_CHARS, distance, is_deceptive, is_tchar, one_line, quoted, repeated,
};
#[cfg(any(feature = "api-key-store", feature = "config"))]
pub(crate) use self::time::rfc3339_time;
#[cfg(feature = "oauth")]
pub(crate) use self::time::{http_date, with_jitter};
pub(crate) use self::time::{millis, seconds_up};
#[cfg(feature = "oauth")]
pub(crate) use self::token_bucket::TokenBucket;
