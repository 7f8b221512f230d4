//! The auth layer of a configuration, and the layers of its providers.

use super::api_keys::Protects;
use super::common::missing;
#[cfg(feature = "jwt")]
use super::jwt::Jwt;
use super::{Config, ConfiguredAuth};
use crate::api_key::ApiKeyLayer;
use crate::auth::{AuthLayer, Authenticate};
use crate::error::ConfigError;
#[cfg(feature = "jwt")]
use crate::jwt::{JwtLayer, JwtLayerBuilder};
#[cfg(feature = "oauth")]
use crate::oauth::{OAuthLayer, OAuthLayerBuilder};

impl Config {
    /// The layer that authenticates, with every provider that is configured: OAuth before JWT
    /// before API keys. Each call makes a new one, with caches of its own.
    ///
    /// # Errors
    /// No provider is configured, a setting is refused, a secret cannot be read, or two
    /// providers cannot stand together.
    pub fn auth_layer(&self) -> Result<ConfiguredAuth, ConfigError> {
        #[cfg(feature = "oauth")]
        let oauth = self.oauth_layer()?.map(OAuthLayer::boxed);
        #[cfg(not(feature = "oauth"))]
        let oauth = None;
        self.auth_layer_with(oauth)
    }

    /// With a layer for access tokens that was made before.
    pub(super) fn auth_layer_with(
        &self,
        oauth: Option<ConfiguredAuth>,
    ) -> Result<ConfiguredAuth, ConfigError> {
        let mut auth = oauth;
        #[cfg(feature = "jwt")]
        if let Some(jwt) = self.jwt_layer()? {
            auth = Some(together(auth, jwt.boxed(), "jwt")?);
        }
        if let Some(keys) = self.api_key_layer()? {
            auth = Some(together(auth, keys.boxed(), "api_keys")?);
        }
        let why = "say who is let in: with `authorization_servers`, `jwt` or `api_keys`";
        let auth = auth.ok_or_else(|| missing("configuration", "configuration", why))?;
        self.apply_auth_settings(auth)
    }

    /// With the scopes of the policy told to clients.
    fn announced<P: Authenticate + Clone>(&self, layer: AuthLayer<P>) -> AuthLayer<P> {
        match &self.sections.policy {
            Some(policy) => layer.announce(policy),
            None => layer,
        }
    }

    /// Sets a layer to what `auth` says, and gives it the [`revocation`](Self::revocation): one of
    /// [`oauth_layer`](Self::oauth_layer), say, that stands beside a provider of your own.
    ///
    /// # Errors
    /// A setting is refused.
    pub fn apply_auth_settings<P>(
        &self,
        layer: impl Into<AuthLayer<P>>,
    ) -> Result<AuthLayer<P>, ConfigError>
    where
        P: Authenticate + Clone,
    {
        let made = self.sections.auth.add(layer.into());
        let made = self.applied.settle(&["auth"], made)?;
        let made = self.announced(made);
        Ok(match self.revocation()? {
            Some(revocation) => made.revocation(revocation),
            None => made,
        })
    }

    /// The builder of the OAuth layer, if authorization servers are configured: for what is no
    /// data, such as [`fetch`](OAuthLayerBuilder::fetch).
    ///
    /// Used DPoP proofs are in the engine of `shared`, or else in memory. There they outlive a
    /// [reload](crate::reload).
    ///
    /// # Errors
    /// A setting is refused, or a secret cannot be read; or tokens may be bound, and the
    /// configuration is not [connected](Self::connect) to the engine of `shared`.
    #[cfg(feature = "oauth")]
    #[cfg_attr(docsrs, doc(cfg(feature = "oauth")))]
    pub fn oauth_builder(&self) -> Result<Option<OAuthLayerBuilder>, ConfigError> {
        let sections = [
            "resource",
            "resources",
            "metadata",
            "authorization_servers",
            "oauth",
        ];
        let made = self.sections.oauth_builder().and_then(|made| {
            let bound = made.map(|builder| {
                let builder = self.bind_to_keys(builder)?;
                self.bind_to_certificates(builder)
            });
            bound.transpose()
        });
        self.applied.settle(&sections, made)
    }

    /// The OAuth layer alone, without the settings of `auth`, if authorization servers are
    /// configured. It announces the scopes of the `policy`.
    ///
    /// # Errors
    /// A setting is refused, or a secret cannot be read.
    #[cfg(feature = "oauth")]
    #[cfg_attr(docsrs, doc(cfg(feature = "oauth")))]
    pub fn oauth_layer(&self) -> Result<Option<OAuthLayer>, ConfigError> {
        let built = self.oauth_builder()?.map(OAuthLayerBuilder::build);
        let built = built.transpose();
        let built = built.map_err(|error| self.sections.place_of_oauth(error));
        let built = self.applied.settle(&[], built)?;
        Ok(built.map(|layer| match &self.sections.policy {
            Some(policy) => layer.announce(policy),
            None => layer,
        }))
    }

    /// The builder of the JWT layer, if `jwt` is configured. Without authorization servers it
    /// chooses between `resources`, if there are several; one that is listed alone is the audience,
    /// unless `jwt` says another.
    ///
    /// # Errors
    /// A setting is refused, or a secret cannot be read.
    #[cfg(feature = "jwt")]
    #[cfg_attr(docsrs, doc(cfg(feature = "jwt")))]
    pub fn jwt_builder(&self) -> Result<Option<JwtLayerBuilder>, ConfigError> {
        let jwt = self.sections.jwt.as_ref();
        let made = jwt.map(Jwt::builder).transpose();
        let made = self.applied.settle(&["jwt"], made)?;
        #[cfg(feature = "oauth")]
        let made = match jwt.zip(made) {
            Some((jwt, builder)) => Some(self.for_resources(jwt, builder)?),
            None => None,
        };
        Ok(made)
    }

    /// With what tokens must be for, where `resources` say it.
    #[cfg(feature = "oauth")]
    fn for_resources(
        &self,
        jwt: &Jwt,
        builder: JwtLayerBuilder,
    ) -> Result<JwtLayerBuilder, ConfigError> {
        let several = self.applied.settle(&[], self.sections.resource_set())?;
        if let Some(resources) = several {
            self.applied.settle(&["resources", "proxies"], Ok(()))?;
            return Ok(builder.resources(resources));
        }
        let one = self.applied.settle(&[], self.sections.only_listed())?;
        let Some(resource) = one else {
            return Ok(builder);
        };
        self.applied.settle(&["resources"], Ok(()))?;
        Ok(match jwt.says_audience() {
            true => builder,
            false => builder.audience(resource.resource()),
        })
    }

    /// The JWT layer alone, without the settings of `auth`, if `jwt` is configured.
    ///
    /// # Errors
    /// A setting is refused, or a secret cannot be read.
    #[cfg(feature = "jwt")]
    #[cfg_attr(docsrs, doc(cfg(feature = "jwt")))]
    pub fn jwt_layer(&self) -> Result<Option<JwtLayer>, ConfigError> {
        let built = self.jwt_builder()?.map(JwtLayerBuilder::build);
        let built = built.transpose().map_err(|error| match error.setting() {
            "resources" => error.at("resources"),
            _ => error.under("jwt"),
        });
        self.applied.settle(&[], built)
    }

    /// The API key layer alone, without the settings of `auth`, if `api_keys` are configured. It
    /// protects the `resource`, if that is given; where nothing but keys is configured, it chooses
    /// between `resources`.
    ///
    /// # Errors
    /// A setting is refused, or a secret or the key file cannot be read.
    pub fn api_key_layer(&self) -> Result<Option<ApiKeyLayer>, ConfigError> {
        let Some(keys) = &self.sections.api_keys else {
            return Ok(None);
        };
        let protects = self.sections.protected_by_keys();
        let protects = self.applied.settle(&[], protects)?;
        let sections: &[_] = match &protects {
            Protects::Unsaid => &["api_keys"],
            Protects::One(..) => &["api_keys", "resource", "resources"],
            #[cfg(feature = "oauth")]
            Protects::Several(_) => &["api_keys", "resources", "proxies"],
        };
        let layer = self
            .engine()
            .and_then(|engine| keys.layer(protects, engine));
        self.applied.settle(sections, layer.map(Some))
    }
}

fn together(
    auth: Option<ConfiguredAuth>,
    other: ConfiguredAuth,
    section: &'static str,
) -> Result<ConfiguredAuth, ConfigError> {
    let Some(auth) = auth else { return Ok(other) };
    let both = auth.or(other).map_err(|error| match error.setting() {
        // Of a key, which the message tells of.
        "resources" => error.at(format!("{section}.keys")),
        _ => error.under(section),
    })?;
    Ok(both.boxed())
}
