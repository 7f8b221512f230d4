//! Several replicas, by a store to which everything happens that can happen to one.

mod losses;
mod outages;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use http::StatusCode;
use tower_mcp_auth::revocation::Entry;
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
pub(crate) struct Shop(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    records: BTreeSet<RevocationRecord>,
    log: Vec<RevocationRecord>,
    /// No answer.
    is_down: bool,
    /// None, for an entry.
    never_answers: bool,
    is_full: bool,
    /// How many records it has room for. `None`: any.
    room: Option<usize>,
    /// Of more entries at once it takes none.
    max_batch: Option<usize>,
    /// No answer, for a part of all records.
    has_no_snapshots: bool,
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

    /// Gives no answers, or gives them again.
    pub(crate) fn close(&self, is_down: bool) {
        self.set(|state| state.is_down = is_down);
    }

    /// Everything is gone.
    fn lose(&self) {
        self.set(|state| {
            state.records.clear();
            state.log.clear();
            state.losses += 1;
        });
    }

    pub(crate) fn replica(&self, clock: &Clock) -> Revocation {
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
            if state.max_batch.is_some_and(|most| entries.len() > most) {
                return Err(StoreError::new("too many at once"));
            }
            let new = entries.iter().map(RevocationEntry::record);
            let new = new.filter(|record| !state.records.contains(record));
            let more = state.records.len() + new.count();
            if state.is_full || state.room.is_some_and(|room| more > room) {
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

    fn write_back(&self, entries: Vec<RevocationEntry>) -> StoreFuture<Appended> {
        let (shop, appended) = (self.clone(), self.append(entries));
        Box::pin(async move {
            let before = shop.state().log.len();
            let appended = appended.await?;
            let mut state = shop.state();
            if state.log.len() > before {
                state.settles_in = Duration::from_secs(5);
            }
            Ok(appended)
        })
    }

    fn snapshot(&self, part: Option<StorePosition>) -> StoreFuture<Snapshot> {
        let shop = self.clone();
        Box::pin(async move {
            let state = shop.state();
            state.answers()?;
            if state.has_no_snapshots {
                return Err(StoreError::new("it is read by somebody else"));
            }
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
                settles_in: state.settles_in,
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
    let foreign = Revocation::shared(shop.clone(), SECRETS[1]).unwrap();
    let foreign = foreign.clock(clock.clone());
    let layer = guarded(&foreign);
    a_while().await;
    assert_eq!(refused(&layer).await, UNKNOWN);
    assert!(!foreign.health().is_ready());
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
