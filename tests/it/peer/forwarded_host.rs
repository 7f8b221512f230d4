//! The host that a proxy names.

use tower_mcp_auth::RequestHead;
use tower_mcp_auth::peer::{TrustedProxies, requested};

use super::{Headers, PROXY, UNTRUSTED, forwarded, from, host_of, x_forwarded};

type Host = Result<&'static str, &'static str>;

const BAD: Host = Err("malformed_forwarded");
/// The host that the proxy connects to.
const OWN: (&str, &str) = ("host", "127.0.0.1:3000");

#[track_caller]
fn check(proxies: &TrustedProxies, headers: Headers<'_>, expected: Host) {
    let request = from(Some(PROXY), headers);
    let told = host_of(Some(proxies), &request);
    let told = told.as_deref().map_err(|code| *code);
    assert_eq!(told, expected, "{headers:?}");
    // From anybody else nothing of it counts, and nothing of it is looked at.
    for peer in [Some(UNTRUSTED), None] {
        let request = from(peer, headers);
        let own = host_of(None, &request);
        assert_eq!(host_of(Some(proxies), &request), own, "{headers:?}");
    }
}

#[test]
fn forwarded_names_host_and_scheme() {
    for (value, expected) in [
        ("host=a.example", Ok("- a.example")),
        ("Host=A.Example", Ok("- a.example")),
        ("host=\"a.example:8443\"", Ok("- a.example:8443")),
        ("host=\"[2001:DB8::1]\"", Ok("- [2001:db8::1]")),
        (
            "for=unknown;host=a.example;proto=https",
            Ok("https a.example"),
        ),
        ("proto=HTTP;host=a.example", Ok("http a.example")),
        ("proto=https", Ok("https 127.0.0.1:3000")),
        ("for=203.0.113.9", Ok("- 127.0.0.1:3000")),
        ("host=evil.example, host=a.example", Ok("- a.example")),
        // The proxy did not name one, and its client does not name it in its place.
        ("host=evil.example, for=203.0.113.9", Ok("- 127.0.0.1:3000")),
        (
            "host=evil.example;proto=https, proto=http",
            Ok("http 127.0.0.1:3000"),
        ),
        ("host=evil., host=a.example", Ok("- a.example")),
        ("host=a.example:8443", BAD),
        ("host=\"a.example.\"", BAD),
        ("host=\"user@a.example\"", BAD),
        ("host=\"a.example, b.example\"", BAD),
        ("host=\"a.ex\\ample\"", BAD),
        ("host=\"\"", BAD),
        ("host=127.1", BAD),
        ("host=a.example;host=b.example", BAD),
        ("host=a.example;proto=ftp", BAD),
        ("host=a.example;proto=\"https \"", BAD),
        ("host=a.example;for=?", BAD),
        ("host=a.example;for=hidden", BAD),
        ("host=a.example,", BAD),
    ] {
        check(&forwarded(), &[OWN, ("forwarded", value)], expected);
    }
}

#[test]
fn x_forwarded_names_host_and_scheme() {
    for (host, proto, expected) in [
        (Some("a.example"), None, Ok("- a.example")),
        (
            Some("A.EXAMPLE:443"),
            Some("https"),
            Ok("https a.example:443"),
        ),
        (Some("[2001:db8:0::1]"), None, Ok("- [2001:db8::1]")),
        (None, Some("https"), Ok("https 127.0.0.1:3000")),
        (Some("a.example"), Some("HTTP"), Ok("http a.example")),
        (Some("evil.example, a.example"), None, Ok("- a.example")),
        (
            Some("evil., a.example"),
            Some("ftp, https"),
            Ok("https a.example"),
        ),
        (Some("a.example,"), None, BAD),
        (Some(""), None, BAD),
        (Some("a.example."), None, BAD),
        (Some("user@a.example"), None, BAD),
        (Some("a.example b.example"), None, BAD),
        (Some("\"a.example\""), None, BAD),
        (Some("https://a.example"), None, BAD),
        (Some("a.example:0443"), None, BAD),
        (Some("\u{e4}.example"), None, BAD),
        (Some("a.example"), Some(""), BAD),
        (Some("a.example"), Some("wss"), BAD),
        (Some("a.example"), Some("https:"), BAD),
    ] {
        let mut headers = vec![OWN];
        headers.extend(host.map(|host| ("x-forwarded-host", host)));
        headers.extend(proto.map(|proto| ("x-forwarded-proto", proto)));
        check(&x_forwarded(), &headers, expected);
        headers.push(("x-forwarded-for", "198.51.100.1, 203.0.113.9"));
        check(&x_forwarded(), &headers, expected);
    }
    // Lines are one list.
    let lines = [
        OWN,
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-host", "a.example"),
    ];
    check(&x_forwarded(), &lines, Ok("- a.example"));
    // An address that cannot be read leaves open who the proxy's client is.
    let headers = [
        OWN,
        ("x-forwarded-host", "a.example"),
        ("x-forwarded-for", "?"),
    ];
    check(&x_forwarded(), &headers, BAD);
}

#[test]
fn only_the_headers_that_were_named_are_read() {
    let names = [
        "x-forwarded-host",
        "x-forwarded-server",
        "x-host",
        "x-original-host",
        "x-forwarded",
    ];
    let others: Vec<_> = names.iter().map(|name| (*name, "evil.example")).collect();
    let own = || [OWN].into_iter();
    let headers: Vec<_> = own().chain(others.iter().copied()).collect();
    check(&forwarded(), &headers, Ok("- 127.0.0.1:3000"));
    let headers: Vec<_> = own()
        .chain([("forwarded", "host=evil.example")])
        .chain(others[1..].iter().copied())
        .chain([("x-forwarded-port", "8443"), ("x-forwarded-scheme", "http")])
        .collect();
    check(&x_forwarded(), &headers, Ok("- 127.0.0.1:3000"));
}

#[test]
fn with_several_proxies_the_element_of_the_outermost_counts() {
    let two = || forwarded().hops(2).unwrap();
    for (value, expected) in [
        (
            "for=203.0.113.9;host=a.example;proto=https, for=10.0.0.8;host=inner;proto=http",
            Ok("https a.example"),
        ),
        (
            "host=evil.example, for=203.0.113.9;host=a.example, for=10.0.0.8;host=inner",
            Ok("- a.example"),
        ),
        // A peer that goes around the outer proxy writes what it would write.
        (
            "for=203.0.113.9;host=evil.example, for=192.0.2.66;host=inner.example",
            Ok("- inner.example"),
        ),
        (
            "for=203.0.113.9;host=evil.example, for=unknown;host=inner.example",
            Ok("- inner.example"),
        ),
        (
            "for=203.0.113.9;host=evil.example, host=inner.example",
            Ok("- inner.example"),
        ),
        ("for=10.0.0.8;host=a.example", Ok("- a.example")),
        (
            "for=203.0.113.9, for=10.0.0.8;host=inner",
            Ok("- 127.0.0.1:3000"),
        ),
    ] {
        check(&two(), &[OWN, ("forwarded", value)], expected);
    }
    let two = || x_forwarded().hops(2).unwrap();
    for (clients, hosts, expected) in [
        (
            "203.0.113.9, 10.0.0.8",
            "a.example, inner",
            Ok("- a.example"),
        ),
        (
            "203.0.113.9, 10.0.0.8",
            "evil.example, a.example, inner",
            Ok("- a.example"),
        ),
        // The inner proxy leaves the header as the outer one replaced it.
        ("203.0.113.9, 10.0.0.8", "a.example", Ok("- a.example")),
        (
            "203.0.113.9, 192.0.2.66",
            "evil.example, inner.example",
            Ok("- inner.example"),
        ),
    ] {
        let headers = [
            OWN,
            ("x-forwarded-for", clients),
            ("x-forwarded-host", hosts),
        ];
        check(&two(), &headers, expected);
    }
    // Without addresses nothing says that there was a second proxy.
    let headers = [OWN, ("x-forwarded-host", "evil.example, a.example")];
    check(&two(), &headers, Ok("- a.example"));
}

#[test]
fn what_is_wrong_with_the_request_itself_no_proxy_mends() {
    let named = ("x-forwarded-host", "a.example");
    for (hosts, expected) in [
        (&["a.example", "b.example"][..], Err("ambiguous_host")),
        (&["a.example."], Err("malformed_host")),
        (&["user@a.example"], Err("malformed_host")),
        // A proxy that names its client's host may leave its own out.
        (&[], Ok("- a.example")),
    ] {
        let mut headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        headers.push(named);
        let request = from(Some(PROXY), &headers);
        let told = host_of(Some(&x_forwarded()), &request);
        let told = told.as_deref().map_err(|code| *code);
        assert_eq!(told, expected, "{hosts:?}");
    }
    let nothing = from(Some(PROXY), &[("x-forwarded-proto", "https")]);
    let told = host_of(Some(&x_forwarded()), &nothing);
    assert_eq!(told, Err("missing_host"));
}

#[test]
fn a_host_that_a_proxy_names_can_be_left_out_of_account() {
    let own = x_forwarded().forwarded_host(false);
    let headers = [
        OWN,
        ("x-forwarded-host", "evil."),
        ("x-forwarded-proto", "https"),
    ];
    check(&own, &headers, Ok("https 127.0.0.1:3000"));
    let own = forwarded().forwarded_host(false);
    let headers = [OWN, ("forwarded", "host=evil.example;proto=https")];
    check(&own, &headers, Ok("https 127.0.0.1:3000"));
}

#[test]
fn what_a_proxy_says_is_marked() {
    for (headers, by_proxy) in [
        (&[OWN][..], false),
        (&[OWN, ("x-forwarded-for", "203.0.113.9")], false),
        (&[OWN, ("forwarded", "host=a.example")], false),
        (&[OWN, ("x-forwarded-host", "a.example")], true),
        (&[OWN, ("x-forwarded-host", "127.0.0.1:3000")], true),
        (&[OWN, ("x-forwarded-proto", "https")], true),
    ] {
        for (peer, trusted) in [(PROXY, true), (UNTRUSTED, false)] {
            let request = from(Some(peer), headers);
            let proxies = x_forwarded();
            let requested = requested(RequestHead::of(&request), Some(&proxies)).unwrap();
            assert_eq!(requested.is_by_proxy(), by_proxy && trusted, "{headers:?}");
        }
    }
}
