//! Several replicas, by a store to which everything happens that can happen to one.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use http::StatusCode;
use tower_mcp_auth::revocation::{Entry, RevokeErrorKind};
use tower_mcp_auth::store::{
    Appended, ReadOn, RevocationEntry, RevocationRecord, RevocationStore, Snapshot, StoreError,
    StoreFuture, StorePosition,
};

use super::*;

const SECRETS: [&str; 2] = [
    "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5",
    "tN4hX8kQ1wZs6CvM2jRy9PbGf7DaLu3E",
];

/// A store of all replicas of a test.
#[derive(Clone, Debug, Default)]
struct Shop(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    records: BTreeSet<RevocationRecord>,
    log: Vec<RevocationRecord>,
    /// No answer.
    is_down: bool,
    /// None, for an entry.
    never_answers: bool,
    is_full: bool,
    /// How often it lost what it had.
    losses: usize,
    /// Positions before this one are not known any more.
    first: usize,
    settles_in: Duration,
    appends: usize,
}

impl Shop {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn set(&self, set: impl FnOnce(&mut State)) {
        set(&mut self.state());
    }

    /// Everything is gone.
    fn lose(&self) {
        self.set(|state| {
            state.records.clear();
            state.log.clear();
            state.losses += 1;
        });
    }

    fn replica(&self, clock: &Clock) -> Revocation {
        let revocation = Revocation::shared(self.clone(), SECRETS[0]).unwrap();
        revocation.clock(clock.clone())
    }

    /// One that knows all there is.
    async fn ready(&self, clock: &Clock) -> Revocation {
        let revocation = self.replica(clock);
        revocation.ready().await;
        revocation
    }
}

impl State {
    fn position(&self) -> StorePosition {
        StorePosition::new(format!("{} {}", self.losses, self.log.len()))
    }

    fn answers(&self) -> Result<(), StoreError> {
        match self.is_down {
            true => Err(StoreError::new("it is closed")),
            false => Ok(()),
        }
    }
}

impl RevocationStore for Shop {
    fn append(&self, entries: Vec<RevocationEntry>) -> StoreFuture<Appended> {
        let shop = self.clone();
        Box::pin(async move {
            if shop.state().never_answers {
                std::future::pending::<()>().await;
            }
            let mut state = shop.state();
            state.answers()?;
            state.appends += 1;
            if state.is_full {
                return Ok(Appended::Full);
            }
            for entry in entries {
                if state.records.insert(entry.record()) {
                    state.log.push(entry.record());
                }
                if let Some(older) = entry.replaces() {
                    state.records.remove(&older);
                }
            }
            Ok(Appended::Appended)
        })
    }

    fn snapshot(&self, part: Option<StorePosition>) -> StoreFuture<Snapshot> {
        let shop = self.clone();
        Box::pin(async move {
            let state = shop.state();
            state.answers()?;
            let records: Vec<_> = state.records.iter().copied().collect();
            let half = records.len() / 2;
            Ok(match part {
                None => Snapshot::Part {
                    records: records[..half].to_vec(),
                    next: state.position(),
                },
                Some(position) => Snapshot::Last {
                    records: records[half..].to_vec(),
                    position,
                    settles_in: state.settles_in,
                },
            })
        })
    }

    fn read_on(&self, from: StorePosition) -> StoreFuture<ReadOn> {
        let shop = self.clone();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let state = shop.state();
            state.answers()?;
            let (losses, at) = from.as_str().split_once(' ').unwrap();
            let at: usize = at.parse().unwrap();
            if losses != state.losses.to_string() {
                return Ok(ReadOn::Lost);
            }
            if at < state.first {
                return Ok(ReadOn::Behind);
            }
            Ok(ReadOn::Records {
                records: state.log[at..].to_vec(),
                position: state.position(),
            })
        })
    }
}

/// A layer of this replica, and what it says to alice.
fn guarded(revocation: &Revocation) -> Layer {
    own(&claims(json!({})), false).revocation(revocation.clone())
}

/// The reason for which alice is refused, and the status.
async fn refused(layer: &Layer) -> Option<(StatusCode, &'static str)> {
    let answer = ask(layer, bearer("badge")).await;
    let error = answer.extensions.get::<AuthError>()?;
    Some((error.status(), error.reason()))
}

const REVOKED: Option<(StatusCode, &str)> = Some((StatusCode::UNAUTHORIZED, "revoked_token"));
const UNKNOWN: Option<(StatusCode, &str)> =
    Some((StatusCode::SERVICE_UNAVAILABLE, "revocations_unavailable"));

/// Time in which replicas hear of everything, by the clock of the runtime.
async fn a_while() {
    tokio::time::sleep(Duration::from_secs(2)).await;
}

fn alice() -> Entry {
    Entry::subject(ISSUER, "alice")
}

#[tokio::test(start_paused = true)]
async fn what_one_replica_revokes_the_others_refuse() {
    let (shop, clock) = (Shop::default(), Clock::manual(START));
    let [one, other] = [shop.ready(&clock).await, shop.ready(&clock).await];
    let [at_one, at_other] = [&one, &other].map(guarded);
    assert_eq!(
        [refused(&at_one).await, refused(&at_other).await],
        [None; 2]
    );
    one.revoke(alice()).await.unwrap();
    assert_eq!(refused(&at_one).await, REVOKED);
    a_while().await;
    assert_eq!(refused(&at_other).await, REVOKED);
    assert_eq!([one.entries(), other.entries()], [1, 1]);
    // One that begins later reads it.
    let third = shop.ready(&clock).await;
    assert_eq!(refused(&guarded(&third)).await, REVOKED);
    for replica in [&one, &other, &third] {
        let health = replica.health();
        assert!(health.is_ready());
        assert_eq!((health.error(), health.not_shared()), (None, 0));
    }
}

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
    assert_eq!(refused(&layer).await, UNKNOWN);
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
    clock.advance(Duration::from_secs(1));
    a_while().await;
    assert_eq!(refused(&layer).await, REVOKED);
    assert_eq!(shop.state().records.len(), 1001);
    assert_eq!([new.entries(), other.entries()], [1001, 1001]);
    // In few questions.
    assert!(shop.state().appends < 1001 + 64 + 10);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_was_away_for_too_long_reads_everything_again() {
    let (shop, clock) = (Shop::default(), Clock::manual(START));
    let [one, other] = [shop.ready(&clock).await, shop.ready(&clock).await];
    one.revoke(Entry::subject(ISSUER, "bob")).await.unwrap();
    one.revoke(alice()).await.unwrap();
    shop.set(|state| state.first = 2);
    let layer = guarded(&other);
    a_while().await;
    assert_eq!(refused(&layer).await, REVOKED);
    assert!(other.health().is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_record_of_another_secret_is_not_passed_over() {
    let (shop, clock) = (Shop::default(), Clock::manual(START));
    let one = shop.ready(&clock).await;
    let layer = guarded(&one);
    one.revoke(Entry::subject(ISSUER, "bob")).await.unwrap();
    a_while().await;
    let poisoned = [
        RevocationRecord::new([0; RevocationRecord::LENGTH]),
        RevocationRecord::new([255; RevocationRecord::LENGTH]),
    ];
    for record in poisoned {
        shop.set(|state| state.log.push(record));
    }
    // What comes beside it holds.
    let other = Revocation::shared(shop.clone(), SECRETS[0]).unwrap();
    other.clock(clock.clone()).revoke(alice()).await.unwrap();
    a_while().await;
    assert_eq!(refused(&layer).await, REVOKED);
    clock.advance(Duration::from_secs(63));
    a_while().await;
    assert_eq!(refused(&layer).await, UNKNOWN);
    let health = one.health();
    assert!(health.error().unwrap().contains("secret"), "{health:?}");
    // A server with another secret under the same keys is told the same.
    let stranger = Revocation::shared(shop.clone(), SECRETS[1]).unwrap();
    let stranger = stranger.clock(clock.clone());
    let layer = guarded(&stranger);
    a_while().await;
    assert_eq!(refused(&layer).await, UNKNOWN);
    assert!(!stranger.health().is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_replica_with_less_room_than_there_are_entries_is_not_ready() {
    let (shop, clock) = (Shop::default(), Clock::manual(START));
    let one = shop.ready(&clock).await;
    for id in ["one", "other"] {
        one.revoke(Entry::api_key(id)).await.unwrap();
    }
    let small = shop.replica(&clock).max_entries(1);
    let layer = guarded(&small);
    a_while().await;
    assert_eq!(refused(&layer).await, UNKNOWN);
    assert!(small.health().error().unwrap().contains("`max_entries`"));
}

#[tokio::test(start_paused = true)]
async fn moments_of_several_replicas_grow_together() {
    let (shop, clock) = (Shop::default(), Clock::manual(START));
    let [one, other] = [shop.ready(&clock).await, shop.ready(&clock).await];
    for (replica, ago) in [(&one, 100), (&other, 300), (&one, 200), (&other, 50)] {
        let moment = at(now() - ago);
        replica.revoke(alice().issued_before(moment)).await.unwrap();
        a_while().await;
    }
    // Of each the store has what holds, and what it was replaced by is gone.
    assert_eq!(shop.state().records.len(), 1);
    for (iat, expected) in [(50, REVOKED), (45, REVOKED), (44, None)] {
        let said = claims(json!({"iat": now() - iat}));
        for replica in [&one, &other, &shop.ready(&clock).await] {
            let layer = own(&said, false).revocation(replica.clone());
            assert_eq!(refused(&layer).await, expected, "{iat}");
        }
    }
}

#[test]
fn a_secret_that_can_be_guessed_is_an_error() {
    for secret in ["", "too short", "changeme-changeme-changeme-changeme"] {
        let error = Revocation::shared(Shop::default(), secret).unwrap_err();
        assert_eq!(error.setting(), "secret");
    }
}
