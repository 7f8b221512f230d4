//! The host of a request itself.

use http::{Request, Version};
use tower_mcp_auth::RequestHead;
use tower_mcp_auth::peer::requested;

use super::{Headers, host_of};

const TWO: Result<&str, &str> = Err("ambiguous_host");
const BAD: Result<&str, &str> = Err("malformed_host");
const NONE: Result<&str, &str> = Err("missing_host");

#[track_caller]
fn sent(target: &str, version: Version, hosts: &[&str]) -> Result<String, &'static str> {
    let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
    let mut request = common::request_to(target, &headers);
    *request.version_mut() = version;
    host_of(None, &request)
}

#[test]
fn a_host_is_read_in_the_one_way_it_can_be_read() {
    for (host, expected) in [
        ("a.example.com", Ok("- a.example.com")),
        ("A.Example.COM", Ok("- a.example.com")),
        ("a.example.com:443", Ok("- a.example.com:443")),
        ("a.example.com:80", Ok("- a.example.com:80")),
        ("a.example.com:8443", Ok("- a.example.com:8443")),
        ("a_b-1.example", Ok("- a_b-1.example")),
        ("xn--mnchen-3ya.example", Ok("- xn--mnchen-3ya.example")),
        ("localhost", Ok("- localhost")),
        ("192.0.2.1:3000", Ok("- 192.0.2.1:3000")),
        ("[2001:DB8:0::1]", Ok("- [2001:db8::1]")),
        ("[2001:db8::1]:8443", Ok("- [2001:db8::1]:8443")),
        ("", BAD),
        (" ", BAD),
        (".", BAD),
        ("a.example.com.", BAD),
        ("a.example.com.:443", BAD),
        ("a..example.com", BAD),
        (".example.com", BAD),
        ("user@a.example.com", BAD),
        ("user:pass@a.example.com", BAD),
        ("@a.example.com", BAD),
        ("a.example.com@", BAD),
        (":443", BAD),
        ("a.example.com:", BAD),
        ("a.example.com:0443", BAD),
        ("a.example.com:+443", BAD),
        ("a.example.com:0", BAD),
        ("a.example.com:65536", BAD),
        ("a.example.com:443:443", BAD),
        ("a.example.com:http", BAD),
        ("a.example.com:443 ", BAD),
        (" a.example.com", BAD),
        ("a.example.com b.example.com", BAD),
        ("a.example.com\tb.example.com", BAD),
        ("a.example.com, b.example.com", BAD),
        ("a.example.com,a.example.com", BAD),
        ("a.example.com/", BAD),
        ("a.example.com?x", BAD),
        ("a.example.com#x", BAD),
        ("a.example.com\\b", BAD),
        ("https://a.example.com", BAD),
        ("//a.example.com", BAD),
        ("a%2eexample.com", BAD),
        ("*.example.com", BAD),
        ("127.1", BAD),
        ("0x7f000001", BAD),
        ("0177.0.0.1", BAD),
        ("2130706433", BAD),
        ("192.0.2.1.", BAD),
        ("a.example.1", BAD),
        ("::1", BAD),
        ("[::1", BAD),
        ("[::1]x", BAD),
        ("[::1]:", BAD),
        ("[fe80::1%25eth0]", BAD),
        ("[fe80::1%eth0]", BAD),
        ("[v1.x]", BAD),
        ("[192.0.2.1]", BAD),
        ("b\u{fc}cher.example", BAD),
        ("a\u{3002}example", BAD),
        ("\"a.example.com\"", BAD),
    ] {
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            let told = sent("/mcp", version, &[host]);
            assert_eq!(told.as_deref().map_err(|code| *code), expected, "{host:?}");
        }
    }
}

#[test]
fn a_request_names_one_host() {
    for (target, hosts, expected) in [
        ("/mcp", &[][..], NONE),
        ("/mcp", &["a.example", "a.example"], TWO),
        ("/mcp", &["a.example", "b.example"], TWO),
        ("/mcp", &["a.example", ""], TWO),
        // HTTP/2 has the host in the target, and so has an absolute one of HTTP/1.
        ("https://a.example/mcp", &[], Ok("- a.example")),
        ("https://A.example:443/mcp", &[], Ok("- a.example:443")),
        ("https://a.example/mcp", &["a.example"], Ok("- a.example")),
        ("https://a.example/mcp", &["A.EXAMPLE"], Ok("- a.example")),
        (
            "https://a.example/mcp",
            &["a.example:443"],
            Ok("- a.example:443"),
        ),
        (
            "https://a.example:443/mcp",
            &["a.example"],
            Ok("- a.example:443"),
        ),
        (
            "http://a.example/mcp",
            &["a.example:80"],
            Ok("- a.example:80"),
        ),
        (
            "http://a.example:8080/mcp",
            &["a.example:8080"],
            Ok("- a.example:8080"),
        ),
        (
            "https://[2001:db8::1]/mcp",
            &["[2001:DB8:0::1]"],
            Ok("- [2001:db8::1]"),
        ),
        ("https://a.example/mcp", &["a.example", "a.example"], TWO),
        ("https://a.example/mcp", &["b.example"], TWO),
        ("https://a.example/mcp", &["a.example.evil.example"], TWO),
        ("https://a.example/mcp", &["a.example:8443"], TWO),
        ("https://a.example/mcp", &["a.example:80"], TWO),
        ("http://a.example/mcp", &["a.example:443"], TWO),
        ("https://a.example:8443/mcp", &["a.example"], TWO),
        ("https://192.0.2.1/mcp", &["[::ffff:192.0.2.1]"], TWO),
        ("https://a.example/mcp", &[""], BAD),
        ("https://a.example/mcp", &["a.example."], BAD),
        ("https://a.example./mcp", &["a.example"], BAD),
        ("https://a.example./mcp", &[], BAD),
        ("https://user@a.example/mcp", &[], BAD),
        ("https://user@a.example/mcp", &["a.example"], BAD),
        ("https://a.example:/mcp", &[], BAD),
    ] {
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            let told = sent(target, version, hosts);
            let told = told.as_deref().map_err(|code| *code);
            assert_eq!(told, expected, "{target} {hosts:?}");
        }
    }
    // `CONNECT` has an authority and no scheme, so no port is the default one.
    let mut connect =
        Request::connect("a.example:443").body(common::request::<&str>(&[]).into_body());
    let mut told = |host: &str| {
        let request = connect.as_mut().unwrap();
        request.headers_mut().insert("host", host.parse().unwrap());
        host_of(None, request)
    };
    assert_eq!(told("a.example:443").as_deref(), Ok("- a.example:443"));
    assert_eq!(told("a.example"), Err("ambiguous_host"));
}

#[test]
fn the_default_port_is_that_of_the_scheme_that_is_asked_for() {
    for (host, scheme, port) in [
        ("a.example.com", "https", None),
        ("a.example.com:443", "https", None),
        ("a.example.com:443", "HTTPS", None),
        ("a.example.com:443", "http", Some(443)),
        ("a.example.com:80", "http", None),
        ("a.example.com:80", "https", Some(80)),
        ("a.example.com:8443", "https", Some(8443)),
        ("a.example.com:443", "ftp", Some(443)),
    ] {
        let headers: Headers<'_> = &[("host", host)];
        let request = common::request(headers);
        let requested = requested(RequestHead::of(&request), None).unwrap();
        assert_eq!(requested.port_beyond(scheme), port, "{host} {scheme}");
        assert!(!requested.is_by_proxy());
    }
}

#[test]
fn a_host_in_lower_case_is_not_copied() {
    for (host, is_borrowed) in [("a.example.com:8080", true), ("A.example.com", false)] {
        let request = common::request(&[("host", host)]);
        let requested = requested(RequestHead::of(&request), None).unwrap();
        let host = requested.host();
        assert_eq!(matches!(host, std::borrow::Cow::Borrowed(_)), is_borrowed);
    }
}

#[test]
fn a_refusal_shows_the_host_without_a_password() {
    let request = common::request(&[("host", "user:hunter2@a.example\u{202e}")]);
    let error = requested(RequestHead::of(&request), None).unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    let request = common::request_to("https://user:hunter2@a.example/", &[("host", "b.example")]);
    let error = requested(RequestHead::of(&request), None).unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}
