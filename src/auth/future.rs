//! The future of the auth service: waits for the provider, then calls the inner service.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::judge::Waiting;
use super::last_words::EndOfStream;
use super::lease::{Lease, Streams};
use super::{AuthenticateFuture, Authenticated, ResponseBody};
use crate::credential::{self, Location, RequestHead};
use crate::error::AuthError;
use crate::gate::readiness::Held;
use crate::principal::Principal;
use crate::refusal::NoPrincipal;
use crate::refusal::Reported;
use crate::refusal::{self, Answer, refuse};
use crate::refusal::{RefusalContext, Settled};
use crate::telemetry::Case;

/// How an accepted request is made ready for the inner service.
#[derive(Clone, Copy)]
pub(super) struct Admission<'s> {
    pub(super) context: &'s Arc<RefusalContext>,
    /// Where the credential is.
    pub(super) header: &'s HeaderName,
    pub(super) forward_credential: bool,
    pub(super) streams: &'s Streams,
}

/// What is done to the response of an accepted request.
#[derive(Default)]
pub(super) struct Afterwards {
    headers: Option<Box<HeaderMap>>,
    lease: Option<Lease>,
    reported: Option<AuthError>,
    /// Whether a 401 becomes a 404.
    never_challenged: bool,
}

impl Afterwards {
    /// Turns a 401 of the inner service into a 404.
    pub(super) fn never_challenged(self) -> Self {
        Self {
            never_challenged: true,
            ..self
        }
    }

    /// Leaves the mark of a request without a principal.
    pub(super) fn of_nobody<B>(
        request: &mut Request<B>,
        context: &Arc<RefusalContext>,
        reported: Option<AuthError>,
    ) -> Self {
        let proven = reported.as_ref().and_then(AuthError::proven_holder);
        let proven = proven.map(|holder| {
            holder
                .clone()
                .with_context(Arc::<RefusalContext>::clone(context))
        });
        let extensions = request.extensions_mut();
        if let Some(before) = extensions.remove::<Principal>() {
            context.tell_if_twice(RefusalContext::of(&before));
        }
        extensions.insert(NoPrincipal {
            context: Arc::clone(context),
            reported: reported.clone().map(AuthError::alone),
            proven,
        });
        Self {
            reported,
            ..Self::default()
        }
    }

    fn apply<B>(&mut self, mut response: Response<B>) -> Response<ResponseBody<B>> {
        if self.never_challenged {
            match response.status() {
                StatusCode::UNAUTHORIZED => return refusal::no_document().map(ResponseBody::own),
                StatusCode::NOT_FOUND => refusal::show_to_pages(response.headers_mut()),
                _ => {}
            }
        }
        if let Some(headers) = self.headers.take() {
            response.headers_mut().extend(*headers);
        }
        if let Some(error) = self.reported.take() {
            Reported::tell(response.extensions_mut(), error.alone());
        }
        let mut deadline = self
            .lease
            .take()
            .and_then(|lease| lease.deadline(response.headers()));
        if let Some(deadline) = &mut deadline {
            deadline.words = EndOfStream::take(&mut response);
        }
        response.map(|body| ResponseBody::until(body, deadline))
    }
}

/// The same for a request that waits, and may outlive its service.
pub(super) struct HeldAdmission {
    context: Arc<RefusalContext>,
    header: HeaderName,
    forward_credential: bool,
    streams: Streams,
    waiting: Waiting,
    /// Where credentials are, if a refusal may only be reported.
    locations: Option<Box<[Location]>>,
}

impl HeldAdmission {
    /// What becomes of a request, now that there is an answer.
    #[expect(clippy::result_large_err, reason = "a refusal is moved on at once")]
    fn conclude<B>(
        &self,
        request: &mut Request<B>,
        answer: Result<Authenticated, AuthError>,
    ) -> Result<Afterwards, Response<Bytes>> {
        let Waiting {
            provider,
            stopwatch,
        } = self.waiting;
        stopwatch.stop(&self.streams.clock, provider, true);
        let (case, head) = (Case::auth(provider), RequestHead::of(request));
        let error = match answer {
            Ok(accepted) => {
                case.accepted_as(&accepted.principal, head, &self.context.audit);
                return Ok(self.admission().admit(request, accepted));
            }
            Err(error) => error,
        };
        let error = match self.context.settle(error) {
            Settled::Refused(error) => return Err(refuse(error, &self.context, head, case)),
            Settled::Passes(error) => error,
        };
        case.reported(&error, head, &self.context.audit);
        let locations = self.locations.as_deref().unwrap_or_default();
        credential::strip(locations, request.headers_mut());
        Ok(Afterwards::of_nobody(request, &self.context, Some(error)))
    }

    fn admission(&self) -> Admission<'_> {
        Admission {
            context: &self.context,
            header: &self.header,
            forward_credential: self.forward_credential,
            streams: &self.streams,
        }
    }
}

impl Admission<'_> {
    pub(super) fn held(
        self,
        waiting: Waiting,
        locations: Option<Box<[Location]>>,
    ) -> HeldAdmission {
        HeldAdmission {
            context: Arc::clone(self.context),
            header: self.header.clone(),
            forward_credential: self.forward_credential,
            streams: self.streams.clone(),
            waiting,
            locations,
        }
    }

    /// Puts the principal in, and takes the credential out.
    #[inline(always)]
    pub(super) fn admit<B>(self, request: &mut Request<B>, accepted: Authenticated) -> Afterwards {
        let lease = self.streams.lease(request, accepted.valid_until);
        if self.forward_credential {
            if let Some(value) = request.headers_mut().get_mut(self.header) {
                value.set_sensitive(true);
            }
        } else {
            request.headers_mut().remove(self.header);
        }
        let extensions = request.extensions_mut();
        extensions.remove::<NoPrincipal>();
        // This replaces the principal of a layer further out.
        if let Some(before) = extensions.insert(accepted.principal.with_context(Arc::<
            RefusalContext,
        >::clone(
            self.context
        ))) {
            self.context.tell_if_twice(RefusalContext::of(&before));
        }
        Afterwards {
            headers: accepted.headers,
            lease,
            ..Afterwards::default()
        }
    }
}

pin_project! {
    /// The future of an [`AuthService`](super::AuthService).
    pub struct ResponseFuture<S, ReqBody, F> {
        #[pin]
        state: State<S, ReqBody, F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, ReqBody, F> {
        Wait {
            pending: AuthenticateFuture,
            // Taken together when the answer is there. In a box, because few requests wait,
            // and the future of each is as large as this.
            held: Option<Box<(HeldAdmission, Held<S>, Request<ReqBody>)>>,
        },
        // Authenticated, and not ready any more.
        GoOn {
            accepted: Option<Box<(Afterwards, Held<S>, Request<ReqBody>)>>,
        },
        Inner {
            #[pin]
            future: F,
            afterwards: Afterwards,
        },
        Respond {
            answer: Answer<ReqBody>,
        },
    }
}

impl<S, ReqBody, F> ResponseFuture<S, ReqBody, F> {
    pub(super) fn wait(
        admission: HeldAdmission,
        pending: AuthenticateFuture,
        inner: Held<S>,
        request: Request<ReqBody>,
    ) -> Self {
        Self {
            state: State::Wait {
                pending,
                held: Some(Box::new((admission, inner, request))),
            },
        }
    }

    pub(super) fn inner(future: F, afterwards: Afterwards) -> Self {
        Self {
            state: State::Inner { future, afterwards },
        }
    }

    pub(super) fn respond(answer: Answer<ReqBody>) -> Self {
        Self {
            state: State::Respond { answer },
        }
    }
}

impl<S, ReqBody, ResBody, E> Future for ResponseFuture<S, ReqBody, S::Future>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>, Error = E> + Clone,
    ReqBody: Body,
{
    type Output = Result<Response<ResponseBody<ResBody>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Wait { pending, held } => {
                    let Poll::Ready(answer) = pending.as_mut().poll(cx) else {
                        if let Some(held) = held {
                            held.1.give_back();
                        }
                        return Poll::Pending;
                    };
                    let held = held.take().expect("ResponseFuture polled after completion");
                    let (admission, inner, mut request) = *held;
                    match admission.conclude(&mut request, answer) {
                        Ok(afterwards) => State::GoOn {
                            accepted: Some(Box::new((afterwards, inner, request))),
                        },
                        Err(refusal) => State::Respond {
                            answer: Answer::to(request, refusal),
                        },
                    }
                }
                StateProj::GoOn { accepted } => {
                    if let Some(accepted) = accepted {
                        ready!(accepted.1.poll_ready(cx))?;
                    }
                    let accepted = accepted.take();
                    let (afterwards, mut inner, request) =
                        *accepted.expect("ResponseFuture polled after completion");
                    State::Inner {
                        future: inner.call(request),
                        afterwards,
                    }
                }
                StateProj::Inner { future, afterwards } => {
                    let response = ready!(future.poll(cx))?;
                    return Poll::Ready(Ok(afterwards.apply(response)));
                }
                StateProj::Respond { answer } => {
                    let response = ready!(answer.poll(cx));
                    return Poll::Ready(Ok(response.map(ResponseBody::own)));
                }
            };
            state.set(next);
        }
    }
}

impl<S, ReqBody, F> fmt::Debug for ResponseFuture<S, ReqBody, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
