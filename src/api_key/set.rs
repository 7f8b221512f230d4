//! Keys held in memory.

use std::collections::HashMap;
use std::time::Duration;

use super::demand::Demand;
use super::digest::{DigestKind, KeyDigest, Pepper};
use super::entry::{self, Entry, Faults, is_same, refused};
use super::format::Shape;
use super::key::{ApiKey, LENGTHS};
use crate::clock::Clock;
use crate::crypto::{ByDigest, sha256};
use crate::error::{AuthError, ConfigError};

/// Keys by their digests.
#[derive(Default)]
pub(super) struct KeySet {
    keys: HashMap<[u8; 32], Entry, ByDigest>,
    /// Whether any key has an end or a beginning: the clock is read for all keys, or for
    /// none.
    has_times: bool,
    /// Whether there are keys of which the digest was given.
    has_digests: bool,
    /// Whether one of them is foreign.
    has_foreign: bool,
    /// How the keys begin, where that is known.
    starts: Vec<Box<str>>,
    /// Those that name no resource.
    unnamed: Unnamed,
}

/// How many keys name no resource, and which of them comes first.
#[derive(Default)]
struct Unnamed {
    count: usize,
    first: Option<(usize, Box<str>)>,
}

impl KeySet {
    pub(super) fn collect<I>(keys: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: TryInto<ApiKey>,
        ConfigError: From<<I::Item as TryInto<ApiKey>>::Error>,
    {
        let mut set = Self::default();
        for (index, key) in keys.into_iter().enumerate() {
            let key: ApiKey = key.try_into()?;
            if key.resources.is_none() {
                set.unnamed.count += 1;
                let first = &mut set.unnamed.first;
                first.get_or_insert_with(|| (index + 1, entry::label(&key)));
            }
            set.has_times |= key.validity.has_times();
            set.has_digests |= key.kind.is_some();
            set.starts.extend(key.start.clone());
            set.has_foreign |= key.kind == Some(DigestKind::Foreign);
            let entry = Entry::new(&key);
            if set.keys.insert(*entry.digest(), entry).is_some() {
                return Err(ConfigError::new("keys", "the same API key is there twice"));
            }
        }
        Ok(set)
    }

    /// Refuses a set that no caller can use, or that needs a pepper and has none.
    pub(super) fn check(&self, pepper: Option<&Pepper>) -> Result<(), ConfigError> {
        if self.keys.is_empty() {
            return Err(ConfigError::new(
                "keys",
                "there is no API key, so every request would be refused; give at least one",
            ));
        }
        self.check_pepper(pepper)
    }

    pub(super) fn check_pepper(&self, pepper: Option<&Pepper>) -> Result<(), ConfigError> {
        if self.has_foreign && pepper.is_none() {
            return Err(ConfigError::new(
                "keys",
                "there is a digest made with a pepper, and no pepper to compare with; give it",
            ));
        }
        Ok(())
    }

    /// Refuses a set with a key that no caller could use, because it begins with something else.
    pub(super) fn check_prefix(&self, prefix: Option<&str>) -> Result<(), ConfigError> {
        let Some(prefix) = prefix else { return Ok(()) };
        let fits = |start: &str| start.starts_with(prefix) || prefix.starts_with(start);
        let others = self.starts.iter().filter(|start| !fits(start)).count();
        if others > 0 {
            return Err(ConfigError::new(
                "prefix",
                format!(
                    "{others} of {} keys do not begin with {prefix:?} and would always be \
                     refused; take them out, or choose the prefix they have",
                    self.len()
                ),
            ));
        }
        Ok(())
    }

    /// What is wrong where every key has to name its resources.
    pub(super) fn without_resources(&self) -> Option<String> {
        let (number, label) = self.unnamed.first.as_ref()?;
        let others = match self.unnamed.count - 1 {
            0 => String::new(),
            others => format!(" (nor do {others} others)"),
        };
        Some(format!(
            "number {number} of {} ({label}) names no resource{others}: say which with \
             `ApiKey::resources`, or accept such keys everywhere with \
             `dangerously_all_resources`",
            self.len()
        ))
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Goes on where an older set was.
    pub(super) fn succeed(&self, older: &Self) {
        for entry in self.keys.values() {
            if let Some(older) = older.entry(entry.digest()) {
                entry.succeed(older);
            }
        }
    }

    fn entry(&self, digest: &[u8; 32]) -> Option<&Entry> {
        self.keys.get(digest)
    }

    pub(super) fn find(
        &self,
        key: &[u8],
        pepper: Option<&Pepper>,
        clock: &Clock,
        demand: Demand<'_>,
    ) -> Result<&Entry, AuthError> {
        if !LENGTHS.contains(&key.len()) {
            let shape = Shape::of(text(key));
            return Err(refused(shape, None, Faults::default(), demand));
        }
        let digest = sha256(&[key]);
        let entry = self.entry(&digest);
        let same = is_same(entry.map(Entry::digest), &digest);
        let is_plain = |entry: &Entry| {
            !(self.has_times || self.has_digests || entry.has_limits())
                && entry.misplaced(demand).is_none()
        };
        match entry.filter(|_| same) {
            Some(entry) if is_plain(entry) => Ok(entry),
            found => self.judge(key, found, pepper, clock, demand),
        }
    }

    /// Judges a key that was found and may be no good, or was not found.
    fn judge<'s>(
        &'s self,
        key: &[u8],
        found: Option<&'s Entry>,
        pepper: Option<&Pepper>,
        clock: &Clock,
        demand: Demand<'_>,
    ) -> Result<&'s Entry, AuthError> {
        // Looked at once, for known and unknown keys.
        let seen = self.has_digests.then(|| Shape::of(text(key)));
        let is_generated = seen.flatten().is_some();
        let own = found.filter(|entry| may_be_of(entry, is_generated));
        // Read for unknown keys as well: they take the same time.
        let now = if self.has_times {
            clock.now()
        } else {
            Duration::ZERO
        };
        if let Some(entry) = own.filter(|entry| entry.faults(now, demand).are_none()) {
            return Ok(entry);
        }
        // From here on the key is refused, or a foreign one: the work is the same for all.
        let shape = seen.unwrap_or_else(|| Shape::of(text(key)));
        let pepper = pepper.filter(|_| self.has_foreign && shape.is_none());
        let foreign = pepper.and_then(|pepper| self.find_foreign(text(key), pepper));
        let found = own.or(foreign);
        let faults = found.map(|entry| entry.faults(now, demand));
        match (found, faults.unwrap_or_default()) {
            (Some(entry), faults) if faults.are_none() => Ok(entry),
            (found, faults) => Err(refused(shape, found, faults, demand)),
        }
    }

    fn find_foreign(&self, key: &str, pepper: &Pepper) -> Option<&Entry> {
        let digest = KeyDigest::foreign(key, pepper).bytes;
        let found = self.entry(&digest);
        // No plain digest is a foreign one.
        let found = found.filter(|entry| entry.kind() == Some(DigestKind::Foreign));
        is_same(found.map(Entry::digest), &digest)
            .then_some(found)
            .flatten()
    }
}

/// A credential is ASCII.
fn text(key: &[u8]) -> &str {
    std::str::from_utf8(key).unwrap_or_default()
}

/// A plain digest that was given may only be that of a generated key, so that foreign
/// keys are not kept like that.
fn may_be_of(entry: &Entry, is_generated: bool) -> bool {
    match entry.kind() {
        None => true,
        Some(DigestKind::Generated) => is_generated,
        Some(DigestKind::Foreign) => false,
    }
}
