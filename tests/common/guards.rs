//! The layers that share one contract, each with a credential it accepts.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tower_mcp_auth::ApiKeyLayer;
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::auth::{AuthLayer, Authenticate};

use super::{good_token, hs256_layer, request_to};

pub const API_KEY: &str = "Zm9yLXRoZS10ZXN0cy1vbmx5LTE3";

/// A layer, and a header it accepts.
#[derive(Debug)]
pub struct Guard {
    pub name: &'static str,
    pub layer: AuthLayer<Arc<dyn Authenticate>>,
    pub header: &'static str,
    pub good: String,
    /// The credential inside `good`.
    pub credential: String,
    /// The `error` member of its 401s.
    pub message: &'static str,
}

impl Guard {
    pub fn good_request(&self, uri: &str) -> Request<Full<Bytes>> {
        request_to(uri, &[(self.header, &self.good)])
    }

    /// Without a credential.
    pub fn bare_request(&self, uri: &str) -> Request<Full<Bytes>> {
        request_to::<&str>(uri, &[])
    }
}

pub fn api_key_guard() -> Guard {
    let key = ApiKey::new(API_KEY).unwrap().name("alice");
    Guard {
        name: "api key",
        layer: ApiKeyLayer::new([key]).unwrap().boxed(),
        header: "x-api-key",
        good: API_KEY.to_owned(),
        credential: API_KEY.to_owned(),
        message: "Invalid API key",
    }
}

pub fn jwt_guard() -> Guard {
    let token = good_token();
    Guard {
        name: "jwt",
        layer: hs256_layer().boxed(),
        header: "authorization",
        good: format!("Bearer {token}"),
        credential: token,
        message: "Invalid or expired JWT token",
    }
}

pub fn guards() -> [Guard; 2] {
    [api_key_guard(), jwt_guard()]
}
