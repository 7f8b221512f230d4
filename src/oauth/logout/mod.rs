//! Logout: sessions that an authorization server ends ([OpenID Connect Back-Channel Logout 1.0]).
//!
//! When a user signs out, or an administrator signs a user out, the authorization server posts a
//! logout token to each client that has asked for it. A [`BackchannelLogoutService`] takes it, and
//! [revokes](crate::revocation) what belongs to the session: requests with such an access token are
//! 401 `revoked_token` from then on, and the streams that were opened with one end.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use tower::{BoxError, ServiceBuilder, ServiceExt};
//! use tower_mcp_auth::OAuthLayer;
//! use tower_mcp_auth::oauth::AuthorizationServer;
//! use tower_mcp_auth::revocation::Revocation;
//! use tower_mcp_auth::testing::Issuer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! // A development issuer on loopback stands for the authorization server.
//! let issuer = Issuer::start().await?;
//! let server = AuthorizationServer::insecure_http_on_loopback(issuer.url())?;
//! let oauth = OAuthLayer::new("https://mcp.example.com/mcp", server)?
//!     .revocation(Revocation::in_memory());
//! let logout = oauth.backchannel_logout(issuer.url(), "mcp-server")?;
//! let service = ServiceBuilder::new()
//!     .layer(oauth)
//!     .service_fn(async |_: Request<Full<Bytes>>| {
//!         Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
//!     });
//!
//! let token = issuer
//!     .token()
//!     .audience("https://mcp.example.com/mcp")
//!     .claim("sid", "08a5")
//!     .sign();
//! let with_token = || {
//!     Request::post("/mcp")
//!         .header("authorization", format!("Bearer {token}"))
//!         .body(Full::default())
//! };
//! let response = service.clone().oneshot(with_token()?).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//!
//! let post = |logout_token: &str| {
//!     Request::post("/backchannel-logout")
//!         .header("content-type", "application/x-www-form-urlencoded")
//!         .body(Full::<Bytes>::from(format!("logout_token={logout_token}")))
//! };
//! // An access token ends no session.
//! let response = logout.clone().oneshot(post(&token)?).await?;
//! assert_eq!(response.status(), StatusCode::BAD_REQUEST);
//!
//! // A logout token does.
//! let logout_token = issuer.logout_token().audience("mcp-server").claim("sid", "08a5").sign();
//! let response = logout.oneshot(post(&logout_token)?).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//! let response = service.oneshot(with_token()?).await?;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! # Ok(())
//! # }
//! ```
//!
//! # Mounting
//!
//! At the path that is registered at the authorization server as `backchannel_logout_uri`, outside
//! the routes that the auth layer protects: the logout token is the authentication, and there is
//! no other credential.
//!
//! ```
//! use axum::{Router, routing::post};
//! use tower_mcp_auth::OAuthLayer;
//! use tower_mcp_auth::revocation::Revocation;
//!
//! let issuer = "https://auth.example.com";
//! let oauth = OAuthLayer::new("https://mcp.example.com/mcp", issuer)?
//!     .revocation(Revocation::in_memory());
//! let logout = oauth.backchannel_logout(issuer, "mcp-server")?;
//! let app: Router = Router::new()
//!     .route("/mcp", post(|| async {}))
//!     .layer(oauth)
//!     .route_service("/backchannel-logout", logout);
//! # let _ = app;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! With a [configuration](crate::config) the service is made of the same parts:
//!
//! ```
//! use tower_mcp_auth::ConfigError;
//! use tower_mcp_auth::config::Config;
//! use tower_mcp_auth::oauth::logout::BackchannelLogoutService;
//!
//! fn logout(config: &Config) -> Result<Option<BackchannelLogoutService>, ConfigError> {
//!     // Without the sections `authorization_servers` and `revocation` there is nothing to end.
//!     let (Some(oauth), Some(revocation)) = (config.oauth_layer()?, config.revocation()?) else {
//!         return Ok(None);
//!     };
//!     let oauth = oauth.revocation(revocation);
//!     let logout = oauth.backchannel_logout("https://auth.example.com", "mcp-server")?;
//!     Ok(Some(match config.redis() {
//!         // Each token is taken once by all replicas.
//!         Some(redis) => logout.replay_store(redis.clone()),
//!         None => logout,
//!     }))
//! }
//! # let config = Config::from_json("{}")?;
//! # assert!(logout(&config)?.is_none());
//! # Ok::<(), ConfigError>(())
//! ```
//!
//! Authorization servers send logout tokens to the clients that took part in the session, and not
//! to resources. So the client that is named here is the one that users sign in with, or one of
//! this server that shares their session: register the address of this service for it.
//! Front-Channel Logout is another protocol, which loads pages in the browser of the user; this
//! service does not speak it.
//!
//! # Revoked tokens
//!
//! | the logout token has | entry | what ends |
//! |---|---|---|
//! | `sid`, with `sub` or without | [`Entry::session`] | every access token with this session, those issued later included |
//! | `sub` alone | [`Entry::subject`], [issued before] its `iat` | every access token of the subject that was issued until then |
//!
//! Requests with such a token are refused, and the streams that were opened with one end.
//!
//! An entry for a session refuses nothing unless access tokens name their session, in `sid` or in
//! the claim of [`session_claim`]. Keycloak writes it; others have to be told, or do not. Where
//! they do not, have the server leave `sid` out of logout tokens
//! (`backchannel_logout_session_required` is false), or set
//! [`by_subject`](BackchannelLogoutService::by_subject).
//!
//! By the subject, tokens are refused that were issued up to [`revocation_skew`] (5 s) after the
//! logout: a user who signs in again at once has to ask for another one. Where the layer takes the
//! subject from another claim (`subject_claim`), so does this service.
//!
//! # Logout token validation
//!
//! The checks of section 2.6, each with a text of its own, and all of them before anything is
//! revoked:
//!
//! - The header has `typ` `logout+jwt`; for servers that do not write it there is
//!   [`accept_untyped`](BackchannelLogoutService::accept_untyped).
//! - `iss` is a configured issuer, and `aud` has the client id that is set for it.
//! - The token is signed with a key of the issuer, by an algorithm that the layer accepts for it.
//!   The key set is that of the layer, with its cache and its limits: tokens with unknown keys
//!   cause no more fetches than such access tokens do. Encrypted tokens are refused.
//! - `events` has the member `http://schemas.openid.net/event/backchannel-logout`, which is an
//!   object. No access token and no ID token has it. There is no `nonce`, and no member is there
//!   twice.
//! - `iat` is at most [120 seconds](BackchannelLogoutService::max_token_age) old, `exp` is there
//!   ([unless](BackchannelLogoutService::accept_missing_exp)) and not over, and both allow for the
//!   clock skew of the issuer.
//! - `jti` is there, and was not seen before. Which were is kept in a
//!   [store](BackchannelLogoutService::replay_store), for as long as the token could come again.
//! - There is `sid`, or `sub`, and neither is empty.
//!
//! The token is bounded by [`max_token_bytes`](super::OAuthLayerBuilder::max_token_bytes), the
//! body by 16 KiB and 10 seconds. Other parameters of the form are ignored.
//!
//! # Responses
//!
//! | status | when |
//! |---|---|
//! | 200, without a body | the logout is carried out |
//! | 400 `invalid_request` | the form or the token is refused; `error_description` says which check failed |
//! | 405, 413, 415 | another method, a body that is too large, another media type |
//! | 503 `temporarily_unavailable`, with `Retry-After` | keys cannot be had, or the revocation or the replay store does not answer or has no room |
//!
//! No answer is to be cached. A token that was not carried out may come again. Where the replay
//! store or the [other replicas](crate::revocation#several-replicas) cannot be told, the logout is
//! carried out here all the same, and the answer is 503: few senders try again, and to revoke
//! twice changes nothing.
//!
//! Each logout is told as a [decision](crate::telemetry) of the layer `backchannel_logout`; the
//! token is in no answer and in no event.
//!
//! [OpenID Connect Back-Channel Logout 1.0]: https://openid.net/specs/openid-connect-backchannel-1_0.html
//! [issued before]: crate::revocation::Entry::issued_before
//! [`session_claim`]: crate::revocation::Revocation::session_claim
//! [`revocation_skew`]: crate::revocation::Revocation::revocation_skew
//! [`Entry::session`]: crate::revocation::Entry::session
//! [`Entry::subject`]: crate::revocation::Entry::subject

mod form;
mod service;
mod token;

pub use self::service::{BackchannelLogoutBody, BackchannelLogoutService};
