//! [`Principal`]: who a request comes from, once a layer has accepted its credential.

mod id;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Extensions;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use self::id::PrincipalId;
pub(crate) use self::id::StrangerDigest;
use crate::challenge::RefusalContext;
use crate::error::{AuthError, AuthErrorKind};
use crate::scopes::Scopes;

/// Who a request comes from, put into the request's extensions by the layer that
/// accepted its credential.
///
/// Cloning costs a reference count. `Debug` prints the identity and the scopes, never
/// the claims.
///
/// - In axum, take it as an argument of the handler (feature `axum`).
/// - In an rmcp tool, the request's `http::request::Parts` are in the extensions of the
///   message: [`Principal::from_extensions`]`(&parts.extensions)`.
/// - In tonic, `Principal::from_extensions(request.extensions())`.
pub struct Principal {
    inner: Arc<Inner>,
    /// Read when first asked for. Not shared with clones: a cache weighs the bytes it keeps,
    /// and what is read from them can be twenty times as large.
    claims: OnceLock<Box<Map<String, Value>>>,
    /// What a refusal further in must say. Kept beside the identity, not in an extension
    /// of its own: a second insertion would be a fourth allocation per request.
    context: Option<Arc<RefusalContext>>,
}

// In this order, because what every request needs is then beside the reference count.
#[repr(C)]
struct Inner {
    provider: Cow<'static, str>,
    scopes: Scopes,
    expires_at: Option<Duration>,
    issuer: Option<Arc<str>>,
    subject: Option<Name>,
    username: Option<Name>,
    client_id: Option<Name>,
    stranger: Option<StrangerDigest>,
    raw_claims: Option<String>,
    id: OnceLock<PrincipalId>,
}

/// A name, or where it stands in the claims: a token has names as it is, and copies of them
/// are allocations.
enum Name {
    Own(Box<str>),
    #[cfg_attr(
        not(feature = "jwt"),
        expect(dead_code, reason = "without tokens nothing has such claims")
    )]
    InClaims(Range<usize>),
}

impl Inner {
    fn subject(&self) -> Option<&str> {
        self.name(self.subject.as_ref())
    }

    fn username(&self) -> Option<&str> {
        self.name(self.username.as_ref())
    }

    fn client_id(&self) -> Option<&str> {
        self.name(self.client_id.as_ref())
    }

    fn name<'a>(&'a self, name: Option<&'a Name>) -> Option<&'a str> {
        match name? {
            Name::Own(own) => Some(own),
            Name::InClaims(place) => self.raw_claims.as_ref()?.get(place.clone()),
        }
    }
}

/// Who somebody is, as long as no request is concerned: what stores and caches keep.
#[derive(Clone)]
pub(crate) struct Identity(Arc<Inner>);

impl Identity {
    /// The principal of one request.
    pub(crate) fn principal(&self) -> Principal {
        Principal {
            inner: Arc::clone(&self.0),
            claims: OnceLock::new(),
            context: None,
        }
    }

    /// The bytes of its claims, and of what was copied from them.
    #[cfg(feature = "oauth")]
    pub(crate) fn weight(&self) -> usize {
        let inner = &*self.0;
        let copies = [&inner.subject, &inner.username, &inner.client_id];
        let length = |name: &Name| match name {
            Name::Own(own) => own.len(),
            Name::InClaims(_) => 0,
        };
        let copied: usize = copies.into_iter().flatten().map(length).sum();
        let claims = inner.raw_claims.as_ref().map_or(0, String::capacity);
        claims + copied + inner.scopes.as_str().len()
    }
}

static NO_CLAIMS: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

impl Principal {
    /// Starts a principal of the provider `provider`, a short constant name
    /// (`"api_key"`, `"jwt"`, `"oauth"`, or a name of your own).
    pub fn builder(provider: impl Into<Cow<'static, str>>) -> PrincipalBuilder {
        PrincipalBuilder(Inner {
            provider: provider.into(),
            issuer: None,
            subject: None,
            username: None,
            client_id: None,
            scopes: Scopes::default(),
            expires_at: None,
            stranger: None,
            raw_claims: None,
            id: OnceLock::new(),
        })
    }

    /// The principal of a request, for code that holds only the request's extensions:
    /// rmcp tools, tonic methods, key extractors of rate limiters.
    ///
    /// `None` where no auth layer ran, and on requests that needed no credential.
    pub fn from_extensions(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// The identity as one comparable value, for rate limits, sessions and audit logs.
    pub fn id(&self) -> &PrincipalId {
        self.inner.id.get_or_init(|| PrincipalId::of(&self.inner))
    }

    /// The subject: the `sub` claim, or the name of an API key.
    pub fn subject(&self) -> Option<&str> {
        self.inner.subject()
    }

    /// The OAuth client that presented the credential (`client_id`, or `azp`).
    pub fn client_id(&self) -> Option<&str> {
        self.inner.client_id()
    }

    /// The issuer of the credential, exactly as configured.
    pub fn issuer(&self) -> Option<&str> {
        self.inner.issuer.as_deref()
    }

    /// The scopes granted.
    pub fn scopes(&self) -> &Scopes {
        &self.inner.scopes
    }

    /// When the credential expires, clock skew not included.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.inner
            .expires_at
            .and_then(|at| UNIX_EPOCH.checked_add(at))
    }

    pub(crate) fn expires_since_epoch(&self) -> Option<Duration> {
        self.inner.expires_at
    }

    /// All claims, read when first asked for; empty for a credential without claims.
    pub fn claims(&self) -> &Map<String, Value> {
        let Some(raw) = &self.inner.raw_claims else {
            return &NO_CLAIMS;
        };
        // The text was read once when the credential was accepted, so it parses.
        self.claims
            .get_or_init(|| serde_json::from_str(raw).unwrap_or_default())
    }

    /// The claims as a type of your own.
    ///
    /// ```
    /// # fn show(principal: &tower_mcp_auth::Principal) -> Result<(), serde_json::Error> {
    /// #[derive(serde::Deserialize)]
    /// struct Claims {
    ///     tenant: String,
    /// }
    ///
    /// let claims: Claims = principal.claims_as()?;
    /// # let _ = claims.tenant;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The claims do not have the shape of `T`.
    pub fn claims_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.inner.raw_claims.as_deref().unwrap_or("{}"))
    }

    /// The provider that accepted the credential: `"api_key"`, `"jwt"`, `"oauth"`, or the
    /// name a provider of your own gave.
    pub fn provider(&self) -> &str {
        &self.inner.provider
    }

    /// What a refusal of this principal says.
    pub(crate) fn context(&self) -> &Arc<RefusalContext> {
        self.context.as_ref().unwrap_or(RefusalContext::bare())
    }

    pub(crate) fn with_context(mut self, context: &Arc<RefusalContext>) -> Self {
        self.context = Some(Arc::clone(context));
        self
    }
}

impl Clone for Principal {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            claims: OnceLock::new(),
            context: self.context.clone(),
        }
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("id", &self.id().as_str())
            .field("scopes", &self.inner.scopes)
            .finish_non_exhaustive()
    }
}

/// Makes a [`Principal`], for providers of your own and for unit tests of handlers.
///
/// ```
/// use tower_mcp_auth::Principal;
///
/// let principal = Principal::builder("badge").subject("alice").build();
/// assert_eq!(principal.subject(), Some("alice"));
/// assert_eq!(principal.id().to_string(), "badge|sub=alice");
/// ```
#[must_use]
pub struct PrincipalBuilder(Inner);

impl PrincipalBuilder {
    /// Sets the issuer.
    #[inline]
    pub fn issuer(mut self, issuer: impl Into<Arc<str>>) -> Self {
        self.0.issuer = Some(issuer.into());
        self
    }

    /// Sets the subject. An empty one is none: it would make one of all who have it.
    #[inline]
    pub fn subject(mut self, subject: impl Into<Box<str>>) -> Self {
        self.0.subject = Name::own(subject.into());
        self
    }

    /// Sets the name the id falls back to where there is no subject.
    #[inline]
    pub fn username(mut self, username: impl Into<Box<str>>) -> Self {
        self.0.username = Name::own(username.into());
        self
    }

    /// Sets the OAuth client.
    #[inline]
    pub fn client_id(mut self, client_id: impl Into<Box<str>>) -> Self {
        self.0.client_id = Name::own(client_id.into());
        self
    }

    /// Sets the scopes.
    #[inline]
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.0.scopes = scopes;
        self
    }

    /// Sets the expiry, as time since 1970-01-01 UTC.
    #[inline]
    pub fn expires_at(mut self, since_epoch: Duration) -> Self {
        self.0.expires_at = Some(since_epoch);
        self
    }

    /// Sets the claims.
    #[inline]
    pub fn claims(mut self, claims: &Map<String, Value>) -> Self {
        self.0.raw_claims = serde_json::to_string(claims).ok();
        self
    }

    /// Sets the claims from a JSON object that was read and found good, and the names that
    /// were found in it.
    #[cfg(feature = "jwt")]
    #[inline]
    pub(crate) fn claimed(mut self, json: String, names: ClaimedNames) -> Self {
        self.0.raw_claims = Some(json);
        self.0.subject = names.subject;
        self.0.username = names.username;
        self.0.client_id = names.client_id;
        self
    }

    /// Lets a digest of `credential` take part in the id where there is neither a subject
    /// nor a username: two holders of different credentials are then never one principal.
    #[inline]
    pub fn told_apart_by(self, credential: &[u8]) -> Self {
        if self.0.subject.is_some() || self.0.username.is_some() {
            return self;
        }
        self.stranger(StrangerDigest::of(credential))
    }

    #[inline]
    pub(crate) fn stranger(mut self, digest: StrangerDigest) -> Self {
        self.0.stranger = Some(digest);
        self
    }

    /// The finished principal.
    #[inline]
    pub fn build(self) -> Principal {
        self.identity().principal()
    }

    #[inline]
    pub(crate) fn identity(self) -> Identity {
        Identity(Arc::new(self.0))
    }
}

impl fmt::Debug for PrincipalBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrincipalBuilder").finish_non_exhaustive()
    }
}

/// The names that a JSON text of claims has. They stand in that text, so the two are handed on
/// together.
#[cfg(feature = "jwt")]
#[derive(Default)]
pub(crate) struct ClaimedNames {
    subject: Option<Name>,
    username: Option<Name>,
    client_id: Option<Name>,
}

#[cfg(feature = "jwt")]
impl ClaimedNames {
    /// Each name is a slice of `json`, or is copied.
    pub(crate) fn new(
        json: &str,
        subject: Option<&str>,
        username: Option<&str>,
        client_id: Option<&str>,
    ) -> Self {
        let place = |name: Option<&str>| Name::within(json, name?);
        Self {
            subject: place(subject),
            username: place(username),
            client_id: place(client_id),
        }
    }

    /// Whether they say whose the credential is.
    pub(crate) fn name_somebody(&self) -> bool {
        self.subject.is_some() || self.username.is_some()
    }
}

impl Name {
    fn own(name: Box<str>) -> Option<Self> {
        (!name.is_empty()).then_some(Self::Own(name))
    }

    #[cfg(feature = "jwt")]
    fn within(json: &str, name: &str) -> Option<Self> {
        let start = name.as_ptr().addr().wrapping_sub(json.as_ptr().addr());
        let place = start..start.wrapping_add(name.len());
        match json.get(place.clone()) {
            Some(same) if same == name && !name.is_empty() => Some(Self::InClaims(place)),
            _ => Self::own(name.into()),
        }
    }
}

/// The mark an auth layer leaves on a request it let through without a principal.
#[derive(Clone, Debug)]
pub(crate) struct NoPrincipal {
    pub(crate) context: Arc<RefusalContext>,
    /// What the request would have been refused for.
    pub(crate) observed: Option<AuthError>,
}

/// Whose request it is, as a layer further in sees it.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// `None` for a request that was let through without a credential.
    pub(crate) principal: Option<&'a Principal>,
    pub(crate) context: &'a RefusalContext,
    /// Why there is no principal, where a bad credential was only observed.
    pub(crate) observed: Option<&'a AuthError>,
}

impl<'a> Caller<'a> {
    /// `None` where no auth layer ran.
    pub(crate) fn of(extensions: &'a Extensions) -> Option<Self> {
        if let Some(principal) = extensions.get::<Principal>() {
            return Some(Self {
                principal: Some(principal),
                context: principal.context(),
                observed: None,
            });
        }
        let mark: &NoPrincipal = extensions.get()?;
        Some(Self {
            principal: None,
            context: &mark.context,
            observed: mark.observed.as_ref(),
        })
    }

    /// Whether a request is let pass that is to be refused for this: where refusals like it
    /// are observed, or where it follows from one that was.
    pub(crate) fn observes(self, error: &AuthError) -> bool {
        let follows = || {
            matches!(
                error.kind(),
                AuthErrorKind::Missing | AuthErrorKind::UnknownSession
            )
        };
        self.observed.is_some() && follows() || self.context.observes(error.reason())
    }

    /// Whether scopes that were not granted are only observed. Who is nobody is refused for
    /// the missing credential before scopes are looked at.
    pub(crate) fn observes_scopes(self) -> bool {
        let reason = match self.principal {
            Some(_) => "insufficient_scope",
            None => "missing_credential",
        };
        self.observed.is_some() || self.context.observes(reason)
    }

    /// Whether this error says again what was observed before.
    pub(crate) fn repeats(self, error: &AuthError) -> bool {
        self.observed.is_some() && error.kind() == AuthErrorKind::Missing
    }

    /// The scopes granted; none to nobody.
    pub(crate) fn scopes(self) -> &'a Scopes {
        static NONE: Scopes = Scopes::none();
        self.principal.map_or(&NONE, Principal::scopes)
    }
}
