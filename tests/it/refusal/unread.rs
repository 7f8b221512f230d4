//! What becomes of the body of a request that is refused before anybody read it.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use common::{Answering, Inner, hs256_layer, invalid};
use http::{Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service, ServiceExt};
use tower_mcp_auth::auth::{AuthLayer, Authentication};
use tower_mcp_auth::failed_attempts::FailedAttemptsLayer;
use tower_mcp_auth::mcp::{MacKey, McpPolicy, McpScopesLayer, OriginLayer, SessionBindingLayer};
use tower_mcp_auth::scopes::RequireScopesLayer;

const PATIENCE: Duration = Duration::from_millis(500);
const MAX_BYTES: usize = 64 * 1024;

type Sent = Result<Frame<Bytes>, io::Error>;

/// A body that comes when the test sends it.
struct Coming {
    frames: mpsc::UnboundedReceiver<Sent>,
    announced: u64,
    polls: Arc<AtomicUsize>,
}

impl Body for Coming {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Sent>> {
        self.polls.fetch_add(1, Ordering::SeqCst);
        self.frames.poll_recv(cx)
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.announced);
        hint
    }
}

struct Client {
    frames: mpsc::UnboundedSender<Sent>,
    polls: Arc<AtomicUsize>,
}

impl Client {
    fn send(&self, data: impl Into<Bytes>) {
        self.frames.send(Ok(Frame::data(data.into()))).unwrap();
    }

    fn polls(&self) -> usize {
        self.polls.load(Ordering::SeqCst)
    }
}

fn coming(announced: u64) -> (Client, Coming) {
    let (sender, frames) = mpsc::unbounded_channel();
    let polls = Arc::<AtomicUsize>::default();
    let body = Coming {
        frames,
        announced,
        polls: Arc::clone(&polls),
    };
    let frames = sender;
    (Client { frames, polls }, body)
}

fn post(body: Coming) -> Request<Coming> {
    let request = Request::post("https://mcp.example.com/mcp").header("host", "elsewhere.example");
    request.body(body).unwrap()
}

type BoxService = tower::util::BoxService<Request<Coming>, Response<()>, Infallible>;

/// Every layer that may refuse a request, each before anybody read its body.
fn refusing() -> Vec<(&'static str, BoxService)> {
    fn boxed<S, B>(service: S) -> BoxService
    where
        S: Service<Request<Coming>, Response = Response<B>, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
    {
        BoxService::new(service.map_response(|response| response.map(|_| ())))
    }
    let later = Answering::new(|_| {
        Authentication::Pending(Box::pin(async {
            tokio::task::yield_now().await;
            Err(invalid("test"))
        }))
    });
    let later = AuthLayer::new(later).layer(Inner::default());
    let later = tower::ServiceBuilder::new()
        .map_request(|mut request: Request<Coming>| {
            let token = "Bearer x".parse().unwrap();
            request.headers_mut().insert("authorization", token);
            request
        })
        .service(later);
    let origin = OriginLayer::new("https://mcp.example.com/mcp").unwrap();
    let policy = McpPolicy::builder().build().unwrap();
    vec![
        ("auth", boxed(hs256_layer().layer(Inner::default()))),
        ("auth, waiting", boxed(later)),
        (
            "attempts",
            boxed(FailedAttemptsLayer::new(|_| None).layer(Inner::default())),
        ),
        ("origin", boxed(origin.layer(Inner::default()))),
        (
            "scopes",
            boxed(
                RequireScopesLayer::new("read")
                    .unwrap()
                    .layer(Inner::default()),
            ),
        ),
        (
            "session",
            boxed(
                SessionBindingLayer::new(MacKey::new(common::SECRET).unwrap())
                    .layer(Inner::default()),
            ),
        ),
        (
            "operations",
            boxed(McpScopesLayer::new(policy).layer(Inner::default())),
        ),
    ]
}

fn closes(response: &Response<()>) -> bool {
    assert!(response.status().as_u16() >= 400);
    match response.headers().get("connection") {
        Some(value) => {
            assert_eq!(value, "close");
            true
        }
        None => false,
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_body_is_read_before_the_answer_is_given() {
    for (name, service) in refusing() {
        let (client, body) = coming(0);
        let mut answer = task::spawn(service.oneshot(post(body)));
        while client.polls() == 0 {
            assert_pending!(answer.poll(), "{name}");
            tokio::task::yield_now().await;
        }
        client.send("{\"jsonrpc\":");
        assert!(answer.is_woken(), "{name}");
        assert_pending!(answer.poll(), "{name}");
        client.send("\"2.0\"}");
        assert_pending!(answer.poll(), "{name}");
        drop(client);
        assert!(answer.is_woken(), "{name}");
        let response = assert_ready!(answer.poll(), "{name}").unwrap();
        assert!(!closes(&response), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn over_http_2_the_same_is_waited_for_and_no_connection_ends() {
    for (name, service) in refusing() {
        let start = tokio::time::Instant::now();
        let (client, body) = coming(0);
        client.send("{");
        let mut request = post(body);
        *request.version_mut() = Version::HTTP_2;
        let response = service.oneshot(request).await.unwrap();
        assert!(!closes(&response), "{name}");
        let waited = start.elapsed();
        assert!(
            (PATIENCE..2 * PATIENCE).contains(&waited),
            "{name}: {waited:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_end_in_time_costs_the_connection() {
    for (name, service) in refusing() {
        let start = tokio::time::Instant::now();
        let (client, body) = coming(0);
        client.send("{");
        let response = service.oneshot(post(body)).await.unwrap();
        assert!(closes(&response), "{name}");
        let waited = start.elapsed();
        assert!(
            (PATIENCE..2 * PATIENCE).contains(&waited),
            "{name}: {waited:?}"
        );
    }
}

/// What a client sends at once.
struct Case {
    frames: Vec<Sent>,
    /// Whether the body ends with them.
    ends: bool,
    announced: u64,
    version: Version,
    expects: bool,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            frames: Vec::new(),
            ends: false,
            announced: 0,
            version: Version::HTTP_11,
            expects: false,
        }
    }
}

fn data(number: usize, len: usize) -> Vec<Sent> {
    let data = Bytes::from(vec![b' '; len]);
    let frame = || Ok(Frame::data(data.clone()));
    std::iter::repeat_with(frame).take(number).collect()
}

/// Whether the answer that is there at once ends the connection, and how often the body was
/// polled for it.
fn answer_at_once(case: Case) -> (bool, usize) {
    let (client, body) = coming(case.announced);
    for frame in case.frames {
        client.frames.send(frame).unwrap();
    }
    let polls = Arc::clone(&client.polls);
    let _open = (!case.ends).then_some(client);
    let mut request = post(body);
    *request.version_mut() = case.version;
    if case.expects {
        let expect = "100-continue".parse().unwrap();
        request.headers_mut().insert("expect", expect);
    }
    let service = hs256_layer().layer(Inner::default());
    // A channel of tokio lets its reader rest after some messages, otherwise.
    let answer = tokio::task::unconstrained(service.oneshot(request));
    let response = assert_ready!(task::spawn(answer).poll()).unwrap();
    assert_eq!(response.status(), 401);
    (closes(&response.map(|_| ())), polls.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_body_that_is_there_costs_nothing() {
    let mut trailers = data(1, 100);
    trailers.push(Ok(Frame::trailers(http::HeaderMap::new())));
    for frames in [
        vec![],
        data(1, 100),
        data(1, MAX_BYTES),
        data(1023, 64),
        trailers,
    ] {
        let announced = 0;
        let number = frames.len();
        let case = Case {
            frames,
            ends: true,
            announced,
            ..Case::default()
        };
        assert_eq!(answer_at_once(case), (false, number + 1));
    }
}

#[tokio::test]
async fn a_body_over_its_bounds_is_not_waited_for() {
    let too_many = answer_at_once(Case {
        frames: data(2000, 0),
        ..Case::default()
    });
    assert_eq!(too_many, (true, 1025), "empty frames");
    let frames = data(65, 1024);
    let too_much = answer_at_once(Case {
        frames,
        ..Case::default()
    });
    assert_eq!(too_much, (true, 65));
    let announced = MAX_BYTES as u64 + 1;
    let announced = answer_at_once(Case {
        announced,
        ..Case::default()
    });
    assert_eq!(announced, (true, 0), "not even begun");
    let broken = vec![Err(io::Error::other("reset"))];
    let broken = answer_at_once(Case {
        frames: broken,
        ..Case::default()
    });
    assert_eq!(broken, (true, 1));
}

#[tokio::test]
async fn a_client_that_asks_first_is_not_asked_to_send_its_body() {
    let asked = answer_at_once(Case {
        expects: true,
        ..Case::default()
    });
    assert_eq!(asked, (true, 0));
}

#[tokio::test]
async fn only_versions_that_share_a_connection_close_it() {
    for version in [Version::HTTP_2, Version::HTTP_3] {
        for (what, case, polls) in [
            (
                "a small body is read, or the stream would be reset",
                Case {
                    frames: data(3, 5),
                    ends: true,
                    ..Case::default()
                },
                4,
            ),
            (
                "an upload is not even begun",
                Case {
                    announced: u64::MAX,
                    ..Case::default()
                },
                0,
            ),
            (
                "what was not announced is read up to the bound",
                Case {
                    frames: data(65, 1024),
                    ..Case::default()
                },
                65,
            ),
            (
                "what is held back is not asked for",
                Case {
                    expects: true,
                    ..Case::default()
                },
                0,
            ),
        ] {
            let alone = answer_at_once(Case { version, ..case });
            assert_eq!(alone, (false, polls), "{version:?}: {what}");
        }
    }
    for version in [Version::HTTP_10, Version::HTTP_11] {
        let announced = u64::MAX;
        let shared = answer_at_once(Case {
            version,
            announced,
            ..Case::default()
        });
        assert_eq!(shared, (true, 0), "{version:?}");
    }
}

#[test]
fn without_a_runtime_nothing_is_waited_for() {
    assert_eq!(answer_at_once(Case::default()), (true, 1));
}

/// Or any number of guesses could be made side by side, before the first of them is counted.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_waits_is_counted_once_and_before() {
    let here = |_: tower_mcp_auth::RequestHead<'_>| Some([192, 0, 2, 1].into());
    let limit = |failures| {
        FailedAttemptsLayer::new(here)
            .max_failures(failures)
            .unwrap()
    };
    for (name, outer, inner) in [("outer", 2, 100), ("inner", 100, 2)] {
        let service = limit(outer).layer(limit(inner).layer(hs256_layer().layer(Inner::default())));
        let guess = |body| {
            let mut request = post(body);
            let token = "Bearer guessed".parse().unwrap();
            request.headers_mut().insert("authorization", token);
            task::spawn(service.clone().oneshot(request))
        };
        let (client, body) = coming(1);
        let mut answered = guess(body);
        assert_pending!(answered.poll(), "{name}");
        drop(client);
        let response = assert_ready!(answered.poll(), "{name}").unwrap();
        assert_eq!(response.status(), 401, "{name}");

        let (_client, body) = coming(1);
        let mut left = guess(body);
        // A second count of the first guess would block this one.
        assert_pending!(left.poll(), "{name}");
        drop(left);
        let (client, body) = coming(0);
        drop(client);
        let response = assert_ready!(guess(body).poll(), "{name}").unwrap();
        assert_eq!(response.status(), 429, "{name}");
    }
}

#[test]
fn a_runtime_without_timers_closes_and_does_not_panic() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    let (_client, body) = coming(0);
    let answer = hs256_layer().layer(Inner::default()).oneshot(post(body));
    let response = runtime.block_on(answer).unwrap();
    assert_eq!(response.status(), 401);
    assert!(closes(&response.map(|_| ())));
}
