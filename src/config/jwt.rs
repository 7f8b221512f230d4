//! JWTs signed with a key of one's own.

use std::path::PathBuf;

use serde::Deserialize;

use super::human::{Flag, List, Time};
use super::{SecretSource, file};
use crate::error::ConfigError;
use crate::jose::{PublicKey, Secret};
use crate::jwt::{JwtKey, JwtLayer};

/// The section `jwt`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct JwtSection {
    secret: Option<SecretSource>,
    /// PEM, or one JSON Web Key.
    public_key_file: Option<PathBuf>,
    key_id: Option<String>,
    algorithms: List<String>,
    header_name: Option<String>,
    require_bearer: Option<Flag>,
    issuer: Option<String>,
    audience: List<String>,
    dangerously_any_audience: Flag,
    require_at_jwt: Flag,
    clock_skew: Option<Time>,
    required_scopes: List<String>,
    scope_claim: Option<String>,
    clients_are_principals: Option<Flag>,
    realm: Option<String>,
}

impl JwtSection {
    pub(super) fn build(&self) -> Result<JwtLayer, ConfigError> {
        let mut builder = JwtLayer::builder(self.key()?);
        if let Some(kid) = &self.key_id {
            builder = builder.key_id(kid.as_str());
        }
        if !self.algorithms.0.is_empty() {
            builder = builder.algorithms(super::algorithms(&self.algorithms)?);
        }
        if let Some(name) = &self.header_name {
            builder = builder.header_name(name);
        }
        if let Some(Flag(require)) = self.require_bearer {
            builder = builder.require_bearer(require);
        }
        if let Some(issuer) = &self.issuer {
            builder = builder.issuer(issuer);
        }
        for audience in &self.audience.0 {
            builder = builder.audience(audience.as_str());
        }
        if self.dangerously_any_audience.0 {
            builder = builder.dangerously_any_audience();
        }
        if self.require_at_jwt.0 {
            builder = builder.require_at_jwt();
        }
        if let Some(Time(skew)) = self.clock_skew {
            builder = builder.clock_skew(skew);
        }
        builder = builder.required_scopes(&self.required_scopes.0);
        if let Some(claim) = &self.scope_claim {
            builder = builder.scope_claim(claim.clone());
        }
        if let Some(Flag(machines_only)) = self.clients_are_principals {
            builder = builder.clients_are_principals(machines_only);
        }
        if let Some(realm) = &self.realm {
            builder = builder.realm(realm);
        }
        builder.build()
    }

    fn key(&self) -> Result<JwtKey, ConfigError> {
        match (&self.secret, &self.public_key_file) {
            (Some(secret), None) => {
                let secret = secret.resolve().map_err(|error| error.at("secret"))?;
                let secret = Secret::new(secret.expose()).map_err(|error| error.at("secret"))?;
                Ok(secret.into())
            }
            (None, Some(path)) => {
                let bytes = file::read(path).map_err(|error| error.at("public_key_file"))?;
                let is_json = bytes.trim_ascii_start().starts_with(b"{");
                let key = match is_json {
                    true => PublicKey::from_jwk(bytes),
                    false => PublicKey::from_pem(bytes),
                };
                Ok(key.map_err(|error| error.at("public_key_file"))?.into())
            }
            (Some(_), Some(_)) => Err(ConfigError::new(
                "secret",
                "`secret` and `public_key_file` contradict each other: keep one",
            )),
            (None, None) => Err(ConfigError::new(
                "secret",
                "there is no key; give `secret` or `public_key_file`",
            )),
        }
    }
}
