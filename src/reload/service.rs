//! The service of a reloadable layer.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use tower_layer::Layer;
use tower_service::Service;

use super::ResponseFuture;
use super::handle::Shared;
use crate::util::locked;

/// The service made by a [`ReloadLayer`](super::ReloadLayer); `T` is what the layer inside
/// makes of `S`.
pub struct Reload<S, L, T> {
    source: Arc<Source<S, L, T>>,
    /// The one that is polled and called. A clone has none before it is polled: most services
    /// are cloned for each request and never polled themselves, and what they held would keep
    /// the first generation alive.
    held: Option<Built<T>>,
}

/// What clones of one service are made from.
struct Source<S, L, T> {
    shared: Arc<Shared<L>>,
    built: ArcSwap<Built<T>>,
    /// One thread builds, and the others wait for what it builds.
    building: Mutex<()>,
    inner: S,
}

#[derive(Clone)]
struct Built<T> {
    generation: u64,
    service: T,
}

impl<S, L, T> Reload<S, L, T>
where
    S: Clone,
    L: Layer<S, Service = T>,
{
    pub(super) fn new(inner: S, shared: Arc<Shared<L>>) -> Self {
        let built = ArcSwap::from_pointee(Built::new(&shared, &inner));
        Self {
            source: Arc::new(Source {
                shared,
                built,
                building: Mutex::new(()),
                inner,
            }),
            held: None,
        }
    }
}

impl<T> Built<T> {
    fn new<S, L>(shared: &Shared<L>, inner: &S) -> Self
    where
        S: Clone,
        L: Layer<S, Service = T>,
    {
        let current = shared.current();
        Self {
            generation: current.generation,
            service: current.layer.layer(inner.clone()),
        }
    }
}

impl<S, L, T> Source<S, L, T>
where
    S: Clone,
    L: Layer<S, Service = T>,
    T: Clone,
{
    /// A service of this generation or a later one.
    fn take(&self, generation: u64) -> Built<T> {
        let built = self.built.load();
        match built.generation < generation {
            true => self.build(generation),
            false => Built::clone(&built),
        }
    }

    #[cold]
    fn build(&self, generation: u64) -> Built<T> {
        // A layer that panicked left nothing half done.
        let _one = locked(&self.building);
        let built = self.built.load_full();
        if built.generation >= generation {
            return Built::clone(&built);
        }
        let built = Arc::new(Built::new(&self.shared, &self.inner));
        self.built.store(Arc::clone(&built));
        Built::clone(&built)
    }
}

impl<S, L, T, Request> Service<Request> for Reload<S, L, T>
where
    S: Clone,
    L: Layer<S, Service = T>,
    T: Service<Request> + Clone,
{
    type Response = T::Response;
    type Error = T::Error;
    type Future = ResponseFuture<T, Request, T::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), T::Error>> {
        let generation = self.source.shared.generation();
        // What is stale goes first: it may hold the place that the new one waits for.
        self.held.take_if(|held| held.generation < generation);
        let source = &self.source;
        let held = self.held.get_or_insert_with(|| source.take(generation));
        held.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let generation = self.source.shared.generation();
        self.held.take_if(|held| held.generation < generation);
        match &mut self.held {
            Some(held) => ResponseFuture::called(held.service.call(request)),
            // Swapped since it was ready: this request has to wait for the new one.
            None => ResponseFuture::waiting(self.source.take(generation).service, request),
        }
    }
}

impl<S, L, T> Clone for Reload<S, L, T> {
    fn clone(&self) -> Self {
        Self {
            source: Arc::clone(&self.source),
            held: None,
        }
    }
}

impl<S, L: fmt::Debug, T> fmt::Debug for Reload<S, L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.shared.debug("Reload", f)
    }
}
