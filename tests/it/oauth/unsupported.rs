//! What people asked other servers for, and could not have: each case with the setting that
//! makes it work, and without.

use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_mcp_auth::jose::{Algorithm, Secret};
use tower_mcp_auth::oauth::presets::{firebase, github_actions, kubernetes, spiffe};
use tower_mcp_auth::oauth::{AuthorizationServer, ProtectedResource};
use tower_mcp_auth::{Clock, ConfigError, JwtLayer, OAuthLayer, Principal};

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
async fn a_jwt_that_an_edge_puts_into_a_header_of_its_own() {
    let case = case("a JWT that an edge puts into a header of its own");
    let token = token(&case["header"], &case["claims"]);
    let (iss, tag) = (
        case["claims"]["iss"].as_str().unwrap(),
        case["claims"]["aud"][0].as_str().unwrap(),
    );
    let certs = format!("{iss}/cdn-cgi/access/certs");
    let web = web();
    let keys = json!({"keys": [RS256.jwk("k1")]});
    web.set(&certs, Page::Json(keys));
    let layer = |audience: &str| {
        let server = issuer(iss).jwks_uri(&certs).unwrap();
        OAuthLayer::builder(RESOURCE)
            .unwrap()
            .authorization_server(server.audience(audience).unwrap())
            .unwrap()
            .header_name("Cf-Access-Jwt-Assertion")
            .require_bearer(false)
            .clock(Clock::manual(START))
            .fetch(web.clone())
            .build()
            .unwrap()
    };
    let judged = "Bearer opaque-token-the-edge-has-judged";
    let headers = [
        ("cf-access-jwt-assertion", &*token),
        ("authorization", judged),
    ];
    let answer = common::ask(&layer(tag), common::request(&headers)).await;
    assert_eq!(answer.admitted().headers["authorization"], judged);
    let answer = common::ask(&layer("other"), common::request(&headers)).await;
    answer.invalid("audience_mismatch");
    for request in [
        common::request(&headers[1..]),
        common::request_to("/.well-known/oauth-protected-resource/mcp", &headers[1..]),
    ] {
        let answer = common::ask(&layer(tag), request).await;
        assert_eq!(answer.error().reason(), "missing_credential");
        assert!(answer.challenges().is_empty());
    }
}

#[tokio::test]
async fn ad_fs_names_another_issuer_in_its_tokens_than_it_is_advertised_as() {
    let case = case(
        "AD FS and Azure AD B2C: the authorization server to advertise is not the iss of its tokens",
    );
    let advertised = case["discovery"]["issuer"].as_str().unwrap();
    let name = case["claims"]["iss"].as_str().unwrap();
    let token = token(&json!({"alg": "RS256", "kid": "k1"}), &case["claims"]);
    let web = web();
    let well_known = format!("{advertised}/.well-known/openid-configuration");
    web.set(&well_known, Page::Json(case["discovery"].clone()));
    let keys = case["discovery"]["jwks_uri"].as_str().unwrap();
    web.set(keys, Page::Json(json!({"keys": [RS256.jwk("k1")]})));
    let named = |server: AuthorizationServer| {
        let server = server.scope_claim("scp").unwrap();
        server.client_claim("appid").unwrap()
    };
    let server = named(issuer(advertised)).token_issuer(name).unwrap();
    let guarded = Guarded::with_server(&web, server);
    guarded.bearer(&token).await.assert(200, "accepted");
    let document = guarded.layer.metadata_service();
    let request = http::Request::new(http_body_util::Full::<bytes::Bytes>::default());
    let document = document.oneshot(request).await.unwrap().into_body();
    let document = document.collect().await.unwrap().to_bytes();
    let document: Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(document["authorization_servers"], json!([advertised]));
    let plain = Guarded::with_server(&web, named(issuer(advertised)));
    plain.bearer(&token).await.assert(401, "issuer_mismatch");
}

#[tokio::test]
async fn metadata_behind_a_gateway_that_owns_the_root() {
    let case = case("metadata behind a gateway that owns the root");
    let url = case["resource"].as_str().unwrap();
    let reachable = case["reachable"].as_str().unwrap();
    let plain = ProtectedResource::new(url).unwrap();
    let named = plain.clone().advertised_metadata_url(reachable).unwrap();
    let seen = "/.well-known/oauth-protected-resource/mcp";
    for (resource, is_reachable) in [(named, true), (plain, false)] {
        let layer = OAuthLayer::new(resource, ISSUER).unwrap();
        let answer = common::ask(&layer, common::request::<&str>(&[])).await;
        let names = answer.challenges()[0].contains(reachable);
        assert_eq!(names, is_reachable);
        let answer = common::ask(&layer, common::request_to::<&str>(seen, &[])).await;
        let document: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let expected = if is_reachable {
            json!(url)
        } else {
            Value::Null
        };
        assert_eq!(document["resource"], expected);
    }
}

#[tokio::test]
async fn one_server_many_resources() {
    let case = case("one server, many resources");
    let requests = case["requests"].as_array().unwrap();
    let url = |at: usize| requests[at]["url"].as_str().unwrap();
    let layer = OAuthLayer::builder(url(0))
        .unwrap()
        .resource(url(1))
        .unwrap()
        .authorization_server(ISSUER)
        .unwrap()
        .clock(Clock::manual(START))
        .fetch(web())
        .build()
        .unwrap();
    let ask = async |at: usize, audience: &str| {
        let now = START.as_secs();
        let claims = json!({"iss": ISSUER, "aud": audience, "sub": "alice", "scope": "mcp:read",
            "exp": now + 3600, "iat": now});
        let token = token(&json!({"alg": "ES256", "kid": "k1"}), &claims);
        let host = url(at).split('/').nth(2).unwrap();
        let bearer = format!("Bearer {token}");
        let headers = [("host", host), ("authorization", &*bearer)];
        common::ask(&layer, common::request(&headers)).await
    };
    for (at, other) in [(0, 1), (1, 0)] {
        let answer = ask(at, url(at)).await;
        let resource = answer
            .principal()
            .resource()
            .map(|own| own.url().to_owned());
        assert_eq!(resource.as_deref(), Some(url(at)));
        let answer = ask(at, url(other)).await;
        answer.invalid("audience_mismatch");
        let metadata = ProtectedResource::new(url(at)).unwrap().metadata_url();
        assert!(answer.challenges()[0].contains(&metadata));
    }
    for audience in [url(0), url(1), url(2)] {
        let answer = ask(2, audience).await;
        assert_eq!(answer.error().reason(), "unknown_host");
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
