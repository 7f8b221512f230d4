//! The bounded client against servers on loopback that misbehave on the wire.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::oauth::AuthorizationServer;

use crate::oauth::support::*;

/// A server that answers every connection with the same bytes, then does as it is told.
struct Wire {
    url: String,
    connections: Arc<AtomicUsize>,
}

#[derive(Clone, Copy)]
enum Then {
    Close,
    Hang,
    /// The same bytes once more, for ever.
    Repeat(&'static [u8], Duration),
}

impl Wire {
    async fn new(answer: Vec<u8>, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        common::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                common::spawn(serve(stream, answer.clone(), then));
            }
        });
        Self { url, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, answer: Vec<u8>, then: Then) {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await;
    if stream.write_all(&answer).await.is_err() {
        return;
    }
    match then {
        Then::Close => {}
        Then::Hang => std::future::pending().await,
        Then::Repeat(bytes, pause) => loop {
            if stream.write_all(bytes).await.is_err() {
                return;
            }
            tokio::time::sleep(pause).await;
        },
    }
}

fn response(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\n\r\n{body}").into_bytes()
}

/// What a request gets whose keys come from `url`.
async fn ask(url: &str, key: &Key) -> Answer {
    let server = AuthorizationServer::insecure_http_on_loopback("http://127.0.0.1:1").unwrap();
    let server = server.jwks_uri(url).unwrap();
    let mut guarded = Guarded::new(&Web::new());
    guarded.layer = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(server)
        .unwrap()
        .clock(guarded.clock.clone())
        .build()
        .unwrap();
    guarded
        .bearer(&key.token(json!({"iss": "http://127.0.0.1:1"})))
        .await
}

#[tokio::test]
async fn keys_arrive_over_a_real_connection_whatever_their_content_type() {
    let key = Key::new("a");
    let set = key_set(&[&key]).to_string();
    for content_type in ["application/json", "text/html", "application/jwk-set+json"] {
        let head = format!(
            "200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {}",
            set.len()
        );
        let wire = Wire::new(response(&head, &set), Then::Close).await;
        ask(&wire.url, &key).await.assert(200, "accepted");
        assert_eq!(wire.connections(), 1);
    }
}

#[tokio::test]
async fn documents_are_asked_for_by_their_types() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    guarded
        .bearer(&key.token(json!({})))
        .await
        .assert(200, "accepted");
    // Kubernetes refuses requests that do not list the type of key sets, and compares up to a comma.
    for (url, accepted) in [
        (JWKS, "application/jwk-set+json, application/json"),
        (
            "https://auth.example.com/.well-known/oauth-authorization-server",
            "application/json",
        ),
    ] {
        assert_eq!(web.last(url).headers["accept"], accepted, "{url}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let key = Key::new("a");
    let set = key_set(&[&key]).to_string();
    let head = format!("200 OK\r\nContent-Length: {}", set.len());
    let target = Wire::new(response(&head, &set), Then::Close).await;
    for status in [
        "301 Moved",
        "302 Found",
        "303 Other",
        "307 Temporary",
        "308 Permanent",
    ] {
        let head = format!("{status}\r\nLocation: {}\r\nContent-Length: 0", target.url);
        let wire = Wire::new(response(&head, ""), Then::Close).await;
        let answer = ask(&wire.url, &key).await;
        answer.assert(503, "keys_unavailable");
        assert!(answer.detail().contains("status 30"), "{answer:?}");
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn an_answer_over_the_limit_is_cut_off() {
    let key = Key::new("a");
    let announced = response("200 OK\r\nContent-Length: 262145", "{");
    let wire = Wire::new(announced, Then::Hang).await;
    let answer = ask(&wire.url, &key).await;
    assert!(
        answer.detail().contains("more than 262144 bytes"),
        "{answer:?}"
    );

    static CHUNK: [u8; 1031] = {
        let mut chunk = [b' '; 1031];
        let (head, tail) = (*b"400\r\n", *b"\r\n");
        let mut at = 0;
        while at < 5 {
            chunk[at] = head[at];
            at += 1;
        }
        chunk[1029] = tail[0];
        chunk[1030] = tail[1];
        chunk
    };
    let endless = response("200 OK\r\nTransfer-Encoding: chunked", "");
    let wire = Wire::new(endless, Then::Repeat(&CHUNK, Duration::ZERO)).await;
    let answer = ask(&wire.url, &key).await;
    answer.assert(503, "keys_unavailable");
    assert!(
        answer.detail().contains("more than 262144 bytes"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_compressed_answer_is_not_expanded() {
    let key = Key::new("a");
    let head = "200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3";
    let wire = Wire::new(response(head, "\u{1f}x"), Then::Close).await;
    ask(&wire.url, &key).await.assert(503, "keys_unavailable");
}

#[tokio::test]
async fn an_answer_that_drips_ends_at_the_deadline() {
    let key = Key::new("a");
    let head = response("200 OK\r\nContent-Length: 1000", "");
    let wire = Wire::new(head, Then::Repeat(b" ", Duration::from_millis(200))).await;
    let start = std::time::Instant::now();
    let answer = ask(&wire.url, &key).await;
    answer.assert(503, "keys_unavailable");
    let seconds = start.elapsed().as_secs();
    // All of it would drip for 200 s.
    assert!((4..100).contains(&seconds), "{seconds} s");
}

#[tokio::test]
async fn the_guard_lets_no_request_go_to_an_address_that_is_not_public() {
    use tower_mcp_auth::oauth::HttpFetch;

    let key = Key::new("a");
    let set = key_set(&[&key]).to_string();
    let head = format!("200 OK\r\nContent-Length: {}", set.len());
    let wire = Wire::new(response(&head, &set), Then::Close).await;
    let by_name = wire.url.replace("127.0.0.1", "localhost");
    for url in [&wire.url, &by_name] {
        let server = AuthorizationServer::insecure_http_on_loopback("http://127.0.0.1:1").unwrap();
        let layer = OAuthLayer::builder(RESOURCE)
            .unwrap()
            .authorization_server(server.jwks_uri(url.as_str()).unwrap())
            .unwrap()
            .fetch(HttpFetch::new().public_addresses_only())
            .build()
            .unwrap();
        let error = layer.warm_up().await.unwrap_err();
        assert!(error.detail().unwrap().contains("public"), "{error:?}");
    }
    assert_eq!(wire.connections(), 0);
}

#[tokio::test]
async fn broken_and_refused_connections_are_503() {
    let key = Key::new("a");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}/keys", listener.local_addr().unwrap());
    drop(listener);
    let answer = ask(&closed, &key).await;
    answer.assert(503, "keys_unavailable");
    assert!(answer.detail().contains("no connection"), "{answer:?}");

    for bytes in [
        &b""[..],
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{",
    ] {
        let wire = Wire::new(bytes.to_vec(), Then::Close).await;
        ask(&wire.url, &key).await.assert(503, "keys_unavailable");
    }
}
