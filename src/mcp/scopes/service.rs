//! The service of the policy layer: judges the head of a request.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body;
use tower_service::Service;

use super::ScopesFuture;
use super::future::Held;
use super::layer::Rule;
use crate::credential::RequestHead;
use crate::error::AuthError;
use crate::gate::{ResponseBody, inner_service, readiness};
use crate::mcp::RequestBody;
use crate::mcp::body::Reading;
use crate::mcp::headers;
use crate::mcp::operation::{Message, Messages};
use crate::mcp::unanswered::Unanswered;
use crate::refusal::Caller;
use crate::refusal::{self, Answer, RefusalForm, refuse_or_report};
use crate::requirement::AskedScopes;
use crate::telemetry::{self, Case, Stage};

/// The service made by a [`McpScopesLayer`](super::McpScopesLayer).
///
/// A refusal is a response, so the error is the inner service's own and unchanged.
///
/// See the [module docs](crate::mcp) for an example.
#[derive(Clone)]
pub struct McpScopes<S> {
    pub(super) inner: S,
    /// `None`: requests and responses are not touched.
    pub(super) rule: Option<Arc<Rule>>,
}

inner_service!(McpScopes, inner);

impl Rule {
    /// What the head of a request decides; with whether its headers mirror its body.
    fn judge_head(&self, caller: Caller<'_>, head: RequestHead<'_>) -> Result<bool, AuthError> {
        let version = headers::protocol_version(head.headers())?;
        if *head.method() != Method::POST {
            self.policy.judge_http(caller, head)?;
            return Ok(false);
        }
        // Nobody's body is read before they have said who they are, if they must at all, and
        // if that is not over: what the body asks for may be closed to everybody.
        if caller.principal.is_none() && caller.reported.is_none() {
            self.policy.judge_base(caller, head)?;
        }
        headers::media_type(head.headers())?;
        Ok(headers::is_mirrored(version))
    }

    /// Warns with the first request of a policy that no auth layer tells clients of.
    fn check_announced(&self, caller: Caller<'_>) {
        if !self.look.is_first() {
            return;
        }
        let asked = AskedScopes::from(&self.policy);
        if let Some(learnable) = caller.context.learnable()
            && !asked.all.is_empty()
            && !asked.all.iter().any(|scope| learnable.contains(scope))
        {
            telemetry::scopes_not_announced(&asked.all);
        }
    }

    pub(super) fn case<'a>(&self, caller: Caller<'a>) -> Case<'a> {
        Case::new(Stage::McpScopes, caller.known()).by(self)
    }

    /// What its body decides. For one that goes on: whether the answer can hold no list, what
    /// is to be answered, and the error that is only reported.
    pub(super) fn judge_body<S>(
        &self,
        caller: Caller<'_>,
        head: RequestHead<'_>,
        held: &Held<S>,
        body: &[u8],
    ) -> ControlFlow<Response<Bytes>, (bool, Unanswered, Option<AuthError>)> {
        let reported = |error, case| {
            let outcome = refuse_or_report(error, caller, RefusalForm::of(head), head, case);
            outcome.map_continue(|error| (false, Unanswered::default(), error))
        };
        let case = self.case(caller);
        let messages = match Messages::read(body) {
            Ok(messages) => messages,
            Err(error) => return reported(error, case),
        };
        let case = case.on(messages.operation());
        let mirrors = match held.is_mirrored {
            true => headers::check_mirrors(head.headers(), &messages),
            false => Ok(()),
        };
        let verdict = mirrors.and_then(|()| self.policy.judge(caller, head, messages.as_slice()));
        if let Err(error) = verdict {
            return reported(error, case);
        }
        if !held.is_reported() {
            case.accepted(head, &caller.context.audit);
        }
        let no_lists = messages.as_slice().iter().all(Message::answers_no_list);
        // What is mirrored is of a revision in which no stream is resumed.
        let unanswered = Unanswered::of(messages.as_slice(), !held.is_mirrored);
        ControlFlow::Continue((no_lists, unanswered, None))
    }
}

impl<S: Clone> McpScopes<S> {
    fn respond<B, F>(&mut self, answer: Answer<B>) -> ScopesFuture<S, B, F> {
        if answer.waits() {
            readiness::give_back(&mut self.inner);
        }
        ScopesFuture::respond(answer)
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for McpScopes<S>
where
    S: Service<Request<RequestBody<ReqBody>>, Response = Response<ResBody>> + Clone,
    ReqBody: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ScopesFuture<S, ReqBody, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let Some(rule) = &self.rule else {
            let request = request.map(RequestBody::unread);
            let nothing = Unanswered::default();
            return ScopesFuture::inner(self.inner.call(request), nothing, Vec::new());
        };
        let head = RequestHead::of(&request);
        let Some(caller) = Caller::of(head.extensions()) else {
            telemetry::no_auth_layer("McpScopesLayer");
            let answer = Answer::to(request, refusal::no_auth_layer());
            return self.respond(answer);
        };
        rule.check_announced(caller);
        let case = rule.case(caller);
        let judged = rule.judge_head(caller, head);
        if judged.is_ok() && *request.method() != Method::POST {
            case.accepted(head, &caller.context.audit);
        }
        let mut reported = Vec::new();
        let is_mirrored = match judged {
            Ok(is_mirrored) => is_mirrored,
            Err(error) => {
                match refuse_or_report(error, caller, RefusalForm::of(head), head, case) {
                    ControlFlow::Break(refusal) => {
                        return self.respond(Answer::to(request, refusal));
                    }
                    ControlFlow::Continue(error) => {
                        reported.extend(error);
                        false
                    }
                }
            }
        };
        if *request.method() != Method::POST {
            let request = request.map(RequestBody::unread);
            let nothing = Unanswered::default();
            return ScopesFuture::inner(self.inner.call(request), nothing, reported);
        }
        let (parts, body) = request.into_parts();
        let reading = Reading::new(body, rule.max_body_bytes, rule.read_timeout);
        ScopesFuture::read(
            reading,
            Held {
                parts,
                is_mirrored,
                reported,
                inner: readiness::Held::take(&mut self.inner),
                rule: Arc::clone(rule),
            },
        )
    }
}
