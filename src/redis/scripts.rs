//! What runs inside the engine: one script for each question, so each is one step and one round
//! trip.
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
    #[cfg(feature = "api-key-store")]
    FindKey,
    #[cfg(feature = "api-key-store")]
    PutKey,
    #[cfg(feature = "api-key-store")]
    UseKey,
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
        #[cfg(feature = "api-key-store")]
        Self::FindKey,
        #[cfg(feature = "api-key-store")]
        Self::PutKey,
        #[cfg(feature = "api-key-store")]
        Self::UseKey,
    ];

    pub(super) fn text(self) -> &'static str {
        match self {
            // Arguments: run id, margin in ms, whether the engine may have lost something though
            // it is the same process, whether a marker may be made, the caller's time and how much
            // it may differ: nothing is written by a wrong clock. A process of another id may have
            // lost what was acknowledged, so `since` moves; it never goes back.
            Self::Enter => timed!(concat!(
                writable!(),
                "if math.abs(now - tonumber(ARGV[5])) > tonumber(ARGV[6]) then
                   return {now, 'clock'}
                 end
                 local m = redis.call('HMGET', KEYS[1], 'run', 'since')
                 if not m[1] and ARGV[4] == '0' then return {now, 'none'} end
                 local since, was, least = m[2], tonumber(m[2]) or 0, tonumber(ARGV[7])
                 if m[1] ~= ARGV[1] or ARGV[3] == '1' or was < least then
                   since = math.max(now + tonumber(ARGV[2]), was + 1, least + 1)
                   since = string.format('%.0f', since)
                   redis.call('HSET', KEYS[1], 'run', ARGV[1], 'since', since)
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
            // Keys: the sign that there are keys, and the record. What is there: whether there are
            // keys, the record, its code, and when the key was last used.
            #[cfg(feature = "api-key-store")]
            Self::FindKey => marked!(
                writable!(),
                "local k = redis.call('HMGET', KEYS[3], 'key', 'mac', 'used')
                 return {now, m[2], {redis.call('EXISTS', KEYS[2]), k[1], k[2], k[3]}}"
            ),
            // Arguments: run id, record, its code, the code of the record in whose place it
            // comes, or nothing where any will do. Whether it was written.
            #[cfg(feature = "api-key-store")]
            Self::PutKey => marked!(
                "if ARGV[4] ~= '' and redis.call('HGET', KEYS[3], 'mac') ~= ARGV[4] then
                   return {now, m[2], 0}
                 end
                 redis.call('SET', KEYS[2], '1')
                 redis.call('HSET', KEYS[3], 'key', ARGV[2], 'mac', ARGV[3])
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
        }
    }
}
