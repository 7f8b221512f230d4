//! Several resources behind a `JwtLayer`: a token is for the one of the request.

use http::Request;
use http_body_util::Full;
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::auth::AuthLayer;
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::jwt::JwtLayerBuilder;
use tower_mcp_auth::{ApiKeyLayer, ConfigError, JwtLayer, ResourceSet, Tenants};

use common::{API_KEY, Answer, Answering, NOW, SECRET, SigningKey, ask, clock, request_to, token};

const A: &str = "https://a.example.com/mcp";
const ACME: &str = "https://acme.example.org/mcp";

fn resources() -> ResourceSet {
    let tenants = Tenants::new(["acme", "globex"]).unwrap();
    ResourceSet::new()
        .resource(A)
        .unwrap()
        .template("https://{tenant}.example.org/mcp", tenants)
        .unwrap()
}

fn builder() -> JwtLayerBuilder {
    JwtLayer::builder(Secret::new(SECRET).unwrap()).resources(resources())
}

fn at(host: &str, path: &str, token: &str) -> Request<Full<bytes::Bytes>> {
    let value = format!("Bearer {token}");
    request_to(path, &[("host", host), ("authorization", &*value)])
}

fn token_for(audience: &str) -> String {
    let exp = NOW + 300;
    token(&format!(
        r#"{{"sub":"alice","scope":"mcp:read","aud":{audience},"exp":{exp}}}"#
    ))
}

#[tokio::test]
async fn a_token_is_good_at_the_resource_that_is_its_audience() {
    let layer = builder()
        .required_scopes(["mcp:read"])
        .clock(clock())
        .build()
        .unwrap();
    let cases: [(String, [u16; 3]); 8] = [
        (format!("{A:?}"), [200, 401, 401]),
        (format!("{ACME:?}"), [401, 200, 401]),
        (format!("[{A:?},{ACME:?}]"), [200, 200, 401]),
        (
            r#""https://globex.example.org/mcp""#.to_owned(),
            [401, 401, 200],
        ),
        (r#""https://a.example.com/mcp/""#.to_owned(), [401; 3]),
        (r#""https://{tenant}.example.org/mcp""#.to_owned(), [401; 3]),
        (r#""https://evil.example/mcp""#.to_owned(), [401; 3]),
        ("[]".to_owned(), [401; 3]),
    ];
    let hosts = ["a.example.com", "acme.example.org", "globex.example.org"];
    for (audience, expected) in cases {
        let token = token_for(&audience);
        for (host, status) in hosts.into_iter().zip(expected) {
            let answer = ask(&layer, at(host, "/mcp", &token)).await;
            assert_eq!(answer.status, status, "{audience} at {host}: {answer:?}");
            match status {
                200 => {
                    let url = format!("https://{host}/mcp");
                    assert_eq!(answer.principal().resource().unwrap().url(), url);
                }
                _ => assert!(
                    ["audience_mismatch", "missing_audience"].contains(&answer.error().reason())
                ),
            }
        }
    }
    let token = token_for(&format!("[{A:?},\"https://evil.example.org/mcp\"]"));
    for (host, path, status) in [
        ("evil.example.org", "/mcp", 421),
        ("a.example.com", "/", 404),
        ("a.example.com", "/mcp/x", 200),
    ] {
        let answer = ask(&layer, at(host, path, &token)).await;
        assert_eq!(answer.status, status, "{host}{path}");
    }
    for host in hosts {
        let answer = ask(&layer, request_to("/mcp", &[("host", host)])).await;
        answer.missing();
        let challenge = answer.challenges()[0].to_owned();
        assert!(
            challenge.contains(r#"scope="mcp:read""#),
            "{host}: {challenge}"
        );
    }
    let without = common::token(&format!(
        r#"{{"sub":"alice","scope":"mcp:read","exp":{}}}"#,
        NOW + 300
    ));
    let answer = ask(&layer, at("a.example.com", "/mcp", &without)).await;
    answer.invalid("missing_audience");
}

#[tokio::test]
async fn keys_beside_it_name_the_resources_they_are_for() {
    let keys = |names: &[&str]| {
        let key = ApiKey::new(API_KEY).unwrap();
        let key = match names {
            [] => key,
            names => key.resources(names).unwrap(),
        };
        ApiKeyLayer::new([key]).unwrap()
    };
    let clock = clock();
    let jwt = || builder().clock(clock.clone()).build().unwrap();
    let layer = jwt().or(keys(&[ACME]).clock(clock.clone())).unwrap();
    let other = keys(&[ACME]).clock(clock.clone()).or(jwt()).unwrap();
    async fn with_key<L: tower_mcp_auth::auth::Authenticate>(
        layer: &AuthLayer<L>,
        host: &str,
    ) -> Answer {
        ask(
            layer,
            request_to("/mcp", &[("host", host), ("x-api-key", API_KEY)]),
        )
        .await
    }
    for host in ["acme.example.org", "a.example.com"] {
        for answer in [with_key(&layer, host).await, with_key(&other, host).await] {
            match host {
                "a.example.com" => answer.invalid("api_key_resource_mismatch"),
                _ => drop(answer.principal().clone()),
            }
        }
    }
    let error = jwt()
        .or(keys(&[]).clock(clock.clone()))
        .map(drop)
        .unwrap_err();
    assert_eq!(error.setting(), "resources");
    let choosing = keys(&[ACME]).resources(resources()).unwrap();
    let error = jwt()
        .or(choosing.clock(clock.clone()))
        .map(drop)
        .unwrap_err();
    assert_eq!(error.setting(), "resource");
}

#[test]
fn the_audience_is_the_resource_or_what_is_set() {
    type Set = fn(JwtLayerBuilder) -> JwtLayerBuilder;
    let cases: [(&str, Set); 3] = [
        ("an audience", |builder| builder.audience(A)),
        ("any audience", JwtLayerBuilder::dangerously_any_audience),
        ("no resource", |builder| {
            builder.resources(ResourceSet::new())
        }),
    ];
    for (what, set) in cases {
        let error: ConfigError = set(builder()).build().map(drop).expect_err(what);
        assert_eq!(error.setting(), "resources", "{what}: {error}");
    }
    // A public key needs no other audience.
    let key = SigningKey::p256().public();
    let _ = JwtLayer::builder(key)
        .resources(resources())
        .build()
        .unwrap();
    // What judges no resource does not stand beside it.
    let provider = AuthLayer::new(
        Answering::accepting()
            .locations([tower_mcp_auth::Location::bare("x-badge".parse().unwrap())]),
    );
    let jwt = builder().build().unwrap();
    assert_eq!(
        jwt.or(provider).map(drop).unwrap_err().setting(),
        "resource"
    );
}
