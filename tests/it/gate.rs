//! A body is read within its bounds, and handed on as it was.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use http_body::{Body, Frame, SizeHint};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_mcp_auth::mcp::{DefaultRule, McpPolicy, McpScopesLayer};
use tower_mcp_auth::testing::{insert_anonymous, insert_principal};
use tower_mcp_auth::{AuthError, AuthErrorKind, Principal};

use crate::mcp::support::{Keeper, call};
use common::trace;

/// Frames as they come; `None` is one that does not.
#[derive(Debug, Default)]
struct Slow {
    frames: Vec<Option<Frame<Bytes>>>,
    size: Option<u64>,
    broken: bool,
    asked: Arc<AtomicUsize>,
}

impl Slow {
    fn of(chunks: &[&str]) -> Self {
        let frame = |chunk: &&str| Some(Frame::data(Bytes::copy_from_slice(chunk.as_bytes())));
        Self {
            frames: chunks.iter().map(frame).collect(),
            ..Self::default()
        }
    }
}

impl Body for Slow {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match self.frames.first() {
            Some(None) => Poll::Pending,
            Some(Some(_)) => Poll::Ready(self.frames.remove(0).map(Ok)),
            None if self.broken => Poll::Ready(Some(Err("reset"))),
            None => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.size
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn layer() -> McpScopesLayer {
    let policy = McpPolicy::builder().default_rule(DefaultRule::Baseline);
    McpScopesLayer::new(policy.build().unwrap())
}

fn request<B>(body: B) -> Request<B> {
    let mut request = Request::post("/mcp")
        .header("content-type", "application/json")
        .body(body)
        .unwrap();
    let alice = Principal::builder("test").subject("alice").build();
    insert_principal(request.extensions_mut(), alice);
    request
}

/// The refusal, or what reached the service.
async fn ask(
    layer: &McpScopesLayer,
    request: Request<Slow>,
) -> Result<(Bytes, Option<HeaderMap>), AuthError> {
    let keeper = Keeper::default();
    let handle = keeper.clone();
    let service = layer.layer(service_fn(move |request| handle.clone().serve(request)));
    let response = service.oneshot(request).await.unwrap();
    match keeper.0.lock().unwrap().pop() {
        Some(body) => {
            let trailers = body.trailers().cloned();
            Ok((body.to_bytes(), trailers))
        }
        None => Err(response.extensions().get::<AuthError>().unwrap().clone()),
    }
}

#[tokio::test]
async fn it_is_handed_on_unchanged_with_its_trailers() {
    let text = call("get");
    let (head, tail) = text.split_at(17);
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("17"));
    for chunks in [vec![&*text], vec![head, tail], vec!["", head, "", tail, ""]] {
        for size in [None, Some(text.len() as u64)] {
            for trailers in [None, Some(trailers.clone())] {
                let mut body = Slow::of(&chunks);
                body.size = size.filter(|_| chunks.len() == 1);
                body.frames.extend(
                    trailers
                        .clone()
                        .map(|trailers| Some(Frame::trailers(trailers))),
                );
                let (read, found) = ask(&layer(), request(body)).await.unwrap();
                assert_eq!(read, text);
                assert_eq!(found, trailers);
            }
        }
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_before_more_of_it_is_read() {
    let text = call("get");
    let limit = |bytes| layer().max_body_bytes(bytes).unwrap();
    let exact = limit(text.len());
    assert!(ask(&exact, request(Slow::of(&[&text]))).await.is_ok());

    let short = limit(text.len() - 1);
    let (head, tail) = text.split_at(17);
    for chunks in [vec![&*text], vec![head, tail]] {
        let error = ask(&short, request(Slow::of(&chunks))).await.unwrap_err();
        assert_eq!(error.kind(), AuthErrorKind::PayloadTooLarge);
        assert_eq!(error.reason(), "body_too_large");
    }
    let mut announced = Slow::of(&[&text]);
    announced.size = Some(text.len() as u64);
    let asked = Arc::clone(&announced.asked);
    assert!(ask(&short, request(announced)).await.is_err());
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_400_after_30_seconds() {
    let text = call("get");
    let mut body = Slow::of(&[&text[..9]]);
    body.frames.push(None);
    let start = tokio::time::Instant::now();
    let error = ask(&layer(), request(body)).await.unwrap_err();
    assert_eq!(error.reason(), "body_too_slow");
    assert_eq!(error.kind(), AuthErrorKind::Malformed);
    assert_eq!(start.elapsed().as_secs(), 30);

    let body = Slow {
        frames: vec![None],
        ..Slow::default()
    };
    let patient = layer().read_timeout(Duration::from_secs(2)).unwrap();
    let start = tokio::time::Instant::now();
    assert!(ask(&patient, request(body)).await.is_err());
    assert_eq!(start.elapsed().as_secs(), 2);
}

#[test]
fn a_body_that_is_there_needs_no_timer() {
    let text = call("get");
    let layer = layer();
    let read = ask(&layer, request(Slow::of(&[&text])));
    // No tokio here: a timer would panic.
    let read = tokio_test::task::spawn(read).poll();
    assert!(matches!(read, Poll::Ready(Ok(_))));
}

/// Always has a frame, with nothing in it.
#[derive(Debug, Default)]
struct Hollow(usize);

impl Body for Hollow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0 += 1;
        assert!(self.0 < 100_000, "read without an end");
        Poll::Ready(Some(Ok(Frame::data(Bytes::new()))))
    }
}

#[tokio::test]
async fn frames_without_data_do_not_keep_a_reader_for_ever() {
    let keeper = Keeper::default();
    let handle = keeper.clone();
    let service = layer().layer(service_fn(move |request| handle.clone().serve(request)));
    let mut later = request(Hollow::default());
    *later.version_mut() = http::Version::HTTP_2;
    let response = service.clone().oneshot(later).await.unwrap();
    assert!(!response.headers().contains_key("connection"));
    let response = service.oneshot(request(Hollow::default())).await.unwrap();
    let error = response.extensions().get::<AuthError>().unwrap();
    assert_eq!(error.reason(), "fragmented_body");
    // What is left of the body stands before the next request.
    assert_eq!(response.headers()["connection"], "close");
    assert!(keeper.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_body_that_breaks_never_reaches_the_service() {
    let mut body = Slow::of(&[&call("get")]);
    body.broken = true;
    let error = ask(&layer(), request(body)).await.unwrap_err();
    assert_eq!(error.reason(), "incomplete_body");
}

#[tokio::test]
async fn the_body_of_an_anonymous_caller_is_not_read_where_all_need_a_scope() {
    let policy = McpPolicy::builder()
        .baseline("read")
        .unwrap()
        .build()
        .unwrap();
    let layer = McpScopesLayer::new(policy);
    let mut body = Slow::of(&["not even JSON"]);
    // A small one is read, for its end alone: see `refusal/unread.rs`.
    body.size = Some(1 << 20);
    let asked = Arc::clone(&body.asked);
    let mut request = request(body);
    insert_anonymous(request.extensions_mut());
    let error = ask(&layer, request).await.unwrap_err();
    assert_eq!(error.kind(), AuthErrorKind::Missing);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_service_that_was_ready_is_the_one_called() {
    let (mock, mut handle) = tower_test::mock::pair::<
        Request<tower_mcp_auth::mcp::RequestBody<Slow>>,
        http::Response<Slow>,
    >();
    let mut service = layer().layer(mock);
    handle.allow(1);
    std::future::poll_fn(|cx| Service::<Request<Slow>>::poll_ready(&mut service, cx))
        .await
        .unwrap();
    // The mock panics where a service is called that was not polled ready.
    let answer = common::spawn(service.call(request(Slow::of(&[&call("get")]))));
    let (seen, respond) = handle.next_request().await.unwrap();
    assert_eq!(seen.method(), "POST");
    respond.send_response(http::Response::new(Slow::default()));
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn without_an_auth_layer_it_is_a_logged_500() {
    trace::start();
    let service = layer().layer(service_fn(|_| async {
        Ok::<_, Infallible>(http::Response::new(Slow::default()))
    }));
    let bare = Request::post("/mcp").body(Slow::of(&["{}"])).unwrap();
    let response = service.oneshot(bare).await.unwrap();
    assert_eq!(response.status(), 500);
    assert_eq!(trace::take()[0].field("piece"), "McpScopesLayer");
}

#[test]
fn limits_of_nothing_are_refused() {
    assert_eq!(
        layer().max_body_bytes(0).unwrap_err().setting(),
        "max_body_bytes"
    );
    assert_eq!(
        layer().read_timeout(Duration::ZERO).unwrap_err().setting(),
        "read_timeout"
    );
}
