//! The numbers of introspection, each with its setter.

use std::time::Duration;

use super::settings::Introspection;
use crate::error::ConfigError;

/// The numbers calls and answers live by.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) timeout: Duration,
    pub(super) positive_life: Duration,
    pub(super) negative_life: Duration,
    pub(super) max_answers: u64,
    pub(super) max_answer_bytes: usize,
    pub(super) concurrent: usize,
    pub(super) queue: usize,
    pub(super) queue_deadline: Duration,
    pub(super) new_tokens_per_second: u32,
    pub(super) waiting: usize,
}

impl Limits {
    /// The defaults; each setter names its own.
    pub(super) fn new() -> Self {
        let seconds = Duration::from_secs;
        Self {
            timeout: seconds(5),
            positive_life: seconds(30),
            negative_life: seconds(10),
            max_answers: 10_000,
            max_answer_bytes: 64 * 1024,
            concurrent: 32,
            queue: 1024,
            queue_deadline: seconds(2),
            new_tokens_per_second: 500,
            waiting: 16_384,
        }
    }
}

impl Introspection {
    /// How long an answer "active" is used, and never past `exp`; 30 s. With zero, every
    /// request asks anew and a revoked token is refused at once; requests that arrive while
    /// a call about the same token is under way share its answer.
    pub fn positive_life(mut self, life: Duration) -> Self {
        self.limits.positive_life = life;
        self
    }

    /// How long a refusal is used; 10 s. With zero, every request asks anew.
    pub fn negative_life(mut self, life: Duration) -> Self {
        self.limits.negative_life = life;
        self
    }

    /// How many answers are kept, of good tokens and of refused ones each; 10,000.
    pub fn max_answers(mut self, answers: u64) -> Self {
        self.limits.max_answers = answers;
        self
    }

    /// The largest answer, in bytes; 64 KiB.
    pub fn max_answer_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_answer_bytes = bytes;
        self
    }

    /// How long a call may take; 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// How many calls may be under way at once; 32. Half of them (of two or more) is for tokens
    /// that were answered active within ten minutes, so that a flood of others does not lock
    /// them out.
    ///
    /// # Errors
    /// It is zero.
    pub fn concurrent_calls(mut self, calls: usize) -> Result<Self, ConfigError> {
        if calls == 0 {
            return Err(ConfigError::new(
                "concurrent_calls",
                "without a single call no token could pass",
            ));
        }
        self.limits.concurrent = calls;
        Ok(self)
    }

    /// How many calls may queue for their turn, and for how long; 1,024 and 2 s. Beyond
    /// either, 503.
    pub fn queue(mut self, calls: usize, deadline: Duration) -> Self {
        self.limits.queue = calls;
        self.limits.queue_deadline = deadline;
        self
    }

    /// How many calls a second there may be about tokens that were not good when last asked
    /// about; 500. Beyond it, 503.
    ///
    /// # Errors
    /// It is zero.
    pub fn new_tokens_per_second(mut self, calls: u32) -> Result<Self, ConfigError> {
        if calls == 0 {
            return Err(ConfigError::new(
                "new_tokens_per_second",
                "without a single call no token could pass",
            ));
        }
        self.limits.new_tokens_per_second = calls;
        Ok(self)
    }

    /// How many requests may wait for answers; 16,384, and as many more with tokens that were
    /// answered active within ten minutes. Beyond it, 503.
    pub fn waiting(mut self, requests: usize) -> Self {
        self.limits.waiting = requests;
        self
    }
}
