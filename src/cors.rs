//! CORS for MCP clients that run in a browser.

use std::time::Duration;

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, Method};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// A CORS layer that fits MCP: put it outermost, so that refusals carry its headers and
/// preflights, which never hold a credential, are answered before one is asked for.
///
/// Requested headers are mirrored, because no list is complete: `Mcp-Param-*` headers are
/// named by tools, and an API key's header by you. `WWW-Authenticate`, `Mcp-Session-Id`,
/// `DPoP-Nonce`, `Retry-After`, `RateLimit` and `RateLimit-Policy` are exposed. Cookies are never
/// allowed.
///
/// ```
/// use tower_http::cors::AllowOrigin;
/// use tower_mcp_auth::cors::layer;
///
/// let cors = layer(AllowOrigin::exact("https://app.example.com".parse()?));
/// # let _ = cors;
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
pub fn layer(origins: impl Into<AllowOrigin>) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([
            WWW_AUTHENTICATE,
            HeaderName::from_static("mcp-session-id"),
            HeaderName::from_static("dpop-nonce"),
            RETRY_AFTER,
            HeaderName::from_static("ratelimit"),
            HeaderName::from_static("ratelimit-policy"),
        ])
        .max_age(Duration::from_secs(3600))
}
