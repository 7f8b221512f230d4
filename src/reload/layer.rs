//! `ReloadLayer`: a layer that can be swapped.

use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use super::handle::{ReloadHandle, Shared};
use super::service::Reload;
use crate::clock::Clock;

/// A layer that is another one, which its [`ReloadHandle`] swaps; see the
/// [module docs](crate::reload).
///
/// Clones, and all services made by them, are swapped together.
#[must_use]
pub struct ReloadLayer<L> {
    shared: Arc<Shared<L>>,
}

impl<L> ReloadLayer<L> {
    /// Begins with this layer, as generation 1.
    pub fn new(layer: L) -> (Self, ReloadHandle<L>) {
        Self::from_parts(layer, Clock::system())
    }

    /// The same, with a clock that [`ReloadStatus`](super::ReloadStatus) takes its times from.
    pub fn from_parts(layer: L, clock: Clock) -> (Self, ReloadHandle<L>) {
        let handle = ReloadHandle::new(layer, clock);
        let layer = Self {
            shared: handle.shared(),
        };
        (layer, handle)
    }
}

impl<L> Clone for ReloadLayer<L> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S, L> Layer<S> for ReloadLayer<L>
where
    S: Clone,
    L: Layer<S>,
{
    type Service = Reload<S, L, L::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        Reload::new(inner, Arc::clone(&self.shared))
    }
}

impl<L: fmt::Debug> fmt::Debug for ReloadLayer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.debug("ReloadLayer", f)
    }
}
