//! Members with names that serde_json keeps for itself, in messages of MCP.
//!
//! With its feature `raw_value` anywhere in the build (axum turns it on) serde_json reads
//! `{"$serde_json::private::RawValue": "<json>"}` into a `Value` as `<json>`: a layer would judge
//! the object, and the server behind get what is in the string.

use std::convert::Infallible;
use std::process::Command;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::mcp::{
    DefaultRule, JsonValue, McpListsLayer, McpPolicy, McpScopesLayer, PolicyDecision,
};
use tower_mcp_auth::scopes::Requirement;
use tower_mcp_auth::{ApiKeyLayer, AuthError};

const KEY: &str = "Zm9yIHRoZSBleGFtcGxlIG9ubHk";

type Seen = Arc<Mutex<Option<Bytes>>>;

async fn keep<B: Body<Data = Bytes>>(
    request: Request<B>,
    seen: Seen,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let Ok(body) = request.into_body().collect().await else {
        panic!("the body broke");
    };
    *seen.lock().unwrap() = Some(body.to_bytes());
    Ok(Response::new(Full::default()))
}

/// The body as the server behind gets it; `None` where it was refused.
async fn behind(policy: McpPolicy, scopes: &[&str], body: &str) -> Option<Bytes> {
    let key = ApiKey::new(KEY).unwrap().owner("alice");
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    let service = ServiceBuilder::new()
        .layer(ApiKeyLayer::new([key.scopes(scopes).unwrap()]).unwrap())
        .layer(McpScopesLayer::new(policy))
        .service(service_fn(move |request| keep(request, kept.clone())));
    let request = Request::post("/mcp")
        .header("x-api-key", KEY)
        .header("content-type", "application/json")
        .body(Full::<Bytes>::from(body.to_owned()))
        .unwrap();
    service.oneshot(request).await.unwrap();
    seen.lock().unwrap().take()
}

/// `deploy` to production needs more than `deploy` does.
fn deploying() -> McpPolicy {
    let production = Requirement::all(["deploy:production"]).unwrap();
    McpPolicy::builder()
        .tool("deploy", "deploy")
        .unwrap()
        .check(move |call| match call.arguments() {
            Some(arguments) if arguments["to"] == "production" => {
                PolicyDecision::Require(production.clone())
            }
            _ => PolicyDecision::Allow,
        })
        .build()
        .unwrap()
}

const PLAIN: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"deploy",
    "arguments":{"to":"production"}}}"#;

#[tokio::test]
async fn the_plain_call_is_refused() {
    assert!(behind(deploying(), &["deploy"], PLAIN).await.is_none());
}

/// rmcp's server would see "production" where the check sees an object.
#[tokio::test]
async fn a_check_sees_the_arguments_that_the_server_sees() {
    for name in [
        "$serde_json::private::RawValue",
        "\\u0024serde_json::private::RawValue",
    ] {
        let call = PLAIN.replace(
            r#""production""#,
            &format!(r#"{{"{name}":"\"production\""}}"#),
        );
        if let Some(body) = behind(deploying(), &["deploy"], &call).await {
            let value: Value = serde_json::from_slice(&body).unwrap();
            assert_ne!(value["params"]["arguments"]["to"], "production");
        }
    }
}

/// No rule for resources would be asked.
#[tokio::test]
async fn a_subscription_is_judged_by_the_uris_that_the_server_sees() {
    let policy = McpPolicy::builder()
        .resource("file:///secret/*", "admin")
        .unwrap()
        .resource("file:///public/*", "read")
        .unwrap()
        .build()
        .unwrap();
    for params in [
        r#"{"notifications":{"$serde_json::private::RawValue":"{\"resourceSubscriptions\":[\"file:///secret/x\"]}"}}"#,
        r#"{"$serde_json::private::RawValue":"{\"notifications\":{\"resourceSubscriptions\":[\"file:///secret/x\"]}}"}"#,
    ] {
        let listen = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{params}}}"#
        );
        if let Some(body) = behind(policy.clone(), &["read"], &listen).await {
            let value: Value = serde_json::from_slice(&body).unwrap();
            let uris = &value["params"]["notifications"]["resourceSubscriptions"];
            assert_ne!(uris[0], "file:///secret/x");
        }
    }
}

/// `resources/…` of an extension, with the URI in such a member.
#[tokio::test]
async fn an_extension_is_judged_by_the_uri_that_the_server_sees() {
    let policy = McpPolicy::builder()
        .method("resources/delete", "read")
        .unwrap()
        .resource("file:///secret/*", "admin")
        .unwrap()
        .build()
        .unwrap();
    let delete = r#"{"jsonrpc":"2.0","id":1,"method":"resources/delete",
        "params":{"$serde_json::private::RawValue":"{\"uri\":\"file:///secret/x\"}"}}"#;
    if let Some(body) = behind(policy, &["read"], delete).await {
        let value: Value = serde_json::from_slice(&body).unwrap();
        assert_ne!(value["params"]["uri"], "file:///secret/x");
    }
}

/// With the feature `arbitrary_precision` of serde_json anywhere in the build too, where some
/// readers see `{"$serde_json::private::Number": "1500.5"}`.
#[tokio::test]
async fn a_check_sees_numbers() {
    let policy = McpPolicy::builder()
        .tool("pay", Requirement::none())
        .unwrap()
        .check(|call| {
            let amount = call
                .arguments()
                .and_then(|arguments| arguments["amount"].as_f64());
            match amount.is_some_and(|amount| amount > 1000.0) {
                true => PolicyDecision::Deny,
                false => PolicyDecision::Allow,
            }
        })
        .build()
        .unwrap();
    let pay = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call",
        "params":{"name":"pay","arguments":{"amount":1500.5}}}"#;
    assert!(behind(policy, &[], pay).await.is_none());
}

/// The reason for which a body is refused.
async fn reason(body: String) -> Option<&'static str> {
    let key = ApiKey::new(KEY).unwrap().owner("alice");
    let policy = McpPolicy::builder()
        .default_rule(DefaultRule::Baseline)
        .check(|call| {
            let _ = call.arguments();
            PolicyDecision::Allow
        });
    let service = ServiceBuilder::new()
        .layer(ApiKeyLayer::new([key]).unwrap())
        .layer(McpScopesLayer::new(policy.build().unwrap()))
        .service(service_fn(async |_| {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }));
    let request = Request::post("/mcp")
        .header("x-api-key", KEY)
        .header("content-type", "application/json")
        .body(Full::<Bytes>::from(body))
        .unwrap();
    let answer = service.oneshot(request).await.unwrap();
    answer.extensions().get().map(AuthError::reason)
}

/// However the name is written, and wherever it stands.
#[tokio::test]
async fn reserved_names_are_refused_everywhere_in_a_body() {
    let names = [
        "$serde_json::private::RawValue",
        "$serde_json::private::Number",
        "$serde_json::private::",
        "$serde_json::private::of a later version",
        r"\u0024serde_json::private::RawValue",
        r"$serde\u005fjson::private::Number",
        r"$serde_json:\u003Aprivate::RawValue",
        r"\u0024\u0073\u0065rde_json\u003a\u003aprivate\u003a\u003aNumber",
    ];
    for name in names {
        for body in [
            r#"{"@":"1","method":"x"}"#,
            r#"{"method":"x","@":"1"}"#,
            r#"[{"method":"x"},{"method":"x","@":"1"}]"#,
            r#"{"method":"x","params":{"@":"1"}}"#,
            r#"{"method":"x","params":{"a":1,"@":"1"}}"#,
            r#"{"method":"x","params":{"_meta":{"a":[[{"@":"1"}]]}}}"#,
            r#"{"method":"x","params":{"a":{"b":{"c":1,"@":1}}}}"#,
            r#"{"method":"x","id":{"@":"1"}}"#,
            r#"{"id":1,"result":{"@":"1"}}"#,
            r#"{"id":1,"result":{"content":[{"a":[],"@":{}}]}}"#,
            r#"{"id":1,"error":{"code":1,"message":"","data":{"@":"1"}}}"#,
            r#"{"method":"tools/call","params":{"name":"x","arguments":{"@":"1"}}}"#,
            r#"{"method":"tools/call","params":{"name":"x","arguments":{"a":{ "@" : "1"}}}}"#,
            r#"{"method":"tools/call","params":{"name":{"@":"\"x\""}}}"#,
            r#"{"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"x","@":""}}}"#,
            r#"{"method":"subscriptions/listen","params":{"notifications":{"@":"{}"}}}"#,
        ] {
            let body = body.replace('@', name);
            assert_eq!(
                reason(body.clone()).await,
                Some("reserved_member"),
                "{body}"
            );
        }
    }
    for fine in [
        r#"{"method":"x","params":{"a":"$serde_json::private::RawValue"}}"#,
        r#"{"method":"x","params":{"$serde_json::privat":1,"$serde_json":1,"$":1,"$schema":""}}"#,
        r#"{"method":"x","params":{"serde_json::private::RawValue":1,"\n$serde_json::private::":1}}"#,
        r#"{"method":"x","params":{"a":{" $serde_json::private::RawValue":"1"}}}"#,
        r#"{"method":"x","params":{"a":{"$Serde_json::private::RawValue":"1","\\":1,"\"":1}}}"#,
    ] {
        assert_eq!(reason(fine.to_owned()).await, None, "{fine}");
    }
}

/// What the client gets of an answer of the inner service.
async fn list(content_type: &'static str, answer: String) -> String {
    let key = ApiKey::new(KEY).unwrap().scopes(["read"]).unwrap();
    let policy = McpPolicy::builder().tool("open", "read").unwrap();
    let policy = policy.tool("closed", "admin").unwrap().build().unwrap();
    let service = ServiceBuilder::new()
        .layer(ApiKeyLayer::new([key]).unwrap())
        .layer(McpListsLayer::new(policy))
        .service(service_fn(move |_: Request<_>| {
            let answer = Response::builder()
                .header("content-type", content_type)
                .body(Full::<Bytes>::from(answer.clone()));
            async move { answer }
        }));
    let request = Request::post("/mcp")
        .header("x-api-key", KEY)
        .header("content-type", "application/json")
        .body(Full::<Bytes>::from(
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
        ))
        .unwrap();
    let body = service.oneshot(request).await.unwrap().into_body();
    let bytes = body.collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A client that is built so would find the tools in the string.
#[tokio::test]
async fn a_list_in_a_reserved_member_does_not_pass() {
    let tools = r#"{\"tools\":[{\"name\":\"closed\"}]}"#;
    for name in [
        "$serde_json::private::RawValue",
        "$serde_json::privat\\u0065::RawValue",
    ] {
        for answer in [
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"{name}":"{tools}"}}}}"#),
            format!(r#"[{{"jsonrpc":"2.0","id":1,"result":{{"{name}":"{tools}"}}}}]"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":{{"{name}":"{tools}"}}}}}}"#),
        ] {
            let got = list("application/json", answer.clone()).await;
            assert!(!got.contains("closed"), "{got}");
            let got = list("text/event-stream", format!("data: {answer}\n\n")).await;
            assert_eq!(got, "", "{answer}");
        }
    }
}

/// What a check can tell of its arguments.
#[tokio::test]
async fn arguments_are_what_is_written() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = Arc::clone(&seen);
    let policy = McpPolicy::builder()
        .tool("x", Requirement::none())
        .unwrap()
        .check(move |call| {
            let say = |value: &JsonValue<'_>| {
                format!(
                    "{:?} {:?} {:?}",
                    value.as_i64(),
                    value.as_u64(),
                    value.as_f64()
                )
            };
            let arguments = call.arguments().unwrap();
            let numbers = arguments["numbers"].as_array().unwrap();
            sink.lock().unwrap().extend(numbers.iter().map(say));
            assert!(numbers.iter().all(JsonValue::is_number));
            assert_eq!(arguments["text"], "line\n\u{1F600}\\");
            assert_eq!("line\n\u{1F600}\\", arguments["text"]);
            assert_eq!(
                arguments["text"].as_str(),
                arguments.get("text").unwrap().as_str()
            );
            assert_eq!(arguments["yes"], true);
            assert_eq!(arguments["list"][1]["a"], 2);
            assert_eq!(arguments["list"], serde_json::json!([1.0, {"a": 2}, null]));
            assert_ne!(arguments["list"], serde_json::json!([1, {"a": 2}]));
            assert_ne!(
                arguments["list"],
                serde_json::json!([1, {"a": 2, "b": 1}, null])
            );
            assert!(arguments["list"][2].is_null() && arguments["list"][7].is_null());
            assert!(arguments["none"]["of"][3]["these"].is_null());
            assert!(arguments.get("none").is_none() && arguments["yes"].get("x").is_none());
            assert!(arguments.is_object() && !arguments["list"].is_object());
            assert_eq!(arguments["one"], arguments["same"]);
            assert_ne!(arguments["one"], arguments["text"]);
            let names: Vec<_> = arguments.members().map(|(name, _)| name).collect();
            assert_eq!(names, ["list", "numbers", "one", "same", "text", "yes"]);
            assert_eq!(arguments["text"].members().count(), 0);
            let shown = format!("{:?}", arguments["list"]);
            assert_eq!(shown, r#"[1.0, {"a": 2}, null]"#);
            PolicyDecision::Allow
        })
        .build()
        .unwrap();
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{
        "numbers":[1500.5,-1,1000,1000.0,1e3,-0,1e30,9007199254740993,9007199254740992.0,
            18446744073709551615,-9223372036854775808,123456789012345678901234567890],
        "text":"line\n\ud83d\ude00\\","yes":true,"list":[1.0,{"a":2},null],
        "one":{"a":[1,1.50]},"same":{"a":[1.0,15e-1]}}}}"#;
    assert!(behind(policy, &[], call).await.is_some());
    assert_eq!(
        *seen.lock().unwrap(),
        [
            "None None Some(1500.5)",
            "Some(-1) None Some(-1.0)",
            "Some(1000) Some(1000) Some(1000.0)",
            "Some(1000) Some(1000) Some(1000.0)",
            "Some(1000) Some(1000) Some(1000.0)",
            "Some(0) Some(0) Some(-0.0)",
            "None None Some(1e30)",
            "Some(9007199254740993) Some(9007199254740993) Some(9007199254740992.0)",
            "Some(9007199254740992) Some(9007199254740992) Some(9007199254740992.0)",
            "None Some(18446744073709551615) Some(1.8446744073709552e19)",
            "Some(-9223372036854775808) None Some(-9.223372036854776e18)",
            "None None Some(1.2345678901234568e29)",
        ]
    );
}

/// A long text with line breaks is what tools that write files are called with.
#[tokio::test]
async fn long_arguments_with_escapes_are_read() {
    let policy = McpPolicy::builder()
        .tool("write", Requirement::none())
        .unwrap()
        .check(
            |call| match call.arguments().and_then(|all| all["text"].as_str()) {
                Some(text) if text.len() == 200_000 => PolicyDecision::Allow,
                _ => PolicyDecision::Deny,
            },
        )
        .build()
        .unwrap();
    let text = "a\\n".repeat(100_000);
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"write",
            "arguments":{{"text":"{text}"}}}}}}"#
    );
    assert!(behind(policy, &[], &call).await.is_some());
}

/// Each such text within a text is read by a parser of its own, which counts the depth from
/// zero. A quote costs 5 bytes more for each string around it (`\u0022`, `\u005cu0022`, …), so
/// 150 such strings of 100 arrays each take 256 KiB, and overflow a stack of 2 MiB.
fn deep(levels: usize) -> String {
    let mut json = String::from("1");
    for _ in 0..levels {
        let text = json.replace('\\', "\\u005c").replace('"', "\\u0022");
        let (open, close) = ("[".repeat(100), "]".repeat(100));
        json = format!(r#"{open}{{"$serde_json::private::RawValue":"{text}"}}{close}"#);
    }
    let text = json.replace('\\', "\\u005c").replace('"', "\\u0022");
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo",
            "arguments":{{"a":{{"$serde_json::private::RawValue":"{text}"}}}}}}}}"#
    )
}

/// Reads a message as rmcp's server does.
async fn server<B>(request: Request<B>) -> Result<Response<Full<Bytes>>, BoxError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let body = request.into_body().collect().await.map_err(Into::into)?;
    let message = serde_json::from_slice::<rmcp::model::ClientJsonRpcMessage>(&body.to_bytes());
    drop(message);
    Ok(Response::new(Full::default()))
}

/// What the test runs in a process of its own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "is run by the other test"]
async fn one_message() {
    let key = ApiKey::new(KEY).unwrap().owner("alice");
    let policy = McpPolicy::builder().tool("echo", [""; 0]).unwrap();
    let service = ServiceBuilder::new()
        .layer(ApiKeyLayer::new([key]).unwrap())
        .layer(McpScopesLayer::new(policy.build().unwrap()))
        .service(service_fn(server));
    let request = Request::post("/mcp")
        .header("x-api-key", KEY)
        .header("content-type", "application/json")
        .body(Full::<Bytes>::from(deep(150)))
        .unwrap();
    // On a worker, with the stack that tokio gives it.
    let answer = common::spawn(service.oneshot(request)).await.unwrap();
    println!("{}", answer.unwrap().status());
}

#[test]
fn a_message_does_not_end_the_process() {
    let arguments = [
        "json::messages::one_message",
        "--exact",
        "--ignored",
        "--nocapture",
    ];
    let this = std::env::current_exe().unwrap();
    let ended = Command::new(this).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{}: {said}", ended.status);
}
