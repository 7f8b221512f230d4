//! `Principal` as providers of one's own make it.

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;
use tower_mcp_auth::{Actor, Principal};

#[test]
fn a_principal_is_what_its_builder_was_told() {
    let claims = serde_json::json!({"tenant": 7});
    let principal = Principal::builder("badge")
        .issuer("https://idp")
        .subject("alice")
        .username("al")
        .client_id("c1")
        .scopes("a b".parse().unwrap())
        .expires_at(Duration::from_secs(5))
        .claims(claims.as_object().unwrap())
        .build();
    assert_eq!(principal.provider(), "badge");
    assert_eq!(principal.issuer(), Some("https://idp"));
    assert_eq!(principal.subject(), Some("alice"));
    assert_eq!(principal.client_id(), Some("c1"));
    assert_eq!(principal.scopes().as_str(), "a b");
    assert_eq!(
        principal.expires_at(),
        Some(UNIX_EPOCH + Duration::from_secs(5))
    );
    assert_eq!(principal.claims()["tenant"], 7);
    assert_eq!(
        principal.id().as_str(),
        "badge|iss=https://idp|sub=alice|client=c1"
    );
    assert!(!format!("{principal:?}").contains("tenant"));
}

#[test]
fn it_was_issued_when_its_builder_says_or_else_its_claims() {
    let at = |seconds: f64| Some(UNIX_EPOCH + Duration::from_secs_f64(seconds));
    for (iat, told, issued_at) in [
        (json!(7), None, at(7.0)),
        (json!(7.5), None, at(7.5)),
        (json!(7), Some(9), at(9.0)),
        (json!("7"), None, None),
        (json!(-7), None, None),
        (json!(1e300), None, None),
        (json!(null), Some(9), at(9.0)),
    ] {
        let claims = json!({"iat": iat});
        let claims = claims.as_object().unwrap();
        // In whatever order.
        for claims_last in [false, true] {
            let mut builder = Principal::builder("badge");
            if !claims_last {
                builder = builder.claims(claims);
            }
            if let Some(told) = told {
                builder = builder.issued_at(Duration::from_secs(told));
            }
            if claims_last {
                builder = builder.claims(claims);
            }
            assert_eq!(builder.build().issued_at(), issued_at, "{claims:?}");
        }
    }
}

#[test]
fn actors_are_kept_in_order_and_are_no_part_of_the_id() {
    let agent = Actor::builder().subject("agent").issuer("https://agents");
    let agent = agent.client_id("blueprint").build();
    let service = Actor::builder().subject("service").build();
    let alice = || Principal::builder("badge").subject("alice");
    let principal = alice().actors([agent.clone(), service]).build();
    assert_eq!(principal.actors()[0], agent);
    assert_eq!(principal.actors()[0].subject(), Some("agent"));
    assert_eq!(principal.actors()[0].issuer(), Some("https://agents"));
    assert_eq!(principal.actors()[0].client_id(), Some("blueprint"));
    assert_eq!(principal.actors()[1].subject(), Some("service"));
    assert_eq!(principal.id(), alice().build().id());
    assert!(alice().build().actors().is_empty());
    let empty = Actor::builder()
        .subject("")
        .issuer("")
        .client_id("")
        .build();
    assert_eq!(empty, Actor::builder().build());
}

#[test]
fn ids_of_different_parts_differ() {
    let builders = [
        Principal::builder("a"),
        Principal::builder("a|sub=b"),
        Principal::builder("a").subject("b"),
        Principal::builder("a").subject("b|client=c"),
        Principal::builder("a").subject("b").client_id("c"),
        Principal::builder("a").username("b"),
        Principal::builder("a").issuer("b"),
        Principal::builder("a").issuer("b|sub=c"),
        Principal::builder("a").issuer("b").subject("c"),
        Principal::builder("a").client_id("b"),
        Principal::builder("a").subject("%7C"),
        Principal::builder("a").subject("|"),
        Principal::builder("a").fingerprint(b"x"),
        Principal::builder("a").fingerprint(b"y"),
    ];
    // An empty name is none: it would make one of all who have it.
    let empty = Principal::builder("a")
        .subject("")
        .username("")
        .client_id("")
        .build();
    assert_eq!(empty.id().as_str(), "a");
    let count = builders.len();
    let ids: BTreeSet<_> = builders.map(|builder| builder.build().id().clone()).into();
    assert_eq!(ids.len(), count);
}

/// An id stands in logs.
#[test]
fn an_id_forges_no_line_and_hides_nothing() {
    for hidden in [
        '\n',
        '\r',
        '\0',
        '\u{1b}',
        '\u{7f}',
        '\u{85}',
        '\u{2028}',
        '\u{2029}',
        '\u{61c}',
        '\u{200e}',
        '\u{200f}',
        '\u{202a}',
        '\u{202e}',
        '\u{2066}',
        '\u{2069}',
        '\u{200b}',
        '\u{ad}',
        '\u{feff}',
        '\u{2060}',
        '\u{e0041}',
        '\u{e0100}',
        '\u{34f}',
        '\u{115f}',
        '\u{1160}',
        '\u{17b4}',
        '\u{180b}',
        '\u{180e}',
        '\u{206f}',
        '\u{3164}',
        '\u{fe00}',
        '\u{fe0f}',
        '\u{ffa0}',
        '\u{fffb}',
        '\u{1bca0}',
        '\u{1d173}',
        '|',
        '%',
    ] {
        let named = |text: String| {
            let builder = Principal::builder("a")
                .issuer(text.clone())
                .subject(text.clone());
            builder.client_id(text).build()
        };
        let principal = named(format!("x{hidden}y"));
        let id = principal.id();
        let encoded: String = hidden
            .to_string()
            .bytes()
            .map(|b| format!("%{b:02X}"))
            .collect();
        let part = format!("x{encoded}y");
        assert_eq!(
            id.as_str(),
            format!("a|iss={part}|sub={part}|client={part}")
        );
        assert_eq!(id.to_string(), id.as_str());
        assert_ne!(id, named(part).id());
    }
    let principal = Principal::builder("a")
        .subject("zo\u{eb} \u{645}\u{62d} \u{1f600}")
        .build();
    assert_eq!(
        principal.id().as_str(),
        "a|sub=zo\u{eb} \u{645}\u{62d} \u{1f600}"
    );
}

#[test]
fn a_credential_tells_apart_only_those_without_a_name_in_whatever_order_it_is_said() {
    let plain = Principal::builder("a").subject("alice").build();
    for builder in [
        Principal::builder("a")
            .subject("alice")
            .fingerprint(b"token"),
        Principal::builder("a")
            .fingerprint(b"token")
            .subject("alice"),
    ] {
        assert_eq!(builder.build().id(), plain.id());
    }
    let named = Principal::builder("a")
        .fingerprint(b"token")
        .username("al")
        .build();
    assert_eq!(named.id().as_str(), "a|username=al");
}

#[test]
fn the_shape_of_a_principal_is_cheap_to_share() {
    fn check<T: Clone + Send + Sync + std::fmt::Debug + 'static>() {}
    check::<Principal>();
    // Two words each for who it is and for what its layer hands on, two for claims once read, and
    // one for whether a proof came with the token.
    assert!(std::mem::size_of::<Principal>() <= 7 * std::mem::size_of::<usize>());
    assert!(Principal::from_extensions(&http::Extensions::new()).is_none());
}

/// serde_json would put something else in the place of such an object, in some builds.
#[test]
fn claims_with_a_name_that_serde_json_keeps_for_itself_are_not_read() {
    for name in [
        "$serde_json::private::RawValue",
        "$serde_json::private::Number",
    ] {
        let mut inside = serde_json::Map::new();
        inside.insert(name.to_owned(), "1".into());
        let mut claims = serde_json::Map::new();
        claims.insert("sub".to_owned(), "alice".into());
        claims.insert(
            "x".to_owned(),
            vec![serde_json::Value::Object(inside)].into(),
        );
        let principal = Principal::builder("badge")
            .subject("alice")
            .claims(&claims)
            .build();
        assert_eq!(principal.claims().len(), 0, "{name}");
        let read = principal.claims_as::<serde_json::Value>();
        assert!(read.is_err(), "{name}: {read:?}");
    }
}
