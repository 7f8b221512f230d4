//! Servers whose tokens have another `iss` than clients are sent to.

use serde_json::{Value, json};
use tower_mcp_auth::oauth::presets::entra;
use tower_mcp_auth::oauth::{AuthorizationServer, Introspection, ProtectedResource};
use tower_mcp_auth::{ConfigError, OAuthLayer};
use tracing::Level;

use crate::oauth::introspection::OPAQUE;
use crate::oauth::support::*;
use crate::oauth::trace;

const ADFS: &str = "https://adfs.example.com/adfs";
const ADFS_KEYS: &str = "https://adfs.example.com/adfs/discovery/keys";
const ADFS_METADATA: &str = "https://adfs.example.com/adfs/.well-known/openid-configuration";
/// What access tokens of AD FS name: nothing answers there.
const TRUST: &str = "http://adfs.example.com/adfs/services/trust";

fn adfs() -> AuthorizationServer {
    AuthorizationServer::new(ADFS)
        .and_then(|server| server.token_issuer(TRUST))
        .and_then(|server| server.scope_claim("scp"))
        .and_then(|server| server.client_claim("appid"))
        .unwrap()
}

/// The network of an AD FS that publishes this document, with `changes` made to it.
fn adfs_web(key: &Key, changes: &Value) -> Web {
    let document = json!({
        "issuer": ADFS, "access_token_issuer": TRUST, "jwks_uri": ADFS_KEYS,
    });
    let web = Web::new();
    web.set(ADFS_METADATA, Page::Json(changed(document, changes)));
    web.set(ADFS_KEYS, Page::Json(key_set(&[key])));
    web
}

fn adfs_token(key: &Key, iss: &str) -> String {
    let claims = json!({
        "iss": iss, "scp": "mcp:read", "appid": "a1", "scope": null, "client_id": null,
    });
    key.token_with_header(json!({"typ": "JWT"}), claims)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ConfigError>, setting: &str) -> String {
    let error = result.expect_err("accepted");
    assert_eq!(error.setting(), setting, "{error}");
    error.to_string()
}

#[tokio::test]
async fn tokens_of_ad_fs_are_accepted_with_the_keys_of_its_https_url() {
    let key = Key::new("a");
    let web = adfs_web(&key, &json!({}));
    trace::start();
    let guarded = Guarded::with_server(&web, adfs());
    let warned: Vec<_> = trace::take()
        .into_iter()
        .filter(|event| event.level <= Level::WARN)
        .map(|event| {
            (
                event.field("issuer").to_owned(),
                event.field("advertised").to_owned(),
            )
        })
        .collect();
    // That it is advertised elsewhere, and nothing of a weaker server.
    assert_eq!(warned, [(TRUST.to_owned(), ADFS.to_owned())]);

    let answer = guarded.bearer(&adfs_token(&key, TRUST)).await;
    answer.assert(200, "accepted");
    let who = answer.who.unwrap();
    assert_eq!(who.issuer(), Some(TRUST));
    assert_eq!(who.client_id(), Some("a1"));
    assert!(who.scopes().contains("mcp:read"));
    let urls = web.log();
    assert!(
        urls.iter().all(|url| url.starts_with(ADFS_ORIGIN)),
        "{urls:?}"
    );
    assert_eq!(&urls[urls.len() - 2..], [ADFS_METADATA, ADFS_KEYS]);

    let document = metadata(&guarded.layer).await;
    assert_eq!(document["authorization_servers"], json!([ADFS]));
    let named: Vec<_> = guarded.layer.health();
    assert_eq!(&*named[0].0, TRUST);
}

const ADFS_ORIGIN: &str = "https://adfs.example.com/";

#[tokio::test]
async fn the_name_of_a_server_is_no_issuer_of_its_tokens_any_more() {
    let key = Key::new("a");
    let guarded = Guarded::with_server(&adfs_web(&key, &json!({})), adfs());
    for iss in [
        ADFS,
        "https://adfs.example.com/adfs/services/trust",
        "http://adfs.example.com/adfs/services/trust/",
        "http://ADFS.example.com/adfs/services/trust",
    ] {
        let answer = guarded.bearer(&adfs_token(&key, iss)).await;
        answer.assert(401, "issuer_mismatch");
    }
}

#[tokio::test]
async fn discovery_believes_a_document_that_vouches_for_the_tokens_alone() {
    let key = Key::new("a");
    for (changes, part) in [
        (json!({"access_token_issuer": null}), "set `jwks_uri`"),
        (json!({"access_token_issuer": [TRUST]}), "set `jwks_uri`"),
        (
            json!({"access_token_issuer": "http://other.example.com/adfs/services/trust"}),
            "its access_token_issuer is another",
        ),
        (
            json!({"access_token_issuer": format!("{TRUST}/")}),
            "differ only by a trailing slash",
        ),
        // What the document is found by is what it must name.
        (json!({"issuer": TRUST}), "it is another issuer's"),
        (
            json!({"issuer": format!("{ADFS}/")}),
            "it is another issuer's",
        ),
    ] {
        let web = adfs_web(&key, &changes);
        let answer = Guarded::with_server(&web, adfs());
        let answer = answer.bearer(&adfs_token(&key, TRUST)).await;
        answer.assert(503, "keys_unavailable");
        assert!(
            answer.detail().contains(part),
            "{changes}: {}",
            answer.detail()
        );
        assert_eq!(web.count(ADFS_KEYS), 0, "{changes}");
    }
    // Where the issuer is that of the tokens, the member says nothing.
    let web = Web::with_issuer(&[&key]);
    let document = json!({"issuer": ISSUER, "jwks_uri": JWKS, "access_token_issuer": TRUST});
    web.set(
        &format!("{ISSUER}/.well-known/oauth-authorization-server"),
        Page::Json(document),
    );
    let answer = Guarded::new(&web).bearer(&key.token(json!({}))).await;
    answer.assert(200, "accepted");
}

#[tokio::test]
async fn keys_that_are_named_need_no_document() {
    let key = Key::new("a");
    let web = Web::new();
    web.set(ADFS_KEYS, Page::Json(key_set(&[&key])));
    let by_uri = adfs().jwks_uri(ADFS_KEYS).unwrap();
    let guarded = Guarded::with_server(&web, by_uri);
    let token = adfs_token(&key, TRUST);
    guarded.bearer(&token).await.assert(200, "accepted");
    assert_eq!(web.log(), [ADFS_KEYS]);

    let static_set = adfs().jwks(key_set(&[&key]).to_string()).unwrap();
    let guarded = Guarded::with_server(&Web::new(), static_set);
    guarded.bearer(&token).await.assert(200, "accepted");
}

/// A key of a set may name the issuer that it signs for.
#[tokio::test]
async fn keys_of_a_set_are_those_of_the_tokens() {
    let key = Key::new("a");
    for (own, accepted) in [(TRUST, true), (ADFS, false)] {
        let web = adfs_web(&key, &json!({}));
        let mut jwk = key.jwk();
        jwk["issuer"] = own.into();
        web.set(ADFS_KEYS, Page::Json(json!({"keys": [jwk]})));
        let answer = Guarded::with_server(&web, adfs());
        let answer = answer.bearer(&adfs_token(&key, TRUST)).await;
        assert_eq!(answer.status == 200, accepted, "{own}: {answer:?}");
    }
}

#[tokio::test]
async fn introspection_is_found_and_asked_by_the_name_of_the_server() {
    let endpoint = "https://adfs.example.com/adfs/introspect";
    let web = adfs_web(
        &Key::new("a"),
        &json!({"introspection_endpoint": endpoint, "access_token_issuer": null}),
    );
    for (iss, accepted) in [
        (json!(TRUST), true),
        (json!(null), true),
        (json!(ADFS), false),
    ] {
        let said = json!({
            "active": true, "aud": RESOURCE, "sub": "alice", "scp": "mcp:read",
            "exp": START.as_secs() + 60,
        });
        let said = changed(said, &json!({"iss": iss}));
        web.set(endpoint, Page::Tokens([(OPAQUE.to_owned(), said)].into()));
        let introspection = Introspection::discovered()
            .client_secret_basic("mcp", "s3cret-of-ours")
            .unwrap();
        let guarded = Guarded::with_server(&web, adfs().introspection(introspection).unwrap());
        let answer = guarded.bearer(OPAQUE).await;
        assert_eq!(answer.status == 200, accepted, "{iss}: {answer:?}");
    }
}

const UPSTREAM: &str = "https://login.example.com/tenant";
const REGISTRATION: &str = "https://register.example.com";

#[tokio::test]
async fn clients_are_sent_to_a_proxy_and_its_tokens_are_those_of_the_server_behind_it() {
    let key = Key::new("a");
    let web = Web::new();
    web.publish_metadata(UPSTREAM);
    let document = json!({"issuer": UPSTREAM, "jwks_uri": format!("{UPSTREAM}/keys")});
    let place = "https://login.example.com/.well-known/oauth-authorization-server/tenant";
    web.set(place, Page::Json(document));
    web.set(&format!("{UPSTREAM}/keys"), Page::Json(key_set(&[&key])));
    let server = AuthorizationServer::new(UPSTREAM)
        .and_then(|server| server.advertised_as(REGISTRATION))
        .unwrap();
    assert_eq!(server.issuer(), UPSTREAM);
    let guarded = Guarded::with_server(&web, server);
    assert_eq!(
        metadata(&guarded.layer).await["authorization_servers"],
        json!([REGISTRATION])
    );
    let token = |iss: &str| key.token(json!({"iss": iss}));
    guarded
        .bearer(&token(UPSTREAM))
        .await
        .assert(200, "accepted");
    let answer = guarded.bearer(&token(REGISTRATION)).await;
    answer.assert(401, "issuer_mismatch");
    assert!(web.log().iter().all(|url| !url.starts_with(REGISTRATION)));
}

/// A user flow of Azure AD B2C: metadata by its name, tokens by the id of the tenant.
#[tokio::test]
async fn clients_are_sent_to_the_user_flow_of_b2c() {
    const ISSUER: &str = "https://acme.b2clogin.com/4e35db53-0000-4000-8000-72283835f000/v2.0/";
    const FLOW: &str = "https://acme.b2clogin.com/acme.onmicrosoft.com/b2c_1_susi/v2.0";
    const KEYS: &str =
        "https://acme.b2clogin.com/acme.onmicrosoft.com/b2c_1_susi/discovery/v2.0/keys";

    let key = Key::new("a");
    let web = Web::new();
    web.set(KEYS, Page::Json(key_set(&[&key])));
    let server = AuthorizationServer::new(ISSUER)
        .and_then(|server| server.jwks_uri(KEYS))
        .and_then(|server| server.advertised_as(FLOW))
        .unwrap();
    let guarded = Guarded::with_server(&web, server);
    let answer = guarded.bearer(&key.token(json!({"iss": ISSUER}))).await;
    answer.assert(200, "accepted");
    let listed = &metadata(&guarded.layer).await["authorization_servers"];
    assert_eq!(*listed, json!([FLOW]));
}

#[tokio::test]
async fn a_place_that_two_servers_name_is_listed_once_and_in_order() {
    let server = |issuer: &str, place: Option<&str>| {
        let server = AuthorizationServer::new(issuer).unwrap();
        match place {
            Some(place) => server.advertised_as(place).unwrap(),
            None => server,
        }
    };
    let servers = [
        server("https://b.example.com", None),
        server("https://c.example.com", Some(REGISTRATION)),
        server("https://a.example.com", Some("https://b.example.com")),
        server(REGISTRATION, None),
        // Another string is another server.
        server("https://d.example.com", Some("https://b.example.com/")),
    ];
    let guarded = Guarded::with_servers(&Web::new(), servers);
    let listed = &metadata(&guarded.layer).await["authorization_servers"];
    let expected = json!([
        "https://b.example.com",
        REGISTRATION,
        "https://b.example.com/"
    ]);
    assert_eq!(*listed, expected);
}

#[test]
fn two_servers_with_one_issuer_of_tokens_are_refused_whatever_they_are_called() {
    let named = |issuer: &str, tokens: Option<&str>| {
        let server = AuthorizationServer::new(issuer).unwrap();
        match tokens {
            Some(name) => server.token_issuer(name).unwrap(),
            None => server,
        }
    };
    let trusts = |servers: [AuthorizationServer; 2]| {
        let [one, other] = servers;
        OAuthLayer::builder(RESOURCE)?
            .authorization_server(one)?
            .authorization_server(other)?
            .build()
    };
    for servers in [
        [named(ADFS, Some(TRUST)), named(ADFS, Some(TRUST))],
        [named(ADFS, Some(TRUST)), named(ISSUER, Some(TRUST))],
        [named(ADFS, Some(ISSUER)), named(ISSUER, None)],
        [named(ISSUER, None), named(ADFS, Some(ISSUER))],
    ] {
        let error = refused(trusts(servers), "authorization_server");
        assert!(error.contains("two servers with the issuer"), "{error}");
    }
    // One server that issues under two names is two issuers.
    let both = trusts([named(ADFS, Some(TRUST)), named(ADFS, None)]);
    assert_eq!(both.unwrap().health().len(), 2);
}

#[tokio::test]
async fn a_resource_that_lists_a_server_trusts_both_of_its_names() {
    let key = Key::new("a");
    let own_name = AuthorizationServer::new(ADFS).unwrap().scope_claim("scp");
    let own_name = own_name.and_then(|server| server.client_claim("appid"));
    let own_name = own_name.unwrap().jwks_uri(ADFS_KEYS).unwrap();
    for servers in [[adfs(), own_name.clone()], [own_name, adfs()]] {
        let resource = ProtectedResource::new(RESOURCE).unwrap();
        let resource = resource.authorization_servers([ADFS]);
        let mut builder = OAuthLayer::builder(resource).unwrap();
        for server in servers {
            builder = builder.authorization_server(server).unwrap();
        }
        let web = adfs_web(&key, &json!({}));
        let mut guarded = Guarded::new(&web);
        let builder = builder.fetch(web.clone()).clock(guarded.clock.clone());
        guarded.layer = builder.build().unwrap();
        for iss in [TRUST, ADFS] {
            let token = adfs_token(&key, iss);
            guarded.bearer(&token).await.assert(200, "accepted");
        }
    }
}

#[test]
fn a_difference_is_told_once_for_each_layer_and_no_difference_is_not() {
    let warnings = |layer: &dyn Fn() -> OAuthLayer| {
        trace::start();
        let _ = layer();
        let events = trace::take();
        events
            .iter()
            .filter(|event| event.level <= Level::WARN)
            .count()
    };
    let new = |issuer: &str| AuthorizationServer::new(issuer).unwrap();
    let with =
        |server: AuthorizationServer| move || OAuthLayer::new(RESOURCE, server.clone()).unwrap();
    assert_eq!(warnings(&with(new(ISSUER))), 0);
    assert_eq!(
        warnings(&with(new(ISSUER).advertised_as(ISSUER).unwrap())),
        0
    );
    assert_eq!(
        warnings(&with(new(ISSUER).token_issuer(ISSUER).unwrap())),
        0
    );
    let moved = new(ISSUER).advertised_as(REGISTRATION).unwrap();
    assert_eq!(warnings(&with(moved.clone())), 1);
    assert_eq!(warnings(&with(adfs())), 1);
    // Clients then go to what issues the tokens.
    let same = adfs().token_issuer(REGISTRATION).unwrap();
    assert_eq!(
        warnings(&with(same.advertised_as(REGISTRATION).unwrap())),
        0
    );
    // The tenants of a template are one server to an operator.
    let template = || {
        let builder = OAuthLayer::builder(RESOURCE).unwrap();
        let tenants = (0..20).map(|number| format!("t{number}"));
        builder
            .issuer_template("https://login.example/{tenant}", tenants, |server| {
                server.advertised_as(REGISTRATION)
            })
            .and_then(tower_mcp_auth::oauth::OAuthLayerBuilder::build)
            .unwrap()
    };
    assert_eq!(warnings(&template), 1);
    // A preset that sends clients elsewhere knows why.
    let guid = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";
    assert_eq!(warnings(&with(entra::tenants([guid], guid).unwrap())), 0);
}

#[test]
fn names_that_are_none() {
    let server = || AuthorizationServer::new(ISSUER).unwrap();
    for url in [
        "",
        "register.example.com",
        "http://register.example.com",
        "http://127.0.0.1:9000",
        "https://register.example.com?tenant=1",
        "https://register.example.com#x",
        "https://user:s3cret@register.example.com",
        "https://register.example.com/.well-known/oauth-authorization-server",
        "https://mcp.example.com/.well-known/oauth-protected-resource/mcp",
    ] {
        let error = refused(server().advertised_as(url), "advertised_as");
        assert!(!error.contains("s3cret"), "{error}");
    }
    let local = AuthorizationServer::insecure_http_on_loopback("http://127.0.0.1:9000").unwrap();
    assert!(local.advertised_as("http://127.0.0.1:9001").is_ok());

    for name in [
        "",
        " ",
        "http://adfs.example.com/adfs/services/trust ",
        "http://adfs.exämple.com",
        "tab\there",
        "https://auth.example.com/.well-known/openid-configuration",
    ] {
        refused(server().token_issuer(name), "token_issuer");
    }
    for name in [TRUST, "urn:adfs", "spiffe://example.org", "acme"] {
        assert!(server().token_issuer(name).is_ok(), "{name}");
    }
    let keys = key_set(&[&Key::new("a")]).to_string();
    refused(
        server().jwks(keys).unwrap().token_issuer(TRUST),
        "token_issuer",
    );
    let guid = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";
    let tenants = entra::tenants([guid], guid).unwrap();
    refused(tenants.token_issuer(TRUST), "token_issuer");
}
