//! How many entries there are, what may not be one, and what is told of them.

use tower_mcp_auth::Clock;
use tower_mcp_auth::revocation::{Entry, Revocation, RevokeErrorKind};

use super::*;
use common::trace;

fn token(number: u64) -> Entry {
    Entry::token(ISSUER, &format!("j-{number}")).expires_at(at(now() + number * 60))
}

#[tokio::test]
async fn a_full_index_is_an_error_and_drops_nothing_that_is_needed() {
    let clock = Clock::manual(START);
    let revocation = Revocation::in_memory().max_entries(3).clock(clock.clone());
    for number in 1..=3 {
        revocation.revoke(token(number)).await.unwrap();
    }
    let full = async |entry| {
        let error = revocation.revoke(entry).await.unwrap_err();
        assert_eq!(error.kind(), RevokeErrorKind::Full);
        assert!(error.to_string().contains('3'), "{error}");
    };
    full(token(4)).await;
    full(Entry::api_key("k")).await;
    // What is there is no new one.
    revocation.revoke(token(3)).await.unwrap();
    let layers = [1, 2, 3].map(|number| {
        let said = claims(json!({"jti": format!("j-{number}")}));
        own(&said, false).revocation(revocation.clone())
    });
    let refused = async || {
        let mut refused = Vec::new();
        for layer in &layers {
            refused.push(ask(layer, bearer("badge")).await.reached.is_none());
        }
        refused
    };
    assert_eq!(refused().await, [true, true, true]);
    // The first one is over, and makes room. 300 s are for clocks that differ.
    clock.advance(Duration::from_secs(359));
    full(token(4)).await;
    clock.advance(Duration::from_secs(1));
    revocation.revoke(token(40)).await.unwrap();
    assert_eq!(revocation.entries(), 3);
    full(token(50)).await;
    assert_eq!(refused().await, [false, true, true]);
    // All are over, and so are their kinds.
    clock.advance(HOUR * 24);
    revocation.revoke(Entry::api_key("k")).await.unwrap();
    assert_eq!(revocation.entries(), 1);
    assert_eq!(refused().await, [false, false, false]);
    let none = Revocation::in_memory().max_entries(0);
    assert_eq!(
        none.revoke(token(1)).await.unwrap_err().kind(),
        RevokeErrorKind::Full
    );
}

#[tokio::test]
async fn a_token_that_has_expired_needs_no_entry() {
    let revocation = Revocation::in_memory().clock(Clock::manual(START));
    let expired = |ago| Entry::token(ISSUER, "j").expires_at(at(now() - ago));
    revocation.revoke(expired(300)).await.unwrap();
    assert_eq!(revocation.entries(), 0);
    revocation.revoke(expired(299)).await.unwrap();
    assert_eq!(revocation.entries(), 1);
}

#[tokio::test]
async fn what_names_nothing_is_an_error() {
    let revocation = Revocation::in_memory();
    for entry in [
        Entry::token(ISSUER, ""),
        Entry::subject("", "alice"),
        Entry::client(ISSUER, ""),
        Entry::session(None, ""),
        Entry::issuer(""),
        Entry::api_key(""),
        // No claim was named for it.
        Entry::grant(ISSUER, "g-1"),
    ] {
        let error = revocation.revoke(entry.clone()).await.unwrap_err();
        assert_eq!(error.kind(), RevokeErrorKind::Invalid, "{entry:?}");
    }
    assert_eq!(revocation.entries(), 0);
}

#[test]
fn settings_that_cannot_be_are_errors() {
    let revocation = Revocation::in_memory;
    for (set, setting) in [
        (
            revocation().max_token_lifetime(Duration::ZERO),
            "max_token_lifetime",
        ),
        (
            revocation().revocation_skew(Duration::from_secs(301)),
            "revocation_skew",
        ),
        (revocation().grant_claim(""), "grant_claim"),
        (revocation().session_claim(""), "session_claim"),
    ] {
        assert_eq!(set.unwrap_err().setting(), setting);
    }
}

#[tokio::test]
async fn names_of_any_length_are_told_apart() {
    let revocation = Revocation::in_memory();
    for length in [1, 50, 200, 247, 248, 300, 10_000] {
        let name = "a".repeat(length);
        let entries = revocation.entries();
        revocation
            .revoke(Entry::subject(None, &name))
            .await
            .unwrap();
        revocation
            .revoke(Entry::subject(None, &name))
            .await
            .unwrap();
        revocation.revoke(Entry::subject("a", &name)).await.unwrap();
        revocation
            .revoke(Entry::subject(&*name, "a"))
            .await
            .unwrap();
        // Of one letter, the last two are one.
        let new = if length == 1 { 2 } else { 3 };
        assert_eq!(revocation.entries() - entries, new, "{length}");
    }
    // What is of the issuer is not of the name.
    for (issuer, name) in [("ab", "c"), ("a", "bc"), ("abc", "d")] {
        let entries = revocation.entries();
        revocation
            .revoke(Entry::subject(issuer, name))
            .await
            .unwrap();
        assert_eq!(revocation.entries(), entries + 1);
    }
}

#[tokio::test]
async fn an_event_tells_of_each_entry_and_names_no_caller() {
    let revocation = Revocation::in_memory()
        .max_entries(1)
        .clock(Clock::manual(START));
    trace::start();
    let alice = Entry::subject(ISSUER, "alice").issued_before(at(now()));
    revocation.revoke(alice).await.unwrap();
    revocation.revoke(Entry::api_key("k-1")).await.unwrap_err();
    let [revoked, full] = &trace::take()[..] else {
        panic!("two events")
    };
    assert_eq!(revoked.level, tracing::Level::INFO);
    assert_eq!(revoked.field("kind"), "subject");
    assert_eq!(revoked.field("issued_before"), now().to_string());
    assert_eq!(revoked.field("entries"), "1");
    let digest = revoked.field("digest");
    assert_eq!(digest.len(), 30);
    assert!(digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let all = format!("{revoked:?}");
    assert!(!all.contains("alice") && !all.contains(ISSUER), "{all}");
    assert_eq!(full.level, tracing::Level::ERROR);
    assert_eq!(full.field("max_entries"), "1");
    let shown = format!("{revocation:?}");
    assert!(shown.contains("max_entries: 1,"), "{shown}");
    assert!(
        !shown.contains("alice") && !shown.contains(ISSUER),
        "{shown}"
    );
}
