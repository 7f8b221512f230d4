//! The category of an error.

#[cfg(doc)]
use super::AuthError;

/// The category of an [`AuthError`]; it decides the status of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthErrorKind {
    /// No credential was presented where one is needed: 401, a challenge without `error`.
    Missing,
    /// The request carries its credential in a way that cannot be accepted: 400 `invalid_request`.
    Malformed,
    /// The credential is expired, forged, unknown or meant for another server: 401 `invalid_token`.
    Invalid,
    /// The credential is good and its scopes do not suffice: 403 `insufficient_scope`.
    InsufficientScope,
    /// The credential is good, and its user did not sign in strongly or lately enough: 401
    /// `insufficient_user_authentication` ([RFC 9470]).
    ///
    /// [RFC 9470]: https://www.rfc-editor.org/rfc/rfc9470#section-3
    InsufficientUserAuthentication,
    /// No scope would help: a bad `Host` or `Origin`, a denied operation, a token without the user,
    /// tenant or claims that are needed. 403 without a challenge.
    Forbidden,
    /// The session does not exist for this principal: 404.
    UnknownSession,
    /// Nothing that is protected is at the path: 404.
    UnknownResource,
    /// The request was sent to a host that is none of this server: 421.
    Misdirected,
    /// The request is larger than what is inspected: 413.
    PayloadTooLarge,
    /// The request's media type or encoding cannot be inspected: 415.
    UnsupportedMediaType,
    /// A mirrored MCP header and the body disagree: 400.
    HeaderMismatch,
    /// Too many requests of one caller, or too many that failed: 429.
    TooManyRequests,
    /// Our own trouble (an authorization server that is down, a limit that is reached): 503.
    Unavailable,
}
