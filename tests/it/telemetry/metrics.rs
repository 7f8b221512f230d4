//! What is counted: all that is documented, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_mcp_auth::api_key::{ApiKey, ApiKeyStore, CachedApiKeyStore, KeyLookup, LookupFuture};
use tower_mcp_auth::auth::Authenticate;
use tower_mcp_auth::failed_attempts::FailedAttemptsLayer;
use tower_mcp_auth::jose::Algorithm;
use tower_mcp_auth::mcp::{
    MacKey, McpListsLayer, McpPolicy, McpScopesLayer, OriginLayer, SessionBindingLayer,
};
use tower_mcp_auth::oauth::{
    AuthorizationServer, Fetch, FetchError, FetchFuture, Introspection, TokenCacheOptions,
};
use tower_mcp_auth::revocation::Revocation;
use tower_mcp_auth::scopes::RequireScopesLayer;
use tower_mcp_auth::telemetry::metrics;
use tower_mcp_auth::testing::{Behaviour, Endpoint, Issuer};
use tower_mcp_auth::{ApiKeyLayer, AuthLayer, Clock, OAuthLayer};

use crate::telemetry::decisions::{bearer, jwt, post};
use common::{Answering, ask, clock, invalid, request};

const RESOURCE: &str = "https://mcp.example.com/mcp";

/// Runs on one thread, with a recorder of its own, and returns what was recorded.
fn recorded<F: Future<Output = ()>>(act: impl FnOnce() -> F) -> Recorded {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    ::metrics::with_local_recorder(&recorder, || {
        metrics::describe();
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(act());
    });
    Recorded::of(&snapshotter)
}

/// Values by name and labels, as Prometheus writes them; of a histogram the number of values.
struct Recorded(BTreeMap<String, f64>);

impl Recorded {
    fn of(snapshotter: &Snapshotter) -> Self {
        let mut values = BTreeMap::new();
        for (key, unit, description, value) in snapshotter.snapshot().into_vec() {
            assert!(unit.is_some() && description.is_some(), "{key:?}");
            let labels: Vec<_> = key
                .key()
                .labels()
                .map(|label| format!("{}={}", label.key(), label.value()))
                .collect();
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(value) => value.into_inner(),
                DebugValue::Histogram(values) => values.len() as f64,
            };
            let name = format!("{}{{{}}}", key.key().name(), labels.join(","));
            values.insert(name, value);
        }
        Self(values)
    }

    #[track_caller]
    fn assert(&self, expected: &[(&str, f64)]) {
        for (name, value) in expected {
            assert_eq!(self.0.get(*name), Some(value), "{name} in {:#?}", self.0);
        }
    }

    fn names(&self) -> BTreeSet<&str> {
        let names = self.0.keys();
        names.map(|name| name.split('{').next().unwrap()).collect()
    }

    fn labels(&self) -> BTreeSet<&str> {
        let labels = self
            .0
            .keys()
            .flat_map(|name| name.split(['{', ',', '}']).skip(1));
        labels.filter(|label| !label.is_empty()).collect()
    }
}

fn with_bearer(token: &str) -> Request<Full<Bytes>> {
    request(&[("authorization", format!("Bearer {token}"))])
}

/// A layer that knows an issuer's JWTs by its keys and asks it about opaque ones.
fn oauth(issuer: &Issuer, clock: &Clock) -> OAuthLayer {
    let introspection = Introspection::at(issuer.endpoint(Endpoint::Introspect))
        .unwrap()
        .client_secret_basic("mcp", "s3cret")
        .unwrap();
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url())
        .unwrap()
        .introspection(introspection)
        .unwrap();
    OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(server)
        .unwrap()
        .clock(clock.clone())
        .build()
        .unwrap()
}

async fn issuer(clock: &Clock) -> Issuer {
    let builder = Issuer::builder().client("mcp", "s3cret");
    builder.clock(clock.clone()).start().await.unwrap()
}

#[derive(Debug)]
struct Store;

impl ApiKeyStore for Store {
    fn find(&self, wanted: KeyLookup) -> LookupFuture {
        Box::pin(async move {
            let known = ApiKey::from_digest(*wanted.digest());
            Ok(Some(known.name("alice")).filter(|_| wanted.id().is_some()))
        })
    }
}

async fn all_of_it(issuer: &Issuer, clock: &Clock) {
    let oauth = oauth(issuer, clock);
    let token = issuer.token().audience(RESOURCE).sign();
    ask(&oauth, with_bearer(&token)).await.admitted();
    ask(&oauth, with_bearer(&token)).await.admitted();
    let opaque = issuer.token().audience(RESOURCE).opaque();
    ask(&oauth, with_bearer(&opaque)).await.admitted();
    ask(&oauth, with_bearer(&opaque)).await.admitted();
    ask(&oauth, with_bearer(&"inactive".repeat(6)))
        .await
        .error();
    ask(&oauth, request::<&str>(&[])).await.missing();
    issuer.set_behaviour(Endpoint::Introspect, Behaviour::Status(500));
    ask(&oauth, with_bearer(&"another0".repeat(6)))
        .await
        .error();
    issuer.set_behaviour(Endpoint::Jwks, Behaviour::Status(503));
    clock.advance(Duration::from_secs(2 * 86_400));
    let later = issuer.token().audience(RESOURCE).sign();
    ask(&oauth, with_bearer(&later)).await.error();
}

#[test]
fn a_token_past_the_life_of_its_cache_is_verified_once_and_known_again() {
    let recorded = recorded(async || {
        let clock = clock();
        let issuer = issuer(&clock).await;
        let server = AuthorizationServer::insecure_http_on_loopback(issuer.url()).unwrap();
        let layer = OAuthLayer::builder(RESOURCE)
            .unwrap()
            .authorization_server(server)
            .unwrap()
            .token_cache(TokenCacheOptions::new().max_ttl(Duration::from_secs(10)))
            .clock(clock.clone())
            .build()
            .unwrap();
        let token = issuer.token().audience(RESOURCE).sign();
        // Three lives: each begins with a verification, and five uses follow.
        for _ in 0..3 {
            for _ in 0..6 {
                ask(&layer, with_bearer(&token)).await.admitted();
            }
            clock.advance(Duration::from_secs(10));
        }
    });
    recorded.assert(&[
        ("mcp_auth_token_cache_lookups_total{result=miss}", 3.0),
        ("mcp_auth_token_cache_lookups_total{result=hit}", 15.0),
    ]);
}

#[test]
fn what_an_issuer_is_asked_is_counted_by_issuer() {
    let mut url = String::new();
    let recorded = recorded(async || {
        let clock = clock();
        let issuer = issuer(&clock).await;
        url = issuer.url().to_owned();
        all_of_it(&issuer, &clock).await;
    });
    let issuer = |name: &str| name.replace("ISSUER", &url);
    for (name, value) in [
        ("mcp_auth_key_fetches_total{issuer=ISSUER,outcome=ok}", 1.0),
        (
            "mcp_auth_key_fetches_total{issuer=ISSUER,outcome=failed}",
            1.0,
        ),
        (
            "mcp_auth_keys_fetched_timestamp_seconds{issuer=ISSUER}",
            1_800_000_000.0,
        ),
        (
            "mcp_auth_introspection_lookups_total{issuer=ISSUER,result=hit}",
            1.0,
        ),
        (
            "mcp_auth_introspection_lookups_total{issuer=ISSUER,result=miss}",
            3.0,
        ),
        (
            "mcp_auth_introspection_calls_total{issuer=ISSUER,outcome=active}",
            1.0,
        ),
        (
            "mcp_auth_introspection_calls_total{issuer=ISSUER,outcome=refused}",
            1.0,
        ),
        (
            "mcp_auth_introspection_calls_total{issuer=ISSUER,outcome=failed}",
            1.0,
        ),
        ("mcp_auth_introspection_queue{issuer=ISSUER}", 0.0),
        ("mcp_auth_token_cache_lookups_total{result=hit}", 1.0),
        ("mcp_auth_token_cache_lookups_total{result=miss}", 2.0),
        (
            "mcp_auth_requests_total{provider=oauth,outcome=accepted,reason=none}",
            4.0,
        ),
        (
            "mcp_auth_requests_total{provider=oauth,outcome=refused,reason=inactive_token}",
            1.0,
        ),
        (
            "mcp_auth_requests_total{provider=none,outcome=refused,reason=missing_credential}",
            1.0,
        ),
        (
            "mcp_auth_requests_total{provider=oauth,outcome=refused,reason=introspection_failed}",
            1.0,
        ),
        (
            "mcp_auth_requests_total{provider=oauth,outcome=refused,reason=keys_unavailable}",
            1.0,
        ),
        (
            "mcp_auth_verification_seconds{provider=oauth,waited=false}",
            2.0,
        ),
        (
            "mcp_auth_verification_seconds{provider=oauth,waited=true}",
            5.0,
        ),
    ] {
        recorded.assert(&[(&issuer(name), value)]);
    }
}

#[test]
fn decisions_are_counted_by_provider_layer_outcome_and_reason() {
    let recorded = recorded(async || decisions().await);
    recorded.assert(&[
        ("mcp_auth_requests_total{provider=jwt,outcome=accepted,reason=none}", 2.0),
        ("mcp_auth_requests_total{provider=none,outcome=anonymous,reason=none}", 1.0),
        ("mcp_auth_policy_decisions_total{layer=scopes,outcome=refused,reason=insufficient_scope}", 1.0),
        ("mcp_auth_policy_decisions_total{layer=scopes,outcome=accepted,reason=none}", 1.0),
        ("mcp_auth_step_ups_total{event=asked}", 1.0),
        ("mcp_auth_step_ups_total{event=granted}", 1.0),
        ("mcp_auth_verification_seconds{provider=jwt,waited=false}", 2.0),
    ]);
}

async fn decisions() {
    let auth = jwt(&clock(), "").public_path("/public").unwrap();
    let stack = ServiceBuilder::new()
        .layer(auth.clone())
        .layer(RequireScopesLayer::new("write").unwrap());
    for scopes in ["read", "write"] {
        ask(&stack, request(&[("authorization", bearer(scopes))])).await;
    }
    ask(&auth, common::request_to::<&str>("/public", &[])).await;
}

#[test]
fn lists_that_show_less_than_there_is_are_counted() {
    const LISTS: &str = r#"{"id":1,"result":{"tools":[{"name":"x"},{"name":"y"}],"prompts":[{"name":"p"}],"resources":[]}}"#;
    recorded(async || {
        let policy = McpPolicy::builder().tool("x", "read").unwrap();
        let service = ServiceBuilder::new()
            .layer(jwt(&clock(), ""))
            .layer(McpListsLayer::new(policy.build().unwrap()))
            .service(service_fn(async |_: Request<Full<Bytes>>| {
                let response = Response::builder().header("content-type", "application/json");
                Ok::<_, Infallible>(response.body(Full::<Bytes>::from(LISTS)).unwrap())
            }));
        for scopes in ["read", "write"] {
            let request = request(&[("authorization", bearer(scopes))]);
            let response = service.clone().oneshot(request).await.unwrap();
            response.into_body().collect().await.unwrap();
        }
    })
    .assert(&[
        (
            "mcp_auth_policy_decisions_total{layer=mcp_lists,outcome=shortened,reason=none}",
            1.0,
        ),
        (
            "mcp_auth_policy_decisions_total{layer=mcp_lists,outcome=emptied,reason=none}",
            3.0,
        ),
        (
            "mcp_auth_requests_total{provider=jwt,outcome=accepted,reason=none}",
            2.0,
        ),
        (
            "mcp_auth_verification_seconds{provider=jwt,waited=false}",
            2.0,
        ),
    ]);
}

#[test]
fn questions_to_a_key_store_are_counted() {
    recorded(async || key_store().await).assert(&[
        ("mcp_auth_api_key_store_lookups_total{result=miss}", 2.0),
        ("mcp_auth_api_key_store_lookups_total{result=hit}", 1.0),
        ("mcp_auth_api_key_store_calls_total{outcome=found}", 1.0),
        ("mcp_auth_api_key_store_calls_total{outcome=absent}", 1.0),
        ("mcp_auth_api_key_store_queue{}", 0.0),
        (
            "mcp_auth_requests_total{provider=api_key,outcome=accepted,reason=none}",
            2.0,
        ),
    ]);
}

async fn key_store() {
    let pepper = tower_mcp_auth::api_key::Pepper::new(&common::SECRET[..32]).unwrap();
    let layer =
        ApiKeyLayer::from_store(CachedApiKeyStore::new(Store).pepper(pepper)).clock(clock());
    let key = ApiKey::generate("acme").unwrap();
    for _ in 0..2 {
        let request = request(&[("x-api-key", key.expose())]);
        ask(&layer, request).await.admitted();
    }
    ask(&layer, request(&[("x-api-key", common::API_KEY)]))
        .await
        .error();
}

/// Always has more to say.
struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b": ping\n\n")))))
    }
}

async fn a_stream_that_ends() {
    let clock = clock();
    let token = [("authorization", bearer("a"))];
    stream_that_ends(jwt(&clock, ""), &clock, request(&token)).await;
}

async fn stream_that_ends<P: Authenticate>(
    layer: impl Into<AuthLayer<P>>,
    clock: &Clock,
    request: Request<Full<Bytes>>,
) {
    let service = layer
        .into()
        .layer(service_fn(async |_: Request<Full<Bytes>>| {
            let mut response = Response::new(Endless);
            let media = "text/event-stream".parse().unwrap();
            response.headers_mut().insert("content-type", media);
            Ok::<_, Infallible>(response)
        }));
    let response = service.oneshot(request);
    let mut body = std::pin::pin!(response.await.unwrap().into_body());
    assert!(body.frame().await.is_some());
    clock.advance(Duration::from_secs(200_000_000));
    assert!(body.frame().await.is_none());
}

#[test]
fn a_stream_that_is_ended_counts_by_its_reason() {
    let recorded = recorded(async || {
        a_stream_that_ends().await;
        let clock = clock();
        let keys = ApiKeyLayer::new([common::API_KEY])
            .unwrap()
            .clock(clock.clone());
        let keys = keys.stream_max_life(Duration::from_secs(60)).unwrap();
        let key = [("x-api-key", common::API_KEY)];
        stream_that_ends(keys, &clock, request(&key)).await;
    });
    recorded.assert(&[
        ("mcp_auth_streams_ended_total{reason=expired}", 1.0),
        ("mcp_auth_streams_ended_total{reason=max_life}", 1.0),
    ]);
}

async fn revocation() {
    use tower_mcp_auth::revocation::{Entry, Revocation};

    let revocation = Revocation::in_memory();
    for id in ["one", "other", "one"] {
        revocation.revoke(Entry::api_key(id)).await.unwrap();
    }
}

#[test]
fn entries_of_what_is_revoked_are_counted() {
    let recorded = recorded(async || revocation().await);
    recorded.assert(&[("mcp_auth_revocation_entries{}", 2.0)]);
}

/// Two calls of one, and a store that is asked first.
async fn quotas() {
    use tower_mcp_auth::mcp::{Budget, QuotaLayer};
    use tower_mcp_auth::store::MemoryQuotaStore;

    let store = MemoryQuotaStore::default();
    let quotas = QuotaLayer::shared(store, "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5").unwrap();
    let budget = |name, count| Budget::new(name, count, Duration::from_secs(60)).unwrap();
    let quotas = quotas
        .budget(budget("calls", 1))
        .unwrap()
        .budget(budget("many", 9));
    let keys = || ApiKeyLayer::new([common::API_KEY]).unwrap();
    let reports = keys().dangerously_report_only_for(["quota_exceeded"]);
    let key = [("x-api-key", common::API_KEY)];
    let quotas = quotas.unwrap();
    let stack = ServiceBuilder::new().layer(keys()).layer(quotas.clone());
    ask(&stack, request(&key)).await.admitted();
    assert_eq!(ask(&stack, request(&key)).await.status, 429);
    let stack = ServiceBuilder::new().layer(reports.unwrap()).layer(quotas);
    assert_eq!(ask(&stack, request(&key)).await.status, 200);
}

/// Two failures, one of which the shared store has no room for.
async fn failed_attempts() {
    use tower_mcp_auth::failed_attempts::FailedAttemptsLayer;
    use tower_mcp_auth::store::MemoryQuotaStore;

    for entries in [0, 1] {
        let address = std::net::IpAddr::from([192, 0, 2, 1]);
        let attempts = FailedAttemptsLayer::new(move |_| Some(address))
            .shared(MemoryQuotaStore::new(entries), common::SECRET)
            .unwrap();
        let keys = ApiKeyLayer::new([common::API_KEY]).unwrap();
        let stack = ServiceBuilder::new().layer(attempts).layer(keys);
        let bad = [("x-api-key", "bad")];
        assert_eq!(ask(&stack, request(&bad)).await.status, 401);
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_failure_that_is_not_told_to_other_replicas_is_counted() {
    let recorded = recorded(async || failed_attempts().await);
    recorded.assert(&[("mcp_auth_failures_not_shared_total{}", 1.0)]);
}

/// By budget, and not by the caller that was counted.
#[test]
fn budgets_count_what_they_were_asked_and_which_of_them_refused() {
    let recorded = recorded(async || quotas().await);
    let decisions = |labels: &str| format!("mcp_auth_quota_decisions_total{{budget={labels}}}");
    recorded.assert(&[
        (&decisions("calls,outcome=admitted"), 1.0),
        (&decisions("calls,outcome=refused"), 1.0),
        (&decisions("calls,outcome=reported"), 1.0),
        (&decisions("many,outcome=admitted"), 1.0),
        ("mcp_auth_quota_store_up{}", 1.0),
    ]);
    let all = recorded
        .0
        .keys()
        .filter(|key| key.contains("quota_decisions"));
    assert_eq!(all.count(), 4);
}

#[test]
fn every_documented_name_is_recorded_and_every_recorded_one_documented() {
    let recorded = recorded(async || {
        let clock = clock();
        all_of_it(&issuer(&clock).await, &clock).await;
        decisions().await;
        key_store().await;
        a_stream_that_ends().await;
        revocation().await;
        quotas().await;
        failed_attempts().await;
    });
    let documented: BTreeSet<_> = metrics::names().collect();
    assert_eq!(recorded.names(), documented);
    // In the table as well, with exactly the labels they have.
    let docs = include_str!("../../../src/telemetry/mod.rs");
    let mut table = BTreeMap::new();
    for line in docs.lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, name, _, labels, _, _] = cells[..] else {
            continue;
        };
        if let Some(name) = name.strip_prefix("`mcp_auth_") {
            let labels = labels
                .split(['`', ',', ' '])
                .filter(|label| !label.is_empty());
            let name = format!("mcp_auth_{}", name.trim_end_matches('`'));
            table.insert(name, labels.collect::<BTreeSet<_>>());
        }
    }
    assert_eq!(
        table.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        documented
    );
    for key in recorded.0.keys() {
        let (name, labels) = key.trim_end_matches('}').split_once('{').unwrap();
        let labels = labels.split(',').filter(|label| !label.is_empty());
        let labels: BTreeSet<_> = labels
            .map(|label| label.split('=').next().unwrap())
            .collect();
        assert_eq!(labels, table[name], "{key}");
    }
}

/// Everything a client can choose, chosen anew with each request.
#[test]
fn no_client_can_make_a_new_label() {
    let flood = |requests: u32| {
        recorded(async move || {
            let clock = clock();
            let issuer = issuer(&clock).await;
            let oauth = oauth(&issuer, &clock);
            let unsigned = |number: u32| {
                let token = issuer.token().audience(RESOURCE);
                let token = token.key_id(&format!("kid-{number}"));
                token
                    .claim("iss", format!("https://{number}.example.com"))
                    .sign()
            };
            for number in 0..requests {
                let mut request = with_bearer(&unsigned(number));
                *request.method_mut() = format!("M{number}").parse().unwrap();
                *request.uri_mut() = format!("/{number}").parse().unwrap();
                ask(&oauth, request).await.error();
                ask(&oauth, with_bearer(&format!("opaque-{number:0>40}")))
                    .await
                    .error();
                let subject = format!("user-{number}");
                let good = issuer.token().audience(RESOURCE).subject(&subject).sign();
                ask(&oauth, with_bearer(&good)).await.admitted();
            }
        })
    };
    let (few, many) = (flood(2), flood(40));
    let plain = |recorded: &Recorded| -> BTreeSet<String> {
        // The port of the issuer differs.
        let labels = recorded.labels().into_iter();
        labels
            .filter(|label| !label.starts_with("issuer="))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(plain(&few), plain(&many));
    assert_eq!(few.0.len(), many.0.len());
}

/// Gives no answer.
#[derive(Debug)]
struct Down;

impl Fetch for Down {
    fn fetch(&self, _: Request<Bytes>, _: usize) -> FetchFuture {
        Box::pin(async { Err(FetchError::new("down")) })
    }
}

#[test]
fn the_tenants_of_a_template_count_as_their_template() {
    let template = "https://auth.example.com/{tenant}";
    let recorded = recorded(async || {
        let oauth = OAuthLayer::builder(RESOURCE).unwrap().fetch(Down);
        let oauth = oauth.issuer_template(template, ["one", "two"], Ok).unwrap();
        let oauth = oauth.build().unwrap();
        oauth.warm_up().await.unwrap_err();
    });
    let name = format!("mcp_auth_key_fetches_total{{issuer={template},outcome=failed}}");
    recorded.assert(&[(&name, 2.0)]);
}

/// What the layer allocates is what the principal needs in the request, with a recorder and without: the
/// labels are there already.
#[test]
fn an_accepted_request_allocates_nothing_for_its_metrics() {
    // Other tests may have put in a subscriber, which allocates.
    let silent = tracing::subscriber::NoSubscriber::default();
    let _silent = tracing::subscriber::set_default(silent);
    let guard = common::api_key_guard();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    let guarded = guard.layer.layer(common::Inner::default());
    let count = |guarded_too: bool| {
        let request = guard.good_request("/mcp");
        let (guarded, bare) = (guarded.clone(), common::Inner::default());
        let measured = allocation_counter::measure(|| {
            match guarded_too {
                true => drop(runtime.block_on(guarded.oneshot(request))),
                false => drop(runtime.block_on(bare.oneshot(request))),
            };
        });
        measured.count_total
    };
    let added = || {
        let least = |guarded_too| (0..9).map(|_| count(guarded_too)).min().unwrap();
        least(true) - least(false)
    };
    assert_eq!(added(), 2);
    assert_eq!(::metrics::with_local_recorder(&Handles, added), 2);
}

/// A recorder of no size, like the one that stands in for none, but one that listens.
#[derive(Debug)]
struct Sizeless;

static BEHIND_SIZELESS: LazyLock<DebuggingRecorder> = LazyLock::new(DebuggingRecorder::new);

impl ::metrics::Recorder for Sizeless {
    fn describe_counter(
        &self,
        _: ::metrics::KeyName,
        _: Option<::metrics::Unit>,
        _: ::metrics::SharedString,
    ) {
    }
    fn describe_gauge(
        &self,
        _: ::metrics::KeyName,
        _: Option<::metrics::Unit>,
        _: ::metrics::SharedString,
    ) {
    }
    fn describe_histogram(
        &self,
        _: ::metrics::KeyName,
        _: Option<::metrics::Unit>,
        _: ::metrics::SharedString,
    ) {
    }
    fn register_counter(
        &self,
        key: &::metrics::Key,
        metadata: &::metrics::Metadata<'_>,
    ) -> ::metrics::Counter {
        BEHIND_SIZELESS.register_counter(key, metadata)
    }
    fn register_gauge(
        &self,
        key: &::metrics::Key,
        metadata: &::metrics::Metadata<'_>,
    ) -> ::metrics::Gauge {
        BEHIND_SIZELESS.register_gauge(key, metadata)
    }
    fn register_histogram(
        &self,
        key: &::metrics::Key,
        metadata: &::metrics::Metadata<'_>,
    ) -> ::metrics::Histogram {
        BEHIND_SIZELESS.register_histogram(key, metadata)
    }
}

/// Without a recorder nothing is measured, so one that comes later must be noticed.
#[test]
fn a_recorder_that_comes_after_the_first_requests_hears_of_all_later_ones() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    let guard = common::api_key_guard();
    let accept = |times: usize| {
        for _ in 0..times {
            let asked = ask(&guard.layer, guard.good_request("/mcp"));
            runtime.block_on(asked).admitted();
        }
    };
    accept(3);
    let measured = "mcp_auth_verification_seconds{provider=api_key,waited=false}";
    let counted = "mcp_auth_requests_total{provider=api_key,outcome=accepted,reason=none}";
    let recorder = DebuggingRecorder::new();
    ::metrics::with_local_recorder(&recorder, || {
        metrics::describe();
        accept(2);
    });
    Recorded::of(&recorder.snapshotter()).assert(&[(measured, 2.0), (counted, 2.0)]);

    // One without a size is known by what it does, and of all requests the first may go
    // unmeasured.
    ::metrics::with_local_recorder(&*BEHIND_SIZELESS, metrics::describe);
    ::metrics::with_local_recorder(&Sizeless, || accept(1));
    let snapshotter = BEHIND_SIZELESS.snapshotter();
    Recorded::of(&snapshotter).assert(&[(counted, 1.0)]);
    ::metrics::with_local_recorder(&Sizeless, || accept(3));
    Recorded::of(&snapshotter).assert(&[(measured, 3.0), (counted, 3.0)]);
}

#[test]
fn what_a_layer_accepts_counts_for_that_layer() {
    let recorded = recorded(async || {
        let policy = McpPolicy::builder().tool("add", "write").unwrap();
        let stack = ServiceBuilder::new()
            .layer(OriginLayer::new(RESOURCE).unwrap())
            .layer(FailedAttemptsLayer::new(|_| {
                Some(std::net::Ipv4Addr::LOCALHOST.into())
            }))
            .layer(jwt(&clock(), ""))
            .layer(RequireScopesLayer::new("write").unwrap())
            .layer(SessionBindingLayer::new(
                MacKey::new("R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5").unwrap(),
            ))
            .layer(McpScopesLayer::new(policy.build().unwrap()));
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add"}}"#;
        let mut request = post(call, &bearer("write"));
        let host = "mcp.example.com".parse().unwrap();
        request.headers_mut().insert("host", host);
        ask(&stack, request).await.admitted();
    });
    let accepted = |labels: &str| format!("{labels},outcome=accepted,reason=none}}");
    for layer in [
        "origin",
        "failed_attempts",
        "scopes",
        "session",
        "mcp_scopes",
    ] {
        let name = format!("mcp_auth_policy_decisions_total{{layer={layer}");
        recorded.assert(&[(&accepted(&name), 1.0)]);
    }
    let requests = accepted("mcp_auth_requests_total{provider=jwt");
    recorded.assert(&[(&requests, 1.0)]);
}

#[test]
fn logouts_count_for_the_service_that_takes_them() {
    let recorded = recorded(async || {
        let issuer = Issuer::builder().algorithms([Algorithm::ES256]);
        let issuer = issuer.start().await.unwrap();
        let server = AuthorizationServer::insecure_http_on_loopback(issuer.url()).unwrap();
        let layer = OAuthLayer::new(RESOURCE, server).unwrap();
        let layer = layer.revocation(Revocation::in_memory());
        let service = layer
            .backchannel_logout(issuer.url(), "mcp-server")
            .unwrap();
        let token = issuer.logout_token().audience("mcp-server").sign();
        for _ in 0..2 {
            let request = Request::post("/")
                .header("content-type", "application/x-www-form-urlencoded")
                .body(Full::<Bytes>::from(format!("logout_token={token}")));
            service.clone().oneshot(request.unwrap()).await.unwrap();
        }
    });
    let name = "mcp_auth_policy_decisions_total{layer=backchannel_logout";
    let accepted = format!("{name},outcome=accepted,reason=none}}");
    let replayed = format!("{name},outcome=refused,reason=replayed_logout_token}}");
    recorded.assert(&[(&accepted, 1.0), (&replayed, 1.0)]);
}

#[test]
fn the_dashboard_asks_for_what_is_there() {
    let dashboard = include_str!("../../../docs/grafana.json");
    let dashboard: serde_json::Value = serde_json::from_str(dashboard).unwrap();
    let documented: BTreeSet<_> = metrics::names().collect();
    let mut shown = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let expr = target["expr"].as_str().unwrap();
            let words = expr.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            for word in words.filter(|word| word.starts_with("mcp_auth_")) {
                let name = word.strip_suffix("_bucket").unwrap_or(word);
                shown.insert(name.to_owned());
            }
        }
    }
    let shown: BTreeSet<_> = shown.iter().map(String::as_str).collect();
    assert_eq!(shown, documented);
    // The oldest keys are those that stop serving.
    let dashboard_text = dashboard.to_string();
    let age = format!("time() - min by (issuer) ({}", metrics::KEYS_FETCHED);
    assert!(dashboard_text.contains(&age), "{dashboard_text}");
    let variables = dashboard["templating"].to_string();
    assert!(variables.contains(metrics::REQUESTS), "{variables}");
}

/// Finds what it is asked for, as an exporter does, and allocates nothing for it.
#[derive(Debug)]
struct Handles;

impl ::metrics::Recorder for Handles {
    fn describe_counter(
        &self,
        _: ::metrics::KeyName,
        _: Option<::metrics::Unit>,
        _: ::metrics::SharedString,
    ) {
    }
    fn describe_gauge(
        &self,
        _: ::metrics::KeyName,
        _: Option<::metrics::Unit>,
        _: ::metrics::SharedString,
    ) {
    }
    fn describe_histogram(
        &self,
        _: ::metrics::KeyName,
        _: Option<::metrics::Unit>,
        _: ::metrics::SharedString,
    ) {
    }
    fn register_counter(
        &self,
        _: &::metrics::Key,
        _: &::metrics::Metadata<'_>,
    ) -> ::metrics::Counter {
        ::metrics::Counter::noop()
    }
    fn register_gauge(&self, _: &::metrics::Key, _: &::metrics::Metadata<'_>) -> ::metrics::Gauge {
        ::metrics::Gauge::noop()
    }
    fn register_histogram(
        &self,
        _: &::metrics::Key,
        _: &::metrics::Metadata<'_>,
    ) -> ::metrics::Histogram {
        ::metrics::Histogram::noop()
    }
}

#[test]
fn reasons_of_a_provider_of_ones_own_count_as_they_are() {
    let recorded = recorded(async || {
        let refusing = Answering::refusing(invalid("badge_revoked"));
        ask(&AuthLayer::new(refusing), with_bearer("x"))
            .await
            .error();
    });
    recorded.assert(&[(
        "mcp_auth_requests_total{provider=test,outcome=refused,reason=badge_revoked}",
        1.0,
    )]);
}

#[test]
fn what_is_only_reported_is_counted_with_its_reason() {
    let recorded = recorded(async || {
        let layer = jwt(&clock(), "").dangerously_report_only();
        ask(&layer, with_bearer("bad")).await.admitted();
    });
    recorded.assert(&[(
        "mcp_auth_requests_total{provider=jwt,outcome=reported,reason=not_a_jwt}",
        1.0,
    )]);
}
