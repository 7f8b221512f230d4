//! Guesses at three processes: an address has the limit of one, and a few more.

use super::*;

/// What the processes allow in an hour.
const LIMIT: usize = 60;
/// How many guesses of an address may be unanswered at a process, and what may be under way besides.
const FEW: usize = 4 + 4;

impl Replica {
    /// The status of a guess from this address.
    async fn guess(&self, address: &str) -> u16 {
        let request = self.client.get(format!("{}/guess", self.url));
        let request = request
            .header("x-api-key", "guessed")
            .header("x-address", address);
        request.send().await.expect("an answer").status().as_u16()
    }
}

/// How many guesses are heard of so many at each of them, all at once.
async fn burst(replicas: &[Arc<Replica>; 3], address: &str, each: usize) -> usize {
    let mut guesses = tokio::task::JoinSet::new();
    for number in 0..3 * each {
        let (replica, address) = (Arc::clone(&replicas[number % 3]), address.to_owned());
        guesses.spawn(async move { replica.guess(&address).await });
    }
    let statuses = guesses.join_all().await;
    assert!(statuses.iter().all(|status| [401, 429].contains(status)));
    statuses.iter().filter(|status| **status == 401).count()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn an_address_has_one_limit_at_three_processes() {
    let mut engine = Server::start(&[]).await;
    let urls = [engine.url()];
    let replicas = Replica::three([&urls; 3]).await;

    // One after the other: the limit, and one more at each of the others.
    let mut heard = 0;
    for number in 0..LIMIT * 3 {
        heard += usize::from(replicas[number % 3].guess("192.0.2.1").await == 401);
        sleep(Duration::from_millis(2)).await;
    }
    assert!((LIMIT..=LIMIT + 2).contains(&heard), "{heard}");
    // However it is written, and no other address.
    for replica in &replicas {
        assert_eq!(replica.guess("::ffff:192.0.2.1").await, 429);
        assert_eq!(replica.guess("192.0.2.2").await, 401);
    }

    // All at once. An engine that forgot its scripts is told them again.
    engine.cli(&["SCRIPT", "FLUSH"]).await;
    let heard = burst(&replicas, "192.0.2.3", 200).await;
    println!("{heard} of 600 guesses at once were heard");
    assert!(
        (LIMIT - 3 * FEW..=LIMIT + 3 * FEW).contains(&heard),
        "{heard}"
    );

    // Codes alone are in the engine, and each is gone when its bucket is full again.
    let keys = engine.cli(&["--scan", "--pattern", "{test}:*"]).await;
    let buckets: Vec<_> = keys.lines().filter(|key| key.contains(":q:")).collect();
    assert_eq!(buckets.len(), 3, "{keys}");
    for key in buckets {
        assert_eq!(key.len(), "{test}:q:".len() + 43);
        let left: u64 = engine.cli(&["PTTL", key]).await.parse().unwrap();
        assert!((1..=3_600_002).contains(&left), "{left}");
    }

    // Each by itself, and no caller is refused for it.
    engine.kill().await;
    let heard = burst(&replicas, "192.0.2.4", 200).await;
    assert!(
        (LIMIT * 3..=LIMIT * 3 + 3 * FEW).contains(&heard),
        "{heard}"
    );

    // What was lost is not known, and what replicas know is.
    engine.restart().await;
    for replica in &replicas {
        replica.until_ready().await;
        assert_eq!(replica.guess("192.0.2.4").await, 429);
    }
    assert_eq!(replicas[0].guess("192.0.2.2").await, 401);
}
