//! `Host` and `Origin` against the url crate: what passes is to a browser what was allowed.
//!
//! The first line is the origin, the second one the host, the third one the target of the request.
#![no_main]

use std::convert::Infallible;
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{HOST, ORIGIN};
use http::{HeaderValue, Request, Uri};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use tower::{Layer, service_fn};
use tower_mcp_auth::mcp::OriginLayer;
use tower_mcp_auth_fuzz::{call, empty, refused};
use url::{Host, Url};

/// What is read for other origins, too.
const METADATA: &str = "/.well-known/oauth-protected-resource";

struct Case {
    layer: OriginLayer,
    /// With their ports.
    origins: &'static [&'static str],
    /// With no other port than these.
    hosts: &'static [(&'static str, &'static [u16])],
    loopback: bool,
}

static CASES: LazyLock<[Case; 2]> = LazyLock::new(|| {
    let layer = |resource: &str| OriginLayer::new(resource).expect("a resource");
    let public = layer("https://mcp.example.com/mcp")
        .allow_origin("http://app.example:8080")
        .and_then(|layer| layer.allow_origin("https://[2001:db8::1]"))
        .and_then(|layer| layer.allow_host("10.0.0.1:3000"))
        .expect("a layer");
    [
        Case {
            layer: public,
            origins: &[
                "https://mcp.example.com",
                "http://app.example:8080",
                "https://[2001:db8::1]",
            ],
            hosts: &[("mcp.example.com", &[443]), ("10.0.0.1", &[3000])],
            loopback: false,
        },
        Case {
            layer: layer("http://localhost:3000/mcp"),
            origins: &[],
            hosts: &[],
            loopback: true,
        },
    ]
});

fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let origin = lines.next().map(HeaderValue::from_bytes);
    let host = lines.next().map(HeaderValue::from_bytes);
    let uri = lines.next().map(Uri::try_from);
    let (Ok(origin), Ok(host), Ok(uri)) = (
        origin.transpose(),
        host.transpose(),
        uri.unwrap_or(Ok(Uri::from_static("/mcp"))),
    ) else {
        return;
    };
    for case in &*CASES {
        check(case, origin.as_ref(), host.as_ref(), &uri);
    }
});

fn check(case: &Case, origin: Option<&HeaderValue>, host: Option<&HeaderValue>, uri: &Uri) {
    let mut request = Request::new(Full::<Bytes>::default());
    *request.uri_mut() = uri.clone();
    for (name, value) in [(ORIGIN, origin), (HOST, host)] {
        if let Some(value) = value {
            request.headers_mut().insert(name, value.clone());
        }
    }
    let inner = service_fn(async |_: Request<Full<Bytes>>| Ok::<_, Infallible>(empty()));
    let response = call(case.layer.layer(inner), request);
    let authority = uri.authority().map(|authority| authority.as_str());
    let host = host.map(|host| host.to_str().unwrap_or("\u{fffd}"));
    let origin = origin.map(|origin| origin.to_str().unwrap_or("\u{fffd}"));
    if let Some(error) = refused(&response) {
        assert_eq!(error.status(), 403);
        let is_plain = |text: Option<&str>, plain: &str| text.is_none_or(|text| text == plain);
        let (own_host, own_origin) = match case.loopback {
            true => ("127.0.0.1:80", "http://localhost:3000"),
            false => ("mcp.example.com", "https://mcp.example.com"),
        };
        let is_plain = is_plain(host, own_host)
            && is_plain(authority, own_host)
            && is_plain(origin, own_origin)
            && (host.is_some() || authority.is_some());
        assert!(!is_plain, "{error:?}");
        return;
    }
    assert!(host.is_some() || authority.is_some());
    for host in [host, authority].into_iter().flatten() {
        assert!(is_host(case, host), "{host}");
    }
    let is_metadata = uri.path().starts_with(METADATA);
    if let Some(origin) = origin.filter(|_| !is_metadata) {
        assert!(is_origin(case, origin), "{origin}");
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.octets() == [127, 0, 0, 1],
        Some(Host::Ipv6(address)) => address.segments() == [0, 0, 0, 0, 0, 0, 0, 1],
        None => false,
    }
}

fn is_host(case: &Case, host: &str) -> bool {
    let url = Url::parse(&format!("http://{host}/")).expect("a host");
    assert!(url.username().is_empty() && url.password().is_none() && url.path() == "/");
    if case.loopback {
        return is_loopback(&url);
    }
    let port = host
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok());
    let is = |own: &str, ports: &[u16]| {
        url.host_str() == Some(own)
            && match port {
                Some(port) => ports.contains(&port),
                None => ports.contains(&443),
            }
    };
    case.hosts.iter().any(|(own, ports)| is(own, ports))
}

fn is_origin(case: &Case, origin: &str) -> bool {
    let url = Url::parse(origin).expect("an origin");
    assert!(url.username().is_empty() && url.password().is_none());
    assert!(url.path() == "/" && url.query().is_none() && url.fragment().is_none());
    if case.loopback {
        return matches!(url.scheme(), "http" | "https") && is_loopback(&url);
    }
    let is = |own: &&str| Url::parse(own).expect("an origin").origin() == url.origin();
    case.origins.iter().any(is)
}
