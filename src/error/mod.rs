//! The two errors of this crate: [`AuthError`] and [`ConfigError`].
//!
//! The first says why a request is refused, the second why a layer cannot be built.

mod aside;
mod config;
mod kind;
pub(crate) mod reason;
mod sign_in;

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::StatusCode;

use self::aside::Aside;
use self::sign_in::AskedSignIn;
use crate::principal::{Principal, PrincipalId};
use crate::scope::Scopes;

pub use self::config::ConfigError;
pub use self::kind::AuthErrorKind;
pub use self::reason::Reason;

/// Why a request was refused.
///
/// It carries two texts: a safe [`description`](Self::description) for the client,
/// which never repeats anything of the credential, and a [`detail`](Self::detail) for
/// the operator's traces. Every refusal written by this crate has its `AuthError` in
/// the extensions of the *response*, so that outer layers can count and log it.
///
/// Providers outside this crate make their own:
///
/// ```
/// use tower_mcp_auth::{AuthError, AuthErrorKind, Reason};
///
/// const REVOKED: Reason = Reason::custom(AuthErrorKind::Invalid, "badge_revoked");
///
/// let error = AuthError::new(REVOKED)
///     .with_description("The badge was revoked")
///     .with_detail("badge 17 was revoked an hour ago");
///
/// assert_eq!(error.kind(), AuthErrorKind::Invalid);
/// assert_eq!(error.reason(), "badge_revoked");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct AuthError(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    reason: Reason,
    description: Cow<'static, str>,
    detail: Option<Box<str>>,
    scopes: Scopes,
    /// What is asked of the sign-in. In a box, because few errors have it.
    sign_in: Option<Box<AskedSignIn>>,
    /// Who was refused, where a good credential said so.
    principal: Option<PrincipalId>,
    retry_after: Option<Duration>,
    /// An event of its own told the operator already; any caller can repeat this one.
    logged: bool,
    /// Its authorization server vouched for the credential, so it is no guess.
    issued: bool,
    /// Whether the token came under the scheme `DPoP`. The DPoP challenge then has the code.
    by_proof: bool,
    /// A new nonce for the proofs of the client.
    dpop_nonce: Option<Box<str>>,
    /// In a box, because few errors have it.
    aside: Option<Box<Aside>>,
}

impl AuthError {
    /// Refuses a request for this reason, with its kind and its description.
    ///
    /// Some kinds have data of their own, and a constructor that takes it:
    /// [`insufficient_scope`](Self::insufficient_scope), [`unavailable`](Self::unavailable),
    /// [`too_many_requests`](Self::too_many_requests).
    pub fn new(reason: Reason) -> Self {
        Self(Box::new(Inner {
            reason,
            description: Cow::Borrowed(reason.description()),
            detail: None,
            scopes: Scopes::default(),
            sign_in: None,
            principal: None,
            retry_after: None,
            logged: false,
            issued: false,
            by_proof: false,
            dpop_nonce: None,
            aside: None,
        }))
    }

    /// No credential where one is needed.
    pub fn missing() -> Self {
        Self::new(Reason::MISSING_CREDENTIAL)
    }

    /// A good credential that lacks scopes; `needed` are all scopes the operation needs.
    pub fn insufficient_scope(needed: Scopes) -> Self {
        Self::new(Reason::INSUFFICIENT_SCOPE).with_scopes(needed)
    }

    /// A session that does not exist for this principal, for whatever reason: the client is
    /// not told which.
    pub fn unknown_session() -> Self {
        Self::new(Reason::UNKNOWN_SESSION)
    }

    /// Too many requests; `retry_after` is rounded up to whole seconds, at least one.
    ///
    /// The reason is one of the kind [`TooManyRequests`](AuthErrorKind::TooManyRequests), which
    /// decides the status.
    pub fn too_many_requests(reason: Reason, retry_after: Duration) -> Self {
        Self::new(reason).with_retry_after(retry_after)
    }

    /// Trouble on our side; `retry_after` is rounded up to whole seconds, at least one.
    ///
    /// The reason is one of the kind [`Unavailable`](AuthErrorKind::Unavailable), which decides
    /// the status.
    pub fn unavailable(reason: Reason, retry_after: Duration) -> Self {
        Self::new(reason).with_retry_after(retry_after)
    }

    fn with_retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// Replaces the text the client sees.
    ///
    /// It must not repeat anything of the credential. Characters that could break a
    /// `WWW-Authenticate` header are replaced when the refusal is written.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<Cow<'static, str>>) -> Self {
        self.0.description = description.into();
        self
    }

    /// Adds a text for the operator. It reaches traces, never a response.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into().into_boxed_str());
        self
    }

    /// Adds to the detail, or begins it.
    pub(crate) fn and_detail(self, more: &str) -> Self {
        match self.detail() {
            Some(detail) => {
                let detail = format!("{detail}; {more}");
                self.with_detail(detail)
            }
            None => self.with_detail(more),
        }
    }

    /// Names the principal of the credential, which is good and does not suffice.
    #[must_use]
    pub fn with_principal(mut self, principal: &Principal) -> Self {
        self.0.principal = Some(principal.id().clone());
        self.0.by_proof |= principal.is_by_proof();
        self
    }

    /// The same of a caller that is known, if the error does not say already.
    pub(crate) fn asked_by(self, principal: Option<&Principal>) -> Self {
        match principal {
            Some(principal) if self.principal_id().is_none() => self.with_principal(principal),
            _ => self,
        }
    }

    /// The same of a token that nothing proves, a forgery perhaps: its client learns that it is
    /// not valid, and nothing of what is accepted here. The detail stays.
    #[cfg(feature = "jwt")]
    pub(crate) fn unproven(mut self) -> Self {
        if self.kind() == AuthErrorKind::Invalid {
            self.0.description = Cow::Borrowed(reason::NOT_VALID);
        }
        self
    }

    /// Whether it says what any token is refused with.
    #[cfg(feature = "oauth")]
    pub(crate) fn is_general(&self) -> bool {
        self.0.description == reason::NOT_VALID
    }

    /// Says that the authorization server called the credential active: it is no guess, whatever
    /// is wrong with it.
    #[cfg(feature = "oauth")]
    pub(crate) fn of_issued(mut self) -> Self {
        self.0.issued = true;
        self
    }

    pub(crate) fn is_of_issued(&self) -> bool {
        self.0.issued
    }

    /// Adds the scopes a challenge asks for.
    pub(crate) fn with_scopes(mut self, needed: Scopes) -> Self {
        self.0.scopes = needed;
        self
    }

    /// Says whether the token came under the scheme `DPoP`
    /// ([RFC 9449 section 7.1](https://www.rfc-editor.org/rfc/rfc9449#section-7.1)).
    #[cfg(feature = "oauth")]
    pub(crate) fn by_proof(mut self, by_proof: bool) -> Self {
        self.0.by_proof = by_proof;
        self
    }

    pub(crate) fn is_by_proof(&self) -> bool {
        self.0.by_proof
    }

    /// Gives the client a nonce
    /// ([RFC 9449 section 9](https://www.rfc-editor.org/rfc/rfc9449#section-9)).
    #[cfg(feature = "oauth")]
    pub(crate) fn with_dpop_nonce(mut self, nonce: &str) -> Self {
        self.0.dpop_nonce = Some(nonce.into());
        self
    }

    pub(crate) fn dpop_nonce(&self) -> Option<&str> {
        self.0.dpop_nonce.as_deref()
    }

    /// Says that the trouble behind this was traced when it arose.
    pub(crate) fn logged(mut self) -> Self {
        self.0.logged = true;
        self
    }

    pub(crate) fn is_logged(&self) -> bool {
        self.0.logged
    }

    /// The category.
    pub fn kind(&self) -> AuthErrorKind {
        self.0.reason.kind()
    }

    /// The status of the response that refuses a request for this reason. A gRPC request
    /// gets the matching `grpc-status` instead, under status 200.
    pub fn status(&self) -> StatusCode {
        match self.kind() {
            AuthErrorKind::Missing
            | AuthErrorKind::Invalid
            | AuthErrorKind::InsufficientUserAuthentication => StatusCode::UNAUTHORIZED,
            AuthErrorKind::Malformed | AuthErrorKind::HeaderMismatch => StatusCode::BAD_REQUEST,
            AuthErrorKind::InsufficientScope | AuthErrorKind::Forbidden => StatusCode::FORBIDDEN,
            AuthErrorKind::UnknownSession | AuthErrorKind::UnknownResource => StatusCode::NOT_FOUND,
            AuthErrorKind::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            AuthErrorKind::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            AuthErrorKind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            AuthErrorKind::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            AuthErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The code of its [`Reason`] (`expired`, `audience_mismatch`, `token_in_query`, …): stable,
    /// `snake_case`, fit for metrics.
    pub fn reason(&self) -> &'static str {
        self.0.reason.code()
    }

    pub(crate) fn as_reason(&self) -> Reason {
        self.0.reason
    }

    /// The text the client sees.
    pub fn description(&self) -> &str {
        &self.0.description
    }

    /// The text the client sees, where it is a constant.
    pub(crate) fn static_description(&self) -> Option<&'static str> {
        match self.0.description {
            Cow::Borrowed(description) => Some(description),
            Cow::Owned(_) => None,
        }
    }

    /// The text for the operator, if there is one.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// All scopes the operation needs, where scopes or the sign-in were the reason.
    pub fn scopes(&self) -> &Scopes {
        &self.0.scopes
    }

    /// The principal of the credential, where that is good: it does not suffice, or something else
    /// is wrong; or where it [was proven](Self::proven), and only its time is over.
    pub fn principal_id(&self) -> Option<&PrincipalId> {
        let proven = || self.proven_owner().map(Principal::id);
        self.0.principal.as_ref().or_else(proven)
    }

    /// When to try again, where time will help.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl fmt::Debug for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthError")
            .field("kind", &self.kind())
            .field("reason", &self.reason())
            .field("detail", &self.0.detail)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The safe text only: an error is easily formatted into a response.
        write!(f, "{} ({})", self.0.description, self.reason())
    }
}

impl Error for AuthError {}
