//! `Revocation` on a real engine: what replicas know is written back, whatever is lost and when.

use tokio::task::LocalSet;
use tower_mcp_auth::revocation::{Entry, Revocation};

use super::super::until_ready;
use super::*;

const SECRET: &str = "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5";

fn revocation(redis: &Redis) -> Revocation {
    Revocation::shared(redis.clone(), SECRET).unwrap()
}

async fn count(engine: &Server) -> usize {
    engine.cli(&["ZCARD", SET]).await.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn all_that_an_emptied_engine_lost_is_back_before_others_believe_it() {
    const COUNT: usize = 20_000;
    let engine = Server::start(&[]).await;
    let one = revocation(&engine.first_replica().await);
    one.ready().await;
    let revoking = (0..COUNT).map(|number| {
        let one = one.clone();
        async move { one.revoke(Entry::api_key(&format!("key-{number}"))).await }
    });
    let revoking: Vec<_> = revoking.map(tokio::spawn).collect();
    for done in revoking {
        // Some take longer than a question may, and are written later.
        let _ = done.await.unwrap();
    }
    until("all are there", async || count(&engine).await == COUNT).await;
    let other = revocation(&engine.replica().await);
    other.ready().await;
    assert_eq!(other.entries(), COUNT);
    engine.cli(&["FLUSHALL"]).await;
    let lost = Instant::now();
    let new = revocation(&engine.replica().await);
    new.ready().await;
    println!("believed after {:?}", lost.elapsed());
    assert_eq!((new.entries(), count(&engine).await), (COUNT, COUNT));
}

#[test]
#[ignore = "needs redis-server"]
fn a_handle_goes_on_in_another_runtime() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let keeps = runtime();
    let engine = keeps.block_on(Server::start(&[]));
    let first = runtime();
    let (redis, one) = first.block_on(async {
        let redis = engine.first_replica().await;
        let one = revocation(&redis);
        one.ready().await;
        (redis, one)
    });
    drop(first);
    let second = runtime();
    second.block_on(async {
        until("it is revoked", async || {
            one.revoke(Entry::api_key("one")).await.is_ok()
        })
        .await;
        until_ready(&redis).await;
        let other = revocation(&engine.replica().await);
        other.ready().await;
        other.revoke(Entry::api_key("other")).await.unwrap();
        until("it is read", async || one.entries() == 2).await;
        assert!(one.health().is_ready());
    });
    drop(second);
    drop(redis);
    keeps.block_on(async { drop(engine) });
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn whatever_others_write_a_replica_knows_what_is_revoked_or_says_that_it_does_not() {
    const MARKER: &str = "{test}:epoch";
    const LAST_ID: &str = "18446744073709551615-18446744073709551615";
    // It has the length of a record.
    const NO_RECORD: &str = "00000000000000000000000000000000000000000000000000000007";
    let poisons: [&'static [&str]; 30] = [
        &["HSET", MARKER, "n", "0"],
        &["HSET", MARKER, "n", "2"],
        &["HSET", MARKER, "n", "999"],
        &["HSET", MARKER, "n", "18446744073709551615"],
        &["HSET", MARKER, "n", "many"],
        &["HSET", MARKER, "n", "nan"],
        &["HDEL", MARKER, "n"],
        &["HSET", MARKER, "settled", "soon"],
        &["HSET", MARKER, "settled", "9e300"],
        &["HDEL", MARKER, "settled"],
        &["HSET", MARKER, "since", "1"],
        &["HSET", MARKER, "since", "nan"],
        &["HSET", MARKER, "since", "9e18"],
        &["HDEL", MARKER, "since"],
        &["HSET", MARKER, "run", "another"],
        &["DEL", MARKER],
        &["SET", MARKER, "text"],
        &["PEXPIRE", MARKER, "1"],
        &["DEL", STREAM],
        &["SET", STREAM, "text"],
        &["XTRIM", STREAM, "MAXLEN", "0"],
        &["XADD", STREAM, "*", "n", "4", "r", "short"],
        &["XADD", STREAM, "*", "n", "4", "r", NO_RECORD],
        &["XADD", STREAM, LAST_ID, "n", "4", "r", NO_RECORD],
        &["ZADD", SET, "+inf", "short"],
        &["ZADD", SET, "+inf", NO_RECORD],
        &["SET", SET, "text"],
        &["DEL", SET],
        &["SCRIPT", "FLUSH"],
        &["FLUSHALL"],
    ];
    let tries = LocalSet::new();
    let tried = poisons.map(|poison| tries.spawn_local(knows_or_says_so(poison)));
    tries.await;
    for tried in tried {
        tried.await.unwrap();
    }
}

async fn knows_or_says_so(poison: &[&str]) {
    let engine = Server::start(&[]).await;
    // By what they know they go on as long as the engine answers, and no longer.
    let brief = |redis: Redis| revocation(&redis).max_staleness(Duration::ZERO);
    let one = brief(engine.first_replica().await);
    let other = brief(engine.replica().await);
    one.ready().await;
    let revoke = async |number| one.revoke(Entry::api_key(&format!("key-{number}"))).await;
    for number in 0..3 {
        revoke(number).await.unwrap();
    }
    other.ready().await;
    until("they are read", async || other.entries() == 3).await;
    engine.cli(poison).await;
    let mut shared = 3;
    for number in 3..6 {
        let told = revoke(number).await;
        // What is not shared holds at one replica alone, which its caller is told.
        shared += usize::from(told.is_ok());
        sleep(Duration::from_secs(3)).await;
        let health = other.health();
        assert!(
            other.entries() >= shared || !health.is_ready(),
            "{poison:?}: {told:?}, {health:?}"
        );
    }
    // One that begins now knows all, or says that it does not; but for what was deleted.
    let builder = Redis::builder(&engine.url()).prefix(PREFIX);
    let new = brief(builder.connect().await.unwrap());
    let _ = timeout(Duration::from_secs(3), new.ready()).await;
    let health = new.health();
    assert!(
        new.entries() >= shared || !health.is_ready() || poison == ["DEL", SET],
        "{poison:?}: {}, {health:?}",
        new.entries()
    );
}
