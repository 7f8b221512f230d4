//! Tokens against jsonwebtoken: what we accept, it accepts, and says the same of it.
//!
//! Two lines are the header and the claims of a token, which is signed here. Where the first
//! begins with a dot, they are base64url already. One line is a whole token.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod target {
    use std::collections::HashSet;
    use std::sync::LazyLock;
    use std::time::Duration;

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use bytes::Bytes;
    use http::{HeaderValue, Request, Response};
    use http_body_util::Full;
    use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
    use libfuzzer_sys::fuzz_target;
    use serde_json::{Map, Value};
    use tower::{Layer, service_fn};
    use tower_mcp_auth::jose::Secret;
    use tower_mcp_auth::{Clock, JwtLayer, Principal, fuzzing};
    use tower_mcp_auth_fuzz::json::Facts;
    use tower_mcp_auth_fuzz::{call, refused};

    const SECRET: &[u8] = b"jR4v8sQ1xT6yB9kW3nM7pL2dF5hG0cZaVeUoIiSrKtE";
    const ISSUER: &str = "https://auth.example.com";
    const AUDIENCE: &str = "https://mcp.example.com/mcp";
    const NOW: u64 = 1_800_000_000;
    const SKEW: u64 = 60;

    type Claims = Map<String, Value>;

    fuzz_target!(|input: &[u8]| {
        let token = match input.iter().position(|byte| *byte == b'\n') {
            None => input.to_vec(),
            Some(end) => {
                let (header, claims) = (&input[..end], &input[end + 1..]);
                match header.strip_prefix(b".") {
                    Some(header) => signed(&[header, claims]),
                    None => signed(&[encode(header).as_bytes(), encode(claims).as_bytes()]),
                }
            }
        };
        shape(&token);
        let mut value = b"Bearer ".to_vec();
        value.extend_from_slice(&token);
        let Ok(value) = HeaderValue::from_bytes(&value) else {
            return;
        };
        // The second time the header of the token is known, if it was accepted.
        let layer = layer();
        let (ours, again) = (ours(&layer, &value), ours(&layer, &value));
        match (&ours, &again) {
            (Ok(ours), Ok(again)) => assert_eq!(ours.id(), again.id()),
            (Err(ours), Err(again)) => assert_eq!(ours, again),
            _ => panic!("{ours:?} and then {again:?}"),
        }
        let theirs = theirs(&token);
        match (ours, theirs) {
            (Ok(principal), Some(claims)) => same(&principal, &claims),
            (Ok(principal), None) => {
                // Members of the header that it reads and we do not.
                let claims = theirs_without_extras(&token).expect("we alone accept it");
                same(&principal, &claims);
            }
            (Err(reason), Some(claims)) if is_current(&claims) => {
                assert!(
                    !is_simple(&token, &claims),
                    "refused for {reason}: {claims:?}"
                );
                assert!(is_documented(&reason), "refused for {reason}");
            }
            (Err(_), _) => {}
        }
    });

    fn encode(part: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(part)
    }

    fn signed(parts: &[&[u8]; 2]) -> Vec<u8> {
        static KEY: LazyLock<EncodingKey> = LazyLock::new(|| EncodingKey::from_secret(SECRET));
        let mut token = parts.join(&b"."[..]);
        let signature =
            jsonwebtoken::crypto::sign(&token, &KEY, Algorithm::HS256).expect("a secret");
        token.push(b'.');
        token.extend_from_slice(signature.as_bytes());
        token
    }

    fn layer() -> JwtLayer {
        static SECRET_TEXT: LazyLock<Secret> = LazyLock::new(|| Secret::new(SECRET).expect("long"));
        JwtLayer::builder(SECRET_TEXT.clone())
            .issuer(ISSUER)
            .audience(AUDIENCE)
            .clock_skew(Duration::from_secs(SKEW))
            .clock(Clock::manual(Duration::from_secs(NOW)))
            .build()
            .expect("a layer")
    }

    fn ours(layer: &JwtLayer, value: &HeaderValue) -> Result<Principal, String> {
        let service = layer.layer(service_fn(async |request: Request<Full<Bytes>>| {
            let mut response = Response::new(Full::<Bytes>::default());
            let principal = Principal::from_extensions(request.extensions()).expect("a principal");
            response.extensions_mut().insert(principal.clone());
            Ok::<_, std::convert::Infallible>(response)
        }));
        let mut request = Request::new(Full::default());
        request.headers_mut().insert("authorization", value.clone());
        let response = call(service, request);
        match refused(&response) {
            Some(error) => Err(error.reason().to_owned()),
            None => Ok(response.extensions().get::<Principal>().unwrap().clone()),
        }
    }

    fn theirs(token: &[u8]) -> Option<Claims> {
        static KEY: LazyLock<DecodingKey> = LazyLock::new(|| DecodingKey::from_secret(SECRET));
        static RULES: LazyLock<Validation> = LazyLock::new(|| {
            let mut rules = Validation::new(Algorithm::HS256);
            rules.set_issuer(&[ISSUER]);
            rules.set_audience(&[AUDIENCE]);
            rules.set_required_spec_claims(&["exp", "iss", "aud"]);
            // Its clock is the system's: see `is_current`.
            rules.validate_exp = false;
            rules
        });
        let data = jsonwebtoken::decode::<Claims>(token, &KEY, &RULES).ok()?;
        Some(data.claims)
    }

    fn theirs_without_extras(token: &[u8]) -> Option<Claims> {
        let mut parts = token.split(|byte| *byte == b'.');
        let header = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        let mut header: Claims = serde_json::from_slice(&header).ok()?;
        header.retain(|name, _| matches!(&**name, "alg" | "typ" | "kid"));
        let header = encode(&serde_json::to_vec(&header).ok()?);
        theirs(&signed(&[header.as_bytes(), parts.next()?]))
    }

    /// What it says of the times, by a clock that stands still.
    fn is_current(claims: &Claims) -> bool {
        let is_ahead = |name: &str| match claims.get(name) {
            None | Some(Value::Null) => false,
            Some(date) => date.as_f64().is_none_or(|date| date > (NOW + SKEW) as f64),
        };
        let exp = claims.get("exp").and_then(Value::as_f64);
        exp.is_some_and(|exp| exp + SKEW as f64 > NOW as f64)
            && !is_ahead("nbf")
            && !is_ahead("iat")
    }

    /// Whether we say of an accepted token what stands in it.
    fn same(principal: &Principal, claims: &Claims) {
        assert!(is_current(claims), "{claims:?}");
        assert_eq!(principal.claims(), claims);
        assert_eq!(principal.issuer(), Some(ISSUER));
        // An empty one names no one.
        let subject = claims.get("sub").and_then(Value::as_str);
        let subject = subject.filter(|subject| !subject.is_empty());
        assert_eq!(principal.subject(), subject);
        let client = ["client_id", "azp"].map(|name| claims.get(name).and_then(Value::as_str));
        let client = client.into_iter().flatten().find(|name| !name.is_empty());
        assert_eq!(principal.client_id(), client);
        let granted: HashSet<&str> = match claims.get("scope") {
            Some(Value::String(scopes)) => scopes.split(' ').collect(),
            Some(Value::Array(scopes)) => scopes.iter().filter_map(Value::as_str).collect(),
            _ => HashSet::new(),
        };
        for scope in principal.scopes().iter() {
            assert!(granted.contains(scope), "{scope}");
        }
        same_actors(principal, claims);
    }

    /// Whether those who act are the ones of `act`, from the outermost on.
    fn same_actors(principal: &Principal, claims: &Claims) {
        let mut act = claims.get("act").filter(|act| !act.is_null());
        if act.is_none() && claims.contains_key("xms_act_fct") {
            return;
        }
        for actor in principal.actors() {
            let own = act.and_then(Value::as_object).expect("an actor");
            let text = |name: &str| own.get(name).and_then(Value::as_str);
            let named = |name: &str| text(name).filter(|text| !text.is_empty());
            assert_eq!(actor.subject(), named("sub"));
            assert_eq!(actor.issuer(), named("iss"));
            assert_eq!(actor.client_id(), named("client_id"));
            act = own.get("act").filter(|act| !act.is_null());
        }
        assert_eq!(act, None);
    }

    /// Whether nothing in a token is a reason to refuse it.
    fn is_simple(token: &[u8], claims: &Claims) -> bool {
        let mut parts = token.split(|byte| *byte == b'.');
        let mut part = || {
            let json = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
            let json = String::from_utf8(json).ok()?;
            let plain = |facts: Facts| facts.is_plain(32) && !facts.long_string && !facts.long_name;
            Facts::of(&json).is_some_and(plain).then_some(json)
        };
        let (Some(header), Some(_)) = (part(), part()) else {
            return false;
        };
        let header: Claims = serde_json::from_str(&header).expect("it was read");
        let simple_header = header.iter().all(|(name, value)| match &**name {
            "alg" | "kid" => value.is_string(),
            "typ" => matches!(
                value.as_str(),
                Some("JWT" | "at+jwt" | "application/at+jwt")
            ),
            _ => false,
        });
        let simple_claims = claims.iter().all(|(name, value)| match &**name {
            "iss" | "sub" | "client_id" | "scope" => value.is_string(),
            "exp" | "nbf" | "iat" => value
                .as_f64()
                .is_some_and(|date| (0.0..1e18).contains(&date)),
            "aud" => match value {
                Value::Array(all) => all.iter().all(Value::is_string),
                one => one.is_string(),
            },
            _ => false,
        });
        // The audience is a client only if the token names it as one.
        let is_client = claims.get("client_id").and_then(Value::as_str) == Some(AUDIENCE);
        simple_header && simple_claims && !is_client && token.len() < 4 * 1024
    }

    fn is_documented(reason: &str) -> bool {
        matches!(
            reason,
            "bound_token"
                | "critical_header"
                | "duplicate_token_member"
                | "header_too_large"
                | "malformed_token"
                | "token_too_large"
                | "unencoded_payload"
                | "wrong_token_type"
        )
    }

    /// What it takes for a token is one to us, by its shape and from its first letter on.
    fn shape(token: &[u8]) {
        let is_jws = fuzzing::is_jws(token);
        if jsonwebtoken::decode_header(token).is_err() {
            return;
        }
        assert!(is_jws);
        let header = token.split(|byte| *byte == b'.').next();
        let header = std::str::from_utf8(header.unwrap_or_default()).expect("base64url");
        for end in 1..=header.len() {
            assert!(fuzzing::may_begin_jws(&header[..end]), "{}", &header[..end]);
        }
    }
}

/// What it reads is public under `--cfg fuzzing` alone, which cargo-fuzz sets.
#[cfg(not(fuzzing))]
fn main() {}
