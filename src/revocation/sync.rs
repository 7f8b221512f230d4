//! The task that reads what other replicas have revoked, and writes what they do not know.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use super::Shared;
use super::index::{Full, Key, Record, SHARDS};
use super::replicas::{Replicas, Turned};
use crate::store::{
    Appended, ReadOn, RevocationEntry, RevocationRecord, RevocationStore, Snapshot, StoreError,
    StorePosition, within_patience,
};
use crate::telemetry;

/// How many entries are written at once, and how many of these while everything is read: the store
/// remembers the order of so many that came meanwhile, and others write too.
const BATCH: usize = 200;
const BATCHES: usize = 20;
/// How long it waits after a question in vain.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Reads until the last handle is gone. It holds none while it waits.
pub(super) async fn keep(shared: Weak<Shared>, store: Arc<dyn RevocationStore>) {
    let (first, longest) = PAUSES;
    let mut pause = first;
    let mut reader = Reader {
        store: Arc::clone(&store),
        position: None,
    };
    let mut writer = Writer {
        store,
        backlog: Vec::new(),
        is_again: false,
        most: BATCH,
        is_reported_full: false,
    };
    loop {
        // At the same time: a store that takes nothing can be read, and while nothing is new there
        // is time to write.
        let is_read = AtomicBool::new(false);
        let batches = match reader.position {
            Some(_) => usize::MAX,
            None => BATCHES,
        };
        let reads = async {
            let read = reader.turn(&shared).await;
            is_read.store(true, Ordering::Relaxed);
            read
        };
        let (written, read) = both(writer.turn(&shared, batches, &is_read), reads).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let Some(replicas) = &shared.replicas else {
            return;
        };
        let turn = read.and_then(|again| {
            if !again.is_empty() {
                (writer.backlog, writer.is_again) = (again, true);
            }
            written
        });
        if let Err(error) = &turn {
            replicas.failed(error.to_string());
        }
        shared.report(replicas);
        drop(shared);
        match turn {
            Ok(()) => pause = first,
            Err(_) => {
                tokio::time::sleep(pause).await;
                pause = longest.min(pause * 2);
            }
        }
    }
}

/// Runs both at the same time.
async fn both<A: Future, B: Future>(one: A, other: B) -> (A::Output, B::Output) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut of_one, mut of_other) = (None, None);
    poll_fn(|cx| {
        if of_one.is_none()
            && let Poll::Ready(output) = one.as_mut().poll(cx)
        {
            of_one = Some(output);
        }
        if of_other.is_none()
            && let Poll::Ready(output) = other.as_mut().poll(cx)
        {
            of_other = Some(output);
        }
        match (of_one.take(), of_other.take()) {
            (Some(one), Some(other)) => Poll::Ready((one, other)),
            unfinished => {
                (of_one, of_other) = unfinished;
                Poll::Pending
            }
        }
    })
    .await
}

/// What reads, from turn to turn.
struct Reader {
    store: Arc<dyn RevocationStore>,
    /// Where to read on from. `None`: a snapshot comes first.
    position: Option<StorePosition>,
}

impl Reader {
    /// Reads what is new, or everything. What is written again comes of it.
    async fn turn(&mut self, shared: &Weak<Shared>) -> Result<Vec<Key>, StoreError> {
        match self.position.clone() {
            None => self.read_all(shared).await,
            Some(position) => self.read_on(shared, position).await,
        }
    }

    /// What was known before is written again: the store may have lost it before the snapshot, and
    /// tells only of what it loses after that.
    async fn read_all(&mut self, shared: &Weak<Shared>) -> Result<Vec<Key>, StoreError> {
        let Some(asked_at) = now(shared) else {
            return Ok(Vec::new());
        };
        let mut again = None;
        let mut part = None;
        loop {
            let snapshot = within_patience(self.store.snapshot(part)).await?;
            // Not before: who reads on is told when what is acknowledged from here on is lost.
            let again = again.get_or_insert_with(|| known(shared));
            match snapshot {
                Snapshot::Part { records, next } => {
                    take_in(shared, &records)?;
                    part = Some(next);
                }
                Snapshot::Last {
                    records,
                    position,
                    settles_in,
                } => {
                    take_in(shared, &records)?;
                    self.position = Some(position);
                    is_known(shared, asked_at, settles_in);
                    return Ok(std::mem::take(again));
                }
            }
        }
    }

    async fn read_on(
        &mut self,
        shared: &Weak<Shared>,
        position: StorePosition,
    ) -> Result<Vec<Key>, StoreError> {
        let Some(asked_at) = now(shared) else {
            return Ok(Vec::new());
        };
        match within_patience(self.store.read_on(position)).await? {
            ReadOn::Records {
                records,
                position,
                settles_in,
            } => {
                take_in(shared, &records)?;
                self.position = Some(position);
                is_known(shared, asked_at, settles_in);
            }
            ReadOn::Behind => self.position = None,
            ReadOn::Lost => {
                self.position = None;
                if let Some(shared) = shared.upgrade() {
                    telemetry::revocations_lost(shared.index.entries());
                }
                return Ok(known(shared));
            }
        }
        Ok(Vec::new())
    }
}

/// Everything that the store had at this moment is known: that is all there is, unless other
/// replicas have yet to write back what it has lost.
fn is_known(shared: &Weak<Shared>, asked_at: Duration, settles_in: Duration) {
    let Some(shared) = shared.upgrade() else {
        return;
    };
    let Some(replicas) = &shared.replicas else {
        return;
    };
    if !settles_in.is_zero() {
        replicas.failed(UNSETTLED.to_owned());
        return;
    }
    replicas.answered(asked_at);
    replicas.complete();
}

/// What writes, from turn to turn.
struct Writer {
    store: Arc<dyn RevocationStore>,
    /// What is written next.
    backlog: Vec<Key>,
    /// The store had it before.
    is_again: bool,
    /// How many entries are written at once: fewer where the store has little room.
    most: usize,
    is_reported_full: bool,
}

impl Writer {
    /// Writes what the store lacks, in so many batches at most, until what is new is read: one batch
    /// at least.
    async fn turn(
        &mut self,
        shared: &Weak<Shared>,
        batches: usize,
        is_read: &AtomicBool,
    ) -> Result<(), StoreError> {
        for _ in 0..batches {
            let Some(batch) = self.next_batch(shared) else {
                self.is_reported_full = false;
                return Ok(());
            };
            let written = match self.is_again {
                true => self.store.write_back(batch.entries),
                false => self.store.append(batch.entries),
            };
            let written = within_patience(written).await?;
            let Some(shared) = shared.upgrade() else {
                return Ok(());
            };
            let Some(replicas) = &shared.replicas else {
                return Ok(());
            };
            match written {
                Appended::Appended => {
                    self.most = BATCH.min(self.most * 2);
                    self.backlog.truncate(batch.rest);
                    replicas.sent(&shared.index, &batch.records);
                }
                // Fewer may fit.
                Appended::Full if batch.records.len() > 1 => self.most = batch.records.len() / 2,
                Appended::Full => {
                    self.most = 1;
                    if !self.is_reported_full {
                        self.is_reported_full = true;
                        telemetry::revocation_store_full();
                    }
                    // It is tried again after the others.
                    replicas.unsent().extend(self.backlog.drain(batch.rest..));
                    return Ok(());
                }
            }
            drop(shared);
            if is_read.load(Ordering::Relaxed) {
                return Ok(());
            }
            // A store in memory has its answers at once.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn next_batch(&mut self, shared: &Weak<Shared>) -> Option<Batch> {
        let shared = shared.upgrade()?;
        let replicas = shared.replicas.as_ref()?;
        let now = shared.settings.clock.now().as_secs();
        loop {
            if self.backlog.is_empty() {
                self.is_again = false;
                self.backlog.extend(replicas.unsent().iter());
            }
            if self.backlog.is_empty() {
                return None;
            }
            let rest = self.backlog.len().saturating_sub(self.most);
            // As they are now: an entry may have grown since, or be over.
            let keys = self.backlog[rest..].iter();
            let records = keys.filter_map(|key| Some((*key, shared.index.get(*key)?)));
            let records: Vec<_> = records.filter(|(_, record)| now < record.ends()).collect();
            if records.is_empty() {
                let over = self.backlog.split_off(rest);
                let mut unsent = replicas.unsent();
                over.iter().for_each(|key| {
                    unsent.remove(key);
                });
                continue;
            }
            let entries = records.iter();
            let entries = entries.map(|(key, record)| replicas.entry(*key, *record, None));
            return Some(Batch {
                entries: entries.collect(),
                records,
                rest,
            });
        }
    }
}

/// What is written at once.
struct Batch {
    entries: Vec<RevocationEntry>,
    records: Vec<(Key, Record)>,
    /// How many keys wait still.
    rest: usize,
}

/// All keys that are known here, and not over.
fn known(shared: &Weak<Shared>) -> Vec<Key> {
    let Some(shared) = shared.upgrade() else {
        return Vec::new();
    };
    let now = shared.settings.clock.now().as_secs();
    let shards = (0..SHARDS).flat_map(|shard| shared.index.shard(shard, now));
    shards.map(|(key, _)| key).collect()
}

fn now(shared: &Weak<Shared>) -> Option<Duration> {
    Some(shared.upgrade()?.settings.clock.monotonic())
}

/// Adds what others have revoked. No record is passed over: one that cannot be read may be for any
/// credential.
fn take_in(shared: &Weak<Shared>, records: &[RevocationRecord]) -> Result<(), StoreError> {
    let Some(shared) = shared.upgrade() else {
        return Ok(());
    };
    let Some(replicas) = &shared.replicas else {
        return Ok(());
    };
    let now = shared.settings.clock.now().as_secs();
    let mut is_news = false;
    let mut fault = None;
    for sealed in records {
        let added = match replicas.sealer.open(sealed) {
            Err(_) => Err(FOREIGN.to_owned()),
            Ok((_, record)) if record.ends() <= now => continue,
            Ok((key, record)) => shared.index.add(key, record, now).map_err(|Full| {
                let most = shared.index.max_entries();
                format!("there are more entries than the {most} of `max_entries`")
            }),
        };
        match added {
            Ok(added) => is_news |= added.is_news(),
            Err(why) => fault = Some(why),
        }
    }
    if is_news {
        shared.changed.wake();
        telemetry::revocations_read(shared.index.entries());
    }
    match fault {
        Some(why) => Err(StoreError::new(why)),
        None => Ok(()),
    }
}

const UNSETTLED: &str = "the store has lost records a moment ago, and other replicas may still \
                         write them back";
const FOREIGN: &str = "a record of the store was not written with the secret of this server: all \
                       replicas have one secret, and other servers have another prefix";

impl Shared {
    /// Reports it once when what is known has become too old, and once when it is not any more, also
    /// where credentials are accepted by it.
    fn report(&self, replicas: &Replicas) {
        match replicas.turned(&self.settings) {
            None => {}
            Some(Turned::Fresh) => telemetry::revocations_known(self.index.entries()),
            Some(Turned::Old(why)) => {
                telemetry::revocations_unknown(self.settings.allow_on_outage, &why);
                // Streams end.
                self.changed.wake();
            }
        }
    }
}
