//! URIs against the url crate: the URL of a resource and its metadata, and the rules of a policy,
//! which no other spelling of a URI gets around.
//!
//! The first line is a URI, or the template of some; the second one another URI, or the value of
//! the template's variables.
#![no_main]

use std::convert::Infallible;
use std::sync::LazyLock;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tower::{ServiceBuilder, service_fn};
use tower_mcp_auth::mcp::{McpPolicy, McpScopesLayer, RequestBody};
use tower_mcp_auth::oauth::{AuthorizationServer, ProtectedResource};
use tower_mcp_auth::scopes::Requirement;
use tower_mcp_auth::{AuthLayer, Location};
use tower_mcp_auth_fuzz::{Anybody, call, empty, refused};
use url::{Host, Url};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Where what is below `/private/` is closed: scheme and host.
const CLOSED: [(&str, &str); 3] = [("file", ""), ("https", "example.com"), ("app", "host")];

static AUTH: LazyLock<AuthLayer<Anybody>> =
    LazyLock::new(|| AuthLayer::new(Anybody(vec![Location::bearer()])));

static PRIVATE: LazyLock<McpScopesLayer> = LazyLock::new(|| {
    let mut policy = McpPolicy::builder();
    for (scheme, host) in CLOSED {
        let below = format!("{scheme}://{host}/private/*");
        policy = policy
            .resource(&below, Requirement::deny())
            .expect("a rule");
    }
    let policy = policy.resource("*", Requirement::none()).expect("a rule");
    McpScopesLayer::new(policy.build().expect("a policy"))
});

/// What becomes of a request for a URI.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Allowed,
    Denied,
    /// It could be another URI to the server.
    Unclear,
}

fuzz_target!(|input: &str| {
    let (first, second) = input.split_once('\n').unwrap_or((input, ""));
    identifiers(first);
    for uri in [first, second] {
        if is_private(uri) {
            assert_ne!(read(&PRIVATE, uri), Verdict::Allowed, "{uri:?}");
        }
    }
    own_rule(first, second);
    template(first, second);
});

/// Of what an operator writes.
fn identifiers(text: &str) {
    if let Ok(resource) = ProtectedResource::new(text) {
        assert_eq!(resource.resource(), text);
        let url = identifier(text);
        let document = Url::parse(&resource.metadata_url()).expect("a URL");
        assert_eq!(document.origin(), url.origin());
        assert_eq!(document.query(), url.query());
        assert_eq!(document.fragment(), None);
        let path = if url.path() == "/" { "" } else { url.path() };
        assert_eq!(document.path(), [WELL_KNOWN, path].concat());
        assert_eq!(document.path(), resource.metadata_path());
    }
    if AuthorizationServer::new(text).is_ok() {
        assert_eq!(identifier(text).scheme(), "https");
    }
}

/// What every identifier is.
fn identifier(text: &str) -> Url {
    let url = Url::parse(text).expect("a URL");
    assert!(url.username().is_empty() && url.password().is_none());
    assert_eq!(url.fragment(), None);
    let is_loopback = match url.host().expect("a host") {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.octets()[0] == 127,
        Host::Ipv6(address) => address.segments() == [0, 0, 0, 0, 0, 0, 0, 1],
    };
    assert!(url.scheme() == "https" || url.scheme() == "http" && is_loopback);
    url
}

fn ask(scopes: &McpScopesLayer, method: &str, params: &Value) -> Verdict {
    let inner =
        service_fn(async |_: Request<RequestBody<Full<Bytes>>>| Ok::<_, Infallible>(empty()));
    let service = ServiceBuilder::new()
        .layer(&*AUTH)
        .layer(scopes)
        .service(inner);
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let request = Request::post("/mcp")
        .header("authorization", "Bearer t")
        .header("content-type", "application/json")
        .body(Full::<Bytes>::from(body.to_string()))
        .unwrap();
    let response = call(service, request);
    match refused(&response).map(|error| (error.status(), error.reason())) {
        None => Verdict::Allowed,
        Some((StatusCode::FORBIDDEN, "operation_denied")) => Verdict::Denied,
        Some((StatusCode::BAD_REQUEST, _)) => Verdict::Unclear,
        // Nor is it read where its escapes make it too long.
        Some((StatusCode::PAYLOAD_TOO_LARGE, "name_too_long")) => Verdict::Unclear,
        other => panic!("{other:?}"),
    }
}

fn read(scopes: &McpScopesLayer, uri: &str) -> Verdict {
    ask(scopes, "resources/read", &json!({ "uri": uri }))
}

/// Whether some server may open something private by this URI.
fn is_private(uri: &str) -> bool {
    let url = Url::parse(uri).ok();
    // Another port is another server. The default one is none by then.
    let by_standard = url.is_some_and(|url| {
        let host = url.host_str().unwrap_or_default();
        url.port().is_none() && is_closed(url.scheme(), host, url.path())
    });
    by_standard || by_hand(uri).unwrap_or(false)
}

/// As a reader takes it apart that looks for marks and knows no more of URIs.
fn by_hand(uri: &str) -> Option<bool> {
    let (uri, _) = uri.split_once('#').unwrap_or((uri, ""));
    let (uri, _) = uri.split_once('?').unwrap_or((uri, ""));
    let (scheme, rest) = uri.split_once("://")?;
    let (server, path) = rest.split_once('/')?;
    let (host, port) = server.split_once(':').unwrap_or((server, ""));
    let [scheme, host] = [scheme, host].map(str::to_ascii_lowercase);
    // A file has no port.
    let is_same_server = matches!((&*scheme, port), (_, "") | ("https", "443") | ("file", _));
    Some(is_same_server && is_closed(&scheme, &host, path))
}

/// A path as the least careful servers resolve it.
fn is_closed(scheme: &str, host: &str, path: &str) -> bool {
    if !CLOSED.contains(&(scheme, host)) {
        return false;
    }
    let path = percent_decode(path);
    let mut names: Vec<&[u8]> = Vec::new();
    for name in path.split(|byte| matches!(byte, b'/' | b'\\')) {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names.len() > 1 && names[0] == b"private"
}

fn percent_decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        let digits = after.first_chunk::<2>().filter(|_| *byte == b'%');
        let hex = |digit: u8| char::from(digit).to_digit(16);
        match digits.and_then(|[high, low]| hex(*high).zip(hex(*low))) {
            Some((high, low)) => {
                decoded.push((high << 4 | low) as u8);
                rest = &after[2..];
            }
            None => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    decoded
}

/// What a rule closes is closed in every spelling.
fn own_rule(rule: &str, uri: &str) {
    if rule.contains(['*', '{', '}']) {
        return;
    }
    let policy = McpPolicy::builder().resource(rule, Requirement::deny());
    let Ok(policy) = policy.and_then(|policy| policy.resource("*", Requirement::none())) else {
        return;
    };
    let policy = McpScopesLayer::new(policy.build().expect("a policy"));
    assert_eq!(read(&policy, rule), Verdict::Denied);
    // Such a rule is for this text alone.
    if read(&PRIVATE, rule) == Verdict::Unclear {
        return;
    }
    let Ok(url) = Url::parse(rule) else {
        return;
    };
    assert_ne!(read(&policy, url.as_str()), Verdict::Allowed);
    if let Ok(other) = Url::parse(uri)
        && is_same(&url, other)
    {
        assert_ne!(read(&policy, uri), Verdict::Allowed);
    }
}

fn is_same(rule: &Url, mut uri: Url) -> bool {
    uri.set_fragment(None);
    // A rule without a query is for the URI with any.
    if rule.query().is_none() {
        uri.set_query(None);
    }
    let parts = |url: &Url| {
        let query = url.query().map(percent_decode);
        (
            percent_decode(url.path()),
            query,
            url[..url::Position::BeforePath].to_owned(),
        )
    };
    parts(rule) == parts(&uri)
}

/// A completion can tell of every URI of its template.
fn template(template: &str, value: &str) {
    if !template.contains('{') {
        return;
    }
    let Some(uri) = expand(template, value) else {
        return;
    };
    if read(&PRIVATE, &uri) == Verdict::Denied {
        let reference = json!({ "type": "ref/resource", "uri": template });
        let params = json!({ "ref": reference, "argument": { "name": "a", "value": "" } });
        let verdict = ask(&PRIVATE, "completion/complete", &params);
        assert_ne!(verdict, Verdict::Allowed, "{uri:?}");
    }
}

/// RFC 6570 with one value for all variables, each alone in its expression.
fn expand(template: &str, value: &str) -> Option<String> {
    let mut uri = String::new();
    let mut rest = template;
    while let Some((literal, after)) = rest.split_once('{') {
        uri.push_str(literal);
        let (expression, after) = after.split_once('}')?;
        rest = after;
        let (operator, name) = match expression.chars().next()? {
            operator @ ('+' | '#' | '.' | '/' | ';' | '?' | '&') => {
                (Some(operator), &expression[1..])
            }
            _ => (None, expression),
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_name) {
            return None;
        }
        if let Some(first) = operator.filter(|operator| *operator != '+') {
            uri.push(first);
        }
        if matches!(operator, Some(';' | '?' | '&')) {
            uri.push_str(name);
            uri.push('=');
        }
        let keeps = matches!(operator, Some('+' | '#'));
        for byte in value.bytes() {
            let reserved = keeps && b":/?#[]@!$&'()*+,;=".contains(&byte);
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || reserved {
                uri.push(char::from(byte));
            } else {
                uri.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    uri.push_str(rest);
    Some(uri)
}
