//! The form of every refusal: status, challenge, body, gRPC form, trace. What must be in none
//! of them is in `secrecy.rs`.

use std::time::Duration;

use bytes::Bytes;
use common::{
    API_KEY, Answer, Answering, ask, guards, hs256_layer, invalid, request, token, trace,
};
use http::{Method, Request, Version};
use http_body_util::Full;
use tower_mcp_auth::auth::{AuthLayer, Authentication};
use tower_mcp_auth::scopes::Scopes;
use tower_mcp_auth::{ApiKeyLayer, AuthError, AuthErrorKind, Challenge, Reason};
use tracing::Level;

fn bearer() -> Request<Full<Bytes>> {
    request(&[("authorization", "Bearer x")])
}

fn scopes(names: &str) -> Scopes {
    names.parse().unwrap()
}

/// A challenge with every parameter.
fn full() -> Challenge {
    Challenge::bearer()
        .realm("r")
        .scopes(scopes("mcp:read"))
        .resource_metadata("https://m.example/.well-known/oauth-protected-resource")
}

const METADATA: &str =
    r#"resource_metadata="https://m.example/.well-known/oauth-protected-resource""#;

struct Row {
    error: AuthError,
    status: u16,
    grpc: &'static str,
    /// The line of a challenge with every parameter; `METADATA` stands for `{m}`.
    challenge: Option<&'static str>,
    body: &'static str,
    retry_after: Option<&'static str>,
}

/// Every kind a provider can answer with.
fn rows() -> Vec<Row> {
    vec![
        Row {
            error: AuthError::missing(),
            status: 401,
            grpc: "16",
            challenge: Some(r#"Bearer realm="r", scope="mcp:read", {m}"#),
            body: r#"{"error":"unauthorized","error_description":"Authentication is required","status":401,"type":"authentication_error"}"#,
            retry_after: None,
        },
        Row {
            error: AuthError::new(Reason::custom(AuthErrorKind::Malformed, "two_badges"))
                .with_description("Two badges"),
            status: 400,
            grpc: "16",
            challenge: Some(
                r#"Bearer realm="r", error="invalid_request", scope="mcp:read", {m}, error_description="Two badges""#,
            ),
            body: r#"{"error":"invalid_request","error_description":"Two badges","status":400,"type":"authentication_error"}"#,
            retry_after: None,
        },
        Row {
            error: invalid("revoked"),
            status: 401,
            grpc: "16",
            challenge: Some(
                r#"Bearer realm="r", error="invalid_token", scope="mcp:read", {m}, error_description="The access token is not valid""#,
            ),
            body: r#"{"error":"invalid_token","error_description":"The access token is not valid","status":401,"type":"authentication_error"}"#,
            retry_after: None,
        },
        Row {
            error: AuthError::insufficient_scope(scopes("mcp:write mcp:admin")),
            status: 403,
            grpc: "7",
            challenge: Some(
                r#"Bearer realm="r", error="insufficient_scope", scope="mcp:write mcp:admin", {m}, error_description="The operation needs scopes that were not granted""#,
            ),
            body: r#"{"error":"insufficient_scope","error_description":"The operation needs scopes that were not granted","status":403,"type":"authentication_error"}"#,
            retry_after: None,
        },
        Row {
            error: AuthError::new(Reason::custom(
                AuthErrorKind::InsufficientUserAuthentication,
                "old_badge",
            )),
            status: 401,
            grpc: "16",
            challenge: Some(
                r#"Bearer realm="r", error="insufficient_user_authentication", scope="mcp:read", {m}, error_description="A stronger or more recent sign-in is needed""#,
            ),
            body: r#"{"error":"insufficient_user_authentication","error_description":"A stronger or more recent sign-in is needed","status":401,"type":"authentication_error"}"#,
            retry_after: None,
        },
        Row {
            error: AuthError::new(Reason::custom(AuthErrorKind::Forbidden, "page_not_allowed")),
            status: 403,
            grpc: "7",
            challenge: None,
            body: r#"{"error":"access_denied","error_description":"The request is not allowed","status":403,"type":"authentication_error"}"#,
            retry_after: None,
        },
        Row {
            error: AuthError::unavailable(
                Reason::custom(AuthErrorKind::Unavailable, "server_down"),
                Duration::from_millis(1_200),
            ),
            status: 503,
            grpc: "14",
            challenge: None,
            body: r#"{"error":"temporarily_unavailable","error_description":"Authentication is temporarily unavailable","status":503,"type":"authentication_error"}"#,
            retry_after: Some("2"),
        },
    ]
}

/// The error answered at once, and after waiting.
fn both_ways(error: &AuthError) -> [Answering; 2] {
    let (ready, late) = (error.clone(), error.clone());
    [
        Answering::refusing(ready),
        Answering::new(move |_| {
            let late = late.clone();
            Authentication::Pending(Box::pin(async move {
                tokio::task::yield_now().await;
                Err(late)
            }))
        }),
    ]
}

#[track_caller]
fn names(answer: &Answer) -> Vec<&str> {
    let mut names: Vec<&str> = answer.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn every_kind_has_its_status_challenge_body_and_headers() {
    for row in rows() {
        for provider in both_ways(&row.error) {
            let layer = AuthLayer::new(provider.challenges([full()]));
            let answer = ask(&layer, bearer()).await;
            assert_eq!(*answer.error(), row.error);
            assert_eq!(answer.status, row.status);
            assert_eq!(row.error.status(), row.status);
            assert_eq!(answer.text(), row.body);
            assert_eq!(answer.headers["content-type"], "application/json");
            assert_eq!(answer.headers["cache-control"], "no-store");
            let expected = row.challenge.map(|line| line.replace("{m}", METADATA));
            assert_eq!(answer.challenges(), Vec::from_iter(expected.as_deref()));
            let retry = answer
                .headers
                .get("retry-after")
                .map(|value| value.to_str().unwrap());
            assert_eq!(retry, row.retry_after);
            let known = [
                "cache-control",
                "content-type",
                "retry-after",
                "www-authenticate",
            ];
            assert!(
                names(&answer).iter().all(|name| known.contains(name)),
                "{answer:?}"
            );
        }
    }
}

fn grpc(content_type: &str, version: Version) -> Request<Full<Bytes>> {
    let mut request = request(&[
        ("authorization", "Bearer x"),
        ("content-type", content_type),
    ]);
    *request.method_mut() = Method::POST;
    *request.version_mut() = version;
    request
}

#[tokio::test]
async fn a_grpc_request_is_refused_with_status_200_and_trailers_only() {
    for row in rows() {
        for provider in both_ways(&row.error) {
            let layer = AuthLayer::new(provider.challenges([full()]));
            let answer = ask(&layer, grpc("application/grpc", Version::HTTP_2)).await;
            assert_eq!(*answer.error(), row.error);
            assert_eq!((answer.status.as_u16(), answer.text()), (200, ""));
            assert_eq!(answer.headers["content-type"], "application/grpc");
            assert_eq!(answer.headers["grpc-status"], row.grpc);
            assert_eq!(answer.headers["grpc-message"], row.error.description());
            assert_eq!(answer.headers["cache-control"], "no-store");
            let expected = row.challenge.map(|line| line.replace("{m}", METADATA));
            assert_eq!(answer.challenges(), Vec::from_iter(expected.as_deref()));
        }
    }
}

#[tokio::test]
async fn which_requests_are_grpc() {
    const NOT: &str = "application/json";
    for (method, version, content_type, expected) in [
        (
            "POST",
            Version::HTTP_2,
            "application/grpc",
            "application/grpc",
        ),
        (
            "POST",
            Version::HTTP_2,
            "application/grpc+proto",
            "application/grpc",
        ),
        (
            "POST",
            Version::HTTP_2,
            "application/grpc+json",
            "application/grpc",
        ),
        (
            "POST",
            Version::HTTP_2,
            "Application/gRPC",
            "application/grpc",
        ),
        (
            "POST",
            Version::HTTP_2,
            "application/grpc; charset=utf-8",
            "application/grpc",
        ),
        (
            "POST",
            Version::HTTP_2,
            "application/grpc-web",
            "application/grpc-web+proto",
        ),
        (
            "POST",
            Version::HTTP_11,
            "application/grpc-web",
            "application/grpc-web+proto",
        ),
        (
            "POST",
            Version::HTTP_11,
            "application/grpc-web+proto",
            "application/grpc-web+proto",
        ),
        (
            "POST",
            Version::HTTP_11,
            "application/grpc-web-text",
            "application/grpc-web-text+proto",
        ),
        (
            "POST",
            Version::HTTP_2,
            "application/grpc-web-text+proto",
            "application/grpc-web-text+proto",
        ),
        // gRPC itself needs HTTP/2, and always POST.
        ("POST", Version::HTTP_11, "application/grpc", NOT),
        ("POST", Version::HTTP_10, "application/grpc", NOT),
        ("GET", Version::HTTP_2, "application/grpc", NOT),
        ("OPTIONS", Version::HTTP_11, "application/grpc-web", NOT),
        ("POST", Version::HTTP_2, "application/json", NOT),
        ("POST", Version::HTTP_2, "application/grpcx", NOT),
        ("POST", Version::HTTP_2, "text/application/grpc", NOT),
        ("POST", Version::HTTP_2, "", NOT),
    ] {
        println!("{method} {version:?} {content_type}");
        let layer = AuthLayer::new(Answering::refusing(invalid("no")));
        let mut request = grpc(content_type, version);
        *request.method_mut() = method.parse().unwrap();
        let answer = ask(&layer, request).await;
        answer.error();
        assert_eq!(answer.headers["content-type"], expected);
        assert_eq!(answer.status, if expected == NOT { 401 } else { 200 });
        assert_eq!(answer.headers.contains_key("grpc-status"), expected != NOT);
    }
}

#[tokio::test]
async fn the_grpc_form_can_be_switched_off() {
    for row in rows() {
        let provider = Answering::refusing(row.error.clone()).challenges([full()]);
        let layer = AuthLayer::new(provider).grpc_refusals(false);
        for content_type in ["application/grpc", "application/grpc-web"] {
            let answer = ask(&layer, grpc(content_type, Version::HTTP_2)).await;
            answer.error();
            assert_eq!(
                (answer.status.as_u16(), answer.text()),
                (row.status, row.body)
            );
            assert!(!answer.headers.contains_key("grpc-status"));
        }
    }
}

#[tokio::test]
async fn malformed_and_missing_credentials_of_grpc_are_unauthenticated_too() {
    for guard in guards() {
        for uri in ["/s/m", "/s/m?token=x"] {
            let mut request = guard.bare_request(uri);
            *request.method_mut() = Method::POST;
            *request.version_mut() = Version::HTTP_2;
            request
                .headers_mut()
                .insert("content-type", "application/grpc".parse().unwrap());
            let answer = ask(&guard.layer, request).await;
            answer.error();
            assert_eq!((answer.status.as_u16(), answer.text()), (200, ""));
            assert_eq!(answer.headers["grpc-status"], "16");
        }
    }
}

#[tokio::test]
async fn a_grpc_message_is_percent_encoded() {
    for (description, expected) in [
        ("100% sure", "100%25 sure"),
        ("a\r\nb\tc\0d", "a%0D%0Ab%09c%00d"),
        ("caf\u{e9} \u{7f}", "caf%C3%A9 %7F"),
        ("\"quoted\", \\ = ~", "\"quoted\", \\ = ~"),
    ] {
        let error = invalid("no").with_description(description);
        let layer = AuthLayer::new(Answering::refusing(error));
        let answer = ask(&layer, grpc("application/grpc", Version::HTTP_2)).await;
        answer.error();
        assert_eq!(answer.headers["grpc-message"], expected);
    }
}

#[tokio::test]
async fn the_bodies_of_the_reference_behaviour_byte_by_byte() {
    for guard in guards() {
        let body = format!(
            r#"{{"error":"{}","status":401,"type":"authentication_error"}}"#,
            guard.message
        );
        let missing = ask(&guard.layer, guard.bare_request("/mcp")).await;
        missing.missing();
        // A key that was not sent is not invalid.
        let of_none = match guard.name {
            "api key" => {
                r#"{"error":"unauthorized","error_description":"Authentication is required","status":401,"type":"authentication_error"}"#
            }
            _ => &*body,
        };
        assert_eq!(missing.text(), of_none);
        assert_eq!(missing.headers["content-type"], "application/json");

        let value = guard
            .good
            .replace(&guard.credential, "bm90LXRoZS1jcmVkZW50aWFs");
        let invalid = ask(&guard.layer, request(&[(guard.header, value)])).await;
        assert_eq!(invalid.error().kind(), AuthErrorKind::Invalid);
        assert_eq!((invalid.status.as_u16(), invalid.text()), (401, &*body));
        assert_eq!(invalid.headers["content-type"], "application/json");

        let malformed = ask(&guard.layer, guard.good_request("/mcp?token=x")).await;
        malformed.malformed("token_in_query");
        let json = malformed.json();
        assert_eq!(json["status"], 400);
        assert_eq!(json["type"], "authentication_error");
        assert_eq!(json.as_object().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn the_challenges_of_api_keys_and_jwts_byte_by_byte() {
    let [api_key, jwt] = guards();
    const API_KEY_LINE: &str = r#"ApiKey realm="MCP Server", header="X-API-Key""#;
    let bad = request(&[("x-api-key", "bm90LXRoZS1jcmVkZW50aWFs")]);
    for request in [
        api_key.bare_request("/mcp"),
        bad,
        api_key.good_request("/mcp?token"),
    ] {
        let answer = ask(&api_key.layer, request).await;
        answer.error();
        assert_eq!(answer.challenges(), [API_KEY_LINE]);
    }
    let answer = ask(&jwt.layer, jwt.bare_request("/mcp")).await;
    assert_eq!(answer.challenges(), [r#"Bearer realm="MCP Server""#]);
    answer.missing();
    let expired = token(r#"{"sub":"alice","exp":1}"#);
    let answer = ask(
        &jwt.layer,
        request(&[("authorization", format!("Bearer {expired}"))]),
    )
    .await;
    answer.invalid("expired");
    assert_eq!(
        answer.challenges(),
        [
            r#"Bearer realm="MCP Server", error="invalid_token", error_description="The access token expired""#
        ]
    );
    let answer = ask(&jwt.layer, jwt.good_request("/mcp?token")).await;
    answer.malformed("token_in_query");
    assert_eq!(
        answer.challenges(),
        [
            r#"Bearer realm="MCP Server", error="invalid_request", error_description="Credentials in the query string are not accepted: use a request header""#
        ]
    );
}

#[tokio::test]
async fn a_description_cannot_break_out_of_the_challenge() {
    for (description, expected) in [
        (r#"say "hi""#, "say 'hi'"),
        (r"back\slash", "back/slash"),
        ("one, two=2", "one; two-2"),
        ("line\r\nSet-Cookie: a=b", "line??Set-Cookie: a-b"),
        ("tab\there\0\x7f", "tab?here??"),
        ("caf\u{e9} \u{1f512} \u{2028}", "caf? ? ?"),
        (r#"", scope="admin"#, "'; scope-'admin"),
        ("", ""),
    ] {
        let error = invalid("no").with_description(description);
        let provider = Answering::refusing(error);
        let answer = ask(&AuthLayer::new(provider), bearer()).await;
        answer.invalid("no");
        let line = format!(r#"Bearer error="invalid_token", error_description="{expected}""#);
        assert_eq!(answer.challenges(), [line]);
        // JSON has an escape for everything.
        assert_eq!(answer.json()["error_description"], description);
        assert_eq!(answer.headers.len(), 3);
    }
}

#[tokio::test]
async fn a_realm_or_metadata_url_cannot_break_out_either() {
    let challenge = Challenge::bearer()
        .realm("a\"b\\c\r\nd\u{e9}, e=f")
        .resource_metadata("https://x/\"\r\n");
    let provider = Answering::accepting().challenges([challenge]);
    let answer = ask(&AuthLayer::new(provider), request::<&str>(&[])).await;
    answer.missing();
    let line = r#"Bearer realm="a'b/c??d?, e=f", resource_metadata="https://x/'??""#;
    assert_eq!(answer.challenges(), [line]);
}

#[tokio::test]
async fn bearer_comes_first_and_every_scheme_has_its_own_line() {
    let challenges = [
        Challenge::api_key("X-API-Key").realm("keys"),
        Challenge::bearer().realm("tokens"),
        Challenge::api_key("X-Other"),
    ];
    let provider = Answering::refusing(invalid("no")).challenges(challenges);
    let answer = ask(&AuthLayer::new(provider), bearer()).await;
    answer.invalid("no");
    assert_eq!(
        answer.challenges(),
        [
            r#"Bearer realm="tokens", error="invalid_token", error_description="The access token is not valid""#,
            r#"ApiKey realm="keys", header="X-API-Key""#,
            r#"ApiKey header="X-Other""#,
        ]
    );
}

#[tokio::test]
async fn a_provider_without_challenges_or_parameters_is_answered_as_well() {
    let answer = ask(
        &AuthLayer::new(Answering::accepting().challenges([])),
        request::<&str>(&[]),
    )
    .await;
    answer.missing();
    assert!(answer.challenges().is_empty());
    let answer = ask(
        &AuthLayer::new(Answering::accepting()),
        request::<&str>(&[]),
    )
    .await;
    answer.missing();
    assert_eq!(answer.challenges(), ["Bearer"]);
}

#[tokio::test]
async fn retry_after_is_rounded_up_to_whole_seconds() {
    for (delay, expected) in [
        (Duration::ZERO, "1"),
        (Duration::from_nanos(1), "1"),
        (Duration::from_millis(999), "1"),
        (Duration::from_secs(1), "1"),
        (Duration::from_millis(1_001), "2"),
        (Duration::from_secs(30), "30"),
        (Duration::MAX, "18446744073709551615"),
    ] {
        let error =
            AuthError::unavailable(Reason::custom(AuthErrorKind::Unavailable, "down"), delay);
        assert_eq!(error.retry_after(), Some(delay));
        let provider = Answering::refusing(error);
        let answer = ask(&AuthLayer::new(provider), bearer()).await;
        answer.refused(AuthErrorKind::Unavailable, "down");
        assert_eq!(answer.headers["retry-after"], expected);
    }
}

#[tokio::test]
async fn each_refusal_is_traced_once_and_only_our_own_trouble_as_a_warning() {
    for row in rows() {
        for provider in both_ways(&row.error) {
            let layer = AuthLayer::new(provider);
            trace::start();
            ask(&layer, bearer()).await.error();
            let events = trace::take();
            assert_eq!(events.len(), 1, "{events:?}");
            let unavailable = row.error.kind() == AuthErrorKind::Unavailable;
            assert_eq!(
                events[0].level,
                if unavailable {
                    Level::WARN
                } else {
                    Level::DEBUG
                }
            );
            assert_eq!(events[0].field("reason"), row.error.reason());
            assert_eq!(events[0].field("status"), row.status.to_string());
        }
    }
    trace::start();
    ask(&AuthLayer::new(Answering::accepting()), bearer())
        .await
        .admitted();
    assert!(trace::take().is_empty());
}

/// The texts of refusals are written once; which refusals say the same is not for codes to say.
#[tokio::test]
async fn one_code_and_one_text_of_two_kinds_are_two_answers() {
    const TEXT: &str = "No entry";
    let of = |kind| AuthError::new(Reason::custom(kind, "no_entry")).with_description(TEXT);
    let layer = AuthLayer::new(Answering::new(move |credential| {
        Authentication::Ready(Err(of(match credential.value() {
            "a" => AuthErrorKind::Invalid,
            "b" => AuthErrorKind::Forbidden,
            _ => AuthErrorKind::Malformed,
        })))
    }));
    for _ in 0..2 {
        for (token, status, code, challenged) in [
            ("a", 401, "invalid_token", true),
            ("b", 403, "access_denied", false),
            ("c", 400, "invalid_request", true),
        ] {
            let headers = [("authorization", format!("Bearer {token}"))];
            let answer = ask(&layer, request(&headers)).await;
            assert_eq!(answer.status, status);
            let body = answer.json();
            assert_eq!(body["error"], code);
            assert_eq!(body["status"], status);
            let challenges = answer.challenges();
            assert_eq!(!challenges.is_empty(), challenged, "{challenges:?}");
            let names_it = |line: &&str| line.contains(code);
            assert!(challenges.iter().all(names_it), "{challenges:?}");
        }
    }
}

#[tokio::test]
async fn a_challenge_has_an_error_only_where_a_credential_was_sent() {
    let answer = ask(&hs256_layer(), request::<&str>(&[])).await;
    answer.missing();
    assert_eq!(answer.challenges(), [r#"Bearer realm="MCP Server""#]);
    let answer = ask(&hs256_layer(), request(&[("authorization", "Bearer x")])).await;
    answer.invalid("not_a_jwt");
    assert!(answer.challenges()[0].contains(r#"error="invalid_token""#));
    let layer = ApiKeyLayer::new([API_KEY]).unwrap();
    let answer = ask(&layer, request::<&str>(&[])).await;
    answer.missing();
    assert_eq!(
        answer.challenges(),
        [r#"ApiKey realm="MCP Server", header="X-API-Key""#]
    );
}

#[tokio::test]
async fn the_body_of_a_refused_key_is_another_than_that_of_a_missing_one() {
    let layer = ApiKeyLayer::new([API_KEY]).unwrap();
    // A key that was not sent is not invalid: the same body as where a token is missing.
    for (headers, body) in [
        (
            &[("x-api-key", "b3RoZXIta2V5LWZvci10aGUtdGVzdHM")][..],
            r#"{"error":"Invalid API key","status":401,"type":"authentication_error"}"#,
        ),
        (
            &[],
            r#"{"error":"unauthorized","error_description":"Authentication is required","status":401,"type":"authentication_error"}"#,
        ),
    ] {
        let answer = ask(&layer, request(headers)).await;
        answer.error();
        assert_eq!(answer.status, 401);
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.text(), body);
    }
}

#[tokio::test]
async fn missing_broken_and_expired_jwts_have_one_body() {
    let expired = format!("Bearer {}", token(r#"{"sub":"alice","exp":1}"#));
    for headers in [
        &[][..],
        &[("authorization", "Bearer x")],
        &[("authorization", &*expired)],
    ] {
        let answer = ask(&hs256_layer(), request(headers)).await;
        answer.error();
        assert_eq!(answer.status, 401);
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(
            answer.text(),
            r#"{"error":"Invalid or expired JWT token","status":401,"type":"authentication_error"}"#
        );
    }
}

#[tokio::test]
async fn statuses_are_400_401_403_and_503() {
    for (error, status) in [
        (AuthError::missing(), 401),
        (
            AuthError::new(Reason::custom(AuthErrorKind::Malformed, "m")),
            400,
        ),
        (invalid("i"), 401),
        (AuthError::insufficient_scope("a".parse().unwrap()), 403),
        (
            AuthError::new(Reason::custom(AuthErrorKind::Forbidden, "f")),
            403,
        ),
        (
            AuthError::unavailable(
                Reason::custom(AuthErrorKind::Unavailable, "u"),
                Duration::from_secs(1),
            ),
            503,
        ),
    ] {
        let layer = AuthLayer::new(Answering::refusing(error));
        let answer = ask(&layer, request(&[("authorization", "Bearer x")])).await;
        answer.error();
        assert_eq!(answer.status, status);
    }
}

#[tokio::test]
async fn a_refused_request_never_reaches_the_inner_service() {
    for guard in guards() {
        for uri in ["/mcp", "/mcp?token=x"] {
            let answer = ask(&guard.layer, guard.bare_request(uri)).await;
            assert!(answer.reached.is_none());
        }
        let answer = ask(&guard.layer, request(&[(guard.header, "Bearer a b")])).await;
        assert!(answer.reached.is_none());
        assert!(
            ask(&guard.layer, guard.good_request("/mcp"))
                .await
                .reached
                .is_some()
        );
    }
}

#[tokio::test]
async fn outer_layers_see_why_a_request_was_refused() {
    for guard in guards() {
        let answer = ask(&guard.layer, guard.bare_request("/mcp")).await;
        let error = answer.extensions.get::<AuthError>().unwrap();
        assert_eq!(
            (error.kind(), error.reason()),
            (AuthErrorKind::Missing, "missing_credential")
        );
        assert!(answer.reached.is_none());
    }
}
