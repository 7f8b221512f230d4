//! A mistake in a configuration is an error, and neither a setting that does nothing nor a check
//! that is off.

use serde_json::{Value, json};
use tower_mcp_auth::config::{Config, Environment};
use tower_mcp_auth::mcp::McpPolicy;

use crate::config::{KEY, RESOURCE, SECRET, all_layers, refused};

fn keys(mut value: Value) -> Value {
    value["api_keys"] = json!({ "keys": [{ "key": KEY }] });
    value
}

fn server(server: Value) -> Value {
    let mut value = json!({ "resource": RESOURCE });
    value["authorization_servers"]["main"] = server;
    value
}

fn asked(mut introspection: Value) -> Value {
    introspection["bearer_token"] = json!(SECRET);
    server(json!({ "issuer": "https://auth.example.com", "introspection": introspection }))
}

#[track_caller]
fn assert_places<P: AsRef<str>>(cases: impl IntoIterator<Item = (Value, P)>) {
    for (value, path) in cases {
        let error = refused(&value);
        assert_eq!(error.path(), path.as_ref(), "{value}\n{error}");
    }
}

#[test]
fn a_section_for_what_is_not_there_is_refused() {
    assert_places([
        // These scopes would be asked of no token.
        (
            json!({ "jwt": { "secret": SECRET }, "oauth": { "required_scopes": ["a"] } }),
            "oauth",
        ),
        (keys(json!({ "oauth": {} })), "oauth"),
        (
            keys(json!({ "metadata": { "scopes_supported": ["a"] } })),
            "metadata",
        ),
        (
            keys(json!({ "operations": { "max_body_bytes": 5 } })),
            "operations",
        ),
        (keys(json!({ "lists": { "max_bytes": 5 } })), "lists"),
    ]);
}

#[test]
fn a_setting_for_what_is_not_there_is_refused() {
    for (name, value) in [
        ("client_id", "x"),
        ("client_secret_in", "post"),
        ("private_key_id", "x"),
        ("private_key_algorithm", "ES256"),
    ] {
        let path = format!("authorization_servers.main.introspection.{name}");
        assert_places([(asked(json!({ name: value })), path)]);
    }
    let cognito = json!({ "cognito": { "region": "eu-west-1", "pool_id": "eu-west-1_AbC" } });
    let hydra = json!({ "hydra": {
        "issuer": "https://h.example.com", "admin_url": "https://a.h.example.com",
    } });
    let both = |name: &str, value: Value| {
        server(json!({ "preset": cognito, "audience_is_the_resource": true, name: value }))
    };
    assert_places([
        (
            both("client_ids", json!(["x"])),
            "authorization_servers.main.preset",
        ),
        (
            both("audience", json!(["x"])),
            "authorization_servers.main.preset",
        ),
        (
            server(json!({ "preset": hydra })),
            "authorization_servers.main.preset",
        ),
        (
            server(json!({ "issuer": "https://auth.example.com/{tenant}" })),
            "authorization_servers.main.tenants",
        ),
        (
            server(json!({ "issuer": "https://auth.example.com/{tenant}", "tenants": [] })),
            "authorization_servers.main.tenants",
        ),
    ]);
}

#[test]
fn what_is_said_of_tokens_of_other_makers_is_judged_in_its_place() {
    let with = |name: &str, value: Value| {
        server(json!({ "issuer": "https://auth.example.com", name: value }))
    };
    for (name, value) in [
        ("require_subjects", json!([])),
        ("require_subjects", json!(["*"])),
        ("require_subjects", json!("user:a*")),
        ("accepted_typ", json!([])),
        ("accepted_typ", json!("dpop+jwt")),
        ("subject_claim", json!("email")),
        ("dangerously_subject_claim", json!("jti")),
        ("dangerously_any_token_for_audience", json!([""])),
    ] {
        let path = format!("authorization_servers.main.{name}");
        assert_places([(with(name, value), path)]);
    }
    for preset in [
        json!({ "github_actions": {} }),
        json!({ "github_actions": { "owner_ids": [], } }),
        json!({ "github_actions": { "owner_ids": [1], "repository_ids": [2] } }),
        json!({ "gitlab_ci": { "base_url": "https://gitlab.com" } }),
        json!({ "kubernetes": { "issuer": "https://k.example.com", "service_accounts": [] } }),
        json!({ "spiffe": { "trust_domain": "Example.org", "bundle_url": "https://b.example.org" } }),
        json!({ "firebase": { "project_id": "" } }),
    ] {
        let path = "authorization_servers.main.preset";
        assert_places([(server(json!({ "preset": preset })), path)]);
    }
    for ids in [
        json!(-1),
        json!("a"),
        json!("1,2"),
        json!(["1.0"]),
        json!([true]),
        json!(1.5),
    ] {
        let preset = json!({ "github_actions": { "owner_ids": ids } });
        let error = refused(&server(json!({ "preset": preset })));
        let path = "authorization_servers.main.preset.github_actions.owner_ids";
        assert!(error.path().starts_with(path), "{error}");
    }
    let jwt = |name: &str, value: Value| json!({ "jwt": { "secret": SECRET, name: value } });
    assert_places([
        (
            with("dangerously_any_token_for_audience", json!(["a"])),
            "authorization_servers.main",
        ),
        (jwt("accepted_typ", json!([])), "jwt.accepted_typ"),
        (
            jwt("accepted_typ", json!("secevent+jwt")),
            "jwt.accepted_typ",
        ),
        (jwt("subject_claim", json!("upn")), "jwt.subject_claim"),
    ]);
}

#[test]
fn nothing_is_no_value() {
    // What a template leaves behind must not be a policy, an issuer or scopes left out.
    for (value, path) in [
        (json!({ "policy": null }), "policy"),
        (json!({ "session": null }), "session"),
        (json!({ "jwt": { "issuer": null } }), "jwt.issuer"),
        (
            json!({ "jwt": { "required_scopes": null } }),
            "jwt.required_scopes",
        ),
        (
            json!({ "oauth": { "required_scopes": null } }),
            "oauth.required_scopes",
        ),
        (
            json!({ "auth": { "stream_max_life": null } }),
            "auth.stream_max_life",
        ),
    ] {
        let error = Config::from_json(&value.to_string()).unwrap_err();
        assert_eq!(error.path(), path, "{error}");
    }
    for needs in [
        json!(null),
        json!([null]),
        json!({ "all": null }),
        json!({ "all": null, "any": ["a"] }),
        json!({ "all": ["a"], "any": null }),
        json!({ "all": ["a"], "none": null }),
        json!({ "all": ["a"], "deny": null }),
        json!({ "all": null, "deny": true }),
        json!({ "all": null, "none": true }),
    ] {
        for policy in [
            json!({ "baseline": needs }),
            json!({ "tools": { "delete": needs } }),
        ] {
            let read = serde_json::from_value::<McpPolicy>(policy.clone());
            assert!(read.is_err(), "{policy}");
            let error = refused(&json!({ "policy": policy }));
            assert!(error.path().starts_with("policy"), "{error}");
        }
    }
}

/// A list with commas would have names that nothing has.
#[test]
fn a_comma_separates_no_texts() {
    for list in ["a, b", "a ,b", "a , b", "a,", ",a", "/a, /b"] {
        for (section, name) in [
            ("jwt", "audience"),
            ("auth", "public_paths"),
            ("auth", "forbidden_query_names"),
            ("origin", "allow_hosts"),
            ("origin", "allow_origins"),
            ("metadata", "authorization_details_types_supported"),
        ] {
            let value = json!({ section: { name: list } });
            let error = Config::from_json(&value.to_string()).expect_err(name);
            assert_eq!(error.path(), format!("{section}.{name}"));
            assert!(error.to_string().contains("comma"), "{error}");
        }
        for name in ["audience", "tenants", "client_ids", "ignore_audiences"] {
            let error = Config::from_json(&server(json!({ name: list })).to_string());
            let path = format!("authorization_servers.main.{name}");
            assert_eq!(error.expect_err(name).path(), path);
        }
        let error = server(json!({ "require_claims": { "groups": list } })).to_string();
        let path = "authorization_servers.main.require_claims.groups";
        assert_eq!(Config::from_json(&error).expect_err(list).path(), path);
    }
    for one in ["a,b", "a b,c d"] {
        Config::from_json(&json!({ "jwt": { "audience": one } }).to_string()).unwrap();
        let claims = server(json!({ "require_claims": { "groups": one } }));
        Config::from_json(&claims.to_string()).unwrap();
    }
    // An element of a list is what it is.
    let list = json!({ "jwt": { "audience": ["a,"] } });
    Config::from_json(&list.to_string()).unwrap();
}

#[test]
fn a_name_is_not_empty() {
    for empty in ["", " ", "\n"] {
        for (section, name) in [
            ("session", "server"),
            ("sealer", "purpose"),
            ("jwt", "key_id"),
            ("jwt", "realm"),
            ("api_keys", "realm"),
        ] {
            let error = Config::from_json(&json!({ section: { name: empty } }).to_string());
            assert_eq!(error.unwrap_err().path(), format!("{section}.{name}"));
        }
        for name in ["id", "name", "owner"] {
            let value = json!({ "api_keys": { "keys": [{ "key": KEY, name: empty }] } });
            let error = Config::from_json(&value.to_string()).unwrap_err();
            assert_eq!(error.path(), format!("api_keys.keys[0].{name}"));
        }
    }
}

#[test]
fn an_empty_text_names_no_scope() {
    for empty in ["", " ", "\n", "a, b", "a,"] {
        for (value, path) in [
            (json!({ "policy": { "baseline": empty } }), "policy"),
            (
                json!({ "policy": { "tools": { "delete": empty } } }),
                "policy",
            ),
            (
                json!({ "policy": { "other_http_methods": empty } }),
                "policy",
            ),
            (
                json!({ "api_keys": { "keys": [{ "key": KEY, "scopes": empty }] } }),
                "api_keys.keys[0].scopes",
            ),
            (
                json!({ "api_keys": { "keys": [{ "key": KEY, "scopes": [empty] }] } }),
                "api_keys.keys[0].scopes",
            ),
            (
                json!({ "jwt": { "secret": SECRET, "required_scopes": empty } }),
                "jwt.required_scopes",
            ),
            (
                json!({ "jwt": { "secret": SECRET, "required_scopes": [empty] } }),
                "jwt.required_scopes",
            ),
            (
                server(json!({
                    "issuer": "https://auth.example.com",
                    "scopes_from_claims": [{ "claim": "roles", "scopes": { "a": empty } }],
                })),
                "authorization_servers.main.scopes_from_claims[0]",
            ),
        ] {
            let error = refused(&value);
            assert!(error.path().starts_with(path), "{error} {value}");
        }
        for section in ["oauth", "metadata"] {
            let name = if section == "oauth" {
                "required_scopes"
            } else {
                "scopes_supported"
            };
            let mut value = server(json!({ "issuer": "https://auth.example.com" }));
            value[section] = json!({ name: [empty] });
            assert_eq!(refused(&value).path(), format!("{section}.{name}"));
            value[section] = json!({ name: empty });
            assert_eq!(refused(&value).path(), format!("{section}.{name}"));
        }
        // A variable that is set to nothing.
        for name in [
            "POLICY__BASELINE",
            "API_KEYS__KEYS__A__SCOPES",
            "OAUTH__REQUIRED_SCOPES",
        ] {
            let variables = [(format!("MCP_AUTH_{name}"), empty)];
            let variables = Environment::of("MCP_AUTH_", variables).unwrap();
            let source = figment::providers::Serialized::defaults(variables);
            let config = figment::Figment::from(source).extract::<Config>();
            let error = config.err().map(|error| error.to_string());
            assert!(error.is_some() || empty.contains(','), "{name} {empty:?}");
        }
    }
    let variables = [("MCP_AUTH_POLICY__BASELINE__NONE", "true")];
    let variables = Environment::of("MCP_AUTH_", variables).unwrap();
    let source = figment::providers::Serialized::defaults(variables);
    let config = figment::Figment::from(source).extract::<Config>().unwrap();
    config.policy_layers().unwrap().unwrap();
}

#[test]
fn naming_the_path_of_an_event_stream_does_not_open_it() {
    for sse in [
        json!({}),
        json!({ "sse_path": "/events" }),
        json!({ "messages": true }),
    ] {
        assert_places([(
            keys(json!({ "auth": { "sse_endpoints": sse } })),
            "auth.sse_endpoints.sse",
        )]);
    }
    all_layers(&keys(json!({ "auth": { "sse_endpoints": { "sse": true } } })).to_string()).unwrap();
}

#[test]
fn a_number_is_not_called_by_its_type() {
    let cases = [
        (
            json!({ "revocation": { "max_entries": -1 } }),
            "a whole number",
        ),
        (
            json!({ "revocation": { "max_entries": "many" } }),
            "a whole number",
        ),
        (
            json!({ "api_keys": { "file": { "path": "keys", "max_bytes": true } } }),
            "",
        ),
        (
            json!({ "failed_attempts": { "ipv6_prefix": 256 } }),
            "up to 255",
        ),
    ];
    for (value, wanted) in cases {
        let error = Config::from_json(&value.to_string())
            .unwrap_err()
            .to_string();
        assert!(error.contains(wanted), "{error}");
        for name in ["u8", "u16", "u32", "u64", "usize"] {
            assert!(!error.contains(name), "{error}");
        }
    }
}

#[test]
fn a_minute_is_not_a_month() {
    let life =
        |life: &str| Config::from_json(&json!({ "auth": { "stream_max_life": life } }).to_string());
    assert!(life("5m").is_ok());
    assert!(life("2months").is_ok());
    for month in ["5M", "1h 5M"] {
        assert_eq!(life(month).unwrap_err().path(), "auth.stream_max_life");
    }
}

#[test]
fn a_time_of_toml_is_no_text() {
    for (toml, path) in [
        ("[session]\nkey = 1979-05-27", "session.key"),
        ("[session]\nserver = 1979-05-27T07:32:00Z", "session.server"),
        ("resource = 07:32:00", "resource"),
        ("auth.public_paths = [1979-05-27]", "auth.public_paths[0]"),
        ("auth.stream_grace = 07:32:00", "auth.stream_grace"),
    ] {
        let error = Config::from_toml(toml).unwrap_err();
        assert_eq!(error.path(), path, "{error}");
    }
}

#[test]
fn no_life_is_too_long_to_be_one() {
    for name in ["positive_ttl", "negative_ttl", "timeout"] {
        for life in [json!("2000y"), json!(u64::MAX)] {
            all_layers(&asked(json!({ name: life })).to_string()).unwrap();
        }
    }
}

#[test]
fn what_is_refused_when_all_is_known_has_its_place() {
    let two = |a: Value, b: Value| json!({ "resource": RESOURCE, "authorization_servers": [a, b] });
    let issuer = |name: &str, mut server: Value| {
        server["issuer"] = json!(format!("https://{name}.example.com"));
        server
    };
    let asks = json!({ "introspection": { "bearer_token": SECRET } });
    let all = |section: &str, settings: Value| {
        json!({
            "resource": RESOURCE,
            "authorization_servers": [issuer("a", json!({}))],
            "oauth": { section: settings },
        })
    };
    assert_places([
        (
            two(
                issuer("a", json!({})),
                issuer("b", json!({ "introspection_without_audience": true })),
            ),
            "authorization_servers[1].introspection_without_audience",
        ),
        (
            two(issuer("a", asks.clone()), issuer("b", asks)),
            "authorization_servers",
        ),
        (
            json!({
                "resource": RESOURCE,
                "authorization_servers": [issuer("a", json!({}))],
                "oauth": { "required_scopes": ["offline_access"] },
            }),
            "oauth.required_scopes",
        ),
        (
            all("copy_server_metadata_of", json!("https://b.example.com")),
            "oauth.copy_server_metadata_of",
        ),
        (all("fetch", json!({ "timeout": 0 })), "oauth.fetch.timeout"),
        (
            all("fetch", json!({ "connect_timeout": 0 })),
            "oauth.fetch.connect_timeout",
        ),
        (
            all("jwks_options", json!({ "default_ttl": "5s" })),
            "oauth.jwks_options.default_ttl",
        ),
        (
            all("jwks_options", json!({ "fetch_timeout": 0 })),
            "oauth.jwks_options.fetch_timeout",
        ),
        (
            all("jwks_options", json!({ "max_keys": 0 })),
            "oauth.jwks_options.max_keys",
        ),
        (
            all("jwks_options", json!({ "ttl_min": "2m", "ttl_max": "1m" })),
            "oauth.jwks_options.ttl_min",
        ),
        (
            all(
                "jwks_options",
                json!({ "backoff_min": "2m", "backoff_max": "1m" }),
            ),
            "oauth.jwks_options.backoff_min",
        ),
    ]);
}

#[test]
fn the_origins_of_cors_are_those_that_are_allowed() {
    let origins = |origin: &str| {
        let value = json!({ "resource": RESOURCE, "origin": { "allow_origins": [origin] } });
        let config = crate::config::config(&value);
        let error = |error: tower_mcp_auth::ConfigError| error.path().to_owned();
        let cors = config.cors_layer().map(|_| ()).map_err(error);
        assert_eq!(
            config.origin_layer().map(|_| ()).map_err(error),
            cors,
            "{origin}"
        );
        cors
    };
    for wrong in [
        "*",
        "null",
        "https://app.example.com/",
        "app.example.com",
        "",
    ] {
        assert_eq!(origins(wrong).unwrap_err(), "origin.allow_origins");
    }
    for good in ["https://app.example.com", "https://APP.example.com:443"] {
        origins(good).unwrap();
    }
}

#[tokio::test]
async fn cors_allows_an_origin_however_it_is_written() {
    use tower::{Layer, ServiceExt};

    let allowed = "https://APP.example.com:443";
    let value = json!({ "origin": { "allow_origins": [allowed] } });
    let cors = crate::config::config(&value).cors_layer().unwrap();
    let service = cors.layer(tower::service_fn(async |_: http::Request<String>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
    }));
    for (origin, is_allowed) in [
        ("https://app.example.com", true),
        ("http://app.example.com", false),
        ("https://app.example.com:8443", false),
        ("https://app.example.com.evil.example", false),
        ("null", false),
    ] {
        let request = http::Request::post("/mcp").header("origin", origin);
        let request = request.body(String::new()).unwrap();
        let answer = service.clone().oneshot(request).await.unwrap();
        let header = answer.headers().get("access-control-allow-origin");
        assert_eq!(
            header.is_some_and(|value| value == origin),
            is_allowed,
            "{origin}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_key_set_is_read_from_a_file_that_ends() {
    let pipe = std::env::temp_dir().join(format!("jwks-pipe-{}", std::process::id()));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let large = std::env::temp_dir().join(format!("jwks-large-{}", std::process::id()));
    std::fs::write(&large, " ".repeat((1 << 20) + 1)).unwrap();
    for file in [
        pipe.to_str().unwrap(),
        "/dev/zero",
        "/tmp",
        large.to_str().unwrap(),
    ] {
        assert_places([(
            server(json!({ "issuer": "https://auth.example.com", "jwks_file": file })),
            "authorization_servers.main.jwks_file",
        )]);
    }
    std::fs::remove_file(pipe).unwrap();
    std::fs::remove_file(large).unwrap();
}

#[test]
fn how_requests_are_made_is_said_once_and_can_be_done() {
    let fetch = |section: Value| {
        json!({
            "resource": RESOURCE,
            "authorization_servers": [{ "issuer": "https://a.example.com" }],
            "oauth": { "fetch": section },
        })
    };
    let proxy = "http://proxy.example.com:3128";
    assert_places([
        (
            fetch(json!({ "proxy": proxy, "proxy_from_environment": true })),
            "oauth.fetch.proxy_from_environment",
        ),
        (
            fetch(json!({ "proxy": proxy, "public_addresses_only": true })),
            "oauth.fetch.proxy",
        ),
        (
            fetch(json!({ "proxy_from_environment": true, "public_addresses_only": true })),
            "oauth.fetch.proxy_from_environment",
        ),
        (fetch(json!({ "proxy": "proxy" })), "oauth.fetch.proxy"),
        (
            fetch(json!({ "proxy": { "env": "NO_SUCH_VARIABLE" } })),
            "oauth.fetch.proxy",
        ),
        (
            fetch(json!({ "root_certificates_file": "/no/such/file.pem" })),
            "oauth.fetch.root_certificates_file",
        ),
        (
            fetch(
                json!({ "root_certificates_file": concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml") }),
            ),
            "oauth.fetch.root_certificates_file",
        ),
    ]);
}
