//! Carries a verdict out: a request goes on, or is told which budget has no room.

use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, Response};

use super::decide::{Costs, Item, RETRY, Verdict};
use super::layer::Quotas;
use crate::credential::RequestHead;
use crate::error::{AuthError, Reason};
use crate::gate::Pass;
use crate::refusal::{
    Caller, RateLimit, RefusalForm, Reported, refuse_or_report, show_rate_limits,
};
use crate::store::{Outcome, QuotaState, StoreError};
use crate::telemetry::{self, Case};

/// A request that goes on.
#[derive(Default)]
pub(super) struct Passed {
    /// What it would have been refused for.
    reported: Option<AuthError>,
    /// What its head would have been refused for.
    pub(super) of_head: Option<AuthError>,
    /// What its response shows.
    shown: Option<Box<HeaderMap>>,
}

impl Pass for Passed {
    fn leave(self, head: &mut Parts) -> ControlFlow<Response<Bytes>> {
        if let Some(shown) = self.shown {
            for (name, value) in shown.iter() {
                head.headers.append(name, value.clone());
            }
        }
        // Each is told before those that were told.
        for error in self.reported.into_iter().chain(self.of_head) {
            Reported::add(&mut head.extensions, error);
        }
        ControlFlow::Continue(())
    }
}

impl Quotas {
    /// Where the bucket of an item stands.
    fn state(&self, item: &Item, place: usize, verdict: &Verdict) -> QuotaState {
        let limit = self.limit(item, verdict.by_share);
        let admitted = verdict.outcome == Outcome::Admitted;
        let debt = Duration::from_micros(verdict.debts[place]);
        limit.state(item.cost, admitted, Duration::ZERO, debt)
    }

    /// A store that refuses says which budget has no room.
    pub(super) fn explained(&self, costs: &Costs, verdict: Verdict) -> Result<Verdict, StoreError> {
        let mut items = costs.items.iter().enumerate();
        let mut is_full =
            || items.any(|(place, item)| self.state(item, place, &verdict).retry_in().is_some());
        if verdict.outcome == Outcome::Refused && !is_full() {
            let why = "the store refuses, and says of no budget that it has no room";
            return Err(StoreError::new(why));
        }
        Ok(verdict)
    }

    /// Carries a verdict out: in the form that the client understands.
    pub(super) fn settle(
        &self,
        costs: &Costs,
        verdict: Result<Verdict, AuthError>,
        caller: Caller<'_>,
        head: RequestHead<'_>,
        case: Case<'_>,
        form: RefusalForm<'_>,
    ) -> ControlFlow<Response<Bytes>, Passed> {
        let verdict = match verdict {
            Ok(verdict) => verdict,
            Err(error) => return Self::refuse(error, caller, head, case, form),
        };
        let is_allowed = verdict.outcome == Outcome::Full && self.allows_when_full;
        if verdict.outcome == Outcome::Full {
            let now = Duration::from_micros(self.memory.now());
            telemetry::quota_store_full(self.full.is_due(now));
        }
        if verdict.outcome == Outcome::Admitted || is_allowed {
            for item in &costs.items {
                self.budgets[item.budget].meter.admitted();
            }
            case.accepted(head, &caller.context.audit);
            return ControlFlow::Continue(Passed {
                shown: (self.shows_on_success && !is_allowed).then(|| {
                    let mut headers = Box::<HeaderMap>::default();
                    self.show(&mut headers, costs, &verdict);
                    headers
                }),
                ..Passed::default()
            });
        }
        if verdict.outcome == Outcome::Full {
            let error = AuthError::unavailable(Reason::QUOTA_STORE_FULL, RETRY)
                .with_detail("the store of budgets has no room for one more caller");
            return Self::refuse(error, caller, head, case, form);
        }
        let error = self.exceeded(costs, &verdict);
        let settled = Self::refuse(error, caller, head, case, form);
        for (place, item) in costs.items.iter().enumerate() {
            if self.state(item, place, &verdict).retry_in().is_some() {
                self.budgets[item.budget].meter.refused(settled.is_break());
            }
        }
        settled.map_break(|mut response| {
            self.show(response.headers_mut(), costs, &verdict);
            response
        })
    }

    /// Refuses, unless the auth layer only reports.
    pub(super) fn refuse(
        error: AuthError,
        caller: Caller<'_>,
        head: RequestHead<'_>,
        case: Case<'_>,
        form: RefusalForm<'_>,
    ) -> ControlFlow<Response<Bytes>, Passed> {
        let outcome = refuse_or_report(error, caller, form, head, case);
        outcome.map_continue(|reported| Passed {
            reported,
            ..Passed::default()
        })
    }

    /// By the budget that is full for the longest time.
    fn exceeded(&self, costs: &Costs, verdict: &Verdict) -> AuthError {
        let waits = costs.items.iter().enumerate().filter_map(|(place, item)| {
            let wait = self.state(item, place, verdict).retry_in()?;
            Some((wait, item))
        });
        let Some((wait, item)) = waits.max_by_key(|(wait, _)| *wait) else {
            // It costs more than the part of this replica ever holds.
            return AuthError::unavailable(Reason::QUOTAS_UNAVAILABLE, RETRY).with_detail(
                "the shared store gives no answer, and the request costs more than the part of \
                 one replica",
            );
        };
        let budget = &self.budgets[item.budget].budget;
        let by = match verdict.by_share && item.shared.is_some() {
            true => ", by the part of this replica, as the shared store gives no answer",
            false => "",
        };
        let detail = format!(
            "the budget `{}` has no room for {} more within {:.3} s{by}",
            budget.name,
            item.cost,
            wait.as_secs_f64()
        );
        AuthError::too_many_requests(budget.reason, wait)
            .with_description(format!("The budget {} is used up", budget.name))
            .with_detail(detail)
    }

    fn show(&self, headers: &mut HeaderMap, costs: &Costs, verdict: &Verdict) {
        let is_known = |item: &Item| item.shared.is_none() || verdict.knows_shared;
        let known = costs.items.iter().enumerate();
        let known = known.filter(|(_, item)| is_known(item));
        let limits = known.map(|(place, item)| {
            let state = self.state(item, place, verdict);
            let limit = self.budgets[item.budget].budget.limit;
            RateLimit {
                name: &self.budgets[item.budget].budget.name,
                quota: limit.count(),
                window: limit.window(),
                remaining: state.remaining(),
                resets_in: state.retry_in().unwrap_or(state.resets_in()),
            }
        });
        show_rate_limits(headers, limits);
    }
}
