//! The forms in which proxies write the certificate of their client, each read strictly.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::crypto::sha256;
use crate::principal::Thumbprint;

/// The longest value that is read, in bytes. Certificates have 1 to 2 KiB.
const LONGEST: usize = 16 * 1024;

/// The form in which a proxy writes the certificate of its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateFormat {
    /// `Client-Cert` of [RFC 9440](https://www.rfc-editor.org/rfc/rfc9440): DER in base64, between
    /// colons. Parameters behind it are refused, because none is defined.
    ClientCert,
    /// PEM with its URL encoding: `$ssl_client_escaped_cert` of nginx, in `X-SSL-Client-Cert`
    /// unless another [header](super::ForwardedCertificates::header_name) is named.
    EscapedPem,
    /// DER in base64: `%[ssl_c_der,base64]` of HAProxy, in `X-SSL-Client-DER` unless another
    /// [header](super::ForwardedCertificates::header_name) is named.
    Base64Der,
    /// `X-Forwarded-Client-Cert` of Envoy, with one element. Its `Hash` or its `Cert` counts;
    /// where both are there, they must agree.
    Xfcc,
}

impl CertificateFormat {
    /// The thumbprint of the certificate in a value. `None`: it is empty, as some proxies write it
    /// for a client without one.
    pub(super) fn read(self, value: &[u8]) -> Result<Option<Thumbprint>, &'static str> {
        if value.is_empty() {
            return Ok(None);
        }
        if value.len() > LONGEST {
            return Err("it is longer than 16 KiB");
        }
        match self {
            Self::ClientCert => of_byte_sequence(value),
            Self::EscapedPem => of_escaped_pem(value),
            Self::Base64Der => of_base64(value),
            Self::Xfcc => of_element(value),
        }
        .map(Some)
    }
}

/// RFC 8941 section 3.3.5.
fn of_byte_sequence(value: &[u8]) -> Result<Thumbprint, &'static str> {
    let inner = value.strip_prefix(b":").and_then(|rest| {
        let end = rest.iter().position(|byte| *byte == b':')?;
        Some(rest.split_at(end))
    });
    match inner {
        None => Err("it is no byte sequence: base64 between colons"),
        Some((_, rest)) if rest.len() > 1 => Err("something follows the byte sequence"),
        Some(([], _)) => Err("it is empty: the proxy must leave the header out"),
        Some((base64, _)) => of_base64(base64),
    }
}

fn of_base64(text: &[u8]) -> Result<Thumbprint, &'static str> {
    let der = STANDARD.decode(text);
    of_der(&der.map_err(|_| "it is not base64, with its padding and nothing else")?)
}

fn of_escaped_pem(text: &[u8]) -> Result<Thumbprint, &'static str> {
    let mut pem = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(hex_digit);
                let (high, low) = (digit(), digit());
                let (Some(high), Some(low)) = (high, low) else {
                    return Err("it has a percent sign that encodes nothing");
                };
                pem.push(high << 4 | low);
            }
            // Some proxies leave these of base64 as they are.
            b'+' | b'/' | b'=' | b'-' => pem.push(byte),
            _ if byte.is_ascii_alphanumeric() => pem.push(byte),
            _ => return Err("it has characters that need the URL encoding"),
        }
    }
    of_pem(&pem)
}

/// One certificate (RFC 7468), and nothing around it.
fn of_pem(pem: &[u8]) -> Result<Thumbprint, &'static str> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    const END: &[u8] = b"-----END CERTIFICATE-----";
    let body = pem
        .strip_prefix(BEGIN)
        .ok_or("it is no certificate in PEM")?;
    let body = without_line_end(body).unwrap_or(body);
    let body = body
        .strip_suffix(END)
        .ok_or("it is not one certificate in PEM, from end to end")?;
    // Base64 has no dash: of two certificates in it nothing is read.
    let base64: Vec<u8> = body
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, b'\n' | b'\r'))
        .collect();
    of_base64(&base64)
}

/// What stands before the last line break.
fn without_line_end(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_suffix(b"\n")?;
    Some(text.strip_suffix(b"\r").unwrap_or(text))
}

/// The hash of a DER sequence, which has to be all there is (X.690 section 8.1.3, 10.1).
fn of_der(der: &[u8]) -> Result<Thumbprint, &'static str> {
    const NONE: &str = "it is no DER sequence, from end to end";
    let [0x30, first, rest @ ..] = der else {
        return Err(NONE);
    };
    let length = usize::from(*first);
    // Of the long form only as many bytes as the length needs, and no length that fits the short
    // one. Three bytes are more than is read.
    let (length, content) = match (length, rest) {
        (0..=0x7f, content) => (length, content),
        (0x81, [one, content @ ..]) if *one >= 0x80 => (usize::from(*one), content),
        (0x82, [high, low, content @ ..]) if *high > 0 => {
            (usize::from(u16::from_be_bytes([*high, *low])), content)
        }
        _ => return Err(NONE),
    };
    match content.len() == length && length > 0 {
        true => Ok(sha256(&[der])),
        false => Err(NONE),
    }
}

/// Pairs of one element, in quotes where that is needed.
fn of_element(value: &[u8]) -> Result<Thumbprint, &'static str> {
    let (mut hash, mut certificate) = (None, None);
    let mut rest = value;
    loop {
        let equals = rest
            .iter()
            .position(|byte| matches!(byte, b'=' | b';' | b',' | b'"'));
        let equals = equals.filter(|at| *at > 0 && rest[*at] == b'=');
        let (name, behind) = rest.split_at(equals.ok_or("a pair has no name")?);
        let (text, behind) = pair_value(&behind[1..])?;
        let is = |own: &str| name.eq_ignore_ascii_case(own.as_bytes());
        let before = match () {
            () if is("Hash") => hash.replace(of_hex(text)?).is_some(),
            () if is("Cert") => certificate.replace(of_escaped_pem(text)?).is_some(),
            () => false,
        };
        if before {
            return Err("it has a Hash or a Cert twice");
        }
        rest = match behind {
            [] => break,
            [b';', next @ ..] => next,
            [b',', ..] => return Err("it has more than one element: the proxy must replace it"),
            _ => return Err("something follows a quoted value"),
        };
    }
    match (hash, certificate) {
        (Some(hash), Some(certificate)) if hash != certificate => Err("Hash is not that of Cert"),
        (hash, certificate) => hash
            .or(certificate)
            .ok_or("it has neither a Hash nor a Cert"),
    }
}

/// A value and what stands behind it. Escapes stay: no value that counts can have one.
fn pair_value(text: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text
            .iter()
            .position(|byte| matches!(byte, b';' | b',' | b'"'));
        return match end {
            Some(at) if text[at] == b'"' => Err("a quote stands within a value"),
            end => Ok(text.split_at(end.unwrap_or(text.len()))),
        };
    };
    let mut bytes = quoted.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Ok((&quoted[..at], &quoted[at + 1..])),
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
    Err("a quoted value has no end")
}

fn of_hex(text: &[u8]) -> Result<Thumbprint, &'static str> {
    const NONE: &str = "Hash is no SHA-256 hash: 64 hexadecimal digits";
    let mut hash = Thumbprint::default();
    if text.len() != 2 * hash.len() {
        return Err(NONE);
    }
    for (byte, digits) in hash.iter_mut().zip(text.chunks_exact(2)) {
        let digits = hex_digit(digits[0]).zip(hex_digit(digits[1]));
        let (high, low) = digits.ok_or(NONE)?;
        *byte = high << 4 | low;
    }
    Ok(hash)
}

fn hex_digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}
