//! The service: refuses callers without the scopes.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::ResponseFuture;
use super::layer::Rule;
use crate::auth::ResponseBody;
use crate::credential::RequestHead;
use crate::error::AuthError;
use crate::gate::readiness;
use crate::refusal::{self, Answer, Caller, Outcome, refuse_or_report};
use crate::requirement::{Requirement, ScopeHierarchy, Verdict, shortfall};
use crate::scope::Scopes;
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
        let verdict = Requirement::judge(needs, caller.scopes(), &self.hierarchy);
        let case = Case::new(Stage::Scopes, caller.known()).by(self);
        let include = self.include_granted.applies_to(head.headers());
        match refused(verdict, caller, include.then_some(&self.hierarchy)) {
            None => {
                case.accepted(head, &caller.context.audit);
                Outcome::Pass(None)
            }
            Some(error) => refuse_or_report(error, caller, head, case),
        }
    }
}

/// The error of a verdict. Who has not said who they are is asked that first, and told the
/// scopes in the same challenge. With `include_granted`, a challenge names what was granted as
/// well.
pub(crate) fn refused(
    verdict: Verdict,
    caller: Caller<'_>,
    include_granted: Option<&ScopeHierarchy>,
) -> Option<AuthError> {
    match (verdict, caller.known()) {
        (Verdict::Granted, _) => None,
        // Who brought a bad credential that was let pass need not be asked for one: to them
        // the operation is as closed as to those with a good one.
        (Verdict::Denied, None) if caller.reported.is_none() => {
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
                Some(hierarchy) => with_granted(principal.scopes(), &needed, caller, hierarchy),
                None => needed,
            };
            Some(AuthError::insufficient_scope(asked).with_detail(detail))
        }
    }
}

/// What was granted, and what is needed. What a needed scope includes is left out, unless the
/// auth layer asks for it, which knows no hierarchy.
fn with_granted(
    granted: &Scopes,
    needed: &Scopes,
    caller: Caller<'_>,
    hierarchy: &ScopeHierarchy,
) -> Scopes {
    let challenges = &caller.context.challenges;
    let is_asked = |name: &str| challenges.iter().any(|challenge| challenge.asks_for(name));
    let stays = |name: &&str| !hierarchy.grants(needed, name) || is_asked(name);
    if granted
        .iter()
        .filter(stays)
        .all(|name| needed.contains(name))
    {
        return needed.clone();
    }
    let kept = granted
        .iter()
        .filter(|name| needed.contains(name) || stays(name));
    Scopes::unique(kept.chain(needed.iter()))
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for RequireScopes<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
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
            Outcome::Refuse(refusal) => {
                let answer = Answer::to(request, refusal);
                if answer.waits() {
                    readiness::give_back(&mut self.inner);
                }
                ResponseFuture::respond(answer)
            }
            Outcome::Pass(reported) => ResponseFuture::inner(self.inner.call(request), reported),
        }
    }
}
