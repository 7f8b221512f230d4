//! A token that looks right in all but its signature, which it does not have.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::client::Client;
use super::codes;
use super::endpoint::{Endpoint, look_at_bad_token};
use super::findings::Findings;
use super::metadata::Metadata;
use super::options::Options;
use super::probes::{initialize, made_up, set};

/// Presents it.
pub(super) async fn look(
    client: &Arc<Client>,
    options: &Options,
    endpoint: &Endpoint,
    metadata: &Metadata,
    findings: &mut Findings,
) {
    let Some(issuer) = metadata.issuers.first() else {
        return;
    };
    // A token of an unknown issuer would be refused for that, whatever its signature is.
    let configured = options.expected.iter().flat_map(|own| &own.servers);
    let mut of_tokens = configured.filter(|own| own.issuer == *issuer);
    let issuer = of_tokens.next().map_or(issuer, |own| &own.token_issuer);
    let resource = metadata.resource.as_ref().unwrap_or(&options.written);
    let now = options.clock.now();
    let claims = json!({
        "iss": issuer, "aud": resource, "sub": made_up(), "client_id": made_up(), "jti": made_up(),
        "scope": metadata.scopes.join(" "),
        "iat": now.as_secs(), "exp": now.saturating_add(Duration::from_secs(300)).as_secs(),
    });
    // Not only the signature is missing: nothing but `none` may pass without one.
    let header = json!({ "alg": "none", "typ": "at+jwt" });
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let mut call = initialize(&options.url);
    let token = format!("Bearer {}.{}.", part(header), part(claims));
    set(&mut call, "authorization", &token);
    let Ok(answer) = client.one(call).await else {
        return;
    };
    // Where any request is refused with the wrong status, that was reported.
    let is_reported = findings.has(codes::WRONG_STATUS_WITHOUT_TOKEN);
    if !(is_reported && endpoint.status == Some(answer.status)) {
        look_at_bad_token(
            &answer,
            "a JWT that was made up, without a signature",
            findings,
        );
    }
}
