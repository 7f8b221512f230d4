//! What is counted and measured; nothing without the feature `metrics`.

#[cfg(not(feature = "metrics"))]
mod off;
#[cfg(feature = "metrics")]
mod on;

#[cfg(not(feature = "metrics"))]
use self::off as chosen;
#[cfg(feature = "metrics")]
use self::on as chosen;

pub(crate) use self::chosen::Stopwatch;
#[cfg(feature = "api-key-store")]
pub(crate) use self::chosen::store;
pub(super) use self::chosen::{IS_ON, decided, list_shortened, revocations, step_up, stream_ended};
#[cfg(feature = "oauth")]
pub(crate) use self::chosen::{IntrospectionMeter, KeysMeter, token_cache};

/// How a call to somebody outside ended.
#[cfg(feature = "oauth")]
#[derive(Clone, Copy, Debug)]
pub(crate) enum CallEnd {
    Active,
    Refused,
    Failed,
}
