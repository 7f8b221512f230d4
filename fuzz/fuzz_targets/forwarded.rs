//! `Forwarded` and `X-Forwarded-*` against a second reader: what a client writes before the element
//! of the proxy changes nothing, and what counts is what the last element says.
//!
//! Each line of the input is a line of the header.
#![no_main]

use std::net::{IpAddr, SocketAddr};

use http::{HeaderValue, Request};
use libfuzzer_sys::fuzz_target;
use tower_mcp_auth::peer::{PeerAddr, ProxyHeaders, Requested, TrustedProxies, requested};
use tower_mcp_auth::{AuthError, RequestHead};
use url::Url;

const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));
const UNTRUSTED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 66));
const OWN: &str = "own.example";
/// What the proxy appends, and what that says.
const ELEMENT: &str = r#"for="[2001:db8::17]:4711";host="A.example:8443";proto=https"#;
const CLIENT: &str = "2001:db8::17";
const HOST: (&str, Option<u16>) = ("a.example", Some(8443));

const NAMES: [&str; 3] = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
const VALUES: [&str; 3] = ["[2001:db8::17]:4711", "A.example:8443", "https"];

fuzz_target!(|input: &[u8]| {
    let lines = input.split(|byte| *byte == b'\n').take(8);
    let Ok(lines) = lines
        .map(HeaderValue::from_bytes)
        .collect::<Result<Vec<_>, _>>()
    else {
        return;
    };
    alone(&lines);
    before_the_proxy(&lines);
});

/// What a reader learns: the client, and where the request went.
type Read<'a> = Option<(Option<IpAddr>, Requested<'a>)>;

fn read<'a>(proxies: &TrustedProxies, request: &'a Request<()>) -> Read<'a> {
    let head = RequestHead::of(request);
    let refused = |error: AuthError| {
        assert_eq!(error.status(), 400);
        assert_eq!(error.reason(), "malformed_forwarded");
        assert!(
            error
                .detail()
                .is_some_and(|detail| detail.contains("orwarded"))
        );
    };
    let client = proxies.client(head).map_err(refused).ok();
    let requested = requested(head, Some(proxies)).map_err(refused).ok();
    // Where the client is not known, the host is not either.
    assert!(client.is_some() || requested.is_none());
    client.zip(requested)
}

fn proxies(headers: ProxyHeaders) -> TrustedProxies {
    TrustedProxies::new(headers, ["10.0.0.0/8"]).expect("proxies")
}

fn request(peer: IpAddr, lines: &[(&'static str, HeaderValue)]) -> Request<()> {
    let mut request = Request::new(());
    request.extensions_mut().insert(PeerAddr::from(peer));
    let own = HeaderValue::from_static(OWN);
    request.headers_mut().insert("host", own);
    for (name, value) in lines {
        request.headers_mut().append(*name, value.clone());
    }
    request
}

fn is_own(read: Read<'_>, peer: IpAddr) {
    let (client, requested) = read.expect("nothing that could be refused");
    assert_eq!(client, Some(peer));
    assert_eq!(requested.host(), OWN);
    assert!(!requested.is_by_proxy() && requested.scheme().is_none());
}

/// The lines are all there is.
fn alone(lines: &[HeaderValue]) {
    let named: Vec<_> = lines
        .iter()
        .map(|line| ("forwarded", line.clone()))
        .collect();
    is_own(
        read(
            &proxies(ProxyHeaders::Forwarded),
            &request(UNTRUSTED, &named),
        ),
        UNTRUSTED,
    );
    is_own(
        read(&proxies(ProxyHeaders::XForwarded), &request(PROXY, &named)),
        PROXY,
    );
    let sent = request(PROXY, &named);
    if let Some((client, requested)) = read(&proxies(ProxyHeaders::Forwarded), &sent) {
        let last = lines.last().expect("a line").to_str().expect("ASCII");
        let parameters = last_element(last);
        let said = |name: &str| {
            let mut own = parameters
                .iter()
                .filter(|(own, _)| own.eq_ignore_ascii_case(name));
            let first = own.next().map(|(_, value)| value.as_str());
            assert!(own.next().is_none(), "{last}");
            first
        };
        is_client(client, said("for"));
        is_host(&requested, said("host"));
        is_scheme(&requested, said("proto"));
    }
    let named =
        |name: &'static str| -> Vec<_> { lines.iter().map(|line| (name, line.clone())).collect() };
    for (index, name) in NAMES.into_iter().enumerate() {
        let named = named(name);
        is_own(
            read(
                &proxies(ProxyHeaders::XForwarded),
                &request(UNTRUSTED, &named),
            ),
            UNTRUSTED,
        );
        is_own(
            read(&proxies(ProxyHeaders::Forwarded), &request(PROXY, &named)),
            PROXY,
        );
        let sent = request(PROXY, &named);
        let Some((client, requested)) = read(&proxies(ProxyHeaders::XForwarded), &sent) else {
            continue;
        };
        let last = lines.last().expect("a line").to_str().expect("ASCII");
        let last = last
            .rsplit(',')
            .next()
            .map(|value| value.trim_matches([' ', '\t']));
        let said = |own: usize| last.filter(|_| own == index);
        is_client(client, said(0));
        is_host(&requested, said(1));
        is_scheme(&requested, said(2));
    }
}

/// The proxy appends its element, in the line of its client or in one of its own.
fn before_the_proxy(lines: &[HeaderValue]) {
    let appended = |line: &HeaderValue, own: &str| {
        let bytes = [line.as_bytes(), b", ", own.as_bytes()].concat();
        HeaderValue::from_bytes(&bytes).expect("two values")
    };
    for is_in_line in [true, false] {
        let with = |name: &'static str, own: &'static str| {
            let mut named: Vec<_> = lines.iter().map(|line| (name, line.clone())).collect();
            match named.last_mut().filter(|_| is_in_line) {
                Some((_, last)) => *last = appended(last, own),
                None => named.push((name, HeaderValue::from_static(own))),
            }
            named
        };
        let sent = request(PROXY, &with("forwarded", ELEMENT));
        if let Some(read) = read(&proxies(ProxyHeaders::Forwarded), &sent) {
            is_the_proxys(read);
        }
        let all = NAMES
            .into_iter()
            .zip(VALUES)
            .flat_map(|(name, own)| with(name, own));
        let all: Vec<_> = all.collect();
        let sent = request(PROXY, &all);
        // A line that is not ASCII is no list, whichever proxy wrote its end.
        let is_ascii = !is_in_line || lines.last().is_some_and(|line| line.to_str().is_ok());
        match read(&proxies(ProxyHeaders::XForwarded), &sent) {
            Some(read) => is_the_proxys(read),
            None => assert!(!is_ascii),
        }
    }
}

fn is_the_proxys((client, requested): (Option<IpAddr>, Requested<'_>)) {
    assert_eq!(
        client.map(|client| client.to_string()).as_deref(),
        Some(CLIENT)
    );
    assert_eq!((&*requested.host(), requested.port()), HOST);
    assert_eq!(requested.scheme(), Some("https"));
    assert!(requested.is_by_proxy());
}

fn is_client(client: Option<IpAddr>, said: Option<&str>) {
    let Some(client) = client else { return };
    let said = said.expect("an address that was said");
    let address = said.parse::<IpAddr>().ok();
    let address = address.or_else(|| said.parse::<SocketAddr>().ok().map(|read| read.ip()));
    // Obfuscated ports, and brackets without a port.
    let bare = said.rsplit_once(":_").map_or(said, |(bare, _)| bare);
    let bare = bare.trim_start_matches('[').trim_end_matches(']');
    let address = address.or_else(|| bare.parse().ok());
    // A port that is too large for `SocketAddr`: RFC 7239 has five digits.
    let host = said.rsplit_once(':').map_or(said, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.or_else(|| host.parse().ok()).expect("an address");
    assert_eq!(client, address.to_canonical(), "{said}");
}

fn is_host(requested: &Requested<'_>, said: Option<&str>) {
    let Some(said) = said else {
        return assert_eq!(requested.host(), OWN);
    };
    let Ok(url) = Url::parse(&format!("https://{said}/")) else {
        // What is no Punycode is a name all the same.
        return assert!(requested.host().contains("xn--"), "{said}");
    };
    assert!(url.username().is_empty() && url.password().is_none() && url.path() == "/");
    // The standard writes `::ffff:c000:22b`, where Rust writes `::ffff:192.0.2.43`.
    let host = requested.host();
    let own = Url::parse(&format!("https://{host}/")).expect("a host");
    assert_eq!(url.host(), own.host(), "{said}");
    assert!(host == url.host_str().expect("a host") || host.contains("ffff:"));
    assert_eq!(url.port(), requested.port_beyond("https"), "{said}");
}

fn is_scheme(requested: &Requested<'_>, said: Option<&str>) {
    let said = said.map(str::to_ascii_lowercase);
    assert_eq!(requested.scheme(), said.as_deref());
}

/// The parameters of the last element, character by character.
fn last_element(line: &str) -> Vec<(String, String)> {
    let mut parameters = vec![(String::new(), String::new())];
    let (mut is_value, mut is_quoted) = (false, false);
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let (name, value) = parameters.last_mut().expect("one");
        match character {
            '"' => is_quoted = !is_quoted,
            '\\' if is_quoted => value.extend(characters.next()),
            ',' if !is_quoted => {
                parameters = vec![(String::new(), String::new())];
                is_value = false;
            }
            ';' if !is_quoted => {
                parameters.push((String::new(), String::new()));
                is_value = false;
            }
            '=' if !is_quoted && !is_value => is_value = true,
            ' ' | '\t' if !is_quoted => {}
            _ if is_value => value.push(character),
            _ => name.push(character),
        }
    }
    parameters.retain(|(name, _)| !name.is_empty());
    parameters
}
