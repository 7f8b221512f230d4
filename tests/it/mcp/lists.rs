//! A list shows what its reader may use.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_mcp_auth::mcp::{DefaultRule, McpListsLayer, McpPolicy, McpScopesLayer};
use tower_mcp_auth::scopes::Requirement;
use tower_mcp_auth::testing::insert_anonymous;

use crate::mcp::support::{auth, call, post};
use common::trace;

fn policy() -> McpPolicy {
    McpPolicy::builder()
        .baseline("read")
        .unwrap()
        .tool("get_*", Requirement::none())
        .unwrap()
        .tool("delete", "admin")
        .unwrap()
        .prompt("*", "prompts")
        .unwrap()
        .resource("file:///shared/*", Requirement::none())
        .unwrap()
        .resource("file:///shared/secret", "admin")
        .unwrap()
        .build()
        .unwrap()
}

/// Chunks of a body, then trailers or an error.
#[derive(Debug, Default)]
struct Chunks {
    chunks: Vec<Bytes>,
    trailers: Option<HeaderMap>,
    broken: bool,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(if !self.chunks.is_empty() {
            Some(Ok(Frame::data(self.chunks.remove(0))))
        } else if let Some(trailers) = self.trailers.take() {
            Some(Ok(Frame::trailers(trailers)))
        } else {
            self.broken.then_some(Err("reset"))
        })
    }
}

fn response(content_type: &'static str, chunks: &[&[u8]]) -> Response<Chunks> {
    let mut response = Response::new(Chunks {
        chunks: chunks
            .iter()
            .map(|chunk| Bytes::copy_from_slice(chunk))
            .collect(),
        ..Chunks::default()
    });
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static(content_type));
    headers.insert("content-length", HeaderValue::from_static("17"));
    headers.insert("etag", HeaderValue::from_static("\"17\""));
    headers.insert("content-digest", HeaderValue::from_static("sha-256=:AA==:"));
    headers.insert("repr-digest", HeaderValue::from_static("sha-256=:AA==:"));
    response
}

/// What alice with the scopes of `token` gets of this response.
async fn seen_by(
    token: &str,
    layer: &McpListsLayer,
    response: Response<Chunks>,
) -> (StatusCode, HeaderMap, Result<Bytes, &'static str>) {
    let answer = Arc::new(Mutex::new(Some(response)));
    let service = ServiceBuilder::new()
        .layer(auth())
        .layer(layer.clone())
        .service(service_fn(move |_: Request<Full<Bytes>>| {
            let response = answer.lock().unwrap().take().unwrap();
            async { Ok::<_, Infallible>(response) }
        }));
    let response = service.oneshot(post(token, "{}")).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    (parts.status, parts.headers, body)
}

async fn json_for(token: &str, answer: &Value) -> Value {
    let layer = McpListsLayer::new(policy());
    let text = answer.to_string();
    let response = response("application/json", &[text.as_bytes()]);
    let (status, headers, body) = seen_by(token, &layer, response).await;
    assert_eq!(status, 200);
    for gone in ["content-length", "etag", "content-digest", "repr-digest"] {
        assert!(!headers.contains_key(gone));
    }
    serde_json::from_slice(&body.unwrap()).unwrap()
}

fn answer(result: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "result": result })
}

fn named(key: &str, names: &[&str]) -> Vec<Value> {
    names
        .iter()
        .map(|name| json!({ "x": [{}], key: name, "y": "}]" }))
        .collect()
}

#[tokio::test]
async fn items_the_caller_may_not_use_are_gone() {
    for (list, key, token, names, left) in [
        (
            "tools",
            "name",
            "read",
            &["delete", "get_a", "other", "get_b"][..],
            &["get_a", "get_b"][..],
        ),
        (
            "tools",
            "name",
            "read.admin",
            &["get_a", "delete", "other"],
            &["get_a", "delete"],
        ),
        ("tools", "name", "-", &["get_a", "delete"], &[]),
        ("tools", "name", "read", &["get_a"], &["get_a"]),
        ("tools", "name", "read", &[], &[]),
        ("prompts", "name", "read", &["p"], &[]),
        ("prompts", "name", "read.prompts", &["p"], &["p"]),
        (
            "resources",
            "uri",
            "read",
            &[
                "file:///shared/a",
                "file:///shared/secret",
                "FILE:///shared/%73ecret",
                "file:///x",
                "file:///shared/../x",
            ],
            &["file:///shared/a"],
        ),
        (
            "resourceTemplates",
            "uriTemplate",
            "read",
            &[
                "file:///shared/{x}",
                "file:///private/{x}",
                "file:///{a}/{b}",
                "other:{x}",
            ],
            &["file:///shared/{x}", "file:///{a}/{b}"],
        ),
    ] {
        let mut result = json!({ "nextCursor": "n", "ttlMs": 5 });
        result[list] = named(key, names).into();
        let mut expected = result.clone();
        expected[list] = named(key, left).into();
        assert_eq!(
            json_for(token, &answer(&result)).await,
            answer(&expected),
            "{list} {token}"
        );

        let batch = json!([answer(&result), { "id": 2, "result": {} }]);
        let expected = json!([answer(&expected), { "id": 2, "result": {} }]);
        assert_eq!(json_for(token, &batch).await, expected);
    }
}

#[tokio::test]
async fn a_list_is_for_its_reader_alone() {
    for scope in ["public", "private", "other"] {
        let result = json!({ "cacheScope": scope, "tools": named("name", &["get_a"]) });
        let seen = json_for("read", &answer(&result)).await;
        assert_eq!(seen["result"]["cacheScope"], "private");
        assert_eq!(seen["result"]["tools"], result["tools"]);
    }
    let without = answer(&json!({ "tools": [] }));
    assert_eq!(json_for("read", &without).await, without);
    // What is no list keeps its own.
    let other = answer(&json!({ "cacheScope": "public", "contents": [] }));
    assert_eq!(json_for("read", &other).await, other);
}

#[tokio::test]
async fn what_is_no_list_passes_as_it_was() {
    for text in [
        r#"{"id":1,"result":{"content":[{"type":"text","text":"{\"tools\":[]}"}],"structuredContent":{"tools":[{"name":"delete"}]}}}"#,
        r#"{"id":1,"result":{"tools":{"name":"delete"}}}"#,
        r#"{"id":1,"error":{"code":-32601,"message":"no"}}"#,
        "{\"id\":1,\n \"result\":{\"text\":\"\\ud800\"}}",
        r#"{"error":"unauthorized","status":401}"#,
        "",
        "7",
    ] {
        let layer = McpListsLayer::new(policy());
        let response = response("application/json", &[text.as_bytes()]);
        let (_, _, body) = seen_by("read", &layer, response).await;
        assert_eq!(body.unwrap(), text, "{text}");
    }
    let html = response(
        "text/html",
        &[b"{\"result\":{\"tools\":[{\"name\":\"delete\"}]}}"],
    );
    let (_, headers, _) = seen_by("read", &McpListsLayer::new(policy()), html).await;
    assert_eq!(headers["content-length"], "17");
    assert_eq!(headers["etag"], "\"17\"");
}

#[tokio::test]
async fn an_answer_that_cannot_be_filtered_never_passes() {
    let layer = McpListsLayer::new(policy()).max_bytes(100).unwrap();
    let long = answer(
        &json!({ "tools": named("name", &["get_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]) }),
    );
    let long = long.to_string();
    assert!(long.len() > 100);
    let cut_id = format!(r#"{{"result":{{"x":"{}"}},"id":1234}}"#, "x".repeat(74));
    assert_eq!(&cut_id[..100].rsplit(':').next(), &Some("12"));
    trace::start();
    for (text, id) in [
        (&*long, json!(1)),
        (
            r#"{"id":"a","result":{"tools":[{"name":"delete"}]"#,
            json!("a"),
        ),
        (
            r#"{"id":2,"result":{"tools":[{"name":"delete"},{"title":"x"}]}}"#,
            json!(2),
        ),
        (
            r#"{"id":2,"result":{"tools":[{"name":"get_a","name":"delete"}]}}"#,
            json!(2),
        ),
        (r#"{"id":2,"result":{"tools":["delete"]}}"#, json!(2)),
        (r#"{"result":{"tools":[{"name":7}]},"id":2}"#, json!(2)),
        // Where reading ends, the id may go on.
        (&*cut_id, Value::Null),
        ("\u{feff}{\"id\":1,\"result\":{\"tools\":[]}}", Value::Null),
        ("<html>", Value::Null),
    ] {
        for chunks in [vec![text.as_bytes()], text.as_bytes().chunks(7).collect()] {
            let response = response("application/json; charset=utf-8", &chunks);
            let (_, _, body) = seen_by("read", &layer, response).await;
            let body = body.unwrap();
            let seen: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(seen["error"]["code"], -32603, "{text}");
            assert!(!String::from_utf8_lossy(&body).contains("delete"));
            assert_eq!(seen["id"], id, "{text}");
            let events = trace::take();
            assert_eq!(events.len(), 1, "{events:?}");
        }
    }
    for encoding in ["gzip", "br", "zstd"] {
        for content_type in ["application/json", "text/event-stream"] {
            let mut response = response(content_type, &[b"{}"]);
            let encoding = HeaderValue::from_static(encoding);
            response.headers_mut().insert("content-encoding", encoding);
            let (status, headers, body) = seen_by("read", &layer, response).await;
            assert_eq!(status, 500);
            assert!(!headers.contains_key("content-encoding"));
            let seen: Value = serde_json::from_slice(&body.unwrap()).unwrap();
            assert_eq!(seen["error"]["code"], -32603);
        }
    }
}

#[tokio::test]
async fn where_a_body_that_is_too_long_is_cut_changes_nothing() {
    let layer = McpListsLayer::new(policy()).max_bytes(16).unwrap();
    for text in [
        r#"{"id":1,"result":{"tools":[]}}"#,
        r#"                    {"id":1,"result":{"tools":[]}}"#,
        "                    a text",
        "a text of more than sixteen bytes",
    ] {
        for media in ["application/json", "text/plain"] {
            let mut seen = Vec::new();
            for length in [1, 7, text.len()] {
                let chunks: Vec<_> = text.as_bytes().chunks(length).collect();
                let (_, _, body) = seen_by("read", &layer, response(media, &chunks)).await;
                seen.push(body.unwrap());
            }
            assert!(
                seen.iter().all(|body| *body == seen[0]),
                "{media}: {seen:?}"
            );
        }
    }
}

/// A response with these media types, or none.
fn typed(types: &[&[u8]], chunks: &[&[u8]]) -> Response<Chunks> {
    let mut response = response("application/json", chunks);
    response.headers_mut().remove("content-type");
    for media in types {
        let media = HeaderValue::from_bytes(media).unwrap();
        response.headers_mut().append("content-type", media);
    }
    response
}

const LIST: &str = r#"{"id":1,"result":{"tools":[{"name":"delete"},{"name":"get_a"}]}}"#;

/// Clients search the media type for a text, look at how it begins, or read JSON from anything.
#[tokio::test]
async fn whatever_a_client_could_take_for_json_is_filtered() {
    let layer = McpListsLayer::new(policy());
    let types: &[&[&[u8]]] = &[
        &[],
        &[b""],
        &[b" "],
        &[b"application/json"],
        &[b" application/json"],
        &[b"APPLICATION/JSON"],
        &[b"application/json;charset=utf-8"],
        &[b"application/json ; charset=UTF-8"],
        &[b"application/json, text/plain"],
        &[b"application/jsonrequest"],
        &[b"application/json-rpc"],
        &[b"application/json-patch+json"],
        &[b"application/vnd.mcp+json"],
        &[b"Application/Vnd.MCP+JSON; v=1"],
        &[b"application/mcp+JSON;q=\"a;b\""],
        &[b"text/json"],
        &[b"Text/JSON; charset=utf-8"],
        &[b"text/x-json"],
        &[b"text/plain"],
        &[b"text/plain; charset=utf-8"],
        &[b"text/plain; was=application/json"],
        &[b"application/octet-stream"],
        &[b"application/x-unknown"],
        &[b"*/*"],
        &[b"json"],
        &[b"nonsense"],
        &[b"\xff"],
        &[b"application/json", b"application/json"],
        &[b"text/html", b"application/json"],
        &[b"text/plain", b"text/html"],
    ];
    for media in types {
        for before in ["", " \r\n\t"] {
            let text = format!("{before}{LIST}");
            for chunks in [
                vec![text.as_bytes()],
                text.as_bytes().chunks(1).collect(),
                vec![b"", text.as_bytes()],
            ] {
                let (status, _, body) = seen_by("read", &layer, typed(media, &chunks)).await;
                let seen: Value = serde_json::from_slice(&body.unwrap()).unwrap();
                assert_eq!(status, 200);
                let tools = &seen["result"]["tools"];
                assert_eq!(*tools, json!([{ "name": "get_a" }]), "{media:?}");
            }
        }
        // What cannot be read as a list is withheld.
        let utf_16: Vec<u8> = LIST.bytes().flat_map(|byte| [byte, 0]).collect();
        let with_mark = [b"\xff\xfe", &*utf_16].concat();
        let broken = r#"{"id":1,"result":{"tools":[{"name":"delete"}"#;
        for text in [
            broken.as_bytes(),
            format!("\u{feff}{LIST}").as_bytes(),
            &utf_16[..],
            &with_mark[..],
        ] {
            let (_, _, body) = seen_by("read", &layer, typed(media, &[text])).await;
            let body = body.unwrap();
            let seen: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(seen["error"]["code"], -32603, "{media:?}");
        }
    }
}

#[tokio::test]
async fn what_says_that_it_is_both_is_withheld() {
    let layer = McpListsLayer::new(policy());
    let both: [&[&[u8]]; 3] = [
        &[b"application/json, text/event-stream"],
        &[b"text/event-stream", b"application/json"],
        &[b"text/event-stream; as=application/json"],
    ];
    for media in both {
        let (status, _, body) = seen_by("read", &layer, typed(media, &[LIST.as_bytes()])).await;
        assert_eq!(status, 500, "{media:?}");
        assert!(!String::from_utf8_lossy(&body.unwrap()).contains("delete"));
    }
    for media in [
        &b"Text/Event-Stream"[..],
        b" text/event-stream;charset=utf-8",
    ] {
        let event = format!("data: {LIST}\n\n");
        let (_, _, body) = seen_by("read", &layer, typed(&[media], &[event.as_bytes()])).await;
        assert!(!String::from_utf8_lossy(&body.unwrap()).contains("delete"));
    }
}

#[tokio::test]
async fn what_no_client_takes_for_json_passes_as_it_was() {
    let layer = McpListsLayer::new(policy()).max_bytes(8).unwrap();
    for (media, text) in [
        (&[][..], "a text of more than eight bytes"),
        (&[&b"text/plain"[..]], "a text of more than eight bytes"),
        (&[b"text/plain"], "  \n "),
        (&[b"text/plain"], ""),
        (&[], ""),
        (&[b"application/octet-stream"], "\u{1}{\"result\":{}}"),
        (&[b"text/html"], "{\"a page\""),
        (&[b"image/svg+xml"], "{\"a picture\""),
        (&[b"application/grpc+json"], "{\"a message\""),
    ] {
        for chunks in [vec![text.as_bytes()], text.as_bytes().chunks(1).collect()] {
            let (status, _, body) = seen_by("read", &layer, typed(media, &chunks)).await;
            assert_eq!((status.as_u16(), &*body.unwrap()), (200, text.as_bytes()));
        }
    }
    // Trailers and errors come through.
    let mut broken = typed(&[], &[b"te", b"xt"]);
    broken.body_mut().broken = true;
    assert_eq!(seen_by("read", &layer, broken).await.2, Err("reset"));
}

const STREAM: &str = "\u{feff}: hello\r\nid: 0\r\nretry: 3000\r\ndata:\r\n\r\nevent: endpoint\ndata: /messages?id=1\n\nid: 1\nevent: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"tools\":[{\"name\":\"delete\"}]}}\n\n:ping\n\nid: 2\ndata: {\"id\":1,\"result\":\ndata: {\"tools\":[{\"name\":\"delete\"},\ndata: {\"name\":\"get_a\"}],\"cacheScope\":\"public\"}}\n\nid: 3\rdata:{\"id\":2,\"result\":{\"prompts\":[{\"name\":\"p\"}]}}\r\rdata: {\"id\":3,\"result\":{\"ok\":true}}\n\nid: 4\r\ndata: {\"id\":4,\r\ndata: \"result\":{\"tools\":[{\"name\":\"delete\"}]}}\r\n\r\n";

const FILTERED: &str = "\u{feff}: hello\r\nid: 0\r\nretry: 3000\r\ndata:\r\n\r\nevent: endpoint\ndata: /messages?id=1\n\nid: 1\nevent: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"tools\":[{\"name\":\"delete\"}]}}\n\n:ping\n\nid: 2\ndata: {\"id\":1,\"result\":\ndata: {\"tools\":[{\"name\":\"get_a\"}],\"cacheScope\":\"private\"}}\n\nid: 3\ndata: {\"id\":2,\"result\":{\"prompts\":[]}}\n\ndata: {\"id\":3,\"result\":{\"ok\":true}}\n\nid: 4\ndata: {\"id\":4,\ndata: \"result\":{\"tools\":[]}}\n\n";

proptest! {
    #[test]
    fn a_stream_is_filtered_wherever_it_is_cut(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.index(STREAM.len())).collect();
        cuts.push(0);
        cuts.push(STREAM.len());
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts
            .windows(2)
            .map(|pair| &STREAM.as_bytes()[pair[0]..pair[1]])
            .collect();
        let layer = McpListsLayer::new(policy());
        let seen = tokio_test::block_on(seen_by("read", &layer, response("text/event-stream", &chunks)));
        prop_assert_eq!(seen.2.unwrap(), FILTERED);
    }
}

#[tokio::test]
async fn a_stream_that_cannot_be_filtered_ends() {
    let good = "data: {\"id\":1,\"result\":{\"ok\":1}}\n\n";
    let layer = McpListsLayer::new(policy()).max_bytes(64).unwrap();
    for bad in [
        "data: {\"id\":2,\"result\":{\"tools\":[{\"name\":\"delete\"}]}\n\n".to_owned(),
        "data: {\"id\":2,\"result\":{\"tools\":[7]}}\n\n".to_owned(),
        format!("data: {}\n\n", "x".repeat(100)),
        "x".repeat(100),
        "data: \u{feff}{\"id\":2,\"result\":{\"tools\":[]}}\n\n".to_owned(),
        // An event that is cut off is one to some readers.
        "data: {\"id\":2,\"result\":{\"tools\":[{\"name\":\"delete\"}]".to_owned(),
    ] {
        let later = if bad.ends_with("\n\n") { good } else { "" };
        let chunks = [good.as_bytes(), bad.as_bytes(), later.as_bytes()];
        let (status, _, body) =
            seen_by("read", &layer, response("text/event-stream", &chunks)).await;
        assert_eq!(status, 200);
        assert_eq!(body.unwrap(), good, "{bad}");
    }
    let unfinished = b"data: {\"id\":2,\"result\":{\"tools\":[{\"name\":\"delete\"}]}}";
    let (_, _, body) = seen_by("read", &layer, response("text/event-stream", &[unfinished])).await;
    let expected = "data: {\"id\":2,\"result\":{\"tools\":[]}}\n\n";
    assert_eq!(body.unwrap(), expected);
}

/// A line that is nothing but the mark is blank only where the stream begins.
#[tokio::test]
async fn a_byte_order_mark_on_a_later_line_ends_no_event() {
    let layer = McpListsLayer::new(policy());
    let list = r#"{"id":1,"result":{"tools":[{"name":"delete"}]}}"#;
    for (stream, expected) in [
        (
            format!("data: {list}\n\u{feff}\nid: 1\n\n"),
            "id: 1\ndata: {\"id\":1,\"result\":{\"tools\":[]}}\n\n".to_owned(),
        ),
        // Written first, it would be data.
        (
            format!("data: {list}\n\u{feff}data: {list}\n\n"),
            "data: {\"id\":1,\"result\":{\"tools\":[]}}\n\n".to_owned(),
        ),
        // One event, and no message.
        (
            format!("data: {list}\n\u{feff}\ndata: x\n\n"),
            String::new(),
        ),
        (
            format!("\u{feff}\ndata: {list}\n\n"),
            "\u{feff}\ndata: {\"id\":1,\"result\":{\"tools\":[]}}\n\n".to_owned(),
        ),
    ] {
        for size in [1, 7, stream.len()] {
            let chunks: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
            let (_, _, body) =
                seen_by("read", &layer, response("text/event-stream", &chunks)).await;
            assert_eq!(body.unwrap(), expected, "{stream:?} in chunks of {size}");
        }
    }
}

#[tokio::test]
async fn errors_and_trailers_of_the_body_are_kept() {
    for content_type in ["application/json", "text/event-stream"] {
        let mut broken = response(content_type, &[b"data: {\"id\""]);
        broken.body_mut().broken = true;
        let (_, _, body) = seen_by("read", &McpListsLayer::new(policy()), broken).await;
        assert_eq!(body, Err("reset"));

        let mut trailing = response(content_type, &[b"{}\n\n"]);
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("17"));
        trailing.body_mut().trailers = Some(trailers.clone());
        let answer = Mutex::new(Some(trailing));
        let service =
            McpListsLayer::new(policy()).layer(service_fn(move |_: Request<Full<Bytes>>| {
                let response = answer.lock().unwrap().take().unwrap();
                async { Ok::<_, Infallible>(response) }
            }));
        let mut request = post("-", "{}");
        insert_anonymous(request.extensions_mut());
        let response = service.oneshot(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers(), Some(&trailers));
        assert_eq!(body.to_bytes(), "{}\n\n");
    }
}

#[tokio::test]
async fn an_answer_that_is_no_list_is_not_read_where_the_request_tells() {
    let open = McpPolicy::builder()
        .default_rule(DefaultRule::Baseline)
        .build()
        .unwrap();
    let lists = McpListsLayer::new(policy()).max_bytes(8).unwrap();
    let text = r#"{"id":1,"result":{"content":[]}}"#;
    for (body, passes) in [
        (call("x"), true),
        (format!("[{}]", call("x")), true),
        (
            crate::mcp::support::request("tools/list", &json!({})),
            false,
        ),
        (
            format!(
                "[{},{}]",
                call("x"),
                crate::mcp::support::request("tools/list", &json!({}))
            ),
            false,
        ),
    ] {
        let service = ServiceBuilder::new()
            .layer(auth())
            .layer(McpScopesLayer::new(open.clone()))
            .layer(lists.clone())
            .service(service_fn(move |_| async move {
                Ok::<_, Infallible>(response("application/json", &[text.as_bytes()]))
            }));
        let response = service.oneshot(post("read", body)).await.unwrap();
        let seen = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(seen == text, passes, "{seen:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_passes_on_the_stream_of_a_call_and_ends_that_of_a_list() {
    let open = McpPolicy::builder()
        .default_rule(DefaultRule::Baseline)
        .build()
        .unwrap();
    let deep = format!("{}{}", "[".repeat(130), "]".repeat(130));
    for event in [
        format!("data: {{\"id\":1,\"result\":{{\"structuredContent\":{deep}}}}}\n\n"),
        "data: {\"id\":1,\"result\":{\"structuredContent\":NaN}}\n\n".to_owned(),
    ] {
        let list = crate::mcp::support::request("tools/list", &json!({}));
        for (body, passes) in [(call("x"), true), (list, false)] {
            let event = event.clone();
            let service = ServiceBuilder::new()
                .layer(auth())
                .layer(McpScopesLayer::new(open.clone()))
                .layer(McpListsLayer::new(policy()))
                .service(service_fn({
                    let event = event.clone();
                    move |_| {
                        let event = event.clone();
                        async move {
                            let response = response("text/event-stream", &[event.as_bytes()]);
                            Ok::<_, Infallible>(response)
                        }
                    }
                }));
            let response = service.oneshot(post("read", body)).await.unwrap();
            let seen = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(seen == event, passes, "{seen:?}");
            assert_eq!(seen.is_empty(), !passes, "{seen:?}");
        }
    }
}

#[tokio::test]
async fn without_an_auth_layer_it_is_a_logged_500() {
    trace::start();
    let service = McpListsLayer::new(policy()).layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(response("application/json", &[b"{}"]))
    }));
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.status(), 500);
    assert_eq!(trace::take()[0].field("piece"), "McpListsLayer");
    assert!(McpListsLayer::new(policy()).max_bytes(0).is_err());
}
