//! What a request costs of which budgets, and whether there is room.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::health::OnOutage;
use super::layer::{CLIENT_FIX, Counted, Quotas, SharedStore};
use super::owner::{Multiplies, Owner, counted};
use crate::credential::RequestHead;
use crate::error::{AuthError, Reason};
use crate::mcp::operation::Message;
use crate::peer::{CountedAddr, PeerAddr};
use crate::refusal::Caller;
use crate::store::{
    Charge, Outcome, QuotaAnswer, QuotaCharge, QuotaLimit, StoreError, StoreKey, within_patience,
};
use crate::telemetry;

/// When to try again where the store has no room or no answer.
pub(super) const RETRY: Duration = Duration::from_secs(1);
/// How many budgets are decided without an allocation.
const FEW: usize = 4;
const DOMAIN: &[u8] = b"tower-mcp-auth quota";

/// What a request is charged.
#[derive(Clone, Default)]
pub(super) struct Costs {
    pub(super) items: SmallVec<[Item; FEW]>,
    /// Whether one of them is in the shared store.
    pub(super) asks: bool,
}

#[derive(Clone, Copy)]
pub(super) struct Item {
    /// The place of the budget.
    pub(super) budget: usize,
    pub(super) cost: u32,
    /// Of its bucket in memory.
    key: u64,
    /// Of its bucket in the shared store.
    pub(super) shared: Option<StoreKey>,
}

/// Which of them are counted, and where.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// What is in memory by choice.
    Local,
    /// What would be in the shared store.
    Share,
}

type Debts = SmallVec<[u64; FEW]>;

/// Whether there is room, and where the buckets stand.
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    /// In the order of the costs, in microseconds.
    pub(super) debts: Debts,
    /// Whether what is shared was counted by the part of this replica.
    pub(super) by_share: bool,
    /// Whether it is known where shared buckets stand.
    pub(super) knows_shared: bool,
}

impl Verdict {
    pub(super) fn is_admitted(&self) -> bool {
        self.outcome == Outcome::Admitted
    }

    /// That all of so many are admitted.
    fn admitted(costs: &Costs) -> Self {
        Self {
            outcome: Outcome::Admitted,
            debts: SmallVec::from_elem(0, costs.items.len()),
            by_share: false,
            knows_shared: false,
        }
    }
}

/// The charges of one part.
#[derive(Default)]
struct InMemory {
    charges: SmallVec<[Charge; FEW]>,
    /// Their places in the costs.
    places: SmallVec<[usize; FEW]>,
    /// Whether one is more than the bucket ever holds.
    exceeds: bool,
}

impl InMemory {
    fn no_debts(&self) -> Debts {
        SmallVec::from_elem(0, self.charges.len())
    }

    fn copy_debts(&self, debts: &[u64], verdict: &mut Verdict) {
        for (place, debt) in self.places.iter().zip(debts) {
            verdict.debts[*place] = *debt;
        }
    }
}

/// What is set aside while the store is asked. Given back where the client hangs up: the request
/// is not served.
struct Held<'a> {
    quotas: &'a Quotas,
    own: &'a InMemory,
    is_settled: bool,
}

impl<'a> Held<'a> {
    /// `None`: there is no room, as the verdict says.
    fn take(quotas: &'a Quotas, own: &'a InMemory, verdict: &mut Verdict) -> Option<Self> {
        let mut debts = own.no_debts();
        if !own.charges.is_empty() {
            let (table, now) = (quotas.memory.table(), quotas.memory.now());
            verdict.outcome = table.hold(&own.charges, now, &mut debts);
            own.copy_debts(&debts, verdict);
        }
        // Lazily: one that is dropped gives back.
        verdict.is_admitted().then(|| Self {
            quotas,
            own,
            is_settled: false,
        })
    }

    fn settle(mut self, verdict: &mut Verdict) {
        let debts = self.end(verdict.is_admitted());
        self.own.copy_debts(&debts, verdict);
    }

    fn end(&mut self, charges_it: bool) -> Debts {
        let mut debts = self.own.no_debts();
        self.is_settled = true;
        if !self.own.charges.is_empty() {
            let (table, now) = (self.quotas.memory.table(), self.quotas.memory.now());
            table.settle(&self.own.charges, now, charges_it, &mut debts);
        }
        debts
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            self.end(false);
        }
    }
}

impl Quotas {
    /// What a request costs, with its messages or without. It is written in place, as it is too long
    /// to be handed on.
    pub(super) fn find_costs(
        &self,
        costs: &mut Costs,
        caller: Caller<'_>,
        head: RequestHead<'_>,
        messages: Option<&[Message<'_>]>,
    ) -> Result<(), AuthError> {
        let principal = caller.known();
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
            costs.items.push(Item {
                budget: place,
                cost,
                key: self.memory.bucket(
                    owner.is_anonymous(),
                    [budget.name.as_bytes(), kind, scope, name],
                ),
                shared: shared.map(of_shared),
            });
        }
        Ok(())
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

    /// What one part costs in memory.
    fn in_memory(&self, costs: &Costs, part: Part) -> InMemory {
        let mut own = InMemory::default();
        for (place, item) in costs.items.iter().enumerate() {
            if item.shared.is_some() != (part == Part::Share) {
                continue;
            }
            let limit = self.limit(item, part == Part::Share);
            let price = limit.price(item.cost);
            own.exceeds |= price.is_none();
            own.charges.push(Charge {
                key: item.key,
                price: price.unwrap_or(0),
                room: limit.room(),
            });
            own.places.push(place);
        }
        own
    }

    /// Charges one part in memory.
    fn count(&self, costs: &Costs, part: Part) -> Verdict {
        let own = self.in_memory(costs, part);
        let mut verdict = Verdict {
            by_share: part == Part::Share,
            knows_shared: part == Part::Share,
            ..Verdict::admitted(costs)
        };
        if own.charges.is_empty() {
            return verdict;
        }
        let (table, now, mut debts) = (self.memory.table(), self.memory.now(), own.no_debts());
        verdict.outcome = match own.exceeds {
            false => table.charge(&own.charges, now, &mut debts),
            true => {
                table.would_admit(&own.charges, now, &mut debts);
                Outcome::Refused
            }
        };
        own.copy_debts(&debts, &mut verdict);
        verdict
    }

    /// Decides what needs no question.
    pub(super) fn decide(&self, costs: &Costs) -> Verdict {
        self.count(costs, Part::Local)
    }

    /// Sets aside what is counted in memory, then asks the shared store: what one of them refuses
    /// is not charged to the other, whatever else is under way.
    pub(super) async fn ask(self: Arc<Self>, costs: Arc<Costs>) -> Result<Verdict, AuthError> {
        let Some(shared) = &self.shared else {
            return Ok(self.decide(&costs));
        };
        let local = self.in_memory(&costs, Part::Local);
        let mut verdict = Verdict::admitted(&costs);
        let Some(held) = Held::take(&self, &local, &mut verdict) else {
            return Ok(verdict);
        };
        let items = || costs.items.iter();
        let charge = |item: &Item| {
            let limit = self.limit(item, false);
            Some(QuotaCharge::new(item.shared?, limit, item.cost))
        };
        let charges: Vec<QuotaCharge> = items().filter_map(charge).collect();
        let asked = charges.len();
        let mut verdict = match within_patience(shared.store.charge(charges)).await {
            Ok(answer) => match taken_in(&costs, answer, asked)
                .and_then(|verdict| self.explained(&costs, verdict))
            {
                Ok(verdict) => {
                    shared.outage.answered();
                    verdict
                }
                Err(error) => self.without_store(shared, &error, &costs)?,
            },
            Err(error) => self.without_store(shared, &error, &costs)?,
        };
        held.settle(&mut verdict);
        Ok(verdict)
    }

    fn without_store(
        &self,
        shared: &SharedStore,
        error: &StoreError,
        costs: &Costs,
    ) -> Result<Verdict, AuthError> {
        let why = shared
            .outage
            .failed(error, self.on_outage, self.memory.now());
        match self.on_outage {
            OnOutage::LocalShare(_) => Ok(self.count(costs, Part::Share)),
            OnOutage::Allow => Ok(Verdict::admitted(costs)),
            OnOutage::Reject => Err(AuthError::unavailable(Reason::QUOTAS_UNAVAILABLE, RETRY)
                .with_detail(why)
                .logged()),
        }
    }
}

/// What the store said, in the order of the costs.
fn taken_in(costs: &Costs, answer: QuotaAnswer, asked: usize) -> Result<Verdict, StoreError> {
    let mut verdict = Verdict {
        knows_shared: true,
        ..Verdict::admitted(costs)
    };
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
    for (place, item) in costs.items.iter().enumerate() {
        if item.shared.is_some()
            && let Some(state) = states.next()
        {
            let debt = state.resets_in().as_micros();
            verdict.debts[place] = u64::try_from(debt).unwrap_or(u64::MAX);
        }
    }
    Ok(verdict)
}
