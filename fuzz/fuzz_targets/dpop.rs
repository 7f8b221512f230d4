//! Proofs against jsonwebtoken, and their `htu` against the url crate: what we accept, it accepts
//! with the key of the token, and both URLs are one to a browser.
//!
//! The first two lines are the header and the claims of a proof, which is signed here; where the
//! first is empty, the second is the `htu` of a good one. The third is the path of the request. One
//! line is a whole proof. `$ath` in claims is the hash of the token.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tower::{Layer, service_fn};
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::oauth::binding::{DpopMode, DpopOptions};
use tower_mcp_auth::{Clock, OAuthLayer};
use tower_mcp_auth_fuzz::json::Facts;
use tower_mcp_auth_fuzz::{call, refused};
use url::Url;

const ISSUER: &str = "https://auth.example.com";
const ORIGIN: &str = "https://mcp.example.com";
const RESOURCE: &str = "https://mcp.example.com/mcp";
const PATH: &str = "/mcp";
const NOW: u64 = 1_800_000_000;
/// Where proofs are accepted more than once, which spares a new layer for each input.
const WINDOW: u64 = 60;

/// Of two Ed25519 keys: 32 bytes of 1, and 32 bytes of 2.
const ISSUER_X: &str = "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w";
const CLIENT_X: &str = "gTl3Dqh9F19Wo1Rmw0x-zMuNipG07jeiXfYPW4_Js5Q";

type Claims = Map<String, Value>;

fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let (Some(first), second) = (lines.next(), lines.next()) else {
        return;
    };
    let path = lines
        .next()
        .map_or(Some(PATH), |path| std::str::from_utf8(path).ok());
    let Some(path) = path.filter(|path| path.starts_with('/')) else {
        return;
    };
    let proof = match (first, second) {
        (proof, None) => proof.to_vec(),
        (b"", Some(htu)) => {
            let Ok(htu) = std::str::from_utf8(htu) else {
                return;
            };
            signed(&header().to_string(), good(htu).to_string().as_bytes())
        }
        (header, Some(claims)) => {
            let Ok(header) = std::str::from_utf8(header) else {
                return;
            };
            match std::str::from_utf8(claims) {
                Ok(claims) => signed(header, claims.replace("$ath", &ATH).as_bytes()),
                Err(_) => signed(header, claims),
            }
        }
    };
    let (Ok(value), Ok(request)) = (
        HeaderValue::from_bytes(&proof),
        Request::post(path).body(()),
    ) else {
        return;
    };
    let path = request.uri().path().to_owned();
    // The second time the header of the proof is known, if it was accepted.
    let ask = || ours(&value, request.clone());
    let answer = ask();
    assert_eq!(answer, ask());
    match answer {
        Ok(()) => {
            let claims = theirs(&proof).expect("we alone accept it");
            assert!(is_good(&claims, &path), "{claims:?}");
        }
        Err(reason) => assert!(!is_plain(&proof, &path), "refused for {reason}"),
    }
});

fn key(bytes: u8) -> EncodingKey {
    let mut der = vec![
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    der.extend([bytes; 32]);
    EncodingKey::from_ed_der(&der)
}

fn signed(header: &str, claims: &[u8]) -> Vec<u8> {
    static KEY: LazyLock<EncodingKey> = LazyLock::new(|| key(2));
    let mut proof = [header.as_bytes(), claims]
        .map(|part| URL_SAFE_NO_PAD.encode(part))
        .join(".");
    let signature = jsonwebtoken::crypto::sign(proof.as_bytes(), &KEY, Algorithm::EdDSA);
    proof.push('.');
    proof.push_str(&signature.expect("a key"));
    proof.into_bytes()
}

/// A token that is bound to the key of the client.
static TOKEN: LazyLock<String> = LazyLock::new(|| {
    let claims = json!({
        "iss": ISSUER, "aud": RESOURCE, "sub": "alice", "client_id": "app", "iat": NOW,
        "exp": NOW + 600, "cnf": { "jkt": thumbprint() },
    });
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some("at+jwt".to_owned());
    jsonwebtoken::encode(&header, &claims, &key(1)).expect("a token")
});

static ATH: LazyLock<String> = LazyLock::new(|| digest(&TOKEN));

fn digest(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

/// RFC 8037 section 2.
fn thumbprint() -> String {
    let json = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{CLIENT_X}"}}"#);
    digest(&json)
}

fn header() -> Value {
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": CLIENT_X });
    json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk })
}

fn good(htu: &str) -> Value {
    json!({ "jti": "1", "htm": "POST", "htu": htu, "iat": NOW, "ath": *ATH })
}

fn ours(proof: &HeaderValue, request: Request<()>) -> Result<(), String> {
    static LAYER: LazyLock<OAuthLayer> = LazyLock::new(|| {
        let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": ISSUER_X }] });
        let server = AuthorizationServer::new(ISSUER).expect("a server");
        let server = server.jwks(keys.to_string()).expect("a key");
        let options = DpopOptions::new().dangerously_allow_replays();
        OAuthLayer::builder(RESOURCE)
            .and_then(|layer| layer.authorization_server(server.dpop(DpopMode::Required)))
            .expect("a server")
            .dpop_options(options.expect("no other choice"))
            .clock(Clock::manual(Duration::from_secs(NOW)))
            .build()
            .expect("a layer")
    });
    let service = LAYER.layer(service_fn(async |_: Request<Full<Bytes>>| {
        Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    let mut request = request.map(|()| Full::default());
    let token = HeaderValue::try_from(format!("DPoP {}", *TOKEN)).expect("ASCII");
    request.headers_mut().insert("authorization", token);
    request.headers_mut().insert("dpop", proof.clone());
    let response = call(service, request);
    match refused(&response) {
        Some(error) => Err(error.reason().to_owned()),
        // The layer answers for paths of metadata itself, whatever credential comes with them.
        None if response.status() == StatusCode::NOT_FOUND => Err("no metadata".to_owned()),
        None => Ok(()),
    }
}

/// Members of its header that we skip are left out.
fn theirs(proof: &[u8]) -> Option<Claims> {
    let decode = |proof: &[u8]| {
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.required_spec_claims.clear();
        // Its clock is the system's.
        (rules.validate_exp, rules.validate_aud) = (false, false);
        let key = DecodingKey::from_ed_components(CLIENT_X).expect("a key");
        let data = jsonwebtoken::decode::<Claims>(proof, &key, &rules);
        Some(data.ok()?.claims)
    };
    decode(proof).or_else(|| {
        let mut parts = proof.split(|byte| *byte == b'.');
        let header = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        let _: Claims = serde_json::from_slice(&header).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        decode(&signed(r#"{"alg":"EdDSA"}"#, &claims))
    })
}

/// Whether the claims allow what we accepted.
fn is_good(claims: &Claims, path: &str) -> bool {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let time = |name: &str| claims.get(name).and_then(Value::as_f64);
    let iat = claims.get("iat").and_then(Value::as_u64);
    let one = |url: &str| {
        let url = Url::parse(url).ok()?;
        let is_plain = url.username().is_empty() && url.password().is_none();
        let path = percent_encoding::percent_decode_str(url.path()).collect::<Vec<u8>>();
        is_plain.then(|| (url.origin(), path))
    };
    let asked = one(&[ORIGIN, path].concat());
    text("jti").is_some_and(|jti| (1..=256).contains(&jti.len()))
        && text("htm") == Some("POST")
        && text("ath") == Some(&ATH)
        && text("htu").and_then(one) == asked
        && asked.is_some()
        && iat.is_some_and(|iat| iat.abs_diff(NOW) <= WINDOW)
        && time("exp").is_none_or(|exp| exp + WINDOW as f64 > NOW as f64)
        && time("nbf").is_none_or(|nbf| nbf <= (NOW + WINDOW) as f64)
}

/// Whether nothing in a proof is a reason to refuse it.
fn is_plain(proof: &[u8], path: &str) -> bool {
    let mut parts = proof.split(|byte| *byte == b'.');
    let mut part = || {
        let json = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        let json = String::from_utf8(json).ok()?;
        let plain = |facts: Facts| facts.is_plain(32) && !facts.long_string && !facts.long_name;
        Facts::of(&json).is_some_and(plain).then_some(json)
    };
    let (Some(head), Some(_)) = (part(), part()) else {
        return false;
    };
    let usual = header().to_string();
    let Some(claims) = theirs(proof).filter(|_| head == usual) else {
        return false;
    };
    let known = ["jti", "htm", "htu", "iat", "ath"];
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~/".contains(&byte);
    let htu = claims.get("htu").and_then(Value::as_str);
    proof.len() < 4096
        && claims.keys().all(|name| known.contains(&&**name))
        && is_good(&claims, path)
        && path.bytes().all(plain)
        && htu == Some(&[ORIGIN, path].concat())
}
