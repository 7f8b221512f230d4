//! A server by hand that does everything right, until a test twists one answer.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::serve::Listener;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower_mcp_auth::jose::Algorithm;
use tower_mcp_auth::testing::Issuer;

use crate::oauth::authorities::acceptor;

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    /// Of the server: `http://127.0.0.1:PORT`.
    pub(super) own: String,
    /// The authorization server.
    pub(super) issuer: String,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    pub(super) fn is_mcp(&self) -> bool {
        self.path == "/mcp"
    }

    pub(super) fn is_metadata(&self) -> bool {
        self.path == "/.well-known/oauth-protected-resource/mcp"
    }

    pub(super) fn is_anonymous(&self) -> bool {
        self.header("authorization").is_empty()
    }

    fn is(&self, method: &str) -> bool {
        self.body.contains(&format!("\"method\":\"{method}\""))
    }
}

/// The answer.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
    /// How long it takes.
    pub(super) after: Duration,
}

impl Reply {
    pub(super) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: String::new(),
            after: Duration::ZERO,
        }
    }

    pub(super) fn json(value: &Value) -> Self {
        let mut reply = Self::new(200).with("content-type", "application/json");
        reply.body = value.to_string();
        reply
    }

    pub(super) fn html(status: u16) -> Self {
        let mut reply = Self::new(status).with("content-type", "text/html");
        reply.body = "<!doctype html><p>Hello".to_owned();
        reply
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    /// Replaces a header.
    pub(super) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.remove(name);
        self.headers.push((name, value.into()));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.headers.retain(|(own, _)| *own != name);
    }

    pub(super) fn edit(&mut self, edit: impl FnOnce(&mut Value)) {
        let mut value: Value = serde_json::from_str(&self.body).unwrap();
        edit(&mut value);
        self.body = value.to_string();
    }
}

/// What a test changes.
pub(super) type Twist = Arc<dyn Fn(&Asked, &mut Reply) + Send + Sync>;

#[derive(Clone)]
struct Shared {
    own: String,
    issuer: Issuer,
    twist: Twist,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A running server.
pub(super) struct Fake {
    pub(super) url: String,
    pub(super) issuer: Issuer,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: AbortHandle,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    pub(super) async fn good() -> Self {
        Self::start(|_, _| {}).await
    }

    pub(super) async fn start(twist: impl Fn(&Asked, &mut Reply) + Send + Sync + 'static) -> Self {
        // Making keys for RSA takes longer than everything else.
        let issuer = Issuer::builder().algorithms([Algorithm::ES256]);
        Self::with(issuer.start().await.unwrap(), Arc::new(twist)).await
    }

    pub(super) async fn with(issuer: Issuer, twist: Twist) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, "http", issuer, twist)
    }

    /// A good one over https at this address, with a certificate of a private authority for
    /// 127.0.0.1.
    pub(super) async fn tls(address: &str) -> Self {
        Self::tls_with(address, acceptor()).await
    }

    /// The same with another certificate.
    pub(super) async fn tls_with(address: &str, acceptor: TlsAcceptor) -> Self {
        let issuer = Issuer::builder().algorithms([Algorithm::ES256]);
        let issuer = issuer.start().await.unwrap();
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let listener = TlsListener { listener, acceptor };
        Self::on(listener, "https", issuer, Arc::new(|_, _| {}))
    }

    fn on<L>(listener: L, scheme: &str, issuer: Issuer, twist: Twist) -> Self
    where
        L: Listener<Addr = SocketAddr>,
    {
        let own = format!("{scheme}://{}", listener.local_addr().unwrap());
        let shared = Shared {
            own: own.clone(),
            issuer: issuer.clone(),
            twist,
            asked: Arc::default(),
        };
        let asked = Arc::clone(&shared.asked);
        let app = Router::new().fallback(answer).with_state(shared);
        let serving = async move { axum::serve(listener, app).await.unwrap() };
        Self {
            url: format!("{own}/mcp"),
            issuer,
            asked,
            task: common::spawn(serving).abort_handle(),
        }
    }

    /// What was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// A good token for it.
    pub(super) fn token(&self) -> String {
        self.issuer
            .token()
            .audience(&self.url)
            .scope("mcp:read")
            .sign()
    }
}

struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            // A client that does not trust the certificate goes away.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let asked = Asked {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
        own: shared.own.clone(),
        issuer: shared.issuer.url().to_owned(),
    };
    shared.asked.lock().unwrap().push(asked.clone());
    let mut reply = proper(&asked);
    (shared.twist)(&asked, &mut reply);
    tokio::time::sleep(reply.after).await;
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap();
    for (name, value) in reply.headers {
        // As bytes: what a server sends is not always text.
        let value = http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
        response.headers_mut().append(name, value);
    }
    response
}

fn proper(asked: &Asked) -> Reply {
    if asked.method == Method::OPTIONS {
        return open(Reply::new(204))
            .with("access-control-allow-methods", "GET, POST, DELETE")
            .with(
                "access-control-allow-headers",
                "authorization, content-type, mcp-protocol-version",
            );
    }
    if asked.is_metadata() {
        return open(Reply::json(&metadata(asked)));
    }
    if !asked.is_mcp() {
        return Reply::new(404);
    }
    open(mcp(asked))
}

fn mcp(asked: &Asked) -> Reply {
    let challenge = |error: &str| {
        let own = &asked.own;
        format!(
            "Bearer {error}scope=\"mcp:read\", \
             resource_metadata=\"{own}/.well-known/oauth-protected-resource/mcp\""
        )
    };
    if asked.is_anonymous() {
        return Reply::new(401).with("www-authenticate", challenge(""));
    }
    let token = asked.header("authorization").strip_prefix("Bearer ");
    // It knows its tokens by their shape, which the doctor's made-up ones do not have.
    let is_signed = |token: &str| token.split('.').filter(|part| !part.is_empty()).count() == 3;
    if !token.is_some_and(is_signed) {
        let challenge = challenge("error=\"invalid_token\", ");
        return Reply::new(401).with("www-authenticate", challenge);
    }
    let result = if asked.method != Method::POST {
        return Reply::new(405);
    } else if asked.is("initialize") {
        json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {} })
    } else if asked.is("tools/list") {
        json!({ "tools": [{ "name": "echo", "inputSchema": { "type": "object" } }] })
    } else {
        return Reply::new(202);
    };
    Reply::json(&json!({ "jsonrpc": "2.0", "id": 1, "result": result }))
        .with("mcp-session-id", "one")
}

pub(super) fn metadata(asked: &Asked) -> Value {
    json!({
        "resource": format!("{}/mcp", asked.own),
        "authorization_servers": [asked.issuer],
        "scopes_supported": ["mcp:read", "mcp:write"],
        "bearer_methods_supported": ["header"],
    })
}

fn open(reply: Reply) -> Reply {
    reply.with("access-control-allow-origin", "*").with(
        "access-control-expose-headers",
        "WWW-Authenticate, Mcp-Session-Id",
    )
}
