//! The service: counts a request before anything behind it sees it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body;
use tower_service::Service;

use super::decide::{Costs, Verdict};
use super::future::{Asked, Held, QuotaFuture, Waiting};
use super::layer::Quotas;
use super::settle::Passed;
use crate::credential::RequestHead;
use crate::error::AuthError;
use crate::gate::Reading;
use crate::gate::{ResponseBody, inner_service, readiness};
use crate::mcp::operation::{Kind, Messages};
use crate::mcp::{RequestBody, headers};
use crate::refusal::{self, Answer, Caller, RefusalForm};
use crate::telemetry::{self, Case, RecordedOperation, Stage};

/// The service made by a [`QuotaLayer`](super::QuotaLayer).
///
/// A refusal is a response, so the error is the inner service's own and unchanged.
///
/// See the [module docs](crate::mcp::quota) for an example.
#[derive(Clone)]
pub struct Quota<S> {
    pub(super) inner: S,
    /// `None`: requests and responses are not touched.
    pub(super) quotas: Option<Arc<Quotas>>,
}

inner_service!(Quota, inner);

/// The form of a refusal, kept while the store is asked.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// That of the client of any service.
    OfHead,
    /// With the `id` of the only request, as JSON.
    JsonRpc(Option<Box<str>>),
}

impl Form {
    pub(super) fn of<'f>(&'f self, head: RequestHead<'f>) -> RefusalForm<'f> {
        match self {
            Self::OfHead => RefusalForm::of(head),
            Self::JsonRpc(id) => RefusalForm::JsonRpc(id.as_deref()),
        }
    }
}

/// What becomes of a request.
pub(super) enum Begun {
    Refuse(Response<Bytes>),
    Pass(Passed),
    /// The shared store decides.
    Ask(Box<Costs>, Form),
}

impl From<ControlFlow<Response<Bytes>, Passed>> for Begun {
    fn from(settled: ControlFlow<Response<Bytes>, Passed>) -> Self {
        match settled {
            ControlFlow::Break(refusal) => Self::Refuse(refusal),
            ControlFlow::Continue(passed) => Self::Pass(passed),
        }
    }
}

impl Quotas {
    /// Whether the body of a request is read.
    fn reads(&self, head: RequestHead<'_>) -> bool {
        !self.requests_only && *head.method() == Method::POST && !self.budgets.is_empty()
    }

    /// What the head of a request with messages must say.
    fn check_head(head: RequestHead<'_>) -> Result<bool, AuthError> {
        let version = headers::protocol_version(head.headers())?;
        headers::media_type(head.headers())?;
        Ok(headers::is_mirrored(version))
    }

    /// A request without messages.
    fn begin(&self, caller: Caller<'_>, head: RequestHead<'_>) -> Begun {
        let case = Case::new(Stage::Quota, caller.known()).by(self);
        let mut costs = Costs::default();
        let found = self.find_costs(&mut costs, caller, head, None);
        let costs = found.map(|()| &costs);
        self.begin_with(costs, caller, head, case, || Form::OfHead)
    }

    /// A request whose body was read.
    pub(super) fn begin_read(
        &self,
        caller: Caller<'_>,
        head: RequestHead<'_>,
        is_mirrored: bool,
        body: &[u8],
    ) -> Begun {
        let case = Case::new(Stage::Quota, caller.known()).by(self);
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
        &self,
        costs: Result<&Costs, AuthError>,
        caller: Caller<'_>,
        head: RequestHead<'_>,
        case: Case<'_>,
        form: impl Fn() -> Form,
    ) -> Begun {
        let costs = match costs {
            Ok(costs) => costs,
            Err(error) => {
                let form = form();
                return Self::refuse(error, caller, head, case, form.of(head)).into();
            }
        };
        if costs.asks {
            return Begun::Ask(Box::new(costs.clone()), form());
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

    /// What the store said of a request.
    pub(super) fn answered(
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
        let case = Case::new(Stage::Quota, caller.known()).by(self);
        let case = case.on(RecordedOperation::Http);
        self.settle(costs, verdict, caller, head, case, form.of(head))
    }

    pub(super) fn ask_for(self: &Arc<Self>, costs: &Costs) -> Asked {
        Box::pin(Arc::clone(self).ask(Box::new(costs.clone())))
    }
}

impl<S: Clone> Quota<S> {
    fn respond<B, F>(&mut self, answer: Answer<RequestBody<B>>) -> QuotaFuture<S, B, F> {
        if answer.waits() {
            readiness::give_back(&mut self.inner);
        }
        QuotaFuture::respond(answer)
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Quota<S>
where
    S: Service<Request<RequestBody<ReqBody>>, Response = Response<ResBody>> + Clone,
    ReqBody: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = QuotaFuture<S, ReqBody, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let Some(quotas) = &self.quotas else {
            let request = request.map(RequestBody::unread);
            return QuotaFuture::inner(self.inner.call(request), Passed::default());
        };
        quotas.warn_if_twice(request.extensions_mut());
        let head = RequestHead::of(&request);
        let Some(caller) = Caller::of(head.extensions()) else {
            telemetry::no_auth_layer("QuotaLayer");
            let request = request.map(RequestBody::unread);
            let answer = Answer::to(request, refusal::no_auth_layer());
            return self.respond(answer);
        };
        let mut reported = None;
        if quotas.reads(head) {
            let case = Case::new(Stage::Quota, caller.known()).by(&**quotas);
            let checked = Quotas::check_head(head);
            let is_mirrored = match checked {
                Ok(is_mirrored) => is_mirrored,
                Err(error) => {
                    let form = RefusalForm::of(head);
                    match Quotas::refuse(error, caller, head, case, form) {
                        ControlFlow::Break(refusal) => {
                            let request = request.map(RequestBody::unread);
                            return self.respond(Answer::to(request, refusal));
                        }
                        ControlFlow::Continue(passed) => {
                            reported = passed.reported;
                            false
                        }
                    }
                }
            };
            let (parts, body) = request.into_parts();
            let reading = Reading::new(body, quotas.max_body_bytes, quotas.read_timeout);
            return QuotaFuture::read(
                reading,
                Held {
                    parts,
                    is_mirrored,
                    reported,
                    inner: readiness::Held::take(&mut self.inner),
                    quotas: Arc::clone(quotas),
                },
            );
        }
        match quotas.begin(caller, head) {
            Begun::Refuse(refusal) => {
                let request = request.map(RequestBody::unread);
                self.respond(Answer::to(request, refusal))
            }
            Begun::Pass(passed) => {
                let request = request.map(RequestBody::unread);
                QuotaFuture::inner(self.inner.call(request), passed)
            }
            Begun::Ask(costs, form) => {
                let asked = quotas.ask_for(&costs);
                let waiting = Waiting {
                    request: request.map(RequestBody::unread),
                    is_read: false,
                    reported: None,
                    inner: readiness::Held::take(&mut self.inner),
                    quotas: Arc::clone(quotas),
                    costs: *costs,
                    form,
                };
                QuotaFuture::ask(asked, waiting)
            }
        }
    }
}
