//! The service of the policy layer: judges the head of a request.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body;
use tower_service::Service;

use super::ScopesFuture;
use super::future::{Afterwards, Held};
use super::layer::Rule;
use crate::credential::RequestHead;
use crate::error::AuthError;
use crate::gate::Reading;
use crate::gate::{ResponseBody, inner_service, readiness};
use crate::mcp::RequestBody;
use crate::mcp::dialect::{self, Dialect, SaysSchemes, SessionDialect};
use crate::mcp::operation::{Message, Messages};
use crate::mcp::unanswered::Unanswered;
use crate::mcp::{headers, session};
use crate::refusal::{self, Answer, Caller, Challenge, RefusalForm, ToolCall, refuse_or_report};
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

    /// What its body decides.
    pub(super) fn judge_body<S>(
        &self,
        caller: Caller<'_>,
        head: RequestHead<'_>,
        held: &Held<S>,
        body: &[u8],
    ) -> ControlFlow<Response<Bytes>, Passed> {
        let reported = |error, form, case| {
            let outcome = refuse_or_report(error, caller, form, head, case);
            outcome.map_continue(|error| Passed {
                reported: error,
                ..Passed::default()
            })
        };
        let case = self.case(caller);
        let messages = match Messages::read(body) {
            Ok(messages) => messages,
            Err(error) => return reported(error, RefusalForm::of(head), case),
        };
        let case = case.on(messages.operation());
        let mirrors = match held.is_mirrored {
            true => headers::check_mirrors(head.headers(), &messages),
            false => Ok(()),
        };
        let verdict = mirrors.and_then(|()| self.policy.judge(caller, head, messages.as_slice()));
        let asked = Asked {
            caller,
            head,
            is_mirrored: held.is_mirrored,
            body,
            messages: &messages,
        };
        if let Err(error) = verdict {
            return reported(error, self.form(&asked), case);
        }
        if !held.is_reported() {
            case.accepted(head, &caller.context.audit);
        }
        let no_lists = messages.as_slice().iter().all(Message::answers_no_list);
        ControlFlow::Continue(Passed {
            no_lists,
            says_schemes: !no_lists && self.dialect(&asked) == Dialect::Result,
            session_dialect: self.opened_dialect(&asked),
            // What is mirrored is of a revision in which no stream is resumed.
            unanswered: Unanswered::of(messages.as_slice(), !held.is_mirrored),
            reported: None,
        })
    }

    /// The form of a refusal: a result for the call of a tool by a client of that dialect.
    fn form<'a>(&self, asked: &Asked<'a>) -> RefusalForm<'a> {
        if let Messages::One(message) = asked.messages
            && message.method == "tools/call"
            && let Some(id) = message.id
            && self.dialect(asked) == Dialect::Result
        {
            return RefusalForm::ToolResult(ToolCall {
                id,
                is_typed: asked.is_mirrored,
            });
        }
        RefusalForm::of(asked.head)
    }

    /// The dialect of the client that sent these messages.
    fn dialect(&self, asked: &Asked<'_>) -> Dialect {
        if !leads_on(asked.caller) {
            return Dialect::Http;
        }
        if asked.is_mirrored && self.dialect.fixed().is_none() {
            let client = asked.text().and_then(dialect::of_request);
            return self.dialect.of(client.as_ref());
        }
        self.head_dialect(asked.caller, asked.head)
    }

    /// The dialect of a client as far as the head of its request tells.
    pub(super) fn head_dialect(&self, caller: Caller<'_>, head: RequestHead<'_>) -> Dialect {
        if !leads_on(caller) {
            return Dialect::Http;
        }
        let kept = || head.extensions().get().map(|SessionDialect(kept)| *kept);
        let dialect = self.dialect.fixed().or_else(kept);
        if dialect.is_none()
            && head.headers().contains_key(session::SESSION_ID)
            && self.dialect_lost.is_first()
        {
            telemetry::dialect_lost();
        }
        dialect.unwrap_or_default()
    }

    /// The dialect that is to be kept in the session that a request opens.
    fn opened_dialect(&self, asked: &Asked<'_>) -> Option<SessionDialect> {
        let message = asked.messages.as_slice().first()?;
        if self.dialect.fixed().is_some() || asked.is_mirrored || message.method != "initialize" {
            return None;
        }
        let client = asked.text().and_then(dialect::of_initialize);
        Some(SessionDialect(self.dialect.of(client.as_ref())))
    }
}

/// What a body asks for, and how it was sent.
struct Asked<'a> {
    caller: Caller<'a>,
    head: RequestHead<'a>,
    is_mirrored: bool,
    body: &'a [u8],
    messages: &'a Messages<'a>,
}

impl<'a> Asked<'a> {
    /// The one message.
    fn text(&self) -> Option<&'a str> {
        let body = std::str::from_utf8(self.body).ok();
        body.filter(|_| matches!(self.messages, Messages::One(_)))
    }
}

/// What is done with a request that goes on, and with its response.
#[derive(Default)]
pub(super) struct Passed {
    /// Whether the answer can hold no list.
    pub(super) no_lists: bool,
    /// Whether lists of tools say how to sign in.
    pub(super) says_schemes: bool,
    /// What the session is told that the request opens.
    pub(super) session_dialect: Option<SessionDialect>,
    /// What is to be answered.
    pub(super) unanswered: Unanswered,
    /// The error that is only reported.
    pub(super) reported: Option<AuthError>,
}

/// Whether a refusal leads to an authorization server. Where it does not, no client can sign in.
fn leads_on(caller: Caller<'_>) -> bool {
    let mut challenges = caller.context.challenges.iter();
    challenges.any(Challenge::names_metadata)
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
            return ScopesFuture::inner(self.inner.call(request), Afterwards::default());
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
            let says_schemes = rule.head_dialect(caller, head) == Dialect::Result;
            let mut request = request.map(RequestBody::unread);
            if says_schemes {
                request.extensions_mut().insert(SaysSchemes);
            }
            let afterwards = Afterwards {
                reported,
                ..Afterwards::default()
            };
            return ScopesFuture::inner(self.inner.call(request), afterwards);
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
