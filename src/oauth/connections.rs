//! Detects whether a request went over a new connection.
//!
//! The client does not say it. Only a connection that was kept open may have been closed before the
//! request was sent.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    /// Whether a connection was made for the request that is under way in this task.
    static IS_NEW: Cell<bool>;
}

/// Sends a request; and whether a connection was made for it.
pub(super) async fn watch<F: Future>(sending: F) -> (F::Output, bool) {
    IS_NEW
        .scope(Cell::new(false), async {
            let sent = sending.await;
            (sent, IS_NEW.with(Cell::get))
        })
        .await
}

/// Notices the connections that are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct WatchConnections;

impl<S> Layer<S> for WatchConnections {
    type Service = Watched<S>;

    fn layer(&self, connector: S) -> Watched<S> {
        Watched(connector)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Watched<S>(S);

impl<S, R> Service<R> for Watched<S>
where
    S: Service<R, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let connecting = self.0.call(target);
        Box::pin(async move {
            let connection = connecting.await;
            // One that is made in advance, or for another request that was quicker otherwise, is
            // made in another task.
            if connection.is_ok() {
                let _ = IS_NEW.try_with(|is_new| is_new.set(true));
            }
            connection
        })
    }
}
