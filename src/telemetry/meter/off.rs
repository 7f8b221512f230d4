//! Metrics without the feature `metrics`: nothing.

use crate::clock::Clock;
use crate::telemetry::record::DecisionRecord;

pub(in crate::telemetry) const IS_ON: bool = false;

pub(in crate::telemetry) fn decided(_: &DecisionRecord<'_>) {}

pub(in crate::telemetry) fn step_up(_: &'static str) {}

pub(in crate::telemetry) fn stream_ended(_: &'static str) {}

pub(in crate::telemetry) fn list_shortened(_: bool) {}

pub(in crate::telemetry) fn revocations(_: usize) {}

pub(in crate::telemetry) fn quota_store_answers(_: bool) {}

pub(in crate::telemetry) fn failure_not_shared() {}

#[derive(Clone, Debug)]
pub(crate) struct QuotaMeter;

#[expect(clippy::unused_self, reason = "beside the one that counts")]
impl QuotaMeter {
    pub(crate) fn new(_: &str) -> Self {
        Self
    }

    pub(crate) fn admitted(&self) {}

    pub(crate) fn refused(&self, _: bool) {}
}

#[derive(Clone, Copy)]
pub(crate) struct Stopwatch;

impl Stopwatch {
    pub(crate) fn start(_: &Clock) -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "beside the one that measures")]
    pub(crate) fn stop(self, _: &Clock, _: &'static str, _: bool) {}
}

#[cfg(feature = "oauth")]
pub(crate) use self::oauth::{IntrospectionMeter, KeysMeter, token_cache};

#[cfg(feature = "oauth")]
#[expect(clippy::unused_self, reason = "beside those that count")]
mod oauth {
    use std::time::Duration;

    use crate::telemetry::CallEnd;

    pub(crate) fn token_cache(_: bool) {}

    #[derive(Debug)]
    pub(crate) struct KeysMeter;

    impl KeysMeter {
        pub(crate) fn new(_: &str) -> Self {
            Self
        }

        pub(crate) fn fetched(&self, _: usize, _: Duration) {}

        pub(crate) fn failed(&self, _: usize) {}
    }

    #[derive(Debug)]
    pub(crate) struct IntrospectionMeter;

    impl IntrospectionMeter {
        pub(crate) fn new(_: &str) -> Self {
            Self
        }

        pub(crate) fn looked_up(&self, _: bool) {}

        pub(crate) fn called(&self, _: CallEnd) {}

        pub(crate) fn queue(&self, _: usize) {}
    }
}

/// Of the API key store.
#[cfg(feature = "api-key-store")]
pub(crate) mod store {
    pub(crate) fn looked_up(_: bool) {}

    pub(crate) fn called(_: &'static str) {}

    pub(crate) fn queue(_: usize) {}
}
