//! The headers in which proxies hand certificates on against a second reader: what is accepted is
//! one certificate, and the one that is there.
//!
//! Each line of the input is a line of the header. All of it is the content of a certificate as
//! well, which has to be read in each form.
#![no_main]

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Request};
use libfuzzer_sys::fuzz_target;
use tower_mcp_auth::peer::{CertificateFormat, ForwardedCertificates, PeerAddr, PeerCertificate};
use tower_mcp_auth::{AuthError, RequestHead};

const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));
const UNTRUSTED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 66));

const FORMATS: [(CertificateFormat, &str); 4] = [
    (CertificateFormat::ClientCert, "client-cert"),
    (CertificateFormat::EscapedPem, "x-ssl-client-cert"),
    (CertificateFormat::Base64Der, "x-ssl-client-der"),
    (CertificateFormat::Xfcc, "x-forwarded-client-cert"),
];

type Thumbprint = [u8; 32];

fuzz_target!(|input: &[u8]| {
    written(input);
    let lines = input.split(|byte| *byte == b'\n').take(3);
    let Ok(lines) = lines
        .map(HeaderValue::from_bytes)
        .collect::<Result<Vec<_>, _>>()
    else {
        return;
    };
    for (format, name) in FORMATS {
        assert_eq!(read(format, name, UNTRUSTED, &lines), Ok(None));
        let read = read(format, name, PROXY, &lines);
        let [line] = &lines[..] else {
            assert_eq!(read, Err("duplicate_certificate"));
            continue;
        };
        let value = line.as_bytes();
        match read {
            Ok(None) => assert!(value.is_empty()),
            Ok(Some(thumbprint)) => {
                // Beside the pairs that count any bytes may stand.
                let text: String = value.iter().copied().map(char::from).collect();
                assert_eq!(Some(thumbprint), second_reader(format, &text), "{text}");
            }
            Err(reason) => assert_eq!(reason, "malformed_certificate"),
        }
    }
});

fn read(
    format: CertificateFormat,
    name: &'static str,
    peer: IpAddr,
    lines: &[HeaderValue],
) -> Result<Option<Thumbprint>, &'static str> {
    let forwarded = ForwardedCertificates::new(format, ["10.0.0.0/8"]).expect("proxies");
    let mut request = Request::new(());
    request.extensions_mut().insert(PeerAddr::from(peer));
    for line in lines {
        request.headers_mut().append(name, line.clone());
    }
    let refused = |error: AuthError| {
        assert_eq!(error.status(), 401);
        error.reason()
    };
    forwarded
        .thumbprint(RequestHead::of(&request))
        .map_err(refused)
}

/// What is a certificate is read in each form, as proxies write these.
fn written(content: &[u8]) {
    let der = match content.len() {
        1..=0x7f => [&[0x30, content.len() as u8], content].concat(),
        0x80..=0xff => [&[0x30, 0x81, content.len() as u8], content].concat(),
        0x100..=4000 => {
            let [high, low] = (content.len() as u16).to_be_bytes();
            [&[0x30, 0x82, high, low], content].concat()
        }
        _ => return,
    };
    let thumbprint = *PeerCertificate::from_der(&der).thumbprint();
    let base64 = STANDARD.encode(&der);
    let lines = base64.as_bytes().chunks(64).map(|line| {
        let line = std::str::from_utf8(line).expect("base64");
        line.replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D")
            + "%0A"
    });
    let pem: String = lines.collect();
    let pem = format!("-----BEGIN%20CERTIFICATE-----%0A{pem}-----END%20CERTIFICATE-----%0A");
    let hash: String = thumbprint
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let values = [
        format!(":{base64}:"),
        pem.clone(),
        base64,
        format!("By=spiffe://a;Hash={hash};Cert=\"{pem}\";Subject=\"CN=\\\"a,b;c\\\"\";URI="),
    ];
    for ((format, name), value) in FORMATS.into_iter().zip(values) {
        let line = HeaderValue::try_from(value).expect("ASCII");
        let read = read(format, name, PROXY, &[line]);
        assert_eq!(read, Ok(Some(thumbprint)), "{format:?}");
    }
}

/// What a value says, read slowly and in another way.
fn second_reader(format: CertificateFormat, value: &str) -> Option<Thumbprint> {
    match format {
        CertificateFormat::ClientCert => of_base64(value.strip_prefix(':')?.strip_suffix(':')?),
        CertificateFormat::EscapedPem => of_pem(value),
        CertificateFormat::Base64Der => of_base64(value),
        _ => of_element(value),
    }
}

fn of_base64(text: &str) -> Option<Thumbprint> {
    let der = STANDARD.decode(text).ok()?;
    // Written again it is the same text.
    assert_eq!(STANDARD.encode(&der), text);
    let count = match der[1] {
        length @ 0..=0x7f => 2 + usize::from(length),
        0x81 => 3 + usize::from(der[2]),
        _ => 4 + usize::from(der[2]) * 256 + usize::from(der[3]),
    };
    assert_eq!((der[0], der.len()), (0x30, count));
    Some(*PeerCertificate::from_der(&der).thumbprint())
}

fn of_pem(value: &str) -> Option<Thumbprint> {
    let mut parts = value.split('%');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let code = u8::from_str_radix(part.get(..2)?, 16).ok()?;
        text.push(char::from(code));
        text.push_str(&part[2..]);
    }
    let lines: Vec<&str> = text.split(['\r', '\n']).collect();
    let joined = lines.concat();
    assert_eq!(joined.matches("-----").count(), 4, "one certificate");
    let body = joined.strip_prefix("-----BEGIN CERTIFICATE-----")?;
    of_base64(body.strip_suffix("-----END CERTIFICATE-----")?)
}

/// Character by character.
fn of_element(value: &str) -> Option<Thumbprint> {
    let mut pairs = vec![(String::new(), String::new())];
    let (mut is_value, mut is_quoted) = (false, false);
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        let (name, text) = pairs.last_mut().expect("one");
        match character {
            '"' => is_quoted = !is_quoted,
            '\\' if is_quoted => text.extend(characters.next()),
            ';' if !is_quoted => {
                pairs.push((String::new(), String::new()));
                is_value = false;
            }
            ',' if !is_quoted => return None,
            '=' if !is_value => is_value = true,
            _ if is_value => text.push(character),
            _ => name.push(character),
        }
    }
    assert!(!is_quoted);
    let found = |own: &str| {
        let mut found = pairs
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(own));
        let first = found.next().map(|(_, text)| text.as_str());
        assert!(found.next().is_none(), "{own} is there once");
        first
    };
    let of_certificate = found("cert").map(|text| of_pem(text).expect("a certificate"));
    let of_hash = found("hash").map(|text| {
        let byte = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hex");
        assert_eq!(text.len(), 64);
        std::array::from_fn(byte)
    });
    if let (Some(one), Some(other)) = (of_certificate, of_hash) {
        assert_eq!(one, other);
    }
    of_certificate.or(of_hash)
}
