//! Records that are deleted, lost or none of ours, and engines that do not answer: nothing is
//! missed without a word.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::revocations::{entries, entry, read_on, record, records, snapshot};
use tokio::time::{sleep, timeout};
use tower_mcp_auth::redis::Redis;
use tower_mcp_auth::store::{
    Appended, ReadOn, RevocationStore, Snapshot, StoreError, StorePosition,
};

use super::super::engine::{Cluster, Server};
use super::super::{PATIENCE, SOON, until, until_down, until_ready};
use super::{SET, STREAM, all, append, end, listening};

/// What a reader is told after this, once the engine answers again.
async fn told(redis: &Redis, from: &StorePosition) -> ReadOn {
    let answers = async {
        loop {
            match redis.read_on(from.clone()).await {
                Ok(told) => return told,
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    timeout(PATIENCE, answers).await.expect("it answers")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_reader_that_misses_deleted_entries_is_behind() {
    let ids = async |engine: &Server| -> Vec<String> {
        let entries = engine.cli(&["XRANGE", STREAM, "-", "+"]).await;
        let ids = entries.lines().filter(|line| line.contains('-'));
        ids.map(str::to_owned).collect()
    };
    // Which of five entries are deleted; the reader knows the first.
    for deleted in [&[1][..], &[2], &[4], &[1, 2, 3, 4], &[0, 1, 2, 3, 4]] {
        let engine = Server::start(&[]).await;
        let redis = engine.first_replica().await;
        let begin = end(&redis).await;
        append(&redis, [0]).await;
        let (_, position) = read_on(&redis, &begin).await;
        append(&redis, 1..5).await;
        let ids = ids(&engine).await;
        assert_eq!(ids.len(), 5);
        for place in deleted {
            engine.cli(&["XDEL", STREAM, &ids[*place]]).await;
        }
        assert_eq!(
            redis.read_on(position.clone()).await,
            Ok(ReadOn::Behind),
            "{deleted:?}"
        );
        // After a snapshot it goes on.
        let there = snapshot(&redis).await.unwrap();
        assert_eq!(there.records, records(0..5).into_iter().collect());
        append(&redis, [5]).await;
        assert_eq!(read_on(&redis, &there.position).await.0, records([5]));
        // The whole stream, also for who knew nothing before.
        engine.cli(&["DEL", STREAM]).await;
        for position in [&begin, &position, &there.position] {
            assert_eq!(redis.read_on(position.clone()).await, Ok(ReadOn::Behind));
        }
        append(&redis, [6]).await;
        for position in [&begin, &position, &there.position] {
            assert_eq!(redis.read_on(position.clone()).await, Ok(ReadOn::Behind));
        }
        assert_eq!(all(&redis).await, records(0..7).into_iter().collect());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn what_others_have_written_is_an_error_that_names_the_key() {
    let engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    append(&redis, [1]).await;
    let position = end(&redis).await;
    let good = format!("{:056}", 7);
    let names = |error: StoreError, key: &str| {
        assert!(error.to_string().contains(key), "{error}");
    };
    // Entries of the stream: nothing is skipped.
    for fields in [
        &["n", "2", "r", "short"][..],
        &["n", "two", "r", &good],
        &["r", &good, "n", "2"],
        &["n", "2"],
        &["n", "2", "r", &good, "s", "more"],
    ] {
        let words = [&["XADD", STREAM, "*"], fields].concat();
        let id = engine.cli(&words).await;
        names(redis.read_on(position.clone()).await.unwrap_err(), STREAM);
        engine.cli(&["XDEL", STREAM, &id]).await;
    }
    // One that looks like ours, and was not counted.
    let words = ["XADD", STREAM, "*", "n", "2", "r", &good];
    let id = engine.cli(&words).await;
    assert_eq!(redis.read_on(position.clone()).await, Ok(ReadOn::Behind));
    engine.cli(&["XDEL", STREAM, &id]).await;
    assert_eq!(read_on(&redis, &position).await.0, []);
    // Members of the set.
    for member in ["short", &format!("{:057}", 7)] {
        engine.cli(&["ZADD", SET, "+inf", member]).await;
        names(redis.snapshot(None).await.unwrap_err(), SET);
        engine.cli(&["ZREM", SET, member]).await;
    }
    // Keys of another type.
    engine.cli(&["RENAME", STREAM, "aside"]).await;
    engine.cli(&["SET", STREAM, "text"]).await;
    names(redis.read_on(position.clone()).await.unwrap_err(), STREAM);
    names(redis.snapshot(None).await.unwrap_err(), STREAM);
    names(redis.append(entries([2])).await.unwrap_err(), STREAM);
    engine.cli(&["RENAME", "aside", STREAM]).await;
    // The set has nothing of what was not told: who tries again finds nothing there, and is told
    // of the entry that is missing.
    assert_eq!(all(&redis).await, records([1]).into_iter().collect());
    append(&redis, [2]).await;
    assert_eq!(redis.read_on(position.clone()).await, Ok(ReadOn::Behind));
    let position = end(&redis).await;
    engine.cli(&["RENAME", SET, "aside"]).await;
    engine.cli(&["SET", SET, "text"]).await;
    names(redis.snapshot(None).await.unwrap_err(), SET);
    names(redis.append(entries([3])).await.unwrap_err(), SET);
    engine.cli(&["RENAME", "aside", SET]).await;
    assert_eq!(read_on(&redis, &position).await.0, []);
    append(&redis, [3]).await;
    assert_eq!(read_on(&redis, &position).await.0, records([3]));
    assert!(redis.health().is_ready());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn after_a_restart_records_may_be_lost_and_are_written_back() {
    for keeps in ["no", "yes"] {
        let mut engine = Server::start(&["--appendonly", keeps]).await;
        let (one, other) = (engine.first_replica().await, engine.replica().await);
        assert_eq!(snapshot(&one).await.unwrap().settles_in, Duration::ZERO);
        for first in (0..2500).step_by(500) {
            append(&one, first..first + 500).await;
        }
        let Ok(Snapshot::Part { next, .. }) = one.snapshot(None).await else {
            panic!("it has parts");
        };
        let position = end(&one).await;
        // The log is written each second.
        sleep(Duration::from_millis(1500)).await;
        engine.kill().await;
        until_down(&one).await;
        assert!(one.append(entries([1])).await.is_err());
        assert!(one.snapshot(None).await.is_err());
        assert!(one.read_on(position.clone()).await.is_err());
        engine.restart().await;
        for redis in [&one, &other] {
            assert_eq!(told(redis, &position).await, ReadOn::Lost);
        }
        // The parts of a snapshot from before are of no use.
        let error = one.snapshot(Some(next)).await.unwrap_err().to_string();
        assert!(error.contains("begin anew"), "{error}");
        let fresh = engine.replica().await;
        let there = snapshot(&fresh).await.unwrap();
        let kept = if keeps == "yes" { 2500 } else { 0 };
        assert_eq!(there.records.len(), kept);
        assert!(there.settles_in > Duration::ZERO, "{there:?}");
        assert!(there.settles_in <= Duration::from_secs(10), "{there:?}");
        // Those who know them write them back, both at once.
        for first in (0..2500).step_by(200) {
            let numbers = first..2500.min(first + 200);
            tokio::join!(append(&one, numbers.clone()), append(&other, numbers));
        }
        assert_eq!(all(&fresh).await, records(0..2500).into_iter().collect());
        let (mut read, mut position) = (0, there.position);
        while read < 2500 - kept {
            let (records, next) = read_on(&fresh, &position).await;
            read += records.len();
            position = next;
        }
        assert_eq!(read, 2500 - kept);
        until("it settles", async || {
            snapshot(&fresh).await.unwrap().settles_in == Duration::ZERO
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn an_engine_that_is_emptied_has_lost_records_and_a_new_one_has_not() {
    let engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    append(&redis, [1]).await;
    let position = end(&redis).await;
    engine.cli(&["FLUSHALL"]).await;
    assert_eq!(told(&redis, &position).await, ReadOn::Lost);
    let there = snapshot(&redis).await.unwrap();
    assert!(there.records.is_empty());
    assert!(there.settles_in > Duration::ZERO);
    // Who says that it is new, and knows better, is not believed.
    engine.cli(&["FLUSHALL"]).await;
    redis.init().await.unwrap();
    assert!(snapshot(&redis).await.unwrap().settles_in > Duration::ZERO);
    assert_eq!(told(&redis, &there.position).await, ReadOn::Lost);
    // A new one is believed at once.
    drop(redis);
    engine.cli(&["FLUSHALL"]).await;
    let new = engine.first_replica().await;
    assert_eq!(snapshot(&new).await.unwrap().settles_in, Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn without_memory_it_is_full_and_nothing_is_dropped() {
    let engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    append(&redis, [1, 2]).await;
    let position = end(&redis).await;
    engine.cli(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let replaces = vec![entry(3).with_replaced(record(1))];
    assert_eq!(redis.append(replaces).await, Ok(Appended::Full));
    assert_eq!(redis.append(entries([2, 4])).await, Ok(Appended::Full));
    append(&redis, [1, 2]).await;
    assert_eq!(all(&redis).await, records([1, 2]).into_iter().collect());
    assert_eq!(read_on(&redis, &position).await.0, []);
    assert!(redis.health().is_ready());
    engine.cli(&["CONFIG", "SET", "maxmemory", "0"]).await;
    append(&redis, [4]).await;
    assert_eq!(read_on(&redis, &position).await.0, records([4]));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn an_engine_that_stands_still_is_an_error_soon() {
    let engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    append(&redis, [1]).await;
    let position = end(&redis).await;
    engine.stop().await;
    for _ in 0..20 {
        let begun = Instant::now();
        let asked = (
            redis.append(entries([2])).await.is_err(),
            redis.snapshot(None).await.is_err(),
            redis.read_on(position.clone()).await.is_err(),
        );
        assert_eq!(asked, (true, true, true));
        assert!(begun.elapsed() < SOON * 3, "{:?}", begun.elapsed());
    }
    until_down(&redis).await;
    engine.go_on().await;
    until_ready(&redis).await;
    // It is the same process, and has lost nothing. What was asked for may have been done.
    let ReadOn::Records { records: read, .. } = told(&redis, &position).await else {
        panic!("it has lost nothing");
    };
    assert!(read.is_empty() || read == records([2]));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn without_the_second_connection_reading_goes_on() {
    let engine = Server::start(&[]).await;
    let (one, other) = (engine.first_replica().await, engine.replica().await);
    let position = Arc::new(Mutex::new(end(&other).await));
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let reader = tokio::spawn(async move {
        loop {
            let from = position.lock().unwrap().clone();
            let (records, next) = read_on(&other, &from).await;
            *position.lock().unwrap() = next;
            for found in records {
                sender.send(found).unwrap();
            }
        }
    });
    for number in 0..5 {
        until("it listens", async || listening(&engine).await == 1).await;
        let clients = engine.cli(&["CLIENT", "LIST"]).await;
        let line = clients.lines().find(|line| line.contains(" flags=b "));
        let id = line.and_then(|line| line.strip_prefix("id=")?.split(' ').next());
        engine.cli(&["CLIENT", "KILL", "ID", id.unwrap()]).await;
        append(&one, [number]).await;
        let found = timeout(PATIENCE, seen.recv()).await.unwrap();
        assert_eq!(found, Some(record(number)));
    }
    reader.abort();
    let _ = reader.await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs valkey-server"]
async fn a_fail_over_is_a_loss_and_then_it_goes_on() {
    let mut cluster = Cluster::start().await;
    let replicas = [cluster.replica().await, cluster.replica().await];
    replicas[0].init().await.unwrap();
    until_ready(&replicas[1]).await;
    append(&replicas[0], 0..500).await;
    let position = end(&replicas[1]).await;
    assert_eq!(all(&replicas[1]).await.len(), 500);
    append(&replicas[0], [500]).await;
    assert_eq!(read_on(&replicas[1], &position).await.0, records([500]));
    let primary = cluster.primary(0).await;
    cluster.nodes[primary].kill().await;
    let killed = Instant::now();
    for redis in &replicas {
        assert_eq!(told(redis, &position).await, ReadOn::Lost);
    }
    println!("lost after {:?}", killed.elapsed());
    let there = snapshot(&replicas[1]).await.unwrap();
    assert!(there.settles_in > Duration::ZERO);
    for first in (0..=500).step_by(200) {
        append(&replicas[0], first..501.min(first + 200)).await;
    }
    assert_eq!(
        all(&replicas[1]).await,
        records(0..=500).into_iter().collect()
    );
    // The second connection follows.
    let mut position = end(&replicas[1]).await;
    for number in 501..520 {
        append(&replicas[0], [number]).await;
        let (read, next) = read_on(&replicas[1], &position).await;
        assert_eq!(read, records([number]));
        position = next;
    }
    let now = cluster.primary((primary + 1) % 6).await;
    until("it listens there", async || {
        let reads = replicas[1].read_on(position.clone());
        let (_, waiting) = tokio::join!(reads, listening(&cluster.nodes[now]));
        waiting >= 1
    })
    .await;
}
