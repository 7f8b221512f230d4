//! The macros that make the public services of gates.

/// The public service of a gate, and its future: they name the gate, which is private. With the
/// name of the future it is a [`BodyGate`](super::BodyGate), and the inner service takes a
/// [`RequestBody`](super::RequestBody).
macro_rules! gated_service {
    ($(#[$docs:meta])* $service:ident, $gate:ty) => {
        $crate::gate::gated_service! {
            $(#[$docs])* $service, $gate;
            call ::tower_service::Service::call; body ReqBody: [::http_body::Body];
            ResponseFuture<[ReqBody], F> of $crate::gate::GatedFuture<
                <$gate as $crate::gate::Gate>::Pass,
                ReqBody,
                F,
            >;
            F: [::std::future::Future<Output = Result<::http::Response<ResBody>, E>>]
        }
    };
    ($(#[$docs:meta])* $service:ident, $gate:ty, $future:ident) => {
        $crate::gate::gated_service! {
            $(#[$docs])* $service, $gate;
            call $crate::gate::Gated::call_with_body;
            body $crate::gate::RequestBody<ReqBody>: [::http_body::Body<Data = ::bytes::Bytes>];
            $future<[S, ReqBody], F> of $crate::gate::BodyGateFuture<$gate, S, ReqBody, F>;
            S: [
                ::tower_service::Service<
                    ::http::Request<$crate::gate::RequestBody<ReqBody>>,
                    Response = ::http::Response<ResBody>,
                    Error = E,
                    Future = F,
                > + Clone
            ]
        }
    };
    (
        $(#[$docs:meta])* $service:ident, $gate:ty;
        call $call:path; body $body:ty: [$($read:tt)*];
        $future:ident<[$($own:ident),*], F> of $inner_future:ty;
        $asked:ident: [$($asks:tt)*]
    ) => {
        $(#[$docs])*
        #[derive(Clone)]
        pub struct $service<S> {
            gated: $crate::gate::Gated<S, $gate>,
        }

        impl<S> $service<S> {
            /// Without a gate, requests and responses are not touched.
            pub(super) fn new(inner: S, gate: impl Into<Option<::std::sync::Arc<$gate>>>) -> Self {
                let gate = gate.into();
                Self {
                    gated: $crate::gate::Gated { inner, gate },
                }
            }
        }

        $crate::util::inner_service!($service, gated.inner);

        impl<S, ReqBody, ResBody> ::tower_service::Service<::http::Request<ReqBody>> for $service<S>
        where
            S: ::tower_service::Service<
                    ::http::Request<$body>,
                    Response = ::http::Response<ResBody>,
                > + Clone,
            ReqBody: $($read)*,
        {
            type Response = ::http::Response<$crate::gate::ResponseBody<ResBody>>;
            type Error = S::Error;
            type Future = $future<$($own,)* S::Future>;

            fn poll_ready(
                &mut self,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<Result<(), S::Error>> {
                ::tower_service::Service::poll_ready(&mut self.gated.inner, cx)
            }

            fn call(&mut self, request: ::http::Request<ReqBody>) -> Self::Future {
                $future {
                    future: $call(&mut self.gated, request),
                }
            }
        }

        ::pin_project_lite::pin_project! {
            #[doc = concat!("The future of a [`", stringify!($service), "`].")]
            pub struct $future<$($own,)* F> {
                #[pin]
                future: $inner_future,
            }
        }

        impl<$($own,)* F, ResBody, E> ::std::future::Future for $future<$($own,)* F>
        where
            $asked: $($asks)*,
            ReqBody: $($read)*,
        {
            type Output = Result<::http::Response<$crate::gate::ResponseBody<ResBody>>, E>;

            fn poll(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<Self::Output> {
                self.project().future.poll(cx)
            }
        }

        impl<$($own,)* F> ::std::fmt::Debug for $future<$($own,)* F> {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(stringify!($future)).finish_non_exhaustive()
            }
        }
    };
}

/// The public body of a service that answers itself: whole, and never an error.
macro_rules! own_body {
    ($(#[$docs:meta])* $body:ident) => {
        $(#[$docs])*
        #[derive(Clone, Debug, Default)]
        pub struct $body(::http_body_util::Full<::bytes::Bytes>);

        impl $body {
            pub(super) fn of(
                response: ::http::Response<::bytes::Bytes>,
            ) -> ::http::Response<Self> {
                response.map(|bytes| Self(::http_body_util::Full::new(bytes)))
            }
        }

        impl ::http_body::Body for $body {
            type Data = ::bytes::Bytes;
            type Error = ::std::convert::Infallible;

            fn poll_frame(
                mut self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<
                Option<Result<::http_body::Frame<Self::Data>, Self::Error>>,
            > {
                ::http_body::Body::poll_frame(::std::pin::Pin::new(&mut self.0), cx)
            }

            fn is_end_stream(&self) -> bool {
                ::http_body::Body::is_end_stream(&self.0)
            }

            fn size_hint(&self) -> ::http_body::SizeHint {
                ::http_body::Body::size_hint(&self.0)
            }
        }
    };
}

pub(crate) use {gated_service, own_body};
