//! Providers that write the resource, or a stand-in for it, into `aud`.

use serde_json::json;
use tower_mcp_auth::oauth::presets::{
    auth0, authentik, descope, hydra, keycloak, logto, okta, ping_one, workos, zitadel,
};

use crate::oauth::presets::fixture::{ES384, Provider, RS256};
use crate::oauth::presets::support::{Guarded, Page, RESOURCE};

fn auth0() -> Provider {
    Provider {
        signer: &RS256,
        document: (
            "https://acme.eu.auth0.com/.well-known/openid-configuration",
            json!({
                "issuer": "https://acme.eu.auth0.com/",
                "authorization_endpoint": "https://acme.eu.auth0.com/authorize",
                "token_endpoint": "https://acme.eu.auth0.com/oauth/token",
                "userinfo_endpoint": "https://acme.eu.auth0.com/userinfo",
                "jwks_uri": "https://acme.eu.auth0.com/.well-known/jwks.json",
                "registration_endpoint": "https://acme.eu.auth0.com/oidc/register",
                "id_token_signing_alg_values_supported": ["HS256", "RS256", "PS256"],
            }),
        ),
        key: json!({"alg": "RS256", "x5t": "f0Ei6Kcq1K5DW2mCbYvNeyXqlpo", "x5c": ["MIIDDTCCAfWgAwIBAgIJ"]}),
        header: json!({"typ": "JWT", "kid": "tT5mHJX6yVvL8nQ2d9Kf1"}),
        claims: json!({
            "iss": "https://acme.eu.auth0.com/",
            "sub": "auth0|123456",
            "aud": [RESOURCE, "https://acme.eu.auth0.com/userinfo"],
            "azp": "my_client_id",
            "scope": "openid profile mcp:read",
            "permissions": ["mcp:write"],
            "https://example.com/roles": ["editor"],
        }),
    }
}

#[tokio::test]
async fn auth0_api_tokens_pass_and_its_id_tokens_do_not() {
    let server = || auth0::server("acme.eu.auth0.com").unwrap();
    let provider = auth0();
    let who = provider.is_accepted_by(server()).await;
    assert_eq!(who.client_id(), Some("my_client_id"));
    assert!(who.scopes().contains("mcp:read"));
    let id_token = json!({
        "aud": "my_client_id", "azp": null, "scope": null, "permissions": null,
        "nonce": "n-0S6_WzA2Mj", "sid": "s", "name": "A", "email": "a@example.com",
    });
    provider
        .judge(
            server(),
            vec![
                ("ID token", id_token.clone(), "wrong_token_type"),
                (
                    "ID token without nonce",
                    json!({"aud": "my_client_id", "scope": null}),
                    "audience_mismatch",
                ),
                (
                    "other API",
                    json!({"aud": ["https://example.com/health-api"]}),
                    "audience_mismatch",
                ),
                (
                    "userinfo alone",
                    json!({"aud": "https://acme.eu.auth0.com/userinfo"}),
                    "audience_mismatch",
                ),
                (
                    "other tenant",
                    json!({"iss": "https://globex.eu.auth0.com/"}),
                    "issuer_mismatch",
                ),
                (
                    "issuer without slash",
                    json!({"iss": "https://acme.eu.auth0.com"}),
                    "issuer_mismatch",
                ),
            ],
        )
        .await;
    // The RFC 9068 profile.
    let rfc_9068 =
        json!({"azp": null, "client_id": "my_client_id", "jti": "73WakrfVbNJBaAmhQtEeDv"});
    provider
        .judge_with_header(
            server().require_at_jwt(),
            vec![
                (
                    "at+jwt",
                    json!({"typ": "at+jwt"}),
                    rfc_9068.clone(),
                    "accepted",
                ),
                ("JWT", json!({}), rfc_9068, "wrong_token_type"),
            ],
        )
        .await;
}

#[tokio::test]
async fn auth0_permissions_replace_scopes_and_roles_of_a_named_claim_add_some() {
    let server = auth0::server("acme.eu.auth0.com")
        .unwrap()
        .scope_claim("permissions")
        .unwrap()
        .scopes_from_claim(["https://example.com/roles"], [("editor", "mcp:edit")])
        .unwrap();
    let who = auth0().is_accepted_by(server).await;
    assert_eq!(who.scopes().as_str(), "mcp:write mcp:edit");
}

fn okta() -> Provider {
    let issuer = "https://acme.okta.com/oauth2/aus1a2b3";
    Provider {
        signer: &RS256,
        document: (
            "https://acme.okta.com/oauth2/aus1a2b3/.well-known/oauth-authorization-server",
            json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/v1/authorize"),
                "token_endpoint": format!("{issuer}/v1/token"),
                "registration_endpoint": "https://acme.okta.com/oauth2/v1/clients",
                "jwks_uri": format!("{issuer}/v1/keys"),
                "introspection_endpoint": format!("{issuer}/v1/introspect"),
            }),
        ),
        key: json!({"alg": "RS256"}),
        header: json!({"kid": "lRKOBs6DK8HVFOxXmmV5DqKbO6LqVvC6XJ5Ke7y2QyQ"}),
        claims: json!({
            "ver": 1,
            "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
            "iss": issuer,
            "aud": RESOURCE,
            "sub": "user@example.com",
            "cid": "0oa8oeugsu4z0mM7r0h7",
            "uid": "00ujmkLgagxeRrAg20g3",
            "auth_time": 1_799_999_000,
            "scp": ["openid", "mcp:read"],
            "groups": ["Everyone", "MCP Editors"],
        }),
    }
}

#[tokio::test]
async fn okta_scopes_are_an_array_and_the_client_is_cid() {
    let server = || okta::server("acme.okta.com", "aus1a2b3").unwrap();
    let provider = okta();
    let who = provider
        .is_accepted_by(
            server()
                .scopes_from_claim(["groups"], [("MCP Editors", "mcp:edit")])
                .unwrap(),
        )
        .await;
    assert_eq!(who.client_id(), Some("0oa8oeugsu4z0mM7r0h7"));
    assert_eq!(who.scopes().as_str(), "openid mcp:read mcp:edit");
    let id_token = json!({
        "aud": "0oa8oeugsu4z0mM7r0h7", "cid": null, "uid": null, "scp": null, "jti": "ID.4eAWJOCMB3SX8XewDfVR",
        "amr": ["pwd"], "idp": "00ok1u7AsAkrwdZL3z0g3", "at_hash": "cpqKfdQA5eH891Ff5oJr_Q",
    });
    provider
        .judge(
            server(),
            vec![
                ("ID token", id_token, "wrong_token_type"),
                (
                    "other audience",
                    json!({"aud": "api://default"}),
                    "audience_mismatch",
                ),
                (
                    "client as audience",
                    json!({"aud": "0oa8oeugsu4z0mM7r0h7"}),
                    "audience_mismatch",
                ),
                (
                    "other server of the org",
                    json!({"iss": "https://acme.okta.com/oauth2/default"}),
                    "issuer_mismatch",
                ),
                (
                    "org server",
                    json!({"iss": "https://acme.okta.com", "aud": "https://acme.okta.com"}),
                    "issuer_mismatch",
                ),
                (
                    "other org",
                    json!({"iss": "https://globex.okta.com/oauth2/aus1a2b3"}),
                    "issuer_mismatch",
                ),
                ("cid of another type", json!({"cid": 5}), "malformed_token"),
                ("no audience", json!({"aud": null}), "missing_audience"),
            ],
        )
        .await;
}

fn keycloak() -> Provider {
    let issuer = "https://id.example.com/realms/acme";
    Provider {
        signer: &RS256,
        document: (
            "https://id.example.com/realms/acme/.well-known/openid-configuration",
            json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/protocol/openid-connect/auth"),
                "token_endpoint": format!("{issuer}/protocol/openid-connect/token"),
                "introspection_endpoint": format!("{issuer}/protocol/openid-connect/token/introspect"),
                "jwks_uri": format!("{issuer}/protocol/openid-connect/certs"),
                "registration_endpoint": format!("{issuer}/clients-registrations/openid-connect"),
            }),
        ),
        key: json!({"alg": "RS256", "x5c": ["MIICmzCCAYMCBgF"], "x5t#S256": "kHuw0c7yyXqK"}),
        header: json!({"typ": "JWT", "kid": "FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE"}),
        claims: json!({
            "jti": "onrtac:7b4a1b2c-4a5b-4f3f-9d7a-1f0b2c3d4e5f",
            "iss": issuer,
            "aud": [RESOURCE, "account"],
            "sub": "f1c4f64e-2c0c-4cda-8c9f-9f3f8f3a2b0e",
            "typ": "Bearer",
            "azp": "mcp-client",
            "sid": "4c0a3a8a-3a47-4f2f-8e89-9e5f9b0a0a0a",
            "acr": "1",
            "allowed-origins": ["https://client.example.com"],
            "realm_access": {"roles": ["default-roles-acme", "mcp-reader"]},
            "resource_access": {"account": {"roles": ["manage-account"]}, "mcp": {"roles": ["editor"]}},
            "scope": "openid profile mcp:tools",
            "email_verified": true,
            "preferred_username": "ada",
        }),
    }
}

#[tokio::test]
async fn keycloak_account_is_no_audience_and_roles_become_scopes() {
    let server = || keycloak::server("https://id.example.com", "acme").unwrap();
    let provider = keycloak();
    let mapped = server()
        .scopes_from_claim(["realm_access", "roles"], [("mcp-reader", "mcp:read")])
        .unwrap()
        .scopes_from_claim(
            ["resource_access", "mcp", "roles"],
            [
                ("editor", "mcp:read mcp:write"),
                ("manage-account", "mcp:admin"),
            ],
        )
        .unwrap();
    let who = provider.is_accepted_by(mapped).await;
    assert_eq!(who.client_id(), Some("mcp-client"));
    assert_eq!(
        who.scopes().as_str(),
        "openid profile mcp:tools mcp:read mcp:write"
    );
    provider
        .judge(
            server(),
            vec![
                (
                    "account alone",
                    json!({"aud": "account"}),
                    "missing_audience",
                ),
                ("no audience", json!({"aud": null}), "missing_audience"),
                (
                    "other resource",
                    json!({"aud": ["account", "https://files.example.com"]}),
                    "audience_mismatch",
                ),
                (
                    "ID token",
                    json!({"typ": "ID", "aud": "mcp-client", "scope": null, "at_hash": "x"}),
                    "wrong_token_type",
                ),
                (
                    "refresh token",
                    json!({"typ": "Refresh"}),
                    "wrong_token_type",
                ),
                (
                    "offline token",
                    json!({"typ": "Offline"}),
                    "wrong_token_type",
                ),
                (
                    "nonce beside scope, before release 25",
                    json!({"nonce": "n"}),
                    "accepted",
                ),
                (
                    "other realm",
                    json!({"iss": "https://id.example.com/realms/globex"}),
                    "issuer_mismatch",
                ),
            ],
        )
        .await;
    // Where no mapper can be added: the client, by `azp` and nothing else.
    let by_client = server().client_ids(["mcp-client"]).unwrap();
    provider
        .judge(
            by_client,
            vec![
                ("account alone", json!({"aud": "account"}), "accepted"),
                ("no audience", json!({"aud": null}), "accepted"),
                (
                    "other client",
                    json!({"aud": "account", "azp": "shop"}),
                    "client_mismatch",
                ),
                (
                    "client_id says otherwise",
                    json!({"aud": null, "azp": "shop", "client_id": "mcp-client"}),
                    "client_mismatch",
                ),
                (
                    "other resource",
                    json!({"aud": "https://files.example.com"}),
                    "audience_mismatch",
                ),
                ("empty list", json!({"aud": []}), "audience_mismatch"),
                (
                    "no scope: nothing says what it is",
                    json!({"aud": null, "scope": null}),
                    "wrong_token_type",
                ),
            ],
        )
        .await;
}

#[tokio::test]
async fn keycloak_keys_come_from_the_back_channel() {
    let provider = keycloak();
    let inside = "https://keycloak.internal:8443/realms/acme/protocol/openid-connect/certs";
    let mut behind = keycloak();
    behind.document.1["jwks_uri"] = json!(inside);
    let server = keycloak::server_with_back_channel(
        "https://id.example.com",
        "https://keycloak.internal:8443",
        "acme",
    );
    behind.is_accepted_by(server.unwrap()).await;

    let inside = "http://keycloak:8080/realms/acme/protocol/openid-connect/certs";
    behind.document.1["jwks_uri"] = json!(inside);
    let server = keycloak::server("https://id.example.com/", "acme").unwrap();
    let plain = server
        .dangerously_allow_http_to("keycloak")
        .unwrap()
        .jwks_uri(inside)
        .unwrap();
    behind.is_accepted_by(plain).await;
    assert_eq!(provider.kid(), behind.kid());
}

fn authentik() -> Provider {
    let issuer = "https://id.example.com/application/o/mcp/";
    Provider {
        signer: &RS256,
        document: (
            "https://id.example.com/application/o/mcp/.well-known/openid-configuration",
            json!({
                "issuer": issuer,
                "authorization_endpoint": "https://id.example.com/application/o/authorize/",
                "token_endpoint": "https://id.example.com/application/o/token/",
                "introspection_endpoint": "https://id.example.com/application/o/introspect/",
                "jwks_uri": "https://id.example.com/application/o/mcp/jwks/",
            }),
        ),
        key: json!({"alg": "RS256", "x5c": ["MIIFVDCCAzygAwIBAgIR"]}),
        header: json!({"typ": "JWT", "kid": "a3f1c0de7b"}),
        claims: json!({
            "iss": issuer,
            "sub": "9f86d081884c7d659a2feaa0c55ad015",
            "aud": "hnNNgTkvRjJ1bPTbz7dY",
            "auth_time": 1_799_999_000,
            "acr": "goauthentik.io/providers/oauth2/default",
            "amr": ["pwd"],
            "nonce": "n-0S6_WzA2Mj",
            "sid": "2cf24dba5fb0a30e",
            "email": "ada@example.com",
            "groups": ["mcp-readers"],
            "azp": "hnNNgTkvRjJ1bPTbz7dY",
            "uid": "GfZbs8LkN2bVxYQ0pTt3",
        }),
    }
}

#[tokio::test]
async fn authentik_access_tokens_are_told_by_uid() {
    let server = || {
        authentik::server("https://id.example.com", "mcp", "hnNNgTkvRjJ1bPTbz7dY")
            .unwrap()
            .scopes_from_claim(["groups"], [("mcp-readers", "mcp:read")])
            .unwrap()
    };
    let provider = authentik();
    let who = provider.is_accepted_by(server()).await;
    assert_eq!(who.scopes().as_str(), "mcp:read");
    provider
        .judge(
            server(),
            vec![
                (
                    "ID token",
                    json!({"azp": null, "uid": null}),
                    "wrong_token_type",
                ),
                (
                    "ID token without nonce",
                    json!({"azp": null, "uid": null, "nonce": null}),
                    "wrong_token_type",
                ),
                (
                    "ID token of a refresh",
                    json!({"at_hash": "x"}),
                    "wrong_token_type",
                ),
                (
                    "other application's client",
                    json!({"aud": "shop", "azp": "shop"}),
                    "audience_mismatch",
                ),
                (
                    "other application",
                    json!({"iss": "https://id.example.com/application/o/shop/"}),
                    "issuer_mismatch",
                ),
                (
                    "issuer without slash",
                    json!({"iss": "https://id.example.com/application/o/mcp"}),
                    "issuer_mismatch",
                ),
            ],
        )
        .await;
}

fn workos() -> Provider {
    let issuer = "https://acme.authkit.app";
    Provider {
        signer: &RS256,
        document: (
            "https://acme.authkit.app/.well-known/oauth-authorization-server",
            json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/oauth2/authorize"),
                "token_endpoint": format!("{issuer}/oauth2/token"),
                "registration_endpoint": format!("{issuer}/oauth2/register"),
                "introspection_endpoint": format!("{issuer}/oauth2/introspection"),
                "jwks_uri": format!("{issuer}/oauth2/jwks"),
            }),
        ),
        key: json!({"alg": "RS256", "x5c": ["MIICWDCCAcGgAwIBAgIU"]}),
        header: json!({"kid": "sso_oidc_key_pair_01HB"}),
        claims: json!({
            "iss": issuer,
            "sub": "user_01HBEQKA6K4QJAS93VPE39W1JT",
            "aud": RESOURCE,
            "org_id": "org_01HRDMC6CM357W30QMHMQ96Q0S",
            "role": "member",
            "permissions": ["posts:read"],
            "scope": "openid profile email",
            "sid": "session_01HQSXZGF8FHF7A9ZZFCW4387R",
            "jti": "01HQSXZXPPFPKMDD32RKTFY6PV",
        }),
    }
}

#[tokio::test]
async fn workos_tokens_are_bound_to_the_resource_and_an_organization() {
    let server = || {
        workos::server("acme.authkit.app")
            .unwrap()
            .require_claim("org_id", ["org_01HRDMC6CM357W30QMHMQ96Q0S"])
            .unwrap()
    };
    let provider = workos();
    provider.is_accepted_by(server()).await;
    provider
        .judge(
            server(),
            vec![
                (
                    "no resource asked for",
                    json!({"aud": "client_01HBEQK"}),
                    "audience_mismatch",
                ),
                (
                    "ID token",
                    json!({"aud": "client_01HBEQK", "scope": null, "nonce": "n"}),
                    "wrong_token_type",
                ),
                (
                    "session token",
                    json!({"iss": "https://api.workos.com", "aud": null, "scope": null}),
                    "issuer_mismatch",
                ),
                (
                    "other environment",
                    json!({"iss": "https://globex.authkit.app"}),
                    "issuer_mismatch",
                ),
                (
                    "other organization",
                    json!({"org_id": "org_other"}),
                    "claim_mismatch",
                ),
                ("no organization", json!({"org_id": null}), "claim_mismatch"),
                (
                    "a list with the organization",
                    json!({"org_id": ["org_01HRDMC6CM357W30QMHMQ96Q0S"]}),
                    "accepted",
                ),
                (
                    "organization of another type",
                    json!({"org_id": {"id": "org_01HRDMC6CM357W30QMHMQ96Q0S"}}),
                    "claim_mismatch",
                ),
            ],
        )
        .await;
}

fn descope() -> Provider {
    let issuer = "https://api.descope.com/v1/apps/agentic/P2aBcDeFg/MS3aBcDeFg";
    Provider {
        signer: &RS256,
        document: (
            "https://api.descope.com/v1/apps/agentic/P2aBcDeFg/MS3aBcDeFg/.well-known/openid-configuration",
            json!({
                "issuer": issuer,
                "jwks_uri": "https://api.descope.com/P2aBcDeFg/.well-known/jwks.json",
                "authorization_endpoint": "https://api.descope.com/oauth2/v1/apps/agentic/P2aBcDeFg/MS3aBcDeFg/authorize",
                "token_endpoint": "https://api.descope.com/oauth2/v1/apps/agentic/P2aBcDeFg/MS3aBcDeFg/token",
                "scopes_supported": ["openid", "mcp:read"],
                "response_types_supported": ["code"],
            }),
        ),
        key: json!({"alg": "RS256"}),
        header: json!({"typ": "JWT", "kid": "SK2aBcDeFg"}),
        claims: json!({
            "iss": issuer,
            "sub": "U2aBcDeFg",
            "aud": [RESOURCE, "P2aBcDeFg"],
            "azp": "TPA2aBcDeFg",
            "scope": "openid mcp:read",
            "permissions": [],
            "roles": [],
        }),
    }
}

#[tokio::test]
async fn descope_servers_of_a_project_share_keys_and_nothing_else() {
    let server = || descope::server("P2aBcDeFg", "MS3aBcDeFg").unwrap();
    let provider = descope();
    provider.is_accepted_by(server()).await;
    provider
        .judge(
            server(),
            vec![
                (
                    "project alone",
                    json!({"aud": ["P2aBcDeFg"]}),
                    "missing_audience",
                ),
                (
                    "client and project",
                    json!({"aud": ["TPA2aBcDeFg", "P2aBcDeFg"]}),
                    "audience_mismatch",
                ),
                (
                    "other MCP server",
                    json!({"iss": "https://api.descope.com/v1/apps/agentic/P2aBcDeFg/MS9"}),
                    "issuer_mismatch",
                ),
                (
                    "session of the project",
                    json!({"iss": "https://api.descope.com/P2aBcDeFg"}),
                    "issuer_mismatch",
                ),
                (
                    "ID token",
                    json!({"scope": null, "nonce": "n"}),
                    "wrong_token_type",
                ),
            ],
        )
        .await;
}

fn logto() -> Provider {
    let issuer = "https://acme.logto.app/oidc";
    Provider {
        signer: &ES384,
        document: (
            "https://acme.logto.app/oidc/.well-known/openid-configuration",
            json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/auth"),
                "token_endpoint": format!("{issuer}/token"),
                "introspection_endpoint": format!("{issuer}/token/introspection"),
                "jwks_uri": format!("{issuer}/jwks"),
            }),
        ),
        key: json!({"alg": "ES384"}),
        header: json!({"typ": "at+jwt", "kid": "NyVvL8nQ2d9Kf1tT5mHJX6"}),
        claims: json!({
            "jti": "VovNyqJ5_tuYac89eTbpF",
            "sub": "rkxl1ops7gs1",
            "scope": "mcp:read",
            "client_id": "your-client-id",
            "iss": issuer,
            "aud": RESOURCE,
        }),
    }
}

#[tokio::test]
async fn logto_tokens_are_for_an_api_resource() {
    let server = || logto::server("acme.logto.app").unwrap();
    let provider = logto();
    let who = provider.is_accepted_by(server()).await;
    assert_eq!(who.client_id(), Some("your-client-id"));
    provider
        .judge_with_header(server(), vec![
            ("ID token", json!({"typ": null}), json!({"aud": "your-client-id", "client_id": null, "scope": null, "at_hash": "x"}), "wrong_token_type"),
            ("other API", json!({}), json!({"aud": "https://api.example.com"}), "audience_mismatch"),
            ("organization token", json!({}), json!({"aud": "urn:logto:organization:org_1"}), "audience_mismatch"),
            ("other tenant", json!({}), json!({"iss": "https://globex.logto.app/oidc"}), "issuer_mismatch"),
        ])
        .await;
}

fn hydra() -> Provider {
    let issuer = "https://id.example.com";
    Provider {
        signer: &RS256,
        document: (
            "https://id.example.com/.well-known/openid-configuration",
            json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/oauth2/auth"),
                "token_endpoint": format!("{issuer}/oauth2/token"),
                "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
            }),
        ),
        key: json!({"alg": "RS256"}),
        header: json!({"typ": "JWT", "kid": "public:hydra.jwt.access-token"}),
        claims: json!({
            "aud": [RESOURCE],
            "client_id": "my-client",
            "ext": {"roles": ["editor"]},
            "iss": issuer,
            "jti": "9b0f1d0c-4b2c-4a9a-9f6f-6c2f1f0e8a7b",
            "nbf": 1_799_999_940,
            "scp": ["mcp:read", "offline"],
            "sub": "foo@bar.com",
        }),
    }
}

#[tokio::test]
async fn hydra_scopes_are_in_scp_and_consented_claims_below_ext() {
    let server = || {
        hydra::server("https://id.example.com")
            .unwrap()
            .scopes_from_claim(["ext", "roles"], [("editor", "mcp:edit")])
            .unwrap()
    };
    let provider = hydra();
    let who = provider.is_accepted_by(server()).await;
    assert_eq!(who.scopes().as_str(), "mcp:read offline mcp:edit");
    provider
        .judge(server(), vec![
            ("ID token", json!({"aud": ["my-client"], "scp": null, "at_hash": "x", "rat": 1_799_999_000}), "wrong_token_type"),
            ("other audience", json!({"aud": ["https://api.my-cloud.com/user"]}), "audience_mismatch"),
            ("audience not granted", json!({"aud": []}), "audience_mismatch"),
            ("other issuer", json!({"iss": "https://id.example.com/"}), "issuer_mismatch"),
        ])
        .await;
}

fn zitadel() -> Provider {
    let issuer = "https://acme.zitadel.cloud";
    Provider {
        signer: &RS256,
        document: (
            "https://acme.zitadel.cloud/.well-known/openid-configuration",
            json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/oauth/v2/authorize"),
                "token_endpoint": format!("{issuer}/oauth/v2/token"),
                "introspection_endpoint": format!("{issuer}/oauth/v2/introspect"),
                "jwks_uri": format!("{issuer}/oauth/v2/keys"),
            }),
        ),
        key: json!({"alg": "RS256"}),
        header: json!({"typ": "JWT", "kid": "81693565968962154"}),
        claims: json!({
            "iss": issuer,
            "sub": "77776025198584418",
            "aud": ["165699244046811651@mcp", "69234237810729019"],
            "azp": "165699244046811651@mcp",
            "jti": "84a4d2f1",
            "nbf": 1_799_999_940,
            "urn:zitadel:iam:org:project:roles": {"reader": {"159023498346496003": "acme.zitadel.cloud"}},
        }),
    }
}

#[tokio::test]
async fn zitadel_tokens_are_for_a_project_and_roles_are_an_object() {
    let server = || {
        zitadel::server("acme.zitadel.cloud", "69234237810729019")
            .unwrap()
            .scopes_from_claim(
                ["urn:zitadel:iam:org:project:roles"],
                [("reader", "mcp:read"), ("159023498346496003", "mcp:admin")],
            )
            .unwrap()
    };
    let provider = zitadel();
    let who = provider.is_accepted_by(server()).await;
    assert_eq!(who.client_id(), Some("165699244046811651@mcp"));
    assert_eq!(who.scopes().as_str(), "mcp:read");
    provider
        .judge(
            server(),
            vec![
                (
                    "ID token",
                    json!({"jti": null, "amr": ["pwd"], "sid": "s"}),
                    "wrong_token_type",
                ),
                (
                    "ID token with at_hash",
                    json!({"jti": null, "at_hash": "x"}),
                    "wrong_token_type",
                ),
                (
                    "other project",
                    json!({"aud": ["165699244046811651@mcp", "1"]}),
                    "audience_mismatch",
                ),
                (
                    "other instance",
                    json!({"iss": "https://globex.zitadel.cloud"}),
                    "issuer_mismatch",
                ),
                (
                    "roles of another type",
                    json!({"urn:zitadel:iam:org:project:roles": 5}),
                    "malformed_token",
                ),
            ],
        )
        .await;
}

fn ping_one() -> Provider {
    let issuer = "https://auth.pingone.eu/b1a2c3d4-5e6f-4a7b-8c9d-0e1f2a3b4c5d/as";
    Provider {
        signer: &RS256,
        document: (
            "https://auth.pingone.eu/b1a2c3d4-5e6f-4a7b-8c9d-0e1f2a3b4c5d/as/.well-known/openid-configuration",
            json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"),
                "introspection_endpoint": format!("{issuer}/introspect"),
                "jwks_uri": format!("{issuer}/jwks"),
            }),
        ),
        key: json!({"alg": "RS256"}),
        header: json!({"kid": "default"}),
        claims: json!({
            "client_id": "7f2a1b3c",
            "iss": issuer,
            "sub": "5e6f7a8b",
            "aud": [RESOURCE],
            "scope": "mcp:read",
            "sid": "0a1b2c3d",
        }),
    }
}

#[tokio::test]
async fn ping_one_tokens_are_for_a_custom_resource() {
    let environment = "b1a2c3d4-5e6f-4a7b-8c9d-0e1f2a3b4c5d";
    let server = || ping_one::server("auth.pingone.eu", environment).unwrap();
    let provider = ping_one();
    provider.is_accepted_by(server()).await;
    provider
        .judge(server(), vec![
            ("ID token", json!({"aud": "7f2a1b3c", "client_id": null, "scope": null, "at_hash": "x"}), "wrong_token_type"),
            ("platform API", json!({"aud": ["https://api.pingone.eu"], "env": environment, "org": "o"}), "audience_mismatch"),
            ("other environment", json!({"iss": "https://auth.pingone.eu/11111111-5e6f-4a7b-8c9d-0e1f2a3b4c5d/as"}), "issuer_mismatch"),
        ])
        .await;
}

#[tokio::test]
async fn servers_of_ones_own_run_on_loopback_for_development() {
    let table = [
        (
            keycloak(),
            "https://id.example.com",
            keycloak::insecure_http_on_loopback("http://localhost:8080", "acme"),
        ),
        (
            authentik(),
            "https://id.example.com",
            authentik::insecure_http_on_loopback(
                "http://localhost:8080",
                "mcp",
                "hnNNgTkvRjJ1bPTbz7dY",
            ),
        ),
        (
            hydra(),
            "https://id.example.com",
            hydra::insecure_http_on_loopback("http://localhost:8080"),
        ),
    ];
    for (mut provider, from, server) in table {
        let local = |value: &str| json!(value.replace(from, "http://localhost:8080"));
        let place = local(provider.document.0);
        for name in ["issuer", "jwks_uri"] {
            let moved = local(provider.document.1[name].as_str().unwrap());
            provider.document.1[name] = moved;
        }
        provider.claims["iss"] = provider.document.1["issuer"].clone();
        let web = provider.web();
        let document = Page::Json(provider.document.1.clone());
        web.set(place.as_str().unwrap(), document);
        let guarded = Guarded::with_server(&web, server.unwrap());
        let answer = guarded.bearer(&provider.token(&json!({}))).await;
        answer.assert(200, "accepted");
    }
    let elsewhere = "http://id.example.com";
    assert!(keycloak::insecure_http_on_loopback(elsewhere, "acme").is_err());
    assert!(authentik::insecure_http_on_loopback(elsewhere, "mcp", "c").is_err());
    assert!(hydra::insecure_http_on_loopback(elsewhere).is_err());
}
