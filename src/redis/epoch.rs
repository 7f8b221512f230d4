//! The marker of an engine: since when it knows everything, and whether that can be believed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::redis::Value;
use tokio::time::timeout;

use super::fault::{Fault, text};
use super::keeper::PROBE;
use super::link::Link;
use super::scripts::Script;
use super::shared::{Shared, UNUSABLE, store_error};
use crate::store::StoreError;
use crate::telemetry::redis as telemetry;
use crate::util::{locked, millis};

/// How much the clocks of the engine and of a replica may differ.
const CLOCKS: Duration = Duration::from_secs(30);
/// After a loss, what is this much younger than the loss is not believed either: it may have been
/// dated by the clock of any replica. It is also how long a replica may go on with a primary that
/// another one was put in the place of.
const MARGIN: Duration = Duration::from_secs(60);
/// A clock that goes ahead by more than this ends the life of records too early.
const LEAP: Duration = Duration::from_secs(5);
/// How long a `since` can be ahead: with a margin and clocks at their limits.
const AHEAD: Duration = Duration::from_secs(60 + 3 * 30);

/// How long those who know what was lost have to write it back, before others believe an engine:
/// they look each second.
const SETTLES: Duration = Duration::from_secs(10);

/// What writes a marker where there is none.
#[derive(Clone, Copy)]
pub(super) enum Creator {
    Nothing,
    /// A process that has seen one there: records are lost.
    Survivor,
    /// A call of `init`, which asserts that the engine is new.
    Init,
}

impl Creator {
    /// As the script knows it.
    fn word(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Survivor => "survivor",
            Self::Init => "init",
        }
    }
}

/// The clock of an engine process beside the monotonic one.
#[derive(Clone)]
pub(super) struct Hands {
    run: Arc<str>,
    engine: Duration,
    /// Before it was asked: when it is seen, an answer may be older than it was on its way. A
    /// machine may have stood still.
    asked: Duration,
}

/// What a script says before the rest.
pub(super) struct Said {
    pub(super) engine: Duration,
    pub(super) state: State,
    pub(super) rest: Option<Value>,
}

pub(super) enum State {
    Since(Duration),
    NoMarker,
    /// The marker is of another process.
    Moved,
    /// Clocks differ.
    Clock,
}

impl Shared {
    /// Whether the answer counts, and from when on the engine knows everything.
    pub(super) fn judge(
        &self,
        link: &Link,
        asked: Duration,
        engine: Duration,
        since: Duration,
    ) -> Result<(), String> {
        // First: a clock that is too far ahead may have been set right when it is looked at again.
        let leaps = self.leaps(link, asked, engine);
        let now = self.settings.clock.read().wall;
        if engine.abs_diff(now) > CLOCKS {
            return Err(clocks_differ(engine, now));
        }
        if since > engine.saturating_add(AHEAD) {
            return Err("the marker is of the future: delete it, and call `init`".to_owned());
        }
        if leaps {
            return Err("the clock of the engine has gone ahead".to_owned());
        }
        self.learn(since);
        Ok(())
    }

    /// Whether the clock of the engine has gone ahead, and with it the end of records.
    fn leaps(&self, link: &Link, asked: Duration, engine: Duration) -> bool {
        let now = self.settings.clock.monotonic();
        let run = Arc::clone(&link.run);
        let hands = Hands { run, engine, asked };
        let last = locked(&self.hands).replace(hands);
        let leaps = last.is_some_and(|last| {
            let ran = now.saturating_sub(last.asked);
            last.run == link.run && engine > last.engine + ran + LEAP
        });
        if leaps {
            self.has_leapt.store(true, Ordering::SeqCst);
        }
        leaps
    }

    fn learn(&self, since: Duration) {
        let before = self.since.fetch_max(millis(since), Ordering::SeqCst);
        if before != 0 && before < millis(since) {
            // Whatever was waited for may have been there, and was lost.
            self.watched.found_all();
            telemetry::lost_records(&self.settings.prefix, since);
        }
    }

    /// Reads the marker, and moves it where the engine may have lost something.
    pub(super) async fn enter(&self, link: &Link, by: Creator) -> Result<(), Fault> {
        // An answer from before the marker was written does not count as a newer one.
        let _one_at_a_time = self.entering.lock().await;
        let number = |time: Duration| millis(time).to_string();
        let flag = |is: bool| if is { "1" } else { "0" };
        let leapt = self.has_leapt.load(Ordering::SeqCst);
        let (margin, limit) = (number(MARGIN), number(CLOCKS));
        let settles = number(SETTLES);
        let now = number(self.settings.clock.now());
        let last = locked(&self.hands).clone();
        let of_other = last.filter(|last| last.run != link.run);
        // What another process has acknowledged is not known here unless the marker is younger.
        let acknowledged = of_other.as_ref().map_or(Duration::ZERO, |last| last.engine);
        let least = number(self.complete_since().max(acknowledged));
        let arguments = [
            margin.as_bytes(),
            flag(leapt).as_bytes(),
            by.word().as_bytes(),
            now.as_bytes(),
            limit.as_bytes(),
            least.as_bytes(),
            settles.as_bytes(),
        ];
        let keys = [self.marker.clone()];
        let asked_at = self.settings.clock.monotonic();
        let asked = timeout(PROBE, link.run(Script::Enter, &keys, &arguments)).await;
        let answer = asked.map_err(|_| Fault::Unreachable("no answer within 1 s".to_owned()))??;
        let said = Said::read(answer);
        let Said { engine, state, .. } =
            said.ok_or_else(|| Fault::Unreachable(UNUSABLE.to_owned()))?;
        match state {
            State::Since(since) => {
                if leapt {
                    // It counts from where the engine is now.
                    *locked(&self.hands) = None;
                    self.has_leapt.store(false, Ordering::SeqCst);
                }
                if let Err(why) = self.judge(link, asked_at, engine, since) {
                    if of_other.is_some() {
                        *locked(&self.hands) = of_other;
                    }
                    return Err(Fault::Unreachable(why));
                }
                self.is_initialized.store(true, Ordering::SeqCst);
                self.was_initialized.store(true, Ordering::SeqCst);
                Ok(())
            }
            State::NoMarker => {
                self.is_initialized.store(false, Ordering::SeqCst);
                Ok(())
            }
            State::Moved => Err(Fault::Unreachable(UNUSABLE.to_owned())),
            State::Clock => {
                if of_other.is_none() {
                    self.leaps(link, asked_at, engine);
                }
                let own = self.settings.clock.now();
                Err(Fault::Unreachable(clocks_differ(engine, own)))
            }
        }
    }

    /// What this process may write without a call of `init`.
    pub(super) fn may_create(&self) -> Creator {
        match self.was_initialized.load(Ordering::SeqCst) {
            true => Creator::Survivor,
            false => Creator::Nothing,
        }
    }

    /// Writes the marker where there is none.
    pub(super) async fn init(&self) -> Result<(), StoreError> {
        self.keep();
        self.connect().await.map_err(store_error)?;
        let link = self.link.load_full();
        let link = link.ok_or_else(|| StoreError::new("the engine is down"))?;
        let by = match self.may_create() {
            Creator::Nothing => Creator::Init,
            // Where the marker is gone that was there, it is no new engine.
            knows => knows,
        };
        self.enter(&link, by).await.map_err(store_error)?;
        self.answered();
        Ok(())
    }
}

impl Said {
    pub(super) fn read(answer: Value) -> Option<Self> {
        let Value::Array(members) = answer else {
            return None;
        };
        let mut members = members.into_iter();
        let Value::Int(engine) = members.next()? else {
            return None;
        };
        let state = members.next()?;
        let state = match text(&state)? {
            "none" => State::NoMarker,
            "moved" => State::Moved,
            "clock" => State::Clock,
            since => State::Since(Duration::from_millis(since.parse().ok()?)),
        };
        Some(Self {
            engine: Duration::from_millis(engine.try_into().ok()?),
            state,
            rest: members.next(),
        })
    }
}

pub(super) fn clocks_differ(engine: Duration, own: Duration) -> String {
    format!(
        "the clocks of the engine and of this server differ by {} s, and may by {} s",
        engine.abs_diff(own).as_secs(),
        CLOCKS.as_secs()
    )
}
