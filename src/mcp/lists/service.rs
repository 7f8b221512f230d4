//! The service of the list filter.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::layer::Rule;
use super::{ListsBody, ListsFuture, NoLists, View};
use crate::refusal;
use crate::refusal::Caller;
use crate::telemetry;

/// The service made by a [`McpListsLayer`](super::McpListsLayer).
#[derive(Clone, Debug)]
pub struct McpLists<S> {
    pub(super) inner: S,
    pub(super) rule: Arc<Rule>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for McpLists<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<crate::auth::ResponseBody<ListsBody<ResBody>>>;
    type Error = S::Error;
    type Future = ListsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let Some(caller) = Caller::of(request.extensions()) else {
            telemetry::no_auth_layer("McpListsLayer");
            return ListsFuture::respond(refusal::no_auth_layer());
        };
        // What a list leaves out could not be used, and here it can.
        if caller.reports_scopes() {
            return ListsFuture::unfiltered(self.inner.call(request));
        }
        if self.rule.look.is_first() {
            self.rule.check_shown(caller.context.learnable().as_ref());
        }
        let view = View {
            rule: Arc::clone(&self.rule),
            sight: self.rule.show.to(caller),
            principal: caller.known().cloned(),
        };
        let no_lists = request.extensions().get::<NoLists>().is_some();
        ListsFuture::inner(self.inner.call(request), view, no_lists)
    }
}
