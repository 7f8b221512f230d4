//! Building a principal.

#[cfg(feature = "jwt")]
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
#[cfg(feature = "jwt")]
use std::sync::OnceLock;
#[cfg(feature = "jwt")]
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde_json::{Map, Value};

#[cfg(feature = "jwt")]
use super::BoundTo;
use super::raw_claims::RawClaims;
use super::{Actor, CredentialDigest, Identity, Principal, named};
use crate::scope::Scopes;

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
pub struct PrincipalBuilder(pub(super) Identity);

impl PrincipalBuilder {
    /// Sets the issuer.
    pub fn issuer(mut self, issuer: impl Into<Arc<str>>) -> Self {
        self.0.issuer = Some(issuer.into());
        self
    }

    /// Sets the subject. An empty one is none: it would make one of all who have it.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.0.subject = named(&subject.into());
        self
    }

    /// Sets the name the id falls back to where there is no subject.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.0.username = named(&username.into());
        self
    }

    /// Sets the OAuth client.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.0.client_id = named(&client_id.into());
        self
    }

    /// Sets those who act for the subject, the current actor first.
    pub fn actors(mut self, actors: impl IntoIterator<Item = Actor>) -> Self {
        self.0.actors = actors.into_iter().collect();
        self
    }

    /// Sets the scopes.
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.0.scopes = scopes;
        self
    }

    /// Sets when the credential was issued, as time since 1970-01-01 UTC.
    ///
    /// Default: the claim `iat`, where the [claims](Self::claims) have it as a number.
    pub fn issued_at(mut self, since_epoch: Duration) -> Self {
        self.0.issued_at = Some(since_epoch);
        self
    }

    /// Sets the expiry, as time since 1970-01-01 UTC.
    pub fn expires_at(mut self, since_epoch: Duration) -> Self {
        self.0.expires_at = Some(since_epoch);
        self
    }

    /// Sets the claims.
    pub fn claims(mut self, claims: &Map<String, Value>) -> Self {
        if self.0.issued_at.is_none() {
            let iat = claims.get("iat").and_then(Value::as_f64);
            self.0.issued_at = iat.and_then(|iat| Duration::try_from_secs_f64(iat).ok());
        }
        let json = serde_json::to_string(claims).ok();
        self.0.raw_claims = json.map(|json| RawClaims::Json(json.into()));
        self
    }

    /// Lets a digest of `credential` take part in the id.
    ///
    /// It does so where there is neither a subject nor a username: two holders of different
    /// credentials are then never one principal.
    pub fn fingerprint(self, credential: &[u8]) -> Self {
        if self.0.subject.is_some() || self.0.username.is_some() {
            return self;
        }
        self.credential_digest(CredentialDigest::of(credential))
    }

    pub(crate) fn credential_digest(mut self, digest: CredentialDigest) -> Self {
        self.0.credential_digest = Some(digest);
        self
    }

    /// The finished principal.
    pub fn build(self) -> Principal {
        Principal::of(Arc::new(self.0))
    }

    pub(crate) fn identity(self) -> Identity {
        self.0
    }
}

impl fmt::Debug for PrincipalBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrincipalBuilder").finish_non_exhaustive()
    }
}

/// The names that claims have.
#[cfg(feature = "jwt")]
#[derive(Default)]
pub(crate) struct ClaimedNames {
    subject: Option<Box<str>>,
    username: Option<Box<str>>,
    client_id: Option<Box<str>>,
    actors: Box<[Actor]>,
}

/// The times that claims have.
#[cfg(feature = "jwt")]
#[derive(Clone, Copy)]
pub(crate) struct ClaimedTimes {
    pub(crate) issued_at: Option<Duration>,
    pub(crate) expires_at: Option<Duration>,
    /// How far the clock they were read from may differ.
    pub(crate) clock_skew: Duration,
}

/// What is kept of the credential itself.
#[cfg(feature = "jwt")]
#[derive(Clone, Copy, Default)]
pub(crate) struct CredentialParts {
    /// Takes part in the id, where nothing else names its owner.
    pub(crate) digest: Option<CredentialDigest>,
    /// What it is bound to.
    pub(crate) bound_to: BoundTo,
}

#[cfg(feature = "jwt")]
impl ClaimedNames {
    pub(crate) fn new(
        subject: Option<&str>,
        username: Option<&str>,
        client_id: Option<&str>,
    ) -> Self {
        Self {
            subject: subject.and_then(named),
            username: username.and_then(named),
            client_id: client_id.and_then(named),
            actors: Box::default(),
        }
    }

    /// The same, with those who act for the subject.
    pub(crate) fn with_actors(self, actors: Box<[Actor]>) -> Self {
        Self { actors, ..self }
    }

    /// Whether they name the owner of the credential.
    pub(crate) fn name_principal(&self) -> bool {
        self.subject.is_some() || self.username.is_some()
    }
}

#[cfg(feature = "jwt")]
impl Identity {
    /// The owner of a token: its `claims` were read and found good, and `names` are those found in
    /// them. All of it at once, because a builder is copied at each step.
    #[inline]
    pub(crate) fn claimed(
        provider: &'static str,
        issuer: Option<Arc<str>>,
        scopes: Scopes,
        times: ClaimedTimes,
        names: ClaimedNames,
        credential: CredentialParts,
        claims: RawClaims,
    ) -> Self {
        Self {
            provider: Cow::Borrowed(provider),
            scopes,
            issued_at: times.issued_at,
            expires_at: times.expires_at,
            asked_at: None,
            issuer,
            subject: names.subject,
            username: names.username,
            client_id: names.client_id,
            actors: names.actors,
            credential_digest: credential.digest,
            bound_to: credential.bound_to.kept(),
            raw_claims: Some(claims),
            clock_skew: times.clock_skew,
            id: OnceLock::new(),
            login: OnceLock::new(),
            found_good: AtomicU64::new(0),
        }
    }

    /// The same, vouched for by an authorization server that was asked then.
    #[cfg(feature = "oauth")]
    pub(crate) fn vouched_for(self, asked_at: Duration) -> Self {
        Self {
            asked_at: Some(asked_at),
            ..self
        }
    }
}
