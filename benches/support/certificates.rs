//! A token that is bound to a certificate: what it takes to match that, of the connection or from
//! the header of a proxy.

use std::net::{IpAddr, Ipv4Addr};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request};
use tower::Layer;
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::oauth::binding::MtlsMode;
use tower_mcp_auth::peer::{
    CertificateFormat, ForwardedCertificates, PeerAddr, PeerCertificate, SetPeerCertificateLayer,
};

use super::drive::{Bare, Body, put_through, request};
use super::measure::{Candidate, added, take_turns, timed};
use super::table::{Bound, Row};
use super::tokens::{Key, RESOURCE};

const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));

/// As many bytes as the certificate of an RSA key with a few names has.
const LENGTH: usize = 1500;

/// DER of a sequence, of which base64 has all characters.
fn der() -> Vec<u8> {
    let length = u16::try_from(LENGTH).unwrap().to_be_bytes();
    let content = (0..LENGTH).map(|at| (at * 151 % 256) as u8);
    [0x30, 0x82]
        .into_iter()
        .chain(length)
        .chain(content)
        .collect()
}

fn escaped_pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(|line| {
        let line = std::str::from_utf8(line).unwrap();
        line.replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D")
            + "%0A"
    });
    let lines: String = lines.collect();
    format!("-----BEGIN%20CERTIFICATE-----%0A{lines}-----END%20CERTIFICATE-----%0A")
}

/// What a header has, and where it is read from.
struct Header {
    format: CertificateFormat,
    name: &'static str,
    value: String,
}

/// The same token of the cache with and without its certificate: `bare` is a layer that looks at
/// none.
pub(crate) fn rows(key: &Key, count: usize, rounds: usize) -> Vec<Row> {
    let der = der();
    let header = |format, name, value| {
        Some(Header {
            format,
            name,
            value,
        })
    };
    let cases = [
        ("of the connection", None, 500.0),
        (
            "in Client-Cert",
            header(
                CertificateFormat::ClientCert,
                "client-cert",
                format!(":{}:", STANDARD.encode(&der)),
            ),
            15_000.0,
        ),
        (
            "in escaped PEM",
            header(
                CertificateFormat::EscapedPem,
                "x-ssl-client-cert",
                escaped_pem(&der),
            ),
            15_000.0,
        ),
    ];
    let row = |(name, header, most): (_, Option<Header>, f64)| {
        row(key, &der, (name, header.as_ref(), most), (count, rounds))
    };
    cases.into_iter().map(row).collect()
}

fn layer(key: &Key, mode: MtlsMode, header: Option<&Header>) -> OAuthLayer {
    let builder = OAuthLayer::builder(RESOURCE).unwrap();
    let mut builder = builder
        .authorization_server(key.server().mtls(mode))
        .unwrap();
    if let Some(header) = header {
        let forwarded = ForwardedCertificates::new(header.format, ["10.0.0.0/8"]);
        builder = builder.forwarded_certificates(forwarded.unwrap());
    }
    builder.build().unwrap()
}

fn row(
    key: &Key,
    der: &[u8],
    (name, header, most): (&'static str, Option<&Header>, f64),
    (count, rounds): (usize, usize),
) -> Row {
    let certificate = PeerCertificate::from_der(der);
    let thumbprint = URL_SAFE_NO_PAD.encode(certificate.thumbprint());
    let made = |token: &str| -> Request<Body> {
        let mut request = request(&AUTHORIZATION, &format!("Bearer {token}"));
        if let Some(header) = header {
            let value = HeaderValue::from_str(&header.value).unwrap();
            let name = HeaderName::from_static(header.name);
            request.headers_mut().insert(name, value);
            request.extensions_mut().insert(PeerAddr::from(PROXY));
        }
        request
    };
    let plain = made(&key.token(0));
    let bound = made(&key.bound_token(0, "x5t#S256", &thumbprint));
    let mut unbound = layer(key, MtlsMode::Off, None).layer(Bare);
    // What accepts the connection puts the certificate into each request.
    let shown = header.is_none().then_some(certificate);
    let mut guarded = SetPeerCertificateLayer::of_connection(shown)
        .layer(layer(key, MtlsMode::Required, header).layer(Bare));
    // The tokens are known from then on.
    put_through(&mut unbound, plain.clone(), 200);
    put_through(&mut guarded, bound.clone(), 200);

    let copies = |request: &Request<Body>, count| -> Vec<_> { vec![request.clone(); count] };
    let mut candidates = [
        Candidate::new(|| {
            timed(copies(&plain, count), |request| {
                put_through(&mut unbound, request, 200);
            })
        }),
        Candidate::new(|| {
            timed(copies(&bound, count), |request| {
                put_through(&mut guarded, request, 200);
            })
        }),
    ];
    take_turns(&mut candidates, rounds);
    let [bare, layer] = &candidates;
    Row {
        group: "certificate",
        name,
        population: None,
        bare: bare.time(),
        layer: layer.time(),
        added: added(bare, layer),
        least: None,
        floor: None,
        bound: Bound::Nanoseconds(most),
    }
}
