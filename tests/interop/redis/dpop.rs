//! DPoP proofs that replicas share: each is accepted once, at whichever it arrives.

use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_mcp_auth::config::Config;
use tower_mcp_auth::testing::{DpopKey, Issuer};
use tower_mcp_auth::{AuthError, Clock};

use super::engine::{PREFIX, Server};
use super::{until, until_down};

const RESOURCE: &str = "https://mcp.example.com/mcp";

type Body = Full<bytes::Bytes>;

/// Those with another timeout have another connection.
async fn connect(engine: &Server, issuer: &Issuer, timeout: &str) -> Config {
    let text = format!(
        r#"
        resource = "{RESOURCE}"
        [authorization_servers.main]
        issuer = "{}"
        insecure_http_on_loopback = true
        dpop = "required"
        [shared.redis]
        url = "{}"
        prefix = "{PREFIX}"
        timeout = "{timeout}"
        "#,
        issuer.url(),
        engine.url()
    );
    let config = Config::from_toml(&text).unwrap().connect().await.unwrap();
    let redis = config.redis().unwrap().clone();
    until("it is up", async || redis.health().is_up()).await;
    config
}

async fn behind(_: Request<Body>) -> Result<Response<Body>, std::convert::Infallible> {
    Ok(Response::default())
}

/// What a replica makes of a proof.
async fn ask(config: &Config, token: &str, proof: &str) -> (StatusCode, &'static str) {
    let request = Request::post("/mcp")
        .header("authorization", format!("DPoP {token}"))
        .header("dpop", proof)
        .body(Full::default())
        .unwrap();
    let service = config.auth_layer().unwrap().layer(service_fn(behind));
    let response = service.oneshot(request).await.unwrap();
    let error = response.extensions().get::<AuthError>();
    (
        response.status(),
        error.map_or("accepted", AuthError::reason),
    )
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_proof_is_accepted_at_one_replica_alone() {
    let mut engine = Server::start(&["--save", ""]).await;
    let issuer = Issuer::start().await.unwrap();
    let replicas = [
        connect(&engine, &issuer, "1s").await,
        connect(&engine, &issuer, "1100 ms").await,
    ];
    let key = DpopKey::generate();
    let token = issuer.token().audience(RESOURCE).bound_to(&key).sign();
    let now = Clock::system().now();
    // Of an engine that is new, what was made within a minute is not believed.
    let proof_at = |seconds| {
        let proof = key.proof("POST", RESOURCE).access_token(&token);
        proof.issued_at(now + Duration::from_secs(seconds)).sign()
    };
    for redis in replicas.iter().map(|config| config.redis().unwrap()) {
        redis.init().await.unwrap();
        super::until_ready(redis).await;
    }
    let unavailable = (StatusCode::SERVICE_UNAVAILABLE, "dpop_replays_unavailable");
    assert_eq!(ask(&replicas[0], &token, &proof_at(0)).await, unavailable);
    for _ in 0..50 {
        let proof = proof_at(120);
        let at = |replica: usize| ask(&replicas[replica], &token, &proof);
        let (one, two, three, four) = tokio::join!(at(0), at(1), at(1), at(0));
        let answers = [one, two, three, four];
        let is = |expected: (StatusCode, &str)| {
            let answers = answers.iter();
            answers.filter(|answer| **answer == expected).count()
        };
        assert_eq!(is((StatusCode::OK, "accepted")), 1, "{answers:?}");
        let replayed = (StatusCode::UNAUTHORIZED, "replayed_dpop_proof");
        assert_eq!(is(replayed), 3, "{answers:?}");
    }

    // Without the engine no proof is believed.
    engine.kill().await;
    until_down(replicas[0].redis().unwrap()).await;
    let answer = ask(&replicas[0], &token, &proof_at(120)).await;
    assert_eq!(answer, unavailable);
}
