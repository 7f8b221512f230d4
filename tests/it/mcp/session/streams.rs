//! Streams end with the credential they were opened with. Time is tokio's, paused, and the
//! layer's own clock; both are moved by hand.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_test::task;
use tokio_test::{assert_pending, assert_ready};
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt};
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::auth::{
    AuthLayer, Authenticate, Authenticated, Authentication, ProviderInfo, ResponseBody,
};
use tower_mcp_auth::mcp::{McpListsLayer, McpPolicy, McpScopesLayer};
use tower_mcp_auth::{ApiKeyLayer, Clock, Credential, JwtLayer, Principal, RequestHead};

use common::{NOW, SECRET, token};

const SECOND: Duration = Duration::from_secs(1);

/// A body of unknown size that says what it is sent.
#[derive(Debug)]
struct Feed(UnboundedReceiver<Result<Frame<Bytes>, BoxError>>);

type Feeder = UnboundedSender<Result<Frame<Bytes>, BoxError>>;

impl Body for Feed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.poll_recv(cx)
    }
}

/// Answers every request with a new [`Feed`].
#[derive(Clone, Debug, Default)]
struct Streaming {
    headers: HeaderMap,
    feeders: Arc<Mutex<Vec<Feeder>>>,
}

impl Streaming {
    fn of(content_type: &'static str) -> Self {
        let mut streaming = Self::default();
        if !content_type.is_empty() {
            let value = HeaderValue::from_static(content_type);
            streaming.headers.insert("content-type", value);
        }
        streaming
    }

    fn feeder(&self) -> Feeder {
        self.feeders.lock().unwrap().pop().unwrap()
    }
}

impl<B> Service<Request<B>> for Streaming {
    type Response = Response<Feed>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let (feeder, feed) = unbounded_channel();
        self.feeders.lock().unwrap().push(feeder);
        let mut response = Response::new(Feed(feed));
        response.headers_mut().extend(self.headers.clone());
        ready(Ok(response))
    }
}

/// The clock of the layer, and tokio's.
struct Clocks(Clock);

impl Clocks {
    fn new() -> Self {
        Self(Clock::manual(Duration::from_secs(NOW)))
    }

    async fn advance(&self, by: Duration) {
        self.0.advance(by);
        tokio::time::advance(by).await;
    }

    /// 60 s of clock skew, as ever.
    fn jwt(&self) -> JwtLayer {
        let secret = tower_mcp_auth::jose::Secret::new(SECRET).unwrap();
        let builder = JwtLayer::builder(secret).clock(self.0.clone());
        builder.build().unwrap()
    }
}

fn request(method: Method, lives: u64) -> Request<Full<Bytes>> {
    let exp = NOW + lives;
    let token = token(&format!(r#"{{"sub":"alice","exp":{exp}}}"#));
    Request::builder()
        .method(method)
        .uri("/mcp")
        .header("authorization", format!("Bearer {token}"))
        .body(Full::default())
        .unwrap()
}

async fn open<L, S>(
    layer: &L,
    service: S,
    request: Request<Full<Bytes>>,
) -> Pin<Box<ResponseBody<Feed>>>
where
    L: Layer<S>,
    L::Service:
        Service<Request<Full<Bytes>>, Response = Response<ResponseBody<Feed>>, Error = Infallible>,
{
    let response = layer.layer(service).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    Box::pin(response.into_body())
}

fn say(feeder: &Feeder, text: &'static str) {
    feeder
        .send(Ok(Frame::data(Bytes::from_static(text.as_bytes()))))
        .unwrap();
}

async fn hear(body: &mut Pin<Box<ResponseBody<Feed>>>) -> Bytes {
    let frame = body.frame().await.expect("a frame").unwrap();
    frame.into_data().expect("data")
}

const SSE: &str = "text/event-stream";

#[tokio::test(start_paused = true)]
async fn streams_end_with_their_token_and_answers_a_little_later() {
    let listen = Some("subscriptions/listen");
    for (method, mcp_method, content_type, lives) in [
        (Method::GET, None, SSE, 360),
        (Method::GET, None, "Text/Event-Stream ; charset=utf-8", 360),
        (Method::GET, listen, SSE, 360),
        (Method::POST, listen, SSE, 360),
        (Method::POST, listen, "", 360),
        (Method::POST, None, SSE, 960),
        (Method::POST, Some("tools/call"), SSE, 960),
        (Method::POST, Some("Subscriptions/Listen"), SSE, 960),
        (Method::POST, None, "application/json", 960),
        (Method::POST, None, "", 960),
        // A download is an answer, and would be cut.
        (Method::GET, None, "application/octet-stream", 960),
        (Method::GET, None, "text/event-streams", 960),
        (Method::PUT, None, SSE, 960),
    ] {
        let row = format!("{method} {mcp_method:?} {content_type:?}");
        let clocks = Clocks::new();
        let service = Streaming::of(content_type);
        let mut request = request(method, 300);
        if let Some(mcp_method) = mcp_method {
            let value = HeaderValue::from_static(mcp_method);
            request.headers_mut().insert("mcp-method", value);
        }
        let mut body = open(&clocks.jwt(), service.clone(), request).await;
        let feeder = service.feeder();
        say(&feeder, "first");
        assert_eq!(hear(&mut body).await, "first");

        let mut next = task::spawn(body.frame());
        assert_pending!(next.poll());
        clocks.advance(Duration::from_secs(lives) - SECOND).await;
        assert!(!next.is_woken(), "{row}");
        assert_pending!(next.poll(), "{row}");
        clocks.advance(SECOND).await;
        assert!(next.is_woken(), "{row}");
        assert!(assert_ready!(next.poll()).is_none(), "{row}");
        drop(next);
        // The service behind is told by the end of its body.
        assert!(feeder.is_closed(), "{row}");
        assert!(body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(0));
        assert!(body.frame().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_comes_through_in_the_time_left_to_it() {
    let clocks = Clocks::new();
    let service = Streaming::of(SSE);
    let mut body = open(&clocks.jwt(), service.clone(), request(Method::POST, 300)).await;
    let feeder = service.feeder();
    let mut next = task::spawn(body.frame());
    assert_pending!(next.poll());
    clocks.advance(Duration::from_secs(900)).await;
    say(&feeder, "the answer");
    assert!(next.is_woken());
    let frame = assert_ready!(next.poll()).unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "the answer");
    drop(next);
    drop(feeder);
    assert!(body.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_settings_move_the_end() {
    type Setting = fn(JwtLayer) -> JwtLayer;
    let hour = Duration::from_secs(3600);
    let settings: [(Setting, Method, Option<u64>); 5] = [
        (
            |layer| layer.stream_grace(Duration::ZERO),
            Method::POST,
            Some(360),
        ),
        (
            |layer| layer.stream_grace(5 * SECOND),
            Method::POST,
            Some(365),
        ),
        (
            |layer| layer.stream_grace(5 * SECOND),
            Method::GET,
            Some(360),
        ),
        // The token's end counts where it has one.
        (
            |layer| layer.stream_max_life(SECOND).unwrap(),
            Method::GET,
            Some(360),
        ),
        (
            JwtLayer::dangerously_streams_outlive_credentials,
            Method::GET,
            None,
        ),
    ];
    for (setting, method, lives) in settings {
        let clocks = Clocks::new();
        let service = Streaming::of(SSE);
        let layer = setting(clocks.jwt());
        let mut body = open(&layer, service.clone(), request(method, 300)).await;
        let mut next = task::spawn(body.frame());
        assert_pending!(next.poll());
        let Some(lives) = lives else {
            for _ in 0..100 {
                clocks.advance(hour).await;
                assert_pending!(next.poll());
            }
            continue;
        };
        clocks.advance(Duration::from_secs(lives) - SECOND).await;
        assert_pending!(next.poll(), "{lives}");
        clocks.advance(SECOND).await;
        assert!(assert_ready!(next.poll()).is_none(), "{lives}");
    }
    let error = Clocks::new()
        .jwt()
        .stream_max_life(Duration::ZERO)
        .unwrap_err();
    assert_eq!(error.setting(), "stream_max_life");
}

/// Accepts everyone until a time, at once or later.
#[derive(Clone, Debug)]
struct Until {
    clock: Clock,
    expires_at: Option<u64>,
    valid_until: Option<u64>,
    waits: bool,
}

impl Until {
    fn new(clocks: &Clocks) -> Self {
        Self {
            clock: clocks.0.clone(),
            expires_at: None,
            valid_until: None,
            waits: false,
        }
    }
}

impl Authenticate for Until {
    fn describe(&self) -> ProviderInfo {
        ProviderInfo::new("test").clock(self.clock.clone())
    }

    fn authenticate(&self, _: &Credential<'_>, _: RequestHead<'_>) -> Authentication {
        let mut principal = Principal::builder("test").subject("alice");
        if let Some(at) = self.expires_at {
            principal = principal.expires_at(Duration::from_secs(at));
        }
        let mut accepted = Authenticated::new(principal.build());
        if let Some(at) = self.valid_until {
            accepted = accepted.valid_until(Duration::from_secs(at));
        }
        if self.waits {
            return Authentication::Pending(Box::pin(async move { Ok(accepted) }));
        }
        Authentication::Ready(Ok(accepted))
    }
}

#[tokio::test(start_paused = true)]
async fn providers_say_when_their_credential_ends() {
    // (expiry of the principal, end of validity, maximum life, seconds the stream lives)
    for (expires_at, valid_until, max_life, lives) in [
        (None, None, None, None),
        (Some(NOW + 100), None, None, Some(100)),
        (Some(NOW + 100), Some(NOW + 130), None, Some(130)),
        (None, Some(NOW + 130), None, Some(130)),
        (None, None, Some(50), Some(50)),
        (Some(NOW + 100), None, Some(50), Some(100)),
        // Longer than any timer.
        (Some(u64::MAX), None, None, None),
        (None, None, Some(u64::MAX), None),
        // Over before it began.
        (Some(NOW - 1), None, None, Some(0)),
    ] {
        for waits in [false, true] {
            let clocks = Clocks::new();
            let provider = Until {
                expires_at,
                valid_until,
                waits,
                ..Until::new(&clocks)
            };
            let mut layer = AuthLayer::new(provider);
            if let Some(life) = max_life {
                layer = layer.stream_max_life(Duration::from_secs(life)).unwrap();
            }
            // Erasing the type of a provider changes nothing.
            let layer = layer.boxed();
            let service = Streaming::of(SSE);
            let mut body = open(&layer, service.clone(), request(Method::GET, 0)).await;
            let _feeder = service.feeder();
            let mut next = task::spawn(body.frame());
            let Some(lives) = lives else {
                for _ in 0..100 {
                    assert_pending!(next.poll());
                    clocks.advance(Duration::from_secs(86_400)).await;
                }
                continue;
            };
            if lives > 0 {
                assert_pending!(next.poll());
                clocks.advance(Duration::from_secs(lives) - SECOND).await;
                assert_pending!(next.poll(), "{lives}");
                clocks.advance(SECOND).await;
            }
            assert!(assert_ready!(next.poll()).is_none(), "{lives}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_longest_life_has_no_grace() {
    for method in [Method::GET, Method::POST] {
        let clocks = Clocks::new();
        let layer = AuthLayer::new(Until::new(&clocks));
        let layer = layer.stream_max_life(50 * SECOND).unwrap();
        let layer = layer.stream_grace(600 * SECOND).boxed();
        let service = Streaming::of(SSE);
        let mut body = open(&layer, service.clone(), request(method.clone(), 0)).await;
        let _feeder = service.feeder();
        let mut next = task::spawn(body.frame());
        assert_pending!(next.poll());
        clocks.advance(49 * SECOND).await;
        assert_pending!(next.poll(), "{method}");
        clocks.advance(SECOND).await;
        assert!(assert_ready!(next.poll()).is_none(), "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn streams_of_an_api_key_end_with_the_key_by_the_clock_of_its_layer() {
    let key = "5kq0Vb8JtXyRz3GmWc7NdHf2LpSa9UeT";
    let clocks = Clocks::new();
    let ends = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + 100);
    let keys = [ApiKey::new(key).unwrap().expires_at(ends).unwrap()];
    let layer = ApiKeyLayer::new(keys).unwrap().clock(clocks.0.clone());
    let service = Streaming::of(SSE);
    let request = Request::get("/mcp")
        .header("x-api-key", key)
        .body(Full::default());
    let mut body = open(&layer, service.clone(), request.unwrap()).await;
    let _feeder = service.feeder();
    let mut next = task::spawn(body.frame());
    assert_pending!(next.poll());
    clocks.advance(99 * SECOND).await;
    assert_pending!(next.poll());
    clocks.advance(SECOND).await;
    assert!(assert_ready!(next.poll()).is_none());
}

#[tokio::test(start_paused = true)]
async fn exempt_requests_have_no_end() {
    let clocks = Clocks::new();
    let layer = clocks.jwt().public_path("/events").unwrap();
    let layer = layer.stream_max_life(SECOND).unwrap();
    let service = Streaming::of(SSE);
    let request = Request::get("/events").body(Full::default()).unwrap();
    let mut body = open(&layer, service.clone(), request).await;
    let mut next = task::spawn(body.frame());
    assert_pending!(next.poll());
    clocks.advance(Duration::from_secs(1_000_000)).await;
    assert_pending!(next.poll());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_moves_the_end_with_it() {
    // The timer is monotonic; the clock has the last word.
    let clocks = Clocks::new();
    let service = Streaming::of(SSE);
    let mut body = open(&clocks.jwt(), service.clone(), request(Method::GET, 300)).await;
    let mut next = task::spawn(body.frame());
    assert_pending!(next.poll());
    tokio::time::advance(Duration::from_secs(360)).await;
    assert!(next.is_woken());
    assert_pending!(next.poll());
    // It waits, and does not spin.
    tokio::task::yield_now().await;
    assert!(!next.is_woken());
    clocks.advance(Duration::from_secs(359)).await;
    assert_pending!(next.poll());
    clocks.advance(SECOND).await;
    assert!(next.is_woken());
    assert!(assert_ready!(next.poll()).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_leaps_ahead_is_noticed_within_the_hour() {
    let clocks = Clocks::new();
    let service = Streaming::of(SSE);
    let mut body = open(&clocks.jwt(), service.clone(), request(Method::GET, 86_400)).await;
    let mut next = task::spawn(body.frame());
    assert_pending!(next.poll());
    clocks.0.advance(Duration::from_secs(100_000));
    tokio::time::advance(Duration::from_secs(3_600)).await;
    assert!(next.is_woken());
    assert!(assert_ready!(next.poll()).is_none());
}

/// Always has more to say.
#[derive(Debug)]
struct Endless(SizeHint);

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"more")))))
    }

    fn size_hint(&self) -> SizeHint {
        self.0
    }
}

async fn endless(
    clocks: &Clocks,
    hint: SizeHint,
    header: Option<&'static str>,
) -> Pin<Box<ResponseBody<Endless>>> {
    let service = tower::service_fn(move |_: Request<Full<Bytes>>| {
        let mut response = Response::new(Endless(hint));
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static(SSE));
        if let Some(length) = header {
            headers.insert("content-length", HeaderValue::from_static(length));
        }
        ready(Ok::<_, Infallible>(response))
    });
    let service = clocks.jwt().layer(service);
    let response = service.oneshot(request(Method::GET, 300)).await.unwrap();
    Box::pin(response.into_body())
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_waits_ends_as_well_and_allocates_nothing() {
    let clocks = Clocks::new();
    let mut body = endless(&clocks, SizeHint::default(), None).await;
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let allocations = allocation_counter::measure(|| {
        for _ in 0..1000 {
            let frame = body.as_mut().poll_frame(&mut cx);
            assert!(matches!(frame, Poll::Ready(Some(Ok(_)))));
        }
    });
    assert_eq!(allocations.count_total, 0);
    clocks.0.advance(Duration::from_secs(360));
    let frame = body.as_mut().poll_frame(&mut cx);
    assert!(matches!(frame, Poll::Ready(None)));
}

#[tokio::test(start_paused = true)]
async fn a_body_of_known_size_is_not_cut() {
    for (hint, header, cut) in [
        (SizeHint::with_exact(1 << 40), None, false),
        (SizeHint::default(), Some("1099511627776"), false),
        (SizeHint::default(), None, true),
    ] {
        let clocks = Clocks::new();
        let mut body = endless(&clocks, hint, header).await;
        clocks.0.advance(Duration::from_secs(1_000_000));
        for _ in 0..3 {
            assert_eq!(body.frame().await.is_none(), cut, "{header:?}");
        }
    }
}

/// Its layer takes the length away, which was known all the same.
#[tokio::test(start_paused = true)]
async fn a_list_of_known_length_is_not_cut() {
    for (length, cut) in [(Some("2"), false), (None, true)] {
        let clocks = Clocks::new();
        let mut service = Streaming::of("application/json");
        if let Some(length) = length {
            let length = HeaderValue::from_static(length);
            service.headers.insert("content-length", length);
        }
        let policy = McpPolicy::builder().build().unwrap();
        let layers = ServiceBuilder::new()
            .layer(clocks.jwt().stream_grace(Duration::ZERO))
            .layer(McpListsLayer::new(policy));
        let layered = layers.service(service.clone());
        let response = layered.oneshot(request(Method::POST, 300)).await.unwrap();
        assert!(!response.headers().contains_key("content-length"));
        let mut body = Box::pin(response.into_body());
        let feeder = service.feeder();
        say(&feeder, "{}");
        drop(feeder);
        clocks.advance(Duration::from_secs(361)).await;
        assert_eq!(body.frame().await.is_none(), cut, "{length:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn frames_and_errors_pass_as_they_are() {
    let clocks = Clocks::new();
    let service = Streaming::of(SSE);
    let mut body = open(&clocks.jwt(), service.clone(), request(Method::GET, 300)).await;
    let feeder = service.feeder();
    assert_eq!(body.size_hint().exact(), None);
    assert!(!body.is_end_stream());
    say(&feeder, "data");
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", HeaderValue::from_static("7"));
    feeder.send(Ok(Frame::trailers(trailers.clone()))).unwrap();
    feeder.send(Err("out of order".into())).unwrap();
    assert_eq!(hear(&mut body).await, "data");
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(frame.into_trailers().unwrap(), trailers);
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "out of order");
}

#[tokio::test(start_paused = true)]
async fn grpc_streams_end_with_a_status() {
    let trailers = b"grpc-status:16\r\ngrpc-message:The credential expired\r\n";
    let mut web = vec![0x80, 0, 0, 0, u8::try_from(trailers.len()).unwrap()];
    web.extend_from_slice(trailers);
    for (content_type, in_body) in [
        ("application/grpc", None),
        ("application/grpc+proto", None),
        ("application/grpc-web+proto", Some(web.clone())),
        ("application/grpc-web-text", Some(base64(&web))),
    ] {
        let clocks = Clocks::new();
        let service = Streaming::of(content_type);
        let mut body = open(&clocks.jwt(), service.clone(), request(Method::POST, 300)).await;
        let feeder = service.feeder();
        say(&feeder, "message");
        assert_eq!(hear(&mut body).await, "message");
        let mut next = task::spawn(body.frame());
        assert_pending!(next.poll());
        clocks.advance(Duration::from_secs(960)).await;
        let frame = assert_ready!(next.poll()).unwrap().unwrap();
        match in_body {
            Some(bytes) => assert_eq!(frame.into_data().unwrap(), bytes),
            None => {
                let trailers = frame.into_trailers().unwrap();
                assert_eq!(trailers["grpc-status"], "16");
                assert_eq!(trailers["grpc-message"], "The credential expired");
            }
        }
        drop(next);
        assert!(body.frame().await.is_none());
        assert!(feeder.is_closed());
    }
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD
        .encode(bytes)
        .into_bytes()
}

#[test]
fn outside_a_runtime_streams_end_with_the_next_frame() {
    let clocks = Clocks::new();
    let service = Streaming::of(SSE);
    let opened = clocks
        .jwt()
        .layer(service.clone())
        .oneshot(request(Method::GET, 300));
    let response = assert_ready!(task::spawn(opened).poll()).unwrap();
    let mut body = Box::pin(response.into_body());
    let feeder = service.feeder();
    let mut next = task::spawn(body.frame());
    assert_pending!(next.poll());
    clocks.0.advance(Duration::from_secs(360));
    say(&feeder, "too late");
    assert!(next.is_woken());
    assert!(assert_ready!(next.poll()).is_none());
}

const CALL: &str = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;
const RECENT: &str = "2026-07-28";

/// What the error in the place of an answer is.
fn expired(id: &str) -> String {
    format!(
        "event: message\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":401,\
         \"message\":\"the access token expired while this ran; ask again\"}}}}\n\n"
    )
}

/// What is said in answer to a POST by the time its credential has ended: the frames of the
/// server, and what comes after them.
async fn said_in_the_end(
    version: Option<&'static str>,
    body: &str,
    headers: &[(&'static str, &'static str)],
    frames: &[&'static str],
) -> String {
    let clocks = Clocks::new();
    let policy = McpPolicy::builder().build().unwrap();
    let mut service = Streaming::default();
    for (name, value) in headers {
        service
            .headers
            .insert(*name, HeaderValue::from_static(value));
    }
    let layers = ServiceBuilder::new()
        .layer(clocks.jwt())
        .layer(McpScopesLayer::new(policy));
    let mut request = request(Method::POST, 300);
    let head = request.headers_mut();
    head.insert("content-type", HeaderValue::from_static("application/json"));
    if let Some(version) = version {
        let version = HeaderValue::from_static(version);
        head.insert("mcp-protocol-version", version);
        head.insert("mcp-method", HeaderValue::from_static("ping"));
    }
    *request.body_mut() = Full::from(body.to_owned());
    let response = layers.service(service.clone()).oneshot(request).await;
    let response = response.unwrap();
    assert_eq!(response.status(), 200);
    let mut answer = Box::pin(response.into_body());
    let feeder = service.feeder();
    let mut heard = String::new();
    for frame in frames {
        say(&feeder, frame);
        let frame = answer.frame().await.unwrap().unwrap();
        heard.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    let mut next = task::spawn(answer.frame());
    assert_pending!(next.poll());
    clocks.advance(Duration::from_secs(960)).await;
    let last = assert_ready!(next.poll());
    drop(next);
    assert!(feeder.is_closed());
    let Some(last) = last else {
        return heard;
    };
    assert!(answer.frame().await.is_none());
    heard.push_str(std::str::from_utf8(&last.unwrap().into_data().unwrap()).unwrap());
    heard
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_before_its_answer_says_so_where_it_cannot_be_resumed() {
    let sse = &[("content-type", SSE)][..];
    let note = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n";
    let with_id = "id: 1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n";
    for (version, frames, adds) in [
        (Some(RECENT), &[][..], expired("7")),
        (Some(RECENT), &[note], expired("7")),
        // Nothing is resumed there, whatever the ids are good for.
        (Some(RECENT), &[with_id], expired("7")),
        (Some("2025-11-25"), &[note], expired("7")),
        (None, &[], expired("7")),
        (None, &[note], expired("7")),
        // Clients come back for the answer.
        (Some("2025-11-25"), &[with_id], String::new()),
        (None, &[note, with_id], String::new()),
        (None, &["id:5\r\ndata: \r\n\r\n"], String::new()),
        // No id to come back with.
        (
            None,
            &["id\ndata: \n\n", "id: \ndata:\n\n", ": id: 1\n\n"],
            expired("7"),
        ),
        // It was answered.
        (
            Some(RECENT),
            &["data: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n\n"],
            String::new(),
        ),
        (
            Some(RECENT),
            &["data: {\"result\":{},\n", "data: \"id\": 7}\r\r"],
            String::new(),
        ),
        (
            Some(RECENT),
            &["data: {\"id\":7,\"err", "or\":{}}\n\n"],
            String::new(),
        ),
        // Something else was: a request of the server, an answer to another.
        (
            Some(RECENT),
            &["data: {\"id\":7,\"method\":\"ping\"}\n\n"],
            expired("7"),
        ),
        (
            Some(RECENT),
            &["data: {\"id\":8,\"result\":{}}\n\n"],
            expired("7"),
        ),
        (
            Some(RECENT),
            &["data: {\"id\":7,\"params\":{\"result\":1}}\n\n"],
            expired("7"),
        ),
        // What was cut is ended first.
        (
            Some(RECENT),
            &["data: {\"par"],
            format!("\n\n{}", expired("7")),
        ),
        (Some(RECENT), &["event: x\n"], format!("\n{}", expired("7"))),
        (
            Some(RECENT),
            &["event: x\r"],
            format!("\n\n{}", expired("7")),
        ),
        (
            Some(RECENT),
            &["event: x\r\n"],
            format!("\n{}", expired("7")),
        ),
        (
            Some(RECENT),
            &[note, ": ping"],
            format!("\n\n{}", expired("7")),
        ),
        (Some(RECENT), &["data: x\r\n\r", "\n"], expired("7")),
    ] {
        let heard = said_in_the_end(version, CALL, sse, frames).await;
        assert_eq!(heard, frames.concat() + &adds, "{version:?} {frames:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_says_nothing_where_it_would_be_no_event_or_no_answer() {
    let call = |id: &str| CALL.replace('7', id);
    let long = format!("\"{}\"", "x".repeat(200));
    let sse = &[("content-type", SSE)][..];
    let none = String::new;
    for (body, headers, adds) in [
        (call("\"a b\""), sse, expired("\"a b\"")),
        (call(&long), sse, expired(&long)),
        (call("-1.5e3"), sse, expired("-1.5e3")),
        (
            CALL.to_owned(),
            &[("content-type", "text/event-stream; charset=utf-8")],
            expired("7"),
        ),
        (
            CALL.to_owned(),
            &[("content-type", "application/json")],
            none(),
        ),
        (CALL.to_owned(), &[], none()),
        (
            CALL.to_owned(),
            &[("content-type", SSE), ("content-encoding", "gzip")],
            none(),
        ),
        (CALL.replace("\"id\":7,", ""), sse, none()),
        (
            r#"{"jsonrpc":"2.0","id":7,"result":{}}"#.to_owned(),
            sse,
            none(),
        ),
    ] {
        let heard = said_in_the_end(Some(RECENT), &body, headers, &[]).await;
        assert_eq!(heard, adds, "{body} {headers:?}");
    }
    // A batch of an earlier revision: what is left of it.
    let batch = format!("[{},{},{}]", call("1"), call("\"two\""), call("3"));
    let answered = "data: [{\"jsonrpc\":\"2.0\",\"id\":\"two\",\"result\":{}}]\n\n";
    let heard = said_in_the_end(None, &batch, sse, &[answered]).await;
    assert_eq!(heard, format!("{answered}{}{}", expired("1"), expired("3")));
}

#[test]
fn bodies_can_be_sent_and_shared() {
    fn is_send_sync<T: Send + Sync>() {}
    is_send_sync::<ResponseBody<Full<Bytes>>>();
}
