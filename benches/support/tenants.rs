//! A layer with many tenants behind one template, and requests to some of them.

use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Request};
use tower_mcp_auth::oauth::{ProtectedResource, TokenCacheOptions};
use tower_mcp_auth::{OAuthLayer, Tenants};

use super::drive::Body;
use super::tokens::Key;

const HOST_NAME: &str = "mcp.example.com";

/// A tenant, and a token for it.
pub(crate) struct Visit {
    path: String,
    token: String,
}

/// The first `count` tenants, with a token for each.
pub(crate) fn visits(key: &Key, count: usize) -> Vec<Visit> {
    let visit = |number| {
        let path = format!("/tenant-{number}/mcp");
        let audience = format!("https://{HOST_NAME}{path}");
        let token = format!("Bearer {}", key.token_for(number, &audience));
        Visit { path, token }
    };
    (0..count).map(visit).collect()
}

/// A layer with `count` tenants.
pub(crate) fn layer(key: &Key, count: usize) -> OAuthLayer {
    let tenants = Tenants::new((0..count).map(|number| format!("tenant-{number}"))).unwrap();
    let template = format!("https://{HOST_NAME}/{{tenant}}/mcp");
    let template = ProtectedResource::from_template(template, tenants).unwrap();
    OAuthLayer::builder(template)
        .unwrap()
        .authorization_server(key.server())
        .unwrap()
        .token_cache(TokenCacheOptions::new())
        .build()
        .unwrap()
}

impl Visit {
    pub(crate) fn request(&self) -> Request<Body> {
        let mut request = Request::post(&*self.path).body(Body::default()).unwrap();
        let token = HeaderValue::from_str(&self.token).unwrap();
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_static(HOST_NAME));
        headers.insert(AUTHORIZATION, token);
        request
    }
}
