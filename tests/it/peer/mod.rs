//! The peer's address, trusted proxies, and the host a request was sent to.

mod address;
mod certificates;
mod clients;
mod config;
mod forwarded_certificates;
mod forwarded_host;
mod host;
mod layers;
mod networks;
mod wire;

use std::net::IpAddr;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tower_mcp_auth::peer::{PeerAddr, ProxyHeaders, TrustedProxies, requested};
use tower_mcp_auth::{AuthError, AuthErrorKind, RequestHead};

/// A proxy.
const PROXY: &str = "10.0.0.7";
/// None.
const UNTRUSTED: &str = "192.0.2.66";
/// A client of the proxy.
const CLIENT: &str = "203.0.113.9";

type Headers<'h> = &'h [(&'h str, &'h str)];

fn from(peer: Option<&str>, headers: Headers<'_>) -> Request<Full<Bytes>> {
    let mut request = common::request(headers);
    if let Some(peer) = peer {
        let peer: IpAddr = peer.parse().unwrap();
        request.extensions_mut().insert(PeerAddr::from(peer));
    }
    request
}

fn proxies(headers: ProxyHeaders) -> TrustedProxies {
    TrustedProxies::new(headers, ["10.0.0.0/8"]).unwrap()
}

fn forwarded() -> TrustedProxies {
    proxies(ProxyHeaders::Forwarded)
}

fn x_forwarded() -> TrustedProxies {
    proxies(ProxyHeaders::XForwarded)
}

/// The code of the one refusal there is: 400, which report-only mode does not let pass.
#[track_caller]
fn code(error: &AuthError) -> &'static str {
    assert_eq!(error.kind(), AuthErrorKind::Malformed);
    let reason = tower_mcp_auth::Reason::ALL
        .iter()
        .find(|reason| reason.code() == error.reason());
    assert!(!reason.expect("a reason of the crate").may_be_reported());
    common::assert_explained(error);
    error.reason()
}

/// The client of a request of the proxy with these headers.
#[track_caller]
fn client(proxies: &TrustedProxies, headers: Headers<'_>) -> Result<Option<String>, &'static str> {
    client_of(proxies, Some(PROXY), headers)
}

#[track_caller]
fn client_of(
    proxies: &TrustedProxies,
    peer: Option<&str>,
    headers: Headers<'_>,
) -> Result<Option<String>, &'static str> {
    let request = from(peer, headers);
    let client = proxies
        .client(RequestHead::of(&request))
        .map_err(|error| code(&error))?;
    Ok(client.map(|client| client.to_string()))
}

/// Scheme and host that a request was sent to, as `-` where no proxy says the scheme: `- a:8080`.
#[track_caller]
fn host_of(
    proxies: Option<&TrustedProxies>,
    request: &Request<Full<Bytes>>,
) -> Result<String, &'static str> {
    let requested = requested(RequestHead::of(request), proxies).map_err(|error| code(&error))?;
    let port = requested.port().map(|port| format!(":{port}"));
    let scheme = requested.scheme().unwrap_or("-");
    Ok(format!(
        "{scheme} {}{}",
        requested.host(),
        port.unwrap_or_default()
    ))
}
