//! What is refused before serving, by the setting that is wrong.

use std::ops::RangeInclusive;
use std::time::Duration;

use tower_mcp_auth::jose::Algorithm;
use tower_mcp_auth::oauth::presets::{hydra, keycloak};
use tower_mcp_auth::oauth::{AuthorizationServer, Introspection, JwksOptions, ProtectedResource};
use tower_mcp_auth::{ConfigError, OAuthLayer};

use crate::oauth::support::*;
use crate::oauth::trace;

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ConfigError>, setting: &str) {
    let error = result.expect_err("accepted");
    assert_eq!(error.setting(), setting, "{error}");
}

#[test]
fn resources_that_are_none() {
    for resource in [
        "",
        "mcp",
        "/mcp",
        "mcp.example.com/mcp",
        "https://",
        "https:mcp.example.com",
        "http://mcp.example.com/mcp",
        "ftp://mcp.example.com",
        "https://mcp.example.com/mcp#part",
        "https://mcp.example.com/mcp#",
        "https://user@mcp.example.com/mcp",
        "https://user:secret@mcp.example.com/mcp",
        "https://mcp.example.com/a b",
        "https://mcp.example.com\\mcp",
        "https://mcp.exämple.com/mcp",
        " https://mcp.example.com/mcp",
        // Clients ask for the metadata of what they make of these.
        "https://mcp.example.com/a/../mcp",
        "https://mcp.example.com/mcp/.",
        "https://mcp.example.com/%2e%2E/mcp",
        "https://mcp.example.com/{tenant}/mcp",
        "https://mcp.example.com/mcp?tenant=<a>",
    ] {
        refused(ProtectedResource::new(resource), "resource");
        refused(OAuthLayer::new(resource, ISSUER), "resource");
    }
    let error = ProtectedResource::new("https://mcp.example.com/a/../mcp").unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains(r#""https://mcp.example.com/mcp""#),
        "{error}"
    );
    let error = ProtectedResource::new("https://user:s3cret@mcp.example.com/#x").unwrap_err();
    assert!(!error.to_string().contains("s3cret"), "{error}");
    for resource in [
        "https://mcp.example.com",
        "https://mcp.example.com/",
        "https://mcp.example.com/mcp/",
        "https://mcp.example.com:443/mcp",
        "https://MCP.example.com/mcp",
        "https://mcp.example.com/mcp?tenant=1",
        "http://127.0.0.1:3000/mcp",
        "http://[::1]:3000/mcp",
        "http://localhost:3000/mcp",
    ] {
        assert_eq!(
            ProtectedResource::new(resource).unwrap().resource(),
            resource
        );
    }
}

#[test]
fn resources_that_break_some_clients_are_taken_with_a_warning_that_names_them() {
    for (resource, part) in [
        ("https://mcp.example.com/mcp?tenant=1", "query"),
        ("https://mcp.example.com/mcp/", "TypeScript SDK and rmcp"),
        ("https://mcp.example.com:443/mcp", "Python SDK"),
        ("https://MCP.example.com/mcp", "Go SDK"),
        ("http://127.0.0.1:3000/mcp", "http on loopback"),
    ] {
        trace::start();
        let _ = ProtectedResource::new(resource).unwrap();
        let events = trace::take();
        assert_eq!(events.len(), 1, "{resource}: {events:?}");
        assert_eq!(events[0].level, tracing::Level::WARN);
        assert!(events[0].field("detail").contains(part), "{events:?}");
    }
    trace::start();
    for resource in ["https://mcp.example.com", "https://mcp.example.com/mcp"] {
        let _ = ProtectedResource::new(resource).unwrap();
    }
    assert!(trace::take().is_empty());
}

#[test]
fn issuers_that_are_none() {
    for issuer in [
        "",
        "auth.example.com",
        "http://auth.example.com",
        "http://127.0.0.1:9000",
        "file:///keys",
        "https://auth.example.com?tenant=1",
        "https://auth.example.com#x",
        "https://user@auth.example.com",
    ] {
        refused(AuthorizationServer::new(issuer), "issuer");
        refused(OAuthLayer::new(RESOURCE, issuer), "issuer");
    }
    let loopback = AuthorizationServer::insecure_http_on_loopback;
    for issuer in [
        "http://127.0.0.1:9000",
        "http://localhost:9000",
        "http://[::1]:9000/x",
    ] {
        assert!(loopback(issuer).is_ok());
    }
    for issuer in [
        "http://auth.example.com",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://10.0.0.1",
        "http://0.0.0.0",
    ] {
        refused(loopback(issuer), "issuer");
    }
}

fn server() -> AuthorizationServer {
    AuthorizationServer::new(ISSUER).unwrap()
}

/// People paste what they open in a browser.
#[test]
fn the_address_of_a_document_is_not_what_it_is_about() {
    let documents = [
        (".well-known/openid-configuration", ""),
        (".well-known/openid-configuration/", ""),
        (".well-known/oauth-authorization-server", ""),
        (".well-known/oauth-authorization-server/a/b", "/a/b"),
        ("a/.well-known/openid-configuration", "/a"),
        ("a/v2.0/.well-known/openid-configuration?appid=1", "/a/v2.0"),
        (".well-known/openid-configuration/jwks", ""),
        (".well-known/jwks.json", ""),
        (".Well-Known/OpenID-configuration", ""),
    ];
    for (path, issuer) in documents {
        let url = format!("https://auth.example.com/{path}");
        let issuer = format!("\"https://auth.example.com{issuer}\"");
        for result in [
            AuthorizationServer::new(&*url),
            hydra::server(&*url),
            keycloak::server(&url, "x"),
            AuthorizationServer::dangerously_plain_http(&*url),
        ] {
            let error = result.expect_err(&url).to_string();
            assert!(error.contains(&issuer), "{url}: {error}");
        }
        refused(OAuthLayer::new(RESOURCE, &*url), "issuer");
    }
    let error = AuthorizationServer::insecure_http_on_loopback(
        "http://localhost:9000/.well-known/openid-configuration",
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("\"http://localhost:9000\""), "{error}");
    for path in [
        ".well-known/openid-configuration",
        ".well-known/oauth-authorization-server/a",
    ] {
        let url = format!("https://auth.example.com/{path}");
        refused(server().jwks_uri(&*url), "jwks_uri");
        refused(Introspection::at(&*url), "introspection");
    }
    for keys in [
        ".well-known/jwks.json",
        ".well-known/openid-configuration/jwks",
        "keys",
    ] {
        let _ = server()
            .jwks_uri(format!("https://auth.example.com/{keys}"))
            .unwrap();
    }
    for issuer in [
        "https://auth.example.com/.well-known/openid-configurations",
        "https://openid-configuration.example",
    ] {
        let _ = AuthorizationServer::new(issuer).unwrap();
    }
    for url in [
        "https://mcp.example.com/.well-known/oauth-protected-resource",
        "https://mcp.example.com/.well-known/oauth-protected-resource/mcp",
    ] {
        let error = AuthorizationServer::new(url).expect_err(url).to_string();
        assert!(error.contains("`authorization_servers`"), "{error}");
    }
    for (url, resource) in [
        (
            "https://mcp.example.com/.well-known/oauth-protected-resource/mcp",
            "https://mcp.example.com/mcp",
        ),
        (
            "https://mcp.example.com/.well-known/oauth-protected-resource",
            "https://mcp.example.com",
        ),
    ] {
        let error = ProtectedResource::new(url).unwrap_err().to_string();
        assert!(error.contains(&format!("{resource:?}")), "{error}");
    }
}

#[test]
fn scopes_are_named_and_separated() {
    for scope in ["", " ", "a,", "a, b", "two scopes", ","] {
        let resource = || ProtectedResource::new(RESOURCE).unwrap();
        refused(resource().scopes_supported([scope]), "scopes_supported");
        let layer = OAuthLayer::builder(RESOURCE).unwrap();
        let layer = layer.authorization_server(server()).unwrap();
        refused(layer.required_scopes([scope]).build(), "required_scopes");
        let asks = Introspection::discovered().introspect_jwts_with_scope(scope);
        refused(asks, "introspect_jwts_with_scope");
    }
    for granted in ["", " ", "a, b", "a,"] {
        let mapped = server().scopes_from_claim(["roles"], [("editor", granted)]);
        refused(mapped, "scopes_from_claim");
    }
}

/// `fn main() -> Result<(), Box<dyn Error>>` prints `Debug`.
#[test]
fn an_error_is_shown_like_it_reads() {
    let error = AuthorizationServer::new("https://auth.example.com?x").unwrap_err();
    assert_eq!(format!("{error:?}"), error.to_string());
    assert_eq!(format!("{error:#?}"), "issuer: an issuer has no query");
}

#[test]
fn settings_that_contradict_or_weaken() {
    let server = || AuthorizationServer::new(ISSUER).unwrap();
    let keys = key_set(&[&Key::new("a")]).to_string();
    refused(
        server().jwks_uri("http://auth.example.com/keys"),
        "jwks_uri",
    );
    refused(server().jwks_uri("keys"), "jwks_uri");
    refused(server().jwks(&keys).unwrap().jwks_uri(JWKS), "jwks_uri");
    refused(server().jwks_uri(JWKS).unwrap().jwks(&keys), "jwks");
    refused(server().jwks("{\"keys\": []}"), "jwks");
    refused(
        server().jwks("{\"keys\": [{\"kty\": \"oct\", \"k\": \"AA\"}]}"),
        "jwks",
    );
    refused(server().jwks("nonsense"), "jwks");
    refused(server().audience(""), "audience");
    refused(server().algorithms([]), "algorithms");
    for alg in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        refused(server().algorithms([Algorithm::RS256, alg]), "algorithms");
    }
    for claim in ["aud", "", " ", "scope scp", "scope, scp"] {
        refused(server().scope_claim(claim), "scope_claim");
    }
    refused(server().clock_skew(Duration::from_secs(301)), "clock_skew");

    let build = |server| {
        let builder = OAuthLayer::builder(RESOURCE).unwrap();
        builder
            .authorization_server::<AuthorizationServer>(server)
            .unwrap()
            .build()
    };
    let only_rsa = || server().algorithms([Algorithm::RS256]).unwrap();
    refused(build(only_rsa().jwks(&keys).unwrap()), "jwks");
    let mut off_curve = key_set(&[&Key::new("a")]);
    off_curve["keys"][0]["y"] = off_curve["keys"][0]["x"].clone();
    refused(build(server().jwks(off_curve.to_string()).unwrap()), "jwks");
    assert!(build(server().jwks(&keys).unwrap()).is_ok());
    for host in ["Keycloak", "keycloak:8080", "", "a/b", "u@keycloak"] {
        refused(
            server().dangerously_allow_http_to(host),
            "dangerously_allow_http_to",
        );
    }
    let inside = server().dangerously_allow_http_to("keycloak").unwrap();
    assert!(inside.clone().jwks_uri("http://keycloak:8080/keys").is_ok());
    refused(inside.jwks_uri("http://other:8080/keys"), "jwks_uri");
    let plain = AuthorizationServer::dangerously_plain_http("http://keycloak:8080/realms/x");
    refused(plain.unwrap().jwks_uri("http://other/keys"), "jwks_uri");

    let builder = || OAuthLayer::builder(RESOURCE).unwrap();
    refused(builder().build(), "authorization_server");
    refused(
        builder()
            .authorization_server(ISSUER)
            .unwrap()
            .authorization_server(ISSUER),
        "authorization_server",
    );
    for scope in ["offline_access", "", "a b", "a\"b"] {
        let builder = builder().authorization_server(ISSUER).unwrap();
        refused(builder.required_scopes([scope]).build(), "required_scopes");
        let resource = ProtectedResource::new(RESOURCE).unwrap();
        refused(resource.scopes_supported([scope]), "scopes_supported");
    }
    let layer = || OAuthLayer::new(RESOURCE, ISSUER).unwrap();
    refused(layer().public_path("/mcp"), "public_path");
    let endpoints = tower_mcp_auth::auth::SseEndpoints::new().paths("/mcp", "/messages");
    refused(layer().sse_endpoints(endpoints), "sse_endpoints");
    let endpoints = tower_mcp_auth::auth::SseEndpoints::new().paths("/", "/messages");
    refused(layer().sse_endpoints(endpoints), "sse_endpoints");
    let resource = ProtectedResource::new(RESOURCE).unwrap();
    let page = resource.resource_documentation("javascript:alert(1)");
    refused(page, "resource_documentation");
}

#[test]
fn strings_and_finished_types_are_taken_alike() {
    let resource = String::from(RESOURCE);
    let _ = OAuthLayer::new(&resource, ISSUER).unwrap();
    let _ = OAuthLayer::new(resource, String::from(ISSUER)).unwrap();
    let _ = OAuthLayer::new(
        ProtectedResource::new(RESOURCE).unwrap(),
        AuthorizationServer::new(ISSUER).unwrap(),
    )
    .unwrap();
}

/// A resource or an audience that is in a variable is passed to all that name it alike.
#[test]
fn settings_take_texts_of_every_kind() {
    use tower_mcp_auth::jose::Secret;
    use tower_mcp_auth::mcp::{MacKey, OriginLayer, SessionBindingLayer};
    use tower_mcp_auth::oauth::Introspection;
    use tower_mcp_auth::{JwtLayer, Principal};

    let text = RESOURCE.to_owned();
    let resource = ProtectedResource::new(&text).unwrap();
    let _ = OAuthLayer::new(&text, ISSUER).unwrap();
    let _ = OAuthLayer::new(&resource, ISSUER).unwrap();
    let _ = OriginLayer::new(&text).unwrap();
    let _ = OriginLayer::new(&resource).unwrap();
    let key = || MacKey::new("a key of thirty-two bytes or more").unwrap();
    let _ = SessionBindingLayer::new(key()).server(&text);
    let _ = SessionBindingLayer::new(key()).server(&resource);
    let _ = SessionBindingLayer::new(key()).server(RESOURCE);
    let _ = SessionBindingLayer::new(key()).server(text.clone());
    let server = || AuthorizationServer::new(ISSUER).unwrap();
    for server in [
        server().audience(&text),
        server().audience(&resource),
        server().audience(RESOURCE),
        server().audience(text.clone()),
        server().audience(text.clone().into_boxed_str()),
    ] {
        drop(server.unwrap());
    }
    let names = vec!["a".to_owned(), "b".to_owned()];
    let claim = "roles".to_owned();
    let _ = server()
        .client_ids(&names)
        .unwrap()
        .client_claim(&claim)
        .unwrap()
        .scope_claim(&claim)
        .unwrap()
        .require_claim(&claim, &names)
        .unwrap()
        .ignore_audience(&claim)
        .unwrap()
        .scopes_from_claim(&names, [(&claim, &claim)])
        .unwrap();
    let _ = Introspection::at(&text)
        .unwrap()
        .client_secret_basic(&claim, &claim)
        .unwrap()
        .audience(&resource)
        .unwrap()
        .token_prefix(&claim)
        .unwrap();
    let secret = Secret::new("a secret of thirty-two bytes or so").unwrap();
    let _ = JwtLayer::builder(secret)
        .audience(&resource)
        .audience(&text)
        .key_id(&claim)
        .scope_claim(&claim);
    let _ = Principal::builder("test").subject(&claim).client_id(&claim);
}

#[test]
fn debug_output_names_what_is_trusted() {
    let layer = OAuthLayer::new(RESOURCE, ISSUER).unwrap();
    let text = format!("{layer:?}");
    assert!(text.contains(RESOURCE) && text.contains(ISSUER), "{text}");
}

#[test]
fn tenants_of_a_template_are_an_allow_list() {
    let builder = || OAuthLayer::builder(RESOURCE).unwrap();
    let template = "https://login.example/{tenant}/v2.0";
    for tenant in [
        "",
        ".",
        "..",
        "a/b",
        "a b",
        "a%2fb",
        "ä",
        "a?b",
        &"x".repeat(65),
    ] {
        refused(
            builder().issuer_template(template, [tenant], Ok),
            "issuer_template",
        );
    }
    for template in [
        "https://login.example/v2.0",
        "https://login.example/{tenant}/{tenant}",
    ] {
        refused(
            builder().issuer_template(template, ["a"], Ok),
            "issuer_template",
        );
    }
    let many: Vec<String> = (0..1001).map(|number| format!("t{number}")).collect();
    refused(
        builder().issuer_template(template, &many, Ok),
        "issuer_template",
    );
    let layer = builder()
        .issuer_template(template, &many[..1000], Ok)
        .unwrap()
        .build()
        .unwrap();
    assert_eq!(layer.health().len(), 1000);
}

#[test]
fn limits_with_which_no_token_could_pass() {
    let (zero, second) = (Duration::ZERO, Duration::from_secs(1));
    let limits = JwksOptions::new;
    let backwards = RangeInclusive::new(second, zero);
    for (wrong, setting) in [
        (limits().fetch_timeout(zero), "fetch_timeout"),
        (limits().default_ttl(zero), "default_ttl"),
        (limits().ttl_bounds(backwards.clone()), "ttl_bounds"),
        (limits().backoff(backwards), "backoff"),
        (limits().max_document_bytes(0), "max_document_bytes"),
        (limits().max_set_bytes(0), "max_set_bytes"),
        (limits().max_keys(0), "max_keys"),
        (limits().total_keys(0), "total_keys"),
        (limits().default_ttl(second / 2), "default_ttl"),
        (limits().unknown_key_fetches(0), "unknown_key_fetches"),
        (
            limits().total_unknown_key_fetches(0),
            "total_unknown_key_fetches",
        ),
    ] {
        let builder = OAuthLayer::builder(RESOURCE).unwrap();
        let builder = builder.authorization_server(ISSUER).unwrap();
        refused(builder.jwks_options(wrong).build(), setting);
    }
    // No request waits, and nothing is kept past its life: both can be meant.
    let strict = limits()
        .max_waiting_requests(0)
        .total_waiting(0)
        .stale_if_error(zero)
        .min_refetch_interval(zero);
    let builder = OAuthLayer::builder(RESOURCE).unwrap();
    let builder = builder.authorization_server(ISSUER).unwrap();
    assert!(builder.jwks_options(strict.clone()).build().is_ok());
    // For an answer about a token requests wait.
    let introspection = Introspection::at("https://auth.example.com/introspect").unwrap();
    let introspection = introspection.client_secret_basic("a", "kf8Zq-3vT-x0W");
    let server = AuthorizationServer::new(ISSUER).unwrap();
    let server = server.introspection(introspection.unwrap()).unwrap();
    let builder = OAuthLayer::builder(RESOURCE).unwrap();
    let builder = builder.authorization_server(server).unwrap();
    refused(builder.jwks_options(strict).build(), "total_waiting");
}
