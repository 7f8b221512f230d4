//! A server of hyper-util alone, over HTTP/1 and HTTP/2.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::Layer;
use tower_mcp_auth::Principal;

use common::{good_token, hs256_layer};

async fn whoami(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let principal = Principal::from_extensions(request.extensions());
    let who = principal.map_or_else(|| "nobody".to_owned(), |who| who.id().to_string());
    let credential = request.headers().contains_key("authorization");
    Ok(Response::new(format!("{who} {credential}").into()))
}

async fn serve() -> SocketAddr {
    let layer = hs256_layer().public_path("/health").unwrap();
    let service = layer.layer(tower::service_fn(whoami));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    common::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(service.clone());
            common::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_hyper_server_is_guarded_over_both_versions_of_http() {
    let address = serve().await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let client = Client::builder(TokioExecutor::new())
            .http2_only(version == Version::HTTP_2)
            .build_http::<Full<Bytes>>();
        let bearer = format!("Bearer {}", good_token());
        for (path, authorization, status, body) in [
            ("/mcp", None, 401, None),
            ("/mcp", Some("Bearer bad"), 401, None),
            ("/mcp", Some("Bearer a b"), 400, None),
            ("/mcp?token=x", Some(&*bearer), 400, None),
            ("/mcp", Some(&*bearer), 200, Some("jwt|sub=alice false")),
            ("/health", None, 200, Some("nobody false")),
            ("/health?a=1", Some("Bearer bad"), 200, Some("nobody false")),
            ("/health/", None, 401, None),
            ("//health", None, 401, None),
            ("/%68ealth", None, 401, None),
        ] {
            let mut request = Request::get(format!("http://{address}{path}")).version(version);
            if let Some(authorization) = authorization {
                request = request.header("authorization", authorization);
            }
            let response = client
                .request(request.body(Full::default()).unwrap())
                .await
                .unwrap();
            assert_eq!(response.version(), version);
            assert_eq!(
                response.status(),
                status,
                "{version:?} {path} {authorization:?}"
            );
            assert_eq!(
                response.headers().contains_key("www-authenticate"),
                status != 200
            );
            let length = response.headers()["content-length"]
                .to_str()
                .unwrap()
                .to_owned();
            let text = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(length, text.len().to_string());
            if let Some(body) = body {
                assert_eq!(text, body);
            }
        }
    }
}

/// The status line of what is answered to these bytes.
async fn raw(address: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{head}\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn targets_as_they_stand_on_the_wire_widen_nothing() {
    let address = serve().await;
    assert_eq!(
        raw(address, "GET /health HTTP/1.1").await,
        "HTTP/1.1 200 OK"
    );
    for head in [
        "GET http://localhost/health HTTP/1.1",
        "GET https://localhost/health HTTP/1.1",
        "GET http://localhost/health?a HTTP/1.1",
        "HEAD http://localhost/health HTTP/1.1",
        "GET //localhost/health HTTP/1.1",
        "GET /./health HTTP/1.1",
        "GET /x/../health HTTP/1.1",
        "GET /health;x HTTP/1.1",
        "GET /health%00 HTTP/1.1",
        "GET /mcp#/health HTTP/1.1",
        "POST /health HTTP/1.1\r\nX-HTTP-Method-Override: GET",
        "OPTIONS * HTTP/1.1",
        "GET * HTTP/1.1",
        "GET /mcp HTTP/1.1\r\nX-Original-URL: /health",
        "GET /mcp HTTP/1.1\r\nAuthorization: Basic dXNlcjpwYXNz",
        "GET /mcp HTTP/1.1\r\nAuthorization: Bearer",
    ] {
        assert_eq!(
            raw(address, head).await,
            "HTTP/1.1 401 Unauthorized",
            "{head}"
        );
    }
    let token = good_token();
    for head in [
        format!(
            "GET /mcp HTTP/1.1\r\nAuthorization: Bearer {token}\r\nAuthorization: Bearer {token}"
        ),
        format!("GET /mcp HTTP/1.1\r\nAuthorization: Bearer {token}\r\nauthorization: x"),
        format!("GET /mcp HTTP/1.1\r\nAuthorization: Bearer {token}, Bearer {token}"),
        format!("GET /mcp HTTP/1.1\r\nAuthorization: Bearer\t{token}"),
        format!("GET http://localhost/mcp?token=x HTTP/1.1\r\nAuthorization: Bearer {token}"),
    ] {
        assert_eq!(
            raw(address, &head).await,
            "HTTP/1.1 400 Bad Request",
            "{head}"
        );
    }
    let head = format!("GET http://localhost/mcp HTTP/1.1\r\nAuthorization:   bearer   {token}  ");
    assert_eq!(raw(address, &head).await, "HTTP/1.1 200 OK");
}

/// A client may write head and body in two pieces. An answer given between the two would have
/// the server close the connection behind it, and the next request would fall into the void.
#[tokio::test(start_paused = true)]
async fn a_refused_request_does_not_cost_the_connection_it_came_by() {
    let mut client = connect();

    for authorization in ["", "Authorization: Bearer bad\r\n"] {
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n{authorization}\r\n"
        );
        client.write_all(head.as_bytes()).await.unwrap();
        // Time stands still as long as there is work: the server has read the head.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        client.write_all(b"{}").await.unwrap();
        let head = response_head(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
        assert!(!head.contains("connection:"), "{head}");
    }
    let head = format!(
        "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        good_token()
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let head = response_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

/// Hyper adds `keep-alive` to what it takes for an answer that keeps the connection.
#[tokio::test(start_paused = true)]
async fn a_client_of_http_1_0_is_told_that_the_connection_ends_and_nothing_else() {
    for length in ["2", "65537"] {
        let mut client = connect();
        let head = "POST /mcp HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: ";
        let head = format!("{head}{length}\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        let head = response_head(&mut client).await;
        assert!(head.starts_with("HTTP/1.0 401 "), "{head}");
        assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
        assert!(!head.contains("keep-alive"), "{head}");
    }
}

/// The client's end of a connection that is served.
fn connect() -> tokio::io::DuplexStream {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let service = hs256_layer().layer(tower::service_fn(whoami));
    let builder = hyper::server::conn::http1::Builder::new();
    let connection =
        builder.serve_connection(TokioIo::new(server), TowerToHyperService::new(service));
    common::spawn(connection);
    client
}

/// The head of the next response; its body is read and dropped.
async fn response_head(stream: &mut tokio::io::DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("an open connection"));
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    head
}
