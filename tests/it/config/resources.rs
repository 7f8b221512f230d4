//! Several resources, and templates of such.

use serde_json::{Value, json};
use tower_mcp_auth::config::Config;

use crate::config::{RESOURCE, config};

const ISSUER: &str = "https://auth.example.com";

fn with(resources: Value) -> Value {
    json!({ "resources": resources, "authorization_servers": [{ "issuer": ISSUER }] })
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
    behind["proxies"] = json!({ "headers": "X-Forwarded", "networks": "10.0.0.1" });
    behind["oauth"] = json!({ "stripped_prefix": "/team" });
    let made = config(&behind);
    assert!(made.oauth_layer().unwrap().is_some());
    let origin = made.origin_layer().unwrap();
    let said = format!("{origin:?}");
    assert!(said.contains("https://mcp.example.com/{t}"), "{said}");
    behind["oauth"] = json!({ "stripped_prefix": "team" });
    let error = config(&behind).oauth_layer().map(drop).unwrap_err();
    assert_eq!(error.path(), "oauth.stripped_prefix");
    let idle = config(&json!({ "resources": [{ "url": RESOURCE }] }));
    assert_eq!(
        idle.oauth_layer().map(drop).unwrap_err().path(),
        "resources"
    );
}
