//! The development issuer, as a client sees it.

mod clients;
mod faults;
mod flows;
mod foreign_client;
mod handlers;
mod hostile;
mod introspection;
mod keys;
mod metadata;
mod rmcp_client;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tower_mcp_auth::jose::Algorithm;
use tower_mcp_auth::testing::{Issuer, IssuerBuilder};

/// An issuer without an RSA key, which takes a while to make.
fn quick() -> IssuerBuilder {
    Issuer::builder().algorithms([Algorithm::ES256])
}

thread_local! {
    /// One for each test, because it takes a while to make, and each test has its thread.
    static HTTP: reqwest::Client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
}

/// A client that shows redirects instead of following them.
fn http() -> reqwest::Client {
    HTTP.with(Clone::clone)
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn header(token: &str) -> Value {
    part(token, 0)
}

fn claims(token: &str) -> Value {
    part(token, 1)
}
