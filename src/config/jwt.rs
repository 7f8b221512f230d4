//! The JWT layer of a configuration.

use super::read::{algorithms, missing, secret_at};
use super::secret::SecretSource;
use super::sections::Jwt;
use super::units::Span;
use crate::error::ConfigError;
use crate::jose::{PublicKey, Secret};
use crate::jwt::{JwksFile, JwtKey, JwtLayer, JwtLayerBuilder};

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
        for (kid, accepted) in &self.also_accept {
            let given = [&accepted.secret, &accepted.public_key, &accepted.jwk];
            let accepted = key(given, &format!("jwt.also_accept.{kid}"), "")?;
            builder = builder.also_accept(kid.as_str(), accepted);
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
        if let Some(types) = &self.accepted_typ {
            builder = builder.accepted_typ(&types.0);
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
        if let Some(claim) = &self.subject_claim {
            builder = builder.subject_claim(claim.as_str());
        }
        if let Some(claim) = &self.dangerously_subject_claim {
            builder = builder.dangerously_subject_claim(claim.as_str());
        }
        if let Some(realm) = &self.realm {
            builder = builder.realm(realm.as_str());
        }
        if let Some(size) = self.max_token_bytes {
            builder = builder.max_token_bytes(size.bytes("jwt.max_token_bytes".to_owned())?);
        }
        if let Some(size) = self.max_header_bytes {
            builder = builder.max_header_bytes(size.bytes("jwt.max_header_bytes".to_owned())?);
        }
        Ok(builder)
    }

    fn key(&self) -> Result<JwtKey, ConfigError> {
        let Some(section) = &self.jwks_file else {
            let given = [&self.secret, &self.public_key, &self.jwk];
            return key(given, "jwt", ", or `jwks_file`");
        };
        let others = [&self.secret, &self.public_key, &self.jwk];
        if others.into_iter().any(Option::is_some) {
            let why = "`jwks_file` and a key beside it contradict each other: keep one";
            return Err(ConfigError::new("jwks_file", why).at("jwt"));
        }
        let path = section.path.as_ref();
        let path =
            path.ok_or_else(|| missing("path", "jwt.jwks_file.path", "say where the keys are"))?;
        let mut file = JwksFile::new(path);
        if let Some(Span(interval)) = section.interval {
            file = file.interval(interval);
        }
        if let Some(size) = section.max_bytes {
            file = file.max_bytes(size.0);
        }
        Ok(file.into())
    }
}

/// The one key that is given, of a secret, a PEM and a JWK.
fn key(
    given: [&Option<SecretSource>; 3],
    path: &str,
    or_else: &str,
) -> Result<JwtKey, ConfigError> {
    let (name, source) = match given {
        [Some(secret), None, None] => ("secret", secret),
        [None, Some(key), None] => ("public_key", key),
        [None, None, Some(key)] => ("jwk", key),
        [None, None, None] => {
            let why = format!("give one of `secret`, `public_key` and `jwk`{or_else}");
            return Err(ConfigError::new("secret", why).at(format!("{path}.secret")));
        }
        _ => {
            let why = "`secret`, `public_key` and `jwk` contradict each other: keep one";
            return Err(ConfigError::new("secret", why).at(path));
        }
    };
    let path = format!("{path}.{name}");
    let text = secret_at(source, &path)?;
    let text = text.expose();
    let key = match name {
        "secret" => Secret::new(text).map(JwtKey::from),
        "jwk" => PublicKey::from_jwk(text).map(JwtKey::from),
        _ => PublicKey::from_pem(text).map(JwtKey::from),
    };
    key.map_err(|error| error.at(path))
}
