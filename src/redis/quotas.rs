//! `Redis` as a store of budgets: all that a request costs in one step.

use std::sync::Arc;
use std::time::Duration;

use ::redis::Value;

use super::Redis;
use super::scripts::Script;
use super::shared::{Shared, UNUSABLE, Unanswered};
use crate::store::{
    QuotaAnswer, QuotaCharge, QuotaState, QuotaStore, StoreError, StoreFuture, check_charges,
};

impl QuotaStore for Redis {
    fn charge(&self, charges: Vec<QuotaCharge>) -> StoreFuture<QuotaAnswer> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            check_charges(&charges)?;
            match shared.charge(&charges).await {
                Ok(answer) => Ok(answer),
                Err(Unanswered::Full) => Ok(QuotaAnswer::Full),
                Err(why) => Err(why.into()),
            }
        })
    }
}

impl Shared {
    async fn charge(&self, charges: &[QuotaCharge]) -> Result<QuotaAnswer, Unanswered> {
        let keys = charges.iter().map(|charge| self.bucket(charge));
        let keys: Vec<String> = keys.collect();
        let numbers = charges.iter().flat_map(|charge| {
            let limit = charge.limit();
            // What the bucket never holds is asked for as one more than it holds.
            let price = limit.price(charge.cost());
            [price.unwrap_or(limit.room() + 1), limit.room()]
        });
        let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
        let arguments: Vec<&[u8]> = numbers.iter().map(String::as_bytes).collect();
        let answer = self.ask(Script::Charge, &keys, &arguments).await?;
        let (admitted, states) = read(answer, charges).map_err(Unanswered::Failed)?;
        Ok(match admitted {
            true => QuotaAnswer::Admitted(states),
            false => QuotaAnswer::Refused(states),
        })
    }

    fn bucket(&self, charge: &QuotaCharge) -> String {
        self.named('q', charge.key())
    }
}

/// Whether they were admitted, and where the buckets stand: `{1 or 0, time, debt, …}`, in
/// microseconds.
fn read(
    answer: Option<Value>,
    charges: &[QuotaCharge],
) -> Result<(bool, Vec<QuotaState>), StoreError> {
    let unusable = || StoreError::new(UNUSABLE);
    let Some(Value::Array(numbers)) = answer else {
        return Err(unusable());
    };
    let mut numbers = numbers.into_iter().map(|number| match number {
        Value::Int(number) => u64::try_from(number).ok(),
        _ => None,
    });
    let mut next = || numbers.next().flatten().ok_or_else(unusable);
    let admitted = next()? == 1;
    let now = Duration::from_micros(next()?);
    let mut states = Vec::with_capacity(charges.len());
    for charge in charges {
        let debt = Duration::from_micros(next()?);
        states.push(charge.limit().state(charge.cost(), admitted, now, debt));
    }
    Ok((admitted, states))
}
