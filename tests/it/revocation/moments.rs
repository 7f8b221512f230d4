//! What was issued before a moment, and how long entries and tokens live.

use serde_json::json;
use tower_mcp_auth::Clock;
use tower_mcp_auth::revocation::{Entry, Revocation, RevokeErrorKind};

use super::*;

type Set = fn(Revocation) -> Revocation;

const MOMENT: u64 = 1_800_000_000 - 1000;

fn before(moment: u64) -> Entry {
    Entry::subject(ISSUER, "alice").issued_before(at(moment))
}

#[tokio::test]
async fn a_token_is_before_the_moment_up_to_the_skew_after_it() {
    let skews: [(u64, Set); 3] = [
        (5, |it| it),
        (0, |it| it.revocation_skew(Duration::ZERO).unwrap()),
        (300, |it| {
            it.revocation_skew(Duration::from_secs(300)).unwrap()
        }),
    ];
    for (skew, set) in skews {
        for (iat, refused) in [
            (json!(MOMENT - 500), true),
            (json!(MOMENT), true),
            (json!(MOMENT + skew), true),
            (json!(MOMENT as f64 + skew as f64 + 0.5), false),
            (json!(MOMENT + skew + 1), false),
            // Of a token that does not say, it is not known.
            (json!(null), true),
        ] {
            for (tokens, revocation) in providers(&claims(json!({"iat": iat})), set) {
                tokens.expect(None, "at first").await;
                revocation.revoke(before(MOMENT)).await.unwrap();
                tokens
                    .expect(refused.then_some("revoked_token"), "in the end")
                    .await;
            }
        }
    }
}

#[tokio::test]
async fn a_part_of_a_second_counts_as_a_whole_one() {
    let moment = at(MOMENT) + Duration::from_millis(1);
    for (iat, refused) in [(MOMENT + 6, true), (MOMENT + 7, false)] {
        let (tokens, revocation) = providers(&claims(json!({"iat": iat})), |it| it).remove(0);
        let entry = Entry::subject(ISSUER, "alice").issued_before(moment);
        revocation.revoke(entry).await.unwrap();
        tokens
            .expect(refused.then_some("revoked_token"), "in the end")
            .await;
    }
}

#[tokio::test]
async fn the_moment_only_grows() {
    let said = claims(json!({"iat": MOMENT - 100}));
    for (tokens, revocation) in providers(&said, |it| it) {
        for moment in [MOMENT - 500, MOMENT, MOMENT - 500] {
            revocation.revoke(before(moment)).await.unwrap();
        }
        tokens.expect(Some("revoked_token"), "in the end").await;
        assert_eq!(revocation.entries(), 1);
    }
}

#[tokio::test]
async fn a_moment_in_the_future_is_an_error() {
    let clock = Clock::manual(START);
    let revocation = Revocation::in_memory().clock(clock.clone());
    for (ahead, accepted) in [(0, true), (5, true), (6, false), (1 << 40, false)] {
        for entry in [
            before(now() + ahead),
            Entry::api_keys_created_before(at(now() + ahead)),
        ] {
            let revoked = revocation.revoke(entry).await.map_err(|error| error.kind());
            match accepted {
                true => assert_eq!(revoked, Ok(())),
                false => assert_eq!(revoked, Err(RevokeErrorKind::InTheFuture)),
            }
        }
    }
}

#[tokio::test]
async fn an_introspected_token_without_iat_is_good_again_once_its_server_was_asked_anew() {
    for (trust, later) in [(false, "revoked_token"), (true, "accepted")] {
        let clock = Clock::manual(START);
        let revocation = Revocation::in_memory().clock(clock.clone());
        let revocation = revocation.trust_fresh_introspection(trust);
        let said = claims(json!({"iat": null}));
        let layer = introspecting(&clock, &said, Some(Duration::from_secs(20)));
        let layer = layer.revocation(revocation.clone());
        let reason = async || {
            let answer = ask(&layer, bearer(OPAQUE)).await;
            let error = answer.extensions.get::<tower_mcp_auth::AuthError>();
            error.map_or("accepted", |error| error.reason()).to_owned()
        };
        assert_eq!(reason().await, "accepted");
        revocation.revoke(before(now())).await.unwrap();
        assert_eq!(reason().await, "revoked_token");
        // The answer is the old one still.
        clock.advance(Duration::from_secs(19));
        assert_eq!(reason().await, "revoked_token");
        clock.advance(Duration::from_secs(1));
        assert_eq!(reason().await, later);
        // Without a moment, it is not asked about.
        revocation
            .revoke(Entry::subject(ISSUER, "alice"))
            .await
            .unwrap();
        clock.advance(Duration::from_secs(20));
        assert_eq!(reason().await, "revoked_token");
    }
}

#[tokio::test]
async fn a_token_that_outlives_its_entries_is_refused() {
    const DAY: u64 = 86_400;
    let short: Set = |it| it.max_token_lifetime(HOUR).unwrap();
    let unlimited: Set = Revocation::unlimited_token_lifetime;
    let same: Set = |it| it;
    for (changes, set, accepted) in [
        (json!({"exp": now() + DAY}), same, true),
        (json!({"exp": now() + DAY + 1}), same, false),
        (
            json!({"exp": now() + DAY - 9, "iat": now() - 10}),
            same,
            false,
        ),
        (json!({"exp": now() + DAY, "iat": null}), same, true),
        (json!({"exp": now() + DAY + 1, "iat": null}), same, false),
        (json!({"exp": now() + 3600}), short, true),
        (json!({"exp": now() + 3601}), short, false),
        (json!({"exp": now() + 400 * DAY}), unlimited, true),
    ] {
        for (tokens, _) in providers(&claims(changes.clone()), set) {
            for _ in 0..2 {
                tokens
                    .expect((!accepted).then_some("token_lives_too_long"), "in the end")
                    .await;
            }
        }
    }
}

#[tokio::test]
async fn a_token_without_an_end_is_good_for_as_long_as_entries_are_kept() {
    let unlimited: Set = Revocation::unlimited_token_lifetime;
    let same: Set = |it| it;
    let without = json!({"exp": null, "iat": null});
    for (changes, set, at_once, later) in [
        (json!({"exp": null}), same, true, false),
        (json!({"exp": null}), unlimited, true, true),
        (without.clone(), same, false, false),
        (without, unlimited, true, true),
    ] {
        for (tokens, _) in providers(&claims(changes), set) {
            // These need an end in any case.
            if ["jwt", "oauth", "oauth without a cache"].contains(&tokens.name) {
                continue;
            }
            let refused = |accepted: bool| (!accepted).then_some("token_lives_too_long");
            tokens.expect(refused(at_once), "at first").await;
            tokens.clock.advance(HOUR * 24);
            tokens.expect(refused(at_once), "after a day").await;
            tokens.clock.advance(Duration::from_secs(1));
            tokens.expect(refused(later), "after more than a day").await;
        }
    }
}

/// A provider that always accepts shows until when an entry is there.
async fn is_refused(layer: &Layer) -> bool {
    ask(layer, bearer("badge")).await.reached.is_none()
}

#[tokio::test]
async fn entries_are_kept_as_long_as_what_they_name_can_be_good() {
    // Twice the greatest skew, and that of moments.
    let always = u64::MAX;
    let day = 86_400 + 605;
    for (entry, kept) in [
        (Entry::token(ISSUER, "j-1"), day),
        (Entry::token(ISSUER, "j-1").expires_at(at(now() + 50)), 350),
        (Entry::subject(ISSUER, "alice"), day),
        (before(now()), day),
        (Entry::client(ISSUER, "app"), day),
        (Entry::session(ISSUER, "s-1"), day),
        (Entry::issuer(ISSUER), day),
    ] {
        for unlimited in [false, true] {
            let clock = Clock::manual(START);
            let mut revocation = Revocation::in_memory().clock(clock.clone());
            if unlimited {
                revocation = revocation.unlimited_token_lifetime();
            }
            let kept = if unlimited && kept == day {
                always
            } else {
                kept
            };
            // It has no life of its own, so what is seen is the entry's.
            let layer = own(&claims(json!({"exp": now() + 10})), false);
            let layer = layer.revocation(revocation.clone());
            revocation.revoke(entry.clone()).await.unwrap();
            assert!(is_refused(&layer).await, "{entry:?}");
            if kept == always {
                clock.advance(HOUR * 24 * 4000);
                assert!(is_refused(&layer).await, "{entry:?}");
                continue;
            }
            clock.advance(Duration::from_secs(kept - 1));
            assert!(is_refused(&layer).await, "{entry:?}");
            clock.advance(Duration::from_secs(1));
            assert!(!is_refused(&layer).await, "{entry:?}");
            // A clock that is set back finds it again, but for those who passed meanwhile.
            clock.set_wall(START);
            assert!(is_refused(&layer).await, "{entry:?}");
        }
    }
}

#[tokio::test]
async fn all_and_before_a_moment_are_kept_for_a_time_of_their_own() {
    let clock = Clock::manual(START);
    let revocation = Revocation::in_memory().clock(clock.clone());
    let day = Duration::from_secs(86_400 + 605);
    revocation
        .revoke(Entry::subject(ISSUER, "alice"))
        .await
        .unwrap();
    let half = Duration::from_secs(43_502);
    clock.advance(half);
    let later = (START + half).as_secs();
    revocation.revoke(before(later)).await.unwrap();
    let new = own(
        &claims(json!({"iat": later + 60, "exp": later + 70})),
        false,
    );
    let old = own(&claims(json!({})), false);
    let [new, old] = [new, old].map(|layer| layer.revocation(revocation.clone()));
    assert!(is_refused(&new).await && is_refused(&old).await);
    clock.advance(day - half);
    assert!(!is_refused(&new).await && is_refused(&old).await);
    clock.advance(half);
    assert!(!is_refused(&old).await);
}
