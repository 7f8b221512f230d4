//! How a request is judged before it goes on.

use bytes::Bytes;
use http::{HeaderName, Request, Response};

use super::future::{Admission, Afterwards};
use super::settings::Settings;
use super::{Accepted, Authenticate, Authentication, PendingAuthentication};
use crate::credential::{self, Location, RequestHead};
use crate::error::AuthError;
use crate::observe::Observe;
use crate::refusal::refuse;
use crate::telemetry::{Case, Stopwatch};

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
    /// On to the inner service, with nobody's name; with the error that is only observed.
    Pass(Option<AuthError>),
    /// On to the inner service; the credential is in this header.
    Admit(&'s HeaderName, Accepted),
    /// The provider must wait for its answer.
    Wait(&'s HeaderName, Waiting, PendingAuthentication),
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
    /// Judges a request.
    pub(super) fn decide(&self, head: RequestHead<'_>) -> Decision<'_> {
        if let Some(document) = self.provider.answer(head) {
            return Decision::Respond(document);
        }
        let mut case = Case::auth(NO_PROVIDER);
        match self.authenticate(head, &mut case) {
            Ok(decision) => decision,
            Err(error) if self.settings.context.observes(error.reason()) => {
                case.observed(&error, head, &self.settings.context.audit);
                Decision::Pass(Some(error))
            }
            Err(error) => Decision::Respond(refuse(error, &self.settings.context, head, case)),
        }
    }

    fn authenticate(
        &self,
        head: RequestHead<'_>,
        case: &mut Case<'_>,
    ) -> Result<Decision<'_>, AuthError> {
        let head = match self.settings.context.observe {
            Some(Observe::Only(_)) => head.needing_proof(),
            _ => head,
        };
        let locations = self.provider.locations();
        // A credential in a URL has leaked already, into logs and histories, and cannot be
        // taken out of it here: not even a public path may pass it on.
        self.settings.query_names.check(head.uri(), locations)?;
        if self.settings.exempt.cover(head) {
            case.anonymous(head, &self.settings.context.audit);
            return Ok(Decision::Pass(None));
        }
        let Some((location, credential)) = credential::read(locations, head.headers())? else {
            return match self.settings.optional {
                true => {
                    case.anonymous(head, &self.settings.context.audit);
                    Ok(Decision::Pass(None))
                }
                false => Err(AuthError::missing()),
            };
        };
        if !self.provider.checks_credentials() {
            credential.check()?;
        }
        if !self.provider.accepts(&credential) {
            return Err(credential.refused(AuthError::invalid("unaccepted_credential")));
        }
        let header = location.header();
        let Settings {
            context, streams, ..
        } = &self.settings;
        let stopwatch = Stopwatch::start(&streams.clock);
        let answer = self.provider.authenticate(&credential, head);
        // Not before the answer: to tell may take another look at the credential.
        let known = match &answer {
            Authentication::Ready(Ok(accepted)) => accepted.provider,
            _ => None,
        };
        let provider = known.unwrap_or_else(|| self.provider.provider_name(&credential));
        *case = Case::auth(provider);
        match answer {
            Authentication::Ready(answer) => {
                stopwatch.stop(&streams.clock, provider, false);
                let accepted = answer?;
                case.accepted_as(&accepted.principal, head, &context.audit);
                Ok(Decision::Admit(header, accepted))
            }
            Authentication::Pending(pending) => {
                let waiting = Waiting {
                    provider,
                    stopwatch,
                };
                Ok(Decision::Wait(header, waiting, pending))
            }
        }
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

    /// The headers that hold the credentials of a request that waits and is only observed.
    pub(super) fn held_locations(&self) -> Option<Box<[Location]>> {
        let observe = self.settings.context.observe.as_ref();
        observe.map(|_| self.provider.locations().into())
    }

    /// Takes out of a request without a principal what the inner service must not see.
    pub(super) fn pass<B>(
        &self,
        request: &mut Request<B>,
        observed: Option<AuthError>,
    ) -> Afterwards {
        let locations = self.provider.locations();
        if self.settings.forward_credential && observed.is_none() {
            credential::mark_sensitive(locations, request.headers_mut());
        } else {
            credential::strip(locations, request.headers_mut());
        }
        Afterwards::of_nobody(request, &self.settings.context, observed)
    }
}
