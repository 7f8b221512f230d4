//! Hooks and step-ups of one auth layer.

use std::fmt;
use std::sync::Arc;

use super::record::DecisionRecord;
use super::step_up::StepUps;
use crate::clock::Clock;

/// What an auth layer is told to do with decisions; its refusal context carries it further in.
#[derive(Clone)]
pub(crate) struct Audit {
    pub(super) hooks: Vec<Arc<Hook>>,
    pub(super) step_ups: Arc<StepUps>,
}

pub(super) type Hook = dyn Fn(&DecisionRecord<'_>) + Send + Sync;

impl Audit {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            hooks: Vec::new(),
            step_ups: Arc::new(StepUps::new(clock)),
        }
    }

    /// Whether an acceptance is listened to.
    pub(super) fn hears_of_acceptance(&self) -> bool {
        !self.hooks.is_empty() || !self.step_ups.is_empty()
    }

    pub(crate) fn add_hook(&mut self, hook: impl Fn(&DecisionRecord<'_>) + Send + Sync + 'static) {
        self.hooks.push(Arc::new(hook));
    }

    /// A hook that both have is called once.
    pub(crate) fn join_hooks(&mut self, other: &Self) {
        for hook in &other.hooks {
            if !self.hooks.iter().any(|own| Arc::ptr_eq(own, hook)) {
                self.hooks.push(Arc::clone(hook));
            }
        }
    }

    /// What waits by another clock is forgotten.
    pub(crate) fn set_clock(&mut self, clock: Clock) {
        self.step_ups = Arc::new(StepUps::new(clock));
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit")
            .field("hooks", &self.hooks.len())
            .finish_non_exhaustive()
    }
}
