//! The address of the client.

use proptest::prelude::*;

use super::{CLIENT, PROXY, UNTRUSTED, client, client_of, forwarded, x_forwarded};

type Client = Result<Option<&'static str>, &'static str>;

const BAD: Client = Err("malformed_forwarded");

#[track_caller]
fn is(told: &Result<Option<String>, &'static str>, expected: Client, row: &dyn std::fmt::Debug) {
    let told = told.as_ref().map(Option::as_deref).map_err(|code| *code);
    assert_eq!(told, expected, "{row:?}");
}

#[test]
fn from_anybody_but_a_proxy_headers_are_ignored() {
    let claims = [
        ("x-forwarded-for", CLIENT),
        ("forwarded", "for=203.0.113.9"),
        ("x-real-ip", CLIENT),
    ];
    let garbage = [("x-forwarded-for", "?"), ("forwarded", "\"")];
    for proxies in [forwarded(), x_forwarded()] {
        for headers in [&claims[..], &garbage, &[]] {
            for peer in [UNTRUSTED, "2001:db8::1"] {
                let told = client_of(&proxies, Some(peer), headers);
                assert_eq!(told, Ok(Some(peer.into())));
            }
            assert_eq!(client_of(&proxies, None, headers), Ok(None));
        }
    }
}

#[test]
fn only_the_headers_that_were_named_are_read() {
    let own = Ok(Some(PROXY));
    let x = [("x-forwarded-for", CLIENT), ("x-real-ip", CLIENT)];
    is(&client(&forwarded(), &x), own, &x);
    let standard = [("forwarded", "for=203.0.113.9")];
    is(&client(&x_forwarded(), &standard), own, &standard);
    // Not even to find that they are garbage.
    let both = [("x-forwarded-for", "?"), ("forwarded", "for=203.0.113.9")];
    is(&client(&forwarded(), &both), Ok(Some(CLIENT)), &both);
    let both = [("x-forwarded-for", CLIENT), ("forwarded", "\"")];
    is(&client(&x_forwarded(), &both), Ok(Some(CLIENT)), &both);
}

#[test]
fn a_proxy_that_forwards_nothing_is_the_client() {
    for proxies in [forwarded(), x_forwarded()] {
        is(&client(&proxies, &[("host", "a")]), Ok(Some(PROXY)), &"");
    }
}

#[test]
fn forwarded_is_read_by_its_grammar() {
    for (value, expected) in [
        ("for=203.0.113.9", Ok(Some(CLIENT))),
        ("For=203.0.113.9", Ok(Some(CLIENT))),
        ("for=\"203.0.113.9\"", Ok(Some(CLIENT))),
        ("for=\"203.0.113.9:4711\"", Ok(Some(CLIENT))),
        ("for=\"203.0.113.9:_port\"", Ok(Some(CLIENT))),
        ("for=\"[2001:db8:0:0::17]\"", Ok(Some("2001:db8::17"))),
        ("for=\"[2001:db8::17]:4711\"", Ok(Some("2001:db8::17"))),
        ("for=\"[::ffff:203.0.113.9]\"", Ok(Some(CLIENT))),
        ("by=_p;for=203.0.113.9;proto=http;host=a", Ok(Some(CLIENT))),
        ("by=_p; for=203.0.113.9 ;proto=http", Ok(Some(CLIENT))),
        ("for=203.0.113.9;", Ok(Some(CLIENT))),
        (";for=203.0.113.9", Ok(Some(CLIENT))),
        (
            "secret=\"a;for=b, \\\"c\";for=203.0.113.9",
            Ok(Some(CLIENT)),
        ),
        // A proxy that keeps the address to itself.
        ("for=unknown", Ok(None)),
        ("for=Unknown", Ok(None)),
        ("for=_hidden", Ok(None)),
        ("for=\"_SEVKISEK.1-2\"", Ok(None)),
        ("for=\"unknown:4711\"", Ok(None)),
        ("for=\"_hidden:_port\"", Ok(None)),
        ("proto=https", Ok(None)),
        // What cannot have been meant.
        ("", BAD),
        (" ", BAD),
        (";", BAD),
        (",", BAD),
        ("for", BAD),
        ("for=", BAD),
        ("=203.0.113.9", BAD),
        ("for =203.0.113.9", BAD),
        ("for= 203.0.113.9", BAD),
        ("for=203.0.113.9 proto=http", BAD),
        ("for=203.0.113.9;for=198.51.100.1", BAD),
        ("for=203.0.113.9;FOR=203.0.113.9", BAD),
        ("for=203.0.113.9;by=_a;by=_b", BAD),
        ("for=203.0.113.9,", BAD),
        ("for=203.0.113.9, ,", BAD),
        ("for=203.0.113.9:4711", BAD),
        ("for=[2001:db8::17]", BAD),
        ("for=\"2001:db8::17\"", BAD),
        ("for=\"[2001:db8::17\"", BAD),
        ("for=\"[2001:db8::17]4711\"", BAD),
        ("for=\"[2001:db8::17%25eth0]\"", BAD),
        ("for=\"[203.0.113.9]\"", BAD),
        ("for=\"203.0.113.9:\"", BAD),
        ("for=\"203.0.113.9:471100\"", BAD),
        ("for=\"203.0.113.9:4711:1\"", BAD),
        ("for=\"203.0.113.9:http\"", BAD),
        ("for=\" 203.0.113.9\"", BAD),
        ("for=\"203.0.113.\\9\"", BAD),
        ("for=\"203.0.113.9", BAD),
        ("for=\"203.0.113.9\\\"", BAD),
        ("for=203.0.113.9\"", BAD),
        ("for=\"203.0.113\".9", BAD),
        ("for=\"\"", BAD),
        ("for=_", BAD),
        ("for=\"_hidden node\"", BAD),
        ("for=hidden", BAD),
        ("for=0203.0.113.9", BAD),
        ("for=203.0.113", BAD),
        ("for=203.0.113.9.", BAD),
        ("for=203.0.113.9;ho\u{f6}st=a", BAD),
        ("for='203.0.113.9'", BAD),
    ] {
        is(
            &client(&forwarded(), &[("forwarded", value)]),
            expected,
            &value,
        );
    }
}

#[test]
fn x_forwarded_for_is_a_list_of_addresses() {
    for (value, expected) in [
        ("203.0.113.9", Ok(Some(CLIENT))),
        (" \t203.0.113.9 ", Ok(Some(CLIENT))),
        ("203.0.113.9:4711", Ok(Some(CLIENT))),
        ("::ffff:203.0.113.9", Ok(Some(CLIENT))),
        ("[::ffff:203.0.113.9]:1", Ok(Some(CLIENT))),
        ("2001:db8:0::17", Ok(Some("2001:db8::17"))),
        ("[2001:db8::17]", Ok(Some("2001:db8::17"))),
        ("[2001:db8::17]:4711", Ok(Some("2001:db8::17"))),
        ("unknown", Ok(None)),
        ("_hidden", Ok(None)),
        ("", BAD),
        (" ", BAD),
        (",", BAD),
        ("203.0.113.9,", BAD),
        ("203.0.113.9, ", BAD),
        ("localhost", BAD),
        ("client.example.com", BAD),
        ("203.0.113.9 203.0.113.9", BAD),
        ("203.0.113.9;203.0.113.9", BAD),
        ("\"203.0.113.9\"", BAD),
        ("for=203.0.113.9", BAD),
        ("203.0.113", BAD),
        ("203.0.113.009", BAD),
        ("3405803785", BAD),
        ("0xcb.0.113.9", BAD),
        ("203.0.113.9:", BAD),
        ("203.0.113.9:x", BAD),
        ("203.0.113.9:70000", BAD),
        ("203.0.113.9/32", BAD),
        ("user@203.0.113.9", BAD),
        ("fe80::1%eth0", BAD),
        ("[fe80::1%1]:80", BAD),
        ("[203.0.113.9]", BAD),
        ("2001:db8::17]", BAD),
        ("203.0.113.9\u{e4}", BAD),
    ] {
        let headers = [("x-forwarded-for", value)];
        is(&client(&x_forwarded(), &headers), expected, &value);
    }
}

/// What a proxy appends to what its client sent.
#[test]
fn what_the_client_wrote_before_the_proxy_changes_nothing() {
    for (lines, expected) in [
        (&["198.51.100.1, 203.0.113.9"][..], Ok(Some(CLIENT))),
        (&["198.51.100.1,203.0.113.9"], Ok(Some(CLIENT))),
        (&["?, , 10.0.0.8,203.0.113.9"], Ok(Some(CLIENT))),
        (&["\u{e4}", "203.0.113.9"], Ok(Some(CLIENT))),
        (&["198.51.100.1", "203.0.113.9"], Ok(Some(CLIENT))),
        (&["203.0.113.9", "198.51.100.1"], Ok(Some("198.51.100.1"))),
        // A proxy of which nothing came is not replaced by its client.
        (&["203.0.113.9", ""], BAD),
        (&["203.0.113.9, "], BAD),
    ] {
        let headers: Vec<_> = lines
            .iter()
            .map(|line| ("x-forwarded-for", *line))
            .collect();
        is(&client(&x_forwarded(), &headers), expected, &lines);
    }
    for (lines, expected) in [
        (&["for=198.51.100.1, for=203.0.113.9"][..], Ok(Some(CLIENT))),
        (&["for=198.51.100.1,for=203.0.113.9"], Ok(Some(CLIENT))),
        (&["for=?\"", "for=203.0.113.9"], BAD),
        (&["for=hidden;host=?", "for=203.0.113.9"], BAD),
        (&["for=hidden;host=x", "for=203.0.113.9"], Ok(Some(CLIENT))),
        (&["for=198.51.100.1", "for=203.0.113.9"], Ok(Some(CLIENT))),
        (&["for=198.51.100.1", ""], BAD),
        // Open quotes swallow what the proxy wrote, for some readers.
        (&["for=\"198.51.100.1, for=203.0.113.9"], BAD),
        (&["for=198.51.100.1;x=\"", "for=203.0.113.9"], BAD),
        (&["for=198.51.100.1;x=\", for=\"203.0.113.9\""], BAD),
        (&["for=198.51.100.1;x=\"", "for=203.0.113.9;y=\""], BAD),
        (&["for=198.51.100.1;x=\"\\\", for=\"203.0.113.9\""], BAD),
    ] {
        let headers: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
        is(&client(&forwarded(), &headers), expected, &lines);
    }
}

#[test]
fn with_several_proxies_the_first_that_is_none_is_the_client() {
    for (hops, list, expected) in [
        (1, "203.0.113.9, 10.0.0.8", Ok(Some("10.0.0.8"))),
        (2, "203.0.113.9, 10.0.0.8", Ok(Some(CLIENT))),
        (2, "198.51.100.1, 203.0.113.9, 10.0.0.8", Ok(Some(CLIENT))),
        (2, "203.0.113.9, ::ffff:10.0.0.8", Ok(Some(CLIENT))),
        (3, "203.0.113.9, 10.0.0.9, 10.0.0.8", Ok(Some(CLIENT))),
        // Who goes around the outer proxy is seen by the inner one.
        (2, "198.51.100.1, 203.0.113.9", Ok(Some(CLIENT))),
        (3, "198.51.100.1, 203.0.113.9, 10.0.0.8", Ok(Some(CLIENT))),
        // However many elements name proxies, no more count than there are.
        (2, "198.51.100.1, 10.0.0.9, 10.0.0.8", Ok(Some("10.0.0.9"))),
        // The outer proxy asks for itself.
        (2, "10.0.0.8", Ok(Some("10.0.0.8"))),
        (16, "10.0.0.9, 10.0.0.8", Ok(Some("10.0.0.9"))),
        (2, "203.0.113.9, unknown", Ok(None)),
        (2, "unknown, 10.0.0.8", Ok(None)),
        (2, "?, 10.0.0.8", BAD),
        (2, ", 10.0.0.8", BAD),
        (2, "?, 203.0.113.9, 10.0.0.8", Ok(Some(CLIENT))),
    ] {
        let proxies = x_forwarded().hops(hops).unwrap();
        let told = client(&proxies, &[("x-forwarded-for", list)]);
        is(&told, expected, &(hops, list));
        // Line by line it is the same list.
        let lines: Vec<_> = list
            .split(", ")
            .map(|line| ("x-forwarded-for", line))
            .collect();
        is(&client(&proxies, &lines), expected, &lines);
        if list.contains(['?', ':']) || list.starts_with(',') {
            continue;
        }
        let proxies = forwarded().hops(hops).unwrap();
        let elements: Vec<_> = list.split(", ").map(|node| format!("for={node}")).collect();
        let told = client(&proxies, &[("forwarded", &elements.join(", "))]);
        is(&told, expected, &elements);
        let lines: Vec<_> = elements.iter().map(|one| ("forwarded", &**one)).collect();
        is(&client(&proxies, &lines), expected, &lines);
    }
    // More than are ever looked at.
    let many = vec!["for=10.0.0.8"; 40].join(", ");
    let list = format!("for=203.0.113.9, {many}");
    let proxies = forwarded().hops(16).unwrap();
    is(
        &client(&proxies, &[("forwarded", &list)]),
        Ok(Some("10.0.0.8")),
        &"40",
    );
}

#[test]
fn a_refusal_names_the_header_and_repeats_it_harmlessly() {
    let request = super::from(Some(PROXY), &[("x-forwarded-for", "a\tb")]);
    let head = tower_mcp_auth::RequestHead::of(&request);
    let error = x_forwarded().client(head).unwrap_err();
    let detail = error.detail().unwrap();
    assert!(
        detail.contains("`X-Forwarded-For`") && detail.contains("\"a\\tb\""),
        "{detail}"
    );
    assert!(!error.description().contains("a\\tb"));

    // What stands before a host, and what a proxy may prove itself by, are no concern of a log.
    for (proxies, name, value) in [
        (x_forwarded(), "x-forwarded-host", "user:hunter2@a.example"),
        (x_forwarded(), "x-forwarded-for", "user:hunter2@a.example"),
        (forwarded(), "forwarded", "host=\"user:hunter2@a.example\""),
        (forwarded(), "forwarded", "secret=hunter2;for=\""),
    ] {
        let request = super::from(Some(PROXY), &[("host", "a.example"), (name, value)]);
        let head = tower_mcp_auth::RequestHead::of(&request);
        let error = tower_mcp_auth::peer::requested(head, Some(&proxies)).unwrap_err();
        assert_eq!(error.reason(), "malformed_forwarded", "{value}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "for=",
        "host=",
        "proto=",
        "by=",
        "\"",
        "\\",
        ",",
        ";",
        "=",
        " ",
        "\t",
        "198.51.100.1",
        "10.0.0.8",
        "[2001:db8::1]",
        "unknown",
        "_x",
        "evil.example",
        "https",
        "?",
        ":80",
        "x",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// Whatever a client sends, the proxy's own element counts, or nothing does.
    #[test]
    fn no_text_of_a_client_takes_the_place_of_the_proxys(text in pieces(), more in pieces()) {
        let own = "for=\"203.0.113.9\";host=\"a.example\";proto=https";
        for (proxies, name, own) in [
            (forwarded(), "forwarded", own),
            (x_forwarded(), "x-forwarded-for", CLIENT),
        ] {
            let appended = format!("{text}, {own}");
            let rows: [Vec<(&str, &str)>; 4] = [
                vec![(name, &text), (name, own)],
                vec![(name, &appended)],
                vec![(name, &more), (name, &appended)],
                vec![(name, &text), (name, &more), (name, own)],
            ];
            for headers in rows {
                let told = client(&proxies, &headers);
                let right = matches!(&told, Ok(Some(client)) if client == CLIENT) || told.is_err();
                prop_assert!(right, "{headers:?}: {told:?}");
                if name == "x-forwarded-for" {
                    prop_assert!(told.is_ok(), "{headers:?}");
                }
            }
        }
    }
}
