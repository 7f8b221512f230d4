//! Bound tokens beside other layers, other resources, and whatever else lets requests pass.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tower::layer::util::Stack;
use tower_mcp_auth::oauth::binding::{DpopMode, MtlsMode};
use tower_mcp_auth::oauth::{AuthorizationServer, ProtectedResource, TokenCacheOptions};
use tower_mcp_auth::peer::{CertificateFormat, ForwardedCertificates, PeerAddr, PeerCertificate};
use tower_mcp_auth::{Clock, OAuthLayer, Principal, Reported};

use super::super::super::introspection::{ENDPOINT, active, introspection};
use super::super::super::support::{ISSUER, Key, Page, RESOURCE, START, Web, key_set};
use super::{Bound, OTHER, OWN, cnf, request, server};

const ELSEWHERE: &str = "https://other.example.com";

/// A network with two issuers, and their keys.
fn two_issuers() -> (Web, Key, Key) {
    let (one, other) = (Key::new("a"), Key::new("b"));
    let web = Web::with_issuer(&[&one]);
    web.publish_metadata(ELSEWHERE);
    web.set(&format!("{ELSEWHERE}/keys"), Page::Json(key_set(&[&other])));
    (web, one, other)
}

fn elsewhere(mode: MtlsMode) -> AuthorizationServer {
    AuthorizationServer::new(ELSEWHERE).unwrap().mtls(mode)
}

fn is_let_in(answer: &common::Answer) -> bool {
    let inside = answer.reached.as_ref();
    inside.is_some_and(|inside| Principal::from_extensions(&inside.extensions).is_some())
}

#[tokio::test]
async fn settings_that_let_requests_pass_make_the_bearer_anonymous() {
    let no_cache = TokenCacheOptions::disabled();
    for bound in [
        Bound::new(MtlsMode::Allowed),
        Bound::new(MtlsMode::Required),
        Bound::built(server(DpopMode::Off, MtlsMode::Required), |builder| {
            builder.token_cache(no_cache)
        }),
    ] {
        let layer = || bound.guarded.layer.clone();
        let expired = bound.issuer.token(json!({"exp": 1, "cnf": cnf(OWN)}));
        for (layer, token, passes_with_it) in [
            (layer(), &bound.token, true),
            (layer().optional(), &bound.token, true),
            (layer().forward_credential(true), &bound.token, true),
            (layer().public_path("/open").unwrap(), &bound.token, true),
            (layer().dangerously_report_only(), &bound.token, true),
            (layer().dangerously_report_only(), &expired, false),
        ] {
            for _ in 0..2 {
                for certificate in [Some(OWN), Some(OTHER), None] {
                    let answer = common::ask(&layer, request(token, certificate)).await;
                    let expected = certificate == Some(OWN) && passes_with_it;
                    assert_eq!(is_let_in(&answer), expected, "{certificate:?}");
                    let inside = answer.reached.as_ref().map(|inside| &inside.extensions);
                    let reported = inside.and_then(|inside| inside.get::<Reported>());
                    // What a layer for scopes would go by.
                    let owner = reported.and_then(|reported| {
                        let mut errors = reported.errors().iter();
                        errors.find_map(|error| error.principal_id())
                    });
                    assert!(owner.is_none() || certificate == Some(OWN), "{owner:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_an_answer_refuses_needs_the_certificate_of_the_token() {
    let issuer = Key::new("a");
    for (in_token, in_answer) in [
        (cnf(OWN), Value::Null),
        (Value::Null, cnf(OWN)),
        (cnf(OWN), cnf(OWN)),
        (cnf(OWN), cnf(OTHER)),
    ] {
        let web = Web::with_issuer(&[&issuer]);
        let asked = introspection().introspect_jwts().unwrap();
        let server = server(DpopMode::Off, MtlsMode::Allowed).introspection(asked);
        let layer = OAuthLayer::builder(RESOURCE)
            .unwrap()
            .authorization_server(server.unwrap())
            .unwrap()
            .required_scopes(["mcp:admin"])
            .clock(Clock::manual(START))
            .fetch(web.clone())
            .build()
            .unwrap();
        let layer = layer.dangerously_report_only_for(["expired", "insufficient_scope"]);
        let layer = layer.unwrap();
        let token = issuer.token(json!({ "cnf": in_token }));
        let said = active(json!({ "cnf": in_answer, "exp": 1 }));
        web.set(ENDPOINT, Page::Tokens([(token.clone(), said)].into()));
        for _ in 0..2 {
            for certificate in [None, Some(OTHER), Some(OWN)] {
                let answer = common::ask(&layer, request(&token, certificate)).await;
                let is_own = certificate == Some(OWN) && in_answer != cnf(OTHER);
                assert_eq!(answer.reached.is_some(), is_own, "{in_token} {in_answer}");
            }
        }
    }
}

/// The outer layer has removed the header, so that the inner one believes no peer.
#[tokio::test]
async fn a_layer_within_another_lets_no_bound_token_in_by_a_header() {
    let proxies = || {
        let proxies = ForwardedCertificates::new(CertificateFormat::Base64Der, ["10.0.0.7"]);
        proxies.unwrap()
    };
    let bound = Bound::built(server(DpopMode::Off, MtlsMode::Allowed), |builder| {
        builder.forwarded_certificates(proxies())
    });
    let outer = bound.guarded.layer.clone().forward_credential(true);
    let both = Stack::new(bound.guarded.layer.clone(), outer);
    for (peer, tls, header, is_good) in [
        ([10, 0, 0, 7], None, Some(OWN), false),
        ([10, 0, 0, 7], Some(OWN), None, false),
        ([192, 0, 2, 1], None, Some(OWN), false),
        ([192, 0, 2, 1], Some(OWN), None, true),
    ] {
        let mut request = request(&bound.token, tls);
        let peer = PeerAddr::from(IpAddr::from(peer));
        request.extensions_mut().insert(peer);
        if let Some(der) = header {
            let value = STANDARD.encode(der).parse().unwrap();
            request.headers_mut().insert("x-ssl-client-der", value);
        }
        let answer = common::ask(&both, request).await;
        assert_eq!(is_let_in(&answer), is_good, "{peer:?} {tls:?}");
    }
}

#[tokio::test]
async fn a_resource_accepts_what_its_own_servers_bind() {
    const A: &str = "https://a.example.com/mcp";
    const B: &str = "https://b.example.com/mcp";
    let (web, one, other) = two_issuers();
    let by = |url: &str, issuer: &str| {
        ProtectedResource::new(url)
            .unwrap()
            .authorization_servers([issuer])
    };
    let strict = elsewhere(MtlsMode::Allowed).dpop(DpopMode::Required);
    let layer = OAuthLayer::builder(by(A, ISSUER))
        .unwrap()
        .resource(by(B, ELSEWHERE))
        .unwrap()
        .authorization_server(ISSUER)
        .unwrap()
        .authorization_server(strict)
        .unwrap()
        .clock(Clock::manual(START))
        .fetch(web)
        .build()
        .unwrap();
    let ask = async |host: &str, token: &str| {
        let request = Request::post("/mcp")
            .header("host", host)
            .header("authorization", format!("Bearer {token}"))
            .extension(PeerCertificate::from_der(OWN));
        common::ask(&layer, request.body(Full::default()).unwrap()).await
    };
    let of_a = one.token(json!({ "aud": A }));
    assert!(is_let_in(&ask("a.example.com", &of_a).await));
    let bound = one.token(json!({ "aud": A, "cnf": cnf(OWN) }));
    assert!(!is_let_in(&ask("a.example.com", &bound).await));
    let of_b = json!({ "aud": B, "iss": ELSEWHERE, "cnf": cnf(OWN) });
    let of_b = other.token(of_b);
    assert!(!is_let_in(&ask("b.example.com", &of_b).await));
}
