//! How a request is judged before it goes on.

use bytes::Bytes;
use http::{HeaderName, Request, Response};

use super::future::{Admission, Afterwards};
use super::settings::Settings;
use super::{Authenticate, AuthenticateFuture, Authentication, unaccepted};
use crate::credential::{self, Location, RequestHead};
use crate::error::AuthError;
use crate::refusal::Caller;
use crate::refusal::ReportOnly;
use crate::refusal::Settled;
use crate::refusal::refuse;
use crate::telemetry::{self, Case, Stopwatch};

/// All that a request is judged by.
#[derive(Clone, Debug)]
pub(super) struct State<P> {
    pub(super) provider: P,
    pub(super) settings: Settings,
}

/// What becomes of a request.
pub(super) enum Decision<'s> {
    /// The provider's own document, or a refusal.
    Respond(Response<Bytes>),
    /// On to the inner service, for which it was made ready.
    GoOn(Afterwards),
    /// The provider must wait for its answer; the credential is in this header.
    Wait(&'s HeaderName, Waiting, AuthenticateFuture),
}

/// What an answer that is waited for is told of with.
#[derive(Clone, Copy)]
pub(super) struct Waiting {
    pub(super) provider: &'static str,
    pub(super) stopwatch: Stopwatch,
}

/// The provider where none was asked.
const NO_PROVIDER: &str = "none";

impl<P: Authenticate> State<P> {
    /// Judges a request, and makes it ready for the inner service where it goes on.
    ///
    /// Inlined by force, with the steps it takes: what a provider accepted then goes into the
    /// request from where the provider wrote it. The copies that this spares were read from
    /// memory a moment after it was written, in other pieces, for which a processor waits.
    #[inline(always)]
    pub(super) fn decide<B>(&self, request: &mut Request<B>) -> Decision<'_> {
        if let Some(document) = self.provider.answer(RequestHead::of(request)) {
            return Decision::Respond(document);
        }
        let mut case = Case::auth(NO_PROVIDER);
        let error = match self.authenticate(request, &mut case) {
            Ok(decision) => return decision,
            Err(error) => error,
        };
        let (head, context) = (self.head(request), &self.settings.context);
        match context.settle(error) {
            Settled::Refused(error) => Decision::Respond(refuse(error, context, head, case)),
            Settled::Passes(error) => {
                case.reported(&error, head, &context.audit);
                Decision::GoOn(self.pass(request, Some(error)))
            }
        }
    }

    fn head<'r, B>(&self, request: &'r Request<B>) -> RequestHead<'r> {
        let needs_proof = matches!(self.settings.context.report_only, Some(ReportOnly::Only(_)));
        RequestHead::of(request).with_proof(needs_proof)
    }

    #[inline(always)]
    fn authenticate<B>(
        &self,
        request: &mut Request<B>,
        case: &mut Case<'_>,
    ) -> Result<Decision<'_>, AuthError> {
        let Settings {
            context, streams, ..
        } = &self.settings;
        let head = self.head(request);
        let locations = self.provider.locations();
        // A credential in a URL has leaked already, into logs and histories, and cannot be
        // taken out of it here: not even a public path may pass it on.
        self.settings.query_names.check(head.uri(), locations)?;
        if self.settings.exempt.cover(&head) {
            case.anonymous(head, &context.audit);
            return Ok(Decision::GoOn(self.pass(request, None)));
        }
        if let Some(path) = &self.settings.resource_path {
            path.look_at(head.uri().path());
        }
        if self.provider.exempts(head) {
            case.anonymous(head, &context.audit);
            return Ok(Decision::GoOn(self.pass(request, None).never_challenged()));
        }
        let (location, ref credential) = match credential::read(locations, head.headers()) {
            Ok(Some(found)) => found,
            Ok(None) if self.settings.optional => {
                case.anonymous(head, &context.audit);
                return Ok(Decision::GoOn(self.pass(request, None)));
            }
            Ok(None) => return Err(self.missing(head)),
            Err(error) => return Err(error),
        };
        if !self.provider.checks_credentials() {
            credential.check()?;
        }
        if !self.provider.accepts(credential) {
            return Err(credential.refused(unaccepted(&self.provider, credential)));
        }
        let header = location.header();
        let stopwatch = Stopwatch::start(&streams.clock);
        let answer = self.provider.authenticate(credential, head);
        // Not before the answer: to tell may take another look at the credential.
        let known = match &answer {
            Authentication::Ready(Ok(accepted)) => accepted.provider,
            _ => None,
        };
        let provider = known.unwrap_or_else(|| self.provider.provider_name(credential));
        *case = Case::auth(provider);
        let answer = match answer {
            Authentication::Ready(answer) => answer,
            Authentication::Pending(pending) => {
                let waiting = Waiting {
                    provider,
                    stopwatch,
                };
                return Ok(Decision::Wait(header, waiting, pending));
            }
        };
        stopwatch.stop(&streams.clock, provider, false);
        let accepted = answer?;
        case.accepted_as(&accepted.principal, head, &context.audit);
        Ok(Decision::GoOn(
            self.admission(header).admit(request, accepted),
        ))
    }

    /// What an accepted request is made ready with.
    pub(super) fn admission<'s>(&'s self, header: &'s HeaderName) -> Admission<'s> {
        Admission {
            context: &self.settings.context,
            header,
            forward_credential: self.settings.forward_credential,
            streams: &self.settings.streams,
        }
    }

    /// The headers that hold the credentials of a request that waits and is only reported.
    pub(super) fn held_locations(&self) -> Option<Box<[Location]>> {
        let report_only = self.settings.context.report_only.as_ref();
        report_only.map(|_| self.provider.locations().into())
    }

    /// Why a request has no credential: it has none, or a layer further out took it.
    #[cold]
    fn missing(&self, head: RequestHead<'_>) -> AuthError {
        let own = &self.settings.context;
        let outer = Caller::of(head.extensions()).map(|caller| caller.context);
        if outer.is_some_and(|outer| outer.asks_for_the_same(own)) {
            own.told_twice.tell(|| telemetry::layer_twice("auth layer"));
            return AuthError::missing().with_detail(
                "an auth layer further out reads the same header, and took the credential out of \
                 the request, as these layers do: take one of the two out, or let the outer one \
                 `forward_credential`",
            );
        }
        credential::missing(head, self.provider.locations())
    }

    /// Takes out of a request without a principal what the inner service must not see.
    fn pass<B>(&self, request: &mut Request<B>, reported: Option<AuthError>) -> Afterwards {
        let locations = self.provider.locations();
        if self.settings.forward_credential && reported.is_none() {
            credential::mark_sensitive(locations, request.headers_mut());
        } else {
            credential::strip(locations, request.headers_mut());
        }
        Afterwards::of_nobody(request, &self.settings.context, reported)
    }
}
