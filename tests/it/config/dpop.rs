//! Tokens that are bound to a key, by configuration: settings, mistakes, and what outlives a reload.

use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::config::Config;
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::oauth::binding::{DpopMode, DpopOptions};
use tower_mcp_auth::testing::{DpopKey, Issuer};

use crate::config::{RESOURCE, SECRET, config, refused};

const ISSUER: &str = "https://auth.example.com";

// By value, because every caller writes the section in place.
#[allow(clippy::needless_pass_by_value)]
fn with(mode: &str, dpop: Value) -> Value {
    json!({
        "resource": RESOURCE,
        "authorization_servers": [{ "issuer": ISSUER, "dpop": mode }],
        "oauth": { "dpop": dpop },
    })
}

#[test]
fn each_setting_does_what_its_setter_does() {
    let by_hand = |options| {
        let server = AuthorizationServer::new(ISSUER).unwrap();
        let builder = OAuthLayer::builder(RESOURCE).unwrap();
        let builder = builder.authorization_server(server.dpop(DpopMode::Allowed));
        format!("{:?}", builder.unwrap().dpop_options(options))
    };
    let options = DpopOptions::new;
    let default = by_hand(options());
    for (section, set) in [
        (json!({}), options()),
        (
            json!({ "max_used_proofs": "7" }),
            options().max_used_proofs(7).unwrap(),
        ),
        (
            json!({ "dangerously_allow_replays": true }),
            options().dangerously_allow_replays().unwrap(),
        ),
        (
            json!({ "nonce_secret": SECRET }),
            options().nonce_secret(SECRET).unwrap(),
        ),
        (
            json!({ "max_prepared_keys": 7 }),
            options().max_prepared_keys(7),
        ),
    ] {
        let made = config(&with("allowed", section.clone()));
        let made = format!("{:?}", made.oauth_builder().unwrap().unwrap());
        assert_eq!(made, by_hand(set), "{section}");
        assert_eq!(made != default, section != json!({}), "{section}");
    }
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (value, path) in [
        (with("off", json!({})), "oauth.dpop"),
        (
            with("allowed", json!({ "max_used_proofs": 0 })),
            "oauth.dpop.max_used_proofs",
        ),
        (
            with(
                "allowed",
                json!({ "max_used_proofs": 7, "dangerously_allow_replays": true }),
            ),
            "oauth.dpop.dangerously_allow_replays",
        ),
        (
            with("required", json!({ "nonce_secret": "short" })),
            "oauth.dpop.nonce_secret",
        ),
        (
            with("sometimes", json!({})),
            "authorization_servers[0].dpop",
        ),
    ] {
        let error = match Config::from_json(&value.to_string()) {
            Err(error) => error,
            Ok(_) => refused(&value),
        };
        assert_eq!(error.path(), path, "{error}");
    }
    let mut value = with("required", json!({}));
    value["oauth"]["header_name"] = json!("X-Token");
    assert_eq!(refused(&value).path(), "authorization_servers[0].dpop");
    // Used proofs belong in the engine, which has to be connected.
    let mut value = with("required", json!({}));
    value["shared"] = json!({ "redis": { "url": "redis://127.0.0.1:1" } });
    let shared = config(&value);
    assert_eq!(shared.oauth_builder().unwrap_err().path(), "shared");
    value["authorization_servers"][0]["dpop"] = json!("off");
    value["oauth"] = json!({});
    assert!(config(&value).oauth_builder().is_ok());
    let mut value = with("required", json!({}));
    value["metadata"] = json!({ "dpop_bound_access_tokens_required": true });
    let error = refused(&value);
    assert_eq!(error.path(), "metadata.dpop_bound_access_tokens_required");
}

/// A reload makes new layers while the old ones are in force, be it with other resources and other
/// limits.
#[tokio::test]
async fn what_was_used_is_known_after_a_reload() {
    const RELOADED: &str = "https://reloaded.example.com/mcp";
    let issuer = Issuer::start().await.unwrap();
    let made = |resources: Value, most: usize| {
        let mut value = json!({
            "authorization_servers": [{
                "issuer": issuer.url(), "insecure_http_on_loopback": true, "dpop": "required",
            }],
            "oauth": { "dpop": { "max_used_proofs": most } },
        });
        let member = if resources.is_string() {
            "resource"
        } else {
            "resources"
        };
        value[member] = resources;
        config(&value).auth_layer().unwrap()
    };
    let one = || json!(RELOADED);
    let whole = || json!("https://reloaded.example.com/");
    let several = || json!([{ "url": RELOADED }, { "url": "https://reloaded.example.com/b" }]);
    let key = DpopKey::generate();
    let audiences = [RELOADED, "https://reloaded.example.com/"];
    let token = issuer.token().claim("aud", audiences).bound_to(&key).sign();
    let proof = key.proof("POST", RELOADED).access_token(&token).sign();
    let request = || {
        Request::post("/mcp")
            .header("host", "reloaded.example.com")
            .header("authorization", format!("DPoP {token}"))
            .header("dpop", &proof)
            .body(Full::default())
            .unwrap()
    };
    let mut before = made(one(), 1000);
    let answer = common::ask(&before, request()).await;
    assert_eq!(answer.status, StatusCode::OK);
    for (resources, most) in [
        (one(), 1000),
        (one(), 999),
        (several(), 999),
        (whole(), 2000),
        (one(), 1000),
    ] {
        let after = made(resources.clone(), most);
        for layer in [&before, &after] {
            let answer = common::ask(layer, request()).await;
            let reason = answer.error().reason();
            assert_eq!(reason, "replayed_dpop_proof", "{resources} {most}");
        }
        before = after;
    }
}

/// Layers of one process keep used proofs together, and a small limit of one is not the limit of
/// all: many requests at one layer would close the other.
#[tokio::test]
async fn requests_at_one_layer_leave_room_at_another() {
    let issuer = Issuer::start().await.unwrap();
    let key = DpopKey::generate();
    let made = |host: &str, most: usize| {
        let url = format!("https://{host}/mcp");
        let layer = config(&json!({
            "resource": url,
            "authorization_servers": [{
                "issuer": issuer.url(), "insecure_http_on_loopback": true, "dpop": "required",
            }],
            "oauth": { "dpop": { "max_used_proofs": most } },
        }));
        (url, layer.auth_layer().unwrap())
    };
    let (large, small) = (
        made("large.example.com", 5000),
        made("small.example.com", 3),
    );
    for (url, layer) in [&large, &large, &large, &large, &small, &small] {
        let token = issuer.token().audience(url).bound_to(&key).sign();
        let proof = key.proof("POST", url).access_token(&token).sign();
        let request = Request::post("/mcp")
            .header("authorization", format!("DPoP {token}"))
            .header("dpop", proof)
            .body(Full::default())
            .unwrap();
        let answer = common::ask(layer, request).await;
        assert_eq!(answer.status, StatusCode::OK, "{url}");
    }
}
