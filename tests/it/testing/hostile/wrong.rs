//! Wrong middlewares: each is found by the attacks on its fault, and by no other.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use axum::Router;
use axum::routing::{any, get};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_mcp_auth::ApiKeyLayer;
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::jose::Algorithm;
use tower_mcp_auth::testing::Issuer;
use tower_mcp_auth::testing::hostile::{Hostile, Probe, RequestBody, Verdict};

use super::handmade::{Fault, Handmade};
use super::{RESOURCE, hostile, issuer, oauth};
use common::API_KEY;

/// Faults, and the attacks that find each.
type Faults = [(Fault, &'static [&'static str])];

const OF_TOKENS: &Faults = &[
    (Fault::Nothing, &[]),
    (Fault::AcceptsNone, &["algorithm_none"]),
    (Fault::ConfusesKeys, &["algorithm_confusion"]),
    (Fault::TrustsEmbeddedKey, &["embedded_key"]),
    (Fault::FollowsKeyUrl, &["key_by_url"]),
    (
        Fault::ChecksNoSignature,
        &[
            "algorithm_none",
            "algorithm_confusion",
            "algorithm_unknown",
            "algorithm_mismatch",
            "empty_secret",
            "other_key",
            "embedded_key",
            "key_by_url",
            "key_id_injection",
            "signature_missing",
            "signature_zero",
            "signature_changed",
            "signature_der",
            "signature_of_other_token",
            "base64_spelling",
            "echoed_text",
        ],
    ),
    (
        Fault::RemembersWithoutSignature,
        &[
            "other_key",
            "signature_missing",
            "signature_zero",
            "signature_changed",
            "signature_der",
            "base64_spelling",
        ],
    ),
    (
        Fault::IgnoresCritical,
        &["critical_extension", "unencoded_payload"],
    ),
    (Fault::IgnoresType, &["other_type"]),
    (
        Fault::ChecksNoAudience,
        &[
            "audience_missing",
            "audience_other",
            "audience_near",
            "audience_type",
            "echoed_text",
        ],
    ),
    (Fault::FindsAudienceInText, &["audience_near"]),
    (Fault::ComparesStartOfIssuer, &["issuer_near"]),
    (Fault::TakesIssuerFromList, &["issuer_type"]),
    (
        Fault::ChecksNoExpiry,
        &["expired", "expiry_missing", "expiry_type"],
    ),
    (Fault::SkipsExpiryInText, &["expiry_missing", "expiry_type"]),
    (
        Fault::ChecksNoBeginning,
        &["not_yet_valid", "not_before_type"],
    ),
    (Fault::TakesIdTokens, &["id_token"]),
    (Fault::TakesRefreshTokens, &["refresh_token"]),
    (Fault::IgnoresBinding, &["bound_token_as_bearer"]),
    (Fault::TakesLastMember, &["duplicate_member"]),
];

const OF_REQUESTS: &Faults = &[
    (Fault::ReadsQuery, &["query_credential", "two_credentials"]),
    (Fault::TakesFirstHeader, &["two_credentials"]),
    (Fault::TakesAnyScheme, &["scheme_spelling"]),
    (Fault::ReadsCookie, &["cookie_credential"]),
    // All that is asked by other methods.
    (
        Fault::GuardsPostOnly,
        &[
            "foreign_origin",
            "other_method",
            "options_request",
            "sibling_route",
            "path_spelling",
            "public_path_disguise",
            "session_guessed",
        ],
    ),
    (
        Fault::ForgetsSiblings,
        &["sibling_route", "path_spelling", "public_path_disguise"],
    ),
    (Fault::MatchesOpenPathAnywhere, &["public_path_disguise"]),
    (Fault::TrustsProxyHeaders, &["forwarded_header"]),
    (Fault::SkipsGrpc, &["grpc_content_type"]),
    (Fault::TakesSessionForCredential, &["session_guessed"]),
    (Fault::PassesCredentialOn, &["credential_passed_on"]),
];

fn sorted(names: &[&'static str]) -> Vec<&'static str> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names
}

// The middleware that follows URLs waits for an answer, which another thread must give.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_with_tokens_is_found_by_the_attacks_on_it_and_by_no_other() {
    each_is_found(OF_TOKENS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_with_requests_is_found_by_the_attacks_on_it_and_by_no_other() {
    each_is_found(OF_REQUESTS).await;
}

async fn each_is_found(faults: &Faults) {
    let issuer = issuer().await;
    let hostile = hostile(&issuer).public(["/health"]).unwrap();
    let mut wrong = String::new();
    for (fault, expected) in faults {
        let service = Handmade::new(*fault, &issuer, hostile.probe());
        let report = hostile.attack(service).await;
        let found = sorted(&report.holes());
        // And nothing is blamed on it that is no hole.
        let is_other = report.failures().any(|it| !it.verdict().is_hole());
        let held = report.is_held() == expected.is_empty();
        if found != sorted(expected) || is_other || !held || !report.is_proven() {
            let _ = writeln!(wrong, "{fault:?}: {found:?}\n{report}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test]
async fn a_refusal_that_repeats_the_credential_is_a_leak() {
    let issuer = issuer().await;
    let hostile = hostile(&issuer);
    let service = Handmade::new(Fault::RepeatsCredential, &issuer, hostile.probe());
    let report = hostile.attack(service).await;
    assert!(report.holes().contains(&"garbage_credential"), "{report}");
    assert!(report.holes().contains(&"expired"), "{report}");
    assert!(
        report.failures().all(|it| it.verdict() == Verdict::Leaked),
        "{report}"
    );
}

#[tokio::test]
async fn a_refusal_without_a_challenge_is_no_hole_and_not_right_either() {
    let issuer = issuer().await;
    let hostile = hostile(&issuer);
    let service = Handmade::new(Fault::NamesNoScheme, &issuer, hostile.probe());
    let report = hostile.attack(service).await;
    assert!(report.is_proven() && report.holes().is_empty(), "{report}");
    assert!(!report.is_held());
    assert!(
        report
            .failures()
            .any(|it| it.attack().name() == "no_credential")
    );
    assert!(
        report
            .failures()
            .all(|it| it.verdict() == Verdict::Irregular),
        "{report}"
    );
}

/// The other kind of key that has a PEM of its own: made by aws-lc, and not by the kit.
#[tokio::test]
async fn the_pem_of_an_rsa_key_is_tried_as_a_secret() {
    let issuer = Issuer::builder().algorithms([Algorithm::RS256]).start();
    let issuer = issuer.await.unwrap();
    let jwk = issuer.jwks()["keys"][0].clone();
    let number = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let (n, e) = (number("n"), number("e"));
    let der: PublicKeyX509Der<'_> = RsaPublicKeyComponents { n, e }.as_der().unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, der.as_ref());

    let hostile = hostile(&issuer);
    let right = oauth(&issuer).layer(hostile.probe());
    let probe = hostile.probe();
    let service = service_fn(move |request: Request<RequestBody>| {
        let value = request.headers().get("authorization");
        let token = value.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let parts = token.and_then(|token| token.rsplit_once('.'));
        let is_fooled = parts.is_some_and(|(message, signature)| {
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
            hmac::verify(&key, message.as_bytes(), &signature).is_ok()
        });
        let (right, probe) = (right.clone(), probe.clone());
        async move {
            if is_fooled {
                let (head, body) = probe.oneshot(request).await.unwrap().into_parts();
                return Ok::<_, Infallible>(Response::from_parts(head, body.boxed()));
            }
            let (head, body) = right.oneshot(request).await.unwrap().into_parts();
            Ok(Response::from_parts(head, body.boxed()))
        }
    });
    // A service of one's own task, as a server has it.
    let attack = common::spawn(async move { hostile.attack(service).await });
    let report = attack.await.unwrap();
    assert_eq!(report.holes(), ["algorithm_confusion"], "{report}");
    assert_eq!(report.failures().count(), 1, "{report}");
    let finding = report.failures().next().unwrap();
    assert_eq!(finding.variant(), "HS256 with its DER");
}

type Compare = fn(&str) -> bool;

/// Compares keys by this.
#[derive(Clone)]
struct Keys {
    accepts: Compare,
    probe: Probe,
}

impl<B> Service<Request<B>> for Keys {
    type Response = Response<RequestBody>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let keys = request.headers().get_all("x-api-key");
        let keys: Vec<&str> = keys.iter().filter_map(|key| key.to_str().ok()).collect();
        if let [key] = *keys
            && !key.is_empty()
            && (self.accepts)(key)
        {
            request.headers_mut().remove("x-api-key");
            return self.probe.call(request);
        }
        let response = Response::builder().status(401);
        let response = response.header("www-authenticate", "ApiKey");
        ready(Ok(response.body(RequestBody::default()).unwrap()))
    }
}

#[tokio::test]
async fn keys_that_are_nearly_good_are_found() {
    let hostile = Hostile::new(RESOURCE).unwrap().api_key(API_KEY).unwrap();
    let rows: [(&str, Compare, &[&str]); 5] = [
        ("right", |key| key == API_KEY, &[]),
        (
            "prefix",
            |key| API_KEY.starts_with(key),
            &["api_key_prefix"],
        ),
        (
            "suffix",
            |key| key.starts_with(API_KEY),
            &["api_key_suffix", "two_credentials"],
        ),
        (
            "case",
            |key| key.eq_ignore_ascii_case(API_KEY),
            &["api_key_case"],
        ),
        (
            "beginning",
            |key| key.len() == API_KEY.len() && key[..20] == API_KEY[..20],
            &["api_key_changed"],
        ),
    ];
    for (name, accepts, expected) in rows {
        let probe = hostile.probe();
        let report = hostile.attack(Keys { accepts, probe }).await;
        assert_eq!(sorted(&report.holes()), expected, "{name}\n{report}");
        assert_eq!(report.is_held(), expected.is_empty(), "{name}\n{report}");
    }
}

#[tokio::test]
async fn a_route_behind_no_layer_is_found() {
    let issuer = issuer().await;
    let answer = any(async || "done");
    let app = Router::new()
        .route("/mcp", answer.clone())
        .layer(oauth(&issuer))
        .route("/admin", answer.clone())
        .route("/health", get(async || "well"));
    let hostile = hostile(&issuer).public(["/health"]).unwrap();
    let report = hostile.attack(app.clone()).await;
    report.assert_held();
    let hostile = hostile.routes(["/admin", "/health"]).unwrap();
    let report = hostile.attack(app.clone()).await;
    let expected = ["other_method", "path_spelling", "public_path_disguise"];
    assert_eq!(report.holes(), expected, "{report}");
    for finding in report.failures() {
        assert!(finding.sent().contains("/admin"), "{report}");
    }
    // Beside the guarded one.
    let report = hostile.attack(app.route("/mcp/sse", answer)).await;
    assert!(report.holes().contains(&"sibling_route"), "{report}");
}

#[tokio::test]
async fn a_key_that_the_layer_passes_on_is_seen() {
    let keys = [ApiKey::new(API_KEY).unwrap().name("alice")];
    let layer = ApiKeyLayer::new(keys).unwrap().forward_credential(true);
    let hostile = Hostile::new(RESOURCE).unwrap().api_key(API_KEY).unwrap();
    let report = hostile.attack(layer.layer(hostile.probe())).await;
    assert_eq!(report.holes(), ["credential_passed_on"], "{report}");
    // Which may be meant.
    let hostile = hostile.without(["credential_passed_on"]).unwrap();
    let report = hostile.attack(layer.layer(hostile.probe())).await;
    report.assert_held();
    assert!(
        report
            .to_string()
            .contains("left out: credential_passed_on")
    );
}
