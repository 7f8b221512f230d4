//! The second connection: a task that is told when something was added.
//!
//! A command that waits would hold up all others of its connection, so it has one of its own. What
//! it is told only wakes those who read: what they read comes over the first one, which knows the
//! process of the engine and its marker.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use ::redis::{Cmd, Value, cmd};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::link::{Link, OPENING};
use super::shared::Shared;
use super::wire::Wire;
use crate::store::WAIT;
use crate::util::locked;

/// How much longer than it was told to wait the engine may take.
const SLACK: Duration = Duration::from_millis(500);
/// How long it is left alone after a connection in vain.
const PAUSE: Duration = Duration::from_millis(500);
/// The connection is closed when it was not needed for so long.
const IDLE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Listener {
    /// Raised when something was added, and when the connection is lost.
    pub(super) woken: Notify,
    is_up: AtomicBool,
    wish: Mutex<Wish>,
    wished: Arc<Notify>,
}

#[derive(Default)]
struct Wish {
    task: Option<AbortHandle>,
    /// The entry after which a reader has found nothing since the task last looked.
    after: Option<String>,
}

impl Listener {
    /// Wakes waiting readers when there is an entry after this one. `false`: there is no connection yet.
    pub(super) fn listen(shared: &Arc<Shared>, after: String) -> bool {
        let own = &shared.listener;
        let mut wish = locked(&own.wish);
        wish.after = Some(after);
        own.wished.notify_one();
        if wish.task.as_ref().is_none_or(AbortHandle::is_finished) {
            let task = tokio::spawn(run(Arc::downgrade(shared), Arc::clone(&own.wished)));
            wish.task = Some(task.abort_handle());
        }
        own.is_up.load(Ordering::SeqCst)
    }

    fn take(&self) -> Option<String> {
        locked(&self.wish).after.take()
    }

    /// Whether there is still no wish. The next reader that has one finds that there is no task.
    fn ends_idle(&self) -> bool {
        let mut wish = locked(&self.wish);
        let is_idle = wish.after.is_none();
        if is_idle {
            wish.task = None;
            self.is_up.store(false, Ordering::SeqCst);
        }
        is_idle
    }

    fn wake(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::SeqCst);
        self.woken.notify_waiters();
    }

    pub(super) fn end(&self) {
        if let Some(task) = locked(&self.wish).task.take() {
            task.abort();
        }
    }
}

/// A connection, and the one beside which it was opened.
struct Second {
    beside: Weak<Link>,
    wire: Wire,
}

impl Second {
    async fn open(shared: &Shared, link: &Arc<Link>) -> Option<Self> {
        let unheard = Arc::default();
        let wire = Wire::open(&shared.settings, &link.node, &unheard);
        let wire = timeout(OPENING, wire).await.ok()?.ok()?;
        Some(Self {
            beside: Arc::downgrade(link),
            wire,
        })
    }

    fn is_of(&self, link: &Arc<Link>) -> bool {
        self.wire.is_open() && Weak::as_ptr(&self.beside) == Arc::as_ptr(link)
    }
}

/// The entry after which a reader waits. `None`: none has for long, or there is no handle left.
async fn wanted(shared: &Weak<Shared>, wished: &Notify) -> Option<String> {
    loop {
        if let Some(after) = shared.upgrade()?.listener.take() {
            return Some(after);
        }
        let waits = timeout(IDLE, wished.notified()).await;
        if waits.is_err() && shared.upgrade()?.listener.ends_idle() {
            return None;
        }
    }
}

/// Holds no handle while it waits, so that it ends with the last one. What was added wakes once:
/// who has read it and waits again says so.
async fn run(shared: Weak<Shared>, wished: Arc<Notify>) {
    let mut second: Option<Second> = None;
    while let Some(after) = wanted(&shared, &wished).await {
        let Some(current) = shared.upgrade() else {
            return;
        };
        let link = current.link.load_full();
        let link = link.filter(|link| current.is_up(Some(link)));
        second = match (&link, second.take()) {
            (Some(link), Some(second)) if second.is_of(link) => Some(second),
            (Some(link), _) => Second::open(&current, link).await,
            (None, _) => None,
        };
        let is_open = second.is_some();
        current.listener.is_up.store(is_open, Ordering::SeqCst);
        let [_, stream] = current.revocation_keys();
        drop((link, current));
        let heard = match &second {
            None => None,
            Some(second) => {
                let asked = read_after(&stream, &after);
                let heard = timeout(WAIT + SLACK, second.wire.send(&asked)).await;
                heard.ok().and_then(Result::ok)
            }
        };
        let is_lost = match heard {
            Some(Value::Nil) => continue,
            Some(_) => false,
            None => true,
        };
        if let Some(current) = shared.upgrade() {
            current.listener.wake(!is_lost);
        }
        if is_lost {
            second = None;
            sleep(PAUSE).await;
        }
    }
}

fn read_after(stream: &str, after: &str) -> Cmd {
    let mut asked = cmd("XREAD");
    asked.arg("BLOCK").arg(WAIT.as_millis().to_string());
    asked
        .arg("COUNT")
        .arg(1)
        .arg("STREAMS")
        .arg(stream)
        .arg(after);
    asked
}
