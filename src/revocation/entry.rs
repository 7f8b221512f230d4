//! `Entry`: what is revoked.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Token,
    Subject,
    Client,
    Grant,
    Session,
    Issuer,
    ApiKey,
    /// All API keys.
    ApiKeys,
}

impl Kind {
    pub(super) const COUNT: usize = Self::ApiKeys as usize + 1;
    pub(super) const ALL: [Self; Self::COUNT] = [
        Self::Token,
        Self::Subject,
        Self::Client,
        Self::Grant,
        Self::Session,
        Self::Issuer,
        Self::ApiKey,
        Self::ApiKeys,
    ];

    /// As in events, and in documents of the service.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Subject => "subject",
            Self::Client => "client",
            Self::Grant => "grant",
            Self::Session => "session",
            Self::Issuer => "issuer",
            Self::ApiKey => "api_key",
            Self::ApiKeys => "api_keys",
        }
    }

    pub(super) fn is_of_api_keys(self) -> bool {
        matches!(self, Self::ApiKey | Self::ApiKeys)
    }
}

/// What is revoked: one token, all of a subject, an API key, …
///
/// Names mean something within their issuer: the `iss` of the tokens, exactly as it stands in
/// [`Principal::issuer`](crate::Principal::issuer), or `None` for those of a layer that knows no
/// issuer.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_mcp_auth::revocation::Entry;
///
/// let issuer = "https://auth.example.com";
/// let now = SystemTime::now();
/// let entries = [
///     Entry::token(issuer, "9f3c").expires_at(now + Duration::from_secs(3600)),
///     // Those issued from now on are good.
///     Entry::subject(issuer, "alice").issued_before(now),
///     Entry::api_key("5c1b0a"),
/// ];
/// # let _ = entries;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Entry {
    pub(super) kind: Kind,
    pub(super) issuer: Option<Box<str>>,
    pub(super) value: Box<str>,
    pub(super) before: Option<Duration>,
    pub(super) expires_at: Option<Duration>,
    /// How far the moment may be ahead, where that was judged by another allowance than that of the
    /// `Revocation`.
    pub(super) ahead: Duration,
}

impl Entry {
    fn new(kind: Kind, issuer: Option<&str>, value: &str) -> Self {
        Self {
            kind,
            issuer: issuer.map(Into::into),
            value: value.into(),
            before: None,
            expires_at: None,
            ahead: Duration::ZERO,
        }
    }

    /// The token with this id: the claim `jti`, a string, or a number as it is written.
    pub fn token<'i>(issuer: impl Into<Option<&'i str>>, jti: &str) -> Self {
        Self::new(Kind::Token, issuer.into(), jti)
    }

    /// All tokens of this [subject](crate::Principal::subject). A username is none.
    pub fn subject<'i>(issuer: impl Into<Option<&'i str>>, subject: &str) -> Self {
        Self::new(Kind::Subject, issuer.into(), subject)
    }

    /// All tokens of this [client](crate::Principal::client_id).
    pub fn client<'i>(issuer: impl Into<Option<&'i str>>, client_id: &str) -> Self {
        Self::new(Kind::Client, issuer.into(), client_id)
    }

    /// All tokens of this grant: the claim that
    /// [`grant_claim`](super::Revocation::grant_claim) names.
    pub fn grant<'i>(issuer: impl Into<Option<&'i str>>, grant: &str) -> Self {
        Self::new(Kind::Grant, issuer.into(), grant)
    }

    /// All tokens of this session of the authorization server: the claim `sid`, or the one that
    /// [`session_claim`](super::Revocation::session_claim) names.
    ///
    /// A session id is unique within its issuer only.
    pub fn session<'i>(issuer: impl Into<Option<&'i str>>, sid: &str) -> Self {
        Self::new(Kind::Session, issuer.into(), sid)
    }

    /// All tokens of this issuer.
    pub fn issuer<'i>(issuer: impl Into<Option<&'i str>>) -> Self {
        Self::new(Kind::Issuer, issuer.into(), "")
    }

    /// The API key with this [id](crate::api_key::ApiKey::id).
    pub fn api_key(id: &str) -> Self {
        Self::new(Kind::ApiKey, None, id)
    }

    /// All API keys that were [made](crate::api_key::ApiKey::created_at) at this moment or before
    /// it, and those of which that is not known.
    pub fn api_keys_created_before(at: SystemTime) -> Self {
        Self::new(Kind::ApiKeys, None, "").issued_before(at)
    }

    /// Revokes only what was issued at this moment or before it.
    ///
    /// It is in the seconds of the issuer, which `iat` has: a part of a second counts as a whole
    /// one, and 5 seconds more are
    /// [allowed for clocks that differ](super::Revocation::revocation_skew). API keys have no
    /// such allowance. A later moment replaces an earlier one, and never the other way round.
    pub fn issued_before(mut self, at: SystemTime) -> Self {
        self.before = Some(since_epoch(at));
        self
    }

    /// Allows the moment to be so far ahead: the clock of the issuer that named it may be
    /// ahead by as much.
    #[cfg(feature = "oauth")]
    pub(crate) fn allowed_ahead(mut self, skew: Duration) -> Self {
        self.ahead = skew;
        self
    }

    /// Sets when the [token](Self::token) expires, so that its entry need not be kept longer. It
    /// changes nothing for other entries.
    ///
    /// Default: an entry is kept as long as any token
    /// [may live](super::Revocation::max_token_lifetime).
    pub fn expires_at(mut self, at: SystemTime) -> Self {
        self.expires_at = Some(since_epoch(at));
        self
    }
}

fn since_epoch(at: SystemTime) -> Duration {
    at.duration_since(UNIX_EPOCH).unwrap_or_default()
}
