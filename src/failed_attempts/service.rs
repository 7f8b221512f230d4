//! The service: refuses an address that failed too often.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{Request, Response};
use http_body::Body;

use super::attempt::Attempt;
use super::layer::State;
use crate::credential::RequestHead;
use crate::error::{AuthError, Reason};
use crate::gate::{Gate, Pass, gated_service};
use crate::refusal::{Answer, RefusalForm, refuse, server_error};
use crate::telemetry::{self, Case, Stage};

/// When a client may come again that waits for the shared store.
const UNANSWERED: Duration = Duration::from_secs(1);

gated_service! {
    /// The service made by a [`FailedAttemptsLayer`](super::FailedAttemptsLayer).
    ///
    /// A refusal is a response, so the error is the inner service's own and unchanged.
    ///
    /// See the [module docs](crate::failed_attempts) for an example.
    FailedAttempts, State
}

impl Gate for State {
    type Pass = Arc<Attempt>;

    fn check<B: Body>(
        self: &Arc<Self>,
        request: &mut Request<B>,
    ) -> ControlFlow<Response<Bytes>, Arc<Attempt>> {
        let head = RequestHead::of(request);
        let (context, case) = (self.context(), Case::new(Stage::FailedAttempts, None));
        let client = match self.client(head) {
            Ok(Some(client)) => client,
            Ok(None) => {
                telemetry::no_client_address();
                return ControlFlow::Break(server_error());
            }
            Err(error) => {
                let form = RefusalForm::of(head);
                return ControlFlow::Break(refuse(error, context, form, head, case));
            }
        };
        let refused = match self.blocked(client) {
            Some(left) => {
                let seconds = left.as_secs().saturating_add(1);
                let why = "the address failed too often, and is heard again in";
                Some((left, format!("{why} {seconds} s")))
            }
            None => self.waits(client).then(|| {
                let why = "several failures of the address are told to the shared store, which has \
                           not answered yet";
                (UNANSWERED, why.to_owned())
            }),
        };
        if let Some((left, why)) = refused {
            let error = AuthError::too_many_requests(Reason::TOO_MANY_FAILED_ATTEMPTS, left)
                .with_detail(why);
            return ControlFlow::Break(refuse(error, context, RefusalForm::of(head), head, case));
        }
        case.accepted(head, &context.audit);
        let attempt = Attempt::new(Arc::clone(self), client);
        if Answer::may_wait(request) {
            Attempt::watch(&attempt, request.extensions_mut());
        }
        ControlFlow::Continue(attempt)
    }
}

impl Pass for Arc<Attempt> {
    fn leave(self, head: &mut Parts) -> ControlFlow<Response<Bytes>> {
        if let Some(error) = head.extensions.get() {
            self.count(error);
        }
        ControlFlow::Continue(())
    }
}
