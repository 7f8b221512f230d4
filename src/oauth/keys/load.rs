//! One fetch of keys.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use super::attempts::{Attempts, Need, Place};
use super::freshness::lifetime;
use super::jwks;
use super::store::{Attempting, KeyStore};
use super::{KeySet, Origin, Source, Times};
use crate::jose::VerifyingKey;
use crate::oauth::discovery::{self, Limits, Wanted};
use crate::oauth::fetch::{Extras, get};
use crate::oauth::jwks_options::JwksOptions;
use crate::telemetry;
use crate::util::one_line;
use crate::util::single_flight::{CutOff, FlightOwner, SingleFlight, Ticket};

/// How much of a failure's text is kept, in characters.
const MAX_FAILURE: usize = 1024;

/// How much of it an event has: it names every key of a set that cannot be used.
const MAX_TRACED: usize = 32 * 1024;

/// What there is to trace of a fetch.
enum Landing {
    Keys {
        keys: usize,
        lifetime: Duration,
    },
    Failure {
        /// In full.
        why: String,
        retry: Duration,
    },
}

struct Loaded {
    keys: Vec<VerifyingKey>,
    headers: HeaderMap,
    /// What the set itself says of its life.
    refresh_hint: Option<Duration>,
}

/// How a fetch goes about it.
pub(in crate::oauth) struct Plan {
    began: Duration,
    /// The place of the keys that is known.
    known: Option<Box<str>>,
    /// Whether it is looked for again first.
    discover: bool,
    /// The key id it is for, if it is for one.
    kid: Option<Box<str>>,
}

/// What discovery said, if it was asked.
#[derive(Default)]
struct Discovered {
    place: Option<Box<str>>,
    failure: Option<String>,
}

/// What a fetch brought.
pub(in crate::oauth) struct Fetched {
    discovered: Discovered,
    keys: Result<Loaded, String>,
}

impl KeyStore {
    /// Puts the one fetch on record. What is returned with the ticket launches it, when the lock is
    /// gone.
    pub(super) fn begin(
        self: &Arc<Self>,
        attempts: &mut Attempting<'_>,
        need: Need<'_>,
        now: Duration,
    ) -> (Ticket<()>, impl FnOnce() + use<>) {
        let is_discovered = self.is_discovered();
        let known = attempts.place.as_ref().map(|place| place.jwks_uri.clone());
        let discover = is_discovered
            && match need {
                Need::UnknownKey(_) | Need::Now => true,
                Need::Keys(_) | Need::Refresh => {
                    known.is_none() || attempts.place_is_old(now, self.limits.rediscovery)
                }
            };
        let kid = match need {
            Need::Keys(kid) | Need::UnknownKey(kid) => Some(kid),
            Need::Refresh | Need::Now => None,
        };
        attempts.begun += 1;
        attempts.last = Some(now);
        attempts.budget.restart(now);
        attempts.sought.begin(kid);
        attempts.discovers = discover || !is_discovered;
        let plan = Arc::new(Plan {
            began: now,
            known,
            discover,
            kid: kid.flatten().map(Into::into),
        });
        let (ticket, flight) = attempts.begin(self, (), Arc::clone(&plan));
        let store = Arc::clone(self);
        (ticket, move || flight.launch(store.fetch(plan)))
    }

    async fn fetch(self: Arc<Self>, plan: Arc<Plan>) -> Fetched {
        let deadline = self.limits.fetch_timeout;
        let mut discovered = Discovered::default();
        let load = self.load(&plan, &mut discovered);
        let keys = match tokio::time::timeout(deadline, load).await {
            Ok(keys) => keys,
            Err(_) => Err(format!("no answer within {} s", deadline.as_secs())),
        };
        Fetched { discovered, keys }
    }

    fn is_discovered(&self) -> bool {
        matches!(self.origin.source, Source::Discovery)
    }

    /// The key set, from where it is configured to be, or known or found to be.
    async fn load(&self, plan: &Plan, discovered: &mut Discovered) -> Result<Loaded, String> {
        if let Source::JwksUri(jwks_uri) = &self.origin.source {
            return self.load_from(jwks_uri).await;
        }
        // The place may have moved: without a usable key, or the one that is looked for, what
        // the known one says is not final.
        let mut from_known = None;
        if let (Some(known), false) = (&plan.known, plan.discover) {
            match self.load_from(known).await {
                Ok(loaded) if loaded.has(plan.kid.as_deref()) => return Ok(loaded),
                loaded => from_known = Some(loaded),
            }
        }
        let Origin {
            issuer,
            metadata_of,
            policy,
            ..
        } = &self.origin;
        let wanted = Wanted::JwksUri { of: issuer };
        let limits = Limits {
            within: self.limits.fetch_timeout,
            max_bytes: self.limits.max_document_bytes,
        };
        let found = discovery::find(wanted, metadata_of, limits, policy, &*self.fetch).await;
        match (found, from_known, &plan.known) {
            (Ok(place), from_known, known) => {
                let has_moved = known.as_deref() != Some(&*place);
                let place = &**discovered.place.insert(place);
                match from_known {
                    // It said so a moment ago.
                    Some(said) if !has_moved => said,
                    _ => self.load_from(place).await,
                }
            }
            (Err(why), Some(Ok(loaded)), _) => {
                discovered.failure = Some(why);
                Ok(loaded)
            }
            (Err(why), Some(Err(known)), _) => Err(format!("{known}; {why}")),
            // The place that is known is left alone only for another that is found.
            (Err(why), None, Some(known)) => {
                let loaded = self.load_from(known).await;
                let loaded = loaded.map_err(|known| format!("{known}; {why}"));
                discovered.failure = Some(why);
                loaded
            }
            (Err(why), None, None) => Err(why),
        }
    }

    async fn load_from(&self, jwks_uri: &str) -> Result<Loaded, String> {
        let JwksOptions {
            max_set_bytes,
            max_keys,
            ..
        } = self.limits;
        let in_set = |why: String| format!("key set {jwks_uri}: {why}");
        let Origin {
            issuer,
            algorithms,
            access,
            ..
        } = &self.origin;
        let extras = Extras {
            is_key_set: true,
            ..access.read().await.map_err(in_set)?
        };
        let response = get(jwks_uri, max_set_bytes, &*self.fetch, &extras)
            .await
            .map_err(in_set)?;
        let set = jwks::parse(response.body(), &self.origin, max_keys).map_err(in_set)?;
        if !set.private.is_empty() && self.warned.private.is_due(self.clock.monotonic()) {
            telemetry::keys::private(issuer, jwks_uri, &set.private.join(", "));
        }
        jwks::warn_if_crowded(&set.usable, issuer, algorithms, || {
            self.warned.ambiguous.is_due(self.clock.monotonic())
        });
        // A server that can sign nothing is out of order, and its clients' tokens are not bad.
        if set.usable.is_empty() {
            return Err(in_set(match set.skipped.len() {
                0 => "it has no key".to_owned(),
                _ => format!("none of its keys can be used: {}", set.skipped.join("; ")),
            }));
        }
        Ok(Loaded {
            keys: set.usable,
            headers: response.headers().clone(),
            refresh_hint: set.refresh_hint,
        })
    }

    fn land_keys(
        &self,
        attempts: &mut Attempts,
        plan: &Plan,
        loaded: Loaded,
        place: Option<Box<str>>,
        discovery_failed: bool,
    ) -> Landing {
        let now = self.clock.monotonic();
        let hint = loaded.refresh_hint;
        let lifetime = lifetime(&loaded.headers, hint, self.clock.now(), &self.limits);
        let (began, is_discovered) = (plan.began, self.is_discovered());
        let times = Times::new(began, now, lifetime, &self.limits, is_discovered);
        let keys = loaded.keys.len();
        if let Err(why) = self.keys.put(KeySet::new(loaded.keys, times), now) {
            return self.land_failure(attempts, plan, &why, place);
        }
        if let Some(jwks_uri) = place {
            attempts.place = Some(Place {
                jwks_uri,
                discovered: Some(began),
                not_before: Duration::ZERO,
            });
        } else if let Some(place) = attempts.place.as_mut().filter(|_| discovery_failed) {
            place.not_before = now.saturating_add(self.limits.min_refetch_interval);
        }
        attempts.interval = times.refresh_at.saturating_sub(began);
        attempts.last_success = Some(now);
        attempts.success_began = Some(began);
        attempts.failure = None;
        attempts.failures = 0;
        attempts.not_before = now;
        Landing::Keys { keys, lifetime }
    }

    fn land_failure(
        &self,
        attempts: &mut Attempts,
        plan: &Plan,
        why: &str,
        place: Option<Box<str>>,
    ) -> Landing {
        // Some of this text is the server's: one line of it, and not for ever.
        let why = one_line(why, MAX_TRACED);
        let now = self.clock.monotonic();
        let retry = self.backoff(attempts.failures, now);
        // It is looked for again with the next fetch.
        let known = attempts.place.take().map(|place| place.jwks_uri);
        attempts.place = place.or(known).map(|jwks_uri| Place {
            jwks_uri,
            discovered: None,
            not_before: Duration::ZERO,
        });
        attempts.failures = attempts.failures.saturating_add(1);
        attempts.not_before = now.saturating_add(retry);
        attempts.failure = Some(one_line(&why, MAX_FAILURE).into());
        self.keys.outlive(plan.began, attempts.not_before);
        Landing::Failure { why, retry }
    }

    /// Doubling, with jitter downwards.
    fn backoff(&self, failures: u32, now: Duration) -> Duration {
        let held = self.keys.held();
        let holds_keys = held.is_some_and(|set| now < set.times.stale_until);
        self.limits.backoff_after(failures, holds_keys)
    }
}

impl FlightOwner for KeyStore {
    type Key = ();
    type Call = Arc<Plan>;
    type State = Attempts;
    type Outcome = Fetched;
    type Answer = ();

    fn flights(&self) -> &SingleFlight<(), (), Attempts> {
        &self.flights
    }

    /// Takes in what a fetch brought.
    fn land(
        &self,
        mut attempts: Attempting<'_>,
        plan: &Arc<Plan>,
        _: bool,
        fetched: Result<Fetched, CutOff>,
    ) {
        let Fetched { discovered, keys } = fetched.unwrap_or_else(|cut_off| Fetched {
            discovered: Discovered::default(),
            keys: Err(match cut_off {
                CutOff::NoRuntime => "there is no Tokio runtime to fetch in".to_owned(),
                CutOff::Dropped => "the fetch was cut off".to_owned(),
            }),
        });
        let Discovered { place, failure } = discovered;
        let has_moved = place.is_some() && plan.known.is_some() && place != plan.known;
        let landing = match keys {
            Ok(loaded) => {
                let failed = failure.is_some();
                self.land_keys(&mut attempts, plan, loaded, place.clone(), failed)
            }
            Err(why) => self.land_failure(&mut attempts, plan, &why, place.clone()),
        };
        // Traced without the lock: a subscriber may block, or ask for the health.
        drop(attempts);
        let issuer = &*self.origin.issuer;
        match &landing {
            Landing::Keys { keys, .. } => self.meter.fetched(*keys, self.clock.now()),
            Landing::Failure { .. } => {
                let held = self.keys.held();
                self.meter.failed(held.map_or(0, |set| set.keys.len()));
            }
        }
        if has_moved {
            telemetry::keys::moved(issuer, plan.known.as_deref(), place.as_deref());
        }
        match landing {
            Landing::Keys { keys, lifetime } => telemetry::keys::fetched(issuer, keys, lifetime),
            Landing::Failure { why, retry } => telemetry::keys::failed(issuer, &why, retry),
        }
        if let Some(why) = failure {
            telemetry::keys::discovery_failed(issuer, &one_line(&why, MAX_TRACED));
        }
    }
}

impl Loaded {
    /// Whether a key of this id is there; of tokens without one there is no telling.
    fn has(&self, kid: Option<&str>) -> bool {
        kid.is_none() || self.keys.iter().any(|key| key.kid() == kid)
    }
}
