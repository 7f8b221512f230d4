//! Members that decide what is judged, each of which may come once, and URIs that are judged.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::mcp::{McpPolicy, McpScopesLayer};
use tower_mcp_auth::{ApiKeyLayer, AuthError};

const KEY: &str = "Zm9yIHRoZSBleGFtcGxlIG9ubHk";

async fn reason(method: &str, params: &str) -> Option<&'static str> {
    let key = ApiKey::new(KEY).unwrap().scopes(["read"]).unwrap();
    let policy = McpPolicy::builder()
        .prompt("open", "read")
        .unwrap()
        .prompt("closed", "admin")
        .unwrap()
        .resource("file:///secret/*", "admin")
        .unwrap()
        .resource("*", "read")
        .unwrap()
        .build()
        .unwrap();
    let service = ServiceBuilder::new()
        .layer(ApiKeyLayer::new([key]).unwrap())
        .layer(McpScopesLayer::new(policy))
        .service(service_fn(async |_| {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }));
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
    let request = Request::post("/mcp")
        .header("x-api-key", KEY)
        .header("content-type", "application/json")
        .body(Full::<Bytes>::from(body))
        .unwrap();
    let answer = service.oneshot(request).await.unwrap();
    answer.extensions().get().map(AuthError::reason)
}

#[tokio::test]
async fn a_reference_has_each_member_once() {
    for (reference, expected) in [
        (r#"{"type":"ref/prompt","name":"open"}"#, None),
        (
            r#"{"type":"ref/prompt","name":"closed"}"#,
            Some("insufficient_scope"),
        ),
        (
            r#"{"type":"ref/prompt","name":"closed","name":"open"}"#,
            Some("duplicate_body_member"),
        ),
        (
            r#"{"type":"ref/prompt","name":"open","n\u0061me":"closed"}"#,
            Some("duplicate_body_member"),
        ),
        (
            r#"{"type":"ref/resource","type":"ref/prompt","name":"open"}"#,
            Some("duplicate_body_member"),
        ),
        (
            r#"{"type":"ref/resource","uri":"file:///secret/x","uri":"file:///y"}"#,
            Some("duplicate_body_member"),
        ),
        (
            r#"{"type":"ref/prompt","name":"open","Name":"closed"}"#,
            Some("member_in_wrong_case"),
        ),
    ] {
        let params = format!(r#"{{"ref":{reference},"argument":{{"name":"a","value":""}}}}"#);
        assert_eq!(
            reason("completion/complete", &params).await,
            expected,
            "{reference}"
        );
    }
}

#[tokio::test]
async fn subscriptions_are_there_once() {
    let (open, secret) = (r#"["file:///x"]"#, r#"["file:///secret/x"]"#);
    for (notifications, expected) in [
        (format!(r#"{{"resourceSubscriptions":{open}}}"#), None),
        (
            format!(r#"{{"resourceSubscriptions":{secret}}}"#),
            Some("insufficient_scope"),
        ),
        (
            format!(r#"{{"resourceSubscriptions":{secret},"resourceSubscriptions":{open}}}"#),
            Some("duplicate_body_member"),
        ),
        (
            format!(r#"{{"resourceSubscriptions":{secret},"resourceSubscriptions":null}}"#),
            Some("duplicate_body_member"),
        ),
        (
            format!(r#"{{"resourceSubscriptions":{open},"resource\u0053ubscriptions":{secret}}}"#),
            Some("duplicate_body_member"),
        ),
        // A reader that is derived by serde takes a list for the members in their order.
        (format!("[null,null,null,{secret}]"), Some("missing_target")),
        (
            r#""resourceSubscriptions""#.to_owned(),
            Some("missing_target"),
        ),
        ("[]".to_owned(), Some("missing_target")),
        ("null".to_owned(), None),
    ] {
        let params = format!(r#"{{"notifications":{notifications}}}"#);
        assert_eq!(
            reason("subscriptions/listen", &params).await,
            expected,
            "{notifications}"
        );
    }
}

/// What the layer would have let pass as a subscription to nothing.
#[test]
fn a_filter_in_a_list_is_one_to_rmcp() {
    let filter = r#"[null,null,null,["file:///secret/x"]]"#;
    let filter: rmcp::model::SubscriptionFilter = serde_json::from_str(filter).unwrap();
    let uris = filter.resource_subscriptions.unwrap();
    assert_eq!(uris, ["file:///secret/x"]);
}

#[tokio::test]
async fn a_byte_order_mark_stands_nowhere_in_a_uri() {
    for uri in [
        "file:///\u{feff}secret/x",
        "file:///secret\u{feff}/x",
        "note:\u{feff}x",
    ] {
        let params = format!(r#"{{"uri":"{uri}"}}"#);
        assert_eq!(
            reason("resources/read", &params).await,
            Some("ambiguous_uri"),
            "{uri:?}"
        );
    }
}
