//! moka for what lives by the clock of the crate: how long an entry is good is not moka's business.

use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use moka::sync::Cache;

/// How long moka is told to keep an entry that is used for `life`. It refuses a thousand
/// years.
pub(crate) fn kept_for(life: Duration) -> Duration {
    const LONGEST: Duration = Duration::from_secs(365 * 86_400);
    life.min(LONGEST)
}

/// Drops all entries.
pub(crate) fn clear<K, V, H>(cache: &Cache<K, V, H>)
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    H: BuildHasher + Clone + Send + Sync + 'static,
{
    // By its clock, so what was put in at the same tick stays.
    cache.invalidate_all();
    for (key, _) in cache {
        cache.invalidate(&*key);
    }
}
