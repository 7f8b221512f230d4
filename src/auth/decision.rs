//! What becomes of a request: one way for providers that answer at once and for those that wait.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};

use super::lease::{self, Lease};
use super::removal::{mark_sensitive, remove, remove_each_spelling};
use super::route::{DocumentFuture, Route};
use super::settings::Shared;
use super::strength::unless_too_weak;
use super::{Authenticate, AuthenticateFuture, Authenticated, Authentication};
use crate::credential::{self, RequestHead};
use crate::error::{AuthError, AuthErrorKind};
use crate::gate::{EndOfStream, KnownLength, ResponseBody, Watch};
use crate::principal::Principal;
use crate::refusal::{
    self, Caller, Cause, NoPrincipal, RefusalContext, RefusalForm, ReportOnly, Reported, Settled,
    refuse,
};
use crate::revocation::Revocation;
use crate::telemetry::{Case, Stopwatch};

/// All that a request is judged by.
#[derive(Clone, Debug)]
pub(super) struct State<P> {
    pub(super) provider: P,
    pub(super) shared: Arc<Shared>,
}

/// What becomes of a request.
pub(super) enum Decision {
    /// A document of the provider, or a refusal.
    Respond(Response<Bytes>),
    /// A document of the provider that it does not have yet.
    RespondLater(DocumentFuture),
    /// On to the inner service, for which the request was made ready.
    GoOn(Afterwards),
    /// The provider has to wait for its answer.
    Wait(Presented, AuthenticateFuture),
}

impl From<ControlFlow<Response<Bytes>, Afterwards>> for Decision {
    fn from(concluded: ControlFlow<Response<Bytes>, Afterwards>) -> Self {
        match concluded {
            ControlFlow::Break(response) => Self::Respond(response),
            ControlFlow::Continue(afterwards) => Self::GoOn(afterwards),
        }
    }
}

/// What a request presented, as long as it is not known who that is.
pub(super) struct Presented {
    /// The number of the place where the credential stands. `None`: there is none.
    location: Option<usize>,
    /// The name of the provider, or `none`.
    provider: &'static str,
    stopwatch: Option<Stopwatch>,
    /// What refusals say, where the provider chose a resource for the request.
    context: Option<Arc<RefusalContext>>,
}

impl<P: Authenticate> State<P> {
    /// Judges a request, and makes it ready for the inner service where it goes on.
    pub(super) fn decide<B>(&self, request: &mut Request<B>) -> Decision {
        let mut presented = Presented {
            location: None,
            provider: "none",
            stopwatch: None,
            context: None,
        };
        let mut aim = Aim::Resource;
        match self.provider.route(RequestHead::of(request)) {
            Route::Default => {}
            Route::Resource(resource) => {
                presented.context = Some(self.shared.context_for(resource));
            }
            Route::Public => aim = Aim::Document,
            Route::Refused(error) => aim = Aim::Nothing(error),
            Route::Document(response) => return Decision::Respond(response),
            Route::Pending(pending) => return Decision::RespondLater(pending),
            Route::Unknown => return Decision::Respond(refusal::no_document()),
        }
        match self.authenticate(request, aim, &mut presented) {
            Ok(Step::Anonymous) => {
                let cause = Cause::Anonymous;
                Decision::GoOn(self.shared.anonymous(request, &presented, cause))
            }
            Ok(Step::Exempt { is_document }) => {
                let afterwards = self.shared.anonymous(request, &presented, Cause::Exempt);
                Decision::GoOn(Afterwards {
                    never_challenged: is_document,
                    ..afterwards
                })
            }
            Ok(Step::Wait(pending)) => Decision::Wait(presented, pending),
            Ok(Step::Accept(accepted)) => self
                .shared
                .conclude(request, &presented, Ok(accepted))
                .into(),
            Err(error) => self.shared.conclude(request, &presented, Err(error)).into(),
        }
    }

    fn authenticate<B>(
        &self,
        request: &Request<B>,
        aim: Aim,
        presented: &mut Presented,
    ) -> Result<Step, AuthError> {
        let shared = &*self.shared;
        let Presented {
            location,
            provider,
            stopwatch,
            context,
        } = presented;
        let context = shared.context_of(context);
        let head = shared.head(request, context);
        let locations = &shared.routes.locations;
        // A credential in a URL has leaked already, into logs and histories, and cannot be
        // taken out of it here: not even a public path may pass it on.
        shared.query_names.check(head.uri(), locations)?;
        if shared.is_exempt(head, context, matches!(aim, Aim::Nothing(_))) {
            return Ok(Step::Exempt { is_document: false });
        }
        if let Some(path) = &shared.resource_path {
            path.look_at(head.uri().path());
        }
        match aim {
            Aim::Resource => {}
            Aim::Document => return Ok(Step::Exempt { is_document: true }),
            Aim::Nothing(error) => return Err(error),
        }
        let (place, credential) = match credential::read(locations, head.headers())? {
            Some(found) => found,
            None if shared.context.is_optional => return Ok(Step::Anonymous),
            None => return Err(shared.missing(head, context)),
        };
        let leaf = shared.routes.leaf(&credential)?;
        *location = Some(place);
        *provider = shared.routes.name(leaf);
        let started = Stopwatch::start(&shared.streams.clock);
        let credential = credential.at_leaf(leaf);
        match self.provider.authenticate(&credential, head) {
            Authentication::Ready(answer) => {
                started.stop(&shared.streams.clock, provider, false);
                answer.map(Step::Accept)
            }
            Authentication::Pending(pending) => {
                *stopwatch = Some(started);
                Ok(Step::Wait(pending))
            }
        }
    }
}

/// What a request is for.
enum Aim {
    Resource,
    /// A document that needs no credential.
    Document,
    /// No resource is there.
    Nothing(AuthError),
}

enum Step {
    /// Without a credential.
    Anonymous,
    /// Not asked who it is from. `is_document`: a 401 of the inner service becomes a 404.
    Exempt {
        is_document: bool,
    },
    Accept(Authenticated),
    Wait(AuthenticateFuture),
}

impl Shared {
    fn context_of<'a>(
        &'a self,
        chosen: &'a Option<Arc<RefusalContext>>,
    ) -> &'a Arc<RefusalContext> {
        chosen.as_ref().unwrap_or(&self.context)
    }

    fn head<'r, B>(&self, request: &'r Request<B>, context: &'r RefusalContext) -> RequestHead<'r> {
        let needs_proof = matches!(context.report_only, Some(ReportOnly::Only(_)));
        let is_one_of_several = self.selects || context.is_of_chosen();
        RequestHead::of(request)
            .with_proof(needs_proof)
            .with_resource(context.resource.as_ref(), is_one_of_several)
    }

    /// Carries out the answer of a provider.
    pub(super) fn conclude<B>(
        &self,
        request: &mut Request<B>,
        presented: &Presented,
        answer: Result<Authenticated, AuthError>,
    ) -> ControlFlow<Response<Bytes>, Afterwards> {
        if let Some(stopwatch) = presented.stopwatch {
            stopwatch.stop(&self.streams.clock, presented.provider, true);
        }
        let context = self.context_of(&presented.context);
        let (case, head) = (Case::auth(presented.provider), self.head(request, context));
        let answer = unless_too_weak(self.unless_revoked(answer), context);
        let error = match answer {
            Ok(accepted) => {
                case.accepted_as(&accepted.principal, head, &context.audit);
                return ControlFlow::Continue(self.admit(request, presented, accepted));
            }
            Err(error) => error,
        };
        match context.settle(error) {
            Settled::Refused(error) => {
                ControlFlow::Break(refuse(error, context, RefusalForm::of(head), head, case))
            }
            Settled::Passes(error) => {
                case.reported(&error, head, &context.audit);
                self.strip(request);
                ControlFlow::Continue(self.mark(request, presented, Cause::Reported, Some(error)))
            }
        }
    }

    /// The answer of a provider, as far as nothing was revoked.
    fn unless_revoked(
        &self,
        answer: Result<Authenticated, AuthError>,
    ) -> Result<Authenticated, AuthError> {
        let Some(revocation) = &self.revocation else {
            return answer;
        };
        match answer {
            Ok(accepted) => revocation.judge(&accepted.principal).map(|()| accepted),
            // It may be let pass, and judged by its owner.
            Err(error) => {
                let Some(owner) = error.proven_owner() else {
                    return Err(error);
                };
                let (judged, is_known) = (revocation.judge(owner), revocation.remembers(owner));
                Err(match judged {
                    // Only a good token learns what it lacks.
                    Err(revoked) if error.kind() == AuthErrorKind::InsufficientScope => {
                        revoked.and_all_of(error)
                    }
                    Err(revoked) => error.and_all_of(revoked),
                    Ok(()) if is_known => error,
                    // An entry for it may have been there.
                    Ok(()) => error.without_owner(),
                })
            }
        }
    }

    /// What ends the stream of a credential when that is revoked.
    fn watch(&self, principal: &Principal, context: &RefusalContext) -> Option<Box<dyn Watch>> {
        let revocation = self.revocation.as_ref()?;
        let is_refused = !context.reports(Revocation::reason(principal));
        is_refused.then(|| revocation.watch(principal))
    }

    /// Puts the principal in, and takes the credential out.
    fn admit<B>(
        &self,
        request: &mut Request<B>,
        presented: &Presented,
        accepted: Authenticated,
    ) -> Afterwards {
        let lease = self.streams.lease(request, accepted.valid_until);
        let location = presented
            .location
            .map(|place| &self.routes.locations[place]);
        if let Some(header) = location.map(credential::Location::header) {
            if !self.forward_credential {
                request.headers_mut().remove(header);
            } else if let Some(value) = request.headers_mut().get_mut(header) {
                value.set_sensitive(true);
            }
        }
        match self.forward_credential {
            true => mark_sensitive(&self.consumed_headers, request.headers_mut()),
            false => remove(&self.consumed_headers, request.headers_mut()),
        }
        remove_each_spelling(&self.removed_headers, request.headers_mut());
        let extensions = request.extensions_mut();
        extensions.remove::<NoPrincipal>();
        let context = self.context_of(&presented.context);
        let own = Arc::<RefusalContext>::clone(context);
        let watch = self.watch(&accepted.principal, context);
        // This replaces the principal of a layer further out.
        if let Some(before) = extensions.insert(accepted.principal.with_context(own)) {
            context.warn_if_twice(RefusalContext::of(&before));
        }
        Afterwards {
            headers: accepted.headers,
            lease,
            watch,
            ..Afterwards::default()
        }
    }

    /// Lets a request pass without a credential, and takes out one that it may have brought.
    fn anonymous<B>(
        &self,
        request: &mut Request<B>,
        presented: &Presented,
        cause: Cause,
    ) -> Afterwards {
        let case = Case::auth(presented.provider);
        let context = self.context_of(&presented.context);
        case.anonymous(self.head(request, context), &context.audit);
        if self.forward_credential {
            credential::mark_sensitive(&self.routes.locations, request.headers_mut());
            mark_sensitive(&self.consumed_headers, request.headers_mut());
        } else {
            self.strip(request);
        }
        self.mark(request, presented, cause, None)
    }

    /// Takes out what the inner service must not see of a request without a principal.
    fn strip<B>(&self, request: &mut Request<B>) {
        credential::strip(&self.routes.locations, request.headers_mut());
        remove(&self.consumed_headers, request.headers_mut());
    }

    /// Leaves the mark of a request without a principal, and takes out what is never passed on.
    fn mark<B>(
        &self,
        request: &mut Request<B>,
        presented: &Presented,
        cause: Cause,
        reported: Option<AuthError>,
    ) -> Afterwards {
        remove_each_spelling(&self.removed_headers, request.headers_mut());
        let context = self.context_of(&presented.context);
        let proven = reported.as_ref().and_then(AuthError::proven_owner);
        let watch = proven.and_then(|owner| self.watch(owner, context));
        let proven = proven.map(|owner| {
            let context = Arc::<RefusalContext>::clone(context);
            owner.clone().with_context(context)
        });
        let extensions = request.extensions_mut();
        if let Some(before) = extensions.remove::<Principal>() {
            context.warn_if_twice(RefusalContext::of(&before));
        }
        extensions.insert(NoPrincipal {
            context: Arc::clone(context),
            cause,
            error: reported.clone().map(AuthError::alone),
            proven,
        });
        Afterwards {
            reported,
            watch,
            ..Afterwards::default()
        }
    }

    /// Why a request has no credential: it has none, or a layer further out took it.
    #[cold]
    fn missing(&self, head: RequestHead<'_>, context: &RefusalContext) -> AuthError {
        let outer = Caller::of(head.extensions()).map(|caller| caller.context);
        if outer.is_some_and(|outer| outer.asks_for_the_same(context)) {
            context.warn_twice();
            return AuthError::missing().with_detail(
                "an auth layer further out reads the same header, and took the credential out of \
                 the request, as these layers do: take one of the two out, or let the outer one \
                 `forward_credential`",
            );
        }
        credential::missing(head, &self.routes.locations)
    }
}

/// What is done to the response of a request that went on.
#[derive(Default)]
pub(super) struct Afterwards {
    headers: Option<Box<HeaderMap>>,
    lease: Option<Lease>,
    watch: Option<Box<dyn Watch>>,
    reported: Option<AuthError>,
    /// Whether a 401 becomes a 404.
    never_challenged: bool,
}

impl Afterwards {
    pub(super) fn apply<B>(&mut self, mut response: Response<B>) -> Response<ResponseBody<B>> {
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
            Reported::add(response.extensions_mut(), error.alone());
        }
        let mut watch = self.watch.take();
        let has_end = response.extensions().get::<KnownLength>().is_some();
        let mut deadline = match self.lease.take().filter(|_| !has_end) {
            Some(lease) => lease.deadline(response.headers()),
            None if watch.is_some() && !has_end => lease::without_end(response.headers()),
            None => None,
        };
        if deadline.is_none() {
            watch = None;
        }
        if let Some(deadline) = &mut deadline {
            deadline.words = EndOfStream::take(&mut response);
        }
        response.map(|body| ResponseBody::watched(body, deadline, watch))
    }
}
