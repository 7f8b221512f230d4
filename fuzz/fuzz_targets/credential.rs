//! The credential of a request: the one that is read is the one that is there, or none.
//!
//! The first line is the path with its query, each further one a header.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use tower::{Layer, service_fn};
use tower_mcp_auth::{AuthLayer, Location, Principal};
use tower_mcp_auth_fuzz::{Anybody, call, empty, refused};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const TOKEN: HeaderName = HeaderName::from_static("x-token");

/// What no message may repeat.
const SECRET: &str = "S3CR3T";

struct Case {
    locations: Vec<(HeaderName, Option<&'static str>)>,
    layer: AuthLayer<Anybody>,
}

impl Case {
    fn new(locations: &[(HeaderName, Option<&'static str>)]) -> Self {
        let read = locations.iter().map(|(header, scheme)| match scheme {
            Some(scheme) => Location::scheme(header.clone(), scheme),
            None => Location::bare(header.clone()),
        });
        Self {
            layer: AuthLayer::new(Anybody(read.collect())),
            locations: locations.to_vec(),
        }
    }
}

static CASES: LazyLock<[Case; 4]> = LazyLock::new(|| {
    [
        Case::new(&[(AUTHORIZATION, Some("Bearer"))]),
        Case::new(&[(API_KEY, None)]),
        Case::new(&[(AUTHORIZATION, Some("Bearer")), (API_KEY, None)]),
        Case::new(&[
            (AUTHORIZATION, Some("Bearer")),
            (API_KEY, None),
            (AUTHORIZATION, Some("ApiKey")),
            (TOKEN, Some("Token")),
        ]),
    ]
});

fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|byte| *byte == b'\n');
    let Some(Ok(uri)) = lines.next().map(Uri::try_from) else {
        return;
    };
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(&line[colon + 1..]);
        if let (Ok(name), Ok(value)) = (name, value)
            && headers.len() < 64
        {
            headers.append(name, value);
        }
    }
    for case in &*CASES {
        check(case, &uri, &headers);
    }
});

fn check(case: &Case, uri: &Uri, headers: &HeaderMap) {
    let inner = service_fn(async |request: Request<Full<Bytes>>| {
        let mut response = empty();
        *response.headers_mut() = request.headers().clone();
        let principal = Principal::from_extensions(request.extensions()).expect("a principal");
        response.extensions_mut().insert(principal.clone());
        Ok::<_, std::convert::Infallible>(response)
    });
    let mut request = Request::new(Full::default());
    *request.uri_mut() = uri.clone();
    *request.headers_mut() = headers.clone();
    let response = call(case.layer.layer(inner), request);
    let got = match refused(&response) {
        Some(error) => {
            let told = error.detail().into_iter().chain([error.description()]);
            for text in told.filter(|_| error.reason() != "token_in_query") {
                assert!(!text.contains(SECRET), "{text}");
            }
            Err((response.status(), error.reason()))
        }
        None => {
            let principal = response.extensions().get::<Principal>().unwrap();
            Ok((
                principal.subject().unwrap().to_owned(),
                principal.client_id().unwrap().to_owned(),
            ))
        }
    };
    assert_eq!(got, expected(case, uri, headers));
    if let Ok((credential, _)) = got {
        assert!(
            credential
                .bytes()
                .all(|byte| { byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte) })
        );
        // The inner service does not see it.
        let all: Vec<_> = case.locations.iter().map(|(header, _)| header).collect();
        for (name, value) in response.headers() {
            let is_read = all.contains(&name);
            let value = value.as_bytes();
            assert!(
                !is_read || !contains(value, credential.as_bytes()) || is_other(case, name, value),
                "{name}"
            );
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Whether a value is no credential for any of the locations.
fn is_other(case: &Case, name: &HeaderName, value: &[u8]) -> bool {
    let of_name = case.locations.iter().filter(|(own, _)| own == name);
    of_name
        .into_iter()
        .all(|(_, scheme)| matches!(read(value, *scheme), Read::Nothing))
}

enum Read<'v> {
    Nothing,
    Malformed,
    Credential(&'v [u8]),
}

fn expected(
    case: &Case,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(String, String), (StatusCode, &'static str)> {
    let bad = |reason| Err((StatusCode::BAD_REQUEST, reason));
    if has_forbidden_name(case, uri) {
        return bad("token_in_query");
    }
    let mut found = Vec::new();
    let mut malformed = false;
    for (index, (header, _)) in case.locations.iter().enumerate() {
        if case.locations[..index].iter().any(|(own, _)| own == header) {
            continue;
        }
        let values: Vec<_> = headers.get_all(header).iter().collect();
        let value = match values[..] {
            [] => continue,
            [value] => value.as_bytes(),
            _ => return bad("duplicate_credential"),
        };
        for (_, scheme) in case.locations[index..]
            .iter()
            .filter(|(own, _)| own == header)
        {
            match read(value, *scheme) {
                Read::Nothing => continue,
                Read::Malformed => return bad("malformed_credential"),
                Read::Credential(credential) => {
                    if !found.is_empty() {
                        return bad("multiple_credentials");
                    }
                    malformed = !is_b64token(credential);
                    found.push((credential, Place(header, *scheme).to_string()));
                    break;
                }
            }
        }
    }
    match found.pop() {
        None => Err((StatusCode::UNAUTHORIZED, "missing_credential")),
        Some(_) if malformed => bad("malformed_credential"),
        Some((credential, location)) => {
            Ok((String::from_utf8(credential.to_vec()).unwrap(), location))
        }
    }
}

struct Place<'l>(&'l HeaderName, Option<&'static str>);

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.1 {
            Some(scheme) => write!(f, "{}: {scheme}", self.0),
            None => self.0.fmt(f),
        }
    }
}

fn read<'v>(value: &'v [u8], scheme: Option<&str>) -> Read<'v> {
    let value = value.trim_ascii();
    let Some(scheme) = scheme else {
        return match value.is_empty() {
            true => Read::Nothing,
            false => Read::Credential(value),
        };
    };
    let Some((own, rest)) = value.split_at_checked(scheme.len()) else {
        return Read::Nothing;
    };
    if !own.eq_ignore_ascii_case(scheme.as_bytes()) {
        return Read::Nothing;
    }
    match rest.first() {
        None => Read::Nothing,
        Some(b' ') => {
            let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
            Read::Credential(&rest[spaces..])
        }
        // The name of another scheme.
        Some(byte) if byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte) => {
            Read::Nothing
        }
        Some(_) => Read::Malformed,
    }
}

fn is_b64token(value: &[u8]) -> bool {
    let padding = value.iter().rev().take_while(|byte| **byte == b'=').count();
    let text = &value[..value.len() - padding];
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    !text.is_empty() && text.iter().all(good)
}

fn has_forbidden_name(case: &Case, uri: &Uri) -> bool {
    let fold = |name: &str| name.replace(['-', '_'], "").to_ascii_lowercase();
    let mut forbidden: Vec<String> = ["accesstoken", "token", "authorization", "apikey", "xapikey"]
        .map(str::to_owned)
        .into();
    forbidden.extend(
        case.locations
            .iter()
            .map(|(header, _)| fold(header.as_str())),
    );
    let query = uri.query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| forbidden.contains(&fold(&name)))
}
