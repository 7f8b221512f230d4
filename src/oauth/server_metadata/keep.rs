//! The cached copy: fetched once for all, and renewed before its time is over.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Response};

use crate::clock::Clock;
use crate::oauth::discovery::{self, Limits};
use crate::oauth::fetch::Fetch;
use crate::oauth::jwks_options::{JwksOptions, LEAST_LIFETIME};
use crate::oauth::metadata::document;
use crate::refusal;
use crate::telemetry;
use crate::util::one_line;
use crate::util::places::{Place, Places};
use crate::util::single_flight::{Calls, CutOff, FlightOwner, SingleFlight, Ticket};

/// How long others may keep the copy at most: as long as the metadata of the resource.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// How much of a failure's text an event has.
const MAX_TRACED: usize = 1024;

/// The metadata of one server.
pub(in crate::oauth) struct ServerMetadata {
    /// Its issuer, which they must name.
    server: Box<str>,
    fetch: Arc<dyn Fetch>,
    clock: Clock,
    limits: JwksOptions,
    /// Requests that wait for a fetch. They need no token, so that they have places of their own.
    waiting: Arc<Places>,
    flights: SingleFlight<(), (), Kept>,
}

/// What is known of them.
#[derive(Debug, Default)]
pub(in crate::oauth) struct Kept {
    copy: Option<Copy>,
    trouble: Option<Trouble>,
    failures: u32,
    /// When the next fetch may begin.
    not_before: Duration,
}

#[derive(Debug)]
struct Copy {
    json: Bytes,
    /// When its fetch began: what was published later it is not.
    since: Duration,
}

/// What came of the last fetch, if that was no copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The server has no metadata.
    Absent,
    Failed,
}

/// What a request gets, now or when a fetch has ended.
pub(in crate::oauth) enum Known {
    Now(Outcome),
    Later(Pin<Box<dyn Future<Output = Outcome> + Send>>),
}

/// What is said of them.
#[derive(Debug)]
pub(in crate::oauth) enum Outcome {
    /// The copy, and how long it is fresh.
    Copy(Bytes, Duration),
    Absent,
    /// For so long, as far as can be said.
    Unavailable(Duration),
}

type Keeping<'a> = Calls<'a, (), (), Kept>;

impl ServerMetadata {
    /// Of the server with this issuer, a URL that may be called.
    pub(in crate::oauth) fn new(
        server: &str,
        fetch: Arc<dyn Fetch>,
        clock: Clock,
        limits: JwksOptions,
    ) -> Self {
        Self {
            server: server.into(),
            fetch,
            clock,
            waiting: Places::new(limits.max_waiting_requests),
            limits,
            flights: SingleFlight::new(Kept::default()),
        }
    }

    /// What a request gets.
    pub(in crate::oauth) fn known(self: &Arc<Self>) -> Known {
        let now = self.clock.monotonic();
        let kept = self.flights.lock();
        let under_way = kept.join(&());
        let may_begin = under_way.is_none() && now >= kept.not_before;
        if let Some((json, left)) = self.fresh(&kept, now) {
            // Ahead of time, so that no request waits for it.
            if may_begin && left <= self.life() / 5 {
                drop(self.begin(kept, now));
            }
            return Known::Now(Outcome::Copy(json, left));
        }
        if under_way.is_none() && !may_begin {
            return Known::Now(self.last_resort(&kept, now));
        }
        let last_resort = self.last_resort(&kept, now);
        let ticket = under_way.unwrap_or_else(|| self.begin(kept, now));
        match Place::of(&self.waiting) {
            Some(place) => self.wait(ticket, place),
            None => Known::Now(last_resort),
        }
    }

    /// Fetches them now, and waits for the end.
    pub(in crate::oauth) async fn warm_up(self: &Arc<Self>) {
        let now = self.clock.monotonic();
        let ticket = {
            let kept = self.flights.lock();
            let under_way = kept.join(&());
            under_way.unwrap_or_else(|| self.begin(kept, now))
        };
        let _ = ticket.answer(self.limits.fetch_timeout).await;
    }

    fn wait(self: &Arc<Self>, ticket: Ticket<()>, place: Place) -> Known {
        let own = Arc::clone(self);
        Known::Later(Box::pin(async move {
            let _place = place;
            let _ = ticket.answer(own.limits.fetch_timeout).await;
            let now = own.clock.monotonic();
            let kept = own.flights.lock();
            match own.fresh(&kept, now) {
                Some((json, left)) => Outcome::Copy(json, left),
                None => own.last_resort(&kept, now),
            }
        }))
    }

    /// Begins a fetch. The lock is gone before it is launched.
    fn begin(self: &Arc<Self>, mut kept: Keeping<'_>, now: Duration) -> Ticket<()> {
        let (ticket, flight) = kept.begin(self, (), now);
        drop(kept);
        let own = Arc::clone(self);
        flight.launch(async move {
            let limits = Limits {
                within: own.limits.fetch_timeout,
                max_bytes: own.limits.max_document_bytes,
            };
            discovery::document(&own.server, limits, &*own.fetch).await
        });
        ticket
    }

    fn life(&self) -> Duration {
        self.limits.rediscovery.max(LEAST_LIFETIME)
    }

    /// The copy within its time, and what is left of that.
    fn fresh(&self, kept: &Kept, now: Duration) -> Option<(Bytes, Duration)> {
        let copy = kept.copy.as_ref()?;
        let until = copy.since.saturating_add(self.life());
        let left = until.saturating_sub(now);
        (!left.is_zero()).then(|| (copy.json.clone(), left))
    }

    /// What is said where there is no fresh copy and none can be fetched now: the last one, for
    /// a while, if the server could not be asked.
    fn last_resort(&self, kept: &Kept, now: Duration) -> Outcome {
        let usable = |copy: &&Copy| {
            let until = copy.since.saturating_add(self.life());
            now < until.saturating_add(self.limits.stale_if_error)
        };
        match (&kept.copy, kept.trouble) {
            (_, Some(Trouble::Absent)) => Outcome::Absent,
            (copy, _) => match copy.as_ref().filter(usable) {
                Some(copy) => Outcome::Copy(copy.json.clone(), Duration::ZERO),
                None => Outcome::Unavailable(kept.not_before.saturating_sub(now)),
            },
        }
    }
}

impl FlightOwner for ServerMetadata {
    type Key = ();
    /// When it began.
    type Call = Duration;
    type State = Kept;
    type Outcome = Result<Option<Bytes>, String>;
    type Answer = ();

    fn flights(&self) -> &SingleFlight<(), (), Kept> {
        &self.flights
    }

    fn land(
        &self,
        mut kept: Keeping<'_>,
        began: &Duration,
        _: bool,
        outcome: Result<Self::Outcome, CutOff>,
    ) {
        let found = outcome.unwrap_or_else(|cut_off| {
            Err(match cut_off {
                CutOff::NoRuntime => "there is no Tokio runtime to fetch in".to_owned(),
                CutOff::Dropped => "the fetch was cut off".to_owned(),
            })
        });
        let now = self.clock.monotonic();
        if let Ok(Some(json)) = found {
            let bytes = json.len();
            *kept = Kept {
                copy: Some(Copy {
                    json,
                    since: *began,
                }),
                not_before: now,
                ..Kept::default()
            };
            drop(kept);
            telemetry::server_metadata::copied(&self.server, bytes);
            return;
        }
        let retry = self
            .limits
            .backoff_after(kept.failures, kept.copy.is_some());
        kept.failures = kept.failures.saturating_add(1);
        kept.not_before = now.saturating_add(retry);
        let why = match found {
            Err(why) => {
                kept.trouble = Some(Trouble::Failed);
                // Some of this text is the server's: one line of it, and not for ever.
                one_line(&why, MAX_TRACED)
            }
            Ok(_) => {
                // Withdrawn, where there was a copy.
                kept.copy = None;
                kept.trouble = Some(Trouble::Absent);
                "the server has no metadata".to_owned()
            }
        };
        // Told without the lock: a subscriber may block.
        drop(kept);
        telemetry::server_metadata::failed(&self.server, &why, retry);
    }
}

impl Outcome {
    /// The response to `GET` or `HEAD`.
    pub(super) fn respond(self, method: &Method) -> Response<Bytes> {
        const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
        match self {
            Self::Copy(json, left) => {
                let seconds = left.min(MAX_AGE).as_secs();
                let cached = format!("public, max-age={seconds}");
                let cached = match left.is_zero() {
                    true => NO_STORE,
                    false => HeaderValue::try_from(cached).unwrap_or(NO_STORE),
                };
                let mut response = document(method, json, cached);
                // They are the words of another server, at the origin of this one.
                let nosniff = HeaderValue::from_static("nosniff");
                response
                    .headers_mut()
                    .insert(X_CONTENT_TYPE_OPTIONS, nosniff);
                response
            }
            Self::Absent => {
                let mut response = refusal::no_document();
                response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
                response
            }
            Self::Unavailable(retry_after) => refusal::document_unavailable(retry_after),
        }
    }
}

impl fmt::Debug for ServerMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerMetadata")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
