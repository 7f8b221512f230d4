//! The one credential of a request.
//!
//! A credential is read from a header and from nowhere else. What makes a request
//! ambiguous (two credentials, the same header twice) or leaks a credential (a query
//! string) is refused here, before any provider is asked.

mod header_name;
mod location;
mod query;
mod slips;

use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

pub(crate) use self::header_name::check as check_header_name;
pub use self::location::Location;
pub(crate) use self::query::QueryNames;
pub(crate) use self::slips::{is_filler_word, looks_like_jwt};
use crate::error::{AuthError, Reason};
use crate::resource::Resource;
use crate::util::is_tchar;

/// A credential as it was presented: its characters are good, and nothing else is known of
/// it.
///
/// `Debug` does not print it.
#[derive(Clone, Copy)]
pub struct Credential<'a> {
    location: &'a Location,
    value: &'a [u8],
    /// The number of its provider among those behind a layer.
    leaf: usize,
}

impl<'a> Credential<'a> {
    /// The credential itself: one or more characters of the `b64token` of
    /// [RFC 6750 section 2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1).
    pub fn value(&self) -> &'a str {
        std::str::from_utf8(self.value).unwrap_or_default()
    }

    /// The same as bytes.
    pub(crate) fn as_bytes(&self) -> &'a [u8] {
        self.value
    }

    pub(crate) fn leaf(&self) -> usize {
        self.leaf
    }

    /// The same for the provider of this number.
    pub(crate) fn at_leaf(&self, leaf: usize) -> Self {
        Self { leaf, ..*self }
    }

    /// Where it was found.
    pub fn location(&self) -> &'a Location {
        self.location
    }
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

/// All of a request but its body, borrowed.
///
/// `Debug` prints neither headers nor query: a credential may be in both.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    method: &'a Method,
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
    needs_proof: bool,
    resource: Option<&'a Arc<Resource>>,
    is_one_of_several: bool,
}

impl<'a> RequestHead<'a> {
    /// The head of `request`.
    pub fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            extensions: request.extensions(),
            needs_proof: false,
            resource: None,
            is_one_of_several: false,
        }
    }

    /// Whether a provider is to prove a credential (verify its signature, say) before it
    /// judges what it says: some of its refusals are only
    /// [reported](crate::AuthLayer::dangerously_report_only_for), and a forgery must not pass for
    /// one of them.
    pub(crate) fn needs_proof(&self) -> bool {
        self.needs_proof
    }

    pub(crate) fn with_proof(self, needs_proof: bool) -> Self {
        Self {
            needs_proof,
            ..self
        }
    }

    /// The resource of the request: the one that the provider
    /// [chose](crate::provider::Route::Resource), or that of the layer.
    ///
    /// `None` where there is none, and while the request is routed.
    pub fn resource(&self) -> Option<&'a Arc<Resource>> {
        self.resource
    }

    /// Whether the layer has more resources than that of the request: a credential that does not
    /// say which it is for would be good at all of them.
    pub(crate) fn is_one_of_several(&self) -> bool {
        self.is_one_of_several
    }

    pub(crate) fn with_resource(
        self,
        resource: Option<&'a Arc<Resource>>,
        is_one_of_several: bool,
    ) -> Self {
        Self {
            resource,
            is_one_of_several,
            ..self
        }
    }

    /// The method.
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// The URI, as the layer sees it: a router around it may have stripped a prefix.
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// The version of HTTP.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The headers.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The extensions.
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }
}

impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method)
            .field("path", &self.uri.path())
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl<'a> From<&'a Parts> for RequestHead<'a> {
    fn from(parts: &'a Parts) -> Self {
        Self {
            method: &parts.method,
            uri: &parts.uri,
            version: parts.version,
            headers: &parts.headers,
            extensions: &parts.extensions,
            needs_proof: false,
            resource: None,
            is_one_of_several: false,
        }
    }
}

/// The credential in `headers` and the number of its location, or `None` where there is none.
/// The one place where its characters are checked.
pub(crate) fn read<'h>(
    locations: &'h [Location],
    headers: &'h HeaderMap,
) -> Result<Option<(usize, Credential<'h>)>, AuthError> {
    let Some((index, value)) = find(locations, headers)? else {
        return Ok(None);
    };
    let location = &locations[index];
    if !is_b64token(value) {
        return Err(malformed(location, value));
    }
    let leaf = 0;
    Ok(Some((
        index,
        Credential {
            location,
            value,
            leaf,
        },
    )))
}

/// The number of the location that holds a credential, and its value, whatever its characters.
fn find<'h>(
    locations: &[Location],
    headers: &'h HeaderMap,
) -> Result<Option<(usize, &'h [u8])>, AuthError> {
    let mut found = None;
    for (index, location) in locations.iter().enumerate() {
        let is_same = |other: &Location| other.header == location.header;
        if locations[..index].iter().any(is_same) {
            continue;
        }
        let Some(value) = only_value(headers, &location.header)? else {
            continue;
        };
        let places = locations.iter().enumerate().skip(index);
        for (index, location) in places.filter(|(_, other)| is_same(other)) {
            let Some(value) = parse(value.as_bytes(), location)? else {
                continue;
            };
            if found.is_some() {
                return Err(AuthError::new(Reason::MULTIPLE_CREDENTIALS).with_detail(
                    "there is a credential for more than one of the headers and schemes that \
                         are read: which one counts would be a guess",
                ));
            }
            found = Some((index, value));
            break;
        }
    }
    Ok(found)
}

fn only_value<'h>(
    headers: &'h HeaderMap,
    header: &HeaderName,
) -> Result<Option<&'h HeaderValue>, AuthError> {
    let mut values = headers.get_all(header).iter();
    match (values.next(), values.next()) {
        (only, None) => Ok(only),
        _ => Err(AuthError::new(Reason::DUPLICATE_CREDENTIAL)
            .with_detail(format!("more than one {header} header"))),
    }
}

/// Removes every header that holds a credential for one of `locations`, well-formed or not.
pub(crate) fn strip(locations: &[Location], headers: &mut HeaderMap) {
    for location in locations {
        let ours = |value: &HeaderValue| !matches!(parse(value.as_bytes(), location), Ok(None));
        if headers.get_all(&location.header).iter().any(ours) {
            headers.remove(&location.header);
        }
    }
}

/// Marks every header of `locations` as sensitive, so that `Debug` of a header map hides it.
pub(crate) fn mark_sensitive(locations: &[Location], headers: &mut HeaderMap) {
    for location in locations {
        mark_header_sensitive(&location.header, headers);
    }
}

pub(crate) fn mark_header_sensitive(name: &HeaderName, headers: &mut HeaderMap) {
    if let http::header::Entry::Occupied(mut entry) = headers.entry(name) {
        for value in entry.iter_mut() {
            value.set_sensitive(true);
        }
    }
}

/// `Ok(None)`: no credential for this location. `Err`: one that cannot be accepted. Its
/// characters are not checked here.
fn parse<'a>(value: &'a [u8], location: &Location) -> Result<Option<&'a [u8]>, AuthError> {
    let value = trim(value);
    let token = match location.scheme {
        None => value,
        Some(scheme) => match after_scheme(value, scheme) {
            Some(rest) => rest,
            None => return Ok(None),
        },
    };
    // A bare scheme, with or without the spaces after it, presents nothing.
    match (location.scheme, token) {
        (_, []) => Ok(None),
        (None, token) => Ok(Some(token)),
        // RFC 9110 section 11.4: exactly spaces, at least one, between scheme and value.
        (Some(_), [b' ', ..]) => Ok(Some(skip_spaces(token))),
        (Some(_), _) => Err(malformed(location, token)),
    }
}

/// What follows `scheme`, if the value is of that scheme.
fn after_scheme<'a>(value: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    // As nearly all clients write it, which costs one comparison.
    if let Some(rest @ [b' ', ..]) = value.strip_prefix(scheme.as_bytes()) {
        return Some(rest);
    }
    let (name, rest) = value.split_at_checked(scheme.len())?;
    let longer = rest.first().is_some_and(|byte| is_tchar(*byte));
    (name.eq_ignore_ascii_case(scheme.as_bytes()) && !longer).then_some(rest)
}

fn malformed(location: &Location, value: &[u8]) -> AuthError {
    AuthError::new(Reason::MALFORMED_CREDENTIAL).with_detail(format!(
        "the value of {} is not one b64token of RFC 6750 section 2.1: {}",
        location.header,
        slips::malformed(value, location)
    ))
}

/// The error of a request without a credential for any of `locations`, with what it has instead.
pub(crate) fn missing(head: RequestHead<'_>, locations: &[Location]) -> AuthError {
    AuthError::missing().with_detail(slips::missing(head, locations))
}

/// A field value without the white space around it, which is no part of it
/// ([RFC 9110 section 5.5](https://www.rfc-editor.org/rfc/rfc9110#section-5.5)). HTTP/1 parsers
/// take it off; HTTP/2 lets it through.
pub(crate) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn skip_spaces(mut value: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] = value {
        value = rest;
    }
    value
}

/// RFC 6750 section 2.1: `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
pub(crate) fn is_b64token(value: &[u8]) -> bool {
    let mut body = value;
    while let [rest @ .., b'='] = body {
        body = rest;
    }
    // This runs over every token of every request, so it has neither branches nor truth
    // values, which the compiler could not keep in bytes: zero is a character that belongs,
    // and sixteen are checked at a time. One by one, a known token of 900 bytes costs 1.07 µs, not
    // 0.65 (bench `overhead`, rows "seen before").
    const WIDTH: usize = 16;
    let (whole, rest) = body.as_chunks::<WIDTH>();
    let mut seen = [0; WIDTH];
    let mut check = |characters: &[u8; WIDTH]| {
        for (seen, character) in seen.iter_mut().zip(characters) {
            *seen |= distance_to_b64token(*character);
        }
    };
    whole.iter().for_each(&mut check);
    match body.last_chunk() {
        // Some of them once more, which costs less than the rest one by one.
        Some(last) if !rest.is_empty() => check(last),
        Some(_) => {}
        None => {
            let mut short = [b'A'; WIDTH];
            short[..rest.len()].copy_from_slice(rest);
            check(&short);
        }
    }
    !body.is_empty() && seen == [0; WIDTH]
}

/// Zero for a character that a token may have besides `=`.
fn distance_to_b64token(byte: u8) -> u8 {
    let letter = (byte | 0x20).wrapping_sub(b'a').saturating_sub(25);
    // `-`, `.`, `/` and the digits stand side by side.
    let middle = byte.wrapping_sub(b'-').saturating_sub(b'9' - b'-');
    let rare = (byte ^ b'_').min(byte ^ b'+').min(byte ^ b'~');
    letter.min(middle).min(rare)
}
