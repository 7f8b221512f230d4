//! A replica of a server in a process of its own: `replica URL…` serves on a free port of loopback, which
//! it prints, until its input ends.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{Request, Response, StatusCode};
use axum::routing::{get, put};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt, service_fn};
use tower_mcp_auth::failed_attempts::FailedAttemptsLayer;
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::mcp::{Budget, QuotaLayer};
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::oauth::binding::{DpopMode, DpopOptions};
use tower_mcp_auth::redis::{Redis, RedisBuilder};
use tower_mcp_auth::revocation::Revocation;
use tower_mcp_auth::store::{
    Insertion, QuotaAnswer, QuotaCharge, QuotaLimit, QuotaStore, ReplayStore, StoreKey, StoreValue,
};
use tower_mcp_auth::{ApiKeyLayer, AuthError, Clock, JwtLayer, OAuthLayer};

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
    // What floods the machine with proofs waits for it.
    let patience = std::env::var_os("ISSUER").map(|_| Duration::from_secs(2));
    let builder = patience.into_iter().fold(builder, RedisBuilder::timeout);
    let redis = builder.connect().await.expect("it connects");
    // What is known holds while the store is up, and no longer.
    let revocation = Revocation::shared(redis.clone(), "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5")
        .expect("a secret")
        .max_staleness(Duration::ZERO);
    // Of forty at once and one each second, ten and a quarter here where there is no store.
    let calls = Budget::new("calls", 60, Duration::from_secs(60)).and_then(|own| own.burst(40));
    let quotas = QuotaLayer::shared(redis.clone(), "mYc3FbHd6GpAeU5R7vJ2nWq9sLx4TzK8")
        .and_then(|layer| layer.budget(calls?)?.local_share(4)?.requests_only())
        .expect("a layer");
    let secret = Secret::new(common::SECRET).expect("a secret");
    let auth = JwtLayer::builder(secret)
        .issuer(ISSUER)
        .audience(RESOURCE)
        .build()
        .expect("a layer");
    // What is revoked is not known without the store, and budgets are to be seen.
    let limited = Router::new()
        .route("/limited", get(async || "served"))
        .layer(quotas.clone())
        .layer(auth.clone());
    let counted = Router::new()
        .route("/counted", get(async || "served"))
        .layer(counted(&redis))
        .layer(auth.clone());
    let auth = auth.revocation(revocation.clone());
    let service = revocation
        .revocation_service("mcp:revoke")
        .expect("a scope");
    let guarded = Router::new()
        .route("/ask", get(async || "served"))
        .route("/stream", get(stream))
        .route_service("/revoke", service)
        .layer(auth);
    let proofs = takes_proofs(&redis);
    let app = Router::new()
        .route("/replay", put(move |body: String| replay(proofs, body)))
        .route("/init", put(init))
        .route("/health", get(move || health(revocation.clone())))
        .route("/now", get(now))
        .route(
            "/quotas",
            get(async move || format!("{:?}", quotas.health())),
        )
        .route("/charge/{bucket}/{calls}", put(charge))
        .route("/first/{number}/{own}/{begun}", put(claim))
        .with_state(redis.clone())
        .merge(guessed(&redis))
        .merge(limited)
        .merge(counted)
        .merge(guarded);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address").port());
    let serving = tokio::spawn(async { axum::serve(listener, app).await });
    // The process that started it is gone.
    let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    serving.abort();
}

/// Sixty guesses an hour of each address, which a header names.
fn guessed(redis: &Redis) -> Router {
    let attempts = FailedAttemptsLayer::new(|head| {
        let address = head.headers().get("x-address")?.to_str().ok()?;
        address.parse().ok()
    });
    let attempts = attempts
        .window(HOUR)
        .and_then(|layer| layer.shared(redis.clone(), "mYc3FbHd6GpAeU5R7vJ2nWq9sLx4TzK8"))
        .expect("a layer");
    let keys = ApiKeyLayer::new([common::API_KEY]).expect("a layer");
    Router::new()
        .route("/guess", get(async || "served"))
        .layer(keys)
        .layer(attempts)
}

/// A thousand calls of each user, which are not regained while a test runs.
fn counted(redis: &Redis) -> QuotaLayer {
    let calls = Budget::new("counted", 1000, HOUR * 24 * 31);
    QuotaLayer::shared(redis.clone(), "mYc3FbHd6GpAeU5R7vJ2nWq9sLx4TzK8")
        .and_then(|layer| layer.budget(calls?)?.requests_only())
        .expect("a layer")
}

/// Takes tokens that are bound to keys, of the issuer that the environment names.
fn takes_proofs(redis: &Redis) -> Option<OAuthLayer> {
    let issuer = std::env::var("ISSUER").ok()?;
    let server = AuthorizationServer::insecure_http_on_loopback(issuer).expect("a URL");
    let options = DpopOptions::new().replay_store(redis.clone());
    let layer = OAuthLayer::builder(RESOURCE)
        .and_then(|layer| layer.authorization_server(server.dpop(DpopMode::Required)))
        .and_then(|layer| layer.dpop_options(options?).build());
    Some(layer.expect("a layer"))
}

/// How many requests are under way at once.
const WORKERS: usize = 64;

/// Lines: a number, a token, and proofs, of which each is sent so often. How often each was
/// accepted, and how many requests were refused for another reason than a repetition.
async fn replay(layer: Option<OAuthLayer>, lines: String) -> String {
    let layer = layer.expect("an issuer");
    let mut lines = lines.lines().map(str::to_owned);
    let times: usize = lines.next().expect("a number").parse().expect("a number");
    let token = format!("DPoP {}", lines.next().expect("a token"));
    let proofs: Arc<Vec<String>> = Arc::new(lines.collect());
    let accepted: Arc<Vec<AtomicUsize>> = Arc::new(proofs.iter().map(|_| 0.into()).collect());
    let (next, others) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        let (layer, token) = (layer.clone(), token.clone());
        let (proofs, accepted) = (Arc::clone(&proofs), Arc::clone(&accepted));
        let (next, others) = (Arc::clone(&next), Arc::clone(&others));
        workers.push(tokio::spawn(async move {
            let inner = service_fn(async |_| Ok::<_, Infallible>(Response::new(Body::empty())));
            let service = layer.layer(inner);
            loop {
                // All of them in turn, so that the first uses of one are at once everywhere.
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= times * proofs.len() {
                    return;
                }
                let place = number % proofs.len();
                let request = Request::post("/mcp")
                    .header("authorization", &token)
                    .header("dpop", &proofs[place])
                    .body(Body::empty())
                    .expect("a request");
                let response = service.clone().oneshot(request).await.expect("an answer");
                match response.extensions().get::<AuthError>() {
                    None => accepted[place].fetch_add(1, Ordering::Relaxed),
                    Some(error) if error.reason() == "replayed_dpop_proof" => 0,
                    Some(error) => {
                        eprintln!("{error:?}");
                        others.fetch_add(1, Ordering::Relaxed)
                    }
                };
            }
        }));
    }
    for worker in workers {
        worker.await.expect("it ends");
    }
    let counts = accepted.iter().chain([&*others]);
    let counts: Vec<String> = counts
        .map(|count| count.load(Ordering::Relaxed).to_string())
        .collect();
    counts.join(" ")
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

/// Twenty a second, two thousand at once: the same in the test.
fn limit() -> QuotaLimit {
    let limit = QuotaLimit::new(20, Duration::from_secs(1));
    limit.and_then(|own| own.burst(2000)).expect("a limit")
}

/// Many calls at once: how many had no answer, and when the engine admitted and refused the others.
async fn charge(State(redis): State<Redis>, Path((bucket, calls)): Path<(u8, usize)>) -> String {
    let calls: Vec<_> = (0..calls)
        .map(|_| {
            let one = QuotaCharge::new(StoreKey::new([bucket; 32]), limit(), 1);
            tokio::spawn(redis.charge(vec![one]))
        })
        .collect();
    let (mut failed, mut judged) = (0, Vec::new());
    for call in calls {
        let (verdict, states) = match call.await.expect("it ends") {
            Ok(QuotaAnswer::Admitted(states)) => ('+', states),
            Ok(QuotaAnswer::Refused(states)) => ('-', states),
            Ok(_) | Err(_) => {
                failed += 1;
                continue;
            }
        };
        judged.push(format!("{verdict}{}", states[0].now().as_micros()));
    }
    format!("{failed} {}", judged.join(" "))
}
