//! Introspection without a network: who is asked sits in the process, and counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::AUTHORIZATION;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, ServiceExt};
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::auth::AuthService;
use tower_mcp_auth::oauth::{
    AuthorizationServer, Fetch, Introspect, IntrospectFuture, Introspection, IntrospectionResponse,
    OAuthProvider,
};

use super::drive::{Bare, request};
use super::tokens::RESOURCE;

/// More than the bench needs to make its good tokens known.
pub(crate) const CALLS_PER_SECOND: u32 = 2_000;
/// How every good token begins.
const GOOD: &str = "good_";

/// Knows every token that begins like a good one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    calls: Arc<AtomicUsize>,
}

impl Server {
    /// How often it was asked.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// The layer that asks it, around nothing.
    pub(crate) fn guarded(&self) -> AuthService<Bare, OAuthProvider> {
        let introspection = Introspection::custom(self.clone())
            .unknown_token_rate_limit(CALLS_PER_SECOND)
            .unwrap()
            .positive_ttl(std::time::Duration::from_secs(3600));
        let server = AuthorizationServer::new("https://auth.example.com")
            .and_then(|server| server.introspection(introspection))
            .unwrap();
        OAuthLayer::new(RESOURCE, server).unwrap().layer(Bare)
    }
}

impl Introspect for Server {
    fn introspect(&self, token: &str, _: Arc<dyn Fetch>) -> IntrospectFuture {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let said = json!({
            "aud": RESOURCE, "sub": token, "client_id": "app", "scope": "mcp:read mcp:write",
        });
        let answer = match (token.starts_with(GOOD), said) {
            (true, serde_json::Value::Object(said)) => IntrospectionResponse::active(said),
            _ => IntrospectionResponse::inactive(),
        };
        Box::pin(async move {
            tokio::task::yield_now().await;
            Ok(answer)
        })
    }
}

/// Good tokens of `length` bytes.
pub(crate) fn tokens(length: usize, count: usize) -> Vec<String> {
    let rest = length - GOOD.len();
    (0..count)
        .map(|number| format!("{GOOD}{number:0rest$}"))
        .collect()
}

pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// Lets the layer learn of all tokens.
pub(crate) fn ask_all(guarded: &AuthService<Bare, OAuthProvider>, tokens: &[String], status: u16) {
    runtime().block_on(async {
        for token in tokens {
            let request = request(&AUTHORIZATION, &format!("Bearer {token}"));
            let response = guarded.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), status);
        }
    });
}
