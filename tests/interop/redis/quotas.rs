//! Budgets in the engine: the script is the rule, over random histories.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::sleep;
use tower_mcp_auth::redis::Redis;
use tower_mcp_auth::store::{QuotaAnswer, QuotaCharge, QuotaLimit, QuotaStore};

use super::engine::{Cluster, Server};
use super::{key, until_ready};

const MINUTE: Duration = Duration::from_secs(60);
const HISTORIES: u32 = 12;
const STEPS: u32 = 250;

/// Numbers that look random, and are the same each time.
struct Random(u64);

impl Random {
    /// Below `most`.
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }

    fn small(&mut self, most: u32) -> u32 {
        u32::try_from(self.below(most.into())).unwrap()
    }
}

/// What the engine says of each bucket is what the rule says, by the time of the engine.
async fn is_as_the_rule(redis: &Redis) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut admitted, mut refused) = (0, 0);
    for history in 0..HISTORIES {
        let limits: Vec<QuotaLimit> = (0..6)
            .map(|_| {
                // From milliseconds, in which buckets come and go, to a day.
                let window = [3, 40, 1000, 86_400_000][usize::try_from(random.below(4)).unwrap()];
                let count = 1 + random.small(25);
                let limit = QuotaLimit::new(count, Duration::from_millis(window));
                limit
                    .and_then(|own| own.burst(1 + random.small(40)))
                    .unwrap()
            })
            .collect();
        let mut tats: HashMap<u32, Duration> = HashMap::new();
        for _ in 0..STEPS {
            if random.below(3) == 0 {
                sleep(Duration::from_micros(random.below(4000))).await;
            }
            let mut charges: Vec<(u32, u32)> = Vec::new();
            for bucket in 0..6 {
                if random.below(3) == 0 {
                    charges.push((bucket, 1 + random.small(9)));
                }
            }
            if charges.is_empty() {
                continue;
            }
            let asked = charges.iter().map(|(bucket, cost)| {
                let own = key(1000 + history * 10 + bucket);
                QuotaCharge::new(own, limits[*bucket as usize], *cost)
            });
            let answer = redis.charge(asked.collect()).await.unwrap();
            let (is_admitted, states) = match answer {
                QuotaAnswer::Admitted(states) => (true, states),
                QuotaAnswer::Refused(states) => (false, states),
                other => panic!("{other:?}"),
            };
            let now = states[0].now();
            let by_rule = charges.iter().map(|(bucket, cost)| {
                let tat = tats.get(bucket).copied().unwrap_or_default();
                limits[*bucket as usize].charge(tat, now, *cost)
            });
            let by_rule: Vec<_> = by_rule.collect();
            assert_eq!(is_admitted, by_rule.iter().all(|state| state.is_admitted()));
            for (((bucket, _), state), rule) in charges.iter().zip(&states).zip(&by_rule) {
                assert_eq!(state.now(), now);
                if is_admitted {
                    assert_eq!(state.tat(), rule.tat(), "{state:?} {rule:?}");
                    tats.insert(*bucket, rule.tat());
                } else if !rule.is_admitted() {
                    assert_eq!(state, rule);
                }
            }
            match is_admitted {
                true => admitted += 1,
                false => refused += 1,
            }
        }
    }
    println!("{admitted} admitted, {refused} refused, each as the rule says");
    assert!(admitted > 500 && refused > 500);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn the_script_is_the_rule() {
    let engine = Server::start(&[]).await;
    is_as_the_rule(&engine.first_replica().await).await;
}

#[tokio::test]
#[ignore = "needs valkey-server"]
async fn on_a_cluster_as_well() {
    let cluster = Cluster::start().await;
    let redis = cluster.replica().await;
    redis.init().await.unwrap();
    until_ready(&redis).await;
    is_as_the_rule(&redis).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_bucket_is_gone_when_it_is_full_again_and_what_is_none_is_an_error() {
    let engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    let one = |number, limit| vec![QuotaCharge::new(key(number), limit, 1)];
    let short = QuotaLimit::new(10, Duration::from_secs(1)).unwrap();
    redis.charge(one(1, short)).await.unwrap();
    let long = QuotaLimit::new(1, MINUTE).unwrap();
    redis.charge(one(2, long)).await.unwrap();
    sleep(Duration::from_millis(300)).await;
    let keys = engine.cli(&["--scan", "--pattern", "{test}:q:*"]).await;
    let keys: Vec<&str> = keys.lines().collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
    // By the engine's clock: not earlier than in a minute.
    let left: i64 = engine.cli(&["PTTL", keys[0]]).await.parse().unwrap();
    assert!((59_000..=60_002).contains(&left), "{left}");

    let asked = redis.charge(vec![]).await;
    asked.unwrap_err();
    engine.cli(&["DEL", keys[0]]).await;
    engine.cli(&["LPUSH", keys[0], "a"]).await;
    let error = redis.charge(one(2, long)).await.unwrap_err();
    assert!(error.to_string().contains("is none of ours"), "{error}");
}

/// Neither is one of its buckets believed to be full, nor is there a new one.
#[tokio::test]
#[ignore = "needs redis-server"]
async fn an_engine_that_was_made_a_replica_has_no_answer() {
    let engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    let limit = QuotaLimit::new(1, MINUTE).unwrap();
    let of = |number| redis.charge(vec![QuotaCharge::new(key(number), limit, 1)]);
    assert!(matches!(of(1).await, Ok(QuotaAnswer::Admitted(_))));
    engine.cli(&["REPLICAOF", "127.0.0.1", "1"]).await;
    for number in [1, 2] {
        of(number).await.unwrap_err();
    }
    engine.cli(&["REPLICAOF", "NO", "ONE"]).await;
    until_ready(&redis).await;
    assert!(matches!(of(1).await, Ok(QuotaAnswer::Refused(_))));
    assert!(matches!(of(2).await, Ok(QuotaAnswer::Admitted(_))));
}

/// One bucket of forty, and of each other one call, asked for by many at once while the engine
/// forgets its scripts.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn an_engine_that_forgets_its_scripts_admits_no_more() {
    let engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    let shared = QuotaLimit::new(40, MINUTE * 60).unwrap();
    let own = QuotaLimit::new(1, MINUTE).unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..400 {
        let charges = vec![
            QuotaCharge::new(key(0), shared, 1),
            QuotaCharge::new(key(1 + number), own, 1),
        ];
        let redis = redis.clone();
        calls.spawn(async move { redis.charge(charges).await });
        if number % 100 == 50 {
            engine.cli(&["SCRIPT", "FLUSH"]).await;
        }
    }
    let answers = calls.join_all().await;
    let admitted = |answer: &&_| matches!(answer, Ok(QuotaAnswer::Admitted(_)));
    assert_eq!(answers.iter().filter(admitted).count(), 40);
    let failed: Vec<_> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn without_memory_nothing_is_charged_and_what_is_there_counts() {
    let engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    let limit = QuotaLimit::new(1, MINUTE).unwrap();
    let of = |numbers: &[u32]| {
        let charges = numbers
            .iter()
            .map(|number| QuotaCharge::new(key(*number), limit, 1));
        redis.charge(charges.collect())
    };
    assert!(matches!(of(&[1]).await, Ok(QuotaAnswer::Admitted(_))));
    engine.cli(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert_eq!(of(&[2, 3]).await, Ok(QuotaAnswer::Full));
    assert!(matches!(of(&[1]).await, Ok(QuotaAnswer::Refused(_))));
    engine.cli(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert!(matches!(of(&[2, 3]).await, Ok(QuotaAnswer::Admitted(_))));
}
