//! Warnings of credentials that are misplaced or malformed.
//!
//! Nothing of a value is repeated: a value in the wrong place may be the right secret.

use http::header::{AUTHORIZATION, ORIGIN};
use http::{HeaderMap, HeaderName, Method};

use super::{Location, RequestHead, is_b64token, trim};
use crate::util::is_tchar;

/// Schemes by which clients authenticate
/// (<https://www.iana.org/assignments/http-authschemes>, and some that are in use). Others are
/// not repeated: they may be the first word of a secret.
const SCHEMES: [&str; 21] = [
    "ApiKey",
    "AWS4-HMAC-SHA256",
    "Basic",
    "Bearer",
    "Concealed",
    "Digest",
    "DPoP",
    "GNAP",
    "HOBA",
    "JWT",
    "Key",
    "Mutual",
    "Negotiate",
    "NTLM",
    "OAuth",
    "PrivateToken",
    "SCRAM-SHA-1",
    "SCRAM-SHA-256",
    "SharedKey",
    "Token",
    "vapid",
];

/// Headers that people put credentials into, beside `Authorization`.
const CARRIERS: [HeaderName; 6] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("apikey"),
    HeaderName::from_static("x-auth-token"),
    HeaderName::from_static("x-access-token"),
    HeaderName::from_static("proxy-authorization"),
];

const REQUESTED_METHOD: HeaderName = HeaderName::from_static("access-control-request-method");

/// What is wrong with a value that is no `b64token`: what follows the scheme of its place, or the
/// whole of it where that has none.
pub(super) fn malformed(value: &[u8], location: &Location) -> &'static str {
    match value {
        [b':', ..] => return "a colon follows the scheme, where a space belongs",
        [b'=', ..] => return "an equals sign follows the scheme, where a space belongs",
        [b'\t', ..] => return "a tab follows the scheme, where a space belongs",
        _ => {}
    }
    if begins_with_scheme(value) {
        return match location.scheme {
            Some(_) => "the scheme stands there twice",
            None => "a scheme stands before it, and the whole value of this header is read",
        };
    }
    if let Some(why) = unfinished(value) {
        return why;
    }
    if value.contains(&b',') {
        return "there is a comma in it: two credentials, or a list";
    }
    if value.iter().any(|byte| matches!(byte, b' ' | b'\t')) {
        return "there is white space in it: two values, or a line break";
    }
    if !value.is_ascii() {
        return "it is not ASCII";
    }
    "it has a character that no token has"
}

/// What was never a credential: a template that was not filled in, quotes of a shell or of JSON.
fn unfinished(value: &[u8]) -> Option<&'static str> {
    let is_in = |open: &[u8], close: &[u8]| value.starts_with(open) && value.ends_with(close);
    if is_in(b"${", b"}")
        || is_in(b"{{", b"}}")
        || is_in(b"{", b"}")
        || is_in(b"#{", b"}")
        || is_in(b"<", b">")
        || is_in(b"[", b"]")
        || value.len() > 2 && is_in(b"%", b"%")
        || matches!(value, [b'$', b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'(', ..])
    {
        return Some(
            "it is a placeholder that nothing was put in for: a variable that is not set, or a template that was copied",
        );
    }
    let is_quote = |byte: u8| matches!(byte, b'"' | b'\'' | b'`');
    // Typographic ones, in UTF-8.
    let is_curly = |text: &[u8]| matches!(text, [0xE2, 0x80, 0x98..=0x9F]);
    let quoted = value.first().copied().is_some_and(is_quote)
        || value.last().copied().is_some_and(is_quote)
        || value
            .first_chunk::<3>()
            .is_some_and(|first| is_curly(first))
        || value.last_chunk::<3>().is_some_and(|last| is_curly(last));
    quoted.then_some("quotes stand around it, and they are no part of a credential")
}

/// Whether a token is a word that programs write where they have none.
pub(crate) fn is_filler_word(token: &[u8]) -> bool {
    const WORDS: [&[u8]; 9] = [
        b"undefined",
        b"null",
        b"none",
        b"nil",
        b"nan",
        b"true",
        b"false",
        b"token",
        b"access_token",
    ];
    WORDS.iter().any(|word| token.eq_ignore_ascii_case(word))
}

/// Whether it has the form of a JWT: three parts of base64url, of which the first can begin an
/// object.
pub(crate) fn looks_like_jwt(value: &[u8]) -> bool {
    let is_part = |part: &[u8]| {
        let letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        part.iter().all(letter)
    };
    let mut parts = value.split(|byte| *byte == b'.');
    let (first, second, third, more) = (parts.next(), parts.next(), parts.next(), parts.next());
    match (first, second, third, more) {
        (Some(first), Some(second), Some(third), None) => {
            first.starts_with(b"ey") && [first, second, third].into_iter().all(is_part)
        }
        _ => false,
    }
}

/// Why a request has no credential for any of `locations`.
pub(super) fn missing(head: RequestHead<'_>, locations: &[Location]) -> String {
    let headers = head.headers();
    let read = listed(locations);
    for location in locations {
        let Some(value) = headers.get(&location.header) else {
            continue;
        };
        let why = instead(trim(value.as_bytes()), location);
        return format!("{why}; what is read is `{read}`");
    }
    if *head.method() == Method::OPTIONS
        && headers.contains_key(REQUESTED_METHOD)
        && headers.contains_key(ORIGIN)
    {
        return "this is a CORS preflight, which never has a credential: put the CORS layer \
                outside the auth layer"
            .to_owned();
    }
    match elsewhere(headers) {
        Some(why) => format!("{why}; what is read is `{read}`"),
        None => format!("the request has no `{read}`"),
    }
}

fn listed(locations: &[Location]) -> String {
    let named: Vec<String> = locations.iter().map(Location::to_string).collect();
    named.join("`, `")
}

/// What stands in a header where a credential for this location could.
fn instead(value: &[u8], location: &Location) -> String {
    let header = &location.header;
    if value.is_empty() {
        return format!("the header `{header}` is empty");
    }
    let Some(scheme) = location.scheme else {
        return format!("the header `{header}` has nothing that is read");
    };
    if value.eq_ignore_ascii_case(scheme.as_bytes()) {
        return format!(
            "nothing follows the scheme `{scheme}`: the variable with the credential may be empty"
        );
    }
    if let Some(why) = unfinished(value) {
        return format!("the value of `{header}` has no scheme, and {why}");
    }
    let repeats = |name: &str| {
        let (first, rest) = value.split_at_checked(name.len()).unwrap_or_default();
        first.eq_ignore_ascii_case(name.as_bytes()) && rest.first() == Some(&b':')
    };
    if repeats(header.as_str()) {
        return format!("the value of `{header}` begins with the name of the header");
    }
    let end = value.iter().position(|byte| !is_tchar(*byte));
    let (name, rest) = value.split_at(end.unwrap_or(value.len()));
    let known = known_scheme(name);
    match (known, rest) {
        (Some(known), [b' ', ..]) => format!("`{header}` has the scheme `{known}`"),
        (Some(known), []) => format!("`{header}` has the scheme `{known}` and nothing after it"),
        _ if is_glued(value, scheme) && value.iter().all(|byte| *byte != b' ') => format!(
            "no space follows the scheme `{scheme}` in `{header}`, or a bare token begins like it"
        ),
        (None, [b' ', ..]) => format!("`{header}` has another scheme"),
        _ if looks_like_jwt(value) => format!(
            "a JWT stands in `{header}` without a scheme: write `{scheme}` and a space before it"
        ),
        _ if is_b64token(value) => format!(
            "a bare token stands in `{header}` without a scheme: write `{scheme}` and a space \
             before it"
        ),
        _ => format!("`{header}` begins with no scheme"),
    }
}

fn is_glued(value: &[u8], scheme: &str) -> bool {
    let begin = value.get(..scheme.len());
    begin.is_some_and(|begin| begin.eq_ignore_ascii_case(scheme.as_bytes()))
}

fn known_scheme(name: &[u8]) -> Option<&'static str> {
    SCHEMES
        .into_iter()
        .find(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

fn begins_with_scheme(value: &[u8]) -> bool {
    let end = value.iter().position(|byte| *byte == b' ');
    end.is_some_and(|end| known_scheme(&value[..end]).is_some())
}

/// A credential in a header that is not read.
fn elsewhere(headers: &HeaderMap) -> Option<String> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        let value = trim(value.as_bytes());
        let end = value.iter().position(|byte| *byte == b' ');
        let scheme = known_scheme(&value[..end.unwrap_or(value.len())]);
        return Some(match scheme {
            Some(scheme) => format!(
                "there is an `authorization` header with the scheme `{scheme}`, which is not read \
                 here: the credential may have been sent as one of another kind"
            ),
            None => "there is an `authorization` header, which is not read here".to_owned(),
        });
    }
    let mut carriers = CARRIERS.into_iter();
    let carrier = carriers.find(|name| headers.contains_key(name))?;
    Some(format!(
        "there is a header `{carrier}`, which is not read here: the credential may have been sent \
         as one of another kind"
    ))
}
