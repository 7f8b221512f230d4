//! A tool that the good credential may not call, in every way to name it.

use http::Method;

use super::attack::{Attack, Class, Refusal};
use super::kit::Kit;
use super::shot::Shot;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "forbidden_tool",
        class: Class::Policy,
        description: "a call of a tool that the credential does not open",
        source: "RFC 6750 section 3.1; MCP 2025-11-25 Authorization, Scope Challenge Handling",
        refusal: Refusal::Tool,
        shots: |kit| calls(kit, |tool| vec![("plain", call(tool))]),
    },
    Attack {
        name: "ambiguous_call",
        class: Class::Policy,
        description: "a call that names the tool so that two readers see two tools",
        source: "Go SDK CVE-2026-27896, GHSA-q382",
        refusal: Refusal::Tool,
        shots: |kit| calls(kit, ambiguous),
    },
    Attack {
        name: "call_in_disguise",
        class: Class::Policy,
        description: "a call in a batch, behind other headers, or of another content type",
        source: "Go SDK CVE-2026-34742; MCP 2026-07-28 Transports",
        refusal: Refusal::Tool,
        shots: disguised,
    },
];

fn call(tool: &str) -> String {
    let tool = serde_json::Value::from(tool);
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":{tool}}}}}"#)
}

fn ambiguous(tool: &str) -> Vec<(&'static str, String)> {
    let name = serde_json::Value::from(tool).to_string();
    let good = call(tool);
    let escaped: String = tool
        .encode_utf16()
        .map(|unit| format!("\\u{unit:04x}"))
        .collect();
    vec![
        ("an escaped name", call("?").replace('?', &escaped)),
        (
            "the name twice, an open one first",
            good.replace(r#""name":"#, r#""name":"ping","name":"#),
        ),
        (
            "the name twice, an open one last",
            good.replace(&name, &format!(r#"{name},"name":"ping""#)),
        ),
        (
            "the name in another case",
            good.replace(r#""name""#, r#""Name""#),
        ),
        (
            "the method twice",
            good.replace(r#""method""#, r#""method":"ping","method""#),
        ),
        (
            "the method in another case",
            good.replace(r#""method""#, r#""Method""#),
        ),
        (
            "parameters twice",
            good.replace(r#""params""#, r#""params":{"name":"ping"},"params""#),
        ),
        ("a byte order mark", format!("\u{feff}{good}")),
        (
            "a second message",
            format!("{}{good}", r#"{"jsonrpc":"2.0","id":0,"method":"ping"}"#),
        ),
        (
            "a NUL within",
            good.replace("\"tools/call", "\"\\u0000tools/call"),
        ),
    ]
}

/// Posts of these bodies with each good credential.
fn calls(kit: &Kit<'_>, make: fn(&str) -> Vec<(&'static str, String)>) -> Vec<Shot> {
    let Some(tool) = &kit.settings.forbidden_tool else {
        return Vec::new();
    };
    let mut shots = Vec::new();
    for good in &kit.credentials {
        for (label, body) in make(tool) {
            let shot = kit.admitted(label, good).method(Method::POST);
            shots.push(shot.body("application/json", body));
        }
    }
    shots
}

fn disguised(kit: &Kit<'_>) -> Vec<Shot> {
    let mut shots = calls(kit, |tool| {
        let ping = r#"{"jsonrpc":"2.0","id":0,"method":"ping"}"#;
        vec![
            ("a batch", format!("[{ping},{}]", call(tool))),
            ("a batch of one", format!("[{}]", call(tool))),
        ]
    });
    let plain = |kit| calls(kit, |tool| vec![("headers of another call", call(tool))]);
    for shot in plain(kit) {
        let named = shot.header("mcp-method", "ping").header("mcp-name", "ping");
        shots.push(named.header("mcp-protocol-version", "2026-07-28"));
    }
    for content_type in [
        "text/plain",
        "application/json; charset=utf-16",
        "application/xml",
    ] {
        for mut shot in plain(kit) {
            let body = shot.request.body().clone();
            shot = shot.body(content_type, body);
            shot.label = content_type.into();
            shots.push(shot);
        }
    }
    for mut shot in plain(kit) {
        shot.label = "said to be compressed".into();
        shots.push(shot.header("content-encoding", "gzip"));
    }
    shots
}
