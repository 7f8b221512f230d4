//! What the layers tell, on the standard error: refusals too, which are at `debug`. The
//! variable `RUST_LOG` says otherwise.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

/// Installs the subscriber of the process.
pub(crate) fn install() {
    let wanted = std::env::var("RUST_LOG").ok();
    let wanted = wanted.filter(|filter| !filter.is_empty());
    let filter = EnvFilter::new(wanted.as_deref().unwrap_or("info,tower_mcp_auth=debug"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .init();
}
