//! What is counted and measured; nothing without the feature `metrics`.

#[cfg(not(feature = "metrics"))]
mod off;
#[cfg(feature = "metrics")]
mod on;

#[cfg(not(feature = "metrics"))]
use self::off as chosen;
#[cfg(feature = "metrics")]
use self::on as chosen;

#[cfg(feature = "api-key-store")]
pub(crate) use self::chosen::store;
pub(super) use self::chosen::{
    IS_ON, decided, failure_not_shared, list_shortened, quota_store_answers, revocations, step_up,
    stream_ended,
};
#[cfg(feature = "oauth")]
pub(crate) use self::chosen::{IntrospectionMeter, KeysMeter, token_cache};
pub(crate) use self::chosen::{QuotaMeter, Stopwatch};

/// How a call to another server ended.
#[cfg(feature = "oauth")]
#[derive(Clone, Copy, Debug)]
pub(crate) enum CallEnd {
    Active,
    Refused,
    Failed,
}
