//! Deciding about a request, and telling all who listen.

use super::audit::Audit;
use super::record::{DecisionRecord, Outcome, RecordedOperation, Stage};
use super::{events, meter};
use crate::credential::RequestHead;
use crate::error::{AuthError, AuthErrorKind};
use crate::principal::Principal;

/// A request before the layer that decides.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    stage: Stage,
    /// Which one of this stage, where there can be several.
    by: usize,
    principal: Option<&'a Principal>,
    operation: RecordedOperation<'a>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(stage: Stage, principal: Option<&'a Principal>) -> Self {
        Self {
            stage,
            by: 0,
            principal,
            operation: RecordedOperation::Http,
        }
    }

    /// Before the auth layer, and a provider of this name, or `none`.
    pub(crate) fn auth(provider: &'static str) -> Self {
        Self::new(Stage::Auth { provider }, None)
    }

    /// Tells several of one stage apart by where their rules are: who passes one of them has not
    /// answered the refusal of another.
    pub(crate) fn by<R: ?Sized>(mut self, rules: &R) -> Self {
        self.by = std::ptr::from_ref(rules).addr();
        self
    }

    pub(crate) fn on(mut self, operation: RecordedOperation<'a>) -> Self {
        self.operation = operation;
        self
    }

    pub(crate) fn accepted(self, head: RequestHead<'a>, audit: &Audit) {
        if meter::IS_ON || audit.hears_of_acceptance() {
            return self.decided(Outcome::Accepted, Some(head), None, audit);
        }
        events::accepted(|| self.record(Outcome::Accepted, Some(head), None));
    }

    /// Accepted by the auth layer.
    pub(crate) fn accepted_as(
        mut self,
        principal: &'a Principal,
        head: RequestHead<'a>,
        audit: &Audit,
    ) {
        self.principal = Some(principal);
        events::principal(principal);
        self.accepted(head, audit);
    }

    pub(crate) fn anonymous(self, head: RequestHead<'a>, audit: &Audit) {
        self.decided(Outcome::Anonymous, Some(head), None, audit);
    }

    pub(crate) fn refused(self, error: &'a AuthError, head: RequestHead<'a>, audit: &Audit) {
        self.decided(Outcome::Refused, Some(head), Some(error), audit);
    }

    pub(crate) fn reported(self, error: &'a AuthError, head: RequestHead<'a>, audit: &Audit) {
        self.decided(Outcome::Reported, Some(head), Some(error), audit);
    }

    pub(crate) fn reported_in_handler(self, error: &'a AuthError, audit: &Audit) {
        self.decided(Outcome::Reported, None, Some(error), audit);
    }

    /// What a handler asked for was granted.
    pub(crate) fn granted_in_handler(self, audit: &Audit) {
        self.decided(Outcome::Accepted, None, None, audit);
    }

    pub(crate) fn refused_in_handler(self, error: &'a AuthError, audit: &Audit) {
        self.decided(Outcome::Refused, None, Some(error), audit);
    }

    fn record(
        self,
        outcome: Outcome,
        head: Option<RequestHead<'a>>,
        error: Option<&'a AuthError>,
    ) -> DecisionRecord<'a> {
        DecisionRecord {
            stage: self.stage,
            outcome,
            principal: self.principal,
            error,
            head,
            operation: self.operation,
            step_up: None,
            by: self.by,
        }
    }

    /// Tells all who listen.
    fn decided(
        self,
        outcome: Outcome,
        head: Option<RequestHead<'a>>,
        error: Option<&'a AuthError>,
        audit: &Audit,
    ) {
        let mut record = self.record(outcome, head, error);
        match error {
            // Who is let pass is not asked for more.
            _ if outcome == Outcome::Reported => {}
            Some(error) if asks_for_more(error.kind()) => {
                record.step_up = record
                    .step_up_key()
                    .map(|key| audit.step_ups.asked(key.principal, key));
                meter::step_up("asked");
            }
            None if !audit.step_ups.is_empty() => {
                let key = record.step_up_key();
                record.step_up = key.and_then(|key| audit.step_ups.granted(key));
                if record.step_up.is_some() {
                    meter::step_up("granted");
                }
            }
            _ => {}
        }
        events::decided(&record);
        meter::decided(&record);
        for hook in &audit.hooks {
            hook(&record);
        }
    }
}

/// Whether a client comes back with a better token.
fn asks_for_more(kind: AuthErrorKind) -> bool {
    matches!(
        kind,
        AuthErrorKind::InsufficientScope | AuthErrorKind::InsufficientUserAuthentication
    )
}
