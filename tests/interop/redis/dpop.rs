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

/// What a replica makes of a proof, and the nonce that it gives.
async fn ask(
    config: &Config,
    token: &str,
    proof: &str,
) -> ((StatusCode, &'static str), Option<String>) {
    let request = Request::post("/mcp")
        .header("authorization", format!("DPoP {token}"))
        .header("dpop", proof)
        .body(Full::default())
        .unwrap();
    let service = config.auth_layer().unwrap().layer(service_fn(behind));
    let response = service.oneshot(request).await.unwrap();
    let error = response.extensions().get::<AuthError>();
    let answer = (
        response.status(),
        error.map_or("accepted", AuthError::reason),
    );
    let nonce = response.headers().get("dpop-nonce");
    let nonce = nonce.map(|nonce| nonce.to_str().expect("text").to_owned());
    (answer, nonce)
}

const ACCEPTED: (StatusCode, &str) = (StatusCode::OK, "accepted");
const REPLAYED: (StatusCode, &str) = (StatusCode::UNAUTHORIZED, "replayed_dpop_proof");
const UNAVAILABLE: (StatusCode, &str) =
    (StatusCode::SERVICE_UNAVAILABLE, "dpop_replays_unavailable");

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_proof_is_accepted_at_one_replica_alone() {
    let mut engine = Server::start(&[]).await;
    engine.age(Duration::from_secs(400)).await;
    let issuer = Issuer::start().await.unwrap();
    let replicas = [
        connect(&engine, &issuer, "1s").await,
        connect(&engine, &issuer, "1100 ms").await,
    ];
    let key = DpopKey::generate();
    let token = issuer.token().audience(RESOURCE).bound_to(&key).sign();
    let proof = || key.proof("POST", RESOURCE).access_token(&token).sign();
    for _ in 0..50 {
        let proof = proof();
        let at = |replica: usize| ask(&replicas[replica], &token, &proof);
        let (one, two, three, four) = tokio::join!(at(0), at(1), at(1), at(0));
        let answers = [one.0, two.0, three.0, four.0];
        let is = |expected: (StatusCode, &str)| {
            let answers = answers.iter();
            answers.filter(|answer| **answer == expected).count()
        };
        assert_eq!(is(ACCEPTED), 1, "{answers:?}");
        assert_eq!(is(REPLAYED), 3, "{answers:?}");
    }

    // Without the engine no proof is believed.
    engine.kill().await;
    until_down(replicas[0].redis().unwrap()).await;
    let (answer, _) = ask(&replicas[0], &token, &proof()).await;
    assert_eq!(answer, UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn replicas_of_a_new_engine_agree_on_a_nonce() {
    let issuer = Issuer::start().await.unwrap();
    let key = DpopKey::generate();
    let token = issuer.token().audience(RESOURCE).bound_to(&key).sign();
    let proof = || key.proof("POST", RESOURCE).access_token(&token);

    // For a minute nothing is believed.
    let engine = Server::start(&[]).await;
    let replica = connect(&engine, &issuer, "1s").await;
    replica.redis().unwrap().init().await.unwrap();
    super::until_ready(replica.redis().unwrap()).await;
    let ahead = Clock::system().now() + Duration::from_secs(300);
    for proof in [proof(), proof().issued_at(ahead)] {
        let (answer, nonce) = ask(&replica, &token, &proof.sign()).await;
        assert_eq!((answer, nonce), (UNAVAILABLE, None));
    }

    let engine = Server::start(&[]).await;
    engine.age(Duration::from_secs(10)).await;
    let replicas = [
        connect(&engine, &issuer, "1s").await,
        connect(&engine, &issuer, "1100 ms").await,
    ];
    let mut told = Vec::new();
    for replica in &replicas {
        let (answer, nonce) = ask(replica, &token, &proof().sign()).await;
        assert_eq!(answer, (StatusCode::UNAUTHORIZED, "dpop_nonce_required"));
        told.push(nonce.expect("a nonce"));
    }
    assert_eq!(told[0], told[1]);
    let proof = proof().nonce(&told[0]).sign();
    assert_eq!(ask(&replicas[0], &token, &proof).await.0, ACCEPTED);
    assert_eq!(ask(&replicas[1], &token, &proof).await.0, REPLAYED);
}
