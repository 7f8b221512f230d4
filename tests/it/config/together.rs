//! What configured layers do with requests.

use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};
use tower_mcp_auth::config::Config;

use crate::config::{KEY, RESOURCE, SECRET, config};
use common::{SigningKey, ask, request, sign};

const OTHER: &str = "YW5vdGhlci1yYW5kb20ta2V5LTk4NzY";

fn keys(more: &Value) -> Config {
    let mut value = json!({ "keys": [
        { "key": KEY, "owner": "ci", "name": "build", "id": "one", "scopes": ["a", "b"] },
        { "key": OTHER, "revoked": true },
    ] });
    let members = more.as_object().unwrap().clone();
    value.as_object_mut().unwrap().extend(members);
    config(&json!({ "api_keys": value }))
}

async fn asked(config: &Config, headers: &[(&str, &str)]) -> common::Answer {
    ask(&config.auth_layer().unwrap(), request(headers)).await
}

#[tokio::test]
async fn api_keys_are_what_their_sections_say() {
    let answer = asked(&keys(&json!({})), &[("x-api-key", KEY)]).await;
    let principal = answer.principal();
    assert_eq!(principal.subject(), Some("ci"));
    assert_eq!(principal.scopes().as_str(), "a b");
    asked(&keys(&json!({})), &[("x-api-key", OTHER)])
        .await
        .invalid("revoked_api_key");
    asked(&keys(&json!({})), &[]).await.missing();

    let config = keys(&json!({ "header_name": "x-own", "realm": "Own" }));
    asked(&config, &[("x-own", KEY)]).await.principal();
    let answer = asked(&config, &[]).await;
    assert_eq!(
        answer.challenges(),
        ["ApiKey realm=\"Own\", header=\"x-own\""]
    );

    let config = keys(&json!({ "authorization_scheme": "ApiKey" }));
    let header = format!("ApiKey {KEY}");
    asked(&config, &[("authorization", &header)])
        .await
        .principal();
    asked(&config, &[("x-api-key", KEY)]).await.missing();
}

async fn empty<B>(
    _: Request<B>,
) -> Result<http::Response<Full<bytes::Bytes>>, std::convert::Infallible> {
    Ok(http::Response::new(Full::default()))
}

/// Or a detector that goes by the status would see a success.
#[tokio::test]
async fn refusals_have_the_http_form_unless_the_configuration_says_otherwise() {
    use tower_mcp_auth::failed_attempts::FailedAttemptsLayer;

    for (auth, attempts, in_grpc) in [
        (json!({}), json!({}), [false, false]),
        (json!({ "grpc_refusals": false }), json!({}), [false, false]),
        (json!({ "grpc_refusals": true }), json!({}), [true, true]),
        (
            json!({ "grpc_refusals": true }),
            json!({ "grpc_refusals": false }),
            [true, false],
        ),
        (json!({}), json!({ "grpc_refusals": true }), [false, true]),
    ] {
        let mut attempts = attempts;
        attempts["max_failures"] = json!(1);
        let config = config(&json!({
            "resource": RESOURCE,
            "api_keys": { "keys": [{ "key": KEY }] },
            "auth": auth,
            "failed_attempts": attempts,
        }));
        let here = FailedAttemptsLayer::new(|_| Some([192, 0, 2, 1].into()));
        let limit = config.failed_attempts(here).unwrap();
        let service = limit.layer(config.stack().unwrap().layer(service_fn(empty)));
        let hand = config.origin_layer().unwrap();
        let hand = hand.layer(config.auth_layer().unwrap().layer(service_fn(empty)));
        let request = |host: &str| {
            Request::post("/mcp")
                .header("host", host)
                .header("content-type", "application/grpc-web")
                .header("x-api-key", OTHER)
                .body(Full::default())
                .unwrap()
        };
        let told = format!("{auth} {attempts}");
        let [auth_in_grpc, attempts_in_grpc] = in_grpc;
        for (host, status) in [("evil.example", 403), ("mcp.example.com", 401)] {
            let expected = if auth_in_grpc { 200 } else { status };
            let answer = hand.clone().oneshot(request(host)).await.unwrap();
            assert_eq!(answer.status(), expected, "{told}");
            let answer = service.clone().oneshot(request(host)).await.unwrap();
            assert_eq!(answer.status(), expected, "{told}");
        }
        let answer = service.oneshot(request("mcp.example.com")).await.unwrap();
        let expected = if attempts_in_grpc { 200 } else { 429 };
        assert_eq!(answer.status(), expected, "{told}");
    }
}

#[tokio::test]
async fn digests_and_peppers_of_keys() {
    use tower_mcp_auth::api_key::{ApiKey, KeyDigest, Pepper};

    let new = ApiKey::generate("acme").unwrap();
    let pepper = Pepper::new(SECRET).unwrap();
    let foreign = KeyDigest::from_external(KEY, &pepper).unwrap();
    let value = json!({ "api_keys": {
        "keys": { "new": { "digest": new.digest().to_string() }, "foreign": { "digest": foreign.to_string() } },
        "pepper": SECRET,
    } });
    let config = config(&value);
    asked(&config, &[("x-api-key", new.expose())])
        .await
        .principal();
    asked(&config, &[("x-api-key", KEY)]).await.principal();
    asked(&config, &[("x-api-key", OTHER)])
        .await
        .invalid("unknown_api_key");
}

#[tokio::test]
async fn keys_name_the_resources_they_are_for() {
    const OTHER_RESOURCE: &str = "https://other.example.com/mcp";
    let of = |key: &str, resources: &str| match resources {
        "" => json!({ "key": key }),
        resources => json!({ "key": key, "resources": resources }),
    };
    let both = format!("{OTHER_RESOURCE} {RESOURCE}");
    for (resources, known, status) in [
        (RESOURCE, true, 200),
        (&*both, true, 200),
        (OTHER_RESOURCE, true, 401),
        ("", true, 200),
        (RESOURCE, false, 401),
        ("", false, 200),
    ] {
        let mut value = json!({ "api_keys": { "keys": [of(KEY, resources)] } });
        if known {
            value["resource"] = json!(RESOURCE);
        }
        let answer = asked(&config(&value), &[("x-api-key", KEY)]).await;
        assert_eq!(answer.status, status, "{value}");
        if status == 401 {
            answer.invalid("api_key_resource_mismatch");
        }
    }
    let several = |keys: Value| {
        config(&json!({
            "resources": { "one": { "url": RESOURCE }, "other": { "url": OTHER_RESOURCE } },
            "authorization_servers": { "main": { "issuer": "https://auth.example.com" } },
            "api_keys": keys,
        }))
    };
    let one = several(json!({ "keys": [of(KEY, OTHER_RESOURCE)] }));
    let unnamed = json!([of(OTHER, RESOURCE), of(KEY, "")]);
    let all = json!({ "keys": unnamed, "dangerously_all_resources": true });
    for (config, statuses) in [(one, [401, 200]), (several(all), [200, 200])] {
        for (host, status) in ["mcp.example.com", "other.example.com"]
            .iter()
            .zip(statuses)
        {
            let answer = asked(&config, &[("host", host), ("x-api-key", KEY)]).await;
            assert_eq!(answer.status, status, "{host}");
        }
    }
    let error = several(json!({ "keys": unnamed }))
        .auth_layer()
        .unwrap_err();
    assert_eq!(error.path(), "api_keys.keys");
    assert!(error.to_string().contains("number 2 of 2"), "{error}");
    assert!(!error.to_string().contains(KEY), "{error}");
}

#[tokio::test]
async fn keys_of_a_file() {
    use tower_mcp_auth::api_key::ApiKey;

    let new = ApiKey::generate("acme").unwrap();
    let file =
        std::env::temp_dir().join(format!("tower-mcp-auth-keys-{}.json", std::process::id()));
    std::fs::write(
        &file,
        json!({ "keys": [{ "digest": new.digest().to_string() }] }).to_string(),
    )
    .unwrap();
    let config = config(&json!({ "api_keys": {
        "file": { "path": file, "interval": "1m", "max_bytes": "1 MiB" }, "prefix": "acme",
    } }));
    asked(&config, &[("x-api-key", new.expose())])
        .await
        .principal();
    asked(&config, &[("x-api-key", KEY)]).await.error();
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn several_providers_stand_together() {
    let config = config(&json!({
        "resource": RESOURCE,
        "authorization_servers": { "main": { "issuer": "https://auth.example.com" } },
        "jwt": { "secret": SECRET, "issuer": "https://own.example.com", "audience": RESOURCE },
        "api_keys": { "keys": [{ "key": KEY }] },
        "auth": { "public_paths": ["/health"] },
    }));
    let claims = format!(
        r#"{{"iss":"https://own.example.com","aud":"{RESOURCE}","sub":"u","exp":4102444800}}"#
    );
    let token = sign(
        &SigningKey::hmac(SECRET),
        "HS256",
        r#"{"alg":"HS256"}"#,
        &claims,
    );
    let bearer = format!("Bearer {token}");
    let answer = asked(&config, &[("authorization", &bearer)]).await;
    assert_eq!(answer.principal().subject(), Some("u"));
    asked(&config, &[("x-api-key", KEY)]).await.principal();
    asked(&config, &[("x-api-key", OTHER)])
        .await
        .invalid("unknown_api_key");
    let answer = asked(&config, &[]).await;
    answer.missing();
    assert_eq!(answer.challenges().len(), 2, "{:?}", answer.challenges());

    // A JWT provider beside authorization servers needs an issuer of its own.
    let error = crate::config::refused(&json!({
        "resource": RESOURCE,
        "authorization_servers": [{ "issuer": "https://auth.example.com" }],
        "jwt": { "secret": SECRET },
    }));
    assert!(error.path().starts_with("jwt."), "{error}");
}

#[tokio::test]
async fn a_whole_stack() {
    let value = json!({
        "resource": RESOURCE,
        "api_keys": { "keys": [{ "key": KEY, "scopes": ["mcp:read"] }] },
        "origin": { "allow_origins": "https://app.example.com" },
        "session": { "key": SECRET },
        "policy": { "tools": { "get_*": "mcp:read", "*": "mcp:write" } },
    });
    let stack = config(&value).stack().unwrap();
    let inner = service_fn(|_| async {
        Ok::<_, std::convert::Infallible>(http::Response::new(Full::new(bytes::Bytes::new())))
    });
    let call = |tool: &str, host: &str, key: &str| {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool } });
        let request = Request::post("/mcp")
            .header("host", host)
            .header("content-type", "application/json")
            .header("x-api-key", key)
            .body(Full::new(bytes::Bytes::from(body.to_string())))
            .unwrap();
        let service = stack.layer(inner);
        async move { service.oneshot(request).await.unwrap().status() }
    };
    let host = "mcp.example.com";
    assert_eq!(call("get_x", host, KEY).await, StatusCode::OK);
    assert_eq!(call("delete_x", host, KEY).await, StatusCode::FORBIDDEN);
    assert_eq!(call("get_x", host, OTHER).await, StatusCode::UNAUTHORIZED);
    assert_eq!(
        call("get_x", "evil.example.com", KEY).await,
        StatusCode::FORBIDDEN
    );

    for missing in ["resource", "api_keys"] {
        let mut value = value.clone();
        value.as_object_mut().unwrap().remove(missing);
        let error = config(&value).stack().unwrap_err();
        let path = if missing == "api_keys" {
            "configuration"
        } else {
            missing
        };
        assert_eq!(error.path(), path);
    }
}

/// A section protects nothing by itself.
#[test]
fn a_section_that_nothing_was_made_of_is_reported() {
    use common::trace;
    use tower_mcp_auth::failed_attempts::FailedAttemptsLayer;

    let value = json!({
        "resource": RESOURCE,
        "api_keys": { "keys": [{ "key": KEY }] },
        "auth": { "optional": true },
        "origin": {},
        "session": { "key": SECRET },
        "policy": { "tools": { "*": "a" } },
        "lists": {},
        "sealer": { "key": SECRET },
        "failed_attempts": { "max_failures": 3 },
    });
    let told = || {
        let events = trace::take().into_iter();
        let of = events.filter(|event| !event.field("section").is_empty());
        of.map(|event| {
            assert_eq!(event.level, tracing::Level::WARN);
            event.field("section").to_owned()
        })
        .collect::<Vec<_>>()
    };
    let attempts = || FailedAttemptsLayer::new(|_| None);
    trace::start();
    let whole = config(&value);
    let _stack = whole.stack().unwrap();
    assert_eq!(told(), ["sealer", "failed_attempts"]);
    drop(whole);
    assert!(told().is_empty(), "they were told before");

    let whole = config(&value);
    let _attempts = whole.failed_attempts(attempts()).unwrap();
    whole.sealer().unwrap();
    let _stack = whole.clone().stack().unwrap();
    drop(whole);
    assert!(told().is_empty());

    // One by one: a caller that makes some is told what is missing when all is done.
    let whole = config(&value);
    let _keys = whole.auth_layer().unwrap();
    assert!(told().is_empty());
    drop(whole.clone());
    assert!(told().is_empty());
    drop(whole);
    assert_eq!(
        told(),
        [
            "origin",
            "session",
            "policy",
            "lists",
            "sealer",
            "failed_attempts"
        ]
    );
    let whole = config(&value);
    let _keys = whole.api_key_layer().unwrap();
    drop(whole);
    assert_eq!(told()[..2], ["auth", "origin"]);

    // It was only read, or what is wrong is told already.
    drop(config(&value));
    let mut broken = value.clone();
    broken["session"] = json!({});
    let whole = config(&broken);
    whole.stack().unwrap_err();
    drop(whole);
    assert!(told().is_empty());
}

#[tokio::test]
async fn a_stack_without_sessions_or_policy_lets_pass_what_they_would_look_at() {
    let base = json!({
        "resource": RESOURCE,
        "api_keys": { "keys": [{ "key": KEY, "scopes": ["mcp:read"] }] },
    });
    let with = |names: &[&str]| {
        let mut value = base.clone();
        for name in names {
            value[*name] = match *name {
                "session" => json!({ "key": SECRET }),
                _ => json!({ "tools": { "get_*": "mcp:read" } }),
            };
        }
        config(&value).stack().unwrap()
    };
    // A tool that the policy denies, and a session id that was never bound.
    let body =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "x" } });
    let cases: [(&[&str], StatusCode, bool); 4] = [
        (&[], StatusCode::OK, false),
        (&["session"], StatusCode::OK, true),
        (&["policy"], StatusCode::FORBIDDEN, false),
        (&["session", "policy"], StatusCode::FORBIDDEN, true),
    ];
    for (names, status, binds) in cases {
        let stack = with(names);
        let inner = service_fn(|request: Request<_>| async move {
            let body = http_body_util::BodyExt::collect(request.into_body()).await;
            let body = body.map_err(|_| ()).unwrap().to_bytes();
            let response = http::Response::builder().header("mcp-session-id", "own");
            Ok::<_, std::convert::Infallible>(response.body(Full::new(body)).unwrap())
        });
        let request = |session: Option<&str>, key: &str| {
            let mut request = Request::post("/mcp")
                .header("host", "mcp.example.com")
                .header("content-type", "application/json")
                .header("x-api-key", key);
            if let Some(session) = session {
                request = request.header("mcp-session-id", session);
            }
            request
                .body(Full::new(bytes::Bytes::from(body.to_string())))
                .unwrap()
        };
        let service = stack.layer(inner);
        let answer = service.clone().oneshot(request(None, KEY)).await.unwrap();
        assert_eq!(answer.status(), status, "{names:?}");
        if status == StatusCode::OK {
            let id = answer.headers()["mcp-session-id"]
                .to_str()
                .unwrap()
                .to_owned();
            assert_eq!(id != "own", binds, "{names:?}");
            // The body comes through, both ways.
            let read = http_body_util::BodyExt::collect(answer.into_body()).await;
            assert_eq!(read.map_err(|_| ()).unwrap().to_bytes(), body.to_string());
        }
        let foreign = service
            .clone()
            .oneshot(request(Some("own"), KEY))
            .await
            .unwrap();
        if binds {
            assert_eq!(foreign.status(), StatusCode::NOT_FOUND, "{names:?}");
        } else {
            assert_eq!(foreign.status(), status, "{names:?}");
        }
        // Who comes in is asked in any case.
        let foreign = service.oneshot(request(None, OTHER)).await.unwrap();
        assert_eq!(foreign.status(), StatusCode::UNAUTHORIZED, "{names:?}");
    }
}

#[tokio::test]
async fn claims_outlive_a_reload() {
    use tower_mcp_auth::testing::{insert_anonymous, insert_principal};

    let session = || {
        let value = json!({ "session": {
            "key": SECRET, "server": "claims", "anonymous_sessions_can_be_claimed": true,
        } });
        config(&value).session_layer().unwrap().unwrap()
    };
    let inner = service_fn(async |_: Request<Full<bytes::Bytes>>| {
        let response = http::Response::builder().header("mcp-session-id", "of-a-reload");
        Ok::<_, std::convert::Infallible>(response.body(Full::<bytes::Bytes>::default()).unwrap())
    });
    let ask = async |layer: &tower_mcp_auth::mcp::SessionBindingLayer,
                     subject: Option<&'static str>,
                     id: Option<&http::HeaderValue>| {
        let mut request = Request::new(Full::<bytes::Bytes>::default());
        if let Some(id) = id {
            request.headers_mut().insert("mcp-session-id", id.clone());
        }
        match subject {
            Some(subject) => {
                let principal = tower_mcp_auth::Principal::builder("x").subject(subject);
                insert_principal(request.extensions_mut(), principal.build());
            }
            None => insert_anonymous(request.extensions_mut()),
        }
        layer.layer(inner).oneshot(request).await.unwrap()
    };
    let old = session();
    let opened = ask(&old, None, None).await;
    let id = &opened.headers()["mcp-session-id"];
    assert_eq!(ask(&old, Some("alice"), Some(id)).await.status(), 200);
    // The new layer is made while the old one is in force.
    let new = session();
    drop(old);
    for (subject, status) in [(Some("alice"), 200), (Some("mallory"), 404), (None, 404)] {
        let answer = ask(&new, subject, Some(id)).await;
        assert_eq!(answer.status(), status, "{subject:?}");
    }
}
