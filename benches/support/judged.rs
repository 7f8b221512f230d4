//! A policy, a message that is judged by it, and a service with nothing in it.

use std::convert::Infallible;
use std::hint::black_box;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use tower::Service;
use tower_mcp_auth::Principal;
use tower_mcp_auth::mcp::{McpPolicy, McpScopesLayer};

pub(crate) fn layer() -> McpScopesLayer {
    let build = || {
        McpPolicy::builder()
            .baseline("mcp:read")?
            .tool("get_*", "files:read")?
            .tool("delete_*", "files:admin")?
            .build()
    };
    McpScopesLayer::new(build().expect("a policy"))
}

/// A `tools/call` of this many bytes, the way SDKs write one.
pub(crate) fn message(bytes: usize) -> Bytes {
    let write = |filler: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{{"name":"get_file","arguments":{{"path":"src/lib.rs","options":{{"depth":3,"hidden":false,"filter":["*.rs","*.toml"],"limit":1.5e3}},"query":"what is \"quoted\" here","text":"{filler}"}},"_meta":{{"progressToken":"a1","io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}}}"#
        )
    };
    let filler = "The quick brown fox jumps over the lazy dog. ".repeat(bytes / 45 + 1);
    let room = bytes - write("").len();
    write(&filler[..room]).into()
}

pub(crate) fn head<B>(body: B) -> Request<B> {
    let mut request = Request::post("/mcp").body(body).expect("a request");
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(CONTENT_TYPE, json);
    request
}

pub(crate) fn alice() -> Principal {
    let scopes = "mcp:read files:read".parse().expect("scopes");
    Principal::builder("bench")
        .subject("alice")
        .scopes(scopes)
        .build()
}

pub(crate) fn put_through<S, B, R>(service: &mut S, request: Request<B>)
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
{
    let mut context = Context::from_waker(std::task::Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    let mut future = std::pin::pin!(service.call(request));
    loop {
        if let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut context) {
            assert_eq!(response.status(), 200);
            black_box(response);
            return;
        }
    }
}

pub(crate) async fn nothing<B>(request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    black_box(&request);
    Ok(Response::default())
}
