//! The task that keeps a connection, and looks for the records that are waited for.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ::redis::Value;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::address::Node;
use super::fault::Fault;
use super::link::Link;
use super::scripts::Script;
use super::shared::{Shared, UNUSABLE, Unanswered, failed, store_error};
use crate::telemetry::redis as telemetry;
use crate::util::locked;

/// How often the engine is probed when no request needs it.
pub(super) const PROBE: Duration = Duration::from_secs(1);
/// How long it is left alone after a question in vain.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// How many records one script looks for.
const LOOK: usize = 1000;
/// How often one look for a connection follows a node of a cluster to another.
const HOPS: usize = 5;

impl Shared {
    /// Looks for a connection, unless there is one.
    pub(super) async fn connect(&self) -> Result<(), Fault> {
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
            // A fault that needs a change of settings is reported before one that may pass.
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
        self.enter(&link, self.may_create()).await?;
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

    /// One probe. Returns whether the engine is as it should be.
    async fn turn(&self) -> bool {
        let link = self.link.load_full();
        let is_well = match link {
            None => self.connect().await.is_ok(),
            Some(link) if self.has_to_enter() => match self.enter(&link, self.may_create()).await {
                Ok(()) => {
                    self.answered();
                    true
                }
                Err(fault) => {
                    self.drop_link(&link, &store_error(fault).to_string(), None);
                    false
                }
            },
            Some(link) => {
                let is_well = self.look(&link).await.is_ok();
                if !is_well && !self.has_answered() {
                    // It may be gone without a word.
                    self.drop_link(&link, "no answer for 2 s", None);
                }
                is_well
            }
        };
        self.report();
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

    /// Reports it once when the engine goes down, and once when it is back.
    pub(super) fn report(&self) {
        let is_up = self.is_up(self.link.load().as_deref());
        if is_up {
            if self.is_reported_down.swap(false, Ordering::SeqCst) {
                telemetry::up(&self.settings.prefix);
            }
        } else if !self.is_reported_down.swap(true, Ordering::SeqCst) {
            let why = locked(&self.trouble).clone().unwrap_or_default();
            telemetry::down(&self.settings.prefix, &why);
        }
    }
}

/// Holds nothing while it waits, so that the last handle ends it.
pub(super) async fn keep(shared: Weak<Shared>, wake: Arc<Notify>) {
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
