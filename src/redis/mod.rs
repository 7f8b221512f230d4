//! Redis or Valkey as the store that replicas share.
//!
//! ```no_run
//! use tower_mcp_auth::mcp::{MacKey, SessionBindingLayer};
//! use tower_mcp_auth::redis::Redis;
//!
//! # async fn run(secret: &str) -> Result<(), Box<dyn std::error::Error>> {
//! // All replicas of this server name the same resource, and so the same records.
//! let redis = Redis::connect(
//!     "rediss://mcp:password@redis.example.com",
//!     "https://mcp.example.com/mcp",
//! )
//! .await?;
//! // A principal that signs in in the middle of a session has it at every replica.
//! let sessions = SessionBindingLayer::new(MacKey::new(secret)?)
//!     .anonymous_sessions_can_be_claimed(redis.clone());
//! # let _ = sessions;
//! # Ok(())
//! # }
//! ```
//!
//! Once for each new engine, an operator says that it is new: `redis.init().await?`, in a command
//! of its own or in a job of the deployment. [Below](#initialization) is why.
//!
//! [`Redis`] is a [`ReplayStore`](crate::store::ReplayStore), a
//! [`RevocationStore`](crate::store::RevocationStore) and a
//! [`QuotaStore`](crate::store::QuotaStore): [`store`](crate::store) says what they are for. It
//! needs Redis 5 or newer, or Valkey: one server, or a cluster. One connection carries all
//! commands; a question on the path of a request is one script, and one round trip. The page
//! `docs/more-than-one-machine.md` of the repository has topologies and sizes.
//!
//! # Guarantees
//!
//! | the engine | what requests get |
//! |---|---|
//! | answers | of several who come first at once, at whichever replica, exactly one is first |
//! | answers no more: killed, stopped, cut off | 503 with `Retry-After`, after [250 ms](RedisBuilder::timeout) at most; at once when it has not answered for 2 seconds. One probe at a time asks whether it is back |
//! | restarts, with its data or without | 503, and what was begun before is not believed: an anonymous session is unknown (404), and its client opens another |
//! | fails over to a replica | the same |
//! | is emptied (`FLUSHALL`) while servers run | the same |
//! | is new, or empty when a server starts | 503 until [`init`](Redis::init) |
//! | has no memory left | what is there counts; no new record is first, and nothing is dropped |
//! | has a clock that differs by more than 30 s from a server's | 503 at that server |
//!
//! No request is served because nothing is known, and no trouble of the engine is a 401.
//!
//! # Revocations
//!
//! There is a set of all records, and a stream of new ones, which keeps the last 10,000. A replica
//! that reads revocations has a second connection, which waits for the stream to grow, so a
//! revocation is known at other replicas within milliseconds; while that connection is missing,
//! within 200 ms. It is closed when nothing has been read for ten seconds.
//!
//! | the engine | what a replica is told |
//! |---|---|
//! | restarts, fails over, is emptied | [`Lost`](crate::store::ReadOn::Lost): it writes back what it knows, and reads everything again |
//! | has forgotten what came next, or it was deleted | [`Behind`](crate::store::ReadOn::Behind): it reads everything again |
//! | has no memory left, or [so many](RedisBuilder::max_revocations) records | [`Full`](crate::store::Appended::Full), and nothing is dropped |
//! | has a record that is none of ours | an error that names the key, and nothing is skipped |
//! | does not answer | an error |
//!
//! For ten seconds after a loss a snapshot says that others may still write back what they know
//! ([`settles_in`](crate::store::Snapshot::Last::settles_in)). A new engine has lost nothing, which
//! is what a call of [`init`](Redis::init) asserts. Records that have ended, by the engine's clock,
//! are removed with later ones.
//!
//! # Budgets
//!
//! What a request costs is charged in one script, by the engine's clock. Of budgets an engine that
//! restarts, fails over or is emptied may have lost what was used, so that each can be used once
//! more. While it does not answer, the [layer](crate::mcp::quota) decides by what it was told. A
//! clock of the engine that is set by some seconds moves what was used with it: ahead, more is
//! admitted, as if these seconds had passed; back, callers wait longer, and never longer than an
//! empty bucket takes to fill.
//!
//! # Epoch
//!
//! An engine that restarts, or a replica that takes the place of its primary, may have lost what
//! was acknowledged, and nothing tells. So the engine has a marker with the id of its process (the
//! `run_id` of `INFO`) and the time since which it knows everything. Each connection compares that
//! id first, and where it differs, the marker moves: to the engine's time and a minute more,
//! because what is compared with it was dated by the clock of any replica. Each answer of the
//! engine brings the marker along. That is
//! [`complete_since`](crate::store::ReplayStore::complete_since).
//!
//! Every restart of the engine moves it, also one that lost nothing: a restart that lost the last
//! second of its log looks the same. It moves as well where a primary was a replica for a while
//! (`master_replid2` of `INFO`), where a marker is older than what was seen of another engine, and
//! where the clock of the engine goes ahead, which ends the life of records too early.
//!
//! So a connection has to lead to one process. What passes single commands on to processes of its
//! choice, and keeps the connection when one of them is gone, hides a loss: give the address of the
//! engine, or of something that passes on whole connections.
//!
//! Two primaries at once, while a network is cut, are two first ones. A cluster keeps that shorter
//! than the minute (`cluster-node-timeout`, 15 s by default). Elsewhere `min-replicas-to-write 1`
//! with `min-replicas-max-lag 10` does, and a replica must not be promoted by hand while clients
//! reach the old primary.
//!
//! # Initialization
//!
//! An engine that was flushed looks like a new one, and so does a wrong address, or a database
//! number with a digit too many. A server that starts and finds no marker cannot tell, so it asks a
//! person: [`Redis::init`] writes the marker. A server that runs has seen the marker, knows that
//! records are lost, and writes a new one by itself.
//!
//! # Engine settings
//!
//! `maxmemory-policy` must be `noeviction`; with any other, an engine that is short of memory drops
//! records, and lets in what it has refused. [`connect`](RedisBuilder::connect) reads it, and each
//! new connection: one that is changed while servers are connected is not seen before. Without
//! `appendonly yes` or `save`, there is a warning, and [`RedisHealth::is_persistent`] says so.
//!
//! # Access control
//!
//! ```text
//! ACL SETUSER mcp on >password resetchannels ~{PREFIX}:* +info +config|get +script|load
//!     +evalsha +hdel +time +hmget +hset +hincrby +get +set +exists
//! ```
//!
//! Revocations need `+zadd +zcard +zcount +zrangebyscore +zrem +zscan +zscore +xadd +xrange +xread
//! +xrevrange` too, API keys ([`RedisApiKeys`]) `+hget +hexists +zadd +zrangebyscore +zrem
//! +zremrangebyscore`, and a database other than 0 `+select`.
//!
//! `+config|get` is there to learn whether snapshots are taken, and can be left out.
//!
//! # Stored keys
//!
//! | key | what |
//! |---|---|
//! | `{PREFIX}:epoch` | a hash: `run`, `since` (ms since 1970), `epoch` (how often it moved), `settled` (ms since 1970), `n` (how many revocations there were) |
//! | `{PREFIX}:r:` and 43 characters | 32 bytes, with the time to live that its maker asked for |
//! | `{PREFIX}:q:` and 43 characters | when a bucket of a [budget](crate::mcp::quota) is full again, in microseconds since 1970; it is there until then |
//! | `{PREFIX}:v` | a sorted set: revocations, 56 bytes each, by their end in seconds since 1970 |
//! | `{PREFIX}:vs` | a stream of those that were new: `n`, which one it was, and `r`, its 56 bytes |
//! | `{PREFIX}:keys` | `1`: there are API keys |
//! | `{PREFIX}:k:` and a digest | a hash: `key`, `mac`, `used`; see [`RedisApiKeys`] |
//! | `{PREFIX}:k-ends` | a sorted set: digests of API keys by their end, in seconds since 1970 |
//!
//! The 43 characters, the 32 and the 56 bytes are codes that layers make with their own key, as in
//! [every store](crate::store#security): a reader of the engine learns neither sessions nor
//! people. All keys of a prefix are in one slot, so in a cluster they are on one shard; a record
//! takes about 200 bytes, one of a revocation or of a bucket 150, and the stream less than a
//! megabyte.

mod address;
#[cfg(feature = "api-key-store")]
mod api_keys;
mod builder;
mod epoch;
#[cfg(feature = "api-key-store")]
mod expiring;
mod fault;
mod health;
mod keeper;
mod link;
mod listener;
mod quotas;
mod replay;
mod revocations;
mod scripts;
mod shared;
mod tls;
mod watch;
mod wire;

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "api-key-store")]
#[cfg_attr(docsrs, doc(cfg(feature = "api-key-store")))]
pub use self::api_keys::RedisApiKeys;
pub use self::builder::RedisBuilder;
#[cfg(feature = "api-key-store")]
#[cfg_attr(docsrs, doc(cfg(feature = "api-key-store")))]
pub use self::expiring::ExpiringApiKey;
pub use self::health::RedisHealth;

use self::builder::Settings;
use self::shared::Shared;
use crate::error::ConfigError;
use crate::store::StoreError;

/// A Redis or Valkey that the replicas of a server share.
///
/// Clones share their connection, which ends with the last of them. See the
/// [module docs](crate::redis) for an example, and for what is promised when the engine is gone.
#[derive(Clone)]
#[must_use]
pub struct Redis {
    shared: Arc<Shared>,
}

impl Redis {
    /// Connects to one engine, with keys under a digest of the resource's URL.
    ///
    /// The URL is `redis://` or, with TLS, `rediss://`, and may hold user, password and the number
    /// of a database.
    ///
    /// # Errors
    /// As [`RedisBuilder::connect`].
    pub async fn connect(url: &str, resource: &str) -> Result<Self, ConfigError> {
        Self::builder(url).resource(resource).connect().await
    }

    /// Settings of a connection: more nodes, TLS, a prefix.
    pub fn builder(url: &str) -> RedisBuilder {
        RedisBuilder::new(url)
    }

    async fn start(settings: Settings) -> Result<Self, ConfigError> {
        let shared = Shared::start(settings).await?;
        Ok(Self { shared })
    }

    /// Says that an engine without a marker is new, by writing the marker.
    ///
    /// Call it once for an engine, and not at each start of a server: see
    /// [a new engine](crate::redis#initialization). Where there is a marker, nothing changes. Other
    /// replicas see it within a second.
    ///
    /// # Errors
    /// The engine does not answer, or refuses it.
    pub async fn init(&self) -> Result<(), StoreError> {
        self.shared.init().await
    }

    /// What tells a connection from others that are there.
    #[cfg(feature = "config")]
    pub(crate) fn identity(&self) -> usize {
        Arc::as_ptr(&self.shared) as usize
    }

    /// Where its records are.
    #[cfg(feature = "config")]
    pub(crate) fn place(&self) -> String {
        let Settings {
            nodes,
            database,
            prefix,
            ..
        } = &self.shared.settings;
        format!("{nodes:?} {database} {prefix}")
    }

    #[cfg(feature = "config")]
    pub(crate) fn downgrade(&self) -> WeakRedis {
        WeakRedis(Arc::downgrade(&self.shared))
    }

    /// What is known of the engine now. It sends no request: there is a probe every second.
    pub fn health(&self) -> RedisHealth {
        self.shared.health()
    }
}

/// A connection that is there as long as others keep it.
#[cfg(feature = "config")]
pub(crate) struct WeakRedis(std::sync::Weak<Shared>);

#[cfg(feature = "config")]
impl WeakRedis {
    pub(crate) fn upgrade(&self) -> Option<Redis> {
        let shared = self.0.upgrade()?;
        Some(Redis { shared })
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}
