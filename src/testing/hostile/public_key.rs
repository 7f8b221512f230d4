//! A public key in the forms that verifiers have it in, and may take for a secret.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

/// The forms of a JWK, by name.
pub(super) fn forms(jwk: &Value) -> Vec<(&'static str, Vec<u8>)> {
    let mut members = jwk.clone();
    if let Some(members) = members.as_object_mut() {
        members.retain(|name, _| !["alg", "kid", "use"].contains(&name.as_str()));
    }
    let set = serde_json::json!({ "keys": [jwk] });
    let mut forms = vec![
        ("its JWK", jwk.to_string().into_bytes()),
        ("its bare JWK", members.to_string().into_bytes()),
        ("its key set", set.to_string().into_bytes()),
    ];
    for name in ["n", "x"] {
        if let Some(text) = jwk[name].as_str() {
            forms.push(("the text of its number", text.as_bytes().to_vec()));
            forms.push(("its number", decode(text)));
        }
    }
    if let Some(der) = subject_public_key_info(jwk) {
        let text = pem(&der);
        forms.push(("its PEM", text.clone().into_bytes()));
        forms.push(("its PEM, trimmed", text.trim_end().as_bytes().to_vec()));
        forms.push(("its PEM behind a space", format!(" {text}").into_bytes()));
        forms.push(("its DER", der));
    }
    forms
}

fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap_or_default()
}

fn pem(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = "-----BEGIN PUBLIC KEY-----\n".to_owned();
    for line in body.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str("-----END PUBLIC KEY-----\n");
    text
}

/// The DER of RFC 5280 section 4.1.2.7. `None`: no kind of key that an issuer of the tests has.
fn subject_public_key_info(jwk: &Value) -> Option<Vec<u8>> {
    const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    const EC: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    const P256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    const P384: [u8; 5] = [0x2b, 0x81, 0x04, 0x00, 0x22];
    const P521: [u8; 5] = [0x2b, 0x81, 0x04, 0x00, 0x23];
    const ED25519: [u8; 3] = [0x2b, 0x65, 0x70];

    let member = |name: &str| jwk[name].as_str().map(decode);
    let oid = |bytes: &[u8]| value(0x06, bytes);
    let (algorithm, key) = match jwk["kty"].as_str()? {
        "RSA" => {
            let numbers = [number(&member("n")?), number(&member("e")?)].concat();
            let algorithm = [oid(&RSA), value(0x05, &[])].concat();
            (algorithm, value(0x30, &numbers))
        }
        "EC" => {
            let curve = match jwk["crv"].as_str()? {
                "P-256" => oid(&P256),
                "P-384" => oid(&P384),
                _ => oid(&P521),
            };
            let point = [&[4][..], &member("x")?, &member("y")?].concat();
            ([oid(&EC), curve].concat(), point)
        }
        _ => (oid(&ED25519), member("x")?),
    };
    let bits = value(0x03, &[&[0][..], &key].concat());
    Some(value(0x30, &[value(0x30, &algorithm), bits].concat()))
}

/// A DER value.
pub(super) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut der = vec![tag];
    match length {
        0..128 => der.push(length.to_be_bytes()[7]),
        128..256 => der.extend([0x81, length.to_be_bytes()[7]]),
        _ => {
            der.push(0x82);
            der.extend_from_slice(&length.to_be_bytes()[6..]);
        }
    }
    der.extend_from_slice(content);
    der
}

/// A positive INTEGER.
pub(super) fn number(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0);
    let bytes = start.map_or(&[0][..], |start| &bytes[start..]);
    match bytes[0] >= 0x80 {
        true => value(0x02, &[&[0], bytes].concat()),
        false => value(0x02, bytes),
    }
}
