//! The examples of RFC 9449 sections 6.2 and 7.1, and of RFC 7638 section 3.1.

use std::time::Duration;

use http::Request;
use http_body_util::Full;
use serde_json::json;
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::oauth::binding::DpopMode;
use tower_mcp_auth::{Clock, OAuthLayer};

use super::super::introspection::{ENDPOINT, introspection};
use super::super::support::{Answer, Guarded, Page, Web};

const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik\
    VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR\
    nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE\
    QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIj\
    oiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0Z\
    WRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNF\
    c05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71E\
    OptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
const IAT: u64 = 1_562_262_618;

/// The resource of the examples, whose server says of the token what section 6.2 does.
async fn ask(jkt: &str, path: &str, proof: &str) -> Answer {
    let issuer = "https://server.example.com";
    let web = Web::new();
    let said = json!({
        "active": true, "iss": issuer, "sub": "someone@example.com", "nbf": 1_562_262_611_u64,
        "exp": 1_562_266_216_u64, "cnf": {"jkt": jkt}, "token_type": "DPoP",
        "aud": "https://resource.example.org",
    });
    let tokens = [(TOKEN.to_owned(), said)];
    web.set(ENDPOINT, Page::Tokens(tokens.into()));
    let server = AuthorizationServer::new(issuer)
        .unwrap()
        .introspection(introspection())
        .unwrap()
        .dpop(DpopMode::Required);
    let clock = Clock::manual(Duration::from_secs(IAT));
    let layer = OAuthLayer::builder("https://resource.example.org")
        .unwrap()
        .authorization_server(server)
        .unwrap()
        .clock(clock.clone())
        .fetch(web)
        .build()
        .unwrap();
    let request = Request::get(path)
        .header("authorization", format!("DPoP {TOKEN}"))
        .header("dpop", proof);
    let request = request.body(Full::default()).unwrap();
    Guarded::of(layer, clock).ask(request).await
}

#[tokio::test]
async fn the_request_of_section_7_1_is_accepted() {
    let answer = ask(JKT, "/protectedresource", PROOF).await;
    answer.assert(200, "accepted");
    let answer = ask(JKT, "/another", PROOF).await;
    answer.assert(401, "dpop_uri_mismatch");
    let (input, _) = PROOF.rsplit_once('.').unwrap();
    let answer = ask(
        JKT,
        "/protectedresource",
        &format!("{input}.{}", "A".repeat(86)),
    )
    .await;
    answer.assert(401, "invalid_dpop_signature");
}

/// The key of RFC 7638, which is none of the proof.
#[tokio::test]
async fn another_thumbprint_is_another_key() {
    let other = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    let answer = ask(other, "/protectedresource", PROOF).await;
    answer.assert(401, "dpop_key_mismatch");
}

/// Thumbprints of RSA keys: the key of RFC 7638 section 3.1 is found, and only its signature is not.
#[tokio::test]
async fn the_thumbprint_of_rfc_7638_is_found() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;

    const N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhD\
        R1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65\
        YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFT\
        WhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let jwk = json!({
        "kty": "RSA", "n": N, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
    });
    let header = json!({"typ": "dpop+jwt", "alg": "RS256", "jwk": jwk});
    let payload = PROOF.split('.').nth(1).unwrap();
    let proof = format!(
        "{}.{payload}.{}",
        B64.encode(header.to_string()),
        "A".repeat(342)
    );
    let thumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    let answer = ask(thumbprint, "/protectedresource", &proof).await;
    answer.assert(401, "invalid_dpop_signature");
}
