//! Certificates that proxies hand on: whose header counts, and what it may say.

mod formats;

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tower_mcp_auth::peer::{CertificateFormat, ForwardedCertificates, PeerCertificate};
use tower_mcp_auth::{AuthError, AuthErrorKind, RequestHead};

use super::{PROXY, UNTRUSTED, from};

use CertificateFormat::{Base64Der, ClientCert, EscapedPem, Xfcc};

const FORMATS: [(CertificateFormat, &str); 4] = [
    (ClientCert, "client-cert"),
    (EscapedPem, "x-ssl-client-cert"),
    (Base64Der, "x-ssl-client-der"),
    (Xfcc, "x-forwarded-client-cert"),
];

/// DER of one sequence with so many bytes in it, some of which base64 writes as `+` and `/`.
fn der(length: usize) -> Vec<u8> {
    let mut der = vec![0x30];
    match length {
        0..=0x7f => der.push(u8::try_from(length).unwrap()),
        0x80..=0xff => der.extend([0x81, u8::try_from(length).unwrap()]),
        _ => {
            der.push(0x82);
            der.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    der.extend((0..length).map(|at| [0xfb, 0xff, 0xbe, 0x00][at % 4]));
    der
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
}

/// As nginx does: all but letters, digits and `-._~`.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            _ if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(char::from(byte));
            }
            _ => write!(out, "%{byte:02X}").unwrap(),
        }
        out
    })
}

fn hex(der: &[u8]) -> String {
    let hash = Sha256::digest(der);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The certificate as a proxy writes it.
fn written(format: CertificateFormat, der: &[u8]) -> String {
    match format {
        ClientCert => format!(":{}:", STANDARD.encode(der)),
        EscapedPem => escaped(&pem(der)),
        Base64Der => STANDARD.encode(der),
        _ => format!("Hash={};Cert=\"{}\"", hex(der), escaped(&pem(der))),
    }
}

fn forwarded(format: CertificateFormat) -> ForwardedCertificates {
    ForwardedCertificates::new(format, ["10.0.0.0/8"]).unwrap()
}

/// What is found in the header of the format, from the proxy; or the detail of the refusal.
fn read(format: CertificateFormat, value: &str) -> Result<Option<[u8; 32]>, String> {
    let header = FORMATS.iter().find(|(own, _)| *own == format).unwrap().1;
    let request = from(Some(PROXY), &[(header, value)]);
    forwarded(format)
        .thumbprint(RequestHead::of(&request))
        .map_err(|error| {
            assert_eq!(error.kind(), AuthErrorKind::Invalid);
            assert_eq!(error.reason(), "malformed_certificate");
            let detail = error.detail().unwrap().to_owned();
            // What a client may have written is not repeated.
            assert!(detail.len() < 140, "{detail}");
            detail
        })
}

fn reason(error: &AuthError) -> &'static str {
    common::assert_explained(error);
    error.reason()
}

#[test]
fn the_header_counts_from_its_proxies_alone() {
    let (own, handed_on) = (der(10), der(20));
    let value = written(Base64Der, &handed_on);
    let header: (&str, &str) = ("x-ssl-client-der", &value);
    let thumbprint = |der: &[u8]| Some(Sha256::digest(der).into());
    let forwarded = forwarded(Base64Der);
    for (peer, headers, expected) in [
        // The certificate of the proxy is never that of its client.
        (Some(PROXY), &[header][..], Ok(thumbprint(&handed_on))),
        (Some(PROXY), &[], Ok(None)),
        (Some(PROXY), &[("x-ssl-client-der", "")], Ok(None)),
        (Some(PROXY), &[header, header], Err("duplicate_certificate")),
        (
            Some(PROXY),
            &[("x-ssl-client-der", ""), header],
            Err("duplicate_certificate"),
        ),
        (Some(PROXY), &[("client-cert", &*value)], Ok(None)),
        // Whatever a peer says that is no proxy, its own certificate counts.
        (Some(UNTRUSTED), &[header], Ok(thumbprint(&own))),
        (Some(UNTRUSTED), &[], Ok(thumbprint(&own))),
        (Some(UNTRUSTED), &[header, header], Ok(thumbprint(&own))),
        (
            Some(UNTRUSTED),
            &[("x-ssl-client-der", "!")],
            Ok(thumbprint(&own)),
        ),
        (None, &[header], Err("peer_unknown")),
        (None, &[], Err("peer_unknown")),
    ] {
        let mut request = from(peer, headers);
        let certificate = PeerCertificate::from_der(&own);
        request.extensions_mut().insert(certificate);
        let found = forwarded.thumbprint(RequestHead::of(&request));
        let found = found.map_err(|error| reason(&error));
        assert_eq!(found, expected, "{peer:?} {headers:?}");
        if peer == Some(UNTRUSTED) {
            request.extensions_mut().remove::<PeerCertificate>();
            let found = forwarded.thumbprint(RequestHead::of(&request));
            assert_eq!(found, Ok(None));
        }
    }
}

#[test]
fn another_header_can_be_named_where_the_format_has_none_of_its_own() {
    let der = der(10);
    for (format, own) in FORMATS {
        let named = forwarded(format).header_name("ssl-client-cert");
        let is_free = matches!(format, EscapedPem | Base64Der);
        assert_eq!(named.is_ok(), is_free, "{format:?}");
        assert!(forwarded(format).header_name(own).is_ok(), "{format:?}");
        let Ok(named) = named else {
            let error = named.unwrap_err();
            assert_eq!(error.setting(), "header_name");
            assert!(error.to_string().contains(own), "{error}");
            continue;
        };
        let value = written(format, &der);
        for (header, is_read) in [("ssl-client-cert", true), (own, false)] {
            let request = from(Some(PROXY), &[(header, &*value)]);
            let found = named.thumbprint(RequestHead::of(&request)).unwrap();
            assert_eq!(found.is_some(), is_read, "{header}");
        }
    }
    for bad in [
        "",
        "a b",
        "Authorization",
        "Host",
        "Cookie",
        "Content-Type",
        "DPoP",
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
    ] {
        let error = forwarded(EscapedPem).header_name(bad).unwrap_err();
        assert_eq!(error.setting(), "header_name", "{bad}");
    }
}

#[test]
fn networks_are_those_of_proxies_and_never_everybody() {
    for bad in [
        &[][..],
        &["10.0.0.1/8"],
        &["proxy.example"],
        &["0.0.0.0/0"],
        &["::/0"],
    ] {
        let error = ForwardedCertificates::new(Xfcc, bad).unwrap_err();
        assert_eq!(error.setting(), "networks");
        // There is no such setting here.
        assert!(!error.to_string().contains("dangerously"), "{error}");
    }
}
