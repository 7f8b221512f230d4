//! `Redis` without an engine: settings that are refused, and peers that are none. With real engines
//! it is in `tests/interop/redis`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::revocations::entries;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tower_mcp_auth::redis::Redis;
use tower_mcp_auth::store::{ReplayStore, RevocationStore, StoreKey, StorePosition, StoreValue};

const PASSWORD: &str = "8sPq2v9xWz";

#[tokio::test]
async fn settings_that_will_not_do_are_named() {
    let good = || Redis::builder("redis://127.0.0.1:1").prefix("a");
    let of_url = |url: &str| Redis::builder(url).prefix("a");
    let refused = [
        ("url", of_url("")),
        ("url", of_url("127.0.0.1:6379")),
        ("url", of_url(&format!("http://:{PASSWORD}@127.0.0.1"))),
        ("url", of_url(&format!("redis://:{PASSWORD}@"))),
        (
            "url",
            of_url(&format!("redis://:{PASSWORD}@127.0.0.1/first")),
        ),
        ("url", of_url(&format!("redis://:{PASSWORD}@127.0.0.1/-1"))),
        (
            "url",
            of_url(&format!("redis://127.0.0.1?password={PASSWORD}")),
        ),
        ("url", of_url(&format!("redis://127.0.0.1#{PASSWORD}"))),
        ("url", of_url(&format!("redis://a:{PASSWORD}%ff@127.0.0.1"))),
        (
            "url",
            of_url(&format!("redis://a:{PASSWORD}@127.0.0.1:99999")),
        ),
        ("prefix", Redis::builder("redis://127.0.0.1:1")),
        ("prefix", Redis::builder("redis://127.0.0.1:1").prefix("")),
        (
            "prefix",
            Redis::builder("redis://127.0.0.1:1").prefix("{a}"),
        ),
        (
            "prefix",
            Redis::builder("redis://127.0.0.1:1").prefix("a".repeat(65)),
        ),
        ("prefix", good().resource("https://mcp.example.com")),
        ("node", good().node("rediss://127.0.0.1:2")),
        (
            "node",
            good().node(&format!("redis://:{PASSWORD}@127.0.0.1:2")),
        ),
        ("node", good().node("127.0.0.1")),
        // The engine would be asked as its default user.
        ("password", good().username("mcp")),
        ("password", of_url("redis://mcp@127.0.0.1:1")),
        ("timeout", good().timeout(Duration::ZERO)),
        ("timeout", good().timeout(Duration::from_secs(3))),
        ("max_revocations", good().max_revocations(0)),
        ("ca", good().ca("no certificate")),
        (
            "client_certificate",
            good().client_certificate("none", PASSWORD),
        ),
    ];
    for (setting, builder) in refused {
        let shown = format!("{builder:?}");
        let error = builder.connect().await.unwrap_err();
        assert_eq!(error.setting(), setting, "{error}");
        assert!(!error.to_string().contains(PASSWORD), "{error}");
        assert!(!shown.contains(PASSWORD), "{shown}");
    }
}

#[test]
fn without_a_runtime_there_is_no_connection() {
    let connects = Redis::builder("redis://127.0.0.1:1").prefix("a").connect();
    let error = tokio_test::task::spawn(connects).poll();
    let std::task::Poll::Ready(Err(error)) = error else {
        panic!("{error:?}");
    };
    assert!(error.to_string().contains("runtime"), "{error}");
}

/// What peers do with a connection.
#[derive(Clone, Copy)]
enum Peer {
    Silent,
    Closing,
    Babbling,
    /// Sends for ever what has no end.
    Endless,
    /// As an engine that has too many connections, which says so to whatever it is asked.
    Full,
}

struct Peers {
    port: u16,
    open: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    all: Arc<AtomicUsize>,
}

async fn start(peer: Peer) -> Peers {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (open, most, all) = (Arc::default(), Arc::default(), Arc::default());
    let peers = Peers {
        port,
        open: Arc::clone(&open),
        most: Arc::clone(&most),
        all: Arc::clone(&all),
    };
    common::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            all.fetch_add(1, Ordering::SeqCst);
            let now = open.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            let open = Arc::clone(&open);
            common::spawn(async move {
                serve(peer, stream).await;
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    peers
}

async fn serve(peer: Peer, mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await {
            Ok(1..) => {}
            _ => return,
        }
        let said = match peer {
            Peer::Silent => continue,
            Peer::Closing => return,
            Peer::Babbling => stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await,
            Peer::Full => {
                let said = b"-ERR max number of clients reached\r\n";
                let _ = stream.write_all(said).await;
                return;
            }
            Peer::Endless => loop {
                if stream.write_all(&b"*1\r\n".repeat(512)).await.is_err() {
                    return;
                }
            },
        };
        if said.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_no_engine_keeps_no_request_waiting() {
    let peers = [
        Peer::Silent,
        Peer::Closing,
        Peer::Babbling,
        Peer::Endless,
        Peer::Full,
    ];
    let tried = peers.map(|peer| common::spawn(keeps_no_request_waiting(peer)));
    for tried in tried {
        tried.await.unwrap();
    }
}

async fn keeps_no_request_waiting(peer: Peer) {
    let peers = start(peer).await;
    let url = format!("redis://user:{PASSWORD}@127.0.0.1:{}", peers.port);
    let begun = Instant::now();
    let redis = Redis::builder(&url).prefix("a").connect().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(3));
    let (key, value) = (StoreKey::new([1; 32]), StoreValue::new([1; 32]));
    for _ in 0..100 {
        let begun = Instant::now();
        let inserted = redis.insert_if_absent(key, value, Duration::from_secs(1));
        let refused = inserted.await.unwrap_err().to_string();
        assert!(refused.starts_with("the engine is down"), "{refused}");
        redis.get(key).await.unwrap_err();
        redis.append(entries([1])).await.unwrap_err();
        redis.snapshot(None).await.unwrap_err();
        let position = StorePosition::new("1 1-1 1");
        redis.read_on(position).await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_millis(500));
    }
    let health = redis.health();
    assert!(!health.is_up() && !health.is_ready());
    assert_eq!(health.is_persistent(), None);
    // What was opened before is not known to be lost: it is 503 and not 404.
    assert_eq!(redis.complete_since(), Duration::ZERO);
    let shown = format!("{redis:?} {health:?}");
    assert!(!shown.contains(PASSWORD), "{shown}");
    assert!(health.error().is_some());
    sleep(Duration::from_millis(1200)).await;
    // It is asked again, by one at a time.
    assert!(peers.all.load(Ordering::SeqCst) >= 2);
    assert!(peers.all.load(Ordering::SeqCst) < 30);
    assert!(peers.most.load(Ordering::SeqCst) <= 2);
    assert!(redis.init().await.is_err());
    drop(redis);
    sleep(Duration::from_millis(2500)).await;
    assert_eq!(peers.open.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_not_there_yet_is_no_error() {
    // There is no listener.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = format!("redis://127.0.0.1:{port}/3");
    let redis = Redis::connect(&url, "https://mcp.example.com/mcp")
        .await
        .unwrap();
    let error = redis.health().error().unwrap().to_owned();
    assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
}
