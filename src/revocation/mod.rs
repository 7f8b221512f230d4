//! Revocation: credentials that are taken back before they expire.
//!
//! A [`Revocation`] knows what is revoked. The auth layers that it is
//! [given to](crate::AuthLayer::revocation) refuse these credentials from the next request on, and
//! end the streams that were opened with them.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use tower::{BoxError, ServiceBuilder, ServiceExt};
//! use tower_mcp_auth::api_key::ApiKey;
//! use tower_mcp_auth::revocation::{Entry, Revocation};
//! use tower_mcp_auth::{ApiKeyLayer, AuthError};
//!
//! async fn handle(_: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, BoxError> {
//!     Ok(Response::default())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let revocation = Revocation::in_memory();
//! let keys = [ApiKey::new("Zm9yIHRoZSBleGFtcGxlIG9ubHk")?.id("laptop").name("alice")];
//! let service = ServiceBuilder::new()
//!     .layer(ApiKeyLayer::new(keys)?.revocation(revocation.clone()))
//!     .service_fn(handle);
//! let request = || {
//!     Request::builder()
//!         .header("x-api-key", "Zm9yIHRoZSBleGFtcGxlIG9ubHk")
//!         .body(Full::default())
//! };
//!
//! // The key is good.
//! let response = service.clone().oneshot(request()?).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//!
//! // It is revoked, and refused from the next request on.
//! revocation.revoke(Entry::api_key("laptop")).await?;
//! let response = service.oneshot(request()?).await?;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! let error = response.extensions().get::<AuthError>().ok_or("no error")?;
//! assert_eq!(error.reason(), "revoked_api_key");
//! # Ok(())
//! # }
//! ```
//!
//! Clones share what they know. Give the same one to all auth layers, and to those of a
//! [reload](crate::reload). One that is [in memory](Revocation::in_memory) is of one process: others
//! are not told, and a new process knows nothing of what was revoked before.
//!
//! # Entries
//!
//! | entry | which credentials | by | kept for |
//! |---|---|---|---|
//! | [`Entry::token`] | one token | `jti` | as long as it [lives](Entry::expires_at) |
//! | [`Entry::subject`] | those of a subject | [`Principal::subject`](crate::Principal::subject) | `max_token_lifetime` |
//! | [`Entry::client`] | those of a client | [`Principal::client_id`](crate::Principal::client_id) | `max_token_lifetime` |
//! | [`Entry::grant`] | those of a grant | the claim of [`grant_claim`](Revocation::grant_claim) | `max_token_lifetime` |
//! | [`Entry::session`] | those of a session at the authorization server | `sid`, or the claim of [`session_claim`](Revocation::session_claim) | `max_token_lifetime` |
//! | [`Entry::issuer`] | those of an issuer | [`Principal::issuer`](crate::Principal::issuer) | `max_token_lifetime` |
//! | [`Entry::api_key`] | one API key | [`ApiKey::id`](crate::api_key::ApiKey::id) | always |
//! | [`Entry::api_keys_created_before`] | older API keys | [`ApiKey::created_at`](crate::api_key::ApiKey::created_at) | always |
//!
//! Those for tokens are for whatever has a [`Principal`](crate::Principal) that is of no API key: JWTs,
//! opaque tokens, credentials of a provider of your own. An API key is a principal of the provider
//! `api_key`.
//!
//! Without a moment an entry refuses all that it names, new tokens too, as long as it is kept:
//! a user who should stay out is to be disabled at the authorization server.
//! [`issued_before`](Entry::issued_before) lets those pass that are issued afterwards: for a user who
//! signs in again. Of both, each holds for its own time.
//!
//! - The moment is in the seconds of the issuer, as `iat` is. A token is refused with an `iat` up
//!   to [`revocation_skew`](Revocation::revocation_skew) (5 s) after it: a token that was issued in
//!   these seconds has to be asked for again.
//! - It grows only. One beyond the present and the skew is an error.
//! - A token without `iat` counts as one from before, as does an introspection response without one,
//!   unless [`trust_fresh_introspection`](Revocation::trust_fresh_introspection) is set.
//!
//! Where a provider of your own gave claims that [cannot be read](crate::Principal::claims), an entry
//! may be for them: while there are entries for a token, a grant or a session, they are refused.
//!
//! # Retention
//!
//! As long as a credential that they name could be good. So tokens must have an end: where revocation
//! is on, one that lives longer than [`max_token_lifetime`](Revocation::max_token_lifetime) (24 h) is
//! refused with `token_lives_too_long`. No entry is dropped before its time to make room for another:
//! where there are [`max_entries`](Revocation::max_entries) (1,000,000), one more is an error to the
//! caller of [`revoke`](Revocation::revoke).
//!
//! A layer that [lets expired tokens pass](crate::AuthLayer::dangerously_report_only_for) judges them
//! by their owner for 5 minutes after they expired, and then as unproven ones: their entries may be
//! gone.
//!
//! # Effect on requests and streams
//!
//! Requests are judged where the layer has come to its answer, whichever provider gave it, and
//! whether or not that was remembered: `401` with `revoked_token` or `revoked_api_key`. A
//! [bound session](crate::mcp::SessionBindingLayer) needs nothing more, because every request in it
//! brings its credential.
//!
//! A request that was let in goes on. Its response ends where it is of unknown size, as it would when
//! the credential [expires](crate::auth#stream-termination), and without grace. That is
//! noticed when the stream is polled next, for which it is woken. A JSON-RPC request that is still
//! without an answer gets an error with code 401. Neither
//! [`dangerously_streams_outlive_credentials`](crate::AuthLayer::dangerously_streams_outlive_credentials)
//! nor [`stream_grace`](crate::AuthLayer::stream_grace) changes it. A layer that
//! [reports](crate::AuthLayer::dangerously_report_only) these refusals ends no streams.
//!
//! # Revocation service
//!
//! [`revocation_service`](Revocation::revocation_service) takes entries over HTTP: `POST` with a body of
//! `application/json`, 16 KiB at most. Around it there has to be an auth layer; a request that passed
//! none is a logged 500, one without a principal is 401, one without the scopes 403, also where a
//! layer only reports. The body has one member; times are whole seconds since 1970.
//!
//! ```json
//! { "token": { "issuer": "https://auth.example.com", "jti": "9f3c", "expires_at": 1800003600 } }
//! { "subject": { "issuer": "https://auth.example.com", "subject": "alice", "issued_before": 1800000000 } }
//! { "client": { "issuer": "https://auth.example.com", "client_id": "editor" } }
//! { "grant": { "issuer": "https://auth.example.com", "grant": "g-17" } }
//! { "session": { "issuer": "https://auth.example.com", "sid": "08a5" } }
//! { "issuer": { "issuer": "https://auth.example.com", "issued_before": 1800000000 } }
//! { "api_key": { "id": "5c1b0a" } }
//! { "api_keys": { "created_before": 1800000000 } }
//! ```
//!
//! `issuer` is `null` for tokens of a layer that knows none. `expires_at` may be left out, and so may
//! `issued_before`, which every one of the second to the sixth can have. The answer is 204 when
//! the entry is there, 400 `invalid_request` for one that cannot be, 409 `revocations_full` where
//! there is no room, and 503 where it holds at this replica alone.
//!
//! # Several replicas
//!
//! [`Revocation::shared`] is one that all replicas of a server have together, by a
//! [`RevocationStore`](crate::store::RevocationStore): Redis or Valkey with the feature `redis`.
//! What one replica revokes, the others refuse within a second, and their streams end. No request
//! waits for the store: each replica reads all entries when it begins, and then what is new.
//!
//! | the store | what requests with a credential get |
//! |---|---|
//! | answers | they are judged by all entries |
//! | was never read by this replica | 503 `revocations_unavailable`; [`ready`](Revocation::ready) waits for it |
//! | does not answer | they are judged by what is known for [`max_staleness`](Revocation::max_staleness) (60 s), and are then 503; streams end |
//! | may have lost entries: restarted, failed over, emptied | every replica writes back what it knows; for 10 s, and until 5 s after the last of it, the store counts as one that does not answer |
//! | has a record of another secret | 503 once what is known is too old: no record is passed over |
//! | is full | as before; [`revoke`](Revocation::revoke) is an error |
//!
//! An entry that the store does not take holds at the replica that was asked, and is written when
//! the store is back: the error is [`NotShared`](RevokeErrorKind::NotShared). An entry is lost only
//! where the store and all replicas that had read it are gone at once, before the store kept it.
//!
//! A writer of the store without the secret revokes nothing, and cannot change a record; but it can
//! delete records, and a replica that begins afterwards does not know of them: a store is as trusted
//! as the server. [`health`](Revocation::health) says how old what is known is.
//!
//! # Back-channel logout
//!
//! With the feature `oauth`, an authorization server that supports OpenID Connect Back-Channel
//! Logout tells when a session ends.
//! [`OAuthLayer::backchannel_logout`](crate::OAuthLayer::backchannel_logout) makes a service for its
//! logout tokens, which adds an entry for the session, or for what the subject was issued until
//! then. It needs no auth layer around it; see [logout](crate::oauth::logout).
//!
//! # Performance
//!
//! A credential remembers under which entries it was found good. As long as none is added, a
//! credential that is [cached](crate::oauth::TokenCacheOptions) costs two loads. Otherwise it is a
//! digest and a look-up for each kind of which there are entries. Entries are digests: no names are
//! in memory.

mod document;
mod entry;
mod error;
mod health;
mod index;
mod judge;
#[cfg(feature = "config")]
mod kept;
mod record;
mod replicas;
mod service;
mod settings;
mod sharing;
mod sync;
mod watch;

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

pub use self::entry::Entry;
use self::entry::Kind;
pub use self::error::{RevokeError, RevokeErrorKind};
pub use self::health::RevocationHealth;
use self::index::{Index, Key, Record};
#[cfg(feature = "config")]
pub(crate) use self::kept::WeakRevocation;
use self::replicas::Replicas;
pub use self::service::{RevocationBody, RevocationService};
use self::settings::{Lifetime, MAX_SKEW, Settings};
use self::watch::Changed;
use crate::telemetry;
use crate::util::seconds_up;

/// What is revoked, for the auth layers that it is given to.
///
/// See the [module docs](crate::revocation) for an example.
#[derive(Clone)]
#[must_use]
pub struct Revocation {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    index: Index,
    /// Wakes the streams that are open.
    changed: Changed,
    /// `None`: it is of one process.
    replicas: Option<Replicas>,
}

impl Revocation {
    /// One of this process, without entries: at most [`MAX_ENTRIES`](Self::MAX_ENTRIES), which take
    /// about 90 MB.
    pub fn in_memory() -> Self {
        Self::with(Settings::default(), None)
    }

    fn with(settings: Settings, replicas: Option<Replicas>) -> Self {
        Self {
            shared: Arc::new(Shared {
                index: Index::new(settings.max_entries),
                settings,
                changed: Changed::default(),
                replicas,
            }),
        }
    }

    /// Adds an entry. It holds for every request that begins after the future is ready, and open
    /// streams are woken.
    ///
    /// With [several replicas](crate::revocation#several-replicas), others hear of it within a
    /// second of that. Here it holds at once, also where the store does not answer: it is then
    /// written as soon as the store is back.
    ///
    /// # Errors
    /// There is no room, the moment of the entry lies in the future, it names nothing that could be
    /// found, or the store did not take it, so that it holds at this replica alone.
    pub async fn revoke(&self, entry: Entry) -> Result<(), RevokeError> {
        let Shared {
            settings,
            index,
            changed,
            replicas,
        } = &*self.shared;
        self.start();
        let now = settings.clock.now();
        self.check(&entry, now)?;
        let until = settings.until(&entry, now);
        // It has expired by now.
        if until <= now.as_secs() {
            return Ok(());
        }
        let record = match entry.before {
            None => Record {
                all_until: until,
                ..Record::default()
            },
            Some(before) => Record {
                before: seconds_up(before),
                before_until: until,
                ..Record::default()
            },
        };
        let key = Key::of(entry.kind, entry.issuer.as_deref(), &entry.value);
        let Ok(added) = index.add(key, record, now.as_secs()) else {
            let max_entries = index.max_entries();
            telemetry::revocations_full(max_entries);
            return Err(RevokeError::new(
                RevokeErrorKind::Full,
                format!("there are {max_entries} entries already, and all are needed"),
            ));
        };
        changed.wake();
        let digest = key.as_bytes().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        telemetry::revoked(entry.kind.as_str(), &digest, entry.before, added.entries);
        match replicas {
            None => Ok(()),
            Some(replicas) => self.share(replicas, key, added).await,
        }
    }

    /// How many entries there are. Those that are over count until others need their room.
    pub fn entries(&self) -> usize {
        self.shared.index.entries()
    }

    fn check(&self, entry: &Entry, now: Duration) -> Result<(), RevokeError> {
        let settings = &self.shared.settings;
        let refuse = |kind, text: &str| Err(RevokeError::new(kind, text));
        let needs_value = !matches!(entry.kind, Kind::Issuer | Kind::ApiKeys);
        if needs_value && entry.value.is_empty() || entry.issuer.as_deref() == Some("") {
            return refuse(
                RevokeErrorKind::Invalid,
                "an empty name is that of no credential",
            );
        }
        if entry.kind == Kind::Grant && settings.grant_claim.is_none() {
            return refuse(
                RevokeErrorKind::Invalid,
                "no grant is read from tokens: name its claim with `grant_claim`",
            );
        }
        let skew = settings.skew.max(entry.ahead);
        match entry.before {
            Some(before) if before > now.saturating_add(skew) => refuse(
                RevokeErrorKind::InTheFuture,
                "the moment before which credentials are revoked lies in the future",
            ),
            _ => Ok(()),
        }
    }
}

impl Settings {
    /// When the last credential that the entry names is over, in whole seconds since 1970.
    fn until(&self, entry: &Entry, now: Duration) -> u64 {
        if entry.kind.is_of_api_keys() {
            return u64::MAX;
        }
        if let (Kind::Token, Some(expires_at)) = (entry.kind, entry.expires_at) {
            return seconds_up(expires_at.saturating_add(MAX_SKEW));
        }
        match self.lifetime {
            Lifetime::Unlimited => u64::MAX,
            // The clock of the issuer may be ahead when it writes `iat`, and ours behind when `exp`
            // is judged.
            Lifetime::AtMost(longest) => {
                let skew = MAX_SKEW * 2 + self.skew;
                seconds_up(now.saturating_add(longest).saturating_add(skew))
            }
        }
    }
}

impl fmt::Debug for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.shared.settings;
        f.debug_struct("Revocation")
            .field("max_entries", &settings.max_entries)
            .field("lifetime", &settings.lifetime)
            .field("skew", &settings.skew)
            .field("trust_fresh", &settings.trust_fresh)
            .field("grant_claim", &settings.grant_claim)
            .field("session_claim", &settings.session_claim)
            .field("max_staleness", &settings.max_staleness)
            .field("allow_on_outage", &settings.allow_on_outage)
            .finish_non_exhaustive()
    }
}
