//! The store does not answer, is full, or has lost what it had.

use common::trace;
use http_body_util::BodyExt;
use tokio_test::{assert_pending, assert_ready, task};
use tower_mcp_auth::revocation::RevokeErrorKind;

use super::super::streams::open;
use super::*;

#[tokio::test(start_paused = true)]
async fn until_all_is_read_every_credential_is_503() {
    let (shop, clock) = (Shop::default(), Clock::manual(START));
    shop.set(|state| state.is_down = true);
    let replica = shop.replica(&clock);
    let layer = guarded(&replica);
    let answer = ask(&layer, bearer("badge")).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(!answer.headers.contains_key("www-authenticate"));
    a_while().await;
    // The outage is a warning once, and not with every request.
    trace::start();
    for _ in 0..3 {
        assert_eq!(refused(&layer).await, UNKNOWN);
    }
    let told = trace::take().into_iter();
    let told = told.filter(|event| event.field("reason") == "revocations_unavailable");
    let levels: Vec<_> = told.map(|event| event.level).collect();
    assert_eq!(levels, [tracing::Level::DEBUG; 3]);
    let health = replica.health();
    assert!(!health.is_ready());
    assert_eq!(health.error(), Some("it is closed"));
    assert_eq!(health.age(), None);
    // Without a credential nothing has to be known.
    let open = own(&claims(json!({})), false).optional();
    let open = open.revocation(replica.clone());
    assert!(ask(&open, request::<&str>(&[])).await.reached.is_some());
    shop.set(|state| state.is_down = false);
    replica.ready().await;
    assert_eq!(refused(&layer).await, None);
    assert_eq!(replica.health().error(), None);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_gone_what_is_known_holds_for_a_while() {
    for (set, longest) in [(None, 62), (Some(0), 2), (Some(10), 12)] {
        let (shop, clock) = (Shop::default(), Clock::manual(START));
        let mut replica = shop.replica(&clock);
        if let Some(seconds) = set {
            replica = replica.max_staleness(Duration::from_secs(seconds));
        }
        clock.advance(HOUR);
        replica.ready().await;
        replica.revoke(Entry::subject(ISSUER, "bob")).await.unwrap();
        let layer = guarded(&replica);
        a_while().await;
        shop.set(|state| state.is_down = true);
        a_while().await;
        clock.advance(Duration::from_secs(longest));
        assert_eq!(refused(&layer).await, None, "{longest}");
        clock.advance(Duration::from_millis(1));
        assert_eq!(refused(&layer).await, UNKNOWN, "{longest}");
        // What was found good before is not good either.
        assert_eq!(refused(&layer).await, UNKNOWN, "{longest}");
        shop.set(|state| state.is_down = false);
        a_while().await;
        assert_eq!(refused(&layer).await, None, "{longest}");
        // The store is up, and says nothing new.
        for _ in 0..5 {
            clock.advance(Duration::from_secs(1));
            a_while().await;
            assert_eq!(refused(&layer).await, None, "{longest}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn allowed_on_outage_what_is_known_holds_for_ever() {
    let (shop, clock) = (Shop::default(), Clock::manual(START));
    shop.set(|state| state.is_down = true);
    let replica = shop.replica(&clock).dangerously_allow_on_outage();
    let layer = guarded(&replica);
    assert_eq!(refused(&layer).await, None);
    clock.advance(HOUR);
    assert_eq!(refused(&layer).await, None);
    replica.revoke(alice()).await.unwrap_err();
    assert_eq!(refused(&layer).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn allowed_on_outage_it_is_told_once_that_what_is_known_is_old() {
    let (shop, clock) = (Shop::default(), Clock::manual(START));
    let replica = shop.replica(&clock).dangerously_allow_on_outage();
    replica.ready().await;
    trace::start();
    shop.close(true);
    for _ in 0..10 {
        clock.advance(Duration::from_secs(30));
        a_while().await;
    }
    shop.close(false);
    a_while().await;
    let [old, fresh] = &trace::take()[..] else {
        panic!("two events")
    };
    assert_eq!(old.level, tracing::Level::WARN);
    assert_eq!(old.field("why"), "it is closed");
    assert!(old.field("message").contains("accepted"), "{old:?}");
    assert_eq!(fresh.level, tracing::Level::INFO);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_the_store_did_not_take_holds_here_and_is_written_later() {
    for full in [false, true] {
        let (shop, clock) = (Shop::default(), Clock::manual(START));
        let [one, other] = [shop.ready(&clock).await, shop.ready(&clock).await];
        shop.set(|state| (state.is_down, state.is_full) = (!full, full));
        let error = one.revoke(alice()).await.unwrap_err();
        let kind = match full {
            true => RevokeErrorKind::Full,
            false => RevokeErrorKind::NotShared,
        };
        assert_eq!(error.kind(), kind);
        assert_eq!(refused(&guarded(&one)).await, REVOKED);
        assert_eq!(one.health().not_shared(), 1);
        a_while().await;
        assert_eq!(refused(&guarded(&other)).await, None);
        shop.set(|state| (state.is_down, state.is_full) = (false, false));
        a_while().await;
        a_while().await;
        assert_eq!(refused(&guarded(&other)).await, REVOKED);
        assert_eq!(one.health().not_shared(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_does_not_wait_leaves_it_to_the_task() {
    let (shop, clock) = (Shop::default(), Clock::manual(START));
    let one = shop.ready(&clock).await;
    let other = shop.ready(&clock).await;
    shop.set(|state| state.never_answers = true);
    let mut revoking = tokio_test::task::spawn(one.revoke(alice()));
    tokio_test::assert_pending!(revoking.poll());
    drop(revoking);
    shop.set(|state| state.never_answers = false);
    a_while().await;
    a_while().await;
    assert_eq!(refused(&guarded(&other)).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn what_the_store_loses_is_written_back_by_those_that_know_it() {
    let (shop, clock) = (Shop::default(), Clock::manual(START));
    let [one, other] = [shop.ready(&clock).await, shop.ready(&clock).await];
    one.revoke(alice()).await.unwrap();
    for number in 0..1000 {
        let entry = Entry::token(ISSUER, &format!("j-{number}-of-bob"));
        one.revoke(entry).await.unwrap();
    }
    a_while().await;
    drop(one);
    // One that goes by nothing old, and by nothing incomplete.
    let strict = shop.replica(&clock).max_staleness(Duration::ZERO);
    strict.ready().await;
    let bob = own(&claims(json!({"sub": "bob"})), false).revocation(strict.clone());
    assert_eq!(refused(&bob).await, None);
    shop.lose();
    shop.set(|state| state.settles_in = Duration::from_secs(10));
    // A new one waits until the others have written back what they know.
    let new = shop.replica(&clock);
    let layer = guarded(&new);
    a_while().await;
    assert_eq!(refused(&layer).await, UNKNOWN);
    assert!(new.health().error().unwrap().contains("lost"));
    assert_eq!(refused(&guarded(&other)).await, REVOKED);
    clock.advance(Duration::from_secs(9));
    a_while().await;
    assert_eq!(refused(&layer).await, UNKNOWN);
    assert_eq!(refused(&bob).await, UNKNOWN);
    // It counts from what was written back last.
    assert_eq!(shop.state().settles_in, Duration::from_secs(5));
    shop.set(|state| state.settles_in = Duration::ZERO);
    a_while().await;
    assert_eq!(refused(&layer).await, REVOKED);
    assert_eq!(refused(&bob).await, None);
    assert_eq!(shop.state().records.len(), 1001);
    assert_eq!([new.entries(), other.entries()], [1001, 1001]);
    // In few questions.
    assert!(shop.state().appends < 1001 + 2 * 10);
}

#[tokio::test(start_paused = true)]
async fn streams_end_when_what_is_known_is_too_old() {
    let (shop, clock) = (Shop::default(), Clock::manual(START));
    let replica = shop.ready(&clock).await;
    let layer = guarded(&replica);
    let (mut body, feeder) = open(&layer, bearer("badge"), &[]).await;
    let mut next = task::spawn(body.frame());
    assert_pending!(next.poll());
    shop.set(|state| state.is_down = true);
    clock.advance(Duration::from_secs(62));
    a_while().await;
    assert_pending!(next.poll());
    clock.advance(Duration::from_secs(1));
    a_while().await;
    assert!(next.is_woken());
    assert!(assert_ready!(next.poll()).is_none());
    assert!(feeder.is_closed());
}

#[tokio::test(start_paused = true)]
async fn streams_end_when_another_replica_revokes_their_credential() {
    let (shop, clock) = (Shop::default(), Clock::manual(START));
    let [one, other] = [shop.ready(&clock).await, shop.ready(&clock).await];
    let layer = guarded(&other);
    let (mut body, feeder) = open(&layer, bearer("badge"), &[]).await;
    let mut next = task::spawn(body.frame());
    assert_pending!(next.poll());
    one.revoke(alice()).await.unwrap();
    a_while().await;
    assert!(next.is_woken());
    assert!(assert_ready!(next.poll()).is_none());
    assert!(feeder.is_closed());
}
