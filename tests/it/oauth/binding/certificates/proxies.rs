//! Certificates of clients behind a proxy that ends TLS, and forged headers.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method, Request};
use http_body_util::Full;
use serde_json::json;
use tower_mcp_auth::oauth::binding::{DpopMode, MtlsMode};
use tower_mcp_auth::peer::{CertificateFormat, ForwardedCertificates, PeerAddr, PeerCertificate};
use tower_mcp_auth::{AuthErrorKind, OAuthLayer};

use super::super::parameter;
use super::{Bound, OTHER, OWN, request, server};

const PROXY: [u8; 4] = [10, 0, 0, 7];
const UNTRUSTED: [u8; 4] = [192, 0, 2, 66];
/// All that are known, and the one that is configured here.
const HEADERS: [&str; 17] = [
    "client-cert",
    "client-cert-chain",
    "x-forwarded-client-cert",
    "x-forwarded-tls-client-cert",
    "x-forwarded-tls-client-cert-info",
    "x-ssl-client-cert",
    "x-ssl-client-der",
    "ssl-client-cert",
    "x-client-cert",
    "x-amzn-mtls-clientcert",
    "x-amzn-mtls-clientcert-leaf",
    "x-arr-clientcert",
    "cf-client-cert-der-base64",
    "cf-client-cert-sha256",
    "cloudfront-viewer-cert-pem",
    "cloudfront-viewer-cert-sha256",
    "x-own-cert",
];

fn forwarded() -> ForwardedCertificates {
    let forwarded = ForwardedCertificates::new(CertificateFormat::Base64Der, ["10.0.0.0/8"]);
    forwarded.unwrap().header_name("X-Own-Cert").unwrap()
}

fn behind_a_proxy(mode: MtlsMode) -> Bound {
    Bound::built(server(DpopMode::Off, mode), |builder| {
        builder.forwarded_certificates(forwarded())
    })
}

/// A request of this peer, whose TLS certificate is the first one, with the others in the header.
fn from(
    bound: &Bound,
    peer: Option<[u8; 4]>,
    tls: Option<&[u8]>,
    headers: &[&[u8]],
) -> Request<Full<bytes::Bytes>> {
    let mut request = request(&bound.token, tls);
    if let Some(peer) = peer {
        let peer = PeerAddr::from(IpAddr::from(peer));
        request.extensions_mut().insert(peer);
    }
    for der in headers {
        let value = STANDARD.encode(der).parse().unwrap();
        request.headers_mut().append("x-own-cert", value);
    }
    request
}

#[tokio::test]
async fn the_certificate_in_the_header_is_that_of_the_client() {
    let bound = behind_a_proxy(MtlsMode::Required);
    // The second time the token is in the cache.
    for _ in 0..2 {
        for (peer, tls, headers, reason) in [
            (Some(PROXY), None, &[OWN][..], "accepted"),
            (Some(PROXY), Some(OTHER), &[OWN], "accepted"),
            (Some(PROXY), None, &[OTHER], "certificate_mismatch"),
            (Some(PROXY), None, &[], "missing_certificate"),
            (Some(PROXY), None, &[b""], "missing_certificate"),
            (Some(PROXY), None, &[b"own"], "malformed_certificate"),
            (Some(PROXY), None, &[OWN, OWN], "duplicate_certificate"),
            (Some(PROXY), None, &[OTHER, OWN], "duplicate_certificate"),
            // The proxy's own certificate is never that of its client.
            (Some(PROXY), Some(OWN), &[], "missing_certificate"),
            (Some(PROXY), Some(OWN), &[OTHER], "certificate_mismatch"),
            // A peer that gets past the proxy says what it likes.
            (Some(UNTRUSTED), None, &[OWN], "missing_certificate"),
            (Some(UNTRUSTED), Some(OTHER), &[OWN], "certificate_mismatch"),
            (Some(UNTRUSTED), Some(OWN), &[OTHER], "accepted"),
            (Some(UNTRUSTED), Some(OWN), &[OTHER, OTHER], "accepted"),
        ] {
            let request = from(&bound, peer, tls, headers);
            let answer = bound.guarded.ask(request).await;
            assert_eq!(answer.reason(), reason, "{peer:?} {headers:?}");
            if reason != "accepted" {
                assert_eq!(answer.status, 401);
                assert_eq!(parameter(&answer, "Bearer", "error"), Some("invalid_token"));
            }
        }
    }
}

/// Our own trouble: nothing says whether the header counts.
#[tokio::test]
async fn a_peer_that_is_not_known_is_an_error_that_says_so() {
    let bound = behind_a_proxy(MtlsMode::Allowed);
    for (tls, headers) in [(None, &[OWN][..]), (Some(OWN), &[OWN]), (Some(OWN), &[])] {
        let answer = bound.guarded.ask(from(&bound, None, tls, headers)).await;
        answer.assert(503, "peer_unknown");
        assert!(answer.retry_after().is_some());
        assert!(answer.detail().contains("SetPeerAddrLayer"));
    }
    // Tokens that are not bound need none.
    let token = bound.issuer.token(json!({}));
    bound.ask(&token, None).await.assert(200, "accepted");
}

#[tokio::test]
async fn the_headers_never_reach_the_inner_service() {
    let with_headers = |mut request: Request<Full<bytes::Bytes>>| {
        for name in HEADERS {
            // No certificate at all, but in the header that is read.
            let value = STANDARD.encode(OWN).parse().unwrap();
            request.headers_mut().insert(name, value);
        }
        request.headers_mut().insert("x-kept", "1".parse().unwrap());
        request
    };
    let check = |headers: &HeaderMap, is_forwarded: bool| {
        for name in HEADERS {
            assert!(!headers.contains_key(name), "{name}");
        }
        assert_eq!(headers["x-kept"], "1");
        assert_eq!(headers.contains_key("authorization"), is_forwarded);
    };
    let bound = behind_a_proxy(MtlsMode::Allowed);
    let layer = || bound.guarded.layer.clone();
    let unbound = bound.issuer.token(json!({}));
    for (layer, is_forwarded) in [
        (layer(), false),
        (layer().forward_credential(true), true),
        (layer().optional(), false),
        (layer().public_path("/open").unwrap(), false),
    ] {
        for peer in [PROXY, UNTRUSTED] {
            let request = from(&bound, Some(peer), Some(OWN), &[]);
            let answer = common::ask(&layer, with_headers(request)).await;
            check(&answer.admitted().headers, is_forwarded);
        }
        let answer = common::ask(&layer, with_headers(request(&unbound, None))).await;
        check(&answer.admitted().headers, is_forwarded);
    }
    // Without a token: on a public path, where none is needed, and where all is let pass.
    let public = layer().public_path("/open").unwrap();
    for (layer, path, method) in [
        (public.clone(), "/open", Method::GET),
        (public.forward_credential(true), "/open", Method::GET),
        (layer().optional(), "/mcp", Method::GET),
        (layer().dangerously_report_only(), "/mcp", Method::GET),
    ] {
        let request = Request::builder().method(method).uri(path);
        let request = with_headers(request.body(Full::default()).unwrap());
        let answer = common::ask(&layer, request).await;
        check(&answer.reached.as_ref().unwrap().headers, false);
    }
    // Where certificates are not looked at, the headers are for another reader.
    let off = Bound::new(MtlsMode::Off);
    let token = off.issuer.token(json!({}));
    let answer = common::ask(&off.guarded.layer, with_headers(request(&token, None))).await;
    assert_eq!(answer.admitted().headers.len(), HEADERS.len() + 1);
}

/// CGI, WSGI and PHP make one name of both spellings, and HAProxy passes the other one on.
#[tokio::test]
async fn the_headers_are_removed_in_spellings_with_underscores_too() {
    let bound = behind_a_proxy(MtlsMode::Allowed);
    let optional = bound.guarded.layer.clone().optional();
    for name in HEADERS {
        for name in [name.replace('-', "_"), name.replacen('-', "_", 1)] {
            let mut request = from(&bound, Some(PROXY), None, &[OWN]);
            let header: http::HeaderName = name.parse().unwrap();
            for value in ["forged", "twice"] {
                let value = value.parse().unwrap();
                request.headers_mut().append(&header, value);
            }
            request.headers_mut().insert("x_kept", "1".parse().unwrap());
            let mut anonymous = Request::new(Full::default());
            *anonymous.headers_mut() = request.headers().clone();
            anonymous.headers_mut().remove("authorization");
            for request in [request, anonymous] {
                let answer = common::ask(&optional, request).await;
                let headers = &answer.reached.as_ref().unwrap().headers;
                assert!(!headers.contains_key(&header), "{name}");
                assert_eq!(headers["x_kept"], "1");
            }
        }
    }
}

/// In front of API keys as well: the headers belong to the layer, not to the credential.
#[tokio::test]
async fn beside_other_providers_the_headers_are_removed_too() {
    let bound = behind_a_proxy(MtlsMode::Required);
    let keys = tower_mcp_auth::ApiKeyLayer::new([common::API_KEY])
        .unwrap()
        .clock(bound.guarded.clock.clone());
    let layer = bound.guarded.layer.clone().or(keys).unwrap();
    let request = Request::post("/mcp")
        .header("x-api-key", common::API_KEY)
        .header("client-cert", ":AAAA:");
    let answer = common::ask(&layer, request.body(Full::default()).unwrap()).await;
    assert!(!answer.admitted().headers.contains_key("client-cert"));
    let answer = common::ask(&layer, from(&bound, Some(PROXY), None, &[OTHER])).await;
    answer.refused(AuthErrorKind::Invalid, "certificate_mismatch");
}

/// The certificate of the connection stays in the request, for handlers that want it.
#[tokio::test]
async fn the_certificate_of_the_peer_stays_in_the_request() {
    let bound = Bound::new(MtlsMode::Required);
    let layer: &OAuthLayer = &bound.guarded.layer;
    let answer = common::ask(layer, request(&bound.token, Some(OWN))).await;
    let certificate: Option<&PeerCertificate> = answer.admitted().extensions.get();
    assert_eq!(certificate, Some(&PeerCertificate::from_der(OWN)));
}
