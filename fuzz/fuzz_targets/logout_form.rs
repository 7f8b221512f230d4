//! Forms of back-channel logouts against two other readers, the url crate's and one written here:
//! exactly the token that both find in a form is judged, and its session alone ends.
//!
//! The input is the body, in which `$a` and `$b` are two good logout tokens, and `$e` is the first
//! one with each byte percent-encoded.
#![no_main]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use jsonwebtoken::{Algorithm, EncodingKey};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tower::{Layer, service_fn};
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::oauth::logout::BackchannelLogoutService;
use tower_mcp_auth::revocation::Revocation;
use tower_mcp_auth::{Clock, OAuthLayer};
use tower_mcp_auth_fuzz::{call, refused};
use url::form_urlencoded;

const ISSUER: &str = "https://auth.example.com";
const RESOURCE: &str = "https://mcp.example.com/mcp";
const CLIENT: &str = "mcp-server";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const NOW: u64 = 1_800_000_000;
/// Of the Ed25519 key of 32 bytes of 1.
const ISSUER_X: &str = "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w";
const MOST_BYTES: usize = 16 * 1024;

/// What no answer may repeat.
const SECRET: &str = "S3CR3T";

/// One good logout token for each of two sessions.
static LOGOUTS: LazyLock<[String; 2]> = LazyLock::new(|| SESSIONS.map(logout));
/// An access token of each session.
static TOKENS: LazyLock<[String; 2]> = LazyLock::new(|| SESSIONS.map(access));
const SESSIONS: [&str; 2] = ["08a5", "19b6"];

static CLOCK: LazyLock<Clock> = LazyLock::new(|| Clock::manual(Duration::from_secs(NOW)));
static LAYER: LazyLock<OAuthLayer> = LazyLock::new(|| {
    let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": ISSUER_X }] });
    let server = AuthorizationServer::new(ISSUER).expect("a server");
    let server = server.jwks(keys.to_string()).expect("a key");
    OAuthLayer::builder(RESOURCE)
        .and_then(|layer| layer.authorization_server(server))
        .expect("a server")
        .clock(CLOCK.clone())
        .build()
        .expect("a layer")
});

fuzz_target!(|input: &[u8]| {
    let body = Bytes::from(written(input));
    let expected = expected(&body);
    // What was revoked and which tokens were taken is of this input alone.
    let revocation = Revocation::in_memory().clock(CLOCK.clone());
    let layer = LAYER.clone().revocation(revocation.clone());
    let service = layer.backchannel_logout(ISSUER, CLIENT).expect("a client");
    assert_eq!(
        ours(&service, &body).unwrap_or_else(|| ended(&layer)),
        expected
    );
    let is_accepted = matches!(expected, Judged::Accepted(_));
    assert_eq!(revocation.entries(), usize::from(is_accepted));
    if is_accepted {
        assert_eq!(ours(&service, &body), Some(Judged::Replayed));
    }
});

/// What becomes of a form.
#[derive(Debug, PartialEq)]
enum Judged {
    TooLarge,
    /// Refused before there is a token, for this.
    Form(&'static str),
    /// The token is refused.
    Token,
    Replayed,
    /// The logout token of this session.
    Accepted(usize),
}

const ENCODING: &str = "the body has a percent sign without two hexadecimal digits";
const MISSING: &str = "the parameter logout_token is missing";
const TWICE: &str = "the parameter logout_token is there twice";

/// What both readers make of a body.
fn expected(body: &[u8]) -> Judged {
    if body.len() > MOST_BYTES {
        return Judged::TooLarge;
    }
    let Some(pairs) = pairs(body) else {
        return Judged::Form(ENCODING);
    };
    let parsed = form_urlencoded::parse(body).into_owned();
    assert_eq!(pairs, parsed.collect::<Vec<_>>());
    let mut tokens = pairs.iter().filter(|(name, _)| name == "logout_token");
    match (tokens.next(), tokens.next()) {
        (_, Some(_)) => Judged::Form(TWICE),
        (Some((_, token)), None) if !token.is_empty() => {
            let known = LOGOUTS.iter().position(|own| own == token);
            known.map_or(Judged::Token, Judged::Accepted)
        }
        _ => Judged::Form(MISSING),
    }
}

/// The parameters of a form, as the URL standard reads them. `None`: there is a percent sign that
/// encodes nothing, which that standard keeps.
fn pairs(body: &[u8]) -> Option<Vec<(String, String)>> {
    let parts = body.split(|byte| *byte == b'&');
    let pairs = parts.map(|part| {
        let end = part.iter().position(|byte| *byte == b'=');
        let value = end.map_or(&[][..], |end| &part[end + 1..]);
        let pair = (
            decoded(&part[..end.unwrap_or(part.len())])?,
            decoded(value)?,
        );
        Some((part, pair))
    });
    let pairs: Vec<_> = pairs.collect::<Option<_>>()?;
    let are_there = pairs.into_iter().filter(|(part, _)| !part.is_empty());
    Some(are_there.map(|(_, pair)| pair).collect())
}

fn decoded(text: &[u8]) -> Option<String> {
    let mut bytes = text.iter().copied();
    let mut all = Vec::new();
    while let Some(byte) = bytes.next() {
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        all.push(match byte {
            b'%' => u8::try_from(digit()? * 16 + digit()?).expect("a byte"),
            b'+' => b' ',
            other => other,
        });
    }
    Some(String::from_utf8_lossy(&all).into_owned())
}

/// What the service says. `None`: it accepts, and which token that was shows elsewhere.
fn ours(service: &BackchannelLogoutService, body: &Bytes) -> Option<Judged> {
    let request = Request::post("/backchannel-logout")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(body.clone()))
        .expect("a request");
    let response = call(service.clone(), request);
    assert_eq!(response.headers()["cache-control"], "no-store");
    if response.status() == 200 {
        assert!(refused(&response).is_none() && response.body().is_empty());
        assert_eq!(response.headers().len(), 1);
        return None;
    }
    if response.status() == 413 {
        said(&response, "too_large");
        return Some(Judged::TooLarge);
    }
    assert_eq!(response.status(), 400);
    let error = refused(&response).expect("a reason");
    let said = said(&response, "invalid_request");
    assert_eq!(said, error.description());
    // It may name an issuer that is not trusted, and repeats no token.
    let detail = error.detail().unwrap_or_default();
    for part in LOGOUTS.iter().flat_map(|token| token.split('.')) {
        assert!(!detail.contains(part), "{detail}");
    }
    Some(match error.reason() {
        "invalid_logout_request" => {
            let all = [ENCODING, MISSING, TWICE];
            let text = all.into_iter().find(|text| *text == said);
            Judged::Form(text.expect("one of these"))
        }
        "invalid_logout_token" => Judged::Token,
        "replayed_logout_token" => Judged::Replayed,
        other => panic!("{other}"),
    })
}

/// The only session that ended.
fn ended(layer: &OAuthLayer) -> Judged {
    match [0, 1].map(|index| is_let_in(layer, &TOKENS[index])) {
        [false, true] => Judged::Accepted(0),
        [true, false] => Judged::Accepted(1),
        both => panic!("{both:?}"),
    }
}

/// The text of a refusal, which is for its sender and repeats nothing (RFC 6749 section 5.2).
fn said(response: &Response<Bytes>, code: &str) -> String {
    let body = std::str::from_utf8(response.body()).expect("UTF-8");
    let secrets = LOGOUTS.iter().flat_map(|token| token.split('.'));
    for secret in secrets.chain([SECRET]) {
        assert!(!body.contains(secret), "{body}");
    }
    let said: BTreeMap<String, Value> = serde_json::from_str(body).expect("an object");
    assert_eq!(said["error"], code);
    let text = said["error_description"].as_str().expect("a text");
    let is_right = |byte: u8| matches!(byte, 0x20..=0x7e) && !b"\"\\".contains(&byte);
    assert!(text.bytes().all(is_right), "{text}");
    text.to_owned()
}

fn is_let_in(layer: &OAuthLayer, token: &str) -> bool {
    let service = layer.layer(service_fn(async |_: Request<Full<Bytes>>| {
        Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    let request = Request::post("/mcp")
        .header("authorization", format!("Bearer {token}"))
        .body(Full::default())
        .expect("a request");
    let response = call(service, request);
    let reason = refused(&response).map(|error| error.reason());
    assert!(
        [None, Some("revoked_token")].contains(&reason),
        "{reason:?}"
    );
    reason.is_none()
}

fn logout(sid: &str) -> String {
    let claims = json!({
        "iss": ISSUER, "aud": CLIENT, "sub": "alice", "sid": sid, "jti": sid, "iat": NOW,
        "exp": NOW + 60, "events": { EVENT: {} },
    });
    signed("logout+jwt", &claims)
}

fn access(sid: &str) -> String {
    let claims = json!({
        "iss": ISSUER, "aud": RESOURCE, "sub": "alice", "sid": sid, "client_id": "app",
        "iat": NOW, "exp": NOW + 600,
    });
    signed("at+jwt", &claims)
}

fn signed(typ: &str, claims: &Value) -> String {
    static KEY: LazyLock<EncodingKey> = LazyLock::new(|| {
        let mut der = vec![
            0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
        ];
        der.extend([1; 32]);
        EncodingKey::from_ed_der(&der)
    });
    let header = json!({ "typ": typ, "alg": "EdDSA" });
    let mut token = [&header, claims]
        .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
        .join(".");
    let signature = jsonwebtoken::crypto::sign(token.as_bytes(), &KEY, Algorithm::EdDSA);
    token.push('.');
    token.push_str(&signature.expect("a key"));
    token
}

/// The body, with the tokens where the input has them.
fn written(input: &[u8]) -> Vec<u8> {
    static ENCODED: LazyLock<String> = LazyLock::new(|| {
        let mut all = String::new();
        for byte in LOGOUTS[0].bytes() {
            write!(all, "%{byte:02x}").expect("a text");
        }
        all
    });
    let mut body = Vec::new();
    let mut rest = input;
    while let Some((byte, after)) = rest.split_first() {
        let token = match (byte, after.first()) {
            (b'$', Some(b'a')) => &LOGOUTS[0],
            (b'$', Some(b'b')) => &LOGOUTS[1],
            (b'$', Some(b'e')) => &ENCODED,
            _ => {
                body.push(*byte);
                rest = after;
                continue;
            }
        };
        body.extend_from_slice(token.as_bytes());
        rest = &after[1..];
    }
    body
}
