//! The keys of a layer as they are configured, and the algorithms that go with them.

use super::JwksFile;
#[cfg(doc)]
use super::JwtLayer;
use crate::error::ConfigError;
use crate::jose::{Algorithm, Family, KeySource, PublicKey, Secret};

/// The key of a [`JwtLayer`]: a secret or a public key, never guessed from bytes, or a file
/// with public keys.
#[derive(Clone, Debug)]
pub struct JwtKey(pub(super) Held);

#[derive(Clone, Debug)]
pub(super) enum Held {
    One(KeySource),
    File(JwksFile),
}

impl From<Secret> for JwtKey {
    fn from(secret: Secret) -> Self {
        Self(Held::One(KeySource::Secret(secret, None)))
    }
}

impl From<PublicKey> for JwtKey {
    fn from(key: PublicKey) -> Self {
        Self(Held::One(KeySource::Public(key)))
    }
}

impl From<JwksFile> for JwtKey {
    fn from(file: JwksFile) -> Self {
        Self(Held::File(file))
    }
}

impl JwtKey {
    /// The same under this id. `None`: it is a file, and the keys in it have ids of their own.
    fn named(self, kid: Box<str>) -> Option<KeySource> {
        match self.0 {
            Held::One(KeySource::Secret(secret, _)) => Some(KeySource::Secret(secret, Some(kid))),
            Held::One(KeySource::Public(key)) => Some(KeySource::Public(key.key_id(kid))),
            Held::File(_) => None,
        }
    }
}

/// The keys that are configured, under their ids; none where they stand in a file.
pub(super) fn sources(
    key: &JwtKey,
    key_id: Option<&str>,
    also_accepted: &[(Box<str>, JwtKey)],
) -> Result<Vec<KeySource>, ConfigError> {
    let refuse = |setting, why: &str| Err(ConfigError::new(setting, why));
    let first = match (&key.0, key_id) {
        (Held::File(_), None) if also_accepted.is_empty() => return Ok(Vec::new()),
        (Held::File(_), Some(_)) => {
            return refuse(
                "key_id",
                "`key_id` and a file of keys contradict each other: put `kid` into the file",
            );
        }
        (Held::File(_), None) => {
            return refuse(
                "also_accept",
                "`also_accept` and a file of keys contradict each other: put the key into \
                 the file",
            );
        }
        (Held::One(_), Some("")) => {
            return refuse("key_id", "the key id is empty: give one, or leave it out");
        }
        (Held::One(key), None) => Some(key.clone()),
        (Held::One(_), Some(kid)) => key.clone().named(kid.into()),
    };
    let mut sources: Vec<KeySource> = first.into_iter().collect();
    for (kid, key) in also_accepted {
        if kid.is_empty() {
            return refuse("also_accept", "the key id is empty");
        }
        if sources.iter().any(|own| own.key_id() == Some(kid)) {
            return Err(ConfigError::new(
                "also_accept",
                format!("there are two keys with the id {kid:?}; give each its own"),
            ));
        }
        match key.clone().named(kid.clone()) {
            Some(source) => sources.push(source),
            None => {
                return refuse(
                    "also_accept",
                    "a file of keys stands alone: give it to `JwtLayer::builder`",
                );
            }
        }
    }
    Ok(sources)
}

pub(super) fn check_algorithms(
    algorithms: Option<&[Algorithm]>,
    sources: &[KeySource],
) -> Result<(), ConfigError> {
    let refuse = |message: String| Err(ConfigError::new("algorithms", message));
    if algorithms.is_some_and(<[_]>::is_empty) {
        return refuse("the list is empty, so no token could pass".to_owned());
    }
    let mut listed = algorithms.iter().copied().flatten();
    listed.try_for_each(|alg| alg.check_backend())?;
    if sources.is_empty() {
        let secret = |alg: &&Algorithm| alg.family() == Family::Hmac;
        return match algorithms.iter().copied().flatten().find(secret) {
            Some(alg) => refuse(format!("{alg} goes with no public key; leave it out")),
            None => Ok(()),
        };
    }
    let is_alone = sources.len() == 1;
    for alg in algorithms.iter().copied().flatten() {
        let of_kind = |key: &&KeySource| key.family() == alg.family();
        if !sources.iter().any(|key| of_kind(&key)) {
            let kinds: Vec<&str> = sources.iter().map(|key| key.family().name()).collect();
            return refuse(format!(
                "{alg} does not go with {}; list only algorithms of the key's kind",
                kinds.join(" and ")
            ));
        }
        let declares_other =
            |key: &KeySource| key.declared_algorithm().is_some_and(|own| own != *alg);
        if sources.iter().filter(of_kind).all(declares_other) {
            return refuse(format!("the JWK is for another algorithm than {alg}"));
        }
    }
    for key in sources {
        let default = [key.default_algorithm()];
        let listed = algorithms.unwrap_or(&default);
        let served = || listed.iter().filter(|alg| alg.family() == key.family());
        if !is_alone && served().next().is_none() {
            return refuse(format!(
                "none goes with {}, which is one of the keys",
                key.family().name()
            ));
        }
        for alg in served() {
            let needed = match alg {
                Algorithm::HS512 => 64,
                Algorithm::HS384 => 48,
                _ => 32,
            };
            if let Some(len) = key.secret_len().filter(|len| *len < needed) {
                return Err(ConfigError::new(
                    "secret",
                    format!("{alg} needs a secret of at least {needed} bytes, this has {len}"),
                ));
            }
        }
    }
    Ok(())
}
