//! Whether a credential is revoked: what it says, against the index.

use std::borrow::Cow;
use std::time::Duration;

use super::Revocation;
use super::entry::Kind;
use super::index::{Key, Record};
use super::settings::{Lifetime, MAX_SKEW, Settings};
use crate::error::{AuthError, Reason};
use crate::json::{Fault, Scanner};
use crate::principal::{Identity, Principal};

/// What principals of API keys name as their provider.
const API_KEY: &str = "api_key";
/// Where these have the id of the key.
const KEY_ID: &str = "key_id";
const JTI: &str = "jti";

/// The entry that a credential is refused for.
struct Hit {
    kind: Kind,
    /// Of an entry for what was issued before.
    before: Option<u64>,
    /// Whether the claims cannot be read: there are entries of the kind, and one may be for it.
    is_unread: bool,
}

/// The claims that entries are about.
#[derive(Default)]
struct Named<'i> {
    token: Option<Cow<'i, str>>,
    grant: Option<Cow<'i, str>>,
    session: Option<Cow<'i, str>>,
    api_key: Option<Cow<'i, str>>,
    /// Not all of them could be read.
    is_unread: bool,
}

impl Revocation {
    /// Refuses a credential that is revoked, and one that outlives what is remembered.
    ///
    /// One that was found good since the last entry came costs two loads.
    pub(crate) fn judge(&self, principal: &Principal) -> Result<(), AuthError> {
        if let Some(unknown) = self.unknown() {
            return Err(unknown);
        }
        let identity = principal.identity();
        let generation = self.shared.index.generation();
        if identity.was_good_under(generation) {
            return Ok(());
        }
        let judged = match self.find(identity) {
            // Both stand against it, and a layer may let pass what it is refused for by one.
            Some(hit) => {
                let also = self.check_life(identity).err();
                let also = also.map(|error| error.with_principal(principal));
                Err(hit.error(identity).and_also(also))
            }
            None => self.check_life(identity),
        };
        match judged {
            Ok(stays) => {
                if stays {
                    identity.is_good_under(generation);
                }
                Ok(())
            }
            Err(error) => Err(error.with_principal(principal)),
        }
    }

    /// The refusal of every credential while it is not known what is revoked.
    pub(super) fn unknown(&self) -> Option<AuthError> {
        let unknown = self.shared.unknown()?;
        // The task may have ended with the runtime it was in, or there was none yet.
        self.start();
        Some(unknown)
    }

    /// Whether a credential is revoked that was found good before.
    pub(super) fn is_revoked(&self, identity: &Identity) -> bool {
        let generation = self.shared.index.generation();
        if identity.was_good_under(generation) {
            return false;
        }
        let is_revoked = self.find(identity).is_some();
        if !is_revoked && self.check_life(identity) == Ok(true) {
            identity.is_good_under(generation);
        }
        is_revoked
    }

    /// Whether the entries for a credential are kept still, if it expired and is let pass.
    pub(crate) fn remembers(&self, principal: &Principal) -> bool {
        let identity = principal.identity();
        let now = || self.shared.settings.clock.now();
        let is_kept = |exp: Duration| now() < exp.saturating_add(MAX_SKEW);
        is_api_key(identity) || identity.expires_at().is_none_or(is_kept)
    }

    /// What a credential of this one is refused for.
    pub(crate) fn reason(principal: &Principal) -> Reason {
        match is_api_key(principal.identity()) {
            true => Reason::REVOKED_API_KEY,
            false => Reason::REVOKED_TOKEN,
        }
    }

    fn find(&self, identity: &Identity) -> Option<Hit> {
        if self.shared.index.is_empty() {
            return None;
        }
        let (settings, is_key) = (&self.shared.settings, is_api_key(identity));
        let now = settings.clock.now().as_secs();
        let mut named: Option<Named<'_>> = None;
        // What is told by the identity itself comes first: claims are read where they must be.
        for kind in BY_COST {
            if kind.is_of_api_keys() != is_key || !self.shared.index.has(kind) {
                continue;
            }
            let value = match kind {
                Kind::Issuer | Kind::ApiKeys => Some(""),
                Kind::Subject => identity.subject(),
                Kind::Client => identity.client_id(),
                Kind::Token | Kind::Grant | Kind::Session | Kind::ApiKey => {
                    let named = named.get_or_insert_with(|| Named::read(identity, settings));
                    if named.is_unread {
                        return Some(Hit {
                            kind,
                            before: None,
                            is_unread: true,
                        });
                    }
                    named.of(kind)
                }
            };
            let Some(value) = value else { continue };
            // An empty one names no subject or client.
            let issuer = identity.issuer();
            let issuer = issuer.filter(|issuer| !is_key && !issuer.is_empty());
            let record = self.shared.index.get(Key::of(kind, issuer, value));
            if let Some(before) = record.and_then(|it| hits(it, identity, is_key, settings, now)) {
                return Some(Hit {
                    kind,
                    before,
                    is_unread: false,
                });
            }
        }
        None
    }

    /// Refuses what may be good when its entries are forgotten. Whether the answer stays the same.
    fn check_life(&self, identity: &Identity) -> Result<bool, AuthError> {
        let settings = &self.shared.settings;
        let Lifetime::AtMost(longest) = settings.lifetime else {
            return Ok(true);
        };
        // Entries for API keys are never forgotten.
        if is_api_key(identity) {
            return Ok(true);
        }
        let now = || settings.clock.now();
        let (life, stays) = match (identity.issued_at(), identity.expires_at()) {
            (Some(iat), Some(exp)) => (Some(exp.saturating_sub(iat)), true),
            (None, Some(exp)) => (Some(exp.saturating_sub(now())), true),
            // Without an end it is as old as it is.
            (Some(iat), None) => (Some(now().saturating_sub(iat)), false),
            (None, None) => (None, true),
        };
        let (what, life) = match life {
            Some(life) if life <= longest => return Ok(stays),
            Some(life) => ("lives for", life.as_secs()),
            None => ("has neither iat nor exp, and lives for", u64::MAX),
        };
        Err(
            AuthError::new(Reason::TOKEN_LIVES_TOO_LONG).with_detail(format!(
                "it {what} {life} s, and revocations of tokens are remembered for {} s \
             (`max_token_lifetime`)",
                longest.as_secs()
            )),
        )
    }
}

const BY_COST: [Kind; Kind::COUNT] = [
    Kind::Issuer,
    Kind::Subject,
    Kind::Client,
    Kind::ApiKeys,
    Kind::Token,
    Kind::Grant,
    Kind::Session,
    Kind::ApiKey,
];

fn is_api_key(identity: &Identity) -> bool {
    identity.provider() == API_KEY
}

/// Whether the record refuses the credential: `Some(None)` as it refuses all, or the moment.
fn hits(
    record: Record,
    identity: &Identity,
    is_key: bool,
    settings: &Settings,
    now: u64,
) -> Option<Option<u64>> {
    if now < record.all_until {
        return Some(None);
    }
    if now >= record.before_until {
        return None;
    }
    let before = Duration::from_secs(record.before);
    let with_skew = before.saturating_add(settings.skew);
    let is_before = match identity.issued_at() {
        // Our own clock made both.
        Some(at) if is_key => at <= before,
        Some(at) => at <= with_skew,
        None => {
            let asked_at = identity.asked_at().filter(|_| settings.trust_fresh);
            asked_at.is_none_or(|asked_at| asked_at <= with_skew)
        }
    };
    is_before.then_some(Some(record.before))
}

impl Hit {
    fn error(&self, identity: &Identity) -> AuthError {
        let reason = match self.kind.is_of_api_keys() {
            true => Reason::REVOKED_API_KEY,
            false => Reason::REVOKED_TOKEN,
        };
        let kind = self.kind.as_str();
        let detail = match (self.before, identity.issued_at()) {
            _ if self.is_unread => {
                format!(
                    "its claims cannot be read, and one of the entries for a {kind} may be for it"
                )
            }
            (None, _) => format!("by an entry for its {kind}"),
            (Some(before), Some(at)) => format!(
                "by an entry for its {kind}, of what was issued up to {before}; it was at {}",
                at.as_secs()
            ),
            (Some(before), None) => format!(
                "by an entry for its {kind}, of what was issued up to {before}; it does not say \
                 when it was"
            ),
        };
        AuthError::new(reason).with_detail(detail)
    }
}

impl<'i> Named<'i> {
    fn read(identity: &'i Identity, settings: &Settings) -> Self {
        let mut named = Self::default();
        if let Some(claims) = identity.raw_claims() {
            // Those of a token were read before; those of a provider of a user's own may be
            // anything.
            named.is_unread = named.fill(claims, settings).is_err();
        }
        named
    }

    fn of(&self, kind: Kind) -> Option<&str> {
        let value = match kind {
            Kind::Token => &self.token,
            Kind::Grant => &self.grant,
            Kind::Session => &self.session,
            Kind::ApiKey => &self.api_key,
            Kind::Subject | Kind::Client | Kind::Issuer | Kind::ApiKeys => &None,
        };
        value.as_deref()
    }

    fn fill(&mut self, claims: &'i str, settings: &Settings) -> Result<(), Fault> {
        let mut json = Scanner::lenient(claims);
        let mut members = json.enter(b'{')?;
        while let Some(name) = json.member(&mut members)? {
            let is = |claim: Option<&str>| claim == Some(&*name);
            let wanted = [
                (is(Some(JTI)), &mut self.token),
                (is(settings.grant_claim.as_deref()), &mut self.grant),
                (is(Some(&settings.session_claim)), &mut self.session),
                (is(Some(KEY_ID)), &mut self.api_key),
            ];
            json.peek();
            if !wanted.iter().any(|(is_wanted, _)| *is_wanted) {
                json.skip()?;
                continue;
            }
            let value = match json.peek() {
                Some(b'"') => Some(json.string()?),
                Some(b'-' | b'0'..=b'9') => Some(json.skip()?.into()),
                _ => {
                    json.skip()?;
                    None
                }
            };
            for (is_wanted, place) in wanted {
                if is_wanted {
                    place.clone_from(&value);
                }
            }
        }
        Ok(())
    }
}
