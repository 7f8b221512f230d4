//! What is known of an engine, and the task that keeps it known.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ::redis::{RedisError, Value};
use arc_swap::ArcSwapOption;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::time::{sleep, timeout};

use super::address::Node;
use super::builder::Settings;
use super::health::RedisHealth;
use super::link::{Fault, Link, moved, text};
use super::scripts::Script;
use super::watch::Watched;
use crate::error::ConfigError;
use crate::store::{StoreError, StoreKey};
use crate::telemetry::redis as telemetry;
use crate::util::{TRACED_CHARS, one_line};

/// An engine that has not answered for so long is down.
const UP: Duration = Duration::from_secs(2);
/// How often it is asked though nobody asks.
const PROBE: Duration = Duration::from_secs(1);
/// How long it is left alone after a question in vain.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
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
/// How many records one script looks for.
const LOOK: usize = 1000;
/// How often one look for a connection follows a node of a cluster to another.
const HOPS: usize = 5;

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) watched: Watched,
    marker: String,
    link: ArcSwapOption<Link>,
    /// By the monotonic clock in milliseconds. Zero: never.
    answered: AtomicU64,
    /// In milliseconds since 1970. It only grows.
    since: AtomicU64,
    is_initialized: AtomicBool,
    /// The marker was there: if it is gone, this process knows that it was.
    was_initialized: AtomicBool,
    /// The engine may have dropped records before their time, though it is the same process.
    has_leapt: AtomicBool,
    hands: Mutex<Option<Hands>>,
    trouble: Mutex<Option<Box<str>>>,
    /// Who is asked first for a connection.
    hint: Mutex<Option<Node>>,
    is_told_down: AtomicBool,
    connecting: AsyncMutex<()>,
    entering: AsyncMutex<()>,
    wake: Arc<Notify>,
}

/// The clock of an engine process beside the monotonic one.
#[derive(Clone)]
struct Hands {
    run: Arc<str>,
    engine: Duration,
    /// Before it was asked: when it is seen, an answer may be older than it was on its way. A
    /// machine may have stood still.
    asked: Duration,
}

/// Why there is no answer.
pub(super) enum Unanswered {
    /// There is no room for a record.
    Full,
    Failed(StoreError),
}

impl From<Unanswered> for StoreError {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::Full => Self::new("the engine has no memory left"),
            Unanswered::Failed(error) => error,
        }
    }
}

/// What a script says before the rest.
struct Said {
    engine: Duration,
    state: State,
    rest: Option<Value>,
}

enum State {
    Since(Duration),
    NoMarker,
    /// The marker is of another process.
    Moved,
    /// Clocks differ.
    Clock,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Shared {
    /// Connects, and starts the task. It ends with the last handle.
    pub(super) async fn start(settings: Settings) -> Result<Arc<Self>, ConfigError> {
        let shared = Arc::new(Self {
            marker: format!("{}:epoch", settings.prefix),
            settings,
            watched: Watched::default(),
            link: ArcSwapOption::empty(),
            answered: AtomicU64::default(),
            since: AtomicU64::default(),
            is_initialized: AtomicBool::default(),
            was_initialized: AtomicBool::default(),
            has_leapt: AtomicBool::default(),
            hands: Mutex::default(),
            trouble: Mutex::default(),
            hint: Mutex::default(),
            is_told_down: AtomicBool::default(),
            connecting: AsyncMutex::default(),
            entering: AsyncMutex::default(),
            wake: Arc::default(),
        });
        if let Err(Fault::Config(error)) = shared.connect().await {
            return Err(error);
        }
        shared.tell();
        tokio::spawn(keep(Arc::downgrade(&shared), Arc::clone(&shared.wake)));
        Ok(shared)
    }

    pub(super) fn key_of(&self, key: StoreKey) -> String {
        let text = URL_SAFE_NO_PAD.encode(key.as_bytes());
        format!("{}:r:{text}", self.settings.prefix)
    }

    pub(super) fn complete_since(&self) -> Duration {
        Duration::from_millis(self.since.load(Ordering::SeqCst))
    }

    pub(super) fn health(&self) -> RedisHealth {
        let link = self.link.load();
        let is_up = self.is_up(link.as_deref());
        RedisHealth {
            is_up,
            is_initialized: self.is_initialized.load(Ordering::SeqCst),
            persistent: link.as_ref().and_then(|link| link.persistent),
            error: locked(&self.trouble).clone().filter(|_| !is_up),
        }
    }

    /// Asks the engine one question, which takes one round trip.
    pub(super) async fn ask(
        &self,
        script: Script,
        records: &[String],
        arguments: &[&[u8]],
    ) -> Result<Option<Value>, Unanswered> {
        // A timer needs one, and a future can be polled anywhere.
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(failed("there is no Tokio runtime to ask in"));
        }
        let link = self.link.load_full();
        let Some(link) = link.filter(|link| self.is_up(Some(link))) else {
            let why = locked(&self.trouble).clone();
            let why = why.unwrap_or_else(|| "no answer for 2 s".into());
            return Err(failed(format!("the engine is down: {why}")));
        };
        if !self.is_initialized.load(Ordering::SeqCst) {
            return Err(failed(NO_MARKER));
        }
        let mut keys = vec![self.marker.clone()];
        keys.extend_from_slice(records);
        self.run(&link, script, &keys, arguments).await
    }

    fn is_up(&self, link: Option<&Link>) -> bool {
        link.is_some_and(Link::is_open) && self.has_answered()
    }

    /// Whether the marker was not there, or has to move.
    fn has_to_enter(&self) -> bool {
        !self.is_initialized.load(Ordering::SeqCst) || self.has_leapt.load(Ordering::SeqCst)
    }

    fn has_answered(&self) -> bool {
        let last = self.answered.load(Ordering::SeqCst);
        let now = millis(self.settings.clock.monotonic());
        last != 0 && now.saturating_sub(last) <= millis(UP)
    }

    fn answered(&self) {
        let now = millis(self.settings.clock.monotonic()).max(1);
        self.answered.fetch_max(now, Ordering::SeqCst);
    }

    async fn run(
        &self,
        link: &Arc<Link>,
        script: Script,
        keys: &[String],
        arguments: &[&[u8]],
    ) -> Result<Option<Value>, Unanswered> {
        let limit = self.settings.timeout;
        let asked = self.settings.clock.monotonic();
        match timeout(limit, link.run(script, keys, arguments)).await {
            Err(_) => {
                let why = format!("no answer from {} within {limit:?}", link.node);
                *locked(&self.trouble) = Some(why.clone().into());
                self.wake.notify_one();
                Err(failed(why))
            }
            Ok(Err(error)) => Err(self.refused(link, &error)),
            // Where this machine stood still in between, it is seen in time, and is old.
            Ok(Ok(_)) if self.settings.clock.monotonic().saturating_sub(asked) > UP => {
                Err(failed("the answer was old when it was seen"))
            }
            Ok(Ok(answer)) => self.take_in(link, asked, answer),
        }
    }

    fn refused(&self, link: &Arc<Link>, error: &RedisError) -> Unanswered {
        let why = one_line(&error.to_string(), TRACED_CHARS);
        let code = error.code().unwrap_or_default();
        if let Some(node) = moved(error) {
            self.drop_link(link, &why, Some(named(node, link)));
        } else if matches!(code, "READONLY" | "CLUSTERDOWN" | "MASTERDOWN" | "LOADING") {
            self.drop_link(link, &why, None);
        } else if error.is_unrecoverable_error() || error.is_io_error() {
            self.drop_link(link, &why, Some(link.node.clone()));
        } else {
            self.answered();
            if code == "OOM" {
                return Unanswered::Full;
            }
        }
        failed(why)
    }

    fn take_in(
        &self,
        link: &Arc<Link>,
        asked: Duration,
        answer: Value,
    ) -> Result<Option<Value>, Unanswered> {
        let Some(Said {
            engine,
            state,
            rest,
        }) = Said::read(answer)
        else {
            self.answered();
            return Err(failed(UNUSABLE));
        };
        let fault = match state {
            State::Since(since) => match self.judge(link, asked, engine, since) {
                Ok(()) => {
                    self.answered();
                    return Ok(rest);
                }
                Err(why) => why,
            },
            State::NoMarker => {
                if self.is_current(link) {
                    self.is_initialized.store(false, Ordering::SeqCst);
                }
                "the engine has lost its records".to_owned()
            }
            State::Moved => "another process of the engine has taken over".to_owned(),
            State::Clock => clocks_differ(engine, self.settings.clock.now()),
        };
        self.drop_link(link, &fault, Some(link.node.clone()));
        Err(failed(fault))
    }

    /// Whether the answer counts, and from when on the engine knows everything.
    fn judge(
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

    fn is_current(&self, link: &Arc<Link>) -> bool {
        let current = self.link.load();
        let current = current.as_ref();
        current.is_some_and(|current| Arc::ptr_eq(current, link))
    }

    fn drop_link(&self, link: &Arc<Link>, why: &str, hint: Option<Node>) {
        if self.is_current(link) {
            self.link.compare_and_swap(link, None);
            *locked(&self.trouble) = Some(why.into());
            *locked(&self.hint) = hint;
            self.wake.notify_one();
        }
    }

    /// Looks for a connection, unless there is one.
    async fn connect(&self) -> Result<(), Fault> {
        let _one_at_a_time = self.connecting.lock().await;
        if self.link.load().is_some() {
            return Ok(());
        }
        let hint = locked(&self.hint).take();
        let mut nodes: Vec<Node> = hint.into_iter().collect();
        let seeds = self.settings.nodes.iter();
        let new: Vec<Node> = seeds
            .filter(|node| !nodes.contains(node))
            .cloned()
            .collect();
        nodes.extend(new);
        let mut hops = 0;
        let mut at = 0;
        let mut first = None;
        while let Some(node) = nodes.get(at).cloned() {
            at += 1;
            let fault = match self.try_node(&node).await {
                Ok(()) => return Ok(()),
                Err(fault) => fault,
            };
            let why = match &fault {
                Fault::Config(error) => error.to_string(),
                Fault::Unreachable(why) => format!("{node}: {why}"),
                Fault::Moved(other) => {
                    hops += 1;
                    let mut other = other.clone();
                    if other.host.is_empty() {
                        other.host = node.host.clone();
                    }
                    if hops <= HOPS && !nodes[..at].contains(&other) {
                        nodes.insert(at, other.clone());
                    }
                    format!("{node} names {other}, which has no keys")
                }
            };
            *locked(&self.trouble) = Some(why.into());
            // What somebody has to change is told before what may heal.
            match (&first, &fault) {
                (None | Some(Fault::Unreachable(_) | Fault::Moved(_)), _) => first = Some(fault),
                (Some(Fault::Config(_)), _) => {}
            }
        }
        let none = || Fault::Unreachable("there is no node".to_owned());
        Err(first.unwrap_or_else(none))
    }

    async fn try_node(&self, node: &Node) -> Result<(), Fault> {
        let link = Arc::new(Link::open(&self.settings, node, &self.wake).await?);
        let create = self.was_initialized.load(Ordering::SeqCst);
        self.enter(&link, create).await?;
        if !self.is_initialized.load(Ordering::SeqCst) {
            telemetry::no_marker(&self.settings.prefix);
        }
        if link.persistent == Some(false) {
            telemetry::not_persistent(&self.settings.prefix);
        }
        self.link.store(Some(link));
        self.answered();
        Ok(())
    }

    /// Reads the marker, and moves it where the engine may have lost something.
    async fn enter(&self, link: &Link, create: bool) -> Result<(), Fault> {
        // An answer from before somebody wrote the marker is not taken for a newer one.
        let _one_at_a_time = self.entering.lock().await;
        let number = |time: Duration| millis(time).to_string();
        let flag = |is: bool| if is { "1" } else { "0" };
        let leapt = self.has_leapt.load(Ordering::SeqCst);
        let (margin, limit) = (number(MARGIN), number(CLOCKS));
        let now = number(self.settings.clock.now());
        let last = locked(&self.hands).clone();
        let of_other = last.filter(|last| last.run != link.run);
        // What another process has acknowledged is not known here unless the marker is younger.
        let acknowledged = of_other.as_ref().map_or(Duration::ZERO, |last| last.engine);
        let least = number(self.complete_since().max(acknowledged));
        let arguments = [
            margin.as_bytes(),
            flag(leapt).as_bytes(),
            flag(create).as_bytes(),
            now.as_bytes(),
            limit.as_bytes(),
            least.as_bytes(),
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

    /// Writes the marker where there is none.
    pub(super) async fn init(&self) -> Result<(), StoreError> {
        self.connect().await.map_err(store_error)?;
        let link = self.link.load_full();
        let link = link.ok_or_else(|| StoreError::new("the engine is down"))?;
        self.enter(&link, true).await.map_err(store_error)?;
        self.answered();
        Ok(())
    }

    /// One question though nobody asks. Whether the engine is as it should be.
    async fn turn(&self) -> bool {
        let link = self.link.load_full();
        let is_well = match link {
            None => self.connect().await.is_ok(),
            Some(link) if self.has_to_enter() => {
                let create = self.was_initialized.load(Ordering::SeqCst);
                match self.enter(&link, create).await {
                    Ok(()) => {
                        self.answered();
                        true
                    }
                    Err(fault) => {
                        self.drop_link(&link, &store_error(fault).to_string(), None);
                        false
                    }
                }
            }
            Some(link) => {
                let is_well = self.look(&link).await.is_ok();
                if !is_well && !self.has_answered() {
                    // It may be gone without a word.
                    self.drop_link(&link, "no answer for 2 s", None);
                }
                is_well
            }
        };
        self.tell();
        is_well
    }

    /// Looks for all records that are waited for. Where none is, that is a question all the same.
    async fn look(&self, link: &Arc<Link>) -> Result<(), Unanswered> {
        let wanted = self.watched.keys();
        let mut rest = &wanted[..];
        loop {
            let (some, others) = rest.split_at(rest.len().min(LOOK));
            let mut keys = vec![self.marker.clone()];
            keys.extend(some.iter().map(|key| self.key_of(*key)));
            let found = self.run(link, Script::Look, &keys, &[]).await?;
            let Some(Value::Array(found)) = found else {
                return Err(failed(UNUSABLE));
            };
            for number in found {
                let Value::Int(number) = number else { continue };
                let key = usize::try_from(number).ok().and_then(|at| some.get(at));
                if let Some(key) = key {
                    self.watched.found(*key);
                }
            }
            rest = others;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Says it once when the engine goes down, and once when it is back.
    fn tell(&self) {
        let is_up = self.is_up(self.link.load().as_deref());
        if is_up {
            if self.is_told_down.swap(false, Ordering::SeqCst) {
                telemetry::up(&self.settings.prefix);
            }
        } else if !self.is_told_down.swap(true, Ordering::SeqCst) {
            let why = locked(&self.trouble).clone().unwrap_or_default();
            telemetry::down(&self.settings.prefix, &why);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The task ends now, and not when it next looks.
        self.wake.notify_one();
    }
}

/// Holds nothing while it waits, so that the last handle ends it.
async fn keep(shared: Weak<Shared>, wake: Arc<Notify>) {
    let (first, longest) = PAUSES;
    let mut pause = first;
    loop {
        let Some(current) = shared.upgrade() else {
            return;
        };
        let is_well = current.turn().await;
        drop(current);
        if is_well {
            pause = first;
            let _ = timeout(PROBE, wake.notified()).await;
        } else {
            sleep(pause).await;
            pause = longest.min(pause * 2);
        }
    }
}

const UNUSABLE: &str = "the answer of the engine cannot be used";
const NO_MARKER: &str = "the engine has no marker of this server: it is new, or was emptied; call \
                         `Redis::init` once";

impl Said {
    fn read(answer: Value) -> Option<Self> {
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

fn named(mut node: Node, link: &Link) -> Node {
    if node.host.is_empty() {
        node.host = link.node.host.clone();
    }
    node
}

fn failed(why: impl Into<String>) -> Unanswered {
    Unanswered::Failed(StoreError::new(why))
}

fn store_error(fault: Fault) -> StoreError {
    match fault {
        Fault::Config(error) => StoreError::new(error.to_string()),
        Fault::Moved(node) => StoreError::new(format!("the keys are at {node}")),
        Fault::Unreachable(why) => StoreError::new(why),
    }
}

fn clocks_differ(engine: Duration, own: Duration) -> String {
    format!(
        "the clocks of the engine and of this server differ by {} s, and may by {} s",
        engine.abs_diff(own).as_secs(),
        CLOCKS.as_secs()
    )
}
