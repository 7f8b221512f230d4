//! Wrong middlewares: each is found by the attacks on its fault, and by no other.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use axum::Router;
use axum::routing::{any, get};
use http::{Request, Response};
use tower::{Layer, Service};
use tower_mcp_auth::ApiKeyLayer;
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::testing::hostile::{Hostile, Probe, RequestBody, Verdict};

use super::handmade::{Fault, Handmade};
use super::{RESOURCE, hostile, issuer, oauth};
use common::API_KEY;

/// A fault, and the attacks that find it.
const FAULTS: &[(Fault, &[&str])] = &[
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

// The one that follows URLs waits for an answer, which somebody else must give.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_is_found_by_the_attacks_on_it_and_by_no_other() {
    let issuer = issuer().await;
    let hostile = hostile(&issuer).public(["/health"]).unwrap();
    let mut wrong = String::new();
    for (fault, expected) in FAULTS {
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

/// Compares keys by this.
#[derive(Clone)]
struct Keys {
    accepts: fn(&str) -> bool,
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
    let rows: [(&str, fn(&str) -> bool, &[&str]); 5] = [
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
