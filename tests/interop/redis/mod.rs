//! The shared store on real engines: Debian's Redis, with TLS and an access control list, and a
//! cluster of Valkey. What goes wrong is done to them: killed, stopped, restarted, emptied, failed
//! over.

mod access;
mod config;
mod dpop;
pub(crate) mod engine;
mod keys;
mod layers;
mod outages;
mod plain;
mod processes;
mod quotas;
mod revocations;

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tower_mcp_auth::redis::Redis;
use tower_mcp_auth::store::{Insertion, ReplayStore, StoreError, StoreKey, StoreValue};

const HOUR: Duration = Duration::from_secs(3600);
/// What a question takes at most: the time limit, and a machine that is busy.
const SOON: Duration = Duration::from_secs(2);
/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

fn key(number: u32) -> StoreKey {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    StoreKey::new(bytes)
}

fn value(number: u8) -> StoreValue {
    StoreValue::new([number; 32])
}

/// Asks, and takes the time.
async fn insert(redis: &Redis, number: u32, own: u8) -> Result<Insertion, StoreError> {
    let begun = Instant::now();
    let answer = redis.insert_if_absent(key(number), value(own), HOUR).await;
    assert!(begun.elapsed() < SOON, "{:?}: {answer:?}", begun.elapsed());
    answer
}

async fn until(what: &str, is: impl AsyncFn() -> bool) {
    let waits = async {
        while !is().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, waits).await.expect(what);
}

async fn until_ready(redis: &Redis) {
    until("it is ready", async || redis.health().is_ready()).await;
}

async fn until_down(redis: &Redis) {
    until("it is down", async || !redis.health().is_up()).await;
}
