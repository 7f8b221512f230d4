//! `Redis` as a store of revocations: a set of records, and a stream of those that are new.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ::redis::Value;
use tokio::time::{sleep, timeout};

use super::Redis;
use super::fault::text;
use super::listener::Listener;
use super::scripts::Script;
use super::shared::{Shared, Unanswered};
use crate::store::{
    Additions, Appended, HISTORY, ReadOn, RevocationEntry, RevocationRecord, RevocationStore,
    Snapshot, StoreError, StoreFuture, StorePosition, WAIT,
};
use crate::util::seconds_up;

/// How many entries are added at once. The engine does nothing else meanwhile.
const MAX_BATCH: usize = 1000;
/// How many entries of the stream are read at once.
const MAX_READ: usize = 1000;
/// After something was written back, so long may more of it come.
const MORE: Duration = Duration::from_secs(5);
/// How often it is asked where there is no connection to wait on.
const POLL: Duration = Duration::from_millis(200);
/// Whole numbers of the engine's scores are exact up to this. What ends later never does.
const MAX_END: u64 = 1 << 53;

impl RevocationStore for Redis {
    fn append(&self, entries: Vec<RevocationEntry>) -> StoreFuture<Appended> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.append(&entries, Duration::ZERO).await })
    }

    fn write_back(&self, entries: Vec<RevocationEntry>) -> StoreFuture<Appended> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.append(&entries, MORE).await })
    }

    fn snapshot(&self, part: Option<StorePosition>) -> StoreFuture<Snapshot> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.snapshot(part.as_ref()).await })
    }

    fn read_on(&self, from: StorePosition) -> StoreFuture<ReadOn> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.read_on(&from).await })
    }
}

/// How far the stream was read, or is to be read on from when the set is.
struct Place {
    /// The `since` of the marker. With another one, records may have been lost.
    since: u64,
    id: EntryId,
    /// How many entries there were up to this one.
    count: u64,
}

impl Place {
    /// The place, and the cursor of the next part of a snapshot.
    fn parse(position: &StorePosition) -> Option<(Self, Option<u64>)> {
        let mut words = position.as_str().split(' ');
        let since = words.next()?.parse().ok()?;
        let id = EntryId::parse(words.next()?)?;
        let count = words.next()?.parse().ok()?;
        let cursor = words.next().map(str::parse).transpose().ok()?;
        let is_whole = words.next().is_none();
        is_whole.then_some((Self { since, id, count }, cursor))
    }

    fn position(&self) -> StorePosition {
        let Self { since, id, count } = self;
        StorePosition::new(format!("{since} {id} {count}"))
    }

    fn part(&self, cursor: u64) -> StorePosition {
        let position = self.position();
        StorePosition::new(format!("{} {cursor}", position.as_str()))
    }
}

/// The id of an entry of the stream.
#[derive(Clone, Copy)]
struct EntryId {
    time: u64,
    number: u64,
}

impl EntryId {
    fn parse(text: &str) -> Option<Self> {
        let (time, number) = text.split_once('-')?;
        Some(Self {
            time: time.parse().ok()?,
            number: number.parse().ok()?,
        })
    }

    /// The least one that is greater. Ranges without their first one are of Redis 6.2.
    fn next(self) -> Self {
        match self.number.checked_add(1) {
            Some(number) => Self { number, ..self },
            None => Self {
                time: self.time.saturating_add(1),
                number: 0,
            },
        }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.time, self.number)
    }
}

impl Shared {
    /// The set, and the stream.
    pub(super) fn revocation_keys(&self) -> [String; 2] {
        let prefix = &self.settings.prefix;
        [format!("{prefix}:v"), format!("{prefix}:vs")]
    }

    /// What is new among them has others wait so long for more.
    async fn append(
        &self,
        entries: &[RevocationEntry],
        settles_in: Duration,
    ) -> Result<Appended, StoreError> {
        if entries.len() > MAX_BATCH {
            let why = format!("more than {MAX_BATCH} revocations at once");
            return Err(StoreError::new(why));
        }
        let additions = Additions::new(entries);
        let numbers = [
            self.settings.max_revocations.to_string(),
            HISTORY.to_string(),
            settles_in.as_millis().to_string(),
            additions.records.len().to_string(),
        ];
        let scores = additions.records.iter().map(|(_, end)| score(*end));
        let scores: Vec<String> = scores.collect();
        let mut arguments: Vec<&[u8]> = numbers.iter().map(String::as_bytes).collect();
        for ((record, _), score) in additions.records.iter().zip(&scores) {
            arguments.push(record.as_bytes());
            arguments.push(score.as_bytes());
        }
        arguments.extend(additions.replaced.iter().map(|older| &older.as_bytes()[..]));
        let keys = self.revocation_keys();
        match self.ask(Script::Append, &keys, &arguments).await {
            Ok(said) => match said.as_ref().and_then(text) {
                Some("added") => Ok(Appended::Appended),
                Some("full") => Ok(Appended::Full),
                _ => Err(self.unusable_set()),
            },
            Err(Unanswered::Full) => Ok(Appended::Full),
            Err(why) => Err(why.into()),
        }
    }

    async fn snapshot(&self, part: Option<&StorePosition>) -> Result<Snapshot, StoreError> {
        let begun = match part {
            None => None,
            Some(part) => match Place::parse(part) {
                Some((place, Some(cursor))) => Some((place, cursor)),
                _ => return Err(of_another_store()),
            },
        };
        let cursor = begun.as_ref().map_or(0, |(_, cursor)| *cursor).to_string();
        let keys = self.revocation_keys();
        let arguments = [cursor.as_bytes()];
        let said = self.ask(Script::ReadSet, &keys, &arguments).await?;
        let said = said.and_then(Part::read);
        let said = said.ok_or_else(|| self.unusable_set())?;
        let place = match begun {
            None => said.place,
            Some((place, _)) if place.since == said.place.since => place,
            Some(_) => {
                let why = "the engine may have lost revocations while they were read: begin anew";
                return Err(StoreError::new(why));
            }
        };
        let records = said.records;
        Ok(match said.cursor {
            0 => Snapshot::Last {
                records,
                position: place.position(),
                settles_in: said.settles_in,
            },
            cursor => Snapshot::Part {
                records,
                next: place.part(cursor),
            },
        })
    }

    async fn read_on(self: &Arc<Self>, from: &StorePosition) -> Result<ReadOn, StoreError> {
        let Some((place, None)) = Place::parse(from) else {
            return Err(of_another_store());
        };
        let mut late = None;
        let mut settles_in;
        loop {
            let mut woken = pin!(self.listener.woken.notified());
            // Before the look: what is added in between wakes it.
            woken.as_mut().enable();
            match self.read_after(&place).await? {
                // That nothing is there still is news while it waits for others.
                ReadOn::Records {
                    records,
                    settles_in: left,
                    ..
                } if records.is_empty() => settles_in = left,
                found => return Ok(found),
            }
            // Made when there is something to wait for, and so in a runtime.
            let late = late.get_or_insert_with(|| Box::pin(sleep(WAIT)));
            let pause = match Listener::listen(self, place.id.to_string()) {
                true => WAIT,
                false => POLL,
            };
            let waits = poll_fn(|cx| match late.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => woken.as_mut().poll(cx),
            });
            let _ = timeout(pause, waits).await;
            if late.is_elapsed() {
                return Ok(ReadOn::Records {
                    records: Vec::new(),
                    position: place.position(),
                    settles_in,
                });
            }
        }
    }

    /// What is there now.
    async fn read_after(&self, place: &Place) -> Result<ReadOn, StoreError> {
        let keys = self.revocation_keys();
        let words = [MAX_READ.to_string(), place.id.next().to_string()];
        let arguments = words.each_ref().map(String::as_bytes);
        let said = self.ask(Script::ReadStream, &keys[1..], &arguments).await?;
        let unusable = || {
            let why = format!("an entry at {} of the engine is none of ours", keys[1]);
            StoreError::new(why)
        };
        let said = said.and_then(Entries::read).ok_or_else(unusable)?;
        if said.since != place.since {
            return Ok(ReadOn::Lost);
        }
        let is_whole = said.entries.len() < MAX_READ;
        let mut last = Place {
            since: place.since,
            id: place.id,
            count: place.count,
        };
        let mut records = Vec::with_capacity(said.entries.len());
        for entry in said.entries {
            let (id, number, record) = read_entry(&entry).ok_or_else(unusable)?;
            if number != last.count.wrapping_add(1) {
                return Ok(ReadOn::Behind);
            }
            last.count = number;
            last.id = id;
            records.push(record);
        }
        // The newest ones can be missing too, or all.
        if is_whole && last.count != said.count {
            return Ok(ReadOn::Behind);
        }
        Ok(ReadOn::Records {
            records,
            position: last.position(),
            settles_in: said.settles_in,
        })
    }

    fn unusable_set(&self) -> StoreError {
        let [set, _] = self.revocation_keys();
        StoreError::new(format!("a record at {set} of the engine is none of ours"))
    }
}

/// What [`Script::ReadSet`] says.
struct Part {
    cursor: u64,
    records: Vec<RevocationRecord>,
    /// The end of the stream.
    place: Place,
    settles_in: Duration,
}

impl Part {
    fn read(said: Value) -> Option<Self> {
        let [since, id, count, settles, cursor, records] = members(said)?;
        let Value::Array(records) = records else {
            return None;
        };
        Some(Self {
            cursor: number(&cursor)?,
            records: records.iter().map(record).collect::<Option<_>>()?,
            place: Place {
                since: number(&since)?,
                id: EntryId::parse(text(&id)?)?,
                count: number(&count)?,
            },
            settles_in: Duration::from_millis(number(&settles)?),
        })
    }
}

/// What [`Script::ReadStream`] says.
struct Entries {
    since: u64,
    /// How many there were ever.
    count: u64,
    settles_in: Duration,
    entries: Vec<Value>,
}

impl Entries {
    fn read(said: Value) -> Option<Self> {
        let [since, count, settles, entries] = members(said)?;
        let Value::Array(entries) = entries else {
            return None;
        };
        Some(Self {
            since: number(&since)?,
            count: number(&count)?,
            settles_in: Duration::from_millis(number(&settles)?),
            entries,
        })
    }
}

/// An entry of the stream: its id, its number, and its record.
fn read_entry(entry: &Value) -> Option<(EntryId, u64, RevocationRecord)> {
    let Value::Array(pair) = entry else {
        return None;
    };
    let [id, Value::Array(fields)] = &pair[..] else {
        return None;
    };
    let [n, count, r, bytes] = &fields[..] else {
        return None;
    };
    if text(n)? != "n" || text(r)? != "r" {
        return None;
    }
    Some((EntryId::parse(text(id)?)?, number(count)?, record(bytes)?))
}

fn members<const N: usize>(said: Value) -> Option<[Value; N]> {
    match said {
        Value::Array(members) => members.try_into().ok(),
        _ => None,
    }
}

fn number(value: &Value) -> Option<u64> {
    text(value)?.parse().ok()
}

fn record(value: &Value) -> Option<RevocationRecord> {
    match value {
        Value::BulkString(bytes) => Some(RevocationRecord::new(bytes[..].try_into().ok()?)),
        _ => None,
    }
}

/// In whole seconds, and not before the end.
fn score(end: Duration) -> String {
    let seconds = seconds_up(end);
    match seconds < MAX_END {
        true => seconds.to_string(),
        false => "+inf".to_owned(),
    }
}

fn of_another_store() -> StoreError {
    StoreError::new("the position is of another store")
}
