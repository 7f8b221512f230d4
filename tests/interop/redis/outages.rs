//! What happens to engines, and that nothing is believed that may have been lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tower_mcp_auth::Clock;
use tower_mcp_auth::redis::Redis;
use tower_mcp_auth::store::{Insertion, ReplayStore};

use super::engine::{Cluster, PREFIX, Server};
use super::{insert, key, until, until_down, until_ready, value};

/// While it is down each question fails, soon, and after two seconds at once.
async fn assert_down(redis: &Redis) {
    until_down(redis).await;
    for _ in 0..20 {
        let begun = Instant::now();
        let refused = redis.get(key(1)).await.unwrap_err().to_string();
        assert!(refused.contains("down"), "{refused}");
        assert!(begun.elapsed() < Duration::from_millis(500));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn after_a_restart_nothing_from_before_is_believed() {
    for arguments in [&["--appendonly", "no"], &["--appendonly", "yes"]] {
        let mut engine = Server::start(arguments).await;
        let (one, other) = (engine.first_replica().await, engine.replica().await);
        let keeps = arguments[1] == "yes";
        assert_eq!(one.health().is_persistent(), Some(keeps));
        assert_eq!(insert(&one, 1, 1).await, Ok(Insertion::Inserted));
        // The log is written each second.
        sleep(Duration::from_millis(1500)).await;
        let before = one.complete_since();
        let watch = tokio::spawn(Arc::new(other.clone()).watch(key(2)));
        engine.kill().await;
        assert!(insert(&one, 1, 1).await.is_err());
        assert_down(&one).await;
        let now = Clock::system().now();
        engine.restart().await;
        for redis in [&one, &other] {
            until_ready(redis).await;
            assert!(redis.complete_since() > before);
            assert!(redis.complete_since() > now);
            assert!(redis.complete_since() < now + Duration::from_secs(90));
        }
        assert_eq!(one.complete_since(), other.complete_since());
        let there = keeps.then(|| value(1));
        assert_eq!(one.get(key(1)).await, Ok(there));
        // What was watched may have been there.
        until("the watch ends", async || watch.is_finished()).await;
        // One that starts now is told the same, where there is a marker.
        let fresh = engine.replica().await;
        assert!(fresh.health().is_ready());
        assert_eq!(fresh.complete_since(), one.complete_since());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_fresh_process_at_an_engine_that_lost_everything_waits() {
    let mut engine = Server::start(&[]).await;
    drop(engine.first_replica().await);
    engine.kill().await;
    engine.restart().await;
    let redis = engine.replica().await;
    assert!(insert(&redis, 1, 1).await.is_err());
    sleep(Duration::from_millis(1500)).await;
    assert!(!redis.health().is_ready());
    redis.init().await.unwrap();
    assert_eq!(insert(&redis, 1, 1).await, Ok(Insertion::Inserted));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn an_engine_that_is_emptied_has_lost_its_records() {
    let engine = Server::start(&[]).await;
    let replicas = [engine.first_replica().await, engine.replica().await];
    assert_eq!(insert(&replicas[0], 1, 1).await, Ok(Insertion::Inserted));
    let before = replicas[0].complete_since();
    engine.cli(&["FLUSHALL"]).await;
    for redis in &replicas {
        // Either it is told, or another replica was, and the answer says so.
        if insert(redis, 1, 2).await.is_ok() {
            assert!(redis.complete_since() > before);
        }
        until_ready(redis).await;
        until("it moves", async || redis.complete_since() > before).await;
    }
    engine.cli(&["FLUSHALL"]).await;
    // One of them writes the marker again within a second; a fresh one does not.
    until("it is ready", async || {
        engine
            .cli(&["EXISTS", &format!("{{{PREFIX}}}:epoch")])
            .await
            == "1"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn an_engine_that_stands_still_is_down_after_two_seconds() {
    let engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    assert_eq!(insert(&redis, 1, 1).await, Ok(Insertion::Inserted));
    let since = redis.complete_since();
    engine.stop().await;
    let begun = Instant::now();
    let mut asked = 0;
    while redis.health().is_up() {
        assert!(insert(&redis, 2, 1).await.is_err());
        asked += 1;
    }
    let down = begun.elapsed();
    println!("down after {down:?} and {asked} questions");
    assert!((1..30).contains(&asked));
    assert!(down < Duration::from_secs(6), "{down:?}");
    assert_down(&redis).await;
    sleep(Duration::from_secs(3)).await;
    assert_down(&redis).await;
    engine.go_on().await;
    until_ready(&redis).await;
    // It is the same process, and has lost nothing.
    assert_eq!(redis.complete_since(), since);
    assert_eq!(insert(&redis, 1, 2).await, Ok(Insertion::Present(value(1))));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_clock_that_goes_ahead_ends_records_too_early() {
    let engine = Server::start(&[]).await;
    drop(engine.first_replica().await);
    // The clock of the server stands still, so that of the engine goes ahead.
    let clock = Clock::manual(Clock::system().now());
    let builder = Redis::builder(&engine.url()).prefix(PREFIX).clock(clock);
    let redis = builder.connect().await.unwrap();
    assert_eq!(insert(&redis, 1, 1).await, Ok(Insertion::Inserted));
    let before = redis.complete_since();
    engine.stop().await;
    sleep(Duration::from_secs(6)).await;
    engine.go_on().await;
    until("it moves", async || redis.complete_since() > before).await;
    until_ready(&redis).await;
    assert_eq!(insert(&redis, 1, 2).await, Ok(Insertion::Present(value(1))));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn an_answer_from_before_the_machine_stood_still_is_none() {
    let engine = Server::start(&[]).await;
    drop(engine.first_replica().await);
    let clock = Clock::manual(Clock::system().now());
    let builder = Redis::builder(&engine.url()).prefix(PREFIX);
    let builder = builder.timeout(Duration::from_secs(2));
    let redis = builder.clock(clock.clone()).connect().await.unwrap();
    engine.stop().await;
    let asked = {
        let redis = redis.clone();
        tokio::spawn(async move { redis.insert_if_absent(key(1), value(1), super::HOUR).await })
    };
    sleep(Duration::from_millis(100)).await;
    clock.advance(Duration::from_secs(4));
    engine.go_on().await;
    let refused = asked.await.unwrap().unwrap_err().to_string();
    assert!(refused.contains("old"), "{refused}");
    until("it is asked again", async || {
        redis.get(key(1)).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_clock_that_goes_too_far_ahead_and_is_set_right_again_has_ended_records() {
    let engine = Server::start(&[]).await;
    drop(engine.first_replica().await);
    // The clock of the server stands still, and is late.
    let now = Clock::system().now();
    let clock = Clock::manual(now - Duration::from_secs(26));
    let builder = Redis::builder(&engine.url()).prefix(PREFIX);
    let redis = builder.clock(clock.clone()).connect().await.unwrap();
    assert_eq!(insert(&redis, 1, 1).await, Ok(Insertion::Inserted));
    let before = redis.complete_since();
    engine.stop().await;
    sleep(Duration::from_secs(6)).await;
    engine.go_on().await;
    until("clocks differ", async || {
        let health = redis.health();
        health.error().is_some_and(|error| error.contains("clocks"))
    })
    .await;
    assert_eq!(redis.complete_since(), before);
    clock.set_wall(Clock::system().now());
    until_ready(&redis).await;
    assert!(redis.complete_since() > before);
}

/// A way to the engine that takes this long for each piece, or, once it is cut, for ever.
pub(super) async fn slow_way(port: u16, delay: Duration, cut: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let cut = Arc::clone(&cut);
            tokio::spawn(async move {
                let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = far.into_split();
                let pass = |mut from: tokio::net::tcp::OwnedReadHalf,
                            mut to: tokio::net::tcp::OwnedWriteHalf,
                            delay: Duration| {
                    let cut = Arc::clone(&cut);
                    async move {
                        let mut buffer = vec![0; 65_536];
                        while let Ok(read @ 1..) = from.read(&mut buffer).await {
                            sleep(delay).await;
                            if cut.load(Ordering::SeqCst) {
                                std::future::pending::<()>().await;
                            }
                            if to.write_all(&buffer[..read]).await.is_err() {
                                return;
                            }
                        }
                    }
                };
                tokio::join!(
                    pass(near_in, far_out, Duration::ZERO),
                    pass(far_in, near_out, delay)
                );
            });
        }
    });
    own
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_way_that_is_cut_keeps_no_request() {
    let engine = Server::start(&[]).await;
    drop(engine.first_replica().await);
    let cut = Arc::new(AtomicBool::new(false));
    let port = slow_way(engine.port, Duration::ZERO, Arc::clone(&cut)).await;
    let builder = Redis::builder(&format!("redis://127.0.0.1:{port}")).prefix(PREFIX);
    let redis = builder.connect().await.unwrap();
    assert_eq!(insert(&redis, 1, 1).await, Ok(Insertion::Inserted));
    cut.store(true, Ordering::SeqCst);
    assert!(insert(&redis, 2, 1).await.is_err());
    assert_down(&redis).await;
    // The old connection never speaks again: there is another one.
    cut.store(false, Ordering::SeqCst);
    until_ready(&redis).await;
    assert_eq!(insert(&redis, 1, 2).await, Ok(Insertion::Present(value(1))));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn an_engine_that_is_slow_for_ever_is_down() {
    let engine = Server::start(&[]).await;
    drop(engine.first_replica().await);
    let delay = Duration::from_millis(300);
    let port = slow_way(engine.port, delay, Arc::default()).await;
    let builder = Redis::builder(&format!("redis://127.0.0.1:{port}")).prefix(PREFIX);
    let redis = builder.connect().await.unwrap();
    assert!(insert(&redis, 1, 1).await.is_err());
    assert_down(&redis).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn an_engine_that_is_far_away_is_up() {
    let engine = Server::start(&["--requirepass", "far"]).await;
    let delay = Duration::from_millis(120);
    let port = slow_way(engine.port, delay, Arc::default()).await;
    let builder = Redis::builder(&format!("redis://:far@127.0.0.1:{port}")).prefix(PREFIX);
    let redis = builder.connect().await.unwrap();
    let health = redis.health();
    assert!(health.is_up(), "{health:?}");
    redis.init().await.unwrap();
    assert_eq!(insert(&redis, 1, 1).await, Ok(Insertion::Inserted));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_primary_that_was_made_a_replica_is_not_believed() {
    let engines = [Server::start(&[]).await, Server::start(&[]).await];
    let [first, second] = &engines;
    let follow = |leader: &Server| {
        [
            "REPLICAOF".to_owned(),
            "127.0.0.1".into(),
            leader.port.to_string(),
        ]
    };
    let words = follow(first);
    second.cli(&words.each_ref().map(String::as_str)).await;
    let builder = || {
        Redis::builder(&first.url())
            .node(&second.url())
            .prefix(PREFIX)
    };
    let redis = builder().connect().await.unwrap();
    redis.init().await.unwrap();
    assert_eq!(insert(&redis, 1, 1).await, Ok(Insertion::Inserted));
    until("it is copied", async || {
        second.cli(&["DBSIZE"]).await == "2"
    })
    .await;
    let before = redis.complete_since();
    second.cli(&["REPLICAOF", "NO", "ONE"]).await;
    let words = follow(second);
    first.cli(&words.each_ref().map(String::as_str)).await;
    until("it moves", async || {
        let answer = redis.get(key(1)).await;
        answer.is_err() || redis.complete_since() > before
    })
    .await;
    until("the other one is asked", async || {
        redis.get(key(1)).await == Ok(Some(value(1))) && redis.complete_since() > before
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_primary_that_was_a_replica_for_a_while_is_not_believed() {
    let engines = [Server::start(&[]).await, Server::start(&[]).await];
    let [first, second] = &engines;
    let (leader, stand_in) = (first.port.to_string(), second.port.to_string());
    second.cli(&["REPLICAOF", "127.0.0.1", &leader]).await;
    let redis = first.first_replica().await;
    let copied = async || second.cli(&["DBSIZE"]).await == "1";
    until("the marker is copied", copied).await;
    // What is written now is not copied any more.
    second.cli(&["REPLICAOF", "NO", "ONE"]).await;
    assert_eq!(insert(&redis, 1, 1).await, Ok(Insertion::Inserted));
    let before = redis.complete_since();
    first.cli(&["REPLICAOF", "127.0.0.1", &stand_in]).await;
    until("it has the data of the other", async || {
        let told = first.cli(&["INFO", "replication"]).await;
        told.contains("master_link_status:up")
    })
    .await;
    until("it is refused", async || redis.get(key(1)).await.is_err()).await;
    first.cli(&["REPLICAOF", "NO", "ONE"]).await;
    until("it is asked again", async || {
        redis.get(key(1)).await.is_ok()
    })
    .await;
    assert_eq!(redis.get(key(1)).await, Ok(None));
    assert!(redis.complete_since() > before);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn an_engine_that_was_left_is_not_believed_when_it_is_back() {
    let mut engines = [Server::start(&[]).await, Server::start(&[]).await];
    for engine in &engines {
        drop(engine.first_replica().await);
    }
    let builder = Redis::builder(&engines[0].url()).node(&engines[1].url());
    let builder = builder.timeout(Duration::from_secs(1));
    let redis = builder.prefix(PREFIX).connect().await.unwrap();
    assert_eq!(insert(&redis, 1, 1).await, Ok(Insertion::Inserted));
    let at_first = redis.complete_since();
    // Both are primaries. The second has its marker from before the first was left.
    engines[0].stop().await;
    until("the other one is asked", async || {
        redis.get(key(1)).await == Ok(None)
    })
    .await;
    let at_second = redis.complete_since();
    assert!(at_second > at_first);
    assert_eq!(insert(&redis, 2, 1).await, Ok(Insertion::Inserted));
    engines[0].go_on().await;
    engines[1].kill().await;
    until("the first one is asked", async || {
        redis.get(key(2)).await == Ok(None)
    })
    .await;
    assert!(redis.complete_since() > at_second);
}

/// Two replicas of a server claim each key, one after the other. A claim counts if what it claims
/// was begun when the store knew everything, by what the store says afterwards.
async fn claims(redis: &Redis, number: u32, own: u8, begun: Duration) -> Option<bool> {
    let asked = Instant::now();
    let answer = redis
        .insert_if_absent(key(number), value(own), super::HOUR)
        .await;
    assert!(asked.elapsed() < super::SOON * 2, "{:?}", asked.elapsed());
    if begun < redis.complete_since() {
        return None;
    }
    match answer {
        Ok(Insertion::Inserted) => Some(true),
        Ok(Insertion::Present(there)) => Some(there == value(own)),
        Ok(other) => panic!("{other:?}"),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs valkey-server"]
async fn no_claim_is_undone_by_a_fail_over() {
    let mut cluster = Cluster::start().await;
    let replicas = [cluster.replica().await, cluster.replica().await];
    replicas[0].init().await.unwrap();
    until_ready(&replicas[1]).await;
    let before = replicas[0].complete_since();
    let stops = Arc::new(AtomicBool::new(false));
    let flood = {
        let (replicas, stops) = (replicas.clone(), Arc::clone(&stops));
        tokio::spawn(async move {
            // What each key was begun at, and who has it.
            let mut begun: Vec<Duration> = Vec::new();
            let mut owners: Vec<Option<u8>> = Vec::new();
            let mut refused = 0;
            while !stops.load(Ordering::SeqCst) {
                let number = u32::try_from(begun.len()).unwrap();
                let by = &replicas[begun.len() % 2];
                begun.push(Clock::system().now().max(by.complete_since()));
                owners.push(None);
                // This one, and one of those before, by both.
                for (at, own) in [(number, 1), (number, 2), (number / 2, 1), (number / 2, 2)] {
                    let place = at as usize;
                    let redis = &replicas[usize::from(own) % 2];
                    match claims(redis, at, own, begun[place]).await {
                        Some(true) => {
                            let owner = owners[place].get_or_insert(own);
                            assert_eq!(*owner, own, "{at} has two owners");
                        }
                        Some(false) => assert_ne!(owners[place], Some(own), "{at} is lost"),
                        None => refused += 1,
                    }
                }
                sleep(Duration::from_millis(1)).await;
            }
            (owners.iter().flatten().count(), owners.len(), refused)
        })
    };
    sleep(Duration::from_secs(1)).await;
    let primary = cluster.primary(0).await;
    let observer = (primary + 1) % 6;
    cluster.nodes[primary].kill().await;
    let killed = Instant::now();
    until("another one has the keys", async || {
        cluster.primary(observer).await != primary
    })
    .await;
    for redis in &replicas {
        until("it moves", async || redis.complete_since() > before).await;
        until_ready(redis).await;
    }
    println!("failed over after {:?}", killed.elapsed());
    sleep(Duration::from_secs(1)).await;
    stops.store(true, Ordering::SeqCst);
    let (owned, all, refused) = flood.await.unwrap();
    println!("{owned} of {all} have an owner, {refused} questions were refused");
    assert!(owned > 100 && refused > 0);
    // The old one comes back as a replica of the new one, and changes nothing.
    let since = replicas[0].complete_since();
    cluster.nodes[primary].restart().await;
    sleep(Duration::from_secs(2)).await;
    for redis in &replicas {
        until_ready(redis).await;
        assert_eq!(redis.complete_since(), since);
    }
}
