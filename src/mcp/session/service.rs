//! The service: admits the session ids of the caller only, and binds those of responses.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Body;
use tower_service::Service;

use super::ResponseFuture;
use super::bind::{self, Binder, Facts};
use super::claims::{Asked, ClaimedSession};
use super::layer::{Presented, SESSION_ID};
use super::watch::{ClaimWatch, Watches};
use crate::credential::RequestHead;
use crate::error::{AuthError, Reason};
use crate::gate::{KnownLength, ResponseBody, Watch, readiness};
use crate::mcp::dialect::{Dialect, SessionDialect};
use crate::mcp::key::Owner;
use crate::principal::Principal;
use crate::refusal::{
    Answer, Caller, RefusalForm, Reported, no_auth_layer, refuse_or_report, server_error,
};
use crate::resource::Resource;
use crate::telemetry::{self, Case, Stage};
use crate::util::inner_service;

/// The service made by a [`SessionBindingLayer`](super::SessionBindingLayer).
///
/// A refusal is a response, so the error is the inner service's own and unchanged.
///
/// See the [module docs](crate::mcp::session) for an example.
#[derive(Clone)]
pub struct SessionBinding<S> {
    inner: S,
    /// `None`: requests and responses are not touched.
    binder: Option<Arc<Binder>>,
}

inner_service!(SessionBinding, inner);

impl<S> SessionBinding<S> {
    pub(super) fn new(inner: S, binder: Option<Arc<Binder>>) -> Self {
        Self { inner, binder }
    }
}

impl<S: Clone> SessionBinding<S> {
    fn respond<B: Body, F>(
        &mut self,
        request: Request<B>,
        refusal: Response<Bytes>,
    ) -> ResponseFuture<S, B, F> {
        let answer = Answer::to(request, refusal);
        if answer.waits() {
            readiness::give_back(&mut self.inner);
        }
        ResponseFuture::respond(answer)
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SessionBinding<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ReqBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let Some(binder) = &self.binder else {
            return ResponseFuture::inner(self.inner.call(request), None);
        };
        match binder.begin(&mut request) {
            Begun::Refuse(refusal) => self.respond(request, refusal),
            Begun::Pass(opened) => ResponseFuture::inner(self.inner.call(request), Some(opened)),
            Begun::Ask(asked, opened) => {
                let inner = readiness::Held::take(&mut self.inner);
                ResponseFuture::ask(asked, opened, inner, request)
            }
        }
    }
}

/// What becomes of a request after its session id was looked at.
enum Begun {
    Refuse(Response<Bytes>),
    Pass(Opened),
    /// The store of claims decides.
    Ask(Asked, Opened),
}

impl Binder {
    fn begin<B>(self: &Arc<Self>, request: &mut Request<B>) -> Begun {
        let extensions = request.extensions_mut();
        // Only this layer says so, and one further out may have said it of its own session.
        extensions.remove::<ClaimedSession>();
        extensions.remove::<SessionDialect>();
        let Some(caller) = Caller::of(extensions) else {
            telemetry::no_auth_layer("SessionBindingLayer");
            return Begun::Refuse(no_auth_layer());
        };
        let mut opened = Opened {
            binder: Arc::clone(self),
            principal: caller.known().cloned(),
            resource: caller.context.resource.clone(),
            reported: None,
            presented: None,
            // Where a caller in a session of another is only reported, so is one in its stream.
            watches: self.claims.is_some() && !caller.context.reports(Reason::UNKNOWN_SESSION),
            watch: None,
        };
        let presented = match self.admit(request.headers_mut(), opened.owner()) {
            Ok(Some(presented)) => presented,
            Ok(None) => return opened.decided(Ok(()), request),
            Err(error) => {
                // Where this is only reported, a new seal would make the session this caller's, and
                // leave it so when sessions of others are refused again.
                opened.presented = bind::presented(request.headers());
                let begun = opened.decided(Err(error), request);
                if matches!(begun, Begun::Pass(_)) {
                    bind::unseal(request.headers_mut());
                }
                return begun;
            }
        };
        let Presented {
            bound,
            facts,
            anonymous,
        } = presented;
        opened.presented = Some(bound);
        let dialect = SessionDialect(facts.dialect);
        request.extensions_mut().insert(dialect);
        let (Some(claims), Some((session, claimer))) = (&self.claims, anonymous) else {
            return opened.decided(Ok(()), request);
        };
        if opened.watches && claimer.is_none() {
            opened.watch = claims.watch(session, &self.clock);
        }
        match claims.question(session, claimer, &self.clock) {
            Ok(question) => Begun::Ask(claims.ask(&question, &self.clock), opened),
            Err(error) => opened.decided(Err(error), request),
        }
    }
}

/// The owner of the session that a response may name.
pub(super) struct Opened {
    binder: Arc<Binder>,
    /// `None`: an anonymous caller.
    principal: Option<Principal>,
    resource: Option<Arc<Resource>>,
    reported: Option<AuthError>,
    /// The id that the request presented: bound, unless that was only reported.
    presented: Option<HeaderValue>,
    /// Whether streams of anonymous callers end with a claim.
    watches: bool,
    /// For the claim of the session the request is in.
    watch: Option<ClaimWatch>,
}

impl Opened {
    fn owner(&self) -> Owner<'_> {
        Owner::of(self.principal.as_ref(), self.resource.as_deref())
    }

    fn decided<B>(mut self, verdict: Result<(), AuthError>, request: &Request<B>) -> Begun {
        match self.decide(verdict, request) {
            ControlFlow::Continue(()) => Begun::Pass(self),
            ControlFlow::Break(refusal) => Begun::Refuse(refusal),
        }
    }

    /// Tells of the decision, and keeps an error that is only reported.
    fn decide<B>(
        &mut self,
        verdict: Result<(), AuthError>,
        request: &Request<B>,
    ) -> ControlFlow<Response<Bytes>> {
        let head = RequestHead::of(request);
        // Still there: only headers were changed.
        let Some(caller) = Caller::of(head.extensions()) else {
            return ControlFlow::Break(no_auth_layer());
        };
        let case = Case::new(Stage::Session, caller.known());
        match verdict {
            Ok(()) => case.accepted(head, &caller.context.audit),
            Err(error) => {
                self.reported = refuse_or_report(error, caller, RefusalForm::of(head), head, case)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Takes in what the store said.
    pub(super) fn answered<B>(
        &mut self,
        answer: Result<Option<ClaimedSession>, AuthError>,
        request: &mut Request<B>,
    ) -> ControlFlow<Response<Bytes>> {
        let verdict = answer.map(|claimed| {
            if let Some(claimed) = claimed {
                if claimed.is_new() {
                    telemetry::session_claimed(self.principal.as_ref());
                }
                request.extensions_mut().insert(claimed);
            }
        });
        self.decide(verdict, request)
    }

    /// Binds the session id of a response. `None`: it cannot be bound, and must not go out.
    fn bind(&mut self, headers: &mut HeaderMap, dialect: Dialect) -> Option<Option<ClaimWatch>> {
        let mut ids = headers.get_all(SESSION_ID).iter();
        let Some(inner) = ids.next() else {
            return Some(None);
        };
        if ids.next().is_some() {
            return None;
        }
        // The session the request is in: a new seal would make it younger, or another owner's.
        let is_same = |presented: &mut HeaderValue| bind::is_of(presented, inner);
        if let Some(presented) = self.presented.take_if(is_same) {
            headers.insert(SESSION_ID, presented);
            return Some(None);
        }
        let binder = &self.binder;
        let claims = binder.claims.as_ref();
        let clock = &binder.clock;
        let opened = claims.map_or_else(|| clock.now(), |claims| claims.opening(clock));
        let owner = self.owner();
        let mut bound = binder.bind(owner, inner.as_bytes(), Facts { dialect, opened })?;
        let watch = claims
            .filter(|_| self.watches && owner.is_anonymous())
            .and_then(|claims| {
                let key = binder.keys.making();
                let session = binder.anonymous_session(key, owner, inner.as_bytes(), opened);
                claims.watch(session, clock)
            });
        bound.set_sensitive(true);
        headers.insert(SESSION_ID, bound);
        Some(watch)
    }

    /// Edits the head of the response. Gives what watches its body, or the response instead.
    pub(super) fn leave(
        mut self,
        head: &mut Parts,
    ) -> ControlFlow<Response<Bytes>, Option<Box<dyn Watch>>> {
        let dialect = head.extensions.remove::<SessionDialect>();
        let dialect = dialect.map(|SessionDialect(dialect)| dialect);
        let Some(of_new) = self.bind(&mut head.headers, dialect.unwrap_or_default()) else {
            telemetry::unusable_session_id();
            return ControlFlow::Break(server_error());
        };
        if let Some(error) = self.reported.take() {
            Reported::add(&mut head.extensions, error);
        }
        // What a proxy passes on may say its length in the head alone.
        let has_end = head.headers.contains_key(CONTENT_LENGTH)
            || head.extensions.get::<KnownLength>().is_some();
        ControlFlow::Continue(match (self.watch.take(), of_new) {
            _ if has_end => None,
            (None, None) => None,
            (Some(watch), None) | (None, Some(watch)) => Some(Box::new(watch)),
            (Some(of_old), Some(of_new)) => Some(Box::new(Watches(vec![of_old, of_new]))),
        })
    }
}
