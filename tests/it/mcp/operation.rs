//! Whatever is sent, the operation judged is the one that is executed, or none is.

use std::sync::{Arc, Mutex};

use ::rmcp::model::{ClientJsonRpcMessage, ClientNotification, ClientRequest};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use serde_json::Value;
use tower_mcp_auth::AuthErrorKind;
use tower_mcp_auth::mcp::{DefaultRule, McpPolicy, PolicyDecision};

use crate::mcp::support::{mcp, post};
use common::{Answer, ask};

/// What a check was asked about.
#[derive(Clone, Debug, Default, PartialEq)]
struct Judged {
    method: String,
    tool: Option<String>,
    prompt: Option<String>,
    resources: Vec<String>,
    arguments: Option<Value>,
}

/// What was judged of this body; `None` where it was refused.
fn judge(body: &[u8], with_arguments: bool) -> (Answer, Option<Vec<Judged>>) {
    let seen: Arc<Mutex<Vec<Judged>>> = Arc::default();
    let sink = Arc::clone(&seen);
    let policy = McpPolicy::builder()
        .default_rule(DefaultRule::Baseline)
        .check(move |call| {
            sink.lock().unwrap().push(Judged {
                method: call.method().to_owned(),
                tool: call.tool().map(str::to_owned),
                prompt: call.prompt().map(str::to_owned),
                resources: call.resources().map(str::to_owned).collect(),
                arguments: with_arguments
                    .then(|| call.arguments())
                    .flatten()
                    .map(|arguments| serde_json::to_value(arguments).unwrap()),
            });
            PolicyDecision::Allow
        })
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let answer = runtime.block_on(ask(&mcp(policy), post("-", body.to_vec())));
    let judged = answer
        .reached
        .is_some()
        .then(|| seen.lock().unwrap().clone());
    (answer, judged)
}

/// What a server does that reads the body into a `serde_json::Value`.
fn executed(message: &Value) -> Option<Judged> {
    let method = message.get("method")?.as_str()?;
    let params = message.get("params");
    let text = |pointer: &str| {
        let found = params?.pointer(pointer)?.as_str()?;
        Some(found.to_owned())
    };
    let mut judged = Judged {
        method: method.to_owned(),
        arguments: params.and_then(|params| params.get("arguments")).cloned(),
        ..Judged::default()
    };
    match method {
        "tools/call" => judged.tool = text("/name"),
        "prompts/get" => judged.prompt = text("/name"),
        "completion/complete" => match text("/ref/type").as_deref() {
            Some("ref/prompt") => judged.prompt = text("/ref/name"),
            Some("ref/resource") => judged.resources.extend(text("/ref/uri")),
            _ => {}
        },
        "subscriptions/listen" => {
            let uris = params.and_then(|p| p.pointer("/notifications/resourceSubscriptions"));
            let uris = uris.and_then(Value::as_array).into_iter().flatten();
            judged
                .resources
                .extend(uris.filter_map(Value::as_str).map(str::to_owned));
        }
        _ if method.starts_with("resources/") => judged.resources.extend(text("/uri")),
        _ => {}
    }
    Some(judged)
}

/// What rmcp does with it.
fn executed_by_rmcp(body: &[u8]) -> Option<Judged> {
    let message = serde_json::from_slice::<ClientJsonRpcMessage>(body).ok()?;
    let mut judged = Judged::default();
    match message {
        ClientJsonRpcMessage::Request(request) => {
            judged.method = request.request.method().to_owned();
            match request.request {
                ClientRequest::CallToolRequest(call) => {
                    judged.tool = Some(call.params.name.into_owned());
                }
                ClientRequest::GetPromptRequest(get) => judged.prompt = Some(get.params.name),
                ClientRequest::ReadResourceRequest(read) => judged.resources.push(read.params.uri),
                ClientRequest::SubscribeRequest(subscribe) => {
                    judged.resources.push(subscribe.params.uri);
                }
                ClientRequest::UnsubscribeRequest(unsubscribe) => {
                    judged.resources.push(unsubscribe.params.uri);
                }
                ClientRequest::SubscriptionsListenRequest(listen) => {
                    let uris = listen.params.notifications.resource_subscriptions;
                    judged.resources.extend(uris.unwrap_or_default());
                }
                ClientRequest::CompleteRequest(complete) => {
                    let reference = complete.params.r#ref;
                    judged.prompt = reference.as_prompt_name().map(str::to_owned);
                    let uri = reference.as_resource_uri().map(str::to_owned);
                    judged.resources.extend(uri);
                }
                // Everything else acts on nothing with a name of its own.
                _ => return None,
            }
            Some(judged)
        }
        ClientJsonRpcMessage::Notification(notification) => match notification.notification {
            ClientNotification::CustomNotification(custom) => {
                judged.method = custom.method;
                Some(judged)
            }
            _ => None,
        },
        _ => None,
    }
}

/// The one law: admitted means judged as executed.
fn check(body: &[u8]) -> Result<(), TestCaseError> {
    let (answer, judged) = judge(body, true);
    let Some(judged) = judged else {
        let kind = answer.error().kind();
        prop_assert!(
            matches!(
                kind,
                AuthErrorKind::Malformed | AuthErrorKind::PayloadTooLarge
            ),
            "{kind:?}"
        );
        return Ok(());
    };
    // What serde_json refuses, numbers without end above all, no server executes.
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return Ok(());
    };
    let messages = match &value {
        Value::Array(batch) => batch.iter().collect(),
        one => vec![one],
    };
    let expected: Vec<Judged> = messages.into_iter().filter_map(executed).collect();
    prop_assert_eq!(&judged, &expected);
    if let (Some(mut rmcp), [judged]) = (executed_by_rmcp(body), &judged[..]) {
        rmcp.arguments.clone_from(&judged.arguments);
        if rmcp.tool.is_some() || rmcp.prompt.is_some() || !rmcp.resources.is_empty() {
            prop_assert_eq!(judged, &rmcp);
        } else {
            prop_assert_eq!(&judged.method, &rmcp.method);
        }
    }
    Ok(())
}

const METHODS: [&str; 12] = [
    "tools/call",
    "prompts/get",
    "resources/read",
    "resources/subscribe",
    "resources/directory/read",
    "subscriptions/listen",
    "completion/complete",
    "tools/list",
    "ping",
    "tasks/get",
    "notifications/initialized",
    "Tools/Call",
];

/// A string of JSON, some characters escaped, some escapes broken.
fn json_string(text: String) -> impl Strategy<Value = String> {
    prop::collection::vec(0_u8..40, text.chars().count()).prop_map(move |choices| {
        let mut out = String::from("\"");
        for (character, choice) in text.chars().zip(choices) {
            match (character, choice) {
                ('/', 1) => out.push_str("\\/"),
                ('"' | '\\', _) => {
                    out.push('\\');
                    out.push(character);
                }
                (c, 2..=4) if u32::from(c) < 0x1_0000 => {
                    out.push_str(&format!("\\u{:04x}", u32::from(c)));
                }
                (c, 5) if u32::from(c) < 0x1_0000 => {
                    out.push_str(&format!("\\u{:04X}", u32::from(c)));
                }
                (c, _) if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
                (c, _) => out.push(c),
            }
        }
        out.push('"');
        out
    })
}

fn names() -> impl Strategy<Value = String> {
    let known = select(vec![
        "name",
        "uri",
        "ref",
        "arguments",
        "notifications",
        "taskId",
        "_meta",
        "method",
        "params",
        "id",
        "jsonrpc",
        "result",
        "error",
        "type",
        "resourceSubscriptions",
        "Name",
        "NAME",
        "URI",
        "Method",
        "Params",
        "param\u{17f}",
        "ta\u{17f}\u{212a}Id",
        "METHOD",
        "iD",
        "x",
    ]);
    known.prop_map(str::to_owned).prop_flat_map(json_string)
}

fn scalars() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(METHODS.to_vec()).prop_map(str::to_owned).prop_flat_map(json_string),
        4 => select(vec!["read", "delete", "file:///a", "ref/prompt", "ref/resource", "é\u{1F600}"])
            .prop_map(str::to_owned)
            .prop_flat_map(json_string),
        2 => select(vec![
            "0", "-0", "1", "-12.5e+3", "01", "1.", ".5", "+1", "1e400", "true", "false", "null",
            "nul", "NaN", "\"\\ud800\"", "\"\\udc00\\ud800\"", "\"\\ud83d\\ude00\"", "\"\\x\"",
            "\"\t\"", "\"\u{0}\"", "\"open", "'a'", "",
        ])
        .prop_map(str::to_owned),
    ]
}

fn space() -> impl Strategy<Value = &'static str> {
    select(vec![
        "", "", "", " ", "\n\t", "\r\n", "\u{a0}", "\u{c}", "/**/",
    ])
}

fn object(pairs: Vec<(String, String)>, space: &str) -> String {
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}{space}:{value}"))
        .collect();
    format!("{{{space}{}{space}}}", pairs.join(","))
}

fn anything() -> impl Strategy<Value = String> {
    scalars().prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            (
                prop::collection::vec((names(), inner.clone()), 0..6),
                space()
            )
                .prop_map(|(pairs, space)| object(pairs, space)),
            (prop::collection::vec(inner, 0..4), space())
                .prop_map(|(items, space)| format!("[{}{space}]", items.join(","))),
        ]
    })
}

/// Something like a message: mostly the members a message has, in any order.
fn message() -> impl Strategy<Value = String> {
    let quoted = |text: &'static str| json_string(text.to_owned());
    let params = prop_oneof![
        5 => (
            prop::collection::vec(
                prop_oneof![
                    (quoted("name"), scalars()),
                    (quoted("uri"), scalars()),
                    (quoted("arguments"), anything()),
                    (quoted("_meta"), anything()),
                    (quoted("ref"), (scalars(), scalars()).prop_map(|(kind, name)| format!(
                        r#"{{"type":{kind},"name":{name},"uri":{name}}}"#
                    ))),
                    (quoted("notifications"), scalars().prop_map(|uri| format!(
                        r#"{{"resourceSubscriptions":[{uri},"file:///b"]}}"#
                    ))),
                    (names(), anything()),
                ],
                0..5
            ),
            space(),
        )
            .prop_map(|(pairs, space)| object(pairs, space)),
        1 => anything(),
    ];
    let method = select(METHODS.to_vec())
        .prop_map(str::to_owned)
        .prop_flat_map(json_string);
    let members = (
        prop::option::weighted(0.9, (quoted("jsonrpc"), quoted("2.0"))),
        prop::option::weighted(0.8, (quoted("id"), scalars())),
        prop::option::weighted(0.95, (quoted("method"), method)),
        prop::option::weighted(0.9, (quoted("params"), params)),
        prop::option::weighted(0.15, (names(), anything())),
    );
    (members, any::<prop::sample::Index>(), space()).prop_map(|(members, first, space)| {
        let (a, b, c, d, e) = members;
        let mut pairs: Vec<_> = [a, b, c, d, e].into_iter().flatten().collect();
        if !pairs.is_empty() {
            let middle = first.index(pairs.len());
            pairs.rotate_left(middle);
        }
        object(pairs, space)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_message_is_judged_as_it_is_executed(body in message()) {
        check(body.as_bytes())?;
    }

    #[test]
    fn a_batch_is_judged_as_it_is_executed(
        batch in prop::collection::vec(message(), 0..4),
        end in select(vec!["]", "]", "]", "", ",]", "] ", "][]"]),
    ) {
        check(format!("[{}{end}", batch.join(",")).as_bytes())?;
    }

    #[test]
    fn json_of_any_form_is_judged_as_it_is_executed(body in anything()) {
        check(body.as_bytes())?;
    }

    #[test]
    fn a_message_with_damage_is_judged_as_it_is_executed(
        body in message(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut body = body.into_bytes();
        let at = at.index(body.len());
        if cut { body.truncate(at) } else { body[at] = byte }
        check(&body)?;
    }
}

#[test]
fn most_messages_of_the_generator_are_worth_judging() {
    // The property would hold for a layer that refuses everything.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let admitted = (0..500)
        .filter(|_| {
            let body = message().new_tree(&mut runner).unwrap().current();
            judge(body.as_bytes(), false).1.is_some()
        })
        .count();
    assert!(admitted > 50, "{admitted} of 500");
}

#[track_caller]
fn admitted(body: &str) -> Vec<Judged> {
    let (answer, judged) = judge(body.as_bytes(), false);
    judged.unwrap_or_else(|| panic!("{body}: {:?}", answer.error()))
}

#[track_caller]
fn refused(body: &[u8], reason: &str) {
    let (answer, judged) = judge(body, false);
    let text = String::from_utf8_lossy(body);
    assert!(judged.is_none(), "{text}: {judged:?}");
    assert_eq!(answer.error().reason(), reason, "{text}");
    assert_eq!(answer.status, answer.error().status());
}

#[test]
fn what_is_acted_on_is_found_by_the_method_wherever_it_stands() {
    for (body, expected) in [
        (
            r#"{"method":"tools/call","id":1,"params":{"name":"rm","uri":"file:///x"}}"#,
            "tool rm",
        ),
        (
            r#"{"params":{"arguments":{"name":"ls"},"name":"rm"},"id":"a","method":"tools/call"}"#,
            "tool rm",
        ),
        (
            "{\"m\\u0065thod\":\"tools\\/call\",\"par\\u0061ms\":{\"n\\u0061me\":\"r\\u006d\"}}",
            "tool rm",
        ),
        (
            r#"{"method":"prompts/get","id":1,"params":{"name":"greet"}}"#,
            "prompt greet",
        ),
        (
            r#"{"method":"resources/unsubscribe","id":1,"params":{"uri":"a:b"}}"#,
            "resource a:b",
        ),
        (
            r#"{"method":"resources/directory/read","id":1,"params":{"uri":"a:b"}}"#,
            "resource a:b",
        ),
        (
            r#"{"method":"completion/complete","id":1,"params":{"ref":{"type":"ref/prompt","name":"greet","uri":"a:b"}}}"#,
            "prompt greet",
        ),
        (
            r#"{"method":"completion/complete","id":1,"params":{"ref":{"uri":"a:{b}","type":"ref/resource"},"name":"rm"}}"#,
            "resource a:{b}",
        ),
        (
            r#"{"method":"subscriptions/listen","id":1,"params":{"notifications":{"resourceSubscriptions":["a:b","c:d"]}}}"#,
            "resource a:b resource c:d",
        ),
        (
            r#"{"method":"tools/list","id":1,"params":{"name":"rm"}}"#,
            "",
        ),
        (r#"{"method":"ping","id":1,"params":null}"#, ""),
    ] {
        let judged = admitted(body).remove(0);
        let tool = judged.tool.map(|name| format!("tool {name}"));
        let prompt = judged.prompt.map(|name| format!("prompt {name}"));
        let resources = judged.resources.iter().map(|uri| format!("resource {uri}"));
        let found: Vec<String> = tool.into_iter().chain(prompt).chain(resources).collect();
        assert_eq!(found.join(" "), expected, "{body}");
    }
}

#[test]
fn answers_of_the_client_are_no_operations() {
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"result":{"method":"tools/call"}}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"no"}}"#,
    ] {
        assert_eq!(admitted(body), [], "{body}");
    }
}

#[test]
fn a_body_that_can_be_read_in_two_ways_is_refused() {
    for (body, reason) in [
        (
            r#"{"method":"ping","method":"tools/call","id":1}"#,
            "duplicate_body_member",
        ),
        (
            "{\"method\":\"ping\",\"m\\u0065thod\":\"tools/call\",\"id\":1}",
            "duplicate_body_member",
        ),
        (
            r#"{"method":"tools/call","id":1,"params":{"name":"ls"},"params":{"name":"rm"}}"#,
            "duplicate_body_member",
        ),
        (
            r#"{"method":"tools/call","id":1,"params":{"name":"ls","name":"rm"}}"#,
            "duplicate_body_member",
        ),
        (
            r#"{"method":"resources/read","id":1,"params":{"uri":"a:b","uri":"c:d"}}"#,
            "duplicate_body_member",
        ),
        (
            r#"{"method":"ping","id":1,"id":2}"#,
            "duplicate_body_member",
        ),
        (
            r#"{"method":"ping","id":1,"Method":"tools/call"}"#,
            "member_in_wrong_case",
        ),
        (
            r#"{"method":"tools/call","id":1,"params":{"name":"ls","NAME":"rm"}}"#,
            "member_in_wrong_case",
        ),
        (
            "{\"method\":\"tools/call\",\"id\":1,\"param\u{17f}\":{\"name\":\"rm\"}}",
            "member_in_wrong_case",
        ),
        (
            r#"{"method":"ping","id":1} {"method":"tools/call"}"#,
            "not_json",
        ),
        (r#"{"method":"ping","id":1}x"#, "not_json"),
        (r#"{"method":"ping","id":1,}"#, "not_json"),
        (r#"{"method":"ping","id":1"#, "not_json"),
        ("", "not_json"),
        ("\u{feff}{\"method\":\"ping\",\"id\":1}", "unexpected_bom"),
        (r#"{"method":"ping","id":1,"x":"\ud800"}"#, "lone_surrogate"),
        (r#"{"method":"p\udc00","id":1}"#, "lone_surrogate"),
        (r#"{"method":"ping","id":null}"#, "malformed_id"),
        (r#"{"method":"ping","id":{}}"#, "malformed_id"),
        (r#"{"method":7,"id":1}"#, "malformed_method"),
        (r#"{"method":"ping","id":1,"result":{}}"#, "not_json_rpc"),
        (r#"{"id":1,"result":{},"error":{}}"#, "not_json_rpc"),
        (r#"{"id":1}"#, "not_json_rpc"),
        ("7", "not_json_rpc"),
        ("[[]]", "not_json_rpc"),
        ("[]", "empty_batch"),
        (
            r#"{"method":"tools/call","id":1,"params":["rm"]}"#,
            "malformed_params",
        ),
        (
            r#"{"method":"tools/call","id":1,"params":{"name":7}}"#,
            "missing_target",
        ),
        (r#"{"method":"tools/call","id":1}"#, "missing_target"),
        (
            r#"{"method":"resources/read","id":1,"params":{}}"#,
            "missing_target",
        ),
        (
            r#"{"method":"resources/x","id":1,"params":{"uri":7}}"#,
            "missing_target",
        ),
        (
            r#"{"method":"completion/complete","id":1,"params":{"ref":{"type":"ref/tool"}}}"#,
            "missing_target",
        ),
        (
            r#"{"method":"subscriptions/listen","id":1,"params":{"notifications":{"resourceSubscriptions":[7]}}}"#,
            "missing_target",
        ),
    ] {
        refused(body.as_bytes(), reason);
    }
    refused(b"{\"method\":\"\xff\",\"id\":1}", "not_utf8");
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"method":"ping","id":1,"params":{{"x":{open}{close}}}}}"#)
    };
    admitted(&nested(30));
    refused(nested(31).as_bytes(), "body_too_deep");
    refused("[".repeat(4 << 20).as_bytes(), "body_too_deep");
    let objects = "{\"a\":".repeat(100_000);
    refused(
        format!(r#"{{"method":"ping","id":1,"params":{{"x":{objects}"#).as_bytes(),
        "body_too_deep",
    );
}

#[test]
fn what_takes_more_memory_than_its_text_is_bounded() {
    let batch = |count| format!("[{}]", vec![r#"{"method":"ping"}"#; count].join(","));
    assert_eq!(admitted(&batch(1000)).len(), 1000);
    refused(batch(1001).as_bytes(), "batch_too_long");
    let listen = |count| {
        let uris = vec![r#""a:b""#; count].join(",");
        format!(
            r#"{{"method":"subscriptions/listen","id":1,"params":{{"notifications":{{"resourceSubscriptions":[{uris}]}}}}}}"#
        )
    };
    assert_eq!(admitted(&listen(1000))[0].resources.len(), 1000);
    refused(listen(1001).as_bytes(), "too_many_subscriptions");
    let name = "\\n".repeat(70_000);
    refused(
        format!(r#"{{"method":"tools/call","id":1,"params":{{"name":"{name}"}}}}"#).as_bytes(),
        "name_too_long",
    );
}

/// serde_json reads `-0` as a float, and so does a server behind.
#[test]
fn numbers_of_arguments_are_those_that_serde_json_reads() {
    for number in [
        "-0",
        "-0.0",
        "0",
        "-1",
        "1.50",
        "1e3",
        "18446744073709551615",
    ] {
        let body = format!(
            r#"{{"method":"tools/call","id":1,"params":{{"name":"x","arguments":{{"n":{number}}}}}}}"#
        );
        let (_, judged) = judge(body.as_bytes(), true);
        let read: Value = serde_json::from_str(&format!(r#"{{"n":{number}}}"#)).unwrap();
        assert_eq!(judged.unwrap()[0].arguments, Some(read), "{number}");
    }
}

#[test]
fn arguments_are_read_when_asked_for_and_only_in_one_way() {
    let call = |arguments: &str| {
        format!(
            r#"{{"method":"tools/call","id":1,"params":{{"name":"x","arguments":{arguments}}}}}"#
        )
    };
    let twice = call(r#"{"deep":[{"a":1,"\u0061":2}]}"#);
    assert!(judge(twice.as_bytes(), false).1.is_some());
    let (answer, judged) = judge(twice.as_bytes(), true);
    assert_eq!(
        (judged, answer.error().reason()),
        (None, "ambiguous_arguments")
    );
    let large = call(&format!("\"{}\"", "a".repeat(1 << 20)));
    assert!(judge(large.as_bytes(), false).1.is_some());
    let (answer, _) = judge(large.as_bytes(), true);
    assert_eq!(answer.error().kind(), AuthErrorKind::PayloadTooLarge);
    assert_eq!(answer.status, 413);
}
