//! Credentials that are taken back: the `Revocation` of a configuration, which reloads keep.

use std::sync::Mutex;
#[cfg(feature = "oauth")]
use std::time::Duration;

use serde::Deserialize;

use super::Config;
use super::common::{missing, secret_at};
use super::engine::{Engine, revoked_at};
use super::secret::{SecretSource, SecretText};
use super::sections::{Sections, section};
use super::units::{Life, Name, Span};
use crate::crypto::{Digest, sha256};
use crate::error::ConfigError;
use crate::revocation::{Revocation, WeakRevocation};
use crate::telemetry;
use crate::util::locked;

section! {
    /// Credentials that are taken back before they expire.
    RevocationSection {
        /// How many entries there are at most.
        max_entries: Option<usize>,
        /// How long a token lives at most; entries are kept as long. Or `unlimited`.
        max_token_lifetime: Option<Life>,
        /// By how much the clock of an issuer may be ahead of that of a moment.
        skew: Option<Span>,
        /// Accepts a token without `iat` that its authorization server calls active.
        trust_fresh_introspection: bool,
        /// The claim that has the grant of a token; none by default.
        grant_claim: Option<Name>,
        /// The claim that has the session of a token.
        session_claim: Option<Name>,
        /// The secret that records are sealed with in the engine of `shared`, the same at all
        /// replicas; at least 32 bytes.
        secret: Option<SecretSource>,
        /// How long requests go on by what is known while the engine gives no answer.
        max_staleness: Option<Span>,
        /// Goes on by what is known for as long as the engine gives no answer.
        dangerously_allow_on_outage: bool,
    }
}

/// The one of a server.
struct Kept {
    /// The URLs and the name of the server: two configurations that have one in common are of the
    /// same server.
    names: Vec<String>,
    identity: Identity,
    held: Held,
}

/// What makes one another one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    settings: Digest,
    /// Where its entries are in an engine, and what they are sealed with.
    place: Option<Digest>,
}

enum Held {
    /// Its entries are nowhere else.
    Here(Revocation),
    /// Its entries are in an engine.
    Shared(WeakRevocation),
}

impl Kept {
    fn revocation(&self) -> Option<Revocation> {
        match &self.held {
            Held::Here(revocation) => Some(revocation.clone()),
            Held::Shared(weak) => weak.upgrade(),
        }
    }

    /// Whether nothing is lost where one with entries at this place comes after it.
    fn is_dispensable(&self, place: Option<Digest>) -> bool {
        match &self.held {
            // A remaining handle could revoke something that the new one does not know.
            Held::Here(held) => held.is_unshared() && held.entries() == 0,
            Held::Shared(weak) => weak.upgrade().is_none_or(|held| {
                // What the engine has not taken is known to it alone.
                self.identity.place == place && held.unsent() == 0
            }),
        }
    }

    /// Whether there is anything of it.
    fn is_alive(&self) -> bool {
        match &self.held {
            Held::Here(_) => true,
            Held::Shared(weak) => weak.upgrade().is_some(),
        }
    }

    fn is_shared(&self) -> bool {
        matches!(self.held, Held::Shared(_))
    }

    fn is_of(&self, names: &[String]) -> bool {
        self.names.iter().any(|name| names.contains(name))
    }
}

/// How long a prewarmed stack waits for what other replicas have revoked.
#[cfg(feature = "oauth")]
const PATIENCE: Duration = Duration::from_secs(5);

/// Those that reloads go on with. A reload builds the new layers while the old ones are in force.
static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

impl Config {
    /// What is revoked, if `revocation` is configured: for
    /// [`revoke`](Revocation::revoke), and for a
    /// [`revocation_service`](Revocation::revocation_service) that the program mounts. The layer
    /// that authenticates has it already.
    ///
    /// There is one for a server, which is known by its resources and the name of its `session`.
    /// It outlives reloads, with its entries, as long as one of these stays. Ask for it again after
    /// a reload.
    ///
    /// A reload that would forget what was revoked is refused, so restart the server to change the
    /// settings of one in memory, or the secret, the prefix or the nodes of one in the engine of
    /// `shared`. With other settings of that, a reload reads the entries again, and requests are
    /// 503 until it has; [`stack_prewarmed`](Self::stack_prewarmed) waits for it. A section that is
    /// taken away while there are entries is warned of.
    ///
    /// # Errors
    /// A setting is refused, or differs from those that are in force; the secret is missing, or
    /// cannot be read; or the configuration is not [connected](Self::connect).
    pub fn revocation(&self) -> Result<Option<Revocation>, ConfigError> {
        let made = self
            .engine()
            .and_then(|engine| self.sections.revocation(engine));
        self.applied.settle(&["revocation"], made)
    }
}

#[cfg(feature = "oauth")]
impl Config {
    /// Waits until it is known what other replicas have revoked.
    pub(super) async fn revocations_read(&self) -> Result<(), ConfigError> {
        let Some(revocation) = self.revocation()? else {
            return Ok(());
        };
        if revocation.health().is_ready() {
            return Ok(());
        }
        let read = tokio::time::timeout(PATIENCE, revocation.ready()).await;
        let section = self.sections.revocation.as_ref();
        if read.is_ok() || section.is_some_and(|section| section.dangerously_allow_on_outage) {
            return Ok(());
        }
        let health = revocation.health();
        let why = health.error().unwrap_or("the engine gave no answer");
        let seconds = PATIENCE.as_secs();
        let why = format!("what was revoked could not be read within {seconds} s: {why}");
        Err(ConfigError::new("revocation", why))
    }
}

impl Sections {
    /// The URLs of its resources.
    pub(super) fn urls(&self) -> Vec<String> {
        let urls = self.resource.iter().cloned();
        #[cfg(feature = "oauth")]
        let urls = {
            let items = self.resources.items.iter();
            urls.chain(items.filter_map(|(_, resource)| resource.url.clone()))
        };
        urls.collect()
    }

    /// The name of its session.
    pub(super) fn server_name(&self) -> Option<String> {
        let server = self.session.as_ref()?.server.as_ref()?;
        Some(server.as_str().to_owned())
    }

    /// Its URLs and the name of its session: what it is known by across reloads.
    fn names(&self) -> Vec<String> {
        let mut names = self.urls();
        names.extend(self.server_name());
        if names.is_empty() {
            names.push(String::new());
        }
        names
    }

    fn revocation(&self, engine: Option<&Engine>) -> Result<Option<Revocation>, ConfigError> {
        let names = self.names();
        let mut all = locked(&KEPT);
        let Some(section) = &self.revocation else {
            let held = all.iter().filter(|kept| kept.is_of(&names));
            let entries = held.filter_map(Kept::revocation).map(|held| held.entries());
            let entries: usize = entries.sum();
            if entries > 0 {
                let detail = format!(
                    "the section was taken away: credentials that were revoked by {entries} \
                     entries are good again"
                );
                telemetry::weakened("revocation", &detail);
            }
            return Ok(None);
        };
        let (identity, secret) = section.identity(engine)?;
        all.retain(Kept::is_alive);
        all.retain(|kept| kept.is_of(&names) || !kept.is_dispensable(None));
        let place = identity.place;
        let find = |wanted: &dyn Fn(&Kept) -> bool| {
            all.iter()
                .position(|kept| kept.is_of(&names) && wanted(kept))
        };
        // One with entries before one without.
        let same = find(&|kept| kept.identity == identity && !kept.is_dispensable(place))
            .or_else(|| find(&|kept| kept.identity == identity));
        let is_needed = |(at, kept): &(usize, &Kept)| {
            // Where this one is at that place already, the other goes on to send there.
            let is_beside = same.is_some() && place.is_some() && kept.identity.place == place;
            Some(*at) != same && kept.is_of(&names) && !is_beside && !kept.is_dispensable(place)
        };
        let needed = all.iter().enumerate().filter(is_needed).count();
        match (same, needed) {
            (Some(at), 0) => {
                let kept = &mut all[at];
                // Its last handle may have been dropped just now.
                if let Some(held) = kept.revocation() {
                    kept.names = names;
                    return Ok(Some(held));
                }
            }
            // One at an engine stays beside the new one, until no layer has it: these layers may
            // fail to come into force.
            (None, 0) => all.retain(|kept| !kept.is_of(&names) || kept.is_shared()),
            (None, 1) => {
                let why = "its settings differ from those in force, and what was revoked would \
                           be forgotten with them: restart the server to change them, or put \
                           them back";
                return Err(ConfigError::new("revocation", why));
            }
            _ => {
                let why = "its resources and the name of its session are those of several servers \
                           of this process, and what was revoked at all but one of them would be \
                           forgotten: restart the process to make one server of them";
                return Err(ConfigError::new("revocation", why));
            }
        }
        let made = section.make(engine, secret.as_ref())?;
        let held = match engine {
            None => Held::Here(made.clone()),
            Some(_) => Held::Shared(made.downgrade()),
        };
        all.push(Kept {
            names,
            identity,
            held,
        });
        Ok(Some(made))
    }
}

impl RevocationSection {
    /// What makes it another one, and the secret of its records.
    fn identity(
        &self,
        engine: Option<&Engine>,
    ) -> Result<(Identity, Option<SecretText>), ConfigError> {
        let secret = match (engine, &self.secret) {
            (Some(_), Some(source)) => Some(secret_at(source, "revocation.secret")?),
            (None, None) => None,
            (Some(_), None) => {
                let why = "entries are sealed with it in the engine of `shared`: \
                           `openssl rand -base64 32` makes one";
                return Err(missing("secret", "revocation.secret", why));
            }
            (None, Some(_)) => return Err(without_engine("secret")),
        };
        if engine.is_none() && self.max_staleness.is_some() {
            return Err(without_engine("max_staleness"));
        }
        if engine.is_none() && self.dangerously_allow_on_outage {
            return Err(without_engine("dangerously_allow_on_outage"));
        }
        let place = engine.zip(secret.as_ref()).map(|(engine, secret)| {
            let secret = sha256(&[secret.expose().as_bytes()]);
            sha256(&[&secret, engine.place().as_bytes()])
        });
        let connection = engine.map(Engine::identity);
        let settings = format!("{self:?} {connection:?} {place:?}");
        let settings = sha256(&[settings.as_bytes()]);
        Ok((Identity { settings, place }, secret))
    }

    fn make(
        &self,
        engine: Option<&Engine>,
        secret: Option<&SecretText>,
    ) -> Result<Revocation, ConfigError> {
        let at = |setting: &'static str| {
            move |error: ConfigError| error.at(format!("revocation.{setting}"))
        };
        let mut made = match (engine, secret) {
            (Some(engine), Some(secret)) => {
                revoked_at(engine, secret.expose()).map_err(at("secret"))?
            }
            _ => Revocation::in_memory(),
        };
        if let Some(entries) = self.max_entries {
            if entries == 0 {
                let why = "with zero nothing could be revoked: it is 1 or more, and 1,000,000 by \
                           default";
                return Err(at("max_entries")(ConfigError::new("max_entries", why)));
            }
            made = made.max_entries(entries);
        }
        made = match self.max_token_lifetime {
            Some(Life::AtMost(life)) => {
                let set = made.max_token_lifetime(life);
                set.map_err(at("max_token_lifetime"))?
            }
            Some(Life::Unlimited) => made.unlimited_token_lifetime(),
            None => made,
        };
        if let Some(Span(skew)) = self.skew {
            made = made.revocation_skew(skew).map_err(at("skew"))?;
        }
        made = made.trust_fresh_introspection(self.trust_fresh_introspection);
        if let Some(claim) = &self.grant_claim {
            made = made
                .grant_claim(claim.as_str())
                .map_err(at("grant_claim"))?;
        }
        if let Some(claim) = &self.session_claim {
            let set = made.session_claim(claim.as_str());
            made = set.map_err(at("session_claim"))?;
        }
        if let Some(Span(time)) = self.max_staleness {
            made = made.max_staleness(time);
        }
        if self.dangerously_allow_on_outage {
            made = made.dangerously_allow_on_outage();
        }
        Ok(made)
    }
}

fn without_engine(setting: &'static str) -> ConfigError {
    let why = "it is for what replicas have in an engine, and there is none: configure `shared`, \
               or leave it out";
    ConfigError::new(setting, why).at(format!("revocation.{setting}"))
}
