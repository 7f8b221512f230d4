//! The JWT layer of a configuration.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::common::{algorithms, missing, secret_at};
use super::secret::SecretSource;
use super::sections::section;
use super::units::{Name, Size, Span, Texts};
use crate::error::ConfigError;
use crate::jose::{PublicKey, Secret};
use crate::jwt::{JwksFile, JwtKey, JwtLayer, JwtLayerBuilder};

section! {
    /// JWTs signed with a key that is held here. One of `secret`, `public_key`, `jwk` and
    /// `jwks_file`.
    Jwt {
        /// The secret of an HMAC, at least 32 bytes.
        secret: Option<SecretSource>,
        /// A public key as PEM: the text, `env` or `file`.
        public_key: Option<SecretSource>,
        /// A public key as JSON Web Key: the text, `env` or `file`.
        jwk: Option<SecretSource>,
        /// A file with a set of public keys, which is read again when it changes.
        jwks_file: Option<JwksFileSection>,
        /// The id tokens name the key by.
        key_id: Option<Name>,
        /// Older keys by their ids; their tokens are still good.
        also_accept: BTreeMap<String, AcceptedKey>,
        /// The algorithms tokens may be signed with.
        algorithms: Option<Texts>,
        /// The header the token is in.
        header_name: Option<String>,
        /// Whether `Bearer` stands before the token.
        require_bearer: Option<bool>,
        /// The issuer tokens must have.
        issuer: Option<String>,
        /// The audiences, one of which tokens must have.
        audience: Texts,
        /// Accepts tokens for any audience.
        dangerously_any_audience: bool,
        /// Accepts access tokens as RFC 9068 has them alone.
        require_at_jwt: bool,
        /// Values of the header `typ` that are accepted as well.
        accepted_typ: Option<Texts>,
        /// How far clocks may differ.
        clock_skew: Option<Span>,
        /// The scopes every token needs.
        required_scopes: Option<Texts>,
        /// The claim with the scopes.
        scope_claim: Option<String>,
        /// Whether a token without a subject stands for its client.
        clients_are_principals: Option<bool>,
        /// The claim with the subject.
        subject_claim: Option<Name>,
        /// The same, which can be reassigned.
        dangerously_subject_claim: Option<Name>,
        /// The realm of the challenge.
        realm: Option<Name>,
        /// How long a token may be.
        max_token_bytes: Option<Size>,
        /// How long the JOSE header of a token may be.
        max_header_bytes: Option<Size>,
    }
}

section! {
    /// An older key; its tokens are still good. One of `secret`, `public_key` and `jwk`.
    AcceptedKey {
        /// The secret of an HMAC, at least 32 bytes.
        secret: Option<SecretSource>,
        /// A public key as PEM: the text, `env` or `file`.
        public_key: Option<SecretSource>,
        /// A public key as JSON Web Key: the text, `env` or `file`.
        jwk: Option<SecretSource>,
    }
}

section! {
    /// A file with a set of public keys.
    JwksFileSection {
        /// Where it is; relative to the working directory.
        path: Option<std::path::PathBuf>,
        /// How often it is read; zero: once.
        interval: Option<Span>,
        /// How large it may be.
        max_bytes: Option<Size>,
    }
}

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

    /// Whether it says whom tokens must be for, be it anybody.
    #[cfg(feature = "oauth")]
    pub(super) fn says_audience(&self) -> bool {
        !self.audience.0.is_empty() || self.dangerously_any_audience
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
