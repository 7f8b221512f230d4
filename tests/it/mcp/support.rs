//! A caller whose token says its scopes, and a server that says what it received.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::ServiceBuilder;
use tower::layer::util::{Identity, Stack};
use tower_mcp_auth::auth::{AuthLayer, Authenticated, Authentication};
use tower_mcp_auth::mcp::{McpPolicy, McpScopesLayer, OriginLayer};
use tower_mcp_auth::{Challenge, Principal};

use common::{Answer, Answering, ask};

pub(crate) const METADATA: &str =
    "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";

/// Accepts `Bearer a.b` as alice with the scopes `a` and `b`; `/open` needs no credential.
pub(crate) fn auth() -> AuthLayer<Answering> {
    let provider = Answering::new(|credential| {
        let scopes = credential.value().split('.').filter(|name| *name != "-");
        let scopes = tower_mcp_auth::scopes::Scopes::from_names(scopes).unwrap();
        let principal = Principal::builder("test").subject("alice").scopes(scopes);
        Authentication::Ready(Ok(Authenticated::new(principal.build())))
    });
    let challenge = Challenge::bearer().resource_metadata(METADATA);
    AuthLayer::new(provider.challenges([challenge]))
        .public_path("/open")
        .unwrap()
}

pub(crate) type Guarded<L> = ServiceBuilder<Stack<L, Stack<AuthLayer<Answering>, Identity>>>;

pub(crate) fn behind_auth<L>(layer: L) -> Guarded<L> {
    ServiceBuilder::new().layer(auth()).layer(layer)
}

pub(crate) fn mcp(policy: McpPolicy) -> Guarded<McpScopesLayer> {
    behind_auth(McpScopesLayer::new(policy))
}

pub(crate) const RESOURCE: &str = "https://mcp.example.com/mcp";

pub(crate) fn origin() -> OriginLayer {
    OriginLayer::new(RESOURCE).unwrap()
}

/// A POST of JSON to the resource, with these headers besides.
pub(crate) fn message(body: &str, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let mut request = Request::post("/mcp")
        .header("host", "mcp.example.com")
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::from(body.to_owned())).unwrap()
}

/// A POST of JSON with the scopes of `token`.
pub(crate) fn post(token: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post("/mcp")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Full::new(body.into()))
        .unwrap()
}

pub(crate) async fn send(policy: &McpPolicy, token: &str, body: &str) -> Answer {
    ask(&mcp(policy.clone()), post(token, body.to_owned())).await
}

pub(crate) fn call(tool: &str) -> String {
    let params = serde_json::json!({ "name": tool, "arguments": {} });
    request("tools/call", &params)
}

pub(crate) fn request(method: &str, params: &serde_json::Value) -> String {
    serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
}

/// Keeps the bodies it was given, with their trailers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keeper(pub(crate) Arc<Mutex<Vec<http_body_util::Collected<Bytes>>>>);

impl Keeper {
    pub(crate) async fn serve<B: Body<Data = Bytes>>(
        self,
        request: Request<B>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let Ok(body) = request.into_body().collect().await else {
            panic!("the body broke");
        };
        self.0.lock().unwrap().push(body);
        Ok(Response::new(Full::default()))
    }
}
