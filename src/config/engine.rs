//! The engine that replicas share, as the other sections see it.

use super::Config;
use crate::error::ConfigError;
use crate::failed_attempts::FailedAttemptsLayer;
use crate::mcp::{QuotaLayer, SessionBindingLayer};
#[cfg(feature = "oauth")]
use crate::oauth::binding::DpopOptions;
use crate::revocation::Revocation;

/// The connection to it.
#[cfg(feature = "redis")]
pub(super) type Engine = crate::redis::Redis;

/// There is none without the feature of one.
#[cfg(not(feature = "redis"))]
#[derive(Clone, Debug)]
pub(super) enum Engine {}

impl Config {
    /// The engine, if `shared` is configured.
    #[cfg(feature = "redis")]
    pub(super) fn engine(&self) -> Result<Option<&Engine>, ConfigError> {
        if self.sections.shared.is_some() && self.engine.is_none() {
            let why = "it is not connected, which takes a moment: call \
                       `config.connect().await?`, and make the layers of what that gives";
            return Err(ConfigError::new("shared", why));
        }
        Ok(self.engine.as_ref())
    }

    #[cfg(not(feature = "redis"))]
    #[allow(clippy::unnecessary_wraps)] // With the feature it can fail.
    pub(super) fn engine(&self) -> Result<Option<&Engine>, ConfigError> {
        Ok(self.engine.as_ref())
    }
}

/// What is revoked, as all replicas of the engine know it.
#[cfg(feature = "redis")]
pub(super) fn revoked_at(engine: &Engine, secret: &str) -> Result<Revocation, ConfigError> {
    Revocation::shared(engine.clone(), secret)
}

#[cfg(not(feature = "redis"))]
pub(super) fn revoked_at(engine: &Engine, _: &str) -> Result<Revocation, ConfigError> {
    match *engine {}
}

/// Budgets that all replicas of the engine have together.
#[cfg(feature = "redis")]
pub(super) fn counted_at(engine: &Engine, secret: &str) -> Result<QuotaLayer, ConfigError> {
    QuotaLayer::shared(engine.clone(), secret)
}

#[cfg(not(feature = "redis"))]
pub(super) fn counted_at(engine: &Engine, _: &str) -> Result<QuotaLayer, ConfigError> {
    match *engine {}
}

/// Has failed attempts counted at the engine.
#[cfg(feature = "redis")]
pub(super) fn failures_at(
    layer: FailedAttemptsLayer,
    engine: &Engine,
    secret: &str,
) -> Result<FailedAttemptsLayer, ConfigError> {
    layer.shared(engine.clone(), secret)
}

#[cfg(not(feature = "redis"))]
pub(super) fn failures_at(
    _: FailedAttemptsLayer,
    engine: &Engine,
    _: &str,
) -> Result<FailedAttemptsLayer, ConfigError> {
    match *engine {}
}

#[cfg(not(feature = "redis"))]
impl Engine {
    pub(super) fn identity(&self) -> usize {
        match *self {}
    }

    pub(super) fn place(&self) -> String {
        match *self {}
    }
}

/// Has sessions claimed at the engine.
#[cfg(feature = "redis")]
pub(super) fn claimed_at(
    layer: SessionBindingLayer,
    engine: &Engine,
    allow_on_outage: bool,
) -> SessionBindingLayer {
    use crate::store::ReplayStore;

    let engine = engine.clone();
    match allow_on_outage {
        true => layer.anonymous_sessions_can_be_claimed(engine.dangerously_allow_on_outage()),
        false => layer.anonymous_sessions_can_be_claimed(engine),
    }
}

/// Has used DPoP proofs kept at the engine.
#[cfg(all(feature = "redis", feature = "oauth"))]
pub(super) fn used_at(options: DpopOptions, engine: &Engine) -> Result<DpopOptions, ConfigError> {
    options.replay_store(engine.clone())
}

#[cfg(all(not(feature = "redis"), feature = "oauth"))]
pub(super) fn used_at(_: DpopOptions, engine: &Engine) -> Result<DpopOptions, ConfigError> {
    match *engine {}
}

#[cfg(not(feature = "redis"))]
pub(super) fn claimed_at(_: SessionBindingLayer, engine: &Engine, _: bool) -> SessionBindingLayer {
    match *engine {}
}
