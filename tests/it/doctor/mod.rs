//! The doctor, on servers with one fault each, and on good ones.

mod clocks;
mod codes;
mod config;
mod faults;
mod floods;
mod good;
mod hostile;
mod secrecy;
mod server;
mod servers;
mod tls;
mod tokens;

use tower_mcp_auth::doctor::{Options, Report, Severity, examine};

use self::server::Fake;

/// What is wrong with a server, as far as a client without a token sees it.
async fn look(server: &Fake) -> Report {
    examine(Options::new(&server.url).unwrap()).await
}

/// The same with this token.
async fn look_with(server: &Fake, token: &str) -> Report {
    let options = Options::new(&server.url).unwrap().token(token).unwrap();
    examine(options).await
}

/// Faults and warnings are these, in this order.
#[track_caller]
fn assert_codes(report: &Report, expected: &[&str], name: &str) {
    assert_eq!(
        report.codes(Severity::Warning),
        expected,
        "{name}: {report}"
    );
}
