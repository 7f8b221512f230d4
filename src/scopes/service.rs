//! The service: refuses callers without what a route needs.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;

use super::judge::{judge, refused};
use super::layer::Rule;
use crate::credential::RequestHead;
use crate::error::AuthError;
use crate::gate::{Gate, gated_service};
use crate::refusal::{Caller, RefusalForm, no_auth_layer, refuse_or_report};
use crate::telemetry::{self, Case, Stage};

gated_service! {
    /// The service made by a [`RequireScopesLayer`](super::RequireScopesLayer).
    ///
    /// A refusal is a response, so the error is the inner service's own and unchanged.
    ///
    /// See the [module docs](crate::scopes) for an example.
    RequireScopes, Rule
}

impl Gate for Rule {
    type Pass = Option<AuthError>;

    fn check<B: Body>(
        self: &Arc<Self>,
        request: &mut Request<B>,
    ) -> ControlFlow<Response<Bytes>, Option<AuthError>> {
        let head = RequestHead::of(request);
        let Some(caller) = Caller::of(head.extensions()) else {
            telemetry::no_auth_layer("RequireScopesLayer");
            return ControlFlow::Break(no_auth_layer());
        };
        let verdict = judge(std::iter::once(&self.needs), caller, &self.hierarchy);
        let case = Case::new(Stage::Scopes, caller.known()).by(&**self);
        let include = self.include_granted.applies_to(head.headers());
        match refused(verdict, caller, include.then_some(&self.hierarchy)) {
            None => {
                case.accepted(head, &caller.context.audit);
                ControlFlow::Continue(None)
            }
            Some(error) => refuse_or_report(error, caller, RefusalForm::of(head), head, case),
        }
    }
}
