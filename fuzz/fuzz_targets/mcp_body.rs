//! Bodies of MCP against rmcp and serde_json: what they read as a call of a tool is judged as the
//! call of that tool, or refused.
//!
//! A first line `#name` or `#method name` gives the headers that mirror the body in revision
//! 2026-07-28; the rest is the body.
#![no_main]

use std::cell::RefCell;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use libfuzzer_sys::fuzz_target;
use rmcp::model::ClientJsonRpcMessage;
use serde_json::Value;
use tower::{ServiceBuilder, service_fn};
use tower_mcp_auth::mcp::{
    DefaultRule, McpPolicy, McpScopesLayer, Operation, PolicyDecision, RequestBody,
};
use tower_mcp_auth::{AuthLayer, Location};
use tower_mcp_auth_fuzz::json::{Facts, is_skipped};
use tower_mcp_auth_fuzz::{Anybody, call, empty, refused};

const MAX_DEPTH: u32 = 32;

/// The members of a message that are judged, each in this spelling alone.
const TOP: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
const IN_PARAMS: [&str; 7] = [
    "name",
    "uri",
    "taskId",
    "arguments",
    "ref",
    "notifications",
    "_meta",
];
const IN_REF: [&str; 3] = ["type", "name", "uri"];
const IN_NOTIFICATIONS: [&str; 2] = ["resourceSubscriptions", "taskIds"];

/// What a message asks for.
#[derive(Clone, Debug, Default, PartialEq)]
struct Asked {
    method: String,
    tool: Option<String>,
    prompt: Option<String>,
    resources: Vec<String>,
}

thread_local! {
    /// What the policy was asked about, with the arguments of each call.
    static ASKED: RefCell<Vec<(Asked, Option<Value>)>> = const { RefCell::new(Vec::new()) };
}

static LAYERS: LazyLock<(AuthLayer<Anybody>, McpScopesLayer)> = LazyLock::new(|| {
    let policy = McpPolicy::builder()
        .default_rule(DefaultRule::Baseline)
        .check(check)
        .build()
        .expect("a policy");
    let bearer = Anybody(vec![Location::bearer()]);
    (AuthLayer::new(bearer), McpScopesLayer::new(policy))
});

fn check(call: &Operation<'_>) -> PolicyDecision {
    let asked = Asked {
        method: call.method().to_owned(),
        tool: call.tool().map(str::to_owned),
        prompt: call.prompt().map(str::to_owned),
        resources: call.resources().map(str::to_owned).collect(),
    };
    let arguments = call.arguments();
    let arguments = arguments.map(|arguments| serde_json::to_value(arguments).unwrap());
    ASKED.with_borrow_mut(|all| all.push((asked, arguments)));
    PolicyDecision::Allow
}

/// The body that the inner service got.
#[derive(Clone)]
struct Reached(Bytes);

fuzz_target!(|input: &[u8]| {
    let (mirror, body) = match input.strip_prefix(b"#") {
        None => (None, input),
        Some(rest) => {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (line, body) = rest.split_at(end.unwrap_or(rest.len()));
            let Ok(line) = std::str::from_utf8(line) else {
                return;
            };
            (Some(line), body.strip_prefix(b"\n").unwrap_or(body))
        }
    };
    let Some(request) = request(body, mirror) else {
        return;
    };
    ASKED.with_borrow_mut(Vec::clear);
    let (auth, scopes) = &*LAYERS;
    let inner = service_fn(async |request: Request<RequestBody<Full<Bytes>>>| {
        let body = request.into_body().collect().await.unwrap();
        let mut response = empty();
        response.extensions_mut().insert(Reached(body.to_bytes()));
        Ok::<_, std::convert::Infallible>(response)
    });
    let service = ServiceBuilder::new()
        .layer(auth)
        .layer(scopes)
        .service(inner);
    let response = call(service, request);
    let asked = ASKED.take();
    let theirs: Option<Value> = serde_json::from_slice(body).ok();
    if !passed(&response, body) {
        if let Some(message) = &theirs {
            let is_clear = mirror.is_none() && is_clear(message, body);
            assert!(!is_clear, "{:?}", refused(&response));
        }
        return;
    }
    let Some(theirs) = theirs else {
        // A number that it cannot hold, in a member that is not judged.
        let text = std::str::from_utf8(body).expect("it passed");
        assert!(is_skipped(text));
        return;
    };
    let messages = match &theirs {
        Value::Array(batch) => batch,
        one => std::slice::from_ref(one),
    };
    same(messages, &asked);
    let facts = Facts::of(std::str::from_utf8(body).expect("it passed"));
    assert!(facts.is_some_and(|facts| facts.depth <= MAX_DEPTH && !facts.reserved));
    assert!(messages.iter().all(has_one_spelling));
    if let Ok(message) = serde_json::from_slice::<ClientJsonRpcMessage>(body) {
        let message = serde_json::to_value(message).unwrap();
        same(&[message], &asked);
    }
    if let Some(line) = mirror {
        assert!(theirs.is_object());
        mirrored(line, asked.first().map(|(asked, _)| asked));
    }
});

fn request(body: &[u8], mirror: Option<&str>) -> Option<Request<Full<Bytes>>> {
    let mut request = Request::post("/mcp")
        .header("authorization", "Bearer t")
        .header("content-type", "application/json");
    if let Some(line) = mirror {
        let (method, name) = split(line);
        request = request
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", HeaderValue::from_str(method).ok()?);
        if let Some(name) = name {
            request = request.header("mcp-name", HeaderValue::from_str(name).ok()?);
        }
    }
    request.body(body.to_vec().into()).ok()
}

fn split(line: &str) -> (&str, Option<&str>) {
    match line.split_once(' ') {
        Some((method, name)) => (method, Some(name)),
        None => (line, None),
    }
}

/// Whether the inner service was reached, with the body as it was sent.
fn passed(response: &Response<Bytes>, body: &[u8]) -> bool {
    match (response.extensions().get::<Reached>(), refused(response)) {
        (Some(Reached(got)), None) => {
            assert_eq!(got, body);
            true
        }
        (None, Some(error)) => {
            assert!(error.status().is_client_error(), "{error:?}");
            false
        }
        _ => panic!("both or neither"),
    }
}

/// Whether the policy was asked about what stands in these messages, in their order.
fn same(messages: &[Value], asked: &[(Asked, Option<Value>)]) {
    let mut asked = asked.iter();
    for message in messages {
        let Some(expected) = Asked::read(message) else {
            continue;
        };
        let (got, arguments) = asked.next().expect("the policy was asked");
        assert_eq!(*got, expected);
        assert_eq!(arguments.as_ref(), message["params"].get("arguments"));
    }
    assert_eq!(asked.next(), None);
}

impl Asked {
    /// `None`: it is an answer.
    fn read(message: &Value) -> Option<Self> {
        let method = message.get("method")?.as_str().expect("a text");
        let params = &message["params"];
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let mut asked = Self {
            method: method.to_owned(),
            ..Self::default()
        };
        match method {
            "tools/call" => asked.tool = Some(text(&params["name"])),
            "prompts/get" => asked.prompt = Some(text(&params["name"])),
            "completion/complete" => match &*text(&params["ref"]["type"]) {
                "ref/prompt" => asked.prompt = Some(text(&params["ref"]["name"])),
                "ref/resource" => asked.resources = vec![text(&params["ref"]["uri"])],
                other => panic!("a reference to {other}"),
            },
            "subscriptions/listen" => {
                let uris = params["notifications"]["resourceSubscriptions"].as_array();
                asked.resources = uris.into_iter().flatten().map(text).collect();
            }
            _ if method.starts_with("resources/") => {
                let is_needed = matches!(
                    method,
                    "resources/read" | "resources/subscribe" | "resources/unsubscribe"
                );
                if is_needed || params.get("uri").is_some() {
                    asked.resources = vec![text(&params["uri"])];
                }
            }
            _ => {}
        }
        Some(asked)
    }
}

/// Whether no member has the name of one that is judged in another case.
fn has_one_spelling(message: &Value) -> bool {
    let params = &message["params"];
    let levels = [
        (message, &TOP[..]),
        (params, &IN_PARAMS[..]),
        (&params["ref"], &IN_REF[..]),
        (&params["notifications"], &IN_NOTIFICATIONS[..]),
    ];
    levels.into_iter().all(|(level, names)| {
        let mut members = level.as_object().into_iter().flatten();
        members.all(|(name, _)| {
            names.iter().all(|own| {
                // Simple folding, as readers without regard to case do it.
                let folded = own.to_uppercase() == name.to_uppercase()
                    || own.to_lowercase() == name.to_lowercase();
                name == own || !folded
            })
        })
    })
}

/// Whether nothing in a message is a reason to refuse it.
fn is_clear(message: &Value, body: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(body) else {
        return false;
    };
    let Some(facts) = Facts::of(text) else {
        return false;
    };
    let is_plain = facts.is_plain(MAX_DEPTH) && !facts.long_name && !facts.long_string;
    let Some(method) = message.get("method").and_then(Value::as_str) else {
        return false;
    };
    let id = message.get("id");
    let params = &message["params"];
    // Whatever the method is, which may come later.
    let filter = &params["notifications"];
    let are_subscriptions = match &filter["resourceSubscriptions"] {
        Value::Array(uris) => uris.iter().all(Value::is_string),
        other => other.is_null(),
    };
    let are_tasks = filter["taskIds"].is_array() || filter["taskIds"].is_null();
    let has_target = match method {
        "tools/call" | "prompts/get" => params["name"].is_string(),
        "completion/complete" => match params["ref"]["type"].as_str() {
            Some("ref/prompt") => params["ref"]["name"].is_string(),
            Some("ref/resource") => params["ref"]["uri"].is_string(),
            _ => false,
        },
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
            params["uri"].is_string()
        }
        "subscriptions/listen" => filter.is_object() || filter.is_null(),
        _ if method.starts_with("resources/") => params.get("uri").is_none_or(Value::is_string),
        _ => true,
    };
    is_plain
        && has_one_spelling(message)
        && has_target
        && are_subscriptions
        && are_tasks
        && id.is_none_or(|id| id.is_string() || id.is_number())
        && (params.is_object() || params.is_null())
        && message.get("result").is_none()
        && message.get("error").is_none()
}

/// Whether the headers of a request that passed say what its body says.
fn mirrored(line: &str, asked: Option<&Asked>) {
    let (method, name) = split(line);
    let Some(asked) = asked else {
        return;
    };
    assert_eq!(asked.method, method.trim_matches([' ', '\t']));
    let is_named = matches!(method, "tools/call" | "prompts/get" | "resources/read");
    if !is_named {
        return;
    }
    let name = name.expect("a name").trim_matches([' ', '\t']);
    let wrapped = name.strip_prefix("=?base64?");
    let name = match wrapped.and_then(|name| name.strip_suffix("?=")) {
        Some(name) => String::from_utf8(STANDARD.decode(name).unwrap()).unwrap(),
        None => name.to_owned(),
    };
    let own = asked
        .tool
        .as_ref()
        .or(asked.prompt.as_ref())
        .or(asked.resources.first());
    assert_eq!(own, Some(&name));
}
