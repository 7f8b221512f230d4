//! Each setting does what its setter does, and an empty section what its builder does.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tower_mcp_auth::auth::{AuthLayer, SseEndpoints};
use tower_mcp_auth::failed_attempts::FailedAttemptsLayer;
use tower_mcp_auth::jose::{Algorithm, Secret, SigningKey};
use tower_mcp_auth::jwt::{JwksFile, JwtLayerBuilder};
use tower_mcp_auth::mcp::{
    MacKey, McpListsLayer, McpPolicy, McpScopesLayer, OriginLayer, PrincipalSealer,
    SessionBindingLayer, Show,
};
use tower_mcp_auth::oauth::binding::DpopMode;
use tower_mcp_auth::oauth::presets::{
    auth0, authentik, clerk, cloudflare_access, cognito, descope, entra, firebase, github_actions,
    gitlab_ci, google, hydra, keycloak, kubernetes, logto, okta, ping_one, spiffe, stytch,
    supabase, workos, zitadel,
};
use tower_mcp_auth::oauth::{
    AuthorizationServer, HttpFetch, Introspection, JwksOptions, OAuthLayerBuilder,
    ProtectedResource, TokenCacheOptions,
};
use tower_mcp_auth::scopes::Strength;
use tower_mcp_auth::store::MemoryReplayStore;
use tower_mcp_auth::{ApiKeyLayer, ConfigError, JwtLayer, OAuthLayer};

use crate::config::{KEY, RESOURCE, SECRET, config};
use common::SigningKey as TestKey;

/// The certificate of an authority.
const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/it/oauth/fixtures/ca.pem");

const ISSUER: &str = "https://auth.example.com";
const OLD_SECRET: &str = "tN4hX8kQ1wZs6CvM2jRy9PbGf7DaLu3E";
const TAG: &str = "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228";
const GUID: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

/// That the configuration makes what is made by hand, which is not what is made without it.
#[track_caller]
fn same(setting: &Value, configured: &str, by_hand: &str, default: &str) {
    assert_eq!(configured, by_hand, "{setting}");
    assert_ne!(by_hand, default, "{setting} is not seen");
}

fn with(base: Value, more: &Value) -> Value {
    let (Value::Object(mut base), Value::Object(more)) = (base, more.clone()) else {
        unreachable!("both are objects")
    };
    base.extend(more);
    base.into()
}

fn oauth(root: &Value) -> String {
    let base = json!({ "resource": RESOURCE, "authorization_servers": [{ "issuer": ISSUER }] });
    format!(
        "{:?}",
        config(&with(base, root)).oauth_builder().unwrap().unwrap()
    )
}

fn oauth_by_hand(
    resource: ProtectedResource,
    set: impl Fn(OAuthLayerBuilder) -> OAuthLayerBuilder,
) -> String {
    let builder = OAuthLayer::builder(resource).unwrap();
    format!("{:?}", set(builder.authorization_server(ISSUER).unwrap()))
}

fn resource() -> ProtectedResource {
    ProtectedResource::new(RESOURCE).unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn without_settings_all_is_as_by_hand() {
    assert_eq!(oauth(&json!({})), oauth_by_hand(resource(), |b| b));
    let empty =
        json!({ "oauth": { "token_cache": {}, "jwks_options": {}, "fetch": {} }, "metadata": {} });
    assert_eq!(oauth(&empty), oauth_by_hand(resource(), |b| b));
    let empty = config(
        &json!({ "resource": RESOURCE, "policy": {}, "operations": {}, "lists": {},
        "origin": {}, "auth": {}, "session": { "key": SECRET }, "api_keys": { "keys": [{ "key": KEY }] } }),
    );
    assert_eq!(
        format!("{:?}", empty.origin_layer().unwrap()),
        format!(
            "{:?}",
            OriginLayer::new(RESOURCE).unwrap().grpc_refusals(false)
        )
    );
    assert_eq!(
        format!("{:?}", empty.auth_layer().unwrap()),
        format!(
            "{:?}",
            ApiKeyLayer::new([KEY])
                .unwrap()
                .resource(RESOURCE)
                .unwrap()
                .grpc_refusals(false)
                .boxed()
        )
    );
    let policy = McpPolicy::builder().build().unwrap();
    assert_eq!(
        format!("{:?}", empty.policy_layers().unwrap().unwrap()),
        format!(
            "{:?}",
            tower_layer_stack(
                McpListsLayer::new(policy.clone()),
                McpScopesLayer::new(policy)
            )
        )
    );
    assert_eq!(
        format!("{:?}", empty.session_layer().unwrap().unwrap()),
        format!(
            "{:?}",
            SessionBindingLayer::new(MacKey::new(SECRET).unwrap()).server(RESOURCE)
        )
    );
    let jwt = config(&json!({ "jwt": { "secret": SECRET } }));
    assert_eq!(
        format!("{:?}", jwt.jwt_builder().unwrap().unwrap()),
        format!("{:?}", JwtLayer::builder(Secret::new(SECRET).unwrap()))
    );
}

fn tower_layer_stack<A, B>(inner: A, outer: B) -> tower::layer::util::Stack<A, B> {
    tower::layer::util::Stack::new(inner, outer)
}

#[test]
fn metadata() {
    type Set = fn(ProtectedResource) -> Result<ProtectedResource, ConfigError>;
    let page = "https://example.com/page";
    let cases: [(&str, Value, Set); 15] = [
        ("advertised_metadata_url", json!(page), |r| {
            r.advertised_metadata_url("https://example.com/page")
        }),
        (
            "metadata_at_root",
            json!(true),
            |r| Ok(r.metadata_at_root()),
        ),
        ("scopes_supported", json!(["a", "b"]), |r| {
            r.scopes_supported(["a", "b"])
        }),
        ("resource_name", json!("x"), |r| Ok(r.resource_name("x"))),
        ("resource_documentation", json!(page), |r| {
            r.resource_documentation("https://example.com/page")
        }),
        ("resource_policy_uri", json!(page), |r| {
            r.resource_policy_uri("https://example.com/page")
        }),
        ("resource_tos_uri", json!(page), |r| {
            r.resource_tos_uri("https://example.com/page")
        }),
        ("jwks_uri", json!(page), |r| {
            r.jwks_uri("https://example.com/page")
        }),
        (
            "resource_signing_alg_values_supported",
            json!("ES256"),
            |r| r.resource_signing_alg_values_supported(["ES256"]),
        ),
        ("authorization_details_types_supported", json!("x"), |r| {
            Ok(r.authorization_details_types_supported(["x"]))
        }),
        (
            "tls_client_certificate_bound_access_tokens",
            json!(true),
            |r| Ok(r.tls_client_certificate_bound_access_tokens(true)),
        ),
        ("dpop_signing_alg_values_supported", json!("ES256"), |r| {
            r.dpop_signing_alg_values_supported(["ES256"])
        }),
        ("dpop_bound_access_tokens_required", json!(true), |r| {
            Ok(r.dpop_bound_access_tokens_required(true))
        }),
        ("signed_metadata", json!("a.b.c"), |r| {
            Ok(r.signed_metadata("a.b.c"))
        }),
        ("members", json!({ "resource_name#de": "x" }), |r| {
            r.member("resource_name#de", "x")
        }),
    ];
    let default = oauth_by_hand(resource(), |b| b);
    for (name, value, set) in cases {
        let setting = json!({ "metadata": { name: value } });
        let by_hand = oauth_by_hand(set(resource()).unwrap(), |b| b);
        same(&setting, &oauth(&setting), &by_hand, &default);
    }
}

#[test]
fn what_holds_for_all_authorization_servers() {
    type Set = fn(OAuthLayerBuilder) -> OAuthLayerBuilder;
    let cache = |name: &str, value: Value| json!({ "token_cache": { name: value } });
    let keys = |members: Value| json!({ "jwks_options": members });
    let cases: [(Value, Set); 34] = [
        (json!({ "required_scopes": ["a", "b"] }), |b| {
            b.required_scopes(["a", "b"])
        }),
        (cache("disabled", json!(true)), |b| {
            b.token_cache(TokenCacheOptions::disabled())
        }),
        (cache("max_tokens", json!(7)), |b| {
            b.token_cache(TokenCacheOptions::new().max_tokens(7))
        }),
        (cache("max_bytes", json!("1 MiB")), |b| {
            b.token_cache(TokenCacheOptions::new().max_bytes(1 << 20))
        }),
        (cache("max_ttl", json!("7s")), |b| {
            b.token_cache(TokenCacheOptions::new().max_ttl(seconds(7)))
        }),
        (keys(json!({ "fetch_timeout": "7s" })), |b| {
            b.jwks_options(JwksOptions::new().fetch_timeout(seconds(7)))
        }),
        (keys(json!({ "min_refetch_interval": "7s" })), |b| {
            b.jwks_options(JwksOptions::new().min_refetch_interval(seconds(7)))
        }),
        (keys(json!({ "unknown_key_fetches": 7 })), |b| {
            b.jwks_options(JwksOptions::new().unknown_key_fetches(7))
        }),
        (keys(json!({ "total_unknown_key_fetches": 7 })), |b| {
            b.jwks_options(JwksOptions::new().total_unknown_key_fetches(7))
        }),
        (keys(json!({ "rediscovery": "7m" })), |b| {
            b.jwks_options(JwksOptions::new().rediscovery(seconds(420)))
        }),
        (keys(json!({ "total_waiting": 7 })), |b| {
            b.jwks_options(JwksOptions::new().total_waiting(7))
        }),
        (keys(json!({ "total_keys": 7 })), |b| {
            b.jwks_options(JwksOptions::new().total_keys(7))
        }),
        (keys(json!({ "stale_if_error": "7s" })), |b| {
            b.jwks_options(JwksOptions::new().stale_if_error(seconds(7)))
        }),
        (keys(json!({ "default_ttl": "7m" })), |b| {
            b.jwks_options(JwksOptions::new().default_ttl(seconds(420)))
        }),
        (keys(json!({ "ttl_min": "7s", "ttl_max": "9m" })), |b| {
            b.jwks_options(JwksOptions::new().ttl_bounds(seconds(7)..=seconds(540)))
        }),
        (
            keys(json!({ "backoff_min": "7s", "backoff_max": "9m" })),
            |b| b.jwks_options(JwksOptions::new().backoff(seconds(7)..=seconds(540))),
        ),
        (keys(json!({ "max_waiting_requests": 7 })), |b| {
            b.jwks_options(JwksOptions::new().max_waiting_requests(7))
        }),
        (keys(json!({ "max_document_bytes": 777 })), |b| {
            b.jwks_options(JwksOptions::new().max_document_bytes(777))
        }),
        (keys(json!({ "max_set_bytes": "7 kB" })), |b| {
            b.jwks_options(JwksOptions::new().max_set_bytes(7000))
        }),
        (keys(json!({ "max_keys": 7 })), |b| {
            b.jwks_options(JwksOptions::new().max_keys(7))
        }),
        (json!({ "fetch": { "connect_timeout": "1s" } }), |b| {
            b.fetch(HttpFetch::new().connect_timeout(seconds(1)))
        }),
        (json!({ "fetch": { "timeout": "7s" } }), |b| {
            b.fetch(HttpFetch::new().timeout(seconds(7)))
        }),
        (json!({ "fetch": { "idle_timeout": "7s" } }), |b| {
            b.fetch(HttpFetch::new().idle_timeout(seconds(7)))
        }),
        (
            json!({ "fetch": { "proxy": "http://u:p@proxy.example.com:3128" } }),
            |b| {
                let proxy = HttpFetch::new().proxy("http://proxy.example.com:3128");
                b.fetch(proxy.unwrap())
            },
        ),
        (
            json!({ "fetch": { "root_certificates_file": AUTHORITY } }),
            |b| {
                let pem = std::fs::read(AUTHORITY).unwrap();
                b.fetch(HttpFetch::new().root_certificates(pem).unwrap())
            },
        ),
        (json!({ "fetch": { "public_addresses_only": true } }), |b| {
            b.fetch(HttpFetch::new().public_addresses_only())
        }),
        (json!({ "required_scopes": "a b" }), |b| {
            b.required_scopes(["a", "b"])
        }),
        (json!({ "header_name": "X-Assertion" }), |b| {
            b.header_name("X-Assertion")
        }),
        (json!({ "copy_server_metadata": true }), |b| {
            b.copy_server_metadata()
        }),
        (json!({ "copy_server_metadata_of": ISSUER }), |b| {
            b.copy_server_metadata_of(ISSUER)
        }),
        (json!({ "require_bearer": false }), |b| {
            b.require_bearer(false)
        }),
        (json!({ "max_token_bytes": "7 KiB" }), |b| {
            b.max_token_bytes(7168)
        }),
        (json!({ "max_header_bytes": 777 }), |b| {
            b.max_header_bytes(777)
        }),
        (cache("max_tokens", json!("7")), |b| {
            b.token_cache(TokenCacheOptions::new().max_tokens(7))
        }),
    ];
    let default = oauth_by_hand(resource(), |b| b);
    for (section, set) in cases {
        let setting = json!({ "oauth": section });
        same(
            &setting,
            &oauth(&setting),
            &oauth_by_hand(resource(), set),
            &default,
        );
    }
}

fn server(section: &Value) -> String {
    let root = json!({ "authorization_servers": [section] });
    oauth(&root)
}

fn server_by_hand(server: AuthorizationServer) -> String {
    let builder = OAuthLayer::builder(RESOURCE).unwrap();
    format!("{:?}", builder.authorization_server(server).unwrap())
}

fn plain() -> AuthorizationServer {
    AuthorizationServer::new(ISSUER).unwrap()
}

fn key_set() -> String {
    format!(
        "{{\"keys\":[{{{},\"kid\":\"a\"}}]}}",
        TestKey::p256().jwk_members()
    )
}

#[test]
fn authorization_servers() {
    type Set = fn(AuthorizationServer) -> Result<AuthorizationServer, ConfigError>;
    let file = std::env::temp_dir().join(format!("tower-mcp-auth-jwks-{}", std::process::id()));
    std::fs::write(&file, key_set()).unwrap();
    let cases: [(&str, Value, Set); 27] = [
        ("dangerously_allow_http_to", json!("keys.svc"), |s| {
            s.dangerously_allow_http_to("keys.svc")
        }),
        ("advertised_as", json!("https://x.example.com"), |s| {
            s.advertised_as("https://x.example.com")
        }),
        ("token_issuer", json!("http://x.example.com/t"), |s| {
            s.token_issuer("http://x.example.com/t")
        }),
        ("jwks_uri", json!("https://x.example.com/k"), |s| {
            s.jwks_uri("https://x.example.com/k")
        }),
        ("jwks", json!(key_set()), |s| s.jwks(key_set())),
        ("jwks_file", json!(file), |s| s.jwks(key_set())),
        ("audience", json!(["a", "b"]), |s| {
            s.audience("a")?.audience("b")
        }),
        ("algorithms", json!(["ES384", "EdDSA"]), |s| {
            s.algorithms([Algorithm::ES384, Algorithm::EdDSA])
        }),
        ("clock_skew", json!("7s"), |s| s.clock_skew(seconds(7))),
        ("scope_claim", json!("scp"), |s| s.scope_claim("scp")),
        ("require_at_jwt", json!(true), |s| Ok(s.require_at_jwt())),
        ("accepted_typ", json!(["JWS", "RSA"]), |s| {
            s.accepted_typ(["JWS", "RSA"])
        }),
        ("subject_claim", json!("user_id"), |s| {
            s.subject_claim("user_id")
        }),
        ("dangerously_subject_claim", json!("email"), |s| {
            s.dangerously_subject_claim("email")
        }),
        ("clients_are_principals", json!(true), |s| {
            Ok(s.clients_are_principals(true))
        }),
        ("client_ids", json!(["a", "b"]), |s| {
            s.client_ids(["a", "b"])
        }),
        (
            "dangerously_accept_every_client_of_this_issuer",
            json!(true),
            |s| s.dangerously_accept_every_client_of_this_issuer(),
        ),
        ("client_claim", json!("cid"), |s| s.client_claim("cid")),
        ("ignore_audiences", json!(["a", "b"]), |s| {
            s.ignore_audience("a")?.ignore_audience("b")
        }),
        (
            "require_claims",
            json!({ "tid": ["a", "b"], "x": "y" }),
            |s| {
                s.require_claim("tid", ["a", "b"])?
                    .require_claim("x", ["y"])
            },
        ),
        ("require_subjects", json!(["a:*", "b/**"]), |s| {
            s.require_subject(["a:*", "b/**"])
        }),
        (
            "scopes_from_claims",
            json!([{ "claim": ["a", "b"], "scopes": { "r": "x y" } }]),
            |s| s.scopes_from_claim(["a", "b"], [("r", "x y")]),
        ),
        (
            "scopes_from_claims",
            json!({ "x": { "claim": "a b", "scopes": { "r": "x y" } } }),
            |s| s.scopes_from_claim(["a", "b"], [("r", "x y")]),
        ),
        ("dpop", json!("allowed"), |s| Ok(s.dpop(DpopMode::Allowed))),
        (
            "dpop",
            json!("required"),
            |s| Ok(s.dpop(DpopMode::Required)),
        ),
        ("introspection_without_audience", json!(true), |s| {
            Ok(s.introspection_without_audience())
        }),
        ("clock_skew", json!(9), |s| s.clock_skew(seconds(9))),
    ];
    let default = server_by_hand(plain());
    for (name, value, set) in cases {
        let section = json!({ "issuer": ISSUER, name: value });
        same(
            &section,
            &server(&section),
            &server_by_hand(set(plain()).unwrap()),
            &default,
        );
    }
    std::fs::remove_file(file).unwrap();

    let keys = "https://x.example.com/k";
    let with_keys = || plain().jwks_uri(keys).unwrap();
    for (name, by_hand) in [
        (
            "jwks_bearer_token_file",
            with_keys().jwks_bearer_token_file("/run/x"),
        ),
        (
            "jwks_root_certificates_file",
            with_keys().jwks_root_certificates_file("/run/x"),
        ),
    ] {
        let section = json!({ "issuer": ISSUER, "jwks_uri": keys, name: "/run/x" });
        same(
            &section,
            &server(&section),
            &server_by_hand(by_hand.unwrap()),
            &server_by_hand(with_keys()),
        );
    }

    let section = json!({ "issuer": ISSUER, "require_claims": { "x": "y" },
        "dangerously_any_token_for_audience": ["a", "b"] });
    let by_hand = plain().require_claim("x", ["y"]).unwrap();
    let by_hand = by_hand.dangerously_any_token_for_audience("a").unwrap();
    let by_hand = by_hand.dangerously_any_token_for_audience("b").unwrap();
    same(
        &section,
        &server(&section),
        &server_by_hand(by_hand),
        &default,
    );

    let section = json!({ "issuer": "http://127.0.0.1:8080", "insecure_http_on_loopback": true });
    let by_hand = AuthorizationServer::insecure_http_on_loopback("http://127.0.0.1:8080").unwrap();
    same(
        &section,
        &server(&section),
        &server_by_hand(by_hand),
        &default,
    );
    let section = json!({ "issuer": "http://auth.svc", "dangerously_plain_http": true });
    let by_hand = AuthorizationServer::dangerously_plain_http("http://auth.svc").unwrap();
    same(
        &section,
        &server(&section),
        &server_by_hand(by_hand),
        &default,
    );

    let section = json!({ "issuer": "https://x.example.com/{tenant}", "tenants": ["a", "b"], "clock_skew": 7 });
    let by_hand = OAuthLayer::builder(RESOURCE).unwrap().issuer_template(
        "https://x.example.com/{tenant}",
        ["a", "b"],
        |server| server.clock_skew(seconds(7)),
    );
    same(
        &section,
        &server(&section),
        &format!("{:?}", by_hand.unwrap()),
        &default,
    );
}

#[test]
fn presets() {
    let cases = [
        (
            json!({ "auth0": { "domain": "a.auth0.com" } }),
            auth0::server("a.auth0.com"),
        ),
        (
            json!({ "authentik": { "base_url": "https://a.example.com", "slug": "s", "client_id": "c" } }),
            authentik::server("https://a.example.com", "s", "c"),
        ),
        (
            json!({ "descope": { "project": "P1", "mcp_server": "M1" } }),
            descope::server("P1", "M1"),
        ),
        (
            json!({ "entra_v1": { "tenant": GUID, "app_id_uri": "api://x" } }),
            entra::v1(GUID, "api://x"),
        ),
        (
            json!({ "entra_v2": { "tenant": GUID, "client_id": GUID } }),
            entra::v2(GUID, GUID),
        ),
        (
            json!({ "entra_tenants": { "tenants": [GUID], "client_id": GUID } }),
            entra::tenants([GUID], GUID),
        ),
        (
            json!({ "google": { "client_ids": ["a", "b"] } }),
            google::server(["a", "b"]),
        ),
        (
            json!({ "hydra": { "issuer": "https://h.example.com" } }),
            hydra::server("https://h.example.com"),
        ),
        (
            json!({ "keycloak": { "base_url": "https://k.example.com", "realm": "r" } }),
            keycloak::server("https://k.example.com", "r"),
        ),
        (
            json!({ "keycloak": { "base_url": "https://k.example.com", "realm": "r",
                "back_channel_url": "https://in.example.com" } }),
            keycloak::server_with_back_channel(
                "https://k.example.com",
                "https://in.example.com",
                "r",
            ),
        ),
        (
            json!({ "logto": { "domain": "a.logto.app" } }),
            logto::server("a.logto.app"),
        ),
        (
            json!({ "okta": { "domain": "a.okta.com", "authorization_server": "default" } }),
            okta::server("a.okta.com", "default"),
        ),
        (
            json!({ "ping_one": { "domain": "auth.pingone.eu", "environment": GUID } }),
            ping_one::server("auth.pingone.eu", GUID),
        ),
        (
            json!({ "workos": { "domain": "a.authkit.app" } }),
            workos::server("a.authkit.app"),
        ),
        (
            json!({ "zitadel": { "domain": "a.zitadel.cloud", "project_id": "1" } }),
            zitadel::server("a.zitadel.cloud", "1"),
        ),
        (
            json!({ "cloudflare_access": {
                "team_domain": "a.cloudflareaccess.com", "audience_tag": TAG } }),
            cloudflare_access::server("a.cloudflareaccess.com", TAG),
        ),
        (
            json!({ "firebase": { "project_id": "acme" } }),
            firebase::server("acme"),
        ),
        (
            json!({ "github_actions": { "owner_ids": [1, 2] } }),
            github_actions::owners([1, 2]),
        ),
        (
            json!({ "github_actions": { "owner_ids": "1 2" } }),
            github_actions::owners([1, 2]),
        ),
        (
            json!({ "github_actions": { "repository_ids": 3 } }),
            github_actions::repositories([3]),
        ),
        (
            json!({ "gitlab_ci": { "base_url": "https://g.example.com", "namespace_ids": ["1"] } }),
            gitlab_ci::namespaces("https://g.example.com", [1]),
        ),
        (
            json!({ "gitlab_ci": { "base_url": "https://g.example.com", "project_ids": [2] } }),
            gitlab_ci::projects("https://g.example.com", [2]),
        ),
        (
            json!({ "kubernetes": {
                "issuer": "https://k.example.com", "service_accounts": ["a/b", "c/*"] } }),
            kubernetes::server("https://k.example.com", ["a/b", "c/*"]),
        ),
        (
            json!({ "kubernetes": { "issuer": "https://k.example.com",
                "service_accounts": "a/b", "in_cluster": true } }),
            kubernetes::in_cluster("https://k.example.com", ["a/b"]),
        ),
        (
            json!({ "spiffe": {
                "trust_domain": "example.org", "bundle_url": "https://s.example.org/b" } }),
            spiffe::trust_domain("example.org", "https://s.example.org/b"),
        ),
        (
            json!({ "spiffe": { "trust_domain": "example.org",
                "bundle_url": "https://s.example.org/b", "issuer": "https://o.example.org" } }),
            spiffe::trust_domain_with_issuer(
                "example.org",
                "https://s.example.org/b",
                "https://o.example.org",
            ),
        ),
    ];
    for (preset, by_hand) in cases {
        let section = json!({ "preset": preset });
        assert_eq!(
            server(&section),
            server_by_hand(by_hand.unwrap()),
            "{section}"
        );
    }
    let cases = [
        (
            json!({ "clerk": { "domain": "clerk.example.com" } }),
            clerk::server("clerk.example.com"),
        ),
        (
            json!({ "cognito": { "region": "eu-west-1", "pool_id": "eu-west-1_Ab" } }),
            cognito::server("eu-west-1", "eu-west-1_Ab"),
        ),
        (
            json!({ "stytch": { "domain": "a.stytch.com", "project_id": "p" } }),
            stytch::server("a.stytch.com", "p"),
        ),
        (
            json!({ "supabase": { "project": "abc" } }),
            supabase::server("abc"),
        ),
    ];
    let again = |preset: &Value, name: &str, value: Value| {
        server(&json!({ "preset": preset, name: value }))
    };
    for (preset, by_hand) in cases {
        // The type asks whose tokens are meant, and so does the configuration.
        let section =
            json!({ "resource": RESOURCE, "authorization_servers": [{ "preset": preset }] });
        assert_eq!(crate::config::refused(&section).setting(), "client_ids");
        let by_hand = by_hand.unwrap();
        assert_eq!(
            again(&preset, "client_ids", json!(["a"])),
            server_by_hand(by_hand.client_ids(["a"]).unwrap())
        );
        let made = |name: &str| {
            config(&json!({ "resource": RESOURCE, "authorization_servers": [
            { "preset": preset, name: true },
        ] }))
            .oauth_builder()
        };
        for name in [
            "audience_is_the_resource",
            "dangerously_accept_every_client_of_this_issuer",
        ] {
            assert!(made(name).is_ok(), "{name}");
        }
    }
}

#[test]
fn development_presets_run_on_loopback() {
    let base = "http://127.0.0.1:8080";
    for (preset, by_hand) in [
        (
            json!({ "keycloak": { "base_url": base, "realm": "r" } }),
            keycloak::insecure_http_on_loopback(base, "r"),
        ),
        (
            json!({ "hydra": { "issuer": base } }),
            hydra::insecure_http_on_loopback(base),
        ),
        (
            json!({ "authentik": { "base_url": base, "slug": "s", "client_id": "c" } }),
            authentik::insecure_http_on_loopback(base, "s", "c"),
        ),
    ] {
        let section = json!({ "preset": preset, "insecure_http_on_loopback": true });
        assert_eq!(
            server(&section),
            server_by_hand(by_hand.unwrap()),
            "{section}"
        );
    }
}

fn asks() -> Introspection {
    Introspection::at("https://auth.example.com/i").unwrap()
}

fn basic() -> Introspection {
    asks().client_secret_basic("me", SECRET).unwrap()
}

#[test]
fn introspection() {
    type Set = fn(Introspection) -> Result<Introspection, ConfigError>;
    let cases: [(Value, Set); 20] = [
        (json!({ "audience": ["a", "b"] }), |i| {
            i.audience("a")?.audience("b")
        }),
        (json!({ "require_signed_responses": true }), |i| {
            Ok(i.require_signed_responses())
        }),
        (json!({ "token_prefixes": ["a_", "b_"] }), |i| {
            i.token_prefix("a_")?.token_prefix("b_")
        }),
        (
            json!({ "token_min_length": 20, "token_max_length": 30 }),
            |i| Ok(i.token_lengths(20..=30)),
        ),
        (json!({ "token_min_length": 20 }), |i| {
            Ok(i.token_lengths(20..=16_384))
        }),
        (json!({ "token_max_length": 30 }), |i| {
            Ok(i.token_lengths(16..=30))
        }),
        (
            json!({ "jwts": "introspect" }),
            Introspection::introspect_jwts,
        ),
        (
            json!({ "jwts": "introspect_only" }),
            Introspection::introspect_jwts_only,
        ),
        (json!({ "jwts_with_scopes": ["a", "b"] }), |i| {
            i.introspect_jwts_with_scope("a")?
                .introspect_jwts_with_scope("b")
        }),
        (
            json!({ "no_opaque_tokens": true, "jwts": "introspect" }),
            |i| Ok(i.introspect_jwts()?.no_opaque_tokens()),
        ),
        (json!({ "positive_ttl": "7s" }), |i| {
            Ok(i.positive_ttl(seconds(7)))
        }),
        (json!({ "negative_ttl": "7s" }), |i| {
            Ok(i.negative_ttl(seconds(7)))
        }),
        (json!({ "cache_capacity": 7 }), |i| Ok(i.cache_capacity(7))),
        (json!({ "max_response_bytes": "7 kB" }), |i| {
            Ok(i.max_response_bytes(7000))
        }),
        (json!({ "timeout": "7s" }), |i| Ok(i.timeout(seconds(7)))),
        (json!({ "max_concurrent_requests": 7 }), |i| {
            i.max_concurrent_requests(7)
        }),
        (json!({ "max_queued": 7, "queue_timeout": "9s" }), |i| {
            Ok(i.max_queued(7).queue_timeout(seconds(9)))
        }),
        (json!({ "unknown_token_rate_limit": 7 }), |i| {
            i.unknown_token_rate_limit(7)
        }),
        (json!({ "max_waiting_requests": 7 }), |i| {
            Ok(i.max_waiting_requests(7))
        }),
        (json!({ "jwts": "introspect", "timeout": 3 }), |i| {
            Ok(i.introspect_jwts()?.timeout(seconds(3)))
        }),
    ];
    let made = |section: &Value| server(&json!({ "issuer": ISSUER, "introspection": section }));
    let by_hand = |asks: Introspection| server_by_hand(plain().introspection(asks).unwrap());
    let base = json!({ "endpoint": "https://auth.example.com/i", "client_id": "me", "client_secret": SECRET });
    let default = by_hand(basic());
    assert_eq!(made(&base), default);
    for (more, set) in cases {
        let section = with(base.clone(), &more);
        same(
            &section,
            &made(&section),
            &by_hand(set(basic()).unwrap()),
            &default,
        );
    }

    // How it is proved who asks.
    let endpoint = json!({ "endpoint": "https://auth.example.com/i" });
    let pem = include_str!("../jose/fixtures/prime256v1.pem");
    let key = SigningKey::from_pem(Algorithm::ES256, pem);
    let mut ways = vec![
        (
            json!({ "client_id": "me", "client_secret": SECRET, "client_secret_in": "post" }),
            asks().client_secret_post("me", SECRET),
        ),
        (
            json!({ "bearer_token": SECRET }),
            asks().bearer_token(SECRET),
        ),
        (
            json!({ "dangerously_unauthenticated": true }),
            asks().dangerously_unauthenticated(),
        ),
    ];
    if let Ok(key) = key {
        ways.push((
            json!({ "client_id": "me", "private_key": pem, "private_key_algorithm": "ES256", "private_key_id": "k",
                "assertion_audience": "https://x.example.com" }),
            asks()
                .private_key_jwt("me", key.key_id("k"))
                .and_then(|i| i.assertion_audience("https://x.example.com")),
        ));
    }
    for (more, set) in ways {
        let section = with(endpoint.clone(), &more);
        same(&section, &made(&section), &by_hand(set.unwrap()), &default);
    }
    let section =
        json!({ "endpoint": "http://127.0.0.1:1/i", "unauthenticated_on_loopback": true });
    let server = server(
        &json!({ "issuer": "http://127.0.0.1:1", "insecure_http_on_loopback": true,
        "introspection": section }),
    );
    let asks = Introspection::at("http://127.0.0.1:1/i")
        .unwrap()
        .unauthenticated_on_loopback()
        .unwrap();
    let loopback = AuthorizationServer::insecure_http_on_loopback("http://127.0.0.1:1").unwrap();
    assert_eq!(
        server,
        server_by_hand(loopback.introspection(asks).unwrap())
    );

    // Where it is: as told, as the preset has it, or as discovered.
    let section = json!({ "client_id": "me", "client_secret": SECRET });
    let found = Introspection::discovered()
        .client_secret_basic("me", SECRET)
        .unwrap();
    assert_eq!(made(&section), by_hand(found));
}

#[test]
fn introspection_of_presets_is_where_they_have_it() {
    let base = "https://k.example.com";
    let cases = [
        (
            json!({ "keycloak": { "base_url": base, "realm": "r" } }),
            keycloak::server(base, "r"),
            keycloak::introspection(base, "r"),
        ),
        (
            json!({ "authentik": { "base_url": base, "slug": "s", "client_id": "c" } }),
            authentik::server(base, "s", "c"),
            authentik::introspection(base),
        ),
        (
            json!({ "hydra": { "issuer": base, "admin_url": "https://in.example.com" } }),
            hydra::server(base),
            hydra::introspection("https://in.example.com"),
        ),
        (
            json!({ "okta": { "domain": "a.okta.com", "authorization_server": "default" } }),
            okta::server("a.okta.com", "default"),
            okta::introspection("a.okta.com", "default"),
        ),
        (
            json!({ "logto": { "domain": "a.logto.app" } }),
            logto::server("a.logto.app"),
            logto::introspection("a.logto.app"),
        ),
        (
            json!({ "workos": { "domain": "a.authkit.app" } }),
            workos::server("a.authkit.app"),
            workos::introspection("a.authkit.app"),
        ),
        (
            json!({ "zitadel": { "domain": "a.zitadel.cloud", "project_id": "1" } }),
            zitadel::server("a.zitadel.cloud", "1"),
            zitadel::introspection("a.zitadel.cloud"),
        ),
        (
            json!({ "ping_one": { "domain": "auth.pingone.eu", "environment": GUID } }),
            ping_one::server("auth.pingone.eu", GUID),
            ping_one::introspection("auth.pingone.eu", GUID),
        ),
    ];
    for (preset, by_hand, asks) in cases {
        let section = json!({ "preset": preset, "introspection": { "client_id": "me", "client_secret": SECRET } });
        let asks = asks.unwrap().client_secret_basic("me", SECRET).unwrap();
        assert_eq!(
            server(&section),
            server_by_hand(by_hand.unwrap().introspection(asks).unwrap())
        );
    }
}

#[test]
fn jwt() {
    type Set = fn(JwtLayerBuilder) -> JwtLayerBuilder;
    let cases: [(&str, Value, Set); 18] = [
        ("key_id", json!("k"), |b| b.key_id("k")),
        ("algorithms", json!(["HS256"]), |b| {
            b.algorithms([Algorithm::HS256])
        }),
        ("header_name", json!("x-token"), |b| {
            b.header_name("x-token")
        }),
        ("require_bearer", json!(false), |b| b.require_bearer(false)),
        ("issuer", json!(ISSUER), |b| b.issuer(ISSUER)),
        ("audience", json!(["a", "b"]), |b| {
            b.audience("a").audience("b")
        }),
        (
            "dangerously_any_audience",
            json!(true),
            JwtLayerBuilder::dangerously_any_audience,
        ),
        (
            "require_at_jwt",
            json!(true),
            JwtLayerBuilder::require_at_jwt,
        ),
        ("accepted_typ", json!(["JWS", "RSA"]), |b| {
            b.accepted_typ(["JWS", "RSA"])
        }),
        ("subject_claim", json!("user_id"), |b| {
            b.subject_claim("user_id")
        }),
        ("dangerously_subject_claim", json!("email"), |b| {
            b.dangerously_subject_claim("email")
        }),
        ("clock_skew", json!("7s"), |b| b.clock_skew(seconds(7))),
        ("required_scopes", json!(["a", "b"]), |b| {
            b.required_scopes(["a", "b"])
        }),
        ("scope_claim", json!("scp"), |b| b.scope_claim("scp")),
        ("clients_are_principals", json!(true), |b| {
            b.clients_are_principals(true)
        }),
        ("realm", json!("x"), |b| b.realm("x")),
        ("max_token_bytes", json!("7 KiB"), |b| {
            b.max_token_bytes(7168)
        }),
        ("max_header_bytes", json!(777), |b| b.max_header_bytes(777)),
    ];
    let made = |value: &Value| {
        let value = json!({ "jwt": value });
        format!("{:?}", config(&value).jwt_builder().unwrap().unwrap())
    };
    let builder = || JwtLayer::builder(Secret::new(SECRET).unwrap());
    let default = format!("{:?}", builder());
    for (name, value, set) in cases {
        let setting = json!({ "secret": SECRET, name: value });
        same(
            &setting,
            &made(&setting),
            &format!("{:?}", set(builder())),
            &default,
        );
    }
    let key = TestKey::p256();
    let by_hand = format!("{:?}", JwtLayer::builder(key.public()));
    let jwk = format!("{{{}}}", key.jwk_members());
    assert_eq!(made(&json!({ "jwk": jwk })), by_hand);
    assert_eq!(made(&json!({ "public_key": key.pem() })), by_hand);

    // Older keys, and a file in the place of a key.
    let older = [
        (
            json!({ "old": { "jwk": jwk } }),
            vec![("old", key.public())],
        ),
        (
            json!({ "a": { "public_key": key.pem() }, "b": { "jwk": jwk } }),
            vec![("a", key.public()), ("b", key.public())],
        ),
    ];
    for (accepted, by_hand) in older {
        let setting = json!({ "secret": SECRET, "also_accept": accepted });
        let builder = by_hand
            .into_iter()
            .fold(builder(), |builder, (id, key)| builder.also_accept(id, key));
        same(&setting, &made(&setting), &format!("{builder:?}"), &default);
    }
    let secret = json!({ "secret": SECRET, "also_accept": { "old": { "secret": OLD_SECRET } } });
    let by_hand = builder().also_accept("old", Secret::new(OLD_SECRET).unwrap());
    same(&secret, &made(&secret), &format!("{by_hand:?}"), &default);
    let path = std::env::temp_dir().join(format!("settings-{}.json", std::process::id()));
    std::fs::write(&path, format!("{{\"keys\":[{jwk}]}}")).unwrap();
    let plain = format!("{:?}", JwtLayer::builder(JwksFile::new(&path)));
    assert_eq!(made(&json!({ "jwks_file": { "path": path } })), plain);
    for (more, file) in [
        (
            json!({ "interval": "7s" }),
            JwksFile::new(&path).interval(seconds(7)),
        ),
        (
            json!({ "max_bytes": "7 kB" }),
            JwksFile::new(&path).max_bytes(7000),
        ),
    ] {
        let setting = json!({ "jwks_file": with(json!({ "path": path }), &more) });
        let by_hand = format!("{:?}", JwtLayer::builder(file));
        same(&setting, &made(&setting), &by_hand, &plain);
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn every_layer_of_auth() {
    type Layer = AuthLayer<tower_mcp_auth::api_key::ApiKeyProvider>;
    type Set = fn(Layer) -> Result<Layer, ConfigError>;
    let cases: [(Value, Set); 16] = [
        (json!({ "public_paths": ["/a", "/b"] }), |l| {
            l.public_path("/a")?.public_path("/b")
        }),
        (json!({ "dangerously_public_root": true }), |l| {
            Ok(l.dangerously_public_root())
        }),
        (json!({ "sse_endpoints": { "sse": true } }), |l| {
            l.sse_endpoints(SseEndpoints::new().sse(true))
        }),
        (json!({ "sse_endpoints": { "sse": false } }), |l| {
            l.sse_endpoints(SseEndpoints::new())
        }),
        (
            json!({ "sse_endpoints": { "sse": false, "messages": false } }),
            |l| l.sse_endpoints(SseEndpoints::new().messages(false)),
        ),
        (
            json!({ "sse_endpoints": { "sse": false, "sse_path": "/x" } }),
            |l| l.sse_endpoints(SseEndpoints::new().paths("/x", "/messages")),
        ),
        (
            json!({ "sse_endpoints": { "sse": false, "messages_path": "/x" } }),
            |l| l.sse_endpoints(SseEndpoints::new().paths("/sse", "/x")),
        ),
        (json!({ "forbidden_query_names": ["a", "b"] }), |l| {
            l.forbidden_query_names(["a", "b"])
        }),
        (json!({ "forward_credential": true }), |l| {
            Ok(l.forward_credential(true))
        }),
        (json!({ "optional": true }), |l| Ok(l.optional())),
        (json!({ "grpc_refusals": true }), |l| {
            Ok(l.grpc_refusals(true))
        }),
        (
            json!({ "required_strength": { "acr": ["a", "b"], "amr": ["c"], "max_age": "7s" } }),
            |l| {
                let strength = Strength::new().acr(["a", "b"])?.amr(["c"])?;
                l.required_strength(strength.max_age(seconds(7))?)
            },
        ),
        (json!({ "stream_grace": "7s" }), |l| {
            Ok(l.stream_grace(seconds(7)))
        }),
        (json!({ "stream_max_life": "7s" }), |l| {
            l.stream_max_life(seconds(7))
        }),
        (
            json!({ "dangerously_streams_outlive_credentials": true }),
            |l| Ok(l.dangerously_streams_outlive_credentials()),
        ),
        (json!({ "dangerously_report_only": true }), |l| {
            Ok(l.dangerously_report_only())
        }),
    ];
    let layer = || Layer::from(ApiKeyLayer::new([KEY]).unwrap().grpc_refusals(false));
    let made = |auth: &Value| {
        let value = json!({ "api_keys": { "keys": [{ "key": KEY }] }, "auth": auth });
        format!("{:?}", config(&value).auth_layer().unwrap())
    };
    let default = format!("{:?}", layer().boxed());
    for (auth, set) in cases {
        same(
            &auth,
            &made(&auth),
            &format!("{:?}", set(layer()).unwrap().boxed()),
            &default,
        );
    }
    let auth = json!({ "dangerously_report_only_for": ["unknown_api_key"] });
    let by_hand = layer()
        .dangerously_report_only_for(["unknown_api_key"])
        .unwrap();
    same(
        &auth,
        &made(&auth),
        &format!("{:?}", by_hand.boxed()),
        &default,
    );
    // The same settings for a layer of one's own.
    let config = config(&json!({ "auth": { "optional": true } }));
    let applied = config.apply_auth_settings(layer()).unwrap();
    assert_eq!(format!("{applied:?}"), format!("{:?}", layer().optional()));
}

#[test]
fn the_layers_for_mcp() {
    let root = |more: Value| {
        config(&with(
            json!({ "resource": RESOURCE, "policy": { "baseline": "a" } }),
            &more,
        ))
    };
    let origin = |more: Value| {
        format!(
            "{:?}",
            root(json!({ "origin": more })).origin_layer().unwrap()
        )
    };
    let by_hand = || OriginLayer::new(RESOURCE).unwrap().grpc_refusals(false);
    let default = format!("{:?}", by_hand());
    for (more, set) in [
        (
            json!({ "allow_hosts": ["x.example.com"] }),
            by_hand().allow_host("x.example.com").unwrap(),
        ),
        (
            json!({ "allow_origins": ["https://x.example.com"] }),
            by_hand().allow_origin("https://x.example.com").unwrap(),
        ),
        (
            json!({ "dangerously_any_host": true }),
            by_hand().dangerously_any_host(),
        ),
    ] {
        same(&more, &origin(more.clone()), &format!("{set:?}"), &default);
    }
    for (auth, set) in [
        (
            json!({ "grpc_refusals": true }),
            by_hand().grpc_refusals(true),
        ),
        (
            json!({ "public_paths": ["/a", "/b"] }),
            by_hand()
                .public_path("/a")
                .unwrap()
                .public_path("/b")
                .unwrap(),
        ),
    ] {
        let made = root(json!({ "auth": auth })).origin_layer().unwrap();
        same(&auth, &format!("{made:?}"), &format!("{set:?}"), &default);
    }

    let key = |text: &str| MacKey::new(text).unwrap();
    let older = "Qk3w8ZtV1nBy6HsLr0JmXc9PfUeDa2Gi";
    let session = |more: Value| {
        let section = with(json!({ "key": SECRET }), &more);
        format!(
            "{:?}",
            root(json!({ "session": section }))
                .session_layer()
                .unwrap()
                .unwrap()
        )
    };
    let layer = || SessionBindingLayer::new(key(SECRET));
    let default = format!("{:?}", layer().server(RESOURCE));
    for (more, set) in [
        (json!({ "server": "x" }), layer().server("x")),
        (
            json!({ "anonymous_sessions_can_be_claimed": true }),
            layer()
                .server(RESOURCE)
                .anonymous_sessions_can_be_claimed(MemoryReplayStore::default()),
        ),
        (
            json!({ "anonymous_sessions_can_be_claimed": true, "max_claims": 7 }),
            layer()
                .server(RESOURCE)
                .anonymous_sessions_can_be_claimed(MemoryReplayStore::new(7)),
        ),
        (
            json!({ "also_accept": [older] }),
            layer().also_accept(key(older)).unwrap().server(RESOURCE),
        ),
        (
            json!({ "also_accept": { "a": older } }),
            layer().also_accept(key(older)).unwrap().server(RESOURCE),
        ),
    ] {
        same(&more, &session(more.clone()), &format!("{set:?}"), &default);
    }

    let policy = || McpPolicy::builder().baseline("a").unwrap().build().unwrap();
    let stack = |lists, scopes| format!("{:?}", tower_layer_stack(lists, scopes));
    let made = |more: Value| format!("{:?}", root(more).policy_layers().unwrap().unwrap());
    let (lists, scopes) = (
        || McpListsLayer::new(policy()),
        || McpScopesLayer::new(policy()),
    );
    let default = stack(lists(), scopes());
    for (more, by_hand) in [
        (
            json!({ "lists": { "max_bytes": 777 } }),
            stack(lists().max_bytes(777).unwrap(), scopes()),
        ),
        (
            json!({ "lists": { "show": "granted" } }),
            stack(lists().show(Show::Granted), scopes()),
        ),
        (
            json!({ "lists": { "show": "reachable" } }),
            stack(lists().show(Show::Reachable), scopes()),
        ),
        (
            json!({ "operations": { "max_body_bytes": 777 } }),
            stack(lists(), scopes().max_body_bytes(777).unwrap()),
        ),
        (
            json!({ "operations": { "read_timeout": "7s" } }),
            stack(lists(), scopes().read_timeout(seconds(7)).unwrap()),
        ),
    ] {
        same(&more, &made(more.clone()), &by_hand, &default);
    }
    let none: Map<String, Value> = Map::new();
    assert!(config(&none.into()).policy_layers().unwrap().is_none());
}

#[test]
fn sealers_and_limits_of_failed_attempts() {
    let key = |text: &str| MacKey::new(text).unwrap();
    let older = "Qk3w8ZtV1nBy6HsLr0JmXc9PfUeDa2Gi";
    let made = |more: &Value| {
        let section = with(json!({ "key": SECRET }), more);
        let config = config(&json!({ "sealer": section }));
        format!("{:?}", config.sealer().unwrap().unwrap())
    };
    let sealer = || PrincipalSealer::new(key(SECRET));
    let default = format!("{:?}", sealer());
    assert_eq!(made(&json!({})), default);
    for (more, set) in [
        (
            json!({ "also_accept": [older] }),
            sealer().also_accept(key(older)).unwrap(),
        ),
        (json!({ "purpose": "x" }), sealer().purpose("x")),
        (
            json!({ "lifetime": "7m" }),
            sealer().lifetime(seconds(420)).unwrap(),
        ),
        (json!({ "max_bytes": "7 kB" }), sealer().max_bytes(7000)),
    ] {
        same(&more, &made(&more), &format!("{set:?}"), &default);
    }
    let no_key = config(&json!({ "sealer": {} })).sealer().unwrap_err();
    assert_eq!(no_key.path(), "sealer.key");
    assert!(config(&json!({})).sealer().unwrap().is_none());

    let layer = || FailedAttemptsLayer::new(|_| None);
    let made = |section: &Value| {
        let config = config(&json!({ "failed_attempts": section }));
        format!("{:?}", config.failed_attempts(layer()).unwrap())
    };
    let default = format!("{:?}", layer());
    assert_eq!(made(&json!({})), default);
    for (section, set) in [
        (json!({ "max_failures": 7 }), layer().max_failures(7)),
        (json!({ "window": "7s" }), layer().window(seconds(7))),
        (
            json!({ "block_duration": "7s" }),
            layer().block_duration(seconds(7)),
        ),
        (json!({ "max_addresses": 7 }), layer().max_addresses(7)),
        (json!({ "ipv6_prefix": "56" }), layer().ipv6_prefix(56)),
    ] {
        same(
            &section,
            &made(&section),
            &format!("{:?}", set.unwrap()),
            &default,
        );
    }
    for (name, value) in [
        ("max_failures", 0),
        ("window", 0),
        ("block_duration", 0),
        ("max_addresses", 0),
        ("ipv6_prefix", 8),
    ] {
        let config = config(&json!({ "failed_attempts": { name: value } }));
        let error = config.failed_attempts(layer()).unwrap_err();
        assert_eq!(error.path(), format!("failed_attempts.{name}"));
    }
}
