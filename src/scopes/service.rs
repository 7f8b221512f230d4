use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::layer::Rule;
use super::needs::{Needs, Verdict};
use super::{ResponseFuture, shortfall};
use crate::auth::ResponseBody;
use crate::credential::RequestHead;
use crate::error::AuthError;
use crate::principal::Caller;
use crate::refusal::{self, Answer, Outcome, refuse_or_observe};
use crate::telemetry::{self, Case, Stage};

/// The service made by a [`RequireScopesLayer`](super::RequireScopesLayer).
#[derive(Clone, Debug)]
pub struct RequireScopes<S> {
    pub(super) inner: S,
    pub(super) rule: Arc<Rule>,
}

impl Rule {
    fn judge(&self, head: RequestHead<'_>) -> Outcome {
        let Some(caller) = Caller::of(head.extensions()) else {
            telemetry::no_auth_layer("RequireScopesLayer");
            return Outcome::Refuse(refusal::no_auth_layer());
        };
        let needs = std::iter::once(&self.needs);
        let verdict = Needs::judge(needs, caller.scopes(), &self.hierarchy);
        let case = Case::new(Stage::Scopes, caller.principal).by(self);
        match refused(verdict, caller, self.include_granted) {
            None => {
                case.accepted(head, &caller.context.audit);
                Outcome::Pass(None)
            }
            Some(error) => refuse_or_observe(error, caller, head, case),
        }
    }
}

/// The error of a verdict. Who has not said who they are is asked that first, and told the
/// scopes in the same challenge.
pub(crate) fn refused(
    verdict: Verdict,
    caller: Caller<'_>,
    include_granted: bool,
) -> Option<AuthError> {
    match (verdict, caller.principal) {
        (Verdict::Granted, _) => None,
        // Who brought a bad credential that was let pass need not be asked for one: to them
        // the operation is as closed as to those with a good one.
        (Verdict::Denied, None) if caller.observed.is_none() => {
            Some(AuthError::missing().with_detail(
                "the request was let through without a credential, and the operation is open to \
                 nobody without one",
            ))
        }
        (Verdict::Denied, _) => Some(
            AuthError::forbidden("operation_denied")
                .with_description("The operation is not open to anybody")
                .with_detail("what is needed here denies the operation to everybody"),
        ),
        (Verdict::Lacking(needed), None) => {
            let detail = format!(
                "the request was let through without a credential, and needs \"{needed}\" here"
            );
            Some(AuthError::missing().with_scopes(needed).with_detail(detail))
        }
        (Verdict::Lacking(needed), Some(principal)) => {
            let detail = shortfall(&needed, principal);
            let asked = match include_granted {
                true => principal.scopes().union(&needed),
                false => needed,
            };
            Some(AuthError::insufficient_scope(asked).with_detail(detail))
        }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for RequireScopes<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ReqBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<ReqBody, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        match self.rule.judge(RequestHead::of(&request)) {
            Outcome::Refuse(refusal) => ResponseFuture::respond(Answer::to(request, refusal)),
            Outcome::Pass(observed) => ResponseFuture::inner(self.inner.call(request), observed),
        }
    }
}
