//! Lists in answers: however a stream is cut into chunks, the same comes out; no reader sees
//! what is closed, and what is no list passes as it is. What the doctor reads of a stream is what
//! the standard does.
//!
//! A byte 0xFF, which no text has, cuts the input.
#![no_main]

use std::convert::Infallible;
use std::future::Ready;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sse_stream::SseStream;
use tower::{ServiceBuilder, service_fn};
use tower_mcp_auth::mcp::{DefaultRule, Dialect, McpListsLayer, McpPolicy, McpScopesLayer, Show};
use tower_mcp_auth::scopes::Requirement;
use tower_mcp_auth::{AuthLayer, Location, fuzzing};
use tower_mcp_auth_fuzz::json::Facts;
use tower_mcp_auth_fuzz::{Anybody, call};

/// An event or an answer that is longer ends its stream.
const MAX_BYTES: usize = 512;
/// The lists, by which member their items are known.
const LISTS: [(&str, &str); 4] = [
    ("tools", "name"),
    ("prompts", "name"),
    ("resources", "uri"),
    ("resourceTemplates", "uriTemplate"),
];
static LAYERS: LazyLock<(AuthLayer<Anybody>, McpScopesLayer, McpListsLayer)> =
    LazyLock::new(|| {
        let policy = McpPolicy::builder()
            .tool("closed*", Requirement::deny())
            .and_then(|policy| policy.prompt("closed*", Requirement::deny()))
            .and_then(|policy| policy.resource("closed:*", Requirement::deny()))
            .and_then(|policy| policy.default_rule(DefaultRule::Baseline).build())
            .expect("a policy");
        let lists = McpListsLayer::new(policy.clone()).show(Show::Granted);
        let bearer = Anybody(vec![Location::bearer()]);
        (
            AuthLayer::new(bearer),
            McpScopesLayer::new(policy).dialect(Dialect::Result),
            lists.max_bytes(MAX_BYTES).expect("some"),
        )
    });

/// Whether an item that is known by this member is closed.
fn is_closed(key: &str, name: &str) -> bool {
    match key {
        "name" => name.starts_with("closed"),
        _ => name
            .get(..7)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("closed:")),
    }
}

fuzz_target!(|input: &[u8]| {
    let cut: Vec<&[u8]> = input.split(|byte| *byte == 0xFF).collect();
    let whole = cut.concat();
    // Byte by byte; of a long input not, which takes long.
    let bytes: Vec<&[u8]> = whole.chunks(whole.len() / 128 + 1).collect();
    events(&whole, &cut, &bytes);
    for media in ["application/json", "text/plain"] {
        answer(media, &whole, &cut, &bytes);
    }
});

fn events(whole: &[u8], cut: &[&[u8]], bytes: &[&[u8]]) {
    const MEDIA: &str = "text/event-stream";
    // An event of its own, which is not in the input, and comes out where nothing before it
    // ended the stream.
    let mut digest = DefaultHasher::new();
    whole.hash(&mut digest);
    let last = format!("id: {:x}\n\n", digest.finish());
    let is_whole = |stream: &[u8]| stream.ends_with(last.as_bytes());
    let end = ["\n\n", &last].concat();
    let closed = [whole, end.as_bytes()].concat();
    let one = filtered(MEDIA, &[&closed]);
    let is_fit = is_whole(&one);
    for chunks in [cut, bytes] {
        let split = filtered(MEDIA, &[chunks, &[end.as_bytes()]].concat());
        match is_fit {
            true => assert_eq!(split, one),
            // Some events came out before its end.
            false => assert!(split.starts_with(&one) && !is_whole(&split)),
        }
        show_nothing_closed(&split);
    }
    let open = filtered(MEDIA, &[whole]);
    for chunks in [cut, bytes] {
        let split = filtered(MEDIA, chunks);
        assert!(split.starts_with(&open) && (split == open || !is_fit));
        show_nothing_closed(&split);
    }
    if is_fit {
        same_events(&closed, &one);
    }
    let standard = read(&closed).into_iter().map(|event| event.data);
    let all = fuzzing::complete_events(&closed);
    assert!(
        standard
            .filter(|data| !data.is_empty())
            .eq(all.iter().cloned())
    );
    // Without what closed it, the last event may be missing. A line without its end completes none.
    let complete = fuzzing::complete_events(whole);
    assert!(all.starts_with(&complete) && all.len() <= complete.len() + 1);
    let begun = [whole, b"data: begun"].concat();
    assert_eq!(fuzzing::complete_events(&begun), complete);
}

fn answer(media: &str, whole: &[u8], cut: &[&[u8]], bytes: &[&[u8]]) {
    let one = filtered(media, &[whole]);
    assert_eq!(filtered(media, cut), one);
    assert_eq!(filtered(media, bytes), one);
    let Ok(got) = serde_json::from_slice::<Value>(&one) else {
        return;
    };
    assert!(!shows_closed(&got), "{got}");
    let text = std::str::from_utf8(whole).unwrap_or_default();
    // What serde_json alone reads is replaced by an error.
    let Some(facts) = Facts::of(text) else {
        return;
    };
    let is_judged = whole.len() <= MAX_BYTES && facts.is_plain(100) && items_are_named(text);
    if is_judged && !facts.long_name && !facts.long_string {
        assert_eq!(got, opened(serde_json::from_str(text).unwrap()));
        say_how_to_sign_in(media, whole, got);
    }
}

/// Tools that say how to sign in say everything else as before.
fn say_how_to_sign_in(media: &str, whole: &[u8], mut plain: Value) {
    let (auth, scopes, lists) = &*LAYERS;
    let service = ServiceBuilder::new()
        .layer(auth)
        .layer(scopes)
        .layer(lists)
        .service(service_fn(answering(media, &[whole])));
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let request = Request::post("/mcp")
        .header("authorization", "Bearer t")
        .header("content-type", "application/json");
    let response = call(service, request.body(Full::from(list)).unwrap());
    let mut said: Value = serde_json::from_slice(response.body()).unwrap();
    for tool in tools_mut(&mut said) {
        let schemes = tool["securitySchemes"].take();
        assert_eq!(schemes[0]["type"], "oauth2");
        assert_eq!(tool["_meta"]["securitySchemes"].take(), schemes);
    }
    // What is left is compared without the places that were filled in.
    for message in [&mut said, &mut plain] {
        for tool in tools_mut(message) {
            let tool = tool.as_object_mut().unwrap();
            tool.remove("securitySchemes");
            if let Some(Value::Object(meta)) = tool.get_mut("_meta") {
                meta.remove("securitySchemes");
            }
            let is_empty = |meta: &Value| meta.as_object().is_none_or(|meta| meta.is_empty());
            if tool.get("_meta").is_some_and(is_empty) {
                tool.remove("_meta");
            }
        }
    }
    assert_eq!(said, plain);
}

fn tools_mut(message: &mut Value) -> impl Iterator<Item = &mut Value> {
    let messages = match message {
        Value::Array(batch) => &mut batch[..],
        one => std::slice::from_mut(one),
    };
    let tools = messages.iter_mut().filter_map(|message| {
        let result = message.get_mut("result")?;
        result.get_mut("tools")?.as_array_mut()
    });
    tools.flatten()
}

/// What comes out of the layer.
fn filtered(media: &str, chunks: &[&[u8]]) -> Vec<u8> {
    let (auth, _, lists) = &*LAYERS;
    let inner = service_fn(answering(media, chunks));
    let service = ServiceBuilder::new()
        .layer(auth)
        .layer(lists)
        .service(inner);
    let request = Request::post("/mcp").header("authorization", "Bearer t");
    let request: Request<Full<Bytes>> = request.body(Full::default()).unwrap();
    let response = call(service, request);
    response.into_body().to_vec()
}

/// A server that answers with these chunks, whatever it is asked.
fn answering<B>(
    media: &str,
    chunks: &[&[u8]],
) -> impl Fn(Request<B>) -> Ready<Result<Response<Chunks>, Infallible>> + Clone + use<B> {
    let chunks = chunks.iter().map(|chunk| Bytes::copy_from_slice(chunk));
    let chunks = Chunks(chunks.collect::<Vec<_>>().into_iter());
    let media = media.to_owned();
    move |_| {
        let response = Response::builder().header("content-type", &media);
        std::future::ready(Ok(response.body(chunks.clone()).unwrap()))
    }
}

#[derive(Clone)]
struct Chunks(std::vec::IntoIter<Bytes>);

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(|chunk| Ok(Frame::data(chunk))))
    }
}

/// Neither the standard's reader nor rmcp's sees what is closed.
fn show_nothing_closed(stream: &[u8]) {
    let theirs = SseStream::new(Full::new(Bytes::copy_from_slice(stream)));
    let theirs = theirs
        .collect::<Vec<_>>()
        .now_or_never()
        .expect("it is there");
    let theirs = theirs.into_iter().flatten().filter_map(|event| event.data);
    let standard = read(stream).into_iter().map(|event| event.data);
    for data in standard.chain(theirs) {
        if let Ok(message) = serde_json::from_str(&data) {
            assert!(!shows_closed(&message), "{message}");
        }
    }
}

fn lists(message: &Value) -> impl Iterator<Item = (&str, &Vec<Value>)> {
    LISTS
        .iter()
        .filter_map(|(list, key)| Some((*key, message["result"][list].as_array()?)))
}

/// The items of all lists of a message or a batch, with the member they are known by.
fn items(message: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let messages = match message {
        Value::Array(batch) => batch,
        one => std::slice::from_ref(one),
    };
    let lists = messages.iter().flat_map(lists);
    lists.flat_map(|(key, items)| items.iter().map(move |item| (key, &item[key])))
}

fn shows_closed(message: &Value) -> bool {
    items(message).any(|(key, name)| name.as_str().is_some_and(|name| is_closed(key, name)))
}

/// A message without what is closed.
fn opened(mut message: Value) -> Value {
    if let Value::Array(batch) = message {
        return batch.into_iter().map(opened).collect();
    }
    let Some(result) = message.get_mut("result").and_then(Value::as_object_mut) else {
        return message;
    };
    let mut is_list = false;
    for (list, key) in LISTS {
        if let Some(Value::Array(items)) = result.get_mut(list) {
            is_list = true;
            items.retain(|item| !item[key].as_str().is_some_and(|name| is_closed(key, name)));
        }
    }
    if is_list && let Some(scope) = result.get_mut("cacheScope") {
        *scope = "private".into();
    }
    message
}

/// Whether each item of a list has a name that says what it is: others end the stream, and URIs
/// that no rule can be asked about are not shown.
fn items_are_named(text: &str) -> bool {
    let message = serde_json::from_str(text).unwrap();
    items(&message).all(|(_, name)| {
        let Some(name) = name.as_str() else {
            return false;
        };
        let name = name.strip_prefix("closed:").unwrap_or(name);
        name.bytes().all(|byte| byte.is_ascii_lowercase())
    })
}

/// An event as the standard reads it.
#[derive(Debug, Default, PartialEq)]
struct Event {
    data: String,
    kind: String,
    id: Option<String>,
}

/// <https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>,
/// with an event that ends with the stream, and events without data.
fn read(stream: &[u8]) -> Vec<Event> {
    let text = String::from_utf8_lossy(stream);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut events = Vec::new();
    let mut event = Event::default();
    let mut data: Vec<&str> = Vec::new();
    for line in text.split('\n').chain([""]) {
        if line.is_empty() {
            let lines = std::mem::take(&mut data);
            let read = Event {
                data: lines.join("\n"),
                ..std::mem::take(&mut event)
            };
            if !lines.is_empty() || read != Event::default() {
                events.push(read);
            }
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => data.push(value),
            "event" => value.clone_into(&mut event.kind),
            "id" if !value.contains('\0') => event.id = Some(value.to_owned()),
            _ => {}
        }
    }
    events
}

/// The same events come out as went in, without what is closed.
fn same_events(sent: &[u8], got: &[u8]) {
    let (sent, got) = (read(sent), read(got));
    assert_eq!(sent.len(), got.len());
    for (sent, got) in sent.iter().zip(&got) {
        assert_eq!((&sent.kind, &sent.id), (&got.kind, &got.id));
        if sent.data == got.data {
            continue;
        }
        let facts = Facts::of(&sent.data).expect("a message, or it would not be edited");
        let got: Value = serde_json::from_str(&got.data).expect("a message");
        if facts.is_plain(100) && items_are_named(&sent.data) {
            assert_eq!(got, opened(serde_json::from_str(&sent.data).unwrap()));
        }
    }
}
