//! `RedisApiKeys::expiring_within`: keys that end soon, by an index in the engine.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::redis::Value;

use super::api_keys::{RedisApiKeys, error, unusable};
use super::fault::text;
use super::scripts::Script;
use crate::api_key::{ApiKey, ApiKeyStoreError, KeyDigest};

/// How many are asked for at once.
const PART: usize = 1000;

/// An API key that ends soon: see [`RedisApiKeys::expiring_within`].
#[derive(Clone)]
pub struct ExpiringApiKey {
    digest: KeyDigest,
    key: ApiKey,
    expires_at: Duration,
}

impl ExpiringApiKey {
    /// The digest, to [rotate](RedisApiKeys::rotate) the key by.
    pub fn digest(&self) -> KeyDigest {
        self.digest
    }

    /// The key as it was put.
    pub fn key(&self) -> &ApiKey {
        &self.key
    }

    /// The id, if it has one.
    pub fn id(&self) -> Option<&str> {
        self.key.parts().id
    }

    /// The name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.key.parts().name
    }

    /// The owner of the key, if that is known.
    pub fn owner(&self) -> Option<&str> {
        self.key.parts().owner
    }

    /// When it ends.
    pub fn expires_at(&self) -> SystemTime {
        UNIX_EPOCH
            .checked_add(self.expires_at)
            .unwrap_or(UNIX_EPOCH)
    }
}

impl fmt::Debug for ExpiringApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpiringApiKey")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("owner", &self.owner())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}

impl RedisApiKeys {
    /// The keys that are good now, and end within this time; those that end first come first.
    ///
    /// It is for a job once a day that writes to owners. Each key is one question, and the index is
    /// asked for a thousand at a time: no request waits for it. Where a key is changed meanwhile,
    /// it may be left out, or be there as it was.
    ///
    /// # Errors
    /// The engine does not answer, or the code of a record does not fit.
    pub async fn expiring_within(
        &self,
        time: Duration,
    ) -> Result<Vec<ExpiringApiKey>, ApiKeyStoreError> {
        let now = self.shared.settings.clock.now();
        let until = now.saturating_add(time).as_secs();
        let mut keys = Vec::new();
        let mut from = now.as_secs();
        let mut skipped = 0;
        loop {
            let part = self.ending(from, until, skipped).await?;
            for (digest, _) in &part {
                let Some(found) = self.read(digest).await? else {
                    continue;
                };
                // The record is what counts: a writer of the engine can change the index.
                let parts = found.key.parts();
                let ends = parts
                    .expires_at
                    .filter(|at| *at > now && at.as_secs() <= until);
                if let Some(expires_at) = ends.filter(|_| !parts.revoked) {
                    keys.push(ExpiringApiKey {
                        digest: *digest,
                        key: found.key,
                        expires_at,
                    });
                }
            }
            let Some((_, last)) = part.last().filter(|_| part.len() == PART) else {
                break;
            };
            // Those that end in the same second as the last one come again, but for those seen.
            let seen = part.iter().rev().take_while(|(_, at)| at == last).count();
            skipped = if *last == from { skipped + seen } else { seen };
            from = *last;
        }
        keys.sort_by_key(|key| key.expires_at);
        Ok(keys)
    }

    /// A part of the index: those that end in these seconds, with the second of each.
    async fn ending(
        &self,
        from: u64,
        until: u64,
        skipped: usize,
    ) -> Result<Vec<(KeyDigest, u64)>, ApiKeyStoreError> {
        let numbers = [from, until, skipped as u64, PART as u64].map(|number| number.to_string());
        let arguments = numbers.each_ref().map(|number| number.as_bytes());
        let index = [self.index()];
        let answer = self
            .shared
            .ask(Script::EndingKeys, &index, &arguments)
            .await;
        let Some(Value::Array(members)) = answer.map_err(error)? else {
            return Err(unusable());
        };
        let mut part = Vec::new();
        for pair in members.chunks(2) {
            let [digest, at] = pair else {
                return Err(unusable());
            };
            let digest = text(digest).and_then(|digest| digest.parse().ok());
            let at = text(at).and_then(|at| at.parse::<f64>().ok());
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let at = at.map(|at| at as u64);
            part.push(digest.zip(at).ok_or_else(unusable)?);
        }
        Ok(part)
    }
}
