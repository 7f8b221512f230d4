//! `Authenticate`: what a provider implements.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::info::ProviderInfo;
use super::route::Route;
use crate::credential::{Credential, RequestHead};
use crate::error::AuthError;
use crate::principal::Principal;

/// A provider: it authenticates the credentials of one kind.
///
/// The layer reads the credential and refuses what no provider may see: query strings,
/// duplicates, malformed headers. Implement this for a kind of credential of your own and put it
/// behind [`AuthLayer::new`](super::AuthLayer::new):
///
/// ```
/// use tower_mcp_auth::provider::*;
///
/// const UNKNOWN: Reason = Reason::custom(AuthErrorKind::Invalid, "unknown_badge");
///
/// #[derive(Clone, Debug)]
/// struct Badges;
///
/// impl Authenticate for Badges {
///     fn describe(&self) -> ProviderInfo {
///         ProviderInfo::new("badge")
///     }
///
///     fn authenticate(&self, credential: &Credential<'_>, _: RequestHead<'_>) -> Authentication {
///         Authentication::Ready(match credential.value() {
///             "badge-17" => Ok(Principal::builder("badge").subject("alice").build().into()),
///             _ => Err(AuthError::new(UNKNOWN)),
///         })
///     }
/// }
///
/// let layer = AuthLayer::new(Badges);
/// # let _ = layer;
/// ```
pub trait Authenticate: fmt::Debug + Send + Sync + 'static {
    /// The facts of the provider. The layer asks when it is built, and after each setting that
    /// changes them.
    ///
    /// A provider around another one begins with what that describes: the layer finds a
    /// provider of [`Either`](super::Either) by these facts.
    fn describe(&self) -> ProviderInfo;

    /// Where a request goes: the first step of each request, before a credential is read.
    ///
    /// Default: to the one resource of the provider.
    fn route(&self, head: RequestHead<'_>) -> Route {
        let _ = head;
        Route::Default
    }

    /// Authenticates a credential.
    ///
    /// What memory can answer is [`Authentication::Ready`]. Everything else is a future that
    /// owns what it needs.
    fn authenticate(&self, credential: &Credential<'_>, head: RequestHead<'_>) -> Authentication;
}

impl<P: Authenticate + ?Sized> Authenticate for Arc<P> {
    fn describe(&self) -> ProviderInfo {
        (**self).describe()
    }

    fn route(&self, head: RequestHead<'_>) -> Route {
        (**self).route(head)
    }

    fn authenticate(&self, credential: &Credential<'_>, head: RequestHead<'_>) -> Authentication {
        (**self).authenticate(credential, head)
    }
}

/// The answer of a provider.
// A provider around another one has to handle both.
#[allow(clippy::exhaustive_enums)]
pub enum Authentication {
    /// Known at once: no allocation, no await.
    Ready(Result<Authenticated, AuthError>),
    /// Known later. Dropped with the request, so work that others wait for as well belongs
    /// in a task of its own.
    Pending(AuthenticateFuture),
}

/// An answer that needs waiting.
pub type AuthenticateFuture =
    Pin<Box<dyn Future<Output = Result<Authenticated, AuthError>> + Send + 'static>>;

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(answer) => f.debug_tuple("Ready").field(answer).finish(),
            Self::Pending(_) => f.write_str("Pending"),
        }
    }
}

/// An accepted credential: its principal, and how long it is valid.
///
/// `Debug` prints the principal and the names of headers.
#[derive(Clone)]
pub struct Authenticated {
    pub(super) principal: Principal,
    pub(super) headers: Option<Box<HeaderMap>>,
    pub(super) valid_until: Option<Duration>,
}

impl Authenticated {
    /// Accepts the credential of `principal`, until that expires.
    pub fn new(principal: Principal) -> Self {
        Self {
            valid_until: principal.expires_since_epoch(),
            principal,
            headers: None,
        }
    }

    /// The same by a provider that knows for how long. Nothing is read from the principal: among
    /// many of them that is a wait for memory.
    pub(crate) fn until(principal: Principal, valid_until: Option<Duration>) -> Self {
        Self {
            principal,
            headers: None,
            valid_until,
        }
    }

    /// Sets when the credential stops being accepted, as time since 1970-01-01 UTC: its
    /// expiry, and what is allowed for clocks that differ. Streamed answers end then; see
    /// [the end of streams](crate::auth#stream-termination).
    ///
    /// Default: [`Principal::expires_at`].
    #[must_use]
    pub fn valid_until(mut self, since_epoch: Duration) -> Self {
        self.valid_until = Some(since_epoch);
        self
    }

    /// Sets a header of the response, whatever the inner service answers.
    #[must_use]
    pub fn response_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.get_or_insert_default().insert(name, value);
        self
    }

    /// The principal of the credential.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
}

impl From<Principal> for Authenticated {
    fn from(principal: Principal) -> Self {
        Self::new(principal)
    }
}

impl fmt::Debug for Authenticated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self
            .headers
            .iter()
            .flat_map(|headers| headers.keys())
            .collect();
        f.debug_struct("Authenticated")
            .field("principal", &self.principal)
            .field("headers", &names)
            .finish()
    }
}
