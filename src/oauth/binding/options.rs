//! `DpopOptions`: what holds for the proofs of all authorization servers of a layer.

use std::fmt;
use std::sync::Arc;
#[cfg(feature = "config")]
use std::sync::Weak;

use super::nonce::Nonces;
#[cfg(feature = "config")]
use super::replay::Table;
use super::replay::UsedProofs;
use crate::error::ConfigError;
use crate::secret::check_strength;
use crate::store::ReplayStore;
use crate::telemetry;

/// What holds for DPoP proofs, whichever authorization server bound the token; see
/// [the module](super) for what is checked.
///
/// Clones share the memory of used proofs: give a clone to the layer that takes the place of
/// another one.
///
/// ```
/// use tower_mcp_auth::oauth::binding::DpopOptions;
///
/// let options = DpopOptions::new().nonce_secret("R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5")?;
/// assert!(DpopOptions::new().nonce_secret("too short").is_err());
/// # let _ = options;
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct DpopOptions {
    pub(super) replays: Replays,
    pub(super) nonces: Option<Nonces>,
    pub(super) max_prepared_keys: usize,
}

/// Where it is kept which proofs were used.
#[derive(Clone)]
pub(super) enum Replays {
    Memory(Arc<UsedProofs>),
    Shared(Arc<dyn ReplayStore>),
    Unchecked,
}

impl Replays {
    /// The setting that chose it, where it is not the default.
    fn setting(&self) -> Option<&'static str> {
        match self {
            Self::Memory(used) if used.max_entries() == DpopOptions::MAX_USED_PROOFS => None,
            Self::Memory(_) => Some("max_used_proofs"),
            Self::Shared(_) => Some("replay_store"),
            Self::Unchecked => Some("dangerously_allow_replays"),
        }
    }
}

impl DpopOptions {
    /// How many used proofs are kept in memory at most by default: about 1,600 proofs a second.
    pub const MAX_USED_PROOFS: usize = 1_000_000;

    /// Used proofs in memory, no nonces.
    pub fn new() -> Self {
        Self {
            replays: Replays::Memory(Arc::new(UsedProofs::new(Self::MAX_USED_PROOFS))),
            nonces: None,
            max_prepared_keys: 10_000,
        }
    }

    /// How many used proofs are kept in memory at most; default
    /// [`MAX_USED_PROOFS`](Self::MAX_USED_PROOFS), which take less than 64 MiB.
    ///
    /// A proof is kept until it could not be used again, 10 minutes at most. While more than half
    /// are in use, one issuer, subject and client has a tenth of them. Where there is no room, a
    /// request is 503 `dpop_replays_unavailable`: a proof that is not kept could be used twice.
    /// There is a warning from 80 % on.
    ///
    /// # Errors
    /// It is zero, or used proofs were set to be kept elsewhere, or not at all.
    pub fn max_used_proofs(mut self, proofs: usize) -> Result<Self, ConfigError> {
        const SETTING: &str = "max_used_proofs";
        if proofs == 0 {
            return Err(ConfigError::new(
                SETTING,
                "with zero no proof could be accepted: give one or more",
            ));
        }
        self.only(SETTING)?;
        self.replays = Replays::Memory(Arc::new(UsedProofs::new(proofs)));
        Ok(self)
    }

    /// Keeps used proofs in a store that replicas share, instead of in memory: without it a proof
    /// can be used once at each replica.
    ///
    /// An answer that does not come is 503 `dpop_replays_unavailable`, and so are requests while the
    /// store does not know yet what was used: of an engine that is new, or has lost its records, for
    /// a minute. For 300 seconds more a proof needs a [nonce](super#used-proofs), which replicas
    /// agree on in the store. Records live 5 minutes longer than their proofs, as the clocks of
    /// replicas differ.
    ///
    /// # Errors
    /// Used proofs were set to be kept elsewhere, or not at all.
    pub fn replay_store(mut self, store: impl ReplayStore) -> Result<Self, ConfigError> {
        self.only("replay_store")?;
        self.replays = Replays::Shared(Arc::new(store));
        Ok(self)
    }

    /// Accepts a proof as often as it comes, within 60 seconds of its `iat` instead of 300. Default:
    /// once.
    ///
    /// Who can read a request can then repeat it, whatever it does. There is a warning at start.
    ///
    /// # Errors
    /// It was set where used proofs are kept.
    pub fn dangerously_allow_replays(mut self) -> Result<Self, ConfigError> {
        self.only("dangerously_allow_replays")?;
        telemetry::weakened(
            "dangerously_allow_replays",
            "DPoP proofs are accepted more than once",
        );
        self.replays = Replays::Unchecked;
        Ok(self)
    }

    /// Asks clients for nonces ([RFC 9449 section 9]), made with this secret: 32 or more random
    /// bytes, the same ones at all replicas.
    ///
    /// A proof without one is 401 `use_dpop_nonce`, with the nonce to use in `DPoP-Nonce`; clients
    /// send the request again. A nonce is good for 150 to 300 seconds, at one resource. A proof
    /// with one is as old as its nonce, whatever the clock of its client shows. An accepted request
    /// with the older one of two brings the next one. Nothing is kept of nonces. After a loss of
    /// the [shared store](Self::replay_store) proofs are 503 until a nonce was given since: 150
    /// seconds at most.
    ///
    /// Default: no nonces; a proof is within 300 seconds of its `iat`.
    ///
    /// # Errors
    /// There are fewer than 32 bytes, or they are an obvious placeholder.
    ///
    /// [RFC 9449 section 9]: https://www.rfc-editor.org/rfc/rfc9449#section-9
    pub fn nonce_secret(mut self, secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let secret = secret.as_ref();
        check_strength("nonce_secret", "secret", secret)?;
        self.nonces = Some(Nonces::new(secret));
        Ok(self)
    }

    /// How many keys of clients are kept ready; default 10,000, of about 2 KiB each, and with RSA of
    /// up to 6 KiB.
    ///
    /// A key is kept once a proof with it was accepted, with the header of that proof: a proof with
    /// the same header costs little more than its signature. One that is longer than 2 KiB is read
    /// each time, and with zero each is.
    pub fn max_prepared_keys(mut self, keys: usize) -> Self {
        self.max_prepared_keys = keys;
        self
    }

    /// What is known of used proofs, as long as others keep it.
    #[cfg(feature = "config")]
    pub(crate) fn used_proofs(&self) -> WeakUsedProofs {
        WeakUsedProofs(match &self.replays {
            Replays::Memory(used) => Arc::downgrade(used.table()),
            Replays::Shared(_) | Replays::Unchecked => Weak::new(),
        })
    }

    /// The same options, going on with these used proofs. `None`: no layer keeps them any more, or
    /// they are kept elsewhere.
    #[cfg(feature = "config")]
    pub(crate) fn knowing(&self, used: &WeakUsedProofs) -> Option<Self> {
        let Replays::Memory(own) = &self.replays else {
            return None;
        };
        let used = own.in_table(used.0.upgrade()?);
        Some(Self {
            replays: Replays::Memory(Arc::new(used)),
            ..self.clone()
        })
    }

    /// Refuses a second choice of where used proofs are kept.
    fn only(&self, setting: &'static str) -> Result<(), ConfigError> {
        match self.replays.setting() {
            Some(own) if own != setting => Err(ConfigError::new(
                setting,
                format!("`{own}` and `{setting}` contradict each other: keep one"),
            )),
            _ => Ok(()),
        }
    }
}

/// Used proofs in memory that are there as long as others keep them.
#[cfg(feature = "config")]
pub(crate) struct WeakUsedProofs(Weak<Table>);

impl Default for DpopOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Replays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(used) => used.fmt(f),
            Self::Shared(store) => store.fmt(f),
            Self::Unchecked => f.write_str("Unchecked"),
        }
    }
}
