//! What is known of an engine.

/// What is known of an engine: see [`Redis::health`](super::Redis::health).
///
/// A readiness check asks for [`is_ready`](Self::is_ready); the rest says why it is not.
#[derive(Clone, Debug)]
#[must_use]
pub struct RedisHealth {
    pub(super) is_up: bool,
    pub(super) is_initialized: bool,
    pub(super) persistent: Option<bool>,
    pub(super) error: Option<Box<str>>,
}

impl RedisHealth {
    /// Whether questions are answered: the engine is up and has its marker.
    pub fn is_ready(&self) -> bool {
        self.is_up && self.is_initialized
    }

    /// Whether the engine has answered within the last 2 seconds.
    pub fn is_up(&self) -> bool {
        self.is_up
    }

    /// Whether the engine has the marker of this server. [`Redis::init`](super::Redis::init) writes
    /// it, once for all replicas.
    pub fn is_initialized(&self) -> bool {
        self.is_initialized
    }

    /// Whether the engine keeps its data when it ends: by a log or by snapshots. `None`: it was not
    /// reached yet, or has no log and does not say whether it takes snapshots.
    ///
    /// Without, each restart of the engine ends all anonymous sessions that can be claimed. What
    /// was lost is never taken for what never was, either way.
    pub fn is_persistent(&self) -> Option<bool> {
        self.persistent
    }

    /// Why the engine is not up, as far as that is known.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}
