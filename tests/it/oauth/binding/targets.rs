//! `htu`: the URL of the resource with the path of the request, in any spelling that RFC 3986 calls
//! the same.

use http::{Method, Request};
use http_body_util::Full;
use serde_json::json;
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::oauth::binding::DpopMode;
use tower_mcp_auth::oauth::{AuthorizationServer, ProtectedResource};
use tower_mcp_auth::{Clock, Tenants};

use super::super::support::{Answer, Guarded, ISSUER, RESOURCE, START, Web};
use super::{Bound, assert_refused, server};

/// A request to this target, with a proof for this URL.
async fn ask(bound: &Bound, method: &str, target: &str, htu: &str) -> Answer {
    ask_with(bound, method, target, htu, &bound.token, &[]).await
}

async fn ask_with(
    bound: &Bound,
    method: &str,
    target: &str,
    htu: &str,
    token: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let proof = bound.key.proof(method, htu).access_token(token);
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(target)
        .header("authorization", format!("DPoP {token}"))
        .header("dpop", proof.issued_at(START).sign());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    bound
        .guarded
        .ask(request.body(Full::default()).unwrap())
        .await
}

#[tokio::test]
async fn spellings_of_one_url_are_equal() {
    let bound = Bound::new();
    for (target, htu) in [
        ("/mcp", RESOURCE),
        ("/mcp", "HTTPS://MCP.Example.COM/mcp"),
        ("/mcp", "https://mcp.example.com:443/mcp"),
        ("/mcp", "https://mcp.example.com:/mcp"),
        ("/mcp?a=b", "https://mcp.example.com/mcp"),
        ("/mcp?a=b", "https://mcp.example.com/mcp?c=d#e"),
        ("/%6dcp", "https://mcp.example.com/mcp"),
        ("/mcp", "https://mcp.example.com/%6Dcp"),
        ("/a%2fb", "https://mcp.example.com/a%2Fb"),
        ("/x/../mcp", "https://mcp.example.com/mcp"),
        ("/mcp", "https://mcp.example.com/./x/%2e%2e/mcp"),
        ("/", "https://mcp.example.com"),
        ("https://evil.example/mcp", "https://mcp.example.com/mcp"),
    ] {
        let answer = ask(&bound, "POST", target, htu).await;
        assert_eq!(answer.reason(), "accepted", "{target} {htu}: {answer:?}");
    }
}

#[tokio::test]
async fn a_proof_for_one_path_is_refused_at_another() {
    let bound = Bound::new();
    for (target, htu) in [
        ("/mcp/admin", RESOURCE),
        ("/", RESOURCE),
        ("/mcp/", RESOURCE),
        ("/MCP", RESOURCE),
        ("//mcp", RESOURCE),
        ("/mcp", "https://mcp.example.com/mcp/"),
        ("/mcp", "https://mcp.example.com//mcp"),
        ("/a%2fb", "https://mcp.example.com/a/b"),
        ("/mcp", "https://mcp.example.com/mcp%2f"),
        ("/mcp", "https://mcp.example.com/%zz"),
        ("/a/c", "https://mcp.example.com/a\\c"),
        ("/a\\c", "https://mcp.example.com/a\\c"),
        ("/mcp", "https://mcp.example.com/\tmcp"),
        ("/mcp", "https://mcp.example.com/mcp "),
        ("/mcp", "https://mcp.example.com.evil.example/mcp"),
        ("/mcp", "https://alice@mcp.example.com/mcp"),
        ("/mcp", "https://mcp.example.com@evil.example/mcp"),
        ("/mcp", "https:mcp.example.com/mcp"),
        ("/mcp", "mcp.example.com/mcp"),
        ("/mcp", ""),
    ] {
        let answer = ask(&bound, "POST", target, htu).await;
        assert_eq!(answer.reason(), "dpop_uri_mismatch", "{target} {htu}");
        assert_refused(&answer, "invalid_dpop_proof", "dpop_uri_mismatch");
    }
    // The other path is good with a proof of its own.
    let htu = "https://mcp.example.com/mcp/admin";
    ask(&bound, "DELETE", "/mcp/admin", htu)
        .await
        .assert(200, "accepted");
}

#[tokio::test]
async fn the_host_of_the_request_has_no_say() {
    let bound = Bound::new();
    for headers in [
        &[("host", "evil.example")][..],
        &[
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-proto", "http"),
        ],
        &[("forwarded", "host=evil.example;proto=http")],
    ] {
        let of_host = "https://evil.example/mcp";
        let answer = ask_with(&bound, "POST", "/mcp", of_host, &bound.token, headers).await;
        assert_refused(&answer, "invalid_dpop_proof", "dpop_uri_mismatch");
        let answer = ask_with(&bound, "POST", "/mcp", RESOURCE, &bound.token, headers).await;
        answer.assert(200, "accepted");
    }
}

#[tokio::test]
async fn a_stripped_prefix_is_a_part_of_the_url() {
    let bound = Bound::built(DpopMode::Allowed, |builder| {
        builder.stripped_prefix("/mcp/v1")
    });
    let htu = "https://mcp.example.com/mcp/v1/tools";
    ask(&bound, "POST", "/tools", htu)
        .await
        .assert(200, "accepted");
    let bare = "https://mcp.example.com/tools";
    let answer = ask(&bound, "POST", "/tools", bare).await;
    assert_refused(&answer, "invalid_dpop_proof", "dpop_uri_mismatch");
    assert!(answer.detail().contains("/mcp/v1/tools"), "{answer:?}");
    // What a router leaves of both is one slash.
    for htu in [
        "https://mcp.example.com/mcp/v1",
        "https://mcp.example.com/mcp/v1/",
    ] {
        ask(&bound, "POST", "/", htu).await.assert(200, "accepted");
    }
    let short = "https://mcp.example.com/mcp";
    for (target, htu) in [("/", short), ("/tools/", htu), ("//", htu)] {
        let answer = ask(&bound, "POST", target, htu).await;
        assert_refused(&answer, "invalid_dpop_proof", "dpop_uri_mismatch");
    }
    let bound = Bound::new();
    let answer = ask(&bound, "POST", "/", "https://mcp.example.com").await;
    answer.assert(200, "accepted");
}

/// Each tenant has a URL of its own, and a proof for one is none for another.
#[tokio::test]
async fn of_several_resources_the_chosen_one_counts() {
    let mut bound = Bound::new();
    let web = Web::with_issuer(&[&bound.issuer]);
    let tenants = Tenants::new(["acme", "globex"]).unwrap();
    let template = "https://mcp.example.com/p/{tenant}/mcp";
    let template = ProtectedResource::from_template(template, tenants).unwrap();
    let clock = Clock::manual(START);
    let layer = OAuthLayer::builder(template)
        .unwrap()
        .authorization_server(server(DpopMode::Required))
        .unwrap()
        .stripped_prefix("/p")
        .clock(clock.clone())
        .fetch(web)
        .build();
    bound.guarded = Guarded::of(layer.unwrap(), clock);
    let of = |tenant: &str| format!("https://mcp.example.com/p/{tenant}/mcp");
    let token = bound.issuer.token(json!({
        "aud": [of("acme"), of("globex")], "cnf": {"jkt": bound.key.thumbprint()},
    }));
    for (tenant, named, reason) in [
        ("acme", "acme", "accepted"),
        ("globex", "globex", "accepted"),
        ("acme", "globex", "dpop_uri_mismatch"),
    ] {
        let (bound, token) = (&bound, &token);
        let target = format!("/{tenant}/mcp");
        // One id: what is used at one resource is new at the next.
        let proof = bound.key.proof("POST", &of(named)).access_token(token);
        let proof = proof.issued_at(START).claim("jti", "1").sign();
        let request = Request::post(target)
            .header("host", "mcp.example.com")
            .header("authorization", format!("DPoP {token}"))
            .header("dpop", proof);
        let request = request.body(Full::default()).unwrap();
        let answer = bound.guarded.ask(request).await;
        assert_eq!(answer.reason(), reason, "{tenant} {named}: {answer:?}");
    }
}

#[test]
fn a_resource_that_no_proof_can_be_for_is_refused() {
    let resource = "https://mcp.example.com./mcp";
    let error = OAuthLayer::new(resource, server(DpopMode::Allowed)).unwrap_err();
    assert_eq!(error.setting(), "dpop", "{error}");
    let plain = AuthorizationServer::new(ISSUER).unwrap();
    assert!(OAuthLayer::new(resource, plain).is_ok());
}
