//! Asking an authorization server that does not speak RFC 7662.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::json::object;
use crate::oauth::fetch::{Fetch, FetchError};
use crate::util::quoted;

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
///     Fetch, Introspect, IntrospectFuture, IntrospectionResponse, IntrospectionError,
/// };
///
/// #[derive(Debug)]
/// struct TokenInfo;
///
/// impl Introspect for TokenInfo {
///     fn introspect(&self, token: &str, fetch: Arc<dyn Fetch>) -> IntrospectFuture {
///         let request = Request::get("https://auth.example.com/tokeninfo")
///             .header("authorization", format!("Bearer {token}"))
///             .body(Bytes::new());
///         Box::pin(async move {
///             let request = request.map_err(|_| IntrospectionError::failed("no request"))?;
///             let response = fetch.fetch(request, 64 * 1024).await?;
///             if response.status() != 200 {
///                 return Ok(IntrospectionResponse::inactive());
///             }
///             IntrospectionResponse::from_json(response.body())
///         })
///     }
/// }
/// ```
pub trait Introspect: fmt::Debug + Send + Sync + 'static {
    /// Asks about `token`, through the layer's own client.
    fn introspect(&self, token: &str, fetch: Arc<dyn Fetch>) -> IntrospectFuture;
}

/// The future of a question about a token.
pub type IntrospectFuture =
    Pin<Box<dyn Future<Output = Result<IntrospectionResponse, IntrospectionError>> + Send>>;

/// What an authorization server says of a token. `Debug` prints no claims.
#[derive(Clone)]
pub struct IntrospectionResponse(pub(super) Said);

#[derive(Clone)]
pub(super) enum Said {
    Active(Map<String, Value>),
    /// With the reason, where it is not that the server says so.
    Inactive(Option<Box<str>>),
}

impl IntrospectionResponse {
    /// The token is good, and these are its claims, by the names of
    /// [RFC 7662 section 2.2](https://www.rfc-editor.org/rfc/rfc7662#section-2.2). Audience,
    /// issuer, times and kind are still judged by the layer.
    ///
    /// A member `active` among them has the last word: with any value but the boolean `true`
    /// the answer is [`inactive`](Self::inactive). So all that a server said can be handed on.
    pub fn active(claims: Map<String, Value>) -> Self {
        match claims.get("active") {
            None | Some(Value::Bool(true)) => Self(Said::Active(claims)),
            Some(Value::Bool(false)) => Self::inactive(),
            // `"true"` and `1` are not true: a server that is not exact is not to be guessed.
            Some(other) => {
                let why = format!(
                    "the answer has `\"active\": {}`, which is not the boolean true",
                    shown(other)
                );
                Self(Said::Inactive(Some(why.into())))
            }
        }
    }

    /// Reads the claims of a good token, as [`active`](Self::active) takes them.
    ///
    /// Read a body with this and not into a `serde_json::Value`. With the feature `raw_value`
    /// of `serde_json`, which axum turns on, such a value can be something else than what was
    /// sent, and nested without a limit.
    ///
    /// # Errors
    /// It is no JSON object, is nested more than 32 levels deep, has a member twice, or has
    /// one with a name that `serde_json` keeps for itself.
    pub fn from_json(json: &[u8]) -> Result<Self, IntrospectionError> {
        let claims = object(json);
        claims
            .map(Self::active)
            .map_err(|why| IntrospectionError::failed(format!("the answer: {why}")))
    }

    /// The token is unknown, expired, revoked, or not for this server.
    pub fn inactive() -> Self {
        Self(Said::Inactive(None))
    }
}

/// A value for a trace, cut.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(_) => "[…]".to_owned(),
        Value::Object(_) => "{…}".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

impl fmt::Debug for IntrospectionResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionResponse")
            .field("active", &matches!(self.0, Said::Active(_)))
            .finish_non_exhaustive()
    }
}

/// Why there is no answer. The caller gets 503 and never 401: nothing is known of its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntrospectionError {
    pub(super) kind: Kind,
    pub(super) text: Box<str>,
    /// Whether the same may be asked once more: a connection that was kept open was closed.
    pub(super) again: bool,
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
    /// The server refuses the call, and does not say whether for who we are or for the token.
    Refused,
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
            again: false,
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

    /// The authorization server asks for a pause, of 1 s at least and 60 s at most: for so
    /// long it is asked about no token it does not know to be good. About those it answered
    /// active within ten minutes it is asked again after 1 s, because others can cause this
    /// answer.
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
        Self {
            again: error.may_be_sent_again(),
            ..Self::new(kind, error.to_string())
        }
    }
}
