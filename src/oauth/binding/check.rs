//! `Binding`: whether a request proves that it has the key of its token (RFC 9449 section 4.3).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Method};

use super::header::Headers;
use super::nonce::{Known, Nonces};
use super::options::DpopOptions;
use super::proof::{self, ProofClaims};
use super::record::{Fresh, Made, Recorded, Recorder, Recording, WINDOW};
use super::target::Target;
use crate::clock::{Clock, Moment};
use crate::credential::{Credential, Location, RequestHead};
use crate::crypto::sha256;
use crate::error::{AuthError, ConfigError, Reason};
use crate::jose::{Algorithm, PayloadBuffer};
use crate::principal::{BoundTo, Principal};
use crate::resources::Behind;
use crate::util::quoted;

/// The header of proofs.
pub(in crate::oauth) const DPOP: HeaderName = HeaderName::from_static("dpop");

/// How far the time of a proof may be from now, both ways, where proofs are accepted more than once.
const SHORT_WINDOW: Duration = Duration::from_secs(60);
/// What is allowed for clocks that differ where a proof has `exp` or `nbf`.
const SKEW: Duration = Duration::from_secs(60);

/// The algorithms of proofs: every asymmetric one that the backend verifies.
pub(in crate::oauth) fn algorithms() -> Vec<&'static str> {
    let all = [
        Algorithm::ES256,
        Algorithm::EdDSA,
        Algorithm::ES384,
        Algorithm::ES512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
    ];
    let verified = all.into_iter().filter(|alg| alg.check_backend().is_ok());
    // RFC 9864 has another name for one of them.
    verified.map(Algorithm::name).chain(["Ed25519"]).collect()
}

/// Checks proofs for the servers of one layer.
pub(in crate::oauth) struct Binding {
    location: Location,
    behind: Behind,
    recorder: Recorder,
    nonces: Option<Nonces>,
    headers: Headers,
}

/// How a request presents its token, kept while there is something to wait for.
pub(in crate::oauth) enum Presented {
    Bearer,
    Proof(Box<PresentedProof>),
}

pub(in crate::oauth) struct PresentedProof {
    /// `None`: there is none.
    proof: Option<HeaderValue>,
    is_repeated: bool,
    method: Method,
    /// As the client sent it.
    path: String,
    /// Whether all of the path was taken away: a router leaves a slash, be there one or not.
    is_all_stripped: bool,
}

/// A token and its proof, as far as the proof was not used before.
#[derive(Default)]
pub(in crate::oauth) struct Checked {
    /// What is still to be waited for.
    pub(in crate::oauth) recording: Option<Recording>,
    /// The nonce that the client should use next.
    pub(in crate::oauth) next_nonce: Option<HeaderValue>,
}

/// What a proof is to fit.
#[derive(Clone, Copy)]
pub(in crate::oauth) struct Expected<'e> {
    pub(in crate::oauth) token: &'e [u8],
    /// What the token is bound to.
    pub(in crate::oauth) bound_to: &'e BoundTo,
    /// The URL of the resource.
    pub(in crate::oauth) resource: &'e str,
}

impl Binding {
    /// # Errors
    /// The prefix is no path.
    pub(in crate::oauth) fn new(
        options: DpopOptions,
        prefix: Option<&str>,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            location: Location::scheme(AUTHORIZATION, "DPoP"),
            behind: Behind::new(None, prefix)?,
            recorder: Recorder::new(options.replays, clock),
            nonces: options.nonces,
            headers: Headers::new(options.max_prepared_keys),
        })
    }

    /// Whether proofs can name a resource by its URL.
    pub(in crate::oauth) fn check_resource(url: &str) -> Result<(), ConfigError> {
        Target::of_request(url, "/").map(drop).map_err(|why| {
            let why = format!("no DPoP proof can be for the resource {url:?}: {why}");
            ConfigError::new("dpop", why)
        })
    }

    /// Where a token stands that comes with a proof.
    pub(in crate::oauth) fn location(&self) -> &Location {
        &self.location
    }

    /// How a request presents its token.
    pub(in crate::oauth) fn presented(
        &self,
        credential: &Credential<'_>,
        head: RequestHead<'_>,
    ) -> Presented {
        if *credential.location() != self.location {
            return Presented::Bearer;
        }
        let mut proofs = head.headers().get_all(DPOP).iter();
        Presented::Proof(Box::new(PresentedProof {
            proof: proofs.next().cloned(),
            is_repeated: proofs.next().is_some(),
            method: head.method().clone(),
            path: self.behind.whole(head.uri().path()).into_owned(),
            is_all_stripped: head.uri().path() == "/" && self.behind.setting().is_some(),
        }))
    }

    /// Judges how a token is presented, all but whether the proof was used before.
    pub(in crate::oauth) fn judge(
        &self,
        presented: &Presented,
        expected: Expected<'_>,
        now: Moment,
    ) -> Result<(), AuthError> {
        self.verify(presented, expected, now, |_, _| ()).map(drop)
    }

    /// The same, and records that the proof was used: last, so that nothing but a good one takes
    /// a place.
    pub(in crate::oauth) fn check(
        &self,
        presented: &Presented,
        expected: Expected<'_>,
        principal: &Principal,
        now: Moment,
    ) -> Result<Checked, AuthError> {
        let recorded = self.verify(presented, expected, now, |fresh, next_nonce| {
            let recorded = self.recorder.record(&fresh, principal, now)?;
            Ok(Checked {
                recording: match recorded {
                    Recorded::Now => None,
                    Recorded::Later(recording) => Some(recording),
                },
                next_nonce,
            })
        })?;
        recorded.unwrap_or_else(|| Ok(Checked::default()))
    }

    /// Verifies the proof, and hands it on. `None`: a bearer token needs none.
    fn verify<T>(
        &self,
        presented: &Presented,
        expected: Expected<'_>,
        now: Moment,
        accept: impl FnOnce(Fresh<'_>, Option<HeaderValue>) -> T,
    ) -> Result<Option<T>, AuthError> {
        let (proof, key) = match (presented, expected.bound_to.key.as_ref()) {
            (Presented::Bearer, None) => return Ok(None),
            // RFC 9449 section 7.2.
            (Presented::Bearer, Some(_)) => {
                return Err(AuthError::new(Reason::BOUND_TOKEN).with_detail(
                    "the token is bound to a key (cnf with jkt) and came as a plain bearer token",
                ));
            }
            (Presented::Proof(_), None) => {
                return Err(AuthError::new(Reason::UNBOUND_TOKEN)
                    .with_detail("the token has no cnf with jkt, and came under the scheme DPoP"));
            }
            (Presented::Proof(proof), Some(key)) => (proof, key),
        };
        let text = proof.only()?;
        let compact = proof::parse(text)?;
        let header = self.headers.find(&compact, key)?;
        let mut buffer = PayloadBuffer::default();
        let claims = proof::read_claims(&compact, &mut buffer)?;
        let target = proof.check_target(&claims, expected.resource)?;
        check_token(&claims, expected.token)?;
        let nonce = self.check_nonce(&claims, expected.resource, now.wall)?;
        let ends = match nonce {
            // The nonce says when it was made, whatever clock the client has.
            Some(known) => {
                check_bounds(&claims, now.wall)?;
                known.good_until
            }
            None => self.check_time(&claims, now.wall)?,
        };
        self.headers.check_signature(&compact, header, key)?;
        let fresh = Fresh {
            url: target.as_str(),
            key,
            jti: &claims.jti,
            made: match nonce {
                // `iat` is of any clock then.
                Some(known) => Made::ByNonce(known.given_at),
                None => Made::ByIat(claims.iat, claims.nonce.as_deref()),
            },
            ends,
        };
        let next = nonce.filter(|known| known.is_old);
        let next = next.and_then(|_| self.next_nonce(expected.resource, now.wall));
        Ok(Some(accept(fresh, next)))
    }

    fn next_nonce(&self, resource: &str, now: Duration) -> Option<HeaderValue> {
        let nonce = self.nonces.as_ref()?.current(resource, now);
        HeaderValue::try_from(nonce).ok()
    }

    /// The nonce of the proof, where nonces are asked for.
    fn check_nonce(
        &self,
        claims: &ProofClaims<'_>,
        resource: &str,
        now: Duration,
    ) -> Result<Option<Known>, AuthError> {
        let Some(nonces) = &self.nonces else {
            return Ok(None);
        };
        let detail = match claims.nonce.as_deref() {
            None => "the proof has no nonce",
            Some(nonce) => match nonces.know(nonce, resource, now) {
                Some(known) => return Ok(Some(known)),
                None => "the nonce of the proof is too old, or none of this server",
            },
        };
        Err(AuthError::new(Reason::DPOP_NONCE_REQUIRED)
            .with_detail(detail)
            .with_dpop_nonce(&nonces.current(resource, now)))
    }

    /// Judges `iat`, and returns until when the proof is good.
    fn check_time(&self, claims: &ProofClaims<'_>, now: Duration) -> Result<Duration, AuthError> {
        let window = match self.recorder.allows_replays() {
            false => WINDOW,
            true => SHORT_WINDOW,
        };
        let ends = claims.iat.saturating_add(window);
        if now > ends {
            let age = now.saturating_sub(claims.iat).as_secs();
            let why = format!("the proof is {age} s old, of {} at most", window.as_secs());
            return Err(untimely(why));
        }
        if claims.iat > now.saturating_add(window) {
            let ahead = claims.iat.saturating_sub(now).as_secs();
            let most = window.as_secs();
            let why = format!("the proof is from {ahead} s in the future, of {most} at most");
            return Err(untimely(why));
        }
        check_bounds(claims, now)?;
        Ok(ends)
    }
}

impl PresentedProof {
    /// The proof: exactly one.
    fn only(&self) -> Result<&[u8], AuthError> {
        let Some(proof) = &self.proof else {
            let error = AuthError::new(Reason::MISSING_DPOP_PROOF);
            return Err(error.with_detail("there is no DPoP header"));
        };
        match self.is_repeated {
            false => Ok(proof.as_bytes()),
            true => Err(AuthError::new(Reason::DUPLICATE_DPOP_PROOF)
                .with_detail("more than one DPoP header")),
        }
    }

    /// The URL that the proof is for: that of this request.
    fn check_target(&self, claims: &ProofClaims<'_>, resource: &str) -> Result<Target, AuthError> {
        // Methods are told apart by case (RFC 9110 section 9.1).
        if *claims.htm != *self.method.as_str() {
            return Err(
                AuthError::new(Reason::DPOP_METHOD_MISMATCH).with_detail(format!(
                    "htm is {}, and the method {:?}",
                    quoted(&claims.htm),
                    self.method.as_str()
                )),
            );
        }
        let mismatch = |why: String| AuthError::new(Reason::DPOP_URI_MISMATCH).with_detail(why);
        let asked = Target::of_request(resource, &self.path);
        let asked = asked.map_err(|why| mismatch(format!("the URL of the request: {why}")))?;
        let named = Target::parse(&claims.htu);
        let named = named.map_err(|why| mismatch(format!("htu: {why}")))?;
        if named == asked {
            return Ok(named);
        }
        if self.is_all_stripped {
            let prefix = self.path.trim_end_matches('/');
            if Target::of_request(resource, prefix).is_ok_and(|asked| asked == named) {
                return Ok(named);
            }
        }
        Err(mismatch(format!(
            "htu is {}, and the request is for {}: scheme and host are those of the resource",
            quoted(named.as_str()),
            quoted(asked.as_str())
        )))
    }
}

/// Whether the proof is for this token.
fn check_token(claims: &ProofClaims<'_>, token: &[u8]) -> Result<(), AuthError> {
    let mut hash = [0; 43];
    let length = URL_SAFE_NO_PAD.encode_slice(sha256(&[token]), &mut hash);
    match length == Ok(hash.len()) && claims.ath.as_bytes() == hash {
        true => Ok(()),
        false => Err(AuthError::new(Reason::DPOP_TOKEN_MISMATCH)
            .with_detail("ath is not the hash of the token")),
    }
}

/// Judges what a proof says itself of when it is good.
fn check_bounds(claims: &ProofClaims<'_>, now: Duration) -> Result<(), AuthError> {
    if claims
        .exp
        .is_some_and(|exp| now >= exp.saturating_add(SKEW))
    {
        return Err(untimely("exp of the proof is over".to_owned()));
    }
    if claims.nbf.is_some_and(|nbf| nbf > now.saturating_add(SKEW)) {
        return Err(untimely("nbf of the proof is in the future".to_owned()));
    }
    Ok(())
}

fn untimely(why: String) -> AuthError {
    AuthError::new(Reason::DPOP_TIME_MISMATCH).with_detail(why)
}
