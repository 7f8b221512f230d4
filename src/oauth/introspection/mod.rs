//! Asking the authorization server about a token (RFC 7662).
//!
//! What `memory` can answer is answered in `store`, which also decides whether a call may start
//! (`pauses`, and a token bucket); `call` is one call, detached from the requests that wait for it; `routes`
//! knows the server of an opaque token. `endpoint` speaks RFC 7662 (`signed`: RFC 9701) and
//! `custom` whatever a user's own code speaks; `answer` judges what either of them brings.

mod answer;
mod call;
mod client_auth;
mod custom;
mod endpoint;
mod limits;
mod meant;
mod memory;
mod oauth_error;
mod pauses;
mod routes;
mod settings;
mod signed;
mod store;
mod wiring;

pub(super) use self::answer::{Good, Vouched};
pub use self::custom::{Introspect, IntrospectFuture, IntrospectionError, IntrospectionResponse};
pub(super) use self::meant::{Asked, Question};
pub(super) use self::routes::OpaqueRoutes;
pub use self::settings::Introspection;
pub(super) use self::settings::JwtIntrospection;
pub(super) use self::store::{Introspector, Lookup};
pub(super) use self::wiring::Own;
