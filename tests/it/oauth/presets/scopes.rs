//! Scopes from roles and groups: only by an explicit mapping.

use serde_json::{Value, json};
use tower_mcp_auth::oauth::AuthorizationServer;

use crate::oauth::presets::support::*;

async fn granted(
    path: &[&str],
    mapping: &[(&str, &str)],
    changes: Value,
) -> Result<String, String> {
    let key = Key::new("a");
    let server = AuthorizationServer::new(ISSUER)
        .unwrap()
        .scopes_from_claim(path.iter().copied(), mapping.iter().copied())
        .unwrap();
    let guarded = Guarded::with_server(&Web::with_issuer(&[&key]), server);
    let answer = guarded.bearer(&key.token(changes)).await;
    match answer.who {
        Some(who) => Ok(who.scopes().as_str().to_owned()),
        None => Err(answer.error.unwrap().reason().to_owned()),
    }
}

#[tokio::test]
async fn only_listed_roles_become_scopes() {
    let mapping = [("editor", "mcp:edit mcp:read"), ("mcp admin", "mcp:admin")];
    let nested = ["a", "b"];
    for (path, claims, expected) in [
        (
            &["r"][..],
            json!({"r": ["editor", "other"]}),
            Ok("mcp:read mcp:edit"),
        ),
        (&["r"], json!({"r": "editor"}), Ok("mcp:read mcp:edit")),
        (
            &["r"],
            json!({"r": {"editor": {"org": "x"}}}),
            Ok("mcp:read mcp:edit"),
        ),
        (
            &["r"],
            json!({"r": ["Editor", "editors", "edit"]}),
            Ok("mcp:read"),
        ),
        (&["r"], json!({"r": []}), Ok("mcp:read")),
        (&["r"], json!({}), Ok("mcp:read")),
        // A name with a space is one name, and never two.
        (&["r"], json!({"r": "mcp admin"}), Ok("mcp:read mcp:admin")),
        (&["r"], json!({"r": "other editor"}), Ok("mcp:read")),
        (&["r"], json!({"r": ["other editor"]}), Ok("mcp:read")),
        (
            &["scp"],
            json!({"scp": "other editor"}),
            Ok("mcp:read mcp:edit"),
        ),
        (
            &nested,
            json!({"a": {"b": ["editor"]}}),
            Ok("mcp:read mcp:edit"),
        ),
        (&nested, json!({"a": {}}), Ok("mcp:read")),
        (&nested, json!({"b": ["editor"]}), Ok("mcp:read")),
        (&nested, json!({"a.b": ["editor"]}), Ok("mcp:read")),
        (
            &["a", "scope"],
            json!({"a": {"scope": "other editor"}}),
            Ok("mcp:read"),
        ),
        // Of the wrong type is not the same as absent.
        (&nested, json!({"a": ["b"]}), Err("malformed_token")),
        (&["r"], json!({"r": 5}), Err("malformed_token")),
        (&["r"], json!({"r": true}), Err("malformed_token")),
        (&["r"], json!({"r": ["editor", 5]}), Err("malformed_token")),
        (&["r"], json!({"r": [["editor"]]}), Err("malformed_token")),
    ] {
        let got = granted(path, &mapping, claims.clone()).await;
        let got = got.as_deref().map_err(|reason| &**reason);
        assert_eq!(got, expected, "{path:?} {claims}");
    }
}

#[tokio::test]
async fn a_token_without_scopes_has_those_of_its_roles() {
    let roles = json!({"scope": null, "roles": ["editor"]});
    let got = granted(&["roles"], &[("editor", "mcp:edit")], roles).await;
    assert_eq!(got.as_deref(), Ok("mcp:edit"));
}

#[tokio::test]
async fn scopes_of_roles_do_not_say_what_a_token_is() {
    let key = Key::new("a");
    let server = AuthorizationServer::new(ISSUER)
        .unwrap()
        .client_ids(["app"])
        .unwrap()
        .scopes_from_claim(["roles"], [("editor", "mcp:edit")])
        .unwrap();
    let guarded = Guarded::with_server(&Web::with_issuer(&[&key]), server);
    let token = |header: Value| {
        let claims = json!({"aud": null, "scope": null, "roles": ["editor"]});
        key.token_with_header(header, claims)
    };
    guarded
        .bearer(&token(json!({"typ": "JWT"})))
        .await
        .assert(401, "wrong_token_type");
    guarded
        .bearer(&token(json!({})))
        .await
        .assert(200, "accepted");
}

#[tokio::test]
async fn what_a_token_may_is_judged_the_same_from_the_cache() {
    let key = Key::new("a");
    let server = AuthorizationServer::new(ISSUER)
        .unwrap()
        .require_claim("org", ["acme"])
        .unwrap()
        .scopes_from_claim(["roles"], [("editor", "mcp:edit")])
        .unwrap();
    let guarded = Guarded::with_server(&Web::with_issuer(&[&key]), server);
    let token = key.token(json!({"org": "acme", "roles": ["editor"]}));
    for _ in 0..2 {
        let who = guarded.bearer(&token).await.who.unwrap();
        assert_eq!(who.scopes().as_str(), "mcp:read mcp:edit");
    }
    let token = key.token(json!({"org": "globex", "roles": ["editor"]}));
    for _ in 0..2 {
        let answer = guarded.bearer(&token).await;
        answer.assert(401, "claim_mismatch");
        assert!(!answer.challenge().contains("acme"));
        assert!(!answer.challenge().contains("globex"));
    }
}
