//! One engine as it should be, and settings that will not do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tower_mcp_auth::Clock;
use tower_mcp_auth::redis::Redis;
use tower_mcp_auth::store::{Insertion, ReplayStore};

use super::engine::{PREFIX, Server};
use super::{HOUR, insert, key, until, until_ready, value};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn the_first_one_is_there_until_its_life_is_over() {
    let engine = Server::start(&[]).await;
    let (one, other) = (engine.first_replica().await, engine.replica().await);
    assert_eq!(one.get(key(1)).await, Ok(None));
    assert_eq!(insert(&one, 1, 1).await, Ok(Insertion::Inserted));
    for redis in [&one, &other] {
        assert_eq!(insert(redis, 1, 2).await, Ok(Insertion::Present(value(1))));
        assert_eq!(redis.get(key(1)).await, Ok(Some(value(1))));
    }
    let short = Duration::from_millis(200);
    let inserted = one.insert_if_absent(key(2), value(1), short).await;
    assert_eq!(inserted, Ok(Insertion::Inserted));
    sleep(short * 2).await;
    assert_eq!(other.get(key(2)).await, Ok(None));
    assert_eq!(insert(&other, 2, 2).await, Ok(Insertion::Inserted));
    for life in [Duration::ZERO, Duration::MAX] {
        let inserted = one.insert_if_absent(key(3), value(1), life).await;
        assert_eq!(inserted, Ok(Insertion::Inserted));
        sleep(Duration::from_millis(5)).await;
    }
    let keys = engine.cli(&["KEYS", "*"]).await;
    assert_eq!(keys.lines().count(), 4, "{keys}");
    let begins = format!("{{{PREFIX}}}:");
    assert!(keys.lines().all(|key| key.starts_with(&begins)), "{keys}");
    // Each of them says since when everything is known.
    assert_eq!(one.complete_since(), other.complete_since());
    assert!(one.complete_since() > Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn of_many_at_once_one_is_first_and_every_watcher_learns_of_it() {
    let engine = Server::start(&[]).await;
    let replicas = [engine.first_replica().await, engine.replica().await];
    for number in 0..30 {
        let watch = |redis: &Redis| tokio::spawn(Arc::new(redis.clone()).watch(key(number)));
        let watchers: Vec<_> = replicas.iter().map(watch).collect();
        let tasks: Vec<_> = (0..4)
            .map(|own| {
                let redis = replicas[usize::from(own) % 2].clone();
                tokio::spawn(async move { (own, insert(&redis, number, own).await.unwrap()) })
            })
            .collect();
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap());
        }
        let first = answers.iter().filter(|(_, a)| *a == Insertion::Inserted);
        let [(winner, _)] = first.collect::<Vec<_>>()[..] else {
            panic!("{answers:?}");
        };
        let present = Insertion::Present(value(*winner));
        let others = answers.iter().filter(|(own, _)| own != winner);
        assert!(others.into_iter().all(|(_, a)| *a == present));
        for watcher in watchers {
            timeout(Duration::from_secs(3), watcher)
                .await
                .unwrap()
                .unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_question_is_one_round_trip_and_streams_are_few() {
    const STREAMS: u32 = 10_000;
    let engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    let before = engine.scripts_run().await;
    let begun = Instant::now();
    for number in 0..1000 {
        assert_eq!(insert(&redis, number, 1).await, Ok(Insertion::Inserted));
    }
    println!("one question: {:?}", begun.elapsed() / 1000);
    let asked = engine.scripts_run().await - before;
    assert!((1000..1010).contains(&asked), "{asked}");

    let watch = |number| tokio::spawn(Arc::new(redis.clone()).watch(key(number + 10_000)));
    let watchers: Vec<_> = (0..STREAMS).map(watch).collect();
    sleep(Duration::from_secs(2)).await;
    let before = engine.scripts_run().await;
    let begun = Instant::now();
    sleep(Duration::from_secs(5)).await;
    let asked = (engine.scripts_run().await - before) as f64 / begun.elapsed().as_secs_f64();
    println!("{STREAMS} streams: {asked:.1} questions a second");
    assert!(asked < 15.0, "{asked}");
    // By another replica, so that no wait ends but by the question.
    let other = engine.replica().await;
    assert_eq!(insert(&other, 15_000, 1).await, Ok(Insertion::Inserted));
    let begun = Instant::now();
    until("it is found", async || watchers[5000].is_finished()).await;
    println!("found after {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(2));
    let found = watchers.iter().filter(|watcher| watcher.is_finished());
    assert_eq!(found.count(), 1);
    watchers.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn an_engine_is_told_once_that_it_is_new() {
    let engine = Server::start(&[]).await;
    let redis = engine.replica().await;
    assert!(redis.health().is_up());
    assert!(!redis.health().is_ready());
    assert_eq!(redis.health().is_persistent(), Some(false));
    let refused = insert(&redis, 1, 1).await.unwrap_err().to_string();
    assert!(refused.contains("Redis::init"), "{refused}");
    // Others see it by themselves.
    let other = engine.first_replica().await;
    until_ready(&redis).await;
    assert_eq!(insert(&redis, 1, 1).await, Ok(Insertion::Inserted));
    let since = redis.complete_since();
    other.init().await.unwrap();
    assert_eq!(insert(&other, 1, 2).await, Ok(Insertion::Present(value(1))));
    assert_eq!(other.complete_since(), since);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn an_engine_that_drops_records_is_refused() {
    let engine = Server::start(&["--maxmemory-policy", "allkeys-lru"]).await;
    let refused = Redis::builder(&engine.url()).prefix(PREFIX).connect().await;
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("set `maxmemory-policy noeviction`"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_database_that_the_engine_does_not_have_is_refused() {
    let engine = Server::start(&[]).await;
    let url = format!("{}/99", engine.url());
    let refused = Redis::builder(&url).prefix(PREFIX).connect().await;
    let error = refused.unwrap_err();
    assert_eq!(error.setting(), "url");
    assert!(error.to_string().contains("database 99"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn without_memory_no_new_caller_is_first_and_nothing_is_dropped() {
    let engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    assert_eq!(insert(&redis, 1, 1).await, Ok(Insertion::Inserted));
    engine.cli(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert_eq!(insert(&redis, 2, 1).await, Ok(Insertion::Full));
    assert_eq!(insert(&redis, 1, 2).await, Ok(Insertion::Present(value(1))));
    assert_eq!(redis.get(key(1)).await, Ok(Some(value(1))));
    assert!(redis.health().is_ready());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn what_others_have_written_is_an_error() {
    let engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    assert_eq!(insert(&redis, 1, 1).await, Ok(Insertion::Inserted));
    let keys = engine.cli(&["KEYS", "*:r:*"]).await;
    engine.cli(&["SET", &keys, "short"]).await;
    assert!(insert(&redis, 1, 1).await.is_err());
    engine.cli(&["DEL", &keys]).await;
    engine.cli(&["LPUSH", &keys, "a", "b"]).await;
    assert!(insert(&redis, 1, 1).await.is_err());
    assert!(redis.get(key(1)).await.is_err());
    assert_eq!(insert(&redis, 2, 1).await, Ok(Insertion::Inserted));
    // Scripts that are flushed are there again.
    engine.cli(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(insert(&redis, 2, 2).await, Ok(Insertion::Present(value(1))));
    for since in ["nonsense", "-1", "99999999999999"] {
        let marker = format!("{{{PREFIX}}}:epoch");
        engine.cli(&["HSET", &marker, "since", since]).await;
        assert!(redis.get(key(2)).await.is_err(), "{since}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn clocks_that_differ_are_an_error() {
    let engine = Server::start(&[]).await;
    drop(engine.first_replica().await);
    let clock = Clock::manual(Clock::system().now());
    let builder = Redis::builder(&engine.url()).prefix(PREFIX);
    let redis = builder.clock(clock.clone()).connect().await.unwrap();
    assert_eq!(insert(&redis, 1, 1).await, Ok(Insertion::Inserted));
    clock.set_wall(Clock::system().now() - Duration::from_secs(35));
    let refused = insert(&redis, 1, 1).await.unwrap_err().to_string();
    assert!(refused.contains("clocks"), "{refused}");
    until("it says so", async || {
        let health = redis.health();
        health.error().is_some_and(|error| error.contains("clocks"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn the_connection_ends_with_the_last_handle() {
    let engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    let clients = async || engine.cli(&["CLIENT", "LIST"]).await.lines().count();
    assert_eq!(clients().await, 2);
    let clone = redis.clone();
    drop(redis);
    assert_eq!(
        clone.insert_if_absent(key(1), value(1), HOUR).await,
        Ok(Insertion::Inserted)
    );
    drop(clone);
    until("it ends", async || clients().await == 1).await;
}
