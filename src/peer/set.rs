//! What the layers have in common that put something of the peer into each request.

use http::Request;

use crate::credential::RequestHead;

/// Finds it in a request.
pub(super) type Find<T> = dyn Fn(RequestHead<'_>) -> Option<T> + Send + Sync;

/// Puts what is found into the extensions of a request.
pub(super) fn set<T, B>(request: &mut Request<B>, find: &Find<T>)
where
    T: Clone + Send + Sync + 'static,
{
    match find(RequestHead::of(request)) {
        Some(found) => drop(request.extensions_mut().insert(found)),
        // One that a layer further out took from elsewhere is not the one asked for here.
        None => drop(request.extensions_mut().remove::<T>()),
    }
}

/// The service of a layer, which has what `find` says.
macro_rules! setting_service {
    ($layer:ident, $service:ident, $found:ty) => {
        impl<S> ::tower_layer::Layer<S> for $layer {
            type Service = $service<S>;

            fn layer(&self, inner: S) -> Self::Service {
                $service {
                    inner,
                    find: ::std::sync::Arc::clone(&self.find),
                }
            }
        }

        impl ::std::fmt::Debug for $layer {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(stringify!($layer)).finish_non_exhaustive()
            }
        }

        #[doc = concat!("The service made by a [`", stringify!($layer), "`].")]
        #[derive(Clone)]
        pub struct $service<S> {
            inner: S,
            find: ::std::sync::Arc<$crate::peer::set::Find<$found>>,
        }

        $crate::util::inner_service!($service, inner);

        impl<S, B> ::tower_service::Service<::http::Request<B>> for $service<S>
        where
            S: ::tower_service::Service<::http::Request<B>>,
        {
            type Response = S::Response;
            type Error = S::Error;
            type Future = S::Future;

            fn poll_ready(
                &mut self,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<Result<(), S::Error>> {
                self.inner.poll_ready(cx)
            }

            fn call(&mut self, mut request: ::http::Request<B>) -> Self::Future {
                $crate::peer::set::set(&mut request, &*self.find);
                self.inner.call(request)
            }
        }
    };
}

pub(super) use setting_service;
