//! The metadata document (RFC 8414).

use serde_json::{Value, json};

use super::super::endpoint::Endpoint;
use super::super::shared::Shared;
use crate::jose::Algorithm;

/// The metadata (RFC 8414 section 2). The last two members are for clients that read the
/// document as OpenID Connect Discovery, where they are required; there are no ID tokens.
pub(in super::super) fn document(shared: &Shared) -> Value {
    let url = |endpoint| shared.paths.url(endpoint);
    let names: Vec<&str> = shared
        .keys
        .algorithms()
        .iter()
        .map(|alg| alg.name())
        .collect();
    let mut document = json!({
        "issuer": shared.url,
        "authorization_endpoint": url(Endpoint::Authorize),
        "token_endpoint": url(Endpoint::Token),
        "jwks_uri": url(Endpoint::Jwks),
        "registration_endpoint": url(Endpoint::Register),
        "introspection_endpoint": url(Endpoint::Introspect),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported":
            ["none", "client_secret_basic", "client_secret_post"],
        "introspection_endpoint_auth_methods_supported":
            shared.introspection.names(),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": names,
    });
    if !shared.scopes_supported.is_empty() {
        document["scopes_supported"] = shared.scopes_supported.clone().into();
    }
    if shared.introspection.names().contains(&"private_key_jwt") {
        document["introspection_endpoint_auth_signing_alg_values_supported"] =
            Algorithm::ASYMMETRIC.map(Algorithm::name).into();
    }
    if shared.introspection.signed_for.is_some() {
        // RFC 9701 section 7: without it RS256 is meant.
        document["introspection_signing_alg_values_supported"] = json!([names[0]]);
    }
    document
}
