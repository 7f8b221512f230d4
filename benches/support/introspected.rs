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

use super::drive::{Bare, put_through, request};
use super::measure::{quantile, timed};
use super::memory::resident_bytes;
use super::table::{Fact, Limit};
use super::tokens::RESOURCE;

/// More than the bench needs to make its good tokens known.
const CALLS_PER_SECOND: u32 = 2_000;
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

/// What `count` concurrent requests with one token cause.
pub(crate) fn one_call(count: usize) -> [Fact; 1] {
    let server = Server::default();
    let guarded = server.guarded();
    let value = format!("Bearer {}", tokens(43, 1)[0]);
    let accepted = runtime().block_on(async {
        let requests: Vec<_> = (0..count)
            .map(|_| tokio::spawn(guarded.clone().oneshot(request(&AUTHORIZATION, &value))))
            .collect();
        let mut accepted = 0;
        for request in requests {
            accepted += usize::from(request.await.unwrap().unwrap().status() == 200);
        }
        accepted
    });
    assert_eq!(accepted, count);
    [Fact {
        label: "Calls for 10,000 concurrent requests of one token",
        value: server.calls() as f64,
        unit: "",
        limit: Limit::Most(1.0),
    }]
}

/// What a flood of `count` garbage tokens, no two alike, does to the server that is asked, to
/// memory, and to good tokens in between.
pub(crate) fn flood(count: usize) -> Vec<Fact> {
    let server = Server::default();
    let flooding = server.guarded();
    let mut guarded = flooding.clone();
    let good = tokens(43, 64);
    ask_all(&guarded, &good, 200);
    let values: Vec<String> = good.iter().map(|it| format!("Bearer {it}")).collect();
    let mut serve_good = || {
        let requests = values.iter().map(|value| request(&AUTHORIZATION, value));
        timed(requests.collect(), |request| {
            put_through(&mut guarded, request, 200);
        })
    };
    let quiet: Vec<f64> = (0..200).map(|_| serve_good()).collect();
    let mut flooded = Vec::new();
    let (asked, before) = (server.calls(), resident_bytes());
    let started = std::time::Instant::now();
    runtime().block_on(async {
        for number in 0..count {
            let request = request(&AUTHORIZATION, &format!("Bearer garbage_{number:035}"));
            let response = flooding.clone().oneshot(request).await.unwrap();
            assert!(matches!(response.status().as_u16(), 401 | 503));
            if number % 5_000 == 0 {
                flooded.push(serve_good());
            }
        }
    });
    let seconds = started.elapsed().as_secs_f64().max(1.0);
    let calls = (server.calls() - asked) as f64;
    let typical = |samples: Vec<f64>| quantile(samples.into_iter(), 0.5);
    let mut facts = vec![
        Fact {
            label: "Calls a second under a flood of garbage tokens",
            // What a quiet second saved up is no rate.
            value: (calls - f64::from(CALLS_PER_SECOND)).max(0.0) / seconds,
            unit: "",
            limit: Limit::Most(f64::from(CALLS_PER_SECOND)),
        },
        Fact {
            label: "A good token during the flood, times as long",
            value: typical(flooded) / typical(quiet),
            unit: "x",
            limit: Limit::None,
        },
    ];
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        facts.push(Fact {
            label: "Process after that flood, larger by",
            value: (after - before) / f64::from(1 << 20),
            unit: "MiB",
            limit: Limit::Most(16.0),
        });
    }
    facts
}
