//! `SessionBindingLayer`.

use std::time::Duration;

use http::{Method, Response};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt};
use tower_mcp_auth::auth::ResponseBody;
use tower_mcp_auth::mcp::{MacKey, SessionBindingLayer};
use tower_mcp_auth::{AuthError, AuthErrorKind, Clock, Principal};
use tracing::Level;

use crate::mcp::session::support::{Body, Server, Who, alice, key, mallory, request};
use common::trace;

const METHODS: [Method; 3] = [Method::POST, Method::GET, Method::DELETE];
const SESSION: &str = "mcp-session-id";
const VERSION: &str = "mcp-protocol-version";
const LAST: &str = "last-event-id";

fn layer() -> SessionBindingLayer {
    layer_of(0)
}

/// When a session was opened is a part of its id, so all are opened at once.
fn layer_of(number: usize) -> SessionBindingLayer {
    let clock = Clock::manual(Duration::from_secs(1_800_000_000));
    SessionBindingLayer::new(key(number)).clock(clock)
}

type Answer = Response<ResponseBody<Body>>;

async fn send<V: AsRef<[u8]>>(
    layer: &SessionBindingLayer,
    server: &Server,
    who: &Who,
    method: &Method,
    headers: &[(&str, V)],
) -> Answer {
    let request = request(who, method, headers);
    layer.layer(server.clone()).oneshot(request).await.unwrap()
}

/// The bound id of the session `inner` of `who`.
async fn open(layer: &SessionBindingLayer, who: &Who, inner: &str) -> String {
    let server = Server::opening(&[inner]);
    let answer = send::<&str>(layer, &server, who, &Method::POST, &[]).await;
    assert_eq!(answer.status(), 200);
    answer.headers()[SESSION].to_str().unwrap().to_owned()
}

/// What the server behind sees as session id, or the refusal's status and reason.
async fn present<V: AsRef<[u8]>>(
    layer: &SessionBindingLayer,
    who: &Who,
    method: &Method,
    headers: &[(&str, V)],
) -> Result<(Option<String>, Option<String>), (u16, &'static str)> {
    let server = Server::default();
    let answer = send(layer, &server, who, method, headers).await;
    let mut seen = server.take();
    if let Some(error) = answer.extensions().get::<AuthError>() {
        common::assert_explained(error);
        assert!(seen.is_empty(), "a refused request was passed on");
        return Err((answer.status().as_u16(), error.reason()));
    }
    assert_eq!((answer.status().as_u16(), seen.len()), (200, 1));
    let parts = seen.remove(0);
    let text = |name| {
        let mut values = parts.headers.get_all(name).iter();
        let first = values.next().map(|v| v.to_str().unwrap().to_owned());
        assert!(values.next().is_none(), "two values of {name}");
        first
    };
    Ok((text(SESSION), text(LAST)))
}

const UNKNOWN: (u16, &str) = (404, "unknown_session");

#[tokio::test]
async fn a_layer_twice_around_one_service_binds_twice_and_serves() {
    let layer = layer();
    for other in [layer.clone(), SessionBindingLayer::new(key(1))] {
        let twice = |server: Server| layer.layer(other.layer(server));
        let opened = twice(Server::opening(&["one"]));
        let opened = opened.oneshot(request::<&str>(&alice(), &Method::POST, &[]));
        let bound = opened.await.unwrap().headers()[SESSION].clone();
        for (who, status, seen) in [(alice(), 200, Some("one")), (mallory(), 404, None)] {
            let server = Server::default();
            let again = request(&who, &Method::POST, &[(SESSION, bound.as_bytes())]);
            let answer = twice(server.clone()).oneshot(again).await.unwrap();
            assert_eq!(answer.status(), status);
            let reached = server.take().pop();
            let inner = reached
                .as_ref()
                .map(|head| head.headers[SESSION].as_bytes());
            assert_eq!(inner, seen.map(str::as_bytes));
        }
    }
}

#[tokio::test]
async fn the_owner_uses_a_session_on_every_method() {
    let layer = layer();
    let longest = "~".repeat(256);
    for inner in [
        "one",
        "!",
        "a.b.c",
        "9d2f6d0e-8a5a-4b0e-a5a3-0d4f",
        &longest,
    ] {
        let bound = open(&layer, &alice(), inner).await;
        assert_ne!(bound, inner);
        assert!(bound.len() <= 512, "{}", bound.len());
        assert!(bound.bytes().all(|byte| byte.is_ascii_graphic()));
        for method in METHODS {
            let headers = [(SESSION, &*bound), (LAST, "7")];
            let seen = present(&layer, &alice(), &method, &headers).await;
            assert_eq!(seen, Ok((Some(inner.to_owned()), Some("7".to_owned()))));
        }
    }
}

#[tokio::test]
async fn is_used_by_no_other() {
    let layer = layer();
    let anonymous_in_name = Who::Principal(Principal::builder("anonymous").build());
    let machine = |client: &str| {
        let builder = Principal::builder("oauth").subject("alice");
        Who::Principal(builder.client_id(client).build())
    };
    let elsewhere = |issuer: &str| {
        let builder = Principal::builder("oauth").subject("alice");
        Who::Principal(builder.issuer(issuer.to_owned()).build())
    };
    let everyone = [
        alice(),
        mallory(),
        Who::Anonymous,
        anonymous_in_name,
        machine("one"),
        machine("two"),
        elsewhere("https://a.example"),
        elsewhere("https://a.example/"),
        Who::Principal(Principal::builder("jwt").subject("alice").build()),
    ];
    for (i, owner) in everyone.iter().enumerate() {
        let bound = open(&layer, owner, "one").await;
        for (j, other) in everyone.iter().enumerate() {
            for method in METHODS {
                let seen = present(&layer, other, &method, &[(SESSION, &bound)]).await;
                if i == j {
                    assert_eq!(seen, Ok((Some("one".to_owned()), None)), "{owner:?}");
                } else {
                    assert_eq!(seen, Err(UNKNOWN), "{owner:?} {other:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn no_character_moves_from_one_part_to_the_next() {
    let principal = |subject: &str| {
        let builder = Principal::builder("oauth").subject(subject.to_owned());
        Who::Principal(builder.build())
    };
    let layer = layer();
    for [(owner, inner), (other, other_inner)] in [
        [("alice", "1one"), ("alice1", "one")],
        [("alice1", "one"), ("alice", "1one")],
    ] {
        let bound = open(&layer, &principal(owner), inner).await;
        let moved = format!("{other_inner}{}", &bound[inner.len()..]);
        let headers = [(SESSION, &*moved)];
        let seen = present(&layer, &principal(other), &Method::POST, &headers).await;
        assert_eq!(seen, Err(UNKNOWN), "{owner} {inner}");
    }
}

#[tokio::test]
async fn what_was_never_bound_is_unknown() {
    let layer = layer();
    let bound = open(&layer, &alice(), "one").await;
    let (inner, seal) = bound.split_at(bound.len() - 61);
    assert_eq!(inner, "one");
    let mut hostile: Vec<Vec<u8>> = [
        String::new(),
        "one".to_owned(),
        seal.to_owned(),
        seal[1..].to_owned(),
        format!("two{seal}"),
        format!("one.{seal}"),
        format!("one{seal}="),
        format!("one{seal}{seal}"),
        format!("{bound}, {bound}"),
        format!("\u{e9}{seal}"),
        format!("o e{seal}"),
        format!("{}{seal}", "x".repeat(257)),
        "x".repeat(512),
        "x".repeat(100_000),
        format!("one.{}", "A".repeat(60)),
        format!("one.{}", "+".repeat(60)),
        bound.to_ascii_lowercase(),
        bound.to_ascii_uppercase(),
    ]
    .map(String::into_bytes)
    .into();
    hostile.push(b"\xff\xfe".to_vec());
    // Cut at any place, and with any one bit another.
    hostile.extend((1..bound.len()).map(|at| bound.as_bytes()[..at].to_vec()));
    hostile.extend((1..bound.len()).map(|at| bound.as_bytes()[at..].to_vec()));
    for at in 0..bound.len() {
        for bit in 0..7 {
            let mut bytes = bound.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            if bytes[at] >= b' ' && bytes[at] != 0x7f {
                hostile.push(bytes);
            }
        }
    }
    for id in hostile {
        let shown = String::from_utf8_lossy(&id).into_owned();
        for method in METHODS {
            let seen = present(&layer, &alice(), &method, &[(SESSION, &id)]).await;
            assert_eq!(seen, Err(UNKNOWN), "{shown}");
        }
    }
}

#[tokio::test]
async fn every_404_is_the_same() {
    let layer = layer();
    let bound = open(&layer, &alice(), "one").await;
    let other_key = SessionBindingLayer::new(key(1));
    let forged = open(&other_key, &mallory(), "one").await;
    let mut answers = Vec::new();
    for method in METHODS {
        for headers in [
            [(SESSION, &*bound)],
            [(SESSION, "one")],
            [(SESSION, &bound[..bound.len() - 1])],
            [(SESSION, &forged)],
            [(LAST, "7")],
        ] {
            let server = Server::default();
            let answer = send(&layer, &server, &mallory(), &method, &headers).await;
            assert!(server.take().is_empty());
            let error = answer.extensions().get::<AuthError>().unwrap();
            assert_eq!(error.kind(), AuthErrorKind::UnknownSession);
            let (parts, body) = answer.into_parts();
            assert_eq!(parts.status, 404);
            assert!(!parts.headers.contains_key("www-authenticate"));
            let body = body.collect().await.unwrap().to_bytes();
            answers.push((parts.headers, body));
        }
    }
    assert!(
        answers.windows(2).all(|two| two[0] == two[1]),
        "{answers:?}"
    );
}

#[tokio::test]
async fn versions_decide_whether_there_are_sessions() {
    let layer = layer();
    let bound = open(&layer, &alice(), "one").await;
    let kept = Some("one".to_owned());
    for (version, sessions) in [
        (None, true),
        (Some("2024-11-05"), true),
        (Some("2025-03-26"), true),
        (Some("2025-06-18"), true),
        (Some("2025-11-25"), true),
        (Some("2026-07-27"), true),
        (Some("2026-07-28"), false),
        (Some("2026-07-29"), false),
        (Some("2026-10-01"), false),
        (Some("9999-99-99"), false),
        // No revision with sessions has such a name.
        (Some(""), false),
        (Some("draft"), false),
        (Some("2025-11-25, 2026-07-28"), false),
        (Some("2025-11-2"), false),
        (Some("02025-11-25"), false),
        (Some("2025/11/25"), false),
    ] {
        for method in METHODS {
            for (id, good) in [(&*bound, true), ("one", false), ("", false)] {
                let mut headers = vec![(SESSION, id), (LAST, "7")];
                headers.extend(version.map(|version| (VERSION, version)));
                let seen = present(&layer, &alice(), &method, &headers).await;
                let expected = match (sessions, good) {
                    (true, true) => Ok((kept.clone(), Some("7".to_owned()))),
                    (true, false) => Err(UNKNOWN),
                    (false, _) => Ok((None, None)),
                };
                assert_eq!(seen, expected, "{version:?} {id:?}");
            }
            // Without a session there is nothing to resume.
            let mut headers = vec![(LAST, "7")];
            headers.extend(version.map(|version| (VERSION, version)));
            let seen = present(&layer, &alice(), &method, &headers).await;
            let expected = if sessions {
                Err(UNKNOWN)
            } else {
                Ok((None, None))
            };
            assert_eq!(seen, expected, "{version:?}");
        }
    }
}

/// HTTP/2 does not take it off.
#[tokio::test]
async fn white_space_around_a_value_is_no_part_of_it() {
    let layer = layer();
    let bound = open(&layer, &alice(), "one").await;
    for (before, after) in [(" ", ""), ("", " "), ("\t", " \t")] {
        let id = format!("{before}{bound}{after}");
        for version in ["2025-11-25", " 2025-11-25", "2025-06-18\t"] {
            let headers = [(SESSION, &*id), (VERSION, version)];
            let seen = present(&layer, &alice(), &Method::POST, &headers).await;
            assert_eq!(seen, Ok((Some("one".to_owned()), None)), "{version:?}");
            let seen = present(&layer, &mallory(), &Method::POST, &headers).await;
            assert_eq!(seen, Err(UNKNOWN), "{version:?}");
        }
        let version = format!("{before}2026-07-28{after}");
        let headers = [(SESSION, &*id), (VERSION, &*version)];
        let seen = present(&layer, &alice(), &Method::POST, &headers).await;
        assert_eq!(seen, Ok((None, None)), "{version:?}");
    }
    let inside = format!("{} {}", &bound[..5], &bound[5..]);
    let seen = present(&layer, &alice(), &Method::POST, &[(SESSION, &*inside)]).await;
    assert_eq!(seen, Err(UNKNOWN));
}

#[tokio::test]
async fn headers_that_are_there_twice_are_refused() {
    let layer = layer();
    let bound = &*open(&layer, &alice(), "one").await;
    let two: [(&[(&str, &str)], &str); 6] = [
        (
            &[(SESSION, bound), (SESSION, bound)],
            "duplicate_session_id",
        ),
        (
            &[(SESSION, bound), (SESSION, "one")],
            "duplicate_session_id",
        ),
        (
            &[(SESSION, "one"), (SESSION, bound)],
            "duplicate_session_id",
        ),
        (
            &[(SESSION, bound), (LAST, "7"), (LAST, "8")],
            "duplicate_last_event_id",
        ),
        (
            &[(VERSION, "2025-11-25"), (VERSION, "2025-11-25")],
            "duplicate_protocol_version",
        ),
        (
            &[
                (SESSION, bound),
                (VERSION, "2026-07-28"),
                (VERSION, "2025-11-25"),
            ],
            "duplicate_protocol_version",
        ),
    ];
    for (headers, reason) in two {
        for method in METHODS {
            let seen = present(&layer, &alice(), &method, headers).await;
            assert_eq!(seen, Err((400, reason)), "{headers:?}");
        }
    }
}

#[tokio::test]
async fn requests_without_a_session_pass_untouched() {
    for who in [alice(), Who::Anonymous] {
        for method in METHODS {
            let seen = present::<&str>(&layer(), &who, &method, &[]).await;
            assert_eq!(seen, Ok((None, None)));
        }
    }
}

#[tokio::test]
async fn every_response_with_a_session_is_rewritten() {
    // Whatever the method, the version, and whether the request was in the session already.
    let layer = layer();
    let bound = open(&layer, &alice(), "one").await;
    for method in METHODS {
        for headers in [
            vec![],
            vec![(SESSION, &*bound)],
            vec![(VERSION, "2026-07-28")],
            vec![(VERSION, "2025-11-25"), (SESSION, &bound)],
        ] {
            let server = Server::opening(&["one"]);
            let answer = send(&layer, &server, &alice(), &method, &headers).await;
            let ids: Vec<_> = answer.headers().get_all(SESSION).iter().collect();
            assert_eq!(ids, [&bound]);
            assert!(ids[0].is_sensitive(), "shown by Debug");
        }
    }
}

#[tokio::test]
async fn an_id_that_cannot_be_bound_is_our_own_mistake() {
    let long = "x".repeat(257);
    let unusable: [&[&[u8]]; 6] = [
        &[b""],
        &[b"with space"],
        &[b"caf\xc3\xa9"],
        &[b"tab\there"],
        &[long.as_bytes()],
        &[b"one", b"two"],
    ];
    for ids in unusable {
        trace::start();
        let server = Server::opening(ids);
        let answer = send::<&str>(&layer(), &server, &alice(), &Method::POST, &[]).await;
        assert_eq!(answer.status(), 500, "{ids:?}");
        assert!(!answer.headers().contains_key(SESSION));
        let errors: Vec<_> = trace::take();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0].level, Level::ERROR);
    }
}

#[tokio::test]
async fn without_an_auth_layer_every_request_is_a_500() {
    let bound = open(&layer(), &Who::Anonymous, "one").await;
    for headers in [
        vec![],
        vec![(SESSION, &*bound)],
        vec![(VERSION, "2026-07-28")],
    ] {
        trace::start();
        let server = Server::opening(&["two"]);
        let answer = send(&layer(), &server, &Who::Unjudged, &Method::POST, &headers).await;
        assert_eq!(answer.status(), 500);
        assert!(server.take().is_empty());
        let told = trace::take();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].level, Level::ERROR);
        assert_eq!(told[0].field("piece"), "SessionBindingLayer");
    }
}

#[tokio::test]
async fn keys_are_changed_without_losing_a_session() {
    let session = |layer: SessionBindingLayer| async move {
        let bound = open(&layer, &alice(), "one").await;
        (layer, bound)
    };
    let (old, by_old) = session(layer_of(0)).await;
    let (first, by_first) = session(layer_of(0).also_accept(key(1)).unwrap()).await;
    let (second, by_second) = session(layer_of(1).also_accept(key(0)).unwrap()).await;
    let (new, by_new) = session(layer_of(1)).await;
    // A second key is accepted, and binds nothing.
    assert_eq!(by_old, by_first);
    assert_eq!(by_second, by_new);
    assert_ne!(by_old, by_new);
    for (layer, known, unknown) in [
        (&old, vec![&by_old], vec![&by_new]),
        (&first, vec![&by_old, &by_new], vec![]),
        (&second, vec![&by_old, &by_new], vec![]),
        (&new, vec![&by_new], vec![&by_old]),
    ] {
        for id in known {
            let seen = present(layer, &alice(), &Method::POST, &[(SESSION, id)]).await;
            assert_eq!(seen, Ok((Some("one".to_owned()), None)));
            let seen = present(layer, &mallory(), &Method::POST, &[(SESSION, id)]).await;
            assert_eq!(seen, Err(UNKNOWN));
        }
        for id in unknown {
            let seen = present(layer, &alice(), &Method::POST, &[(SESSION, id)]).await;
            assert_eq!(seen, Err(UNKNOWN));
        }
    }
}

#[tokio::test]
async fn replicas_agree_and_other_servers_do_not() {
    let here = layer().server("https://mcp.example.com/a");
    let replica = layer().server("https://mcp.example.com/a");
    let bound = open(&here, &alice(), "one").await;
    for (layer, agrees) in [
        (&replica, true),
        (&layer().server("https://mcp.example.com/b"), false),
        (&layer(), false),
        (
            &SessionBindingLayer::new(key(1)).server("https://mcp.example.com/a"),
            false,
        ),
        (
            &SessionBindingLayer::new(MacKey::ephemeral().unwrap()),
            false,
        ),
    ] {
        let seen = present(layer, &alice(), &Method::POST, &[(SESSION, &bound)]).await;
        assert_eq!(seen.is_ok(), agrees, "{layer:?}");
    }
    // Nor do two processes that made up their keys.
    let [one, two] = [(); 2].map(|()| MacKey::ephemeral().unwrap());
    let bound = open(&SessionBindingLayer::new(one), &alice(), "one").await;
    let two = SessionBindingLayer::new(two);
    let seen = present(&two, &alice(), &Method::POST, &[(SESSION, &bound)]).await;
    assert_eq!(seen, Err(UNKNOWN));
}

#[test]
fn keys_that_cannot_protect_are_refused() {
    for (secret, setting) in [
        (String::new(), "key"),
        ("x".repeat(64), "key"),
        (
            crate::mcp::session::support::KEYS[0][..31].to_owned(),
            "key",
        ),
        ("changeme-changeme-changeme-changeme".to_owned(), "key"),
    ] {
        let error = MacKey::new(&secret).unwrap_err();
        assert_eq!(error.setting(), setting, "{secret}");
        assert!(secret.is_empty() || !error.to_string().contains(&secret));
    }
    let layer = layer();
    let error = layer.clone().also_accept(key(0)).unwrap_err();
    assert_eq!(error.setting(), "also_accept");
    let error = layer
        .also_accept(key(1))
        .unwrap()
        .also_accept(key(2))
        .unwrap_err();
    assert_eq!(error.setting(), "also_accept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_requests_of_many_principals_do_not_mix() {
    let layer = layer();
    let tasks: Vec<_> = (0..64)
        .map(|number| {
            let layer = layer.clone();
            common::spawn(async move {
                let principal = |number: usize| {
                    let subject = format!("user-{number}");
                    Who::Principal(Principal::builder("oauth").subject(subject).build())
                };
                let (own, next) = (principal(number), principal(number + 1));
                for round in 0..16 {
                    let inner = format!("{number}-{round}");
                    let bound = open(&layer, &own, &inner).await;
                    let seen = present(&layer, &own, &Method::GET, &[(SESSION, &bound)]).await;
                    assert_eq!(seen, Ok((Some(inner), None)));
                    let seen = present(&layer, &next, &Method::GET, &[(SESSION, &bound)]).await;
                    assert_eq!(seen, Err(UNKNOWN));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[test]
fn no_key_is_shown() {
    let layer = layer().also_accept(key(1)).unwrap();
    let shown = format!("{layer:?} {:?}", key(0));
    assert!(
        !crate::mcp::session::support::KEYS
            .iter()
            .any(|key| shown.contains(key))
    );
}
