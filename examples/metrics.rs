//! Metrics for Prometheus, and an audit log, of a service behind an [`OAuthLayer`].
//!
//! Run with
//!
//! ```sh
//! cargo run -p dev --example metrics
//! ```
//!
//! and paste the `curl` lines it prints: they hold tokens made at start. `docs/grafana.json` is a
//! dashboard for what `/metrics` shows.
//!
//! ```sh
//! curl http://127.0.0.1:3000/metrics
//! ```
//!
//! The authorization server is the development issuer of the feature `testing`.

#[path = "support/listen.rs"]
mod listen;
#[path = "support/trace.rs"]
mod trace;

use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::scopes::RequireScopesLayer;
use tower_mcp_auth::telemetry::metrics;
use tower_mcp_auth::testing::Issuer;
use tower_mcp_auth::{OAuthLayer, Principal};

/// Bounds of the histogram, in seconds: from a cached token to an authorization server that
/// takes its time.
const BUCKETS: [f64; 10] = [
    1e-6, 5e-6, 25e-6, 100e-6, 500e-6, 2.5e-3, 10e-3, 100e-3, 1.0, 5.0,
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    trace::install();
    // The recorder first: what happens before it is counted nowhere.
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(
            Matcher::Full(metrics::VERIFICATION_SECONDS.to_owned()),
            &BUCKETS,
        )?
        .install_recorder()?;
    metrics::describe();
    keep_up(recorder.clone());

    let (listener, origin) = listen::listen(3000).await;
    let resource = format!("{origin}/hello");
    let issuer = Issuer::start().await?;
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url())?;

    // A hook must not wait: a line that finds no place in the queue is lost, and not the time
    // of a request.
    let (lines, written) = sync_channel(1024);
    std::thread::spawn(move || write_audit_log(&written));
    let auth = OAuthLayer::new(&resource, server)?.on_decision(move |decision| {
        let _ = lines.try_send(format!(
            "{} {} {} {}",
            decision.layer(),
            decision.outcome().as_str(),
            decision.principal_id().map_or("-", |id| id.as_str()),
            decision.error().map_or("-", |error| error.reason()),
        ));
    });

    let app = Router::new()
        .route("/hello", get(hello))
        .layer(RequireScopesLayer::new("hello")?)
        .layer(auth)
        // Outside the layers. Where strangers can reach the server, on an address of its own.
        .route("/metrics", get(async move || recorder.render()));

    print_requests(&issuer, &resource, &origin);
    println!("listening on {origin}");
    axum::serve(listener, app).await?;
    Ok(())
}

async fn hello(principal: Principal) -> String {
    format!("hello {}\n", principal.subject().unwrap_or("somebody"))
}

/// Histograms are drained when they are rendered, and by this where nobody asks.
fn keep_up(recorder: PrometheusHandle) {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            recorder.run_upkeep();
        }
    });
}

fn write_audit_log(lines: &Receiver<String>) {
    for line in lines {
        eprintln!("audit: {line}");
    }
}

fn print_requests(issuer: &Issuer, resource: &str, origin: &str) {
    let token = |scope| issuer.token().audience(resource).scope(scope).sign();
    let (good, narrow) = (token("hello"), token("other"));
    println!("# without a token: 401\ncurl -i {resource}\n");
    println!(
        "# with a token of too little scope: 403\n\
         curl -i {resource} -H 'Authorization: Bearer {narrow}'\n"
    );
    println!(
        "# the same caller with the scope: 200\n\
         curl -i {resource} -H 'Authorization: Bearer {good}'\n"
    );
    println!("# what was counted: 200\ncurl {origin}/metrics\n");
}
