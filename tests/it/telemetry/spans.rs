//! The span of a request learns who asks.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tracing::Subscriber;
use tracing::field::{Empty, Field, Visit};
use tracing::span::{Id, Record};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry;

use common::{ask, guards};

#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> tracing_subscriber::Layer<S> for Recorded {
    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        values.record(&mut self.clone());
    }
}

impl Visit for Recorded {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.lock().unwrap().push(format!("{field}={value:?}"));
    }
}

#[tokio::test]
async fn a_span_that_declares_the_field_gets_the_principal_of_accepted_requests() {
    let recorded = Recorded::default();
    let _guard = tracing::subscriber::set_default(registry().with(recorded.clone()));
    for guard in guards() {
        let span = tracing::info_span!("request", principal = Empty);
        let entered = span.enter();
        let answer = ask(&guard.layer, guard.good_request("/mcp")).await;
        ask(&guard.layer, guard.bare_request("/mcp")).await.error();
        drop(entered);
        let told = std::mem::take(&mut *recorded.0.lock().unwrap());
        assert_eq!(told, [format!("principal={:?}", answer.principal().id())]);
    }
    // Nothing is asked of a span without it.
    for guard in guards() {
        let _entered = tracing::info_span!("request").entered();
        ask(&guard.layer, guard.good_request("/mcp")).await;
        assert!(recorded.0.lock().unwrap().is_empty());
    }
}
