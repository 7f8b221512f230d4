//! What the layer owes the service behind it: readiness, no needless clones, its errors and
//! bodies untouched.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use common::{API_KEY, Answering, Inner, guards, hs256_layer, invalid, provider, request};
use http::{HeaderName, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::layer::util::Stack;
use tower::limit::ConcurrencyLimitLayer;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt};
use tower_mcp_auth::auth::{AuthLayer, Authenticate, Authenticated, Authentication, ResponseBody};
use tower_mcp_auth::failed_attempts::FailedAttemptsLayer;
use tower_mcp_auth::mcp::{
    Budget, MacKey, McpListsLayer, McpPolicy, McpScopesLayer, McpStack, OriginLayer, QuotaLayer,
    RequestBody, SessionBindingLayer,
};
use tower_mcp_auth::peer::{SetPeerAddrLayer, SetPeerCertificateLayer};
use tower_mcp_auth::provider::{Credential, ProviderInfo, RequestHead, Route};
use tower_mcp_auth::revocation::Revocation;
use tower_mcp_auth::scopes::RequireScopesLayer;
use tower_mcp_auth::store::{
    Insertion, MemoryReplayStore, QuotaAnswer, QuotaCharge, QuotaLimit, QuotaStore, ReplayStore,
    StoreError, StoreFuture, StoreKey, StoreValue,
};
use tower_mcp_auth::{ApiKeyLayer, AuthError, OAuthLayer, Principal};
use tower_test::mock;

type Verdict = Result<Authenticated, AuthError>;

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
async fn a_request_that_waited_is_sent_to_a_service_that_is_ready_again() {
    // The mock panics when a clone is called that was not polled ready itself.
    let (provider, mut senders) = waiting(1);
    let (mut service, mut handle) = spawn(provider);
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call(bearer()));
    assert_pending!(response.poll());
    assert_pending!(task::spawn(handle.next_request()).poll());

    handle.allow(0);
    senders.remove(0).send(Ok(provider::alice())).unwrap();
    assert_pending!(response.poll());
    assert_pending!(task::spawn(handle.next_request()).poll());
    handle.allow(1);
    assert!(response.is_woken());
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
    let refused = Answering::refusing(invalid("no"));
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
    senders.remove(0).send(Err(invalid("no"))).unwrap();
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
        sender.send(Ok(provider::alice())).unwrap();
        assert_eq!(assert_ready_ok!(response.poll()).status(), 200);
        drop(response);
    }
    assert_eq!(inner.calls(), 2);
}

/// A provider whose one document is there when it is sent.
#[derive(Clone, Debug)]
struct Documents(Arc<Mutex<Option<oneshot::Receiver<Response<Bytes>>>>>);

impl Authenticate for Documents {
    fn describe(&self) -> ProviderInfo {
        ProviderInfo::new("documents")
    }

    fn route(&self, _: RequestHead<'_>) -> Route {
        match self.0.lock().unwrap().take() {
            Some(document) => Route::Pending(Box::pin(async { document.await.unwrap() })),
            None => Route::Public,
        }
    }

    fn authenticate(&self, _: &Credential<'_>, _: RequestHead<'_>) -> Authentication {
        unreachable!("no credential is sent")
    }
}

#[tokio::test]
async fn a_request_that_waits_for_a_document_holds_nothing_of_the_inner_service() {
    let (sender, document) = oneshot::channel();
    let inner = Inner::default();
    let mut service = ServiceBuilder::new()
        .layer(AuthLayer::new(Documents(Arc::new(Mutex::new(Some(
            document,
        ))))))
        .layer(ConcurrencyLimitLayer::new(1))
        .service(inner.handle());
    let plain = || request::<&str>(&[]);
    let mut other = service.clone();
    let mut waits = task::spawn(ready(&mut service).await.call(plain()));
    assert_pending!(waits.poll());
    // A service that is kept holds no permit.
    let mut other = task::spawn(async { ready(&mut other).await.call(plain()).await });
    let other = assert_ready!(other.poll()).unwrap();
    assert_eq!((other.status().as_u16(), inner.calls()), (200, 1));

    sender
        .send(Response::new(Bytes::from_static(b"document")))
        .unwrap();
    assert!(waits.is_woken());
    let response = assert_ready_ok!(waits.poll());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!((&body[..], inner.calls()), (&b"document"[..], 1));
}

/// A body that comes when it is sent.
fn sent() -> (UnboundedSender<&'static str>, Sent) {
    let (sender, receiver) = unbounded_channel();
    (sender, Sent(receiver))
}

#[derive(Debug)]
struct Sent(UnboundedReceiver<&'static str>);

impl Body for Sent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let data = self.0.poll_recv(cx);
        data.map(|data| Some(Ok(Frame::data(Bytes::from_static(data?.as_bytes())))))
    }
}

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// A POST of `body`, by a caller whom the layer knows at once.
fn posted<B>(body: B) -> Request<B> {
    Request::post("/mcp")
        .header("authorization", "Bearer known")
        .header("content-type", "application/json")
        .header("host", "mcp.example.com")
        .body(body)
        .unwrap()
}

/// Answers who says `known` at once, and everybody else when there is a verdict.
fn known_or_waiting(count: usize) -> (Answering, Vec<oneshot::Sender<Verdict>>) {
    let (waits, senders) = waiting(count);
    let provider = Answering::new(move |credential| match credential.value() {
        "known" => Authentication::Ready(Ok(provider::alice())),
        _ => {
            let head = request::<&str>(&[]);
            waits.authenticate(credential, (&head.into_parts().0).into())
        }
    });
    (provider, senders)
}

fn open_policy() -> McpPolicy {
    McpPolicy::builder().build().unwrap()
}

/// Takes any body.
#[derive(Clone, Debug, Default)]
struct Counting(Arc<AtomicUsize>);

impl<B> Service<Request<B>> for Counting {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Ok(Response::default()))
    }
}

async fn ready_for<S>(service: &mut S) -> &mut S
where
    S: Service<Request<Sent>>,
    S::Error: std::fmt::Debug,
{
    service.ready().await.unwrap()
}

/// Asks with a body that does not end, and meanwhile with one that is there: the second is
/// answered, whether the first one's handle is kept, is a clone, or is gone; and then the first.
async fn another_goes_first<S, R>(
    service: S,
    stuck: Request<Sent>,
    sender: UnboundedSender<&'static str>,
    row: &str,
) where
    S: Service<Request<Sent>, Response = Response<R>> + Clone,
    S::Error: std::fmt::Debug,
    R: std::fmt::Debug,
{
    let mut first = service.clone();
    let mut second = service.clone();
    let mut waits = task::spawn(first.ready().await.unwrap().call(stuck));
    assert_pending!(waits.poll(), "{row}");
    for handle in [&mut second, &mut first] {
        let (good, body) = sent();
        good.send(PING).unwrap();
        drop(good);
        let mut called = task::spawn(handle.ready());
        let called = assert_ready_ok!(called.poll(), "{row}").call(posted(body));
        let mut answer = task::spawn(called);
        assert_eq!(
            assert_ready_ok!(answer.poll(), "{row}").status(),
            200,
            "{row}"
        );
    }
    assert_pending!(waits.poll(), "{row}");
    sender.send(PING).unwrap();
    drop(sender);
    assert!(waits.is_woken(), "{row}");
    assert_eq!(
        assert_ready_ok!(waits.poll(), "{row}").status(),
        200,
        "{row}"
    );
}

/// A budget of so many calls.
fn quotas(count: u32) -> QuotaLayer {
    let budget = Budget::new("calls", count, Duration::from_secs(60)).unwrap();
    QuotaLayer::in_memory().budget(budget).unwrap()
}

#[tokio::test]
async fn a_slow_body_holds_no_permit_of_the_service_behind() {
    let limited = || ConcurrencyLimitLayer::new(1).layer(Counting::default());
    let auth = || AuthLayer::new(Answering::accepting());
    let origin = || OriginLayer::new("https://mcp.example.com/mcp").unwrap();
    let (sender, body) = sent();
    let operations = ServiceBuilder::new()
        .layer(auth())
        .layer(McpScopesLayer::new(open_policy()))
        .service(limited());
    another_goes_first(operations, posted(body), sender, "operations").await;
    let (sender, body) = sent();
    let counted = ServiceBuilder::new()
        .layer(auth())
        .layer(quotas(9))
        .service(limited());
    another_goes_first(counted, posted(body), sender, "quotas").await;
    let (sender, body) = sent();
    let lists = ServiceBuilder::new()
        .layer(auth())
        .layer(McpScopesLayer::new(open_policy()))
        .layer(McpListsLayer::new(open_policy()))
        .service(limited());
    another_goes_first(lists, posted(body), sender, "lists").await;
    let (sender, body) = sent();
    let key = MacKey::new("R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5").unwrap();
    let stack = McpStack::new(origin(), auth())
        .sessions(SessionBindingLayer::new(key))
        .policy(open_policy())
        .unwrap()
        .layer(limited());
    another_goes_first(stack, posted(body), sender, "the stack").await;
}

#[tokio::test]
async fn a_credential_that_is_waited_for_holds_no_permit_of_the_service_behind() {
    let (provider, mut senders) = known_or_waiting(1);
    let service = ServiceBuilder::new()
        .layer(AuthLayer::new(provider))
        .layer(ConcurrencyLimitLayer::new(1))
        .service(Counting::default());
    let (mut first, mut second) = (service.clone(), service);
    let junk = || request(&[("authorization", "Bearer junk")]);
    let good = || request(&[("authorization", "Bearer known")]);
    let mut waits = task::spawn(ready(&mut first).await.call(junk()));
    assert_pending!(waits.poll());
    for handle in [&mut second, &mut first] {
        let mut called = task::spawn(ready(handle));
        let mut answer = task::spawn(assert_ready!(called.poll()).call(good()));
        assert_eq!(assert_ready_ok!(answer.poll()).status(), 200);
    }
    let wrong = invalid("no");
    senders.remove(0).send(Err(wrong)).unwrap();
    assert_eq!(assert_ready_ok!(waits.poll()).status(), 401);
}

/// A session that an anonymous caller opened.
async fn anonymous_session(layer: &SessionBindingLayer) -> HeaderValue {
    let mut request = request::<&str>(&[]);
    tower_mcp_auth::testing::insert_anonymous(request.extensions_mut());
    let opens = tower::service_fn(async |_: Request<Full<Bytes>>| {
        let response = Response::builder().header("mcp-session-id", "one");
        Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
    });
    let opened = layer.layer(opens).oneshot(request).await.unwrap();
    opened.headers()["mcp-session-id"].clone()
}

/// A store of claims that answers when it is told to.
#[derive(Clone, Debug)]
struct WaitingStore(Arc<Mutex<std::vec::IntoIter<oneshot::Receiver<Claimed>>>>);

type Claimed = Result<Insertion, StoreError>;

impl WaitingStore {
    fn new(count: usize) -> (Self, Vec<oneshot::Sender<Claimed>>) {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| oneshot::channel()).unzip();
        (Self(Arc::new(Mutex::new(receivers.into_iter()))), senders)
    }
}

impl ReplayStore for WaitingStore {
    fn insert_if_absent(&self, _: StoreKey, _: StoreValue, _: Duration) -> StoreFuture<Insertion> {
        let answer = self.0.lock().unwrap().next().unwrap();
        Box::pin(async move { answer.await.unwrap() })
    }

    fn get(&self, _: StoreKey) -> StoreFuture<Option<StoreValue>> {
        unreachable!("principals alone ask")
    }

    fn complete_since(&self) -> Duration {
        Duration::ZERO
    }
}

/// The layer, and a request that waits for its store.
async fn claiming(store: WaitingStore) -> (SessionBindingLayer, Request<Full<Bytes>>) {
    let key = MacKey::new("R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5").unwrap();
    let layer = SessionBindingLayer::new(key).anonymous_sessions_can_be_claimed(store);
    let mut request = bearer();
    let id = anonymous_session(&layer).await;
    request.headers_mut().insert("mcp-session-id", id);
    (layer, request)
}

/// A store of budgets that answers when it is told to.
#[derive(Clone, Debug)]
struct WaitingQuotas(Arc<Mutex<Option<oneshot::Receiver<Charged>>>>);

type Charged = Result<bool, StoreError>;

impl QuotaStore for WaitingQuotas {
    fn charge(&self, charges: Vec<QuotaCharge>) -> StoreFuture<QuotaAnswer> {
        let answer = self.0.lock().unwrap().take().unwrap();
        Box::pin(async move {
            let admitted = answer.await.unwrap()?;
            let state = |charge: &QuotaCharge| {
                let debt = Duration::from_secs(60);
                let limit: QuotaLimit = charge.limit();
                limit.state(charge.cost(), admitted, Duration::ZERO, debt)
            };
            let states = charges.iter().map(state).collect();
            Ok(match admitted {
                true => QuotaAnswer::Admitted(states),
                false => QuotaAnswer::Refused(states),
            })
        })
    }
}

#[tokio::test]
async fn a_store_of_budgets_that_is_waited_for_holds_no_permit_of_the_service_behind() {
    let rows = [
        (Ok(true), 200),
        (Ok(false), 429),
        (Err(StoreError::new("no")), 503),
    ];
    for (answer, status) in rows {
        let (sender, receiver) = oneshot::channel();
        let store = WaitingQuotas(Arc::new(Mutex::new(Some(receiver))));
        let budget = Budget::new("calls", 1, Duration::from_secs(60)).unwrap();
        let layer = QuotaLayer::shared(store, "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5").unwrap();
        let layer = layer.budget(budget).unwrap();
        let free = Counting::default();
        let limited = ConcurrencyLimitLayer::new(1).layer(free);
        let mut service = ServiceBuilder::new()
            .layer(AuthLayer::new(Answering::accepting()))
            .layer(layer)
            .service(limited);
        let mut waits = task::spawn(ready(&mut service).await.call(bearer()));
        assert_pending!(waits.poll());
        // The permit is free for a clone.
        let mut clone = service.clone();
        let mut called = task::spawn(ready(&mut clone));
        let _ = assert_ready!(called.poll());
        drop(called);
        drop(clone);
        sender.send(answer).unwrap();
        assert!(waits.is_woken());
        assert_eq!(assert_ready_ok!(waits.poll()).status(), status);
    }
}

#[tokio::test]
async fn a_store_of_claims_that_is_waited_for_holds_no_permit_of_the_service_behind() {
    for answer in [Ok(Insertion::Inserted), Err(StoreError::new("no"))] {
        let (store, mut senders) = WaitingStore::new(1);
        let (sessions, claim) = claiming(store).await;
        let service = ServiceBuilder::new()
            .layer(AuthLayer::new(Answering::accepting()))
            .layer(sessions)
            .layer(ConcurrencyLimitLayer::new(1))
            .service(Counting::default());
        let (mut first, mut second) = (service.clone(), service);
        let mut waits = task::spawn(ready(&mut first).await.call(claim));
        assert_pending!(waits.poll());
        for handle in [&mut second, &mut first] {
            let mut called = task::spawn(ready(handle));
            let mut answer = task::spawn(assert_ready!(called.poll()).call(bearer()));
            assert_eq!(assert_ready_ok!(answer.poll()).status(), 200);
        }
        let status = if answer.is_ok() { 200 } else { 503 };
        senders.remove(0).send(answer).unwrap();
        assert!(waits.is_woken());
        assert_eq!(assert_ready_ok!(waits.poll()).status(), status);
    }
}

#[tokio::test]
async fn a_request_that_waited_for_a_claim_is_sent_to_a_service_that_is_ready_again() {
    for fails in [false, true] {
        let (store, mut senders) = WaitingStore::new(1);
        let (sessions, claim) = claiming(store).await;
        let layers = Stack::new(sessions, AuthLayer::new(Answering::accepting()));
        let (mut service, mut handle): (_, Handle) = mock::spawn_layer(layers);
        handle.allow(1);
        assert_ready_ok!(service.poll_ready());
        let mut response = task::spawn(service.call(claim));
        assert_pending!(response.poll());
        handle.allow(0);
        senders.remove(0).send(Ok(Insertion::Inserted)).unwrap();
        assert_pending!(response.poll());
        assert_pending!(task::spawn(handle.next_request()).poll());
        if fails {
            handle.send_error("out of order");
            let error = assert_ready_err!(response.poll());
            assert_eq!(error.to_string(), "out of order");
            continue;
        }
        handle.allow(1);
        assert!(response.is_woken());
        assert_pending!(response.poll());
        let request = serve(&mut handle).await;
        assert_eq!(request.headers()["mcp-session-id"], "one");
        assert_eq!(assert_ready_ok!(response.poll()).status(), 200);
    }
}

/// The outer handle is kept all the while, as in `service.ready().await?.call(request).await`.
#[tokio::test]
async fn a_handle_that_is_kept_does_not_wait_for_itself() {
    let (provider, senders) = waiting(3);
    let inner = Inner::default();
    let mut service = ServiceBuilder::new()
        .layer(AuthLayer::new(provider))
        .layer(ConcurrencyLimitLayer::new(1))
        .service(inner.handle());
    let answering = tokio::spawn(async move {
        for sender in senders {
            tokio::task::yield_now().await;
            sender.send(Ok(provider::alice())).unwrap();
        }
    });
    for _ in 0..3 {
        let response = ready(&mut service).await.call(bearer()).await;
        assert_eq!(response.unwrap().status(), 200);
    }
    answering.await.unwrap();
    assert_eq!(inner.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_waits_for_a_body_holds_no_permit_either() {
    let refusing = || AuthLayer::new(Answering::refusing(invalid("no")));
    let accepting = || AuthLayer::new(Answering::accepting());
    let key = || MacKey::new("R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5").unwrap();
    let limit = ConcurrencyLimitLayer::new(1);
    let origin = OriginLayer::new("https://other.example.com/mcp").unwrap();
    let attempts = FailedAttemptsLayer::new(|_| None);
    macro_rules! check {
        ($row:literal, $layers:expr, $request:expr) => {
            let inner = limit.layer(Counting::default());
            let mut free = inner.clone();
            let mut service = $layers.layer(inner);
            let mut waits = task::spawn(ready_for(&mut service).await.call($request));
            let (sender, body) = sent();
            drop(sender);
            let mut called = task::spawn(ready_for(&mut free));
            assert_pending!(waits.poll(), $row);
            let free = assert_ready!(called.poll(), $row);
            let mut answer = task::spawn(free.call(posted(body)));
            assert_ready_ok!(answer.poll(), $row);
            drop(answer);
            drop(waits);
        };
    }
    // The sender is kept, so that the body does not end.
    let kept: Vec<_> = (0..8).map(|_| sent()).collect();
    let (_senders, bodies): (Vec<_>, Vec<_>) = kept.into_iter().unzip();
    let mut bodies = bodies.into_iter();
    let mut next = || posted(bodies.next().unwrap());
    let mut bound = next();
    let id = "none".parse().unwrap();
    bound.headers_mut().insert("mcp-session-id", id);
    let mut typed = next();
    let plain = "text/plain".parse().unwrap();
    typed.headers_mut().insert("content-type", plain);
    check!("auth", refusing(), next());
    check!("origin", origin, next());
    check!("attempts", attempts, next());
    let scopes = RequireScopesLayer::new(["admin"]).unwrap();
    check!("scopes", Stack::new(scopes, accepting()), next());
    let sessions = SessionBindingLayer::new(key());
    check!("sessions", Stack::new(sessions, accepting()), bound);
    let operations = McpScopesLayer::new(open_policy());
    check!("operations", Stack::new(operations, accepting()), typed);
    let used_up = quotas(1).requests_only().unwrap();
    let one = Stack::new(used_up.clone(), accepting()).layer(Counting::default());
    assert_eq!(one.oneshot(bearer()).await.unwrap().status(), 200);
    check!("quotas", Stack::new(used_up, accepting()), next());
    // Refused by the store, which has no room.
    let sessions = SessionBindingLayer::new(key());
    let claims = sessions.anonymous_sessions_can_be_claimed(MemoryReplayStore::new(0));
    let mut anonymous = next();
    let id = anonymous_session(&claims).await;
    anonymous.headers_mut().insert("mcp-session-id", id);
    check!("claims", Stack::new(claims, accepting()), anonymous);
}

#[tokio::test]
async fn what_went_wrong_in_becoming_ready_again_is_the_error_of_the_inner_service() {
    let (provider, mut senders) = waiting(1);
    let (mut service, mut handle) = spawn(provider);
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call(bearer()));
    assert_pending!(response.poll());
    handle.send_error("out of order");
    senders.remove(0).send(Ok(provider::alice())).unwrap();
    assert_eq!(
        assert_ready_err!(response.poll()).to_string(),
        "out of order"
    );
}

#[tokio::test]
async fn a_body_that_was_waited_for_goes_to_a_service_that_is_ready_again() {
    type Inside = mock::Mock<Request<RequestBody<Sent>>, Response<Full<Bytes>>>;
    for fails in [false, true] {
        let layers = ServiceBuilder::new()
            .layer(AuthLayer::new(Answering::accepting()))
            .layer(McpScopesLayer::new(open_policy()));
        let (mock, mut handle): (Inside, _) = mock::pair();
        let mut service = layers.service(mock);
        handle.allow(1);
        let (sender, body) = sent();
        let mut response = task::spawn(service.ready().await.unwrap().call(posted(body)));
        assert_pending!(response.poll());
        handle.allow(0);
        sender.send(PING).unwrap();
        drop(sender);
        assert_pending!(response.poll());
        assert_pending!(task::spawn(handle.next_request()).poll());
        if fails {
            handle.send_error("out of order");
            let error = assert_ready_err!(response.poll());
            assert_eq!(error.to_string(), "out of order");
            continue;
        }
        handle.allow(1);
        assert!(response.is_woken());
        assert_pending!(response.poll());
        let (request, respond) = handle.next_request().await.unwrap();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, PING);
        respond.send_response(Response::default());
        assert_eq!(assert_ready_ok!(response.poll()).status(), 200);
    }
}

#[tokio::test]
async fn queues_and_load_shedding_behind_the_layer_work_after_a_wait() {
    let (provider, senders) = waiting(2);
    let buffered = ServiceBuilder::new()
        .layer(AuthLayer::new(provider))
        .layer(tower::buffer::BufferLayer::new(1))
        .service(Counting::default());
    let (mut first, mut second) = (buffered.clone(), buffered);
    let mut one = task::spawn(ready(&mut first).await.call(bearer()));
    assert_pending!(one.poll());
    // The one place of the queue is not kept by the request that waits.
    let mut two = task::spawn(ready(&mut second).await.call(bearer()));
    assert_pending!(two.poll());
    for sender in senders {
        sender.send(Ok(provider::alice())).unwrap();
    }
    assert_eq!(one.await.unwrap().status(), 200);
    assert_eq!(two.await.unwrap().status(), 200);

    let (provider, mut senders) = waiting(1);
    let limit = ConcurrencyLimitLayer::new(1).layer(Counting::default());
    let mut busy = limit.clone();
    let mut shedding = ServiceBuilder::new()
        .layer(AuthLayer::new(provider))
        .load_shed()
        .service(limit);
    let mut response = task::spawn(ready(&mut shedding).await.call(bearer()));
    assert_pending!(response.poll());
    ready(&mut busy).await;
    senders.remove(0).send(Ok(provider::alice())).unwrap();
    let error = assert_ready_err!(response.poll());
    assert!(error.is::<tower::load_shed::error::Overloaded>(), "{error}");
}

#[tokio::test]
async fn two_clones_behind_one_limit_take_no_turns_while_they_wait() {
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
    // The later one is answered first.
    senders.remove(1).send(Ok(provider::alice())).unwrap();
    assert_eq!(assert_ready_ok!(two.poll()).status(), 200);
    drop(two);
    senders.remove(0).send(Err(invalid("no"))).unwrap();
    assert_eq!(assert_ready_ok!(one.poll()).status(), 401);
    assert_eq!(inner.calls(), 1);
}

#[tokio::test]
async fn a_dropped_request_stops_waiting() {
    let (provider, mut senders) = waiting(1);
    let inner = Inner::default();
    let mut service = ServiceBuilder::new()
        .layer(AuthLayer::new(provider))
        .layer(ConcurrencyLimitLayer::new(1))
        .service(inner.handle());
    let mut response = task::spawn(ready(&mut service).await.call(bearer()));
    assert_pending!(response.poll());
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
async fn an_answer_that_waits_clones_once_to_give_readiness_back_and_once_to_be_called() {
    let (provider, mut senders) = waiting(1);
    let inner = Inner::default();
    let mut service = AuthLayer::new(provider).layer(inner.handle());
    let mut response = task::spawn(ready(&mut service).await.call(bearer()));
    assert_pending!(response.poll());
    senders.remove(0).send(Ok(provider::alice())).unwrap();
    assert_ready_ok!(response.poll());
    assert_eq!((inner.calls(), inner.clones()), (1, 2));
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
    let accepted = provider::alice().response_header(name, HeaderValue::from_static("n1"));
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
    let oauth = OAuthLayer::new("https://mcp.example.com/mcp", "https://auth.example.com").unwrap();
    let oauth = oauth.revocation(Revocation::in_memory());
    check(
        &oauth
            .backchannel_logout("https://auth.example.com", "mcp-server")
            .unwrap(),
    );

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

#[test]
fn every_service_leads_to_its_inner_one_and_prints_it() {
    fn name<T>(_: &T) -> String {
        let name = std::any::type_name::<T>();
        let name = name.split('<').next().unwrap();
        name.rsplit("::").next().unwrap().to_owned()
    }
    macro_rules! check {
        ($($layer:expr),* $(,)?) => {$({
            let mut service = $layer.layer(5).clone();
            let name = name(&service);
            assert_eq!(*service.get_ref(), 5, "{name}");
            *service.get_mut() = 6;
            assert_eq!(format!("{service:?}"), format!("{name} {{ inner: 6, .. }}"));
            assert_eq!(service.into_inner(), 6, "{name}");
        })*};
    }
    let resource = "https://mcp.example.com/mcp";
    let origin = || OriginLayer::new(resource).unwrap();
    let key = MacKey::new("R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5").unwrap();
    check!(
        FailedAttemptsLayer::new(|_| None),
        SetPeerAddrLayer::new(|_| None),
        SetPeerCertificateLayer::of_connection(None),
        origin(),
        hs256_layer(),
        SessionBindingLayer::new(key.clone()),
        SessionBindingLayer::new(key)
            .anonymous_sessions_can_be_claimed(MemoryReplayStore::default()),
        RequireScopesLayer::new("mcp:read").unwrap(),
        McpScopesLayer::new(open_policy()),
        McpListsLayer::new(open_policy()),
        QuotaLayer::in_memory(),
    );
    // A stack is made of them, the outermost first.
    let stack = McpStack::new(origin(), hs256_layer())
        .policy(open_policy())
        .unwrap();
    let service = stack.layer(5).into_inner().into_inner();
    assert_eq!(service.into_inner().into_inner(), 5);
}

#[tokio::test]
async fn a_service_for_logouts_is_ready_while_bodies_are_waited_for() {
    let issuer = "https://auth.example.com";
    let layer = OAuthLayer::new("https://mcp.example.com/mcp", issuer).unwrap();
    let layer = layer.revocation(Revocation::in_memory());
    let mut service = layer.backchannel_logout(issuer, "mcp-server").unwrap();
    let form = |body| {
        Request::post("/")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .unwrap()
    };
    let (_feeder, body) = sent();
    let mut waiting = task::spawn(ready_for(&mut service).await.call(form(body)));
    assert_pending!(waiting.poll());
    let (feeder, body) = sent();
    drop(feeder);
    let response = ready_for(&mut service).await.call(form(body)).await;
    assert_eq!(response.unwrap().status(), 400);
    assert_pending!(waiting.poll());
    // Hanging up ends it.
    drop(waiting);
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
