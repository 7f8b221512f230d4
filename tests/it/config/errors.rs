//! Errors name the place.

use serde_json::{Value, json};
use tower_mcp_auth::config::Config;

use crate::config::{KEY, RESOURCE, SECRET, refused};

#[test]
fn what_is_wrong_is_reported_with_its_path() {
    let server = |server: Value| {
        json!({ "resource": RESOURCE, "authorization_servers": [
            { "issuer": "https://auth.example.com" }, server,
        ] })
    };
    let mapped = |server: Value| json!({ "resource": RESOURCE, "authorization_servers": { "main": server } });
    let asked = |introspection: Value| {
        server(json!({ "issuer": "https://two.example.com", "introspection": introspection }))
    };
    let keys = |key: Value| json!({ "api_keys": { "keys": [{ "key": KEY }, key] } });
    let cases = [
        // Of the form.
        (json!([]), "configuration"),
        (json!({ "resurces": "x" }), "configuration"),
        (json!({ "auth": { "optional": 1 } }), "auth.optional"),
        (
            json!({ "auth": { "sse_endpoints": { "sse": "x" } } }),
            "auth.sse_endpoints.sse",
        ),
        (
            server(json!({ "issuer": 7 })),
            "authorization_servers[1].issuer",
        ),
        (server(json!({ "isuer": "x" })), "authorization_servers[1]"),
        (
            mapped(json!({ "issuer": 7 })),
            "authorization_servers.main.issuer",
        ),
        (
            mapped(json!({ "clock_skew": "x" })),
            "authorization_servers.main.clock_skew",
        ),
        (
            server(json!({ "preset": "keycloak" })),
            "authorization_servers[1].preset.keycloak",
        ),
        (
            server(json!({ "preset": { "keycloak": { "realm": 7 } } })),
            "authorization_servers[1].preset.keycloak.realm",
        ),
        (
            server(json!({ "preset": { "keycloak": { "realm": "x" } } })),
            "authorization_servers[1].preset.keycloak",
        ),
        (
            server(json!({ "preset": { "nobody": {} } })),
            "authorization_servers[1].preset",
        ),
        (json!({ "policy": { "tools": 7 } }), "policy.tools"),
        (
            json!({ "policy": { "tools": { "x": 7 } } }),
            "policy.tools.x",
        ),
        (
            json!({ "policy": { "default_rule": "allow" } }),
            "policy.default_rule",
        ),
        // Of the meaning.
        (
            json!({ "resource": RESOURCE, "metadata": { "advertised_metadata_url": RESOURCE },
                "authorization_servers": [{ "issuer": "https://x.example.com" }] }),
            "metadata.advertised_metadata_url",
        ),
        (
            server(json!({ "issuer": "https://two.example.com", "advertised_as": "http://x" })),
            "authorization_servers[1].advertised_as",
        ),
        (
            server(json!({ "issuer": "https://two.example.com", "token_issuer": "a b" })),
            "authorization_servers[1].token_issuer",
        ),
        (server(json!({})), "authorization_servers[1].issuer"),
        (
            server(json!({ "issuer": "http://x.example.com" })),
            "authorization_servers[1].issuer",
        ),
        (
            mapped(json!({ "issuer": "nowhere" })),
            "authorization_servers.main.issuer",
        ),
        (
            server(
                json!({ "issuer": "https://x.example.com", "preset": { "auth0": { "domain": "x.auth0.com" } } }),
            ),
            "authorization_servers[1].preset",
        ),
        (
            server(json!({ "issuer": "https://auth.example.com" })),
            "authorization_servers[1]",
        ),
        (
            server(json!({ "issuer": "https://x.example.com", "algorithms": "HS256" })),
            "authorization_servers[1].algorithms",
        ),
        (
            server(json!({ "issuer": "https://x.example.com", "algorithms": ["none"] })),
            "authorization_servers[1].algorithms",
        ),
        (
            server(json!({ "issuer": "https://x.example.com", "jwks": "{}" })),
            "authorization_servers[1].jwks",
        ),
        (
            server(json!({ "issuer": "https://x.example.com", "jwks_file": "/no/such/file" })),
            "authorization_servers[1].jwks_file",
        ),
        (
            json!({ "resource": "https://x.example.com",
                "oauth": { "copy_server_metadata": true, "copy_server_metadata_of": "https://x.example.com" },
                "authorization_servers": [{ "issuer": "https://x.example.com" }] }),
            "oauth.copy_server_metadata_of",
        ),
        (
            json!({ "resource": "https://x.example.com", "oauth": { "header_name": "cookie" },
                "authorization_servers": [{ "issuer": "https://x.example.com" }] }),
            "oauth.header_name",
        ),
        (
            json!({ "resource": "https://x.example.com", "metadata": { "resource_name": "x" },
                "oauth": { "header_name": "X-Assertion", "require_bearer": false },
                "authorization_servers": [{ "issuer": "https://x.example.com" }] }),
            "oauth.header_name",
        ),
        (
            json!({ "resource": "https://x.example.com", "oauth": { "max_token_bytes": 1000 },
                "authorization_servers": [{ "issuer": "https://x.example.com" }] }),
            "oauth.max_token_bytes",
        ),
        (
            json!({ "resource": "https://x.example.com", "oauth": { "max_header_bytes": "64 KiB" },
                "authorization_servers": [{ "issuer": "https://x.example.com" }] }),
            "oauth.max_header_bytes",
        ),
        (
            server(json!({ "issuer": "https://x.example.com", "clock_skew": "1h" })),
            "authorization_servers[1].clock_skew",
        ),
        (
            server(json!({ "issuer": "https://x.example.com", "require_claims": { "tid": [] } })),
            "authorization_servers[1].require_claims.tid",
        ),
        (
            server(json!({ "preset": { "supabase": { "project": "abc" } } })),
            "authorization_servers[1].preset",
        ),
        (
            server(json!({ "issuer": "https://x.example.com", "tenants": ["a"] })),
            "authorization_servers[1].tenants",
        ),
        (
            server(
                json!({ "issuer": "https://{tenant}.example.com", "tenants": ["a"], "scope_claim": "" }),
            ),
            "authorization_servers[1].scope_claim",
        ),
        (
            asked(json!({ "client_secret": SECRET })),
            "authorization_servers[1].introspection.client_id",
        ),
        (asked(json!({})), "authorization_servers[1].introspection"),
        (
            asked(json!({ "client_id": "x", "client_secret": { "env": "NO_SUCH_VARIABLE" } })),
            "authorization_servers[1].introspection.client_secret",
        ),
        (
            asked(json!({ "client_id": "x", "client_secret": SECRET, "bearer_token": SECRET })),
            "authorization_servers[1].introspection.bearer_token",
        ),
        (
            asked(json!({ "client_id": "x", "client_secret": SECRET, "max_queued": "x" })),
            "authorization_servers[1].introspection.max_queued",
        ),
        (
            json!({ "authorization_servers": [{ "issuer": "https://x.example.com" }] }),
            "resource",
        ),
        (
            json!({ "resource": "nowhere", "authorization_servers": [{ "issuer": "https://x.example.com" }] }),
            "resource",
        ),
        (json!({}), "configuration"),
        (json!({ "jwt": {} }), "jwt.secret"),
        (json!({ "jwt": { "secret": "short" } }), "jwt.secret"),
        (json!({ "jwt": { "secret": SECRET, "jwk": "{}" } }), "jwt"),
        (json!({ "jwt": { "jwk": "{}" } }), "jwt.jwk"),
        (
            json!({ "jwt": { "secret": SECRET, "algorithms": ["RS256"] } }),
            "jwt.algorithms",
        ),
        (
            json!({ "jwt": { "secret": SECRET, "header_name": "a b" } }),
            "jwt.header_name",
        ),
        (keys(json!({})), "api_keys.keys[1]"),
        (keys(json!({ "key": "short" })), "api_keys.keys[1].key"),
        (keys(json!({ "digest": "x" })), "api_keys.keys[1].digest"),
        (keys(json!({ "key": KEY })), "api_keys.keys"),
        (
            keys(json!({ "key": SECRET, "scopes": ["a b"] })),
            "api_keys.keys[1].scopes",
        ),
        (
            keys(json!({ "key": KEY, "resources": ["mcp"] })),
            "api_keys.keys[1].resources",
        ),
        (
            keys(json!({ "key": KEY, "resources": [] })),
            "api_keys.keys[1].resources",
        ),
        (
            json!({ "resource": "mcp", "api_keys": { "keys": [{ "key": KEY }] } }),
            "resource",
        ),
        (json!({ "api_keys": {} }), "api_keys.keys"),
        (json!({ "api_keys": { "file": {} } }), "api_keys.file.path"),
        (
            json!({ "api_keys": { "file": { "path": "/no/such.json" } } }),
            "api_keys.file",
        ),
        (
            json!({ "api_keys": { "keys": [{ "key": KEY }], "pepper": "short" } }),
            "api_keys.pepper",
        ),
        (
            json!({ "api_keys": { "keys": [{ "key": KEY }] }, "auth": { "public_paths": "x" } }),
            "auth.public_paths",
        ),
        (
            json!({ "api_keys": { "keys": [{ "key": KEY }] }, "auth": { "dangerously_report_only_for": ["x"] } }),
            "auth.dangerously_report_only_for",
        ),
        (
            json!({ "api_keys": { "keys": [{ "key": KEY }] }, "session": {} }),
            "session.key",
        ),
        (
            json!({ "api_keys": { "keys": [{ "key": KEY }] }, "session": { "key": SECRET, "also_accept": ["short"] } }),
            "session.also_accept[0]",
        ),
        (
            json!({ "resource": RESOURCE, "api_keys": { "keys": [{ "key": KEY }] }, "origin": { "allow_hosts": ["x.example.com"], "dangerously_any_host": true } }),
            "origin.dangerously_any_host",
        ),
        // A place of a key, not a key by the name of `file` that is its path.
        (
            json!({ "session": { "key": SECRET, "also_accept": { "file": "/run/secrets/mcp-server/session-old" } } }),
            "session.also_accept",
        ),
        (
            json!({ "sealer": { "key": SECRET, "also_accept": { "env": "THE_SEALER_KEY_OF_THE_LAST_MONTH" } } }),
            "sealer.also_accept",
        ),
        (
            json!({ "api_keys": { "keys": [{ "key": KEY }] }, "session": { "key": SECRET, "max_claims": 7 } }),
            "session.max_claims",
        ),
        (
            json!({ "api_keys": { "keys": [{ "key": KEY }] }, "session": { "key": SECRET, "anonymous_sessions_can_be_claimed": true, "max_claims": 0 } }),
            "session.max_claims",
        ),
        (
            json!({ "api_keys": { "keys": [{ "key": KEY }] }, "policy": {}, "lists": { "max_bytes": 0 } }),
            "lists.max_bytes",
        ),
        (
            json!({ "resource": RESOURCE, "api_keys": { "keys": [{ "key": KEY }] }, "origin": { "allow_origins": "x" } }),
            "origin.allow_origins",
        ),
    ];
    let mut wrong = Vec::new();
    for (value, path) in cases {
        let error = refused(&value);
        if error.path() != path || !error.to_string().starts_with(&format!("{path}: ")) {
            wrong.push(format!("{value}\n   {path} expected: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn text_that_is_no_configuration_is_reported_by_its_line() {
    let error = Config::from_json("{\n\"resource\": ,}").unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
    let error = Config::from_toml("resource = 'x'\nauth = = 2").unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
}

#[test]
fn nothing_is_there_twice() {
    for json in [
        r#"{ "resource": "https://a.example.com", "resource": "https://b.example.com" }"#,
        r#"{ "policy": { "tools": { "x": "a", "x": "b" } } }"#,
        r#"{ "authorization_servers": { "x": {}, "x": {} } }"#,
    ] {
        assert!(Config::from_json(json).is_err(), "{json}");
    }
}

#[test]
fn a_format_of_ones_own_gets_the_same_errors() {
    let value = json!({ "auth": { "optional": 1 } });
    let error = Config::deserialize_from(value.clone()).unwrap_err();
    assert_eq!(error.path(), "auth.optional");
    let error = serde_json::from_value::<Config>(value).unwrap_err();
    assert!(error.to_string().starts_with("auth.optional: "), "{error}");
}
