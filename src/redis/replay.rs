//! `Redis` as a store of records: who was first.

use std::sync::Arc;
use std::time::Duration;

use ::redis::Value;

use super::Redis;
use super::scripts::Script;
use super::shared::Unanswered;
use crate::store::{
    Insertion, ReplayStore, StoreError, StoreFuture, StoreKey, StoreValue, WatchFuture,
};

/// No record lives longer: the engine refuses times beyond its numbers.
const MAX_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);

impl ReplayStore for Redis {
    fn insert_if_absent(
        &self,
        key: StoreKey,
        value: StoreValue,
        life: Duration,
    ) -> StoreFuture<Insertion> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let life = life.min(MAX_LIFE).as_millis().max(1).to_string();
            let arguments: [&[u8]; 2] = [value.as_bytes(), life.as_bytes()];
            let record = [shared.key_of(key)];
            match shared.ask(Script::Insert, &record, &arguments).await {
                Ok(there) => match read(there)? {
                    Some(there) => Ok(Insertion::Present(there)),
                    None => {
                        shared.watched.found(key);
                        Ok(Insertion::Inserted)
                    }
                },
                Err(Unanswered::Full) => Ok(Insertion::Full),
                Err(why) => Err(why.into()),
            }
        })
    }

    fn get(&self, key: StoreKey) -> StoreFuture<Option<StoreValue>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let record = [shared.key_of(key)];
            read(shared.ask(Script::Get, &record, &[]).await?)
        })
    }

    fn complete_since(&self) -> Duration {
        self.shared.complete_since()
    }

    fn watch(self: Arc<Self>, key: StoreKey) -> WatchFuture {
        Box::pin(async move {
            // Before the look: what is written in between is found.
            let waiter = self.shared.watched.wait(key);
            if let Ok(Some(_)) = self.get(key).await {
                return;
            }
            waiter.found().await;
        })
    }
}

/// What is there. A record that another program wrote is no record.
fn read(there: Option<Value>) -> Result<Option<StoreValue>, StoreError> {
    let unusable = || StoreError::new("the engine has a record that is none of ours");
    match there {
        Some(Value::Nil) => Ok(None),
        Some(Value::BulkString(bytes)) => {
            let bytes = bytes.try_into().map_err(|_| unusable())?;
            Ok(Some(StoreValue::new(bytes)))
        }
        _ => Err(unusable()),
    }
}
