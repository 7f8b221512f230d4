//! All that a provider of your own needs, in one import.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use tower::{BoxError, ServiceBuilder, ServiceExt};
//! use tower_mcp_auth::provider::*;
//!
//! const UNKNOWN: Reason = Reason::custom(AuthErrorKind::Invalid, "unknown_badge");
//!
//! #[derive(Clone, Debug)]
//! struct Badges;
//!
//! impl Authenticate for Badges {
//!     fn describe(&self) -> ProviderInfo {
//!         ProviderInfo::new("badge")
//!     }
//!
//!     fn authenticate(&self, credential: &Credential<'_>, _: RequestHead<'_>) -> Authentication {
//!         Authentication::Ready(match credential.value() {
//!             "badge-17" => Ok(Principal::builder("badge").subject("alice").build().into()),
//!             _ => Err(AuthError::new(UNKNOWN)),
//!         })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! # async fn handle(_: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, BoxError> {
//! #     Ok(Response::default())
//! # }
//! let service = ServiceBuilder::new()
//!     .layer(AuthLayer::new(Badges))
//!     .service_fn(handle);
//! for (badge, status) in [("badge-17", StatusCode::OK), ("badge-18", StatusCode::UNAUTHORIZED)] {
//!     let request = Request::builder()
//!         .header("authorization", format!("Bearer {badge}"))
//!         .body(Full::<Bytes>::default())?;
//!     assert_eq!(service.clone().oneshot(request).await?.status(), status);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A provider [describes](Authenticate::describe) itself once, may [route](Authenticate::route)
//! each request, and [authenticates](Authenticate::authenticate) the credentials that the layer
//! read for it. What happens around it is in [`auth`](crate::auth).

pub use crate::auth::{
    AuthLayer, Authenticate, AuthenticateFuture, Authenticated, Authentication, CredentialMatcher,
    DocumentFuture, Either, ProviderInfo, Route,
};
pub use crate::clock::Clock;
pub use crate::credential::{Credential, Location, RequestHead};
pub use crate::error::{AuthError, AuthErrorKind, Reason};
pub use crate::principal::{Actor, Principal, PrincipalBuilder};
pub use crate::refusal::Challenge;
pub use crate::resource::Resource;
pub use crate::resources::ResourceSet;
pub use crate::scope::Scopes;
