//! Lists keep what another sign-in would open.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::{ServiceBuilder, ServiceExt};
use tower_mcp_auth::mcp::{McpListsLayer, McpPolicy, McpScopesLayer, Show};
use tower_mcp_auth::scopes::Requirement;

use super::{auth, bearer, mfa};
use crate::mcp::support::{message, request};
use common::clock;

async fn tools<B: Body>(_: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    let tools = ["plain", "strong", "strong_and_scoped"].map(|name| json!({ "name": name }));
    let list = json!({ "jsonrpc": "2.0", "id": 1, "result": { "tools": tools } });
    let mut response = Response::new(Full::from(list.to_string()));
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", json);
    Ok(response)
}

#[tokio::test]
async fn a_list_shows_to_users_what_another_sign_in_opens() {
    let policy = McpPolicy::builder()
        .tool("plain", Requirement::authenticated())
        .and_then(|policy| policy.tool("strong", mfa()))
        .and_then(|policy| {
            let scoped = Requirement::all(["pay"])?.and(&mfa().into());
            policy.tool("strong_and_scoped", scoped)
        })
        .and_then(|policy| policy.build())
        .unwrap();
    let user = |scope: &str| json!({ "acr": "pwd", "scope": scope });
    let client = |scope: &str| json!({ "sub": "app", "scope": scope });
    for (show, claims, shown) in [
        (
            Show::Reachable,
            user(""),
            &["plain", "strong", "strong_and_scoped"][..],
        ),
        (
            Show::ByCaller,
            user(""),
            &["plain", "strong", "strong_and_scoped"],
        ),
        (Show::Granted, user(""), &["plain", "strong"]),
        (
            Show::Granted,
            user("pay"),
            &["plain", "strong", "strong_and_scoped"],
        ),
        (Show::Reachable, client("pay"), &["plain"]),
        (Show::Granted, client("pay"), &["plain"]),
    ] {
        let service = ServiceBuilder::new()
            .layer(auth(&clock()))
            .layer(McpScopesLayer::new(policy.clone()))
            .layer(McpListsLayer::new(policy.clone()).show(show))
            .service_fn(tools);
        let headers = [("authorization", &*bearer(claims.clone()))];
        let list = message(&request("tools/list", &json!({})), &headers);
        let response = service.oneshot(list).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let tools = body["result"]["tools"].as_array().unwrap();
        let names: Vec<&str> = tools
            .iter()
            .map(|tool| tool["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, shown, "{show:?} {claims}");
    }
}
