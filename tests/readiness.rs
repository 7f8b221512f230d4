//! What the layer owes the service behind it: readiness, no needless clones, its errors and
//! bodies untouched.

mod common;

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use common::{API_KEY, Answering, Inner, guards, hs256_layer, provider, request};
use http::{HeaderName, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use tokio::sync::oneshot;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::limit::ConcurrencyLimitLayer;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt};
use tower_mcp_auth::auth::{Accepted, AuthLayer, Authentication, ResponseBody};
use tower_mcp_auth::{ApiKeyLayer, AuthError, Principal};
use tower_test::mock;

type Verdict = Result<Accepted, AuthError>;

/// A provider that waits for as many verdicts as there are requests, and their senders.
fn waiting(count: usize) -> (Answering, Vec<oneshot::Sender<Verdict>>) {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| oneshot::channel()).unzip();
    let receivers = Mutex::new(receivers.into_iter());
    let provider = Answering::new(move |_| {
        let receiver: oneshot::Receiver<Verdict> = receivers.lock().unwrap().next().unwrap();
        Authentication::Pending(Box::pin(async move { receiver.await.unwrap() }))
    });
    (provider, senders)
}

fn bearer() -> Request<Full<Bytes>> {
    request(&[("authorization", "Bearer x")])
}

async fn ready<S>(service: &mut S) -> &mut S
where
    S: Service<Request<Full<Bytes>>>,
    S::Error: std::fmt::Debug,
{
    service.ready().await.unwrap()
}

type Mocked = mock::Spawn<
    tower_mcp_auth::auth::AuthService<
        mock::Mock<Request<Full<Bytes>>, Response<Full<Bytes>>>,
        Answering,
    >,
>;
type Handle = mock::Handle<Request<Full<Bytes>>, Response<Full<Bytes>>>;

fn spawn(provider: Answering) -> (Mocked, Handle) {
    mock::spawn_layer(AuthLayer::new(provider))
}

/// The request as it reached the mock, answered with an empty 200.
async fn serve(handle: &mut Handle) -> Request<Full<Bytes>> {
    let (request, respond) = handle.next_request().await.expect("a request");
    respond.send_response(Response::default());
    request
}

#[tokio::test]
async fn the_service_that_was_polled_ready_is_the_one_that_is_called() {
    // The mock panics when a clone is called that was not polled ready itself.
    let (provider, mut senders) = waiting(1);
    let (mut service, mut handle) = spawn(provider);
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call(bearer()));
    assert_pending!(response.poll());
    assert_pending!(task::spawn(handle.next_request()).poll());

    senders.remove(0).send(Ok(provider::alice())).unwrap();
    assert_pending!(response.poll());
    let request = serve(&mut handle).await;
    assert_eq!(
        Principal::from_extensions(request.extensions())
            .unwrap()
            .subject(),
        Some("alice")
    );
    assert!(!request.headers().contains_key("authorization"));
    assert_eq!(assert_ready_ok!(response.poll()).status(), 200);
}

#[tokio::test]
async fn a_ready_answer_calls_the_ready_service_as_well() {
    let (mut service, mut handle) = spawn(Answering::accepting());
    for _ in 0..2 {
        handle.allow(1);
        assert_ready_ok!(service.poll_ready());
        let mut response = task::spawn(service.call(bearer()));
        assert_pending!(response.poll());
        serve(&mut handle).await;
        assert_ready_ok!(response.poll());
    }
}

#[tokio::test]
async fn readiness_is_that_of_the_inner_service() {
    let (mut service, mut handle) = spawn(Answering::accepting());
    handle.allow(0);
    assert_pending!(service.poll_ready());
    handle.allow(1);
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
    handle.send_error("out of order");
    assert_eq!(
        assert_ready_err!(service.poll_ready()).to_string(),
        "out of order"
    );
}

#[tokio::test]
async fn a_refused_request_is_answered_without_the_inner_service() {
    let refused = Answering::refusing(AuthError::invalid("no"));
    let (mut service, mut handle) = spawn(refused);
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call(bearer()));
    assert_eq!(assert_ready_ok!(response.poll()).status(), 401);

    let (provider, mut senders) = waiting(1);
    let (mut service, mut late) = spawn(provider);
    late.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call(bearer()));
    assert_pending!(response.poll());
    senders
        .remove(0)
        .send(Err(AuthError::invalid("no")))
        .unwrap();
    assert_eq!(assert_ready_ok!(response.poll()).status(), 401);

    for handle in [&mut handle, &mut late] {
        assert_pending!(task::spawn(handle.next_request()).poll());
    }
}

#[tokio::test]
async fn a_concurrency_limit_of_one_survives_requests_that_wait() {
    let (provider, senders) = waiting(2);
    let inner = Inner::default();
    let mut service = ServiceBuilder::new()
        .layer(AuthLayer::new(provider))
        .layer(ConcurrencyLimitLayer::new(1))
        .service(inner.handle());
    for sender in senders {
        let mut response = task::spawn(ready(&mut service).await.call(bearer()));
        assert_pending!(response.poll());
        // The waiting request holds the only permit.
        assert_pending!(task::spawn(ready(&mut service)).poll());
        sender.send(Ok(provider::alice())).unwrap();
        assert_eq!(assert_ready_ok!(response.poll()).status(), 200);
        drop(response);
    }
    assert_eq!(inner.calls(), 2);
}

#[tokio::test]
async fn two_clones_behind_one_limit_take_turns() {
    let (provider, mut senders) = waiting(2);
    let inner = Inner::default();
    let mut first = ServiceBuilder::new()
        .layer(AuthLayer::new(provider))
        .layer(ConcurrencyLimitLayer::new(1))
        .service(inner.handle());
    let mut second = first.clone();
    let mut one = task::spawn(ready(&mut first).await.call(bearer()));
    assert_pending!(one.poll());
    let mut two = task::spawn(async { ready(&mut second).await.call(bearer()).await });
    assert_pending!(two.poll());
    senders
        .remove(0)
        .send(Err(AuthError::invalid("no")))
        .unwrap();
    assert_eq!(assert_ready_ok!(one.poll()).status(), 401);
    // A refusal gives the permit back as soon as it is known.
    assert!(two.is_woken());
    assert_pending!(two.poll());
    senders.remove(0).send(Ok(provider::alice())).unwrap();
    assert_eq!(assert_ready_ok!(two.poll()).status(), 200);
    assert_eq!(inner.calls(), 1);
}

#[tokio::test]
async fn a_dropped_request_gives_back_the_ready_service_and_stops_waiting() {
    let (provider, mut senders) = waiting(1);
    let inner = Inner::default();
    let mut service = ServiceBuilder::new()
        .layer(AuthLayer::new(provider))
        .layer(ConcurrencyLimitLayer::new(1))
        .service(inner.handle());
    let mut response = task::spawn(ready(&mut service).await.call(bearer()));
    assert_pending!(response.poll());
    assert_pending!(task::spawn(ready(&mut service)).poll());
    drop(response);
    assert_ready!(task::spawn(ready(&mut service)).poll());
    assert!(senders.remove(0).is_closed());
    assert_eq!(inner.calls(), 0);
}

#[tokio::test]
async fn an_answer_that_is_ready_clones_nothing() {
    for guard in guards() {
        let inner = Inner::default();
        let layer = guard.layer.clone().public_path("/health").unwrap();
        let mut service = layer.layer(inner.handle());
        for request in [
            guard.good_request("/mcp"),
            guard.bare_request("/mcp"),
            guard.bare_request("/health"),
            guard.good_request("/mcp?token=x"),
        ] {
            ready(&mut service).await.call(request).await.unwrap();
        }
        assert_eq!((inner.calls(), inner.clones()), (2, 0), "{}", guard.name);
    }
}

#[tokio::test]
async fn an_answer_that_waits_clones_once() {
    let (provider, mut senders) = waiting(1);
    let inner = Inner::default();
    let mut service = AuthLayer::new(provider).layer(inner.handle());
    let mut response = task::spawn(ready(&mut service).await.call(bearer()));
    assert_pending!(response.poll());
    senders.remove(0).send(Ok(provider::alice())).unwrap();
    assert_ready_ok!(response.poll());
    assert_eq!((inner.calls(), inner.clones()), (1, 1));
}

#[derive(Debug, PartialEq, Eq)]
struct Broken(u8);

#[tokio::test]
async fn the_error_of_the_inner_service_comes_out_as_it_is() {
    for guard in guards() {
        let service = tower::service_fn(async |_: Request<Full<Bytes>>| {
            Err::<Response<Empty<Bytes>>, _>(Broken(7))
        });
        let error: Broken = guard
            .layer
            .layer(service)
            .oneshot(guard.good_request("/mcp"))
            .await
            .unwrap_err();
        assert_eq!(error, Broken(7));
        // A refusal is no error.
        let service = tower::service_fn(async |_: Request<Full<Bytes>>| {
            Err::<Response<Empty<Bytes>>, _>(Broken(7))
        });
        let response = guard
            .layer
            .layer(service)
            .oneshot(guard.bare_request("/mcp"))
            .await;
        assert_eq!(response.unwrap().status(), 401);
    }
}

#[tokio::test]
async fn the_response_of_the_inner_service_comes_out_as_it_is() {
    let service = tower::service_fn(async |_: Request<Full<Bytes>>| {
        let mut response = Response::new(Full::<Bytes>::from("hello"));
        *response.status_mut() = http::StatusCode::IM_A_TEAPOT;
        response
            .headers_mut()
            .insert("x-inner", HeaderValue::from_static("1"));
        response.extensions_mut().insert(5_u8);
        Ok::<_, Infallible>(response)
    });
    for guard in guards() {
        let response = guard
            .layer
            .layer(service)
            .oneshot(guard.good_request("/mcp"))
            .await
            .unwrap();
        assert_eq!(response.status(), 418);
        assert_eq!(response.headers().len(), 1);
        assert_eq!(response.extensions().get(), Some(&5_u8));
        assert_eq!(
            response.into_body().collect().await.unwrap().to_bytes(),
            "hello"
        );
    }
}

#[tokio::test]
async fn headers_of_the_provider_are_set_on_the_response_ready_or_not() {
    let name = HeaderName::from_static("dpop-nonce");
    let accepted = provider::alice().with_response_header(name, HeaderValue::from_static("n1"));
    let (ready, pending) = (accepted.clone(), accepted);
    for provider in [
        Answering::new(move |_| Authentication::Ready(Ok(ready.clone()))),
        Answering::new(move |_| {
            let accepted = pending.clone();
            Authentication::Pending(Box::pin(async move { Ok(accepted) }))
        }),
    ] {
        let answer = common::ask(&AuthLayer::new(provider), bearer()).await;
        answer.admitted();
        assert_eq!(answer.headers.get_all("dpop-nonce").iter().count(), 1);
        assert_eq!(answer.headers["dpop-nonce"], "n1");
    }
}

/// Neither `Default` nor of a known size, and its errors are its own.
#[derive(Debug)]
struct Streaming(Vec<Result<Frame<Bytes>, BoxError>>);

impl Body for Streaming {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.0.pop())
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(2);
        hint.set_upper(9);
        hint
    }
}

#[tokio::test]
async fn size_end_trailers_and_errors_of_the_inner_body_are_forwarded() {
    let service = tower::service_fn(async |_: Request<Full<Bytes>>| {
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("1"));
        let frames = vec![
            Err("cut off".into()),
            Ok(Frame::trailers(trailers)),
            Ok(Frame::data(Bytes::from_static(b"ab"))),
        ];
        Ok::<_, Infallible>(Response::new(Streaming(frames)))
    });
    let [guard, _] = guards();
    let response = guard
        .layer
        .layer(service)
        .oneshot(guard.good_request("/mcp"))
        .await
        .unwrap();
    let mut body = pin!(response.into_body());
    assert_eq!(
        (body.size_hint().lower(), body.size_hint().upper()),
        (2, Some(9))
    );
    assert!(!body.is_end_stream());
    let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(data, "ab");
    let trailers = body
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_trailers()
        .unwrap();
    assert_eq!(trailers["x-sum"], "1");
    assert_eq!(
        body.frame().await.unwrap().unwrap_err().to_string(),
        "cut off"
    );
    assert!(body.is_end_stream());

    // The body of a refusal knows its size too, around whatever body.
    let service = tower::service_fn(async |_: Request<Full<Bytes>>| {
        Ok::<_, Infallible>(Response::new(Streaming(vec![])))
    });
    let response = guard
        .layer
        .layer(service)
        .oneshot(guard.bare_request("/mcp"))
        .await
        .unwrap();
    let exact = response.body().size_hint().exact().unwrap();
    assert!(!response.body().is_end_stream());
    assert_eq!(
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .len() as u64,
        exact
    );
}

#[test]
fn a_response_body_has_a_default_where_the_inner_one_has() {
    let body = ResponseBody::<Full<Bytes>>::default();
    assert!(body.is_end_stream());
    assert_eq!(body.size_hint().exact(), Some(0));
}

#[test]
fn everything_is_send_sync_clone_and_debug() {
    fn check<T: Clone + Send + Sync + std::fmt::Debug + 'static>(_: &T) {}
    fn check_send<T: Send>(_: &T) {}
    let api_key = ApiKeyLayer::new([API_KEY]).unwrap();
    let jwt = hs256_layer();
    check(&api_key);
    check(&jwt);
    check(&api_key.layer(Inner::default()));
    let mut service = jwt.layer(Inner::default());
    check(&service);
    // Without `Sync` of the inner service and its body as well.
    check_send(&service.call(request::<&str>(&[])));
    let boxed = AuthLayer::new(Answering::accepting()).boxed();
    check(&boxed);

    // Nothing is asked of a service before it is called.
    struct NotAService;
    let service = jwt.layer(NotAService);
    let NotAService = service.into_inner();
}

#[test]
fn the_inner_service_can_be_looked_at_changed_and_taken_out() {
    let mut service = hs256_layer().layer(5);
    assert_eq!(*service.get_ref(), 5);
    *service.get_mut() = 6;
    assert_eq!(service.into_inner(), 6);
}

#[tokio::test]
async fn all_clones_of_a_layer_share_one_provider() {
    let provider = Answering::accepting();
    let layer = AuthLayer::new(provider.clone());
    for layer in [layer.clone(), layer.clone().forward_credential(true), layer] {
        common::ask(&layer, bearer()).await.admitted();
    }
    assert_eq!(provider.asked(), 3);
    let shared: Arc<Answering> = Arc::new(provider.clone());
    common::ask(&AuthLayer::new(shared), bearer())
        .await
        .admitted();
    assert_eq!(provider.asked(), 4);
}

#[tokio::test]
#[should_panic(expected = "after completion")]
async fn a_finished_refusal_is_not_polled_again_silently() {
    let mut service = hs256_layer().layer(Inner::default());
    let mut response = task::spawn(service.call(request::<&str>(&[])));
    assert_ready!(response.poll()).unwrap();
    let _ = response.poll();
}
