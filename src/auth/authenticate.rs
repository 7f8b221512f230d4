//! `Authenticate`: what a provider implements.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use super::CredentialMatcher;
use crate::clock::Clock;
use crate::credential::{Credential, Location, RequestHead};
use crate::error::AuthError;
use crate::principal::Principal;
use crate::refusal::Challenge;

/// A provider: it knows where its credential is, and whose it is.
///
/// The layer has already read the credential and refused what no provider may see (query
/// strings, duplicates, malformed headers). Implement this for a kind of credential of
/// your own and put it behind [`AuthLayer::new`](super::AuthLayer::new):
///
/// ```
/// use tower_mcp_auth::auth::{Authenticated, Authenticate, Authentication, AuthLayer};
/// use tower_mcp_auth::{AuthError, Challenge, Credential, Location, Principal, RequestHead};
///
/// #[derive(Clone, Debug)]
/// struct Badges([Location; 1]);
///
/// impl Authenticate for Badges {
///     fn locations(&self) -> &[Location] {
///         &self.0
///     }
///
///     fn authenticate(&self, credential: &Credential<'_>, _: RequestHead<'_>) -> Authentication {
///         Authentication::Ready(match credential.value() {
///             "badge-17" => Ok(Authenticated::new(Principal::builder("badge").subject("alice").build())),
///             _ => Err(AuthError::invalid("unknown_badge")),
///         })
///     }
///
///     fn challenges(&self) -> Vec<Challenge> {
///         vec![Challenge::bearer().realm("badges")]
///     }
/// }
///
/// let layer = AuthLayer::new(Badges([Location::bearer()]));
/// # let _ = layer;
/// ```
pub trait Authenticate: fmt::Debug + Send + Sync + 'static {
    /// The headers the credential is read from.
    fn locations(&self) -> &[Location];

    /// What messages about configuration call the provider; by default the name of its
    /// type.
    fn name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }

    /// The matchers its credentials have, for a layer of several providers: a credential goes
    /// to the one of whose shape it is, and to no other. Asked once, when providers are
    /// combined.
    ///
    /// By default it takes whatever stands in its [`locations`](Self::locations), so that
    /// nobody else can read these. A credential that nobody has the shape of may be given to
    /// any provider, which must refuse it without showing it to anybody.
    fn matchers(&self) -> Vec<CredentialMatcher> {
        self.locations()
            .iter()
            .cloned()
            .map(CredentialMatcher::any)
            .collect()
    }

    /// The reason codes of errors that the provider makes itself, for
    /// [`dangerously_report_only_for`](super::AuthLayer::dangerously_report_only_for), which
    /// takes no others; those of this crate need not be among them.
    fn reasons(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// Whether a credential is of this provider's kind, judged by its shape alone: what is
    /// not is refused without a further look.
    fn accepts(&self, credential: &Credential<'_>) -> bool {
        self.locations().contains(credential.location())
    }

    /// Whether the provider [checks](Credential::check) the characters of a credential itself;
    /// default false: the layer does it, and the provider sees none that are no good.
    ///
    /// The check runs over the whole of it. A provider that knows a credential again by
    /// comparing it whole with one it checked before can spare that; before anything else is
    /// made of a credential it must check it, and answer the error.
    fn checks_credentials(&self) -> bool {
        false
    }

    /// Whose credential it is.
    ///
    /// All that memory can answer is [`Authentication::Ready`]; the rest is a future that
    /// owns what it needs.
    fn authenticate(&self, credential: &Credential<'_>, head: RequestHead<'_>) -> Authentication;

    /// What a refused client is told to present. Asked once, when the layer is made.
    fn challenges(&self) -> Vec<Challenge>;

    /// The name of the provider that this credential goes to, in events and metrics, where
    /// [`Principal::provider`] says the same: a short constant. Default `custom`.
    fn provider_name(&self, credential: &Credential<'_>) -> &'static str {
        let _ = credential;
        "custom"
    }

    /// A document the provider serves itself, without authentication: protected resource
    /// metadata, say. `None`, the default, lets the request go on.
    fn answer(&self, head: RequestHead<'_>) -> Option<Response<Bytes>> {
        let _ = head;
        None
    }

    /// Whether a request goes on without a credential for what it asks for: a document that
    /// clients look for before they have one, and that the inner service may have. Its
    /// credential is taken out. Default: none does.
    ///
    /// What of this the inner service answers with 401 becomes a 404 without a challenge, so
    /// that no client is sent looking for the document by the answer to its search.
    fn exempts(&self, head: RequestHead<'_>) -> bool {
        let _ = head;
        false
    }

    /// The path of the resource that is protected, which no setting may make public.
    fn resource_path(&self) -> Option<&str> {
        None
    }

    /// The clock that [the end of validity](Authenticated::valid_until) goes by: the system's,
    /// unless the provider has another. Asked once, when the layer is made.
    fn clock(&self) -> Clock {
        Clock::system()
    }
}

impl<P: Authenticate + ?Sized> Authenticate for Arc<P> {
    fn locations(&self) -> &[Location] {
        (**self).locations()
    }

    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn matchers(&self) -> Vec<CredentialMatcher> {
        (**self).matchers()
    }

    fn reasons(&self) -> Vec<&'static str> {
        (**self).reasons()
    }

    fn accepts(&self, credential: &Credential<'_>) -> bool {
        (**self).accepts(credential)
    }

    fn checks_credentials(&self) -> bool {
        (**self).checks_credentials()
    }

    fn authenticate(&self, credential: &Credential<'_>, head: RequestHead<'_>) -> Authentication {
        (**self).authenticate(credential, head)
    }

    fn challenges(&self) -> Vec<Challenge> {
        (**self).challenges()
    }

    fn provider_name(&self, credential: &Credential<'_>) -> &'static str {
        (**self).provider_name(credential)
    }

    fn answer(&self, head: RequestHead<'_>) -> Option<Response<Bytes>> {
        (**self).answer(head)
    }

    fn exempts(&self, head: RequestHead<'_>) -> bool {
        (**self).exempts(head)
    }

    fn resource_path(&self) -> Option<&str> {
        (**self).resource_path()
    }

    fn clock(&self) -> Clock {
        (**self).clock()
    }
}

/// The answer of a provider.
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

/// A credential that was accepted.
///
/// `Debug` prints the principal and the names of headers.
#[derive(Clone)]
pub struct Authenticated {
    pub(super) principal: Principal,
    pub(super) headers: Option<Box<HeaderMap>>,
    pub(super) valid_until: Option<Duration>,
    /// The name of the provider, if it is one of this crate.
    pub(super) provider: Option<&'static str>,
}

impl Authenticated {
    /// Accepts the credential of `principal`, until that expires.
    pub fn new(principal: Principal) -> Self {
        Self {
            valid_until: principal.expires_since_epoch(),
            principal,
            headers: None,
            provider: None,
        }
    }

    /// The same by the provider `provider` of this crate, which knows how long. Nothing is
    /// read from the principal: among many of them that is a wait for memory.
    pub(crate) fn by(
        provider: &'static str,
        principal: Principal,
        valid_until: Option<Duration>,
    ) -> Self {
        Self {
            principal,
            headers: None,
            valid_until,
            provider: Some(provider),
        }
    }

    /// Sets when the credential stops being accepted, as time since 1970-01-01 UTC: its
    /// expiry, and what is allowed for clocks that differ. Streamed answers end then; see
    /// [the end of streams](crate::auth#the-end-of-streams).
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

    /// Whose credential it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
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
