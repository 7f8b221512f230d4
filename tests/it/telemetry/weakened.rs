//! Settings that weaken a server say so once, as a warning, where they are made.

use std::fmt::Debug;
use std::fs;

use tower_mcp_auth::api_key::{ApiKeyStore, CachedApiKeyStore, KeyLookup, LookupFuture};
use tower_mcp_auth::jose::PublicKey;
use tower_mcp_auth::mcp::{OriginLayer, QuotaLayer};
use tower_mcp_auth::oauth::binding::DpopOptions;
use tower_mcp_auth::oauth::presets::{authentik, clerk, hydra, keycloak};
use tower_mcp_auth::oauth::{AuthorizationServer, Introspection};
use tower_mcp_auth::peer::{ProxyHeaders, TrustedProxies};
use tower_mcp_auth::revocation::Revocation;
use tower_mcp_auth::store::{MemoryQuotaStore, MemoryReplayStore, ReplayStore};
use tower_mcp_auth::{ApiKeyLayer, JwtLayer, OAuthLayer};
use tracing::Level;

use common::{API_KEY, trace};

const RESOURCE: &str = "https://mcp.example.com/mcp";
const ISSUER: &str = "https://auth.example.com";
const KEY: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

fn layer() -> OAuthLayer {
    OAuthLayer::new(RESOURCE, ISSUER).unwrap()
}

fn server() -> AuthorizationServer {
    AuthorizationServer::new(ISSUER).unwrap()
}

#[derive(Debug)]
struct NoKeys;

impl ApiKeyStore for NoKeys {
    fn find(&self, _: KeyLookup) -> LookupFuture {
        Box::pin(async { Ok(None) })
    }
}

fn boxed(made: impl Debug + 'static) -> Box<dyn Debug> {
    Box::new(made)
}

type Make = fn() -> Box<dyn Debug>;

/// Each setting, by the name it warns under, and how it is made.
const SETTINGS: [(&str, Make); 30] = [
    ("header_name", || {
        let edge = server().audience("app-1").unwrap();
        let builder = OAuthLayer::builder(RESOURCE).unwrap();
        let builder = builder.authorization_server(edge).unwrap();
        boxed(builder.header_name("X-Edge-Token").build().unwrap())
    }),
    ("dangerously_allow_replays", || {
        boxed(DpopOptions::new().dangerously_allow_replays().unwrap())
    }),
    ("dangerously_report_only", || {
        boxed(layer().dangerously_report_only())
    }),
    ("dangerously_report_only_for", || {
        boxed(layer().dangerously_report_only_for(["expired"]).unwrap())
    }),
    ("dangerously_public_root", || {
        boxed(layer().dangerously_public_root())
    }),
    ("dangerously_streams_outlive_credentials", || {
        boxed(layer().dangerously_streams_outlive_credentials())
    }),
    ("dangerously_all_resources", || {
        let keys = ApiKeyLayer::new([API_KEY]).unwrap();
        boxed(keys.dangerously_all_resources())
    }),
    ("dangerously_allow_on_outage", || {
        boxed(Revocation::in_memory().dangerously_allow_on_outage())
    }),
    ("dangerously_allow_on_outage", || {
        boxed(CachedApiKeyStore::new(NoKeys).dangerously_allow_on_outage())
    }),
    ("dangerously_allow_on_outage", || {
        boxed(MemoryReplayStore::default().dangerously_allow_on_outage())
    }),
    ("dangerously_allow_on_outage", || {
        let store = MemoryQuotaStore::default();
        let quotas = QuotaLayer::shared(store, "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5").unwrap();
        boxed(quotas.dangerously_allow_on_outage().unwrap())
    }),
    ("dangerously_allow_when_full", || {
        boxed(QuotaLayer::in_memory().dangerously_allow_when_full())
    }),
    ("dangerously_any_host", || {
        boxed(OriginLayer::new(RESOURCE).unwrap().dangerously_any_host())
    }),
    ("dangerously_any_peer", || {
        boxed(TrustedProxies::dangerously_any_peer(
            ProxyHeaders::Forwarded,
        ))
    }),
    ("dangerously_any_audience", || {
        let key = PublicKey::from_jwk(KEY).unwrap();
        boxed(JwtLayer::builder(key).dangerously_any_audience())
    }),
    ("dangerously_subject_claim", || {
        let key = PublicKey::from_jwk(KEY).unwrap();
        boxed(JwtLayer::builder(key).dangerously_subject_claim("email"))
    }),
    ("dangerously_subject_claim", || {
        boxed(server().dangerously_subject_claim("email").unwrap())
    }),
    ("dangerously_any_token_for_audience", || {
        boxed(server().dangerously_any_token_for_audience("a").unwrap())
    }),
    ("dangerously_plain_http", || {
        boxed(AuthorizationServer::dangerously_plain_http("http://keycloak:8080").unwrap())
    }),
    ("dangerously_allow_http_to", || {
        boxed(server().dangerously_allow_http_to("keycloak").unwrap())
    }),
    ("dangerously_accept_every_client_of_this_issuer", || {
        boxed(
            server()
                .dangerously_accept_every_client_of_this_issuer()
                .unwrap(),
        )
    }),
    ("dangerously_accept_every_client_of_this_issuer", || {
        let server = clerk::server("x.clerk.accounts.dev").unwrap();
        boxed(
            server
                .dangerously_accept_every_client_of_this_issuer()
                .unwrap(),
        )
    }),
    ("dangerously_unauthenticated", || {
        let introspection = Introspection::at(ISSUER).unwrap();
        boxed(introspection.dangerously_unauthenticated().unwrap())
    }),
    ("unauthenticated_on_loopback", || {
        let introspection = Introspection::at("http://127.0.0.1:9000/introspect").unwrap();
        boxed(introspection.unauthenticated_on_loopback().unwrap())
    }),
    ("introspection_without_audience", || {
        boxed(server().introspection_without_audience())
    }),
    ("insecure_http_on_loopback", || {
        boxed(AuthorizationServer::insecure_http_on_loopback("http://127.0.0.1:9000").unwrap())
    }),
    ("insecure_http_on_loopback", || {
        boxed(keycloak::insecure_http_on_loopback("http://localhost:8080", "acme").unwrap())
    }),
    ("insecure_http_on_loopback", || {
        boxed(authentik::insecure_http_on_loopback("http://localhost:9000", "mcp", "c").unwrap())
    }),
    ("insecure_http_on_loopback", || {
        boxed(hydra::insecure_http_on_loopback("http://localhost:4444").unwrap())
    }),
    ("resource", || {
        boxed(OAuthLayer::new("http://127.0.0.1:3000/mcp", ISSUER).unwrap())
    }),
];

#[test]
fn each_warns_once() {
    for (setting, make) in SETTINGS {
        trace::start();
        let made = make();
        let events = trace::take();
        let warnings: Vec<_> = events
            .iter()
            .filter(|event| event.level == Level::WARN)
            .map(|event| event.field("setting"))
            .collect();
        assert_eq!(warnings, [setting], "{made:?}");
    }
    // The server, and not each layer and each request that uses it.
    let loopback = AuthorizationServer::insecure_http_on_loopback("http://127.0.0.1:9000");
    let server = loopback.unwrap();
    trace::start();
    for _ in 0..3 {
        drop(OAuthLayer::new(RESOURCE, server.clone()).unwrap());
    }
    let warned = trace::take();
    assert!(
        warned.iter().all(|event| event.level > Level::WARN),
        "{warned:?}"
    );
}

/// Every public function with a name that says so is one of the table.
#[test]
fn there_is_no_other() {
    let mut found = 0;
    let mut folders = vec![common::root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // Not of a server, but of tokens that are made for a test.
                if !path.ends_with("testing") {
                    folders.push(path);
                }
                continue;
            }
            let source = fs::read_to_string(&path).unwrap();
            let functions = source.split("pub fn ").skip(1);
            for name in functions.filter_map(|rest| rest.split(['(', '<']).next()) {
                let says_so = name.starts_with("dangerously_")
                    || name.starts_with("insecure_")
                    || name.starts_with("unauthenticated_")
                    || name.contains("without_");
                if says_so {
                    found += 1;
                    let is_known = SETTINGS.iter().any(|(known, _)| *known == name);
                    assert!(is_known, "{name} of {}", path.display());
                }
            }
        }
    }
    assert!(found >= 15, "{found}");
}
