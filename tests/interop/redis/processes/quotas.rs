//! Budgets that four processes have together: never passed by one, and used. And their parts, while
//! the engine is gone.

use tower_mcp_auth::store::QuotaLimit;

use super::super::engine::Cluster;
use super::*;

const PROCESSES: usize = 4;
const BUCKETS: usize = 4;
/// Calls that one process makes at once.
const BURST: usize = 100;
const CALLS: usize = 100_000;

/// Twenty a second, two thousand at once: the same in the processes. That is less than all calls
/// together, unless they take 19 minutes.
fn limit() -> QuotaLimit {
    let limit = QuotaLimit::new(20, Duration::from_secs(1));
    limit.and_then(|own| own.burst(2000)).unwrap()
}

/// A call that had an answer: when the engine judged it, and whether it was refused. In this order
/// they were judged, since at one time what is refused comes last.
type Judged = (Duration, bool);

impl Replica {
    /// What became of so many calls, and how many had no answer.
    async fn charge(&self, bucket: usize, calls: usize) -> (usize, Vec<Judged>) {
        let path = format!("{}/charge/{bucket}/{calls}", self.url);
        let answer = self.client.put(path).send().await.expect("an answer");
        let text = answer.text().await.expect("text");
        let mut words = text.split_whitespace();
        let failed = words.next().expect("how many failed").parse().unwrap();
        let judged = words.map(|word| {
            let (verdict, micros) = word.split_at(1);
            let now = Duration::from_micros(micros.parse().unwrap());
            (now, verdict == "-")
        });
        (failed, judged.collect())
    }

    async fn limited(&self) -> Response {
        self.get("limited", &token("of-a-user", "")).await
    }

    async fn quotas(&self) -> String {
        let request = self.client.get(format!("{}/quotas", self.url));
        let answer = request.send().await.expect("an answer");
        answer.text().await.expect("text")
    }
}

/// All four call in bursts, each of all buckets.
async fn hold(what: &str, replicas: [Arc<Replica>; PROCESSES]) {
    let begun = Instant::now();
    let tasks: Vec<_> = replicas
        .iter()
        .map(|replica| {
            let replica = Arc::clone(replica);
            tokio::spawn(async move {
                let (mut failed, mut judged) = ([0; BUCKETS], vec![Vec::new(); BUCKETS]);
                for round in 0..CALLS / PROCESSES / BURST {
                    let bucket = round % BUCKETS;
                    let (more, calls) = replica.charge(bucket, BURST).await;
                    failed[bucket] += more;
                    judged[bucket].extend(calls);
                    // While the engine is down, the rest would have no answer either.
                    while more > 0 && replica.health().await.0 != 200 {
                        sleep(Duration::from_millis(20)).await;
                    }
                }
                (failed, judged)
            })
        })
        .collect();
    let (mut failed, mut judged) = ([0; BUCKETS], vec![Vec::new(); BUCKETS]);
    for task in tasks {
        let (more, calls) = task.await.unwrap();
        for (all, own) in failed.iter_mut().zip(more) {
            *all += own;
        }
        for (all, own) in judged.iter_mut().zip(calls) {
            all.extend(own);
        }
    }
    let own = limit();
    for (bucket, mut calls) in judged.into_iter().enumerate() {
        calls.sort_unstable();
        // What had no answer may have been charged.
        let failed = failed[bucket];
        let lost = own.window() / own.count() * u32::try_from(failed).unwrap();
        let (mut tat, mut admitted) = (Duration::ZERO, 0);
        for (now, is_refused) in &calls {
            let (least, most) = (tat, tat.max(*now) + lost);
            if *is_refused {
                let state = own.charge(most, *now, 1);
                assert!(!state.is_admitted(), "{what}: {bucket} has room at {now:?}");
            } else {
                let state = own.charge(least, *now, 1);
                assert!(state.is_admitted(), "{what}: {bucket} is passed at {now:?}");
                tat = state.tat();
                admitted += 1;
            }
        }
        println!(
            "{what}: of {} calls to bucket {bucket} in {:?} {admitted} were admitted, and {failed} \
             had no answer",
            calls.len() + failed,
            begun.elapsed(),
        );
        assert!(failed < 1000, "{what}: {bucket} was hardly judged");
        assert!(admitted < calls.len(), "{what}: {bucket} was never empty");
    }
}

/// Requests of four users through the layers of all four, in bursts.
async fn spend(what: &str, replicas: [Arc<Replica>; PROCESSES]) {
    const REQUESTS: usize = 10_000;
    const AT_ONCE: usize = 50;
    const BUDGET: usize = 1000;

    let begun = Instant::now();
    let tasks = replicas.into_iter().map(|replica| {
        tokio::spawn(async move {
            let (mut served, mut failed) = ([0; BUCKETS], [0; BUCKETS]);
            for round in 0..REQUESTS / PROCESSES / AT_ONCE {
                let user = round % BUCKETS;
                let token = token_of(&format!("user-{user}"), "of-a-user", "");
                let requests = (0..AT_ONCE).map(|_| {
                    let (replica, token) = (Arc::clone(&replica), token.clone());
                    tokio::spawn(async move { replica.get("counted", &token).await.status() })
                });
                for request in requests.collect::<Vec<_>>() {
                    match request.await.unwrap().as_u16() {
                        200 => served[user] += 1,
                        429 => {}
                        503 => failed[user] += 1,
                        other => panic!("{other}"),
                    }
                }
            }
            (served, failed)
        })
    });
    let (mut served, mut failed) = ([0; BUCKETS], [0; BUCKETS]);
    for task in tasks.collect::<Vec<_>>() {
        let (more, lost) = task.await.unwrap();
        for user in 0..BUCKETS {
            served[user] += more[user];
            failed[user] += lost[user];
        }
    }
    println!(
        "{what}: of {REQUESTS} requests in {:?} {served:?} were served, {failed:?} had no answer",
        begun.elapsed()
    );
    for (served, failed) in served.into_iter().zip(failed) {
        assert!(served <= BUDGET, "{what}: it is passed, by {served}");
        // What had no answer may have been charged.
        assert!(served + failed >= BUDGET, "{what}: {served} were served");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn requests_to_four_processes_use_a_budget_up_and_never_pass_it() {
    let engine = Server::start(&[]).await;
    spend("redis", Replica::four(&[engine.url()]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs valkey-server"]
async fn requests_to_four_processes_on_a_cluster_use_a_budget_up_and_never_pass_it() {
    let cluster = Cluster::start().await;
    let engines = [cluster.nodes[0].url(), cluster.nodes[1].url()];
    spend("cluster", Replica::four(&engines).await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn four_processes_never_pass_a_budget_by_one_and_use_it() {
    let engine = Server::start(&[]).await;
    hold("redis", Replica::four(&[engine.url()]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs valkey-server"]
async fn four_processes_on_a_cluster_never_pass_a_budget_by_one_and_use_it() {
    let cluster = Cluster::start().await;
    let engines = [cluster.nodes[0].url(), cluster.nodes[1].url()];
    hold("cluster", Replica::four(&engines).await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn while_the_engine_is_stopped_each_process_serves_its_part_and_says_so() {
    let engine = Server::start(&[]).await;
    let engines = [engine.url()];
    let replicas = Replica::four(&engines).await;
    let ask_all = async |rounds: usize| {
        let (begun, mut served) = (Instant::now(), 0);
        for _ in 0..rounds {
            for replica in &replicas {
                let answer = replica.limited().await;
                match answer.status().as_u16() {
                    200 => served += 1,
                    429 => {
                        let shown = answer.headers()["ratelimit"].to_str().unwrap();
                        assert!(shown.starts_with("\"calls\";r=0;t="), "{shown}");
                    }
                    other => panic!("{other}"),
                }
            }
        }
        (served, begun.elapsed().as_secs_f64())
    };
    let (served, took) = ask_all(20).await;
    println!("with the engine: {served} in {took:.1} s");
    assert!(served >= 40 && f64::from(served) <= 40.0 + took + 1.0);
    for replica in &replicas {
        assert!(replica.quotas().await.contains("mode: \"shared\""));
    }

    engine.stop().await;
    let (served, took) = ask_all(30).await;
    println!("without: {served} in {took:.1} s");
    // Ten at once at each, and a quarter a second.
    assert!(
        served >= 36 && f64::from(served) <= 40.0 + took + 1.0,
        "{served} in {took}"
    );
    for replica in &replicas {
        let health = replica.quotas().await;
        assert!(health.contains("is_exact: false"), "{health}");
        assert!(health.contains("mode: \"local_share\""), "{health}");
    }

    engine.go_on().await;
    for replica in &replicas {
        until("it counts together again", async || {
            replica.limited().await;
            replica.quotas().await.contains("mode: \"shared\"")
        })
        .await;
    }
}
