//! One engine as it should be, and settings that will not do.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use common::revocations::{BOUND, keeps_its_promises, read_on, record, records, snapshot};
use tokio::process::Command;
use tokio::time::{sleep, timeout};
use tower_mcp_auth::Clock;
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::redis::{Redis, RedisApiKeys};
use tower_mcp_auth::store::{Insertion, ReplayStore, RevocationEntry, RevocationStore};

use super::engine::{Folder, PREFIX, Server, free_port};
use super::{HOUR, insert, key, until, until_ready, value};
use crate::programs;

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
    // By another replica, so that nobody is woken but by the question.
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
async fn without_memory_nobody_new_is_first_and_nothing_is_dropped() {
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

/// The commands that a user may do, without those of API keys, and those of one who has API keys
/// and no revocations: by the page, and as the docs of the module have them.
fn documented_commands() -> [String; 2] {
    let read = |path| std::fs::read_to_string(common::root().join(path)).unwrap();
    let page = read("docs/more-than-one-machine.md");
    let words = |text: &str| {
        let section = text.split("ACL SETUSER mcp").nth(1).unwrap();
        let section = section.replace(['`', ','], " ");
        let words = section.split_whitespace();
        let words = words.take_while(|word| !word.contains("select"));
        let commands = words.filter(|word| word.starts_with('+') && word.len() > 1);
        commands.map(str::to_owned).collect::<Vec<_>>()
    };
    let all = words(&page);
    assert_eq!(all, words(&read("src/redis/mod.rs")));
    let (own, keys) = all.split_at(all.len() - 6);
    assert_eq!(keys[..2], ["+hget", "+hexists"]);
    let base = own.iter().position(|word| word == "+exists").unwrap();
    [own.join(" "), [&own[..=base], keys].concat().join(" ")]
}

/// An authority and a certificate of it for 127.0.0.1.
async fn certificates(folder: &Folder) {
    let script = "
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
            -subj /CN=authority -keyout ca.key -out ca.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
            -subj /CN=engine -keyout engine.key -out engine.csr
        printf 'subjectAltName=IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\n' > extensions
        openssl x509 -req -in engine.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile extensions -out engine.pem";
    let mut shell = Command::new("sh");
    programs::run(shell.args(["-ec", script]).current_dir(&folder.0)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server and openssl"]
async fn tls_and_an_access_control_list() {
    const PASSWORD: &str = "p:a/s@s w?rd";
    const URL_PASSWORD: &str = "p%3Aa%2Fs%40s%20w%3Frd";
    let folder = Folder::new();
    certificates(&folder).await;
    let list = folder.path("users.acl");
    let [commands, commands_of_keys] = documented_commands();
    let sha256 = Command::new("sh")
        .args([
            "-c",
            &format!("printf %s '{PASSWORD}' | sha256sum | cut -c1-64"),
        ])
        .output()
        .await;
    let digest = String::from_utf8(sha256.unwrap().stdout).unwrap();
    let digest = digest.trim();
    let user = format!("user mcp on #{digest} resetchannels ~{{{PREFIX}}}:* {commands}\n");
    let keys = user.replace("user mcp", "user keys");
    let keys = keys.replace(&commands, &commands_of_keys);
    let poor = format!("user poor on #{digest} resetchannels ~other:* +info\n");
    let admin = format!("user admin on #{digest} +client\n");
    std::fs::write(
        &list,
        format!("user default off\n{user}{keys}{poor}{admin}"),
    )
    .unwrap();
    let port = free_port().await;
    let (ca, chain, private) = (
        folder.path("ca.pem"),
        folder.path("engine.pem"),
        folder.path("engine.key"),
    );
    let tls_port = port.to_string();
    let arguments = [
        "--tls-port",
        &tls_port,
        "--tls-ca-cert-file",
        &ca,
        "--tls-cert-file",
        &chain,
        "--tls-key-file",
        &private,
        "--aclfile",
        &list,
    ];
    let _engine = Server::start_as("redis-server".into(), port, &arguments).await;
    let ca = std::fs::read(ca).unwrap();
    let (chain_path, private_path) = (chain, private);
    let (chain, private) = (
        std::fs::read(&chain_path).unwrap(),
        std::fs::read(&private_path).unwrap(),
    );
    let with = |user: &str, password: &str| {
        let url = format!("rediss://{user}:{password}@127.0.0.1:{port}/");
        Redis::builder(&url).prefix(PREFIX)
    };
    let good = || {
        with("mcp", URL_PASSWORD)
            .ca(&ca)
            .client_certificate(&chain, &private)
    };
    let redis = good().connect().await.unwrap();
    redis.init().await.unwrap();
    assert_eq!(insert(&redis, 1, 1).await, Ok(Insertion::Inserted));
    assert_eq!(insert(&redis, 1, 2).await, Ok(Insertion::Present(value(1))));
    let watched = Arc::new(redis.clone()).watch(key(1));
    timeout(Duration::from_secs(2), watched).await.unwrap();
    let small = good().max_revocations(BOUND).connect().await.unwrap();
    keeps_its_promises(&small).await;
    // The second connection is let in as well.
    let position = snapshot(&redis).await.unwrap().position;
    let reads = tokio::spawn(async move {
        let mut from = position;
        loop {
            let (read, next) = read_on(&small, &from).await;
            if !read.is_empty() {
                return read;
            }
            from = next;
        }
    });
    let clients = async || {
        let mut cli = Command::new("redis-cli");
        cli.args([
            "--tls", "-p", &tls_port, "--user", "admin", "--pass", PASSWORD,
        ]);
        cli.args(["--cacert", &folder.path("ca.pem"), "--no-auth-warning"]);
        cli.args(["--cert", &chain_path, "--key", &private_path]);
        programs::run(cli.args(["CLIENT", "LIST"])).await
    };
    until("it listens", async || {
        let listed = clients().await;
        let mut listed = listed.lines();
        listed.any(|line| line.contains(" flags=b ") && line.contains("user=mcp"))
    })
    .await;
    let ended = RevocationEntry::new(record(99), Some(Duration::from_secs(1)));
    redis.append(vec![ended]).await.unwrap();
    assert_eq!(reads.await.unwrap(), records([99]));
    let shown = format!("{redis:?} {:?} {:?}", good(), redis.health());
    assert!(
        !shown.contains(PASSWORD) && !shown.contains(URL_PASSWORD),
        "{shown}"
    );
    // Apart from the URL it is the same.
    let apart = Redis::builder(&format!("rediss://127.0.0.1:{port}"))
        .username("mcp")
        .password(PASSWORD)
        .ca(&ca)
        .client_certificate(&chain, &private)
        .prefix(PREFIX);
    assert!(apart.connect().await.unwrap().health().is_ready());

    let keys = with("keys", URL_PASSWORD).ca(&ca);
    let keys = keys.client_certificate(&chain, &private).connect().await;
    let keys = RedisApiKeys::new(&keys.unwrap(), "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5").unwrap();
    let (new, now) = (ApiKey::generate("acme").unwrap(), SystemTime::now());
    let key = new.to_api_key().expires_at(now + HOUR).unwrap();
    keys.put(&key).await.unwrap();
    assert!(keys.used(&new.digest(), now).await.unwrap());
    assert!(keys.last_used(&new.digest()).await.unwrap().is_some());
    assert_eq!(keys.expiring_within(HOUR * 2).await.unwrap().len(), 1);
    keys.put(&new.to_api_key()).await.unwrap();

    let refused = [
        (
            "ca",
            with("mcp", URL_PASSWORD).client_certificate(&chain, &private),
        ),
        (
            "password",
            with("mcp", "wrong")
                .ca(&ca)
                .client_certificate(&chain, &private),
        ),
        (
            "username",
            with("poor", URL_PASSWORD)
                .ca(&ca)
                .client_certificate(&chain, &private),
        ),
    ];
    for (setting, builder) in refused {
        let error = builder.connect().await.unwrap_err();
        assert_eq!(error.setting(), setting, "{error}");
        assert!(!error.to_string().contains("wrong:"), "{error}");
    }
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
