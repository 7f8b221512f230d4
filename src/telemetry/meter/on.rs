//! Metrics for the recorder of the `metrics` facade.

use std::collections::HashMap;
use std::mem::size_of_val;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use metrics::{IntoF64, Key, Label, Level, Metadata, Recorder, with_recorder};

use crate::clock::Clock;
use crate::telemetry::metrics as names;
use crate::telemetry::record::{DecisionRecord, Outcome, Stage};

static METADATA: Metadata<'static> =
    Metadata::new("tower_mcp_auth", Level::INFO, Some(module_path!()));

/// How many combinations of labels are kept apart: codes are constants, so that only a
/// provider that makes up new ones while it runs comes near it.
const MAX_KEYS: usize = 4096;

pub(in crate::telemetry) const IS_ON: bool = true;

type Labels = [(&'static str, &'static str); 3];
const NO_LABEL: (&str, &str) = ("", "");

/// A key that is there from the start.
macro_rules! key {
    ($name:expr $(, $label:literal = $value:literal)+) => {{
        static LABELS: &[Label] = &[$(Label::from_static_parts($label, $value)),+];
        static KEY: Key = Key::from_static_parts($name, LABELS);
        &KEY
    }};
}

/// Other keys with labels, made once: a request needs no allocation.
static KEYS: LazyLock<ArcSwap<Keys>> = LazyLock::new(ArcSwap::default);

type Keys = HashMap<(&'static str, Labels), Arc<Key>>;

fn with_key(name: &'static str, labels: Labels, then: impl FnOnce(&dyn Recorder, &Key)) {
    let held = KEYS.load();
    if let Some(key) = held.get(&(name, labels)) {
        return with_recorder(|recorder| then(recorder, key));
    }
    let mut labels = labels;
    if held.len() >= MAX_KEYS {
        for (label, value) in &mut labels {
            *value = if label.is_empty() { "" } else { "other" };
        }
        if let Some(key) = held.get(&(name, labels)) {
            return with_recorder(|recorder| then(recorder, key));
        }
    }
    drop(held);
    let there = labels.into_iter().filter(|label| *label != NO_LABEL);
    let there: Vec<_> = there
        .map(|(label, value)| Label::from_static_parts(label, value))
        .collect();
    let key = Arc::new(Key::from_parts(name, there));
    KEYS.rcu(|keys| {
        let mut keys = HashMap::clone(keys);
        keys.insert((name, labels), Arc::clone(&key));
        keys
    });
    with_recorder(|recorder| then(recorder, &key));
}

fn count(name: &'static str, labels: Labels) {
    with_key(name, labels, |recorder, key| increment(recorder, key));
}

/// To look a key up costs more than to count does, so what nearly every request counts has its
/// key here.
fn count_known(key: &Key) {
    with_recorder(|recorder| increment(recorder, key));
}

fn increment(recorder: &dyn Recorder, key: &Key) {
    recorder.register_counter(key, &METADATA).increment(1);
}

fn set(recorder: &dyn Recorder, key: &Key, value: f64) {
    recorder.register_gauge(key, &METADATA).set(value);
}

pub(in crate::telemetry) fn decided(record: &DecisionRecord<'_>) {
    if record.outcome == Outcome::Accepted
        && let Some(key) = accepted(record.stage)
    {
        return count_known(key);
    }
    let outcome = ("outcome", record.outcome.as_str());
    let reason = (
        "reason",
        record.error.map_or("none", |error| error.reason()),
    );
    match record.stage {
        Stage::Auth { provider } => {
            count(names::REQUESTS, [("provider", provider), outcome, reason]);
        }
        // It would say how often handlers ask, not how requests end.
        Stage::Handler if record.error.is_none() => {}
        stage => count(
            names::POLICY_DECISIONS,
            [("layer", stage.as_str()), outcome, reason],
        ),
    }
}

/// What an accepted request counts; `None` where the provider is another one.
fn accepted(stage: Stage) -> Option<&'static Key> {
    use names::{POLICY_DECISIONS, REQUESTS};

    macro_rules! accepted {
        ($name:ident, $label:literal = $value:literal) => {
            Some(key!(
                $name,
                $label = $value,
                "outcome" = "accepted",
                "reason" = "none"
            ))
        };
    }
    match stage {
        Stage::Auth { provider } => match provider {
            "api_key" => accepted!(REQUESTS, "provider" = "api_key"),
            "jwt" => accepted!(REQUESTS, "provider" = "jwt"),
            "oauth" => accepted!(REQUESTS, "provider" = "oauth"),
            _ => None,
        },
        Stage::Scopes => accepted!(POLICY_DECISIONS, "layer" = "scopes"),
        Stage::McpScopes => accepted!(POLICY_DECISIONS, "layer" = "mcp_scopes"),
        Stage::Session => accepted!(POLICY_DECISIONS, "layer" = "session"),
        Stage::Quota => accepted!(POLICY_DECISIONS, "layer" = "quota"),
        Stage::Origin => accepted!(POLICY_DECISIONS, "layer" = "origin"),
        Stage::FailedAttempts => accepted!(POLICY_DECISIONS, "layer" = "failed_attempts"),
        #[cfg(feature = "oauth")]
        Stage::BackchannelLogout => {
            accepted!(POLICY_DECISIONS, "layer" = "backchannel_logout")
        }
        Stage::Handler => None,
    }
}

pub(in crate::telemetry) fn step_up(event: &'static str) {
    count(names::STEP_UPS, [("event", event), NO_LABEL, NO_LABEL]);
}

pub(in crate::telemetry) fn list_shortened(is_empty: bool) {
    let outcome = if is_empty { "emptied" } else { "shortened" };
    count(
        names::POLICY_DECISIONS,
        [
            ("layer", "mcp_lists"),
            ("outcome", outcome),
            ("reason", "none"),
        ],
    );
}

pub(in crate::telemetry) fn stream_ended(reason: &'static str) {
    count(
        names::STREAMS_ENDED,
        [("reason", reason), NO_LABEL, NO_LABEL],
    );
}

pub(in crate::telemetry) fn revocations(entries: usize) {
    with_key(names::REVOCATION_ENTRIES, [NO_LABEL; 3], |recorder, key| {
        set(recorder, key, entries as f64);
    });
}

/// Of one budget. Its name is configured; who it is counted for is no label.
#[derive(Clone, Debug)]
pub(crate) struct QuotaMeter {
    admitted: Key,
    refused: Key,
    reported: Key,
}

impl QuotaMeter {
    pub(crate) fn new(budget: &str) -> Self {
        let key = |outcome| {
            let outcome = Label::new("outcome", outcome);
            let labels = vec![Label::new("budget", budget.to_owned()), outcome];
            Key::from_parts(names::QUOTA_DECISIONS, labels)
        };
        Self {
            admitted: key("admitted"),
            refused: key("refused"),
            reported: key("reported"),
        }
    }

    pub(crate) fn admitted(&self) {
        count_known(&self.admitted);
    }

    pub(crate) fn refused(&self, is_carried_out: bool) {
        count_known(match is_carried_out {
            true => &self.refused,
            false => &self.reported,
        });
    }
}

pub(in crate::telemetry) fn quota_store_answers(answers: bool) {
    with_key(names::QUOTA_STORE_UP, [NO_LABEL; 3], |recorder, key| {
        set(recorder, key, f64::from(u8::from(answers)));
    });
}

pub(in crate::telemetry) fn failure_not_shared() {
    count(names::FAILURES_NOT_SHARED, [NO_LABEL; 3]);
}

/// Measures how long a provider takes, where a recorder wants to know: two looks at the clock
/// are much of what a known credential costs.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Option<Duration>);

impl Stopwatch {
    pub(crate) fn start(clock: &Clock) -> Self {
        Self(is_heard().then(|| clock.monotonic()))
    }

    pub(crate) fn stop(self, clock: &Clock, provider: &'static str, waited: bool) {
        use names::VERIFICATION_SECONDS as NAME;

        let took = self.0.map(|start| clock.monotonic().saturating_sub(start));
        let record = |recorder: &dyn Recorder, key: &Key| {
            let histogram = recorder.register_histogram(key, &METADATA);
            match took {
                Some(took) => histogram.record(took),
                // Records nothing, and finds out whether a recorder listens.
                None => histogram.record_many(Heard, 0),
            }
        };
        let known = match (provider, waited) {
            ("api_key", false) => key!(NAME, "provider" = "api_key", "waited" = "false"),
            ("jwt", false) => key!(NAME, "provider" = "jwt", "waited" = "false"),
            ("oauth", false) => key!(NAME, "provider" = "oauth", "waited" = "false"),
            _ => {
                let waited = ("waited", if waited { "true" } else { "false" });
                return with_key(NAME, [("provider", provider), waited, NO_LABEL], record);
            }
        };
        with_recorder(|recorder| record(recorder, known));
    }
}

/// Whether a recorder without a size has taken a value in.
static HEARD: AtomicBool = AtomicBool::new(false);

/// Whether a recorder listens. Where none was installed the facade has one that takes nothing in
/// and has no size. One of the user's that has none either is told from it by what it does: of
/// all requests the first one alone is not measured.
fn is_heard() -> bool {
    HEARD.load(Ordering::Relaxed) || with_recorder(|recorder| size_of_val(recorder) > 0)
}

/// A value that is asked for only where a recorder takes it in.
struct Heard;

impl IntoF64 for Heard {
    fn into_f64(self) -> f64 {
        HEARD.store(true, Ordering::Relaxed);
        0.0
    }
}

#[cfg(feature = "oauth")]
pub(crate) use self::oauth::{IntrospectionMeter, KeysMeter, token_cache};

#[cfg(feature = "oauth")]
mod oauth {
    use super::{Duration, Key, Label, count_known, increment, names, set, with_recorder};
    use crate::telemetry::CallEnd;

    pub(crate) fn token_cache(hit: bool) {
        count_known(match hit {
            true => key!(names::TOKEN_CACHE_LOOKUPS, "result" = "hit"),
            false => key!(names::TOKEN_CACHE_LOOKUPS, "result" = "miss"),
        });
    }

    fn key(name: &'static str, issuer: &str, more: &[(&'static str, &'static str)]) -> Key {
        let mut labels = vec![Label::new("issuer", issuer.to_owned())];
        labels.extend(more.iter().map(|&(name, value)| Label::new(name, value)));
        Key::from_parts(name, labels)
    }

    /// Of the keys of one issuer.
    #[derive(Debug)]
    pub(crate) struct KeysMeter {
        ok: Key,
        failed: Key,
        held: Key,
        fetched: Key,
    }

    impl KeysMeter {
        pub(crate) fn new(issuer: &str) -> Self {
            let fetches = |outcome| key(names::KEY_FETCHES, issuer, &[("outcome", outcome)]);
            Self {
                ok: fetches("ok"),
                failed: fetches("failed"),
                held: key(names::KEYS, issuer, &[]),
                fetched: key(names::KEYS_FETCHED, issuer, &[]),
            }
        }

        pub(crate) fn fetched(&self, keys: usize, since_epoch: Duration) {
            with_recorder(|recorder| {
                increment(recorder, &self.ok);
                set(recorder, &self.held, keys as f64);
                set(recorder, &self.fetched, since_epoch.as_secs_f64());
            });
        }

        /// With how many keys are still held.
        pub(crate) fn failed(&self, held: usize) {
            with_recorder(|recorder| {
                increment(recorder, &self.failed);
                set(recorder, &self.held, held as f64);
            });
        }
    }

    /// Of the introspection at one issuer.
    #[derive(Debug)]
    pub(crate) struct IntrospectionMeter {
        hit: Key,
        miss: Key,
        active: Key,
        refused: Key,
        failed: Key,
        queue: Key,
    }

    impl IntrospectionMeter {
        pub(crate) fn new(issuer: &str) -> Self {
            let lookups = |result| key(names::INTROSPECTION_LOOKUPS, issuer, &[("result", result)]);
            let calls = |outcome| key(names::INTROSPECTION_CALLS, issuer, &[("outcome", outcome)]);
            Self {
                hit: lookups("hit"),
                miss: lookups("miss"),
                active: calls("active"),
                refused: calls("refused"),
                failed: calls("failed"),
                queue: key(names::INTROSPECTION_QUEUE, issuer, &[]),
            }
        }

        pub(crate) fn looked_up(&self, hit: bool) {
            let key = if hit { &self.hit } else { &self.miss };
            with_recorder(|recorder| increment(recorder, key));
        }

        pub(crate) fn called(&self, end: CallEnd) {
            let key = match end {
                CallEnd::Active => &self.active,
                CallEnd::Refused => &self.refused,
                CallEnd::Failed => &self.failed,
            };
            with_recorder(|recorder| increment(recorder, key));
        }

        pub(crate) fn queue(&self, calls: usize) {
            with_recorder(|recorder| set(recorder, &self.queue, calls as f64));
        }
    }
}

/// Of the API key store.
#[cfg(feature = "api-key-store")]
pub(crate) mod store {
    use super::{Key, Label, NO_LABEL, count, count_known, names, set, with_key};

    pub(crate) fn looked_up(hit: bool) {
        count_known(match hit {
            true => key!(names::STORE_LOOKUPS, "result" = "hit"),
            false => key!(names::STORE_LOOKUPS, "result" = "miss"),
        });
    }

    pub(crate) fn called(outcome: &'static str) {
        count(
            names::STORE_CALLS,
            [("outcome", outcome), NO_LABEL, NO_LABEL],
        );
    }

    pub(crate) fn queue(questions: usize) {
        with_key(names::STORE_QUEUE, [NO_LABEL; 3], |recorder, key| {
            set(recorder, key, questions as f64);
        });
    }
}
