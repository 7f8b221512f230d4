//! The service of the policy layer: judges the head of a request, and each message in its body.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{Extensions, Method, Response};

use super::layer::Rule;
use crate::credential::RequestHead;
use crate::error::AuthError;
use crate::gate::{BodyGate, EndOfStream, Next, Pass, gated_service};
use crate::mcp::dialect::{self, Dialect, SaysSchemes, SessionDialect};
use crate::mcp::headers::{self, Seen};
use crate::mcp::lists::NoLists;
use crate::mcp::operation::{Message, Messages};
use crate::mcp::session;
use crate::mcp::unanswered::Unanswered;
use crate::refusal::{Caller, Challenge, RefusalForm, Reported, ToolCall, refuse_or_report};
use crate::requirement::AskedScopes;
use crate::telemetry::{self, Case, Stage};

gated_service! {
    /// The service made by a [`McpScopesLayer`](super::McpScopesLayer).
    ///
    /// A refusal is a response, so the error is the inner service's own and unchanged.
    ///
    /// See the [module docs](crate::mcp) for an example.
    McpScopes, Rule, ScopesFuture
}

impl BodyGate for Rule {
    const LAYER: &'static str = "McpScopesLayer";
    type Seen = Seen;
    type Question = Infallible;
    type Pass = Passed;

    fn case<'a>(&self, caller: Caller<'a>) -> Case<'a> {
        Case::new(Stage::McpScopes, caller.known()).by(self)
    }

    fn bounds(&self) -> (usize, Duration) {
        (self.max_body_bytes, self.read_timeout)
    }

    fn check_head(
        self: &Arc<Self>,
        caller: Caller<'_>,
        head: RequestHead<'_>,
    ) -> ControlFlow<Next<Self>, Seen> {
        self.check_announced(caller);
        let case = self.case(caller);
        let is_post = *head.method() == Method::POST;
        let judged = self.judge_head(caller, head);
        if judged.is_ok() && !is_post {
            case.accepted(head, &caller.context.audit);
        }
        let seen = Seen::judged(judged, caller, head, case).map_break(Next::Refuse)?;
        if is_post {
            return ControlFlow::Continue(seen);
        }
        ControlFlow::Break(Next::Pass(Passed {
            says_schemes: self.head_dialect(caller, head) == Dialect::Result,
            reported: [seen.reported, None],
            ..Passed::default()
        }))
    }

    fn check_body(
        self: &Arc<Self>,
        caller: Caller<'_>,
        head: RequestHead<'_>,
        seen: Seen,
        body: &[u8],
    ) -> Next<Self> {
        let judged = self.judge_body(caller, head, &seen, body);
        judged
            .map_continue(|mut passed| {
                passed.reported[0] = seen.reported;
                passed
            })
            .into()
    }

    fn poll_answer(
        &self,
        question: &mut Infallible,
        _: RequestHead<'_>,
        _: &mut Context<'_>,
    ) -> Poll<ControlFlow<Response<Bytes>, Passed>> {
        match *question {}
    }

    fn mark(passed: &Passed, extensions: &mut Extensions) {
        if passed.no_lists {
            extensions.insert(NoLists);
        }
        if passed.says_schemes {
            extensions.insert(SaysSchemes);
        }
    }
}

impl Rule {
    /// What the head of a request decides; with whether its headers mirror its body.
    fn judge_head(&self, caller: Caller<'_>, head: RequestHead<'_>) -> Result<bool, AuthError> {
        let version = headers::protocol_version(head.headers())?;
        if *head.method() != Method::POST {
            // What the auth layer opened to every caller is no operation: a probe, say.
            if !caller.is_exempt {
                self.policy.judge_http(caller, head)?;
            }
            return Ok(false);
        }
        // No body is read before the caller is known, if it must be at all, and if that is not
        // over: what the body asks for may be closed to every caller.
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

    /// What its body decides.
    fn judge_body(
        &self,
        caller: Caller<'_>,
        head: RequestHead<'_>,
        seen: &Seen,
        body: &[u8],
    ) -> ControlFlow<Response<Bytes>, Passed> {
        let reported = |error, form, case| {
            let outcome = refuse_or_report(error, caller, form, head, case);
            outcome.map_continue(|error| Passed {
                reported: [None, error],
                ..Passed::default()
            })
        };
        let case = self.case(caller);
        let messages = match Messages::read(body) {
            Ok(messages) => messages,
            Err(error) => return reported(error, RefusalForm::of(head), case),
        };
        let case = case.on(messages.operation());
        let mirrors = match seen.is_mirrored {
            true => headers::check_mirrors(head.headers(), &messages),
            false => Ok(()),
        };
        let verdict = mirrors.and_then(|()| self.policy.judge(caller, head, messages.as_slice()));
        let asked = Asked {
            caller,
            head,
            is_mirrored: seen.is_mirrored,
            body,
            messages: &messages,
        };
        if let Err(error) = verdict {
            return reported(error, self.form(&asked), case);
        }
        if seen.reported.is_none() {
            case.accepted(head, &caller.context.audit);
        }
        let no_lists = messages.as_slice().iter().all(Message::answers_no_list);
        ControlFlow::Continue(Passed {
            no_lists,
            says_schemes: !no_lists && self.dialect(&asked) == Dialect::Result,
            session_dialect: self.opened_dialect(&asked),
            // What is mirrored is of a revision in which no stream is resumed.
            unanswered: Unanswered::of(messages.as_slice(), !seen.is_mirrored),
            ..Passed::default()
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
    fn head_dialect(&self, caller: Caller<'_>, head: RequestHead<'_>) -> Dialect {
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
    no_lists: bool,
    /// Whether lists of tools say how to sign in.
    says_schemes: bool,
    /// What the session is told that the request opens.
    session_dialect: Option<SessionDialect>,
    /// What is to be answered.
    unanswered: Unanswered,
    /// The errors that are only reported: of its head, and of its body.
    reported: [Option<AuthError>; 2],
}

impl Pass for Passed {
    fn leave(self, head: &mut Parts) -> ControlFlow<Response<Bytes>> {
        if let Some(words) = self.unanswered.on_stream(&head.headers) {
            head.extensions.insert(EndOfStream::new(words));
        }
        if let Some(dialect) = self.session_dialect {
            head.extensions.insert(dialect);
        }
        // The last one first: each is told before those that were told.
        for error in self.reported.into_iter().rev().flatten() {
            Reported::add(&mut head.extensions, error);
        }
        ControlFlow::Continue(())
    }
}

/// Whether a refusal leads to an authorization server. Where it does not, no client can sign in.
fn leads_on(caller: Caller<'_>) -> bool {
    let mut challenges = caller.context.challenges.iter();
    challenges.any(Challenge::names_metadata)
}
