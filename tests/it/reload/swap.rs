//! Swapping layers under load: readiness, requests under way, failures.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::sync::oneshot;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_mcp_auth::auth::{AuthLayer, Authentication};
use tower_mcp_auth::reload::{Reload, ReloadLayer};
use tower_mcp_auth::{ApiKeyLayer, Clock, ConfigError, Principal};
use tower_test::mock;

use common::{API_KEY, Answering, Inner, invalid, provider, request, trace};

/// A layer that writes its number in front of the answer.
#[derive(Clone, Debug)]
struct Tag(Arc<u64>);

impl Tag {
    fn new(number: u64) -> Self {
        Self(Arc::new(number))
    }
}

impl<S> Layer<S> for Tag {
    type Service = Tagged<S>;

    fn layer(&self, inner: S) -> Tagged<S> {
        Tagged {
            inner,
            tag: self.clone(),
        }
    }
}

#[derive(Clone, Debug)]
struct Tagged<S> {
    inner: S,
    tag: Tag,
}

impl<S: Service<u64>> Service<u64> for Tagged<S> {
    type Response = u64;
    type Error = S::Error;
    type Future = TagFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: u64) -> Self::Future {
        TagFuture {
            inner: Box::pin(self.inner.call(request)),
            tag: self.tag.clone(),
        }
    }
}

struct TagFuture<F> {
    inner: std::pin::Pin<Box<F>>,
    tag: Tag,
}

impl<F, T, E> Future for TagFuture<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<u64, E>;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let number = *self.tag.0;
        self.inner.as_mut().poll(cx).map_ok(|_| number)
    }
}

async fn found_ready<S>(service: &mut S) -> &mut S
where
    S: Service<Request<Full<Bytes>>>,
    S::Error: std::fmt::Debug,
{
    service.ready().await.unwrap()
}

type Mocked = Reload<mock::Mock<u64, ()>, Tag, Tagged<mock::Mock<u64, ()>>>;

#[tokio::test]
async fn the_service_that_was_found_ready_is_called() {
    let (layer, _handle) = ReloadLayer::new(Tag::new(1));
    let (mut service, mut inner): (mock::Spawn<Mocked>, _) = mock::spawn_layer(layer);
    inner.allow(0);
    assert_pending!(service.poll_ready());
    inner.allow(1);
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
    assert_ready_ok!(service.poll_ready());
    // The mock panics when a clone is called that was not found ready itself.
    let mut answer = task::spawn(service.call(7));
    let (request, respond) = inner.next_request().await.unwrap();
    assert_eq!(request, 7);
    respond.send_response(());
    assert_eq!(assert_ready_ok!(answer.poll()), 1);
}

#[tokio::test]
async fn a_swap_after_readiness_calls_no_unready_service_and_drops_no_request() {
    let (layer, handle) = ReloadLayer::new(Tag::new(1));
    let (mut service, mut inner): (mock::Spawn<Mocked>, _) = mock::spawn_layer(layer);
    inner.allow(1);
    assert_ready_ok!(service.poll_ready());
    assert_eq!(handle.reload(Tag::new(2)), 2);
    inner.allow(0);
    let mut answer = task::spawn(service.call(7));
    assert_pending!(answer.poll());
    assert_pending!(task::spawn(inner.next_request()).poll());

    inner.allow(1);
    assert!(answer.is_woken());
    assert_pending!(answer.poll());
    let (request, respond) = inner.next_request().await.unwrap();
    assert_eq!(request, 7);
    respond.send_response(());
    assert_eq!(assert_ready_ok!(answer.poll()), 2);
}

#[tokio::test]
async fn a_swap_between_two_looks_at_readiness_asks_the_new_one() {
    let (layer, handle) = ReloadLayer::new(Tag::new(1));
    let (mut service, mut inner): (mock::Spawn<Mocked>, _) = mock::spawn_layer(layer);
    inner.allow(1);
    assert_ready_ok!(service.poll_ready());
    inner.allow(0);
    handle.reload(Tag::new(2));
    assert_pending!(service.poll_ready());
    inner.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut answer = task::spawn(service.call(7));
    inner.next_request().await.unwrap().1.send_response(());
    assert_eq!(assert_ready_ok!(answer.poll()), 2);
}

#[tokio::test]
async fn errors_of_readiness_come_out_wherever_they_arise() {
    let (layer, handle) = ReloadLayer::new(Tag::new(1));
    let (mut service, mut inner): (mock::Spawn<Mocked>, _) = mock::spawn_layer(layer);
    inner.send_error("broken");
    let error = assert_ready_err!(service.poll_ready());
    assert_eq!(error.to_string(), "broken");

    assert_ready_ok!(service.poll_ready());
    handle.reload(Tag::new(2));
    let mut answer = task::spawn(service.call(7));
    inner.send_error("broken again");
    let error = assert_ready_err!(answer.poll());
    assert_eq!(error.to_string(), "broken again");
}

#[tokio::test]
async fn the_place_of_the_old_service_is_free_for_the_new_one() {
    let (layer, handle) = ReloadLayer::new(Tag::new(1));
    let inner =
        ConcurrencyLimitLayer::new(1).layer(service_fn(async |_: u64| Ok::<_, Infallible>(())));
    let mut service = layer.layer(inner);
    // Once between readiness and call, once between two looks at readiness.
    service.ready().await.unwrap();
    handle.reload(Tag::new(2));
    let mut answer = task::spawn(service.call(7));
    assert_eq!(assert_ready_ok!(answer.poll()), 2);
    drop(answer);

    service.ready().await.unwrap();
    handle.reload(Tag::new(3));
    let mut answer = task::spawn(async { service.ready().await?.call(7).await });
    assert_eq!(assert_ready_ok!(answer.poll()), 3);
}

#[tokio::test]
async fn a_request_under_way_ends_on_the_layer_it_began_on() {
    let (verdict, waits) = oneshot::channel();
    let waits = std::sync::Mutex::new(Some(waits));
    let old = Answering::new(move |_| {
        let waits: oneshot::Receiver<_> = waits.lock().unwrap().take().unwrap();
        Authentication::Pending(Box::pin(async move { waits.await.unwrap() }))
    });
    let (layer, handle) = ReloadLayer::new(AuthLayer::new(old).boxed());
    let inner = Inner::default();
    let mut service = layer.layer(inner.handle());
    let bearer = || request(&[("authorization", "Bearer x")]);
    let mut begun = task::spawn(found_ready(&mut service).await.call(bearer()));
    assert_pending!(begun.poll());

    handle.reload(AuthLayer::new(Answering::refusing(invalid("no"))).boxed());
    let later = found_ready(&mut service)
        .await
        .call(bearer())
        .await
        .unwrap();
    assert_eq!((later.status().as_u16(), inner.calls()), (401, 0));

    verdict.send(Ok(provider::alice())).unwrap();
    let answer = assert_ready_ok!(begun.poll());
    assert_eq!((answer.status().as_u16(), inner.calls()), (200, 1));
}

#[tokio::test]
async fn a_key_taken_away_is_refused_on_services_found_ready_before() {
    let with = ApiKeyLayer::new([API_KEY]).unwrap();
    let without = ApiKeyLayer::new(["another-key-that-is-long-enough-3f81"]).unwrap();
    let (layer, handle) = ReloadLayer::new(with);
    let inner = Inner::default();
    let service = layer.layer(inner.handle());
    let good = || request(&[("x-api-key", API_KEY)]);
    let mut ready = service.clone();
    found_ready(&mut ready).await;
    assert_eq!(service.clone().oneshot(good()).await.unwrap().status(), 200);

    handle.reload(without);
    assert_eq!(ready.call(good()).await.unwrap().status(), 401);
    // By every service of the layer, by old clones and new ones.
    for service in [
        service.clone(),
        service,
        layer.clone().layer(inner.handle()),
    ] {
        assert_eq!(service.oneshot(good()).await.unwrap().status(), 401);
    }
    assert_eq!(inner.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_requests_and_a_hundred_reloads_lose_nothing() {
    const REQUESTS: u64 = 10_000;
    const RELOADS: u64 = 100;

    let (layer, handle) = ReloadLayer::new(Tag::new(1));
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    // Some take a while, so that swaps fall into them; the limit makes others wait for readiness.
    let inner = ConcurrencyLimitLayer::new(64).layer(service_fn(move |number: u64| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            for _ in 0..number % 7 {
                tokio::task::yield_now().await;
            }
            Ok::<_, Infallible>(())
        }
    }));
    let service = layer.layer(inner);
    let answered = Arc::new(AtomicU64::new(0));
    let tasks = (0..REQUESTS).map(|number| {
        let (mut service, handle) = (service.clone(), handle.clone());
        let answered = Arc::clone(&answered);
        common::spawn(async move {
            let service = service.ready().await.unwrap();
            let before = handle.status().generation();
            let tag = service.call(number).await.unwrap();
            answered.fetch_add(1, Ordering::Relaxed);
            // Never by a layer that had been replaced when the request arrived.
            assert!(tag >= before, "{tag} < {before}");
        })
    });
    let tasks: Vec<_> = tasks.collect();
    // Spread over the requests, not over time.
    for number in 2..=RELOADS + 1 {
        while answered.load(Ordering::Relaxed) < (number - 2) * REQUESTS / RELOADS / 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(handle.reload(Tag::new(number)), number);
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(calls.load(Ordering::Relaxed), REQUESTS);
    assert_eq!(answered.load(Ordering::Relaxed), REQUESTS);
    assert_eq!(service.oneshot(0).await.unwrap(), RELOADS + 1);
}

#[tokio::test]
async fn a_bad_reload_keeps_what_is_in_force_and_tells() {
    let clock = Clock::manual(Duration::from_secs(1_000));
    let (layer, handle) = ReloadLayer::from_parts(Tag::new(1), clock.clone());
    let service = layer.layer(service_fn(async |_: u64| Ok::<_, Infallible>(())));
    let seconds = |time: std::time::SystemTime| {
        time.duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    let told = || {
        let status = handle.status();
        (
            status.generation(),
            seconds(status.since()),
            seconds(status.last_attempt()),
            status.error().map(ToString::to_string),
        )
    };
    assert_eq!(told(), (1, 1_000, 1_000, None));

    trace::start();
    clock.advance(Duration::from_secs(5));
    let bad = || Err(ConfigError::new("secret", "the variable X is not set"));
    let text = "secret: the variable X is not set";
    assert_eq!(handle.try_reload(bad).unwrap_err().to_string(), text);
    assert_eq!(told(), (1, 1_000, 1_005, Some(text.to_owned())));
    assert_eq!(service.clone().oneshot(0).await.unwrap(), 1);
    let events = trace::take();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].level, tracing::Level::ERROR);
    assert_eq!(events[0].field("generation"), "1");
    assert_eq!(events[0].field("error"), text);

    clock.advance(Duration::from_secs(5));
    assert_eq!(handle.try_reload(|| Ok(Tag::new(2))), Ok(2));
    assert_eq!(told(), (2, 1_010, 1_010, None));
    assert_eq!(service.clone().oneshot(0).await.unwrap(), 2);
    let events = trace::take();
    assert_eq!((events.len(), events[0].level), (1, tracing::Level::INFO));
    assert_eq!(events[0].field("generation"), "2");
}

#[tokio::test]
async fn of_attempts_at_once_the_one_that_began_later_wins() {
    let (layer, handle) = ReloadLayer::new(Tag::new(1));
    let service = layer.layer(service_fn(async |_: u64| Ok::<_, Infallible>(())));
    let ask = async || service.clone().oneshot(0).await.unwrap();
    let attempt = || {
        let (done, made) = oneshot::channel();
        let handle = handle.clone();
        let mut task =
            task::spawn(
                async move { handle.try_reload_async(async { made.await.unwrap() }).await },
            );
        assert_pending!(task.poll());
        (done, task)
    };
    // The slow one is overtaken.
    let (slow, mut first) = attempt();
    let (fast, mut second) = attempt();
    fast.send(Ok(Tag::new(3))).unwrap();
    assert_eq!(assert_ready_ok!(second.poll()), 2);
    slow.send(Ok(Tag::new(2))).unwrap();
    assert_eq!(assert_ready_err!(first.poll()).setting(), "reload");
    assert_eq!(ask().await, 3);
    assert!(handle.status().error().is_none());

    // A failure that began later stays told, and the older one is in force: it is good.
    let (slow, mut first) = attempt();
    let (fast, mut second) = attempt();
    let bad = ConfigError::new("keys", "the file is gone");
    fast.send(Err(bad.clone())).unwrap();
    assert_eq!(assert_ready_err!(second.poll()), bad);
    slow.send(Ok(Tag::new(4))).unwrap();
    assert_eq!(assert_ready_ok!(first.poll()), 3);
    assert_eq!(ask().await, 4);
    assert_eq!(handle.status().error(), Some(&bad));

    // What is dropped before its end changes nothing, and what is put at once always counts.
    let (slow, first) = attempt();
    drop(first);
    assert!(slow.is_closed());
    let (slow, mut first) = attempt();
    assert_eq!(handle.reload(Tag::new(5)), 4);
    assert!(handle.status().error().is_none());
    slow.send(Ok(Tag::new(6))).unwrap();
    assert_ready_err!(first.poll());
    assert_eq!(ask().await, 5);
}

#[tokio::test]
async fn the_old_layer_ends_with_its_last_request() {
    let first = Tag::new(1);
    let alive: Weak<u64> = Arc::downgrade(&first.0);
    let (layer, handle) = ReloadLayer::new(first);
    let (inner, mut requests) = mock::pair::<u64, ()>();
    let service = layer.layer(inner);
    // A service that is cloned for each request and never polled itself, as in servers.
    let mut begun = task::spawn(service.clone().oneshot(7));
    assert_pending!(begun.poll());
    handle.reload(Tag::new(2));
    let mut next = task::spawn(service.clone().oneshot(8));
    assert_pending!(next.poll());
    assert!(alive.upgrade().is_some());

    requests.next_request().await.unwrap().1.send_response(());
    assert_eq!(assert_ready_ok!(begun.poll()), 1);
    drop(begun);
    assert!(alive.upgrade().is_none());
    requests.next_request().await.unwrap().1.send_response(());
    assert_eq!(assert_ready_ok!(next.poll()), 2);
}

/// Counts how often it is made into a service.
#[derive(Clone, Debug, Default)]
struct Counting(Arc<AtomicUsize>);

impl<S> Layer<S> for Counting {
    type Service = S;

    fn layer(&self, inner: S) -> S {
        self.0.fetch_add(1, Ordering::SeqCst);
        inner
    }
}

#[derive(Clone, Debug)]
struct Quiet;

impl Service<u64> for Quiet {
    type Response = u64;
    type Error = Infallible;
    type Future = Ready<Result<u64, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(request))
    }
}

#[test]
fn a_request_allocates_nothing_and_builds_nothing() {
    let (layer, handle) = ReloadLayer::new(Counting::default());
    let service = layer.layer(Quiet);
    for _ in 0..2 {
        let new = Counting::default();
        handle.reload(new.clone());
        let ask = || {
            let mut service = service.clone();
            let mut cx = Context::from_waker(std::task::Waker::noop());
            let ready = Service::<u64>::poll_ready(&mut service, &mut cx);
            assert!(ready.is_ready());
            let mut answer = std::pin::pin!(service.call(7));
            assert!(answer.as_mut().poll(&mut cx).is_ready());
        };
        ask();
        let seen = allocation_counter::measure(|| (0..100).for_each(|_| ask()));
        assert_eq!(seen.count_total, 0);
        assert_eq!(new.0.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn debug_tells_the_generation() {
    let (layer, handle) = ReloadLayer::new(Counting::default());
    let service = layer.layer(Quiet);
    handle.reload(Counting::default());
    for debug in [
        format!("{layer:?}"),
        format!("{handle:?}"),
        format!("{service:?}"),
    ] {
        assert!(
            debug.contains("{ generation: 2, layer: Counting(0"),
            "{debug}"
        );
    }
}

/// What axum, hyper and tonic ask of a service.
#[test]
fn it_fits_where_the_layer_inside_fits() {
    fn fits<T: Clone + Send + Sync + 'static>(_: &T) {}
    let (layer, handle) = ReloadLayer::new(ApiKeyLayer::new([API_KEY]).unwrap());
    fits(&layer);
    fits(&handle);
    fits(&layer.layer(Inner::default()));
    let router: axum::Router = axum::Router::new()
        .route("/mcp", axum::routing::post(|_: Principal| async { "in" }))
        .layer(layer);
    drop::<(
        axum::Router,
        Option<Request<Full<Bytes>>>,
        Option<Response<()>>,
    )>((router, None, None));
}

#[tokio::test]
async fn behind_a_buffer_no_request_is_lost_or_served_twice() {
    let (layer, handle) = ReloadLayer::new(Tag::new(1));
    let served = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&served);
    let inner = service_fn(move |_: u64| {
        counted.fetch_add(1, Ordering::SeqCst);
        ready(Ok::<_, tower::BoxError>(()))
    });
    let service = layer.layer(tower::buffer::Buffer::new(inner, 1));
    for generation in 2..=50 {
        // The place in the queue that was reserved goes back with the old service.
        let mut reserved = service.clone();
        reserved.ready().await.unwrap();
        handle.reload(Tag::new(generation));
        assert_eq!(reserved.call(7).await.unwrap(), generation);
    }
    assert_eq!(served.load(Ordering::SeqCst), 49);
}

/// A layer that makes no service.
#[derive(Clone, Debug)]
struct Broken(Option<Tag>);

impl<S> Layer<S> for Broken {
    type Service = Tagged<S>;

    fn layer(&self, inner: S) -> Tagged<S> {
        self.0.as_ref().expect("a layer that works").layer(inner)
    }
}

#[tokio::test]
async fn a_layer_that_panics_serves_no_request_and_is_replaced_like_any_other() {
    let (layer, handle) = ReloadLayer::new(Broken(Some(Tag::new(1))));
    let service = layer.layer(service_fn(async |_: u64| Ok::<_, Infallible>(())));
    assert_eq!(service.clone().oneshot(0).await.unwrap(), 1);

    handle.reload(Broken(None));
    // What was taken out does not go on serving.
    for _ in 0..2 {
        let asked = common::spawn(service.clone().oneshot(0));
        assert!(asked.await.unwrap_err().is_panic());
    }
    handle.reload(Broken(Some(Tag::new(3))));
    assert_eq!(service.oneshot(0).await.unwrap(), 3);
}
