//! Open streams end when their credential is revoked: within one wake-up of the entry.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer as _, ServiceBuilder, ServiceExt};
use tower_mcp_auth::Clock;
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::auth::ResponseBody;
use tower_mcp_auth::mcp::{DefaultRule, McpListsLayer, McpPolicy, McpScopesLayer};
use tower_mcp_auth::revocation::{Entry, Revocation};

use super::*;

const SSE: &str = "text/event-stream";

/// A body of unknown size that says what it is sent.
#[derive(Debug)]
pub(crate) struct Feed(UnboundedReceiver<Bytes>);

impl Body for Feed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.0.poll_recv(cx);
        data.map(|data| data.map(|data| Ok(Frame::data(data))))
    }
}

pub(crate) type Stream = Pin<Box<ResponseBody<Feed>>>;

/// Opens a stream whose response has these headers.
pub(crate) async fn open(
    layer: &Layer,
    request: Request<Full<Bytes>>,
    headers: &[(http::HeaderName, &'static str)],
) -> (Stream, UnboundedSender<Bytes>) {
    let (feeder, feed) = unbounded_channel();
    let feed = std::sync::Mutex::new(Some(Feed(feed)));
    let feed = Arc::new(feed);
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
        .collect();
    let service = tower::service_fn(move |_| {
        let feed = feed.lock().unwrap().take().unwrap();
        let mut response = Response::new(feed);
        *response.headers_mut() = headers.clone();
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let response = layer.layer(service).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    (Box::pin(response.into_body()), feeder)
}

fn is_over<T: std::fmt::Debug>(next: Option<T>) {
    if let Some(frame) = next {
        panic!("{frame:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_an_entry_names_its_credential() {
    for method in [Method::GET, Method::POST] {
        for (tokens, revocation) in providers(&claims(json!({})), |it| it) {
            let mut request = bearer(&tokens.token);
            *request.method_mut() = method.clone();
            let (mut body, feeder) = open(&tokens.layer, request, &[(CONTENT_TYPE, SSE)]).await;
            let mut next = task::spawn(body.frame());
            assert_pending!(next.poll());
            // Of others it is told, and goes on.
            for other in ["bob", "carol"] {
                revocation
                    .revoke(Entry::subject(ISSUER, other))
                    .await
                    .unwrap();
                assert!(next.is_woken());
                assert_pending!(next.poll());
                assert!(!next.is_woken());
            }
            feeder.send("one".into()).unwrap();
            let frame = assert_ready!(next.poll()).unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), "one");
            drop(next);

            let mut next = task::spawn(body.frame());
            assert_pending!(next.poll());
            revocation
                .revoke(Entry::subject(ISSUER, "alice"))
                .await
                .unwrap();
            assert!(next.is_woken(), "{}", tokens.name);
            is_over(assert_ready!(next.poll()));
            // The inner service learns of it.
            assert!(feeder.is_closed());
        }
    }
}

#[tokio::test]
async fn what_is_revoked_between_the_request_and_the_first_frame_says_nothing() {
    let (tokens, revocation) = providers(&claims(json!({})), |it| it).remove(1);
    let (mut body, feeder) = open(&tokens.layer, bearer(&tokens.token), &[]).await;
    feeder.send("secret".into()).unwrap();
    revocation
        .revoke(Entry::token(ISSUER, "j-1"))
        .await
        .unwrap();
    is_over(body.frame().await);
}

#[tokio::test]
async fn a_stream_that_always_has_more_to_say_ends_as_well() {
    let (tokens, revocation) = providers(&claims(json!({})), |it| it).remove(0);
    let (mut body, feeder) = open(&tokens.layer, bearer(&tokens.token), &[]).await;
    for _ in 0..10 {
        feeder.send("more".into()).unwrap();
    }
    assert!(body.frame().await.is_some());
    revocation
        .revoke(Entry::token(ISSUER, "j-1"))
        .await
        .unwrap();
    is_over(body.frame().await);
}

#[tokio::test]
async fn streams_of_api_keys_end_and_so_do_those_that_may_outlive_their_credential() {
    let clock = Clock::manual(START);
    let key = ApiKey::new(API_KEY).unwrap().id("k-1");
    let set: [fn(Layer) -> Layer; 3] = [
        |it| it,
        Layer::dangerously_streams_outlive_credentials,
        |it| it.stream_max_life(HOUR).unwrap(),
    ];
    for set in set {
        let revocation = Revocation::in_memory().clock(clock.clone());
        let layer = api_keys(key.clone(), &clock).revocation(revocation.clone());
        let (mut body, _feeder) = open(&set(layer.boxed()), with_key(), &[]).await;
        let mut next = task::spawn(body.frame());
        assert_pending!(next.poll());
        revocation.revoke(Entry::api_key("k-1")).await.unwrap();
        assert!(next.is_woken());
        is_over(assert_ready!(next.poll()));
    }
}

#[tokio::test]
async fn a_list_of_known_length_is_not_cut() {
    const LIST: &str = r#"{"id":1,"result":{"tools":[{"name":"a"}]}}"#;
    let clock = Clock::manual(START);
    let revocation = Revocation::in_memory().clock(clock.clone());
    let key = ApiKey::new(API_KEY).unwrap().id("k-1");
    let auth = api_keys(key, &clock).revocation(revocation.clone());
    let policy = McpPolicy::builder().default_rule(DefaultRule::Baseline);
    let policy = policy.build().unwrap();
    let service = ServiceBuilder::new()
        .layer(auth)
        .layer(McpScopesLayer::new(policy.clone()))
        .layer(McpListsLayer::new(policy))
        .service_fn(move |_| {
            let revocation = revocation.clone();
            async move {
                revocation.revoke(Entry::api_key("k-1")).await.unwrap();
                let response = Response::builder().header(CONTENT_TYPE, "application/json");
                Ok::<_, Infallible>(response.body(Full::from(LIST)).unwrap())
            }
        });
    let mut request = with_key();
    *request.method_mut() = Method::POST;
    *request.body_mut() = Full::from(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(CONTENT_TYPE, json);
    let response = service.oneshot(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, LIST);
}

#[tokio::test]
async fn the_stream_of_a_credential_that_was_let_pass_ends_as_well() {
    let clock = Clock::manual(START);
    let key = Key::new("k");
    let revocation = Revocation::in_memory().clock(clock.clone());
    let layer = oauth(&clock, &key, |it| it.required_scopes(["mcp:write"]));
    let layer = layer.dangerously_report_only_for(["insufficient_scope"]);
    let layer = layer.unwrap().revocation(revocation.clone());
    let token = key.token(json!({}));
    let (mut body, feeder) = open(&layer.boxed(), bearer(&token), &[(CONTENT_TYPE, SSE)]).await;
    let mut next = task::spawn(body.frame());
    assert_pending!(next.poll());
    revocation
        .revoke(Entry::subject(ISSUER, "alice"))
        .await
        .unwrap();
    assert!(next.is_woken());
    is_over(assert_ready!(next.poll()));
    assert!(feeder.is_closed());
}

#[tokio::test]
async fn every_stream_of_a_credential_ends() {
    let (tokens, revocation) = providers(&claims(json!({})), |it| it).remove(1);
    let mut streams = Vec::new();
    for _ in 0..40 {
        streams.push(open(&tokens.layer, bearer(&tokens.token), &[]).await);
    }
    let frames = streams
        .iter_mut()
        .map(|(body, _)| task::spawn(body.frame()));
    let mut frames: Vec<_> = frames.collect();
    for (number, frame) in frames.iter_mut().enumerate() {
        assert_pending!(frame.poll(), "{number}");
    }
    revocation
        .revoke(Entry::session(ISSUER, "s-1"))
        .await
        .unwrap();
    for (number, frame) in frames.iter_mut().enumerate() {
        assert!(frame.is_woken(), "{number}");
        is_over(assert_ready!(frame.poll()));
    }
}

#[tokio::test]
async fn a_body_of_known_size_and_that_of_a_layer_that_reports_go_on() {
    let said = claims(json!({}));
    let report: [fn(Layer) -> Layer; 2] = [Layer::dangerously_report_only, |it| {
        it.dangerously_report_only_for(["revoked_token"]).unwrap()
    }];
    for report in report {
        let (tokens, revocation) = providers(&said, |it| it).remove(0);
        let layer = report(tokens.layer.clone());
        let (mut body, feeder) = open(&layer, bearer(&tokens.token), &[]).await;
        let mut next = task::spawn(body.frame());
        assert_pending!(next.poll());
        revocation
            .revoke(Entry::token(ISSUER, "j-1"))
            .await
            .unwrap();
        assert_pending!(next.poll());
        feeder.send("on".into()).unwrap();
        assert!(assert_ready!(next.poll()).is_some());
    }
    let (tokens, revocation) = providers(&said, |it| it).remove(0);
    let sized = [(CONTENT_LENGTH, "2")];
    let (mut body, feeder) = open(&tokens.layer, bearer(&tokens.token), &sized).await;
    revocation
        .revoke(Entry::token(ISSUER, "j-1"))
        .await
        .unwrap();
    feeder.send("on".into()).unwrap();
    assert!(body.frame().await.is_some());
}

#[tokio::test]
async fn a_grpc_stream_ends_with_its_status() {
    let (tokens, revocation) = providers(&claims(json!({})), |it| it).remove(0);
    let grpc = [(CONTENT_TYPE, "application/grpc")];
    let (mut body, _feeder) = open(&tokens.layer, bearer(&tokens.token), &grpc).await;
    let mut next = task::spawn(body.frame());
    assert_pending!(next.poll());
    revocation
        .revoke(Entry::token(ISSUER, "j-1"))
        .await
        .unwrap();
    let last = assert_ready!(next.poll()).unwrap().unwrap();
    let trailers = last.into_trailers().unwrap();
    assert_eq!(trailers["grpc-status"], "16");
    assert_eq!(trailers["grpc-message"], "The credential was revoked");
    drop(next);
    is_over(body.frame().await);
}

#[tokio::test]
async fn a_request_without_an_answer_gets_an_error() {
    for expires in [true, false] {
        let clock = Clock::manual(START);
        let mut revocation = Revocation::in_memory().clock(clock.clone());
        if !expires {
            revocation = revocation.unlimited_token_lifetime();
        }
        let exp = if expires {
            json!(now() + 3600)
        } else {
            json!(null)
        };
        let layer = own(&claims(json!({"exp": exp})), false).revocation(revocation.clone());
        let (feeder, feed) = unbounded_channel::<Bytes>();
        let feed = Arc::new(std::sync::Mutex::new(Some(Feed(feed))));
        let service = tower::service_fn(move |_| {
            let mut response = Response::new(feed.lock().unwrap().take().unwrap());
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(SSE));
            std::future::ready(Ok::<_, Infallible>(response))
        });
        let service = ServiceBuilder::new()
            .layer(layer)
            .layer(McpScopesLayer::new(McpPolicy::builder().build().unwrap()))
            .service(service);
        let call = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;
        let request = Request::post("/mcp")
            .header("authorization", "Bearer badge")
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2025-11-25")
            .body(Full::from(call))
            .unwrap();
        let response = service.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let mut body = Box::pin(response.into_body());
        let mut next = task::spawn(body.frame());
        assert_pending!(next.poll());
        revocation
            .revoke(Entry::subject(ISSUER, "alice"))
            .await
            .unwrap();
        let last = assert_ready!(next.poll()).unwrap().unwrap();
        let said = last.into_data().unwrap();
        let said = std::str::from_utf8(&said).unwrap();
        assert_eq!(
            said,
            "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":401,\
             \"message\":\"the credential was revoked while this ran; sign in again\"}}\n\n"
        );
        drop((next, feeder));
    }
}
