//! The host as it comes over connections of HTTP/1 and HTTP/2.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_mcp_auth::RequestHead;
use tower_mcp_auth::peer::requested;

/// Says which host it was asked for, or why it cannot tell.
async fn say(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let said = match requested(RequestHead::of(&request), None) {
        Ok(requested) => requested.host().into_owned(),
        Err(error) => error.reason().to_owned(),
    };
    Ok(Response::new(said.into()))
}

async fn over_http1(request: &str) -> String {
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let builder = hyper::server::conn::http1::Builder::new();
    common::spawn(builder.serve_connection(TokioIo::new(server), service_fn(say)));
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    body.to_owned()
}

#[tokio::test]
async fn every_way_to_name_a_host_in_http1_is_seen() {
    for (target, hosts, expected) in [
        ("/mcp", &["A.example"][..], "a.example"),
        ("/mcp", &["  a.example\t "], "a.example"),
        ("/mcp", &["a.example", "a.example"], "ambiguous_host"),
        ("/mcp", &["a.example", "b.example"], "ambiguous_host"),
        ("/mcp", &[""], "malformed_host"),
        ("/mcp", &["a.example,b.example"], "malformed_host"),
        ("/mcp", &["a.example b.example"], "malformed_host"),
        ("/mcp", &[], "missing_host"),
        ("http://a.example/mcp", &["a.example:80"], "a.example"),
        ("http://a.example/mcp", &["b.example"], "ambiguous_host"),
        (
            "http://user@a.example/mcp",
            &["a.example"],
            "malformed_host",
        ),
        ("//b.example/mcp", &["a.example"], "a.example"),
    ] {
        let lines = hosts.iter().map(|host| format!("Host: {host}\r\n"));
        let lines: String = lines.collect();
        let request = format!("GET {target} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n");
        assert_eq!(over_http1(&request).await, expected, "{request}");
    }
}

#[tokio::test]
async fn every_way_to_name_a_host_in_http2_is_seen() {
    for (uri, host, expected) in [
        ("http://A.example/mcp", None, "a.example"),
        ("http://a.example/mcp", Some("a.example"), "a.example"),
        ("http://a.example/mcp", Some("a.example:80"), "a.example"),
        ("http://a.example/mcp", Some("b.example"), "ambiguous_host"),
        ("http://a.example./mcp", None, "malformed_host"),
    ] {
        let (client, server) = tokio::io::duplex(1 << 16);
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        common::spawn(builder.serve_connection(TokioIo::new(server), service_fn(say)));
        let io = TokioIo::new(client);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
                .await
                .unwrap();
        common::spawn(connection);
        let mut request = Request::get(uri);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let said = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(said, expected, "{uri} {host:?}");
    }
}
