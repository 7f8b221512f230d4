//! Entra ID: two versions of tokens, and tenants with keys of their own.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::oauth::presets::entra;

use crate::oauth::presets::fixture::{Provider, RS256};
use crate::oauth::presets::support::{Guarded, Page, RESOURCE, Web};

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const OTHER: &str = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";
/// That of personal Microsoft accounts.
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
const APP: &str = "6e74172b-be56-4843-9ff4-e66a39bb12e3";
const CLIENT: &str = "75dbe77f-10a3-4e59-85fd-8c127544f17c";
const KID: &str = "jS1Xo1OWDj_52vbwGNgvQO2VzMc";

fn issuer(tenant: &str) -> String {
    format!("https://login.microsoftonline.com/{tenant}/v2.0")
}

fn keys_of(tenant: &str) -> String {
    format!("https://login.microsoftonline.com/{tenant}/discovery/v2.0/keys")
}

fn v2() -> Provider {
    Provider {
        signer: &RS256,
        document: (
            "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0/.well-known/openid-configuration",
            json!({
                "issuer": issuer(TENANT),
                "authorization_endpoint": "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/oauth2/v2.0/authorize",
                "token_endpoint": "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/oauth2/v2.0/token",
                "jwks_uri": keys_of(TENANT),
                "tenant_region_scope": "NA",
                "cloud_instance_name": "microsoftonline.com",
            }),
        ),
        key: json!({
            "x5t": KID, "x5c": ["MIIDBTCCAe2gAwIBAgIQ"], "issuer": "https://login.microsoftonline.com/{tenantid}/v2.0",
        }),
        header: json!({"typ": "JWT", "kid": KID}),
        claims: json!({
            "aud": APP,
            "iss": issuer(TENANT),
            "nbf": 1_799_999_940,
            "aio": "AXQAi/8IAAAAtAaZLo3ChMif6KOnttRB7eBq4",
            "azp": CLIENT,
            "azpacr": "0",
            "name": "Abe Lincoln",
            "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474",
            "preferred_username": "abeli@microsoft.com",
            "rh": "I",
            "scp": "access_as_user mcp.read",
            "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
            "tid": TENANT,
            "uti": "fqiBqXLPj0eQa82S-IYFAA",
            "ver": "2.0",
        }),
    }
}

fn id_token() -> Value {
    json!({"azp": null, "azpacr": null, "scp": null})
}

#[tokio::test]
async fn tokens_of_version_2_are_for_the_application_and_of_one_tenant() {
    let server = || entra::v2(TENANT, APP).unwrap();
    let provider = v2();
    let who = provider.is_accepted_by(server()).await;
    assert_eq!(who.client_id(), Some(CLIENT));
    assert_eq!(who.scopes().as_str(), "access_as_user mcp.read");
    provider
        .judge(
            server(),
            vec![
                (
                    "ID token of the application",
                    id_token(),
                    "wrong_token_type",
                ),
                (
                    "ID token with roles",
                    json!({"azp": null, "azpacr": null, "scp": null, "roles": ["Admin"]}),
                    "wrong_token_type",
                ),
                (
                    "ID token with nonce",
                    json!({"azp": null, "azpacr": null, "scp": null, "nonce": "n"}),
                    "wrong_token_type",
                ),
                (
                    "application without a user",
                    json!({"scp": null, "roles": ["Mcp.Read.All"], "azpacr": "1", "idtyp": "app"}),
                    "accepted",
                ),
                (
                    "other application",
                    json!({"aud": CLIENT}),
                    "audience_mismatch",
                ),
                (
                    "Graph",
                    json!({"aud": "00000003-0000-0000-c000-000000000000"}),
                    "audience_mismatch",
                ),
                (
                    "the resource is no audience here",
                    json!({"aud": RESOURCE}),
                    "audience_mismatch",
                ),
                (
                    "other tenant",
                    json!({"iss": issuer(OTHER), "tid": OTHER}),
                    "issuer_mismatch",
                ),
                (
                    "tid of another tenant",
                    json!({"tid": OTHER}),
                    "claim_mismatch",
                ),
                (
                    "version 1",
                    json!({"iss": format!("https://sts.windows.net/{TENANT}/")}),
                    "issuer_mismatch",
                ),
                (
                    "the template itself",
                    json!({"iss": "https://login.microsoftonline.com/{tenantid}/v2.0"}),
                    "issuer_mismatch",
                ),
                ("scp of another type", json!({"scp": 5}), "malformed_token"),
            ],
        )
        .await;
}

#[tokio::test]
async fn scopes_and_application_roles_take_the_names_clients_ask_for() {
    let server = entra::v2(TENANT, APP)
        .unwrap()
        .scopes_from_claim(["scp"], [("mcp.read", "api://mcp/mcp.read")])
        .unwrap()
        .scopes_from_claim(["roles"], [("Mcp.Read.All", "api://mcp/mcp.read")])
        .unwrap();
    let provider = v2();
    let mut guarded = provider.guard(server.clone());
    guarded.layer = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(server)
        .unwrap()
        .required_scopes(["api://mcp/mcp.read"])
        .clock(guarded.clock.clone())
        .fetch(provider.web())
        .build()
        .unwrap();
    for (changes, status) in [
        (json!({}), 200),
        (json!({"scp": "mcp.write"}), 403),
        (json!({"scp": null, "roles": ["Mcp.Read.All"]}), 200),
        (json!({"scp": null, "roles": ["Mcp.Other"]}), 403),
    ] {
        let answer = guarded.bearer(&provider.token(&changes)).await;
        assert_eq!(answer.status.as_u16(), status, "{changes}");
        if status == 403 {
            assert!(answer.challenge().contains("scope=\"api://mcp/mcp.read\""));
        }
    }
}

#[tokio::test]
async fn tokens_of_version_1_have_another_issuer_and_other_names() {
    let mut provider = v2();
    let sts = format!("https://sts.windows.net/{TENANT}/");
    provider.document.1["issuer"] = json!(sts);
    provider.document.1["jwks_uri"] = json!(format!(
        "https://login.microsoftonline.com/{TENANT}/discovery/keys"
    ));
    provider.key = json!({"x5t": KID});
    provider.header = json!({"typ": "JWT", "kid": KID, "x5t": KID});
    provider.claims = json!({
        "aud": "api://mcp", "iss": sts, "nbf": 1_799_999_940, "acr": "1", "amr": ["wia"],
        "appid": CLIENT, "appidacr": "0", "oid": "02223b6b-aa1d-42d4-9ec0-1b2bb9194438",
        "scp": "user_impersonation", "sub": "l3_roISQU222bULS9yi2k0XpqpOiMz5H3ZACo1GeXA",
        "tid": TENANT, "unique_name": "abeli@microsoft.com", "ver": "1.0",
    });
    let server = || entra::v1(TENANT, "api://mcp").unwrap();
    let who = provider.is_accepted_by(server()).await;
    assert_eq!(who.client_id(), Some(CLIENT));
    provider
        .judge(
            server(),
            vec![
                (
                    "ID token",
                    json!({"aud": APP, "appid": null, "appidacr": null, "scp": null}),
                    "audience_mismatch",
                ),
                (
                    "other application",
                    json!({"aud": "api://files"}),
                    "audience_mismatch",
                ),
                (
                    "the id instead of the URI",
                    json!({"aud": APP}),
                    "audience_mismatch",
                ),
                (
                    "other tenant",
                    json!({"iss": format!("https://sts.windows.net/{OTHER}/"), "tid": OTHER}),
                    "issuer_mismatch",
                ),
                (
                    "version 2",
                    json!({"iss": issuer(TENANT)}),
                    "issuer_mismatch",
                ),
            ],
        )
        .await;
    let both = server().audience(APP).unwrap();
    provider
        .judge(
            both,
            vec![
                (
                    "the id, where it was asked for",
                    json!({"aud": APP}),
                    "accepted",
                ),
                (
                    "an ID token then",
                    json!({"aud": APP, "appid": null, "appidacr": null, "scp": null}),
                    "wrong_token_type",
                ),
            ],
        )
        .await;
}

/// A network where each tenant publishes `key`.
fn tenants(key: &Value) -> Web {
    let web = Web::new();
    for tenant in [TENANT, OTHER, CONSUMERS] {
        web.set(&keys_of(tenant), Page::Json(json!({"keys": [key]})));
    }
    web
}

fn key(issuer: &str) -> Value {
    let mut key = RS256.jwk(KID);
    key["issuer"] = json!(issuer);
    key
}

#[tokio::test]
async fn several_tenants_are_an_allow_list() {
    let web = tenants(&key("https://login.microsoftonline.com/{tenantid}/v2.0"));
    let server = entra::tenants([TENANT, OTHER], APP).unwrap();
    let guarded = Guarded::with_server(&web, server);
    let provider = v2();
    let mut principals = Vec::new();
    for (name, changes, reason) in [
        ("first", json!({}), "accepted"),
        (
            "second",
            json!({"iss": issuer(OTHER), "tid": OTHER}),
            "accepted",
        ),
        ("tid of the other", json!({"tid": OTHER}), "claim_mismatch"),
        ("no tid", json!({"tid": null}), "claim_mismatch"),
        (
            "not listed",
            json!({"iss": issuer(CONSUMERS), "tid": CONSUMERS}),
            "issuer_mismatch",
        ),
        (
            "organizations",
            json!({"iss": issuer("organizations")}),
            "issuer_mismatch",
        ),
        (
            "other application",
            json!({"aud": CLIENT}),
            "audience_mismatch",
        ),
        ("ID token", id_token(), "wrong_token_type"),
    ] {
        let answer = guarded.bearer(&provider.token(&changes)).await;
        assert_eq!(answer.reason(), reason, "{name}: {}", answer.detail());
        principals.extend(answer.principal);
    }
    assert_ne!(principals[0], principals[1], "one `sub` in two tenants");
    assert_eq!(web.count(&keys_of(CONSUMERS)), 0);
    let document = metadata(&guarded).await;
    assert_eq!(
        document["authorization_servers"],
        json!(["https://login.microsoftonline.com/organizations/v2.0"]),
        "whose tenants are trusted is nobody else's business"
    );
}

async fn metadata(guarded: &Guarded) -> Value {
    let inner = tower::service_fn(async |_: Request<Full<Bytes>>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let request = Request::get("/.well-known/oauth-protected-resource/mcp");
    let service = guarded.layer.layer(inner);
    let response = service
        .oneshot(request.body(Full::default()).unwrap())
        .await;
    let body = response.unwrap().into_body().collect().await.unwrap();
    serde_json::from_slice(&body.to_bytes()).unwrap()
}

#[tokio::test]
async fn a_key_that_names_an_issuer_signs_for_that_one_alone() {
    let provider = v2();
    for (own, first, second) in [
        (
            "https://login.microsoftonline.com/{tenantid}/v2.0",
            "accepted",
            "accepted",
        ),
        (&*issuer(TENANT), "accepted", "keys_unavailable"),
        (&*issuer(CONSUMERS), "keys_unavailable", "keys_unavailable"),
        (
            "https://login.microsoftonline.com/{tenantid}",
            "keys_unavailable",
            "keys_unavailable",
        ),
        (
            "https://sts.windows.net/{tenantid}/",
            "keys_unavailable",
            "keys_unavailable",
        ),
        (
            "https://evil.example/{tenantid}/v2.0",
            "keys_unavailable",
            "keys_unavailable",
        ),
        // Means something else.
        ("Acme Root CA", "accepted", "accepted"),
    ] {
        let server = entra::tenants([TENANT, OTHER], APP).unwrap();
        let guarded = Guarded::with_server(&tenants(&key(own)), server);
        let answer = guarded.bearer(&provider.token(&json!({}))).await;
        assert_eq!(answer.reason(), first, "{own}");
        let other = json!({"iss": issuer(OTHER), "tid": OTHER});
        let answer = guarded.bearer(&provider.token(&other)).await;
        assert_eq!(answer.reason(), second, "{own}");
    }
}

#[tokio::test]
async fn one_key_set_for_all_tenants_is_restricted_by_its_issuers() {
    let common = "https://login.microsoftonline.com/common/discovery/v2.0/keys";
    let web = Web::new();
    web.set(common, Page::Json(json!({"keys": [key(&issuer(OTHER))]})));
    let server = entra::tenants([TENANT, OTHER], APP)
        .unwrap()
        .jwks_uri(common)
        .unwrap();
    let guarded = Guarded::with_server(&web, server);
    let provider = v2();
    let other = json!({"iss": issuer(OTHER), "tid": OTHER});
    guarded
        .bearer(&provider.token(&other))
        .await
        .assert(200, "accepted");
    guarded
        .bearer(&provider.token(&json!({})))
        .await
        .assert(503, "keys_unavailable");
}
