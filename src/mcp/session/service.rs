//! The service: admits the session ids of the caller only, and binds those of responses.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, Request, Response};
use http_body::Body;

use super::bind::{self, Binder};
use super::layer::SESSION_ID;
use crate::credential::RequestHead;
use crate::error::AuthError;
use crate::gate::{Gate, Pass, gated_service};
use crate::mcp::key::Owner;
use crate::principal::Principal;
use crate::refusal::{Caller, RefusalForm, no_auth_layer, refuse_or_report, server_error};
use crate::resource::Resource;
use crate::telemetry::{self, Case, Stage};

gated_service! {
    /// The service made by a [`SessionBindingLayer`](super::SessionBindingLayer).
    ///
    /// A refusal is a response, so the error is the inner service's own and unchanged.
    ///
    /// See the [module docs](crate::mcp::session) for an example.
    SessionBinding, Binder
}

impl Gate for Binder {
    type Pass = Opened;

    fn check<B: Body>(
        self: &Arc<Self>,
        request: &mut Request<B>,
    ) -> ControlFlow<Response<Bytes>, Opened> {
        let Some(caller) = Caller::of(request.extensions()) else {
            telemetry::no_auth_layer("SessionBindingLayer");
            return ControlFlow::Break(no_auth_layer());
        };
        let principal = caller.known().cloned();
        let resource = caller.context.resource.clone();
        let owner = Owner::of(principal.as_ref(), resource.as_deref());
        let admitted = self.admit(request.headers_mut(), owner);
        let head = RequestHead::of(request);
        // Still there: only headers were changed.
        let Some(caller) = Caller::of(head.extensions()) else {
            return ControlFlow::Break(no_auth_layer());
        };
        let case = Case::new(Stage::Session, caller.known());
        let mut reported = None;
        match admitted {
            Ok(()) => case.accepted(head, &caller.context.audit),
            Err(error) => {
                reported = refuse_or_report(error, caller, RefusalForm::of(head), head, case)?;
                bind::unseal(request.headers_mut());
            }
        }
        ControlFlow::Continue(Opened {
            binder: Arc::clone(self),
            principal,
            resource,
            reported,
        })
    }
}

/// Whose the session is that a response may name.
pub(super) struct Opened {
    binder: Arc<Binder>,
    /// `None`: nobody's in particular.
    principal: Option<Principal>,
    resource: Option<Arc<Resource>>,
    reported: Option<AuthError>,
}

impl Opened {
    /// Binds the session id of a response. `false`: it cannot be bound, and must not go out.
    fn bind(&self, headers: &mut HeaderMap) -> bool {
        let mut ids = headers.get_all(SESSION_ID).iter();
        let Some(inner) = ids.next() else { return true };
        if ids.next().is_some() {
            return false;
        }
        let owner = Owner::of(self.principal.as_ref(), self.resource.as_deref());
        let Some(mut bound) = self.binder.bind(owner, inner.as_bytes()) else {
            return false;
        };
        bound.set_sensitive(true);
        headers.insert(SESSION_ID, bound);
        true
    }
}

impl Pass for Opened {
    fn leave(mut self, head: &mut Parts) -> ControlFlow<Response<Bytes>> {
        if !self.bind(&mut head.headers) {
            telemetry::unusable_session_id();
            return ControlFlow::Break(server_error());
        }
        self.reported.take().leave(head)
    }
}
