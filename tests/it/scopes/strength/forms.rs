//! The forms of a refusal for the sign-in, by what is wrong with it.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tower::ServiceBuilder;
use tower_mcp_auth::mcp::{Dialect, McpPolicy, McpScopesLayer};
use tower_mcp_auth::scopes::{RequireScopesLayer, Requirement};
use tower_mcp_auth::{AuthError, AuthErrorKind, Reported};

use super::{auth, bearer, challenge, grpc, mfa, outcome};
use crate::mcp::support::{METADATA, message, request};
use common::{Answer, ask, clock, request_to};

/// What the table asks for: a scope, a class, an age.
fn needs() -> Requirement {
    let needs = Requirement::all(["pay"]).unwrap();
    let needs = needs.and(&mfa().into());
    needs.max_age(std::time::Duration::from_secs(300)).unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Http,
    Grpc,
    /// JSON-RPC over HTTP.
    Session,
    Sessionless,
    /// The result of a tool.
    SessionResult,
    SessionlessResult,
}

const FORMS: [Form; 6] = [
    Form::Http,
    Form::Grpc,
    Form::Session,
    Form::Sessionless,
    Form::SessionResult,
    Form::SessionlessResult,
];

impl Form {
    fn is_recent(self) -> bool {
        matches!(self, Self::Sessionless | Self::SessionlessResult)
    }

    fn is_result(self) -> bool {
        matches!(self, Self::SessionResult | Self::SessionlessResult)
    }

    fn message(self, authorization: &str) -> Request<Full<Bytes>> {
        let mut params = json!({ "name": "pay" });
        let mut headers = vec![("authorization", authorization)];
        if self.is_recent() {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": { "name": "c", "version": "1" },
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            headers.extend([("mcp-method", "tools/call"), ("mcp-name", "pay")]);
        }
        let version = match self.is_recent() {
            true => "2026-07-28",
            false => "2025-11-25",
        };
        headers.push(("mcp-protocol-version", version));
        headers.retain(|(_, value)| !value.is_empty());
        message(&request("tools/call", &params), &headers)
    }

    async fn ask(self, authorization: &str, reports: &[&str]) -> Answer {
        let auth = auth(&clock()).optional();
        let auth = match reports {
            [] => auth,
            reports => auth.dangerously_report_only_for(reports).unwrap(),
        };
        let dialect = match self.is_result() {
            true => Dialect::Result,
            false => Dialect::Http,
        };
        match self {
            Self::Http | Self::Grpc => {
                let route = RequireScopesLayer::new(needs()).unwrap();
                let stack = ServiceBuilder::new().layer(auth).layer(route);
                let request = match self {
                    Self::Grpc => grpc(authorization),
                    _ if authorization.is_empty() => request_to::<&str>("/mcp", &[]),
                    _ => request_to("/mcp", &[("authorization", authorization)]),
                };
                ask(&stack, request).await
            }
            _ => {
                let policy = McpPolicy::builder()
                    .include_granted(false)
                    .tool("pay", needs())
                    .and_then(|policy| policy.build())
                    .unwrap();
                let operations = McpScopesLayer::new(policy).dialect(dialect);
                let stack = ServiceBuilder::new().layer(auth).layer(operations);
                ask(&stack, self.message(authorization)).await
            }
        }
    }
}

/// Each sign-in, with the reason and the kind of its refusal, and the parameters of the challenge.
fn rows() -> Vec<(Value, &'static str, AuthErrorKind, Option<String>)> {
    use AuthErrorKind::{Forbidden, InsufficientScope, InsufficientUserAuthentication as TooWeak};

    const TOO_WEAK: &str = "insufficient_user_authentication";
    let asked = || {
        Some(challenge(
            "scope=\"pay\", acr_values=\"mfa phr\", max_age=\"300\"",
        ))
    };
    vec![
        (
            json!({"scope": "pay", "acr": "pwd"}),
            TOO_WEAK,
            TooWeak,
            asked(),
        ),
        (json!({"scope": "pay"}), TOO_WEAK, TooWeak, asked()),
        (
            json!({"scope": "read", "acr": "pwd"}),
            TOO_WEAK,
            TooWeak,
            asked(),
        ),
        (
            json!({"scope": "pay", "acr": "phr", "auth_time": 1}),
            TOO_WEAK,
            TooWeak,
            asked(),
        ),
        (
            json!({"scope": "read", "acr": "phr"}),
            "insufficient_scope",
            InsufficientScope,
            Some(format!(
                "Bearer error=\"insufficient_scope\", scope=\"pay\", \
                 resource_metadata=\"{METADATA}\", error_description=\"The operation needs scopes \
                 that were not granted\""
            )),
        ),
        // A client of its own, with its scopes or without.
        (
            json!({"scope": "pay", "sub": "app"}),
            "missing_user",
            Forbidden,
            None,
        ),
        (
            json!({"scope": "read", "sub": ""}),
            "missing_user",
            Forbidden,
            None,
        ),
    ]
}

#[tokio::test]
async fn each_form_says_what_is_asked_of_the_sign_in() {
    for form in FORMS {
        let good = form
            .ask(&bearer(json!({"scope": "pay", "acr": "phr"})), &[])
            .await;
        good.admitted();
        for (claims, reason, kind, line) in rows() {
            let answer = form.ask(&bearer(claims.clone()), &[]).await;
            let what = format!("{form:?} {claims}");
            let error = answer.error();
            assert_eq!((error.reason(), error.kind()), (reason, kind), "{what}");
            common::assert_explained(error);
            assert_eq!(answer.headers["cache-control"], "no-store");
            let lines: Vec<String> = line.into_iter().collect();
            assert_eq!(answer.challenges(), lines, "{what}");
            let is_told = !lines.is_empty();
            if is_told && form.is_result() {
                assert_eq!(answer.status, 200, "{what}");
                let result = &answer.json()["result"];
                assert_eq!(result["isError"], true, "{what}");
                assert_eq!(
                    result["_meta"]["mcp/www_authenticate"],
                    json!(lines),
                    "{what}"
                );
                let is_typed = result.get("resultType").is_some();
                assert_eq!(is_typed, form.is_recent(), "{what}");
                assert_eq!(result["content"][0]["text"], error.description());
            } else if form == Form::Grpc {
                let status = match kind {
                    AuthErrorKind::InsufficientUserAuthentication => "16",
                    _ => "7",
                };
                assert_eq!(answer.status, 200, "{what}");
                assert_eq!(answer.headers["grpc-status"], status, "{what}");
                assert!(answer.body.is_empty());
            } else {
                answer.refused(kind, reason);
                let code = match kind {
                    AuthErrorKind::Forbidden => "access_denied",
                    _ => reason,
                };
                let body = json!({
                    "error": code,
                    "error_description": error.description(),
                    "status": answer.status.as_u16(),
                    "type": "authentication_error",
                });
                assert_eq!(answer.json(), body, "{what}");
            }
        }
    }
}

/// RFC 6750 section 3.1: they learn no more than the scopes.
#[tokio::test]
async fn who_has_not_signed_in_is_asked_to_before_anything_else() {
    for form in [Form::Http, Form::Session, Form::Sessionless] {
        let answer = form.ask("", &[]).await;
        answer.missing();
        let line = format!("Bearer scope=\"pay\", resource_metadata=\"{METADATA}\"");
        assert_eq!(answer.challenges(), [line]);
    }
}

#[tokio::test]
async fn an_error_has_what_its_challenge_asks_for() {
    let answer = Form::Http.ask(&bearer(json!({"scope": "pay"})), &[]).await;
    let error = answer.error();
    assert!(error.acr_values().eq(["mfa", "phr"]));
    assert_eq!(error.max_age(), Some(std::time::Duration::from_secs(300)));
    assert_eq!(error.scopes().as_str(), "pay");
    assert_eq!(
        error.principal_id().unwrap().as_str(),
        "oauth|sub=alice|client=app"
    );
    // What was said to one client is not said to the next.
    let other = Form::Http.ask(&bearer(json!({"sub": "app"})), &[]).await;
    assert!(other.error().acr_values().next().is_none());
    assert_eq!(other.error().max_age(), None);
}

#[tokio::test]
async fn report_only_lets_pass_what_it_names_and_nothing_beside_it() {
    const WEAK: &str = "insufficient_user_authentication";
    const SCOPE: &str = "insufficient_scope";
    let both = || json!({"scope": "read", "acr": "pwd"});
    for form in FORMS {
        for (claims, reports, refused) in [
            (json!({"scope": "pay", "acr": "pwd"}), &[WEAK][..], None),
            (json!({"scope": "pay", "acr": "pwd"}), &[SCOPE], Some(WEAK)),
            (both(), &[WEAK], Some(SCOPE)),
            (both(), &[SCOPE], Some(WEAK)),
            (both(), &[WEAK, SCOPE], None),
            (
                json!({"scope": "pay", "sub": "app"}),
                &[WEAK],
                Some("missing_user"),
            ),
            (
                json!({"scope": "pay", "sub": "app"}),
                &["missing_user"],
                None,
            ),
            (
                json!({"scope": "read", "sub": "app"}),
                &["missing_user"],
                Some(SCOPE),
            ),
        ] {
            let what = format!("{form:?} {claims} {reports:?}");
            let answer = form.ask(&bearer(claims), reports).await;
            assert_eq!(outcome(&answer), refused.unwrap_or("admitted"), "{what}");
            if refused.is_none() {
                let reported: &Reported = answer.extensions.get().expect(&what);
                let reasons: Vec<_> = reported.errors().iter().map(AuthError::reason).collect();
                assert_eq!(reasons, [reports[0]], "{what}");
                // It is the principal that it is, and keeps its name.
                assert_eq!(answer.principal().provider(), "oauth", "{what}");
            }
        }
    }
}
