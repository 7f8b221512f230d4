//! What a configuration leaves out changes nothing of requests and responses.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use serde_json::json;
use tower::{Layer, Service, ServiceExt};
use tower_mcp_auth::mcp::McpStack;

use crate::config::{KEY, RESOURCE, config};

/// A body in pieces, which says little of its size.
#[derive(Clone, Debug, Default)]
struct Pieces(VecDeque<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Data(&'static str),
    Trailers,
    Error,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(self.0.pop_front().map(|piece| match piece {
            Piece::Data(text) => Ok(Frame::data(Bytes::from_static(text.as_bytes()))),
            Piece::Trailers => {
                let sum = HeaderValue::from_static("1");
                Ok(Frame::trailers(HeaderMap::from_iter([(
                    "x-sum".parse().unwrap(),
                    sum,
                )])))
            }
            Piece::Error => Err("cut off"),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_upper(4096 + self.0.len() as u64);
        hint
    }
}

/// An extension of requests and responses.
#[derive(Clone, Debug)]
struct Mark(&'static str);

fn marks(extensions: &Extensions) -> String {
    let Mark(mark) = extensions.get().unwrap();
    format!("{mark:?} of {}", extensions.len())
}

/// All that can be seen of a body: sizes, frames, errors.
async fn body_of<B>(body: B) -> Vec<String>
where
    B: Body<Data = Bytes>,
    B::Error: Debug,
{
    let mut body = pin!(body);
    let mut seen = Vec::new();
    loop {
        seen.push(format!("{:?} {}", body.size_hint(), body.is_end_stream()));
        let Some(frame) = body.frame().await else {
            return seen;
        };
        seen.push(format!("{frame:?}"));
    }
}

/// Notes what comes in, and answers with the response it was given, or fails.
#[derive(Clone)]
struct Spy {
    seen: Arc<Mutex<Vec<String>>>,
    response: Option<Response<Pieces>>,
}

impl<B> Service<Request<B>> for Spy
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Debug,
{
    type Response = Response<Pieces>;
    type Error = &'static str;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Pieces>, &'static str>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { seen, response } = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body_of(body).await;
            let mut seen = seen.lock().unwrap();
            seen.push(format!("{head:?} {}", marks(&head.extensions)));
            seen.extend(body);
            response.ok_or("out of order")
        })
    }
}

/// What the inner service sees of a request, and its caller of the response.
async fn through<L, B>(
    layer: &L,
    request: Request<Pieces>,
    response: Option<Response<Pieces>>,
) -> Vec<String>
where
    L: Layer<Spy>,
    L::Service: Service<Request<Pieces>, Response = Response<B>, Error = &'static str>,
    B: Body<Data = Bytes>,
    B::Error: Debug,
{
    let seen = Arc::default();
    let spy = Spy {
        seen: Arc::clone(&seen),
        response,
    };
    let answer = layer.layer(spy).oneshot(request).await;
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    match answer {
        Err(error) => seen.push(error.to_owned()),
        Ok(response) => {
            let (head, body) = response.into_parts();
            seen.push(format!("{head:?} {}", marks(&head.extensions)));
            seen.extend(body_of(body).await);
        }
    }
    seen
}

#[tokio::test]
async fn layers_that_are_left_out_touch_neither_requests_nor_responses() {
    let config = config(&json!({
        "resource": RESOURCE,
        "api_keys": { "keys": [{ "key": KEY, "scopes": ["mcp:read"] }] },
    }));
    let disabled = config.stack().unwrap();
    let without = McpStack::new(config.origin_layer().unwrap(), config.auth_layer().unwrap());

    let list = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"x"}]}}"#;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#;
    let bodies = [
        vec![],
        vec![Piece::Data("no message"), Piece::Data(""), Piece::Error],
        vec![Piece::Data(call), Piece::Trailers],
        vec![Piece::Data(list), Piece::Trailers],
        vec![
            Piece::Data("data: "),
            Piece::Data(list),
            Piece::Data("\n\n"),
        ],
    ];
    // What the layers would refuse, or take away.
    let requests: [&[(&str, &str)]; 4] = [
        &[],
        &[("mcp-session-id", "own"), ("mcp-session-id", "other")],
        &[
            ("mcp-protocol-version", "2026-07-28"),
            ("last-event-id", "7"),
        ],
        &[("content-type", "text/plain"), ("content-encoding", "gzip")],
    ];
    let responses: [&[(&str, &str)]; 4] = [
        &[
            ("mcp-session-id", "own"),
            ("content-type", "application/json"),
        ],
        &[("content-type", "text/event-stream"), ("etag", "\"1\"")],
        &[("mcp-session-id", "own"), ("mcp-session-id", "other")],
        &[
            ("content-encoding", "gzip"),
            ("content-type", "application/json"),
        ],
    ];
    let mut tried = 0;
    for (method, headers) in [Method::POST, Method::GET, Method::DELETE]
        .iter()
        .flat_map(|method| requests.map(|headers| (method, headers)))
    {
        for pieces in &bodies {
            let mut request = Request::builder()
                .method(method)
                .uri("/mcp?a=b")
                .header("host", "mcp.example.com")
                .header("x-api-key", KEY)
                .extension(Mark("request"));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let request = request.body(Pieces(pieces.clone().into())).unwrap();
            let answers = responses.iter().flat_map(|headers| {
                bodies.iter().map(move |pieces| {
                    let mut response = Response::builder().status(203).extension(Mark("response"));
                    for (name, value) in *headers {
                        response = response.header(*name, *value);
                    }
                    Some(response.body(Pieces(pieces.clone().into())).unwrap())
                })
            });
            for response in answers.chain([None]) {
                let row = format!("{request:?} {response:?}");
                let plain = through(&without, request.clone(), response.clone()).await;
                let same = through(&disabled, request.clone(), response).await;
                assert!(
                    plain.len() > 2 && plain[0].contains("\"request\" of "),
                    "{row}: {plain:?}"
                );
                assert_eq!(same, plain, "{row}");
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 3 * 4 * 5 * (4 * 5 + 1));
}
