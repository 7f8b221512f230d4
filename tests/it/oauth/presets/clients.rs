//! Providers that give their tokens no audience, or one that says nothing: whose tokens are
//! accepted is said by client.

use serde_json::{Value, json};
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::oauth::presets::{clerk, cognito, stytch, supabase};

use crate::oauth::presets::fixture::{ES256, Provider, RS256};
use crate::oauth::presets::support::*;
use crate::oauth::presets::trace;

fn cognito() -> Provider {
    let issuer = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI";
    Provider {
        signer: &RS256,
        document: (
            "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI/.well-known/openid-configuration",
            json!({
                "issuer": issuer,
                "authorization_endpoint": "https://acme.auth.eu-central-1.amazoncognito.com/oauth2/authorize",
                "token_endpoint": "https://acme.auth.eu-central-1.amazoncognito.com/oauth2/token",
                "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
            }),
        ),
        key: json!({"alg": "RS256"}),
        header: json!({"kid": "1234example="}),
        claims: json!({
            "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "device_key": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "cognito:groups": ["admin"],
            "iss": issuer,
            "version": 2,
            "client_id": "mcpclient",
            "origin_jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "event_id": "bbbbbbbb-cccc-dddd-eeee-ffffffffffff",
            "token_use": "access",
            "scope": "openid https://mcp.example.com/mcp/read",
            "auth_time": 1_799_999_000,
            "jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "username": "my-test-user",
        }),
    }
}

#[tokio::test]
async fn cognito_tokens_are_judged_by_client_and_token_use() {
    let pool = || cognito::server("eu-central-1", "eu-central-1_AbCdEfGhI").unwrap();
    let provider = cognito();
    let by_client = || pool().client_ids(["mcpclient", "desktop"]).unwrap();
    let who = provider
        .is_accepted_by(
            by_client()
                .scopes_from_claim(["cognito:groups"], [("admin", "mcp:admin")])
                .unwrap(),
        )
        .await;
    assert_eq!(who.client_id(), Some("mcpclient"));
    assert!(who.scopes().contains("mcp:admin"));
    let id_token = json!({
        "token_use": "id", "aud": "mcpclient", "client_id": null, "scope": null,
        "cognito:username": "janedoe", "email": "janedoe@example.com",
    });
    provider
        .judge(by_client(), vec![
            ("other listed client", json!({"client_id": "desktop"}), "accepted"),
            ("other client", json!({"client_id": "shop"}), "client_mismatch"),
            ("resource as client", json!({"client_id": RESOURCE}), "client_mismatch"),
            ("no client", json!({"client_id": null}), "missing_client"),
            ("azp is not looked at", json!({"client_id": null, "azp": "mcpclient"}), "missing_client"),
            ("ID token", id_token, "wrong_token_type"),
            ("no token_use", json!({"token_use": null}), "claim_mismatch"),
            ("bound to the resource", json!({"aud": RESOURCE}), "accepted"),
            ("bound to another", json!({"aud": "https://files.example.com"}), "audience_mismatch"),
            ("other pool", json!({"iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_ZZZ"}), "issuer_mismatch"),
        ])
        .await;
    provider
        .judge(
            pool().audience_is_the_resource(),
            vec![
                ("not bound", json!({}), "missing_audience"),
                ("bound", json!({"aud": RESOURCE}), "accepted"),
            ],
        )
        .await;
}

fn clerk() -> Provider {
    let issuer = "https://acme.clerk.accounts.dev";
    Provider {
        signer: &RS256,
        document: (
            "https://acme.clerk.accounts.dev/.well-known/oauth-authorization-server",
            json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/oauth/authorize"),
                "token_endpoint": format!("{issuer}/oauth/token"),
                "introspection_endpoint": format!("{issuer}/oauth/token_info"),
                "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
            }),
        ),
        key: json!({"alg": "RS256"}),
        header: json!({"typ": "at+jwt", "kid": "ins_2GIoQhbUpy0hX7B2cVkuTMinXoD"}),
        claims: json!({
            "iss": issuer,
            "sub": "user_2vYVtestTESTtestTESTtestTESTtest",
            "client_id": "client_2VTWUzvGC5UhdJCNx6xG1D98edc",
            "jti": "oat_2xKa9Bgv7NxMRDFyQw8LpZ3cTmU1vHjE",
            "scope": "read:foo write:bar",
        }),
    }
}

#[tokio::test]
async fn clerk_tokens_must_say_at_jwt() {
    let instance = || clerk::server("acme.clerk.accounts.dev").unwrap();
    let client = "client_2VTWUzvGC5UhdJCNx6xG1D98edc";
    let by_client = || instance().client_ids([client]).unwrap();
    let provider = clerk();
    provider.is_accepted_by(by_client()).await;
    let session = json!({
        "azp": "https://app.example.com", "sid": "sess_2GbDB4enHdCa5yS1zpC3Xzg9tK9", "fva": [0, -1],
        "v": 2, "client_id": null, "scope": null, "jti": null,
    });
    let none = || json!({});
    provider
        .judge_with_header(
            by_client(),
            vec![
                (
                    "session token",
                    json!({"typ": "JWT"}),
                    session,
                    "wrong_token_type",
                ),
                (
                    "ID token",
                    json!({"typ": "JWT"}),
                    json!({"aud": client, "scope": null}),
                    "wrong_token_type",
                ),
                ("no typ", json!({"typ": null}), none(), "wrong_token_type"),
                (
                    "other client",
                    none(),
                    json!({"client_id": "client_other"}),
                    "client_mismatch",
                ),
                (
                    "for the resource",
                    none(),
                    json!({"aud": [RESOURCE]}),
                    "accepted",
                ),
                (
                    "for another",
                    none(),
                    json!({"aud": ["https://files.example.com"]}),
                    "audience_mismatch",
                ),
                (
                    "other instance",
                    none(),
                    json!({"iss": "https://globex.clerk.accounts.dev"}),
                    "issuer_mismatch",
                ),
            ],
        )
        .await;
    provider
        .judge(
            instance().audience_is_the_resource(),
            vec![
                ("no audience", json!({}), "missing_audience"),
                ("the resource", json!({"aud": RESOURCE}), "accepted"),
            ],
        )
        .await;
}

const PROJECT: &str = "project-live-9f5e7b7c";

fn stytch() -> Provider {
    let issuer = "https://login.example.com";
    Provider {
        signer: &RS256,
        document: (
            "https://login.example.com/.well-known/oauth-authorization-server",
            json!({
                "issuer": issuer,
                "authorization_endpoint": "https://app.example.com/oauth/authorize",
                "token_endpoint": format!("{issuer}/v1/oauth2/token"),
                "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
            }),
        ),
        key: json!({"alg": "RS256", "key_ops": ["verify"]}),
        header: json!({"typ": "JWT", "kid": "jwk-live-22222222"}),
        claims: json!({
            "iss": issuer,
            "sub": "user-live-16d9ba61-97a1-4ba4-9720-b03761dc50c6",
            "aud": [PROJECT],
            "client_id": "connected-app-live-d731954d",
            "nbf": 1_799_999_940,
            "jti": "LOe49j3s9d9dmacslUvrb15ZIjPbptMm7fS5UlE52JCF",
            "scope": "openid email profile phone",
        }),
    }
}

#[tokio::test]
async fn stytch_project_ids_count_as_no_audience() {
    let project = || stytch::server("login.example.com", PROJECT).unwrap();
    let by_client = || {
        project()
            .client_ids(["connected-app-live-d731954d"])
            .unwrap()
    };
    let provider = stytch();
    provider.is_accepted_by(by_client()).await;
    provider
        .judge(by_client(), vec![
            ("other client", json!({"client_id": "connected-app-live-0"}), "client_mismatch"),
            ("ID token of a client", json!({"aud": ["connected-app-live-d731954d"], "client_id": null, "scope": null}), "audience_mismatch"),
            ("ID token for the project", json!({"client_id": null, "scope": null}), "missing_client"),
            ("session token", json!({"client_id": null, "scope": null, "https://stytch.com/session": {"id": "s"}}), "missing_client"),
            ("nothing says what it is", json!({"scope": null}), "wrong_token_type"),
            ("custom audience", json!({"aud": [PROJECT, RESOURCE], "client_id": "connected-app-live-0"}), "accepted"),
            ("other custom audience", json!({"aud": [PROJECT, "https://files.example.com"]}), "audience_mismatch"),
            ("other project", json!({"aud": ["project-live-0"]}), "audience_mismatch"),
            ("by way of stytch.com", json!({"iss": format!("stytch.com/{PROJECT}")}), "issuer_mismatch"),
        ])
        .await;
    provider
        .judge(
            project().audience_is_the_resource(),
            vec![
                ("project alone", json!({}), "missing_audience"),
                (
                    "custom audience",
                    json!({"aud": [PROJECT, RESOURCE]}),
                    "accepted",
                ),
            ],
        )
        .await;
}

fn supabase() -> Provider {
    let issuer = "https://abcdefghijklmnopqrst.supabase.co/auth/v1";
    Provider {
        signer: &ES256,
        document: (
            "https://abcdefghijklmnopqrst.supabase.co/.well-known/oauth-authorization-server/auth/v1",
            json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/oauth/authorize"),
                "token_endpoint": format!("{issuer}/oauth/token"),
                "registration_endpoint": format!("{issuer}/oauth/clients/register"),
                "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
            }),
        ),
        key: json!({"alg": "ES256", "ext": true, "key_ops": ["verify"]}),
        header: json!({"typ": "JWT", "kid": "1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d"}),
        claims: json!({
            "sub": "5b6c7d8e-9f0a-4b1c-8d2e-3f4a5b6c7d8e",
            "role": "authenticated",
            "aud": "authenticated",
            "user_id": "5b6c7d8e-9f0a-4b1c-8d2e-3f4a5b6c7d8e",
            "email": "user@example.com",
            "client_id": "9a8b7c6d-5e4f-3a2b-1c0d-9e8f7a6b5c4d",
            "aal": "aal1",
            "amr": [{"method": "password", "timestamp": 1_735_815_600}],
            "session_id": "0f1e2d3c-4b5a-4697-8796-a5b4c3d2e1f0",
            "iss": issuer,
        }),
    }
}

/// Refused whichever clients are accepted.
fn supabase_refusals() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        (
            "session of an application",
            json!({"client_id": null}),
            "missing_client",
        ),
        (
            "a client without a name",
            json!({"client_id": ""}),
            "missing_client",
        ),
        ("role anon", json!({"role": "anon"}), "claim_mismatch"),
        (
            "role service_role",
            json!({"role": "service_role"}),
            "claim_mismatch",
        ),
        ("no role", json!({"role": null}), "claim_mismatch"),
        (
            "ID token",
            json!({"aud": "9a8b7c6d-5e4f-3a2b-1c0d-9e8f7a6b5c4d"}),
            "audience_mismatch",
        ),
        (
            "nothing says what it is",
            json!({"session_id": null}),
            "wrong_token_type",
        ),
        (
            "other project",
            json!({"iss": "https://zzz.supabase.co/auth/v1"}),
            "issuer_mismatch",
        ),
        (
            "hook names another",
            json!({"aud": "https://api.myapp.com"}),
            "audience_mismatch",
        ),
    ]
}

#[tokio::test]
async fn supabase_authenticated_counts_as_no_audience() {
    let project = || supabase::server("abcdefghijklmnopqrst").unwrap();
    let listed = || {
        project()
            .client_ids(["9a8b7c6d-5e4f-3a2b-1c0d-9e8f7a6b5c4d"])
            .unwrap()
    };
    let provider = supabase();
    let who = provider.is_accepted_by(listed()).await;
    assert!(who.scopes().is_empty());
    let other_client = || json!({"client_id": "11111111-5e4f-3a2b-1c0d-9e8f7a6b5c4d"});
    provider.judge(listed(), supabase_refusals()).await;
    provider
        .judge(
            listed(),
            vec![
                ("other client", other_client(), "client_mismatch"),
                (
                    "hook names the resource",
                    json!({"aud": RESOURCE}),
                    "accepted",
                ),
            ],
        )
        .await;

    let everybody = || {
        project()
            .dangerously_accept_every_client_of_this_issuer()
            .unwrap()
    };
    provider.judge(everybody(), supabase_refusals()).await;
    provider
        .judge(
            everybody(),
            vec![("other client", other_client(), "accepted")],
        )
        .await;
    provider
        .judge(
            project().audience_is_the_resource(),
            vec![
                ("no hook", json!({}), "missing_audience"),
                ("hook", json!({"aud": RESOURCE}), "accepted"),
                (
                    "hook, both",
                    json!({"aud": ["authenticated", RESOURCE]}),
                    "accepted",
                ),
            ],
        )
        .await;
}

/// The claim that names the client, and no other, is looked at.
#[tokio::test]
async fn each_provider_names_the_client_in_a_claim_of_its_own() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    for own in ["client_id", "cid", "azp", "appid"] {
        let server = AuthorizationServer::new(ISSUER)
            .unwrap()
            .client_ids(["mcp"])
            .unwrap();
        let server = match own {
            "client_id" => server,
            other => server.client_claim(other).unwrap(),
        };
        let guarded = Guarded::with_server(&web, server);
        for claim in ["client_id", "cid", "azp", "appid"] {
            let claims = |client: &str| {
                json!({"aud": null, "client_id": null, "scp": "x"})
                    .as_object()
                    .unwrap()
                    .clone()
                    .into_iter()
                    .chain([(claim.to_owned(), json!(client))])
                    .collect::<Value>()
            };
            let answer = guarded.bearer(&key.token(claims("mcp"))).await;
            if claim == own {
                answer.assert(200, "accepted");
                assert_eq!(answer.who.unwrap().client_id(), Some("mcp"));
                for other in ["mcp2", "MCP", "mcp ", RESOURCE] {
                    let answer = guarded.bearer(&key.token(claims(other))).await;
                    assert_eq!(answer.reason(), "client_mismatch", "{own} {other:?}");
                }
                let answer = guarded.bearer(&key.token(claims(""))).await;
                assert_eq!(answer.reason(), "missing_client", "{own}");
            } else {
                assert_eq!(answer.reason(), "missing_client", "{own} {claim}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_stands_in_for_an_audience_that_is_absent_and_for_no_other() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let server = AuthorizationServer::new(ISSUER)
        .unwrap()
        .client_ids(["app", RESOURCE])
        .unwrap()
        .ignore_audience("all")
        .unwrap();
    let guarded = Guarded::with_server(&web, server);
    for (name, header, changes, reason) in [
        ("absent", json!({}), json!({"aud": null}), "accepted"),
        ("shared", json!({}), json!({"aud": "all"}), "accepted"),
        (
            "shared twice",
            json!({}),
            json!({"aud": ["all", "all"]}),
            "accepted",
        ),
        (
            "empty list",
            json!({}),
            json!({"aud": []}),
            "audience_mismatch",
        ),
        (
            "empty string",
            json!({}),
            json!({"aud": ""}),
            "audience_mismatch",
        ),
        (
            "another",
            json!({}),
            json!({"aud": "app"}),
            "audience_mismatch",
        ),
        (
            "another beside the shared one",
            json!({}),
            json!({"aud": ["all", "x"]}),
            "audience_mismatch",
        ),
        (
            "shared in another case",
            json!({}),
            json!({"aud": "ALL"}),
            "audience_mismatch",
        ),
        (
            "present, whoever the client",
            json!({}),
            json!({"client_id": "x"}),
            "accepted",
        ),
        (
            "scopes say what it is",
            json!({"typ": "JWT"}),
            json!({"aud": null}),
            "accepted",
        ),
        (
            "token_use does",
            json!({"typ": "JWT"}),
            json!({"aud": null, "scope": null, "token_use": "access"}),
            "accepted",
        ),
        (
            "its type does",
            json!({}),
            json!({"aud": null, "scope": null}),
            "accepted",
        ),
        (
            "nothing does",
            json!({"typ": "JWT"}),
            json!({"aud": null, "scope": null}),
            "wrong_token_type",
        ),
        (
            "empty scopes do not",
            json!({"typ": "JWT"}),
            json!({"aud": null, "scope": ""}),
            "wrong_token_type",
        ),
        (
            "nonce",
            json!({"typ": "JWT"}),
            json!({"aud": null, "scope": null, "nonce": "n"}),
            "wrong_token_type",
        ),
        (
            "bound to a key",
            json!({}),
            json!({"aud": null, "cnf": {"jkt": "x"}}),
            "bound_token",
        ),
        (
            "expired",
            json!({}),
            json!({"aud": null, "exp": 1}),
            "expired",
        ),
        (
            "null is no string",
            json!({}),
            json!({"aud": null, "client_id": 5}),
            "malformed_token",
        ),
    ] {
        let answer = guarded
            .bearer(&key.token_with_header(header, changes))
            .await;
        assert_eq!(answer.reason(), reason, "{name}: {}", answer.detail());
    }
}

#[tokio::test]
async fn accepting_every_client_is_said_where_it_is_set() {
    trace::start();
    let server = AuthorizationServer::new(ISSUER)
        .unwrap()
        .dangerously_accept_every_client_of_this_issuer();
    let events = trace::take();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].level, tracing::Level::WARN);
    assert_eq!(
        events[0].field("setting"),
        "dangerously_accept_every_client_of_this_issuer"
    );

    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::with_server(&web, server.unwrap());
    for (changes, reason) in [
        (json!({"aud": null, "client_id": "anybody"}), "accepted"),
        (json!({"aud": null, "client_id": null}), "missing_client"),
        (
            json!({"aud": "https://files.example.com"}),
            "audience_mismatch",
        ),
    ] {
        let answer = guarded.bearer(&key.token(changes)).await;
        assert_eq!(answer.reason(), reason);
    }
}
