//! What a store loses, and takes only in part: nothing that a replica knows stays unwritten.

use tower_mcp_auth::revocation::RevokeErrorKind;

use super::*;

/// A thousand tokens of bob.
async fn revoke_many(replica: &Revocation, count: u32) {
    for number in 0..count {
        let entry = Entry::token(ISSUER, &format!("j-{number}-of-bob"));
        let _ = replica.revoke(entry).await;
    }
}

/// What happens to a store between the last word of a reader and its next snapshot.
#[derive(Clone, Copy, Debug)]
enum Before {
    /// The reader was behind.
    Behind,
    /// The store had lost everything already, and it was written back.
    Lost,
    /// The reader has never had a snapshot.
    First,
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_before_a_snapshot_is_written_back_too() {
    for before in [Before::Behind, Before::Lost, Before::First] {
        let (shop, clock) = (Shop::default(), Clock::manual(START));
        let replica = shop.replica(&clock);
        if !matches!(before, Before::First) {
            replica.ready().await;
        }
        shop.set(|state| state.has_no_snapshots = true);
        replica.revoke(alice()).await.unwrap();
        revoke_many(&replica, 500).await;
        a_while().await;
        match before {
            Before::Behind => shop.set(|state| state.first = usize::MAX),
            Before::Lost => shop.lose(),
            Before::First => {}
        }
        a_while().await;
        assert_eq!(shop.state().records.len(), 501, "{before:?}");
        assert_eq!(replica.health().not_shared(), 0, "{before:?}");
        shop.lose();
        shop.set(|state| (state.first, state.has_no_snapshots) = (0, false));
        a_while().await;
        assert_eq!(shop.state().records.len(), 501, "{before:?}");
        shop.set(|state| state.settles_in = Duration::ZERO);
        let new = shop.ready(&clock).await;
        assert_eq!(refused(&guarded(&new)).await, REVOKED, "{before:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_takes_nothing_is_read_all_the_same() {
    let (shop, clock) = (Shop::default(), Clock::manual(START));
    let [one, other] = [shop.ready(&clock).await, shop.ready(&clock).await];
    shop.close(true);
    revoke_many(&one, 2).await;
    // What comes one by one is taken.
    shop.set(|state| state.max_batch = Some(1));
    shop.close(false);
    a_while().await;
    assert_eq!(one.health().not_shared(), 2);
    other.revoke(alice()).await.unwrap();
    a_while().await;
    let layer = guarded(&one);
    assert_eq!(refused(&layer).await, REVOKED);
    // It does not grow old by that.
    let bob = own(&claims(json!({"sub": "bob"})), false).revocation(one.clone());
    for _ in 0..3 {
        clock.advance(Duration::from_secs(60));
        a_while().await;
        assert_eq!(refused(&bob).await, None);
    }
    assert_eq!(one.health().not_shared(), 2);
}

#[tokio::test(start_paused = true)]
async fn of_what_a_store_has_no_room_for_it_takes_what_fits() {
    let (shop, clock) = (Shop::default(), Clock::manual(START));
    let one = shop.ready(&clock).await;
    shop.close(true);
    revoke_many(&one, 500).await;
    assert_eq!(one.health().not_shared(), 500);
    shop.set(|state| state.room = Some(333));
    shop.close(false);
    for _ in 0..10 {
        a_while().await;
    }
    assert_eq!(shop.state().records.len(), 333);
    assert_eq!(one.health().not_shared(), 500 - 333);
    let error = one.revoke(alice()).await.unwrap_err();
    assert_eq!(error.kind(), RevokeErrorKind::Full);
    // In few questions, as long as nothing changes.
    let before = shop.state().appends;
    for _ in 0..10 {
        a_while().await;
    }
    let asked = shop.state().appends - before;
    assert!(asked <= 10 * 4 * 10, "{asked}");
    shop.set(|state| state.room = None);
    a_while().await;
    assert_eq!(shop.state().records.len(), 501);
    assert_eq!(one.health().not_shared(), 0);
}
