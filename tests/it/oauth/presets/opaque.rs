//! Providers whose opaque tokens are asked about, each in its own way.

use serde_json::{Value, json};
use tower_mcp_auth::oauth::presets::{
    authentik, clerk, google, hydra, keycloak, logto, okta, ping_one, workos, zitadel,
};
use tower_mcp_auth::oauth::{AuthorizationServer, Introspection};

use crate::oauth::presets::fixture::RS256;
use crate::oauth::presets::support::*;
use crate::oauth::presets::trace;

const OPAQUE: &str = "VjVxyCZmRmWYqd3_F5db9Pb9mHR5fqzhn";

/// Publishes what an endpoint says of `token`.
fn says(web: &Web, endpoint: &str, token: &str, said: Value) {
    let tokens = [(token.to_owned(), said)].into_iter().collect();
    web.set(endpoint, Page::Tokens(tokens));
}

fn exp() -> u64 {
    START.as_secs() + 3600
}

async fn judge(
    server: AuthorizationServer,
    endpoint: &str,
    said: &Value,
    table: Vec<(&str, Value, &str)>,
) {
    for (name, changes, reason) in table {
        let web = Web::new();
        says(&web, endpoint, OPAQUE, changed(said.clone(), &changes));
        let guarded = Guarded::with_server(&web, server.clone());
        let answer = guarded.bearer(OPAQUE).await;
        assert_eq!(answer.reason(), reason, "{name}: {}", answer.detail());
        assert_eq!(web.count(endpoint), 1, "{name}");
    }
}

#[tokio::test]
async fn zitadel_is_asked_with_form_encoded_credentials_and_answers_for_the_project() {
    let introspection = zitadel::introspection("acme.zitadel.cloud")
        .unwrap()
        .client_secret_basic("78366401571920522@amce", "veryweaksecret!")
        .unwrap();
    let server = zitadel::server("acme.zitadel.cloud", "69234237810729019")
        .unwrap()
        .introspection(introspection)
        .unwrap()
        .scopes_from_claim(
            ["urn:zitadel:iam:org:project:roles"],
            [("reader", "mcp:read")],
        )
        .unwrap();
    let endpoint = "https://acme.zitadel.cloud/oauth/v2/introspect";
    let said = json!({
        "active": true, "scope": "openid", "client_id": "165699244046811651@mcp", "token_type": "Bearer",
        "exp": exp(), "iat": START.as_secs(), "nbf": START.as_secs(), "sub": "77776025198584418",
        "aud": ["165699244046811651@mcp", "69234237810729019"], "iss": "https://acme.zitadel.cloud",
        "jti": "V2_1", "username": "ada@acme.zitadel.cloud",
        "urn:zitadel:iam:org:project:roles": {"reader": {"1": "acme.zitadel.cloud"}},
    });
    let web = Web::new();
    says(&web, endpoint, OPAQUE, said.clone());
    let guarded = Guarded::with_server(&web, server.clone());
    let who = guarded.bearer(OPAQUE).await.who.unwrap();
    assert_eq!(who.scopes().as_str(), "openid mcp:read");
    // The example of Zitadel's documentation.
    let expected = "Basic NzgzNjY0MDE1NzE5MjA1MjIlNDBhbWNlOnZlcnl3ZWFrc2VjcmV0JTIx";
    assert_eq!(web.last(endpoint).headers["authorization"], expected);
    judge(
        server,
        endpoint,
        &said,
        vec![
            (
                "other project",
                json!({"aud": ["165699244046811651@mcp"]}),
                "audience_mismatch",
            ),
            (
                "other issuer",
                json!({"iss": "https://globex.zitadel.cloud"}),
                "issuer_mismatch",
            ),
            ("inactive", json!({"active": false}), "inactive_token"),
            ("ID token", json!({"at_hash": "x"}), "wrong_token_type"),
        ],
    )
    .await;
}

#[tokio::test]
async fn hydra_is_asked_at_its_administrative_port_and_refresh_tokens_are_refused() {
    let endpoint = "http://hydra-admin:4445/admin/oauth2/introspect";
    let introspection = || hydra::introspection("http://hydra-admin:4445").unwrap();
    let server = || {
        hydra::server("https://id.example.com")
            .unwrap()
            .dangerously_allow_http_to("hydra-admin")
            .unwrap()
    };
    let error = server().introspection(introspection()).unwrap_err();
    assert_eq!(error.setting(), "introspection");
    let open = introspection().dangerously_unauthenticated().unwrap();
    let server = server().introspection(open).unwrap();
    let said = json!({
        "active": true, "scope": "mcp:read offline", "client_id": "my-client", "sub": "foo@bar.com",
        "exp": exp(), "iat": START.as_secs(), "nbf": START.as_secs(), "aud": [RESOURCE],
        "iss": "https://id.example.com", "token_type": "Bearer", "token_use": "access_token",
        "ext": {"roles": ["editor"]},
    });
    let web = Web::new();
    says(&web, endpoint, OPAQUE, said.clone());
    let guarded = Guarded::with_server(&web, server.clone());
    let who = guarded.bearer(OPAQUE).await.who.unwrap();
    assert_eq!(who.scopes().as_str(), "mcp:read offline", "in `scope` here");
    assert!(!web.last(endpoint).headers.contains_key("authorization"));
    judge(
        server,
        endpoint,
        &said,
        vec![
            (
                "refresh token",
                json!({"token_use": "refresh_token"}),
                "wrong_token_type",
            ),
            (
                "other audience",
                json!({"aud": ["https://files.example.com"]}),
                "audience_mismatch",
            ),
            (
                "audience not granted",
                json!({"aud": []}),
                "audience_mismatch",
            ),
            ("no audience", json!({"aud": null}), "missing_audience"),
        ],
    )
    .await;
}

#[tokio::test]
async fn clerk_is_asked_about_its_own_tokens_alone_and_answers_with_a_client() {
    let introspection = clerk::introspection("acme.clerk.accounts.dev")
        .unwrap()
        .client_secret_basic("client_2xhFjEI5X2qWRvtV13BzSj8H6Dk", "5kX0v3qWbT7")
        .unwrap();
    let server = clerk::server("acme.clerk.accounts.dev")
        .unwrap()
        .client_ids(["client_2xhFjEI5X2qWRvtV13BzSj8H6Dk"])
        .unwrap()
        .introspection(introspection)
        .unwrap();
    let endpoint = "https://acme.clerk.accounts.dev/oauth/token_info";
    let token = "oat_0ef5a7a33d87ed87ee7954c845d80450";
    let said = json!({
        "active": true, "client_id": "client_2xhFjEI5X2qWRvtV13BzSj8H6Dk", "iat": START.as_secs(),
        "scope": "profile email", "sub": "user_2xhFjEI5X2qWRvtV13BzSj8H6Dk",
    });
    for (changes, reason) in [
        (json!({}), "accepted"),
        (json!({"client_id": "client_other"}), "client_mismatch"),
        (json!({"client_id": null}), "missing_client"),
        (
            json!({"aud": "https://files.example.com"}),
            "audience_mismatch",
        ),
        // Nothing says what it is.
        (json!({"scope": null}), "wrong_token_type"),
    ] {
        let web = Web::new();
        says(&web, endpoint, token, changed(said.clone(), &changes));
        let guarded = Guarded::with_server(&web, server.clone());
        let answer = guarded.bearer(token).await;
        assert_eq!(answer.reason(), reason, "{changes}");
    }
    let web = Web::new();
    let guarded = Guarded::with_server(&web, server);
    guarded.bearer(OPAQUE).await.assert(401, "unknown_token");
    assert!(web.log().is_empty());
}

#[tokio::test]
async fn each_endpoint_is_where_its_provider_has_it() {
    let secret = |introspection: Introspection| {
        introspection
            .client_secret_basic("client", "kf8Zq-3vT-x0W")
            .unwrap()
    };
    let keycloak_url =
        "https://id.example.com/realms/acme/protocol/openid-connect/token/introspect";
    let table = [
        (
            okta::server("acme.okta.com", "default").unwrap(),
            okta::introspection("acme.okta.com", "default").unwrap(),
            "https://acme.okta.com/oauth2/default/v1/introspect",
        ),
        (
            keycloak::server("https://id.example.com", "acme").unwrap(),
            keycloak::introspection("https://id.example.com", "acme").unwrap(),
            keycloak_url,
        ),
        (
            logto::server("acme.logto.app").unwrap(),
            logto::introspection("acme.logto.app").unwrap(),
            "https://acme.logto.app/oidc/token/introspection",
        ),
        (
            workos::server("acme.authkit.app").unwrap(),
            workos::introspection("acme.authkit.app").unwrap(),
            "https://acme.authkit.app/oauth2/introspection",
        ),
        (
            ping_one::server("auth.pingone.eu", "e1").unwrap(),
            ping_one::introspection("auth.pingone.eu", "e1").unwrap(),
            "https://auth.pingone.eu/e1/as/introspect",
        ),
    ];
    for (server, introspection, endpoint) in table {
        let said = json!({
            "active": true, "iss": server.issuer(), "aud": RESOURCE, "scope": "mcp:read", "sub": "ada",
            "client_id": "app", "exp": exp(), "token_type": "Bearer",
        });
        let server = server.introspection(secret(introspection)).unwrap();
        judge(
            server,
            endpoint,
            &said,
            vec![
                ("good", json!({}), "accepted"),
                (
                    "other audience",
                    json!({"aud": "https://files.example.com"}),
                    "audience_mismatch",
                ),
                ("no audience", json!({"aud": null}), "missing_audience"),
                (
                    "Keycloak's own, or none",
                    json!({"aud": ["account"]}),
                    if endpoint == keycloak_url {
                        "missing_audience"
                    } else {
                        "audience_mismatch"
                    },
                ),
            ],
        )
        .await;
    }
}

/// Answers name the client by RFC 7662, whatever its tokens call it.
#[tokio::test]
async fn an_answer_names_the_client_as_the_standard_does() {
    const ENDPOINT: &str = "https://acme.okta.com/oauth2/default/v1/introspect";
    let server = || {
        let introspection = okta::introspection("acme.okta.com", "default").unwrap();
        let introspection = introspection.client_secret_basic("client", "kf8Zq-3vT-x0W");
        let server = okta::server("acme.okta.com", "default").unwrap();
        server.introspection(introspection.unwrap()).unwrap()
    };
    for (named, client) in [
        (json!({ "client_id": "app" }), Some("app")),
        (json!({ "client_id": "app", "cid": null }), Some("app")),
        (json!({ "client_id": "app", "cid": "own" }), Some("own")),
        (json!({}), None),
    ] {
        let said = json!({
            "active": true, "iss": server().issuer(), "aud": RESOURCE, "scope": "mcp:read",
            "sub": "ada", "exp": exp(), "token_type": "Bearer",
        });
        let web = Web::new();
        says(&web, ENDPOINT, OPAQUE, changed(said, &named));
        let answer = Guarded::with_server(&web, server()).bearer(OPAQUE).await;
        answer.assert(200, "accepted");
        let principal = answer.who.as_ref().unwrap();
        assert_eq!(principal.client_id(), client, "{named}");
    }
}

/// They have no audience, no subject and no roles; the answer has.
#[tokio::test]
async fn keycloak_lightweight_tokens_are_judged_by_what_the_realm_says_of_them() {
    let issuer = "https://id.example.com/realms/acme";
    let keys = "https://id.example.com/realms/acme/protocol/openid-connect/certs";
    let endpoint = "https://id.example.com/realms/acme/protocol/openid-connect/token/introspect";
    let now = START.as_secs();
    let light = json!({
        "exp": now + 300, "iat": now, "jti": "onrtac:1", "iss": issuer, "typ": "Bearer", "azp": "agent",
        "sid": "s", "scope": "mcp:use",
    });
    let full = json!({
        "active": true, "exp": now + 300, "iat": now, "jti": "onrtac:1", "iss": issuer, "sub": "ada",
        "aud": [RESOURCE, "account"], "typ": "Bearer", "token_type": "Bearer", "azp": "agent",
        "client_id": "agent", "username": "ada", "scope": "mcp:use",
        "realm_access": {"roles": ["mcp-reader"]},
    });
    let sign = |changes: Value| {
        RS256.sign(
            &json!({"typ": "JWT", "kid": "k"}),
            &changed(light.clone(), &changes),
        )
    };
    let introspect = || {
        let introspection = keycloak::introspection("https://id.example.com", "acme").unwrap();
        introspection
            .client_secret_basic("client", "kf8Zq-3vT-x0W")
            .unwrap()
    };
    let realm = || {
        let realm = keycloak::server("https://id.example.com", "acme").unwrap();
        realm
            .scopes_from_claim(["realm_access", "roles"], [("mcp-reader", "mcp:read")])
            .unwrap()
    };
    for introspection in [
        introspect().introspect_jwts().unwrap(),
        introspect().introspect_jwts_only().unwrap(),
    ] {
        let server = realm().introspection(introspection).unwrap();
        let good = json!({});
        for (name, token, answer, reason) in [
            ("good", json!({}), good.clone(), "accepted"),
            (
                "not active",
                json!({}),
                json!({"active": false}),
                "inactive_token",
            ),
            (
                "for another",
                json!({}),
                json!({"aud": ["account", "https://other.example"]}),
                "audience_mismatch",
            ),
            (
                "for nobody",
                json!({}),
                json!({"aud": "account"}),
                "missing_audience",
            ),
            (
                "no audience",
                json!({}),
                json!({"aud": null}),
                "missing_audience",
            ),
            (
                "another issuer",
                json!({}),
                json!({"iss": "https://id.example.com/realms/x"}),
                "issuer_mismatch",
            ),
            (
                "a refresh token",
                json!({}),
                json!({"typ": "Refresh"}),
                "wrong_token_type",
            ),
            (
                "bound",
                json!({}),
                json!({"cnf": {"jkt": "x"}}),
                "bound_token",
            ),
        ] {
            let web = Web::new();
            web.set(keys, Page::Json(json!({"keys": [RS256.jwk("k")]})));
            let token = sign(token);
            says(&web, endpoint, &token, changed(full.clone(), &answer));
            let guarded = Guarded::with_server(&web, server.clone());
            for _ in 0..2 {
                let answer = guarded.bearer(&token).await;
                assert_eq!(answer.reason(), reason, "{name}: {}", answer.detail());
                if let Some(who) = answer.who {
                    assert_eq!(who.subject(), Some("ada"));
                    assert!(who.scopes().contains("mcp:read"), "{:?}", who.scopes());
                }
            }
            assert_eq!(web.count(endpoint), 1, "{name}");
        }
    }
    // Where the token itself is judged, no server is asked about what is refused anyway.
    let server = realm()
        .introspection(introspect().introspect_jwts().unwrap())
        .unwrap();
    let web = Web::new();
    web.set(keys, Page::Json(json!({"keys": [RS256.jwk("k")]})));
    let guarded = Guarded::with_server(&web, server);
    let good = sign(json!({}));
    let (input, _) = good.rsplit_once('.').unwrap();
    for (token, reason) in [
        (format!("{input}.AAAA"), "invalid_signature"),
        (sign(json!({"exp": now - 100})), "expired"),
        (sign(json!({"typ": "Refresh"})), "wrong_token_type"),
        (sign(json!({"cnf": {"jkt": "x"}})), "bound_token"),
        (
            sign(json!({"aud": "https://other.example"})),
            "audience_mismatch",
        ),
        (
            sign(json!({"iss": "https://id.example.com/realms/x"})),
            "issuer_mismatch",
        ),
    ] {
        guarded.bearer(&token).await.assert(401, reason);
    }
    assert_eq!(web.count(endpoint), 0);
    // Without introspection no provider takes such a token.
    let guarded = Guarded::with_server(&web, realm());
    guarded.bearer(&good).await.assert(401, "missing_audience");
}

#[tokio::test]
async fn authentik_is_asked_about_its_jwts_and_no_opaque_token_passes() {
    let issuer = "https://id.example.com/application/o/mcp/";
    let introspection = authentik::introspection("https://id.example.com")
        .unwrap()
        .client_secret_basic("client", "kf8Zq-3vT-x0W")
        .unwrap();
    let server = authentik::server("https://id.example.com", "mcp", "client")
        .unwrap()
        .introspection(introspection)
        .unwrap();
    let endpoint = "https://id.example.com/application/o/introspect/";
    let claims = json!({
        "iss": issuer, "sub": "ada", "aud": "client", "azp": "client", "uid": "u", "nonce": "n", "exp": exp(),
    });
    let token = RS256.sign(&json!({"kid": "a"}), &claims);
    let mut said = changed(
        claims,
        &json!({"uid": null, "azp": null, "scope": "openid", "client_id": "client"}),
    );
    for (active, reason) in [(true, "accepted"), (false, "inactive_token")] {
        let web = Web::new();
        let keys = json!({"keys": [RS256.jwk("a")]});
        web.set(&format!("{issuer}jwks/"), Page::Json(keys));
        said["active"] = json!(active);
        says(&web, endpoint, &token, said.clone());
        let guarded = Guarded::with_server(&web, server.clone());
        assert_eq!(guarded.bearer(&token).await.reason(), reason);
        let refused = guarded.bearer(OPAQUE).await;
        assert_eq!(refused.status, 401);
        assert_eq!(web.count(endpoint), 1);
    }
}

const GOOGLE_TOKEN: &str = "ya29.a0AfB_byC-example_token-1234567890";
const GOOGLE_CLIENT: &str = "407408718192-a1b2c3d4e5.apps.googleusercontent.com";

fn token_info(token: &str) -> String {
    format!("https://oauth2.googleapis.com/tokeninfo?access_token={token}")
}

#[tokio::test]
async fn google_is_asked_at_its_token_info_endpoint() {
    let said = json!({
        "azp": GOOGLE_CLIENT,
        "aud": GOOGLE_CLIENT,
        "sub": "104852612391852436821",
        "scope": "openid https://www.googleapis.com/auth/userinfo.email",
        "exp": exp().to_string(),
        "expires_in": "3600",
        "email": "ada@example.com",
        "email_verified": "true",
        "access_type": "online",
    });
    let server = || google::server([GOOGLE_CLIENT]).unwrap();
    for (name, changes, reason) in [
        ("good", json!({}), "accepted"),
        ("exp as a number", json!({"exp": exp()}), "accepted"),
        (
            "other client",
            json!({"aud": "1-x.apps.googleusercontent.com"}),
            "audience_mismatch",
        ),
        ("azp alone", json!({"aud": null}), "missing_audience"),
        (
            "the resource",
            json!({"aud": RESOURCE}),
            "audience_mismatch",
        ),
        (
            "expired",
            json!({"exp": (START.as_secs() - 100).to_string()}),
            "expired",
        ),
        (
            "no scope: no access token",
            json!({"scope": null}),
            "wrong_token_type",
        ),
        ("no exp", json!({"exp": null}), "introspection_failed"),
        (
            "exp is no number",
            json!({"exp": "soon"}),
            "introspection_failed",
        ),
    ] {
        let web = Web::new();
        let said = changed(said.clone(), &changes);
        web.set(&token_info(GOOGLE_TOKEN), Page::Json(said));
        let guarded = Guarded::with_server(&web, server());
        let answer = guarded.bearer(GOOGLE_TOKEN).await;
        assert_eq!(answer.reason(), reason, "{name}: {}", answer.detail());
        if let Some(who) = answer.who {
            assert_eq!(who.issuer(), Some("https://accounts.google.com"));
            assert_eq!(who.subject(), Some("104852612391852436821"));
            assert_eq!(who.client_id(), Some(GOOGLE_CLIENT));
        }
    }
    for (page, status, reason) in [
        (Page::Status(400), 401, "inactive_token"),
        (Page::Status(500), 503, "introspection_failed"),
        (Page::Raw(b"<html>".to_vec()), 503, "introspection_failed"),
        (Page::NoConnection, 503, "introspection_failed"),
    ] {
        let web = Web::new();
        web.set(&token_info(GOOGLE_TOKEN), page);
        let guarded = Guarded::with_server(&web, server());
        guarded.bearer(GOOGLE_TOKEN).await.assert(status, reason);
    }
}

#[tokio::test]
async fn no_jwt_of_google_passes_whatever_its_audience_is() {
    let web = Web::new();
    let keys = "https://www.googleapis.com/oauth2/v3/certs";
    let document = json!({
        "issuer": "https://accounts.google.com",
        "authorization_endpoint": "https://accounts.google.com/o/oauth2/v2/auth",
        "token_endpoint": "https://oauth2.googleapis.com/token",
        "jwks_uri": keys,
    });
    let place = "https://accounts.google.com/.well-known/openid-configuration";
    web.set(place, Page::Json(document));
    web.set(keys, Page::Json(json!({"keys": [RS256.jwk("g")]})));
    let guarded = Guarded::with_server(&web, google::server([GOOGLE_CLIENT]).unwrap());
    // Anybody's service account can get the last one.
    for aud in [GOOGLE_CLIENT, RESOURCE] {
        let claims = json!({
            "iss": "https://accounts.google.com", "aud": aud, "azp": "113774264463038321964",
            "sub": "113774264463038321964", "email": "evil@project.iam.gserviceaccount.com",
            "email_verified": true, "iat": START.as_secs(), "exp": exp(),
        });
        let token = RS256.sign(&json!({"typ": "JWT", "kid": "g"}), &claims);
        guarded.bearer(&token).await.assert(401, "inactive_token");
    }
    assert!(web.log().is_empty(), "nobody is asked");
    assert_eq!(guarded.reached(), 0);
}

#[tokio::test]
async fn a_token_in_the_query_is_in_no_trace() {
    for page in [
        Page::Status(500),
        Page::NoConnection,
        Page::Raw(b"<html>".to_vec()),
    ] {
        let web = Web::new();
        web.set(&token_info(GOOGLE_TOKEN), page);
        let guarded = Guarded::with_server(&web, google::server([GOOGLE_CLIENT]).unwrap());
        trace::start();
        let answer = guarded.bearer(GOOGLE_TOKEN).await;
        let traced = format!("{:?} {answer:?}", trace::take_all());
        assert!(traced.contains("introspection"), "{traced}");
        assert!(!traced.contains("a0AfB_byC"), "{traced}");
    }
}
