//! Several resources, and templates of such.

use serde_json::{Value, json};
use tower_mcp_auth::config::Config;

use crate::config::{KEY, RESOURCE, SECRET, config};
use common::{ask, request_to, sign};

const ISSUER: &str = "https://auth.example.com";

fn with(resources: Value) -> Value {
    let mut value = json!({ "authorization_servers": [{ "issuer": ISSUER }] });
    value["resources"] = resources;
    value
}

#[test]
fn resources_are_a_list_or_a_map_and_may_be_templates() {
    let files = json!({ "url": "https://files.example.com/mcp", "audience": "api://files",
        "authorization_servers": [ISSUER], "required_scopes": "files:read",
        "metadata": { "resource_name": "Files" } });
    let tenants = json!({ "url": "https://mcp.example.com/{tenant}/mcp",
        "tenants": ["acme", "globex"], "audience": "api://mcp/{tenant}",
        "tenant_settings": { "acme": { "authorization_servers": ISSUER, "required_scopes": ["x"] } } });
    for resources in [
        json!([files, tenants]),
        json!({ "files": files, "tenants": tenants }),
    ] {
        let layer = config(&with(resources)).oauth_layer().unwrap().unwrap();
        let made: Vec<_> = layer
            .resources()
            .iter()
            .map(|resource| resource.resource())
            .collect();
        assert_eq!(
            made,
            [
                "https://files.example.com/mcp",
                "https://mcp.example.com/{tenant}/mcp"
            ]
        );
    }
}

#[test]
fn what_is_wrong_with_a_resource_is_reported_with_its_path() {
    let template = |changes: Value| {
        let mut template =
            json!({ "url": "https://mcp.example.com/{t}", "tenants": ["acme", "globex"] });
        for (name, value) in changes.as_object().unwrap() {
            template[name] = value.clone();
        }
        with(json!({ "many": template }))
    };
    let cases = [
        (with(json!([{}])), "resources[0].url"),
        (with(json!([{ "url": "x" }])), "resources[0].url"),
        (with(json!([{ "url": RESOURCE, "x": 1 }])), "resources[0]"),
        (
            with(json!([{ "url": RESOURCE, "metadata": { "jwks_uri": "x" } }])),
            "resources[0].metadata.jwks_uri",
        ),
        (
            with(json!([{ "url": RESOURCE, "tenant_settings": { "x": {} } }])),
            "resources[0].tenant_settings",
        ),
        (
            with(json!([{ "url": RESOURCE }, { "url": RESOURCE }])),
            "resources",
        ),
        (
            with(json!([{ "url": RESOURCE, "authorization_servers": "https://x.example.com" }])),
            "resources",
        ),
        (template(json!({ "url": RESOURCE })), "resources.many.url"),
        (
            template(json!({ "tenants": ["Acme"] })),
            "resources.many.tenants",
        ),
        (
            template(json!({ "audience": "api://mcp" })),
            "resources.many.audience",
        ),
        (
            template(json!({ "required_scopes": ["offline_access"] })),
            "resources.many.required_scopes",
        ),
        (
            template(json!({ "tenant_settings": { "hooli": {} } })),
            "resources.many.tenant_settings.hooli",
        ),
        (
            template(json!({ "tenant_settings": { "acme": { "required_scopes": ["\""] } } })),
            "resources.many.tenant_settings.acme.required_scopes",
        ),
    ];
    for (value, path) in cases {
        let made = Config::from_json(&value.to_string()).and_then(|config| config.oauth_layer());
        assert_eq!(made.map(drop).unwrap_err().path(), path, "{value}");
    }
    for (key, value) in [("resource", json!(RESOURCE)), ("metadata", json!({}))] {
        let mut both = with(json!([{ "url": RESOURCE }]));
        both[key] = value;
        let error = config(&both).oauth_layer().map(drop).unwrap_err();
        assert_eq!(error.path(), key, "{error}");
    }
    let mut behind = with(json!({ "many": { "url": "https://mcp.example.com/{t}",
        "tenants": ["acme", "globex"] } }));
    behind["proxies"] = json!({ "stripped_prefix": "/team" });
    assert!(config(&behind).oauth_layer().unwrap().is_some());
    behind["proxies"]["headers"] = json!("X-Forwarded");
    behind["proxies"]["networks"] = json!("10.0.0.1");
    let made = config(&behind);
    assert!(made.oauth_layer().unwrap().is_some());
    let origin = made.origin_layer().unwrap();
    let said = format!("{origin:?}");
    assert!(said.contains("https://mcp.example.com/{t}"), "{said}");
    behind["proxies"]["stripped_prefix"] = json!("team");
    let error = config(&behind).oauth_layer().map(drop).unwrap_err();
    assert_eq!(error.path(), "proxies.stripped_prefix");
    let idle = config(&json!({ "resources": [{ "url": RESOURCE }] }));
    assert_eq!(
        idle.oauth_layer().map(drop).unwrap_err().path(),
        "resources"
    );
}

/// Resources of JWTs and API keys: a plain one, and tenants.
fn without_servers(more: &Value) -> Value {
    let mut value = json!({ "resources": {
        "files": { "url": "https://files.example.com/mcp" },
        "tenants": { "url": "https://mcp.example.com/{t}", "tenants": ["acme", "globex"] },
    } });
    for (name, section) in more.as_object().unwrap() {
        value[name] = section.clone();
    }
    value
}

#[tokio::test]
async fn without_authorization_servers_they_are_those_of_jwts_and_keys() {
    let of_acme = json!({ "key": KEY, "resources": ["https://mcp.example.com/acme"] });
    let keys = json!({ "keys": [of_acme] });
    let jwt = json!({ "secret": SECRET });
    let exp = u64::MAX >> 12;
    let claims = format!(r#"{{"sub":"alice","exp":{exp},"aud":"https://mcp.example.com/acme"}}"#);
    let key = common::SigningKey::hmac(SECRET);
    let token = format!(
        "Bearer {}",
        sign(&key, "HS256", r#"{"alg":"HS256"}"#, &claims)
    );
    let by_key = ("x-api-key", KEY);
    let by_token = ("authorization", &*token);
    for (sections, credentials) in [
        (json!({ "api_keys": keys }), vec![by_key]),
        (json!({ "jwt": jwt }), vec![by_token]),
        (
            json!({ "jwt": jwt, "api_keys": keys }),
            vec![by_key, by_token],
        ),
    ] {
        let layer = config(&without_servers(&sections)).auth_layer().unwrap();
        for credential in credentials {
            for (host, path, status) in [
                ("mcp.example.com", "/acme", 200),
                ("mcp.example.com", "/globex", 401),
                ("files.example.com", "/mcp", 401),
                ("mcp.example.com", "/hooli", 404),
                ("other.example.com", "/mcp", 421),
            ] {
                let request = request_to(path, &[("host", host), credential]);
                let answer = ask(&layer, request).await;
                assert_eq!(answer.status, status, "{sections} at {host}{path}");
                if status == 200 {
                    let resource = answer.principal().resource().unwrap();
                    assert_eq!(resource.url(), "https://mcp.example.com/acme");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_proxy_names_the_host_for_keys_too() {
    use tower_mcp_auth::peer::PeerAddr;

    let key = json!({ "key": KEY, "resources": "https://files.example.com/mcp" });
    let proxies = json!({ "headers": "X-Forwarded", "networks": "10.0.0.1" });
    let sections = json!({ "api_keys": { "keys": [key] }, "proxies": proxies });
    let layer = config(&without_servers(&sections)).auth_layer().unwrap();
    for (peer, status) in [("10.0.0.1", 200), ("10.0.0.2", 421)] {
        let headers = [
            ("host", "inner:3000"),
            ("x-forwarded-host", "files.example.com"),
            ("x-api-key", KEY),
        ];
        let mut request = request_to("/mcp", &headers);
        let peer: std::net::IpAddr = peer.parse().unwrap();
        request.extensions_mut().insert(PeerAddr::from(peer));
        assert_eq!(ask(&layer, request).await.status, status, "{peer}");
    }
}

#[tokio::test]
async fn one_that_is_listed_alone_is_the_audience_of_jwts() {
    let elsewhere = "https://other.example.com/mcp";
    let key = common::SigningKey::hmac(SECRET);
    let token = |audience: &str| {
        let exp = u64::MAX >> 12;
        let claims = format!(r#"{{"sub":"alice","exp":{exp},"aud":"{audience}"}}"#);
        let token = sign(&key, "HS256", r#"{"alg":"HS256"}"#, &claims);
        format!("Bearer {token}")
    };
    for (jwt, here, other) in [
        (json!({ "secret": SECRET }), 200, 401),
        (
            json!({ "secret": SECRET, "audience": [elsewhere] }),
            401,
            200,
        ),
        (
            json!({ "secret": SECRET, "dangerously_any_audience": true }),
            200,
            200,
        ),
    ] {
        let value = json!({ "resources": [{ "url": RESOURCE }], "jwt": jwt });
        let layer = config(&value).auth_layer().unwrap();
        for (audience, status) in [(RESOURCE, here), (elsewhere, other)] {
            let request = request_to("/mcp", &[("authorization", &token(audience))]);
            let answer = ask(&layer, request).await;
            assert_eq!(answer.status, status, "{value} {audience}");
        }
    }
}

#[test]
fn settings_for_access_tokens_are_refused_at_one_resource_too() {
    let keys = json!({ "keys": [{ "key": KEY }] });
    for (key, setting) in [
        ("audience", json!("x")),
        ("authorization_servers", json!([ISSUER])),
        ("required_scopes", json!(["x"])),
        ("metadata", json!({})),
    ] {
        for providers in [
            json!({ "jwt": { "secret": SECRET } }),
            json!({ "api_keys": keys }),
            json!({ "jwt": { "secret": SECRET }, "api_keys": keys }),
        ] {
            let mut value = providers;
            value["resources"] = json!([{ "url": RESOURCE, key: setting }]);
            let error = config(&value).auth_layer().map(drop).unwrap_err();
            assert_eq!(error.path(), format!("resources[0].{key}"), "{value}");
        }
    }
}

#[test]
fn a_prefix_is_refused_where_no_resource_is_chosen() {
    for prefix in ["/team", "team"] {
        for resource in [
            json!({ "resource": RESOURCE }),
            json!({ "resources": [{ "url": RESOURCE }] }),
        ] {
            let mut value = resource;
            value["proxies"] = json!({ "stripped_prefix": prefix });
            value["api_keys"] = json!({ "keys": [{ "key": KEY }] });
            let error = config(&value).stack().map(drop).unwrap_err();
            assert_eq!(error.path(), "proxies.stripped_prefix", "{value}");
        }
    }
}

#[test]
fn what_is_wrong_with_resources_of_keys_is_reported_with_its_path() {
    let keys = || json!({ "keys": [{ "key": KEY, "resources": RESOURCE }] });
    let with = |change: &dyn Fn(&mut Value)| {
        let mut value = without_servers(&json!({ "api_keys": keys() }));
        change(&mut value);
        value
    };
    let files = |key: &'static str, setting: Value| {
        with(&move |value: &mut Value| value["resources"]["files"][key] = setting.clone())
    };
    let cases = [
        (files("audience", json!("x")), "resources.files.audience"),
        (
            files("authorization_servers", json!([ISSUER])),
            "resources.files.authorization_servers",
        ),
        (
            files("required_scopes", json!(["x"])),
            "resources.files.required_scopes",
        ),
        (files("metadata", json!({})), "resources.files.metadata"),
        (
            files("tenant_settings", json!({ "acme": {} })),
            "resources.files.tenant_settings",
        ),
        (files("url", json!("mcp")), "resources.files.url"),
        (
            files("url", json!("https://files.example.com/?x")),
            "resources.files.url",
        ),
        (
            files("url", json!("https://mcp.example.com/acme")),
            "resources.tenants.url",
        ),
        (
            with(&|value| value["resource"] = json!(RESOURCE)),
            "resource",
        ),
        (
            with(&|value| value["api_keys"]["keys"] = json!([{ "key": KEY }])),
            "api_keys.keys",
        ),
        (
            with(&|value| value["jwt"] = json!({ "secret": SECRET, "audience": ["x"] })),
            "resources",
        ),
        (
            with(&|value| value["proxies"] = json!({ "headers": "Forwarded" })),
            "proxies.networks",
        ),
    ];
    for (value, path) in cases {
        let made = Config::from_json(&value.to_string()).and_then(|config| config.auth_layer());
        assert_eq!(made.map(drop).unwrap_err().path(), path, "{value}");
    }
    let all = with(&|value| {
        value["api_keys"] = json!({ "keys": [{ "key": KEY }], "dangerously_all_resources": true });
    });
    let _ = config(&all).auth_layer().unwrap();
    // A list of one is the resource, as it is with access tokens.
    let one = json!({ "resources": [{ "url": RESOURCE }], "api_keys": keys() });
    let layer = config(&one).auth_layer().unwrap();
    assert!(format!("{layer:?}").contains(RESOURCE));
}
