//! Layers that a configuration may leave out, without another type for each case.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::{Layer, Stack};
use tower_service::Service;

use crate::auth::ResponseBody;
use crate::mcp::session::SessionBinding;
use crate::mcp::{
    ListsBody, McpLists, McpListsLayer, McpScopes, McpScopesLayer, RequestBody, SessionBindingLayer,
};

/// Binds sessions to their principal, if the configuration has `session`.
#[derive(Clone, Debug)]
#[must_use]
pub struct SessionSwitch(pub(super) Option<SessionBindingLayer>);

/// Judges operations and filters lists, if the configuration has a `policy`.
#[derive(Clone, Debug)]
#[must_use]
pub struct PolicySwitch(pub(super) Option<Stack<McpListsLayer, McpScopesLayer>>);

impl<S> Layer<S> for SessionSwitch {
    type Service = Switched<SessionBinding<S>, Unbound<S>>;

    fn layer(&self, inner: S) -> Self::Service {
        match &self.0 {
            Some(layer) => Switched(Kind::On(layer.layer(inner))),
            None => Switched(Kind::Off(Unbound(inner))),
        }
    }
}

impl<S> Layer<S> for PolicySwitch {
    type Service = Switched<McpScopes<McpLists<S>>, Unjudged<S>>;

    fn layer(&self, inner: S) -> Self::Service {
        match &self.0 {
            Some(layers) => Switched(Kind::On(layers.layer(inner))),
            None => Switched(Kind::Off(Unjudged(inner))),
        }
    }
}

/// The service of a layer, or the service without it.
#[derive(Clone, Debug)]
pub struct Switched<On, Off>(Kind<On, Off>);

#[derive(Clone, Debug)]
enum Kind<On, Off> {
    On(On),
    Off(Off),
}

impl<On, Off, R> Service<R> for Switched<On, Off>
where
    On: Service<R>,
    Off: Service<R, Response = On::Response, Error = On::Error>,
{
    type Response = On::Response;
    type Error = On::Error;
    type Future = SwitchedFuture<On::Future, Off::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), On::Error>> {
        match &mut self.0 {
            Kind::On(on) => on.poll_ready(cx),
            Kind::Off(off) => off.poll_ready(cx),
        }
    }

    fn call(&mut self, request: R) -> Self::Future {
        let kind = match &mut self.0 {
            Kind::On(on) => FutureKind::On {
                future: on.call(request),
            },
            Kind::Off(off) => FutureKind::Off {
                future: off.call(request),
            },
        };
        SwitchedFuture { kind }
    }
}

pin_project! {
    /// The future of a [`Switched`].
    pub struct SwitchedFuture<On, Off> {
        #[pin]
        kind: FutureKind<On, Off>,
    }
}

pin_project! {
    #[project = FutureProj]
    enum FutureKind<On, Off> {
        On { #[pin] future: On },
        Off { #[pin] future: Off },
    }
}

impl<On, Off> Future for SwitchedFuture<On, Off>
where
    On: Future,
    Off: Future<Output = On::Output>,
{
    type Output = On::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<On::Output> {
        match self.project().kind.project() {
            FutureProj::On { future } => future.poll(cx),
            FutureProj::Off { future } => future.poll(cx),
        }
    }
}

impl<On, Off> fmt::Debug for SwitchedFuture<On, Off> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SwitchedFuture").finish_non_exhaustive()
    }
}

/// A service whose sessions are not bound.
#[derive(Clone, Debug)]
pub struct Unbound<S>(S);

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Unbound<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = Wrapped<S::Future, fn(ResBody) -> ResponseBody<ResBody>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        Wrapped {
            future: self.0.call(request),
            wrap: ResponseBody::inner,
        }
    }
}

/// A service whose operations are not judged.
#[derive(Clone, Debug)]
pub struct Unjudged<S>(S);

type ListBody<B> = ResponseBody<ResponseBody<ListsBody<B>>>;

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Unjudged<S>
where
    S: Service<Request<RequestBody<ReqBody>>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<ListBody<ResBody>>;
    type Error = S::Error;
    type Future = Wrapped<S::Future, fn(ResBody) -> ListBody<ResBody>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        Wrapped {
            future: self.0.call(request.map(RequestBody::unread)),
            wrap: |body| ResponseBody::inner(ResponseBody::inner(ListsBody::pass(body))),
        }
    }
}

pin_project! {
    /// A response whose body has the type it has with the layer.
    pub struct Wrapped<F, W> {
        #[pin]
        future: F,
        wrap: W,
    }
}

impl<F, W, B, C, E> Future for Wrapped<F, W>
where
    F: Future<Output = Result<Response<B>, E>>,
    W: Fn(B) -> C,
{
    type Output = Result<Response<C>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.future.poll(cx))?;
        Poll::Ready(Ok(response.map(&*this.wrap)))
    }
}

impl<F, W> fmt::Debug for Wrapped<F, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wrapped").finish_non_exhaustive()
    }
}
