//! A middleware written by hand, without the crate: right, or with one fault.

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{Method, Request, Response};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};
use tower::Service;
use tower_mcp_auth::testing::Issuer;
use tower_mcp_auth::testing::hostile::{Probe, RequestBody};

use super::RESOURCE;

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Nothing,
    AcceptsNone,
    ConfusesKeys,
    TrustsEmbeddedKey,
    FollowsKeyUrl,
    ChecksNoSignature,
    RemembersWithoutSignature,
    IgnoresCritical,
    IgnoresType,
    ChecksNoAudience,
    FindsAudienceInText,
    ComparesStartOfIssuer,
    TakesIssuerFromList,
    ChecksNoExpiry,
    SkipsExpiryInText,
    ChecksNoBeginning,
    TakesIdTokens,
    TakesRefreshTokens,
    IgnoresBinding,
    TakesLastMember,
    ReadsQuery,
    TakesFirstHeader,
    TakesAnyScheme,
    ReadsCookie,
    GuardsPostOnly,
    ForgetsSiblings,
    MatchesOpenPathAnywhere,
    TrustsProxyHeaders,
    SkipsGrpc,
    TakesSessionForCredential,
    PassesCredentialOn,
    RepeatsCredential,
    NamesNoScheme,
}

#[derive(Clone)]
pub struct Handmade {
    fault: Fault,
    issuer: String,
    kid: String,
    /// The point of the public key, uncompressed.
    point: Vec<u8>,
    remembered: Arc<Mutex<HashSet<String>>>,
    probe: Probe,
}

/// Why a request is refused.
type Refused = u16;

impl Handmade {
    pub fn new(fault: Fault, issuer: &Issuer, probe: Probe) -> Self {
        let jwk = issuer.jwks()["keys"][0].clone();
        Self {
            fault,
            issuer: issuer.url().to_owned(),
            kid: jwk["kid"].as_str().unwrap().to_owned(),
            point: point(&jwk).unwrap(),
            remembered: Arc::default(),
            probe,
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn check(&self, head: &Parts) -> Result<(), Refused> {
        let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
        let text = head.uri.to_string();
        let named = |name: &str| head.headers.contains_key(name);
        let content_type = head.headers.get(CONTENT_TYPE);
        let is_grpc =
            content_type.is_some_and(|kind| kind.as_bytes().starts_with(b"application/g"));
        if (self.has(Fault::GuardsPostOnly) && head.method != Method::POST)
            || (self.has(Fault::ForgetsSiblings) && path != "/mcp")
            || (self.has(Fault::MatchesOpenPathAnywhere) && text.contains("/health"))
            || (self.has(Fault::TrustsProxyHeaders) && named("x-forwarded-user"))
            || (self.has(Fault::SkipsGrpc) && is_grpc)
            || (self.has(Fault::TakesSessionForCredential) && named("mcp-session-id"))
        {
            return Ok(());
        }
        let in_query = query.strip_prefix("access_token=");
        if self.has(Fault::ReadsQuery)
            && let Some(token) = in_query
        {
            return self.check_token(token);
        }
        if query.contains("access_token=") {
            return Err(400);
        }
        self.check_token(self.bearer(&head.headers)?)
    }

    fn bearer<'h>(&self, headers: &'h HeaderMap) -> Result<&'h str, Refused> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        if self.has(Fault::ReadsCookie)
            && let Some(cookies) = headers.get("cookie").and_then(|text| text.to_str().ok())
        {
            let start = cookies.find("access_token=").ok_or(401_u16)? + 13;
            return cookies[start..].split(';').next().ok_or(401);
        }
        let value = values.next().ok_or(401_u16)?;
        if values.next().is_some() && !self.has(Fault::TakesFirstHeader) {
            return Err(400);
        }
        let value = value.to_str().map_err(|_| 400_u16)?.trim_matches(' ');
        let (scheme, token) = value.split_once(' ').ok_or(401_u16)?;
        if !scheme.eq_ignore_ascii_case("bearer") && !self.has(Fault::TakesAnyScheme) {
            return Err(401);
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        match token.bytes().all(is_plain) && !token.is_empty() {
            true => Ok(token),
            false => Err(400),
        }
    }

    fn check_token(&self, token: &str) -> Result<(), Refused> {
        if token.len() > 16 * 1024 {
            return Err(401);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(401);
        };
        let message = format!("{header}.{claims}");
        let is_remembered = self.has(Fault::RemembersWithoutSignature)
            && self.remembered.lock().unwrap().contains(&message);
        if is_remembered {
            return Ok(());
        }
        let header = self.members(header)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| 401_u16)?;
        self.check_header(&header)?;
        if !self.has(Fault::ChecksNoSignature) && !self.verifies(&header, &message, &signature) {
            return Err(401);
        }
        self.check_claims(&self.members(claims)?)?;
        self.remembered.lock().unwrap().insert(message);
        Ok(())
    }

    fn members(&self, part: &str) -> Result<Map<String, Value>, Refused> {
        let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| 401_u16)?;
        if self.has(Fault::TakesLastMember) {
            return serde_json::from_slice(&json).map_err(|_| 401);
        }
        let members: Members = serde_json::from_slice(&json).map_err(|_| 401_u16)?;
        Ok(members.0)
    }

    fn check_header(&self, header: &Map<String, Value>) -> Result<(), Refused> {
        let is_extended = header.contains_key("crit") || header.contains_key("b64");
        if is_extended && !self.has(Fault::IgnoresCritical) {
            return Err(401);
        }
        let is_access_token = match header.get("typ") {
            None => true,
            Some(typ) => typ.as_str().is_some_and(|typ| {
                let typ = typ.to_ascii_lowercase();
                matches!(&*typ, "jwt" | "at+jwt" | "application/at+jwt")
            }),
        };
        match is_access_token || self.has(Fault::IgnoresType) {
            true => Ok(()),
            false => Err(401),
        }
    }

    fn verifies(&self, header: &Map<String, Value>, message: &str, signature: &[u8]) -> bool {
        let alg = header
            .get("alg")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if self.has(Fault::AcceptsNone) && alg.eq_ignore_ascii_case("none") {
            return true;
        }
        if self.has(Fault::ConfusesKeys) && alg == "HS256" {
            let key = hmac::Key::new(hmac::HMAC_SHA256, pem(&self.point).as_bytes());
            return hmac::verify(&key, message.as_bytes(), signature).is_ok();
        }
        let own = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.point.clone());
        let embedded = header
            .get("jwk")
            .filter(|_| self.has(Fault::TrustsEmbeddedKey));
        let fetched = header.get("jku").and_then(Value::as_str);
        let fetched = fetched.filter(|_| self.has(Fault::FollowsKeyUrl));
        let foreign = embedded.cloned().or_else(|| fetched.and_then(fetch));
        if alg != "ES256" {
            return false;
        }
        if let Some(point) = foreign.as_ref().and_then(point) {
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
            return key.verify(message.as_bytes(), signature).is_ok();
        }
        let is_named = header.get("kid").and_then(Value::as_str) == Some(&*self.kid);
        is_named && own.verify(message.as_bytes(), signature).is_ok()
    }

    fn check_claims(&self, claims: &Map<String, Value>) -> Result<(), Refused> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = now.as_secs_f64();
        let time = |name: &str| {
            claims
                .get(name)
                .map(|at| at.as_f64().filter(|at| *at >= 0.0))
        };
        let is_timely = match time("exp") {
            _ if self.has(Fault::ChecksNoExpiry) => true,
            Some(None) => self.has(Fault::SkipsExpiryInText),
            None => false,
            Some(Some(exp)) => exp > now,
        };
        let has_begun = match time("nbf") {
            _ if self.has(Fault::ChecksNoBeginning) => true,
            None => true,
            Some(nbf) => nbf.is_some_and(|nbf| nbf <= now),
        };
        let bound = claims.contains_key("cnf") && !self.has(Fault::IgnoresBinding);
        let is_good = is_timely
            && has_begun
            && !bound
            && self.is_of_issuer(claims.get("iss"))
            && self.is_for_us(claims.get("aud"))
            && self.is_access_token(claims)
            && claims.get("sub").is_some_and(Value::is_string);
        if is_good { Ok(()) } else { Err(401) }
    }

    fn is_of_issuer(&self, iss: Option<&Value>) -> bool {
        match iss {
            Some(Value::String(iss)) if self.has(Fault::ComparesStartOfIssuer) => {
                iss.starts_with(&self.issuer)
            }
            Some(Value::String(iss)) => *iss == self.issuer,
            Some(Value::Array(all)) if self.has(Fault::TakesIssuerFromList) => {
                all.contains(&self.issuer.as_str().into())
            }
            _ => false,
        }
    }

    fn is_for_us(&self, aud: Option<&Value>) -> bool {
        match aud {
            _ if self.has(Fault::ChecksNoAudience) => true,
            Some(Value::String(aud)) if self.has(Fault::FindsAudienceInText) => {
                aud.contains(RESOURCE)
            }
            Some(Value::String(aud)) => aud == RESOURCE,
            Some(Value::Array(all)) => {
                all.iter().all(Value::is_string) && all.contains(&RESOURCE.into())
            }
            _ => false,
        }
    }

    fn is_access_token(&self, claims: &Map<String, Value>) -> bool {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let kind = text("token_use").or(text("typ")).unwrap_or("access");
        let has = |name: &str| claims.contains_key(name);
        let is_id = matches!(kind, "id" | "ID")
            || has("at_hash")
            || has("c_hash")
            || (has("nonce") && !has("scope"));
        let is_refresh = matches!(kind, "refresh" | "refresh_token" | "Refresh" | "Offline");
        let is_other = has("events");
        (!is_id || self.has(Fault::TakesIdTokens))
            && (!is_refresh || self.has(Fault::TakesRefreshTokens))
            && !is_other
    }

    fn refuse(&self, status: u16, head: &Parts) -> Response<RequestBody> {
        let mut response = Response::new(RequestBody::default());
        *response.status_mut() = status.try_into().unwrap();
        let sent = head.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let challenge = match sent {
            Some(sent) if self.has(Fault::RepeatsCredential) => {
                let sent = String::from_utf8_lossy(sent).replace('\t', " ");
                format!("Bearer error_description=\"what is {sent}?\"")
            }
            _ => "Bearer error=\"invalid_token\"".to_owned(),
        };
        if status == 401 && !self.has(Fault::NamesNoScheme) {
            let value = HeaderValue::from_str(&challenge);
            let value = value.unwrap_or(HeaderValue::from_static("Bearer"));
            response.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
        response
    }
}

impl<B> Service<Request<B>> for Handmade {
    type Response = Response<RequestBody>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        if let Err(status) = self.check(&head) {
            return ready(Ok(self.refuse(status, &head)));
        }
        if !self.has(Fault::PassesCredentialOn) {
            head.headers.remove(AUTHORIZATION);
        }
        self.probe.call(Request::from_parts(head, body))
    }
}

/// The members of one object, none of them twice.
struct Members(Map<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member twice"));
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Once)
    }
}

fn point(jwk: &Value) -> Option<Vec<u8>> {
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str()?).ok();
    Some([&[4][..], &coordinate("x")?, &coordinate("y")?].concat())
}

/// The PEM of a key on P-256: what stands before its point is always the same (RFC 5480).
fn pem(point: &[u8]) -> String {
    const BEFORE: [u8; 26] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    let body = STANDARD.encode([&BEFORE, point].concat());
    let (first, second) = body.split_at(64);
    format!("-----BEGIN PUBLIC KEY-----\n{first}\n{second}\n-----END PUBLIC KEY-----\n")
}

/// The first key of a set on loopback.
fn fetch(url: &str) -> Option<Value> {
    let (address, path) = url.strip_prefix("http://")?.split_once('/')?;
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let keys: Value = serde_json::from_str(body).ok()?;
    Some(keys["keys"][0].clone())
}
