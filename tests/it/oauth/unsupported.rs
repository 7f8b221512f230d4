//! What people asked other servers for, and could not have: each case with the setting that
//! makes it work, and without.

use serde_json::{Value, json};
use tower_mcp_auth::jose::{Algorithm, Secret};
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::oauth::presets::{firebase, github_actions, kubernetes, spiffe};
use tower_mcp_auth::{ConfigError, JwtLayer, Principal};

use crate::oauth::presets::fixture::{ES256, ES512, RS256, Signer};
use crate::oauth::support::*;

/// The cases, each with where it was asked for.
const CASES: &str = include_str!("fixtures/unsupported.json");

type Server = Result<AuthorizationServer, ConfigError>;

fn case(name: &str) -> Value {
    let cases: Vec<Value> = serde_json::from_str(CASES).unwrap();
    let found = cases.into_iter().find(|case| case["name"] == name);
    found.unwrap_or_else(|| panic!("no case {name:?}"))
}

fn issuer(name: &str) -> AuthorizationServer {
    AuthorizationServer::new(name).unwrap()
}

/// A network on which every issuer of these cases publishes the keys, as ordinary ones and as
/// those of a trust bundle.
fn web() -> Web {
    let web = Web::new();
    let keys: Vec<Value> = [&RS256, &ES256, &ES512].map(|key| key.jwk("k1")).into();
    for name in [
        ISSUER,
        "https://token.actions.githubusercontent.com",
        "https://kubernetes.default.svc.cluster.local",
        "https://securetoken.google.com/acme-project",
    ] {
        web.publish_metadata(name);
        web.set(&format!("{name}/keys"), Page::Json(json!({"keys": keys})));
    }
    for place in [
        "https://token.actions.githubusercontent.com/.well-known/jwks",
        "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
    ] {
        web.set(place, Page::Json(json!({"keys": keys})));
    }
    let bundle = keys
        .iter()
        .map(|key| changed(key.clone(), &json!({"use": "jwt-svid"})));
    let bundle = json!({"keys": bundle.collect::<Vec<_>>()});
    web.set("https://spire.example.org/bundle", Page::Json(bundle));
    web
}

/// The token of a case.
fn token(header: &Value, claims: &Value) -> String {
    let signer: &Signer = match header["alg"].as_str() {
        Some("RS256") => &RS256,
        Some("ES256") => &ES256,
        Some("ES512") => &ES512,
        other => panic!("no signer for {other:?}"),
    };
    signer.sign(header, claims)
}

/// What becomes of the token under these settings.
async fn outcome(server: Server, token: &str) -> String {
    let guarded = Guarded::with_server(&web(), server.unwrap());
    guarded.bearer(token).await.reason().to_owned()
}

#[tokio::test]
async fn header_typ_of_other_makers() {
    let case = case("header typ of other makers");
    for header in case["header"].as_array().unwrap() {
        let typ = header["typ"].as_str().unwrap();
        let token = token(header, &case["claims"]);
        let named = issuer(ISSUER).accepted_typ([typ]);
        assert_eq!(outcome(named, &token).await, "accepted", "{typ}");
        let plain = Ok(issuer(ISSUER));
        assert_eq!(outcome(plain, &token).await, "wrong_token_type", "{typ}");
        let other = issuer(ISSUER).accepted_typ(["other"]);
        assert_eq!(outcome(other, &token).await, "wrong_token_type", "{typ}");
    }
}

#[tokio::test]
async fn workload_identity() {
    let case = case("workload identity");
    let narrowed = |iss: &str, aud: &str, subject: &str| {
        let server = issuer(iss).dangerously_any_token_for_audience(aud)?;
        server.require_subject([subject])
    };
    let mut seen = 0;
    for row in case["tokens"].as_array().unwrap() {
        let claims = &row["claims"];
        let iss = claims["iss"].as_str().unwrap();
        let aud = claims["aud"]
            .as_str()
            .or(claims["aud"][0].as_str())
            .unwrap();
        let token = token(&row["header"], claims);
        // By hand, for these and for issuers without a preset.
        let subject = claims["sub"].as_str().unwrap();
        assert_eq!(
            outcome(narrowed(iss, aud, subject), &token).await,
            "accepted"
        );
        let another = narrowed(iss, aud, "repo:evil/widgets:ref:refs/heads/main");
        assert_eq!(outcome(another, &token).await, "claim_mismatch");
        let plain = issuer(iss).audience(aud);
        assert_eq!(outcome(plain, &token).await, "wrong_token_type");
        seen += 1;
    }
    assert_eq!(seen, 3);
    // By preset: the ids of owners are in all real tokens of GitHub.
    let tokens = case["tokens"].as_array().unwrap();
    let ids = json!({"repository_id": "74", "repository_owner_id": "65"});
    let job = token(
        &tokens[0]["header"],
        &changed(tokens[0]["claims"].clone(), &ids),
    );
    for (owner, reason) in [(65, "accepted"), (66, "claim_mismatch")] {
        let server = github_actions::owners([owner])
            .unwrap()
            .audience("mcp-server");
        assert_eq!(outcome(server, &job).await, reason);
    }
    let pod = token(&tokens[1]["header"], &tokens[1]["claims"]);
    for (account, reason) in [
        ("agents/planner", "accepted"),
        ("agents/other", "claim_mismatch"),
    ] {
        let server = kubernetes::server(kubernetes::DEFAULT_ISSUER, [account]);
        let server = server.unwrap().audience("mcp-server");
        assert_eq!(outcome(server, &pod).await, reason);
    }
    let user = token(&tokens[2]["header"], &tokens[2]["claims"]);
    for (project, reason) in [("acme-project", "accepted"), ("globex", "issuer_mismatch")] {
        assert_eq!(outcome(firebase::server(project), &user).await, reason);
    }
}

#[tokio::test]
async fn spiffe_jwt_svid() {
    let case = case("SPIFFE JWT-SVID");
    let token = token(&case["header"], &case["claims"]);
    let bundle = "https://spire.example.org/bundle";
    for (domain, audience, reason) in [
        ("example.org", "spiffe://example.org/mcp", "accepted"),
        (
            "example.org",
            "spiffe://example.org/other",
            "audience_mismatch",
        ),
        ("other.org", "spiffe://example.org/mcp", "missing_issuer"),
    ] {
        let server = spiffe::trust_domain(domain, bundle)
            .unwrap()
            .audience(audience);
        assert_eq!(outcome(server, &token).await, reason, "{domain} {audience}");
    }
}

#[tokio::test]
async fn subjects_under_another_name() {
    const SECRET: &str = "jR4v8sQ1xT6yB9kW3nM7pL2dF5hG0cZaVeUoIiSrKtE";
    let case = case("subjects under another name");
    let builder = || {
        let clock = tower_mcp_auth::Clock::manual(START);
        JwtLayer::builder(Secret::new(SECRET).unwrap()).clock(clock)
    };
    let sign = |jti: &str| {
        let claims = changed(case["claims"].clone(), &json!({"jti": jti}));
        let key = common::SigningKey::hmac(SECRET);
        let (header, claims) = (case["header"].to_string(), claims.to_string());
        common::sign(&key, "HS256", &header, &claims)
    };
    let ids = async |layer: &JwtLayer| {
        let mut ids = Vec::new();
        for jti in ["1", "2"] {
            let header = ("authorization", format!("Bearer {}", sign(jti)));
            let answer = common::ask(layer, common::request(&[header])).await;
            let principal: &Principal = answer.principal();
            ids.push(principal.id().to_string());
        }
        ids
    };
    let named = builder().subject_claim("user_id").build().unwrap();
    assert_eq!(ids(&named).await, ["jwt|sub=7", "jwt|sub=7"]);
    let plain = ids(&builder().build().unwrap()).await;
    assert_ne!(plain[0], plain[1]);
    let absent = builder().subject_claim("oid").build().unwrap();
    let header = ("authorization", format!("Bearer {}", sign("1")));
    let answer = common::ask(&absent, common::request(&[header])).await;
    answer.invalid("missing_subject");
}

#[tokio::test]
async fn es512() {
    let case = case("ES512");
    let listed = issuer(ISSUER).algorithms([Algorithm::ES256, Algorithm::ES512]);
    if !cfg!(feature = "aws-lc-rs") {
        assert_eq!(listed.unwrap_err().setting(), "algorithms");
        return;
    }
    let token = token(&case["header"], &case["claims"]);
    assert_eq!(outcome(listed, &token).await, "accepted");
    let plain = Ok(issuer(ISSUER));
    assert_eq!(outcome(plain, &token).await, "algorithm_not_allowed");
}
