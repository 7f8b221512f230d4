//! The task that reads what other replicas have revoked, and writes what they do not know.

use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Shared;
use super::index::{Full, Key, Record, SHARDS};
use super::replicas::{Replicas, Turned};
use crate::store::{
    Appended, ReadOn, RevocationEntry, RevocationRecord, RevocationStore, Snapshot, StoreError,
    StorePosition, within_patience,
};
use crate::telemetry;

/// How many entries are written at once, and how many of these between two looks for news.
const BATCH: usize = 200;
const BATCHES: usize = 20;
/// How long it waits after a question in vain.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// What goes on from turn to turn.
struct Course {
    store: Arc<dyn RevocationStore>,
    /// Where to read on from. `None`: a snapshot comes first.
    position: Option<StorePosition>,
    /// The store has lost something, and these parts of the index are not written back yet.
    lost: Range<usize>,
    /// What is written next.
    backlog: Vec<Key>,
    is_told_full: bool,
    /// Until when others may write back what the store has lost, by the monotonic clock.
    settles_at: Duration,
}

/// Reads until the last handle is gone. It holds none while it waits.
pub(super) async fn keep(shared: Weak<Shared>, store: Arc<dyn RevocationStore>) {
    let (first, longest) = PAUSES;
    let mut pause = first;
    let mut course = Course {
        store,
        position: None,
        lost: 0..0,
        backlog: Vec::new(),
        is_told_full: false,
        settles_at: Duration::ZERO,
    };
    loop {
        let turn = course.turn(&shared).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let Some(replicas) = &shared.replicas else {
            return;
        };
        if let Err(error) = &turn {
            replicas.failed(error.to_string());
        }
        shared.tell(replicas);
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

impl Course {
    async fn turn(&mut self, shared: &Weak<Shared>) -> Result<(), StoreError> {
        self.write_back(shared).await?;
        match self.position.clone() {
            None => self.read_all(shared).await,
            Some(position) => self.read_on(shared, position).await,
        }
    }

    async fn read_all(&mut self, shared: &Weak<Shared>) -> Result<(), StoreError> {
        let Some(asked_at) = now(shared) else {
            return Ok(());
        };
        let mut part = None;
        loop {
            match within_patience(self.store.snapshot(part)).await? {
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
                    self.settles_at = asked_at.saturating_add(settles_in);
                    self.is_known(shared, asked_at);
                    return Ok(());
                }
            }
        }
    }

    async fn read_on(
        &mut self,
        shared: &Weak<Shared>,
        position: StorePosition,
    ) -> Result<(), StoreError> {
        let Some(asked_at) = now(shared) else {
            return Ok(());
        };
        match within_patience(self.store.read_on(position)).await? {
            ReadOn::Records { records, position } => {
                take_in(shared, &records)?;
                self.position = Some(position);
                self.is_known(shared, asked_at);
            }
            ReadOn::Behind => self.position = None,
            ReadOn::Lost => {
                self.position = None;
                self.lost = 0..SHARDS;
                if let Some(shared) = shared.upgrade() {
                    telemetry::revocations_lost(shared.index.entries());
                }
            }
        }
        Ok(())
    }

    /// Everything that the store had at this moment is known: that is all there is, unless other
    /// replicas have yet to write back what it has lost.
    fn is_known(&self, shared: &Weak<Shared>, asked_at: Duration) {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let Some(replicas) = &shared.replicas else {
            return;
        };
        if shared.settings.clock.monotonic() < self.settles_at {
            replicas.failed(UNSETTLED.to_owned());
            return;
        }
        replicas.answered(asked_at);
        replicas.complete();
    }

    /// Writes what the store lacks: some of it, so that what others write is not waited for.
    async fn write_back(&mut self, shared: &Weak<Shared>) -> Result<(), StoreError> {
        for _ in 0..BATCHES {
            let Some(batch) = self.next_batch(shared) else {
                return Ok(());
            };
            let written = within_patience(self.store.append(batch.entries)).await?;
            let Some(shared) = shared.upgrade() else {
                return Ok(());
            };
            let Some(replicas) = &shared.replicas else {
                return Ok(());
            };
            match written {
                Appended::Appended => {
                    self.is_told_full = false;
                    self.backlog.truncate(batch.rest);
                    replicas.sent(&shared.index, &batch.records);
                }
                Appended::Full => {
                    if !self.is_told_full {
                        self.is_told_full = true;
                        telemetry::revocation_store_full();
                    }
                    // It is tried again with the next look for news.
                    let mut unsent = replicas.unsent();
                    unsent.extend(self.backlog.drain(..));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn next_batch(&mut self, shared: &Weak<Shared>) -> Option<Batch> {
        let shared = shared.upgrade()?;
        let replicas = shared.replicas.as_ref()?;
        let now = shared.settings.clock.now().as_secs();
        loop {
            if self.backlog.is_empty() {
                self.backlog.extend(replicas.unsent().iter());
            }
            while self.backlog.len() < BATCH
                && let Some(shard) = self.lost.next()
            {
                let there = shared.index.shard(shard, now);
                self.backlog.extend(there.iter().map(|(key, _)| key));
            }
            if self.backlog.is_empty() {
                return None;
            }
            let rest = self.backlog.len().saturating_sub(BATCH);
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
    /// Says it once when what is known has become too old, and once when it is not any more, also
    /// where credentials are accepted by it.
    fn tell(&self, replicas: &Replicas) {
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
