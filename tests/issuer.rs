//! The development issuer, as a client sees it.
#![cfg(feature = "testing")]

#[path = "issuer/faults.rs"]
mod faults;
#[path = "issuer/flows.rs"]
mod flows;
#[path = "issuer/keys.rs"]
mod keys;
#[path = "issuer/metadata.rs"]
mod metadata;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tower_mcp_auth::jose::Algorithm;
use tower_mcp_auth::testing::{Issuer, IssuerBuilder};

/// An issuer without an RSA key, which takes a while to make.
fn quick() -> IssuerBuilder {
    Issuer::builder().algorithms([Algorithm::ES256])
}

/// A client that shows redirects instead of following them.
fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap()
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
