use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::oauth::fetch::{Fetch, FetchError};

/// Asks an authorization server that does not speak
/// [RFC 7662](https://www.rfc-editor.org/rfc/rfc7662) about a token: with a `GET` to its
/// token-info endpoint, say. See [`Introspection::custom`](super::Introspection::custom).
///
/// Caching, deadlines and the bounds on calls are the layer's; an answer is judged like one
/// of RFC 7662. The `token_info` example is a whole one.
///
/// ```
/// use std::sync::Arc;
///
/// use bytes::Bytes;
/// use http::Request;
/// use tower_mcp_auth::oauth::{
///     Fetch, Introspect, Introspecting, IntrospectionAnswer, IntrospectionError,
/// };
///
/// #[derive(Debug)]
/// struct TokenInfo;
///
/// impl Introspect for TokenInfo {
///     fn introspect(&self, token: &str, fetch: Arc<dyn Fetch>) -> Introspecting {
///         let request = Request::get("https://auth.example.com/tokeninfo")
///             .header("authorization", format!("Bearer {token}"))
///             .body(Bytes::new());
///         Box::pin(async move {
///             let request = request.map_err(|_| IntrospectionError::failed("no request"))?;
///             let response = fetch.fetch(request, 64 * 1024).await?;
///             if response.status() != 200 {
///                 return Ok(IntrospectionAnswer::inactive());
///             }
///             let claims = serde_json::from_slice(response.body())
///                 .map_err(|_| IntrospectionError::failed("the answer is not JSON"))?;
///             Ok(IntrospectionAnswer::active(claims))
///         })
///     }
/// }
/// ```
pub trait Introspect: fmt::Debug + Send + Sync + 'static {
    /// Asks about `token`, through the layer's own client.
    fn introspect(&self, token: &str, fetch: Arc<dyn Fetch>) -> Introspecting;
}

/// The future of a question about a token.
pub type Introspecting =
    Pin<Box<dyn Future<Output = Result<IntrospectionAnswer, IntrospectionError>> + Send>>;

/// What an authorization server says of a token. `Debug` prints no claims.
#[derive(Clone)]
pub struct IntrospectionAnswer(pub(super) Option<Map<String, Value>>);

impl IntrospectionAnswer {
    /// The token is good, and these are its claims, by the names of
    /// [RFC 7662 section 2.2](https://www.rfc-editor.org/rfc/rfc7662#section-2.2). Audience,
    /// issuer, times and kind are still judged by the layer.
    pub fn active(claims: Map<String, Value>) -> Self {
        Self(Some(claims))
    }

    /// The token is unknown, expired, revoked, or not for this server.
    pub fn inactive() -> Self {
        Self(None)
    }
}

impl fmt::Debug for IntrospectionAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionAnswer")
            .field("active", &self.0.is_some())
            .finish_non_exhaustive()
    }
}

/// Why there is no answer. The caller gets 503 and never 401: nothing is known of its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntrospectionError {
    pub(super) kind: Kind,
    pub(super) text: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No connection, or no answer in time.
    Unreachable,
    /// An answer that says nothing of the token.
    Failed,
    /// An answer that cannot be read; it may be about one token.
    Answer,
    /// The server does not accept who we are.
    CredentialsRefused,
    /// The server does not introspect tokens like this one.
    TokenNotSupported,
    /// The server asks for a pause.
    Busy(Option<Duration>),
}

impl IntrospectionError {
    pub(super) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into().into(),
        }
    }

    /// The call went wrong. The text reaches traces: no secret and no token belongs in it.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::new(Kind::Failed, text)
    }

    /// The authorization server refuses the credentials of this server; traced as an error.
    pub fn credentials_refused(text: impl Into<String>) -> Self {
        Self::new(Kind::CredentialsRefused, text)
    }

    /// The authorization server does not introspect tokens like this one. Other tokens are
    /// not concerned.
    pub fn token_not_supported(text: impl Into<String>) -> Self {
        Self::new(Kind::TokenNotSupported, text)
    }

    /// The authorization server asks for a pause: no call is made for so long, 1 s at least
    /// and 5 min at most.
    pub fn busy(retry_after: Duration) -> Self {
        Self::new(
            Kind::Busy(Some(retry_after)),
            "the authorization server asks for a pause",
        )
    }
}

impl fmt::Display for IntrospectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for IntrospectionError {}

/// The server could not be reached: calls pause, longer with each failure. They do not where
/// it answered too much ([`FetchError::too_large`]).
impl From<FetchError> for IntrospectionError {
    fn from(error: FetchError) -> Self {
        let kind = if error.answered() {
            Kind::Failed
        } else {
            Kind::Unreachable
        };
        Self::new(kind, error.to_string())
    }
}
