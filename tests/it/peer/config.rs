//! The section `proxies` of a configuration.

use serde_json::{Value, json};
use tower_mcp_auth::ConfigError;
use tower_mcp_auth::config::Config;
use tower_mcp_auth::failed_attempts::FailedAttemptsLayer;
use tower_mcp_auth::mcp::OriginLayer;
use tower_mcp_auth::peer::{ProxyHeaders, TrustedProxies};

use common::trace;

const RESOURCE: &str = "https://mcp.example.com/mcp";

fn config(value: &Value) -> Result<Config, ConfigError> {
    Config::from_json(&value.to_string())
}

fn proxies(section: &Value) -> Result<Option<TrustedProxies>, ConfigError> {
    config(&json!({ "proxies": section }))?.trusted_proxies()
}

fn by_hand() -> TrustedProxies {
    TrustedProxies::new(ProxyHeaders::XForwarded, ["10.0.0.0/8"]).unwrap()
}

#[test]
fn each_setting_does_what_its_setter_does() {
    let standard = TrustedProxies::new(ProxyHeaders::Forwarded, ["10.0.0.0/8"]);
    let two = TrustedProxies::new(ProxyHeaders::XForwarded, ["10.0.0.0/8", "::1"]);
    for (more, set) in [
        (json!({}), by_hand()),
        (json!({ "headers": "Forwarded" }), standard.unwrap()),
        (
            json!({ "networks": ["10.0.0.0/8", "::1"] }),
            two.clone().unwrap(),
        ),
        (json!({ "networks": "10.0.0.0/8 ::1" }), two.unwrap()),
        (json!({ "hops": 3 }), by_hand().hops(3).unwrap()),
        (json!({ "hops": "3" }), by_hand().hops(3).unwrap()),
        (
            json!({ "forwarded_host": false }),
            by_hand().forwarded_host(false),
        ),
        (
            json!({ "networks": [], "dangerously_any_peer": true }),
            TrustedProxies::dangerously_any_peer(ProxyHeaders::XForwarded),
        ),
    ] {
        let mut section = json!({ "headers": "X-Forwarded", "networks": ["10.0.0.0/8"] });
        for (name, value) in more.as_object().unwrap() {
            section[name] = value.clone();
        }
        let made = proxies(&section).unwrap().unwrap();
        assert_eq!(format!("{made:?}"), format!("{set:?}"), "{more}");
    }
    assert!(
        config(&json!({}))
            .unwrap()
            .trusted_proxies()
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_bad_setting_is_named_with_its_place() {
    let networks = ["10.0.0.0/8"];
    for (section, path) in [
        (json!({}), "proxies.headers"),
        (json!({ "networks": networks }), "proxies.headers"),
        (json!({ "headers": "X-Forwarded" }), "proxies.networks"),
        (
            json!({ "headers": "X-Forwarded", "networks": ["10.0.0.1/8"] }),
            "proxies.networks",
        ),
        (
            json!({ "headers": "X-Forwarded", "networks": ["0.0.0.0/0"] }),
            "proxies.networks",
        ),
        (
            json!({
                "headers": "Forwarded", "networks": networks, "dangerously_any_peer": true,
            }),
            "proxies.dangerously_any_peer",
        ),
        (
            json!({ "headers": "Forwarded", "networks": networks, "hops": 0 }),
            "proxies.hops",
        ),
        (
            json!({ "headers": "X-Forwarded-For", "networks": networks }),
            "proxies.headers",
        ),
        (
            json!({ "headers": "Forwarded", "networks": networks, "trust": true }),
            "proxies",
        ),
    ] {
        let error = proxies(&section).unwrap_err();
        assert_eq!(error.path(), path, "{section}: {error}");
        // The layers that stand on it are not made without.
        let Ok(config) = config(&json!({ "resource": RESOURCE, "proxies": section })) else {
            continue;
        };
        assert_eq!(config.origin_layer().unwrap_err().path(), path);
        let attempts = config.failed_attempts(FailedAttemptsLayer::from_peer_address());
        assert_eq!(attempts.unwrap_err().path(), path);
    }
}

#[test]
fn the_layers_that_ask_have_the_proxies() {
    let section = json!({ "headers": "X-Forwarded", "networks": "10.0.0.0/8" });
    let config = config(&json!({ "resource": RESOURCE, "proxies": section })).unwrap();
    let origin = OriginLayer::new(RESOURCE).unwrap();
    let origin = origin.trusted_proxies(by_hand()).grpc_refusals(false);
    let made = config.origin_layer().unwrap();
    assert_eq!(format!("{made:?}"), format!("{origin:?}"));

    let attempts = FailedAttemptsLayer::from_peer_address();
    let made = config.failed_attempts(attempts.clone()).unwrap();
    let by_hand = attempts.trusted_proxies(by_hand()).unwrap();
    assert_eq!(format!("{made:?}"), format!("{by_hand:?}"));
    // A function of the user's own finds the address.
    let attempts = || FailedAttemptsLayer::new(|_| None);
    let made = config.failed_attempts(attempts()).unwrap();
    assert_eq!(format!("{made:?}"), format!("{:?}", attempts()));
}

#[test]
fn proxies_that_no_layer_asks_are_reported() {
    let section = json!({ "headers": "X-Forwarded", "networks": "10.0.0.0/8" });
    let value = json!({ "resource": RESOURCE, "proxies": section, "failed_attempts": {} });
    let told = |asks: &dyn Fn(&Config)| {
        trace::start();
        let config = config(&value).unwrap();
        asks(&config);
        drop(config);
        let events = trace::take().into_iter();
        let sections = events.map(|event| event.field("section").to_owned());
        sections.collect::<Vec<_>>()
    };
    let attempts = |layer: FailedAttemptsLayer| {
        move |config: &Config| {
            let _ = config.failed_attempts(layer.clone()).unwrap();
        }
    };
    let by_peer = attempts(FailedAttemptsLayer::from_peer_address());
    assert_eq!(told(&by_peer), ["resource"]);
    let function = attempts(FailedAttemptsLayer::new(|_| None));
    assert_eq!(told(&function), ["resource", "proxies"]);
    let own = |config: &Config| {
        let _ = config.trusted_proxies().unwrap();
    };
    assert_eq!(told(&own), ["resource", "failed_attempts"]);
}
