//! Principals for unit tests of handlers.

use std::sync::Arc;
use std::time::Duration;

use http::{Extensions, Request};

use crate::clock::Clock;
use crate::principal::Principal;
use crate::refusal::{Cause, NoPrincipal};
use crate::refusal::{Challenge, RefusalContext};

/// Puts `principal` where a layer puts it that accepted a credential, so that a handler can
/// be tested without a layer.
///
/// It works on the extensions of a request, of its [`Parts`](http::request::Parts), or of a
/// tonic request. What is refused further in for want of scopes is refused with a plain
/// `Bearer` challenge.
///
/// ```
/// use http::Request;
/// use tower_mcp_auth::Principal;
/// use tower_mcp_auth::testing::insert_principal;
///
/// let mut request = Request::new(());
/// let alice = Principal::builder("oauth").subject("alice").build();
/// insert_principal(request.extensions_mut(), alice);
///
/// let found = Principal::from_extensions(request.extensions()).and_then(Principal::subject);
/// assert_eq!(found, Some("alice"));
/// ```
pub fn insert_principal(extensions: &mut Extensions, principal: Principal) {
    extensions.remove::<NoPrincipal>();
    extensions.insert(principal.with_context(context()));
}

/// The request, with `principal` where a layer puts it: [`insert_principal`] for the one line of a
/// test.
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use tower::{BoxError, ServiceBuilder, ServiceExt};
/// use tower_mcp_auth::Principal;
/// use tower_mcp_auth::scopes::{RequireScopesLayer, Scopes};
/// use tower_mcp_auth::testing::authenticated;
///
/// async fn write(_: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, BoxError> {
///     Ok(Response::new("written".into()))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let handler = ServiceBuilder::new()
///     .layer(RequireScopesLayer::new(["notes:write"])?)
///     .service_fn(write);
/// let alice = Principal::builder("oauth").subject("alice");
///
/// let writer = alice.scopes(Scopes::from_names(["notes:write"])?).build();
/// let request = authenticated(Request::new(Full::default()), writer);
/// assert_eq!(handler.clone().oneshot(request).await?.status(), StatusCode::OK);
///
/// let reader = Principal::builder("oauth").subject("bob").build();
/// let request = authenticated(Request::new(Full::default()), reader);
/// assert_eq!(handler.oneshot(request).await?.status(), StatusCode::FORBIDDEN);
/// # Ok(())
/// # }
/// ```
pub fn authenticated<B>(mut request: Request<B>, principal: Principal) -> Request<B> {
    insert_principal(request.extensions_mut(), principal);
    request
}

/// The request, marked as one that a layer let through without a credential: [`insert_anonymous`]
/// for the one line of a test.
///
/// ```
/// use http::Request;
/// use tower_mcp_auth::Principal;
/// use tower_mcp_auth::testing::{anonymous, authenticated};
///
/// let alice = Principal::builder("oauth").subject("alice").build();
/// let request = authenticated(Request::new(()), alice);
/// assert!(Principal::from_extensions(request.extensions()).is_some());
///
/// let request = anonymous(request);
/// assert!(Principal::from_extensions(request.extensions()).is_none());
/// ```
pub fn anonymous<B>(mut request: Request<B>) -> Request<B> {
    insert_anonymous(request.extensions_mut());
    request
}

/// A clock that shows 2027-01-15 08:00:00 UTC in every run, until it is
/// [moved](Clock::advance): for a layer and for the [`Issuer`](super::Issuer) of the tokens
/// that it reads, which then expire when the test says so.
///
/// ```
/// use std::time::Duration;
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use tower::{BoxError, ServiceBuilder, ServiceExt};
/// use tower_mcp_auth::OAuthLayer;
/// use tower_mcp_auth::oauth::AuthorizationServer;
/// use tower_mcp_auth::testing::{Issuer, fixed_clock};
///
/// async fn handle(_: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, BoxError> {
///     Ok(Response::new("done".into()))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let clock = fixed_clock();
/// # let builder = Issuer::builder().algorithms([tower_mcp_auth::jose::Algorithm::ES256]);
/// # /*
/// let builder = Issuer::builder();
/// # */
/// let issuer = builder.clock(clock.clone()).start().await?;
/// let layer = OAuthLayer::builder("https://mcp.example.com/mcp")?
///     .authorization_server(AuthorizationServer::insecure_http_on_loopback(issuer.url())?)?
///     .clock(clock.clone())
///     .build()?;
/// let service = ServiceBuilder::new().layer(layer).service_fn(handle);
/// let token = issuer.token().audience("https://mcp.example.com/mcp").sign();
/// let request = || {
///     let request = Request::post("/mcp").header("authorization", format!("Bearer {token}"));
///     request.body(Full::default())
/// };
/// assert_eq!(service.clone().oneshot(request()?).await?.status(), StatusCode::OK);
///
/// clock.advance(Duration::from_secs(2 * 3600));
/// assert_eq!(service.oneshot(request()?).await?.status(), StatusCode::UNAUTHORIZED);
/// # Ok(())
/// # }
/// ```
pub fn fixed_clock() -> Clock {
    Clock::manual(Duration::from_secs(1_800_000_000))
}

/// Marks a request as one that a layer let through without a credential: an exempt path,
/// or a layer with optional authentication.
///
/// ```
/// use http::Request;
/// use tower_mcp_auth::Principal;
/// use tower_mcp_auth::testing::insert_anonymous;
///
/// let mut request = Request::new(());
/// insert_anonymous(request.extensions_mut());
/// assert!(Principal::from_extensions(request.extensions()).is_none());
/// ```
pub fn insert_anonymous(extensions: &mut Extensions) {
    extensions.remove::<Principal>();
    extensions.insert(NoPrincipal {
        context: context(),
        cause: Cause::Anonymous,
        error: None,
        proven: None,
    });
}

fn context() -> Arc<RefusalContext> {
    let challenges = vec![Challenge::bearer()];
    Arc::new(RefusalContext::new(challenges, Clock::system()))
}
