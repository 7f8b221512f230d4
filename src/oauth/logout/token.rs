//! What a logout token must be: OpenID Connect Back-Channel Logout 1.0 section 2.6.

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use super::service::Shared;
use crate::crypto::sha256;
use crate::error::{AuthError, AuthErrorKind, Reason};
use crate::jose::{self, Compact, Header, HeaderBuffer, PayloadBuffer, SignatureBuffer, Typ};
use crate::json::object::{Refused, Value, read_object};
use crate::oauth::keys::KeyHint;
use crate::oauth::trusted::TrustedServer;
use crate::revocation::Entry;
use crate::store::{StoreKey, StoreValue};
use crate::token::{ClaimReader, ScopeClaim, mismatch};
use crate::util::quoted;

const TYP: &str = "logout+jwt";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const ID_DOMAIN: &[u8] = b"tower-mcp-auth logout token id 1";
const TOKEN_DOMAIN: &[u8] = b"tower-mcp-auth logout token 1";

/// By how much the clocks of two replicas may differ.
const REPLICAS: Duration = Duration::from_secs(300);

/// A logout that its issuer asks for.
pub(super) struct Logout {
    /// What is to be revoked; at least one.
    pub(super) entries: Vec<Entry>,
    /// By which the token is known again.
    pub(super) id: StoreKey,
    pub(super) digest: StoreValue,
    /// How long it could come again.
    pub(super) life: Duration,
}

/// The claims that access tokens do not have.
#[derive(Default)]
struct LogoutClaims<'p> {
    jti: Option<Cow<'p, str>>,
    sid: Option<Cow<'p, str>>,
    is_logout: bool,
    has_nonce: bool,
}

impl<'p> LogoutClaims<'p> {
    fn read(payload: &'p str) -> Result<Self, AuthError> {
        let mut claims = Self::default();
        let read = read_object(payload, |name, value| {
            match (name, value) {
                // Also where it has no value: it must not be there.
                ("nonce", _) => claims.has_nonce = true,
                (_, Value::Null) => {}
                ("jti", value) => claims.jti = Some(value.text("jti")?),
                ("sid", value) => claims.sid = Some(value.text("sid")?),
                // Others beside it change nothing: Keycloak adds `revoke_offline_access`.
                ("events", value) => value.object("events", |name, value| {
                    if name == EVENT {
                        value.object("the event", |_, _| Ok(()))?;
                        claims.is_logout = true;
                    }
                    Ok::<(), Refused>(())
                })?,
                _ => {}
            }
            Ok(())
        });
        read.map_err(|refused| jose::refused(refused, "claims"))?;
        Ok(claims)
    }
}

impl Shared {
    /// Judges a logout token. What needs no key comes first, so that a token that is refused
    /// anyway causes no fetch.
    pub(super) async fn verify(&self, token: &[u8]) -> Result<Logout, AuthError> {
        self.judge(token).await.map_err(of_a_logout_token)
    }

    async fn judge(&self, token: &[u8]) -> Result<Logout, AuthError> {
        let inner = &self.provider.inner;
        let compact = Compact::parse(token, inner.limits)?;
        let mut buffer = HeaderBuffer::default();
        let header = compact.header(&mut buffer)?;
        self.check_type(&header)?;
        let mut buffer = PayloadBuffer::default();
        let payload = compact.payload(&mut buffer)?;
        let mut claims = ClaimReader::default();
        claims.read(payload, &ScopeClaim::default())?;
        let own = LogoutClaims::read(payload)?;

        let (issuer, server) = self.check_sender(&claims)?;
        let profile = &server.profile;
        let alg = profile.check_algorithm(&header)?;
        check_kind(&own)?;
        let iat = self.check_times(&claims, server, inner.clock.now())?;
        let jti = own.jti.as_deref().filter(|jti| !jti.is_empty());
        let jti = jti.ok_or_else(|| invalid("The logout token has no jti"))?;
        let entries = self.entries(issuer, &claims, &own, payload, server, iat)?;

        let mut buffer = SignatureBuffer::default();
        let signature = compact.signature(&mut buffer)?;
        let hint = KeyHint {
            kid: header.kid.as_deref(),
            alg,
            iat: claims.iat,
        };
        let (set, candidates) = server.keys.settled(hint).await?;
        let key = set.verify(&candidates, alg, compact.signing_input(), signature);
        if key.is_none() {
            return Err(AuthError::new(Reason::INVALID_SIGNATURE)
                .with_detail(format!("the {alg} signature does not hold")));
        }
        let length = (issuer.len() as u64).to_be_bytes();
        let id = sha256(&[ID_DOMAIN, &length, issuer.as_bytes(), jti.as_bytes()]);
        let good_until = iat
            .saturating_add(self.max_age)
            .saturating_add(profile.clock_skew);
        Ok(Logout {
            entries,
            id: StoreKey::new(id),
            digest: StoreValue::new(sha256(&[TOKEN_DOMAIN, token])),
            life: good_until
                .saturating_add(REPLICAS)
                .saturating_sub(inner.clock.now()),
        })
    }

    /// Section 2.4 recommends a type of its own. Where it is not asked for, `events` alone tells a
    /// logout token.
    fn check_type(&self, header: &Header<'_>) -> Result<(), AuthError> {
        let is_right = match &header.typ {
            Typ::Other(typ) => Typ::short(typ).eq_ignore_ascii_case(TYP),
            Typ::Jwt | Typ::Absent => self.accepts_untyped,
            Typ::AtJwt => false,
        };
        match is_right {
            true => Ok(()),
            false => Err(
                invalid("The typ of the token is not logout+jwt").with_detail(
                    "the header does not have typ logout+jwt; for servers that write JWT or none \
                 there is `accept_untyped`",
                ),
            ),
        }
    }

    /// The issuer of the token, which must be for a client that this server is there.
    fn check_sender(&self, claims: &ClaimReader<'_>) -> Result<(&str, &TrustedServer), AuthError> {
        let servers = &self.provider.inner.servers;
        let Some(iss) = claims.iss.as_deref() else {
            return Err(invalid("The logout token has no iss"));
        };
        let of_issuer = self.clients.get_key_value(iss);
        let of_issuer = of_issuer.and_then(|named| Some((named, servers.get(iss)?)));
        let Some(((issuer, client_ids), server)) = of_issuer else {
            let is_trusted = servers.contains_key(iss);
            let why = match is_trusted {
                true => "is trusted, but no client id is set for it",
                false => "is none of the trusted issuers",
            };
            return Err(
                invalid("The logout token is from an issuer that is not accepted here")
                    .with_detail(format!("{} {why}", quoted(iss))),
            );
        };
        let is_ours = |aud: &str| client_ids.iter().any(|own| **own == *aud);
        if !claims.aud.iter().any(is_ours) {
            let error = invalid("The logout token is for another client");
            let own = client_ids.first().map_or("", |own| &**own);
            return Err(match claims.aud.iter().next() {
                Some(first) => error.with_detail(format!("its aud: {}", mismatch(own, first))),
                None => error.with_detail("it has no aud"),
            });
        }
        Ok((issuer, server))
    }

    /// When the token was issued, which is lately.
    fn check_times(
        &self,
        claims: &ClaimReader<'_>,
        server: &TrustedServer,
        now: Duration,
    ) -> Result<Duration, AuthError> {
        let profile = &server.profile;
        let iat = claims.iat;
        let iat = iat.ok_or_else(|| invalid("The logout token has no iat"))?;
        let exp = match claims.exp {
            Some(exp) => exp,
            // `iat` bounds its life as well.
            None if self.accepts_missing_exp => Duration::MAX,
            None => {
                return Err(invalid("The logout token has no exp").with_detail(
                    "it has no exp; for servers that write none there is `accept_missing_exp`",
                ));
            }
        };
        profile.check_times(exp, claims.nbf, Some(iat), now)?;
        let oldest = self.max_age.saturating_add(profile.clock_skew);
        if now > iat.saturating_add(oldest) {
            let age = now.saturating_sub(iat).as_secs();
            return Err(invalid("The logout token was issued too long ago")
                .with_detail(format!("it was issued {age} s ago (`max_token_age`)")));
        }
        Ok(iat)
    }

    /// What is to be revoked (section 2.7): the session, or all that the subject has until now.
    fn entries(
        &self,
        issuer: &str,
        claims: &ClaimReader<'_>,
        own: &LogoutClaims<'_>,
        payload: &str,
        server: &TrustedServer,
        iat: Duration,
    ) -> Result<Vec<Entry>, AuthError> {
        let (sid, sub) = (own.sid.as_deref(), claims.sub.as_deref());
        if [sid, sub].contains(&Some("")) {
            return Err(invalid("The sub or the sid of the logout token is empty"));
        }
        let mut entries = Vec::new();
        entries.extend(sid.map(|sid| Entry::session(issuer, sid)));
        if entries.is_empty() || self.by_subject {
            let sub = sub.ok_or_else(|| match sid {
                None => invalid("The logout token has neither sub nor sid"),
                Some(_) => invalid("The logout token has no sub"),
            })?;
            let profile = &server.profile;
            // Principals are called by it.
            let subject = match &profile.subject_claim {
                Some(claim) => claim.read(payload)?,
                None => sub.into(),
            };
            let at = UNIX_EPOCH + iat;
            let entry = Entry::subject(issuer, &subject).issued_before(at);
            entries.push(entry.allowed_ahead(profile.clock_skew));
        }
        Ok(entries)
    }
}

fn check_kind(own: &LogoutClaims<'_>) -> Result<(), AuthError> {
    if !own.is_logout {
        return Err(invalid("The events of the token have no logout event"));
    }
    // ID tokens have one. What is both is neither.
    match own.has_nonce {
        true => Err(invalid("The logout token has a nonce")),
        false => Ok(()),
    }
}

fn invalid(text: &'static str) -> AuthError {
    AuthError::new(Reason::INVALID_LOGOUT_TOKEN).with_description(text)
}

/// What a sender reads of a token that is refused as access tokens are. Trouble of ours stays what
/// it is.
fn of_a_logout_token(error: AuthError) -> AuthError {
    let text = match error.as_reason() {
        Reason::INVALID_LOGOUT_TOKEN => return error,
        _ if error.kind() == AuthErrorKind::Unavailable => return error,
        Reason::TOKEN_TOO_LARGE | Reason::HEADER_TOO_LARGE => {
            "The logout token is larger than is read"
        }
        Reason::ENCRYPTED_TOKEN => "The logout token is encrypted, which is not accepted",
        Reason::NOT_A_JWT => "The logout token is no JWT",
        Reason::DUPLICATE_TOKEN_MEMBER => "The logout token has a member twice",
        Reason::ALGORITHM_NOT_ALLOWED => "The algorithm of the logout token is not accepted",
        Reason::UNKNOWN_KEY | Reason::AMBIGUOUS_KEY => "No key of the issuer fits the logout token",
        Reason::INVALID_SIGNATURE => "The signature of the logout token does not hold",
        Reason::CRITICAL_HEADER | Reason::UNENCODED_PAYLOAD => {
            "The logout token has an extension that is not understood"
        }
        Reason::EXPIRED => "The logout token expired",
        Reason::ISSUED_IN_THE_FUTURE => "The logout token was issued in the future",
        Reason::NOT_YET_VALID => "The logout token is not valid yet",
        Reason::MISSING_SUBJECT => "The logout token lacks the claim that names its subject",
        _ => "The logout token cannot be read",
    };
    let detail = error.detail().unwrap_or(error.description());
    invalid(text).with_detail(format!("{}: {detail}", error.reason()))
}
