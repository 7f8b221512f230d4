//! Events of what providers ask: key sets, introspection, key files, key stores.

use super::events::TARGET;

/// A file of keys was read, or cannot be used.
#[cfg(any(feature = "api-key-store", feature = "jwt"))]
pub(crate) mod file {
    use std::path::Path;

    use tracing::{error, info, warn};

    use super::TARGET;

    pub(crate) fn read(name: &str, path: &Path, keys: usize) {
        info!(target: TARGET, ?path, keys, "the {name} was read");
    }

    pub(crate) fn unusable(name: &str, path: &Path, why: &str) {
        error!(
            target: TARGET,
            ?path,
            why,
            "the {name} cannot be used: the last good keys stay"
        );
    }

    #[cfg(feature = "api-key-store")]
    pub(crate) fn without_keys(path: &Path) {
        warn!(target: TARGET, ?path, "the API key file has no keys: every request is refused");
    }

    #[cfg(feature = "jwt")]
    pub(crate) fn key_skipped(path: &Path, index: usize, kid: &str, why: &str) {
        warn!(target: TARGET, ?path, index, kid, why, "a key of the key set file is skipped");
    }
}

/// The store of API keys gave no answer. Any client can repeat it: `is_due` makes it a warning.
#[cfg(feature = "api-key-store")]
pub(crate) fn key_store_failed(is_due: bool, why: &str) {
    if is_due {
        tracing::warn!(target: TARGET, why, "the API key store gave no answer");
    } else {
        tracing::debug!(target: TARGET, why, "the API key store gave no answer");
    }
}

/// Key sets of authorization servers.
#[cfg(feature = "oauth")]
pub(crate) mod keys {
    use std::time::Duration;

    use tracing::{debug, info, warn};

    use super::TARGET;

    pub(crate) fn skipped(key: &str, why: &str) {
        debug!(target: TARGET, key, why, "key skipped");
    }

    pub(crate) fn ambiguous(issuer: &str, kid: &str) {
        warn!(
            target: TARGET,
            issuer,
            kid,
            "more keys have this id than a token is tried with: tokens with it are refused as \
             `ambiguous_key`"
        );
    }

    pub(crate) fn private(issuer: &str, jwks_uri: &str, keys: &str) {
        warn!(
            target: TARGET,
            issuer,
            jwks_uri,
            keys,
            "private keys are published in a key set: whoever read it can sign tokens with \
             them; they are not used"
        );
    }

    pub(crate) fn moved(issuer: &str, from: Option<&str>, to: Option<&str>) {
        info!(target: TARGET, issuer, from, to, "the place of the keys has moved");
    }

    pub(crate) fn fetched(issuer: &str, keys: usize, lifetime: Duration) {
        info!(
            target: TARGET,
            issuer,
            keys,
            lifetime_s = lifetime.as_secs(),
            "keys fetched"
        );
    }

    pub(crate) fn failed(issuer: &str, why: &str, retry: Duration) {
        warn!(
            target: TARGET,
            issuer,
            why,
            retry_ms = retry.as_millis(),
            "keys could not be fetched"
        );
    }

    pub(crate) fn discovery_failed(issuer: &str, why: &str) {
        warn!(
            target: TARGET,
            issuer,
            why,
            "discovery failed: the place of the keys that was known is used"
        );
    }
}

/// Copies of authorization servers' metadata.
#[cfg(feature = "oauth")]
pub(crate) mod server_metadata {
    use std::time::Duration;

    use tracing::{info, warn};

    use super::TARGET;

    pub(crate) fn copied(issuer: &str, bytes: usize) {
        info!(target: TARGET, issuer, bytes, "the metadata of the authorization server were copied");
    }

    pub(crate) fn failed(issuer: &str, why: &str, retry: Duration) {
        warn!(
            target: TARGET,
            issuer,
            why,
            retry_ms = retry.as_millis(),
            "the metadata of the authorization server could not be copied"
        );
    }
}

/// Introspection at authorization servers.
#[cfg(feature = "oauth")]
pub(crate) mod introspection {
    use tracing::{debug, error, warn};

    use super::TARGET;

    /// Calls pause after it.
    pub(crate) fn failed(issuer: &str, why: &str) {
        warn!(target: TARGET, issuer, why, "introspection failed");
    }

    /// Any client can repeat it: `is_due` makes it a warning.
    pub(crate) fn trouble(is_due: bool, what: &str) {
        if is_due {
            warn!(target: TARGET, what, "introspection failed");
        } else {
            debug!(target: TARGET, what, "introspection failed");
        }
    }

    /// Every time: calls pause then.
    pub(crate) fn credentials_refused(issuer: &str, why: &str) {
        error!(
            target: TARGET,
            issuer,
            why,
            "the authorization server refuses the credentials of this server: no opaque token can \
             be accepted until they are mended"
        );
    }

    /// A refusal that is about one token, as far as can be seen. Any client can repeat it:
    /// `is_due` makes it more than `debug`. `first`: nothing says yet that our credentials are
    /// good.
    pub(crate) fn token_refused(issuer: &str, why: &str, is_due: bool, first: bool) {
        if is_due && first {
            error!(
                target: TARGET,
                issuer,
                why,
                "the authorization server refuses to say anything of a token, and has not yet \
                 accepted the credentials of this server"
            );
        } else if is_due {
            warn!(target: TARGET, issuer, why, "introspection of one token is refused");
        } else {
            debug!(target: TARGET, issuer, why, "introspection of one token is refused");
        }
    }
}
