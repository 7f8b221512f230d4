//! Connections that are kept open, and that the server closes while a request is on its way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_mcp_auth::jose::{Algorithm, SigningKey};
use tower_mcp_auth::oauth::{
    AuthorizationServer, Fetch, FetchError, FetchFuture, HttpFetch, Introspection,
};
use tower_mcp_auth::{Clock, OAuthLayer};

use crate::oauth::introspection::clients::ED25519;
use crate::oauth::support::*;

/// A server that answers the first requests on each connection, keeps it open, and closes it
/// when the next one arrives.
#[derive(Clone)]
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request that arrived: on which connection, for what, and whether it was answered.
#[derive(Clone, Debug)]
struct Seen {
    connection: usize,
    path: String,
    form: HashMap<String, String>,
    answered: bool,
}

impl Server {
    /// `answers`: how many requests on the first, the second, and each further connection.
    async fn start(answers: &'static [usize]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self {
            url,
            seen: Arc::default(),
        };
        let own = server.clone();
        common::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let most = answers[connection.min(answers.len() - 1)];
                common::spawn(own.clone().serve(stream, connection, most));
            }
        });
        server
    }

    async fn serve(self, mut stream: TcpStream, connection: usize, most: usize) {
        for number in 0.. {
            let Some((path, form)) = receive(&mut stream).await else {
                return;
            };
            let answered = number < most;
            self.seen.lock().unwrap().push(Seen {
                connection,
                path: path.clone(),
                form,
                answered,
            });
            if !answered {
                return;
            }
            let (status, body) = self.answer(&path);
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(body.as_bytes()).await.unwrap();
        }
    }

    fn answer(&self, path: &str) -> (&'static str, String) {
        let url = &self.url;
        let document = match path {
            "/.well-known/oauth-authorization-server" => json!({
                "issuer": url,
                "jwks_uri": format!("{url}/keys"),
                "introspection_endpoint": format!("{url}/introspect"),
            }),
            "/keys" => key_set(&[&Key::new("a")]),
            "/introspect" => {
                json!({"active": true, "iss": url, "aud": RESOURCE, "sub": "alice"})
            }
            _ => return ("404 Not Found", String::new()),
        };
        ("200 OK", document.to_string())
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn trusted(&self) -> AuthorizationServer {
        AuthorizationServer::insecure_http_on_loopback(&*self.url).unwrap()
    }
}

fn guarding(server: AuthorizationServer, client: impl Fetch) -> Guarded {
    let mut guarded = Guarded::new(&Web::new());
    guarded.layer = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(server)
        .unwrap()
        .clock(Clock::system())
        .fetch(client)
        .build()
        .unwrap();
    guarded
}

/// One request, or `None` where the connection ended.
async fn receive(stream: &mut TcpStream) -> Option<(String, HashMap<String, String>)> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.trim().parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                let path = head.split(' ').nth(1)?.to_owned();
                let form = url::form_urlencoded::parse(body.as_bytes());
                return Some((path, form.into_owned().collect()));
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&chunk[..read]),
            _ => return None,
        }
    }
}

fn token(number: usize) -> String {
    format!("opaque-token-number-{number}")
}

fn introspection() -> Introspection {
    let key = SigningKey::from_pem(Algorithm::EdDSA, ED25519).unwrap();
    Introspection::discovered()
        .private_key_jwt("mcp-server", key)
        .unwrap()
}

#[tokio::test]
async fn a_question_that_met_a_closed_connection_is_asked_once_more_in_other_words() {
    let server = Server::start(&[2, 1]).await;
    let trusted = server.trusted().introspection(introspection()).unwrap();
    let guarded = guarding(trusted, HttpFetch::new());
    for number in 0..20 {
        guarded.bearer(&token(number)).await.assert(200, "accepted");
    }
    let seen = server.seen();
    let asked: Vec<&Seen> = seen
        .iter()
        .filter(|seen| seen.path == "/introspect")
        .collect();
    assert_eq!(asked.iter().filter(|seen| seen.answered).count(), 20);
    assert!(asked.iter().any(|seen| !seen.answered), "{asked:?}");
    // What was not answered was asked again, on another connection.
    for pair in asked.windows(2).filter(|pair| !pair[0].answered) {
        assert_eq!(pair[0].form["token"], pair[1].form["token"]);
        assert_ne!(pair[0].connection, pair[1].connection);
        assert!(pair[1].answered);
    }
    // An assertion is good for one request (RFC 7523 section 3).
    let mut names: Vec<String> = asked
        .iter()
        .map(|seen| {
            let assertion = &seen.form["client_assertion"];
            let claims = B64.decode(assertion.split('.').nth(1).unwrap()).unwrap();
            let claims: Value = serde_json::from_slice(&claims).unwrap();
            claims["jti"].as_str().unwrap().to_owned()
        })
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), asked.len());
}

#[tokio::test]
async fn metadata_and_keys_are_fetched_once_more_as_well() {
    // Each request but the first of all meets a connection that is closed.
    let server = Server::start(&[1]).await;
    let guarded = guarding(server.trusted(), HttpFetch::new());
    guarded.layer.warm_up().await.unwrap();
    let seen = server.seen();
    let of = |path: &str| {
        let of = seen.iter().filter(|seen| seen.path == path);
        of.map(|seen| seen.answered).collect::<Vec<_>>()
    };
    assert_eq!(of("/.well-known/oauth-authorization-server"), [true]);
    assert_eq!(of("/keys"), [false, true]);

    // Discovery goes on from place to place.
    let server = Server::start(&[1]).await;
    let place = format!("{}/tenant", server.url);
    let tenant = AuthorizationServer::insecure_http_on_loopback(place).unwrap();
    let guarded = guarding(tenant, HttpFetch::new());
    let error = guarded.layer.warm_up().await.unwrap_err();
    let detail = error.detail().unwrap();
    assert_eq!(detail.matches("status 404").count(), 4, "{detail}");
}

#[tokio::test]
async fn a_request_is_sent_twice_at_most() {
    // The first connection is closed at its third request, and every other at once.
    let server = Server::start(&[2, 0]).await;
    let trusted = server.trusted().introspection(introspection()).unwrap();
    let guarded = guarding(trusted, HttpFetch::new());
    guarded.bearer(&token(0)).await.assert(200, "accepted");
    guarded
        .bearer(&token(1))
        .await
        .assert(503, "introspection_failed");
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn a_request_that_a_new_connection_lost_is_not_sent_again() {
    let server = Server::start(&[0]).await;
    let own = Introspection::at(format!("{}/introspect", server.url)).unwrap();
    let own = own
        .client_secret_basic("rs", "kf8Zq-3vT-x0W-9aLmQ")
        .unwrap();
    let trusted = server.trusted().introspection(own).unwrap();
    let guarded = guarding(trusted, HttpFetch::new());
    guarded
        .bearer(&token(0))
        .await
        .assert(503, "introspection_failed");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn without_an_idle_time_each_request_has_a_connection_of_its_own() {
    let server = Server::start(&[9]).await;
    let trusted = server.trusted().introspection(introspection()).unwrap();
    let client = HttpFetch::new().idle_timeout(std::time::Duration::ZERO);
    let guarded = guarding(trusted, client);
    for number in 0..3 {
        guarded.bearer(&token(number)).await.assert(200, "accepted");
    }
    let connections: Vec<usize> = server.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 1, 2, 3]);
}

/// A client that loses every other request.
#[derive(Debug, Default)]
struct Losing(Arc<Mutex<Vec<String>>>);

impl Fetch for Losing {
    fn fetch(&self, request: Request<Bytes>, _: usize) -> FetchFuture {
        let mut log = self.0.lock().unwrap();
        log.push(String::from_utf8_lossy(request.body()).into_owned());
        let is_lost = log.len() % 2 == 1;
        Box::pin(async move {
            if is_lost {
                return Err(FetchError::stale_connection("closed"));
            }
            let said = json!({"active": true, "aud": RESOURCE, "sub": "alice"});
            Ok(http::Response::new(said.to_string().into()))
        })
    }
}

#[tokio::test]
async fn a_client_of_your_own_says_that_a_connection_was_closed() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let server = Server::start(&[0]).await;
    let key = SigningKey::from_pem(Algorithm::EdDSA, ED25519).unwrap();
    let own = Introspection::at(format!("{}/introspect", server.url)).unwrap();
    let own = own.private_key_jwt("mcp-server", key).unwrap();
    let trusted = server.trusted().introspection(own).unwrap();
    let guarded = guarding(trusted, Losing(Arc::clone(&log)));
    guarded.bearer(&token(0)).await.assert(200, "accepted");
    let sent = log.lock().unwrap();
    assert_eq!(sent.len(), 2);
    assert_ne!(sent[0], sent[1]);
}
