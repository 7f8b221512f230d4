//! `private_key_jwt` at the introspection endpoint.
//!
//! A second issuer serves as the client: it has a key, and it signs whatever it is told to.

use serde_json::{Value, json};
use tower_mcp_auth::jose::{Algorithm, PublicKey};
use tower_mcp_auth::testing::{Endpoint, IntrospectionAuth, Issuer, TokenBuilder};

use super::super::{http, quick};
use super::{NOW, clock, outcome};

const ID: &str = "mcp@example.com:1";
const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A key that is not signed with here.
pub(super) fn key() -> PublicKey {
    // RFC 7517 appendix A.1.
    PublicKey::from_jwk(
        r#"{"kty":"EC","crv":"P-256",
            "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}"#,
    )
    .unwrap()
}

/// A client with a key, and the issuer that knows it.
struct Parties {
    client: Issuer,
    issuer: Issuer,
}

impl Parties {
    async fn meet() -> Self {
        let client = quick().clock(clock()).start().await.unwrap();
        let jwk = client.jwks()["keys"][0].to_string();
        let own = PublicKey::from_jwk(jwk).unwrap();
        let issuer = quick()
            .clock(clock())
            .client("with-a-secret", "secret")
            .introspection_auth([
                IntrospectionAuth::private_key_jwt("other", key()),
                IntrospectionAuth::private_key_jwt(ID, own),
            ])
            .start()
            .await
            .unwrap();
        Self { client, issuer }
    }

    /// A good assertion.
    fn assertion(&self) -> TokenBuilder {
        self.client
            .token()
            .without_claim("client_id")
            .without_claim("iat")
            .header("typ", "JWT")
            .claim("iss", ID)
            .subject(ID)
            .audience(self.issuer.url())
            .claim("exp", NOW + 60)
    }

    async fn ask(&self, assertion: &str, more: &[(&str, &str)]) -> (u16, String) {
        let token = self.issuer.token().opaque();
        let mut form = vec![
            ("token", &*token),
            ("client_assertion", assertion),
            ("client_assertion_type", TYPE),
        ];
        form.extend(more);
        let url = self.issuer.endpoint(Endpoint::Introspect);
        outcome(http().post(url).form(&form)).await
    }
}

#[tokio::test]
async fn an_assertion_is_good_once() {
    let parties = Parties::meet().await;
    let active = (200, "active true".to_owned());
    let refused = (401, "invalid_client".to_owned());
    let assertion = parties.assertion().sign();
    assert_eq!(parties.ask(&assertion, &[]).await, active);
    assert_eq!(parties.ask(&assertion, &[]).await, refused, "replayed");
    let endpoint = parties.issuer.endpoint(Endpoint::Introspect);
    for good in [
        parties.assertion(),
        parties.assertion().claim("iat", NOW).claim("nbf", NOW),
        parties.assertion().claim("aud", &*endpoint),
        parties
            .assertion()
            .claim("aud", json!(["https://a.example", parties.issuer.url()])),
        parties.assertion().without_header("kid"),
        parties.assertion().claim("exp", NOW + 3600),
    ] {
        let named = [("client_id", ID)];
        let assertion = good.sign();
        assert_eq!(parties.ask(&assertion, &named).await, active, "{assertion}");
    }
}

#[tokio::test]
async fn assertions_that_prove_nothing() {
    let parties = Parties::meet().await;
    let good = || parties.assertion();
    let mut assertions: Vec<String> = [
        good().with_wrong_key(),
        good().unsigned(),
        good().algorithm(Algorithm::HS256),
        good().claim("iss", "https://other.example"),
        good()
            .subject("with-a-secret")
            .claim("iss", "with-a-secret"),
        good().subject("other").claim("iss", "other"),
        good().without_claim("sub"),
        good().without_claim("iss"),
        good().without_claim("aud"),
        good().claim("aud", format!("{}/", parties.issuer.url())),
        good().claim("aud", json!([])),
        good().without_claim("exp"),
        good().claim("exp", NOW),
        good().claim("exp", NOW + 3601),
        good().claim("exp", "tomorrow"),
        good().claim("nbf", NOW + 1),
        good().claim("iat", NOW + 1),
        good().without_claim("jti"),
        good().claim("jti", Value::Null),
    ]
    .map(TokenBuilder::sign)
    .to_vec();
    assertions.push("not-a-jwt".to_owned());
    let refused = (401, "invalid_client".to_owned());
    for assertion in assertions {
        assert_eq!(parties.ask(&assertion, &[]).await, refused, "{assertion}");
    }
    // What is refused is not used up, and another client does not lend its name.
    let assertion = good().sign();
    let other = [("client_id", "other")];
    assert_eq!(parties.ask(&assertion, &other).await, refused);
    assert_eq!(parties.ask(&assertion, &[]).await.0, 200);
}
