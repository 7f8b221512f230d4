//! A replica of a server in a process of its own: `replica URL…` serves on a free port of loopback, which
//! it prints, until its input ends.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::redis::Redis;
use tower_mcp_auth::revocation::Revocation;
use tower_mcp_auth::store::{Insertion, ReplayStore, StoreKey, StoreValue};
use tower_mcp_auth::{Clock, JwtLayer};

const HOUR: Duration = Duration::from_secs(3600);
const RESOURCE: &str = "https://mcp.example.com/mcp";
const ISSUER: &str = "https://auth.example.com";

#[tokio::main]
async fn main() {
    let urls: Vec<String> = std::env::args().skip(1).collect();
    let (first, others) = urls.split_first().expect("the URL of an engine");
    let builder = Redis::builder(first).prefix("test");
    let builder = others
        .iter()
        .fold(builder, |builder, url| builder.node(url));
    let redis = builder.connect().await.expect("it connects");
    // What is known holds while the store is up, and no longer.
    let revocation = Revocation::shared(redis.clone(), "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5")
        .expect("a secret")
        .max_staleness(Duration::ZERO);
    let secret = Secret::new(common::SECRET).expect("a secret");
    let auth = JwtLayer::builder(secret)
        .issuer(ISSUER)
        .audience(RESOURCE)
        .build()
        .expect("a layer")
        .revocation(revocation.clone());
    let service = revocation
        .revocation_service("mcp:revoke")
        .expect("a scope");
    let guarded = Router::new()
        .route("/ask", get(async || "served"))
        .route("/stream", get(stream))
        .route_service("/revoke", service)
        .layer(auth);
    let app = Router::new()
        .route("/init", put(init))
        .route("/health", get(move || health(revocation.clone())))
        .route("/now", get(now))
        .route("/first/{number}/{own}/{begun}", put(claim))
        .with_state(redis)
        .merge(guarded);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address").port());
    let serving = tokio::spawn(async { axum::serve(listener, app).await });
    // Whoever started it is gone.
    let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    serving.abort();
}

/// Never says anything, and never ends by itself.
async fn stream() -> Body {
    struct Silence;

    impl http_body::Body for Silence {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            std::task::Poll::Pending
        }
    }

    Body::new(Silence)
}

async fn init(State(redis): State<Redis>) -> StatusCode {
    match redis.init().await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn health(revocation: Revocation) -> (StatusCode, String) {
    let health = revocation.health();
    let status = match health.is_ready() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("{health:?}"))
}

/// How layers date what begins now: a store that has lost something may believe nothing older.
async fn now(State(redis): State<Redis>) -> String {
    let now = Clock::system().now().max(redis.complete_since());
    now.as_millis().to_string()
}

/// Who was first, as layers ask it: not of what was begun before the store knows everything.
async fn claim(
    State(redis): State<Redis>,
    Path((number, own, begun)): Path<(u32, u8, u64)>,
) -> StatusCode {
    let begun = Duration::from_millis(begun);
    let mut key = [0; 32];
    key[..4].copy_from_slice(&number.to_be_bytes());
    let own = StoreValue::new([own; 32]);
    let answer = redis.insert_if_absent(StoreKey::new(key), own, HOUR).await;
    if begun < redis.complete_since() {
        return StatusCode::GONE;
    }
    match answer {
        Ok(Insertion::Inserted) => StatusCode::CREATED,
        Ok(Insertion::Present(there)) if there == own => StatusCode::OK,
        Ok(Insertion::Present(_)) => StatusCode::CONFLICT,
        Ok(_) => StatusCode::INSUFFICIENT_STORAGE,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
