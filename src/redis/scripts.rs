//! The scripts that run inside the engine: one for each question.
//!
//! So each question is one step and one round trip.
//!
//! Each takes the key of the marker first and the run id of the engine process as its first
//! argument, and answers `{time in ms, since, …}`, or `{time, "none"}` without a marker, or
//! `{time, "moved"}` where the marker is of another process.

/// One of the scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Enter,
    Insert,
    Get,
    Look,
    Append,
    ReadSet,
    ReadStream,
    Charge,
    #[cfg(feature = "api-key-store")]
    FindKey,
    #[cfg(feature = "api-key-store")]
    PutKey,
    #[cfg(feature = "api-key-store")]
    UseKey,
    #[cfg(feature = "api-key-store")]
    EndingKeys,
}

/// What all begin with.
macro_rules! timed {
    ($rest:expr) => {
        concat!(
            "local t = redis.call('TIME')\n",
            "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n",
            $rest
        )
    };
}

/// `HDEL` of nothing changes nothing and reaches no replica; but it is a write, which an engine
/// refuses that was made a replica, or has lost its own: a script that only reads would be answered
/// there, from data that may be old. A script that adds must not: after one write it has all the
/// memory it asks for, whatever the limit.
macro_rules! writable {
    () => {
        "redis.call('HDEL', KEYS[1], '-')\n"
    };
}

/// A number, or the score of what never ends.
macro_rules! numbers {
    () => {
        "local function number(text)
           if text == 'inf' or text == '+inf' then return math.huge end
           return tonumber(text)
         end\n"
    };
}

/// The marker is of this process, or there is nothing to be said.
macro_rules! marked {
    ($($rest:expr),*) => {
        timed!(concat!(
            "local m = redis.call('HMGET', KEYS[1], 'run', 'since')\n",
            "if not m[1] then return {now, 'none'} end\n",
            "if m[1] ~= ARGV[1] then return {now, 'moved'} end\n",
            $($rest),*
        ))
    };
}

impl Script {
    pub(super) const ALL: &[Self] = &[
        Self::Enter,
        Self::Insert,
        Self::Get,
        Self::Look,
        Self::Append,
        Self::ReadSet,
        Self::ReadStream,
        Self::Charge,
        #[cfg(feature = "api-key-store")]
        Self::FindKey,
        #[cfg(feature = "api-key-store")]
        Self::PutKey,
        #[cfg(feature = "api-key-store")]
        Self::UseKey,
        #[cfg(feature = "api-key-store")]
        Self::EndingKeys,
    ];

    pub(super) fn text(self) -> &'static str {
        match self {
            // Arguments: run id, margin in ms, whether the engine may have lost something though
            // it is the same process, who makes a marker, the caller's time and how much it may
            // differ: nothing is written by a wrong clock; what `since` is at least, and how long
            // what was lost may take to be written back. A process of another id may have lost
            // what was acknowledged, so `since` moves; it never goes back. A new engine has lost
            // nothing.
            Self::Enter => timed!(concat!(
                writable!(),
                "if math.abs(now - tonumber(ARGV[5])) > tonumber(ARGV[6]) then
                   return {now, 'clock'}
                 end
                 local m = redis.call('HMGET', KEYS[1], 'run', 'since')
                 if not m[1] and ARGV[4] == 'none' then return {now, 'none'} end
                 local since, was, least = m[2], tonumber(m[2]) or 0, tonumber(ARGV[7])
                 if m[1] ~= ARGV[1] or ARGV[3] == '1' or was < least then
                   since = math.max(now + tonumber(ARGV[2]), was + 1, least + 1)
                   since = string.format('%.0f', since)
                   local settled = now
                   if m[1] or ARGV[4] ~= 'init' then settled = now + tonumber(ARGV[8]) end
                   settled = string.format('%.0f', settled)
                   redis.call('HSET', KEYS[1], 'run', ARGV[1], 'since', since)
                   redis.call('HSET', KEYS[1], 'settled', settled)
                   redis.call('HINCRBY', KEYS[1], 'epoch', 1)
                 end
                 return {now, since}"
            )),
            // Arguments: run id, value, life in ms. What is there comes third.
            Self::Insert => marked!(
                "local v = redis.call('GET', KEYS[2])
                 if v then\n",
                writable!(),
                "  return {now, m[2], v}
                 end
                 redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
                 return {now, m[2], false}"
            ),
            Self::Get => marked!(
                writable!(),
                "return {now, m[2], redis.call('GET', KEYS[2])}"
            ),
            // Which of the keys are there, by their numbers.
            Self::Look => marked!(
                writable!(),
                "local found = {}
                 for i = 2, #KEYS do
                   if redis.call('EXISTS', KEYS[i]) == 1 then found[#found + 1] = i - 2 end
                 end
                 return {now, m[2], found}"
            ),
            // Keys: the set and the stream of revocations. Arguments: run id, how many records
            // there may be, how many the stream remembers, how long more may come after what is
            // new, how many are added, each with its end;
            // the rest is replaced. One that has ended is not there any more; it is removed with
            // others of its kind, a few more than are added, so that none pile up. The first
            // command that writes is one that asks for memory: nothing is written, or everything.
            // The stream comes first: where it fails, those that try again find nothing there.
            Self::Append => marked!(
                numbers!(),
                "local set, added, s = KEYS[2], tonumber(ARGV[5]), tonumber(t[1])
                 local more, new, put, old = 0, {}, {}, {}
                 for i = 6, 2 * added + 4, 2 do
                   local ends = number(ARGV[i + 1])
                   local there = number(redis.call('ZSCORE', set, ARGV[i]) or '0')
                   if there <= s then
                     new[#new + 1] = ARGV[i]
                     if ends > s then more = more + 1 end
                   end
                   if ends > s and ends > there then put[#put + 1] = i end
                 end
                 for i = 2 * added + 6, #ARGV do
                   local there = redis.call('ZSCORE', set, ARGV[i])
                   if there and number(there) > s then old[#old + 1] = ARGV[i] end
                 end
                 local live = redis.call('ZCARD', set) - redis.call('ZCOUNT', set, '-inf', t[1])
                 if more > 0 and live + more - #old > tonumber(ARGV[2]) then\n",
                writable!(),
                "  return {now, m[2], 'full'}
                 end
                 if #new > 0 then
                   local n = redis.call('HINCRBY', KEYS[1], 'n', #new) - #new
                   for i = 1, #new do
                     redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], '*',
                       'n', string.format('%.0f', n + i), 'r', new[i])
                   end
                   local settled = redis.call('HMGET', KEYS[1], 'settled')[1]
                   local later = now + tonumber(ARGV[4])
                   if later > now and later > (tonumber(settled) or 0) then
                     redis.call('HSET', KEYS[1], 'settled', string.format('%.0f', later))
                   end
                 end
                 for _, i in ipairs(put) do redis.call('ZADD', set, ARGV[i + 1], ARGV[i]) end\n",
                writable!(),
                "for _, record in ipairs(old) do redis.call('ZREM', set, record) end
                 local ended = redis.call('ZRANGEBYSCORE', set, '-inf', t[1],
                   'LIMIT', 0, added + 100)
                 for _, record in ipairs(ended) do redis.call('ZREM', set, record) end
                 return {now, m[2], 'added'}"
            ),
            // Arguments: run id, cursor. Where the stream ends, how long it may take until what was
            // lost is there again, the next cursor, and what has not ended. The cursor goes on
            // where records come and go.
            Self::ReadSet => marked!(
                writable!(),
                numbers!(),
                "local h = redis.call('HMGET', KEYS[1], 'n', 'settled')
                 local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
                 local settles = math.max(0, (tonumber(h[2] or '0')) - now)
                 local part = redis.call('ZSCAN', KEYS[2], ARGV[2], 'COUNT', 1000)
                 local records, s = {}, tonumber(t[1])
                 for i = 1, #part[2], 2 do
                   if number(part[2][i + 1]) > s then records[#records + 1] = part[2][i] end
                 end
                 return {now, m[2], {m[2], last[1] and last[1][1] or '0-0', h[1] or '0',
                   string.format('%.0f', settles), part[1], records}}"
            ),
            // Keys: the stream. Arguments: run id, how many, the first id. How many there were ever
            // comes along: what is missing at the end is seen too.
            Self::ReadStream => marked!(
                writable!(),
                "local h = redis.call('HMGET', KEYS[1], 'n', 'settled')
                 local settles = math.max(0, (tonumber(h[2] or '0')) - now)
                 local found = redis.call('XRANGE', KEYS[2], ARGV[3], '+', 'COUNT', ARGV[2])
                 return {now, m[2], {m[2], h[1] or '0', string.format('%.0f', settles), found}}"
            ),
            // Keys: buckets. Arguments: run id, and of each bucket what is charged and what it holds,
            // in microseconds. It is the rule of `QuotaLimit::charge`, with the same numbers: up to
            // 2^53 they are whole. The end of a key is in whole milliseconds, and never too early.
            // What is written first asks for memory: all is charged, or nothing.
            Self::Charge => marked!(
                "local us, fits, debts = t[1] * 1000000 + t[2], 1, {}
                 for i = 2, #KEYS do
                   local tat = tonumber(redis.call('GET', KEYS[i]) or '0') or 0
                   local price, room = tonumber(ARGV[2 * i - 2]), tonumber(ARGV[2 * i - 1])
                   debts[i] = math.min(math.max(tat - us, 0), room)
                   if debts[i] + price > room then fits = 0 end
                 end
                 if fits == 0 then\n",
                writable!(),
                "end
                 local answer = {fits, us}
                 for i = 2, #KEYS do
                   if fits == 1 then
                     debts[i] = debts[i] + tonumber(ARGV[2 * i - 2])
                     redis.call('SET', KEYS[i], string.format('%.0f', us + debts[i]),
                       'PX', string.format('%.0f', math.ceil(debts[i] / 1000) + 1))
                   end
                   answer[i + 1] = debts[i]
                 end
                 return {now, m[2], answer}"
            ),
            // Keys: the sign that there are keys, and the record. What is there: whether there are
            // keys, the record, its code, and when the key was last used.
            #[cfg(feature = "api-key-store")]
            Self::FindKey => marked!(
                writable!(),
                "local k = redis.call('HMGET', KEYS[3], 'key', 'mac', 'used')
                 return {now, m[2], {redis.call('EXISTS', KEYS[2]), k[1], k[2], k[3]}}"
            ),
            // Keys: the sign, the record, and the index of ends. Arguments: run id, record, its
            // code, the code of the record that it replaces, or nothing where any will do,
            // the digest, and the end in seconds or nothing. Whether it was written. What ended a
            // day ago leaves the index.
            #[cfg(feature = "api-key-store")]
            Self::PutKey => marked!(
                "if ARGV[4] ~= '' and redis.call('HGET', KEYS[3], 'mac') ~= ARGV[4] then
                   return {now, m[2], 0}
                 end
                 redis.call('SET', KEYS[2], '1')
                 redis.call('HSET', KEYS[3], 'key', ARGV[2], 'mac', ARGV[3])
                 if ARGV[6] == '' then
                   redis.call('ZREM', KEYS[4], ARGV[5])
                 else
                   redis.call('ZADD', KEYS[4], ARGV[6], ARGV[5])
                 end
                 redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', t[1] - 86400)
                 return {now, m[2], 1}"
            ),
            // Arguments: run id, seconds since 1970. A later use is not overwritten, and no record
            // is made.
            #[cfg(feature = "api-key-store")]
            Self::UseKey => marked!(
                "if redis.call('HEXISTS', KEYS[3], 'key') == 0 then return {now, m[2], 0} end
                 local last = tonumber(redis.call('HGET', KEYS[3], 'used') or '')
                 if not last or last < tonumber(ARGV[2]) then
                   redis.call('HSET', KEYS[3], 'used', ARGV[2])
                 end
                 return {now, m[2], 1}"
            ),
            // Key: the index of ends. Arguments: run id, the first and the last second, how many
            // are passed over and how many are wanted.
            #[cfg(feature = "api-key-store")]
            Self::EndingKeys => marked!(
                writable!(),
                "return {now, m[2], redis.call('ZRANGEBYSCORE', KEYS[2], ARGV[2], ARGV[3],
                   'WITHSCORES', 'LIMIT', ARGV[4], ARGV[5])}"
            ),
        }
    }
}
