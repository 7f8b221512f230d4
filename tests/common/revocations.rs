//! What every `RevocationStore` does, and how a replica reads one.

use std::collections::BTreeSet;
use std::time::Duration;

use tower_mcp_auth::store::{
    Appended, ReadOn, RevocationEntry, RevocationRecord, RevocationStore, Snapshot, StoreError,
    StorePosition,
};

/// How many records the store of [`keeps_its_promises`] may have.
pub const BOUND: usize = 4;

/// A record whose bytes are digits, which tools on a command line can write.
pub fn record(number: u32) -> RevocationRecord {
    let text = format!("{number:056}");
    RevocationRecord::new(text.as_bytes().try_into().expect("56 digits"))
}

pub fn records(numbers: impl IntoIterator<Item = u32>) -> Vec<RevocationRecord> {
    numbers.into_iter().map(record).collect()
}

/// One that never ends.
pub fn entry(number: u32) -> RevocationEntry {
    RevocationEntry::new(record(number), None)
}

pub fn entries(numbers: impl IntoIterator<Item = u32>) -> Vec<RevocationEntry> {
    numbers.into_iter().map(entry).collect()
}

/// All parts of a snapshot.
#[derive(Debug)]
pub struct Whole {
    pub records: BTreeSet<RevocationRecord>,
    pub parts: usize,
    pub position: StorePosition,
    pub settles_in: Duration,
}

pub async fn snapshot(store: &dyn RevocationStore) -> Result<Whole, StoreError> {
    let mut all = BTreeSet::new();
    let mut part = None;
    for parts in 1.. {
        match store.snapshot(part).await? {
            Snapshot::Part { records, next } => {
                all.extend(records);
                part = Some(next);
            }
            Snapshot::Last {
                records,
                position,
                settles_in,
            } => {
                all.extend(records);
                return Ok(Whole {
                    records: all,
                    parts,
                    position,
                    settles_in,
                });
            }
            other => panic!("{other:?}"),
        }
    }
    unreachable!("it ends")
}

/// What came after a position, which is none that is too old.
pub async fn read_on(
    store: &dyn RevocationStore,
    from: &StorePosition,
) -> (Vec<RevocationRecord>, StorePosition) {
    match store.read_on(from.clone()).await {
        Ok(ReadOn::Records {
            records, position, ..
        }) => (records, position),
        other => panic!("{other:?}"),
    }
}

/// By an empty store that may have [`BOUND`] records.
pub async fn keeps_its_promises(store: &dyn RevocationStore) {
    let appends = async |entries| store.append(entries).await.unwrap();
    let has = async |numbers: &[u32]| {
        let there = snapshot(store).await.unwrap().records;
        assert_eq!(there, numbers.iter().map(|n| record(*n)).collect());
    };
    let empty = snapshot(store).await.unwrap();
    assert!(empty.records.is_empty());
    assert_eq!(empty.settles_in, Duration::ZERO);
    let begin = empty.position;

    // What is new is told in its order, and what is there already is not told again.
    assert_eq!(appends(entries([2, 1])).await, Appended::Appended);
    let (read, position) = read_on(store, &begin).await;
    assert_eq!(read, records([2, 1]));
    assert_eq!(appends(entries([2, 3, 3])).await, Appended::Appended);
    let (read, position) = read_on(store, &position).await;
    assert_eq!(read, records([3]));
    assert_eq!(read_on(store, &begin).await.0, records([2, 1, 3]));
    has(&[1, 2, 3]).await;
    assert_eq!(appends(Vec::new()).await, Appended::Appended);

    // What is replaced is gone, but nothing that is added with it, nor the record itself.
    let replaces = |own, older| entry(own).with_replaced(record(older));
    assert_eq!(appends(vec![replaces(4, 1)]).await, Appended::Appended);
    has(&[2, 3, 4]).await;
    assert_eq!(appends(vec![replaces(4, 4)]).await, Appended::Appended);
    has(&[2, 3, 4]).await;
    let both = vec![replaces(5, 2), replaces(6, 3)];
    assert_eq!(appends(both).await, Appended::Appended);
    let each_other = vec![replaces(7, 5), replaces(5, 7)];
    assert_eq!(appends(each_other).await, Appended::Appended);
    has(&[4, 5, 6, 7]).await;
    let (read, position) = read_on(store, &position).await;
    assert_eq!(read, records([4, 5, 6, 7]));

    // There is no room: none is added. What is there needs none, and a replacement makes its own.
    assert_eq!(appends(entries([8])).await, Appended::Full);
    assert_eq!(appends(entries([4, 8])).await, Appended::Full);
    assert_eq!(appends(entries([4, 5])).await, Appended::Appended);
    has(&[4, 5, 6, 7]).await;
    let (read, position) = read_on(store, &position).await;
    assert_eq!(read, []);
    assert_eq!(appends(vec![replaces(8, 7)]).await, Appended::Appended);
    has(&[4, 5, 6, 8]).await;

    // What has ended is told, and not kept.
    let ended = RevocationEntry::new(record(9), Some(Duration::from_secs(1)));
    assert_eq!(appends(vec![ended]).await, Appended::Appended);
    has(&[4, 5, 6, 8]).await;
    let (read, position) = read_on(store, &position).await;
    assert_eq!(read, records([8, 9]));
    assert_eq!(snapshot(store).await.unwrap().position, position);

    for text in ["", "nonsense", "1 2 3 4 5", "a 0-0 0", "1 0 0", "1 0-0 -1"] {
        let wrong = StorePosition::new(text);
        assert!(store.read_on(wrong.clone()).await.is_err(), "{text}");
        assert!(store.snapshot(Some(wrong)).await.is_err(), "{text}");
    }
}
