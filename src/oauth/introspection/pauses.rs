//! When no call may start, and why.
//!
//! An unknown token is answered `active: false` (RFC 7662 section 2.2), so a 401 or 403 speaks of
//! this server, unless it speaks of the one token: some servers and firewalls do that. What
//! tells the two apart is the error the answer names, and whether calls go well otherwise.

use std::time::Duration;

use crate::crypto::Digest;
use crate::util::places::{ByClass, Class};
use crate::util::with_jitter;

/// How long calls pause when the server is not reached: at first, and, doubling, at most.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// How long they pause when our credentials are refused (some servers lock clients out), and
/// how often one call then looks whether they still are.
const PROBE: Duration = Duration::from_secs(1);
/// What a server may ask for.
const BUSY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// After so many refusals in a row they are taken for refusals of our credentials, as long as
/// no token was ever answered active.
const IN_A_ROW: u32 = 3;
/// How many tokens are remembered of which a refusal was taken for one of our credentials.
const DOUBTED: usize = 64;

/// A time before which calls do not start.
#[derive(Default)]
struct Pause {
    until: Duration,
    why: Box<str>,
}

impl Pause {
    /// Of pauses that overlap the longest holds.
    fn hold(&mut self, until: Duration, why: &str) {
        if until > self.until {
            self.until = until;
            self.why = why.into();
        }
    }

    fn end(&mut self) {
        self.until = Duration::ZERO;
    }
}

/// The pauses, and what is known of the calls so far.
#[derive(Default)]
pub(super) struct Pauses {
    /// The server was not reached.
    outage: Pause,
    /// Within an outage: no call about a known token before this.
    next_known: Duration,
    /// How many times in a row the server was not reached, one token alone not counted.
    failures: u32,
    /// The token about which the server was not reached first.
    unreached: Option<Digest>,

    /// Our credentials are refused.
    credentials: Pause,
    /// Whether they were, and no call was answered since.
    probing: bool,
    /// How many 401 or 403 there were since a call was answered.
    in_a_row: u32,
    /// Whether a token was ever answered active.
    knows_one: bool,
    /// Tokens that were active, and were then refused with 401 or 403.
    doubted: Vec<Digest>,

    /// The server asked for it: about tokens that are known, and about others.
    busy: ByClass<Pause>,
}

/// What a 401 or 403 is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// This server: calls pause.
    Us,
    /// One token. `first`: the first since a call was answered, and no token was ever active.
    OneToken { first: bool },
    /// One token as well, but the last of so many in a row that calls pause.
    OneOfMany,
}

impl Pauses {
    /// How long no call about one of `class` may start, and why.
    pub(super) fn left(&self, class: Class, now: Duration) -> Option<(Duration, &str)> {
        let busy = self.busy.of(class);
        let outage_until = match class {
            // A token at which a server hangs is enough for an outage, and may be garbage: one
            // call a second about a token that was good shows whether it is one.
            Class::Known => self.outage.until.min(self.next_known),
            Class::Unknown => self.outage.until,
        };
        let pauses = [
            (busy.until, busy),
            (self.credentials.until, &self.credentials),
            (outage_until, &self.outage),
        ];
        let (until, pause) = pauses.into_iter().max_by_key(|(until, _)| *until)?;
        (now < until).then(|| (until - now, &*pause.why))
    }

    /// A call starts.
    pub(super) fn begin(&mut self, class: Class, now: Duration) {
        if self.probing {
            self.credentials.until = now.saturating_add(PROBE);
        }
        if class == Class::Known && now < self.outage.until {
            self.next_known = now.saturating_add(PROBE);
        }
    }

    /// The server answered about this token. What it asked for still holds. Returns the tokens
    /// that are known no more: a refusal of theirs was no refusal of our credentials.
    pub(super) fn answered(&mut self, digest: &Digest) -> Vec<Digest> {
        self.failures = 0;
        self.unreached = None;
        self.outage.end();
        self.in_a_row = 0;
        self.probing = false;
        self.credentials.end();
        self.doubted.retain(|doubted| doubted != digest);
        std::mem::take(&mut self.doubted)
    }

    /// A token was answered active.
    pub(super) fn knows_one(&mut self) {
        self.knows_one = true;
    }

    /// The server was not reached about a token; how long to pause for it. One token alone is
    /// no outage: callers may know one at which a server hangs.
    pub(super) fn unreached(
        &mut self,
        digest: Digest,
        now: Duration,
        why: &str,
    ) -> Option<Duration> {
        let first = *self.unreached.get_or_insert(digest);
        if first == digest && self.failures == 0 {
            return None;
        }
        let (shortest, most) = BACKOFF;
        let full = shortest
            .saturating_mul(1 << self.failures.min(16))
            .min(most);
        // Calls that were under way together failed once.
        if now >= self.outage.until {
            self.failures = self.failures.saturating_add(1);
            self.next_known = now.saturating_add(PROBE);
        }
        let pause = with_jitter(full);
        self.outage.hold(now.saturating_add(pause), why);
        Some(pause)
    }

    /// The server asks for a pause; how long it is for a token like this one.
    pub(super) fn busy(
        &mut self,
        asked: Option<Duration>,
        class: Class,
        now: Duration,
        why: &str,
    ) -> Duration {
        let (least, most) = BUSY;
        let pause = asked.unwrap_or(least).clamp(least, most);
        self.busy.unknown.hold(now.saturating_add(pause), why);
        // Others can cause the answer; who was good is not to wait for them.
        self.busy.known.hold(now.saturating_add(least), why);
        match class {
            Class::Known => least,
            Class::Unknown => pause,
        }
    }

    /// The server says that it does not accept who we are; how long to pause.
    pub(super) fn credentials_refused(&mut self, now: Duration, why: &str) -> Duration {
        self.probing = true;
        self.credentials.hold(now.saturating_add(PROBE), why);
        PROBE
    }

    /// The server answered 401 or 403 about a token, and does not say why.
    pub(super) fn refused(
        &mut self,
        digest: Digest,
        class: Class,
        now: Duration,
        why: &str,
    ) -> About {
        if class == Class::Known {
            if self.doubted.len() < DOUBTED && !self.doubted.contains(&digest) {
                self.doubted.push(digest);
            }
            self.credentials_refused(now, why);
            return About::Us;
        }
        if self.knows_one {
            return About::OneToken { first: false };
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.in_a_row < IN_A_ROW {
            return About::OneToken {
                first: self.in_a_row == 1,
            };
        }
        self.credentials_refused(now, why);
        About::OneOfMany
    }
}
