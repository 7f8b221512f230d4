//! Revocations on real engines: what is added is told and kept.

mod losses;
mod replicas;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::revocations::{
    BOUND, entries, entry, keeps_its_promises, read_on, record, records, snapshot,
};
use tokio::time::{sleep, timeout};
use tower_mcp_auth::Clock;
use tower_mcp_auth::redis::Redis;
use tower_mcp_auth::store::{
    Appended, ReadOn, RevocationEntry, RevocationRecord, RevocationStore, StorePosition,
};

use super::engine::{PREFIX, Server};
use super::{PATIENCE, until};

const SET: &str = "{test}:v";
const STREAM: &str = "{test}:vs";

async fn append(redis: &Redis, numbers: impl IntoIterator<Item = u32>) {
    let added = redis.append(entries(numbers)).await;
    assert_eq!(added, Ok(Appended::Appended));
}

async fn all(redis: &Redis) -> BTreeSet<RevocationRecord> {
    snapshot(redis).await.expect("it answers").records
}

async fn end(redis: &Redis) -> StorePosition {
    snapshot(redis).await.expect("it answers").position
}

/// Connections that wait for something.
async fn listening(engine: &Server) -> usize {
    let clients = engine.cli(&["CLIENT", "LIST"]).await;
    let waits = clients.lines().filter(|line| line.contains(" flags=b "));
    waits.count()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn an_engine_keeps_its_promises() {
    let engine = Server::start(&[]).await;
    drop(engine.first_replica().await);
    let builder = Redis::builder(&engine.url()).prefix(PREFIX);
    let builder = builder.timeout(Duration::from_secs(1));
    let redis = builder.max_revocations(BOUND).connect().await.unwrap();
    keeps_its_promises(&redis).await;
    // The least room counts where replicas differ.
    let other = engine.replica().await;
    append(&other, [20]).await;
    assert_eq!(redis.append(entries([21])).await, Ok(Appended::Full));
    append(&redis, [20, 8]).await;
    let many = redis.append(entries(0..1001)).await.unwrap_err();
    assert!(many.to_string().contains("1000"), "{many}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn what_one_replica_adds_another_reads_at_once_and_in_order() {
    const COUNT: u32 = 1000;
    let engine = Server::start(&[]).await;
    let (one, other) = (engine.first_replica().await, engine.replica().await);
    let mut position = end(&other).await;
    // A second connection is opened for who reads on.
    position = read_on(&other, &position).await.1;
    until("it listens", async || {
        // As long as it reads: the connection waits no longer than the reader.
        let (_, waiting) = tokio::join!(other.read_on(position.clone()), listening(&engine));
        waiting == 1
    })
    .await;
    let before = engine.scripts_run().await;
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let reader = tokio::spawn(async move {
        let mut read = 0;
        while read < COUNT {
            let (records, next) = read_on(&other, &position).await;
            position = next;
            for found in records {
                read += 1;
                sender.send((found, Instant::now())).unwrap();
            }
        }
        // Nothing more is told.
        assert_eq!(read_on(&other, &position).await.0, []);
    });
    let mut delays = Vec::new();
    for number in 0..COUNT {
        append(&one, [number]).await;
        let added = Instant::now();
        let (found, at) = timeout(PATIENCE, seen.recv()).await.unwrap().unwrap();
        assert_eq!(found, record(number));
        delays.push(at.saturating_duration_since(added));
    }
    reader.await.unwrap();
    delays.sort_unstable();
    let asked = engine.scripts_run().await - before;
    println!(
        "read {:?} after it was added (median), {:?} (p99), {:?} at most; {asked} questions",
        delays[500], delays[990], delays[999]
    );
    // Who is not woken asks five times a second.
    assert!(delays[500] < Duration::from_millis(100));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn who_reads_on_asks_twice_a_second_and_two_share_a_connection() {
    let engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    append(&redis, [1]).await;
    let position = end(&redis).await;
    let clients = async || engine.cli(&["CLIENT", "LIST"]).await.lines().count();
    assert_eq!(clients().await, 2);
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (redis, mut position) = (redis.clone(), position.clone());
            tokio::spawn(async move {
                loop {
                    let (records, next) = read_on(&redis, &position).await;
                    position = next;
                    if records == [record(2)] {
                        return;
                    }
                }
            })
        })
        .collect();
    until("it listens", async || listening(&engine).await == 1).await;
    let before = engine.scripts_run().await;
    let begun = Instant::now();
    sleep(Duration::from_secs(5)).await;
    let asked = (engine.scripts_run().await - before) as f64 / begun.elapsed().as_secs_f64();
    println!("two readers: {asked:.1} questions a second");
    // Two each, and the probe.
    assert!(asked < 8.0, "{asked}");
    assert_eq!(clients().await, 3);
    append(&redis, [2]).await;
    for reader in readers {
        timeout(PATIENCE, reader).await.unwrap().unwrap();
    }
    // It is closed after its last reader, and opened again for the next one.
    until("it is closed", async || clients().await == 2).await;
    until("it is there again", async || {
        let _ = redis.read_on(end(&redis).await).await;
        listening(&engine).await == 1
    })
    .await;
    drop(redis);
    until("both end with the last handle", async || {
        clients().await == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_snapshot_in_parts_has_everything_while_others_add_and_replace() {
    const COUNT: u32 = 50_000;
    let engine = Server::start(&[]).await;
    let (one, other) = (engine.first_replica().await, engine.replica().await);
    for first in (0..COUNT).step_by(200) {
        append(&one, first..first + 200).await;
    }
    println!(
        "a record takes {} bytes, an entry of the stream {}",
        bytes_of(&engine, SET).await / COUNT as usize,
        bytes_of(&engine, STREAM).await / 10_000,
    );
    let (stops, last) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU32::new(0)),
    );
    let adds = {
        let (stops, last) = (Arc::clone(&stops), Arc::clone(&last));
        tokio::spawn(async move {
            for number in 0.. {
                // One in ten that was there is replaced by a new one.
                let own = COUNT + number;
                let older = record(number * 10 % COUNT);
                let added = one.append(vec![entry(own).with_replaced(older)]).await;
                assert_eq!(added, Ok(Appended::Appended));
                last.store(number, Ordering::SeqCst);
                if stops.load(Ordering::SeqCst) || number == 4999 {
                    return number;
                }
            }
            unreachable!("it stops");
        })
    };
    until("others add", async || last.load(Ordering::SeqCst) > 10).await;
    let begun = Instant::now();
    let whole = snapshot(&other).await.unwrap();
    println!("{} parts in {:?}", whole.parts, begun.elapsed());
    assert!(whole.parts > 40, "{}", whole.parts);
    stops.store(true, Ordering::SeqCst);
    let number = adds.await.unwrap();
    // With what came since, nothing is missing.
    let mut known = whole.records;
    let mut position = whole.position;
    loop {
        let (records, next) = read_on(&other, &position).await;
        if records.is_empty() {
            break;
        }
        known.extend(records);
        position = next;
    }
    let replaced: BTreeSet<u32> = (0..=number).map(|number| number * 10 % COUNT).collect();
    for wanted in (0..=COUNT + number).filter(|wanted| !replaced.contains(wanted)) {
        assert!(known.contains(&record(wanted)), "{wanted} is missing");
    }
    assert_eq!(
        all(&other).await.len(),
        COUNT as usize + 1 + number as usize - replaced.len()
    );
}

async fn bytes_of(engine: &Server, key: &str) -> usize {
    let bytes = engine.cli(&["MEMORY", "USAGE", key, "SAMPLES", "0"]).await;
    bytes.parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_record_is_kept_until_its_latest_end_and_those_that_ended_make_room() {
    let engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    let until_end = |number, end| RevocationEntry::new(record(number), Some(end));
    let seconds = Duration::from_secs;
    let now = Clock::system().now();
    let text = format!("{:056}", 1);
    let score = async || engine.cli(&["ZSCORE", SET, &text]).await;
    let far = now.as_secs() + 1000;
    for (end, wanted) in [
        (Some(seconds(far)), far.to_string()),
        (Some(seconds(far - 500)), far.to_string()),
        // It is not cut short.
        (
            Some(seconds(far + 1) + Duration::from_nanos(1)),
            (far + 2).to_string(),
        ),
        (Some(Duration::MAX), "inf".to_owned()),
        (Some(seconds(far)), "inf".to_owned()),
        (None, "inf".to_owned()),
    ] {
        let added = redis
            .append(vec![RevocationEntry::new(record(1), end)])
            .await;
        assert_eq!(added, Ok(Appended::Appended));
        assert_eq!(score().await, wanted);
    }
    let soon = seconds(now.as_secs() + 3);
    for first in [1000, 1500] {
        let brief = (first..first + 500).map(|number| until_end(number, soon));
        assert_eq!(redis.append(brief.collect()).await, Ok(Appended::Appended));
    }
    assert_eq!(all(&redis).await.len(), 1001);
    until("they have ended", async || all(&redis).await.len() == 1).await;
    // They are still there, and a few of them are removed with each call.
    let there = async || -> usize { engine.cli(&["ZCARD", SET]).await.parse().unwrap() };
    assert_eq!(there().await, 1001);
    append(&redis, [2]).await;
    assert_eq!(there().await, 1001 + 1 - 101);
    // One that has ended is new when it comes again.
    let position = end(&redis).await;
    append(&redis, [1999]).await;
    assert_eq!(read_on(&redis, &position).await.0, records([1999]));
    assert_eq!(
        all(&redis).await,
        records([1, 2, 1999]).into_iter().collect()
    );
    // They take no room, and never pile up.
    let builder = Redis::builder(&engine.url()).prefix(PREFIX);
    let small = builder.max_revocations(500).connect().await.unwrap();
    append(&small, 3000..3400).await;
    assert_eq!(small.append(entries(4000..4100)).await, Ok(Appended::Full));
    append(&small, 4000..4050).await;
    append(&small, 5000..5010).await;
    append(&small, [1]).await;
    assert_eq!(there().await, all(&small).await.len());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn who_is_away_for_longer_than_the_stream_remembers_is_behind() {
    let engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    append(&redis, [0]).await;
    let position = end(&redis).await;
    for first in (1..10_001).step_by(200) {
        append(&redis, first..first + 200).await;
    }
    // Long enough for a reader of parts.
    let (mut at, mut read) = (position.clone(), Vec::new());
    while read.len() < 10_000 {
        let (records, next) = read_on(&redis, &at).await;
        assert_eq!(records.len(), 1000);
        read.extend(records);
        at = next;
    }
    assert_eq!(read, records(1..10_001));
    for first in (10_001..11_001).step_by(200) {
        append(&redis, first..first + 200).await;
    }
    assert_eq!(redis.read_on(position).await, Ok(ReadOn::Behind));
    assert_eq!(all(&redis).await.len(), 11_001);
}
