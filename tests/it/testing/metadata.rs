use serde_json::{Value, json};
use tower_mcp_auth::testing::{Behaviour, Endpoint, Issuer};

use super::{http, quick};

async fn document(url: &str) -> Value {
    let response = http().get(url).send().await.unwrap();
    assert_eq!(response.status(), 200, "{url}");
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    response.json().await.unwrap()
}

#[tokio::test]
async fn both_documents_of_an_issuer_without_a_path() {
    let issuer = quick()
        .scopes_supported(["mcp:read", "mcp:write"])
        .start()
        .await
        .unwrap();
    let base = issuer.url();
    assert!(base.starts_with("http://127.0.0.1:"));
    for place in ["oauth-authorization-server", "openid-configuration"] {
        let document = document(&format!("{base}/.well-known/{place}")).await;
        assert_eq!(document, issuer.metadata());
        assert_eq!(document["issuer"], *base);
        assert_eq!(
            document["scopes_supported"],
            json!(["mcp:read", "mcp:write"])
        );
        assert_eq!(
            document["code_challenge_methods_supported"],
            json!(["S256"])
        );
        assert_eq!(
            document["authorization_response_iss_parameter_supported"],
            true
        );
        assert_eq!(document["token_endpoint"], format!("{base}/token"));
        assert_eq!(
            document["registration_endpoint"],
            issuer.endpoint(Endpoint::Register)
        );
        let methods = document["token_endpoint_auth_methods_supported"]
            .as_array()
            .unwrap();
        assert!(methods.contains(&json!("none")));
    }
    assert_eq!(issuer.requests(Endpoint::OAuthMetadata), 1);
    assert_eq!(issuer.requests(Endpoint::OidcMetadata), 1);
    assert_eq!(issuer.requests(Endpoint::OAuthMetadataAppended), 0);
    assert_eq!(issuer.requests(Endpoint::OidcMetadataInserted), 0);
}

#[tokio::test]
async fn no_scopes_supported_is_no_member() {
    let issuer = quick().start().await.unwrap();
    assert_eq!(issuer.metadata().get("scopes_supported"), None);
}

#[tokio::test]
async fn an_issuer_with_a_path_has_four_places() {
    let issuer = quick().path("/tenant/one").start().await.unwrap();
    let (origin, path) = issuer
        .url()
        .split_at(issuer.url().len() - "/tenant/one".len());
    assert_eq!(path, "/tenant/one");
    let places = [
        (
            Endpoint::OAuthMetadata,
            "/.well-known/oauth-authorization-server/tenant/one",
        ),
        (
            Endpoint::OAuthMetadataAppended,
            "/tenant/one/.well-known/oauth-authorization-server",
        ),
        (
            Endpoint::OidcMetadataInserted,
            "/.well-known/openid-configuration/tenant/one",
        ),
        (
            Endpoint::OidcMetadata,
            "/tenant/one/.well-known/openid-configuration",
        ),
    ];
    for (endpoint, path) in places {
        let url = format!("{origin}{path}");
        assert_eq!(issuer.endpoint(endpoint), url);
        let document = document(&url).await;
        assert_eq!(document["issuer"], *issuer.url());
        assert_eq!(document["jwks_uri"], format!("{origin}/tenant/one/jwks"));
        assert_eq!(issuer.requests(endpoint), 1);
    }
    let root = format!("{origin}/.well-known/oauth-authorization-server");
    assert_eq!(http().get(root).send().await.unwrap().status(), 404);
}

/// Auth0's identifiers end with a slash.
#[tokio::test]
async fn an_identifier_may_end_with_a_slash() {
    let issuer = quick().path("/").start().await.unwrap();
    assert!(issuer.url().ends_with('/'));
    let document = document(&issuer.endpoint(Endpoint::OidcMetadata)).await;
    assert_eq!(document["issuer"], *issuer.url());
    let place = format!("{}.well-known/openid-configuration", issuer.url());
    assert_eq!(issuer.endpoint(Endpoint::OidcMetadata), place);
}

/// Of the real servers with a path, most have only some of the four.
#[tokio::test]
async fn each_place_can_be_switched_off_or_lie() {
    let issuer = quick().path("/o").start().await.unwrap();
    issuer.set_behaviour(Endpoint::OAuthMetadata, Behaviour::Status(404));
    let url = issuer.endpoint(Endpoint::OAuthMetadata);
    assert_eq!(http().get(url).send().await.unwrap().status(), 404);

    let mut metadata = issuer.metadata();
    metadata["issuer"] = "https://somebody.else.example".into();
    issuer.set_behaviour(Endpoint::OidcMetadata, Behaviour::json(&metadata));
    let lie = document(&issuer.endpoint(Endpoint::OidcMetadata)).await;
    assert_eq!(lie["issuer"], "https://somebody.else.example");
}

#[tokio::test]
async fn browsers_may_read_and_post() {
    let issuer = quick().start().await.unwrap();
    for endpoint in [
        Endpoint::OAuthMetadata,
        Endpoint::Jwks,
        Endpoint::Token,
        Endpoint::Register,
    ] {
        let response = http()
            .request(reqwest::Method::OPTIONS, issuer.endpoint(endpoint))
            .header("origin", "http://localhost:6274")
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization, mcp-protocol-version",
            )
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 204);
        let headers = response.headers();
        assert_eq!(headers["access-control-allow-origin"], "*");
        assert_eq!(
            headers["access-control-allow-headers"],
            "authorization, mcp-protocol-version"
        );
        assert_eq!(issuer.requests(endpoint), 0, "a preflight is no request");
    }
}

#[tokio::test]
async fn a_wrong_method_is_405() {
    let issuer = quick().start().await.unwrap();
    let response = http()
        .get(issuer.endpoint(Endpoint::Token))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "POST, OPTIONS");
    let url = issuer.endpoint(Endpoint::Jwks);
    assert_eq!(http().post(url).send().await.unwrap().status(), 405);
    let head = http()
        .head(issuer.endpoint(Endpoint::Jwks))
        .send()
        .await
        .unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["content-type"], "application/jwk-set+json");
}

#[tokio::test]
async fn only_loopback_and_only_sense() {
    let refused = |builder: tower_mcp_auth::testing::IssuerBuilder| async move {
        let error = builder.start().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        error.to_string()
    };
    let everywhere = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
    assert!(
        refused(quick().listen(everywhere))
            .await
            .contains("loopback")
    );
    for path in ["tenant", "/a//b", "/a b", "/a?b", "/../x", "/.well-known"] {
        assert!(refused(quick().path(path)).await.contains("path"), "{path}");
    }
    assert!(refused(quick().algorithms([])).await.contains("algorithms"));
    let hmac = tower_mcp_auth::jose::Algorithm::HS256;
    assert!(refused(quick().algorithms([hmac])).await.contains("HS"));
    assert!(
        refused(quick().scopes_supported(["a b"]))
            .await
            .contains("scope")
    );
}

#[tokio::test]
async fn the_server_ends_with_the_last_clone() {
    let issuer = quick().start().await.unwrap();
    let clone = issuer.clone();
    let url = issuer.endpoint(Endpoint::Jwks);
    let token = issuer.token();
    drop(issuer);
    assert_eq!(http().get(&url).send().await.unwrap().status(), 200);
    drop(clone);
    tokio::task::yield_now().await;
    assert!(http().get(&url).send().await.unwrap_err().is_connect());
    // A builder of a token needs no server.
    assert_eq!(token.sign().split('.').count(), 3);
}

#[tokio::test]
async fn the_default_has_three_keys() {
    let issuer = Issuer::start().await.unwrap();
    let response = http()
        .get(issuer.endpoint(Endpoint::Jwks))
        .send()
        .await
        .unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "application/jwk-set+json"
    );
    let jwks: Value = response.json().await.unwrap();
    assert_eq!(jwks, issuer.jwks());
    let kinds: Vec<_> = jwks["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| &key["kty"])
        .collect();
    assert_eq!(kinds, ["RSA", "EC", "OKP"]);
    for key in jwks["keys"].as_array().unwrap() {
        assert_eq!(key["use"], "sig");
        assert!(key["kid"].is_string() && key["alg"].is_string());
        for private in ["d", "p", "q", "k"] {
            assert_eq!(key.get(private), None);
        }
    }
}

/// Every user of this issuer is `alice`: a page that a developer looks at must not.
#[tokio::test]
async fn pages_of_other_machines_get_nothing() {
    let issuer = quick().start().await.unwrap();
    let port = issuer.url().rsplit(':').next().unwrap().to_owned();
    let foreign = [
        "https://evil.example",
        "null",
        "",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://evil.example:1",
        "http://localhost@evil.example",
        "http://evil.example/http://localhost",
        "http://localhost:1/",
        "http://LOCALHOST:1",
        "http://localhost:1, https://evil.example",
        "http://2130706433",
        "http://0.0.0.0:1",
        "http://10.0.0.1",
        "http://[::2]",
        "file://localhost",
        "chrome-extension://abcdefgh",
        "localhost",
    ];
    let own = [
        "http://localhost:6274",
        "http://localhost",
        "https://localhost:8443",
        "http://127.0.0.1:6274",
        "http://127.8.9.10:1",
        "http://[::1]:6274",
        &format!("http://127.0.0.1:{port}"),
    ];
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "anybody"),
        ("scope", "mcp:admin"),
    ];
    for (origins, is_own) in [(&foreign[..], false), (&own[..], true)] {
        for origin in origins {
            let ask = || {
                let place = issuer.endpoint(Endpoint::Token);
                http().post(place).header("origin", *origin).form(&form)
            };
            let answer = ask().send().await.unwrap();
            let allowed = answer.headers().contains_key("access-control-allow-origin");
            let status = answer.status().as_u16();
            let body = answer.text().await.unwrap();
            let expected = if is_own { 200 } else { 403 };
            assert_eq!((status, allowed), (expected, is_own), "{origin}: {body}");
            assert_eq!(body.contains("access_token"), is_own, "{origin}: {body}");
            for endpoint in [Endpoint::Token, Endpoint::Register, Endpoint::Jwks] {
                let preflight = http()
                    .request(reqwest::Method::OPTIONS, issuer.endpoint(endpoint))
                    .header("origin", *origin)
                    .header("access-control-request-method", "POST");
                let answer = preflight.send().await.unwrap();
                let allowed = answer.headers().contains_key("access-control-allow-origin");
                assert_eq!(allowed, is_own, "{origin} {endpoint:?}");
            }
        }
    }
    // Two of them are no origin of this machine.
    let place = issuer.endpoint(Endpoint::Token);
    let two = http().post(place).form(&form);
    let two = two.header("origin", own[0]).header("origin", foreign[0]);
    assert_eq!(two.send().await.unwrap().status(), 403);
    // Nothing else is left that a form on such a page could be sent to.
    for endpoint in [
        Endpoint::Authorize,
        Endpoint::Introspect,
        Endpoint::Register,
    ] {
        let place = http().post(issuer.endpoint(endpoint));
        let sent = place.header("origin", foreign[0]).form(&form);
        assert_eq!(sent.send().await.unwrap().status(), 403, "{endpoint:?}");
    }
}
