//! How a token is judged: by what is remembered, by keys, or by asking.

use std::sync::Arc;
use std::time::Duration;

use super::introspection::{self, Asked, Good, Introspector, Question, Vouched};
use super::keys::{KeyHint, Lookup, Waited, Waiting};
use super::provider::OAuthProvider;
use super::served::Terms;
use super::token_cache::{TokenId, TokenKey, Tokens, VerifiedToken};
use super::trusted::TrustedServer;
use crate::clock::Moment;
use crate::error::{AuthError, Reason};
use crate::jose::{Compact, HeaderBuffer, PayloadBuffer, SignatureBuffer, is_jws, may_be_jws};
use crate::principal::{BoundTo, Principal};
use crate::scope::Scopes;
use crate::telemetry;
use crate::token::spiffe::trust_domain_of;
use crate::token::{ClaimReader, Proven, check_scopes, mismatch};
use crate::util::quoted;

/// What can be said of a token now.
pub(super) enum Verdict {
    /// It is good, all but its scopes, and how it is presented.
    Good(Good),
    /// Ask again when this fetch of keys has ended.
    Wait(Waiting),
    /// The authorization server decides. Boxed, because a good token is moved in this enum, which
    /// is as large as its largest variant.
    Ask(Box<(Asked, OwnJudgement)>),
}

/// How a token is checked.
#[derive(Clone, Copy)]
pub(super) struct Mode {
    /// Which fetch of keys was waited for.
    pub(super) waited: Waited,
    /// Whether the signature comes before what the claims say. A fetch of keys is then made
    /// for tokens that are refused anyway.
    pub(super) needs_proof: bool,
}

/// The same, before scopes are judged.
enum NewToken {
    Good(GoodJwt),
    Wait(Waiting),
    /// There are no keys to check it with, or it holds its signature and leaves the rest to the
    /// answer. What is to be refused even if the server calls it active has an error.
    Ask(Box<(Arc<Introspector>, OwnJudgement)>),
}

/// What is found here of a token that its authorization server has to call active as well.
#[derive(Default)]
pub(super) struct OwnJudgement {
    /// Its principal, or what it is refused for once the server has vouched for it. `None`: the
    /// answer says.
    found: Option<Result<Good, AuthError>>,
    /// What it is bound to by itself where the answer says the rest.
    bound_to: BoundTo,
}

impl OwnJudgement {
    /// The same, once its server has called it active.
    fn with(self, said: Good) -> Result<Good, AuthError> {
        match self.found {
            None => Ok(Good {
                also_bound_to: self.bound_to.kept(),
                ..said
            }),
            Some(found) => Ok(Good {
                also_bound_to: said.bound_to()?.kept(),
                ..found?
            }),
        }
    }

    /// What its server refuses it for: the token may be bound to what the answer does not name.
    fn refused(&self, error: AuthError) -> AuthError {
        let found = self.found.as_ref().and_then(|found| found.as_ref().ok());
        let own = found.map(|good| good.principal.identity().bound_to());
        let own = own.unwrap_or_default().or(self.bound_to);
        match own.is_anything() {
            true => error.with_bound_to(own),
            false => error,
        }
    }
}

/// A JWT found good, now or before.
struct GoodJwt {
    good: Good,
    /// Whom else to ask about it.
    second_opinion: Option<Arc<Introspector>>,
}

impl OAuthProvider {
    /// Checks a token with what is known now. Its form decides which server it belongs to: it is
    /// shown to no other.
    pub(super) fn verify(
        &self,
        token: &[u8],
        terms: &Terms,
        mode: Mode,
    ) -> Result<Verdict, AuthError> {
        let (opaque, limits) = (&self.inner.opaque, self.inner.limits);
        if !opaque.is_empty() && !may_be_jws(token) {
            return self.ask_about(token, terms);
        }
        self.check_length(token)?;
        let now = self.inner.clock.read();
        let cache = self.inner.tokens.as_ref();
        let cache = cache.map(|tokens| (tokens, TokenId::of(token)));
        if let Some((tokens, id)) = &cache {
            let known = self.recall(tokens, id, terms, now, mode);
            // Who waited was counted before.
            if mode.waited == Waited::No {
                telemetry::token_cache(!matches!(known, Ok(None)));
            }
            if let Some(known) = known? {
                return confirm(known, token, terms);
            }
        }
        if !opaque.is_empty() && !is_jws(token, limits) {
            return self.ask_about(token, terms);
        }
        let mut proven = false;
        let judged = self.verify_new((token, terms), now, mode, cache, &mut proven);
        let refused = |error: AuthError| {
            // What is accepted here is not the business of who has no token of ours.
            if proven { error } else { error.unproven() }
        };
        match judged.map_err(refused)? {
            NewToken::Good(good) => confirm(good, token, terms),
            NewToken::Wait(waiting) => Ok(Verdict::Wait(waiting)),
            NewToken::Ask(asked) => {
                let (introspector, own) = *asked;
                ask(&introspector, (token, terms), own)
            }
        }
    }

    /// Asks the server that an opaque token belongs to.
    fn ask_about(&self, token: &[u8], terms: &Terms) -> Result<Verdict, AuthError> {
        let introspector = self
            .inner
            .opaque
            .server(token, |server| terms.trusts(server))?;
        self.check_length(token)?;
        ask(introspector, (token, terms), OwnJudgement::default())
    }

    /// Comes before anything is made of all bytes of a token.
    fn check_length(&self, token: &[u8]) -> Result<(), AuthError> {
        self.inner.limits.check_token(token)
    }

    /// Follows what is waited for to its end.
    pub(super) async fn wait(
        &self,
        token: &[u8],
        terms: &Terms,
        verdict: Verdict,
        mode: Mode,
    ) -> Result<Good, AuthError> {
        let (mut verdict, mut mode) = (verdict, mode);
        // Twice at most: see `Waited`.
        while let Verdict::Wait(waiting) = verdict {
            mode.waited = waiting.ended().await;
            verdict = self.verify(token, terms, mode)?;
        }
        match verdict {
            Verdict::Good(good) => Ok(good),
            Verdict::Ask(asked) => {
                let (asked, own) = *asked;
                let said = asked.answer(token, terms).await;
                let said = said.map_err(|error| own.refused(with_scopes(error, terms)))?;
                own.with(said)
            }
            // Not reached: the loop ends with another verdict.
            Verdict::Wait(_) => {
                let error =
                    AuthError::unavailable(Reason::KEYS_UNAVAILABLE, Duration::from_secs(1));
                Err(error.with_detail("keys were waited for, and were then needed again"))
            }
        }
    }

    /// Checks all but the scopes. What needs no key comes first: a token that would be
    /// refused anyway causes no fetch. What is found good is kept in the cache. `proven` is
    /// set where the signature holds.
    fn verify_new(
        &self,
        (token, terms): (&[u8], &Terms),
        now: Moment,
        mode: Mode,
        cache: Option<(&Tokens, TokenId<'_>)>,
        proven: &mut bool,
    ) -> Result<NewToken, AuthError> {
        let compact = Compact::parse(token, self.inner.limits)?;
        let (mut payload, mut claims) = (PayloadBuffer::default(), ClaimReader::default());
        let mut buffer = HeaderBuffer::default();
        let header = compact.header(&mut buffer)?;
        let (payload, server) = self.read_payload(&compact, terms, &mut payload, &mut claims)?;
        let (profile, audience) = (&server.profile, server.audience_at(terms));
        if let Some(introspector) = server.introspector.as_ref().filter(|_| !server.has_keys()) {
            let refusal = profile.check_type(&header).err();
            let bound = profile.binding.check(claims.confirmation.as_ref(), false);
            return match refusal.or(bound.err()) {
                // The token is not verified yet.
                Some(error) if !mode.needs_proof => Err(error),
                refusal => {
                    let own = OwnJudgement {
                        found: refusal.map(Err),
                        bound_to: claims.bound_to(),
                    };
                    Ok(NewToken::Ask(Box::new((Arc::clone(introspector), own))))
                }
            };
        }
        let by_answer = server.judges_by_answer(&claims);
        let judge = || match by_answer {
            None => profile.check_claims(&header, &claims, audience, now.wall),
            Some(_) => profile.check_what_is_there(&header, &claims, now.wall),
        };
        let (alg, judged) = if mode.needs_proof {
            (profile.check_algorithm(&header)?, None)
        } else {
            let judged = profile
                .check_header(&header)
                .and_then(|alg| Ok((alg, Some(judge()?))));
            match judged {
                Ok(judged) => judged,
                Err(error) => {
                    *proven = !error.is_general() && server.is_proven(&compact, &header);
                    return Err(error);
                }
            }
        };
        let mut buffer = SignatureBuffer::default();
        let signature = compact.signature(&mut buffer)?;

        let hint = KeyHint {
            kid: header.kid.as_deref(),
            alg,
            iat: claims.iat,
        };
        let (set, candidates) = match server.keys.lookup(hint, mode.waited, now) {
            Lookup::Found(set, candidates) => (set, candidates),
            Lookup::Wait(waiting) => return Ok(NewToken::Wait(waiting)),
            Lookup::Refused(error) => return Err(error),
        };
        let Some(key) = set.verify(&candidates, alg, compact.signing_input(), signature) else {
            return Err(AuthError::new(Reason::INVALID_SIGNATURE)
                .with_detail(format!("the {alg} signature does not hold")));
        };
        *proven = true;
        let exp = match judged {
            Some(exp) => exp,
            None => {
                let proven = Proven {
                    claims: &claims,
                    json: payload,
                    token,
                    audience,
                    required_scopes: &terms.required_scopes,
                    now: now.wall,
                };
                let asks = |scopes: &Scopes| server.second_opinion(scopes).is_some();
                profile.judge_all(&header, &proven, by_answer.is_some(), asks)?
            }
        };
        if let Some(introspector) = by_answer {
            let own = OwnJudgement {
                found: None,
                bound_to: claims.bound_to(),
            };
            return Ok(NewToken::Ask(Box::new((Arc::clone(introspector), own))));
        }
        let principal = match cache {
            None => Principal::of(Arc::new(profile.identity(&claims, payload, token)?)),
            Some((tokens, id)) => {
                let raw = id.claims(payload);
                let token = Arc::new(VerifiedToken {
                    server: server.number,
                    exp,
                    nbf: claims.nbf,
                    iat: claims.iat,
                    key: TokenKey::new(&set, key, header.kid.is_some(), alg),
                    at: Arc::clone(&terms.url),
                    since: now,
                    identity: profile.identity_with(raw, &claims, payload, token)?,
                });
                tokens.keep(&id, token).into_principal()
            }
        };
        let scopes = &principal.identity().scopes;
        let second_opinion = server.second_opinion(scopes).cloned();
        Ok(NewToken::Good(GoodJwt {
            good: Good {
                principal,
                valid_until: Some(profile.valid_until(exp)),
                also_bound_to: None,
            },
            second_opinion,
        }))
    }

    /// What the payload says, read as the tokens of its server are.
    fn read_payload<'b>(
        &self,
        token: &Compact<'_>,
        terms: &Terms,
        buffer: &'b mut PayloadBuffer,
        claims: &mut ClaimReader<'b>,
    ) -> Result<(&'b str, &Arc<TrustedServer>), AuthError> {
        let payload = token.payload(buffer)?;
        claims.read(payload, &self.inner.scope_claim)?;
        let server = self.server(claims, terms)?;
        let profile = &server.profile;
        // Which server has scopes elsewhere in its tokens is known only now.
        if profile.scope_claim != self.inner.scope_claim {
            *claims = ClaimReader::default();
            claims.read(payload, &profile.scope_claim)?;
        }
        if let Some(quirks) = &profile.quirks {
            quirks.amend_payload(claims, payload)?;
        }
        Ok((payload, server))
    }

    /// The server a token comes from, by its `iss`, before any key is touched. A JWT-SVID that
    /// has none is from the trust domain of its subject.
    fn server(
        &self,
        claims: &ClaimReader<'_>,
        terms: &Terms,
    ) -> Result<&Arc<TrustedServer>, AuthError> {
        let servers = &self.inner.servers;
        let is_trusted = |server: &&Arc<TrustedServer>| terms.trusts(server.number);
        let not_here = |issuer: &str| {
            AuthError::new(Reason::ISSUER_MISMATCH).with_detail(format!(
                "{} is trusted, but not for the resource {:?}",
                quoted(issuer),
                terms.url
            ))
        };
        let Some(iss) = claims.iss.as_deref() else {
            let trust_domain = claims.sub.as_deref().and_then(trust_domain_of);
            let server = trust_domain.and_then(|id| Some((id, servers.get(id)?)));
            let (id, server) = server.ok_or_else(|| {
                AuthError::new(Reason::MISSING_ISSUER).with_detail("the token has no iss")
            })?;
            return Some(server).filter(is_trusted).ok_or_else(|| not_here(id));
        };
        if let Some(server) = servers.get(iss) {
            return Some(server).filter(is_trusted).ok_or_else(|| not_here(iss));
        }
        let detail = match servers.keys().next() {
            Some(only) if servers.len() == 1 => mismatch(only, iss),
            _ => format!("{} is none of the configured issuers", quoted(iss)),
        };
        Err(AuthError::new(Reason::ISSUER_MISMATCH).with_detail(detail))
    }

    /// A token seen before, if all that was true of it still is. `None`: check it anew.
    fn recall(
        &self,
        tokens: &Tokens,
        id: &TokenId<'_>,
        terms: &Terms,
        now: Moment,
        mode: Mode,
    ) -> Result<Option<GoodJwt>, AuthError> {
        let Some(known) = tokens.get(id, now) else {
            return Ok(None);
        };
        // A token for two resources is kept for the one it was presented at last.
        if !terms.is_of(&known.at) || !terms.trusts(known.server) {
            return Ok(None);
        }
        let Some(server) = self.inner.numbered.get(known.server) else {
            return Ok(None);
        };
        let Some(keys) = server.keys.serving(now.monotonic) else {
            return Ok(None);
        };
        if !known.key.serves_in(keys) {
            tokens.invalidate(id);
            return Ok(None);
        }
        let profile = &server.profile;
        if let Err(error) = profile.check_times(known.exp, known.nbf, known.iat, now.wall) {
            return match mode.needs_proof {
                // All that stands against it is found out where its claims are read.
                true => Ok(None),
                false => Err(error),
            };
        }
        let valid_until = Some(profile.valid_until(known.exp));
        let second_opinion = server.second_opinion(&known.identity.scopes).cloned();
        Ok(Some(GoodJwt {
            good: Good {
                principal: known.into_principal(),
                valid_until,
                also_bound_to: None,
            },
            second_opinion,
        }))
    }
}

/// Accepts a JWT found good here, where no server is to be asked.
fn confirm(jwt: GoodJwt, token: &[u8], terms: &Terms) -> Result<Verdict, AuthError> {
    match jwt.second_opinion {
        Some(introspector) => {
            let own = OwnJudgement {
                found: Some(Ok(jwt.good)),
                bound_to: BoundTo::default(),
            };
            ask(&introspector, (token, terms), own)
        }
        None => Ok(Verdict::Good(jwt.good)),
    }
}

/// What the authorization server says of a token, from memory where that knows.
fn ask(
    introspector: &Arc<Introspector>,
    (token, terms): (&[u8], &Terms),
    own: OwnJudgement,
) -> Result<Verdict, AuthError> {
    let vouched = match own.found {
        Some(Ok(_)) => Vouched::BySignature,
        Some(Err(_)) | None => Vouched::No,
    };
    let question = Question {
        token,
        vouched,
        terms,
    };
    match introspector.lookup(question) {
        introspection::Lookup::Active(said) => own.with(said).map(Verdict::Good),
        introspection::Lookup::Refused(error) => Err(own.refused(with_scopes(error, terms))),
        introspection::Lookup::Wait(asked) => Ok(Verdict::Ask(Box::new((asked, own)))),
    }
}

/// What an authorization server refuses a token for, and whether its scopes do not suffice
/// either: the server does not know which are needed.
fn with_scopes(error: AuthError, terms: &Terms) -> AuthError {
    let Some(owner) = error.owner() else {
        return error;
    };
    let lacking = check_scopes(&terms.required_scopes, owner).err();
    let lacking = lacking.map(AuthError::alone);
    error.and_also(lacking)
}
