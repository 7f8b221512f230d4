//! What the layers tell of their decisions: events, metrics, hooks for audit logs.
//!
//! # Events
//!
//! Every decision is one event of [`tracing`] with the target `tower_mcp_auth`: `trace` where a
//! request goes on, `debug` where it is refused for a reason that any caller can cause at will,
//! `warn` where the trouble is ours, `info` where a layer that only reports let it pass. No
//! credential and no path is ever a field, and of claims only those that make the id of a
//! principal, and what a refusal was for. What a peer chose is escaped and cut to 128 characters.
//!
//! A document that a layer answers itself (protected resource metadata) is no decision, nor is a
//! request if its client went away before there was one.
//!
//! | field | on | value |
//! |---|---|---|
//! | `outcome` | all | `accepted`, `anonymous` (let through without a credential), `refused`, or `reported` (let through by a layer that only reports) |
//! | `layer` | all | what decided: `auth`, `scopes`, `mcp_scopes`, `session`, `quota`, `origin`, `failed_attempts`, `backchannel_logout`, or `handler` |
//! | `provider` | all | `api_key`, `jwt`, `oauth`, [the name of yours](crate::auth::ProviderInfo::new), or `none` |
//! | `principal` | where one is known | [`Principal::id`](crate::Principal::id), whole |
//! | `method` | all but `Principal::require` | the method of HTTP |
//! | `operation` | `mcp_scopes`, `quota`, `handler` | `tools/call "add"`, say; of a resource the method alone, for a URI may hold secrets |
//! | `reason` | refused, reported | [`AuthError::reason`](crate::AuthError::reason) |
//! | `status` | refused, reported | [`AuthError::status`](crate::AuthError::status) |
//! | `detail` | refused, reported | [`AuthError::detail`](crate::AuthError::detail), or empty |
//! | `needed` | refused for scopes | the scopes asked for |
//! | `step_up` | see below | an id of 16 hexadecimal digits |
//!
//! ## The principal of a span
//!
//! A span that declares a field `principal` gets the id of the principal when its request is
//! accepted: that of tower-http's `TraceLayer`, outside the auth layer, then names the caller in
//! every line of the request.
//!
//! ```
//! # use bytes::Bytes;
//! use tower_http::trace::TraceLayer;
//! use tracing::field::Empty;
//!
//! let trace = TraceLayer::new_for_http().make_span_with(|request: &http::Request<Bytes>| {
//!     tracing::info_span!("request", method = %request.method(), principal = Empty)
//! });
//! # let _ = trace;
//! ```
//!
//! ## Step-up
//!
//! A 403 `insufficient_scope` asks the client to come back with more scopes, a 401
//! `insufficient_user_authentication` with a stronger or more recent sign-in. That refusal and the
//! acceptance of the same principal for the same operation afterwards have the same `step_up`, a
//! random number; an acceptance with one is `debug`. Refusals in between have it as well. The
//! operation is the method and path of HTTP, for `mcp_scopes` what the message asks for, for a
//! handler the scope. At most 1024 refusals of an auth layer wait for 15 minutes each, of one
//! principal at most 64; while none does, accepted requests pay one atomic load. Tokens without a subject make a new principal
//! each, which cannot be known again.
//!
//! ## Lists
//!
//! A list that [`McpListsLayer`](crate::mcp::McpListsLayer) shortened is a `debug` with `layer`
//! (`mcp_lists`), `list` (`tools`, `prompts`, `resources` or `resourceTemplates`), the numbers
//! `shown` and `removed`, and the `principal`. One of which nothing is left is an `info` as well,
//! once for each principal and list, of 4096 at most. A `warn` with `scopes` names those that
//! clients have no way to learn of.
//!
//! ## Sessions
//!
//! The [claim](crate::mcp::session#signing-in-in-the-middle-of-a-session) of an anonymous session is
//! an `info` with `layer` (`session`) and the `principal`. A store without room for one is a `warn`,
//! and so is one that gives no answer, with `why`; each every 10 seconds at most. One that
//! [lets in](crate::store::ReplayStore::dangerously_allow_on_outage) by its silence says so as often.
//!
//! ## Revocation
//!
//! Each [entry](crate::revocation) is an `info` with its `kind`, a `digest` of what it names,
//! `issued_before` where it has that, and how many `entries` there are. One for which there was no
//! room is an `error` with `max_entries`. A logout token that a
//! [`BackchannelLogoutService`](crate::oauth::logout::BackchannelLogoutService) took or refused is a
//! decision of the layer `backchannel_logout`: `trace` or `debug`, and `warn` where the token was good
//! and the logout could not be carried out.
//!
//! With [several replicas](crate::revocation#several-replicas), entries that are read from the store
//! are a `debug` with the number of `entries`. A `warn` with `why` tells once that what is known is
//! too old and requests are refused, or accepted where that is allowed, and an `info` that it is up to date again. A `warn` tells of an
//! entry that the store did not take, and of a store that may have lost some; a full one is an
//! `error`.
//!
//! ## Quotas
//!
//! A shared store of [budgets](crate::mcp::quota) that gives no answer is a `warn` once, with `why` and
//! what the layer does meanwhile (`mode`), and an `info` when it answers again. A `warn` tells once
//! that the ids a `budget` is counted by can be multiplied by their owners, with the `id` and the `fix`;
//! that anonymous callers without an address are counted together, and that a layer stands twice around
//! one service; and, now and then, that there
//! is no room for one more caller, or that failed attempts are not told to other replicas, with `why`.
//!
//! ## API keys
//!
//! A key that is accepted [shortly before its end](crate::ApiKeyLayer::expiry_warning) is a `warn`
//! with its `id`, `name` and `owner`, `expires_at` in seconds since 1970, and `seconds_left`; once
//! a day at most.
//!
//! ## Reloads
//!
//! A swap by a [`ReloadHandle`](crate::reload::ReloadHandle) is an `info` with the new
//! `generation`; a failed one is an `error` with the `generation` that stays, the `setting` and
//! the `error`.
//!
//! ## Misconfiguration
//!
//! Each is a `warn`, once for a layer, at the first request that shows it: an auth layer that
//! stands twice around one service (or inside another one that reads the same header), with the
//! `piece`; and a request whose `path` is a proper end of the `resource_path`, because something
//! outside took the rest away, which may not serve the metadata of the resource. Where clients are
//! answered [by what they say of themselves](crate::mcp::DialectRule::by_client), one is a request
//! in a session that does not keep it.
//!
//! ## Mixed authentication
//!
//! A stack that lets anonymous requests pass because its policy opens something to them says so in
//! an `info` when it is built.
//!
//! ## Configuration
//!
//! A section of a [`Config`](crate::config::Config) that is there and that no layer was made of is
//! a `warn` with the `section`, and the `maker` that is to be called. So is, for each layer that is
//! built, a server that clients are sent to (`advertised`) and that is not the `issuer` of the
//! tokens that are accepted; and a time limit (`setting`, `limit_ms`) that a smaller one (`wins`,
//! `wins_ms`) keeps from ever taking effect.
//!
//! ## Claims
//!
//! What is kept of DPoP proofs is a `warn` from 80 % of `max_used_proofs` on, and where there is no room
//! or no answer of a shared store: now and then, as every request can repeat it.
//!
//! Claims that cannot be [read](crate::Principal::claims), and are empty for that, are an `error`
//! with the `provider`, and the `line` and `column` of their JSON.
//!
//! # Audit logs
//!
//! [`on_decision`](crate::AuthLayer::on_decision) of every auth layer calls a function with each
//! [`DecisionRecord`]: of the layer itself and of the layers and handlers inside it.
//!
//! # Metrics
//!
//! With the feature `metrics` the layers speak to the recorder of the [`metrics`](https://docs.rs/metrics)
//! facade. Labels hold codes of this crate and configured issuers, nothing a peer chose; the
//! tenants of a template count as their template. A gauge shows what was set last: where tenants,
//! or several layers of a process, share its labels, it is that of the one which changed last.
//! What describes the metrics to a recorder, and their names as constants, is in
//! `telemetry::metrics`.
//!
//! A recorder may be installed at any time, and counts from then on. Exporters for Prometheus need
//! buckets for the histogram, as in `examples/metrics.rs`: without, some show a summary, which
//! `docs/grafana.json` does not ask for. Without a recorder the feature costs a request that
//! repeats a known credential a few nanoseconds for each counter, and no look at the clock.
//!
//! | metric | kind | labels | |
//! |---|---|---|---|
//! | `mcp_auth_requests_total` | counter | `provider`, `outcome`, `reason` | requests that an auth layer judged; `reason` is `none` for `accepted` and `anonymous` |
//! | `mcp_auth_policy_decisions_total` | counter | `layer`, `outcome`, `reason` | decisions of the other layers, and refusals of handlers; for `mcp_lists` the lists that were `shortened` or `emptied` |
//! | `mcp_auth_verification_seconds` | histogram | `provider`, `waited` | how long the provider took, with `waited` `true` where it had to ask another server or a store |
//! | `mcp_auth_step_ups_total` | counter | `event` | refusals that ask for more scopes (`asked`), and those of them that were followed by an acceptance (`granted`) |
//! | `mcp_auth_streams_ended_total` | counter | `reason` | streams ended before their own end: `expired` with their credential, `max_life` by `stream_max_life`, `session_claimed` when a principal claimed its anonymous session, `revoked` with their credential, `unavailable` when it is not known any more what is revoked |
//! | `mcp_auth_quota_decisions_total` | counter | `budget`, `outcome` | requests that a budget was asked for: `admitted`, `refused` by this budget, or `reported` (they went on, and were not charged) |
//! | `mcp_auth_quota_store_up` | gauge | | 1 where the shared store of budgets answered when it was last asked, 0 where it did not |
//! | `mcp_auth_failures_not_shared_total` | counter | | failed attempts that the shared store did not take, so that one replica alone counts them |
//! | `mcp_auth_revocation_entries` | gauge | | entries of what is revoked, those that are over included |
//! | `mcp_auth_key_fetches_total` | counter | `issuer`, `outcome` | fetches of key sets, `ok` or `failed` |
//! | `mcp_auth_keys` | gauge | `issuer` | usable keys held |
//! | `mcp_auth_keys_fetched_timestamp_seconds` | gauge | `issuer` | when keys were fetched last, since 1970; their age is `time()` less this |
//! | `mcp_auth_token_cache_lookups_total` | counter | `result` | JWTs looked for in the token cache, `hit` or `miss` |
//! | `mcp_auth_introspection_lookups_total` | counter | `issuer`, `result` | tokens looked for in the answers kept, `hit` or `miss` |
//! | `mcp_auth_introspection_calls_total` | counter | `issuer`, `outcome` | introspection calls that ended: `active`, `refused` or `failed` |
//! | `mcp_auth_introspection_queue` | gauge | `issuer` | introspection calls under way or queued |
//! | `mcp_auth_api_key_store_lookups_total` | counter | `result` | API keys looked for in the answers kept, `hit` or `miss` |
//! | `mcp_auth_api_key_store_calls_total` | counter | `outcome` | questions to the API key store that ended: `found`, `absent` or `failed` |
//! | `mcp_auth_api_key_store_queue` | gauge | | questions to the API key store under way or queued |

mod api_keys;
mod audit;
mod decision;
#[cfg(feature = "oauth")]
pub(crate) mod dpop;
mod events;
mod meter;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub mod metrics;
mod quotas;
mod record;
#[cfg(feature = "redis")]
pub(crate) mod redis;
mod revocations;
#[cfg(any(feature = "api-key-store", feature = "jwt"))]
mod sources;
mod step_up;
mod warn_once;

pub(crate) use self::api_keys::api_key_expires_soon;
pub(crate) use self::audit::Audit;
pub(crate) use self::decision::Case;
#[cfg(feature = "config")]
pub(crate) use self::events::section_not_applied;
#[cfg(feature = "oauth")]
pub(crate) use self::events::{advertised_elsewhere, time_limit_in_vain};
pub(crate) use self::events::{
    allowed_on_outage, dialect_lost, layer_twice, list_emptied, list_shortened, list_withheld,
    no_auth_layer, no_client_address, opened_to_anonymous, path_cut_short, reload_failed, reloaded,
    scopes_hidden, scopes_not_announced, session_claimed, session_store_failed, session_store_full,
    stream_ended, unusable_session_id, weakened,
};
#[cfg(feature = "api-key-store")]
pub(crate) use self::meter::store;
#[cfg(feature = "oauth")]
pub(crate) use self::meter::{CallEnd, IntrospectionMeter, KeysMeter, token_cache};
pub(crate) use self::meter::{QuotaMeter, Stopwatch};
pub(crate) use self::quotas::{
    failures_not_shared, quota_id_multiplies, quota_store_failed, quota_store_full, quota_store_up,
    quota_twice, quota_without_address,
};
pub use self::record::{DecisionRecord, Outcome};
pub(crate) use self::record::{RecordedOperation, Stage};
pub(crate) use self::revocations::{
    revocation_not_shared, revocation_store_full, revocations_full, revocations_known,
    revocations_lost, revocations_read, revocations_unknown, revoked,
};
#[cfg(any(feature = "api-key-store", feature = "jwt"))]
pub(crate) use self::sources::file;
#[cfg(feature = "api-key-store")]
pub(crate) use self::sources::key_store_failed;
#[cfg(feature = "oauth")]
pub(crate) use self::sources::{introspection, keys, server_metadata};
pub use self::step_up::StepUpId;
pub(crate) use self::warn_once::WarnOnce;
