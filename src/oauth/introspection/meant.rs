//! What an answer means at the resource of a request.

use std::sync::Arc;
use std::time::Duration;

use super::answer::{Active, Expected, Good, Refusal, Vouched, judge};
use super::call::Answer;
use super::store::{Introspector, unavailable};
use crate::error::{AuthError, Reason};
use crate::oauth::served::Terms;
use crate::principal::Principal;
use crate::util::places::Place;
use crate::util::single_flight::Ticket;

/// A token that a request brought, and the resource it is for.
#[derive(Clone, Copy)]
pub(in crate::oauth) struct Question<'q> {
    pub(in crate::oauth) token: &'q [u8],
    pub(in crate::oauth) vouched: Vouched,
    pub(in crate::oauth) terms: &'q Terms,
}

impl Introspector {
    /// What an answer that was found good means at the resource of a request.
    pub(super) fn accept(
        &self,
        active: Arc<Active>,
        question: Question<'_>,
    ) -> Result<Good, AuthError> {
        if question.terms.is_of(&active.judged.at) {
            return Ok(Good::of(active, &self.profile));
        }
        let identity = &active.judged.identity;
        let said = identity.raw_claims().unwrap_or("{}");
        self.judge_again(said, identity.asked_at(), question)
    }

    /// What an answer that was not found good means at the resource of a request. `None`: what
    /// was said is not known any more.
    pub(super) fn refuse(
        &self,
        refusal: Refusal,
        question: Question<'_>,
    ) -> Option<Result<Good, AuthError>> {
        match refusal.at {
            Some(at) if !question.terms.is_of(&at.url) => {
                let said = at.said?;
                Some(self.judge_again(&said, None, question))
            }
            _ => Some(Err(refusal.error)),
        }
    }

    /// Judges what was said of a token for another resource than the one it was judged for.
    fn judge_again(
        &self,
        said: &str,
        asked_at: Option<Duration>,
        question: Question<'_>,
    ) -> Result<Good, AuthError> {
        let said = serde_json::from_str(said).map_err(|_| {
            AuthError::new(Reason::MALFORMED_TOKEN).with_detail("the claims cannot be read")
        })?;
        let token = std::str::from_utf8(question.token).unwrap_or_default();
        let (expected, now) = (self.expected(question.terms), self.clock.now());
        let judged = judge(said, token, question.vouched, &expected, now);
        let mut judged = judged.map_err(|refusal| refusal.error.of_issued())?;
        if let Some(asked_at) = asked_at {
            judged = judged.vouched_for(asked_at);
        }
        Ok(Good {
            valid_until: judged.exp.map(|exp| self.profile.valid_until(exp)),
            also_bound_to: None,
            principal: Principal::of(Arc::new(judged.identity)),
        })
    }

    /// What answers must fit at a resource.
    pub(super) fn expected<'a>(&'a self, terms: &'a Terms) -> Expected<'a> {
        Expected {
            profile: &self.profile,
            audience: self.audience.as_ref().unwrap_or(&terms.audience),
            without_audience: self.without_audience,
            at: &terms.url,
        }
    }
}

/// A request that waits for an answer.
pub(in crate::oauth) struct Asked {
    pub(super) ticket: Ticket<Answer>,
    pub(super) store: Arc<Introspector>,
    pub(super) vouched: Vouched,
    pub(super) _places: [Place; 2],
}

impl Asked {
    /// What the authorization server says of the token that was asked about.
    pub(in crate::oauth) async fn answer(
        self,
        token: &[u8],
        terms: &Terms,
    ) -> Result<Good, AuthError> {
        let question = Question {
            token,
            vouched: self.vouched,
            terms,
        };
        let limits = &self.store.limits;
        let limit = limits.queue_timeout.saturating_add(limits.timeout);
        match self.ticket.answer(limit).await {
            Ok(Answer::Active(active)) => self.store.accept(active, question),
            Ok(Answer::Refused(refusal)) => {
                let error = refusal.error.clone();
                let meant = self.store.refuse(refusal, question);
                meant.unwrap_or(Err(error))
            }
            Err(_) => Err(unavailable(Reason::INTROSPECTION_FAILED, Duration::ZERO)
                .with_detail("the call was cut off")),
        }
    }
}
