//! Two servers whose layers share an engine: claims of anonymous sessions.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tokio::time::timeout;
use tower::{Layer, Service, ServiceExt};
use tower_mcp_auth::auth::ResponseBody;
use tower_mcp_auth::mcp::{MacKey, SessionBindingLayer};
use tower_mcp_auth::redis::Redis;
use tower_mcp_auth::testing::{insert_anonymous, insert_principal};
use tower_mcp_auth::{AuthError, Principal};

use super::engine::Server;
use super::{until_down, until_ready};

const SESSION: &str = "mcp-session-id";

/// Opens a new session, and streams for ever where a GET asks.
#[derive(Clone)]
struct Sessions;

/// Never says anything, or is empty.
#[derive(Debug)]
struct Stream(bool);

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0 {
            true => Poll::Pending,
            false => Poll::Ready(None),
        }
    }
}

impl Service<Request<Full<Bytes>>> for Sessions {
    type Response = Response<Stream>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Stream>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let mut response = Response::new(Stream(request.method() == http::Method::GET));
        if !request.headers().contains_key(SESSION) {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            response.headers_mut().insert(SESSION, number.into());
        }
        ready(Ok(response))
    }
}

/// One server.
fn server(redis: &Redis) -> SessionBindingLayer {
    let key = MacKey::new("R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5").unwrap();
    SessionBindingLayer::new(key).anonymous_sessions_can_be_claimed(redis.clone())
}

async fn send(
    server: &SessionBindingLayer,
    method: &str,
    who: Option<&str>,
    session: Option<&str>,
) -> Response<ResponseBody<Stream>> {
    let mut request = Request::builder().method(method).uri("/mcp");
    if let Some(session) = session {
        request = request.header(SESSION, session);
    }
    let mut request = request.body(Full::default()).unwrap();
    match who {
        None => insert_anonymous(request.extensions_mut()),
        Some(name) => {
            let principal = Principal::builder("oauth").subject(name).build();
            insert_principal(request.extensions_mut(), principal);
        }
    }
    server.layer(Sessions).oneshot(request).await.unwrap()
}

async fn open(server: &SessionBindingLayer) -> String {
    let answer = send(server, "POST", None, None).await;
    answer.headers()[SESSION].to_str().unwrap().to_owned()
}

async fn post(server: &SessionBindingLayer, who: Option<&str>, session: &str) -> StatusCode {
    let begun = Instant::now();
    let answer = send(server, "POST", who, Some(session)).await;
    assert!(begun.elapsed() < super::SOON);
    match answer.status() {
        StatusCode::OK | StatusCode::NOT_FOUND => {}
        StatusCode::SERVICE_UNAVAILABLE => {
            assert!(answer.headers().contains_key("retry-after"));
            assert!(!answer.headers().contains_key("www-authenticate"));
            let error = answer.extensions().get::<AuthError>().unwrap();
            assert_eq!(error.reason(), "session_store_unavailable");
        }
        other => panic!("{other}"),
    }
    answer.status()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_session_that_is_claimed_at_one_server_is_claimed_at_the_other() {
    let engine = Server::start(&[]).await;
    let (one, other) = (engine.first_replica().await, engine.replica().await);
    let servers = [server(&one), server(&other)];
    for _ in 0..50 {
        let session = open(&servers[0]).await;
        assert_eq!(post(&servers[1], None, &session).await, StatusCode::OK);
        let claims = (0..6).map(|number| {
            let (server, session) = (servers[number % 2].clone(), session.clone());
            tokio::spawn(async move {
                let who = format!("principal {number}");
                post(&server, Some(&who), &session).await
            })
        });
        let claims: Vec<_> = claims.collect();
        let mut winners = 0;
        for claim in claims {
            winners += u32::from(claim.await.unwrap() == StatusCode::OK);
        }
        assert_eq!(winners, 1);
        for server in &servers {
            assert_eq!(post(server, None, &session).await, StatusCode::NOT_FOUND);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn streams_end_at_the_other_server() {
    let engine = Server::start(&[]).await;
    let (one, other) = (engine.first_replica().await, engine.replica().await);
    let servers = [server(&one), server(&other)];
    let mut ends = Vec::new();
    for _ in 0..10 {
        let session = open(&servers[0]).await;
        let stream = send(&servers[1], "GET", None, Some(&session)).await;
        let mut stream = stream.into_body();
        let goes_on = timeout(Duration::from_millis(50), stream.frame()).await;
        assert!(goes_on.is_err());
        let begun = Instant::now();
        assert_eq!(
            post(&servers[0], Some("alice"), &session).await,
            StatusCode::OK
        );
        let end = timeout(Duration::from_secs(3), stream.frame()).await;
        assert!(end.unwrap().is_none());
        ends.push(begun.elapsed());
    }
    ends.sort();
    println!("streams ended after {:?} at most", ends.last().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn while_the_engine_is_gone_it_is_503_and_afterwards_404() {
    let mut engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    let layer = server(&redis);
    let session = open(&layer).await;
    assert_eq!(post(&layer, Some("alice"), &session).await, StatusCode::OK);
    let stream = open(&layer).await;
    let stream = send(&layer, "GET", None, Some(&stream)).await;
    let mut stream = stream.into_body();
    assert!(
        timeout(Duration::from_millis(50), stream.frame())
            .await
            .is_err()
    );
    engine.kill().await;
    for _ in 0..2 {
        for who in [None, Some("alice"), Some("mallory")] {
            let status = post(&layer, who, &session).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        }
        until_down(&redis).await;
    }
    // What is opened meanwhile waits for the store as well.
    let meanwhile = open(&layer).await;
    let status = post(&layer, None, &meanwhile).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    engine.restart().await;
    until_ready(&redis).await;
    for who in [None, Some("alice"), Some("mallory")] {
        assert_eq!(post(&layer, who, &session).await, StatusCode::NOT_FOUND);
    }
    // Its claim may have been among what was lost.
    let end = timeout(Duration::from_secs(3), stream.frame()).await;
    assert!(end.unwrap().is_none());
    let session = open(&layer).await;
    assert_eq!(post(&layer, None, &session).await, StatusCode::OK);
    assert_eq!(post(&layer, Some("alice"), &session).await, StatusCode::OK);
    assert_eq!(post(&layer, None, &session).await, StatusCode::NOT_FOUND);
}
