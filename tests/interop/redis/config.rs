//! A configuration against a real engine, with restarts and reloads.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_mcp_auth::api_key::{ApiKey, GeneratedKey};
use tower_mcp_auth::config::{Config, ConfiguredStack};
use tower_mcp_auth::reload::ReloadLayer;
use tower_mcp_auth::revocation::{Entry, Revocation};

use super::engine::{PREFIX, Server};
use super::{until, until_down};

const SESSION: &str = "mcp-session-id";
const SECRET: &str = "Vn4kTy6ZsMx1QwRb8LcHfJg3DpUe7AiC";

/// A server whose replicas share everything. Those with another timeout have another connection.
fn text(engine: &Server, timeout: &str) -> String {
    format!(
        r#"
        resource = "https://mcp.example.com/mcp"
        [api_keys.shared]
        secret = "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5"
        [auth]
        optional = true
        [session]
        key = "tN4hX8kQ1wZs6CvM2jRy9PbGf7DaLu3E"
        anonymous_sessions_can_be_claimed = true
        [shared.redis]
        url = "{}"
        prefix = "{PREFIX}"
        timeout = "{timeout}"
        "#,
        engine.url()
    )
}

async fn connect(engine: &Server, timeout: &str) -> Config {
    let config = Config::from_toml(&text(engine, timeout)).unwrap();
    let config = config.connect().await.unwrap();
    let redis = config.redis().unwrap().clone();
    until("it is up", async || redis.health().is_up()).await;
    config
}

type Body = Full<bytes::Bytes>;

async fn behind<B>(_: Request<B>) -> Result<Response<Body>, std::convert::Infallible> {
    static SESSIONS: AtomicUsize = AtomicUsize::new(0);
    let number = SESSIONS.fetch_add(1, Ordering::Relaxed);
    let response = Response::builder().header(SESSION, format!("session-{number}"));
    Ok(response.body(Body::default()).unwrap())
}

/// What becomes of a request, and the session it is answered with.
async fn post<S, B>(
    service: &S,
    key: Option<&GeneratedKey>,
    session: Option<&str>,
) -> (StatusCode, Option<String>)
where
    S: Service<Request<Body>, Response = Response<B>, Error = std::convert::Infallible> + Clone,
{
    let mut request = Request::post("/mcp").header("host", "mcp.example.com");
    if let Some(key) = key {
        request = request.header("x-api-key", key.expose());
    }
    if let Some(session) = session {
        request = request.header(SESSION, session);
    }
    let request = request.body(Body::default()).unwrap();
    let answer = service.clone().oneshot(request).await.unwrap();
    let session = answer.headers().get(SESSION);
    let session = session.map(|id| id.to_str().unwrap().to_owned());
    (answer.status(), session)
}

async fn clients(engine: &Server) -> usize {
    let list = engine.cli(&["CLIENT", "LIST", "TYPE", "normal"]).await;
    // One of them asks.
    list.lines().count() - 1
}

fn stack(config: &Config) -> ConfiguredStack {
    config.stack().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn replicas_of_one_configuration_share_claims_and_keys_over_restarts_and_reloads() {
    let mut engine = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let config = connect(&engine, "1s").await;
    let other = connect(&engine, "1100 ms").await;
    let redis = config.redis().unwrap().clone();
    assert!(redis.health().is_up() && !redis.health().is_ready());
    redis.init().await.unwrap();
    super::until_ready(other.redis().unwrap()).await;
    let connections = clients(&engine).await;

    let (layer, reloads) = ReloadLayer::new(stack(&config));
    let (here, there) = (
        layer.layer(service_fn(behind)),
        stack(&other).layer(service_fn(behind)),
    );
    let keys = config.redis_api_keys().unwrap().unwrap();
    let (alice, mallory) = (
        ApiKey::generate("acme").unwrap(),
        ApiKey::generate("acme").unwrap(),
    );
    for (key, owner) in [(&alice, "alice"), (&mallory, "mallory")] {
        keys.put(&key.to_api_key().owner(owner)).await.unwrap();
    }
    let foreign = ApiKey::generate("acme").unwrap();
    let (status, _) = post(&here, Some(&foreign), None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);

    // A session that is claimed here belongs to its principal there.
    let (status, session) = post(&here, None, None).await;
    assert_eq!(status, StatusCode::OK);
    let session = session.as_deref();
    assert_eq!(post(&there, Some(&alice), session).await.0, StatusCode::OK);
    let refused = async || {
        for key in [None, Some(&mallory)] {
            assert_eq!(post(&here, key, session).await.0, StatusCode::NOT_FOUND);
        }
        assert_eq!(post(&here, Some(&alice), session).await.0, StatusCode::OK);
    };
    refused().await;

    // A reload has the same connection, also where the configuration was dropped.
    drop(config);
    for _ in 0..3 {
        let text = text(&engine, "1s");
        let reload = async {
            let config = Config::from_toml(&text)?.connect().await?;
            config.stack()
        };
        reloads.try_reload_async(reload).await.unwrap();
        refused().await;
    }
    assert_eq!(clients(&engine).await, connections);
    // One with other settings has another, and the old one ends.
    let changed = connect(&engine, "900 ms").await;
    reloads.try_reload(|| changed.stack()).unwrap();
    refused().await;
    drop(redis);
    drop(keys);
    until("the old one is gone", async || {
        clients(&engine).await == connections
    })
    .await;

    // While the engine is gone no caller is let in by mistake, or has to sign in again.
    engine.kill().await;
    let redis = changed.redis().unwrap().clone();
    until_down(&redis).await;
    assert_eq!(post(&here, Some(&alice), None).await.0, StatusCode::OK);
    for (key, session) in [
        (Some(&foreign), None),
        (None, session),
        (Some(&alice), session),
    ] {
        let (status, _) = post(&here, key, session).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    // A server that starts now starts.
    let late = Config::from_toml(&text(&engine, "1200 ms")).unwrap();
    let late = late.connect().await.unwrap();
    let late_stack = stack(&late).layer(service_fn(behind));
    let (status, _) = post(&late_stack, Some(&alice), None).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);

    // With its log it knows all keys again; sessions of before are not believed.
    engine.restart().await;
    for redis in [&redis, late.redis().unwrap()] {
        super::until_ready(redis).await;
    }
    until("keys are known", async || {
        post(&late_stack, Some(&alice), None).await.0 == StatusCode::OK
    })
    .await;
    let (status, _) = post(&here, Some(&foreign), None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        post(&here, Some(&alice), session).await.0,
        StatusCode::NOT_FOUND
    );
    let (_, session) = post(&here, None, None).await;
    let session = session.as_deref();
    let claimed = post(&late_stack, Some(&mallory), session).await.0;
    assert_eq!(claimed, StatusCode::OK);
    assert_eq!(
        post(&here, Some(&alice), session).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn an_outage_that_is_allowed_lets_in_what_the_settings_say() {
    let mut engine = Server::start(&[]).await;
    let text = text(&engine, "1s").replace(
        "anonymous_sessions_can_be_claimed = true",
        "anonymous_sessions_can_be_claimed = true\ndangerously_allow_on_outage = true",
    );
    let text = text.replace(
        "[api_keys.shared]",
        "[api_keys.shared]\ndangerously_allow_on_outage = true\npositive_ttl = 0\n\
         max_staleness = 0",
    );
    let config = Config::from_toml(&text).unwrap().connect().await.unwrap();
    let redis = config.redis().unwrap().clone();
    until("it is up", async || redis.health().is_up()).await;
    redis.init().await.unwrap();
    let service = stack(&config).layer(service_fn(behind));
    let keys = config.redis_api_keys().unwrap().unwrap();
    let [alice, mallory, unknown] = [(); 3].map(|()| ApiKey::generate("acme").unwrap());
    for key in [&alice, &mallory, &unknown] {
        keys.put(&key.to_api_key()).await.unwrap();
    }
    let (_, session) = post(&service, None, None).await;
    let session = session.as_deref();
    let status = async |key| post(&service, key, session).await.0;
    assert_eq!(status(Some(&alice)).await, StatusCode::OK);
    assert_eq!(status(Some(&mallory)).await, StatusCode::NOT_FOUND);
    assert_eq!(status(None).await, StatusCode::NOT_FOUND);
    engine.kill().await;
    until_down(&redis).await;
    for key in [Some(&alice), Some(&mallory), None] {
        assert_eq!(status(key).await, StatusCode::OK);
    }
    assert_eq!(
        status(Some(&unknown)).await,
        StatusCode::SERVICE_UNAVAILABLE
    );
    // It is another engine, as far as anybody knows.
    engine.restart().await;
    super::until_ready(&redis).await;
    until("the session is unknown", async || {
        status(None).await == StatusCode::NOT_FOUND
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn what_one_replica_revokes_is_revoked_at_all_over_restarts_and_reloads() {
    let mut engine = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let text = |timeout: &str, more: &str| {
        let revocation = format!("[revocation]\nsecret = \"{SECRET}\"\n{more}\n[api_keys.shared]");
        text(&engine, timeout).replace("[api_keys.shared]", &revocation)
    };
    let late = text("1200 ms", "").replace("https://mcp", "https://late");
    let texts = ["1s", "1100 ms"].map(|timeout| text(timeout, ""));
    let changed = text("1s", "max_entries = 7");
    let foreign = text("1s", "").replace(SECRET, "Qk3w8ZtV1nBy6HsLr0JmXc9PfUeDa2Gi");
    let made = async |text: &str| {
        let config = Config::from_toml(text).unwrap().connect().await.unwrap();
        let redis = config.redis().unwrap().clone();
        until("it is up", async || redis.health().is_up()).await;
        redis.init().await.unwrap();
        config
    };
    let here = made(&texts[0]).await;
    // Two replicas are of one server, and in one process two processes cannot be. The other one is
    // made by hand.
    let there = made(&texts[1]).await;
    let other = Revocation::shared(there.redis().unwrap().clone(), SECRET).unwrap();
    other.ready().await;
    let keys = here.redis_api_keys().unwrap().unwrap();
    let [first, second, third] = [(); 3].map(|()| ApiKey::generate("acme").unwrap());
    for key in [&first, &second, &third] {
        keys.put(&key.to_api_key()).await.unwrap();
    }
    let stack = here.stack_prewarmed().await.unwrap();
    let (layer, reloads) = ReloadLayer::new(stack);
    let service = layer.layer(service_fn(behind));
    let status = async |key| post(&service, Some(key), None).await.0;
    assert_eq!(status(&first).await, StatusCode::OK);
    other.revoke(Entry::api_key(first.id())).await.unwrap();
    until("it is heard of", async || {
        status(&first).await == StatusCode::UNAUTHORIZED
    })
    .await;
    assert_eq!(status(&second).await, StatusCode::OK);
    let own = here.revocation().unwrap().unwrap();
    own.revoke(Entry::api_key(second.id())).await.unwrap();
    until("it is heard of", async || other.entries() == 2).await;

    // A reload goes on with what is known, and other settings read it again.
    for text in [&texts[0], &changed, &texts[0]] {
        let reload = async {
            let config = Config::from_toml(text)?.connect().await?;
            config.stack_prewarmed().await
        };
        reloads.try_reload_async(reload).await.unwrap();
        for (key, expected) in [(&first, 401), (&second, 401), (&third, 200)] {
            assert_eq!(status(key).await, expected);
        }
    }
    // With another secret nothing would be known.
    let reload = Config::from_toml(&foreign)
        .unwrap()
        .connect()
        .await
        .unwrap();
    let error = reload.stack().unwrap_err();
    assert_eq!(error.path(), "revocation");
    drop((own, here, reload));

    engine.kill().await;
    let redis = there.redis().unwrap();
    until_down(redis).await;
    // What is known is known for a minute more.
    for (key, expected) in [(&first, 401), (&second, 401), (&third, 200)] {
        assert_eq!(status(key).await, expected);
    }
    // A server that starts now knows nothing, and lets no caller in.
    let late = Config::from_toml(&late).unwrap().connect().await.unwrap();
    let started = late.stack().unwrap().layer(service_fn(behind));
    let late_status = async |key| {
        let mut request = Request::post("/mcp").header("host", "late.example.com");
        request = request.header("x-api-key", GeneratedKey::expose(key));
        let request = request.body(Body::default()).unwrap();
        started.clone().oneshot(request).await.unwrap().status()
    };
    assert_eq!(late_status(&third).await, StatusCode::SERVICE_UNAVAILABLE);
    let error = late.stack_prewarmed().await.unwrap_err();
    assert_eq!(error.path(), "revocation");
    engine.restart().await;
    super::until_ready(redis).await;
    until("it is read", async || {
        late_status(&third).await == StatusCode::OK
    })
    .await;
    for (key, expected) in [(&first, 401), (&second, 401), (&third, 200)] {
        assert_eq!(late_status(key).await, expected);
        assert_eq!(status(key).await, expected);
    }
}
