//! A limit for failed attempts: too many bad credentials of an address are 429 for a while.
//!
//! The layer goes *outside* an auth layer and reads, in the extensions of its refusals, why they
//! were made. It counts, by the address of the client, what may be a guess at a credential:
//!
//! | counts | reasons |
//! |---|---|
//! | a key that is not known | `unknown_api_key`, `mistyped_api_key`, `unaccepted_credential` |
//! | a token that is not known | `unknown_token`, `inactive_token`, `not_a_jwt`, `malformed_token` |
//! | a token that may be forged | `invalid_signature`, `unknown_key`, `algorithm_not_allowed` |
//! | what a provider of your own refuses | any [`Invalid`](crate::AuthErrorKind::Invalid) error with a reason of its own |
//!
//! Everything else is no guess and does not count:
//!
//! - no credential, with which every OAuth client starts, and one of another scheme;
//! - a request that presents its credential badly: in the query string (any page can make its
//!   visitors send that), twice, in characters that are not accepted, in a wrong header;
//! - a credential that expired, is not good yet or was revoked, and one that is meant for another
//!   audience, issuer or use;
//! - a token that its authorization server calls active, whatever else the answer says;
//! - whatever is wrong with a request of a known principal
//!   ([`AuthError::principal_id`](crate::AuthError::principal_id)): too few scopes, a malformed
//!   message, an unknown session;
//! - foreign hosts and origins, and trouble of ours.
//!
//! A good credential does not reset the count, or one would buy any number of guesses. What an
//! auth layer [only reports](crate::AuthLayer::dangerously_report_only) is no refusal, and not
//! counted.
//!
//! A refusal that waits for [the body of its request](crate::auth#bodies-of-refused-requests)
//! is counted when it is decided, or any number of guesses could be made side by side meanwhile.
//!
//! A failure counts once for each time the layer stands around a service: put it there once.
//!
//! Beyond the limit a request is answered with 429 and `Retry-After` before anything else sees
//! it, a good one as well. What is under way when the limit is reached is still answered.
//!
//! # Addresses
//!
//! The layer counts by the address of the peer, or, behind [trusted
//! proxies](FailedAttemptsLayer::trusted_proxies), by that of the client, as they tell it
//! ([`peer`](crate::peer) says when they are believed). A header that any client can write is never
//! read; without `trusted_proxies` the limit counts for the proxy. A request without an address is
//! a logged 500 and never without a limit.
//!
//! An IPv6 address counts by its first 64 bits, which is what one host has at the least
//! ([`ipv6_prefix`](FailedAttemptsLayer::ipv6_prefix)); an IPv4 address mapped into IPv6
//! (`::ffff:0:0/96`) or translated to it (`64:ff9b::/96`) as what it is. Clients that come from the
//! address of a hosting service or an office share its limit: so leave room for keys and tokens
//! that are mistyped or replaced.
//!
//! # Memory
//!
//! The addresses are kept in sets of eight, and which set an address belongs to is known to this
//! process alone. Where a set is full, the one with the fewest failures makes room: a flood of
//! addresses that fail once each pushes out no address that failed twice, and one that is blocked
//! goes only where all eight are. To free one address costs at least eight times the limit in
//! failures *per set*, and there are thousands.
//!
//! # Several replicas
//!
//! Each replica counts by itself, so that an attacker has the limit at each of them. With
//! [`shared`](FailedAttemptsLayer::shared) they count together: a failure is told to the store
//! while its request is answered, and a replica blocks an address with its first failure there
//! after all replicas together saw too many. No request waits for the store. So there are a few
//! more guesses at each other replica: one after the other it is one, and at once those that are
//! under way. While four failures of an address are not answered yet, it is 429 with a
//! `Retry-After` of 1.
//!
//! In the store the failures are a bucket that is refilled over the window: where a block is
//! shorter than the window, an address that comes back has as many guesses as were refilled
//! meanwhile. A block begins with its failure, however late the store answers.
//!
//! | the store | what is counted |
//! |---|---|
//! | answers | the failures at all replicas |
//! | does not answer, has no room, or is told of more than 1,024 failures at once | those at this replica; a `warn` says why, every 10 seconds at most, and `mcp_auth_failures_not_shared_total` how many |
//! | was emptied, or restarted without its data | those since then, and what each replica knows |
//!
//! Give the layer the same limits at all replicas. Two layers that share a store and a secret count
//! together, whatever they protect: another secret makes other counts.
//!
//! # Other limits
//!
//! How often an accepted caller may ask is another question, for [budgets](crate::mcp::quota)
//! inside the auth layer, and for a rate limiter by address outside, as in
//! `examples/rate_limit.rs`.
//!
//! # Example
//!
//! ```
//! use std::net::{IpAddr, SocketAddr};
//!
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use tower::{BoxError, ServiceBuilder, ServiceExt};
//! use tower_mcp_auth::ApiKeyLayer;
//! use tower_mcp_auth::failed_attempts::FailedAttemptsLayer;
//! use tower_mcp_auth::peer::SetPeerAddrLayer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let service = ServiceBuilder::new()
//!     // In axum: `|peer: &ConnectInfo<SocketAddr>| peer.0`.
//!     .layer(SetPeerAddrLayer::from_extension(|peer: &SocketAddr| *peer))
//!     .layer(FailedAttemptsLayer::from_peer_address().max_failures(3)?)
//!     .layer(ApiKeyLayer::new(["Zm9yIHRoZSBleGFtcGxlIG9ubHk"])?)
//!     .service_fn(async |_: Request<Full<Bytes>>| {
//!         Ok::<_, BoxError>(Response::new(Full::<Bytes>::from("hello")))
//!     });
//! let ask = async |key: &'static str, address: [u8; 4]| {
//!     let peer = SocketAddr::new(IpAddr::from(address), 49152);
//!     let request = Request::builder().header("x-api-key", key).extension(peer);
//!     let response = service.clone().oneshot(request.body(Full::default())?).await?;
//!     Ok::<_, BoxError>(response.status())
//! };
//!
//! for _ in 0..3 {
//!     assert_eq!(ask("guessed", [192, 0, 2, 1]).await?, StatusCode::UNAUTHORIZED);
//! }
//! let good = "Zm9yIHRoZSBleGFtcGxlIG9ubHk";
//! assert_eq!(ask(good, [192, 0, 2, 1]).await?, StatusCode::TOO_MANY_REQUESTS);
//! assert_eq!(ask(good, [192, 0, 2, 2]).await?, StatusCode::OK);
//! # Ok(())
//! # }
//! ```

mod attempt;
mod layer;
mod service;
mod shared;
mod table;
mod under_way;

pub use self::layer::FailedAttemptsLayer;
pub use self::service::{FailedAttempts, ResponseFuture};
