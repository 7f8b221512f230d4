//! Anonymous sessions that principals claim. Clocks are moved by hand.

use std::collections::HashSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::auth::ResponseBody;
use tower_mcp_auth::mcp::session::ClaimedSession;
use tower_mcp_auth::mcp::{
    DefaultRule, MacKey, McpListsLayer, McpPolicy, McpScopesLayer, SessionBindingLayer,
};
use tower_mcp_auth::store::{
    Insertion, MemoryReplayStore, ReplayStore, StoreFuture, StoreKey, StoreValue,
};
use tower_mcp_auth::{ApiKeyLayer, AuthError, Clock, Principal, Reported, ResourceSet};
use tracing::Level;

use crate::mcp::session::support::{KEYS, Who, alice, key, mallory, request};
use common::{FlakyStore, trace};

const SESSION: &str = "mcp-session-id";
const LAST: &str = "last-event-id";
const VERSION: &str = "mcp-protocol-version";
const METHODS: [Method; 3] = [Method::POST, Method::GET, Method::DELETE];
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);
const START: Duration = Duration::from_secs(1_800_000_000);
/// Base64url of 45 bytes.
const SEAL: usize = 60;

/// A body that says what it is sent, or an empty one.
#[derive(Debug, Default)]
struct Feed(Option<UnboundedReceiver<&'static str>>);

impl Body for Feed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(said) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let said = said.poll_recv(cx);
        said.map(|said| Some(Ok(Frame::data(Bytes::from_static(said?.as_bytes())))))
    }

    fn size_hint(&self) -> SizeHint {
        match self.0 {
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(0),
        }
    }
}

/// A server with the one session `one`, which keeps the heads of requests.
#[derive(Clone, Default)]
struct Behind {
    /// Whether each response names the session.
    names: bool,
    /// Whether each response is a stream.
    streams: bool,
    /// The `Content-Length` of each response.
    length: Option<&'static str>,
    feeders: Arc<Mutex<Vec<UnboundedSender<&'static str>>>>,
    seen: Arc<Mutex<Vec<Parts>>>,
    /// Each response comes when it is sent.
    delays: Arc<Mutex<Vec<oneshot::Receiver<()>>>>,
}

impl Service<Request<Full<Bytes>>> for Behind {
    type Response = Response<Feed>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Feed>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let mut response = Response::<Feed>::default();
        if self.names || !request.headers().contains_key(SESSION) {
            let id = HeaderValue::from_static("one");
            response.headers_mut().insert(SESSION, id);
        }
        if self.streams {
            let (feeder, feed) = unbounded_channel();
            self.feeders.lock().unwrap().push(feeder);
            *response.body_mut() = Feed(Some(feed));
        }
        if let Some(length) = self.length {
            let length = HeaderValue::from_static(length);
            response.headers_mut().insert("content-length", length);
        }
        self.seen.lock().unwrap().push(request.into_parts().0);
        let delay = self.delays.lock().unwrap().pop();
        Box::pin(async move {
            if let Some(delay) = delay {
                delay.await.unwrap();
            }
            Ok(response)
        })
    }
}

/// The clock of a layer and of its store.
fn clock() -> Clock {
    Clock::manual(START)
}

fn memory(clock: &Clock) -> MemoryReplayStore {
    MemoryReplayStore::default().clock(clock.clone())
}

fn layer_over(clock: &Clock, store: impl ReplayStore) -> SessionBindingLayer {
    SessionBindingLayer::new(key(0))
        .clock(clock.clone())
        .anonymous_sessions_can_be_claimed(store)
}

fn layer(clock: &Clock) -> SessionBindingLayer {
    layer_over(clock, memory(clock))
}

type Answer = Response<ResponseBody<Feed>>;

async fn send(
    layer: &SessionBindingLayer,
    behind: &Behind,
    who: &Who,
    method: &Method,
    headers: &[(&str, &str)],
) -> Answer {
    let request = request(who, method, headers);
    layer.layer(behind.clone()).oneshot(request).await.unwrap()
}

/// The bound id of a new session.
async fn open(layer: &SessionBindingLayer, who: &Who) -> String {
    let answer = send(layer, &Behind::default(), who, &Method::POST, &[]).await;
    answer.headers()[SESSION].to_str().unwrap().to_owned()
}

/// What became of a request in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Became {
    /// By this request, or by an earlier one of the same principal.
    Claimed(bool),
    /// It is the caller's own.
    Served,
    /// 404.
    Unknown,
    /// 503.
    Unavailable,
}

use Became::{Claimed, Served, Unavailable, Unknown};

async fn use_with(
    layer: &SessionBindingLayer,
    who: &Who,
    method: &Method,
    headers: &[(&str, &str)],
) -> Became {
    let behind = Behind::default();
    let answer = send(layer, &behind, who, method, headers).await;
    let seen = behind.seen.lock().unwrap().pop();
    let Some(error) = answer.extensions().get::<AuthError>() else {
        let seen = seen.expect("a request that is passed on");
        assert_eq!(seen.headers[SESSION], "one");
        let claimed = seen.extensions.get::<ClaimedSession>();
        return claimed.map_or(Served, |claimed| Claimed(claimed.is_new()));
    };
    assert!(seen.is_none(), "a refused request was passed on");
    common::assert_explained(error);
    match (answer.status().as_u16(), error.reason()) {
        (404, "unknown_session") => Unknown,
        (503, "session_store_unavailable") => {
            assert!(answer.headers().contains_key("retry-after"));
            assert!(!answer.headers().contains_key("www-authenticate"));
            Unavailable
        }
        other => panic!("{other:?}"),
    }
}

async fn post(layer: &SessionBindingLayer, who: &Who, id: &str) -> Became {
    use_with(layer, who, &Method::POST, &[(SESSION, id)]).await
}

#[tokio::test]
async fn an_anonymous_session_is_not_claimed_unless_it_is_set() {
    let layer = SessionBindingLayer::new(key(0));
    let id = open(&layer, &Who::Anonymous).await;
    assert_eq!(post(&layer, &alice(), &id).await, Unknown);
    assert_eq!(post(&layer, &Who::Anonymous, &id).await, Served);
}

#[tokio::test]
async fn the_first_principal_has_the_session_and_no_one_else() {
    for first in METHODS {
        let layer = layer(&clock());
        let id = &*open(&layer, &Who::Anonymous).await;
        for method in &METHODS {
            let headers = [(SESSION, id), (LAST, "7")];
            assert_eq!(
                use_with(&layer, &Who::Anonymous, method, &headers).await,
                Served
            );
        }
        let claim = use_with(&layer, &alice(), &first, &[(SESSION, id)]).await;
        assert_eq!(claim, Claimed(true));
        for method in &METHODS {
            for headers in [&[(SESSION, id), (LAST, "7")][..], &[(SESSION, id)]] {
                for (who, became) in [
                    (alice(), Claimed(false)),
                    (mallory(), Unknown),
                    (Who::Anonymous, Unknown),
                ] {
                    assert_eq!(use_with(&layer, &who, method, headers).await, became);
                }
            }
        }
    }
}

#[tokio::test]
async fn the_404_of_a_claimed_session_is_that_of_any_other() {
    let layer = layer(&clock());
    let id = open(&layer, &Who::Anonymous).await;
    post(&layer, &alice(), &id).await;
    let mut answers = Vec::new();
    for (who, id) in [
        (Who::Anonymous, &*id),
        (mallory(), &id),
        (mallory(), "never.bound"),
    ] {
        let headers = [(SESSION, id)];
        let answer = send(&layer, &Behind::default(), &who, &Method::POST, &headers).await;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        answers.push((parts.status, parts.headers, body));
    }
    assert!(
        answers.windows(2).all(|two| two[0] == two[1]),
        "{answers:?}"
    );
}

#[tokio::test]
async fn sessions_of_principals_are_as_ever_and_ask_no_store() {
    let clock = clock();
    let store = FlakyStore::default();
    let layer = layer_over(&clock, store.clone());
    let id = open(&layer, &alice()).await;
    store.fail(true);
    clock.advance(HOUR * 1000);
    assert_eq!(post(&layer, &alice(), &id).await, Served);
    assert_eq!(post(&layer, &mallory(), &id).await, Unknown);
    assert_eq!(post(&layer, &Who::Anonymous, &id).await, Unknown);
}

/// How an anonymous caller got its stream.
#[derive(Clone, Copy, Debug)]
enum Stream {
    Get,
    Post,
    Opening,
}

#[tokio::test]
async fn streams_of_anonymous_callers_end_with_the_claim() {
    for stream in [Stream::Get, Stream::Post, Stream::Opening] {
        // It waits for something to be said, or has it at hand.
        for idle in [true, false] {
            let layer = layer(&clock());
            let behind = Behind {
                streams: true,
                ..Behind::default()
            };
            let anonymous = Who::Anonymous;
            let mut answer = send(&layer, &behind, &anonymous, &Method::POST, &[]).await;
            let id = answer.headers()[SESSION].to_str().unwrap().to_owned();
            let headers = [(SESSION, &*id)];
            match stream {
                Stream::Get => {
                    answer = send(&layer, &behind, &anonymous, &Method::GET, &headers).await;
                }
                Stream::Post => {
                    answer = send(&layer, &behind, &anonymous, &Method::POST, &headers).await;
                }
                Stream::Opening => {}
            }
            let feeder = behind.feeders.lock().unwrap().pop().unwrap();
            let mut body = answer.into_body();
            feeder.send("before").unwrap();
            let frame = assert_ready!(task::spawn(body.frame()).poll()).unwrap();
            assert_eq!(frame.unwrap().into_data().unwrap(), "before");
            {
                let mut waits = task::spawn(body.frame());
                if idle {
                    assert_pending!(waits.poll());
                }
                let headers = [(SESSION, &*id)];
                let claim = use_with(&layer, &alice(), &Method::POST, &headers).await;
                assert_eq!(claim, Claimed(true));
                assert_eq!(waits.is_woken(), idle, "{stream:?}");
                feeder.send("after").unwrap();
                assert!(assert_ready!(waits.poll()).is_none(), "{stream:?}");
            }
            // The server learns of it now.
            assert!(feeder.is_closed());
            assert!(body.is_end_stream());
        }
    }
}

#[tokio::test]
async fn an_answer_with_a_content_length_goes_on_after_the_claim() {
    let layer = layer(&clock());
    let id = open(&layer, &Who::Anonymous).await;
    let behind = Behind {
        streams: true,
        length: Some("2"),
        ..Behind::default()
    };
    let headers = [(SESSION, &*id)];
    let answer = send(&layer, &behind, &Who::Anonymous, &Method::POST, &headers).await;
    let mut body = answer.into_body();
    assert_eq!(post(&layer, &alice(), &id).await, Claimed(true));
    let feeder = behind.feeders.lock().unwrap().pop().unwrap();
    feeder.send("on").unwrap();
    let frame = assert_ready!(task::spawn(body.frame()).poll()).unwrap();
    assert_eq!(frame.unwrap().into_data().unwrap(), "on");
}

#[tokio::test]
async fn a_stream_that_is_there_after_the_claim_says_nothing() {
    let layer = layer(&clock());
    let id = open(&layer, &Who::Anonymous).await;
    let behind = Behind {
        streams: true,
        ..Behind::default()
    };
    let (go, delay) = oneshot::channel();
    behind.delays.lock().unwrap().push(delay);
    let headers = [(SESSION, &*id)];
    let mut answer = task::spawn(send(
        &layer,
        &behind,
        &Who::Anonymous,
        &Method::GET,
        &headers,
    ));
    assert_pending!(answer.poll());
    assert_eq!(post(&layer, &alice(), &id).await, Claimed(true));
    go.send(()).unwrap();
    let mut body = assert_ready!(answer.poll()).into_body();
    let feeder = behind.feeders.lock().unwrap().pop().unwrap();
    feeder.send("after").unwrap();
    assert!(assert_ready!(task::spawn(body.frame()).poll()).is_none());
}

#[tokio::test]
async fn streams_of_the_claimer_and_of_other_sessions_go_on() {
    let layer = layer(&clock());
    let behind = Behind {
        streams: true,
        ..Behind::default()
    };
    let id = open(&layer, &Who::Anonymous).await;
    let headers = [(SESSION, &*id)];
    let other = SessionBindingLayer::new(key(1))
        .clock(clock())
        .anonymous_sessions_can_be_claimed(memory(&clock()));
    let unbound = send(&other, &behind, &Who::Anonymous, &Method::POST, &[]).await;
    assert_eq!(post(&layer, &alice(), &id).await, Claimed(true));
    let claimer = send(&layer, &behind, &alice(), &Method::GET, &headers).await;
    for answer in [claimer, unbound] {
        let feeder = behind.feeders.lock().unwrap().pop().unwrap();
        feeder.send("on").unwrap();
        let mut body = answer.into_body();
        let frame = assert_ready!(task::spawn(body.frame()).poll()).unwrap();
        assert_eq!(frame.unwrap().into_data().unwrap(), "on");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_principals_at_once_exactly_one_claims() {
    let layer = layer(&clock());
    for round in 0..200 {
        // The server's id is another one each time.
        let layer = layer.clone().server(format!("server {round}"));
        let id = open(&layer, &Who::Anonymous).await;
        let principals = (0..8).map(|number| {
            let subject = format!("user-{number}");
            Who::Principal(Principal::builder("oauth").subject(subject).build())
        });
        let claims = principals.map(|who| {
            let (layer, id) = (layer.clone(), id.clone());
            common::spawn(async move { post(&layer, &who, &id).await })
        });
        let mut became = Vec::new();
        for claim in claims.collect::<Vec<_>>() {
            became.push(claim.await.unwrap());
        }
        let count = |wanted| became.iter().filter(|own| **own == wanted).count();
        assert_eq!((count(Claimed(true)), count(Unknown)), (1, 7), "{became:?}");
        assert_eq!(post(&layer, &Who::Anonymous, &id).await, Unknown);
    }
}

#[tokio::test]
async fn time_decides_who_is_served() {
    // The age of the session; whether it was claimed at once; alice, mallory and an anonymous caller then.
    let table = [
        (Duration::ZERO, false, [Claimed(true), Unknown, Unknown]),
        (MINUTE * 10 - MS, false, [Claimed(true), Unknown, Unknown]),
        (MINUTE * 10, false, [Unknown, Unknown, Served]),
        (MINUTE * 10, true, [Claimed(false), Unknown, Unknown]),
        (HOUR * 24 - MS, false, [Unknown, Unknown, Served]),
        (HOUR * 24 - MS, true, [Claimed(false), Unknown, Unknown]),
        (HOUR * 24, false, [Unknown; 3]),
        (HOUR * 24, true, [Unknown; 3]),
        (HOUR * 240, true, [Unknown; 3]),
    ];
    for (age, claimed, became) in table {
        let clock = clock();
        let layer = layer(&clock);
        let id = open(&layer, &Who::Anonymous).await;
        if claimed {
            post(&layer, &alice(), &id).await;
        }
        clock.advance(age);
        for (who, became) in [alice(), mallory(), Who::Anonymous].iter().zip(became) {
            assert_eq!(
                post(&layer, who, &id).await,
                became,
                "{age:?} {claimed} {who:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_session_of_the_future_is_unknown() {
    for (ahead, alices, nobodys) in [
        (MINUTE * 5, Claimed(true), Served),
        (MINUTE * 5 + MS, Unknown, Unknown),
    ] {
        let clock = clock();
        let here = layer(&clock);
        let fast = Clock::manual(START + ahead);
        let there = layer_over(&fast, memory(&fast));
        let id = open(&there, &Who::Anonymous).await;
        // The store here knows all that is younger than it.
        open(&here, &Who::Anonymous).await;
        assert_eq!(post(&here, &Who::Anonymous, &id).await, nobodys);
        assert_eq!(post(&here, &alice(), &id).await, alices);
    }
}

/// Where the clock was ahead when the store began, and is put right.
#[tokio::test]
async fn sessions_go_on_where_the_clock_is_set_back() {
    for back in [MINUTE, HOUR] {
        let clock = clock();
        let layer = layer(&clock);
        let before = open(&layer, &Who::Anonymous).await;
        clock.set_wall(START - back);
        assert_eq!(post(&layer, &Who::Anonymous, &before).await, Served);
        let id = open(&layer, &Who::Anonymous).await;
        assert_eq!(post(&layer, &Who::Anonymous, &id).await, Served, "{back:?}");
        assert_eq!(post(&layer, &alice(), &id).await, Claimed(true), "{back:?}");
        for who in [mallory(), Who::Anonymous] {
            assert_eq!(post(&layer, &who, &id).await, Unknown, "{back:?} {who:?}");
        }
    }
}

/// A layer that asks no store would let anonymous callers back into a session that is claimed.
#[tokio::test]
async fn a_session_that_can_be_claimed_is_none_where_no_session_can_be() {
    let clock = clock();
    let (with, without) = (layer(&clock), SessionBindingLayer::new(key(0)));
    let claimed = open(&with, &Who::Anonymous).await;
    post(&with, &alice(), &claimed).await;
    let unclaimed = open(&with, &Who::Anonymous).await;
    let never = open(&without, &Who::Anonymous).await;
    for who in [alice(), mallory(), Who::Anonymous] {
        assert_eq!(post(&without, &who, &claimed).await, Unknown, "{who:?}");
        assert_eq!(post(&without, &who, &unclaimed).await, Unknown, "{who:?}");
        assert_eq!(post(&with, &who, &never).await, Unknown, "{who:?}");
    }
    // Those of principals are the same to both.
    let own = open(&with, &alice()).await;
    assert_eq!(post(&without, &alice(), &own).await, Served);
}

#[tokio::test]
async fn after_a_restart_what_was_open_before_is_unknown() {
    let clock = clock();
    let before = layer(&clock);
    let claimed = open(&before, &Who::Anonymous).await;
    post(&before, &alice(), &claimed).await;
    clock.advance(MS);
    let after = layer(&clock);
    for who in [alice(), mallory(), Who::Anonymous] {
        assert_eq!(post(&after, &who, &claimed).await, Unknown);
    }
    let new = open(&after, &Who::Anonymous).await;
    assert_eq!(post(&after, &alice(), &new).await, Claimed(true));
}

#[tokio::test]
async fn a_store_that_is_made_before_it_takes_over_claims_to_know_nothing_of_the_other() {
    let clock = clock();
    let before = layer(&clock);
    let next = layer(&clock);
    clock.advance(MINUTE);
    let id = open(&before, &Who::Anonymous).await;
    assert_eq!(post(&before, &alice(), &id).await, Claimed(true));
    clock.advance(MS);
    for who in [mallory(), Who::Anonymous] {
        assert_eq!(post(&next, &who, &id).await, Unknown);
    }
}

#[tokio::test]
async fn replicas_that_share_a_store_agree() {
    let clock = clock();
    let store = memory(&clock);
    let [here, there] = [(); 2].map(|()| layer_over(&clock, store.clone()));
    let id = open(&here, &Who::Anonymous).await;
    let behind = Behind {
        streams: true,
        ..Behind::default()
    };
    let headers = [(SESSION, &*id)];
    let stream = send(&here, &behind, &Who::Anonymous, &Method::GET, &headers).await;
    let mut stream = stream.into_body();
    let mut waits = task::spawn(stream.frame());
    assert_pending!(waits.poll());
    assert_eq!(post(&there, &alice(), &id).await, Claimed(true));
    assert!(waits.is_woken());
    assert!(assert_ready!(waits.poll()).is_none());
    for layer in [&here, &there] {
        assert_eq!(post(layer, &alice(), &id).await, Claimed(false));
        assert_eq!(post(layer, &mallory(), &id).await, Unknown);
        assert_eq!(post(layer, &Who::Anonymous, &id).await, Unknown);
    }
}

#[tokio::test]
async fn a_store_without_room_takes_no_claim_and_drops_none() {
    let clock = clock();
    let store = MemoryReplayStore::new(1).clock(clock.clone());
    let one = layer_over(&clock, store.clone());
    let two = layer_over(&clock, store).server("two");
    let first = open(&one, &Who::Anonymous).await;
    let second = open(&two, &Who::Anonymous).await;
    assert_eq!(post(&one, &alice(), &first).await, Claimed(true));
    trace::start();
    for _ in 0..3 {
        assert_eq!(post(&two, &alice(), &second).await, Unknown);
    }
    let warned = |event: &trace::Traced| event.level == Level::WARN;
    assert_eq!(
        trace::take().iter().filter(|event| warned(event)).count(),
        1
    );
    // It stays an anonymous one, and the other one is claimed still.
    assert_eq!(post(&two, &Who::Anonymous, &second).await, Served);
    assert_eq!(post(&one, &alice(), &first).await, Claimed(false));
    assert_eq!(post(&one, &Who::Anonymous, &first).await, Unknown);
}

#[tokio::test]
async fn a_store_out_of_reach_is_503_on_each_path() {
    let clock = clock();
    let store = FlakyStore::default();
    let layer = layer_over(&clock, store.clone());
    let id = open(&layer, &Who::Anonymous).await;
    store.fail(true);
    for age in [Duration::ZERO, MINUTE * 11] {
        clock.advance(age);
        trace::start();
        for method in METHODS {
            for who in [alice(), Who::Anonymous] {
                let headers = [(SESSION, &*id), (LAST, "7")];
                let became = use_with(&layer, &who, &method, &headers).await;
                assert_eq!(became, Unavailable, "{who:?}");
            }
        }
        let told = trace::take();
        let warned: Vec<_> = told.iter().filter(|e| e.level == Level::WARN).collect();
        assert_eq!(warned.len(), 1, "{told:?}");
        assert_eq!(warned[0].field("why"), "out of?reach");
    }
    store.fail(false);
    assert_eq!(post(&layer, &Who::Anonymous, &id).await, Served);
}

/// What the setting says that is let in, and no more.
#[tokio::test(start_paused = true)]
async fn a_store_that_lets_in_by_silence_has_each_caller_be_first() {
    let clock = clock();
    let store = FlakyStore::default();
    let layer = layer_over(&clock, store.clone().dangerously_allow_on_outage());
    let id = open(&layer, &Who::Anonymous).await;
    assert_eq!(post(&layer, &alice(), &id).await, Claimed(true));
    for who in [mallory(), Who::Anonymous] {
        assert_eq!(post(&layer, &who, &id).await, Unknown, "{who:?}");
    }
    store.fail(true);
    trace::start();
    for who in [alice(), mallory()] {
        assert_eq!(post(&layer, &who, &id).await, Claimed(true), "{who:?}");
    }
    assert_eq!(post(&layer, &Who::Anonymous, &id).await, Served);
    let told = trace::take();
    let warned: Vec<_> = told.iter().filter(|e| e.level == Level::WARN).collect();
    assert_eq!(warned.len(), 1, "{told:?}");
    assert_eq!(warned[0].field("why"), "out of?reach");
    // Nothing of that was written.
    store.fail(false);
    assert_eq!(post(&layer, &alice(), &id).await, Claimed(false));
    for who in [mallory(), Who::Anonymous] {
        assert_eq!(post(&layer, &who, &id).await, Unknown, "{who:?}");
    }
    // Later it cannot be known who owns it.
    store.fail(true);
    clock.advance(MINUTE * 11);
    for who in [alice(), mallory()] {
        assert_eq!(post(&layer, &who, &id).await, Unknown, "{who:?}");
    }
    assert_eq!(post(&layer, &Who::Anonymous, &id).await, Served);

    let layer = layer_over(&clock, Silent.dangerously_allow_on_outage());
    let id = open(&layer, &Who::Anonymous).await;
    assert_eq!(post(&layer, &alice(), &id).await, Claimed(true));
}

/// Finds when it is asked that it has lost everything.
#[derive(Clone, Debug, Default)]
struct Forgetful {
    loses: Arc<AtomicBool>,
    since: Arc<Mutex<Duration>>,
}

impl Forgetful {
    fn find_the_loss(&self) {
        if self.loses.load(Ordering::SeqCst) {
            *self.since.lock().unwrap() = START + MINUTE;
        }
    }
}

impl ReplayStore for Forgetful {
    fn insert_if_absent(&self, _: StoreKey, _: StoreValue, _: Duration) -> StoreFuture<Insertion> {
        let store = self.clone();
        Box::pin(async move {
            store.find_the_loss();
            Ok(Insertion::Inserted)
        })
    }

    fn get(&self, _: StoreKey) -> StoreFuture<Option<StoreValue>> {
        let store = self.clone();
        Box::pin(async move {
            store.find_the_loss();
            Ok(None)
        })
    }

    fn complete_since(&self) -> Duration {
        *self.since.lock().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_says_nothing_of_what_was_opened_before_a_loss() {
    for who in [alice(), Who::Anonymous] {
        let store = Forgetful::default();
        let clock = clock();
        let layer = layer_over(&clock, store.clone());
        let id = open(&layer, &Who::Anonymous).await;
        let behind = Behind {
            streams: true,
            ..Behind::default()
        };
        let headers = [(SESSION, &*id)];
        let stream = send(&layer, &behind, &Who::Anonymous, &Method::GET, &headers).await;
        let says = behind.feeders.lock().unwrap().pop().unwrap();
        store.loses.store(true, Ordering::SeqCst);
        assert_eq!(post(&layer, &who, &id).await, Unknown);
        assert_eq!(post(&layer, &who, &id).await, Unknown);
        // Its claim can be among what was lost.
        says.send("held").unwrap();
        assert!(stream.into_body().frame().await.is_none());
        clock.advance(MINUTE);
        let new = open(&layer, &Who::Anonymous).await;
        assert_ne!(post(&layer, &who, &new).await, Unknown);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_under_way_ends_with_a_loss() {
    let store = Forgetful::default();
    let layer = layer_over(&clock(), store.clone());
    let behind = Behind {
        streams: true,
        ..Behind::default()
    };
    let answer = send(&layer, &behind, &Who::Anonymous, &Method::POST, &[]).await;
    let says = behind.feeders.lock().unwrap().pop().unwrap();
    let mut stream = answer.into_body();
    says.send("before").unwrap();
    let frame = stream.frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "before");
    // It is found by the question whether there is a claim.
    store.loses.store(true, Ordering::SeqCst);
    let next = tokio::time::timeout(MINUTE, stream.frame()).await;
    assert!(next.unwrap().is_none());
    assert!(says.is_closed());
}

/// Never answers.
#[derive(Debug)]
struct Silent;

impl ReplayStore for Silent {
    fn insert_if_absent(&self, _: StoreKey, _: StoreValue, _: Duration) -> StoreFuture<Insertion> {
        Box::pin(std::future::pending())
    }

    fn get(&self, _: StoreKey) -> StoreFuture<Option<StoreValue>> {
        Box::pin(std::future::pending())
    }

    fn complete_since(&self) -> Duration {
        Duration::ZERO
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_not_waited_for_for_ever() {
    let layer = layer_over(&clock(), Silent);
    let id = open(&layer, &Who::Anonymous).await;
    for who in [alice(), Who::Anonymous] {
        assert_eq!(post(&layer, &who, &id).await, Unavailable);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_guarded_while_the_store_is_out_of_reach() {
    let clock = clock();
    let store = FlakyStore::default();
    let layer = layer_over(&clock, store.clone());
    let id = open(&layer, &Who::Anonymous).await;
    let behind = Behind {
        streams: true,
        ..Behind::default()
    };
    let headers = [(SESSION, &*id)];
    let get = || send(&layer, &behind, &Who::Anonymous, &Method::GET, &headers);
    let feeder = || behind.feeders.lock().unwrap().pop().unwrap();
    // Nothing is said until it is known that no caller has claimed the session meanwhile.
    let mut held = get().await.into_body();
    feeder().send("held").unwrap();
    let mut open = get().await.into_body();
    let says = feeder();
    says.send("one").unwrap();
    let one = assert_ready!(task::spawn(open.frame()).poll()).unwrap();
    assert_eq!(one.unwrap().into_data().unwrap(), "one");

    store.fail(true);
    let mut waits = task::spawn(held.frame());
    assert_pending!(waits.poll());
    let mut goes_on = task::spawn(open.frame());
    assert_pending!(goes_on.poll());
    // Nor is the end of the time for claims a reason to let it go.
    clock.advance(MINUTE * 9);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_pending!(waits.poll());
    assert_pending!(goes_on.poll());
    store.fail(false);
    assert_eq!(post(&layer, &alice(), &id).await, Claimed(true));
    store.fail(true);
    clock.advance(MINUTE * 9);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_pending!(waits.poll());
    assert_pending!(goes_on.poll());
    store.fail(false);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(assert_ready!(waits.poll()).is_none());
    assert!(assert_ready!(goes_on.poll()).is_none());
}

/// An `initialize` that is answered with a stream asks nothing before it is held.
#[tokio::test(start_paused = true)]
async fn that_a_stream_is_held_is_told() {
    let clock = clock();
    let store = FlakyStore::default();
    let layer = layer_over(&clock, store.clone());
    let behind = Behind {
        streams: true,
        ..Behind::default()
    };
    store.fail(true);
    let answer = send(&layer, &behind, &Who::Anonymous, &Method::POST, &[]).await;
    trace::start();
    let mut body = answer.into_body();
    let mut waits = task::spawn(body.frame());
    for _ in 0..3 {
        assert_pending!(waits.poll());
        tokio::time::advance(Duration::from_secs(2)).await;
    }
    let told = trace::take();
    let warned: Vec<_> = told.iter().filter(|e| e.level == Level::WARN).collect();
    assert_eq!(warned.len(), 1, "{told:?}");
    assert_eq!(warned[0].field("why"), "out of?reach");
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_let_go_when_no_claim_can_come() {
    let clock = clock();
    let store = FlakyStore::default();
    let layer = layer_over(&clock, store.clone());
    let id = open(&layer, &Who::Anonymous).await;
    let behind = Behind {
        streams: true,
        ..Behind::default()
    };
    let headers = [(SESSION, &*id)];
    let answer = send(&layer, &behind, &Who::Anonymous, &Method::GET, &headers).await;
    let mut body = answer.into_body();
    let says = behind.feeders.lock().unwrap().pop().unwrap();
    for (age, woken) in [(MINUTE * 15, true), (MS, false), (Duration::ZERO, false)] {
        clock.advance(age);
        says.send("on").unwrap();
        let on = assert_ready!(task::spawn(body.frame()).poll()).unwrap();
        assert_eq!(on.unwrap().into_data().unwrap(), "on");
        let mut waits = task::spawn(body.frame());
        assert_pending!(waits.poll());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(waits.is_woken(), woken, "{age:?}");
    }
}

/// The id with other bytes in its seal.
fn forged(id: &str, change: impl Fn(&mut [u8])) -> String {
    let (inner, seal) = id.split_at(id.len() - SEAL);
    let mut seal = URL_SAFE_NO_PAD.decode(seal).unwrap();
    assert_eq!(seal.len(), 45);
    change(&mut seal);
    format!("{inner}{}", URL_SAFE_NO_PAD.encode(seal))
}

#[tokio::test]
async fn what_a_seal_says_cannot_be_changed() {
    let clock = clock();
    let layer = layer(&clock);
    let id = open(&layer, &Who::Anonymous).await;
    let opened = id.split_at(id.len() - SEAL).1;
    let seal = URL_SAFE_NO_PAD.decode(opened).unwrap();
    assert_eq!(seal[4], 0);
    let millis = u64::try_from(START.as_millis()).unwrap();
    assert_eq!(seal[5..13], millis.to_be_bytes());
    assert_eq!(forged(&id, |_| {}), id);
    for at in 0..45 {
        for with in [1, 2, 3, 0x80, 0xff] {
            let forged = forged(&id, |seal| seal[at] ^= with);
            for who in [alice(), Who::Anonymous] {
                assert_eq!(post(&layer, &who, &forged).await, Unknown, "{at}");
            }
        }
    }
    // Younger, so that it can be claimed.
    clock.advance(MINUTE * 11);
    let younger = (millis + 660_000).to_be_bytes();
    let forged = forged(&id, |seal| seal[5..13].copy_from_slice(&younger));
    assert_eq!(post(&layer, &alice(), &forged).await, Unknown);
    assert_eq!(post(&layer, &Who::Anonymous, &id).await, Served);
}

#[tokio::test]
async fn a_claim_outlives_a_change_of_the_key() {
    let clock = clock();
    let store = memory(&clock);
    let of = |number, also: Option<usize>| {
        let layer = SessionBindingLayer::new(key(number)).clock(clock.clone());
        let layer = also.map_or_else(
            || layer.clone(),
            |also| layer.clone().also_accept(key(also)).unwrap(),
        );
        layer.anonymous_sessions_can_be_claimed(store.clone())
    };
    let id = open(&of(0, None), &Who::Anonymous).await;
    let unclaimed = of(0, None).server("two");
    let later = open(&unclaimed, &Who::Anonymous).await;
    assert_eq!(post(&of(0, None), &alice(), &id).await, Claimed(true));
    for layer in [of(0, Some(1)), of(1, Some(0))] {
        assert_eq!(post(&layer, &alice(), &id).await, Claimed(false));
        assert_eq!(post(&layer, &mallory(), &id).await, Unknown);
        assert_eq!(post(&layer, &Who::Anonymous, &id).await, Unknown);
    }
    let two = of(1, Some(0)).server("two");
    assert_eq!(post(&two, &alice(), &later).await, Claimed(true));
    assert_eq!(post(&of(1, None), &alice(), &id).await, Unknown);
}

#[tokio::test]
async fn an_id_that_is_named_again_is_the_one_that_was_presented() {
    let clock = clock();
    let layer = layer(&clock);
    let names = Behind {
        names: true,
        ..Behind::default()
    };
    let id = open(&layer, &Who::Anonymous).await;
    let own = open(&layer, &alice()).await;
    clock.advance(MINUTE);
    let spaced = format!(" {id}\t");
    for (who, presented, named) in [
        (Who::Anonymous, &id, &id),
        (alice(), &own, &own),
        (alice(), &id, &id),
        (alice(), &spaced, &id),
    ] {
        let headers = [(SESSION, &**presented)];
        let answer = send(&layer, &names, &who, &Method::POST, &headers).await;
        assert_eq!(answer.headers()[SESSION], **named);
        assert!(answer.headers()[SESSION].is_sensitive());
    }
    clock.advance(MINUTE * 20);
    assert_eq!(post(&layer, &alice(), &id).await, Claimed(false));
    assert_eq!(post(&layer, &Who::Anonymous, &id).await, Unknown);
}

#[tokio::test]
async fn an_id_that_is_bound_twice_has_one_claimer() {
    let clock = clock();
    let layer = layer(&clock);
    let ids = [open(&layer, &Who::Anonymous).await, {
        clock.advance(MINUTE);
        open(&layer, &Who::Anonymous).await
    }];
    assert_ne!(ids[0], ids[1]);
    assert_eq!(post(&layer, &alice(), &ids[0]).await, Claimed(true));
    assert_eq!(post(&layer, &mallory(), &ids[1]).await, Unknown);
    assert_eq!(post(&layer, &Who::Anonymous, &ids[1]).await, Unknown);
    assert_eq!(post(&layer, &alice(), &ids[1]).await, Claimed(false));
}

#[tokio::test]
async fn a_session_is_claimed_at_its_own_resource() {
    const HOSTS: [&str; 2] = ["a.example.com", "b.example.com"];
    let urls = HOSTS.map(|host| format!("https://{host}/mcp"));
    let set = urls
        .iter()
        .try_fold(ResourceSet::new(), ResourceSet::resource);
    let secret = "Zm9yIHRoZSBleGFtcGxlIG9ubHk";
    let known = ApiKey::new(secret).unwrap().resources(&urls).unwrap();
    let keys = ApiKeyLayer::new([known]).unwrap().resources(set.unwrap());
    let service = ServiceBuilder::new()
        .layer(keys.unwrap().optional())
        .layer(layer(&clock()))
        .service(Behind::default());
    let ask = async |host: &str, key: Option<&str>, session: Option<&str>| {
        let mut request = Request::post("/mcp").header("host", host);
        for (name, value) in [("x-api-key", key), (SESSION, session)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let request = request.body(Full::default()).unwrap();
        service.clone().oneshot(request).await.unwrap()
    };
    let opened = ask(HOSTS[0], None, None).await;
    let id = opened.headers()[SESSION].to_str().unwrap();
    for (host, key, status) in [
        (HOSTS[1], Some(secret), 404),
        (HOSTS[1], None, 404),
        (HOSTS[0], None, 200),
        (HOSTS[0], Some(secret), 200),
        (HOSTS[0], None, 404),
        (HOSTS[1], Some(secret), 404),
    ] {
        let answer = ask(host, key, Some(id)).await;
        assert_eq!(answer.status(), status, "{host} {key:?}");
    }
}

#[tokio::test]
async fn revisions_without_sessions_claim_nothing() {
    let layer = layer(&clock());
    let id = open(&layer, &Who::Anonymous).await;
    for version in ["2026-07-28", "2027-01-01"] {
        let behind = Behind::default();
        let headers = [(SESSION, &*id), (LAST, "7"), (VERSION, version)];
        let answer = send(&layer, &behind, &alice(), &Method::POST, &headers).await;
        assert_eq!(answer.status(), 200);
        let seen = behind.seen.lock().unwrap().pop().unwrap();
        assert!(!seen.headers.contains_key(SESSION) && !seen.headers.contains_key(LAST));
        assert!(seen.extensions.get::<ClaimedSession>().is_none());
    }
    assert_eq!(post(&layer, &Who::Anonymous, &id).await, Served);
}

#[tokio::test]
async fn a_claim_that_came_from_outside_is_removed() {
    let layer = layer(&clock());
    let id = open(&layer, &Who::Anonymous).await;
    let behind = Behind::default();
    let headers = [(SESSION, &*id)];
    send(&layer, &behind, &alice(), &Method::POST, &headers).await;
    let seen = behind.seen.lock().unwrap().pop().unwrap();
    let claimed = *seen.extensions.get::<ClaimedSession>().unwrap();
    let own = open(&layer, &mallory()).await;
    for headers in [
        vec![],
        vec![(SESSION, &*own)],
        vec![(VERSION, "2026-07-28")],
    ] {
        let mut request = request(&mallory(), &Method::POST, &headers);
        request.extensions_mut().insert(claimed);
        let service = layer.layer(behind.clone());
        service.oneshot(request).await.unwrap();
        let seen = behind.seen.lock().unwrap().pop().unwrap();
        assert!(seen.extensions.get::<ClaimedSession>().is_none());
    }
}

#[tokio::test]
async fn a_layer_that_only_reports_lets_pass_and_reports() {
    let (alices, mallorys) = ("Zm9yIHRoZSBleGFtcGxlIG9ubHk", "YW5vdGhlciBvZiB0aGUga2V5cw");
    let keys = [alices, mallorys].map(|key| ApiKey::new(key).unwrap().name(key));
    let auth = ApiKeyLayer::new(keys).unwrap().optional();
    let reports = auth
        .dangerously_report_only_for(["unknown_session"])
        .unwrap();
    let store = FlakyStore::default();
    let behind = Behind {
        streams: true,
        ..Behind::default()
    };
    let clock = clock();
    let service = ServiceBuilder::new()
        .layer(reports)
        .layer(layer_over(&clock, store.clone()))
        .service(behind.clone());
    let ask = async |key: Option<&str>, session: Option<&str>| {
        let mut request = Request::post("/mcp");
        for (name, value) in [("x-api-key", key), (SESSION, session)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let request = request.body(Full::default()).unwrap();
        service.clone().oneshot(request).await.unwrap()
    };
    let mut opened = ask(None, None).await;
    let id = opened.headers()[SESSION].to_str().unwrap().to_owned();
    let says = behind.feeders.lock().unwrap().pop().unwrap();
    for (key, reported, claimed) in [
        (Some(alices), 0, Some(true)),
        (Some(mallorys), 1, None),
        (None, 1, None),
        (Some(alices), 0, Some(false)),
    ] {
        let answer = ask(key, Some(&id)).await;
        assert_eq!(answer.status(), 200);
        let errors = answer.extensions().get::<Reported>();
        assert_eq!(errors.map_or(0, |errors| errors.errors().len()), reported);
        let seen = behind.seen.lock().unwrap().pop().unwrap();
        assert_eq!(seen.headers[SESSION], "one");
        let found = seen.extensions.get::<ClaimedSession>();
        assert_eq!(found.map(ClaimedSession::is_new), claimed);
    }
    // The stream of a caller that is let pass again goes on.
    says.send("on").unwrap();
    assert!(assert_ready!(task::spawn(opened.body_mut().frame()).poll()).is_some());
    // What is ours to mend is never let pass.
    store.fail(true);
    assert_eq!(ask(Some(alices), Some(&id)).await.status(), 503);
}

#[tokio::test]
async fn a_session_that_was_only_reported_is_not_bound_to_its_caller() {
    let (alices, mallorys) = ("Zm9yIHRoZSBleGFtcGxlIG9ubHk", "YW5vdGhlciBvZiB0aGUga2V5cw");
    let keys = [alices, mallorys].map(|key| ApiKey::new(key).unwrap().name(key));
    let enforcing = ApiKeyLayer::new(keys).unwrap();
    let reporting = enforcing.clone();
    let reporting = reporting.dangerously_report_only_for(["unknown_session"]);
    let reporting = reporting.unwrap();
    for sessions in [SessionBindingLayer::new(key(0)), layer(&clock())] {
        let behind = Behind {
            names: true,
            ..Behind::default()
        };
        let ask = async |auth: &ApiKeyLayer, key: &str, session: Option<&str>| {
            let service = auth.layer(sessions.layer(behind.clone()));
            let mut request = Request::post("/mcp").header("x-api-key", key);
            if let Some(session) = session {
                request = request.header(SESSION, session);
            }
            let request = request.body(Full::default()).unwrap();
            let response = service.oneshot(request).await.unwrap();
            let named = response.headers().get(SESSION);
            let named = named.map(|id| id.to_str().unwrap().to_owned());
            (response.status().as_u16(), named.unwrap_or_default())
        };
        let (_, own) = ask(&enforcing, alices, None).await;
        assert_ne!(own, "one");
        for presented in [own.clone(), "one".to_owned(), format!(" {own} ")] {
            let (status, named) = ask(&reporting, mallorys, Some(&presented)).await;
            assert_eq!((status, &*named), (200, presented.trim()));
            let (status, _) = ask(&enforcing, mallorys, Some(&named)).await;
            assert_eq!(status, 404, "{presented:?}");
        }
        assert_eq!(ask(&enforcing, alices, Some(&own)).await, (200, own));
    }
}

/// The server must not be in another session than the one that was remembered.
#[tokio::test]
async fn of_several_ids_that_are_only_reported_the_server_sees_the_first() {
    let auth = ApiKeyLayer::new([ApiKey::new("Zm9yIHRoZSBleGFtcGxlIG9ubHk").unwrap()]);
    let auth = auth.unwrap().optional();
    let reporting = auth.dangerously_report_only_for(["unknown_session", "duplicate_session_id"]);
    let reporting = reporting.unwrap();
    let sessions = SessionBindingLayer::new(key(0));
    let bound = open(&sessions, &alice()).await;
    for (ids, expected) in [
        (["other", "one"], "other"),
        (["other", &*bound], "other"),
        ([&*bound, "other"], "one"),
    ] {
        let behind = Behind::default();
        let service = reporting.layer(sessions.layer(behind.clone()));
        let request = request(&Who::Unjudged, &Method::POST, &ids.map(|id| (SESSION, id)));
        assert_eq!(service.oneshot(request).await.unwrap().status(), 200);
        let head = behind.seen.lock().unwrap().pop().unwrap();
        let seen: Vec<&HeaderValue> = head.headers.get_all(SESSION).iter().collect();
        assert_eq!(seen, [expected], "{ids:?}");
    }
}

/// A list is taken apart by a layer further in, and its length was known all the same.
#[tokio::test]
async fn an_answer_of_known_length_does_not_wait_for_the_store() {
    let policy = McpPolicy::builder().default_rule(DefaultRule::Baseline);
    let policy = policy.build().unwrap();
    let store = FlakyStore::default();
    store.fail(true);
    let service = ServiceBuilder::new()
        .layer(layer_over(&clock(), store))
        .layer(McpScopesLayer::new(policy.clone()))
        .layer(McpListsLayer::new(policy))
        .service_fn(async |_| {
            let response = Response::builder().header(SESSION, "one");
            let response = response.header("content-type", "application/json");
            Ok::<_, Infallible>(
                response
                    .body(Full::from(r#"{"id":1,"result":{}}"#))
                    .unwrap(),
            )
        });
    let mut request = request::<&str>(&Who::Anonymous, &Method::POST, &[]);
    *request.body_mut() = Full::from(r#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#);
    let headers = request.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let response = service.oneshot(request).await.unwrap();
    assert_ne!(response.headers()[SESSION], "one");
    let mut body = response.into_body();
    let mut next = task::spawn(body.frame());
    assert!(assert_ready!(next.poll()).is_some());
}

#[tokio::test]
async fn a_claim_is_told_once_and_without_the_session() {
    let layer = layer(&clock());
    let id = open(&layer, &Who::Anonymous).await;
    trace::start();
    for _ in 0..3 {
        post(&layer, &alice(), &id).await;
    }
    let told = trace::take();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (told[0].level, told[0].field("layer")),
        (Level::INFO, "session")
    );
    assert_eq!(told[0].field("principal"), "oauth|sub=alice");
    assert!(!told[0].fields.values().any(|value| value.contains("one")));
}

#[tokio::test]
async fn no_secret_is_shown_and_the_store_holds_no_name() {
    /// Keeps what it is told.
    #[derive(Clone, Debug, Default)]
    struct Told(
        MemoryReplayStore,
        Arc<Mutex<HashSet<(StoreKey, StoreValue)>>>,
    );

    impl ReplayStore for Told {
        fn insert_if_absent(
            &self,
            key: StoreKey,
            value: StoreValue,
            life: Duration,
        ) -> StoreFuture<Insertion> {
            // What is left of 24 hours, and how much clocks differ.
            assert_eq!(life, HOUR * 24 - MINUTE + MINUTE * 5);
            self.1.lock().unwrap().insert((key, value));
            self.0.insert_if_absent(key, value, life)
        }

        fn get(&self, key: StoreKey) -> StoreFuture<Option<StoreValue>> {
            self.0.get(key)
        }

        fn complete_since(&self) -> Duration {
            Duration::ZERO
        }
    }

    let (clock, store) = (clock(), Told::default());
    let layer = layer_over(&clock, Arc::new(store.clone()));
    let id = open(&layer, &Who::Anonymous).await;
    clock.advance(MINUTE);
    assert_eq!(post(&layer, &alice(), &id).await, Claimed(true));
    let shown = format!("{layer:?} {:?}", MacKey::ephemeral().unwrap());
    assert!(!KEYS.iter().any(|key| shown.contains(key)), "{shown}");
    assert!(!shown.contains("alice"), "{shown}");
    // The same principal in the same session of another server: nothing of the two is the same.
    let other = layer.server("other");
    clock.set_wall(START);
    let id = open(&other, &Who::Anonymous).await;
    clock.advance(MINUTE);
    assert_eq!(post(&other, &alice(), &id).await, Claimed(true));
    let told = store.1.lock().unwrap();
    let keys: HashSet<_> = told.iter().map(|(key, _)| key).collect();
    let values: HashSet<_> = told.iter().map(|(_, value)| value).collect();
    assert_eq!((keys.len(), values.len()), (2, 2));
}
