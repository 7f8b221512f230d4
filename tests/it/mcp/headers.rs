//! What the headers of a POST must and must not say.

use http::{HeaderValue, Request, StatusCode};
use tower_mcp_auth::AuthErrorKind;
use tower_mcp_auth::mcp::{DefaultRule, McpPolicy};

use crate::mcp::support::{call, mcp, post, request};
use common::{Answer, ask};

fn policy() -> McpPolicy {
    McpPolicy::builder()
        .tool("delete", "admin")
        .unwrap()
        .default_rule(DefaultRule::Baseline)
        .build()
        .unwrap()
}

async fn send(body: &str, headers: &[(&'static str, &str)]) -> Answer {
    let mut request = post("read", body.to_owned());
    for (name, value) in headers {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        request.headers_mut().append(*name, value);
    }
    ask(&mcp(policy()), request).await
}

const NEW: (&str, &str) = ("mcp-protocol-version", "2026-07-28");

#[tokio::test]
async fn from_2026_07_28_on_the_headers_equal_the_body() {
    let read = request("resources/read", &serde_json::json!({ "uri": "a:b" }));
    let odd = call("=?base64?eA==?=");
    for (body, headers, refused) in [
        (
            call("get"),
            &[("mcp-method", "tools/call"), ("mcp-name", "get")][..],
            None,
        ),
        (
            call("größe"),
            &[
                ("mcp-method", "tools/call"),
                ("mcp-name", "=?base64?Z3LDtsOfZQ==?="),
            ],
            None,
        ),
        (
            odd.clone(),
            &[
                ("mcp-method", "tools/call"),
                ("mcp-name", "=?base64?PT9iYXNlNjQ/ZUE9PT89?="),
            ],
            None,
        ),
        (
            odd,
            &[
                ("mcp-method", "tools/call"),
                ("mcp-name", "=?base64?eA==?="),
            ],
            Some("mcp_name_mismatch"),
        ),
        (
            read.clone(),
            &[("mcp-method", "resources/read"), ("mcp-name", "a:b")],
            None,
        ),
        (
            request("tools/list", &serde_json::json!({})),
            &[("mcp-method", "tools/list")],
            None,
        ),
        (
            request("tools/list", &serde_json::json!({})),
            &[("mcp-method", "tools/list"), ("mcp-name", "get")],
            Some("mcp_name_mismatch"),
        ),
        (
            request("tasks/get", &serde_json::json!({ "taskId": "7" })),
            &[("mcp-method", "tasks/get"), ("mcp-name", "7")],
            None,
        ),
        (
            request("tasks/get", &serde_json::json!({ "taskId": "7" })),
            &[("mcp-method", "tasks/get"), ("mcp-name", "8")],
            Some("mcp_name_mismatch"),
        ),
        (request("initialize", &serde_json::json!({})), &[], None),
        (
            request("initialize", &serde_json::json!({})),
            &[("mcp-method", "ping")],
            Some("mcp_method_mismatch"),
        ),
        (r#"{"method":"notifications/x"}"#.to_owned(), &[], None),
        (
            r#"{"method":"notifications/x"}"#.to_owned(),
            &[("mcp-method", "notifications/y")],
            Some("mcp_method_mismatch"),
        ),
        (r#"{"id":1,"result":{}}"#.to_owned(), &[], None),
        (call("get"), &[], Some("missing_mcp_method")),
        (
            call("get"),
            &[("mcp-method", "tools/call")],
            Some("missing_mcp_name"),
        ),
        (
            read.clone(),
            &[("mcp-method", "resources/read")],
            Some("missing_mcp_name"),
        ),
        (
            call("get"),
            &[("mcp-method", "tools/list"), ("mcp-name", "get")],
            Some("mcp_method_mismatch"),
        ),
        (
            call("get"),
            &[("mcp-method", "Tools/Call"), ("mcp-name", "get")],
            Some("mcp_method_mismatch"),
        ),
        (
            call("delete"),
            &[("mcp-method", "tools/call"), ("mcp-name", "get")],
            Some("mcp_name_mismatch"),
        ),
        (
            call("get"),
            &[("mcp-method", "tools/call"), ("mcp-name", "=?base64?!!!?=")],
            Some("malformed_mcp_name"),
        ),
        (
            call("get"),
            &[
                ("mcp-method", "tools/call"),
                ("mcp-name", "=?base64?/w==?="),
            ],
            Some("malformed_mcp_name"),
        ),
        (
            call("get"),
            &[("mcp-method", "tools/call"), ("mcp-name", "gét")],
            Some("malformed_mcp_header"),
        ),
        (
            call("get"),
            &[
                ("mcp-method", "tools/call"),
                ("mcp-name", "get"),
                ("mcp-name", "get"),
            ],
            Some("duplicate_mcp_header"),
        ),
        (
            format!("[{}]", call("get")),
            &[("mcp-method", "tools/call"), ("mcp-name", "get")],
            Some("unexpected_batch"),
        ),
    ] {
        for version in [NEW, ("mcp-protocol-version", "2027-01-01")] {
            let headers = [headers, &[version]].concat();
            let answer = send(&body, &headers).await;
            match refused {
                None => {
                    answer.admitted();
                }
                Some(reason) => {
                    answer.refused(AuthErrorKind::HeaderMismatch, reason);
                    let json = answer.json();
                    assert_eq!(json["error"]["code"], -32020);
                    assert_eq!(json["jsonrpc"], "2.0");
                    assert!(json.get("id").is_none(), "{json}");
                    assert!(answer.challenges().is_empty());
                }
            }
        }
        // Below that revision they mean nothing, present or not.
        for version in [&[][..], &[("mcp-protocol-version", "2025-11-25")]] {
            let headers = [headers, version].concat();
            let answer = send(&body, &headers).await;
            match body.contains("\"delete\"") {
                // What is judged is the body, whatever the headers say.
                true => assert_eq!(answer.error().scopes().as_str(), "read admin"),
                false => {
                    answer.admitted();
                }
            }
        }
    }
}

/// HTTP/2 does not take the white space off that HTTP/1 parsers do, and it is no part of a value.
#[tokio::test]
async fn white_space_around_a_value_switches_no_check_off() {
    let list = request("tools/list", &serde_json::json!({}));
    for version in [
        " 2026-07-28",
        "\t2026-07-28",
        "2026-07-28 ",
        "  2026-07-28\t ",
        // What is no date at all is no older revision.
        "\"2026-07-28\"",
        "+2026-07-28",
        "%32026-07-28",
        "2025-11-25, 2026-07-28",
        "2025-11-25x",
        "x",
        "",
        " ",
    ] {
        let version = ("mcp-protocol-version", version);
        let answer = send(&call("get"), &[version]).await;
        answer.refused(AuthErrorKind::HeaderMismatch, "missing_mcp_method");
        let lie = [version, ("mcp-method", "tools/list")];
        let answer = send(&call("delete"), &lie).await;
        answer.refused(AuthErrorKind::HeaderMismatch, "mcp_method_mismatch");
        let spaced = [version, ("mcp-method", " tools/list\t")];
        send(&list, &spaced).await.admitted();
        let spaced = [
            version,
            ("mcp-method", "\ttools/call"),
            ("mcp-name", " get "),
        ];
        send(&call("get"), &spaced).await.admitted();
        // A name with white space of its own is sent encoded.
        let answer = send(&call(" get"), &spaced).await;
        answer.refused(AuthErrorKind::HeaderMismatch, "mcp_name_mismatch");
        let inner = [version, ("mcp-method", "tools /list")];
        let answer = send(&list, &inner).await;
        answer.refused(AuthErrorKind::HeaderMismatch, "mcp_method_mismatch");
    }
    for version in [" 2025-11-25", "2025-03-26\t"] {
        send(&call("get"), &[("mcp-protocol-version", version)])
            .await
            .admitted();
    }
    for (content_type, admitted) in [
        (" application/json", true),
        ("application/json\t", true),
        ("application /json", false),
        ("\u{a0}application/json", false),
    ] {
        let mut request = post("read", call("get"));
        let value = HeaderValue::from_bytes(content_type.as_bytes()).unwrap();
        request.headers_mut().insert("content-type", value);
        let answer = ask(&mcp(policy()), request).await;
        assert_eq!(answer.reached.is_some(), admitted, "{content_type:?}");
    }
}

#[tokio::test]
async fn one_version_that_can_be_read() {
    let twice = [NEW, ("mcp-protocol-version", "2025-11-25")];
    let answer = send(&call("get"), &twice).await;
    answer.malformed("duplicate_protocol_version");
    let answer = send(&call("get"), &[("mcp-protocol-version", "2025-é")]).await;
    answer.malformed("malformed_protocol_version");

    let mut get = Request::get("/mcp").header("authorization", "Bearer read");
    for (name, value) in twice {
        get = get.header(name, value);
    }
    let get = get.body(http_body_util::Full::default()).unwrap();
    ask(&mcp(policy()), get)
        .await
        .malformed("duplicate_protocol_version");
}

#[tokio::test]
async fn only_plain_json_in_utf_8_is_read() {
    for (content_type, admitted) in [
        (Some("application/json"), true),
        (Some("Application/JSON; charset=UTF-8"), true),
        (Some("application/json;charset=\"utf-8\""), true),
        (Some("application/json; charset=utf-16"), false),
        (
            Some("application/json; charset=utf-8; charset=utf-7"),
            false,
        ),
        (Some("application/jsonx"), false),
        (Some("text/plain"), false),
        (Some("application/x-www-form-urlencoded"), false),
        (Some(""), false),
        (None, false),
    ] {
        let mut request = post("read", call("get"));
        request.headers_mut().remove("content-type");
        if let Some(content_type) = content_type {
            let value = HeaderValue::from_static(content_type);
            request.headers_mut().insert("content-type", value);
        }
        let answer = ask(&mcp(policy()), request).await;
        match admitted {
            true => {
                answer.admitted();
            }
            false => {
                answer.refused(
                    AuthErrorKind::UnsupportedMediaType,
                    "unsupported_content_type",
                );
            }
        }
    }
    let twice = [("content-type", "application/json")];
    let answer = send(&call("get"), &twice).await;
    answer.refused(
        AuthErrorKind::UnsupportedMediaType,
        "unsupported_content_type",
    );
    for encoding in ["gzip", "identity", ""] {
        let answer = send(&call("get"), &[("content-encoding", encoding)]).await;
        answer.refused(
            AuthErrorKind::UnsupportedMediaType,
            "unsupported_content_encoding",
        );
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}
