//! Refusals as they go over a socket.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::Layer;
use tower_mcp_auth::ApiKeyLayer;

use crate::api_key::life::{at, new_key};
use common::{NOW, clock};

/// The bytes of the answer, but for the date.
async fn exchange(layer: &ApiKeyLayer, key: &str) -> String {
    let service = layer.layer(tower::service_fn(
        async |_: Request<hyper::body::Incoming>| {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("well")))
        },
    ));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = common::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let served = TowerToHyperService::new(service);
        let connection = auto::Builder::new(TokioExecutor::new());
        let _ = connection
            .serve_connection(TokioIo::new(stream), served)
            .await;
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /mcp HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nx-api-key: {key}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    server.await.unwrap();
    let lines = answer
        .split("\r\n")
        .filter(|line| !line.starts_with("date: "));
    lines.collect::<Vec<_>>().join("\r\n")
}

#[tokio::test]
async fn expired_revoked_mistyped_and_unknown_keys_get_the_same_bytes() {
    let (good, expired, revoked) = (new_key(), new_key(), new_key());
    let layer = ApiKeyLayer::new([
        good.to_api_key(),
        expired.to_api_key().expires_at(at(NOW - 1)).unwrap(),
        revoked.to_api_key().revoked(true),
    ])
    .unwrap()
    .clock(clock());
    assert!(
        exchange(&layer, good.expose())
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    let answer = exchange(&layer, expired.expose()).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(
        answer.contains(r#"{"error":"Invalid API key","#),
        "{answer}"
    );
    let typo = format!("{}_", &good.expose()[..good.expose().len() - 1]);
    for key in [
        revoked.expose(),
        new_key().expose(),
        &typo,
        "b25lLXJhbmRvbS1rZXktMTIzNA",
    ] {
        assert_eq!(exchange(&layer, key).await, answer);
    }
}
