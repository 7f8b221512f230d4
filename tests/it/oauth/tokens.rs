//! Which tokens pass, and as whom; the token profile's own tables are in `token`.

use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::json;
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::jose::Algorithm;
use tower_mcp_auth::oauth::AuthorizationServer;

use crate::oauth::support::*;

#[tokio::test]
async fn a_token_must_be_for_this_resource_byte_by_byte() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    let table = [
        (json!(RESOURCE), "accepted"),
        (json!([RESOURCE]), "accepted"),
        (json!(["https://files.example.com", RESOURCE]), "accepted"),
        (json!("https://mcp.example.com/mcp/"), "audience_mismatch"),
        (json!("https://mcp.example.com/mcp-b"), "audience_mismatch"),
        (json!("https://mcp.example.com"), "audience_mismatch"),
        (json!("https://MCP.example.com/mcp"), "audience_mismatch"),
        (
            json!(format!("{RESOURCE} https://files.example.com")),
            "audience_mismatch",
        ),
        (json!("app"), "audience_mismatch"),
        (json!([]), "audience_mismatch"),
        (json!(""), "audience_mismatch"),
        (json!(null), "missing_audience"),
        (json!([RESOURCE, 5]), "malformed_token"),
        (json!(5), "malformed_token"),
    ];
    for (aud, reason) in table {
        let answer = guarded.bearer(&key.token(json!({"aud": aud}))).await;
        assert_eq!(answer.reason(), reason, "{aud}");
    }
    let answer = guarded
        .bearer(&key.token(json!({"aud": format!("{RESOURCE}/")})))
        .await;
    assert!(answer.detail().contains("differ only by a trailing slash"));
}

#[tokio::test]
async fn a_configured_audience_replaces_the_resource() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let server = AuthorizationServer::new(ISSUER).unwrap();
    let server = server
        .audience("api://one")
        .unwrap()
        .audience("api://two")
        .unwrap();
    let guarded = Guarded::with_server(&web, server);
    for (aud, reason) in [
        ("api://one", "accepted"),
        ("api://two", "accepted"),
        (RESOURCE, "audience_mismatch"),
    ] {
        let answer = guarded.bearer(&key.token(json!({"aud": aud}))).await;
        assert_eq!(answer.reason(), reason, "{aud}");
    }
}

#[tokio::test]
async fn the_issuer_is_one_exact_string() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    for (iss, reason) in [
        (json!("https://auth.example.com/"), "issuer_mismatch"),
        (json!("https://auth.example.com.evil"), "issuer_mismatch"),
        (json!("https://auth.example"), "issuer_mismatch"),
        (json!("https://AUTH.example.com"), "issuer_mismatch"),
        (json!(""), "issuer_mismatch"),
        (json!(null), "missing_issuer"),
        (json!([ISSUER]), "malformed_token"),
        (json!(5), "malformed_token"),
    ] {
        let answer = guarded.bearer(&key.token(json!({"iss": iss}))).await;
        assert_eq!(answer.reason(), reason, "{iss}");
    }
    let answer = guarded
        .bearer(&key.token(json!({"iss": format!("{ISSUER}/")})))
        .await;
    assert!(answer.detail().contains("differ only by a trailing slash"));
}

#[tokio::test]
async fn a_forged_token_with_a_known_key_id_is_refused() {
    let (key, foreign) = (Key::new("a"), Key::new("a"));
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    guarded
        .bearer(&foreign.token(json!({})))
        .await
        .assert(401, "invalid_signature");
    let token = key.token(json!({}));
    let (input, _) = token.rsplit_once('.').unwrap();
    guarded
        .bearer(&format!("{input}."))
        .await
        .assert(401, "invalid_signature");
    guarded
        .bearer(&format!("{input}.AAAA"))
        .await
        .assert(401, "invalid_signature");
    assert_eq!(guarded.reached(), 0);
}

#[tokio::test]
async fn times_are_judged_with_sixty_seconds_of_skew_to_the_second() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    let now = START.as_secs();
    for (claims, reason) in [
        (json!({"exp": now - 59}), "accepted"),
        (json!({"exp": now - 60}), "expired"),
        (json!({"exp": null}), "missing_exp"),
        (json!({"nbf": now + 60}), "accepted"),
        (json!({"nbf": now + 61}), "not_yet_valid"),
        (json!({"iat": now + 60}), "accepted"),
        (json!({"iat": now + 61}), "issued_in_the_future"),
    ] {
        let answer = guarded.bearer(&key.token(claims.clone())).await;
        assert_eq!(answer.reason(), reason, "{claims}");
    }
    let server = AuthorizationServer::new(ISSUER).unwrap();
    let server = server.clock_skew(Duration::ZERO).unwrap();
    let guarded = Guarded::with_server(&web, server);
    guarded
        .bearer(&key.token(json!({"exp": now})))
        .await
        .assert(401, "expired");
}

#[tokio::test]
async fn too_little_scope_is_403_and_only_a_good_token_learns_it() {
    let (key, foreign) = (Key::new("a"), Key::new("a"));
    let web = Web::with_issuer(&[&key]);
    let mut guarded = Guarded::new(&web);
    guarded.layer = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(ISSUER)
        .unwrap()
        .required_scopes(["mcp:read", "mcp:write"])
        .clock(guarded.clock.clone())
        .fetch(web.clone())
        .build()
        .unwrap();
    let metadata = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";

    let answer = guarded.bearer(&key.token(json!({}))).await;
    answer.assert(403, "insufficient_scope");
    assert_eq!(
        answer.challenge(),
        format!(
            "Bearer error=\"insufficient_scope\", scope=\"mcp:read mcp:write\", \
             resource_metadata=\"{metadata}\", \
             error_description=\"The operation needs scopes that were not granted\""
        )
    );
    let foreign = foreign.token(json!({"scope": "mcp:read mcp:write"}));
    guarded
        .bearer(&foreign)
        .await
        .assert(401, "invalid_signature");
    let both = key.token(json!({"scope": "mcp:write  mcp:read other"}));
    guarded.bearer(&both).await.assert(200, "accepted");

    let answer = guarded.ask(Request::new(Full::default())).await;
    answer.assert(401, "missing_credential");
    assert_eq!(
        answer.challenge(),
        format!("Bearer scope=\"mcp:read mcp:write\", resource_metadata=\"{metadata}\"")
    );
}

#[tokio::test]
async fn scopes_are_read_where_the_server_has_them() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let one = "https://one.example.com";
    web.publish_metadata(one);
    web.set(&format!("{one}/keys"), Page::Json(key_set(&[&key])));
    let servers = [
        AuthorizationServer::new(ISSUER).unwrap(),
        AuthorizationServer::new(one)
            .unwrap()
            .scope_claim("scp")
            .unwrap(),
    ];
    let mut guarded = Guarded::with_servers(&web, servers.clone());
    let mut builder = OAuthLayer::builder(RESOURCE).unwrap();
    for server in servers {
        builder = builder.authorization_server(server).unwrap();
    }
    guarded.layer = builder
        .required_scopes(["mcp:read"])
        .clock(guarded.clock.clone())
        .fetch(web.clone())
        .build()
        .unwrap();
    for (claims, reason) in [
        (json!({"scope": "mcp:read"}), "accepted"),
        (json!({"scope": ["mcp:read"]}), "accepted"),
        (
            json!({"iss": one, "scope": null, "scp": ["x", "mcp:read"]}),
            "accepted",
        ),
        (
            json!({"iss": one, "scope": null, "scp": "x mcp:read"}),
            "accepted",
        ),
        (json!({"iss": one, "scp": "x"}), "insufficient_scope"),
        (
            json!({"iss": one, "scp": ["x mcp:read"]}),
            "insufficient_scope",
        ),
    ] {
        let answer = guarded.bearer(&key.token(claims.clone())).await;
        assert_eq!(answer.reason(), reason, "{claims}");
    }
}

#[tokio::test]
async fn a_key_serves_only_the_issuer_that_published_it() {
    let (ours, theirs) = (Key::new("same"), Key::new("same"));
    let web = Web::with_issuer(&[&ours]);
    let other = "https://other.example.com";
    web.publish_metadata(other);
    web.set(&format!("{other}/keys"), Page::Json(key_set(&[&theirs])));
    let servers = [ISSUER, other].map(|issuer| AuthorizationServer::new(issuer).unwrap());
    let guarded = Guarded::with_servers(&web, servers);
    guarded
        .bearer(&ours.token(json!({})))
        .await
        .assert(200, "accepted");
    let answer = guarded.bearer(&theirs.token(json!({"iss": other}))).await;
    answer.assert(200, "accepted");
    assert_eq!(
        answer.principal.unwrap(),
        "oauth|iss=https://other.example.com|sub=alice|client=app"
    );
    guarded
        .bearer(&theirs.token(json!({})))
        .await
        .assert(401, "invalid_signature");
    guarded
        .bearer(&ours.token(json!({"iss": other})))
        .await
        .assert(401, "invalid_signature");
}

#[tokio::test]
async fn only_algorithms_of_the_list_pass() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let server = AuthorizationServer::new(ISSUER).unwrap();
    let server = server.algorithms([Algorithm::RS256]).unwrap();
    let guarded = Guarded::with_server(&web, server);
    let answer = guarded.bearer(&key.token(json!({}))).await;
    answer.assert(401, "algorithm_not_allowed");
    for alg in ["none", "HS256", "RS384", "ES512", "es256"] {
        let token = key.token_with_header(json!({"alg": alg}), json!({}));
        Guarded::new(&web)
            .bearer(&token)
            .await
            .assert(401, "algorithm_not_allowed");
    }
}

#[tokio::test]
async fn the_strict_profile_asks_for_at_jwt() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let server = AuthorizationServer::new(ISSUER).unwrap().require_at_jwt();
    let strict = Guarded::with_server(&web, server);
    let loose = Guarded::new(&web);
    for (typ, in_strict) in [
        (json!("at+jwt"), true),
        (json!("application/AT+JWT"), true),
        (json!("JWT"), false),
        (json!(null), false),
    ] {
        let token = key.token_with_header(json!({"typ": typ}), json!({}));
        let answer = strict.bearer(&token).await;
        assert_eq!(answer.status == StatusCode::OK, in_strict, "{typ}");
        loose.bearer(&token).await.assert(200, "accepted");
    }
}

#[tokio::test]
async fn a_token_of_a_tenant_is_checked_by_that_tenants_keys() {
    let (key, foreign) = (Key::new("a"), Key::new("a"));
    let web = Web::new();
    let tenant = |name: &str| format!("https://login.example/{name}/v2.0");
    let place = "https://login.example/.well-known/oauth-authorization-server/contoso/v2.0";
    let document = json!({"issuer": tenant("contoso"), "jwks_uri": JWKS});
    web.set(place, Page::Json(document));
    web.publish_keys(&[&key]);
    let mut guarded = Guarded::with_server(&web, AuthorizationServer::new(ISSUER).unwrap());
    guarded.layer = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .issuer_template("https://login.example/{tenant}/v2.0", ["contoso"], Ok)
        .unwrap()
        .clock(guarded.clock.clone())
        .fetch(web.clone())
        .build()
        .unwrap();
    let contoso = key.token(json!({"iss": tenant("contoso")}));
    guarded.bearer(&contoso).await.assert(200, "accepted");
    let forged = foreign.token(json!({"iss": tenant("contoso")}));
    guarded
        .bearer(&forged)
        .await
        .assert(401, "invalid_signature");
    for iss in [
        tenant("fabrikam"),
        tenant("{tenant}"),
        tenant("contoso/../fabrikam"),
    ] {
        let answer = guarded.bearer(&key.token(json!({"iss": iss}))).await;
        answer.assert(401, "issuer_mismatch");
    }
    assert_eq!(web.log(), [place, JWKS]);
}

#[tokio::test]
async fn a_token_for_a_client_id_must_show_that_it_is_an_access_token() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let client = "11111111-2222-3333-4444-555555555555";
    let server = AuthorizationServer::new(ISSUER).unwrap();
    let server = server
        .audience(client)
        .unwrap()
        .audience("https://app.example")
        .unwrap();
    let guarded = Guarded::with_server(&web, server);
    let jwt = json!({"typ": "JWT"});
    for (header, claims, accepted) in [
        // An ID token of the same client, as Entra ID issues it.
        (
            &jwt,
            json!({"aud": client, "scope": null, "client_id": null}),
            false,
        ),
        (&jwt, json!({"aud": client, "scope": ""}), false),
        (
            &jwt,
            json!({"aud": client, "scope": null, "scp": []}),
            false,
        ),
        (&jwt, json!({"aud": client, "scope": "mcp:read"}), true),
        (
            &jwt,
            json!({"aud": client, "scope": null, "scp": "mcp:read"}),
            true,
        ),
        (
            &jwt,
            json!({"aud": client, "scope": null, "token_use": "access"}),
            true,
        ),
        (&json!({}), json!({"aud": client, "scope": null}), true),
        // A URI is no client id, unless the token says it is.
        (
            &jwt,
            json!({"aud": "https://app.example", "scope": null}),
            true,
        ),
        (
            &jwt,
            json!({"aud": "https://app.example", "scope": null, "azp": "https://app.example"}),
            false,
        ),
    ] {
        let token = key.token_with_header(header.clone(), claims.clone());
        let answer = guarded.bearer(&token).await;
        let reason = if accepted {
            "accepted"
        } else {
            "wrong_token_type"
        };
        assert_eq!(answer.reason(), reason, "{claims}");
    }
}

#[tokio::test]
async fn an_empty_or_mistyped_scope_proves_nothing() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    for (claims, reason) in [
        (json!({"nonce": "n"}), "accepted"),
        (json!({"nonce": "n", "scope": ""}), "wrong_token_type"),
        (
            json!({"nonce": "n", "scope": null, "scp": ""}),
            "wrong_token_type",
        ),
        (
            json!({"nonce": "n", "scope": null, "scp": 5}),
            "malformed_token",
        ),
        (
            json!({"nonce": "n", "scope": null, "scp": ["a", 5]}),
            "malformed_token",
        ),
    ] {
        let token = key.token_with_header(json!({"typ": "JWT"}), claims.clone());
        let answer = guarded.bearer(&token).await;
        assert_eq!(answer.reason(), reason, "{claims}");
    }
}

#[tokio::test]
async fn an_empty_subject_is_none() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    let one = guarded
        .bearer(&key.token(json!({"sub": "", "jti": "1"})))
        .await;
    let two = guarded
        .bearer(&key.token(json!({"sub": "", "jti": "2"})))
        .await;
    assert_ne!(one.principal.unwrap(), two.principal.unwrap());
}

/// Where some refusals are only reported, the kind of a token is still judged.
#[tokio::test]
async fn a_proven_token_of_another_type_is_refused_where_something_else_is_reported() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let mut guarded = Guarded::new(&web);
    guarded.layer = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(ISSUER)
        .unwrap()
        .clock(guarded.clock.clone())
        .fetch(web.clone())
        .build()
        .unwrap()
        .dangerously_report_only_for(["expired"])
        .unwrap();
    for typ in ["logout+jwt", "dpop+jwt", "token-introspection+jwt"] {
        let token = key.token_with_header(json!({"typ": typ}), json!({}));
        guarded.bearer(&token).await.assert(401, "wrong_token_type");
    }
}

#[tokio::test]
async fn the_longest_token_and_header_are_settings() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let layer = |token, header| {
        let builder = OAuthLayer::builder(RESOURCE).unwrap();
        let builder = builder.authorization_server(ISSUER).unwrap();
        let builder = builder.fetch(web.clone());
        builder.max_token_bytes(token).max_header_bytes(header)
    };
    let guarded = |token, header| {
        let mut guarded = Guarded::new(&web);
        let builder = layer(token, header).clock(guarded.clock.clone());
        guarded.layer = builder.build().unwrap();
        guarded
    };
    let large = guarded(64 * 1024, 16 * 1024);
    let (usual, small) = (Guarded::new(&web), guarded(1024, 256));
    let claim = |bytes: usize| key.token(json!({"x": "x".repeat(bytes)}));
    let header = |bytes: usize| key.token_with_header(json!({"x": "x".repeat(bytes)}), json!({}));
    for (token, in_large, as_usual, in_small) in [
        (claim(0), "accepted", "accepted", "accepted"),
        (claim(1_000), "accepted", "accepted", "token_too_large"),
        (
            claim(13_000),
            "accepted",
            "token_too_large",
            "token_too_large",
        ),
        (
            claim(50_000),
            "token_too_large",
            "token_too_large",
            "token_too_large",
        ),
        (header(230), "accepted", "accepted", "header_too_large"),
        (
            header(5_000),
            "accepted",
            "header_too_large",
            "token_too_large",
        ),
        (
            header(17_000),
            "header_too_large",
            "token_too_large",
            "token_too_large",
        ),
    ] {
        // Twice, so that a token that is remembered counts too.
        for _ in 0..2 {
            for (guarded, expected) in [(&large, in_large), (&usual, as_usual), (&small, in_small)]
            {
                let answer = guarded.bearer(&token).await;
                assert_eq!(answer.reason(), expected, "{} bytes", token.len());
            }
        }
    }
    for (token, header, setting) in [
        (1_023, 256, "max_token_bytes"),
        (65_537, 4_096, "max_token_bytes"),
        (16_384, 255, "max_header_bytes"),
        (65_536, 16_385, "max_header_bytes"),
        (4_096, 4_096, "max_header_bytes"),
    ] {
        let error = layer(token, header).build().unwrap_err();
        assert_eq!(error.setting(), setting, "{token} {header}: {error}");
    }
}

#[tokio::test]
async fn the_detail_of_a_foreign_issuer_compares_with_the_only_one_or_names_none() {
    const OTHER: &str = "https://login.example.org";
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let token = key.token(json!({"iss": "https://auth.example.com/"}));
    let servers = |issuers: &[&str]| {
        let servers = issuers.iter();
        let servers: Vec<_> = servers
            .map(|issuer| AuthorizationServer::new(*issuer).unwrap())
            .collect();
        Guarded::with_servers(&web, servers)
    };
    for (issuers, said, not_said) in [
        (&[ISSUER][..], "trailing slash", "none of the configured"),
        (
            &[ISSUER, OTHER][..],
            "none of the configured issuers",
            "slash",
        ),
    ] {
        let answer = servers(issuers).bearer(&token).await;
        answer.assert(401, "issuer_mismatch");
        let detail = answer.detail();
        assert!(
            detail.contains(said) && !detail.contains(not_said),
            "{detail}"
        );
    }
}

#[tokio::test]
async fn every_revision_of_mcp_is_served_alike() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    for version in ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"] {
        let request = Request::post("/mcp")
            .header("mcp-protocol-version", version)
            .header("authorization", format!("Bearer {}", key.token(json!({}))));
        let answer = guarded.ask(request.body(Full::default()).unwrap()).await;
        answer.assert(200, "accepted");
    }
}

#[tokio::test]
async fn two_servers_are_trusted_each_with_its_own_keys() {
    let (one, two) = (Key::new("one"), Key::new("two"));
    let web = Web::with_issuer(&[&one]);
    let second = "https://second.example.com";
    web.publish_metadata(second);
    web.set(&format!("{second}/keys"), Page::Json(key_set(&[&two])));
    let servers = [ISSUER, second].map(|issuer| AuthorizationServer::new(issuer).unwrap());
    let guarded = Guarded::with_servers(&web, servers);
    guarded
        .bearer(&one.token(json!({})))
        .await
        .assert(200, "accepted");
    guarded
        .bearer(&two.token(json!({"iss": second})))
        .await
        .assert(200, "accepted");
    guarded
        .bearer(&two.token(json!({})))
        .await
        .assert(401, "unknown_key");
}

#[tokio::test]
async fn a_token_in_the_query_is_refused_beside_a_good_one() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    let token = key.token(json!({}));
    for uri in [
        "/mcp?access_token=x",
        "/mcp?a=b&accessToken",
        "/mcp?Authorization=x",
    ] {
        let request = Request::post(uri).header("authorization", format!("Bearer {token}"));
        let answer = guarded.ask(request.body(Full::default()).unwrap()).await;
        answer.assert(400, "token_in_query");
    }
}

#[tokio::test]
async fn a_token_for_another_service_of_the_issuer_is_refused() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    let other = key.token(json!({"aud": "https://files.example.com"}));
    guarded
        .bearer(&other)
        .await
        .assert(401, "audience_mismatch");
    assert_eq!(guarded.reached(), 0);
}

#[tokio::test]
async fn a_challenge_of_an_oauth_layer_has_an_error_only_where_a_token_was_sent() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    let none = guarded.ask(Request::new(Full::default())).await;
    assert!(!none.challenge().contains("error"), "{none:?}");
    let expired = guarded.bearer(&key.token(json!({"exp": 1}))).await;
    assert!(
        expired
            .challenge()
            .starts_with("Bearer error=\"invalid_token\", ")
    );
}
