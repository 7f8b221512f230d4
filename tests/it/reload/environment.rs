//! Variables of the environment as a configuration: strings, and nothing guessed.

use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use serde_json::json;
use tower_mcp_auth::ConfigError;
use tower_mcp_auth::config::{Config, Environment};

fn read(variables: &[(&str, &str)]) -> Result<Environment, ConfigError> {
    Environment::of("APP_", variables.iter().copied())
}

#[test]
fn names_are_places_and_values_strings() {
    let variables = read(&[
        ("PATH", "/bin"),
        ("XAPP_RESOURCE", "no"),
        ("app_resource", "no"),
        ("APP_RESOURCE", "https://mcp.example.com/mcp"),
        ("APP_SESSION__KEY", "007"),
        ("APP_SESSION__SERVER", "true"),
        ("APP_AUTH__PUBLIC_PATHS", "/a /b"),
        ("APP_EMPTY", ""),
        ("APP_LIST", "[1, 2]"),
    ]);
    let expected = json!({
        "resource": "https://mcp.example.com/mcp",
        "session": { "key": "007", "server": "true" },
        "auth": { "public_paths": "/a /b" },
        "empty": "",
        "list": "[1, 2]",
    });
    let variables = variables.unwrap();
    assert_eq!(serde_json::to_value(&variables).unwrap(), expected);
    let debug = format!("{variables:?}");
    assert!(
        debug.contains("\"key\": …") && !debug.contains("007"),
        "{debug}"
    );
}

#[test]
fn what_names_no_place_is_an_error_with_the_variable() {
    for (variables, expected) in [
        (&[("APP_", "x")][..], "\"APP_\" has a part without a name"),
        (&[("APP___A", "x")], "\"APP___A\" has a part"),
        (&[("APP_A__", "x")], "\"APP_A__\" has a part"),
        (&[("APP_A____B", "x")], "\"APP_A____B\" has a part"),
        (
            &[("APP_A", "x"), ("APP_A__B", "x")],
            "\"APP_A__B\" is a part of another",
        ),
        (
            &[("APP_A__B", "x"), ("APP_A", "x")],
            "\"APP_A\" is a part of another",
        ),
        (
            &[("APP_A", "x"), ("APP_a", "x")],
            "\"APP_a\" is a part of another",
        ),
    ] {
        let error = read(variables).unwrap_err().to_string();
        let start = "environment: the variable ";
        assert!(
            error.strip_prefix(start).unwrap().starts_with(expected),
            "{error}"
        );
    }
    assert!(Environment::of("", [("A", "x")]).is_err());
    #[cfg(unix)]
    {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let bytes = OsStr::from_bytes(b"8167354920\xff");
        let error = Environment::of("APP_", [("APP_KEY", bytes)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "environment: the variable \"APP_KEY\" is not UTF-8"
        );
        assert!(Environment::of("APP_", [("OTHER", bytes)]).is_ok());
    }
}

#[test]
fn settings_of_every_kind_are_read_from_them() {
    let file = r#"
        resource = "https://file.example.com/mcp"
        [api_keys.keys.a]
        key = { file = "/nowhere" }
    "#;
    let config = |variables: &[(&str, &str)]| {
        let merged =
            Figment::from(Toml::string(file)).merge(Serialized::defaults(read(variables).unwrap()));
        merged
            .extract::<Config>()
            .map_err(|error| error.kind.to_string())
    };
    let digits = "0081673549200816735492008167354920";
    let good = config(&[
        ("APP_API_KEYS__KEYS__A__KEY", digits),
        ("APP_API_KEYS__KEYS__A__REVOKED", "true"),
        ("APP_SESSION__KEY", digits),
        ("APP_AUTH__STREAM_MAX_LIFE", "30"),
        ("APP_AUTH__PUBLIC_PATHS", "/health /live"),
        ("APP_OPERATIONS__MAX_BODY_BYTES", "65536"),
        ("APP_POLICY__INCLUDE_GRANTED", "true"),
    ]);
    let good = good.unwrap();
    drop(good.auth_layer().unwrap());
    drop(good.session_layer().unwrap().unwrap());

    for (name, value) in [
        ("APP_AUTH__STREAM_MAX_LIFE", "0816735492x"),
        ("APP_OPERATIONS__MAX_BODY_BYTES", "0816735492x"),
        ("APP_API_KEYS__KEYS__A__REVOKED", "0816735492"),
        ("APP_SESSION__KEY__EVN", "0816735492"),
    ] {
        let error = config(&[(name, value)]).unwrap_err();
        let place = name["APP_".len()..].to_ascii_lowercase().replace("__", ".");
        let place = place.strip_suffix(".evn").unwrap_or(&place);
        assert!(error.starts_with(place), "{name}: {error}");
        assert!(!error.contains("0816735492"), "{name}: {error}");
    }
}
