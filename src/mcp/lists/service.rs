//! The service of the list filter.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::layer::Rule;
use super::{ListsBody, ListsFuture, NoLists, View};
use crate::gate::ResponseBody;
use crate::mcp::dialect::SaysSchemes;
use crate::mcp::policy::SignIn;
use crate::refusal::{self, Caller};
use crate::telemetry;
use crate::util::inner_service;

/// The service made by a [`McpListsLayer`](super::McpListsLayer).
///
/// Its error is the inner service's own and unchanged.
///
/// See the [module docs](crate::mcp) for an example.
#[derive(Clone)]
pub struct McpLists<S> {
    pub(super) inner: S,
    /// `None`: requests and responses are not touched.
    pub(super) rule: Option<Arc<Rule>>,
}

inner_service!(McpLists, inner);

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for McpLists<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<ListsBody<ResBody>>>;
    type Error = S::Error;
    type Future = ListsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let Some(rule) = &self.rule else {
            return ListsFuture::unfiltered(self.inner.call(request));
        };
        let Some(caller) = Caller::of(request.extensions()) else {
            telemetry::no_auth_layer("McpListsLayer");
            return ListsFuture::respond(refusal::no_auth_layer());
        };
        // What a list leaves out could not be used, and here it can.
        if caller.reports_scopes() {
            return ListsFuture::unfiltered(self.inner.call(request));
        }
        if rule.look.is_first() {
            rule.check_shown(caller.context.learnable().as_ref());
        }
        let extensions = request.extensions();
        let says_schemes = extensions.get::<SaysSchemes>().is_some();
        let sign_in = match caller.context.is_optional {
            true => SignIn::WhereNeeded,
            false => SignIn::Always,
        };
        let schemes = says_schemes.then_some(sign_in);
        let view = View {
            schemes,
            rule: Arc::clone(rule),
            sight: rule.show.to(caller),
            principal: caller.known().cloned(),
        };
        let no_lists = extensions.get::<NoLists>().is_some();
        ListsFuture::inner(self.inner.call(request), view, no_lists)
    }
}
