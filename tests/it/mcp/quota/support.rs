//! Callers by what their token says, and a shared store that can be out of reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tower::ServiceBuilder;
use tower::layer::util::{Identity, Stack};
use tower_mcp_auth::auth::{AuthLayer, Authenticated, Authentication};
use tower_mcp_auth::mcp::{Budget, QuotaLayer};
use tower_mcp_auth::peer::PeerAddr;
use tower_mcp_auth::store::{MemoryQuotaStore, QuotaAnswer, QuotaCharge, QuotaStore};
use tower_mcp_auth::store::{StoreError, StoreFuture};
use tower_mcp_auth::{Clock, Principal};

use common::{Answer, Answering, ask};

use crate::mcp::support::{call, post};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn clock() -> Clock {
    Clock::manual(Duration::from_secs(1_800_000_000))
}

/// Accepts `Bearer sub~alice.client~editor.iss~a.org~x`, each part of which may be missing, and
/// requests without a credential.
pub(crate) fn auth() -> AuthLayer<Answering> {
    let provider = Answering::new(|credential| {
        let mut principal = Principal::builder("test");
        let mut claims = serde_json::Map::new();
        let mut is_named = false;
        for part in credential.value().split('.') {
            let (name, value) = part.split_once('~').unwrap_or((part, ""));
            is_named |= matches!(name, "sub" | "user");
            principal = match name {
                "sub" => principal.subject(value),
                "user" => principal.username(value),
                "client" => principal.client_id(value),
                "iss" => principal.issuer(value),
                "org" => {
                    let number = value.parse::<u32>().map(Into::into);
                    claims.insert("org_id".to_owned(), number.unwrap_or_else(|_| value.into()));
                    principal
                }
                "orgs" => {
                    claims.insert("org_id".to_owned(), serde_json::json!([value]));
                    principal
                }
                _ => principal,
            };
        }
        if !is_named {
            principal = principal.fingerprint(credential.value().as_bytes());
        }
        let principal = principal.claims(&claims).build();
        Authentication::Ready(Ok(Authenticated::new(principal)))
    });
    AuthLayer::new(provider).optional()
}

pub(crate) type Limited = ServiceBuilder<Stack<QuotaLayer, Stack<AuthLayer<Answering>, Identity>>>;

pub(crate) fn behind(quotas: &QuotaLayer) -> Limited {
    ServiceBuilder::new().layer(auth()).layer(quotas.clone())
}

pub(crate) fn budget(name: &str, count: u32) -> Budget {
    Budget::new(name, count, MINUTE).unwrap()
}

/// One budget with this count of each minute, in memory.
pub(crate) fn limit(count: u32, clock: &Clock) -> QuotaLayer {
    with([budget("calls", count)], clock)
}

pub(crate) fn with<const N: usize>(budgets: [Budget; N], clock: &Clock) -> QuotaLayer {
    let layer = QuotaLayer::in_memory().clock(clock.clone());
    budgets
        .into_iter()
        .fold(layer, |layer, budget| layer.budget(budget).unwrap())
}

pub(crate) async fn send(quotas: &QuotaLayer, token: &str, body: &str) -> Answer {
    ask(&behind(quotas), post(token, body.to_owned())).await
}

/// The status of one call of a tool.
pub(crate) async fn tool(quotas: &QuotaLayer, token: &str, name: &str) -> u16 {
    send(quotas, token, &call(name)).await.status.as_u16()
}

/// How many calls of a tool are admitted, of ten at the most.
pub(crate) async fn left(quotas: &QuotaLayer, token: &str) -> usize {
    let mut admitted = 0;
    while admitted < 10 && tool(quotas, token, "search").await == 200 {
        admitted += 1;
    }
    admitted
}

/// A call without a credential, from this address.
pub(crate) fn from(address: Option<&str>, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let mut request = Request::post("/mcp").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Full::from(call("search"))).unwrap();
    if let Some(address) = address {
        let peer: std::net::IpAddr = address.parse().unwrap();
        request.extensions_mut().insert(PeerAddr::from(peer));
    }
    request
}

/// A store that counts its questions, and can be out of reach.
#[derive(Clone, Debug)]
pub(crate) struct FlakyQuotas {
    store: MemoryQuotaStore,
    fails: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl FlakyQuotas {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self {
            store: MemoryQuotaStore::default().clock(clock.clone()),
            fails: Arc::default(),
            asked: Arc::default(),
        }
    }

    pub(crate) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl QuotaStore for FlakyQuotas {
    fn charge(&self, charges: Vec<QuotaCharge>) -> StoreFuture<QuotaAnswer> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let fails = Arc::clone(&self.fails);
        let answer = self.store.charge(charges);
        Box::pin(async move {
            // As a question over a network: the answer comes later.
            tokio::task::yield_now().await;
            match fails.load(Ordering::SeqCst) {
                true => Err(StoreError::new("out of\nreach")),
                false => answer.await,
            }
        })
    }
}
