//! Tells of a layer that stands twice around one service, and charges each request twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::Extensions;

use super::layer::Quotas;
use crate::telemetry;

/// How many requests are marked: who has a layer twice has it from the first request on.
const MARKED: u32 = 256;

/// Requests that were looked at. Clones of a layer share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Marked(Arc<AtomicU32>);

/// The layers that a request went through.
#[derive(Clone, Default)]
struct Layers(Vec<Marked>);

impl Quotas {
    /// Tells once where a clone of this layer charged the request before.
    pub(super) fn warn_if_twice(&self, extensions: &mut Extensions) {
        let marked = &self.marked.0;
        if marked.load(Ordering::Relaxed) >= MARKED {
            return;
        }
        let layers: &mut Layers = extensions.get_or_insert_default();
        if layers.0.iter().any(|own| Arc::ptr_eq(&own.0, marked)) {
            if marked.swap(MARKED, Ordering::Relaxed) < MARKED {
                telemetry::quota_twice();
            }
            return;
        }
        // Several at once go a little beyond it.
        marked.fetch_add(1, Ordering::Relaxed);
        layers.0.push(self.marked.clone());
    }
}
