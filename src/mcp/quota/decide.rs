//! What a request costs of which budgets, and whether there is room.

use std::sync::Arc;
use std::time::Duration;

use super::layer::{CLIENT_FIX, Counted, OnOutage, Quotas, SharedStore};
use super::owner::{Multiplies, Owner, counted};
use crate::credential::RequestHead;
use crate::error::{AuthError, Reason};
use crate::mcp::operation::Message;
use crate::peer::{CountedAddr, PeerAddr};
use crate::refusal::Caller;
use crate::store::{
    Charge, MOST_AT_ONCE, Outcome, QuotaAnswer, QuotaCharge, QuotaLimit, StoreError, StoreKey,
    within_patience,
};
use crate::telemetry;

/// When to try again where the store has no room or no answer.
pub(super) const RETRY: Duration = Duration::from_secs(1);
const DOMAIN: &[u8] = b"tower-mcp-auth quota";

/// What a request is charged.
#[derive(Clone, Copy, Default)]
pub(super) struct Costs {
    items: [Item; MOST_AT_ONCE],
    len: usize,
    /// Whether one of them is in the shared store.
    pub(super) asks: bool,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Item {
    /// The place of the budget.
    pub(super) budget: usize,
    pub(super) cost: u32,
    /// Of its bucket in memory.
    key: u128,
    /// Of its bucket in the shared store.
    pub(super) shared: Option<StoreKey>,
}

impl Costs {
    pub(super) fn items(&self) -> &[Item] {
        &self.items[..self.len]
    }
}

/// Which of them are counted, and where.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// What is in memory by choice.
    Local,
    /// What would be in the shared store.
    Share,
}

/// Whether there is room, and where the buckets stand.
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    /// In the order of the costs, in microseconds.
    pub(super) debts: [u64; MOST_AT_ONCE],
    /// Whether what is shared was counted by the part of this replica.
    pub(super) by_share: bool,
}

impl Verdict {
    pub(super) fn is_admitted(&self) -> bool {
        self.outcome == Outcome::Admitted
    }

    fn admitted() -> Self {
        Self {
            outcome: Outcome::Admitted,
            debts: [0; MOST_AT_ONCE],
            by_share: false,
        }
    }
}

impl Quotas {
    /// What a request costs, with its messages or without.
    pub(super) fn costs(
        &self,
        caller: Caller<'_>,
        head: RequestHead<'_>,
        messages: Option<&[Message<'_>]>,
    ) -> Result<Costs, AuthError> {
        let principal = caller.known();
        let mut costs = Costs::default();
        let mut address = None;
        for (place, own) in self.budgets.iter().enumerate() {
            let budget = &own.budget;
            if !budget.is_for(principal) {
                continue;
            }
            let cost = match messages {
                Some(messages) => budget.cost_of(principal, messages)?,
                None => budget.cost_of_request(),
            };
            if cost == 0 {
                continue;
            }
            let most = budget.limit.most_at_once();
            let Some(cost) = u32::try_from(cost).ok().filter(|cost| *cost <= most) else {
                return Err(AuthError::new(Reason::QUOTA_COST_TOO_HIGH).with_detail(format!(
                    "the request costs {cost} of the budget `{}`, which never has more than {most}",
                    budget.name
                )));
            };
            let address = match (principal, address) {
                (Some(_), _) => None,
                (None, Some(known)) => known,
                (None, None) => *address.insert(self.address(head)?),
            };
            let owner = Owner::find(budget, principal, address)?;
            self.tell_multiplied(own, owner.multiplies);
            let [kind, scope, name] = owner.parts();
            let shared = self.shared.as_ref().filter(|_| !budget.is_local);
            let of_shared = |shared: &SharedStore| {
                let parts = [DOMAIN, budget.name.as_bytes(), kind, scope, name];
                StoreKey::new(shared.key.mac(parts))
            };
            costs.asks |= shared.is_some();
            costs.items[costs.len] = Item {
                budget: place,
                cost,
                key: self
                    .memory
                    .code([budget.name.as_bytes(), kind, scope, name]),
                shared: shared.map(of_shared),
            };
            costs.len += 1;
        }
        Ok(costs)
    }

    fn address(&self, head: RequestHead<'_>) -> Result<Option<CountedAddr>, AuthError> {
        let address = match &self.proxies {
            Some(proxies) => proxies.client(head)?,
            None => PeerAddr::of(head),
        };
        Ok(address.map(counted))
    }

    fn tell_multiplied(&self, own: &Counted, multiplies: Option<Multiplies>) {
        let (id, fix) = match multiplies {
            None => return,
            Some(Multiplies::NoAddress) => {
                if self.without_address.is_first() {
                    telemetry::quota_without_address(&own.budget.name);
                }
                return;
            }
            // It was told when the budget was added.
            Some(Multiplies::Client) if own.budget.is_per_client() => return,
            Some(Multiplies::Client) => ("client", CLIENT_FIX),
            Some(Multiplies::Credential) => (
                "credential",
                "have the issuer name a subject or a client, or set \
                 `clients_are_principals` or `subject_claim`",
            ),
        };
        if own.multiplies.is_first() {
            telemetry::quota_id_multiplies(&own.budget.name, id, fix);
        }
    }

    /// The limit of a budget, as it is counted.
    pub(super) fn limit(&self, item: &Item, by_share: bool) -> QuotaLimit {
        let own = &self.budgets[item.budget];
        match own.share {
            Some(share) if by_share && item.shared.is_some() => share,
            _ => own.budget.limit,
        }
    }

    /// Charges one part in memory, or looks whether there is room.
    fn count(&self, costs: &Costs, part: Part, charges: bool) -> Verdict {
        let mut verdict = Verdict {
            by_share: part == Part::Share,
            ..Verdict::admitted()
        };
        let (mut own, mut places) = ([Charge::default(); MOST_AT_ONCE], [0; MOST_AT_ONCE]);
        let (mut len, mut fits) = (0, true);
        for (place, item) in costs.items().iter().enumerate() {
            if item.shared.is_some() != (part == Part::Share) {
                continue;
            }
            let limit = self.limit(item, verdict.by_share);
            let price = limit.price(item.cost);
            fits &= price.is_some();
            own[len] = Charge {
                key: item.key,
                price: price.unwrap_or(0),
                room: limit.room(),
            };
            places[len] = place;
            len += 1;
        }
        if len == 0 {
            return verdict;
        }
        let (own, mut debts) = (&own[..len], [0; MOST_AT_ONCE]);
        let (table, now) = (self.memory.table(), self.memory.now());
        verdict.outcome = match charges && fits {
            true => table.charge(own, now, &mut debts),
            false => match table.would_admit(own, now, &mut debts) && fits {
                true => Outcome::Admitted,
                false => Outcome::Refused,
            },
        };
        for (place, debt) in places[..len].iter().zip(debts) {
            verdict.debts[*place] = debt;
        }
        verdict
    }

    /// Decides what needs no question.
    pub(super) fn decide(&self, costs: &Costs) -> Verdict {
        self.count(costs, Part::Local, true)
    }

    /// Refuses what has no room here before somebody is asked.
    pub(super) fn refused_here(&self, costs: &Costs) -> Option<Verdict> {
        let verdict = self.count(costs, Part::Local, false);
        (verdict.outcome != Outcome::Admitted).then_some(verdict)
    }

    /// Asks the shared store, then charges what is in memory: that is refused last where others
    /// took the room meanwhile, with the shared budgets charged.
    pub(super) async fn ask(self: Arc<Self>, costs: Box<Costs>) -> Result<Verdict, AuthError> {
        let Some(shared) = &self.shared else {
            return Ok(self.decide(&costs));
        };
        let items = || costs.items().iter();
        let charge = |item: &Item| {
            let limit = self.limit(item, false);
            Some(QuotaCharge::new(item.shared?, limit, item.cost))
        };
        let charges: Vec<QuotaCharge> = items().filter_map(charge).collect();
        let asked = charges.len();
        let mut verdict = match within_patience(shared.store.charge(charges)).await {
            Ok(answer) => match taken_in(&costs, answer, asked) {
                Ok(verdict) => {
                    shared.outage.answered();
                    verdict
                }
                Err(error) => self.without_store(shared, &error, &costs)?,
            },
            Err(error) => self.without_store(shared, &error, &costs)?,
        };
        if verdict.outcome == Outcome::Admitted {
            let local = self.count(&costs, Part::Local, true);
            verdict.outcome = local.outcome;
            for (place, item) in costs.items().iter().enumerate() {
                if item.shared.is_none() {
                    verdict.debts[place] = local.debts[place];
                }
            }
        }
        Ok(verdict)
    }

    fn without_store(
        &self,
        shared: &SharedStore,
        error: &StoreError,
        costs: &Costs,
    ) -> Result<Verdict, AuthError> {
        let why = shared.outage.failed(error, self.on_outage);
        match self.on_outage {
            OnOutage::LocalShare(_) => Ok(self.count(costs, Part::Share, true)),
            OnOutage::Allow => Ok(Verdict::admitted()),
            OnOutage::Reject => Err(AuthError::unavailable(Reason::QUOTAS_UNAVAILABLE, RETRY)
                .with_detail(why)
                .logged()),
        }
    }
}

/// What the store said, in the order of the costs.
fn taken_in(costs: &Costs, answer: QuotaAnswer, asked: usize) -> Result<Verdict, StoreError> {
    let mut verdict = Verdict::admitted();
    let states = match answer {
        QuotaAnswer::Admitted(states) => states,
        QuotaAnswer::Refused(states) => {
            verdict.outcome = Outcome::Refused;
            states
        }
        QuotaAnswer::Full => {
            verdict.outcome = Outcome::Full;
            return Ok(verdict);
        }
    };
    if states.len() != asked {
        return Err(StoreError::new("the store says nothing of some budgets"));
    }
    let mut states = states.iter();
    for (place, item) in costs.items().iter().enumerate() {
        if item.shared.is_some()
            && let Some(state) = states.next()
        {
            let debt = state.resets_in().as_micros();
            verdict.debts[place] = u64::try_from(debt).unwrap_or(u64::MAX);
        }
    }
    Ok(verdict)
}
