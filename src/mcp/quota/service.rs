//! The service: counts a request before anything behind it sees it.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Extensions, Method, Response};

use super::decide::{Costs, Verdict};
use super::layer::Quotas;
use super::settle::Passed;
use crate::credential::RequestHead;
use crate::error::AuthError;
use crate::gate::{BodyGate, Next, gated_service};
use crate::mcp::headers::{self, Seen};
use crate::mcp::operation::{Kind, Messages};
use crate::refusal::{self, Caller, RefusalForm};
use crate::telemetry::{Case, RecordedOperation, Stage};

gated_service! {
    /// The service made by a [`QuotaLayer`](super::QuotaLayer).
    ///
    /// A refusal is a response, so the error is the inner service's own and unchanged.
    ///
    /// See the [module docs](crate::mcp::quota) for an example.
    Quota, Quotas, QuotaFuture
}

/// The form of a refusal, kept while the store is asked.
#[derive(Clone, Debug)]
enum Form {
    /// That of the client of any service.
    OfHead,
    /// With the `id` of the only request, as JSON.
    JsonRpc(Option<Box<str>>),
}

impl Form {
    fn of<'f>(&'f self, head: RequestHead<'f>) -> RefusalForm<'f> {
        match self {
            Self::OfHead => RefusalForm::of(head),
            Self::JsonRpc(id) => RefusalForm::JsonRpc(id.as_deref()),
        }
    }
}

/// What the shared store is asked.
pub(super) struct Question {
    asked: Pin<Box<dyn Future<Output = Result<Verdict, AuthError>> + Send>>,
    costs: Arc<Costs>,
    form: Form,
    /// What the head of the request would have been refused for.
    of_head: Option<AuthError>,
}

impl BodyGate for Quotas {
    const LAYER: &'static str = "QuotaLayer";
    type Seen = Seen;
    type Question = Question;
    type Pass = Passed;

    fn case<'a>(&self, caller: Caller<'a>) -> Case<'a> {
        Case::new(Stage::Quota, caller.known()).by(self)
    }

    fn bounds(&self) -> (usize, Duration) {
        (self.max_body_bytes, self.read_timeout)
    }

    fn arrived(&self, extensions: &mut Extensions) {
        self.warn_if_twice(extensions);
    }

    fn check_head(
        self: &Arc<Self>,
        caller: Caller<'_>,
        head: RequestHead<'_>,
    ) -> ControlFlow<Next<Self>, Seen> {
        if !self.reads(head) {
            return ControlFlow::Break(self.begin(caller, head));
        }
        let checked = Self::check_head_of_messages(head);
        Seen::judged(checked, caller, head, self.case(caller)).map_break(Next::Refuse)
    }

    fn check_body(
        self: &Arc<Self>,
        caller: Caller<'_>,
        head: RequestHead<'_>,
        seen: Seen,
        body: &[u8],
    ) -> Next<Self> {
        let mut next = self.begin_read(caller, head, seen.is_mirrored, body);
        match &mut next {
            Next::Refuse(_) => {}
            Next::Pass(passed) => passed.of_head = seen.reported,
            Next::Ask(question) => question.of_head = seen.reported,
        }
        next
    }

    fn poll_answer(
        &self,
        question: &mut Question,
        head: RequestHead<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<ControlFlow<Response<Bytes>, Passed>> {
        let verdict = ready!(question.asked.as_mut().poll(cx));
        let answered = self.answered(&question.costs, verdict, head, &question.form);
        Poll::Ready(answered.map_continue(|mut passed| {
            passed.of_head = question.of_head.take();
            passed
        }))
    }
}

impl Quotas {
    /// Whether the body of a request is read.
    fn reads(&self, head: RequestHead<'_>) -> bool {
        !self.requests_only && *head.method() == Method::POST && !self.budgets.is_empty()
    }

    /// What the head of a request with messages must say.
    fn check_head_of_messages(head: RequestHead<'_>) -> Result<bool, AuthError> {
        let version = headers::protocol_version(head.headers())?;
        headers::media_type(head.headers())?;
        Ok(headers::is_mirrored(version))
    }

    /// A request without messages.
    fn begin(self: &Arc<Self>, caller: Caller<'_>, head: RequestHead<'_>) -> Next<Self> {
        let case = self.case(caller);
        let mut costs = Costs::default();
        let found = self.find_costs(&mut costs, caller, head, None);
        let costs = found.map(|()| &costs);
        self.begin_with(costs, caller, head, case, || Form::OfHead)
    }

    /// A request with a body that was read.
    fn begin_read(
        self: &Arc<Self>,
        caller: Caller<'_>,
        head: RequestHead<'_>,
        is_mirrored: bool,
        body: &[u8],
    ) -> Next<Self> {
        let case = self.case(caller);
        let messages = match Messages::read(body) {
            Ok(messages) => messages,
            Err(error) => {
                let form = RefusalForm::of(head);
                return Self::refuse(error, caller, head, case, form).into();
            }
        };
        let case = case.on(messages.operation());
        // A server may go by the headers.
        let mirrors = match is_mirrored {
            true => headers::check_mirrors(head.headers(), &messages),
            false => Ok(()),
        };
        if let Err(error) = mirrors {
            let form = RefusalForm::of(head);
            return Self::refuse(error, caller, head, case, form).into();
        }
        let mut costs = Costs::default();
        let found = self.find_costs(&mut costs, caller, head, Some(messages.as_slice()));
        let costs = found.map(|()| &costs);
        self.begin_with(costs, caller, head, case, || {
            Form::JsonRpc(match &messages {
                Messages::One(message) if message.kind == Kind::Request => {
                    message.id.map(Into::into)
                }
                _ => None,
            })
        })
    }

    fn begin_with(
        self: &Arc<Self>,
        costs: Result<&Costs, AuthError>,
        caller: Caller<'_>,
        head: RequestHead<'_>,
        case: Case<'_>,
        form: impl Fn() -> Form,
    ) -> Next<Self> {
        let costs = match costs {
            Ok(costs) => costs,
            Err(error) => {
                let form = form();
                return Self::refuse(error, caller, head, case, form.of(head)).into();
            }
        };
        if costs.asks {
            return Next::Ask(self.question(costs, form()));
        }
        let verdict = self.decide(costs);
        let form = match verdict.is_admitted() {
            // It is not looked at.
            true => Form::OfHead,
            false => form(),
        };
        self.settle(costs, Ok(verdict), caller, head, case, form.of(head))
            .into()
    }

    // Apart, because what it makes is large, and few requests ask.
    #[cold]
    fn question(self: &Arc<Self>, costs: &Costs, form: Form) -> Question {
        let costs = Arc::new(costs.clone());
        Question {
            asked: Box::pin(Arc::clone(self).ask(Arc::clone(&costs))),
            costs,
            form,
            of_head: None,
        }
    }

    /// What the store said of a request.
    fn answered(
        &self,
        costs: &Costs,
        verdict: Result<Verdict, AuthError>,
        head: RequestHead<'_>,
        form: &Form,
    ) -> ControlFlow<Response<Bytes>, Passed> {
        // Still there: nothing else had the request.
        let Some(caller) = Caller::of(head.extensions()) else {
            return ControlFlow::Break(refusal::no_auth_layer());
        };
        let case = self.case(caller).on(RecordedOperation::Http);
        self.settle(costs, verdict, caller, head, case, form.of(head))
    }
}
