//! The stores in memory, and what `ReplayStore` does for every store.

mod quota;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::revocations::{
    BOUND, entries, entry, keeps_its_promises, read_on, record, records, snapshot,
};
use tokio_test::{assert_pending, assert_ready, task};
use tower_mcp_auth::Clock;
use tower_mcp_auth::store::{
    Appended, Insertion, MemoryReplayStore, MemoryRevocationStore, ReadOn, ReplayStore,
    RevocationEntry, RevocationStore, StoreError, StoreFuture, StoreKey, StoreValue,
};

const START: Duration = Duration::from_secs(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

fn key(number: u8) -> StoreKey {
    StoreKey::new([number; 32])
}

fn value(number: u8) -> StoreValue {
    StoreValue::new([number; 32])
}

fn small(max_entries: usize) -> (MemoryReplayStore, Clock) {
    let clock = Clock::manual(START);
    (
        MemoryReplayStore::new(max_entries).clock(clock.clone()),
        clock,
    )
}

async fn insert(store: &impl ReplayStore, number: u8, own: u8, life: Duration) -> Insertion {
    let inserted = store.insert_if_absent(key(number), value(own), life);
    inserted.await.unwrap()
}

#[tokio::test]
async fn the_first_one_is_there_until_its_life_is_over() {
    let (store, clock) = small(10);
    assert_eq!(store.get(key(1)).await, Ok(None));
    assert_eq!(insert(&store, 1, 1, HOUR).await, Insertion::Inserted);
    for own in [1, 2] {
        let present = Insertion::Present(value(1));
        assert_eq!(insert(&store.clone(), 1, own, HOUR * 2).await, present);
    }
    clock.advance(HOUR - MS);
    assert_eq!(store.get(key(1)).await, Ok(Some(value(1))));
    clock.advance(MS);
    assert_eq!(store.get(key(1)).await, Ok(None));
    assert_eq!(insert(&store, 1, 2, HOUR).await, Insertion::Inserted);
    assert_eq!(store.get(key(1)).await, Ok(Some(value(2))));
}

#[tokio::test]
async fn what_lives_is_never_dropped_and_what_is_over_makes_room() {
    let (store, clock) = small(2);
    assert_eq!(insert(&store, 1, 1, HOUR).await, Insertion::Inserted);
    assert_eq!(insert(&store, 2, 2, HOUR * 2).await, Insertion::Inserted);
    assert_eq!(insert(&store, 3, 3, HOUR).await, Insertion::Full);
    assert_eq!(store.get(key(3)).await, Ok(None));
    // Who is there already is told so all the same.
    let present = Insertion::Present(value(1));
    assert_eq!(insert(&store, 1, 9, HOUR).await, present);
    clock.advance(HOUR);
    assert_eq!(insert(&store, 3, 3, HOUR * 5).await, Insertion::Inserted);
    assert_eq!(insert(&store, 4, 4, HOUR).await, Insertion::Full);
    assert_eq!(store.get(key(2)).await, Ok(Some(value(2))));
    // One whose own life is over takes its own place.
    clock.advance(HOUR);
    assert_eq!(insert(&store, 2, 5, HOUR).await, Insertion::Inserted);
    assert_eq!(insert(&store, 4, 4, HOUR).await, Insertion::Full);
    let (none, _) = small(0);
    assert_eq!(insert(&none, 1, 1, HOUR).await, Insertion::Full);
}

#[tokio::test]
async fn it_knows_everything_since_it_was_first_asked() {
    let (store, clock) = small(1);
    clock.advance(HOUR);
    store.get(key(1)).await.unwrap();
    clock.advance(HOUR);
    assert_eq!(store.complete_since(), START + HOUR);
    assert_eq!(store.clone().complete_since(), START + HOUR);
    // Another clock begins anew.
    let other = store.clock(Clock::manual(START));
    assert_eq!(other.complete_since(), START);
}

#[tokio::test]
async fn watchers_are_woken_by_their_record_alone() {
    let (store, _) = small(100);
    let shared: Arc<dyn ReplayStore> = Arc::new(store.clone());
    // Of another group, and of the same one.
    let mut same = [7; 32];
    same[31] = 8;
    let others = [key(8), StoreKey::new(same)];
    let mut waits = task::spawn(Arc::clone(&shared).watch(key(7)));
    let mut through = task::spawn(Arc::new(Arc::clone(&shared)).watch(key(7)));
    assert_pending!(waits.poll());
    assert_pending!(through.poll());
    for other in others {
        store.insert_if_absent(other, value(1), HOUR).await.unwrap();
        assert_pending!(waits.poll());
    }
    assert_eq!(insert(&store, 7, 1, HOUR).await, Insertion::Inserted);
    assert!(waits.is_woken() && through.is_woken());
    assert_ready!(waits.poll());
    assert_ready!(through.poll());
    // What is there already is not waited for.
    assert_ready!(task::spawn(shared.watch(key(7))).poll());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_one_is_first_and_every_watcher_learns_of_it() {
    let store = MemoryReplayStore::default();
    for number in 0..200 {
        let watchers = [(); 4].map(|()| common::spawn(Arc::new(store.clone()).watch(key(number))));
        let tasks = [1, 2, 3, 4].map(|own| {
            let store = store.clone();
            common::spawn(async move { insert(&store, number, own, HOUR).await })
        });
        let mut first = 0;
        for task in tasks {
            first += usize::from(task.await.unwrap() == Insertion::Inserted);
        }
        assert_eq!(first, 1);
        for watcher in watchers {
            watcher.await.unwrap();
        }
    }
}

/// Has its record at the third look, after an error.
#[derive(Debug, Default)]
struct Slow(AtomicUsize);

impl ReplayStore for Slow {
    fn insert_if_absent(&self, _: StoreKey, _: StoreValue, _: Duration) -> StoreFuture<Insertion> {
        unreachable!("it is only looked at")
    }

    fn get(&self, _: StoreKey) -> StoreFuture<Option<StoreValue>> {
        let answer = match self.0.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(None),
            1 => Err(StoreError::new("out of reach")),
            _ => Ok(Some(value(1))),
        };
        Box::pin(std::future::ready(answer))
    }

    fn complete_since(&self) -> Duration {
        Duration::ZERO
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_without_a_watch_of_its_own_is_asked_every_second() {
    let store = Arc::new(Slow::default());
    let mut waits = task::spawn(Arc::clone(&store).watch(key(1)));
    for asked in 1..=2 {
        assert_pending!(waits.poll());
        assert_eq!(store.0.load(Ordering::SeqCst), asked);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(waits.is_woken());
    }
    assert_ready!(waits.poll());
}

#[test]
fn without_a_timer_a_watch_that_asks_looks_once() {
    let store = Arc::new(Slow::default());
    let mut waits = task::spawn(Arc::clone(&store).watch(key(1)));
    assert_pending!(waits.poll());
    assert_pending!(waits.poll());
    assert_eq!(store.0.load(Ordering::SeqCst), 1);
    store.0.store(2, Ordering::SeqCst);
    assert_ready!(task::spawn(store.watch(key(1))).poll());
}

#[test]
fn a_store_shows_its_size_and_no_record() {
    let shown = format!("{:?}", MemoryReplayStore::default());
    assert_eq!(shown, "MemoryReplayStore { max_entries: 100000, .. }");
    assert_eq!(StoreError::new("why").to_string(), "why");
    assert_eq!(key(7).as_bytes(), &[7; 32]);
    assert_eq!(value(7).as_bytes(), &[7; 32]);
}

#[tokio::test(start_paused = true)]
async fn revocations_in_memory_keep_their_promises() {
    keeps_its_promises(&MemoryRevocationStore::new(BOUND)).await;
    keeps_its_promises(&Arc::new(MemoryRevocationStore::new(BOUND))).await;
    let none = MemoryRevocationStore::new(0);
    assert_eq!(none.append(entries([1])).await, Ok(Appended::Full));
    // By clones too.
    let store = MemoryRevocationStore::default();
    store.clone().append(entries([1])).await.unwrap();
    let all = snapshot(&store).await.unwrap();
    assert_eq!((all.records, all.parts), ([record(1)].into(), 1));
}

#[tokio::test]
async fn a_revocation_is_kept_until_its_latest_end() {
    let clock = Clock::manual(START);
    let store = MemoryRevocationStore::new(2).clock(clock.clone());
    let until = |number, end| RevocationEntry::new(record(number), Some(START + end));
    let appends = async |entries| store.append(entries).await.unwrap();
    let batch = vec![until(1, HOUR), until(1, HOUR * 2), until(1, MS)];
    assert_eq!(appends(batch).await, Appended::Appended);
    assert_eq!(appends(vec![until(1, HOUR)]).await, Appended::Appended);
    assert_eq!(appends(vec![until(2, HOUR * 3)]).await, Appended::Appended);
    clock.advance(HOUR * 2 - MS);
    assert_eq!(appends(entries([3])).await, Appended::Full);
    let there = snapshot(&store).await.unwrap();
    assert_eq!(there.records, records([1, 2]).into_iter().collect());
    clock.advance(MS);
    let there = snapshot(&store).await.unwrap();
    assert_eq!(there.records, records([2]).into_iter().collect());
    // It makes room, and is new when it comes again.
    let again = vec![RevocationEntry::new(record(1), None)];
    assert_eq!(appends(again).await, Appended::Appended);
    assert_eq!(read_on(&store, &there.position).await.0, records([1]));
    // What never ends has no later end.
    assert_eq!(appends(vec![until(1, HOUR * 4)]).await, Appended::Appended);
    clock.advance(HOUR * 24 * 365);
    let there = snapshot(&store).await.unwrap();
    assert_eq!(there.records, records([1]).into_iter().collect());
}

#[tokio::test(start_paused = true)]
async fn who_reads_on_in_memory_is_woken_by_what_is_added() {
    let store = MemoryRevocationStore::default();
    let begin = snapshot(&store).await.unwrap().position;
    let mut waits = task::spawn(store.read_on(begin.clone()));
    assert_pending!(waits.poll());
    assert_pending!(waits.poll());
    store.clone().append(vec![entry(1)]).await.unwrap();
    assert!(waits.is_woken());
    let Ok(ReadOn::Records { records: read, .. }) = assert_ready!(waits.poll()) else {
        panic!("it is not behind");
    };
    assert_eq!(read, records([1]));
    // Nothing comes: that is an answer after half a second.
    let end = snapshot(&store).await.unwrap().position;
    let mut waits = task::spawn(store.read_on(end.clone()));
    assert_pending!(waits.poll());
    tokio::time::advance(Duration::from_millis(501)).await;
    assert!(waits.is_woken());
    let nothing = Ok(ReadOn::Records {
        records: Vec::new(),
        position: end,
        settles_in: Duration::ZERO,
    });
    assert_eq!(assert_ready!(waits.poll()), nothing);
}

#[tokio::test]
async fn who_is_away_for_too_long_is_behind_and_another_store_has_lost_everything() {
    const HISTORY: u32 = 10_000;
    let store = MemoryRevocationStore::default();
    let begin = snapshot(&store).await.unwrap().position;
    store.append(entries(0..HISTORY)).await.unwrap();
    assert_eq!(read_on(&store, &begin).await.0, records(0..HISTORY));
    store.append(entries([HISTORY])).await.unwrap();
    assert_eq!(store.read_on(begin.clone()).await, Ok(ReadOn::Behind));
    let there = snapshot(&store).await.unwrap();
    assert_eq!(there.records, records(0..=HISTORY).into_iter().collect());
    // With another clock it begins anew.
    let other = store.clone().clock(Clock::manual(START));
    for position in [begin, there.position] {
        assert_eq!(other.read_on(position).await, Ok(ReadOn::Lost));
    }
}

#[test]
fn without_a_runtime_revocations_in_memory_are_read_and_waited_for() {
    let store = MemoryRevocationStore::new(1);
    let begin = assert_ready!(task::spawn(snapshot(&store)).poll());
    let mut waits = task::spawn(store.read_on(begin.unwrap().position));
    assert_pending!(waits.poll());
    let added = assert_ready!(task::spawn(store.append(vec![entry(1)])).poll());
    assert_eq!(added, Ok(Appended::Appended));
    assert!(waits.is_woken());
    assert_ready!(waits.poll()).unwrap();
    let shown = format!("{store:?} {:?}", record(1));
    assert_eq!(
        shown,
        "MemoryRevocationStore { max_records: 1, .. } RevocationRecord(..)"
    );
}
