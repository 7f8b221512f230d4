//! One question to a store, and a request that waits for its answer.

use std::sync::Arc;

use super::cache::{PAUSE, StoreCache, unavailable};
use super::stale::NoAnswer;
use super::{ApiKeyStoreError, KeyLookup};
use crate::api_key::ApiKey;
use crate::api_key::demand::Demand;
use crate::api_key::entry::{Entry, refused_as};
use crate::clock::Clock;
use crate::crypto::Digest;
use crate::error::{AuthError, Reason};
use crate::util::places::{Class, Place};
use crate::util::single_flight::Ticket;

/// A question under way.
pub(in crate::api_key) struct Question {
    pub(super) wanted: KeyLookup,
    pub(super) clock: Clock,
}

/// What a question brought.
pub(in crate::api_key) enum Said {
    Key(Option<ApiKey>),
    Error(ApiKeyStoreError),
    /// It never got its turn.
    NoTurn,
}

/// What requests learn from a question.
#[derive(Clone)]
pub(in crate::api_key) enum Answer {
    Found(Arc<Entry>),
    Absent,
    /// It is not known whether there is such a key.
    Failed(AuthError),
}

impl StoreCache {
    /// Puts a question to the store, in its turn.
    pub(super) async fn put(
        self: Arc<Self>,
        wanted: KeyLookup,
        class: Class,
        _queued: Place,
    ) -> Said {
        let turn = self.turns.turn(class, self.limits.queue_timeout);
        let Some(_turn) = turn.await else {
            return Said::NoTurn;
        };
        let limit = self.limits.timeout;
        match tokio::time::timeout(limit, self.store.find(wanted)).await {
            Ok(Ok(found)) => Said::Key(found),
            Ok(Err(error)) => Said::Error(error),
            Err(_) => Said::Error(ApiKeyStoreError::unreachable(format!(
                "no answer within {} ms",
                limit.as_millis()
            ))),
        }
    }
}

/// A request that waits for an answer.
pub(in crate::api_key) struct Asked {
    ticket: Ticket<Answer>,
    cache: Arc<StoreCache>,
    digest: Digest,
    id: Box<str>,
    _place: Place,
}

impl Asked {
    pub(super) fn new(
        ticket: Ticket<Answer>,
        place: Place,
        cache: &Arc<StoreCache>,
        digest: Digest,
        id: Box<str>,
    ) -> Self {
        Self {
            ticket,
            cache: Arc::clone(cache),
            digest,
            id,
            _place: place,
        }
    }

    /// What the store says.
    pub(in crate::api_key) async fn answer(
        self,
        clock: &Clock,
        demand: Demand<'_>,
    ) -> Result<Arc<Entry>, AuthError> {
        let limits = &self.cache.limits;
        let limit = limits.queue_timeout.saturating_add(limits.timeout);
        let answer = self.ticket.answer(limit).await;
        let now = clock.now();
        let found = match answer {
            Ok(Answer::Found(entry)) => Some(entry),
            Ok(Answer::Absent) => None,
            Ok(Answer::Failed(error)) => return Err(error),
            Err(_) => match self.cache.stale(&self.digest, clock, NoAnswer::Other) {
                Some(entry) => Some(entry),
                None => {
                    let error = unavailable(Reason::API_KEY_STORE_FAILED, PAUSE);
                    return Err(error.with_detail("the question was cut off"));
                }
            },
        };
        let faults = found.as_ref().map(|entry| entry.faults(now, demand));
        match (found, faults.unwrap_or_default()) {
            (Some(entry), faults) if faults.are_none() => Ok(entry),
            (found, faults) => {
                let found = found.as_deref();
                Err(refused_as(&self.id, false, found, faults, demand))
            }
        }
    }
}
