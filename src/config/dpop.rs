//! DPoP as data: which tokens may be bound, and where used proofs are kept.

use std::sync::Mutex;

use serde::Deserialize;

use super::Config;
use super::binding::Mode;
use super::common::secret_at;
use super::engine::used_at;
use super::secret::SecretSource;
use super::sections::{Sections, section};
use crate::error::ConfigError;
use crate::oauth::OAuthLayerBuilder;
use crate::oauth::binding::{DpopOptions, WeakUsedProofs};
use crate::util::locked;

section! {
    /// DPoP proofs.
    DpopSection {
        /// How many used proofs are kept in memory at most; 1000000 by default. Configurations of
        /// one process keep theirs together, and the largest number counts.
        max_used_proofs: Option<usize>,
        /// Accepts a proof as often as it comes.
        dangerously_allow_replays: bool,
        /// Asks clients for nonces, which are made with this.
        nonce_secret: Option<SecretSource>,
        /// How many keys of clients are kept ready.
        max_prepared_keys: Option<usize>,
    }
}

/// Used proofs of the layers in force. A reload builds the new layers while the old ones are there,
/// and goes on with what these know; without it each proof could be used again. All layers of
/// configurations have the same, whatever their resources and limits are: these may change.
static KEPT: Mutex<Option<WeakUsedProofs>> = Mutex::new(None);

impl Config {
    /// Sets what holds for proofs, where tokens may be bound to keys.
    pub(super) fn bind_to_keys(
        &self,
        builder: OAuthLayerBuilder,
    ) -> Result<OAuthLayerBuilder, ConfigError> {
        let section = self.sections.dpop();
        let mut servers = self.sections.authorization_servers.items.iter();
        let is_bound = servers.any(|(_, server)| !matches!(server.dpop, Mode::Off));
        match (is_bound, section) {
            (false, None) => Ok(builder),
            (false, Some(_)) => {
                let why = "it is for tokens that are bound, and `dpop` of no authorization server \
                           is `allowed` or `required`";
                Err(ConfigError::new("dpop", why).at("oauth.dpop"))
            }
            (true, section) => {
                let section = section.cloned().unwrap_or_default();
                Ok(builder.dpop_options(self.dpop_options(&section)?))
            }
        }
    }

    fn dpop_options(&self, section: &DpopSection) -> Result<DpopOptions, ConfigError> {
        let at = |key: &str| {
            let path = format!("oauth.dpop.{key}");
            move |error: ConfigError| error.at(path)
        };
        let mut options = DpopOptions::new();
        let engine = match section.dangerously_allow_replays {
            true => None,
            false => self.engine()?,
        };
        if let Some(most) = section.max_used_proofs {
            if engine.is_some() {
                let why = "used proofs are in the engine of `shared`: its memory is the limit";
                let error = ConfigError::new("max_used_proofs", why);
                return Err(at("max_used_proofs")(error));
            }
            options = options
                .max_used_proofs(most)
                .map_err(at("max_used_proofs"))?;
        }
        options = match (section.dangerously_allow_replays, engine) {
            (true, _) => options
                .dangerously_allow_replays()
                .map_err(at("dangerously_allow_replays"))?,
            (false, Some(engine)) => {
                used_at(options, engine).map_err(|error| error.at("shared"))?
            }
            (false, None) => kept(options),
        };
        if let Some(source) = &section.nonce_secret {
            let secret = secret_at(source, "oauth.dpop.nonce_secret")?;
            let set = options.nonce_secret(secret.expose());
            options = set.map_err(at("nonce_secret"))?;
        }
        if let Some(keys) = section.max_prepared_keys {
            options = options.max_prepared_keys(keys);
        }
        Ok(options)
    }
}

impl Sections {
    fn dpop(&self) -> Option<&DpopSection> {
        self.oauth.as_ref()?.dpop.as_ref()
    }
}

/// The options with the memory of the layers in force, if there are any.
fn kept(options: DpopOptions) -> DpopOptions {
    let mut kept = locked(&KEPT);
    let known = kept.as_ref().and_then(|kept| options.knowing(kept));
    known.unwrap_or_else(|| {
        *kept = Some(options.used_proofs());
        options
    })
}
