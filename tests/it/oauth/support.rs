//! A scripted network, keys to sign with, and a guarded service that counts its calls.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::{Layer, Service, ServiceExt};
use tower_mcp_auth::oauth::{
    AuthorizationServer, Fetch, FetchError, FetchFuture, JwksOptions, OAuthProvider,
};
use tower_mcp_auth::{AuthError, AuthLayer, Clock, OAuthLayer, Principal};

pub const RESOURCE: &str = "https://mcp.example.com/mcp";
pub const ISSUER: &str = "https://auth.example.com";
pub const JWKS: &str = "https://auth.example.com/keys";
/// Where the clock of every test starts.
pub const START: Duration = Duration::from_secs(1_800_000_000);

/// A page of the scripted network.
#[derive(Clone, Debug)]
pub enum Page {
    Json(Value),
    Raw(Vec<u8>),
    WithHeader(&'static str, &'static str, Value),
    Status(u16),
    NoConnection,
    Hang,
    /// An answer in full: status, headers, body.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// One after the other; the second stays.
    Then(Box<Self>, Box<Self>),
    /// What an introspection endpoint says of each token; of others, that it is not active.
    Tokens(HashMap<String, Value>),
}

/// A request as it was sent.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub url: String,
    pub method: Method,
    pub headers: HeaderMap,
    pub form: HashMap<String, String>,
}

/// The network: pages by URL, a log of what was asked, and a brake.
#[derive(Clone, Debug)]
pub struct Web(Arc<WebState>);

#[derive(Debug)]
struct WebState {
    pages: Mutex<HashMap<String, Page>>,
    log: Mutex<Vec<String>>,
    requests: Mutex<Vec<Recorded>>,
    held: watch::Sender<bool>,
}

impl Web {
    pub fn new() -> Self {
        Self(Arc::new(WebState {
            pages: Mutex::default(),
            log: Mutex::default(),
            requests: Mutex::default(),
            held: watch::channel(false).0,
        }))
    }

    /// A network on which `ISSUER` publishes `keys`.
    pub fn with_issuer(keys: &[&Key]) -> Self {
        let web = Self::new();
        web.publish_metadata(ISSUER);
        web.publish_keys(keys);
        web
    }

    pub fn publish_metadata(&self, issuer: &str) {
        let document = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")});
        let url = format!("{issuer}/.well-known/oauth-authorization-server");
        self.set(&url, Page::Json(document));
    }

    pub fn publish_keys(&self, keys: &[&Key]) {
        self.set(JWKS, Page::Json(key_set(keys)));
    }

    pub fn set(&self, url: &str, page: Page) {
        self.0.pages.lock().unwrap().insert(url.to_owned(), page);
    }

    /// Lets requests hang, or go on.
    pub fn hold(&self, held: bool) {
        self.0.held.send_replace(held);
    }

    /// Every URL that was asked for, in order.
    pub fn log(&self) -> Vec<String> {
        self.0.log.lock().unwrap().clone()
    }

    /// The last request to `url`.
    pub fn last(&self, url: &str) -> Recorded {
        let requests = self.0.requests.lock().unwrap();
        let last = requests.iter().rfind(|request| request.url == url);
        last.expect("it was asked for").clone()
    }

    /// How many hold this network, the caller among them.
    pub fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// How often `url` was asked for.
    pub fn count(&self, url: &str) -> usize {
        self.log().iter().filter(|asked| *asked == url).count()
    }
}

impl WebState {
    /// The page at `url`.
    fn turn(&self, url: &str) -> Option<Page> {
        let mut pages = self.pages.lock().unwrap();
        let page = pages.get(url).cloned();
        let Some(Page::Then(first, next)) = page else {
            return page;
        };
        pages.insert(url.to_owned(), *next);
        Some(*first)
    }
}

impl Fetch for Web {
    fn fetch(&self, request: Request<Bytes>, max_bytes: usize) -> FetchFuture {
        let url = request.uri().to_string();
        self.0.log.lock().unwrap().push(url.clone());
        let form: HashMap<String, String> = url::form_urlencoded::parse(request.body())
            .into_owned()
            .collect();
        self.0.requests.lock().unwrap().push(Recorded {
            url: url.clone(),
            method: request.method().clone(),
            headers: request.headers().clone(),
            form: form.clone(),
        });
        let state = Arc::clone(&self.0);
        Box::pin(async move {
            let mut held = state.held.subscribe();
            held.wait_for(|held| !held).await.unwrap();
            let page = state.turn(&url);
            let mut headers = HeaderMap::new();
            let (status, body) = match page.unwrap_or(Page::Status(404)) {
                Page::Json(json) => (200, json.to_string().into_bytes()),
                Page::Raw(bytes) => (200, bytes),
                Page::WithHeader(name, value, json) => {
                    headers.insert(name, value.parse().unwrap());
                    (200, json.to_string().into_bytes())
                }
                Page::Status(status) => (status, Vec::new()),
                Page::Answer(status, named, body) => {
                    for (name, value) in named {
                        headers.insert(name, value.parse().unwrap());
                    }
                    (status, body)
                }
                Page::Tokens(tokens) => {
                    headers.insert("content-type", "application/json".parse().unwrap());
                    let unknown = json!({"active": false});
                    let said = tokens.get(&form["token"]).unwrap_or(&unknown);
                    (200, said.to_string().into_bytes())
                }
                Page::Then(..) => unreachable!("`turn` takes the first"),
                Page::Hang => std::future::pending().await,
                Page::NoConnection => return Err(FetchError::new("no connection: refused")),
            };
            if body.len() > max_bytes {
                return Err(FetchError::new("the answer is too large"));
            }
            let mut response = Response::new(Bytes::from(body));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            *response.headers_mut() = headers;
            Ok(response)
        })
    }
}

/// A P-256 key that signs tokens.
pub struct Key {
    pub kid: &'static str,
    pair: EcdsaKeyPair,
}

impl Key {
    pub fn new(kid: &'static str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref());
        Self {
            kid,
            pair: pair.unwrap(),
        }
    }

    pub fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid,
            "x": B64.encode(&point[1..33]), "y": B64.encode(&point[33..65]),
        })
    }

    /// A token that is good at `START` and for an hour, with `changes` made to its claims
    /// (`null` takes one out).
    pub fn token(&self, changes: Value) -> String {
        self.token_with_header(json!({}), changes)
    }

    // By value, because every caller writes the changes in place.
    #[allow(clippy::needless_pass_by_value)]
    pub fn token_with_header(&self, header_changes: Value, changes: Value) -> String {
        let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": self.kid});
        let now = START.as_secs();
        let claims = json!({
            "iss": ISSUER, "aud": RESOURCE, "sub": "alice", "client_id": "app", "jti": "1",
            "exp": now + 3600, "iat": now, "scope": "mcp:read",
        });
        self.sign(
            &changed(header, &header_changes),
            &changed(claims, &changes),
        )
    }

    /// The same, with `changes` as they are: `null` is put in.
    // As above.
    #[allow(clippy::needless_pass_by_value)]
    pub fn token_with_nulls(&self, changes: Value) -> String {
        let token = self.token(json!({}));
        let claims = B64.decode(token.split('.').nth(1).unwrap()).unwrap();
        let mut claims: Value = serde_json::from_slice(&claims).unwrap();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let header = json!({"alg": "ES256", "kid": self.kid});
        self.sign(&header, &claims)
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let input = format!(
            "{}.{}",
            B64.encode(header.to_string()),
            B64.encode(claims.to_string()),
        );
        let random = SystemRandom::new();
        let signature = self.pair.sign(&random, input.as_bytes()).unwrap();
        format!("{input}.{}", B64.encode(signature.as_ref()))
    }
}

pub fn changed(mut base: Value, changes: &Value) -> Value {
    let members = base.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(members.remove(name)),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
    base
}

pub fn key_set(keys: &[&Key]) -> Value {
    json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()})
}

/// A guarded service, the clock it goes by, and how often its inside was reached.
#[derive(Clone)]
pub struct Guarded {
    pub layer: OAuthLayer,
    pub clock: Clock,
    reached: Arc<AtomicUsize>,
}

/// What a client got.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub error: Option<AuthError>,
    /// The principal's id, where the inside was reached.
    pub principal: Option<String>,
    /// The principal itself.
    pub who: Option<Principal>,
}

impl Answer {
    pub fn reason(&self) -> &str {
        self.error.as_ref().map_or("accepted", AuthError::reason)
    }

    pub fn detail(&self) -> &str {
        self.error
            .as_ref()
            .and_then(|error| error.detail())
            .unwrap_or_default()
    }

    pub fn challenge(&self) -> &str {
        self.headers["www-authenticate"].to_str().unwrap()
    }

    pub fn retry_after(&self) -> Option<u64> {
        Some(
            self.headers
                .get("retry-after")?
                .to_str()
                .unwrap()
                .parse()
                .unwrap(),
        )
    }

    #[track_caller]
    pub fn assert(&self, status: u16, reason: &str) {
        assert_eq!(
            (self.status.as_u16(), self.reason()),
            (status, reason),
            "{self:?}"
        );
    }
}

impl Guarded {
    /// `OAuthLayer` for `RESOURCE`, trusting `ISSUER` on `web`.
    pub fn new(web: &Web) -> Self {
        Self::with_server(web, AuthorizationServer::new(ISSUER).unwrap())
    }

    pub fn with_server(web: &Web, server: AuthorizationServer) -> Self {
        Self::with_servers(web, [server])
    }

    pub fn with_servers(web: &Web, servers: impl IntoIterator<Item = AuthorizationServer>) -> Self {
        let clock = Clock::manual(START);
        let mut builder = OAuthLayer::builder(RESOURCE).unwrap();
        for server in servers {
            builder = builder.authorization_server(server).unwrap();
        }
        let layer = builder
            .clock(clock.clone())
            .fetch(web.clone())
            .build()
            .unwrap();
        Self::of(layer, clock)
    }

    /// A layer that goes by this clock.
    pub fn of(layer: OAuthLayer, clock: Clock) -> Self {
        Self {
            layer,
            clock,
            reached: Arc::default(),
        }
    }

    /// A layer like that of [`new`](Self::new), on the same clock, with other limits.
    pub fn with_limits(
        &self,
        web: &Web,
        limits: impl FnOnce(JwksOptions) -> JwksOptions,
    ) -> OAuthLayer {
        OAuthLayer::builder(RESOURCE)
            .unwrap()
            .authorization_server(ISSUER)
            .unwrap()
            .clock(self.clock.clone())
            .fetch(web.clone())
            .jwks_options(limits(JwksOptions::new()))
            .build()
            .unwrap()
    }

    pub fn reached(&self) -> usize {
        self.reached.load(Ordering::SeqCst)
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub async fn bearer(&self, token: &str) -> Answer {
        let request = Request::post("/mcp").header("authorization", format!("Bearer {token}"));
        self.ask(request.body(Full::default()).unwrap()).await
    }

    pub async fn ask(&self, request: Request<Full<Bytes>>) -> Answer {
        let before = self.reached();
        let layer: AuthLayer<OAuthProvider> = self.layer.clone().into();
        let response = layer.layer(self.inner()).oneshot(request).await.unwrap();
        let principal = response
            .extensions()
            .get::<Inside>()
            .map(|inside| inside.0.clone());
        let who = response.extensions().get::<Inside>();
        let who = who.and_then(|inside| inside.1.clone());
        let error = response.extensions().get::<AuthError>().cloned();
        error
            .as_ref()
            .inspect(|error| common::assert_explained(error));
        assert!(
            error.is_none() || principal.is_none(),
            "refused, and reached the inside"
        );
        assert!(self.reached() >= before);
        Answer {
            status: response.status(),
            headers: response.headers().clone(),
            error,
            principal,
            who,
        }
    }

    fn inner(
        &self,
    ) -> impl Service<
        Request<Full<Bytes>>,
        Response = Response<Full<Bytes>>,
        Error = Infallible,
        Future: Send,
    > + Clone
    + use<> {
        let reached = Arc::clone(&self.reached);
        tower::service_fn(move |request: Request<Full<Bytes>>| {
            reached.fetch_add(1, Ordering::SeqCst);
            let principal = Principal::from_extensions(request.extensions()).cloned();
            let id = principal
                .as_ref()
                .map(|principal| principal.id().to_string());
            let mut response = Response::new(Full::default());
            response
                .extensions_mut()
                .insert(Inside(id.unwrap_or_default(), principal));
            std::future::ready(Ok(response))
        })
    }
}

#[derive(Clone)]
struct Inside(String, Option<Principal>);

/// The metadata document of a layer.
pub async fn metadata(layer: &OAuthLayer) -> Value {
    let request = Request::get("/").body(Full::<Bytes>::default()).unwrap();
    let response = layer.metadata_service().oneshot(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

/// Lets every task that can run do so.
pub async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
