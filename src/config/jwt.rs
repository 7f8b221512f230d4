//! The JWT layer of a configuration.

use super::read::{algorithms, missing, secret_at};
use super::sections::Jwt;
use super::units::Span;
use crate::error::ConfigError;
use crate::jose::{PublicKey, Secret};
use crate::jwt::{JwtKey, JwtLayer, JwtLayerBuilder};

impl Jwt {
    pub(super) fn builder(&self) -> Result<JwtLayerBuilder, ConfigError> {
        let mut builder = JwtLayer::builder(self.key()?);
        if let Some(names) = &self.algorithms {
            let listed = algorithms(names).map_err(|error| error.at("jwt.algorithms"))?;
            builder = builder.algorithms(listed);
        }
        if let Some(kid) = &self.key_id {
            builder = builder.key_id(kid.as_str());
        }
        if let Some(name) = &self.header_name {
            builder = builder.header_name(name);
        }
        if let Some(require) = self.require_bearer {
            builder = builder.require_bearer(require);
        }
        if let Some(issuer) = &self.issuer {
            builder = builder.issuer(issuer);
        }
        for audience in &self.audience.0 {
            builder = builder.audience(audience.as_str());
        }
        if self.dangerously_any_audience {
            builder = builder.dangerously_any_audience();
        }
        if self.require_at_jwt {
            builder = builder.require_at_jwt();
        }
        if let Some(Span(skew)) = self.clock_skew {
            builder = builder.clock_skew(skew);
        }
        if let Some(scopes) = &self.required_scopes {
            builder = builder.required_scopes(&scopes.0);
        }
        if let Some(claim) = &self.scope_claim {
            builder = builder.scope_claim(claim.clone());
        }
        if let Some(machines_only) = self.clients_are_principals {
            builder = builder.clients_are_principals(machines_only);
        }
        if let Some(realm) = &self.realm {
            builder = builder.realm(realm.as_str());
        }
        Ok(builder)
    }

    fn key(&self) -> Result<JwtKey, ConfigError> {
        let (path, source) = match (&self.secret, &self.public_key, &self.jwk) {
            (Some(secret), None, None) => ("jwt.secret", secret),
            (None, Some(key), None) => ("jwt.public_key", key),
            (None, None, Some(key)) => ("jwt.jwk", key),
            (None, None, None) => {
                let why = "give one of `secret`, `public_key` and `jwk`";
                return Err(missing("secret", "jwt.secret", why));
            }
            _ => {
                let why = "`secret`, `public_key` and `jwk` contradict each other: keep one";
                return Err(ConfigError::new("secret", why).at("jwt"));
            }
        };
        let text = secret_at(source, path)?;
        let text = text.expose();
        let key = if self.secret.is_some() {
            Secret::new(text).map(JwtKey::from)
        } else if self.jwk.is_some() {
            PublicKey::from_jwk(text).map(JwtKey::from)
        } else {
            PublicKey::from_pem(text).map(JwtKey::from)
        };
        key.map_err(|error| error.at(path))
    }
}
