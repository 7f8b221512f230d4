//! A place among those that wait for a fetch.

use std::sync::Arc;
use std::time::Duration;

use super::{KeyHint, KeySet, KeyStore, Lookup};
use crate::error::AuthError;
use crate::jose::Candidates;
use crate::util::places::Place;
use crate::util::single_flight::{NoAnswer, Ticket};

/// What a request has waited for already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::oauth) enum Waited {
    /// Nothing yet.
    No,
    /// A fetch that began before the request came: it may not have looked for what the request
    /// needs. So a request waits twice at most.
    ForAnother,
    /// A fetch that began for it, or the second one. What is known now is final.
    ForOwn,
    /// A fetch that has not ended, though it should have: nothing is known.
    InVain,
}

/// See the module. Places are bounded, because each holds a request.
pub(in crate::oauth) struct Waiting {
    pub(super) ticket: Ticket<()>,
    /// How long the fetch may take.
    pub(super) limit: Duration,
    /// What its request has waited for afterwards.
    pub(super) then: Waited,
    pub(super) _places: [Place; 2],
}

impl Waiting {
    /// Resolves when the fetch has ended, however it did.
    pub(in crate::oauth) async fn ended(self) -> Waited {
        match self.ticket.answer(self.limit).await {
            Ok(()) | Err(NoAnswer::Ever) => self.then,
            Err(NoAnswer::InTime) => Waited::InVain,
        }
    }
}

impl KeyStore {
    /// The keys for a token, once nothing has to be waited for.
    pub(in crate::oauth) async fn settled(
        self: &Arc<Self>,
        hint: KeyHint<'_>,
    ) -> Result<(Arc<KeySet>, Candidates), AuthError> {
        let mut waited = Waited::No;
        loop {
            match self.lookup(hint, waited, self.clock.read()) {
                Lookup::Found(set, candidates) => return Ok((set, candidates)),
                Lookup::Wait(waiting) => waited = waiting.ended().await,
                Lookup::Refused(error) => return Err(error),
            }
        }
    }
}
