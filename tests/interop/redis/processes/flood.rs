//! A flood of revocations and of claims, in the middle of which the engine is stopped, killed, cut off,
//! restarted, and failed over: no revoked token is let in, and nothing has two first ones.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::task::JoinHandle;

use super::super::engine::Cluster;
use super::super::outages::slow_way;
use super::*;

/// For how long at most a replica may go on by what it knows: an engine is down after 2 seconds
/// without an answer. The rest is for a machine that does much else.
const BOUND: Duration = Duration::from_secs(4);

#[derive(Default)]
struct Flood {
    ends: AtomicBool,
    /// When what was revoked was acknowledged.
    revoked: Mutex<Vec<(usize, Instant)>>,
    /// When what is claimed was begun, and who has it.
    claimed: Mutex<HashMap<u32, (Duration, Option<u8>)>>,
    served: AtomicUsize,
    refused: AtomicUsize,
    unavailable: AtomicUsize,
    claims: AtomicUsize,
}

impl Flood {
    fn is_over(&self) -> bool {
        self.ends.load(Ordering::SeqCst)
    }

    /// Revokes one token after the other, each at another replica.
    async fn revoke(&self, replicas: &[Arc<Replica>; 3]) {
        for number in 0.. {
            if self.is_over() {
                return;
            }
            let replica = &replicas[number % 3];
            match replica.revoke(&format!("token-{number}")).await {
                204 => {
                    let acknowledged = (number, Instant::now());
                    self.revoked.lock().unwrap().push(acknowledged);
                }
                // It holds there, and no caller was told that it holds elsewhere. Or the admin's
                // own token cannot be judged.
                503 => {}
                other => panic!("{other} for a revocation"),
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Asks with tokens that were revoked, new and old ones, and with one that was not.
    async fn ask(&self, replicas: &[Arc<Replica>; 3]) {
        let good = token("never-revoked", "");
        for number in 0.. {
            if self.is_over() {
                return;
            }
            // The machine has other tests to run.
            sleep(Duration::from_millis(2)).await;
            let replica = &replicas[number % 3];
            match replica.ask(&good).await {
                200 => self.served.fetch_add(1, Ordering::SeqCst),
                503 => self.unavailable.fetch_add(1, Ordering::SeqCst),
                other => panic!("{other} for a good token"),
            };
            let Some((revoked, at)) = self.pick(number) else {
                continue;
            };
            let begun = Instant::now();
            match replica.ask(&token(&format!("token-{revoked}"), "")).await {
                200 => {
                    let since = begun.duration_since(at);
                    assert!(since < BOUND, "token {revoked} is let in after {since:?}");
                }
                401 => {
                    self.refused.fetch_add(1, Ordering::SeqCst);
                }
                503 => {}
                other => panic!("{other} for a revoked token"),
            }
        }
    }

    fn pick(&self, number: usize) -> Option<(usize, Instant)> {
        let revoked = self.revoked.lock().unwrap();
        // The newest as often as any.
        let back = match number % 2 {
            0 => number % 20,
            _ => number.wrapping_mul(7919),
        };
        let place = revoked.len().checked_sub(1)?;
        revoked.get(place - back % (place + 1)).copied()
    }

    /// Two compete for each number, now and later.
    async fn claim(&self, replicas: &[Arc<Replica>; 3]) {
        for number in 0_u32.. {
            if self.is_over() {
                return;
            }
            let begun = replicas[number as usize % 3].begin().await;
            self.claimed.lock().unwrap().insert(number, (begun, None));
            for (number, own) in [(number, 1), (number, 2), (number / 2, 1), (number / 2, 2)] {
                let (begun, _) = self.claimed.lock().unwrap()[&number];
                let replica = &replicas[(number as usize + usize::from(own)) % 3];
                let status = replica.claim(number, own, begun).await;
                let mut claimed = self.claimed.lock().unwrap();
                let (_, owner) = claimed.get_mut(&number).expect("it was begun");
                match status {
                    200 | 201 => {
                        let owner = owner.get_or_insert(own);
                        assert_eq!(*owner, own, "{number} has two first ones");
                        self.claims.fetch_add(1, Ordering::SeqCst);
                    }
                    409 => assert_ne!(*owner, Some(own), "{number} is lost"),
                    410 | 503 => {}
                    other => panic!("{other} for a claim"),
                }
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Runs the flood, and does something to the engine in the middle of it.
async fn flooded(what: &str, replicas: [Arc<Replica>; 3], happens: impl AsyncFnOnce()) {
    let flood = Arc::new(Flood::default());
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let (flood, replicas) = (Arc::clone(&flood), replicas.clone());
        tasks.push(tokio::spawn(async move { flood.ask(&replicas).await }));
    }
    let (other, own) = (Arc::clone(&flood), replicas.clone());
    tasks.push(tokio::spawn(async move { other.revoke(&own).await }));
    let (other, own) = (Arc::clone(&flood), replicas.clone());
    tasks.push(tokio::spawn(async move { other.claim(&own).await }));
    let flooding = async {
        sleep(Duration::from_secs(1)).await;
        happens().await;
        // All have noticed it.
        sleep(Duration::from_secs(3)).await;
        for replica in &replicas {
            replica.until_ready().await;
        }
        sleep(Duration::from_secs(1)).await;
        // A busy machine takes longer. What fails ends early, and says why below.
        until(&format!("{what}: a flood"), async || {
            let mut counts = [&flood.served, &flood.refused, &flood.claims].into_iter();
            counts.all(|count| count.load(Ordering::SeqCst) > 100)
                || tasks.iter().any(JoinHandle::is_finished)
        })
        .await;
    };
    flooding.await;
    flood.ends.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    // All that was acknowledged holds at all of them.
    sleep(Duration::from_secs(1)).await;
    let revoked = flood.revoked.lock().unwrap().clone();
    for (number, _) in &revoked {
        let token = token(&format!("token-{number}"), "");
        for replica in &replicas {
            assert_eq!(replica.ask(&token).await, 401, "{what}: {number}");
        }
    }
    let [served, refused, unavailable, claims] = [
        &flood.served,
        &flood.refused,
        &flood.unavailable,
        &flood.claims,
    ]
    .map(|count| count.load(Ordering::SeqCst));
    println!(
        "{what}: {} revoked, {refused} refused, {claims} claims, {served} served, {unavailable} \
         unavailable",
        revoked.len()
    );
    assert!(served > 100 && refused > 100 && claims > 100, "{what}");
    assert!(unavailable > 0, "{what}: something happened");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn an_engine_that_is_stopped_lets_nothing_in() {
    let engine = Server::start(&[]).await;
    let engines = [engine.url()];
    let replicas = Replica::three([&engines[..]; 3]).await;
    flooded("stopped", replicas, async || {
        engine.stop().await;
        sleep(Duration::from_secs(4)).await;
        engine.go_on().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn an_engine_that_is_killed_lets_nothing_in() {
    for log in ["no", "yes"] {
        let mut engine = Server::start(&["--appendonly", log]).await;
        let engines = [engine.url()];
        let replicas = Replica::three([&engines[..]; 3]).await;
        let what = format!("killed, log: {log}");
        flooded(&what, replicas, async || {
            engine.kill().await;
            sleep(Duration::from_secs(1)).await;
            engine.restart().await;
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_replica_that_is_cut_off_lets_nothing_in() {
    let engine = Server::start(&[]).await;
    let cut = Arc::new(AtomicBool::new(false));
    let way = slow_way(engine.port, Duration::ZERO, Arc::clone(&cut)).await;
    let (near, far) = ([engine.url()], [format!("redis://127.0.0.1:{way}")]);
    let replicas = Replica::three([&near[..], &near[..], &far[..]]).await;
    flooded("cut off", replicas, async || {
        cut.store(true, Ordering::SeqCst);
        sleep(Duration::from_secs(5)).await;
        cut.store(false, Ordering::SeqCst);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs valkey-server"]
async fn a_fail_over_lets_nothing_in() {
    let mut cluster = Cluster::start().await;
    let engines = [cluster.nodes[0].url(), cluster.nodes[1].url()];
    let replicas = Replica::three([&engines[..]; 3]).await;
    flooded("failed over", replicas, async || {
        let primary = cluster.primary(0).await;
        let observer = (primary + 1) % 6;
        cluster.nodes[primary].kill().await;
        until("another one has the keys", async || {
            cluster.primary(observer).await != primary
        })
        .await;
    })
    .await;
}
