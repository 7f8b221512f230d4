//! Other spellings of a URI that parsers take for the one a rule protects.
//!
//! The judge is `url::Url`, the WHATWG URL Standard in Rust: whatever it parses to the URL of
//! the protected resource is refused or asks for the scope of that resource, and no list shows
//! it.

use std::collections::BTreeSet;
use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_mcp_auth::mcp::{McpListsLayer, McpPolicy, Show};
use tower_mcp_auth::scopes::IncludeGranted;
use url::Url;

use crate::mcp::support::{auth, post, request, send};
use common::Answer;

/// One rule for administrators, and all else for readers.
fn policy(rule: &str) -> McpPolicy {
    let builder = McpPolicy::builder().resource(rule, "admin");
    let builder = builder.unwrap_or_else(|error| panic!("{rule}: {error}"));
    // The rule that is met is to be seen alone.
    let builder = builder.include_granted(IncludeGranted::Never);
    builder.resource("*", "read").unwrap().build().unwrap()
}

async fn read(policy: &McpPolicy, uri: &str) -> Answer {
    let body = request("resources/read", &json!({ "uri": uri }));
    send(policy, "read", &body).await
}

/// What of a list of these resources a reader sees.
async fn listed(policy: &McpPolicy, kind: &str, uris: &BTreeSet<String>) -> BTreeSet<String> {
    let member = if kind == "resources" {
        "uri"
    } else {
        "uriTemplate"
    };
    let items: Vec<_> = uris
        .iter()
        .map(|uri| json!({ member: uri, "name": "x" }))
        .collect();
    let list = json!({ "jsonrpc": "2.0", "id": 1, "result": { kind: items } }).to_string();
    let service = ServiceBuilder::new()
        .layer(auth())
        .layer(McpListsLayer::new(policy.clone()).show(Show::Granted))
        .service(service_fn(move |_: Request<Full<Bytes>>| {
            let response = Response::builder()
                .header("content-type", "application/json")
                .body(Full::<Bytes>::from(list.clone()))
                .unwrap();
            async { Ok::<_, Infallible>(response) }
        }));
    let response = service.oneshot(post("read", "{}")).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    let shown = answer["result"][kind].as_array().unwrap().iter();
    shown
        .map(|item| item[member].as_str().unwrap().to_owned())
        .collect()
}

/// Fails if a reader gets at `plain` by another spelling of it.
async fn meets_the_rule(
    rule: &str,
    plain: &str,
    spellings: impl IntoIterator<Item = String>,
) -> usize {
    let policy = policy(rule);
    // A fragment names a part of the same resource.
    let parsed = |uri: &str| {
        let mut parsed = Url::parse(uri).ok()?;
        parsed.set_fragment(None);
        Some(parsed)
    };
    let resource = parsed(plain);
    assert!(resource.is_some(), "{plain}");
    let is_same = |uri: &String| parsed(uri) == resource;
    let same: BTreeSet<String> = spellings.into_iter().filter(is_same).collect();
    let mut wrong = Vec::new();
    for uri in same.iter().map(String::as_str).chain([plain]) {
        let answer = read(&policy, uri).await;
        let is_right = match answer.status.as_u16() {
            400 => answer.error().reason() == "ambiguous_uri" && uri != plain,
            403 => answer.error().scopes().as_str() == "admin",
            _ => false,
        };
        if !is_right || answer.reached.is_some() {
            wrong.push(uri);
        }
    }
    assert!(
        wrong.is_empty(),
        "{rule}: read without the scope of {plain}: {wrong:#?}"
    );
    let shown = listed(&policy, "resources", &same).await;
    assert!(
        shown.is_empty(),
        "{rule}: listed without the scope of {plain}: {shown:#?}"
    );
    same.len()
}

/// Every text with one piece of each place, in which at most `most` are not the first of theirs.
fn combined(places: &[&[&str]], most: usize) -> Vec<String> {
    let mut texts = vec![(String::new(), 0)];
    for pieces in places {
        let mut longer = Vec::new();
        for (text, changes) in &texts {
            for (index, piece) in pieces.iter().enumerate() {
                let changes = changes + usize::from(index > 0);
                if changes <= most {
                    longer.push((format!("{text}{piece}"), changes));
                }
            }
        }
        texts = longer;
    }
    texts.into_iter().map(|(text, _)| text).collect()
}

const BEFORE: &[&str] = &["", " ", "\u{1}", "\t", "\u{0} \u{1f}", "\u{feff}"];
const AFTER: &[&str] = &["", " ", "\n", "#", "#part", "# ", "\u{1f}", " #"];
const COLON: &[&str] = &[":", "\t:", ":\n", "%3A"];
const SLASHES: &[&str] = &[
    "//", "", "/", "///", "////", "\\\\", "/\\", "\\/", "\\", "/\t/", "//\n", "/%2F", "%2F%2F",
    "//\\", "/ /",
];
const USERS: &[&str] = &["", "@", ":@", "%40", "\t@", "u@", "u:@", "%3A@"];

const PATHS: &[&str] = &[
    "/secret",
    "/%73ecret",
    "/s%65cret",
    "/secre%74",
    "/./secret",
    "/%2e/secret",
    "/%2E/secret",
    "/x/../secret",
    "/x/%2e%2e/secret",
    "/x/.%2E/secret",
    "/../secret",
    "\\secret",
    "/.\\secret",
    "/x\\..\\secret",
    "//secret",
    "/\t/../secret",
    "/se\ncret",
    "/\rsecret",
    "/secret/.",
    "/secret/x/..",
    "/x/..//secret",
    "/secret\t",
    "/%2Fsecret",
    "/SECRET",
];

#[tokio::test]
async fn of_schemes_with_a_host() {
    const HOSTS: &[&str] = &[
        "example.com",
        "EXAMPLE.com",
        "ex%61mple.com",
        "ex%41mple.com",
        "\u{ff45}xample.com",
        "%EF%BD%85xample.com",
        "ex\u{ad}ample.com",
        "ex%C2%ADample.com",
        "example\u{3002}com",
        "example\u{ff0e}com",
        "example%E3%80%82com",
        "example%2Ecom",
        "exa\tmple.com",
        "exam\u{200b}ple.com",
        "\u{1d41e}xample.com",
        "example.com.",
        "xn--example-.com",
        "e\u{2060}xample.com",
        "\u{24d4}xample.com",
        "example.c\u{ba}m",
        "example.c\u{2092}m",
    ];
    for (scheme, port, others) in [
        (
            "https",
            "443",
            &["https", "HTTPS", "hTtps", "h\tttps", "http%73"][..],
        ),
        ("http", "80", &["http", "HTTP", "htt\np"]),
        ("wss", "443", &["wss", "Wss"]),
        ("ws", "80", &["ws", "WS", "w\rs"]),
        ("ftp", "21", &["ftp", "FTP"]),
    ] {
        let zeros = [
            format!(":{port}"),
            format!(":0{port}"),
            format!(":000{port}"),
            format!(":{port}\t"),
        ];
        let mut ports = vec!["", ":", ":\t", "%3A"];
        ports.extend(zeros.iter().map(String::as_str));
        let places = [
            BEFORE, others, COLON, SLASHES, USERS, HOSTS, &ports, PATHS, AFTER,
        ];
        let plain = format!("{scheme}://example.com/secret");
        for (rule, changes) in [
            (format!("{scheme}://example.com/*"), 2),
            (format!("{scheme}://exam*"), 1),
            (plain.clone(), 1),
        ] {
            let tried = meets_the_rule(&rule, &plain, combined(&places, changes)).await;
            assert!(tried > 40, "{rule}: {tried}");
        }
        let places = [
            others,
            SLASHES,
            USERS,
            HOSTS,
            &ports,
            &[":8443"],
            &["/secret", "/./secret"],
        ];
        let mut spellings = combined(&places, 2);
        spellings.extend(
            [":08443", ":0008443", ":8443\t"]
                .map(|port| format!("{scheme}://example.com{port}/secret")),
        );
        let rule = format!("{scheme}://example.com:8443/*");
        meets_the_rule(
            &rule,
            &format!("{scheme}://example.com:8443/secret"),
            spellings,
        )
        .await;
    }
}

#[tokio::test]
async fn of_addresses() {
    const V4: &[&str] = &[
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0X7F000001",
        "017700000001",
        "127.1",
        "127.0.1",
        "0177.1",
        "0x7f.1",
        "0x7f.0.0.1",
        "127.0.0.0x1",
        "127.0.0.01",
        "127.0x0.1",
        "127.0.0.1.",
        "0x7F.1.",
        "127.0.00.1",
        "1\u{ff12}7.0.0.1",
        "127\u{3002}1",
        "%31%32%37.1",
        "\u{2460}27.1",
        "127.0.0.1%2E",
        "127.0.0.\u{b9}",
        "0000000000000000000000000000000177.1",
        "127.000.000.001",
    ];
    const V6: &[&str] = &[
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::0:1]",
        "[::0001]",
        "[::0.0.0.1]",
        "[0::1]",
        "[0::0:1]",
        "[0:0::0:1]",
        "[::\t1]",
        "%5B::1%5D",
        "[0:0:0:0:0:0:0.0.0.1]",
        "[::%31]",
        "[0000::1]",
    ];
    const LONG: &[&str] = &[
        "[1:2:3:4:5:6:7:8]",
        "[1:2:3:4:5:6:7::8]",
        "[1::2:3:4:5:6:7:8]",
        "[01:2:3:4:5:6:7:8]",
        "[1:2:3:4:5:6:0.7.0.8]",
        "[::1:2:3:4:5:6:7:8]",
        "[1:2:3:4:5:6:7:8::]",
    ];
    const MAPPED: &[&str] = &[
        "[::ffff:7f00:1]",
        "[::ffff:127.0.0.1]",
        "[::FFFF:7F00:1]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "[::ffff:7f00:0001]",
        "[0::ffff:127.0.0.1]",
    ];
    const ZEROS: &[&str] = &[
        "[1:0:2::3]",
        "[1:0:2:0:0:0:0:3]",
        "[1::2:0:0:0:0:3]",
        "[1:0:2::0:3]",
        "[01:0:2::3]",
    ];
    const ONE_ZERO: &[&str] = &[
        "[1:2:3:0:5:6:7:8]",
        "[1:2:3::5:6:7:8]",
        "[1:2:3:00:5:6:7:8]",
    ];
    for scheme in ["https", "http", "ws", "wss", "ftp", "file", "db", "note"] {
        for hosts in [V4, V6, LONG, MAPPED, ZEROS, ONE_ZERO] {
            let is_v4 = hosts[0].starts_with('1');
            if is_v4 && matches!(scheme, "db" | "note") {
                continue;
            }
            let scheme_place: &[&str] = &[scheme];
            let users = if scheme == "file" { &[""][..] } else { USERS };
            let places = [
                scheme_place,
                &["://", ":\\\\", ":///"],
                users,
                hosts,
                &["", ":", ":0"],
                PATHS,
            ];
            let plain = format!("{scheme}://{}/secret", hosts[0]);
            for (rule, changes) in [
                (format!("{scheme}://{}/*", hosts[0]), 2),
                (plain.clone(), 1),
            ] {
                let tried = meets_the_rule(&rule, &plain, combined(&places, changes)).await;
                assert!(tried > 1, "{rule}: {tried}");
            }
        }
    }
}

#[tokio::test]
async fn of_files() {
    const SCHEMES: &[&str] = &["file", "FILE", "fIle", "f\tile"];
    const HOSTS: &[&str] = &[
        "",
        "localhost",
        "LOCALHOST",
        "\u{ff4c}ocalhost",
        "localhos%EF%BD%94",
        "local\u{ad}host",
        "local%C2%ADhost",
        "l%6Fcalhost",
        "local\thost",
        "\u{2113}ocalhost",
        "localhost\u{200b}",
        "xn--localhost-",
        "localhost.",
        "@",
        "localhost:",
    ];
    const DRIVES: &[&str] = &[
        "/C:/secret",
        "/C|/secret",
        "/C%3A/secret",
        "/C%7C/secret",
        "C:/secret",
        "C|/secret",
        "/C:\\secret",
        "/C|\\secret",
        "\\C:\\secret",
        "//C:/secret",
        "/./C:/secret",
        "/C:/./secret",
        "/x/../C:/secret",
        "/C:/../secret",
        "/C:/../../secret",
        "/C|/..//secret",
        "/C:\tsecret",
        "/C:/x/../secret",
        "/../C:/secret",
        "/\tC:/secret",
        "/C\n:/secret",
    ];
    const SHARES: &[&str] = &[
        "server/share",
        "SERVER/share",
        "server//share",
        "server\\share",
        "serv%65r/share",
        "\u{ff53}erver/share",
        "server///share",
        "server/./share",
        "server\u{ad}/share",
        "server/x/../share",
        "server/\t/share",
    ];
    const PLAIN_SLASHES: &[&str] = &["//", "\\\\", "/\\", "\\/", "///", "/\t/"];
    const HOSTS_OF_DRIVES: &[&str] = &[
        "",
        "localhost",
        "server",
        "127.0.0.1",
        "[::1]",
        "c:",
        "x/..",
    ];
    let paths = [BEFORE, SCHEMES, COLON, SLASHES, HOSTS, PATHS, AFTER];
    for (rule, changes) in [
        ("file:///*", 2),
        ("file:///secret", 1),
        ("file:///sec*", 1),
        ("file:*", 1),
        ("file://*", 1),
    ] {
        let tried = meets_the_rule(rule, "file:///secret", combined(&paths, changes)).await;
        assert!(tried > 20, "{rule}: {tried}");
    }
    let drives = [
        BEFORE,
        SCHEMES,
        COLON,
        SLASHES,
        HOSTS_OF_DRIVES,
        DRIVES,
        AFTER,
    ];
    for (rule, changes) in [
        ("file:///C:/*", 2),
        ("file:///C:/secret", 1),
        ("file:///{drive}/secret", 1),
    ] {
        let tried = meets_the_rule(rule, "file:///C:/secret", combined(&drives, changes)).await;
        assert!(tried > 20, "{rule}: {tried}");
    }
    let shares = combined(&[SCHEMES, COLON, PLAIN_SLASHES, SHARES, AFTER], 2);
    for rule in [
        "file://server/share",
        "file://server/*",
        "file://{host}/share",
    ] {
        let tried = meets_the_rule(rule, "file://server/share", shares.clone()).await;
        assert!(tried > 20, "{rule}: {tried}");
    }
    let roots = [
        "file:",
        "file:/",
        "file://",
        "file:///",
        "file:////",
        "file:\\",
        "file:#x",
        "file://#x",
        "FILE:",
        "file:.",
        "file:..",
        "file:/.",
        "file://localhost",
        "file:///x/..",
        "file://./..",
    ];
    for rule in ["file:///", "file:///*", "file://*"] {
        let tried = meets_the_rule(rule, "file:///", roots.map(str::to_owned)).await;
        assert!(tried > 8, "{rule}: {tried}");
    }
}

#[tokio::test]
async fn of_nothing_behind_the_host() {
    for (plain, rule) in [
        ("https://example.com/", "https://example.com/*"),
        ("https://example.com/", "https://example.com/"),
        ("https://example.com/", "https://example.com"),
        ("https://example.com", "https://example.com/"),
        ("https://example.com/?q", "https://example.com/*"),
        ("https://example.com?q", "https://example.com"),
        ("https://example.com/?q", "https://example.com?q"),
    ] {
        let spellings = [
            "https://example.com",
            "https://example.com/",
            "https://example.com\\",
            "https:example.com",
            "https://example.com#x",
            "https://example.com/#x",
            "https://example.com/.",
            "HTTPS://EXAMPLE.COM",
            "https://example.com?q",
            "https://example.com/?q",
            "https://example.com?q#x",
            "https://example.com:?q",
            "https://example.com/./?q",
            "https://example.com/x/..?q",
            "https://@example.com?q",
        ];
        meets_the_rule(rule, plain, spellings.map(str::to_owned)).await;
    }
}

/// Servers know such URIs by any text, and the `url` crate folds some of it.
#[tokio::test]
async fn of_schemes_of_ones_own() {
    const PATHS: &[&str] = &[
        "/secret",
        "/./secret",
        "/%2e/secret",
        "/x/../secret",
        "/x/%2E%2e/secret",
        "/se\tcret",
        "/secret/.",
        "/../secret",
        "/x/.%2e/secret",
        "/\nsecret",
    ];
    let schemes: &[&str] = &["db", "DB", "d\tb"];
    let places = [
        BEFORE,
        schemes,
        &[":", ":\t"],
        &["//", "/\n/"],
        &["", "@", ":@", "\t@"],
        &["host", "h\tost"],
        &[":5432", ":05432", ":0005432", ":5\n432"],
        PATHS,
        AFTER,
    ];
    for rule in [
        "db://host:5432/secret",
        "db://host:5432/*",
        "db://{server}/secret",
        "db://host*",
    ] {
        let spellings = combined(&places, 2);
        let tried = meets_the_rule(rule, "db://host:5432/secret", spellings).await;
        assert!(tried > 40, "{rule}: {tried}");
    }
    let places = [
        schemes,
        &["://"],
        &["u@", "u:@", "u\t@", "%75@"],
        &["host", "%68ost"],
        &["", ":"],
        PATHS,
    ];
    for rule in ["db://u@host/secret", "db://u@host/*"] {
        let tried = meets_the_rule(rule, "db://u@host/secret", combined(&places, 3)).await;
        assert!(tried > 20, "{rule}: {tried}");
    }
    // What is encoded in the place of the host is a part of its name.
    for (plain, other) in [
        ("db://u%40host:5432/secret", "db://@u%40host:5432/secret"),
        ("db://u%40host/secret", "db://:@u%40host/secret"),
        ("db://u@v%40host/secret", "db://u:@v%40host/secret"),
        ("db://u%3Av@host/secret", "db://u%3Av:@host/secret"),
        ("db://host%3A80/secret", "db://host%3A80:/secret"),
        ("db://host%3A80:80/secret", "db://host%3A80:080/secret"),
    ] {
        let prefix = plain.replace("secret", "*");
        for rule in [plain, &prefix] {
            let tried = meets_the_rule(rule, plain, [other.to_owned()]).await;
            assert_eq!(tried, 1, "{other}");
        }
    }
    let places: [&[&str]; 4] = [
        BEFORE,
        &["note", "NOTE", "n\note"],
        &[":a b", ":a\tb", ":a\u{20}b", ":a\n b", ":a b\t"],
        AFTER,
    ];
    for rule in ["note:a b", "note:a%20b", "note:*", "note:a *"] {
        let tried = meets_the_rule(rule, "note:a b", combined(&places, 3)).await;
        assert!(tried > 5, "{rule}: {tried}");
    }
    let places: [&[&str]; 3] = [
        &["x:/", "x:\t/", "X:/"],
        &[
            "secret",
            "./secret",
            "a/../secret",
            "%2e/secret",
            "secret/../secret",
        ],
        AFTER,
    ];
    for rule in ["x:/secret", "x:/*", "x:*"] {
        meets_the_rule(rule, "x:/secret", combined(&places, 3)).await;
    }
}

#[tokio::test]
async fn of_characters_that_are_encoded_or_not() {
    for (plain, others) in [
        (
            "file:///a b",
            &[
                "file:///a%20b",
                "FILE:///a b",
                "file:///a b#x",
                "file:///a\t b",
            ][..],
        ),
        ("file:///a%20b", &["file:///a b", "file:/a b"]),
        (
            "file:///a{b}",
            &["file:///a%7Bb%7D", "file:///a%7bb}", "file:///a{b%7d"],
        ),
        ("file:///a%7Bb%7D", &["file:///a{b}"]),
        (
            "https://example.com/\"<>`",
            &["https://example.com/%22%3C%3E%60"],
        ),
        (
            "https://example.com/?'\"<>",
            &[
                "https://example.com/?%27%22%3C%3E",
                "https://example.com?'\"<>",
            ],
        ),
        (
            "https://example.com/\u{e4}",
            &["https://example.com/%C3%A4"],
        ),
        (
            "https://example.com/%c3%a4",
            &["https://example.com/%c3%a4#x"],
        ),
        ("file:///a\u{a0}b", &["file:///a%C2%A0b"]),
        ("file:///a%C2%A0", &["file:///a\u{a0}"]),
        ("file:///a%EF%BB%BFb", &["file:///a\u{feff}b"]),
        ("file:///a%20", &["file:///a #x", "file:///a%20#x"]),
        ("file:///%EF%BB%BF", &["file:///\u{feff}"]),
        (
            "db://u%20v@host/x",
            &["db://u v@host/x", "db://u%20v@host/x"],
        ),
        ("db://host/a^b|c", &["db://host/a^b|c"]),
        ("db://h\u{e4}/x", &["db://h%C3%A4/x"]),
    ] {
        let prefix = format!("{}*", &plain[..plain.find(['/', '?']).unwrap()]);
        let mut rules = vec![&*prefix];
        // In a rule, braces are a variable.
        if !plain.contains('{') {
            rules.push(plain);
        }
        for rule in rules {
            let others = others.iter().map(|other| (*other).to_owned());
            let tried = meets_the_rule(rule, plain, others).await;
            assert!(tried > 0, "{plain}");
        }
    }
}

/// One character is changed in each place, or two are.
#[tokio::test]
async fn of_single_characters() {
    fn changed(text: &str) -> Vec<String> {
        const INSERTED: [&str; 24] = [
            "\t", "\n", "\r", " ", "\0", "\u{1f}", "\u{7f}", "\u{ad}", "\u{200b}", "\u{200d}",
            "\u{2060}", "\u{feff}", "/", "\\", ".", "./", "../", "x/../", "%2e/", "@", ":", "0",
            "?", "#",
        ];
        let mut texts = Vec::new();
        for (at, character) in text.char_indices() {
            let (before, after) = (&text[..at], &text[at + character.len_utf8()..]);
            texts.push(format!("{before}{after}"));
            let wide = char::from_u32(u32::from(character) + 0xFEE0);
            let mut instead: Vec<String> = wide.iter().map(char::to_string).collect();
            let mut buffer = [0; 4];
            for encode in [
                |byte: &u8| format!("%{byte:02x}"),
                |byte: &u8| format!("%{byte:02X}"),
            ] {
                let bytes = character.encode_utf8(&mut buffer).as_bytes();
                instead.push(bytes.iter().map(encode).collect());
            }
            if let Some(wide) = wide {
                let bytes = wide.encode_utf8(&mut buffer).bytes();
                instead.push(bytes.map(|byte| format!("%{byte:02X}")).collect());
            }
            instead.extend([
                character.to_ascii_uppercase().to_string(),
                character.to_ascii_lowercase().to_string(),
                "|".to_owned(),
                "\\".to_owned(),
                "\u{3002}".to_owned(),
            ]);
            texts.extend(
                instead
                    .iter()
                    .map(|other| format!("{before}{other}{after}")),
            );
            texts.extend(
                INSERTED
                    .iter()
                    .map(|added| format!("{before}{added}{}", &text[at..])),
            );
        }
        texts.extend(INSERTED.iter().map(|added| format!("{text}{added}")));
        texts
    }

    for (plain, rule) in [
        ("https://a.example/s/x", "https://a.example/s/*"),
        ("https://a.example/", "https://a.example/*"),
        ("http://a.example:81/s?q", "http://a.example:81/*"),
        ("https://[::1]/s", "https://[::1]/*"),
        ("https://10.0.0.1/s", "https://10.0.0.1/*"),
        ("https://xn--4ca.example/s", "https://xn--4ca.example/*"),
        ("file:///s/x", "file:///s/*"),
        ("file:///C:/x", "file:///C:/*"),
        ("file://h/x", "file://h/*"),
        ("db://h:1/s/x", "db://h:1/s/*"),
        ("db://u:p@h/x", "db://u:p@h/*"),
        ("x:/s/t", "x:/s/*"),
        ("note:s", "note:s"),
    ] {
        let once = changed(plain);
        let mut spellings = once.clone();
        if plain.len() <= 12 {
            spellings.extend(once.iter().flat_map(|text| changed(text)));
        }
        let tried = meets_the_rule(rule, plain, spellings.clone()).await;
        assert!(tried > 10, "{plain}: {tried}");
        meets_the_rule(plain, plain, once).await;
    }
}

/// What real servers use.
#[tokio::test]
async fn plain_uris_are_found_by_their_rules() {
    for (rule, uri) in [
        ("file:///a b", "file:///a b"),
        ("file:///a b/*", "file:///a b/c d"),
        ("file:///home/.*", "file:///home/.bashrc"),
        ("file:///C:/Users/*", "file:///C:/Users/x"),
        ("file://server/share/*", "file://server/share/x"),
        ("file://wsl$/Debian/*", "file://wsl$/Debian/x"),
        ("note://x", "note://x"),
        ("note://{id}", "note://17"),
        ("users://{id}/profile", "users://17/profile"),
        ("note:{id}", "note:{id}"),
        ("memo://insights", "memo://insights"),
        (
            "demo://resource/static/document/*",
            "demo://resource/static/document/a.md",
        ),
        ("screen://localhost:8080/*", "screen://localhost:8080/x"),
        (
            "postgres://user@host/table/schema",
            "postgres://user@host/table/schema",
        ),
        ("urn:isbn:*", "urn:isbn:0451450523"),
        ("data:text/plain,*", "data:text/plain,x"),
        ("https://user@example.com/x", "https://user@example.com/x"),
        (
            "https://sub_domain.example.com:8443/*",
            "https://sub_domain.example.com:8443/x",
        ),
        ("https://xn--mnchen-3ya.de/*", "https://xn--mnchen-3ya.de/x"),
        ("https://{tenant}/docs", "https://acme.example/docs"),
        ("https://example.com*", "https://example.com/x"),
        ("https://example.com*", "https://example.com.au/x"),
        ("https://example.com:8*", "https://example.com:8443/x"),
        ("https://127.*", "https://127.0.0.1/x"),
        ("https://[::*", "https://[::1]/x"),
        ("https:*", "https://example.com/"),
        ("https:/*", "https://example.com/"),
        ("h*", "https://example.com/"),
        ("odd:/a//b", "odd:/a//b"),
        ("odd:a\\b", "odd:a\\b"),
        ("note://a%2Fb", "note://a%2Fb"),
        ("note://100%", "note://100%"),
        ("secret", "secret"),
        ("Readme", "Readme"),
    ] {
        if rule == "note:{id}" {
            assert!(McpPolicy::builder().resource(rule, "admin").is_err());
            continue;
        }
        let answer = read(&policy(rule), uri).await;
        assert_eq!(answer.error().scopes().as_str(), "admin", "{rule} {uri}");
        assert!(
            listed(
                &policy(rule),
                "resources",
                &BTreeSet::from([uri.to_owned()])
            )
            .await
            .is_empty()
        );
    }
}

/// The plainer spelling would fall under a wider rule.
#[test]
fn a_rule_that_has_a_plainer_spelling_is_refused() {
    for rule in [
        "https://example.com:443/x",
        "https://example.com:/x",
        "https://example.com:08443/x",
        "http://example.com:80/*",
        "ftp://example.com:21/*",
        "https:/example.com/x",
        "https:example.com/x",
        "https:///example.com/x",
        "https://@example.com/x",
        "https://user:@example.com/x",
        "https://example.com./x",
        "https://\u{ff45}xample.com/x",
        "https://127.1/x",
        "https://0x7f000001/*",
        "https://[::0:1]/*",
        "https://[::ffff:127.0.0.1]/x",
        "https://xn--example-.com/x",
        "https://example.com/a/../b",
        "https://example.com/./b",
        "https://example.com\\x",
        "file://localhost/x",
        "file://localhost/*",
        "file:/x",
        "file:x",
        "file:///C|/x",
        "file://C:/x",
        "file://server/C:/*",
        "file:////x",
        "file://server//x",
        "file:///a%2Fb/../c",
        "file:///a//../b",
        "db://host:/x",
        "db://host:05/*",
        "db://@host/*",
        "db://@h*",
        "db://[::0:1]/x",
        "odd:/a/../b",
        " note:x",
        "note:x ",
        "note:\tx",
        "note:x\u{a0}",
        "\u{feff}note:x",
        "file:///a\nb",
        "FILE*",
        "https://EXAMPLE.com:443*x",
    ] {
        let error = McpPolicy::builder().resource(rule, "admin").unwrap_err();
        assert_eq!(error.setting(), "resources", "{rule}: {error}");
    }
}

#[tokio::test]
async fn braces_that_are_encoded_are_no_variables() {
    for (rule, uri) in [
        ("file:///a%7Bb/*", "file:///a%7Bb/secret"),
        ("file:///a%7bb/*", "file:///a{b/secret"),
        ("file:///a%7Bb%7D/*", "file:///a{b}/secret"),
        ("file:///%7Bb%7D/{x}", "file:///%7bb%7d/secret"),
        ("file:///{x}/%7D", "file:///secret/}"),
        ("file:///%7B*", "file:///{secret"),
        ("file:///{x}/%7B/*", "file:///%7B/%7B/%7B"),
        ("note://%7B%7D", "note://{}"),
        ("note://%7Bx%7D*", "note://{x}y"),
    ] {
        let answer = read(&policy(rule), uri).await;
        assert_eq!(answer.error().scopes().as_str(), "admin", "{rule} {uri}");
    }
}

/// A template is judged by what its URIs begin with.
#[tokio::test]
async fn of_templates() {
    for (rule, template) in [
        ("https://example.com/secret", "https://example.com{/path}"),
        (
            "https://example.com/secret",
            "https://example.com:443{/path}",
        ),
        (
            "https://example.com/secret",
            "https://example.com{x}/secret",
        ),
        (
            "https://example.com/secret",
            "https://EXAMPLE.com:{port}/secret",
        ),
        ("https://example.com/secret", "https://{host}/secret"),
        ("https://example.com/secret", "https:{rest}"),
        ("https://example.com/secret", "HTTPS://ex%61mple.com/{x}"),
        ("https://127.0.0.1/secret", "https://127.{x}/secret"),
        ("https://127.0.0.1/secret", "https://0x7f{x}/secret"),
        ("https://[::1]/secret", "https://[::0:{x}]/secret"),
        ("https://example.com/secret", "https://example.com/./{x}"),
        ("https://example.com/secret", "https:///example.com/{x}"),
        ("file:///secret/x", "file://localhost/secret/{x}"),
        ("file:///secret/x", "file://local{x}/secret/x"),
        ("file:///secret/x", "file:/secret/{x}"),
        ("file:///secret/x", "file://{host}/secret/x"),
        ("file:///C:/secret", "file:///C{x}/secret"),
        ("file:///C:/secret", "file:///C|/{x}"),
        ("file:///C:/secret", "file://server/{x}/secret"),
        ("db://host:1/secret", "db://host:0{x}/secret"),
        ("db://host:1/secret", "db://@{x}/secret"),
        ("db://[::1]/secret", "db://[0::{x}]/secret"),
        ("note:secret", "note:secret {x}"),
        (
            "https://example.com/secret",
            "https://example.com/x/{a}/../../secret",
        ),
        (
            "file:///secret/x",
            "file:///x/{a}/{b}/%2e%2E/..\\../secret/x",
        ),
        ("db:/secret", "db:/x{/a}/../..{/b}"),
        ("https://example.com/secret", "https://example.com/x/..{/y}"),
        (
            "https://example.com/secret",
            "https://example.com/x/{a}/.\n./../secret",
        ),
    ] {
        let policy = policy(rule);
        let reference = json!({ "type": "ref/resource", "uri": template });
        let body = request("completion/complete", &json!({ "ref": reference }));
        let answer = send(&policy, "read", &body).await;
        let is_refused = answer.error().reason() == "ambiguous_uri";
        assert!(
            is_refused || answer.error().scopes().contains("admin"),
            "{rule} {template}"
        );
    }
    let builder = McpPolicy::builder()
        .resource("https://a.example/*", "admin")
        .unwrap();
    let policy = builder
        .resource("https://b.example/*", "read")
        .unwrap()
        .build()
        .unwrap();
    let templates = [
        "https://a.example/{x}",
        "https://a.example{/x}",
        "https://b.example{/x}",
        "https://b.example:443{/x}",
    ];
    let shown = listed(
        &policy,
        "resourceTemplates",
        &templates.map(str::to_owned).into(),
    )
    .await;
    assert_eq!(shown, BTreeSet::from(["https://b.example{/x}".to_owned()]));
}
