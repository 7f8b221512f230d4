//! `JwtLayer`: the layer.

use std::fmt;

use super::{JwtKey, JwtLayerBuilder, JwtProvider};
use crate::auth::{AuthLayer, auth_layer_newtype};
use crate::error::ConfigError;
use crate::requirement::Strength;

/// The layer that asks for a JWT signed with a key of your own.
///
/// See the [module docs](crate::jwt) for an example.
#[derive(Clone)]
#[must_use]
pub struct JwtLayer(AuthLayer<JwtProvider>);

impl JwtLayer {
    /// A layer with every default: [`JwtLayer::builder`]`(key).build()`.
    ///
    /// # Errors
    /// A public key needs an audience, so this is for secrets: see
    /// [`JwtLayerBuilder::build`].
    pub fn new(key: impl Into<JwtKey>) -> Result<Self, ConfigError> {
        Self::builder(key).build()
    }

    /// Starts a layer that checks tokens with `key`: a [`Secret`](crate::jose::Secret) or a
    /// [`PublicKey`](crate::jose::PublicKey).
    pub fn builder(key: impl Into<JwtKey>) -> JwtLayerBuilder {
        JwtLayerBuilder::new(key.into())
    }

    /// See [`AuthLayer::required_strength`]: asks every token for a user who signed in like this.
    ///
    /// # Errors
    /// It asks for nothing, or for values of `acr` that exclude each other.
    pub fn required_strength(self, strength: Strength) -> Result<Self, ConfigError> {
        self.0.required_strength(strength).map(Self)
    }

    pub(super) fn from_provider(provider: JwtProvider) -> Self {
        Self(AuthLayer::new(provider))
    }
}

auth_layer_newtype!(JwtLayer, JwtProvider);

impl fmt::Debug for JwtLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JwtLayer").field(self.0.provider()).finish()
    }
}
