//! The service: refuses foreign hosts and origins.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;

use super::layer::State;
use crate::credential::RequestHead;
use crate::gate::{Gate, gated_service};
use crate::refusal::{RefusalForm, refuse};
use crate::telemetry::{Case, Stage};

gated_service! {
    /// The service made by an [`OriginLayer`](super::OriginLayer).
    ///
    /// A refusal is a response, so the error is the inner service's own and unchanged.
    ///
    /// See the [module docs](crate::mcp::origin) for an example.
    Origin, State
}

impl Gate for State {
    type Pass = ();

    fn check<B: Body>(self: &Arc<Self>, request: &mut Request<B>) -> ControlFlow<Response<Bytes>> {
        let head = RequestHead::of(request);
        let case = Case::new(Stage::Origin, None);
        match self.rules.check(head) {
            Ok(()) => {
                case.accepted(head, &self.context.audit);
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(refuse(
                error,
                &self.context,
                RefusalForm::of(head),
                head,
                case,
            )),
        }
    }
}
