//! What is known of an engine, and how it is asked.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use ::redis::{RedisError, Value};
use arc_swap::ArcSwapOption;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::address::Node;
use super::builder::Settings;
use super::epoch::{Hands, Said, State, clocks_differ};
use super::fault::{Fault, moved};
use super::health::RedisHealth;
use super::keeper::keep;
use super::link::Link;
use super::listener::Listener;
use super::scripts::Script;
use super::watch::Watched;
use crate::error::ConfigError;
use crate::store::{StoreError, StoreKey};
use crate::util::{TRACED_CHARS, locked, millis, one_line};

/// An engine that has not answered for so long is down.
const UP: Duration = Duration::from_secs(2);

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) watched: Watched,
    pub(super) listener: Listener,
    pub(super) marker: String,
    pub(super) link: ArcSwapOption<Link>,
    /// By the monotonic clock in milliseconds. Zero: never.
    pub(super) answered: AtomicU64,
    /// In milliseconds since 1970. It only grows.
    pub(super) since: AtomicU64,
    pub(super) is_initialized: AtomicBool,
    /// The marker was there: if it is gone, this process knows that it was.
    pub(super) was_initialized: AtomicBool,
    /// The engine may have dropped records before their time, though it is the same process.
    pub(super) has_leapt: AtomicBool,
    pub(super) hands: Mutex<Option<Hands>>,
    pub(super) trouble: Mutex<Option<Box<str>>>,
    /// Who is asked first for a connection.
    pub(super) hint: Mutex<Option<Node>>,
    pub(super) is_reported_down: AtomicBool,
    pub(super) connecting: AsyncMutex<()>,
    pub(super) entering: AsyncMutex<()>,
    pub(super) wake: Arc<Notify>,
    keeper: Mutex<Option<AbortHandle>>,
    own: Weak<Self>,
}

/// Why there is no answer.
pub(super) enum Unanswered {
    /// There is no room for a record.
    Full,
    /// A record is none of ours; others can be asked for.
    Foreign(StoreError),
    Failed(StoreError),
}

impl From<Unanswered> for StoreError {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::Full => Self::new("the engine has no memory left"),
            Unanswered::Foreign(error) | Unanswered::Failed(error) => error,
        }
    }
}

impl Shared {
    /// Connects, and starts the task. It ends with the last handle.
    pub(super) async fn start(settings: Settings) -> Result<Arc<Self>, ConfigError> {
        let shared = Arc::new_cyclic(|own| Self {
            marker: format!("{}:epoch", settings.prefix),
            settings,
            watched: Watched::default(),
            listener: Listener::default(),
            link: ArcSwapOption::empty(),
            answered: AtomicU64::default(),
            since: AtomicU64::default(),
            is_initialized: AtomicBool::default(),
            was_initialized: AtomicBool::default(),
            has_leapt: AtomicBool::default(),
            hands: Mutex::default(),
            trouble: Mutex::default(),
            hint: Mutex::default(),
            is_reported_down: AtomicBool::default(),
            connecting: AsyncMutex::default(),
            entering: AsyncMutex::default(),
            wake: Arc::default(),
            keeper: Mutex::default(),
            own: Weak::clone(own),
        });
        if let Err(Fault::Config(error)) = shared.connect().await {
            return Err(error);
        }
        shared.report();
        shared.keep();
        Ok(shared)
    }

    /// Runs the task, unless one runs: the one before may have ended with its runtime.
    pub(super) fn keep(&self) {
        let mut keeper = locked(&self.keeper);
        if keeper.as_ref().is_none_or(AbortHandle::is_finished) {
            let task = keep(Weak::clone(&self.own), Arc::clone(&self.wake));
            *keeper = Some(tokio::spawn(task).abort_handle());
        }
    }

    pub(super) fn key_of(&self, key: StoreKey) -> String {
        self.named('r', key)
    }

    /// The key of a record of this kind.
    pub(super) fn named(&self, kind: char, key: StoreKey) -> String {
        let text = URL_SAFE_NO_PAD.encode(key.as_bytes());
        format!("{}:{kind}:{text}", self.settings.prefix)
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
            self.keep();
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

    pub(super) fn is_up(&self, link: Option<&Link>) -> bool {
        link.is_some_and(Link::is_open) && self.has_answered()
    }

    /// Whether the marker was not there, or has to move.
    pub(super) fn has_to_enter(&self) -> bool {
        !self.is_initialized.load(Ordering::SeqCst) || self.has_leapt.load(Ordering::SeqCst)
    }

    pub(super) fn has_answered(&self) -> bool {
        let last = self.answered.load(Ordering::SeqCst);
        let now = millis(self.settings.clock.monotonic());
        last != 0 && now.saturating_sub(last) <= millis(UP)
    }

    pub(super) fn answered(&self) {
        let now = millis(self.settings.clock.monotonic()).max(1);
        self.answered.fetch_max(now, Ordering::SeqCst);
    }

    pub(super) async fn run(
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
            Ok(Err(error)) => Err(self.refused(link, keys, &error)),
            // Where this machine stood still in between, it is seen in time, and is old.
            Ok(Ok(_)) if self.settings.clock.monotonic().saturating_sub(asked) > UP => {
                Err(failed("the answer was old when it was seen"))
            }
            Ok(Ok(answer)) => self.take_in(link, asked, answer),
        }
    }

    fn refused(&self, link: &Arc<Link>, keys: &[String], error: &RedisError) -> Unanswered {
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
            if code == "WRONGTYPE" {
                let keys = one_line(&keys[1..].join(", "), TRACED_CHARS);
                let why = format!("one of {keys} of the engine is none of ours: {why}");
                return Unanswered::Foreign(StoreError::new(why));
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

    fn is_current(&self, link: &Arc<Link>) -> bool {
        let current = self.link.load();
        let current = current.as_ref();
        current.is_some_and(|current| Arc::ptr_eq(current, link))
    }

    pub(super) fn drop_link(&self, link: &Arc<Link>, why: &str, hint: Option<Node>) {
        if self.is_current(link) {
            self.link.compare_and_swap(link, None);
            *locked(&self.trouble) = Some(why.into());
            *locked(&self.hint) = hint;
            self.wake.notify_one();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The tasks end now, and not when they next look.
        self.wake.notify_one();
        self.listener.end();
    }
}

pub(super) const UNUSABLE: &str = "the answer of the engine cannot be used";
const NO_MARKER: &str = "the engine has no marker of this server: it is new, or was emptied; call \
                         `Redis::init` once";

fn named(mut node: Node, link: &Link) -> Node {
    if node.host.is_empty() {
        node.host = link.node.host.clone();
    }
    node
}

pub(super) fn failed(why: impl Into<String>) -> Unanswered {
    Unanswered::Failed(StoreError::new(why))
}

pub(super) fn store_error(fault: Fault) -> StoreError {
    match fault {
        Fault::Config(error) => StoreError::new(error.to_string()),
        Fault::Moved(node) => StoreError::new(format!("the keys are at {node}")),
        Fault::Unreachable(why) => StoreError::new(why),
    }
}
