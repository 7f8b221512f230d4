//! [`Principal`]: who a request comes from, once a layer has accepted its credential.

mod actor;
mod bound;
mod builder;
mod id;
mod identity;
mod login;
mod raw_claims;

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Extensions;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use self::actor::{Actor, ActorBuilder};
#[cfg(feature = "jwt")]
pub(crate) use self::bound::BoundTo;
pub(crate) use self::bound::Thumbprint;
pub use self::builder::PrincipalBuilder;
#[cfg(feature = "jwt")]
pub(crate) use self::builder::{ClaimedNames, ClaimedTimes, CredentialParts};
pub(crate) use self::id::CredentialDigest;
pub use self::id::PrincipalId;
pub(crate) use self::identity::{HasIdentity, Identity};
#[cfg(feature = "jwt")]
pub(crate) use self::raw_claims::RawClaims;
use crate::json::{self, Fault};
use crate::resource::Resource;
use crate::scope::Scopes;

/// Who a request comes from.
///
/// The layer that accepted the credential puts it into the extensions of the request. Cloning costs
/// a reference count. `Debug` prints the identity and the scopes, never the claims.
///
/// - In axum, take it as an argument of the handler (feature `axum`).
/// - In an rmcp tool, the request's `http::request::Parts` are in the extensions of the
///   message: [`Principal::from_extensions`]`(&parts.extensions)`.
/// - In tonic, `Principal::from_extensions(request.extensions())`.
pub struct Principal {
    owner: Arc<dyn HasIdentity>,
    /// Read when first asked for. Not shared with clones: a cache weighs the bytes it keeps,
    /// and what is read from them can be twenty times as large.
    claims: OnceLock<Box<Map<String, Value>>>,
    /// What a refusal further in must say. Kept beside the identity, not in an extension
    /// of its own: a second insertion would be a fourth allocation per request.
    context: Option<Arc<dyn LayerContext>>,
    /// Whether a proof came with the token (RFC 9449), wherever its key is named.
    by_proof: bool,
}

/// What an auth layer hands on with a principal: a layer further in refuses in the same words.
/// The rooms above know its type.
pub(crate) trait LayerContext: Any + Send + Sync {
    /// The protected resource of the layer, or the one the request was routed to.
    fn resource(&self) -> Option<&Resource>;
}

/// How far clocks may differ, where no provider says.
const DEFAULT_SKEW: Duration = Duration::from_secs(60);

static NO_CLAIMS: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

impl Principal {
    /// Starts a principal of the provider `provider`.
    ///
    /// That is a short constant name: `"api_key"`, `"jwt"`, `"oauth"`, or one of your own.
    pub fn builder(provider: impl Into<Cow<'static, str>>) -> PrincipalBuilder {
        PrincipalBuilder(Identity {
            provider: provider.into(),
            issuer: None,
            subject: None,
            username: None,
            client_id: None,
            actors: Box::default(),
            scopes: Scopes::default(),
            issued_at: None,
            expires_at: None,
            asked_at: None,
            credential_digest: None,
            bound_to: None,
            raw_claims: None,
            clock_skew: DEFAULT_SKEW,
            id: OnceLock::new(),
            login: OnceLock::new(),
            found_good: AtomicU64::new(0),
        })
    }

    /// The principal of one request.
    pub(crate) fn of(owner: Arc<impl HasIdentity>) -> Self {
        Self {
            owner,
            claims: OnceLock::new(),
            context: None,
            by_proof: false,
        }
    }

    pub(crate) fn identity(&self) -> &Identity {
        self.owner.identity()
    }

    /// What holds the identity, shared with all that keep it.
    pub(crate) fn owner(&self) -> &Arc<dyn HasIdentity> {
        &self.owner
    }

    /// The principal of a request, for code that holds only the request's extensions:
    /// rmcp tools, tonic methods, key extractors of rate limiters.
    ///
    /// `None` where no auth layer ran, and on requests that needed no credential.
    pub fn from_extensions(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// The identity as one comparable value, for rate limits, sessions and audit logs.
    ///
    /// Where a layer has several resources it is the same at all of them: key limits on it and on
    /// the URL of the [resource](Self::resource).
    pub fn id(&self) -> &PrincipalId {
        let identity = self.identity();
        identity.id.get_or_init(|| PrincipalId::of(identity))
    }

    /// The subject: the `sub` claim, or the one that is configured, or the name of an API key.
    pub fn subject(&self) -> Option<&str> {
        self.identity().subject()
    }

    /// The OAuth client that presented the credential (`client_id`, or `azp`).
    pub fn client_id(&self) -> Option<&str> {
        self.identity().client_id()
    }

    /// Those who act for the subject: the current actor, then those it acts for. Empty where
    /// the subject acts itself.
    ///
    /// They are those of the claim `act` ([RFC 8693 section 4.1]), one inside the other, four
    /// at most: a token with more is refused. The first alone may decide what is allowed; the
    /// others tell how it came to act. A client is no actor by itself: see
    /// [`client_id`](Self::client_id).
    ///
    /// Of Entra ID's agent identities the one that presents a token of a user, or of its own
    /// user account, is its actor (`xms_act_fct`); one that is the subject itself
    /// (`xms_sub_fct`) has none.
    ///
    /// [RFC 8693 section 4.1]: https://www.rfc-editor.org/rfc/rfc8693#section-4.1
    pub fn actors(&self) -> &[Actor] {
        &self.identity().actors
    }

    /// The issuer of the credential, exactly as configured.
    pub fn issuer(&self) -> Option<&str> {
        self.identity().issuer.as_deref()
    }

    /// The scopes granted.
    pub fn scopes(&self) -> &Scopes {
        &self.identity().scopes
    }

    /// When the credential was issued: the `iat` claim, or when an API key was made.
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.identity()
            .issued_at
            .and_then(|at| UNIX_EPOCH.checked_add(at))
    }

    /// When the credential expires, clock skew not included.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.identity()
            .expires_at
            .and_then(|at| UNIX_EPOCH.checked_add(at))
    }

    pub(crate) fn expires_since_epoch(&self) -> Option<Duration> {
        self.identity().expires_at
    }

    /// All claims, read when first asked for; empty for a credential without claims.
    ///
    /// Claims of a token can always be read: what could not was refused. Claims that a provider
    /// of your own [gave](PrincipalBuilder::claims) may be nested too deeply, have a number
    /// too near the greatest `f64`, or have a member with a name that `serde_json` keeps for
    /// itself (`$serde_json::private::…`). They are empty then, with an event of level `error`;
    /// [`claims_as`](Self::claims_as) returns the error.
    pub fn claims(&self) -> &Map<String, Value> {
        let Some(raw) = self.identity().raw_claims() else {
            return &NO_CLAIMS;
        };
        self.claims.get_or_init(|| {
            readable(raw)
                .and_then(serde_json::from_str)
                .unwrap_or_else(|error| {
                    // Here, because `telemetry` knows principals. The text of the error might
                    // repeat what it read.
                    tracing::error!(
                        target: "tower_mcp_auth",
                        provider = self.provider(),
                        line = error.line(),
                        column = error.column(),
                        "the claims of a principal cannot be read, so it has none"
                    );
                    Box::default()
                })
        })
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
    /// The claims do not have the shape of `T`, or cannot be read: see
    /// [`claims`](Self::claims).
    pub fn claims_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        let raw = self.identity().raw_claims().unwrap_or("{}");
        serde_json::from_str(readable(raw)?)
    }

    /// The provider that accepted the credential: `"api_key"`, `"jwt"`, `"oauth"`, or the
    /// name a provider of your own gave.
    pub fn provider(&self) -> &str {
        &self.identity().provider
    }

    /// The protected resource that the credential was accepted for: that of the layer, or the
    /// one its provider routed the request to. `None` where there is none.
    pub fn resource(&self) -> Option<&Resource> {
        self.context()?.resource()
    }

    /// The most bytes of its claims, and of what was copied from them.
    #[cfg(feature = "oauth")]
    pub(crate) fn weight(&self) -> usize {
        self.identity().weight()
    }

    /// What the layer handed on that accepted the credential, if it was one of this crate.
    pub(crate) fn context(&self) -> Option<&dyn LayerContext> {
        self.context.as_deref()
    }

    /// Whether the token came under the scheme `DPoP`, with a proof (RFC 9449).
    pub(crate) fn is_by_proof(&self) -> bool {
        self.by_proof
    }

    #[cfg(feature = "oauth")]
    pub(crate) fn by_proof(self, by_proof: bool) -> Self {
        Self { by_proof, ..self }
    }

    pub(crate) fn with_context(mut self, context: Arc<dyn LayerContext>) -> Self {
        self.context = Some(context);
        self
    }
}

/// An empty name names nothing.
fn named(name: &str) -> Option<Box<str>> {
    (!name.is_empty()).then(|| name.into())
}

/// The claims, unless serde_json would put something else in the place of a part of them.
fn readable(raw: &str) -> Result<&str, serde_json::Error> {
    match json::check(raw, json::MAX_DEPTH) {
        Err(Fault::Reserved) => Err(serde::de::Error::custom("reserved member name")),
        // What else is wrong with them serde_json says better.
        _ => Ok(raw),
    }
}

impl Clone for Principal {
    fn clone(&self) -> Self {
        Self {
            owner: Arc::clone(&self.owner),
            claims: OnceLock::new(),
            context: self.context.clone(),
            by_proof: self.by_proof,
        }
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("id", &self.id().as_str())
            .field("scopes", self.scopes())
            .finish_non_exhaustive()
    }
}
