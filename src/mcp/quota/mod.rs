//! Budgets: how many calls a tenant, a user or a client has, over all replicas.
//!
//! A [`QuotaLayer`] stands inside an auth layer, and has one or more [`Budget`]s. A request needs
//! room in all that are for it, and the one that makes it wait longest answers; one that is refused
//! consumes nothing.
//!
//! ```
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body::Body;
//! use http_body_util::Full;
//! use tower::{BoxError, ServiceBuilder, ServiceExt};
//! use tower_mcp_auth::ApiKeyLayer;
//! use tower_mcp_auth::mcp::{Budget, QuotaLayer};
//!
//! // Stands for a server: rmcp's, an axum router, your own.
//! async fn server<B: Body>(_: Request<B>) -> Result<Response<Full<Bytes>>, BoxError> {
//!     Ok(Response::new("done".into()))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let minute = Duration::from_secs(60);
//! let quotas = QuotaLayer::in_memory()
//!     .budget(Budget::new("calls", 100, minute)?.burst(20)?)?
//!     .budget(Budget::new("reports", 1, minute)?.tool("make_report")?)?;
//! let service = ServiceBuilder::new()
//!     .layer(ApiKeyLayer::new(["Zm9yIHRoZSBleGFtcGxlIG9ubHk"])?)
//!     .layer(quotas)
//!     .service_fn(server);
//!
//! let call = |tool: &str| {
//!     let message = format!(
//!         r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}"}}}}"#
//!     );
//!     Request::post("/mcp")
//!         .header("x-api-key", "Zm9yIHRoZSBleGFtcGxlIG9ubHk")
//!         .header("content-type", "application/json")
//!         .body(Full::<Bytes>::from(message))
//! };
//! let response = service.clone().oneshot(call("make_report")?).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//!
//! // The second report of this minute, and another tool, of which there are more.
//! let response = service.clone().oneshot(call("make_report")?).await?;
//! assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
//! assert_eq!(response.headers()["retry-after"], "60");
//! let response = service.oneshot(call("search")?).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//! # Ok(())
//! # }
//! ```
//!
//! # Several replicas
//!
//! [`QuotaLayer::shared`] counts in a [`QuotaStore`](crate::store::QuotaStore) that all replicas
//! have: Redis or Valkey with the feature `redis`. A request is one question, which charges all its
//! budgets or none, by the clock of the engine. However many replicas there are, never more is
//! admitted than by one. A [`local`](Budget::local) budget is counted in each replica, and a
//! request that has no other asks nothing. Of one that has both kinds the local part is set aside
//! while the store is asked, and what either refuses is charged to neither.
//!
//! | the store | what requests get that it counts |
//! |---|---|
//! | answers | exactly what the budgets admit |
//! | does not answer, or says nothing of some budgets | 503 `quotas_unavailable`; with [`local_share`](QuotaLayer::local_share) what the part of this replica admits |
//! | was emptied, or restarted without its data | full budgets: each can be used once more |
//! | has no memory left | 503 `quota_store_full` |
//!
//! [`health`](QuotaLayer::health) says which it is.
//!
//! ```no_run
//! # #[cfg(feature = "redis")]
//! # async fn run(secret: &str) -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use tower_mcp_auth::mcp::{Budget, QuotaLayer};
//! use tower_mcp_auth::redis::Redis;
//!
//! let redis = Redis::connect("rediss://redis.example.com", "https://mcp.example.com/mcp").await?;
//! let quotas = QuotaLayer::shared(redis, secret)?
//!     .budget(Budget::new("calls", 100, Duration::from_secs(60))?)?
//!     .local_share(4)?; // there are four replicas at most
//! # let _ = quotas;
//! # Ok(())
//! # }
//! ```
//!
//! # Callers
//!
//! | caller | counted by |
//! |---|---|
//! | with the claim of [`tenant_claim`](Budget::tenant_claim) | issuer and tenant |
//! | with a subject | issuer and subject, with whichever client and token |
//! | without | issuer and client (`client_id`) |
//! | without either | a digest of the credential |
//! | without a principal | the address of the client, of IPv6 the first 64 bits |
//!
//! [`per_client`](Budget::per_client) and [`shared_by_all`](Budget::shared_by_all) count otherwise.
//! A budget is as good as the ids are hard to get: where clients register themselves, each
//! registration is another client, and a credential without a name is a caller by itself. A `warn`
//! tells of both. A tenant is a text that is not empty, byte by byte, or a whole number, which is
//! the tenant of its digits; a claim with another value counts as missing. Anonymous callers
//! without an address ([`SetPeerAddrLayer`](crate::peer::SetPeerAddrLayer)) are counted together.
//!
//! # Costs
//!
//! Each message of MCP costs 1, or what [`cost`](Budget::cost) and [`cost_by`](Budget::cost_by)
//! say, and each other request 1. A batch costs what its messages cost together; one that costs
//! more than the burst is 413 `quota_cost_too_high`, because waiting would not help. A budget for
//! [tools](Budget::tool), [prompts](Budget::prompt) or [resources](Budget::resource) counts calls
//! of these alone. Put one for everything beside it: a server that takes other names for the same
//! tool is not known here, nor one that takes messages by other methods than POST.
//!
//! Messages are read as the policy [reads them](crate::mcp#scopes-per-operation), so that no
//! service behind this layer finds another call in them: what can be read in two ways is 400, what
//! is no JSON is 415. For a service that does not speak MCP there is
//! [`requests_only`](QuotaLayer::requests_only).
//!
//! A `GET` that opens a stream, a `DELETE` that ends a session, a `HEAD` and an `OPTIONS` that gets
//! so far are requests without a message, and cost 1 however long their responses last. A body that
//! is too long, compressed or no JSON is refused before it costs anything.
//!
//! The cost is charged before the service is called, and never given back: neither where that
//! fails, nor where the client hangs up.
//!
//! A request is charged once for each time a layer stands around its service. Clones of one layer,
//! and layers that share a store, a secret and the names of budgets, count together, so that one
//! inside the other charges twice; of clones a `warn` tells once. Layers with other budgets can
//! stand inside each other: one for all routes, say, and one for some.
//!
//! # Refusals
//!
//! 429 with `Retry-After`, as a JSON-RPC error with the `id` of its request and the code 429, or in
//! gRPC `RESOURCE_EXHAUSTED`. `RateLimit-Policy` and `RateLimit`
//! ([draft-ietf-httpapi-ratelimit-headers-10]) say where each budget stands, by its name:
//!
//! ```text
//! RateLimit-Policy: "calls";q=100;w=60
//! RateLimit: "calls";r=0;t=1
//! ```
//!
//! `q` is what there is in a window of `w` seconds, both as the budget was made, with `w` rounded up:
//! of a window under a second it is 1. `r` is how much is left now, and `t` in how many
//! seconds it is full again; of a budget that refuses, when there is room. Budgets of a shared
//! store that was not asked, or did not answer, are left out. The reason is `quota_exceeded`, or
//! that of [`Budget::reason`]. Where the auth layer [only
//! reports](crate::AuthLayer::dangerously_report_only_for) it, the request goes on and is not
//! charged.
//!
//! # Memory
//!
//! [`MemoryQuotaStore`](crate::store::MemoryQuotaStore) holds 100,000 buckets by default. Those
//! that are full again make room; where none is, one more caller is 503 `quota_store_full`, so that
//! no caller gets a new budget by driving others out. Anonymous callers have half of it at the
//! most, because one of them can have many addresses: they leave room for callers with a
//! credential.
//!
//! [draft-ietf-httpapi-ratelimit-headers-10]: https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-10

mod budget;
mod decide;
mod health;
mod layer;
mod owner;
mod service;
mod settle;
mod targets;
mod twice;

pub use self::budget::Budget;
pub use self::health::QuotaHealth;
pub use self::layer::QuotaLayer;
pub use self::service::{Quota, QuotaFuture};
